/* The list of ExApps: what the administrator declares, AppAPI pushes and deletes, and Nextcloud says
 * when asked; who waits for it, and for how long each of these counts. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/base/buf.h"
#include "hub/access/exapps.h"
#include "hub/hub.h"
#include "nextcloud_stub.h"

struct fixture {
    struct hub hub;
    struct exapps *list;
};

/* One who asks, and what it was told. */
struct asker {
    unsigned told;
    enum exapps_result result;
    struct exapp *app; /* a reference */
    char why[64];
    struct exapps_wait *wait;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(loop_init(&f->hub.loop, NULL), 0);
    f->hub.settings.exapp_lifetime = 60000;
    f->hub.settings.exapp_unknown_lifetime = 15000;
    f->list = exapps_new(&f->hub);
    assert_non_null(f->list);
    stub_reset();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    exapps_free(f->list);
    loop_free(&f->hub.loop);
    free(f);
    return 0;
}

/* The clock of the loop is libuv's, which stands still between turns: it is turned on by hand. */
static void pass(struct fixture *f, uint64_t ms)
{
    f->hub.loop.uv.time += ms;
}

static struct exapp_meta make(const char *id, const char *token, uint16_t port, const char *pattern)
{
    struct exapp_meta m = {.port = port, .nroutes = 1};
    m.id = xstrndup(id, strlen(id));
    m.token = xstrndup(token, strlen(token));
    m.version = xstrndup("1.2.3", 5);
    m.host = xstrndup("127.0.0.1", 9);
    m.routes = xcalloc(1, sizeof(*m.routes));
    m.routes[0] = (struct exapp_route){.access = EXAPP_USER, .status = {401, 403}, .nstatus = 2};
    m.routes[0].url = xstrndup(pattern, strlen(pattern));
    return m;
}

static void on_told(void *owner, const struct exapps_answer *answer)
{
    struct asker *a = owner;
    a->told++;
    a->wait = NULL;
    a->result = answer->result;
    a->app = answer->result == EXAPPS_HERE ? exapp_ref(answer->app) : NULL;
    snprintf(a->why, sizeof(a->why), "%s", answer->why ? answer->why : "");
}

/* Asks; the answer may be there at once. */
static void find(struct fixture *f, struct asker *a, const char *id, enum exapps_asker asker)
{
    struct exapps_answer answer;
    *a = (struct asker){0};
    if (exapps_find(f->list, str_of(id), asker, &answer, on_told, a, &a->wait)) {
        assert_null(a->wait);
        on_told(a, &answer);
    } else {
        assert_non_null(a->wait);
    }
}

static void done(struct asker *a)
{
    exapp_unref(a->app);
    a->app = NULL;
}

/* What a client who asks now is told at once. */
static enum exapps_result at_once(struct fixture *f, const char *id)
{
    struct asker a;
    find(f, &a, id, EXAPPS_FOR_CLIENT);
    assert_int_equal(a.told, 1);
    done(&a);
    return a.result;
}

static void push(struct fixture *f, const char *id, const char *token)
{
    struct exapp_meta m = make(id, token, 23005, "^/");
    assert_int_equal(exapps_push(f->list, &m), 0);
    exapp_meta_free(&m);
}

static void say_yes(unsigned call, const char *id, const char *token)
{
    struct exapp_meta m = make(id, token, 23005, "^/");
    stub_answer(call, &(struct nextcloud_answer){.result = NEXTCLOUD_YES, .meta = &m});
    exapp_meta_free(&m);
}

static void say(unsigned call, enum nextcloud_result result)
{
    stub_answer(call, &(struct nextcloud_answer){.result = result, .why = "because"});
}

/* ---- declared ---- */

