/* Calls that are allowed by method and path alone: which can be named, and what is said of a call that
 * nothing allows yet. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/docker/generic.h"

static void reads_what_can_be_named(void **state)
{
    static const struct {
        const char *text, *path;
        unsigned methods;
        const struct docker_object *object;
    } rows[] = {
        {"GET plugins", "plugins", DOCKER_METHOD(HTTP_GET), NULL},
        {"HEAD info", "info", DOCKER_METHOD(HTTP_HEAD), NULL},
        {"GET images/search", "images/search", DOCKER_METHOD(HTTP_GET), NULL},
        {"POST networks/{network}/connect", "networks/{}/connect", DOCKER_METHOD(HTTP_POST),
         &docker_object_network},
        {"POST networks/front/connect", "networks/front/connect", DOCKER_METHOD(HTTP_POST), NULL},
        {"POST containers/{container}/rename", "containers/{}/rename", DOCKER_METHOD(HTTP_POST),
         &docker_object_container},
        {"POST images/{image}/push", "images/{}/push", DOCKER_METHOD(HTTP_POST),
         &docker_object_image},
        {"GET distribution/{image}/json", "distribution/{}/json", DOCKER_METHOD(HTTP_GET),
         &docker_object_image},
        {"PUT volumes/{volume}", "volumes/{}", DOCKER_METHOD(HTTP_PUT), &docker_object_volume},
        {"GET services/{any}", "services/{}", DOCKER_METHOD(HTTP_GET), &docker_object_any},
        {"DELETE nodes/n-1.x_y~", "nodes/n-1.x_y~", DOCKER_METHOD(HTTP_DELETE), NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct docker_generic g;
        char again[DOCKER_RULE_TEXT_MAX];
        const char *why = docker_generic_read(&g, str_of(rows[i].text));
        if (why) {
            fail_msg("%s %s", rows[i].text, why);
        }
        assert_string_equal(g.path, rows[i].path);
        assert_int_equal(g.methods, rows[i].methods);
        assert_ptr_equal(g.object, rows[i].object);
        struct docker_rule rule = {.path = g.path, .methods = g.methods, .object = g.object};
        assert_string_equal(docker_rule_text(&rule, again), rows[i].text);
    }
}

#define X20 "xxxxxxxxxxxxxxxxxxxx"

static void refuses_what_is_no_call(void **state)
{
    static const char *const rows[] = {
        "",
        "GET",
        "GET ",
        "plugins",
        "get plugins",
        "PATCH plugins",
        "OPTIONS plugins",
        "GET  plugins",
        "GET /plugins",
        "GET plugins/",
        "GET nodes//x",
        "GET nodes/.",
        "GET nodes/..",
        "GET nodes/a%2Fb",
        "GET nodes/a:b",
        "GET nodes/a b",
        "GET nodes/a?x=1",
        "GET v1.41/nodes",
        "GET Nodes/x",
        "GET {any}",
        "GET {any}/x",
        "GET nodes/{node}",
        "GET nodes/{}",
        "GET nodes/{any}x",
        "GET nodes/{any",
        "GET nodes/{any}/{any}",
        "POST containers/{any}/rename",
        "POST containers/{image}/rename",
        "POST networks/{container}/connect",
        "POST images/{any}/push",
        "PUT volumes/{any}",
        "GET nodes/" X20 X20 X20,
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct docker_generic g;
        if (!docker_generic_read(&g, str_of(rows[i]))) {
            fail_msg("\"%s\" was taken", rows[i]);
        }
    }
}

static void refuses_calls_that_take_over(void **state)
{
    static const struct {
        const char *path, *why;
    } rows[] = {
        {"session", "goes over it"},
        {"grpc", "goes over it"},
        {"containers/{container}/attach", "goes over it"},
        {"containers/{container}/attach/ws", "goes over it"},
        {"containers/web/attach", "goes over it"},
        {"containers/web/{any}", "goes over it"},
        {"build", "runs what"},
        {"commit", "makes an image"},
        {"images/load", "makes images"},
        {"images/get", "whole images"},
        {"images/{image}/get", "whole images"},
        {"images/a/b/get", "whole images"},
        {"images/{image}/tag", "name of another"},
        {"containers/{container}/export", "files"},
        {"containers/{container}/archive", "files"},
        {"containers/{container}/copy", "files"},
        {"containers/{container}/checkpoints", "folders of the host"},
        {"plugins/privileges", "plugins"},
        {"plugins/{any}/json", "plugins"},
        {"plugins/x/enable", "plugins"},
        {"swarm", "swarm"},
        {"swarm/unlockkey", "swarm"},
        {"secrets", "secrets"},
        {"secrets/{any}", "secrets"},
        {"configs", "secrets"},
        {"exec/{any}/resize", "catalogue"},
        {"exec", "catalogue"},
        {"libpod/info", "Podman"},
        {"libpod/containers/{container}/start", "Podman"},
    };
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t m = 0; m < ARRAY_LEN(methods); m++) {
            struct docker_generic g;
            char text[DOCKER_RULE_TEXT_MAX];
            snprintf(text, sizeof(text), "%s %s", methods[m], rows[i].path);
            const char *why = docker_generic_read(&g, str_of(text));
            if (!why || !strstr(why, rows[i].why)) {
                fail_msg("\"%s\": %s", text, why ? why : "was taken");
            }
        }
    }
    for (size_t m = 1; m < ARRAY_LEN(methods); m++) {
        struct docker_generic g;
        char text[DOCKER_RULE_TEXT_MAX];
        snprintf(text, sizeof(text), "%s plugins", methods[m]);
        assert_non_null(docker_generic_read(&g, str_of(text)));
    }
}

/* Neither one that the catalogue has, nor what some of whose requests it has. */
static void refuses_calls_of_the_catalogue(void **state)
{
    static const char *const more[] = {
        "GET containers/{container}", "GET images/{image}", "DELETE volumes/data",
        "GET networks/front",         "DELETE images/a/b",
    };
    static const char *const fine[] = {"PUT containers/{container}", "GET volumes/a/b"};
    (void)state;
    struct docker_generic g;
    for (size_t i = 0; i < docker_catalogue.count; i++) {
        char text[DOCKER_RULE_TEXT_MAX];
        docker_rule_text(docker_catalogue.rules[i], text);
        if (!docker_generic_read(&g, str_of(text))) {
            fail_msg("\"%s\" was taken", text);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(more); i++) {
        if (!docker_generic_read(&g, str_of(more[i]))) {
            fail_msg("\"%s\" was taken", more[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
        assert_null(docker_generic_read(&g, str_of(fine[i])));
    }
}

/* ---- rules that meet ---- */

static void rules_meet_where_a_request_fits_both(void **state)
{
    static const struct docker_object *const any = &docker_object_any, *const image =
                                                                           &docker_object_image;
    static const struct {
        const char *a;
        const struct docker_object *of_a;
        const char *b;
        const struct docker_object *of_b;
        bool meet;
    } rows[] = {
        {"a", NULL, "a", NULL, true},
        {"a", NULL, "b", NULL, false},
        {"a", NULL, "a/b", NULL, false},
        {"a/{}", any, "a/b", NULL, true},
        {"a/{}", any, "b/{}", any, false},
        {"a/{}/c", any, "a/b/{}", any, true},
        {"a/{}/c", any, "a/b/d", NULL, false},
        {"a/{}", any, "a/b/c", NULL, false},
        {"a/{}", image, "a/b/c", NULL, true},
        {"a/{}/json", image, "a/json", NULL, false},
        {"a/{}/json", image, "a/json/json", NULL, true},
        {"a/{}/json", image, "a/x/y/z/json", NULL, true},
        {"a/{}/json", image, "a/x/y/z/get", NULL, false},
        {"a/{}/json", image, "a/{}/get", image, false},
        {"a/{}/json", image, "a/b/{}", image, true},
        {"a/{}/json", image, "a/{}", any, false},
        {"a/{}/x/y", image, "a/b/c/{}", image, true},
        {"a/{}", image, "a/{}", any, true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct docker_rule a = {.path = rows[i].a, .object = rows[i].of_a, .methods = 2 | 4},
                           b = {.path = rows[i].b, .object = rows[i].of_b, .methods = 4 | 8};
        if (docker_rules_meet(&a, &b) != rows[i].meet ||
            docker_rules_meet(&b, &a) != rows[i].meet) {
            fail_msg("%s and %s", rows[i].a, rows[i].b);
        }
        b.methods = 8;
        assert_false(docker_rules_meet(&a, &b));
    }
}

static void no_two_rules_of_the_catalogue_meet(void **state)
{
    (void)state;
    for (size_t i = 0; i < docker_catalogue.count; i++) {
        for (size_t k = 0; k < i; k++) {
            const struct docker_rule *a = docker_catalogue.rules[i], *b = docker_catalogue.rules[k];
            if (docker_rules_meet(a, b)) {
                fail_msg("%s and %s", a->name, b->name);
            }
        }
    }
}

/* ---- what would allow a call ---- */

static struct docker_call call;
static struct docker_verdict verdict;

static int judge(const struct docker_policy *policy, const char *line, const char *fields)
{
    static struct http_request request;
    static const struct http_limits limits = HTTP_LIMITS_DEFAULT;
    static char head[4096];
    size_t scanned = 0;
    int n = snprintf(head, sizeof(head), "%s HTTP/1.1\r\nHost: h\r\n%s\r\n", line, fields);
    if (http_parse_request(&request, head, (size_t)n, &limits, &scanned) != n) {
        fail_msg("the test's own head is bad (%s): %s", request.why, head);
    }
    return docker_judge(policy, &request, request.path, &call, &verdict);
}

static void tells_what_would_allow_an_unknown_call(void **state)
{
    static const struct {
        const char *line, *what;
    } rows[] = {
        {"GET /v1.41/info", "GET info"},
        {"GET /containers/web/json", "GET containers/{container}/json"},
        {"GET /plugins", "GET plugins"},
        {"HEAD /info", "HEAD info"},
        {"GET /images/search?term=x", "GET images/search"},
        {"POST /containers/prune", "POST containers/prune"},
        {"POST /containers/web/rename?name=y", "POST containers/{container}/rename"},
        {"POST /containers/nc_app_x/resize?h=1&w=1", "POST containers/{container}/resize"},
        {"POST /images/a/b/c:1/push", "POST images/{image}/push"},
        {"POST /images/x/push", "POST images/{image}/push"},
        {"PUT /volumes/vv", "PUT volumes/{volume}"},
        {"POST /networks/front/connect", "POST networks/{network}/connect"},
        {"DELETE /networks/front", "DELETE networks/{network}"},
        {"GET /services/abc1", "GET services/{any}"},
        {"GET /services/abc1/logs", "GET services/{any}/logs"},
        {"GET /distribution/a.b/json", "GET distribution/{any}/json"},
        {"GET /foo/bar/baz", "GET foo/bar/baz"},
        /* nothing can */
        {"POST /build", ""},
        {"POST /session", ""},
        {"GET /containers/x/export", ""},
        {"POST /containers/x/attach", ""},
        {"GET /images/get?names=x", ""},
        {"GET /images/a/b/get", ""},
        {"POST /exec/abc/resize", ""},
        {"GET /secrets", ""},
        {"GET /nodes/a1/b2", ""},
        {"GET /a1/nodes", ""},
        {"OPTIONS /info", ""},
        {"PATCH /info", ""},
        {"POST /containers/web1/x2", ""},
        {"GET /abcdefghijklmnop/abcdefghijklmnop/abcdefghijklmnop/abcdefghijklmnop", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(judge(&(struct docker_policy){.version_max = 99}, rows[i].line, ""), 403);
        assert_string_equal(verdict.why, "not an allowed call");
        if (strcmp(verdict.what, rows[i].what) != 0) {
            fail_msg("%s: \"%s\"", rows[i].line, verdict.what);
        }
        assert_int_equal(verdict.fault, rows[i].what[0] ? DOCKER_FAULT_CALL : DOCKER_FAULT_NEVER);
    }
}

static void a_body_rules_out_what_is_not_in_the_catalogue(void **state)
{
    static const struct docker_policy nothing = {.version_max = 99};
    (void)state;
    assert_int_equal(judge(&nothing, "POST /networks/x/connect", "Content-Length: 2\r\n"), 403);
    assert_string_equal(verdict.what, "");
    assert_int_equal(verdict.fault, DOCKER_FAULT_NEVER);
    assert_int_equal(judge(&nothing, "POST /networks/x/connect", "Content-Length: 0\r\n"), 403);
    assert_string_equal(verdict.what, "POST networks/{network}/connect");
    assert_int_equal(judge(&nothing, "POST /volumes/create", "Content-Length: 2\r\n"), 403);
    assert_string_equal(verdict.what, "POST volumes/create");
}

/* What is told lets the call pass, and says so again when it is written anew. */
static void what_is_told_allows_the_call(void **state)
{
    static const char *const lines[] = {
        "GET /plugins",         "POST /containers/web/rename", "POST /images/a/b:1/push",
        "DELETE /networks/n1",  "GET /services/abc1/logs",     "PUT /volumes/vv",
        "POST /networks/prune",
    };
    static const char *const star[] = {"*"};
    static const struct docker_grants all = {
        .containers = {star, 1}, .volumes = {star, 1}, .images = {star, 1}, .networks = {star, 1}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct docker_generic g;
        assert_int_equal(judge(&(struct docker_policy){.version_max = 99}, lines[i], ""), 403);
        assert_null(docker_generic_read(&g, str_of(verdict.what)));
        struct docker_rule rule = {
            .name = g.path, .path = g.path, .methods = g.methods, .object = g.object};
        const struct docker_rule *const rules[] = {&rule};
        struct docker_policy policy = {
            .rules = rules, .count = 1, .version_max = 99, .grants = &all};
        if (judge(&policy, lines[i], "") != 0) {
            fail_msg("%s: %s", lines[i], verdict.why);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_can_be_named),
        cmocka_unit_test(refuses_what_is_no_call),
        cmocka_unit_test(refuses_calls_that_take_over),
        cmocka_unit_test(refuses_calls_of_the_catalogue),
        cmocka_unit_test(rules_meet_where_a_request_fits_both),
        cmocka_unit_test(no_two_rules_of_the_catalogue_meet),
        cmocka_unit_test(tells_what_would_allow_an_unknown_call),
        cmocka_unit_test(a_body_rules_out_what_is_not_in_the_catalogue),
        cmocka_unit_test(what_is_told_allows_the_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
