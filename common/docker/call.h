/* call.h - a Docker call: version, path and query of a request target, read once and strictly.
 *
 * Pure; allocates nothing. A struct docker_call owns all its text: what it was read from may go, and it
 * may be copied. It need not be cleared before, and holds nothing to free. About 10 KiB.
 *
 * Rules, from the gate's specification ("parse once, strictly"): whatever two programs could read in
 * two ways is refused, as malformed, instead of being brought into order.
 *
 * Version: none, or /v1.N in front, N decimal without a leading zero, from 24 to the caller's limit.
 * Path: segments of the unreserved characters of RFC 3986 2.3, ":" and "@"; none is empty, "." or
 * ".."; no slash ends it. Of percent-encoding only %2F, %3A and %40 are taken, in either letter case: an
 * image's name may spell its slashes, colons and "@" so. They are decoded here, and the segments that
 * they touch are marked, so that they can be refused where no image's name stands.
 * Query: none, or name=value pairs joined by "&". A name is letters, digits, "_" and "-", never encoded,
 * and comes once. A value is unreserved characters, "/", ":", "@" and %XX, and decodes to printable
 * ASCII once. So no "+" (a space to some, a plus to others), no ";" (a separator to some), no second
 * "=", no name without a "=" and no empty pair.
 */
#ifndef HARP_DOCKER_CALL_H
#define HARP_DOCKER_CALL_H

#include "common/base/base.h"

#define DOCKER_VERSION_MIN 24u /* of /v1.N */
#define DOCKER_VERSION_MAX 99u /* the usual limit; 999 is the highest that is understood */

/* In bytes, decoded, unless the name says otherwise. */
#define DOCKER_PATH_MAX 1024u /* without the version */
#define DOCKER_SEGMENTS_MAX 64u
#define DOCKER_PARAMS_MAX 16u
#define DOCKER_PARAM_NAME_MAX 32u
#define DOCKER_PARAM_VALUE_MAX 4096u
#define DOCKER_QUERY_MAX 8192u /* names and values together */

struct docker_rule;

/* A piece of the call's own text. */
struct docker_span {
    uint16_t at, n;
};

struct docker_segment {
    struct docker_span text; /* in path */
    bool encoded;            /* a part of it, or the slash at one of its ends, was spelled %XX */
};

struct docker_param {
    struct docker_span name, value; /* in query */
};

struct docker_call {
    unsigned version; /* the N of /v1.N; 0: there was none */
    unsigned nsegments, nparams;
    /* Set by docker_judge: the part of the path that names what the call is about, {0, 0} if nothing
     * does; and the rule that let the call pass, NULL if none did. */
    struct docker_span object;
    const struct docker_rule *rule;
    struct docker_segment segments[DOCKER_SEGMENTS_MAX];
    struct docker_param params[DOCKER_PARAMS_MAX];
    uint16_t path_len, query_len;
    char path[DOCKER_PATH_MAX]; /* decoded, begins with '/' */
    char query[DOCKER_QUERY_MAX];
};

/* 0; or -1, *why a static English reason, and *call undefined but for its rule. Without a rule, either way. */
int docker_call_read(struct docker_call *call, struct str target, unsigned version_max,
                     const char **why) MUST_CHECK;

/* Puts another name in the place of the object, which must be one segment, as long as it has room; a
 * judged call stays judged, since the caller knows that both are of the same thing. */
void docker_call_rename(struct docker_call *call, struct str name);

static inline struct str docker_call_path(const struct docker_call *call)
{
    return (struct str){call->path, call->path_len};
}

static inline struct str docker_call_segment(const struct docker_call *call, unsigned i)
{
    return (struct str){call->path + call->segments[i].text.at, call->segments[i].text.n};
}

/* For records and messages: what the call is about, empty if nothing or if it was not judged. */
static inline struct str docker_call_object(const struct docker_call *call)
{
    return (struct str){call->path + call->object.at, call->object.n};
}

static inline struct str docker_param_name(const struct docker_call *call, unsigned i)
{
    return (struct str){call->query + call->params[i].name.at, call->params[i].name.n};
}

static inline struct str docker_param_value(const struct docker_call *call, unsigned i)
{
    return (struct str){call->query + call->params[i].value.at, call->params[i].value.n};
}

/* Whether there is such a parameter, and its value. */
bool docker_call_param(const struct docker_call *call, struct str name,
                       struct str *value) MUST_CHECK;

#endif
