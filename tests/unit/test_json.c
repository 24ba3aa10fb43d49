/* JSON: what is read, what is refused, and how it is written. */
#include "common/json/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct json_doc *parse(const char *text)
{
    return json_parse(text, strlen(text), NULL, NULL, 0);
}

static void reads_every_kind_of_value(void **state)
{
    struct json_doc *doc =
        parse(" {\"s\":\"a\\u0000\\n\\ud83d\\ude00\xc3\xa9\",\"i\":-9223372036854775808,"
              "\"d\":-1.5e2,\"t\":true,\"z\":null,\"a\":[1,{\"k\":[]},\"\"],"
              "\"o\":{}} \n");
    const struct json_node *root = json_root(doc), *n;
    struct str s;
    int64_t i;
    double d;
    bool b;

    (void)state;
    assert_non_null(doc);
    assert_int_equal(json_count(root), 7);
    assert_int_equal(json_str(json_get(root, "s"), &s), 0);
    assert_int_equal(s.n, 9);
    assert_memory_equal(s.p, "a\0\n\xf0\x9f\x98\x80\xc3\xa9", 9);
    assert_int_equal(json_int(json_get(root, "i"), &i), 0);
    assert_true(i == INT64_MIN);
    assert_int_equal(json_double(json_get(root, "d"), &d), 0);
    assert_true(d <= -150 && d >= -150);
    assert_int_equal(json_bool(json_get(root, "t"), &b), 0);
    assert_true(b);
    assert_int_equal(json_type(json_get(root, "z")), JSON_NULL);
    n = json_first(json_get(root, "a"));
    assert_int_equal(json_int(n, &i), 0);
    assert_true(i == 1);
    n = json_next(n);
    assert_string_equal(json_type_name(n), "object");
    assert_int_equal(json_count(json_get(n, "k")), 0);
    n = json_next(n);
    assert_int_equal(json_str(n, &s), 0);
    assert_int_equal(s.n, 0);
    assert_null(json_next(n));
    assert_true(str_eq(json_key(json_first(root)), STR("s")));
    assert_null(json_first(json_get(root, "o")));
    json_free(doc);
}

static void converts_nothing(void **state)
{
    struct json_doc *doc = parse("{\"i\":1,\"d\":1.0,\"s\":\"1\",\"b\":false,\"z\":null}");
    const struct json_node *root = json_root(doc);
    struct str s = STR("untouched");
    int64_t i = 77;
    double d = 0;
    bool b = true;

    (void)state;
    assert_non_null(doc);
    assert_int_equal(json_int(json_get(root, "d"), &i), -1);
    assert_int_equal(json_int(json_get(root, "s"), &i), -1);
    assert_int_equal(json_int(json_get(root, "b"), &i), -1);
    assert_int_equal(json_int(json_get(root, "gone"), &i), -1);
    assert_int_equal(json_str(json_get(root, "i"), &s), -1);
    assert_int_equal(json_str(json_get(root, "z"), &s), -1);
    assert_int_equal(json_str(root, &s), -1);
    assert_int_equal(json_bool(json_get(root, "i"), &b), -1);
    assert_int_equal(json_bool(NULL, &b), -1);
    assert_int_equal(json_double(json_get(root, "s"), &d), -1);
    assert_int_equal(json_double(json_get(root, "i"), &d), 0);
    assert_true(str_eq(s, STR("untouched")) && i == 77 && b);
    assert_null(json_get(json_get(root, "s"), "k"));
    assert_null(json_get(NULL, "k"));
    assert_int_equal(json_count(json_get(root, "s")), 0);
    assert_string_equal(json_type_name(NULL), "nothing");
    json_free(doc);
    json_free(NULL);
}

static void refuses(const char *text, size_t n, const char *why)
{
    char err[128] = "";
    struct json_doc *doc = json_parse(text, n, NULL, err, sizeof(err));

    if (doc) {
        json_free(doc);
        fail_msg("accepted: %s", text);
    }
    if (!strstr(err, why))
        fail_msg("%s: said '%s' instead of '%s'", text, err, why);
}

