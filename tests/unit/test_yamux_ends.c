/* How yamux streams and sessions end: in which orders, told to whom, closed from where, and for
 * want of an answer. */
#include "common/frp/yamux.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/yamux_peer.h"

static int setup(void **state)
{
    struct peer *p = malloc(sizeof(*p));
    *state = p;
    peer_init(p);
    return 0;
}

static int setup_server(void **state)
{
    setup(state);
    peer_start(*state, true);
    return 0;
}

static int teardown(void **state)
{
    bool good = peer_end(*state);
    free(*state);
    return good ? 0 : -1;
}

/* ---- the ends of a stream, in all orders ---- */

static void ends_in_all_orders_leave_nothing(void **state)
{
    struct peer *p = *state;
    /* S: we shut down, C: we close, F: the peer's FIN, R: the peer's RST, D: the peer's data. */
    static const char steps[] = "SCFRD";
    uint32_t id = 1;
    p->limits.close_wait = 60000;
    for (int n = 0; n < 3125; n++) {
        char order[6] = "";
        for (int i = 0, k = n; i < 5; i++, k /= 5) {
            order[i] = steps[k % 5];
        }
        if (strchr(order, 'F') && strchr(strchr(order, 'F'), 'D')) {
            continue; /* data after FIN is an offence */
        }
        p->opened = 0;
        peer_header(p, YAMUX_WINDOW, YAMUX_SYN, id, 0);
        loop_settle(&p->l);
        struct witness *w = &p->st[0];
        for (char *c = order; *c; c++) {
            if (*c == 'S' && w->s) {
                stream_shutdown(w->s);
            } else if (*c == 'C' && w->s) {
                stream_close(w->s);
                w->s = NULL;
            } else if (*c == 'F') {
                peer_header(p, YAMUX_WINDOW, YAMUX_FIN, id, 0);
            } else if (*c == 'R') {
                peer_header(p, YAMUX_WINDOW, YAMUX_RST, id, 0);
            } else if (*c == 'D') {
                peer_data(p, 0, id, 1);
            }
            if (n % 2) {
                loop_settle(&p->l);
            }
        }
        peer_header(p, YAMUX_WINDOW, YAMUX_FIN, id, 0); /* a fair peer ends in the end */
        loop_settle(&p->l);
        witness_end(w);
        loop_settle(&p->l);
        if (p->ended || yamux_streams(p->y) != 0 || p->l.held != 0 || w->late) {
            fail_msg("after %s: ended %u, %u streams, held %zu", order, p->ended,
                     yamux_streams(p->y), p->l.held);
        }
        id += 2;
        if (id > 100) { /* ids beyond the peer's books: a new session */
            assert_true(peer_end(p));
            peer_init(p);
            p->limits.max_empty_frames = 1000000;
            peer_start(p, true);
            id = 1;
        }
    }
}

static void both_fins_end_a_stream_without_a_reset(void **state)
{
    struct peer *p = *state;
    peer_open(p, 1);
    stream_write(p->st[0].s, "bye", 3);
    stream_shutdown(p->st[0].s);
    peer_header(p, YAMUX_WINDOW, YAMUX_FIN, 1, 0);
    loop_settle(&p->l);
    witness_end(&p->st[0]);
    loop_settle(&p->l);
    peer_expect(p, YAMUX_DATA, 0, 1, 3);
    peer_expect(p, YAMUX_WINDOW, YAMUX_FIN, 1, 0);
    peer_expect_nothing(p);
    assert_int_equal(yamux_streams(p->y), 0);
}

