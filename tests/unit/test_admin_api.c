/* The administration interface's verdicts: who may ask, what, and how it is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <stdlib.h>

#include "hub/admin/admin_api.h"
#include "hub/admin/admin_bans.h"

#define LOCAL "Host: localhost\r\n"

static struct http_request req;

static struct admin_verdict judge(const char *text, const struct admin_rules *rules)
{
    struct admin_verdict v;
    size_t scanned = 0;
    int len = http_parse_request(&req, text, strlen(text), &HTTP_LIMITS_DEFAULT, &scanned);
    if (len <= 0) {
        fail_msg("not taken by the parser: %s", text);
    }
    admin_judge(&v, &req, rules);
    return v;
}

static const struct admin_rules tcp = {.check_host = true};

static void check(const char *text, const struct admin_rules *rules, int status)
{
    struct admin_verdict v = judge(text, rules);
    if (v.status != status) {
        fail_msg("%d, expected %d: %s", v.status, status, text);
    }
    assert_int_equal(v.why != NULL, status != 0);
}

static void knows_its_paths(void **state)
{
    static const struct {
        const char *text;
        int status;
        enum admin_op op;
        const char *allow;
    } rows[] = {
        {"GET /heartbeat", 0, ADMIN_OP_HEARTBEAT, NULL},
        {"HEAD /heartbeat", 0, ADMIN_OP_HEARTBEAT, NULL},
        {"GET /heartbeat?x=/info", 0, ADMIN_OP_HEARTBEAT, NULL},
        {"GET /info", 0, ADMIN_OP_INFO, NULL},
        {"GET /health", 0, ADMIN_OP_HEALTH, NULL},
        {"HEAD /health?x", 0, ADMIN_OP_HEALTH, NULL},
        {"GET /status", 0, ADMIN_OP_STATUS, NULL},
        {"GET /api/bans", 0, ADMIN_OP_BANS, NULL},
        {"DELETE /api/bans/192.0.2.1", 0, ADMIN_OP_LIFT, NULL},
        {"POST /heartbeat", 405, 0, "GET, HEAD"},
        {"DELETE /api/bans", 405, 0, "GET, HEAD"},
        {"OPTIONS /api/bans", 405, 0, "GET, HEAD"},
        {"POST /health", 405, 0, "GET, HEAD"},
        {"DELETE /status", 405, 0, "GET, HEAD"},
        {"GET /health/", 404, 0, NULL},
        {"GET /%68ealth", 404, 0, NULL},
        {"get /info", 405, 0, "GET, HEAD"},
        {"GET /api/bans/192.0.2.1", 405, 0, "DELETE"},
        {"HEAD /api/bans/192.0.2.1", 405, 0, "DELETE"},
        {"DELETE /api/bans/", 404, 0, NULL},
        {"GET /", 404, 0, NULL},
        {"GET /heartbeat/", 404, 0, NULL},
        {"GET //heartbeat", 404, 0, NULL},
        {"GET /HEARTBEAT", 404, 0, NULL},
        {"GET /api/../heartbeat", 404, 0, NULL},
        {"GET /./info", 404, 0, NULL},
        {"GET /%69nfo", 404, 0, NULL},
        {"GET /info%00", 404, 0, NULL},
        {"GET /api%2Fbans", 404, 0, NULL},
        {"DELETE /api/bans%2F192.0.2.1", 404, 0, NULL},
        {"OPTIONS *", 404, 0, NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[128];
        snprintf(text, sizeof(text), "%s HTTP/1.1\r\n" LOCAL "\r\n", rows[i].text);
        check(text, &tcp, rows[i].status);
        struct admin_verdict v = judge(text, &tcp);
        if (v.status == 0) {
            assert_int_equal(v.op, rows[i].op);
        }
        assert_int_equal(v.head, strncmp(rows[i].text, "HEAD", 4) == 0);
        if (rows[i].allow) {
            assert_string_equal(v.allow, rows[i].allow);
        } else {
            assert_null(v.allow);
        }
    }
}

static void reads_the_address_to_lift(void **state)
{
    static const struct {
        const char *path, *text; /* NULL: a 400 */
    } rows[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"%31%39%32.0.2.1", "192.0.2.1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"2001:db8::1", "2001:db8::/64"},
        {"2001%3Adb8%3a%3a1", "2001:db8::/64"},
        {"2001:db8::/64", "2001:db8::/64"},
        {"2001:db8::5%2F64", "2001:db8::/64"},
        {"2001:db8:0:0:ffff::?x", "2001:db8::/64"},
        {"2001:db8::/48", NULL},
        {"192.0.2.1/64", NULL},
        {"192.0.2.1/32", NULL},
        {"192.0.2.1/", NULL},
        {"192.0.2.01", NULL},
        {"192.0.2.1%00", NULL},
        {"192.0.2.1%2", NULL},
        {"192.0.2.1%", NULL},
        {"%zz", NULL},
        {"%2531", NULL},
        {"..", NULL},
        {"../info", NULL},
        {"/64", NULL},
        {"fe80::1%25eth0", NULL},
        {"localhost", NULL},
        {"00000000000000000000000000000000000000000000000000000000000000000000001", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[256], buf[ADMIN_BAN_TEXT_MAX];
        snprintf(text, sizeof(text), "DELETE /api/bans/%s HTTP/1.1\r\n" LOCAL "\r\n", rows[i].path);
        check(text, &tcp, rows[i].text ? 0 : 400);
        if (rows[i].text) {
            struct admin_verdict v = judge(text, &tcp);
            assert_string_equal(admin_ban_text(&v.ip, buf), rows[i].text);
        }
    }
}

