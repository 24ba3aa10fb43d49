/* The rules that hold for streams of every kind: hold and redelivery, pause and resume, the order of
 * data, end and failure, half-close, and closing from inside callbacks. */
#include "common/stream/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/memory_stream.h"

struct fixture {
    struct loop l;
    struct stream *end[2];
    struct witness w[2];
};

static int setup_capacity(void **state, size_t capacity)
{
    struct fixture *f = calloc(1, sizeof(*f));
    *state = f;
    if (loop_init(&f->l, NULL) < 0) {
        return -1;
    }
    memory_pair(&f->l, capacity, f->end);
    for (int i = 0; i < 2; i++) {
        witness_own(&f->w[i], f->end[i]);
    }
    return 0;
}

static int setup(void **state)
{
    return setup_capacity(state, MEMORY_ENDLESS);
}

static int setup_narrow(void **state)
{
    return setup_capacity(state, 10);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    bool late = f->w[0].late || f->w[1].late;
    witness_end(&f->w[0]);
    witness_end(&f->w[1]);
    loop_settle(&f->l);
    size_t held = f->l.held;
    loop_free(&f->l);
    free(f);
    return held == 0 && !late ? 0 : -1;
}

static void assert_got(const struct witness *w, const char *text)
{
    assert_int_equal(w->got.len, strlen(text));
    assert_memory_equal(w->got.len ? buf_head(&w->got) : "", text, strlen(text));
}

static void say(struct fixture *f, const char *text)
{
    stream_write(f->w[0].s, text, strlen(text));
}

/* ---- hold ---- */

static void data_comes_on_a_later_turn_and_in_order(void **state)
{
    struct fixture *f = *state;
    char one[] = "one ", two[] = "two ";
    struct iovec iov[] = {{.iov_base = one, .iov_len = 4}, {.iov_base = two, .iov_len = 4}};
    stream_writev(f->end[0], iov, 2);
    say(f, "three");
    assert_int_equal(f->w[1].calls, 0);
    loop_settle(&f->l);
    assert_got(&f->w[1], "one two three");
    assert_int_equal(f->w[0].drained, 0);
}

static void what_is_not_taken_is_given_again_in_front(void **state)
{
    struct fixture *f = *state;
    f->w[1].take = 2;
    say(f, "abcd");
    loop_settle(&f->l);
    assert_got(&f->w[1], "ab");
    assert_int_equal(f->l.held, 2);
    unsigned calls = f->w[1].calls;
    loop_settle(&f->l);
    assert_int_equal(f->w[1].calls, calls); /* not again before something new comes */
    f->w[1].take = SIZE_MAX;
    say(f, "efg");
    loop_settle(&f->l);
    assert_got(&f->w[1], "abcdefg");
    assert_int_equal(f->w[1].calls, calls + 1);
    assert_int_equal(f->l.held, 0);
}

static void a_paused_stream_gets_nothing_and_then_everything(void **state)
{
    struct fixture *f = *state;
    stream_pause(f->end[1]);
    say(f, "hello");
    loop_settle(&f->l);
    assert_int_equal(f->w[1].calls, 0);
    stream_resume(f->end[1]);
    assert_int_equal(f->w[1].calls, 0); /* never from inside the owner's call */
    loop_settle(&f->l);
    assert_got(&f->w[1], "hello");
}

static void held_bytes_come_back_after_resume(void **state)
{
    struct fixture *f = *state;
    f->w[1].take = 3;
    f->w[1].pauses = true;
    say(f, "abcdefgh");
    loop_settle(&f->l);
    assert_got(&f->w[1], "abc");
    witness_take(&f->w[1], 2); /* takes two, and pauses again */
    assert_got(&f->w[1], "abc");
    loop_settle(&f->l);
    assert_got(&f->w[1], "abcde");
    witness_take(&f->w[1], SIZE_MAX);
    loop_settle(&f->l);
    assert_got(&f->w[1], "abcdefgh");
    assert_int_equal(f->l.held, 0);
}

