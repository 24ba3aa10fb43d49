/* Request paths: what is taken is free of dot segments, NUL and backslash by an independent reading
 * of all its decodings, and is split without a byte changed. */
#include <stdlib.h>

#include "hub/access/exapp_meta.h"
#include "hub/access/target.h"

#define REQUIRE(x)                                                                                 \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int digit(char c)
{
    static const char all[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = c ? strchr(all, c) : NULL;
    return at ? (int)((at - all) % 16) : -1;
}

/* One round of decoding into fresh memory. */
static char *decoded(const char *p, size_t n, size_t *out)
{
    char *to = malloc(n + 1);
    *out = 0;
    while (n > 0) {
        if (n >= 3 && *p == '%' && digit(p[1]) >= 0 && digit(p[2]) >= 0) {
            to[(*out)++] = (char)(digit(p[1]) * 16 + digit(p[2]));
            p += 3;
            n -= 3;
        } else {
            to[(*out)++] = *p++;
            n--;
        }
    }
    return to;
}

static bool clean(const char *p, size_t n)
{
    if (memchr(p, '\0', n) || memchr(p, '\\', n)) {
        return false;
    }
    for (const char *end = p + n;; p++) {
        const char *slash = memchr(p, '/', (size_t)(end - p));
        const char *stop = slash ? slash : end;
        if (stop - p >= 2 && p[0] == '.' && p[1] == '.' && (stop - p == 2 || p[2] == ';')) {
            return false;
        }
        if (!slash) {
            return true;
        }
        p = slash;
    }
}

static bool clean_in_all_rounds(const char *p, size_t n)
{
    char *now = malloc(n + 1);
    bool good = true;
    memcpy(now, p, n);
    for (int round = 0; round <= 3 && good; round++) {
        good = clean(now, n);
        char *next = decoded(now, n, &n);
        free(now);
        now = next;
    }
    free(now);
    return good;
}

static void check(const struct target *t, struct str path)
{
    const char *query = memchr(path.p, '?', path.n), *end = path.p + path.n;
    size_t plain = query ? (size_t)(query - path.p) : path.n;
    REQUIRE(clean_in_all_rounds(path.p, plain));
    REQUIRE(path.n > 8 && memcmp(path.p, "/exapps/", 8) == 0);
    REQUIRE(t->appid.p == path.p + 8 && t->appid.n > 0 && t->appid.n <= EXAPP_ID_MAX);
    for (size_t i = 0; i < t->appid.n; i++) {
        char c = t->appid.p[i];
        REQUIRE((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                c == '_' || c == '.' || c == '-');
    }
    const char *behind = t->appid.p + t->appid.n;
    REQUIRE(t->rest.p == behind && t->rest.p + t->rest.n == end);
    REQUIRE(t->bare == (t->rest.n == 0 || *t->rest.p == '?'));
    if (t->bare) {
        REQUIRE(str_eq(t->path, STR("/")));
    } else {
        REQUIRE(*t->rest.p == '/' && t->path.p == behind);
        REQUIRE(t->path.p + t->path.n == path.p + plain);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Twice: as it is, and below a prefix, where most inputs get further. */
    static const char prefix[] = "/exapps/app/";
    for (size_t skip = 0; skip < sizeof(prefix); skip += sizeof(prefix) - 1) {
        char *p = malloc(skip + size + 1);
        memcpy(p, prefix, skip);
        memcpy(p + skip, data, size);
        char *exact = realloc(p, skip + size ? skip + size : 1);
        struct str path = {exact, skip + size};
        struct target t;
        enum target_result got = target_parse(&t, path);
        if (got == TARGET_OK) {
            check(&t, path);
        } else if (skip > 0) {
            const char *query = memchr(path.p, '?', path.n);
            size_t plain = query ? (size_t)(query - path.p) : path.n;
            REQUIRE(got == TARGET_HOSTILE);
            REQUIRE(plain > 8192 || !clean_in_all_rounds(path.p, plain));
        }
        free(exact);
    }
    return 0;
}
