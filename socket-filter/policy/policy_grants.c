/* policy_grants.c - what names and bodies may hold under a policy of a file: lists, and limits. */
#include "socket-filter/policy/policy_impl.h"

#include "common/config/ip.h"
#include "common/config/values.h"
#include "common/docker/body.h"
#include "common/docker/chars.h"
#include "socket-filter/policy/bind_source.h"

/* ---- words ---- */

static bool made_of(struct str s, const char *others)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!docker_alnum(s.p[i]) && !strchr(others, s.p[i])) {
            return false;
        }
    }
    return true;
}

static const char *check_name(struct str word)
{
    return made_of(word, "_.-*")
               ? NULL
               : "fits no name; write letters, digits, _ . - and * for any others";
}

/* Images are compared by their names in full, with a registry and without tag or digest. */
static const char *check_image(struct str word)
{
    const char *slash = memchr(word.p, '/', word.n), *last = memrchr(word.p, '/', word.n);
    struct str registry = {word.p, slash ? (size_t)(slash - word.p) : word.n};
    bool star = memchr(registry.p, '*', registry.n);
    bool host =
        slash && (memchr(registry.p, '.', registry.n) || memchr(registry.p, ':', registry.n) ||
                  str_eq(registry, STR("localhost")));
    if (!made_of(word, "_.-*/:")) {
        return "fits no image's name";
    }
    if (!star && !host) {
        return "fits no image: begin with the registry, as in docker.io/library/alpine";
    }
    return last && memchr(last, ':', word.n - (size_t)(last - word.p))
               ? "fits no image: tags are not looked at"
               : NULL;
}

static const char *check_address(struct str word)
{
    struct ip_addr unused;
    return ip_parse(word, &unused) == 0 ? NULL : "is no IP address";
}

/* Segments with slashes between them; none is empty, "." or "..". */
static bool clean_path(struct str s)
{
    for (size_t at = 0; at <= s.n;) {
        const char *slash = memchr(s.p + at, '/', s.n - at);
        struct str part = {s.p + at, slash ? (size_t)(slash - s.p) - at : s.n - at};
        if (part.n == 0 || str_eq(part, STR(".")) || str_eq(part, STR(".."))) {
            return false;
        }
        at += part.n + 1;
    }
    return true;
}

static bool absolute_path(struct str s)
{
    return s.n > 1 && s.p[0] == '/' && clean_path((struct str){s.p + 1, s.n - 1});
}

static const char *check_folder(struct str word)
{
    return clean_path(word) ? NULL
                            : "is no folder; write it without / in front and behind, and without "
                              "dots alone";
}

/* Memory and disks are the host itself. Who lists others knows what they are. */
static const char *check_device(struct str word)
{
    static const char *const host[] = {
        "mem",    "kmem",   "port",    "sd",   "hd",     "vd",        "xvd",     "nvme",
        "mmcblk", "dm-",    "md",      "loop", "sr",     "nbd",       "rbd",     "zd",
        "zram",   "bcache", "ram",     "pmem", "block/", "disk/",     "mapper/", "fd/",
        "shm",    "char/",  "mtd",     "root", "kmsg",   "vcs",       "uinput",  "vg",
        "pts",    "pts/",   "console", "tty0", "mqueue", "hugepages",
    };
    static const char dev[] = "/dev/";
    if (str_eq(word, STR("gpu"))) {
        return NULL;
    }
    if (!absolute_path(word) || word.n < sizeof(dev) || memcmp(word.p, dev, sizeof(dev) - 1) != 0) {
        return "is no device; write gpu, or a path below /dev";
    }
    struct str name = {word.p + sizeof(dev) - 1, word.n - (sizeof(dev) - 1)};
    for (size_t i = 0; i < ARRAY_LEN(host); i++) {
        size_t n = strlen(host[i]);
        if (name.n >= n && memcmp(name.p, host[i], n) == 0) {
            return "would give the host's memory, disks or terminals away";
        }
    }
    return NULL;
}

/* ---- commands ---- */

static bool same_command(const struct docker_command *a, const struct docker_command *b)
{
    bool same = a->argv.n == b->argv.n;
    for (size_t i = 0; same && i < a->argv.n; i++) {
        same = strcmp(a->argv.p[i], b->argv.p[i]) == 0;
    }
    return same;
}

