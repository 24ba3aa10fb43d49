/* fetch_web.h - an HTTP server that says what a test tells it to, a fetcher that asks it, and what
 * became of each request. All of it on one loop.
 *
 * The server answers a request with the next of the answers it was given (web_say); with none left
 * it holds the request until web_answer. What it was asked stays readable until the end. The bench
 * belongs to the fixture. Questions belong to the test and must live until it has ended.
 */
#ifndef HARP_UNIT_FETCH_WEB_H
#define HARP_UNIT_FETCH_WEB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "common/fetch/fetch.h"

enum { ASKED_MAX = 32, LIMIT = 10000 };

/* What follows an answer. */
enum after { KEEP, CLOSE, RESET };

struct web_conn;

/* A request as the server sees it. */
struct asked {
    struct web_conn *from; /* NULL: the connection is gone */
    char head[2048];
    bool answered;
};

struct web {
    struct loop loop;
    struct fetcher_settings set; /* the test's to change before web_start */
    struct fetcher *fetcher;
    struct listener *listener;
    SSL_CTX *tls; /* set: the server speaks TLS */
    unsigned port;
    char url[64]; /* http://127.0.0.1:port/x */
    struct web_conn *conns;
    unsigned accepted, gone; /* connections */
    struct asked asked[ASKED_MAX];
    unsigned n, open, most_open; /* requests; without an answer yet */
    struct {
        const char *text;
        size_t len;
        enum after after;
    } say[ASKED_MAX];
    unsigned said, to_say;
};

/* A request as its owner sees it. */
struct question {
    struct web *web;
    struct fetch *q;
    unsigned done; /* how many times it was told: once */
    unsigned order;
    int status;
    bool timed_out;
    char body[256]; /* its beginning */
    size_t len;
    const char *expected; /* or NULL: the body, in memory of the same length */
    bool as_expected;
    char why[512];
    void (*then)(struct question *); /* called by `done` */
    struct question *other;
};

int web_set_up(void **state);
int web_tear_down(void **state);

void web_start(struct web *w);
/* Answers in the order of requests. The text must stay valid. */
void web_say(struct web *w, const char *text, enum after after);
void web_say_str(struct web *w, struct str text, enum after after);
/* Answers the request asked[i], which is held. */
void web_answer(struct web *w, unsigned i, const char *text);
/* Ends all of the server's connections, in order. */
void web_hang_up(struct web *w);

void question_new(struct web *w, struct question *a, const char *url);
void question_send(struct question *a);
/* question_new and question_send to the server's url. */
void question_ask(struct web *w, struct question *a);
/* Until it was told. */
void question_wait(struct question *a);
/* Asks and waits. */
void question_run(struct web *w, struct question *a);

void web_until_asked(struct web *w, unsigned n);
void web_assert_answer(const struct question *a, int status, const char *body);
/* Failed, in time or for it, with these words. */
void web_assert_failure(const struct question *a, bool timed_out, const char *says);

#endif
