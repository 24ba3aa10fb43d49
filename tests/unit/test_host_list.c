/* Lists of hosts: names for themselves, networks for addresses, and no mistake taken for either. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/config/host_list.h"
#include "common/config/report.h"

static void names_stand_for_themselves_and_networks_for_addresses(void **state)
{
    static const struct {
        const char *host;
        bool want;
    } rows[] = {
        {"app", true},       {"APP", true},          {"app.example.com", true},
        {"10.1.2.3", true},  {"192.0.2.7", true},    {"2001:db8::5", true},
        {"app2", false},     {"example.com", false}, {"x.app.example.com", false},
        {"11.0.0.1", false}, {"192.0.2.8", false},   {"2001:db9::", false},
        {"", false},         {"10.0.0.0/8", false},  {"localhost", false},
    };
    struct host_list list;
    char bad[CONFIG_SHOW_MAX];
    (void)state;
    assert_int_equal(
        host_list_parse(&list, STR("app, \"app.example.com\",10.0.0.0/8,,192.0.2.7, 2001:db8::/32"),
                        bad),
        0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (host_list_contains(&list, str_of(rows[i].host)) != rows[i].want) {
            fail_msg("row %zu: %s", i, rows[i].host);
        }
    }
    host_list_free(&list);
    assert_false(host_list_contains(&list, STR("app")));
}

static void an_empty_list_contains_nothing(void **state)
{
    struct host_list list;
    char bad[CONFIG_SHOW_MAX];
    (void)state;
    assert_int_equal(host_list_parse(&list, STR(""), bad), 0);
    assert_false(host_list_contains(&list, STR("app")));
    assert_false(host_list_contains(&list, STR("127.0.0.1")));
    host_list_free(&list);
}

static void the_first_mistake_is_told(void **state)
{
    static const struct {
        const char *text, *bad;
    } rows[] = {
        {"a b, c d", "'a b'"},
        {"app, 10.0.0.0/33", "'10.0.0.0/33'"},
        {"app:80", "'app:80'"},
        {"http://app", "'http://app'"},
        {"app,[::1]", "'[::1]'"},
        {"1.2.3", "'1.2.3'"},
        {"*.example.com", "'*.example.com'"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct host_list list;
        char bad[CONFIG_SHOW_MAX];
        assert_int_equal(host_list_parse(&list, str_of(rows[i].text), bad), -1);
        assert_string_equal(bad, rows[i].bad);
        assert_int_equal(list.n, 0);
        assert_null(list.names);
    }
}

static void the_number_of_names_is_bounded(void **state)
{
    struct host_list list;
    char bad[CONFIG_SHOW_MAX], *text = malloc(8 * (HOST_LIST_MAX + 1));
    size_t n = 0;
    (void)state;
    for (unsigned i = 0; i < HOST_LIST_MAX; i++) {
        n += (size_t)sprintf(text + n, "h%u,", i);
    }
    assert_int_equal(host_list_parse(&list, (struct str){text, n}, bad), 0);
    assert_int_equal(list.n, HOST_LIST_MAX);
    host_list_free(&list);
    n += (size_t)sprintf(text + n, "more");
    assert_int_equal(host_list_parse(&list, (struct str){text, n}, bad), -1);
    assert_string_equal(bad, "'more'");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_stand_for_themselves_and_networks_for_addresses),
        cmocka_unit_test(an_empty_list_contains_nothing),
        cmocka_unit_test(the_first_mistake_is_told),
        cmocka_unit_test(the_number_of_names_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
