#include "hub/access/client_address.h"

#include "common/config/values.h"

static bool is_port(struct str s)
{
    uint16_t port;
    return value_parse_port(s, &port) == 0;
}

static int read_entry(struct str s, struct ip_addr *ip)
{
    if (s.n > 0 && s.p[0] == '[') {
        const char *end = memchr(s.p, ']', s.n);
        if (!end) {
            return -1;
        }
        struct str inside = {s.p + 1, (size_t)(end - s.p) - 1};
        struct str rest = {end + 1, s.n - inside.n - 2};
        if (rest.n > 0 && (rest.p[0] != ':' || !is_port((struct str){rest.p + 1, rest.n - 1}))) {
            return -1;
        }
        return memchr(inside.p, ':', inside.n) ? ip_parse(inside, ip) : -1;
    }
    const char *colon = memchr(s.p, ':', s.n);
    if (colon && !memchr(colon + 1, ':', s.n - (size_t)(colon + 1 - s.p))) {
        struct str port = {colon + 1, s.n - (size_t)(colon + 1 - s.p)};
        if (!is_port(port)) {
            return -1;
        }
        s.n = (size_t)(colon - s.p);
    }
    return ip_parse(s, ip);
}

static struct str trim(struct str s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s = (struct str){s.p + 1, s.n - 1};
    }
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) {
        s.n--;
    }
    return s;
}

enum found { FOUND, GO_ON, STOP };

/* Goes through one field's list from its end. *ip is the last trusted address passed, or the answer. */
static enum found search(struct str list, const struct ip_set *trusted, struct ip_addr *ip)
{
    while (list.n > 0) {
        const char *comma = memrchr(list.p, ',', list.n);
        const char *start = comma ? comma + 1 : list.p;
        struct str entry = trim((struct str){start, list.n - (size_t)(start - list.p)});
        struct ip_addr at;
        list.n = comma ? (size_t)(comma - list.p) : 0;
        if (entry.n == 0) {
            continue; /* RFC 9110 5.6.1: empty members of a list do not count */
        }
        if (read_entry(entry, &at) < 0) {
            return STOP;
        }
        *ip = at;
        if (!ip_set_contains(trusted, &at)) {
            return FOUND;
        }
    }
    return GO_ON;
}

struct ip_addr client_address(const struct http_request *r, const struct ip_addr *peer,
                              const struct ip_set *trusted)
{
    struct ip_addr ip = *peer, real;
    const struct http_field *single = NULL;
    bool repeated = false;
    if (trusted->n == 0 || !ip_set_contains(trusted, peer)) {
        return ip;
    }
    for (unsigned i = r->nfields; i-- > 0;) {
        if (r->fields[i].id == HTTP_X_FORWARDED_FOR) {
            enum found found = search(r->fields[i].value, trusted, &ip);
            if (found != GO_ON) {
                return ip;
            }
        }
    }
    for (unsigned i = 0; i < r->nfields; i++) {
        if (r->fields[i].id == HTTP_X_REAL_IP) {
            repeated = single != NULL;
            single = &r->fields[i];
        }
    }
    return single && !repeated && read_entry(trim(single->value), &real) == 0 ? real : ip;
}
