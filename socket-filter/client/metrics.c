#include "socket-filter/client/metrics.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const verdict_names[] = {"passed", "refused", "malformed", "would-refuse",
                                            "unauthorized"};

struct text {
    char *p;
    size_t n;
};

static void add(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void add(struct text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(t->p + t->n, METRICS_TEXT_MAX - t->n, fmt, args);
    va_end(args);
    t->n = MIN(t->n + (size_t)MAX(n, 0), (size_t)METRICS_TEXT_MAX - 1);
}

static void one(struct text *t, const char *name, const char *type, const char *help,
                uint64_t value)
{
    add(t,
        "# HELP harp_filter_%s %s\n# TYPE harp_filter_%s %s\n"
        "harp_filter_%s %llu\n",
        name, help, name, type, name, (unsigned long long)value);
}

size_t metrics_text(const struct metrics *m, unsigned clients, unsigned execs,
                    char out[METRICS_TEXT_MAX])
{
    struct text t = {out, 0};
    add(&t, "# HELP harp_filter_calls_total Calls by verdict.\n"
            "# TYPE harp_filter_calls_total counter\n");
    for (size_t i = 0; i < ARRAY_LEN(verdict_names); i++) {
        add(&t, "harp_filter_calls_total{verdict=\"%s\"} %llu\n", verdict_names[i],
            (unsigned long long)m->verdicts[i]);
    }
    one(&t, "clients", "gauge", "Clients that are connected.", clients);
    one(&t, "execs", "gauge", "Commands in containers that are remembered.", execs);
    one(&t, "connections_total", "counter", "Connections accepted.", m->connections);
    one(&t, "refused_connections_total", "counter", "Connections closed at once.",
        m->refused_connections);
    one(&t, "engine_connections_total", "counter", "Connections opened to the engine.",
        m->engine_connections);
    one(&t, "engine_failures_total", "counter", "Calls that failed at the engine.",
        m->engine_failures);
    one(&t, "audit_failures_total", "counter", "Records that could not be written.",
        m->audit_failures);
    one(&t, "sent_bytes_total", "counter", "Bytes of answers to clients.", m->sent);
    one(&t, "received_bytes_total", "counter", "Bytes of bodies from clients.", m->received);
    return t.n;
}
