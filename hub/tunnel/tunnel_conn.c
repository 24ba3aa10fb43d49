#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log/log.h"
#include "common/stream/tls.h"
#include "hub/tunnel/tunnel_impl.h"

static const struct stream_events conn_events;

static void run_free(struct loop_task *task)
{
    free(CONTAINER_OF(task, struct tunnel_conn, release));
}

/* Takes c off the books; its stream is somebody else's now, or closed. */
static void forget(struct tunnel_conn *c)
{
    struct tunnels *ts = c->ts;
    c->dead = true;
    timer_remove(&ts->hub->loop, &c->timer);
    tunnel_link_remove(&c->link);
    tunnel_conn_trusted(c);
    c->release.run = run_free;
    loop_defer(&ts->hub->loop, &c->release);
}

void tunnel_conn_trusted(struct tunnel_conn *c)
{
    if (c->stranger) {
        c->stranger = false;
        c->ts->strangers--;
        addresses_leave(c->ts->addresses, &c->addr);
    }
}

const struct tunnel_cert *tunnel_conn_cert(const struct tunnel_conn *c)
{
    return c->mux ? &c->mux->cert : &c->cert;
}

static void end_streams(struct tunnel_conn *c)
{
    while (c->streams.next != &c->streams) {
        struct tunnel_conn *stream = CONTAINER_OF(c->streams.next, struct tunnel_conn, link);
        if (stream->s) {
            stream_close(stream->s);
        }
        forget(stream);
    }
}

void tunnel_conn_end(struct tunnel_conn *c, const char *why)
{
    char text[IP_TEXT_MAX];
    if (c->dead) {
        return;
    }
    if (c->stranger) {
        log_info(c->ts->hub->log, "tunnel", c->id, "connection from %s ended before a login: %s",
                 ip_format(&c->addr, text), why);
    } else if (c->mux) {
        log_debug(c->ts->hub->log, "tunnel", c->id, "stream ended before its first message: %s",
                  why);
    }
    c->dead = true;
    if (c->tunnel) {
        struct tunnel *t = c->tunnel;
        c->tunnel = NULL;
        tunnel_end(t, why);
    }
    end_streams(c);
    if (c->yamux) {
        yamux_close(c->yamux, YAMUX_NORMAL, why);
        c->yamux = NULL;
    }
    if (c->s) {
        stream_close(c->s);
        c->s = NULL;
    }
    forget(c);
}

/* ---- yamux on the connection ---- */

static struct yamux_limits limits_of(struct tunnels *ts, bool logged_in)
{
    const struct hub_settings *set = &ts->hub->settings;
    struct yamux_limits l = yamux_limits_default();
    l.max_streams =
        (uint32_t)(logged_in ? set->tunnel_max_streams : set->tunnel_max_streams_before_login);
    l.max_held = set->tunnel_max_held;
    l.max_held_total = set->tunnel_max_held_total;
    l.held_total = &ts->held;
    l.max_empty_frames = (uint32_t)set->tunnel_max_empty_frames;
    l.keepalive = set->tunnel_keepalive;
    l.keepalive_wait = set->tunnel_keepalive_timeout;
    return l;
}

static struct tunnel_conn *conn_new(struct tunnels *ts, struct stream *s,
                                    const struct ip_addr *addr, uint16_t port,
                                    struct tunnel_conn *mux);

static void mux_opened(void *owner, struct stream *s)
{
    struct tunnel_conn *c = owner;
    struct tunnel_conn *stream = conn_new(c->ts, s, &c->addr, c->port, c);
    stream->stage = CONN_MESSAGE;
}

static void mux_ended(void *owner, const char *why)
{
    struct tunnel_conn *c = owner;
    c->yamux = NULL;
    tunnel_conn_end(c, why);
}

static const struct yamux_events mux_events = {.opened = mux_opened, .ended = mux_ended};

