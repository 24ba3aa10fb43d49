#include "hub/exapps.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/config/ip.h"
#include "common/crypto/secret.h"
#include "common/log/log.h"
#include "hub/settings_exapps.h"
#include "hub/upstream.h"

_Static_assert(HUB_ROUTE_STATUS_MAX == ROUTE_STATUS_MAX, "a declared route must fit");

struct exapps {
    struct exapp **list; /* sorted by id */
    size_t n;
};

struct exapps *exapps_new(void)
{
    return xcalloc(1, sizeof(struct exapps));
}

static void free_secret(char *p)
{
    if (p) {
        secret_wipe(p, strlen(p));
        free(p);
    }
}

static void free_app(struct exapp *app)
{
    upstream_pool_free(app->pool);
    routes_free(app->routes);
    free(app->id);
    free(app->version);
    free(app->host);
    free_secret(app->token);
    free_secret(app->anonymous);
    free(app);
}

void exapps_free(struct exapps *list)
{
    if (list) {
        for (size_t i = 0; i < list->n; i++) {
            free_app(list->list[i]);
        }
        free(list->list);
        free(list);
    }
}

/* The place of id in the sorted list, or where it would be. */
static size_t place(const struct exapps *list, const char *id, bool *found)
{
    size_t lo = 0, hi = list->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = strcmp(list->list[mid]->id, id);
        if (c == 0) {
            *found = true;
            return mid;
        }
        if (c < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    *found = false;
    return lo;
}

struct exapp *exapps_find(const struct exapps *list, struct str id)
{
    char lower[HUB_EXAPP_ID_MAX + 1];
    bool found;
    if (id.n > HUB_EXAPP_ID_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < id.n; i++) {
        lower[i] = (char)tolower((unsigned char)id.p[i]);
    }
    lower[id.n] = '\0';
    size_t at = place(list, lower, &found);
    return found ? list->list[at] : NULL;
}

void exapps_each(const struct exapps *list, void (*fn)(void *arg, struct exapp *app), void *arg)
{
    for (size_t i = 0; i < list->n; i++) {
        fn(arg, list->list[i]);
    }
}

/* What AppAPI sends as AUTHORIZATION-APP-API: base64 of user id, colon, the app's token. */
static char *credentials(const char *user, const char *token)
{
    size_t n = strlen(user) + 1 + strlen(token);
    char *plain = xmalloc(n + 1);
    snprintf(plain, n + 1, "%s:%s", user, token);
    char *out = xmalloc(BASE64_SIZE(n));
    if (base64_encode(out, BASE64_SIZE(n), plain, n) < 0) {
        out[0] = '\0';
    }
    free_secret(plain);
    return out;
}

static int add_routes(struct exapp *app, const struct hub_exapp *from, struct log *log)
{
    char why[256];
    int usable = 0;
    for (size_t i = 0; i < from->routes_n; i++) {
        const struct hub_route *in = &from->routes[i];
        struct route route = {.access = (int)in->access_level};
        for (size_t k = 0; k < in->statuses_n; k++) {
            route.status[route.nstatus++] = in->statuses[k];
        }
        if (routes_add(app->routes, in->url, &route, why, sizeof(why)) == 0) {
            usable++;
        } else {
            log_warning(log, "route", 0, "route %zu of ExApp %s is left out: %s", i + 1, app->id,
                        why);
        }
    }
    return usable;
}

static bool loopback_host(const char *host)
{
    struct ip_addr ip;
    return strcasecmp(host, "localhost") == 0 || strcmp(host, "0.0.0.0") == 0 ||
           strcmp(host, "::") == 0 || (ip_parse(str_of(host), &ip) == 0 && ip_is_loopback(&ip));
}

int exapps_declare(struct exapps *list, const struct hub_exapp *from, struct log *log, char *err,
                   size_t errlen)
{
    bool found;
    size_t at = place(list, from->id, &found);
    if (found) {
        snprintf(err, errlen, "ExApp %s is declared twice", from->id);
        return -1;
    }
    struct exapp *app = xcalloc(1, sizeof(*app));
    app->id = xstrndup(from->id, strlen(from->id));
    app->version = xstrndup(from->version, strlen(from->version));
    app->token = xstrndup(from->token, strlen(from->token));
    app->host = xstrndup(from->host, strlen(from->host));
    app->anonymous = credentials("", from->token);
    app->port = from->port;
    app->loopback = loopback_host(from->host);
    app->routes = routes_new();
    if (!app->routes || add_routes(app, from, log) == 0) {
        snprintf(err, errlen, "ExApp %s has no usable route", from->id);
        free_app(app);
        return -1;
    }
    struct exapp **grown = realloc(list->list, (list->n + 1) * sizeof(*grown));
    if (!grown) {
        snprintf(err, errlen, "out of memory");
        free_app(app);
        return -1;
    }
    list->list = grown;
    memmove(grown + at + 1, grown + at, (list->n - at) * sizeof(*grown));
    grown[at] = app;
    list->n++;
    return 0;
}
