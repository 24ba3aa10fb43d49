/* Operations on containers beside and behind each other: who waits for whom, what becomes of those that
 * nobody waits for any more, and how many there may be. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/deploy_bench.h"

enum { MANY = 8 };

static struct told told[DEPLOYS_MAX + 1];
static struct deploy *ops[DEPLOYS_MAX + 1];

static int set_up(void **state)
{
    memset(told, 0, sizeof(told));
    memset(ops, 0, sizeof(ops));
    return bench_set_up(state);
}

static void begin_at(unsigned i, enum deploy_kind kind, int64_t port, const char *json)
{
    ops[i] = bench_begin(&told[i], kind, port, json);
    assert_non_null(ops[i]);
    assert_int_equal(told[i].times, 0);
}

static void begin(unsigned i, enum deploy_kind kind, const char *json)
{
    begin_at(i, kind, PORT, json);
}

static void assert_told(unsigned i, int status)
{
    assert_int_equal(told[i].times, 1);
    assert_int_equal(told[i].status, status);
}

#define A "{\"name\":\"a\"}"
#define B "{\"name\":\"b\"}"
#define GET_A "GET /containers/nc_app_a/json"
#define GET_B "GET /containers/nc_app_b/json"
#define START_A "POST /containers/nc_app_a/start"
#define STOP_A "POST /containers/nc_app_a/stop"

static void those_on_one_container_run_in_the_order_they_came(void **state)
{
    (void)state;
    begin(0, DEPLOY_START, A);
    begin(1, DEPLOY_EXISTS, A);
    begin(2, DEPLOY_STOP, A);
    begin(3, DEPLOY_REMOVE, A);
    struct engine_call *c = stub_expect(GET_A);
    stub_expect_none();
    stub_answer(c, 200, OURS);
    stub_step(START_A, 204, "");
    assert_told(0, 204);
    stub_step(GET_A, 404, "");
    assert_told(1, 200);
    stub_step(GET_A, 200, OURS);
    stub_step(STOP_A, 500, ""); /* a failure lets the next go on, too */
    assert_told(2, 503);
    stub_step(GET_A, 404, "");
    assert_told(3, 204);
    stub_expect_none();
}

static void those_on_others_run_side_by_side(void **state)
{
    (void)state;
    begin(0, DEPLOY_STOP, A);
    begin(1, DEPLOY_STOP, B);
    begin_at(2, DEPLOY_STOP, PORT + 1, A);
    begin(3, DEPLOY_STOP, "{\"name\":\"a\",\"instance_id\":\"i\"}");
    begin(4, DEPLOY_STOP, "{\"name\":\"A\"}");
    struct engine_call *a = stub_expect(GET_A), *b = stub_expect(GET_B), *c = stub_expect(GET_A);
    struct engine_call *d = stub_expect("GET /containers/nc_app_i_a/json");
    stub_expect("GET /containers/nc_app_A/json");
    assert_int_equal(a->port, PORT);
    assert_int_equal(c->port, PORT + 1);
    stub_answer(c, 404, "");
    assert_told(2, 404);
    stub_answer(b, 404, "");
    stub_answer(d, 404, "");
    assert_told(1, 404);
    assert_told(3, 404);
    assert_int_equal(told[0].times, 0);
    stub_answer(a, 404, "");
    assert_told(0, 404);
}

static void a_wait_is_in_nobodys_way(void **state)
{
    (void)state;
    begin(0, DEPLOY_WAIT, A);
    begin(1, DEPLOY_STOP, A);
    begin(2, DEPLOY_WAIT, A);
    struct engine_call *wait = stub_expect(GET_A), *stop = stub_expect(GET_A);
    struct engine_call *second = stub_expect(GET_A);
    stub_answer(second, 404, "");
    assert_told(2, 200);
    stub_answer(stop, 404, "");
    assert_told(1, 404);
    stub_answer(wait, 404, "");
    assert_told(0, 200);
}

/* They share the volume. */
static void the_roles_of_an_app_wait_for_each_other(void **state)
{
    (void)state;
    begin(0, DEPLOY_STOP, "{\"name\":\"a\",\"role_suffix\":\"web\"}");
    begin(1, DEPLOY_STOP, "{\"name\":\"a\",\"role_suffix\":\"worker\"}");
    begin(2, DEPLOY_REMOVE, A);
    struct engine_call *c = stub_expect("GET /containers/nc_app_a_web/json");
    stub_expect_none();
    stub_answer(c, 404, "");
    c = stub_expect("GET /containers/nc_app_a_worker/json");
    stub_expect_none();
    stub_answer(c, 404, "");
    stub_step(GET_A, 404, "");
    assert_told(2, 204);
}

static void one_container_by_two_ways_of_naming_it_is_one(void **state)
{
    static const char *const names[] = {
        "{\"name\":\"a\",\"role_suffix\":\"b_c\"}",
        "{\"name\":\"a_b\",\"role_suffix\":\"c\"}",
        "{\"name\":\"a_b_c\"}",
        "{\"name\":\"b\",\"instance_id\":\"a\",\"role_suffix\":\"c\"}",
    };
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        begin(i, DEPLOY_STOP, names[i]);
    }
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        struct engine_call *c = stub_expect("GET /containers/nc_app_a_b_c/json");
        stub_expect_none();
        stub_answer(c, 404, "");
        assert_told(i, 404);
    }
}

