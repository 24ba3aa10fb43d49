/* Any text as an engine's answer: what comes out is read beside what went in, token by token, by a reader of
 * this file's own. All is the same but strings with a `=` that are elements of an array under Env, and of
 * those no value is left. However the text is cut, the outcome is the same; the output comes out as it is. What
 * common/json takes is taken.
 *
 * The first byte chooses the cuts. */
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/docker/scrub.h"
#include "common/json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth) {
        abort();
    }
}

/* ---- a reader: the text is known to be JSON, but nothing is believed that would lead out of it ---- */

struct reader {
    const char *p, *end;
};

struct token {
    char type; /* one of {}[],: or '"', or 'w' for a word; 0: the end */
    struct str text;
};

static bool space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool structural(char c)
{
    return c == '{' || c == '}' || c == '[' || c == ']' || c == ',' || c == ':';
}

static struct token next(struct reader *r)
{
    while (r->p < r->end && space(*r->p)) {
        r->p++;
    }
    struct token t = {0, {r->p, 0}};
    if (r->p == r->end) {
        return t;
    }
    if (structural(*r->p)) {
        t.type = *r->p++;
    } else if (*r->p == '"') {
        t.type = '"';
        for (r->p++; must(r->p < r->end), *r->p != '"'; r->p++) {
            r->p += *r->p == '\\';
        }
        r->p++;
    } else {
        t.type = 'w';
        while (r->p < r->end && !space(*r->p) && !structural(*r->p) && *r->p != '"') {
            r->p++;
        }
    }
    t.text.n = (size_t)(r->p - t.text.p);
    return t;
}

static unsigned hex4(const char *p)
{
    char text[5] = {p[0], p[1], p[2], p[3], 0};
    return (unsigned)strtoul(text, NULL, 16);
}

static size_t put_utf8(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* Without quotes and escapes, into `out`, which has room for the text. */
static struct str unescape(struct str s, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    size_t n = 0;
    for (size_t i = 1; i < s.n - 1; i++) {
        if (s.p[i] != '\\') {
            out[n++] = s.p[i];
        } else if (s.p[++i] == 'u') {
            uint32_t c = hex4(s.p + i + 1);
            i += 4;
            if (c >= 0xd800 && c < 0xdc00) {
                c = 0x10000 + ((c - 0xd800) << 10) + (hex4(s.p + i + 3) - 0xdc00);
                i += 6;
            }
            n += put_utf8(c, out + n);
        } else {
            const char *at = strchr(from, s.p[i]);
            must(at && *at);
            out[n++] = to[at - from];
        }
    }
    return (struct str){out, n};
}

/* ---- both side by side ---- */

#define LEVELS 80u

struct level {
    char type; /* '{' or '[' */
    bool env;  /* an array under Env */
};

static void compare_strings(struct str in, struct str out, bool env)
{
    static const char hidden[] = "<hidden>";
    char *a = malloc(in.n), *b = malloc(out.n);
    struct str x = unescape(in, a), y = unescape(out, b);
    const char *equals = env && x.n > 0 ? memchr(x.p, '=', x.n) : NULL;
    if (equals) {
        size_t name = (size_t)(equals + 1 - x.p);
        must(y.n == name + sizeof(hidden) - 1 && memcmp(x.p, y.p, name) == 0);
        must(memcmp(y.p + name, hidden, sizeof(hidden) - 1) == 0);
    } else {
        must(str_eq(x, y));
    }
    free(a);
    free(b);
}

static bool is_env(struct str key)
{
    char *text = malloc(key.n);
    bool env = str_eq(unescape(key, text), STR("Env"));
    free(text);
    return env;
}

static void compare(struct str in, struct str out)
{
    struct reader r = {in.p, in.p + in.n}, w = {out.p, out.p + out.n};
    struct level levels[LEVELS] = {0};
    size_t depth = 0;
    bool env = false; /* the next value stands under Env */
    bool key = false; /* the next string is a key */
    for (;;) {
        struct token a = next(&r), b = next(&w);
        must(a.type == b.type);
        if (!a.type) {
            return;
        }
        if (a.type == '"') {
            compare_strings(a.text, b.text, !key && depth > 0 && levels[depth - 1].env);
            env = key && is_env(a.text);
        } else {
            must(str_eq(a.text, b.text));
        }
        if (a.type == '{' || a.type == '[') {
            must(depth < LEVELS);
            levels[depth++] = (struct level){a.type, a.type == '[' && env};
        } else if (a.type == '}' || a.type == ']') {
            must(depth-- > 0);
        }
        if (a.type != ':' && a.type != '"') {
            env = false;
        }
        key = a.type == '{' || (a.type == ',' && depth > 0 && levels[depth - 1].type == '{');
    }
}

/* ---- feeding ---- */

static int scrub_in(struct str in, size_t first, size_t piece, struct buf *out)
{
    struct scrub *s = scrub_new();
    const char *why = NULL;
    struct str some;
    int rc = 0;
    for (size_t n = MIN(first, in.n); in.n > 0 && rc == 0; n = MIN(piece, in.n)) {
        char *exact = malloc(n);
        memcpy(exact, in.p, n);
        rc = scrub_feed(s, exact, n, &why);
        free(exact);
        in.p += n;
        in.n -= n;
        some = scrub_take(s);
        buf_append(out, some.p, some.n);
    }
    if (rc == 0) {
        rc = scrub_end(s, &why);
        some = scrub_take(s);
        buf_append(out, some.p, some.n);
    }
    must(rc == 0 || (rc == -1 && why && *why));
    scrub_free(s);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 65536) {
        return 0;
    }
    struct str in = {(const char *)data + 1, size - 1};
    struct buf whole = {0}, cut = {0}, again = {0};
    struct json_doc *doc = json_parse(in.p, in.n, NULL, NULL, 0);
    int rc = scrub_in(in, in.n, 1, &whole);
    must(rc == 0 || !doc);
    json_free(doc);
    must(scrub_in(in, data[0] + 1u, data[0] / 4 + 1u, &cut) == rc);
    struct str out = {whole.p ? buf_head(&whole) : NULL, whole.len};
    if (rc == 0) {
        must(cut.len == out.n && memcmp(buf_head(&cut), out.p, out.n) == 0);
        compare(in, out);
        must(scrub_in(out, out.n, 1, &again) == 0);
        must(again.len == out.n && memcmp(buf_head(&again), out.p, out.n) == 0);
    }
    buf_free(&whole);
    buf_free(&cut);
    buf_free(&again);
    return 0;
}
