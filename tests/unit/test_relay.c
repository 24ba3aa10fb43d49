/* The relay: bytes both ways, halves that end one by one, back-pressure, and every way to end. */
#include "common/stream/relay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/memory_stream.h"

/* w[0] -- near[0] = relay = near[1] -- w[1] */
struct fixture {
    struct loop l;
    struct stream *near[2];
    struct witness w[2];
    struct relay *r;
    unsigned done;
    uint64_t a_to_b, b_to_a;
    char failed[160];
    bool stop_in_done;
};

static void on_done(void *owner, uint64_t a_to_b, uint64_t b_to_a, const char *failed)
{
    struct fixture *f = owner;
    f->done++;
    f->a_to_b = a_to_b;
    f->b_to_a = b_to_a;
    snprintf(f->failed, sizeof(f->failed), "%s", failed ? failed : "");
    if (f->stop_in_done) {
        relay_stop(f->r);
    }
    f->r = NULL;
}

static int setup_capacity(void **state, size_t capacity)
{
    struct fixture *f = calloc(1, sizeof(*f));
    *state = f;
    if (loop_init(&f->l, NULL) < 0) {
        return -1;
    }
    for (int i = 0; i < 2; i++) {
        struct stream *end[2];
        memory_pair(&f->l, capacity, end);
        witness_own(&f->w[i], end[0]);
        f->near[i] = end[1];
    }
    return 0;
}

static int setup(void **state)
{
    return setup_capacity(state, MEMORY_ENDLESS);
}

static int setup_narrow(void **state)
{
    return setup_capacity(state, 1000);
}

static void start(struct fixture *f, uint64_t idle, uint64_t half_idle)
{
    struct relay_limits limits = {idle, half_idle};
    f->r = relay_start(f->near[0], f->near[1], &limits, on_done, f);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    bool late = f->w[0].late || f->w[1].late;
    if (f->r) {
        relay_stop(f->r);
    }
    witness_end(&f->w[0]);
    witness_end(&f->w[1]);
    loop_settle(&f->l);
    size_t held = f->l.held;
    uint32_t timers = f->l.timers.len;
    loop_free(&f->l);
    free(f);
    return held == 0 && timers == 0 && !late ? 0 : -1;
}

static void assert_got(const struct witness *w, const char *text)
{
    assert_int_equal(w->got.len, strlen(text));
    assert_memory_equal(w->got.len ? buf_head(&w->got) : "", text, strlen(text));
}

static void carries_bytes_both_ways_and_ends_with_both_halves(void **state)
{
    struct fixture *f = *state;
    start(f, 0, 0);
    stream_write(f->w[0].s, "question", 8);
    loop_settle(&f->l);
    assert_got(&f->w[1], "question");
    stream_shutdown(f->w[0].s);
    loop_settle(&f->l);
    assert_int_equal(f->w[1].eof, 1);
    assert_int_equal(f->w[0].eof, 0);
    assert_int_equal(f->done, 0);
    stream_write(f->w[1].s, "answer", 6); /* long after the other half ended */
    loop_settle(&f->l);
    assert_got(&f->w[0], "answer");
    stream_shutdown(f->w[1].s);
    loop_settle(&f->l);
    assert_int_equal(f->w[0].eof, 1);
    assert_int_equal(f->done, 1);
    assert_string_equal(f->failed, "");
    assert_int_equal(f->a_to_b, 8);
    assert_int_equal(f->b_to_a, 6);
    assert_int_equal(f->w[0].closed + f->w[1].closed, 0);
}

static void takes_bytes_and_an_end_that_came_before_it(void **state)
{
    struct fixture *f = *state;
    struct witness before;
    witness_own(&before, f->near[0]);
    before.take = 4;
    stream_write(f->w[0].s, "headrest", 8);
    stream_shutdown(f->w[0].s);
    loop_settle(&f->l);
    assert_int_equal(before.eof, 1); /* told to the owner before */
    start(f, 0, 0);
    loop_settle(&f->l);
    assert_got(&f->w[1], "rest");
    assert_int_equal(f->w[1].eof, 1);
    buf_free(&before.got);
}

static void a_slow_reader_stops_the_writer(void **state)
{
    struct fixture *f = *state;
    enum { SIZE = 1000000 };
    char *big = malloc(SIZE);
    for (int i = 0; i < SIZE; i++) {
        big[i] = (char)(i + i / 257);
    }
    start(f, 0, 0);
    f->w[1].take = 0;
    f->w[1].pauses = true;
    stream_write(f->w[0].s, big, SIZE);
    stream_shutdown(f->w[0].s);
    loop_settle(&f->l);
    assert_true(stream_pending(f->w[0].s) > SIZE - 10000); /* it was not sucked in */
    assert_true(f->l.held - stream_pending(f->w[0].s) <= 4000);
    stream_write(f->w[1].s, "the other way", 13);
    loop_settle(&f->l);
    assert_got(&f->w[0], "the other way");
    while (f->w[1].eof == 0) {
        uint64_t before = f->w[1].bytes;
        witness_take(&f->w[1], 30011);
        loop_settle(&f->l);
        assert_true(f->w[1].bytes > before || f->w[1].eof);
    }
    assert_int_equal(f->w[1].got.len, SIZE);
    assert_memory_equal(buf_head(&f->w[1].got), big, SIZE);
    assert_int_equal(f->done, 0);
    free(big);
}

