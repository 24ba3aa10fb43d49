/* files.h - the files that a command is told to read, in the order of their first records.
 *
 * A `struct audit_files` owns names and descriptors; audit_files_free gives all back, after any outcome.
 */
#ifndef HARP_FILTER_AUDIT_FILES_H
#define HARP_FILTER_AUDIT_FILES_H

#include <stdio.h>

#include "socket-filter/audit/segment.h"

enum { AUDIT_FILES_MAX = 65536 };

struct audit_file {
    char *name;       /* as it is shown */
    uint64_t first;   /* number of its first record; 0: it has none */
    uint64_t by_name; /* as its name tells; 0: it has another name */
};

struct audit_files {
    struct audit_file *p;
    size_t n;
    char *folder;  /* NULL: none was among the words */
    bool headless; /* that folder has no head file */
    int head_rc;   /* of audit_head_read */
    struct audit_head head;
    bool live; /* some process writes in that folder */
};

/* A word is a file, or a folder (one at most), which stands for all its segments. 0; -1: err has been told
 * what can't be read. */
int audit_files_open(struct audit_files *f, const char *const *words, size_t n,
                     FILE *err) MUST_CHECK;
void audit_files_free(struct audit_files *f);

/* A descriptor, the caller's; -1: err has been told. */
int audit_file_open(const char *name, FILE *err) MUST_CHECK;

#endif
