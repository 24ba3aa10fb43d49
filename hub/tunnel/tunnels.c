#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/crypto/tls.h"
#include "hub/tunnel/tunnel_impl.h"

enum {
    DATES_MS = 24 * 3600 * 1000, /* between two looks at the dates of certificates */
    CLOCK_MOVED = 3600, /* seconds by which the clock was set, so that dates are looked at */
};

static void certs_log(void *arg, enum certs_level level, const char *text)
{
    struct hub *hub = arg;
    LOG_AT(hub->log, level == CERTS_WARNING ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "certs", 0, "%s",
           text);
}

/* Whether one of the files that the TLS context is made of was changed, came or went. */
static bool look_at_files(struct tunnels *ts)
{
    const char *const paths[TUNNEL_TLS_FILES] = {ts->certs.server_crt, ts->certs.server_key,
                                                 ts->certs.ca_crt};
    bool changed = false;
    for (size_t i = 0; i < TUNNEL_TLS_FILES; i++) {
        changed |= file_stamp_look(&ts->files[i], paths[i]);
    }
    return changed;
}

static int64_t clock_of(const struct tunnels *ts)
{
    return (int64_t)time(NULL) - (int64_t)(loop_now(&ts->hub->loop) / 1000);
}

/* Makes or checks the folder, and renews what is about to end. */
static SSL_CTX *tunnel_tls(struct tunnels *ts, char *err, size_t errlen)
{
    struct hub *hub = ts->hub;
    struct certs certs;
    struct tls_report report = {0};
    ts->checked = loop_now(&hub->loop);
    ts->clock = clock_of(ts);
    if (certs_open(&certs, hub->settings.certs_dir, (int)hub->settings.frp_cert_validity_days,
                   certs_log, hub, err, errlen) < 0) {
        return NULL;
    }
    ts->certs = certs;
    look_at_files(ts); /* before they are read: what is changed meanwhile is seen next time */
    SSL_CTX *ctx = tls_server_tunnel(certs.server_crt, certs.server_key, certs.ca_crt, &report);
    if (!ctx) {
        snprintf(err, errlen, "%s", report.error);
    } else if (report.warning[0]) {
        log_warning(hub->log, "tunnel", 0, "%s", report.warning);
    }
    return ctx;
}

/* Sessions that run keep what they have. A folder without a CA is one whose volume is away: nothing is made
 * in its place. */
static void read_again(struct tunnels *ts, bool changed)
{
    char err[MAX(CERTS_TEXT_SIZE, TLS_TEXT_SIZE)];
    SSL_CTX *ctx = NULL;
    if (access(ts->certs.ca_crt, F_OK) == 0) {
        ctx = tunnel_tls(ts, err, sizeof(err));
    } else {
        snprintf(err, sizeof(err), "%s: %s", ts->certs.ca_crt, strerror(errno));
    }
    if (!ctx) {
        log_error(ts->hub->log, "certs", 0, "the tunnels' certificates in use are kept: %s", err);
        return;
    }
    SSL_CTX_free(ts->tls);
    ts->tls = ctx;
    if (changed) {
        log_info(ts->hub->log, "certs", 0, "the tunnels' certificates were read again");
    }
}

static void watch_fire(struct timer *t)
{
    struct tunnels *ts = CONTAINER_OF(t, struct tunnels, watch);
    int64_t moved = clock_of(ts) - ts->clock;
    bool changed = look_at_files(ts);
    if (changed || loop_now(&ts->hub->loop) - ts->checked >= DATES_MS || moved > CLOCK_MOVED ||
        moved < -CLOCK_MOVED) {
        read_again(ts, changed);
    }
    timer_set(&ts->hub->loop, t, ts->hub->settings.certs_check_interval);
}

static struct listener *open_listener(struct tunnels *ts, char *err, size_t errlen)
{
    const struct listen_addr *at = &ts->hub->settings.frp_address;
    char why[256], text[LISTEN_TEXT_MAX];
    struct sock_addr a;
    memset(&a, 0, sizeof(a));
    a.len = listen_sockaddr(at, &a.sa);
    struct listener *ls =
        listener_open(&ts->hub->loop, &a, "tunnel", tunnel_conn_accepted, ts, why, sizeof(why));
    if (!ls) {
        snprintf(err, errlen, "HP_FRP_ADDRESS: %s", why);
    } else {
        log_info(ts->hub->log, "tunnel", 0, "listening at %s (HP_FRP_ADDRESS)%s",
                 listen_format(at, text), ts->tls ? "" : ", without TLS");
    }
    return ls;
}

