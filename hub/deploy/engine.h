/* engine.h - calls of the hub's own to Docker engines: one HTTP request of the Docker Engine API each.
 *
 *   engine_ask -> API version known? -> a stream to the engine (upstream.h) -> common/fetch/call.h
 *
 * An engine is named by its port, 24000..24099 (upstream.h says where that leads). Every call has a
 * connection of its own, so that nothing has to be guessed about a kept one that ends while something
 * is created. The version prefix of the path is the hub's business: the engine is asked once
 * (`GET /version`), when its tunnel opens or at the first call, and again when it may be another one: after its tunnel came anew, after a call
 * that got no answer, and when it says that it does not speak the version.
 *
 * At most ENGINE_CALLS run at once for one engine; more fail at once. An answer over
 * ENGINE_ANSWER_MAX bytes is a failure.
 *
 * `struct engines` is owned by the hub and freed before tunnels, and after those who made calls: they cancel
 * what is under way.
 */
#ifndef HARP_HUB_ENGINE_H
#define HARP_HUB_ENGINE_H

#include "common/http/head.h"
#include "hub/hop.h"
#include "hub/tunnel/tunnels.h"

struct engine_call;
struct engines;
struct hub;

enum {
    ENGINE_CALLS = 64,
    ENGINE_ANSWER_MAX = 4 * 1024 * 1024,
    ENGINE_MESSAGE_MAX = 300, /* bytes, without the NUL */
    ENGINE_API_LOWEST = 24,   /* of the 1.N that the gate lets through, too */
    ENGINE_API_BEST = 41,     /* what the hub was made for: Docker 20.10 */
};

/* Borrowed until `done` or engine_cancel, but for the struct itself. */
struct engine_request {
    int64_t port;
    struct tunnel_origin origin;
    enum http_method method;
    const char *path; /* "/containers/NAME/json?..." without the version; copied */
    struct str body;  /* NULL: none */
    const char *type; /* its Content-Type, a literal */
    uint64_t timeout; /* ms for all of it */
};

struct engine_answer {
    int status;      /* 0: there was none; hop and why say what happened */
    struct str body; /* valid during the call */
    enum hop hop;
    bool timed_out;
    const char *why;
};

/* The engine's own words, made safe for a log and an answer of text: {"message": "..."} or, of others
 * than Docker, the body's beginning; at most size - 1 bytes and ENGINE_MESSAGE_MAX. */
void engine_message(const struct engine_answer *answer, char *out, size_t size);
/* The same, if the answer is that of a filter in front of the engine, whose policy lacks the call; else
 * false and an empty text. */
bool engine_refusal(const struct engine_answer *answer, char *out, size_t size);

/* Comes from the loop, never from inside engine_ask; the call is gone then. */
typedef void engine_done(void *owner, const struct engine_answer *answer);

struct engines *engines_new(struct hub *hub) MUST_CHECK;
void engines_free(struct engines *list);

struct engine_call *engine_ask(struct engines *list, const struct engine_request *request,
                               engine_done *done, void *owner) MUST_CHECK;
void engine_cancel(struct engine_call *call);

/* Asks the engine's version now if it is not known; the log says what came of it, and if it can't be used it is
 * asked again, after 1 s, doubling, at most 60 s. Done by itself for each engine whose tunnel opens, so that
 * whoever installs a Docker host sees at once whether the whole way works. */
void engine_look(struct engines *list, int64_t port);

/* The N of the API version 1.N that is spoken with it; 0: not known now. */
unsigned engine_api(const struct engines *list, int64_t port);
/* What `GET /version` of an engine says. 0, or -1: not what it should be. Of an API that is too old for
 * the hub *api is 0. */
int engine_read_version(struct str json, unsigned *api) MUST_CHECK;

#endif
