/* What is printed of a policy is read as the same policy: of those built in, and of many others. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/docker/catalogue.h"
#include "policies_bench.h"

#define POLICIES 300

static uint64_t state64;

/* xorshift: the same policies at every run. */
static unsigned below(unsigned n)
{
    state64 ^= state64 << 13;
    state64 ^= state64 >> 7;
    state64 ^= state64 << 17;
    return (unsigned)(state64 % n);
}

static void check_again(const struct named_policy *policy)
{
    char *text = bench_print(policy);
    struct policies *read = bench_load_one(text);
    const struct named_policy *again = policies_find(read, str_of(policy->name));
    assert_non_null(again);
    assert_ptr_not_equal(again->policy, policy->policy);
    bench_same(policy->policy, again->policy);
    policies_free(read);
    free(text);
}

static void a_built_in_policy_is_read_as_it_was(void **state)
{
    (void)state;
    for (const struct named_policy *p = policies_built_in; p->name; p++) {
        check_again(p);
    }
}

/* ---- random ones ---- */

/* Some of the entries, none twice. */
static void put_some(FILE *f, const char *name, const char *const *from, unsigned n)
{
    const char *between = " ";
    fprintf(f, "%s = (", name);
    for (unsigned i = 0; i < n; i++) {
        if (below(2)) {
            fprintf(f, "%s%s", between, from[i]);
            between = ", ";
        }
    }
    fputs(" );\n", f);
}

#define PUT(f, name, ...)                                                                          \
    do {                                                                                           \
        static const char *const from[] = {__VA_ARGS__};                                           \
        put_some(f, name, from, ARRAY_LEN(from));                                                  \
    } while (0)

static void put_calls(FILE *f)
{
    char text[DOCKER_RULE_TEXT_MAX];
    fputs("calls = [ \"GET _ping\"", f);
    for (size_t i = 1; i < docker_catalogue.count; i++) {
        if (below(3) == 0) {
            fprintf(f, ", \"%s\"", docker_rule_text(docker_catalogue.rules[i], text));
        }
    }
    fputs(" ];\n", f);
}

static char *make_policy(void)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    assert_non_null(f);
    fprintf(f, "{ name = \"random\"; version_max = %u;\n", 24 + below(976));
    put_calls(f);
    PUT(f, "other_calls", "{ call = \"GET plugins\"; params = [ \"filters\" ]; }",
        "{ call = \"POST networks/{network}/connect\"; }", "{ call = \"HEAD info\"; }",
        "{ call = \"POST images/{image}/push\"; stream = true; params = [ \"tag\", \"x-1_\" ]; }",
        "{ call = \"GET tasks/{any}\"; }", "{ call = \"PUT volumes/{volume}\"; stream = false; }",
        "{ call = \"DELETE networks/front\"; params = ( \"a\", \"b\", \"c\", \"d\", \"e\", \"f\", "
        "\"g\", \"h\" ); }");
    PUT(f, "containers", "\"*\"", "\"nc_app_*\"", "\"web-0\"", "\"a*b*c\"");
    PUT(f, "volumes", "\"data\"", "\"nc_app_*_data\"");
    PUT(f, "images", "\"*\"", "\"ghcr.io/nextcloud/*\"", "\"r.test:5000/a*\"");
    PUT(f, "networks", "\"bridge\"", "\"front\"", "\"none\"");
    PUT(f, "publish", "\"127.0.0.1\"", "\"::1\"", "\"0.0.0.0\"");
    PUT(f, "devices", "\"gpu\"", "\"/dev/kfd\"", "\"/dev/dri\"");
    PUT(f, "archive", "\"certs/frp\"", "\"etc/a folder\"", "\"etc/\\\"quoted\\\\\\\"\"");
    PUT(f, "commands", "[ \"cat\", \"/etc/os-release\" ]", "[ \"true\" ]",
        "[ \"sh\", \"-c\", \"echo \\\"$1\\\\n\\\" # ; ) }\", \"...x\" ]");
    PUT(f, "binds", "{ path = \"/srv/media\"; below = true; }",
        "{ path = \"/srv/a \\\"b\\\"\"; read_only = false; }", "{ path = \"/srv/x/y\"; }");
    PUT(f, "create_more", "{ key = \"StopSignal\"; type = \"string\"; values = [ \"SIGTERM\" ]; }",
        "{ key = \"HostConfig.ShmSize\"; type = \"integer\"; max = 9000000000L; }",
        "{ key = \"StopTimeout\"; type = \"integer\"; }", "{ key = \"Tty\"; type = \"boolean\"; }",
        "{ key = \"HostConfig.Dns\"; type = \"strings\"; values = [ \"192.0.2.*\", \"::1\" ]; }");
    fprintf(f, "memory_max = \"%u%s\";\n", below(1000000), below(2) ? "M" : "");
    fprintf(f, "cpus_max = %u.%09u;\n", 1 + below(65535), below(1000000000));
    fprintf(f, "owner = \"%s\";\n", below(2) ? "" : "hub-1.example_a");
    fprintf(f, "hide_env = %s; }", below(2) ? "true" : "false");
    assert_int_equal(fclose(f), 0);
    return text;
}

