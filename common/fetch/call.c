#include "common/fetch/call.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/crypto/secret.h"
#include "common/http/body.h"

enum { HEAD_ROOM = 1024, MAX_INTERIM = 32, FIRST_ROOM = 4096 };

struct call {
    struct stream *s;
    enum http_method method;
    size_t answer_max, scanned;
    unsigned interim;
    int status; /* 0: the head is still to come */
    struct http_body body;
    char *text;
    size_t len, cap;
    call_done *done;
    void *owner;
};

static void release(struct call *c)
{
    if (c->s) {
        stream_close(c->s);
    }
    if (c->text) {
        secret_wipe(c->text, c->len);
        free(c->text);
    }
    free(c);
}

void call_cancel(struct call *c)
{
    release(c);
}

static void finish(struct call *c, const char *why)
{
    struct call_result r = {.why = why ? why : ""};
    if (!why) {
        r.status = c->status;
        r.body = (struct str){c->text ? c->text : "", c->len};
    }
    c->done(c->owner, &r);
    release(c);
}

/* Not a struct buf: what that leaves behind when it grows would not be wiped. */
static bool keep(struct call *c, struct str run)
{
    if (run.n > c->answer_max - c->len) {
        return false;
    }
    if (run.n > c->cap - c->len) {
        size_t cap = MIN(MAX(MAX(c->len + run.n, (size_t)FIRST_ROOM), c->cap * 2), c->answer_max);
        char *text = xmalloc(cap);
        if (c->text) {
            memcpy(text, c->text, c->len);
            secret_wipe(c->text, c->len);
            free(c->text);
        }
        c->text = text;
        c->cap = cap;
    }
    if (run.n > 0) {
        memcpy(c->text + c->len, run.p, run.n);
        c->len += run.n;
    }
    return true;
}

/* Returns how much of it was used: 0 not complete, < 0 the call is over. */
static ssize_t take_head(struct call *c, const char *p, size_t n)
{
    static const struct http_limits limits = HTTP_LIMITS_DEFAULT;
    struct http_response r;
    char why[128];
    int len = http_parse_response(&r, c->method, p, n, &limits, &c->scanned);
    if (len < 0) {
        snprintf(why, sizeof(why), "malformed answer: %s", r.why);
        finish(c, why);
        return -1;
    }
    if (len == 0) {
        return 0;
    }
    c->scanned = 0;
    if (r.status == 101 || (r.status < 200 && ++c->interim > MAX_INTERIM)) {
        finish(c, r.status == 101 ? "malformed answer: switched protocols without being asked to"
                                  : "malformed answer: too many interim answers");
        return -1;
    }
    if (r.status >= 200) {
        c->status = r.status;
        http_body_init(&c->body, r.framing, r.length, true);
    }
    return len;
}

static size_t on_data(void *owner, struct stream *s UNUSED, const char *p, size_t n)
{
    struct call *c = owner;
    size_t used = 0;
    while (c->status == 0) {
        ssize_t len = take_head(c, p + used, n - used);
        if (len <= 0) {
            return len < 0 ? n : used;
        }
        used += (size_t)len;
    }
    for (;;) {
        size_t k;
        struct str run;
        char why[128];
        enum http_body_result r = http_body_feed(&c->body, p + used, n - used, &k, &run);
        used += k;
        if (!keep(c, run)) {
            snprintf(why, sizeof(why), "the answer is larger than %zu bytes", c->answer_max);
            finish(c, why);
            return n;
        }
        if (r == HTTP_BODY_BAD) {
            snprintf(why, sizeof(why), "malformed answer: %s", c->body.why);
            finish(c, why);
            return n;
        }
        if (r == HTTP_BODY_DONE) {
            finish(c, NULL);
            return n;
        }
        if (k == 0 || used == n) {
            return used;
        }
    }
}

static void on_eof(void *owner, struct stream *s UNUSED)
{
    struct call *c = owner;
    if (c->status != 0 && http_body_eof(&c->body)) {
        finish(c, NULL);
    } else {
        finish(c, c->status != 0 ? "the connection was closed inside the answer"
                                 : "the connection was closed before an answer");
    }
}

static void on_closed(void *owner, struct stream *s UNUSED, const char *why)
{
    struct call *c = owner;
    c->s = NULL;
    finish(c, why);
}

static const struct stream_events events = {
    .data = on_data,
    .eof = on_eof,
    .closed = on_closed,
};

static const char *method_text(enum http_method method)
{
    switch (method) {
    case HTTP_HEAD:
        return "HEAD";
    case HTTP_POST:
        return "POST";
    case HTTP_PUT:
        return "PUT";
    case HTTP_DELETE:
        return "DELETE";
    default:
        return "GET";
    }
}

struct call *call_start(struct stream *s, const struct call_request *q, call_done *done,
                        void *owner)
{
    struct call *c = xcalloc(1, sizeof(*c));
    char head[CALL_PATH_MAX + HEAD_ROOM];
    c->s = s;
    c->method = q->method;
    c->answer_max = q->answer_max;
    c->done = done;
    c->owner = owner;
    int n = snprintf(head, sizeof(head),
                     "%s %.*s HTTP/1.1\r\nHost: %.200s\r\nUser-Agent: %.200s\r\n"
                     "Accept: application/json\r\nConnection: close\r\n",
                     method_text(q->method), CALL_PATH_MAX, q->path, q->host, q->agent);
    if (q->body.p) {
        n += snprintf(head + n, sizeof(head) - (size_t)n, "Content-Type: %.100s\r\n", q->type);
    }
    /* What has no body says so, where one could be expected (RFC 9110 8.6). */
    if (q->body.p || q->method == HTTP_POST || q->method == HTTP_PUT) {
        n += snprintf(head + n, sizeof(head) - (size_t)n, "Content-Length: %zu\r\n", q->body.n);
    }
    n += snprintf(head + n, sizeof(head) - (size_t)n, "\r\n");
    struct iovec iov[] = {{head, (size_t)n}, {(void *)(uintptr_t)q->body.p, q->body.n}};
    stream_own(s, &events, c);
    stream_writev(s, iov, q->body.n > 0 ? 2 : 1);
    return c;
}
