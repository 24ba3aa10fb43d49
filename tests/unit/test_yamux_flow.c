/* Flow control of yamux: windows in both directions, what is held and for whom, and that one slow
 * stream does not stop the others. */
#include "common/frp/yamux.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/yamux_peer.h"

enum { WINDOW = YAMUX_INITIAL_WINDOW };

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

/* ---- what we send ---- */

static void never_sends_more_than_the_peer_has_room_for(void **state)
{
    struct peer *p = *state;
    enum { SIZE = 3 * 1024 * 1024 };
    char *big = malloc(SIZE);
    unsigned seed = 5;
    uint64_t got = 0;
    for (int i = 0; i < SIZE; i++) {
        big[i] = (char)(i * 31 + i / 1021);
    }
    peer_open(p, 1);
    stream_write(p->st[0].s, big, SIZE);
    stream_shutdown(p->st[0].s);
    loop_settle(&p->l);
    while (got < SIZE) {
        struct frame f;
        uint64_t before = got;
        while (peer_read(p, &f)) { /* checks the room left */
            assert_int_equal(f.h.type, YAMUX_DATA);
            assert_memory_equal(f.p, big + got, f.h.length);
            got += f.h.length;
            if (f.h.flags & YAMUX_FIN || got == SIZE) {
                break;
            }
        }
        assert_true(got > before || p->room[1] == 0);
        assert_true(got == SIZE || p->room[1] == 0); /* and always all of that */
        if (got < SIZE) {
            peer_header(p, YAMUX_WINDOW, 0, 1, 1 + (uint32_t)rand_r(&seed) % 300000);
        }
        loop_settle(&p->l);
    }
    assert_int_equal(stream_pending(p->st[0].s), 0);
    assert_int_equal(p->st[0].drained, 1);
    peer_expect(p, YAMUX_WINDOW, YAMUX_FIN, 1, 0);
    free(big);
}

static void a_window_in_the_syn_counts_at_once(void **state)
{
    struct peer *p = *state;
    static char big[400000];
    peer_header(p, YAMUX_WINDOW, YAMUX_SYN, 1, 6029312);
    loop_settle(&p->l);
    stream_write(p->st[0].s, big, sizeof(big));
    loop_settle(&p->l);
    assert_int_equal(stream_pending(p->st[0].s), 0);
    assert_int_equal(peer_count(p, 1, 0, NULL), sizeof(big));
}

static void a_stream_without_room_does_not_stop_the_others(void **state)
{
    struct peer *p = *state;
    static char big[WINDOW + 1000];
    peer_open(p, 1);
    peer_open(p, 3);
    stream_write(p->st[0].s, big, sizeof(big));
    stream_write(p->st[1].s, big, 5000);
    loop_settle(&p->l);
    assert_int_equal(stream_pending(p->st[0].s), 1000);
    assert_int_equal(stream_pending(p->st[1].s), 0);
    stream_write(p->st[1].s, big, 5000);
    loop_settle(&p->l);
    assert_int_equal(stream_pending(p->st[1].s), 0);
}

static void a_narrow_transport_is_shared_in_turn(void **state)
{
    struct peer *p = *state;
    enum { N = 4 };
    static char big[200000];
    for (uint32_t i = 0; i < N; i++) {
        peer_open(p, 2 * i + 1);
    }
    memory_set_capacity(p->session_end, 40000);
    for (int i = 0; i < N; i++) {
        stream_write(p->st[i].s, big, sizeof(big));
    }
    uint64_t sent[N] = {0}, spread = 0;
    struct frame f;
    for (;;) {
        loop_for(&p->l, 1);
        bool any = false;
        while (peer_read_whole(p, &f)) {
            sent[f.h.id / 2] += f.h.type == YAMUX_DATA ? f.h.length : 0;
            any = true;
        }
        uint64_t low = sent[0], high = sent[0];
        for (int i = 1; i < N; i++) {
            low = MIN(low, sent[i]);
            high = MAX(high, sent[i]);
        }
        spread = MAX(spread, high - low);
        if (!any) {
            break;
        }
    }
    loop_settle(&p->l);
    while (peer_read(p, &f)) {
        sent[f.h.id / 2] += f.h.type == YAMUX_DATA ? f.h.length : 0;
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(sent[i], sizeof(big));
        assert_int_equal(p->st[i].drained, 1);
    }
    assert_true(spread <= 128 * 1024); /* nobody was far ahead of the others */
}

struct echo {
    struct witness w;
    unsigned calls;
};