static void keeps_a_copy_of_what_is_declared(void **state)
{
    struct fixture *f = *state;
    struct exapp_meta m = make("app", "secret", 23005, "^/x");
    char err[128] = "";
    struct asker a;
    assert_int_equal(exapps_declare(f->list, &m, err, sizeof(err)), 0);
    assert_int_equal(exapps_declare(f->list, &m, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "app is declared twice"));
    assert_null(strstr(err, "secret"));
    exapp_meta_free(&m);
    find(f, &a, "APP", EXAPPS_FOR_CLIENT);
    assert_int_equal(a.result, EXAPPS_HERE);
    assert_string_equal(a.app->meta.id, "app");
    assert_string_equal(a.app->meta.version, "1.2.3");
    assert_string_equal(a.app->meta.host, "127.0.0.1");
    assert_int_equal(a.app->meta.port, 23005);
    assert_true(a.app->loopback);
    assert_string_equal(a.app->anonymous, "OnNlY3JldA=="); /* ":secret" */
    char *alice = exapp_authorization(a.app, STR("alice"));
    assert_string_equal(alice, "YWxpY2U6c2VjcmV0"); /* "alice:secret" */
    free(alice);
    const struct exapp_route *route = routes_match(a.app->routes, STR("/xy"), NULL);
    assert_non_null(route);
    assert_int_equal(route->access, EXAPP_USER);
    assert_int_equal(route->status[1], 403);
    assert_null(routes_match(a.app->routes, STR("/y"), NULL));
    done(&a);
    assert_int_equal(stub_asked, 0);
}

static void refuses_to_declare_an_app_without_a_usable_route(void **state)
{
    struct fixture *f = *state;
    struct exapp_meta m = make("app", "secret", 23005, "(");
    char err[128] = "";
    assert_int_equal(exapps_declare(f->list, &m, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "no usable route"));
    exapp_meta_free(&m);
}

static void without_nextcloud_all_others_are_unknown(void **state)
{
    struct fixture *f = *state;
    stub_absent = true;
    assert_int_equal(at_once(f, "app"), EXAPPS_UNKNOWN);
    assert_int_equal(stub_asked, 0);
}

/* ---- asked ---- */

static void asks_once_for_all_who_wait(void **state)
{
    struct fixture *f = *state;
    static struct asker askers[200];
    for (size_t i = 0; i < ARRAY_LEN(askers); i++) {
        find(f, &askers[i], i % 2 ? "App" : "app", EXAPPS_FOR_CLIENT);
    }
    assert_int_equal(stub_asked, 1);
    assert_string_equal(stub_calls[0].id, "app");
    say_yes(0, "app", "t");
    for (size_t i = 0; i < ARRAY_LEN(askers); i++) {
        assert_int_equal(askers[i].told, 1);
        assert_ptr_equal(askers[i].app, askers[0].app);
    }
    for (size_t i = 0; i < ARRAY_LEN(askers); i++) {
        done(&askers[i]);
    }
}

static void believes_it_for_its_lifetime(void **state)
{
    struct fixture *f = *state;
    struct asker a, b;
    find(f, &a, "app", EXAPPS_FOR_CLIENT);
    say_yes(0, "app", "t");
    pass(f, 59999);
    assert_int_equal(at_once(f, "app"), EXAPPS_HERE);
    pass(f, 1);
    find(f, &b, "app", EXAPPS_FOR_CLIENT);
    assert_int_equal(b.told, 0);
    assert_int_equal(stub_asked, 2);
    say_yes(1, "app", "t");
    assert_ptr_equal(a.app, b.app); /* it says the same: the record and its connections stay */
    assert_false(a.app->retired);
    done(&a);
    done(&b);
}

static void what_changed_replaces_the_record(void **state)
{
    struct fixture *f = *state;
    struct asker a, b;
    find(f, &a, "app", EXAPPS_FOR_CLIENT);
    say_yes(0, "app", "old");
    pass(f, 60000);
    find(f, &b, "app", EXAPPS_FOR_CLIENT);
    say_yes(1, "app", "new");
    assert_ptr_not_equal(a.app, b.app);
    assert_true(a.app->retired); /* but lives on for whom it is in use */
    assert_string_equal(a.app->meta.token, "old");
    assert_string_equal(b.app->meta.token, "new");
    done(&a);
    done(&b);
}

static void a_lifetime_of_0_asks_each_time(void **state)
{
    struct fixture *f = *state;
    struct asker a;
    f->hub.settings.exapp_lifetime = f->hub.settings.exapp_unknown_lifetime = 0;
    find(f, &a, "app", EXAPPS_FOR_CLIENT);
    say_yes(0, "app", "t");
    done(&a);
    find(f, &a, "app", EXAPPS_FOR_CLIENT);
    assert_int_equal(stub_asked, 2);
    say(1, NEXTCLOUD_NO);
    find(f, &a, "app", EXAPPS_FOR_CLIENT);
    assert_int_equal(stub_asked, 3);
    say(2, NEXTCLOUD_NO);
}

