#include "hub/target.h"

#include <ctype.h>

enum {
    ROUNDS = 3,
    PATH_BYTES = 16 * 1024, /* a head's lines are 8 KiB at most */
};

static int hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes %XX once, as servers do: what is no such triplet stays as it is. Returns the length. */
static size_t decode(char *p, size_t n)
{
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '%' && n - i > 2 && hex(p[i + 1]) >= 0 && hex(p[i + 2]) >= 0) {
            p[out++] = (char)(hex(p[i + 1]) << 4 | hex(p[i + 2]));
            i += 2;
        } else {
            p[out++] = p[i];
        }
    }
    return out;
}

/* Whether some segment is `..`, or a byte is NUL or a backslash. */
static bool leaves_prefix(const char *p, size_t n)
{
    unsigned dots = 0; /* dots the running segment consists of; 3: of something else */
    for (size_t i = 0; i < n; i++) {
        char c = p[i];
        if (c == '\0' || c == '\\') {
            return true;
        }
        if (c == '/' || c == ';') { /* `..;x` is `..` to servers that know path parameters */
            if (dots == 2) {
                return true;
            }
            dots = c == '/' ? 0 : 3;
        } else {
            dots = c == '.' && dots < 2 ? dots + 1 : 3;
        }
    }
    return dots == 2;
}

/* Judges the path as sent and as it reads after each of three rounds of decoding: an ExApp may have
 * servers of its own in front that decode, too, and an encoding may itself be encoded in parts
 * (`%25%32%65` is a dot to the second of them). */
static bool hostile(struct str path)
{
    char copy[PATH_BYTES];
    if (path.n > sizeof(copy)) {
        return true; /* longer than any line of a head */
    }
    memcpy(copy, path.p, path.n);
    size_t n = path.n, before;
    for (int round = 0; !leaves_prefix(copy, n); round++) {
        before = n;
        if (round == ROUNDS || (n = decode(copy, n)) == before) {
            return false;
        }
    }
    return true;
}

static bool appid_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '-';
}

enum target_result target_parse(struct target *t, struct str path)
{
    static const char prefix[] = "/exapps/";
    const size_t skip = sizeof(prefix) - 1;
    const char *query = memchr(path.p, '?', path.n);
    struct str clean = {path.p, query ? (size_t)(query - path.p) : path.n};
    /* Most paths have none of the bytes that could spell a dot segment or worse. */
    if ((memchr(clean.p, '.', clean.n) || memchr(clean.p, '%', clean.n) ||
         memchr(clean.p, '\\', clean.n) || memchr(clean.p, '\0', clean.n)) &&
        hostile(clean)) {
        return TARGET_HOSTILE;
    }
    if (clean.n <= skip || memcmp(clean.p, prefix, skip) != 0) {
        return TARGET_UNKNOWN;
    }
    const char *id = clean.p + skip, *end = clean.p + clean.n, *p = id;
    while (p < end && appid_char(*p)) {
        p++;
    }
    t->appid = (struct str){id, (size_t)(p - id)};
    if (t->appid.n == 0 || t->appid.n > TARGET_APPID_MAX || (p < end && *p != '/')) {
        return TARGET_UNKNOWN;
    }
    t->bare = p == end;
    t->path = t->bare ? STR("/") : (struct str){p, (size_t)(end - p)};
    t->rest = (struct str){p, path.n - (size_t)(p - path.p)};
    return TARGET_OK;
}
