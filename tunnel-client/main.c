/* main.c - starts the tunnel client, and ends it.
 *
 * SIGTERM, SIGINT: close the proxies, let running requests finish (shutdown_timeout at most), exit
 * 0. A second one ends at once. SIGHUP: read the settings again; proxies that stay are not touched.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log/log.h"
#include "common/loop/resolver.h"
#include "tunnel-client/session.h"

enum { STOP_POLL_MS = 50, SIGNALS = 3 };

struct process {
    struct loop loop;
    struct log log;
    struct options options;
    struct tunnel_config *set;
    struct resolver *resolver;
    struct session *session;
    uv_signal_t signals[SIGNALS];
    struct timer stop_limit, stop_poll;
    bool stopping;
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
    if (tunnel_config_load(set, p->options.config, environ, &report) < 0) {
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

static void stop_now(struct timer *t)
{
    struct process *p = CONTAINER_OF(t, struct process, stop_limit);
    log_warning(&p->log, "client", 0, "connections were still open at the end of shutdown_timeout");
    loop_stop(&p->loop);
}

static void stop_when_idle(struct timer *t)
{
    struct process *p = CONTAINER_OF(t, struct process, stop_poll);
    if (session_stop(p->session)) {
        loop_stop(&p->loop);
    } else {
        timer_set(&p->loop, t, STOP_POLL_MS);
    }
}

static void stop(struct process *p)
{
    if (p->stopping) {
        loop_stop(&p->loop);
        return;
    }
    p->stopping = true;
    log_info(&p->log, "client", 0, "stopping; running requests may finish");
    p->stop_limit.fire = stop_now;
    p->stop_poll.fire = stop_when_idle;
    timer_set(&p->loop, &p->stop_limit, MAX(p->set->shutdown_timeout, 1));
    stop_when_idle(&p->stop_poll);
}

static void reload(struct process *p)
{
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

static void on_signal(uv_signal_t *handle, int number)
{
    struct process *p = handle->data;
    if (number != SIGHUP) {
        stop(p);
    } else if (!p->stopping) {
        reload(p);
    }
}

static void watch_signals(struct process *p)
{
    static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
    for (int i = 0; i < SIGNALS; i++) {
        uv_signal_init(&p->loop.uv, &p->signals[i]);
        p->signals[i].data = p;
        uv_signal_start(&p->signals[i], on_signal, numbers[i]);
    }
}

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
    watch_signals(p); /* first: a stop that comes while it starts is a stop, too */
    SSL_CTX *tls = session_tls(p->set, &p->log, &off, err, sizeof(err));
    if (!tls && !off) {
        log_error(&p->log, "settings", 0, "%s", err);
        p->code = EXIT_CODE_SETTINGS;
    } else {
        p->resolver = resolver_new(&p->loop, RESOLVER_LIMIT_MS);
        p->session = session_new(&p->loop, p->resolver, p->set, tls, on_failed, p);
        loop_run(&p->loop);
        session_free(p->session);
        log_info(&p->log, "client", 0, "stopped");
    }
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
    } else {
        log_init(&p->log, 2, (enum log_level)p->set->log_level,
                 (enum log_format)p->set->log_format);
        code = serve(p);
    }
    free_config(p->set);
    return code == OPTIONS_RUN ? EXIT_CODE_OK : code;
}
