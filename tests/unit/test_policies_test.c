/* `policy test` and `policy show`: recorded requests in all their forms, what is said of them, exit codes;
 * and files that are none. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/base/buf.h"
#include "policies_bench.h"
#include "socket-filter/command/policy_command.h"
#include "socket-filter/policy/policy_test.h"

static char file[] = "/tmp/harp-policies-test-XXXXXX";
static char *out, *err;

static int setup(void **state)
{
    (void)state;
    int fd = mkstemp(file);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    (void)state;
    free(out);
    free(err);
    return unlink(file);
}

static int command_with(const struct policies *p, const char *file_name, int argc,
                        const char *const *argv)
{
    size_t nout, nerr;
    free(out);
    free(err);
    FILE *o = open_memstream(&out, &nout), *e = open_memstream(&err, &nerr);
    int code = policy_command(p, file_name, argc, argv, o, e);
    assert_int_equal(fclose(o), 0);
    assert_int_equal(fclose(e), 0);
    return code;
}

static int command(int argc, const char *const *argv)
{
    struct config_report report = {.error = ""};
    struct policies *p = policies_load(NULL, &report);
    int code = command_with(p, NULL, argc, argv);
    policies_free(p);
    return code;
}

#define COMMAND(...)                                                                               \
    command(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *),                           \
            (const char *const[]){__VA_ARGS__})

static void write_file(const char *text, size_t n)
{
    FILE *f = fopen(file, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static int test(const char *text)
{
    write_file(text, strlen(text));
    return COMMAND("test", file);
}

static void expect_out(const char *line)
{
    if (!strstr(out, line)) {
        fail_msg("no \"%s\" in:\n%s%s", line, out, err);
    }
}

static void expect_err(const char *line)
{
    if (!strstr(err, line)) {
        fail_msg("no \"%s\" in:\n%s", line, err);
    }
}

/* ---- verdicts ---- */

static void tells_the_verdict_of_each_request(void **state)
{
    (void)state;
    assert_int_equal(
        test("{\"method\":\"GET\",\"path\":\"/_ping\"}\n"
             "\n"
             "{\"method\":\"GET\",\"path\":\"/v1.41/containers/nc_app_x/json\"}\n"
             "{\"method\":\"POST\",\"path\":\"/v1.41/containers/create?name=nc_app_x\",\"body\":"
             "{\"Image\":\"a\"},\"name\":\"an app \\u001b[1m\"}\r\n"
             "{\"method\":\"GET\",\"path\":\"/containers/db/json\"}\n"
             "{\"method\":\"GET\",\"path\":\"/events\"}\n"
             "{\"method\":\"GET\",\"path\":\"//events\"}\n"
             "{\"method\":\"G T\",\"path\":\"/events\"}"),
        0);
    assert_string_equal(err, "");
    expect_out("pass    _ping                                   GET _ping\n");
    expect_out("pass    containers/inspect  nc_app_x            GET containers/{container}/json\n");
    expect_out("pass    containers/create   nc_app_x            POST containers/create  (an app "
               "?[1m)\n");
    expect_out("refuse  containers/inspect  container name is not one that the policy lists\n");
    expect_out("refuse  GET events          not an allowed call\n"
               "        calls = [ \"GET events\" ];\n");
    expect_out("refuse  -                   malformed: ");
    expect_out("7 requests by policy appapi: 3 pass, 4 refused\n");
}

static void judges_bodies(void **state)
{
    (void)state;
    assert_int_equal(
        test("[{\"method\":\"POST\",\"path\":\"/containers/create?name=nc_app_x\",\"body\":"
             "{\"Image\":\"a\",\"HostConfig\":{\"Privileged\":true}}},\n"
             "{\"method\":\"POST\",\"path\":\"/containers/create?name=nc_app_x\",\"body\":"
             "\"{\\\"Image\\\":\\\"a\\\",\\\"HostConfig\\\":{\\\"Privileged\\\":true}}\"},\n"
             "{\"method\":\"POST\",\"path\":\"/containers/create?name=nc_app_x\"},\n"
             "{\"method\":\"POST\",\"path\":\"/containers/nc_app_x/start\",\"body\":\"{}\"},\n"
             "{\"method\":\"POST\",\"path\":\"/containers/create?name=nc_app_x\",\"headers\":"
             "{\"Content-Type\":\"text/plain\"},\"body\":\"{}\"}]"),
        0);
    const char *first = strstr(out, "Privileged");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "Privileged"));
    expect_out("refuse  containers/create   a body is missing\n");
    expect_out("refuse  containers/start    a body is not allowed\n");
    expect_out("refuse  containers/create   Content-Type is not application/json\n");
    expect_out("5 requests by policy appapi: 0 pass, 5 refused\n");
}

