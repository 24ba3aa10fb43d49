/* access.h - who may reach which ExApp: a request's facts in, a verdict out, possibly later.
 *
 * The frontend knows nothing of Nextcloud, routes or bans; it asks here once for every request and
 * does what the verdict says. An answer that needs others (Nextcloud) comes by `done`, from the
 * loop, never from inside access_ask.
 */
#ifndef HARP_HUB_ACCESS_H
#define HARP_HUB_ACCESS_H

#include "common/config/ip.h"
#include "common/http/head.h"
#include "hub/exapps.h"
#include "hub/target.h"

struct hub;
struct access_query;

/* Valid during access_ask only. */
struct access_facts {
    const struct http_request *request;
    const struct target *target;
    const struct ip_addr *client; /* the address that the request counts for */
    uint64_t conn_id;
};

enum access_kind {
    ACCESS_FORWARD, /* to the app */
    ACCESS_ANSWER,  /* `status`, with `reason` in the body */
    ACCESS_DROP,    /* close without an answer */
};

struct access_verdict {
    enum access_kind kind;
    int status;
    const char *reason; /* a literal; also what the log says */
    struct exapp *app;
    const struct route *route;
};

typedef void access_done(void *owner, const struct access_verdict *verdict);

/* true: *verdict is there. false: done(owner, verdict) follows, unless access_cancel(*query). */
bool access_ask(struct hub *hub, const struct access_facts *facts, struct access_verdict *verdict,
                access_done *done, void *owner, struct access_query **query) MUST_CHECK;
void access_cancel(struct access_query *query);

#endif
