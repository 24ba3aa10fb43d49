#include "hub/client/client.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/log/log.h"
#include "common/access/bans.h"
#include "hub/client/frontend.h"
#include "hub/hub.h"

enum {
    LINGER_MS = 5000,                /* how long a client may take to notice that we closed */
    LINGER_BYTES = 64 * 1024 * 1024, /* and how much it may still send meanwhile */
    MAX_TRIES = 3,                   /* new connections that break before the request is on them */
};

static const struct stream_events client_events;

static void run_free(struct loop_task *task)
{
    free(CONTAINER_OF(task, struct client, release));
}

void client_enter(struct client *c, enum client_state state)
{
    const struct hub_settings *set = &c->hub->settings;
    c->state = state;
    switch (state) {
    case CLIENT_SHAKE:
        timer_set(&c->hub->loop, &c->timer, set->handshake_timeout);
        break;
    case CLIENT_HEAD:
        c->scanned = 0;
        timer_set(&c->hub->loop, &c->timer, set->timeout_client);
        break;
    case CLIENT_CONTROL:
        timer_set(&c->hub->loop, &c->timer, set->timeout_client);
        break;
    case CLIENT_CLOSING:
        timer_set(&c->hub->loop, &c->timer, LINGER_MS);
        break;
    case CLIENT_DECIDE:
    case CLIENT_CONNECT:
    case CLIENT_WORK: /* those who are asked keep the time */
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
    if (c->state == CLIENT_ENDED) {
        return;
    }
    struct frontend *f = c->hub->frontend;
    log_debug(c->hub->log, "client", c->id, "ended after %llu requests: %s",
              (unsigned long long)c->requests, why);
    /* What the client has of an answer must not look whole when it is not: an answer may end with
     * the connection. */
    bool cut =
        c->s && (stream_pending(c->s) > 0 || (c->state == CLIENT_EXCHANGE && c->x.head_sent));
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
    timer_remove(&c->hub->loop, &c->timer);
    c->prev->next = c->next;
    c->next->prev = c->prev;
    f->count--;
    if (c->counted) {
        addresses_leave(f->addresses, &c->addr);
    }
    c->release.run = run_free;
    loop_defer(&c->hub->loop, &c->release);
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
        timer_set(&c->hub->loop, &c->timer, c->hub->settings.timeout_client);
    }
    stream_shutdown(c->s);
    stream_resume(c->s);
}

static void tell_answer(const struct client *c, const struct answer *a)
{
    const struct access *access = &c->x.access;
    const char *why = a->why && a->why[0] ? a->why : a->words ? a->words : "-";
    const char *app = access->app ? access->app->meta.id : "-";
    char from[IP_TEXT_MAX];
    ip_format(access->known ? &access->client : &c->addr, from);
    if (c->state == CLIENT_WORK) {
        log_debug(c->hub->log, "client", c->id, "answered %d to %s", a->status, from);
        return; /* deploy.c has told it, with all that belongs to it */
    }
    if (a->status >= 500) {
        log_warning(c->hub->log, "client", c->id,
                    "answered %d to %s; ExApp: %s; hop: %s; reason: %s", a->status, from, app,
                    a->hop == HOP_NONE ? "-" : hop_name(a->hop), why);
    } else if (a->status >= 400) {
        log_info(c->hub->log, "client", c->id, "answered %d to %s: %s", a->status, from, why);
    } else {
        log_debug(c->hub->log, "client", c->id, "answered %d to %s", a->status, from);
    }
}

void client_reply(struct client *c, struct answer *a, bool close)
{
    char out[ANSWER_MAX];
    struct exchange *x = &c->x;
    bool keep = !close && x->keep_alive && !x->client_ended && !c->hub->stopping;
    a->close = !keep;
    a->keep_alive = x->minor == 0;
    a->head = x->method == HTTP_HEAD;
    a->docker = x->access.for_engine;
    tell_answer(c, a);
    stream_write(c->s, out, answer_write(out, a));
    exchange_clear(c);
    if (keep) {
        client_enter(c, CLIENT_HEAD);
        stream_resume(c->s);
    } else {
        client_close(c, true);
    }
}

void client_answer(struct client *c, int status, enum hop hop, const char *why, bool close)
{
    client_reply(c, &(struct answer){.status = status, .hop = hop, .why = why}, close);
}

struct tunnel_origin client_origin(const struct client *c)
{
    struct frontend *f = c->hub->frontend;
    const struct listen_addr *at = c->tls ? &f->https_at : &f->http_at;
    return (struct tunnel_origin){
        .src = c->addr, .src_port = c->port, .dst = at->ip, .dst_port = at->port};
}

/* ---- a request head ---- */

static void on_upstream(void *owner, const struct upstream_result *result);

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

