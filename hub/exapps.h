/* exapps.h - the ExApps the hub knows: who they are, where they are, and who may reach what.
 *
 * Owns the records and their routes and idle upstream connections. A `struct exapp` lives until
 * exapps_free; pointers to it may be kept by requests. Secrets in it are wiped at the end.
 */
#ifndef HARP_HUB_EXAPPS_H
#define HARP_HUB_EXAPPS_H

#include "common/base/base.h"
#include "hub/routes.h"

struct exapps;
struct log;
struct hub_exapp; /* as declared in hub.cfg, see settings.h */
struct upstream_pool;

struct exapp {
    char *id;        /* lower case */
    char *version;   /* EX-APP-VERSION */
    char *token;     /* secret */
    char *anonymous; /* secret: AUTHORIZATION-APP-API of a request by nobody: base64(":token") */
    char *host;
    uint16_t port;
    bool loopback; /* host is this machine: a live tunnel's port means that tunnel */
    struct routes *routes;
    struct upstream_pool *pool; /* made by upstream.c at first use */
};

struct exapps *exapps_new(void);
void exapps_free(struct exapps *list);
/* Adds a declared one. -1: err says what is wrong with it. */
int exapps_declare(struct exapps *list, const struct hub_exapp *app, struct log *log, char *err,
                   size_t errlen) MUST_CHECK;
/* id in any letter case. NULL: not known. */
struct exapp *exapps_find(const struct exapps *list, struct str id);
/* Calls fn for each. */
void exapps_each(const struct exapps *list, void (*fn)(void *arg, struct exapp *app), void *arg);

#endif
