#include <stdlib.h>

#include "common/log/log.h"
#include "hub/tunnel/tunnel_impl.h"

enum { READY_SPARE = 10 }; /* work connections kept over the pool's size; more are closed */

/* A work connection that waits for a request. */
struct ready_conn {
    struct tunnel_link link;
    struct tunnel *tunnel;
    struct stream *s;
};

/* A request that waits for a work connection. */
struct tunnel_wait {
    struct tunnel_link link;
    struct tunnel *tunnel;
    struct tunnel_origin origin;
    struct timer timer;
    tunnel_done *done;
    void *owner;
};

void tunnel_work_init(struct tunnel *t)
{
    tunnel_link_init(&t->ready);
    tunnel_link_init(&t->waits);
}

void tunnel_work_ask(struct tunnel *t, unsigned n)
{
    struct frp_msg m = {.type = FRP_REQ_WORK_CONN};
    for (; n > 0 && !t->dead; n--) {
        t->asked++;
        tunnel_send(t, &m);
    }
}

/* ---- ready ones ---- */

static void forget_ready(struct ready_conn *r)
{
    tunnel_link_remove(&r->link);
    r->tunnel->ready_n--;
    free(r);
}

static void drop_ready(struct ready_conn *r)
{
    stream_close(r->s);
    forget_ready(r);
}

static size_t ready_data(void *owner, struct stream *s UNUSED, const char *p UNUSED, size_t n)
{
    drop_ready(owner); /* nothing may come before StartWorkConn */
    return n;
}

static void ready_eof(void *owner, struct stream *s UNUSED)
{
    drop_ready(owner);
}

static void ready_closed(void *owner, struct stream *s UNUSED, const char *why UNUSED)
{
    forget_ready(owner);
}

static const struct stream_events ready_events = {
    .data = ready_data,
    .eof = ready_eof,
    .closed = ready_closed,
};

/* ---- giving one out ---- */

/* Tells the other end that the connection is in use now, and for whom. */
static void start(struct tunnel *t, struct stream *s, const struct tunnel_origin *o)
{
    char src[IP_TEXT_MAX], dst[IP_TEXT_MAX];
    struct frp_msg m = {.type = FRP_START_WORK_CONN};
    m.u.start_work_conn.proxy_name = str_of(t->name);
    m.u.start_work_conn.src_addr = str_of(ip_format(&o->src, src));
    m.u.start_work_conn.dst_addr = str_of(ip_format(&o->dst, dst));
    m.u.start_work_conn.src_port = o->src_port;
    m.u.start_work_conn.dst_port = o->dst_port;
    stream_send_msg(s, &m);
}

static void end_wait(struct tunnel_wait *w, struct stream *s, bool timed_out, const char *why)
{
    tunnel_done *done = w->done;
    void *owner = w->owner;
    tunnel_link_remove(&w->link);
    timer_remove(&w->tunnel->ts->hub->loop, &w->timer);
    free(w);
    done(owner, s, timed_out, why);
}

static void wait_fire(struct timer *timer)
{
    struct tunnel_wait *w = CONTAINER_OF(timer, struct tunnel_wait, timer);
    log_info(w->tunnel->ts->hub->log, "tunnel", w->tunnel->id,
             "the client of %s gave no work connection in time", w->tunnel->name);
    end_wait(w, NULL, true, "the tunnel's client gave no work connection in time");
}

void tunnel_work_came(struct tunnels *ts, struct tunnel_conn *c, struct stream *s,
                      const struct frp_new_work_conn *m)
{
    struct tunnel *t = tunnel_by_run_id(ts, m->run_id);
    /* On a yamux session only its own login's streams are taken. */
    if (!t || t->mux != c->mux) {
        log_info(ts->hub->log, "tunnel", c->id, "work connection of an unknown session closed");
        stream_close(s);
        return;
    }
    /* With tcpMux off it comes on a connection of its own: the run_id alone must not be enough. */
    if (strcmp(t->who.certificate, tunnel_conn_cert(c)->name) != 0) {
        tunnel_failure(ts, &c->addr,
                       "a tunnel's work connection with another certificate than its session");
        log_warning(ts->hub->log, "tunnel", c->id,
                    "work connection closed: its certificate is not the one of session #%llu",
                    (unsigned long long)t->id);
        stream_close(s);
        return;
    }
    t->asked -= t->asked > 0;
    if (t->waits.next != &t->waits) {
        struct tunnel_wait *w = CONTAINER_OF(t->waits.next, struct tunnel_wait, link);
        stream_own(s, NULL, NULL);
        start(t, s, &w->origin);
        end_wait(w, s, false, NULL);
        return;
    }
    if (t->ready_n >= t->pool + READY_SPARE) {
        stream_close(s);
        return;
    }
    struct ready_conn *r = xcalloc(1, sizeof(*r));
    r->tunnel = t;
    r->s = s;
    t->ready_n++;
    tunnel_link_add(&t->ready, &r->link);
    stream_own(s, &ready_events, r);
    log_debug(ts->hub->log, "tunnel", t->id, "work connection of %s kept ready: %u, its pool is %u",
              t->name, t->ready_n, t->pool);
}

struct stream *tunnel_take(struct tunnel *t, const struct tunnel_origin *origin, tunnel_done *done,
                           void *owner, struct tunnel_wait **wait, const char **why)
{
    struct tunnels *ts = t->ts;
    *wait = NULL;
    if (t->ready.next != &t->ready) {
        struct ready_conn *r = CONTAINER_OF(t->ready.next, struct ready_conn, link);
        struct stream *s = r->s;
        forget_ready(r);
        stream_own(s, NULL, NULL);
        start(t, s, origin);
        tunnel_work_ask(t, 1);
        return s;
    }
    tunnel_work_ask(t, 1);
    if (t->dead) {
        *why = "the tunnel ended";
        return NULL;
    }
    struct tunnel_wait *w = xcalloc(1, sizeof(*w));
    w->tunnel = t;
    w->origin = *origin;
    w->done = done;
    w->owner = owner;
    w->timer.fire = wait_fire;
    tunnel_link_add(&t->waits, &w->link);
    timer_set(&ts->hub->loop, &w->timer, ts->hub->settings.work_connection_timeout);
    *wait = w;
    return NULL;
}

void tunnel_cancel(struct tunnel_wait *w)
{
    tunnel_link_remove(&w->link);
    timer_remove(&w->tunnel->ts->hub->loop, &w->timer);
    free(w);
}

void tunnel_work_clear(struct tunnel *t, const char *why)
{
    /* NOLINTBEGIN(clang-analyzer-unix.Malloc): each call takes the first out of its ring */
    while (t->ready.next != &t->ready) {
        drop_ready(CONTAINER_OF(t->ready.next, struct ready_conn, link));
    }
    while (t->waits.next != &t->waits) {
        end_wait(CONTAINER_OF(t->waits.next, struct tunnel_wait, link), NULL, false, why);
    }
    /* NOLINTEND(clang-analyzer-unix.Malloc) */
}
