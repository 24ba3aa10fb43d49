/* call_bench.h - for a test program that includes this: one call of common/fetch/call.h over a pair of
 * memory streams, and what it told. The other end, the server, is a witness. */
#ifndef HARP_UNIT_CALL_BENCH_H
#define HARP_UNIT_CALL_BENCH_H

#include <stdio.h>
#include <stdlib.h>

#include "common/fetch/call.h"
#include "tests/unit/memory_stream.h"

enum { ANSWER_ROOM = 64 * 1024 };

/* What `done` said, with copies. */
struct told {
    unsigned times;
    int status;
    char *body;
    size_t len;
    char why[160];
};

struct bench {
    struct loop loop;
    struct stream *client; /* the call's from call_start on */
    struct witness server;
    struct told told;
};

static inline void tell(void *owner, const struct call_result *r)
{
    struct told *t = owner;
    t->times++;
    t->status = r->status;
    t->len = r->body.n;
    t->body = malloc(r->body.n + 1);
    assert_non_null(t->body);
    if (r->body.n > 0) {
        memcpy(t->body, r->body.p, r->body.n);
    }
    t->body[r->body.n] = '\0';
    snprintf(t->why, sizeof(t->why), "%s", r->why);
    assert_true((r->status == 0) == (r->why[0] != '\0'));
    assert_true(r->status != 0 || r->body.n == 0);
}

/* A new pair of streams; the loop stays. */
static inline void bench_connect(struct bench *b, size_t capacity)
{
    struct stream *ends[2];
    memory_pair(&b->loop, capacity, ends);
    b->client = ends[0];
    witness_own(&b->server, ends[1]);
    b->told = (struct told){0};
}

static inline void bench_disconnect(struct bench *b)
{
    witness_end(&b->server);
    loop_settle(&b->loop);
    free(b->told.body);
    b->told = (struct told){0};
}

static inline int bench_set_up(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    *state = b;
    return !b || loop_init(&b->loop, NULL) < 0;
}

static inline int bench_tear_down(void **state)
{
    struct bench *b = *state;
    loop_free(&b->loop);
    free(b);
    return 0;
}

static inline struct call *bench_call(struct bench *b, enum http_method method, struct str body)
{
    const struct call_request q = {.method = method,
                                   .path = "/version",
                                   .host = "docker",
                                   .agent = "test",
                                   .type = "application/json",
                                   .body = body,
                                   .answer_max = ANSWER_ROOM};
    return call_start(b->client, &q, tell, &b->told);
}

#endif
