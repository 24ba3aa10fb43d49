/* install_certificates that fails on its way: a container that was started for it is stopped again whatever
 * happened, and the first failure is what is told. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/deploy_certs_bench.h"

#define RUN(command, call) "Failed to run '" command "' in container 'nc_app_a' (" call ")"
#define FAILED_STOP "Failed to stop container 'nc_app_a' after its certificates: Status 500"

/* All calls for a stopped container of Debian, up to the stop. */
static const struct {
    const char *what;
    int status;
    const char *body;
    const char *words; /* of an answer that is no good; "... : Status N" follows */
} course[] = {
    {INSPECT, 200, STOPPED, "Error inspecting container 'nc_app_a'"},
    {START, 204, "", "Failed to start container 'nc_app_a' for its certificates"},
    {EXEC, 201, "{\"Id\":\"0e1\"}", RUN("cat /etc/os-release", "exec create")},
    {EXEC_START, 200, "", RUN("cat /etc/os-release", "exec start")},
    {EXEC_END, 200, "{\"ExitCode\":0}", RUN("cat /etc/os-release", "exec inspect")},
    {EXEC, 201, "{\"Id\":\"0e1\"}",
     RUN("mkdir -p /usr/local/share/ca-certificates", "exec create")},
    {EXEC_START, 200, "", RUN("mkdir -p /usr/local/share/ca-certificates", "exec start")},
    {EXEC_END, 200, "{\"ExitCode\":0}",
     RUN("mkdir -p /usr/local/share/ca-certificates", "exec inspect")},
    {UPLOAD, 200, "", "Failed to upload archive with CA certificates"},
    {EXEC, 201, "{\"Id\":\"0e1\"}", RUN("update-ca-certificates", "exec create")},
    {EXEC_START, 200, "", RUN("update-ca-certificates", "exec start")},
    {EXEC_END, 200, "{\"ExitCode\":0}", RUN("update-ca-certificates", "exec inspect")},
    {EXEC, 201, "{\"Id\":\"0e1\"}", RUN("mkdir -p /certs/frp", "exec create")},
    {EXEC_START, 200, "", RUN("mkdir -p /certs/frp", "exec start")},
    {EXEC_END, 200, "{\"ExitCode\":0}", RUN("mkdir -p /certs/frp", "exec inspect")},
    {UPLOAD, 200, "", "Failed to upload archive with the tunnel's certificates"},
};

enum { OUTPUT = 3 }; /* the step that has /etc/os-release as its answer */

static void step(size_t i)
{
    char output[256];
    struct engine_call *c = stub_expect(course[i].what);
    if (i == OUTPUT) {
        stub_say(c, 200, output, frame(output, 1, DEBIAN, strlen(DEBIAN)));
    } else {
        stub_answer(c, course[i].status, course[i].body);
    }
}

/* Goes as far as `last`, which is the next call then. */
static void begin(size_t last)
{
    bench_start(DEPLOY_CERTIFICATES, ALL);
    for (size_t i = 0; i < last; i++) {
        step(i);
    }
    bench_goes_on();
}

static const struct way {
    int status; /* NO_ANSWER, TIMED_OUT, or what the engine answers */
    int told;
} ways[] = {{NO_ANSWER, 503}, {TIMED_OUT, 504}, {500, 503}, {302, 503}};

static void fail_now(size_t i, const struct way *way)
{
    struct engine_call *c = stub_expect(course[i].what);
    if (way->status > 0) {
        stub_answer(c, way->status, MESSAGE("all is broken"));
    } else {
        stub_fail(c, HOP_TUNNEL, way->status == TIMED_OUT, GONE);
    }
}

static void assert_first_failure_told(size_t i, const struct way *way)
{
    char words[256];
    assert_int_equal(bench->told.times, 1);
    assert_int_equal(bench->told.status, way->told);
    bench_why(way->status > 0 ? "all is broken" : GONE);
    if (way->status > 0) {
        snprintf(words, sizeof(words), "%s: Status %d", course[i].words, way->status);
        assert_string_equal(bench->told.words, words);
    } else {
        assert_string_equal(bench->told.words, way->told == 504 ? NO_TIME : NO_CONNECTION);
    }
    stub_expect_none();
    assert_int_equal(stub_open(), 0);
}

/* A start that was not answered may have happened; one that was refused did not. */
static bool runs_then(size_t i, const struct way *way)
{
    return i > 1 || (i == 1 && way->status <= 0);
}

static void whatever_fails_the_container_is_stopped(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(course); i++) {
        for (size_t w = 0; w < ARRAY_LEN(ways); w++) {
            begin(i);
            fail_now(i, &ways[w]);
            if (runs_then(i, &ways[w])) {
                bench_goes_on();
                stub_step(STOP, 204, "");
            }
            assert_first_failure_told(i, &ways[w]);
        }
    }
}

static void one_that_ran_before_is_left_running(void **state)
{
    (void)state;
    for (size_t i = 2; i < ARRAY_LEN(course); i++) {
        for (size_t w = 0; w < ARRAY_LEN(ways); w++) {
            bench_start(DEPLOY_CERTIFICATES, ALL);
            stub_step(INSPECT, 200, RUNNING);
            for (size_t k = 2; k < i; k++) {
                step(k);
            }
            fail_now(i, &ways[w]);
            assert_first_failure_told(i, &ways[w]);
        }
    }
}

