#include "hub/deploy/deploy_request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/config/values.h"
#include "common/docker/reference.h"

enum { NETWORK_MAX = 128, PREFIX_LEN = 7 };

static const char prefix[] = "nc_app_";

static const char *const kinds[] = {
    "exists",         "create", "start",        "stop",
    "wait_for_start", "remove", "image_remove", "install_certificates",
};

const char *deploy_kind_name(enum deploy_kind kind)
{
    return kinds[kind];
}

int deploy_kind_find(struct str name, enum deploy_kind *kind)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (str_eq(name, str_of(kinds[i]))) {
            *kind = (enum deploy_kind)i;
            return 0;
        }
    }
    return -1;
}

/* ---- members ---- */

struct reader {
    const struct json_node *root;
    char *words;
};

static int fail(const struct reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int fail(const struct reader *r, const char *fmt, ...)
{
    static const char begin[] = "Payload validation error: ";
    va_list args;
    memcpy(r->words, begin, sizeof(begin) - 1);
    va_start(args, fmt);
    vsnprintf(r->words + sizeof(begin) - 1, DEPLOY_ERROR_MAX - (sizeof(begin) - 1), fmt, args);
    va_end(args);
    return -1;
}

/* The member, unless it is not there or null: PHP sends both for nothing. */
static const struct json_node *member(const struct json_node *object, const char *key)
{
    const struct json_node *node = json_get(object, key);
    return json_type(node) == JSON_NULL ? NULL : node;
}

static int read_text(const struct reader *r, const struct json_node *object, const char *key,
                     bool required, size_t max, struct str *out)
{
    const struct json_node *node = member(object, key);
    if (!node && !required) {
        return 0;
    }
    if (!node) {
        return fail(r, "%s: Field required", key);
    }
    if (json_str(node, out) < 0) {
        return fail(r, "%s is not a string but: %s", key, json_type_name(node));
    }
    if (out->n > max || memchr(out->p, '\0', out->n)) {
        return fail(r, "%s %s", key, out->n > max ? "is too long" : "has a NUL in it");
    }
    return 0;
}

static int read_flag(const struct reader *r, const char *key, bool *out)
{
    const struct json_node *node = member(r->root, key);
    return !node || json_bool(node, out) == 0
               ? 0
               : fail(r, "%s is not true or false but: %s", key, json_type_name(node));
}

static int read_amount(const struct reader *r, const struct json_node *object, const char *key,
                       int64_t *out)
{
    const struct json_node *node = member(object, key);
    struct str digits;
    if (!node || (json_int(node, out) == 0 && *out >= 0) ||
        (json_str(node, &digits) == 0 && value_parse_int(digits, 0, INT64_MAX, out) == 0)) {
        return 0;
    }
    return fail(r, "resource_limits: %s is no whole number", key);
}

static int read_list(const struct reader *r, const char *key, size_t max,
                     const struct json_node **out)
{
    *out = member(r->root, key);
    if (*out && json_type(*out) != JSON_ARRAY) {
        return fail(r, "%s is not an array but: %s", key, json_type_name(*out));
    }
    if (json_count(*out) > max) {
        return fail(r, "%s has more than %zu entries", key, max);
    }
    return 0;
}

/* ---- names ---- */

static bool name_valid(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (i == 0 || (c != '_' && c != '.' && c != '-'))) {
            return false;
        }
    }
    return s.n > 0;
}

static int read_name(const struct reader *r, const char *key, bool required, struct str *out)
{
    if (read_text(r, r->root, key, required, DEPLOY_NAME_MAX, out) < 0) {
        return -1;
    }
    if ((required || out->n > 0) && !name_valid(*out)) {
        return fail(r, "%s is not made of letters, digits and _ . - after a letter or digit", key);
    }
    return 0;
}

