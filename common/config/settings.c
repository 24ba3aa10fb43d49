#include "common/config/settings.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/config/values.h"

#define STRING_MAX 4096

/* What it takes to read one value and to say what is wrong with it. */
struct reading {
    const struct setting *row;
    const char *where;
    struct config_report *report;
};

static void *field(const struct setting *row, void *out)
{
    return (char *)out + row->offset;
}

struct str settings_env(char *const *env, const char *name)
{
    size_t n = strlen(name);

    for (; env && *env; env++) {
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=') {
            struct str value = value_unquote(str_of(*env + n + 1));

            return value.n ? value : (struct str){NULL, 0};
        }
    }
    return (struct str){NULL, 0};
}

size_t settings_find(const struct settings *settings, const char *name)
{
    size_t i = 0;

    while (i < settings->n && (settings->table[i].type == SETTING_HEADING ||
                               strcmp(settings->table[i].name, name) != 0))
        i++;
    return i;
}

const char *settings_where(const struct settings *settings, const char *name,
                           const struct setting_origin *origins, const struct config_file *file,
                           char *buf)
{
    size_t i = settings_find(settings, name);
    const char *env = i < settings->n ? settings->table[i].env : NULL;

    if (i < settings->n && origins[i].source == SETTING_FROM_FILE && file)
        snprintf(buf, CONFIG_WHERE_MAX, "%s:%d: %s", file->path, origins[i].line, name);
    else
        snprintf(buf, CONFIG_WHERE_MAX, "%s", env ? env : name);
    return buf;
}

/* The end of the line: "'x' WHAT; write REMEDY". */
static int wrong(const struct reading *r, struct str value, const char *what, const char *remedy)
{
    char shown[CONFIG_SHOW_MAX];

    return config_fail(r->report, "%s: %s %s; write %s", r->where, config_show(shown, value), what,
                       remedy);
}

static int set_string(const struct reading *r, struct str value, void *out)
{
    size_t max = r->row->max ? (size_t)r->row->max : STRING_MAX;
    char **to = field(r->row, out);
    char shown[CONFIG_SHOW_MAX];
    char *copy;

    for (size_t i = 0; i < value.n; i++) {
        if ((unsigned char)value.p[i] < 0x20 || value.p[i] == 0x7F)
            return wrong(r, value, "has a control character in it", "it without");
    }
    if (value.n > max || value.n < (size_t)r->row->min)
        return config_fail(r->report, "%s: %s is too %s; write %zu to %zu bytes", r->where,
                           config_show(shown, value), value.n > max ? "long" : "short",
                           (size_t)r->row->min, max);
    copy = strndup(value.n ? value.p : "", value.n);
    if (!copy)
        return config_fail(r->report, "%s: out of memory", r->where);
    free(*to);
    *to = copy;
    return 0;
}

static int set_secret(const struct reading *r, struct str value, void *out)
{
    const char *problem = value.n ? value_check_key(value) : NULL;
    char **to = field(r->row, out);
    char *copy;

    if (problem)
        return config_fail(r->report,
                           "%s: the value (not shown) %s; use printable ASCII without double quote "
                           "and backslash",
                           r->where, problem);
    if (value.n > STRING_MAX)
        return config_fail(r->report, "%s: the value (not shown) is longer than %d bytes", r->where,
                           STRING_MAX);
    copy = strndup(value.n ? value.p : "", value.n);
    if (!copy)
        return config_fail(r->report, "%s: out of memory", r->where);
    config_wipe_free(*to, *to ? strlen(*to) : 0);
    *to = copy;
    return 0;
}

static int set_bool(const struct reading *r, struct str value, void *out)
{
    if (value_parse_bool(value, field(r->row, out)) != 0)
        return wrong(r, value, "is neither true nor false", "true or false");
    return 0;
}

static int set_int(const struct reading *r, struct str value, void *out)
{
    int rc = value_parse_int(value, r->row->min, r->row->max, field(r->row, out));
    char remedy[96];

    snprintf(remedy, sizeof(remedy), "a whole number from %" PRId64 " to %" PRId64, r->row->min,
             r->row->max);
    if (rc != 0)
        return wrong(r, value, rc == VALUE_RANGE ? "is out of range" : "is not a whole number",
                     remedy);
    return 0;
}

static int set_size(const struct reading *r, struct str value, void *out)
{
    char min[VALUE_SIZE_TEXT_MAX], max[VALUE_SIZE_TEXT_MAX];
    char remedy[128];
    uint64_t bytes;
    int rc = value_parse_size(value, &bytes);

    if (rc == 0 && (bytes < (uint64_t)r->row->min || bytes > (uint64_t)r->row->max))
        rc = VALUE_RANGE;
    if (rc != 0) {
        snprintf(remedy, sizeof(remedy),
                 "a number of bytes from %s to %s, with K, M or G if wanted",
                 value_format_size((uint64_t)r->row->min, min),
                 value_format_size((uint64_t)r->row->max, max));
        return wrong(r, value, rc == VALUE_RANGE ? "is out of range" : "is not a size", remedy);
    }
    *(uint64_t *)field(r->row, out) = bytes;
    return 0;
}

