/* exapp.h - an ExApp as requests use it: what is said of it, made ready.
 *
 * Counted references: the list of ExApps holds one, and each request that goes to the app another,
 * so that what AppAPI changes in between touches no request that runs. Nothing in it changes but the
 * pool of idle connections. A retired one is no longer the list's: its connections are not kept.
 */
#ifndef HARP_HUB_EXAPP_H
#define HARP_HUB_EXAPP_H

#include "hub/access/exapp_meta.h"
#include "hub/access/routes.h"

struct log;
struct upstream_pool;

struct exapp {
    struct exapp_meta meta;
    unsigned refs;
    bool loopback; /* the host is this machine: a live tunnel's port means that tunnel */
    bool retired;
    char *anonymous; /* secret: AUTHORIZATION-APP-API of a request by nobody */
    struct routes *routes;
    struct upstream_pool *pool; /* made by upstream.c at first use */
};

/* Takes over *meta and leaves it empty. Routes whose pattern can't be used are told once, here, and
 * left out. The caller has the first reference. */
struct exapp *exapp_new(struct exapp_meta *meta, struct route_matcher *matcher,
                        struct log *log) MUST_CHECK;
struct exapp *exapp_ref(struct exapp *app);
/* NULL is allowed. The last one wipes the secrets and closes idle connections. */
void exapp_unref(struct exapp *app);
/* No longer the list's: closes its idle connections now, keeps no further ones, and unrefs it. */
void exapp_retire(struct exapp *app);
/* AUTHORIZATION-APP-API of a request by `user`, base64(user ":" token); a secret for the caller to
 * wipe and free. */
char *exapp_authorization(const struct exapp *app, struct str user) MUST_CHECK;

#endif
