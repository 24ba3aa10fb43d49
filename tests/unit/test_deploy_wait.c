/* wait_for_start: what is made of the states that a container is seen in, half a second apart. Time is the
 * test's: it goes on to the next look and no further. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/deploy_bench.h"

#define A "{\"name\":\"a\"}"
#define INSPECT "GET /containers/nc_app_a/json"
/* An inspect's answer: state, health as JSON, when it was started, how often again, exit code. */
#define SEEN(status, health, at, count, code)                                                      \
    ("{\"State\":{\"Status\":\"" status "\",\"Health\":" health ",\"StartedAt\":\"" at             \
     "\",\"ExitCode\":" code "},\"RestartCount\":" count "}")
#define STATE(status) SEEN(status, "null", "t0", "0", "0")
#define RUNS STATE("running")
#define HEALTH(status) SEEN("running", "{\"Status\":\"" status "\"}", "t0", "0", "0")
#define STARTED "{\"started\":true,\"status\":\"running\",\"health\":null}"

static uint64_t began; /* of the operation, in the loop's time */

static void begin(void)
{
    bench_wait(1000);
    began = loop_now(&bench->hub.loop);
    bench_start(DEPLOY_WAIT, A);
}

/* Lets the time pass until it looks again, which must be after so many ms of all. */
static void look(uint64_t at)
{
    struct timer *t = &bench->d->timer;
    bench_goes_on();
    stub_expect_none();
    assert_true(t->due > 0);
    assert_int_equal(t->due - began, at);
    bench_wait(t->due - loop_now(&bench->hub.loop));
    timer_clear(t);
    t->fire(t);
}

/* The answer to each look, 500 ms apart; the last one ends it with this JSON. */
#define SEE(...)                                                                                   \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void check(const char *const *answers, const char *json)
{
    begin();
    for (unsigned i = 0; answers[i]; i++) {
        if (i > 0) {
            look(500 * (uint64_t)i);
        }
        stub_step(INSPECT, 200, answers[i]);
    }
    bench_ended_json(200, json);
}

/* The same answer for so many looks; then it goes on. */
static unsigned see(unsigned from, unsigned looks, const char *answer)
{
    for (unsigned i = from; i < from + looks; i++) {
        if (i > 0) {
            look(500 * (uint64_t)i);
        }
        stub_step(INSPECT, 200, answer);
        if (i + 1 < from + looks) {
            bench_goes_on();
        }
    }
    return from + looks;
}

/* ---- without a health check ---- */

static void one_that_runs_for_a_second_is_started(void **state)
{
    (void)state;
    check(SEE(RUNS, RUNS, RUNS), STARTED);
    check(SEE(STATE("created"), STATE("created"), RUNS, RUNS, RUNS), STARTED);
    check(SEE(STATE("created"), RUNS, STATE("created"), RUNS, RUNS, RUNS), STARTED);
}

static void one_that_ended_is_told_with_its_state(void **state)
{
    (void)state;
    check(SEE(STATE("exited")), "{\"started\":false,\"status\":\"exited\",\"health\":null,"
                                "\"reason\":\"non-recoverable state: exited\"}");
    check(SEE(STATE("paused")), "{\"started\":false,\"status\":\"paused\",\"health\":null,"
                                "\"reason\":\"non-recoverable state: paused\"}");
    check(SEE(STATE("created"), STATE("dead")),
          "{\"started\":false,\"status\":\"dead\",\"health\":null,"
          "\"reason\":\"non-recoverable state: dead\"}");
    check(SEE(RUNS, RUNS, STATE("exited")),
          "{\"started\":false,\"status\":\"exited\",\"health\":null,"
          "\"reason\":\"non-recoverable state: exited\"}");
}

static void one_that_is_not_there_is_told_so(void **state)
{
    static const char json[] =
        "{\"started\":false,\"status\":\"not_found\",\"reason\":\"container not found\"}";
    (void)state;
    begin();
    stub_step(INSPECT, 404, MESSAGE("no"));
    bench_ended_json(200, json);
    begin();
    see(0, 2, RUNS);
    look(1000);
    stub_step(INSPECT, 404, MESSAGE("no"));
    bench_ended_json(200, json);
}

/* ---- with one ---- */

