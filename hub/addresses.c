#include "hub/addresses.h"

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

static struct ip_addr key_of(const struct ip_addr *ip)
{
    struct ip_addr key = *ip;
    if (!ip_is_v4(&key)) {
        ip_mask(&key, 64);
    }
    return key;
}

static struct entry **find(const struct addresses *a, const struct ip_addr *key)
{
    uint64_t w[2];
    memcpy(w, key->b, sizeof(w));
    uint64_t h = (w[0] ^ a->seed[0]) * 0x9E3779B97F4A7C15U;
    h = (h ^ (h >> 29) ^ w[1] ^ a->seed[1]) * 0xBF58476D1CE4E5B9U;
    h ^= h >> 32;
    struct entry **at = (struct entry **)&a->bucket[h % BUCKETS];
    while (*at && !ip_equal(&(*at)->ip, key)) {
        at = &(*at)->next;
    }
    return at;
}

bool addresses_enter(struct addresses *a, const struct ip_addr *ip, int64_t max)
{
    struct ip_addr key = key_of(ip);
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
    struct ip_addr key = key_of(ip);
    struct entry **at = find(a, &key);
    struct entry *e = *at;
    if (e && --e->n == 0) {
        *at = e->next;
        free(e);
    }
}

unsigned addresses_count(const struct addresses *a, const struct ip_addr *ip)
{
    struct ip_addr key = key_of(ip);
    struct entry *e = *find(a, &key);
    return e ? e->n : 0;
}
