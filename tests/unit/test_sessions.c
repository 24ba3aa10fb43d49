/* Who a client is: remembered by all of its credentials together, for a moment, and only of users. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hub/hub.h"
#include "hub/access/sessions.h"
#include "nextcloud_stub.h"

#define PHRASE "oc_sessionPassphrase=p1"
#define COOKIES "Cookie: " PHRASE "; nc_sameSiteCookielax=true; oc1234567890=s1\r\n"

struct fixture {
    struct hub hub;
    struct sessions *sessions;
};

struct asker {
    unsigned told;
    enum session_result result;
    enum exapp_access access;
    char user[64];
    struct session_wait *wait;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(loop_init(&f->hub.loop, NULL), 0);
    f->hub.settings.session_lifetime = 3000;
    f->hub.settings.max_sessions = 100;
    f->sessions = sessions_new(&f->hub);
    assert_non_null(f->sessions);
    stub_reset();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    sessions_free(f->sessions);
    loop_free(&f->hub.loop);
    free(f);
    return 0;
}

static void pass(struct fixture *f, uint64_t ms)
{
    f->hub.loop.uv.time += ms;
}

static void parse(struct fixture *f, const char *fields)
{
    static const struct http_limits limits = HTTP_LIMITS_DEFAULT;
    static char head[4096]; /* the request's slices point into it */
    size_t scanned = 0;
    int n = snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", fields);
    assert_true(http_parse_request(&f->hub.request, head, (size_t)n, &limits, &scanned) > 0);
}

static void on_told(void *owner, const struct session_answer *answer)
{
    struct asker *a = owner;
    a->told++;
    a->wait = NULL;
    a->result = answer->result;
    a->access = answer->access;
    snprintf(a->user, sizeof(a->user), "%.*s", STR_ARG(answer->user));
}

static void ask_as(struct fixture *f, struct asker *a, const char *fields, bool alone)
{
    struct session_answer answer;
    struct ip_addr client = {{0}};
    *a = (struct asker){0};
    parse(f, fields);
    if (sessions_ask(f->sessions, "app", &f->hub.request, &client, alone, &answer, on_told, a,
                     &a->wait)) {
        on_told(a, &answer);
    }
}

static void ask(struct fixture *f, struct asker *a, const char *fields)
{
    ask_as(f, a, fields, false);
}

static void say_user(unsigned call, const char *user, enum exapp_access access)
{
    stub_answer(call, &(struct nextcloud_answer){
                          .result = NEXTCLOUD_YES, .user = str_of(user), .access = access});
}

static void say(unsigned call, enum nextcloud_result result)
{
    stub_answer(call, &(struct nextcloud_answer){.result = result, .why = "because"});
}

static void tells_who_shows_credentials(void **state)
{
    static const struct {
        const char *fields;
        bool want;
    } rows[] = {
        {"", false},
        {"Cookie: a=b\r\n", false},
        {COOKIES, true},
        {"Cookie: a=b;" PHRASE "\r\n", true},
        {"Cookie: a=b\r\nCookie: " PHRASE "\r\n", true},
        {"Cookie: xoc_sessionPassphrase=p\r\n", false},
        {"Cookie: oc_sessionPassphrase\r\n", false},
        {"Cookie: oc_sessionpassphrase=p\r\n", false},
        {"Cookie: nc_sameSiteCookielax=true; oc1234567890=s1\r\n", false},
        {"Authorization: Basic eDp5\r\n", true},
        {"Authorization:\r\n", true},
        {"X: oc_sessionPassphrase=p\r\n", false},
        /* what Connection names reaches neither Nextcloud nor the app */
        {"Connection: cookie\r\n" COOKIES, false},
        {"Connection: authorization\r\nAuthorization: Basic eDp5\r\n", false},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        parse(f, rows[i].fields);
        if (sessions_credentials(&f->hub.request) != rows[i].want) {
            fail_msg("row %zu: %s", i, rows[i].fields);
        }
    }
}

