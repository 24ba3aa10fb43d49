/* exists, start, stop, remove, image_remove: the calls that each of them makes, and its answers. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/deploy_bench.h"

#define NAME "{\"name\":\"a\"}"
#define ROLE "{\"name\":\"a\",\"instance_id\":\"oc\",\"role_suffix\":\"web\"}"
#define DATA "{\"name\":\"a\",\"remove_data\":true}"
#define INSPECT "GET /containers/nc_app_a/json"
#define INSPECT_ROLE "GET /containers/nc_app_oc_a_web/json"
#define START "POST /containers/nc_app_a/start"
#define STOP "POST /containers/nc_app_a/stop"
#define REMOVE "DELETE /containers/nc_app_a?force=true"
#define VOLUME "GET /volumes/nc_app_a_data"
#define REMOVE_VOLUME "DELETE /volumes/nc_app_a_data"
#define IMAGE "{\"image_ref\":\"reg.test/a:1\"}"
#define INSPECT_IMAGE "GET /images/reg.test/a:1/json"
#define REMOVE_IMAGE "DELETE /images/reg.test/a:1"
#define SIZE "{\"Size\":12345}"
#define NOT_FOUND "Container 'nc_app_a' not found."
#define NOT_OURS "Container 'nc_app_a' is not this hub's."
#define WHY_FOREIGN                                                                                \
    "it belongs to another hub, for https://b.example (label "                                     \
    "harp.instance=ffffffffffffffffffffffffffffffff); if that was this one before its URL or key " \
    "changed, name the label in HP_INSTANCE_ALIASES"

static void exists_says_so_and_of_which_image(void **state)
{
    static const struct {
        int status;
        const char *body, *answer;
    } rows[] = {
        {404, MESSAGE("no"), "{\"exists\":false}"},
        {200, "{\"Image\":\"sha256:1\",\"Config\":{\"Image\":\"r/a:1\"}}",
         "{\"exists\":true,\"image_ref\":\"r/a:1\"}"},
        {200, "{\"Image\":\"sha256:1\"}", "{\"exists\":true,\"image_ref\":\"sha256:1\"}"},
        /* whosever it is */
        {200, "{\"Config\":{\"Image\":\"b\",\"Labels\":{\"harp.instance\":\"x\"}}}",
         "{\"exists\":true,\"image_ref\":\"b\"}"},
        {200, "{\"Config\":{\"Image\":\"<\\u00e9\\\"\"}}",
         "{\"exists\":true,\"image_ref\":\"\\u003c\xc3\xa9\\\"\"}"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bench_gives(DEPLOY_EXISTS, NAME, STEPS({INSPECT, rows[i].status, rows[i].body}),
                    rows[i].answer);
    }
    bench_gives(DEPLOY_EXISTS, ROLE, STEPS({INSPECT_ROLE, 404, ""}), "{\"exists\":false}");
    bench_says(DEPLOY_EXISTS, NAME, STEPS({INSPECT, 500, MESSAGE("it burns")}), 503,
               "Error communicating with Docker Engine: Status 500", "it burns");
    bench_fail_each(DEPLOY_EXISTS, NAME, STEPS({INSPECT, 404, ""}));
}

static void exists_takes_nothing_for_a_container_that_is_none(void **state)
{
    static const char *const bodies[] = {
        "", "no JSON", "[]", "null", "{}", "{\"Image\":5,\"Config\":{\"Image\":null}}"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        bench_says(DEPLOY_EXISTS, NAME, STEPS({INSPECT, 200, bodies[i]}), 503,
                   "Error communicating with Docker Engine: Status 200", NOT_UNDERSTOOD);
    }
}

/* What would not fit into the answer is told as an error instead of being cut. */
static void an_image_name_without_end_is_no_answer(void **state)
{
    static char body[4096];
    (void)state;
    int n = snprintf(body, sizeof(body), "{\"Image\":\"");
    memset(body + n, 'i', 3000);
    snprintf(body + n + 3000, sizeof(body) - (size_t)n - 3000, "\"}");
    bench_says(DEPLOY_EXISTS, NAME, STEPS({INSPECT, 200, body}), 503,
               "Unexpected answer of the Docker Engine",
               "the engine's answer has too long or broken texts in it");
}

