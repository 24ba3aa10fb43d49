/* create: its calls, and the JSON that the engine gets, to the byte; the app's token in place of the key. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "hub/tunnel/app_token.h"
#include "tests/unit/deploy_bench.h"

#define CREATE(more) "{\"name\":\"a\",\"image_id\":\"i:1\"" more "}"
#define INSPECT "GET /containers/nc_app_a/json"
#define VOLUME "GET /volumes/nc_app_a_data"
#define MAKE_VOLUME "POST /volumes/create"
#define MAKE "POST /containers/create?name=nc_app_a"
#define LABELS                                                                                     \
    "\"Labels\":{\"harp.instance\":\"" OWN "\",\"harp.nextcloud\":\"https://cloud.example.com\"}"
#define VOLUME_JSON "{\"Name\":\"nc_app_a_data\"," LABELS "}"
#define MOUNT                                                                                      \
    "{\"Type\":\"volume\",\"Source\":\"nc_app_a_data\",\"Target\":\"/nc_app_a_data\","             \
    "\"ReadOnly\":false}"
#define HOST(network, mounts, restart, more)                                                       \
    "\"HostConfig\":{\"NetworkMode\":\"" network "\",\"Mounts\":[" MOUNT mounts                    \
    "],\"RestartPolicy\":{\"Name\":\"" restart "\"}" more "}"
#define CONTAINER(host, env, more)                                                                 \
    "{\"Image\":\"i:1\",\"Hostname\":\"a\"," host ",\"Env\":[" env "]," LABELS more "}"
#define PLAIN HOST("bridge", "", "unless-stopped", "")
#define CREATED "{\"Id\":\"0123abc\",\"Warnings\":[]}"
#define ANSWER "{\"id\":\"0123abc\",\"name\":\"nc_app_a\"}"
#define EXISTS "Container with name 'nc_app_a' already exists."

/* Up to the call that makes the container. */
static struct engine_call *begin(const char *json)
{
    bench_start(DEPLOY_CREATE, json);
    stub_step(INSPECT, 404, MESSAGE("no"));
    stub_step(VOLUME, 200, "{}");
    struct engine_call *c = stub_expect(MAKE);
    assert_string_equal(c->type, "application/json");
    assert_int_equal(strlen(c->body), c->n);
    return c;
}

static void end(struct engine_call *c)
{
    stub_answer(c, 201, CREATED);
    bench_ended_json(201, ANSWER);
}

/* ---- the calls ---- */

static void the_volume_is_made_where_it_is_not_there(void **state)
{
    (void)state;
    bench_start(DEPLOY_CREATE, CREATE(""));
    stub_step(INSPECT, 404, MESSAGE("no"));
    stub_step(VOLUME, 404, MESSAGE("no"));
    struct engine_call *c = stub_expect(MAKE_VOLUME);
    assert_string_equal(c->body, VOLUME_JSON);
    assert_string_equal(c->type, "application/json");
    stub_answer(c, 201, "{\"Name\":\"nc_app_a_data\"}");
    c = stub_expect(MAKE);
    assert_string_equal(c->body, CONTAINER(PLAIN, "", ""));
    end(c);
    end(begin(CREATE("")));
}

static void what_is_there_already_is_a_conflict(void **state)
{
    (void)state;
    bench_says(DEPLOY_CREATE, CREATE(""), STEPS({INSPECT, 200, OURS}), 409, EXISTS, "");
    bench_says(DEPLOY_CREATE, CREATE(""), STEPS({INSPECT, 200, NOBODYS}), 409, EXISTS, "");
    bench_start(DEPLOY_CREATE, CREATE(""));
    stub_step(INSPECT, 200, FOREIGN);
    bench_ended(409, "Container 'nc_app_a' is not this hub's.");
    bench_start(DEPLOY_CREATE, CREATE(""));
    stub_step(INSPECT, 404, "");
    stub_step(VOLUME, 200, "{\"Labels\":{\"harp.instance\":\"other\"}}");
    bench_ended(409, "Volume 'nc_app_a_data' is not this hub's.");
    /* made meanwhile by somebody else */
    bench_says(DEPLOY_CREATE, CREATE(""),
               STEPS({INSPECT, 404, ""}, {VOLUME, 200, "{}"}, {MAKE, 409, MESSAGE("name in use")}),
               409, EXISTS, "name in use");
}

