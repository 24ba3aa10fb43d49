#include "socket-filter/settings/settings.h"

#include <libgen.h>
#include <limits.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/config/key_file.h"

#define ROWS_MAX 64

/* ---- the command line ---- */

static int read_docker(struct filter_settings *set, const char *text, struct config_report *report)
{
    if (listen_parse(str_of(text), &set->docker) < 0 || set->docker.kind != LISTEN_UNIX) {
        return config_fail(report, "--docker: '%.100s' is not unix:PATH", text);
    }
    return 0;
}

/* A listener with AppAPI's policy, or that of the file's first listener, is what one more address means. */
static int read_listen(struct filter_settings *set, const char *text, const char *policy,
                       const char *where, struct config_report *report)
{
    struct listen_addr at;
    if (set->nlisteners == FILTER_LISTENERS_MAX) {
        return config_fail(report, "--listen: too many listeners");
    }
    if (listen_parse(str_of(text), &at) < 0 || at.kind == LISTEN_OFF) {
        return config_fail(report, "--listen: '%.100s' is neither unix:PATH nor ADDRESS:PORT",
                           text);
    }
    if (at.kind == LISTEN_TCP && !ip_is_loopback(&at.ip)) {
        return config_fail(report,
                           "--listen: %.100s can be reached by others, and would ask nobody who "
                           "they are; write a listener with client_ca into the configuration file",
                           text);
    }
    struct filter_listener *ls = filter_listener_add(set);
    ls->at = at;
    free(ls->policy);
    free(ls->where);
    ls->policy = xstrndup(policy, strlen(policy));
    ls->where = xstrndup(where, strlen(where));
    filter_listener_name(ls);
    return 0;
}

static void drop_listeners(struct filter_settings *set)
{
    for (size_t i = 0; i < set->nlisteners; i++) {
        struct filter_listener *ls = &set->listeners[i];
        char *const texts[] = {ls->socket,      ls->group,         ls->policy,
                               ls->certificate, ls->key,           ls->client_ca,
                               ls->user,        ls->password_file, ls->where};
        for (size_t k = 0; k < ARRAY_LEN(texts); k++) {
            free(texts[k]);
        }
        if (ls->password) {
            config_wipe_free(ls->password, strlen(ls->password));
        }
        for (size_t k = 0; k < ls->ncertificates; k++) {
            free(ls->certificates[k].name);
            free(ls->certificates[k].policy);
        }
        free(ls->certificates);
    }
    free(set->listeners);
    set->listeners = NULL;
    set->nlisteners = 0;
}

static int read_given(struct filter_settings *set, const struct options *options,
                      struct config_report *report)
{
    char *policy = NULL;
    int rc = 0;
    for (size_t i = 0; i < options->given_n && rc == 0; i++) {
        const struct option_given *g = &options->given[i];
        if (strcmp(g->option->name, "--docker") == 0) {
            rc = read_docker(set, g->value, report);
            continue;
        }
        if (!policy) { /* they stand in for all others */
            const char *first = set->nlisteners > 0 ? set->listeners[0].policy : "";
            policy = *first ? xstrndup(first, strlen(first)) : xstrndup("appapi", 6);
            drop_listeners(set);
        }
        rc = read_listen(set, g->value, policy, g->option->name, report);
    }
    free(policy);
    return rc;
}

/* ---- what must fit together ---- */

/* Names what an administrator wrote: "filter.cfg:12: listener unix:/run/x: WHY". */
static int fail_listener(const struct filter_listener *ls, struct config_report *report,
                         const char *why)
{
    return config_fail(report, "%s%slistener %s: %s", ls->where, *ls->where ? ": " : "", ls->text,
                       why);
}

/* The file that a path leads to; the last part of it need not be there. */
static void resolve(const char *path, char out[PATH_MAX])
{
    char folder[LISTEN_PATH_MAX];
    const char *name = strrchr(path, '/');
    if (realpath(path, out)) {
        return;
    }
    snprintf(folder, sizeof(folder), "%s", path);
    size_t n = name && realpath(dirname(folder), out) ? strlen(out) : PATH_MAX;
    if (n + strlen(path) >= PATH_MAX) {
        snprintf(out, PATH_MAX, "%s", path);
        return;
    }
    n = n == 1 ? 0 : n; /* the root folder ends in a slash of its own */
    memcpy(out + n, name, strlen(name) + 1);
}

bool filter_same_socket(const struct listen_addr *a, const struct listen_addr *b)
{
    char real_a[PATH_MAX], real_b[PATH_MAX];
    if (a->kind != LISTEN_UNIX || b->kind != LISTEN_UNIX) {
        return listen_equal(a, b);
    }
    resolve(a->path, real_a);
    resolve(b->path, real_b);
    return strcmp(real_a, real_b) == 0;
}

