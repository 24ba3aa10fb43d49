#include "hub/admin/admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/http/reply.h"
#include "common/log/log.h"
#include "common/stream/listener.h"
#include "common/stream/sock.h"
#include "hub/admin/admin_bans.h"
#include "hub/admin/admin_engines.h"
#include "hub/admin/admin_impl.h"
#include "hub/admin/admin_status.h"
#include "hub/access/nextcloud_check.h"
#include "hub/client/answer.h"
#include "hub/client/control.h"
#include "hub/hub.h"

enum {
    ANSWER_MS = 10000,        /* for the client to take the answer */
    LINGER_MS = 2000,         /* how long it may take to notice that we closed */
    LINGER_BYTES = 1024 * 64, /* and how much it may still send meanwhile */
};

static const struct http_limits LIMITS = {.line = 2048, .head = 8192, .fields = 64};

struct admin {
    struct hub *hub;
    struct listener *listener; /* NULL: off */
    struct admin_lws *lws;
    struct nextcloud_checks *checks;
    struct secret token;
    struct admin_rules rules;
    struct admin_conn conns; /* head of a ring */
    unsigned count;
};

static const struct stream_events conn_events;

/* ---- the life of a connection ---- */

static void enter(struct admin_conn *c, enum admin_state state)
{
    struct hub *hub = c->admin->hub;
    c->state = state;
    c->scanned = 0;
    switch (state) {
    case ADMIN_READING:
        timer_set(&hub->loop, &c->limit, hub->settings.head_timeout);
        break;
    case ADMIN_ASKING: /* those who are asked keep the time */
        timer_clear(&c->limit);
        break;
    case ADMIN_SERVED:
        timer_set(&hub->loop, &c->limit, ANSWER_MS);
        break;
    case ADMIN_CLOSING:
        timer_set(&hub->loop, &c->limit, LINGER_MS);
        break;
    case ADMIN_ENDED:
        timer_remove(&hub->loop, &c->limit);
        break;
    }
}

static void run_free(struct loop_task *task)
{
    free(CONTAINER_OF(task, struct admin_conn, release));
}

void admin_conn_end(struct admin_conn *c, const char *why)
{
    struct hub *hub = c->admin->hub;
    if (c->state == ADMIN_ENDED) {
        return;
    }
    log_debug(hub->log, "admin", c->id, "ended: %s", why);
    if (c->engines) {
        admin_engines_free(c->engines);
        c->engines = NULL;
    }
    if (c->status) {
        admin_status_cancel(c->status);
        c->status = NULL;
    }
    free(c->made);
    c->made = NULL;
    if (c->s) {
        stream_close(c->s);
        c->s = NULL;
    }
    enter(c, ADMIN_ENDED);
    c->prev->next = c->next;
    c->next->prev = c->prev;
    c->admin->count--;
    c->release.run = run_free;
    loop_defer(&hub->loop, &c->release);
}

static void limit_passed(struct timer *t)
{
    struct admin_conn *c = CONTAINER_OF(t, struct admin_conn, limit);
    if (c->state == ADMIN_SERVED) {
        /* libwebsockets may need a turn or two until it tells the end. */
        timer_set(&c->admin->hub->loop, t, LINGER_MS);
        admin_lws_cut(c);
    } else {
        admin_conn_end(c, c->state == ADMIN_READING ? "no request in time" : "closed");
    }
}

/* ---- what is answered ---- */

static size_t error_text(char out[256], int status, const char *why)
{
    int n = snprintf(out, 256, "%d %s\nreason: %.200s\n", status, http_status_words(status), why);
    return (size_t)n;
}

static void refuse(struct admin_conn *c, const struct admin_verdict *v)
{
    char head[ADMIN_HEAD_MAX], body[256];
    struct admin_answer a = {.status = v->status, .head = v->head, .allow = v->allow, .body = body};
    a.n = error_text(body, v->status, v->why);
    struct iovec iov[] = {{head, admin_answer_head(head, &a)}, {body, v->head ? 0 : a.n}};
    stream_writev(c->s, iov, v->head ? 1 : 2);
    /* What still comes would make the kernel answer with RST, which can destroy the answer on its
     * way: so only our direction is closed (RFC 9112 9.6). */
    stream_shutdown(c->s);
    enter(c, ADMIN_CLOSING);
}

