/* main.c - starts the socket filter, and ends it.
 *
 * Where it is to become a user that keeps the group of the engine's socket, it waits for that socket.
 * Everything that needs rights is opened first: sockets, certificates. Then rights are given up for good
 * (system/sandbox.h), then the audit's folder is opened with those that are left, then clients are served.
 * SIGTERM, SIGINT: accept nothing more, let running calls finish (shutdown_timeout at most), exit 0. A second
 * one ends at once. SIGHUP: read certificates again.
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/system/life.h"
#include "common/system/service.h"
#include "socket-filter/client/autostart.h"
#include "socket-filter/client/engine.h"
#include "socket-filter/client/execs.h"
#include "socket-filter/client/frontend.h"
#include "socket-filter/command/command.h"
#include "socket-filter/filter.h"
#include "socket-filter/policy/host_path.h"
#include "socket-filter/system/sandbox.h"

enum { AWAIT_MS = 100 };

struct process {
    struct filter filter;
    struct log log;
    struct life life;
    struct autostart *autostart; /* NULL: not asked for */
    struct timer await;          /* for the engine's socket */
    bool engine_seen;
    struct service_socket sockets[SERVICE_MAX];
    size_t nsockets;
};

extern char **environ;

/* ---- stopping ---- */

static uint64_t stop(void *owner)
{
    struct filter *f = &((struct process *)owner)->filter;
    f->stopping = true;
    if (f->frontend) { /* else it waits for the engine */
        frontend_stop(f->frontend);
    }
    return f->settings.shutdown_timeout;
}

/* Upgraded connections have no end of their own: they are not waited for. */
static bool idle(void *owner)
{
    const struct frontend *fe = ((struct process *)owner)->filter.frontend;
    return !fe || !frontend_busy(fe);
}

static unsigned left(void *owner)
{
    return frontend_clients(((struct process *)owner)->filter.frontend);
}

static void reload(void *owner)
{
    struct frontend *fe = ((struct process *)owner)->filter.frontend;
    if (fe) {
        frontend_reload(fe);
    }
}

static const struct life_events life_events = {
    .stop = stop, .idle = idle, .left = left, .reload = reload};

/* ---- starting ---- */

/* What it may still open. Texts are kept until the sandbox is entered. */
struct paths {
    struct sandbox_settings *to;
    char *texts[SANDBOX_PATHS_MAX];
    size_t n;
    bool full; /* there are more than fit */
};

static void add_folder(struct paths *paths, const char *folder, bool write)
{
    for (size_t i = 0; i < paths->n; i++) {
        if (strcmp(paths->to->paths[i].path, folder) == 0 && paths->to->paths[i].write == write) {
            return;
        }
    }
    if (access(folder, F_OK) != 0) { /* whoever needs it says so */
        return;
    }
    if (paths->n == SANDBOX_PATHS_MAX) {
        paths->full = true;
        return;
    }
    paths->texts[paths->n] = xstrndup(folder, strlen(folder));
    paths->to->paths[paths->n] = (struct sandbox_path){paths->texts[paths->n], write};
    paths->n++;
}

/* A file to be read again. Its folder counts, as a renewed one is another file; and where it is a link, as
 * ACME clients make them, the folder that it leads to. */
static void add_file(struct paths *paths, const char *path)
{
    char text[PATH_MAX];
    snprintf(text, sizeof(text), "%s", path);
    add_folder(paths, dirname(text), false);
    if (realpath(path, text)) {
        add_folder(paths, dirname(text), false);
    }
}

/* A socket's file is removed at the end, where that needs no rights over a folder that others use, too. */
static void add_socket(struct paths *paths, const struct listen_addr *at)
{
    static const char *const shared[] = {"/run", "/var/run", "/tmp", "/"};
    char text[LISTEN_PATH_MAX];
    if (at->kind != LISTEN_UNIX) {
        return;
    }
    snprintf(text, sizeof(text), "%s", at->path);
    const char *folder = dirname(text);
    for (size_t i = 0; i < ARRAY_LEN(shared); i++) {
        if (strcmp(folder, shared[i]) == 0) {
            return;
        }
    }
    add_folder(paths, folder, true);
}

