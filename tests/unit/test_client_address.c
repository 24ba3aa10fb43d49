/* Which address a request counts for, whatever its head claims. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hub/access/client_address.h"

/* The address for a request from `peer` with these field lines, where 10/8 and 2001:db8:aa::/48 are
 * trusted. */
static const char *judge(const char *peer, const char *fields, char *text)
{
    static const struct http_limits limits = HTTP_LIMITS_DEFAULT;
    static struct http_request r;
    struct ip_set trusted = {0};
    struct ip_addr from, client;
    char head[2048];
    size_t scanned = 0;
    int n = snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", fields);
    assert_int_equal(ip_set_parse(&trusted, STR("10.0.0.0/8, 2001:db8:aa::/48"), NULL, NULL), 0);
    assert_int_equal(ip_parse(str_of(peer), &from), 0);
    if (http_parse_request(&r, head, (size_t)n, &limits, &scanned) <= 0) {
        fail_msg("refused (%s): %s", r.why ? r.why : "incomplete", fields);
    }
    client = client_address(&r, &from, &trusted);
    ip_set_free(&trusted);
    return ip_format(&client, text);
}

static void judges_by_what_trusted_proxies_say(void **state)
{
#define XFF "X-Forwarded-For: "
#define REAL "X-Real-IP: "
    static const struct {
        const char *peer, *fields, *want;
    } rows[] = {
        /* who is not trusted may say what it likes */
        {"192.0.2.9", "", "192.0.2.9"},
        {"192.0.2.9", XFF "203.0.113.1\r\n", "192.0.2.9"},
        {"192.0.2.9", REAL "203.0.113.1\r\n", "192.0.2.9"},
        {"192.0.2.9", XFF "10.1.1.1\r\n" REAL "10.1.1.1\r\n", "192.0.2.9"},
        {"2001:db8:ab::1", XFF "203.0.113.1\r\n", "2001:db8:ab::1"},
        /* the rightmost that is not trusted */
        {"10.0.0.1", XFF "203.0.113.1\r\n", "203.0.113.1"},
        {"10.0.0.1", XFF "198.51.100.7, 203.0.113.1\r\n", "203.0.113.1"},
        {"10.0.0.1", XFF "198.51.100.7, 203.0.113.1, 10.0.0.2, 10.0.0.3\r\n", "203.0.113.1"},
        {"10.0.0.1", XFF "127.0.0.1, 203.0.113.1\r\n", "203.0.113.1"},
        {"10.0.0.1", XFF "203.0.113.1,10.0.0.2\r\n", "203.0.113.1"},
        {"10.0.0.1", "x-forwarded-FOR: 203.0.113.1\r\n", "203.0.113.1"},
        {"2001:db8:aa::1", XFF "2001:db8::5\r\n", "2001:db8::5"},
        {"10.0.0.1", XFF "::ffff:203.0.113.1\r\n", "203.0.113.1"},
        {"10.0.0.1", XFF "203.0.113.1, ::ffff:10.0.0.2\r\n", "203.0.113.1"},
        /* several fields are one list */
        {"10.0.0.1", XFF "198.51.100.7\r\n" XFF "203.0.113.1\r\n", "203.0.113.1"},
        {"10.0.0.1", XFF "203.0.113.1\r\n" XFF "10.0.0.2\r\n", "203.0.113.1"},
        {"10.0.0.1", XFF "203.0.113.1\r\nX: y\r\n" XFF "10.0.0.2, 10.0.0.3\r\n", "203.0.113.1"},
        /* blanks, empty members, ports, brackets */
        {"10.0.0.1", XFF "  203.0.113.1 \t, 10.0.0.2\t\r\n", "203.0.113.1"},
        {"10.0.0.1", XFF "203.0.113.1, ,, 10.0.0.2,\r\n", "203.0.113.1"},
        {"10.0.0.1", XFF "\r\n" XFF "203.0.113.1\r\n", "203.0.113.1"},
        {"10.0.0.1", XFF "203.0.113.1:4711\r\n", "203.0.113.1"},
        {"10.0.0.1", XFF "[2001:db8::5]\r\n", "2001:db8::5"},
        {"10.0.0.1", XFF "[2001:db8::5]:443\r\n", "2001:db8::5"},
        {"10.0.0.1", XFF "203.0.113.1, 10.0.0.2:1234\r\n", "203.0.113.1"},
        /* at what is no address the search ends: whoever wrote it is answerable */
        {"10.0.0.1", XFF "203.0.113.1, unknown\r\n", "10.0.0.1"},
        {"10.0.0.1", XFF "unknown\r\n" REAL "203.0.113.1\r\n", "10.0.0.1"},
        {"10.0.0.1", XFF "203.0.113.1, garbage, 10.0.0.2\r\n", "10.0.0.2"},
        {"10.0.0.1", XFF "_hidden, 198.51.100.7\r\n", "198.51.100.7"},
        {"10.0.0.1", XFF "203.0.113.1 198.51.100.7\r\n", "10.0.0.1"},
        {"10.0.0.1", XFF "203.0.113.1:\r\n", "10.0.0.1"},
        {"10.0.0.1", XFF "203.0.113.1:70000\r\n", "10.0.0.1"},
        {"10.0.0.1", XFF "203.0.113.1:8x\r\n", "10.0.0.1"},
        {"10.0.0.1", XFF "203.0.113.256\r\n", "10.0.0.1"},
        {"10.0.0.1", XFF "203.0.113\r\n", "10.0.0.1"},
        {"10.0.0.1", XFF "0x7f.1\r\n", "10.0.0.1"},
        {"10.0.0.1", XFF "2130706433\r\n", "10.0.0.1"},
        {"10.0.0.1", XFF "[203.0.113.1]\r\n", "10.0.0.1"},
        {"10.0.0.1", XFF "[2001:db8::5\r\n", "10.0.0.1"},
        {"10.0.0.1", XFF "[2001:db8::5]x\r\n", "10.0.0.1"},
        {"10.0.0.1", XFF "[2001:db8::5]:\r\n", "10.0.0.1"},
        {"10.0.0.1", XFF "fe80::1%eth0\r\n", "10.0.0.1"},
        {"10.0.0.1", XFF "\"203.0.113.1\"\r\n", "10.0.0.1"},
        {"10.0.0.1", XFF "for=203.0.113.1\r\n", "10.0.0.1"},
        {"10.0.0.1", XFF "]\r\n", "10.0.0.1"},
        {"10.0.0.1", XFF "[\r\n", "10.0.0.1"},
        {"10.0.0.1", XFF ":\r\n", "10.0.0.1"},
        {"10.0.0.1", XFF ",\r\n", "10.0.0.1"},
        {"10.0.0.1",
         XFF "\xE2\x80\x8B"
             "203.0.113.1\r\n",
         "10.0.0.1"},
        /* X-Real-IP where X-Forwarded-For says nothing */
        {"10.0.0.1", REAL "203.0.113.1\r\n", "203.0.113.1"},
        {"10.0.0.1", REAL "[2001:db8::5]\r\n", "2001:db8::5"},
        {"10.0.0.1", XFF "203.0.113.1\r\n" REAL "198.51.100.7\r\n", "203.0.113.1"},
        {"10.0.0.1", XFF "10.0.0.2\r\n" REAL "198.51.100.7\r\n", "198.51.100.7"},
        {"10.0.0.1", XFF "10.0.0.2\r\n", "10.0.0.2"},
        {"10.0.0.1", REAL "garbage\r\n", "10.0.0.1"},
        {"10.0.0.1", REAL "203.0.113.1, 198.51.100.7\r\n", "10.0.0.1"},
        {"10.0.0.1", REAL "203.0.113.1\r\n" REAL "198.51.100.7\r\n", "10.0.0.1"},
        {"10.0.0.1", "", "10.0.0.1"},
        /* other spellings and other fields never count: a proxy passes them as they came */
        {"10.0.0.1", "X_Forwarded_For: 203.0.113.1\r\n", "10.0.0.1"},
        {"10.0.0.1", "X_Real_IP: 203.0.113.1\r\n", "10.0.0.1"},
        {"10.0.0.1", "Forwarded: for=203.0.113.1\r\n", "10.0.0.1"},
        {"10.0.0.1", "X-Origin-IP: 203.0.113.1\r\n", "10.0.0.1"},
        {"10.0.0.1", "X-Forwarded-For-Original: 203.0.113.1\r\n", "10.0.0.1"},
        /* naming it in Connection does not hide it */
        {"10.0.0.1", "Connection: x-forwarded-for\r\n" XFF "203.0.113.1\r\n", "203.0.113.1"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[IP_TEXT_MAX];
        const char *got = judge(rows[i].peer, rows[i].fields, text);
        if (strcmp(got, rows[i].want) != 0) {
            fail_msg("row %zu: from %s with %s: %s instead of %s", i, rows[i].peer, rows[i].fields,
                     got, rows[i].want);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(judges_by_what_trusted_proxies_say)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
