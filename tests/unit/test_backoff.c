/* The wait before the next try: grows, is spread, has an end, and starts over. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tunnel-client/backoff.h"

static const uint32_t randoms[] = {0,   1,     2,          249,        250,
                                   251, 12345, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF};

/* The smallest and the largest wait of the given try over many random numbers. */
static void range(uint64_t min, uint64_t max, unsigned tries, uint64_t *low, uint64_t *high)
{
    *low = UINT64_MAX;
    *high = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t random = i < ARRAY_LEN(randoms) ? randoms[i] : i * 2654435761U;
        struct backoff b = {.min = min, .max = max, .tries = tries};
        uint64_t wait = backoff_next(&b, random);
        *low = MIN(*low, wait);
        *high = MAX(*high, wait);
        assert_int_equal(b.tries, tries + 1);
    }
}

static void waits_between_half_and_all_of_a_doubling_time(void **state)
{
    static const struct {
        unsigned tries;
        uint64_t low, high;
    } rows[] = {
        {0, 1, 251},        {1, 500, 1000},          {2, 1000, 2000},   {3, 2000, 4000},
        {4, 4000, 8000},    {5, 8000, 16000},        {6, 10000, 20000}, {7, 10000, 20000},
        {50, 10000, 20000}, {1000000, 10000, 20000},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t low, high;
        range(1000, 20000, rows[i].tries, &low, &high);
        /* Nothing outside; and nearly all of it is used. */
        uint64_t slack = (rows[i].high - rows[i].low) / 100;
        if (low < rows[i].low || high > rows[i].high || low > rows[i].low + slack ||
            high < rows[i].high - slack) {
            fail_msg("row %zu: %llu..%llu", i, (unsigned long long)low, (unsigned long long)high);
        }
    }
}

static void is_never_zero(void **state)
{
    static const uint64_t mins[] = {1, 2, 3, 4, 1000};
    (void)state;
    for (size_t m = 0; m < ARRAY_LEN(mins); m++) {
        struct backoff b = {.min = mins[m], .max = 2000};
        assert_true(backoff_next(&b, 0) > 0);
    }
}

static void resetting_starts_over(void **state)
{
    struct backoff b = {.min = 1000, .max = 60000};
    (void)state;
    for (int i = 0; i < 10; i++) {
        (void)backoff_next(&b, 0xFFFFFFFF);
    }
    assert_true(backoff_next(&b, 0) >= 30000);
    backoff_reset(&b);
    assert_true(backoff_next(&b, 0xFFFFFFFF) <= 251);
    assert_in_range(backoff_next(&b, 7), 500, 1000);
}

static void large_times_do_not_overflow(void **state)
{
    struct backoff b = {.min = 1000, .max = UINT64_MAX / 4};
    uint64_t last = 0;
    (void)state;
    for (int i = 0; i < 100; i++) {
        uint64_t wait = backoff_next(&b, 0);
        assert_true(wait >= last || i == 0);
        assert_true(wait <= b.max);
        last = wait;
    }
    assert_int_equal(last, b.max / 2);
}

static void the_limit_holds_below_the_minimum_too(void **state)
{
    struct backoff b = {.min = 5000, .max = 1000, .tries = 1};
    (void)state;
    assert_true(backoff_next(&b, 0xFFFFFFFF) <= 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_between_half_and_all_of_a_doubling_time),
        cmocka_unit_test(is_never_zero),
        cmocka_unit_test(resetting_starts_over),
        cmocka_unit_test(large_times_do_not_overflow),
        cmocka_unit_test(the_limit_holds_below_the_minimum_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