static void without_a_token_host_must_be_localhost_or_an_address(void **state)
{
    static const struct {
        const char *host;
        int status;
    } rows[] = {
        {"localhost", 0},         {"LOCALHOST:8200", 0},    {"127.0.0.1", 0},
        {"127.0.0.1:8200", 0},    {"192.0.2.1:1", 0},       {"[::1]", 0},
        {"[::1]:8200", 0},        {"evil.test", 403},       {"evil.test:8200", 403},
        {"localhost.test", 403},  {"127.0.0.1.test", 403},  {"localhost.", 403},
        {"127.1", 403},           {"2130706433", 403},      {"", 400},
        {"0x7f.0.0.1:8200", 403}, {"localhost:99999", 403},
    };
    struct secret token = {.set = false};
    const struct admin_rules unix_socket = {.check_host = false};
    const struct admin_rules asks_token = {.check_host = true, .token = &token};
    char text[256];
    (void)state;
    assert_int_equal(secret_set(&token, STR("t")), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t scanned = 0;
        snprintf(text, sizeof(text), "GET /info HTTP/1.1\r\nHost: %s\r\n\r\n", rows[i].host);
        if (http_parse_request(&req, text, strlen(text), &HTTP_LIMITS_DEFAULT, &scanned) < 0) {
            continue; /* refused before it comes here */
        }
        check(text, &tcp, rows[i].status);
        check(text, &unix_socket, rows[i].status == 403 ? 0 : rows[i].status);
        snprintf(text, sizeof(text),
                 "GET /info HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer t\r\n\r\n", rows[i].host);
        check(text, &asks_token, rows[i].status == 403 ? 0 : rows[i].status);
    }
    check("GET /info HTTP/1.0\r\n\r\n", &tcp, 400);
    check("GET /info HTTP/1.0\r\n\r\n", &unix_socket, 400);
    check("GET /info HTTP/1.0\r\n" LOCAL "\r\n", &tcp, 0);
    check("GET http://localhost/info HTTP/1.1\r\n" LOCAL "\r\n", &tcp, 400);
    secret_clear(&token);
}

static void without_a_token_pages_of_other_origins_are_refused(void **state)
{
    static const struct {
        const char *origin;
        int status;
    } rows[] = {
        {"http://localhost:8200", 0},
        {"http://LocalHost:8200", 0},
        {"http://localhost", 403},
        {"https://localhost:8200", 403},
        {"http://evil.test", 403},
        {"null", 403},
        {"", 403},
        {"http://localhost:8200.evil.test", 403},
        {"http://localhost:8200\r\nOrigin: http://evil.test", 403},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[256];
        snprintf(text, sizeof(text),
                 "DELETE /api/bans/::1 HTTP/1.1\r\nHost: localhost:8200\r\norigin: %s\r\n\r\n",
                 rows[i].origin);
        check(text, &tcp, rows[i].status);
    }
}

