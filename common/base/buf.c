#include "common/base/buf.h"

#include <stdio.h>
#include <stdlib.h>

static void out_of_memory(size_t n)
{
    fprintf(stderr, "out of memory: could not get %zu bytes\n", n);
    abort();
}

void *xmalloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p) {
        out_of_memory(n);
    }
    return p;
}

void *xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    if (!p) {
        out_of_memory(n * size);
    }
    return p;
}

char *xstrndup(const char *p, size_t n)
{
    char *copy = xmalloc(n + 1);
    if (n > 0) {
        memcpy(copy, p, n);
    }
    copy[n] = '\0';
    return copy;
}

char *buf_reserve(struct buf *b, size_t n)
{
    if ((size_t)b->cap - b->off - b->len >= n) {
        return b->p + b->off + b->len;
    }
    if (b->off > 0 && (size_t)b->cap - b->len >= n) {
        memmove(b->p, b->p + b->off, b->len);
        b->off = 0;
        return b->p + b->len;
    }
    size_t want = (size_t)b->len + n;
    if (want > UINT32_MAX / 2) {
        out_of_memory(want);
    }
    /* The first allocation is exact, as most queues are filled once; a queue that grows doubles. */
    size_t cap = b->cap ? MAX(want, (size_t)b->cap * 2) : want;
    char *p = xmalloc(cap);
    if (b->len > 0) {
        memcpy(p, b->p + b->off, b->len);
    }
    free(b->p);
    b->p = p;
    b->off = 0;
    b->cap = (uint32_t)cap;
    return p + b->len;
}

void buf_added(struct buf *b, size_t n)
{
    b->len += (uint32_t)n;
}

void buf_append(struct buf *b, const void *p, size_t n)
{
    if (n > 0) {
        memcpy(buf_reserve(b, n), p, n);
        b->len += (uint32_t)n;
    }
}

void buf_consume(struct buf *b, size_t n)
{
    buf_consume_keep(b, n);
    if (b->len == 0) {
        buf_free(b);
    }
}

void buf_consume_keep(struct buf *b, size_t n)
{
    b->off += (uint32_t)n;
    b->len -= (uint32_t)n;
    if (b->len == 0) {
        b->off = 0;
    }
}

void buf_free(struct buf *b)
{
    free(b->p);
    *b = (struct buf){0};
}