static int list_paths(const struct filter_settings *set, struct paths *paths, char *err,
                      size_t errlen)
{
    struct ip_addr ip;
    for (size_t i = 0; i < set->nlisteners; i++) {
        const struct filter_listener *ls = &set->listeners[i];
        const char *const files[] = {ls->certificate, ls->key, ls->client_ca};
        add_socket(paths, &ls->at);
        for (size_t k = 0; k < ARRAY_LEN(files); k++) {
            if (*files[k]) {
                add_file(paths, files[k]);
            }
        }
        paths->to->network |= ls->exapp != 0;
    }
    add_socket(paths, &set->admin);
    if (set->audit != FILTER_AUDIT_OFF) {
        add_folder(paths, set->audit_folder, true);
        add_folder(paths, "/proc/sys/kernel/random", false); /* boot_id, asked by audit_open */
    }
    paths->to->names = paths->to->network && ip_parse(str_of(set->exapps_net), &ip) < 0;
    if (paths->to->names) {
        add_folder(paths, "/etc", false);
        add_file(paths, "/etc/resolv.conf"); /* often a link to another folder */
    }
    if (paths->full) {
        snprintf(
            err, errlen,
            "certificates and sockets are in more than %d folders, which the sandbox would have "
            "to keep open; put them into fewer",
            SANDBOX_PATHS_MAX);
        return -1;
    }
    return 0;
}

/* Told now, and not when the certificate has expired because nobody could read the new one. */
static void warn_unreadable(struct process *p)
{
    const struct filter_settings *set = &p->filter.settings;
    const char *last = "";
    for (size_t i = 0; i < set->nlisteners; i++) {
        const struct filter_listener *ls = &set->listeners[i];
        const char *const files[] = {ls->certificate, ls->key, ls->client_ca};
        for (size_t k = 0; k < ARRAY_LEN(files); k++) {
            if (*files[k] && strcmp(files[k], last) != 0 && access(files[k], R_OK) != 0) {
                log_warning(&p->log, "sandbox", 0,
                            "user %u can't read %s: a renewed one is not used before a restart",
                            (unsigned)geteuid(), files[k]);
                last = files[k];
            }
        }
    }
}

static int give_up_rights(struct process *p, char *err, size_t errlen)
{
    const struct filter_settings *set = &p->filter.settings;
    struct sandbox_settings to = {.user = set->user, .docker = set->docker.path};
    struct paths paths = {.to = &to};
    char said[SANDBOX_SAID_MAX];
    if (!set->sandbox) {
        if (*set->user) {
            snprintf(err, errlen, "user is set, but sandbox is false: it would be ignored");
            return -1;
        }
        log_warning(&p->log, "sandbox", 0, "off: this process keeps all its rights");
        return 0;
    }
    int rc = list_paths(set, &paths, err, errlen);
    rc = rc == 0 ? sandbox_enter(&to, said, err, errlen) : rc;
    if (rc == 0) {
        log_info(&p->log, "sandbox", 0, "%s", said);
        warn_unreadable(p);
        if (geteuid() == 0) {
            log_warning(&p->log, "sandbox", 0,
                        "runs as root, without its capabilities; set user to one of its own");
        }
    }
    for (size_t i = 0; i < paths.n; i++) {
        free(paths.texts[i]);
    }
    return rc;
}

