#include "tunnel-client/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/crypto/secret.h"
#include "common/crypto/tls.h"
#include "common/log/log.h"
#include "common/stream/tls.h"
#include "common/system/service.h"

/* The version of frp's whose protocol this is; told to the server. */
static const char client_version[] = "0.61.1";

static void dial_server(struct session *s);

static void enter(struct session *s, enum session_state state, uint64_t limit)
{
    if (s->since == 0 || (s->state == SESSION_RUNNING) != (state == SESSION_RUNNING)) {
        s->since = (int64_t)time(NULL);
    }
    s->state = state;
    timer_set(s->loop, &s->timer, limit);
}

void session_tame(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e) {
            *text = '?';
        }
    }
}

/* One line of what `systemctl status` shows. */
static void tell_manager(const char *said)
{
    char text[SESSION_ERROR_MAX + 8];
    snprintf(text, sizeof(text), "STATUS=%s", said);
    service_notify(text);
}

/* ---- ends ---- */

static void disconnect(struct session *s, const char *why)
{
    work_end_all(s);
    proxies_lost(s);
    timer_clear(&s->heartbeat);
    if (s->dial) {
        dial_cancel(s->dial);
        s->dial = NULL;
    }
    if (s->control) {
        stream_close(s->control);
        s->control = NULL;
    }
    if (s->yamux) {
        yamux_close(s->yamux, YAMUX_NORMAL, why);
        s->yamux = NULL;
    }
    if (s->transport) {
        stream_close(s->transport);
        s->transport = NULL;
    }
    frp_control_clear(&s->crypt);
}

uint64_t session_pause(const struct session *s, struct backoff *b)
{
    uint32_t random = 0;
    b->min = s->set->reconnect_min;
    b->max = s->set->reconnect_max;
    if (random_bytes(&random, sizeof(random)) < 0) {
        random = (uint32_t)loop_now(s->loop);
    }
    return backoff_next(b, random);
}

void session_lost(struct session *s, const char *why)
{
    if (s->state == SESSION_WAITING || s->state == SESSION_STOPPED) {
        return;
    }
    bool was_running = s->state == SESSION_RUNNING;
    snprintf(s->last_error, sizeof(s->last_error), "%s %s:%lld: %s",
             was_running ? "lost the connection to" : "could not log in at", s->set->server_address,
             (long long)s->set->server_port, why);
    session_tame(s->last_error);
    disconnect(s, why);
    if (!s->ever && s->set->login_fail_exit) {
        log_error(s->log, "session", 0, "%s; giving up, as loginFailExit is set", s->last_error);
        s->state = SESSION_STOPPED;
        timer_clear(&s->timer);
        s->failed(s->owner);
        return;
    }
    uint64_t wait = session_pause(s, &s->backoff);
    log_warning(s->log, "session", 0, "%s; next try in %llu ms", s->last_error,
                (unsigned long long)wait);
    tell_manager(s->last_error);
    enter(s, SESSION_WAITING, wait);
}

static void on_timer(struct timer *t)
{
    struct session *s = CONTAINER_OF(t, struct session, timer);
    switch (s->state) {
    case SESSION_WAITING:
        dial_server(s);
        break;
    case SESSION_SHAKING:
        session_lost(s, "the TLS handshake took too long");
        break;
    case SESSION_LOGGING_IN:
        session_lost(s, "no answer to the login");
        break;
    default:
        break;
    }
}

/* ---- messages ---- */

void session_send(struct session *s, const struct frp_msg *msg)
{
    if (!s->control) {
        return;
    }
    if (s->clear) {
        uint8_t out[FRP_FRAME_MAX];
        ssize_t n = frp_msg_encode(msg, out, sizeof(out));
        stream_write(s->control, out, (size_t)MAX(n, 0));
        secret_wipe(out, sizeof(out));
    } else if (frp_control_send(&s->crypt, s->control, str_of(s->set->auth_token), msg) < 0) {
        session_lost(s, "encryption failed");
    }
}