static void refuses_what_is_not_json(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"", "empty"},
        {" ", "EOF"},
        {"{", "EOF"},
        {"[1", "EOF"},
        {"{\"a\":1", "EOF"},
        {"{\"a\":1}x", "at byte"},
        {"{} {}", "trailing"},
        {"{} 1", "trailing"},
        {"{} \"", "without an end"},
        {"{} \"abc", "without an end"},
        {"{}\xef\xbb\xbf", ""},
        {"\xef\xbb\xbf{}", "lexical"},
        {"{\"a\":1,}", "parse"},
        {"[1,]", "parse"},
        {"[,1]", "parse"},
        {"{a:1}", "lexical"},
        {"{'a':1}", "lexical"},
        {"{1:1}", "parse"},
        {"{\"a\"}", "parse"},
        {"[1 2]", "parse"},
        {"nul", ""},
        {"True", "lexical"},
        {"NaN", "lexical"},
        {"Infinity", "lexical"},
        {"01", ""},
        {"+1", "lexical"},
        {"-", ""},
        {"1.", ""},
        {".5", "lexical"},
        {"1e", ""},
        {"0x10", ""},
        {"/* c */ {}", "comment"},
        {"{} // c", "trailing"},
        {"{}\v", "invalid character at byte 2"},
        {"[\f1]", "invalid character at byte 1"},
        {"[1, /* c */ 2]", "comment"},
        {"\"\\x\"", "lexical"},
        {"\"a\nb\"", "lexical"},
        {"\"a\tb\"", "lexical"},
        {"\"\\u12\"", "wrong \\u"},
        {"\"\\u12g4\"", "wrong \\u"},
        {"\"\\ud800\"", "wrong \\u"},
        {"\"\\ud800\\n\"", "wrong \\u"},
        {"\"\\ud800\\u0041\"", "wrong \\u"},
        {"\"\\ud800\\ud800\"", "wrong \\u"},
        {"\"\\udc00\"", "wrong \\u"},
        {"\"\x80\"", "UTF-8"},
        {"\"\xc0\xaf\"", "UTF-8"},
        {"\"\xe0\x80\xaf\"", "UTF-8"},
        {"\"\xed\xa0\x80\"", "UTF-8"},
        {"\"\xf4\x90\x80\x80\"", "UTF-8"},
        {"\"\xc3\"", "UTF-8"},
        {"{\"a\":1,\"a\":2}", "twice"},
        {"{\"a\":1,\"\\u0061\":2}", "twice"},
        {"{\"\":1,\"\":2}", "twice"},
        {"[{\"x\":{\"a\":1,\"b\":2,\"a\":1}}]", "twice"},
        {"9223372036854775808", "out of range"},
        {"-9223372036854775809", "out of range"},
        {"1e999", "out of range"},
        {"-1e999", "out of range"},
        {"1.00000000000000000000000000000000000000000000000000000000000000000", "too long"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        refuses(cases[i].text, strlen(cases[i].text), cases[i].why);
    refuses("{}\0", 3, "");
    refuses("\"\0\"", 3, "");
}

static void accepts_corner_cases(void **state)
{
    static const char *const cases[] = {
        "null",
        "0",
        "-0",
        "9223372036854775807",
        "1e308",
        "1E-999",
        "\"\\\"\\\\\"",
        "\"\\\\u12\"",
        "\"\\\\ud800\"",
        "\"\\uD83D\\uDE00\"",
        "\"\xf4\x8f\xbf\xbf\"",
        "\"\x7f\"",
        "\"//\"",
        "[]",
        "{\"a\":{\"a\":{\"a\":[\"a\",\"a\"]}}}",
        "\t\r\n {}\t\r\n ",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json_doc *doc = parse(cases[i]);

        if (!doc)
            fail_msg("refused: %s", cases[i]);
        json_free(doc);
    }
}

static void finds_a_key_twice_among_many(void **state)
{
    char text[8192];

    (void)state;
    for (int twice = 0; twice < 2; twice++) {
        struct json_doc *doc;
        size_t n = 1;

        text[0] = '{';
        for (int i = 0; i < 300; i++)
            n += (size_t)sprintf(text + n, "\"key%d\":%d,", i, i);
        n += (size_t)sprintf(text + n, "\"key%d\":0}", twice ? 137 : 300);
        doc = json_parse(text, n, NULL, NULL, 0);
        assert_int_equal(doc != NULL, !twice);
        json_free(doc);
    }
}

static void refuses_what_exceeds_a_limit(void **state)
{
    static const struct {
        const char *text;
        struct json_limits limits;
        bool good;
    } cases[] = {
        {"[[[1]]]", {.depth = 3}, true},        {"[[[1]]]", {.depth = 2}, false},
        {"[{\"a\":[1]}]", {.depth = 2}, false}, {"[1,2,3]", {.nodes = 4}, true},
        {"[1,2,3]", {.nodes = 3}, false},       {"[1,2,3]", {.bytes = 7}, true},
        {"[1,2,3]", {.bytes = 6}, false},       {"[[],[],[]]", {.depth = 2}, true},
    };
    char deep[80];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *t = cases[i].text;
        char err[64];
        struct json_doc *doc = json_parse(t, strlen(t), &cases[i].limits, err, sizeof(err));

        assert_int_equal(doc != NULL, cases[i].good);
        json_free(doc);
    }
    for (int extra = 0; extra < 2; extra++) {
        size_t levels = JSON_DEPTH + (size_t)extra;
        struct json_doc *doc;

        memset(deep, '[', levels);
        memset(deep + levels, ']', levels);
        doc = json_parse(deep, 2 * levels, NULL, NULL, 0);
        assert_int_equal(doc != NULL, !extra);
        json_free(doc);
    }
}

