#include "tests/unit/memory_stream.h"

#include <stdio.h>
#include <stdlib.h>

struct memory {
    struct stream s; /* first */
    uv_idle_t turn;  /* runs while there is something to do */
    struct memory *peer;
    struct buf in; /* on its way to this end */
    size_t capacity, slice;
    uint64_t sent;
    const char *farewell;
    bool in_fin, in_broken, fin_due;
};

static struct memory *of(const struct stream *s)
{
    return CONTAINER_OF(s, struct memory, s);
}

static void on_turn(uv_idle_t *h);

static void wake(struct memory *m)
{
    if (m && !m->s.dead) {
        uv_idle_start(&m->turn, on_turn);
    }
}

static size_t room(const struct memory *m)
{
    if (!m->peer) {
        return 0;
    }
    return m->capacity > m->peer->in.len ? m->capacity - m->peer->in.len : 0;
}

/* Puts up to n bytes under way. */
static size_t put(struct memory *m, const char *p, size_t n)
{
    size_t k = MIN(n, room(m));
    if (k > 0) {
        buf_append(&m->peer->in, p, k);
        m->sent += k;
        wake(m->peer);
    }
    return k;
}

static void memory_write(struct stream *s, const struct iovec *iov, int cnt)
{
    struct memory *m = of(s);
    size_t sent = 0;
    if (!m->peer) {
        stream_fail(s, "the other end of the memory is gone");
        return;
    }
    if (s->tail.len == 0) {
        for (int i = 0; i < cnt; i++) {
            size_t k = put(m, iov[i].iov_base, iov[i].iov_len);
            sent += k;
            if (k < iov[i].iov_len) {
                break;
            }
        }
    }
    stream_keep(s, iov, cnt, sent);
}

static void send_fin(struct memory *m)
{
    if (m->peer) {
        m->peer->in_fin = true;
        wake(m->peer);
    }
}

static void refill(struct memory *m)
{
    if (!m->s.dead && m->s.tail.len > 0) {
        size_t k = put(m, buf_head(&m->s.tail), m->s.tail.len);
        stream_sent(&m->s, k);
        if (m->s.tail.len == 0 && m->fin_due) {
            m->fin_due = false;
            send_fin(m);
        }
        stream_progress(&m->s);
    }
}

static void on_turn(uv_idle_t *h)
{
    struct memory *m = h->data;
    struct stream *s = &m->s;
    uv_idle_stop(h);
    refill(m);
    if (!s->paused && m->in.len > 0) {
        size_t n = m->slice ? MIN(m->slice, m->in.len) : m->in.len;
        char *p = xmalloc(n);
        memcpy(p, buf_head(&m->in), n);
        buf_consume(&m->in, n);
        stream_deliver(s, p, n);
        free(p);
        if (m->peer && m->peer->s.tail.len > 0) {
            wake(m->peer);
        }
    }
    if (s->dead) {
        return;
    }
    if (m->in_broken) {
        stream_fail(s, "the other end of the memory broke");
    } else if (!s->paused && m->in.len == 0 && m->in_fin && !s->eof_in) {
        stream_deliver_eof(s);
    } else if (!s->paused && m->in.len > 0) {
        wake(m);
    }
}

static void memory_fin(struct stream *s)
{
    struct memory *m = of(s);
    if (m->farewell && m->peer) {
        struct iovec iov = {.iov_base = (void *)(uintptr_t)m->farewell,
                            .iov_len = strlen(m->farewell)};
        memory_write(s, &iov, 1);
    }
    if (s->tail.len > 0) {
        m->fin_due = true;
    } else {
        send_fin(m);
    }
}

static void memory_watch(struct stream *s)
{
    struct memory *m = of(s);
    if (!s->paused && (m->in.len > 0 || (m->in_fin && !s->eof_in))) {
        wake(m);
    }
}

static void on_closed(uv_handle_t *h)
{
    struct memory *m = h->data;
    stream_release(&m->s);
    buf_free(&m->in);
    free(m);
}

static void memory_destroy(struct stream *s, bool abort)
{
    struct memory *m = of(s);
    if (m->peer) {
        m->peer->in_fin = true;
        m->peer->in_broken = abort;
        m->peer->peer = NULL;
        wake(m->peer);
    }
    uv_close((uv_handle_t *)&m->turn, on_closed);
}

static const struct stream_ops memory_ops = {
    .write = memory_write,
    .fin = memory_fin,
    .watch = memory_watch,
    .destroy = memory_destroy,
};

void memory_pair(struct loop *l, size_t capacity, struct stream *ends[2])
{
    struct memory *m[2];
    for (int i = 0; i < 2; i++) {
        m[i] = xcalloc(1, sizeof(*m[i]));
        stream_init(&m[i]->s, l, &memory_ops);
        m[i]->capacity = capacity;
        m[i]->turn.data = m[i];
        uv_idle_init(&l->uv, &m[i]->turn);
        ends[i] = &m[i]->s;
    }
    m[0]->peer = m[1];
    m[1]->peer = m[0];
}

