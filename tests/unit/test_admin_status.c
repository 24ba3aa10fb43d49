/* The status for administrators: what each section says of what is there, which verdict and remedy that gets, what
 * comes first where not all is listed, and that nothing breaks the JSON. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/access/bans.h"
#include "common/base/buf.h"
#include "common/json/json.h"
#include "hub/access/exapps.h"
#include "hub/access/nextcloud.h"
#include "hub/access/nextcloud_check.h"
#include "hub/admin/admin_status.h"
#include "hub/admin/admin_status_impl.h"
#include "hub/admin/admin_text.h"
#include "hub/client/frontend.h"
#include "hub/deploy/deploy.h"
#include "hub/hub.h"
#include "hub/tunnel/tunnel_impl.h"
#include "tests/unit/engine_stub.h"
#include "tests/unit/memory_stream.h"

enum { ENGINES = TUNNEL_ENGINE_LAST - TUNNEL_ENGINE_FIRST + 1, TUNNELS = 400 };

struct fixture {
    struct hub hub;
    struct frontend frontend;
    struct tunnels tunnels;
    struct tunnel tunnel[TUNNELS];
    struct tunnel_gone gone[TUNNELS];
    unsigned n_tunnels, n_gone;
    struct nextcloud_checks *checks;
    struct admin_status *round;
    unsigned told;
    struct json_doc *doc;
};

static struct fixture *f;

static void open_nextcloud(const char *url)
{
    char err[256];
    free(f->hub.settings.nc_instance_url);
    f->hub.settings.nc_instance_url = strdup(url);
    nextcloud_free(f->hub.nextcloud);
    f->hub.nextcloud = nextcloud_new(&f->hub, err, sizeof(err));
    assert_non_null(f->hub.nextcloud);
}

static int set_up(void **state UNUSED)
{
    char err[256];
    f = calloc(1, sizeof(*f));
    f->hub.tunnels = &f->tunnels;
    f->hub.frontend = &f->frontend;
    f->tunnels.hub = &f->hub;
    tunnel_link_init(&f->tunnels.sessions);
    f->hub.settings.shared_key = strdup("some_very_secure_password");
    f->hub.settings.nextcloud_ca_file = f->hub.settings.nextcloud_proxy = (char *)"";
    f->hub.settings.instance_aliases = (char *)"";
    f->hub.settings.docker_socket = (char *)"/nonexistent/docker.sock";
    f->hub.settings.certs_dir = (char *)"/nonexistent";
    f->hub.settings.exapp_lifetime = 60000;
    if (loop_init(&f->hub.loop, NULL) < 0) {
        return -1;
    }
    f->hub.since = loop_now(&f->hub.loop);
    open_nextcloud("");
    f->hub.bans = bans_new(2, 300000, NULL);
    f->hub.exapps = exapps_new(&f->hub);
    f->hub.deploys = deploys_new(&f->hub, err, sizeof(err));
    f->checks = nextcloud_checks_new(&f->hub);
    return !f->hub.deploys || !f->hub.exapps || !f->hub.bans;
}

static int tear_down(void **state UNUSED)
{
    stub_reset();
    nextcloud_checks_free(f->checks);
    deploys_free(f->hub.deploys);
    exapps_free(f->hub.exapps);
    nextcloud_free(f->hub.nextcloud);
    bans_free(f->hub.bans);
    loop_free(&f->hub.loop);
    free(f->hub.settings.shared_key);
    free(f->hub.settings.nc_instance_url);
    json_free(f->doc);
    free(f);
    return 0;
}

/* ---- what is there ---- */

/* A session; port 0: without a proxy. */
static struct tunnel *tunnel(uint16_t port, const char *name)
{
    struct tunnel *t = &f->tunnel[f->n_tunnels++];
    t->ts = &f->tunnels;
    t->port = port;
    t->since = loop_now(&f->hub.loop);
    assert_int_equal(ip_parse(STR("192.0.2.7"), &t->addr), 0);
    snprintf(t->name, sizeof(t->name), "%s", name);
    tunnel_link_add(&f->tunnels.sessions, &t->link);
    if (port != 0) {
        f->tunnels.ports[port - TUNNEL_APP_FIRST] = t;
    }
    return t;
}

