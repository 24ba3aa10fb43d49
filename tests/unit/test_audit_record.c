/* Lines of the record: what is written, its bounds, and what is taken for one. */
#include "socket-filter/audit/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const unsigned char ZERO[AUDIT_HASH_SIZE];

static ssize_t end(struct audit_draft *d, unsigned char *hash)
{
    struct audit_hasher h;
    assert_int_equal(audit_hasher_init(&h), 0);
    ssize_t n = audit_draft_end(d, &h, ZERO, hash);
    audit_hasher_free(&h);
    return n;
}

static void hashes_are_sha3_256_of_the_text_and_the_hash_before(void **state UNUSED)
{
    /* SHA3-256 of "abc" and 32 NULs, from `openssl dgst -sha3-256`. */
    static const char expected[] =
        "157156ab6bf805e9fe3263cf91aa91c6d695ec0f5f9876c7f107d643cb6bbf8f";
    struct audit_hasher h;
    unsigned char hash[AUDIT_HASH_SIZE];
    char hex[AUDIT_HASH_HEX];
    assert_int_equal(audit_hasher_init(&h), 0);
    for (int round = 0; round < 2; round++) { /* the context is used again */
        assert_int_equal(audit_hash(&h, STR("abc"), ZERO, hash), 0);
        audit_hex(hash, hex);
        assert_memory_equal(hex, expected, sizeof(hex));
    }
    audit_hasher_free(&h);
}

static void a_decision_is_one_line_of_json_in_a_fixed_order(void **state UNUSED)
{
    struct audit_draft d;
    unsigned char hash[AUDIT_HASH_SIZE];
    struct audit_record record = {.connection = 7,
                                  .listener = "/run/filter.sock",
                                  .client = "uid 33",
                                  .policy = "nextcloud",
                                  .method = "POST",
                                  .call = "containers/create",
                                  .object = STR("nc_app_x"),
                                  .verdict = AUDIT_WOULD_REFUSE,
                                  .rule = "containers/create",
                                  .why = "image x is not granted"};
    audit_draft_begin(&d, 41, AUDIT_DECISION);
    audit_draft_decision(&d, &record);
    ssize_t n = end(&d, hash);
    assert_true(n > 0);
    assert_int_equal(d.line[n - 1], '\n');
    static const char start[] = "{\"seq\":41,\"time\":\"";
    static const char rest[] =
        "Z\",\"event\":\"decision\",\"connection\":7,\"listener\":\"/run/filter.sock\","
        "\"client\":\"uid 33\",\"policy\":\"nextcloud\",\"method\":\"POST\","
        "\"call\":\"containers/create\",\"object\":\"nc_app_x\",\"verdict\":\"would-refuse\","
        "\"rule\":\"containers/create\",\"why\":\"image x is not granted\",\"hash\":\"";
    assert_memory_equal(d.line, start, strlen(start));
    assert_memory_equal(d.line + strlen(start) + AUDIT_TIME_SIZE - 1, rest, strlen(rest));

    struct audit_line line;
    assert_int_equal(audit_line_split((struct str){d.line, (size_t)n - 1}, &line), 0);
    assert_int_equal(line.link.seq, 41);
    assert_int_equal(line.event, AUDIT_DECISION);
    assert_memory_equal(line.link.hash, hash, sizeof(hash));
    assert_ptr_equal(line.body.p, d.line);
    assert_memory_equal(line.body.p + line.body.n, ",\"hash\":\"", 9);
}

static void empty_texts_are_left_out(void **state UNUSED)
{
    struct audit_draft d;
    unsigned char hash[AUDIT_HASH_SIZE];
    struct audit_record record = {.client = "", .verdict = AUDIT_MALFORMED};
    audit_draft_begin(&d, 1, AUDIT_DECISION);
    audit_draft_decision(&d, &record);
    ssize_t n = end(&d, hash);
    assert_true(n > 0);
    d.line[n] = '\0';
    assert_non_null(strstr(d.line, "\"event\":\"decision\",\"verdict\":\"malformed\",\"hash\""));
}

