/* life.h - how a program of ours lives: signals, the order of its end, and word to the service manager.
 *
 *   life_begin ── the program starts up ── life_ready ── loop_run ── life_end
 *
 * SIGTERM, SIGINT: `stop` takes in nothing more, then `idle` is asked until nothing runs any more, for as
 * long as `stop` said at most; then the loop stops. A second signal stops it at once. SIGHUP: `reload`. From
 * life_ready on the service manager hears that it is ready, that it still turns (where it asks for that), and
 * that it stops.
 *
 * Embedded in main's own struct, zeroed. Its signal handles are closed by loop_free.
 */
#ifndef HARP_SYSTEM_LIFE_H
#define HARP_SYSTEM_LIFE_H

#include <uv.h>

#include "common/loop/loop.h"

enum { LIFE_SIGNALS = 3 };

struct life_events {
    uint64_t (*stop)(void *owner); /* returns for how many ms at most what runs may go on */
    bool (*idle)(void *owner);     /* whether nothing runs any more; asked again and again */
    unsigned (*left)(void *owner); /* how many connections the end cuts off; for the log */
    void (*reload)(void *owner);   /* not called any more once it stops */
};

struct life {
    struct loop *loop;
    const char *area; /* of its lines in the log */
    const struct life_events *events;
    void *owner;
    uv_signal_t signals[LIFE_SIGNALS];
    struct timer limit, poll, watchdog;
    uint64_t watchdog_ms;
    bool stopping;
};

/* Before anything that may take time: a stop that comes while the program starts is a stop, too. Also lets the
 * process have as many descriptors as the system grants it: every connection is one. */
void life_begin(struct life *life, struct loop *loop, const char *area,
                const struct life_events *events, void *owner);
/* Logs "ready; version ..." at any level: scripts wait for that line. */
void life_ready(struct life *life, const char *version);
/* Before loop_free. Harmless for a life that did not begin. */
void life_end(struct life *life);

#endif
