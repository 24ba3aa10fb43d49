/* Connections per client address: what counts together, the limit, and the way back to nothing. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hub/client/addresses.h"

static struct ip_addr ip(const char *text)
{
    struct ip_addr a;
    assert_int_equal(ip_parse(str_of(text), &a), 0);
    return a;
}

static bool enter(struct addresses *a, const char *text, int64_t max)
{
    struct ip_addr at = ip(text);
    return addresses_enter(a, &at, max);
}

static void leave(struct addresses *a, const char *text)
{
    struct ip_addr at = ip(text);
    addresses_leave(a, &at);
}

static unsigned count(const struct addresses *a, const char *text)
{
    struct ip_addr at = ip(text);
    return addresses_count(a, &at);
}

static void ipv6_counts_by_64_and_ipv4_by_address(void **state)
{
    static const struct {
        const char *one, *other;
        bool same;
    } rows[] = {
        {"2001:db8::1", "2001:db8::2", true},
        {"2001:db8::", "2001:db8:0:0:ffff:ffff:ffff:ffff", true},
        {"2001:db8::1", "2001:db8:0:1::1", false},
        {"2001:db8:0:1::1", "2001:db9:0:1::1", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"::1", "::2", true},
        {"::1", "0.0.0.1", false}, /* ::/64 holds the mapped ones, too */
        {"::1", "192.0.2.1", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct addresses *a = addresses_new();
        assert_true(enter(a, rows[i].one, 0));
        if (count(a, rows[i].other) != rows[i].same) {
            fail_msg("row %zu: %s and %s", i, rows[i].one, rows[i].other);
        }
        addresses_free(a);
    }
}

static void limit_refuses_and_counts_nothing(void **state)
{
    struct addresses *a = addresses_new();
    (void)state;
    assert_true(enter(a, "192.0.2.1", 2));
    assert_true(enter(a, "192.0.2.1", 2));
    for (int i = 0; i < 3; i++) {
        assert_false(enter(a, "192.0.2.1", 2));
        assert_int_equal(count(a, "192.0.2.1"), 2);
    }
    assert_true(enter(a, "192.0.2.2", 2));
    leave(a, "192.0.2.1");
    assert_true(enter(a, "192.0.2.1", 2));
    assert_false(enter(a, "192.0.2.1", 2));
    assert_true(enter(a, "2001:db8::1", 1));
    assert_false(enter(a, "2001:db8::2", 1));
    assert_true(enter(a, "2001:db8:0:1::1", 1));
    addresses_free(a);
}

static void limit_of_zero_is_none(void **state)
{
    struct addresses *a = addresses_new();
    (void)state;
    for (int i = 0; i < 5000; i++) {
        assert_true(enter(a, "192.0.2.1", 0));
    }
    assert_int_equal(count(a, "192.0.2.1"), 5000);
    addresses_free(a);
}

static void leaving_gives_the_place_back(void **state)
{
    struct addresses *a = addresses_new();
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(count(a, "192.0.2.1"), 0);
        assert_true(enter(a, "192.0.2.1", 1));
        assert_int_equal(count(a, "192.0.2.1"), 1);
        leave(a, "192.0.2.1");
    }
    addresses_free(a);
}

static void leaving_without_entering_does_no_harm(void **state)
{
    struct addresses *a = addresses_new();
    (void)state;
    leave(a, "192.0.2.1");
    assert_true(enter(a, "192.0.2.2", 0));
    leave(a, "192.0.2.1");
    assert_int_equal(count(a, "192.0.2.1"), 0);
    assert_int_equal(count(a, "192.0.2.2"), 1);
    addresses_free(a);
    addresses_free(NULL);
}

static struct ip_addr numbered(unsigned i)
{
    struct ip_addr at = ip(i % 2 ? "10.0.0.0" : "2001:db8::");
    unsigned from = i % 2 ? 13 : 5; /* below the prefix that counts */
    at.b[from] = (uint8_t)(i >> 16);
    at.b[from + 1] = (uint8_t)(i >> 8);
    at.b[from + 2] = (uint8_t)i;
    return at;
}

static void keeps_many_apart(void **state)
{
    enum { MANY = 20000 }; /* several to a bucket */
    struct addresses *a = addresses_new();
    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        struct ip_addr at = numbered(i);
        for (unsigned k = 0; k <= i % 3; k++) {
            assert_true(addresses_enter(a, &at, i % 3 + 1));
        }
        assert_false(addresses_enter(a, &at, i % 3 + 1));
    }
    /* One leaves here and there; the neighbours in its bucket stay. */
    for (unsigned i = 0; i < MANY; i += 3) {
        struct ip_addr at = numbered(i);
        addresses_leave(a, &at);
    }
    for (unsigned i = 0; i < MANY; i++) {
        struct ip_addr at = numbered(i);
        assert_int_equal(addresses_count(a, &at), i % 3 == 0 ? 0 : i % 3 + 1);
    }
    addresses_free(a); /* with what is left in it */
}

/* The low bits choose the bucket: whichever bytes of an address vary, they must differ. */
static void neighbours_spread_over_all_buckets(void **state)
{
    enum { MANY = 65536, BUCKETS = 4096 };
    static const uint64_t seed[2] = {0x0123456789ABCDEF, 0xFEDCBA9876543210};
    (void)state;
    for (unsigned first = 0; first < 15; first++) {
        static unsigned count[BUCKETS];
        memset(count, 0, sizeof(count));
        for (unsigned i = 0; i < MANY; i++) {
            struct ip_addr at;
            assert_int_equal(ip_parse(STR("2001:db8::"), &at), 0);
            at.b[first] = (uint8_t)(i >> 8);
            at.b[first + 1] = (uint8_t)i;
            unsigned n = ++count[ip_hash(&at, seed) % BUCKETS];
            if (n > 8 * MANY / BUCKETS) {
                fail_msg("bytes %u and %u leave one bucket with %u", first, first + 1, n);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv6_counts_by_64_and_ipv4_by_address),
        cmocka_unit_test(limit_refuses_and_counts_nothing),
        cmocka_unit_test(limit_of_zero_is_none),
        cmocka_unit_test(leaving_gives_the_place_back),
        cmocka_unit_test(leaving_without_entering_does_no_harm),
        cmocka_unit_test(keeps_many_apart),
        cmocka_unit_test(neighbours_spread_over_all_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
