/* main.c - starts the hub, and ends it.
 *
 * SIGTERM, SIGINT: accept nothing more, let running exchanges finish (shutdown_timeout at most),
 * exit 0. A second one ends at once. SIGHUP: read cert.pem again.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/log/log.h"
#include "common/loop/resolver.h"
#include "common/system/life.h"
#include "hub/admin/admin.h"
#include "common/access/bans.h"
#include "hub/command/command.h"
#include "hub/deploy/deploy.h"
#include "hub/deploy/engine.h"
#include "hub/access/exapps.h"
#include "hub/client/frontend.h"
#include "hub/client/upstream.h"
#include "hub/hub.h"
#include "hub/access/nextcloud.h"
#include "hub/access/sessions.h"
#include "hub/rights.h"
#include "hub/tunnel/tunnels.h"

struct process {
    struct hub hub;
    struct log log;
    struct life life;
};

/* ---- stopping ---- */

static uint64_t stop(void *owner)
{
    struct hub *hub = &((struct process *)owner)->hub;
    hub->stopping = true;
    frontend_stop(hub->frontend);
    tunnels_stop_accepting(hub->tunnels);
    return hub->settings.shutdown_timeout;
}

/* Upgraded connections have no end of their own: they are not waited for. What is done with a container
 * is, whether anybody still waits for the answer or not. */
static bool idle(void *owner)
{
    const struct hub *hub = &((struct process *)owner)->hub;
    return hub->frontend->clients.next == &hub->frontend->clients && !deploys_busy(hub->deploys);
}

static unsigned left(void *owner)
{
    return ((struct process *)owner)->hub.frontend->count;
}

static void reload(void *owner)
{
    frontend_reload(((struct process *)owner)->hub.frontend);
}

static const struct life_events life_events = {
    .stop = stop, .idle = idle, .left = left, .reload = reload};

/* ---- starting ---- */

static int declare_exapps(struct hub *hub, char *err, size_t errlen)
{
    const struct hub_exapps *declared = &hub->settings.exapps;
    hub->exapps = exapps_new(hub);
    if (!hub->exapps) {
        snprintf(err, errlen, "out of memory");
        return -1;
    }
    for (size_t i = 0; i < declared->n; i++) {
        if (exapps_declare(hub->exapps, &declared->apps[i], err, errlen) < 0) {
            return -1;
        }
    }
    return 0;
}

/* What is asked when requests are judged; none of it listens. */
static int make_judges(struct hub *hub, char *err, size_t errlen)
{
    const struct hub_settings *set = &hub->settings;
    hub->bans = bans_new(set->blacklist_count, set->blacklist_window, hub->log);
    hub->sessions = sessions_new(hub);
    if (secret_set(&hub->key, str_of(set->shared_key)) < 0 || !hub->bans || !hub->sessions) {
        snprintf(err, errlen, "no random bytes to be had");
        return -1;
    }
    hub->nextcloud = nextcloud_new(hub, err, errlen);
    return hub->nextcloud ? declare_exapps(hub, err, errlen) : -1;
}

static int start(struct process *p, char *err, size_t errlen)
{
    struct hub *hub = &p->hub;
    hub->since = loop_now(&hub->loop);
    if (rights_give_up(&hub->settings, hub->log, err, errlen) < 0) {
        return -1;
    }
    hub->local_engine_seen = upstream_engine_is_local(hub, TUNNEL_ENGINE_FIRST);
    hub->resolver = resolver_new(&hub->loop, RESOLVER_LIMIT_MS);
    if (make_judges(hub, err, errlen) < 0) {
        return -1;
    }
    hub->tunnels = tunnels_start(hub, err, errlen);
    if (!hub->tunnels) {
        return -1;
    }
    hub->engines = engines_new(hub);
    hub->deploys = deploys_new(hub, err, errlen);
    if (!hub->deploys) {
        return -1;
    }
    hub->frontend = frontend_start(hub, err, errlen);
    if (!hub->frontend) {
        return -1;
    }
    hub->admin = admin_start(hub, err, errlen); /* last: it runs turns of the loop */
    return hub->admin ? 0 : -1;
}

static void clean_up(struct process *p)
{
    struct hub *hub = &p->hub;
    admin_free(hub->admin); /* first: it runs turns of the loop, with all their callbacks */
    frontend_free(hub->frontend);
    deploys_free(hub->deploys);
    engines_free(hub->engines);
    sessions_free(hub->sessions);
    exapps_free(hub->exapps);
    nextcloud_free(hub->nextcloud);
    tunnels_free(hub->tunnels);
    life_end(&p->life);
    loop_free(&hub->loop);
    resolver_free(hub->resolver);
    bans_free(hub->bans);
    secret_clear(&hub->key);
    hub_settings_free(&hub->settings);
}

static int serve(struct process *p)
{
    char err[1024];
    struct hub *hub = &p->hub;
    int code = EXIT_CODE_SETTINGS;
    hub->log = &p->log;
    if (loop_init(&hub->loop, &p->log) < 0) {
        hub_settings_free(&hub->settings);
        return code;
    }
    life_begin(&p->life, &hub->loop, "hub", &life_events, p);
    enum log_level level = p->log.level;
    if (hub->settings.verbose_start) {
        p->log.level = MAX(level, LOG_LEVEL_INFO);
    }
    if (start(p, err, sizeof(err)) < 0) {
        log_error(&p->log, "hub", 0, "%s", err);
    } else {
        p->log.level = level;
        life_ready(&p->life, HARP_VERSION);
        loop_run(&hub->loop);
        log_info(&p->log, "hub", 0, "stopped");
        code = EXIT_CODE_OK;
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
    extern char **environ;
    static struct process process; /* zeroed, and too large for a stack */
    struct program program = hub_program(HARP_VERSION);
    struct options options;
    struct config_report report = {.warn = warn, .arg = &process.log};
    int code = options_parse(&options, argc, argv, environ, &program, stdout, stderr);
    if (code != OPTIONS_RUN) {
        return code;
    }
    log_init(&process.log, 2, LOG_LEVEL_WARNING, LOG_FORMAT_TEXT);
    if (options.command && strcmp(options.command->name, "health") == 0) {
        report.warn = NULL; /* it prints one line, and the hub has told these */
    }
    struct hub_settings *set = &process.hub.settings;
    if (hub_settings_load(set, options.config, environ, &report) < 0) {
        fprintf(stderr, "harp-hub: %s\n", report.error);
        return EXIT_CODE_SETTINGS;
    }
    if (options.check_config) {
        printf("the settings are good\n");
        hub_settings_free(set);
        return EXIT_CODE_OK;
    }
    if (options.command) {
        code = command_run(set, &program, &options, stdout, stderr);
        hub_settings_free(set);
        return code;
    }
    log_init(&process.log, 2, (enum log_level)set->log_level, (enum log_format)set->log_format);
    return serve(&process);
}
