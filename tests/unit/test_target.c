/* Request paths: whose ExApp, what reaches it, and which paths are hostile. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hub/access/target.h"

/* A literal that may hold NUL bytes. */
#define LIT(s) s, sizeof(s) - 1
#define ID16 "abcdefghij_-.890"
#define ID64 ID16 ID16 ID16 ID16

struct row {
    const char *p;
    size_t n;
};

/* Parses a copy without anything behind it, so that reading too far shows. */
static enum target_result parse(const char *p, size_t n)
{
    struct target t;
    char *copy = malloc(n ? n : 1);
    memcpy(copy, p, n);
    enum target_result got = target_parse(&t, (struct str){copy, n});
    free(copy);
    return got;
}

static void check(const struct row *rows, size_t count, enum target_result want)
{
    for (size_t i = 0; i < count; i++) {
        enum target_result got = parse(rows[i].p, rows[i].n);
        if (got != want) {
            fail_msg("row %zu: %d, wanted %d: %s", i, (int)got, (int)want, rows[i].p);
        }
    }
}

static void splits_appid_and_path(void **state)
{
    static const struct {
        const char *path, *appid, *rest, *clean;
    } rows[] = {
        {"/exapps/app/", "app", "/", "/"},
        {"/exapps/app", "app", "", "/"},
        {"/exapps/app?x=1", "app", "?x=1", "/"},
        {"/exapps/app?", "app", "?", "/"},
        {"/exapps/app?/x/../", "app", "?/x/../", "/"},
        {"/exapps/app/a/b", "app", "/a/b", "/a/b"},
        {"/exapps/App-1_x.y/a", "App-1_x.y", "/a", "/a"},
        {"/exapps/app/?q", "app", "/?q", "/"},
        {"/exapps/app/a?b=c&d", "app", "/a?b=c&d", "/a"},
        {"/exapps/app/a?", "app", "/a?", "/a"},
        {"/exapps/app/a?b?c", "app", "/a?b?c", "/a"},
        {"/exapps/app//a//", "app", "//a//", "//a//"},
        {"/exapps/" ID64 "/x", ID64, "/x", "/x"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct target t;
        if (target_parse(&t, str_of(rows[i].path)) != TARGET_OK) {
            fail_msg("row %zu is refused: %s", i, rows[i].path);
        }
        if (!str_eq(t.appid, str_of(rows[i].appid)) || !str_eq(t.rest, str_of(rows[i].rest)) ||
            !str_eq(t.path, str_of(rows[i].clean))) {
            fail_msg("row %zu: %.*s | %.*s | %.*s", i, STR_ARG(t.appid), STR_ARG(t.rest),
                     STR_ARG(t.path));
        }
        assert_int_equal(t.bare, rows[i].rest[0] != '/');
    }
}

static void keeps_every_byte_behind_the_prefix(void **state)
{
    static const char *const rests[] = {
        "/%41%2f%2F;a=b/c%20d",
        "/a?x=%00&y=../..\\",
        "/.well-known/x",
        "/a./b.c/...",
        "/%zz%",
        "/?../",
        "/a%3Fb?c%23d",
        "/\xC3\xA4",
        "/.",
        "/./x",
        "/%2e/x",
        "/x?%2e%2e/",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rests); i++) {
        char path[128];
        struct target t;
        int n = snprintf(path, sizeof(path), "/exapps/app%s", rests[i]);
        if (target_parse(&t, (struct str){path, (size_t)n}) != TARGET_OK) {
            fail_msg("row %zu is refused: %s", i, rests[i]);
        }
        assert_ptr_equal(t.rest.p, path + 11);
        assert_int_equal(t.rest.n, strlen(rests[i]));
        assert_ptr_equal(t.path.p, path + 11);
        assert_int_equal(t.path.n, strcspn(rests[i], "?"));
    }
}

static void knows_no_paths_beside_the_prefix(void **state)
{
    static const struct row rows[] = {
        {LIT("")},
        {LIT("*")},
        {LIT("/")},
        {LIT("/exapps")},
        {LIT("/exapps/")},
        {LIT("/exapps//")},
        {LIT("/exapps//x")},
        {LIT("/exapps?/app/")},
        {LIT("/exapps/?/app/")},
        {LIT("/Exapps/app/")},
        {LIT("/EXAPPS/app/")},
        {LIT("//exapps/app/")},
        {LIT("/exappsx/app/")},
        {LIT("/x/exapps/app/")},
        {LIT("/%65xapps/app/")},
        {LIT("exapps/app/")},
    };
    (void)state;
    check(rows, ARRAY_LEN(rows), TARGET_UNKNOWN);
}

