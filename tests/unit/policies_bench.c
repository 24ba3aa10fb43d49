#include "policies_bench.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/docker/catalogue.h"

struct policies *bench_load(const char *text, struct config_report *report)
{
    struct config_file file = {.path = "f.cfg"};
    *report = (struct config_report){.error = ""};
    config_init(&file.tree);
    if (config_read_string(&file.tree, text) != CONFIG_TRUE) {
        fail_msg("the test's own file is bad: line %d: %s", config_error_line(&file.tree),
                 config_error_text(&file.tree));
    }
    struct policies *p = policies_load(&file, report);
    /* Nothing of what was read may point into the file. */
    config_file_close(&file);
    assert_true(!p == !!report->error[0]);
    return p;
}

struct policies *bench_load_one(const char *settings)
{
    struct config_report report;
    size_t room = strlen(settings) + 32;
    char *text = malloc(room);
    snprintf(text, room, "policies = ( %s );", settings);
    struct policies *p = bench_load(text, &report);
    if (!p) {
        fail_msg("%s\n%s", report.error, text);
    }
    free(text);
    return p;
}

char *bench_print(const struct named_policy *policy)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    assert_non_null(f);
    policies_print(f, policy);
    assert_int_equal(fclose(f), 0);
    return text;
}

static void same_words(struct docker_words a, struct docker_words b)
{
    assert_int_equal(a.n, b.n);
    for (size_t i = 0; i < a.n; i++) {
        assert_string_equal(a.p[i], b.p[i]);
    }
}

static void same_rule(const struct docker_rule *a, const struct docker_rule *b)
{
    char ta[DOCKER_RULE_TEXT_MAX], tb[DOCKER_RULE_TEXT_MAX];
    assert_string_equal(docker_rule_text(a, ta), docker_rule_text(b, tb));
    if (docker_rule_find(str_of(ta)) == a) {
        assert_ptr_equal(a, b);
        return;
    }
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->path, b->path);
    assert_ptr_equal(a->object, b->object);
    assert_int_equal(a->methods, b->methods);
    assert_int_equal(a->answer, b->answer);
    assert_int_equal(a->tells_env, b->tells_env);
    assert_int_equal(a->body, DOCKER_NO_BODY);
    assert_int_equal(b->body, DOCKER_NO_BODY);
    for (size_t i = 0; i < DOCKER_RULE_PARAMS; i++) {
        assert_true(!a->params[i].name == !b->params[i].name);
        if (a->params[i].name) {
            assert_string_equal(a->params[i].name, b->params[i].name);
            assert_ptr_equal(a->params[i].check, b->params[i].check);
        }
    }
}

static void same_lists(const struct docker_grants *a, const struct docker_grants *b)
{
    assert_int_equal(a->ncommands, b->ncommands);
    for (size_t i = 0; i < a->ncommands; i++) {
        same_words(a->commands[i].argv, b->commands[i].argv);
    }
    assert_int_equal(a->nbinds, b->nbinds);
    for (size_t i = 0; i < a->nbinds; i++) {
        assert_string_equal(a->binds[i].path, b->binds[i].path);
        assert_int_equal(a->binds[i].below, b->binds[i].below);
        assert_int_equal(a->binds[i].read_only, b->binds[i].read_only);
    }
    assert_int_equal(a->nextras, b->nextras);
    for (size_t i = 0; i < a->nextras; i++) {
        assert_string_equal(a->extras[i].key, b->extras[i].key);
        assert_int_equal(a->extras[i].type, b->extras[i].type);
        assert_int_equal(a->extras[i].max, b->extras[i].max);
        same_words(a->extras[i].values, b->extras[i].values);
    }
}

void bench_same(const struct docker_policy *a, const struct docker_policy *b)
{
    const struct docker_grants *ga = a->grants, *gb = b->grants;
    assert_int_equal(a->version_max, b->version_max);
    assert_int_equal(a->looks_up, b->looks_up);
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        same_rule(a->rules[i], b->rules[i]);
    }
    same_words(ga->containers, gb->containers);
    same_words(ga->volumes, gb->volumes);
    same_words(ga->images, gb->images);
    same_words(ga->networks, gb->networks);
    same_words(ga->publish, gb->publish);
    same_words(ga->devices, gb->devices);
    same_words(ga->archive, gb->archive);
    same_lists(ga, gb);
    assert_int_equal(ga->memory_max, gb->memory_max);
    assert_int_equal(ga->nano_cpus_max, gb->nano_cpus_max);
    assert_true(!ga->owner == !gb->owner);
    if (ga->owner) {
        assert_string_equal(ga->owner, gb->owner);
    }
    assert_int_equal(ga->hide_env, gb->hide_env);
}

char *bench_read_file(const char *path)
{
    struct config_report report = {.error = ""};
    size_t n;
    char *text = config_read_all("file", path, CONFIG_FILE_MAX, &n, &report);
    if (!text) {
        fail_msg("%s (tests run in the project's folder)", report.error);
    }
    return text;
}
