/* engine_stub.h - a Docker engine as a test plays it: for a test program that includes this, in place of
 * hub/deploy/engine.c. Calls are kept in the order they came; the test takes each one, sees what it asks, and
 * answers it when it likes, from its own code as the loop would. */
#ifndef HARP_UNIT_ENGINE_STUB_H
#define HARP_UNIT_ENGINE_STUB_H

#include <stdio.h>
#include <stdlib.h>

#include "hub/deploy/engine.h"

enum { STUB_CALLS = 2048 };

struct engine_call {
    engine_done *done;
    void *owner;
    int64_t port;
    enum http_method method;
    char path[1100];
    const char *type;
    char *body; /* NULL: none */
    size_t n;
    uint64_t timeout;
    struct tunnel_origin origin;
    bool open, cancelled;
};

static struct engine_call stub_calls[STUB_CALLS];
static unsigned stub_asked, stub_seen; /* calls that came; of these, the test has taken */
static unsigned stub_api;              /* what engine_api says */

struct engine_call *engine_ask(struct engines *list UNUSED, const struct engine_request *request,
                               engine_done *done, void *owner)
{
    assert_true(stub_asked < STUB_CALLS);
    struct engine_call *c = &stub_calls[stub_asked++];
    *c = (struct engine_call){.done = done,
                              .owner = owner,
                              .port = request->port,
                              .method = request->method,
                              .type = request->type,
                              .n = request->body.n,
                              .timeout = request->timeout,
                              .origin = request->origin,
                              .open = true};
    assert_true((size_t)snprintf(c->path, sizeof(c->path), "%s", request->path) < sizeof(c->path));
    if (request->body.p) {
        c->body = malloc(c->n + 1);
        assert_non_null(c->body);
        memcpy(c->body, request->body.p, c->n);
        c->body[c->n] = '\0';
    }
    return c;
}

void engine_cancel(struct engine_call *c)
{
    assert_true(c->open);
    c->open = false;
    c->cancelled = true;
}

unsigned engine_api(const struct engines *list UNUSED, int64_t port UNUSED)
{
    return stub_api;
}

/* The rest of engine.h, so that the linker leaves hub/deploy/engine.c out. */
struct engines *engines_new(struct hub *hub UNUSED)
{
    return NULL;
}

void engines_free(struct engines *list UNUSED)
{
}

int engine_read_version(struct str json UNUSED, unsigned *api UNUSED)
{
    return -1;
}

static inline void stub_reset(void)
{
    for (unsigned i = 0; i < stub_asked; i++) {
        free(stub_calls[i].body);
    }
    stub_asked = stub_seen = stub_api = 0;
}

static inline unsigned stub_open(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < stub_asked; i++) {
        n += stub_calls[i].open;
    }
    return n;
}

static inline const char *stub_method(enum http_method method)
{
    return method == HTTP_GET      ? "GET"
           : method == HTTP_POST   ? "POST"
           : method == HTTP_PUT    ? "PUT"
           : method == HTTP_DELETE ? "DELETE"
                                   : "?";
}

/* The next call, which must be this one: "GET /containers/x/json". */
static inline struct engine_call *stub_expect(const char *what)
{
    char got[1200];
    if (stub_seen == stub_asked) {
        fail_msg("nothing was asked where this should be: %s", what);
    }
    struct engine_call *c = &stub_calls[stub_seen++];
    snprintf(got, sizeof(got), "%s %s", stub_method(c->method), c->path);
    if (strcmp(got, what) != 0) {
        fail_msg("asked was %s, not %s", got, what);
    }
    assert_true(c->open);
    return c;
}

/* No call came that the test has not taken. */
static inline void stub_expect_none(void)
{
    if (stub_seen < stub_asked) {
        fail_msg("asked was %s %s", stub_method(stub_calls[stub_seen].method),
                 stub_calls[stub_seen].path);
    }
}

/* From memory of exactly its size, which is gone when this returns. */
static inline void stub_say(struct engine_call *c, int status, const char *p, size_t n)
{
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    assert_true(c->open);
    memcpy(copy, p, n);
    c->open = false;
    c->done(c->owner, &(struct engine_answer){
                          .status = status, .body = {copy, n}, .hop = HOP_ENGINE, .why = ""});
    free(copy);
}

static inline void stub_answer(struct engine_call *c, int status, const char *body)
{
    stub_say(c, status, body, strlen(body));
}

/* There was no answer. */
static inline void stub_fail(struct engine_call *c, enum hop hop, bool timed_out, const char *why)
{
    assert_true(c->open);
    c->open = false;
    c->done(c->owner, &(struct engine_answer){.hop = hop, .timed_out = timed_out, .why = why});
}

/* Expects it, and answers it at once. */
static inline void stub_step(const char *what, int status, const char *body)
{
    stub_answer(stub_expect(what), status, body);
}

#endif
