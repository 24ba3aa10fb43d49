/* The hub's own answers in the shape of a Docker engine's errors: {"message":"..."}, which Docker's
 * clients print. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/http/head.h"
#include "common/json/json.h"
#include "hub/client/answer.h"

static struct http_response res;
static char written[ANSWER_MAX], message[ANSWER_MAX];
static size_t body_len;

/* Writes into a place of exactly ANSWER_MAX bytes, reads all of it again, and leaves the message. */
static void answer(struct answer a)
{
    char *exact = malloc(ANSWER_MAX);
    struct str text;
    size_t scanned = 0;
    a.docker = true;
    size_t n = answer_write(exact, &a);
    memcpy(written, exact, n);
    free(exact);
    int head = http_parse_response(&res, HTTP_GET, written, n, &HTTP_LIMITS_DEFAULT, &scanned);
    assert_true(head > 0);
    assert_int_equal(res.status, a.status);
    assert_int_equal(res.framing, HTTP_BODY_LENGTH);
    body_len = n - (size_t)head;
    assert_int_equal(res.length, body_len);
    struct json_doc *doc = json_parse(written + head, body_len, NULL, NULL, 0);
    assert_non_null(doc);
    assert_int_equal(json_count(json_root(doc)), 1);
    assert_int_equal(json_str(json_get(json_root(doc), "message"), &text), 0);
    assert_null(memchr(text.p, '\0', text.n));
    snprintf(message, sizeof(message), "%.*s", STR_ARG(text));
    json_free(doc);
}

static void the_message_is_hop_and_reason(void **state)
{
    static const struct {
        int status;
        enum hop hop;
        const char *why, *want;
    } rows[] = {
        {403, HOP_NONE, "refused by policy: x: y", "refused by policy: x: y"},
        {400, HOP_NONE, NULL, "Bad Request"},
        {413, HOP_NONE, "", "Content Too Large"},
        {418, HOP_NONE, NULL, "Error"},
        {503, HOP_TUNNEL, "no tunnel client offers this port",
         "hop: tunnel: no tunnel client offers this port"},
        {504, HOP_ENGINE, "no answer", "hop: Docker engine: no answer"},
        {503, HOP_HUB, NULL, "hop: hub: Service Unavailable"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        answer((struct answer){.status = rows[i].status, .hop = rows[i].hop, .why = rows[i].why});
        assert_string_equal(message, rows[i].want);
    }
}

static void it_is_json_and_says_so(void **state)
{
    (void)state;
    answer((struct answer){.status = 403, .why = "x", .close = true});
    assert_true(str_eq(res.fields[0].name, STR("Content-Type")));
    assert_true(str_eq(res.fields[0].value, STR("application/json")));
    assert_false(res.keep_alive);
    /* whatever else is set */
    answer((struct answer){.status = 403, .why = "x", .words = "w", .json = "{}"});
    assert_string_equal(message, "x");
}

static void every_byte_arrives_or_is_replaced(void **state)
{
    static const struct {
        const char *why, *want;
    } rows[] = {
        {"\"\\\b\f\n\r\t/", "\"\\\b\f\n\r\t/"},
        {"\x01\x1b[31m\x7f", "\x01\x1b[31m\x7f"},
        {"<a>&'", "<a>&'"},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xe2\x80\xa8", "\xe2\x80\xa8"},
        {"a\xff"
         "b",
         "a?b"},
        {"\xc3", "?"},
        {"\xc3(", "?("},
        {"\xe2\x82", "??"},
        {"\xc0\xaf", "??"},           /* over-long */
        {"\xed\xa0\x80", "???"},      /* half a surrogate pair */
        {"\xf4\x90\x80\x80", "????"}, /* above U+10FFFF */
        {"\x80\x80\xc3\xa9", "??\xc3\xa9"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        answer((struct answer){.status = 503, .why = rows[i].why});
        assert_string_equal(message, rows[i].want);
    }
}

/* Filled with one character again and again, of any length in UTF-8 and in JSON. */
static void long_reasons_are_cut_and_stay_whole_json(void **state)
{
    static const char *const fills[] = {
        "w",   "\x01", "\"", "<", "\xc3\xa9", "\xe2\x82\xac", "\xe2\x80\xa8", "\xf0\x9f\x98\x80",
        "\xff"};
    char why[2048];
    (void)state;
    for (size_t f = 0; f < ARRAY_LEN(fills); f++) {
        size_t step = strlen(fills[f]), n = 0;
        for (; n + step < sizeof(why); n += step) {
            memcpy(why + n, fills[f], step);
        }
        for (size_t len = 380; len <= n; len += len < 420 ? 1 : 101) {
            char end = why[len];
            why[len] = '\0';
            answer((struct answer){.status = 503, .hop = HOP_ENGINE, .why = why});
            static const char begin[] = "hop: Docker engine: ";
            assert_memory_equal(message, begin, sizeof(begin) - 1);
            assert_int_equal(strlen(message), sizeof(begin) - 1 + MIN(len, (size_t)400));
            /* as far as whole characters go it is the reason */
            size_t whole = fills[f][0] == '\xff' ? 0 : MIN(len, (size_t)400) / step * step;
            assert_memory_equal(message + sizeof(begin) - 1, why, whole);
            assert_int_equal(strspn(message + sizeof(begin) - 1 + whole, "?"),
                             MIN(len, (size_t)400) - whole);
            why[len] = end;
        }
    }
}

static void head_gets_the_length_alone(void **state)
{
    char out[ANSWER_MAX];
    struct answer a = {.status = 403, .why = "x", .docker = true};
    size_t scanned = 0;
    (void)state;
    answer(a);
    a.head = true;
    size_t n = answer_write(out, &a);
    assert_int_equal(http_parse_response(&res, HTTP_HEAD, out, n, &HTTP_LIMITS_DEFAULT, &scanned),
                     n);
    assert_true(n > body_len && memcmp(out + n - 4, "\r\n\r\n", 4) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_message_is_hop_and_reason),
        cmocka_unit_test(it_is_json_and_says_so),
        cmocka_unit_test(every_byte_arrives_or_is_replaced),
        cmocka_unit_test(long_reasons_are_cut_and_stay_whole_json),
        cmocka_unit_test(head_gets_the_length_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
