/* policy_print.c - writes a policy as a file would have it. */
#include "socket-filter/policy/policy_impl.h"

#include "common/config/values.h"
#include "common/docker/catalogue.h"

enum { WIDTH = 96, DEEPER = 4 };

/* Entries are printable ASCII: only these two mean something else to libconfig. */
static void put_text(FILE *to, const char *text)
{
    fputc('"', to);
    for (; *text; text++) {
        fprintf(to, "%s%c", *text == '"' || *text == '\\' ? "\\" : "", *text);
    }
    fputc('"', to);
}

static void put_array(FILE *to, struct docker_words words, const char *between)
{
    for (size_t i = 0; i < words.n; i++) {
        put_text(to, words.p[i]);
        fputs(i + 1 < words.n ? between : "", to);
    }
}

static void put_comment(FILE *to, const char *comment)
{
    if (comment) {
        fprintf(to, "    # %s\n", comment);
    }
}

/* In one line where it fits; else each word has its own. */
static void put_words(FILE *to, const char *name, struct docker_words words, const char *comment)
{
    size_t width = DEEPER + strlen(name) + sizeof(" = [ ];");
    for (size_t i = 0; i < words.n; i++) {
        width += strlen(words.p[i]) + sizeof("\"\", ") - 1;
    }
    put_comment(to, comment);
    fprintf(to, "    %s = [", name);
    if (width <= WIDTH) {
        fputs(words.n > 0 ? " " : "", to);
        put_array(to, words, ", ");
        fputs(" ];\n", to);
    } else {
        fputs("\n        ", to);
        put_array(to, words, ",\n        ");
        fputs("\n    ];\n", to);
    }
}

/* ---- calls ---- */

static void put_calls(FILE *to, const struct docker_policy *p)
{
    char texts[POLICY_CALLS_MAX][DOCKER_RULE_TEXT_MAX];
    const char *words[POLICY_CALLS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < p->count && n < POLICY_CALLS_MAX; i++) {
        docker_rule_text(p->rules[i], texts[n]);
        if (docker_rule_find(str_of(texts[n])) == p->rules[i]) {
            words[n] = texts[n];
            n++;
        }
    }
    put_words(to, "calls", (struct docker_words){words, n}, "Calls of the catalogue that pass.");
}

static void put_other(FILE *to, const struct docker_rule *rule)
{
    const char *names[DOCKER_RULE_PARAMS];
    char text[DOCKER_RULE_TEXT_MAX];
    struct docker_words params = {names, 0};
    for (; params.n < DOCKER_RULE_PARAMS && rule->params[params.n].name; params.n++) {
        names[params.n] = rule->params[params.n].name;
    }
    fputs("{ call = ", to);
    put_text(to, docker_rule_text(rule, text));
    fputs("; params = [ ", to);
    put_array(to, params, ", ");
    fprintf(to, " ]; stream = %s; }", rule->answer == DOCKER_ANSWER_STREAM ? "true" : "false");
}

static void put_others(FILE *to, const struct docker_policy *p)
{
    char text[DOCKER_RULE_TEXT_MAX];
    const char *between = "";
    put_comment(to, "Others, without a body, by method and path alone.");
    fputs("    other_calls = (", to);
    for (size_t i = 0; i < p->count; i++) {
        docker_rule_text(p->rules[i], text);
        if (docker_rule_find(str_of(text)) != p->rules[i]) {
            fprintf(to, "%s\n        ", between);
            put_other(to, p->rules[i]);
            between = ",";
        }
    }
    fputs(*between ? "\n    );\n" : " );\n", to);
}

/* ---- what is granted ---- */

static void put_commands(FILE *to, const struct docker_grants *g)
{
    put_comment(to, "Commands that may be executed in containers, word for word.");
    fputs("    commands = (", to);
    for (size_t i = 0; i < g->ncommands; i++) {
        fprintf(to, "%s\n        [ ", i > 0 ? "," : "");
        put_array(to, g->commands[i].argv, ", ");
        fputs(" ]", to);
    }
    fputs(g->ncommands > 0 ? "\n    );\n" : " );\n", to);
}

