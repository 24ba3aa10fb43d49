#include "tunnel-client/frpc_toml.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/config/values.h"
#include "tunnel-client/toml.h"

#define PATH_TEXT_MAX 256
#define DEFAULT_PORT 7000
#define SECONDS_MAX (365LL * 24 * 3600)
#define HEARTBEAT_NOT_SET UINT64_MAX

enum kind {
    STRING,      /* char * */
    BOOLEAN,     /* bool */
    NUMBER,      /* int64_t, min..max */
    PORT,        /* uint16_t */
    SECONDS,     /* uint64_t milliseconds; 0 means frpc's default and changes nothing */
    SECONDS_OFF, /* the same, and a negative number means 0: off */
    ONLY,        /* a string that must be the one that `only` says */
    LEVEL,       /* log.level */
    TARGET,      /* log.to */
    METAS,       /* a table of strings */
    PROXIES,     /* the array of proxies */
    NO_EFFECT,   /* read by frpc, of no meaning here */
    UNSUPPORTED, /* known to frpc; members of such a table likewise */
};

struct row {
    const char *path;
    enum kind kind;
    size_t offset;
    const char *only;
    int64_t min, max;
};

#define IN_CONFIG(field) offsetof(struct tunnel_config, field)
#define IN_PROXY(field) offsetof(struct proxy_reading, field)

/* A proxy and what is only of use while reading it. */
struct proxy_reading {
    struct tunnel_proxy proxy;
    char *plugin_type;
    bool enabled;
};

static const struct row CONFIG_ROWS[] = {
    {.path = "serverAddr", .kind = STRING, .offset = IN_CONFIG(server_address)},
    {.path = "serverPort",
     .kind = NUMBER,
     .offset = IN_CONFIG(server_port),
     .min = 1,
     .max = 65535},
    {.path = "user", .kind = STRING, .offset = IN_CONFIG(user)},
    {.path = "loginFailExit", .kind = BOOLEAN, .offset = IN_CONFIG(login_fail_exit)},
    {.path = "auth.method", .kind = ONLY, .only = "token"},
    {.path = "auth.token", .kind = STRING, .offset = IN_CONFIG(auth_token)},
    {.path = "log.level", .kind = LEVEL},
    {.path = "log.to", .kind = TARGET},
    {.path = "log.maxDays", .kind = NO_EFFECT},
    {.path = "log.disablePrintColor", .kind = NO_EFFECT},
    {.path = "transport.protocol", .kind = ONLY, .only = "tcp"},
    {.path = "transport.wireProtocol", .kind = ONLY, .only = "v1"},
    {.path = "transport.tcpMux", .kind = BOOLEAN, .offset = IN_CONFIG(tcp_mux)},
    {.path = "transport.tcpMuxKeepaliveInterval",
     .kind = SECONDS,
     .offset = IN_CONFIG(tcp_mux_keepalive)},
    {.path = "transport.poolCount",
     .kind = NUMBER,
     .offset = IN_CONFIG(pool_count),
     .min = 0,
     .max = 1000},
    {.path = "transport.heartbeatInterval",
     .kind = SECONDS_OFF,
     .offset = IN_CONFIG(heartbeat_interval)},
    {.path = "transport.heartbeatTimeout",
     .kind = SECONDS_OFF,
     .offset = IN_CONFIG(heartbeat_timeout)},
    {.path = "transport.dialServerTimeout", .kind = SECONDS, .offset = IN_CONFIG(dial_timeout)},
    {.path = "transport.tls.enable", .kind = BOOLEAN, .offset = IN_CONFIG(tls_enable)},
    {.path = "transport.tls.certFile", .kind = STRING, .offset = IN_CONFIG(tls_cert_file)},
    {.path = "transport.tls.keyFile", .kind = STRING, .offset = IN_CONFIG(tls_key_file)},
    {.path = "transport.tls.trustedCaFile", .kind = STRING, .offset = IN_CONFIG(tls_ca_file)},
    {.path = "transport.tls.serverName", .kind = STRING, .offset = IN_CONFIG(tls_server_name)},
    /* Servers since frp 0.25 take the handshake without the extra byte. */
    {.path = "transport.tls.disableCustomTLSFirstByte", .kind = NO_EFFECT},
    {.path = "metadatas", .kind = METAS},
    {.path = "proxies", .kind = PROXIES},
    /* For UDP and peer-to-peer proxies, which are refused themselves. */
    {.path = "udpPacketSize", .kind = NO_EFFECT},
    {.path = "natHoleStunServer", .kind = NO_EFFECT},
    {.path = "auth.additionalScopes", .kind = UNSUPPORTED},
    {.path = "auth.oidc", .kind = UNSUPPORTED},
    {.path = "auth.tokenSource", .kind = UNSUPPORTED},
    {.path = "clientID", .kind = UNSUPPORTED},
    {.path = "dnsServer", .kind = UNSUPPORTED},
    {.path = "featureGates", .kind = UNSUPPORTED},
    {.path = "includes", .kind = UNSUPPORTED},
    {.path = "start", .kind = UNSUPPORTED},
    {.path = "store", .kind = UNSUPPORTED},
    {.path = "transport.connectServerLocalIP", .kind = UNSUPPORTED},
    {.path = "transport.dialServerKeepalive", .kind = UNSUPPORTED},
    {.path = "transport.proxyURL", .kind = UNSUPPORTED},
    {.path = "transport.quic", .kind = UNSUPPORTED},
    {.path = "virtualNet", .kind = UNSUPPORTED},
    {.path = "visitors", .kind = UNSUPPORTED},
    {.path = "webServer", .kind = UNSUPPORTED},
    {0},
};

