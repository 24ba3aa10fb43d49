/* Body framing: what is passed on, what is cut out, what is refused. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/http/body.h"

#define LIT(s) s, sizeof(s) - 1

/* What came of a body, with MORE when it needs further bytes. */
struct outcome {
    enum http_body_result result;
    char pass[40000];
    size_t passed;
    size_t used;
    uint64_t data;
    char trailers[9000];
    unsigned calls;
    const char *why;
};

static struct outcome one, two;

/* Feeds p in pieces of at most `step` bytes, as the header says a caller has to. */
static void run(struct outcome *o, enum http_framing framing, uint64_t length, bool decode,
                const char *p, size_t n, size_t step)
{
    struct http_body b;
    size_t have = 0;

    memset(o, 0, sizeof(*o));
    http_body_init(&b, framing, length, decode);
    do {
        have += MIN(step, n - have);
        for (;;) {
            size_t used, held = have - o->used;
            struct str pass;
            /* Exactly as large as the input, so that a read past it is noticed. */
            char *copy = malloc(held + 1);
            char *input = copy + 1;

            memcpy(input, p + o->used, held);
            o->result = http_body_feed(&b, input, held, &used, &pass);
            o->calls++;
            assert_true(used <= held);
            if (pass.n) {
                assert_true(pass.p >= input && pass.p + pass.n <= input + used);
                memcpy(o->pass + o->passed, pass.p, pass.n);
                o->passed += pass.n;
            }
            if (b.trailers.n && (o->result == HTTP_BODY_TRAILERS || o->result == HTTP_BODY_DONE))
                memcpy(o->trailers, b.trailers.p, b.trailers.n);
            o->used += used;
            free(copy);
            if (o->result != HTTP_BODY_MORE || used == 0)
                break;
        }
        assert_true(o->result != HTTP_BODY_MORE || have - o->used <= HTTP_BODY_HOLD);
    } while (have < n && o->result == HTTP_BODY_MORE);
    o->data = http_body_passed(&b);
    o->why = b.why;
    assert_int_equal(http_body_done(&b),
                     o->result == HTTP_BODY_DONE || o->result == HTTP_BODY_TRAILERS);
}

static void same_in_pieces(bool decode, const char *p, size_t n)
{
    run(&one, HTTP_BODY_CHUNKED, 0, decode, p, n, n);
    for (size_t step = 1; step < n && step < 40; step++) {
        run(&two, HTTP_BODY_CHUNKED, 0, decode, p, n, step);
        assert_int_equal(one.result, two.result);
        assert_int_equal(one.passed, two.passed);
        assert_memory_equal(one.pass, two.pass, one.passed);
        assert_int_equal(one.data, two.data);
        assert_string_equal(one.trailers, two.trailers);
        if (one.result == HTTP_BODY_BAD)
            assert_string_equal(one.why, two.why);
        else
            assert_int_equal(one.used, two.used);
    }
}

