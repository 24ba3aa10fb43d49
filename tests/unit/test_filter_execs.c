/* The commands that were made through the socket filter: which ids are known, to whom, and for how long. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "common/docker/policy.h"
#include "socket-filter/client/execs.h"

static const struct docker_policy one, other;

/* The id of that number: 64 digits. */
static struct str id_of(unsigned number)
{
    static char text[65];
    snprintf(text, sizeof(text), "%064x", number);
    return (struct str){text, 64};
}

static void an_id_is_known_to_its_policy_alone(void **state)
{
    struct execs *e = execs_new(4);
    (void)state;
    assert_false(execs_known(e, &one, id_of(1)));
    execs_add(e, &one, id_of(1));
    execs_add(e, &other, id_of(2));
    assert_true(execs_known(e, &one, id_of(1)));
    assert_false(execs_known(e, &other, id_of(1)));
    assert_true(execs_known(e, &other, id_of(2)));
    assert_false(execs_known(e, &one, id_of(2)));
    assert_false(execs_known(e, &one, id_of(3)));
    assert_int_equal(execs_count(e), 2);
    execs_free(e);
}

static void a_part_of_an_id_is_not_known(void **state)
{
    struct execs *e = execs_new(1);
    (void)state;
    execs_add(e, &one, id_of(0));
    for (size_t n = 0; n < 64; n++) {
        assert_false(execs_known(e, &one, (struct str){id_of(0).p, n}));
    }
    assert_false(execs_known(e, &one, (struct str){id_of(0).p, 65}));
    assert_true(execs_known(e, &one, id_of(0)));
    execs_free(e);
}

static void what_is_no_id_is_not_taken_in(void **state)
{
    static const char *const rows[] = {
        "",
        "0",
        "000000000000000000000000000000000000000000000000000000000000000",
        "00000000000000000000000000000000000000000000000000000000000000000",
        "000000000000000000000000000000000000000000000000000000000000000A",
        "000000000000000000000000000000000000000000000000000000000000000g",
        "000000000000000000000000000000000000000000000000000000000000000/",
        "000000000000000000000000000000000000000000000000000000000000000\xc3",
    };
    struct execs *e = execs_new(4);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        execs_add(e, &one, str_of(rows[i]));
        assert_false(execs_known(e, &one, str_of(rows[i])));
    }
    execs_add(e, &one,
              (struct str){"000000000000000000000000000000000000000000000000000000000000000", 64});
    assert_int_equal(execs_count(e), 0);
    execs_free(e);
}

static void the_oldest_is_forgotten_for_a_new_one(void **state)
{
    static const unsigned sizes[] = {1, 2, 3, 7};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        unsigned max = sizes[i];
        struct execs *e = execs_new(max);
        for (unsigned n = 0; n < 30; n++) {
            execs_add(e, &one, id_of(n));
            assert_int_equal(execs_count(e), MIN(n + 1, max));
            for (unsigned k = 0; k <= n; k++) {
                assert_int_equal(execs_known(e, &one, id_of(k)), k + max > n);
            }
        }
        execs_free(e);
    }
    execs_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_known_to_its_policy_alone),
        cmocka_unit_test(a_part_of_an_id_is_not_known),
        cmocka_unit_test(what_is_no_id_is_not_taken_in),
        cmocka_unit_test(the_oldest_is_forgotten_for_a_new_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
