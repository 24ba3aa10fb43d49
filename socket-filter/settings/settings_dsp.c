/* settings_dsp.c - the environment of Nextcloud's Docker Socket Proxy, as AppAPI's older daemons have it.
 *
 *   NC_HAPROXY_PASSWORD, NC_HAPROXY_PASSWORD_FILE   one of them; the user is app_api_haproxy_user
 *   BIND_ADDRESS (*), HAPROXY_PORT (2375)           where it listens
 *   TIMEOUT_CONNECT (30s) TIMEOUT_CLIENT (30s) TIMEOUT_SERVER (1800s)
 *   DSP_CERTIFICATE (/certs/cert.pem)               TLS, where the file is there
 *   EX_APPS_NET (localhost), EX_APPS_COUNT (30)     with TLS: ports 23000.. pass on to ExApps
 *   NC_AUTOSTART_CONTAINERS                         set to anything: start containers that ended
 *
 * Time limits without a unit are refused: HAProxy would read them as milliseconds, and hardly anybody
 * means those. The path of the certificate is fixed there; here it can be set, for hosts without containers.
 * The password may hold what it may there, and quotes around it belong to it, which they do not elsewhere.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/config/values.h"
#include "socket-filter/settings/settings.h"

#define DSP_USER "app_api_haproxy_user"

enum { EXAPPS_FIRST = 23000, EXAPPS_LAST = 23999, PASSWORD_FILE_MAX = 4096 };

struct dsp {
    char *const *env;
    const struct setting_origin *origins;
    struct config_report *report;
    char *password; /* wiped at the end */
    struct listen_addr at;
    struct str certificate; /* {NULL, 0}: no TLS */
    int64_t exapps;
};

static struct str value_of(const struct dsp *d, const char *name, const char *def)
{
    struct str value = settings_env(d->env, name);
    return value.p ? value : str_of(def);
}

/* A variable as it is; NULL: not set. */
static const char *raw_value(char *const *env, const char *name)
{
    size_t n = strlen(name);
    for (; env && *env; env++) {
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=') {
            return *env + n + 1;
        }
    }
    return NULL;
}

static const char *given(char *const *env, const char *name)
{
    const char *value = raw_value(env, name);
    return value && *value ? value : NULL;
}

static int take_password(struct dsp *d, const char *where, struct str text)
{
    if (text.n == 0) {
        return config_fail(d->report, "%s: holds no password", where);
    }
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f) {
            return config_fail(d->report, "%s: the password (not shown) has a control character",
                               where);
        }
    }
    if (text.n > FILTER_PASSWORD_MAX) {
        return config_fail(d->report, "%s: the password (not shown) is longer than %d bytes", where,
                           FILTER_PASSWORD_MAX);
    }
    d->password = xstrndup(text.p, text.n);
    return 0;
}

/* Its first line counts, as it does there. */
static int read_password_file(struct dsp *d, const char *name, const char *path)
{
    size_t n = 0;
    char *text = config_read_all(name, path, PASSWORD_FILE_MAX, &n, d->report);
    if (!text) {
        return -1;
    }
    const char *end = memchr(text, '\n', n);
    size_t line = end ? (size_t)(end - text) : n;
    struct str first = {text, line};
    if (first.n > 0 && first.p[first.n - 1] == '\r') {
        first.n--;
    }
    if (n > line + 1) {
        config_warn(d->report, "%s: only the first line of '%s' counts", name, path);
    }
    int rc = take_password(d, name, first);
    config_wipe_free(text, n);
    return rc;
}

static int read_password(struct dsp *d)
{
    static const char name[] = "NC_HAPROXY_PASSWORD", file_name[] = "NC_HAPROXY_PASSWORD_FILE";
    const char *plain = given(d->env, name), *file = given(d->env, file_name);
    if (plain && file) {
        return config_fail(d->report, "%s: set together with %s; keep one of them", name,
                           file_name);
    }
    return plain ? take_password(d, name, str_of(plain)) : read_password_file(d, file_name, file);
}

static int read_address(struct dsp *d)
{
    struct str host = value_of(d, "BIND_ADDRESS", "*"), port = value_of(d, "HAPROXY_PORT", "2375");
    char text[256], shown[CONFIG_SHOW_MAX];
    bool bare6 = host.n > 0 && memchr(host.p, ':', host.n) && host.p[0] != '[';
    snprintf(text, sizeof(text), bare6 ? "[%.*s]:%.*s" : "%.*s:%.*s", STR_ARG(host), STR_ARG(port));
    if (listen_parse(str_of(text), &d->at) < 0 || d->at.kind != LISTEN_TCP) {
        return config_fail(d->report,
                           "BIND_ADDRESS, HAPROXY_PORT: %s is no address to listen at; "
                           "write an IP address or *, and a port",
                           config_show(shown, str_of(text)));
    }
    return 0;
}