static void a_close_with_nothing_open_is_a_fin_not_a_reset(void **state)
{
    struct peer *p = *state;
    peer_open(p, 1);
    stream_write(p->st[0].s, "bye", 3);
    witness_end(&p->st[0]);
    loop_settle(&p->l);
    peer_expect(p, YAMUX_DATA, 0, 1, 3);
    peer_expect(p, YAMUX_WINDOW, YAMUX_FIN, 1, 0);
    peer_expect_nothing(p);
    peer_header(p, YAMUX_WINDOW, YAMUX_FIN, 1, 0);
    loop_settle(&p->l);
    peer_expect_nothing(p);
    assert_int_equal(yamux_streams(p->y), 0);
    peer_open(p, 3); /* after the peer's FIN, too */
    peer_header(p, YAMUX_WINDOW, YAMUX_FIN, 3, 0);
    loop_settle(&p->l);
    witness_end(&p->st[1]);
    loop_settle(&p->l);
    peer_expect(p, YAMUX_WINDOW, YAMUX_FIN, 3, 0);
    peer_expect_nothing(p);
    assert_int_equal(yamux_streams(p->y), 0);
}

static void data_for_a_closed_stream_resets_it(void **state)
{
    struct peer *p = *state;
    peer_open(p, 1);
    witness_end(&p->st[0]);
    peer_data(p, 0, 1, 1000);
    peer_data(p, 0, 1, 1000);
    loop_settle(&p->l);
    peer_expect(p, YAMUX_WINDOW, YAMUX_FIN, 1, 0);
    peer_expect(p, YAMUX_WINDOW, YAMUX_RST, 1, 0);
    peer_expect_nothing(p);
    assert_int_equal(yamux_streams(p->y), 0);
}

static void an_abort_or_a_close_with_unread_data_is_a_reset(void **state)
{
    struct peer *p = *state;
    peer_open(p, 1);
    stream_abort(p->st[0].s);
    p->st[0].s = NULL;
    loop_settle(&p->l);
    peer_expect(p, YAMUX_WINDOW, YAMUX_RST, 1, 0);
    p->hold = true;
    peer_open(p, 3);
    peer_data(p, 0, 3, 10);
    loop_settle(&p->l);
    assert_int_equal(p->l.held, 10);
    witness_end(&p->st[1]);
    loop_settle(&p->l);
    peer_expect(p, YAMUX_WINDOW, YAMUX_RST, 3, 0);
    peer_expect_nothing(p);
}

static void a_shut_down_and_closed_stream_waits_for_the_peer_but_not_for_ever(void **state)
{
    struct peer *p = *state;
    p->limits.close_wait = 40;
    yamux_set_limits(p->y, &p->limits);
    p->hold = true;
    peer_open(p, 1);
    peer_data(p, 0, 1, 1000);
    loop_settle(&p->l);
    stream_shutdown(p->st[0].s);
    witness_end(&p->st[0]);
    assert_int_equal(p->l.held, 0);
    peer_data(p, 0, 1, 1000); /* nobody wants it, nothing answers it */
    loop_settle(&p->l);
    peer_expect(p, YAMUX_WINDOW, YAMUX_FIN, 1, 0);
    peer_expect_nothing(p);
    assert_int_equal(yamux_streams(p->y), 1);
    loop_for(&p->l, 80);
    peer_expect(p, YAMUX_WINDOW, YAMUX_RST, 1, 0);
    peer_expect_nothing(p);
    assert_int_equal(yamux_streams(p->y), 0);
    assert_int_equal(p->ended, 0);
}

static void a_reset_is_told_and_later_frames_are_let_pass(void **state)
{
    struct peer *p = *state;
    peer_open(p, 1);
    peer_header(p, YAMUX_WINDOW, YAMUX_RST, 1, 0);
    peer_data(p, 0, 1, 100);
    peer_header(p, YAMUX_WINDOW, YAMUX_FIN, 1, 0);
    loop_settle(&p->l);
    assert_int_equal(p->st[0].closed, 1);
    assert_int_equal(p->st[0].calls, 0);
    assert_int_equal(p->ended, 0);
    peer_expect_nothing(p);
}

/* ---- the end of the session ---- */

static void a_closed_session_says_go_away_and_tells_its_streams(void **state)
{
    struct peer *p = *state;
    peer_open(p, 1);
    peer_open(p, 3);
    yamux_close(p->y, YAMUX_NORMAL, "enough");
    p->y = NULL;
    p->session_end = NULL;
    assert_int_equal(p->st[0].closed, 0); /* not from inside our call */
    loop_settle(&p->l);
    peer_expect(p, YAMUX_GO_AWAY, 0, 0, YAMUX_NORMAL);
    assert_int_equal(p->ended, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(p->st[i].closed, 1);
        assert_string_equal(p->st[i].why, "enough");
    }
}

