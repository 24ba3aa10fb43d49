#include "tunnel-client/config.h"

#include <stdlib.h>

#include "common/config/key_file.h"
#include "common/config/values.h"
#include "tunnel-client/frpc_toml.h"

#define ROWS_MAX 64
#define UNIX_PATH_MAX_BYTES 107 /* sun_path without its NUL */

int tunnel_config_set(char **to, struct str text, const char *where, struct config_report *report)
{
    char *copy = strndup(text.n ? text.p : "", text.n);

    if (!copy)
        return config_fail(report, "%s: out of memory", where);
    config_wipe_free(*to, *to ? strlen(*to) : 0);
    *to = copy;
    return 0;
}

struct tunnel_proxy *tunnel_config_add_proxy(struct tunnel_config *config, const char *where,
                                             struct config_report *report)
{
    struct tunnel_proxy *grown;
    struct tunnel_proxy *proxy;

    if (config->proxies_n >= TUNNEL_PROXIES_MAX) {
        config_fail(report, "%s: more than %d proxies", where, TUNNEL_PROXIES_MAX);
        return NULL;
    }
    grown = realloc(config->proxies, (config->proxies_n + 1) * sizeof(*grown));
    if (!grown) {
        config_fail(report, "%s: out of memory", where);
        return NULL;
    }
    config->proxies = grown;
    proxy = &grown[config->proxies_n++];
    *proxy = (struct tunnel_proxy){0};
    if (tunnel_config_set(&proxy->name, STR(""), where, report) != 0 ||
        tunnel_config_set(&proxy->unix_path, STR(""), where, report) != 0 ||
        tunnel_config_set(&proxy->local_host, STR(""), where, report) != 0)
        return NULL;
    return proxy;
}

int tunnel_config_check_proxy(struct tunnel_config *config, const char *where,
                              struct config_report *report)
{
    struct tunnel_proxy *proxy = &config->proxies[config->proxies_n - 1];
    char shown[CONFIG_SHOW_MAX];

    if (!*proxy->name)
        return config_fail(report, "%s: a proxy has no name", where);
    if (!value_is_printable(str_of(proxy->name)) || strlen(proxy->name) > TUNNEL_NAME_MAX)
        return config_fail(report, "%s: the name %s must be printable ASCII of at most %d bytes",
                           where, config_show(shown, str_of(proxy->name)), TUNNEL_NAME_MAX);
    config_show(shown, str_of(proxy->name));
    if (!proxy->remote_port)
        return config_fail(report, "%s: the proxy %s has no remote port", where, shown);
    if (*proxy->unix_path &&
        (*proxy->unix_path != '/' || strlen(proxy->unix_path) > UNIX_PATH_MAX_BYTES))
        return config_fail(report,
                           "%s: the unix socket of the proxy %s must be a path from / on, of at "
                           "most %d bytes",
                           where, shown, UNIX_PATH_MAX_BYTES);
    if (!*proxy->unix_path && (!*proxy->local_host || !proxy->local_port))
        return config_fail(report, "%s: the proxy %s has no local unix socket or port", where,
                           shown);
    for (size_t i = 0; i + 1 < config->proxies_n; i++) {
        if (strcmp(config->proxies[i].name, proxy->name) == 0)
            return config_fail(report, "%s: there are two proxies with the name %s", where, shown);
        if (config->proxies[i].remote_port == proxy->remote_port)
            return config_fail(report, "%s: there are two proxies with the remote port %u", where,
                               (unsigned)proxy->remote_port);
    }
    return 0;
}

int tunnel_config_apply_user(struct tunnel_config *config, const char *where,
                             struct config_report *report)
{
    char name[2 * TUNNEL_NAME_MAX + 2];

    if (!*config->user)
        return 0;
    if (strlen(config->user) > TUNNEL_USER_MAX || !value_is_printable(str_of(config->user)))
        return config_fail(report, "%s: must be printable ASCII of at most %d bytes", where,
                           TUNNEL_USER_MAX);
    for (size_t i = 0; i < config->proxies_n; i++) {
        snprintf(name, sizeof(name), "%s.%s", config->user, config->proxies[i].name);
        if (tunnel_config_set(&config->proxies[i].name, str_of(name), where, report) != 0)
            return -1;
    }
    return 0;
}

int tunnel_config_add_meta(struct tunnel_config *config, struct str name, struct str value,
                           const char *where, struct config_report *report)
{
    struct tunnel_meta *meta = &config->metas[config->metas_n];

    if (str_eq(name, STR("token")))
        return tunnel_config_set(&config->shared_key, value, where, report);
    if (config->metas_n >= TUNNEL_METAS_MAX)
        return config_fail(report, "%s: more than %d metas", where, TUNNEL_METAS_MAX);
    config->metas_n++;
    *meta = (struct tunnel_meta){0};
    if (tunnel_config_set(&meta->name, name, where, report) != 0)
        return -1;
    return tunnel_config_set(&meta->value, value, where, report);
}

