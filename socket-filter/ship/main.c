/* main.c - starts the shipper, and ends it.
 *
 * A program of its own, so that neither a network nor the keys of the object storage are anywhere near the
 * process that stands before the Docker socket. SIGTERM, SIGINT: what is being sent is dropped, exit 0; it is
 * sent anew after the next start. SIGHUP: what waits for its time is tried now.
 */
#include <signal.h>
#include <stdio.h>

#include "common/log/log.h"
#include "socket-filter/ship/shipper.h"

enum { SIGNALS = 3 };

struct process {
    struct loop loop;
    struct log log;
    struct options options;
    struct ship_config config;
    struct shipper *shipper;
    uv_signal_t signals[SIGNALS];
    bool once, stopped;
};

extern char **environ;

static void warn(void *arg, const char *line)
{
    log_warning(arg, "settings", 0, "%s", line);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct process *p = handle->data;

    if (number == SIGHUP) {
        if (p->shipper) {
            shipper_hurry(p->shipper);
        }
    } else {
        p->stopped = true;
        loop_stop(&p->loop);
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

static int serve(struct process *p)
{
    char err[512];
    int code = EXIT_CODE_SETTINGS;

    if (loop_init(&p->loop, &p->log) < 0) {
        return code;
    }
    watch_signals(p); /* first: a stop that comes while it starts is a stop, too */
    p->shipper = shipper_new(&p->loop, &p->config, p->once, err, sizeof(err));
    if (p->shipper) {
        if (!p->once) {
            log_info(&p->log, "ship", 0, "ready: %s goes to the bucket %s at %s", p->config.folder,
                     p->config.bucket, p->config.endpoint);
        }
        loop_run(&p->loop);
        bool failed = shipper_failed(p->shipper);
        code = p->once && (failed || p->stopped) ? EXIT_CODE_SETTINGS : EXIT_CODE_OK;
        shipper_free(p->shipper);
        log_info(&p->log, "ship", 0, "stopped");
    } else {
        log_error(&p->log, "settings", 0, "%s", err);
    }
    loop_free(&p->loop);
    return code;
}

/* --once is this program's alone: taken out before the options that all have are read. */
static bool take_once(int *argc, char **argv)
{
    bool once = false;
    int n = 0;

    for (int i = 0; i < *argc; i++) {
        if (i > 0 && strcmp(argv[i], "--once") == 0) {
            once = true;
        } else {
            argv[n++] = argv[i];
        }
    }
    argv[n] = NULL;
    *argc = n;
    return once;
}

int main(int argc, char **argv)
{
    static struct process process;
    struct process *p = &process;
    struct program program = ship_program(HARP_VERSION);
    struct config_report report = {.warn = warn, .arg = &p->log};

    p->once = take_once(&argc, argv);
    int code = options_parse(&p->options, argc, argv, environ, &program, stdout, stderr);
    if (code != OPTIONS_RUN) {
        return code;
    }
    log_init(&p->log, 2, LOG_LEVEL_WARNING, LOG_FORMAT_TEXT);
    if (ship_config_load(&p->config, p->options.config, environ, &report) < 0) {
        fprintf(stderr, "harp-audit-ship: %s\n", report.error);
        return EXIT_CODE_SETTINGS;
    }
    if (p->options.check_config) {
        printf("the settings are good\n");
        code = EXIT_CODE_OK;
    } else {
        log_init(&p->log, 2, (enum log_level)p->config.log_level,
                 (enum log_format)p->config.log_format);
        code = serve(p);
    }
    ship_config_free(&p->config);
    return code;
}
