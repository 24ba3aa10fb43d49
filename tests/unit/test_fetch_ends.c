/* Requests of our own: how many run at once, whose time runs out, and how they end early. */
#include "tests/unit/fetch_web.h"

#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include "tests/unit/memory_stream.h"

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define TEST(f) cmocka_unit_test_setup_teardown(f, web_set_up, web_tear_down)

enum { SHORT = 150 };

/* ---- places and the line ---- */

static void no_more_than_at_once_run_and_the_others_follow_in_order(void **state)
{
    struct web *w = *state;
    struct question a[6] = {0};
    w->set.at_once = 2;
    web_start(w);
    for (unsigned i = 0; i < 6; i++) {
        char url[64];
        snprintf(url, sizeof(url), "http://127.0.0.1:%u/%u", w->port, i);
        question_new(w, &a[i], url);
        question_send(&a[i]);
    }
    assert_int_equal(fetcher_running(w->fetcher), 2);
    assert_int_equal(fetcher_waiting(w->fetcher), 4);
    for (unsigned i = 0; i < 6; i++) {
        web_until_asked(w, MIN(i + 2, 6));
        web_answer(w, i, OK_HELLO);
        question_wait(&a[i]);
    }
    for (unsigned i = 0; i < 6; i++) {
        char line[32];
        snprintf(line, sizeof(line), "GET /%u ", i);
        /* The first two go out on connections of their own. */
        assert_true(i < 2 || strncmp(w->asked[i].head, line, strlen(line)) == 0);
        web_assert_answer(&a[i], 200, "hello");
        assert_true(i == 0 || a[i].order > a[i - 1].order || i == 1);
    }
    assert_int_equal(w->most_open, 2);
    assert_int_equal(fetcher_running(w->fetcher), 0);
    assert_int_equal(fetcher_waiting(w->fetcher), 0);
}

static void a_full_line_takes_no_more_until_one_ends(void **state)
{
    struct web *w = *state;
    struct question a[4] = {0};
    w->set.at_once = 1;
    w->set.waiting = 2;
    web_start(w);
    question_ask(w, &a[0]);
    question_ask(w, &a[1]);
    question_new(w, &a[2], w->url); /* not sent, but counted */
    assert_null(fetch_new(w->fetcher, w->url));
    question_send(&a[2]);
    assert_null(fetch_new(w->fetcher, w->url));
    fetch_cancel(a[1].q);
    question_new(w, &a[3], w->url);
    assert_null(fetch_new(w->fetcher, w->url));
    fetch_cancel(a[3].q);
    web_until_asked(w, 1);
    web_answer(w, 0, OK_HELLO);
    question_wait(&a[0]);
    question_new(w, &a[3], w->url);
    question_ask(w, &a[1]);
    assert_null(fetch_new(w->fetcher, w->url));
    fetch_cancel(a[3].q);
}

static void without_a_line_only_those_that_run_are_taken(void **state)
{
    struct web *w = *state;
    struct question a = {0};
    w->set.at_once = 1;
    w->set.waiting = 0;
    web_start(w);
    question_ask(w, &a);
    assert_null(fetch_new(w->fetcher, w->url));
}

/* ---- time ---- */

static void an_answer_that_does_not_come_times_out(void **state)
{
    struct web *w = *state;
    struct question a = {0};
    char says[100];
    w->set.timeout = SHORT;
    web_start(w);
    question_run(w, &a);
    snprintf(says, sizeof(says), "127.0.0.1:%u: no answer within %d ms", w->port, SHORT);
    web_assert_failure(&a, true, says);
    assert_int_equal(w->n, 1);
}

static void an_answer_that_does_not_end_times_out(void **state)
{
    struct web *w = *state;
    struct question a = {0};
    w->set.timeout = SHORT;
    web_start(w);
    web_say(w, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", KEEP);
    question_run(w, &a);
    web_assert_failure(&a, true, ": no whole answer within 150 ms");
}

static void the_time_in_line_counts(void **state)
{
    struct web *w = *state;
    struct question a[2] = {0};
    w->set.timeout = SHORT;
    w->set.at_once = 1;
    web_start(w);
    question_ask(w, &a[0]);
    question_ask(w, &a[1]);
    question_wait(&a[0]);
    question_wait(&a[1]);
    web_assert_failure(&a[0], true, ": no answer within 150 ms");
    web_assert_failure(&a[1], true, ": not asked within 150 ms, as 1 other requests ran");
    assert_int_equal(w->n, 1);
}

static void one_that_waited_gets_what_is_left_of_its_time(void **state)
{
    struct web *w = *state;
    struct question a[2] = {0}, later = {0};
    char err[256];
    w->set.timeout = 400;
    w->set.at_once = 1;
    web_start(w);
    struct fetcher *first = w->fetcher, *other = fetcher_new(&w->loop, &w->set, err, sizeof(err));
    question_ask(w, &a[0]);
    question_ask(w, &a[1]);
    loop_for(&w->loop, 200);
    w->fetcher = other;
    question_ask(w, &later);
    w->fetcher = first;
    web_until_asked(w, 2);
    web_answer(w, 0, OK_HELLO); /* after `later` was sent */
    question_wait(&a[1]);
    question_wait(&later);
    web_assert_failure(&a[1], true, ": no answer within 400 ms");
    web_assert_failure(&later, true, ": no answer within 400 ms");
    assert_true(a[1].order < later.order);
    fetcher_free(other);
}

/* The kernel drops what comes to a listener whose queue is full: a queue of none holds one. */
static void connecting_times_out(void **state)
{
    struct web *w = *state;
    struct question a = {0};
    struct sockaddr_in sa = {.sin_family = AF_INET};
    socklen_t len = sizeof(sa);
    char url[64], says[100];
    int fd = socket(AF_INET, SOCK_STREAM, 0), filler = socket(AF_INET, SOCK_STREAM, 0);
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(connect(filler, (struct sockaddr *)&sa, len), 0);
    w->set.connect_timeout = SHORT;
    web_start(w);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(sa.sin_port));
    question_new(w, &a, url);
    question_send(&a);
    question_wait(&a);
    snprintf(says, sizeof(says), "127.0.0.1:%u: connecting took too long", ntohs(sa.sin_port));
    web_assert_failure(&a, true, says);
    close(filler);
    close(fd);
}

