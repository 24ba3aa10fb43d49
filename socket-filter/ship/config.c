#include "socket-filter/ship/config.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/config/key_file.h"
#include "common/config/values.h"
#include "common/log/log.h"

/* Macros that write initialisers cannot put their arguments in parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define AT(field) offsetof(struct ship_config, field)
#define HEADING(text)                                                                              \
    {                                                                                              \
        .type = SETTING_HEADING, .help = text                                                      \
    }
/* environment, type, field = name, default, min, max, shape of the value, help */
#define ROW(env_name, kind, field, default_text, least, most, shape, text)                         \
    {                                                                                              \
        .name = #field, .env = env_name, .type = kind, .offset = AT(field), .def = default_text,   \
        .min = least, .max = most, .unit = shape, .help = text                                     \
    }
#define CHOICE(env_name, field, default_text, names, text)                                         \
    {                                                                                              \
        .name = #field, .env = env_name, .type = SETTING_CHOICE, .offset = AT(field),              \
        .def = default_text, .choices = names, .help = text                                        \
    }
/* NOLINTEND(bugprone-macro-parentheses) */

#define SECONDS 1000LL
#define HOURS (3600 * SECONDS)
#define DAYS (24 * HOURS)

static const char *const keep_names[] = {"keep", "delete", NULL};

static const struct setting ROWS[] = {
    HEADING("Records"),
    ROW("HP_AUDIT_FOLDER", SETTING_STRING, folder, "", 0, 0, "a folder",
        "Where harp-socket-filter writes its record. Needed."),
    CHOICE("HP_AUDIT_KEEP", keep, "keep", keep_names,
           "What becomes of a segment that is safe in the bucket: with keep, an empty file "
           "NAME.shipped is put beside it; with delete, it is deleted."),
    ROW("HP_AUDIT_POLL_INTERVAL", SETTING_DURATION, poll_interval, "1m", 1 * SECONDS, DAYS, NULL,
        "How often the folder is looked at without a sign that there is something new."),

    HEADING("Object storage"),
    ROW("HP_AUDIT_ENDPOINT", SETTING_STRING, endpoint, "", 0, 300, "http[s]://host[:port]",
        "The server that speaks the S3 protocol. Needed."),
    ROW("HP_AUDIT_BUCKET", SETTING_STRING, bucket, "", 0, 63, "a bucket's name",
        "The bucket, which must be there. Needed."),
    ROW("HP_AUDIT_PREFIX", SETTING_STRING, prefix, "", 0, 512, "folder/folder/",
        "What stands in front of the objects' names; the names of hosts keep several apart."),
    ROW("HP_AUDIT_REGION", SETTING_STRING, region, "us-east-1", 1, 64, "a region's name",
        "The region that requests are signed for."),
    ROW("HP_AUDIT_ACCESS_KEY", SETTING_STRING, access_key, "", 0, 128, NULL,
        "The access key's id. Needed."),
    ROW("HP_AUDIT_SECRET_KEY", SETTING_SECRET, secret_key, "", 0, 0, NULL,
        "Its secret, here or in secret_key_file, not in both. Needed."),
    ROW("HP_AUDIT_SECRET_KEY_FILE", SETTING_STRING, secret_key_file, "", 0, 0, "a file",
        "A file with the secret; newlines at its end do not count."),
    ROW("HP_AUDIT_CA_FILE", SETTING_STRING, ca_file, "", 0, 0, "a file",
        "Certificates (PEM) that the server's must be signed by; if empty, the system's."),
    ROW("HP_AUDIT_CONNECT_TIMEOUT", SETTING_DURATION, connect_timeout, "10s", 1, HOURS, NULL,
        "How long connecting may take."),
    ROW("HP_AUDIT_TIMEOUT", SETTING_DURATION, timeout, "5m", 1, DAYS, NULL,
        "How long sending one segment may take, with its answer."),
    ROW("HP_AUDIT_RETRY_MIN", SETTING_DURATION, retry_min, "1s", 1, HOURS, NULL,
        "The pause after a failure; it doubles with each that follows."),
    ROW("HP_AUDIT_RETRY_MAX", SETTING_DURATION, retry_max, "5m", 1, DAYS, NULL,
        "The longest such pause, and the one after answers that will not change by themselves."),

    HEADING("Log"),
    CHOICE("HP_LOG_LEVEL", log_level, "info", log_level_names,
           "The least important lines that are written."),
    CHOICE("HP_LOG_FORMAT", log_format, "text", log_format_names, "How lines are written."),
};

const struct settings ship_settings_table = {ROWS, ARRAY_LEN(ROWS), NULL};

static const char EXAMPLE_HEAD[] =
    "# Settings of harp-audit-ship. Each is shown with its default; take away the # to change it.\n"
    "# An environment variable that is set wins over this file.\n";

struct program ship_program(const char *version)
{
    return (struct program){
        .name = "harp-audit-ship",
        .version = version,
        .summary =
            "Sends finished segments of the audit record to S3-compatible object storage.\n"
            "With --once, it sends those that are there, and ends (1: not all could be sent).",
        .settings = &ship_settings_table,
        .example_head = EXAMPLE_HEAD,
    };
}

/* ---- what belongs together, and shapes ---- */

struct check {
    struct ship_config *config;
    const struct config_file *file;
    struct setting_origin origins[ARRAY_LEN(ROWS)];
    struct config_report *report;
};

static const char *where_of(const struct check *c, const char *name, char *buf)
{
    return settings_where(&ship_settings_table, name, c->origins, c->file, buf);
}

static int fail_value(const struct check *c, const char *name, const char *value, const char *what)
{
    char where[CONFIG_WHERE_MAX], shown[CONFIG_SHOW_MAX];

    return config_fail(c->report, "%s: %s %s", where_of(c, name, where),
                       config_show(shown, str_of(value)), what);
}

