/* bans.h - client addresses that failed too often, by a sliding window.
 *
 * An address (IPv6: its /64) with `count` failures within `window` is banned until so many of them
 * have grown older than the window that fewer are left. What is remembered are the failures: the
 * last BANS_FAILURES of all addresses together, oldest out first, in memory set aside at the start.
 * So the window is exact, an address costs something only while it has failures, and no number of
 * addresses makes the table grow. Look-ups insert nothing. Addresses are hashed under a random seed.
 *
 * Owned by whoever made it. Times are loop_now's, in ms, and never run backwards.
 */
#ifndef HARP_ACCESS_BANS_H
#define HARP_ACCESS_BANS_H

#include "common/config/ip.h"

struct bans;
struct log;

enum { BANS_FAILURES = 65536 };

struct ban {
    struct ip_addr ip; /* IPv6: the /64's first address */
    unsigned failures; /* within the window */
    bool banned;
    uint64_t left; /* ms until it is not banned any more; 0 when it is not */
};

/* NULL: no random bytes to be had. */
struct bans *bans_new(int64_t count, uint64_t window, struct log *log) MUST_CHECK;
void bans_free(struct bans *b);
/* Counts one. An address that is banned by it is told to the log with `what` failed, and a hint for the
 * administrator, or NULL. */
void bans_failure(struct bans *b, const struct ip_addr *ip, uint64_t now, const char *what,
                  const char *hint);
bool bans_banned(struct bans *b, const struct ip_addr *ip, uint64_t now);
/* Forgets the failures of an address. false: it had none. */
bool bans_lift(struct bans *b, const struct ip_addr *ip, uint64_t now);
/* Calls fn for every address with failures. fn must not change the table. */
void bans_each(struct bans *b, uint64_t now, void (*fn)(void *arg, const struct ban *ban),
               void *arg);
/* Addresses with failures. */
unsigned bans_size(const struct bans *b);

#endif