/* Was one until now. */
static void gone(uint16_t port, const char *name)
{
    struct tunnel_gone *g = &f->gone[f->n_gone++];
    g->at = loop_now(&f->hub.loop);
    snprintf(g->name, sizeof(g->name), "%s", name);
    f->tunnels.gone[port - TUNNEL_APP_FIRST] = g;
}

static void push(const char *id, const char *version, const char *host, uint16_t port)
{
    struct exapp_meta m = {.port = port, .nroutes = 1};
    m.id = xstrndup(id, strlen(id));
    m.token = xstrndup("hush-token", 10);
    m.version = xstrndup(version, strlen(version));
    m.host = xstrndup(host, strlen(host));
    m.routes = xcalloc(1, sizeof(*m.routes));
    m.routes[0].url = xstrndup("^/", 2);
    assert_int_equal(exapps_push(f->hub.exapps, &m), 0);
}

static void fail_times(const char *address, unsigned n)
{
    struct ip_addr ip;
    assert_int_equal(ip_parse(str_of(address), &ip), 0);
    for (unsigned i = 0; i < n; i++) {
        bans_failure(f->hub.bans, &ip, loop_now(&f->hub.loop), "x", NULL);
    }
}

/* ---- a round ---- */

static void done(void *owner, char *json, size_t n)
{
    static const struct json_limits limits = {.nodes = 100000, .bytes = 8 << 20};
    char err[128] = "";
    assert_ptr_equal(owner, f);
    f->told++;
    f->doc = json_parse(json, n, &limits, err, sizeof(err));
    if (!f->doc) {
        fail_msg("no JSON of %zu bytes: %s", n, err);
    }
    assert_null(memmem(json, n, "hush", 4));
    assert_null(memmem(json, n, "some_very_secure", 16));
    free(json);
}

static void start(void)
{
    json_free(f->doc);
    f->doc = NULL;
    f->told = 0;
    f->round = admin_status_start(&f->hub, f->checks, done, f);
    assert_non_null(f->round);
    assert_int_equal(f->told, 0);
}

static void finish(void)
{
    assert_int_equal(f->told, 0);
    loop_settle(&f->hub.loop);
    assert_int_equal(f->told, 1);
}

/* With engines that answer. */
static void look(unsigned engines)
{
    start();
    for (unsigned i = 0; i < engines; i++) {
        stub_step("GET /_ping", 200, "OK");
        stub_step("GET /version", 200, "{\"Version\":\"20.10.24\"}");
        stub_answer(&stub_calls[stub_seen], 200, "[]");
        stub_seen++;
    }
    finish();
}

static const struct json_node *section(const char *name)
{
    const struct json_node *s = json_get(json_root(f->doc), name);
    assert_int_equal(json_type(s), JSON_OBJECT);
    return s;
}

static const struct json_node *row(const char *name, const char *rows, unsigned i)
{
    const struct json_node *n = json_first(json_get(section(name), rows));
    while (n && i-- > 0) {
        n = json_next(n);
    }
    assert_non_null(n);
    return n;
}

/* want NULL: null. */
static void assert_text(const struct json_node *object, const char *key, const char *want)
{
    struct str s = {NULL, 0};
    const struct json_node *node = json_get(object, key);
    assert_non_null(node);
    if (json_str(node, &s) == 0 ? !want || !str_eq(s, str_of(want)) : want != NULL) {
        fail_msg("%s is %.*s, not %s", key, STR_ARG(s), want ? want : "null");
    }
}

static void assert_number(const struct json_node *object, const char *key, int64_t want)
{
    int64_t got = -1;
    assert_int_equal(json_int(json_get(object, key), &got), 0);
    assert_int_equal(got, want);
}

/* Of a section: a verdict, with a remedy exactly if it is not well. */
static void assert_verdict(const char *name, const char *verdict, const char *reason)
{
    assert_text(section(name), "verdict", verdict);
    assert_text(section(name), "reason", reason);
    assert_int_equal(json_type(json_get(section(name), "remedy")),
                     strcmp(verdict, "ok") == 0 ? JSON_NULL : JSON_STRING);
}

