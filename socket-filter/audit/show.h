/* show.h - prints records that fit a filter. Owns nothing. */
#ifndef HARP_FILTER_AUDIT_SHOW_H
#define HARP_FILTER_AUDIT_SHOW_H

#include <stdio.h>

#include "socket-filter/audit/audit.h"

/* All that are given must fit. Patterns are those of common/docker/grants.h: `*` is any run of bytes. One of
 * the first four takes decisions alone. */
struct audit_filter {
    const char *verdict; /* the word, one of audit_verdict_names */
    const char *call;    /* pattern */
    const char *object;  /* pattern */
    const char *client;  /* pattern */
    bool since_given, until_given;
    int64_t since, until; /* ms since 1970: from `since` on, before `until` */
    bool json;            /* lines as they stand in the file; otherwise for people, escaped */
};

/* Files and folders as for audit_verify, whose exit codes these are: 1 if there was a line that is no record
 * (which is told on err; the others are shown). Does not look at hashes. */
int audit_show(const struct audit_filter *filter, const char *const *files, size_t n, FILE *out,
               FILE *err);

#endif
