/* policy_read.c - the list `policies` of a file, and what all its settings have in common. */
#include "socket-filter/policy/host_path.h"
#include "socket-filter/policy/policy_impl.h"

#include "common/base/buf.h"
#include "common/config/values.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

struct piece {
    struct piece *next;
    max_align_t data[];
};

struct policies {
    struct piece *memory;
    size_t nread; /* of the file, in its order */
    struct named_policy read[POLICIES_MAX];
    const struct named_policy **all; /* ends in NULL */
};

/* ---- memory ---- */

void *policies_alloc(struct policies *p, size_t n)
{
    struct piece *piece = xcalloc(1, sizeof(*piece) + n);
    piece->next = p->memory;
    p->memory = piece;
    return piece->data;
}

const char *policies_copy(struct policies *p, struct str text)
{
    char *copy = policies_alloc(p, text.n + 1);
    memcpy(copy, text.p, text.n);
    return copy;
}

void policies_free(struct policies *p)
{
    if (!p) {
        return;
    }
    while (p->memory) {
        struct piece *next = p->memory->next;
        free(p->memory);
        p->memory = next;
    }
    free(p);
}

/* ---- messages ---- */

void policy_tell(const struct policy_reader *r, const config_setting_t *node, const char *fmt, ...)
{
    char text[CONFIG_LINE_MAX];
    const char *in = config_setting_source_file(node);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    config_fail(r->report, "%s:%u: policies%s%s%s%s: %s", in ? in : r->file->path,
                (unsigned)config_setting_source_line(node), r->policy[0] ? "." : "", r->policy,
                r->setting ? "." : "", r->setting ? r->setting : "", text);
}

/* ---- pieces of settings ---- */

config_setting_t *policy_setting(struct policy_reader *r, const config_setting_t *group,
                                 const char *name)
{
    r->setting = name;
    return config_setting_get_member((config_setting_t *)group, name);
}

const config_setting_t *policy_list_at(const struct policy_list *list, int i)
{
    return config_setting_get_elem((config_setting_t *)list->node, (unsigned)i);
}

int policy_list_open(struct policy_reader *r, const config_setting_t *node, const char *example,
                     struct policy_list *list)
{
    *list = (struct policy_list){.node = node};
    if (!config_setting_is_list(node) && !config_setting_is_array(node)) {
        return policy_fail(r, node, "write a list, as in %s", example);
    }
    list->n = config_setting_length(node);
    if (list->n > POLICY_ENTRIES_MAX) {
        return policy_fail(r, node, "more than %d entries", POLICY_ENTRIES_MAX);
    }
    const config_setting_t *first = list->n > 0 ? policy_list_at(list, 0) : NULL;
    if (first && config_setting_type(first) == CONFIG_TYPE_STRING &&
        strcmp(config_setting_get_string(first), POLICY_BASE_ENTRIES) == 0) {
        list->more = true;
        list->first = 1;
        return r->base ? 0
                       : policy_fail(r, first,
                                     "\"" POLICY_BASE_ENTRIES
                                     "\" means the base's entries, and there is no base");
    }
    return 0;
}

int policy_text(struct policy_reader *r, const config_setting_t *node, struct str *text)
{
    if (config_setting_type(node) != CONFIG_TYPE_STRING) {
        return policy_fail(r, node, "write text in double quotes");
    }
    *text = str_of(config_setting_get_string(node));
    if (text->n == 0) {
        return policy_fail(r, node, "text is empty");
    }
    if (str_eq(*text, STR(POLICY_BASE_ENTRIES))) {
        return policy_fail(r, node, "\"" POLICY_BASE_ENTRIES "\" can only be the first of a list");
    }
    if (text->n > POLICY_TEXT_MAX || !value_is_printable(*text)) {
        return policy_fail(r, node, "text is not printable ASCII of at most %d bytes",
                           POLICY_TEXT_MAX);
    }
    return 0;
}

int policy_flag(struct policy_reader *r, const config_setting_t *group, const char *name, bool *out)
{
    const config_setting_t *node = config_setting_get_member((config_setting_t *)group, name);
    if (!node) {
        return 0;
    }
    if (config_setting_type(node) != CONFIG_TYPE_BOOL) {
        return policy_fail(r, node, "%s: write true or false", name);
    }
    *out = config_setting_get_bool(node);
    return 0;
}

int policy_members(struct policy_reader *r, const config_setting_t *group, const char *const *known)
{
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *node =
            config_setting_get_elem((config_setting_t *)group, (unsigned)i);
        const char *const *k = known;
        char shown[CONFIG_SHOW_MAX], names[256] = "";
        while (*k && strcmp(*k, config_setting_name(node)) != 0) {
            k++;
        }
        for (size_t j = 0; !*k && known[j]; j++) {
            size_t n = strlen(names);
            snprintf(names + n, sizeof(names) - n, "%s%s", n > 0 ? ", " : "", known[j]);
        }
        if (!*k) {
            return policy_fail(r, node, "unknown setting %s; there are %s",
                               config_show(shown, str_of(config_setting_name(node))), names);
        }
    }
    return 0;
}