static int check_needed(const struct check *c)
{
    const struct {
        const char *name, *value;
    } needed[] = {
        {"folder", c->config->folder},         {"endpoint", c->config->endpoint},
        {"bucket", c->config->bucket},         {"access_key", c->config->access_key},
        {"secret_key", c->config->secret_key},
    };
    char where[CONFIG_WHERE_MAX];

    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        if (!*needed[i].value) {
            return config_fail(c->report, "%s: not set, but needed",
                               where_of(c, needed[i].name, where));
        }
    }
    return 0;
}

static int check_secret(const struct check *c)
{
    struct ship_config *s = c->config;
    char where[CONFIG_WHERE_MAX], other[CONFIG_WHERE_MAX];

    if (*s->secret_key && *s->secret_key_file) {
        return config_fail(c->report, "%s: set together with %s; keep one of them",
                           where_of(c, "secret_key", where), where_of(c, "secret_key_file", other));
    }
    if (*s->secret_key_file) {
        return key_file_read(where_of(c, "secret_key_file", where), s->secret_key_file,
                             &s->secret_key, c->report);
    }
    const char *problem = *s->secret_key ? value_check_key(str_of(s->secret_key)) : NULL;
    return problem ? config_fail(c->report, "%s: the key (not shown) %s",
                                 where_of(c, "secret_key", where), problem)
                   : 0;
}

static bool made_of(const char *text, const char *more)
{
    for (const char *p = text; *p; p++) {
        bool word =
            (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');
        if (!word && !strchr(more, *p)) {
            return false;
        }
    }
    return true;
}

/* Finds host[:port] in it. */
static int check_endpoint(const struct check *c)
{
    static const char shape[] = "is no endpoint; write http[s]://host[:port], without a path";
    struct ship_config *s = c->config;
    size_t n = strlen(s->endpoint);
    struct str host, rest;
    uint16_t port;

    if (n > 0 && s->endpoint[n - 1] == '/') {
        s->endpoint[--n] = '\0';
    }
    size_t scheme = strncmp(s->endpoint, "https://", 8) == 0  ? 8
                    : strncmp(s->endpoint, "http://", 7) == 0 ? 7
                                                              : 0;
    rest = (struct str){s->endpoint + scheme, n - scheme};
    if (scheme == 0 || value_split_authority(rest, &host) != 0 || !value_is_host(host)) {
        return fail_value(c, "endpoint", s->endpoint, shape);
    }
    const char *behind = host.p + host.n;
    behind += *behind == ']';
    if (*behind && value_parse_port(str_of(behind + 1), &port) != 0) {
        return fail_value(c, "endpoint", s->endpoint, shape);
    }
    s->host = xstrndup(rest.p, rest.n);
    if (scheme == 7) {
        char where[CONFIG_WHERE_MAX];
        config_warn(c->report, "%s: http, so that who sees the network sees the records",
                    where_of(c, "endpoint", where));
    }
    return 0;
}

/* No segment may be what a URL's path takes for a folder's name. */
static bool good_prefix(const char *prefix)
{
    for (const char *p = prefix; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 0 || (*p == '.' && (n == 1 || (n == 2 && p[1] == '.')))) {
            return false;
        }
        p += n;
        p += *p == '/';
    }
    return made_of(prefix, "/-_.");
}

static int check_names(const struct check *c)
{
    struct ship_config *s = c->config;
    size_t n = strlen(s->prefix);

    if (strlen(s->bucket) < 3 || !made_of(s->bucket, "-._") || *s->bucket == '.') {
        return fail_value(c, "bucket", s->bucket,
                          "is no bucket's name; it has 3 to 63 letters, digits, hyphens and dots");
    }
    if (!good_prefix(s->prefix)) {
        return fail_value(c, "prefix", s->prefix,
                          "is no prefix; write names of letters, digits, - _ and . with a slash "
                          "behind each, and none in front");
    }
    if (n > 0 && s->prefix[n - 1] != '/') {
        char *longer = xmalloc(n + 2);
        memcpy(longer, s->prefix, n);
        memcpy(longer + n, "/", 2);
        free(s->prefix);
        s->prefix = longer;
    }
    if (!made_of(s->region, "-_")) {
        return fail_value(c, "region", s->region, "is no region; an example is us-east-1");
    }
    if (!made_of(s->access_key, "-_.+/=")) {
        return fail_value(c, "access_key", s->access_key,
                          "is no access key's id: it has letters and digits");
    }
    if (s->retry_max < s->retry_min) {
        char where[CONFIG_WHERE_MAX];
        return config_fail(c->report, "%s: shorter than retry_min; make one of the two fit",
                           where_of(c, "retry_max", where));
    }
    return 0;
}

int ship_config_load(struct ship_config *config, const char *path, char *const *env,
                     struct config_report *report)
{
    struct config_file opened;
    struct check check = {.config = config, .report = report};
    int rc = -1;

    *config = (struct ship_config){0};
    if (path && *path) {
        if (config_file_open(&opened, path, report) != 0) {
            return -1;
        }
        check.file = &opened;
    }
    if (settings_load(&ship_settings_table, config, check.file, env, check.origins, report) == 0) {
        rc = check_secret(&check) == 0 && check_needed(&check) == 0 &&
                     check_endpoint(&check) == 0 && check_names(&check) == 0
                 ? 0
                 : -1;
        if (rc < 0) {
            ship_config_free(config);
        }
    }
    if (check.file) {
        config_file_close(&opened);
    }
    return rc;
}

void ship_config_free(struct ship_config *config)
{
    free(config->host);
    settings_free(&ship_settings_table, config);
    *config = (struct ship_config){0};
}
