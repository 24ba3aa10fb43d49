/* call.h - one HTTP request of our own on a stream that is connected already: an engine's socket, a
 * stream of a tunnel. (fetch.h is for servers that have an address: libcurl connects to them.)
 *
 * The request says `Connection: close`; the stream is used for it alone. The answer is read by the
 * strict parsers of common/http, whole, into memory of `answer_max` bytes at most; 1xx answers are
 * skipped, 101 is a failure. A server may answer before it has taken the whole body.
 *
 * A `struct call` owns the stream from call_start on. It ends by `done`, which comes from the loop and
 * may start other calls, or by call_cancel; the stream is closed then. How long it may take is its
 * owner's business. Answers may hold secrets: they are wiped.
 */
#ifndef HARP_FETCH_CALL_H
#define HARP_FETCH_CALL_H

#include "common/http/head.h"
#include "common/stream/stream.h"

enum { CALL_PATH_MAX = 4096 };

struct call;

/* Only read during call_start. Nothing in it may hold a CR, LF or NUL but the body. */
struct call_request {
    enum http_method method; /* GET, HEAD, POST, PUT or DELETE */
    const char *path;        /* and query; at most CALL_PATH_MAX bytes */
    const char *host;
    const char *agent;
    const char *type;  /* Content-Type of the body */
    struct str body;   /* NULL: none */
    size_t answer_max; /* bytes of an answer's body */
};

struct call_result {
    int status;      /* 0: there was no whole answer; why says what happened */
    struct str body; /* decoded; valid during `done` */
    const char *why; /* English, without secrets; "" with a status */
};

typedef void call_done(void *owner, const struct call_result *result);

struct call *call_start(struct stream *s, const struct call_request *request, call_done *done,
                        void *owner) MUST_CHECK;
void call_cancel(struct call *c);

#endif
