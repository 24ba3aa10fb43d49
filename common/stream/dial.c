#include "common/stream/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    NEXT_ADDRESS_MS = 250,
    BACKLOG_RETRY_MS = 5, /* nothing tells when a unix socket's backlog has room again */
};

struct attempt {
    struct dial *dial;
    struct stream *s; /* NULL: not started, or failed */
    struct sock_addr at;
};

struct dial {
    struct loop *loop;
    uint16_t port;
    struct lookup *lookup;
    struct resolved found;
    struct attempt tries[RESOLVER_MAX_ADDRS];
    unsigned next, running;
    struct timer limit, stagger;
    struct loop_task go;
    dial_done *done;
    void *owner;
    bool over;
    char why[320];
};

static void run_free(struct loop_task *task)
{
    free(CONTAINER_OF(task, struct dial, go));
}

/* Ends everything but `keep`. */
static void clear(struct dial *d, const struct stream *keep)
{
    d->over = true;
    if (d->lookup) {
        resolver_cancel(d->lookup);
        d->lookup = NULL;
    }
    for (unsigned i = 0; i < d->next; i++) {
        if (d->tries[i].s && d->tries[i].s != keep) {
            stream_close(d->tries[i].s);
        }
        d->tries[i].s = NULL;
    }
    timer_remove(d->loop, &d->limit);
    timer_remove(d->loop, &d->stagger);
    loop_cancel(&d->go);
    d->go.run = run_free;
    loop_defer(d->loop, &d->go);
}

static void finish(struct dial *d, struct stream *s, bool timed_out)
{
    clear(d, s);
    if (s) {
        stream_own(s, NULL, NULL);
    }
    d->done(d->owner, s, timed_out, d->why);
}

static void try_next(struct dial *d);

static void on_ready(void *owner, struct stream *s)
{
    struct attempt *a = owner;
    finish(a->dial, s, false);
}

static void failed(struct attempt *a, const char *why)
{
    struct dial *d = a->dial;
    char text[128];
    a->s = NULL;
    const char *left = sock_left_mounted(&a->at);
    snprintf(d->why, sizeof(d->why), "%s: %s%s%s", sock_addr_text(&a->at, text, sizeof(text)), why,
             left ? "; " : "", left ? left : "");
}

static void on_closed(void *owner, struct stream *s UNUSED, const char *why)
{
    struct attempt *a = owner;
    a->dial->running--;
    failed(a, why);
    try_next(a->dial);
}

static const struct stream_events attempt_events = {.ready = on_ready, .closed = on_closed};

/* Starts the next address that can be started; ends the dial when none is left. */
static void try_next(struct dial *d)
{
    while (d->next < d->found.n) {
        struct attempt *a = &d->tries[d->next];
        a->dial = d;
        a->at.sa = d->found.sa[d->next];
        a->at.len = d->found.len[d->next];
        if (a->at.sa.ss_family == AF_INET) {
            ((struct sockaddr_in *)&a->at.sa)->sin_port = htons(d->port);
        } else if (a->at.sa.ss_family == AF_INET6) {
            ((struct sockaddr_in6 *)&a->at.sa)->sin6_port = htons(d->port);
        }
        a->s = sock_connect(d->loop, &a->at);
        if (!a->s && errno == EAGAIN && a->at.sa.ss_family == AF_UNIX) {
            timer_set(d->loop, &d->stagger, BACKLOG_RETRY_MS);
            return;
        }
        d->next++;
        if (a->s) {
            d->running++;
            stream_own(a->s, &attempt_events, a);
            if (d->next < d->found.n) {
                timer_set(d->loop, &d->stagger, NEXT_ADDRESS_MS);
            }
            return;
        }
        failed(a, strerror(errno));
    }
    if (d->running == 0) {
        finish(d, NULL, d->found.timed_out);
    }
}

static void stagger_fire(struct timer *t)
{
    try_next(CONTAINER_OF(t, struct dial, stagger));
}

static void limit_fire(struct timer *t)
{
    struct dial *d = CONTAINER_OF(t, struct dial, limit);
    snprintf(d->why, sizeof(d->why), "%s",
             d->lookup ? "looking the name up took too long" : "connecting took too long");
    finish(d, NULL, true);
}

static void start(struct dial *d)
{
    if (d->found.n == 0 && d->found.why) {
        snprintf(d->why, sizeof(d->why), "the host name could not be looked up: %s", d->found.why);
    }
    try_next(d);
}

static void on_resolved(void *owner, const struct resolved *r)
{
    struct dial *d = owner;
    d->lookup = NULL;
    d->found = *r;
    start(d);
}

static void run_start(struct loop_task *task)
{
    start(CONTAINER_OF(task, struct dial, go));
}

static struct dial *dial_new(struct loop *l, uint64_t timeout, dial_done *done, void *owner)
{
    struct dial *d = xcalloc(1, sizeof(*d));
    d->loop = l;
    d->done = done;
    d->owner = owner;
    d->limit.fire = limit_fire;
    d->stagger.fire = stagger_fire;
    d->go.run = run_start;
    timer_set(l, &d->limit, timeout);
    return d;
}

struct dial *dial_unix(struct loop *l, const char *path, uint64_t timeout, dial_done *done,
                       void *owner)
{
    struct dial *d = dial_new(l, timeout, done, owner);
    struct sock_addr at;
    if (sock_unix_addr(&at, path) == 0) {
        d->found.sa[0] = at.sa;
        d->found.len[0] = at.len;
        d->found.n = 1;
    } else {
        snprintf(d->why, sizeof(d->why), "the path of the unix socket is empty or too long");
    }
    loop_defer(l, &d->go);
    return d;
}

struct dial *dial_start(struct loop *l, struct resolver *r, const char *host, uint16_t port,
                        uint64_t timeout, dial_done *done, void *owner)
{
    struct dial *d = dial_new(l, timeout, done, owner);
    d->port = port;
    d->lookup = resolver_ask(r, host, &d->found, on_resolved, d);
    if (!d->lookup) {
        loop_defer(l, &d->go);
    }
    return d;
}

void dial_cancel(struct dial *d)
{
    if (!d->over) {
        clear(d, NULL);
    }
}
