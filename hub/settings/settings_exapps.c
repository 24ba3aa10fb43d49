#include "hub/settings/settings_exapps.h"

#include <stdlib.h>

#include "common/config/values.h"

#define LIST_NAME "exapps"
#define TEXT_MAX 512
#define ROUTE_URL_MAX 1024
#define DEFAULT_HOST "127.0.0.1"
/* AppAPI's own name in the path, where the control calls go. */
#define RESERVED_ID "app_api"

struct context {
    const struct config_file *file;
    struct config_report *report;
};

static config_setting_t *element(const config_setting_t *list, int i)
{
    return config_setting_get_elem((config_setting_t *)list, (unsigned)i);
}

static config_setting_t *member(const config_setting_t *group, const char *name)
{
    return config_setting_get_member((config_setting_t *)group, name);
}

static bool is_sequence(const config_setting_t *node)
{
    return config_setting_is_list(node) || config_setting_is_array(node);
}

/* Refuses a member of the group that is not in `known` (ends in NULL). */
static int check_members(const struct context *c, const config_setting_t *group,
                         const char *const *known)
{
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *node = element(group, i);
        const char *const *k = known;

        while (*k && strcmp(*k, config_setting_name(node)) != 0)
            k++;
        if (!*k)
            return config_file_fail(c->file, c->report, node,
                                    "unknown setting of an ExApp; see --print-config");
    }
    return 0;
}

static int copy(const struct context *c, const config_setting_t *node, struct str text, char **out)
{
    *out = strndup(text.n ? text.p : "", text.n);
    return *out ? 0 : config_file_fail(c->file, c->report, node, "out of memory");
}

/* A string member that must be there unless `def` is given. */
static int take_string(const struct context *c, const config_setting_t *group, const char *name,
                       const char *def, size_t max, char **out)
{
    const config_setting_t *node = member(group, name);
    char where[CONFIG_WHERE_MAX];
    struct str text;

    if (!node && def)
        return copy(c, group, str_of(def), out);
    if (!node)
        return config_fail(c->report, "%s: an ExApp or route lacks %s",
                           config_file_where(c->file, group, where), name);
    if (config_setting_type(node) != CONFIG_TYPE_STRING)
        return config_file_fail(c->file, c->report, node, "write a string in double quotes");
    text = str_of(config_setting_get_string(node));
    if (text.n == 0)
        return config_file_fail(c->file, c->report, node, "must not be empty");
    if (text.n > max || !value_is_printable(text))
        return config_fail(c->report, "%s: must be printable ASCII of at most %zu bytes",
                           config_file_where(c->file, node, where), max);
    return copy(c, node, text, out);
}

static int take_int(const struct context *c, const config_setting_t *node, int min, int max,
                    int *out)
{
    char where[CONFIG_WHERE_MAX];
    long long value;

    if (config_setting_type(node) != CONFIG_TYPE_INT &&
        config_setting_type(node) != CONFIG_TYPE_INT64)
        return config_fail(c->report, "%s: write a whole number from %d to %d",
                           config_file_where(c->file, node, where), min, max);
    value = config_setting_get_int64(node);
    if (value < min || value > max)
        return config_fail(c->report,
                           "%s: '%lld' is out of range; write a whole number from %d to %d",
                           config_file_where(c->file, node, where), value, min, max);
    *out = (int)value;
    return 0;
}

static int load_statuses(const struct context *c, const config_setting_t *list,
                         struct exapp_route *route)
{
    if (!is_sequence(list))
        return config_file_fail(c->file, c->report, list,
                                "write a list of status numbers, as in [401, 403]");
    if (config_setting_length(list) > EXAPP_ROUTE_STATUS_MAX)
        return config_file_fail(c->file, c->report, list, "more than 16 status numbers");
    for (int i = 0; i < config_setting_length(list); i++) {
        int status = 0;

        if (take_int(c, element(list, i), 100, 599, &status) != 0)
            return -1;
        route->status[route->nstatus++] = (uint16_t)status;
    }
    return 0;
}

static int load_route(const struct context *c, const config_setting_t *group,
                      struct exapp_route *route)
{
    static const char *const known[] = {"url", "access_level", "bruteforce_protection", NULL};
    const config_setting_t *node;
    int level = 0;

    if (!config_setting_is_group(group))
        return config_file_fail(c->file, c->report, group,
                                "a route is a group: { url = \"...\"; access_level = 0; }");
    if (check_members(c, group, known) != 0 ||
        take_string(c, group, "url", NULL, ROUTE_URL_MAX, &route->url) != 0)
        return -1;
    node = member(group, "access_level");
    if (!node)
        return config_file_fail(c->file, c->report, group,
                                "a route lacks access_level: 0 public, 1 user, 2 admin");
    if (take_int(c, node, EXAPP_PUBLIC, EXAPP_ADMIN, &level) != 0)
        return -1;
    route->access = (enum exapp_access)level;
    node = member(group, "bruteforce_protection");
    return node ? load_statuses(c, node, route) : 0;
}

