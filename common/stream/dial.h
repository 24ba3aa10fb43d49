/* dial.h - connects to host:port or a unix socket. For host:port it looks the name up (resolver.h),
 * then tries its addresses in turn.
 *
 * Owned by the caller until `done` was called or dial_cancel. Both address families are tried, in
 * the resolver's order; the next one starts when the one before failed, or after 250 ms without an
 * answer of it, so that a dead family costs little (RFC 8305 in its simplest form).
 */
#ifndef HARP_STREAM_DIAL_H
#define HARP_STREAM_DIAL_H

#include "common/loop/resolver.h"
#include "common/stream/sock.h"

struct dial;

/* s: connected, without an owner; NULL: why (valid during the call) says which address and what. */
typedef void dial_done(void *owner, struct stream *s, bool timed_out, const char *why);

/* `done` comes from the loop, never from inside dial_start. timeout: ms for everything; 0 none. */
struct dial *dial_start(struct loop *l, struct resolver *r, const char *host, uint16_t port,
                        uint64_t timeout, dial_done *done, void *owner);
/* The same for a unix socket. A socket whose backlog is full is tried again until the timeout. */
struct dial *dial_unix(struct loop *l, const char *path, uint64_t timeout, dial_done *done,
                       void *owner);
void dial_cancel(struct dial *d);

#endif
