/* Bodies of Docker calls: how they are read and written, whatever they are about; and the small ones. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/docker/schema.h"
#include "tests/unit/docker_body_bench.h"

#define CONTAINER DOCKER_BODY_CONTAINER

/* ---- reading ---- */

static void malformed_json_is_a_400(void **state)
{
    static const struct {
        const char *p;
        size_t n;
    } rows[] = {
#define ROW(text) {text, sizeof(text) - 1}
        ROW(""),
        ROW(" "),
        ROW("{"),
        ROW("{\"Image\":\"busybox\"}x"),
        ROW("{\"Image\":\"busybox\"}{}"),
        ROW("{\"Image\":\"busybox\"}\0"),
        ROW("\xef\xbb\xbf{\"Image\":\"busybox\"}"),
        ROW("{\"Image\":\"busybox\",}"),
        ROW("{'Image':'busybox'}"),
        ROW("{\"Image\":\"busybox\"/**/}"),
        ROW("{\"Image\":\"\xff\"}"),
        ROW("{\"Image\":\"\xc0\xaf\"}"),
        ROW("{\"Image\":\"\\ud800\"}"),
        ROW("{\"Image\xff\":\"busybox\"}"),
        ROW("{\"Image\":\"busybox\",\"Image\":\"busybox\"}"),
        ROW("{\"Image\":\"busybox\",\"\\u0049mage\":\"busybox\"}"),
        ROW("{\"Image\":\"busybox\",\"HostConfig\":{\"Memory\":1,\"Memory\":1}}"),
        ROW("{\"Image\":\"busybox\",\"HostConfig\":{\"Memory\":9223372036854775808}}"),
        ROW("{\"Image\":\"busybox\",\"HostConfig\":{\"Memory\":01}}"),
        ROW("{\"Image\":\"busybox\",\"HostConfig\":{\"Memory\":+1}}"),
        ROW("{\"Image\":\"busybox\",\"HostConfig\":{\"Memory\":NaN}}"),
    };
    static const enum docker_body kinds[] = {CONTAINER, DOCKER_BODY_EXEC, DOCKER_BODY_EXEC_START,
                                             DOCKER_BODY_VOLUME, DOCKER_BODY_DROPPED};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
            if (kinds[k] == DOCKER_BODY_DROPPED && rows[i].n == 0) {
                continue;
            }
            if (judge_bytes(kinds[k], rows[i].p, rows[i].n) != 400) {
                fail_msg("row %zu of kind %d: %d", i, (int)kinds[k], verdict.status);
            }
            assert_non_null(strstr(verdict.why, "not well-formed JSON"));
        }
    }
}

static void what_is_no_object_is_refused(void **state)
{
    static const char *const rows[] = {"null", "1", "true", "'x'", "[]", "[{}]", "1.5"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        refused(CONTAINER, rows[i], DOCKER_FAULT_NEVER, "", "the body is not an object");
        refused(DOCKER_BODY_EXEC_START, rows[i], DOCKER_FAULT_NEVER, "",
                "the body is not an object");
    }
}

static int judge_deep(unsigned depth)
{
    char text[512];
    int n = snprintf(text, sizeof(text), "{'Env':");
    for (unsigned i = 1; i < depth; i++) {
        text[n++] = '[';
    }
    for (unsigned i = 1; i < depth; i++) {
        text[n++] = ']';
    }
    snprintf(text + n, sizeof(text) - (size_t)n, "}");
    return judge(CONTAINER, text);
}

static void depth_and_size_have_limits(void **state)
{
    static char big[DOCKER_BODY_MAX + 1];
    const char base[] = "{\"Image\":\"busybox\"}";
    (void)state;
    assert_int_equal(judge_deep(JSON_DEPTH), 403);
    assert_int_equal(judge_deep(JSON_DEPTH + 1), 400);
    memset(big, ' ', sizeof(big));
    memcpy(big, base, sizeof(base) - 1);
    assert_int_equal(judge_bytes(CONTAINER, big, DOCKER_BODY_MAX), 0);
    assert_int_equal(judge_bytes(CONTAINER, big, DOCKER_BODY_MAX + 1), 413);
    assert_string_equal(verdict.why, "the body is too large");
    assert_int_equal(judge_bytes(DOCKER_BODY_DROPPED, big, DOCKER_BODY_MAX + 1), 413);
}

/* ---- keys ---- */