static bool engine_is_there(const struct process *p)
{
    struct stat st;
    return stat(p->filter.settings.docker.path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

static void look_for_engine(struct timer *t)
{
    struct process *p = CONTAINER_OF(t, struct process, await);
    if (p->engine_seen) {
        loop_stop(&p->filter.loop);
        return;
    }
    p->engine_seen = engine_is_there(p); /* and once more: it may have its group to get */
    service_notify("EXTEND_TIMEOUT_USEC=10000000"); /* no start takes so long without being told */
    timer_set(&p->filter.loop, t, AWAIT_MS);
}

/* The group of the engine's socket can't be had later. Until it is known nothing listens: no client's byte
 * is read with root's rights. False: told to end meanwhile. */
static bool await_engine(struct process *p)
{
    const struct filter_settings *set = &p->filter.settings;
    if (!set->sandbox || !*set->user || geteuid() != 0 || engine_is_there(p)) {
        return true;
    }
    log_warning(&p->log, "filter", 0,
                "waits for the engine's socket %s, whose group user '%s' is to keep",
                set->docker.path, set->user);
    p->await.fire = look_for_engine;
    timer_set(&p->filter.loop, &p->await, AWAIT_MS);
    loop_run(&p->filter.loop);
    timer_remove(&p->filter.loop, &p->await);
    return !p->filter.stopping;
}

static bool any_listener(const struct filter_settings *set, bool exapps)
{
    for (size_t i = 0; i < set->nlisteners; i++) {
        if (exapps ? set->listeners[i].exapp != 0 : *set->listeners[i].user != '\0') {
            return true;
        }
    }
    return false;
}

static int start(struct process *p, char *err, size_t errlen)
{
    struct filter *f = &p->filter;
    const struct filter_settings *set = &f->settings;
    f->bind_host = (struct bind_host){set->docker.path, host_path_mounts_open()};
    f->engine = engine_new(f);
    f->execs = execs_new((size_t)set->max_execs);
    f->resolver = any_listener(set, true) ? resolver_new(&f->loop, RESOLVER_LIMIT_MS) : NULL;
    if (any_listener(set, false)) {
        f->bans = bans_new(set->ban_count, set->ban_window, f->log);
        if (!f->bans) {
            snprintf(err, errlen, "no random bytes to be had");
            return -1;
        }
    }
    f->frontend = frontend_start(f, p->sockets, p->nsockets, err, errlen);
    if (!f->frontend || give_up_rights(p, err, errlen) < 0) {
        return -1;
    }
    if (set->audit != FILTER_AUDIT_OFF) {
        struct audit_settings audit = {.folder = set->audit_folder,
                                       .segment_size = set->audit_segment_size,
                                       .sync = (enum audit_sync)set->audit_sync};
        f->audit = audit_open(&f->loop, f->log, &audit, err, errlen);
        return f->audit ? 0 : -1;
    }
    return 0;
}

static void clean_up(struct process *p)
{
    struct filter *f = &p->filter;
    frontend_free(f->frontend);
    autostart_free(p->autostart);
    engine_free(f->engine);
    execs_free(f->execs);
    if (f->bind_host.mounts >= 0) {
        close(f->bind_host.mounts);
    }
    audit_close(f->audit);
    life_end(&p->life);
    loop_free(&f->loop);
    resolver_free(f->resolver);
    bans_free(f->bans);
    filter_settings_free(&f->settings);
}

static int serve(struct process *p)
{
    char err[1024];
    struct filter *f = &p->filter;
    int code = EXIT_CODE_SETTINGS;
    f->log = &p->log;
    if (f->settings.sandbox && sandbox_prepare(err, sizeof(err)) < 0) {
        fprintf(stderr, "harp-socket-filter: %s\n", err);
        filter_settings_free(&f->settings);
        return code;
    }
    if (loop_init(&f->loop, &p->log) < 0) {
        filter_settings_free(&f->settings);
        return code;
    }
    life_begin(&p->life, &f->loop, "filter", &life_events, p);
    if (!await_engine(p)) {
        code = EXIT_CODE_OK;
    } else if (start(p, err, sizeof(err)) < 0) {
        log_error(&p->log, "filter", 0, "%s", err);
    } else {
        life_ready(&p->life, HARP_VERSION);
        if (f->settings.autostart) {
            const char *policy = f->settings.listeners[0].policy;
            p->autostart =
                autostart_begin(f, policies_find(f->settings.policies, str_of(policy))->policy);
        }
        loop_run(&f->loop);
        log_info(&p->log, "filter", 0, "stopped");
        code = f->lost ? EXIT_CODE_SETTINGS : EXIT_CODE_OK;
    }
    clean_up(p);
    return code;
}

static void warn(void *arg, const char *line)
{
    log_warning(arg, "settings", 0, "%s", line);
}

int main(int argc, char **argv)
{
    static struct process process; /* zeroed, and too large for a stack */
    struct program program = filter_program(HARP_VERSION);
    static struct options options;
    struct config_report report = {.warn = warn, .arg = &process.log};
    struct filter_settings *set = &process.filter.settings;
    char err[256];
    int code = options_parse(&options, argc, argv, environ, &program, stdout, stderr);
    if (code != OPTIONS_RUN) {
        return code;
    }
    if (options.command) {
        return filter_command(&program, &options, environ, stdout, stderr);
    }
    log_init(&process.log, 2, LOG_LEVEL_WARNING, LOG_FORMAT_TEXT);
    if (filter_settings_load(set, &options, environ, &report) < 0) {
        fprintf(stderr, "harp-socket-filter: %s\n", report.error);
        return EXIT_CODE_SETTINGS;
    }
    if (options.check_config) {
        printf("the settings are good\n");
        filter_settings_free(set);
        return EXIT_CODE_OK;
    }
    log_init(&process.log, 2, (enum log_level)set->log_level, (enum log_format)set->log_format);
    signal(SIGXFSZ, SIG_IGN); /* a file that must not grow is an error like a full disk */
    int sockets = service_sockets(process.sockets, err, sizeof(err));
    if (sockets < 0) {
        fprintf(stderr, "harp-socket-filter: %s\n", err);
        filter_settings_free(set);
        return EXIT_CODE_SETTINGS;
    }
    process.nsockets = (size_t)sockets;
    return serve(&process);
}
