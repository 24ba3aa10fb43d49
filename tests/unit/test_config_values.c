/* The pure readers of values: durations, sizes, numbers, booleans, addresses, sets, keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <sys/un.h>

#include "common/config/ip_set.h"
#include "common/config/listen.h"
#include "common/config/report.h"
#include "common/config/utf8.h"
#include "common/config/values.h"

static void reads_durations(void **state)
{
    static const struct {
        const char *text;
        int rc;
        uint64_t ms;
    } cases[] = {
        {"30s", 0, 30000},
        {"30", 0, 30000},
        {"0", 0, 0},
        {"0s", 0, 0},
        {"500ms", 0, 500},
        {"2m", 0, 120000},
        {"1h", 0, 3600000},
        {"24d", 0, 2073600000},
        {"1.5", 0, 1500},
        {"1.5h", 0, 5400000},
        {"0.25s", 0, 250},
        {"0.0000001", VALUE_BAD, 0},
        {"0.000001", 0, 1}, /* rounded up: a limit never becomes none */
        {"1us", 0, 1},
        {"1000us", 0, 1},
        {"1001us", 0, 2},
        {"999999d", 0, 86399913600000},
        {"18446744073709551615d", VALUE_RANGE, 0},
        {"99999999999999999999s", VALUE_RANGE, 0},
        {"18446744073709551615us", 0, 18446744073709552},
        {"18446744073709551615.9us", VALUE_RANGE, 0},
        {"", VALUE_BAD, 0},
        {"s", VALUE_BAD, 0},
        {"-1s", VALUE_BAD, 0},
        {"+1s", VALUE_BAD, 0},
        {" 1s", VALUE_BAD, 0},
        {"1 s", VALUE_BAD, 0},
        {"1s ", VALUE_BAD, 0},
        {"1S", VALUE_BAD, 0},
        {"1sec", VALUE_BAD, 0},
        {"1h30m", VALUE_BAD, 0},
        {"1.", VALUE_BAD, 0},
        {"1.s", VALUE_BAD, 0},
        {".5s", VALUE_BAD, 0},
        {"1.5.5s", VALUE_BAD, 0},
        {"010s", VALUE_BAD, 0},
        {"1e3", VALUE_BAD, 0},
        {"99999999999999999999x", VALUE_BAD, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t ms = 0;
        int rc = value_parse_duration(str_of(cases[i].text), &ms);

        if (rc != cases[i].rc || ms != cases[i].ms)
            fail_msg("'%s': %d, %llu ms", cases[i].text, rc, (unsigned long long)ms);
    }
}