static const struct row PROXY_ROWS[] = {
    {.path = "proxies.name", .kind = STRING, .offset = IN_PROXY(proxy.name)},
    {.path = "proxies.type", .kind = ONLY, .only = "tcp"},
    {.path = "proxies.enabled", .kind = BOOLEAN, .offset = IN_PROXY(enabled)},
    {.path = "proxies.localIP", .kind = STRING, .offset = IN_PROXY(proxy.local_host)},
    {.path = "proxies.localPort", .kind = PORT, .offset = IN_PROXY(proxy.local_port)},
    {.path = "proxies.remotePort", .kind = PORT, .offset = IN_PROXY(proxy.remote_port)},
    {.path = "proxies.transport.useEncryption",
     .kind = BOOLEAN,
     .offset = IN_PROXY(proxy.use_encryption)},
    {.path = "proxies.transport.useCompression",
     .kind = BOOLEAN,
     .offset = IN_PROXY(proxy.use_compression)},
    {.path = "proxies.plugin.type", .kind = STRING, .offset = IN_PROXY(plugin_type)},
    {.path = "proxies.plugin.unixPath", .kind = STRING, .offset = IN_PROXY(proxy.unix_path)},
    {.path = "proxies.annotations", .kind = UNSUPPORTED},
    {.path = "proxies.metadatas", .kind = UNSUPPORTED},
    {.path = "proxies.loadBalancer", .kind = UNSUPPORTED},
    {.path = "proxies.healthCheck", .kind = UNSUPPORTED},
    {.path = "proxies.transport.bandwidthLimit", .kind = UNSUPPORTED},
    {.path = "proxies.transport.bandwidthLimitMode", .kind = UNSUPPORTED},
    {.path = "proxies.transport.proxyProtocolVersion", .kind = UNSUPPORTED},
    {.path = "proxies.customDomains", .kind = UNSUPPORTED},
    {.path = "proxies.subdomain", .kind = UNSUPPORTED},
    {.path = "proxies.locations", .kind = UNSUPPORTED},
    {.path = "proxies.httpUser", .kind = UNSUPPORTED},
    {.path = "proxies.httpPassword", .kind = UNSUPPORTED},
    {.path = "proxies.hostHeaderRewrite", .kind = UNSUPPORTED},
    {.path = "proxies.requestHeaders", .kind = UNSUPPORTED},
    {.path = "proxies.responseHeaders", .kind = UNSUPPORTED},
    {.path = "proxies.routeByHTTPUser", .kind = UNSUPPORTED},
    {.path = "proxies.multiplexer", .kind = UNSUPPORTED},
    {.path = "proxies.secretKey", .kind = UNSUPPORTED},
    {.path = "proxies.allowUsers", .kind = UNSUPPORTED},
    {.path = "proxies.natTraversal", .kind = UNSUPPORTED},
    {.path = "proxies.plugin.localAddr", .kind = UNSUPPORTED},
    {.path = "proxies.plugin.localPath", .kind = UNSUPPORTED},
    {.path = "proxies.plugin.httpUser", .kind = UNSUPPORTED},
    {.path = "proxies.plugin.httpPassword", .kind = UNSUPPORTED},
    {0},
};