static void lift(struct admin_conn *c, struct admin_answer *a)
{
    struct hub *hub = c->admin->hub;
    if (bans_lift(hub->bans, &c->verdict.ip, loop_now(&hub->loop))) {
        a->status = 204;
        a->n = 0;
    } else {
        a->status = 404;
        a->json = false;
        a->body = "404 Not Found\nreason: no failures of this address are remembered\n";
        a->n = strlen(a->body);
    }
}

void admin_conn_answer(struct admin_conn *c, struct admin_answer *a, char **made)
{
    struct hub *hub = c->admin->hub;
    *made = NULL;
    *a = (struct admin_answer){.status = 200, .json = true, .head = c->verdict.head};
    switch (c->verdict.op) {
    case ADMIN_OP_HEARTBEAT:
        a->body = control_heartbeat;
        a->n = strlen(a->body);
        break;
    case ADMIN_OP_INFO:
        a->body = control_info;
        a->n = strlen(a->body);
        break;
    case ADMIN_OP_HEALTH:
        a->status = admin_healthy(hub) ? 200 : 503;
        a->body = a->status == 200 ? control_heartbeat : "{\"status\": \"stopping\"}";
        a->n = strlen(a->body);
        break;
    case ADMIN_OP_BANS:
        *made = admin_bans_json(hub->bans, loop_now(&hub->loop), &a->n);
        a->body = *made;
        break;
    case ADMIN_OP_ENGINES:
    case ADMIN_OP_STATUS:
        *made = c->made;
        c->made = NULL;
        a->body = *made;
        a->n = c->made_len;
        break;
    case ADMIN_OP_LIFT:
        lift(c, a);
        break;
    }
    if (c->verdict.op == ADMIN_OP_LIFT) {
        char text[ADMIN_BAN_TEXT_MAX];
        log_info(hub->log, "admin", c->id, "lift %s: %s", admin_ban_text(&c->verdict.ip, text),
                 a->status == 204 ? "its failures are forgotten" : "it had no failures");
    }
}

/* ---- a request head ---- */

/* Without the query: who knows what people put there. */
static void tell_request(const struct admin_conn *c, const struct http_request *r, int status)
{
    const char *query = memchr(r->path.p, '?', r->path.n);
    size_t path = query ? (size_t)(query - r->path.p) : r->path.n;
    log_info(c->admin->hub->log, "admin", c->id, "%.*s %.*s: %s", (int)MIN(r->method.n, 16U),
             r->method.p, (int)MIN(path, 128U), r->path.p,
             status ? http_status_words(status) : "taken");
}

static void serve(struct admin_conn *c)
{
    struct stream *s = c->s;
    c->s = NULL;
    enter(c, ADMIN_SERVED);
    admin_lws_serve(c->admin->lws, c, sock_detach(s));
}

static void on_engines(void *owner)
{
    struct admin_conn *c = owner;
    c->made = admin_engines_json(c->engines, &c->made_len);
    admin_engines_free(c->engines);
    c->engines = NULL;
    serve(c);
}

static void on_status(void *owner, char *json, size_t n)
{
    struct admin_conn *c = owner;
    c->status = NULL; /* it goes when this returns */
    c->made = json;
    c->made_len = n;
    serve(c);
}

static size_t on_data(void *owner, struct stream *s UNUSED, const char *p, size_t n)
{
    struct admin_conn *c = owner;
    struct admin *a = c->admin;
    struct http_request *r = &a->hub->request;
    if (c->state == ADMIN_CLOSING || c->state == ADMIN_ASKING) {
        c->scanned += n;
        if (c->scanned > LINGER_BYTES) {
            admin_conn_end(c, "goes on sending");
        }
        return n;
    }
    int len = http_parse_request(r, p, n, &LIMITS, &c->scanned);
    if (len == 0) {
        return 0;
    }
    struct admin_verdict v = {.status = r->status, .why = r->why};
    if (len < 0) {
        log_info(a->hub->log, "admin", c->id, "answered %d: %s", v.status, v.why);
    } else {
        admin_judge(&v, r, &a->rules);
        tell_request(c, r, v.status);
    }
    if (v.status) {
        refuse(c, &v);
    } else {
        c->verdict = v;
        if (v.op == ADMIN_OP_ENGINES) {
            enter(c, ADMIN_ASKING);
            c->engines = admin_engines_start(a->hub, on_engines, c);
        } else if (v.op == ADMIN_OP_STATUS) {
            enter(c, ADMIN_ASKING);
            c->status = admin_status_start(a->hub, a->checks, on_status, c);
        } else {
            serve(c);
        }
    }
    return n; /* what came behind the head is not read: the answer is the last */
}

