#include "hub/client/upstream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log/log.h"
#include "common/stream/dial.h"
#include "hub/hub.h"

enum { WARM_MS = 1000 };

/* An idle connection; LIFO, so that few are used often and the rest can end. */
struct idle {
    struct idle *prev, *next; /* ring; prev is older */
    struct upstream_pool *pool;
    struct stream *s;
    uint64_t since;
};

struct upstream_pool {
    struct hub *hub;
    struct idle ring; /* ring.prev is the newest, ring.next the oldest */
    unsigned n;
    uint64_t target; /* generation of the tunnel that the idle ones belong to; 0 direct */
    struct timer expire;
};

struct upstream_wait {
    struct hub *hub;
    struct tunnel_wait *tunnel;
    struct dial *dial;
    uint64_t target;
    enum hop hop;         /* where it fails if dialling does */
    bool own_port;        /* the port is one the hub listens at, here or elsewhere */
    uint16_t tunnel_port; /* the direct way was taken as no tunnel offers this port; else 0 */
    upstream_done *done;
    void *owner;
};

/* ---- the pool ---- */

static void forget(struct idle *i)
{
    i->prev->next = i->next;
    i->next->prev = i->prev;
    i->pool->n--;
    free(i);
}

static void drop(struct idle *i)
{
    stream_close(i->s);
    forget(i);
}

static size_t idle_data(void *owner, struct stream *s UNUSED, const char *p UNUSED, size_t n)
{
    drop(owner); /* an answer that nobody asked for: this connection can't be trusted */
    return n;
}

static void idle_eof(void *owner, struct stream *s UNUSED)
{
    drop(owner);
}

static void idle_closed(void *owner, struct stream *s UNUSED, const char *why UNUSED)
{
    forget(owner);
}

static const struct stream_events idle_events = {
    .data = idle_data,
    .eof = idle_eof,
    .closed = idle_closed,
};

static void expire_fire(struct timer *t)
{
    struct upstream_pool *pool = CONTAINER_OF(t, struct upstream_pool, expire);
    uint64_t limit = pool->hub->settings.upstream_idle_timeout, now = loop_now(&pool->hub->loop);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): forget() takes it out of the ring */
    while (pool->n > 0 && now - pool->ring.next->since >= limit) {
        drop(pool->ring.next);
    }
    if (pool->n > 0) {
        timer_set(&pool->hub->loop, t, pool->ring.next->since + limit - now);
    }
}

static struct upstream_pool *pool_of(struct hub *hub, struct exapp *app)
{
    if (!app->pool) {
        struct upstream_pool *pool = xcalloc(1, sizeof(*pool));
        pool->hub = hub;
        pool->ring.prev = pool->ring.next = &pool->ring;
        pool->expire.fire = expire_fire;
        app->pool = pool;
    }
    return app->pool;
}

static void drop_all(struct upstream_pool *pool)
{
    /* NOLINTBEGIN(clang-analyzer-unix.Malloc): as above */
    while (pool->n > 0) {
        drop(pool->ring.next);
    }
    /* NOLINTEND(clang-analyzer-unix.Malloc) */
}

void upstream_pool_free(struct upstream_pool *pool)
{
    if (pool) {
        drop_all(pool);
        timer_remove(&pool->hub->loop, &pool->expire);
        free(pool);
    }
}

static struct tunnel *tunnel_for(struct hub *hub, const struct exapp *app)
{
    struct tunnel *t = tunnels_find(hub->tunnels, app->meta.port);
    return t && app->loopback ? t : NULL;
}

void upstream_put(struct hub *hub, struct exapp *app, struct stream *s, uint64_t target)
{
    if (hub->stopping || app->retired || hub->settings.upstream_idle_timeout == 0) {
        stream_close(s);
        return;
    }
    struct upstream_pool *pool = pool_of(hub, app);
    if (pool->n >= hub->settings.upstream_idle_connections ||
        (pool->n > 0 && pool->target != target)) {
        stream_close(s);
        return;
    }
    struct idle *i = xmalloc(sizeof(*i));
    i->pool = pool;
    i->s = s;
    i->since = loop_now(&hub->loop);
    i->next = &pool->ring;
    i->prev = pool->ring.prev;
    i->prev->next = i->next->prev = i;
    pool->n++;
    pool->target = target;
    if (pool->expire.due == 0) {
        timer_set(&hub->loop, &pool->expire, hub->settings.upstream_idle_timeout);
    }
    stream_own(s, &idle_events, i);
    stream_resume(s);
}

