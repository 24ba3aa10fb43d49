/* answer.c - the engine's answer on its way to the client. */
#include <stdio.h>
#include <stdlib.h>

#include "common/crypto/secret.h"
#include "common/json/json.h"
#include "common/stream/body_pass.h"
#include "socket-filter/client/client.h"
#include "socket-filter/client/execs.h"

enum { MAX_INTERIM = 32 }; /* 1xx answers before the final one */

static const struct http_limits limits = HTTP_LIMITS_DEFAULT;

/* The other end broke HTTP's rules. */
static void malformed(struct client *c, const char *rule)
{
    char why[160];
    snprintf(why, sizeof(why), "malformed answer of the %s: %.100s",
             c->at->set->exapp ? "ExApp" : "Docker engine", rule);
    exchange_fail(c, 502, why);
}

/* ---- upgrades ---- */

static void relay_over(void *owner, uint64_t up, uint64_t down, const char *failed)
{
    struct client *c = owner;
    c->relay = NULL;
    c->f->metrics.received += up;
    c->f->metrics.sent += down;
    log_debug(c->f->log, "client", c->id, "upgraded: %llu bytes up, %llu down",
              (unsigned long long)up, (unsigned long long)down);
    client_end(c, failed ? failed : "closed");
}

void answer_switch(struct client *c)
{
    const struct filter_settings *set = &c->f->settings;
    struct relay_limits idle = {.idle = set->timeout_stream};
    struct stream *up = c->x.up, *down = c->s;
    c->x.up = NULL;
    exchange_clear(c);
    client_enter(c, CLIENT_UPGRADED);
    frontend_upgraded(c);
    c->s = NULL;
    c->relay = relay_start(down, up, &idle, relay_over, c);
}

/* ---- answers that are read whole ---- */

static bool is_json(const struct http_response *r)
{
    for (unsigned i = 0; i < r->nfields; i++) {
        const struct http_field *f = &r->fields[i];
        if (f->id == HTTP_CONTENT_TYPE) {
            return f->value.n >= 16 && strncasecmp(f->value.p, "application/json", 16) == 0;
        }
    }
    return false;
}

/* Whether the answer is to be read whole; false, too, when it can't be and the exchange is over. */
static bool begin_collecting(struct client *c, struct http_response *r)
{
    struct exchange *x = &c->x;
    struct http_reply reply = {.close = !x->keep_alive, .keep_alive = x->minor == 0};
    if (x->collect == COLLECT_NOTHING || r->framing == HTTP_BODY_NONE || x->raw) {
        return false;
    }
    if (!is_json(r)) {
        if (r->status < 300 && x->collect == COLLECT_ENV) {
            malformed(c, "it is not JSON, so environments can't be cut out of it");
        }
        x->collect = COLLECT_NOTHING;
        return false;
    }
    for (unsigned i = 0; i < r->nfields; i++) {
        r->fields[i].drop |= r->fields[i].id == HTTP_CONTENT_LENGTH;
    }
    size_t n = http_write_response(c->f->head, sizeof(c->f->head), r, &reply);
    x->answer_head = xmalloc(n);
    x->answer_head_len = n - 2; /* framing comes before the empty line */
    memcpy(x->answer_head, c->f->head, n);
    x->scrub = x->collect == COLLECT_ENV ? scrub_new() : NULL;
    return true;
}

/* Remembers the command that was made. */
static void note_exec(struct client *c)
{
    struct exchange *x = &c->x;
    struct str id;
    struct json_doc *doc = x->status == 201 && x->answer.len > 0
                               ? json_parse(buf_head(&x->answer), x->answer.len, NULL, NULL, 0)
                               : NULL;
    if (json_str(json_get(json_root(doc), "Id"), &id) == 0) {
        execs_add(c->f->execs, c->policy->policy, id);
    }
    json_free(doc);
}

static void send_collected(struct client *c, bool excess)
{
    struct exchange *x = &c->x;
    const char *why = NULL;
    char length[64];
    if (x->scrub && x->answer.len == 0) {
        if (scrub_end(x->scrub, &why) < 0) {
            malformed(c, why);
            return;
        }
        struct str text = scrub_take(x->scrub);
        buf_append(&x->answer, text.p, text.n);
    }
    if (x->collect == COLLECT_EXEC) {
        note_exec(c);
    }
    int n = snprintf(length, sizeof(length), "Content-Length: %u\r\n\r\n", x->answer.len);
    struct iovec iov[3] = {{x->answer_head, x->answer_head_len},
                           {length, (size_t)n},
                           {x->answer.len > 0 ? buf_head(&x->answer) : NULL, x->answer.len}};
    stream_writev(c->s, iov, x->answer.len > 0 ? 3 : 2);
    c->f->metrics.sent += x->answer.len;
    x->head_sent = true;
    exchange_finish(c, excess);
}

/* Returns false when the exchange is over. */
static bool collect(struct client *c, const char *p, size_t n, size_t *used)
{
    struct exchange *x = &c->x;
    enum http_body_result r = HTTP_BODY_MORE;
    const char *why;
    *used = 0;
    while (r == HTTP_BODY_MORE) {
        size_t k;
        struct str run;
        r = http_body_feed(&x->response, p + *used, n - *used, &k, &run);
        *used += k;
        if (r == HTTP_BODY_BAD) {
            malformed(c, x->response.why);
            return false;
        }
        if (http_body_passed(&x->response) > c->f->settings.answer_max) {
            malformed(c, "larger than answer_max");
            return false;
        }
        if (run.n > 0 && x->scrub && scrub_feed(x->scrub, run.p, run.n, &why) < 0) {
            malformed(c, why);
            return false;
        }
        if (run.n > 0 && !x->scrub) {
            buf_append(&x->answer, run.p, run.n);
        }
        if (r == HTTP_BODY_MORE && (k == 0 || *used == n)) {
            break;
        }
    }
    if (r == HTTP_BODY_DONE) {
        send_collected(c, *used < n);
        return false;
    }
    exchange_touch(c);
    return true;
}

