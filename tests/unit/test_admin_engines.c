/* The list of Docker engines for administrators: what each is asked, what is made of the answers, and that
 * nothing of them breaks the JSON. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/json/json.h"
#include "hub/admin/admin_engines.h"
#include "hub/deploy/deploy.h"
#include "hub/hub.h"
#include "hub/tunnel/tunnel_impl.h"
#include "tests/unit/engine_stub.h"
#include "tests/unit/memory_stream.h"

#define OWN "f36387c633353b47cd2ad3dd85898aab" /* of the key and the URL below */
#define PING "GET /_ping"
#define VERSION "GET /version"
#define LIST                                                                                       \
    "GET /containers/json?all=true&filters=%7B%22label%22%3A%5B%22harp.instance%3D" OWN "%22%5D%"  \
    "7D"
#define ENGINES (TUNNEL_ENGINE_LAST - TUNNEL_ENGINE_FIRST + 1)

struct fixture {
    struct hub hub;
    struct tunnels tunnels;
    struct tunnel engines[ENGINES];
    struct admin_engines *round;
    unsigned told;
    char *json;
    struct json_doc *doc;
};

static struct fixture *f;

static int set_up(void **state UNUSED)
{
    char err[256];
    f = calloc(1, sizeof(*f));
    f->hub.tunnels = &f->tunnels;
    f->hub.settings.shared_key = strdup("some_very_secure_password");
    f->hub.settings.nc_instance_url = strdup("https://cloud.example.com");
    f->hub.settings.instance_aliases = strdup("");
    f->hub.settings.docker_socket = strdup("/nonexistent/docker.sock");
    if (loop_init(&f->hub.loop, NULL) < 0) {
        return -1;
    }
    f->hub.deploys = deploys_new(&f->hub, err, sizeof(err));
    return !f->hub.deploys;
}

static int tear_down(void **state UNUSED)
{
    stub_reset();
    deploys_free(f->hub.deploys);
    loop_free(&f->hub.loop);
    free(f->hub.settings.shared_key);
    free(f->hub.settings.nc_instance_url);
    free(f->hub.settings.instance_aliases);
    free(f->hub.settings.docker_socket);
    json_free(f->doc);
    free(f->json);
    free(f);
    return 0;
}

/* An engine's tunnel comes. */
static void connect_engine(uint16_t port, const char *name)
{
    struct tunnel *t = &f->engines[port - TUNNEL_ENGINE_FIRST];
    t->port = port;
    t->since = loop_now(&f->hub.loop);
    assert_int_equal(ip_parse(STR("192.0.2.7"), &t->addr), 0);
    snprintf(t->name, sizeof(t->name), "%s", name);
    f->tunnels.ports[port - TUNNEL_APP_FIRST] = t;
}

static void done(void *owner)
{
    size_t n;
    char *json = admin_engines_json(f->round, &n);
    assert_ptr_equal(owner, f);
    f->told++;
    admin_engines_free(f->round);
    f->json = xstrndup(json, n);
    f->doc = json_parse(json, n, NULL, NULL, 0);
    free(json);
    if (!f->doc) {
        fail_msg("no JSON: %s", f->json);
    }
}

static void start(void)
{
    free(f->json);
    json_free(f->doc);
    f->json = NULL;
    f->doc = NULL;
    f->told = 0;
    f->round = admin_engines_start(&f->hub, done, f);
    assert_non_null(f->round);
    assert_int_equal(f->told, 0);
}

static void finish(void)
{
    assert_int_equal(f->told, 0); /* from the loop, not from an answer */
    loop_settle(&f->hub.loop);
    assert_int_equal(f->told, 1);
    stub_expect_none();
    assert_int_equal(stub_open(), 0);
}

/* ---- the list that came ---- */

static const struct json_node *row(unsigned i)
{
    const struct json_node *n = json_first(json_get(json_root(f->doc), "engines"));
    while (n && i-- > 0) {
        n = json_next(n);
    }
    assert_non_null(n);
    return n;
}

