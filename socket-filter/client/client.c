#include "socket-filter/client/client.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/crypto/secret.h"

enum {
    LINGER_MS = 5000,                /* how long a client may take to notice that we closed */
    LINGER_BYTES = 64 * 1024 * 1024, /* and how much it may still send meanwhile */
    ANSWER_HEAD_MAX = 512,
};

static void run_free(struct loop_task *task)
{
    free(CONTAINER_OF(task, struct client, release));
}

void client_enter(struct client *c, enum client_state state)
{
    const struct filter_settings *set = &c->f->settings;
    struct loop *loop = &c->f->loop;
    c->state = state;
    switch (state) {
    case CLIENT_SHAKE:
        timer_set(loop, &c->timer, set->handshake_timeout);
        break;
    case CLIENT_HEAD:
        c->scanned = 0;
        timer_set(loop, &c->timer, set->timeout_client);
        break;
    case CLIENT_BODY:
        timer_set(loop, &c->timer, set->timeout_client);
        break;
    case CLIENT_CLOSING:
        timer_set(loop, &c->timer, LINGER_MS);
        break;
    case CLIENT_WAIT: /* those who are asked keep the time */
    case CLIENT_UPGRADED:
    case CLIENT_ENDED:
        timer_clear(&c->timer);
        break;
    case CLIENT_EXCHANGE:
        break; /* exchange_touch does it with each step */
    }
}

void client_end(struct client *c, const char *why)
{
    struct exchange *x = &c->x;
    if (c->state == CLIENT_ENDED) {
        return;
    }
    log_debug(c->f->log, "client", c->id, "ended after %llu requests: %s",
              (unsigned long long)c->requests, why);
    /* What the client has of an answer must not look whole when it is not: an answer may end with
     * the connection. */
    bool cut = c->s && (stream_pending(c->s) > 0 || (c->state == CLIENT_EXCHANGE && x->head_sent));
    if (c->state == CLIENT_EXCHANGE && x->up && x->request_done && !x->raw && !x->answered &&
        x->kind == DOCKER_ANSWER_SLOW) {
        engine_leave(c->f->engine, x->up);
        x->up = NULL;
    }
    exchange_clear(c);
    if (c->relay) {
        relay_stop(c->relay);
        c->relay = NULL;
    }
    if (c->s && cut) {
        stream_abort(c->s);
    } else if (c->s) {
        stream_close(c->s);
    }
    c->s = NULL;
    client_enter(c, CLIENT_ENDED);
    timer_remove(&c->f->loop, &c->timer);
    frontend_leave(c);
    c->release.run = run_free;
    loop_defer(&c->f->loop, &c->release);
}

void client_close(struct client *c, bool linger)
{
    bool pending = stream_pending(c->s) > 0;
    if (!pending && (!linger || c->s->eof_told)) {
        client_end(c, "closed");
        return;
    }
    /* Bytes that come after our last ones would make the kernel answer with RST, which can destroy
     * what the client has not read yet: so only our direction is closed, and what comes is dropped
     * until the client closes, too (RFC 9112 9.6). */
    client_enter(c, CLIENT_CLOSING);
    c->linger = linger;
    c->scanned = 0;
    if (pending) {
        timer_set(&c->f->loop, &c->timer, c->f->settings.timeout_client);
    }
    stream_shutdown(c->s);
    stream_resume(c->s);
}

/* ---- answers of our own ---- */

void client_answer_body(struct client *c, int status, const char *type, struct str body,
                        const char *extra_field)
{
    struct exchange *x = &c->x;
    char head[ANSWER_HEAD_MAX];
    bool keep = x->keep_alive && x->request_done && !x->client_ended && !c->f->stopping;
    int n = snprintf(
        head, sizeof(head), "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s%s\r\n",
        status, http_status_words(status), type, body.n, extra_field ? extra_field : "",
        !keep           ? "Connection: close\r\n"
        : x->minor == 0 ? "Connection: keep-alive\r\n"
                        : "");
    struct iovec iov[2] = {{head, (size_t)n}, {(void *)(uintptr_t)body.p, body.n}};
    stream_writev(c->s, iov, x->method == HTTP_HEAD || body.n == 0 ? 1 : 2);
    c->f->metrics.sent += body.n;
    log_debug(c->f->log, "client", c->id, "answered %d to %s", status, c->name);
    exchange_clear(c);
    if (keep) {
        client_enter(c, CLIENT_HEAD);
        stream_resume(c->s);
    } else {
        client_close(c, true);
    }
}

