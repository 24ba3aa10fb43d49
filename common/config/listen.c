#include "common/config/listen.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

#include "common/config/values.h"

#define UNIX_PREFIX "unix:"

_Static_assert(LISTEN_PATH_MAX == sizeof(((struct sockaddr_un *)0)->sun_path), "sun_path");

static int parse_unix(struct str path, struct listen_addr *addr)
{
    if (path.n < 2 || path.p[0] != '/' || path.n >= sizeof(addr->path) || !value_is_printable(path))
        return -1;
    *addr = (struct listen_addr){.kind = LISTEN_UNIX};
    memcpy(addr->path, path.p, path.n);
    return 0;
}

int listen_parse(struct str text, struct listen_addr *addr)
{
    struct listen_addr out = {.kind = LISTEN_TCP};
    const char *colon = text.n ? memrchr(text.p, ':', text.n) : NULL;
    struct str host;

    if (str_eq(text, STR("off"))) {
        *addr = (struct listen_addr){.kind = LISTEN_OFF};
        return 0;
    }
    if (text.n > strlen(UNIX_PREFIX) && memcmp(text.p, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        return parse_unix((struct str){text.p + strlen(UNIX_PREFIX), text.n - strlen(UNIX_PREFIX)},
                          addr);
    if (!colon)
        return -1;
    host = (struct str){text.p, (size_t)(colon - text.p)};
    if (value_parse_port((struct str){colon + 1, text.n - host.n - 1}, &out.port) != 0)
        return -1;
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
        host = (struct str){host.p + 1, host.n - 2};
        if (!memchr(host.p, ':', host.n))
            return -1;
    } else if (host.n == 0 || str_eq(host, STR("*"))) {
        host = STR("0.0.0.0");
    } else if (memchr(host.p, ':', host.n)) {
        return -1;
    }
    if (ip_parse(host, &out.ip) != 0)
        return -1;
    *addr = out;
    return 0;
}

/* The first of that family. 0, or -1. */
static int take_address(const struct addrinfo *found, int family, struct ip_addr *ip)
{
    char text[INET6_ADDRSTRLEN];

    for (const struct addrinfo *a = found; a; a = a->ai_next) {
        if (a->ai_family == family &&
            getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) ==
                0 &&
            ip_parse(str_of(text), ip) == 0)
            return 0;
    }
    return -1;
}

int listen_lookup(struct str text, struct listen_addr *addr, const char **why)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct listen_addr out = {.kind = LISTEN_TCP};
    const char *colon = text.n ? memrchr(text.p, ':', text.n) : NULL;
    struct addrinfo *found = NULL;
    char name[NI_MAXHOST];
    int rc;

    *why = NULL;
    if (!colon || (size_t)(colon - text.p) >= sizeof(name) ||
        !value_is_host((struct str){text.p, (size_t)(colon - text.p)}) ||
        memchr(text.p, ':', (size_t)(colon - text.p)) || /* an IPv6 address is no name */
        value_parse_port((struct str){colon + 1, text.n - (size_t)(colon - text.p) - 1},
                         &out.port) != 0)
        return -1;
    snprintf(name, sizeof(name), "%.*s", (int)(colon - text.p), text.p);
    rc = getaddrinfo(name, NULL, &hints, &found);
    if (rc != 0) {
        *why = gai_strerror(rc);
        return -1;
    }
    rc = take_address(found, AF_INET, &out.ip) == 0 || take_address(found, AF_INET6, &out.ip) == 0
             ? 0
             : -1;
    freeaddrinfo(found);
    if (rc == 0)
        *addr = out;
    else
        *why = "it has no address";
    return rc;
}

const char *listen_format(const struct listen_addr *addr, char *buf)
{
    char ip[IP_TEXT_MAX];

    switch (addr->kind) {
    case LISTEN_TCP:
        snprintf(buf, LISTEN_TEXT_MAX, ip_is_v4(&addr->ip) ? "%s:%u" : "[%s]:%u",
                 ip_format(&addr->ip, ip), (unsigned)addr->port);
        break;
    case LISTEN_UNIX:
        snprintf(buf, LISTEN_TEXT_MAX, UNIX_PREFIX "%s", addr->path);
        break;
    default:
        snprintf(buf, LISTEN_TEXT_MAX, "off");
        break;
    }
    return buf;
}

socklen_t listen_sockaddr(const struct listen_addr *addr, struct sockaddr_storage *sa)
{
    memset(sa, 0, sizeof(*sa));
    if (addr->kind == LISTEN_UNIX) {
        struct sockaddr_un *un = (struct sockaddr_un *)(void *)sa;

        un->sun_family = AF_UNIX;
        memcpy(un->sun_path, addr->path, sizeof(un->sun_path));
        return sizeof(*un);
    }
    if (addr->kind != LISTEN_TCP)
        return 0;
    if (ip_is_v4(&addr->ip)) {
        struct sockaddr_in *in = (struct sockaddr_in *)(void *)sa;

        in->sin_family = AF_INET;
        in->sin_port = htons(addr->port);
        memcpy(&in->sin_addr, addr->ip.b + 12, 4);
        return sizeof(*in);
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)sa;

    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(addr->port);
    memcpy(&in6->sin6_addr, addr->ip.b, 16);
    return sizeof(*in6);
}

bool listen_equal(const struct listen_addr *a, const struct listen_addr *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == LISTEN_UNIX)
        return strcmp(a->path, b->path) == 0;
    return a->kind == LISTEN_TCP && a->port == b->port && ip_equal(&a->ip, &b->ip);
}
