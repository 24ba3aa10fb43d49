/* The hub's policy for Docker engines: what passes, and that everything else is refused, and why. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/docker/policy.h"

#define X10 "xxxxxxxxxx"
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10
#define H64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct http_request req;
static struct docker_call call;
static struct docker_verdict verdict;

static void parse_head(const char *method, const char *target, const char *fields)
{
    static const struct http_limits limits = {
        .line = 16384, .head = 32768, .fields = HTTP_MAX_FIELDS};
    static char head[32768];
    size_t scanned = 0;
    int n =
        snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: h\r\n%s\r\n", method, target, fields);
    if (http_parse_request(&req, head, (size_t)n, &limits, &scanned) != n) {
        fail_msg("the test's own head is bad (%s): %s", req.why, head);
    }
}

/* The target does not have to be one that the HTTP parser takes. */
static int judge_with(const char *method, const char *target, const char *fields)
{
    size_t n = strlen(target);
    char *copy = malloc(n ? n : 1);
    memcpy(copy, target, n);
    parse_head(method, "/", fields);
    int status = docker_judge(&docker_policy_hub, &req, (struct str){copy, n}, &call, &verdict);
    free(copy);
    assert_int_equal(status, verdict.status);
    assert_true(!status == (call.rule != NULL));
    assert_true(!status == !verdict.why[0]);
    for (const char *p = verdict.call; *p; p++) {
        assert_in_range(*p, 0x20, 0x7e);
    }
    for (const char *p = verdict.why; *p; p++) {
        assert_in_range(*p, 0x20, 0x7e);
    }
    return status;
}

static int judge(const char *method, const char *target)
{
    return judge_with(method, target, "");
}