/* What was waited for is there: the head comes once more. */
static void read_head_again(struct client *c)
{
    client_enter(c, CLIENT_HEAD);
    stream_resume(c->s);
}

static void on_access(void *owner)
{
    read_head_again(owner);
}

/* What to do next with a head. */
enum step {
    STEP_GO,       /* on to the next step */
    STEP_WAIT,     /* the head comes again */
    STEP_ANSWERED, /* answered; the connection may go on behind the head */
    STEP_OVER,     /* the connection ends */
};

static enum step answered(struct client *c)
{
    return c->state == CLIENT_HEAD ? STEP_ANSWERED : STEP_OVER;
}

static enum step decide(struct client *c, struct target *target)
{
    struct exchange *x = &c->x;
    struct access_verdict *v = &x->verdict;
    struct access_facts facts = {.request = &c->hub->request, .peer = &c->addr};
    if (x->decided) {
        if (target_parse(target, c->hub->request.path) != TARGET_OK) {
            return STEP_OVER;
        }
        if (v->kind == ACCESS_ENGINE) {
            gate_read(c->hub, &c->hub->request, target->rest);
        }
        return STEP_GO;
    }
    if (!access_judge(c->hub, &facts, &x->access, target, v, on_access, c)) {
        client_enter(c, CLIENT_DECIDE);
        stream_pause(c->s);
        return STEP_WAIT;
    }
    x->decided = true;
    switch (v->kind) {
    case ACCESS_FORWARD:
    case ACCESS_CONTROL:
    case ACCESS_ENGINE:
        return STEP_GO;
    case ACCESS_DROP: {
        char text[IP_TEXT_MAX];
        log_info(c->hub->log, "client", c->id, "closed without an answer to %s: %s",
                 ip_format(&x->access.client, text), v->reason);
        client_end(c, v->reason);
        return STEP_OVER;
    }
    case ACCESS_ANSWER:
        break;
    }
    /* Without its body read, the next request can't be found: then the connection ends. */
    client_answer(c, v->status, v->hop, v->reason, !x->request_done);
    return answered(c);
}

static void upstream_failed(struct client *c, const struct upstream_result *result)
{
    client_answer(c, result->timed_out ? 504 : 503, result->hop, result->why, !c->x.request_done);
}

/* A request that can be sent again may use a connection that the ExApp is about to close. */
static bool repeatable(const struct http_request *r, bool no_body)
{
    switch (r->method_id) {
    case HTTP_GET:
    case HTTP_HEAD:
    case HTTP_OPTIONS:
    case HTTP_PUT:
    case HTTP_DELETE: /* RFC 9110 9.2.2 */
        return no_body && !r->upgrade;
    default:
        return false;
    }
}

/* As upstream_get. */
static bool get_upstream(struct client *c, struct upstream_result *result)
{
    struct exchange *x = &c->x;
    struct tunnel_origin origin = client_origin(c);
    if (x->verdict.kind == ACCESS_ENGINE) {
        return upstream_engine(c->hub, x->access.engine, &origin, result, on_upstream, c, &x->wait);
    }
    x->repeatable = repeatable(&c->hub->request, x->request_done);
    return upstream_get(c->hub, x->access.app, &origin,
                        x->repeatable ? UPSTREAM_ANY : UPSTREAM_WARM, result, on_upstream, c,
                        &x->wait);
}

static enum step connect_upstream(struct client *c)
{
    struct exchange *x = &c->x;
    struct upstream_result result;
    if (x->up) {
        return STEP_GO;
    }
    if (x->failure) {
        struct upstream_failure *f = x->failure;
        x->failure = NULL;
        client_answer(c, f->status, f->hop, f->why, !x->request_done);
        free(f);
        return answered(c);
    }
    if (x->tries++ >= MAX_TRIES) {
        client_answer(c, 503, exchange_hop(c),
                      EXCHANGE_PEER(c, " closes connections before they are used"), true);
        return answered(c);
    }
    if (!get_upstream(c, &result)) {
        client_enter(c, CLIENT_CONNECT);
        stream_pause(c->s);
        return STEP_WAIT;
    }
    if (!result.s) {
        upstream_failed(c, &result);
        return answered(c);
    }
    x->up = result.s;
    x->up_target = result.target;
    x->reused = result.reused;
    return STEP_GO;
}

static void on_upstream(void *owner, const struct upstream_result *result)
{
    struct client *c = owner;
    struct exchange *x = &c->x;
    x->wait = NULL;
    if (result->s) {
        x->up = result->s;
        x->up_target = result->target;
        x->reused = result->reused;
        exchange_own(c);
        stream_pause(x->up); /* until the request is under way */
    } else {
        x->failure = xcalloc(1, sizeof(*x->failure));
        x->failure->status = result->timed_out ? 504 : 503;
        x->failure->hop = result->hop;
        snprintf(x->failure->why, sizeof(x->failure->why), "%s", result->why);
    }
    read_head_again(c);
}

