#include "hub/client/addresses.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/crypto/secret.h"

enum { BUCKETS = 4096 };

struct entry {
    struct entry *next;
    struct ip_addr ip;
    unsigned n;
};

struct addresses {
    uint64_t seed[2];
    struct entry *bucket[BUCKETS];
};

struct addresses *addresses_new(void)
{
    struct addresses *a = xcalloc(1, sizeof(*a));
    if (random_bytes(a->seed, sizeof(a->seed)) < 0) {
        free(a);
        return NULL;
    }
    return a;
}

void addresses_free(struct addresses *a)
{
    if (!a) {
        return;
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        while (a->bucket[i]) {
            struct entry *e = a->bucket[i];
            a->bucket[i] = e->next;
            free(e);
        }
    }
    free(a);
}

static struct entry **find(const struct addresses *a, const struct ip_addr *key)
{
    struct entry **at = (struct entry **)&a->bucket[ip_hash(key, a->seed) % BUCKETS];
    while (*at && !ip_equal(&(*at)->ip, key)) {
        at = &(*at)->next;
    }
    return at;
}

bool addresses_enter(struct addresses *a, const struct ip_addr *ip, int64_t max)
{
    struct ip_addr key = ip_client(ip);
    struct entry **at = find(a, &key);
    if (*at && max > 0 && (*at)->n >= max) {
        return false;
    }
    if (!*at) {
        *at = xcalloc(1, sizeof(**at));
        (*at)->ip = key;
    }
    (*at)->n++;
    return true;
}

void addresses_leave(struct addresses *a, const struct ip_addr *ip)
{
    struct ip_addr key = ip_client(ip);
    struct entry **at = find(a, &key);
    struct entry *e = *at;
    if (e && --e->n == 0) {
        *at = e->next;
        free(e);
    }
}

unsigned addresses_count(const struct addresses *a, const struct ip_addr *ip)
{
    struct ip_addr key = ip_client(ip);
    struct entry *e = *find(a, &key);
    return e ? e->n : 0;
}