static struct stream *take_idle(struct hub *hub, struct upstream_pool *pool, uint64_t target,
                                enum upstream_fresh fresh)
{
    if (pool->n > 0 && pool->target != target) {
        drop_all(pool); /* the tunnel came, went, or is another one */
    }
    if (pool->n == 0 || fresh == UPSTREAM_FRESH) {
        return NULL;
    }
    struct idle *i = pool->ring.prev;
    if (fresh == UPSTREAM_WARM && loop_now(&hub->loop) - i->since > WARM_MS) {
        return NULL;
    }
    struct stream *s = i->s;
    forget(i);
    return s;
}

/* ---- new connections ---- */

static void finish(struct upstream_wait *w, const struct upstream_result *result)
{
    upstream_done *done = w->done;
    void *owner = w->owner;
    free(w);
    done(owner, result);
}

static void tunnel_ready(void *owner, struct stream *s, bool timed_out, const char *why)
{
    struct upstream_wait *w = owner;
    finish(w, &(struct upstream_result){.s = s,
                                        .target = w->target,
                                        .hop = s ? HOP_NONE : HOP_TUNNEL,
                                        .why = why,
                                        .timed_out = timed_out});
}

static const char own_listener_text[] = "the ExApp's address is one of the hub's own listeners";

static bool own_port(const struct hub *hub, uint16_t port)
{
    const struct hub_settings *set = &hub->settings;
    const struct listen_addr *own[] = {&set->exapps_address, &set->exapps_https_address,
                                       &set->frp_address, &set->admin_address};
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        if (own[i]->kind == LISTEN_TCP && own[i]->port == port) {
            return true;
        }
    }
    return false;
}

/* Whether the connection leads to this machine, whatever name or address it was opened by: then both
 * its ends have the same address, or the other one is a loopback address. */
static bool to_this_machine(const struct stream *s)
{
    struct sock_addr here, there;
    struct ip_addr a, b;
    if (sock_ends(s, &here, &there) < 0 ||
        ip_from_sockaddr((const struct sockaddr *)&here.sa, &a) < 0 ||
        ip_from_sockaddr((const struct sockaddr *)&there.sa, &b) < 0) {
        return false;
    }
    return ip_is_loopback(&b) || ip_equal(&a, &b);
}

/* What to do about a socket that is there and that the hub may not use. */
static const char *socket_remedy(const struct hub *hub, const char *why, char *text, size_t size)
{
    const char *path = hub->settings.docker_socket;
    struct stat st;
    if (access(path, W_OK) == 0 || errno != EACCES || stat(path, &st) < 0) {
        return why;
    }
    snprintf(
        text, size,
        "%s: the hub is user %u, who is not in the socket's group %u; start its container with "
        "--group-add %u (group_add in a compose file), or as root with HP_USER",
        why, (unsigned)geteuid(), (unsigned)st.st_gid, (unsigned)st.st_gid);
    return text;
}

static void dial_ready(void *owner, struct stream *s, bool timed_out, const char *why)
{
    struct upstream_wait *w = owner;
    struct upstream_result result = {.s = s, .why = why, .timed_out = timed_out};
    char text[400];
    if (s && w->own_port && to_this_machine(s)) {
        stream_close(s);
        result.s = NULL;
        result.hop = HOP_HUB;
        result.why = own_listener_text;
    } else if (!s) {
        result.hop = w->hop;
        if (w->tunnel_port != 0) {
            /* What is missing is most likely the tunnel, not a server on the hub's own host. */
            result.hop = HOP_TUNNEL;
            snprintf(text, sizeof(text), "no tunnel offers port %u, and %s", w->tunnel_port, why);
            result.why = text;
        } else if (w->hop == HOP_ENGINE) {
            result.why = socket_remedy(w->hub, why, text, sizeof(text));
        }
    }
    finish(w, &result);
}

static bool failed(struct upstream_result *result, enum hop hop, const char *why)
{
    *result = (struct upstream_result){.hop = hop, .why = why};
    return true;
}

static struct upstream_wait *wait_new(struct hub *hub, enum hop hop, uint64_t target,
                                      upstream_done *done, void *owner)
{
    struct upstream_wait *w = xcalloc(1, sizeof(*w));
    *w = (struct upstream_wait){
        .hub = hub, .hop = hop, .target = target, .done = done, .owner = owner};
    return w;
}

