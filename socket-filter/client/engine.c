#include "socket-filter/client/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/stream/dial.h"
#include "common/stream/sock.h"
#include "socket-filter/filter.h"

enum {
    LEFT_MAX = 64,   /* connections left to the engine; more are closed */
    DOUBT_MS = 1000, /* an engine makes its socket first, and gives it its group afterwards */
};

/* A place for a connection without a client. */
struct kept {
    struct engine *engine;
    struct stream *s; /* NULL: the place is free */
    uint64_t until;   /* loop_now, in ms */
};

struct engine {
    struct filter *f;
    struct kept idle[ENGINE_IDLE_MAX], left[LEFT_MAX];
    struct timer expire;
    struct timer doubt; /* runs while the socket seems to be out of reach for good */
    bool worked;        /* there was a connection */
};

struct engine_wait {
    struct engine *engine;
    struct dial *dial;
    engine_done *done;
    void *owner;
};

/* ---- those without a client ---- */

static void drop(struct kept *k)
{
    stream_close(k->s);
    k->s = NULL;
}

static size_t kept_data(void *owner, struct stream *s UNUSED, const char *p UNUSED, size_t n)
{
    drop(owner); /* idle: nobody asked; left: it has answered */
    return n;
}

static void kept_eof(void *owner, struct stream *s UNUSED)
{
    drop(owner);
}

static void kept_closed(void *owner, struct stream *s UNUSED, const char *why UNUSED)
{
    ((struct kept *)owner)->s = NULL;
}

static const struct stream_events kept_events = {
    .data = kept_data,
    .eof = kept_eof,
    .closed = kept_closed,
};

/* Drops what is over, and waits for the next one that will be. */
static void expire(struct engine *e)
{
    struct kept *const places[] = {e->idle, e->left};
    const size_t sizes[] = {ARRAY_LEN(e->idle), ARRAY_LEN(e->left)};
    uint64_t now = loop_now(&e->f->loop), due = 0;
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        for (struct kept *k = places[i]; k < places[i] + sizes[i]; k++) {
            if (k->s && k->until <= now) {
                drop(k);
            } else if (k->s && (due == 0 || k->until < due)) {
                due = k->until;
            }
        }
    }
    timer_set(&e->f->loop, &e->expire, due == 0 ? 0 : due - now);
}

static void expire_fire(struct timer *t)
{
    expire(CONTAINER_OF(t, struct engine, expire));
}

/* Closes it where there is no place. */
static void keep(struct engine *e, struct kept *places, size_t n, struct stream *s, uint64_t ms)
{
    for (struct kept *k = places; k < places + n; k++) {
        if (!k->s) {
            *k = (struct kept){e, s, loop_now(&e->f->loop) + ms};
            stream_own(s, &kept_events, k);
            stream_resume(s);
            expire(e);
            return;
        }
    }
    stream_close(s);
}

/* Nothing came on it that the loop has not told yet: bytes would be taken for the next answer. */
static bool quiet(struct stream *s)
{
    char c;
    ssize_t n = recv(CONTAINER_OF(s, struct sock, s)->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* The one used last; NULL: there is none. */
static struct kept *latest(struct engine *e)
{
    struct kept *last = NULL;
    for (size_t i = 0; i < ARRAY_LEN(e->idle); i++) {
        struct kept *k = &e->idle[i];
        last = k->s && (!last || k->until > last->until) ? k : last;
    }
    return last;
}

struct stream *engine_idle(struct engine *e)
{
    struct kept *k = latest(e);
    while (k && !quiet(k->s)) {
        drop(k);
        k = latest(e);
    }
    struct stream *s = k ? k->s : NULL;
    if (s) {
        k->s = NULL;
        stream_own(s, NULL, NULL);
    }
    return s;
}

void engine_put(struct engine *e, struct stream *s)
{
    keep(e, e->idle, ARRAY_LEN(e->idle), s, ENGINE_IDLE_MS);
}

void engine_leave(struct engine *e, struct stream *s)
{
    if (e->f->stopping) {
        stream_close(s);
    } else {
        keep(e, e->left, ARRAY_LEN(e->left), s, e->f->settings.timeout_slow);
    }
}

/* ---- a socket that will not come back ---- */

/* Why no later attempt of this process can succeed; NULL: one may. */
static const char *hopeless(const struct engine *e)
{
    struct sock_addr at;
    const char *path = e->f->settings.docker.path;
    const char *left = sock_unix_addr(&at, path) == 0 ? sock_left_mounted(&at) : NULL;
    bool forbidden = e->worked && access(path, W_OK) != 0 && errno == EACCES;
    return left        ? left
           : forbidden ? "Permission denied: its group or mode is another one than at the start"
                       : NULL;
}

static void doubt_fire(struct timer *t)
{
    struct engine *e = CONTAINER_OF(t, struct engine, doubt);
    struct filter *f = e->f;
    const char *why = hopeless(e);
    if (!why) {
        log_info(f->log, "engine", 0, "%s can be reached again", f->settings.docker.path);
        return;
    }
    log_error(f->log, "engine", 0, "%s: %s; this program ends, to be started again",
              f->settings.docker.path, why);
    f->lost = true;
    loop_stop(&f->loop);
}

static void doubt(struct engine *e)
{
    const char *why = e->doubt.due == 0 ? hopeless(e) : NULL;
    if (why) {
        log_warning(e->f->log, "engine", 0, "%s: %s", e->f->settings.docker.path, why);
        timer_set(&e->f->loop, &e->doubt, DOUBT_MS);
    }
}

/* ---- new ones ---- */

static void connected(void *owner, struct stream *s, bool timed_out, const char *why)
{
    struct engine_wait *w = owner;
    struct engine *e = w->engine;
    engine_done *done = w->done;
    void *who = w->owner;
    free(w);
    e->f->metrics.engine_connections += s != NULL; /* who asked counts failures */
    e->worked |= s != NULL;
    if (!s) {
        doubt(e);
    }
    done(who, s, timed_out, why);
}

struct engine_wait *engine_connect(struct engine *e, engine_done *done, void *owner)
{
    struct engine_wait *w = xcalloc(1, sizeof(*w));
    w->engine = e;
    w->done = done;
    w->owner = owner;
    w->dial = dial_unix(&e->f->loop, e->f->settings.docker.path, e->f->settings.connect_timeout,
                        connected, w);
    return w;
}

void engine_cancel(struct engine_wait *w)
{
    dial_cancel(w->dial);
    free(w);
}

struct engine *engine_new(struct filter *f)
{
    struct engine *e = xcalloc(1, sizeof(*e));
    e->f = f;
    e->expire.fire = expire_fire;
    e->doubt.fire = doubt_fire;
    return e;
}

void engine_free(struct engine *e)
{
    if (!e) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(e->idle); i++) {
        if (e->idle[i].s) {
            drop(&e->idle[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(e->left); i++) {
        if (e->left[i].s) {
            drop(&e->left[i]);
        }
    }
    timer_remove(&e->f->loop, &e->expire);
    timer_remove(&e->f->loop, &e->doubt);
    free(e);
}
