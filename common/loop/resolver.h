/* resolver.h - host names to addresses, off the loop, remembered for a short time.
 *
 * Uses the system's resolver (so /etc/hosts and search domains count) on libuv's threads. Who asks for
 * a name that is being looked up waits for the same answer. Answers are kept for RESOLVER_KEEP_MS,
 * failures are not. Owned by main; freed after all look-ups ended
 * or were cancelled.
 */
#ifndef HARP_LOOP_RESOLVER_H
#define HARP_LOOP_RESOLVER_H

#include <sys/socket.h>

#include "common/loop/loop.h"

enum {
    RESOLVER_LIMIT_MS = 10000, /* for a look-up, unless told otherwise */
    RESOLVER_KEEP_MS = 5000,
    RESOLVER_MAX_ADDRS = 8,
    RESOLVER_MAX_NAMES = 256,
};

struct resolver;
struct lookup;

struct resolved {
    struct sockaddr_storage sa[RESOLVER_MAX_ADDRS]; /* port 0 */
    socklen_t len[RESOLVER_MAX_ADDRS];
    unsigned n; /* 0: failed, why is set */
    bool timed_out;
    const char *why;
};

/* Called from the loop, never from inside resolver_ask; r is valid during the call. */
typedef void resolver_done(void *owner, const struct resolved *r);

/* limit: ms that a look-up may take, for all who wait for it. */
struct resolver *resolver_new(struct loop *l, uint64_t limit);
void resolver_free(struct resolver *r);
/* NULL when the answer is there at once: *now is filled (an address, or a remembered name). */
struct lookup *resolver_ask(struct resolver *r, const char *host, struct resolved *now,
                            resolver_done *done, void *owner);
void resolver_cancel(struct lookup *q);

#endif
