/* relay.h - joins two streams: what one sends, the other gets.
 *
 * Each direction ends on its own: the end of one source becomes a half-close of the other stream,
 * and the opposite direction stays open. Nothing is queued beyond one read per direction.
 *
 * Owns both streams from relay_start on. Ends when both directions have ended, when a stream fails,
 * when nothing moved for `idle` ms, or by relay_stop; then `done` is called once (not by
 * relay_stop), both streams are closed, and the memory goes at the end of the turn.
 */
#ifndef HARP_STREAM_RELAY_H
#define HARP_STREAM_RELAY_H

#include "common/stream/stream.h"

struct relay;

struct relay_limits {
    uint64_t idle;      /* ms without a byte in any direction; 0 none */
    uint64_t half_idle; /* the same once one direction has ended; 0 none */
};

/* a_to_b, b_to_a: bytes relayed. failed: NULL after a proper end, else why. */
typedef void relay_done(void *owner, uint64_t a_to_b, uint64_t b_to_a, const char *failed);

struct relay *relay_start(struct stream *a, struct stream *b, const struct relay_limits *limits,
                          relay_done *done, void *owner);
void relay_stop(struct relay *r);
/* ms since the last byte; *from_a: it came from a. For a request-and-answer protocol asked at a, a
 * relay whose last byte came from b and is some time ago is between two requests. */
uint64_t relay_quiet(const struct relay *r, bool *from_a);
/* Whether b sent a byte so far. */
bool relay_answered(const struct relay *r);

#endif
