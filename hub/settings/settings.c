#include "hub/settings/settings.h"

#include <stdlib.h>

#include "common/config/key_file.h"
#include "common/config/values.h"

#define ROWS_MAX 96
#define URL_MAX 1024
#define KEY_SHORT 12 /* characters; less is warned about */

/* What the checks after loading need to name a setting as the user wrote it. */
struct check {
    struct hub_settings *settings;
    const struct config_file *file;
    struct setting_origin origins[ROWS_MAX];
    struct config_report *report;
};

static const char *where_of(const struct check *c, const char *name, char *buf)
{
    return settings_where(&hub_settings_table, name, c->origins, c->file, buf);
}

static bool is_default(const struct check *c, const char *name)
{
    return c->origins[settings_find(&hub_settings_table, name)].source == SETTING_FROM_DEFAULT;
}

static int check_shared_key(const struct check *c)
{
    struct hub_settings *s = c->settings;
    char key[CONFIG_WHERE_MAX], file[CONFIG_WHERE_MAX];

    where_of(c, "shared_key", key);
    where_of(c, "shared_key_file", file);
    if (*s->shared_key && *s->shared_key_file)
        return config_fail(c->report, "%s: set together with %s; keep one of them", key, file);
    if (!*s->shared_key && !*s->shared_key_file)
        return config_fail(c->report, "HP_SHARED_KEY: not set; set HP_SHARED_KEY or "
                                      "HP_SHARED_KEY_FILE to the secret that AppAPI has");
    if (*s->shared_key_file &&
        key_file_read(file, s->shared_key_file, &s->shared_key, c->report) != 0)
        return -1;
    if (strlen(s->shared_key) < KEY_SHORT)
        config_warn(c->report,
                    "%s: shorter than %d characters; who guesses it controls the hub and all "
                    "ExApps",
                    *s->shared_key_file ? file : key, KEY_SHORT);
    return 0;
}

static bool ends_with(struct str text, struct str end)
{
    return text.n >= end.n && memcmp(text.p + text.n - end.n, end.p, end.n) == 0;
}

static bool authority_valid(struct str text)
{
    struct str host;

    return value_split_authority(text, &host) == 0 && value_is_host(host);
}

/* The characters of a path by RFC 3986 3.3, percent signs included. */
static bool path_valid(struct str path)
{
    for (size_t i = 0; i < path.n; i++) {
        if (path.p[i] <= 0x20 || path.p[i] >= 0x7F || strchr("\"#<>?[\\]^`{|}", path.p[i]))
            return false;
    }
    return true;
}

static bool url_valid(struct str url)
{
    static const struct str schemes[] = {{"http://", 7}, {"https://", 8}};

    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        size_t n = schemes[i].n;
        struct str rest, authority;
        const char *slash;

        if (url.n <= n || !str_eq_nocase((struct str){url.p, n}, schemes[i]))
            continue;
        rest = (struct str){url.p + n, url.n - n};
        slash = memchr(rest.p, '/', rest.n);
        authority = (struct str){rest.p, slash ? (size_t)(slash - rest.p) : rest.n};
        return authority_valid(authority) &&
               path_valid((struct str){rest.p + authority.n, rest.n - authority.n});
    }
    return false;
}

static int check_url(const struct check *c)
{
    struct hub_settings *s = c->settings;
    struct str url = str_of(s->nc_instance_url);
    char where[CONFIG_WHERE_MAX], shown[CONFIG_SHOW_MAX];

    where_of(c, "nc_instance_url", where);
    if (url.n == 0 && s->exapps.n)
        return 0;
    if (url.n == 0)
        return config_fail(
            c->report, "%s: not set; set it to Nextcloud's URL, as in https://cloud.example.com",
            where);
    if (!url_valid(url) || url.n > URL_MAX) {
        /* A password may stand in a URL by mistake; then it is not repeated. */
        if (memchr(url.p, '@', url.n))
            return config_fail(c->report,
                               "%s: the value (not shown) has an @ in it; write the URL without "
                               "user name and password",
                               where);
        return config_fail(c->report,
                           "%s: %s is not an http or https URL; write one as in "
                           "https://cloud.example.com",
                           where, config_show(shown, url));
    }
    for (;;) {
        if (ends_with(url, STR("/")))
            url.n--;
        else if (ends_with(url, STR("/index.php")))
            url.n -= strlen("/index.php");
        else
            break;
    }
    s->nc_instance_url[url.n] = '\0';
    return 0;
}

