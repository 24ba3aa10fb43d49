/* Requests of our own: names, proxies, certificates. This file's getaddrinfo stands in for the system's
 * (libcurl's and libuv's calls come here too), so that no test asks a name server, and a look-up can
 * be held up. */
#include "tests/unit/fetch_web.h"

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/stream/listener.h"
#include "tests/unit/memory_stream.h"
#include "tests/unit/tls_shake.h"

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define TEST(f) cmocka_unit_test_setup_teardown(f, web_set_up, web_tear_down)

/* ---- names ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool held, waits, gave_up; /* of slow.test */

static void wait_until_let_go(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 3;
    pthread_mutex_lock(&lock);
    waits = true;
    pthread_cond_broadcast(&changed);
    while (held && !gave_up) {
        gave_up = pthread_cond_timedwait(&changed, &lock, &until) != 0;
    }
    waits = false;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **res)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(
            RTLD_NEXT, "getaddrinfo");
    if (strcmp(name, "slow.test") == 0) {
        wait_until_let_go();
    }
    return strcmp(name, "harp.nc") == 0 ? real("127.0.0.1", service, hints, res) : EAI_NONAME;
}

static void set_held(bool yes)
{
    pthread_mutex_lock(&lock);
    held = yes;
    gave_up = false;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void until_waits(bool yes)
{
    pthread_mutex_lock(&lock);
    while (waits != yes) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
}

static void ask_url(struct web *w, struct question *a, const char *scheme, const char *host)
{
    char url[128];
    *a = (struct question){0};
    snprintf(url, sizeof(url), "%s://%s:%u/x", scheme, host, w->port);
    question_new(w, a, url);
    question_send(a);
}

static void run_url(struct web *w, struct question *a, const char *scheme, const char *host)
{
    ask_url(w, a, scheme, host);
    question_wait(a);
}

static void a_name_is_looked_up(void **state)
{
    struct web *w = *state;
    struct question a;
    web_start(w);
    web_say(w, OK_HELLO, KEEP);
    run_url(w, &a, "http", "harp.nc");
    web_assert_answer(&a, 200, "hello");
}

static void a_name_that_does_not_exist_is_told(void **state)
{
    struct web *w = *state;
    struct question a;
    char says[64];
    web_start(w);
    run_url(w, &a, "http", "nowhere.test");
    snprintf(says, sizeof(says), "nowhere.test:%u: looking the name up failed", w->port);
    web_assert_failure(&a, false, says);
}

static void a_look_up_that_takes_too_long_is_told(void **state)
{
    struct web *w = *state;
    struct question a;
    w->set.connect_timeout = 150;
    web_start(w);
    set_held(true);
    run_url(w, &a, "http", "slow.test");
    web_assert_failure(&a, true, ": looking the name up took too long");
    assert_true(waits && !gave_up); /* and nobody waited for the thread */
    set_held(false);
    until_waits(false);
}

static void cancelling_does_not_wait_for_the_look_up(void **state)
{
    struct web *w = *state;
    struct question a, b;
    web_start(w);
    set_held(true);
    ask_url(w, &a, "http", "slow.test");
    loop_settle(&w->loop);
    until_waits(true);
    fetch_cancel(a.q);
    assert_true(waits && !gave_up);
    web_say(w, OK_HELLO, KEEP);
    run_url(w, &b, "http", "harp.nc");
    web_assert_answer(&b, 200, "hello");
    set_held(false);
    until_waits(false);
    assert_int_equal(a.done, 0);
}

static void fetcher_free_does_not_wait_for_the_look_up(void **state)
{
    struct web *w = *state;
    struct question a;
    web_start(w);
    set_held(true);
    ask_url(w, &a, "http", "slow.test");
    loop_settle(&w->loop);
    until_waits(true);
    fetcher_free(w->fetcher);
    w->fetcher = NULL;
    assert_true(waits && !gave_up);
    set_held(false);
    until_waits(false);
}

/* ---- proxies ---- */

static void the_environments_proxies_do_not_count(void **state)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY"};
    struct web *w = *state;
    struct question a;
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        setenv(names[i], "http://nowhere.test:1", 1);
    }
    web_start(w);
    web_say(w, OK_HELLO, KEEP);
    run_url(w, &a, "http", "127.0.0.1");
    web_assert_answer(&a, 200, "hello");
    run_url(w, &a, "https", "nowhere.test");
    web_assert_failure(&a, false, "nowhere.test");
    assert_null(strstr(a.why, "proxy"));
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        unsetenv(names[i]);
    }
}