static void the_first_failure_is_told_when_stopping_fails_too(void **state)
{
    (void)state;
    for (size_t i = 2; i < ARRAY_LEN(course); i++) {
        for (size_t w = 0; w < ARRAY_LEN(ways); w++) {
            begin(i);
            fail_now(i, &ways[w]);
            stub_step(STOP, 500, MESSAGE("another"));
            assert_first_failure_told(i, &ways[w]);
        }
    }
    bench_logged("could not be stopped again after its certificates");
    begin(5);
    fail_now(5, &ways[2]);
    stub_fail(stub_expect(STOP), HOP_ENGINE, true, "another");
    assert_first_failure_told(5, &ways[2]);
}

static void one_that_is_not_stopped_is_a_failure(void **state)
{
    static const struct {
        int status, told;
        const char *words;
    } rows[] = {
        {204, 204, ""},
        {304, 204, ""},
        {404, 204, ""},
        {500, 503, FAILED_STOP},
        {NO_ANSWER, 503, NO_CONNECTION},
        {TIMED_OUT, 504, NO_TIME},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        begin(ARRAY_LEN(course));
        struct engine_call *c = stub_expect(STOP);
        if (rows[i].status > 0) {
            stub_answer(c, rows[i].status, MESSAGE("x"));
        } else {
            stub_fail(c, HOP_TUNNEL, rows[i].status == TIMED_OUT, GONE);
        }
        bench_ended(rows[i].told, rows[i].words);
    }
}

/* ---- what is no failure of the engine's ---- */

/* Answers to the making, the start and the end of a command, for an image that can't run it. */
static void an_image_that_runs_nothing_is_no_failure(void **state)
{
    static const struct {
        size_t step;
        int status;
        const char *body;
    } rows[] = {
        {2, 409, MESSAGE("Container nc_app_a is not running")},
        {2, 404, MESSAGE("No such container")},
        {2, 500, MESSAGE("exec: cat: executable file not found in $PATH")},
        {3, 400, MESSAGE("OCI runtime exec failed: exec failed: no such file or directory")},
        {3, 500, MESSAGE("crun: executable file `cat` not found: No such file or directory")},
        {3, 409, MESSAGE("Container is paused")},
        {4, 404, MESSAGE("No such exec instance")},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        begin(rows[i].step);
        stub_step(course[rows[i].step].what, rows[i].status, rows[i].body);
        command(MKDIR_FRP, "", 0);
        upload_frp(false);
        stub_step(STOP, 204, "");
        bench_ended(204, "");
    }
    bench_logged("gets no CA certificates: its /etc/os-release can't be read");
}

static void a_container_that_ended_by_itself_gets_its_files_all_the_same(void **state)
{
    (void)state;
    begin(2);
    stub_step(EXEC, 409, MESSAGE("Container nc_app_a is not running"));
    stub_step(EXEC, 409, MESSAGE("Container nc_app_a is not running"));
    upload_frp(true);
    stub_step(STOP, 304, "");
    bench_ended(204, "");
}

static void a_container_that_is_gone_is_a_failure_at_the_upload(void **state)
{
    (void)state;
    begin(2);
    stub_step(EXEC, 404, MESSAGE("No such container"));
    stub_step(EXEC, 404, MESSAGE("No such container"));
    stub_step(UPLOAD, 404, MESSAGE("No such container"));
    stub_step(STOP, 404, MESSAGE("No such container"));
    bench_ended(503, "Failed to upload archive with the tunnel's certificates: Status 404");
}

/* ---- nobody waits for it ---- */

static void abandoned_it_goes_on_and_stops_the_container(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(course); i++) {
        begin(i);
        deploy_abandon(bench->d);
        for (size_t k = i; k < ARRAY_LEN(course); k++) {
            step(k);
        }
        stub_step(STOP, 204, "");
        stub_expect_none();
        assert_int_equal(bench->told.times, 0);
    }
    begin(6);
    deploy_abandon(bench->d);
    fail_now(6, &ways[1]);
    stub_step(STOP, 204, "");
    stub_expect_none();
    assert_int_equal(bench->told.times, 0);
}

static void the_hubs_end_cuts_it_anywhere(void **state)
{
    char err[64];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(course); i++) {
        begin(i);
        deploys_free(bench->list);
        assert_int_equal(stub_open(), 0);
        stub_seen = stub_asked;
        bench_goes_on();
        bench->list = deploys_new(&bench->hub, err, sizeof(err));
        assert_non_null(bench->list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, certs_set_up, bench_tear_down)
        TEST(whatever_fails_the_container_is_stopped),
        TEST(one_that_ran_before_is_left_running),
        TEST(the_first_failure_is_told_when_stopping_fails_too),
        TEST(one_that_is_not_stopped_is_a_failure),
        TEST(an_image_that_runs_nothing_is_no_failure),
        TEST(a_container_that_ended_by_itself_gets_its_files_all_the_same),
        TEST(a_container_that_is_gone_is_a_failure_at_the_upload),
        TEST(abandoned_it_goes_on_and_stops_the_container),
        TEST(the_hubs_end_cuts_it_anywhere),
    };
    return cmocka_run_group_tests(tests, certs_set_up_all, certs_tear_down_all);
}
