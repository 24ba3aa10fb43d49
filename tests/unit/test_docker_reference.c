/* Names in Docker calls: image references by the distribution grammar, tags, digests, containers. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/docker/reference.h"
#include "common/docker/value.h"

#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10
#define X100 X50 X50
#define X127 X100 X10 X10 "xxxxxxx"
#define X128 X127 "x"
#define X255 X100 X100 X50 "xxxxx"
#define H16 "0123456789abcdef"
#define H64 H16 H16 H16 H16
#define H96 H64 H16 H16
#define H128 H64 H64
#define SHA256 "sha256:" H64

/* A copy without anything behind it, so that reading too far shows. */
static bool exact(bool (*valid)(struct str s), const char *text)
{
    size_t n = strlen(text);
    char *copy = malloc(n ? n : 1);
    memcpy(copy, text, n);
    bool got = valid((struct str){copy, n});
    free(copy);
    return got;
}

static void check(bool (*valid)(struct str s), const char *const *rows, size_t count, bool want)
{
    for (size_t i = 0; i < count; i++) {
        if (exact(valid, rows[i]) != want) {
            fail_msg("row %zu is %s: %s", i, want ? "refused" : "taken", rows[i]);
        }
    }
    assert_false(valid((struct str){NULL, 0}));
}

#define GOOD(valid, ...)                                                                           \
    do {                                                                                           \
        static const char *const rows[] = {__VA_ARGS__};                                           \
        check(valid, rows, ARRAY_LEN(rows), true);                                                 \
    } while (0)
#define BAD(valid, ...)                                                                            \
    do {                                                                                           \
        static const char *const rows[] = {__VA_ARGS__};                                           \
        check(valid, rows, ARRAY_LEN(rows), false);                                                \
    } while (0)

static bool reference(struct str s)
{
    struct docker_reference ref;
    return docker_reference_read(&ref, s);
}