static void remembers_unknown_for_a_while(void **state)
{
    struct fixture *f = *state;
    struct asker a;
    find(f, &a, "app", EXAPPS_FOR_CLIENT);
    say(0, NEXTCLOUD_NO);
    assert_int_equal(a.result, EXAPPS_UNKNOWN);
    pass(f, 14999);
    assert_int_equal(at_once(f, "app"), EXAPPS_UNKNOWN);
    assert_int_equal(stub_asked, 1);
    pass(f, 1);
    find(f, &a, "app", EXAPPS_FOR_CLIENT);
    assert_int_equal(stub_asked, 2);
    say_yes(1, "app", "t");
    assert_int_equal(a.result, EXAPPS_HERE);
    done(&a);
}

static void appapi_may_ask_afresh_for_an_unknown_app(void **state)
{
    struct fixture *f = *state;
    struct exapps_answer answer;
    struct exapps_wait *wait;
    struct asker a;
    find(f, &a, "app", EXAPPS_FOR_CLIENT);
    say(0, NEXTCLOUD_NO);
    assert_true(exapps_find(f->list, STR("app"), EXAPPS_FOR_APPAPI, &answer, on_told, NULL, &wait));
    assert_int_equal(answer.result, EXAPPS_UNKNOWN);
    assert_true(answer.remembered);
    find(f, &a, "app", EXAPPS_FOR_APPAPI_AFRESH);
    assert_int_equal(stub_asked, 2);
    say_yes(1, "app", "t");
    assert_int_equal(a.result, EXAPPS_HERE);
    done(&a);
    assert_int_equal(at_once(f, "app"), EXAPPS_HERE);
}

static void an_app_that_nextcloud_forgot_is_gone(void **state)
{
    struct fixture *f = *state;
    struct asker a;
    find(f, &a, "app", EXAPPS_FOR_CLIENT);
    say_yes(0, "app", "t");
    done(&a);
    pass(f, 60000);
    find(f, &a, "app", EXAPPS_FOR_CLIENT);
    say(1, NEXTCLOUD_NO);
    assert_int_equal(a.result, EXAPPS_UNKNOWN);
    assert_int_equal(at_once(f, "app"), EXAPPS_UNKNOWN);
}

static void nothing_is_remembered_of_a_failure(void **state)
{
    struct fixture *f = *state;
    struct asker a;
    find(f, &a, "app", EXAPPS_FOR_CLIENT);
    say(0, NEXTCLOUD_FAILED);
    assert_int_equal(a.result, EXAPPS_FAILED);
    assert_string_equal(a.why, "because");
    find(f, &a, "app", EXAPPS_FOR_CLIENT);
    assert_int_equal(stub_asked, 2);
    say_yes(1, "app", "t");
    assert_int_equal(a.result, EXAPPS_HERE);
    done(&a);
    stub_full = true;
    assert_int_equal(at_once(f, "another"), EXAPPS_FAILED);
}

static void unknown_apps_are_bounded_the_oldest_go_first(void **state)
{
    struct fixture *f = *state;
    char id[16];
    struct asker a;
    for (unsigned i = 0; i < EXAPPS_UNKNOWN_MAX + 10; i++) {
        snprintf(id, sizeof(id), "app%u", i);
        find(f, &a, id, EXAPPS_FOR_CLIENT);
        say(0, NEXTCLOUD_NO);
        stub_asked = 0;
    }
    assert_int_equal(at_once(f, "app10"), EXAPPS_UNKNOWN);
    assert_int_equal(stub_asked, 0);
    find(f, &a, "app9", EXAPPS_FOR_CLIENT);
    assert_int_equal(stub_asked, 1);
    say(0, NEXTCLOUD_NO);
}

static void who_leaves_takes_the_question_along_if_it_was_the_last(void **state)
{
    struct fixture *f = *state;
    struct asker a, b;
    find(f, &a, "app", EXAPPS_FOR_CLIENT);
    find(f, &b, "app", EXAPPS_FOR_CLIENT);
    exapps_cancel(a.wait);
    assert_true(stub_calls[0].open);
    exapps_cancel(b.wait);
    assert_true(stub_calls[0].cancelled);
    assert_int_equal(a.told + b.told, 0);
    find(f, &a, "app", EXAPPS_FOR_CLIENT);
    assert_int_equal(stub_asked, 2);
    say_yes(1, "app", "t");
    done(&a);
}

/* ---- pushed and deleted ---- */

static void what_is_pushed_stays(void **state)
{
    struct fixture *f = *state;
    push(f, "app", "t");
    pass(f, 3600 * 1000);
    assert_int_equal(at_once(f, "app"), EXAPPS_HERE);
    assert_int_equal(stub_asked, 0);
}

