/* Declared ExApps: found in any letter case, never twice, with the routes that are usable. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hub/exapps.h"
#include "hub/settings_exapps.h"

static char any[] = "^/";
static struct hub_route open_route = {
    .url = any, .access_level = HUB_ACCESS_PUBLIC, .statuses = {401, 403}, .statuses_n = 2};

/* The declaration is gone before the record is used: nothing may point into it. */
static int declare(struct exapps *list, const char *id, struct hub_route *routes, size_t n)
{
    char err[128] = "", name[HUB_EXAPP_ID_MAX + 1], token[] = "secret", version[] = "1.2.3",
         host[] = "127.0.0.1";
    snprintf(name, sizeof(name), "%s", id);
    struct hub_exapp from = {.id = name,
                             .token = token,
                             .version = version,
                             .host = host,
                             .port = 23005,
                             .routes = routes,
                             .routes_n = n};
    int rc = exapps_declare(list, &from, NULL, err, sizeof(err));
    memset(name, 'x', sizeof(name) - 1);
    memset(token, 'x', strlen(token));
    memset(version, 'x', strlen(version));
    memset(host, 'x', strlen(host));
    if (rc < 0) {
        assert_non_null(strstr(err, id));
        assert_null(strstr(err, "secret"));
    }
    return rc;
}

static void keeps_what_was_declared(void **state)
{
    struct exapps *list = exapps_new();
    (void)state;
    assert_int_equal(declare(list, "app", &open_route, 1), 0);
    const struct exapp *app = exapps_find(list, STR("app"));
    assert_non_null(app);
    assert_string_equal(app->id, "app");
    assert_string_equal(app->version, "1.2.3");
    assert_string_equal(app->token, "secret");
    assert_string_equal(app->host, "127.0.0.1");
    assert_int_equal(app->port, 23005);
    assert_string_equal(app->anonymous, "OnNlY3JldA=="); /* ":secret" */
    assert_null(app->pool);
    const struct route *route = routes_match(app->routes, STR("/x"), NULL);
    assert_non_null(route);
    assert_int_equal(route->access, ROUTE_PUBLIC);
    assert_int_equal(route->nstatus, 2);
    assert_int_equal(route->status[1], 403);
    exapps_free(list);
}

static void finds_ids_in_any_letter_case(void **state)
{
    static const struct {
        const char *id;
        const char *found; /* NULL: none */
    } rows[] = {
        {"app", "app"},         {"APP", "app"},    {"aPp", "app"}, {"app2", "app2"},
        {"ap", NULL},           {"app22", NULL},   {"", NULL},     {"b_c-d.e", "b_c-d.e"},
        {"B_C-D.E", "b_c-d.e"}, {"b-c-d.e", NULL}, {"zz", NULL},   {"a", NULL},
    };
    struct exapps *list = exapps_new();
    (void)state;
    assert_int_equal(declare(list, "b_c-d.e", &open_route, 1), 0);
    assert_int_equal(declare(list, "app2", &open_route, 1), 0);
    assert_int_equal(declare(list, "app", &open_route, 1), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct exapp *app = exapps_find(list, str_of(rows[i].id));
        if ((app == NULL) != (rows[i].found == NULL) ||
            (app && strcmp(app->id, rows[i].found) != 0)) {
            fail_msg("row %zu: %s gives %s", i, rows[i].id, app ? app->id : "none");
        }
    }
    /* A slice of a longer text, and an id that is too long. */
    assert_non_null(exapps_find(list, (struct str){"apple", 3}));
    char longest[HUB_EXAPP_ID_MAX + 2];
    memset(longest, 'a', sizeof(longest));
    assert_null(exapps_find(list, (struct str){longest, sizeof(longest)}));
    assert_null(exapps_find(list, (struct str){longest, HUB_EXAPP_ID_MAX}));
    exapps_free(list);
}

static void refuses_the_same_id_twice(void **state)
{
    struct exapps *list = exapps_new();
    (void)state;
    assert_int_equal(declare(list, "app", &open_route, 1), 0);
    const struct exapp *app = exapps_find(list, STR("app"));
    assert_int_equal(declare(list, "app", &open_route, 1), -1);
    assert_ptr_equal(exapps_find(list, STR("app")), app);
    exapps_free(list);
}

static void leaves_bad_routes_out(void **state)
{
    char bad[] = "(", user[] = "^/user", admin[] = "^/";
    struct hub_route routes[] = {{.url = bad, .access_level = HUB_ACCESS_PUBLIC},
                                 {.url = user, .access_level = HUB_ACCESS_USER},
                                 {.url = bad, .access_level = HUB_ACCESS_PUBLIC},
                                 {.url = admin, .access_level = HUB_ACCESS_ADMIN}};
    struct exapps *list = exapps_new();
    (void)state;
    assert_int_equal(declare(list, "app", routes, ARRAY_LEN(routes)), 0);
    const struct exapp *app = exapps_find(list, STR("app"));
    assert_int_equal(routes_match(app->routes, STR("/user"), NULL)->access, ROUTE_USER);
    assert_int_equal(routes_match(app->routes, STR("/x"), NULL)->access, ROUTE_ADMIN);
    assert_null(routes_match(app->routes, STR("x"), NULL));
    exapps_free(list);
}

static void refuses_an_app_without_a_usable_route(void **state)
{
    char bad[] = "(";
    struct hub_route route = {.url = bad, .access_level = HUB_ACCESS_PUBLIC};
    struct exapps *list = exapps_new();
    (void)state;
    assert_int_equal(declare(list, "app", &route, 1), -1);
    assert_int_equal(declare(list, "app", NULL, 0), -1);
    assert_null(exapps_find(list, STR("app")));
    exapps_free(list);
}

static void number(void *arg, struct exapp *app)
{
    unsigned *seen = arg;
    assert_non_null(app->routes);
    seen[0]++;
    if (strcmp(app->id, "app007") == 0) {
        seen[1]++;
    }
}

static void keeps_many_in_any_order_of_declaring(void **state)
{
    enum { MANY = HUB_EXAPPS_MAX };
    struct exapps *list = exapps_new();
    struct exapp *before[MANY];
    unsigned seen[2] = {0, 0};
    char id[16];
    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        unsigned n = i * 101 % MANY; /* 101 and 256 have no common divisor */
        snprintf(id, sizeof(id), "app%03u", n);
        assert_int_equal(declare(list, id, &open_route, 1), 0);
        before[n] = exapps_find(list, str_of(id));
    }
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(id, sizeof(id), "APP%03u", i);
        struct exapp *app = exapps_find(list, str_of(id));
        assert_ptr_equal(app, before[i]); /* records stay where they are */
        assert_int_equal(strcasecmp(app->id, id), 0);
    }
    exapps_each(list, number, seen);
    assert_int_equal(seen[0], MANY);
    assert_int_equal(seen[1], 1);
    exapps_free(list);
}

static void an_empty_list_knows_nobody(void **state)
{
    struct exapps *list = exapps_new();
    (void)state;
    assert_null(exapps_find(list, STR("app")));
    assert_null(exapps_find(list, STR("")));
    exapps_free(list);
    exapps_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_was_declared),
        cmocka_unit_test(finds_ids_in_any_letter_case),
        cmocka_unit_test(refuses_the_same_id_twice),
        cmocka_unit_test(leaves_bad_routes_out),
        cmocka_unit_test(refuses_an_app_without_a_usable_route),
        cmocka_unit_test(keeps_many_in_any_order_of_declaring),
        cmocka_unit_test(an_empty_list_knows_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