static void refuses_appids_of_other_characters_or_lengths(void **state)
{
    static const struct row rows[] = {
        {LIT("/exapps/" ID64 "a/x")}, {LIT("/exapps/" ID64 "a")}, {LIT("/exapps/a b/")},
        {LIT("/exapps/a%41/")},       {LIT("/exapps/%61pp/")},    {LIT("/exapps/app;x/")},
        {LIT("/exapps/app:1/")},      {LIT("/exapps/app%2fx")},   {LIT("/exapps/app%2Fx")},
        {LIT("/exapps/\xC3\xA4/")},   {LIT("/exapps/a\x01/")},
    };
    (void)state;
    check(rows, ARRAY_LEN(rows), TARGET_UNKNOWN);
}

static void refuses_dot_segments_in_every_encoding(void **state)
{
    static const struct row rows[] = {
        {LIT("/exapps/app/..")},
        {LIT("/exapps/app/../")},
        {LIT("/exapps/app/../x")},
        {LIT("/exapps/app/a/../b")},
        {LIT("/exapps/app/a/..?x")},
        {LIT("/exapps/app/a/../?x")},
        {LIT("/exapps/../x")},
        {LIT("/exapps/..")},
        {LIT("/../exapps/app/x")},
        {LIT("/..")},
        {LIT("..")},
        /* once */
        {LIT("/exapps/app/%2e%2e/x")},
        {LIT("/exapps/app/%2E%2E/x")},
        {LIT("/exapps/app/.%2e/x")},
        {LIT("/exapps/app/%2e./x")},
        {LIT("/exapps/app/%2e%2e")},
        {LIT("/exapps/app/..%2fx")},
        {LIT("/exapps/app/x%2f..%2Fy")},
        {LIT("/exapps/app/x%2f..")},
        {LIT("/exapps/app/x%2f%2e%2e%2fy")},
        /* twice */
        {LIT("/exapps/app/%252e%252e/x")},
        {LIT("/exapps/app/.%252E/x")},
        {LIT("/exapps/app/..%252fx")},
        {LIT("/exapps/app/x%252f..")},
        /* twice, with the digits of the first round encoded */
        {LIT("/exapps/app/%25%32%65%25%32%65/x")},
        {LIT("/exapps/app/%%32e%%32e/x")},
        {LIT("/exapps/app/%2%65%2%65/x")},
        {LIT("/exapps/app/%%32%65./x")},
        {LIT("/exapps/app/..%25%32%66x")},
        /* three times */
        {LIT("/exapps/app/%25252e%25252e/x")},
        {LIT("/exapps/app/%2525%32%65./x")},
        {LIT("/exapps/app/.%25252e%25252fx")},
        /* in front of path parameters */
        {LIT("/exapps/app/..;x/y")},
        {LIT("/exapps/app/..;/y")},
        {LIT("/exapps/app/..;")},
        {LIT("/exapps/app/%2e%2e;x")},
        {LIT("/exapps/app/%2e%2e%3bx/y")},
        {LIT("/exapps/app/..%253Bx/y")},
    };
    (void)state;
    check(rows, ARRAY_LEN(rows), TARGET_HOSTILE);
}

static void refuses_nul_and_backslash_in_every_encoding(void **state)
{
    static const struct row rows[] = {
        {LIT("/exapps/app/a\\b")},      {LIT("/exapps/app/%5c")},     {LIT("/exapps/app/%5C")},
        {LIT("/exapps/app/%255c")},     {LIT("/exapps/app/%25255c")}, {LIT("/exapps/app/%25%35c")},
        {LIT("/exapps/app/..\\x")},     {LIT("/exapps\\app/")},       {LIT("\\")},
        {LIT("/exapps/app/%00")},       {LIT("/exapps/app/a%00.b")},  {LIT("/exapps/app/%2500")},
        {LIT("/exapps/app/%252500?x")}, {LIT("/exapps/app/%%300")},   {LIT("/x%00")},
        {LIT("/exapps/app/a\0b")},      {LIT("/exapps/app/\0")},
    };
    (void)state;
    check(rows, ARRAY_LEN(rows), TARGET_HOSTILE);
}

