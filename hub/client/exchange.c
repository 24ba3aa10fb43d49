/* exchange.c - a request on its way up and its answer on the way down. */
#include <stdio.h>
#include <stdlib.h>

#include "common/crypto/secret.h"
#include "common/docker/forward.h"
#include "common/docker/policy.h"
#include "common/log/log.h"
#include "common/stream/body_pass.h"
#include "common/stream/sock.h"
#include "hub/client/client.h"
#include "hub/client/frontend.h"
#include "hub/hub.h"
#include "common/http/reply.h"
#include "hub/client/rewrite.h"

enum {
    MAX_INTERIM = 32, /* 1xx answers before the final one */
};

static const struct http_limits limits = HTTP_LIMITS_DEFAULT;

enum hop exchange_hop(const struct client *c)
{
    const struct exchange *x = &c->x;
    if (!x->access.for_engine) {
        return HOP_EXAPP;
    }
    /* The tunnel that the call went through may have ended, and the call with it. */
    struct tunnel *t = x->up_target == 0 ? NULL : tunnels_find(c->hub->tunnels, x->access.engine);
    return x->up_target == 0 || (t && tunnel_generation(t) == x->up_target) ? HOP_ENGINE
                                                                            : HOP_TUNNEL;
}

/* The ExApp's id, or what stands for it in the log. */
static const char *peer_name(const struct client *c)
{
    return c->x.access.app ? c->x.access.app->meta.id : "a Docker engine";
}

/* ---- time ---- */

/* What is left for an answer that has to be there as a whole: not a byte of it gives more time. */
static uint64_t prompt_time(const struct client *c)
{
    uint64_t until = c->x.started + c->hub->settings.engine_timeout, now = loop_now(&c->hub->loop);
    return until > now ? until - now : 1;
}

/* Sets the timer by who is to move next. */
static void exchange_touch(struct client *c)
{
    const struct hub_settings *set = &c->hub->settings;
    const struct exchange *x = &c->x;
    bool to_read = stream_pending(c->s) > 0;
    bool to_send = !x->request_done && !x->head_sent && x->up && stream_pending(x->up) == 0;
    bool prompt = x->access.for_engine && !x->access.engine_streams;
    uint64_t ms = to_read || to_send ? set->timeout_client
                  : prompt           ? prompt_time(c)
                                     : set->timeout_server;
    if (x->client_ended) {
        ms = MIN(ms, set->timeout_client); /* perhaps nobody is there any more to read the answer */
    }
    timer_set(&c->hub->loop, &c->timer, ms);
}

void exchange_timeout(struct client *c)
{
    struct exchange *x = &c->x;
    if (stream_pending(c->s) > 0) {
        client_end(c, "the client does not read the answer");
    } else if (x->head_sent) {
        client_end(c, EXCHANGE_PEER(c, " stopped in the middle of its answer"));
    } else if (!x->request_done && x->up && stream_pending(x->up) == 0) {
        client_answer(c, 408, HOP_NONE, "the request body took too long", true);
    } else {
        client_answer(c, 504, exchange_hop(c), EXCHANGE_PEER(c, " did not answer in time"), true);
    }
}

/* ---- ends ---- */

static void drop_replay(struct exchange *x)
{
    if (x->replay) {
        /* It holds the client's cookies and the app's token. */
        secret_wipe(x->replay, x->replay_len);
        free(x->replay);
        x->replay = NULL;
    }
}

void exchange_clear(struct client *c)
{
    struct exchange *x = &c->x;
    if (x->wait) {
        upstream_cancel(x->wait);
    }
    if (x->up) {
        stream_close(x->up);
    }
    drop_replay(x);
    free(x->failure);
    control_clear(c);
    access_clear(&x->access);
    memset(x, 0, sizeof(*x));
}

/* Both messages are through. */
static void finish(struct client *c, bool excess)
{
    struct exchange *x = &c->x;
    bool keep = x->keep_alive && x->request_done && !x->client_ended && !c->hub->stopping;
    bool linger = !x->request_done || c->s->hold.len > 0;
    log_debug(c->hub->log, "client", c->id, "%u from %s in %llu ms", x->status, peer_name(c),
              (unsigned long long)(loop_now(&c->hub->loop) - x->started));
    if (x->up && x->access.app && x->up_keep_alive && x->request_done && !excess &&
        stream_pending(x->up) == 0) {
        upstream_put(c->hub, x->access.app, x->up, x->up_target);
        x->up = NULL;
    }
    exchange_clear(c);
    if (keep) {
        client_enter(c, CLIENT_HEAD);
        stream_resume(c->s);
    } else {
        client_close(c, linger);
    }
}