static int check_listeners(const struct check *c)
{
    static const struct {
        const char *name;
        size_t offset;
    } listeners[] = {
        {"exapps_address", offsetof(struct hub_settings, exapps_address)},
        {"exapps_https_address", offsetof(struct hub_settings, exapps_https_address)},
        {"frp_address", offsetof(struct hub_settings, frp_address)},
        {"admin_address", offsetof(struct hub_settings, admin_address)},
    };
    char a_where[CONFIG_WHERE_MAX], b_where[CONFIG_WHERE_MAX], text[LISTEN_TEXT_MAX];

    for (size_t i = 0; i < ARRAY_LEN(listeners); i++) {
        const struct listen_addr *a =
            (const void *)((const char *)c->settings + listeners[i].offset);

        for (size_t j = 0; j < i; j++) {
            const struct listen_addr *b =
                (const void *)((const char *)c->settings + listeners[j].offset);

            if (listen_equal(a, b))
                return config_fail(c->report, "%s: '%s' is also %s; choose another port",
                                   where_of(c, listeners[i].name, a_where), listen_format(a, text),
                                   where_of(c, listeners[j].name, b_where));
        }
    }
    return 0;
}

static int check_exapp_hosts(const struct check *c)
{
    struct hub_settings *s = c->settings;
    char where[CONFIG_WHERE_MAX], bad[CONFIG_SHOW_MAX];

    if (host_list_parse(&s->exapp_host_list, str_of(s->exapp_hosts), bad) == 0)
        return 0;
    return config_fail(c->report,
                       "%s: %s is neither a host name nor an address nor a network; write them as "
                       "in app.example.com, 10.0.0.0/8",
                       where_of(c, "exapp_hosts", where), bad);
}

static int check_proxy(const struct check *c)
{
    static const struct str scheme = {"http://", 7};
    struct str url = str_of(c->settings->nextcloud_proxy);
    char where[CONFIG_WHERE_MAX];

    if (url.n == 0)
        return 0;
    if (url.n > scheme.n && str_eq_nocase((struct str){url.p, scheme.n}, scheme)) {
        const char *at = memrchr(url.p, '@', url.n);
        const char *from = at ? at + 1 : url.p + scheme.n;

        if (authority_valid((struct str){from, url.n - (size_t)(from - url.p)}))
            return 0;
    }
    return config_fail(c->report,
                       "%s: the value (not shown) is no proxy; write http://host:port or "
                       "http://user:password@host:port, without a path",
                       where_of(c, "nextcloud_proxy", where));
}

/* Whoever reaches it may lift bans: so others than this machine's own need a token. */
static int check_admin(const struct check *c)
{
    const struct hub_settings *s = c->settings;
    char where[CONFIG_WHERE_MAX], text[LISTEN_TEXT_MAX];

    if (s->admin_address.kind != LISTEN_TCP || ip_is_loopback(&s->admin_address.ip) ||
        *s->admin_token)
        return 0;
    return config_fail(c->report,
                       "%s: '%s' can be reached from other machines; set HP_ADMIN_TOKEN, or listen "
                       "at 127.0.0.1:%u or unix:/PATH",
                       where_of(c, "admin_address", where), listen_format(&s->admin_address, text),
                       (unsigned)s->admin_address.port);
}

static int check_all(const struct check *c)
{
    struct hub_settings *s = c->settings;
    char where[CONFIG_WHERE_MAX];

    if (check_shared_key(c) != 0 || check_url(c) != 0 || check_listeners(c) != 0 ||
        check_proxy(c) != 0 || check_exapp_hosts(c) != 0 || check_admin(c) != 0)
        return -1;
    if (!*s->certs_dir)
        return config_fail(c->report, "%s: empty; write the folder for certificates",
                           where_of(c, "certs_dir", where));
    if (!s->exapp_tokens && s->frp_accept_shared_key != FRP_ACCEPT_ALL)
        return config_fail(c->report,
                           "%s: false, so ExApps log in with the shared key, but "
                           "frp_accept_shared_key does not let them; make it all",
                           where_of(c, "exapp_tokens", where));
    if (is_default(c, "timeout_tunnel"))
        s->timeout_tunnel = s->timeout_server;
    if (s->tunnel_max_held_total < s->tunnel_max_held)
        return config_fail(c->report,
                           "%s: smaller than tunnel_max_held, the share of a single tunnel; make "
                           "one of the two fit",
                           where_of(c, "tunnel_max_held_total", where));
    return 0;
}

int hub_settings_load(struct hub_settings *settings, const char *path, char *const *env,
                      struct config_report *report)
{
    struct config_file opened;
    struct check check = {.settings = settings, .report = report};
    int rc = -1;

    *settings = (struct hub_settings){0};
    if (hub_settings_table.n > ROWS_MAX)
        return config_fail(report, "more settings than expected");
    if (path && *path) {
        if (config_file_open(&opened, path, report) != 0)
            return -1;
        check.file = &opened;
    }
    if (settings_load(&hub_settings_table, settings, check.file, env, check.origins, report) != 0 ||
        (check.file && hub_exapps_load(&settings->exapps, check.file, report) != 0) ||
        check_all(&check) != 0)
        hub_settings_free(settings);
    else
        rc = 0;
    if (check.file)
        config_file_close(&opened);
    return rc;
}

void hub_settings_free(struct hub_settings *settings)
{
    settings_free(&hub_settings_table, settings);
    hub_exapps_free(&settings->exapps);
    host_list_free(&settings->exapp_host_list);
}