void client_answer(struct client *c, int status, const char *why)
{
    char body[DOCKER_MESSAGE_BODY_MAX];
    struct str message = {why, MIN(strlen(why), (size_t)DOCKER_MESSAGE_MAX)};
    size_t n = docker_message_body(body, sizeof(body), message);
    if (n == 0) { /* a path in it is not UTF-8 */
        message = str_of(http_status_words(status));
        n = docker_message_body(body, sizeof(body), message);
    }
    /* Docker's own newline: clients print the body as it is. */
    body[n] = '\n';
    client_answer_body(c, status, "application/json", (struct str){body, n + 1},
                       status == 401   ? "WWW-Authenticate: Basic realm=\"AppAPI\"\r\n"
                       : status == 405 ? "Allow: GET, HEAD\r\n"
                                       : NULL);
}

/* A head that can't be read: what follows it is not known either. */
static void refuse_head(struct client *c, int status, const char *why)
{
    struct docker_verdict v = {.status = status};
    exchange_clear(c);
    c->x.minor = 1;
    snprintf(v.why, sizeof(v.why), "%s", why);
    if (judge_record(c, AUDIT_MALFORMED, &v) == 0) {
        client_answer(c, status, why);
    }
}

/* ---- the client's stream ---- */

/* The facts of the request that have to outlive its head. */
static void begin(struct client *c, const struct http_request *r)
{
    struct exchange *x = &c->x;
    x->method = r->method_id;
    x->minor = r->minor;
    x->keep_alive = r->keep_alive;
    x->upgrade = r->upgrade;
    x->request_done =
        r->framing == HTTP_BODY_NONE || (r->framing == HTTP_BODY_LENGTH && r->length == 0);
}

struct http_limits client_limits(const struct client *c)
{
    struct http_limits limits = HTTP_LIMITS_DEFAULT;
    limits.empty_host = !c->tcp;
    return limits;
}

/* Takes what can be taken of [p, p+n): one head at most. */
static size_t head_data(struct client *c, const char *p, size_t n)
{
    struct http_limits limits = client_limits(c);
    struct http_request *r = &c->f->request;
    bool first = c->scanned == 0;
    if (stream_pending(c->s) > 0) {
        stream_pause(c->s); /* who does not read its answers gets no more of them */
        return 0;
    }
    int len = http_parse_request(r, p, n, &limits, &c->scanned);
    if (len < 0) {
        refuse_head(c, r->status, r->why);
        return n;
    }
    if (len == 0) {
        if (first && n > 0) {
            timer_set(&c->f->loop, &c->timer, c->f->settings.head_timeout);
        }
        return 0;
    }
    c->requests++;
    begin(c, r);
    return judge_begin(c, p, (size_t)len, n);
}

static size_t on_data(void *owner, struct stream *s, const char *p, size_t n)
{
    struct client *c = owner;
    size_t off = 0;
    while (off < n) {
        size_t used;
        switch (c->state) {
        case CLIENT_HEAD:
            used = head_data(c, p + off, n - off);
            break;
        case CLIENT_BODY:
            used = intake_data(c, p + off, n - off);
            break;
        case CLIENT_EXCHANGE:
            used = exchange_client_data(c, p + off, n - off);
            break;
        case CLIENT_WAIT: /* what follows waits for its turn */
            stream_pause(s);
            used = 0;
            break;
        case CLIENT_CLOSING:
            c->scanned += n - off;
            if (c->scanned > LINGER_BYTES) {
                client_end(c, "went on sending after the connection was closed");
            }
            return n;
        default:
            used = 0;
            break;
        }
        off += used;
        if (used == 0 || s->paused || c->state == CLIENT_ENDED || c->state == CLIENT_UPGRADED) {
            break;
        }
    }
    return off;
}