static void images_wait_for_the_same_image_alone(void **state)
{
    (void)state;
    begin(0, DEPLOY_IMAGE_REMOVE, "{\"image_ref\":\"a:1\"}");
    begin(1, DEPLOY_IMAGE_REMOVE, "{\"image_ref\":\"a:1\"}");
    begin(2, DEPLOY_IMAGE_REMOVE, "{\"image_ref\":\"a:2\"}");
    begin(3, DEPLOY_STOP, A);
    begin_at(4, DEPLOY_IMAGE_REMOVE, PORT + 1, "{\"image_ref\":\"a:1\"}");
    struct engine_call *first = stub_expect("GET /images/a:1/json");
    stub_expect("GET /images/a:2/json");
    stub_expect(GET_A);
    stub_expect("GET /images/a:1/json");
    stub_expect_none();
    stub_answer(first, 404, "");
    stub_step("GET /images/a:1/json", 404, "");
    assert_told(1, 200);
}

/* ---- those that nobody waits for ---- */

static void one_that_has_not_begun_is_dropped(void **state)
{
    (void)state;
    begin(0, DEPLOY_START, A);
    begin(1, DEPLOY_STOP, A);
    begin(2, DEPLOY_REMOVE, A);
    stub_step(GET_A, 200, OURS);
    deploy_abandon(ops[1]);
    stub_step(START_A, 204, "");
    stub_step(GET_A, 404, "");
    assert_told(2, 204);
    assert_int_equal(told[1].times, 0);
    stub_expect_none();
}

static void one_that_has_begun_goes_on_to_its_end(void **state)
{
    (void)state;
    begin(0, DEPLOY_STOP, A);
    begin(1, DEPLOY_START, A);
    deploy_abandon(ops[0]);
    bench_logged("info deploy #1 stop of nc_app_a goes on, though AppAPI went away\n");
    stub_step(GET_A, 200, OURS);
    stub_step(STOP_A, 204, "");
    assert_int_equal(told[0].times, 0);
    bench_logged("stop of nc_app_a on engine 24001: 204\n");
    stub_step(GET_A, 404, "");
    assert_told(1, 404);
    begin(2, DEPLOY_IMAGE_REMOVE, "{\"image_ref\":\"a:1\"}");
    deploy_abandon(ops[2]);
    bench_logged("image_remove of an image goes on, though AppAPI went away\n");
    stub_step("GET /images/a:1/json", 404, "");
    assert_int_equal(told[2].times, 0);
}

static void a_question_is_cut_off_at_once(void **state)
{
    (void)state;
    begin(0, DEPLOY_EXISTS, A);
    begin(1, DEPLOY_STOP, A);
    struct engine_call *c = stub_expect(GET_A);
    deploy_abandon(ops[0]);
    assert_true(c->cancelled);
    stub_step(GET_A, 404, "");
    assert_told(1, 404);
    assert_int_equal(told[0].times, 0);
}

static void a_wait_is_cut_off_while_it_asks_and_while_it_sleeps(void **state)
{
    (void)state;
    begin(0, DEPLOY_WAIT, A);
    struct engine_call *c = stub_expect(GET_A);
    deploy_abandon(ops[0]);
    assert_true(c->cancelled);
    begin(1, DEPLOY_WAIT, A);
    stub_step(GET_A, 200, "{\"State\":{\"Status\":\"created\"}}");
    assert_int_equal(bench->hub.loop.timers.len, 1);
    deploy_abandon(ops[1]);
    assert_int_equal(bench->hub.loop.timers.len, 0);
    assert_int_equal(told[0].times + told[1].times, 0);
    stub_expect_none();
}

static void the_hubs_end_ends_all_of_them_untold(void **state)
{
    (void)state;
    begin(0, DEPLOY_STOP, A);
    begin(1, DEPLOY_STOP, A);
    begin(2, DEPLOY_WAIT, A);
    begin(3, DEPLOY_CREATE, "{\"name\":\"c\",\"image_id\":\"i\"}");
    begin(4, DEPLOY_WAIT, B);
    stub_step(GET_A, 200, OURS);
    stub_expect(GET_A);
    stub_expect("GET /containers/nc_app_c/json");
    stub_step(GET_B, 200, "{\"State\":{\"Status\":\"created\"}}");
    deploys_free(bench->list);
    bench->list = NULL;
    assert_int_equal(stub_open(), 0);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(told[i].times, 0);
    }
    deploys_free(NULL);
}

static void the_hub_is_busy_with_what_changes_something(void **state)
{
    (void)state;
    assert_false(deploys_busy(bench->list));
    begin(0, DEPLOY_WAIT, A);
    begin(1, DEPLOY_EXISTS, A);
    assert_false(deploys_busy(bench->list));
    begin(2, DEPLOY_STOP, A); /* it has not begun: the question is in its way */
    assert_false(deploys_busy(bench->list));
    stub_expect(GET_A);
    stub_step(GET_A, 404, "");
    assert_true(deploys_busy(bench->list));
    deploy_abandon(ops[2]);
    assert_true(deploys_busy(bench->list));
    stub_step(GET_A, 404, "");
    assert_false(deploys_busy(bench->list));
}

