/* Calls of our own over a stream: what is made of an answer, whichever way it was framed and cut. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/call_bench.h"

#define LIT(s) s, sizeof(s) - 1
#define OK "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

enum { WHOLE = 0 };

/* The server says text[0..cut), then the rest, and then closes; or leaves it open. */
static void say(struct bench *b, const char *text, size_t n, size_t cut, bool closes)
{
    if (cut > 0) {
        stream_write(b->server.s, text, cut);
        loop_settle(&b->loop);
    }
    if (b->server.s && b->told.times == 0) {
        stream_write(b->server.s, text + cut, n - cut);
        loop_settle(&b->loop);
    }
    if (b->server.s && closes) {
        stream_shutdown(b->server.s);
        loop_settle(&b->loop);
    }
}

/* Whatever the answer was: the call ended once, and closed its stream. */
static void exchange(struct bench *b, enum http_method method, const char *text, size_t n,
                     size_t cut, size_t slice, bool closes)
{
    bench_connect(b, MEMORY_ENDLESS);
    memory_set_slice(b->client, slice);
    assert_non_null(bench_call(b, method, (struct str){NULL, 0}));
    say(b, text, n, cut, closes);
    assert_int_equal(b->told.times, 1);
    assert_int_equal(b->server.eof + b->server.closed, 1);
}

static const struct {
    const char *text;
    size_t n;
    int status;
    const char *body;
    enum http_method method;
    bool closes;
} good[] = {
    {LIT(OK "Content-Length: 5\r\n\r\nhello"), 200, "hello", HTTP_GET, false},
    {LIT(OK "Content-Length: 0\r\n\r\n"), 200, "", HTTP_GET, false},
    {LIT(OK "content-length: 5\r\nConnection: close\r\n\r\nhello"), 200, "hello", HTTP_POST, false},
    {LIT(CHUNKED "5\r\nhello\r\n0\r\n\r\n"), 200, "hello", HTTP_GET, false},
    {LIT(CHUNKED "2\r\nhe\r\n3;a=\"b\"\r\nllo\r\n0;c\r\nX: y\r\nZ: z\r\n\r\n"), 200, "hello",
     HTTP_GET, false},
    {LIT(CHUNKED "0\r\n\r\n"), 200, "", HTTP_DELETE, false},
    {LIT(CHUNKED "A\r\n0123456789\r\n00a\r\n9876543210\r\n0\r\n\r\n"), 200, "01234567899876543210",
     HTTP_GET, false},
    {LIT(OK "\r\nuntil the end"), 200, "until the end", HTTP_GET, true},
    {LIT(OK "Content-Type: application/vnd.docker.raw-stream\r\n\r\n"), 200, "", HTTP_POST, true},
    {LIT("HTTP/1.0 200 OK\r\n\r\nold"), 200, "old", HTTP_GET, true},
    {LIT("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"), 201, "{}", HTTP_POST, false},
    {LIT("HTTP/1.1 204 No Content\r\n\r\n"), 204, "", HTTP_POST, false},
    {LIT("HTTP/1.1 304 Not Modified\r\n\r\n"), 304, "", HTTP_POST, false},
    {LIT("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"), 304, "", HTTP_POST, false},
    {LIT("HTTP/1.1 404 \r\nContent-Length: 16\r\n\r\n{\"message\":\"no\"}"), 404,
     "{\"message\":\"no\"}", HTTP_GET, false},
    {LIT("HTTP/1.1 500 Oh no\r\nContent-Length: 1\r\n\r\nx"), 500, "x", HTTP_PUT, false},
    {LIT("HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 2\r\n\r\nok"), 200, "ok", HTTP_PUT,
     false},
    {LIT("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" CHUNKED
         "2\r\nok\r\n0\r\n\r\n"),
     200, "ok", HTTP_GET, false},
    {LIT(OK "Content-Length: 5\r\n\r\n"), 200, "", HTTP_HEAD, false},
    {LIT(CHUNKED), 200, "", HTTP_HEAD, false},
    {LIT(OK "\r\n"), 200, "", HTTP_HEAD, false},
    /* what follows an answer is nobody's: the stream is used once */
    {LIT(OK "Content-Length: 2\r\n\r\nok" OK "Content-Length: 2\r\n\r\nno"), 200, "ok", HTTP_GET,
     false},
    {LIT(CHUNKED "2\r\nok\r\n0\r\n\r\n\r\n\r\n"), 200, "ok", HTTP_GET, false},
};

