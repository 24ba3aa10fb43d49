#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/crypto/pemfile.h"
#include "common/access/bans.h"
#include "hub/tunnel/tunnel_impl.h"

/* Told to clients; frpc only prints it. Ours speaks what that version of frps speaks. */
static const char server_version[] = "0.61.1";

static const struct stream_events control_events;

/* ---- sending ---- */

void stream_send_msg(struct stream *s, const struct frp_msg *msg)
{
    uint8_t out[FRP_FRAME_MAX];
    ssize_t n = frp_msg_encode(msg, out, sizeof(out));
    if (n > 0) {
        stream_write(s, out, (size_t)n);
    }
    secret_wipe(out, n > 0 ? (size_t)n : 0);
}

void tunnel_send(struct tunnel *t, const struct frp_msg *msg)
{
    if (t->dead) {
        return;
    }
    if (frp_control_send(&t->crypt, t->control, str_of(t->ts->hub->settings.frp_auth_token), msg) <
        0) {
        tunnel_end(t, "encryption failed");
    } else if (stream_pending(t->control) > TUNNEL_MAX_UNREAD) {
        tunnel_end(t, "the client does not read its control stream");
    }
}

static void answer_login(struct stream *s, const char *run_id, const char *error)
{
    struct frp_msg m = {.type = FRP_LOGIN_RESP};
    m.u.login_resp.version = str_of(server_version);
    m.u.login_resp.run_id = str_of(run_id);
    m.u.login_resp.error = str_of(error);
    stream_send_msg(s, &m);
}

/* ---- the end ---- */

static void run_free(struct loop_task *task)
{
    struct tunnel *t = CONTAINER_OF(task, struct tunnel, release);
    frp_control_clear(&t->crypt);
    free(t);
}

static void release_port(struct tunnel *t)
{
    if (t->port != 0) {
        t->ts->ports[t->port - TUNNEL_APP_FIRST] = NULL;
        t->last_port = t->port;
        memcpy(t->last_name, t->name, sizeof(t->last_name));
        t->port = 0;
        t->name[0] = '\0';
    }
}

/* A client that ends well closes its proxy before: that is an end of the tunnel, too. */
static void note_gone(const struct tunnel *t)
{
    if (t->last_port != 0) {
        struct tunnel_gone **gone = &t->ts->gone[t->last_port - TUNNEL_APP_FIRST];
        *gone = *gone ? *gone : xmalloc(sizeof(**gone));
        (*gone)->at = loop_now(&t->ts->hub->loop);
        memcpy((*gone)->name, t->last_name, sizeof((*gone)->name));
    }
}

void tunnel_end(struct tunnel *t, const char *why)
{
    if (t->dead) {
        return;
    }
    t->dead = true;
    log_info(t->ts->hub->log, "tunnel", t->id, "session %s ended: %s",
             t->name[0] ? t->name : "without a proxy", why);
    timer_remove(&t->ts->hub->loop, &t->silence);
    release_port(t);
    note_gone(t);
    tunnel_work_clear(t, "the tunnel ended");
    tunnel_link_remove(&t->link);
    if (t->control) {
        stream_close(t->control);
        t->control = NULL;
    }
    if (t->mux) {
        struct tunnel_conn *mux = t->mux;
        t->mux = NULL;
        mux->tunnel = NULL;
        tunnel_conn_end(mux, why);
    }
    t->release.run = run_free;
    loop_defer(&t->ts->hub->loop, &t->release);
}

struct tunnel *tunnel_by_run_id(struct tunnels *ts, struct str run_id)
{
    for (struct tunnel_link *l = ts->sessions.next; l != &ts->sessions; l = l->next) {
        struct tunnel *t = CONTAINER_OF(l, struct tunnel, link);
        if (str_eq(str_of(t->run_id), run_id)) {
            return t;
        }
    }
    return NULL;
}

/* An address that is banned already counts no more, as with requests: else one client could push the
 * failures of all others out of the table. */
void tunnel_failure(struct tunnels *ts, const struct ip_addr *from, const char *what)
{
    uint64_t now = loop_now(&ts->hub->loop);
    if (!bans_banned(ts->hub->bans, from, now)) {
        bans_failure(ts->hub->bans, from, now, what, NULL);
    }
}

/* ---- proxies ---- */

static bool printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < 0x21 || s.p[i] > 0x7E) {
            return false;
        }
    }
    return s.n > 0;
}

/* Who has that name already, or NULL. ExApps and engines have names of their own: no Docker host keeps an ExApp
 * of another one out. */
