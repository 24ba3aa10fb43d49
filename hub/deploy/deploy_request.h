/* deploy_request.h - what AppAPI asks to do with a container: the JSON bodies of /docker/exapp/...
 *
 * Pure: bytes in, a checked struct out. It owns the document that its slices point into;
 * deploy_request_free ends both, wipes them, and may be called on a zeroed one.
 *
 * Names go into paths of the Docker API, so they are refused where HaRP lets them reach any container:
 * name, instance_id and role_suffix match [A-Za-z0-9][A-Za-z0-9_.-]*. Members that are not known do not
 * count, as AppAPI sends some; known ones must be of the right type. Rules: spec/appapi.md section 5.
 */
#ifndef HARP_HUB_DEPLOY_REQUEST_H
#define HARP_HUB_DEPLOY_REQUEST_H

#include "common/json/json.h"

enum {
    DEPLOY_NAME_MAX = 107, /* nc_app_ and 100 more, as the gate has it */
    DEPLOY_ENV_MAX = 1024,
    DEPLOY_MOUNTS_MAX = 64,
    DEPLOY_PATH_MAX = 4096,
    DEPLOY_ERROR_MAX = 256,
};

enum deploy_kind {
    DEPLOY_EXISTS,
    DEPLOY_CREATE,
    DEPLOY_START,
    DEPLOY_STOP,
    DEPLOY_WAIT,
    DEPLOY_REMOVE,
    DEPLOY_IMAGE_REMOVE,
    DEPLOY_CERTIFICATES,
};

enum deploy_compute { DEPLOY_CPU, DEPLOY_CUDA, DEPLOY_ROCM };

struct deploy_mount {
    struct str source, target;
    bool read_only;
};

struct deploy_request {
    enum deploy_kind kind;
    struct json_doc *doc;
    struct str name;                      /* the app's */
    char container[DEPLOY_NAME_MAX + 1];  /* nc_app_[{instance_id}_]{name}[_{role_suffix}] */
    char volume[DEPLOY_NAME_MAX + 6];     /* without the role, and _data */
    struct str image;                     /* CREATE, IMAGE_REMOVE: a reference or an id */
    struct str network, restart;          /* CREATE */
    const struct json_node *env, *mounts; /* CREATE: checked arrays, or NULL */
    enum deploy_compute compute;
    int64_t memory, nano_cpus; /* 0: not limited */
    struct str bundle;         /* CERTIFICATES: PEM; may be empty */
    bool frp_certs, remove_data;
};

/* "exists", "create", ...; NULL: there is no such call. */
const char *deploy_kind_name(enum deploy_kind kind);
/* -1: none is called so. */
int deploy_kind_find(struct str name, enum deploy_kind *kind) MUST_CHECK;

/* 0, or -1: words is the answer's first line, why the reason or "". *r is then empty. */
int deploy_request_read(struct deploy_request *r, enum deploy_kind kind, struct str body,
                        char words[DEPLOY_ERROR_MAX], char why[DEPLOY_ERROR_MAX]) MUST_CHECK;
void deploy_request_free(struct deploy_request *r);

/* One of r->env: "KEY=value". */
struct str deploy_env(const struct json_node *entry);
/* The value of the variable in r->env that is called so, the first one. */
int deploy_env_find(const struct deploy_request *r, const char *key, struct str *value) MUST_CHECK;
/* One of r->mounts. */
struct deploy_mount deploy_mount(const struct json_node *entry);

#endif
