#include <stdlib.h>

#include "common/frp/yamux_impl.h"

static struct ystream *of(struct stream *s)
{
    return CONTAINER_OF(s, struct ystream, s);
}

/* ---- outgoing ---- */

static void block(struct ystream *st)
{
    if (!st->blocked.next) {
        struct yamux_link *ring = &st->y->blocked;
        st->blocked.prev = ring->prev;
        st->blocked.next = ring;
        ring->prev->next = &st->blocked;
        ring->prev = &st->blocked;
    }
}

void yamux_unblock(struct ystream *st)
{
    if (st->blocked.next) {
        st->blocked.prev->next = st->blocked.next;
        st->blocked.next->prev = st->blocked.prev;
        st->blocked.next = st->blocked.prev = NULL;
    }
}

/* Queues frames for p[0..n) as far as windows allow; returns how much. */
static size_t send_some(struct ystream *st, const char *p, size_t n)
{
    size_t sent = 0;
    while (sent < n && st->send_window > 0 && yamux_has_room(st->y)) {
        uint32_t k = (uint32_t)MIN(n - sent, MIN(st->send_window, (uint32_t)YAMUX_MAX_FRAME));
        st->send_window -= k;
        st->moved = true;
        yamux_send_data(st->y, st->id, p + sent, k);
        sent += k;
    }
    return sent;
}

static void ystream_write(struct stream *s, const struct iovec *iov, int cnt)
{
    struct ystream *st = of(s);
    size_t sent = 0;
    if (!st->y) {
        return;
    }
    if (s->tail.len == 0) {
        /* Small pieces (a head, a chunk line, a short body) share a frame. */
        char one[4096];
        size_t n = 0, total = 0;
        for (int i = 0; i < cnt; i++) {
            total += iov[i].iov_len;
        }
        if (cnt > 1 && total <= sizeof(one)) {
            for (int i = 0; i < cnt; i++) {
                memcpy(one + n, iov[i].iov_base, iov[i].iov_len);
                n += iov[i].iov_len;
            }
            sent = send_some(st, one, n);
        } else {
            for (int i = 0; i < cnt; i++) {
                size_t k = send_some(st, iov[i].iov_base, iov[i].iov_len);
                sent += k;
                if (k < iov[i].iov_len) {
                    break;
                }
            }
        }
    }
    stream_keep(s, iov, cnt, sent);
    if (s->tail.len > 0 && st->send_window > 0) {
        block(st);
    }
}

void yamux_stream_flush(struct ystream *st, uint32_t max)
{
    struct stream *s = &st->s;
    if (s->tail.len > 0) {
        size_t n = send_some(st, buf_head(&s->tail), MIN(s->tail.len, max));
        stream_sent(s, n);
        if (s->tail.len > 0 && st->send_window > 0) {
            block(st);
        }
    }
    stream_progress(s);
}

static void ystream_fin(struct stream *s)
{
    struct ystream *st = of(s);
    if (st->y) {
        yamux_send(st->y, YAMUX_WINDOW, YAMUX_FIN, st->id, 0);
    }
}

/* ---- incoming ---- */

/* Books n more bytes (or less, negative) that wait for the stream's owner. */
static void book(struct ystream *st, ssize_t n)
{
    struct yamux *y = st->y;
    st->held += (uint32_t)n;
    if (y) {
        y->held += (size_t)n;
        if (y->limits.held_total) {
            *y->limits.held_total += (size_t)n;
        }
    }
}

static bool may_hold(const struct yamux *y, size_t n)
{
    const struct yamux_limits *l = &y->limits;
    return y->held + n <= l->max_held &&
           (!l->held_total || *l->held_total + n <= l->max_held_total);
}

/* The owner took n bytes: once half the window is used up, open it again, and wider if the owner
 * keeps up and the session has budget. */
static void ystream_taken(struct stream *s, size_t n)
{
    struct ystream *st = of(s);
    if (!st->y) {
        return;
    }
    if (s->hold.len > 0) {
        book(st, -(ssize_t)n);
    }
    if (s->eof_in) {
        return;
    }
    st->credit += (uint32_t)n;
    if (st->credit < st->window / 2) {
        return;
    }
    struct yamux *y = st->y;
    uint32_t more = 0;
    if (st->held == 0 && st->window < y->limits.max_window) {
        more = MIN(st->window, y->limits.max_window - st->window);
        if (y->grown + more > y->limits.max_held / 2) {
            more = 0;
        }
    }
    uint32_t delta = st->credit + more;
    y->grown += more;
    st->window += more;
    st->recv_window += delta;
    st->credit = 0;
    yamux_send(y, YAMUX_WINDOW, 0, st->id, delta);
}

