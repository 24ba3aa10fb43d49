#include "common/config/ip_set.h"

#include <stdlib.h>

/* The addresses right before and after ::ffff:0:0/96, where IPv4 lives. */
static const struct ip_addr BEFORE_V4 = {
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF}};
static const struct ip_addr V4_FIRST = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0}};
static const struct ip_addr AFTER_V4 = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}};

static int compare(const struct ip_addr *a, const struct ip_addr *b)
{
    return memcmp(a->b, b->b, sizeof(a->b));
}

static int compare_ranges(const void *a, const void *b)
{
    return compare(&((const struct ip_range *)a)->lo, &((const struct ip_range *)b)->lo);
}

static int append(struct ip_set *set, struct ip_range range)
{
    struct ip_range *grown;

    if (set->n >= IP_SET_MAX)
        return -1;
    grown = realloc(set->ranges, (set->n + 1) * sizeof(*grown));
    if (!grown)
        return -1;
    grown[set->n] = range;
    set->ranges = grown;
    set->n++;
    return 0;
}

static int append_network(struct ip_set *set, struct ip_addr ip, unsigned prefix)
{
    struct ip_range range;

    ip_mask(&ip, prefix);
    range.lo = range.hi = ip;
    for (unsigned i = prefix; i < 128; i++)
        range.hi.b[i / 8] = (uint8_t)(range.hi.b[i / 8] | (0x80U >> (i % 8)));
    if (prefix >= IP_V4_PREFIX || compare(&range.lo, &V4_FIRST) > 0 ||
        compare(&range.hi, &V4_FIRST) < 0)
        return append(set, range);
    /* An IPv6 network around the mapped block: keep what lies on either side of it. */
    if (compare(&range.lo, &BEFORE_V4) <= 0 &&
        append(set, (struct ip_range){range.lo, BEFORE_V4}) != 0)
        return -1;
    if (compare(&AFTER_V4, &range.hi) <= 0)
        return append(set, (struct ip_range){AFTER_V4, range.hi});
    return 0;
}

static void sort_and_merge(struct ip_set *set)
{
    size_t kept = 0;

    if (set->n < 2)
        return;
    qsort(set->ranges, set->n, sizeof(*set->ranges), compare_ranges);
    for (size_t i = 1; i < set->n; i++) {
        if (compare(&set->ranges[i].lo, &set->ranges[kept].hi) > 0)
            set->ranges[++kept] = set->ranges[i];
        else if (compare(&set->ranges[i].hi, &set->ranges[kept].hi) > 0)
            set->ranges[kept].hi = set->ranges[i].hi;
    }
    set->n = kept + 1;
}

static int parse_prefix(struct str text, unsigned max, unsigned *prefix)
{
    unsigned value = 0;

    if (text.n == 0 || text.n > 3 || (text.n > 1 && text.p[0] == '0'))
        return -1;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return -1;
        value = value * 10 + (unsigned)(text.p[i] - '0');
    }
    if (value > max)
        return -1;
    *prefix = value;
    return 0;
}

static int parse_network(struct str entry, struct ip_addr *ip, unsigned *prefix)
{
    const char *slash = memchr(entry.p, '/', entry.n);
    struct str addr = {entry.p, slash ? (size_t)(slash - entry.p) : entry.n};
    bool v4_form = !memchr(addr.p, ':', addr.n);

    *prefix = 128;
    if (ip_parse(addr, ip) != 0)
        return -1;
    if (!slash)
        return 0;
    if (parse_prefix((struct str){slash + 1, entry.n - addr.n - 1}, v4_form ? 32 : 128, prefix) !=
        0)
        return -1;
    if (v4_form)
        *prefix += IP_V4_PREFIX;
    return 0;
}

static bool is_wrapping(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '"' || c == '\'';
}

int ip_set_parse(struct ip_set *set, struct str list, void (*bad)(void *arg, struct str entry),
                 void *arg)
{
    int rc = 0;

    for (size_t at = 0; at < list.n && rc == 0;) {
        const char *comma = memchr(list.p + at, ',', list.n - at);
        struct str entry = {list.p + at, comma ? (size_t)(comma - list.p) - at : list.n - at};
        struct ip_addr ip;
        unsigned prefix;

        at += entry.n + 1;
        while (entry.n && is_wrapping(entry.p[0]))
            entry = (struct str){entry.p + 1, entry.n - 1};
        while (entry.n && is_wrapping(entry.p[entry.n - 1]))
            entry.n--;
        if (entry.n == 0)
            continue;
        if (parse_network(entry, &ip, &prefix) == 0)
            rc = append_network(set, ip, prefix);
        else if (bad)
            bad(arg, entry);
    }
    sort_and_merge(set);
    return rc;
}

bool ip_set_contains(const struct ip_set *set, const struct ip_addr *ip)
{
    size_t lo = 0;
    size_t hi = set->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (compare(ip, &set->ranges[mid].lo) < 0)
            hi = mid;
        else if (compare(ip, &set->ranges[mid].hi) > 0)
            lo = mid + 1;
        else
            return true;
    }
    return false;
}

void ip_set_free(struct ip_set *set)
{
    free(set->ranges);
    *set = (struct ip_set){0};
}