static void a_health_check_decides(void **state)
{
    (void)state;
    check(SEE(HEALTH("healthy")),
          "{\"started\":true,\"status\":\"running\",\"health\":\"healthy\"}");
    check(SEE(HEALTH("starting"), HEALTH("starting"), HEALTH("starting"), HEALTH("starting"),
              HEALTH("healthy")),
          "{\"started\":true,\"status\":\"running\",\"health\":\"healthy\"}");
    check(SEE(HEALTH("starting"), HEALTH("unhealthy")),
          "{\"started\":true,\"status\":\"running\",\"health\":\"unhealthy\",\"reason\":"
          "\"unhealthy\"}");
    check(SEE(STATE("created"), HEALTH("unhealthy")),
          "{\"started\":true,\"status\":\"running\",\"health\":\"unhealthy\",\"reason\":"
          "\"unhealthy\"}");
    check(SEE(HEALTH("starting"), SEEN("exited", "{\"Status\":\"starting\"}", "t0", "0", "3")),
          "{\"started\":false,\"status\":\"exited\",\"health\":\"starting\","
          "\"reason\":\"non-recoverable state: exited\"}");
}

static void no_health_check_is_spelled_in_several_ways(void **state)
{
    static const char *const ways[] = {
        HEALTH("none"),
        HEALTH(""), /* Podman */
        SEEN("running", "{}", "t0", "0", "0"),
        SEEN("running", "5", "t0", "0", "0"),
        "{\"State\":{\"Status\":\"running\"}}",
        "{\"State\":{\"Status\":\"running\",\"StartedAt\":5,\"ExitCode\":\"x\"},\"RestartCount\":"
        "null}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        check(SEE(ways[i], ways[i], ways[i]), STARTED);
    }
}

/* ---- restarts ---- */

#define AGAIN(code)                                                                                \
    "{\"started\":false,\"status\":\"restarting\",\"health\":null,\"reason\":"                     \
    "\"the container ends and is started again: exit code " code "\"}"
#define ENDED                                                                                      \
    "{\"started\":false,\"status\":\"restarting\",\"health\":null,\"reason\":"                     \
    "\"the container ended and was started again\"}"

static void one_that_crashes_is_not_started(void **state)
{
    (void)state;
    check(SEE(SEEN("restarting", "null", "t0", "1", "7")), AGAIN("7"));
    check(SEE(RUNS, SEEN("restarting", "null", "t0", "1", "255")), AGAIN("255"));
    /* seen running each time, but the count goes up: the code shows when it has ended once more */
    check(SEE(RUNS, SEEN("running", "null", "t1", "1", "0"),
              SEEN("running", "null", "t2", "2", "0"), SEEN("restarting", "null", "t2", "3", "1")),
          AGAIN("1"));
    check(
        SEE(RUNS, SEEN("running", "null", "t1", "1", "0"), SEEN("exited", "null", "t1", "1", "2")),
        AGAIN("2"));
}

static void one_that_crashed_once_and_stays_is_told_after_four_seconds(void **state)
{
    (void)state;
    begin();
    unsigned n = see(0, 2, RUNS);
    n = see(n, 8, SEEN("running", "null", "t1", "1", "0")); /* from 1000 ms on */
    look(500 * (uint64_t)n);
    stub_step(INSPECT, 200, SEEN("running", "null", "t1", "1", "0"));
    bench_ended_json(200, ENDED);
}

/* It restarted before anybody looked: it may be a crash of long ago, or one of many. */
static void one_that_had_been_restarted_must_run_for_four_seconds(void **state)
{
    (void)state;
    begin();
    unsigned n = see(0, 8, SEEN("running", "null", "t0", "3", "0"));
    look(500 * (uint64_t)n);
    stub_step(INSPECT, 200, SEEN("running", "null", "t0", "3", "0"));
    bench_ended_json(200, STARTED);
    begin();
    see(0, 3, SEEN("running", "null", "t0", "3", "0"));
    look(1500);
    stub_step(INSPECT, 200, SEEN("restarting", "null", "t0", "4", "9"));
    bench_ended_json(200, AGAIN("9"));
}

/* Stopped and started by somebody: the count stays, the time of its start does not. */
static void one_that_was_started_anew_is_waited_for_anew(void **state)
{
    (void)state;
    check(SEE(RUNS, RUNS, SEEN("running", "null", "t1", "0", "0"),
              SEEN("running", "null", "t1", "0", "0"), SEEN("running", "null", "t1", "0", "0")),
          STARTED);
}

