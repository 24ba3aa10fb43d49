/* autostart.h - starts containers that have ended, once, after the start of the program.
 *
 * For NC_AUTOSTART_CONTAINERS of Nextcloud's Docker Socket Proxy: an engine without a daemon (Podman) starts
 * no containers after a boot, whatever their restart policy. Only those whose name begins with `nc_app_` and
 * is one of the policy's, and that have its label of an owner if it wants one. They are started one after the
 * other; one that can't be is told to the log, and is not tried again. The list of them is asked for until the
 * engine gives it.
 *
 * Owned by main, until autostart_free; it rests once all have been tried.
 */
#ifndef HARP_FILTER_AUTOSTART_H
#define HARP_FILTER_AUTOSTART_H

#include "common/docker/policy.h"

enum {
    AUTOSTART_MAX = 256,                    /* containers; the rest is told and left */
    AUTOSTART_ANSWER_MAX = 8 * 1024 * 1024, /* bytes of the list of them */
    AUTOSTART_PAUSE_MS = 1000,              /* until the list is asked for again; doubles up to */
    AUTOSTART_PAUSE_MAX_MS = 30 * 1000,
};

struct autostart;
struct filter;

struct autostart *autostart_begin(struct filter *f, const struct docker_policy *policy);
void autostart_free(struct autostart *a); /* NULL is allowed */

#endif
