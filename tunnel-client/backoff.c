#include "tunnel-client/backoff.h"

uint64_t backoff_next(struct backoff *b, uint32_t random)
{
    if (b->tries++ == 0) {
        return 1 + random % (b->min / 4 + 1);
    }
    uint64_t wait = b->min;
    for (unsigned i = 2; i < b->tries && wait < b->max; i++) {
        wait *= 2;
    }
    wait = MIN(wait, b->max);
    return wait / 2 + random % (wait / 2 + 1);
}

void backoff_reset(struct backoff *b)
{
    b->tries = 0;
}
