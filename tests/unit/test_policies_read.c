/* Policies of a configuration file: what is read, what a base gives, and what is refused, with the line and
 * the setting in the message. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/docker/catalogue.h"
#include "policies_bench.h"

static const struct docker_policy *find(const struct policies *p, const char *name)
{
    const struct named_policy *found = policies_find(p, str_of(name));
    assert_non_null(found);
    return found->policy;
}

static void expect_words(struct docker_words words, const char *joined)
{
    char text[512] = "";
    for (size_t i = 0; i < words.n; i++) {
        size_t n = strlen(text);
        snprintf(text + n, sizeof(text) - n, "%s%s", i > 0 ? " " : "", words.p[i]);
    }
    assert_string_equal(text, joined);
}

/* ---- which there are ---- */

static void without_a_file_there_are_those_built_in(void **state)
{
    struct config_report report = {.error = ""};
    struct policies *none = policies_load(NULL, &report), *empty = bench_load("x = 1;", &report);
    (void)state;
    for (size_t i = 0; policies_built_in[i].name; i++) {
        assert_ptr_equal(policies_at(none, i), &policies_built_in[i]);
        assert_ptr_equal(policies_at(empty, i), &policies_built_in[i]);
        assert_ptr_equal(policies_find(none, str_of(policies_built_in[i].name)),
                         &policies_built_in[i]);
    }
    assert_string_equal(policies_built_in[0].name, "appapi");
    assert_null(policies_find(none, STR("nobody")));
    assert_null(policies_find(none, STR("")));
    policies_free(none);
    policies_free(empty);
    policies_free(NULL);
}

static void a_file_s_policy_hides_a_built_in_one(void **state)
{
    (void)state;
    struct policies *p =
        bench_load_one("{ name = \"appapi\"; base = \"appapi\"; images = [ \"r.test/*\" ]; },"
                       "{ name = \"second\"; base = \"appapi\"; }");
    expect_words(find(p, "appapi")->grants->images, "r.test/*");
    expect_words(find(p, "second")->grants->images,
                 "r.test/*"); /* the one before it, not the built-in */
    size_t n = 0, named = 0;
    for (; policies_at(p, n); n++) {
        named += strcmp(policies_at(p, n)->name, "appapi") == 0;
    }
    assert_int_equal(named, 1);
    assert_null(policies_at(p, n + 5));
    assert_string_equal(policies_at(p, n - 1)->name, "second");
    assert_string_equal(policies_at(p, n - 1)->what, "");
    policies_free(p);
}

/* ---- values ---- */

