#include "hub/access/exapp.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/config/ip.h"
#include "common/crypto/secret.h"
#include "common/log/log.h"
#include "hub/client/upstream.h"

static void add_routes(struct exapp *app, struct log *log)
{
    char why[256];
    for (size_t i = 0; i < app->meta.nroutes; i++) {
        const struct exapp_route *route = &app->meta.routes[i];
        if (routes_add(app->routes, route, why, sizeof(why)) < 0) {
            log_warning(log, "route", 0, "route %zu of ExApp %s, '%.80s', is left out: %s", i + 1,
                        app->meta.id, route->url, why);
        }
    }
}

static bool loopback_host(const char *host)
{
    struct ip_addr ip;
    return strcasecmp(host, "localhost") == 0 || strcmp(host, "0.0.0.0") == 0 ||
           strcmp(host, "::") == 0 || (ip_parse(str_of(host), &ip) == 0 && ip_is_loopback(&ip));
}

struct exapp *exapp_new(struct exapp_meta *meta, struct route_matcher *matcher, struct log *log)
{
    struct exapp *app = xcalloc(1, sizeof(*app));
    app->refs = 1;
    app->meta = *meta;
    *meta = (struct exapp_meta){0};
    app->loopback = loopback_host(app->meta.host);
    app->anonymous = exapp_authorization(app, STR(""));
    app->routes = routes_new(matcher);
    add_routes(app, log);
    return app;
}

struct exapp *exapp_ref(struct exapp *app)
{
    app->refs++;
    return app;
}

void exapp_unref(struct exapp *app)
{
    if (!app || --app->refs > 0) {
        return;
    }
    upstream_pool_free(app->pool);
    routes_free(app->routes);
    secret_wipe(app->anonymous, strlen(app->anonymous));
    free(app->anonymous);
    exapp_meta_free(&app->meta);
    free(app);
}

void exapp_retire(struct exapp *app)
{
    app->retired = true;
    upstream_pool_free(app->pool);
    app->pool = NULL;
    exapp_unref(app);
}

char *exapp_authorization(const struct exapp *app, struct str user)
{
    struct str token = str_of(app->meta.token);
    size_t n = user.n + 1 + token.n;
    char *plain = xmalloc(n);
    char *out = xmalloc(BASE64_SIZE(n));
    if (user.n > 0) {
        memcpy(plain, user.p, user.n);
    }
    plain[user.n] = ':';
    memcpy(plain + user.n + 1, token.p, token.n);
    if (base64_encode(out, BASE64_SIZE(n), plain, n) < 0) {
        out[0] = '\0';
    }
    secret_wipe(plain, n);
    free(plain);
    return out;
}
