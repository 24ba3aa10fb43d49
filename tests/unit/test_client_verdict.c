/* Verdicts that come later: this file's access_ask stands in for the hub's own, so that the test
 * decides when the answer to "who may reach what" is there. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/loop/resolver.h"
#include "hub/client/frontend.h"
#include "hub/hub.h"
#include "hub/tunnel/tunnel_impl.h"

#define GET "GET /exapps/a/x HTTP/1.1\r\nHost: h\r\n\r\n"

static struct exapp *forward_to;
static struct access *asked_for;      /* the request that waits */
static struct access_verdict verdict; /* for when it asks again */
static bool ready, cleared;
static unsigned asked;

bool access_judge(struct hub *hub UNUSED, const struct access_facts *facts, struct access *a,
                  struct target *target, struct access_verdict *v, void (*again)(void *owner),
                  void *owner)
{
    assert_int_equal(target_parse(target, facts->request->path), TARGET_OK);
    assert_true(str_eq(target->appid, STR("a")));
    a->again = again;
    a->owner = owner;
    if (ready) {
        ready = false;
        *v = verdict;
        a->app = verdict.kind == ACCESS_FORWARD ? exapp_ref(forward_to) : NULL;
        return true;
    }
    asked_for = a;
    asked++;
    return false;
}

void access_clear(struct access *a)
{
    cleared = cleared || (a == asked_for && a->again);
    exapp_unref(a->app);
    *a = (struct access){0};
}

void access_answered(struct hub *hub UNUSED, const struct access *a UNUSED, int status UNUSED)
{
}

struct fixture {
    struct hub hub;
    struct tunnels tunnels; /* none */
    struct exapp *app;
    struct route_matcher *matcher;
    int origin; /* listens for the app */
    int fd;     /* the browser */
    char got[4096];
    size_t n;
};