static void ends_only_after_the_last_byte_has_left(void **state)
{
    struct fixture *f = *state;
    static char block[5000];
    start(f, 0, 0);
    stream_shutdown(f->w[1].s);
    f->w[1].take = 0;
    f->w[1].pauses = true;
    stream_write(f->w[0].s, block, sizeof(block));
    stream_shutdown(f->w[0].s);
    loop_settle(&f->l);
    assert_int_equal(f->done, 0);
    witness_take(&f->w[1], SIZE_MAX);
    loop_settle(&f->l);
    assert_int_equal(f->w[1].bytes, sizeof(block));
    assert_int_equal(f->w[1].eof, 1);
    assert_int_equal(f->done, 1);
    assert_string_equal(f->failed, "");
}

static void a_failure_of_one_side_breaks_the_other(void **state)
{
    for (int side = 0; side < 2; side++) {
        struct fixture *f;
        (void)state;
        assert_int_equal(setup((void **)&f), 0);
        start(f, 0, 0);
        stream_write(f->w[side].s, "x", 1);
        loop_settle(&f->l);
        stream_abort(f->w[side].s);
        f->w[side].s = NULL;
        loop_settle(&f->l);
        assert_int_equal(f->done, 1);
        assert_string_equal(f->failed, "the other end of the memory broke");
        assert_int_equal(f->w[!side].closed, 1);
        assert_int_equal(f->w[!side].eof, 0); /* a torn stream must not look complete */
        assert_int_equal(side ? f->b_to_a : f->a_to_b, 1);
        assert_int_equal(teardown((void **)&f), 0);
    }
}

static void stopping_closes_both_and_calls_nobody(void **state)
{
    struct fixture *f = *state;
    start(f, 0, 0);
    relay_stop(f->r);
    f->r = NULL;
    loop_settle(&f->l);
    assert_int_equal(f->done, 0);
    assert_int_equal(f->w[0].closed + f->w[1].closed, 2);
}

static void a_stop_inside_done_does_no_harm(void **state)
{
    struct fixture *f = *state;
    f->stop_in_done = true;
    start(f, 0, 0);
    stream_shutdown(f->w[0].s);
    stream_shutdown(f->w[1].s);
    loop_settle(&f->l);
    assert_int_equal(f->done, 1);
}

static void idle_relays_end(void **state)
{
    struct fixture *f = *state;
    start(f, 60, 0);
    for (int i = 0; i < 5; i++) {
        loop_for(&f->l, 30);
        assert_int_equal(f->done, 0);
        stream_write(f->w[i % 2].s, "x", 1);
    }
    assert_true(loop_until_set(&f->l, &f->done, 2000));
    assert_string_equal(f->failed, "idle for too long");
}

static void half_closed_relays_have_a_limit_of_their_own(void **state)
{
    struct fixture *f = *state;
    start(f, 0, 50);
    loop_for(&f->l, 100);
    assert_int_equal(f->done, 0);
    stream_shutdown(f->w[0].s);
    assert_true(loop_until_set(&f->l, &f->done, 2000));
    assert_string_equal(f->failed, "idle for too long");
}

/* As TLS does: the end itself, or an answer of the protocol's, is what waits. */
static void bytes_of_the_kind_itself_do_not_stall_it(void **state)
{
    struct fixture *f = *state;
    char record[] = "record";
    struct iovec iov = {.iov_base = record, .iov_len = 6};
    memory_set_capacity(f->near[1], 0);
    start(f, 0, 0);
    stream_keep(f->near[1], &iov, 1, 0);
    stream_write(f->w[0].s, "data", 4);
    loop_settle(&f->l);
    assert_int_equal(f->w[1].bytes, 0);
    memory_set_capacity(f->near[1], 1000);
    loop_settle(&f->l);
    assert_got(&f->w[1], "recorddata");
}

static void a_farewell_that_has_to_wait_does_not_stall_it(void **state)
{
    struct fixture *f = *state;
    memory_set_farewell(f->near[1], "bye");
    start(f, 0, 0);
    stream_shutdown(f->w[1].s);
    loop_settle(&f->l);
    memory_set_capacity(f->near[1], 0);
    stream_shutdown(f->w[0].s);
    loop_settle(&f->l);
    assert_int_equal(f->done, 0); /* the relay waits for it */
    memory_set_capacity(f->near[1], 1000);
    loop_settle(&f->l);
    assert_got(&f->w[1], "bye");
    assert_int_equal(f->w[1].eof, 1);
    assert_int_equal(f->done, 1);
    assert_string_equal(f->failed, "");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define N(f) cmocka_unit_test_setup_teardown(f, setup_narrow, teardown)
    const struct CMUnitTest tests[] = {
        T(carries_bytes_both_ways_and_ends_with_both_halves),
        T(takes_bytes_and_an_end_that_came_before_it),
        N(a_slow_reader_stops_the_writer),
        N(ends_only_after_the_last_byte_has_left),
        cmocka_unit_test(a_failure_of_one_side_breaks_the_other),
        T(stopping_closes_both_and_calls_nobody),
        T(a_stop_inside_done_does_no_harm),
        T(idle_relays_end),
        T(half_closed_relays_have_a_limit_of_their_own),
        T(bytes_of_the_kind_itself_do_not_stall_it),
        T(a_farewell_that_has_to_wait_does_not_stall_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
