/* The gate where it meets the hub: the port as sent, a verdict that comes from the policy, a head for the
 * engine. What passes and what not is test_docker_policy.c's business. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hub/access/gate.h"
#include "hub/hub.h"

#define VERSION "/v1.41"

static struct hub *hub;
static struct gate_verdict verdict;

static int set_up(void **state)
{
    (void)state;
    hub = calloc(1, sizeof(*hub));
    return !hub;
}

static int tear_down(void **state)
{
    (void)state;
    free(hub);
    return 0;
}

static void parse(const char *method, const char *fields)
{
    static char head[4096];
    size_t scanned = 0;
    int n = snprintf(head, sizeof(head), "%s /exapps/app_api/x HTTP/1.1\r\nHost: h\r\n%s\r\n",
                     method, fields);
    assert_int_equal(
        http_parse_request(&hub->request, head, (size_t)n, &HTTP_LIMITS_DEFAULT, &scanned), n);
}

static int judge(const char *method, struct str port, const char *target)
{
    parse(method, "Accept: a/b\r\nX-Registry-Auth: abc\r\nharp-shared-key: k\r\n");
    memset(&verdict, 0xff, sizeof(verdict));
    gate_judge(hub, &hub->request, port, str_of(target), &verdict);
    if (verdict.status != 0) {
        assert_ptr_equal(verdict.why, hub->gate_why);
        assert_non_null(memchr(hub->gate_why, '\0', sizeof(hub->gate_why)));
        assert_true(verdict.why[0] != '\0');
    }
    return verdict.status;
}

static void what_the_policy_lets_pass_passes(void **state)
{
    static const struct {
        const char *method, *target;
        bool streams;
    } rows[] = {
        {"GET", "/_ping", false},
        {"HEAD", VERSION "/_ping", false},
        {"GET", VERSION "/images/a:1/json", false},
        {"GET", VERSION "/containers/nc_app_a/json", false},
        {"GET", VERSION "/containers/nc_app_a/logs?stdout=true&tail=100", false},
        {"GET", VERSION "/containers/nc_app_a/logs?stdout=true&follow=true", true},
        {"POST", VERSION "/images/create?fromImage=a%3A1", true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (judge(rows[i].method, STR("24000"), rows[i].target) != 0) {
            fail_msg("%s: %d, %s", rows[i].target, verdict.status, verdict.why);
        }
        assert_int_equal(verdict.port, 24000);
        assert_int_equal(verdict.streams, rows[i].streams);
    }
}

static void the_port_must_be_one(void **state)
{
    static const char *const good[] = {"1", "24000", "24099", "65535"};
    static const char *const bad[] = {
        "",       "0",      "65536",       "-1",    "+24000", " 24000",
        "24000 ", "024000", "24000,24001", "2400x", "0x5dc0", "99999999999999999999",
        "a"};
    static const char begin[] = "Invalid 'docker-engine-port' header value: ";
    char want[128], text[64];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(judge("GET", str_of(good[i]), "/_ping"), 0);
        assert_int_equal(verdict.port, atoi(good[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(judge("GET", str_of(bad[i]), "/_ping"), 400);
        snprintf(want, sizeof(want), "%s%s", begin, bad[i]);
        assert_string_equal(verdict.why, want);
        assert_int_equal(verdict.port, 0);
    }
    /* what is not printable is not shown, what is long is cut */
    assert_int_equal(judge("GET", STR("24000\xc3\xa9"), "/_ping"), 400);
    assert_string_equal(verdict.why, begin);
    assert_int_equal(judge("GET", (struct str){"24000\0", 6}, "/_ping"), 400);
    assert_string_equal(verdict.why, begin);
    memset(text, '9', sizeof(text));
    assert_int_equal(judge("GET", (struct str){text, sizeof(text)}, "/_ping"), 400);
    assert_int_equal(strlen(verdict.why), strlen(begin) + 40);
}

static void the_rest_is_refused_with_the_policys_words(void **state)
{
    static const struct {
        const char *method, *target, *why;
        int status;
    } rows[] = {
        {"POST", VERSION "/containers/create?name=nc_app_a", "refused by policy: ", 403},
        {"GET", VERSION "/containers/json", "refused by policy: ", 403},
        {"GET", VERSION "/containers/other/json", "refused by policy: containers/inspect: ", 403},
        {"DELETE", VERSION "/containers/nc_app_a", "refused by policy: ", 403},
        {"GET", "/v1.41/../info", "malformed request: ", 400},
        {"GET", "//info", "malformed request: ", 400},
        {"GET", "", "malformed request: ", 400},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (judge(rows[i].method, STR("24001"), rows[i].target) != rows[i].status ||
            strncmp(verdict.why, rows[i].why, strlen(rows[i].why)) != 0) {
            fail_msg("%s: %d, %s", rows[i].target, verdict.status, verdict.why);
        }
        assert_int_equal(verdict.port, 24001);
    }
}

static void the_engines_head_is_made_of_the_call_that_passed(void **state)
{
    static const char want[] = "POST /v1.41/images/create?fromImage=a%3A1 HTTP/1.1\r\n"
                               "Host: docker\r\nAccept: a/b\r\nX-Registry-Auth: abc\r\n"
                               "Content-Length: 0\r\nConnection: close\r\n\r\n";
    static const char target[] = VERSION "/images/create?fromImage=a:1";
    char head[1024];
    (void)state;
    assert_int_equal(judge("POST", STR("24000"), target), 0);
    size_t n = gate_forward(hub, head, sizeof(head));
    assert_int_equal(n, sizeof(want) - 1);
    assert_memory_equal(head, want, n);
    assert_int_equal(gate_forward(hub, head, n - 1), 0);
    /* After another request was judged, the first one is read again. */
    assert_int_equal(judge("GET", STR("24000"), "/nothing"), 403);
    assert_int_equal(gate_forward(hub, head, sizeof(head)), 0);
    parse("POST", "Accept: a/b\r\nX-Registry-Auth: abc\r\n");
    gate_read(hub, &hub->request, str_of(target));
    assert_int_equal(gate_forward(hub, head, sizeof(head)), sizeof(want) - 1);
    assert_memory_equal(head, want, sizeof(want) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_policy_lets_pass_passes),
        cmocka_unit_test(the_port_must_be_one),
        cmocka_unit_test(the_rest_is_refused_with_the_policys_words),
        cmocka_unit_test(the_engines_head_is_made_of_the_call_that_passed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