static void start_looks_whose_it_is_first(void **state)
{
    (void)state;
    bench_says(DEPLOY_START, NAME, STEPS({INSPECT, 200, OURS}, {START, 204, ""}), 204, "", "");
    bench_says(DEPLOY_START, NAME, STEPS({INSPECT, 200, NOBODYS}, {START, 204, ""}), 204, "", "");
    bench_says(DEPLOY_START, NAME, STEPS({INSPECT, 200, "{\"Config\":{}}"}, {START, 304, ""}), 200,
               "Container already started", "");
    bench_says(DEPLOY_START, NAME, STEPS({INSPECT, 404, MESSAGE("no")}), 404, NOT_FOUND, "");
    bench_says(DEPLOY_START, NAME,
               STEPS({INSPECT, 200, OURS}, {START, 404, MESSAGE("No such container: nc_app_a")}),
               404, NOT_FOUND, "");
    bench_says(DEPLOY_START, NAME, STEPS({INSPECT, 200, FOREIGN}), 409, NOT_OURS, WHY_FOREIGN);
    bench_says(DEPLOY_START, NAME, STEPS({INSPECT, 200, "no JSON"}), 503,
               "Error inspecting container 'nc_app_a': Status 200", NOT_UNDERSTOOD);
    bench_says(DEPLOY_START, NAME,
               STEPS({INSPECT, 200, OURS}, {START, 500, MESSAGE("port is taken")}), 503,
               "Error starting container 'nc_app_a': Status 500", "port is taken");
    bench_fail_each(DEPLOY_START, NAME, STEPS({INSPECT, 200, OURS}, {START, 204, ""}));
}

static void stop_does_the_same(void **state)
{
    (void)state;
    bench_says(DEPLOY_STOP, NAME, STEPS({INSPECT, 200, OURS}, {STOP, 204, ""}), 204, "", "");
    bench_says(DEPLOY_STOP, NAME, STEPS({INSPECT, 200, OURS}, {STOP, 304, ""}), 200,
               "Container already stopped", "");
    bench_says(DEPLOY_STOP, NAME, STEPS({INSPECT, 404, ""}), 404, NOT_FOUND, "");
    bench_says(DEPLOY_STOP, NAME,
               STEPS({INSPECT, 200, OURS}, {STOP, 404, MESSAGE("no such container")}), 404,
               NOT_FOUND, "");
    bench_says(DEPLOY_STOP, NAME, STEPS({INSPECT, 200, FOREIGN}), 409, NOT_OURS, WHY_FOREIGN);
    bench_says(DEPLOY_STOP, NAME, STEPS({INSPECT, 200, OURS}, {STOP, 500, "plain\r\ntext"}), 503,
               "Error stopping container 'nc_app_a': Status 500", "plain  text");
    bench_says(DEPLOY_STOP, ROLE,
               STEPS({INSPECT_ROLE, 200, OURS}, {"POST /containers/nc_app_oc_a_web/stop", 204, ""}),
               204, "", "");
    bench_fail_each(DEPLOY_STOP, NAME, STEPS({INSPECT, 200, OURS}, {STOP, 204, ""}));
}

#define LABELLED(value) "{\"Config\":{\"Labels\":{\"harp.instance\":\"" value "\"}}}"
#define WHY_LABELLED(value)                                                                        \
    "it belongs to another hub, for ? (label harp.instance=" value                                 \
    "); if that was this one before its URL or key changed, name the label in HP_INSTANCE_ALIASES"

static void a_label_that_is_an_alias_is_ours(void **state)
{
    (void)state;
    bench_says(DEPLOY_STOP, NAME, STEPS({INSPECT, 200, LABELLED("old-label")}, {STOP, 204, ""}),
               204, "", "");
    bench_says(DEPLOY_STOP, NAME, STEPS({INSPECT, 200, LABELLED("older")}, {STOP, 204, ""}), 204,
               "", "");
    bench_says(DEPLOY_STOP, NAME, STEPS({INSPECT, 200, LABELLED("old")}), 409, NOT_OURS,
               WHY_LABELLED("old"));
}

