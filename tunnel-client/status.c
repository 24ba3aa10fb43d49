#include "tunnel-client/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/list.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "common/stream/listener.h"

struct asker {
    struct list_link link;
    struct status *status;
    struct stream *stream;
    struct timer limit;
};

struct status {
    struct session *session;
    struct listener *listener;
    struct list_link *askers;
    unsigned count;
};

/* ---- the document ---- */

static void put_text(struct json_out *o, const char *key, const char *text)
{
    json_out_key(o, str_of(key));
    if (*text) {
        json_out_str(o, str_of(text));
    } else {
        json_out_null(o);
    }
}

static void put_int(struct json_out *o, const char *key, int64_t n)
{
    json_out_key(o, str_of(key));
    json_out_int(o, n);
}

static const char *state_name(enum session_state state)
{
    switch (state) {
    case SESSION_RUNNING:
        return "running";
    case SESSION_WAITING:
        return "waiting";
    case SESSION_STOPPED:
        return "stopped";
    default:
        return "connecting";
    }
}

static void put_proxy(struct json_out *o, const struct proxy *p)
{
    static const char *const states[] = {[PROXY_CLOSED] = "closed",
                                         [PROXY_OPENING] = "opening",
                                         [PROXY_OPEN] = "open",
                                         [PROXY_REFUSED] = "refused"};
    char target[TUNNEL_TARGET_MAX];
    json_out_object(o);
    put_text(o, "name", p->set->name);
    put_int(o, "remote_port", p->set->remote_port);
    put_text(o, "state", states[p->state]);
    put_text(o, "target", tunnel_proxy_target(p->set, target));
    put_int(o, "connections", (int64_t)p->seen.connections);
    put_int(o, "answered", (int64_t)work_answered(p->session, p));
    put_text(o, "last_error", p->seen.last_error);
    json_out_object_end(o);
}

/* Its length, or -1. */
static ssize_t write_document(const struct session *s, char *buf, size_t size)
{
    struct json_out o;
    char server[TUNNEL_TARGET_MAX];
    snprintf(server, sizeof(server), "%s:%lld", s->set->server_address,
             (long long)s->set->server_port);
    json_out_init(&o, buf, size);
    json_out_object(&o);
    put_text(&o, "version", HARP_VERSION);
    put_text(&o, "server", server);
    put_text(&o, "state", state_name(s->state));
    put_int(&o, "since", s->since);
    put_text(&o, "last_error", s->last_error);
    json_out_key(&o, STR("proxies"));
    json_out_array(&o);
    for (size_t i = 0; i < s->proxies_n; i++) {
        put_proxy(&o, &s->proxies[i]);
    }
    json_out_array_end(&o);
    json_out_object_end(&o);
    return json_out_end(&o);
}

/* ---- those who ask ---- */

/* It is in no list any more. */
static void asker_free(struct asker *a)
{
    timer_remove(a->status->session->loop, &a->limit);
    if (a->stream) {
        stream_close(a->stream);
    }
    a->status->count--;
    free(a);
}

static void asker_end(struct asker *a)
{
    list_remove(&a->link);
    asker_free(a);
}

static size_t on_data(void *owner UNUSED, struct stream *stream UNUSED, const char *p UNUSED,
                      size_t n)
{
    return n; /* there is nothing to ask for */
}

static void on_eof(void *owner, struct stream *stream UNUSED)
{
    asker_end(owner);
}

static void on_closed(void *owner, struct stream *stream UNUSED, const char *why UNUSED)
{
    struct asker *a = owner;
    a->stream = NULL;
    asker_end(a);
}

static void on_limit(struct timer *t)
{
    asker_end(CONTAINER_OF(t, struct asker, limit));
}

static const struct stream_events events = {.data = on_data, .eof = on_eof, .closed = on_closed};

static void on_accept(void *owner, int fd, const struct sock_addr *from UNUSED)
{
    struct status *st = owner;
    struct loop *l = st->session->loop;
    if (st->count == STATUS_CLIENTS) {
        close(fd);
        return;
    }
    struct stream *stream = sock_adopt(l, fd);
    if (!stream) {
        return;
    }
    struct asker *a = xcalloc(1, sizeof(*a));
    a->status = st;
    a->stream = stream;
    a->limit.fire = on_limit;
    list_add(&st->askers, &a->link);
    st->count++;
    stream_own(stream, &events, a);
    timer_set(l, &a->limit, STATUS_LIMIT_MS);
    char *text = xmalloc(STATUS_BYTES);
    ssize_t n = write_document(st->session, text, STATUS_BYTES);
    if (n > 0) {
        stream_write(stream, text, (size_t)n);
    }
    stream_shutdown(stream);
    free(text);
}

/* ---- life ---- */

struct status *status_start(struct session *s, const struct listen_addr *at)
{
    const struct listener_unix rights = {.mode = 0600, .gid = (gid_t)-1};
    char err[256];
    if (at->kind == LISTEN_OFF) {
        return NULL;
    }
    struct status *st = xcalloc(1, sizeof(*st));
    st->session = s;
    st->listener =
        listener_open_unix(s->loop, at->path, &rights, "status", on_accept, st, err, sizeof(err));
    if (!st->listener) {
        log_info(s->log, "status", 0,
                 "%s; the commands status and health can't ask this client: make the folder, or "
                 "set status_socket",
                 err);
        free(st);
        return NULL;
    }
    return st;
}

void status_free(struct status *st)
{
    if (st) {
        struct list_link *link;
        while ((link = list_take(&st->askers))) {
            asker_free(CONTAINER_OF(link, struct asker, link));
        }
        listener_close(st->listener);
        free(st);
    }
}