static size_t echo_data(void *owner, struct stream *s, const char *p, size_t n)
{
    struct echo *e = owner;
    e->calls++;
    stream_write(s, p, n);
    return n;
}

static void echo_drained(void *owner, struct stream *s UNUSED)
{
    struct echo *e = owner;
    e->w.drained++;
}

static const struct stream_events echo_events = {.data = echo_data, .drained = echo_drained};

/* Control frames fill the queue of one turn; the transport then takes all at once, and never says
 * `drained`. */
static void an_answer_behind_a_full_queue_is_not_forgotten(void **state)
{
    struct peer *p = *state;
    struct echo e = {.calls = 0};
    p->limits.max_empty_frames = 100000;
    yamux_set_limits(p->y, &p->limits);
    peer_open(p, 1);
    stream_own(p->st[0].s, &echo_events, &e);
    for (uint32_t i = 0; i < 6000; i++) { /* 72,000 bytes of replies in one turn */
        peer_header(p, YAMUX_PING, YAMUX_SYN, 0, i);
    }
    peer_data(p, 0, 1, 100);
    loop_settle(&p->l);
    assert_int_equal(e.calls, 1);
    assert_int_equal(peer_count(p, 1, 0, NULL), 100);
    assert_int_equal(stream_pending(p->st[0].s), 0);
    stream_abort(p->st[0].s);
    p->st[0].s = NULL;
}

/* ---- what we take ---- */

static void the_window_grows_for_an_owner_that_keeps_up(void **state)
{
    struct peer *p = *state;
    uint64_t widest = 0;
    peer_open(p, 1);
    p->st[0].forget = true;
    for (int i = 0; i < 400; i++) {
        uint64_t room = p->announced[1] - p->sent[1];
        widest = MAX(widest, room);
        assert_true(room <= p->limits.max_window);
        assert_true(room > 0);
        peer_data(p, 0, 1, MIN(room, 32768U));
        loop_settle(&p->l);
        peer_count(p, 1, 0, NULL);
    }
    assert_int_equal(widest, p->limits.max_window);
    assert_int_equal(p->st[0].bytes, p->sent[1]);
}

static void the_window_does_not_grow_for_one_that_does_not(void **state)
{
    struct peer *p = *state;
    p->hold = true;
    peer_open(p, 1);
    p->st[0].forget = true;
    for (int i = 0; i < 40; i++) {
        uint64_t room = p->announced[1] - p->sent[1];
        assert_true(room <= WINDOW);
        assert_true(p->announced[1] - p->st[0].bytes <= WINDOW); /* what may be held in all */
        peer_data(p, 0, 1, room);
        loop_settle(&p->l);
        assert_true(p->l.held <= WINDOW);
        witness_take(&p->st[0], 100000);
        loop_settle(&p->l);
        peer_count(p, 1, 0, NULL);
    }
    assert_int_equal(p->ended, 0);
}

static void grown_windows_have_a_budget(void **state)
{
    struct peer *p = *state;
    enum { N = 6 };
    p->limits.max_held = 2 * 1024 * 1024; /* half of it may be given away as window */
    yamux_set_limits(p->y, &p->limits);
    for (uint32_t i = 0; i < N; i++) {
        peer_open(p, 2 * i + 1);
        p->st[i].forget = true;
    }
    uint64_t most = 0;
    for (int round = 0; round < 100; round++) {
        uint64_t extra = 0;
        for (uint32_t id = 1; id < 2 * N; id += 2) {
            peer_data(p, 0, id, MIN(p->announced[id] - p->sent[id], 65536U));
            loop_settle(&p->l);
            peer_count(p, id, 0, NULL);
            uint64_t room = p->announced[id] - p->sent[id];
            extra += room > WINDOW ? room - WINDOW : 0;
        }
        most = MAX(most, extra);
        assert_true(extra <= p->limits.max_held / 2);
    }
    assert_true(most > p->limits.max_held / 4); /* the budget is used, too */
    for (int i = 0; i < N; i++) {               /* and comes back with the streams */
        stream_abort(p->st[i].s);
        p->st[i].s = NULL;
    }
    peer_count(p, 0, 0, NULL);
    peer_header(p, YAMUX_WINDOW, YAMUX_SYN, 21, 0);
    for (int i = 0; i < 100; i++) {
        peer_data(p, 0, 21, MIN(p->announced[21] - p->sent[21], 65536U));
        loop_settle(&p->l);
        peer_count(p, 21, 0, NULL);
    }
    assert_true(p->announced[21] - p->sent[21] > WINDOW);
}

