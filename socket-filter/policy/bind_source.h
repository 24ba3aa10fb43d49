/* bind_source.h - looks at a folder or file of the host that a container wants mounted, on the host itself.
 *
 * Owns nothing, keeps nothing open. The engine resolves the path again, now and at each start of the
 * container: so a path passes only when nobody but root can change what it means meanwhile.
 *
 * What passes:
 *   - a source that is bind->path, or lies in it where bind->below, by its spelling
 *   - without a symbolic link in it, below bind->path or above
 *   - all of whose folders but the last part belong to root, and are writable by root alone. The last part may be
 *     anybody's: its name stands in the folder before it. A folder as /tmp is not enough, sticky or not: what
 *     root's clean-up removes there, anybody can make again.
 *   - which is a folder or a regular file
 *   - that is not, holds or lies in none of: the folder of the engine's socket, the socket, /proc, /sys, /dev, the
 *     folders where engines keep their data, whatever name it is reached by. Mounts that lie in the source go
 *     along with it, and are judged likewise.
 *
 * What this can't know: a container's own root is root. Where a policy lets one write to a folder, no other
 * mount may lie in that: who reads policies must refuse such a pair. And root of the host may exchange folders
 * and mounts at any time; a source that passes was what it seemed to be when it was looked at. The filter must
 * see the same files as the engine: from inside a container of its own it does not.
 */
#ifndef HARP_FILTER_BIND_SOURCE_H
#define HARP_FILTER_BIND_SOURCE_H

#include "common/docker/body.h"

struct bind_host {
    const char *
        socket; /* the engine's, absolute, which may be reached through no mount; NULL: it has none */
    int mounts; /* of host_path_mounts_open; -1: it is opened for each look */
};

/* Fit for struct docker_host's `bind`; arg is a struct bind_host. NULL is returned when the source may be
 * mounted, else a reason, which is static. Takes as long as the file systems do. */
const char *bind_source_check(void *arg, const struct docker_bind *bind, struct str source);

/* What a policy's file may list, by its spelling alone: NULL, or a reason that goes on after the path. Refused are
 * `/`; what is, holds or lies in /proc, /sys, /dev, /run/docker.sock and the folders of engines (so /run and
 * /var); /var/run; and as a whole the folders that a host lives in, as /etc, /usr and /home: what lies in those
 * is for the administrator to judge. With `below` also what lies in /tmp and /var/tmp, where nothing
 * could pass. */
const char *bind_source_listed(const char *path, bool below);

#endif
