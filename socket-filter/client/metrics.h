/* metrics.h - counters, and their text for `GET /metrics` (Prometheus' text format 0.0.4). Plain values. */
#ifndef HARP_FILTER_METRICS_H
#define HARP_FILTER_METRICS_H

#include "common/base/base.h"
#include "socket-filter/audit/audit.h"

enum { METRICS_TEXT_MAX = 8192 };

struct metrics {
    uint64_t verdicts[AUDIT_UNAUTHORIZED + 1]; /* by enum audit_verdict */
    uint64_t connections;                      /* accepted */
    uint64_t refused_connections;              /* too many, or banned */
    uint64_t engine_connections;               /* opened to the engine */
    uint64_t engine_failures;                  /* could not be opened, or answered badly or late */
    uint64_t audit_failures;                   /* records that could not be written */
    uint64_t sent, received; /* bytes of answers to clients, of bodies from them */
};

/* Returns the length written, NUL-terminated. clients: connected now; execs: remembered. */
size_t metrics_text(const struct metrics *m, unsigned clients, unsigned execs,
                    char out[METRICS_TEXT_MAX]);

#endif