static void a_tls_handshake_without_answer_times_out(void **state)
{
    struct web *w = *state;
    struct question a = {0};
    char url[64];
    w->set.connect_timeout = SHORT;
    web_start(w);
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/", w->port);
    question_new(w, &a, url);
    question_send(&a);
    question_wait(&a);
    web_assert_failure(&a, true, ": connecting, by TCP and TLS, took too long");
    assert_int_equal(w->accepted, 1);
}

static void no_timeout_is_no_timeout(void **state)
{
    struct web *w = *state;
    struct question a[2] = {0};
    w->set.timeout = w->set.connect_timeout = 0;
    w->set.at_once = 1;
    web_start(w);
    question_ask(w, &a[0]);
    question_ask(w, &a[1]);
    web_until_asked(w, 1);
    web_answer(w, 0, OK_HELLO);
    web_until_asked(w, 2);
    web_answer(w, 1, OK_HELLO);
    question_wait(&a[1]);
    web_assert_answer(&a[1], 200, "hello");
}

static void nothing_spins_while_requests_wait(void **state)
{
    struct web *w = *state;
    struct question a[6] = {0};
    web_start(w);
    for (unsigned i = 0; i < 6; i++) {
        question_ask(w, &a[i]);
    }
    web_until_asked(w, 4);
    loop_settle(&w->loop);
    assert_true(loop_for(&w->loop, 200) < 20);
}

/* ---- cancelling ---- */

static void a_cancelled_request_is_never_told(void **state)
{
    struct web *w = *state;
    struct question a[5] = {0};
    w->set.at_once = 2;
    web_start(w);
    for (unsigned i = 0; i < 4; i++) {
        question_ask(w, &a[i]);
    }
    question_new(w, &a[4], w->url);
    fetch_cancel(a[4].q); /* not sent */
    fetch_cancel(a[2].q); /* in line */
    web_until_asked(w, 2);
    fetch_cancel(a[0].q); /* running */
    assert_int_equal(fetcher_running(w->fetcher), 1);
    web_until_asked(w, 3);
    assert_true(loop_until_set(&w->loop, &w->gone, LIMIT)); /* its connection ended */
    web_answer(w, 1, OK_HELLO);
    web_answer(w, 2, OK_HELLO);
    question_wait(&a[1]);
    question_wait(&a[3]);
    loop_settle(&w->loop);
    assert_int_equal(w->n, 3);
    assert_int_equal(a[0].done + a[2].done + a[4].done, 0);
}

static void one_cancelled_before_libcurl_saw_it_is_never_asked(void **state)
{
    struct web *w = *state;
    struct question a[2] = {0};
    w->set.at_once = 1;
    web_start(w);
    question_ask(w, &a[0]);
    fetch_cancel(a[0].q);
    web_say(w, OK_HELLO, KEEP);
    question_run(w, &a[1]);
    web_assert_answer(&a[1], 200, "hello");
    assert_int_equal(w->n, 1);
    assert_int_equal(a[0].done, 0);
}

static void cancel_other(struct question *a)
{
    if (a->other->done == 0) {
        fetch_cancel(a->other->q);
    }
    fetch_cancel(a->q); /* itself: nothing */
}

static void done_may_cancel_one_that_runs(void **state)
{
    struct web *w = *state;
    struct question a[2] = {0};
    web_start(w);
    question_ask(w, &a[0]);
    question_ask(w, &a[1]);
    a[0].then = cancel_other;
    a[0].other = &a[1];
    a[1].then = cancel_other;
    a[1].other = &a[0];
    web_until_asked(w, 2);
    web_answer(w, 0, OK_HELLO); /* of whichever came first */
    assert_true(loop_until_set(&w->loop, &w->gone, LIMIT));
    loop_settle(&w->loop);
    assert_int_equal(a[0].done + a[1].done, 1);
    assert_int_equal(fetcher_running(w->fetcher), 0);
}