/* No whole answer came. What the client got so far can't be taken back: it must see an error. */
static void fail(struct client *c, int status, const char *why)
{
    if (c->x.head_sent) {
        log_warning(c->hub->log, "client", c->id, "answer of %s cut short: %s", peer_name(c), why);
        stream_abort(c->s);
        c->s = NULL;
        client_end(c, why);
    } else {
        client_answer(c, status, exchange_hop(c), why, true);
    }
}

/* The other end broke HTTP's rules. */
static void malformed(struct client *c, const char *rule)
{
    char why[160];
    snprintf(why, sizeof(why), "malformed answer: %s", rule);
    fail(c, 502, why);
}

/* ---- the answer ---- */

static void relay_over(void *owner, uint64_t up, uint64_t down, const char *failed)
{
    struct client *c = owner;
    c->relay = NULL;
    log_debug(c->hub->log, "client", c->id, "upgraded: %llu bytes up, %llu down",
              (unsigned long long)up, (unsigned long long)down);
    client_end(c, failed ? failed : "closed");
}

/* 101 went to the client: from here on both streams carry another protocol. */
static void switch_protocols(struct client *c)
{
    const struct hub_settings *set = &c->hub->settings;
    struct frontend *f = c->hub->frontend;
    struct relay_limits idle = {.idle = set->timeout_tunnel, .half_idle = set->timeout_client};
    struct stream *up = c->x.up;
    c->x.up = NULL;
    exchange_clear(c);
    client_enter(c, CLIENT_UPGRADED);
    c->prev->next = c->next;
    c->next->prev = c->prev;
    c->next = &f->upgraded;
    c->prev = f->upgraded.prev;
    c->prev->next = c->next->prev = c;
    struct stream *down = c->s;
    c->s = NULL;
    c->relay = relay_start(down, up, &idle, relay_over, c);
}

/* Fields of a Docker engine's answer that mean nothing to the client are left out. */
static void judge_fields(const struct client *c, struct http_response *r)
{
    for (unsigned i = 0; c->x.access.for_engine && i < r->nfields; i++) {
        r->fields[i].drop = !docker_answer_passes(&r->fields[i]);
    }
}

/* Returns how much of the head was used: 0 not complete, < 0 the exchange is over. */
static ssize_t answer_head(struct client *c, const char *p, size_t n)
{
    struct hub *hub = c->hub;
    struct exchange *x = &c->x;
    struct http_response *r = &hub->response;
    struct http_reply reply = {0};
    int len = http_parse_response(r, x->method, p, n, &limits, &x->up_scanned);
    if (len <= 0) {
        if (len < 0) {
            malformed(c, r->why);
        }
        return len;
    }
    x->up_scanned = 0;
    if (r->status >= 200) {
        return len;
    }
    if (r->status == 101 && (!x->upgrade || !x->request_done)) {
        malformed(c, "switched protocols without being asked to");
        return -1;
    }
    if (++x->interim > MAX_INTERIM) {
        malformed(c, "too many interim answers");
        return -1;
    }
    if (x->minor > 0) { /* HTTP/1.0 knows no interim answers (RFC 9110 15.2) */
        stream_write(c->s, hub->head, http_write_response(hub->head, sizeof(hub->head), r, &reply));
    }
    if (r->status == 101) {
        switch_protocols(c);
    }
    return len;
}