/* want NULL: null. */
static void assert_text(const struct json_node *row, const char *key, const char *want)
{
    struct str s = {NULL, 0};
    const struct json_node *node = json_get(row, key);
    assert_non_null(node);
    if (json_str(node, &s) == 0 ? !want || !str_eq(s, str_of(want)) : want != NULL) {
        fail_msg("%s is %.*s, not %s", key, STR_ARG(s), want ? want : "null");
    }
}

/* want -1: null. */
static void assert_number(const struct json_node *row, const char *key, int64_t want)
{
    int64_t got = -1;
    const struct json_node *node = json_get(row, key);
    assert_non_null(node);
    assert_true(json_int(node, &got) == 0 || json_type(node) == JSON_NULL);
    if (got != want) {
        fail_msg("%s is %lld, not %lld", key, (long long)got, (long long)want);
    }
}

static void assert_measured(const struct json_node *row)
{
    int64_t ms = -1;
    assert_int_equal(json_int(json_get(row, "milliseconds"), &ms), 0);
    assert_in_range(ms, 0, 600000); /* of the test's own turns */
}

/* ---- tests ---- */

static void without_engines_the_list_is_empty(void **state)
{
    (void)state;
    start();
    finish();
    assert_string_equal(f->json, "{\"instance\":\"" OWN "\",\"engines\":[]}");
}

static void an_engine_is_asked_three_times(void **state)
{
    (void)state;
    connect_engine(24003, "docker-1");
    stub_api = 41;
    start();
    struct engine_call *c = stub_expect(PING);
    assert_int_equal(c->port, 24003);
    assert_int_equal(c->timeout, ADMIN_ENGINES_MS);
    stub_answer(c, 200, "OK");
    c = stub_expect(VERSION);
    assert_int_equal(c->timeout, ADMIN_ENGINES_MS);
    stub_answer(c, 200, "{\"Version\":\"20.10.24+dfsg1\",\"ApiVersion\":\"1.41\"}");
    c = stub_expect(LIST);
    assert_int_equal(c->timeout, ADMIN_ENGINES_MS);
    stub_answer(c, 200, "[{\"Id\":\"1\"},{\"Id\":\"2\"},{}]");
    finish();
    assert_text(json_root(f->doc), "instance", OWN);
    const struct json_node *r = row(0);
    assert_int_equal(json_count(r), 9);
    assert_number(r, "port", 24003);
    assert_text(r, "name", "docker-1");
    assert_text(r, "address", "192.0.2.7");
    assert_text(r, "version", "20.10.24+dfsg1");
    assert_number(r, "api", 41);
    assert_number(r, "containers", 3);
    assert_text(r, "error", NULL);
    assert_measured(r);
}

static void the_hubs_own_has_no_tunnel(void **state)
{
    (void)state;
    free(f->hub.settings.docker_socket);
    f->hub.settings.docker_socket = strdup("/dev/null"); /* something that is there */
    connect_engine(24000, "shadowed");
    start();
    stub_step(PING, 200, "OK");
    stub_step(VERSION, 200, "{\"Version\":\"29.0.0\"}");
    stub_step(LIST, 200, "[]");
    finish();
    const struct json_node *r = row(0);
    assert_number(r, "port", 24000);
    assert_text(r, "name", NULL);
    assert_text(r, "address", "local");
    assert_number(r, "seconds", -1);
    assert_number(r, "api", -1);
    assert_number(r, "containers", 0);
    assert_int_equal(json_count(json_get(json_root(f->doc), "engines")), 1);
}

static void a_tunnels_age_is_told_in_seconds(void **state)
{
    (void)state;
    connect_engine(24001, "");
    f->hub.loop.uv.time += 4711999;
    start();
    stub_fail(stub_expect(PING), HOP_TUNNEL, false, "x");
    /* The loop's clock is the real one again as soon as it runs, so no turn is made before the list. */
    struct loop_task *over = f->hub.loop.tasks.next;
    loop_cancel(over);
    over->run(over);
    assert_int_equal(f->told, 1);
    assert_number(row(0), "seconds", 4711);
    assert_text(row(0), "name", NULL);
}

