/* The hub's own answers: HaRP's words first, then the hop and the reason, correctly framed. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/http/head.h"
#include "hub/client/answer.h"

static struct http_response res;
static char written[ANSWER_MAX]; /* what res points into */

/* Writes into a place of exactly ANSWER_MAX bytes and reads the result again; the body, with NUL,
 * goes to `body`. */
static void answer(const struct answer *a, char body[ANSWER_MAX])
{
    char *exact = malloc(ANSWER_MAX);
    size_t n = answer_write(exact, a), scanned = 0;
    assert_true(n > 0 && n < ANSWER_MAX);
    memcpy(written, exact, n);
    free(exact);
    int head = http_parse_response(&res, a->head ? HTTP_HEAD : HTTP_GET, written, n,
                                   &HTTP_LIMITS_DEFAULT, &scanned);
    assert_true(head > 0);
    assert_int_equal(res.status, a->status);
    assert_int_equal(res.keep_alive, !a->close);
    if (!a->head) {
        assert_int_equal(res.framing, HTTP_BODY_LENGTH);
        assert_int_equal(res.length, n - (size_t)head);
    }
    memcpy(body, written + head, n - (size_t)head);
    body[n - (size_t)head] = '\0';
}

static void says_harps_words_first(void **state)
{
    static const struct {
        int status;
        const char *body;
    } rows[] = {
        {400, "400 Bad Request\n"},
        {401, "401 Unauthorized\n"},
        {403, "403 Forbidden\n"},
        {404, "404 Not Found\n"},
        {408, "408 Request Timeout\n"},
        {414, "414 URI Too Long\n"},
        {417, "417 Expectation Failed\n"},
        {431, "431 Request Header Fields Too Large\n"},
        {501, "501 Not Implemented\n"},
        {502, "502 Bad Gateway\n"},
        {503, "503 Service Unavailable (HaRP)\n"},
        {504, "504 Gateway Timeout\n"},
        {505, "505 HTTP Version Not Supported\n"},
    };
    char body[ANSWER_MAX];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        answer(&(struct answer){.status = rows[i].status}, body);
        assert_string_equal(body, rows[i].body);
    }
}

static void names_the_hop_and_the_reason(void **state)
{
    static const struct {
        enum hop hop;
        const char *why, *body;
    } rows[] = {
        {HOP_NONE, NULL, "503 Service Unavailable (HaRP)\n"},
        {HOP_NONE, "", "503 Service Unavailable (HaRP)\n"},
        {HOP_NONE, "x y", "503 Service Unavailable (HaRP)\nreason: x y\n"},
        {HOP_HUB, "x", "503 Service Unavailable (HaRP)\nhop: hub\nreason: x\n"},
        {HOP_TUNNEL, "x", "503 Service Unavailable (HaRP)\nhop: tunnel\nreason: x\n"},
        {HOP_EXAPP, "127.0.0.1:1: Connection refused",
         "503 Service Unavailable (HaRP)\nhop: ExApp\nreason: 127.0.0.1:1: Connection refused\n"},
        {HOP_EXAPP, NULL, "503 Service Unavailable (HaRP)\nhop: ExApp\n"},
    };
    char body[ANSWER_MAX];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        answer(&(struct answer){.status = 503, .hop = rows[i].hop, .why = rows[i].why}, body);
        assert_string_equal(body, rows[i].body);
    }
}

static const struct http_field *field(const char *name)
{
    for (unsigned i = 0; i < res.nfields; i++) {
        if (str_eq_nocase(res.fields[i].name, str_of(name))) {
            return &res.fields[i];
        }
    }
    return NULL;
}

static void is_plain_text(void **state)
{
    char body[ANSWER_MAX];
    (void)state;
    answer(&(struct answer){.status = 404}, body);
    assert_non_null(field("Content-Type"));
}

static void tells_what_becomes_of_the_connection(void **state)
{
    static const struct {
        bool close, keep_alive;
        const char *want; /* NULL: not told */
    } rows[] = {
        {false, false, NULL},
        {true, false, "close"},
        {false, true, "keep-alive"},
        {true, true, "close"},
    };
    char out[ANSWER_MAX + 1];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct answer a = {.status = 403, .close = rows[i].close, .keep_alive = rows[i].keep_alive};
        out[answer_write(out, &a)] = '\0';
        char want[64];
        snprintf(want, sizeof(want), "\r\nConnection: %s\r\n", rows[i].want ? rows[i].want : "");
        if ((strstr(out, rows[i].want ? want : "Connection") != NULL) != (rows[i].want != NULL)) {
            fail_msg("row %zu: %s", i, out);
        }
        const char *first = strstr(out, "Connection: ");
        assert_null(first ? strstr(first + 1, "Connection: ") : NULL);
    }
}

static void head_gets_the_length_without_the_body(void **state)
{
    char body[ANSWER_MAX], whole[ANSWER_MAX];
    struct answer a = {.status = 503, .hop = HOP_EXAPP, .why = "x", .head = true};
    (void)state;
    answer(&a, body);
    assert_string_equal(body, "");
    uint64_t told = (uint64_t)strtoull(field("Content-Length")->value.p, NULL, 10);
    a.head = false;
    answer(&a, whole);
    assert_int_equal(told, strlen(whole));
}

static void long_reasons_are_cut(void **state)
{
    char why[2000], body[ANSWER_MAX];
    (void)state;
    for (size_t n = 250; n < sizeof(why); n += 7) {
        memset(why, 'w', n);
        why[n] = '\0';
        answer(&(struct answer){.status = 431, .hop = HOP_TUNNEL, .why = why, .close = true}, body);
        assert_int_equal(body[strlen(body) - 1], '\n');
        assert_int_equal(strspn(strstr(body, "reason: ") + 8, "w"), MIN(n, (size_t)500));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_harps_words_first),
        cmocka_unit_test(names_the_hop_and_the_reason),
        cmocka_unit_test(is_plain_text),
        cmocka_unit_test(tells_what_becomes_of_the_connection),
        cmocka_unit_test(head_gets_the_length_without_the_body),
        cmocka_unit_test(long_reasons_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
