#include "hub/access.h"

#include "hub/hub.h"

static struct access_verdict answer(int status, const char *reason)
{
    return (struct access_verdict){.kind = ACCESS_ANSWER, .status = status, .reason = reason};
}

/* The rules for ExApps that hub.cfg declares: nobody is known by name there, so routes that want a
 * user or an administrator are closed to all. */
static struct access_verdict judge(struct hub *hub, const struct access_facts *facts)
{
    struct exapp *app = exapps_find(hub->exapps, facts->target->appid);
    if (!app) {
        return answer(404, "no such ExApp");
    }
    const struct route *route = routes_match(app->routes, facts->target->path, hub->log);
    if (!route) {
        return answer(404, "no route of the ExApp matches this path");
    }
    if (route->access != ROUTE_PUBLIC) {
        return answer(403, "this route needs a signed-in user");
    }
    return (struct access_verdict){.kind = ACCESS_FORWARD, .app = app, .route = route};
}

bool access_ask(struct hub *hub, const struct access_facts *facts, struct access_verdict *verdict,
                access_done *done UNUSED, void *owner UNUSED, struct access_query **query)
{
    *query = NULL;
    *verdict = judge(hub, facts);
    return true;
}

void access_cancel(struct access_query *query UNUSED)
{
    /* Every verdict so far is given at once. */
}
