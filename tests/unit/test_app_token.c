/* Tokens of one ExApp: written in one way only, worth nothing once a byte differs; and the names of
 * certificates. */
#include "hub/tunnel/app_token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define KEY STR("some_very_secure_password")
/* A longest container has a prefix and a hundred more. */
#define FIFTY "abcdefghijklmnopqrstuvwxyABCDEFGHIJKLMNOPQRSTUVWXY"
#define HUNDRED FIFTY FIFTY

static bool all_zero(const void *p, size_t n)
{
    const unsigned char *b = p;
    for (size_t i = 0; i < n; i++) {
        if (b[i] != 0) {
            return false;
        }
    }
    return true;
}

/* From a copy on the heap, so that a sanitizer sees a byte read past the end. */
static int read_token(struct app_token *t, struct str key, const char *p, size_t n)
{
    char *copy = malloc(n + 1);
    assert_non_null(copy);
    memcpy(copy, p, n);
    char *exact = realloc(copy, n ? n : 1);
    assert_non_null(exact);
    memset(t, 0xa5, sizeof(*t));
    int rc = app_token_read(t, key, (struct str){exact, n});
    free(exact);
    if (rc < 0) {
        assert_true(all_zero(t, sizeof(*t)));
    }
    return rc;
}

static void assert_refused(struct str key, const char *text)
{
    struct app_token t;
    if (read_token(&t, key, text, strlen(text)) == 0) {
        fail_msg("accepted: %s", text);
    }
}

/* The signatures come from another implementation of HMAC. */
static void tokens_are_what_others_compute(void **state)
{
    static const struct {
        const char *container, *appid;
        uint16_t port;
        const char *token;
    } rows[] = {
        {"nc_app_testapp", "testapp", 23000,
         "nc_app_testapp~testapp~23000~fywZiuiJAnbnd87FeRyZ-KU-McAD5X11CxwZf4aIwBQ"},
        {"nc_app_My.Cloud-1_test_app", "test_app", 23999,
         "nc_app_My.Cloud-1_test_app~test_app~23999~OGRoSgDFCkEE97iTDyDMcE3y2l2pd8Eo21naFEHu7EI"},
        {"nc_app_a_worker", "a", 0,
         "nc_app_a_worker~a~0~2VgaaGWmw84-id9cWR1UDdS6Owdm5e1kpqLPdld-eeE"},
    };
    char token[APP_TOKEN_SIZE];
    struct app_token t;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(app_token_make(token, KEY, str_of(rows[i].container),
                                        str_of(rows[i].appid), rows[i].port),
                         0);
        assert_string_equal(token, rows[i].token);
        assert_int_equal(read_token(&t, KEY, token, strlen(token)), 0);
        assert_string_equal(t.container, rows[i].container);
        assert_string_equal(t.appid, rows[i].appid);
        assert_int_equal(t.port, rows[i].port);
    }
}

