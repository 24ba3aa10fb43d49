#include "hub/target.h"

#include <ctype.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Takes one character off the front, decoding %XX up to twice over: `%252e` is a dot to an ExApp
 * behind a server of its own that decodes, too. */
static int next_char(const char **p, const char *end)
{
    int c = (unsigned char)*(*p)++;
    for (int round = 0; c == '%' && round < 3; round++) {
        if (end - *p < 2 || hex((*p)[0]) < 0 || hex((*p)[1]) < 0) {
            break;
        }
        c = hex((*p)[0]) << 4 | hex((*p)[1]);
        *p += 2;
    }
    return c;
}

/* Whether some segment of the path is `..` when decoded, or a byte is NUL or a backslash. */
static bool hostile(struct str path)
{
    const char *p = path.p, *end = path.p + path.n;
    unsigned dots = 0; /* dots the running segment consists of; 3: of something else */
    while (p < end) {
        int c = next_char(&p, end);
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
         memchr(clean.p, '\\', clean.n)) &&
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
    t->path = p < end ? (struct str){p, (size_t)(end - p)} : STR("/");
    t->rest = p < end ? (struct str){p, path.n - (size_t)(p - path.p)} : STR("/");
    if (p == end && query) {
        return TARGET_UNKNOWN; /* `/exapps/app?x`: there is no path the query could belong to */
    }
    return TARGET_OK;
}
