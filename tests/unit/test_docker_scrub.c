/* Environments in engines' answers: their values go, all else stays. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/base/buf.h"
#include "common/docker/scrub.h"

/* Feeds in pieces, and takes after each. 0, or -1 and *why. */
static int scrub_in(struct str in, size_t piece, struct buf *out, const char **why)
{
    struct scrub *s = scrub_new();
    struct str some;
    int rc = 0;
    for (size_t i = 0; i < in.n && rc == 0; i += piece) {
        size_t n = MIN(piece, in.n - i);
        char *exact = malloc(n); /* a read behind it is seen */
        memcpy(exact, in.p + i, n);
        rc = scrub_feed(s, exact, n, why);
        free(exact);
        some = scrub_take(s);
        buf_append(out, some.p, some.n);
        assert_int_equal(scrub_take(s).n, 0);
    }
    if (rc == 0) {
        rc = scrub_end(s, why);
        some = scrub_take(s);
        buf_append(out, some.p, some.n);
    } else {
        const char *again = NULL; /* it stays so */
        assert_int_equal(scrub_feed(s, "{}", 2, &again), -1);
        assert_int_equal(scrub_end(s, &again), -1);
        assert_string_equal(again, *why);
        assert_int_equal(scrub_take(s).n, 0);
    }
    scrub_free(s);
    return rc;
}

static const size_t pieces[] = {SIZE_MAX / 2, 1, 2, 3, 7};

static void check(const char *in, const char *want)
{
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        struct buf out = {0};
        const char *why = NULL;
        if (scrub_in(str_of(in), pieces[i], &out, &why) != 0) {
            fail_msg("%s: %s", in, why);
        }
        buf_append(&out, "", 1);
        assert_string_equal(buf_head(&out), want);
        buf_free(&out);
    }
}

static void check_fails_bytes(struct str in, const char *want)
{
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        struct buf out = {0};
        const char *why = NULL;
        if (scrub_in(in, pieces[i], &out, &why) != -1) {
            fail_msg("%.*s was taken", STR_ARG(in));
        }
        assert_string_equal(why, want);
        buf_free(&out);
    }
}

static void check_fails(const char *in, const char *want)
{
    check_fails_bytes(str_of(in), want);
}

static void values_of_environments_are_hidden(void **state)
{
    (void)state;
    check("{\"Env\":[\"A=1\",\"PASSWORD=hunter2\"]}",
          "{\"Env\":[\"A=<hidden>\",\"PASSWORD=<hidden>\"]}");
    check("{\"Env\":[\"A=\",\"=b\",\"=\",\"A=b=c\"]}",
          "{\"Env\":[\"A=<hidden>\",\"=<hidden>\",\"=<hidden>\",\"A=<hidden>\"]}");
    check("{\"Env\":[\"A=\\u0041\\n\\\"\"]}", "{\"Env\":[\"A=<hidden>\"]}");
    check("{\"Env\":[\"A\\u003d1\"]}", "{\"Env\":[\"A=<hidden>\"]}");
    check("{\"\\u0045nv\":[\"A=1\"]}", "{\"Env\":[\"A=<hidden>\"]}");
    check("{\"Env\":[\"A=1\"],\"Env\":[\"B=1\"]}",
          "{\"Env\":[\"A=<hidden>\"],\"Env\":[\"B=<hidden>\"]}");
    check("{\"Env\":[\"\\u0000A=1\"]}", "{\"Env\":[\"\\u0000A=<hidden>\"]}");
}

static void elements_without_a_value_stay(void **state)
{
    (void)state;
    check("{\"Env\":[]}", "{\"Env\":[]}");
    check("{\"Env\":[\"A\",\"\",1,null,true]}", "{\"Env\":[\"A\",\"\",1,null,true]}");
    check("{\"Env\":null}", "{\"Env\":null}");
}

