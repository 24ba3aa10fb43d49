/* Docker calls as they are read from a request target: what is split, decoded, bounded and refused. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/docker/call.h"

static struct docker_call call;

/* NULL when taken, else why not. Reads a copy that is gone afterwards. */
static const char *parse(const char *p, size_t n)
{
    const char *why = NULL;
    char *copy = malloc(n ? n : 1);
    memcpy(copy, p, n);
    int rc = docker_call_read(&call, (struct str){copy, n}, DOCKER_VERSION_MAX, &why);
    memset(copy, 'x', n);
    free(copy);
    assert_int_equal(rc, why ? -1 : 0);
    return why;
}

static void take(const char *target)
{
    const char *why = parse(target, strlen(target));
    if (why) {
        fail_msg("%s: %s", target, why);
    }
}

static void expect_refusal(const char *target, const char *want)
{
    const char *why = parse(target, strlen(target));
    if (!why || strcmp(why, want) != 0) {
        fail_msg("%s: %s, wanted: %s", target, why ? why : "taken", want);
    }
}

struct refusal {
    const char *target, *why;
};

static void check_refusals(const struct refusal *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        expect_refusal(rows[i].target, rows[i].why);
    }
}

/* The call as one line: version, segments (with ! when encoded), parameters. */
static void describe(char *out, size_t cap)
{
    int n = snprintf(out, cap, "%u", call.version);
    for (unsigned i = 0; i < call.nsegments; i++) {
        n += snprintf(out + n, cap - (size_t)n, " %.*s%s", STR_ARG(docker_call_segment(&call, i)),
                      call.segments[i].encoded ? "!" : "");
    }
    for (unsigned i = 0; i < call.nparams; i++) {
        n += snprintf(out + n, cap - (size_t)n, " %.*s=[%.*s]",
                      STR_ARG(docker_param_name(&call, i)), STR_ARG(docker_param_value(&call, i)));
    }
}

static void splits_version_path_and_query(void **state)
{
    static const struct {
        const char *target, *want;
    } rows[] = {
        {"/_ping", "0 _ping"},
        {"/v1.24/_ping", "24 _ping"},
        {"/v1.99/_ping", "99 _ping"},
        {"/v1.41/images/a/b/c/json", "41 images a b c json"},
        {"/volumes", "0 volumes"},
        {"/version", "0 version"},
        {"/v1.41/v1.41/_ping", "41 v1.41 _ping"},
        {"/V1.41/_ping", "0 V1.41 _ping"},
        {"/v/_ping", "0 v _ping"},
        {"/images/a:1@sha256:x/json", "0 images a:1@sha256:x json"},
        {"/images/a%2Fb%2fc/json", "0 images a! b! c! json"},
        {"/images/a%3A1%403%3a%40/json", "0 images a:1@3:@! json"},
        {"/images%2Fjson", "0 images! json!"},
        {"/a%2Fb/c", "0 a! b! c"},
        {"/a/b%2Fc", "0 a b! c!"},
        {"/...", "0 ..."},
        {"/..a/a../.b", "0 ..a a.. .b"},
        {"/A-Z_~.9/x", "0 A-Z_~.9 x"},
        {"/x?a=1", "0 x a=[1]"},
        {"/x?a=1&b=2&A=3", "0 x a=[1] b=[2] A=[3]"},
        {"/x?a=", "0 x a=[]"},
        {"/x?a=&b=", "0 x a=[] b=[]"},
        {"/x?from-Image_0=r%2Ftest%3A1", "0 x from-Image_0=[r/test:1]"},
        {"/x?a=r/test:1@x~.-_", "0 x a=[r/test:1@x~.-_]"},
        {"/x?a=%20%7e%2B%3B%26%3D%25%2f", "0 x a=[ ~+;&=%/]"},
        {"/x?a=%2541%252F", "0 x a=[%41%2F]"},
        {"/x?a=..%2F..", "0 x a=[../..]"},
    };
    char got[256];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        take(rows[i].target);
        describe(got, sizeof(got));
        if (strcmp(got, rows[i].want) != 0) {
            fail_msg("%s: %s", rows[i].target, got);
        }
        assert_null(call.rule);
        assert_int_equal(docker_call_object(&call).n, 0);
    }
}

static void keeps_its_text_when_it_is_copied(void **state)
{
    (void)state;
    take("/v1.41/images/a%2Fb/json?since=12");
    struct docker_call copy = call;
    memset(&call, 'x', sizeof(call));
    assert_true(str_eq(docker_call_path(&copy), STR("/images/a/b/json")));
    assert_true(str_eq(docker_call_segment(&copy, 3), STR("json")));
    assert_true(str_eq(docker_param_name(&copy, 0), STR("since")));
    assert_true(str_eq(docker_param_value(&copy, 0), STR("12")));
}