/* Go takes all of these for the key of the schema. */
static void keys_are_taken_in_one_spelling(void **state)
{
    static const struct {
        const char *body, *what, *why;
    } rows[] = {
        {"{'image':'busybox'}", "image", "image must be spelled Image"},
        {TOP("'hostconfig':{}"), "hostconfig", "hostconfig must be spelled HostConfig"},
        {HOST("'privileged':false"), "HostConfig.privileged",
         "HostConfig.privileged must be spelled Privileged"},
        {HOST("'MEMORY':1"), "HostConfig.MEMORY", "HostConfig.MEMORY must be spelled Memory"},
        {HOST("'NANOCPUS':1"), "HostConfig.NANOCPUS",
         "HostConfig.NANOCPUS must be spelled NanoCpus"},
        {HOST("'Mounts':[{'type':'bind'}]"), "HostConfig.Mounts.type",
         "HostConfig.Mounts.type must be spelled Type"},
        {HOST("'Mounts':[{'READONLY':true}]"), "HostConfig.Mounts.READONLY",
         "HostConfig.Mounts.READONLY must be spelled ReadOnly"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        refused(CONTAINER, rows[i].body, DOCKER_FAULT_NEVER, rows[i].what, rows[i].why);
    }
}

/* U+017F folds to s and U+212A to k in Go's decoder. */
static void keys_that_only_go_folds_are_refused(void **state)
{
    static const char *const rows[] = {
        HOST("'Bind\xc5\xbf':['/:/host']"),
        HOST("'Bind\\u017f':['/:/host']"),
        HOST("'Mount\xc5\xbf':[]"),
        HOST("'Privileged\\u0000':false"),
        HOST("'\\u0000Privileged':false"),
        HOST("'':false"),
        HOST("'Privileged ':false"),
        HOST("'Privil\xc3\xa9ged':false"),
        HOST("'Net\\tworkMode':''"),
        HOST("'Ma\xc5\xbfkedPaths':null"),
        HOST("'Mas\xe2\x84\xaa"
             "edPaths':null"),
        HOST("'Mas\\u212aedPaths':[]"),
        HOST("'a123456789b123456789c123456789d123456789x':0"),
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        refused(CONTAINER, rows[i], DOCKER_FAULT_KEY, "",
                "HostConfig.a key that is no word of Docker's is not allowed");
    }
    refused(CONTAINER, TOP("'Ho\xc5\xbftConfig':{}"), DOCKER_FAULT_KEY, "",
            "a key that is no word of Docker's is not allowed");
}

static void an_escaped_key_is_the_key_it_spells(void **state)
{
    (void)state;
    refused(CONTAINER, HOST("'\\u0050rivileged':true"), DOCKER_FAULT_KEY, "HostConfig.Privileged",
            "HostConfig.Privileged is not allowed");
    passes(CONTAINER, "{'\\u0049mage':'\\u0062usybox'}", BASE);
    refused(CONTAINER, HOST("'\\u0070rivileged':true"), DOCKER_FAULT_NEVER, "HostConfig.privileged",
            "HostConfig.privileged must be spelled Privileged");
}

static void unknown_keys_are_refused_whatever_they_hold(void **state)
{
    static const char *const values[] = {"null", "0", "false", "''", "[]", "{}"};
    char body[128];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        snprintf(body, sizeof(body), "{'Image':'busybox','Foo_1':%s}", values[i]);
        refused(CONTAINER, body, DOCKER_FAULT_KEY, "Foo_1", "Foo_1 is not allowed");
        snprintf(body, sizeof(body), "{'Image':'busybox','HostConfig':{'Foo':%s}}", values[i]);
        refused(CONTAINER, body, DOCKER_FAULT_KEY, "HostConfig.Foo",
                "HostConfig.Foo is not allowed");
    }
}

static void two_spellings_of_a_key_are_one_key_twice(void **state)
{
    (void)state;
    refused(CONTAINER, HOST("'NanoCpus':1,'NanoCPUs':1"), DOCKER_FAULT_NEVER, "HostConfig.NanoCpus",
            "HostConfig.NanoCpus comes twice");
    refused(CONTAINER, HOST("'NanoCPUs':0,'NanoCpus':0"), DOCKER_FAULT_NEVER, "HostConfig.NanoCpus",
            "HostConfig.NanoCpus comes twice");
    refused(CONTAINER,
            HOST("'Mounts':[{'Type':'bind','Source':'/srv/ro','Target':'/x','ReadOnly':true,"
                 "'Readonly':false}]"),
            DOCKER_FAULT_NEVER, "HostConfig.Mounts.ReadOnly",
            "HostConfig.Mounts.ReadOnly comes twice");
    refused(DOCKER_BODY_VOLUME, "{'name':'nc_app_x','Name':'nc_app_y'}", DOCKER_FAULT_NEVER, "Name",
            "Name comes twice");
}

