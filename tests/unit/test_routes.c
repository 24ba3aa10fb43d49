/* Routes: which pattern decides about a path, and what a bad or slow one may do. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hub/access/routes.h"

static struct route_matcher *matcher;

/* Routes must outlive what is made of them: each test takes them from here, from the start again. */
static struct exapp_route kept[2 * EXAPP_ROUTES_MAX];
static unsigned kept_n;

static struct exapp_route *route_of(const char *pattern, enum exapp_access access)
{
    struct exapp_route *route = &kept[kept_n++ % ARRAY_LEN(kept)];
    free(route->url);
    *route = (struct exapp_route){
        .url = strdup(pattern), .access = access, .status = {401, 403}, .nstatus = 2};
    return route;
}

static int add(struct routes *r, const char *pattern, int access)
{
    char err[256] = "";
    int rc = routes_add(r, route_of(pattern, (enum exapp_access)access), err, sizeof(err));
    assert_true(rc == 0 || err[0]);
    return rc;
}

static bool matches(const char *pattern, const char *path)
{
    struct routes *r = routes_new(matcher);
    assert_int_equal(add(r, pattern, EXAPP_PUBLIC), 0);
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
        /* what Python reads otherwise than PCRE2 does */
        {"/a{,2}$", "/", true},
        {"/a{,2}$", "/aa", true},
        {"/a{,2}$", "/aaa", false},
        {"/a{,}$", "/a{,}", true},
        {"/[{,2}]+$", "/{2}", true},
        {"/\\{,2}$", "/{,2}", true},
        {"/[]{,1}]$", "/]", true},
        {"/[^]a]$", "/b", true},
        {"/[^]a]$", "/]", false},
        {"/[\\]{,3}]$", "/]", true},
        {"/a\\Z", "/ab", false},
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
        {"/admin/x", EXAPP_ADMIN}, {"/user/x", EXAPP_USER},      {"/public", EXAPP_PUBLIC},
        {"/adminx", EXAPP_USER},   {"/public/../", EXAPP_ADMIN}, {"/", -1},
    };
    struct routes *r = routes_new(matcher);
    (void)state;
    assert_int_equal(add(r, "^/admin/", EXAPP_ADMIN), 0);
    assert_int_equal(add(r, ".*/\\.\\./", EXAPP_ADMIN), 0);
    assert_int_equal(add(r, "^/public$", EXAPP_PUBLIC), 0);
    assert_int_equal(add(r, "^/[a-z]+", EXAPP_USER), 0);
    assert_int_equal(add(r, "^/admin/", EXAPP_PUBLIC), 0); /* comes too late */
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct exapp_route *m = routes_match(r, str_of(rows[i].path), NULL);
        if ((m ? (int)m->access : -1) != rows[i].want) {
            fail_msg("row %zu: %s gives %d", i, rows[i].path, m ? (int)m->access : -1);
        }
    }
    routes_free(r);
}

static void no_routes_match_nothing(void **state)
{
    struct routes *r = routes_new(matcher);
    (void)state;
    assert_null(routes_match(r, STR("/"), NULL));
    routes_free(r);
    routes_free(NULL);
}

static void keeps_the_statuses_of_each_route(void **state)
{
    struct routes *r = routes_new(matcher);
    struct exapp_route *none = route_of("^/b", EXAPP_USER);
    char err[128];
    (void)state;
    none->nstatus = 0;
    assert_int_equal(add(r, "^/a", EXAPP_PUBLIC), 0);
    assert_int_equal(routes_add(r, none, err, sizeof(err)), 0);
    const struct exapp_route *a = routes_match(r, STR("/a"), NULL);
    const struct exapp_route *b = routes_match(r, STR("/b"), NULL);
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
    static const char *const bad[] = {"(",         "[a",      "a**",        "(?P<x",
                                      "\\",        "a{2,1}",  "(?<=a*)b",   "\\C",
                                      "(*ACCEPT)", "(*UTF)a", "a(*COMMIT)", "(*LIMIT_MATCH=9)a"};
    struct routes *r = routes_new(matcher);
    (void)state;
    assert_int_equal(add(r, "^/a", EXAPP_USER), 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (add(r, bad[i], EXAPP_PUBLIC) >= 0) {
            fail_msg("row %zu is taken: %s", i, bad[i]);
        }
    }
    assert_int_equal(add(r, "^/b", EXAPP_ADMIN), 0);
    assert_int_equal(routes_match(r, STR("/a"), NULL)->access, EXAPP_USER);
    assert_int_equal(routes_match(r, STR("/b"), NULL)->access, EXAPP_ADMIN);
    assert_null(routes_match(r, STR("/c"), NULL));
    routes_free(r);
}

