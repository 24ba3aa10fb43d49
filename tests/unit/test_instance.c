/* Whose a container is: the label's value, whose labels are ours, and what is said of others'. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hub/deploy/instance.h"

#define KEY STR("some_very_secure_password")
#define OWN "0123456789abcdef0123456789abcdef"
#define OTHER "ffffffffffffffffffffffffffffffff"

/* Values by another program: HMAC-SHA256 over "instance", NUL and the URL, its first 16 bytes. */
static void the_label_is_made_of_key_and_url(void **state)
{
    static char url[1025];
    char a[INSTANCE_LEN + 1], b[INSTANCE_LEN + 1];
    (void)state;
    memset(url, 'u', sizeof(url));
    assert_int_equal(instance_make(a, KEY, STR("https://cloud.example.com")), 0);
    assert_string_equal(a, "f36387c633353b47cd2ad3dd85898aab");
    assert_int_equal(instance_make(a, KEY, (struct str){NULL, 0}), 0);
    assert_string_equal(a, "3a9f5f7869bcf892a4b965e8bbdf54da");
    assert_int_equal(instance_make(a, KEY, (struct str){url, 1024}), 0);
    assert_string_equal(a, "9a73421e43b1d668838a8b85f4c33b77");
    assert_int_equal(instance_make(a, KEY, (struct str){url, 1025}), -1);
    assert_string_equal(a, "");
    assert_int_equal(instance_make(a, KEY, STR("https://a")), 0);
    assert_int_equal(instance_make(b, STR("another_key_than_that"), STR("https://a")), 0);
    assert_string_not_equal(a, b);
}

static bool ours(const char *labels, const char *aliases)
{
    struct json_doc *doc = labels ? json_parse(labels, strlen(labels), NULL, NULL, 0) : NULL;
    assert_true(!labels || doc);
    bool yes = instance_is_ours(json_root(doc), OWN, aliases);
    json_free(doc);
    return yes;
}

static void without_a_label_it_is_everybodys(void **state)
{
    static const char *const rows[] = {
        NULL,
        "{}",
        "null",
        "[]",
        "5",
        "\"" INSTANCE_LABEL "\"",
        "[\"" INSTANCE_LABEL "\"]",
        "{\"" INSTANCE_URL_LABEL "\":\"https://other\"}",
        "{\"Harp.Instance\":\"" OTHER "\"}",
        "{\"harp.instance.more\":\"" OTHER "\"}",
        "{\"more\":{\"" INSTANCE_LABEL "\":\"" OTHER "\"}}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_true(ours(rows[i], ""));
    }
}

static void a_label_must_be_our_own(void **state)
{
    static const struct {
        const char *value; /* as JSON */
        bool ours;
    } rows[] = {
        {"\"" OWN "\"", true},
        {"\"" OTHER "\"", false},
        {"\"0123456789ABCDEF0123456789ABCDEF\"", false},
        {"\"" OWN " \"", false},
        {"\"" OWN OWN "\"", false},
        {"\"0123456789abcdef\"", false},
        {"\"" OWN "\\u0000\"", false},
        {"\"\"", false},
        {"null", false},
        {"true", false},
        {"5", false},
        {"[\"" OWN "\"]", false},
        {"{}", false},
    };
    char labels[256];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(labels, sizeof(labels), "{\"a\":\"b\",\"" INSTANCE_LABEL "\":%s}", rows[i].value);
        if (ours(labels, "") != rows[i].ours) {
            fail_msg("label %s", rows[i].value);
        }
    }
}