/* ---- heads ---- */

/* Returns how much of the head was used: 0 not complete, < 0 the exchange is over. */
static ssize_t answer_head(struct client *c, const char *p, size_t n)
{
    struct filter *f = c->f;
    struct exchange *x = &c->x;
    struct http_response *r = &f->response;
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
    if (r->status == 101) {
        stream_write(c->s, f->head, http_write_response(f->head, sizeof(f->head), r, &reply));
        answer_switch(c);
    }
    return len; /* a 100 is for us: we have asked for none */
}

/* The final head came: false when the exchange is over. */
static bool begin_body(struct client *c, struct str *head)
{
    struct filter *f = c->f;
    struct exchange *x = &c->x;
    struct http_response *r = &f->response;
    x->status = r->status;
    x->up_keep_alive = r->keep_alive;
    for (unsigned i = 0; !x->raw && i < r->nfields; i++) {
        r->fields[i].drop = !docker_answer_passes(&r->fields[i]);
    }
    if (!x->raw && r->framing == HTTP_BODY_LENGTH && x->kind != DOCKER_ANSWER_STREAM &&
        r->length > f->settings.answer_max) {
        malformed(c, "larger than answer_max");
        return false;
    }
    /* What a collected answer ends by is told by its length. */
    if (begin_collecting(c, r)) {
        http_body_init(&x->response, r->framing, r->length, true);
        return true;
    }
    if (c->state != CLIENT_EXCHANGE) {
        return false;
    }
    bool decode = x->minor == 0 && r->framing == HTTP_BODY_CHUNKED;
    if (!x->request_done || decode || r->framing == HTTP_BODY_TO_EOF || f->stopping ||
        x->client_ended) {
        x->keep_alive = false;
    }
    http_body_init(&x->response, r->framing, r->length, decode);
    struct http_reply reply = {.close = !x->keep_alive,
                               .keep_alive = x->minor == 0,
                               .chunked = r->framing == HTTP_BODY_CHUNKED && !decode};
    *head = (struct str){f->head, http_write_response(f->head, sizeof(f->head), r, &reply)};
    return true;
}

static size_t up_data(void *owner, struct stream *up, const char *p, size_t n)
{
    struct client *c = owner;
    struct exchange *x = &c->x;
    struct str head = {NULL, 0};
    size_t off = 0, used;
    x->answered = true;
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
    while (!x->head_sent && !x->answer_head && head.n == 0) {
        ssize_t len = answer_head(c, p + off, n - off);
        if (len <= 0 || c->state == CLIENT_UPGRADED) {
            if (c->state == CLIENT_EXCHANGE) {
                exchange_touch(c);
            }
            return len < 0 ? n : off + (size_t)len;
        }
        off += (size_t)len;
        if (c->f->response.status >= 200 && !begin_body(c, &head)) {
            return n;
        }
    }
    if (x->answer_head) {
        return collect(c, p + off, n - off, &used) ? off + used : n;
    }
    struct body_pass pass = {.to = c->s, .head = head, .trailers = c->f->trailers};
    enum body_pass_result done = body_pass(&pass, &x->response, p + off, n - off, &used);
    off += used;
    c->f->metrics.sent += used;
    x->head_sent = x->head_sent || pass.wrote;
    if (done == BODY_PASS_BAD) {
        malformed(c, x->response.why);
        return n;
    }
    if (done == BODY_PASS_DONE) {
        exchange_finish(c, off < n);
        return n;
    }
    if (!x->raw && x->kind != DOCKER_ANSWER_STREAM &&
        http_body_passed(&x->response) > c->f->settings.answer_max) {
        malformed(c, "larger than answer_max");
        return n;
    }
    if (stream_pending(c->s) > 0) {
        stream_pause(up);
    }
    exchange_touch(c);
    return off;
}

/* ---- ends of the engine's side ---- */

/* The connection is gone, or will send nothing more. */
static void up_lost(struct client *c, const char *why)
{
    struct exchange *x = &c->x;
    bool whole = (x->head_sent || x->answer_head) && http_body_eof(&x->response);
    if (whole && x->answer_head) {
        x->up_keep_alive = false;
        send_collected(c, false);
    } else if (whole) {
        x->up_keep_alive = false;
        exchange_finish(c, false);
    } else if (!x->answered && x->reused) {
        /* A kept connection was closed just as the request came: nothing of it was answered, and it may be
         * sent again (RFC 9112 9.3.1). */
        judge_again(c);
        exchange_start(c);
    } else {
        exchange_fail(c, x->answered ? 502 : 503, why);
    }
}

static void up_eof(void *owner, struct stream *up UNUSED)
{
    struct client *c = owner;
    struct exchange *x = &c->x;
    if (c->state != CLIENT_EXCHANGE) {
        return;
    }
    stream_close(x->up);
    x->up = NULL;
    up_lost(c, x->answered ? "the connection was ended inside the answer"
                           : "the connection was closed before the answer");
}

static void up_closed(void *owner, struct stream *up UNUSED, const char *why)
{
    struct client *c = owner;
    struct exchange *x = &c->x;
    x->up = NULL;
    if (c->state != CLIENT_EXCHANGE) {
        return;
    }
    if (x->head_sent) {
        /* Broken, not ended: it is not whole, even if it ends with the connection. */
        exchange_fail(c, 502, why);
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

const struct stream_events answer_events = {
    .data = up_data,
    .eof = up_eof,
    .drained = up_drained,
    .closed = up_closed,
};