static void a_volume_of_ours_is_used(void **state)
{
    static const char *const ours[] = {
        "{}",
        "{\"Labels\":null}",
        "{\"Labels\":{}}",
        "{\"Labels\":{\"harp.instance\":\"" OWN "\"}}",
        "{\"Labels\":{\"harp.instance\":\"old-label\"}}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        bench_start(DEPLOY_CREATE, CREATE(""));
        stub_step(INSPECT, 404, "");
        stub_step(VOLUME, 200, ours[i]);
        end(stub_expect(MAKE));
    }
}

static void each_step_may_fail(void **state)
{
    (void)state;
    bench_fail_each(
        DEPLOY_CREATE, CREATE(""),
        STEPS({INSPECT, 404, ""}, {VOLUME, 404, ""}, {MAKE_VOLUME, 201, ""}, {MAKE, 201, CREATED}));
    /* as recorded: the image was not pulled */
    bench_says(
        DEPLOY_CREATE, CREATE(""),
        STEPS({INSPECT, 404, ""}, {VOLUME, 200, "{}"}, {MAKE, 404, MESSAGE("No such image: i:1")}),
        503, "Error creating container 'nc_app_a': Status 404", "No such image: i:1");
    bench_says(DEPLOY_CREATE, CREATE(""), STEPS({INSPECT, 404, ""}, {VOLUME, 200, "no JSON"}), 503,
               "Error inspecting volume 'nc_app_a_data': Status 200", NOT_UNDERSTOOD);
    bench_says(DEPLOY_CREATE, CREATE(""),
               STEPS({INSPECT, 404, ""}, {VOLUME, 404, ""}, {MAKE_VOLUME, 409, MESSAGE("x")}), 503,
               "Failed to create volume 'nc_app_a_data': Status 409", "x");
}

static void an_answer_without_an_id_is_none(void **state)
{
    static const char *const rows[] = {"", "x", "{}", "{\"Id\":5}", "{\"id\":\"a\"}", "[\"Id\"]"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bench_start(DEPLOY_CREATE, CREATE(""));
        stub_step(INSPECT, 404, "");
        stub_step(VOLUME, 200, "{}");
        stub_step(MAKE, 201, rows[i]);
        bench_ended(503, "Error creating container 'nc_app_a': Status 201");
    }
}

/* ---- the container ---- */

static void what_was_recorded_from_appapi_becomes_this(void **state)
{
    static const char recorded[] =
        "{\"name\": \"a\", \"instance_id\": \"\", \"image_id\": \"i:1\", \"network_mode\": "
        "\"host\", "
        "\"environment_variables\": [\"AA_VERSION=34.0.0\", \"APP_SECRET=3rd/xNe32Ze5+O2+HC\", "
        "\"APP_ID=a\", \"APP_DISPLAY_NAME=Test ExApp\", \"APP_VERSION=1.0.0\", "
        "\"APP_HOST=127.0.0.1\", \"APP_PORT=23000\", \"APP_PERSISTENT_STORAGE=/nc_app_a_data\", "
        "\"NEXTCLOUD_URL=http://127.0.0.1:8080\", \"COMPUTE_DEVICE=CPU\", \"HP_FRP_PORT=8782\", "
        "\"HP_SHARED_KEY=" KEY "\"], \"restart_policy\": \"unless-stopped\", "
        "\"compute_device\": \"cpu\", \"mount_points\": [], \"start_container\": true}";
    static const char want[] = CONTAINER(
        HOST("host", "", "unless-stopped", ""),
        "\"AA_VERSION=34.0.0\",\"APP_SECRET=3rd/xNe32Ze5+O2+HC\",\"APP_ID=a\","
        "\"APP_DISPLAY_NAME=Test ExApp\",\"APP_VERSION=1.0.0\",\"APP_HOST=127.0.0.1\","
        "\"APP_PORT=23000\",\"APP_PERSISTENT_STORAGE=/nc_app_a_data\","
        "\"NEXTCLOUD_URL=http://127.0.0.1:8080\",\"COMPUTE_DEVICE=CPU\",\"HP_FRP_PORT=8782\","
        "\"HP_SHARED_KEY=%s\"",
        "");
    char token[APP_TOKEN_SIZE], text[4096];
    (void)state;
    assert_int_equal(app_token_make(token, STR(KEY), STR("nc_app_a"), STR("a"), 23000), 0);
    struct engine_call *c = begin(recorded);
    snprintf(text, sizeof(text), want, token);
    assert_string_equal(c->body, text);
    assert_null(strstr(c->body, KEY));
    end(c);
    assert_null(strstr(bench_log(), KEY));
    assert_null(strstr(bench_log(), token));
}