/* The longest line there can be, by each kind of byte. */
static void every_record_fits_however_long_its_texts_are(void **state UNUSED)
{
    static const struct {
        const char *text;
        const char *ends_in;
    } fillings[] = {
        {"a", "a..."},
        {"\"", "\\\"..."},
        {"\x01", "\\u0001..."},
        {"<", "\\u003c..."},
        {"\xFF", "\xEF\xBF\xBD..."},
        {"\xE2\x80\xA8", "\\u2028..."},
        {"\xF0\x9F\x8C\x8D", "..."},
    };
    for (size_t i = 0; i < ARRAY_LEN(fillings); i++) {
        char text[4096] = "";
        for (size_t n = 0; n + 4 < sizeof(text); n += strlen(fillings[i].text)) {
            strcat(text + n, fillings[i].text);
        }
        struct audit_record record = {.connection = UINT64_MAX,
                                      .listener = text,
                                      .client = text,
                                      .policy = text,
                                      .method = text,
                                      .call = text,
                                      .object = str_of(text),
                                      .verdict = AUDIT_UNAUTHORIZED,
                                      .rule = text,
                                      .why = text};
        struct audit_draft d;
        unsigned char hash[AUDIT_HASH_SIZE];
        struct audit_line line;
        audit_draft_begin(&d, INT64_MAX, AUDIT_DECISION);
        audit_draft_decision(&d, &record);
        ssize_t n = end(&d, hash);
        assert_true(n > 1024 && n <= AUDIT_LINE_MAX);
        struct str whole = {d.line, (size_t)n - 1};
        struct json_doc *doc = json_parse(whole.p, whole.n, NULL, NULL, 0);
        assert_non_null(doc);
        json_free(doc);
        assert_int_equal(audit_line_split(whole, &line), 0);
        d.line[n - 1] = '\0';
        assert_non_null(strstr(d.line, fillings[i].ends_in));
    }
}

