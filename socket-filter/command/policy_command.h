/* policy_command.h - `policy` of the command line: what policies there are, and what one would let pass.
 *
 *     show              their names, with what they are for
 *     show NAME         one, as a configuration file would have it
 *     test [--policy NAME] FILE    recorded requests (policy_test.h); the policy is "appapi" if none is
 *     test NAME FILE               named
 */
#ifndef HARP_FILTER_POLICY_COMMAND_H
#define HARP_FILTER_POLICY_COMMAND_H

#include <stdio.h>

#include "socket-filter/policy/policies.h"

/* argv are the words behind `policy`. file_name: of the configuration, for messages; NULL or "": there is
 * none. Returns the exit code: 0; 1: a request did not end as expected, or there is no such policy;
 * 2: wrong usage, or a file that can't be read. */
int policy_command(const struct policies *policies, const char *file_name, int argc,
                   const char *const *argv, FILE *out, FILE *err) MUST_CHECK;

#endif