static void reads_sizes(void **state)
{
    static const struct {
        const char *text;
        int rc;
        uint64_t bytes;
    } cases[] = {
        {"0", 0, 0},
        {"4096", 0, 4096},
        {"64K", 0, 65536},
        {"16M", 0, 16777216},
        {"1G", 0, 1073741824},
        {"17179869184G", VALUE_RANGE, 0},
        {"17179869183G", 0, 18446744072635809792U},
        {"99999999999999999999", VALUE_RANGE, 0},
        {"64k", VALUE_BAD, 0},
        {"64KB", VALUE_BAD, 0},
        {"1.5M", VALUE_BAD, 0},
        {"-1", VALUE_BAD, 0},
        {"", VALUE_BAD, 0},
        {"M", VALUE_BAD, 0},
        {"064", VALUE_BAD, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t bytes = 0;
        int rc = value_parse_size(str_of(cases[i].text), &bytes);

        if (rc != cases[i].rc || bytes != cases[i].bytes)
            fail_msg("'%s': %d, %llu", cases[i].text, rc, (unsigned long long)bytes);
    }
}

static void reads_numbers_in_range(void **state)
{
    static const struct {
        const char *text;
        int rc;
        int64_t value;
    } cases[] = {
        {"0", 0, 0},
        {"-5", 0, -5},
        {"10", 0, 10},
        {"11", VALUE_RANGE, 99},
        {"-6", VALUE_RANGE, 99},
        {"9223372036854775808", VALUE_RANGE, 99},
        {"99999999999999999999", VALUE_RANGE, 99},
        {"", VALUE_BAD, 99},
        {"-", VALUE_BAD, 99},
        {"+1", VALUE_BAD, 99},
        {"01", VALUE_BAD, 99},
        {"1 ", VALUE_BAD, 99},
        {"0x1", VALUE_BAD, 99},
        {"1.0", VALUE_BAD, 99},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t value = 99;
        int rc = value_parse_int(str_of(cases[i].text), -5, 10, &value);

        if (rc != cases[i].rc || value != cases[i].value)
            fail_msg("'%s': %d, %lld", cases[i].text, rc, (long long)value);
    }
}

static void reads_booleans(void **state)
{
    static const char *const yes[] = {"true", "TRUE", "yes", "on", "1"};
    static const char *const no[] = {"false", "No", "off", "0"};
    static const char *const bad[] = {"", "2", "tru", "truee", " true", "enabled"};
    bool b;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        b = false;
        assert_int_equal(value_parse_bool(str_of(yes[i]), &b), 0);
        assert_true(b);
    }
    for (size_t i = 0; i < ARRAY_LEN(no); i++) {
        b = true;
        assert_int_equal(value_parse_bool(str_of(no[i]), &b), 0);
        assert_false(b);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(value_parse_bool(str_of(bad[i]), &b), VALUE_BAD);
}

static void writes_durations_and_sizes_with_the_largest_unit(void **state)
{
    char buf[VALUE_DURATION_TEXT_MAX];

    (void)state;
    assert_string_equal(value_format_duration(0, buf), "0s");
    assert_string_equal(value_format_duration(1, buf), "1ms");
    assert_string_equal(value_format_duration(1500, buf), "1500ms");
    assert_string_equal(value_format_duration(90000, buf), "90s");
    assert_string_equal(value_format_duration(1800000, buf), "30m");
    assert_string_equal(value_format_duration(86400000, buf), "1d");
    assert_string_equal(value_format_size(0, buf), "0");
    assert_string_equal(value_format_size(1000, buf), "1000");
    assert_string_equal(value_format_size(65536, buf), "64K");
    assert_string_equal(value_format_size(1073741824, buf), "1G");
}

static void strips_pairs_of_quotes_only(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"a", "a"},   {"\"a\"", "a"},   {"'a'", "a"}, {"\"'a'\"", "a"}, {"\"a", "\"a"},
        {"a'", "a'"}, {"\"a'", "\"a'"}, {"\"\"", ""}, {"\"", "\""},     {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_true(str_eq(value_unquote(str_of(cases[i].in)), str_of(cases[i].out)));
}

static void knows_hosts(void **state)
{
    static const char *const good[] = {"localhost",   "a.b.c",     "192.0.2.1", "::1",
                                       "2001:db8::1", "my_host-1", "1host",     "example.com."};
    static const char *const bad[] = {
        "",      "-a",
        "a..b",  "a b",
        "1.2.3", "999.1.1.1",
        "[::1]", "a:80",
        ".a",    "a/b",
        "a\n",   "::1%lo",
        "1234",  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!value_is_host(str_of(good[i])))
            fail_msg("'%s' refused", good[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (value_is_host(str_of(bad[i])))
            fail_msg("'%s' accepted", bad[i]);
    }
}

static void judges_shared_keys(void **state)
{
    (void)state;
    assert_null(value_check_key(STR("some very_secure!password'#$")));
    assert_string_equal(value_check_key(STR("")), "is empty");
    assert_string_equal(value_check_key(STR("a\"b")), "has a double quote or a backslash in it");
    assert_string_equal(value_check_key(STR("a\\b")), "has a double quote or a backslash in it");
    assert_string_equal(value_check_key(STR("a\nb")), "has a byte that is not printable ASCII");
    assert_string_equal(value_check_key(STR("a\xc3\xa9")),
                        "has a byte that is not printable ASCII");
    assert_string_equal(value_check_key(STR(" a")), "begins or ends with a space");
    assert_string_equal(value_check_key(STR("a ")), "begins or ends with a space");
}

static void reads_listening_addresses(void **state)
{
    static const struct {
        const char *text, *out; /* out NULL: refused */
    } cases[] = {
        {"0.0.0.0:8780", "0.0.0.0:8780"},
        {"[::]:8780", "[::]:8780"},
        {"[2001:db8::1]:1", "[2001:db8::1]:1"},
        {"[::ffff:10.0.0.1]:1", "10.0.0.1:1"},
        {"*:8780", "0.0.0.0:8780"},
        {":8780", "0.0.0.0:8780"},
        {"unix:/run/hub.sock", "unix:/run/hub.sock"},
        {"off", "off"},
        {"", NULL},
        {"8780", NULL},
        {"127.0.0.1", NULL},
        {"127.0.0.1:", NULL},
        {"127.0.0.1:0", NULL},
        {"127.0.0.1:65536", NULL},
        {"127.0.0.1:080", NULL},
        {"127.0.0.1:+80", NULL},
        {"127.0.0.1:80 ", NULL},
        {"localhost:80", NULL},
        {":::80", NULL},
        {"::1:80", NULL},
        {"[127.0.0.1]:80", NULL},
        {"[::1]80", NULL},
        {"[]:80", NULL},
        {"unix:", NULL},
        {"unix:/", NULL},
        {"unix:run/hub.sock", NULL},
        {"OFF", NULL},
    };
    char buf[LISTEN_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct listen_addr addr;
        int rc = listen_parse(str_of(cases[i].text), &addr);

        if (!cases[i].out && rc == 0)
            fail_msg("'%s' accepted", cases[i].text);
        if (cases[i].out) {
            assert_int_equal(rc, 0);
            assert_string_equal(listen_format(&addr, buf), cases[i].out);
        }
    }
}

static void refuses_a_socket_path_that_does_not_fit(void **state)
{
    char text[LISTEN_PATH_MAX + 8] = "unix:/";
    struct listen_addr addr;

    (void)state;
    memset(text + 6, 'a', LISTEN_PATH_MAX - 2);
    assert_int_equal(listen_parse((struct str){text, 5 + LISTEN_PATH_MAX - 1}, &addr), 0);
    assert_int_equal(listen_parse((struct str){text, 5 + LISTEN_PATH_MAX}, &addr), -1);
}

static void makes_socket_addresses(void **state)
{
    struct sockaddr_storage sa;
    struct listen_addr addr, other;
    struct ip_addr ip;

    (void)state;
    assert_int_equal(listen_parse(STR("192.0.2.7:8080"), &addr), 0);
    assert_int_equal(listen_sockaddr(&addr, &sa), sizeof(struct sockaddr_in));
    assert_int_equal(((struct sockaddr_in *)(void *)&sa)->sin_port, htons(8080));
    assert_int_equal(ip_from_sockaddr((struct sockaddr *)&sa, &ip), 0);
    assert_true(ip_equal(&ip, &addr.ip));
    assert_int_equal(listen_parse(STR("[::1]:8080"), &other), 0);
    assert_int_equal(listen_sockaddr(&other, &sa), sizeof(struct sockaddr_in6));
    assert_int_equal(ip_from_sockaddr((struct sockaddr *)&sa, &ip), 0);
    assert_true(ip_is_loopback(&ip));
    assert_false(listen_equal(&addr, &other));
    assert_int_equal(listen_parse(STR("unix:/a"), &addr), 0);
    assert_int_equal(listen_sockaddr(&addr, &sa), sizeof(struct sockaddr_un));
    assert_string_equal(((struct sockaddr_un *)(void *)&sa)->sun_path, "/a");
    assert_int_equal(ip_from_sockaddr((struct sockaddr *)&sa, &ip), -1);
    assert_int_equal(listen_parse(STR("off"), &addr), 0);
    assert_int_equal(listen_sockaddr(&addr, &sa), 0);
    other = addr;
    assert_false(listen_equal(&addr, &other));
}

static void folds_mapped_addresses(void **state)
{
    struct ip_addr a, b;
    char buf[IP_TEXT_MAX];

    (void)state;
    assert_int_equal(ip_parse(STR("10.1.2.3"), &a), 0);
    assert_int_equal(ip_parse(STR("::ffff:10.1.2.3"), &b), 0);
    assert_true(ip_equal(&a, &b));
    assert_string_equal(ip_format(&b, buf), "10.1.2.3");
    assert_int_equal(ip_parse(STR("2001:DB8::0:1"), &a), 0);
    assert_string_equal(ip_format(&a, buf), "2001:db8::1");
    ip_mask(&a, 64);
    assert_string_equal(ip_format(&a, buf), "2001:db8::");
    ip_mask(&b, 96 + 9);
    assert_string_equal(ip_format(&b, buf), "10.0.0.0");
}

static void refuses_text_that_is_no_address(void **state)
{
    static const char *const bad[] = {"",         "1",          "1.2.3", "1.2.3.4.5",
                                      "01.2.3.4", "1.2.3.256",  " ::1",  "fe80::1%eth0",
                                      "[::1]",    "1.2.3.4:80", ":::",   "g::"};
    struct ip_addr ip;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (ip_parse(str_of(bad[i]), &ip) == 0)
            fail_msg("'%s' accepted", bad[i]);
    }
    assert_int_equal(ip_parse(STR("1.2.3.4\0"), &ip), -1);
}

struct bad_list {
    char text[256];
};

static void collect_bad(void *arg, struct str entry)
{
    struct bad_list *bad = arg;
    size_t n = strlen(bad->text);

    snprintf(bad->text + n, sizeof(bad->text) - n, "<%.*s>", STR_ARG(entry));
}

static bool in_set(const struct ip_set *set, const char *text)
{
    struct ip_addr ip;

    assert_int_equal(ip_parse(str_of(text), &ip), 0);
    return ip_set_contains(set, &ip);
}

static void reads_address_lists_and_skips_bad_entries(void **state)
{
    struct ip_set set = {0};
    struct bad_list bad = {""};

    (void)state;
    assert_int_equal(ip_set_parse(&set,
                                  STR("\"172.18.0.5/16\", '127.0.0.1' ,,nonsense, 10.0.0.0/33,"
                                      "2001:db8::/32, ::ffff:192.0.2.0/120, 1.2.3.4/08, /8,"
                                      "1.2.3.4/, 1.2.3.4/a, 10.0.0.0/255.0.0.0"),
                                  collect_bad, &bad),
                     0);
    assert_string_equal(bad.text, "<nonsense><10.0.0.0/33><1.2.3.4/08></8><1.2.3.4/><1.2.3.4/a>"
                                  "<10.0.0.0/255.0.0.0>");
    assert_true(in_set(&set, "172.18.0.0"));
    assert_true(in_set(&set, "172.18.255.255"));
    assert_true(in_set(&set, "::ffff:172.18.1.1"));
    assert_true(in_set(&set, "127.0.0.1"));
    assert_true(in_set(&set, "2001:db8:ffff::"));
    assert_true(in_set(&set, "192.0.2.77"));
    assert_false(in_set(&set, "172.19.0.0"));
    assert_false(in_set(&set, "172.17.255.255"));
    assert_false(in_set(&set, "127.0.0.2"));
    assert_false(in_set(&set, "2001:db9::"));
    assert_false(in_set(&set, "192.0.3.0"));
    assert_false(in_set(&set, "1.2.3.4"));
    ip_set_free(&set);
    assert_false(in_set(&set, "127.0.0.1"));
}

static void ipv6_networks_never_hold_ipv4_clients(void **state)
{
    struct ip_set set = {0};

    (void)state;
    assert_int_equal(ip_set_parse(&set, STR("::/0"), NULL, NULL), 0);
    assert_true(in_set(&set, "::1"));
    assert_true(in_set(&set, "::fffe:ffff:ffff"));
    assert_true(in_set(&set, "0:0:0:0:1::"));
    assert_true(in_set(&set, "ffff::1"));
    assert_false(in_set(&set, "10.0.0.1"));
    assert_false(in_set(&set, "0.0.0.0"));
    assert_false(in_set(&set, "255.255.255.255"));
    assert_int_equal(ip_set_parse(&set, STR("0.0.0.0/0"), NULL, NULL), 0);
    assert_true(in_set(&set, "10.0.0.1"));
    ip_set_free(&set);
    assert_int_equal(ip_set_parse(&set, STR("::fffe:0:0/95, ::ffff:0:0/96"), NULL, NULL), 0);
    assert_true(in_set(&set, "10.0.0.1"));
    ip_set_free(&set);
    assert_int_equal(ip_set_parse(&set, STR("::fffe:0:0/95"), NULL, NULL), 0);
    assert_false(in_set(&set, "10.0.0.1"));
    assert_true(in_set(&set, "::fffe:0:1"));
    ip_set_free(&set);
}

static void merges_overlapping_networks(void **state)
{
    struct ip_set set = {0};

    (void)state;
    assert_int_equal(
        ip_set_parse(&set, STR("10.2.0.0/16,10.0.0.0/8,10.1.0.0/16,11.0.0.1,11.0.0.1"), NULL, NULL),
        0);
    assert_int_equal(set.n, 2);
    assert_true(in_set(&set, "10.255.0.1"));
    ip_set_free(&set);
}

static void refuses_an_endless_address_list(void **state)
{
    struct ip_set set = {0};
    static char list[(IP_SET_MAX + 1) * 16];
    size_t n = 0;

    (void)state;
    for (int i = 0; i <= IP_SET_MAX; i++)
        n += (size_t)snprintf(list + n, sizeof(list) - n, "10.%d.%d.1,", i / 256, i % 256);
    assert_int_equal(ip_set_parse(&set, (struct str){list, n}, NULL, NULL), -1);
    assert_true(in_set(&set, "10.0.1.1"));
    ip_set_free(&set);
}

static void shows_values_on_one_line(void **state)
{
    char buf[CONFIG_SHOW_MAX], longest[400];

    (void)state;
    assert_string_equal(config_show(buf, STR("abc")), "'abc'");
    assert_string_equal(config_show(buf, STR("a\n'\\\xff")), "'a\\x0a\\x27\\x5c\\xff'");
    memset(longest, '\n', sizeof(longest));
    config_show(buf, (struct str){longest, sizeof(longest)});
    assert_true(strlen(buf) < CONFIG_SHOW_MAX);
    assert_string_equal(buf + strlen(buf) - 5, "a...'");
}

static void keeps_the_first_error(void **state)
{
    struct config_report report = {0};

    (void)state;
    assert_int_equal(config_fail(&report, "one\n%d", 1), -1);
    assert_int_equal(config_fail(&report, "two"), -1);
    assert_string_equal(report.error, "one?1");
}

static void decodes_only_shortest_utf8(void **state)
{
    static const struct {
        struct str text;
        size_t n;
        uint32_t cp;
    } cases[] = {
        {{"a", 1}, 1, 'a'},
        {{"\xc3\xa9", 2}, 2, 0xE9},
        {{"\xe2\x82\xac", 3}, 3, 0x20AC},
        {{"\xf0\x9f\x98\x80", 4}, 4, 0x1F600},
        {{"\xc0\x80", 2}, 0, 0},
        {{"\xe0\x80\x80", 3}, 0, 0},
        {{"\xed\xa0\x80", 3}, 0, 0},
        {{"\xf4\x90\x80\x80", 4}, 0, 0},
        {{"\x80", 1}, 0, 0},
        {{"\xc3", 1}, 0, 0},
        {{"\xff", 1}, 0, 0},
        {{NULL, 0}, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t cp = 0;
        char back[4];

        assert_int_equal(utf8_decode(cases[i].text, &cp), cases[i].n);
        assert_int_equal(cp, cases[i].cp);
        if (cases[i].n) {
            assert_int_equal(utf8_encode(cp, back), cases[i].n);
            assert_memory_equal(back, cases[i].text.p, cases[i].n);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_durations),
        cmocka_unit_test(reads_sizes),
        cmocka_unit_test(reads_numbers_in_range),
        cmocka_unit_test(reads_booleans),
        cmocka_unit_test(writes_durations_and_sizes_with_the_largest_unit),
        cmocka_unit_test(strips_pairs_of_quotes_only),
        cmocka_unit_test(knows_hosts),
        cmocka_unit_test(judges_shared_keys),
        cmocka_unit_test(reads_listening_addresses),
        cmocka_unit_test(refuses_a_socket_path_that_does_not_fit),
        cmocka_unit_test(makes_socket_addresses),
        cmocka_unit_test(folds_mapped_addresses),
        cmocka_unit_test(refuses_text_that_is_no_address),
        cmocka_unit_test(reads_address_lists_and_skips_bad_entries),
        cmocka_unit_test(ipv6_networks_never_hold_ipv4_clients),
        cmocka_unit_test(merges_overlapping_networks),
        cmocka_unit_test(refuses_an_endless_address_list),
        cmocka_unit_test(shows_values_on_one_line),
        cmocka_unit_test(keeps_the_first_error),
        cmocka_unit_test(decodes_only_shortest_utf8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
