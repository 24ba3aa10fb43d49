/* A judged call gets another name for its object: the one that an engine knows it by. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/docker/catalogue.h"
#include "common/docker/forward.h"

static struct docker_call call;
static struct http_request request;

#define FULL_ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* Judges the call by the policy `docker_catalogue` with everything granted. */
static void judge(const char *method, const char *target)
{
    static const char *const everything[] = {"*"};
    static const struct docker_grants grants = {
        .containers = {everything, 1}, .volumes = {everything, 1}, .images = {everything, 1}};
    static char head[4096];
    struct docker_policy policy = docker_catalogue;
    struct docker_verdict verdict;
    size_t scanned = 0;
    policy.grants = &grants;
    int n = snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: x\r\n\r\n", method, target);
    assert_int_equal(http_parse_request(&request, head, (size_t)n, &HTTP_LIMITS_DEFAULT, &scanned),
                     n);
    if (docker_judge(&policy, &request, request.path, &call, &verdict)) {
        fail_msg("%s: %s", target, verdict.why);
    }
}

/* The request line that goes to the engine. */
static const char *line(void)
{
    static char head[DOCKER_FORWARD_MAX + 1];
    struct docker_forwarding how = {.keep_alive = true};
    size_t n = docker_forward_request(head, DOCKER_FORWARD_MAX, &call, &request, &how);
    assert_true(n > 0);
    head[n] = '\0';
    *strstr(head, " HTTP/1.1\r\n") = '\0';
    return head;
}

static void the_name_alone_is_another(void **state)
{
    static const struct {
        const char *method, *target, *name, *want;
    } rows[] = {
        {"POST", "/containers/0123456789ab/start", FULL_ID, "POST /containers/" FULL_ID "/start"},
        {"POST", "/v1.41/containers/0123456789ab/stop?t=5", FULL_ID,
         "POST /v1.41/containers/" FULL_ID "/stop?t=5"},
        {"GET", "/v1.41/containers/" FULL_ID "/json", FULL_ID,
         "GET /v1.41/containers/" FULL_ID "/json"},
        {"DELETE", "/containers/" FULL_ID "?force=1&v=1", "nc_app_x",
         "DELETE /containers/nc_app_x?force=1&v=1"},
        {"DELETE", "/containers/nc_app_x", FULL_ID, "DELETE /containers/" FULL_ID},
        /* A name that stands in the path elsewhere, too. */
        {"POST", "/containers/containers/start", "ab", "POST /containers/ab/start"},
        {"POST", "/containers/start/start", FULL_ID, "POST /containers/" FULL_ID "/start"},
        {"GET", "/containers/json/json", "other", "GET /containers/other/json"},
        {"GET", "/volumes/volumes", "data", "GET /volumes/data"},
        {"GET", "/containers/abc/top?ps_args=abc", "x2", "GET /containers/x2/top?ps_args=abc"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        judge(rows[i].method, rows[i].target);
        docker_call_rename(&call, str_of(rows[i].name));
        assert_string_equal(line(), rows[i].want);
        assert_true(str_eq(docker_call_object(&call), str_of(rows[i].name)));
    }
}

static void the_segments_are_those_of_the_new_path(void **state)
{
    static const char *const names[] = {"x", "0123456789ab", FULL_ID};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        judge("GET", "/v1.41/containers/0123456789ab/json");
        docker_call_rename(&call, str_of(names[i]));
        assert_int_equal(call.nsegments, 3);
        assert_true(str_eq(docker_call_segment(&call, 0), STR("containers")));
        assert_true(str_eq(docker_call_segment(&call, 1), str_of(names[i])));
        assert_true(str_eq(docker_call_segment(&call, 2), STR("json")));
    }
}

static void it_may_be_done_again(void **state)
{
    (void)state;
    judge("POST", "/containers/one/start");
    docker_call_rename(&call, STR(FULL_ID));
    docker_call_rename(&call, STR("ab"));
    docker_call_rename(&call, STR("three"));
    assert_string_equal(line(), "POST /containers/three/start");
}

static void what_has_no_name_or_no_room_stays(void **state)
{
    char longest[DOCKER_PATH_MAX + 1];
    (void)state;
    memset(longest, 'a', sizeof(longest));
    judge("GET", "/v1.41/info");
    docker_call_rename(&call, STR("name"));
    assert_string_equal(line(), "GET /v1.41/info");
    judge("POST", "/containers/one/start");
    docker_call_rename(&call, STR(""));
    assert_string_equal(line(), "POST /containers/one/start");
    /* "/containers/" and "/start" are 18 bytes. */
    docker_call_rename(&call, (struct str){longest, DOCKER_PATH_MAX - 17});
    assert_string_equal(line(), "POST /containers/one/start");
    docker_call_rename(&call, (struct str){longest, DOCKER_PATH_MAX - 18});
    assert_int_equal(docker_call_path(&call).n, DOCKER_PATH_MAX);
    assert_int_equal(docker_call_object(&call).n, DOCKER_PATH_MAX - 18);
    assert_memory_equal(call.path + DOCKER_PATH_MAX - 6, "/start", 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_alone_is_another),
        cmocka_unit_test(the_segments_are_those_of_the_new_path),
        cmocka_unit_test(it_may_be_done_again),
        cmocka_unit_test(what_has_no_name_or_no_room_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
