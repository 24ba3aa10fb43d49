/* What an administrator's look at Nextcloud asks it: at most one thing, of what tells something, and never what
 * was answered a moment ago. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/base/buf.h"
#include "hub/access/exapps.h"
#include "hub/access/nextcloud_check.h"
#include "hub/hub.h"
#include "memory_stream.h"
#include "nextcloud_stub.h"

struct fixture {
    struct hub hub;
    struct nextcloud_checks *checks;
    unsigned told;
};

static struct fixture *f;

static int set_up(void **state UNUSED)
{
    f = calloc(1, sizeof(*f));
    assert_int_equal(loop_init(&f->hub.loop, NULL), 0);
    f->hub.settings.exapp_lifetime = 60000;
    f->hub.exapps = exapps_new(&f->hub);
    f->checks = nextcloud_checks_new(&f->hub);
    stub_reset();
    return f->hub.exapps ? 0 : -1;
}

static int tear_down(void **state UNUSED)
{
    nextcloud_checks_free(f->checks);
    exapps_free(f->hub.exapps);
    loop_free(&f->hub.loop);
    free(f);
    return 0;
}

static void done(void *owner)
{
    assert_ptr_equal(owner, f);
    f->told++;
}

static struct nextcloud_check *check(void)
{
    unsigned before = f->told;
    struct nextcloud_check *c = nextcloud_check_start(f->checks, done, f);
    assert_non_null(c);
    assert_int_equal(f->told, before); /* from the loop, whatever is known */
    return c;
}

/* A check that needs no question: it is told by the next turn. */
static void check_without_a_question(void)
{
    unsigned asked = stub_asked, before = f->told;
    check();
    assert_int_equal(stub_asked, asked);
    loop_settle(&f->hub.loop);
    assert_int_equal(f->told, before + 1);
}

/* The loop's clock stands still between turns; each turn sets it back to the real one. */
static void pass(uint64_t ms)
{
    f->hub.loop.uv.time += ms;
}

static void push(const char *id)
{
    struct exapp_meta m = {.port = 23005, .nroutes = 1};
    m.id = xstrndup(id, strlen(id));
    m.token = xstrndup("secret", 6);
    m.version = xstrndup("1.2.3", 5);
    m.host = xstrndup("127.0.0.1", 9);
    m.routes = xcalloc(1, sizeof(*m.routes));
    m.routes[0].url = xstrndup("^/", 2);
    assert_int_equal(exapps_push(f->hub.exapps, &m), 0);
}

static void declare(const char *id)
{
    struct exapp_route route = {.url = (char[]){"^/"}};
    struct exapp_meta m = {.id = (char *)id,
                           .token = (char[]){"t"},
                           .version = (char[]){"1"},
                           .host = (char[]){"127.0.0.1"},
                           .port = 23006,
                           .routes = &route,
                           .nroutes = 1};
    char err[200];
    assert_int_equal(exapps_declare(f->hub.exapps, &m, err, sizeof(err)), 0);
}

/* As nextcloud.c does, it notes what came, and then tells. */
static void answer(unsigned i, enum nextcloud_result result)
{
    struct nextcloud_facts *facts = &f->hub.facts;
    nextcloud_fact_set(result == NEXTCLOUD_FAILED ? &facts->failed : &facts->answered,
                       loop_now(&f->hub.loop), "x");
    stub_answer(i, &(struct nextcloud_answer){.result = result, .why = "x"});
}

static void without_an_exapp_its_page_for_monitoring_is_asked(void **state)
{
    (void)state;
    declare("declared"); /* Nextcloud does not know it */
    check();
    assert_int_equal(stub_asked, 1);
    assert_string_equal(stub_calls[0].id, "");
    answer(0, NEXTCLOUD_YES);
    assert_int_equal(f->told, 1);
}

static void an_exapp_that_it_told_of_is_asked_for(void **state)
{
    (void)state;
    declare("declared");
    push("sample");
    check();
    assert_int_equal(stub_asked, 1);
    assert_string_equal(stub_calls[0].id, "sample");
    answer(0, NEXTCLOUD_YES);
    assert_int_equal(f->told, 1);
}

static void checks_at_the_same_time_share_one_question(void **state)
{
    (void)state;
    check();
    check();
    struct nextcloud_check *c = check();
    assert_int_equal(stub_asked, 1);
    nextcloud_check_cancel(c);
    answer(0, NEXTCLOUD_YES);
    assert_int_equal(f->told, 2);
}

static void a_fresh_answer_is_used_again(void **state)
{
    (void)state;
    check();
    answer(0, NEXTCLOUD_YES);
    pass(NEXTCLOUD_CHECK_FRESH_MS - 1);
    unsigned before = stub_asked;
    nextcloud_check_cancel(check());
    assert_int_equal(stub_asked, before);
    pass(1);
    check();
    assert_int_equal(stub_asked, before + 1);
    answer(1, NEXTCLOUD_YES);
}

