/* walk.h - follows a chain line by line, and says what does not fit.
 *
 * A `struct audit_walk` owns its hasher. It reads no files: verify.c hands it the lines of several, the
 * shipper those of one.
 */
#ifndef HARP_FILTER_AUDIT_WALK_H
#define HARP_FILTER_AUDIT_WALK_H

#include "socket-filter/audit/segment.h"

enum { AUDIT_WHY_MAX = 256 };

struct audit_walk {
    struct audit_hasher hasher;
    struct audit_link last; /* of the record that came last; its hash is good */
    enum audit_event event; /* of that one */
    bool any;               /* there was a record */
    uint64_t first;         /* number of the first */
    uint64_t records, segments;
    uint64_t lost;    /* as `lost` records tell */
    uint64_t missing; /* as `recovered` records tell */
};

enum audit_step {
    AUDIT_FITS,
    AUDIT_BROKEN,
    AUDIT_AHEAD, /* its number is larger than the next one's: w->last.seq + 1 is not here */
};

/* 0; -1: no SHA3-256. audit_walk_free in both cases. */
int audit_walk_init(struct audit_walk *w) MUST_CHECK;
void audit_walk_free(struct audit_walk *w);

/* begins: the line is the first of its file. Unless the line fits, why (AUDIT_WHY_MAX bytes) says what is
 * wrong, and *seq is its number if it has one, else 0. */
enum audit_step audit_walk_line(struct audit_walk *w, struct str line, bool begins, uint64_t *seq,
                                char *why) MUST_CHECK;

/* A finished segment alone: from a `segment` record to a `closed` one. 0; -1: why says what is wrong, with
 * the line. `fd` is read by pread. */
int audit_segment_check(int fd, char *why) MUST_CHECK;

#endif
