/* client_control.c - a call of AppAPI's to the hub: its body is read whole, then control.h answers, at
 * once or, of an operation on a container, later. */
#include <stdlib.h>

#include "common/crypto/secret.h"
#include "hub/client/client.h"
#include "hub/client/control.h"
#include "hub/hub.h"

struct intake {
    struct control_call call;
    struct http_body body;
    struct buf data;       /* what came of it, without framing; app tokens may be in it */
    struct deploy *deploy; /* WORK */
};

static void drop_body(struct intake *in)
{
    if (in->data.p) {
        secret_wipe(in->data.p, in->data.cap);
    }
    buf_free(&in->data);
}

void control_clear(struct client *c)
{
    struct intake *in = c->x.intake;
    if (in) {
        if (in->deploy) {
            deploy_abandon(in->deploy);
        }
        drop_body(in);
        free(in);
        c->x.intake = NULL;
    }
}

static void refuse(struct client *c, const char *why)
{
    client_answer(c, 400, HOP_NONE, why, true);
}

static void on_deployed(void *owner, struct answer *a)
{
    struct client *c = owner;
    c->x.intake->deploy = NULL;
    client_reply(c, a, false);
}

/* All of the body is there. */
static void finish(struct client *c)
{
    struct intake *in = c->x.intake;
    struct answer a = {0};
    char text[CONTROL_TEXT_MAX];
    struct str body = {in->data.len > 0 ? buf_head(&in->data) : "", in->data.len};
    c->x.request_done = true;
    c->requests++;
    if (in->call.kind == CONTROL_DEPLOY) {
        struct tunnel_origin origin = client_origin(c);
        in->deploy = control_deploy(c->hub, &in->call, body, &origin, &a, text, on_deployed, c);
        if (in->deploy) {
            drop_body(in);
            client_enter(c, CLIENT_WORK);
            return;
        }
    } else {
        control_answer(c->hub, &in->call, body, &a, text);
    }
    client_reply(c, &a, false);
}

size_t control_data(struct client *c, const char *p, size_t n)
{
    struct intake *in = c->x.intake;
    size_t used = 0;
    for (;;) {
        size_t k;
        struct str run;
        enum http_body_result r = http_body_feed(&in->body, p + used, n - used, &k, &run);
        used += k;
        if (in->data.len + run.n > CONTROL_BODY_MAX) {
            refuse(c, "the body is larger than 1 MiB");
            return n;
        }
        if (run.n > 0) {
            buf_append(&in->data, run.p, run.n);
        }
        if (r == HTTP_BODY_BAD) {
            refuse(c, in->body.why);
            return n;
        }
        if (r == HTTP_BODY_DONE) {
            finish(c);
            return used;
        }
        if (k == 0 || used == n) {
            timer_set(&c->hub->loop, &c->timer, c->hub->settings.timeout_client);
            return used;
        }
    }
}

size_t control_begin(struct client *c, const struct target *target, const char *p, size_t head_len,
                     size_t n)
{
    const struct http_request *r = &c->hub->request;
    struct control_call call;
    struct answer a = {0};
    if (control_find(r, target->path, &call, &a) < 0) {
        client_reply(c, &a, !c->x.request_done);
        return c->state == CLIENT_HEAD ? head_len : n;
    }
    if (r->framing == HTTP_BODY_LENGTH && r->length > CONTROL_BODY_MAX) {
        refuse(c, "the body is larger than 1 MiB");
        return n;
    }
    c->x.intake = xcalloc(1, sizeof(*c->x.intake));
    c->x.intake->call = call;
    http_body_init(&c->x.intake->body, r->framing, r->length, true);
    client_enter(c, CLIENT_CONTROL);
    if (r->expect_continue) {
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        stream_write(c->s, go_on, sizeof(go_on) - 1);
    }
    size_t used = control_data(c, p + head_len, n - head_len);
    return c->state == CLIENT_HEAD || c->state == CLIENT_CONTROL || c->state == CLIENT_WORK
               ? head_len + used
               : n;
}
