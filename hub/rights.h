/* rights.h - a hub that was started as root, as in a container, gives that up.
 *
 * With the setting `user`: the certificate folder is made usable for that user, the group of the Docker
 * socket is kept if there is one, and everything else goes for good (common/system/user.h). Started as
 * somebody else already, it stays who it is, and gives up the rest. Without the setting nothing is done:
 * then whoever starts the hub has seen to it.
 */
#ifndef HARP_HUB_RIGHTS_H
#define HARP_HUB_RIGHTS_H

#include "common/log/log.h"
#include "hub/settings/settings.h"

/* Before there is a second thread. 0, or -1: err says what failed and what to do. */
int rights_give_up(const struct hub_settings *set, struct log *log, char *err,
                   size_t errlen) MUST_CHECK;

#endif