static void asks_for_the_token(void **state)
{
    static const struct {
        const char *field;
        int status;
    } rows[] = {
        {"", 401},
        {"Authorization: Bearer right\r\n", 0},
        {"authorization:bearer right\r\n", 0},
        {"Authorization: Bearer wrong\r\n", 401},
        {"Authorization: Bearer right2\r\n", 401},
        {"Authorization: Bearer righ\r\n", 401},
        {"Authorization: Bearer\r\n", 401},
        {"Authorization: Bearer \r\n", 401},
        {"Authorization: right\r\n", 401},
        {"Authorization: Basic right\r\n", 401},
        {"Authorization: Bearer right\r\nAuthorization: Bearer right\r\n", 401},
        {"Authorization: Bearer wrong\r\nAuthorization: Bearer right\r\n", 401},
        {"Connection: Authorization\r\nAuthorization: Bearer right\r\n", 0},
        {"Cookie: Bearer right\r\n", 401},
    };
    struct secret token = {.set = false};
    const struct admin_rules rules = {.check_host = true, .token = &token};
    (void)state;
    assert_int_equal(secret_set(&token, STR("right")), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        static const char *const paths[] = {"/heartbeat", "/info", "/api/bans", "/nothing"};
        for (size_t k = 0; k < ARRAY_LEN(paths); k++) {
            char text[256];
            snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: hub.test\r\n%s\r\n", paths[k],
                     rows[i].field);
            check(text, &rules, rows[i].status == 0 && k == 3 ? 404 : rows[i].status);
        }
    }
    secret_clear(&token);
}

/* Nothing but that path, and no other rule falls. */
static void health_is_told_without_the_token(void **state)
{
    struct secret token = {.set = false};
    const struct admin_rules rules = {.check_host = true, .token = &token};
    (void)state;
    assert_int_equal(secret_set(&token, STR("right")), 0);
    check("GET /health HTTP/1.1\r\nHost: hub.example.com\r\n\r\n", &rules, 0);
    check("GET /health HTTP/1.1\r\n" LOCAL "Authorization: Bearer wrong\r\n\r\n", &rules, 0);
    check("GET /healthy HTTP/1.1\r\n" LOCAL "\r\n", &rules, 401);
    check("GET /health/../status HTTP/1.1\r\n" LOCAL "\r\n", &rules, 401);
    check("GET /status?/health HTTP/1.1\r\n" LOCAL "\r\n", &rules, 401);
    check("GET /health HTTP/1.1\r\nHost: hub.example.com\r\n\r\n", &tcp, 403);
    check("GET /health HTTP/1.1\r\n" LOCAL "Content-Length: 1\r\n\r\nx", &rules, 413);
    secret_clear(&token);
}

static void takes_no_bodies(void **state)
{
    (void)state;
    check("GET /info HTTP/1.1\r\n" LOCAL "Content-Length: 0\r\n\r\n", &tcp, 0);
    check("GET /info HTTP/1.1\r\n" LOCAL "Content-Length: 1\r\n\r\n", &tcp, 413);
    check("DELETE /api/bans/::1 HTTP/1.1\r\n" LOCAL "Content-Length: 7\r\n\r\n", &tcp, 413);
    check("GET /info HTTP/1.1\r\n" LOCAL "Transfer-Encoding: chunked\r\n\r\n", &tcp, 400);
}

static void ignores_upgrades(void **state)
{
    (void)state;
    check("GET /info HTTP/1.1\r\n" LOCAL "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", &tcp,
          0);
    check("GET /info HTTP/1.1\r\n" LOCAL
          "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
          &tcp, 0);
}

static void answers_are_the_last_on_their_connection(void **state)
{
    static const struct admin_answer rows[] = {
        {.status = 200, .json = true, .n = 15},
        {.status = 200, .json = true, .head = true, .n = 130000},
        {.status = 204},
        {.status = 401, .n = 4},
        {.status = 405, .n = 4, .allow = "GET, HEAD"},
        {.status = 413, .n = 4},
    };
    static struct http_response res;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char head[ADMIN_HEAD_MAX];
        size_t n = admin_answer_head(head, &rows[i]), scanned = 0;
        assert_int_equal(http_parse_response(&res, rows[i].head ? HTTP_HEAD : HTTP_GET, head, n,
                                             &HTTP_LIMITS_DEFAULT, &scanned),
                         (int)n);
        assert_int_equal(res.status, rows[i].status);
        assert_false(res.keep_alive);
        assert_int_equal(res.length, rows[i].head ? 0 : rows[i].n);
        assert_true(res.reason.n >= 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_its_paths),
        cmocka_unit_test(reads_the_address_to_lift),
        cmocka_unit_test(without_a_token_host_must_be_localhost_or_an_address),
        cmocka_unit_test(without_a_token_pages_of_other_origins_are_refused),
        cmocka_unit_test(asks_for_the_token),
        cmocka_unit_test(health_is_told_without_the_token),
        cmocka_unit_test(takes_no_bodies),
        cmocka_unit_test(ignores_upgrades),
        cmocka_unit_test(answers_are_the_last_on_their_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