static int load_routes(const struct context *c, const config_setting_t *group,
                       struct exapp_meta *app)
{
    const config_setting_t *list = member(group, "routes");
    int n = list && is_sequence(list) ? config_setting_length(list) : 0;

    if (n == 0)
        return config_file_fail(c->file, c->report, list ? list : group,
                                "an ExApp needs a list of at least one route");
    if (n > EXAPP_ROUTES_MAX)
        return config_file_fail(c->file, c->report, list, "more than 256 routes");
    app->routes = calloc((size_t)n, sizeof(*app->routes));
    if (!app->routes)
        return config_file_fail(c->file, c->report, list, "out of memory");
    for (int i = 0; i < n; i++) {
        app->nroutes++;
        if (load_route(c, element(list, i), &app->routes[i]) != 0)
            return -1;
    }
    return 0;
}

static int load_id(const struct context *c, const config_setting_t *group,
                   const struct hub_exapps *exapps, struct exapp_meta *app)
{
    struct str id;

    /* Room for more than an id may have, so that the message below says what is wrong. */
    if (take_string(c, group, "id", NULL, TEXT_MAX, &app->id) != 0)
        return -1;
    id = str_of(app->id);
    if (!exapp_id_valid(id))
        return config_file_fail_value(
            c->file, c->report, member(group, "id"), id,
            "is no ExApp id; write up to 64 of A-Z a-z 0-9 _ . - and not dots alone");
    if (str_eq_nocase(id, STR(RESERVED_ID)))
        return config_file_fail_value(c->file, c->report, member(group, "id"), id,
                                      "is the name of AppAPI's own calls");
    /* The app itself is already counted. */
    for (size_t i = 0; i + 1 < exapps->n; i++) {
        if (str_eq_nocase(id, str_of(exapps->apps[i].id)))
            return config_file_fail_value(c->file, c->report, member(group, "id"), id,
                                          "is declared twice (upper and lower case are the same)");
    }
    exapp_id_lower(app->id, id);
    return 0;
}

static int load_app(const struct context *c, const config_setting_t *group,
                    const struct hub_exapps *exapps, struct exapp_meta *app)
{
    static const char *const known[] = {"id", "token", "version", "host", "port", "routes", NULL};
    const config_setting_t *node;
    int port = 0;

    if (!config_setting_is_group(group))
        return config_file_fail(c->file, c->report, group,
                                "an ExApp is a group: { id = \"...\"; token = \"...\"; ... }");
    if (check_members(c, group, known) != 0 || load_id(c, group, exapps, app) != 0 ||
        take_string(c, group, "token", NULL, TEXT_MAX, &app->token) != 0 ||
        take_string(c, group, "version", NULL, EXAPP_VERSION_MAX, &app->version) != 0 ||
        take_string(c, group, "host", DEFAULT_HOST, TEXT_MAX, &app->host) != 0)
        return -1;
    if (!value_is_host(str_of(app->host)))
        return config_file_fail_value(
            c->file, c->report, member(group, "host"), str_of(app->host),
            "is no host; write a name or an IP address, without port and brackets");
    node = member(group, "port");
    if (!node)
        return config_file_fail(c->file, c->report, group, "an ExApp lacks port");
    if (take_int(c, node, 1, UINT16_MAX, &port) != 0)
        return -1;
    app->port = (uint16_t)port;
    return load_routes(c, group, app);
}

int hub_exapps_load(struct hub_exapps *exapps, const struct config_file *file,
                    struct config_report *report)
{
    struct context c = {file, report};
    const config_setting_t *list = config_lookup(&file->tree, LIST_NAME);
    int n;

    *exapps = (struct hub_exapps){0};
    if (!list)
        return 0;
    if (!config_setting_is_list(list))
        return config_file_fail(c.file, c.report, list,
                                "write a list of groups: ( { ... }, { ... } )");
    n = config_setting_length(list);
    if (n > HUB_EXAPPS_MAX)
        return config_file_fail(c.file, c.report, list, "more than 4096 ExApps");
    exapps->apps = calloc((size_t)MAX(n, 1), sizeof(*exapps->apps));
    if (!exapps->apps)
        return config_file_fail(c.file, c.report, list, "out of memory");
    for (int i = 0; i < n; i++) {
        exapps->n++;
        if (load_app(&c, element(list, i), exapps, &exapps->apps[i]) != 0) {
            hub_exapps_free(exapps);
            return -1;
        }
    }
    return 0;
}

void hub_exapps_free(struct hub_exapps *exapps)
{
    for (size_t i = 0; i < exapps->n; i++)
        exapp_meta_free(&exapps->apps[i]);
    free(exapps->apps);
    *exapps = (struct hub_exapps){0};
}

const struct exapp_meta *hub_exapps_find(const struct hub_exapps *exapps, struct str id)
{
    for (size_t i = 0; i < exapps->n; i++) {
        if (str_eq_nocase(id, str_of(exapps->apps[i].id)))
            return &exapps->apps[i];
    }
    return NULL;
}