static void reads_every_setting(void **state)
{
    (void)state;
    struct policies *p = bench_load_one(
        "{ name = \"all\"; version_max = 43;\n"
        "  calls = [ \"GET _ping\", \"POST containers/create\" ];\n"
        "  other_calls = ( { call = \"GET plugins\"; params = [ \"filters\" ]; stream = true; } "
        ");\n"
        "  containers = [ \"web_*\" ]; volumes = [ \"data\" ]; images = ( \"r.test/*\", \"*/b\" "
        ");\n"
        "  networks = [ \"front\" ]; publish = [ \"192.0.2.1\" ]; devices = [ \"gpu\" ];\n"
        "  archive = [ \"etc/app\" ]; commands = ( [ \"cat\", \"/x\" ], [ \"true\" ] );\n"
        "  binds = ( { path = \"/srv/media\"; read_only = false; } );\n"
        "  create_more = ( { key = \"HostConfig.ShmSize\"; type = \"integer\"; max = 5; } );\n"
        "  memory_max = \"1G\"; cpus_max = 1.5; owner = \"me\"; hide_env = false; }");
    const struct docker_policy *a = find(p, "all");
    const struct docker_grants *g = a->grants;
    assert_int_equal(a->version_max, 43);
    assert_true(a->looks_up);
    assert_int_equal(a->count, 3);
    assert_ptr_equal(a->rules[0], &docker_rule_ping);
    assert_ptr_equal(a->rules[1], &docker_rule_container_create);
    assert_string_equal(a->rules[2]->path, "plugins");
    assert_int_equal(a->rules[2]->answer, DOCKER_ANSWER_STREAM);
    assert_string_equal(a->rules[2]->params[0].name, "filters");
    expect_words(g->containers, "web_*");
    expect_words(g->volumes, "data");
    expect_words(g->images, "r.test/* */b");
    expect_words(g->networks, "front");
    expect_words(g->publish, "192.0.2.1");
    expect_words(g->devices, "gpu");
    expect_words(g->archive, "etc/app");
    assert_int_equal(g->ncommands, 2);
    expect_words(g->commands[0].argv, "cat /x");
    expect_words(g->commands[1].argv, "true");
    assert_int_equal(g->nbinds, 1);
    assert_string_equal(g->binds[0].path, "/srv/media");
    assert_false(g->binds[0].below || g->binds[0].read_only);
    assert_int_equal(g->nextras, 1);
    assert_int_equal(g->extras[0].max, 5);
    assert_int_equal(g->memory_max, 1 << 30);
    assert_int_equal(g->nano_cpus_max, 1500000000);
    assert_string_equal(g->owner, "me");
    assert_false(g->hide_env);
    policies_free(p);
}

static void what_is_left_out_allows_nothing(void **state)
{
    (void)state;
    struct policies *p = bench_load_one("{ name = \"x\"; calls = [ \"GET _ping\" ];"
                                        "  binds = ( { path = \"/srv/a\"; } ); }");
    const struct docker_policy *x = find(p, "x");
    static const struct docker_grants nothing = {.hide_env = true};
    static const struct docker_bind bind = {.path = "/srv/a", .read_only = true};
    struct docker_grants want = nothing;
    want.binds = &bind;
    want.nbinds = 1;
    bench_same(x, &(struct docker_policy){.rules = x->rules,
                                          .count = 1,
                                          .version_max = DOCKER_VERSION_MAX,
                                          .grants = &want,
                                          .looks_up = true});
    policies_free(p);
}

/* ---- the base ---- */

static void a_base_gives_all_that_is_not_written(void **state)
{
    (void)state;
    struct policies *p = bench_load_one("{ name = \"same\"; base = \"appapi\"; }");
    bench_same(find(p, "same"), policies_built_in[0].policy);
    policies_free(p);
}

static void a_list_replaces_the_base_s_or_adds_to_it(void **state)
{
    (void)state;
    struct policies *p = bench_load_one(
        "{ name = \"a\"; base = \"appapi\"; networks = [ \"front\" ]; publish = [ ];"
        "  archive = [ \"...\", \"etc/app\", \"certs/frp\" ]; calls = [ \"...\", \"GET events\","
        "  \"GET _ping\" ]; commands = ( \"...\", [ \"id\" ], [ \"cat\", \"/etc/os-release\" ] ); "
        "},"
        "{ name = \"b\"; base = \"a\"; networks = [ \"...\", \"back\" ]; calls = [ \"GET _ping\" ];"
        "  binds = ( { path = \"/srv/a\"; }, { path = \"/srv/b\"; } );"
        "  other_calls = ( { call = \"GET plugins\"; } );"
        "  create_more = ( { key = \"StopSignal\"; type = \"string\"; } ); },"
        "{ name = \"c\"; base = \"b\"; binds = ( \"...\", { path = \"/srv/b\"; below = true; } );"
        "  other_calls = ( \"...\", { call = \"GET plugins\"; params = [ \"filters\" ]; },"
        "  { call = \"POST networks/prune\"; } );"
        "  create_more = ( \"...\", { key = \"StopSignal\"; type = \"string\"; values = [ \"a\" ]; "
        "} );"
        "  owner = \"\"; }");
    const struct docker_policy *a = find(p, "a"), *b = find(p, "b"), *c = find(p, "c"),
                               *base = policies_built_in[0].policy;
    expect_words(a->grants->networks, "front");
    expect_words(a->grants->publish, "");
    expect_words(a->grants->archive, "usr/local/share/ca-certificates "
                                     "etc/pki/ca-trust/source/anchors certs/frp etc/app");
    assert_int_equal(a->count, base->count + 1);
    assert_ptr_equal(a->rules[base->count], &docker_rule_events);
    assert_int_equal(a->grants->ncommands, base->grants->ncommands + 1);
    expect_words(b->grants->networks, "front back");
    assert_int_equal(b->count, 2);
    assert_int_equal(c->grants->nbinds, 2);
    assert_string_equal(c->grants->binds[1].path, "/srv/b");
    assert_true(c->grants->binds[1].below);
    assert_int_equal(c->count, 3);
    assert_string_equal(c->rules[1]->params[0].name, "filters");
    assert_string_equal(c->rules[2]->path, "networks/prune");
    assert_int_equal(c->grants->nextras, 1);
    expect_words(c->grants->extras[0].values, "a");
    policies_free(p);
}

