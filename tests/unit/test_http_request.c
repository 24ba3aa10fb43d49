/* Request heads: what is taken, what is refused and with which answer. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/http/head.h"

#define H "Host: a\r\n"
#define END "\r\n"
/* A literal that may hold NUL bytes. */
#define LIT(s) s, sizeof(s) - 1

static struct http_request req, again;

static int parse(const char *p, size_t n)
{
    size_t scanned = 0;

    return http_parse_request(&req, p, n, &HTTP_LIMITS_DEFAULT, &scanned);
}

/* Gives the bytes one by one, in a fresh place each time, and expects the same verdict. */
static void same_byte_by_byte(const char *p, size_t n, int want)
{
    size_t scanned = 0;
    int rc = 0;

    for (size_t have = 1; have <= n && rc == 0; have++) {
        char *copy = malloc(have);

        memcpy(copy, p, have);
        rc = http_parse_request(&again, copy, have, &HTTP_LIMITS_DEFAULT, &scanned);
        free(copy);
    }
    assert_int_equal(rc, want);
    if (want < 0) {
        assert_int_equal(again.status, req.status);
        assert_string_equal(again.why, req.why);
    } else if (want > 0) {
        assert_int_equal(again.nfields, req.nfields);
        assert_int_equal(again.framing, req.framing);
        assert_int_equal(again.keep_alive, req.keep_alive);
        assert_int_equal(again.upgrade, req.upgrade);
        assert_int_equal(again.length, req.length);
        for (unsigned i = 0; i < req.nfields; i++) {
            assert_int_equal(again.fields[i].id, req.fields[i].id);
            assert_int_equal(again.fields[i].drop, req.fields[i].drop);
            assert_int_equal(again.fields[i].value.n, req.fields[i].value.n);
        }
    }
}

struct refusal {
    int status;
    const char *p;
    size_t n;
};

static void check_refusals(const struct refusal *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int rc = parse(rows[i].p, rows[i].n);

        if (rc >= 0 || req.status != rows[i].status)
            fail_msg("row %zu: rc %d status %d, wanted %d: %s", i, rc, rc < 0 ? req.status : 0,
                     rows[i].status, rows[i].p);
        assert_non_null(req.why);
        same_byte_by_byte(rows[i].p, rows[i].n, -1);
    }
}

static void refuses_malformed_lines(void **state)
{
    static const struct refusal rows[] = {
        {400, LIT("GET / HTTP/1.1\n" H END)},
        {400, LIT("GET / HTTP/1.1\r\nHost: a\n\r\n")},
        {400, LIT("GET / HTTP/1.1\r\n" H "\n")},
        {400, LIT("GET / HTTP/1.1\r\n" H "a: b\rc: d\r\n\r\n")},
        {400, LIT("GET / HTTP/1.1\r\n" H "\rX")},
        {400, LIT("GET / HTTP/1.1\r\r\n" H END)},
        {400, LIT("GET / HTTP/1.1\r\n" H "a: b\r\n c\r\n\r\n")},
        {400, LIT("GET / HTTP/1.1\r\n" H "a: b\r\n\tc\r\n\r\n")},
        {400, LIT("GET / HTTP/1.1\r\n Host: a\r\n\r\n")},
        {400, LIT("GET / HTTP/1.1\r\n" H "a : b\r\n\r\n")},
        {400, LIT("GET / HTTP/1.1\r\n" H "a\t: b\r\n\r\n")},
        {400, LIT("GET / HTTP/1.1\r\n" H "a b: c\r\n\r\n")},
        {400, LIT("GET / HTTP/1.1\r\n" H ": b\r\n\r\n")},
        {400, LIT("GET / HTTP/1.1\r\n" H "nocolon\r\n\r\n")},
        {400, LIT("GET / HTTP/1.1\r\n" H "a(b): c\r\n\r\n")},
        {400, LIT("GET / HTTP/1.1\r\n" H "a\x80: c\r\n\r\n")},
        {400, LIT("GET / HTTP/1.1\r\n" H "a\0b: c\r\n\r\n")},
        {400, LIT("GET / HTTP/1.1\r\n" H "a: b\0c\r\n\r\n")},
        {400, LIT("GET / HTTP/1.1\r\n" H "a: b\x01\r\n\r\n")},
        {400, LIT("GET / HTTP/1.1\r\n" H "a: b\x1f\r\n\r\n")},
        {400, LIT("GET / HTTP/1.1\r\n" H "a: b\x7f\r\n\r\n")},
        {400, LIT("GET / HTTP/1.1\r\n" H "a: b\x0b\r\n\r\n")},
        {400, LIT("GET / HTTP/1.1\r\n" H "a: \tbbbbbbbbbbbbbbb\tcc\x08\r\n\r\n")},
    };
    (void)state;
    check_refusals(rows, ARRAY_LEN(rows));
}