static void passes_chunked_bodies(void **state)
{
    static const struct {
        const char *in, *verbatim, *decoded, *trailers;
        size_t rest; /* bytes of the next message */
    } rows[] = {
        {"0\r\n\r\n", "0\r\n\r\n", "", "", 0},
        {"0\r\n\r\nGET", "0\r\n\r\n", "", "", 3},
        {"5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello", "", 0},
        {"5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n", "5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n",
         "hello0123456789", "", 0},
        {"0000000000000005\r\nhello\r\n000\r\n\r\n", "0000000000000005\r\nhello\r\n000\r\n\r\n",
         "hello", "", 0},
        {"b\r\n0\r\n\r\nGET / \r\n0\r\n\r\n", "b\r\n0\r\n\r\nGET / \r\n0\r\n\r\n",
         "0\r\n\r\nGET / ", "", 0},
        {"5;a=b\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello", "", 0},
        {"5;a\r\nhello\r\n0;b\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello", "", 0},
        {"5;a;b=c;d=\"e;\\\"\t\xff\"\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello", "",
         0},
        {"5; a = b\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello", "", 0},
        {"5;a=\"\"\r\nhello\r\n1\r\nx\r\n2;y\r\nzz\r\n0\r\n\r\n",
         "5\r\nhello\r\n1\r\nx\r\n2\r\nzz\r\n0\r\n\r\n", "helloxzz", "", 0},
        {"0\r\na: b\r\n\r\n", "0\r\n", "", "a: b\r\n\r\n", 0},
        {"1\r\nx\r\n0\r\na: b\r\nc:\r\n\r\nNEXT", "1\r\nx\r\n0\r\n", "x", "a: b\r\nc:\r\n\r\n", 4},
        {"1;e\r\nx\r\n0;f\r\na: b\r\n\r\n", "1\r\nx\r\n0\r\n", "x", "a: b\r\n\r\n", 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n = strlen(rows[i].in);
        bool trailers = rows[i].trailers[0] != 0;

        run(&one, HTTP_BODY_CHUNKED, 0, false, rows[i].in, n, n);
        if (one.result != (trailers ? HTTP_BODY_TRAILERS : HTTP_BODY_DONE))
            fail_msg("row %zu: result %d %s", i, one.result, one.why ? one.why : "");
        assert_string_equal(one.pass, rows[i].verbatim);
        assert_string_equal(one.trailers, rows[i].trailers);
        assert_int_equal(one.used, n - rows[i].rest);
        assert_int_equal(one.data, strlen(rows[i].decoded));
        run(&one, HTTP_BODY_CHUNKED, 0, true, rows[i].in, n, n);
        assert_int_equal(one.result, HTTP_BODY_DONE);
        assert_string_equal(one.pass, rows[i].decoded);
        assert_int_equal(one.used, n - rows[i].rest);
        same_in_pieces(false, rows[i].in, n);
        same_in_pieces(true, rows[i].in, n);
    }
}

static void refuses_bad_chunks(void **state)
{
    static const struct {
        const char *p;
        size_t n;
    } rows[] = {
        {LIT("\r\n")},
        {LIT("g\r\n")},
        {LIT("+5\r\nhello\r\n")},
        {LIT("-5\r\nhello\r\n")},
        {LIT("0x5\r\nhello\r\n")},
        {LIT(" 5\r\nhello\r\n")},
        {LIT("5 \r\nhello\r\n")},
        {LIT("5\t\r\nhello\r\n")},
        {LIT("5 ;a\r\nhello\r\n")},
        {LIT("5\nhello\r\n")},
        {LIT("5\rhello\r\n")},
        {LIT("5\r\rhello")},
        {LIT("5,5\r\nhello\r\n")},
        {LIT("5\0\r\nhello\r\n")},
        {LIT("5_0\r\n")},
        {LIT("\n5\r\nhello\r\n")},
        {LIT("00000000000000005\r\nhello\r\n")},
        {LIT("8000000000000000\r\n")},
        {LIT("ffffffffffffffff\r\n")},
        {LIT("10000000000000005\r\nhello\r\n")},
        {LIT(";a=b\r\n")},
        {LIT("5;\r\nhello\r\n")},
        {LIT("5;;a\r\nhello\r\n")},
        {LIT("5;a=\r\nhello\r\n")},
        {LIT("5;=a\r\nhello\r\n")},
        {LIT("5;a \r\nhello\r\n")},
        {LIT("5;a ;b\r\nhello\r\n")},
        {LIT("5;a=b \r\nhello\r\n")},
        {LIT("5;a=b c\r\nhello\r\n")},
        {LIT("5;a=\"b\r\nhello\r\n")},
        {LIT("5;a=\"b\"c\r\nhello\r\n")},
        {LIT("5;a=\"\\\r\"\r\nhello\r\n")},
        {LIT("5;a=\"\0\"\r\nhello\r\n")},
        {LIT("5;a\nhello\r\n")},
        {LIT("5;a\rhello\r\n")},
        {LIT("5;a\x80\r\nhello\r\n")},
        {LIT("5\r\nhelloX")},
        {LIT("5\r\nhello\n0\r\n\r\n")},
        {LIT("5\r\nhello\rX")},
        {LIT("5\r\nhello0\r\n\r\n")},
        {LIT("0\r\n\n")},
        {LIT("0\r\n\rX")},
        {LIT("0\r\na: b\n")},
        {LIT("0\r\na: b\rc\r\n\r\n")},
        {LIT("0\r\na: \0\r\n\r\n")},
        {LIT("0\r\na: b\r\n\n")},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int decode = 0; decode < 2; decode++) {
            run(&one, HTTP_BODY_CHUNKED, 0, decode, rows[i].p, rows[i].n, rows[i].n);
            if (one.result != HTTP_BODY_BAD || !one.why)
                fail_msg("row %zu: result %d for %s", i, one.result, rows[i].p);
            same_in_pieces(decode, rows[i].p, rows[i].n);
        }
    }
}

