/* host_path.h - looks at a path of this host, part by part, without following links.
 *
 * Owns nothing and keeps nothing open. What a struct host_path tells was true when each part was opened, from
 * the open folder before it. Calls take as long as the file systems do (those over a network may be slow).
 */
#ifndef HARP_FILTER_HOST_PATH_H
#define HARP_FILTER_HOST_PATH_H

#include "common/base/base.h"

#define HOST_PATH_MAX 4095u /* bytes of a path */
#define HOST_PATH_PARTS 64u /* parts of it; more are refused */
#define HOST_PATH_PART_MAX 255u

/* What an open file or folder is, whatever it is called. */
struct host_id {
    dev_t dev;
    ino_t ino;
};

struct host_path {
    size_t n;                                 /* steps, at least 1 */
    struct host_id step[HOST_PATH_PARTS + 1]; /* of `/`, and of each part */
    mode_t mode;                              /* of the last */
    bool
        kernel; /* a step is on a file system whose files are the kernel's own: proc, sysfs and others */
};

/* Absolute, without empty or dot parts, a slash at the end, and control characters; of `/` alone, too. */
bool host_path_clean(struct str path) MUST_CHECK;

/* Whether `path` lies in `folder`, by the spelling of both; a path does not lie in itself. */
bool host_path_in(struct str path, struct str folder) MUST_CHECK;

/* Opens each part of a clean path in turn. With `firm`, each folder that leads to the last part must belong to
 * root and be writable by nobody else. A sticky bit does not help: what root removes there, anybody makes again.
 * So what the path means can be changed by root alone. NULL; or a reason that goes on after a name of the path,
 * and *to is undefined. */
const char *host_path_look(struct host_path *to, struct str path, bool firm) MUST_CHECK;

/* The same of a path whose links are followed, without `firm`. *there is false if it does not exist: then NULL,
 * and *to is undefined. */
const char *host_path_find(struct host_path *to, const char *path, bool *there) MUST_CHECK;

/* A descriptor for host_path_mounts, for those who can't open it later; -1 with errno. The caller closes it. */
int host_path_mounts_open(void) MUST_CHECK;

/* Calls `each` for every mount point that lies in `path`, until it returns a reason, which is returned. NULL:
 * none did. fd is of host_path_mounts_open; -1: it is opened for this call. */
const char *host_path_mounts(int fd, struct str path,
                             const char *(*each)(void *arg, struct str point),
                             void *arg) MUST_CHECK;

static inline struct host_id host_path_last(const struct host_path *p)
{
    return p->step[p->n - 1];
}

#endif
