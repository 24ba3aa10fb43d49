/* settings_listeners.c - the list `listeners` of the configuration file. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "socket-filter/settings/settings.h"

/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define ROW(type_of, kind, field, default_text, least, most, text)                                 \
    {                                                                                              \
        .name = #field, .type = kind, .offset = offsetof(struct type_of, field),                   \
        .def = default_text, .min = least, .max = most, .help = text                               \
    }
/* NOLINTEND(bugprone-macro-parentheses) */

static const char *const report_names[] = {"enforce", "report", "", NULL};

enum { REPORT_INHERITED = 2, PATH_LONGEST = 4000 };

static const struct setting listener_rows[] = {
    {.name = "address",
     .type = SETTING_LISTEN,
     .offset = offsetof(struct filter_listener, at),
     .def = "off",
     .max = 1},
    ROW(filter_listener, SETTING_STRING, socket, "", 0, 255, ""),
    ROW(filter_listener, SETTING_STRING, group, "", 0, 64, ""),
    ROW(filter_listener, SETTING_STRING, policy, "", 0, 64, ""),
    {.name = "mode",
     .type = SETTING_CHOICE,
     .offset = offsetof(struct filter_listener, report),
     .def = "",
     .choices = report_names},
    ROW(filter_listener, SETTING_STRING, certificate, "", 0, PATH_LONGEST, ""),
    ROW(filter_listener, SETTING_STRING, key, "", 0, PATH_LONGEST, ""),
    ROW(filter_listener, SETTING_STRING, client_ca, "", 0, PATH_LONGEST, ""),
    ROW(filter_listener, SETTING_STRING, user, "", 0, FILTER_USER_MAX, ""),
    ROW(filter_listener, SETTING_SECRET, password, "", 0, 0, ""),
    ROW(filter_listener, SETTING_STRING, password_file, "", 0, PATH_LONGEST, ""),
};
static const char *const listener_nested[] = {"certificates", "file_mode", NULL};
static const struct settings listener_table = {listener_rows, ARRAY_LEN(listener_rows),
                                               listener_nested};

static const struct setting certificate_rows[] = {
    ROW(filter_certificate, SETTING_STRING, name, "", 0, 255, ""),
    ROW(filter_certificate, SETTING_STRING, policy, "", 0, 64, ""),
};
static const struct settings certificate_table = {certificate_rows, ARRAY_LEN(certificate_rows),
                                                  NULL};

struct filter_listener *filter_listener_add(struct filter_settings *set)
{
    struct filter_listener *grown = xcalloc(set->nlisteners + 1, sizeof(*grown));
    if (set->nlisteners > 0) {
        memcpy(grown, set->listeners, set->nlisteners * sizeof(*grown));
    }
    free(set->listeners);
    set->listeners = grown;
    struct filter_listener *ls = &grown[set->nlisteners++];
    ls->mode = 0600;
    ls->report = set->mode;
    char **const texts[] = {&ls->socket,        &ls->group,     &ls->policy, &ls->certificate,
                            &ls->key,           &ls->client_ca, &ls->user,   &ls->password,
                            &ls->password_file, &ls->where};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        *texts[i] = xstrndup("", 0);
    }
    return ls;
}

void filter_listener_name(struct filter_listener *ls)
{
    if (*ls->socket) {
        snprintf(ls->text, sizeof(ls->text), "socket:%.100s", ls->socket);
    } else {
        listen_format(&ls->at, ls->text);
    }
}

/* Octal, as chmod takes it, in a string: libconfig would read 0660 as decimal. */
static int read_file_mode(const struct config_file *file, const config_setting_t *group,
                          struct filter_listener *ls, struct config_report *report)
{
    const config_setting_t *node =
        config_setting_get_member((config_setting_t *)group, "file_mode");
    const char *text = node ? config_setting_get_string(node) : "0600";
    char *end = NULL;
    long mode = text ? strtol(text, &end, 8) : -1;
    if (!text || *text == '\0' || *end != '\0' || mode < 0 || mode > 0777 ||
        strspn(text, "01234567") != strlen(text)) {
        return config_file_fail(file, report, node,
                                "write the socket's mode as a string, as in \"0660\"");
    }
    if (mode & 0006) {
        return config_file_fail(file, report, node,
                                "would let every user of this machine in; give a group rights");
    }
    ls->mode = mode;
    return 0;
}

/* A name that can fit no certificate would look like a rule and be none. */
static const char *certificate_fault(const struct filter_listener *ls,
                                     const struct filter_certificate *cert)
{
    static const char print[] = "sha256:";
    if (!*cert->name || !*cert->policy) {
        return "give a name and a policy";
    }
    if (strncasecmp(cert->name, print, strlen(print)) == 0) {
        const char *digits = cert->name + strlen(print);
        if (strlen(digits) != 64 || strspn(digits, "0123456789abcdefABCDEF") != 64) {
            return "write a fingerprint as sha256: and 64 hexadecimal digits without colons";
        }
    }
    for (const struct filter_certificate *other = ls->certificates; other != cert; other++) {
        if (strcasecmp(other->name, cert->name) == 0) {
            return "this certificate is there twice";
        }
    }
    return NULL;
}