struct reader {
    struct tunnel_config *config;
    const char *name;
    struct config_report *report;
};

/* A key being read: its row's field and how it is called in errors. */
struct item {
    const struct row *row;
    const struct toml_node *node;
    const char *path;
    void *field;
};

static int fail_item(const struct reader *r, const struct item *item, const char *problem)
{
    return config_fail(r->report, "%s:%d: %s: %s", r->name, item->node->line, item->path, problem);
}

static int read_string(const struct reader *r, const struct item *item)
{
    struct str text = str_of(item->node->string);
    char where[CONFIG_WHERE_MAX];

    if (item->node->type != TOML_STRING)
        return fail_item(r, item, "write a text in double quotes");
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7F)
            return fail_item(r, item, "the text has a control character in it");
    }
    snprintf(where, sizeof(where), "%s:%d: %s", r->name, item->node->line, item->path);
    return tunnel_config_set(item->field, text, where, r->report);
}

static int read_number(const struct reader *r, const struct item *item, int64_t min, int64_t max,
                       int64_t *out)
{
    char problem[128];

    if (item->node->type == TOML_INTEGER && item->node->integer >= min &&
        item->node->integer <= max) {
        *out = item->node->integer;
        return 0;
    }
    if (item->node->type == TOML_INTEGER)
        snprintf(problem, sizeof(problem),
                 "'%" PRId64 "' is out of range; write a whole number from %" PRId64 " to %" PRId64,
                 item->node->integer, min, max);
    else
        snprintf(problem, sizeof(problem),
                 "write a whole number from %" PRId64 " to %" PRId64 ", without quotes", min, max);
    return fail_item(r, item, problem);
}

static int read_seconds(const struct reader *r, const struct item *item, bool may_be_off)
{
    uint64_t *ms = item->field;
    int64_t seconds;

    if (read_number(r, item, may_be_off ? -SECONDS_MAX : 0, SECONDS_MAX, &seconds) != 0)
        return -1;
    if (seconds != 0)
        *ms = seconds < 0 ? 0 : (uint64_t)seconds * 1000;
    return 0;
}

static int read_only(const struct reader *r, const struct item *item)
{
    char problem[CONFIG_SHOW_MAX + 64], shown[CONFIG_SHOW_MAX];
    struct str text = str_of(item->node->string);

    if (item->node->type == TOML_STRING && str_eq(text, str_of(item->row->only)))
        return 0;
    snprintf(problem, sizeof(problem), "%s%sonly \"%s\" is",
             item->node->type == TOML_STRING ? config_show(shown, text) : "",
             item->node->type == TOML_STRING ? " is not supported; " : "", item->row->only);
    return fail_item(r, item, problem);
}

static int read_level(const struct reader *r, const struct item *item)
{
    static const struct {
        const char *name;
        enum log_level level;
    } levels[] = {
        {"trace", LOG_LEVEL_DEBUG},  {"debug", LOG_LEVEL_DEBUG}, {"info", LOG_LEVEL_INFO},
        {"warn", LOG_LEVEL_WARNING}, {"error", LOG_LEVEL_ERROR},
    };

    for (size_t i = 0; item->node->type == TOML_STRING && i < ARRAY_LEN(levels); i++) {
        if (strcmp(item->node->string, levels[i].name) == 0) {
            r->config->log_level = (int)levels[i].level;
            return 0;
        }
    }
    return fail_item(r, item, "write one of \"trace\", \"debug\", \"info\", \"warn\", \"error\"");
}

