/* Timers: order, being pushed away, being pulled nearer, being stopped, from inside their own calls. */
#include "common/loop/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/memory_stream.h"

struct ticker {
    struct timer t;
    struct loop *l;
    unsigned fired;
    uint64_t at;     /* loop time of the last firing */
    unsigned *order; /* counts firings of all tickers */
    unsigned place;  /* which of them this was */
    uint64_t again;  /* ms until it sets itself anew */
    struct ticker *stops, *sets;
};

static void fire(struct timer *t)
{
    struct ticker *k = CONTAINER_OF(t, struct ticker, t);
    k->fired++;
    k->at = loop_now(k->l);
    if (k->order) {
        k->place = ++*k->order;
    }
    if (k->again && k->fired < 5) {
        timer_set(k->l, t, k->again);
    }
    if (k->stops) {
        timer_remove(k->l, &k->stops->t);
    }
    if (k->sets) {
        timer_set(k->l, &k->sets->t, 1);
    }
}

static void ticker_init(struct ticker *k, struct loop *l)
{
    *k = (struct ticker){.l = l, .t.fire = fire};
}

static int setup(void **state)
{
    struct loop *l = malloc(sizeof(*l));
    *state = l;
    return loop_init(l, NULL);
}

static int teardown(void **state)
{
    loop_free(*state);
    free(*state);
    return 0;
}

static void fires_once_and_not_early(void **state)
{
    struct loop *l = *state;
    struct ticker k;
    ticker_init(&k, l);
    uint64_t start = loop_now(l);
    timer_set(l, &k.t, 20);
    assert_true(loop_until_set(l, &k.fired, 2000));
    assert_true(k.at - start >= 20);
    loop_for(l, 40);
    assert_int_equal(k.fired, 1);
}

static void many_fire_in_the_order_of_their_deadlines(void **state)
{
    struct loop *l = *state;
    enum { N = 300 };
    static struct ticker k[N];
    unsigned order = 0, seed = 7;
    for (int i = 0; i < N; i++) {
        ticker_init(&k[i], l);
        k[i].order = &order;
        timer_set(l, &k[i].t, 1 + (unsigned)rand_r(&seed) % 40);
    }
    for (int i = 0; i < N; i += 3) { /* some move, both ways, some go */
        timer_set(l, &k[i].t, 1 + (unsigned)rand_r(&seed) % 40);
    }
    for (int i = 1; i < N; i += 7) {
        timer_remove(l, &k[i].t);
    }
    loop_for(l, 80);
    for (int i = 0; i < N; i++) {
        bool removed = i % 7 == 1;
        assert_int_equal(k[i].fired, removed ? 0 : 1);
        for (int j = 0; j < N; j++) {
            if (k[i].fired && k[j].fired && k[i].place < k[j].place) {
                assert_true(k[i].at <= k[j].at);
            }
        }
    }
    assert_int_equal(l->timers.len, 0);
}

static void the_heap_is_in_order_after_any_change(void **state)
{
    struct loop *l = *state;
    enum { N = 100 };
    static struct ticker k[N];
    unsigned seed = 4;
    for (int i = 0; i < N; i++) {
        ticker_init(&k[i], l);
    }
    for (int round = 0; round < 20000; round++) {
        struct timer *t = &k[rand_r(&seed) % N].t;
        if (rand_r(&seed) % 3 == 0) {
            timer_remove(l, t);
        } else {
            timer_set(l, t, 100000 + (unsigned)rand_r(&seed) % 100000);
        }
        for (uint32_t i = 0; i < l->timers.len; i++) {
            const struct timer *at = l->timers.heap[i];
            assert_int_equal(at->slot, i + 1);
            assert_true(at->key <= at->due);
            assert_true(i == 0 || l->timers.heap[(i - 1) / 2]->key <= at->key);
        }
    }
    for (int i = 0; i < N; i++) {
        timer_remove(l, &k[i].t);
    }
}

static void pushing_a_deadline_away_holds_it(void **state)
{
    struct loop *l = *state;
    struct ticker k;
    ticker_init(&k, l);
    uint64_t start = loop_now(l);
    timer_set(l, &k.t, 10);
    timer_set(l, &k.t, 60);
    loop_for(l, 30);
    assert_int_equal(k.fired, 0);
    assert_true(loop_until_set(l, &k.fired, 2000));
    assert_true(k.at - start >= 60);
}

static void pulling_a_deadline_nearer_counts(void **state)
{
    struct loop *l = *state;
    struct ticker k, other;
    ticker_init(&k, l);
    ticker_init(&other, l);
    timer_set(l, &other.t, 30000);
    timer_set(l, &k.t, 20000);
    timer_set(l, &k.t, 10);
    assert_true(loop_until_set(l, &k.fired, 2000));
    timer_remove(l, &other.t);
}