static int read_command(struct policy_reader *r, const config_setting_t *node,
                        struct docker_command *out)
{
    static const char example[] = "[ \"cat\", \"/etc/os-release\" ]";
    int n = config_setting_is_list(node) || config_setting_is_array(node)
                ? config_setting_length(node)
                : 0;
    if (n < 1 || n > POLICY_WORDS_MAX) {
        return policy_fail(r, node, "write a command and its arguments, at most %d, as in %s",
                           POLICY_WORDS_MAX, example);
    }
    const char **argv = policies_alloc(r->all, (size_t)n * sizeof(*argv));
    for (int i = 0; i < n; i++) {
        struct str word;
        if (policy_text(r, config_setting_get_elem((config_setting_t *)node, (unsigned)i), &word) <
            0) {
            return -1;
        }
        argv[i] = policies_copy(r->all, word);
    }
    out->argv = (struct docker_words){argv, (size_t)n};
    return 0;
}

static int too_many(struct policy_reader *r, const config_setting_t *node, size_t n)
{
    return n <= POLICY_ENTRIES_MAX
               ? 0
               : policy_fail(r, node, "more than %d entries with the base's", POLICY_ENTRIES_MAX);
}

/* What is written takes the place of the same entry of the base's. */
static int read_commands(struct policy_reader *r, const config_setting_t *group,
                         struct docker_grants *g)
{
    const config_setting_t *node = policy_setting(r, group, "commands");
    struct policy_list list;
    if (!node) {
        return 0;
    }
    if (policy_list_open(r, node, "( [ \"cat\", \"/etc/os-release\" ] )", &list) < 0) {
        return -1;
    }
    size_t nbase = list.more ? g->ncommands : 0, n = nbase;
    struct docker_command *to = policies_alloc(r->all, (nbase + (size_t)list.n) * sizeof(*to));
    for (size_t i = 0; i < nbase; i++) {
        to[i] = g->commands[i];
    }
    for (int i = list.first; i < list.n; i++) {
        struct docker_command c;
        size_t at = 0;
        if (read_command(r, policy_list_at(&list, i), &c) < 0) {
            return -1;
        }
        while (at < n && !same_command(&to[at], &c)) {
            at++;
        }
        if (at >= nbase && at < n) {
            return policy_fail(r, policy_list_at(&list, i), "a command is there twice");
        }
        to[at] = c;
        n = MAX(n, at + 1);
    }
    g->commands = to;
    g->ncommands = n;
    return too_many(r, node, n);
}

/* ---- binds ---- */

static int read_bind(struct policy_reader *r, const config_setting_t *group,
                     struct docker_bind *out)
{
    static const char *const known[] = {"path", "below", "read_only", NULL};
    char shown[CONFIG_SHOW_MAX];
    struct str path;
    *out = (struct docker_bind){.read_only = true};
    if (!config_setting_is_group(group)) {
        return policy_fail(r, group, "write a group: { path = \"/srv/media\"; }");
    }
    const config_setting_t *node = config_setting_get_member((config_setting_t *)group, "path");
    if (policy_members(r, group, known) < 0) {
        return -1;
    }
    if (!node) {
        return policy_fail(r, group, "an entry lacks path");
    }
    if (policy_text(r, node, &path) < 0 || policy_flag(r, group, "below", &out->below) < 0 ||
        policy_flag(r, group, "read_only", &out->read_only) < 0) {
        return -1;
    }
    if (!absolute_path(path)) {
        return policy_fail(r, node, "%s is no folder; write it from / on, without / at its end",
                           config_show(shown, path));
    }
    if (out->below && !out->read_only) {
        return policy_fail(r, group, "with below = true, read_only can't be false");
    }
    out->path = policies_copy(r->all, path);
    const char *why = bind_source_listed(out->path, out->below);
    return why ? policy_fail(r, node, "%s %s", config_show(shown, path), why) : 0;
}

static int read_binds(struct policy_reader *r, const config_setting_t *group,
                      struct docker_grants *g)
{
    const config_setting_t *node = policy_setting(r, group, "binds");
    struct policy_list list;
    if (!node) {
        return 0;
    }
    if (policy_list_open(r, node, "( { path = \"/srv/media\"; } )", &list) < 0) {
        return -1;
    }
    size_t nbase = list.more ? g->nbinds : 0, n = nbase;
    struct docker_bind *to = policies_alloc(r->all, (nbase + (size_t)list.n) * sizeof(*to));
    for (size_t i = 0; i < nbase; i++) {
        to[i] = g->binds[i];
    }
    for (int i = list.first; i < list.n; i++) {
        struct docker_bind b;
        size_t at = 0;
        if (read_bind(r, policy_list_at(&list, i), &b) < 0) {
            return -1;
        }
        while (at < n && strcmp(to[at].path, b.path) != 0) {
            at++;
        }
        if (at >= nbase && at < n) {
            return policy_fail(r, policy_list_at(&list, i), "%s is there twice", b.path);
        }
        to[at] = b;
        n = MAX(n, at + 1);
    }
    g->binds = to;
    g->nbinds = n;
    return too_many(r, node, n);
}

/* ---- create_more ---- */