static void splits_references(void **state)
{
    static const struct {
        const char *text, *name, *tag, *digest;
    } rows[] = {
        {"app", "app", "", ""},
        {"app:1.0.0", "app", "1.0.0", ""},
        {"app:5000", "app", "5000", ""},
        {"app@" SHA256, "app", "", SHA256},
        {"app:1@" SHA256, "app", "1", SHA256},
        {"registry.test:5000/a/b", "registry.test:5000/a/b", "", ""},
        {"registry.test:5000/a/b:x", "registry.test:5000/a/b", "x", ""},
        {"r:1/a:2@" SHA256, "r:1/a", "2", SHA256},
        {"a/b/c", "a/b/c", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct docker_reference ref;
        if (!docker_reference_read(&ref, str_of(rows[i].text)) ||
            !str_eq(ref.name, str_of(rows[i].name)) || !str_eq(ref.tag, str_of(rows[i].tag)) ||
            !str_eq(ref.digest, str_of(rows[i].digest))) {
            fail_msg("%s: %.*s | %.*s | %.*s", rows[i].text, STR_ARG(ref.name), STR_ARG(ref.tag),
                     STR_ARG(ref.digest));
        }
    }
}

/* As engines read them: what one takes for a registry must not be part of a name to us. */
static void full_names_begin_with_the_registry_that_an_engine_asks(void **state)
{
    static const struct {
        const char *text, *full; /* NULL: an id, or perhaps one */
    } rows[] = {
        {"app", "docker.io/library/app"},
        {"app:1", "docker.io/library/app"},
        {"a/b@" SHA256, "docker.io/a/b"},
        {"my_user/app", "docker.io/my_user/app"},
        {"docker.io/a", "docker.io/a"},
        {"r.test/a/b:1", "r.test/a/b"},
        {"r:5000/a", "r:5000/a"},
        {"localhost/a", "localhost/a"},
        {"Host/a", "Host/a"},
        {"hosT/a", "hosT/a"},
        {"host/a", "docker.io/host/a"},
        {"0123456789ab", NULL},
        {"0123456789ab:1", "docker.io/library/0123456789ab"},
        {H64, NULL},
        {SHA256, NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char full[DOCKER_FULL_NAME_MAX];
        bool good = docker_image_full_name(str_of(rows[i].text), full);
        if (good != (rows[i].full != NULL) || (good && strcmp(full, rows[i].full) != 0)) {
            fail_msg("%s: %s", rows[i].text, good ? full : "an id");
        }
    }
}

static void takes_names_of_the_distribution_grammar(void **state)
{
    (void)state;
    GOOD(reference, "a", "0", "ubuntu", "library/ubuntu", "a.b", "a_b", "a__b", "a-b", "a---b",
         "a.b_c__d-e", "containers", "create", "json", "x/json", "x/containers", "nc_app_x",
         "localhost/a", "localhost:5000/a", "127.0.0.1:5000/a", "Registry.Test/a", "R/a",
         "a--b.c/d", "my_user/app", "a.b/c.d/e_f", "r:1/a", "r:65535/a",
         "ghcr.io/nextcloud/app_api/x:1.0-cpu", "a:_", "a:A.b-C_d", X255, X127 "/" X127,
         X255 ":" X128 "@sha512:" H128, "sha256", "sha256:12ab", "0123456789ab", H64 "0", "a/" H64,
         "a@sha384:" H96);
}

static void refuses_what_is_no_reference(void **state)
{
    (void)state;
    BAD(reference, "", "A", "App", "a/B", "_a", "a_", ".a", "a.", "-a", "a-", "a..b", "a___b",
        "a._b", "a.-b", "a-_b", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "./a",
        "a/.", "a/./b", "a:", ":a", "a:b:c", "a::b", "a:-b", "a:.b", "a:b/c", "a:b c",
        "a:" X128 "x", "a@", "@" SHA256, "a@sha256", "a@sha256:", "a@b", "a@" SHA256 "@" SHA256,
        "a@" SHA256 ":b", "a@" SHA256 "0", "a@md5:" H16 H16, "a@SHA256:" H64, "r:/a", "r:0/a",
        "r:080/a", "r:65536/a", "r:100000/a", "r:x/a", "r:1:2/a", ":1/a", "-r.x/a", "r-.x/a",
        "r..x/a", ".r/A", "[::1]/a", "[::1]:5000/a", "http://r/a", "a b", "a%2Fb", "a+b", "a,b",
        "a;b", "a?b", "a#b", "a\\b", "a~b", "a\tb", "a\nb", "\xc3\xa4", "a\xff", X255 "x",
        X128 "/" X127);
}

static void takes_ids_only_where_an_image_is_looked_up(void **state)
{
    (void)state;
    GOOD(docker_image_valid, H64, SHA256, "app", "r.x/app:1", "app@" SHA256, "0123456789ab");
    BAD(docker_image_valid, "", "sha512:" H128, "sha384:" H96, "sha256:" H64 "/a", H64 ":latest",
        H64 "@" SHA256, "../" H64, "SHA256:" H64 ":a");
    BAD(reference, H64, SHA256, "sha512:" H128, "sha384:" H96, H64 ":latest");
    /* One digit more or less, and it is a name, as it is to Docker. */
    GOOD(reference, H64 "0", SHA256 "0", "sha256:" H16);
}

static void refuses_a_nul_wherever_it_stands(void **state)
{
    (void)state;
    assert_false(reference((struct str){"a\0", 2}));
    assert_false(reference((struct str){"a\0b", 3}));
    assert_false(reference((struct str){"a:b\0", 4}));
    assert_false(docker_container_valid((struct str){"nc_app_x\0", 9}));
    assert_false(docker_tag_valid((struct str){"a\0", 2}));
    assert_false(docker_platform_valid((struct str){"linux\0", 6}));
}

static void knows_the_containers_of_exapps(void **state)
{
    (void)state;
    GOOD(docker_container_valid, "nc_app_x", "nc_app_Test-App_1.0", "nc_app_.", "nc_app_..",
         "nc_app_-", "nc_app__", "nc_app_0", "nc_app_" X100);
    BAD(docker_container_valid, "", "nc_app_", "nc_app", "NC_APP_x", "nc_App_x", "xnc_app_x",
        "/nc_app_x", "nc_app_x/y", "nc_app_x/../y", "nc_app_x:1", "nc_app_x@y", "nc_app_x y",
        "nc_app_x%2f", "nc_app_x\n", "nc_app_\xc3\xa4", "nc-app-x", "other", H64,
        "nc_app_" X100 "x");
}

static void checks_tags_and_digests(void **state)
{
    (void)state;
    GOOD(docker_tag_valid, "a", "_", "1.0.0", "A-b_c.D", X128);
    BAD(docker_tag_valid, "", ".a", "-a", "a:b", "a/b", "a@b", "a b", "a+b", X128 "x", "\xc3\xa4");
    GOOD(docker_digest_valid, SHA256, "sha384:" H96, "sha512:" H128);
    BAD(docker_digest_valid, "", "sha256:", H64, "sha256:" H16, SHA256 "0", "sha384:" H64,
        "sha512:" H96, "sha1:" H16 H16, "Sha256:" H64, "sha256+b64:" H64,
        "sha256:" H16 H16 H16 "0123456789ABCDEF", "sha256:" H16 H16 H16 "0123456789abcdeg");
}

static void checks_platforms(void **state)
{
    (void)state;
    GOOD(docker_platform_valid, "linux", "linux/amd64", "linux/arm64/v8", "arm64", "Linux/x86_64",
         "a.b-c", X10 X10 X10 "xx");
    BAD(docker_platform_valid, "", "/", "linux/", "/amd64", "linux//v8", "linux/arm/v8/x", "..",
        "../x", "linux/..", ".linux", "-linux", "linux amd64", "linux,amd64", "linux(10)/amd64",
        X10 X10 X10 "xxx", "linux/\xc3\xa4");
}

struct value {
    const char *text;
    bool good;
};

static void check_values(const char *(*value)(struct str s), const struct value *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *why = value(str_of(rows[i].text));
        if (!why != rows[i].good) {
            fail_msg("'%s': %s", rows[i].text, why ? why : "taken");
        }
    }
}

static void takes_values_that_all_engines_read_alike(void **state)
{
    static const struct value bools[] = {
        {"0", true},     {"1", true},   {"true", true}, {"false", true}, {"", false},
        {"True", false}, {"no", false}, {"t", false},   {"yes", false},  {"none", false},
        {" 1", false},   {"01", false}, {"2", false},   {"on", false}};
    static const struct value times[] = {{"0", true},
                                         {"1700000000", true},
                                         {"1700000000.000000001", true},
                                         {"1.5", true},
                                         {"999999999999", true},
                                         {"", false},
                                         {"-1", false},
                                         {"1000000000000", false},
                                         {"1.", false},
                                         {".5", false},
                                         {"1.0000000001", false},
                                         {"1.-5", false},
                                         {"1.5.5", false},
                                         {"1e9", false},
                                         {"10m", false},
                                         {"all", false},
                                         {"2026-01-01", false},
                                         {"2026-01-01T00:00:00Z", false},
                                         {"+1", false},
                                         {" 1", false}};
    static const struct value tails[] = {
        {"0", true},    {"1", true},   {"all", true},  {"999999999", true},   {"", false},
        {"-1", false},  {"+1", false}, {"All", false}, {"1000000000", false}, {"1.0", false},
        {"0x1", false}, {"1 ", false}, {"many", false}};
    (void)state;
    check_values(docker_value_bool, bools, ARRAY_LEN(bools));
    check_values(docker_value_time, times, ARRAY_LEN(times));
    check_values(docker_value_tail, tails, ARRAY_LEN(tails));
    assert_true(docker_value_is_true(STR("1")) && docker_value_is_true(STR("true")));
    assert_false(docker_value_is_true(STR("0")) || docker_value_is_true(STR("false")));
    assert_null(docker_value_tag(STR("1.0")));
    assert_null(docker_value_tag(STR(SHA256)));
    assert_non_null(docker_value_tag(STR("a/b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_references),
        cmocka_unit_test(full_names_begin_with_the_registry_that_an_engine_asks),
        cmocka_unit_test(takes_names_of_the_distribution_grammar),
        cmocka_unit_test(refuses_what_is_no_reference),
        cmocka_unit_test(takes_ids_only_where_an_image_is_looked_up),
        cmocka_unit_test(refuses_a_nul_wherever_it_stands),
        cmocka_unit_test(knows_the_containers_of_exapps),
        cmocka_unit_test(checks_tags_and_digests),
        cmocka_unit_test(checks_platforms),
        cmocka_unit_test(takes_values_that_all_engines_read_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
