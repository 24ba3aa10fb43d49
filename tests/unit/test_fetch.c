/* Requests of our own: what is sent, what counts as an answer, what connections are used. */
#include "tests/unit/fetch_web.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/stream/listener.h"
#include "tests/unit/memory_stream.h"

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define TEST(f) cmocka_unit_test_setup_teardown(f, web_set_up, web_tear_down)

static void one(struct web *w, const char *text, enum after after, struct question *a)
{
    *a = (struct question){0};
    web_say(w, text, after);
    question_run(w, a);
}

/* ---- answers ---- */

static void an_answer_of_known_length_is_given(void **state)
{
    struct web *w = *state;
    struct question a;
    web_start(w);
    one(w, OK_HELLO, KEEP, &a);
    web_assert_answer(&a, 200, "hello");
    one(w, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope", KEEP, &a);
    web_assert_answer(&a, 404, "nope");
    one(w, "HTTP/1.1 204 No Content\r\n\r\n", KEEP, &a);
    web_assert_answer(&a, 204, "");
}

static void a_chunked_answer_is_given_whole(void **state)
{
    struct web *w = *state;
    struct question a;
    web_start(w);
    one(w,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: t\r\n\r\n",
        KEEP, &a);
    web_assert_answer(&a, 200, "hello");
}

static void an_answer_to_the_end_of_the_connection_is_given_whole(void **state)
{
    struct web *w = *state;
    struct question a;
    web_start(w);
    one(w, "HTTP/1.0 200 OK\r\n\r\nhello", CLOSE, &a);
    web_assert_answer(&a, 200, "hello");
}

static void interim_answers_are_not_the_answer(void **state)
{
    struct web *w = *state;
    struct question a;
    web_start(w);
    one(w,
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        "HTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\n.",
        KEEP, &a);
    web_assert_answer(&a, 201, ".");
}

static void a_switch_of_protocols_that_nobody_asked_for_is_a_failure(void **state)
{
    struct web *w = *state;
    struct question a;
    web_start(w);
    one(w, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello",
        CLOSE, &a);
    assert_int_equal(a.status, 0);
    assert_int_equal(a.len, 0);
    assert_true(a.why[0] != '\0');
}

static void a_compressed_body_is_left_as_it_is(void **state)
{
    struct web *w = *state;
    struct question a;
    web_start(w);
    one(w, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", KEEP, &a);
    web_assert_answer(&a, 200, "hello");
}

static void a_redirect_is_an_answer_like_any_other(void **state)
{
    struct web *w = *state;
    struct question a;
    char text[200];
    web_start(w);
    snprintf(text, sizeof(text),
             "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 2\r\n\r\ngo", w->url);
    web_say(w, text, KEEP);
    web_say(w, OK_HELLO, KEEP);
    a = (struct question){0};
    question_run(w, &a);
    web_assert_answer(&a, 302, "go");
    assert_int_equal(w->n, 1);
}

/* ---- requests ---- */

static void assert_asked(struct web *w, unsigned i, const char *path, const char *fields)
{
    char want[1024];
    assert_true(i < w->n);
    snprintf(want, sizeof(want), "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s\r\n", path, w->port,
             fields);
    assert_string_equal(w->asked[i].head, want);
}

static void fields_arrive_as_given_and_no_others(void **state)
{
    struct web *w = *state;
    struct question a = {0};
    char url[100];
    web_start(w);
    web_say(w, OK_HELLO, KEEP);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/a/b?c=d%%20e", w->port);
    question_new(w, &a, url);
    fetch_header(a.q, STR("x-Twice"), STR("1"));
    fetch_header(a.q, STR("Cookie"), STR("a=b; c=\"d:e;\""));
    fetch_header(a.q, STR("X-Empty"), STR(""));
    fetch_header(a.q, STR("x-Twice"), STR("2"));
    fetch_header(a.q, STR("Authorization"), STR("Basic eDp5"));
    fetch_header(a.q, STR("X-Empty"), STR(""));
    fetch_header(a.q, STR("X-High"), STR("caf\xc3\xa9;"));
    question_send(&a);
    question_wait(&a);
    assert_asked(w, 0, "/a/b?c=d%20e",
                 "x-Twice: 1\r\nCookie: a=b; c=\"d:e;\"\r\nX-Empty:\r\nx-Twice: 2\r\n"
                 "Authorization: Basic eDp5\r\nX-Empty:\r\nX-High: caf\xc3\xa9;\r\n");
}

static void fields_that_libcurl_knows_are_the_callers(void **state)
{
    struct web *w = *state;
    struct question a = {0}, b = {0};
    web_start(w);
    web_say(w, OK_HELLO, KEEP);
    web_say(w, OK_HELLO, KEEP);
    question_new(w, &a, w->url);
    fetch_header(a.q, STR("accept"), STR("text/html"));
    fetch_header(a.q, STR("User-Agent"), STR("me"));
    fetch_header(a.q, STR("Accept-Encoding"), STR("br"));
    question_send(&a);
    question_wait(&a);
    question_new(w, &b, w->url);
    fetch_header(b.q, STR("Accept"), STR(""));
    question_send(&b);
    question_wait(&b);
    assert_asked(w, 0, "/x", "accept: text/html\r\nUser-Agent: me\r\nAccept-Encoding: br\r\n");
    assert_asked(w, 1, "/x", "Accept:\r\n");
}

static void a_field_of_two_lines_is_never_sent(void **state)
{
    static const struct str bad[][2] = {
        {{"X", 1}, {"a\r\nY: b", 7}}, {{"X", 1}, {"a\nY: b", 6}}, {{"X", 1}, {"a\rb", 3}},
        {{"X", 1}, {"a\0b", 3}},      {{"X\n", 2}, {"a", 1}},     {{"", 0}, {"a", 1}},
    };
    struct web *w = *state;
    web_start(w);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        struct question a = {0};
        question_new(w, &a, w->url);
        fetch_header(a.q, STR("Fine"), STR("1"));
        fetch_header(a.q, bad[i][0], bad[i][1]);
        question_send(&a);
        question_wait(&a);
        web_assert_failure(&a, false, "a header field of the request can't be sent");
    }
    assert_int_equal(w->accepted, 0);
}

static void a_cookie_of_one_answer_is_not_sent_with_the_next(void **state)
{
    struct web *w = *state;
    struct question a;
    web_start(w);
    one(w, "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n", KEEP, &a);
    one(w, OK_HELLO, KEEP, &a);
    assert_asked(w, 1, "/x", "");
}

static void other_schemes_and_no_urls_are_refused(void **state)
{
    static const char *const urls[] = {"ftp://127.0.0.1/x", "file:///etc/hostname",
                                       "gopher://127.0.0.1/x"};
    struct web *w = *state;
    struct question a;
    web_start(w);
    for (unsigned i = 0; i < ARRAY_LEN(urls); i++) {
        a = (struct question){0};
        question_new(w, &a, urls[i]);
        question_send(&a);
        question_wait(&a);
        web_assert_failure(&a, false, "only http and https are spoken");
    }
    a = (struct question){0};
    question_new(w, &a, "http://");
    question_send(&a);
    question_wait(&a);
    web_assert_failure(&a, false, "the address of the request is not a valid URL");
}

/* ---- connections ---- */

static void a_connection_is_used_again(void **state)
{
    struct web *w = *state;
    struct question a;
    web_start(w);
    for (int i = 0; i < 5; i++) {
        one(w, OK_HELLO, KEEP, &a);
        web_assert_answer(&a, 200, "hello");
    }
    assert_int_equal(w->accepted, 1);
}

static void as_many_connections_are_kept_as_requests_may_run(void **state)
{
    struct web *w = *state;
    web_start(w);
    for (unsigned round = 0; round < 2; round++) {
        struct question a[4] = {0};
        for (unsigned i = 0; i < 4; i++) {
            question_ask(w, &a[i]);
        }
        web_until_asked(w, 4 * round + 4);
        for (unsigned i = 0; i < 4; i++) {
            web_answer(w, 4 * round + i, OK_HELLO);
        }
        for (unsigned i = 0; i < 4; i++) {
            question_wait(&a[i]);
        }
    }
    assert_int_equal(w->accepted, 4);
}

static void a_kept_connection_that_the_server_closed_is_not_missed(void **state)
{
    struct web *w = *state;
    struct question a;
    web_start(w);
    one(w, OK_HELLO, KEEP, &a);
    web_hang_up(w);
    loop_settle(&w->loop);
    one(w, OK_HELLO, KEEP, &a);
    web_assert_answer(&a, 200, "hello");
    assert_int_equal(w->n, 2);
    assert_int_equal(w->accepted, 2);
}

static void a_kept_connection_that_ends_as_the_request_is_sent_is_replaced(void **state)
{
    struct web *w = *state;
    struct question a;
    web_start(w);
    one(w, OK_HELLO, KEEP, &a);
    web_say(w, "", CLOSE);
    one(w, OK_HELLO, KEEP, &a);
    web_assert_answer(&a, 200, "hello");
    assert_int_equal(w->n, 3);
}

/* ---- what is no answer ---- */

static void assert_fails(struct web *w, const char *text, enum after after, const char *says)
{
    struct question a;
    unsigned before = w->n;
    one(w, text, after, &a);
    web_assert_failure(&a, false, says);
    assert_int_equal(w->n, before + 1);
}

static void an_answer_that_was_cut_short_is_none(void **state)
{
    struct web *w = *state;
    web_start(w);
    assert_fails(w, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", CLOSE,
                 ": the answer was cut short");
    assert_fails(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", CLOSE,
                 ": the answer was cut short");
    assert_fails(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", CLOSE,
                 ": the answer was cut short");
    assert_fails(w, "", CLOSE, ": the connection was closed without an answer");
    assert_fails(w, "", RESET, ": Recv failure: Connection reset by peer");
}

static void a_reset_behind_many_bytes_is_found(void **state)
{
    struct web *w = *state;
    struct question a;
    char text[60000];
    w->set.body_max = sizeof(text);
    web_start(w);
    snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: 55001\r\n\r\n%055000d", 7);
    one(w, text, RESET, &a);
    web_assert_failure(&a, false, ": Recv failure: Connection reset by peer");
}

static void something_that_is_not_http_is_no_answer(void **state)
{
    struct web *w = *state;
    web_start(w);
    assert_fails(w, "SSH-2.0-OpenSSH_9.2\r\n\r\n", CLOSE, ": the answer is not HTTP");
    assert_fails(w, "<html>HTTP/1.1 200 OK</html>", CLOSE, ": the answer is not HTTP");
    assert_fails(w,
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n",
                 KEEP, "chunk");
}

static void a_body_over_the_limit_is_a_failure(void **state)
{
    struct web *w = *state;
    struct question a;
    char text[4096];
    int n;
    web_start(w);
    n = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%01024d", 1024,
                 7);
    one(w, text, KEEP, &a);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.len, 1024);
    n = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%01025d", 1025,
                 7);
    assert_fails(w, text, KEEP, ": the answer is larger than 1 KiB");
    n = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 5; i++) {
        n += snprintf(text + n, sizeof(text) - (size_t)n, "100\r\n%0256d\r\n", 7);
    }
    assert_fails(w, text, KEEP, ": the answer is larger than 1 KiB");
    assert_fails(w, "HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\nhello", CLOSE,
                 ": the answer was cut short");
}