static void makes_none_of_parts_that_are_not_valid(void **state)
{
    static const struct {
        const char *container, *appid;
        uint16_t port;
        bool valid;
    } rows[] = {
        {"nc_app_a", "a", 23000, true},
        {"nc_app_a", "a", 23999, true},
        {"nc_app_a", "a", 0, true},
        {"nc_app_a", "a", 1, false},
        {"nc_app_a", "a", 22999, false},
        {"nc_app_a", "a", 24000, false},
        {"nc_app_a", "a", 65535, false},
        {"nc_app_" HUNDRED, "a", 23000, true},
        {"nc_app_" HUNDRED "a", "a", 23000, false},
        {"nc_app_", "a", 23000, false},
        {"nc_app", "a", 23000, false},
        {"", "a", 23000, false},
        {"xc_app_a", "a", 23000, false},
        {"NC_APP_a", "a", 23000, false},
        {"/nc_app_a", "a", 23000, false},
        {"nc_app_a/b", "a", 23000, false},
        {"nc_app_a b", "a", 23000, false},
        {"nc_app_a~b", "a", 23000, false},
        {"nc_app_a%62", "a", 23000, false},
        {"nc_app_\xc3\xa4", "a", 23000, false},
        {"nc_app_a\n", "a", 23000, false},
        {"nc_app_-_.", "a", 23000, true},
        {"nc_app_a", "", 23000, false},
        {"nc_app_a", "..", 23000, false},
        {"nc_app_a", "a~b", 23000, false},
        {"nc_app_a", "a/b", 23000, false},
        {"nc_app_a", "a.b_c-D", 23000, true},
        {"nc_app_a", FIFTY "abcdefghijklmn", 23000, true},
        {"nc_app_a", FIFTY "abcdefghijklmno", 23000, false},
    };
    char token[APP_TOKEN_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        memset(token, 'x', sizeof(token));
        int rc = app_token_make(token, KEY, str_of(rows[i].container), str_of(rows[i].appid),
                                rows[i].port);
        if ((rc == 0) != rows[i].valid) {
            fail_msg("%s %s %u", rows[i].container, rows[i].appid, rows[i].port);
        }
        assert_int_equal(token[0] == '\0', !rows[i].valid);
    }
    assert_true(app_token_make(token, STR(""), STR("nc_app_a"), STR("a"), 23000) < 0);
    assert_string_equal(token, "");
    assert_true(app_token_make(token, KEY, (struct str){"nc_app_a\0b", 10}, STR("a"), 23000) < 0);
}

static void the_longest_token_fits_exactly(void **state)
{
    char token[APP_TOKEN_SIZE], more[APP_TOKEN_SIZE + 1];
    struct app_token t;

    (void)state;
    assert_int_equal(
        app_token_make(token, KEY, STR("nc_app_" HUNDRED), STR(FIFTY "abcdefghijklmn"), 23000), 0);
    assert_int_equal(strlen(token), APP_TOKEN_MAX);
    assert_int_equal(APP_TOKEN_MAX, 222);
    assert_int_equal(read_token(&t, KEY, token, APP_TOKEN_MAX), 0);
    assert_string_equal(t.container, "nc_app_" HUNDRED);
    snprintf(more, sizeof(more), "%sA", token);
    assert_refused(KEY, more);
}

/* Each byte of it by each of many others, each byte left out, each doubled. */
static void a_token_with_any_byte_changed_is_none(void **state)
{
    static const char other[] = "~-_.0129AZazBQ= /+\x80\n";
    char token[APP_TOKEN_SIZE], changed[APP_TOKEN_SIZE + 1];
    struct app_token t;

    (void)state;
    assert_int_equal(app_token_make(token, KEY, STR("nc_app_testapp"), STR("testapp"), 23000), 0);
    size_t n = strlen(token);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < sizeof(other); k++) { /* its NUL, too */
            memcpy(changed, token, n);
            changed[i] = other[k];
            if (changed[i] != token[i] && read_token(&t, KEY, changed, n) == 0) {
                fail_msg("byte %zu as %02x", i, (unsigned char)other[k]);
            }
        }
        memcpy(changed, token, i);
        memcpy(changed + i, token + i + 1, n - i - 1);
        assert_true(read_token(&t, KEY, changed, n - 1) < 0);
        memcpy(changed, token, i + 1);
        memcpy(changed + i + 1, token + i, n - i);
        assert_true(read_token(&t, KEY, changed, n + 1) < 0);
        assert_true(read_token(&t, KEY, token, i) < 0);
    }
}

#define MAC "fywZiuiJAnbnd87FeRyZ-KU-McAD5X11CxwZf4aIwBQ"

