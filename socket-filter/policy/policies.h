/* policies.h - the policies of a running filter: those built in, and those of the configuration file.
 *
 * A `struct policies` owns all memory of the policies read from a file; built-in ones are constants. It
 * lives as long as anything that was judged by one of them. The form of the file is in POLICY.md.
 */
#ifndef HARP_FILTER_POLICIES_H
#define HARP_FILTER_POLICIES_H

#include <stdio.h>

#include "common/config/file.h"
#include "common/docker/policy.h"

struct named_policy {
    const char *name;
    const char *what; /* one sentence for --help and POLICY.md; "" of those in a file */
    const struct docker_policy *policy;
};

struct policies;

/* The built-in ones, ending in a NULL name; "appapi" is the first. */
extern const struct named_policy policies_built_in[];

/* Reads the list `policies` of a file. file NULL, or no such list: the built-in ones alone. A policy of the
 * file hides a built-in one of its name. NULL: the error, with line and setting, is in the report. */
struct policies *policies_load(const struct config_file *file,
                               struct config_report *report) MUST_CHECK;
void policies_free(struct policies *p);

/* NULL: there is none of that name. */
const struct named_policy *policies_find(const struct policies *p, struct str name);
/* All of them in order, for listing: NULL behind the last. */
const struct named_policy *policies_at(const struct policies *p, size_t i);

/* Writes a policy as an element of a file's list `policies`; what is read from it is the same policy. */
void policies_print(FILE *to, const struct named_policy *policy);

#endif
