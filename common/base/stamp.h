/* stamp.h - whether a file is still the one that was looked at: it was changed, replaced, came or went.
 *
 * Links are followed, so that a renewed certificate is seen behind a link that stays, and in a folder that was
 * mounted over it. Owns nothing. A zeroed stamp is that of a file that is not there.
 */
#ifndef HARP_BASE_STAMP_H
#define HARP_BASE_STAMP_H

#include <sys/types.h>
#include <time.h>

#include "common/base/base.h"

struct file_stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec
        changed; /* of the inode: also when a file came by rename, or was copied with its times */
    bool there;
};

/* Looks at the file, and keeps what it saw. True: it is not as it was at the last look. */
bool file_stamp_look(struct file_stamp *stamp, const char *path);

#endif
