/* admin_engines.h - the Docker engines as the administration interface shows them. Each one is asked:
 * for its version, how long it takes to answer, and how many containers of this hub's it has.
 *
 * A `struct admin_engines` is one such round: admin_engines_start, then `done` from the loop, once, or
 * admin_engines_cancel. It ends with the calls that it owns. An engine that does not answer within
 * ADMIN_ENGINES_MS has its reason in the list; the others are not held up for longer.
 */
#ifndef HARP_HUB_ADMIN_ENGINES_H
#define HARP_HUB_ADMIN_ENGINES_H

#include "common/base/base.h"

struct admin_engines;
struct hub;

enum {
    ADMIN_ENGINES_MS = 3000,                                  /* for each of two calls */
    ADMIN_ENGINES_ROW_MAX = 6 * 128 + 6 * 64 + 6 * 320 + 320, /* bytes of a row as JSON */
};

/* {"instance":..,"engines":[{"port":..,"name":..,"address":..,"seconds":..,"version":..,"api":..,
 * "milliseconds":..,"containers":..,"error":..},..]}: address is "local" of the engine at
 * HP_DOCKER_SOCKET; seconds: since its tunnel came; what is not known is null. json is the owner's to
 * free. */
typedef void admin_engines_done(void *owner, char *json, size_t n);

struct admin_engines *admin_engines_start(struct hub *hub, admin_engines_done *done,
                                          void *owner) MUST_CHECK;
void admin_engines_cancel(struct admin_engines *round);

#endif