static void another_spelling_of_a_token_is_none(void **state)
{
    static const char *const rows[] = {
        "",
        "~",
        "~~~",
        "~~~~",
        "some_very_secure_password",
        "nc_app_testapp~testapp~23000",
        "nc_app_testapp~testapp~23000~",
        "nc_app_testapp~testapp~023000~" MAC,
        "nc_app_testapp~testapp~+23000~" MAC,
        "nc_app_testapp~testapp~ 23000~" MAC,
        "nc_app_testapp~testapp~23000.0~" MAC,
        "nc_app_testapp~testapp~0x59d8~" MAC,
        "nc_app_testapp~testapp~88536~" MAC, /* 23000 in 16 bits */
        "nc_app_testapp~testapp~~" MAC,
        "nc_app_testapp~testapp~23000~" MAC "=",
        "nc_app_testapp~testapp~23000~" MAC "~",
        "nc_app_testapp~testapp~23000~~" MAC,
        "~nc_app_testapp~testapp~23000~" MAC,
        " nc_app_testapp~testapp~23000~" MAC,
        "nc_app_testapp~testapp~23000~" MAC "\n",
        "nc_app_testapp~TESTAPP~23000~" MAC,
        /* The last character's two missing bits, not zero. */
        "nc_app_testapp~testapp~23000~fywZiuiJAnbnd87FeRyZ-KU-McAD5X11CxwZf4aIwBR",
        "nc_app_testapp~testapp~23000~fywZiuiJAnbnd87FeRyZ+KU+McAD5X11CxwZf4aIwBQ",
    };
    struct app_token t;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_refused(KEY, rows[i]);
    }
    assert_int_equal(app_token_read(&t, KEY, STR("nc_app_testapp~testapp~23000~" MAC)), 0);
    assert_true(app_token_read(&t, KEY, (struct str){NULL, 0}) < 0);
}

static void minus_zero_is_no_port(void **state)
{
    char token[APP_TOKEN_SIZE], other[APP_TOKEN_SIZE + 1];
    struct app_token t;

    (void)state;
    assert_int_equal(app_token_make(token, KEY, STR("nc_app_a"), STR("a"), 0), 0);
    assert_memory_equal(token, "nc_app_a~a~0~", 13);
    for (size_t i = 0; i < 2; i++) {
        snprintf(other, sizeof(other), "nc_app_a~a~%c0~%s", "-0"[i], token + 13);
        assert_refused(KEY, other);
    }
    assert_int_equal(read_token(&t, KEY, token, strlen(token)), 0);
}

static void the_token_of_one_is_nothing_for_another(void **state)
{
    static const struct {
        const char *container, *appid;
        unsigned port;
    } others[] = {
        {"nc_app_testapp", "testapp2", 23000},
        {"nc_app_testapp", "testap", 23000},
        {"nc_app_testapp2", "testapp", 23000},
        {"nc_app_testapp", "testapp", 23001},
        {"nc_app_testapp", "testapp", 0},
        /* What is signed can't be cut elsewhere. */
        {"nc_app_testapp-testapp", "23000", 23000},
    };
    char text[APP_TOKEN_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        snprintf(text, sizeof(text), "%s~%s~%u~%s", others[i].container, others[i].appid,
                 others[i].port, MAC);
        assert_refused(KEY, text);
    }
}

static void another_key_ends_all_tokens(void **state)
{
    static const char token[] = "nc_app_testapp~testapp~23000~" MAC;

    (void)state;
    assert_refused(STR("some_very_secure_passwore"), token);
    assert_refused(STR("some_very_secure_passwor"), token);
    assert_refused(STR(""), token);
    assert_refused((struct str){NULL, 0}, token);
}

/* ---- names of certificates ---- */

static void assert_named(const char *container, const char *expected)
{
    char name[CERTS_CN_MAX + 1];
    memset(name, 'x', sizeof(name));
    app_token_certificate_name(name, str_of(container));
    assert_string_equal(name, expected);
}