static void pushed_away_then_nearer_again(void **state)
{
    struct loop *l = *state;
    struct ticker k;
    ticker_init(&k, l);
    timer_set(l, &k.t, 10);
    timer_set(l, &k.t, 30000);
    timer_set(l, &k.t, 40);
    loop_for(l, 25);
    assert_int_equal(k.fired, 0);
    assert_true(loop_until_set(l, &k.fired, 2000));
}

static void a_cleared_timer_stays_silent_until_set_again(void **state)
{
    struct loop *l = *state;
    struct ticker k;
    ticker_init(&k, l);
    timer_set(l, &k.t, 10);
    timer_clear(&k.t);
    loop_for(l, 30);
    assert_int_equal(k.fired, 0);
    timer_set(l, &k.t, 10);
    timer_clear(&k.t);
    timer_set(l, &k.t, 20); /* while the old entry is still in the heap */
    assert_true(loop_until_set(l, &k.fired, 2000));
    timer_set(l, &k.t, 10);
    timer_set(l, &k.t, 0);
    loop_for(l, 30);
    assert_int_equal(k.fired, 1);
}

static void a_timer_may_set_itself_anew(void **state)
{
    struct loop *l = *state;
    struct ticker k;
    ticker_init(&k, l);
    k.again = 3;
    timer_set(l, &k.t, 3);
    loop_for(l, 60);
    assert_int_equal(k.fired, 5);
}

static void a_timer_may_stop_and_set_others(void **state)
{
    struct loop *l = *state;
    struct ticker k, victim, late;
    ticker_init(&k, l);
    ticker_init(&victim, l);
    ticker_init(&late, l);
    k.stops = &victim;
    k.sets = &late;
    timer_set(l, &k.t, 10);
    timer_set(l, &victim.t, 10); /* due in the same tick, behind k */
    timer_set(l, &late.t, 30000);
    loop_for(l, 40);
    assert_int_equal(k.fired, 1);
    assert_int_equal(victim.fired, 0);
    assert_int_equal(late.fired, 1);
}

static void a_removed_timer_may_be_freed(void **state)
{
    struct loop *l = *state;
    for (int i = 0; i < 50; i++) {
        struct ticker *k = malloc(sizeof(*k));
        ticker_init(k, l);
        timer_set(l, &k->t, 1 + (unsigned)i % 5);
        timer_set(l, &k->t, 20);
        timer_remove(l, &k->t);
        timer_remove(l, &k->t);
        free(k);
    }
    loop_for(l, 30);
    assert_int_equal(l->timers.len, 0);
}

static void removed_timers_do_not_keep_the_loop_running(void **state)
{
    struct loop *l = *state;
    struct ticker k;
    ticker_init(&k, l);
    timer_set(l, &k.t, 5000);
    timer_remove(l, &k.t);
    uint64_t start = uv_hrtime();
    loop_run(l);
    assert_true(uv_hrtime() - start < 2000000000ULL);
    timer_set(l, &k.t, 5); /* and the clockwork still goes */
    assert_true(loop_until_set(l, &k.fired, 2000));
}

struct count_task {
    struct loop_task task;
    struct loop *l;
    unsigned runs, again;
    struct count_task *cancels;
};

static void count(struct loop_task *task)
{
    struct count_task *c = CONTAINER_OF(task, struct count_task, task);
    c->runs++;
    if (c->again > 0) {
        c->again--;
        loop_defer(c->l, task);
    }
    if (c->cancels) {
        loop_cancel(&c->cancels->task);
    }
}

static void a_task_runs_once_however_often_deferred(void **state)
{
    struct loop *l = *state;
    struct count_task a = {.task.run = count, .l = l}, b = a, c = a;
    a.cancels = &b;
    c.again = 2;
    loop_defer(l, &a.task);
    loop_defer(l, &a.task);
    loop_defer(l, &b.task);
    loop_defer(l, &c.task);
    assert_int_equal(a.runs, 0);
    loop_settle(l);
    assert_int_equal(a.runs, 1);
    assert_int_equal(b.runs, 0);
    assert_int_equal(c.runs, 3);
    loop_cancel(&a.task); /* of one that is not queued: nothing */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(fires_once_and_not_early),
        T(many_fire_in_the_order_of_their_deadlines),
        T(the_heap_is_in_order_after_any_change),
        T(pushing_a_deadline_away_holds_it),
        T(pulling_a_deadline_nearer_counts),
        T(pushed_away_then_nearer_again),
        T(a_cleared_timer_stays_silent_until_set_again),
        T(a_timer_may_set_itself_anew),
        T(a_timer_may_stop_and_set_others),
        T(a_removed_timer_may_be_freed),
        T(removed_timers_do_not_keep_the_loop_running),
        T(a_task_runs_once_however_often_deferred),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