static void what_fails_has_its_reason_in_the_row(void **state)
{
    static const char *const whats[] = {PING, VERSION, LIST};
    static const char *const good[] = {"OK", "{\"Version\":\"1\"}", "[]"};
    (void)state;
    connect_engine(24001, "a");
    for (int at = 0; at < 3; at++) {
        for (int way = 0; way < 4; way++) {
            start();
            for (int i = 0; i < at; i++) {
                stub_step(whats[i], 200, good[i]);
            }
            struct engine_call *c = stub_expect(whats[at]);
            if (way < 2) {
                stub_fail(c, way == 0 ? HOP_TUNNEL : HOP_ENGINE, way == 1, "it is gone");
            } else {
                stub_answer(c, way == 2 ? 500 : 404, "{\"message\":\"secret\"}");
            }
            finish();
            assert_text(row(0), "error",
                        way == 0   ? "tunnel: it is gone"
                        : way == 1 ? "Docker engine: it is gone"
                        : way == 2 ? "it answered 500"
                                   : "it answered 404");
            assert_text(row(0), "version", at == 2 ? "1" : NULL);
            assert_number(row(0), "containers", -1);
            if (at == 2) {
                assert_measured(row(0));
            } else {
                assert_number(row(0), "milliseconds", -1);
            }
        }
    }
}

static void odd_answers_are_no_numbers(void **state)
{
    static const char *const versions[] = {
        "", "x", "{}", "[]", "{\"Version\":5}", "{\"Version\":\"\"}"};
    static const char *const lists[] = {"", "x", "{}", "null", "\"[]\"", "[", "[],"};
    (void)state;
    connect_engine(24001, "a");
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        start();
        stub_step(PING, 200, "");
        stub_step(VERSION, 200, versions[i]);
        stub_step(LIST, 200, "[5,null]");
        finish();
        assert_text(row(0), "version", NULL);
        assert_number(row(0), "containers", 2);
        assert_text(row(0), "error", NULL);
    }
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        start();
        stub_step(PING, 200, "");
        stub_step(VERSION, 200, "{\"Version\":\"1\"}");
        stub_step(LIST, 200, lists[i]);
        finish();
        assert_number(row(0), "containers", -1);
        assert_text(row(0), "error", "it answered 200");
    }
}

/* Other words of an engine's are not for the page. */
static void what_a_filter_refuses_is_told(void **state)
{
    static const struct {
        int status;
        const char *body, *error;
    } rows[] = {
        {403, "{\"message\":\"refused by policy: GET containers/json: not an allowed call\"}",
         "it answered 403: refused by policy: GET containers/json: not an allowed call"},
        {403, "{\"message\":\"refused by policy: a\\u0007\xc3\xa4\"}",
         "it answered 403: refused by policy: a ??"},
        {500, "{\"message\":\"refused by policy: x\"}", "it answered 500"},
        {403, "{\"message\":\"secret refused by policy: x\"}", "it answered 403"},
        {403, "{\"message\":7}", "it answered 403"},
        {403, "", "it answered 403"},
    };
    (void)state;
    connect_engine(24001, "a");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        start();
        stub_step(PING, 200, "OK");
        stub_step(VERSION, 200, "{\"Version\":\"1\"}");
        stub_step(LIST, rows[i].status, rows[i].body);
        finish();
        assert_text(row(0), "error", rows[i].error);
    }
}

static void hostile_texts_arrive_printable(void **state)
{
    (void)state;
    connect_engine(24001, "a b\n\x1b[31m\"\\<\xc3\xa9\xff");
    start();
    stub_step(PING, 200, "");
    stub_step(VERSION, 200, "{\"Version\":\"1 2\\n\\u001b\\\"<\\u00e9\\u0000x\"}");
    stub_step(LIST, 200, "[]");
    finish();
    assert_text(row(0), "name", "a?b??[31m\"\\<???");
    assert_text(row(0), "version", "1?2??\"<???x");
    start();
    stub_fail(stub_expect(PING), HOP_ENGINE, false, "a b\n\xff\xc3\xa9\"<");
    finish();
    assert_text(row(0), "error", "Docker engine: a b????\"<");
}