static void what_appapi_asks_passes(void **state)
{
    static const struct {
        const char *method, *target, *call, *object;
        enum docker_answer answer;
    } rows[] = {
        {"GET", "/_ping", "_ping", "", DOCKER_ANSWER_SHORT},
        {"HEAD", "/_ping", "_ping", "", DOCKER_ANSWER_SHORT},
        {"GET", "/v1.41/_ping", "_ping", "", DOCKER_ANSWER_SHORT},
        {"HEAD", "/v1.24/_ping", "_ping", "", DOCKER_ANSWER_SHORT},
        /* as recorded from AppAPI */
        {"GET", "/v1.41/images/registry.test%2Fexapps%2Ftestapp:1.0.0/json", "images/inspect",
         "registry.test/exapps/testapp:1.0.0", DOCKER_ANSWER_SHORT},
        {"GET", "/v1.41/images/registry.test/exapps/testapp:1.0.0-cpu/json", "images/inspect",
         "registry.test/exapps/testapp:1.0.0-cpu", DOCKER_ANSWER_SHORT},
        {"GET", "/images/a/b/c/json", "images/inspect", "a/b/c", DOCKER_ANSWER_SHORT},
        {"GET", "/v1.41/containers/nc_app_testapp/json", "containers/inspect", "nc_app_testapp",
         DOCKER_ANSWER_SHORT},
        {"GET", "/v1.41/containers/nc_app_testapp/logs?stdout=true&stderr=true&tail=1",
         "containers/logs", "nc_app_testapp", DOCKER_ANSWER_SHORT},
        {"POST", "/v1.41/images/create?fromImage=registry.test%2Fnone%3A1", "images/create", "",
         DOCKER_ANSWER_STREAM},
        /* other spellings of names */
        {"GET", "/images/a%3A1%40sha256%3a" H64 "/json", "images/inspect", "a:1@sha256:" H64,
         DOCKER_ANSWER_SHORT},
        {"GET", "/images/r.test:5000%2fa/json", "images/inspect", "r.test:5000/a",
         DOCKER_ANSWER_SHORT},
        {"GET", "/images/sha256:" H64 "/json", "images/inspect", "sha256:" H64,
         DOCKER_ANSWER_SHORT},
        {"GET", "/images/" H64 "/json", "images/inspect", H64, DOCKER_ANSWER_SHORT},
        {"GET", "/containers/nc_app_A.b-C_0/json", "containers/inspect", "nc_app_A.b-C_0",
         DOCKER_ANSWER_SHORT},
        /* names that are also words of Docker's */
        {"GET", "/images/containers/json", "images/inspect", "containers", DOCKER_ANSWER_SHORT},
        {"GET", "/images/x/containers/json", "images/inspect", "x/containers", DOCKER_ANSWER_SHORT},
        {"GET", "/images/create/json", "images/inspect", "create", DOCKER_ANSWER_SHORT},
        {"GET", "/images/json/json", "images/inspect", "json", DOCKER_ANSWER_SHORT},
        {"GET", "/images/x/json/json", "images/inspect", "x/json", DOCKER_ANSWER_SHORT},
        {"GET", "/images/x/get/json", "images/inspect", "x/get", DOCKER_ANSWER_SHORT},
        {"GET", "/images/images/json", "images/inspect", "images", DOCKER_ANSWER_SHORT},
        /* all parameters */
        {"GET",
         "/containers/nc_app_x/logs?follow=1&stdout=1&stderr=0&since=1.5&until=2&timestamps=false&"
         "tail=all",
         "containers/logs", "nc_app_x", DOCKER_ANSWER_STREAM},
        {"GET", "/containers/nc_app_x/logs?follow=true", "containers/logs", "nc_app_x",
         DOCKER_ANSWER_STREAM},
        {"GET", "/containers/nc_app_x/logs?follow=false", "containers/logs", "nc_app_x",
         DOCKER_ANSWER_SHORT},
        {"GET", "/containers/nc_app_x/logs?stdout=1", "containers/logs", "nc_app_x",
         DOCKER_ANSWER_SHORT},
        {"GET", "/containers/nc_app_x/logs", "containers/logs", "nc_app_x", DOCKER_ANSWER_SHORT},
        {"POST", "/images/create?platform=linux%2Farm64%2Fv8&tag=1.0&fromImage=r.test/a/b",
         "images/create", "", DOCKER_ANSWER_STREAM},
        {"POST", "/images/create?fromImage=a&tag=sha256:" H64, "images/create", "",
         DOCKER_ANSWER_STREAM},
        {"POST", "/images/create?fromImage=a@sha256:" H64, "images/create", "",
         DOCKER_ANSWER_STREAM},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (judge(rows[i].method, rows[i].target) != 0) {
            fail_msg("%s %s: %d %s: %s", rows[i].method, rows[i].target, verdict.status,
                     verdict.call, verdict.why);
        }
        assert_string_equal(verdict.call, rows[i].call);
        assert_string_equal(call.rule->name, rows[i].call);
        assert_true(str_eq(docker_call_object(&call), str_of(rows[i].object)));
        if (verdict.answer != rows[i].answer) {
            fail_msg("%s: answer %d", rows[i].target, (int)verdict.answer);
        }
    }
}

struct refusal {
    const char *method, *target, *call, *why;
};

static void check_refusals(const struct refusal *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int status = judge(rows[i].method, rows[i].target);
        if (status != 403 || strcmp(verdict.call, rows[i].call) != 0 ||
            strcmp(verdict.why, rows[i].why) != 0) {
            fail_msg("%s %s: %d %s: %s", rows[i].method, rows[i].target, status, verdict.call,
                     verdict.why);
        }
    }
}