static void refuses_versions_of_other_forms(void **state)
{
    static const char unknown[] = "unknown API version", range[] = "API version out of range";
    static const struct refusal rows[] = {
        {"/v1.0/_ping", unknown},
        {"/v01.41/_ping", unknown},
        {"/v1.041/_ping", unknown},
        {"/v1.4x/_ping", unknown},
        {"/v1.4/_ping", unknown},
        {"/v1/_ping", unknown},
        {"/v1./_ping", unknown},
        {"/v2.41/_ping", unknown},
        {"/v1.41.0/_ping", unknown},
        {"/v1,41/_ping", unknown},
        {"/v1.4%31/_ping", unknown},
        {"/v4.0.0/libpod/_ping", unknown},
        {"/v11.41/_ping", unknown},
        {"/v1.-41/_ping", unknown},
        {"/v1.+41/_ping", unknown},
        {"/v1.41%2F_ping", unknown},
        {"/v1.1000/_ping", unknown},
        {"/v1.41:/_ping", unknown},
        {"/v1.4294967337/x", unknown},
        {"/v1..41/_ping", unknown},
        {"/v1.0041/_ping", unknown},
        {"/v1.10/_ping", range},
        {"/v1.23/_ping", range},
        {"/v1.100/_ping", range},
        {"/v1.999/_ping", range},
        {"/v1.41", "no call behind the API version"},
        {"/v1.41/", "slash at the end of the path"},
    };
    const char *why;
    (void)state;
    check_refusals(rows, ARRAY_LEN(rows));
    assert_int_equal(docker_call_read(&call, STR("/v1.45/_ping"), 45, &why), 0);
    assert_int_equal(docker_call_read(&call, STR("/v1.46/_ping"), 45, &why), -1);
    assert_int_equal(docker_call_read(&call, STR("/v1.999/_ping"), 999, &why), 0);
}

static void refuses_paths_that_would_have_to_be_cleaned(void **state)
{
    static const char none[] = "target is not a path", dot[] = "dot segment in the path",
                      empty[] = "empty path segment", end[] = "slash at the end of the path",
                      byte[] = "byte that may not stand in a path",
                      escape[] = "percent-encoding in the path that no image name needs";
    static const struct refusal rows[] = {
        {"", none},
        {"*", none},
        {"_ping", none},
        {"?a=1", none},
        {"http://docker/_ping", none},
        {"\\_ping", none},
        {" /_ping", none},
        {"/", end},
        {"/?a=1", end},
        {"/_ping/", end},
        {"/_ping/?a=1", end},
        {"/images/x%2F", end},
        {"/..%2F", dot},
        {"//", empty},
        {"//_ping", empty},
        {"/v1.41//_ping", empty},
        {"/images//x/json", empty},
        {"/images/x//", empty},
        {"/images/%2Fx/json", empty},
        {"/images/x%2F/json", empty},
        {"/images/x%2F%2fy/json", empty},
        {"/%2F_ping", empty},
        {"/.", dot},
        {"/..", dot},
        {"/./_ping", dot},
        {"/../_ping", dot},
        {"/images/../containers/json", dot},
        {"/images/x/../../containers/json", dot},
        {"/images/./x/json", dot},
        {"/images/x/..", dot},
        {"/images/x/..?a=1", dot},
        {"/v1.41/../v1.41/_ping", dot},
        {"/images/..%2Fcontainers/json", dot},
        {"/images/x%2F..%2Fy/json", dot},
        {"/images/x%2F../json", dot},
        {"/images/x%2f./json", dot},
        {"/images/%2e%2e/containers/json", escape},
        {"/images/.%2e/containers/json", escape},
        {"/images/%2E%2E%2Fcontainers/json", escape},
        {"/images/..%252fcontainers/json", escape},
        {"/images/x%252fy/json", escape},
        {"/images/%25/json", escape},
        {"/images/%/json", escape},
        {"/images/x%2", escape},
        {"/images/x%", escape},
        {"/images/x%2g/json", escape},
        {"/images/x%00/json", escape},
        {"/images/x%0a/json", escape},
        {"/images/x%20/json", escape},
        {"/images/x%3b/json", escape},
        {"/images/x%3F/json", escape},
        {"/images/x%5c/json", escape},
        {"/images/x%c0%af/json", escape},
        {"/images/x%ef%bc%8f/json", escape},
        {"/images/%u002f/json", escape},
        {"/%5fping", escape},
        {"/%69mages/x/json", escape},
        {"/_ping;x", byte},
        {"/_ping;/x", byte},
        {"/..;/_ping", byte},
        {"/images/x,y/json", byte},
        {"/images/x+y/json", byte},
        {"/images/x=y/json", byte},
        {"/images/x&y/json", byte},
        {"/images/x$y/json", byte},
        {"/images/x!y/json", byte},
        {"/images/x'y/json", byte},
        {"/images/(x)/json", byte},
        {"/images/x*/json", byte},
        {"/images/[::1]/x/json", byte},
        {"/images/{name}/json", byte},
        {"/images/x|y/json", byte},
        {"/images/x^y/json", byte},
        {"/images/x`y/json", byte},
        {"/images/<x>/json", byte},
        {"/images/\"x\"/json", byte},
        {"/images\\x\\json", byte},
        {"/images/..\\containers/json", byte},
        {"/_ping x", byte},
        {"/_ping ", byte},
        {"/_ping\t", byte},
        {"/_ping\r\n", byte},
        {"/_ping\n", byte},
        {"/_ping\x01", byte},
        {"/_ping\x7f", byte},
        {"/_ping\x80", byte},
        {"/\xc3\xa4", byte},
        {"/images/x\xe2\x81\x84y/json", byte},
        {"/_ping#x", "fragment in the target"},
        {"/_ping#", "fragment in the target"},
    };
    (void)state;
    check_refusals(rows, ARRAY_LEN(rows));
    assert_string_equal(parse("/_ping\0", 7), byte);
    assert_string_equal(parse("/\0", 2), byte);
}

