/* The yamux session against a peer that writes frames by hand: what it answers, what ends it. */
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

static void assert_got(const struct witness *w, const char *text)
{
    assert_int_equal(w->got.len, strlen(text));
    assert_memory_equal(w->got.len ? buf_head(&w->got) : "", text, strlen(text));
}

/* ---- ordinary life ---- */

static void answers_a_syn_with_an_ack_and_carries_data_both_ways(void **state)
{
    struct peer *p = *state;
    peer_header(p, YAMUX_WINDOW, YAMUX_SYN, 1, 6029312);
    peer_header(p, YAMUX_DATA, 0, 1, 5); /* right behind it, before the ACK */
    peer_bytes(p, "hello", 5);
    loop_settle(&p->l);
    assert_int_equal(p->opened, 1);
    assert_got(&p->st[0], "hello");
    peer_expect(p, YAMUX_WINDOW, YAMUX_ACK, 1, 0);
    assert_ptr_equal(yamux_of(p->st[0].s), p->y);
    stream_write(p->st[0].s, "world", 5);
    loop_settle(&p->l);
    struct frame f;
    assert_true(peer_read(p, &f));
    assert_int_equal(f.h.length, 5);
    assert_memory_equal(f.p, "world", 5);
    peer_expect_nothing(p);
    assert_int_equal(yamux_streams(p->y), 1);
}

static void takes_data_and_fin_in_the_syn_frame_itself(void **state)
{
    struct peer *p = *state;
    peer_data(p, YAMUX_SYN | YAMUX_FIN, 1, 3);
    loop_settle(&p->l);
    assert_got(&p->st[0], "aaa");
    assert_int_equal(p->st[0].eof, 1);
}

static void small_pieces_share_a_frame_large_ones_are_cut(void **state)
{
    struct peer *p = *state;
    static char big[80000];
    char a[] = "GET ", b[] = "/";
    struct iovec iov[] = {{.iov_base = a, .iov_len = 4}, {.iov_base = b, .iov_len = 1}};
    peer_open(p, 1);
    stream_writev(p->st[0].s, iov, 2);
    stream_write(p->st[0].s, big, sizeof(big));
    loop_settle(&p->l);
    peer_expect(p, YAMUX_DATA, 0, 1, 5);
    peer_expect(p, YAMUX_DATA, 0, 1, 32768);
    peer_expect(p, YAMUX_DATA, 0, 1, 32768);
    peer_expect(p, YAMUX_DATA, 0, 1, 80000 - 65536);
    peer_expect_nothing(p);
}

static void pings_are_answered_with_their_value(void **state)
{
    struct peer *p = *state;
    peer_header(p, YAMUX_PING, YAMUX_SYN, 0, 0xdeadbeef);
    peer_header(p, YAMUX_PING, YAMUX_ACK, 0, 77); /* to no ping of ours: nothing */
    loop_settle(&p->l);
    peer_expect(p, YAMUX_PING, YAMUX_ACK, 0, 0xdeadbeef);
    peer_expect_nothing(p);
    assert_int_equal(yamux_rtt(p->y), -1);
}

static void frames_may_come_in_pieces_of_any_size(void **state)
{
    struct peer *p = *state;
    for (size_t slice = 1; slice <= 30; slice++) {
        uint32_t id = (uint32_t)(2 * slice - 1);
        memory_set_slice(p->session_end, slice);
        peer_header(p, YAMUX_WINDOW, YAMUX_SYN, id, 1000);
        peer_header(p, YAMUX_DATA, 0, id, 5);
        peer_bytes(p, "hello", 5);
        peer_header(p, YAMUX_PING, YAMUX_SYN, 0, id);
        peer_header(p, YAMUX_DATA, YAMUX_FIN, id, 1);
        peer_bytes(p, "!", 1);
        loop_settle(&p->l);
        assert_got(&p->st[slice - 1], "hello!");
        assert_int_equal(p->st[slice - 1].eof, 1);
        peer_expect(p, YAMUX_WINDOW, YAMUX_ACK, id, 0);
        peer_expect(p, YAMUX_PING, YAMUX_ACK, 0, id);
        peer_expect_nothing(p);
    }
}