/* ---- writing ---- */

static void what_goes_on_may_be_longer_than_what_came(void **state)
{
    enum { LEN = 100000 };
    static const struct {
        const char *one;
        size_t in, out;
    } rows[] = {{"<", 1, 6},
                {">", 1, 6},
                {"&", 1, 6},
                {"\xe2\x80\xa8", 3, 6},
                {"\xe2\x80\xa9", 3, 6},
                {"\xe2\x82\xac", 3, 3},
                {"\\u0001", 6, 6},
                {"\\u003c", 6, 6},
                {"\\/", 2, 1},
                {"\\n", 2, 2},
                {"\x7f", 1, 1}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *body = malloc(LEN * rows[i].in + 64);
        assert_non_null(body);
        size_t n = (size_t)sprintf(body, "{\"Image\":\"busybox\",\"Env\":[\"A=");
        size_t around = n + 3;
        for (int k = 0; k < LEN; k++) {
            memcpy(body + n, rows[i].one, rows[i].in);
            n += rows[i].in;
        }
        memcpy(body + n, "\"]}", 3);
        grants.owner = i % 2 ? "<<<<<<<<<<<<<<<<" : NULL;
        if (judge_bytes(CONTAINER, body, n + 3) != 0) {
            fail_msg("row %zu: %s", i, verdict.why);
        }
        assert_in_range(out.n, LEN * rows[i].out + around, LEN * rows[i].out + around + 256);
        free(body);
    }
}

static void nothing_is_written_of_a_body_without_members(void **state)
{
    (void)state;
    docker_body_wipe(&out);
    assert_null(out.p);
    docker_body_wipe(&out);
    assert_int_equal(judge(DOCKER_BODY_DROPPED, "{'anything':[1,2.5,null]}"), 0);
    assert_null(out.p);
    assert_int_equal(out.n, 0);
    assert_int_equal(judge(DOCKER_BODY_DROPPED, ""), 0);
    assert_null(out.p);
}

static void kinds_that_are_no_json_are_refused(void **state)
{
    (void)state;
    refused(DOCKER_NO_BODY, "{}", DOCKER_FAULT_NEVER, "", "a JSON body is not allowed");
    refused(DOCKER_BODY_ARCHIVE, "{}", DOCKER_FAULT_NEVER, "", "a JSON body is not allowed");
}

/* ---- commands ---- */

#define EXEC DOCKER_BODY_EXEC
#define CAT "'Cmd':['cat','/etc/os-release']"

static void listed_commands_pass_word_for_word(void **state)
{
    static const struct {
        const char *body, *what;
    } rows[] = {
        {"{'Cmd':['cat','/etc/os-release','x']}", "[\"cat\",\"/etc/os-release\",\"x\"]"},
        {"{'Cmd':['cat']}", "[\"cat\"]"},
        {"{'Cmd':['Cat','/etc/os-release']}", "[\"Cat\",\"/etc/os-release\"]"},
        {"{'Cmd':['cat','/etc/os-releas']}", "[\"cat\",\"/etc/os-releas\"]"},
        {"{'Cmd':['cat','']}", "[\"cat\",\"\"]"},
        {"{'Cmd':['sh','-c']}", "[\"sh\",\"-c\"]"},
        {"{'Cmd':['sh','-c','<']}", "[\"sh\",\"-c\",\"\\u003c\"]"},
        {"{'Cmd':['\xc3\xa4']}", ""},
    };
    (void)state;
    passes(EXEC, "{'AttachStdout':true,'AttachStderr':true," CAT "}",
           "{'AttachStdout':true,'AttachStderr':true," CAT "}");
    passes(EXEC, "{'Cmd':['sh','-c','']}", "{'Cmd':['sh','-c','']}");
    passes(EXEC, "{'AttachStdout':false," CAT ",'User':'','Env':[],'Privileged':false}",
           "{'AttachStdout':false," CAT "}");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        refused(EXEC, rows[i].body, DOCKER_FAULT_COMMAND, rows[i].what,
                "Cmd is a command that the policy does not list");
    }
    grants.ncommands = 0;
    refused(EXEC, "{" CAT "}", DOCKER_FAULT_COMMAND, "[\"cat\",\"/etc/os-release\"]",
            "Cmd is a command that the policy does not list");
}