static int read_certificates(const struct config_file *file, const config_setting_t *group,
                             struct filter_listener *ls, struct config_report *report)
{
    const config_setting_t *list =
        config_setting_get_member((config_setting_t *)group, "certificates");
    if (!list) {
        return 0;
    }
    int n = config_setting_length(list);
    if (!config_setting_is_list(list)) {
        return config_file_fail(file, report, list, "write a list of groups: ( { ... }, { ... } )");
    }
    if (n > FILTER_CLIENTS_MAX) {
        return config_file_fail(file, report, list, "more than 256 certificates");
    }
    ls->certificates = xcalloc((size_t)n + 1, sizeof(*ls->certificates));
    for (int i = 0; i < n; i++) {
        const config_setting_t *node =
            config_setting_get_elem((config_setting_t *)list, (unsigned)i);
        struct filter_certificate *cert = &ls->certificates[ls->ncertificates];
        if (settings_load_group(&certificate_table, cert, file, node, report) < 0) {
            return -1;
        }
        ls->ncertificates++;
        const char *why = certificate_fault(ls, cert);
        if (why) {
            return config_file_fail(file, report, node, why);
        }
    }
    return 0;
}

const char *filter_listener_exposed(const struct filter_listener *ls, const struct listen_addr *at)
{
    return at->kind != LISTEN_TCP || ip_is_loopback(&at->ip) || ls->dsp || *ls->client_ca ||
                   (*ls->certificate && *ls->user)
               ? NULL
               : "an address that others can reach needs client_ca, or certificate with user and "
                 "password";
}

/* What belongs together, or does not. */
static int check(const struct config_file *file, const config_setting_t *group,
                 const struct filter_listener *ls, struct config_report *report)
{
    bool tls = *ls->certificate;
    bool rights = *ls->group || config_setting_get_member((config_setting_t *)group, "file_mode");
    const char *why = NULL;
    if (ls->at.kind == LISTEN_OFF && !*ls->socket) {
        why = "a listener needs an address, or the name of a socket that a service manager opens";
    } else if (ls->at.kind != LISTEN_OFF && *ls->socket) {
        why = "address and socket are set; keep one of them";
    } else if (rights && ls->at.kind != LISTEN_UNIX) {
        why = "file_mode and group are for a unix socket that this program makes";
    } else if (!*ls->policy && ls->ncertificates == 0) {
        why = "a listener needs a policy; `harp-socket-filter policy show` lists them";
    } else if ((*ls->key || *ls->client_ca) && !tls) {
        why = "key and client_ca go with a certificate, which is not set";
    } else if (ls->ncertificates > 0 && !*ls->client_ca) {
        why = "certificates of clients need client_ca, which signed them";
    } else if (!*ls->user != !(*ls->password || *ls->password_file)) {
        why = "user goes with password or password_file";
    } else if (*ls->password && *ls->password_file) {
        why = "password and password_file are set; keep one of them";
    } else if (strchr(ls->user, ':')) {
        why = "a colon can't be part of user: it ends there";
    } else {
        why = filter_listener_exposed(ls, &ls->at);
    }
    return why ? config_file_fail(file, report, group, why) : 0;
}

int filter_listeners_read(struct filter_settings *set, const struct config_file *file,
                          struct config_report *report)
{
    const config_setting_t *list = file ? config_lookup(&file->tree, "listeners") : NULL;
    if (!list) {
        return 0;
    }
    if (!config_setting_is_list(list)) {
        return config_file_fail(file, report, list, "write a list of groups: ( { ... }, { ... } )");
    }
    for (int i = 0; i < config_setting_length(list); i++) {
        const config_setting_t *group =
            config_setting_get_elem((config_setting_t *)list, (unsigned)i);
        if (set->nlisteners == FILTER_LISTENERS_MAX) {
            return config_file_fail(file, report, group, "too many listeners");
        }
        struct filter_listener *ls = filter_listener_add(set);
        char where[CONFIG_WHERE_MAX];
        free(ls->where);
        config_file_where(file, group, where);
        ls->where = xstrndup(where, strlen(where));
        if (settings_load_group(&listener_table, ls, file, group, report) < 0 ||
            read_file_mode(file, group, ls, report) < 0 ||
            read_certificates(file, group, ls, report) < 0 || check(file, group, ls, report) < 0) {
            return -1;
        }
        ls->report = ls->report == REPORT_INHERITED ? set->mode : ls->report;
        filter_listener_name(ls);
    }
    return 0;
}
