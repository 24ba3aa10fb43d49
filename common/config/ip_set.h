/* ip_set.h - a set of addresses and networks, asked once a request.
 *
 * Owns its ranges: ip_set_free releases them and leaves an empty set. A zeroed struct is the empty
 * set. Ranges are sorted and do not touch, so that a lookup is a binary search.
 *
 * A list is entries between commas, each `address` or `address/prefix`, IPv4 or IPv6, with spaces
 * and quotes around an entry dropped (they come from env-files). Host bits are masked, IPv4-mapped
 * entries are IPv4. An IPv6 network never includes IPv4 clients, however short its prefix: who
 * trusts ::/0 has not said anything about 10.0.0.1.
 */
#ifndef HARP_CONFIG_IP_SET_H
#define HARP_CONFIG_IP_SET_H

#include "common/config/ip.h"

#define IP_SET_MAX 4096 /* ranges */

struct ip_range {
    struct ip_addr lo, hi; /* both included */
};

struct ip_set {
    struct ip_range *ranges;
    size_t n;
};

/* Adds a list. An entry that is wrong is given to `bad` (may be NULL) and skipped; the slice
 * is valid during the call. 0, or -1 if memory or IP_SET_MAX is exceeded; the set stays usable. */
int ip_set_parse(struct ip_set *set, struct str list, void (*bad)(void *arg, struct str entry),
                 void *arg) MUST_CHECK;

bool ip_set_contains(const struct ip_set *set, const struct ip_addr *ip);

void ip_set_free(struct ip_set *set);

#endif