static void on_eof(void *owner, struct stream *s UNUSED)
{
    admin_conn_end(owner, "closed by the client");
}

static void on_stream_closed(void *owner, struct stream *s UNUSED, const char *why)
{
    struct admin_conn *c = owner;
    c->s = NULL;
    admin_conn_end(c, why);
}

static const struct stream_events conn_events = {
    .data = on_data,
    .eof = on_eof,
    .closed = on_stream_closed,
};

static void accepted(void *owner, int fd, const struct sock_addr *from UNUSED)
{
    struct admin *a = owner;
    struct hub *hub = a->hub;
    if (a->count >= ADMIN_CONNECTIONS) {
        log_debug(hub->log, "admin", 0, "connection refused: too many");
        close(fd);
        return;
    }
    struct stream *s = sock_adopt(&hub->loop, fd);
    if (!s) {
        log_warning(hub->log, "admin", 0, "connection dropped: %s", strerror(errno));
        return;
    }
    struct admin_conn *c = xcalloc(1, sizeof(*c));
    c->admin = a;
    c->s = s;
    c->id = s->id;
    c->limit.fire = limit_passed;
    c->prev = a->conns.prev;
    c->next = &a->conns;
    c->prev->next = c->next->prev = c;
    a->count++;
    enter(c, ADMIN_READING);
    stream_own(s, &conn_events, c);
}

/* ---- start and end ---- */

static struct listener *listen_at(struct admin *a, char *err, size_t errlen)
{
    const struct listen_addr *at = &a->hub->settings.admin_address;
    char why[256], text[LISTEN_TEXT_MAX];
    struct sock_addr sa;
    memset(&sa, 0, sizeof(sa));
    sa.len = listen_sockaddr(at, &sa.sa);
    /* A socket file gets its mode when it is bound, so that it is never open to others. */
    mode_t old = umask(0177);
    struct listener *ls = listener_open(&a->hub->loop, &sa, "admin", accepted, a, why, sizeof(why));
    umask(old);
    if (!ls) {
        snprintf(err, errlen, "HP_ADMIN_ADDRESS: %s", why);
    } else {
        log_info(a->hub->log, "admin", 0, "listening at %s (HP_ADMIN_ADDRESS)",
                 listen_format(at, text));
    }
    return ls;
}

struct admin *admin_start(struct hub *hub, char *err, size_t errlen)
{
    const struct hub_settings *set = &hub->settings;
    struct admin *a = xcalloc(1, sizeof(*a));
    a->hub = hub;
    a->conns.prev = a->conns.next = &a->conns;
    if (set->admin_address.kind == LISTEN_OFF) {
        return a;
    }
    a->rules.check_host = set->admin_address.kind == LISTEN_TCP;
    if (*set->admin_token) {
        if (secret_set(&a->token, str_of(set->admin_token)) < 0) {
            snprintf(err, errlen, "no random bytes to be had");
            goto fail;
        }
        a->rules.token = &a->token;
    }
    a->checks = nextcloud_checks_new(hub);
    a->lws = admin_lws_start(&hub->loop, hub->log, err, errlen);
    if (!a->lws) {
        goto fail;
    }
    a->listener = listen_at(a, err, errlen);
    if (!a->listener) {
        goto fail;
    }
    return a;
fail:
    admin_free(a);
    return NULL;
}

void admin_free(struct admin *a)
{
    if (!a) {
        return;
    }
    if (a->listener) {
        listener_close(a->listener);
    }
    for (struct admin_conn *c = a->conns.next, *next; c != &a->conns; c = next) {
        next = c->next;
        if (c->state != ADMIN_SERVED) {
            admin_conn_end(c, "the hub ends");
        }
    }
    nextcloud_checks_free(a->checks);
    admin_lws_free(a->lws);
    secret_clear(&a->token);
    free(a);
}
