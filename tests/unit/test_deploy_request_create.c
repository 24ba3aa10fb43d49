/* What AppAPI asks to create: recorded payloads, environment, mounts, limits and choices. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/deploy_reader.h"

/* A create request with more members behind the two that must be there. */
#define CREATE(more) "{\"name\":\"a\",\"image_id\":\"i\"" more "}"

static char json[2 * 1024 * 1024];

static const struct json_node *nth(const struct json_node *list, size_t i)
{
    const struct json_node *n = json_first(list);
    while (n && i-- > 0) {
        n = json_next(n);
    }
    return n;
}

static void assert_text(struct str s, const char *want)
{
    if (!str_eq(s, str_of(want))) {
        fail_msg("'%.*s' is not '%s'", STR_ARG(s), want);
    }
}

/* ---- as recorded from AppAPI 34 ---- */

static void the_recorded_create_of_an_app_behind_a_tunnel_is_read(void **state)
{
    static const char recorded[] =
        "{\"name\": \"testapp\", \"instance_id\": \"\", \"image_id\": "
        "\"registry.test/exapps/testapp:1.0.0\", \"network_mode\": \"host\", "
        "\"environment_variables\": [\"AA_VERSION=34.0.0\", "
        "\"APP_SECRET=3rd/xNe32Ze5+O2+HCiZob1jQx2ytpqKxgnJQsjiPUGd24Aur2vrTe2AWeDwxFCik6//"
        "qG7Jiv/Ai77yFPTDDSBA7vzeJaBQHW6zHEC6hkoETC5O+VOs2/XyU6IYHZ3n\", \"APP_ID=testapp\", "
        "\"APP_DISPLAY_NAME=Test ExApp\", \"APP_VERSION=1.0.0\", \"APP_HOST=127.0.0.1\", "
        "\"APP_PORT=23000\", \"APP_PERSISTENT_STORAGE=/nc_app_testapp_data\", "
        "\"NEXTCLOUD_URL=http://127.0.0.1:8080\", \"COMPUTE_DEVICE=CPU\", "
        "\"TEST_OPTION=from-admin\", \"HP_FRP_ADDRESS=127.0.0.1\", \"HP_FRP_PORT=8782\", "
        "\"HP_SHARED_KEY=some_very_secure_password\"], \"restart_policy\": \"unless-stopped\", "
        "\"compute_device\": \"cpu\", \"mount_points\": [], \"start_container\": true}";
    struct str value;
    (void)state;
    must_read(DEPLOY_CREATE, recorded);
    assert_text(request.name, "testapp");
    assert_string_equal(request.container, "nc_app_testapp");
    assert_string_equal(request.volume, "nc_app_testapp_data");
    assert_text(request.image, "registry.test/exapps/testapp:1.0.0");
    assert_text(request.network, "host");
    assert_text(request.restart, "unless-stopped");
    assert_int_equal(request.compute, DEPLOY_CPU);
    assert_int_equal(json_count(request.env), 14);
    assert_int_equal(json_count(request.mounts), 0);
    assert_int_equal(request.memory, 0);
    assert_int_equal(request.nano_cpus, 0);
    assert_text(deploy_env(nth(request.env, 0)), "AA_VERSION=34.0.0");
    assert_text(deploy_env(nth(request.env, 6)), "APP_PORT=23000");
    assert_text(deploy_env(nth(request.env, 13)), "HP_SHARED_KEY=some_very_secure_password");
    assert_int_equal(deploy_env_find(&request, "APP_ID", &value), 0);
    assert_text(value, "testapp");
    assert_int_equal(deploy_env_find(&request, "APP_DISPLAY_NAME", &value), 0);
    assert_text(value, "Test ExApp");
    assert_int_equal(deploy_env_find(&request, "APP", &value), -1);
    assert_int_equal(deploy_env_find(&request, "APP_ID=testapp", &value), -1);
    assert_int_equal(deploy_env_find(&request, "", &value), -1);
}

