/* ip.h - an IP address as 16 bytes, whatever its family.
 *
 * Owns nothing; `struct ip_addr` is a plain value. IPv4 is kept as IPv4-mapped IPv6
 * (RFC 4291 2.5.5.2), so 10.0.0.1 and ::ffff:10.0.0.1 are the same address here.
 * Parsing is strict: no zone, no port, no leading zeros, no spaces.
 */
#ifndef HARP_CONFIG_IP_H
#define HARP_CONFIG_IP_H

#include <sys/socket.h>

#include "common/base/base.h"

#define IP_TEXT_MAX 46  /* INET6_ADDRSTRLEN: bytes of an address as text, with its NUL */
#define IP_V4_PREFIX 96 /* where the IPv4 part of a mapped address starts */

struct ip_addr {
    uint8_t b[16]; /* network order */
};

/* 0, or -1 if the text is no address. */
int ip_parse(struct str text, struct ip_addr *ip) MUST_CHECK;

/* Writes "192.0.2.1" or "2001:db8::1"; `buf` has IP_TEXT_MAX bytes; returns it. */
const char *ip_format(const struct ip_addr *ip, char *buf);

/* 0, or -1 if it is neither an AF_INET nor an AF_INET6 address (a unix socket's peer). */
int ip_from_sockaddr(const struct sockaddr *sa, struct ip_addr *ip) MUST_CHECK;

bool ip_is_v4(const struct ip_addr *ip);
bool ip_is_loopback(const struct ip_addr *ip); /* 127.0.0.0/8 or ::1 */
bool ip_equal(const struct ip_addr *a, const struct ip_addr *b);

/* Clears the bits after the first `prefix` (0..128, counted in the 16 bytes: an IPv4 /24 is 120).
 * An IPv6 client is known by its /64: ip_mask(&ip, 64). */
void ip_mask(struct ip_addr *ip, unsigned prefix);

/* What a client is known by: the address, of IPv6 the /64. Every host can have all of one. */
struct ip_addr ip_client(const struct ip_addr *ip);

/* For tables. The seed is random, so that nobody can choose addresses that collide. */
uint64_t ip_hash(const struct ip_addr *ip, const uint64_t seed[2]);

#endif