static void put_binds(FILE *to, const struct docker_grants *g)
{
    put_comment(to, "Folders of the host that containers may mount.");
    fputs("    binds = (", to);
    for (size_t i = 0; i < g->nbinds; i++) {
        fprintf(to, "%s\n        { path = ", i > 0 ? "," : "");
        put_text(to, g->binds[i].path);
        fprintf(to, "; below = %s; read_only = %s; }", g->binds[i].below ? "true" : "false",
                g->binds[i].read_only ? "true" : "false");
    }
    fputs(g->nbinds > 0 ? "\n    );\n" : " );\n", to);
}

static void put_extras(FILE *to, const struct docker_grants *g)
{
    put_comment(to, "More keys of containers/create.");
    fputs("    create_more = (", to);
    for (size_t i = 0; i < g->nextras; i++) {
        const struct docker_extra *e = &g->extras[i];
        fprintf(to, "%s\n        { key = ", i > 0 ? "," : "");
        put_text(to, e->key);
        fprintf(to, "; type = \"%s\";", policy_extra_types[e->type]);
        if (e->type == DOCKER_EXTRA_INTEGER) {
            fprintf(to, " max = %lldL;", (long long)e->max);
        }
        if (e->values.n > 0) {
            fputs(" values = [ ", to);
            put_array(to, e->values, ", ");
            fputs(" ];", to);
        }
        fputs(" }", to);
    }
    fputs(g->nextras > 0 ? "\n    );\n" : " );\n", to);
}

/* Libconfig takes it for a whole number without a point. */
static void put_cpus(FILE *to, int64_t nano)
{
    char text[32];
    size_t n = (size_t)snprintf(text, sizeof(text), "%lld.%09lld", (long long)(nano / 1000000000),
                                (long long)(nano % 1000000000));
    while (text[n - 1] == '0' && text[n - 2] != '.') {
        n--;
    }
    fprintf(to, "    cpus_max = %.*s;\n", (int)n, text);
}

static void put_limits(FILE *to, const struct docker_grants *g)
{
    char size[VALUE_SIZE_TEXT_MAX];
    put_comment(to, "Where not 0, each container must have a limit, and none above these.");
    fprintf(to, "    memory_max = \"%s\";\n", value_format_size((uint64_t)g->memory_max, size));
    put_cpus(to, g->nano_cpus_max);
    put_comment(to, "Written into a label of what is made; what lacks it is then refused.");
    fputs("    owner = ", to);
    put_text(to, g->owner ? g->owner : "");
    fputs(";\n", to);
    put_comment(to, "Values of environments are cut out of answers.");
    fprintf(to, "    hide_env = %s;\n", g->hide_env ? "true" : "false");
}

void policies_print(FILE *to, const struct named_policy *policy)
{
    const struct docker_policy *p = policy->policy;
    const struct docker_grants *g = p->grants;
    fputs("{\n", to);
    put_comment(to, policy->what[0] ? policy->what : NULL);
    fputs("    name = ", to);
    put_text(to, policy->name);
    fputs(";\n", to);
    put_comment(to, "The highest N of /v1.N in a call's path.");
    fprintf(to, "    version_max = %u;\n", p->version_max);
    put_calls(to, p);
    put_others(to, p);
    put_words(to, "containers", g->containers,
              "Names; * is any run of one or more characters. An empty list allows none.");
    put_words(to, "volumes", g->volumes, NULL);
    put_words(to, "images", g->images, NULL);
    put_words(to, "networks", g->networks, NULL);
    put_words(to, "publish", g->publish, "Addresses of the host that ports may be bound to.");
    put_words(to, "devices", g->devices, "\"gpu\", or paths below /dev.");
    put_words(to, "archive", g->archive, "Folders in containers that files may be put below.");
    put_commands(to, g);
    put_binds(to, g);
    put_extras(to, g);
    put_limits(to, g);
    fputs("}", to);
}