const char *const policy_extra_types[] = {
    [DOCKER_EXTRA_STRING] = "string",   [DOCKER_EXTRA_INTEGER] = "integer",
    [DOCKER_EXTRA_BOOLEAN] = "boolean", [DOCKER_EXTRA_STRINGS] = "strings",
    [DOCKER_EXTRA_STRINGS + 1] = NULL,
};

static int read_extra_type(struct policy_reader *r, const config_setting_t *group,
                           enum docker_extra_type *out)
{
    const config_setting_t *node = config_setting_get_member((config_setting_t *)group, "type");
    const char *text = node ? config_setting_get_string(node) : NULL;
    for (unsigned i = 0; text && policy_extra_types[i]; i++) {
        if (strcmp(text, policy_extra_types[i]) == 0) {
            *out = (enum docker_extra_type)i;
            return 0;
        }
    }
    return policy_fail(r, node ? node : group,
                       "type: write \"string\", \"integer\", \"boolean\" or \"strings\"");
}

static int read_extra_max(struct policy_reader *r, const config_setting_t *group,
                          struct docker_extra *e)
{
    const config_setting_t *node = config_setting_get_member((config_setting_t *)group, "max");
    int type = node ? config_setting_type(node) : CONFIG_TYPE_NONE;
    if (e->type != DOCKER_EXTRA_INTEGER) {
        return node ? policy_fail(r, node, "max: only an integer has one") : 0;
    }
    e->max = INT64_MAX;
    if (!node) {
        return 0;
    }
    e->max =
        type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64 ? config_setting_get_int64(node) : -1;
    return e->max >= 0 ? 0 : policy_fail(r, node, "max: write a whole number that is not negative");
}

static int read_extra_values(struct policy_reader *r, const config_setting_t *group,
                             struct docker_extra *e)
{
    const config_setting_t *node = config_setting_get_member((config_setting_t *)group, "values");
    const char *setting = r->setting;
    bool texts = e->type == DOCKER_EXTRA_STRING || e->type == DOCKER_EXTRA_STRINGS;
    if (!node) {
        return 0;
    }
    if (!texts) {
        return policy_fail(r, node, "values: only a string and strings have them");
    }
    const struct docker_policy *base = r->base;
    r->base = NULL; /* its entries are not meant here */
    int rc = policy_words(r, group, "values", NULL, &e->values);
    r->base = base;
    r->setting = setting;
    return rc;
}

static int read_extra(struct policy_reader *r, const config_setting_t *group,
                      struct docker_extra *out)
{
    static const char *const known[] = {"key", "type", "max", "values", NULL};
    char shown[CONFIG_SHOW_MAX];
    struct str key;
    *out = (struct docker_extra){.max = 0};
    if (!config_setting_is_group(group)) {
        return policy_fail(r, group, "write a group: { key = \"StopSignal\"; type = \"string\"; }");
    }
    const config_setting_t *node = config_setting_get_member((config_setting_t *)group, "key");
    if (policy_members(r, group, known) < 0) {
        return -1;
    }
    if (!node) {
        return policy_fail(r, group, "an entry lacks key");
    }
    if (policy_text(r, node, &key) < 0 || read_extra_type(r, group, &out->type) < 0 ||
        read_extra_max(r, group, out) < 0 || read_extra_values(r, group, out) < 0) {
        return -1;
    }
    const char *why = docker_extra_key(key, out->type);
    if (why) {
        return policy_fail(r, node, "%s %s", config_show(shown, key), why);
    }
    out->key = policies_copy(r->all, key);
    return 0;
}

static int read_extras(struct policy_reader *r, const config_setting_t *group,
                       struct docker_grants *g)
{
    const config_setting_t *node = policy_setting(r, group, "create_more");
    struct policy_list list;
    if (!node) {
        return 0;
    }
    if (policy_list_open(r, node, "( { key = \"StopSignal\"; type = \"string\"; } )", &list) < 0) {
        return -1;
    }
    size_t nbase = list.more ? g->nextras : 0, n = nbase;
    struct docker_extra *to = policies_alloc(r->all, (nbase + (size_t)list.n) * sizeof(*to));
    for (size_t i = 0; i < nbase; i++) {
        to[i] = g->extras[i];
    }
    for (int i = list.first; i < list.n; i++) {
        struct docker_extra e;
        size_t at = 0;
        if (read_extra(r, policy_list_at(&list, i), &e) < 0) {
            return -1;
        }
        while (at < n && strcmp(to[at].key, e.key) != 0) {
            at++;
        }
        if (at >= nbase && at < n) {
            return policy_fail(r, policy_list_at(&list, i), "%s is there twice", e.key);
        }
        to[at] = e;
        n = MAX(n, at + 1);
    }
    g->extras = to;
    g->nextras = n;
    return too_many(r, node, n);
}

