/* What the built-in policies let pass: all that those they are for send, and nothing that the others do.
 * Bodies are not looked at here. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/docker/catalogue.h"
#include "policies_bench.h"

#define H64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define JSON "Content-Type: application/json\r\nContent-Length: 2\r\n"

static struct docker_verdict verdict;

static int judge(const char *policy, const char *line, const char *fields)
{
    static struct http_request request;
    static struct docker_call call;
    static const struct http_limits limits = HTTP_LIMITS_DEFAULT;
    static char head[4096];
    size_t scanned = 0;
    int n = snprintf(head, sizeof(head), "%s HTTP/1.1\r\nHost: h\r\n%s\r\n", line, fields);
    const struct named_policy *p = policies_built_in;
    while (p->name && strcmp(p->name, policy) != 0) {
        p++;
    }
    assert_non_null(p->name);
    if (http_parse_request(&request, head, (size_t)n, &limits, &scanned) != n) {
        fail_msg("the test's own head is bad (%s): %s", request.why, head);
    }
    return docker_judge(p->policy, &request, request.path, &call, &verdict);
}

static void check(const char *policy, const char *line, const char *fields, bool passes)
{
    int status = judge(policy, line, fields);
    if (status != (passes ? 0 : 403)) {
        fail_msg("%s: %s: %d %s: %s", policy, line, status, verdict.call, verdict.why);
    }
}

/* ---- appapi ---- */

