/* archive.h - checks a tar archive for a container while it passes, and writes it anew.
 *
 * Pure; a struct docker_archive is embedded in its owner, allocates nothing and is not freed. Headers are
 * rebuilt from what was checked (ustar, uid and gid 0, no owner's name, a prefix only for names over 100
 * bytes), so that what an engine reads is what was judged; no byte of a member goes on before its header was
 * found good. The rest of an archive that is refused must not go on: what went before was good by itself.
 * Verdict and output are the same however the bytes are cut into calls.
 *
 * Taken are, in ustar, pax and GNU tar's form:
 *   - regular files below a folder of grants->archive, with mode, time and content. A name twice is taken.
 *   - folders: those, what lies in them, and those that lead to them. The latter lose the bits that let
 *     group and others write, since an engine gives that mode to a folder that is there already.
 *   - pax headers that say nothing but mtime, atime and ctime; they are dropped.
 * Two blocks of zeros end an archive. Behind them only zeros may come, which are dropped, and what goes on
 * ends in exactly two.
 *
 * Refused: links, devices, names of GNU's long kind, sparse files, pax headers that say more or stand for all
 * members; names that are empty or absolute, that have an empty, `.` or `..` part, a backslash, or a byte that is
 * not printable ASCII; a file with a slash at its end; set-id and sticky bits; a folder with content; a wrong
 * checksum (only that of unsigned bytes is right); bytes behind the NUL of a name, and in fields that should be
 * empty; numbers other than octal digits between spaces and NULs (so no base 256, no more than 33 bits). A
 * field of mode, uid, gid or time without any digit is 0: PHP leaves NULs in uid and gid.
 *
 * A verdict's `what` is the folder that would have to be granted, and the fault DOCKER_FAULT_ARCHIVE, where
 * that alone could help; else the fault is DOCKER_FAULT_NEVER.
 */
#ifndef HARP_DOCKER_ARCHIVE_H
#define HARP_DOCKER_ARCHIVE_H

#include "common/base/buf.h"
#include "common/docker/policy.h"

#define DOCKER_ARCHIVE_BLOCK 512u
#define DOCKER_ARCHIVE_MEMBERS 4096u           /* files and folders */
#define DOCKER_ARCHIVE_PAX_MAX 4096u           /* bytes of one pax header's records */
#define DOCKER_ARCHIVE_MAX (16u * 1024 * 1024) /* the usual `max` */

struct docker_archive {
    const struct docker_grants *grants;
    uint64_t max, seen; /* bytes */
    uint64_t left;      /* of the content that passes, or of pax records */
    uint32_t padding;   /* bytes behind that, up to a whole block */
    unsigned members;
    uint8_t state;
    bool after_pax; /* the next header is of the member that a pax header was for */
    size_t have;    /* bytes in `block`, or in `pax` */
    unsigned char block[DOCKER_ARCHIVE_BLOCK];
    char pax[DOCKER_ARCHIVE_PAX_MAX];
};

void docker_archive_init(struct docker_archive *a, const struct docker_grants *grants,
                         uint64_t max);
/* Takes n bytes, and appends to `out` what may go on. Returns verdict->status: 0, or a refusal (403, or 413
 * over `max`) after which it must not be called again. */
int docker_archive_feed(struct docker_archive *a, const char *p, size_t n, struct buf *out,
                        struct docker_verdict *verdict) MUST_CHECK;
/* The client's body has ended: 0 if the archive had, too, and its end was appended to `out`. Nothing may be
 * called behind it. */
int docker_archive_end(struct docker_archive *a, struct buf *out,
                       struct docker_verdict *verdict) MUST_CHECK;

#endif
