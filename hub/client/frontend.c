#include "hub/client/frontend.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/crypto/tls.h"
#include "common/log/log.h"
#include "common/stream/tls.h"
#include "hub/hub.h"

enum { SPARE_FDS = 64 }; /* descriptors that are not connections: files, listeners, the loop */

static uint16_t port_of(const struct sock_addr *a)
{
    return ntohs(a->sa.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&a->sa)->sin6_port
                                             : ((const struct sockaddr_in *)&a->sa)->sin_port);
}

static void accepted(struct frontend *f, int fd, const struct sock_addr *from, bool tls)
{
    struct hub *hub = f->hub;
    const struct hub_settings *set = &hub->settings;
    struct ip_addr ip = {{0}};
    bool counted = ip_from_sockaddr((const struct sockaddr *)&from->sa, &ip) == 0 &&
                   !ip_set_contains(&set->trusted_proxy_ips, &ip);
    if (f->count >= f->max ||
        (counted && !addresses_enter(f->addresses, &ip, set->max_connections_per_address))) {
        /* Nothing is read from it and nothing said: both would cost what the limit is to save. */
        log_debug(hub->log, "frontend", 0, "connection refused: too many%s",
                  f->count >= f->max ? "" : " from its address");
        close(fd);
        return;
    }
    struct stream *s =
        tls ? tls_accept(&hub->loop, f->tls, fd, NULL, 0) : sock_adopt(&hub->loop, fd);
    if (!s) {
        log_warning(hub->log, "frontend", 0, "connection dropped: %s", strerror(errno));
        if (counted) {
            addresses_leave(f->addresses, &ip);
        }
        return;
    }
    client_new(f, s, &ip, port_of(from), tls)->counted = counted;
}

static void accepted_http(void *owner, int fd, const struct sock_addr *from)
{
    accepted(owner, fd, from, false);
}

static void accepted_https(void *owner, int fd, const struct sock_addr *from)
{
    accepted(owner, fd, from, true);
}

static struct listener *listen_at(struct frontend *f, const struct listen_addr *at,
                                  const char *setting, listener_accept *fn, char *err,
                                  size_t errlen)
{
    struct sock_addr a;
    char why[256], text[LISTEN_TEXT_MAX];
    memset(&a, 0, sizeof(a));
    a.len = listen_sockaddr(at, &a.sa);
    struct listener *ls = listener_open(&f->hub->loop, &a, "frontend", fn, f, why, sizeof(why));
    if (!ls) {
        snprintf(err, errlen, "%s: %s", setting, why);
    } else {
        log_info(f->hub->log, "frontend", 0, "listening at %s (%s)", listen_format(at, text),
                 setting);
    }
    return ls;
}

/* Whether cert.pem, or a file that its key may be in (tls_server_public), was changed, came or went. */
static bool look_at_certificate(struct frontend *f)
{
    static const char *const names[FRONTEND_CERT_FILES] = {"cert.pem", "cert.pem.key", "key.pem"};
    char path[4096];
    bool changed = false;
    for (size_t i = 0; i < FRONTEND_CERT_FILES; i++) {
        snprintf(path, sizeof(path), "%s/%s", f->hub->settings.certs_dir, names[i]);
        changed |= file_stamp_look(&f->cert[i], path);
    }
    return changed;
}

/* NULL: no cert.pem, or it can't be used (told). */
static SSL_CTX *load_certificate(struct frontend *f, bool *there)
{
    struct hub *hub = f->hub;
    char path[4096];
    struct tls_report report = {0};
    look_at_certificate(f); /* before it is read: what is changed meanwhile is seen next time */
    snprintf(path, sizeof(path), "%s/cert.pem", hub->settings.certs_dir);
    *there = access(path, F_OK) == 0;
    if (!*there) {
        return NULL;
    }
    SSL_CTX *ctx = tls_server_public(path, &report);
    if (report.warning[0]) {
        log_warning(hub->log, "frontend", 0, "%s", report.warning);
    }
    if (!ctx) {
        log_error(hub->log, "frontend", 0, "%s", report.error);
    }
    return ctx;
}

