/* policy_calls.c - which calls a policy of a file lets pass: `calls` of the catalogue, and `other_calls`. */
#include "socket-filter/policy/policy_impl.h"

#include "common/docker/chars.h"
#include "common/docker/generic.h"
#include "common/docker/value.h"

/* The rules while they are gathered. */
struct rules {
    const struct docker_rule *p[2 * POLICY_CALLS_MAX]; /* the base's, and as many written ones */
    size_t n, nbase;
};

static bool of_catalogue(const struct docker_rule *rule)
{
    for (size_t i = 0; i < docker_catalogue.count; i++) {
        if (docker_catalogue.rules[i] == rule) {
            return true;
        }
    }
    return false;
}

/* ---- the text that was meant ---- */

/* How many bytes have to be put in, left out or changed to make b of a. */
static unsigned distance(struct str a, struct str b)
{
    unsigned row[DOCKER_RULE_TEXT_MAX + 1];
    for (unsigned j = 0; j <= b.n; j++) {
        row[j] = j;
    }
    for (unsigned i = 1; i <= a.n; i++) {
        unsigned before = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.n; j++) {
            unsigned above = row[j], change = before + (a.p[i - 1] != b.p[j - 1]);
            row[j] = MIN(change, 1 + MIN(above, row[j - 1]));
            before = above;
        }
    }
    return row[b.n];
}

static const char *nearest(struct str text, char *buf)
{
    const struct docker_rule *best = docker_catalogue.rules[0];
    unsigned least = ~0U;
    for (size_t i = 0; i < docker_catalogue.count; i++) {
        unsigned d = distance(text, str_of(docker_rule_text(docker_catalogue.rules[i], buf)));
        if (d < least) {
            least = d;
            best = docker_catalogue.rules[i];
        }
    }
    return docker_rule_text(best, buf);
}

/* ---- calls ---- */

static bool have(const struct docker_rule *const *p, size_t n, const struct docker_rule *rule)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] == rule) {
            return true;
        }
    }
    return false;
}

static int room_for(struct policy_reader *r, const config_setting_t *node, const struct rules *to)
{
    return to->n < ARRAY_LEN(to->p) ? 0
                                    : policy_fail(r, node, "more than %d calls", POLICY_CALLS_MAX);
}

static int read_call(struct policy_reader *r, const config_setting_t *node, struct rules *to)
{
    char shown[CONFIG_SHOW_MAX], buf[DOCKER_RULE_TEXT_MAX];
    struct str text;
    if (policy_text(r, node, &text) < 0) {
        return -1;
    }
    const struct docker_rule *rule = docker_rule_find(text);
    if (!rule) {
        return policy_fail(r, node,
                           "%s is no call of the catalogue; the nearest is \"%s\"; others can be "
                           "written into other_calls",
                           config_show(shown, text), nearest(text, buf));
    }
    if (have(to->p + to->nbase, to->n - to->nbase, rule)) {
        return policy_fail(r, node, "%s is there twice", config_show(shown, text));
    }
    if (room_for(r, node, to) < 0) {
        return -1;
    }
    if (!have(to->p, to->nbase, rule)) {
        to->p[to->n++] = rule;
    }
    return 0;
}

