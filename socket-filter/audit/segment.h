/* segment.h - the files of a record's folder: their names, the head file, and reading them line by line.
 *
 * Owns nothing but what a caller hands in; descriptors stay the caller's.
 */
#ifndef HARP_FILTER_AUDIT_SEGMENT_H
#define HARP_FILTER_AUDIT_SEGMENT_H

#include "socket-filter/audit/record.h"

enum {
    AUDIT_NAME_SIZE = 33,  /* "audit-00000000000000000001.jsonl" with its NUL */
    AUDIT_BOOT_SIZE = 36,  /* an id of the system's running time, as the kernel writes it */
    AUDIT_HEAD_SIZE = 134, /* bytes of the head file */
    AUDIT_READ_SIZE = 64 * 1024,
};

#define AUDIT_HEAD_NAME "audit.head"

/* The name of the segment whose first record has this number; name has AUDIT_NAME_SIZE bytes. */
void audit_segment_name(uint64_t first, char *name);
/* The other way: 0 if the name is no segment's. */
uint64_t audit_segment_first(const char *name);

/* Calls `each` for each segment in the folder (in no order) until it returns other than 0. 0, what `each`
 * returned, or -1 with errno. */
int audit_segments(int folder, int (*each)(void *arg, const char *name, uint64_t first), void *arg);

/* ---- the head file: the last record's place, and when it was written ---- */

struct audit_head {
    struct audit_link link;
    char
        boot[AUDIT_BOOT_SIZE + 1]; /* the same as now: the system has not been started anew since */
};

/* Of this running time of the system; all dashes if it can't be told. */
void audit_boot(char *boot);
/* 0; 1: it is empty; -1: errno is set, or 0 if the file is none that was written here. */
int audit_head_read(int fd, struct audit_head *head) MUST_CHECK;
/* 0, or -1 with errno. */
int audit_head_write(int fd, const struct audit_head *head) MUST_CHECK;

/* ---- lines ---- */

enum audit_read {
    AUDIT_READ_LINE,
    AUDIT_READ_END,
    AUDIT_READ_TORN,   /* what is left has no newline; *line is what there is of it */
    AUDIT_READ_LONG,   /* a line over AUDIT_LINE_MAX */
    AUDIT_READ_FAILED, /* errno says why */
};

/* Reads by pread from the file's start on, so that the descriptor may be shared. */
struct audit_reader {
    int fd;
    uint64_t number; /* of the line that came last, from 1 */
    uint64_t offset; /* in the file, of what is read next */
    size_t from, to; /* in buf */
    char buf[AUDIT_READ_SIZE];
};

void audit_reader_init(struct audit_reader *r, int fd);
/* *line is without its newline, and valid until the next call. */
enum audit_read audit_reader_next(struct audit_reader *r, struct str *line) MUST_CHECK;

#endif
