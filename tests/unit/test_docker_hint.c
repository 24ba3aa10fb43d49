/* The line of a policy's file for a refused call: what it says, and that libconfig reads it so. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <libconfig.h>

#include "common/docker/hint.h"
#include "tests/unit/docker_body_bench.h"

static char line[DOCKER_HINT_MAX];

static const char *hint(enum docker_fault fault, const char *what)
{
    struct docker_verdict v = {.status = 403, .fault = fault};
    snprintf(v.what, sizeof(v.what), "%s", what);
    memset(line, 'x', sizeof(line));
    assert_ptr_equal(docker_hint(&v, line), line);
    return line;
}

static void check_libconfig(const char *text)
{
    config_t c;
    config_init(&c);
    if (!config_read_string(&c, text)) {
        fail_msg("%s: %s", config_error_text(&c), text);
    }
    config_destroy(&c);
}

static void a_fault_has_its_line(void **state)
{
    static const struct {
        enum docker_fault fault;
        const char *what, *line;
    } rows[] = {
        {DOCKER_FAULT_CALL, "GET info", "calls = [ \"GET info\" ];"},
        {DOCKER_FAULT_CALL, "GET containers/{container}/json",
         "calls = [ \"GET containers/{container}/json\" ];"},
        {DOCKER_FAULT_CALL, "POST containers/{any}/foo",
         "other_calls = ( { call = \"POST containers/{any}/foo\"; } );"},
        {DOCKER_FAULT_CONTAINER, "web", "containers = [ \"web\" ];"},
        {DOCKER_FAULT_VOLUME, "data", "volumes = [ \"data\" ];"},
        {DOCKER_FAULT_IMAGE, "busybox:1", "images = [ \"docker.io/library/busybox\" ];"},
        {DOCKER_FAULT_IMAGE, "a/b", "images = [ \"docker.io/a/b\" ];"},
        {DOCKER_FAULT_IMAGE, "ghcr.io/a/b:1", "images = [ \"ghcr.io/a/b\" ];"},
        {DOCKER_FAULT_NETWORK, "back", "networks = [ \"back\" ];"},
        {DOCKER_FAULT_PUBLISH, "10.0.0.1", "publish = [ \"10.0.0.1\" ];"},
        {DOCKER_FAULT_DEVICE, "gpu", "devices = [ \"gpu\" ];"},
        {DOCKER_FAULT_ARCHIVE, "usr/local/x\"y\\z", "archive = [ \"usr/local/x\\\"y\\\\z\" ];"},
        {DOCKER_FAULT_COMMAND, "[\"cat\",\"/etc/os-release\"]",
         "commands = ( [ \"cat\", \"/etc/os-release\" ] );"},
        {DOCKER_FAULT_COMMAND, "[\"sh\",\"-c\",\"a \\u003c \\\"b\\\\\\\"\"]",
         "commands = ( [ \"sh\", \"-c\", \"a < \\\"b\\\\\\\"\" ] );"},
        {DOCKER_FAULT_BIND, "/srv/x", "binds = ( { path = \"/srv/x\"; read_only = true; } );"},
        {DOCKER_FAULT_BIND, "/srv/x:rw", "binds = ( { path = \"/srv/x\"; read_only = false; } );"},
        {DOCKER_FAULT_KEY, "HostConfig.ShmSize",
         "create_more = ( { key = \"HostConfig.ShmSize\"; type = \"integer\"; } );"},
        {DOCKER_FAULT_KEY, "User", "create_more = ( { key = \"User\"; type = \"string\"; } );"},
        {DOCKER_FAULT_KEY, "Cmd", "create_more = ( { key = \"Cmd\"; type = \"strings\"; } );"},
        {DOCKER_FAULT_KEY, "HostConfig.Init",
         "create_more = ( { key = \"HostConfig.Init\"; type = \"boolean\"; } );"},
        {DOCKER_FAULT_MEMORY, "536870912", "memory_max = \"512M\";"},
        {DOCKER_FAULT_MEMORY, "1001", "memory_max = \"1001\";"},
        {DOCKER_FAULT_CPUS, "1500000000", "cpus_max = \"1.5\";"},
        {DOCKER_FAULT_CPUS, "2000000000", "cpus_max = \"2.0\";"},
        {DOCKER_FAULT_CPUS, "1", "cpus_max = \"0.000000001\";"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_string_equal(hint(rows[i].fault, rows[i].what), rows[i].line);
        check_libconfig(line);
    }
}

static void what_nothing_can_allow_has_no_line(void **state)
{
    static const struct {
        enum docker_fault fault;
        const char *what;
    } rows[] = {
        {DOCKER_FAULT_NEVER, "HostConfig.Mounts.Target"},
        {DOCKER_FAULT_PARAM, "follow"},
        {DOCKER_FAULT_OWNER, "x"},
        {DOCKER_FAULT_CALL, ""},
        {DOCKER_FAULT_NETWORK, ""},
        {DOCKER_FAULT_CONTAINER, "deadbeef"},
        {DOCKER_FAULT_IMAGE, "deadbeef"},
        {DOCKER_FAULT_KEY, "HostConfig.Privileged"},
        {DOCKER_FAULT_KEY, "HostConfig.Binds"},
        {DOCKER_FAULT_KEY, "Foo"},
        {DOCKER_FAULT_COMMAND, ""},
        {DOCKER_FAULT_COMMAND, "[]"},
        {DOCKER_FAULT_COMMAND, "[1]"},
        {DOCKER_FAULT_COMMAND, "[\"a\\n\"]"},
        {DOCKER_FAULT_COMMAND, "[\"\\u00e4\"]"},
        {DOCKER_FAULT_COMMAND, "not JSON"},
        {DOCKER_FAULT_MEMORY, ""},
        {DOCKER_FAULT_MEMORY, "x"},
        {DOCKER_FAULT_MEMORY, "0"},
        {DOCKER_FAULT_CPUS, "-1"},
    };
    struct docker_verdict passed = {.fault = DOCKER_FAULT_NETWORK, .what = "front"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_string_equal(hint(rows[i].fault, rows[i].what), "");
    }
    assert_string_equal(docker_hint(&passed, line), "");
    passed.status = 400;
    assert_string_equal(docker_hint(&passed, line), "");
}

static void the_longest_words_fit(void **state)
{
    char what[DOCKER_WHAT_MAX];
    (void)state;
    memset(what, '"', sizeof(what) - 1);
    what[sizeof(what) - 1] = '\0';
    for (int f = DOCKER_FAULT_NEVER; f <= DOCKER_FAULT_OWNER; f++) {
        size_t n = strlen(hint((enum docker_fault)f, what));
        assert_true(n < DOCKER_HINT_MAX);
        check_libconfig(line);
    }
    assert_int_equal(strlen(hint(DOCKER_FAULT_VOLUME, what)),
                     2 * (DOCKER_WHAT_MAX - 1) + strlen("volumes = [ \"\" ];"));
    assert_true(strlen(hint(DOCKER_FAULT_BIND, what)) > 2 * (DOCKER_WHAT_MAX - 1));
}

static const struct docker_command sh[] = {{WORDS("sh", "-c", "<")}};
static const struct docker_bind etc[] = {{.path = "/opt/x"}};
static const struct docker_extra shm[] = {
    {.key = "HostConfig.ShmSize", .type = DOCKER_EXTRA_INTEGER, .max = 9}};
static const struct {
    enum docker_body kind;
    const char *body, *line;
    struct docker_grants with;
} lines[] = {
    {DOCKER_BODY_CONTAINER,
     "{'Image':'alpine:3'}",
     "images = [ \"docker.io/library/alpine\" ];",
     {.images = WORDS("docker.io/library/alpine"), .networks = WORDS("bridge")}},
    {DOCKER_BODY_CONTAINER,
     HOST("'NetworkMode':'back'"),
     "networks = [ \"back\" ];",
     {.images = WORDS("*"), .networks = WORDS("back")}},
    {DOCKER_BODY_CONTAINER,
     HOST("'Mounts':[{'Type':'bind','Source':'/opt/x','Target':'/x'}]"),
     "binds = ( { path = \"/opt/x\"; read_only = false; } );",
     {.images = WORDS("*"), .networks = WORDS("bridge"), .binds = etc, .nbinds = 1}},
    {DOCKER_BODY_CONTAINER,
     HOST("'ShmSize':9"),
     "create_more = ( { key = \"HostConfig.ShmSize\"; type = \"integer\"; } );",
     {.images = WORDS("*"), .networks = WORDS("bridge"), .extras = shm, .nextras = 1}},
    {DOCKER_BODY_EXEC,
     "{'Cmd':['sh','-c','<']}",
     "commands = ( [ \"sh\", \"-c\", \"<\" ] );",
     {.commands = sh, .ncommands = 1}},
    {DOCKER_BODY_VOLUME,
     "{'Name':'other'}",
     "volumes = [ \"other\" ];",
     {.volumes = WORDS("other")}},
};

/* The words of a line are those that, once in a policy, let the body pass. */
static void what_a_line_says_lets_the_body_pass(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        bench_reset(NULL);
        assert_int_equal(judge(lines[i].kind, lines[i].body), 403);
        assert_string_equal(docker_hint(&verdict, line), lines[i].line);
        grants = lines[i].with;
        if (judge(lines[i].kind, lines[i].body) != 0) {
            fail_msg("%s: %s", verdict.why, lines[i].body);
        }
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_reset, bench_end)
    const struct CMUnitTest tests[] = {
        TEST(a_fault_has_its_line),
        TEST(what_nothing_can_allow_has_no_line),
        TEST(the_longest_words_fit),
        TEST(what_a_line_says_lets_the_body_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
