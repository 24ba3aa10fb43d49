#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log/log.h"
#include "common/stream/relay.h"
#include "tunnel-client/session.h"

enum {
    IDLE_MS =
        1000, /* at a stop: an answer went up and nothing came for so long: between requests */
};

/* A work connection: WAITS for StartWorkConn, DIALS the local socket, then a relay has it. */
struct work {
    struct work_link link;
    struct session *session;
    struct dial *connect; /* tcpMux off: to the server */
    struct stream *up;    /* to the server */
    struct dial *dial;    /* to the local socket */
    struct relay *relay;
    uint64_t id;
    uint64_t proxy; /* its number; 0: not known yet */
    bool over;
    struct timer limit;
    struct loop_task release;
};

static void run_free(struct loop_task *task)
{
    free(CONTAINER_OF(task, struct work, release));
}

static void count_answer(const struct work *w, bool answered)
{
    struct proxy *p = proxies_find_id(w->session, w->proxy);
    if (p && answered) {
        p->seen.answered++;
    }
}

static void work_end(struct work *w, const char *why)
{
    struct session *s = w->session;
    if (w->over) {
        return;
    }
    w->over = true;
    if (why) {
        log_debug(s->log, "work", w->id, "work connection ended: %s", why);
    }
    timer_remove(s->loop, &w->limit);
    if (w->connect) {
        dial_cancel(w->connect);
    }
    if (w->dial) {
        dial_cancel(w->dial);
    }
    if (w->relay) {
        count_answer(w, relay_answered(w->relay));
        relay_stop(w->relay);
    }
    if (w->up) {
        stream_close(w->up);
    }
    w->link.prev->next = w->link.next;
    w->link.next->prev = w->link.prev;
    s->works_n--;
    w->release.run = run_free;
    loop_defer(s->loop, &w->release);
}

static void relay_over(void *owner, uint64_t up, uint64_t down, const char *failed)
{
    struct work *w = owner;
    count_answer(w, down > 0);
    w->relay = NULL;
    log_debug(w->session->log, "work", w->id, "%llu bytes in, %llu bytes out%s%s",
              (unsigned long long)up, (unsigned long long)down, failed ? "; " : "",
              failed ? failed : "");
    work_end(w, NULL);
}

static void on_local(void *owner, struct stream *local, bool timed_out UNUSED, const char *why)
{
    struct work *w = owner;
    struct relay_limits none = {0};
    struct proxy *p = proxies_find_id(w->session, w->proxy);
    w->dial = NULL;
    if (p) {
        p->seen.connections += local != NULL;
        snprintf(p->seen.last_error, sizeof(p->seen.last_error), "%s", local ? "" : why);
    }
    if (!local) {
        log_warning(w->session->log, "work", w->id, "the local service can't be reached: %s", why);
        /* A FIN without a byte is how frp tells that the back end is down. */
        stream_shutdown(w->up);
        work_end(w, NULL);
        return;
    }
    struct stream *up = w->up;
    w->up = NULL;
    w->relay = relay_start(up, local, &none, relay_over, w);
}

static void start(struct work *w, const struct frp_start_work_conn *m)
{
    struct session *s = w->session;
    struct proxy *proxy = proxies_find(s, m->proxy_name);
    if (m->error.n > 0 || !proxy) {
        log_warning(s->log, "work", w->id, "the server started no connection: %.*s",
                    m->error.n > 0 ? (int)MIN(m->error.n, 200) : 13,
                    m->error.n > 0 ? m->error.p : "unknown proxy");
        work_end(w, "refused");
        return;
    }
    const struct tunnel_proxy *p = proxy->set;
    w->proxy = proxy->seen.id;
    timer_clear(&w->limit);
    stream_pause(w->up); /* the client's first bytes wait for the local socket */
    w->dial = p->unix_path[0] ? dial_unix(s->loop, p->unix_path, s->set->dial_timeout, on_local, w)
                              : dial_start(s->loop, s->resolver, p->local_host, p->local_port,
                                           s->set->dial_timeout, on_local, w);
}