/* ---- tests ---- */

static void with_nothing_there_all_is_well(void **state)
{
    static const char *const names[] = {"listening", "nextcloud", "engines",     "tunnels",
                                        "apps",      "bans",      "certificates"};
    (void)state;
    look(0);
    assert_text(json_root(f->doc), "verdict", "ok");
    assert_text(json_root(f->doc), "version", HARP_VERSION);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_verdict(names[i], "ok", NULL);
        assert_number(section(names[i]), "not_well", 0);
    }
    assert_text(section("nextcloud"), "url", NULL);
    assert_text(row("listening", "addresses", 0), "why_off", "the setting is 'off'");
}

static void a_listener_that_should_be_open_is_wrong_and_not_healthy(void **state)
{
    (void)state;
    assert_true(admin_healthy(&f->hub));
    f->frontend.http_at.kind = LISTEN_TCP;
    assert_false(admin_healthy(&f->hub));
    look(0);
    assert_verdict("listening", "wrong", "HP_EXAPPS_ADDRESS: it is not open: the hub stops");
    assert_text(json_root(f->doc), "verdict", "wrong");
    f->frontend.http_at.kind = LISTEN_OFF;
    f->hub.settings.frp_address.kind = LISTEN_TCP;
    assert_false(admin_healthy(&f->hub));
    f->hub.settings.frp_address.kind = LISTEN_OFF;
    f->hub.stopping = true;
    assert_false(admin_healthy(&f->hub));
}

static void engines_that_answer_and_do_not(void **state)
{
    (void)state;
    tunnel(24001, "one");
    tunnel(24002, "two");
    start();
    struct engine_call *a = stub_expect("GET /_ping"), *b = stub_expect("GET /_ping");
    stub_fail(b, HOP_ENGINE, false, "it is gone");
    stub_answer(a, 200, "OK");
    stub_step("GET /version", 200, "{\"Version\":\"20.10.24\"}");
    stub_answer(&stub_calls[stub_seen], 403, "{\"message\":\"refused by policy: x\"}");
    finish();
    assert_verdict("engines", "wrong", "24002 two: Docker engine: it is gone");
    assert_text(row("engines", "engines", 0), "verdict", "unsure");
    assert_text(row("engines", "engines", 0), "reason", "it answered 403: refused by policy: x");
    assert_text(row("engines", "engines", 0), "login", "the shared key");
    assert_text(row("engines", "engines", 1), "verdict", "wrong");
}

static void an_engine_that_was_there_is_told_for_a_day(void **state)
{
    (void)state;
    gone(24003, "three");
    gone(24005, "five");
    tunnel(24005, "five"); /* back again */
    look(1);
    assert_verdict("engines", "wrong", "24003 three: its tunnel ended 0 s ago");
    assert_int_equal(json_count(json_get(section("engines"), "engines")), 2);
    assert_number(row("engines", "engines", 0), "port", 24003);
    assert_text(row("engines", "engines", 1), "verdict", "ok");
    f->gone[0].at -= TUNNEL_GONE_MS;
    look(1);
    assert_verdict("engines", "ok", NULL);
}

static void the_hubs_own_engine_that_was_there_is_told(void **state)
{
    (void)state;
    f->hub.local_engine_seen = true;
    look(0);
    assert_verdict("engines", "wrong", "24000: there is no socket at HP_DOCKER_SOCKET any more");
    assert_text(row("engines", "engines", 0), "address", "local");
}

static void a_nextcloud_without_any_engine_may_be_meant_so(void **state)
{
    (void)state;
    open_nextcloud("http://127.0.0.1:1");
    uint64_t now = loop_now(&f->hub.loop);
    nextcloud_fact_set(&f->hub.facts.answered, now, "x");
    nextcloud_fact_set(&f->hub.facts.accepted, now, "x");
    look(0);
    assert_text(section("engines"), "verdict", "unsure");
    assert_verdict("nextcloud", "ok", NULL);
    assert_text(json_root(f->doc), "verdict", "unsure");
}