static void refuses_queries_that_can_be_read_in_two_ways(void **state)
{
    static const char empty[] = "empty parameter in the query",
                      no_value[] = "parameter without a value", twice[] = "parameter given twice",
                      encoded[] = "percent-encoding in a parameter's name",
                      name[] = "byte that may not stand in a parameter's name",
                      must[] = "byte in the query that must be encoded",
                      broken[] = "malformed percent-encoding in the query",
                      printable[] = "encoded byte in the query that is not printable ASCII";
    static const struct refusal rows[] = {
        {"/x?", empty},
        {"/x?&", empty},
        {"/x?a=1&", empty},
        {"/x?&a=1", empty},
        {"/x?a=1&&b=2", empty},
        {"/x?a", no_value},
        {"/x?a&b=1", no_value},
        {"/x?a=1&b", no_value},
        {"/x?=1", "parameter without a name"},
        {"/x?=", "parameter without a name"},
        {"/x?a=1&=2", "parameter without a name"},
        {"/x?a=1&a=2", twice},
        {"/x?a=1&a=1", twice},
        {"/x?a=1&b=2&a=3", twice},
        {"/x?a=&a=", twice},
        {"/x?from%49mage=x", encoded},
        {"/x?a=1&%61=2", encoded},
        {"/x?%66romImage=x", encoded},
        {"/x?a%00=1", encoded},
        {"/x?a%=1", encoded},
        {"/x?a+b=1", name},
        {"/x?a[]=1", name},
        {"/x?a[0]=1", name},
        {"/x?a.b=1", name},
        {"/x?a;b=1", name},
        {"/x?a/b=1", name},
        {"/x?a:b=1", name},
        {"/x?a\x01=1", name},
        {"/x?\xc3\xa4=1", name},
        {"/x? a=1", name},
        {"/x?a =1", name},
        {"/x?a=1;b=2", must},
        {"/x?a=1,2", must},
        {"/x?a=1+2", must},
        {"/x?a=+", must},
        {"/x?a==", must},
        {"/x?a=b=c", must},
        {"/x?a=1?b=2", must},
        {"/x?a=1#", must},
        {"/x?a=1#b", must},
        {"/x?a={}", must},
        {"/x?a=\"", must},
        {"/x?a=[]", must},
        {"/x?a=\\", must},
        {"/x?a=1 ", must},
        {"/x?a=1\t", must},
        {"/x?a=1\r\nX: y", must},
        {"/x?a=\x7f", must},
        {"/x?a=\x80", must},
        {"/x?a=\xc3\xa4", must},
        {"/x?a=%", broken},
        {"/x?a=%4", broken},
        {"/x?a=%4&b=1", broken},
        {"/x?a=%4g", broken},
        {"/x?a=%g4", broken},
        {"/x?a=%%41", broken},
        {"/x?a=%u0041", broken},
        {"/x?a=%00", printable},
        {"/x?a=%0a", printable},
        {"/x?a=x%0D%0AX", printable},
        {"/x?a=%09", printable},
        {"/x?a=%1f", printable},
        {"/x?a=%7F", printable},
        {"/x?a=%80", printable},
        {"/x?a=%c3%a4", printable},
        {"/x?a=%c0%af", printable},
        {"/x?a=%ff", printable},
    };
    (void)state;
    check_refusals(rows, ARRAY_LEN(rows));
    assert_string_equal(parse("/x?a=1\0", 7), must);
    assert_string_equal(parse("/x?a\0=1", 7), name);
}

