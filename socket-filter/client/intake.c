/* intake.c - a JSON body comes, is read whole, and judged. */
#include <stdlib.h>

#include "common/crypto/secret.h"
#include "socket-filter/client/client.h"
#include "socket-filter/policy/bind_source.h"

/* All of it is there. */
static void finish(struct client *c)
{
    struct filter *f = c->f;
    struct exchange *x = &c->x;
    const struct docker_host host = {.bind = bind_source_check, .arg = &f->bind_host};
    struct str body = {x->data.len > 0 ? buf_head(&x->data) : "", x->data.len};
    x->request_done = true;
    judge_again(c);
    client_enter(c, CLIENT_WAIT);
    if (docker_judge_body(c->policy->policy, &f->call, body, &host, &x->body, &f->verdict)) {
        judge_refused(c, &f->verdict);
    } else {
        judge_finish(c);
    }
}

static void too_large(struct client *c)
{
    struct docker_verdict v = {.status = 413, .why = "the body is larger than body_max"};
    judge_again(c);
    memcpy(v.call, c->f->verdict.call, sizeof(v.call));
    judge_refused(c, &v);
}

size_t intake_data(struct client *c, const char *p, size_t n)
{
    struct exchange *x = &c->x;
    size_t used = 0;
    for (;;) {
        size_t k;
        struct str run;
        enum http_body_result r = http_body_feed(&x->request, p + used, n - used, &k, &run);
        used += k;
        c->f->metrics.received += run.n;
        if (run.n > 0) {
            buf_append(&x->data, run.p, run.n);
        }
        if (x->data.len > c->f->settings.body_max) {
            x->request_done = r == HTTP_BODY_DONE;
            too_large(c);
            return c->state == CLIENT_CLOSING || c->state == CLIENT_ENDED ? n : used;
        }
        if (r == HTTP_BODY_BAD) {
            judge_malformed(c, x->request.why);
            return n;
        }
        if (r == HTTP_BODY_DONE) {
            finish(c);
            return c->state == CLIENT_CLOSING || c->state == CLIENT_ENDED ? n : used;
        }
        if (k == 0 || used == n) {
            timer_set(&c->f->loop, &c->timer, c->f->settings.timeout_client);
            return used;
        }
    }
}

void intake_begin(struct client *c)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const struct http_request *r = &c->f->request;
    if (r->framing == HTTP_BODY_LENGTH && r->length > c->f->settings.body_max) {
        too_large(c);
        return;
    }
    http_body_init(&c->x.request, r->framing, r->length, true);
    client_enter(c, CLIENT_BODY);
    if (r->expect_continue) {
        stream_write(c->s, go_on, sizeof(go_on) - 1);
    }
}
