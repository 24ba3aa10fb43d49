/* The socket filter's counters as Prometheus reads them (text format 0.0.4). */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "socket-filter/client/metrics.h"

/* In memory of exactly that size, so that a byte too many is seen. */
static char *text_of(const struct metrics *m, unsigned clients, unsigned execs)
{
    char *text = malloc(METRICS_TEXT_MAX);
    memset(text, '#', METRICS_TEXT_MAX);
    size_t n = metrics_text(m, clients, execs, text);
    assert_int_equal(strlen(text), n);
    return text;
}

static void has_line(const char *text, const char *line)
{
    char with_ends[128];
    snprintf(with_ends, sizeof(with_ends), "\n%s\n", line);
    if (!strstr(text, with_ends)) {
        fail_msg("no line '%s' in:\n%s", line, text);
    }
}

static void each_counter_has_its_line(void **state)
{
    struct metrics m = {.connections = 11,
                        .refused_connections = 12,
                        .engine_connections = 13,
                        .engine_failures = 14,
                        .audit_failures = 15,
                        .sent = 16,
                        .received = 17};
    (void)state;
    m.verdicts[AUDIT_PASSED] = 21;
    m.verdicts[AUDIT_REFUSED] = 22;
    m.verdicts[AUDIT_MALFORMED] = 23;
    m.verdicts[AUDIT_WOULD_REFUSE] = 24;
    m.verdicts[AUDIT_UNAUTHORIZED] = 25;
    char *text = text_of(&m, 18, 19);
    static const char *const rows[] = {
        "harp_filter_calls_total{verdict=\"passed\"} 21",
        "harp_filter_calls_total{verdict=\"refused\"} 22",
        "harp_filter_calls_total{verdict=\"malformed\"} 23",
        "harp_filter_calls_total{verdict=\"would-refuse\"} 24",
        "harp_filter_calls_total{verdict=\"unauthorized\"} 25",
        "harp_filter_clients 18",
        "harp_filter_execs 19",
        "harp_filter_connections_total 11",
        "harp_filter_refused_connections_total 12",
        "harp_filter_engine_connections_total 13",
        "harp_filter_engine_failures_total 14",
        "harp_filter_audit_failures_total 15",
        "harp_filter_sent_bytes_total 16",
        "harp_filter_received_bytes_total 17",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        has_line(text, rows[i]);
    }
    free(text);
}

/* HELP, TYPE, then lines of that name; counters end in _total, gauges do not. */
static void each_name_is_described_before_its_values(void **state)
{
    const struct metrics m = {.sent = 1};
    char name[64] = "", kind[16], first[64], described[64] = "";
    unsigned values = 0, names = 0;
    (void)state;
    char *text = text_of(&m, 0, 0), *rest = text;
    for (char *line = strsep(&rest, "\n"); rest; line = strsep(&rest, "\n")) {
        if (sscanf(line, "# HELP %63s", described) == 1) {
            assert_true(names == 0 || values > 0);
            names++;
            values = 0;
        } else if (sscanf(line, "# TYPE %63s %15s", name, kind) == 2) {
            size_t n = strlen(name);
            bool total = n > 6 && strcmp(name + n - 6, "_total") == 0;
            assert_string_equal(name, described);
            assert_string_equal(kind, total ? "counter" : "gauge");
        } else {
            assert_int_equal(sscanf(line, "%63[a-z_]", first), 1);
            assert_string_equal(first, name);
            values++;
        }
    }
    assert_int_equal(names, 10);
    free(text);
}

static void the_largest_values_fit(void **state)
{
    struct metrics m;
    (void)state;
    memset(&m, 0xff, sizeof(m));
    char *text = text_of(&m, ~0U, ~0U);
    has_line(text, "harp_filter_sent_bytes_total 18446744073709551615");
    has_line(text, "harp_filter_clients 4294967295");
    assert_true(strlen(text) < METRICS_TEXT_MAX - 1);
    has_line(text, "harp_filter_received_bytes_total 18446744073709551615"); /* the last one */
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_counter_has_its_line),
        cmocka_unit_test(each_name_is_described_before_its_values),
        cmocka_unit_test(the_largest_values_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
