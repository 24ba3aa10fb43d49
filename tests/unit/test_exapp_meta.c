/* What is said of an ExApp: read strictly, refused with a reason, never half taken. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hub/access/exapp_meta.h"

#define GOOD                                                                                       \
    "\"exapp_token\":\"tok\",\"exapp_version\":\"1.0\",\"host\":\"127.0.0.1\",\"port\":23000"

static void reads_what_nextcloud_says(void **state)
{
    static const char json[] =
        "{" GOOD
        ",\"routes\":[{\"url\":\"^/a\",\"access_level\":0,\"bruteforce_protection\":[401,403]},"
        "{\"access_level\":\"2\",\"url\":\"\",\"more\":{}},"
        "{\"url\":\"^/c\",\"access_level\":1,\"bruteforce_protection\":null}],\"more\":[1]}";
    struct exapp_meta m;
    char err[160];
    (void)state;
    assert_int_equal(exapp_meta_read(&m, STR("My_App"), str_of(json), err, sizeof(err)), 0);
    assert_string_equal(m.id, "my_app");
    assert_string_equal(m.token, "tok");
    assert_string_equal(m.version, "1.0");
    assert_string_equal(m.host, "127.0.0.1");
    assert_int_equal(m.port, 23000);
    assert_int_equal(m.nroutes, 3);
    assert_string_equal(m.routes[0].url, "^/a");
    assert_int_equal(m.routes[0].access, EXAPP_PUBLIC);
    assert_int_equal(m.routes[0].nstatus, 2);
    assert_int_equal(m.routes[0].status[1], 403);
    assert_string_equal(m.routes[1].url, "");
    assert_int_equal(m.routes[1].access, EXAPP_ADMIN);
    assert_int_equal(m.routes[2].access, EXAPP_USER);
    assert_int_equal(m.routes[2].nstatus, 0);
    exapp_meta_free(&m);
    exapp_meta_free(&m); /* of an empty one */
}

