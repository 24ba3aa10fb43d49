#include "socket-filter/client/execs.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/docker/reference.h"

struct entry {
    const struct docker_policy *policy;
    char id[DOCKER_ID_DIGITS];
};

struct execs {
    struct entry *ring;
    size_t max, count, next;
};

struct execs *execs_new(size_t max)
{
    struct execs *e = xcalloc(1, sizeof(*e));
    e->ring = xcalloc(max, sizeof(*e->ring));
    e->max = max;
    return e;
}

void execs_free(struct execs *e)
{
    if (e) {
        free(e->ring);
        free(e);
    }
}

void execs_add(struct execs *e, const struct docker_policy *policy, struct str id)
{
    if (id.n != DOCKER_ID_DIGITS || !docker_hex_valid(id)) {
        return;
    }
    struct entry *entry = &e->ring[e->next];
    entry->policy = policy;
    memcpy(entry->id, id.p, sizeof(entry->id));
    e->next = (e->next + 1) % e->max;
    e->count += e->count < e->max;
}

bool execs_known(const struct execs *e, const struct docker_policy *policy, struct str id)
{
    for (size_t i = 0; i < e->count; i++) {
        const struct entry *entry = &e->ring[i];
        if (entry->policy == policy && str_eq((struct str){entry->id, sizeof(entry->id)}, id)) {
            return true;
        }
    }
    return false;
}

unsigned execs_count(const struct execs *e)
{
    return (unsigned)e->count;
}