static void too_much_held_resets_the_stream_that_would_hold_more(void **state)
{
    struct peer *p = *state;
    p->limits.max_held = 300000;
    yamux_set_limits(p->y, &p->limits);
    p->hold = true;
    peer_open(p, 1);
    peer_open(p, 3);
    peer_data(p, 0, 1, 200000);
    loop_settle(&p->l);
    peer_data(p, 0, 3, 1000);
    loop_settle(&p->l);
    assert_int_equal(p->l.held, 201000);
    peer_data(p, 0, 3, 200000);
    loop_settle(&p->l);
    assert_int_equal(p->ended, 0);
    assert_int_equal(p->st[0].closed, 0);
    assert_int_equal(p->st[1].closed, 1);
    assert_int_equal(p->l.held, 200000);
    peer_expect(p, YAMUX_WINDOW, YAMUX_RST, 3, 0);
    witness_take(&p->st[0], SIZE_MAX);
    loop_settle(&p->l);
    assert_int_equal(p->st[0].bytes, 200000);
    assert_int_equal(p->l.held, 0);
}

static void the_first_bytes_of_many_streams_count_too(void **state)
{
    struct peer *p = *state;
    p->limits.max_held = 1000000;
    yamux_set_limits(p->y, &p->limits);
    p->hold = true; /* each pauses at its first byte */
    for (uint32_t id = 1; id < 41; id += 2) {
        peer_data(p, YAMUX_SYN, id, 200000);
        loop_settle(&p->l);
        assert_true(p->l.held <= p->limits.max_held);
    }
    unsigned closed = 0;
    for (unsigned i = 0; i < p->opened; i++) {
        closed += p->st[i].closed;
    }
    assert_int_equal(p->opened, 20);
    assert_int_equal(closed, 15);
    assert_int_equal(p->ended, 0);
}

static void sessions_share_one_account(void **state)
{
    struct peer *p = *state, *q = malloc(sizeof(*q));
    size_t total = 0;
    peer_init(q);
    p->limits.held_total = q->limits.held_total = &total;
    p->limits.max_held_total = q->limits.max_held_total = 300000;
    p->hold = q->hold = true;
    peer_start(p, true);
    peer_start(q, true);
    peer_open(p, 1);
    peer_open(q, 1);
    peer_data(p, 0, 1, 200000);
    loop_settle(&p->l);
    assert_int_equal(total, 200000);
    peer_data(q, 0, 1, 200000);
    loop_settle(&q->l);
    assert_int_equal(q->st[0].closed, 1);
    assert_int_equal(p->st[0].closed, 0);
    assert_int_equal(total, 200000);
    struct yamux_limits none = p->limits; /* limits replaced while bytes are held */
    none.held_total = NULL;
    yamux_set_limits(p->y, &none);
    assert_int_equal(total, 0);
    yamux_set_limits(p->y, &p->limits);
    assert_int_equal(total, 200000);
    witness_take(&p->st[0], 50000);
    loop_settle(&p->l);
    assert_int_equal(total, 150000);
    stream_shutdown(p->st[0].s); /* lingers, and holds nothing any more */
    witness_end(&p->st[0]);
    assert_int_equal(total, 0);
    assert_true(peer_end(q));
    assert_int_equal(total, 0);
    free(q);
}

/* ---- two sessions with each other ---- */

struct pair {
    struct loop l;
    struct yamux *y[2];
    struct stream *end[2];
    struct witness w[2][40]; /* [0]: the client's ends, [1]: the server's, by order of opening */
    unsigned opened, ended;
};

static void pair_opened(void *owner, struct stream *s)
{
    struct pair *q = owner;
    struct witness *w = &q->w[1][q->opened++];
    witness_own(w, s);
    w->forget = true;
}

static void pair_ended(void *owner, const char *why UNUSED)
{
    struct pair *q = owner;
    q->ended++;
}

static const struct yamux_events pair_events = {.opened = pair_opened, .ended = pair_ended};

static void pair_start(struct pair *q, size_t capacity)
{
    struct yamux_limits limits = yamux_limits_default();
    memset(q, 0, sizeof(*q));
    assert_int_equal(loop_init(&q->l, NULL), 0);
    memory_pair(&q->l, capacity, q->end);
    for (int i = 0; i < 2; i++) {
        q->y[i] = yamux_new(q->end[i], i == 1, &limits, &pair_events, q);
    }
}

