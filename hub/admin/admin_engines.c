#include "hub/admin/admin_engines.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/config/values.h"
#include "hub/admin/admin_text.h"
#include "hub/deploy/deploy.h"
#include "hub/deploy/engine.h"
#include "hub/hub.h"
#include "hub/deploy/instance.h"
#include "hub/client/upstream.h"

enum { ROWS = TUNNEL_ENGINE_LAST - TUNNEL_ENGINE_FIRST + 1 };

struct row {
    struct admin_engine shown; /* what is told of it */
    struct admin_engines *round;
    struct engine_call *call;
    uint64_t asked; /* ns */
};

struct admin_engines {
    struct hub *hub;
    admin_engines_done *done;
    void *owner;
    struct loop_task over; /* all have answered */
    unsigned n, left;
    struct row rows[ROWS];
};

void admin_engines_free(struct admin_engines *e)
{
    for (unsigned i = 0; i < e->n; i++) {
        if (e->rows[i].call) {
            engine_cancel(e->rows[i].call);
        }
    }
    loop_cancel(&e->over);
    free(e);
}

/* ---- what is told ---- */

unsigned admin_engines_count(const struct admin_engines *e)
{
    return e->n;
}

const struct admin_engine *admin_engines_at(const struct admin_engines *e, unsigned i)
{
    return &e->rows[i].shown;
}

void admin_engine_write(struct json_out *o, const struct admin_engine *r)
{
    admin_put_int(o, "port", true, r->port);
    admin_put_text(o, "name", r->name);
    admin_put_text(o, "address", r->address);
    admin_put_int(o, "seconds", !r->local, (int64_t)r->seconds);
    admin_put_text(o, "version", r->version);
    admin_put_int(o, "api", r->api != 0, r->api);
    admin_put_int(o, "milliseconds", r->took != 0, (int64_t)((r->took + 500000) / 1000000));
    admin_put_int(o, "containers", r->containers >= 0, r->containers);
    admin_put_text(o, "error", r->error);
}

char *admin_engines_json(const struct admin_engines *e, size_t *n)
{
    struct json_out o;
    size_t cap = 256 + (size_t)e->n * ADMIN_ENGINES_ROW_MAX;
    char *text = xmalloc(cap);
    json_out_init(&o, text, cap);
    json_out_object(&o);
    admin_put_text(&o, "instance", deploys_instance(e->hub->deploys));
    json_out_key(&o, STR("engines"));
    json_out_array(&o);
    for (unsigned i = 0; i < e->n; i++) {
        json_out_object(&o);
        admin_engine_write(&o, &e->rows[i].shown);
        json_out_object_end(&o);
    }
    json_out_array_end(&o);
    json_out_object_end(&o);
    ssize_t written = json_out_end(&o);
    *n = written < 0 ? 0 : (size_t)written;
    return text;
}

static void run_over(struct loop_task *task)
{
    struct admin_engines *e = CONTAINER_OF(task, struct admin_engines, over);
    for (unsigned i = 0; i < e->n; i++) {
        e->rows[i].shown.api = engine_api(e->hub->engines, e->rows[i].shown.port);
    }
    e->done(e->owner);
}

/* ---- asking ---- */

static void row_over(struct row *r)
{
    struct admin_engines *e = r->round;
    if (--e->left == 0) {
        loop_defer(&e->hub->loop, &e->over);
    }
}

static void ask(struct row *r, const char *path, engine_done *done)
{
    struct engine_request q = {
        .port = r->shown.port, .method = HTTP_GET, .path = path, .timeout = ADMIN_ENGINES_MS};
    r->asked = uv_hrtime();
    r->call = engine_ask(r->round->hub->engines, &q, done, r);
}

