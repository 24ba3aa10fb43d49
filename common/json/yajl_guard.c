#include "common/json/yajl_guard.h"

#include "common/base/buf.h"
#include "common/config/utf8.h"
#include "common/crypto/secret.h"

#include <stdlib.h>

/* ---- memory ---- */

union block {
    size_t n;
    max_align_t align;
};

static void *wiping_malloc(void *ctx, size_t n)
{
    union block *b = xmalloc(sizeof(*b) + n);

    (void)ctx;
    b->n = n;
    return b + 1;
}

void wiping_free(void *ctx, void *p)
{
    union block *b = p;

    (void)ctx;
    if (!b)
        return;
    b--;
    secret_wipe(b + 1, b->n);
    free(b);
}

void *wiping_realloc(void *ctx, void *p, size_t n)
{
    void *to = wiping_malloc(ctx, n);

    if (p) {
        memcpy(to, p, MIN(n, ((union block *)p)[-1].n));
        wiping_free(ctx, p);
    }
    return to;
}

const yajl_alloc_funcs yajl_wiping = {wiping_malloc, wiping_realloc, wiping_free, NULL};

/* ---- what yajl lets pass ---- */

static bool hex4(const char *p, size_t n, unsigned *out)
{
    unsigned v = 0;

    if (n < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)p[i];
        unsigned digit;

        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            digit = (c | 32u) - 'a' + 10;
        else
            return false;
        v = v << 4 | digit;
    }
    *out = v;
    return true;
}

/* Length of the escape at p (which begins with a backslash), 0 if its \u is wrong. */
static size_t escape_len(const char *p, size_t n)
{
    unsigned a, b;

    if (n < 2 || p[1] != 'u')
        return MIN(n, (size_t)2);
    if (!hex4(p + 2, n - 2, &a) || (a >= 0xdc00 && a <= 0xdfff))
        return 0;
    if (a < 0xd800 || a > 0xdbff)
        return 6;
    if (n < 12 || p[6] != '\\' || p[7] != 'u' || !hex4(p + 8, n - 8, &b) || b < 0xdc00 ||
        b > 0xdfff)
        return 0;
    return 12;
}

size_t yajl_character(const char *p, size_t n, const char **why)
{
    uint32_t cp;
    size_t len;

    if (*p == '\\') {
        len = escape_len(p, n);
        if (len == 0)
            *why = "wrong \\u escape";
    } else {
        len = utf8_decode((struct str){p, n}, &cp);
        if (len == 0)
            *why = "invalid UTF-8";
    }
    return len;
}