static void refuses_calls_that_no_rule_names(void **state)
{
    static const char no[] = "not an allowed call";
    static const struct refusal rows[] = {
        /* other methods */
        {"POST", "/_ping", "POST _ping", no},
        {"OPTIONS", "/_ping", "OPTIONS _ping", no},
        {"TRACE", "/_ping", "TRACE _ping", no},
        {"get", "/_ping", "... _ping", no},
        {"GETX", "/_ping", "... _ping", no},
        {"HEAD", "/images/x/json", "HEAD images/.../json", no},
        {"POST", "/images/x/json", "POST images/.../json", no},
        {"HEAD", "/containers/nc_app_x/json", "HEAD containers/.../json", no},
        {"HEAD", "/containers/nc_app_x/logs", "HEAD containers/.../logs", no},
        {"DELETE", "/containers/nc_app_x/json", "DELETE containers/.../json", no},
        {"GET", "/images/create", "GET images/create", no},
        {"GET", "/images/create?fromImage=x", "GET images/create", no},
        {"HEAD", "/images/create?fromImage=x", "HEAD images/create", no},
        {"PUT", "/images/create?fromImage=x", "PUT images/create", no},
        /* lists, and other calls about images */
        {"GET", "/images/json", "GET images/json", no},
        {"GET", "/v1.41/images/json?all=1", "GET images/json", no},
        {"GET", "/images/search?term=x", "GET images/search", no},
        {"GET", "/images/get?names=x", "GET images/get", no},
        {"GET", "/images/x/get", "GET images/.../get", no},
        {"GET", "/images/x/history", "GET images/.../history", no},
        {"GET", "/images/x/jsonx", "GET images/.../jsonx", no},
        {"GET", "/images/x/JSON", "GET images/.../...", no},
        {"GET", "/images/x/json/x", "GET images/.../x", no},
        {"GET", "/Images/x/json", "GET .../.../json", no},
        {"GET", "/image/x/json", "GET image/.../json", no},
        {"GET", "/x/images/x/json", "GET x/.../json", no},
        {"GET", "/images", "GET images", no},
        {"GET", "/json", "GET json", no},
        {"POST", "/images/x/push", "POST images/.../push", no},
        {"POST", "/images/x/tag?repo=y", "POST images/.../tag", no},
        {"POST", "/images/load", "POST images/load", no},
        {"POST", "/images/prune", "POST images/prune", no},
        {"POST", "/images/createevil?fromImage=x", "POST images/createevil", no},
        {"POST", "/images/create/x?fromImage=x", "POST images/.../x", no},
        {"POST", "/x/images/create?fromImage=x", "POST x/.../create", no},
        {"POST", "/images/Create?fromImage=x", "POST images/...", no},
        {"DELETE", "/images/x", "DELETE images/x", no},
        /* calls about containers */
        {"GET", "/containers/json", "GET containers/json", no},
        {"GET", "/containers/json?all=1", "GET containers/json", no},
        {"GET", "/containers/nc_app_x", "GET containers/nc_app_x", no},
        {"GET", "/containers/nc_app_x/top", "GET containers/.../top", no},
        {"GET", "/containers/nc_app_x/stats", "GET containers/.../stats", no},
        {"GET", "/containers/nc_app_x/export", "GET containers/.../export", no},
        {"GET", "/containers/nc_app_x/changes", "GET containers/.../changes", no},
        {"GET", "/containers/nc_app_x/archive?path=/", "GET containers/.../archive", no},
        {"HEAD", "/containers/nc_app_x/archive?path=/", "HEAD containers/.../archive", no},
        {"PUT", "/containers/nc_app_x/archive?path=/", "PUT containers/.../archive", no},
        {"GET", "/containers/nc_app_x/attach/ws", "GET containers/.../ws", no},
        {"POST", "/containers/nc_app_x/attach", "POST containers/.../attach", no},
        {"POST", "/containers/nc_app_x/exec", "POST containers/.../exec", no},
        {"POST", "/containers/nc_app_x/start", "POST containers/.../start", no},
        {"POST", "/containers/nc_app_x/stop", "POST containers/.../stop", no},
        {"POST", "/containers/nc_app_x/kill", "POST containers/.../kill", no},
        {"POST", "/containers/nc_app_x/update", "POST containers/.../update", no},
        {"POST", "/containers/nc_app_x/rename?name=y", "POST containers/.../rename", no},
        {"POST", "/containers/nc_app_x/wait", "POST containers/.../wait", no},
        {"POST", "/containers/nc_app_x/logs/clear", "POST containers/.../clear", no},
        {"POST", "/containers/create?name=nc_app_x", "POST containers/create", no},
        {"POST", "/containers/prune", "POST containers/prune", no},
        {"DELETE", "/containers/nc_app_x", "DELETE containers/nc_app_x", no},
        {"DELETE", "/containers/nc_app_x?force=true", "DELETE containers/nc_app_x", no},
        {"GET", "/containers/nc_app_x/logs/x", "GET containers/.../x", no},
        {"GET", "/containers/nc_app_x/json/logs", "GET containers/.../logs", no},
        {"GET", "/containers/nc_app_x/logsx", "GET containers/.../logsx", no},
        {"GET", "/containers/nc_app_x/y/json", "GET containers/.../json", no},
        {"GET", "/containers/x/nc_app_x/json", "GET containers/.../json", no},
        /* everything else of an engine's */
        {"GET", "/version", "GET version", no},
        {"GET", "/info", "GET info", no},
        {"GET", "/events", "GET events", no},
        {"GET", "/system/df", "GET system/df", no},
        {"POST", "/auth", "POST auth", no},
        {"POST", "/build?remote=http:", "POST build", no},
        {"POST", "/commit?container=x", "POST commit", no},
        {"POST", "/session", "POST session", no},
        {"POST", "/grpc", "POST grpc", no},
        {"POST", "/exec/0123/start", "POST exec/.../start", no},
        {"GET", "/exec/0123/json", "GET exec/.../json", no},
        {"GET", "/volumes", "GET volumes", no},
        {"POST", "/volumes/create", "POST volumes/create", no},
        {"DELETE", "/volumes/nc_app_x_data", "DELETE volumes/nc_app_x_data", no},
        {"GET", "/networks", "GET networks", no},
        {"POST", "/networks/create", "POST networks/create", no},
        {"GET", "/plugins", "GET plugins", no},
        {"POST", "/plugins/pull?remote=x", "POST plugins/pull", no},
        {"GET", "/plugins/x/json", "GET plugins/.../json", no},
        {"POST", "/swarm/init", "POST swarm/init", no},
        {"GET", "/secrets", "GET secrets", no},
        {"GET", "/distribution/x/json", "GET distribution/.../json", no},
        {"GET", "/debug/pprof/heap", "GET debug/.../heap", no},
        {"GET", "/metrics", "GET metrics", no},
        /* Podman's own */
        {"GET", "/libpod/_ping", "GET libpod/_ping", no},
        {"GET", "/libpod/images/x/json", "GET libpod/.../json", no},
        {"GET", "/v1.41/libpod/containers/nc_app_x/json", "GET libpod/.../json", no},
        {"POST", "/libpod/images/pull?reference=x", "POST libpod/.../pull", no},
        {"POST", "/libpod/play/kube", "POST libpod/.../kube", no},
        /* what only looks like a version or a prefix */
        {"GET", "/V1.41/_ping", "GET .../_ping", no},
        {"GET", "/v1.41/v1.41/_ping", "GET .../_ping", no},
        {"GET", "/v/_ping", "GET v/_ping", no},
        {"GET", "/_ping/x", "GET _ping/x", no},
        {"GET", "/x/_ping", "GET x/_ping", no},
        {"GET", "/_pingx", "GET _pingx", no},
        {"GET", "/_PING", "GET ...", no},
        {"GET", "/ping", "GET ping", no},
        {"GET", "/exapps/app_api/_ping", "GET exapps/.../_ping", no},
        {"GET", "/...", "GET ...", no},
        {"GET", "/a_very_long_word_of_letters", "GET ...", no},
    };
    (void)state;
    check_refusals(rows, ARRAY_LEN(rows));
}

