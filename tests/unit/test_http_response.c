/* Response heads and trailer sections. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/http/head.h"

#define LIT(s) s, sizeof(s) - 1
#define OK "HTTP/1.1 200 OK\r\n"

static struct http_response res, again;

static int parse(enum http_method method, const char *p, size_t n)
{
    size_t scanned = 0;

    return http_parse_response(&res, method, p, n, &HTTP_LIMITS_DEFAULT, &scanned);
}

static void same_byte_by_byte(enum http_method method, const char *p, size_t n, int want)
{
    size_t scanned = 0;
    int rc = 0;

    for (size_t have = 1; have <= n && rc == 0; have++) {
        char *copy = malloc(have);

        memcpy(copy, p, have);
        rc = http_parse_response(&again, method, copy, have, &HTTP_LIMITS_DEFAULT, &scanned);
        free(copy);
    }
    assert_int_equal(rc, want);
    if (want < 0) {
        assert_string_equal(again.why, res.why);
    } else {
        assert_int_equal(again.status, res.status);
        assert_int_equal(again.framing, res.framing);
        assert_int_equal(again.nfields, res.nfields);
        assert_int_equal(again.keep_alive, res.keep_alive);
    }
}

static void refuses_bad_responses(void **state)
{
    static const struct {
        const char *p;
        size_t n;
    } rows[] = {
        {LIT("HTTP/1.1 200 OK\n\r\n")},
        {LIT("HTTP/1.1 200 OK\r\na: b\n\r\n")},
        {LIT("HTTP/1.1 200 OK\r\na: b\rc\r\n\r\n")},
        {LIT("\r\nHTTP/1.1 200 OK\r\n\r\n")},
        {LIT("HTTP/1.1  200 OK\r\n\r\n")},
        {LIT("HTTP/1.1 20 OK\r\n\r\n")},
        {LIT("HTTP/1.1 2000 OK\r\n\r\n")},
        {LIT("HTTP/1.1 2x0 OK\r\n\r\n")},
        {LIT("HTTP/1.1 099 OK\r\n\r\n")},
        {LIT("HTTP/1.1 600 OK\r\n\r\n")},
        {LIT("HTTP/1.1 200\tOK\r\n\r\n")},
        {LIT("HTTP/1.1 200 O\0K\r\n\r\n")},
        {LIT("HTTP/1.1 200 O\x7fK\r\n\r\n")},
        {LIT("HTTP/1.1\r\n\r\n")},
        {LIT("HTTP/1.2 200 OK\r\n\r\n")},
        {LIT("HTTP/2.0 200 OK\r\n\r\n")},
        {LIT("HTTP/0.9 200 OK\r\n\r\n")},
        {LIT("http/1.1 200 OK\r\n\r\n")},
        {LIT("ICY 200 OK, music\r\n\r\n")},
        {LIT("<html>hello</html>\r\n\r\n")},
        {LIT(OK "a : b\r\n\r\n")},
        {LIT(OK "a: b\r\n c\r\n\r\n")},
        {LIT(OK ": b\r\n\r\n")},
        {LIT(OK "nocolon\r\n\r\n")},
        {LIT(OK "a: \0\r\n\r\n")},
        {LIT(OK "Content_Length: 5\r\n\r\n")},
        {LIT(OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\n")},
        {LIT(OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\n")},
        {LIT(OK "Content-Length: 5,5\r\n\r\n")},
        {LIT(OK "Content-Length: +5\r\n\r\n")},
        {LIT(OK "Content-Length: 9223372036854775808\r\n\r\n")},
        {LIT(OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")},
        {LIT(OK "Transfer-Encoding: gzip, chunked\r\n\r\n")},
        {LIT(OK "Transfer-Encoding: identity\r\n\r\n")},
        {LIT(OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n")},
        {LIT("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")},
        {LIT("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n")},
        {LIT("HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n")},
        {LIT("HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n")},
        {LIT("HTTP/1.1 304 Not Modified\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n")},
        {LIT(OK "Connection: a b\r\n\r\n")},
        {LIT(OK "Connection: Content-Length\r\n\r\n")},
        {LIT("HTTP/1.1 101 x\r\n\r\n")},
        {LIT("HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n")},
        {LIT("HTTP/1.1 101 x\r\nConnection: upgrade\r\n\r\n")},
        {LIT("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n")},
        {LIT("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: a b\r\n\r\n")},
        {LIT("HTTP/1.0 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (parse(HTTP_GET, rows[i].p, rows[i].n) >= 0)
            fail_msg("row %zu was taken: %s", i, rows[i].p);
        assert_non_null(res.why);
        same_byte_by_byte(HTTP_GET, rows[i].p, rows[i].n, -1);
    }
    /* An answer to HEAD is held to the same rules. */
    assert_int_equal(parse(HTTP_HEAD, LIT(OK "Content-Length: x\r\n\r\n")), -1);
}