static void a_large_body_is_given_whole(void **state)
{
    struct web *w = *state;
    struct question a = {0};
    struct buf text = {0};
    const size_t size = 300 * 1000;
    const char *head = "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n";
    w->set.body_max = size;
    web_start(w);
    buf_append(&text, head, strlen(head));
    for (size_t i = 0; i < size; i++) {
        buf_append(&text, &"abcdefg"[i % 7], 1);
    }
    web_say_str(w, (struct str){buf_head(&text), text.len}, KEEP);
    a.expected = buf_head(&text) + strlen(head);
    question_run(w, &a);
    buf_free(&text);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.len, size);
    assert_true(a.as_expected);
}

static void flood(struct web *w, const char *start, const char *again, size_t times,
                  const char *says)
{
    struct buf text = {0};
    struct question a = {0};
    buf_append(&text, start, strlen(start));
    for (size_t i = 0; i < times; i++) {
        buf_append(&text, again, strlen(again));
    }
    web_say_str(w, (struct str){buf_head(&text), text.len}, KEEP);
    question_run(w, &a);
    web_assert_failure(&a, false, says);
    buf_free(&text);
}

static void header_lines_without_end_are_a_failure(void **state)
{
    struct web *w = *state;
    web_start(w);
    flood(w, "HTTP/1.1 200 OK\r\n", "X: 123456789\r\n", 5000,
          ": the answer's header is larger than 64");
    flood(w, "", "HTTP/1.1 100 Continue\r\n\r\n", 3000, ": the answer's header is larger than 64");
    flood(w, "HTTP/1.1 200 OK\r\nX: ", "1234567890", 12000,
          ": the answer's header is larger than 64");
    flood(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: 123456789\r\n", 5000,
          ": the answer's header is larger than 64");
}