static void login(struct session *s)
{
    char key[FRP_PRIVILEGE_KEY_LEN + 1];
    struct frp_msg m = {.type = FRP_LOGIN};
    struct frp_login *l = &m.u.login;
    const struct tunnel_config *set = s->set;
    l->timestamp = (int64_t)time(NULL);
    if (frp_privilege_key(str_of(set->auth_token), l->timestamp, key) < 0) {
        session_lost(s, "could not make the login's key");
        return;
    }
    l->version = str_of(client_version);
    l->os = STR("linux");
#if defined(__x86_64__)
    l->arch = STR("amd64");
#elif defined(__aarch64__)
    l->arch = STR("arm64");
#endif
    l->user = str_of(set->user);
    l->privilege_key = str_of(key);
    l->run_id = str_of(s->run_id);
    l->pool_count = set->pool_count;
    if (set->shared_key[0]) {
        l->metas.at[l->metas.n++] = (struct frp_meta){STR("token"), str_of(set->shared_key)};
    }
    for (size_t i = 0; i < set->metas_n && l->metas.n < FRP_METAS_MAX; i++) {
        l->metas.at[l->metas.n++] =
            (struct frp_meta){str_of(set->metas[i].name), str_of(set->metas[i].value)};
    }
    enter(s, SESSION_LOGGING_IN, set->dial_timeout);
    session_send(s, &m);
}

static void on_login_resp(struct session *s, const struct frp_login_resp *m)
{
    char why[256], said[SESSION_ERROR_MAX];
    if (m->error.n > 0) {
        snprintf(why, sizeof(why), "login refused: %.*s", (int)MIN(m->error.n, 200), m->error.p);
        session_lost(s, why);
        return;
    }
    if (m->run_id.n == 0 || m->run_id.n > SESSION_RUN_ID_MAX) {
        session_lost(s, "the server gave no usable run_id");
        return;
    }
    memcpy(s->run_id, m->run_id.p, m->run_id.n);
    s->run_id[m->run_id.n] = '\0';
    s->clear = false;
    s->ever = true;
    backoff_reset(&s->backoff);
    s->last_error[0] = '\0';
    enter(s, SESSION_RUNNING, 0);
    snprintf(said, sizeof(said), "logged in at %s:%lld", s->set->server_address,
             (long long)s->set->server_port);
    tell_manager(said);
    log_info(s->log, "session", 0, "logged in at %s:%lld, server version %.*s",
             s->set->server_address, (long long)s->set->server_port, STR_ARG(m->version));
    if (s->set->heartbeat_interval > 0) {
        s->heard = loop_now(s->loop);
        timer_set(s->loop, &s->heartbeat, s->set->heartbeat_interval);
    }
    proxies_open_closed(s);
}

static void heartbeat_fire(struct timer *t)
{
    struct session *s = CONTAINER_OF(t, struct session, heartbeat);
    struct frp_msg m = {.type = FRP_PING};
    if (s->set->heartbeat_timeout > 0 && loop_now(s->loop) - s->heard > s->set->heartbeat_timeout) {
        session_lost(s, "no answer to heartbeats");
        return;
    }
    session_send(s, &m);
    timer_set(s->loop, t, s->set->heartbeat_interval);
}

static void on_message(struct session *s, const struct frp_frame *frame)
{
    struct frp_msg m;
    char err[160];
    if (frp_msg_decode(&m, frame, err, sizeof(err)) < 0) {
        session_lost(s, err);
        return;
    }
    if (s->clear != (m.type == FRP_LOGIN_RESP)) {
        session_lost(s, s->clear ? "the first answer is no LoginResp" : "a second LoginResp");
    } else {
        switch (m.type) {
        case FRP_LOGIN_RESP:
            on_login_resp(s, &m.u.login_resp);
            break;
        case FRP_NEW_PROXY_RESP:
            proxies_on_resp(s, &m.u.new_proxy_resp);
            break;
        case FRP_REQ_WORK_CONN:
            work_open(s);
            break;
        case FRP_PONG:
            s->heard = loop_now(s->loop);
            break;
        default:
            log_debug(s->log, "session", 0, "message %s ignored", frp_type_name(m.type));
            break;
        }
    }
    frp_msg_clear(&m);
}

/* ---- the control stream ---- */

/* Takes clear messages up to LoginResp; what is behind it is encrypted. */
static size_t clear_data(struct session *s, const char *p, size_t n)
{
    struct frp_frame frame;
    const char *why;
    int total = frp_frame_parse((const uint8_t *)p, n, &frame, &why);
    if (total < 0) {
        session_lost(s, why);
        return n;
    }
    if (total > 0) {
        on_message(s, &frame);
    }
    return (size_t)total;
}