static void takes_good_responses(void **state)
{
    static const struct {
        const char *head;
        enum http_method method;
        int status;
        const char *reason;
        enum http_framing framing;
        uint64_t length;
        const char *flags; /* k keep_alive, u upgrade */
        const char *drop;
    } rows[] = {
        {OK "Content-Length: 5\r\n\r\n", HTTP_GET, 200, "OK", HTTP_BODY_LENGTH, 5, "k", "-"},
        {"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", HTTP_GET, 200, "", HTTP_BODY_LENGTH, 0, "k",
         "-"},
        {"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", HTTP_GET, 200, "", HTTP_BODY_LENGTH, 5, "k",
         "-"},
        {"HTTP/1.1 404 Nicht  da\xe4\t!\r\nContent-Length: 5\r\n\r\n", HTTP_GET, 404,
         "Nicht  da\xe4\t!", HTTP_BODY_LENGTH, 5, "k", "-"},
        {"HTTP/1.1 599 x\r\nContent-Length: 5\r\n\r\n", HTTP_GET, 599, "x", HTTP_BODY_LENGTH, 5,
         "k", "-"},
        {OK "Transfer-Encoding: CHUNKED\r\n\r\n", HTTP_GET, 200, "OK", HTTP_BODY_CHUNKED, 0, "k",
         "d"},
        {OK "\r\n", HTTP_GET, 200, "OK", HTTP_BODY_TO_EOF, 0, "", ""},
        {"HTTP/1.0 200 OK\r\n\r\n", HTTP_GET, 200, "OK", HTTP_BODY_TO_EOF, 0, "", ""},
        {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", HTTP_GET, 200, "OK", HTTP_BODY_LENGTH, 5,
         "", "-"},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n", HTTP_GET, 200,
         "OK", HTTP_BODY_LENGTH, 5, "k", "d-"},
        {OK "Connection: close, x\r\nX: 1\r\nContent-Length: 5\r\n\r\n", HTTP_GET, 200, "OK",
         HTTP_BODY_LENGTH, 5, "", "dd-"},
        {OK "Content-Length: 5\r\n\r\n", HTTP_HEAD, 200, "OK", HTTP_BODY_NONE, 0, "k", "-"},
        {OK "\r\n", HTTP_HEAD, 200, "OK", HTTP_BODY_NONE, 0, "k", ""},
        {OK "Transfer-Encoding: chunked\r\n\r\n", HTTP_HEAD, 200, "OK", HTTP_BODY_NONE, 0, "k",
         "d"},
        {"HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", HTTP_GET, 304, "x", HTTP_BODY_NONE, 0, "k",
         "-"},
        {"HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n", HTTP_GET, 204, "x", HTTP_BODY_NONE, 0, "k",
         "d"},
        {"HTTP/1.1 100 Continue\r\n\r\n", HTTP_POST, 100, "Continue", HTTP_BODY_NONE, 0, "k", ""},
        {"HTTP/1.1 103 x\r\nLink: y\r\n\r\n", HTTP_GET, 103, "x", HTTP_BODY_NONE, 0, "k", "-"},
        {"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", HTTP_GET, 101, "x",
         HTTP_BODY_NONE, 0, "u", "d-"},
        {OK "Upgrade: h2,h2c\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\n", HTTP_GET, 200,
         "OK", HTTP_BODY_LENGTH, 1, "k", "dd-"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n = strlen(rows[i].head);
        int rc = parse(rows[i].method, rows[i].head, n);
        bool ok;

        if (rc != (int)n)
            fail_msg("row %zu: %d %s", i, rc, rc < 0 ? res.why : "");
        ok = res.status == rows[i].status && str_eq(res.reason, str_of(rows[i].reason)) &&
             res.framing == rows[i].framing && res.length == rows[i].length &&
             res.keep_alive == !!strchr(rows[i].flags, 'k') &&
             res.upgrade == !!strchr(rows[i].flags, 'u') && res.nfields == strlen(rows[i].drop);
        for (unsigned k = 0; ok && k < res.nfields; k++)
            ok = res.fields[k].drop == (rows[i].drop[k] == 'd');
        if (!ok)
            fail_msg("row %zu differs: %s", i, rows[i].head);
        same_byte_by_byte(rows[i].method, rows[i].head, n, rc);
    }
}

