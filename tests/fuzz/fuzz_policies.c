/* Policies of a file: whatever is taken is printed as a file that is taken again and printed the same; its
 * rules are of the catalogue, or take no body and may be written so; no two of them meet. What is refused
 * has a one-line reason. */
#include <stdio.h>
#include <stdlib.h>

#include "common/docker/generic.h"
#include "socket-filter/policy/policies.h"

#define REQUIRE(x)                                                                                 \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* Libconfig keeps a string that the text ends in. */
const char *__lsan_default_suppressions(void)
{
    return "leak:strbuf_append";
}

static struct policies *load(const char *text, struct config_report *report)
{
    struct config_file file = {.path = "f.cfg"};
    struct policies *p = NULL;
    config_init(&file.tree);
    if (config_read_string(&file.tree, text) == CONFIG_TRUE) {
        p = policies_load(&file, report);
        REQUIRE(!p == !!report->error[0]);
    }
    config_file_close(&file);
    return p;
}

static char *print(const struct named_policy *policy)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    REQUIRE(f);
    fputs("policies = ( ", f);
    policies_print(f, policy);
    fputs(" );", f);
    REQUIRE(fclose(f) == 0);
    return text;
}

static void check_rules(const struct docker_policy *p)
{
    REQUIRE(p->count > 0);
    for (size_t i = 0; i < p->count; i++) {
        char text[DOCKER_RULE_TEXT_MAX];
        struct docker_generic generic;
        const struct docker_rule *r = p->rules[i];
        if (docker_rule_find(str_of(docker_rule_text(r, text))) != r) {
            REQUIRE(r->body == DOCKER_NO_BODY && !r->upgrade && !r->registry_auth);
            REQUIRE(!docker_generic_read(&generic, str_of(text)));
        }
        for (size_t k = 0; k < i; k++) {
            REQUIRE(!docker_rules_meet(r, p->rules[k]));
        }
    }
}

static void check(const struct named_policy *policy)
{
    struct config_report report = {.error = ""};
    char *text = print(policy);
    struct policies *again = load(text, &report);
    REQUIRE(again);
    const struct named_policy *same = policies_find(again, str_of(policy->name));
    REQUIRE(same);
    char *twice = print(same);
    /* The sentence of a built-in one is no setting. */
    REQUIRE(policy->what[0] || strcmp(text, twice) == 0);
    check_rules(policy->policy);
    policies_free(again);
    free(twice);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_report report = {.error = ""};
    char *text = malloc(size + 1);
    REQUIRE(text);
    memcpy(text, data, size);
    text[size] = '\0';
    /* Other files are none of this target's. */
    struct policies *p = strstr(text, "@include") ? NULL : load(text, &report);
    for (size_t i = 0; p && policies_at(p, i); i++) {
        check(policies_at(p, i));
    }
    REQUIRE(!strchr(report.error, '\n'));
    policies_free(p);
    free(text);
    return 0;
}