static void remove_without_data_leaves_the_volume(void **state)
{
    (void)state;
    bench_says(DEPLOY_REMOVE, NAME, STEPS({INSPECT, 200, OURS}, {REMOVE, 204, ""}), 204, "", "");
    bench_says(DEPLOY_REMOVE, NAME, STEPS({INSPECT, 404, ""}), 204, "", "");
    bench_says(DEPLOY_REMOVE, NAME, STEPS({INSPECT, 200, OURS}, {REMOVE, 404, ""}), 204, "", "");
    bench_says(DEPLOY_REMOVE, NAME, STEPS({INSPECT, 200, FOREIGN}), 409, NOT_OURS, WHY_FOREIGN);
    /* somebody else removes it just now */
    bench_says(DEPLOY_REMOVE, NAME, STEPS({INSPECT, 200, OURS}, {REMOVE, 409, MESSAGE("already")}),
               204, "", "");
}

static void remove_with_data_takes_the_volume_too(void **state)
{
    (void)state;
    bench_says(DEPLOY_REMOVE, DATA,
               STEPS({INSPECT, 200, OURS}, {REMOVE, 204, ""}, {VOLUME, 200, "{}"},
                     {REMOVE_VOLUME, 204, ""}),
               204, "", "");
    bench_says(
        DEPLOY_REMOVE, DATA,
        STEPS({INSPECT, 404, ""}, {VOLUME, 200, "{\"Labels\":null}"}, {REMOVE_VOLUME, 204, ""}),
        204, "", "");
    bench_says(DEPLOY_REMOVE, DATA, STEPS({INSPECT, 404, ""}, {VOLUME, 404, ""}), 204, "", "");
    bench_says(DEPLOY_REMOVE, DATA,
               STEPS({INSPECT, 404, ""}, {VOLUME, 200, "{}"}, {REMOVE_VOLUME, 404, ""}), 204, "",
               "");
    bench_says(
        DEPLOY_REMOVE, DATA,
        STEPS({INSPECT, 404, ""}, {VOLUME, 200, "{}"}, {REMOVE_VOLUME, 409, MESSAGE("in use")}),
        409, "Volume 'nc_app_a_data' is in use and could not be removed.", "in use");
    bench_says(DEPLOY_REMOVE, DATA,
               STEPS({INSPECT, 404, ""}, {VOLUME, 200, "{\"Labels\":{\"harp.instance\":\"x\"}}"}),
               409, "Volume 'nc_app_a_data' is not this hub's.", WHY_LABELLED("x"));
    bench_says(DEPLOY_REMOVE, DATA, STEPS({INSPECT, 404, ""}, {VOLUME, 200, "x"}), 503,
               "Error inspecting volume 'nc_app_a_data': Status 200", NOT_UNDERSTOOD);
    bench_says(
        DEPLOY_REMOVE,
        "{\"name\":\"a\",\"instance_id\":\"oc\",\"role_suffix\":\"web\",\"remove_data\":true}",
        STEPS({INSPECT_ROLE, 404, ""}, {"GET /volumes/nc_app_oc_a_data", 404, ""}), 204, "", "");
    bench_fail_each(DEPLOY_REMOVE, DATA,
                    STEPS({INSPECT, 200, OURS}, {REMOVE, 204, ""}, {VOLUME, 200, "{}"},
                          {REMOVE_VOLUME, 204, ""}));
}