static void mounts_and_limits_are_those_asked_for(void **state)
{
    (void)state;
    struct engine_call *c = begin(CREATE(
        ",\"restart_policy\":\"always\",\"resource_limits\":{\"memory\":67108864,"
        "\"nanoCPUs\":500000000},\"mount_points\":[{\"source\":\"/tmp\",\"target\":\"/mnt/t\","
        "\"mode\":\"ro\"},{\"source\":\"/a\",\"target\":\"/b\",\"mode\":\"rw\"},"
        "{\"source\":\"/\\u00e9\\\"\",\"target\":\"/<\"}]"));
    assert_string_equal(
        c->body,
        CONTAINER(HOST("bridge",
                       ",{\"Type\":\"bind\",\"Source\":\"/tmp\",\"Target\":\"/mnt/t\",\"ReadOnly\":"
                       "true},{\"Type\":\"bind\",\"Source\":\"/a\",\"Target\":\"/b\",\"ReadOnly\":"
                       "false},{\"Type\":\"bind\",\"Source\":\"/\xc3\xa9\\\"\",\"Target\":"
                       "\"/\\u003c\",\"ReadOnly\":false}",
                       "always", ",\"Memory\":67108864,\"NanoCPUs\":500000000"),
                  "", ""));
    end(c);
    c = begin(
        CREATE(",\"restart_policy\":\"\",\"resource_limits\":{\"memory\":0,\"nanoCPUs\":\"7\"}"));
    assert_string_equal(c->body, CONTAINER(HOST("bridge", "", "", ",\"NanoCPUs\":7"), "", ""));
    end(c);
}

static void devices_are_those_of_the_compute_device(void **state)
{
    (void)state;
    struct engine_call *c = begin(CREATE(",\"compute_device\":\"cuda\""));
    assert_string_equal(c->body,
                        CONTAINER(HOST("bridge", "", "unless-stopped",
                                       ",\"DeviceRequests\":[{\"Driver\":\"nvidia\",\"Count\":-1,"
                                       "\"Capabilities\":[[\"compute\",\"utility\"]]}]"),
                                  "", ""));
    end(c);
    c = begin(CREATE(",\"compute_device\":\"rocm\",\"resource_limits\":{\"memory\":1}"));
    assert_string_equal(
        c->body, CONTAINER(HOST("bridge", "", "unless-stopped",
                                ",\"Devices\":[{\"PathOnHost\":\"/dev/kfd\",\"PathInContainer\":"
                                "\"/dev/kfd\",\"CgroupPermissions\":\"rwm\"},{\"PathOnHost\":"
                                "\"/dev/dri\",\"PathInContainer\":\"/dev/dri\","
                                "\"CgroupPermissions\":\"rwm\"}],\"Memory\":1"),
                           "", ""));
    end(c);
}

static void a_network_of_its_own_knows_the_app_by_name(void **state)
{
    static const char *const built_in[] = {"host", "bridge", "none", "default"};
    char json[256];
    (void)state;
    struct engine_call *c = begin(CREATE(",\"network_mode\":\"ncnet\""));
    assert_string_equal(
        c->body, CONTAINER(HOST("ncnet", "", "unless-stopped", ""), "",
                           ",\"NetworkingConfig\":{\"EndpointsConfig\":{\"ncnet\":{\"Aliases\":"
                           "[\"a\"]}}}"));
    end(c);
    for (size_t i = 0; i < ARRAY_LEN(built_in); i++) {
        snprintf(json, sizeof(json), CREATE(",\"network_mode\":\"%s\""), built_in[i]);
        c = begin(json);
        assert_null(strstr(c->body, "NetworkingConfig"));
        end(c);
    }
}

/* ---- the environment ---- */

/* Entry i of what the engine got. */
static struct str env_of(const struct json_doc *doc, size_t i)
{
    const struct json_node *n = json_first(json_get(json_root(doc), "Env"));
    struct str s = {"", 0};
    while (n && i-- > 0) {
        n = json_next(n);
    }
    assert_int_equal(json_str(n, &s), 0);
    return s;
}