static void a_certificate_has_the_containers_name_or_a_hash_of_it(void **state)
{
    (void)state;
    assert_named("nc_app_testapp", "nc_app_testapp");
    assert_named("nc_app_" FIFTY "abcdef", "nc_app_" FIFTY "abcdef"); /* 63 characters */
    assert_named("nc_app_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", /* 64 */
                 "nc_app_xxxxxxxxxxxxxxxx-f2aa6fcc03ff7db9103f0b6a18da73b03b3106cd");
    assert_named("nc_app_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", /* 107 */
                 "nc_app_xxxxxxxxxxxxxxxx-7bdc27d0d8404e30cdbe36226fabbee4d036c8f6");
}

static void no_containers_name_is_the_certificate_name_of_another(void **state)
{
    static const char *const rows[] = {
        "nc_app_a",
        "nc_app_b",
        ("nc_app_" FIFTY "abcdef"),
        ("nc_app_" FIFTY "abcdefg"),
        ("nc_app_" FIFTY "abcdefh"),
        ("nc_app_" HUNDRED),
        ("nc_app_abcdefghijklmnop-" FIFTY),
        /* Names that look hashed, one of them being the hash of the next. */
        "nc_app_abcdefghijklmnop-0000000000000000000000000000000000000000",
        "nc_app_xxxxxxxxxxxxxxxx-f2aa6fcc03ff7db9103f0b6a18da73b03b3106cd",
        "nc_app_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    };
    char name[ARRAY_LEN(rows)][CERTS_CN_MAX + 1], again[CERTS_CN_MAX + 1];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        app_token_certificate_name(name[i], str_of(rows[i]));
        assert_int_equal(strlen(name[i]), MIN(strlen(rows[i]), 64));
        /* A container that is called like a certificate has a certificate called otherwise. */
        app_token_certificate_name(again, str_of(name[i]));
        assert_int_equal(strcmp(again, name[i]) == 0, strlen(rows[i]) < 64);
        for (size_t k = 0; k < i; k++) {
            assert_int_equal(strcmp(name[i], name[k]) == 0, strcmp(rows[i], rows[k]) == 0);
        }
    }
}

static void what_is_no_containers_name_has_no_certificate(void **state)
{
    (void)state;
    assert_named("", "");
    assert_named("nc_app_", "");
    assert_named("harp.client.nc", "");
    assert_named("harp.engine.one", "");
    assert_named("nc_app_a b", "");
    assert_named("nc_app_" HUNDRED "a", "");
}

/* They are issued under it: the name is one that certificates may have. */
static void certificates_can_be_made_for_such_names(void **state)
{
    static const char *const rows[] = {"nc_app_a", "nc_app_-._", "nc_app_" HUNDRED};
    char name[CERTS_CN_MAX + 1], err[200];
    struct certs_pair pair;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        app_token_certificate_name(name, str_of(rows[i]));
        assert_int_equal(
            certs_make_pair(&pair, CERTS_ROLE_CLIENT, name, NULL, 10, err, sizeof(err)), 0);
        certs_pair_free(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_what_others_compute),
        cmocka_unit_test(makes_none_of_parts_that_are_not_valid),
        cmocka_unit_test(the_longest_token_fits_exactly),
        cmocka_unit_test(a_token_with_any_byte_changed_is_none),
        cmocka_unit_test(another_spelling_of_a_token_is_none),
        cmocka_unit_test(minus_zero_is_no_port),
        cmocka_unit_test(the_token_of_one_is_nothing_for_another),
        cmocka_unit_test(another_key_ends_all_tokens),
        cmocka_unit_test(a_certificate_has_the_containers_name_or_a_hash_of_it),
        cmocka_unit_test(no_containers_name_is_the_certificate_name_of_another),
        cmocka_unit_test(what_is_no_containers_name_has_no_certificate),
        cmocka_unit_test(certificates_can_be_made_for_such_names),
    };

    return cmocka_run_group_tests_name("app_token", tests, NULL, NULL);
}
