/* audit_impl.h - the writer's inside, shared by audit.c (writing) and audit_recover.c (going on with what
 * is in the folder).
 */
#ifndef HARP_FILTER_AUDIT_IMPL_H
#define HARP_FILTER_AUDIT_IMPL_H

#include "common/log/log.h"
#include "common/loop/loop.h"
#include "socket-filter/audit/segment.h"

enum {
    AUDIT_SYNC_MS = 1000,          /* AUDIT_SYNC_INTERVAL */
    AUDIT_END_WINDOW = 128 * 1024, /* what a start reads of the last segment, from its end */
};

struct audit {
    struct loop *loop;
    struct log *log;
    char *path; /* of the folder, for messages */
    uint64_t segment_size;
    enum audit_sync sync;
    int folder, head, fd; /* -1: not open */
    uint64_t size;        /* of the segment, up to the end of its last record */
    struct audit_link last;
    char boot[AUDIT_BOOT_SIZE + 1];
    struct audit_hasher hasher;
    bool torn;     /* there may be bytes behind `size`, which could not be cut */
    bool begun;    /* the segment has its first record */
    bool finished; /* and its last */
    bool dirty;    /* something is to be brought to the disk */
    uint64_t lost; /* records that could not be written since writing last worked */
    struct timer timer;
    struct log_limit failures;
    struct audit_draft draft;
};

/* Makes the segment whose first record is the next one, and goes on in it. 0, or -1 with errno. */
int audit_new_segment(struct audit *a) MUST_CHECK;
/* Begins a record in a->draft, to be filled. */
void audit_begin(struct audit *a, enum audit_event event);
/* Writes a->draft, all of it or nothing. 0, or -1 with errno. */
int audit_append(struct audit *a) MUST_CHECK;
/* All that has to be there before a decision: a segment that is not finished, its first record, and how
 * many records are missing. 0, or -1 with errno. */
int audit_ready(struct audit *a) MUST_CHECK;

/* Opens the folder's last segment and puts `a` where its chain ends; what a crash left behind it is cut, and
 * that is written down. 0, or -1 with err. a->head is open, locked, and its content is `head`. */
int audit_recover(struct audit *a, const struct audit_head *head, char *err,
                  size_t errlen) MUST_CHECK;

#endif
