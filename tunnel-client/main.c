/* main.c - starts the tunnel client, and ends it.
 *
 * SIGTERM, SIGINT: close the proxies, let running requests finish (shutdown_timeout at most), exit
 * 0. A second one ends at once. SIGHUP: read the settings again; proxies that stay are not touched.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/log/log.h"
#include "common/loop/resolver.h"
#include "common/system/life.h"
#include "tunnel-client/session.h"
#include "tunnel-client/status.h"
#include "tunnel-client/status_command.h"

struct process {
    struct loop loop;
    struct log log;
    struct options options;
    struct tunnel_config *set;
    struct resolver *resolver;
    struct session *session;
    struct status *status;
    struct life life;
    int code;
};

extern char **environ;

static void warn(void *arg, const char *line)
{
    log_warning(arg, "settings", 0, "%s", line);
}

static void free_config(struct tunnel_config *set)
{
    if (set) {
        tunnel_config_free(set);
        free(set);
    }
}

/* NULL with the reason in err. */
static struct tunnel_config *load(struct process *p, char *err, size_t errlen)
{
    struct config_report report = {.warn = warn, .arg = &p->log};
    struct tunnel_config *set = xcalloc(1, sizeof(*set));
    bool asks = p->options.command && !p->options.config[0];
    if ((asks ? tunnel_config_load_socket(set, environ, &report)
              : tunnel_config_load(set, p->options.config, environ, &report)) < 0) {
        snprintf(err, errlen, "%s", report.error);
        free(set);
        return NULL;
    }
    for (size_t i = 0; i < set->proxies_n; i++) {
        if (set->proxies[i].use_encryption || set->proxies[i].use_compression) {
            snprintf(err, errlen,
                     "proxy %s: useEncryption and useCompression are not supported; remove them, "
                     "the tunnel's TLS encrypts",
                     set->proxies[i].name);
            free_config(set);
            return NULL;
        }
    }
    return set;
}

/* ---- signals ---- */

static uint64_t stop(void *owner)
{
    return ((struct process *)owner)->set->shutdown_timeout;
}

static bool idle(void *owner)
{
    return session_stop(((struct process *)owner)->session);
}

static unsigned left(void *owner)
{
    return ((struct process *)owner)->session->works_n;
}

static void reload(void *owner)
{
    struct process *p = owner;
    char err[1024];
    bool off = false;
    struct tunnel_config *set = load(p, err, sizeof(err));
    SSL_CTX *tls = set ? session_tls(set, &p->log, &off, err, sizeof(err)) : NULL;
    if (!set || (!tls && !off)) {
        log_error(&p->log, "settings", 0, "the settings in use are kept: %s", err);
        free_config(set);
        return;
    }
    struct tunnel_config *old = p->set;
    session_reload(p->session, set, tls);
    p->set = set;
    p->log.level = (enum log_level)set->log_level;
    free_config(old);
}

static const struct life_events life_events = {
    .stop = stop, .idle = idle, .left = left, .reload = reload};

/* ---- start ---- */

static void on_failed(void *owner)
{
    struct process *p = owner;
    p->code = EXIT_CODE_SETTINGS;
    loop_stop(&p->loop);
}

static int serve(struct process *p)
{
    char err[1024];
    bool off = false;
    if (loop_init(&p->loop, &p->log) < 0) {
        return EXIT_CODE_SETTINGS;
    }
    life_begin(&p->life, &p->loop, "client", &life_events, p);
    SSL_CTX *tls = session_tls(p->set, &p->log, &off, err, sizeof(err));
    if (!tls && !off) {
        log_error(&p->log, "settings", 0, "%s", err);
        p->code = EXIT_CODE_SETTINGS;
    } else {
        p->resolver = resolver_new(&p->loop, RESOLVER_LIMIT_MS);
        p->session = session_new(&p->loop, p->resolver, p->set, tls, on_failed, p);
        p->status = status_start(p->session, &p->set->status_socket);
        life_ready(&p->life, HARP_VERSION);
        loop_run(&p->loop);
        status_free(p->status);
        session_free(p->session);
        log_info(&p->log, "client", 0, "stopped");
    }
    life_end(&p->life);
    loop_free(&p->loop);
    resolver_free(p->resolver);
    return p->code;
}

int main(int argc, char **argv)
{
    static struct process process;
    struct process *p = &process;
    struct program program = tunnel_program(HARP_VERSION);
    char err[1024];
    int code = options_parse(&p->options, argc, argv, environ, &program, stdout, stderr);
    if (code != OPTIONS_RUN) {
        return code;
    }
    log_init(&p->log, 2, LOG_LEVEL_WARNING, LOG_FORMAT_TEXT);
    p->set = load(p, err, sizeof(err));
    if (!p->set) {
        fprintf(stderr, "harp-tunnel-client: %s\n", err);
        return EXIT_CODE_SETTINGS;
    }
    if (p->options.check_config) {
        printf("the settings are good\n");
    } else if (p->options.command) {
        code = tunnel_command(p->set, &program, &p->options, stdout, stderr);
    } else {
        log_init(&p->log, 2, (enum log_level)p->set->log_level,
                 (enum log_format)p->set->log_format);
        code = serve(p);
    }
    free_config(p->set);
    return code == OPTIONS_RUN ? EXIT_CODE_OK : code;
}