static void the_lines_of_hints_are_read(void **state)
{
    static const char *const lines[] = {
        "calls = [ \"GET events\" ];",
        "other_calls = ( { call = \"POST networks/{network}/connect\"; } );",
        "networks = [ \"front\" ];",
        "commands = ( [ \"ls\", \"-l\" ] );",
        "binds = ( { path = \"/srv/media\"; read_only = true; } );",
        "binds = ( { path = \"/srv/media\"; read_only = false; } );",
        "create_more = ( { key = \"HostConfig.ShmSize\"; type = \"integer\"; } );",
        "memory_max = \"2G\";",
        "cpus_max = \"1.5\";",
        "images = [ \"docker.io/library/alpine\" ];",
        "images = [ \"*\", \"localhost/x\", \"r:5000/x\", \"*alpine\" ];",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        char text[256];
        snprintf(text, sizeof(text), "{ name = \"x\"; base = \"appapi\"; %s }", lines[i]);
        policies_free(bench_load_one(text));
    }
}

/* ---- what is refused ---- */

#define P(settings) "policies = ( { name = \"x\";\ncalls = [ \"GET _ping\" ];\n" settings " } );"
#define X100                                                                                       \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
    "xxxxxxxx"

static void refuses_with_line_and_setting(void **state)
{
    static const struct {
        const char *text, *error; /* the error's beginning */
    } rows[] = {
        {"policies = 1;", "f.cfg:1: policies: write a list of groups"},
        {"policies = [ \"appapi\" ];", "f.cfg:1: policies: write a list of groups"},
        {"policies = ( \"appapi\" );", "f.cfg:1: policies: a policy is a group"},
        {"policies = (\n{ calls = [ \"GET _ping\" ]; } );",
         "f.cfg:2: policies.name: a policy needs a name"},
        {"policies = ( { name = 1; } );", "f.cfg:1: policies.name: write text in double quotes"},
        {"policies = ( { name = \"\"; } );", "f.cfg:1: policies.name: text is empty"},
        {"policies = ( { name = \"a b\"; } );", "f.cfg:1: policies.name: 'a b' is no name"},
        {"policies = ( { name = \"-a\"; } );", "f.cfg:1: policies.name: '-a' is no name"},
        {"policies = ( { name = \"" X100 "\"; } );", "f.cfg:1: policies.name: 'xxx"},
        {"policies = ( { name = \"a\"; base = \"appapi\"; },\n{ name = \"a\"; } );",
         "f.cfg:2: policies.name: 'a' is the name of two policies"},
        {"policies = ( { name = \"a\"; } );",
         "f.cfg:1: policies.a.calls: no call is listed: everything is refused"},
        {"policies = ( { name = \"a\"; base = \"appapi\"; calls = [ ]; } );",
         "f.cfg:1: policies.a.calls: no call is listed: everything is refused"},
        {P("base = \"later\";"), "f.cfg:3: policies.x.base: there is no policy 'later' before"},
        {P("base = \"x\";"), "f.cfg:3: policies.x.base: there is no policy 'x' before"},
        {P("network = [ \"a\" ];"), "f.cfg:3: policies.x: unknown setting 'network'; there are "
                                    "name, base, version_max, calls, other_calls, containers, "},
        {P("version_max = 23;"), "f.cfg:3: policies.x.version_max: write a whole number from 24"},
        {P("version_max = 1000;"), "f.cfg:3: policies.x.version_max: write a whole number from 24"},
        {P("version_max = \"1.41\";"), "f.cfg:3: policies.x.version_max: write a whole number"},
        /* lists of words */
        {P("networks = \"a\";"), "f.cfg:3: policies.x.networks: write a list, as in [ \"one\""},
        {P("networks = [ 1 ];"), "f.cfg:3: policies.x.networks: write text in double quotes"},
        {P("networks = [ \"\" ];"), "f.cfg:3: policies.x.networks: text is empty"},
        {P("networks = [ \"a\\nb\" ];"), "f.cfg:3: policies.x.networks: text is not printable"},
        {P("networks = [ \"\\xc3\\xa4\" ];"),
         "f.cfg:3: policies.x.networks: text is not printable"},
        {P("containers = [ \"" X100 X100 X100 "\" ];"),
         "f.cfg:3: policies.x.containers: text is not printable ASCII of at most 256 bytes"},
        {P("networks = [\n\"a\",\n\"a\" ];"), "f.cfg:5: policies.x.networks: 'a' is there twice"},
        {P("networks = [ \"...\" ];"),
         "f.cfg:3: policies.x.networks: \"...\" means the base's entries, and there is no base"},
        {P("base = \"appapi\"; networks = [ \"a\", \"...\" ];"),
         "f.cfg:3: policies.x.networks: \"...\" can only be the first of a list"},
        {P("networks = [ \"container:x\" ];"),
         "f.cfg:3: policies.x.networks: 'container:x' fits no"},
        {P("containers = [ \"a b\" ];"), "f.cfg:3: policies.x.containers: 'a b' fits no name"},
        {P("volumes = [ \"/srv\" ];"), "f.cfg:3: policies.x.volumes: '/srv' fits no name"},
        {P("images = [ \"a?\" ];"), "f.cfg:3: policies.x.images: 'a?' fits no image's name"},
        {P("images = [ \"alpine\" ];"),
         "f.cfg:3: policies.x.images: 'alpine' fits no image: begin"},
        {P("images = [ \"a/b\" ];"), "f.cfg:3: policies.x.images: 'a/b' fits no image: begin"},
        {P("images = [ \"r.test\" ];"),
         "f.cfg:3: policies.x.images: 'r.test' fits no image: begin"},
        {P("images = [ \"r.test/a:1\" ];"),
         "f.cfg:3: policies.x.images: 'r.test/a:1' fits no image: "
         "tags are not"},
        {P("images = [ \"r.test/a@x\" ];"),
         "f.cfg:3: policies.x.images: 'r.test/a@x' fits no image's"},
        {P("publish = [ \"localhost\" ];"), "f.cfg:3: policies.x.publish: 'localhost' is no IP"},
        {P("publish = [ \"*\" ];"), "f.cfg:3: policies.x.publish: '*' is no IP"},
        {P("devices = [ \"cpu\" ];"), "f.cfg:3: policies.x.devices: 'cpu' is no device"},
        {P("devices = [ \"/dev\" ];"), "f.cfg:3: policies.x.devices: '/dev' is no device"},
        {P("devices = [ \"/dev/\" ];"), "f.cfg:3: policies.x.devices: '/dev/' is no device"},
        {P("devices = [ \"/dev/../etc\" ];"), "f.cfg:3: policies.x.devices: '/dev/../etc' is no"},
        {P("devices = [ \"/dev/sda\" ];"), "f.cfg:3: policies.x.devices: '/dev/sda' would give"},
        {P("devices = [ \"/dev/mem\" ];"), "f.cfg:3: policies.x.devices: '/dev/mem' would give"},
        {P("devices = [ \"/dev/mapper/a\" ];"),
         "f.cfg:3: policies.x.devices: '/dev/mapper/a' would"},
        {P("archive = [ \"/etc\" ];"), "f.cfg:3: policies.x.archive: '/etc' is no folder"},
        {P("archive = [ \"etc/\" ];"), "f.cfg:3: policies.x.archive: 'etc/' is no folder"},
        {P("archive = [ \"a/../b\" ];"), "f.cfg:3: policies.x.archive: 'a/../b' is no folder"},
        {P("archive = [ \".\" ];"), "f.cfg:3: policies.x.archive: '.' is no folder"},
        /* limits */
        {P("memory_max = \"much\";"), "f.cfg:3: policies.x.memory_max: write a size"},
        {P("memory_max = -1;"), "f.cfg:3: policies.x.memory_max: write a size"},
        {P("memory_max = 1.5;"), "f.cfg:3: policies.x.memory_max: write a size"},
        {P("cpus_max = -1.0;"), "f.cfg:3: policies.x.cpus_max: write a number from 0.01"},
        {P("cpus_max = 0.001;"), "f.cfg:3: policies.x.cpus_max: write a number from 0.01"},
        {P("cpus_max = 1e-12;"), "f.cfg:3: policies.x.cpus_max: write a number from 0.01"},
        {P("cpus_max = 65537;"), "f.cfg:3: policies.x.cpus_max: write a number from 0.01"},
        {P("cpus_max = 1e300;"), "f.cfg:3: policies.x.cpus_max: write a number from 0.01"},
        {P("cpus_max = \"\";"), "f.cfg:3: policies.x.cpus_max: write a number from 0.01"},
        {P("cpus_max = \".5\";"), "f.cfg:3: policies.x.cpus_max: write a number from 0.01"},
        {P("cpus_max = \"5.\";"), "f.cfg:3: policies.x.cpus_max: write a number from 0.01"},
        {P("cpus_max = \"1.5.2\";"), "f.cfg:3: policies.x.cpus_max: write a number from 0.01"},
        {P("cpus_max = \"1.0000000001\";"), "f.cfg:3: policies.x.cpus_max: write a number"},
        {P("cpus_max = \"99999999999999999999\";"), "f.cfg:3: policies.x.cpus_max: write a number"},
        {P("owner = \"a b\";"), "f.cfg:3: policies.x.owner: write at most 63 letters"},
        {P("owner = \"" X100 "\";"), "f.cfg:3: policies.x.owner: write at most 63 letters"},
        {P("owner = true;"), "f.cfg:3: policies.x.owner: write text in double quotes"},
        {P("hide_env = \"yes\";"), "f.cfg:3: policies.x: hide_env: write true or false"},
        {P("hide_env = 1;"), "f.cfg:3: policies.x: hide_env: write true or false"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct config_report report;
        struct policies *p = bench_load(rows[i].text, &report);
        if (p || strncmp(report.error, rows[i].error, strlen(rows[i].error)) != 0) {
            fail_msg("%s\n%s", rows[i].text, p ? "was taken" : report.error);
        }
    }
}

static void refuses_entries_with_line_and_setting(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        /* calls */
        {"policies = ( { name = \"x\"; calls = [\n\"GET container/json\" ]; } );",
         "f.cfg:2: policies.x.calls: 'GET container/json' is no call of the catalogue; the nearest "
         "is \"GET containers/json\""},
        {"policies = ( { name = \"x\"; calls = [ \"POST containers/nc_app_x/start\" ]; } );",
         "f.cfg:1: policies.x.calls: 'POST containers/nc_app_x/start' is no call of the catalogue; "
         "the nearest is \"POST containers/{container}/start\""},
        {"policies = ( { name = \"x\"; calls = [ \"GET info\", \"GET info\" ]; } );",
         "f.cfg:1: policies.x.calls: 'GET info' is there twice"},
        {"policies = ( { name = \"x\"; calls = \"GET info\"; } );",
         "f.cfg:1: policies.x.calls: write a list"},
        {P("other_calls = ( \"GET plugins\" );"), "f.cfg:3: policies.x.other_calls: write a group"},
        {P("other_calls = ( { params = [ ]; } );"),
         "f.cfg:3: policies.x.other_calls: an entry lacks call"},
        {P("other_calls = ( { call = 1; } );"), "f.cfg:3: policies.x.other_calls: write text"},
        {P("other_calls = ( { call = \"GET plugins\"; body = true; } );"),
         "f.cfg:3: policies.x.other_calls: unknown setting 'body'; there are call, params, stream"},
        {P("other_calls = ( { call = \"POST build\"; } );"),
         "f.cfg:3: policies.x.other_calls: 'POST build' can't pass: it runs what the client sends"},
        {P("other_calls = ( { call = \"GET info\"; } );"),
         "f.cfg:3: policies.x.other_calls: 'GET info' covers a call that the catalogue has"},
        {P("other_calls = ( { call = \"GET nodes/{any}\"; }, { call = \"GET nodes/x\"; } );"),
         "f.cfg:3: policies.x.other_calls: \"GET nodes/x\" covers what \"GET nodes/{any}\" does"},
        {P("other_calls = ( { call = \"GET plugins\"; }, { call = \"GET plugins\"; } );"),
         "f.cfg:3: policies.x.other_calls: \"GET plugins\" covers what \"GET plugins\" does"},
        {P("other_calls = ( { call = \"GET plugins\"; params = [ \"a b\" ]; } );"),
         "f.cfg:3: policies.x.other_calls: params: 'a b' is no parameter's name"},
        {P("other_calls = ( { call = \"GET plugins\"; params = [ \"a\", \"a\" ]; } );"),
         "f.cfg:3: policies.x.other_calls: params: 'a' is there twice"},
        {P("other_calls = ( { call = \"GET plugins\"; params = [ \"a\", \"b\", \"c\", \"d\", \"e\","
           "\"f\", \"g\", \"h\", \"i\" ]; } );"),
         "f.cfg:3: policies.x.other_calls: params: write at most 8 names"},
        {P("other_calls = ( { call = \"GET plugins\"; stream = 1; } );"),
         "f.cfg:3: policies.x.other_calls: stream: write true or false"},
        /* commands */
        {P("commands = [ \"ls\" ];"), "f.cfg:3: policies.x.commands: write a command and its"},
        {P("commands = ( [ ] );"), "f.cfg:3: policies.x.commands: write a command and its"},
        {P("commands = ( [ \"a\", \"\" ] );"), "f.cfg:3: policies.x.commands: text is empty"},
        {P("commands = ( [ 1 ] );"), "f.cfg:3: policies.x.commands: write text in double quotes"},
        {P("commands = ( [ \"a\" ], [ \"a\" ] );"),
         "f.cfg:3: policies.x.commands: a command is there twice"},
        /* binds */
        {P("binds = [ \"/srv\" ];"), "f.cfg:3: policies.x.binds: write a group"},
        {P("binds = ( { below = true; } );"), "f.cfg:3: policies.x.binds: an entry lacks path"},
        {P("binds = ( { path = \"srv\"; } );"), "f.cfg:3: policies.x.binds: 'srv' is no folder"},
        {P("binds = ( { path = \"/\"; } );"), "f.cfg:3: policies.x.binds: '/' is no folder"},
        {P("binds = ( { path = \"/srv/\"; } );"),
         "f.cfg:3: policies.x.binds: '/srv/' is no folder"},
        {P("binds = ( { path = \"/srv//a\"; } );"), "f.cfg:3: policies.x.binds: '/srv//a' is no"},
        {P("binds = ( { path = \"/srv/../a\"; } );"),
         "f.cfg:3: policies.x.binds: '/srv/../a' is no"},
        {P("binds = ( { path = \"/etc\"; } );"), "f.cfg:3: policies.x.binds: '/etc' "},
        {P("binds = ( { path = \"/srv/a\"; below = 1; } );"),
         "f.cfg:3: policies.x.binds: below: write true or false"},
        {P("binds = ( { path = \"/srv/a\"; below = true; read_only = false; } );"),
         "f.cfg:3: policies.x.binds: with below = true, read_only can't be false"},
        {P("binds = ( { path = \"/srv/a\"; }, { path = \"/srv/a\"; } );"),
         "f.cfg:3: policies.x.binds: /srv/a is there twice"},
        {P("binds = ( { path = \"/srv/a\"; read_only = false; }, { path = \"/srv/a/b\"; } );"),
         "f.cfg:1: policies: /srv/a/b of policy x lies in /srv/a, which containers of policy x may "
         "write"},
        {"policies = ( { name = \"x\"; base = \"appapi\"; binds = ( { path = \"/srv/a/b\"; } ); },"
         "{ name = \"y\"; base = \"appapi\"; binds = ( { path = \"/srv/a\"; read_only = false; } "
         "); } );",
         "f.cfg:1: policies: /srv/a/b of policy x lies in /srv/a, which containers of policy y may "
         "write"},
        {P("binds = ( { path = \"/srv/a\"; writable = true; } );"),
         "f.cfg:3: policies.x.binds: unknown setting 'writable'; there are path, below, read_only"},
        /* create_more */
        {P("create_more = [ \"StopSignal\" ];"), "f.cfg:3: policies.x.create_more: write a group"},
        {P("create_more = ( { type = \"string\"; } );"),
         "f.cfg:3: policies.x.create_more: an entry lacks key"},
        {P("create_more = ( { key = \"StopSignal\"; } );"),
         "f.cfg:3: policies.x.create_more: type: write \"string\""},
        {P("create_more = ( { key = \"StopSignal\"; type = \"text\"; } );"),
         "f.cfg:3: policies.x.create_more: type: write \"string\""},
        {P("create_more = ( { key = \"StopSignal\"; type = 1; } );"),
         "f.cfg:3: policies.x.create_more: type: write \"string\""},
        {P("create_more = ( { key = \"HostConfig.Privileged\"; type = \"boolean\"; } );"),
         "f.cfg:3: policies.x.create_more: 'HostConfig.Privileged' "},
        {P("create_more = ( { key = \"HostConfig.ShmSize\"; type = \"integer\"; max = -1; } );"),
         "f.cfg:3: policies.x.create_more: max: write a whole number"},
        {P("create_more = ( { key = \"HostConfig.ShmSize\"; type = \"integer\"; max = \"1\"; } );"),
         "f.cfg:3: policies.x.create_more: max: write a whole number"},
        {P("create_more = ( { key = \"StopSignal\"; type = \"string\"; max = 1; } );"),
         "f.cfg:3: policies.x.create_more: max: only an integer has one"},
        {P("create_more = ( { key = \"HostConfig.ShmSize\"; type = \"integer\";"
           "values = [ \"1\" ]; } );"),
         "f.cfg:3: policies.x.create_more: values: only a string and strings have them"},
        {P("base = \"appapi\"; create_more = ( { key = \"StopSignal\"; type = \"string\";"
           "values = [ \"...\" ]; } );"),
         "f.cfg:3: policies.x.values: \"...\" means the base's entries"},
        {P("create_more = ( { key = \"StopSignal\"; type = \"string\"; },"
           "{ key = \"StopSignal\"; type = \"string\"; } );"),
         "f.cfg:3: policies.x.create_more: StopSignal is there twice"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct config_report report;
        struct policies *p = bench_load(rows[i].text, &report);
        const char *want = rows[i].error;
        if (p || strncmp(report.error, want, strlen(want)) != 0) {
            fail_msg("%s\n%s", rows[i].text, p ? "was taken" : report.error);
        }
    }
}

/* ---- how much ---- */

/* `n` entries by a format with one number. */
static char *many(const char *before, const char *entry, unsigned n, const char *after)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    fputs(before, f);
    for (unsigned i = 0; i < n; i++) {
        fputs(i > 0 ? ", " : "", f);
        fprintf(f, entry, i);
    }
    fputs(after, f);
    assert_int_equal(fclose(f), 0);
    return text;
}