static void refuses_objects_that_are_not_for_appapi(void **state)
{
    static const char container[] = "container name is not one that the policy lists",
                      no_name[] = "container name is not a container's name",
                      image[] = "image name is neither an image reference nor an image id",
                      inspect[] = "containers/inspect", images[] = "images/inspect";
    static const struct refusal rows[] = {
        {"GET", "/containers/other/json", inspect, container},
        {"GET", "/containers/other/logs", "containers/logs", container},
        {"GET", "/containers/" H64 "/json", inspect, container},
        {"GET", "/containers/NC_APP_x/json", inspect, container},
        {"GET", "/containers/nc_app_/json", inspect, container},
        {"GET", "/containers/xnc_app_x/json", inspect, container},
        {"GET", "/containers/nc_app_x:y/json", inspect, no_name},
        {"GET", "/containers/nc_app_x@y/json", inspect, no_name},
        {"GET", "/containers/nc_app_x~/json", inspect, no_name},
        {"GET", "/containers/nc_app_" X100 "x/json", inspect, no_name},
        {"GET", "/containers/create/json", inspect, container},
        {"GET", "/containers/json/json", inspect, container},
        {"GET", "/images/A/json", images, image},
        {"GET", "/images/x:/json", images, image},
        {"GET", "/images/x@sha256:1/json", images, image},
        {"GET", "/images/x:t/y/json", images, image},
        {"GET", "/images/x%3At%2Fy/json", images, image},
        {"GET", "/images/.../json", images, image},
        {"GET", "/images/-x/json", images, image},
        {"GET", "/images/x~y/json", images, image},
        {"GET", "/images/x/Containers/json", images, image},
    };
    (void)state;
    check_refusals(rows, ARRAY_LEN(rows));
}