static int check_policy(const struct filter_settings *set, const struct filter_listener *ls,
                        const char *name, struct config_report *report)
{
    char why[160];
    if (*name && !policies_find(set->policies, str_of(name))) {
        snprintf(why, sizeof(why),
                 "there is no policy '%.64s'; `harp-socket-filter policy show` lists them", name);
        return fail_listener(ls, report, why);
    }
    return 0;
}

static int check_password(struct filter_listener *ls, struct config_report *report)
{
    char where[CONFIG_WHERE_MAX + 32];
    snprintf(where, sizeof(where), "%s%spassword_file", ls->where, *ls->where ? ": " : "");
    if (*ls->password_file && key_file_read(where, ls->password_file, &ls->password, report) < 0) {
        return -1;
    }
    return strlen(ls->password) > FILTER_PASSWORD_MAX
               ? fail_listener(ls, report, "its password is longer than 1024 bytes")
               : 0;
}

static int check_listener(const struct filter_settings *set, size_t i, struct config_report *report)
{
    struct filter_listener *ls = &set->listeners[i];
    for (size_t k = 0; k < i; k++) {
        const struct filter_listener *other = &set->listeners[k];
        bool same = *ls->socket ? strcmp(ls->socket, other->socket) == 0
                                : !*other->socket && ls->at.kind == other->at.kind &&
                                      ls->at.port == other->at.port &&
                                      filter_same_socket(&ls->at, &other->at);
        if (same) {
            return fail_listener(ls, report, "is there twice");
        }
    }
    if (check_policy(set, ls, ls->policy, report) < 0) {
        return -1;
    }
    for (size_t k = 0; k < ls->ncertificates; k++) {
        if (check_policy(set, ls, ls->certificates[k].policy, report) < 0) {
            return -1;
        }
    }
    if (ls->at.kind == LISTEN_UNIX && filter_same_socket(&ls->at, &set->docker)) {
        return fail_listener(ls, report, "is the engine's own socket");
    }
    if (ls->at.kind == LISTEN_UNIX && filter_same_socket(&ls->at, &set->admin)) {
        return fail_listener(ls, report, "is the administrator's socket; give it another path");
    }
    return check_password(ls, report);
}

static int check(const struct filter_settings *set, const struct setting_origin *origins,
                 const struct config_file *file, struct config_report *report)
{
    char where[CONFIG_WHERE_MAX];
    if (set->docker.kind != LISTEN_UNIX) {
        return config_fail(report,
                           "%s: is not unix:PATH; to reach an engine on another host, use a tunnel",
                           settings_where(&filter_settings_table, "docker", origins, file, where));
    }
    settings_where(&filter_settings_table, "admin", origins, file, where);
    if (set->admin.kind == LISTEN_TCP) {
        return config_fail(report, "%s: is not unix:PATH or off", where);
    }
    if (set->admin.kind == LISTEN_UNIX && filter_same_socket(&set->admin, &set->docker)) {
        return config_fail(report, "%s: is the engine's own socket", where);
    }
    for (size_t i = 0; i < set->nlisteners; i++) {
        if (check_listener(set, i, report) < 0) {
            return -1;
        }
    }
    return 0;
}

static int load(struct filter_settings *set, const struct options *options,
                const struct config_file *file, char *const *env, struct config_report *report)
{
    struct setting_origin origins[ROWS_MAX];
    if (settings_load(&filter_settings_table, set, file, env, origins, report) < 0) {
        return -1;
    }
    set->exapps_net = xstrndup("", 0);
    set->policies = policies_load(file, report);
    if (!set->policies || filter_listeners_read(set, file, report) < 0) {
        return -1;
    }
    if (set->nlisteners == 0 && filter_dsp_read(set, env, origins, report) < 0) {
        return -1;
    }
    if (read_given(set, options, report) < 0) {
        return -1;
    }
    if (set->nlisteners == 0 && read_listen(set, FILTER_LISTEN_DEFAULT, "appapi", "", report) < 0) {
        return -1;
    }
    return check(set, origins, file, report);
}

int filter_settings_load(struct filter_settings *set, const struct options *options,
                         char *const *env, struct config_report *report)
{
    struct config_file file;
    bool from_file = options->config[0] != '\0';
    if (from_file && config_file_open(&file, options->config, report) < 0) {
        return -1;
    }
    int rc = load(set, options, from_file ? &file : NULL, env, report);
    if (from_file) {
        config_file_close(&file);
    }
    if (rc < 0) {
        filter_settings_free(set);
    }
    return rc;
}

void filter_settings_free(struct filter_settings *set)
{
    drop_listeners(set);
    policies_free(set->policies);
    set->policies = NULL;
    free(set->exapps_net);
    set->exapps_net = NULL;
    settings_free(&filter_settings_table, set);
}
