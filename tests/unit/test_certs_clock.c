/* The tunnel's certificates on machines whose clock is wrong for a while. This file's time() stands in for the
 * system's, for OpenSSL, too. */
#include "hub/tunnel/certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "common/crypto/pemfile.h"
#include "tests/unit/certs_bench.h"

#define YEAR (INT64_C(365) * 24 * 3600)

static const int64_t begin = 300;        /* 1970: a clock without a battery */
static const int64_t right = 1800000000; /* 2027 */
static const int64_t far = 1800000000 + 5 * YEAR;
static int64_t now;

time_t time(time_t *out)
{
    if (out) {
        *out = (time_t)now;
    }
    return (time_t)now;
}

/* All three certificates are good at that time. */
static void assert_valid(struct bench *b, int64_t at)
{
    static const char *const names[] = {"ca.crt", "server.crt", "client.crt"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct pem_file file;
        int64_t from, until;
        assert_int_equal(
            pem_file_read_certs(&file, bench_path(b, names[i]), b->err, sizeof(b->err)), 0);
        assert_int_equal(pem_cert_times(sk_X509_value(file.certs, 0), &from, &until), 0);
        assert_true(from <= at && at < until);
        pem_file_free(&file);
    }
}

static void made_before_the_time_is_known_they_are_good_afterwards(void **state)
{
    struct bench *b = *state;
    now = begin;
    bench_must_open(b);
    assert_valid(b, begin);
    assert_valid(b, right);
    now = right;
    bench_must_open(b);
    assert_string_equal(b->told, "");
}

static void issued_before_the_time_is_known_they_are_good_afterwards(void **state)
{
    struct bench *b = *state;
    struct certs_pair pair;
    now = right;
    bench_must_open(b);
    now = begin;
    assert_int_equal(certs_issue_client(&b->c, "nc_app_talk", 365, &pair, b->err, sizeof(b->err)),
                     0);
    bench_spill(bench_path(b, "client.crt"), pair.cert);
    bench_spill(bench_path(b, "client.key"), pair.key);
    certs_pair_free(&pair);
    now = CERTS_CLOCK_MIN + 300 * INT64_C(24) * 3600;
    assert_valid(b, now);
    bench_must_open(b);
}

static void issued_by_a_clock_that_was_ahead_they_are_good_afterwards(void **state)
{
    struct bench *b = *state;
    now = right;
    bench_must_open(b);
    now = far;
    assert_true(bench_shell(b, "rm server.crt server.key client.crt client.key"));
    bench_must_open(b);
    now = right;
    assert_valid(b, right);
    bench_must_open(b);
}

static void a_clock_far_ahead_ends_the_start_and_spoils_nothing(void **state)
{
    struct bench *b = *state;
    struct bench_six before, after;
    now = right;
    assert_int_equal(bench_open_days(b, 365), 0);
    bench_snapshot(b, &before);
    now = far;
    bench_must_refuse(b, "the CA expired on 2028");
    bench_must_refuse(b, "is the clock right? it says 2032");
    bench_snapshot(b, &after);
    bench_assert_same_but(&before, &after, -1, -1);
    now = right;
    assert_int_equal(bench_open_days(b, 365), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(made_before_the_time_is_known_they_are_good_afterwards),
        TEST(issued_before_the_time_is_known_they_are_good_afterwards),
        TEST(issued_by_a_clock_that_was_ahead_they_are_good_afterwards),
        TEST(a_clock_far_ahead_ends_the_start_and_spoils_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