static void a_user_is_remembered_for_the_lifetime(void **state)
{
    struct fixture *f = *state;
    struct asker a;
    ask(f, &a, COOKIES);
    assert_int_equal(a.told, 0);
    say_user(0, "alice", EXAPP_USER);
    assert_int_equal(a.result, SESSION_USER);
    assert_string_equal(a.user, "alice");
    pass(f, 2999);
    ask(f, &a, COOKIES);
    assert_int_equal(a.result, SESSION_USER);
    assert_string_equal(a.user, "alice");
    assert_int_equal(a.access, EXAPP_USER);
    assert_int_equal(stub_asked, 1);
    pass(f, 1);
    ask(f, &a, COOKIES);
    assert_int_equal(stub_asked, 2);
    say_user(1, "alice", EXAPP_ADMIN);
    assert_int_equal(a.access, EXAPP_ADMIN);
    assert_int_equal(sessions_size(f->sessions), 1);
}

static void nothing_less_than_all_credentials_will_do(void **state)
{
    static const char *const others[] = {
        "Cookie: " PHRASE "\r\n",
        "Cookie: " PHRASE "; nc_sameSiteCookielax=true\r\n",
        "Cookie: " PHRASE "; nc_sameSiteCookielax=true; oc1234567890=s2\r\n",
        "Cookie: nc_sameSiteCookielax=true; " PHRASE "; oc1234567890=s1\r\n",
        COOKIES "Authorization: Basic eDp5\r\n",
        COOKIES "Cookie: more=1\r\n",
        "Authorization: " PHRASE "; nc_sameSiteCookielax=true; oc1234567890=s1\r\n",
        "Cookie: " PHRASE "\r\nCookie: nc_sameSiteCookielax=true; oc1234567890=s1\r\n",
    };
    struct fixture *f = *state;
    struct asker a, b;
    ask(f, &a, COOKIES);
    say_user(0, "alice", EXAPP_USER);
    for (unsigned i = 0; i < ARRAY_LEN(others); i++) {
        ask(f, &b, others[i]);
        if (b.told != 0 || stub_asked != i + 2) {
            fail_msg("%s is taken for the session", others[i]);
        }
        sessions_cancel(b.wait);
    }
    /* Two fields that read the same as one when put together. */
    ask(f, &a, "Cookie: oc_sessionPassphrase=ab\r\nCookie: c\r\n");
    say_user(stub_asked - 1, "bob", EXAPP_USER);
    ask(f, &b, "Cookie: oc_sessionPassphrase=a\r\nCookie: bc\r\n");
    assert_int_equal(b.told, 0);
    sessions_cancel(b.wait);
}

static void nobody_is_not_remembered(void **state)
{
    struct fixture *f = *state;
    struct asker a;
    ask(f, &a, COOKIES);
    say(0, NEXTCLOUD_NO);
    assert_int_equal(a.result, SESSION_NOBODY);
    ask(f, &a, COOKIES);
    assert_int_equal(stub_asked, 2);
    say_user(1, "alice", EXAPP_USER);
    assert_int_equal(a.result, SESSION_USER);
}

static void failures_are_not_remembered(void **state)
{
    struct fixture *f = *state;
    struct asker a, b;
    ask(f, &a, COOKIES);
    ask(f, &b, COOKIES);
    say(0, NEXTCLOUD_FAILED);
    assert_int_equal(a.result, SESSION_FAILED);
    assert_int_equal(b.result, SESSION_FAILED);
    assert_int_equal(stub_asked, 1);
    ask(f, &a, COOKIES);
    assert_int_equal(stub_asked, 2);
    sessions_cancel(a.wait);
    stub_full = true;
    ask(f, &a, COOKIES);
    assert_int_equal(a.result, SESSION_FAILED);
}