void memory_set_capacity(struct stream *s, size_t capacity)
{
    of(s)->capacity = capacity;
    wake(of(s));
}

void memory_set_slice(struct stream *s, size_t n)
{
    of(s)->slice = n;
}

void memory_set_farewell(struct stream *s, const char *text)
{
    of(s)->farewell = text;
}

uint64_t memory_sent(const struct stream *s)
{
    return of(s)->sent;
}

/* ---- the witness ---- */

static void witness_ready(void *owner, struct stream *s UNUSED)
{
    struct witness *w = owner;
    w->ready++;
}

static size_t witness_data(void *owner, struct stream *s, const char *p, size_t n)
{
    struct witness *w = owner;
    size_t k = MIN(n, w->take);
    w->calls++;
    w->late |= w->eof > 0 || w->closed > 0;
    w->bytes += k;
    if (!w->forget) {
        buf_append(&w->got, p, k);
    }
    if (w->take != SIZE_MAX) {
        w->take -= k;
    }
    if (k < n && w->pauses) {
        stream_pause(s);
    }
    return k;
}

static void witness_eof(void *owner, struct stream *s UNUSED)
{
    struct witness *w = owner;
    w->late |= w->eof > 0 || w->closed > 0;
    w->eof++;
}

static void witness_drained(void *owner, struct stream *s UNUSED)
{
    struct witness *w = owner;
    w->drained++;
}

static void witness_closed(void *owner, struct stream *s UNUSED, const char *why)
{
    struct witness *w = owner;
    w->s = NULL;
    w->closed++;
    snprintf(w->why, sizeof(w->why), "%s", why);
}

static const struct stream_events witness_events = {
    .ready = witness_ready,
    .data = witness_data,
    .eof = witness_eof,
    .drained = witness_drained,
    .closed = witness_closed,
};

void witness_own(struct witness *w, struct stream *s)
{
    *w = (struct witness){.s = s, .take = SIZE_MAX};
    stream_own(s, &witness_events, w);
}

void witness_take(struct witness *w, size_t more)
{
    w->take = more > SIZE_MAX - w->take ? SIZE_MAX : w->take + more;
    if (w->s) {
        stream_resume(w->s);
    }
}

void witness_end(struct witness *w)
{
    if (w->s) {
        stream_close(w->s);
        w->s = NULL;
    }
    buf_free(&w->got);
}

/* ---- running the loop ---- */

static void on_limit(uv_timer_t *t)
{
    *(bool *)t->data = true;
    uv_stop(t->loop); /* or the turn would go on to wait for descriptors */
}

static void on_limit_closed(uv_handle_t *h)
{
    free(h);
}

static bool is_set(void *arg)
{
    return *(const unsigned *)arg > 0;
}

static bool count_turns(void *arg)
{
    ++*(unsigned *)arg;
    return false;
}

bool loop_until(struct loop *l, bool (*cond)(void *), void *arg, unsigned ms)
{
    bool over = false;
    uv_timer_t *limit = xcalloc(1, sizeof(*limit));
    uv_update_time(&l->uv);
    uv_timer_init(&l->uv, limit);
    limit->data = &over;
    uv_timer_start(limit, on_limit, ms, 0);
    while (!cond(arg) && !over) {
        uv_run(&l->uv, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)limit, on_limit_closed);
    uv_run(&l->uv, UV_RUN_NOWAIT);
    return cond(arg);
}

bool loop_until_set(struct loop *l, const unsigned *flag, unsigned ms)
{
    return loop_until(l, is_set, (void *)(uintptr_t)flag, ms);
}

unsigned loop_for(struct loop *l, unsigned ms)
{
    unsigned turns = 0;
    bool reached UNUSED = loop_until(l, count_turns, &turns, ms);
    return turns;
}

static void on_alive(uv_timer_t *t UNUSED)
{
}

static void look(uv_handle_t *h, void *busy)
{
    if (h->type == UV_IDLE && uv_is_active(h)) {
        *(bool *)busy = true;
    }
}

static bool at_rest(struct loop *l)
{
    bool busy = l->tasks.next != &l->tasks;
    if (!busy) {
        uv_walk(&l->uv, look, &busy);
    }
    return !busy;
}

void loop_settle(struct loop *l)
{
    /* libuv runs no turn at all when nothing is left to wait for: this timer is. */
    uv_timer_t *alive = xcalloc(1, sizeof(*alive));
    int turns = 0;
    uv_timer_init(&l->uv, alive);
    uv_timer_start(alive, on_alive, 3600 * 1000, 0);
    do {
        uv_run(&l->uv, UV_RUN_NOWAIT);
        if (++turns > 1000000) {
            fprintf(stderr, "the loop does not come to rest\n");
            abort();
        }
    } while (!at_rest(l));
    uv_close((uv_handle_t *)alive, on_limit_closed);
    uv_run(&l->uv, UV_RUN_NOWAIT);
}