static void a_large_header_within_the_limit_is_fine(void **state)
{
    struct web *w = *state;
    struct question a;
    char text[32 * 1024];
    web_start(w);
    snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nX: %030000d\r\nContent-Length: 1\r\n\r\n.", 1);
    one(w, text, KEEP, &a);
    web_assert_answer(&a, 200, ".");
}

static void a_refused_connection_names_the_server(void **state)
{
    struct web *w = *state;
    struct question a = {0};
    char says[100];
    web_start(w);
    listener_close(w->listener);
    loop_settle(&w->loop);
    question_run(w, &a);
    snprintf(says, sizeof(says), "127.0.0.1:%u: Connection refused", w->port);
    web_assert_failure(&a, false, says);
    w->listener = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_of_known_length_is_given),
        TEST(a_chunked_answer_is_given_whole),
        TEST(an_answer_to_the_end_of_the_connection_is_given_whole),
        TEST(interim_answers_are_not_the_answer),
        TEST(a_switch_of_protocols_that_nobody_asked_for_is_a_failure),
        TEST(a_compressed_body_is_left_as_it_is),
        TEST(a_redirect_is_an_answer_like_any_other),
        TEST(fields_arrive_as_given_and_no_others),
        TEST(fields_that_libcurl_knows_are_the_callers),
        TEST(a_field_of_two_lines_is_never_sent),
        TEST(a_cookie_of_one_answer_is_not_sent_with_the_next),
        TEST(other_schemes_and_no_urls_are_refused),
        TEST(a_connection_is_used_again),
        TEST(as_many_connections_are_kept_as_requests_may_run),
        TEST(a_kept_connection_that_the_server_closed_is_not_missed),
        TEST(a_kept_connection_that_ends_as_the_request_is_sent_is_replaced),
        TEST(an_answer_that_was_cut_short_is_none),
        TEST(a_reset_behind_many_bytes_is_found),
        TEST(something_that_is_not_http_is_no_answer),
        TEST(a_body_over_the_limit_is_a_failure),
        TEST(a_large_body_is_given_whole),
        TEST(header_lines_without_end_are_a_failure),
        TEST(a_large_header_within_the_limit_is_fine),
        TEST(a_refused_connection_names_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
