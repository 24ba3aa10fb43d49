/* What AppAPI asks to do with a container: the calls, the names that are built, and the members of all
 * but create. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/deploy_reader.h"

static const char *const names[] = {
    "exists",         "create", "start",        "stop",
    "wait_for_start", "remove", "image_remove", "install_certificates",
};

/* All that name a container and need nothing else. */
static const enum deploy_kind simple[] = {DEPLOY_EXISTS, DEPLOY_START,  DEPLOY_STOP,
                                          DEPLOY_WAIT,   DEPLOY_REMOVE, DEPLOY_CERTIFICATES};

static void the_calls_are_found_by_their_names(void **state)
{
    static const char *const others[] = {"",        "Exists",  "exists ", "exist",
                                         "existss", "exists/", "restart", "../exists"};
    enum deploy_kind kind;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(deploy_kind_find(str_of(names[i]), &kind), 0);
        assert_int_equal(kind, i);
        assert_string_equal(deploy_kind_name(kind), names[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_int_equal(deploy_kind_find(str_of(others[i]), &kind), -1);
    }
    assert_int_equal(deploy_kind_find((struct str){"exists\0", 7}, &kind), -1);
}

static void names_are_built_as_appapi_builds_them(void **state)
{
    static const struct {
        const char *json, *name, *container, *volume;
    } rows[] = {
        {"{\"name\":\"a\"}", "a", "nc_app_a", "nc_app_a_data"},
        {"{\"name\":\"testapp\",\"instance_id\":\"\"}", "testapp", "nc_app_testapp",
         "nc_app_testapp_data"},
        {"{\"name\":\"a\",\"instance_id\":null,\"role_suffix\":null}", "a", "nc_app_a",
         "nc_app_a_data"},
        {"{\"name\":\"a\",\"instance_id\":\"\",\"role_suffix\":\"\"}", "a", "nc_app_a",
         "nc_app_a_data"},
        {"{\"name\":\"a\",\"instance_id\":\"i\"}", "a", "nc_app_i_a", "nc_app_i_a_data"},
        {"{\"name\":\"a\",\"role_suffix\":\"r\"}", "a", "nc_app_a_r", "nc_app_a_data"},
        {"{\"role_suffix\":\"web\",\"instance_id\":\"oc1\",\"name\":\"app\"}", "app",
         "nc_app_oc1_app_web", "nc_app_oc1_app_data"},
        {"{\"name\":\"A-b_c.9\",\"instance_id\":\"0..\",\"role_suffix\":\"z--\"}", "A-b_c.9",
         "nc_app_0.._A-b_c.9_z--", "nc_app_0.._A-b_c.9_data"},
        {"{\"name\":\"a..b\"}", "a..b", "nc_app_a..b", "nc_app_a..b_data"},
        {"{\"n\\u0061me\":\"\\u0061\"}", "a", "nc_app_a", "nc_app_a_data"},
        {" {\n\t\"name\" : \"a\" } \r\n", "a", "nc_app_a", "nc_app_a_data"},
    };
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(simple); k++) {
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            must_read(simple[k], rows[i].json);
            assert_true(str_eq(request.name, str_of(rows[i].name)));
            assert_string_equal(request.container, rows[i].container);
            assert_string_equal(request.volume, rows[i].volume);
            assert_true(docker_container_valid(str_of(request.container)));
        }
    }
}

/* {"name":..,"instance_id":..,"role_suffix":..} of lengths; 0: without it. */
static int read_lengths(size_t name, size_t instance, size_t role)
{
    char json[1024];
    int n = snprintf(json, sizeof(json), "{\"name\":\"%.*s\"", (int)name, X100 X100);
    if (instance > 0) {
        n += snprintf(json + n, sizeof(json) - (size_t)n, ",\"instance_id\":\"%.*s\"",
                      (int)instance, X100 X100);
    }
    if (role > 0) {
        n += snprintf(json + n, sizeof(json) - (size_t)n, ",\"role_suffix\":\"%.*s\"", (int)role,
                      X100 X100);
    }
    snprintf(json + n, sizeof(json) - (size_t)n, "}");
    return read_json(DEPLOY_EXISTS, json);
}

