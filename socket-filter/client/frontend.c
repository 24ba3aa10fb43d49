#include "socket-filter/client/frontend.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/config/values.h"
#include "common/crypto/tls.h"
#include "common/stream/tls.h"
#include "common/system/user.h"
#include "socket-filter/client/identity.h"
#include "socket-filter/client/client.h"

struct frontend {
    struct filter *f;
    struct listening *all;
    size_t n;
    struct client clients;  /* head of the ring */
    struct client upgraded; /* head of the ring of relays */
    unsigned count;         /* both rings */
    struct timer watch;     /* of certificates */
};

/* ---- clients ---- */

static void ring_add(struct client *head, struct client *c)
{
    c->next = head;
    c->prev = head->prev;
    c->prev->next = c->next->prev = c;
}

static void ring_remove(struct client *c)
{
    c->prev->next = c->next;
    c->next->prev = c->prev;
}

void frontend_enter(struct client *c)
{
    struct frontend *fe = c->f->frontend;
    ring_add(&fe->clients, c);
    fe->count++;
    c->f->metrics.connections++;
}

void frontend_upgraded(struct client *c)
{
    ring_remove(c);
    ring_add(&c->f->frontend->upgraded, c);
}

void frontend_leave(struct client *c)
{
    ring_remove(c);
    c->f->frontend->count--;
}

unsigned frontend_clients(const struct frontend *fe)
{
    return fe->count;
}

bool frontend_busy(const struct frontend *fe)
{
    return fe->clients.next != &fe->clients;
}

static void accepted(void *owner, int fd, const struct sock_addr *from)
{
    struct listening *at = owner;
    struct filter *f = at->f;
    struct ip_addr ip = {{0}};
    bool tcp = from->sa.ss_family == AF_INET || from->sa.ss_family == AF_INET6;
    if (tcp && ip_from_sockaddr((const struct sockaddr *)&from->sa, &ip) < 0) {
        close(fd);
        return;
    }
    bool banned = tcp && f->bans && bans_banned(f->bans, &ip, loop_now(&f->loop));
    if (banned || f->frontend->count >= (unsigned)f->settings.max_connections) {
        /* Nothing is read from it and nothing said: both would cost what the limit is to save. */
        f->metrics.refused_connections++;
        log_debug(f->log, "client", 0, "connection refused: %s", banned ? "banned" : "too many");
        close(fd);
        return;
    }
    struct stream *s =
        at->tls ? tls_accept(&f->loop, at->tls, fd, NULL, 0) : sock_adopt(&f->loop, fd);
    if (!s) {
        log_warning(f->log, "client", 0, "connection dropped: %s", strerror(errno));
        return;
    }
    struct client *c = client_new(at, s);
    c->addr = ip;
    c->tcp = tcp;
    const char *why = at->tls ? NULL : frontend_identify(c);
    if (why) {
        client_end(c, why);
    }
}

/* ---- who it is ---- */

static void set_policy(struct client *c, const char *name)
{
    c->policy = *name ? policies_find(c->f->settings.policies, str_of(name)) : NULL;
}

