/* exchange.c - a request on its way to the engine, or to an ExApp. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/writer.h"
#include "common/crypto/secret.h"
#include "socket-filter/client/client.h"

/* ---- time ---- */

/* Sets the timer by who is to move next. */
void exchange_touch(struct client *c)
{
    const struct filter_settings *set = &c->f->settings;
    const struct exchange *x = &c->x;
    uint64_t now = loop_now(&c->f->loop), ms;
    if (stream_pending(c->s) > 0 || (!x->request_done && x->up && stream_pending(x->up) == 0)) {
        ms = set->timeout_client;
    } else if (x->kind == DOCKER_ANSWER_STREAM && x->head_sent) {
        ms = set->timeout_stream;
    } else if (!x->request_done) {
        ms = set->timeout_slow; /* the engine has to read on */
    } else {
        /* The answer has to be there as a whole: not a byte of it gives more time. */
        uint64_t until = x->requested +
                         (x->kind == DOCKER_ANSWER_SHORT ? set->timeout_short : set->timeout_slow);
        ms = until > now ? until - now : 1;
    }
    timer_set(&c->f->loop, &c->timer, ms);
}

void exchange_timeout(struct client *c)
{
    struct exchange *x = &c->x;
    if (stream_pending(c->s) > 0) {
        client_end(c, "the client does not read the answer");
    } else if (x->head_sent) {
        exchange_fail(c, 504, "the engine stopped in the middle of its answer");
    } else if (!x->request_done && x->up && stream_pending(x->up) == 0) {
        client_answer(c, 408, "the request body took too long");
    } else {
        c->f->metrics.engine_failures++;
        client_answer(c, 504,
                      c->at->set->exapp ? "the ExApp did not answer in time"
                                        : "the Docker engine did not answer in time");
    }
}

/* ---- ends ---- */

static void wipe_buf(struct buf *b)
{
    if (b->p) {
        secret_wipe(b->p, b->cap);
    }
    buf_free(b);
}

static void wipe_text(char *p, size_t n)
{
    if (p) {
        secret_wipe(p, n);
        free(p);
    }
}

void exchange_clear(struct client *c)
{
    struct exchange *x = &c->x;
    if (x->lookup) {
        lookup_cancel(x->lookup);
    }
    if (x->wait) {
        engine_cancel(x->wait);
    }
    if (x->dial) {
        dial_cancel(x->dial);
    }
    if (x->up) {
        stream_close(x->up);
    }
    wipe_text(x->head, x->head_len);
    wipe_buf(&x->data);
    wipe_buf(&x->answer);
    docker_body_wipe(&x->body);
    scrub_free(x->scrub);
    free(x->archive);
    free(x->answer_head);
    memset(x, 0, sizeof(*x));
}