static void refuses_parameters_that_are_not_listed_or_not_good(void **state)
{
    static const char create[] = "images/create", logs[] = "containers/logs";
    static const struct refusal rows[] = {
        {"POST", "/images/create", create, "parameter fromImage is missing"},
        {"POST", "/images/create?tag=1", create, "parameter fromImage is missing"},
        {"POST", "/images/create?fromSrc=-", create, "parameter fromSrc is not allowed"},
        {"POST", "/images/create?fromImage=x&fromSrc=-", create,
         "parameter fromSrc is not allowed"},
        {"POST", "/images/create?FromImage=x", create, "parameter FromImage is not allowed"},
        {"POST", "/images/create?fromimage=x", create, "parameter fromimage is not allowed"},
        {"POST", "/images/create?fromImage=x&fromimage=y", create,
         "parameter fromimage is not allowed"},
        {"POST", "/images/create?fromImage=x&repo=y", create, "parameter repo is not allowed"},
        {"POST", "/images/create?fromImage=x&message=y", create,
         "parameter message is not allowed"},
        {"POST", "/images/create?fromImage=x&changes=y", create,
         "parameter changes is not allowed"},
        {"POST", "/images/create?fromImage=x&pullProgress=1", create,
         "parameter pullProgress is not allowed"},
        {"POST", "/images/create?fromImage=", create,
         "parameter fromImage is not an image reference"},
        {"POST", "/images/create?fromImage=X", create,
         "parameter fromImage is not an image reference"},
        {"POST", "/images/create?fromImage=x%20", create,
         "parameter fromImage is not an image reference"},
        {"POST", "/images/create?fromImage=x%252Fy", create,
         "parameter fromImage is not an image reference"},
        {"POST", "/images/create?fromImage=../x", create,
         "parameter fromImage is not an image reference"},
        {"POST", "/images/create?fromImage=http%3A%2F%2Fr%2Fx", create,
         "parameter fromImage is not an image reference"},
        {"POST", "/images/create?fromImage=x%26fromSrc%3D-", create,
         "parameter fromImage is not an image reference"},
        {"POST", "/images/create?fromImage=" H64, create,
         "parameter fromImage is not an image reference"},
        {"POST", "/images/create?fromImage=sha256:" H64, create,
         "parameter fromImage is not an image reference"},
        {"POST", "/images/create?fromImage=x&tag=", create, "parameter tag is not a tag or digest"},
        {"POST", "/images/create?fromImage=x&tag=a/b", create,
         "parameter tag is not a tag or digest"},
        {"POST", "/images/create?fromImage=x&tag=.", create,
         "parameter tag is not a tag or digest"},
        {"POST", "/images/create?fromImage=x&platform=", create,
         "parameter platform is not a platform"},
        {"POST", "/images/create?fromImage=x&platform=linux/..", create,
         "parameter platform is not a platform"},
        {"POST", "/images/create?fromImage=x:1&tag=2", create,
         "parameter tag is not allowed when fromImage has a tag or digest"},
        {"POST", "/images/create?tag=2&fromImage=x@sha256:" H64, create,
         "parameter tag is not allowed when fromImage has a tag or digest"},
        {"GET", "/_ping?a=1", "_ping", "parameter a is not allowed"},
        {"HEAD", "/_ping?fromImage=x", "_ping", "parameter fromImage is not allowed"},
        {"GET", "/images/x/json?platform=linux", "images/inspect",
         "parameter platform is not allowed"},
        {"GET", "/images/x/json?manifests=1", "images/inspect",
         "parameter manifests is not allowed"},
        {"GET", "/containers/nc_app_x/json?size=1", "containers/inspect",
         "parameter size is not allowed"},
        {"GET", "/containers/nc_app_x/logs?details=1", logs, "parameter details is not allowed"},
        {"GET", "/containers/nc_app_x/logs?Follow=1", logs, "parameter Follow is not allowed"},
        {"GET", "/containers/nc_app_x/logs?follow=", logs,
         "parameter follow is not 0, 1, false or true"},
        {"GET", "/containers/nc_app_x/logs?follow=yes", logs,
         "parameter follow is not 0, 1, false or true"},
        {"GET", "/containers/nc_app_x/logs?stdout=True", logs,
         "parameter stdout is not 0, 1, false or true"},
        {"GET", "/containers/nc_app_x/logs?stderr=2", logs,
         "parameter stderr is not 0, 1, false or true"},
        {"GET", "/containers/nc_app_x/logs?timestamps=no", logs,
         "parameter timestamps is not 0, 1, false or true"},
        {"GET", "/containers/nc_app_x/logs?since=10m", logs,
         "parameter since is not a time in seconds"},
        {"GET", "/containers/nc_app_x/logs?until=-1", logs,
         "parameter until is not a time in seconds"},
        {"GET", "/containers/nc_app_x/logs?tail=-1", logs,
         "parameter tail is not a number of lines or \"all\""},
        {"GET", "/containers/nc_app_x/logs?tail=1&n_-0123456789012345678901234567=1", logs,
         "parameter n_-0123456789012345678901234567 is not allowed"},
    };
    (void)state;
    check_refusals(rows, ARRAY_LEN(rows));
}

