/* libcurl's multi handle on the loop: a watch for each socket that it waits for, and its one timer. */
#include "common/fetch/fetch_impl.h"

#include <stdlib.h>

#include "common/base/buf.h"

struct watch {
    LIST_ENTRY(watch) link;
    uv_poll_t poll;
    struct fetcher *fetcher;
    curl_socket_t fd;
    int wanted; /* CURL_POLL_* */
};

static void act(struct fetcher *f, curl_socket_t fd, int events)
{
    int running;
    curl_multi_socket_action(f->multi, fd, events, &running);
    fetch_collect(f);
}

void fetch_act_on_time(struct fetcher *f)
{
    f->hushed = true;
    act(f, CURL_SOCKET_TIMEOUT, 0);
    f->hushed = false;
}

static void curl_timer_fire(struct timer *t)
{
    fetch_act_on_time(CONTAINER_OF(t, struct fetcher, curl_timer));
}

/* "At once" is the end of the turn. It is 1 ms later if libcurl has just been called for that reason, or
 * for what an owner does who was told of the outcome: nothing can then keep the turn from ending. */
static int on_timeout(CURLM *multi UNUSED, long ms, void *arg)
{
    struct fetcher *f = arg;
    f->kick = ms == 0 && !f->hushed;
    if (f->kick) {
        timer_clear(&f->curl_timer);
        loop_defer(f->loop, &f->turn);
    } else if (ms < 0) {
        timer_clear(&f->curl_timer);
    } else {
        timer_set(f->loop, &f->curl_timer, (uint64_t)MAX(ms, 1));
    }
    return 0;
}

static void on_closed(uv_handle_t *h)
{
    free(CONTAINER_OF(h, struct watch, poll));
}

static void unwatch(struct watch *w)
{
    LIST_REMOVE(w, link);
    uv_close((uv_handle_t *)&w->poll, on_closed);
}

static void on_ready(uv_poll_t *h, int status, int events);

static void arm(struct watch *w)
{
    int events = (w->wanted & CURL_POLL_IN ? UV_READABLE : 0) |
                 (w->wanted & CURL_POLL_OUT ? UV_WRITABLE : 0);
    uv_poll_start(&w->poll, events, on_ready);
}

static void on_ready(uv_poll_t *h, int status, int events)
{
    struct watch *w = CONTAINER_OF(h, struct watch, poll);
    int what = (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
               (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
    if (status < 0) {
        /* libuv has stopped watching. libcurl finds the error by reading or writing, after the bytes
         * that came before it. */
        what = (w->wanted & CURL_POLL_IN ? CURL_CSELECT_IN : 0) |
               (w->wanted & CURL_POLL_OUT ? CURL_CSELECT_OUT : 0);
    }
    act(w->fetcher, w->fd, what);
    /* If libcurl still waits for the socket: it does not read without end at one go. w is freed later
     * than now in any case. */
    if (status < 0 && !uv_is_closing((uv_handle_t *)h) && !uv_is_active((uv_handle_t *)h)) {
        arm(w);
    }
}

/* libcurl tells CURL_POLL_REMOVE before it closes a socket. */
static int on_socket(CURL *easy UNUSED, curl_socket_t fd, int what, void *arg, void *known)
{
    struct fetcher *f = arg;
    struct watch *w = known;
    if (what == CURL_POLL_REMOVE) {
        if (w) {
            curl_multi_assign(f->multi, fd, NULL);
            unwatch(w);
        }
        return 0;
    }
    if (!w) {
        w = xcalloc(1, sizeof(*w));
        w->fetcher = f;
        w->fd = fd;
        if (uv_poll_init_socket(&f->loop->uv, &w->poll, fd) != 0) {
            free(w);
            return 0; /* the request ends by its time */
        }
        LIST_INSERT_HEAD(&f->watches, w, link);
        curl_multi_assign(f->multi, fd, w);
    }
    w->wanted = what;
    arm(w);
    return 0;
}

void fetch_loop_start(struct fetcher *f)
{
    LIST_INIT(&f->watches);
    f->curl_timer.fire = curl_timer_fire;
    curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, (void *)f);
    curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, (void *)f);
}

void fetch_loop_stop(struct fetcher *f)
{
    curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, NULL);
    curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, NULL);
    while (!LIST_EMPTY(&f->watches)) {
        unwatch(LIST_FIRST(&f->watches));
    }
    timer_remove(f->loop, &f->curl_timer);
}