static int read_calls(struct policy_reader *r, const config_setting_t *node, struct rules *to)
{
    struct policy_list list;
    if (policy_list_open(r, node, "[ \"GET _ping\", \"GET version\" ]", &list) < 0) {
        return -1;
    }
    if (!list.more) {
        to->n = to->nbase = 0;
    }
    for (int i = list.first; i < list.n; i++) {
        if (read_call(r, policy_list_at(&list, i), to) < 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- other_calls ---- */

static bool param_valid(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!docker_alnum(s.p[i]) && s.p[i] != '_' && s.p[i] != '-') {
            return false;
        }
    }
    return s.n > 0 && s.n <= DOCKER_PARAM_NAME_MAX;
}

static int read_params(struct policy_reader *r, const config_setting_t *group,
                       struct docker_rule *rule)
{
    const config_setting_t *node = config_setting_get_member((config_setting_t *)group, "params");
    char shown[CONFIG_SHOW_MAX];
    struct policy_list list;
    if (!node) {
        return 0;
    }
    if (policy_list_open(r, node, "[ \"filters\" ]", &list) < 0) {
        return -1;
    }
    if (list.n > (int)DOCKER_RULE_PARAMS || list.more) {
        return policy_fail(r, node, "params: write at most %u names", DOCKER_RULE_PARAMS);
    }
    for (int i = 0; i < list.n; i++) {
        const config_setting_t *at = policy_list_at(&list, i);
        struct str name;
        if (policy_text(r, at, &name) < 0) {
            return -1;
        }
        bool twice = false;
        for (int k = 0; k < i; k++) {
            twice |= str_eq(name, str_of(rule->params[k].name));
        }
        if (twice || !param_valid(name)) {
            return policy_fail(r, at, "params: %s %s", config_show(shown, name),
                               twice ? "is there twice"
                                     : "is no parameter's name: write up to 32 of A-Z a-z 0-9 - _");
        }
        rule->params[i] = (struct docker_param_rule){.name = policies_copy(r->all, name),
                                                     .check = docker_value_any};
    }
    return 0;
}

/* Details of a swarm's services and tasks hold environments. */
static bool tells_env(const char *path)
{
    return strncmp(path, "services/", 9) == 0 || strncmp(path, "tasks/", 6) == 0;
}

static int make_rule(struct policy_reader *r, const config_setting_t *node, struct str text,
                     struct docker_rule *rule)
{
    char shown[CONFIG_SHOW_MAX];
    struct docker_generic read;
    const char *why = docker_generic_read(&read, text);
    if (why) {
        return policy_fail(r, node, "%s %s", config_show(shown, text), why);
    }
    rule->path = policies_copy(r->all, str_of(read.path));
    rule->name = rule->path;
    rule->object = read.object;
    rule->methods = read.methods;
    return 0;
}

/* What is written takes the place of the same call of the base's. */
static int add_other(struct policy_reader *r, const config_setting_t *node,
                     const struct docker_rule *rule, struct rules *to)
{
    char a[DOCKER_RULE_TEXT_MAX], b[DOCKER_RULE_TEXT_MAX];
    docker_rule_text(rule, a);
    for (size_t i = 0; i < to->n; i++) {
        if (!docker_rules_meet(rule, to->p[i])) {
            continue;
        }
        docker_rule_text(to->p[i], b);
        if (i >= to->nbase || strcmp(a, b) != 0) {
            return policy_fail(r, node, "\"%s\" covers what \"%s\" does", a, b);
        }
        to->p[i] = rule;
        return 0;
    }
    if (room_for(r, node, to) < 0) {
        return -1;
    }
    to->p[to->n++] = rule;
    return 0;
}

static int read_other(struct policy_reader *r, const config_setting_t *group, struct rules *to)
{
    static const char *const known[] = {"call", "params", "stream", NULL};
    bool stream = false;
    struct str text;
    if (!config_setting_is_group(group)) {
        return policy_fail(r, group, "write a group: { call = \"GET plugins\"; }");
    }
    struct docker_rule *rule = policies_alloc(r->all, sizeof(*rule));
    const config_setting_t *call = config_setting_get_member((config_setting_t *)group, "call");
    if (policy_members(r, group, known) < 0) {
        return -1;
    }
    if (!call) {
        return policy_fail(r, group, "an entry lacks call");
    }
    if (policy_text(r, call, &text) < 0 || make_rule(r, call, text, rule) < 0 ||
        read_params(r, group, rule) < 0 || policy_flag(r, group, "stream", &stream) < 0) {
        return -1;
    }
    rule->answer = stream ? DOCKER_ANSWER_STREAM : DOCKER_ANSWER_SHORT;
    rule->tells_env = !stream && tells_env(rule->path);
    return add_other(r, call, rule, to);
}

static int read_others(struct policy_reader *r, const config_setting_t *node, struct rules *to)
{
    struct policy_list list;
    if (policy_list_open(r, node, "( { call = \"GET plugins\"; } )", &list) < 0) {
        return -1;
    }
    if (!list.more) {
        to->n = to->nbase = 0;
    }
    for (int i = list.first; i < list.n; i++) {
        if (read_other(r, policy_list_at(&list, i), to) < 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- both ---- */

int policy_read_calls(struct policy_reader *r, const config_setting_t *group,
                      struct docker_policy *p)
{
    struct rules calls = {.n = 0}, others = {.n = 0};
    for (size_t i = 0; i < p->count; i++) {
        struct rules *to = of_catalogue(p->rules[i]) ? &calls : &others;
        to->p[to->n++] = p->rules[i];
    }
    calls.nbase = calls.n;
    others.nbase = others.n;
    const config_setting_t *node = policy_setting(r, group, "other_calls");
    if (node && read_others(r, node, &others) < 0) {
        return -1;
    }
    node = policy_setting(r, group, "calls");
    if (node && read_calls(r, node, &calls) < 0) {
        return -1;
    }
    if (calls.n + others.n > POLICY_CALLS_MAX) {
        return policy_fail(r, node ? node : group, "more than %d calls", POLICY_CALLS_MAX);
    }
    if (calls.n + others.n == 0) {
        return policy_fail(r, node ? node : group, "no call is listed: everything is refused");
    }
    const struct docker_rule **rules =
        policies_alloc(r->all, (calls.n + others.n) * sizeof(*rules));
    for (size_t i = 0; i < calls.n; i++) {
        rules[i] = calls.p[i];
    }
    for (size_t i = 0; i < others.n; i++) {
        rules[calls.n + i] = others.p[i];
    }
    p->rules = rules;
    p->count = calls.n + others.n;
    return 0;
}