static void requests_of_one_user_share_the_answer(void **state)
{
    struct fixture *f = *state;
    static struct asker askers[50];
    for (size_t i = 0; i < ARRAY_LEN(askers); i++) {
        ask(f, &askers[i], COOKIES);
    }
    assert_int_equal(stub_asked, 1);
    say_user(0, "alice", EXAPP_USER);
    for (size_t i = 0; i < ARRAY_LEN(askers); i++) {
        assert_int_equal(askers[i].told, 1);
        assert_string_equal(askers[i].user, "alice");
    }
}

static void that_somebody_is_nobody_is_not_shared(void **state)
{
    struct fixture *f = *state;
    struct asker first, second, third;
    ask(f, &first, COOKIES);
    ask(f, &second, COOKIES);
    ask(f, &third, COOKIES);
    say(0, NEXTCLOUD_NO);
    assert_int_equal(first.result, SESSION_NOBODY);
    assert_int_equal(second.result, SESSION_ALONE);
    assert_int_equal(third.result, SESSION_ALONE);
    ask_as(f, &second, COOKIES, true);
    ask_as(f, &third, COOKIES, true);
    assert_int_equal(stub_asked, 3);
    say_user(1, "alice", EXAPP_USER);
    assert_int_equal(second.result, SESSION_USER);
    assert_int_equal(third.told, 0);
    say(2, NEXTCLOUD_NO);
    assert_int_equal(third.result, SESSION_NOBODY);
}

static void who_asked_may_leave(void **state)
{
    struct fixture *f = *state;
    struct asker first, second;
    ask(f, &first, COOKIES);
    ask(f, &second, COOKIES);
    sessions_cancel(first.wait);
    assert_true(stub_calls[0].open);
    say(0, NEXTCLOUD_NO);
    assert_int_equal(first.told, 0);
    assert_int_equal(second.result, SESSION_ALONE); /* it was the other's question */
    ask(f, &first, COOKIES);
    ask(f, &second, COOKIES);
    sessions_cancel(second.wait);
    sessions_cancel(first.wait);
    assert_true(stub_calls[1].cancelled);
}

static void a_lifetime_of_0_asks_for_each_request(void **state)
{
    struct fixture *f = *state;
    struct asker a, b;
    f->hub.settings.session_lifetime = 0;
    ask(f, &a, COOKIES);
    ask(f, &b, COOKIES);
    assert_int_equal(stub_asked, 2);
    say_user(0, "alice", EXAPP_USER);
    assert_int_equal(b.told, 0);
    say_user(1, "alice", EXAPP_USER);
    assert_int_equal(sessions_size(f->sessions), 0);
}

static void sessions_are_bounded_the_oldest_go_first(void **state)
{
    struct fixture *f = *state;
    struct asker a;
    char fields[128];
    for (unsigned i = 0; i < 150; i++) {
        snprintf(fields, sizeof(fields), "Authorization: Bearer %u\r\n", i);
        ask(f, &a, fields);
        say_user(0, "alice", EXAPP_USER);
        stub_asked = 0;
        assert_true(sessions_size(f->sessions) <= 100);
    }
    ask(f, &a, "Authorization: Bearer 50\r\n");
    assert_int_equal(a.told, 1);
    ask(f, &a, "Authorization: Bearer 49\r\n");
    assert_int_equal(a.told, 0);
    sessions_cancel(a.wait);
}

static void without_nextcloud_everybody_is_nobody(void **state)
{
    struct fixture *f = *state;
    struct asker a;
    stub_absent = true;
    ask(f, &a, COOKIES);
    assert_int_equal(a.result, SESSION_NOBODY);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(tells_who_shows_credentials),
        TEST(a_user_is_remembered_for_the_lifetime),
        TEST(nothing_less_than_all_credentials_will_do),
        TEST(nobody_is_not_remembered),
        TEST(failures_are_not_remembered),
        TEST(requests_of_one_user_share_the_answer),
        TEST(that_somebody_is_nobody_is_not_shared),
        TEST(who_asked_may_leave),
        TEST(a_lifetime_of_0_asks_for_each_request),
        TEST(sessions_are_bounded_the_oldest_go_first),
        TEST(without_nextcloud_everybody_is_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