/* Whoever gets data alone does not look at trailers: so they are looked at here. */
static void refuses_trailers_that_are_no_fields_when_decoding(void **state)
{
    static const char *const rows[] = {"0\r\nno colon\r\n\r\n", "0\r\na : b\r\n\r\n",
                                       "0\r\n: b\r\n\r\n", "0\r\na: b\r\n c\r\n\r\n"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n = strlen(rows[i]);
        run(&one, HTTP_BODY_CHUNKED, 0, true, rows[i], n, n);
        if (one.result != HTTP_BODY_BAD || !one.why) {
            fail_msg("row %zu: result %d for %s", i, one.result, rows[i]);
        }
        same_in_pieces(true, rows[i], n);
        run(&one, HTTP_BODY_CHUNKED, 0, false, rows[i], n, n);
        assert_int_equal(one.result, HTTP_BODY_TRAILERS);
    }
}

static void waits_for_incomplete_lines(void **state)
{
    static const struct {
        const char *in;
        size_t used;
    } rows[] = {
        {"5", 0},
        {"5\r", 0},
        {"5;a", 0},
        {"5;a=\"", 0},
        {"5;a\r", 0},
        {"5\r\n", 3},
        {"5\r\nhel", 6},
        {"5\r\nhello", 8},
        {"5\r\nhello\r", 9},
        {"5\r\nhello\r\n", 10},
        {"0\r\n", 3},
        {"0\r\n\r", 3},
        {"0\r\na: b\r\n", 3},
        {"0\r\na: b\r\n\r", 3},
        {"7fffffffffffffff\r\nx", 19},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n = strlen(rows[i].in);

        run(&one, HTTP_BODY_CHUNKED, 0, false, rows[i].in, n, n);
        assert_int_equal(one.result, HTTP_BODY_MORE);
        if (one.used != rows[i].used)
            fail_msg("row %zu: used %zu", i, one.used);
        same_in_pieces(false, rows[i].in, n);
    }
}

static char big[300000];

static void bounds_extensions(void **state)
{
    size_t n = 0;
    (void)state;

    for (unsigned len = 256; len <= 257; len++) {
        n = (size_t)sprintf(big, "1;%0*d\r\nx\r\n0\r\n\r\n", (int)len - 1, 0);
        same_in_pieces(false, big, n);
        assert_int_equal(one.result, len > 256 ? HTTP_BODY_BAD : HTTP_BODY_DONE);
    }
    /* Refused without waiting for the line's end. */
    n = (size_t)sprintf(big, "1;%0256d", 0);
    run(&one, HTTP_BODY_CHUNKED, 0, false, big, n, n);
    assert_int_equal(one.result, HTTP_BODY_BAD);
    for (unsigned chunks = 16; chunks <= 17; chunks++) {
        n = 0;
        for (unsigned i = 0; i < chunks; i++)
            n += (size_t)sprintf(big + n, "1;%0255d\r\nx\r\n", 0);
        n += (size_t)sprintf(big + n, "0\r\n\r\n");
        same_in_pieces(false, big, n);
        assert_int_equal(one.result, chunks > 16 ? HTTP_BODY_BAD : HTTP_BODY_DONE);
        assert_int_equal(one.data, 16);
    }
}

static void bounds_trailers(void **state)
{
    size_t n;
    (void)state;

    for (int over = 0; over < 2; over++) {
        n = (size_t)sprintf(big, "0\r\nx:%0*d\r\n\r\n", HTTP_TRAILERS_MAX - 6 + over, 0);
        same_in_pieces(false, big, n);
        assert_int_equal(one.result, over ? HTTP_BODY_BAD : HTTP_BODY_TRAILERS);
    }
    for (unsigned fields = 128; fields <= 129; fields++) {
        n = (size_t)sprintf(big, "0\r\n");
        for (unsigned i = 0; i < fields; i++)
            n += (size_t)sprintf(big + n, "a: b\r\n");
        n += (size_t)sprintf(big + n, "\r\n");
        same_in_pieces(false, big, n);
        assert_int_equal(one.result, fields > 128 ? HTTP_BODY_BAD : HTTP_BODY_TRAILERS);
    }
}

