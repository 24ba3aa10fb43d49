/* timer.h - deadlines of connections, in milliseconds.
 *
 * A binary heap over one libuv timer. Pushing a deadline further away, which every request does
 * several times, is one store: the heap entry keeps its place and is put right when it comes up.
 * A `struct timer` is embedded in its owner, who stops it before it is freed.
 */
#ifndef HARP_LOOP_TIMER_H
#define HARP_LOOP_TIMER_H

#include <uv.h>

#include "common/base/base.h"

struct loop;

struct timer {
    uint64_t due;  /* 0: stopped */
    uint64_t key;  /* place in the heap; <= due */
    uint32_t slot; /* index in the heap + 1; 0: not in the heap */
    void (*fire)(struct timer *);
};

struct timers {
    uv_timer_t tick;
    uint64_t armed; /* when tick fires; 0: not */
    struct timer **heap;
    uint32_t len, cap;
};

/* Fires once, `ms` from now; replaces an earlier deadline. ms 0 stops the timer ("no limit"). */
void timer_set(struct loop *l, struct timer *t, uint64_t ms);
/* Never fires again until set. Cheap: the heap entry stays until it comes up. */
static inline void timer_clear(struct timer *t)
{
    t->due = 0;
}
/* As timer_clear, and takes it out of the heap: before its memory goes. */
void timer_remove(struct loop *l, struct timer *t);

/* For the loop. */
int timers_init(struct loop *l) MUST_CHECK;
void timers_free(struct loop *l);

#endif