static void a_recording_s_shape_is_taken(void **state)
{
    (void)state;
    assert_int_equal(
        test(
            "[{\"seq\":1,\"request\":{\"method\":\"GET\",\"path\":\"/v1.41/containers/nc_app_x/"
            "logs\","
            "\"query\":\"follow=true\",\"headers\":[[\"Host\",\"a\"],[\"Content-Length\",\"724\"]],"
            "\"body\":\"\"},\"response\":{\"status\":200},\"expect\":\"pass\"},"
            "{\"request\":{\"method\":\"POST\",\"path\":\"/volumes/create\",\"query\":\"\","
            "\"headers\":[[\"Host\",\"a\"],[\"Content-Type\",\"application/json\"],"
            "[\"Content-Length\",\"3\"]],\"body\":{\"Name\":\"nc_app_x_data\"}}}]"),
        0);
    expect_out("2 requests by policy appapi: 2 pass, 0 refused\n");
}

static void an_archive_is_judged_by_its_call_alone(void **state)
{
    (void)state;
    assert_int_equal(test("{\"method\":\"PUT\",\"path\":\"/containers/nc_app_x/archive?path=/\","
                          "\"headers\":{\"Content-Type\":\"application/x-tar\"},\"body\":\"x\"}"),
                     0);
    expect_out(
        "pass    containers/archive  nc_app_x            PUT containers/{container}/archive");
}

static void says_where_the_engine_would_be_asked(void **state)
{
    (void)state;
    assert_int_equal(test("{\"method\":\"GET\",\"path\":\"/containers/0123456789ab/json\"}"), 0);
    expect_out("pass    containers/inspect  0123456789ab ");
    expect_out("        if the engine says that it is one the policy grants\n");
}

static void what_is_not_as_expected_is_told(void **state)
{
    (void)state;
    assert_int_equal(test("{\"method\":\"GET\",\"path\":\"/_ping\",\"expect\":\"pass\"}\n"
                          "{\"method\":\"GET\",\"path\":\"/events\",\"expect\":\"refuse\"}\n"
                          "{\"method\":\"G\\nT\",\"path\":\"/events\",\"expect\":\"refuse\"}\n"),
                     0);
    assert_null(strstr(out, "EXPECTED"));
    assert_int_equal(test("{\"method\":\"GET\",\"path\":\"/_ping\",\"expect\":\"refuse\"}\n"
                          "{\"method\":\"GET\",\"path\":\"/events\",\"expect\":\"pass\"}\n"
                          "{\"method\":\"GET\",\"path\":\"/version\",\"expect\":\"pass\"}\n"),
                     1);
    expect_out("        EXPECTED to be refused: line 1\n");
    expect_out("        EXPECTED to pass: line 2\n");
    expect_out("3 requests by policy appapi: 2 pass, 1 refused, 2 not as expected\n");
}

static void the_policy_can_be_named(void **state)
{
    static const char text[] = "{\"method\":\"GET\",\"path\":\"/events\",\"expect\":\"pass\"}";
    (void)state;
    write_file(text, sizeof(text) - 1);
    assert_int_equal(COMMAND("test", file), 1);
    assert_int_equal(COMMAND("test", "--policy", "traefik", file), 0);
    assert_int_equal(COMMAND("test", "--policy=traefik", file), 0);
    assert_int_equal(COMMAND("test", "traefik", file), 0);
    expect_out("1 request by policy traefik: 1 pass, 0 refused\n");
}

/* ---- files that are none ---- */

static void a_malformed_file_is_told_with_its_line(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"{\"method\":\"GET\",\"path\":\"/_ping\"}\n{\"method\":\n", ": line 2: "},
        {"[{\"method\":\"GET\",\"path\":\"/_ping\"},\n\n{\"method\":}]", ": line 3: "},
        {"[1]", ": request 1: a request is an object"},
        {"1", ": line 1: a request is an object"},
        {"{}", ": line 1: a request needs method and path"},
        {"{\"method\":\"GET\"}", ": line 1: a request needs method and path"},
        {"{\"method\":\"GET\",\"path\":1}", ": line 1: a request needs method and path"},
        {"{\"request\":1}", ": line 1: a request is an object"},
        {"{\"method\":\"GET\",\"path\":\"/\",\"query\":1}", ": line 1: query: write text"},
        {"{\"method\":\"GET\",\"path\":\"/\",\"name\":1}", ": line 1: name: write text"},
        {"{\"method\":\"GET\",\"path\":\"/\",\"expect\":true}", ": line 1: expect: write \"pass\""},
        {"{\"method\":\"GET\",\"path\":\"/\",\"expect\":\"fail\"}", ": line 1: expect: write"},
        {"{\"method\":\"GET\",\"path\":\"/\",\"headers\":\"a\"}", ": line 1: headers: write an"},
        {"{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"a\":1}}", ": line 1: headers: names"},
        {"{\"method\":\"GET\",\"path\":\"/\",\"headers\":[[\"a\"]]}", ": line 1: headers: a pair"},
        {"{\"method\":\"GET\",\"path\":\"/\",\"headers\":[[1,\"a\"]]}",
         ": line 1: headers: a pair"},
        {"{\"method\":\"GET\",\"path\":\"/\",\"body\":{\"a\":1.5}}", ": line 1: body: fractions"},
        {"\xef\xbb\xbf{}", ": line 1: "},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(test(rows[i].text), 2);
        assert_int_equal(strncmp(err, file, strlen(file)), 0);
        expect_err(rows[i].error);
    }
    assert_int_equal(COMMAND("test", "/no/such/file"), 2);
    expect_err("cannot open '/no/such/file'");
}