static size_t up_data(void *owner, struct stream *up UNUSED, const char *p, size_t n)
{
    struct work *w = owner;
    struct frp_frame frame;
    struct frp_msg m;
    const char *why;
    char err[160];
    int total = frp_frame_parse((const uint8_t *)p, n, &frame, &why);
    if (total == 0) {
        return 0;
    }
    if (total < 0 || frp_msg_decode(&m, &frame, err, sizeof(err)) < 0) {
        work_end(w, total < 0 ? why : err);
        return n;
    }
    if (m.type == FRP_START_WORK_CONN) {
        start(w, &m.u.start_work_conn);
    } else {
        work_end(w, "not started by StartWorkConn");
    }
    frp_msg_clear(&m);
    return w->over ? n : (size_t)total;
}

static void up_eof(void *owner, struct stream *up UNUSED)
{
    work_end(owner, "closed by the server before it was used");
}

static void up_closed(void *owner, struct stream *up UNUSED, const char *why)
{
    struct work *w = owner;
    w->up = NULL;
    work_end(w, why);
}

/* Says which session the connection belongs to. */
static void introduce(struct work *w)
{
    struct session *s = w->session;
    uint8_t out[FRP_FRAME_MAX];
    struct frp_msg m = {.type = FRP_NEW_WORK_CONN};
    m.u.new_work_conn.run_id = str_of(s->run_id);
    ssize_t n = frp_msg_encode(&m, out, sizeof(out));
    timer_clear(&w->limit);
    if (n > 0) {
        stream_write(w->up, out, (size_t)n);
    }
}

static void up_ready(void *owner, struct stream *up UNUSED)
{
    introduce(owner);
}

static const struct stream_events up_events = {
    .ready = up_ready,
    .data = up_data,
    .eof = up_eof,
    .closed = up_closed,
};

static void on_server(void *owner, struct stream *stream, bool timed_out UNUSED, const char *why)
{
    struct work *w = owner;
    struct session *s = w->session;
    w->connect = NULL;
    w->up = stream && s->tls ? session_encrypt(s, stream) : stream;
    if (!w->up) {
        work_end(w, stream ? strerror(errno) : why);
        return;
    }
    stream_own(w->up, &up_events, w);
    if (!s->tls) {
        introduce(w);
    }
}

static void limit_fire(struct timer *t)
{
    work_end(CONTAINER_OF(t, struct work, limit), "connecting took too long");
}

void work_open(struct session *s)
{
    if (s->works_n >= SESSION_MAX_WORK) {
        log_warning(s->log, "work", 0, "the server wants more than %d connections at a time",
                    SESSION_MAX_WORK);
        return;
    }
    struct work *w = xcalloc(1, sizeof(*w));
    w->session = s;
    w->id = loop_next_id(s->loop);
    w->limit.fire = limit_fire;
    w->link.next = &s->works;
    w->link.prev = s->works.prev;
    w->link.prev->next = w->link.next->prev = &w->link;
    s->works_n++;
    if (!s->yamux) {
        timer_set(s->loop, &w->limit, 2 * s->set->dial_timeout);
        w->connect = dial_start(s->loop, s->resolver, s->set->server_address,
                                (uint16_t)s->set->server_port, s->set->dial_timeout, on_server, w);
        return;
    }
    w->up = yamux_open(s->yamux);
    if (!w->up) {
        work_end(w, "no more streams");
        /* Ids that are used up, or a server that is going: a new session has both. */
        session_lost(s, "the server's session takes no more streams");
        return;
    }
    stream_own(w->up, &up_events, w);
    introduce(w);
}

void work_end_all(struct session *s)
{
    while (s->works.next != &s->works) {
        work_end(CONTAINER_OF(s->works.next, struct work, link), "the session ended");
    }
}

uint64_t work_answered(const struct session *s, const struct proxy *p)
{
    uint64_t n = p->seen.answered;
    for (const struct work_link *l = s->works.next; l != &s->works; l = l->next) {
        const struct work *w = CONTAINER_OF(l, const struct work, link);
        n += w->proxy == p->seen.id && w->relay && relay_answered(w->relay);
    }
    return n;
}

unsigned work_end_idle(struct session *s)
{
    struct work_link *next;
    for (struct work_link *l = s->works.next; l != &s->works; l = next) {
        struct work *w = CONTAINER_OF(l, struct work, link);
        bool from_server = false;
        next = l->next;
        if (!w->relay || (relay_quiet(w->relay, &from_server) > IDLE_MS && !from_server)) {
            work_end(w, "the client stops");
        }
    }
    return s->works_n;
}
