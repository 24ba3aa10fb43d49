/* admin.h - the administration interface: a small HTTP server beside those for browsers and
 * tunnels.
 *
 * A connection carries one request. Its head is read here, within head_timeout, by the strict
 * parser that the frontend uses, too, and judged (admin_api.h); refusals are answered here. Who may
 * ask is handed on, as a descriptor, to libwebsockets (admin_lws.c), which runs on the hub's loop
 * and answers. So the library never sees a byte of those who may not ask, nor a header of others.
 *
 * At most ADMIN_CONNECTIONS at once; more are closed unread. A unix socket belongs to the hub's
 * user alone (mode 0600). Nothing is started when admin_address is `off`.
 *
 * Owned by the hub. It goes on while running requests of others end, and is freed outside of the
 * loop's turns, before anything that a callback could need.
 */
#ifndef HARP_HUB_ADMIN_H
#define HARP_HUB_ADMIN_H

#include "common/base/base.h"

struct admin;
struct hub;

enum { ADMIN_CONNECTIONS = 32 };

/* NULL: err says in one line why not. */
struct admin *admin_start(struct hub *hub, char *err, size_t errlen) MUST_CHECK;
/* Ends all its connections. libwebsockets closes what it has in turns of the loop: a few run in
 * here. NULL is allowed. */
void admin_free(struct admin *a);

#endif