static void messages_never_quote_the_text(void **state)
{
    static const char *const cases[] = {"{\"token\":\"hunter2\" x}",
                                        "{\"hunter2\":1,\"hunter2\":1}", "\"hunter2\" hunter2"};
    char err[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_null(json_parse(cases[i], strlen(cases[i]), NULL, err, sizeof(err)));
        assert_null(strstr(err, "hunter2"));
    }
    assert_null(json_parse("[", 1, NULL, err, 4));
    assert_int_equal(strlen(err), 3);
}

static void writes_as_go_does(void **state)
{
    static const char expected[] =
        "{\"s\":\"q\\\"b\\\\/\\b\\f\\n\\r\\t\\u0001\\u0000\x7f\\u003c\\u003e"
        "\\u0026\\u2028\\u2029\xc3\xa9\xf0\x9f\x98\x80\",\"a\":[1,-2,[],"
        "{},true],\"\":false,\"z\":null}";
    static const char s[] = "q\"b\\/\b\f\n\r\t\x01\0\x7f<>&\xe2\x80\xa8\xe2\x80\xa9\xc3\xa9"
                            "\xf0\x9f\x98\x80";
    char buf[256];

    (void)state;
    for (size_t cap = 0; cap < sizeof(buf); cap++) {
        struct json_out o;

        json_out_init(&o, buf, cap);
        json_out_object(&o);
        json_out_key(&o, STR("s"));
        json_out_str(&o, (struct str){s, sizeof(s) - 1});
        json_out_key(&o, STR("a"));
        json_out_array(&o);
        json_out_int(&o, 1);
        json_out_int(&o, -2);
        json_out_array(&o);
        json_out_array_end(&o);
        json_out_object(&o);
        json_out_object_end(&o);
        json_out_bool(&o, true);
        json_out_array_end(&o);
        json_out_key(&o, STR(""));
        json_out_bool(&o, false);
        json_out_key(&o, STR("z"));
        json_out_null(&o);
        json_out_object_end(&o);
        if (cap < sizeof(expected) - 1) {
            assert_int_equal(json_out_end(&o), -1);
            assert_true(o.n <= cap);
            continue;
        }
        assert_int_equal(json_out_end(&o), sizeof(expected) - 1);
        assert_memory_equal(buf, expected, sizeof(expected) - 1);
    }
}

/* Each letter is a call; anything that is no JSON value must fail, and stay failed. */
static ssize_t write_calls(const char *calls)
{
    static char buf[256];
    struct json_out o;

    json_out_init(&o, buf, sizeof(buf));
    for (; *calls; calls++) {
        switch (*calls) {
        case '{':
            json_out_object(&o);
            break;
        case '}':
            json_out_object_end(&o);
            break;
        case '[':
            json_out_array(&o);
            break;
        case ']':
            json_out_array_end(&o);
            break;
        case 'k':
            json_out_key(&o, STR("k"));
            break;
        case '1':
            json_out_int(&o, 1);
            break;
        case '!':
            json_out_str(&o, STR("\xff"));
            break;
        default:
            break;
        }
    }
    return json_out_end(&o);
}

static void misuse_of_the_writer_fails_for_good(void **state)
{
    static const char *const bad[] = {
        "",     "{",  "[",    "}",   "]",   "{]", "[}",  "{1}",  "{k}", "{kk1}", "k",   "k1",
        "[k1]", "11", "{}{}", "{}1", "{}]", "!",  "[!]", "{k!}", "{k1", "{}}",   "[[]",
    };
    char deep[2 * JSON_OUT_DEPTH + 3];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (write_calls(bad[i]) != -1)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(write_calls("{k[11{}]k{k1}}"), 26);
    assert_int_equal(write_calls("1"), 1);
    for (size_t levels = JSON_OUT_DEPTH; levels <= JSON_OUT_DEPTH + 1; levels++) {
        memset(deep, '[', levels);
        memset(deep + levels, ']', levels);
        deep[2 * levels] = '\0';
        assert_int_equal(write_calls(deep), levels == JSON_OUT_DEPTH ? 2 * (int)levels : -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_kind_of_value),
        cmocka_unit_test(converts_nothing),
        cmocka_unit_test(refuses_what_is_not_json),
        cmocka_unit_test(accepts_corner_cases),
        cmocka_unit_test(finds_a_key_twice_among_many),
        cmocka_unit_test(refuses_what_exceeds_a_limit),
        cmocka_unit_test(messages_never_quote_the_text),
        cmocka_unit_test(writes_as_go_does),
        cmocka_unit_test(misuse_of_the_writer_fails_for_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