/* Adds a word to a list of enough room, unless the base's part has it: what a later version adds to a base
 * is no error in a file. */
static int add_word(struct policy_reader *r, const config_setting_t *node, struct str word,
                    const char **to, struct docker_words *words, size_t nbase)
{
    char shown[CONFIG_SHOW_MAX];
    struct docker_words base = {to, nbase}, written = {to + nbase, words->n - nbase};
    if (docker_words_have(written, word)) {
        return policy_fail(r, node, "%s is there twice", config_show(shown, word));
    }
    if (!docker_words_have(base, word)) {
        to[words->n++] = policies_copy(r->all, word);
    }
    return 0;
}

int policy_words(struct policy_reader *r, const config_setting_t *group, const char *name,
                 policy_word_check *check, struct docker_words *words)
{
    const config_setting_t *node = policy_setting(r, group, name);
    struct policy_list list;
    char shown[CONFIG_SHOW_MAX];
    if (!node) {
        return 0;
    }
    if (policy_list_open(r, node, "[ \"one\", \"another\" ]", &list) < 0) {
        return -1;
    }
    size_t nbase = list.more ? words->n : 0;
    const char **to = policies_alloc(r->all, (nbase + (size_t)list.n) * sizeof(*to));
    if (nbase > 0) {
        memcpy(to, words->p, nbase * sizeof(*to));
    }
    *words = (struct docker_words){to, nbase};
    for (int i = list.first; i < list.n; i++) {
        const config_setting_t *at = policy_list_at(&list, i);
        struct str word;
        if (policy_text(r, at, &word) < 0) {
            return -1;
        }
        const char *why = check ? check(word) : NULL;
        if (why) {
            return policy_fail(r, at, "%s %s", config_show(shown, word), why);
        }
        if (add_word(r, at, word, to, words, nbase) < 0) {
            return -1;
        }
    }
    return words->n <= POLICY_ENTRIES_MAX
               ? 0
               : policy_fail(r, node, "more than %d entries with the base's", POLICY_ENTRIES_MAX);
}

/* ---- one policy ---- */

static bool name_valid(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (i == 0 || (c != '-' && c != '_' && c != '.'))) {
            return false;
        }
    }
    return s.n > 0 && s.n <= POLICY_NAME_MAX;
}

static const struct named_policy *find_read(const struct policies *p, struct str name)
{
    for (size_t i = 0; i < p->nread; i++) {
        if (str_eq(name, str_of(p->read[i].name))) {
            return &p->read[i];
        }
    }
    return NULL;
}

static const struct named_policy *find_built_in(struct str name)
{
    for (const struct named_policy *b = policies_built_in; b->name; b++) {
        if (str_eq(name, str_of(b->name))) {
            return b;
        }
    }
    return NULL;
}

const struct named_policy *policies_find(const struct policies *p, struct str name)
{
    const struct named_policy *found = find_read(p, name);
    return found ? found : find_built_in(name);
}

static int read_name(struct policy_reader *r, const config_setting_t *group)
{
    const config_setting_t *node = policy_setting(r, group, "name");
    struct str name;
    char shown[CONFIG_SHOW_MAX];
    if (!node) {
        return policy_fail(r, group, "a policy needs a name");
    }
    if (policy_text(r, node, &name) < 0) {
        return -1;
    }
    if (!name_valid(name)) {
        return policy_fail(r, node,
                           "%s is no name; write a letter or digit, and up to %d of those and of "
                           "- _ .",
                           config_show(shown, name), POLICY_NAME_MAX - 1);
    }
    if (find_read(r->all, name)) {
        return policy_fail(r, node, "%s is the name of two policies", config_show(shown, name));
    }
    snprintf(r->policy, sizeof(r->policy), "%.*s", STR_ARG(name));
    return 0;
}

static int read_base(struct policy_reader *r, const config_setting_t *group)
{
    const config_setting_t *node = policy_setting(r, group, "base");
    struct str name;
    char shown[CONFIG_SHOW_MAX];
    if (!node) {
        return 0;
    }
    if (policy_text(r, node, &name) < 0) {
        return -1;
    }
    const struct named_policy *base = policies_find(r->all, name);
    if (!base) {
        return policy_fail(r, node,
                           "there is no policy %s before this one; see `policy show` for those "
                           "built in",
                           config_show(shown, name));
    }
    r->base = base->policy;
    return 0;
}

static int read_version(struct policy_reader *r, const config_setting_t *group, unsigned *out)
{
    const config_setting_t *node = policy_setting(r, group, "version_max");
    if (!node) {
        return 0;
    }
    int value = config_setting_type(node) == CONFIG_TYPE_INT ? config_setting_get_int(node) : -1;
    if (value < (int)DOCKER_VERSION_MIN || value > POLICY_VERSION_MAX) {
        return policy_fail(r, node, "write a whole number from %u to %d", DOCKER_VERSION_MIN,
                           POLICY_VERSION_MAX);
    }
    *out = (unsigned)value;
    return 0;
}