static void done_may_cancel_one_that_ended_as_well(void **state)
{
    struct web *w = *state;
    struct question a[2] = {0};
    web_start(w);
    for (unsigned i = 0; i < 2; i++) {
        question_new(w, &a[i], w->url);
        fetch_header(a[i].q, STR("X"), STR("\n")); /* so that both end in this turn */
        question_send(&a[i]);
    }
    a[0].then = a[1].then = cancel_other;
    a[0].other = &a[1];
    a[1].other = &a[0];
    question_wait(&a[0]);
    loop_settle(&w->loop);
    assert_int_equal(a[1].done, 0);
}

static void ask_other(struct question *a)
{
    question_ask(a->web, a->other);
}

static void done_may_ask_again(void **state)
{
    struct web *w = *state;
    struct question a[2] = {0};
    w->set.at_once = 1;
    w->set.waiting = 0; /* its own place is free by then */
    web_start(w);
    a[0].then = ask_other;
    a[0].other = &a[1];
    web_say(w, OK_HELLO, KEEP);
    web_say(w, OK_HELLO, KEEP);
    question_ask(w, &a[0]);
    a[1].web = w;
    question_wait(&a[1]);
    web_assert_answer(&a[1], 200, "hello");
    assert_int_equal(w->accepted, 1);
}

enum { AGAIN = 1000 };

static void ask_again(struct question *a)
{
    if (a->done < AGAIN) {
        question_new(a->web, a, "ftp://127.0.0.1/");
        question_send(a);
    }
}

static void owners_who_ask_again_after_each_failure_do_not_stop_the_loop(void **state)
{
    struct web *w = *state;
    struct question a[3] = {0};
    w->set.at_once = 1;
    web_start(w);
    for (unsigned i = 0; i < 3; i++) {
        a[i].then = ask_again;
        question_new(w, &a[i], "ftp://127.0.0.1/");
        question_send(&a[i]);
    }
    loop_for(&w->loop, 30);
    assert_true(a[0].done > 1);
    assert_true(a[0].done < 200 && a[1].done < 200 && a[2].done < 200);
}

/* ---- the end of all ---- */

static void fetcher_free_ends_all_without_a_word(void **state)
{
    struct web *w = *state;
    struct question a[8] = {0};
    struct question kept = {0};
    web_start(w);
    web_say(w, OK_HELLO, KEEP);
    question_run(w, &kept);
    for (unsigned i = 0; i < 7; i++) {
        question_ask(w, &a[i]);
    }
    question_new(w, &a[7], w->url);
    web_until_asked(w, 5);
    fetch_cancel(a[6].q);
    question_new(w, &a[6], w->url);
    fetch_header(a[6].q, STR("X"), STR("\n"));
    question_send(&a[6]); /* ended, to be told */
    fetcher_free(w->fetcher);
    w->fetcher = NULL;
    assert_true(loop_until_set(&w->loop, &w->gone, LIMIT));
    loop_settle(&w->loop);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(a[i].done, 0);
    }
    assert_int_equal(w->gone, w->accepted);
}

static void free_all(struct question *a)
{
    fetcher_free(a->web->fetcher);
    a->web->fetcher = NULL;
}

static void done_may_free_the_fetcher(void **state)
{
    struct web *w = *state;
    struct question a[6] = {0};
    web_start(w);
    for (unsigned i = 0; i < 6; i++) {
        a[i].then = free_all;
        question_ask(w, &a[i]);
    }
    web_until_asked(w, 4);
    for (unsigned i = 0; i < 4; i++) {
        web_answer(w, i, OK_HELLO);
    }
    assert_true(loop_until_set(&w->loop, &w->gone, LIMIT));
    loop_settle(&w->loop);
    unsigned done = 0;
    for (unsigned i = 0; i < 6; i++) {
        done += a[i].done;
    }
    assert_int_equal(done, 1);
}

static void a_fetcher_that_was_never_used_leaves_nothing(void **state)
{
    struct web *w = *state;
    web_start(w);
    fetcher_free(w->fetcher);
    web_start(w);
    fetcher_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_more_than_at_once_run_and_the_others_follow_in_order),
        TEST(a_full_line_takes_no_more_until_one_ends),
        TEST(without_a_line_only_those_that_run_are_taken),
        TEST(an_answer_that_does_not_come_times_out),
        TEST(an_answer_that_does_not_end_times_out),
        TEST(the_time_in_line_counts),
        TEST(one_that_waited_gets_what_is_left_of_its_time),
        TEST(connecting_times_out),
        TEST(a_tls_handshake_without_answer_times_out),
        TEST(no_timeout_is_no_timeout),
        TEST(nothing_spins_while_requests_wait),
        TEST(a_cancelled_request_is_never_told),
        TEST(one_cancelled_before_libcurl_saw_it_is_never_asked),
        TEST(done_may_cancel_one_that_runs),
        TEST(done_may_cancel_one_that_ended_as_well),
        TEST(done_may_ask_again),
        TEST(owners_who_ask_again_after_each_failure_do_not_stop_the_loop),
        TEST(fetcher_free_ends_all_without_a_word),
        TEST(done_may_free_the_fetcher),
        TEST(a_fetcher_that_was_never_used_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