/* A target whose text is repeated. */
static char *repeat(const char *front, const char *piece, unsigned times, const char *back)
{
    size_t n = strlen(piece), f = strlen(front);
    char *text = malloc(f + n * times + strlen(back) + 1);
    memcpy(text, front, f);
    for (unsigned i = 0; i < times; i++) {
        memcpy(text + f + n * i, piece, n);
    }
    memcpy(text + f + n * times, back, strlen(back) + 1);
    return text;
}

/* `times` is the most that is taken. */
static void expect_limit(const char *front, const char *piece, unsigned times, const char *back,
                         const char *why)
{
    char *good = repeat(front, piece, times, back);
    take(good);
    free(good);
    char *bad = repeat(front, piece, times + 1, back);
    expect_refusal(bad, why);
    free(bad);
}

static void bounds_everything(void **state)
{
    char text[DOCKER_PARAMS_MAX * 8 + 16], *value;
    (void)state;
    expect_limit("/", "x", DOCKER_PATH_MAX - 1, "", "path too long");
    expect_limit("/v1.41/", "x", DOCKER_PATH_MAX - 1, "?a=1", "path too long");
    expect_limit("/x", "%3A", DOCKER_PATH_MAX - 2, "", "path too long");
    expect_limit("", "/x", DOCKER_SEGMENTS_MAX, "", "too many path segments");
    expect_limit("/x", "%2Fx", DOCKER_SEGMENTS_MAX - 1, "", "too many path segments");
    expect_limit("/x?", "n", DOCKER_PARAM_NAME_MAX, "=1", "parameter's name too long");
    expect_limit("/x?a=", "v", DOCKER_PARAM_VALUE_MAX, "", "parameter's value too long");
    expect_limit("/x?a=", "%20", DOCKER_PARAM_VALUE_MAX, "&b=1", "parameter's value too long");
    /* Both names and the other value are in it, too. */
    value = repeat("/x?a=", "v", DOCKER_PARAM_VALUE_MAX, "&b=");
    expect_limit(value, "v", DOCKER_QUERY_MAX - DOCKER_PARAM_VALUE_MAX - 2, "", "query too long");
    free(value);
    value = repeat("/x?a=", "v", DOCKER_PARAM_VALUE_MAX, "&b=");
    char *more = repeat(value, "v", DOCKER_QUERY_MAX - DOCKER_PARAM_VALUE_MAX - 4, "&");
    expect_limit(more, "n", 2, "=", "query too long");
    free(more);
    free(value);
    size_t n = (size_t)snprintf(text, sizeof(text), "/x?a=0");
    for (unsigned i = 1; i < DOCKER_PARAMS_MAX; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "&a%u=%u", i, i);
    }
    take(text);
    assert_int_equal(call.nparams, DOCKER_PARAMS_MAX);
    snprintf(text + n, sizeof(text) - n, "&b=1");
    expect_refusal(text, "too many parameters");
}

static void finds_parameters_by_their_exact_name(void **state)
{
    struct str value;
    (void)state;
    take("/x?follow=1&tail=all&empty=");
    assert_true(docker_call_param(&call, STR("tail"), &value));
    assert_true(str_eq(value, STR("all")));
    assert_true(docker_call_param(&call, STR("empty"), &value));
    assert_int_equal(value.n, 0);
    assert_false(docker_call_param(&call, STR("Follow"), &value));
    assert_false(docker_call_param(&call, STR("follo"), &value));
    assert_false(docker_call_param(&call, STR(""), &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_version_path_and_query),
        cmocka_unit_test(keeps_its_text_when_it_is_copied),
        cmocka_unit_test(refuses_versions_of_other_forms),
        cmocka_unit_test(refuses_paths_that_would_have_to_be_cleaned),
        cmocka_unit_test(refuses_queries_that_can_be_read_in_two_ways),
        cmocka_unit_test(bounds_everything),
        cmocka_unit_test(finds_parameters_by_their_exact_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
