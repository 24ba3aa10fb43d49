/* What goes on to the engine and comes back: heads of the gate's own, and errors in Docker's shape. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/docker/forward.h"
#include "common/docker/value.h"

#define OWN " HTTP/1.1\r\nHost: docker\r\n"
#define END "Connection: close\r\n\r\n"

static struct http_request req;
static struct http_response res;
static struct docker_call call;
static struct docker_verdict verdict;
static char out[DOCKER_FORWARD_MAX];
static const struct docker_forwarding closing = {.keep_alive = false};

static void judge(const struct docker_policy *policy, const char *head, int want)
{
    size_t scanned = 0, n = strlen(head);
    if (http_parse_request(&req, head, n, &HTTP_LIMITS_DEFAULT, &scanned) != (int)n) {
        fail_msg("the test's own head is bad (%s): %s", req.why, head);
    }
    if (docker_judge(policy, &req, req.path, &call, &verdict) != want) {
        fail_msg("%d %s: %s", verdict.status, verdict.why, head);
    }
}

static void expect(const char *head, const char *want)
{
    judge(&docker_policy_hub, head, 0);
    size_t n = docker_forward_request(out, sizeof(out), &call, &req, &closing);
    if (n != strlen(want) || memcmp(out, want, n) != 0) {
        fail_msg("got:\n%.*s\nwanted:\n%s", (int)n, out, want);
    }
    /* Not a byte less is enough, and none behind it is touched. */
    char *exact = malloc(n);
    assert_int_equal(docker_forward_request(exact, n, &call, &req, &closing), n);
    assert_int_equal(docker_forward_request(exact, n - 1, &call, &req, &closing), 0);
    free(exact);
}

static void builds_the_request_line_anew(void **state)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"GET /_ping", "GET /_ping" OWN END},
        {"HEAD /v1.41/_ping", "HEAD /v1.41/_ping" OWN END},
        {"GET /v1.41/images/registry.test%2Fexapps%2ftestapp%3A1.0.0/json",
         "GET /v1.41/images/registry.test/exapps/testapp:1.0.0/json" OWN END},
        {"GET /images/a%40sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
         "/json",
         "GET /images/a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
         "/json" OWN END},
        {"GET /v1.24/containers/nc_app_x/logs?tail=all&follow=1&since=%31.5",
         "GET /v1.24/containers/nc_app_x/logs?tail=all&follow=1&since=1.5" OWN END},
        {"POST /images/create?fromImage=r.test:5000/a_b&platform=linux%2farm64%2Fv8",
         "POST /images/create?fromImage=r.test%3A5000%2Fa_b&platform=linux%2Farm64%2Fv8" OWN
         "Content-Length: 0\r\n" END},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char head[512];
        snprintf(head, sizeof(head), "%s HTTP/1.1\r\nHost: hub:8780\r\n\r\n", rows[i].in);
        expect(head, rows[i].want);
    }
}

static void passes_three_fields_and_no_others(void **state)
{
    (void)state;
    expect("GET /_ping HTTP/1.1\r\nHost: h\r\nuser-agent: GuzzleHttp/7\r\naccept: */*\r\n\r\n",
           "GET /_ping" OWN "Accept: */*\r\nUser-Agent: GuzzleHttp/7\r\n" END);
    expect(
        "GET /_ping HTTP/1.1\r\nHost: h\r\nHARP-SHARED-KEY: secret\r\nDocker-Engine-Port: 24000\r\n"
        "Authorization: Basic x\r\nCookie: a=b\r\nContent-Length: 0\r\nContent-Type: a/b\r\n"
        "X-Forwarded-For: 10.0.0.1\r\nVia: x\r\nTE: trailers\r\nKeep-Alive: 5\r\nX-Meta-A: b\r\n"
        "X-Registry-Auth: e30=\r\nX-Registry-Config: e30=\r\nRange: bytes=0-1\r\n"
        "Accept-Encoding: gzip\r\nUser_Agent: x\r\nConnection: close\r\n\r\n",
        "GET /_ping" OWN END);
    expect("POST /images/create?fromImage=x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n"
           "x-registry-auth: e30=\r\nX-Registry-Config: e30=\r\nX_Registry_Auth: e30=\r\n\r\n",
           "POST /images/create?fromImage=x" OWN
           "X-Registry-Auth: e30=\r\nContent-Length: 0\r\n" END);
    /* The first of several; none that was meant for the gate alone. */
    expect("GET /_ping HTTP/1.1\r\nHost: h\r\nAccept: a/b\r\nAccept: c/d\r\n\r\n",
           "GET /_ping" OWN "Accept: a/b\r\n" END);
    expect("GET /_ping HTTP/1.1\r\nHost: h\r\nAccept: a/b\r\nUser-Agent: x\r\n"
           "Connection: accept\r\n\r\n",
           "GET /_ping" OWN "User-Agent: x\r\n" END);
    expect("POST /images/create?fromImage=x HTTP/1.1\r\nHost: h\r\nX-Registry-Auth: e30=\r\n"
           "Connection: X-Registry-Auth\r\n\r\n",
           "POST /images/create?fromImage=x" OWN "Content-Length: 0\r\n" END);
    expect("GET /_ping HTTP/1.0\r\n\r\n", "GET /_ping" OWN END);
}