static void a_client_that_opens_nothing_is_told_after_a_while(void **state)
{
    (void)state;
    tunnel(23005, "sample");
    struct tunnel *t = tunnel(0, "");
    look(0);
    assert_verdict("tunnels", "ok", NULL);
    t->since = loop_now(&f->hub.loop) - 3600 * 1000;
    look(0);
    assert_verdict("tunnels", "unsure",
                   "the client at 192.0.2.7: it logged in, and offers no port");
    assert_text(row("tunnels", "tunnels", 0), "verdict",
                "unsure"); /* first, though port 0 or not */
    assert_text(row("tunnels", "tunnels", 1), "name", "sample");
    assert_text(row("tunnels", "tunnels", 1), "kind", "shared_key");
    assert_number(section("tunnels"), "total", 2);
}

static void exapps_and_their_ways(void **state)
{
    (void)state;
    struct tunnel *t = tunnel(23001, "own");
    t->who.kind = TUNNEL_KIND_APP;
    snprintf(t->who.app.appid, sizeof(t->who.app.appid), "own");
    gone(23003, "lost");
    push("own", "1.0.0", "127.0.0.1", 23001);
    push("thief", "1.0.0", "localhost", 23001);
    push("lost", "2.0.0", "127.0.0.1", 23003);
    push("byhand", "1.0.0", "127.0.0.1", 23004);
    push("far", "1.0.0", "exapp.example.com", 23003);
    push("off", "1.0.0", "127.0.0.1", 23003);
    assert_int_equal(exapps_delete(f->hub.exapps, STR("off")), EXAPPS_DELETED);
    look(0);
    static const struct {
        const char *id, *state, *way, *verdict, *reason;
    } want[] = {
        {"lost", "enabled", "direct", "wrong", "its tunnel at port 23003 ended 0 s ago"},
        {"thief", "enabled", "direct", "wrong", "the tunnel at port 23001 is another ExApp's"},
        {"byhand", "enabled", "direct", "unsure",
         "no tunnel offers port 23004; requests go to that port of this host"},
        {"far", "enabled", "direct", "ok", NULL},
        {"off", "disabled", NULL, "ok", NULL},
        {"own", "enabled", "tunnel", "ok", NULL},
    };
    for (unsigned i = 0; i < ARRAY_LEN(want); i++) {
        const struct json_node *r = row("apps", "apps", i);
        assert_text(r, "id", want[i].id);
        assert_text(r, "state", want[i].state);
        assert_text(r, "way", want[i].way);
        assert_text(r, "verdict", want[i].verdict);
        assert_text(r, "reason", want[i].reason);
    }
    assert_verdict("apps", "wrong", "lost: its tunnel at port 23003 ended 0 s ago");
    assert_number(section("apps"), "not_well", 2);
    assert_number(section("apps"), "total", 6);
}