static void peer_name(struct client *c)
{
    if (c->tcp) {
        char text[IP_TEXT_MAX];
        snprintf(c->name, sizeof(c->name), "%s", ip_format(&c->addr, text));
        return;
    }
    struct ucred cred;
    socklen_t len = sizeof(cred);
    if (getsockopt(((struct sock *)c->s)->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0) {
        snprintf(c->name, sizeof(c->name), "uid %u", (unsigned)cred.uid);
    } else {
        snprintf(c->name, sizeof(c->name), "a local program");
    }
}

const char *frontend_identify(struct client *c)
{
    const struct filter_listener *set = c->at->set;
    X509 *cert = NULL;
    peer_name(c);
    if (!set || set->exapp) {
        return NULL;
    }
    set_policy(c, set->policy);
    if (*set->client_ca) {
        cert = SSL_get0_peer_certificate(tls_ssl(c->s));
        if (!cert) {
            return "the client showed no certificate";
        }
        const char *policy = identity_find(set, cert, c->name, sizeof(c->name));
        if (policy) {
            set_policy(c, policy);
        }
    }
    return c->policy ? NULL : "the client's certificate has no policy, and the listener has none";
}

enum frontend_credentials frontend_authorize(struct client *c, const struct http_request *r)
{
    struct filter *f = c->f;
    uint64_t now = loop_now(&f->loop);
    if (!*c->at->set->user) {
        return FRONTEND_GOOD;
    }
    if (c->tcp && bans_banned(f->bans, &c->addr, now)) {
        return FRONTEND_BANNED;
    }
    if (identity_basic(r, &c->at->credentials)) {
        return FRONTEND_GOOD;
    }
    if (c->tcp) {
        bans_failure(f->bans, &c->addr, now, "authentication", NULL);
        c->x.keep_alive &= !bans_banned(f->bans, &c->addr, now);
    }
    return FRONTEND_WRONG;
}

/* ---- certificates ---- */

static SSL_CTX *load_tls(struct filter *f, const struct filter_listener *set, char *err,
                         size_t errlen)
{
    struct tls_report report = {0};
    const char *key = *set->key ? set->key : set->certificate;
    SSL_CTX *ctx = *set->client_ca
                       ? tls_server_tunnel(set->certificate, key, set->client_ca, &report)
                   : *set->key ? tls_server_public_pair(set->certificate, key, &report)
                               : tls_server_public(set->certificate, &report);
    if (report.warning[0]) {
        log_warning(f->log, "listener", 0, "%s", report.warning);
    }
    if (!ctx) {
        snprintf(err, errlen, "listener %s: %s", set->text, report.error);
    }
    return ctx;
}

/* Listeners with the same files share what is made of them: those to ExApps can be a thousand. NULL: none of
 * the first n does. */
static const struct listening *same_tls(const struct frontend *fe, size_t n,
                                        const struct filter_listener *set)
{
    for (size_t i = 0; i < n; i++) {
        const struct filter_listener *other = fe->all[i].set;
        if (fe->all[i].tls && strcmp(other->certificate, set->certificate) == 0 &&
            strcmp(other->key, set->key) == 0 && strcmp(other->client_ca, set->client_ca) == 0) {
            return &fe->all[i];
        }
    }
    return NULL;
}

/* Whether a file of the listener's was changed, came or went. */
static bool look_at_files(struct listening *at)
{
    const char *const paths[LISTENING_FILES] = {at->set->certificate, at->set->key,
                                                at->set->client_ca};
    bool changed = false;
    for (size_t i = 0; i < LISTENING_FILES; i++) {
        changed |= *paths[i] && file_stamp_look(&at->files[i], paths[i]);
    }
    return changed;
}

static void read_again(struct frontend *fe, struct listening *at)
{
    char err[TLS_TEXT_SIZE + LISTEN_TEXT_MAX + 32];
    const struct listening *same = same_tls(fe, (size_t)(at - fe->all), at->set);
    SSL_CTX *ctx = same ? same->tls : load_tls(fe->f, at->set, err, sizeof(err));
    if (!ctx) {
        log_error(fe->f->log, "listener", 0, "the certificate in use is kept: %s", err);
        return;
    }
    if (!same) {
        log_info(fe->f->log, "listener", 0, "%s: the certificate was read again", at->set->text);
    }
    if (ctx != at->tls && (!same || SSL_CTX_up_ref(ctx) == 1)) {
        SSL_CTX_free(at->tls); /* connections that run keep their own reference */
        at->tls = ctx;
    }
}

void frontend_reload(struct frontend *fe)
{
    for (size_t i = 0; i < fe->n; i++) {
        if (fe->all[i].tls) {
            look_at_files(&fe->all[i]); /* before they are read */
            read_again(fe, &fe->all[i]);
        }
    }
}

static void watch_fire(struct timer *t)
{
    struct frontend *fe = CONTAINER_OF(t, struct frontend, watch);
    for (size_t i = 0; i < fe->n; i++) {
        if (fe->all[i].tls && look_at_files(&fe->all[i])) {
            read_again(fe, &fe->all[i]);
        }
    }
    timer_set(&fe->f->loop, t, fe->f->settings.certificate_check_interval);
}

static void watch_files(struct frontend *fe)
{
    bool any = false;
    for (size_t i = 0; i < fe->n; i++) {
        any |= fe->all[i].tls != NULL;
    }
    fe->watch.fire = watch_fire;
    timer_set(&fe->f->loop, &fe->watch, any ? fe->f->settings.certificate_check_interval : 0);
}

static int group_of(const char *name, gid_t *gid, char *err, size_t errlen)
{
    int64_t number;
    *gid = (gid_t)-1;
    if (!*name) {
        return 0;
    }
    if (value_parse_int(str_of(name), 0, UINT32_MAX - 1, &number) == 0) {
        *gid = (gid_t)number;
        return 0;
    }
    const struct group *g = getgrnam(name);
    if (!g) {
        snprintf(err, errlen, "there is no group '%.64s' on this system", name);
        return -1;
    }
    *gid = g->gr_gid;
    return 0;
}

/* A socket is made with root's rights, and belongs to whom the program is about to become. */
static int owner_of(const struct filter_settings *set, uid_t *uid, char *err, size_t errlen)
{
    struct user user;
    if (user_find(set->sandbox ? set->user : "", &user, err, errlen) < 0) {
        return -1;
    }
    *uid = user.change && geteuid() == 0 ? user.uid : 0;
    return 0;
}

/* ---- sockets that a service manager hands over ---- */

struct handed {
    struct service_socket *sockets;
    size_t n;
};

/* -1: there is none of that name. */
static int take_named(const struct handed *h, const char *name, char *err, size_t errlen)
{
    int fd = -1;
    snprintf(err, errlen, "no service manager handed over a socket of that name");
    for (size_t i = 0; i < h->n; i++) {
        if (strcmp(h->sockets[i].name, name) != 0) {
            continue;
        }
        if (fd >= 0) {
            snprintf(err, errlen,
                     "several sockets of that name were handed over; a socket unit with one "
                     "ListenStream= and a FileDescriptorName= of its own is needed for each");
            return -1; /* which one is meant would be a guess; the program ends */
        }
        fd = h->sockets[i].fd;
    }
    for (size_t i = 0; fd >= 0 && i < h->n; i++) {
        h->sockets[i].fd = h->sockets[i].fd == fd ? -1 : h->sockets[i].fd;
    }
    return fd;
}

/* One socket, and one listener that has an address: it is meant, so that a unit with a socket needs no other
 * configuration. -1: it is not so. */
static int take_only(const struct filter_settings *set, const struct handed *h)
{
    int fd = -1;
    if (h->n == 1 && set->nlisteners == 1 && !*set->listeners[0].socket) {
        fd = h->sockets[0].fd;
        h->sockets[0].fd = -1;
    }
    return fd;
}

static void address_of(int fd, struct listen_addr *at)
{
    struct sock_addr a;
    memset(&a, 0, sizeof(a));
    a.len = sizeof(a.sa);
    *at = (struct listen_addr){.kind = LISTEN_OFF};
    if (getsockname(fd, (struct sockaddr *)&a.sa, &a.len) < 0) {
        return;
    }
    if (a.sa.ss_family == AF_UNIX) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)&a.sa;
        at->kind = LISTEN_UNIX;
        snprintf(at->path, sizeof(at->path), "%.*s", (int)sizeof(un->sun_path) - 1, un->sun_path);
    } else if (ip_from_sockaddr((const struct sockaddr *)&a.sa, &at->ip) == 0) {
        at->kind = LISTEN_TCP;
        at->port =
            ntohs(a.sa.ss_family == AF_INET ? ((const struct sockaddr_in *)&a.sa)->sin_port
                                            : ((const struct sockaddr_in6 *)&a.sa)->sin6_port);
    }
}

