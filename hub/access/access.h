/* access.h - who may reach what: a request's facts in, a verdict out, perhaps after others were asked.
 *
 * The order of judging is that of spec/appapi.md section 3: whose address it counts for, whether that
 * is banned, what the path asks for, what is said of the app, who asks, and whether its routes let
 * them. The frontend knows nothing of all that; it does what the verdict says.
 *
 * A `struct access` is what is known of one request so far; it is embedded in the exchange, zero before
 * the first call, and ended by access_clear, whatever state it is in. Where Nextcloud has to be asked,
 * access_judge says "not yet", the request's head stays unread, `again` is called from the loop, and
 * access_judge is called once more with the same head: so nothing of it has to be copied.
 */
#ifndef HARP_HUB_ACCESS_H
#define HARP_HUB_ACCESS_H

#include "common/config/ip.h"
#include "common/http/head.h"
#include "hub/access/exapps.h"
#include "hub/access/gate.h"
#include "hub/hop.h"
#include "hub/access/sessions.h"
#include "hub/access/target.h"

struct hub;

/* Valid during the call only. */
struct access_facts {
    const struct http_request *request;
    const struct ip_addr *peer; /* the socket's address */
};

enum access_kind {
    ACCESS_FORWARD, /* to the app */
    ACCESS_CONTROL, /* a call of AppAPI's to the hub itself */
    ACCESS_ENGINE,  /* one that passes on to a Docker engine */
    ACCESS_ANSWER,  /* `status`, with `hop` and `reason` in the body */
    ACCESS_DROP,    /* close without an answer */
};

struct access_verdict {
    enum access_kind kind;
    int status;
    enum hop hop;
    const char *reason; /* valid until the next request is judged; also what the log says */
};

struct access {
    struct ip_addr client;           /* whom the request counts for */
    struct exapp *app;               /* a reference; NULL: none found */
    const struct exapp_route *route; /* of app; NULL: AppAPI, whom routes do not bind */
    char *authorization;             /* secret: AUTHORIZATION-APP-API of a user; NULL: of nobody */
    char *failure;                   /* why Nextcloud was of no use */
    struct exapps_wait *app_wait;
    struct session_wait *user_wait;
    void (*again)(void *owner);
    void *owner;
    enum exapps_result app_result; /* with app_asked */
    enum exapp_access level;       /* of the client, with user_asked */
    uint16_t engine;               /* the port, of ACCESS_ENGINE */
    bool engine_streams;           /* its answer may be long in coming, and without end */
    bool for_engine;               /* it is for a Docker engine: errors have Docker's shape */
    bool known;                    /* client, key and appapi are */
    bool key;                      /* the request carries the right shared key, once */
    bool appapi;                   /* AppAPI calls the app */
    bool app_asked;
    bool user_asked;
    bool user_alone; /* see sessions.h */
};

/* true: *verdict is there; with ACCESS_FORWARD and ACCESS_CONTROL *target is read, with ACCESS_ENGINE
 * hub->docker_call, too. false: again(owner) follows, unless access_clear. */
bool access_judge(struct hub *hub, const struct access_facts *facts, struct access *a,
                  struct target *target, struct access_verdict *verdict, void (*again)(void *owner),
                  void *owner) MUST_CHECK;
/* The app's answer has come: counts it where its route wants that. */
void access_answered(struct hub *hub, const struct access *a, int status);
void access_clear(struct access *a);

#endif
