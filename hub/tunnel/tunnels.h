/* tunnels.h - the tunnel server: frp clients that log in, and the ports they offer.
 *
 * Speaks frp's wire protocol v1 (github.com/fatedier/frp): TLS or plain TCP, yamux or one TCP
 * connection per stream. One session offers one port, in 23000..23999 (ExApps) or 24000..24099
 * (Docker engines). No local port is opened: whoever wants to reach what is behind a port takes a
 * work connection here, which is a stream to the unix socket or address at the other end.
 *
 * tunnels.c         the server: listener, table of ports and sessions
 * tunnel_conn.c     an accepted connection up to its first message: TLS, yamux, time and number limits
 * tunnel_identity.c who a client is, by token and certificate, and what it may open
 * tunnel.c          a session after its login: messages, proxies, end
 * tunnel_work.c     its work connections: the pool, those who wait, the time limit
 */
#ifndef HARP_HUB_TUNNELS_H
#define HARP_HUB_TUNNELS_H

#include "common/config/ip.h"
#include "common/stream/stream.h"

struct certs;
struct hub;
struct tunnel;
struct tunnels;
struct tunnel_wait;

enum {
    TUNNEL_APP_FIRST = 23000,
    TUNNEL_APP_LAST = 23999,
    TUNNEL_ENGINE_FIRST = 24000,
    TUNNEL_ENGINE_LAST = 24099,
};

/* What a client logged in with; tunnel_identity.h has the rules. */
enum tunnel_kind {
    TUNNEL_KIND_SHARED, /* the shared key */
    TUNNEL_KIND_APP,    /* a token of one ExApp */
    TUNNEL_KIND_ENGINE, /* a certificate of a Docker engine */
};

struct tunnel_info {
    const char *name; /* of its proxy, "" when it has none; the tunnel's */
    uint16_t port;    /* of its proxy; 0 none */
    struct ip_addr addr;
    uint64_t since; /* when it logged in, loop_now's ms */
    enum tunnel_kind kind;
};

enum { TUNNEL_WHO_MAX = 256, TUNNEL_GONE_MS = 24 * 3600 * 1000 };

/* A port that was offered, and is not any more. */
struct tunnel_gone {
    uint64_t at; /* loop_now's ms */
    char name[128 + 1];
};

/* Where a request came from and what it was addressed to; told to the other end. */
struct tunnel_origin {
    struct ip_addr src, dst;
    uint16_t src_port, dst_port;
};

/* Starts listening. NULL: err says why. */
struct tunnels *tunnels_start(struct hub *hub, char *err, size_t errlen) MUST_CHECK;
/* Accepts no further sessions; those that run go on, so that requests can finish. */
void tunnels_stop_accepting(struct tunnels *ts);
void tunnels_free(struct tunnels *ts);

/* Told of each port that is offered from now on, after its client was told that it may. One at most may
 * watch; NULL ends it. */
typedef void tunnels_offered(void *owner, uint16_t port);
void tunnels_watch(struct tunnels *ts, tunnels_offered *offered, void *owner);

/* The folder of certificates, as it was found at the start, to issue more from. NULL: TLS is off. */
const struct certs *tunnels_certs(const struct tunnels *ts);

/* The live tunnel that offers the port, or NULL. */
struct tunnel *tunnels_find(struct tunnels *ts, uint16_t port);
void tunnel_describe(const struct tunnel *t, struct tunnel_info *info);
/* What it logged in with, in words, printable; `buf` has TUNNEL_WHO_MAX bytes. */
const char *tunnel_who(const struct tunnel *t, char *buf);
/* Calls fn for all sessions, those without a proxy, too, in no order. */
void tunnels_each(const struct tunnels *ts, void (*fn)(void *arg, const struct tunnel *t),
                  void *arg);
/* The last to offer the port, whose session ended; NULL: nobody did, somebody does, or that is longer ago than
 * TUNNEL_GONE_MS. */
const struct tunnel_gone *tunnels_gone(const struct tunnels *ts, uint16_t port);
/* Whether connections are accepted, if there is an address for them. */
bool tunnels_listening(const struct tunnels *ts);
/* Whether requests for this ExApp may go through it: not when the token of another one opened it. Ids are
 * compared in any case of letters. */
bool tunnel_serves(const struct tunnel *t, const char *appid);
/* A number that no other session has had. */
uint64_t tunnel_generation(const struct tunnel *t);

/* s: a stream to the other end, owned by the callee from now on; NULL: none could be had, why is a
 * literal, and timed_out tells whether waiting too long was the reason. */
typedef void tunnel_done(void *owner, struct stream *s, bool timed_out, const char *why);

/* Asks for a work connection. The stream when one is ready; else NULL, and either *wait is set and
 * `done` follows (within work_connection_timeout), or *wait is NULL and *why says why not. */
struct stream *tunnel_take(struct tunnel *t, const struct tunnel_origin *origin, tunnel_done *done,
                           void *owner, struct tunnel_wait **wait, const char **why) MUST_CHECK;
void tunnel_cancel(struct tunnel_wait *wait);

#endif