/* Each of what Nextcloud showed last, and the verdict of it. */
static void what_was_seen_of_nextcloud(void **state)
{
    enum { ANSWERED = 1, FAILED = 2, ACCEPTED = 4, REFUSED = 8, CALLED = 16, OTHER = 32 };
    static const struct {
        unsigned first, then; /* facts; the second ones are later */
        const char *key, *verdict;
    } rows[] = {
        {ANSWERED, 0, "unknown", "unsure"},
        {ANSWERED | ACCEPTED, 0, "accepted", "ok"},
        {ANSWERED, CALLED, "accepted", "ok"},
        {ANSWERED | OTHER, 0, "unknown", "unsure"},
        {ANSWERED | CALLED, OTHER, "accepted", "ok"},
        {ANSWERED | ACCEPTED, REFUSED, "refused", "wrong"},
        {ANSWERED | CALLED, REFUSED, "refused", "wrong"},
        {ANSWERED | REFUSED, ACCEPTED, "accepted", "ok"},
        {ANSWERED | ACCEPTED, FAILED, "accepted", "wrong"},
        {FAILED, ANSWERED | ACCEPTED, "accepted", "ok"},
        {FAILED, 0, "unknown", "wrong"},
    };
    (void)state;
    open_nextcloud("http://127.0.0.1:1");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct nextcloud_facts *facts = &f->hub.facts;
        struct nextcloud_fact *all[] = {&facts->answered, &facts->failed, &facts->accepted,
                                        &facts->refused,  &facts->called, &facts->other_key};
        uint64_t now = loop_now(&f->hub.loop);
        char text[STATUS_SECTION_MAX];
        struct json_out o;
        memset(facts, 0, sizeof(*facts));
        for (unsigned k = 0; k < ARRAY_LEN(all); k++) {
            if ((rows[i].first | rows[i].then) & 1U << k) {
                nextcloud_fact_set(all[k], rows[i].first & 1U << k ? now - 7000 : now - 3000, "%s",
                                   "198.51.100.1");
            }
        }
        json_out_init(&o, text, sizeof(text));
        json_out_object(&o);
        status_nextcloud(&o, &f->hub);
        json_out_object_end(&o);
        json_free(f->doc);
        f->doc = json_parse(text, (size_t)json_out_end(&o), NULL, NULL, 0);
        assert_text(section("nextcloud"), "key", rows[i].key);
        assert_text(section("nextcloud"), "verdict", rows[i].verdict);
        assert_int_equal(json_type(json_get(section("nextcloud"), "remedy")),
                         strcmp(rows[i].verdict, "ok") == 0 ? JSON_NULL : JSON_STRING);
        if (rows[i].first & OTHER) {
            struct str reason;
            assert_int_equal(json_str(json_get(section("nextcloud"), "reason"), &reason), 0);
            assert_non_null(memmem(reason.p, reason.n, "198.51.100.1", 12));
            assert_number(json_get(section("nextcloud"), "other_key_called"), "seconds", 7);
        }
    }
}

static void bans_of_strangers_and_of_those_in_front(void **state)
{
    (void)state;
    fail_times("192.0.2.1", 1);
    look(0);
    assert_verdict("bans", "ok", NULL);
    assert_number(section("bans"), "clients_with_failures", 1);
    fail_times("192.0.2.2", 2);
    look(0);
    assert_verdict("bans", "unsure", "192.0.2.2 is banned: it is shut out");
    assert_number(row("bans", "banned", 0), "failures", 2);
    nextcloud_fact_set(&f->hub.facts.called, 1, "192.0.2.2");
    look(0);
    assert_text(section("bans"), "verdict", "wrong");
    for (unsigned i = 0; i < 2 * ADMIN_STATUS_BANNED; i++) {
        char address[32];
        snprintf(address, sizeof(address), "2001:db8:%x::1", i);
        fail_times(address, 2);
    }
    fail_times("127.0.0.1", 2);
    look(0);
    assert_text(section("bans"), "verdict", "wrong");
    assert_number(section("bans"), "not_well", 2);
    assert_number(section("bans"), "total", 2 * ADMIN_STATUS_BANNED + 2);
    assert_int_equal(json_count(json_get(section("bans"), "banned")), ADMIN_STATUS_BANNED);
}

static void of_too_many_those_that_are_not_well_come_first(void **state)
{
    char id[16];
    (void)state;
    for (unsigned i = 0; i < ADMIN_STATUS_ROWS + 50; i++) {
        snprintf(id, sizeof(id), "app%03u", i);
        push(id, "1.0.0", "far.example.com", 23000);
    }
    gone(23999, "zzz");
    push("zzz", "1.0.0", "127.0.0.1", 23999);
    for (unsigned i = 0; i < ADMIN_STATUS_ROWS + 1; i++) {
        tunnel((uint16_t)(23000 + i), "t");
    }
    look(0);
    assert_text(row("apps", "apps", 0), "id", "zzz");
    assert_text(row("apps", "apps", 1), "id", "app000");
    assert_int_equal(json_count(json_get(section("apps"), "apps")), ADMIN_STATUS_ROWS);
    assert_number(section("apps"), "total", ADMIN_STATUS_ROWS + 51);
    assert_int_equal(json_count(json_get(section("tunnels"), "tunnels")), ADMIN_STATUS_ROWS);
    assert_number(section("tunnels"), "total", ADMIN_STATUS_ROWS + 1);
    bool more;
    assert_int_equal(json_bool(json_get(section("apps"), "more"), &more), 0);
    assert_true(more);
}