static void a_push_wins_over_what_is_being_asked(void **state)
{
    struct fixture *f = *state;
    struct asker a, b;
    find(f, &a, "app", EXAPPS_FOR_CLIENT);
    push(f, "app", "pushed");
    assert_true(stub_calls[0].cancelled);
    assert_int_equal(a.told, 1);
    assert_string_equal(a.app->meta.token, "pushed");
    push(f, "app", "pushed"); /* the same again changes nothing */
    find(f, &b, "app", EXAPPS_FOR_CLIENT);
    assert_ptr_equal(a.app, b.app);
    done(&a);
    done(&b);
}

static void a_push_wins_over_what_was_learned_and_declared(void **state)
{
    struct fixture *f = *state;
    struct exapp_meta m = make("fixed", "declared", 23005, "^/");
    char err[64];
    struct asker a;
    assert_int_equal(exapps_declare(f->list, &m, err, sizeof(err)), 0);
    exapp_meta_free(&m);
    find(f, &a, "app", EXAPPS_FOR_CLIENT);
    say_yes(0, "app", "learned");
    done(&a);
    static const char *const ids[] = {"app", "fixed"};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        push(f, ids[i], "pushed");
        find(f, &a, ids[i], EXAPPS_FOR_CLIENT);
        assert_string_equal(a.app->meta.token, "pushed");
        done(&a);
    }
}

static void a_deleted_app_is_closed_to_clients_until_it_is_pushed(void **state)
{
    struct fixture *f = *state;
    push(f, "app", "t");
    assert_int_equal(exapps_delete(f->list, STR("APP")), EXAPPS_DELETED);
    pass(f, 3600 * 1000);
    assert_int_equal(at_once(f, "app"), EXAPPS_DISABLED);
    assert_int_equal(exapps_delete(f->list, STR("app")), EXAPPS_NOT_THERE);
    assert_int_equal(stub_asked, 0);
    push(f, "app", "t");
    assert_int_equal(at_once(f, "app"), EXAPPS_HERE);
}

static void an_app_that_was_not_known_is_disabled_too(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(exapps_delete(f->list, STR("app")), EXAPPS_NOT_THERE);
    assert_int_equal(at_once(f, "app"), EXAPPS_DISABLED);
}

static void appapi_gets_a_disabled_app_asked_afresh_each_time(void **state)
{
    struct fixture *f = *state;
    struct asker a, b;
    push(f, "app", "t");
    assert_int_equal(exapps_delete(f->list, STR("app")), EXAPPS_DELETED);
    find(f, &a, "app", EXAPPS_FOR_APPAPI);
    say_yes(0, "app", "new");
    assert_int_equal(a.result, EXAPPS_HERE);
    assert_string_equal(a.app->meta.token, "new");
    assert_true(a.app->retired); /* nobody keeps it */
    assert_int_equal(at_once(f, "app"), EXAPPS_DISABLED);
    find(f, &b, "app", EXAPPS_FOR_APPAPI);
    assert_int_equal(stub_asked, 2);
    say(1, NEXTCLOUD_NO);
    assert_int_equal(b.result, EXAPPS_UNKNOWN);
    assert_int_equal(at_once(f, "app"), EXAPPS_DISABLED);
    done(&a);
}

static void a_delete_counts_for_those_who_wait(void **state)
{
    struct fixture *f = *state;
    struct asker client, appapi;
    find(f, &client, "app", EXAPPS_FOR_CLIENT);
    find(f, &appapi, "app", EXAPPS_FOR_APPAPI);
    assert_int_equal(exapps_delete(f->list, STR("app")), EXAPPS_NOT_THERE);
    assert_int_equal(client.told, 1);
    assert_int_equal(client.result, EXAPPS_DISABLED);
    assert_int_equal(appapi.told, 0);
    assert_true(stub_calls[0].cancelled); /* it was asked before: its answer may be old */
    assert_int_equal(stub_asked, 2);
    say_yes(1, "app", "t");
    assert_int_equal(appapi.result, EXAPPS_HERE);
    done(&appapi);
}