static int read_policy(struct policies *all, const struct config_file *file,
                       struct config_report *report, const config_setting_t *group)
{
    static const char *const known[] = {"name",        "base",       "version_max", "calls",
                                        "other_calls", "containers", "volumes",     "images",
                                        "networks",    "publish",    "devices",     "archive",
                                        "commands",    "binds",      "create_more", "memory_max",
                                        "cpus_max",    "owner",      "hide_env",    NULL};
    struct policy_reader r = {.all = all, .file = file, .report = report};
    if (!config_setting_is_group(group)) {
        return policy_fail(&r, group, "a policy is a group: { name = \"...\"; ... }");
    }
    if (read_name(&r, group) < 0) {
        return -1;
    }
    r.setting = NULL;
    if (policy_members(&r, group, known) < 0 || read_base(&r, group) < 0) {
        return -1;
    }
    struct docker_policy *p = policies_alloc(all, sizeof(*p));
    struct docker_grants *g = policies_alloc(all, sizeof(*g));
    *p = r.base ? *r.base : (struct docker_policy){.version_max = DOCKER_VERSION_MAX};
    *g = r.base ? *r.base->grants : (struct docker_grants){.hide_env = true};
    p->grants = g;
    p->looks_up = true;
    if (read_version(&r, group, &p->version_max) < 0 || policy_read_calls(&r, group, p) < 0 ||
        policy_read_grants(&r, group, g) < 0) {
        return -1;
    }
    all->read[all->nread++] = (struct named_policy){
        .name = policies_copy(all, str_of(r.policy)), .what = "", .policy = p};
    return 0;
}

/* ---- all of them ---- */

static void list_all(struct policies *p)
{
    size_t n = 0, most = p->nread + 1;
    for (const struct named_policy *b = policies_built_in; b->name; b++) {
        most++;
    }
    p->all = policies_alloc(p, most * sizeof(*p->all));
    for (const struct named_policy *b = policies_built_in; b->name; b++) {
        if (!find_read(p, str_of(b->name))) {
            p->all[n++] = b;
        }
    }
    for (size_t i = 0; i < p->nread; i++) {
        p->all[n++] = &p->read[i];
    }
}

/* A folder of any policy that lies in one that containers of `owner` may write. */
static int check_bind(struct policy_reader *r, const config_setting_t *list,
                      const struct named_policy *owner, const struct docker_bind *writable)
{
    for (size_t i = 0; i < r->all->nread; i++) {
        const struct named_policy *other = &r->all->read[i];
        const struct docker_grants *g = other->policy->grants;
        for (size_t k = 0; k < g->nbinds; k++) {
            if (host_path_in(str_of(g->binds[k].path), str_of(writable->path))) {
                return policy_fail(
                    r, list,
                    "%s of policy %s lies in %s, which containers of policy %s may "
                    "write: they could lead its mount elsewhere by a link; make that "
                    "read_only, or keep them apart",
                    g->binds[k].path, other->name, writable->path, owner->name);
            }
        }
    }
    return 0;
}

/* A container's root is root: where one may write, it can put a link in the place of a folder, and so lead the
 * mount of what lies there, by any policy of this filter, somewhere else. */
static int check_binds(struct policy_reader *r, const config_setting_t *list)
{
    for (size_t i = 0; i < r->all->nread; i++) {
        const struct docker_grants *g = r->all->read[i].policy->grants;
        for (size_t k = 0; k < g->nbinds; k++) {
            if (!g->binds[k].read_only && check_bind(r, list, &r->all->read[i], &g->binds[k]) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int read_list(struct policies *p, const struct config_file *file,
                     struct config_report *report)
{
    const config_setting_t *list = config_lookup(&file->tree, "policies");
    struct policy_reader r = {.all = p, .file = file, .report = report};
    if (!list) {
        return 0;
    }
    if (!config_setting_is_list(list)) {
        return policy_fail(&r, list, "write a list of groups: ( { name = \"...\"; ... } )");
    }
    if (config_setting_length(list) > POLICIES_MAX) {
        return policy_fail(&r, list, "more than %d policies", POLICIES_MAX);
    }
    for (int i = 0; i < config_setting_length(list); i++) {
        if (read_policy(p, file, report,
                        config_setting_get_elem((config_setting_t *)list, (unsigned)i)) < 0) {
            return -1;
        }
    }
    return check_binds(&r, list);
}

struct policies *policies_load(const struct config_file *file, struct config_report *report)
{
    struct policies *p = xcalloc(1, sizeof(*p));
    if (file && read_list(p, file, report) < 0) {
        policies_free(p);
        return NULL;
    }
    list_all(p);
    return p;
}

const struct named_policy *policies_at(const struct policies *p, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (!p->all[k]) {
            return NULL;
        }
    }
    return p->all[i];
}
