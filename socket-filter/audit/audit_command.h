/* audit_command.h - the words of `audit verify ...` and `audit show ...`. Owns nothing. */
#ifndef HARP_FILTER_AUDIT_COMMAND_H
#define HARP_FILTER_AUDIT_COMMAND_H

#include <stdio.h>

/* For --help: what the words may be. */
extern const char audit_command_usage[];

/* argv[0] is "verify" or "show", the rest its options and files. Returns the exit code: 0 good, 1 a broken
 * chain or a line that is no record, 2 wrong usage or a file that can't be read; err then has been told. */
int audit_command(int argc, const char *const *argv, FILE *out, FILE *err);

#endif
