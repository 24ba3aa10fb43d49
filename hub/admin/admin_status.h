/* admin_status.h - the whole state of the hub, for an administrator's first look when something is wrong: what
 * listens, Nextcloud, Docker engines, tunnels, ExApps, bans, certificates; each with a verdict, and a remedy where
 * it is not well. The document is described, member by member, in hub/README.md.
 *
 * Engines and Nextcloud are asked for it (admin_engines.h, nextcloud_check.h), at the same time. A `struct
 * admin_status` is one such round: admin_status_start, then `done` from the loop, once, or
 * admin_status_cancel.
 *
 * admin_status.c           the round, and the document
 * admin_status_section.c   a section of it: verdicts, reasons, remedies
 * admin_status_places.c    listeners, engines, tunnels: where others come in
 * admin_status_access.c    Nextcloud, ExApps, bans: who is let in
 * admin_status_certs.c     certificates
 */
#ifndef HARP_HUB_ADMIN_STATUS_H
#define HARP_HUB_ADMIN_STATUS_H

#include "common/base/base.h"

struct admin_status;
struct hub;
struct nextcloud_checks;

enum {
    ADMIN_STATUS_ROWS = 250, /* of tunnels, and of ExApps; those that are not well come first */
    ADMIN_STATUS_BANNED = 10,
    ADMIN_STATUS_CERT_DAYS = 14, /* a certificate that ends sooner is not well */
};

/* json is the owner's to free. */
typedef void admin_status_done(void *owner, char *json, size_t n);

struct admin_status *admin_status_start(struct hub *hub, struct nextcloud_checks *checks,
                                        admin_status_done *done, void *owner) MUST_CHECK;
void admin_status_cancel(struct admin_status *round);

/* Whether all that should listen does: nothing stops, and the loop answers, as somebody asks. */
bool admin_healthy(const struct hub *hub);

#endif