static void check_limit(const char *before, const char *entry, unsigned most, const char *after,
                        const char *error)
{
    for (unsigned over = 0; over < 2; over++) {
        struct config_report report;
        char *text = many(before, entry, most + over, after);
        struct policies *p = bench_load(text, &report);
        if ((p == NULL) != (over == 1) || (over && !strstr(report.error, error))) {
            fail_msg("%u of %s: %s", most + over, entry, p ? "taken" : report.error);
        }
        policies_free(p);
        free(text);
    }
}

static void limits_count(void **state)
{
    static const char calls[] = "policies = ( { name = \"x\"; calls = [ \"GET _ping\" ]; ";
    char before[128];
    (void)state;
    check_limit("policies = (", "{ name = \"p%u\"; calls = [ \"GET _ping\" ]; }", 32, ");",
                "f.cfg:1: policies: more than 32 policies");
    snprintf(before, sizeof(before), "%snetworks = [", calls);
    check_limit(before, "\"n%u\"", 256, "]; } );", "networks: more than 256 entries");
    snprintf(before, sizeof(before), "%scommands = (", calls);
    check_limit(before, "[ \"n%u\" ]", 256, "); } );", "commands: more than 256 entries");
    snprintf(before, sizeof(before), "%scommands = ( [", calls);
    check_limit(before, "\"n%u\"", 64, "] ); } );", "at most 64");
    snprintf(before, sizeof(before), "%sbinds = (", calls);
    check_limit(before, "{ path = \"/srv/n%u\"; }", 256, "); } );", "binds: more than 256");
    snprintf(before, sizeof(before), "%sother_calls = (", calls);
    check_limit(before, "{ call = \"GET nodes/n%u\"; }", 127, "); } );", "more than 128 calls");
}

static void a_base_s_entries_count(void **state)
{
    (void)state;
    /* 3 folders are the base's. */
    for (unsigned n = 253; n < 255; n++) {
        struct config_report report;
        char *text = many("policies = ( { name = \"a\"; base = \"appapi\"; archive = [ \"...\", ",
                          "\"n%u\"", n, "]; } );");
        struct policies *p = bench_load(text, &report);
        assert_true(!p == (n == 254));
        assert_true(p || strstr(report.error, "more than 256 entries with the base's"));
        policies_free(p);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_file_there_are_those_built_in),
        cmocka_unit_test(a_file_s_policy_hides_a_built_in_one),
        cmocka_unit_test(reads_every_setting),
        cmocka_unit_test(what_is_left_out_allows_nothing),
        cmocka_unit_test(a_base_gives_all_that_is_not_written),
        cmocka_unit_test(a_list_replaces_the_base_s_or_adds_to_it),
        cmocka_unit_test(the_lines_of_hints_are_read),
        cmocka_unit_test(refuses_with_line_and_setting),
        cmocka_unit_test(refuses_entries_with_line_and_setting),
        cmocka_unit_test(limits_count),
        cmocka_unit_test(a_base_s_entries_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
