/* certs_owner.h - lets the user that the hub is about to become use the certificate folder.
 *
 * A folder that HaRP made, or Docker for a mount, is root's, and so are the keys in it. Only what that user
 * could not use is given to them: the folder itself, `frp` below it (made, if it is not there), the six files
 * of certs_files.h, and cert.pem. Links are never followed, and a file with a second name is left alone: who
 * could write to the folder before may have made them. HaRP runs as root in its container, so it can go on
 * with the folder afterwards.
 */
#ifndef HARP_HUB_CERTS_OWNER_H
#define HARP_HUB_CERTS_OWNER_H

#include <sys/types.h>

#include "hub/tunnel/certs.h"

/* Tells what it gave, and what it could not give. Whether that matters shows when the files are used. */
void certs_hand_over(const char *certs_dir, uid_t uid, gid_t gid, certs_log_fn *log, void *arg);

#endif
