#include "hub/access/target.h"

#include "common/http/percent.h"
#include "hub/access/exapp_meta.h"

enum {
    ROUNDS = 3,
    PATH_BYTES = 16 * 1024, /* a head's lines are 8 KiB at most */
};

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
        if (round == ROUNDS || (n = http_percent_decode(copy, n)) == before) {
            return false;
        }
    }
    return true;
}

/* Whether the path is one of AppAPI's alone after what servers do with paths: empty and `.` segments
 * go, parameters and a late `?` or `#` cut a segment off, and to some letters of both cases are one. */
static bool names_reserved(const char *p, size_t n)
{
    static const struct str names[] = {{"heartbeat", 9}, {"init", 4}, {"enabled", 7}};
    struct str only = {NULL, 0};
    for (size_t at = 0; at < n;) {
        const char *slash = memchr(p + at, '/', n - at);
        size_t end = slash ? (size_t)(slash - p) : n, len = 0;
        while (at + len < end && !strchr(";?#", p[at + len])) {
            len++;
        }
        if (len > 0 && !(len == 1 && p[at] == '.')) {
            if (only.n > 0) {
                return false;
            }
            only = (struct str){p + at, len};
        }
        at = end + 1;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_nocase(only, names[i])) {
            return true;
        }
    }
    return false;
}

/* The same as sent and after each round of decoding, as in hostile(). */
static bool reserved(struct str path)
{
    char copy[PATH_BYTES];
    if (names_reserved(path.p, path.n)) {
        return true;
    }
    if (!memchr(path.p, '%', path.n)) {
        return false;
    }
    memcpy(copy, path.p, path.n);
    size_t n = path.n, before;
    for (int round = 0; round < ROUNDS; round++) {
        before = n;
        n = http_percent_decode(copy, n);
        if (n == before) {
            return false;
        }
        if (names_reserved(copy, n)) {
            return true;
        }
    }
    return false;
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
    const char *id = clean.p + skip, *end = clean.p + clean.n;
    const char *p = memchr(id, '/', (size_t)(end - id));
    p = p ? p : end;
    t->appid = (struct str){id, (size_t)(p - id)};
    if (!exapp_id_valid(t->appid)) {
        return TARGET_UNKNOWN;
    }
    t->bare = p == end;
    t->path = t->bare ? STR("/") : (struct str){p, (size_t)(end - p)};
    t->reserved = reserved(t->path);
    t->rest = (struct str){p, path.n - (size_t)(p - path.p)};
    return TARGET_OK;
}