static void refuses_bad_request_lines(void **state)
{
    static const struct refusal rows[] = {
        {400, LIT("\r\n\r\nGET / HTTP/1.1\r\n" H END)},
        {400, LIT("\nGET / HTTP/1.1\r\n" H END)},
        {400, LIT("GET  / HTTP/1.1\r\n" H END)},
        {400, LIT("GET /  HTTP/1.1\r\n" H END)},
        {400, LIT("GET / HTTP/1.1 \r\n" H END)},
        {400, LIT(" GET / HTTP/1.1\r\n" H END)},
        {400, LIT("GET\t/ HTTP/1.1\r\n" H END)},
        {400, LIT("GET /\tHTTP/1.1\r\n" H END)},
        {400, LIT("GET / x HTTP/1.1\r\n" H END)},
        {400, LIT("G(T / HTTP/1.1\r\n" H END)},
        {400, LIT("G\x80T / HTTP/1.1\r\n" H END)},
        {400, LIT("GET\r\n" H END)},
        {400, LIT("GET \r\n" H END)},
        {400, LIT("GET /\r\n\r\n")},
        {400, LIT("GET / \r\n\r\n")},
        {400, LIT("GET / http/1.1\r\n" H END)},
        {400, LIT("GET / HTTP/1\r\n" H END)},
        {400, LIT("GET / HTTP/1.\r\n" H END)},
        {400, LIT("GET / HTTP/11\r\n" H END)},
        {400, LIT("GET / HTTP/1.10\r\n" H END)},
        {400, LIT("GET / HTTPS/1.1\r\n" H END)},
        {400, LIT("GET / HTTP/a.b\r\n" H END)},
        {400, LIT("GET /a\x80 HTTP/1.1\r\n" H END)},
        {400, LIT("GET /a\x01 HTTP/1.1\r\n" H END)},
        {400, LIT("GET /a\0 HTTP/1.1\r\n" H END)},
        {400, LIT("GET /a\x7f HTTP/1.1\r\n" H END)},
        {400, LIT("GET /a#b HTTP/1.1\r\n" H END)},
        {400, LIT("GET a HTTP/1.1\r\n" H END)},
        {400, LIT("GET a:80 HTTP/1.1\r\n" H END)},
        {400, LIT("CONNECT a:80 HTTP/1.1\r\n" H END)},
        {400, LIT("CONNECT / HTTP/1.1\r\n" H END)},
        {400, LIT("GET * HTTP/1.1\r\n" H END)},
        {400, LIT("OPTIONS *a HTTP/1.1\r\n" H END)},
        {400, LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
        {400, LIT("GET http:///x HTTP/1.1\r\n" H END)},
        {400, LIT("GET http:// HTTP/1.1\r\n" H END)},
        {400, LIT("GET http://u@a/ HTTP/1.1\r\n" H END)},
        {400, LIT("GET http://u:p@a/ HTTP/1.1\r\n" H END)},
        {400, LIT("GET http://a:x/ HTTP/1.1\r\n" H END)},
        {400, LIT("GET http://a?x HTTP/1.1\r\n" H END)},
        {400, LIT("GET http://a/#x HTTP/1.1\r\n" H END)},
        {400, LIT("GET ftp://a/ HTTP/1.1\r\n" H END)},
        {400, LIT("GET ws://a/ HTTP/1.1\r\n" H END)},
        {400, LIT("GET http:/a HTTP/1.1\r\n" H END)},
        {505, LIT("GET / HTTP/2.0\r\n" H END)},
        {505, LIT("GET / HTTP/1.2\r\n" H END)},
        {505, LIT("GET / HTTP/0.9\r\n" H END)},
        {505, LIT("GET / HTTP/3.0\r\n" H END)},
    };
    (void)state;
    check_refusals(rows, ARRAY_LEN(rows));
}

#define POST "POST / HTTP/1.1\r\n" H

static void refuses_ambiguous_framing(void **state)
{
    static const struct refusal rows[] = {
        {400, LIT(POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n")},
        {400, LIT(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n")},
        {400, LIT(POST "Content-Length: 5\r\na: b\r\ncontent-length: 5\r\n\r\n")},
        {400, LIT(POST "Content-Length: 5, 5\r\n\r\n")},
        {400, LIT(POST "Content-Length: +1\r\n\r\n")},
        {400, LIT(POST "Content-Length: -1\r\n\r\n")},
        {400, LIT(POST "Content-Length: 0x10\r\n\r\n")},
        {400, LIT(POST "Content-Length:\r\n\r\n")},
        {400, LIT(POST "Content-Length: 1 2\r\n\r\n")},
        {400, LIT(POST "Content-Length: 1.0\r\n\r\n")},
        {400, LIT(POST "Content-Length: \"1\"\r\n\r\n")},
        {400, LIT(POST "Content-Length: 9223372036854775808\r\n\r\n")},
        {400, LIT(POST "Content-Length: 18446744073709551617\r\n\r\n")},
        {400, LIT(POST "Content-Length: 99999999999999999999999\r\n\r\n")},
        {400, LIT(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")},
        {400, LIT(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n")},
        {400, LIT(POST "Transfer-Encoding: gzip\r\nContent-Length: 5\r\n\r\n")},
        {400, LIT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n")},
        {400, LIT(POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n")},
        {400, LIT(POST "Transfer-Encoding: chunked, chunked\r\n\r\n")},
        {400, LIT(POST "Transfer-Encoding: chunked, gzip\r\n\r\n")},
        {400, LIT(POST "Transfer-Encoding: chunked;x\r\n\r\n")},
        {400, LIT(POST "Transfer-Encoding: chunked;x=y\r\n\r\n")},
        {400, LIT(POST "Transfer-Encoding:\r\n\r\n")},
        {400, LIT(POST "Transfer-Encoding: ,chunked\r\n\r\n")},
        {400, LIT(POST "Transfer-Encoding: chunked,\r\n\r\n")},
        {400, LIT(POST "Transfer-Encoding: \"chunked\"\r\n\r\n")},
        {400, LIT(POST "Transfer-Encoding: gzip chunked\r\n\r\n")},
        {400, LIT(POST "Transfer-Encoding: gzip;a=\"x\r\n\r\n")},
        {400, LIT(POST "Transfer-Encoding: chunked\xa0\r\n\r\n")},
        {501, LIT(POST "Transfer-Encoding: xchunked\r\n\r\n")},
        {501, LIT(POST "Transfer-Encoding: gzip\r\n\r\n")},
        {501, LIT(POST "Transfer-Encoding: identity\r\n\r\n")},
        {501, LIT(POST "Transfer-Encoding: gzip, chunked\r\n\r\n")},
        {501, LIT(POST "Transfer-Encoding: gzip; a=\"b, c\" , chunked\r\n\r\n")},
        {400, LIT("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n")},
        {400, LIT(POST "Content_Length: 5\r\n\r\n")},
        {400, LIT(POST "transfer_encoding: chunked\r\n\r\n")},
        {400, LIT(POST "Content-Length : 5\r\n\r\n")},
        {400, LIT(POST "Content-Length: 5\r\nConnection: content-length\r\n\r\n")},
        {400, LIT(POST "Connection: close, Transfer-Encoding\r\n\r\n")},
        {400, LIT(POST "Connection: Content_Length\r\n\r\n")},
        {400, LIT(POST "Connection: host\r\n\r\n")},
        {400, LIT(POST "Connection: close keep-alive\r\n\r\n")},
        {400, LIT(POST "Connection: close;q=1\r\n\r\n")},
        {400, LIT(POST "Connection: \"close\"\r\n\r\n")},
        {400, LIT(POST "Connection: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a\r\n"
                       "Connection: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a\r\n\r\n")},
        {400, LIT(POST "Upgrade: web socket\r\nConnection: upgrade\r\n\r\n")},
        {400, LIT(POST "Upgrade: a/\r\nConnection: upgrade\r\n\r\n")},
        {417, LIT(POST "Expect: 200-ok\r\n\r\n")},
        {417, LIT(POST "Expect:\r\n\r\n")},
        {417, LIT(POST "Expect: 100-continue, x\r\n\r\n")},
        {417, LIT(POST "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n")},
    };
    (void)state;
    check_refusals(rows, ARRAY_LEN(rows));
}

static void refuses_bad_hosts(void **state)
{
    static const char *const values[] = {
        "",        "a b",          "a,b",      "a/b",  "u@a",    "a:b",       "a:80:90",
        "a:65536", ":80",          "http://a", "[::1", "[::1]x", "[x]",       "[]",
        "[v1.a]",  "[::1%25eth0]", "::1",      "a%zz", "a%4",    "a\xc3\xa4", "a?b",
        "a#b",     "a\\b",         "a:80 ",    "a:-1", "<a>",    "a\tb",      "a:99999999999",
    };
    char text[200];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        int n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", values[i]);
        int rc = parse(text, (size_t)n);
        /* Blanks around a value are no part of it. */
        bool good = strcmp(values[i], "a:80 ") == 0;

        if (good ? rc != n : rc >= 0 || req.status != 400)
            fail_msg("Host: '%s' gave %d", values[i], rc);
        same_byte_by_byte(text, (size_t)n, rc);
    }
    static const struct refusal rows[] = {
        {400, LIT("GET / HTTP/1.1\r\n\r\n")},
        {400, LIT("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n")},
        {400, LIT("GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n")},
        {400, LIT("GET / HTTP/1.0\r\nHost: a b\r\n\r\n")},
        {400, LIT("GET http://a/ HTTP/1.1\r\n\r\n")},
        {400, LIT("GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n")},
    };
    check_refusals(rows, ARRAY_LEN(rows));
}

static void takes_an_empty_host_where_it_is_allowed(void **state)
{
    static const struct {
        const char *head;
        bool good;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: \r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost:\r\nHost:\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n\r\n", false},
        {"GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n", false},
    };
    struct http_limits l = HTTP_LIMITS_DEFAULT;
    (void)state;

    l.empty_host = true;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n = strlen(rows[i].head), scanned = 0;
        int rc = http_parse_request(&req, rows[i].head, n, &l, &scanned);

        if (rows[i].good ? rc != (int)n || req.authority.n != 0 : rc >= 0 || req.status != 400)
            fail_msg("%s gave %d", rows[i].head, rc);
    }
}

struct good {
    const char *head;
    const char *authority, *path;
    enum http_method method;
    int minor;
    enum http_framing framing;
    uint64_t length;
    const char *flags; /* k keep_alive, e expect_continue, u upgrade, a absolute */
    const char *drop;  /* a character for each field: d when dropped */
};

#define GET "GET / HTTP/1.1\r\n" H

static void takes_good_requests(void **state)
{
    static const struct good rows[] = {
        {GET END, "a", "/", HTTP_GET, 1, HTTP_BODY_NONE, 0, "k", "-"},
        {"\r\n" GET END, "a", "/", HTTP_GET, 1, HTTP_BODY_NONE, 0, "k", "-"},
        {"GET /a?b|\"{}^` HTTP/1.1\r\n" H END, "a", "/a?b|\"{}^`", HTTP_GET, 1, HTTP_BODY_NONE, 0,
         "k", "-"},
        {"get / HTTP/1.1\r\n" H END, "a", "/", HTTP_METHOD_OTHER, 1, HTTP_BODY_NONE, 0, "k", "-"},
        {"PROPFIND /x HTTP/1.1\r\n" H END, "a", "/x", HTTP_METHOD_OTHER, 1, HTTP_BODY_NONE, 0, "k",
         "-"},
        {"HEAD / HTTP/1.1\r\n" H END, "a", "/", HTTP_HEAD, 1, HTTP_BODY_NONE, 0, "k", "-"},
        {"TRACE / HTTP/1.1\r\n" H END, "a", "/", HTTP_TRACE, 1, HTTP_BODY_NONE, 0, "k", "-"},
        {"OPTIONS * HTTP/1.1\r\n" H END, "a", "*", HTTP_OPTIONS, 1, HTTP_BODY_NONE, 0, "k", "-"},
        {"GET / HTTP/1.0\r\n\r\n", "", "/", HTTP_GET, 0, HTTP_BODY_NONE, 0, "", ""},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "", "/", HTTP_GET, 0, HTTP_BODY_NONE,
         0, "k", "d"},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "", "/", HTTP_GET, 0,
         HTTP_BODY_NONE, 0, "", "d"},
        {GET "Connection: CLOSE\r\n\r\n", "a", "/", HTTP_GET, 1, HTTP_BODY_NONE, 0, "", "-d"},
        {GET "Connection:\r\n\r\n", "a", "/", HTTP_GET, 1, HTTP_BODY_NONE, 0, "k", "-d"},
        {GET "Connection: ,, close ,\t,\r\n\r\n", "a", "/", HTTP_GET, 1, HTTP_BODY_NONE, 0, "",
         "-d"},
        {GET "X-One: 1\r\nx-TWO: 2\r\nConnection: x-two, x-none, x-one\r\n\r\n", "a", "/", HTTP_GET,
         1, HTTP_BODY_NONE, 0, "k", "-ddd"},
        {GET "Cookie: 1\r\nConnection: keep-alive\r\nConnection: cookie\r\n\r\n", "a", "/",
         HTTP_GET, 1, HTTP_BODY_NONE, 0, "k", "-ddd"},
        {GET "EX_APP-ID: 1\r\nConnection: ex-app_id\r\n\r\n", "a", "/", HTTP_GET, 1, HTTP_BODY_NONE,
         0, "k", "-dd"},
        {GET "TE: trailers\r\nTrailer: x\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\n"
             "Proxy-Authorization: x\r\n\r\n",
         "a", "/", HTTP_GET, 1, HTTP_BODY_NONE, 0, "k", "-d-ddd"},
        {POST "Content-Length: 0\r\n\r\n", "a", "/", HTTP_POST, 1, HTTP_BODY_LENGTH, 0, "k", "--"},
        {POST "Content-Length: \t007 \r\n\r\n", "a", "/", HTTP_POST, 1, HTTP_BODY_LENGTH, 7, "k",
         "--"},
        {POST "Content-Length: 9223372036854775807\r\n\r\n", "a", "/", HTTP_POST, 1,
         HTTP_BODY_LENGTH, INT64_MAX, "k", "--"},
        {POST "Transfer-Encoding: Chunked\r\n\r\n", "a", "/", HTTP_POST, 1, HTTP_BODY_CHUNKED, 0,
         "k", "-d"},
        {POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n", "a", "/", HTTP_POST, 1,
         HTTP_BODY_LENGTH, 1, "ke", "---"},
        {POST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", "a", "/", HTTP_POST, 1,
         HTTP_BODY_CHUNKED, 0, "ke", "--d"},
        {POST "Expect: 100-continue\r\n\r\n", "a", "/", HTTP_POST, 1, HTTP_BODY_NONE, 0, "k", "--"},
        {"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", "", "/", HTTP_POST,
         0, HTTP_BODY_LENGTH, 1, "", "d-"},
        {GET "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\r\n", "a", "/", HTTP_GET, 1,
         HTTP_BODY_NONE, 0, "ku", "--d"},
        {GET "Upgrade: websocket\r\n\r\n", "a", "/", HTTP_GET, 1, HTTP_BODY_NONE, 0, "k", "-d"},
        {GET "Connection: upgrade\r\n\r\n", "a", "/", HTTP_GET, 1, HTTP_BODY_NONE, 0, "k", "-d"},
        {"GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", "", "/", HTTP_GET,
         0, HTTP_BODY_NONE, 0, "", "dd"},
        {GET "Upgrade: h2c\r\nHTTP2-Settings: AA\r\nConnection: upgrade, http2-settings\r\n\r\n",
         "a", "/", HTTP_GET, 1, HTTP_BODY_NONE, 0, "k", "-ddd"},
        {GET "Upgrade: websocket, H2C\r\nConnection: upgrade\r\n\r\n", "a", "/", HTTP_GET, 1,
         HTTP_BODY_NONE, 0, "k", "-dd"},
        {GET "Upgrade: websocket\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", "a", "/",
         HTTP_GET, 1, HTTP_BODY_NONE, 0, "k", "-ddd"},
        {GET "Upgrade: HTTP/2.0\r\nConnection: upgrade\r\n\r\n", "a", "/", HTTP_GET, 1,
         HTTP_BODY_NONE, 0, "k", "-dd"},
        {GET "Upgrade: TLS/1.0\r\nConnection: upgrade\r\n\r\n", "a", "/", HTTP_GET, 1,
         HTTP_BODY_NONE, 0, "k", "-dd"},
        {GET "Upgrade: a/1, b\r\nConnection: upgrade\r\n\r\n", "a", "/", HTTP_GET, 1,
         HTTP_BODY_NONE, 0, "ku", "--d"},
        {"GET http://b:8080/x?y HTTP/1.1\r\n" H END, "b:8080", "/x?y", HTTP_GET, 1, HTTP_BODY_NONE,
         0, "ka", "d"},
        {"GET HTTPS://b HTTP/1.1\r\n" H END, "b", "/", HTTP_GET, 1, HTTP_BODY_NONE, 0, "ka", "d"},
        {"GET http://[::1]:80/ HTTP/1.0\r\n\r\n", "[::1]:80", "/", HTTP_GET, 0, HTTP_BODY_NONE, 0,
         "a", ""},
        {"OPTIONS http://b HTTP/1.1\r\n" H END, "b", "*", HTTP_OPTIONS, 1, HTTP_BODY_NONE, 0, "ka",
         "d"},
        {"GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n", "[2001:db8::1]:8080", "/", HTTP_GET,
         1, HTTP_BODY_NONE, 0, "k", "-"},
        {"GET / HTTP/1.1\r\nHost:a_b-c.%41!$&'()*+;=~:\r\n\r\n", "a_b-c.%41!$&'()*+;=~:", "/",
         HTTP_GET, 1, HTTP_BODY_NONE, 0, "k", "-"},
        {"GET / HTTP/1.1\r\nHost: 127.0.0.1:65535\r\n\r\n", "127.0.0.1:65535", "/", HTTP_GET, 1,
         HTTP_BODY_NONE, 0, "k", "-"},
        {GET "a:\r\nb: \t \r\nc: x\ty z\r\nd: \xff\x80\r\n!#$%&'*+-.^_`|~: 1\r\n\r\n", "a", "/",
         HTTP_GET, 1, HTTP_BODY_NONE, 0, "k", "------"},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct good *g = &rows[i];
        size_t n = strlen(g->head);
        int rc = parse(g->head, n);
        bool ok = rc == (int)n;

        if (!ok)
            fail_msg("row %zu: %d %s", i, rc, rc < 0 ? req.why : "");
        ok = str_eq(req.authority, str_of(g->authority)) && str_eq(req.path, str_of(g->path)) &&
             req.method_id == g->method && req.minor == g->minor && req.framing == g->framing &&
             req.length == g->length && req.keep_alive == !!strchr(g->flags, 'k') &&
             req.expect_continue == !!strchr(g->flags, 'e') &&
             req.upgrade == !!strchr(g->flags, 'u') && req.absolute == !!strchr(g->flags, 'a') &&
             req.nfields == strlen(g->drop) && req.status == 0 && !req.why;
        for (unsigned k = 0; ok && k < req.nfields; k++)
            ok = req.fields[k].drop == (g->drop[k] == 'd');
        if (!ok)
            fail_msg("row %zu differs: %s", i, g->head);
        same_byte_by_byte(g->head, n, rc);
    }
}

static void takes_one_of_pipelined_requests(void **state)
{
    static const char two[] = GET END "POST /b HTTP/1.1\r\n" H END;
    (void)state;
    assert_int_equal(parse(two, sizeof(two) - 1), sizeof(GET END) - 1);
    assert_true(str_eq(req.path, STR("/")));
}

static void trims_values_and_keeps_names(void **state)
{
    static const char text[] = GET "X-Y:\t a b \t\r\n\r\n";
    (void)state;
    assert_int_equal(parse(text, sizeof(text) - 1), sizeof(text) - 1);
    assert_true(str_eq(req.fields[1].name, STR("X-Y")));
    assert_true(str_eq(req.fields[1].value, STR("a b")));
    assert_true(str_eq(req.method, STR("GET")));
}

/* Each string is refused although its head has no end yet. */
static void refuses_as_soon_as_it_is_sure(void **state)
{
    static const struct refusal rows[] = {
        {400, LIT("GET / HTTP/1.1\n")},
        {400, LIT("G\n")},
        {400, LIT("\x16\x03\x01\x02")},
        {400, LIT("GET / HTTP/1.1\r\nHost: a\n")},
        {400, LIT("GET / HTTP/1.1\r\na\0")},
        {400, LIT("GET / HTTP/1.1\r\nbad name: x\r\n")},
        {400, LIT("GET / HTTP/1.1\rH")},
        {505, LIT("GET / HTTP/2.0\r\n")},
        {400, LIT("\r\n\r\n")},
        {400, LIT("\rG")},
    };
    (void)state;
    check_refusals(rows, ARRAY_LEN(rows));
}

static void waits_for_the_rest(void **state)
{
    static const char *const rows[] = {
        "", "G", "\r", "\r\n", "GET / HTTP/1.1\r", GET, GET "\r", "GET / HTTP/1.1\r\nnocolon"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(parse(rows[i], strlen(rows[i])), 0);
}

static char big[70000];

/* prefix, `count` bytes of 'a', suffix */
static size_t fill(const char *prefix, size_t count, const char *suffix)
{
    size_t n = strlen(prefix);

    memcpy(big, prefix, n);
    memset(big + n, 'a', count);
    memcpy(big + n + count, suffix, strlen(suffix));
    return n + count + strlen(suffix);
}

static void holds_the_line_limit(void **state)
{
    size_t n;
    (void)state;

    n = fill("GET /", 8192 - 14, " HTTP/1.1\r\n" H END);
    assert_int_equal(parse(big, n), n);
    n = fill("GET /", 8192 - 13, " HTTP/1.1\r\n" H END);
    assert_int_equal(parse(big, n), -1);
    assert_int_equal(req.status, 414);
    same_byte_by_byte(big, n, -1);
    n = fill("GET /", 8188, "");
    assert_int_equal(parse(big, n), -1);
    assert_int_equal(req.status, 414);
    n = fill(GET "x:", 8190, "\r\n\r\n");
    assert_int_equal(parse(big, n), n);
    n = fill(GET "x:", 8191, "\r\n\r\n");
    assert_int_equal(parse(big, n), -1);
    assert_int_equal(req.status, 431);
    same_byte_by_byte(big, n, -1);
}

static void holds_the_head_limit(void **state)
{
    struct http_limits l = {.line = 100, .head = 200, .fields = 128};
    size_t n = fill(GET "x:", 90, "\r\ny:");
    size_t scanned;
    (void)state;

    for (int extra = 0; extra < 2; extra++) {
        size_t total = n + (size_t)(200 - (int)n - 4 + extra);

        memset(big + n, 'a', total - n);
        memcpy(big + total, "\r\n\r\n", 4);
        total += 4;
        scanned = 0;
        assert_int_equal(total, 200 + extra);
        assert_int_equal(http_parse_request(&req, big, total, &l, &scanned), extra ? -1 : 200);
        if (extra)
            assert_int_equal(req.status, 431);
        scanned = 0;
        /* Without its end a head that fills the limit is already too long. */
        assert_int_equal(http_parse_request(&req, big, 199, &l, &scanned), 0);
        if (extra)
            assert_int_equal(http_parse_request(&req, big, 200, &l, &scanned), -1);
    }
}

static void holds_the_field_limit(void **state)
{
    (void)state;
    for (unsigned fields = 127; fields <= 129; fields++) {
        size_t n = strlen(GET);

        memcpy(big, GET, n);
        for (unsigned i = 1; i < fields; i++, n += 6)
            memcpy(big + n, "x: y\r\n", 6);
        memcpy(big + n, "\r\n", 2);
        n += 2;
        assert_int_equal(parse(big, n), fields > 128 ? -1 : (int)n);
        assert_int_equal(fields > 128 ? req.status : (int)req.nfields,
                         fields > 128 ? 431 : (int)fields);
        same_byte_by_byte(big, n, fields > 128 ? -1 : (int)n);
    }
}

static void refuses_every_control_byte(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char value[] = GET "xy: abcdefgh?ijklmn\r\n\r\n", name[] = GET "x?y: a\r\n\r\n";
        bool ctl = (c < 32 && c != 9) || c == 127;
        bool token = c && strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ:",
                                 c);

        *strchr(value, '?') = (char)c;
        *strchr(name, '?') = (char)c;
        assert_int_equal(parse(value, sizeof(value) - 1), ctl ? -1 : (int)sizeof(value) - 1);
        assert_int_equal(parse(name, sizeof(name) - 1), token ? (int)sizeof(name) - 1 : -1);
    }
}

static void knows_every_name(void **state)
{
    static const struct {
        const char *name;
        enum http_name id;
    } rows[] = {
        {"hOST", HTTP_HOST},
        {"ex-app-id", HTTP_EX_APP_ID},
        {"EX_APP_ID", HTTP_EX_APP_ID},
        {"ex_app-version", HTTP_EX_APP_VERSION},
        {"ex-app_host", HTTP_EX_APP_HOST},
        {"EX_APP_PORT", HTTP_EX_APP_PORT},
        {"authorization_app_api", HTTP_AUTHORIZATION_APP_API},
        {"authorization-app_api", HTTP_AUTHORIZATION_APP_API},
        {"aa_version", HTTP_AA_VERSION},
        {"Harp_Shared_Key", HTTP_HARP_SHARED_KEY},
        {"docker_engine-port", HTTP_DOCKER_ENGINE_PORT},
        {"Content_Length", HTTP_FRAMING_ALIAS},
        {"TRANSFER_ENCODING", HTTP_FRAMING_ALIAS},
        {"X_Forwarded_For", HTTP_NAME_OTHER},
        {"Keep_Alive", HTTP_NAME_OTHER},
        {"Hosts", HTTP_NAME_OTHER},
        {"Hos", HTTP_NAME_OTHER},
        {"Hosu", HTTP_NAME_OTHER},
        {"", HTTP_NAME_OTHER},
        {"A-name-that-is-longer-than-every-known-one", HTTP_NAME_OTHER},
    };
    (void)state;
    for (int id = 1; id < HTTP_NAME_COUNT; id++) {
        struct str text = http_name_text(id);

        if (id == HTTP_FRAMING_ALIAS)
            continue;
        assert_true(text.n > 0);
        assert_int_equal(http_name_lookup(text), id);
        assert_true(http_name_forbidden_in_trailer(id));
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(http_name_lookup(str_of(rows[i].name)), rows[i].id);
    assert_false(http_name_forbidden_in_trailer(HTTP_NAME_OTHER));
    assert_true(http_name_is_hop_by_hop(HTTP_TE));
    assert_false(http_name_is_hop_by_hop(HTTP_TRAILER));
    assert_false(http_name_is_hop_by_hop(HTTP_CONTENT_LENGTH));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_malformed_lines),
        cmocka_unit_test(refuses_bad_request_lines),
        cmocka_unit_test(refuses_ambiguous_framing),
        cmocka_unit_test(refuses_bad_hosts),
        cmocka_unit_test(takes_an_empty_host_where_it_is_allowed),
        cmocka_unit_test(takes_good_requests),
        cmocka_unit_test(takes_one_of_pipelined_requests),
        cmocka_unit_test(trims_values_and_keeps_names),
        cmocka_unit_test(refuses_as_soon_as_it_is_sure),
        cmocka_unit_test(waits_for_the_rest),
        cmocka_unit_test(holds_the_line_limit),
        cmocka_unit_test(holds_the_head_limit),
        cmocka_unit_test(holds_the_field_limit),
        cmocka_unit_test(refuses_every_control_byte),
        cmocka_unit_test(knows_every_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