static size_t up_data(void *owner, struct stream *up, const char *p, size_t n)
{
    struct client *c = owner;
    struct hub *hub = c->hub;
    struct exchange *x = &c->x;
    struct str head = {NULL, 0};
    size_t off = 0, used;
    if (sock_broken(c->s)) {
        /* It sent more and then went away: nobody reads that before the answer's end, which may
         * never come, so that its end would not be seen. */
        client_end(c, "the client went away during its answer");
        return n;
    }
    if (stream_pending(c->s) > 0) {
        stream_pause(up);
        return 0;
    }
    x->answered = true;
    if (x->replay) {
        drop_replay(x);
    }
    while (!x->head_sent && head.n == 0) {
        ssize_t len = answer_head(c, p + off, n - off);
        if (len <= 0 || c->state == CLIENT_UPGRADED) {
            if (c->state == CLIENT_EXCHANGE) {
                exchange_touch(c);
            }
            return len < 0 ? n : off + (size_t)len;
        }
        off += (size_t)len;
        struct http_response *r = &hub->response;
        if (r->status < 200) {
            continue;
        }
        x->status = r->status;
        judge_fields(c, r);
        access_answered(hub, &x->access, r->status);
        bool decode = x->minor == 0 && r->framing == HTTP_BODY_CHUNKED;
        http_body_init(&x->response, r->framing, r->length, decode);
        if (!x->request_done || decode || r->framing == HTTP_BODY_TO_EOF || hub->stopping ||
            x->client_ended) {
            x->keep_alive = false;
        }
        x->up_keep_alive = r->keep_alive;
        struct http_reply reply = {.close = !x->keep_alive,
                                   .keep_alive = x->minor == 0,
                                   .chunked = r->framing == HTTP_BODY_CHUNKED && !decode};
        head =
            (struct str){hub->head, http_write_response(hub->head, sizeof(hub->head), r, &reply)};
    }
    struct body_pass to = {.to = c->s, .head = head, .trailers = hub->trailers};
    enum body_pass_result done = body_pass(&to, &x->response, p + off, n - off, &used);
    off += used;
    x->head_sent = x->head_sent || to.wrote;
    if (done == BODY_PASS_BAD) {
        malformed(c, x->response.why);
        return n;
    }
    if (done == BODY_PASS_DONE) {
        finish(c, off < n);
        return n;
    }
    if (stream_pending(c->s) > 0) {
        stream_pause(up);
    }
    exchange_touch(c);
    return off;
}

static void on_fresh(void *owner, const struct upstream_result *result)
{
    struct client *c = owner;
    struct exchange *x = &c->x;
    x->wait = NULL;
    if (!result->s) {
        client_answer(c, result->timed_out ? 504 : 503, result->hop, result->why, true);
        return;
    }
    x->up = result->s;
    x->up_target = result->target;
    exchange_own(c);
    stream_write(x->up, x->replay, x->replay_len);
    drop_replay(x);
    exchange_touch(c);
}

/* A connection that had served before was closed just as the request came: nothing of it was
 * answered, and it may be sent again (RFC 9112 9.3.1). */
static bool retry(struct client *c)
{
    struct exchange *x = &c->x;
    struct upstream_result result;
    if (x->answered || !x->reused || !x->replay) {
        return false;
    }
    x->reused = false;
    log_debug(c->hub->log, "client", c->id, "sent again: the kept connection had been closed");
    struct tunnel_origin origin = client_origin(c);
    if (upstream_get(c->hub, x->access.app, &origin, UPSTREAM_FRESH, &result, on_fresh, c,
                     &x->wait)) {
        on_fresh(c, &result);
    }
    return true;
}

/* The upstream connection is gone, or will send nothing more. */
static void up_lost(struct client *c, const char *why)
{
    struct exchange *x = &c->x;
    if (c->state != CLIENT_EXCHANGE) {
        return; /* not in use yet: connect_upstream gets another */
    }
    if (x->head_sent && http_body_eof(&x->response)) {
        x->up_keep_alive = false;
        finish(c, false);
    } else if (x->answered) {
        fail(c, 502, why);
    } else if (!retry(c)) {
        fail(c, 503, why);
    }
}

static void up_eof(void *owner, struct stream *up)
{
    struct client *c = owner;
    if (c->state == CLIENT_EXCHANGE && c->x.head_sent && http_body_eof(&c->x.response)) {
        up_lost(c, NULL);
        return;
    }
    stream_close(up);
    c->x.up = NULL;
    up_lost(c, c->x.answered ? EXCHANGE_PEER(c, " ended the connection inside its answer")
                             : EXCHANGE_PEER(c, " closed the connection before it answered"));
}

static void up_closed(void *owner, struct stream *up UNUSED, const char *why)
{
    struct client *c = owner;
    struct exchange *x = &c->x;
    x->up = NULL;
    if (c->state == CLIENT_EXCHANGE && x->head_sent && x->request_done) {
        /* Broken, not ended: an answer that ends with the connection is not whole either. Who
         * refused the rest of a request may break off so. */
        fail(c, 502, why);
    } else {
        up_lost(c, why);
    }
}