static void pair_end(struct pair *q)
{
    assert_int_equal(q->ended, 0);
    for (int i = 0; i < 40; i++) {
        witness_end(&q->w[0][i]);
        witness_end(&q->w[1][i]);
    }
    loop_settle(&q->l);
    assert_int_equal(yamux_streams(q->y[0]), 0); /* FINs and resets left nothing on either side */
    assert_int_equal(yamux_streams(q->y[1]), 0);
    yamux_close(q->y[0], YAMUX_NORMAL, "over");
    yamux_close(q->y[1], YAMUX_NORMAL, "over");
    loop_settle(&q->l);
    assert_int_equal(q->l.held, 0);
    assert_int_equal(q->l.timers.len, 0);
    loop_free(&q->l);
}

static void streams_carry_data_both_ways_past_a_slow_reader(void **state)
{
    (void)state;
    enum { N = 40, SIZE = 1500000 };
    static const size_t capacities[] = {MEMORY_ENDLESS, 100000, 5000};
    char *big = malloc(SIZE);
    memset(big, 'x', SIZE);
    for (size_t c = 0; c < ARRAY_LEN(capacities); c++) {
        struct pair *q = malloc(sizeof(*q));
        int n = c == 0 ? N : 6;
        pair_start(q, capacities[c]);
        for (int i = 0; i < n; i++) {
            struct stream *s = yamux_open(q->y[0]);
            witness_own(&q->w[0][i], s);
            q->w[0][i].forget = true;
        }
        loop_settle(&q->l);
        assert_int_equal(q->opened, n);
        q->w[1][0].take = 10; /* the slow one */
        q->w[1][0].pauses = true;
        for (int i = 0; i < n; i++) {
            for (int side = 0; side < 2; side++) {
                stream_write(q->w[side][i].s, big, SIZE);
                stream_shutdown(q->w[side][i].s);
            }
        }
        loop_settle(&q->l);
        for (int i = 0; i < n; i++) {
            assert_int_equal(q->w[0][i].bytes, SIZE);
            assert_int_equal(q->w[1][i].bytes, i == 0 ? 10 : SIZE);
            assert_int_equal(q->w[1][i].eof, i != 0);
        }
        assert_true(q->l.held > 0);
        while (q->w[1][0].eof == 0) {
            uint64_t before = q->w[1][0].bytes;
            witness_take(&q->w[1][0], 77777);
            loop_settle(&q->l);
            assert_true(q->w[1][0].bytes > before || q->w[1][0].eof);
        }
        assert_int_equal(q->w[1][0].bytes, SIZE);
        pair_end(q);
        free(q);
    }
    free(big);
}

static void every_close_of_one_side_frees_both(void **state)
{
    (void)state;
    struct pair *q = malloc(sizeof(*q));
    char some[1000] = "";
    pair_start(q, MEMORY_ENDLESS);
    for (int i = 0; i < 20; i++) {
        witness_own(&q->w[0][i], yamux_open(q->y[0]));
        stream_write(q->w[0][i].s, some, sizeof(some));
    }
    loop_settle(&q->l);
    for (int i = 0; i < 20; i++) {
        struct witness *w = &q->w[i % 2][i];
        if (i % 3 == 0) {
            stream_shutdown(w->s);
        }
        if (i % 5 == 0) {
            stream_abort(w->s);
            w->s = NULL;
        } else {
            witness_end(w);
        }
    }
    loop_settle(&q->l);
    for (int i = 0; i < 20; i++) {
        struct witness *w = &q->w[!(i % 2)][i];
        assert_true(w->eof == 1 || w->closed == 1);
        assert_int_equal(w->closed, i % 5 == 0);
    }
    pair_end(q);
    free(q);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define S(f) cmocka_unit_test_setup_teardown(f, setup_server, teardown)
    const struct CMUnitTest tests[] = {
        S(never_sends_more_than_the_peer_has_room_for),
        S(a_window_in_the_syn_counts_at_once),
        S(a_stream_without_room_does_not_stop_the_others),
        S(a_narrow_transport_is_shared_in_turn),
        S(an_answer_behind_a_full_queue_is_not_forgotten),
        S(the_window_grows_for_an_owner_that_keeps_up),
        S(the_window_does_not_grow_for_one_that_does_not),
        S(grown_windows_have_a_budget),
        S(too_much_held_resets_the_stream_that_would_hold_more),
        S(the_first_bytes_of_many_streams_count_too),
        T(sessions_share_one_account),
        cmocka_unit_test(streams_carry_data_both_ways_past_a_slow_reader),
        cmocka_unit_test(every_close_of_one_side_frees_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
