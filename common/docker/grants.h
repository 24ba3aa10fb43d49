/* grants.h - what the names and bodies of Docker calls may hold under a policy: lists, as data.
 *
 * Owns nothing: tables of constants, or memory of whoever read them from a file; they live as long as the
 * policy they belong to. An empty list allows nothing, unless its line says otherwise. Sizes are bytes.
 *
 * A pattern stands for a whole name. In it `*` is any run of one or more bytes; all else is itself.
 */
#ifndef HARP_DOCKER_GRANTS_H
#define HARP_DOCKER_GRANTS_H

#include "common/base/base.h"

struct docker_words {
    const char *const *p;
    size_t n;
};

/* A folder of the host that a container may see. `path` is absolute, has no empty or dot segment, and no
 * slash at its end. */
struct docker_bind {
    const char *path;
    bool below;     /* what lies in it, too; such a mount is read-only always (see README.md) */
    bool read_only; /* a mount that would let the container write is refused */
};

enum docker_extra_type {
    DOCKER_EXTRA_STRING,
    DOCKER_EXTRA_INTEGER,
    DOCKER_EXTRA_BOOLEAN,
    DOCKER_EXTRA_STRINGS, /* an array of them */
};

/* One more key of a container's body: Config's own as "StopSignal", HostConfig's as "HostConfig.ShmSize".
 * No key of these that the schema knows already, and none that gives the host away (body.h). */
struct docker_extra {
    const char *key;
    enum docker_extra_type type;
    int64_t max;                /* of an INTEGER, whose least is 0 */
    struct docker_words values; /* patterns of a STRING, or each of STRINGS; empty: all */
};

/* The one argument vector, word for word. */
struct docker_command {
    struct docker_words argv;
};

struct docker_grants {
    struct docker_words containers; /* patterns of names */
    struct docker_words volumes;    /* patterns of names */
    struct docker_words images;     /* patterns of references as the client spells them */
    struct docker_words networks;   /* patterns of NetworkMode; `container:` is never allowed */
    struct docker_words publish;    /* host addresses, word for word, that ports may be bound to */
    struct docker_words devices;    /* "gpu": DeviceRequests for GPUs; else paths, word for word */
    struct docker_words
        archive; /* folders, without a slash in front, that files may be put below */
    const struct docker_command *commands; /* that may be executed in a container */
    size_t ncommands;
    const struct docker_bind *binds;
    size_t nbinds;
    const struct docker_extra *extras;
    size_t nextras;
    int64_t memory_max;    /* 0: none; else Memory must be given, and no more than this */
    int64_t nano_cpus_max; /* the same of NanoCpus */
    const char *owner; /* written into the label DOCKER_OWNER_LABEL of what is made; NULL: none */
    bool hide_env;     /* values of environments are cut out of answers */
};

#define DOCKER_OWNER_LABEL "harp.filter.owner"

/* Whether s fits one of the patterns. Takes time in proportion to the product of both lengths at most. */
bool docker_words_match(struct docker_words patterns, struct str s);

/* Whether one of the patterns is `*` alone. */
bool docker_words_all(struct docker_words patterns);

/* Whether s is one of the words. */
bool docker_words_have(struct docker_words words, struct str s);

#endif