/* What the checks after loading tunnel.cfg need to name a setting as the user wrote it. */
struct check {
    struct tunnel_config *config;
    const struct config_file *file;
    struct setting_origin origins[ROWS_MAX];
    struct config_report *report;
};

static const char *where_of(const struct check *c, const char *name, char *buf)
{
    return settings_where(&tunnel_settings_table, name, c->origins, c->file, buf);
}

static bool is_default(const struct check *c, const char *name)
{
    return c->origins[settings_find(&tunnel_settings_table, name)].source == SETTING_FROM_DEFAULT;
}

static int check_shared_key(const struct check *c)
{
    struct tunnel_config *t = c->config;
    char key[CONFIG_WHERE_MAX], file[CONFIG_WHERE_MAX];

    where_of(c, "shared_key_file", file);
    if (*t->shared_key && *t->shared_key_file)
        return config_fail(c->report, "%s: set together with %s; keep one of them",
                           where_of(c, "shared_key", key), file);
    if (!*t->shared_key_file)
        return 0;
    return key_file_read(file, t->shared_key_file, &t->shared_key, c->report);
}

/* The proxy that APP_ID and APP_PORT describe. */
static int add_app(const struct check *c)
{
    struct tunnel_config *t = c->config;
    char id[CONFIG_WHERE_MAX], port[CONFIG_WHERE_MAX];
    struct tunnel_proxy *proxy;

    where_of(c, "app_id", id);
    where_of(c, "app_port", port);
    if (!*t->app_id && !t->app_port)
        return 0;
    if (!*t->app_id || !t->app_port)
        return config_fail(c->report, "%s: set without %s; both are needed", *t->app_id ? id : port,
                           *t->app_id ? port : id);
    proxy = tunnel_config_add_proxy(t, id, c->report);
    if (!proxy || tunnel_config_set(&proxy->name, str_of(t->app_id), id, c->report) != 0 ||
        tunnel_config_set(&proxy->unix_path, str_of(t->app_socket), id, c->report) != 0)
        return -1;
    proxy->remote_port = (uint16_t)t->app_port;
    return tunnel_config_check_proxy(t, id, c->report);
}

static int check_tls(const struct check *c)
{
    struct tunnel_config *t = c->config;
    char cert[CONFIG_WHERE_MAX], key[CONFIG_WHERE_MAX], ca[CONFIG_WHERE_MAX];

    if (!t->tls_enable)
        return 0;
    if (!*t->tls_cert_file != !*t->tls_key_file)
        return config_fail(c->report, "%s: set without %s; both or none are needed",
                           where_of(c, *t->tls_cert_file ? "tls_cert_file" : "tls_key_file", cert),
                           where_of(c, *t->tls_cert_file ? "tls_key_file" : "tls_cert_file", key));
    if (!*t->tls_ca_file)
        config_warn(c->report, "%s: empty, so the server's certificate is not checked",
                    where_of(c, "tls_ca_file", ca));
    return *t->tls_server_name ? 0
                               : tunnel_config_set(&t->tls_server_name, str_of(t->server_address),
                                                   "tls_server_name", c->report);
}

static int check_status_socket(const struct tunnel_config *config, const char *where,
                               struct config_report *report)
{
    return config->status_socket.kind != LISTEN_TCP
               ? 0
               : config_fail(report, "%s: not a unix socket; write unix:/PATH, or off", where);
}

static int check_all(const struct check *c)
{
    struct tunnel_config *t = c->config;
    char where[CONFIG_WHERE_MAX], shown[CONFIG_SHOW_MAX];

    where_of(c, "server_address", where);
    if (!*t->server_address)
        return config_fail(c->report, "%s: not set; set it to the hub's name or IP address", where);
    if (!value_is_host(str_of(t->server_address)))
        return config_fail(c->report,
                           "%s: %s is no host; write a name or an IP address, without port and "
                           "brackets",
                           where, config_show(shown, str_of(t->server_address)));
    if (check_status_socket(t, where_of(c, "status_socket", where), c->report) != 0)
        return -1;
    if (t->reconnect_max < t->reconnect_min)
        return config_fail(c->report, "%s: shorter than reconnect_min; make one of the two fit",
                           where_of(c, "reconnect_max", where));
    if (t->tcp_mux && is_default(c, "heartbeat_interval"))
        t->heartbeat_interval = 0;
    if (t->tcp_mux && is_default(c, "heartbeat_timeout"))
        t->heartbeat_timeout = 0;
    if (check_shared_key(c) != 0 || check_tls(c) != 0 || add_app(c) != 0)
        return -1;
    if (t->proxies_n == 0)
        return config_fail(c->report,
                           "proxies: there are none; list one in the file, or set APP_ID "
                           "and APP_PORT");
    return tunnel_config_apply_user(t, where_of(c, "user", where), c->report);
}