static int read_target(const struct reader *r, const struct item *item)
{
    if (item->node->type != TOML_STRING)
        return fail_item(r, item, "write a text in double quotes");
    if (strcmp(item->node->string, "console") != 0)
        config_warn(r->report,
                    "%s:%d: %s: this program writes its log to standard error, not to a file",
                    r->name, item->node->line, item->path);
    return 0;
}

static int read_metas(const struct reader *r, const struct item *item)
{
    char where[CONFIG_WHERE_MAX], shown[CONFIG_SHOW_MAX];

    if (item->node->type != TOML_TABLE)
        return fail_item(r, item, "write a table of texts");
    for (const struct toml_node *meta = item->node->first; meta; meta = meta->next) {
        snprintf(where, sizeof(where), "%s:%d: %s.%s", r->name, meta->line, item->path,
                 config_show(shown, str_of(meta->key)));
        if (meta->type != TOML_STRING)
            return config_fail(r->report, "%s: write a text in double quotes", where);
        if (tunnel_config_add_meta(r->config, str_of(meta->key), str_of(meta->string), where,
                                   r->report) != 0)
            return -1;
    }
    return 0;
}

static int read_proxies(const struct reader *r, const struct item *item);

static int read_item(const struct reader *r, const struct item *item)
{
    int64_t number = 0;

    switch (item->row->kind) {
    case STRING:
        return read_string(r, item);
    case BOOLEAN:
        if (item->node->type != TOML_BOOLEAN)
            return fail_item(r, item, "write true or false, without quotes");
        *(bool *)item->field = item->node->boolean;
        return 0;
    case NUMBER:
        return read_number(r, item, item->row->min, item->row->max, item->field);
    case PORT:
        if (read_number(r, item, 1, UINT16_MAX, &number) != 0)
            return -1;
        *(uint16_t *)item->field = (uint16_t)number;
        return 0;
    case SECONDS:
    case SECONDS_OFF:
        return read_seconds(r, item, item->row->kind == SECONDS_OFF);
    case ONLY:
        return read_only(r, item);
    case LEVEL:
        return read_level(r, item);
    case TARGET:
        return read_target(r, item);
    case METAS:
        return read_metas(r, item);
    case PROXIES:
        return read_proxies(r, item);
    case NO_EFFECT:
        return 0;
    case UNSUPPORTED:
        break;
    }
    return fail_item(r, item, "frpc has this setting, but this program does not support it");
}

/* The row of exactly this path; *is_parent tells whether rows lie below it. */
static const struct row *find_row(const struct row *rows, const char *path, bool *is_parent)
{
    const struct row *found = NULL;
    size_t n = strlen(path);

    *is_parent = false;
    for (; rows->path; rows++) {
        if (strcmp(rows->path, path) == 0)
            found = rows;
        else if (strncmp(rows->path, path, n) == 0 && rows->path[n] == '.')
            *is_parent = true;
    }
    return found;
}

static int fail_unknown(const struct reader *r, const struct row *rows,
                        const struct toml_node *node, const char *path)
{
    char shown[CONFIG_SHOW_MAX];

    config_show(shown, str_of(path));
    for (; rows->path; rows++) {
        /* The very same letters come from a quoted key with dots in it, which is another key. */
        if (strcasecmp(rows->path, path) == 0 && strcmp(rows->path, path) != 0)
            return config_fail(r->report, "%s:%d: unknown setting %s; it is spelled %s", r->name,
                               node->line, shown, rows->path);
    }
    return config_fail(r->report, "%s:%d: unknown setting %s", r->name, node->line, shown);
}