/* Ends one stream on our side: the peer gets a reset, the owner (if there is one yet) hears why. */
static void give_up(struct ystream *st, const char *why)
{
    struct yamux *y = st->y;
    yamux_send(y, YAMUX_WINDOW, YAMUX_RST, st->id, 0);
    yamux_table_remove(y, st);
    yamux_stream_orphan(st, why);
}

static const char too_much[] = "the tunnel holds too much for clients that do not read";

void yamux_stream_receive(struct ystream *st, const char *p, uint32_t n)
{
    struct stream *s = &st->s;
    struct yamux *y = st->y;
    st->moved = true;
    if (st->deaf) {
        give_up(st, NULL);
        return;
    }
    if (st->lingers) {
        return; /* nobody wants it; the window is not opened again, so little more can come */
    }
    bool queued = s->hold.len > 0 || s->paused;
    if (queued) {
        if (!may_hold(y, n)) {
            give_up(st, too_much);
            return;
        }
        book(st, (ssize_t)n);
    }
    stream_deliver(s, p, n);
    if (!queued && st->y && !s->dead && s->hold.len > 0) {
        book(st, (ssize_t)s->hold.len);
        if (!may_hold(y, 0)) {
            give_up(st, too_much);
        }
    }
}

static void ystream_watch(struct stream *s UNUSED)
{
    /* Nothing is watched: the session delivers what comes, and the window is the brake. */
}

/* ---- life ---- */

/* Leaves the session's books. */
static void leave(struct ystream *st)
{
    struct yamux *y = st->y;
    yamux_unblock(st);
    timer_remove(y->loop, &st->linger);
    book(st, -(ssize_t)st->held);
    y->grown -= st->window - YAMUX_INITIAL_WINDOW;
    st->y = NULL;
}

static void run_free(struct loop_task *task)
{
    struct ystream *st = CONTAINER_OF(task, struct ystream, release);
    stream_release(&st->s);
    free(st);
}

static void free_later(struct ystream *st)
{
    st->release.run = run_free;
    loop_defer(st->s.loop, &st->release);
}

void yamux_stream_orphan(struct ystream *st, const char *why)
{
    leave(st);
    if (st->lingers) {
        free_later(st);
    } else {
        stream_fail(&st->s, why);
    }
}

void yamux_stream_reset(struct ystream *st)
{
    yamux_table_remove(st->y, st);
    yamux_stream_orphan(st, "reset by the other end of the tunnel");
}

void yamux_stream_eof(struct ystream *st)
{
    if (st->lingers) {
        yamux_table_remove(st->y, st);
        yamux_stream_orphan(st, NULL);
    } else {
        stream_deliver_eof(&st->s);
    }
}

static void linger_fire(struct timer *t)
{
    give_up(CONTAINER_OF(t, struct ystream, linger), NULL);
}

static void run_forget(struct loop_task *task)
{
    stream_release(&CONTAINER_OF(task, struct ystream, release)->s);
}

static void ystream_destroy(struct stream *s, bool abort)
{
    struct ystream *st = of(s);
    struct yamux *y = st->y;
    if (!y) {
        free_later(st);
        return;
    }
    if (!s->fin_sent && !s->blocked && st->held == 0 && !abort) {
        /* All is sent and read: as with a socket this is a plain end, and only what comes for the
         * stream from now on is answered by a reset. */
        s->fin_sent = true;
        st->deaf = !s->eof_in;
        ystream_fin(s);
    }
    if (s->fin_sent && !s->eof_in && !abort) {
        /* Both sides know that we are done; a reset now could cost the peer what it has not read
         * yet. Its FIN, or the time limit, ends the stream. What is held goes at once. */
        book(st, -(ssize_t)st->held);
        st->lingers = true;
        st->linger.fire = linger_fire;
        timer_set(y->loop, &st->linger, y->limits.close_wait);
        st->release.run = run_forget;
        loop_defer(y->loop, &st->release);
        return;
    }
    bool over = s->fin_sent && s->eof_in;
    uint32_t id = st->id;
    yamux_table_remove(y, st);
    leave(st);
    free_later(st);
    if (!over) {
        yamux_send(y, YAMUX_WINDOW, YAMUX_RST, id, 0);
    }
}

static const struct stream_ops ystream_ops = {
    .write = ystream_write,
    .fin = ystream_fin,
    .watch = ystream_watch,
    .taken = ystream_taken,
    .destroy = ystream_destroy,
};

struct ystream *yamux_stream_new(struct yamux *y, uint32_t id)
{
    struct ystream *st = xcalloc(1, sizeof(*st));
    stream_init(&st->s, y->loop, &ystream_ops);
    st->y = y;
    st->id = id;
    st->send_window = st->recv_window = st->window = YAMUX_INITIAL_WINDOW;
    yamux_table_add(y, st);
    return st;
}

struct yamux *yamux_of(struct stream *s)
{
    return s->ops == &ystream_ops ? of(s)->y : NULL;
}