static void pause_after_resume_takes_it_back(void **state)
{
    struct fixture *f = *state;
    f->w[1].take = 1;
    f->w[1].pauses = true;
    say(f, "ab");
    loop_settle(&f->l);
    witness_take(&f->w[1], SIZE_MAX);
    stream_pause(f->end[1]);
    loop_settle(&f->l);
    assert_got(&f->w[1], "a");
    stream_resume(f->end[1]);
    loop_settle(&f->l);
    assert_got(&f->w[1], "ab");
}

/* Pauses, is resumed, and only then returns without having taken anything. */
static size_t data_resumed_inside(void *owner, struct stream *s, const char *p, size_t n)
{
    struct witness *w = owner;
    if (w->calls++ == 0) {
        stream_pause(s);
        stream_resume(s);
        return 0;
    }
    buf_append(&w->got, p, n);
    return n;
}

static void resume_inside_data_gives_the_rest_again(void **state)
{
    struct fixture *f = *state;
    static const struct stream_events events = {.data = data_resumed_inside};
    stream_own(f->end[1], &events, &f->w[1]);
    say(f, "again");
    loop_settle(&f->l);
    assert_got(&f->w[1], "again");
}

/* ---- handing over ---- */

struct handover {
    struct witness *to;
    size_t take;
    bool pause;
};

static size_t data_hands_over(void *owner, struct stream *s, const char *p UNUSED, size_t n UNUSED)
{
    struct handover *h = owner;
    if (h->pause) {
        stream_pause(s);
    }
    witness_own(h->to, s);
    if (h->pause) {
        stream_resume(s);
    }
    return h->take;
}

static const struct stream_events handover_events = {.data = data_hands_over};

static void the_rest_goes_to_the_next_owner(void **state)
{
    struct fixture *f = *state;
    for (int pause = 0; pause < 2; pause++) {
        struct handover h = {&f->w[1], 5, pause};
        buf_free(&f->w[1].got);
        stream_own(f->end[1], &handover_events, &h);
        say(f, "head\nbody");
        loop_settle(&f->l);
        assert_got(&f->w[1], "body");
    }
}

static void the_rest_of_held_bytes_goes_to_the_next_owner(void **state)
{
    struct fixture *f = *state;
    struct handover h = {&f->w[1], 5, false};
    f->w[1].take = 0;
    say(f, "head\nbo");
    loop_settle(&f->l);
    assert_int_equal(f->l.held, 7);
    stream_own(f->end[1], &handover_events, &h);
    say(f, "dy");
    loop_settle(&f->l);
    assert_got(&f->w[1], "body");
}

static void the_next_owner_is_told_an_end_that_came_before(void **state)
{
    struct fixture *f = *state;
    stream_shutdown(f->end[0]);
    loop_settle(&f->l);
    assert_int_equal(f->w[1].eof, 1);
    witness_own(&f->w[1], f->end[1]);
    loop_settle(&f->l);
    assert_int_equal(f->w[1].eof, 1);
}

/* ---- the end of the peer's direction ---- */

static void the_end_comes_once_after_all_data(void **state)
{
    struct fixture *f = *state;
    say(f, "last");
    stream_shutdown(f->end[0]);
    stream_shutdown(f->end[0]);
    loop_settle(&f->l);
    assert_got(&f->w[1], "last");
    assert_int_equal(f->w[1].eof, 1);
    stream_write(f->end[1], "still", 5); /* the other direction stays open */
    stream_write(f->end[0], "too late", 8);
    loop_settle(&f->l);
    assert_got(&f->w[0], "still");
    assert_got(&f->w[1], "last");
}

static void the_end_waits_for_a_paused_owner(void **state)
{
    struct fixture *f = *state;
    f->w[1].take = 2;
    f->w[1].pauses = true;
    say(f, "last");
    stream_shutdown(f->end[0]);
    loop_settle(&f->l);
    assert_int_equal(f->w[1].eof, 0);
    witness_take(&f->w[1], SIZE_MAX);
    loop_settle(&f->l);
    assert_got(&f->w[1], "last");
    assert_int_equal(f->w[1].eof, 1);
}

static void the_end_is_told_to_an_owner_that_still_waits_for_more(void **state)
{
    struct fixture *f = *state;
    f->w[1].take = 0; /* "not complete yet", not paused */
    say(f, "half a hea");
    stream_shutdown(f->end[0]);
    loop_settle(&f->l);
    assert_int_equal(f->w[1].eof, 1);
}