static void bytes_read_before_the_session_count(void **state)
{
    struct peer *p = *state;
    struct witness before;
    witness_own(&before, p->session_end);
    before.take = 0;
    before.pauses = true; /* whoever looked at the first byte may have paused */
    peer_header(p, YAMUX_WINDOW, YAMUX_SYN, 1, 0);
    loop_settle(&p->l);
    peer_start(p, true);
    loop_settle(&p->l);
    peer_expect(p, YAMUX_WINDOW, YAMUX_ACK, 1, 0);
}

static void a_client_opens_odd_ids(void **state)
{
    struct peer *p = *state;
    struct witness w[2];
    peer_start(p, false);
    for (int i = 0; i < 2; i++) {
        witness_own(&w[i], yamux_open(p->y));
    }
    stream_write(w[1].s, "x", 1); /* at once, before the ACK */
    loop_settle(&p->l);
    peer_expect(p, YAMUX_WINDOW, YAMUX_SYN, 1, 0);
    peer_expect(p, YAMUX_WINDOW, YAMUX_SYN, 3, 0);
    peer_expect(p, YAMUX_DATA, 0, 3, 1);
    peer_header(p, YAMUX_WINDOW, YAMUX_ACK, 1, 6029312);
    peer_header(p, YAMUX_DATA, 0, 1, 2);
    peer_bytes(p, "ok", 2);
    loop_settle(&p->l);
    assert_got(&w[0], "ok");
    peer_header(p, YAMUX_GO_AWAY, 0, 0, YAMUX_NORMAL);
    loop_settle(&p->l);
    assert_null(yamux_open(p->y)); /* no new ones, but those that run go on */
    stream_write(w[0].s, "y", 1);
    loop_settle(&p->l);
    peer_expect(p, YAMUX_DATA, 0, 1, 1);
    assert_int_equal(p->ended, 0);
    witness_end(&w[0]);
    witness_end(&w[1]);
}

static void a_client_opens_no_more_than_its_limit(void **state)
{
    struct peer *p = *state;
    p->limits.max_streams = 2;
    peer_start(p, false);
    struct stream *a = yamux_open(p->y), *b = yamux_open(p->y);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(yamux_open(p->y));
    stream_abort(a);
    a = yamux_open(p->y);
    assert_non_null(a);
    stream_close(a);
    stream_close(b);
}

/* ---- what ends a session ---- */

static void bad_version(struct peer *p)
{
    peer_bytes(p, "\1\0\0\0\0\0\0\1\0\0\0\0", 12);
}

static void bad_type(struct peer *p)
{
    peer_header(p, 4, 0, 1, 0);
}

static void bad_flags(struct peer *p)
{
    peer_header(p, YAMUX_WINDOW, 0x10, 1, 0);
}

static void wrong_parity(struct peer *p)
{
    peer_header(p, YAMUX_WINDOW, YAMUX_SYN, 2, 0);
}

static void duplicate_syn(struct peer *p)
{
    peer_header(p, YAMUX_WINDOW, YAMUX_SYN, 1, 0);
}

static void duplicate_syn_on_data(struct peer *p)
{
    peer_data(p, YAMUX_SYN, 1, 10);
}

static void past_the_window(struct peer *p)
{
    peer_header(p, YAMUX_DATA, 0, 1, YAMUX_INITIAL_WINDOW + 1);
}

static void past_the_window_in_pieces(struct peer *p)
{
    p->st[0].take = 0; /* the owner takes nothing: the window is not opened again */
    p->st[0].pauses = true;
    for (int i = 0; i < 8; i++) {
        peer_data(p, 0, 1, 32768);
    }
    loop_settle(&p->l);
    assert_int_equal(p->ended, 0);
    peer_data(p, 0, 1, 1);
}

static void window_overflow(struct peer *p)
{
    peer_header(p, YAMUX_WINDOW, 0, 1, UINT32_MAX);
}

static void window_overflow_in_steps(struct peer *p)
{
    for (int i = 0; i < 4; i++) {
        peer_header(p, YAMUX_WINDOW, 0, 1, 0x40000000);
    }
}

static void data_after_fin(struct peer *p)
{
    peer_data(p, YAMUX_FIN, 1, 1);
    peer_data(p, 0, 1, 1);
}

static void never_opened(struct peer *p)
{
    peer_data(p, 0, 5, 1);
}

static void never_opened_window(struct peer *p)
{
    peer_header(p, YAMUX_WINDOW, 0, 4, 1);
}

