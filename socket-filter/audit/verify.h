/* verify.h - looks whether records are as they were written. Owns nothing; keeps no more of a file in memory
 * than a few lines.
 */
#ifndef HARP_FILTER_AUDIT_VERIFY_H
#define HARP_FILTER_AUDIT_VERIFY_H

#include <stdio.h>

#include "common/base/base.h"

enum {
    AUDIT_GOOD = 0,
    AUDIT_BAD = 1,
    AUDIT_UNUSABLE = 2, /* wrong usage, or a file can't be read */
};

/* Files in any order; a folder is all its segments, with its head file. head_hex: a hash that some record
 * must have, noted or shipped earlier; NULL: none. The first broken link is told on err, with file, line and
 * record; if there is none, out says what there is. One of the codes above. */
int audit_verify(const char *const *files, size_t n, const char *head_hex, FILE *out, FILE *err);

#endif