static void an_end_in_the_turn_of_a_resume_does_not_overtake_held_data(void **state)
{
    struct fixture *f = *state;
    f->w[1].take = 0;
    f->w[1].pauses = true;
    say(f, "held");
    loop_settle(&f->l);
    assert_int_equal(f->l.held, 4);
    witness_take(&f->w[1], SIZE_MAX);
    stream_deliver_eof(f->end[1]); /* as a kind would in the same turn */
    assert_int_equal(f->w[1].eof, 0);
    loop_settle(&f->l);
    assert_got(&f->w[1], "held");
    assert_int_equal(f->w[1].eof, 1);
    assert_false(f->w[1].late);
}

/* ---- outgoing ---- */

static void unsent_bytes_are_counted_and_drained_is_told(void **state)
{
    struct fixture *f = *state;
    stream_pause(f->end[1]);
    say(f, "0123456789abcdef");
    assert_int_equal(stream_pending(f->end[0]), 6);
    assert_int_equal(f->l.held, 6);
    loop_settle(&f->l);
    assert_int_equal(f->w[0].drained, 0);
    stream_resume(f->end[1]);
    loop_settle(&f->l);
    assert_got(&f->w[1], "0123456789abcdef");
    assert_int_equal(f->w[0].drained, 1);
    assert_int_equal(f->l.held, 0);
}

static void written_pieces_stay_in_order_behind_a_tail(void **state)
{
    struct fixture *f = *state;
    char all[27] = "";
    for (int i = 0; i < 26; i += 2) {
        char c[2] = {(char)('a' + i), (char)('b' + i)};
        struct iovec iov[] = {{.iov_base = &c[0], .iov_len = 1}, {.iov_base = &c[1], .iov_len = 1}};
        stream_writev(f->end[0], iov, 2);
        all[i] = c[0];
        all[i + 1] = c[1];
    }
    assert_int_equal(stream_pending(f->end[0]), 16);
    loop_settle(&f->l);
    assert_got(&f->w[1], all);
    assert_int_equal(f->w[0].drained, 1);
}

static void shutdown_waits_for_the_tail(void **state)
{
    struct fixture *f = *state;
    stream_pause(f->end[1]);
    say(f, "0123456789abcdef");
    stream_shutdown(f->end[0]);
    assert_false(f->end[0]->fin_sent);
    stream_resume(f->end[1]);
    loop_settle(&f->l);
    assert_got(&f->w[1], "0123456789abcdef");
    assert_int_equal(f->w[1].eof, 1);
}

static void writes_more_drained(void *owner, struct stream *s)
{
    struct witness *w = owner;
    if (++w->drained < 5) {
        stream_write(s, "0123456789abcdef", 16);
    }
}

static void writing_in_drained_owes_drained_again(void **state)
{
    struct fixture *f = *state;
    static const struct stream_events events = {.drained = writes_more_drained};
    stream_own(f->end[0], &events, &f->w[0]);
    say(f, "0123456789abcdef");
    loop_settle(&f->l);
    assert_int_equal(f->w[0].drained, 5);
    assert_int_equal(f->w[1].bytes, 5 * 16);
}

static void what_the_kind_itself_could_not_send_owes_drained_too(void **state)
{
    struct fixture *f = *state;
    char record[] = "record";
    struct iovec iov = {.iov_base = record, .iov_len = 6};
    memory_set_capacity(f->end[0], 0);
    stream_keep(f->end[0], &iov, 1, 0); /* as TLS does with its own records */
    assert_int_equal(stream_pending(f->end[0]), 6);
    memory_set_capacity(f->end[0], 100);
    loop_settle(&f->l);
    assert_got(&f->w[1], "record");
    assert_int_equal(f->w[0].drained, 1);
}