/* All engines that there can be, with the longest texts of what grows most: the order of the answers is no
 * matter. */
static void a_hundred_engines_fit(void **state)
{
    static char name[TUNNEL_NAME_MAX + 1], why[1000], version[200];
    struct engine_call *calls[ENGINES];
    (void)state;
    memset(name, '<', TUNNEL_NAME_MAX);
    memset(why, '&', sizeof(why) - 1);
    snprintf(version, sizeof(version), "{\"Version\":\"%s\"}", name);
    for (unsigned i = 0; i < ENGINES; i++) {
        connect_engine((uint16_t)(TUNNEL_ENGINE_FIRST + i), name);
    }
    stub_api = 999;
    start();
    for (unsigned i = 0; i < ENGINES; i++) {
        calls[i] = stub_expect(PING);
        assert_int_equal(calls[i]->port, TUNNEL_ENGINE_FIRST + i);
    }
    stub_expect_none();
    for (unsigned i = 0; i < ENGINES; i++) {
        unsigned k = i * 37 % ENGINES;
        assert_int_equal(f->told, 0);
        stub_answer(calls[k], 200, "OK");
        calls[k] = stub_expect(VERSION);
    }
    for (unsigned i = ENGINES; i-- > 0;) {
        stub_answer(calls[i], 200, version);
        calls[i] = stub_expect(LIST);
    }
    for (unsigned i = 0; i < ENGINES; i++) {
        stub_fail(calls[i], HOP_ENGINE, true, why);
    }
    finish();
    assert_int_equal(json_count(json_get(json_root(f->doc), "engines")), ENGINES);
    for (unsigned i = 0; i < ENGINES; i++) {
        struct str s;
        assert_number(row(i), "port", TUNNEL_ENGINE_FIRST + i);
        assert_text(row(i), "name", name);
        assert_int_equal(json_str(json_get(row(i), "version"), &s), 0);
        assert_int_equal(s.n, 63);
        assert_int_equal(json_str(json_get(row(i), "error"), &s), 0);
        assert_int_equal(s.n, strlen("Docker engine: ") + 280);
    }
}

static void cancelled_anywhere_it_says_nothing(void **state)
{
    (void)state;
    for (int stage = 0; stage < 6; stage++) {
        connect_engine(24001, "a");
        connect_engine(24002, "b");
        start();
        struct engine_call *a = stub_expect(PING), *b = stub_expect(PING);
        if (stage > 0) {
            stub_answer(a, 200, "OK");
            a = stub_expect(VERSION);
        }
        if (stage > 1) {
            stub_answer(b, 500, "");
        }
        if (stage > 2) {
            stub_answer(a, 200, "{}");
            a = stub_expect(LIST);
        }
        if (stage > 3) {
            stub_answer(a, 200, "[]"); /* all are there, but it was not told yet */
        }
        admin_engines_free(f->round);
        assert_int_equal(stub_open(), 0);
        loop_settle(&f->hub.loop);
        assert_int_equal(f->told, 0);
    }
    f->tunnels.ports[24001 - TUNNEL_APP_FIRST] = f->tunnels.ports[24002 - TUNNEL_APP_FIRST] = NULL;
    start();
    admin_engines_free(f->round); /* with nothing to ask */
    loop_settle(&f->hub.loop);
    assert_int_equal(f->told, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(without_engines_the_list_is_empty),
        TEST(an_engine_is_asked_three_times),
        TEST(the_hubs_own_has_no_tunnel),
        TEST(a_tunnels_age_is_told_in_seconds),
        TEST(what_fails_has_its_reason_in_the_row),
        TEST(odd_answers_are_no_numbers),
        TEST(what_a_filter_refuses_is_told),
        TEST(hostile_texts_arrive_printable),
        TEST(a_hundred_engines_fit),
        TEST(cancelled_anywhere_it_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