/* ---- the end of patience ---- */

static void after_90_seconds_it_is_not_started(void **state)
{
    (void)state;
    begin();
    unsigned n = see(0, 180, STATE("created"));
    look(500 * (uint64_t)n);
    stub_step(INSPECT, 200, STATE("created"));
    bench_ended_json(200, "{\"started\":false,\"status\":\"created\",\"health\":null,"
                          "\"reason\":\"timeout after max tries\"}");
    begin();
    n = see(0, 180, HEALTH("starting"));
    look(500 * (uint64_t)n);
    stub_step(INSPECT, 200, HEALTH("starting"));
    bench_ended_json(200, "{\"started\":false,\"status\":\"running\",\"health\":\"starting\","
                          "\"reason\":\"timeout after max tries\"}");
}

static void the_last_look_is_at_the_limit(void **state)
{
    (void)state;
    bench->hub.settings.engine_start_timeout = 1200;
    begin();
    see(0, 3, STATE("created"));
    look(1200);
    stub_step(INSPECT, 200, STATE("created"));
    assert_non_null(strstr(bench->told.json, "timeout after max tries"));
    /* an engine that takes its time uses it up */
    begin();
    struct engine_call *c = stub_expect(INSPECT);
    bench_wait(5000);
    stub_answer(c, 200, STATE("created"));
    assert_non_null(strstr(bench->told.json, "timeout after max tries"));
    /* whoever is started by then is */
    begin();
    see(0, 1, STATE("created"));
    look(500);
    c = stub_expect(INSPECT);
    bench_wait(5000);
    stub_answer(c, 200, HEALTH("healthy"));
    bench_ended_json(200, "{\"started\":true,\"status\":\"running\",\"health\":\"healthy\"}");
}

/* ---- an engine that fails ---- */

static void an_engine_that_fails_ends_the_wait(void **state)
{
    (void)state;
    bench_fail_each(DEPLOY_WAIT, A, STEPS({INSPECT, 200, RUNS}));
    begin();
    see(0, 2, RUNS);
    look(1000);
    stub_fail(stub_expect(INSPECT), HOP_TUNNEL, false, GONE);
    bench_ended(503, NO_CONNECTION);
    static const char *const odd[] = {
        "no JSON",
        "{}",
        "[]",
        "5",
        "{\"State\":null}",
        "{\"State\":\"running\"}",
        "{\"State\":{\"Status\":5}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        bench_says(DEPLOY_WAIT, A, STEPS({INSPECT, 200, odd[i]}), 503,
                   "Error inspecting container 'nc_app_a': Status 200", NOT_UNDERSTOOD);
    }
}

static void states_that_nobody_knows_are_waited_out(void **state)
{
    static const char *const odd[] = {
        STATE("removing"),
        STATE("configured"),
        STATE("RUNNING"),
        STATE(""),
        STATE("a state of more than thirty-one characters"),
        STATE("\\u0000\\\"<\\u00e9"),
        HEALTH("a health of more than thirty-one characters"),
    };
    (void)state;
    bench->hub.settings.engine_start_timeout = 500;
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        begin();
        stub_step(INSPECT, 200, odd[i]);
        look(500);
        stub_step(INSPECT, 200, odd[i]);
        bench_ended(200, "");
        assert_non_null(strstr(bench->told.json, "\"started\":false"));
        assert_non_null(strstr(bench->told.json, "\"reason\":\"timeout after max tries\""));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)
        TEST(one_that_runs_for_a_second_is_started),
        TEST(one_that_ended_is_told_with_its_state),
        TEST(one_that_is_not_there_is_told_so),
        TEST(a_health_check_decides),
        TEST(no_health_check_is_spelled_in_several_ways),
        TEST(one_that_crashes_is_not_started),
        TEST(one_that_crashed_once_and_stays_is_told_after_four_seconds),
        TEST(one_that_had_been_restarted_must_run_for_four_seconds),
        TEST(one_that_was_started_anew_is_waited_for_anew),
        TEST(after_90_seconds_it_is_not_started),
        TEST(the_last_look_is_at_the_limit),
        TEST(an_engine_that_fails_ends_the_wait),
        TEST(states_that_nobody_knows_are_waited_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