static int set_duration(const struct reading *r, struct str value, void *out)
{
    char min[VALUE_DURATION_TEXT_MAX], max[VALUE_DURATION_TEXT_MAX];
    char remedy[128];
    uint64_t ms;
    int rc = value_parse_duration(value, &ms);

    /* For HaRP, and HAProxy in it, such a number means milliseconds, for everybody else seconds. */
    if (rc == 0 && r->row->type == SETTING_TIMEOUT && ms != 0 &&
        isdigit((unsigned char)value.p[value.n - 1]))
        return wrong(r, value, "has no unit", "the number with us, ms, s, m, h or d, as in 30s");
    if (rc == 0 && (ms < (uint64_t)r->row->min || ms > (uint64_t)r->row->max))
        rc = VALUE_RANGE;
    if (rc == VALUE_BAD)
        return wrong(r, value, "is not a duration",
                     "a number with us, ms, s, m, h or d, as in 30s");
    if (rc != 0) {
        snprintf(remedy, sizeof(remedy), "a duration from %s to %s",
                 value_format_duration((uint64_t)r->row->min, min),
                 value_format_duration((uint64_t)r->row->max, max));
        return wrong(r, value, "is out of range", remedy);
    }
    *(uint64_t *)field(r->row, out) = ms;
    return 0;
}

static int set_choice(const struct reading *r, struct str value, void *out)
{
    char remedy[192] = "one of ";
    size_t used = strlen(remedy);

    for (int i = 0; r->row->choices[i]; i++) {
        if (str_eq_nocase(value, str_of(r->row->choices[i]))) {
            *(int *)field(r->row, out) = i;
            return 0;
        }
        used += (size_t)snprintf(remedy + used, sizeof(remedy) - used, "%s%s", i ? ", " : "",
                                 r->row->choices[i]);
        used = MIN(used, sizeof(remedy) - 1);
    }
    return wrong(r, value, "is not known", remedy);
}

static int set_listen(const struct reading *r, struct str value, void *out)
{
    bool may_be_off = r->row->max == 1;
    struct listen_addr addr;
    const char *why = NULL;
    char shown[CONFIG_SHOW_MAX];

    if ((listen_parse(value, &addr) != 0 &&
         (r->row->min != 1 || (listen_lookup(value, &addr, &why) != 0 && !why))) ||
        (!why && addr.kind == LISTEN_OFF && !may_be_off))
        return wrong(r, value, "is no address to listen on",
                     may_be_off ? "ADDRESS:PORT, [IPV6]:PORT, unix:/PATH or off"
                                : "ADDRESS:PORT, [IPV6]:PORT or unix:/PATH");
    if (why)
        return config_fail(r->report,
                           "%s: the name in %s could not be looked up: %s; write an IP address",
                           r->where, config_show(shown, value), why);
    *(struct listen_addr *)field(r->row, out) = addr;
    return 0;
}

static void warn_bad_address(void *arg, struct str entry)
{
    const struct reading *r = arg;
    char shown[CONFIG_SHOW_MAX];

    config_warn(r->report,
                "%s: %s is neither an IP address nor a network like 10.0.0.0/8; this entry is "
                "left out",
                r->where, config_show(shown, entry));
}

static int set_addresses(const struct reading *r, struct str value, void *out)
{
    struct ip_set set = {0};

    if (ip_set_parse(&set, value, warn_bad_address, (void *)r) != 0) {
        ip_set_free(&set);
        return config_fail(r->report, "%s: more than %d addresses; write networks", r->where,
                           IP_SET_MAX);
    }
    ip_set_free(field(r->row, out));
    *(struct ip_set *)field(r->row, out) = set;
    return 0;
}

static int set_value(const struct setting *row, const char *where, struct str value, void *out,
                     struct config_report *report)
{
    static int (*const set[])(const struct reading *, struct str, void *) = {
        [SETTING_STRING] = set_string,    [SETTING_SECRET] = set_secret,
        [SETTING_BOOL] = set_bool,        [SETTING_INT] = set_int,
        [SETTING_SIZE] = set_size,        [SETTING_DURATION] = set_duration,
        [SETTING_TIMEOUT] = set_duration, [SETTING_CHOICE] = set_choice,
        [SETTING_LISTEN] = set_listen,    [SETTING_ADDRESSES] = set_addresses,
    };
    struct reading r = {row, where, report};

    return set[row->type](&r, value_unquote(value), out);
}