static void a_container_may_be_called_by_107_bytes(void **state)
{
    static const struct {
        size_t name, instance, role;
    } longest[] = {
        {100, 0, 0}, {98, 1, 0}, {1, 98, 0}, {98, 0, 1},   {1, 0, 98},
        {96, 1, 1},  {1, 96, 1}, {1, 1, 96}, {32, 33, 33},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(longest); i++) {
        size_t name = longest[i].name, instance = longest[i].instance, role = longest[i].role;
        assert_int_equal(read_lengths(name, instance, role), 0);
        assert_int_equal(strlen(request.container), DEPLOY_NAME_MAX);
        assert_int_equal(request.container[DEPLOY_NAME_MAX - 1], 'x');
        assert_int_equal(strlen(request.volume),
                         DEPLOY_NAME_MAX - (role > 0 ? role + 1 : 0) + strlen("_data"));
        assert_string_equal(request.volume + strlen(request.volume) - 6, "x_data");
        assert_true(docker_container_valid(str_of(request.container)));
        assert_int_equal(read_lengths(name + 1, instance, role), -1);
        assert_non_null(strstr(words, "too long for a container's name"));
        if (instance > 0) {
            assert_int_equal(read_lengths(name, instance + 1, role), -1);
        }
        if (role > 0) {
            assert_int_equal(read_lengths(name, instance, role + 1), -1);
        }
    }
    /* One part alone is refused before it is copied anywhere. */
    assert_int_equal(read_lengths(108, 0, 0), -1);
    assert_string_equal(words, "Payload validation error: name is too long");
    assert_int_equal(read_lengths(1, 108, 0), -1);
    assert_string_equal(words, "Payload validation error: instance_id is too long");
    assert_int_equal(read_lengths(1, 1, 200), -1);
    assert_string_equal(words, "Payload validation error: role_suffix is too long");
}

static void names_that_reach_elsewhere_are_refused(void **state)
{
    static const char *const rows[] = {
        "..",
        ".",
        ".a",
        "-a",
        "_a",
        "a/b",
        "/",
        "../x?y",
        "a/../b",
        "a b",
        " a",
        "a ",
        "a?x=",
        "a#b",
        "a%2Fb",
        "a%",
        "a:b",
        "a@b",
        "a\\\\b",
        "a\\nb",
        "a\\r\\nX",
        "\\u00e9",
        "a\\u0301",
        "\xc3\xa9",
        "a\xc2\xa0",
        "\xe2\x80\xae",
        "a&b",
        "a*",
        "a'b",
        "a\\\"b",
        "a;b",
        "a$b",
        "{}",
        "a,b",
        "\\u202ea",
        "\xf0\x9f\x98\x80",
        "a/../../../info?x=",
        "\\ud83d\\ude00",
    };
    static const char *const keys[] = {"name", "instance_id", "role_suffix"};
    char json[512], says[64];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
            snprintf(json, sizeof(json), "{%s\"%s\":\"%s\"}", k > 0 ? "\"name\":\"a\"," : "",
                     keys[k], rows[i]);
            snprintf(says, sizeof(says), "%s is not made of letters, digits and", keys[k]);
            must_refuse(DEPLOY_EXISTS, json, says);
        }
    }
    for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
        snprintf(json, sizeof(json), "{%s\"%s\":\"a\\u0000\"}", k > 0 ? "\"name\":\"a\"," : "",
                 keys[k]);
        snprintf(says, sizeof(says), "%s has a NUL in it", keys[k]);
        must_refuse(DEPLOY_EXISTS, json, says);
    }
    must_refuse(DEPLOY_EXISTS, "{\"name\":\"\"}", "name is not made of");
}

static void what_is_no_good_json_is_told_as_harp_tells_it(void **state)
{
    static const char *const rows[] = {
        "",
        "{",
        "{\"name\":\"a\"",
        "{\"name\":\"a\"} x",
        "{\"name\":\"a\"}{}",
        "{\"name\":\"a\",}",
        "{'name':'a'}",
        "{\"name\":\"a\",\"name\":\"a\"}",
        "{\"name\":\"a\",\"n\\u0061me\":\"b\"}",
        "{\"name\":\"a\",\"x\":{\"y\":1,\"y\":1}}",
        "{\"name\":\"\\ud800\"}",
        "{\"name\":\"\xff\"}",
        "\xef\xbb\xbf{\"name\":\"a\"}",
        "name=a",
    };
    (void)state;
    for (size_t kind = 0; kind < ARRAY_LEN(names); kind++) {
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            assert_int_equal(read_json((enum deploy_kind)kind, rows[i]), -1);
            assert_string_equal(words, "Invalid JSON body");
            assert_true(why[0] != '\0');
        }
    }
    assert_int_equal(read_bytes(DEPLOY_EXISTS, "{\"name\":\"a\"}\0", 13), -1);
    assert_string_equal(words, "Invalid JSON body");
}