/* Whether the client has closed both directions. Unix sockets tell; of TCP it is known only when something
 * is written. */
static bool gone(const struct client *c)
{
    struct pollfd p = {.fd = CONTAINER_OF(c->s, struct sock, s)->fd};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

static void on_eof(void *owner, struct stream *s UNUSED)
{
    struct client *c = owner;
    switch (c->state) {
    case CLIENT_EXCHANGE:
    case CLIENT_WAIT:
        if (gone(c)) {
            client_end(c, "the client went away before its answer");
        } else {
            exchange_client_eof(c);
        }
        break;
    case CLIENT_CLOSING:
        if (stream_pending(c->s) == 0) {
            client_end(c, "closed");
        }
        break;
    default:
        client_close(c, false); /* after what is still on its way to it */
        break;
    }
}

static void on_drained(void *owner, struct stream *s)
{
    struct client *c = owner;
    c->unsent = 0;
    switch (c->state) {
    case CLIENT_HEAD:
        stream_resume(s);
        break;
    case CLIENT_EXCHANGE:
        exchange_client_drained(c);
        break;
    case CLIENT_CLOSING:
        if (!c->linger || s->eof_told) {
            client_end(c, "closed");
        } else {
            timer_set(&c->f->loop, &c->timer, LINGER_MS);
        }
        break;
    default:
        break;
    }
}

static void on_closed(void *owner, struct stream *s UNUSED, const char *why)
{
    struct client *c = owner;
    c->s = NULL;
    client_end(c, why);
}

static void on_ready(void *owner, struct stream *s UNUSED)
{
    struct client *c = owner;
    const char *why = frontend_identify(c);
    if (why) {
        log_warning(c->f->log, "client", c->id, "closed: %s", why);
        client_end(c, why);
    } else {
        client_enter(c, CLIENT_HEAD);
    }
}

static const struct stream_events client_events = {
    .ready = on_ready,
    .data = on_data,
    .eof = on_eof,
    .drained = on_drained,
    .closed = on_closed,
};

/* ---- time ---- */

/* Whether a client that has not got everything yet reads at all: then it gets more time. */
static bool reads_on(struct client *c)
{
    size_t before = c->unsent;
    if (c->state == CLIENT_SHAKE || stream_pending(c->s) == 0) {
        return false;
    }
    c->unsent = sock_unsent(c->s);
    return before == 0 || c->unsent < before;
}

static void on_timer(struct timer *t)
{
    struct client *c = CONTAINER_OF(t, struct client, timer);
    if (reads_on(c)) {
        timer_set(&c->f->loop, t, c->f->settings.timeout_client);
        return;
    }
    switch (c->state) {
    case CLIENT_SHAKE:
        client_end(c, "the TLS handshake took too long");
        break;
    case CLIENT_HEAD:
        if (c->scanned > 0) {
            refuse_head(c, 408, "the request head took too long");
        } else {
            client_end(c, c->s->hold.len > 0 ? "does not read its answers" : "idle for too long");
        }
        break;
    case CLIENT_BODY:
        client_answer(c, 408, "the request body took too long");
        break;
    case CLIENT_EXCHANGE:
        exchange_timeout(c);
        break;
    default:
        client_end(c, "did not close in time");
        break;
    }
}

struct client *client_new(struct listening *at, struct stream *s)
{
    struct client *c = xcalloc(1, sizeof(*c));
    c->f = at->f;
    c->at = at;
    c->s = s;
    c->id = s->id;
    c->tls = at->tls != NULL;
    c->timer.fire = on_timer;
    frontend_enter(c);
    stream_own(s, &client_events, c);
    client_enter(c, c->tls ? CLIENT_SHAKE : CLIENT_HEAD);
    return c;
}

void client_stop(struct client *c)
{
    c->x.keep_alive = false;
    if (c->state == CLIENT_SHAKE) {
        client_end(c, "the program stops");
    } else if (c->state == CLIENT_HEAD && c->scanned == 0) {
        client_close(c, c->s->hold.len > 0); /* the last answer may still be on its way */
    }
}