/* All members of a table. `prefix` is its path with a dot behind, or empty. */
static int read_table(const struct reader *r, const struct row *rows, const struct toml_node *table,
                      const char *prefix, void *out)
{
    for (const struct toml_node *node = table->first; node; node = node->next) {
        char path[PATH_TEXT_MAX];
        bool is_parent;
        const struct row *row;
        int n = snprintf(path, sizeof(path) - 1, "%s%s", prefix, node->key);

        if (n < 0 || (size_t)n >= sizeof(path) - 1 || strchr(node->key, '.'))
            return fail_unknown(r, rows, node, path);
        row = find_row(rows, path, &is_parent);
        if (row) {
            struct item item = {row, node, path, (char *)out + row->offset};

            if (read_item(r, &item) != 0)
                return -1;
        } else if (!is_parent) {
            return fail_unknown(r, rows, node, path);
        } else if (node->type != TOML_TABLE) {
            return config_fail(r->report, "%s:%d: %s: this is a table of settings, not a value",
                               r->name, node->line, path);
        } else {
            memcpy(path + n, ".", 2);
            if (read_table(r, rows, node, path, out) != 0)
                return -1;
        }
    }
    return 0;
}

/* frpc's rule: with a plugin, localIP and localPort do not count. */
static int finish_proxy(const struct reader *r, struct proxy_reading *reading, const char *where)
{
    struct tunnel_proxy *proxy = &reading->proxy;
    char shown[CONFIG_SHOW_MAX];

    if (*reading->plugin_type && strcmp(reading->plugin_type, "unix_domain_socket") != 0)
        return config_fail(r->report,
                           "%s: proxies.plugin.type: %s is not supported; only "
                           "\"unix_domain_socket\" is",
                           where, config_show(shown, str_of(reading->plugin_type)));
    if (*reading->plugin_type && !*proxy->unix_path)
        return config_fail(r->report, "%s: proxies.plugin.unixPath: not set", where);
    if (!*reading->plugin_type && *proxy->unix_path)
        return config_fail(r->report,
                           "%s: proxies.plugin.type: not set; write \"unix_domain_socket\"", where);
    if (!*proxy->unix_path && !*proxy->local_host)
        return tunnel_config_set(&proxy->local_host, STR("127.0.0.1"), where, r->report);
    if (!*proxy->unix_path && !value_is_host(str_of(proxy->local_host)))
        return config_fail(r->report, "%s: proxies.localIP: %s is no host", where,
                           config_show(shown, str_of(proxy->local_host)));
    return 0;
}

static void free_proxy(struct proxy_reading *reading)
{
    free(reading->proxy.name);
    free(reading->proxy.unix_path);
    free(reading->proxy.local_host);
    free(reading->plugin_type);
}

static int read_proxy(const struct reader *r, const struct toml_node *table)
{
    struct proxy_reading reading = {.enabled = true};
    struct tunnel_proxy *added;
    struct tunnel_proxy filled;
    char where[CONFIG_WHERE_MAX];
    char **strings[] = {&reading.proxy.name, &reading.proxy.unix_path, &reading.proxy.local_host,
                        &reading.plugin_type};
    int rc = 0;

    snprintf(where, sizeof(where), "%s:%d", r->name, table->line);
    for (size_t i = 0; i < ARRAY_LEN(strings) && rc == 0; i++)
        rc = tunnel_config_set(strings[i], STR(""), where, r->report);
    if (rc != 0 || read_table(r, PROXY_ROWS, table, "proxies.", &reading) != 0 ||
        finish_proxy(r, &reading, where) != 0) {
        free_proxy(&reading);
        return -1;
    }
    added = reading.enabled ? tunnel_config_add_proxy(r->config, where, r->report) : NULL;
    if (!added) {
        free_proxy(&reading);
        return reading.enabled ? -1 : 0;
    }
    /* The new proxy's empty strings are released in place of the ones that move into it. */
    filled = reading.proxy;
    reading.proxy = *added;
    *added = filled;
    free_proxy(&reading);
    return tunnel_config_check_proxy(r->config, where, r->report);
}

static int read_proxies(const struct reader *r, const struct item *item)
{
    if (item->node->type != TOML_ARRAY)
        return fail_item(r, item, "write [[proxies]], in two pairs of brackets");
    for (const struct toml_node *table = item->node->first; table; table = table->next) {
        if (table->type != TOML_TABLE)
            return fail_item(r, item, "write [[proxies]], in two pairs of brackets");
        if (read_proxy(r, table) != 0)
            return -1;
    }
    return 0;
}

