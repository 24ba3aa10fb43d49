/* body.h - judges the JSON body of a call by a schema, and writes anew what of it goes on. So an engine
 * never reads a byte of the client's, and reads nothing that was not judged.
 *
 * Pure but for what `struct docker_host` looks up. A body is refused, as a whole, for a key that is not
 * spelled as the schema has it (Go's decoders fold case, and U+017F and U+212A, too), for a key twice, also
 * by two of its spellings (Go merges them), for a NUL in a string, or another control character in one that
 * is no value of an environment, for a wrong type. What is not well-formed JSON, or nested deeper than
 * JSON_DEPTH, is malformed (400), what is longer than DOCKER_BODY_MAX too large (413).
 *
 * Keys are of three kinds:
 *   granted   their values are checked, and go on
 *   idle      Docker knows them, and Docker's own client sends them all: they are taken when they ask for
 *             nothing (null, and what of false, 0, "", [] and {} means the same), and do not go on
 *   others    refused, whatever they hold
 * Extras of the grants turn idle keys into granted ones; docker_extra_key tells which can be.
 */
#ifndef HARP_DOCKER_BODY_H
#define HARP_DOCKER_BODY_H

#include "common/docker/policy.h"

#define DOCKER_BODY_MAX (1024u * 1024) /* the usual limit, in bytes */

/* What only the Docker host itself can say. */
struct docker_host {
    /* Whether `source`, which `bind` covers by its spelling, is what it seems to be: NULL, or a reason that
     * goes on after "mount source ". */
    const char *(*bind)(void *arg, const struct docker_bind *bind, struct str source);
    void *arg;
};

struct docker_body_out {
    char *p; /* malloc; may hold secrets: docker_body_wipe ends it. NULL: nothing goes on */
    size_t n;
};

/* Judges a body for call->rule->body, one of the JSON kinds. Returns verdict->status; when 0, *out is what
 * goes on, and of *verdict only `status` and `call` are written. `call` is a call that passed docker_judge by
 * `policy`; `verdict` is the one of that, or all zero. Takes up to six times the body's length in memory
 * besides the parsed text, and wipes what does not go on. host
 * NULL: what it would be asked is not looked at (for policies tried without a host). Verdict and output
 * depend on nothing else. */
int docker_judge_body(const struct docker_policy *policy, const struct docker_call *call,
                      struct str body, const struct docker_host *host, struct docker_body_out *out,
                      struct docker_verdict *verdict) MUST_CHECK;

void docker_body_wipe(struct docker_body_out *out);

/* NULL: a docker_extra may have that key and type; else a reason. Power over the host, as that of
 * Privileged, Binds or CapAdd, can't be granted so. */
const char *docker_extra_key(struct str key, enum docker_extra_type type) MUST_CHECK;

/* The volumes that a container's body mounts, as docker_judge_body wrote it: for each, `each` is called with a
 * name that is good during that call. They exist, and must be ours, where grants->owner counts. 0; -1: the body
 * could not be read, and nothing may be concluded. */
int docker_body_volumes(struct str out, void (*each)(void *arg, struct str name),
                        void *arg) MUST_CHECK;

#endif
