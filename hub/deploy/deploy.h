/* deploy.h - what AppAPI does with containers: /docker/exapp/..., one operation each.
 *
 *   deploy_request.h  the body, checked       deploy.c            life, order, calls, failures
 *   instance.h        whose a container is    deploy_container.c  exists start stop remove image_remove
 *   cert_archive.h    files for a container   deploy_create.c     create
 *   engine.h          the engine's API        deploy_owner.c      whose a container or volume is
 *                                             deploy_wait.c       wait_for_start
 *                                             deploy_certs.c      install_certificates (deploy_exec.c)
 *
 * Operations on one container of one engine run one after the other, in the order they came; those on
 * others run side by side. Only wait_for_start, which changes nothing, is in nobody's way. At most
 * DEPLOYS_MAX are under way.
 *
 * Whoever asked may go (deploy_abandon): then a wait ends, and what has not begun is dropped; what has
 * begun is carried out to its end. Statuses and bodies: spec/appapi.md section 5.
 *
 * Owned by the hub; freed before the engines, with all operations.
 */
#ifndef HARP_HUB_DEPLOY_H
#define HARP_HUB_DEPLOY_H

#include "hub/client/answer.h"
#include "hub/deploy/deploy_request.h"
#include "hub/tunnel/tunnels.h"

struct deploy;
struct deploys;
struct hub;

enum { DEPLOYS_MAX = 256 };

/* Comes once, from the loop; texts in *a are valid during the call. */
typedef void deploy_done(void *owner, struct answer *a);

/* NULL: err says why. */
struct deploys *deploys_new(struct hub *hub, char *err, size_t errlen) MUST_CHECK;
void deploys_free(struct deploys *list);
/* Whether something is being done that should not be cut: all but waits and questions. */
bool deploys_busy(const struct deploys *list);
/* The value of the label harp.instance. */
const char *deploys_instance(const struct deploys *list);

/* Takes over *request. NULL: there are DEPLOYS_MAX; it is then still the caller's. */
struct deploy *deploy_start(struct deploys *list, struct deploy_request *request, int64_t port,
                            const struct tunnel_origin *origin, deploy_done *done,
                            void *owner) MUST_CHECK;
void deploy_abandon(struct deploy *d);

#endif
