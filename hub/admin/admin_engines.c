#include "hub/admin/admin_engines.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/config/values.h"
#include "common/json/json.h"
#include "hub/deploy/deploy.h"
#include "hub/deploy/engine.h"
#include "hub/hub.h"
#include "hub/deploy/instance.h"
#include "hub/client/upstream.h"

enum {
    ROWS = TUNNEL_ENGINE_LAST - TUNNEL_ENGINE_FIRST + 1,
    VERSION_MAX = 64,
    ERROR_MAX = 320,
};

struct row {
    struct admin_engines *round;
    uint16_t port;
    bool local;
    struct tunnel_info tunnel; /* not local; its name is in `name` */
    char name[128 + 1];
    struct engine_call *call;
    uint64_t asked; /* ns */
    uint64_t took;  /* ns; 0 not known */
    int64_t containers;
    char version[VERSION_MAX], error[ERROR_MAX];
};

struct admin_engines {
    struct hub *hub;
    admin_engines_done *done;
    void *owner;
    struct loop_task over; /* all have answered */
    unsigned n, left;
    struct row rows[ROWS];
};

static void release(struct admin_engines *e)
{
    for (unsigned i = 0; i < e->n; i++) {
        if (e->rows[i].call) {
            engine_cancel(e->rows[i].call);
        }
    }
    loop_cancel(&e->over);
    free(e);
}

void admin_engines_cancel(struct admin_engines *e)
{
    release(e);
}

/* ---- JSON ---- */

static void put_text(struct json_out *o, const char *key, const char *text)
{
    json_out_key(o, str_of(key));
    if (*text) {
        json_out_str(o, str_of(text));
    } else {
        json_out_null(o);
    }
}

static void put_int(struct json_out *o, const char *key, bool known, int64_t value)
{
    json_out_key(o, str_of(key));
    if (known) {
        json_out_int(o, value);
    } else {
        json_out_null(o);
    }
}

static void put_row(struct json_out *o, const struct admin_engines *e, const struct row *r)
{
    char text[IP_TEXT_MAX];
    uint64_t now = loop_now(&e->hub->loop);
    unsigned api = engine_api(e->hub->engines, r->port);
    json_out_object(o);
    put_int(o, "port", true, r->port);
    put_text(o, "name", r->name);
    put_text(o, "address", r->local ? "local" : ip_format(&r->tunnel.addr, text));
    put_int(o, "seconds", !r->local, (int64_t)((now - r->tunnel.since) / 1000));
    put_text(o, "version", r->version);
    put_int(o, "api", api != 0, api);
    json_out_key(o, STR("milliseconds"));
    if (r->took != 0) {
        json_out_int(o, (int64_t)((r->took + 500000) / 1000000));
    } else {
        json_out_null(o);
    }
    put_int(o, "containers", r->containers >= 0, r->containers);
    put_text(o, "error", r->error);
    json_out_object_end(o);
}

static void run_over(struct loop_task *task)
{
    struct admin_engines *e = CONTAINER_OF(task, struct admin_engines, over);
    struct json_out o;
    size_t cap = 256 + (size_t)e->n * ADMIN_ENGINES_ROW_MAX;
    char *text = xmalloc(cap);
    json_out_init(&o, text, cap);
    json_out_object(&o);
    put_text(&o, "instance", deploys_instance(e->hub->deploys));
    json_out_key(&o, STR("engines"));
    json_out_array(&o);
    for (unsigned i = 0; i < e->n; i++) {
        put_row(&o, e, &e->rows[i]);
    }
    json_out_array_end(&o);
    json_out_object_end(&o);
    ssize_t n = json_out_end(&o);
    e->done(e->owner, text, n < 0 ? 0 : (size_t)n);
    release(e);
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
        .port = r->port, .method = HTTP_GET, .path = path, .timeout = ADMIN_ENGINES_MS};
    r->asked = uv_hrtime();
    r->call = engine_ask(r->round->hub->engines, &q, done, r);
}

/* What it is called by goes to a terminal. */
static void keep_printable(char *to, size_t size, struct str from)
{
    size_t n = 0;
    for (size_t i = 0; i < from.n && n + 1 < size; i++) {
        to[n++] = (char)(from.p[i] > ' ' && from.p[i] <= '~' ? from.p[i] : '?');
    }
    to[n] = '\0';
}

static void failed(struct row *r, const struct engine_answer *a)
{
    if (a->status == 0) {
        snprintf(r->error, sizeof(r->error), "%s: %.280s", hop_name(a->hop), a->why);
    } else {
        char said[ERROR_MAX - 64];
        snprintf(r->error, sizeof(r->error), "it answered %d%s%s", a->status,
                 engine_refusal(a, said, sizeof(said)) ? ": " : "", said);
    }
    /* A text in it may have been cut inside a character. */
    for (char *p = r->error; *p; p++) {
        *p = *p >= ' ' && *p <= '~' ? *p : '?';
    }
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
        r->containers = (int64_t)json_count(json_root(doc));
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
    r->took = uv_hrtime() - r->asked;
    struct json_doc *doc = json_parse(a->body.p, a->body.n, NULL, NULL, 0);
    if (json_str(json_get(json_root(doc), "Version"), &version) == 0) {
        keep_printable(r->version, sizeof(r->version), version);
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

static void add_row(struct admin_engines *e, uint16_t port, struct tunnel *t)
{
    struct row *r = &e->rows[e->n++];
    *r = (struct row){.round = e, .port = port, .local = !t, .containers = -1};
    if (t) {
        tunnel_describe(t, &r->tunnel);
        keep_printable(r->name, sizeof(r->name), str_of(r->tunnel.name));
        r->tunnel.name = NULL;
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