static void a_command_may_have_no_more_than_the_words(void **state)
{
    static const struct {
        const char *more, *why;
    } rows[] = {
        {"'User':'root'", "User is not allowed"},
        {"'User':'0'", "User is not allowed"},
        {"'Privileged':true", "Privileged is not allowed"},
        {"'Tty':true", "Tty is not allowed"},
        {"'AttachStdin':true", "AttachStdin is not allowed"},
        {"'DetachKeys':'ctrl-a'", "DetachKeys is not allowed"},
        {"'Env':['A=b']", "Env is not allowed"},
        {"'WorkingDir':'/'", "WorkingDir is not allowed"},
        {"'Detach':true", "Detach is not allowed"},
        {"'ConsoleSize':[1]", "ConsoleSize is not allowed"},
        {"'ConsoleSize':['1','1']", "ConsoleSize is not allowed"},
        {"'Privileged':0", "Privileged is not allowed"},
    };
    char body[256], what[32];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(body, sizeof(body), "{" CAT ",%s}", rows[i].more);
        snprintf(what, sizeof(what), "%.*s", (int)strcspn(rows[i].why, " "), rows[i].why);
        refused(EXEC, body, DOCKER_FAULT_KEY, what, rows[i].why);
    }
    refused(EXEC, "{}", DOCKER_FAULT_NEVER, "", "the body has no Cmd");
    refused(EXEC, "{'Cmd':null}", DOCKER_FAULT_NEVER, "Cmd", "Cmd is not an array");
    refused(EXEC, "{'Cmd':'cat /etc/os-release'}", DOCKER_FAULT_NEVER, "Cmd",
            "Cmd is not an array");
    refused(EXEC, "{'Cmd':[]}", DOCKER_FAULT_NEVER, "Cmd", "Cmd is empty");
    refused(EXEC, "{'Cmd':['cat',1]}", DOCKER_FAULT_NEVER, "Cmd", "Cmd is not a string");
    refused(EXEC, "{'Cmd':['cat','/etc/os-release\\u0000']}", DOCKER_FAULT_NEVER, "Cmd",
            "Cmd holds a control character");
    refused(EXEC, "{'AttachStdout':1," CAT "}", DOCKER_FAULT_NEVER, "AttachStdout",
            "AttachStdout is not true or false");
}

static void a_start_is_always_attached(void **state)
{
    (void)state;
    passes(DOCKER_BODY_EXEC_START, "{}", "{'Detach':false,'Tty':false}");
    passes(DOCKER_BODY_EXEC_START, "{'Tty':false,'ConsoleSize':[24,80]}",
           "{'Detach':false,'Tty':false}");
    refused(DOCKER_BODY_EXEC_START, "{'Detach':true}", DOCKER_FAULT_KEY, "Detach",
            "Detach is not allowed");
    refused(DOCKER_BODY_EXEC_START, "{'Tty':true}", DOCKER_FAULT_KEY, "Tty", "Tty is not allowed");
    refused(DOCKER_BODY_EXEC_START, "{'Cmd':['sh']}", DOCKER_FAULT_KEY, "Cmd",
            "Cmd is not allowed");
}

/* ---- volumes ---- */

#define VOLUME DOCKER_BODY_VOLUME