static void failed(struct row *r, const struct engine_answer *a)
{
    if (a->status == 0) {
        snprintf(r->shown.error, sizeof(r->shown.error), "%s: %.280s", hop_name(a->hop), a->why);
    } else {
        char said[ADMIN_ENGINE_ERROR_MAX - 64];
        snprintf(r->shown.error, sizeof(r->shown.error), "it answered %d%s%s", a->status,
                 engine_refusal(a, said, sizeof(said)) ? ": " : "", said);
    }
    admin_text_words(r->shown.error); /* a character in it may have been cut */
}

static void containers_listed(void *owner, const struct engine_answer *a)
{
    struct row *r = owner;
    static const struct json_limits limits = {
        .depth = 64, .nodes = 131072, .bytes = ENGINE_ANSWER_MAX};
    r->call = NULL;
    struct json_doc *doc =
        a->status == 200 ? json_parse(a->body.p, a->body.n, &limits, NULL, 0) : NULL;
    if (json_type(json_root(doc)) == JSON_ARRAY) {
        r->shown.containers = (int64_t)json_count(json_root(doc));
    } else {
        failed(r, a);
    }
    json_free(doc);
    row_over(r);
}

static void versioned(void *owner, const struct engine_answer *a)
{
    struct row *r = owner;
    struct str version;
    char path[160];
    r->call = NULL;
    if (a->status != 200) {
        failed(r, a);
        row_over(r);
        return;
    }
    r->shown.took = uv_hrtime() - r->asked;
    struct json_doc *doc = json_parse(a->body.p, a->body.n, NULL, NULL, 0);
    if (json_str(json_get(json_root(doc), "Version"), &version) == 0) {
        admin_text_visible(r->shown.version, sizeof(r->shown.version), version);
    }
    json_free(doc);
    /* {"label":["harp.instance=..."]} */
    snprintf(path, sizeof(path),
             "/containers/json?all=true&filters=%%7B%%22label%%22%%3A%%5B%%22" INSTANCE_LABEL
             "%%3D%s%%22%%5D%%7D",
             deploys_instance(r->round->hub->deploys));
    ask(r, path, containers_listed);
}

/* The first answer tells the API version, so that the second one's time is that of one call. */
static void awake(void *owner, const struct engine_answer *a)
{
    struct row *r = owner;
    r->call = NULL;
    if (a->status == 200) {
        ask(r, "/version", versioned);
    } else {
        failed(r, a);
        row_over(r);
    }
}

static void describe(struct admin_engine *shown, const struct tunnel *t, uint64_t now)
{
    struct tunnel_info info;
    char text[TUNNEL_WHO_MAX];
    tunnel_describe(t, &info);
    admin_text_visible(shown->name, sizeof(shown->name), str_of(info.name));
    ip_format(&info.addr, shown->address);
    snprintf(shown->login, sizeof(shown->login), "%s", tunnel_who(t, text));
    shown->seconds = (now - info.since) / 1000;
}

static void add_row(struct admin_engines *e, uint16_t port, const struct tunnel *t)
{
    struct row *r = &e->rows[e->n++];
    *r = (struct row){.round = e,
                      .shown = {.port = port, .local = !t, .address = "local", .containers = -1}};
    if (t) {
        describe(&r->shown, t, loop_now(&e->hub->loop));
    }
    e->left++;
    ask(r, "/_ping", awake);
}

struct admin_engines *admin_engines_start(struct hub *hub, admin_engines_done *done, void *owner)
{
    struct admin_engines *e = xcalloc(1, sizeof(*e));
    e->hub = hub;
    e->done = done;
    e->owner = owner;
    e->over.run = run_over;
    for (unsigned i = 0; i < ROWS; i++) {
        uint16_t port = (uint16_t)(TUNNEL_ENGINE_FIRST + i);
        struct tunnel *t = tunnels_find(hub->tunnels, port);
        if (upstream_engine_is_local(hub, port)) {
            add_row(e, port, NULL);
        } else if (t) {
            add_row(e, port, t);
        }
    }
    if (e->n == 0) {
        loop_defer(&hub->loop, &e->over);
    }
    return e;
}
