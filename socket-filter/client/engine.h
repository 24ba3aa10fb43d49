/* engine.h - connections to the engine's socket, kept and used again.
 *
 * A `struct engine` owns the idle connections. One that is handed out belongs to whoever asked, who gives
 * it back by engine_put after a whole exchange, or closes it. An idle one that the engine closes, or sends
 * something on unasked, is dropped at once. The socket may be away and come back at any time.
 */
#ifndef HARP_FILTER_ENGINE_H
#define HARP_FILTER_ENGINE_H

#include "common/stream/stream.h"

enum { ENGINE_IDLE_MAX = 16, ENGINE_IDLE_MS = 30000 };

struct engine;
struct engine_wait;
struct filter;

/* s: connected, without an owner; NULL: why (valid during the call) says what is wrong. */
typedef void engine_done(void *owner, struct stream *s, bool timed_out, const char *why);

struct engine *engine_new(struct filter *f);
void engine_free(struct engine *e);

/* An idle connection, which may be about to be closed: for requests that can be sent again. NULL: none. */
struct stream *engine_idle(struct engine *e);
/* A new one; `done` comes from the loop, unless engine_cancel. */
struct engine_wait *engine_connect(struct engine *e, engine_done *done, void *owner);
void engine_cancel(struct engine_wait *w);

/* Takes a connection back. Nothing may be unread or unsent on it. */
void engine_put(struct engine *e, struct stream *s);

/* Takes over a connection whose client is gone, while the engine is still at work: closing it now could
 * make the engine stop half-way. It is closed when the engine answers, or after timeout_slow. */
void engine_leave(struct engine *e, struct stream *s);

#endif
