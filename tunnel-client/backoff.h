/* backoff.h - how long to wait before the next try to reach the hub.
 *
 * Pure: capped exponential growth with jitter, so that a hundred clients that lost one hub do not
 * come back in the same instant. Times are milliseconds.
 */
#ifndef HARP_TUNNEL_CLIENT_BACKOFF_H
#define HARP_TUNNEL_CLIENT_BACKOFF_H

#include "common/base/base.h"

struct backoff {
    uint64_t min, max;
    unsigned tries; /* since the last success */
};

/* The wait before the next try: between half of min * 2^tries and all of it, at most max. random is
 * any 32 random bits. The first try after a lost session comes almost at once (0..min/4), as that is
 * mostly a restarted hub. */
uint64_t backoff_next(struct backoff *b, uint32_t random);
void backoff_reset(struct backoff *b);

#endif
