/* main.c - starts the shipper, and ends it.
 *
 * A program of its own, so that neither a network nor the keys of the object storage are anywhere near the
 * process that stands before the Docker socket. SIGTERM, SIGINT: what is being sent is dropped, exit 0; it is
 * sent anew after the next start. SIGHUP: what waits for its time is tried now.
 */
#include <stdio.h>

#include "common/log/log.h"
#include "common/system/life.h"
#include "socket-filter/ship/shipper.h"

struct process {
    struct loop loop;
    struct log log;
    struct options options;
    struct ship_config config;
    struct shipper *shipper;
    struct life life;
    bool once, stopped;
};

extern char **environ;

static void warn(void *arg, const char *line)
{
    log_warning(arg, "settings", 0, "%s", line);
}

/* What is being sent is not waited for: it is sent anew after the next start. */
static uint64_t stop(void *owner)
{
    struct process *p = owner;

    p->stopped = true;
    return 0;
}

static bool idle(void *owner)
{
    (void)owner;
    return true;
}

static unsigned left(void *owner)
{
    (void)owner;
    return 0;
}

static void hurry(void *owner)
{
    struct process *p = owner;

    if (p->shipper) {
        shipper_hurry(p->shipper);
    }
}

static const struct life_events life_events = {
    .stop = stop, .idle = idle, .left = left, .reload = hurry};

static int serve(struct process *p)
{
    char err[512];
    int code = EXIT_CODE_SETTINGS;

    if (loop_init(&p->loop, &p->log) < 0) {
        return code;
    }
    life_begin(&p->life, &p->loop, "ship", &life_events, p);
    p->shipper = shipper_new(&p->loop, &p->config, p->once, err, sizeof(err));
    if (p->shipper) {
        if (!p->once) {
            log_info(&p->log, "ship", 0, "%s goes to the bucket %s at %s", p->config.folder,
                     p->config.bucket, p->config.endpoint);
            life_ready(&p->life, HARP_VERSION);
        }
        loop_run(&p->loop);
        bool failed = shipper_failed(p->shipper);
        code = p->once && (failed || p->stopped) ? EXIT_CODE_SETTINGS : EXIT_CODE_OK;
        shipper_free(p->shipper);
        log_info(&p->log, "ship", 0, "stopped");
    } else {
        log_error(&p->log, "settings", 0, "%s", err);
    }
    life_end(&p->life);
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