/* An array or a list of strings in the file is the same as the strings with commas between. */
static int set_from_list(const struct setting *row, const char *where, const config_setting_t *node,
                         void *out, struct config_report *report)
{
    int n = config_setting_length(node);
    size_t size = 1;
    char *joined;
    size_t used = 0;
    int rc;

    for (int i = 0; i < n; i++) {
        const char *z = config_setting_get_string_elem(node, i);

        if (!z)
            return config_fail(report, "%s: write addresses as strings, in double quotes", where);
        size += strlen(z) + 1;
    }
    joined = malloc(size);
    if (!joined)
        return config_fail(report, "%s: out of memory", where);
    joined[0] = '\0';
    for (int i = 0; i < n; i++)
        used += (size_t)snprintf(joined + used, size - used, "%s,",
                                 config_setting_get_string_elem(node, i));
    rc = set_value(row, where, (struct str){joined, used}, out, report);
    free(joined);
    return rc;
}

static int set_from_file(const struct setting *row, const char *where, const config_setting_t *node,
                         void *out, struct config_report *report)
{
    char buf[64];
    struct str text;

    if (config_setting_is_aggregate(node)) {
        if (row->type == SETTING_ADDRESSES && !config_setting_is_group(node))
            return set_from_list(row, where, node, out, report);
        return config_fail(report, "%s: write one value here, not a group or a list", where);
    }
    text = config_file_text(node, buf);
    return set_value(row, where, text, out, report);
}

static int unknown_setting(const struct settings *settings, const char *name, const char *where,
                           struct config_report *report)
{
    for (size_t i = 0; i < settings->n; i++) {
        const struct setting *row = &settings->table[i];

        if (row->type != SETTING_HEADING &&
            (strcasecmp(name, row->name) == 0 || (row->env && strcasecmp(name, row->env) == 0)))
            return config_fail(report, "%s: unknown setting; in this file it is called %s", where,
                               row->name);
    }
    return config_fail(report, "%s: unknown setting; --print-config lists those there are", where);
}

static int load_file(const struct settings *settings, void *out, const struct config_file *file,
                     const config_setting_t *root, struct setting_origin *origins,
                     struct config_report *report)
{
    char where[CONFIG_WHERE_MAX];

    for (int i = 0; i < config_setting_length(root); i++) {
        const config_setting_t *node =
            config_setting_get_elem((config_setting_t *)root, (unsigned)i);
        const char *name = config_setting_name(node);
        const char *const *nested = settings->nested;
        size_t row = settings_find(settings, name);

        config_file_where(file, node, where);
        while (nested && *nested && strcmp(*nested, name) != 0)
            nested++;
        if (nested && *nested)
            continue;
        if (row == settings->n)
            return unknown_setting(settings, name, where, report);
        if (set_from_file(&settings->table[row], where, node, out, report) != 0)
            return -1;
        if (origins) {
            origins[row].source = SETTING_FROM_FILE;
            origins[row].line = (int)config_setting_source_line(node);
        }
    }
    return 0;
}

static int load_all(const struct settings *settings, void *out, const struct config_file *file,
                    const config_setting_t *root, char *const *env, struct setting_origin *origins,
                    struct config_report *report)
{
    for (size_t i = 0; i < settings->n; i++) {
        const struct setting *row = &settings->table[i];

        if (origins)
            origins[i] = (struct setting_origin){SETTING_FROM_DEFAULT, 0};
        if (row->type != SETTING_HEADING &&
            set_value(row, row->name, str_of(row->def), out, report) != 0)
            return -1;
    }
    if (root && load_file(settings, out, file, root, origins, report) != 0)
        return -1;
    for (size_t i = 0; i < settings->n; i++) {
        const struct setting *row = &settings->table[i];
        struct str value = {NULL, 0};

        if (row->type != SETTING_HEADING && row->env)
            value = settings_env(env, row->env);
        if (!value.p)
            continue;
        if (set_value(row, row->env, value, out, report) != 0)
            return -1;
        if (origins)
            origins[i] = (struct setting_origin){SETTING_FROM_ENV, 0};
    }
    return 0;
}

int settings_load(const struct settings *settings, void *out, const struct config_file *file,
                  char *const *env, struct setting_origin *origins, struct config_report *report)
{
    const config_setting_t *root = file ? config_root_setting(&file->tree) : NULL;
    int rc = load_all(settings, out, file, root, env, origins, report);

    if (rc != 0)
        settings_free(settings, out);
    return rc;
}

int settings_load_group(const struct settings *settings, void *out, const struct config_file *file,
                        const config_setting_t *group, struct config_report *report)
{
    int rc = config_setting_is_group(group)
                 ? load_all(settings, out, file, group, NULL, NULL, report)
                 : config_file_fail(file, report, group, "write a group here, in { }");

    if (rc != 0)
        settings_free(settings, out);
    return rc;
}

void settings_free(const struct settings *settings, void *out)
{
    for (size_t i = 0; i < settings->n; i++) {
        const struct setting *row = &settings->table[i];
        char **z = field(row, out);

        if (row->type == SETTING_SECRET && *z)
            explicit_bzero(*z, strlen(*z));
        if (row->type == SETTING_SECRET || row->type == SETTING_STRING) {
            free(*z);
            *z = NULL;
        } else if (row->type == SETTING_ADDRESSES) {
            ip_set_free(field(row, out));
        }
    }
}
