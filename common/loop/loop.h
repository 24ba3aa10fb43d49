/* loop.h - one event loop: libuv for readiness, and what all connections of a loop share.
 *
 * A `struct loop` owns the libuv loop, the timers (timer.h), the tasks put off to the end of the
 * turn, and the read buffers. It is created once by main and handed around by pointer; nothing in
 * it is global, so that a process can have several.
 *
 * The turn: libuv calls the callbacks of ready descriptors and due timers; after each batch the
 * deferred tasks run. Memory of a connection that ended is freed by such a task, or by libuv's close
 * callback, and so never under the feet of a caller.
 */
#ifndef HARP_LOOP_LOOP_H
#define HARP_LOOP_LOOP_H

#include <uv.h>

#include "common/base/base.h"
#include "common/loop/timer.h"

struct log;

enum {
    /* What one read takes from a socket at most. 16 KiB reads cost twice as much CPU per GiB. */
    LOOP_READ_SIZE = 256 * 1024,
    /* While held bytes are over the soft limit, reads are this small, so that many stalled peers
     * cost little memory each. */
    LOOP_READ_SIZE_TIGHT = 16 * 1024,
    /* Room for one read's worth of plaintext with what TLS adds to each 16 KiB record. */
    LOOP_SEALED_SIZE = LOOP_READ_SIZE + 64 * 1024,
};

/* Something to be done at the end of the turn. Embedded in its owner, which must cancel it or stay
 * alive until it ran. */
struct loop_task {
    struct loop_task *prev, *next; /* next == NULL: not queued */
    void (*run)(struct loop_task *);
};

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_check_t check;
    struct loop_task tasks; /* head of a ring */
    struct timers timers;
    struct log *log;
    char *plain;      /* LOOP_READ_SIZE: bytes read, shared by all streams, valid in a callback */
    char *cipher;     /* LOOP_READ_SIZE: the same for what TLS has not decrypted yet */
    char *sealed;     /* LOOP_SEALED_SIZE: what TLS encrypted, on its way to send() */
    size_t held;      /* bytes that all streams hold in their queues */
    size_t held_soft; /* over this, reads are tight */
    uint64_t last_id; /* connection ids, from 1 */
};

/* Returns 0, or -1 with a message on stderr. */
int loop_init(struct loop *l, struct log *log) MUST_CHECK;
/* Runs until loop_stop, or until nothing is left to wait for. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* Closes every handle that is still open and frees what the loop owns. */
void loop_free(struct loop *l);

/* Milliseconds of a clock that never jumps, as of the start of this turn. */
static inline uint64_t loop_now(const struct loop *l)
{
    return uv_now(&l->uv);
}

static inline uint64_t loop_next_id(struct loop *l)
{
    return ++l->last_id;
}

static inline size_t loop_read_size(const struct loop *l)
{
    return l->held > l->held_soft ? LOOP_READ_SIZE_TIGHT : LOOP_READ_SIZE;
}

/* Runs task->run(task) before the loop sleeps again. Deferring a queued task is harmless. */
void loop_defer(struct loop *l, struct loop_task *task);
void loop_cancel(struct loop_task *task);

#endif