static void a_lost_transport_ends_all(void **state)
{
    for (int abort = 0; abort < 2; abort++) {
        struct peer *p = malloc(sizeof(*p));
        peer_init(p);
        peer_start(p, true);
        peer_open(p, 1);
        if (abort) {
            stream_abort(p->wire.s);
        } else {
            stream_close(p->wire.s);
        }
        p->wire.s = NULL;
        loop_settle(&p->l);
        assert_int_equal(p->ended, 1);
        assert_int_equal(p->st[0].closed, 1);
        assert_true(peer_end(p));
        free(p);
    }
    (void)state;
}

struct breaker {
    struct peer *p;
    bool stream, session, abort;
    unsigned calls;
};

static size_t break_data(void *owner, struct stream *s, const char *p UNUSED, size_t n)
{
    struct breaker *b = owner;
    b->calls++;
    if (b->stream && b->abort) {
        stream_abort(s);
    } else if (b->stream) {
        stream_close(s);
    }
    if (b->session) {
        yamux_close(b->p->y, YAMUX_NORMAL, "closed in a callback");
        b->p->y = NULL;
        b->p->session_end = NULL;
    }
    return n;
}

static void break_eof(void *owner, struct stream *s)
{
    break_data(owner, s, NULL, 0);
}

static void break_closed(void *owner, struct stream *s UNUSED, const char *why UNUSED)
{
    struct breaker *b = owner;
    b->calls += 100;
}

static const struct stream_events break_events = {
    .data = break_data,
    .eof = break_eof,
    .closed = break_closed,
};

static void streams_and_session_may_be_closed_inside_callbacks(void **state)
{
    for (int n = 0; n < 16; n++) {
        struct peer *p = malloc(sizeof(*p));
        struct breaker b = {p, n & 1, n & 2, n & 4, 0};
        peer_init(p);
        peer_start(p, true);
        peer_open(p, 1);
        stream_own(p->st[0].s, &break_events, &b);
        p->opened = 0;
        if (n & 8) {
            peer_header(p, YAMUX_WINDOW, YAMUX_FIN, 1, 0);
        } else {
            memory_set_slice(p->session_end, 100); /* the frame comes in pieces */
            peer_data(p, YAMUX_FIN, 1, 300);
        }
        peer_data(p, YAMUX_SYN, 3, 10); /* more behind it */
        loop_settle(&p->l);
        if (b.stream) {
            assert_int_equal(b.calls, 1); /* nothing after our own close */
        } else if (b.session) {
            assert_int_equal(b.calls, 101);
        } else if (p->y) {
            yamux_close(p->y, YAMUX_NORMAL, "over");
            p->y = NULL;
            p->session_end = NULL;
            loop_settle(&p->l);
            assert_true(b.calls > 100);
        }
        assert_true(peer_end(p));
        free(p);
    }
    (void)state;
}

/* ---- keepalive ---- */

static void no_reply_to_a_ping_ends_the_session(void **state)
{
    struct peer *p = *state;
    p->limits.keepalive = 30;
    p->limits.keepalive_wait = 30;
    peer_start(p, true);
    assert_true(loop_until_set(&p->l, &p->ended, 2000));
    loop_settle(&p->l);
    peer_expect(p, YAMUX_PING, YAMUX_SYN, 0, 0);
    peer_expect_end(p, YAMUX_NORMAL);
}

