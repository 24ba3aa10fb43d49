/* schema.h - what the bodies of Docker calls are made of, as tables of keys, and the walk along them that
 * judges a body and writes it anew. Used inside common/docker, by body.c and its tables.
 *
 * A table is constant and ends in a row without a key. A row's `take` judges a value and writes it; a row
 * without one is of an idle key. A struct docker_judging lives for one body, and owns nothing.
 */
#ifndef HARP_DOCKER_SCHEMA_H
#define HARP_DOCKER_SCHEMA_H

#include "common/docker/body.h"
#include "common/json/json.h"

#define DOCKER_KEY_PATH_MAX                                                                        \
    96u /* "NetworkingConfig.EndpointsConfig.*.GlobalIPv6PrefixLen" and more */
#define DOCKER_KEY_SHOWN_MAX 40u /* of an unknown key, in a message */

/* In elements, or bytes. */
#define DOCKER_ENV_MAX 1024u
#define DOCKER_LABELS_MAX 128u
#define DOCKER_LABEL_KEY_MAX 256u
#define DOCKER_LABEL_VALUE_MAX 4096u
#define DOCKER_MOUNTS_MAX 128u
#define DOCKER_BODY_PATH_MAX 4096u
#define DOCKER_ENDPOINTS_MAX 16u
#define DOCKER_ALIASES_MAX 16u
#define DOCKER_NETWORK_MAX 128u
#define DOCKER_PORTS_MAX 64u
#define DOCKER_PORT_BINDINGS_MAX 8u /* of one port */
#define DOCKER_RETRIES_MAX 1000
#define DOCKER_DEVICES_MAX 16u
#define DOCKER_GPUS_MAX 64
#define DOCKER_WORDS_MAX 256u /* elements of an extra that is an array */
#define DOCKER_HOSTNAME_MAX 63u

/* What asks for nothing; a set of these is a row's `idle`. */
enum {
    IDLE_NULL = 1 << 0,
    IDLE_FALSE = 1 << 1,
    IDLE_TRUE = 1 << 2, /* a wish that concerns the client only */
    IDLE_ZERO = 1 << 3,
    IDLE_MINUS_ONE = 1 << 4,
    IDLE_EMPTY = 1 << 5, /* "" */
    IDLE_LIST = 1 << 6,  /* [] */
    IDLE_MAP = 1 << 7,   /* {} */
    IDLE_PAIR = 1 << 8,  /* two integers, not below 0 */
};

/* Bits of struct docker_judging's `seen`. */
enum {
    SEEN_IMAGE = 1 << 0,
    SEEN_NETWORK = 1 << 1,
    SEEN_MEMORY = 1 << 2,
    SEEN_CPUS = 1 << 3,
    SEEN_LABELS = 1 << 4,
    SEEN_NAME = 1 << 5,
    SEEN_COMMAND = 1 << 6,
};

struct docker_judging {
    const struct docker_grants *grants;
    const struct docker_host *host; /* may be NULL */
    struct docker_verdict *verdict;
    struct json_out out;
    unsigned seen;
    size_t path_len;
    char path[DOCKER_KEY_PATH_MAX]; /* the key that is judged, as in "HostConfig.Mounts.Type" */
};

/* Functions that judge return 0, or the verdict's status, with fault, what and why set. */
struct docker_field {
    const char *key;
    const char *alias;     /* another spelling that clients have; NULL: none */
    const char *idle_word; /* a string that asks for nothing, beside those of `idle` */
    int (*take)(struct docker_judging *j, const struct docker_field *f, const struct json_node *n);
    const struct docker_field *fields; /* of an object's members; one row, of each value of a map */
    const char *(*check)(
        struct str s); /* of a string: NULL, or a reason that goes on after its key */
    int (*granted)(struct docker_judging *j, struct str s); /* of a string, or the keys of a map */
    int (*whole)(struct docker_judging *j, const struct json_node *n); /* after all else */
    int64_t least, most; /* of an integer, or a number of elements */
    unsigned idle;
    unsigned seen; /* a bit that is set when it was taken */
    bool extra;    /* grants->extras may name it, with the type that follows */
    enum docker_extra_type type;
};

/* The tables. */
extern const struct docker_field docker_schema_container[], docker_schema_host[],
    docker_schema_exec[], docker_schema_exec_start[], docker_schema_volume[];

extern const struct docker_field docker_each_label; /* its value */

/* For what must be there, and what is written beside: after all members of a body. */
int docker_container_end(struct docker_judging *j);
int docker_exec_end(struct docker_judging *j);
int docker_exec_start_end(struct docker_judging *j);
int docker_volume_end(struct docker_judging *j);

/* ---- the walk ---- */

const struct docker_field *docker_field_find(const struct docker_field *fields, struct str key);

/* The members of an object; its braces are the caller's. */
int docker_walk(struct docker_judging *j, const struct docker_field *fields,
                const struct json_node *object);

/* Those of rows. */
int docker_take_string(struct docker_judging *j, const struct docker_field *f,
                       const struct json_node *n);
int docker_take_integer(struct docker_judging *j, const struct docker_field *f,
                        const struct json_node *n);
int docker_take_boolean(struct docker_judging *j, const struct docker_field *f,
                        const struct json_node *n);
int docker_take_strings(struct docker_judging *j, const struct docker_field *f,
                        const struct json_node *n);
int docker_take_object(struct docker_judging *j, const struct docker_field *f,
                       const struct json_node *n);
int docker_take_objects(struct docker_judging *j, const struct docker_field *f,
                        const struct json_node *n);
int docker_take_map(struct docker_judging *j, const struct docker_field *f,
                    const struct json_node *n);
int docker_take_labels(struct docker_judging *j, const struct docker_field *f,
                       const struct json_node *n);

/* Whether n is an array of a number of elements that the row allows; else a refusal. */
int docker_expect_array(struct docker_judging *j, const struct docker_field *f,
                        const struct json_node *n);

/* NetworkMode, and the names of networks; "default" and "bridge" mean the same. */
int docker_network_granted(struct docker_judging *j, struct str s);

/* "KEY why", and what the fault is about. */
int docker_refuse_key(struct docker_judging *j, enum docker_fault fault, struct str what,
                      const char *why);
/* The same of what no policy allows. */
int docker_refuse_here(struct docker_judging *j, const char *why);

/* Writes the owner's label, as a member of the object that is open. */
void docker_write_owner(struct docker_judging *j);
/* The whole of `Labels`, where the body had none and there is an owner. */
void docker_write_labels(struct docker_judging *j);

/* ---- texts ---- */

bool docker_has_control(struct str s);
const char *docker_check_hostname(struct str s);
const char *docker_check_host(struct str s); /* a host name of up to 253 bytes */
const char *docker_check_path(struct str s); /* in a container */
/* What stands in a mount: Podman joins it with others by commas and colons. */
const char *docker_check_mount_path(struct str s);
const char *docker_check_network(struct str s);
const char *docker_check_port(struct str s); /* "80" or "80/tcp" */
const char *docker_check_host_port(struct str s);
const char *docker_check_label_key(struct str s);
const char *docker_check_user(struct str s);
const char *docker_check_cpus(struct str s);
const char *docker_check_capability(struct str s);
const char *docker_check_address(struct str s);
const char *docker_check_hardening(struct str s);
const char *docker_check_any(struct str s);

#endif