/* The server is the proxy. */
static void use_proxy(struct web *w, const char *userinfo)
{
    char proxy[128];
    snprintf(proxy, sizeof(proxy), "http://%s127.0.0.1:%u", userinfo, w->port);
    w->set.proxy = proxy;
    web_start(w);
}

static void a_proxy_is_asked_for_everything(void **state)
{
    struct web *w = *state;
    struct question a = {0};
    setenv("no_proxy", "*", 1);
    use_proxy(w, "me:se%40cret@");
    web_say(w, OK_HELLO, KEEP);
    question_new(w, &a, "http://cloud.test/x?y");
    fetch_header(a.q, STR("X-A"), STR("1"));
    question_send(&a);
    question_wait(&a);
    unsetenv("no_proxy");
    web_assert_answer(&a, 200, "hello");
    assert_string_equal(w->asked[0].head,
                        "GET http://cloud.test/x?y HTTP/1.1\r\nHost: cloud.test\r\n"
                        "Proxy-Authorization: Basic bWU6c2VAY3JldA==\r\n"
                        "X-A: 1\r\n\r\n");
}

static void a_proxy_sees_nothing_of_an_https_request(void **state)
{
    struct web *w = *state;
    struct question a = {0};
    char says[100];
    use_proxy(w, "");
    web_say(w, "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", KEEP);
    question_new(w, &a, "https://cloud.test/path");
    fetch_header(a.q, STR("X-Secret"), STR("1"));
    question_send(&a);
    question_wait(&a);
    snprintf(says, sizeof(says), "the proxy 127.0.0.1:%u answered 403", w->port);
    web_assert_failure(&a, false, says);
    assert_int_equal(w->n, 1);
    assert_memory_equal(w->asked[0].head, "CONNECT cloud.test:443 HTTP/1.1\r\n", 33);
    assert_null(strstr(w->asked[0].head, "Secret"));
    assert_null(strstr(w->asked[0].head, "/path"));
}

static void header_lines_of_a_proxy_without_end_are_a_failure(void **state)
{
    struct web *w = *state;
    struct question a = {0};
    static char text[100000];
    int n = snprintf(text, sizeof(text), "HTTP/1.1 200 Yes\r\n");
    use_proxy(w, "");
    while (n < 80000) {
        n += snprintf(text + n, sizeof(text) - (size_t)n, "X: 1234567890\r\n");
    }
    web_say(w, text, KEEP);
    question_new(w, &a, "https://cloud.test/path");
    question_send(&a);
    question_wait(&a);
    web_assert_failure(&a, false, ": the answer's header is larger than 64 KiB");
}

static void a_proxy_that_refuses_is_named_without_its_password(void **state)
{
    struct web *w = *state;
    struct question a = {0};
    char says[100];
    listener_close(w->listener);
    w->listener = NULL;
    loop_settle(&w->loop);
    use_proxy(w, "me:secret@");
    question_new(w, &a, "http://cloud.test/x");
    question_send(&a);
    question_wait(&a);
    snprintf(says, sizeof(says), "the proxy 127.0.0.1:%u: Connection refused", w->port);
    web_assert_failure(&a, false, says);
    assert_null(strstr(a.why, "secret"));
}

/* ---- certificates ---- */

static char offered[64]; /* by ALPN */

static int on_alpn(SSL *ssl UNUSED, const unsigned char **out, unsigned char *n,
                   const unsigned char *in, unsigned len, void *arg UNUSED)
{
    snprintf(offered, sizeof(offered), "%.*s", (int)len, (const char *)in);
    *out = in + 1;
    *n = in[0];
    return SSL_TLSEXT_ERR_OK;
}

static void use_tls(struct web *w, const char *ca)
{
    w->tls = shake_public("cert.pem");
    w->set.ca_file = ca ? shake_at(ca) : NULL;
    web_start(w);
}

static void a_certificate_of_the_given_ca_is_accepted(void **state)
{
    struct web *w = *state;
    struct question a;
    use_tls(w, "ca.crt");
    web_say(w, OK_HELLO, KEEP);
    web_say(w, OK_HELLO, KEEP);
    run_url(w, &a, "https", "harp.nc");
    web_assert_answer(&a, 200, "hello");
    run_url(w, &a, "https", "harp.nc");
    web_assert_answer(&a, 200, "hello");
    assert_int_equal(w->accepted, 1);
}