/* The longest of all, which JSON makes six times as long. */
static void the_largest_document_fits(void **state)
{
    static char name[TUNNEL_NAME_MAX + 1], why[1000], version[EXAPP_VERSION_MAX + 1], host[254];
    char id[EXAPP_ID_MAX + 1];
    (void)state;
    memset(name, '<', TUNNEL_NAME_MAX);
    memset(why, '&', sizeof(why) - 1);
    memset(version, '<', EXAPP_VERSION_MAX);
    memset(host, 'h', sizeof(host) - 1);
    memset(id, 'i', EXAPP_ID_MAX);
    id[EXAPP_ID_MAX] = '\0';
    for (unsigned i = 0; i < ADMIN_STATUS_ROWS + 10; i++) {
        struct tunnel *t = tunnel((uint16_t)(23000 + i), name);
        t->who.kind = TUNNEL_KIND_ENGINE;
        memset(t->who.certificate, '<', CERTS_CN_MAX);
        t->who.certificate[CERTS_CN_MAX] = '\0';
        id[0] = (char)('a' + i / 26);
        id[1] = (char)('a' + i % 26);
        push(id, version, host, 65535);
    }
    for (unsigned i = 0; i < ENGINES; i++) {
        tunnel((uint16_t)(TUNNEL_ENGINE_FIRST + i), name);
    }
    start();
    for (unsigned i = 0; i < ENGINES; i++) {
        stub_fail(stub_expect("GET /_ping"), HOP_ENGINE, false, why);
    }
    finish();
    assert_int_equal(json_count(json_get(section("engines"), "engines")), ENGINES);
    assert_number(section("engines"), "not_well", ENGINES);
}

static void hostile_texts_arrive_printable(void **state)
{
    (void)state;
    tunnel(23005, "a b\n\x1b[31m\xc3\xa9\xff");
    gone(24001, "\x1b]0;x\x07");
    look(0);
    assert_text(row("tunnels", "tunnels", 0), "name", "a?b??[31m???");
    assert_verdict("engines", "wrong", "24001 ?]0;x?: its tunnel ended 0 s ago");
}

static void cancelled_anywhere_it_says_nothing(void **state)
{
    (void)state;
    tunnel(24001, "one");
    for (int stage = 0; stage < 3; stage++) {
        start();
        struct engine_call *c = stub_expect("GET /_ping");
        if (stage > 0) {
            loop_settle(&f->hub.loop); /* Nextcloud's part is over */
        }
        if (stage > 1) {
            stub_fail(c, HOP_ENGINE, false, "x");
        }
        admin_status_cancel(f->round);
        assert_int_equal(stub_open(), 0);
        loop_settle(&f->hub.loop);
        assert_int_equal(f->told, 0);
    }
}

static void ages_have_one_unit(void **state)
{
    static const struct {
        uint64_t seconds;
        const char *text;
    } rows[] = {
        {0, "0 s"},    {119, "119 s"},   {120, "2 min"},     {7199, "119 min"},
        {7200, "2 h"}, {172799, "47 h"}, {172800, "2 days"}, {UINT64_MAX, "213503982334601 days"}};
    char text[ADMIN_AGE_MAX];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_string_equal(admin_text_age(rows[i].seconds, text), rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(with_nothing_there_all_is_well),
        TEST(a_listener_that_should_be_open_is_wrong_and_not_healthy),
        TEST(engines_that_answer_and_do_not),
        TEST(an_engine_that_was_there_is_told_for_a_day),
        TEST(the_hubs_own_engine_that_was_there_is_told),
        TEST(a_nextcloud_without_any_engine_may_be_meant_so),
        TEST(a_client_that_opens_nothing_is_told_after_a_while),
        TEST(exapps_and_their_ways),
        TEST(what_was_seen_of_nextcloud),
        TEST(bans_of_strangers_and_of_those_in_front),
        TEST(of_too_many_those_that_are_not_well_come_first),
        TEST(the_largest_document_fits),
        TEST(hostile_texts_arrive_printable),
        TEST(cancelled_anywhere_it_says_nothing),
        TEST(ages_have_one_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