static void error_fits_a_small_buffer(void **state)
{
    struct routes *r = routes_new(matcher);
    struct exapp_route *route = route_of("(", EXAPP_PUBLIC);
    char *err = malloc(8); /* so that a byte too many shows */
    (void)state;
    assert_int_equal(routes_add(r, route, err, 8), -1);
    assert_int_equal(strlen(err), 7);
    free(err);
    routes_free(r);
}

static void length_of_a_pattern_is_bounded(void **state)
{
    struct routes *r = routes_new(matcher);
    char *pattern = calloc(1, ROUTE_PATTERN_MAX + 2);
    (void)state;
    memset(pattern, 'a', ROUTE_PATTERN_MAX + 1);
    pattern[0] = '/';
    assert_int_equal(add(r, pattern, EXAPP_PUBLIC), -1);
    pattern[ROUTE_PATTERN_MAX] = '\0';
    assert_int_equal(add(r, pattern, EXAPP_PUBLIC), 0);
    assert_non_null(routes_match(r, str_of(pattern), NULL));
    free(pattern);
    routes_free(r);
}

static void number_of_routes_is_bounded(void **state)
{
    struct routes *r = routes_new(matcher);
    char pattern[16];
    (void)state;
    for (int i = 0; i < EXAPP_ROUTES_MAX; i++) {
        snprintf(pattern, sizeof(pattern), "^/%d$", i);
        assert_int_equal(add(r, pattern, i % 3), 0);
    }
    assert_int_equal(add(r, "^/more", EXAPP_PUBLIC), -1);
    assert_int_equal(routes_count(r), EXAPP_ROUTES_MAX);
    /* Not the last one: under a tool that slows the program down, the search's time may end first. */
    assert_int_equal(routes_match(r, STR("/7"), NULL)->access, 7 % 3);
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
        struct routes *r = routes_new(matcher);
        assert_int_equal(add(r, patterns[i], EXAPP_ADMIN), 0);
        assert_int_equal(add(r, "^/a+!$", EXAPP_PUBLIC), 0);
        if (routes_match(r, str_of(path), NULL)) {
            fail_msg("row %zu: %s", i, patterns[i]);
        }
        routes_free(r);
    }
    free(path);
}

static void a_path_that_hits_the_limit_leaves_the_route_as_it_is_for_others(void **state)
{
    struct routes *r = routes_new(matcher);
    char *path = long_path(60);
    (void)state;
    assert_int_equal(add(r, "^/(a+)+$", EXAPP_ADMIN), 0);
    assert_int_equal(add(r, "^/", EXAPP_PUBLIC), 0);
    assert_int_equal(routes_match(r, STR("/aaa"), NULL)->access, EXAPP_ADMIN);
    for (int i = 0; i < 3; i++) {
        assert_null(routes_match(r, str_of(path), NULL));
        assert_int_equal(routes_match(r, STR("/aaa"), NULL)->access, EXAPP_ADMIN);
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

static int make_matcher(void **state UNUSED)
{
    matcher = route_matcher_new();
    return matcher ? 0 : -1;
}

static int free_all(void **state UNUSED)
{
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        free(kept[i].url);
    }
    route_matcher_free(matcher);
    return 0;
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
    return cmocka_run_group_tests(tests, make_matcher, free_all);
}