static void takes_hosts_of_all_kinds(void **state)
{
    static const struct {
        const char *host, *want; /* NULL: refused */
    } rows[] = {
        {"app", "app"},
        {"nc-app_1.example.com", "nc-app_1.example.com"},
        {"::1", "::1"},
        {"[::1]", "::1"},
        {"10.0.0.1", "10.0.0.1"},
        {"", NULL},
        {"a b", NULL},
        {"a/b", NULL},
        {"a:80", NULL},
        {"[::1", NULL},
        {"user@h", NULL},
        {"1.2.3", NULL},
        {"a\\r\\nb", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct exapp_meta m;
        char json[256], err[160];
        snprintf(json, sizeof(json),
                 "{\"exapp_token\":\"t\",\"exapp_version\":\"1\",\"port\":1,\"host\":\"%s\"}",
                 rows[i].host);
        int rc = exapp_meta_read(&m, STR("a"), str_of(json), err, sizeof(err));
        if ((rc == 0) != (rows[i].want != NULL) || (rc == 0 && strcmp(m.host, rows[i].want) != 0)) {
            fail_msg("%s gives %s", rows[i].host, rc == 0 ? m.host : err);
        }
        exapp_meta_free(&m);
    }
}

static void refuses_the_rest_and_says_why(void **state)
{
    static const struct {
        const char *json, *why;
    } rows[] = {
        {"", "not good JSON"},
        {"{", "not good JSON"},
        {"{" GOOD "} x", "not good JSON"},
        {"{" GOOD ",\"port\":1}", "twice"},
        {"[]", "not an object but: array"},
        {"\"x\"", "not an object but: string"},
        {"{}", "exapp_token is missing"},
        {"{\"exapp_token\":\"t\"}", "exapp_version is missing"},
        {"{\"exapp_token\":5}", "exapp_token is not a string but: integer"},
        {"{\"exapp_token\":\"\"}", "exapp_token is empty"},
        {"{\"exapp_token\":\"a\\u0000b\"}", "NUL"},
        {"{\"exapp_token\":\"t\",\"exapp_version\":\"1\",\"host\":\"h\"}", "port is missing"},
        {"{\"exapp_token\":\"t\",\"exapp_version\":\"1\",\"host\":\"h\",\"port\":0}",
         "from 1 to 65535"},
        {"{\"exapp_token\":\"t\",\"exapp_version\":\"1\",\"host\":\"h\",\"port\":65536}",
         "port is no"},
        {"{\"exapp_token\":\"t\",\"exapp_version\":\"1\",\"host\":\"h\",\"port\":\"1x\"}",
         "port is no"},
        {"{\"exapp_token\":\"t\",\"exapp_version\":\"1\",\"host\":\"h\",\"port\":1.0}",
         "port is no"},
        {"{\"exapp_token\":\"t\\u00e9\",\"exapp_version\":\"1\",\"host\":\"h\",\"port\":1}",
         "ASCII"},
        {"{\"exapp_token\":\"t\",\"exapp_version\":\"1\\r\\n2\",\"host\":\"h\",\"port\":1}",
         "header"},
        {"{\"exapp_token\":\"t\",\"exapp_version\":\" 1\",\"host\":\"h\",\"port\":1}", "header"},
        {"{" GOOD ",\"routes\":{}}", "routes is not an array but: object"},
        {"{" GOOD ",\"routes\":[5]}", "a route is"},
        {"{" GOOD ",\"routes\":[{\"access_level\":0}]}", "url is missing"},
        {"{" GOOD ",\"routes\":[{\"url\":\"^/\"}]}", "access_level is missing"},
        {"{" GOOD ",\"routes\":[{\"url\":\"^/\",\"access_level\":3}]}", "from 0 to 2"},
        {"{" GOOD ",\"routes\":[{\"url\":\"^/\",\"access_level\":-1}]}", "from 0 to 2"},
        {"{" GOOD ",\"routes\":[{\"url\":\"^/\",\"access_level\":true}]}", "from 0 to 2"},
        {"{" GOOD ",\"routes\":[{\"url\":\"a\\u0000\",\"access_level\":0}]}", "NUL"},
        {"{" GOOD ",\"routes\":[{\"url\":\"\",\"access_level\":0,\"bruteforce_protection\":4}]}",
         "not an array but: integer"},
        {"{" GOOD ",\"routes\":[{\"url\":\"\",\"access_level\":0,\"bruteforce_protection\":[99]}]}",
         "from 100 to 599"},
        {"{" GOOD ",\"routes\":[{\"url\":\"\",\"access_level\":0,\"bruteforce_protection\":"
         "[400,400,400,400,400,400,400,400,400,400,400,400,400,400,400,400,400]}]}",
         "more than 16"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct exapp_meta m;
        char err[160] = "";
        if (exapp_meta_read(&m, STR("a"), str_of(rows[i].json), err, sizeof(err)) == 0) {
            fail_msg("taken: %s", rows[i].json);
        }
        if (!strstr(err, rows[i].why)) {
            fail_msg("%s: '%s' instead of '%s'", rows[i].json, err, rows[i].why);
        }
        assert_null(m.id);
        assert_null(m.token);
        assert_null(m.routes);
    }
}

static int read_routes(unsigned n)
{
    struct exapp_meta m;
    char err[160], *json = malloc(64 * n + 256);
    size_t len = (size_t)sprintf(json, "{" GOOD ",\"routes\":[");
    for (unsigned i = 0; i < n; i++) {
        len += (size_t)sprintf(json + len, "%s{\"url\":\"^/\",\"access_level\":0}", i ? "," : "");
    }
    sprintf(json + len, "]}");
    int rc = exapp_meta_read(&m, STR("a"), str_of(json), err, sizeof(err));
    assert_true(rc == 0 || strstr(err, "more than 256 routes"));
    exapp_meta_free(&m);
    free(json);
    return rc;
}

static void routes_and_lengths_are_bounded(void **state)
{
    struct exapp_meta m;
    char *json = malloc(EXAPP_TOKEN_MAX + 256), *token = calloc(1, EXAPP_TOKEN_MAX + 2), err[160];
    (void)state;
    assert_int_equal(read_routes(EXAPP_ROUTES_MAX), 0);
    assert_int_equal(read_routes(EXAPP_ROUTES_MAX + 1), -1);
    for (size_t n = EXAPP_TOKEN_MAX; n <= EXAPP_TOKEN_MAX + 1; n++) {
        memset(token, 'x', n);
        sprintf(json, "{\"exapp_token\":\"%s\",\"exapp_version\":\"1\",\"host\":\"h\",\"port\":1}",
                token);
        assert_int_equal(exapp_meta_read(&m, STR("a"), str_of(json), err, sizeof(err)),
                         n > EXAPP_TOKEN_MAX ? -1 : 0);
        exapp_meta_free(&m);
    }
    free(token);
    free(json);
}

static void two_that_say_the_same_are_equal(void **state)
{
    static const char base[] =
        "{" GOOD
        ",\"routes\":[{\"url\":\"^/a\",\"access_level\":0,\"bruteforce_protection\":[401]}]}";
    static const char *const others[] = {
        "{" GOOD ",\"routes\":[]}",
        "{" GOOD
        ",\"routes\":[{\"url\":\"^/b\",\"access_level\":0,\"bruteforce_protection\":[401]}]}",
        "{" GOOD
        ",\"routes\":[{\"url\":\"^/a\",\"access_level\":1,\"bruteforce_protection\":[401]}]}",
        "{" GOOD
        ",\"routes\":[{\"url\":\"^/a\",\"access_level\":0,\"bruteforce_protection\":[403]}]}",
        "{" GOOD ",\"routes\":[{\"url\":\"^/a\",\"access_level\":0}]}",
    };
    struct exapp_meta a, b;
    char err[160];
    (void)state;
    assert_int_equal(exapp_meta_read(&a, STR("a"), str_of(base), err, sizeof(err)), 0);
    assert_int_equal(exapp_meta_read(&b, STR("A"), str_of(base), err, sizeof(err)), 0);
    assert_true(exapp_meta_equal(&a, &b));
    exapp_meta_free(&b);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_int_equal(exapp_meta_read(&b, STR("a"), str_of(others[i]), err, sizeof(err)), 0);
        if (exapp_meta_equal(&a, &b)) {
            fail_msg("row %zu", i);
        }
        exapp_meta_free(&b);
    }
    exapp_meta_free(&a);
}

/* Each alone makes the difference. */
static void what_differs_in_one_member_is_not_equal(void **state)
{
    static const struct {
        const char *id, *token, *version, *host;
        int port;
        bool want;
    } rows[] = {
        {"a", "tok", "1.0", "127.0.0.1", 23000, true},
        {"b", "tok", "1.0", "127.0.0.1", 23000, false},
        {"a", "toK", "1.0", "127.0.0.1", 23000, false},
        {"a", "tok", "1.1", "127.0.0.1", 23000, false},
        {"a", "tok", "1.0", "127.0.0.2", 23000, false},
        {"a", "tok", "1.0", "127.0.0.1", 23001, false},
    };
    struct exapp_meta a, b;
    char err[160], json[256];
    (void)state;
    assert_int_equal(exapp_meta_read(&a, STR("a"), STR("{" GOOD "}"), err, sizeof(err)), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(json, sizeof(json),
                 "{\"exapp_token\":\"%s\",\"exapp_version\":\"%s\",\"host\":\"%s\",\"port\":%d}",
                 rows[i].token, rows[i].version, rows[i].host, rows[i].port);
        assert_int_equal(exapp_meta_read(&b, str_of(rows[i].id), str_of(json), err, sizeof(err)),
                         0);
        if (exapp_meta_equal(&a, &b) != rows[i].want) {
            fail_msg("row %zu", i);
        }
        exapp_meta_free(&b);
    }
    exapp_meta_free(&a);
}

static void ids_are_judged(void **state)
{
    static const char *const bad[] = {"",    ".",    "..",  "...",     "a/b",
                                      "a b", "a%61", "a\n", "\xc3\xa9"};
    char longest[EXAPP_ID_MAX + 2];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(exapp_id_valid(str_of(bad[i])));
    }
    assert_true(exapp_id_valid(STR("A_z.0-9")));
    memset(longest, 'a', sizeof(longest));
    assert_true(exapp_id_valid((struct str){longest, EXAPP_ID_MAX}));
    assert_false(exapp_id_valid((struct str){longest, EXAPP_ID_MAX + 1}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_nextcloud_says),
        cmocka_unit_test(takes_hosts_of_all_kinds),
        cmocka_unit_test(refuses_the_rest_and_says_why),
        cmocka_unit_test(routes_and_lengths_are_bounded),
        cmocka_unit_test(two_that_say_the_same_are_equal),
        cmocka_unit_test(what_differs_in_one_member_is_not_equal),
        cmocka_unit_test(ids_are_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