static int connect_to(uint16_t port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static uint16_t port_of(const struct sock_addr *a)
{
    return ntohs(((const struct sockaddr_in *)&a->sa)->sin_port);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct hub_settings *set = &f->hub.settings;
    struct sockaddr_in sa = {.sin_family = AF_INET};
    socklen_t len = sizeof(sa);
    char err[256];
    assert_int_equal(loop_init(&f->hub.loop, NULL), 0);
    assert_int_equal(ip_parse(STR("127.0.0.1"), &set->exapps_address.ip), 0);
    set->exapps_address.kind = LISTEN_TCP;
    set->certs_dir = strdup("/nonexistent");
    set->timeout_client = set->timeout_server = set->timeout_connect = 10000;
    set->head_timeout = set->upstream_idle_timeout = 10000;
    set->upstream_idle_connections = 8;
    f->hub.tunnels = &f->tunnels;
    f->hub.resolver = resolver_new(&f->hub.loop, RESOLVER_LIMIT_MS);
    f->hub.frontend = frontend_start(&f->hub, err, sizeof(err));
    assert_non_null(f->hub.frontend);
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    f->origin = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(f->origin, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(f->origin, 8), 0);
    assert_int_equal(getsockname(f->origin, (struct sockaddr *)&sa, &len), 0);
    struct exapp_meta meta = {.port = ntohs(sa.sin_port)};
    meta.id = strdup("a");
    meta.token = strdup("x");
    meta.version = strdup("1");
    meta.host = strdup("127.0.0.1");
    f->matcher = route_matcher_new();
    f->app = forward_to = exapp_new(&meta, f->matcher, NULL);
    f->fd = connect_to(port_of(listener_address(f->hub.frontend->http)));
    asked = 0;
    ready = cleared = false;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    frontend_free(f->hub.frontend);
    exapp_unref(f->app);
    route_matcher_free(f->matcher);
    loop_free(&f->hub.loop);
    resolver_free(f->hub.resolver);
    free(f->hub.settings.certs_dir);
    close(f->origin);
    close(f->fd);
    free(f);
    return 0;
}

/* One turn of the loop; events of this test come at once, as all is local. */
static void turn(struct fixture *f)
{
    uv_run(&f->hub.loop.uv, UV_RUN_NOWAIT);
}

enum { TURNS = 200000 };

static void until_asked(struct fixture *f, unsigned times)
{
    for (int i = 0; i < TURNS && asked < times; i++) {
        turn(f);
    }
    assert_int_equal(asked, times);
}

/* Reads until the text is there; false when the connection ended instead. */
static bool until_read(struct fixture *f, const char *text)
{
    for (int i = 0; i < TURNS; i++) {
        turn(f);
        ssize_t n = recv(f->fd, f->got + f->n, sizeof(f->got) - 1 - f->n, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            return false;
        }
        f->n += n > 0 ? (size_t)n : 0;
        f->got[f->n] = '\0';
        if (strstr(f->got, text)) {
            f->n = 0;
            return true;
        }
    }
    fail_msg("never came: %s; have: %s", text, f->got);
    return false;
}

static void ask(struct fixture *f, const char *request, unsigned times)
{
    assert_int_equal(send(f->fd, request, strlen(request), 0), (ssize_t)strlen(request));
    until_asked(f, times);
}

static void tell(struct access_verdict v)
{
    verdict = v;
    ready = true;
    asked_for->again(asked_for->owner);
}

static void a_late_refusal_is_answered_and_the_connection_goes_on(void **state)
{
    struct fixture *f = *state;
    ask(f, GET GET, 1); /* pipelined: the second waits for its turn */
    tell((struct access_verdict){.kind = ACCESS_ANSWER, .status = 403, .reason = "not you"});
    assert_true(until_read(f, "not you"));
    until_asked(f, 2);
    tell((struct access_verdict){.kind = ACCESS_ANSWER, .status = 404, .reason = "not there"});
    assert_true(until_read(f, "not there"));
}

static void a_late_refusal_of_a_request_with_a_body_ends_the_connection(void **state)
{
    struct fixture *f = *state;
    ask(f, "POST /exapps/a/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel", 1);
    tell((struct access_verdict){.kind = ACCESS_ANSWER, .status = 403, .reason = "not you"});
    assert_true(until_read(f, "Connection: close"));
    assert_false(until_read(f, "never"));
}

static void a_late_drop_closes_without_a_word(void **state)
{
    struct fixture *f = *state;
    ask(f, GET, 1);
    tell((struct access_verdict){.kind = ACCESS_DROP, .reason = "banned"});
    assert_false(until_read(f, "HTTP"));
    assert_int_equal(f->n, 0);
}

static void a_late_yes_forwards_the_head_and_the_body_that_came_meanwhile(void **state)
{
    struct fixture *f = *state;
    char got[1024] = "";
    size_t n = 0;
    int fd = -1;
    ask(f, "POST /exapps/a/x?q HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe", 1);
    assert_int_equal(send(f->fd, "llo", 3, 0), 3);
    turn(f);
    tell((struct access_verdict){.kind = ACCESS_FORWARD});
    for (int i = 0; i < TURNS && !strstr(got, "hello"); i++) {
        turn(f);
        fd = fd < 0 ? accept4(f->origin, NULL, NULL, SOCK_NONBLOCK) : fd;
        ssize_t k = fd < 0 ? 0 : recv(fd, got + n, sizeof(got) - 1 - n, 0);
        n += k > 0 ? (size_t)k : 0;
    }
    assert_int_equal(strncmp(got, "POST /x?q HTTP/1.1\r\n", 20), 0);
    assert_non_null(strstr(got, "\r\n\r\nhello"));
    const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    assert_int_equal(send(fd, reply, sizeof(reply) - 1, 0), (ssize_t)sizeof(reply) - 1);
    assert_true(until_read(f, "\r\n\r\nok"));
    close(fd);
}

static void a_request_that_still_waits_is_cancelled_when_the_hub_ends(void **state)
{
    struct fixture *f = *state;
    ask(f, GET, 1);
    frontend_free(f->hub.frontend);
    f->hub.frontend = NULL;
    assert_true(cleared);
}

static void a_client_that_left_while_it_waited_costs_nothing_more(void **state)
{
    struct fixture *f = *state;
    ask(f, GET, 1);
    shutdown(f->fd, SHUT_RDWR);
    turn(f);
    if (!cleared) { /* nobody reads while it waits: noticed at the latest with the verdict */
        tell((struct access_verdict){.kind = ACCESS_ANSWER, .status = 403, .reason = "not you"});
    }
    for (int i = 0; i < TURNS && f->hub.frontend->count > 0; i++) {
        turn(f);
    }
    assert_int_equal(f->hub.frontend->count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_late_refusal_is_answered_and_the_connection_goes_on),
        TEST(a_late_refusal_of_a_request_with_a_body_ends_the_connection),
        TEST(a_late_drop_closes_without_a_word),
        TEST(a_late_yes_forwards_the_head_and_the_body_that_came_meanwhile),
        TEST(a_request_that_still_waits_is_cancelled_when_the_hub_ends),
        TEST(a_client_that_left_while_it_waited_costs_nothing_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