struct tunnels *tunnels_start(struct hub *hub, char *err, size_t errlen)
{
    struct tunnels *ts = xcalloc(1, sizeof(*ts));
    ts->hub = hub;
    tunnel_link_init(&ts->conns);
    tunnel_link_init(&ts->sessions);
    log_limit_init(&ts->refused, TUNNEL_REFUSED_LINES, TUNNEL_REFUSED_LINES_MS);
    ts->addresses = addresses_new();
    if (!ts->addresses) {
        snprintf(err, errlen, "no random bytes to be had");
        goto fail;
    }
    if (hub->settings.frp_disable_tls) {
        log_warning(hub->log, "tunnel", 0,
                    "tunnels run without TLS: anyone on the way can read and change what passes");
        if (hub->settings.frp_accept_shared_key == FRP_ACCEPT_NONE) {
            log_warning(hub->log, "tunnel", 0,
                        "no Docker engine can log in: without TLS it has no certificate, and "
                        "HP_FRP_ACCEPT_SHARED_KEY=none refuses the shared key");
        }
    } else {
        ts->tls = tunnel_tls(ts, err, errlen);
        if (!ts->tls) {
            goto fail;
        }
        ts->watch.fire = watch_fire;
        timer_set(&hub->loop, &ts->watch, hub->settings.certs_check_interval);
    }
    if (hub->settings.frp_address.kind != LISTEN_OFF) {
        ts->listener = open_listener(ts, err, errlen);
        if (!ts->listener) {
            goto fail;
        }
    }
    return ts;
fail:
    tunnels_free(ts);
    return NULL;
}

void tunnels_stop_accepting(struct tunnels *ts)
{
    ts->stopped = true;
    if (ts->listener) {
        listener_close(ts->listener);
        ts->listener = NULL;
    }
}

void tunnels_free(struct tunnels *ts)
{
    if (!ts) {
        return;
    }
    tunnels_stop_accepting(ts);
    timer_remove(&ts->hub->loop, &ts->watch);
    while (ts->sessions.next != &ts->sessions) {
        tunnel_end(CONTAINER_OF(ts->sessions.next, struct tunnel, link), "the hub ends");
    }
    while (ts->conns.next != &ts->conns) {
        tunnel_conn_end(CONTAINER_OF(ts->conns.next, struct tunnel_conn, link), "the hub ends");
    }
    log_limit_flush(&ts->refused, ts->hub->log, LOG_LEVEL_WARNING, "tunnel");
    for (size_t i = 0; i < TUNNEL_PORTS; i++) {
        free(ts->gone[i]);
    }
    SSL_CTX_free(ts->tls);
    addresses_free(ts->addresses);
    free(ts);
}

void tunnels_watch(struct tunnels *ts, tunnels_offered *offered, void *owner)
{
    ts->offered = offered;
    ts->offered_owner = owner;
}

const struct certs *tunnels_certs(const struct tunnels *ts)
{
    return ts->tls ? &ts->certs : NULL;
}

struct tunnel *tunnels_find(struct tunnels *ts, uint16_t port)
{
    return port >= TUNNEL_APP_FIRST && port <= TUNNEL_ENGINE_LAST
               ? ts->ports[port - TUNNEL_APP_FIRST]
               : NULL;
}

void tunnel_describe(const struct tunnel *t, struct tunnel_info *info)
{
    *info = (struct tunnel_info){
        .name = t->name, .port = t->port, .addr = t->addr, .since = t->since, .kind = t->who.kind};
}

const char *tunnel_who(const struct tunnel *t, char *buf)
{
    _Static_assert((int)TUNNEL_WHO_MAX >= (int)TUNNEL_IDENTITY_TEXT_MAX, "the text has room");
    return tunnel_identity_text(&t->who, buf);
}

void tunnels_each(const struct tunnels *ts, void (*fn)(void *arg, const struct tunnel *t),
                  void *arg)
{
    for (struct tunnel_link *l = ts->sessions.next; l != &ts->sessions; l = l->next) {
        fn(arg, CONTAINER_OF(l, struct tunnel, link));
    }
}

const struct tunnel_gone *tunnels_gone(const struct tunnels *ts, uint16_t port)
{
    const struct tunnel_gone *gone = port >= TUNNEL_APP_FIRST && port <= TUNNEL_ENGINE_LAST &&
                                             !ts->ports[port - TUNNEL_APP_FIRST]
                                         ? ts->gone[port - TUNNEL_APP_FIRST]
                                         : NULL;
    return gone && loop_now(&ts->hub->loop) - gone->at < TUNNEL_GONE_MS ? gone : NULL;
}

bool tunnels_listening(const struct tunnels *ts)
{
    return ts->listener || ts->hub->settings.frp_address.kind == LISTEN_OFF;
}

bool tunnel_serves(const struct tunnel *t, const char *appid)
{
    return t->who.kind != TUNNEL_KIND_APP || str_eq_nocase(str_of(t->who.app.appid), str_of(appid));
}

uint64_t tunnel_generation(const struct tunnel *t)
{
    return t->generation;
}