static void tells_malformed_targets_from_refused_ones(void **state)
{
    static const char outside[] = "percent-encoding outside of an image's name",
                      path[] = "target is not a path";
    static const struct {
        const char *method, *target, *why;
    } rows[] = {
        {"GET", "/v1.41/images/../containers/json", "dot segment in the path"},
        {"GET", "/v1.41/images/x/../../containers/json", "dot segment in the path"},
        {"GET", "/v1.41/images/x%2F..%2F..%2Fcontainers/json", "dot segment in the path"},
        {"GET", "/v1.41/images/%2e%2e/containers/json",
         "percent-encoding in the path that no image name needs"},
        {"GET", "/v1.41/images//containers/json", "empty path segment"},
        {"GET", "/v1.41/_ping/", "slash at the end of the path"},
        {"GET", "/v1.23/_ping", "API version out of range"},
        {"POST", "/images/create?fromImage=x&fromImage=y", "parameter given twice"},
        {"POST", "/images/create?from%49mage=x", "percent-encoding in a parameter's name"},
        {"POST", "/images/create?fromImage=x;fromSrc=-", "byte in the query that must be encoded"},
        {"POST", "/images/create?", "empty parameter in the query"},
        {"GET", "http://docker/_ping", path},
        {"GET", "//docker/_ping", "empty path segment"},
        {"OPTIONS", "*", path},
        {"GET", "", path},
        {"GET", "/containers%2Fnc_app_x/json", outside},
        {"GET", "/containers/nc_app_x%2Fjson", outside},
        {"GET", "/containers/nc_app_x%2Fy/json", outside},
        {"GET", "/containers/nc_app_x%3A/json", outside},
        {"GET", "/containers/nc_app_x%40y/logs", outside},
        {"GET", "/images%2Fx/json", outside},
        {"GET", "/images/x%2Fjson", outside},
        {"GET", "/images%2Fx%2Fjson", outside},
        {"GET", "/images%2Fjson", outside},
        {"GET", "/v1.41/images/x/json%2Fjson", outside},
        {"POST", "/images%2Fcreate?fromImage=x", outside},
        {"GET", "/info%2Fx", outside},
        {"GET", "/x%3Ay", outside},
        {"DELETE", "/images/x%2Fy", outside},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int status = judge(rows[i].method, rows[i].target);
        if (status != 400 || strcmp(verdict.why, rows[i].why) != 0) {
            fail_msg("%s %s: %d %s", rows[i].method, rows[i].target, status, verdict.why);
        }
        assert_string_equal(verdict.call, "");
    }
}