static void check_good(struct bench *b, size_t i, size_t cut, size_t slice)
{
    exchange(b, good[i].method, good[i].text, good[i].n, cut, slice, good[i].closes);
    if (b->told.status != good[i].status || strcmp(b->told.body, good[i].body) != 0) {
        fail_msg("answer %zu cut at %zu: %d, '%s', %s", i, cut, b->told.status, b->told.body,
                 b->told.why);
    }
    bench_disconnect(b);
}

static void whole_answers_are_read_wherever_they_are_cut(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        for (size_t cut = 0; cut <= good[i].n; cut++) {
            check_good(*state, i, cut, WHOLE);
        }
        check_good(*state, i, 0, 1); /* byte by byte */
        check_good(*state, i, 0, 3);
    }
}

static const struct {
    const char *text;
    size_t n;
    const char *why; /* its beginning */
} bad[] = {
    {LIT(""), "the connection was closed before an answer"},
    {LIT("HTTP/1.1 200 OK\r\nContent-Le"), "the connection was closed before an answer"},
    {LIT("HTTP/1.1 100 Continue\r\n\r\n"), "the connection was closed before an answer"},
    {LIT(OK "Content-Length: 5\r\n\r\n"), "the connection was closed inside the answer"},
    {LIT(OK "Content-Length: 5\r\n\r\nhell"), "the connection was closed inside the answer"},
    {LIT(CHUNKED), "the connection was closed inside the answer"},
    {LIT(CHUNKED "5\r\nhel"), "the connection was closed inside the answer"},
    {LIT(CHUNKED "5\r\nhello\r\n"), "the connection was closed inside the answer"},
    {LIT(CHUNKED "5\r\nhello\r\n0\r\n"), "the connection was closed inside the answer"},
    {LIT(CHUNKED "5\r\nhello\r\n0\r\nX: y\r\n"), "the connection was closed inside the answer"},
    {LIT(CHUNKED "5\r\nhello!\r\n0\r\n\r\n"), "malformed answer: chunk data is not"},
    {LIT(CHUNKED "5x\r\nhello\r\n0\r\n\r\n"), "malformed answer: chunk size is not"},
    {LIT(CHUNKED "-1\r\n"), "malformed answer: chunk size is not"},
    {LIT(CHUNKED "8000000000000000\r\n"), "malformed answer: chunk size too large"},
    {LIT(OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), "malformed answer: "},
    {LIT(OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"), "malformed answer: "},
    {LIT(OK "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), "malformed answer: "},
    {LIT(OK "a : b\r\n\r\n"), "malformed answer: "},
    {LIT(OK "a: b\n\r\n"), "malformed answer: "},
    {LIT("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\r\n"),
     "malformed answer: switched protocols without being asked to"},
    {LIT("HTTP/1.1 101 Switching Protocols\r\n\r\n"), "malformed answer: "},
    {LIT("HTTP/2.0 200 OK\r\n\r\n"), "malformed answer: "},
    {LIT("HTTP/1.1 099 No\r\n\r\n"), "malformed answer: "},
    {LIT("\r\n" OK "\r\n"), "malformed answer: "},
    {LIT("garbage\r\n\r\n"), "malformed answer: "},
    {LIT("\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"), "malformed answer: "},
    {LIT("\0\0\0\0\r\n\r\n"), "malformed answer: "},
};

static void check_bad(struct bench *b, size_t i, size_t cut, size_t slice)
{
    exchange(b, HTTP_GET, bad[i].text, bad[i].n, cut, slice, true);
    if (b->told.status != 0 || strncmp(b->told.why, bad[i].why, strlen(bad[i].why)) != 0) {
        fail_msg("answer %zu cut at %zu: %d, %s", i, cut, b->told.status, b->told.why);
    }
    bench_disconnect(b);
}

static void the_rest_fails_and_says_why_wherever_it_is_cut(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        for (size_t cut = 0; cut <= bad[i].n; cut++) {
            check_bad(*state, i, cut, WHOLE);
        }
        check_bad(*state, i, 0, 1);
    }
}

/* Interim answers, then a good one. */
static void flood(struct bench *b, unsigned interim, size_t slice)
{
    static char text[16 * 1024];
    size_t n = 0;
    for (unsigned i = 0; i < interim; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "HTTP/1.1 1%02u Wait\r\n\r\n",
                              i % 100 == 1 ? 0 : i % 100); /* all but 101 */
    }
    n += (size_t)snprintf(text + n, sizeof(text) - n, OK "Content-Length: 2\r\n\r\nok");
    assert_true(n < sizeof(text));
    exchange(b, HTTP_GET, text, n, 0, slice, false);
}

static void interim_answers_are_skipped_but_not_without_end(void **state)
{
    static const size_t slices[] = {WHOLE, 1, 7};
    struct bench *b = *state;
    for (size_t i = 0; i < ARRAY_LEN(slices); i++) {
        flood(b, 32, slices[i]);
        assert_int_equal(b->told.status, 200);
        assert_string_equal(b->told.body, "ok");
        bench_disconnect(b);
        flood(b, 33, slices[i]);
        assert_int_equal(b->told.status, 0);
        assert_string_equal(b->told.why, "malformed answer: too many interim answers");
        bench_disconnect(b);
        flood(b, 300, slices[i]);
        assert_int_equal(b->told.status, 0);
        bench_disconnect(b);
    }
}

/* A body of n bytes against a limit of max. */
static void sized(struct bench *b, enum http_framing framing, size_t n, size_t max, size_t slice)
{
    char *text = malloc(n + 256), *body = malloc(n + 1);
    const struct call_request q = {
        .method = HTTP_GET, .path = "/", .host = "h", .agent = "a", .answer_max = max};
    char why[64];
    size_t at;
    for (size_t i = 0; i < n; i++) {
        body[i] = (char)('a' + i % 26);
    }
    body[n] = '\0';
    if (framing == HTTP_BODY_LENGTH) {
        at = (size_t)sprintf(text, OK "Content-Length: %zu\r\n\r\n%s", n, body);
    } else if (framing == HTTP_BODY_CHUNKED && n > 0) {
        at = (size_t)sprintf(text, CHUNKED "%zx\r\n%s\r\n0\r\n\r\n", n, body);
    } else {
        at =
            (size_t)sprintf(text, "%s%s", framing == HTTP_BODY_CHUNKED ? CHUNKED : OK "\r\n", body);
        at += (size_t)sprintf(text + at, "%s", framing == HTTP_BODY_CHUNKED ? "0\r\n\r\n" : "");
    }
    bench_connect(b, MEMORY_ENDLESS);
    memory_set_slice(b->client, slice);
    assert_non_null(call_start(b->client, &q, tell, &b->told));
    say(b, text, at, 0, true);
    assert_int_equal(b->told.times, 1);
    if (n <= max) {
        assert_int_equal(b->told.status, 200);
        assert_int_equal(b->told.len, n);
        assert_memory_equal(b->told.body, body, n);
    } else {
        snprintf(why, sizeof(why), "the answer is larger than %zu bytes", max);
        assert_int_equal(b->told.status, 0);
        assert_string_equal(b->told.why, why);
    }
    bench_disconnect(b);
    free(text);
    free(body);
}

static void a_body_may_be_as_large_as_the_limit_and_no_larger(void **state)
{
    static const enum http_framing framings[] = {HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED,
                                                 HTTP_BODY_TO_EOF};
    static const size_t limits[] = {0, 1, 100, 4095, 4096, 4097, 8191, 8192, 20000};
    static const size_t slices[] = {WHOLE, 1000, 37};
    for (size_t f = 0; f < ARRAY_LEN(framings); f++) {
        for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
            for (size_t k = 0; k < ARRAY_LEN(slices); k++) {
                sized(*state, framings[f], limits[i], limits[i], slices[k]);
                sized(*state, framings[f], limits[i] + 1, limits[i], slices[k]);
                sized(*state, framings[f], limits[i] / 2, limits[i], slices[k]);
            }
        }
    }
}

static void a_head_without_end_is_refused(void **state)
{
    static char text[64 * 1024];
    struct bench *b = *state;
    /* one line */
    size_t n = (size_t)snprintf(text, sizeof(text), OK "X: ");
    memset(text + n, 'x', 10000);
    exchange(b, HTTP_GET, text, n + 10000, 0, WHOLE, false);
    assert_int_equal(b->told.status, 0);
    bench_disconnect(b);
    /* many lines */
    n = (size_t)snprintf(text, sizeof(text), OK);
    while (n < 40000) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "X: %0500d\r\n", 0);
    }
    exchange(b, HTTP_GET, text, n, 0, WHOLE, false);
    assert_int_equal(b->told.status, 0);
    bench_disconnect(b);
    /* many fields */
    n = (size_t)snprintf(text, sizeof(text), OK);
    for (int i = 0; i < 200; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "X: y\r\n");
    }
    n += (size_t)snprintf(text + n, sizeof(text) - n, "\r\n");
    exchange(b, HTTP_GET, text, n, 0, WHOLE, false);
    assert_int_equal(b->told.status, 0);
    bench_disconnect(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)
        TEST(whole_answers_are_read_wherever_they_are_cut),
        TEST(the_rest_fails_and_says_why_wherever_it_is_cut),
        TEST(interim_answers_are_skipped_but_not_without_end),
        TEST(a_body_may_be_as_large_as_the_limit_and_no_larger),
        TEST(a_head_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