static int read_names(const struct reader *r, struct deploy_request *q)
{
    struct str instance = {"", 0}, role = {"", 0};
    if (read_name(r, "name", true, &q->name) < 0 ||
        read_name(r, "instance_id", false, &instance) < 0 ||
        read_name(r, "role_suffix", false, &role) < 0) {
        return -1;
    }
    size_t marks = (instance.n > 0) + (role.n > 0); /* the _ between them */
    if (PREFIX_LEN + instance.n + q->name.n + role.n + marks > DEPLOY_NAME_MAX) {
        return fail(r, "name, instance_id and role_suffix are too long for a container's name");
    }
    snprintf(q->volume, sizeof(q->volume), "%s%.*s%s%.*s", prefix, STR_ARG(instance),
             instance.n > 0 ? "_" : "", STR_ARG(q->name));
    size_t n = strlen(q->volume); /* it all fits, as was just checked */
    memcpy(q->container, q->volume, n + 1);
    if (role.n > 0) {
        q->container[n] = '_';
        memcpy(q->container + n + 1, role.p, role.n);
        q->container[n + 1 + role.n] = '\0';
    }
    memcpy(q->volume + strlen(q->volume), "_data", sizeof("_data"));
    return 0;
}

/* ---- create ---- */

/* Absolute, without `..`; and not the root in another spelling, as `//` and `/./` are. */
static bool path_valid(struct str p)
{
    bool named = false;
    if (p.n == 0 || p.p[0] != '/') {
        return false;
    }
    for (size_t from = 1, i = 1; i <= p.n; i++) {
        if (i < p.n && p.p[i] != '/') {
            continue;
        }
        struct str segment = {p.p + from, i - from};
        if (str_eq(segment, STR(".."))) {
            return false;
        }
        named = named || (segment.n > 0 && !str_eq(segment, STR(".")));
        from = i + 1;
    }
    return named;
}

static int read_mount(const struct reader *r, const struct json_node *node)
{
    struct str source = {"", 0}, target = {"", 0}, mode = STR("rw");
    if (json_type(node) != JSON_OBJECT) {
        return fail(r, "mount_points: an entry is not an object but: %s", json_type_name(node));
    }
    if (read_text(r, node, "source", true, DEPLOY_PATH_MAX, &source) < 0 ||
        read_text(r, node, "target", true, DEPLOY_PATH_MAX, &target) < 0 ||
        read_text(r, node, "mode", false, 8, &mode) < 0) {
        return -1;
    }
    if (!path_valid(source) || !path_valid(target)) {
        return fail(r,
                    "mount_points: source and target are absolute paths, not / itself, without ..");
    }
    if (!str_eq(mode, STR("ro")) && !str_eq(mode, STR("rw"))) {
        return fail(r, "mount_points: mode is neither ro nor rw");
    }
    return 0;
}

static int read_env(const struct reader *r, const struct json_node *node)
{
    struct str s;
    if (json_str(node, &s) < 0) {
        return fail(r, "environment_variables: an entry is not a string but: %s",
                    json_type_name(node));
    }
    const char *eq = memchr(s.p, '=', s.n);
    if (!eq || eq == s.p || memchr(s.p, '\0', s.n)) {
        return fail(r, "environment_variables: an entry is not NAME=value");
    }
    return 0;
}

static int read_choice(const struct reader *r, const char *key, const char *const *choices,
                       unsigned *at)
{
    struct str text = str_of(choices[0]);
    if (read_text(r, r->root, key, false, DEPLOY_NAME_MAX, &text) < 0) {
        return -1;
    }
    for (*at = 0; choices[*at]; ++*at) {
        if (str_eq(text, str_of(choices[*at]))) {
            return 0;
        }
    }
    return fail(r, "%s is none of those that are known, as %s", key, choices[0]);
}

static int read_lists(const struct reader *r, struct deploy_request *q)
{
    if (read_list(r, "environment_variables", DEPLOY_ENV_MAX, &q->env) < 0 ||
        read_list(r, "mount_points", DEPLOY_MOUNTS_MAX, &q->mounts) < 0) {
        return -1;
    }
    for (const struct json_node *n = json_first(q->env); n; n = json_next(n)) {
        if (read_env(r, n) < 0) {
            return -1;
        }
    }
    for (const struct json_node *n = json_first(q->mounts); n; n = json_next(n)) {
        if (read_mount(r, n) < 0) {
            return -1;
        }
    }
    return 0;
}

static int read_image(const struct reader *r, const char *key, struct str *out)
{
    if (read_text(r, r->root, key, true, DOCKER_REFERENCE_MAX, out) < 0) {
        return -1;
    }
    return docker_image_valid(*out) ? 0 : fail(r, "%s is not an image's name or id", key);
}