static void image_remove_tells_what_was_freed(void **state)
{
    static const struct {
        struct step inspect, remove;
        const char *answer;
    } rows[] = {
        {{INSPECT_IMAGE, 200, SIZE},
         {REMOVE_IMAGE, 200, "[{\"Untagged\":\"a:1\"},{\"Deleted\":\"sha256:1\"}]"},
         "{\"deleted\":true,\"bytes_freed\":12345}"},
        {{INSPECT_IMAGE, 200, SIZE},
         {REMOVE_IMAGE, 200, "[{\"Untagged\":\"a:1\"}]"},
         "{\"deleted\":true,\"bytes_freed\":0}"},
        {{INSPECT_IMAGE, 200, SIZE},
         {REMOVE_IMAGE, 200, "no JSON"},
         "{\"deleted\":true,\"bytes_freed\":0}"},
        {{INSPECT_IMAGE, 200, "{\"Size\":\"big\"}"},
         {REMOVE_IMAGE, 200, "[{\"Deleted\":\"x\"}]"},
         "{\"deleted\":true,\"bytes_freed\":0}"},
        {{INSPECT_IMAGE, 200, SIZE},
         {REMOVE_IMAGE, 404, ""},
         "{\"deleted\":true,\"bytes_freed\":0,\"reason\":\"not_found\"}"},
        {{INSPECT_IMAGE, 200, SIZE},
         {REMOVE_IMAGE, 409, MESSAGE("used")},
         "{\"deleted\":false,\"reason\":\"in_use\"}"},
        /* an unknown size is no reason to fail */
        {{INSPECT_IMAGE, 500, "x"},
         {REMOVE_IMAGE, 200, "[{\"Deleted\":\"x\"}]"},
         "{\"deleted\":true,\"bytes_freed\":0}"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bench_gives(DEPLOY_IMAGE_REMOVE, IMAGE, STEPS(rows[i].inspect, rows[i].remove),
                    rows[i].answer);
    }
    bench_gives(DEPLOY_IMAGE_REMOVE, IMAGE, STEPS({INSPECT_IMAGE, 404, MESSAGE("no")}),
                "{\"deleted\":true,\"bytes_freed\":0,\"reason\":\"not_found\"}");
}

static void image_remove_fails_with_the_engine(void **state)
{
    (void)state;
    bench_says(DEPLOY_IMAGE_REMOVE, IMAGE,
               STEPS({INSPECT_IMAGE, 200, SIZE}, {REMOVE_IMAGE, 500, MESSAGE("no")}), 503,
               "Error removing image 'reg.test/a:1' via Docker Engine: Status 500", "no");
    bench_says(DEPLOY_IMAGE_REMOVE, IMAGE, STEPS({INSPECT_IMAGE, NO_ANSWER, ""}), 503,
               NO_CONNECTION, GONE);
    bench_says(DEPLOY_IMAGE_REMOVE, IMAGE, STEPS({INSPECT_IMAGE, TIMED_OUT, ""}), 504, NO_TIME,
               GONE);
    bench_says(DEPLOY_IMAGE_REMOVE, IMAGE,
               STEPS({INSPECT_IMAGE, 200, SIZE}, {REMOVE_IMAGE, NO_ANSWER, ""}), 503, NO_CONNECTION,
               GONE);
    bench_says(DEPLOY_IMAGE_REMOVE, IMAGE,
               STEPS({INSPECT_IMAGE, 200, SIZE}, {REMOVE_IMAGE, TIMED_OUT, ""}), 504, NO_TIME,
               GONE);
}

/* A large image takes its time to go. */
static void calls_have_a_time_limit(void **state)
{
    (void)state;
    bench_start(DEPLOY_IMAGE_REMOVE, IMAGE);
    struct engine_call *c = stub_expect(INSPECT_IMAGE);
    assert_int_equal(c->timeout, 30000);
    stub_answer(c, 200, SIZE);
    c = stub_expect(REMOVE_IMAGE);
    assert_int_equal(c->timeout, 60000);
    stub_answer(c, 409, "");
    bench_start(DEPLOY_STOP, NAME);
    stub_step(INSPECT, 200, OURS);
    c = stub_expect(STOP);
    assert_int_equal(c->timeout, 30000);
    assert_null(c->body);
    stub_answer(c, 204, "");
}

/* Names of all lengths go whole into the path. */
static void the_longest_names_are_asked_for_whole(void **state)
{
    char json[1400], want[1400], name[101], image[600];
    (void)state;
    memset(name, 'n', 100);
    name[100] = '\0';
    snprintf(json, sizeof(json), "{\"name\":\"%s\",\"remove_data\":true}", name);
    bench_start(DEPLOY_REMOVE, json);
    snprintf(want, sizeof(want), "GET /containers/nc_app_%s/json", name);
    stub_step(want, 200, OURS);
    snprintf(want, sizeof(want), "DELETE /containers/nc_app_%s?force=true", name);
    stub_step(want, 204, "");
    snprintf(want, sizeof(want), "GET /volumes/nc_app_%s_data", name);
    stub_step(want, 200, "{}");
    snprintf(want, sizeof(want), "DELETE /volumes/nc_app_%s_data", name);
    stub_step(want, 409, MESSAGE("x"));
    snprintf(want, sizeof(want), "Volume 'nc_app_%s_data' is in use and could not be removed.",
             name);
    bench_ended(409, want);
    memset(image, 'i', 255);
    snprintf(image + 255, sizeof(image) - 255, ":%s%028d@sha512:%064d%064d", name, 0, 0, 0);
    snprintf(json, sizeof(json), "{\"image_ref\":\"%s\"}", image);
    bench_start(DEPLOY_IMAGE_REMOVE, json);
    snprintf(want, sizeof(want), "GET /images/%s/json", image);
    stub_step(want, 200, "{}");
    snprintf(want, sizeof(want), "DELETE /images/%s", image);
    stub_step(want, 500, MESSAGE("x"));
    assert_int_equal(bench->told.status, 503);
}

/* What an engine says goes to a log and to a terminal. */
static void the_engines_words_are_made_safe_and_cut(void **state)
{
    static char body[2000];
    (void)state;
    bench_start(DEPLOY_STOP, NAME);
    stub_step(INSPECT, 200, OURS);
    stub_step(STOP, 500, MESSAGE("a\\r\\nb\\u001b[31m\\u007fc\\u0000d"));
    bench_ended(503, "Error stopping container 'nc_app_a': Status 500");
    assert_string_equal(bench->told.why, "a  b [31m c d");
    memset(body, 'x', sizeof(body) - 1);
    bench_start(DEPLOY_STOP, NAME);
    stub_step(INSPECT, 200, OURS);
    stub_step(STOP, 500, body);
    assert_int_equal(strspn(bench->told.why, "x"), 300);
    assert_int_equal(strlen(bench->told.why), 300);
    bench_start(DEPLOY_STOP, NAME);
    stub_step(INSPECT, 200, OURS);
    stub_step(STOP, 500, "");
    bench_ended(503, "Error stopping container 'nc_app_a': Status 500");
    assert_string_equal(bench->told.why, "");
    bench_start(DEPLOY_STOP, NAME);
    stub_step(INSPECT, 200, OURS);
    stub_step(STOP, 500, "{\"message\":5}");
    assert_string_equal(bench->told.why, "{\"message\":5}");
}

static void what_was_done_is_logged(void **state)
{
    (void)state;
    bench_start(DEPLOY_STOP, NAME);
    stub_step(INSPECT, 200, OURS);
    stub_step(STOP, 204, "");
    bench_logged("info deploy #1 stop of nc_app_a on engine 24001: 204\n");
    bench_start(DEPLOY_START, NAME);
    stub_step(INSPECT, 404, "");
    bench_logged("warning deploy #2 start of nc_app_a on engine 24001: 404: Container 'nc_app_a' "
                 "not found.\n");
    bench_start(DEPLOY_IMAGE_REMOVE, IMAGE);
    stub_step(INSPECT_IMAGE, 404, "");
    bench_logged("info deploy #3 image_remove of an image on engine 24001: 200\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)
        TEST(exists_says_so_and_of_which_image),
        TEST(exists_takes_nothing_for_a_container_that_is_none),
        TEST(an_image_name_without_end_is_no_answer),
        TEST(start_looks_whose_it_is_first),
        TEST(stop_does_the_same),
        TEST(a_label_that_is_an_alias_is_ours),
        TEST(remove_without_data_leaves_the_volume),
        TEST(remove_with_data_takes_the_volume_too),
        TEST(image_remove_tells_what_was_freed),
        TEST(image_remove_fails_with_the_engine),
        TEST(calls_have_a_time_limit),
        TEST(the_longest_names_are_asked_for_whole),
        TEST(the_engines_words_are_made_safe_and_cut),
        TEST(what_was_done_is_logged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