static void environments_are_found_at_any_depth(void **state)
{
    (void)state;
    check("[{\"Id\":\"x=y\",\"Config\":{\"Cmd\":[\"a=b\"],\"Env\":[\"A=1\"],\"Image\":\"i=j\"}}]",
          "[{\"Id\":\"x=y\",\"Config\":{\"Cmd\":[\"a=b\"],\"Env\":[\"A=<hidden>\"],\"Image\":\"i="
          "j\"}}]");
    check("{\"Spec\":{\"TaskTemplate\":{\"ContainerSpec\":{\"Env\":[\"A=1\"],\"Args\":[\"B=2\"]}}},"
          "\"PreviousSpec\":{\"TaskTemplate\":{\"ContainerSpec\":{\"Env\":[\"C=3\"]}}}}",
          "{\"Spec\":{\"TaskTemplate\":{\"ContainerSpec\":{\"Env\":[\"A=<hidden>\"],\"Args\":[\"B="
          "2\"]}}"
          "},\"PreviousSpec\":{\"TaskTemplate\":{\"ContainerSpec\":{\"Env\":[\"C=<hidden>\"]}}}}");
}

static void only_elements_of_an_array_under_the_key_are_changed(void **state)
{
    static const char *const same[] = {
        "{\"Env\":\"A=1\"}",
        "{\"Env\":{\"A\":\"B=1\"}}",
        "{\"Env\":{\"A=1\":[\"B=1\"]}}",
        "{\"Env\":[[\"A=1\"]]}",
        "{\"Env\":[{\"A\":\"B=1\"}]}",
        "{\"Env\":[{\"A\":[\"B=1\"]}]}",
        "{\"env\":[\"A=1\"],\"ENV\":[\"A=1\"],\"Env \":[\"A=1\"],\" Env\":[\"A=1\"]}",
        "{\"Envs\":[\"A=1\"],\"En\":[\"A=1\"],\"\":[\"A=1\"],\"Env\\u0000\":[\"A=1\"]}",
        "[\"Env\",[\"A=1\"]]",
        "{\"a\":\"\\\"Env\\\":[\\\"A=1\\\"]\"}",
        "{\"Env\":1,\"x\":[\"A=1\"]}",
        "{\"Env\":null,\"x\":[\"A=1\"]}",
        "{\"Env\":true,\"x\":[\"A=1\"]}",
        "{\"Env\":\"x\",\"x\":[\"A=1\"]}",
        "{\"Env\":{},\"x\":[\"A=1\"]}",
        "{\"Env\":[],\"x\":[\"A=1\"]}",
        "{\"Env\":[[],{},\"A\"],\"x\":[\"A=1\"]}",
        "[\"A=1\"]",
        "\"A=1\"",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        check(same[i], same[i]);
    }
    /* Behind what is deeper, the array is still one under Env. */
    check("{\"Env\":[[\"A=1\"],{\"Env\":[\"B=1\"]},\"C=1\"]}",
          "{\"Env\":[[\"A=1\"],{\"Env\":[\"B=<hidden>\"]},\"C=<hidden>\"]}");
}

static void numbers_stay_digit_by_digit(void **state)
{
    (void)state;
    check("[1e400,0.10,-0,-0.0,1E+5,12345678901234567890123,9223372036854775808,0,1.0]",
          "[1e400,0.10,-0,-0.0,1E+5,12345678901234567890123,9223372036854775808,0,1.0]");
    check("42", "42");
    check(" -1.50 ", "-1.50");
}

static void strings_keep_their_meaning(void **state)
{
    (void)state;
    check("[\"\\u003c\\/\\u00e4\\ud83d\\ude00\\n\\u0001\\u007f\\u2028\"]",
          "[\"</\xc3\xa4\xf0\x9f\x98\x80\\n\\u0001\x7f\xe2\x80\xa8\"]");
    check("[\"\\\"\\\\\\b\\f\\r\\t\"]", "[\"\\\"\\\\\\b\\f\\r\\t\"]");
    check("[\"\xc3\xa4\xf0\x9f\x98\x80\"]", "[\"\xc3\xa4\xf0\x9f\x98\x80\"]");
    check("{\"\\\\\":\"\\\\\",\"\\\"\":\"\"}", "{\"\\\\\":\"\\\\\",\"\\\"\":\"\"}");
    check(" { \"a\" : [ 1 , true , false , null ] ,\r\n\t\"b\" : { } } \n",
          "{\"a\":[1,true,false,null],\"b\":{}}");
}