static void lets_other_dots_and_semicolons_pass(void **state)
{
    static const struct row rows[] = {
        {LIT("/exapps/app/...")},
        {LIT("/exapps/app/..x")},
        {LIT("/exapps/app/x..")},
        {LIT("/exapps/app/.../x")},
        {LIT("/exapps/app/..%20/x")},
        {LIT("/exapps/app/a;..")},
        {LIT("/exapps/app/a;../b")},
        {LIT("/exapps/app/.;x/y")},
        {LIT("/exapps/app/a..b/c")},
        {LIT("/exapps/app/%2e%2e%2e")},
        {LIT("/exapps/app/.%")},
        {LIT("/exapps/app/%2")},
        {LIT("/exapps/app/x?/../")},
        {LIT("/exapps/app/100%/x%2")},
        {LIT("/exapps/a..b/x")},
        {LIT("/exapps/..a/x")},
        {LIT("/exapps/app/%2525252e%2525252e/x")}, /* four rounds: nobody decodes that often */
    };
    (void)state;
    check(rows, ARRAY_LEN(rows), TARGET_OK);
}

static void refuses_a_dot_segment_wherever_a_path_is_cut(void **state)
{
    /* Every length of a path that ends in an encoded dot segment: only the whole is hostile. */
    static const char path[] = "/exapps/app/%252e%252e";
    (void)state;
    for (size_t n = 12; n < sizeof(path) - 1; n++) {
        assert_int_equal(parse(path, n), TARGET_OK);
    }
    assert_int_equal(parse(path, sizeof(path) - 1), TARGET_HOSTILE);
}

static void judges_paths_as_long_as_a_head_may_be(void **state)
{
    enum { LEN = 32768 };
    char *path = malloc(LEN);
    struct target t;
    (void)state;
    memset(path, 'x', LEN);
    memcpy(path, "/exapps/app/%41", 15);
    assert_int_equal(target_parse(&t, (struct str){path, 8000}), TARGET_OK);
    assert_int_equal(t.rest.n, 8000 - 11);
    memcpy(path + 8000 - 7, "/%2e%2e", 7);
    assert_int_equal(target_parse(&t, (struct str){path, 8000}), TARGET_HOSTILE);
    /* Longer than any line the parser takes: whatever the verdict, never past it. */
    memcpy(path + LEN - 7, "/%2e%2e", 7);
    assert_int_equal(parse(path, LEN), TARGET_HOSTILE);
    free(path);
}

static void marks_what_appapi_alone_may_call_however_it_is_spelled(void **state)
{
    static const char *const reserved[] = {
        "/init",      "/heartbeat", "/enabled",        "/INIT",          "/Enabled",
        "/init/",     "//init",     "/init//",         "/./init",        "/init/.",
        "/.//./init", "/%69nit",    "/%69%6e%69%74",   "/%2569nit",      "/%252569nit",
        "/ini%74",    "/%2finit",   "/%2Finit",        "/init%2f",       "/%2e/init",
        "/init;",     "/init;a=b",  "/;/init",         "/init%3Bx",      "/init%3fx",
        "/init%23x",  "/init%3F",   "/init?enabled=1", "/heartbe%61t?x", "/enabled?enabled=0",
    };
    static const char *const free_ones[] = {
        "/",          "",       "/x",       "/initial", "/ini",     "/init/x",     "/x/init",
        "/init.html", "/.init", "/init%20", "/?/init",  "/x?/init", "/heartbeats", "/enable",
        "/enabled/x", "/%2",    "/init%",   "/in/it",   "/..init",
    };
    char path[128];
    struct target t;
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(reserved) + ARRAY_LEN(free_ones); k++) {
        bool want = k < ARRAY_LEN(reserved);
        int n = snprintf(path, sizeof(path), "/exapps/app%s",
                         want ? reserved[k] : free_ones[k - ARRAY_LEN(reserved)]);
        assert_int_equal(target_parse(&t, (struct str){path, (size_t)n}), TARGET_OK);
        if (t.reserved != want) {
            fail_msg("%s is %sreserved", path, t.reserved ? "" : "not ");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_appid_and_path),
        cmocka_unit_test(keeps_every_byte_behind_the_prefix),
        cmocka_unit_test(knows_no_paths_beside_the_prefix),
        cmocka_unit_test(refuses_appids_of_other_characters_or_lengths),
        cmocka_unit_test(refuses_dot_segments_in_every_encoding),
        cmocka_unit_test(refuses_nul_and_backslash_in_every_encoding),
        cmocka_unit_test(lets_other_dots_and_semicolons_pass),
        cmocka_unit_test(refuses_a_dot_segment_wherever_a_path_is_cut),
        cmocka_unit_test(judges_paths_as_long_as_a_head_may_be),
        cmocka_unit_test(marks_what_appapi_alone_may_call_however_it_is_spelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