static void check_token(struct str entry, const char *container, const char *appid, uint16_t port)
{
    static const char name[] = "HP_SHARED_KEY=";
    struct app_token t;
    assert_true(entry.n > sizeof(name) - 1);
    assert_memory_equal(entry.p, name, sizeof(name) - 1);
    struct str token = {entry.p + sizeof(name) - 1, entry.n - (sizeof(name) - 1)};
    assert_int_equal(app_token_read(&t, STR(KEY), token), 0);
    assert_string_equal(t.container, container);
    assert_string_equal(t.appid, appid);
    assert_int_equal(t.port, port);
}

static void the_token_is_that_of_app_and_port(void **state)
{
    static const struct {
        const char *env; /* before the key */
        const char *appid;
        uint16_t port;
    } rows[] = {
        {"\"APP_ID=x\",\"APP_PORT=23999\",", "x", 23999},
        {"\"APP_PORT=23000\",\"APP_ID=My_App\",", "My_App", 23000},
        {"\"APP_ID=x\",", "x", 0},
        {"\"APP_PORT=23001\",", "a", 23001},
        {"", "a", 0},
        {"\"APP_ID=\",\"APP_PORT=\",", "a", 0},
        {"\"APP_ID=../x\",\"APP_PORT=22\",", "a", 0},
        {"\"APP_ID=x~y\",\"APP_PORT=24000\",", "a", 0},
        {"\"APP_PORT=22999\",", "a", 0},
        {"\"APP_PORT=023000\",", "a", 0},
        {"\"APP_PORT=23000 \",", "a", 0},
        {"\"APP_ID=x\",\"APP_ID=y\",\"APP_PORT=23001\",\"APP_PORT=23002\",", "x", 23001},
    };
    char json[512];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(json, sizeof(json),
                 CREATE(",\"environment_variables\":[%s\"HP_SHARED_KEY=" KEY "\"]"), rows[i].env);
        struct engine_call *c = begin(json);
        struct json_doc *doc = json_parse(c->body, c->n, NULL, NULL, 0);
        size_t n = json_count(json_get(json_root(doc), "Env"));
        check_token(env_of(doc, n - 1), "nc_app_a", rows[i].appid, rows[i].port);
        json_free(doc);
        end(c);
    }
}

/* Of a role its own name stands in the token; its port and app are the same. */
static void the_token_is_that_of_the_container(void **state)
{
    (void)state;
    bench_start(DEPLOY_CREATE,
                "{\"name\":\"a\",\"instance_id\":\"oc\",\"role_suffix\":\"web\",\"image_id\":\"i\","
                "\"environment_variables\":[\"HP_SHARED_KEY=\",\"APP_PORT=23000\"]}");
    stub_step("GET /containers/nc_app_oc_a_web/json", 404, "");
    stub_step("GET /volumes/nc_app_oc_a_data", 200, "{}");
    struct engine_call *c = stub_expect("POST /containers/create?name=nc_app_oc_a_web");
    struct json_doc *doc = json_parse(c->body, c->n, NULL, NULL, 0);
    check_token(env_of(doc, 0), "nc_app_oc_a_web", "a", 23000);
    assert_non_null(
        strstr(c->body, "\"Source\":\"nc_app_oc_a_data\",\"Target\":\"/nc_app_oc_a_data\""));
    json_free(doc);
    stub_answer(c, 201, CREATED);
    bench_ended_json(201, "{\"id\":\"0123abc\",\"name\":\"nc_app_oc_a_web\"}");
}

static void the_order_stays_and_only_the_key_is_replaced(void **state)
{
    static const char *const rows[] = {
        "A=1",
        "HP_SHARED_KEY_FILE=/x",
        "XHP_SHARED_KEY=y",
        "hp_shared_key=z",
        "HP_SHARED=x",
        NULL,
        "B=",
        "A=2",
        "C=\\n\\u00e9",
        NULL,
        "HP_SHARED_KEY =q",
        "Z==",
    };
    char json[1024] = "{\"name\":\"a\",\"image_id\":\"i:1\",\"environment_variables\":[";
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n = strlen(json);
        snprintf(json + n, sizeof(json) - n, "%s\"%s\"", i > 0 ? "," : "",
                 rows[i]  ? rows[i]
                 : i == 5 ? "HP_SHARED_KEY=" KEY
                          : "HP_SHARED_KEY=other");
    }
    strcat(json, "]}");
    struct engine_call *c = begin(json);
    struct json_doc *doc = json_parse(c->body, c->n, NULL, NULL, 0);
    assert_int_equal(json_count(json_get(json_root(doc), "Env")), ARRAY_LEN(rows));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str s = env_of(doc, i);
        if (!rows[i]) {
            check_token(s, "nc_app_a", "a", 0);
        } else {
            assert_true(str_eq(s, i == 8 ? STR("C=\n\xc3\xa9") : str_of(rows[i])));
        }
    }
    assert_null(strstr(c->body, KEY));
    assert_null(strstr(c->body, "other"));
    json_free(doc);
    end(c);
}

