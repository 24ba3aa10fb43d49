#include "common/access/bans.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/crypto/secret.h"
#include "common/log/log.h"

enum { BUCKETS = BANS_FAILURES / 2, NONE = 0, LINES = 60, LINES_MS = 60 * 1000 };

/* An address with failures. Its failures stand in the ring in the order they came, so that those a
 * lift has pardoned are always the next of it to leave. */
struct entry {
    struct ip_addr ip;
    uint32_t next;     /* in its bucket, or in the list of free ones */
    uint32_t held;     /* its failures in the ring */
    uint32_t pardoned; /* of these, how many a lift has taken back */
    uint32_t passed;   /* scratch of bans_each */
};

struct failure {
    uint64_t when;
    uint32_t entry;
};

/* Entry 0 is not used: 0 is "none". calloc gives pages that cost nothing until they are written. */
struct bans {
    uint64_t seed[2];
    uint32_t limit;
    struct log *log;
    struct log_limit lines; /* an attack by many addresses must not fill the disk */
    uint64_t window;
    unsigned size;
    uint32_t unused;   /* list of entries that were in use */
    uint32_t fresh;    /* the first that never was */
    uint32_t first, n; /* the ring of failures */
    struct entry *entries;
    struct failure *ring;
    uint32_t *buckets;
};

struct bans *bans_new(int64_t count, uint64_t window, struct log *log)
{
    struct bans *b = xcalloc(1, sizeof(*b));
    if (random_bytes(b->seed, sizeof(b->seed)) < 0) {
        free(b);
        return NULL;
    }
    b->limit = (uint32_t)count;
    b->window = window;
    b->log = log;
    log_limit_init(&b->lines, LINES, LINES_MS);
    b->fresh = 1;
    b->entries = xcalloc(BANS_FAILURES + 1, sizeof(*b->entries));
    b->ring = xcalloc(BANS_FAILURES, sizeof(*b->ring));
    b->buckets = xcalloc(BUCKETS, sizeof(*b->buckets));
    return b;
}

void bans_free(struct bans *b)
{
    if (b) {
        free(b->entries);
        free(b->ring);
        free(b->buckets);
        free(b);
    }
}

/* Where the index of the entry of that key stands, or would stand. */
static uint32_t *place(struct bans *b, const struct ip_addr *key)
{
    uint32_t *at = &b->buckets[ip_hash(key, b->seed) % BUCKETS];
    while (*at != NONE && !ip_equal(&b->entries[*at].ip, key)) {
        at = &b->entries[*at].next;
    }
    return at;
}

static void forget_oldest(struct bans *b)
{
    struct entry *e = &b->entries[b->ring[b->first].entry];
    b->first = (b->first + 1) % BANS_FAILURES;
    b->n--;
    e->held--;
    e->pardoned -= e->pardoned > 0;
    if (e->held == 0) {
        uint32_t *at = place(b, &e->ip), index = *at;
        *at = e->next;
        e->next = b->unused;
        b->unused = index;
        b->size--;
    }
}

static void expire(struct bans *b, uint64_t now)
{
    while (b->n > 0 && now - b->ring[b->first].when >= b->window) {
        forget_oldest(b);
    }
}

static uint32_t counted(const struct entry *e)
{
    return e->held - e->pardoned;
}

static void tell(struct bans *b, const struct ip_addr *key, uint64_t now, const char *what,
                 const char *hint)
{
    char text[IP_TEXT_MAX];
    if (!log_limit_pass(&b->lines, now, b->log, LOG_LEVEL_WARNING, "bans")) {
        return;
    }
    log_warning(b->log, "bans", 0,
                "%s%s is banned after %lu failures within %llu s; the last one: %s%s%s",
                ip_format(key, text), ip_is_v4(key) ? "" : "/64", (unsigned long)b->limit,
                (unsigned long long)(b->window / 1000), what, hint ? "; " : "", hint ? hint : "");
}

void bans_failure(struct bans *b, const struct ip_addr *ip, uint64_t now, const char *what,
                  const char *hint)
{
    struct ip_addr key = ip_client(ip);
    expire(b, now);
    if (b->n == BANS_FAILURES) {
        forget_oldest(b);
    }
    uint32_t *at = place(b, &key);
    if (*at == NONE) {
        /* As many entries as failures: there is one left whenever the ring is not full. */
        uint32_t index = b->unused;
        if (index != NONE) {
            b->unused = b->entries[index].next;
        } else {
            index = b->fresh++;
        }
        b->entries[index] = (struct entry){.ip = key};
        *at = index;
        b->size++;
    }
    b->entries[*at].held++;
    b->ring[(b->first + b->n++) % BANS_FAILURES] = (struct failure){.when = now, .entry = *at};
    if (counted(&b->entries[*at]) == b->limit) {
        tell(b, &key, now, what, hint);
    }
}

bool bans_banned(struct bans *b, const struct ip_addr *ip, uint64_t now)
{
    if (b->n == 0) {
        return false;
    }
    expire(b, now);
    struct ip_addr key = ip_client(ip);
    uint32_t index = *place(b, &key);
    return index != NONE && counted(&b->entries[index]) >= b->limit;
}

bool bans_lift(struct bans *b, const struct ip_addr *ip, uint64_t now)
{
    expire(b, now);
    struct ip_addr key = ip_client(ip);
    uint32_t index = *place(b, &key);
    if (index == NONE || counted(&b->entries[index]) == 0) {
        return false;
    }
    b->entries[index].pardoned = b->entries[index].held;
    return true;
}

/* Goes through the ring once: when a failure leaves after which fewer than `limit` are left, the
 * ban of its address ends. An address is told with its first failure that counts. */
void bans_each(struct bans *b, uint64_t now, void (*fn)(void *arg, const struct ban *ban),
               void *arg)
{
    expire(b, now);
    for (uint32_t i = 0; i < b->n; i++) {
        b->entries[b->ring[(b->first + i) % BANS_FAILURES].entry].passed = 0;
    }
    for (uint32_t i = 0; i < b->n; i++) {
        const struct failure *f = &b->ring[(b->first + i) % BANS_FAILURES];
        struct entry *e = &b->entries[f->entry];
        uint32_t n = counted(e), place_of = ++e->passed;
        struct ban ban = {.ip = e->ip, .failures = n, .banned = n >= b->limit};
        if (place_of <= e->pardoned) {
            continue;
        }
        place_of -= e->pardoned;
        if (ban.banned && place_of == n - b->limit + 1) {
            ban.left = b->window - (now - f->when);
            fn(arg, &ban);
        } else if (!ban.banned && place_of == 1) {
            fn(arg, &ban);
        }
    }
}

unsigned bans_size(const struct bans *b)
{
    return b->size;
}