static void what_no_engine_writes_is_a_failure(void **state)
{
    static const char *const rows[] = {
        "{\"Env\":[\"A=1\"]]",
        "{\"a\":}",
        "{\"a\" 1}",
        "{1:2}",
        "[1,]",
        "[,1]",
        "{\"a\":1,}",
        "nul ",
        "[truefalse]",
        "[01]",
        "[1.]",
        "[.5]",
        "[+1]",
        "[--1]",
        "['a']",
        "[\"\\x41\"]",
        "[\"a\nb\"]",
        "{} {}",
        "{} x",
        "{} \"Env\"",
        "1 2 ",
        "[1]//",
        "/**/[1]",
        "[NaN]",
        "[1 2]",
        "[\"a\"\"b\"]",
        "\xef\xbb\xbf{}",
        "[\xc3\xa4]",
        "}",
        "{}}",
        "[\"a\tb\"]",
        "[1e]X",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check_fails(rows[i], "it is not JSON");
    }
    check_fails("{}\v", "it is not JSON");
    check_fails("[\f]", "it is not JSON");
    check_fails_bytes(STR("[\0]"), "it is not JSON");
    check_fails_bytes(STR("[\"\0\"]"), "it is not JSON");
    check_fails("[\"\xff\"]", "invalid UTF-8");
    check_fails("[\"\xc3\"]", "invalid UTF-8");
    check_fails("[\"\xc0\xaf\"]", "invalid UTF-8");
    check_fails("[\"\xed\xa0\x80\"]", "invalid UTF-8");
    check_fails("{\"\xf4\x90\x80\x80\":1}", "invalid UTF-8");
    check_fails("[\"\\ud800\"]", "wrong \\u escape");
    check_fails("[\"\\udc00\\ud800\"]", "wrong \\u escape");
    check_fails("[\"\\ud800\\n\"]", "wrong \\u escape");
    check_fails("[\"\\u12g4\"]", "wrong \\u escape");
    check_fails("[\"\\u123\"]", "wrong \\u escape");
}

static void an_answer_that_stops_in_the_middle_is_a_failure(void **state)
{
    static const char whole[] = "{\"Env\":[\"A=\\\"1\",true,-1.5],\"x\":{\"y\":null}}";
    (void)state;
    for (size_t n = 0; n < sizeof(whole) - 1; n++) {
        check_fails_bytes((struct str){whole, n}, "it stops before its end");
    }
    check("{}", "{}");
    check_fails("{}\"", "it stops before its end");
    check_fails(" \n", "it stops before its end");
    check_fails("-", "it stops before its end");
    check_fails("1.", "it stops before its end");
    check_fails("{} tru", "it stops before its end");
}

static void depth_has_a_limit(void **state)
{
    (void)state;
    for (unsigned over = 0; over < 2; over++) {
        char in[8 * SCRUB_DEPTH] = "", want[8 * SCRUB_DEPTH] = "";
        unsigned depth = SCRUB_DEPTH + over;
        for (unsigned i = 0; i < depth - 1; i++) {
            strcat(in, i % 2 ? "[" : "{\"Env\":");
        }
        strcpy(want, in);
        strcat(in, "[\"A=1\"]");
        strcat(want, "[\"A=<hidden>\"]");
        for (unsigned i = depth - 1; i-- > 0;) {
            strcat(in, i % 2 ? "]" : "}");
            strcat(want, i % 2 ? "]" : "}");
        }
        if (over) {
            check_fails(in, "it is nested too deep");
        } else {
            check(in, want);
        }
    }
}