static void up_drained(void *owner, struct stream *up UNUSED)
{
    struct client *c = owner;
    if (c->state == CLIENT_EXCHANGE) {
        stream_resume(c->s);
        exchange_touch(c);
    }
}

static const struct stream_events up_events = {
    .data = up_data,
    .eof = up_eof,
    .drained = up_drained,
    .closed = up_closed,
};

void exchange_own(struct client *c)
{
    stream_own(c->x.up, &up_events, c);
}

/* ---- the request ---- */

/* After a step of the request's body. Returns false when the exchange is over. */
static bool request_step(struct client *c, enum body_pass_result done)
{
    struct exchange *x = &c->x;
    if (done == BODY_PASS_BAD) {
        if (x->head_sent) {
            client_end(c, x->request.why);
        } else {
            client_answer(c, 400, HOP_NONE, x->request.why, true);
        }
        return false;
    }
    x->request_done = done == BODY_PASS_DONE;
    if (!x->request_done && stream_pending(x->up) > 0) {
        stream_pause(c->s);
    }
    exchange_touch(c);
    return true;
}

/* The head as it goes on, in hub->head. */
static size_t write_head(struct client *c, const struct target *target)
{
    struct hub *hub = c->hub;
    const struct access *access = &c->x.access;
    const struct exapp *app = access->app;
    if (access->for_engine) {
        struct str object = docker_call_object(&hub->docker_call);
        log_info(hub->log, "gate", c->id, "%s%s%.*s goes on to Docker engine %u",
                 hub->docker_call.rule ? hub->docker_call.rule->name : "a call",
                 object.n > 0 ? " of " : "", STR_ARG(object), access->engine);
        return gate_forward(hub, hub->head, sizeof(hub->head));
    }
    struct rewrite_app to = {
        .path = target->rest,
        .slash = target->bare,
        .id = target->appid,
        .version = str_of(app->meta.version),
        .authorization = str_of(access->authorization ? access->authorization : app->anonymous),
        .appapi = access->appapi,
        .strip_credentials = hub->settings.strip_credentials};
    return rewrite_request(hub->head, sizeof(hub->head), &hub->request, &to);
}

size_t exchange_begin(struct client *c, const struct target *target, const char *p, size_t head_len,
                      size_t n)
{
    struct hub *hub = c->hub;
    struct exchange *x = &c->x;
    const struct http_request *r = &hub->request;
    size_t len = write_head(c, target), used;
    client_enter(c, CLIENT_EXCHANGE);
    x->started = loop_now(&hub->loop);
    exchange_own(c);
    if (x->reused && x->repeatable) {
        x->replay = xmalloc(len);
        x->replay_len = len;
        memcpy(x->replay, hub->head, len);
    }
    http_body_init(&x->request, r->framing, r->length, false);
    struct stream *up = x->up;
    struct body_pass pass = {.to = up, .head = {hub->head, len}, .trailers = hub->trailers};
    enum body_pass_result done = body_pass(&pass, &x->request, p + head_len, n - head_len, &used);
    if (!request_step(c, done)) {
        return n;
    }
    stream_resume(up);
    return head_len + used;
}

size_t exchange_client_data(struct client *c, const char *p, size_t n)
{
    struct exchange *x = &c->x;
    size_t used;
    if (x->request_done || !x->up || stream_pending(x->up) > 0) {
        /* The next request waits for its turn; or the ExApp does not read. */
        stream_pause(c->s);
        return 0;
    }
    struct body_pass pass = {.to = x->up, .trailers = c->hub->trailers};
    enum body_pass_result done = body_pass(&pass, &x->request, p, n, &used);
    return request_step(c, done) ? used : n;
}

void exchange_client_eof(struct client *c)
{
    struct exchange *x = &c->x;
    if (!x->request_done) {
        client_end(c, "closed by the client inside its request");
        return;
    }
    if (x->access.for_engine) {
        /* A pull or a log without end must not go on for nobody. */
        client_end(c, "the client of a Docker call went away");
        return;
    }
    x->client_ended = true;
    exchange_touch(c);
}

void exchange_client_drained(struct client *c)
{
    if (c->x.up) {
        stream_resume(c->x.up);
    }
    exchange_touch(c);
}