static void never_opened_fin(struct peer *p)
{
    peer_header(p, YAMUX_WINDOW, YAMUX_FIN, 3, 0);
}

static void ping_flood(struct peer *p)
{
    for (uint32_t i = 0; i < 3000; i++) {
        peer_header(p, YAMUX_PING, YAMUX_SYN, 0, i);
    }
}

static void pong_flood(struct peer *p)
{
    for (uint32_t i = 0; i < 3000; i++) {
        peer_header(p, YAMUX_PING, YAMUX_ACK, 0, i);
    }
}

static void empty_data_flood(struct peer *p)
{
    for (int i = 0; i < 3000; i++) {
        peer_data(p, 0, 1, 0);
    }
}

static void tiny_window_flood(struct peer *p)
{
    for (int i = 0; i < 3000; i++) {
        peer_header(p, YAMUX_WINDOW, 0, 1, 1);
    }
}

static void ack_flood(struct peer *p)
{
    for (int i = 0; i < 3000; i++) {
        peer_header(p, YAMUX_WINDOW, YAMUX_ACK, 1, 0);
    }
}

static void fin_flood(struct peer *p)
{
    for (int i = 0; i < 3000; i++) {
        peer_header(p, i % 2 ? YAMUX_WINDOW : YAMUX_DATA, YAMUX_FIN, 1, 0);
    }
}

static void go_away_flood(struct peer *p)
{
    for (int i = 0; i < 3000; i++) {
        peer_header(p, YAMUX_GO_AWAY, 0, 0, 0);
    }
}

static void open_and_reset_flood(struct peer *p)
{
    for (uint32_t i = 3; i < 6003; i += 2) {
        peer_header(p, YAMUX_WINDOW, YAMUX_SYN, i, 0);
        peer_header(p, YAMUX_WINDOW, YAMUX_RST, i, 0);
    }
}

static void window_flood_to_a_dead_stream(struct peer *p)
{
    peer_header(p, YAMUX_WINDOW, YAMUX_RST, 1, 0);
    for (int i = 0; i < 3000; i++) {
        peer_header(p, YAMUX_WINDOW, 0, 1, 100000);
    }
}

static void syn_flood_over_the_limit(struct peer *p)
{
    p->limits.max_streams = 3;
    yamux_set_limits(p->y, &p->limits);
    for (uint32_t i = 3; i < 6003; i += 2) {
        peer_header(p, YAMUX_WINDOW, YAMUX_SYN, i, 0);
    }
}

static void each_offence_ends_only_its_own_session(void **state)
{
    static const struct {
        const char *name;
        void (*offend)(struct peer *);
    } cases[] = {
#define C(f) {#f, f}
        C(bad_version),
        C(bad_type),
        C(bad_flags),
        C(wrong_parity),
        C(duplicate_syn),
        C(duplicate_syn_on_data),
        C(past_the_window),
        C(past_the_window_in_pieces),
        C(window_overflow),
        C(window_overflow_in_steps),
        C(data_after_fin),
        C(never_opened),
        C(never_opened_window),
        C(never_opened_fin),
        C(ping_flood),
        C(pong_flood),
        C(empty_data_flood),
        C(tiny_window_flood),
        C(ack_flood),
        C(fin_flood),
        C(go_away_flood),
        C(open_and_reset_flood),
        C(window_flood_to_a_dead_stream),
        C(syn_flood_over_the_limit),
#undef C
    };
    struct peer *other = *state;
    peer_open(other, 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct peer *p = malloc(sizeof(*p));
        peer_init(p);
        peer_start(p, true);
        peer_open(p, 1);
        cases[i].offend(p);
        loop_settle(&p->l);
        if (p->ended != 1) {
            fail_msg("%s did not end the session", cases[i].name);
        }
        peer_expect_end(p, YAMUX_PROTOCOL_ERROR);
        if (cases[i].offend != window_flood_to_a_dead_stream) {
            assert_int_equal(p->st[0].closed, 1);
            assert_string_equal(p->st[0].why, p->why);
        }
        assert_true(peer_end(p));
        free(p);
    }
    peer_data(other, 0, 1, 3);
    loop_settle(&other->l);
    assert_got(&other->st[0], "aaa");
}

static void a_client_lets_nobody_open_streams(void **state)
{
    struct peer *p = *state;
    peer_start(p, false);
    peer_header(p, YAMUX_WINDOW, YAMUX_SYN, 2, 0);
    peer_expect_end(p, YAMUX_PROTOCOL_ERROR);
}

