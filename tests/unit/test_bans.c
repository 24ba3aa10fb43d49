/* Bans: an exact sliding window, a table that nobody can make grow, and lifting. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/log/log.h"
#include "common/access/bans.h"

static struct ip_addr ip(const char *text)
{
    struct ip_addr a;
    assert_int_equal(ip_parse(str_of(text), &a), 0);
    return a;
}

static struct ip_addr numbered(uint32_t n)
{
    struct ip_addr a = ip("10.0.0.0");
    a.b[13] = (uint8_t)(n >> 16);
    a.b[14] = (uint8_t)(n >> 8);
    a.b[15] = (uint8_t)n;
    return a;
}

static struct bans *make(int64_t count, uint64_t window)
{
    struct bans *b = bans_new(count, window, NULL);
    assert_non_null(b);
    return b;
}

/* Counts one; whether it bans. */
static bool fails(struct bans *b, const struct ip_addr *a, uint64_t now)
{
    bool before = bans_banned(b, a, now);
    bans_failure(b, a, now, "a test", NULL);
    return !before && bans_banned(b, a, now);
}

static void the_tenth_failure_bans(void **state)
{
    struct bans *b = make(10, 300000);
    struct ip_addr a = ip("192.0.2.1"), other = ip("192.0.2.2");
    (void)state;
    for (unsigned i = 0; i < 9; i++) {
        assert_false(fails(b, &a, 1000 + i));
        assert_false(bans_banned(b, &a, 1000 + i));
    }
    assert_true(fails(b, &a, 1009));
    assert_true(bans_banned(b, &a, 1009));
    assert_false(fails(b, &a, 1010)); /* it was banned already */
    assert_false(bans_banned(b, &other, 1010));
    bans_free(b);
}

static void the_window_slides(void **state)
{
    struct bans *b = make(3, 1000);
    struct ip_addr a = ip("192.0.2.1");
    (void)state;
    fails(b, &a, 100);
    fails(b, &a, 600);
    assert_false(fails(b, &a, 1100)); /* the first is just too old */
    assert_true(fails(b, &a, 1150));
    assert_true(bans_banned(b, &a, 1599));
    assert_false(bans_banned(b, &a, 1600)); /* that of 600 has left */
    assert_true(fails(b, &a, 1700));        /* banned anew: 1100, 1150, 1700 */
    assert_false(bans_banned(b, &a, 5000));
    assert_int_equal(bans_size(b), 0);
    bans_free(b);
}

static void an_ipv6_client_is_its_64(void **state)
{
    struct bans *b = make(2, 1000);
    struct ip_addr one = ip("2001:db8:1:2::1"), same = ip("2001:db8:1:2:ffff::9"),
                   next = ip("2001:db8:1:3::1"), mapped = ip("::ffff:192.0.2.1"),
                   plain = ip("192.0.2.1"), neighbour = ip("192.0.2.2");
    (void)state;
    fails(b, &one, 1);
    assert_true(fails(b, &same, 2));
    assert_true(bans_banned(b, &one, 3));
    assert_false(bans_banned(b, &next, 3));
    fails(b, &mapped, 3);
    fails(b, &plain, 3);
    assert_true(bans_banned(b, &plain, 3));
    assert_false(bans_banned(b, &neighbour, 3));
    bans_free(b);
}

static void looking_up_inserts_nothing(void **state)
{
    struct bans *b = make(1, 1000);
    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        struct ip_addr a = numbered(i);
        assert_false(bans_banned(b, &a, i));
    }
    assert_int_equal(bans_size(b), 0);
    bans_free(b);
}

static void the_table_is_bounded_the_oldest_go_first(void **state)
{
    struct bans *b = make(1, 1000);
    (void)state;
    for (uint32_t i = 0; i < 100000; i++) {
        struct ip_addr a = numbered(i);
        fails(b, &a, 5);
        assert_true(bans_size(b) <= BANS_FAILURES);
    }
    struct ip_addr first_out = numbered(100000 - BANS_FAILURES - 1),
                   first_in = numbered(100000 - BANS_FAILURES), last = numbered(99999);
    assert_false(bans_banned(b, &first_out, 5));
    assert_true(bans_banned(b, &first_in, 5));
    assert_true(bans_banned(b, &last, 5));
    assert_false(bans_banned(b, &last, 1005));
    assert_int_equal(bans_size(b), 0);
    bans_free(b);
}

static void lifting_forgets_what_was_before_and_nothing_after(void **state)
{
    struct bans *b = make(2, 1000);
    struct ip_addr a = ip("192.0.2.1");
    (void)state;
    assert_false(bans_lift(b, &a, 0));
    fails(b, &a, 0);
    fails(b, &a, 100);
    assert_true(bans_lift(b, &a, 200));
    assert_false(bans_banned(b, &a, 200));
    assert_false(bans_lift(b, &a, 200));
    assert_false(fails(b, &a, 300));
    assert_false(bans_banned(b, &a, 1000)); /* one of the two old ones has left, too */
    assert_true(fails(b, &a, 1050));
    assert_true(bans_banned(b, &a, 1150)); /* 300 and 1050: both old ones have left */
    assert_false(bans_banned(b, &a, 1300));
    bans_free(b);
}

