/* lookup.h - asks the engine about containers and volumes before a call concerning them may pass: whether
 * the one with an id is of a name that the policy lists, and whether what is there carries the owner's label.
 *
 * A `struct lookup` owns its connection. It ends by `done`, which comes from the loop, or by lookup_cancel.
 */
#ifndef HARP_FILTER_LOOKUP_H
#define HARP_FILTER_LOOKUP_H

#include "common/docker/policy.h"

#define LOOKUP_NAMES_MAX 128u /* volumes of one container; a body mounts no more */
#define LOOKUP_ANSWER_MAX (4u * 1024 * 1024)

struct filter;
struct lookup;

enum lookup_kind { LOOKUP_CONTAINER, LOOKUP_VOLUME };

struct lookup_result {
    /* 0: all are granted; 403 without a body: verdict says why not; else what to answer: with `why` the
     * engine failed (502 503 504), without it answered so itself (400 to 599), and `body` is what it said. */
    int status;
    const char *why;
    struct str body;
    const char *id; /* of a container: its full id; of volumes empty. In an array of 65 bytes */
};

typedef void lookup_done(void *owner, const struct lookup_result *result,
                         struct docker_verdict *verdict);

/* names: n of them, at most LOOKUP_NAMES_MAX; copied. They are asked about one after the other. */
struct lookup *lookup_start(struct filter *f, const struct docker_policy *policy,
                            enum lookup_kind kind, const struct str *names, size_t n,
                            lookup_done *done, void *owner) MUST_CHECK;
void lookup_cancel(struct lookup *l);

#endif
