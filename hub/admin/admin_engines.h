/* admin_engines.h - the Docker engines as the administration interface shows them. Each one is asked:
 * for its version, how long it takes to answer, and how many containers of this hub's it has.
 *
 * A `struct admin_engines` is one such round: admin_engines_start, then `done` from the loop, once; until
 * admin_engines_free, which ends the calls, too, it is its owner's. An engine that does not answer within
 * ADMIN_ENGINES_MS has its reason in the list; the others are not held up for longer.
 */
#ifndef HARP_HUB_ADMIN_ENGINES_H
#define HARP_HUB_ADMIN_ENGINES_H

#include "common/config/ip.h"
#include "common/json/json.h"
#include "hub/tunnel/tunnels.h"

struct admin_engines;
struct hub;

enum {
    ADMIN_ENGINES_MS = 3000,                                  /* for each of three calls */
    ADMIN_ENGINES_ROW_MAX = 6 * 128 + 6 * 64 + 6 * 320 + 320, /* bytes of a row as JSON */
    ADMIN_ENGINE_VERSION_MAX = 64,
    ADMIN_ENGINE_ERROR_MAX = 320,
};

/* Texts are printable ASCII; "": not known, or none. */
struct admin_engine {
    uint16_t port;
    bool local; /* the one at HP_DOCKER_SOCKET */
    char name[128 + 1];
    char address[IP_TEXT_MAX]; /* of its tunnel; else "local" */
    char login[TUNNEL_WHO_MAX];
    uint64_t seconds; /* since its tunnel came */
    char version[ADMIN_ENGINE_VERSION_MAX];
    unsigned api;  /* 1.N; 0 not known */
    uint64_t took; /* ns; 0 not known */
    int64_t containers;
    char error[ADMIN_ENGINE_ERROR_MAX];
};

/* The round may be freed in here. */
typedef void admin_engines_done(void *owner);

struct admin_engines *admin_engines_start(struct hub *hub, admin_engines_done *done,
                                          void *owner) MUST_CHECK;
void admin_engines_free(struct admin_engines *round);

unsigned admin_engines_count(const struct admin_engines *round);
const struct admin_engine *admin_engines_at(const struct admin_engines *round, unsigned i);
/* {"instance":..,"engines":[{"port":..,"name":..,"address":..,"seconds":..,"version":..,"api":..,
 * "milliseconds":..,"containers":..,"error":..},..]}: address is "local" of the engine at
 * HP_DOCKER_SOCKET; seconds: since its tunnel came; what is not known is null. The text is the caller's to
 * free, *n its length. */
char *admin_engines_json(const struct admin_engines *round, size_t *n) MUST_CHECK;
/* The members of such a row. */
void admin_engine_write(struct json_out *o, const struct admin_engine *engine);

#endif