static void limits_of_a_file(void **state)
{
    enum { LONG = 64 * 1024 };
    (void)state;
    char *text = xmalloc(POLICY_TEST_FILE_MAX + 1);
    memset(text, '\n', POLICY_TEST_FILE_MAX + 1);
    write_file(text, POLICY_TEST_FILE_MAX);
    assert_int_equal(COMMAND("test", file), 0);
    expect_out("0 requests by policy appapi: 0 pass, 0 refused\n");
    write_file(text, POLICY_TEST_FILE_MAX + 1);
    assert_int_equal(COMMAND("test", file), 2);
    expect_err("is larger than");
    int n = snprintf(text, 64, "{\"method\":\"GET\",\"path\":\"/");
    memset(text + n, 'a', LONG);
    memcpy(text + n + LONG, "\"}", 2);
    write_file(text, (size_t)n + LONG + 2);
    assert_int_equal(COMMAND("test", file), 2);
    expect_err("line 1: the head is longer than 64 KiB");
    free(text);
}

/* ---- show, and the words ---- */

static void shows_names_and_one_policy(void **state)
{
    struct config_report report;
    (void)state;
    assert_int_equal(COMMAND("show"), 0);
    for (const struct named_policy *p = policies_built_in; p->name; p++) {
        expect_out(p->name);
        expect_out(p->what);
    }
    assert_int_equal(COMMAND("show", "traefik"), 0);
    char *text = bench_print(&policies_built_in[2]);
    assert_int_equal(strncmp(out, text, strlen(text)), 0);
    assert_string_equal(out + strlen(text), "\n");
    free(text);

    struct policies *p =
        bench_load("policies = ( { name = \"mine\"; base = \"appapi\"; } );", &report);
    assert_int_equal(command_with(p, "f.cfg", 1, (const char *const[]){"show"}), 0);
    expect_out("mine            Read from f.cfg\n");
    assert_int_equal(command_with(p, "f.cfg", 2, (const char *const[]){"show", "other"}), 1);
    expect_err(
        "policy: 'other' is none of the built-in ones, nor of f.cfg; `policy show` lists all");
    policies_free(p);
}

static void other_words_are_refused(void **state)
{
    (void)state;
    assert_int_equal(command(0, NULL), 2);
    expect_err("a word is missing");
    assert_int_equal(COMMAND("list"), 2);
    expect_err("unknown word");
    assert_int_equal(COMMAND("show", "a", "b"), 2);
    assert_int_equal(COMMAND("test"), 2);
    assert_int_equal(COMMAND("test", "--policy"), 2);
    assert_int_equal(COMMAND("test", "--policy", "traefik"), 2);
    assert_int_equal(COMMAND("test", "--policy=traefik"), 2);
    assert_int_equal(COMMAND("test", "a", "b", "c"), 2);
    assert_int_equal(COMMAND("test", "nobody", file), 1);
    expect_err("'nobody' is none of the built-in ones;");
}

/* The example's expectations are met by what is built in. */
static void the_example_s_expectations_are_met(void **state)
{
    (void)state;
    assert_int_equal(COMMAND("test", "deploy/examples/socket-filter/requests.jsonl"), 0);
    expect_out(" pass, ");
    assert_null(strstr(out, " 0 refused"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_the_verdict_of_each_request),
        cmocka_unit_test(judges_bodies),
        cmocka_unit_test(a_recording_s_shape_is_taken),
        cmocka_unit_test(an_archive_is_judged_by_its_call_alone),
        cmocka_unit_test(says_where_the_engine_would_be_asked),
        cmocka_unit_test(what_is_not_as_expected_is_told),
        cmocka_unit_test(the_policy_can_be_named),
        cmocka_unit_test(a_malformed_file_is_told_with_its_line),
        cmocka_unit_test(limits_of_a_file),
        cmocka_unit_test(shows_names_and_one_policy),
        cmocka_unit_test(other_words_are_refused),
        cmocka_unit_test(the_example_s_expectations_are_met),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