static void listed_volumes_can_be_made(void **state)
{
    (void)state;
    passes(VOLUME, "{'Name':'nc_app_x_data'}", "{'Name':'nc_app_x_data'}");
    passes(VOLUME, "{'name':'nc_app_x_data'}", "{'Name':'nc_app_x_data'}");
    passes(VOLUME,
           "{'Driver':'local','DriverOpts':{},'Labels':{},'Name':'nc_app_x','ClusterVolumeSpec':"
           "null}",
           "{'Name':'nc_app_x'}");
    passes(VOLUME, "{'Driver':'','DriverOpts':null,'Labels':{'a':'b'},'Name':'nc_app_x'}",
           "{'Labels':{'a':'b'},'Name':'nc_app_x'}");
    refused(VOLUME, "{}", DOCKER_FAULT_NEVER, "", "the body has no Name");
    refused(VOLUME, "{'Name':''}", DOCKER_FAULT_NEVER, "Name", "Name is not a volume's name");
    refused(VOLUME, "{'Name':null}", DOCKER_FAULT_NEVER, "Name", "Name is not a string");
    refused(VOLUME, "{'Name':'../nc_app_x'}", DOCKER_FAULT_NEVER, "Name",
            "Name is not a volume's name");
    refused(VOLUME, "{'Name':'nc_app_'}", DOCKER_FAULT_VOLUME, "nc_app_",
            "Name is a volume that the policy does not list");
    refused(VOLUME, "{'Name':'other'}", DOCKER_FAULT_VOLUME, "other",
            "Name is a volume that the policy does not list");
    refused(VOLUME, "{'NAME':'nc_app_x'}", DOCKER_FAULT_NEVER, "NAME", "NAME must be spelled Name");
    refused(VOLUME, "{'Name':'nc_app_x','Driver':'nfs'}", DOCKER_FAULT_KEY, "Driver",
            "Driver is not allowed");
    refused(VOLUME, "{'Name':'nc_app_x','DriverOpts':{'type':'none','o':'bind','device':'/etc'}}",
            DOCKER_FAULT_KEY, "DriverOpts", "DriverOpts is not allowed");
    refused(VOLUME, "{'Name':'nc_app_x','ClusterVolumeSpec':{}}", DOCKER_FAULT_KEY,
            "ClusterVolumeSpec", "ClusterVolumeSpec is not allowed");
}

/* ---- owners ---- */

static void the_owner_is_written_and_never_taken(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        refused(VOLUME, "{'Name':'nc_app_x','Labels':{'harp.filter.owner':'me'}}",
                DOCKER_FAULT_NEVER, "Labels", "Labels has the key that tells the owner");
        refused(CONTAINER, TOP("'Labels':{'a':'b','harp.filter.owner':'me'}"), DOCKER_FAULT_NEVER,
                "Labels", "Labels has the key that tells the owner");
        /* Podman would read it as the owner's. */
        refused(CONTAINER, TOP("'Labels':{'harp.filter.owner=me':''}"), DOCKER_FAULT_NEVER,
                "Labels",
                "Labels has a key that is not printable ASCII, or holds a space or \"=\"");
        grants.owner = "a\"b";
    }
    passes(VOLUME, "{'Name':'nc_app_x'}",
           "{'Name':'nc_app_x','Labels':{'harp.filter.owner':'a\\'b'}}");
    passes(VOLUME, "{'Labels':{},'Name':'nc_app_x'}",
           "{'Name':'nc_app_x','Labels':{'harp.filter.owner':'a\\'b'}}");
    passes(CONTAINER, BASE, "{'Image':'busybox','Labels':{'harp.filter.owner':'a\\'b'}}");
    passes(CONTAINER, TOP("'Labels':{'a':'b'}"),
           "{'Labels':{'a':'b','harp.filter.owner':'a\\'b'},'Image':'busybox'}");
    passes(CONTAINER, TOP("'Labels':null"),
           "{'Image':'busybox','Labels':{'harp.filter.owner':'a\\'b'}}");
    passes(EXEC, "{" CAT "}", "{" CAT "}");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_reset, bench_end)
    const struct CMUnitTest tests[] = {
        TEST(malformed_json_is_a_400),
        TEST(what_is_no_object_is_refused),
        TEST(depth_and_size_have_limits),
        TEST(keys_are_taken_in_one_spelling),
        TEST(keys_that_only_go_folds_are_refused),
        TEST(an_escaped_key_is_the_key_it_spells),
        TEST(unknown_keys_are_refused_whatever_they_hold),
        TEST(two_spellings_of_a_key_are_one_key_twice),
        TEST(what_goes_on_may_be_longer_than_what_came),
        TEST(nothing_is_written_of_a_body_without_members),
        TEST(kinds_that_are_no_json_are_refused),
        TEST(listed_commands_pass_word_for_word),
        TEST(a_command_may_have_no_more_than_the_words),
        TEST(a_start_is_always_attached),
        TEST(listed_volumes_can_be_made),
        TEST(the_owner_is_written_and_never_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
