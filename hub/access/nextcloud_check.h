/* nextcloud_check.h - whether Nextcloud is there and takes the shared key, asked because an administrator wants
 * to know. What comes of it stands in hub->facts (nextcloud_facts.h).
 *
 *   an ExApp is known from Nextcloud   user-info for it, with the key alone: 200 or 401 tell whether it is right
 *   none is                            status.php, without the key: whether Nextcloud is there
 *
 * A 401 counts as an attack there, so one check asks once, checks at the same time share a question, and none
 * is asked while the last answer is younger than NEXTCLOUD_CHECK_FRESH_MS, or, if it was a 401,
 * NEXTCLOUD_CHECK_REFUSED_MS. Asked next is then another ExApp, if there is one: the first may be gone in
 * Nextcloud, which answers the same. What the hub asks for its clients counts as a check, too.
 *
 * `struct nextcloud_checks` belongs to whoever made it, who frees it before Nextcloud's part and the list of
 * ExApps, and after its checks ended. A `struct nextcloud_check` lives until `done`, which comes from the loop,
 * or nextcloud_check_cancel.
 */
#ifndef HARP_HUB_NEXTCLOUD_CHECK_H
#define HARP_HUB_NEXTCLOUD_CHECK_H

#include "common/base/base.h"

struct hub;
struct nextcloud_check;
struct nextcloud_checks;

enum {
    NEXTCLOUD_CHECK_MS = 5000, /* for the answer */
    NEXTCLOUD_CHECK_FRESH_MS = 5000,
    NEXTCLOUD_CHECK_REFUSED_MS = 60000,
};

struct nextcloud_checks *nextcloud_checks_new(struct hub *hub) MUST_CHECK;
void nextcloud_checks_free(struct nextcloud_checks *checks);

typedef void nextcloud_check_done(void *owner);

struct nextcloud_check *nextcloud_check_start(struct nextcloud_checks *checks,
                                              nextcloud_check_done *done, void *owner) MUST_CHECK;
void nextcloud_check_cancel(struct nextcloud_check *check);

#endif
