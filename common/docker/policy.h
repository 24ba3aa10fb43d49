/* policy.h - judges a Docker call by a table of what may pass. Everything else is refused.
 *
 * Pure: a parsed head in, a verdict out; no sockets, no allocation. A policy is data: constant tables,
 * made by whoever needs one (policy_hub.c is the hub's), that live as long as calls that were judged by
 * them. To change a limit, copy the struct docker_policy and change the copy.
 *
 * A request is judged in this order, and the first fault is told:
 *   1. the target is read (call.h); faults are 400
 *   2. the rule whose method and path segments fit is looked for; percent-encoding outside of a name
 *      that may have it is a 400
 *   3. the name that stands in the path, then the parameters, by the rule's checks
 *   4. what concerns the head as a whole: body, Expect, Upgrade, X-Registry-Auth
 */
#ifndef HARP_DOCKER_POLICY_H
#define HARP_DOCKER_POLICY_H

#include "common/docker/call.h"
#include "common/http/head.h"

#define DOCKER_RULE_PARAMS 8u
#define DOCKER_REGISTRY_AUTH_MAX 6144u /* bytes of X-Registry-Auth */

/* A bit of struct docker_rule's `methods`. */
#define DOCKER_METHOD(id) (1u << (id))

/* What stands at {} in a rule's path. */
struct docker_object {
    const char *what;                      /* for messages, as in "container" */
    const char *(*check)(struct str name); /* NULL: good; else goes on after "container name " */
    bool slashes; /* one or more segments; %2F, %3A and %40 are taken. Otherwise exactly one. */
};

struct docker_param_rule {
    const char *name;                       /* NULL: the list ends */
    const char *(*check)(struct str value); /* as those of value.h */
    bool required;
    bool streams; /* a boolean; true makes the answer one without end */
};

/* What a request may carry behind its head. */
enum docker_body {
    DOCKER_NO_BODY, /* a Content-Length of 0 is none */
};

/* How an answer ends, for the caller's time limits. */
enum docker_answer {
    DOCKER_ANSWER_SHORT,
    DOCKER_ANSWER_STREAM, /* when the engine ends it; bytes may be long in coming */
};

struct docker_rule {
    const char *name; /* for messages and records, as in "images/create" */
    const char *path; /* exact segments, and at most one {}: "containers/{}/logs" */
    const struct docker_object *object; /* what {} is; NULL: the path has none */
    /* What concerns several parts of the call: NULL, or a reason why it may not pass. */
    const char *(*also)(const struct docker_call *call);
    struct docker_param_rule params[DOCKER_RULE_PARAMS];
    unsigned methods; /* DOCKER_METHOD() of each */
    enum docker_body body;
    enum docker_answer answer;
    bool registry_auth; /* X-Registry-Auth goes on */
};

struct docker_policy {
    const struct docker_rule *rules; /* no request fits two of them */
    size_t count;
    unsigned version_max; /* the highest N of /v1.N */
};

struct docker_verdict {
    int status;                /* 0: it passes; 400: malformed; 403: refused by the policy */
    enum docker_answer answer; /* when it passes */
    /* Both are printable ASCII and safe to log; the text of a request stands in them only where it is a
     * word of letters or a parameter's name. */
    char call[64]; /* the rule's name, else method and kind of path: "GET containers/.../top" */
    char why[128]; /* why it does not pass */
};

/* Returns verdict->status. `target` is the path and query meant for the engine: what stands behind the
 * hub's prefix, or the request's own path. When 0, *call can be written by docker_forward_request;
 * otherwise its rule is NULL, and nothing writes it. */
int docker_judge(const struct docker_policy *policy, const struct http_request *request,
                 struct str target, struct docker_call *call,
                 struct docker_verdict *verdict) MUST_CHECK;

/* Names for tables; see reference.h. */
extern const struct docker_object docker_object_container;
extern const struct docker_object docker_object_image;

/* What AppAPI may ask of an engine through the hub. */
extern const struct docker_policy docker_policy_hub;

#endif