static int load_cfg(struct tunnel_config *config, const char *path, char *const *env,
                    struct config_report *report)
{
    struct config_file opened;
    struct check check = {.config = config, .report = report};
    int rc = -1;

    if (tunnel_settings_table.n > ROWS_MAX)
        return config_fail(report, "more settings than expected");
    if (path) {
        if (config_file_open(&opened, path, report) != 0)
            return -1;
        check.file = &opened;
    }
    if (settings_load(&tunnel_settings_table, config, check.file, env, check.origins, report) ==
            0 &&
        (!check.file || tunnel_config_load_lists(config, check.file, report) == 0) &&
        check_all(&check) == 0)
        rc = 0;
    if (check.file)
        config_file_close(&opened);
    return rc;
}

static bool has_ending(const char *path, const char *ending)
{
    size_t n = strlen(path);
    size_t e = strlen(ending);

    return n >= e && strcasecmp(path + n - e, ending) == 0;
}

int tunnel_config_load_socket(struct tunnel_config *config, char *const *env,
                              struct config_report *report)
{
    struct str text = settings_env(env, "HP_STATUS_SOCKET");

    if (!text.p)
        text = STR(TUNNEL_STATUS_DEFAULT);
    if (listen_parse(text, &config->status_socket) != 0)
        return config_fail(report, "HP_STATUS_SOCKET: write unix:/PATH, or off");
    return check_status_socket(config, "HP_STATUS_SOCKET", report);
}

/* frpc's file does not know this setting of ours. */
static int load_toml(struct tunnel_config *config, const char *path, char *const *env,
                     struct config_report *report)
{
    return frpc_toml_load(config, path, env, report) == 0
               ? tunnel_config_load_socket(config, env, report)
               : -1;
}

int tunnel_config_load(struct tunnel_config *config, const char *path, char *const *env,
                       struct config_report *report)
{
    static const char *const others[] = {".ini", ".yaml", ".yml", ".json"};
    int rc;

    *config = (struct tunnel_config){0};
    if (path && !*path)
        path = NULL;
    for (size_t i = 0; path && i < ARRAY_LEN(others); i++) {
        if (has_ending(path, others[i]))
            return config_fail(
                report, "%s: of frpc's files only TOML is read; write it as a .toml file", path);
    }
    rc = path && has_ending(path, ".toml") ? load_toml(config, path, env, report)
                                           : load_cfg(config, path, env, report);
    if (rc != 0)
        tunnel_config_free(config);
    return rc;
}

void tunnel_config_free(struct tunnel_config *config)
{
    for (size_t i = 0; i < config->proxies_n; i++) {
        free(config->proxies[i].name);
        free(config->proxies[i].unix_path);
        free(config->proxies[i].local_host);
    }
    for (size_t i = 0; i < config->metas_n; i++) {
        struct tunnel_meta *meta = &config->metas[i];

        free(meta->name);
        config_wipe_free(meta->value, meta->value ? strlen(meta->value) : 0);
    }
    free(config->proxies);
    settings_free(&tunnel_settings_table, config);
    *config = (struct tunnel_config){0};
}

const char *tunnel_proxy_target(const struct tunnel_proxy *p, char buf[TUNNEL_TARGET_MAX])
{
    bool ipv6 = strchr(p->local_host, ':') != NULL;

    if (*p->unix_path)
        snprintf(buf, TUNNEL_TARGET_MAX, "unix:%s", p->unix_path);
    else
        snprintf(buf, TUNNEL_TARGET_MAX, "%s%s%s:%u", ipv6 ? "[" : "", p->local_host,
                 ipv6 ? "]" : "", (unsigned)p->local_port);
    return buf;
}

bool tunnel_proxy_equal(const struct tunnel_proxy *a, const struct tunnel_proxy *b)
{
    return strcmp(a->name, b->name) == 0 && a->remote_port == b->remote_port &&
           strcmp(a->unix_path, b->unix_path) == 0 && strcmp(a->local_host, b->local_host) == 0 &&
           a->local_port == b->local_port && a->use_encryption == b->use_encryption &&
           a->use_compression == b->use_compression;
}