static void writes_no_call_that_did_not_pass(void **state)
{
    (void)state;
    judge(&docker_policy_hub, "GET /_ping HTTP/1.1\r\nHost: h\r\n\r\n", 0);
    assert_int_not_equal(docker_forward_request(out, sizeof(out), &call, &req, &closing), 0);
    judge(&docker_policy_hub, "GET /info HTTP/1.1\r\nHost: h\r\n\r\n", 403);
    assert_int_equal(docker_forward_request(out, sizeof(out), &call, &req, &closing), 0);
    judge(&docker_policy_hub, "GET /_ping HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n", 403);
    assert_int_equal(docker_forward_request(out, sizeof(out), &call, &req, &closing), 0);
    judge(&docker_policy_hub, "GET /../_ping HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    assert_int_equal(docker_forward_request(out, sizeof(out), &call, &req, &closing), 0);
}

static const char *anything(struct str value)
{
    return value.n > DOCKER_PARAM_VALUE_MAX ? "is not bounded" : NULL;
}

static const struct docker_rule wide_rule = {
    .name = "wide",
    .path = "wide",
    .methods = DOCKER_METHOD(HTTP_POST),
    .registry_auth = true,
    .params = {{.name = "a", .check = anything}, {.name = "b", .check = anything}}};
static const struct docker_rule *const wide_rules[] = {&wide_rule};
static const struct docker_grants nothing;
static const struct docker_policy wide = {
    .rules = wide_rules, .count = 1, .version_max = DOCKER_VERSION_MAX, .grants = &nothing};

static void encodes_whatever_a_value_holds(void **state)
{
    char head[512], *want = out;
    size_t n = (size_t)snprintf(head, sizeof(head), "POST /wide?a=");
    (void)state;
    for (unsigned c = 0x20; c < 0x7f; c++) {
        n += (size_t)snprintf(head + n, sizeof(head) - n, "%%%02x", c);
    }
    snprintf(head + n, sizeof(head) - n, " HTTP/1.1\r\nHost: h\r\n\r\n");
    judge(&wide, head, 0);
    assert_int_not_equal(docker_forward_request(out, sizeof(out), &call, &req, &closing), 0);
    want += strlen("POST /wide?a=");
    for (unsigned c = 0x20; c < 0x7f; c++) {
        char piece[8];
        bool plain =
            c &&
            strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", (int)c);
        snprintf(piece, sizeof(piece), plain ? "%c" : "%%%02X", c);
        assert_memory_equal(want, piece, strlen(piece));
        want += strlen(piece);
    }
    assert_memory_equal(want, " HTTP/1.1\r\n", 11);
}

/* The longest lines that the parser takes, with the bytes that grow most. */
static void its_buffer_is_enough_for_every_head(void **state)
{
    enum { LINE = 8192 };
    static char head[4 * LINE + 512];
    size_t n = 0;
    (void)state;
    n += (size_t)snprintf(head, sizeof(head), "POST /v1.99/wide?a=");
    memset(head + n, ':', DOCKER_PARAM_VALUE_MAX);
    n += DOCKER_PARAM_VALUE_MAX;
    memcpy(head + n, "&b=", 3);
    n += 3;
    memset(head + n, '/', LINE - 9 - n);
    n = LINE - 9;
    n += (size_t)snprintf(head + n, sizeof(head) - n, " HTTP/1.1\r\nHost: h\r\n");
    static const char *const names[] = {"Accept: ", "User-Agent: ", "X-Registry-Auth: "};
    for (size_t i = 0; i < 3; i++) {
        size_t len = i < 2 ? LINE - strlen(names[i]) : DOCKER_REGISTRY_AUTH_MAX;
        n += (size_t)snprintf(head + n, sizeof(head) - n, "%s", names[i]);
        memset(head + n, 'x', len);
        n += len;
        n += (size_t)snprintf(head + n, sizeof(head) - n, "\r\n");
    }
    snprintf(head + n, sizeof(head) - n, "\r\n");
    judge(&wide, head, 0);
    size_t len = docker_forward_request(out, sizeof(out), &call, &req, &closing);
    assert_in_range(len, 3 * (LINE - 64) + 2 * (LINE - 64) + DOCKER_REGISTRY_AUTH_MAX, sizeof(out));
}

static void takes_redirects_and_hop_by_hop_fields_out_of_answers(void **state)
{
    static const char head[] =
        "HTTP/1.1 301 Moved Permanently\r\nLocation: /_ping\r\nlocation: /x\r\nApi-Version: "
        "1.41\r\n"
        "Libpod-Api-Version: 4.3.1\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n"
        "Upgrade: tcp\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n";
    static const char *const pass[] = {"Api-Version", "Libpod-Api-Version", "Content-Type"};
    size_t scanned = 0, passed = 0;
    (void)state;
    assert_int_equal(
        http_parse_response(&res, HTTP_GET, head, sizeof(head) - 1, &HTTP_LIMITS_DEFAULT, &scanned),
        sizeof(head) - 1);
    for (unsigned i = 0; i < res.nfields; i++) {
        if (docker_answer_passes(&res.fields[i])) {
            assert_true(passed < ARRAY_LEN(pass));
            assert_true(str_eq(res.fields[i].name, str_of(pass[passed++])));
        }
    }
    assert_int_equal(passed, ARRAY_LEN(pass));
}

static void tells_refusals_in_dockers_shape(void **state)
{
    static const struct {
        const char *line, *want;
        int status;
    } rows[] = {
        {"POST /images/create?fromSrc=-",
         "{\"message\":\"refused by policy: images/create: parameter fromSrc is not allowed\"}",
         403},
        {"DELETE /v1.41/containers/x-y",
         "{\"message\":\"refused by policy: DELETE containers/...: not an allowed call\"}", 403},
        {"GET /containers/nc_app_x/logs?tail=x",
         "{\"message\":\"refused by policy: containers/logs: parameter tail is not a number of "
         "lines or "
         "\\\"all\\\"\"}",
         403},
        {"GET /_ping/..", "{\"message\":\"malformed request: dot segment in the path\"}", 400},
    };
    char message[DOCKER_MESSAGE_MAX], body[DOCKER_MESSAGE_BODY_MAX];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char head[256];
        snprintf(head, sizeof(head), "%s HTTP/1.1\r\nHost: h\r\n\r\n", rows[i].line);
        judge(&docker_policy_hub, head, rows[i].status);
        size_t n = docker_verdict_message(&verdict, message, sizeof(message));
        size_t len = docker_message_body(body, sizeof(body), (struct str){message, n});
        if (len != strlen(rows[i].want) || memcmp(body, rows[i].want, len) != 0) {
            fail_msg("%.*s, wanted %s", (int)len, body, rows[i].want);
        }
        assert_int_equal(docker_message_body(body, len, (struct str){message, n}), len);
        assert_int_equal(docker_message_body(body, len - 1, (struct str){message, n}), 0);
        assert_int_equal(docker_verdict_message(&verdict, message, n), 0);
        assert_int_equal(docker_verdict_message(&verdict, message, n + 1), n);
    }
}

