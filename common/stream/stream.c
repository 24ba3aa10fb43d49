#include "common/stream/stream.h"

#include <stdio.h>

static void run_task(struct loop_task *task);

void stream_init(struct stream *s, struct loop *l, const struct stream_ops *ops)
{
    s->ops = ops;
    s->loop = l;
    s->id = loop_next_id(l);
    s->task.run = run_task;
}

/* Leaves it to the task to give what is in hold, and an end not told yet. Inside `data` the rest is
 * put in hold only after the call, so that the task must look. */
static void give_later(struct stream *s)
{
    if (s->hold.len > 0 || s->in_data || (s->eof_in && !s->eof_told)) {
        s->redeliver = true;
        loop_defer(s->loop, &s->task);
    }
}

void stream_own(struct stream *s, const struct stream_events *events, void *owner)
{
    s->events = events;
    s->owner = owner;
    s->eof_told = false;
    if (events && !s->paused && !s->dead) {
        give_later(s);
        s->ops->watch(s);
    }
}

/* ---- incoming ---- */

static void tell_eof(struct stream *s)
{
    if (s->eof_in && !s->eof_told && !s->paused && !s->dead && s->events) {
        s->eof_told = true;
        if (s->events->eof) {
            s->events->eof(s->owner, s);
        }
    }
}

/* Calls the owner with p[0..n) and returns what it took; all of it when the stream died. Nobody
 * takes what comes while there is no owner. */
static size_t offer(struct stream *s, const char *p, size_t n)
{
    if (!s->events) {
        return 0;
    }
    s->in_data = true;
    size_t taken = s->events->data ? s->events->data(s->owner, s, p, n) : n;
    s->in_data = false;
    if (s->dead) {
        return n;
    }
    if (taken > 0 && s->ops->taken) {
        s->ops->taken(s, taken);
    }
    return taken;
}

static void hold_append(struct stream *s, const char *p, size_t n)
{
    buf_append(&s->hold, p, n);
    s->loop->held += n;
}

static void offer_hold(struct stream *s)
{
    size_t before = s->hold.len;
    size_t taken = offer(s, buf_head(&s->hold), before);
    if (s->dead) {
        return; /* destroy settled the account; the memory goes with the stream */
    }
    s->loop->held -= taken;
    buf_consume(&s->hold, taken);
}

void stream_deliver(struct stream *s, const char *p, size_t n)
{
    if (s->dead || n == 0) {
        return;
    }
    if (s->hold.len > 0 || s->paused) {
        hold_append(s, p, n);
        if (!s->paused) {
            offer_hold(s);
        }
        return;
    }
    size_t taken = offer(s, p, n);
    if (taken < n) {
        hold_append(s, p + taken, n - taken);
    }
}

void stream_deliver_eof(struct stream *s)
{
    if (s->dead || s->eof_in) {
        return;
    }
    s->eof_in = true;
    if (!s->redeliver) { /* else the task tells it, behind what is in hold */
        tell_eof(s);
    }
}

void stream_pause(struct stream *s)
{
    s->paused = true;
}

void stream_resume(struct stream *s)
{
    if (!s->paused || s->dead) {
        return;
    }
    s->paused = false;
    give_later(s);
    s->ops->watch(s);
}

/* ---- outgoing ---- */

size_t stream_pending(const struct stream *s)
{
    return s->tail.len + (s->ops->pending ? s->ops->pending(s) : 0);
}

void stream_writev(struct stream *s, const struct iovec *iov, int cnt)
{
    if (s->dead || s->failed || s->fin_wanted) {
        return;
    }
    s->ops->write(s, iov, cnt);
    if (stream_pending(s) > 0) {
        s->blocked = true;
    }
}

void stream_write(struct stream *s, const void *p, size_t n)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)p, .iov_len = n};
    if (n > 0) {
        stream_writev(s, &iov, 1);
    }
}

void stream_keep(struct stream *s, const struct iovec *iov, int cnt, size_t sent)
{
    for (int i = 0; i < cnt; i++) {
        if (sent >= iov[i].iov_len) {
            sent -= iov[i].iov_len;
            continue;
        }
        size_t n = iov[i].iov_len - sent;
        buf_append(&s->tail, (const char *)iov[i].iov_base + sent, n);
        s->loop->held += n;
        s->blocked = true; /* also what a kind sends of its own accord: writers wait for it */
        sent = 0;
    }
}

void stream_sent(struct stream *s, size_t n)
{
    s->loop->held -= n;
    buf_consume(&s->tail, n);
}

void stream_progress(struct stream *s)
{
    if (s->dead || s->failed || stream_pending(s) > 0) {
        return;
    }
    if (s->fin_wanted && !s->fin_sent) {
        s->fin_sent = true;
        s->ops->fin(s);
    }
    if (s->blocked && stream_pending(s) == 0) { /* the FIN itself may have to wait (TLS) */
        s->blocked = false;
        s->drained = true;
        loop_defer(s->loop, &s->task);
    }
}

void stream_shutdown(struct stream *s)
{
    if (!s->dead && !s->fin_wanted) {
        s->fin_wanted = true;
        stream_progress(s);
    }
}

/* ---- ends ---- */

void stream_fail(struct stream *s, const char *why)
{
    if (!s->dead && !s->failed) {
        s->failed = why;
        loop_defer(s->loop, &s->task);
    }
}

static void destroy(struct stream *s, bool abort)
{
    if (!s->dead) {
        s->dead = true;
        s->loop->held -= s->hold.len + s->tail.len;
        s->hold.len = s->tail.len = 0;
        loop_cancel(&s->task);
        s->ops->destroy(s, abort);
    }
}

void stream_close(struct stream *s)
{
    destroy(s, false);
}

void stream_abort(struct stream *s)
{
    destroy(s, true);
}

void stream_release(struct stream *s)
{
    buf_free(&s->hold);
    buf_free(&s->tail);
}

static void run_task(struct loop_task *task)
{
    struct stream *s = CONTAINER_OF(task, struct stream, task);
    if (s->drained) {
        s->drained = false;
        if (s->events && s->events->drained && stream_pending(s) == 0) {
            s->events->drained(s->owner, s);
        }
        if (s->dead) {
            return;
        }
    }
    if (s->redeliver) {
        s->redeliver = false;
        if (!s->paused && s->hold.len > 0) {
            offer_hold(s);
        }
        tell_eof(s);
        if (s->dead) {
            return;
        }
        s->ops->watch(s);
    }
    if (s->failed) {
        const struct stream_events *events = s->events;
        void *owner = s->owner;
        const char *why = s->failed;
        if (events && events->closed) {
            /* The stream's memory outlives the callback: destroy frees it later in the turn. */
            destroy(s, true);
            events->closed(owner, s, why);
        } else {
            destroy(s, true);
        }
    }
}