/* ---- from inside an answer ---- */

static void begin_more(struct told *t)
{
    unsigned i = (unsigned)(t - told);
    if (i + 1 < MANY) {
        told[i + 1].also = begin_more;
        begin(i + 1, i % 2 ? DEPLOY_STOP : DEPLOY_START, A);
    }
}

static void an_operation_may_begin_where_another_ends(void **state)
{
    (void)state;
    told[0].also = begin_more;
    begin(0, DEPLOY_STOP, A);
    for (unsigned i = 0; i < MANY; i++) {
        struct engine_call *c = stub_expect(GET_A);
        stub_expect_none();
        stub_answer(c, 404, "");
        assert_told(i, 404);
    }
    stub_expect_none();
}

static void abandon_others(struct told *t UNUSED)
{
    for (unsigned i = 1; i < 5; i++) {
        deploy_abandon(ops[i]);
    }
}

static void others_may_be_abandoned_where_one_ends(void **state)
{
    (void)state;
    told[0].also = abandon_others;
    begin(0, DEPLOY_STOP, A);
    begin(1, DEPLOY_START, A); /* queued */
    begin(2, DEPLOY_WAIT, A);
    begin(3, DEPLOY_STOP, B); /* runs */
    begin(4, DEPLOY_REMOVE, A);
    begin(5, DEPLOY_START, A);
    struct engine_call *first = stub_expect(GET_A), *wait = stub_expect(GET_A);
    struct engine_call *other = stub_expect(GET_B);
    stub_answer(first, 404, "");
    assert_true(wait->cancelled);
    assert_true(other->open);
    stub_step(GET_A, 404, "");
    assert_told(5, 404);
    stub_answer(other, 404, "");
    assert_told(0, 404);
    for (unsigned i = 1; i < 5; i++) {
        assert_int_equal(told[i].times, 0);
    }
    stub_expect_none();
}

/* ---- how many ---- */

static void there_are_at_most_256_at_once(void **state)
{
    char json[64], want[64];
    (void)state;
    for (unsigned i = 0; i < DEPLOYS_MAX; i++) {
        snprintf(json, sizeof(json), "{\"name\":\"a%u\"}", i / 2); /* every second one waits */
        begin(i, DEPLOY_STOP, json);
    }
    assert_null(bench_begin(&told[DEPLOYS_MAX], DEPLOY_STOP, PORT, B));
    stub_step("GET /containers/nc_app_a0/json", 404, "");
    assert_told(0, 404);
    begin(DEPLOYS_MAX, DEPLOY_STOP, B);
    assert_null(bench_begin(&told[0], DEPLOY_EXISTS, PORT, B));
    deploy_abandon(ops[3]); /* queued: its place is free at once */
    assert_non_null(bench_begin(&told[0], DEPLOY_EXISTS, PORT, "{\"name\":\"e\"}"));
    for (unsigned i = 1; i < DEPLOYS_MAX / 2; i++) {
        snprintf(want, sizeof(want), "GET /containers/nc_app_a%u/json", i);
        stub_expect(want);
    }
    stub_step("GET /containers/nc_app_a0/json", 404, ""); /* the second of the first app */
    assert_told(1, 404);
}

static void a_url_too_long_for_a_label_is_refused_at_the_start(void **state)
{
    char err[256] = "";
    (void)state;
    char *url = malloc(1026), *was = bench->hub.settings.nc_instance_url;
    memset(url, 'u', 1025);
    url[1025] = '\0';
    assert_string_equal(deploys_instance(bench->list), OWN);
    bench->hub.settings.nc_instance_url = url;
    assert_null(deploys_new(&bench->hub, err, sizeof(err)));
    assert_string_equal(err, "NC_INSTANCE_URL is too long to make a label of");
    bench->hub.settings.nc_instance_url = was;
    free(url);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, bench_tear_down)
        TEST(those_on_one_container_run_in_the_order_they_came),
        TEST(those_on_others_run_side_by_side),
        TEST(a_wait_is_in_nobodys_way),
        TEST(the_roles_of_an_app_wait_for_each_other),
        TEST(one_container_by_two_ways_of_naming_it_is_one),
        TEST(images_wait_for_the_same_image_alone),
        TEST(one_that_has_not_begun_is_dropped),
        TEST(one_that_has_begun_goes_on_to_its_end),
        TEST(a_question_is_cut_off_at_once),
        TEST(a_wait_is_cut_off_while_it_asks_and_while_it_sleeps),
        TEST(the_hubs_end_ends_all_of_them_untold),
        TEST(the_hub_is_busy_with_what_changes_something),
        TEST(an_operation_may_begin_where_another_ends),
        TEST(others_may_be_abandoned_where_one_ends),
        TEST(there_are_at_most_256_at_once),
        TEST(a_url_too_long_for_a_label_is_refused_at_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