static void other_json_is_no_request(void **state)
{
    static const struct {
        const char *json, *says;
    } rows[] = {
        {"null", "it is not an object but: null"},    {"true", "it is not an object but: boolean"},
        {"[]", "it is not an object but: array"},     {"5", "it is not an object but: integer"},
        {"\"x\"", "it is not an object but: string"}, {"[{\"name\":\"a\"}]", "not an object"},
    };
    (void)state;
    for (size_t kind = 0; kind < ARRAY_LEN(names); kind++) {
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            must_refuse((enum deploy_kind)kind, rows[i].json, rows[i].says);
        }
        must_refuse((enum deploy_kind)kind, "{}",
                    kind == DEPLOY_IMAGE_REMOVE ? "image_ref: Field required"
                                                : "name: Field required");
    }
}

/* Each member with a value of each type: which of them are taken. */
static void members_must_be_of_their_type(void **state)
{
    static const struct {
        enum deploy_kind kind;
        const char *json; /* with the value at %s */
        const char *good; /* letters of `values` */
        const char *says; /* of the others */
    } rows[] = {
        {DEPLOY_EXISTS, "{\"name\":%s}", "s", "name"},
        {DEPLOY_EXISTS, "{\"name\":\"a\",\"instance_id\":%s}", "nse",
         "instance_id is not a string"},
        {DEPLOY_STOP, "{\"name\":\"a\",\"role_suffix\":%s}", "nse", "role_suffix is not a string"},
        {DEPLOY_REMOVE, "{\"name\":\"a\",\"remove_data\":%s}", "nb",
         "remove_data is not true or false but: "},
        {DEPLOY_CERTIFICATES, "{\"name\":\"a\",\"install_frp_certs\":%s}", "nb",
         "install_frp_certs is not true or false but: "},
        {DEPLOY_CERTIFICATES, "{\"name\":\"a\",\"system_certs_bundle\":%s}", "nse",
         "system_certs_bundle is not a string but: "},
        {DEPLOY_IMAGE_REMOVE, "{\"image_ref\":%s}", "s", "image_ref"},
        /* members of other calls, and AppAPI's further ones, do not count */
        {DEPLOY_EXISTS, "{\"name\":\"a\",\"remove_data\":%s}", "nbidseao", ""},
        {DEPLOY_EXISTS, "{\"name\":\"a\",\"json_shortened\":%s}", "nbidseao", ""},
        {DEPLOY_IMAGE_REMOVE, "{\"image_ref\":\"a\",\"name\":%s}", "nbidseao", ""},
    };
    static const struct {
        char letter;
        const char *text;
    } values[] = {{'n', "null"},  {'b', "true"}, {'i', "5"},  {'d', "1.5"},
                  {'s', "\"x\""}, {'e', "\"\""}, {'a', "[]"}, {'o', "{}"}};
    char json[256];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t v = 0; v < ARRAY_LEN(values); v++) {
            snprintf(json, sizeof(json), rows[i].json, values[v].text);
            if (strchr(rows[i].good, values[v].letter)) {
                must_read(rows[i].kind, json);
            } else {
                must_refuse(rows[i].kind, json, rows[i].says);
            }
        }
    }
}

static void flags_and_bundle_are_read(void **state)
{
    (void)state;
    must_read(DEPLOY_REMOVE, "{\"name\":\"a\"}");
    assert_false(request.remove_data);
    must_read(DEPLOY_REMOVE, "{\"name\":\"testapp\",\"instance_id\":\"\",\"remove_data\":true}");
    assert_true(request.remove_data);
    must_read(DEPLOY_REMOVE, "{\"name\":\"testapp\",\"instance_id\":\"\",\"remove_data\":false}");
    assert_false(request.remove_data);
    must_read(DEPLOY_CERTIFICATES, "{\"name\":\"zz\"}");
    assert_true(request.frp_certs);
    assert_int_equal(request.bundle.n, 0);
    must_read(DEPLOY_CERTIFICATES, "{\"name\":\"a\",\"install_frp_certs\":null}");
    assert_true(request.frp_certs);
    must_read(
        DEPLOY_CERTIFICATES,
        "{\"name\":\"a\",\"install_frp_certs\":false,\"system_certs_bundle\":\"a\\nb\\u00e9\"}");
    assert_false(request.frp_certs);
    assert_true(str_eq(request.bundle, STR("a\nb\xc3\xa9")));
    must_refuse(DEPLOY_CERTIFICATES, "{\"name\":\"a\",\"system_certs_bundle\":\"a\\u0000\"}",
                "system_certs_bundle has a NUL in it");
}