static void appapi_passes_what_the_hub_sends(void **state)
{
    static const struct {
        const char *line, *fields;
    } rows[] = {
        /* hub/deploy */
        {"GET /version", ""},
        {"GET /v1.41/containers/nc_app_x/json", ""},
        {"POST /v1.41/containers/create?name=nc_app_x", JSON},
        {"POST /v1.41/containers/nc_app_x/start", ""},
        {"POST /v1.41/containers/nc_app_x/stop", ""},
        {"DELETE /v1.41/containers/nc_app_x?force=true", ""},
        {"POST /v1.41/volumes/create", JSON},
        {"GET /v1.41/volumes/nc_app_x_data", ""},
        {"DELETE /v1.41/volumes/nc_app_x_data", ""},
        {"GET /v1.41/images/ghcr.io/a/b:1/json", ""},
        {"DELETE /v1.41/images/ghcr.io/a/b:1", ""},
        {"POST /v1.41/containers/nc_app_x/exec", JSON},
        {"POST /v1.41/exec/" H64 "/start", JSON},
        {"GET /v1.41/exec/" H64 "/json", ""},
        {"PUT /v1.41/containers/nc_app_x/archive?path=/",
         "Content-Type: application/x-tar\r\nContent-Length: 1024\r\n"},
        /* harp-hub engines */
        {"GET /v1.41/_ping", ""},
        {"GET "
         "/v1.41/containers/"
         "json?all=true&filters=%7B%22label%22%3A%5B%22harp.instance%"
         "3D0123456789abcdef0123456789abcdef%22%5D"
         "%7D",
         ""},
        /* what passes through the hub */
        {"HEAD /_ping", ""},
        {"GET /v1.41/containers/nc_app_x/logs?stdout=true&stderr=true&tail=100", ""},
        {"POST /v1.41/images/create?fromImage=ghcr.io%2Fa%2Fb%3A1", "X-Registry-Auth: e30=\r\n"},
        /* AppAPI without a hub */
        {"DELETE /v1.41/volumes/nc_app_x_data", JSON},
        {"POST /v1.41/exec/" H64 "/start", JSON "Connection: Upgrade\r\nUpgrade: tcp\r\n"},
        /* docker pull */
        {"POST /v1.43/images/create?fromImage=docker.io%2Flibrary%2Fa&tag=1&platform=linux/amd64",
         ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check("appapi", rows[i].line, rows[i].fields, true);
    }
}

static void appapi_refuses_what_others_send(void **state)
{
    static const struct {
        const char *line, *fields;
    } rows[] = {
        {"GET /events", ""},
        {"GET /images/json", ""},
        {"GET /volumes", ""},
        {"GET /networks", ""},
        {"GET /containers/db/json", ""},
        {"GET /containers/nc_app_x/stats", ""},
        {"POST /containers/db/stop", ""},
        {"DELETE /containers/db?force=true", ""},
        {"POST /containers/create?name=db", JSON},
        {"POST /containers/create", JSON},
        {"POST /containers/nc_app_x/start", JSON},
        {"POST /containers/nc_app_x/attach?stream=1", ""},
        {"GET /containers/nc_app_x/archive?path=/", ""},
        {"PUT /containers/nc_app_x/archive?path=/etc",
         "Content-Type: application/x-tar\r\nContent-Length: 1024\r\n"},
        {"DELETE /images/a?force=true", ""},
        {"GET /volumes/db_data", ""},
        {"DELETE /volumes/nc_app_x", ""},
        {"POST /images/create?fromSrc=x", ""},
        {"POST /build", JSON},
        {"POST /containers/nc_app_x/restart", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check("appapi", rows[i].line, rows[i].fields, false);
    }
}

/* ---- the others ---- */

enum { READ_ONLY = 1, TRAEFIK = 2, PORTAINER = 4 };

static void readers_pass_what_they_are_for(void **state)
{
    static const struct {
        const char *line;
        unsigned pass;
    } rows[] = {
        {"GET /_ping", READ_ONLY | TRAEFIK | PORTAINER},
        {"HEAD /_ping", READ_ONLY | TRAEFIK | PORTAINER},
        {"GET /v1.24/version", READ_ONLY | TRAEFIK | PORTAINER},
        {"GET /v1.24/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D",
         READ_ONLY | TRAEFIK | PORTAINER},
        {"GET /v1.24/containers/json?limit=0", READ_ONLY | TRAEFIK | PORTAINER},
        {"GET /containers/web/json", READ_ONLY | TRAEFIK | PORTAINER},
        {"GET /containers/" H64 "/json", READ_ONLY | TRAEFIK | PORTAINER},
        {"GET /networks?filters=%7B%22scope%22%3A%5B%22swarm%22%5D%7D",
         READ_ONLY | TRAEFIK | PORTAINER},
        {"GET /services", READ_ONLY | TRAEFIK | PORTAINER},
        {"GET /tasks", READ_ONLY | TRAEFIK | PORTAINER},
        {"GET /nodes", READ_ONLY | TRAEFIK | PORTAINER},
        {"GET /info", READ_ONLY | PORTAINER},
        {"GET /system/df", READ_ONLY | PORTAINER},
        {"GET /containers/web/top", READ_ONLY | PORTAINER},
        {"GET /containers/web/changes", READ_ONLY | PORTAINER},
        {"GET /images/json?all=0", READ_ONLY | PORTAINER},
        {"GET /images/a/b:1/json", READ_ONLY | PORTAINER},
        {"GET /images/a/b:1/history", READ_ONLY | PORTAINER},
        {"GET /volumes", READ_ONLY | PORTAINER},
        {"GET /volumes/data", READ_ONLY | PORTAINER},
        {"GET /networks/bridge", READ_ONLY | PORTAINER},
        {"GET /containers/web/logs?stdout=1&tail=10", PORTAINER},
        {"GET /containers/web/stats?stream=false", PORTAINER},
        {"GET /containers/web/export", 0},
        {"GET /containers/web/archive?path=/etc", 0},
        {"GET /images/a/get", 0},
        {"GET /swarm", 0},
        {"GET /secrets", 0},
        {"GET /plugins", 0},
        {"POST /containers/web/stop", 0},
        {"POST /containers/web/kill", 0},
        {"DELETE /containers/web", 0},
        {"POST /images/create?fromImage=a", 0},
        {"DELETE /images/a", 0},
        {"DELETE /volumes/data", 0},
        {"POST /containers/prune", 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check("read-only", rows[i].line, "", rows[i].pass & READ_ONLY);
        check("traefik", rows[i].line, "", rows[i].pass & TRAEFIK);
        check("portainer-read", rows[i].line, "", rows[i].pass & PORTAINER);
    }
}

static void readers_change_nothing_and_hide_environments(void **state)
{
    (void)state;
    for (const struct named_policy *p = policies_built_in + 1; p->name; p++) {
        const unsigned reads = DOCKER_METHOD(HTTP_GET) | DOCKER_METHOD(HTTP_HEAD);
        for (size_t i = 0; i < p->policy->count; i++) {
            const struct docker_rule *rule = p->policy->rules[i];
            if ((rule->methods & ~reads) || rule->body != DOCKER_NO_BODY || rule->upgrade) {
                fail_msg("%s has %s", p->name, rule->name);
            }
        }
        assert_true(p->policy->grants->hide_env);
    }
}

static void each_has_a_name_a_sentence_and_no_call_twice(void **state)
{
    (void)state;
    for (const struct named_policy *p = policies_built_in; p->name; p++) {
        size_t n = strlen(p->what);
        assert_true(n > 0 && p->what[n - 1] == '.');
        assert_true(p->policy->looks_up && p->policy->grants->hide_env);
        for (size_t i = 0; i < p->policy->count; i++) {
            for (size_t k = 0; k < i; k++) {
                assert_ptr_not_equal(p->policy->rules[i], p->policy->rules[k]);
            }
        }
    }
}

/* An administrator reads there what can be written into a file. */
static void the_page_has_all_calls_and_policies(void **state)
{
    char *page = bench_read_file("socket-filter/POLICY.md"), text[DOCKER_RULE_TEXT_MAX + 2];
    const char *calls = strstr(page, "### calls"), *others = strstr(page, "### other_calls");
    (void)state;
    assert_true(calls && others);
    for (size_t i = 0; i < docker_catalogue.count; i++) {
        char word[DOCKER_RULE_TEXT_MAX];
        snprintf(text, sizeof(text), "`%s`", docker_rule_text(docker_catalogue.rules[i], word));
        const char *at = strstr(calls, text);
        if (!at || at > others) {
            fail_msg("POLICY.md lacks %s among the calls", text);
        }
    }
    for (const struct named_policy *p = policies_built_in; p->name; p++) {
        snprintf(text, sizeof(text), "| `%s` |", p->name);
        assert_non_null(strstr(page, text));
    }
    for (size_t i = 0; i < policies_built_in[0].policy->count; i++) {
        char word[DOCKER_RULE_TEXT_MAX];
        snprintf(text, sizeof(text), "`%s`",
                 docker_rule_text(policies_built_in[0].policy->rules[i], word));
        const char *at = strstr(page, text);
        if (!at || at > calls) {
            fail_msg("POLICY.md does not say when %s passes", text);
        }
    }
    free(page);
}

/* A list shows names, labels and commands of everybody's containers. */
static void appapi_lists_the_containers_of_one_hub_alone(void **state)
{
#define LIST "GET /v1.41/containers/json"
#define LABEL(value) LIST "?filters=%7B%22label%22%3A%5B%22" value "%22%5D%7D"
#define INSTANCE "harp.instance%3D0123456789abcdef0123456789abcdef"
    static const char *const refused[] = {
        LIST,
        LIST "?all=true",
        LIST "?filters=%7B%7D",
        LABEL("harp.instance"),
        LABEL("harp.instance%3D"),
        LABEL("harp.instance%3D0123456789abcdef0123456789abcde"),
        LABEL("harp.instance%3D0123456789abcdef0123456789abcdef0"),
        LABEL("harp.instance%3D0123456789abcdef0123456789abcdeF"),
        LABEL("harp.instancf%3D0123456789abcdef0123456789abcdef"),
        LABEL("harp.instance%3D%2A"),
        LABEL(INSTANCE "%22%2C%22a"),
        LIST "?filters=%7B%22label%22%3A%5B%5D%7D",
        LIST "?filters=%7B%22Label%22%3A%5B%22" INSTANCE "%22%5D%7D",
        LIST "?filters=%7B%22label%22%3A%5B%22" INSTANCE "%22%5D%7D%20",
        LIST "?filters=%7B%22label%22%3A%7B%22" INSTANCE "%22%3Atrue%7D%7D",
    };
    (void)state;
    check("appapi", LABEL(INSTANCE), "", true);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        check("appapi", refused[i], "", false);
    }
    check("read-only", LIST "?all=true", "", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appapi_passes_what_the_hub_sends),
        cmocka_unit_test(appapi_lists_the_containers_of_one_hub_alone),
        cmocka_unit_test(appapi_refuses_what_others_send),
        cmocka_unit_test(readers_pass_what_they_are_for),
        cmocka_unit_test(readers_change_nothing_and_hide_environments),
        cmocka_unit_test(each_has_a_name_a_sentence_and_no_call_twice),
        cmocka_unit_test(the_page_has_all_calls_and_policies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
