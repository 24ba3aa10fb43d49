#include "common/http/syntax.h"

#include <arpa/inet.h>
#include <endian.h>

/* The tables below are written by the preprocessor from these definitions. */
#define IN(c, lo, hi) ((c) >= (lo) && (c) <= (hi))
#define DIGIT(c) IN(c, '0', '9')
#define ALNUM(c) (DIGIT(c) || IN(c, 'A', 'Z') || IN(c, 'a', 'z'))
#define TOKEN(c)                                                                                   \
    (ALNUM(c) || (c) == '!' || IN(c, '#', '\'') || (c) == '*' || (c) == '+' || (c) == '-' ||       \
     (c) == '.' || IN(c, '^', '`') || (c) == '|' || (c) == '~')
#define TARGET(c) (IN(c, 0x21, 0x7e) && (c) != '#')
#define HOST(c)                                                                                    \
    (ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '_' || (c) == '~' || (c) == '!' ||             \
     (c) == '$' || IN(c, '&', '+') || (c) == ';' || (c) == '=')
#define CTL(c) (((c) < 0x20 && (c) != '\t') || (c) == 0x7f)
#define HEX(c) (DIGIT(c) || IN(c, 'a', 'f') || IN(c, 'A', 'F'))
#define BLANK(c) ((c) == ' ' || (c) == '\t')
#define QUOTED(c) (!CTL(c) && (c) != '"' && (c) != '\\')
#define CLASS(c)                                                                                   \
    ((TOKEN(c) ? HTTP_C_TOKEN : 0) | (TARGET(c) ? HTTP_C_TARGET : 0) |                             \
     (HOST(c) ? HTTP_C_HOST : 0) | (CTL(c) ? HTTP_C_CTL : 0) | (DIGIT(c) ? HTTP_C_DIGIT : 0) |     \
     (HEX(c) ? HTTP_C_HEX : 0) | (QUOTED(c) ? HTTP_C_QUOTED : 0) | (BLANK(c) ? HTTP_C_BLANK : 0))
#define FOLD(c) ((c) ^ (IN(c, 'A', 'Z') ? 0x20 : (c) == '_' ? '_' ^ '-' : 0))

#define ROW4(F, c) F(c), F((c) + 1), F((c) + 2), F((c) + 3)
#define ROW16(F, c) ROW4(F, c), ROW4(F, (c) + 4), ROW4(F, (c) + 8), ROW4(F, (c) + 12)
#define ROW64(F, c) ROW16(F, c), ROW16(F, (c) + 16), ROW16(F, (c) + 32), ROW16(F, (c) + 48)
#define ALL(F) ROW64(F, 0), ROW64(F, 64), ROW64(F, 128), ROW64(F, 192)

const uint8_t http_class[256] = {ALL(CLASS)};
const uint8_t http_fold[256] = {ALL(FOLD)};

#define EACH(b) (UINT64_C(0x0101010101010101) * (b))

/* The first control byte other than HTAB, or end. Eight bytes at a step: a byte of `hit` has its
 * top bit set where the byte of x is under 0x20 or is 0x7f; the lowest such bit is exact. */
static const char *find_ctl(const char *p, const char *end)
{
    while (end - p >= 8) {
        uint64_t x, del, hit;

        memcpy(&x, p, 8);
        x = le64toh(x);
        del = x ^ EACH(0x7f);
        hit = (((x - EACH(0x20)) & ~x) | ((del - EACH(1)) & ~del)) & EACH(0x80);
        if (!hit) {
            p += 8;
            continue;
        }
        p += __builtin_ctzll(hit) / 8;
        if (*p != '\t')
            return p;
        p++;
    }
    while (p < end && !http_is(*p, HTTP_C_CTL))
        p++;
    return p;
}

enum http_line http_line_find(const char *line, const char *from, const char *end, size_t max,
                              const char **eol, const char **why)
{
    bool cut = (size_t)(end - line) > max;
    const char *stop = cut ? line + max + 1 : end;
    const char *q = find_ctl(from, stop);

    *eol = q;
    if (q == stop)
        return cut ? HTTP_LINE_LONG : HTTP_LINE_PARTIAL;
    if (*q == '\r') {
        if (q + 1 == end)
            return HTTP_LINE_PARTIAL;
        if (q[1] == '\n')
            return HTTP_LINE_OK;
        *why = "CR without LF";
    } else {
        *why = *q == '\n' ? "LF without CR" : "control byte";
    }
    return HTTP_LINE_BAD;
}

const char *http_field_read(struct http_field *f, const char *line, const char *eol)
{
    const char *q = line, *v, *e = eol;

    while (http_is(*q, HTTP_C_TOKEN))
        q++;
    if (*q != ':' || q == line) {
        if (q == eol)
            return "field line without a colon";
        if (!http_is(*q, HTTP_C_BLANK))
            return q == line && *q == ':' ? "empty field name" : "field name is not a token";
        return q == line ? "folded field line" : "space in or after a field name";
    }
    f->name = (struct str){line, (size_t)(q - line)};
    v = q + 1;
    while (v < e && http_is(*v, HTTP_C_BLANK))
        v++;
    while (e > v && http_is(e[-1], HTTP_C_BLANK))
        e--;
    f->value = (struct str){v, (size_t)(e - v)};
    f->id = (uint8_t)http_name_lookup(f->name);
    f->drop = f->id != HTTP_NAME_OTHER && http_name_is_hop_by_hop(f->id);
    return f->id == HTTP_FRAMING_ALIAS ? "framing field spelled with an underscore" : NULL;
}

