/* Routes: which pattern decides about a path, and what a bad or slow one may do. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hub/routes.h"

static int add(struct routes *r, const char *pattern, int access)
{
    char err[256] = "";
    struct route route = {.access = access, .status = {401, 403}, .nstatus = 2};
    int rc = routes_add(r, pattern, &route, err, sizeof(err));
    assert_true(rc == 0 || err[0]);
    return rc;
}

static bool matches(const char *pattern, const char *path)
{
    struct routes *r = routes_new();
    assert_int_equal(add(r, pattern, ROUTE_PUBLIC), 0);
    /* A copy without a byte behind it, so that reading too far shows. */
    size_t n = strlen(path);
    char *copy = malloc(n ? n : 1);
    memcpy(copy, path, n);
    bool got = routes_match(r, (struct str){copy, n}, NULL) != NULL;
    free(copy);
    routes_free(r);
    return got;
}

static void matches_as_python_re_match_does(void **state)
{
    static const struct {
        const char *pattern, *path;
        bool want;
    } rows[] = {
        {"^/a", "/a", true},
        {"/a", "/abc", true}, /* the end is free */
        {"/a$", "/abc", false},
        {"/a$", "/a", true},
        {"/a\\Z", "/a", true},
        {"/a", "/b/a", false}, /* the start is not, with or without ^ */
        {"a", "/a", false},
        {".*a", "/b/a", true},
        {"/a|/b", "/b", true}, /* each alternative starts at the start */
        {"/x|a", "/a", false},
        {"(?:^|.*)a$", "/a", true},
        {"/A", "/a", false}, /* letters as they are */
        {"(?i)/A", "/a", true},
        {"", "/", true},
        {"^$", "/", false},
        {"^/$", "/", true},
        {"/a.b", "/a\nb", false},
        {"/\\d+$", "/123", true},
        {"/(?P<id>\\w+)/(?P=id)$", "/ab/ab", true},
        {"/(?P<id>\\w+)/(?P=id)$", "/ab/abc", false},
        {"/(?!admin)", "/admin", false},
        {"/(?!admin)", "/user", true},
        {"/a%20b", "/a%20b", true}, /* still encoded */
        {"/a b", "/a%20b", false},
        {"/a/?$", "/a/", true},
        {"/\\.well-known/", "/.well-known/x", true},
        {"/[^/]+/x$", "/a/x", true},
        {"/[^/]+/x$", "/a/b/x", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (matches(rows[i].pattern, rows[i].path) != rows[i].want) {
            fail_msg("row %zu: %s on %s", i, rows[i].pattern, rows[i].path);
        }
    }
}

static void first_match_decides(void **state)
{
    static const struct {
        const char *path;
        int want; /* -1: no route */
    } rows[] = {
        {"/admin/x", ROUTE_ADMIN}, {"/user/x", ROUTE_USER},      {"/public", ROUTE_PUBLIC},
        {"/adminx", ROUTE_USER},   {"/public/../", ROUTE_ADMIN}, {"/", -1},
    };
    struct routes *r = routes_new();
    (void)state;
    assert_int_equal(add(r, "^/admin/", ROUTE_ADMIN), 0);
    assert_int_equal(add(r, ".*/\\.\\./", ROUTE_ADMIN), 0);
    assert_int_equal(add(r, "^/public$", ROUTE_PUBLIC), 0);
    assert_int_equal(add(r, "^/[a-z]+", ROUTE_USER), 0);
    assert_int_equal(add(r, "^/admin/", ROUTE_PUBLIC), 0); /* comes too late */
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct route *m = routes_match(r, str_of(rows[i].path), NULL);
        if ((m ? m->access : -1) != rows[i].want) {
            fail_msg("row %zu: %s gives %d", i, rows[i].path, m ? m->access : -1);
        }
    }
    routes_free(r);
}

static void no_routes_match_nothing(void **state)
{
    struct routes *r = routes_new();
    (void)state;
    assert_null(routes_match(r, STR("/"), NULL));
    routes_free(r);
    routes_free(NULL);
}

static void keeps_the_statuses_of_each_route(void **state)
{
    struct routes *r = routes_new();
    struct route none = {.access = ROUTE_USER};
    char err[128];
    (void)state;
    assert_int_equal(add(r, "^/a", ROUTE_PUBLIC), 0);
    assert_int_equal(routes_add(r, "^/b", &none, err, sizeof(err)), 0);
    const struct route *a = routes_match(r, STR("/a"), NULL);
    const struct route *b = routes_match(r, STR("/b"), NULL);
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(a->nstatus, 2);
    assert_int_equal(a->status[0], 401);
    assert_int_equal(a->status[1], 403);
    assert_int_equal(b->nstatus, 0);
    routes_free(r);
}

