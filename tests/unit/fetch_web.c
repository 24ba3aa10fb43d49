#include "tests/unit/fetch_web.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/stream/listener.h"
#include "common/stream/tls.h"
#include "tests/unit/memory_stream.h"

struct web_conn {
    struct web *web;
    struct web_conn *next;
    struct stream *s; /* NULL: gone */
};

/* ---- the server ---- */

static void forget(struct web_conn *c)
{
    struct web *w = c->web;
    c->s = NULL;
    w->gone++;
    for (unsigned i = 0; i < w->n; i++) {
        if (w->asked[i].from == c) {
            w->open -= !w->asked[i].answered;
            w->asked[i].answered = true;
            w->asked[i].from = NULL;
        }
    }
}

static void say(struct web *w, unsigned i, const char *text, size_t len, enum after after)
{
    struct web_conn *c = w->asked[i].from;
    assert_non_null(c);
    assert_false(w->asked[i].answered);
    w->asked[i].answered = true;
    w->open--;
    if (len > 0) {
        stream_write(c->s, text, len);
    }
    if (after == CLOSE) {
        stream_shutdown(c->s);
    } else if (after == RESET) {
        stream_abort(c->s);
        forget(c);
    }
}

static size_t on_data(void *owner, struct stream *s UNUSED, const char *p, size_t n)
{
    struct web_conn *c = owner;
    struct web *w = c->web;
    const char *end = memmem(p, n, "\r\n\r\n", 4);
    if (!end) {
        return 0;
    }
    size_t len = (size_t)(end - p) + 4;
    struct asked *a = &w->asked[w->n];
    assert_true(w->n < ASKED_MAX && len < sizeof(a->head));
    memcpy(a->head, p, len);
    a->from = c;
    w->n++;
    w->open++;
    w->most_open = MAX(w->most_open, w->open);
    if (w->said < w->to_say) {
        unsigned i = w->said++;
        say(w, w->n - 1, w->say[i].text, w->say[i].len, w->say[i].after);
    }
    return len;
}

static void on_eof(void *owner, struct stream *s)
{
    forget(owner);
    stream_close(s);
}

static void on_closed(void *owner, struct stream *s UNUSED, const char *why UNUSED)
{
    forget(owner);
}

static const struct stream_events conn_events = {
    .data = on_data, .eof = on_eof, .closed = on_closed};

static void accepted(void *owner, int fd, const struct sock_addr *from UNUSED)
{
    struct web *w = owner;
    struct web_conn *c = xcalloc(1, sizeof(*c));
    c->web = w;
    c->next = w->conns;
    w->conns = c;
    w->accepted++;
    c->s = w->tls ? tls_accept(&w->loop, w->tls, fd, NULL, 0) : sock_adopt(&w->loop, fd);
    assert_non_null(c->s);
    stream_own(c->s, &conn_events, c);
}

void web_say_str(struct web *w, struct str text, enum after after)
{
    assert_true(w->to_say < ASKED_MAX);
    w->say[w->to_say].text = text.p;
    w->say[w->to_say].len = text.n;
    w->say[w->to_say++].after = after;
}

void web_say(struct web *w, const char *text, enum after after)
{
    web_say_str(w, str_of(text), after);
}

void web_answer(struct web *w, unsigned i, const char *text)
{
    assert_true(i < w->n);
    say(w, i, text, strlen(text), KEEP);
}

void web_hang_up(struct web *w)
{
    for (struct web_conn *c = w->conns; c; c = c->next) {
        if (c->s) {
            stream_shutdown(c->s);
        }
    }
}

/* ---- the fixture ---- */