static void the_recorded_create_with_limits_and_a_mount_is_read(void **state)
{
    static const char recorded[] =
        "{\"name\": \"zz\", \"image_id\": \"registry.test/exapps/testapp:1.0.0\", "
        "\"network_mode\": \"host\", \"environment_variables\": [\"A=b\"], \"restart_policy\": "
        "\"always\", \"resource_limits\": {\"memory\": 67108864, \"nanoCPUs\": 500000000}, "
        "\"mount_points\": [{\"source\": \"/tmp\", \"target\": \"/mnt/t\", \"mode\": \"ro\"}]}";
    (void)state;
    must_read(DEPLOY_CREATE, recorded);
    assert_text(request.restart, "always");
    assert_int_equal(request.memory, 67108864);
    assert_int_equal(request.nano_cpus, 500000000);
    struct deploy_mount m = deploy_mount(nth(request.mounts, 0));
    assert_text(m.source, "/tmp");
    assert_text(m.target, "/mnt/t");
    assert_true(m.read_only);
}

static void the_recorded_smallest_create_is_read(void **state)
{
    (void)state;
    must_read(DEPLOY_CREATE, "{\"name\": \"zz\", \"image_id\": \"x\", \"network_mode\": \"host\", "
                             "\"image_ref\": \"x\"}");
    assert_text(request.image, "x");
    must_read(DEPLOY_CREATE, CREATE(""));
    assert_text(request.network, "bridge"); /* HaRP's defaults */
    assert_text(request.restart, "unless-stopped");
    assert_int_equal(request.compute, DEPLOY_CPU);
    assert_null(request.env);
    assert_null(request.mounts);
}

/* ---- image, network, choices ---- */

static void an_image_is_needed(void **state)
{
    (void)state;
    must_refuse(DEPLOY_CREATE, "{\"name\":\"a\"}", "image_id: Field required");
    must_refuse(DEPLOY_CREATE, "{\"name\":\"a\",\"image_id\":null}", "image_id: Field required");
    must_refuse(DEPLOY_CREATE, "{\"name\":\"a\",\"image_id\":5}", "image_id is not a string");
    must_refuse(DEPLOY_CREATE, "{\"name\":\"a\",\"image_id\":\"\"}", "image_id is not an image's");
    must_refuse(DEPLOY_CREATE, "{\"name\":\"a\",\"image_id\":\"../a\"}",
                "image_id is not an image's");
    must_refuse(DEPLOY_CREATE, "{\"image_id\":\"a\"}", "name: Field required");
    /* its other name */
    must_read(DEPLOY_CREATE, "{\"name\":\"a\",\"image\":\"b:1\"}");
    assert_text(request.image, "b:1");
    must_refuse(DEPLOY_CREATE, "{\"name\":\"a\",\"image\":\"B\"}", "image is not an image's");
    must_read(DEPLOY_CREATE, "{\"name\":\"a\",\"image\":5,\"image_id\":\"b\"}");
    assert_text(request.image, "b");
}

