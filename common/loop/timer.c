#include "common/loop/timer.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/loop/loop.h"

static void place(struct timers *h, uint32_t i, struct timer *t)
{
    h->heap[i] = t;
    t->slot = i + 1;
}

static void sift_up(struct timers *h, uint32_t i, struct timer *t)
{
    while (i > 0) {
        uint32_t parent = (i - 1) / 2;
        if (h->heap[parent]->key <= t->key) {
            break;
        }
        place(h, i, h->heap[parent]);
        i = parent;
    }
    place(h, i, t);
}

static void sift_down(struct timers *h, uint32_t i, struct timer *t)
{
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= h->len) {
            break;
        }
        if (child + 1 < h->len && h->heap[child + 1]->key < h->heap[child]->key) {
            child++;
        }
        if (h->heap[child]->key >= t->key) {
            break;
        }
        place(h, i, h->heap[child]);
        i = child;
    }
    place(h, i, t);
}

static void heap_add(struct timers *h, struct timer *t)
{
    if (h->len == h->cap) {
        uint32_t cap = h->cap ? h->cap * 2 : 64;
        struct timer **heap = xmalloc(cap * sizeof(*heap));
        if (h->len > 0) {
            memcpy(heap, h->heap, h->len * sizeof(*heap));
        }
        free(h->heap);
        h->heap = heap;
        h->cap = cap;
    }
    h->len++;
    sift_up(h, h->len - 1, t);
}

static void heap_remove(struct timers *h, struct timer *t)
{
    uint32_t i = t->slot - 1;
    struct timer *last = h->heap[--h->len];
    t->slot = 0;
    if (last == t) {
        return;
    }
    if (i > 0 && h->heap[(i - 1) / 2]->key > last->key) {
        sift_up(h, i, last);
    } else {
        sift_down(h, i, last);
    }
}

static void on_tick(uv_timer_t *tick);

static void arm(struct loop *l)
{
    struct timers *h = &l->timers;
    if (h->len == 0) {
        return;
    }
    uint64_t key = h->heap[0]->key;
    if (h->armed != 0 && h->armed <= key) {
        return;
    }
    uint64_t now = loop_now(l);
    h->armed = key;
    uv_timer_start(&h->tick, on_tick, key > now ? key - now : 0, 0);
}

static void on_tick(uv_timer_t *tick)
{
    struct loop *l = tick->data;
    struct timers *h = &l->timers;
    uint64_t now = loop_now(l);
    h->armed = 0;
    while (h->len > 0 && h->heap[0]->key <= now) {
        struct timer *t = h->heap[0];
        if (t->due > now) { /* was pushed further away meanwhile */
            t->key = t->due;
            sift_down(h, 0, t);
            continue;
        }
        heap_remove(h, t);
        if (t->due != 0) {
            t->due = 0;
            t->fire(t);
        }
    }
    arm(l);
}

void timer_set(struct loop *l, struct timer *t, uint64_t ms)
{
    if (ms == 0) {
        timer_clear(t);
        return;
    }
    uint64_t due = loop_now(l) + ms;
    t->due = due;
    if (t->slot != 0) {
        if (t->key <= due) {
            return;
        }
        heap_remove(&l->timers, t);
    }
    t->key = due;
    heap_add(&l->timers, t);
    arm(l);
}

void timer_remove(struct loop *l, struct timer *t)
{
    t->due = 0;
    if (t->slot != 0) {
        heap_remove(&l->timers, t);
        if (l->timers.len == 0) { /* or the tick would keep the loop running for nothing */
            l->timers.armed = 0;
            uv_timer_stop(&l->timers.tick);
        }
    }
}

int timers_init(struct loop *l)
{
    l->timers.tick.data = l;
    return uv_timer_init(&l->uv, &l->timers.tick);
}

void timers_free(struct loop *l)
{
    free(l->timers.heap);
    l->timers.heap = NULL;
    l->timers.len = l->timers.cap = 0;
}