static void assert_untrusted(struct web *w, const char *host)
{
    struct question a;
    run_url(w, &a, "https", host);
    web_assert_failure(&a, false, ": SSL");
    assert_non_null(strstr(a.why, host));
    assert_int_equal(w->n, 0);
}

static void only_http_1_1_is_offered(void **state)
{
    struct web *w = *state;
    struct question a;
    use_tls(w, "ca.crt");
    SSL_CTX_set_alpn_select_cb(w->tls, on_alpn, NULL);
    web_say(w, OK_HELLO, KEEP);
    run_url(w, &a, "https", "harp.nc");
    web_assert_answer(&a, 200, "hello");
    assert_string_equal(offered, "\x08http/1.1");
}

static void a_certificate_of_another_ca_is_refused(void **state)
{
    struct web *w = *state;
    use_tls(w, "their-ca.crt");
    assert_untrusted(w, "harp.nc");
}

static void a_certificate_of_an_unknown_ca_is_refused(void **state)
{
    struct web *w = *state;
    use_tls(w, NULL);
    assert_untrusted(w, "harp.nc");
}

static void a_certificate_for_another_name_is_refused(void **state)
{
    struct web *w = *state;
    use_tls(w, "ca.crt");
    assert_untrusted(w, "127.0.0.1");
}

static void a_tls_server_that_breaks_off_is_a_failure(void **state)
{
    struct web *w = *state;
    struct question a;
    use_tls(w, "ca.crt");
    web_say(w, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", RESET);
    run_url(w, &a, "https", "harp.nc");
    assert_int_equal(a.status, 0);
    assert_false(a.timed_out);
}

/* ---- settings ---- */

static void assert_refused(struct web *w, const char *says)
{
    char err[256] = "";
    assert_null(fetcher_new(&w->loop, &w->set, err, sizeof(err)));
    if (!strstr(err, says)) {
        fail_msg("expected \"%s\" in: %s", says, err);
    }
    assert_null(strstr(err, "secret"));
}

static void a_ca_file_that_cannot_be_used_is_refused(void **state)
{
    struct web *w = *state;
    w->set.ca_file = "/nonexistent/ca.pem";
    assert_refused(w, "the CA file /nonexistent/ca.pem can't be used: No such file or directory");
    shake_put("empty.pem", "no certificate\n");
    w->set.ca_file = shake_at("empty.pem");
    assert_refused(w, "empty.pem can't be used: there is no certificate in it");
    w->set.ca_file = w->set.proxy = "";
    web_start(w);
}

static void a_proxy_that_is_written_wrong_is_refused(void **state)
{
    static const char *const wrong[] = {
        "127.0.0.1:1",
        "http://127.0.0.1",
        "https://127.0.0.1:1",
        "socks5://secret@a:1",
        "http://secret@:1",
        "http://me:secret@a:b",
        "secret",
        "http://secret@a:1 b",
    };
    struct web *w = *state;
    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
        w->set.proxy = wrong[i];
        assert_refused(w, "a proxy is written http://[user:password@]host:port");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_name_is_looked_up),
        TEST(a_name_that_does_not_exist_is_told),
        TEST(a_look_up_that_takes_too_long_is_told),
        TEST(cancelling_does_not_wait_for_the_look_up),
        TEST(fetcher_free_does_not_wait_for_the_look_up),
        TEST(the_environments_proxies_do_not_count),
        TEST(a_proxy_is_asked_for_everything),
        TEST(a_proxy_sees_nothing_of_an_https_request),
        TEST(header_lines_of_a_proxy_without_end_are_a_failure),
        TEST(a_proxy_that_refuses_is_named_without_its_password),
        TEST(a_certificate_of_the_given_ca_is_accepted),
        TEST(only_http_1_1_is_offered),
        TEST(a_certificate_of_another_ca_is_refused),
        TEST(a_certificate_of_an_unknown_ca_is_refused),
        TEST(a_certificate_for_another_name_is_refused),
        TEST(a_tls_server_that_breaks_off_is_a_failure),
        TEST(a_ca_file_that_cannot_be_used_is_refused),
        TEST(a_proxy_that_is_written_wrong_is_refused),
    };
    return cmocka_run_group_tests(tests, shake_set_up, shake_tear_down);
}
