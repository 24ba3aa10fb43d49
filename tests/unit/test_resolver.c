/* Names to addresses: off the loop, within a limit, one question for all who ask, remembered for a
 * moment. This file's getaddrinfo stands in for the system's (libuv's calls come here, too), so that no
 * name server is asked and a look-up can hang. */
#include <stdarg.h>
#include <setjmp.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/loop/resolver.h"
#include "common/stream/dial.h"

enum { LIMIT_MS = 50 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool hangs; /* what `stuck` names */
static unsigned questions;

int getaddrinfo(const char *name, const char *service UNUSED, const struct addrinfo *hints UNUSED,
                struct addrinfo **res)
{
    struct sockaddr_in *sa = calloc(1, sizeof(*sa));
    struct addrinfo *info = calloc(1, sizeof(*info));
    pthread_mutex_lock(&lock);
    questions++;
    while (strcmp(name, "stuck") == 0 && hangs) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
    sa->sin_family = AF_INET;
    info->ai_addr = (struct sockaddr *)sa;
    info->ai_addrlen = sizeof(*sa);
    *res = info;
    return 0;
}

void freeaddrinfo(struct addrinfo *info)
{
    free(info->ai_addr);
    free(info);
}

static void set_hangs(bool yes)
{
    pthread_mutex_lock(&lock);
    hangs = yes;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

struct fixture {
    struct loop loop;
    struct resolver *resolver;
};

struct asker {
    unsigned told;
    struct resolved answer;
    struct lookup *other; /* to be cancelled when told */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    set_hangs(true);
    questions = 0;
    assert_int_equal(loop_init(&f->loop, NULL), 0);
    f->resolver = resolver_new(&f->loop, RESOLVER_LIMIT_MS);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    set_hangs(false);
    loop_free(&f->loop);
    resolver_free(f->resolver);
    free(f);
    return 0;
}

static void on_told(void *owner, const struct resolved *r)
{
    struct asker *a = owner;
    a->told++;
    a->answer = *r;
    if (a->other) {
        resolver_cancel(a->other);
        a->other = NULL;
    }
}

static struct lookup *ask_at(struct resolver *r, const char *name, struct asker *a)
{
    *a = (struct asker){0};
    struct lookup *q = resolver_ask(r, name, &a->answer, on_told, a);
    assert_int_equal(a->told, 0); /* never from inside */
    return q;
}

static struct lookup *ask(struct fixture *f, const char *name, struct asker *a)
{
    return ask_at(f->resolver, name, a);
}

static void addresses_are_there_at_once(void **state)
{
    struct fixture *f = *state;
    struct asker a;
    assert_null(ask(f, "192.0.2.1", &a));
    assert_int_equal(a.answer.n, 1);
    assert_int_equal(a.answer.sa[0].ss_family, AF_INET);
    assert_null(ask(f, "2001:db8::1", &a));
    assert_int_equal(a.answer.sa[0].ss_family, AF_INET6);
}

static void all_who_ask_for_a_name_are_told_and_it_is_remembered(void **state)
{
    struct fixture *f = *state;
    struct asker a, b, c;
    assert_non_null(ask(f, "somewhere", &a));
    assert_non_null(ask(f, "SomeWhere", &b));
    while (a.told + b.told < 2) {
        uv_run(&f->loop.uv, UV_RUN_ONCE);
    }
    assert_int_equal(a.told, 1);
    assert_int_equal(b.told, 1);
    assert_true(a.answer.n == 1 && b.answer.n == 1);
    assert_int_equal(questions, 1);
    assert_null(ask(f, "somewhere", &c));
    assert_int_equal(c.answer.n, a.answer.n);
}

static void one_who_leaves_does_not_take_the_answer_from_the_others(void **state)
{
    struct fixture *f = *state;
    struct asker a, b, c;
    struct lookup *first = ask(f, "somewhere", &a);
    assert_non_null(ask(f, "somewhere", &b));
    resolver_cancel(first);
    while (b.told == 0) {
        uv_run(&f->loop.uv, UV_RUN_ONCE);
    }
    assert_int_equal(a.told, 0);
    assert_null(ask(f, "somewhere", &c));
}

static void who_is_told_may_cancel_another(void **state)
{
    struct fixture *f = *state;
    struct asker a, b;
    struct lookup *first = ask(f, "somewhere", &a);
    struct lookup *second = ask(f, "somewhere", &b);
    a.other = second;
    b.other = first;
    while (a.told + b.told == 0) {
        uv_run(&f->loop.uv, UV_RUN_ONCE);
    }
    uv_run(&f->loop.uv, UV_RUN_NOWAIT);
    assert_int_equal(a.told + b.told, 1);
}

static void nobody_is_told_after_all_have_left(void **state)
{
    struct fixture *f = *state;
    struct asker a, b, again;
    struct lookup *first = ask(f, "somewhere", &a), *second = ask(f, "somewhere", &b);
    resolver_cancel(second);
    resolver_cancel(first);
    assert_non_null(ask(f, "somewhere", &again)); /* does not join what was given up */
    while (again.told == 0) {
        uv_run(&f->loop.uv, UV_RUN_ONCE);
    }
    assert_int_equal(a.told + b.told, 0);
}

static void a_look_up_that_hangs_is_given_up(void **state)
{
    struct fixture *f = *state;
    struct resolver *hasty = resolver_new(&f->loop, LIMIT_MS);
    struct asker a, b, c;
    assert_non_null(ask_at(hasty, "stuck", &a));
    assert_non_null(ask_at(hasty, "stuck", &b));
    assert_non_null(ask(f, "somewhere", &c)); /* and holds up nobody else */
    while (a.told + b.told + c.told < 3) {
        uv_run(&f->loop.uv, UV_RUN_ONCE);
    }
    assert_int_equal(c.answer.n, 1);
    assert_int_equal(a.answer.n, 0);
    assert_true(a.answer.timed_out && b.answer.timed_out);
    assert_non_null(strstr(a.answer.why, "too long"));
    resolver_free(hasty); /* what comes too late is for nobody */
}

/* Name servers that are away for days: what is asked again and again must not pile up behind the threads
 * that wait for them, to be worked off one after the other when they are back. */
static void look_ups_that_were_given_up_do_not_wait_in_line(void **state)
{
    enum { ASKED = 12, THREADS = 4 };
    struct fixture *f = *state;
    struct resolver *hasty = resolver_new(&f->loop, LIMIT_MS);
    struct asker a;
    for (int i = 0; i < ASKED; i++) {
        assert_non_null(ask_at(hasty, "stuck", &a));
        while (a.told == 0) {
            uv_run(&f->loop.uv, UV_RUN_ONCE);
        }
    }
    set_hangs(false);
    assert_non_null(ask(f, "somewhere", &a));
    while (a.told == 0) {
        uv_run(&f->loop.uv, UV_RUN_ONCE);
    }
    pthread_mutex_lock(&lock);
    unsigned reached = questions; /* an assertion that failed would keep the lock */
    pthread_mutex_unlock(&lock);
    assert_true(reached <= THREADS + 1);
    resolver_free(hasty);
}

struct dialled {
    unsigned told;
    bool timed_out;
    char why[160];
};

static void on_dialled(void *owner, struct stream *s, bool timed_out, const char *why)
{
    struct dialled *d = owner;
    assert_null(s);
    d->told++;
    d->timed_out = timed_out;
    snprintf(d->why, sizeof(d->why), "%s", why);
}

static void a_dial_to_a_name_that_hangs_ends_by_the_look_ups_limit(void **state)
{
    struct fixture *f = *state;
    struct resolver *hasty = resolver_new(&f->loop, LIMIT_MS);
    struct dialled d = {0};
    dial_start(&f->loop, hasty, "stuck", 80, 60000, on_dialled, &d);
    while (d.told == 0) {
        uv_run(&f->loop.uv, UV_RUN_ONCE);
    }
    assert_true(d.timed_out);
    assert_non_null(strstr(d.why, "looking the name up took too long"));
    resolver_free(hasty);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(addresses_are_there_at_once),
        TEST(all_who_ask_for_a_name_are_told_and_it_is_remembered),
        TEST(one_who_leaves_does_not_take_the_answer_from_the_others),
        TEST(who_is_told_may_cancel_another),
        TEST(nobody_is_told_after_all_have_left),
        TEST(a_look_up_that_hangs_is_given_up),
        TEST(look_ups_that_were_given_up_do_not_wait_in_line),
        TEST(a_dial_to_a_name_that_hangs_ends_by_the_look_ups_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
