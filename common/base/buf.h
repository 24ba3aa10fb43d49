/* buf.h - a byte queue in one piece of memory: bytes go in at the end and leave at the front.
 *
 * Owned by the struct it is embedded in. An all-zero `struct buf` is an empty queue that owns
 * nothing; buf_free makes it that again. Memory is given back as soon as the queue is empty, so an
 * idle connection holds none. Sizes are bytes. Running out of memory ends the process with a
 * message: there is no smaller thing left to do by then.
 */
#ifndef HARP_BASE_BUF_H
#define HARP_BASE_BUF_H

#include "common/base/base.h"

struct buf {
    char *p;      /* the allocation, or NULL */
    uint32_t off; /* first byte still queued */
    uint32_t len; /* queued bytes */
    uint32_t cap; /* size of the allocation */
};

static inline char *buf_head(const struct buf *b)
{
    return b->p + b->off;
}

/* Queues n bytes. p must not point into the queue itself. */
void buf_append(struct buf *b, const void *p, size_t n);
/* Makes room for n bytes behind the queued ones and returns where to write them; buf_added(b, k)
 * with k <= n then queues what was written. */
char *buf_reserve(struct buf *b, size_t n);
void buf_added(struct buf *b, size_t n);
/* Drops n <= len bytes from the front; frees the memory when nothing is left. */
void buf_consume(struct buf *b, size_t n);
/* As buf_consume, but keeps the memory for the next use (for a queue that fills all the time). */
void buf_consume_keep(struct buf *b, size_t n);
void buf_free(struct buf *b);

/* malloc, calloc and strdup that never return NULL: they end the process with a message instead. */
void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
char *xstrndup(const char *p, size_t n);

#endif
