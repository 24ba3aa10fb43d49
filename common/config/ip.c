#include "common/config/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const uint8_t MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

int ip_parse(struct str text, struct ip_addr *ip)
{
    char z[IP_TEXT_MAX];
    struct ip_addr out;

    if (text.n == 0 || text.n >= sizeof(z) || memchr(text.p, 0, text.n))
        return -1;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    if (inet_pton(AF_INET6, z, out.b) != 1) {
        memcpy(out.b, MAPPED, sizeof(MAPPED));
        if (inet_pton(AF_INET, z, out.b + sizeof(MAPPED)) != 1)
            return -1;
    }
    *ip = out;
    return 0;
}

const char *ip_format(const struct ip_addr *ip, char *buf)
{
    bool v4 = ip_is_v4(ip);

    if (!inet_ntop(v4 ? AF_INET : AF_INET6, ip->b + (v4 ? sizeof(MAPPED) : 0), buf, IP_TEXT_MAX))
        buf[0] = '\0';
    return buf;
}

int ip_from_sockaddr(const struct sockaddr *sa, struct ip_addr *ip)
{
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;

        memcpy(ip->b, MAPPED, sizeof(MAPPED));
        memcpy(ip->b + sizeof(MAPPED), &in->sin_addr, 4);
        return 0;
    }
    if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;

        memcpy(ip->b, &in6->sin6_addr, 16);
        return 0;
    }
    return -1;
}

bool ip_is_v4(const struct ip_addr *ip)
{
    return memcmp(ip->b, MAPPED, sizeof(MAPPED)) == 0;
}

bool ip_is_loopback(const struct ip_addr *ip)
{
    static const struct ip_addr one = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

    return (ip_is_v4(ip) && ip->b[12] == 127) || ip_equal(ip, &one);
}

bool ip_equal(const struct ip_addr *a, const struct ip_addr *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

void ip_mask(struct ip_addr *ip, unsigned prefix)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned keep = prefix > i * 8 ? MIN(prefix - i * 8, 8U) : 0;

        ip->b[i] = (uint8_t)(ip->b[i] & (0xFF00U >> keep));
    }
}

struct ip_addr ip_client(const struct ip_addr *ip)
{
    struct ip_addr key = *ip;

    if (!ip_is_v4(&key))
        ip_mask(&key, 64);
    return key;
}

/* Both halves of the product, so that each bit of a and b reaches the low ones. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t ip_hash(const struct ip_addr *ip, const uint64_t seed[2])
{
    uint64_t w[2];

    memcpy(w, ip->b, sizeof(w));
    return fold(fold(w[0] ^ seed[0], w[1] ^ seed[1]) ^ seed[0], 0x9E3779B97F4A7C15U);
}
