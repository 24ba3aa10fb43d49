/* forward.h - what goes on to the engine, and what comes back to the client.
 *
 * Pure; allocates nothing. Functions that write return the length written, or 0 when `cap` is too
 * small; only docker_verdict_message writes a NUL behind it, which needs room, too.
 *
 * Nothing of the client's head goes on as it came but the values of three fields: the request line is
 * built from the judged call, and Host and framing are the gate's own (the gate's specification, "own
 * framing outwards").
 */
#ifndef HARP_DOCKER_FORWARD_H
#define HARP_DOCKER_FORWARD_H

#include "common/docker/policy.h"

/* Enough for every call that passes and whose head the parser took under HTTP_LIMITS_DEFAULT: the query may
 * grow threefold, and three fields of one line each go on. */
#define DOCKER_FORWARD_MAX (64u * 1024)

/* Bytes enough for a verdict's message, and for its JSON text. */
#define DOCKER_MESSAGE_MAX 320u
#define DOCKER_MESSAGE_BODY_MAX (6 * DOCKER_MESSAGE_MAX + 32)

/* What goes on behind the head, and what becomes of the connection. */
struct docker_forwarding {
    bool keep_alive; /* other requests may follow on the connection */
    bool upgrade;    /* to tcp */
    bool chunked;    /* an archive follows, in chunks */
    size_t length;   /* bytes of JSON that follow */
};

/* The whole head of a request. The path is
 * decoded, since ":", "/" and "@" may all stand in one; the query's values are encoded but for unreserved
 * characters. Of the client's fields the first Accept and User-Agent go on, and, where the rule says so,
 * X-Registry-Auth. Also 0 for a call that did not pass. `request` is the one it was judged with. */
size_t docker_forward_request(char *out, size_t cap, const struct docker_call *call,
                              const struct http_request *request,
                              const struct docker_forwarding *how) MUST_CHECK;

/* Whether a field of the engine's answer comes back: all but those the parser marked drop, and Location,
 * since the client can't go where the engine would send it. */
bool docker_answer_passes(const struct http_field *field);

/* The sentence for the client about a request that does not pass. */
size_t docker_verdict_message(const struct docker_verdict *verdict, char *out,
                              size_t cap) MUST_CHECK;

/* Docker's own shape of an error, {"message":"..."}, of type application/json. Also 0 when `message` is
 * not UTF-8. */
size_t docker_message_body(char *out, size_t cap, struct str message) MUST_CHECK;

#endif