static unsigned connection_limit(const struct hub *hub)
{
    struct rlimit lim = {0};
    if (hub->settings.max_connections > 0) {
        return (unsigned)hub->settings.max_connections;
    }
    getrlimit(RLIMIT_NOFILE, &lim);
    rlim_t usable = lim.rlim_cur > SPARE_FDS ? lim.rlim_cur - SPARE_FDS : 1;
    /* A direct connection to an ExApp takes a second descriptor. */
    return (unsigned)(MIN(usable, (rlim_t)1000000) / 2);
}

static void watch_fire(struct timer *t)
{
    struct frontend *f = CONTAINER_OF(t, struct frontend, watch);
    if (look_at_certificate(f)) {
        frontend_reload(f);
    }
    timer_set(&f->hub->loop, t, f->hub->settings.certs_check_interval);
}

struct frontend *frontend_start(struct hub *hub, char *err, size_t errlen)
{
    const struct hub_settings *set = &hub->settings;
    struct frontend *f = xcalloc(1, sizeof(*f));
    bool there;
    f->hub = hub;
    f->clients.prev = f->clients.next = &f->clients;
    f->upgraded.prev = f->upgraded.next = &f->upgraded;
    f->addresses = addresses_new();
    f->max = connection_limit(hub);
    f->http_at = set->exapps_address;
    f->https_at = set->exapps_https_address;
    if (!f->addresses) {
        snprintf(err, errlen, "no random bytes to be had");
        goto fail;
    }
    if (f->http_at.kind != LISTEN_OFF) {
        f->http = listen_at(f, &f->http_at, "HP_EXAPPS_ADDRESS", accepted_http, err, errlen);
        if (!f->http) {
            goto fail;
        }
    }
    f->tls = load_certificate(f, &there);
    if (there && !f->tls) {
        snprintf(err, errlen,
                 "%s/cert.pem can't be used; mend it, or remove it to run without "
                 "HTTPS",
                 set->certs_dir);
        goto fail;
    }
    if (f->tls && f->https_at.kind != LISTEN_OFF) {
        f->https =
            listen_at(f, &f->https_at, "HP_EXAPPS_HTTPS_ADDRESS", accepted_https, err, errlen);
        if (!f->https) {
            goto fail;
        }
    }
    f->watch.fire = watch_fire;
    timer_set(&hub->loop, &f->watch, set->certs_check_interval);
    return f;
fail:
    frontend_free(f);
    return NULL;
}

/* HTTPS begins while the hub runs. */
static void begin_https(struct frontend *f)
{
    char err[512];
    f->https =
        listen_at(f, &f->https_at, "HP_EXAPPS_HTTPS_ADDRESS", accepted_https, err, sizeof(err));
    if (!f->https) {
        log_error(f->hub->log, "frontend", 0, "no HTTPS: %s", err);
        f->cert[0] = (struct file_stamp){0}; /* as if it came anew: the next look tries again */
    }
}

void frontend_reload(struct frontend *f)
{
    bool there;
    if (f->hub->stopping || f->https_at.kind == LISTEN_OFF) {
        return;
    }
    SSL_CTX *ctx = load_certificate(f, &there);
    if (ctx) {
        SSL_CTX_free(f->tls); /* connections that run keep their own reference */
        f->tls = ctx;
        log_info(f->hub->log, "frontend", 0, "cert.pem was read%s", f->https ? " again" : "");
        if (!f->https) {
            begin_https(f);
        }
    } else if (f->https) {
        log_warning(f->hub->log, "frontend", 0, "the certificate in use is kept: cert.pem %s",
                    there ? "can't be used" : "is gone");
    }
}

void frontend_stop(struct frontend *f)
{
    if (f->http) {
        listener_close(f->http);
        f->http = NULL;
    }
    if (f->https) {
        listener_close(f->https);
        f->https = NULL;
    }
    for (struct client *c = f->clients.next, *next; c != &f->clients; c = next) {
        next = c->next;
        client_stop(c);
    }
}

static void end_all(struct client *ring)
{
    while (ring->next != ring) {
        client_end(ring->next, "the hub ends");
    }
}

void frontend_free(struct frontend *f)
{
    if (f) {
        frontend_stop(f);
        timer_remove(&f->hub->loop, &f->watch);
        end_all(&f->clients);
        end_all(&f->upgraded);
        SSL_CTX_free(f->tls);
        addresses_free(f->addresses);
        free(f);
    }
}