/* `pad` bytes between the quotes of an element under Env, the first of which are "A=". */
static struct str long_string(struct buf *b, size_t pad)
{
    buf_append(b, "{\"Env\":[\"A=", 11);
    memset(buf_reserve(b, pad - 2), 'x', pad - 2);
    buf_added(b, pad - 2);
    buf_append(b, "\"]}", 3);
    return (struct str){buf_head(b), b->len};
}

static void a_string_has_a_limit(void **state)
{
    static const size_t some[] = {SIZE_MAX / 2, 1, 4096, 65536};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(some); i++) {
        struct buf in = {0}, out = {0}, over = {0};
        const char *why = NULL;
        assert_int_equal(scrub_in(long_string(&in, SCRUB_STRING_MAX - 2), some[i], &out, &why), 0);
        assert_int_equal(out.len, strlen("{\"Env\":[\"A=<hidden>\"]}"));
        assert_int_equal(scrub_in(long_string(&over, SCRUB_STRING_MAX - 1), some[i], &out, &why),
                         -1);
        assert_string_equal(why, "it has a string that is too long");
        buf_free(&in);
        buf_free(&out);
        buf_free(&over);
    }
}

static void a_number_has_a_limit(void **state)
{
    char in[SCRUB_WORD_MAX + 8];
    (void)state;
    memset(in, '1', sizeof(in));
    in[0] = '[';
    strcpy(in + 1 + SCRUB_WORD_MAX, "]");
    check(in, in);
    in[1 + SCRUB_WORD_MAX] = '1';
    strcpy(in + 2 + SCRUB_WORD_MAX, "]");
    check_fails(in, "it has a number that is too long");
}

static void what_was_taken_does_not_come_again(void **state)
{
    struct scrub *s = scrub_new();
    const char *why = NULL;
    struct str some;
    (void)state;
    assert_int_equal(scrub_take(s).n, 0);
    assert_int_equal(scrub_feed(s, "{\"Env\":[\"A=1\"", 13, &why), 0);
    some = scrub_take(s);
    assert_true(str_eq(some, STR("{\"Env\":[\"A=<hidden>\"")));
    assert_int_equal(scrub_take(s).n, 0);
    assert_int_equal(scrub_feed(s, ",\"B", 3, &why), 0);
    assert_int_equal(scrub_take(s).n, 0); /* the comma comes with what it divides */
    assert_int_equal(scrub_feed(s, "=2\"]}", 5, &why), 0);
    assert_int_equal(scrub_end(s, &why), 0);
    some = scrub_take(s);
    assert_true(str_eq(some, STR(",\"B=<hidden>\"]}")));
    scrub_free(s);
    scrub_free(NULL);
}

static void an_unfinished_one_can_be_given_up(void **state)
{
    static const char *const rows[] = {"", "{", "{\"Env", "{\"Env\":[\"A=1", "[1", "x", "[\"\\"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct scrub *s = scrub_new();
        const char *why = NULL;
        int rc = scrub_feed(s, rows[i], strlen(rows[i]), &why);
        assert_int_equal(rc, rows[i][0] == 'x' ? -1 : 0);
        scrub_free(s); /* the leak checker tells the rest */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_environments_are_hidden),
        cmocka_unit_test(elements_without_a_value_stay),
        cmocka_unit_test(environments_are_found_at_any_depth),
        cmocka_unit_test(only_elements_of_an_array_under_the_key_are_changed),
        cmocka_unit_test(numbers_stay_digit_by_digit),
        cmocka_unit_test(strings_keep_their_meaning),
        cmocka_unit_test(what_no_engine_writes_is_a_failure),
        cmocka_unit_test(an_answer_that_stops_in_the_middle_is_a_failure),
        cmocka_unit_test(depth_has_a_limit),
        cmocka_unit_test(a_string_has_a_limit),
        cmocka_unit_test(a_number_has_a_limit),
        cmocka_unit_test(what_was_taken_does_not_come_again),
        cmocka_unit_test(an_unfinished_one_can_be_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