static void a_text_that_just_fits_is_not_cut(void **state UNUSED)
{
    static const struct {
        const char *text;
        const char *expected;
    } cases[] = {
        {"12345678", "\"k\":\"12345678\""},
        {"123456789", "\"k\":\"12345...\""},
        {"12<", "\"k\":\"12\\u003c\""},
        {"123<", "\"k\":\"123...\""},
        {"123456\xC3\xA4", "\"k\":\"123456\xC3\xA4\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct audit_draft d;
        unsigned char hash[AUDIT_HASH_SIZE];
        audit_draft_begin(&d, 1, AUDIT_DECISION);
        audit_draft_text(&d, "k", str_of(cases[i].text), 8);
        ssize_t n = end(&d, hash);
        assert_true(n > 0);
        d.line[n - 1] = '\0';
        assert_non_null(strstr(d.line, cases[i].expected));
    }
}

static void an_object_may_hold_any_bytes(void **state UNUSED)
{
    struct audit_draft d;
    unsigned char hash[AUDIT_HASH_SIZE];
    struct audit_record record = {.object = {"a\0\n\"b", 5}};
    audit_draft_begin(&d, 1, AUDIT_DECISION);
    audit_draft_decision(&d, &record);
    ssize_t n = end(&d, hash);
    assert_true(n > 0);
    assert_ptr_equal(memchr(d.line, '\n', (size_t)n), d.line + n - 1);
    assert_non_null(memmem(d.line, (size_t)n, "a\\u0000\\n\\\"b", 11));
}

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define GOOD_TIME "2026-11-25T22:00:00.123Z"

static void only_the_shape_that_is_written_is_a_record(void **state UNUSED)
{
    static const struct {
        const char *line;
        bool good;
    } cases[] = {
        {"{\"seq\":1,\"time\":\"" GOOD_TIME "\",\"event\":\"start\",\"hash\":\"" HEX64 "\"}", true},
        {"{\"seq\":9223372036854775807,\"time\":\"" GOOD_TIME
         "\",\"event\":\"lost\",\"count\":1,\"hash\":\"" HEX64 "\"}",
         true},
        {"{\"seq\":0,\"time\":\"" GOOD_TIME "\",\"event\":\"start\",\"hash\":\"" HEX64 "\"}",
         false},
        {"{\"seq\":01,\"time\":\"" GOOD_TIME "\",\"event\":\"start\",\"hash\":\"" HEX64 "\"}",
         false},
        {"{\"seq\":9223372036854775808,\"time\":\"" GOOD_TIME
         "\",\"event\":\"start\",\"hash\":\"" HEX64 "\"}",
         false},
        {"{ \"seq\":1,\"time\":\"" GOOD_TIME "\",\"event\":\"start\",\"hash\":\"" HEX64 "\"}",
         false},
        {"{\"seq\":1,\"time\":\"2026-11-25T22:00:00Z\",\"event\":\"start\",\"hash\":\"" HEX64 "\"}",
         false},
        {"{\"seq\":1,\"time\":\"" GOOD_TIME "\",\"event\":\"begin\",\"hash\":\"" HEX64 "\"}",
         false},
        {"{\"seq\":1,\"time\":\"" GOOD_TIME "\",\"event\":\"start\",\"hash\":\"" HEX64 "\"} ",
         false},
        {"{\"seq\":1,\"time\":\"" GOOD_TIME "\",\"event\":\"start\",\"hash\":\"" HEX64 "0\"}",
         false},
        {"{\"seq\":1,\"time\":\"" GOOD_TIME "\",\"event\":\"start\",\"Hash\":\"" HEX64 "\"}",
         false},
        {"{\"seq\":1,\"time\":\"" GOOD_TIME
         "\",\"event\":\"start\",\"hash\":\"0123456789ABCDEF0123456789abcdef0123456789abcdef"
         "0123456789abcdef\"}",
         false},
        {",\"hash\":\"" HEX64 "\"}", false},
        {"", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct audit_line line;
        int rc = audit_line_split(str_of(cases[i].line), &line);
        if (rc != (cases[i].good ? 0 : -1)) {
            fail_msg("case %zu: %s", i, cases[i].line);
        }
    }
}

static void times_are_those_of_rfc_3339(void **state UNUSED)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: none */
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:01.5Z", 1500},
        {"1970-01-01T00:00:00.1239999Z", 123},
        {"1970-01-01T02:30:00+02:30", 0},
        {"1969-12-31T23:00:00-01:00", -1},
        {"1970-01-01T00:00:00-01:00", 3600000},
        {"2024-02-29T12:00:00.000Z", 1709208000000},
        {"2016-12-31T23:59:60Z", 1483228800000},
        {"2023-02-29T12:00:00Z", -1},
        {"2023-13-01T12:00:00Z", -1},
        {"2023-01-01T24:00:00Z", -1},
        {"2023-01-01T12:60:00Z", -1},
        {"2023-01-01T12:00:61Z", -1},
        {"2023-01-01T12:00:00", -1},
        {"2023-01-01T12:00:00.Z", -1},
        {"2023-01-01 12:00:00Z", -1},
        {"2023-01-01T12:00:00z", -1},
        {"2023-01-01T12:00:00Z ", -1},
        {"2023-01-01T12:00:00+24:00", -1},
        {"2023-01-01", -1},
        {"", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms = -1;
        int rc = audit_moment(str_of(cases[i].text), &ms);
        if (rc != (cases[i].ms < 0 ? -1 : 0) || ms != cases[i].ms) {
            fail_msg("case %zu: %s: %lld", i, cases[i].text, (long long)ms);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_sha3_256_of_the_text_and_the_hash_before),
        cmocka_unit_test(a_decision_is_one_line_of_json_in_a_fixed_order),
        cmocka_unit_test(empty_texts_are_left_out),
        cmocka_unit_test(every_record_fits_however_long_its_texts_are),
        cmocka_unit_test(a_text_that_just_fits_is_not_cut),
        cmocka_unit_test(an_object_may_hold_any_bytes),
        cmocka_unit_test(only_the_shape_that_is_written_is_a_record),
        cmocka_unit_test(times_are_those_of_rfc_3339),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