/* As large as a request can be. */
static void a_large_bundle_is_taken(void **state)
{
    enum { SIZE = 900 * 1024 };
    static char json[SIZE + 128];
    (void)state;
    int n = snprintf(json, sizeof(json), "{\"name\":\"a\",\"system_certs_bundle\":\"");
    memset(json + n, 'A', SIZE);
    snprintf(json + n + SIZE, sizeof(json) - (size_t)n - SIZE, "\"}");
    must_read(DEPLOY_CERTIFICATES, json);
    assert_int_equal(request.bundle.n, SIZE);
}

static void images_are_called_by_reference_or_id(void **state)
{
#define H64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    static const char *const good[] = {
        "a",
        "registry.test/exapps/testapp:1.0.0",
        "ghcr.io/nextcloud/llm2:2.0.0-cuda",
        "localhost:5000/a/b/c:tag",
        "a@sha256:" H64,
        "sha256:" H64,
        H64,
    };
    static const char *const bad[] = {
        "",     " a",  "a b",      "A",       "a:",      "a/",       "/a",   "a//b",
        "../a", "a?b", "a/../b",   "sha256:", "a%2Fb",   "a#b",      "a\\n", "a:b:c",
        "a@b",  "-a",  "\\u00e9a", "a\\\\b",  "a/./b:1", "http://a",
    };
    char json[1024];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        snprintf(json, sizeof(json), "{\"image_ref\":\"%s\"}", good[i]);
        must_read(DEPLOY_IMAGE_REMOVE, json);
        assert_true(str_eq(request.image, str_of(good[i])));
        assert_string_equal(request.container, "");
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(json, sizeof(json), "{\"image_ref\":\"%s\"}", bad[i]);
        must_refuse(DEPLOY_IMAGE_REMOVE, json, "image_ref is not an image's name or id");
    }
    must_refuse(DEPLOY_IMAGE_REMOVE, "{\"image_ref\":\"a\\u0000\"}", "image_ref has a NUL in it");
    /* the longest: a name of 255, a tag of 128, a digest */
    snprintf(json, sizeof(json), "{\"image_ref\":\"%s%.*s:%s%.*s@sha512:" H64 H64 "\"}", X100 X100,
             55, X100, X100, 28, X100);
    must_read(DEPLOY_IMAGE_REMOVE, json);
    assert_int_equal(request.image.n, DOCKER_REFERENCE_MAX);
    snprintf(json, sizeof(json), "{\"image_ref\":\"%s%.*s:%s%.*s@sha512:" H64 H64 "\"}", X100 X100,
             56, X100, X100, 28, X100);
    must_refuse(DEPLOY_IMAGE_REMOVE, json, "image_ref is too long");
}

static void freed_twice_it_is_empty(void **state)
{
    (void)state;
    must_read(DEPLOY_EXISTS, "{\"name\":\"a\"}");
    deploy_request_free(&request);
    assert_null(request.doc);
    deploy_request_free(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_calls_are_found_by_their_names),
        cmocka_unit_test(names_are_built_as_appapi_builds_them),
        cmocka_unit_test(a_container_may_be_called_by_107_bytes),
        cmocka_unit_test(names_that_reach_elsewhere_are_refused),
        cmocka_unit_test(what_is_no_good_json_is_told_as_harp_tells_it),
        cmocka_unit_test(other_json_is_no_request),
        cmocka_unit_test(members_must_be_of_their_type),
        cmocka_unit_test(flags_and_bundle_are_read),
        cmocka_unit_test(a_large_bundle_is_taken),
        cmocka_unit_test(images_are_called_by_reference_or_id),
        cmocka_unit_test(freed_twice_it_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, reader_tear_down);
}