/* As upstream_get. A connection of the tunnel t; w is freed if it is there at once. */
static bool through_tunnel(struct tunnel *t, struct upstream_wait *w,
                           const struct tunnel_origin *origin, struct upstream_result *result)
{
    const char *why = NULL;
    struct stream *s = tunnel_take(t, origin, tunnel_ready, w, &w->tunnel, &why);
    if (!s && w->tunnel) {
        return false;
    }
    *result = (struct upstream_result){
        .s = s, .target = w->target, .hop = s ? HOP_NONE : HOP_TUNNEL, .why = why};
    free(w);
    return true;
}

bool upstream_engine_is_local(const struct hub *hub, int64_t port)
{
    return port == TUNNEL_ENGINE_FIRST && access(hub->settings.docker_socket, F_OK) == 0;
}

bool upstream_engine(struct hub *hub, int64_t port, const struct tunnel_origin *origin,
                     struct upstream_result *result, upstream_done *done, void *owner,
                     struct upstream_wait **wait)
{
    *wait = NULL;
    if (port < TUNNEL_ENGINE_FIRST || port > TUNNEL_ENGINE_LAST) {
        return failed(result, HOP_HUB, "the ports of Docker engines are 24000 to 24099");
    }
    if (upstream_engine_is_local(hub, port)) {
        hub->local_engine_seen = true;
        *wait = wait_new(hub, HOP_ENGINE, 0, done, owner);
        (*wait)->dial = dial_unix(&hub->loop, hub->settings.docker_socket,
                                  hub->settings.timeout_connect, dial_ready, *wait);
        return false;
    }
    struct tunnel *t = tunnels_find(hub->tunnels, (uint16_t)port);
    if (!t && port == TUNNEL_ENGINE_FIRST) {
        return failed(result, HOP_ENGINE, "there is no socket at HP_DOCKER_SOCKET");
    }
    if (!t) {
        failed(result, HOP_TUNNEL, result->text);
        snprintf(result->text, sizeof(result->text), "no tunnel client offers port %lld",
                 (long long)port);
        return true;
    }
    struct upstream_wait *w = wait_new(hub, HOP_TUNNEL, tunnel_generation(t), done, owner);
    if (through_tunnel(t, w, origin, result)) {
        return true;
    }
    *wait = w;
    return false;
}

/* The record names a port that another ExApp has: what is asked of the one must not reach the other. */
static bool failed_at_others(struct upstream_result *result, const struct tunnel *t)
{
    struct tunnel_info info;
    tunnel_describe(t, &info);
    failed(result, HOP_TUNNEL, result->text);
    snprintf(result->text, sizeof(result->text), "the tunnel at port %u is that of the ExApp %s",
             info.port, info.name);
    return true;
}

bool upstream_get(struct hub *hub, struct exapp *app, const struct tunnel_origin *origin,
                  enum upstream_fresh fresh, struct upstream_result *result, upstream_done *done,
                  void *owner, struct upstream_wait **wait)
{
    *wait = NULL;
    if (app->loopback && app->meta.port >= TUNNEL_ENGINE_FIRST &&
        app->meta.port <= TUNNEL_ENGINE_LAST) {
        return failed(result, HOP_HUB, "the ExApp's port is one of those for Docker engines");
    }
    struct tunnel *t = tunnel_for(hub, app);
    if (t && !tunnel_serves(t, app->meta.id)) {
        return failed_at_others(result, t);
    }
    uint64_t target = t ? tunnel_generation(t) : 0;
    struct stream *s = app->pool ? take_idle(hub, app->pool, target, fresh) : NULL;
    if (s) {
        *result = (struct upstream_result){.s = s, .target = target, .reused = true};
        return true;
    }
    struct upstream_wait *w = wait_new(hub, HOP_EXAPP, target, done, owner);
    if (t) {
        if (through_tunnel(t, w, origin, result)) {
            return true;
        }
    } else {
        w->own_port = own_port(hub, app->meta.port);
        if (w->own_port && app->loopback) {
            free(w);
            return failed(result, HOP_HUB, own_listener_text);
        }
        if (app->loopback && app->meta.port >= TUNNEL_APP_FIRST &&
            app->meta.port <= TUNNEL_APP_LAST) {
            w->tunnel_port = app->meta.port;
        }
        w->dial = dial_start(&hub->loop, hub->resolver, app->meta.host, app->meta.port,
                             hub->settings.timeout_connect, dial_ready, w);
    }
    *wait = w;
    return false;
}

void upstream_cancel(struct upstream_wait *w)
{
    if (w->tunnel) {
        tunnel_cancel(w->tunnel);
    } else {
        dial_cancel(w->dial);
    }
    free(w);
}