static void secret_data(struct session *s, const char *p, size_t n)
{
    struct stream *control = s->control;
    struct frp_frame frame;
    const char *why;
    int total = 0;
    if (frp_control_feed(&s->crypt, str_of(s->set->auth_token), p, n) < 0) {
        session_lost(s, "decryption failed");
        return;
    }
    while (s->control == control && (total = frp_control_next(&s->crypt, &frame, &why)) > 0) {
        on_message(s, &frame);
        if (s->control == control) { /* else the message ended the session, and took all along */
            frp_control_taken(&s->crypt, total);
        }
    }
    if (total < 0) {
        session_lost(s, "unreadable message: do the auth tokens of both sides differ?");
    }
}

static size_t control_data(void *owner, struct stream *stream, const char *p, size_t n)
{
    struct session *s = owner;
    size_t off = 0;
    if (s->clear) {
        off = clear_data(s, p, n);
        if (s->clear || s->control != stream) {
            return off;
        }
    }
    if (off < n) {
        secret_data(s, p + off, n - off);
    }
    return n;
}

static void control_eof(void *owner, struct stream *stream UNUSED)
{
    session_lost(owner, "the server closed the control stream");
}

static void control_closed(void *owner, struct stream *stream UNUSED, const char *why)
{
    struct session *s = owner;
    s->control = NULL;
    session_lost(s, why);
}

static const struct stream_events control_events = {
    .data = control_data,
    .eof = control_eof,
    .closed = control_closed,
};

/* ---- connecting ---- */

static void yamux_over(void *owner, const char *why)
{
    struct session *s = owner;
    s->yamux = NULL;
    session_lost(s, why);
}

static const struct yamux_events yamux_events = {.ended = yamux_over};

/* The transport is there (and encrypted): control stream, login. */
static void connected(struct session *s)
{
    struct stream *transport = s->transport;
    s->transport = NULL;
    s->clear = true;
    if (s->set->tcp_mux) {
        struct yamux_limits limits = yamux_limits_default();
        limits.keepalive = s->set->tcp_mux_keepalive;
        limits.keepalive_wait = s->set->keepalive_timeout;
        limits.max_streams = SESSION_MAX_WORK + 1;
        s->yamux = yamux_new(transport, false, &limits, &yamux_events, s);
        s->control = yamux_open(s->yamux);
    } else {
        s->control = transport;
    }
    stream_own(s->control, &control_events, s);
    login(s);
}

static void transport_ready(void *owner, struct stream *stream UNUSED)
{
    connected(owner);
}

static void transport_closed(void *owner, struct stream *stream UNUSED, const char *why)
{
    struct session *s = owner;
    s->transport = NULL;
    session_lost(s, why);
}

static const struct stream_events transport_events = {
    .ready = transport_ready,
    .closed = transport_closed,
};

static const char *server_name(const struct tunnel_config *set)
{
    return set->tls_server_name[0] ? set->tls_server_name : set->server_address;
}

struct stream *session_encrypt(struct session *s, struct stream *plain)
{
    /* A server name that is an address gets no SNI; the context checks it either way. */
    return tls_client(s->loop, s->tls, server_name(s->set), sock_detach(plain));
}

static void on_dialed(void *owner, struct stream *stream, bool timed_out UNUSED, const char *why)
{
    struct session *s = owner;
    s->dial = NULL;
    if (!stream) {
        session_lost(s, why);
        return;
    }
    if (!s->tls) {
        s->transport = stream;
        connected(s);
        return;
    }
    s->transport = session_encrypt(s, stream);
    if (!s->transport) {
        session_lost(s, strerror(errno));
        return;
    }
    stream_own(s->transport, &transport_events, s);
    enter(s, SESSION_SHAKING, s->set->dial_timeout);
}

/* Whether a file that the TLS context is made of was changed, came or went. */
static bool look_at_files(struct session *s)
{
    const char *const paths[SESSION_TLS_FILES] = {s->set->tls_cert_file, s->set->tls_key_file,
                                                  s->set->tls_ca_file};
    bool changed = false;
    for (size_t i = 0; i < SESSION_TLS_FILES; i++) {
        changed |= *paths[i] && file_stamp_look(&s->files[i], paths[i]);
    }
    return changed;
}

/* Renewed certificates, and those of a hub whose own were made anew, count from the next connection on. */
static void refresh_tls(struct session *s)
{
    char err[TLS_TEXT_SIZE];
    bool off = false;
    if (!s->tls || !look_at_files(s)) {
        return;
    }
    SSL_CTX *tls = session_tls(s->set, s->log, &off, err, sizeof(err));
    if (!tls) {
        log_error(s->log, "session", 0, "the certificates in use are kept: %s", err);
        return;
    }
    SSL_CTX_free(s->tls); /* connections that run have their own reference */
    s->tls = tls;
    log_info(s->log, "session", 0, "certificates were read again");
}