static void bad_pattern_is_told_and_the_others_stay(void **state)
{
    static const char *const bad[] = {"(", "[a", "a**", "(?P<x", "\\", "a{2,1}", "(?<=a*)b", "\\C"};
    struct routes *r = routes_new();
    (void)state;
    assert_int_equal(add(r, "^/a", ROUTE_USER), 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (add(r, bad[i], ROUTE_PUBLIC) >= 0) {
            fail_msg("row %zu is taken: %s", i, bad[i]);
        }
    }
    assert_int_equal(add(r, "^/b", ROUTE_ADMIN), 0);
    assert_int_equal(routes_match(r, STR("/a"), NULL)->access, ROUTE_USER);
    assert_int_equal(routes_match(r, STR("/b"), NULL)->access, ROUTE_ADMIN);
    assert_null(routes_match(r, STR("/c"), NULL));
    routes_free(r);
}

static void error_fits_a_small_buffer(void **state)
{
    struct routes *r = routes_new();
    struct route route = {0};
    char *err = malloc(8); /* so that a byte too many shows */
    (void)state;
    assert_int_equal(routes_add(r, "(", &route, err, 8), -1);
    assert_int_equal(strlen(err), 7);
    free(err);
    routes_free(r);
}

static void length_of_a_pattern_is_bounded(void **state)
{
    struct routes *r = routes_new();
    char *pattern = calloc(1, ROUTE_PATTERN_MAX + 2);
    (void)state;
    memset(pattern, 'a', ROUTE_PATTERN_MAX + 1);
    pattern[0] = '/';
    assert_int_equal(add(r, pattern, ROUTE_PUBLIC), -1);
    pattern[ROUTE_PATTERN_MAX] = '\0';
    assert_int_equal(add(r, pattern, ROUTE_PUBLIC), 0);
    assert_non_null(routes_match(r, str_of(pattern), NULL));
    free(pattern);
    routes_free(r);
}

static void number_of_routes_is_bounded(void **state)
{
    struct routes *r = routes_new();
    char pattern[16];
    (void)state;
    for (int i = 0; i < ROUTES_MAX; i++) {
        snprintf(pattern, sizeof(pattern), "^/%d$", i);
        assert_int_equal(add(r, pattern, i % 3), 0);
    }
    assert_int_equal(add(r, "^/more", ROUTE_PUBLIC), -1);
    assert_null(routes_match(r, STR("/more"), NULL));
    snprintf(pattern, sizeof(pattern), "/%d", ROUTES_MAX - 1);
    assert_int_equal(routes_match(r, str_of(pattern), NULL)->access, (ROUTES_MAX - 1) % 3);
    routes_free(r);
}

/* `/` and n times `a`, then `!`. */
static char *long_path(size_t n)
{
    char *p = malloc(n + 3);
    memset(p, 'a', n + 1);
    p[0] = '/';
    memcpy(p + n + 1, "!", 2);
    return p;
}

static void catastrophic_pattern_hits_its_limit_and_opens_nothing_behind_it(void **state)
{
    static const char *const patterns[] = {"^/(a+)+$", "^/(a|a)*$", "^/(\\w+\\s?)*$",
                                           "^/(a*)*[bc]"};
    char *path = long_path(60);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        struct routes *r = routes_new();
        assert_int_equal(add(r, patterns[i], ROUTE_ADMIN), 0);
        assert_int_equal(add(r, "^/a+!$", ROUTE_PUBLIC), 0);
        if (routes_match(r, str_of(path), NULL)) {
            fail_msg("row %zu: %s", i, patterns[i]);
        }
        routes_free(r);
    }
    free(path);
}

static void a_path_that_hits_the_limit_leaves_the_route_as_it_is_for_others(void **state)
{
    struct routes *r = routes_new();
    char *path = long_path(60);
    (void)state;
    assert_int_equal(add(r, "^/(a+)+$", ROUTE_ADMIN), 0);
    assert_int_equal(add(r, "^/", ROUTE_PUBLIC), 0);
    assert_int_equal(routes_match(r, STR("/aaa"), NULL)->access, ROUTE_ADMIN);
    for (int i = 0; i < 3; i++) {
        assert_null(routes_match(r, str_of(path), NULL));
        assert_int_equal(routes_match(r, STR("/aaa"), NULL)->access, ROUTE_ADMIN);
    }
    free(path);
    routes_free(r);
}

static void harmless_patterns_take_paths_of_any_length(void **state)
{
    static const char *const patterns[] = {"^/([a-z]|[0-9])*!$", "^/((ab)|(a)|(b))*!$",
                                           "^/(?:a|b)+!", "^/.*!$", "^/[^/]+!$"};
    char *path = long_path(8000);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        if (!matches(patterns[i], path)) {
            fail_msg("row %zu: %s", i, patterns[i]);
        }
    }
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_as_python_re_match_does),
        cmocka_unit_test(first_match_decides),
        cmocka_unit_test(no_routes_match_nothing),
        cmocka_unit_test(keeps_the_statuses_of_each_route),
        cmocka_unit_test(bad_pattern_is_told_and_the_others_stay),
        cmocka_unit_test(error_fits_a_small_buffer),
        cmocka_unit_test(length_of_a_pattern_is_bounded),
        cmocka_unit_test(number_of_routes_is_bounded),
        cmocka_unit_test(catastrophic_pattern_hits_its_limit_and_opens_nothing_behind_it),
        cmocka_unit_test(a_path_that_hits_the_limit_leaves_the_route_as_it_is_for_others),
        cmocka_unit_test(harmless_patterns_take_paths_of_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
