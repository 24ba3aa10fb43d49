/* policy_test.h - judges recorded requests by a policy, without an engine or a host.
 *
 * A file is a JSON array of requests, or has one in each line (JSON Lines):
 *
 *     {"method": "POST", "path": "/v1.41/containers/create?name=nc_app_x", "headers": {"Accept": "x"},
 *      "body": {"Image": "a"}, "expect": "pass", "name": "an app is made"}
 *
 * All but method and path may be left out. `body` is text as it was sent, or an object or array, which is
 * written anew. `headers` may be a list of pairs, too, `query` may stand beside the path, and all of it
 * may be inside of "request": so recordings are written. Host and framing are added; Content-Type is
 * application/json where there is a body and no other is given.
 *
 * Not judged: archives (only that the call may have one), and what the engine or the host would be asked.
 */
#ifndef HARP_FILTER_POLICY_TEST_H
#define HARP_FILTER_POLICY_TEST_H

#include <stdio.h>

#include "socket-filter/policy/policies.h"

enum {
    POLICY_TEST_FILE_MAX = 16 * 1024 * 1024, /* bytes */
    POLICY_TEST_NODES_MAX = 512 * 1024,      /* JSON values of one text */
    POLICY_TEST_MET = 0,
    POLICY_TEST_UNMET = 1,     /* a request did not end as expected */
    POLICY_TEST_MALFORMED = 2, /* the file can't be read, or is none of requests; err says where */
};

/* Writes a line for each request, and a count, to `out`. Returns one of the last three. */
int policy_test(const struct named_policy *policy, const char *path, FILE *out,
                FILE *err) MUST_CHECK;

#endif