void exchange_finish(struct client *c, bool excess)
{
    struct exchange *x = &c->x;
    bool keep = x->keep_alive && x->request_done && !x->client_ended && !c->f->stopping;
    bool linger = !x->request_done || c->s->hold.len > 0;
    log_debug(c->f->log, "client", c->id, "%u in %llu ms", x->status,
              (unsigned long long)(loop_now(&c->f->loop) - x->started));
    if (x->up && !c->at->set->exapp && x->up_keep_alive && x->request_done && !excess &&
        stream_pending(x->up) == 0) {
        engine_put(c->f->engine, x->up);
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

void exchange_fail(struct client *c, int status, const char *why)
{
    struct exchange *x = &c->x;
    c->f->metrics.engine_failures++;
    if (x->head_sent) {
        log_warning(c->f->log, "client", c->id, "answer cut short: %s", why);
        stream_abort(c->s);
        c->s = NULL;
        client_end(c, why);
        return;
    }
    log_warning(c->f->log, "client", c->id, "answered %d: %s", status, why);
    client_answer(c, status, why);
}

/* ---- writing the request ---- */

static void put_line(struct writer *w, struct str name, struct str value)
{
    writer_put(w, name);
    writer_put(w, STR(": "));
    writer_put(w, value);
    writer_put(w, STR("\r\n"));
}

/* A head as it came, but for what concerns the hop to us. An ExApp does not see the password that was for us,
 * and gets the browser's own Authorization back (as with Nextcloud's Docker Socket Proxy). */
static size_t raw_head(struct client *c)
{
    struct filter *f = c->f;
    const struct http_request *r = &f->request;
    struct writer w = {f->head, f->head + sizeof(f->head), false};
    bool exapp = c->at->set->exapp;
    writer_put(&w, r->method);
    writer_put(&w, STR(" "));
    writer_put(&w, r->path);
    writer_put(&w, STR(" HTTP/1.1\r\n"));
    if (r->absolute || r->authority.n == 0) { /* else it is among the fields */
        put_line(&w, STR("Host"), r->authority.n > 0 ? r->authority : STR("docker"));
    }
    unsigned originals = 0; /* the first counts: there may be one Authorization only */
    for (unsigned i = 0; i < r->nfields; i++) {
        const struct http_field *h = &r->fields[i];
        bool original = exapp && str_eq_nocase(h->name, STR("X-Original-Authorization"));
        if (h->drop || h->id == HTTP_EXPECT || (h->id == HTTP_HOST && h->value.n == 0) ||
            (h->id == HTTP_AUTHORIZATION && *c->at->set->user) || (original && originals++ > 0)) {
            continue;
        }
        put_line(&w, original ? STR("Authorization") : h->name, h->value);
    }
    if (c->x.chunked) {
        writer_put(&w, STR("Transfer-Encoding: chunked\r\n"));
    }
    writer_put(&w, r->upgrade ? STR("Connection: Upgrade\r\n\r\n")
                   : exapp    ? STR("Connection: close\r\n\r\n")
                              : STR("\r\n"));
    return writer_end(&w, f->head);
}

static size_t judged_head(struct client *c)
{
    struct filter *f = c->f;
    struct exchange *x = &c->x;
    struct docker_forwarding how = {.keep_alive = true,
                                    .upgrade = x->upgrade,
                                    .chunked = x->chunked,
                                    .length = x->body.p ? x->body.n : 0};
    if (*x->id) {
        docker_call_rename(&f->call, str_of(x->id));
    }
    return docker_forward_request(f->head, sizeof(f->head), &f->call, &f->request, &how);
}

/* Bytes of a body that goes on as it came. */
static void write_raw(struct client *c, struct str data)
{
    struct exchange *x = &c->x;
    char size[24];
    if (data.n == 0) {
        return;
    }
    struct iovec iov[3] = {{size, (size_t)snprintf(size, sizeof(size), "%zx\r\n", data.n)},
                           {(void *)(uintptr_t)data.p, data.n},
                           {(void *)(uintptr_t) "\r\n", 2}};
    stream_writev(x->up, x->chunked ? iov : iov + 1, x->chunked ? 3 : 1);
}

static void end_raw(struct client *c)
{
    if (c->x.chunked) {
        stream_write(c->x.up, "0\r\n\r\n", 5);
    }
}

/* The connection is there, and f->request and f->call are good. */
static void write_request(struct client *c)
{
    struct filter *f = c->f;
    struct exchange *x = &c->x;
    const struct http_request *r = &f->request;
    bool archive = !x->raw && f->call.rule && f->call.rule->body == DOCKER_BODY_ARCHIVE;
    x->raw |=
        archive && c->at->set->report == FILTER_REPORT; /* it is looked at, and passes as it is */
    x->chunked = x->raw ? r->framing == HTTP_BODY_CHUNKED : archive;
    size_t len = x->raw ? raw_head(c) : judged_head(c);
    if (len == 0) {
        exchange_fail(c, 500, "the request's head could not be written");
        return;
    }
    client_enter(c, CLIENT_EXCHANGE);
    x->started = x->requested = loop_now(&f->loop);
    stream_own(x->up, &answer_events, c);
    struct iovec iov[2] = {{f->head, len}, {x->body.p, x->body.p && !x->raw ? x->body.n : 0}};
    stream_writev(x->up, iov, iov[1].iov_len > 0 ? 2 : 1);
    if (x->raw || f->call.rule->registry_auth) {
        secret_wipe(f->head, len);
    }
    if (archive) {
        x->archive = xcalloc(1, sizeof(*x->archive));
        docker_archive_init(x->archive, c->policy->policy->grants, f->settings.archive_max);
        http_body_init(&x->request, r->framing, r->length, true);
    } else if (x->raw && x->data.len > 0) {
        write_raw(c, (struct str){buf_head(&x->data), x->data.len});
    } else if (x->raw && !x->request_done) {
        http_body_init(&x->request, r->framing, r->length, true);
    }
    if (x->raw && x->request_done && r->framing == HTTP_BODY_CHUNKED) {
        end_raw(c);
    }
    if (!x->request_done && r->expect_continue && x->data.len == 0) {
        stream_write(c->s, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    }
    exchange_touch(c);
    stream_resume(x->up);
    stream_resume(c->s);
}

static void connected(struct client *c, struct stream *s, bool timed_out, const char *why)
{
    if (!s) {
        char text[256];
        snprintf(text, sizeof(text), "%s can't be reached: %.180s",
                 c->at->set->exapp ? "the ExApp" : "the Docker engine", why);
        exchange_fail(c, timed_out ? 504 : 503, text);
        return;
    }
    c->x.up = s;
    judge_again(c);
    write_request(c);
}

static void engine_connected(void *owner, struct stream *s, bool timed_out, const char *why)
{
    struct client *c = owner;
    c->x.wait = NULL;
    connected(c, s, timed_out, why);
}

static void exapp_connected(void *owner, struct stream *s, bool timed_out, const char *why)
{
    struct client *c = owner;
    c->x.dial = NULL;
    connected(c, s, timed_out, why);
}

void exchange_start(struct client *c)
{
    struct filter *f = c->f;
    struct exchange *x = &c->x;
    bool again = x->request_done && !x->upgrade && !x->answered &&
                 (x->method == HTTP_GET || x->method == HTTP_HEAD);
    if (c->state != CLIENT_WAIT) {
        client_enter(c, CLIENT_WAIT);
    }
    if (c->at->set->exapp) {
        x->dial = dial_start(&f->loop, f->resolver, f->settings.exapps_net, c->at->set->exapp,
                             f->settings.connect_timeout, exapp_connected, c);
        return;
    }
    /* A request that can be sent again may use a connection that the engine is about to close. */
    struct stream *s = again && !x->reused ? engine_idle(f->engine) : NULL;
    x->reused = s != NULL;
    if (s) {
        x->up = s;
        write_request(c);
    } else {
        x->wait = engine_connect(f->engine, engine_connected, c);
    }
}

/* ---- the rest of the request's body ---- */

/* What of an archive may go on, in a chunk. */
static void pass_archive(struct client *c, struct buf *out)
{
    if (out->len > 0) {
        write_raw(c, (struct str){buf_head(out), out->len});
        buf_free(out);
    }
}

/* Report mode: looked at only; a fault is told once. Returns false when the exchange is over, as no record of
 * it could be written. */
static bool archive_watch(struct client *c, struct str run, bool last)
{
    struct exchange *x = &c->x;
    struct buf out = {0};
    struct docker_verdict v = {0};
    int status = run.n > 0 ? docker_archive_feed(x->archive, run.p, run.n, &out, &v) : 0;
    status = status == 0 && last ? docker_archive_end(x->archive, &out, &v) : status;
    buf_free(&out);
    if (status == 0) {
        return true;
    }
    free(x->archive);
    x->archive = NULL;
    return judge_refused_late(c, &v);
}

/* Returns false when the exchange is over. */
static bool archive_data(struct client *c, struct str run, bool last)
{
    struct exchange *x = &c->x;
    struct buf out = {0};
    struct docker_verdict v = {0};
    int status = run.n > 0 ? docker_archive_feed(x->archive, run.p, run.n, &out, &v) : 0;
    if (status == 0) {
        pass_archive(c, &out);
        status = last ? docker_archive_end(x->archive, &out, &v) : 0;
    }
    if (status == 0) {
        pass_archive(c, &out);
        if (last) {
            end_raw(c);
        }
        return true;
    }
    buf_free(&out);
    /* What the engine has of it was good; it must not take the rest for the end. */
    stream_abort(x->up);
    x->up = NULL;
    return judge_refused_late(c, &v);
}

size_t exchange_client_data(struct client *c, const char *p, size_t n)
{
    struct exchange *x = &c->x;
    size_t used = 0;
    if (x->request_done || !x->up || stream_pending(x->up) > 0) {
        stream_pause(c->s); /* the next request waits for its turn; or the engine does not read */
        return 0;
    }
    for (;;) {
        size_t k;
        struct str run;
        enum http_body_result r = http_body_feed(&x->request, p + used, n - used, &k, &run);
        used += k;
        c->f->metrics.received += run.n;
        if (r == HTTP_BODY_BAD) {
            stream_abort(x->up);
            x->up = NULL;
            judge_malformed(c, x->request.why);
            return n;
        }
        if (x->archive && !(x->raw ? archive_watch : archive_data)(c, run, r == HTTP_BODY_DONE)) {
            return n;
        }
        if (x->raw) {
            write_raw(c, run);
            if (r == HTTP_BODY_DONE) {
                end_raw(c);
            }
        }
        x->request_done = r == HTTP_BODY_DONE;
        x->requested = loop_now(&c->f->loop);
        if (x->request_done || k == 0 || used == n || stream_pending(x->up) > 0) {
            break;
        }
    }
    if (!x->request_done && stream_pending(x->up) > 0) {
        stream_pause(c->s);
    }
    exchange_touch(c);
    return used;
}

void exchange_client_eof(struct client *c)
{
    struct exchange *x = &c->x;
    if (!x->request_done) {
        client_end(c, "closed by the client inside its request");
        return;
    }
    if (x->kind == DOCKER_ANSWER_STREAM && !x->raw && !x->upgrade) {
        client_end(c, "the client of a stream went away"); /* it would go on for nobody */
        return;
    }
    x->client_ended = true;
}

void exchange_client_drained(struct client *c)
{
    if (c->x.up) {
        stream_resume(c->x.up);
    }
    exchange_touch(c);
}