static void refuses_absolute_targets_even_when_their_path_would_pass(void **state)
{
    (void)state;
    parse_head("GET", "http://h/_ping", "");
    assert_int_equal(docker_judge(&docker_policy_hub, &req, req.path, &call, &verdict), 400);
    assert_string_equal(verdict.why, "target is not a path");
    parse_head("GET", "/_ping", "");
    assert_int_equal(docker_judge(&docker_policy_hub, &req, req.path, &call, &verdict), 0);
}

static const struct {
    const char *method, *target;
} passing[] = {
    {"GET", "/_ping"},
    {"HEAD", "/_ping"},
    {"GET", "/images/x/json"},
    {"GET", "/containers/nc_app_x/json"},
    {"GET", "/containers/nc_app_x/logs"},
    {"POST", "/images/create?fromImage=x"},
};

static void refuses_bodies_expectations_and_upgrades_on_every_call(void **state)
{
    static const struct {
        const char *fields, *why;
    } rows[] = {
        {"", NULL},
        {"Content-Length: 0\r\n", NULL},
        {"Content-Type: application/json\r\n", NULL},
        {"Connection: keep-alive, close\r\nTE: trailers\r\nCookie: a=b\r\n", NULL},
        {"Content-Length: 1\r\n", "a body is not allowed"},
        {"Content-Length: 17\r\nContent-Type: application/x-www-form-urlencoded\r\n",
         "a body is not allowed"},
        {"Transfer-Encoding: chunked\r\n", "a body is not allowed"},
        {"Content-Length: 1\r\nExpect: 100-continue\r\n", "a body is not allowed"},
        {"Expect: 100-continue\r\n", "Expect is not allowed"},
        {"Connection: Expect\r\nExpect: 100-continue\r\n", "Expect is not allowed"},
        {"Connection: upgrade\r\nUpgrade: tcp\r\n", "Upgrade is not allowed"},
        {"Connection: upgrade\r\nUpgrade: h2c\r\n", "Upgrade is not allowed"},
        {"Connection: upgrade\r\nUpgrade: websocket\r\n", "Upgrade is not allowed"},
        {"Upgrade: tcp\r\n", "Upgrade is not allowed"},
    };
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(passing); k++) {
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            int status = judge_with(passing[k].method, passing[k].target, rows[i].fields);
            if (status != (rows[i].why ? 403 : 0) ||
                (rows[i].why && strcmp(verdict.why, rows[i].why) != 0)) {
                fail_msg("%s with %s: %d %s", passing[k].target, rows[i].fields, status,
                         verdict.why);
            }
        }
    }
}