static void start_yamux(struct tunnel_conn *c)
{
    struct stream *s = c->s;
    struct yamux_limits limits = limits_of(c->ts, false);
    c->s = NULL;
    c->stage = CONN_MUX;
    c->yamux = yamux_new(s, true, &limits, &mux_events, c);
}

void tunnel_conn_raise_limits(struct tunnel_conn *mux)
{
    struct yamux_limits limits = limits_of(mux->ts, true);
    yamux_set_limits(mux->yamux, &limits);
}

/* ---- bytes ---- */

/* The first byte of a TCP connection. Returns how many bytes were used. */
static size_t first_byte(struct tunnel_conn *c, const char *p, size_t n)
{
    struct tunnels *ts = c->ts;
    if (c->stage == CONN_FIRST && p[0] == 0x17 && ts->tls) {
        c->stage = CONN_AFTER17;
        return n == 1 ? 1 : 1 + first_byte(c, p + 1, n - 1);
    }
    if (p[0] == 0x16) {
        if (!ts->tls) {
            tunnel_conn_end(c, "the client speaks TLS, but HP_FRP_DISABLE_TLS is set");
            return n;
        }
        int fd = sock_detach(c->s);
        c->s = tls_accept(&ts->hub->loop, ts->tls, fd, p, n);
        if (!c->s) {
            tunnel_conn_end(c, "out of resources");
            return n;
        }
        c->stage = CONN_SHAKE;
        stream_own(c->s, &conn_events, c);
        return n;
    }
    if (c->stage == CONN_AFTER17) {
        tunnel_conn_end(c, "no TLS after the marker byte");
        return n;
    }
    if (p[0] == 'G') {
        tunnel_conn_end(c, "an HTTP request came to the tunnel port (HP_FRP_ADDRESS)");
        return n;
    }
    if (ts->tls) {
        tunnel_conn_end(c, "the client does not use TLS; set transport.tls in its frpc.toml");
        return n;
    }
    c->stage = CONN_INNER;
    timer_set(&ts->hub->loop, &c->timer, ts->hub->settings.login_timeout);
    return 0;
}

static void refuse_visitor(struct stream *s, const struct frp_msg *msg)
{
    struct frp_msg out = {.type = FRP_NEW_VISITOR_CONN_RESP};
    out.u.new_visitor_conn_resp.proxy_name = msg->u.new_visitor_conn.proxy_name;
    out.u.new_visitor_conn_resp.error = STR("visitors are not supported by this server");
    stream_send_msg(s, &out);
    stream_shutdown(s);
    stream_close(s);
}

/* The first message decides what a stream is for. */
static size_t first_message(struct tunnel_conn *c, const char *p, size_t n)
{
    struct frp_frame frame;
    struct frp_msg msg;
    const char *why;
    char text[160];
    if (n >= 4 && memcmp(p, "FRP\0", 4) == 0) {
        tunnel_conn_end(c, "the client speaks wire protocol v2; v1 is frpc's default");
        return n;
    }
    int total = frp_frame_parse((const uint8_t *)p, n, &frame, &why);
    if (total <= 0) {
        if (total < 0) {
            tunnel_conn_end(c, why);
            return n;
        }
        return 0;
    }
    if (frp_msg_decode(&msg, &frame, text, sizeof(text)) < 0) {
        tunnel_conn_end(c, text);
        return n;
    }
    struct stream *s = c->s;
    switch (msg.type) {
    case FRP_LOGIN:
        if (c->mux && c->mux->tunnel) {
            tunnel_conn_end(c, "a second login on one connection");
            break;
        }
        c->s = NULL;
        tunnel_login(c->ts, c, s, &msg.u.login);
        break;
    case FRP_NEW_WORK_CONN:
        c->s = NULL;
        tunnel_work_came(c->ts, c, s, &msg.u.new_work_conn);
        break;
    case FRP_NEW_VISITOR_CONN:
        c->s = NULL;
        refuse_visitor(s, &msg);
        break;
    default:
        tunnel_conn_end(c, "the first message is neither Login nor NewWorkConn");
        break;
    }
    frp_msg_clear(&msg);
    if (!c->dead) {
        forget(c);
        return (size_t)total; /* what follows is the new owner's */
    }
    return n;
}