static void passes_many_small_chunks_in_one_run(void **state)
{
    struct http_body b;
    struct str pass;
    size_t n = 0, used;
    (void)state;

    while (n + 20 < 262144)
        n += (size_t)sprintf(big + n, "4\r\nabcd\r\n");
    http_body_init(&b, HTTP_BODY_CHUNKED, 0, false);
    assert_int_equal(http_body_feed(&b, big, n, &used, &pass), HTTP_BODY_MORE);
    assert_int_equal(used, n);
    assert_ptr_equal(pass.p, big);
    assert_int_equal(pass.n, n);
    assert_int_equal(http_body_passed(&b), n / 9 * 4);
}

static void follows_lengths(void **state)
{
    struct http_body b;
    struct str pass;
    size_t used;
    (void)state;

    run(&one, HTTP_BODY_LENGTH, 5, false, LIT("helloNEXT"), 9);
    assert_int_equal(one.result, HTTP_BODY_DONE);
    assert_string_equal(one.pass, "hello");
    assert_int_equal(one.used, 5);
    run(&one, HTTP_BODY_LENGTH, 5, true, LIT("helloNEXT"), 1);
    assert_int_equal(one.used, 5);
    assert_int_equal(one.data, 5);
    run(&one, HTTP_BODY_LENGTH, 5, false, LIT("hell"), 9);
    assert_int_equal(one.result, HTTP_BODY_MORE);
    run(&one, HTTP_BODY_LENGTH, 0, false, LIT("NEXT"), 4);
    assert_int_equal(one.result, HTTP_BODY_DONE);
    assert_int_equal(one.used, 0);
    run(&one, HTTP_BODY_NONE, 7, false, LIT("NEXT"), 4);
    assert_int_equal(one.result, HTTP_BODY_DONE);
    assert_int_equal(one.used, 0);
    run(&one, HTTP_BODY_TO_EOF, 0, false, LIT("anything\r\n0\r\n\r\n"), 3);
    assert_int_equal(one.result, HTTP_BODY_MORE);
    assert_int_equal(one.passed, 15);
    assert_int_equal(one.data, 15);

    http_body_init(&b, HTTP_BODY_LENGTH, UINT64_MAX / 2, false);
    assert_int_equal(http_body_feed(&b, "", 0, &used, &pass), HTTP_BODY_MORE);
    assert_int_equal(http_body_feed(&b, "x", 1, &used, &pass), HTTP_BODY_MORE);
    assert_int_equal(used, 1);
}

static void knows_a_proper_end(void **state)
{
    static const struct {
        enum http_framing framing;
        uint64_t length;
        const char *in;
        bool good;
    } rows[] = {
        {HTTP_BODY_NONE, 0, "", true},
        {HTTP_BODY_LENGTH, 0, "", true},
        {HTTP_BODY_LENGTH, 1, "", false},
        {HTTP_BODY_LENGTH, 1, "x", true},
        {HTTP_BODY_LENGTH, 2, "x", false},
        {HTTP_BODY_TO_EOF, 0, "", true},
        {HTTP_BODY_TO_EOF, 0, "x", true},
        {HTTP_BODY_CHUNKED, 0, "", false},
        {HTTP_BODY_CHUNKED, 0, "1\r\nx\r\n", false},
        {HTTP_BODY_CHUNKED, 0, "0\r\n", false},
        {HTTP_BODY_CHUNKED, 0, "0\r\n\r\n", true},
        {HTTP_BODY_CHUNKED, 0, "0\r\na:\r\n", false},
        {HTTP_BODY_CHUNKED, 0, "x\r\n", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_body b;
        struct str pass;
        size_t used;

        http_body_init(&b, rows[i].framing, rows[i].length, false);
        (void)!http_body_feed(&b, rows[i].in, strlen(rows[i].in), &used, &pass);
        if (http_body_eof(&b) != rows[i].good)
            fail_msg("row %zu", i);
        assert_int_equal(http_body_feed(&b, "y", 1, &used, &pass),
                         rows[i].good ? HTTP_BODY_DONE : HTTP_BODY_BAD);
        assert_int_equal(used, 0);
        assert_int_equal(rows[i].good, !b.why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_chunked_bodies),
        cmocka_unit_test(refuses_bad_chunks),
        cmocka_unit_test(refuses_trailers_that_are_no_fields_when_decoding),
        cmocka_unit_test(waits_for_incomplete_lines),
        cmocka_unit_test(bounds_extensions),
        cmocka_unit_test(bounds_trailers),
        cmocka_unit_test(passes_many_small_chunks_in_one_run),
        cmocka_unit_test(follows_lengths),
        cmocka_unit_test(knows_a_proper_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