static void refuse(struct client *c, int status, const char *why)
{
    exchange_clear(c);
    c->x.minor = 1;
    client_answer(c, status, HOP_NONE, why, true);
}

/* Whether all that comes from this socket counts for its own address. */
static bool counts_itself(const struct client *c)
{
    return !ip_set_contains(&c->hub->settings.trusted_proxy_ips, &c->addr);
}

/* Takes what can be taken of [p, p+n): one head at most. */
static size_t head_data(struct client *c, const char *p, size_t n)
{
    static const struct http_limits limits = HTTP_LIMITS_DEFAULT;
    struct http_request *r = &c->hub->request;
    struct target target;
    bool first = c->scanned == 0;
    if (stream_pending(c->s) > 0) {
        /* Who does not read its answers gets no more of them. */
        stream_pause(c->s);
        return 0;
    }
    int len = http_parse_request(r, p, n, &limits, &c->scanned);
    if (len < 0 && counts_itself(c) &&
        bans_banned(c->hub->bans, &c->addr, loop_now(&c->hub->loop))) {
        client_end(c, "the address is banned");
        return n;
    }
    if (len < 0) {
        refuse(c, r->status, r->why);
        return n;
    }
    if (len == 0) {
        if (first && n > 0) {
            timer_set(&c->hub->loop, &c->timer, c->hub->settings.head_timeout);
        }
        return 0;
    }
    if (!c->x.decided) {
        begin(c, r);
    }
    enum step step = decide(c, &target);
    if (step == STEP_GO && c->x.verdict.kind == ACCESS_CONTROL) {
        return control_begin(c, &target, p, (size_t)len, n);
    }
    if (step == STEP_GO) {
        step = connect_upstream(c);
    }
    switch (step) {
    case STEP_GO:
        c->requests++;
        return exchange_begin(c, &target, p, (size_t)len, n);
    case STEP_WAIT:
        return 0;
    case STEP_ANSWERED:
        return (size_t)len;
    case STEP_OVER:
        break;
    }
    return n;
}

/* ---- the client's stream ---- */

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
        case CLIENT_EXCHANGE:
            used = exchange_client_data(c, p + off, n - off);
            break;
        case CLIENT_CONTROL:
            used = control_data(c, p + off, n - off);
            break;
        case CLIENT_WORK: /* the next request waits for its turn */
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

static void on_eof(void *owner, struct stream *s UNUSED)
{
    struct client *c = owner;
    switch (c->state) {
    case CLIENT_EXCHANGE:
        exchange_client_eof(c);
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
            timer_set(&c->hub->loop, &c->timer, LINGER_MS);
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
    client_enter(owner, CLIENT_HEAD);
}

static const struct stream_events client_events = {
    .ready = on_ready,
    .data = on_data,
    .eof = on_eof,
    .drained = on_drained,
    .closed = on_closed,
};

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
        timer_set(&c->hub->loop, t, c->hub->settings.timeout_client);
        return;
    }
    switch (c->state) {
    case CLIENT_SHAKE:
        client_end(c, "the TLS handshake took too long");
        break;
    case CLIENT_HEAD:
        if (c->scanned > 0) {
            refuse(c, 408, "the request head took too long");
        } else if (c->s->hold.len > 0) {
            client_end(c, "does not read its answers");
        } else {
            client_end(c, "idle for too long");
        }
        break;
    case CLIENT_EXCHANGE:
        exchange_timeout(c);
        break;
    case CLIENT_CONTROL:
        client_answer(c, 408, HOP_NONE, "the request body took too long", true);
        break;
    default:
        client_end(c, "did not close in time");
        break;
    }
}

struct client *client_new(struct frontend *f, struct stream *s, const struct ip_addr *addr,
                          uint16_t port, bool tls)
{
    struct client *c = xcalloc(1, sizeof(*c));
    c->hub = f->hub;
    c->s = s;
    c->id = s->id;
    c->addr = *addr;
    c->port = port;
    c->tls = tls;
    c->timer.fire = on_timer;
    c->prev = f->clients.prev;
    c->next = &f->clients;
    c->prev->next = c->next->prev = c;
    f->count++;
    stream_own(s, &client_events, c);
    client_enter(c, tls ? CLIENT_SHAKE : CLIENT_HEAD);
    return c;
}

void client_stop(struct client *c)
{
    c->x.keep_alive = false;
    if (c->state == CLIENT_SHAKE) {
        client_end(c, "the hub stops");
    } else if (c->state == CLIENT_HEAD && c->scanned == 0 && !c->x.decided) {
        client_close(c, c->s->hold.len > 0); /* the last answer may still be on its way */
    }
}