static struct tunnel *name_taken(struct tunnels *ts, const struct frp_new_proxy *p)
{
    bool app = p->remote_port <= TUNNEL_APP_LAST;
    for (struct tunnel_link *l = ts->sessions.next; l != &ts->sessions; l = l->next) {
        struct tunnel *t = CONTAINER_OF(l, struct tunnel, link);
        if (t->port != 0 && (t->port <= TUNNEL_APP_LAST) == app &&
            str_eq(str_of(t->name), p->proxy_name)) {
            return t;
        }
    }
    return NULL;
}

/* Mostly it is the same client, whose machine was started anew and whose old session nobody has ended. It is
 * asked now whether it lives, and not at its next turn, so that the name is free when the client tries again. */
static void doubt(struct tunnel *holder)
{
    if (holder->mux && holder->mux->yamux) {
        yamux_probe(holder->mux->yamux);
    }
}

/* NULL when the proxy may be opened; else why not, in frps' words where it has some. */
static const char *judge_proxy(struct tunnel *t, const struct frp_new_proxy *p,
                               char buf[TUNNEL_REFUSAL_MAX])
{
    /* First who asks: what others have is not told to those whom it does not concern. */
    struct tunnel_refusal refusal =
        tunnel_may_open(&t->who, (enum frp_accept)t->ts->hub->settings.frp_accept_shared_key,
                        p->proxy_name, p->remote_port, buf);
    if (refusal.failure) {
        tunnel_failure(t->ts, &t->addr, refusal.failure);
    }
    if (refusal.error) {
        return refusal.error;
    }
    if (p->proxy_type.n > 0 && !str_eq(p->proxy_type, STR("tcp"))) {
        return "only proxies of type tcp are supported by this server";
    }
    if (!printable(p->proxy_name) || p->proxy_name.n > TUNNEL_NAME_MAX) {
        return "the proxy's name is empty, too long, or not plain ASCII";
    }
    if (p->use_encryption || p->use_compression) {
        return "useEncryption and useCompression are not supported: the tunnel's TLS encrypts";
    }
    struct tunnel *holder = name_taken(t->ts, p);
    if (holder) {
        doubt(holder);
        snprintf(buf, TUNNEL_REFUSAL_MAX, "proxy [%.*s] already exists", STR_ARG(p->proxy_name));
        return buf;
    }
    if (t->port != 0) {
        return "exceed the max_ports_per_client";
    }
    if (p->remote_port < TUNNEL_APP_FIRST || p->remote_port > TUNNEL_ENGINE_LAST) {
        return "port not allowed";
    }
    holder = t->ts->ports[p->remote_port - TUNNEL_APP_FIRST];
    if (holder) {
        doubt(holder);
        return "port unavailable";
    }
    return NULL;
}

static void tell_refused(struct tunnel *t, const struct frp_new_proxy *p, const char *error)
{
    struct tunnels *ts = t->ts;
    char text[IP_TEXT_MAX], who[TUNNEL_IDENTITY_TEXT_MAX];
    if (log_limit_pass(&ts->refused, loop_now(&ts->hub->loop), ts->hub->log, LOG_LEVEL_WARNING,
                       "tunnel")) {
        log_warning(ts->hub->log, "tunnel", t->id,
                    "proxy %.*s for port %lld, from %s with %s, refused: %s",
                    STR_ARG(p->proxy_name), (long long)p->remote_port, ip_format(&t->addr, text),
                    tunnel_identity_text(&t->who, who), error);
    }
}

static void tell_opened(const struct tunnel *t)
{
    struct log *log = t->ts->hub->log;
    char text[IP_TEXT_MAX];
    log_info(log, "tunnel", t->id, "proxy %s offers port %u", t->name, t->port);
    if (t->who.kind == TUNNEL_KIND_SHARED && t->port <= TUNNEL_APP_LAST) {
        log_warning(
            log, "tunnel", t->id,
            "proxy %s at port %u, from %s, uses the shared key: deploy the ExApp again, and it "
            "gets a token of its own; once none is left, set HP_FRP_ACCEPT_SHARED_KEY=engines",
            t->name, t->port, ip_format(&t->addr, text));
    }
}