static void aliases_are_a_list(void **state)
{
    static const struct {
        const char *aliases, *value;
        bool ours;
    } rows[] = {
        {OTHER, OTHER, true},
        {"x," OTHER, OTHER, true},
        {OTHER ",x", OTHER, true},
        {"x, " OTHER " ,y", OTHER, true},
        {"x " OTHER, OTHER, true},
        {"x\t" OTHER, OTHER, true},
        {",,, ,\t" OTHER ",,", OTHER, true},
        {"a,b,c", "b", true},
        {"a,b,c", "c", true},
        {"a,b,c", "a", true},
        {"a,b,c", "a,b", false},
        {"a,b,c", "d", false},
        {"a,b,c", "A", false},
        {"a,b,c", "", false},
        {",", "", false},
        {" ", "", false},
        {"", "", false},
        {"abc", "ab", false},
        {"abc", "bc", false},
        {"ab", "abc", false},
        {"*", OTHER, false},
    };
    char labels[256];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(labels, sizeof(labels), "{\"" INSTANCE_LABEL "\":\"%s\"}", rows[i].value);
        char *exact = malloc(strlen(rows[i].aliases) + 1);
        memcpy(exact, rows[i].aliases, strlen(rows[i].aliases) + 1);
        if (ours(labels, exact) != rows[i].ours) {
            fail_msg("'%s' of '%s'", rows[i].value, rows[i].aliases);
        }
        free(exact);
    }
    snprintf(labels, sizeof(labels), "{\"" INSTANCE_LABEL "\":\"" OWN "\"}");
    assert_true(ours(labels, "x,y"));
}

static void reason(const char *labels, size_t size, char *out)
{
    struct json_doc *doc = json_parse(labels, strlen(labels), NULL, NULL, 0);
    char *exact = malloc(size);
    assert_non_null(doc);
    assert_ptr_equal(instance_reason(json_root(doc), exact, size), exact);
    assert_non_null(memchr(exact, '\0', size));
    snprintf(out, size, "%s", exact);
    for (const char *p = out; *p; p++) {
        assert_in_range(*p, 0x20, 0x7e); /* it goes to a log and a terminal */
    }
    free(exact);
    json_free(doc);
}

static void a_refusal_names_the_other_one(void **state)
{
    char out[512];
    (void)state;
    reason("{\"" INSTANCE_LABEL "\":\"" OTHER "\",\"" INSTANCE_URL_LABEL
           "\":\"https://b.example\"}",
           sizeof(out), out);
    assert_string_equal(out, "it belongs to another hub, for https://b.example (label "
                             "harp.instance=" OTHER "); if that was this one before its URL or key "
                             "changed, name the label in HP_INSTANCE_ALIASES");
}

static void odd_labels_do_not_reach_the_text(void **state)
{
    static const char *const values[] = {
        "\"a\\nb\"",
        "\"a\\u001b[31m\"",
        "\"\\u00e9\"",
        "\"a\\u0000b\"",
        "\"a\\u007f\"",
        "null",
        "5",
        "[]",
        "{\"x\":1}",
        "true",
        "\"\\r\\n\"",
    };
    char labels[1024], out[512], text[128];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        snprintf(labels, sizeof(labels),
                 "{\"" INSTANCE_LABEL "\":%s,\"" INSTANCE_URL_LABEL "\":%s}", values[i], values[i]);
        reason(labels, sizeof(out), out);
        assert_non_null(strstr(out, "for ? (label harp.instance=?)"));
    }
    reason("{}", sizeof(out), out);
    assert_non_null(strstr(out, "for ? (label harp.instance=?)"));
    /* the longest that is shown */
    for (size_t n = 120; n <= 121; n++) {
        memset(text, 'a', n);
        text[n] = '\0';
        snprintf(labels, sizeof(labels),
                 "{\"" INSTANCE_LABEL "\":\"%s\",\"" INSTANCE_URL_LABEL "\":\"%s\"}", text, text);
        reason(labels, sizeof(out), out);
        assert_int_equal(strstr(out, text) != NULL, n == 120);
        assert_non_null(strstr(out, "HP_INSTANCE_ALIASES")); /* it all fits */
    }
    reason("{}", 20, out);
    assert_int_equal(strlen(out), 19);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_label_is_made_of_key_and_url),
        cmocka_unit_test(without_a_label_it_is_everybodys),
        cmocka_unit_test(a_label_must_be_our_own),
        cmocka_unit_test(aliases_are_a_list),
        cmocka_unit_test(a_refusal_names_the_other_one),
        cmocka_unit_test(odd_labels_do_not_reach_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