static void a_message_of_any_length_fits_and_is_escaped(void **state)
{
    char message[DOCKER_MESSAGE_MAX], body[DOCKER_MESSAGE_BODY_MAX];
    (void)state;
    memset(message, '\x01', sizeof(message));
    assert_int_equal(
        docker_message_body(body, sizeof(body), (struct str){message, sizeof(message)}),
        6 * sizeof(message) + strlen("{\"message\":\"\"}"));
    assert_memory_equal(body, "{\"message\":\"\\u0001", 18);
    assert_int_equal(docker_message_body(body, sizeof(body), STR("\xff")), 0);
    /* The longest verdict there can be. */
    verdict.status = 403;
    memset(verdict.call, 'x', sizeof(verdict.call) - 1);
    memset(verdict.why, 'x', sizeof(verdict.why) - 1);
    verdict.call[sizeof(verdict.call) - 1] = verdict.why[sizeof(verdict.why) - 1] = '\0';
    assert_int_not_equal(docker_verdict_message(&verdict, message, sizeof(message)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builds_the_request_line_anew),
        cmocka_unit_test(passes_three_fields_and_no_others),
        cmocka_unit_test(writes_no_call_that_did_not_pass),
        cmocka_unit_test(encodes_whatever_a_value_holds),
        cmocka_unit_test(its_buffer_is_enough_for_every_head),
        cmocka_unit_test(takes_redirects_and_hop_by_hop_fields_out_of_answers),
        cmocka_unit_test(tells_refusals_in_dockers_shape),
        cmocka_unit_test(a_message_of_any_length_fits_and_is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
