/* listen.h - where to listen: an IP address and port, or a unix socket.
 *
 * Owns nothing; `struct listen_addr` is a plain value.
 * Read are `192.0.2.1:8780`, `[::]:8780`, `*:8780` and `:8780` (both mean 0.0.0.0), `unix:/path`
 * and the word `off`; and `NAME:8780`, as HaRP takes it, for a container's own name above all. A name is looked
 * up once, when it is read: a listener that moves by itself is no good.
 */
#ifndef HARP_CONFIG_LISTEN_H
#define HARP_CONFIG_LISTEN_H

#include "common/config/ip.h"

#define LISTEN_PATH_MAX 108 /* sun_path, with its NUL */
#define LISTEN_TEXT_MAX 120

enum listen_kind {
    LISTEN_OFF,
    LISTEN_TCP,
    LISTEN_UNIX,
};

struct listen_addr {
    enum listen_kind kind;
    struct ip_addr ip; /* LISTEN_TCP: 0.0.0.0 (mapped) is all of IPv4, :: all of IPv6 */
    uint16_t port;
    char path[LISTEN_PATH_MAX]; /* LISTEN_UNIX */
};

/* 0, or -1 if the text is none of the forms above. */
int listen_parse(struct str text, struct listen_addr *addr) MUST_CHECK;

/* NAME:PORT: the first address that the system knows for it, IPv4 before IPv6. May take as long as the
 * system's resolver does. 0; -1: no such form (*why is NULL), or the look-up failed (*why, a literal). */
int listen_lookup(struct str text, struct listen_addr *addr, const char **why) MUST_CHECK;

/* The same forms again; `buf` has LISTEN_TEXT_MAX bytes; returns it. */
const char *listen_format(const struct listen_addr *addr, char *buf);

/* For bind: fills *sa and returns its length; 0 for LISTEN_OFF. */
socklen_t listen_sockaddr(const struct listen_addr *addr, struct sockaddr_storage *sa);

/* Whether two listeners would want the same socket. */
bool listen_equal(const struct listen_addr *a, const struct listen_addr *b);

#endif