/* What holds for an address in the settings holds for one that a unit has. only: its address takes
 * the place of the listener's own. */
static struct listener *adopt(struct listening *at, int fd, bool only, char *err, size_t errlen)
{
    struct filter_listener *set = &at->f->settings.listeners[at - at->f->frontend->all];
    struct listen_addr addr;
    address_of(fd, &addr);
    const char *why = filter_listener_exposed(set, &addr);
    if (!why && addr.kind == LISTEN_UNIX && filter_same_socket(&addr, &at->f->settings.docker)) {
        why = "the socket that was handed over is the engine's own";
    }
    if (why) {
        snprintf(err, errlen, "%s", why);
        close(fd);
        return NULL;
    }
    if (only) {
        set->at = addr;
        filter_listener_name(set);
    }
    return listener_adopt(&at->f->loop, fd, "filter", accepted, at, err, errlen);
}

/* ---- listeners ---- */

static struct listener *open_at(struct listening *at, const struct listen_addr *addr, mode_t mode,
                                const char *group, char *err, size_t errlen)
{
    struct loop *loop = &at->f->loop;
    struct sock_addr a;
    struct listener_unix rights = {.mode = mode};
    if (addr->kind == LISTEN_UNIX) {
        return group_of(group, &rights.gid, err, errlen) < 0 ||
                       owner_of(&at->f->settings, &rights.uid, err, errlen) < 0
                   ? NULL
                   : listener_open_unix(loop, addr->path, &rights, "filter", accepted, at, err,
                                        errlen);
    }
    memset(&a, 0, sizeof(a));
    a.len = listen_sockaddr(addr, &a.sa);
    return listener_open(loop, &a, "filter", accepted, at, err, errlen);
}