static int set_defaults(struct tunnel_config *t, const char *name, struct config_report *report)
{
    char **strings[] = {&t->server_address, &t->shared_key,  &t->shared_key_file,
                        &t->auth_token,     &t->user,        &t->tls_cert_file,
                        &t->tls_key_file,   &t->tls_ca_file, &t->tls_server_name,
                        &t->app_id,         &t->app_socket};

    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        if (tunnel_config_set(strings[i], STR(""), name, report) != 0)
            return -1;
    }
    t->server_port = DEFAULT_PORT;
    t->login_fail_exit = true;
    t->tls_enable = true;
    t->tcp_mux = true;
    t->tcp_mux_keepalive = 30000;
    t->keepalive_timeout = 10000;
    t->heartbeat_interval = HEARTBEAT_NOT_SET;
    t->heartbeat_timeout = HEARTBEAT_NOT_SET;
    t->dial_timeout = 10000;
    t->reconnect_min = 1000;
    t->reconnect_max = 30000;
    t->shutdown_timeout = 30000;
    t->pool_count = 1;
    t->log_level = LOG_LEVEL_INFO;
    t->log_format = LOG_FORMAT_TEXT;
    return 0;
}

static int check_tls(struct tunnel_config *t, const char *name, struct config_report *report)
{
    if (!t->tls_enable)
        return 0;
    if (!*t->tls_cert_file != !*t->tls_key_file)
        return config_fail(report,
                           "%s: transport.tls.certFile and transport.tls.keyFile: both or none are "
                           "needed",
                           name);
    if (!*t->tls_ca_file)
        config_warn(
            report,
            "%s: transport.tls.trustedCaFile is not set, so the server's certificate is not "
            "checked",
            name);
    if (*t->tls_server_name)
        return 0;
    return tunnel_config_set(&t->tls_server_name, str_of(t->server_address), name, report);
}

static int finish(struct tunnel_config *t, const char *name, struct config_report *report)
{
    char shown[CONFIG_SHOW_MAX], where[CONFIG_WHERE_MAX];

    if (!*t->server_address)
        return config_fail(report, "%s: serverAddr: not set; write the server's name or IP address",
                           name);
    if (!value_is_host(str_of(t->server_address)))
        return config_fail(report,
                           "%s: serverAddr: %s is no host; write a name or an IP address, without "
                           "port and brackets",
                           name, config_show(shown, str_of(t->server_address)));
    if (t->heartbeat_interval == HEARTBEAT_NOT_SET)
        t->heartbeat_interval = t->tcp_mux ? 0 : 30000;
    if (t->heartbeat_timeout == HEARTBEAT_NOT_SET)
        t->heartbeat_timeout = t->tcp_mux ? 0 : 90000;
    if (t->proxies_n == 0)
        return config_fail(report, "%s: proxies: there are none; write a [[proxies]] table", name);
    snprintf(where, sizeof(where), "%s: user", name);
    if (tunnel_config_apply_user(t, where, report) != 0)
        return -1;
    return check_tls(t, name, report);
}

int frpc_toml_read(struct tunnel_config *config, struct str text, const char *name,
                   char *const *env, struct config_report *report)
{
    struct reader r = {config, name, report};
    struct toml_node *root = toml_parse(text, name, env, report);
    int rc = -1;

    if (!root)
        return -1;
    if (set_defaults(config, name, report) == 0 &&
        read_table(&r, CONFIG_ROWS, root, "", config) == 0 && finish(config, name, report) == 0)
        rc = 0;
    toml_free(root);
    return rc;
}

int frpc_toml_load(struct tunnel_config *config, const char *path, char *const *env,
                   struct config_report *report)
{
    size_t n = 0;
    char *text = config_read_all("configuration file", path, FRPC_TOML_MAX, &n, report);
    int rc;

    if (!text)
        return -1;
    rc = frpc_toml_read(config, (struct str){text, n}, path, env, report);
    config_wipe_free(text, n);
    return rc;
}