static void takes_registry_credentials_on_image_pulls_alone(void **state)
{
    static const struct {
        const char *fields;
        bool good;
    } rows[] = {
        {"X-Registry-Auth: e30=\r\n", true},
        {"x-registry-auth: abcXYZ019-_==\r\n", true},
        {"X-Registry-Auth: a\r\nX-Registry-Auth: a\r\n", false},
        {"X-Registry-Auth: a\r\nConnection: X-Registry-Auth\r\nx-registry-auth: b\r\n", false},
        {"X-Registry-Auth: \r\n", false},
        {"X-Registry-Auth: a+b\r\n", false},
        {"X-Registry-Auth: a/b\r\n", false},
        {"X-Registry-Auth: a b\r\n", false},
        {"X-Registry-Auth: {}\r\n", false},
        {"X-Registry-Auth: a\xc3\xa4\r\n", false},
    };
    char field[DOCKER_REGISTRY_AUTH_MAX + 64];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int status = judge_with("POST", "/images/create?fromImage=x", rows[i].fields);
        if (status != (rows[i].good ? 0 : 403)) {
            fail_msg("%s: %d %s", rows[i].fields, status, verdict.why);
        }
        /* Where it does not go on, it is nobody's business. */
        assert_int_equal(judge_with("GET", "/images/x/json", rows[i].fields), 0);
    }
    memset(field, 'a', sizeof(field));
    memcpy(field, "X-Registry-Auth: ", 17);
    memcpy(field + 17 + DOCKER_REGISTRY_AUTH_MAX, "\r\n", 3);
    assert_int_equal(judge_with("POST", "/images/create?fromImage=x", field), 0);
    memcpy(field + 17 + DOCKER_REGISTRY_AUTH_MAX, "a\r\n", 4);
    assert_int_equal(judge_with("POST", "/images/create?fromImage=x", field), 403);
    assert_string_equal(verdict.why, "X-Registry-Auth is not base64url, or too long");
}

static void a_copied_policy_may_have_another_version_limit(void **state)
{
    struct docker_policy older = docker_policy_hub;
    (void)state;
    older.version_max = 41;
    parse_head("GET", "/", "");
    assert_int_equal(docker_judge(&older, &req, STR("/v1.41/_ping"), &call, &verdict), 0);
    assert_int_equal(docker_judge(&older, &req, STR("/v1.42/_ping"), &call, &verdict), 400);
}

/* What the engine takes for granted of a table. */
static void the_hubs_table_is_well_formed(void **state)
{
    (void)state;
    for (size_t i = 0; i < docker_policy_hub.count; i++) {
        const struct docker_rule *r = docker_policy_hub.rules[i];
        const char *hole = strstr(r->path, "{}");
        assert_true(!hole == !r->object);
        assert_true(!hole || !strstr(hole + 1, "{}"));
        assert_true(r->path[0] != '/' && r->path[strlen(r->path) - 1] != '/');
        assert_true(r->methods > 1 && !(r->methods & DOCKER_METHOD(HTTP_METHOD_OTHER)));
        assert_true(strlen(r->name) < sizeof(verdict.call));
        for (unsigned k = 0; k < DOCKER_RULE_PARAMS && r->params[k].name; k++) {
            assert_non_null(r->params[k].check);
            assert_true(strlen(r->params[k].name) <= DOCKER_PARAM_NAME_MAX);
        }
    }
    /* A request that passes does so by one rule alone. */
    for (size_t k = 0; k < ARRAY_LEN(passing); k++) {
        unsigned by = 0;
        for (size_t i = 0; i < docker_policy_hub.count; i++) {
            struct docker_policy one = docker_policy_hub;
            one.rules += i;
            one.count = 1;
            parse_head(passing[k].method, "/", "");
            by += !docker_judge(&one, &req, str_of(passing[k].target), &call, &verdict);
        }
        assert_int_equal(by, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_appapi_asks_passes),
        cmocka_unit_test(refuses_calls_that_no_rule_names),
        cmocka_unit_test(refuses_objects_that_are_not_for_appapi),
        cmocka_unit_test(refuses_parameters_that_are_not_listed_or_not_good),
        cmocka_unit_test(tells_malformed_targets_from_refused_ones),
        cmocka_unit_test(refuses_absolute_targets_even_when_their_path_would_pass),
        cmocka_unit_test(refuses_bodies_expectations_and_upgrades_on_every_call),
        cmocka_unit_test(takes_registry_credentials_on_image_pulls_alone),
        cmocka_unit_test(a_copied_policy_may_have_another_version_limit),
        cmocka_unit_test(the_hubs_table_is_well_formed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