/* What a client's credentials are compared with. */
static int set_credentials(struct listening *at)
{
    char text[FILTER_USER_MAX + 1 + FILTER_PASSWORD_MAX + 1];
    snprintf(text, sizeof(text), "%s:%s", at->set->user, at->set->password);
    int rc = secret_set(&at->credentials, str_of(text));
    secret_wipe(text, sizeof(text));
    return rc;
}

static void tell_opened(const struct listening *at)
{
    const struct filter_listener *set = at->set;
    log_info(at->f->log, "listener", 0, "%s: policy %s%s%s%s", set->text,
             set->exapp     ? "none, to ExApps"
             : *set->policy ? set->policy
                            : "by certificate",
             *set->client_ca ? ", client certificates"
             : at->tls       ? ", TLS"
                             : "",
             *set->user ? ", password" : "", set->report == FILTER_REPORT ? ", report only" : "");
}

static int open_one(struct listening *at, const struct handed *h, char *err, size_t errlen)
{
    const struct filter_listener *set = at->set;
    const struct frontend *fe = at->f->frontend;
    char why[512] = "";
    if (*set->user && set_credentials(at) < 0) {
        snprintf(err, errlen, "no random bytes to be had");
        return -1;
    }
    if (*set->certificate) {
        const struct listening *same = same_tls(fe, (size_t)(at - fe->all), set);
        look_at_files(at); /* before they are read */
        at->tls =
            same && SSL_CTX_up_ref(same->tls) == 1 ? same->tls : load_tls(at->f, set, err, errlen);
        if (!at->tls) {
            return -1;
        }
    }
    int fd = take_only(&at->f->settings, h);
    if (fd >= 0) {
        at->listener = adopt(at, fd, true, why, sizeof(why));
    } else if (*set->socket) {
        fd = take_named(h, set->socket, why, sizeof(why));
        at->listener = fd < 0 ? NULL : adopt(at, fd, false, why, sizeof(why));
    } else {
        at->listener = open_at(at, &set->at, (mode_t)set->mode, set->group, why, sizeof(why));
    }
    if (!at->listener) {
        snprintf(err, errlen, "listener %s: %s", set->text, why);
        return -1;
    }
    tell_opened(at);
    return 0;
}

struct frontend *frontend_start(struct filter *f, struct service_socket *sockets, size_t n,
                                char *err, size_t errlen)
{
    const struct filter_settings *set = &f->settings;
    struct frontend *fe = xcalloc(1, sizeof(*fe));
    fe->f = f;
    f->frontend = fe;
    fe->clients.prev = fe->clients.next = &fe->clients;
    fe->upgraded.prev = fe->upgraded.next = &fe->upgraded;
    const struct handed handed = {sockets, n};
    fe->all = xcalloc(set->nlisteners + 1, sizeof(*fe->all));
    for (size_t i = 0; i < set->nlisteners; i++) {
        struct listening *at = &fe->all[fe->n++];
        at->f = f;
        at->set = &set->listeners[i];
        if (open_one(at, &handed, err, errlen) < 0) {
            goto fail;
        }
    }
    if (set->admin.kind == LISTEN_UNIX) {
        char why[512] = "";
        struct listening *at = &fe->all[fe->n++];
        at->f = f;
        at->listener = open_at(at, &set->admin, 0600, "", why, sizeof(why));
        if (!at->listener) {
            snprintf(err, errlen, "admin: %s", why);
            goto fail;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (sockets[i].fd >= 0) {
            log_warning(f->log, "listener", 0,
                        "a socket named '%s' was handed over, which no "
                        "listener names: closed",
                        sockets[i].name);
            close(sockets[i].fd);
        }
    }
    watch_files(fe);
    return fe;
fail:
    f->frontend = NULL;
    frontend_free(fe);
    return NULL;
}

void frontend_stop(struct frontend *fe)
{
    for (size_t i = 0; i < fe->n; i++) {
        if (fe->all[i].listener) {
            listener_close(fe->all[i].listener);
            fe->all[i].listener = NULL;
        }
    }
    for (struct client *c = fe->clients.next, *next; c != &fe->clients; c = next) {
        next = c->next;
        client_stop(c);
    }
}

static void end_all(struct client *ring)
{
    while (ring->next != ring) {
        client_end(ring->next, "the program ends");
    }
}

void frontend_free(struct frontend *fe)
{
    if (fe) {
        frontend_stop(fe);
        timer_remove(&fe->f->loop, &fe->watch);
        end_all(&fe->clients);
        end_all(&fe->upgraded);
        for (size_t i = 0; i < fe->n; i++) {
            SSL_CTX_free(fe->all[i].tls);
            secret_clear(&fe->all[i].credentials);
        }
        free(fe->all);
        free(fe);
    }
}