/* What the variable says, else what the administrator has set, else what that program would do. */
static int read_time(const struct dsp *d, const char *name, const char *def, const char *setting,
                     uint64_t *ms)
{
    struct str text = value_of(d, name, def);
    bool bare = text.n > 0 && strspn(text.p, "0123456789") >= text.n;
    const struct setting_origin *origin =
        &d->origins[settings_find(&filter_settings_table, setting)];
    if (text.p == def && origin->source != SETTING_FROM_DEFAULT) {
        return 0;
    }
    if (bare || value_parse_duration(text, ms) != 0 || *ms == 0) {
        char shown[CONFIG_SHOW_MAX];
        return config_fail(d->report, "%s: %s is not a time; write it with a unit, as in 30s", name,
                           config_show(shown, text));
    }
    return 0;
}

static int read_exapps(struct dsp *d, struct filter_settings *set)
{
    struct str net = value_of(d, "EX_APPS_NET", "localhost");
    struct str count = value_of(d, "EX_APPS_COUNT", "30");
    char shown[CONFIG_SHOW_MAX];
    static const struct str families[] = {{"ipv4@", 5}, {"ipv6@", 5}};
    for (size_t i = 0; i < ARRAY_LEN(families); i++) { /* HAProxy's; the name says enough */
        if (net.n > 5 && memcmp(net.p, families[i].p, 5) == 0) {
            net = (struct str){net.p + 5, net.n - 5};
        }
    }
    if (!value_is_host(net)) {
        return config_fail(d->report, "EX_APPS_NET: %s is no host name and no address",
                           config_show(shown, net));
    }
    if (value_parse_int(count, 0, EXAPPS_LAST - EXAPPS_FIRST, &d->exapps) != 0) {
        return config_fail(d->report, "EX_APPS_COUNT: %s is not a number from 0 to 999",
                           config_show(shown, count));
    }
    free(set->exapps_net);
    set->exapps_net = xstrndup(net.p, net.n);
    return 0;
}

static void add_listener(const struct dsp *d, struct filter_settings *set, uint16_t port,
                         bool exapp)
{
    struct filter_listener *ls = filter_listener_add(set);
    ls->at = d->at;
    ls->at.port = port;
    ls->exapp = exapp ? port : 0;
    ls->dsp = true;
    free(ls->user);
    free(ls->password);
    free(ls->policy);
    free(ls->where);
    ls->where = xstrndup("BIND_ADDRESS", 12);
    ls->user = xstrndup(DSP_USER, sizeof(DSP_USER) - 1);
    ls->password = xstrndup(d->password, strlen(d->password));
    ls->policy = xstrndup(exapp ? "" : "appapi", exapp ? 0 : 6);
    if (d->certificate.p) {
        free(ls->certificate);
        ls->certificate = xstrndup(d->certificate.p, d->certificate.n);
    }
    filter_listener_name(ls);
}

static int read_certificate(struct dsp *d)
{
    static const char usual[] = "/certs/cert.pem";
    struct str certificate = value_of(d, "DSP_CERTIFICATE", usual);
    char path[4096];
    snprintf(path, sizeof(path), "%.*s", STR_ARG(certificate));
    if (access(path, F_OK) == 0) {
        d->certificate = certificate;
        return 0;
    }
    /* Who names a file wants TLS; without it the password would go over the net as it is. */
    return certificate.p == usual
               ? 0
               : config_fail(d->report, "DSP_CERTIFICATE: '%s' is not there", path);
}

static int read_all(struct dsp *d, struct filter_settings *set)
{
    if (read_password(d) < 0 || read_certificate(d) < 0 || read_address(d) < 0 ||
        read_time(d, "TIMEOUT_CONNECT", "30s", "connect_timeout", &set->connect_timeout) < 0 ||
        read_time(d, "TIMEOUT_CLIENT", "30s", "timeout_client", &set->timeout_client) < 0 ||
        read_time(d, "TIMEOUT_SERVER", "1800s", "timeout_slow", &set->timeout_slow) < 0 ||
        read_exapps(d, set) < 0) {
        return -1;
    }
    set->autostart = raw_value(d->env, "NC_AUTOSTART_CONTAINERS") != NULL;
    add_listener(d, set, d->at.port, false);
    for (int64_t i = 0; d->certificate.p && i <= d->exapps; i++) {
        add_listener(d, set, (uint16_t)(EXAPPS_FIRST + i), true);
    }
    return 0;
}

int filter_dsp_read(struct filter_settings *set, char *const *env,
                    const struct setting_origin *origins, struct config_report *report)
{
    struct dsp d = {.env = env, .origins = origins, .report = report};
    if (!given(env, "NC_HAPROXY_PASSWORD") && !given(env, "NC_HAPROXY_PASSWORD_FILE")) {
        return 0;
    }
    int rc = read_all(&d, set);
    if (d.password) {
        config_wipe_free(d.password, strlen(d.password));
    }
    return rc;
}
