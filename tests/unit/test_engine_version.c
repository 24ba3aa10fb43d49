/* Which API version is spoken with a Docker engine, by its answer to GET /version. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hub/deploy/engine.h"

static int read_version(const char *json, size_t n, unsigned *api)
{
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, json, n);
    *api = 99;
    int rc = engine_read_version((struct str){copy, n}, api);
    free(copy);
    return rc;
}

#define COMPONENTS                                                                                 \
    "\"Components\":[{\"Name\":\"Engine\",\"Version\":\"x\",\"Details\":{\"ApiVersion\":\"1.99\"," \
    "\"MinAPIVersion\":\"1.98\",\"Experimental\":\"false\"}}],"

static void engines_speak_what_both_know(void **state)
{
    static const struct {
        const char *what, *json;
        unsigned api; /* 0: too old */
    } rows[] = {
        {"Docker 20.10",
         "{\"Platform\":{\"Name\":\"\"}," COMPONENTS
         "\"Version\":\"20.10.24+dfsg1\",\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\","
         "\"GitCommit\":\"5d6db84\",\"GoVersion\":\"go1.19.8\",\"Os\":\"linux\",\"Arch\":"
         "\"amd64\"}",
         41},
        {"Docker 19.03", "{\"ApiVersion\":\"1.40\",\"MinAPIVersion\":\"1.12\"}", 40},
        {"Docker 18.09", "{\"ApiVersion\":\"1.39\",\"MinAPIVersion\":\"1.12\"}", 39},
        {"Docker 23", "{\"ApiVersion\":\"1.42\",\"MinAPIVersion\":\"1.12\"}", 41},
        {"Docker 24", "{" COMPONENTS "\"ApiVersion\":\"1.43\",\"MinAPIVersion\":\"1.12\"}", 41},
        {"Docker 25", "{\"ApiVersion\":\"1.44\",\"MinAPIVersion\":\"1.24\"}", 41},
        {"Docker 26", "{\"ApiVersion\":\"1.45\",\"MinAPIVersion\":\"1.24\"}", 41},
        {"Docker 27", "{\"ApiVersion\":\"1.47\",\"MinAPIVersion\":\"1.24\"}", 41},
        {"Docker 28", "{\"ApiVersion\":\"1.51\",\"MinAPIVersion\":\"1.24\"}", 41},
        {"Docker 29", "{\"ApiVersion\":\"1.52\",\"MinAPIVersion\":\"1.44\"}", 44},
        {"a later one", "{\"ApiVersion\":\"1.120\",\"MinAPIVersion\":\"1.100\"}", 100},
        {"Docker 1.12", "{\"Version\":\"1.12.6\",\"ApiVersion\":\"1.24\"}", 24},
        {"Docker 1.11", "{\"Version\":\"1.11.2\",\"ApiVersion\":\"1.23\"}", 0},
        {"Docker 1.0", "{\"ApiVersion\":\"1.12\",\"MinAPIVersion\":\"1.0\"}", 0},
        {"Podman 3",
         "{\"Components\":[{\"Name\":\"Podman Engine\",\"Version\":\"3.4.4\","
         "\"Details\":{\"APIVersion\":\"3.4.4\",\"MinAPIVersion\":\"3.1.0\"}}],"
         "\"Version\":\"3.4.4\",\"ApiVersion\":\"1.40\",\"MinAPIVersion\":\"1.24\"}",
         40},
        {"Podman 4", "{\"Version\":\"4.3.1\",\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.24\"}",
         41},
        {"Podman 5", "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.24\",\"Version\":\"5.2.2\"}",
         41},
        {"the lowest", "{\"ApiVersion\":\"1.24\",\"MinAPIVersion\":\"1.24\"}", 24},
        {"one only", "{\"ApiVersion\":\"1.50\",\"MinAPIVersion\":\"1.50\"}", 50},
    };
    unsigned api;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (read_version(rows[i].json, strlen(rows[i].json), &api) < 0 || api != rows[i].api) {
            fail_msg("%s: 1.%u", rows[i].what, api);
        }
    }
}

static void whatever_else_answers_is_no_engine(void **state)
{
    static const char *const rows[] = {
        "",
        "OK",
        "{",
        "{}",
        "[]",
        "null",
        "\"1.41\"",
        "<html><body>It works!</body></html>",
        "{\"message\":\"page not found\"}",
        "{\"Version\":\"20.10.24\"}",
        "{\"apiversion\":\"1.41\"}",
        "{\"APIVersion\":\"1.41\"}",
        "{\"ApiVersion\":null}",
        "{\"ApiVersion\":1.41}",
        "{\"ApiVersion\":141}",
        "{\"ApiVersion\":[\"1.41\"]}",
        "{\"ApiVersion\":\"\"}",
        "{\"ApiVersion\":\"1\"}",
        "{\"ApiVersion\":\"1.\"}",
        "{\"ApiVersion\":\"v1.41\"}",
        "{\"ApiVersion\":\"2.0\"}",
        "{\"ApiVersion\":\"11.41\"}",
        "{\"ApiVersion\":\"1.041\"}",
        "{\"ApiVersion\":\"1.+41\"}",
        "{\"ApiVersion\":\"1.-41\"}",
        "{\"ApiVersion\":\"1.41 \"}",
        "{\"ApiVersion\":\" 1.41\"}",
        "{\"ApiVersion\":\"1.41.0\"}",
        "{\"ApiVersion\":\"1.0x29\"}",
        "{\"ApiVersion\":\"1.1000\"}",
        "{\"ApiVersion\":\"1.99999999999999999999\"}",
        "{\"ApiVersion\":\"1.41/../../info?\"}",
        "{\"ApiVersion\":\"1.41\\u0000\"}",
        "{\"ApiVersion\":\"1.41\",\"ApiVersion\":\"1.42\"}",
        "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"\"}",
        "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":null}",
        "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":1.12}",
        "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"2.0\"}",
        "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.42\"}", /* then it speaks none */
        "{\"ApiVersion\":\"1.10\",\"MinAPIVersion\":\"1.41\"}",
    };
    unsigned api;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (read_version(rows[i], strlen(rows[i]), &api) != -1 || api != 0) {
            fail_msg("%s: 1.%u", rows[i], api);
        }
    }
    assert_int_equal(read_version("{\"ApiVersion\":\"1.41\"}\0", 22, &api), -1);
}

/* Every pair of versions: never one that the engine or the gate does not know. */
static void what_is_chosen_is_always_within_both(void **state)
{
    char json[128];
    unsigned api;
    (void)state;
    for (unsigned low = 0; low <= 60; low++) {
        for (unsigned high = 0; high <= 60; high++) {
            int n = snprintf(json, sizeof(json),
                             "{\"ApiVersion\":\"1.%u\",\"MinAPIVersion\":\"1.%u\"}", high, low);
            int rc = read_version(json, (size_t)n, &api);
            if (low > high) {
                assert_int_equal(rc, -1);
            } else if (high < ENGINE_API_LOWEST) {
                assert_int_equal(rc, 0);
                assert_int_equal(api, 0);
            } else {
                assert_int_equal(rc, 0);
                assert_in_range(api, MAX(low, (unsigned)ENGINE_API_LOWEST), high);
                assert_true(api == ENGINE_API_BEST || api == low || api == high);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(engines_speak_what_both_know),
        cmocka_unit_test(whatever_else_answers_is_no_engine),
        cmocka_unit_test(what_is_chosen_is_always_within_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