static void replies_keep_the_session(void **state)
{
    struct peer *p = *state;
    p->limits.keepalive = 20;
    p->limits.keepalive_wait = 200;
    peer_start(p, true);
    uint32_t pings = 0;
    for (int i = 0; i < 200 && pings < 4; i++) {
        struct frame f;
        loop_for(&p->l, 10);
        if (peer_read(p, &f)) {
            assert_int_equal(f.h.type, YAMUX_PING);
            assert_int_equal(f.h.length, pings++); /* counts from 0 */
            peer_header(p, YAMUX_PING, YAMUX_ACK, 0, f.h.length);
        }
    }
    assert_int_equal(pings, 4);
    assert_int_equal(p->ended, 0);
    assert_true(yamux_rtt(p->y) >= 0 && yamux_rtt(p->y) < 200);
}

static void a_wrong_reply_does_not_count_and_other_data_only_for_a_while(void **state)
{
    struct peer *p = *state;
    p->limits.keepalive = 20;
    p->limits.keepalive_wait = 40;
    peer_start(p, true);
    peer_open(p, 1);
    unsigned ms = 0;
    while (!p->ended && ms < 2000) { /* sends all the time, and never replies */
        peer_header(p, YAMUX_PING, YAMUX_ACK, 0, 12345);
        peer_data(p, 0, 1, 1);
        loop_for(&p->l, 10);
        ms += 10;
    }
    assert_int_equal(p->ended, 1);
    assert_true(ms > 60); /* but longer than a silent one */
}

/* ---- a peer that does not read ---- */

static void a_peer_that_does_not_read_loses_the_session(void **state)
{
    struct peer *p = *state;
    p->limits.max_empty_frames = 10000000;
    peer_start(p, true);
    memory_set_capacity(p->session_end, 0);
    for (uint32_t i = 0; i < 100000; i++) {
        peer_header(p, YAMUX_PING, YAMUX_SYN, 0, i);
        if (i % 5000 == 0) {
            loop_settle(&p->l);
        }
    }
    loop_settle(&p->l);
    assert_int_equal(p->ended, 1);
    assert_string_equal(p->why, "the other end of the tunnel does not read");
}

static void the_end_of_a_stuck_session_is_not_told_inside_our_own_calls(void **state)
{
    struct peer *p = *state;
    enum { N = 95000 };
    struct witness *w = calloc(N, sizeof(*w));
    p->limits.max_streams = 100000;
    peer_start(p, false);
    loop_settle(&p->l);
    memory_set_capacity(p->session_end, 0);
    struct stream *s = yamux_open(p->y);
    witness_own(&w[0], s);
    loop_settle(&p->l); /* the transport is stuck from here on */
    for (int i = 1; i < N && p->y; i++) {
        s = yamux_open(p->y);
        assert_int_equal(p->ended, 0);
        assert_non_null(s);
        witness_own(&w[i], s);
    }
    for (int i = 0; i < N; i++) {
        if (w[i].s) {
            stream_shutdown(w[i].s);
            assert_int_equal(p->ended, 0);
        }
    }
    loop_settle(&p->l);
    assert_int_equal(p->ended, 1);
    for (int i = 0; i < N; i++) {
        assert_int_equal(w[i].closed, 1);
    }
    free(w);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define S(f) cmocka_unit_test_setup_teardown(f, setup_server, teardown)
    const struct CMUnitTest tests[] = {
        S(ends_in_all_orders_leave_nothing),
        S(both_fins_end_a_stream_without_a_reset),
        S(a_close_with_nothing_open_is_a_fin_not_a_reset),
        S(data_for_a_closed_stream_resets_it),
        S(an_abort_or_a_close_with_unread_data_is_a_reset),
        S(a_shut_down_and_closed_stream_waits_for_the_peer_but_not_for_ever),
        S(a_reset_is_told_and_later_frames_are_let_pass),
        S(a_closed_session_says_go_away_and_tells_its_streams),
        cmocka_unit_test(a_lost_transport_ends_all),
        cmocka_unit_test(streams_and_session_may_be_closed_inside_callbacks),
        T(no_reply_to_a_ping_ends_the_session),
        T(replies_keep_the_session),
        T(a_wrong_reply_does_not_count_and_other_data_only_for_a_while),
        T(a_peer_that_does_not_read_loses_the_session),
        T(the_end_of_a_stuck_session_is_not_told_inside_our_own_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