static void a_refusal_is_not_asked_for_again_soon_and_then_of_another_exapp(void **state)
{
    char first[EXAPP_ID_MAX + 1];
    (void)state;
    push("one");
    push("two");
    check();
    memcpy(first, stub_calls[0].id, sizeof(first));
    answer(0, NEXTCLOUD_NO);
    pass(NEXTCLOUD_CHECK_REFUSED_MS - 1);
    nextcloud_check_cancel(check());
    assert_int_equal(stub_asked, 1);
    pass(1);
    check();
    assert_int_equal(stub_asked, 2);
    assert_string_not_equal(stub_calls[1].id, first);
    answer(1, NEXTCLOUD_YES);
    assert_int_equal(f->told, 2);
}

/* With one ExApp alone there is no other. */
static void the_only_exapp_is_asked_for_again(void **state)
{
    (void)state;
    push("one");
    check();
    answer(0, NEXTCLOUD_NO);
    pass(NEXTCLOUD_CHECK_REFUSED_MS);
    check();
    assert_string_equal(stub_calls[1].id, "one");
    answer(1, NEXTCLOUD_NO);
}

static void a_failure_is_asked_about_again_at_once(void **state)
{
    (void)state;
    check();
    answer(0, NEXTCLOUD_FAILED);
    check();
    assert_int_equal(stub_asked, 2);
    pass(1);
    answer(1, NEXTCLOUD_YES);
    check_without_a_question();
}

static void what_clients_made_the_hub_ask_counts(void **state)
{
    (void)state;
    uint64_t now = loop_now(&f->hub.loop);
    nextcloud_fact_set(&f->hub.facts.answered, now, "user-info");
    nextcloud_fact_set(&f->hub.facts.accepted, now, "user-info");
    check_without_a_question();
    nextcloud_fact_set(&f->hub.facts.failed, loop_now(&f->hub.loop) + 1, "gone");
    check();
    assert_int_equal(stub_asked, 1);
    answer(0, NEXTCLOUD_YES);
}

static void without_a_nextcloud_nothing_is_asked(void **state)
{
    (void)state;
    stub_absent = true;
    check_without_a_question();
    assert_int_equal(f->hub.facts.failed.at, 0);
}

static void a_full_line_is_told(void **state)
{
    (void)state;
    stub_full = true;
    check_without_a_question();
    assert_string_equal(f->hub.facts.failed.text, "too many requests to it wait already");
}

static void what_takes_too_long_is_given_up(void **state)
{
    (void)state;
    check();
    assert_int_equal(f->hub.loop.timers.len, 1);
    struct timer *t = f->hub.loop.timers.heap[0];
    assert_int_equal(t->due, loop_now(&f->hub.loop) + NEXTCLOUD_CHECK_MS);
    timer_clear(t);
    t->fire(t);
    assert_true(stub_calls[0].cancelled);
    assert_int_equal(f->told, 1);
    assert_string_equal(f->hub.facts.failed.text, "no answer within 5000 ms");
}

static void cancelled_it_says_nothing(void **state)
{
    (void)state;
    struct nextcloud_check *c = check();
    nextcloud_check_cancel(c);
    answer(0, NEXTCLOUD_YES); /* good for the next one */
    c = check();
    assert_int_equal(stub_asked, 1);
    nextcloud_check_cancel(c);
    loop_settle(&f->hub.loop);
    assert_int_equal(f->told, 0);
    pass(NEXTCLOUD_CHECK_FRESH_MS);
    nextcloud_check_cancel(check());
    assert_int_equal(stub_asked, 2); /* tear_down ends it */
}

static void facts_are_printable_and_bounded(void **state)
{
    struct nextcloud_fact fact, other = {0};
    char long_text[600];
    (void)state;
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    nextcloud_fact_set(&fact, 0, "a\x1b[2J\n\xc3\xa9 %s", long_text);
    assert_int_equal(fact.at, 1); /* it happened */
    assert_int_equal(strlen(fact.text), NEXTCLOUD_FACT_MAX - 1);
    assert_memory_equal(fact.text, "a?[2J??? xxx", 12);
    assert_true(nextcloud_fact_stands(&fact, &other));
    assert_false(nextcloud_fact_stands(&other, &fact));
    other.at = 2;
    assert_false(nextcloud_fact_stands(&fact, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(without_an_exapp_its_page_for_monitoring_is_asked),
        TEST(an_exapp_that_it_told_of_is_asked_for),
        TEST(checks_at_the_same_time_share_one_question),
        TEST(a_fresh_answer_is_used_again),
        TEST(a_refusal_is_not_asked_for_again_soon_and_then_of_another_exapp),
        TEST(the_only_exapp_is_asked_for_again),
        TEST(a_failure_is_asked_about_again_at_once),
        TEST(what_clients_made_the_hub_ask_counts),
        TEST(without_a_nextcloud_nothing_is_asked),
        TEST(a_full_line_is_told),
        TEST(what_takes_too_long_is_given_up),
        TEST(cancelled_it_says_nothing),
        TEST(facts_are_printable_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
