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
#include "common/docker/grants.h"
#include "common/http/head.h"

struct docker_verdict;

#define DOCKER_RULE_PARAMS 8u
#define DOCKER_REGISTRY_AUTH_MAX 6144u /* bytes of X-Registry-Auth */

/* A bit of struct docker_rule's `methods`. */
#define DOCKER_METHOD(id) (1u << (id))

/* What would have to be granted for a call to pass; hint.h makes a line of a policy's file of it. */
enum docker_fault {
    DOCKER_FAULT_NEVER, /* nothing: no policy can let it pass */
    DOCKER_FAULT_CALL,
    DOCKER_FAULT_PARAM,
    DOCKER_FAULT_CONTAINER,
    DOCKER_FAULT_VOLUME,
    DOCKER_FAULT_IMAGE,
    DOCKER_FAULT_NETWORK,
    DOCKER_FAULT_PUBLISH,
    DOCKER_FAULT_DEVICE,
    DOCKER_FAULT_ARCHIVE,
    DOCKER_FAULT_COMMAND,
    DOCKER_FAULT_BIND,
    DOCKER_FAULT_KEY,
    DOCKER_FAULT_MEMORY,
    DOCKER_FAULT_CPUS,
    DOCKER_FAULT_OWNER,
};

/* What stands at {} in a rule's path. */
struct docker_object {
    const char *what; /* for messages and policies' files, as in "container" */
    const char *(*check)(
        struct str name); /* NULL: well-formed; else goes on after "container name " */
    /* The same when it is, but is not granted; may be NULL: nothing is to be granted. */
    const char *(*granted)(const struct docker_grants *grants, struct str name);
    enum docker_fault fault; /* of `granted` */
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
    DOCKER_NO_BODY,        /* a Content-Length of 0 is none */
    DOCKER_BODY_CONTAINER, /* these are JSON, judged by body.h */
    DOCKER_BODY_EXEC,
    DOCKER_BODY_EXEC_START,
    DOCKER_BODY_VOLUME,
    DOCKER_BODY_DROPPED, /* JSON that no engine needs: it is taken, and does not go on */
    DOCKER_BODY_ARCHIVE, /* a tar archive, judged by archive.h as it passes */
};

/* How an answer ends, for the caller's time limits. */
enum docker_answer {
    DOCKER_ANSWER_SHORT,
    DOCKER_ANSWER_SLOW,   /* the engine does something first: stops a container, runs a command */
    DOCKER_ANSWER_STREAM, /* when the engine ends it; bytes may be long in coming */
};

struct docker_rule {
    const char *name; /* for messages and records, as in "images/create" */
    const char *path; /* exact segments, and at most one {}: "containers/{}/logs" */
    const struct docker_object *object; /* what {} is; NULL: the path has none */
    /* What concerns several parts of the call, or its parameters and what is granted: 0, or the
     * verdict's status with fault, what and why set. */
    int (*also)(const struct docker_grants *grants, const struct docker_call *call,
                struct docker_verdict *verdict);
    struct docker_param_rule params[DOCKER_RULE_PARAMS];
    unsigned methods; /* DOCKER_METHOD() of each */
    enum docker_body body;
    enum docker_answer answer;
    bool registry_auth; /* X-Registry-Auth goes on */
    bool upgrade;       /* `Upgrade: tcp` may be asked for */
    bool tells_env;     /* the answer holds environments */
    bool large;         /* the answer ends, but may be of any size: a program's whole output */
};

struct docker_policy {
    const struct docker_rule *const *rules; /* no request fits two of them */
    size_t count;
    unsigned version_max; /* the highest N of /v1.N */
    const struct docker_grants *grants;
    /* Who judges looks things up at the engine (see struct docker_verdict): containers may be named by
     * their ids, too. */
    bool looks_up;
};

#define DOCKER_WHAT_MAX 160u

struct docker_verdict {
    int status; /* 0: it passes; 400: malformed; 403: refused by the policy; 413: too large */
    enum docker_answer answer; /* when it passes */
    /* It passes only if the engine's container or volume of that name is one the policy grants: its id was
     * given, or its label counts. */
    bool look_up;
    enum docker_fault fault;
    /* These are printable ASCII and safe to log; the text of a request stands in `call` and `why` only
     * where it is a word of letters or the name of a parameter, key or archive's member; in `what` it is what
     * fault is about, "" where that is not fit to be printed. */
    char call[64]; /* the rule's name, else method and kind of path: "GET containers/.../top" */
    char why[192]; /* why it does not pass */
    char what[DOCKER_WHAT_MAX];
};

/* Returns verdict->status. `target` is the path and query meant for the engine: what stands behind the
 * hub's prefix, or the request's own path. When 0, *call can be written by docker_forward_request;
 * otherwise its rule is NULL, and nothing writes it. */
int docker_judge(const struct docker_policy *policy, const struct http_request *request,
                 struct str target, struct docker_call *call,
                 struct docker_verdict *verdict) MUST_CHECK;

/* For tables. */
extern const struct docker_object docker_object_container;
extern const struct docker_object docker_object_image;
extern const struct docker_object docker_object_volume;
extern const struct docker_object docker_object_network;
extern const struct docker_object docker_object_exec;
extern const struct docker_object docker_object_any; /* a word for what no grant is about */

/* Sets a refusal: status 403, fault, why, and what, which is left out if it is not printable ASCII or too
 * long. Returns the status. Used by the modules that judge. */
int docker_refuse(struct docker_verdict *v, enum docker_fault fault, struct str what,
                  const char *why);

/* What AppAPI may ask of an engine through the hub. */
extern const struct docker_policy docker_policy_hub;

#endif