/* ---- limits ---- */

static int read_memory(struct policy_reader *r, const config_setting_t *group, int64_t *out)
{
    const config_setting_t *node = policy_setting(r, group, "memory_max");
    char buf[64];
    uint64_t bytes = 0;
    if (!node) {
        return 0;
    }
    int type = config_setting_type(node);
    bool form = type == CONFIG_TYPE_STRING || type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
    if (!form || value_parse_size(config_file_text(node, buf), &bytes) != 0 || bytes > INT64_MAX) {
        return policy_fail(r, node, "write a size as in \"512M\" or \"2G\"; \"0\" is none");
    }
    *out = (int64_t)bytes;
    return 0;
}

/* "1.5" to billionths; -1: it has another form. */
static int64_t parse_cpus(struct str text)
{
    int64_t nano = 0;
    int decimals = -1; /* no point yet */
    for (size_t i = 0; i < text.n; i++) {
        bool point = text.p[i] == '.' && decimals < 0 && i > 0 && i + 1 < text.n;
        if ((!point && !docker_digit(text.p[i])) || decimals == 9 || nano > INT64_MAX / 100) {
            return -1;
        }
        nano = point ? nano : 10 * nano + (text.p[i] - '0');
        decimals += point || decimals >= 0;
    }
    for (int i = MAX(decimals, 0); i < 9 && nano >= 0; i++) {
        nano = nano > INT64_MAX / 100 ? -1 : 10 * nano;
    }
    return text.n > 0 ? nano : -1;
}

static int read_cpus(struct policy_reader *r, const config_setting_t *group, int64_t *out)
{
    static const int64_t billion = 1000000000;
    const config_setting_t *node = policy_setting(r, group, "cpus_max");
    int64_t nano = -1;
    if (!node) {
        return 0;
    }
    int type = config_setting_type(node);
    double number = type == CONFIG_TYPE_FLOAT ? config_setting_get_float(node)
                    : type == CONFIG_TYPE_INT ? config_setting_get_int(node)
                                              : -1;
    if (type == CONFIG_TYPE_STRING) {
        nano = parse_cpus(str_of(config_setting_get_string(node)));
    } else if (number >= 0 && number <= POLICY_CPUS_MAX) {
        nano = (int64_t)(number * (double)billion + 0.5);
        nano = nano == 0 && number > 0 ? -1 : nano;
    }
    if (nano != 0 && (nano < billion / 100 || nano > POLICY_CPUS_MAX * billion)) {
        return policy_fail(r, node, "write a number from 0.01 to %d, as in 1.5; 0 is none",
                           POLICY_CPUS_MAX);
    }
    *out = nano;
    return 0;
}

static int read_owner(struct policy_reader *r, const config_setting_t *group, const char **out)
{
    const config_setting_t *node = policy_setting(r, group, "owner");
    struct str text;
    if (!node) {
        return 0;
    }
    if (config_setting_type(node) == CONFIG_TYPE_STRING && !*config_setting_get_string(node)) {
        *out = NULL;
        return 0;
    }
    if (policy_text(r, node, &text) < 0) {
        return -1;
    }
    if (text.n > POLICY_OWNER_MAX || !made_of(text, "_.-")) {
        return policy_fail(r, node, "write at most %d letters, digits, _ . and -, or \"\" for none",
                           POLICY_OWNER_MAX);
    }
    *out = policies_copy(r->all, text);
    return 0;
}

static int read_hide(struct policy_reader *r, const config_setting_t *group, bool *out)
{
    r->setting = NULL; /* the message names it */
    return policy_flag(r, group, "hide_env", out);
}

int policy_read_grants(struct policy_reader *r, const config_setting_t *group,
                       struct docker_grants *g)
{
    const struct {
        const char *name;
        policy_word_check *check;
        struct docker_words *words;
    } lists[] = {
        {"containers", check_name, &g->containers}, {"volumes", check_name, &g->volumes},
        {"images", check_image, &g->images},        {"networks", check_name, &g->networks},
        {"publish", check_address, &g->publish},    {"devices", check_device, &g->devices},
        {"archive", check_folder, &g->archive},
    };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        if (policy_words(r, group, lists[i].name, lists[i].check, lists[i].words) < 0) {
            return -1;
        }
    }
    if (read_commands(r, group, g) < 0 || read_binds(r, group, g) < 0 ||
        read_extras(r, group, g) < 0 || read_memory(r, group, &g->memory_max) < 0 ||
        read_cpus(r, group, &g->nano_cpus_max) < 0 || read_owner(r, group, &g->owner) < 0) {
        return -1;
    }
    return read_hide(r, group, &g->hide_env);
}