struct seen {
    struct ban list[8];
    unsigned n;
};

static void see(void *arg, const struct ban *ban)
{
    struct seen *s = arg;
    assert_true(s->n < ARRAY_LEN(s->list));
    s->list[s->n++] = *ban;
}

static const struct ban *of(const struct seen *s, const char *text)
{
    struct ip_addr a = ip(text);
    for (unsigned i = 0; i < s->n; i++) {
        if (ip_equal(&s->list[i].ip, &a)) {
            return &s->list[i];
        }
    }
    return NULL;
}

static void lists_each_address_once_with_what_is_left(void **state)
{
    struct bans *b = make(2, 1000);
    struct ip_addr a = ip("192.0.2.1"), v6 = ip("2001:db8::5"), lifted = ip("192.0.2.3");
    struct seen s = {.n = 0};
    (void)state;
    fails(b, &a, 0);
    fails(b, &lifted, 50);
    fails(b, &a, 100);
    fails(b, &v6, 150);
    fails(b, &a, 200);
    bans_lift(b, &lifted, 250);
    bans_each(b, 300, see, &s);
    assert_int_equal(s.n, 2);
    const struct ban *ban = of(&s, "192.0.2.1");
    assert_int_equal(ban->failures, 3);
    assert_true(ban->banned);
    assert_int_equal(ban->left, 800); /* when that of 100 leaves, one is left */
    assert_true(bans_banned(b, &a, 1099));
    assert_false(bans_banned(b, &a, 1100));
    ban = of(&s, "2001:db8::");
    assert_int_equal(ban->failures, 1);
    assert_false(ban->banned);
    assert_int_equal(ban->left, 0);
    bans_free(b);
}

static void a_ban_is_told_once_with_the_address_and_the_last_failure(void **state)
{
    char line[4096] = "";
    FILE *file = tmpfile();
    struct log log;
    struct ip_addr a = ip("192.0.2.1"), v6 = ip("2001:db8::5");
    (void)state;
    log_init(&log, fileno(file), LOG_LEVEL_WARNING, LOG_FORMAT_TEXT);
    struct bans *b = bans_new(2, 300000, &log);
    for (unsigned i = 0; i < 5; i++) {
        bans_failure(b, &a, i, i == 1 ? "a wrong key" : "another", "look there");
    }
    bans_failure(b, &v6, 9, "one", NULL);
    bans_failure(b, &v6, 9, "two", NULL);
    ssize_t n = pread(fileno(file), line, sizeof(line) - 1, 0);
    assert_true(n > 0);
    const char *first = strstr(line, "192.0.2.1 is banned after 2 failures within 300 s; the last "
                                     "one: a wrong key; look there\n");
    assert_non_null(first);
    assert_null(strstr(first + 1, "192.0.2.1"));
    assert_non_null(strstr(line, "2001:db8::/64 is banned after 2 failures within 300 s; the last "
                                 "one: two\n"));
    bans_free(b);
    fclose(file);
}

/* Against a list of all failures, with addresses that come and go. */
static void agrees_with_a_plain_list(void **state)
{
    enum { ADDRESSES = 7, STEPS = 20000, LIMIT = 4, WINDOW = 100 };
    static uint64_t times[ADDRESSES][STEPS];
    unsigned n[ADDRESSES] = {0}, random = 1;
    struct bans *b = make(LIMIT, WINDOW);
    uint64_t now = 0;
    (void)state;
    for (unsigned step = 0; step < STEPS; step++) {
        random = random * 1103515245 + 12345;
        unsigned i = (random >> 16) % ADDRESSES;
        struct ip_addr a = numbered(i);
        now += (random >> 20) % 12;
        if ((random >> 8) % 40 == 0) {
            bans_lift(b, &a, now);
            n[i] = 0;
        } else if ((random >> 8) % 3 == 0) {
            fails(b, &a, now);
            times[i][n[i]++] = now;
        }
        unsigned counted = 0;
        for (unsigned k = 0; k < n[i]; k++) {
            counted += now - times[i][k] < WINDOW;
        }
        assert_int_equal(bans_banned(b, &a, now), counted >= LIMIT);
    }
    bans_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tenth_failure_bans),
        cmocka_unit_test(the_window_slides),
        cmocka_unit_test(an_ipv6_client_is_its_64),
        cmocka_unit_test(looking_up_inserts_nothing),
        cmocka_unit_test(the_table_is_bounded_the_oldest_go_first),
        cmocka_unit_test(lifting_forgets_what_was_before_and_nothing_after),
        cmocka_unit_test(lists_each_address_once_with_what_is_left),
        cmocka_unit_test(a_ban_is_told_once_with_the_address_and_the_last_failure),
        cmocka_unit_test(agrees_with_a_plain_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