static void on_new_proxy(struct tunnel *t, const struct frp_new_proxy *p)
{
    char text[TUNNEL_REFUSAL_MAX], addr[16];
    struct frp_msg out = {.type = FRP_NEW_PROXY_RESP};
    const char *error = judge_proxy(t, p, text);
    out.u.new_proxy_resp.proxy_name = p->proxy_name;
    if (error) {
        out.u.new_proxy_resp.error = str_of(error);
        tell_refused(t, p, error);
    } else {
        t->port = (uint16_t)p->remote_port;
        /* What is known of the port may be of another service. */
        t->generation = ++t->ts->generations;
        memcpy(t->name, p->proxy_name.p, p->proxy_name.n);
        t->name[p->proxy_name.n] = '\0';
        t->ts->ports[t->port - TUNNEL_APP_FIRST] = t;
        t->last_port = 0;
        snprintf(addr, sizeof(addr), ":%u", t->port);
        out.u.new_proxy_resp.remote_addr = str_of(addr);
        tell_opened(t);
    }
    tunnel_send(t, &out);
    if (!error && t->pool > t->ready_n + t->asked) {
        tunnel_work_ask(t, t->pool - t->ready_n - t->asked); /* a proxy before it used them up */
    }
    if (!error && t->ts->offered) {
        t->ts->offered(t->ts->offered_owner, t->port);
    }
}

static void on_close_proxy(struct tunnel *t, struct str name)
{
    if (t->port != 0 && str_eq(str_of(t->name), name)) {
        log_info(t->ts->hub->log, "tunnel", t->id, "proxy %s closed by the client", t->name);
        release_port(t);
        tunnel_work_clear(t, "the tunnel's proxy was closed");
    }
}

/* ---- the control stream ---- */

static void on_message(struct tunnel *t, const struct frp_frame *frame)
{
    struct frp_msg msg, pong = {.type = FRP_PONG};
    char err[160];
    uint64_t now = loop_now(&t->ts->hub->loop);
    if (now - t->second >= 1000) {
        t->second = now;
        t->messages = 0;
    }
    if (++t->messages > TUNNEL_MAX_MESSAGES) {
        tunnel_end(t, "too many messages");
        return;
    }
    if (frp_msg_decode(&msg, frame, err, sizeof(err)) < 0) {
        tunnel_end(t, err);
        return;
    }
    switch (msg.type) {
    case FRP_NEW_PROXY:
        on_new_proxy(t, &msg.u.new_proxy);
        break;
    case FRP_CLOSE_PROXY:
        on_close_proxy(t, msg.u.close_proxy.proxy_name);
        break;
    case FRP_PING:
        tunnel_send(t, &pong);
        break;
    default:
        tunnel_end(t, "a message that only a server sends, or that this one does not support");
        break;
    }
    frp_msg_clear(&msg);
}

static size_t on_data(void *owner, struct stream *s UNUSED, const char *p, size_t n)
{
    struct tunnel *t = owner;
    struct frp_frame frame;
    const char *why;
    int total = 0;
    if (frp_control_feed(&t->crypt, str_of(t->ts->hub->settings.frp_auth_token), p, n) < 0) {
        tunnel_end(t, "decryption failed");
        return n;
    }
    if (!t->mux) {
        timer_set(&t->ts->hub->loop, &t->silence, TUNNEL_SILENCE_MS);
    }
    while (!t->dead && (total = frp_control_next(&t->crypt, &frame, &why)) > 0) {
        on_message(t, &frame);
        frp_control_taken(&t->crypt, total);
    }
    if (total < 0) {
        tunnel_end(t, why);
    }
    return n;
}

static void on_eof(void *owner, struct stream *s UNUSED)
{
    tunnel_end(owner, "the client closed the control stream");
}

static void on_closed(void *owner, struct stream *s UNUSED, const char *why)
{
    struct tunnel *t = owner;
    t->control = NULL;
    tunnel_end(t, why);
}

static const struct stream_events control_events = {
    .data = on_data,
    .eof = on_eof,
    .closed = on_closed,
};

static void silence_fire(struct timer *timer)
{
    tunnel_end(CONTAINER_OF(timer, struct tunnel, silence), "silent for 90 s");
}

/* ---- login ---- */

/* Who it is that logs in. */
static struct tunnel_refusal identify(struct tunnels *ts, const struct tunnel_conn *c,
                                      const struct frp_login *login, struct tunnel_identity *who)
{
    const struct hub *hub = ts->hub;
    struct tunnel_rules rules = {.key = &hub->key,
                                 .shared_key = str_of(hub->settings.shared_key),
                                 .accept = (enum frp_accept)hub->settings.frp_accept_shared_key,
                                 .can_issue = ts->certs.can_issue};
    return tunnel_identify(who, &rules, tunnel_conn_cert(c), frp_meta_get(&login->metas, "token"));
}

/* NULL when the login is good: *who it is, and *old is the session it takes over, or NULL. A wrong key
 * counts as a failure of the address; the right one is never refused for it, as all apps of a Docker host
 * share one and the key of one may be old. */