static void the_list_is_bounded(void **state)
{
    struct fixture *f = *state;
    char id[16];
    for (unsigned i = 0; i < EXAPPS_MAX; i++) {
        snprintf(id, sizeof(id), "a%u", i);
        assert_int_equal(exapps_delete(f->list, str_of(id)), EXAPPS_NOT_THERE);
    }
    struct exapp_meta m = make("one-more", "t", 23005, "^/");
    assert_int_equal(exapps_push(f->list, &m), -1);
    assert_string_equal(m.token, "t"); /* still the caller's */
    exapp_meta_free(&m);
    assert_int_equal(exapps_delete(f->list, STR("one-more")), EXAPPS_TOO_MANY);
    assert_int_equal(at_once(f, "one-more"), EXAPPS_FAILED);
    push(f, "a5", "t"); /* those that are there go on */
    assert_int_equal(at_once(f, "a5"), EXAPPS_HERE);
}

struct seen {
    unsigned n;
    char text[256]; /* "id:kind " in the order of kinds */
};

static void on_each(void *arg, const struct exapps_entry *entry)
{
    struct seen *seen = arg;
    size_t n = strlen(seen->text);
    assert_int_equal(entry->app == NULL, entry->kind == EXAPPS_KIND_DISABLED);
    snprintf(seen->text + n, sizeof(seen->text) - n, "%s:%d ", entry->id, entry->kind);
    seen->n++;
}

static void assert_seen(struct fixture *f, const char *id, int kind, unsigned total)
{
    struct seen seen = {0};
    char want[80];
    exapps_each(f->list, on_each, &seen);
    assert_int_equal(seen.n, total);
    snprintf(want, sizeof(want), "%s:%d ", id, kind);
    if (!strstr(seen.text, want)) {
        fail_msg("%s is not in %s", want, seen.text);
    }
}

static void each_app_is_told_with_how_it_came_to_be_known(void **state)
{
    struct fixture *f = *state;
    struct exapp_meta declared = make("declared", "t", 23001, "^/"),
                      learned = make("learned", "t", 23002, "^/");
    struct asker a, b;
    char err[200];
    assert_int_equal(exapps_declare(f->list, &declared, err, sizeof(err)), 0);
    assert_seen(f, "declared", EXAPPS_KIND_DECLARED, 1);
    push(f, "pushed", "t");
    assert_seen(f, "pushed", EXAPPS_KIND_PUSHED, 2);
    find(f, &a, "learned", EXAPPS_FOR_CLIENT);
    find(f, &b, "unknown", EXAPPS_FOR_CLIENT);
    assert_seen(f, "pushed", EXAPPS_KIND_PUSHED,
                2); /* those that are asked for are not there yet */
    stub_answer(0, &(struct nextcloud_answer){.result = NEXTCLOUD_YES, .meta = &learned});
    stub_answer(1, &(struct nextcloud_answer){.result = NEXTCLOUD_NO});
    assert_seen(f, "learned", EXAPPS_KIND_LEARNED, 3);
    assert_int_equal(exapps_delete(f->list, STR("pushed")), EXAPPS_DELETED);
    assert_seen(f, "pushed", EXAPPS_KIND_DISABLED, 3);
    push(f, "declared", "t"); /* what AppAPI says of it counts */
    assert_seen(f, "declared", EXAPPS_KIND_PUSHED, 3);
    exapp_meta_free(&declared);
    exapp_meta_free(&learned);
    done(&a);
    done(&b);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(keeps_a_copy_of_what_is_declared),
        TEST(refuses_to_declare_an_app_without_a_usable_route),
        TEST(without_nextcloud_all_others_are_unknown),
        TEST(asks_once_for_all_who_wait),
        TEST(believes_it_for_its_lifetime),
        TEST(what_changed_replaces_the_record),
        TEST(a_lifetime_of_0_asks_each_time),
        TEST(remembers_unknown_for_a_while),
        TEST(appapi_may_ask_afresh_for_an_unknown_app),
        TEST(an_app_that_nextcloud_forgot_is_gone),
        TEST(nothing_is_remembered_of_a_failure),
        TEST(unknown_apps_are_bounded_the_oldest_go_first),
        TEST(who_leaves_takes_the_question_along_if_it_was_the_last),
        TEST(what_is_pushed_stays),
        TEST(a_push_wins_over_what_is_being_asked),
        TEST(a_push_wins_over_what_was_learned_and_declared),
        TEST(a_deleted_app_is_closed_to_clients_until_it_is_pushed),
        TEST(an_app_that_was_not_known_is_disabled_too),
        TEST(appapi_gets_a_disabled_app_asked_afresh_each_time),
        TEST(a_delete_counts_for_those_who_wait),
        TEST(the_list_is_bounded),
        TEST(each_app_is_told_with_how_it_came_to_be_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