static void dial_server(struct session *s)
{
    refresh_tls(s);
    enter(s, SESSION_DIALING, 0);
    s->dial = dial_start(s->loop, s->resolver, s->set->server_address,
                         (uint16_t)s->set->server_port, s->set->dial_timeout, on_dialed, s);
}

/* ---- life ---- */

SSL_CTX *session_tls(const struct tunnel_config *set, struct log *log, bool *off, char *err,
                     size_t errlen)
{
    struct tls_report report = {0};
    *off = !set->tls_enable;
    if (*off) {
        log_warning(log, "session", 0,
                    "TLS is off: anyone on the way can read and change what passes");
        return NULL;
    }
    const char *cert = set->tls_cert_file[0] ? set->tls_cert_file : NULL;
    const char *key = set->tls_key_file[0] ? set->tls_key_file : NULL;
    const char *ca = set->tls_ca_file[0] ? set->tls_ca_file : NULL;
    SSL_CTX *ctx = tls_client_tunnel(cert, key, ca, server_name(set), &report);
    if (!ctx) {
        snprintf(err, errlen, "%s", report.error);
    } else if (report.warning[0]) {
        log_warning(log, "session", 0, "%s", report.warning);
    }
    return ctx;
}

struct session *session_new(struct loop *l, struct resolver *r, const struct tunnel_config *set,
                            SSL_CTX *tls, void (*failed)(void *owner), void *owner)
{
    struct session *s = xcalloc(1, sizeof(*s));
    s->loop = l;
    s->log = l->log;
    s->resolver = r;
    s->set = set;
    s->tls = tls;
    s->failed = failed;
    s->owner = owner;
    s->timer.fire = on_timer;
    s->heartbeat.fire = heartbeat_fire;
    s->works.prev = s->works.next = &s->works;
    proxies_set(s, set);
    look_at_files(s);
    dial_server(s);
    return s;
}

void session_free(struct session *s)
{
    if (s) {
        s->state = SESSION_STOPPED;
        disconnect(s, "the client ends");
        proxies_free(s);
        timer_remove(s->loop, &s->timer);
        timer_remove(s->loop, &s->heartbeat);
        SSL_CTX_free(s->tls);
        free(s);
    }
}

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* Whether the running connection serves the new settings, too. */
static bool same_server(const struct tunnel_config *a, const struct tunnel_config *b)
{
    if (a->metas_n != b->metas_n) {
        return false;
    }
    for (size_t i = 0; i < a->metas_n; i++) {
        if (!same(a->metas[i].name, b->metas[i].name) ||
            !same(a->metas[i].value, b->metas[i].value)) {
            return false;
        }
    }
    return same(a->server_address, b->server_address) && a->server_port == b->server_port &&
           same(a->shared_key, b->shared_key) && same(a->auth_token, b->auth_token) &&
           same(a->user, b->user) && a->tls_enable == b->tls_enable &&
           same(a->tls_cert_file, b->tls_cert_file) && same(a->tls_key_file, b->tls_key_file) &&
           same(a->tls_ca_file, b->tls_ca_file) && same(a->tls_server_name, b->tls_server_name) &&
           a->tcp_mux == b->tcp_mux;
}

void session_reload(struct session *s, const struct tunnel_config *set, SSL_CTX *tls)
{
    bool keep = same_server(s->set, set);
    SSL_CTX_free(s->tls); /* connections that run have their own reference */
    s->tls = tls;
    backoff_reset(&s->backoff);
    if (!keep) {
        session_lost(s, "the server's settings changed");
    }
    s->set = set;
    look_at_files(s);
    proxies_set(s, set);
    log_info(s->log, "session", 0, "settings were read again%s",
             keep ? "" : "; connecting to the server anew");
}

bool session_stop(struct session *s)
{
    struct frp_msg m = {.type = FRP_CLOSE_PROXY};
    if (s->state != SESSION_RUNNING) {
        return true;
    }
    for (size_t i = 0; i < s->proxies_n; i++) {
        if (s->proxies[i].state == PROXY_OPEN) {
            s->proxies[i].state = PROXY_CLOSED;
            m.u.close_proxy.proxy_name = str_of(s->proxies[i].set->name);
            session_send(s, &m);
        }
    }
    return work_end_idle(s) == 0;
}