static const char *judge_login(struct tunnels *ts, const struct tunnel_conn *c,
                               const struct frp_login *login, struct tunnel_identity *who,
                               struct tunnel **old)
{
    struct str token = str_of(ts->hub->settings.frp_auth_token);
    *old = NULL;
    if (ts->stopped) {
        return "the server is stopping";
    }
    if (!frp_privilege_key_matches(token, login->timestamp, login->privilege_key)) {
        tunnel_failure(ts, &c->addr, "a tunnel's login with a wrong auth.token");
        return "token in login doesn't match token from configuration";
    }
    struct tunnel_refusal refusal = identify(ts, c, login, who);
    if (refusal.failure) {
        tunnel_failure(ts, &c->addr, refusal.failure);
    }
    if (refusal.error || login->run_id.n == 0) {
        return refusal.error;
    }
    if (!printable(login->run_id) || login->run_id.n > TUNNEL_RUN_ID_MAX) {
        return "invalid run_id";
    }
    *old = tunnel_by_run_id(ts, login->run_id);
    if (*old && !tunnel_identity_equal(&(*old)->who, who)) {
        tunnel_failure(ts, &c->addr, "a tunnel's login with the run_id of another client");
        return "the run_id is that of another client's session";
    }
    return NULL;
}

static void refuse(struct tunnels *ts, struct tunnel_conn *c, struct stream *s, const char *error)
{
    char text[IP_TEXT_MAX];
    log_warning(ts->hub->log, "tunnel", c->id, "login from %s refused: %s",
                ip_format(&c->addr, text), error);
    answer_login(s, "", error);
    stream_shutdown(s);
    /* With yamux the session's login limit ends the rest of it; alone, the stream is all. */
    stream_close(s);
}

/* Of a certificate that is one client's alone, the hub alone may know that it ends. */
static void tell_certificate(const struct tunnel *t, const struct tunnel_cert *cert)
{
    const struct hub *hub = t->ts->hub;
    char date[PEM_DATE_SIZE];
    bool own = t->who.kind == TUNNEL_KIND_ENGINE ||
               (t->who.kind == TUNNEL_KIND_APP && strcmp(cert->name, CERTS_CLIENT_NAME) != 0);
    if (own && tunnel_cert_ends_soon(cert->until, hub->settings.frp_cert_validity_days,
                                     (int64_t)time(NULL))) {
        log_warning(hub->log, "tunnel", t->id, "the certificate %s ends on %s: %s", cert->name,
                    pem_date(cert->until, date),
                    t->who.kind == TUNNEL_KIND_APP
                        ? "deploy or update the ExApp again, that gives it a new one"
                        : "give the Docker engine's host a new one");
    }
}

void tunnel_login(struct tunnels *ts, struct tunnel_conn *c, struct stream *s,
                  const struct frp_login *login)
{
    struct hub *hub = ts->hub;
    char text[IP_TEXT_MAX], known[TUNNEL_IDENTITY_TEXT_MAX];
    struct tunnel_identity who;
    struct tunnel *old;
    const char *error = judge_login(ts, c, login, &who, &old);
    if (error) {
        refuse(ts, c, s, error);
        return;
    }
    /* A client that lost its network comes back with its run_id and must never meet itself. */
    if (old) {
        tunnel_end(old, "replaced by a new login of the same client");
    }
    struct tunnel *t = xcalloc(1, sizeof(*t));
    t->ts = ts;
    t->mux = c->mux;
    t->control = s;
    t->addr = c->addr;
    t->id = c->id;
    t->generation = ++ts->generations;
    t->since = loop_now(&hub->loop);
    t->who = who;
    t->silence.fire = silence_fire;
    t->pool = (unsigned)MIN(login->pool_count, hub->settings.tunnel_pool);
    tunnel_work_init(t);
    tunnel_link_add(&ts->sessions, &t->link);
    if (login->run_id.n > 0) {
        memcpy(t->run_id, login->run_id.p, login->run_id.n);
    } else if (random_id(t->run_id) < 0) {
        tunnel_end(t, "no random bytes to be had");
        return;
    }
    if (t->mux) {
        t->mux->tunnel = t;
        tunnel_conn_trusted(t->mux);
        tunnel_conn_raise_limits(t->mux);
    } else {
        timer_set(&hub->loop, &t->silence, TUNNEL_SILENCE_MS);
    }
    log_info(hub->log, "tunnel", t->id, "%s logged in with %s; frp %.*s%s",
             ip_format(&t->addr, text), tunnel_identity_text(&who, known), STR_ARG(login->version),
             t->mux ? "" : ", without tcpMux");
    tell_certificate(t, tunnel_conn_cert(c));
    stream_own(s, &control_events, t);
    answer_login(s, t->run_id, "");
    tunnel_work_ask(t, t->pool);
}