static void networks_are_called_by_plain_names(void **state)
{
    static const char *const good[] = {"host", "bridge", "none", "nc-net_1.x", "0"};
    static const char *const bad[] = {"",    "container:abc", "a b",     "-a",   "../a",
                                      "a/b", "ns:/x",         "\\u00e9", "a\\n", " host"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        snprintf(json, sizeof(json), CREATE(",\"network_mode\":\"%s\""), good[i]);
        must_read(DEPLOY_CREATE, json);
        assert_text(request.network, good[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(json, sizeof(json), CREATE(",\"network_mode\":\"%s\""), bad[i]);
        must_refuse(DEPLOY_CREATE, json, "network_mode is not a network's name");
    }
    must_refuse(DEPLOY_CREATE, CREATE(",\"network_mode\":\"a\\u0000\""), "has a NUL in it");
    snprintf(json, sizeof(json), CREATE(",\"network_mode\":\"%s%.*s\""), X100, 28, X100);
    must_read(DEPLOY_CREATE, json);
    assert_int_equal(request.network.n, 128);
    snprintf(json, sizeof(json), CREATE(",\"network_mode\":\"%s%.*s\""), X100, 29, X100);
    must_refuse(DEPLOY_CREATE, json, "network_mode is too long");
}

static void choices_are_those_that_are_known(void **state)
{
    static const char *const restarts[] = {"unless-stopped", "no", "always", "on-failure", ""};
    static const char *const computes[] = {"cpu", "cuda", "rocm"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(restarts); i++) {
        snprintf(json, sizeof(json), CREATE(",\"restart_policy\":\"%s\""), restarts[i]);
        must_read(DEPLOY_CREATE, json);
        assert_text(request.restart, restarts[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(computes); i++) {
        snprintf(json, sizeof(json), CREATE(",\"compute_device\":\"%s\""), computes[i]);
        must_read(DEPLOY_CREATE, json);
        assert_int_equal(request.compute, i);
    }
    must_refuse(DEPLOY_CREATE, CREATE(",\"restart_policy\":\"Always\""),
                "restart_policy is none of those that are known");
    must_refuse(DEPLOY_CREATE, CREATE(",\"restart_policy\":\"on-failure:3\""), "restart_policy");
    must_refuse(DEPLOY_CREATE, CREATE(",\"restart_policy\":\"no\\u0000\""), "has a NUL in it");
    must_refuse(DEPLOY_CREATE, CREATE(",\"compute_device\":\"CPU\""),
                "compute_device is none of those that are known, as cpu");
    must_refuse(DEPLOY_CREATE, CREATE(",\"compute_device\":\"\""), "compute_device is none");
}

/* ---- types ---- */

static void members_must_be_of_their_type(void **state)
{
    static const struct {
        const char *key, *good, *says;
    } rows[] = {
        {"network_mode", "ns", "network_mode is not a "},
        {"restart_policy", "ne", "restart_policy"},
        {"compute_device", "n", "compute_device"},
        {"environment_variables", "na", "environment_variables is not an array but: "},
        {"mount_points", "na", "mount_points is not an array but: "},
        {"resource_limits", "nao", "resource_limits is not an object but: "},
        {"start_container", "nbidseao", ""}, /* starts nothing: AppAPI calls start itself */
    };
    static const struct {
        char letter;
        const char *text;
    } values[] = {{'n', "null"},  {'b', "false"}, {'i', "5"},  {'d', "1.5"},
                  {'s', "\"x\""}, {'e', "\"\""},  {'a', "[]"}, {'o', "{}"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t v = 0; v < ARRAY_LEN(values); v++) {
            snprintf(json, sizeof(json), CREATE(",\"%s\":%s"), rows[i].key, values[v].text);
            if (strchr(rows[i].good, values[v].letter)) {
                must_read(DEPLOY_CREATE, json);
            } else {
                must_refuse(DEPLOY_CREATE, json, rows[i].says);
            }
        }
    }
    must_refuse(DEPLOY_CREATE, CREATE(",\"resource_limits\":[5]"), "resource_limits is not");
}

static void limits_are_whole_numbers(void **state)
{
    static const struct {
        const char *text;
        int64_t want; /* -1: refused */
    } rows[] = {
        {"0", 0},
        {"1", 1},
        {"9223372036854775807", INT64_MAX},
        {"\"67108864\"", 67108864},
        {"\"0\"", 0},
        {"null", 0},
        {"-1", -1},
        {"1.5", -1},
        {"1e3", -1},
        {"1.0", -1},
        {"true", -1},
        {"\"\"", -1},
        {"\"-1\"", -1},
        {"\"1G\"", -1},
        {"\" 1\"", -1},
        {"\"01\"", -1},
        {"\"9223372036854775808\"", -1},
        {"[]", -1},
        {"{}", -1},
    };
    static const char *const keys[] = {"memory", "nanoCPUs"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
            snprintf(json, sizeof(json), CREATE(",\"resource_limits\":{\"%s\":%s,\"x\":[]}"),
                     keys[k], rows[i].text);
            if (rows[i].want < 0) {
                must_refuse(DEPLOY_CREATE, json, keys[k]);
            } else {
                must_read(DEPLOY_CREATE, json);
                assert_int_equal(k == 0 ? request.memory : request.nano_cpus, rows[i].want);
                assert_int_equal(k == 0 ? request.nano_cpus : request.memory, 0);
            }
        }
    }
}

/* ---- environment ---- */

static void an_entry_of_the_environment_is_name_and_value(void **state)
{
    static const char *const good[] = {
        "A=",
        "A=b",
        "A=b=c",
        "A==",
        "a b=c d",
        "A=\xc3\xa9",
        "A=\\n\\t\\u0001",
        ".=x",
        "HP_SHARED_KEY=",
        "A={\\\"b\\\":1}",
    };
    static const char *const bad[] = {"\"\"",          "\"A\"", "\"=\"", "\"=b\"", "\"A=\\u0000\"",
                                      "\"\\u0000=a\"", "null",  "5",     "[]",     "{}",
                                      "true"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        snprintf(json, sizeof(json), CREATE(",\"environment_variables\":[\"%s\",\"Z=9\"]"),
                 good[i]);
        must_read(DEPLOY_CREATE, json);
        assert_int_equal(json_count(request.env), 2);
        assert_text(deploy_env(nth(request.env, 1)), "Z=9");
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(json, sizeof(json), CREATE(",\"environment_variables\":[\"A=b\",%s]"), bad[i]);
        must_refuse(DEPLOY_CREATE, json, "environment_variables: an entry is not ");
    }
}

static void the_first_variable_of_a_name_counts(void **state)
{
    struct str value;
    (void)state;
    must_read(DEPLOY_CREATE,
              CREATE(",\"environment_variables\":[\"AB=0\",\"A=\",\"A=2\",\"B=3\"]"));
    assert_int_equal(deploy_env_find(&request, "A", &value), 0);
    assert_text(value, "");
    assert_int_equal(deploy_env_find(&request, "B", &value), 0);
    assert_text(value, "3");
    assert_int_equal(deploy_env_find(&request, "a", &value), -1);
    assert_int_equal(deploy_env_find(&request, "C", &value), -1);
    must_read(DEPLOY_CREATE, CREATE(""));
    assert_int_equal(deploy_env_find(&request, "A", &value), -1);
}

/* key:[entry,entry,...] of n entries. */
static void many(const char *key, const char *entry, size_t n)
{
    size_t at =
        (size_t)snprintf(json, sizeof(json), "{\"name\":\"a\",\"image_id\":\"i\",\"%s\":[", key);
    for (size_t i = 0; i < n; i++) {
        at += (size_t)snprintf(json + at, sizeof(json) - at, "%s%s", i > 0 ? "," : "", entry);
    }
    snprintf(json + at, sizeof(json) - at, "]}");
}

static void lists_have_limits(void **state)
{
    static const char mount[] = "{\"source\":\"/a\",\"target\":\"/b\"}";
    (void)state;
    many("environment_variables", "\"A=b\"", DEPLOY_ENV_MAX);
    must_read(DEPLOY_CREATE, json);
    assert_int_equal(json_count(request.env), DEPLOY_ENV_MAX);
    many("environment_variables", "\"A=b\"", DEPLOY_ENV_MAX + 1);
    must_refuse(DEPLOY_CREATE, json, "environment_variables has more than 1024 entries");
    many("mount_points", mount, DEPLOY_MOUNTS_MAX);
    must_read(DEPLOY_CREATE, json);
    assert_int_equal(json_count(request.mounts), DEPLOY_MOUNTS_MAX);
    many("mount_points", mount, DEPLOY_MOUNTS_MAX + 1);
    must_refuse(DEPLOY_CREATE, json, "mount_points has more than 64 entries");
}

/* ---- mounts ---- */

static void mounts_have_absolute_paths(void **state)
{
    static const char *const good[] = {"/a",       "/a/b/c",   "/a/",    "//a",    "/./a",
                                       "/a//b",    "/a/..b",   "/a/b..", "/...",   "/a b",
                                       "/.hidden", "/\\u00e9", "/a:b",   "/a/...", "/..a/b"};
    static const char *const bad[] = {"",      "/",     "//",    "///",    "/.",      "/./",
                                      "/.//.", "a",     "./a",   "a/b",    "../a",    "/..",
                                      "/../",  "/../a", "/a/..", "/a/../", "/a/../b", "/a/b/../..",
                                      "//..",  "~/a",   " /a",   "volume", "C:\\\\a", "/a/./.."};
    static const char *const sides[] = {
        CREATE(",\"mount_points\":[{\"source\":\"%s\",\"target\":\"/t\",\"mode\":\"rw\"}]"),
        CREATE(",\"mount_points\":[{\"source\":\"/s\",\"target\":\"%s\",\"mode\":\"rw\"}]"),
    };
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(sides); k++) {
        for (size_t i = 0; i < ARRAY_LEN(good); i++) {
            snprintf(json, sizeof(json), sides[k], good[i]);
            must_read(DEPLOY_CREATE, json);
        }
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
            snprintf(json, sizeof(json), sides[k], bad[i]);
            must_refuse(DEPLOY_CREATE, json, "mount_points: source and target are absolute paths");
        }
        snprintf(json, sizeof(json), sides[k], "/a\\u0000b");
        must_refuse(DEPLOY_CREATE, json, "has a NUL in it");
    }
}

static void a_mount_is_an_object_of_known_members(void **state)
{
    static const struct {
        const char *mount, *says; /* NULL: it is taken */
    } rows[] = {
        {"{\"source\":\"/a\",\"target\":\"/b\"}", NULL},
        {"{\"source\":\"/a\",\"target\":\"/b\",\"mode\":null}", NULL},
        {"{\"source\":\"/a\",\"target\":\"/b\",\"more\":{}}", NULL},
        {"{\"source\":\"/a\"}", "target: Field required"},
        {"{\"target\":\"/a\"}", "source: Field required"},
        {"{\"source\":null,\"target\":\"/b\"}", "source: Field required"},
        {"{\"source\":5,\"target\":\"/b\"}", "source is not a string but: integer"},
        {"{\"source\":\"/a\",\"target\":[]}", "target is not a string but: array"},
        {"{\"source\":\"/a\",\"target\":\"/b\",\"mode\":true}", "mode is not a string"},
        {"{\"source\":\"/a\",\"target\":\"/b\",\"mode\":\"\"}", "mode is neither ro nor rw"},
        {"{\"source\":\"/a\",\"target\":\"/b\",\"mode\":\"RO\"}", "mode is neither ro nor rw"},
        {"{\"source\":\"/a\",\"target\":\"/b\",\"mode\":\"ro,z\"}", "mode is neither ro nor rw"},
        {"{\"source\":\"/a\",\"target\":\"/b\",\"mode\":\"rw       \"}", "mode is too long"},
        {"\"/a:/b\"", "mount_points: an entry is not an object but: string"},
        {"null", "mount_points: an entry is not an object but: null"},
        {"[]", "mount_points: an entry is not an object but: array"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(json, sizeof(json), CREATE(",\"mount_points\":[%s]"), rows[i].mount);
        if (rows[i].says) {
            must_refuse(DEPLOY_CREATE, json, rows[i].says);
        } else {
            must_read(DEPLOY_CREATE, json);
            assert_false(deploy_mount(nth(request.mounts, 0)).read_only);
        }
    }
    /* What was not checked is nothing. */
    assert_null(deploy_mount(NULL).source.p);
    assert_int_equal(deploy_env(NULL).n, 0);
}

static void a_path_may_be_of_4096_bytes(void **state)
{
    char path[DEPLOY_PATH_MAX + 2];
    (void)state;
    for (size_t n = DEPLOY_PATH_MAX; n <= DEPLOY_PATH_MAX + 1; n++) {
        memset(path, 'p', n);
        path[0] = '/';
        path[n] = '\0';
        snprintf(json, sizeof(json),
                 CREATE(",\"mount_points\":[{\"source\":\"%s\",\"target\":\"/t\"}]"), path);
        if (n == DEPLOY_PATH_MAX) {
            must_read(DEPLOY_CREATE, json);
            assert_int_equal(deploy_mount(nth(request.mounts, 0)).source.n, n);
        } else {
            must_refuse(DEPLOY_CREATE, json, "source is too long");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_recorded_create_of_an_app_behind_a_tunnel_is_read),
        cmocka_unit_test(the_recorded_create_with_limits_and_a_mount_is_read),
        cmocka_unit_test(the_recorded_smallest_create_is_read),
        cmocka_unit_test(an_image_is_needed),
        cmocka_unit_test(networks_are_called_by_plain_names),
        cmocka_unit_test(choices_are_those_that_are_known),
        cmocka_unit_test(members_must_be_of_their_type),
        cmocka_unit_test(limits_are_whole_numbers),
        cmocka_unit_test(an_entry_of_the_environment_is_name_and_value),
        cmocka_unit_test(the_first_variable_of_a_name_counts),
        cmocka_unit_test(lists_have_limits),
        cmocka_unit_test(mounts_have_absolute_paths),
        cmocka_unit_test(a_mount_is_an_object_of_known_members),
        cmocka_unit_test(a_path_may_be_of_4096_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, reader_tear_down);
}
