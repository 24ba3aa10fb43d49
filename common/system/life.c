#include "common/system/life.h"

#include <signal.h>
#include <sys/resource.h>

#include "common/log/log.h"
#include "common/system/service.h"

enum { POLL_MS = 20 };

static void stop_late(struct timer *t)
{
    struct life *life = CONTAINER_OF(t, struct life, limit);
    log_warning(life->loop->log, life->area, 0,
                "%u connections were still open at the end of shutdown_timeout",
                life->events->left(life->owner));
    loop_stop(life->loop);
}

static void stop_when_idle(struct timer *t)
{
    struct life *life = CONTAINER_OF(t, struct life, poll);
    if (life->events->idle(life->owner)) {
        loop_stop(life->loop);
    } else {
        timer_set(life->loop, t, POLL_MS);
    }
}

static void stop(struct life *life)
{
    if (life->stopping) {
        loop_stop(life->loop);
        return;
    }
    log_info(life->loop->log, life->area, 0, "stopping; what runs may finish");
    service_notify("STOPPING=1");
    life->stopping = true;
    uint64_t limit = life->events->stop(life->owner);
    timer_set(life->loop, &life->limit, MAX(limit, 1));
    stop_when_idle(&life->poll);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct life *life = handle->data;
    if (number != SIGHUP) {
        stop(life);
    } else if (!life->stopping) {
        life->events->reload(life->owner);
    }
}

static void feed_watchdog(struct timer *t)
{
    struct life *life = CONTAINER_OF(t, struct life, watchdog);
    service_notify("WATCHDOG=1");
    timer_set(life->loop, t, life->watchdog_ms);
}

static void raise_open_files(void)
{
    struct rlimit lim;
    if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < lim.rlim_max) {
        lim.rlim_cur = lim.rlim_max;
        setrlimit(RLIMIT_NOFILE, &lim);
    }
}

void life_begin(struct life *life, struct loop *loop, const char *area,
                const struct life_events *events, void *owner)
{
    static const int numbers[LIFE_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
    life->loop = loop;
    life->area = area;
    life->events = events;
    life->owner = owner;
    life->limit.fire = stop_late;
    life->poll.fire = stop_when_idle;
    life->watchdog.fire = feed_watchdog;
    life->watchdog_ms = service_watchdog_ms();
    raise_open_files();
    for (int i = 0; i < LIFE_SIGNALS; i++) {
        uv_signal_init(&loop->uv, &life->signals[i]);
        life->signals[i].data = life;
        uv_signal_start(&life->signals[i], on_signal, numbers[i]);
    }
}

void life_ready(struct life *life, const char *version)
{
    struct log *log = life->loop->log;
    enum log_level level = log->level;
    log->level = MAX(level, LOG_LEVEL_INFO);
    log_info(log, life->area, 0, "ready; version %s", version);
    log->level = level;
    service_notify("READY=1");
    timer_set(life->loop, &life->watchdog, life->watchdog_ms);
}

void life_end(struct life *life)
{
    if (life->loop) {
        timer_remove(life->loop, &life->limit);
        timer_remove(life->loop, &life->poll);
        timer_remove(life->loop, &life->watchdog);
    }
}