static void judges_trailers(void **state)
{
    static const struct {
        const char *p;
        size_t n;
        int count; /* -1: refused */
        const char *drop;
    } rows[] = {
        {LIT("\r\n"), 0, ""},
        {LIT("a: b\r\n\r\n"), 1, "-"},
        {LIT("a: b\r\nContent-Length: 5\r\nx: \r\n\r\n"), 3, "-d-"},
        {LIT("Transfer-Encoding: chunked\r\nHost: x\r\nEX_APP_ID: 1\r\n\r\n"), 3, "ddd"},
        {LIT("authorization-app-api: 1\r\nSet-Cookie: 1\r\nServer-Timing: 1\r\n\r\n"), 3, "dd-"},
        {LIT("harp_shared_key: 1\r\nX-Forwarded-For: 1\r\nIf-Range: 1\r\n\r\n"), 3, "ddd"},
        {LIT(""), -1, ""},
        {LIT("a: b\r\n"), -1, ""},
        {LIT("a: b\r\n\r\nx"), -1, ""},
        {LIT("a: b\n\r\n"), -1, ""},
        {LIT("a : b\r\n\r\n"), -1, ""},
        {LIT("a: b\r\n c\r\n\r\n"), -1, ""},
        {LIT("nocolon\r\n\r\n"), -1, ""},
        {LIT("a: \0\r\n\r\n"), -1, ""},
        {LIT("Content_Length: 5\r\n\r\n"), -1, ""},
        {LIT("a: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\n\r\n"), -1, ""},
    };
    struct http_field f[3];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *why;
        int rc = http_parse_trailers(f, 3, rows[i].p, rows[i].n, &HTTP_LIMITS_DEFAULT, &why);

        if (rc != rows[i].count || (rc < 0) != (why != NULL))
            fail_msg("row %zu gave %d", i, rc);
        for (int k = 0; k < rc; k++)
            assert_int_equal(f[k].drop, rows[i].drop[k] == 'd');
    }
}

static void holds_the_limits(void **state)
{
    static char text[20000];
    size_t scanned = 0, n;
    struct http_limits l = {.line = 50, .head = 100, .fields = 2};
    (void)state;

    n = (size_t)sprintf(text, "HTTP/1.1 200 %040d\r\n", 0);
    assert_int_equal(http_parse_response(&res, HTTP_GET, text, n, &l, &scanned), -1);
    scanned = 0;
    assert_int_equal(
        http_parse_response(&res, HTTP_GET, LIT(OK "a: 1\r\nb: 2\r\n\r\n"), &l, &scanned), 31);
    scanned = 0;
    assert_int_equal(
        http_parse_response(&res, HTTP_GET, LIT(OK "a: 1\r\nb: 2\r\nc: 3\r\n\r\n"), &l, &scanned),
        -1);
    n = (size_t)sprintf(text, OK "a: %030d\r\nb: %041d\r\n\r\n", 0, 0);
    scanned = 0;
    assert_int_equal(n, 100);
    l.head = 99;
    assert_int_equal(http_parse_response(&res, HTTP_GET, text, n, &l, &scanned), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_bad_responses),
        cmocka_unit_test(takes_good_responses),
        cmocka_unit_test(judges_trailers),
        cmocka_unit_test(holds_the_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