int web_set_up(void **state)
{
    struct web *w = calloc(1, sizeof(*w));
    struct sock_addr at = {.len = sizeof(struct sockaddr_in)};
    struct sockaddr_in *in = (struct sockaddr_in *)&at.sa;
    char err[200];
    *state = w;
    if (!w || loop_init(&w->loop, NULL) < 0) {
        return -1;
    }
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    w->listener = listener_open(&w->loop, &at, "test", accepted, w, err, sizeof(err));
    if (!w->listener) {
        return -1;
    }
    w->port = ntohs(((const struct sockaddr_in *)&listener_address(w->listener)->sa)->sin_port);
    snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%u/x", w->port);
    w->set = (struct fetcher_settings){
        .at_once = 4, .waiting = 4, .connect_timeout = LIMIT, .timeout = LIMIT, .body_max = 1024};
    return 0;
}

int web_tear_down(void **state)
{
    struct web *w = *state;
    fetcher_free(w->fetcher);
    if (w->listener) {
        listener_close(w->listener);
    }
    for (struct web_conn *c = w->conns; c; c = c->next) {
        if (c->s) {
            stream_close(c->s);
        }
    }
    loop_free(&w->loop);
    while (w->conns) {
        struct web_conn *c = w->conns;
        w->conns = c->next;
        free(c);
    }
    SSL_CTX_free(w->tls);
    free(w);
    return 0;
}

void web_start(struct web *w)
{
    char err[256] = "";
    w->fetcher = fetcher_new(&w->loop, &w->set, err, sizeof(err));
    if (!w->fetcher) {
        fail_msg("%s", err);
    }
}

/* ---- the owners ---- */

static void on_done(void *owner, const struct fetch_result *r)
{
    static unsigned order;
    struct question *a = owner;
    a->done++;
    a->order = ++order;
    a->status = r->status;
    a->timed_out = r->timed_out;
    a->len = r->body.n;
    if (r->body.n > 0) {
        memcpy(a->body, r->body.p, MIN(r->body.n, sizeof(a->body) - 1));
    }
    a->as_expected = a->expected && memcmp(r->body.p, a->expected, r->body.n) == 0;
    snprintf(a->why, sizeof(a->why), "%s", r->why);
    if (a->then) {
        a->then(a);
    }
}

void question_new(struct web *w, struct question *a, const char *url)
{
    a->web = w;
    a->q = fetch_new(w->fetcher, url);
    assert_non_null(a->q);
}

void question_send(struct question *a)
{
    unsigned before = a->done;
    fetch_send(a->q, on_done, a);
    assert_int_equal(a->done, before);
}

void question_ask(struct web *w, struct question *a)
{
    question_new(w, a, w->url);
    question_send(a);
}

void question_wait(struct question *a)
{
    loop_settle(&a->web->loop); /* a task's work alone would not wake the loop */
    if (!loop_until_set(&a->web->loop, &a->done, LIMIT)) {
        fail_msg("no end came; the server was asked %u times", a->web->n);
    }
    assert_int_equal(a->done, 1);
}

void question_run(struct web *w, struct question *a)
{
    question_ask(w, a);
    question_wait(a);
}

struct count {
    struct web *web;
    unsigned n;
};

static bool asked_enough(void *arg)
{
    const struct count *c = arg;
    return c->web->n >= c->n;
}

void web_until_asked(struct web *w, unsigned n)
{
    struct count c = {w, n};
    assert_true(loop_until(&w->loop, asked_enough, &c, LIMIT));
    assert_int_equal(w->n, n);
}

void web_assert_answer(const struct question *a, int status, const char *body)
{
    if (a->status != status) {
        fail_msg("status %d, not %d: %s", a->status, status, a->why);
    }
    assert_int_equal(a->len, strlen(body));
    assert_memory_equal(a->body, body, MIN(a->len, sizeof(a->body) - 1));
    assert_false(a->timed_out);
    assert_string_equal(a->why, "");
}

void web_assert_failure(const struct question *a, bool timed_out, const char *says)
{
    assert_int_equal(a->status, 0);
    assert_int_equal(a->len, 0);
    if (!strstr(a->why, says)) {
        fail_msg("expected \"%s\" in: %s", says, a->why);
    }
    assert_int_equal(a->timed_out, timed_out);
}