static void a_farewell_that_has_to_wait_owes_drained(void **state)
{
    struct fixture *f = *state;
    memory_set_farewell(f->end[0], "bye");
    stream_pause(f->end[1]);
    say(f, "0123456789"); /* as much as there is room for */
    stream_write(f->end[0], "abc", 3);
    assert_int_equal(stream_pending(f->end[0]), 3);
    memory_set_capacity(f->end[0], 13); /* room for these, but not for the farewell */
    stream_shutdown(f->end[0]);
    loop_settle(&f->l);
    assert_int_equal(stream_pending(f->end[0]), 3);
    assert_int_equal(f->w[0].drained, 0);
    stream_resume(f->end[1]);
    loop_settle(&f->l);
    assert_got(&f->w[1], "0123456789abcbye");
    assert_int_equal(f->w[1].eof, 1);
    assert_int_equal(f->w[0].drained, 1);
}

/* ---- ends ---- */

static void a_failure_is_told_once_at_the_end_of_the_turn(void **state)
{
    struct fixture *f = *state;
    stream_fail(f->end[1], "first reason");
    stream_fail(f->end[1], "second reason");
    assert_int_equal(f->w[1].closed, 0);
    loop_settle(&f->l);
    assert_int_equal(f->w[1].closed, 1);
    assert_string_equal(f->w[1].why, "first reason");
    assert_int_equal(f->w[0].closed, 1); /* it was torn, and the other end knows */
}

static void a_close_takes_back_an_untold_failure(void **state)
{
    struct fixture *f = *state;
    stream_fail(f->end[1], "reason");
    stream_close(f->end[1]);
    f->w[1].s = NULL;
    loop_settle(&f->l);
    assert_int_equal(f->w[1].closed, 0);
}

static void a_write_to_a_closed_peer_fails_outside_of_the_call(void **state)
{
    struct fixture *f = *state;
    stream_close(f->end[1]);
    f->w[1].s = NULL;
    say(f, "anybody?");
    assert_int_equal(f->w[0].closed, 0);
    say(f, "anybody?");
    loop_settle(&f->l);
    assert_int_equal(f->w[0].closed, 1);
}

static void a_closed_stream_takes_nothing_and_tells_nothing(void **state)
{
    struct fixture *f = *state;
    say(f, "for nobody");
    stream_write(f->end[1], "0123456789abcdef", 16);
    stream_close(f->end[1]);
    f->w[1].s = NULL;
    stream_write(f->end[1], "x", 1);
    stream_shutdown(f->end[1]);
    stream_resume(f->end[1]);
    stream_fail(f->end[1], "no");
    stream_close(f->end[1]);
    stream_abort(f->end[1]);
    loop_settle(&f->l);
    assert_int_equal(f->w[1].calls + f->w[1].eof + f->w[1].closed + f->w[1].drained, 0);
}

struct closer {
    struct stream *s;
    unsigned calls;
    int in; /* which callback closes: 'd'ata, 'e'of, 'w' drained */
    bool abort;
};

static void closer_close(struct closer *c)
{
    if (c->abort) {
        stream_abort(c->s);
    } else {
        stream_close(c->s);
    }
}

static size_t closer_data(void *owner, struct stream *s UNUSED, const char *p, size_t n)
{
    struct closer *c = owner;
    c->calls++;
    if (c->in == 'd') {
        closer_close(c);
        assert_int_equal(p[0], '0'); /* valid until we return, also after the close */
        assert_true(n > 0);
    }
    return c->in == 'h' && c->calls == 1 ? 0 : n;
}

static void closer_eof(void *owner, struct stream *s UNUSED)
{
    struct closer *c = owner;
    c->calls++;
    if (c->in == 'e') {
        closer_close(c);
    }
}

static void closer_drained(void *owner, struct stream *s UNUSED)
{
    struct closer *c = owner;
    c->calls++;
    if (c->in == 'w') {
        closer_close(c);
    }
}

static void closer_closed(void *owner, struct stream *s UNUSED, const char *why UNUSED)
{
    struct closer *c = owner;
    c->calls += 100;
}

static const struct stream_events closer_events = {
    .data = closer_data,
    .eof = closer_eof,
    .drained = closer_drained,
    .closed = closer_closed,
};

