#include "common/config/values.h"
#include "tunnel-client/config.h"

#define UNIX_PREFIX "unix:"

/* One proxy being read, and how to speak about its settings. */
struct context {
    struct tunnel_config *config;
    const struct config_file *file;
    struct config_report *report;
    struct tunnel_proxy *proxy;
};

static int set_text(const struct context *c, const config_setting_t *node, char **to,
                    struct str text)
{
    char where[CONFIG_WHERE_MAX];

    return tunnel_config_set(to, text, config_file_where(c->file, node, where), c->report);
}

static int read_name(const struct context *c, const config_setting_t *node, struct str text)
{
    return set_text(c, node, &c->proxy->name, text);
}

static int read_type(const struct context *c, const config_setting_t *node, struct str text)
{
    return str_eq(text, STR("tcp")) ? 0
                                    : config_file_fail_value(c->file, c->report, node, text,
                                                             "is not supported; write \"tcp\"");
}

static int read_remote_port(const struct context *c, const config_setting_t *node, struct str text)
{
    if (value_parse_port(text, &c->proxy->remote_port) != 0)
        return config_file_fail_value(c->file, c->report, node, text,
                                      "is no port; write a whole number from 1 to 65535");
    return 0;
}

static int read_local(const struct context *c, const config_setting_t *node, struct str text)
{
    static const char remedy[] = "is no place to connect to; write unix:/PATH, HOST:PORT or "
                                 "[IPV6]:PORT";
    const char *colon = text.n ? memrchr(text.p, ':', text.n) : NULL;
    size_t prefix = strlen(UNIX_PREFIX);
    struct str host;

    if (text.n > prefix && memcmp(text.p, UNIX_PREFIX, prefix) == 0)
        return set_text(c, node, &c->proxy->unix_path,
                        (struct str){text.p + prefix, text.n - prefix});
    if (!colon)
        return config_file_fail_value(c->file, c->report, node, text, remedy);
    host = (struct str){text.p, (size_t)(colon - text.p)};
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = (struct str){host.p + 1, host.n - 2};
    else if (memchr(host.p, ':', host.n))
        return config_file_fail_value(c->file, c->report, node, text, remedy);
    if (!value_is_host(host) ||
        value_parse_port((struct str){colon + 1, (size_t)(text.p + text.n - colon - 1)},
                         &c->proxy->local_port) != 0)
        return config_file_fail_value(c->file, c->report, node, text, remedy);
    return set_text(c, node, &c->proxy->local_host, host);
}

static int read_bool(const struct context *c, const config_setting_t *node, struct str text,
                     bool *to)
{
    return value_parse_bool(text, to) == 0
               ? 0
               : config_file_fail_value(c->file, c->report, node, text,
                                        "is neither true nor false; write one of them");
}

static int read_encryption(const struct context *c, const config_setting_t *node, struct str text)
{
    return read_bool(c, node, text, &c->proxy->use_encryption);
}

static int read_compression(const struct context *c, const config_setting_t *node, struct str text)
{
    return read_bool(c, node, text, &c->proxy->use_compression);
}

static const struct {
    const char *name;
    int (*read)(const struct context *c, const config_setting_t *node, struct str text);
} MEMBERS[] = {
    {"name", read_name},
    {"type", read_type},
    {"remote_port", read_remote_port},
    {"local", read_local},
    {"use_encryption", read_encryption},
    {"use_compression", read_compression},
};

static config_setting_t *element(const config_setting_t *list, int i)
{
    return config_setting_get_elem((config_setting_t *)list, (unsigned)i);
}

static int read_proxy(struct context *c, const config_setting_t *group)
{
    char where[CONFIG_WHERE_MAX];

    config_file_where(c->file, group, where);
    if (!config_setting_is_group(group))
        return config_file_fail(c->file, c->report, group,
                                "a proxy is a group: { name = \"...\"; remote_port = ...; }");
    c->proxy = tunnel_config_add_proxy(c->config, where, c->report);
    if (!c->proxy)
        return -1;
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *node = element(group, i);
        char buf[64];
        size_t m = 0;

        while (m < ARRAY_LEN(MEMBERS) && strcmp(MEMBERS[m].name, config_setting_name(node)) != 0)
            m++;
        if (m == ARRAY_LEN(MEMBERS))
            return config_file_fail(c->file, c->report, node,
                                    "unknown setting of a proxy; see --print-config");
        if (config_setting_is_aggregate(node))
            return config_file_fail(c->file, c->report, node,
                                    "write one value here, not a group or a list");
        if (MEMBERS[m].read(c, node, config_file_text(node, buf)) != 0)
            return -1;
    }
    return tunnel_config_check_proxy(c->config, where, c->report);
}

static int read_metas(const struct context *c, const config_setting_t *group)
{
    char where[CONFIG_WHERE_MAX];

    if (!config_setting_is_group(group))
        return config_file_fail(c->file, c->report, group, "write a group: { name = \"text\"; }");
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *node = element(group, i);

        if (config_setting_type(node) != CONFIG_TYPE_STRING)
            return config_file_fail(c->file, c->report, node, "write a string in double quotes");
        if (strcmp(config_setting_name(node), "token") == 0)
            return config_file_fail(c->file, c->report, node, "the token is set with shared_key");
        if (tunnel_config_add_meta(c->config, str_of(config_setting_name(node)),
                                   str_of(config_setting_get_string(node)),
                                   config_file_where(c->file, node, where), c->report) != 0)
            return -1;
    }
    return 0;
}

int tunnel_config_load_lists(struct tunnel_config *config, const struct config_file *file,
                             struct config_report *report)
{
    struct context c = {.config = config, .file = file, .report = report};
    const config_setting_t *metas = config_lookup(&file->tree, "metas");
    const config_setting_t *proxies = config_lookup(&file->tree, "proxies");

    if (metas && read_metas(&c, metas) != 0)
        return -1;
    if (!proxies)
        return 0;
    if (!config_setting_is_list(proxies))
        return config_file_fail(c.file, c.report, proxies,
                                "write a list of groups: ( { ... }, { ... } )");
    for (int i = 0; i < config_setting_length(proxies); i++) {
        if (read_proxy(&c, element(proxies, i)) != 0)
            return -1;
    }
    return 0;
}