static void a_policy_of_a_file_is_read_as_it_was(void **state)
{
    (void)state;
    state64 = 0x9e3779b97f4a7c15u;
    for (unsigned i = 0; i < POLICIES; i++) {
        char *text = make_policy();
        struct policies *read = bench_load_one(text);
        check_again(policies_find(read, STR("random")));
        policies_free(read);
        free(text);
    }
}

static void numbers_are_written_as_they_are(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"cpus_max = 0;", "cpus_max = 0.0;"},
        {"cpus_max = 2;", "cpus_max = 2.0;"},
        {"cpus_max = 1.5;", "cpus_max = 1.5;"},
        {"cpus_max = \"1.5\";", "cpus_max = 1.5;"},
        {"cpus_max = \"0.012345678\";", "cpus_max = 0.012345678;"},
        {"cpus_max = 65536;", "cpus_max = 65536.0;"},
        {"memory_max = 0;", "memory_max = \"0\";"},
        {"memory_max = \"1024M\";", "memory_max = \"1G\";"},
        {"memory_max = 1048577;", "memory_max = \"1048577\";"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[256];
        snprintf(text, sizeof(text), "{ name = \"x\"; calls = [ \"GET info\" ]; %s }", rows[i].in);
        struct policies *p = bench_load_one(text);
        char *printed = bench_print(policies_find(p, STR("x")));
        if (!strstr(printed, rows[i].out)) {
            fail_msg("%s is not in %s", rows[i].out, printed);
        }
        free(printed);
        policies_free(p);
    }
}

/* The examples have a listener in front of what is printed. */
static void the_examples_say_what_is_built_in(void **state)
{
    (void)state;
    for (const struct named_policy *b = policies_built_in; b->name; b++) {
        char path[128];
        struct config_report report = {.error = ""};
        struct config_file file;
        snprintf(path, sizeof(path), "deploy/examples/socket-filter/%s.cfg", b->name);
        if (config_file_open(&file, path, &report) < 0) {
            fail_msg("%s", report.error);
        }
        struct policies *p = policies_load(&file, &report);
        if (!p) {
            fail_msg("%s", report.error);
        }
        const char *used = NULL;
        assert_true(config_lookup_string(&file.tree, "listeners.[0].policy", &used));
        assert_string_equal(used, b->name);
        config_file_close(&file);
        const struct named_policy *read = policies_find(p, str_of(b->name));
        assert_ptr_not_equal(read, b);
        bench_same(read->policy, b->policy);
        policies_free(p);

        char *text = bench_read_file(path), *printed = bench_print(b);
        if (!strstr(text, printed)) {
            fail_msg("%s has other comments or another order than `policy show %s`", path, b->name);
        }
        free(text);
        free(printed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_built_in_policy_is_read_as_it_was),
        cmocka_unit_test(a_policy_of_a_file_is_read_as_it_was),
        cmocka_unit_test(numbers_are_written_as_they_are),
        cmocka_unit_test(the_examples_say_what_is_built_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