static void a_stream_may_be_closed_in_each_of_its_callbacks(void **state)
{
    struct fixture *f = *state;
    (void)f;
    for (int abort = 0; abort < 2; abort++) {
        for (const char *in = "dew"; *in; in++) {
            struct stream *end[2];
            struct witness w;
            memory_pair(&f->l, 10, end);
            struct closer c = {.s = end[1], .in = *in, .abort = abort};
            witness_own(&w, end[0]);
            stream_own(end[1], &closer_events, &c);
            if (*in == 'w') {
                stream_write(end[1], "0123456789abcdef", 16);
            } else {
                stream_write(end[0], "01234", 5);
                stream_shutdown(end[0]);
            }
            loop_settle(&f->l);
            assert_int_equal(c.calls, *in == 'e' ? 2 : 1);
            assert_int_equal(f->l.held, 0);
            witness_end(&w);
        }
    }
}

static void a_stream_may_be_closed_while_held_bytes_are_given_again(void **state)
{
    struct fixture *f = *state;
    struct closer c = {.s = f->end[1], .in = 'h'};
    stream_own(f->end[1], &closer_events, &c);
    say(f, "012");
    loop_settle(&f->l);
    assert_int_equal(c.calls, 1);
    assert_int_equal(f->l.held, 3);
    c.in = 'd';
    say(f, "345");
    loop_settle(&f->l);
    f->w[1].s = NULL;
    assert_int_equal(c.calls, 2);
    assert_int_equal(f->l.held, 0);
}

static void a_closed_end_delivers_what_it_sent_and_an_aborted_one_breaks(void **state)
{
    struct fixture *f = *state;
    say(f, "bye");
    stream_close(f->end[0]);
    f->w[0].s = NULL;
    loop_settle(&f->l);
    assert_got(&f->w[1], "bye");
    assert_int_equal(f->w[1].eof, 1);
    stream_abort(f->end[1]);
    f->w[1].s = NULL;
    struct stream *end[2];
    struct witness w;
    memory_pair(&f->l, 10, end);
    witness_own(&w, end[1]);
    stream_abort(end[0]);
    loop_settle(&f->l);
    assert_int_equal(w.closed, 1);
    witness_end(&w);
}

static void an_unowned_stream_keeps_its_bytes_for_the_first_owner(void **state)
{
    struct fixture *f = *state;
    struct stream *end[2];
    struct witness w[2];
    memory_pair(&f->l, MEMORY_ENDLESS, end);
    witness_own(&w[0], end[0]);
    stream_write(end[0], "early", 5);
    loop_settle(&f->l);
    witness_own(&w[1], end[1]);
    loop_settle(&f->l);
    assert_got(&w[1], "early");
    witness_end(&w[0]);
    witness_end(&w[1]);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define N(f) cmocka_unit_test_setup_teardown(f, setup_narrow, teardown)
    const struct CMUnitTest tests[] = {
        T(data_comes_on_a_later_turn_and_in_order),
        T(what_is_not_taken_is_given_again_in_front),
        T(a_paused_stream_gets_nothing_and_then_everything),
        T(held_bytes_come_back_after_resume),
        T(pause_after_resume_takes_it_back),
        T(resume_inside_data_gives_the_rest_again),
        T(the_rest_goes_to_the_next_owner),
        T(the_rest_of_held_bytes_goes_to_the_next_owner),
        T(the_next_owner_is_told_an_end_that_came_before),
        T(the_end_comes_once_after_all_data),
        T(the_end_waits_for_a_paused_owner),
        T(the_end_is_told_to_an_owner_that_still_waits_for_more),
        T(an_end_in_the_turn_of_a_resume_does_not_overtake_held_data),
        N(unsent_bytes_are_counted_and_drained_is_told),
        N(written_pieces_stay_in_order_behind_a_tail),
        N(shutdown_waits_for_the_tail),
        N(writing_in_drained_owes_drained_again),
        N(a_farewell_that_has_to_wait_owes_drained),
        T(what_the_kind_itself_could_not_send_owes_drained_too),
        T(a_failure_is_told_once_at_the_end_of_the_turn),
        T(a_close_takes_back_an_untold_failure),
        T(a_write_to_a_closed_peer_fails_outside_of_the_call),
        T(a_closed_stream_takes_nothing_and_tells_nothing),
        T(a_stream_may_be_closed_in_each_of_its_callbacks),
        T(a_stream_may_be_closed_while_held_bytes_are_given_again),
        T(a_closed_end_delivers_what_it_sent_and_an_aborted_one_breaks),
        T(an_unowned_stream_keeps_its_bytes_for_the_first_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