static void ordinary_frames_are_no_flood(void **state)
{
    struct peer *p = *state;
    p->limits.max_empty_frames = 20;
    yamux_set_limits(p->y, &p->limits);
    for (uint32_t id = 1; id < 61; id += 2) { /* 30 short streams: SYN, data, window, FIN each */
        peer_header(p, YAMUX_WINDOW, YAMUX_SYN, id, 6029312);
        peer_data(p, 0, id, 10);
        loop_settle(&p->l);
        stream_write(p->st[id / 2].s, "answer", 6);
        stream_shutdown(p->st[id / 2].s);
        peer_header(p, YAMUX_WINDOW, 0, id, 100000);
        peer_header(p, YAMUX_WINDOW, YAMUX_FIN, id, 0);
        loop_settle(&p->l);
        witness_end(&p->st[id / 2]);
    }
    assert_int_equal(p->ended, 0);
    assert_int_equal(yamux_streams(p->y), 0);
}

static void streams_over_the_limit_are_reset(void **state)
{
    struct peer *p = *state;
    p->limits.max_streams = 3;
    yamux_set_limits(p->y, &p->limits);
    for (uint32_t id = 1; id < 11; id += 2) {
        peer_data(p, YAMUX_SYN, id, 10); /* with data, which has to be skipped */
    }
    loop_settle(&p->l);
    assert_int_equal(p->opened, 3);
    for (uint32_t id = 1; id < 11; id += 2) {
        peer_expect(p, YAMUX_WINDOW, id < 7 ? YAMUX_ACK : YAMUX_RST, id, 0);
    }
    peer_expect_nothing(p);
    assert_int_equal(p->ended, 0);
}

static void a_stream_nobody_takes_is_reset(void **state)
{
    struct peer *p = *state;
    p->refuse = true;
    peer_data(p, YAMUX_SYN, 1, 10);
    loop_settle(&p->l);
    peer_expect(p, YAMUX_WINDOW, YAMUX_ACK, 1, 0);
    peer_expect(p, YAMUX_WINDOW, YAMUX_RST, 1, 0);
    assert_int_equal(yamux_streams(p->y), 0);
}

static void many_streams_are_found_again(void **state)
{
    struct peer *p = *state;
    enum { N = 62 };
    p->limits.max_streams = N;
    yamux_set_limits(p->y, &p->limits);
    unsigned seed = 3;
    uint32_t ids[N];
    for (uint32_t i = 0; i < N; i++) { /* any order and any distance: the table must cope */
        ids[i] = (uint32_t)rand_r(&seed) % 0x3fffffff * 2 + 1;
        peer_header(p, YAMUX_WINDOW, YAMUX_SYN, ids[i], 0);
    }
    loop_settle(&p->l);
    assert_int_equal(p->opened, N);
    bool gone[N] = {false};
    for (int round = 0; round < 500; round++) {
        uint32_t i = (uint32_t)rand_r(&seed) % N;
        struct witness *w = &p->st[i];
        uint32_t id = ids[i];
        uint64_t before = w->bytes;
        peer_data(p, 0, id, 1);
        loop_settle(&p->l);
        assert_int_equal(w->bytes, before + !gone[i]);
        if (round % 3 == 2 && !gone[i]) {
            stream_abort(w->s);
            w->s = NULL;
            gone[i] = true;
        }
    }
    assert_int_equal(p->ended, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define S(f) cmocka_unit_test_setup_teardown(f, setup_server, teardown)
    const struct CMUnitTest tests[] = {
        S(answers_a_syn_with_an_ack_and_carries_data_both_ways),
        S(takes_data_and_fin_in_the_syn_frame_itself),
        S(small_pieces_share_a_frame_large_ones_are_cut),
        S(pings_are_answered_with_their_value),
        S(frames_may_come_in_pieces_of_any_size),
        T(bytes_read_before_the_session_count),
        T(a_client_opens_odd_ids),
        T(a_client_opens_no_more_than_its_limit),
        S(each_offence_ends_only_its_own_session),
        T(a_client_lets_nobody_open_streams),
        S(ordinary_frames_are_no_flood),
        S(streams_over_the_limit_are_reset),
        S(a_stream_nobody_takes_is_reset),
        S(many_streams_are_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
