/* upstream.h - connections to ExApps: through a tunnel or direct, kept and used again; and to Docker
 * engines, one for each call.
 *
 * Each ExApp has a pool of idle connections, which owns them; upstream_get hands one out, and
 * upstream_put takes it back after a complete exchange. An idle connection that the ExApp closes,
 * or sends something on unasked, is dropped at once.
 *
 * Where an ExApp is: its record's host and port. A loopback host with the port of a live tunnel
 * means that tunnel, unless another ExApp's token opened it; otherwise host:port is connected to, but never
 * one of the hub's own listeners. The ports of Docker engines are no ExApp's: an engine is reached by
 * upstream_engine alone.
 */
#ifndef HARP_HUB_UPSTREAM_H
#define HARP_HUB_UPSTREAM_H

#include "common/stream/stream.h"
#include "hub/access/exapp.h"
#include "hub/hop.h"
#include "hub/tunnel/tunnels.h"

struct hub;
struct upstream_wait;

struct upstream_result {
    struct stream *s; /* the caller owns it now; NULL: failed */
    uint64_t target;  /* generation of the tunnel it goes through; 0 direct */
    bool reused;      /* it served a request before: the ExApp may be closing it just now */
    enum hop hop;     /* where it failed */
    bool timed_out;
    const char *why; /* valid during the call, or as long as the result */
    char text[160];  /* room for it */
};

typedef void upstream_done(void *owner, const struct upstream_result *result);

enum upstream_fresh {
    UPSTREAM_ANY,   /* an idle connection is fine: the request can be sent again */
    UPSTREAM_WARM,  /* only one that was used a moment ago: the request can't be sent again */
    UPSTREAM_FRESH, /* only a new one */
};

/* true: *result is there. false: done follows, unless upstream_cancel(*wait). */
bool upstream_get(struct hub *hub, struct exapp *app, const struct tunnel_origin *origin,
                  enum upstream_fresh fresh, struct upstream_result *result, upstream_done *done,
                  void *owner, struct upstream_wait **wait) MUST_CHECK;
/* The same for the Docker engine of that port, always a new connection: 24000 is the engine of the
 * hub's own host at HP_DOCKER_SOCKET, where that is there; all others are tunnels. */
bool upstream_engine(struct hub *hub, int64_t port, const struct tunnel_origin *origin,
                     struct upstream_result *result, upstream_done *done, void *owner,
                     struct upstream_wait **wait) MUST_CHECK;
/* Whether that port's engine is the one at HP_DOCKER_SOCKET. */
bool upstream_engine_is_local(const struct hub *hub, int64_t port);
void upstream_cancel(struct upstream_wait *wait);
/* Gives a connection back, with the target it came with. The caller must not have anything unread or
 * unsent on it. */
void upstream_put(struct hub *hub, struct exapp *app, struct stream *s, uint64_t target);
/* Closes idle connections and frees the pool. */
void upstream_pool_free(struct upstream_pool *pool);

#endif