static const char *skip(const char *p, const char *end, unsigned cls)
{
    while (p < end && http_is(*p, cls))
        p++;
    return p;
}

int http_list_next(struct str *rest, struct str *item, bool protocols)
{
    const char *p = rest->p, *end = rest->p + rest->n, *from;

    while (p < end && (*p == ',' || http_is(*p, HTTP_C_BLANK)))
        p++;
    if (p == end)
        return 0;
    from = p;
    p = skip(p, end, HTTP_C_TOKEN);
    if (p == from)
        return -1;
    if (protocols && p < end && *p == '/') {
        const char *version = p + 1;

        p = skip(version, end, HTTP_C_TOKEN);
        if (p == version)
            return -1;
    }
    *item = (struct str){from, (size_t)(p - from)};
    p = skip(p, end, HTTP_C_BLANK);
    if (p < end && *p != ',')
        return -1;
    *rest = (struct str){p, (size_t)(end - p)};
    return 1;
}

static bool ipv6_valid(const char *p, size_t n)
{
    struct in6_addr unused;
    char text[INET6_ADDRSTRLEN];

    if (n >= sizeof(text))
        return false;
    memcpy(text, p, n);
    text[n] = 0;
    return inet_pton(AF_INET6, text, &unused) == 1;
}

bool http_authority_valid(struct str s)
{
    const char *p = s.p, *end = s.p + s.n;
    unsigned port = 0;

    if (s.n && *p == '[') {
        const char *close = memchr(p, ']', s.n);

        if (!close || !ipv6_valid(p + 1, (size_t)(close - p - 1)))
            return false;
        p = close + 1;
    } else {
        for (; p < end && *p != ':'; p++) {
            if (http_is(*p, HTTP_C_HOST))
                continue;
            if (*p != '%' || end - p < 3 || !http_is(p[1], HTTP_C_HEX) ||
                !http_is(p[2], HTTP_C_HEX))
                return false;
            p += 2;
        }
        if (p == s.p)
            return false;
    }
    if (p == end)
        return true;
    if (*p++ != ':')
        return false;
    for (; p < end; p++) {
        if (!http_is(*p, HTTP_C_DIGIT))
            return false;
        port = port * 10 + (unsigned)(*p - '0');
        if (port > 65535)
            return false;
    }
    return true;
}

bool http_length_read(struct str s, uint64_t *length)
{
    uint64_t v = 0;

    for (size_t i = 0; i < s.n; i++) {
        unsigned d = (unsigned)(s.p[i] - '0');

        if (!http_is(s.p[i], HTTP_C_DIGIT) || v > ((uint64_t)INT64_MAX - d) / 10)
            return false;
        v = v * 10 + d;
    }
    *length = v;
    return s.n > 0;
}

/* A quoted-string at p; NULL when it is not one. */
static const char *skip_quoted(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '"')
            return p + 1;
        if (*p == '\\' && ++p == end)
            return NULL;
    }
    return NULL;
}

/* transfer-parameter of RFC 9112 7, after its ';'; NULL when it is not one. */
static const char *skip_parameter(const char *p, const char *end)
{
    const char *from = p = skip(p, end, HTTP_C_BLANK);

    p = skip(p, end, HTTP_C_TOKEN);
    if (p == from)
        return NULL;
    p = skip(p, end, HTTP_C_BLANK);
    if (p == end || *p != '=')
        return NULL;
    p = skip(p + 1, end, HTTP_C_BLANK);
    if (p < end && *p == '"')
        return skip_quoted(p, end);
    from = p;
    p = skip(p, end, HTTP_C_TOKEN);
    return p == from ? NULL : p;
}

enum http_codings http_codings_read(struct str s, const char **why)
{
    const char *p = s.p, *end = s.p + s.n;
    bool chunked = false;

    if (str_eq_nocase(s, STR("chunked")))
        return HTTP_CODINGS_CHUNKED;
    *why = "malformed Transfer-Encoding";
    for (;;) {
        const char *from = p = skip(p, end, HTTP_C_BLANK);

        p = skip(p, end, HTTP_C_TOKEN);
        if (p == from)
            return HTTP_CODINGS_BAD;
        if (chunked) {
            *why = "chunked is not the last transfer coding";
            return HTTP_CODINGS_BAD;
        }
        chunked = str_eq_nocase((struct str){from, (size_t)(p - from)}, STR("chunked"));
        p = skip(p, end, HTTP_C_BLANK);
        while (p < end && *p == ';') {
            p = chunked ? NULL : skip_parameter(p + 1, end);
            if (!p)
                return HTTP_CODINGS_BAD;
            p = skip(p, end, HTTP_C_BLANK);
        }
        if (p == end)
            break;
        if (*p++ != ',')
            return HTTP_CODINGS_BAD;
    }
    *why = "unknown transfer coding";
    return HTTP_CODINGS_UNKNOWN;
}