static void an_app_whose_token_can_not_be_made_is_not_created(void **state)
{
    char json[512], want[512], name[101];
    (void)state;
    memset(name, 'n', 100); /* no app's id is so long, and there is no APP_ID */
    name[100] = '\0';
    snprintf(json, sizeof(json),
             "{\"name\":\"%s\",\"image_id\":\"i\",\"environment_variables\":[\"HP_SHARED_KEY=k\"]}",
             name);
    bench_start(DEPLOY_CREATE, json);
    snprintf(want, sizeof(want), "GET /containers/nc_app_%s/json", name);
    stub_step(want, 404, "");
    snprintf(want, sizeof(want), "GET /volumes/nc_app_%s_data", name);
    stub_step(want, 200, "{}");
    snprintf(want, sizeof(want), "Error creating container 'nc_app_%s'", name);
    bench_ended(503, want);
    assert_string_equal(bench->told.why, "the container's configuration could not be made");
}

/* Every byte grows to six, and there is room for it. */
static void the_largest_request_becomes_a_whole_document(void **state)
{
    enum { BYTES = 400 * 1024, PATH = 4000, MOUNTS = 60 };
    static const struct json_limits limits = {.bytes = 8 * 1024 * 1024};
    static char json[1024 * 1024];
    (void)state;
    int n = snprintf(json, sizeof(json),
                     "{\"name\":\"a\",\"image_id\":\"i:1\",\"environment_variables\":["
                     "\"HP_SHARED_KEY=k\",\"A=");
    memset(json + n, '<', BYTES);
    n += BYTES;
    n += snprintf(json + n, sizeof(json) - (size_t)n, "\"],\"mount_points\":[");
    for (int i = 0; i < MOUNTS; i++) {
        n += snprintf(json + n, sizeof(json) - (size_t)n, "%s{\"source\":\"/", i > 0 ? "," : "");
        memset(json + n, '&', PATH);
        n += PATH;
        n += snprintf(json + n, sizeof(json) - (size_t)n, "\",\"target\":\"/");
        memset(json + n, '>', PATH);
        n += PATH;
        n += snprintf(json + n, sizeof(json) - (size_t)n, "\"}");
    }
    snprintf(json + n, sizeof(json) - (size_t)n, "]}");
    struct engine_call *c = begin(json);
    assert_true(c->n > 6 * (BYTES + 2 * MOUNTS * PATH));
    struct json_doc *doc = json_parse(c->body, c->n, &limits, NULL, 0);
    assert_non_null(doc);
    assert_int_equal(env_of(doc, 1).n, BYTES + 2);
    assert_int_equal(json_count(json_get(json_get(json_root(doc), "HostConfig"), "Mounts")),
                     MOUNTS + 1);
    json_free(doc);
    end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)
        TEST(the_volume_is_made_where_it_is_not_there),
        TEST(what_is_there_already_is_a_conflict),
        TEST(a_volume_of_ours_is_used),
        TEST(each_step_may_fail),
        TEST(an_answer_without_an_id_is_none),
        TEST(what_was_recorded_from_appapi_becomes_this),
        TEST(mounts_and_limits_are_those_asked_for),
        TEST(devices_are_those_of_the_compute_device),
        TEST(a_network_of_its_own_knows_the_app_by_name),
        TEST(the_token_is_that_of_app_and_port),
        TEST(the_token_is_that_of_the_container),
        TEST(the_order_stays_and_only_the_key_is_replaced),
        TEST(an_app_whose_token_can_not_be_made_is_not_created),
        TEST(the_largest_request_becomes_a_whole_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
