/* writer.h - puts slices one behind the other into memory of the caller's, until it is full; then it only
 * remembers that. Owns nothing.
 */
#ifndef HARP_BASE_WRITER_H
#define HARP_BASE_WRITER_H

#include "common/base/base.h"

struct writer {
    char *p, *end;
    bool full;
};

static inline void writer_put(struct writer *w, struct str s)
{
    if ((size_t)(w->end - w->p) < s.n) {
        w->full = true;
        return;
    }
    if (s.n > 0) {
        memcpy(w->p, s.p, s.n);
        w->p += s.n;
    }
}

/* Bytes written since `start`; 0: not all had room. */
static inline size_t writer_end(const struct writer *w, const char *start)
{
    return w->full ? 0 : (size_t)(w->p - start);
}

#endif
