/* What Nextcloud or AppAPI says of an ExApp: whatever it is, it is refused with a reason or is within
 * all limits; and its routes, as patterns, compile or not and then judge a path in bounded steps. */
#include <stdlib.h>

#include "hub/access/exapp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth) {
        abort();
    }
}

static void check(const struct exapp_meta *m)
{
    must(strcmp(m->id, "app") == 0);
    must(m->token[0] && strlen(m->token) <= EXAPP_TOKEN_MAX);
    must(m->version[0] && !strpbrk(m->version, "\r\n"));
    must(m->host[0] && strlen(m->host) <= EXAPP_HOST_MAX && !strpbrk(m->host, " /@[]\r\n"));
    must(m->port > 0);
    must(m->nroutes <= EXAPP_ROUTES_MAX);
    for (size_t i = 0; i < m->nroutes; i++) {
        const struct exapp_route *r = &m->routes[i];
        must(r->url && r->access <= EXAPP_ADMIN && r->nstatus <= EXAPP_ROUTE_STATUS_MAX);
        for (unsigned k = 0; k < r->nstatus; k++) {
            must(r->status[k] >= 100 && r->status[k] <= 599);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct route_matcher *matcher;
    const struct str json = {(const char *)data, size};
    struct exapp_meta m, again;
    char err[200];
    matcher = matcher ? matcher : route_matcher_new();
    memset(err, 'x', sizeof(err));
    if (exapp_meta_read(&m, STR("App"), json, err, sizeof(err)) < 0) {
        must(memchr(err, '\0', sizeof(err)) && err[0]);
        must(!m.id && !m.token && !m.routes);
        return 0;
    }
    check(&m);
    must(exapp_meta_read(&again, STR("APP"), json, err, sizeof(err)) == 0);
    must(exapp_meta_equal(&m, &again));
    exapp_meta_free(&again);
    struct exapp *app = exapp_new(&m, matcher, NULL);
    must(!m.id && routes_count(app->routes) <= app->meta.nroutes);
    const struct exapp_route *route = routes_match(app->routes, STR("/a/b.c%20{,2}"), NULL);
    must(!route || (route >= app->meta.routes && route < app->meta.routes + app->meta.nroutes));
    exapp_unref(app);
    return 0;
}