static int read_create(const struct reader *r, struct deploy_request *q)
{
    static const char *const restarts[] = {"unless-stopped", "no", "always",
                                           "on-failure",     "",   NULL};
    static const char *const computes[] = {"cpu", "cuda", "rocm", NULL};
    const struct json_node *limits = member(r->root, "resource_limits");
    bool other = !member(r->root, "image_id") && member(r->root, "image");
    unsigned restart, compute;
    q->network = STR("bridge");
    if (read_image(r, other ? "image" : "image_id", &q->image) < 0 ||
        read_text(r, r->root, "network_mode", false, NETWORK_MAX, &q->network) < 0 ||
        read_choice(r, "restart_policy", restarts, &restart) < 0 ||
        read_choice(r, "compute_device", computes, &compute) < 0 || read_lists(r, q) < 0) {
        return -1;
    }
    if (!name_valid(q->network)) {
        return fail(r, "network_mode is not a network's name");
    }
    q->restart = str_of(restarts[restart]);
    q->compute = (enum deploy_compute)compute;
    /* An empty array is how PHP writes an empty object. */
    bool empty = json_type(limits) == JSON_ARRAY && json_count(limits) == 0;
    if (limits && json_type(limits) != JSON_OBJECT && !empty) {
        return fail(r, "resource_limits is not an object but: %s", json_type_name(limits));
    }
    return read_amount(r, limits, "memory", &q->memory) < 0 ||
                   read_amount(r, limits, "nanoCPUs", &q->nano_cpus) < 0
               ? -1
               : 0;
}

/* ---- all of it ---- */

static int read_members(const struct reader *r, struct deploy_request *q)
{
    if (json_type(r->root) != JSON_OBJECT) {
        return fail(r, "it is not an object but: %s", json_type_name(r->root));
    }
    if (q->kind == DEPLOY_IMAGE_REMOVE) {
        return read_image(r, "image_ref", &q->image);
    }
    if (read_names(r, q) < 0) {
        return -1;
    }
    switch (q->kind) {
    case DEPLOY_CREATE:
        return read_create(r, q);
    case DEPLOY_REMOVE:
        return read_flag(r, "remove_data", &q->remove_data);
    case DEPLOY_CERTIFICATES:
        q->frp_certs = true;
        return read_text(r, r->root, "system_certs_bundle", false, JSON_BYTES, &q->bundle) < 0
                   ? -1
                   : read_flag(r, "install_frp_certs", &q->frp_certs);
    default:
        return 0;
    }
}

int deploy_request_read(struct deploy_request *q, enum deploy_kind kind, struct str body,
                        char words[DEPLOY_ERROR_MAX], char why[DEPLOY_ERROR_MAX])
{
    why[0] = '\0';
    *q = (struct deploy_request){.kind = kind};
    q->doc = json_parse(body.p, body.n, NULL, why, DEPLOY_ERROR_MAX);
    if (!q->doc) {
        snprintf(words, DEPLOY_ERROR_MAX, "Invalid JSON body");
        return -1;
    }
    struct reader r = {json_root(q->doc), words};
    if (read_members(&r, q) < 0) {
        deploy_request_free(q);
        return -1;
    }
    return 0;
}

void deploy_request_free(struct deploy_request *q)
{
    json_free(q->doc);
    *q = (struct deploy_request){0};
}

struct str deploy_env(const struct json_node *entry)
{
    struct str s = {"", 0};
    return json_str(entry, &s) < 0 ? (struct str){"", 0} : s;
}

int deploy_env_find(const struct deploy_request *q, const char *key, struct str *value)
{
    size_t n = strlen(key);
    for (const struct json_node *e = json_first(q->env); e; e = json_next(e)) {
        struct str s = deploy_env(e);
        if (s.n > n && memcmp(s.p, key, n) == 0 && s.p[n] == '=') {
            *value = (struct str){s.p + n + 1, s.n - n - 1};
            return 0;
        }
    }
    return -1;
}

struct deploy_mount deploy_mount(const struct json_node *entry)
{
    struct deploy_mount m = {0};
    struct str mode;
    if (json_str(json_get(entry, "source"), &m.source) < 0 ||
        json_str(json_get(entry, "target"), &m.target) < 0) {
        m = (struct deploy_mount){0}; /* not of a checked request */
    }
    m.read_only = json_str(json_get(entry, "mode"), &mode) == 0 && str_eq(mode, STR("ro"));
    return m;
}