static size_t on_data(void *owner, struct stream *s UNUSED, const char *p, size_t n)
{
    struct tunnel_conn *c = owner;
    switch (c->stage) {
    case CONN_FIRST:
    case CONN_AFTER17: {
        size_t used = first_byte(c, p, n);
        if (c->dead || used > 0 || c->stage != CONN_INNER) {
            return used;
        }
    }
    /* fall through */
    case CONN_INNER:
        if (p[0] == 0) {
            start_yamux(c);
            return 0; /* yamux gets them */
        }
        c->stage = CONN_MESSAGE;
    /* fall through */
    case CONN_MESSAGE:
        return first_message(c, p, n);
    default:
        return 0;
    }
}

static void on_ready(void *owner, struct stream *s)
{
    struct tunnel_conn *c = owner;
    tunnel_cert_read(&c->cert, SSL_get0_peer_certificate(tls_ssl(s)));
    c->stage = CONN_INNER;
    timer_set(&c->ts->hub->loop, &c->timer, c->ts->hub->settings.login_timeout);
}

static void on_eof(void *owner, struct stream *s UNUSED)
{
    tunnel_conn_end(owner, "the client closed it");
}

static void on_closed(void *owner, struct stream *s UNUSED, const char *why)
{
    struct tunnel_conn *c = owner;
    c->s = NULL;
    tunnel_conn_end(c, why);
}

static const struct stream_events conn_events = {
    .ready = on_ready,
    .data = on_data,
    .eof = on_eof,
    .closed = on_closed,
};

static void on_timer(struct timer *t)
{
    struct tunnel_conn *c = CONTAINER_OF(t, struct tunnel_conn, timer);
    if (c->stage != CONN_MUX || !c->tunnel) {
        tunnel_conn_end(c, c->stage == CONN_SHAKE ? "the TLS handshake took too long"
                                                  : "no login in time");
    }
}

static struct tunnel_conn *conn_new(struct tunnels *ts, struct stream *s,
                                    const struct ip_addr *addr, uint16_t port,
                                    struct tunnel_conn *mux)
{
    struct tunnel_conn *c = xcalloc(1, sizeof(*c));
    c->ts = ts;
    c->s = s;
    c->mux = mux;
    c->addr = *addr;
    c->port = port;
    c->id = mux ? mux->id : s->id;
    c->timer.fire = on_timer;
    tunnel_link_init(&c->streams);
    tunnel_link_add(mux ? &mux->streams : &ts->conns, &c->link);
    timer_set(&ts->hub->loop, &c->timer,
              mux ? ts->hub->settings.login_timeout : ts->hub->settings.handshake_timeout);
    stream_own(s, &conn_events, c);
    return c;
}

void tunnel_conn_accepted(void *owner, int fd, const struct sock_addr *from)
{
    struct tunnels *ts = owner;
    const struct hub_settings *set = &ts->hub->settings;
    struct ip_addr ip = {{0}};
    uint16_t port =
        ntohs(from->sa.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&from->sa)->sin6_port
                                             : ((const struct sockaddr_in *)&from->sa)->sin_port);
    /* A single address must not take all the places of those who have yet to log in. */
    int64_t max = set->max_unauthenticated_tunnels;
    if (ip_from_sockaddr((const struct sockaddr *)&from->sa, &ip) < 0 || ts->strangers >= max ||
        !addresses_enter(ts->addresses, &ip, MAX(max / 2, 1))) {
        log_debug(ts->hub->log, "tunnel", 0, "connection refused: too many without a login");
        close(fd);
        return;
    }
    struct stream *s = sock_adopt(&ts->hub->loop, fd);
    if (!s) {
        addresses_leave(ts->addresses, &ip);
        return;
    }
    struct tunnel_conn *c = conn_new(ts, s, &ip, port, NULL);
    c->stranger = true;
    ts->strangers++;
}
