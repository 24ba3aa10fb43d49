/* addresses.h - how many connections each client address has open.
 *
 * A hash table keyed by address (IPv6 by /64) under a random seed, so that nobody can choose
 * addresses that collide. An entry exists only while its count is over 0: the table is bounded by
 * the number of open connections. Owned by whoever made it.
 */
#ifndef HARP_HUB_ADDRESSES_H
#define HARP_HUB_ADDRESSES_H

#include "common/config/ip.h"

struct addresses;

struct addresses *addresses_new(void);
void addresses_free(struct addresses *a);
/* Counts one more. false: there are `max` already (0: no limit), nothing is counted. */
bool addresses_enter(struct addresses *a, const struct ip_addr *ip, int64_t max) MUST_CHECK;
void addresses_leave(struct addresses *a, const struct ip_addr *ip);
unsigned addresses_count(const struct addresses *a, const struct ip_addr *ip);

#endif
