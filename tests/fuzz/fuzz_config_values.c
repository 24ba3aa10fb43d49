/* The first byte chooses a reader of values, the rest is the value. */
#include <stdint.h>
#include <stdlib.h>

#include "common/config/ip_set.h"
#include "common/config/listen.h"
#include "common/config/report.h"
#include "common/config/utf8.h"
#include "common/config/values.h"

#define REQUIRE(what)                                                                              \
    do {                                                                                           \
        if (!(what))                                                                               \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_duration(struct str text)
{
    char buf[VALUE_DURATION_TEXT_MAX];
    uint64_t ms, again;

    if (value_parse_duration(text, &ms) != 0)
        return;
    REQUIRE(text.p[0] >= '0' && text.p[0] <= '9');
    /* What was read can be written and reads as the same, as far as microseconds reach. */
    if (ms < UINT64_MAX / 1000) {
        REQUIRE(value_parse_duration(str_of(value_format_duration(ms, buf)), &again) == 0);
        REQUIRE(again == ms);
    }
}

static void check_size(struct str text)
{
    char buf[VALUE_SIZE_TEXT_MAX];
    uint64_t bytes, again;

    if (value_parse_size(text, &bytes) != 0)
        return;
    REQUIRE(value_parse_size(str_of(value_format_size(bytes, buf)), &again) == 0);
    REQUIRE(again == bytes);
}

static void check_int(struct str text)
{
    int64_t value;
    bool flag;

    if (value_parse_int(text, -1000, 1000, &value) == 0)
        REQUIRE(value >= -1000 && value <= 1000);
    (void)(value_parse_bool(text, &flag) == 0);
}

static void check_listen(struct str text)
{
    struct listen_addr addr, again;
    struct sockaddr_storage sa;
    char buf[LISTEN_TEXT_MAX];
    socklen_t len;

    if (listen_parse(text, &addr) != 0)
        return;
    REQUIRE(listen_parse(str_of(listen_format(&addr, buf)), &again) == 0);
    REQUIRE(addr.kind == LISTEN_OFF || listen_equal(&addr, &again));
    len = listen_sockaddr(&addr, &sa);
    REQUIRE((len == 0) == (addr.kind == LISTEN_OFF));
    REQUIRE(addr.kind == LISTEN_OFF || (size_t)len <= sizeof(sa));
}

static void check_text(struct str text)
{
    char shown[CONFIG_SHOW_MAX];
    struct str bare = value_unquote(text);
    struct ip_addr ip;
    uint32_t cp;
    char utf8[4];
    size_t n;

    config_show(shown, text);
    REQUIRE(strlen(shown) < CONFIG_SHOW_MAX && value_is_printable(str_of(shown)));
    REQUIRE(bare.n <= text.n && (bare.n == 0 || (bare.p >= text.p && bare.p < text.p + text.n)));
    if (!value_check_key(text))
        REQUIRE(value_is_printable(text) && text.n);
    if (ip_parse(text, &ip) == 0) {
        char buf[IP_TEXT_MAX];
        struct ip_addr again;

        REQUIRE(ip_parse(str_of(ip_format(&ip, buf)), &again) == 0 && ip_equal(&ip, &again));
        REQUIRE(value_is_host(text));
    }
    n = utf8_decode(text, &cp);
    REQUIRE(n <= 4 && n <= text.n);
    if (n)
        REQUIRE(utf8_encode(cp, utf8) == n && memcmp(utf8, text.p, n) == 0);
}

static void check_set(struct str text)
{
    struct ip_set set = {0};

    (void)(ip_set_parse(&set, text, NULL, NULL) == 0);
    for (size_t i = 0; i < set.n; i++) {
        struct ip_range *r = &set.ranges[i];

        /* Sorted, apart, the ends inside, and IPv4 never mixed with IPv6. */
        REQUIRE(memcmp(r->lo.b, r->hi.b, 16) <= 0);
        REQUIRE(i == 0 || memcmp(set.ranges[i - 1].hi.b, r->lo.b, 16) < 0);
        REQUIRE(ip_set_contains(&set, &r->lo) && ip_set_contains(&set, &r->hi));
        REQUIRE(ip_is_v4(&r->lo) == ip_is_v4(&r->hi));
    }
    ip_set_free(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const checks[])(struct str) = {check_duration, check_size, check_int,
                                                 check_listen,   check_text, check_set};
    char *copy;

    if (size == 0)
        return 0;
    /* A copy of its own, so that a read past the end is noticed. */
    copy = malloc(size);
    if (!copy)
        return 0;
    memcpy(copy, data + 1, size - 1);
    checks[data[0] % ARRAY_LEN(checks)]((struct str){copy, size - 1});
    free(copy);
    return 0;
}
