#include "hub/deploy/engine.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/config/values.h"
#include "common/fetch/call.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "hub/hub.h"
#include "hub/client/upstream.h"

enum { LOCAL_TARGET = 1, ENGINES = TUNNEL_ENGINE_LAST - TUNNEL_ENGINE_FIRST + 1, WHY_MAX = 320 };
/* Between two looks at an engine that can't be used. */
enum { LOOK_FIRST_MS = 1000, LOOK_LAST_MS = 60000 };

struct engine {
    struct engines *list;
    int64_t port;
    unsigned calls;  /* that have a connection, or wait for one */
    uint64_t target; /* what api holds for: a tunnel's generation, or LOCAL_TARGET */
    unsigned api;    /* 0: to be asked */
    struct engine_call *asking;
    bool looking;            /* nobody may wait for the answer, so the log tells it */
    struct timer look_again; /* while it can't be used */
    uint64_t pause;          /* ms before that; 0: it was not told yet that it can't be used */
    struct list_link *waits; /* of calls that need api */
};

struct engines {
    struct hub *hub;
    struct engine *at[ENGINES]; /* made at the first call */
};

struct engine_call {
    struct list_link link; /* in waits; or next is this call's own business */
    struct engines *list;
    struct engine *engine; /* NULL: the port is no engine's */
    struct engine_request request;
    char *path;
    uint64_t deadline;
    bool waits;   /* in engine->waits */
    bool version; /* it is the question for the version */
    bool again;   /* asked anew with another version already */
    bool counted; /* in engine->calls */
    struct upstream_wait *wait;
    struct call *call;
    struct timer timer;
    struct loop_task failing; /* what failed inside engine_ask is told at the end of the turn */
    enum hop hop;             /* of why */
    bool timed_out;
    char why[WHY_MAX];
    engine_done *done;
    void *owner;
};

static struct engine *engine_at(struct engines *list, int64_t port);

static void on_offered(void *owner, uint16_t port)
{
    struct engine *e = engine_at(owner, port);
    if (e) {
        e->pause = 0;
        engine_look(owner, port);
    }
}

struct engines *engines_new(struct hub *hub)
{
    struct engines *list = xcalloc(1, sizeof(*list));
    list->hub = hub;
    if (hub->tunnels) {
        tunnels_watch(hub->tunnels, on_offered, list);
    }
    return list;
}

void engines_free(struct engines *list)
{
    if (!list) {
        return;
    }
    if (list->hub->tunnels) {
        tunnels_watch(list->hub->tunnels, NULL, NULL);
    }
    for (size_t i = 0; i < ENGINES; i++) {
        if (list->at[i]) {
            if (list->at[i]->asking) {
                engine_cancel(list->at[i]->asking);
            }
            timer_remove(&list->hub->loop, &list->at[i]->look_again);
            free(list->at[i]);
        }
    }
    free(list);
}

static void look_again(struct timer *t)
{
    struct engine *e = CONTAINER_OF(t, struct engine, look_again);
    engine_look(e->list, e->port);
}

static struct engine *engine_at(struct engines *list, int64_t port)
{
    if (port < TUNNEL_ENGINE_FIRST || port > TUNNEL_ENGINE_LAST) {
        return NULL;
    }
    struct engine **at = &list->at[port - TUNNEL_ENGINE_FIRST];
    if (!*at) {
        *at = xcalloc(1, sizeof(**at));
        **at = (struct engine){.list = list, .port = port, .look_again.fire = look_again};
    }
    return *at;
}

/* Which engine a connection would lead to now. */
static uint64_t target_of(const struct engine *e)
{
    struct hub *hub = e->list->hub;
    if (upstream_engine_is_local(hub, e->port)) {
        return LOCAL_TARGET;
    }
    struct tunnel *t = tunnels_find(hub->tunnels, (uint16_t)e->port);
    return t ? LOCAL_TARGET + tunnel_generation(t) : 0;
}

/* ---- the end of a call ---- */

/* Ends what is under way. */
static void stop(struct engine_call *c)
{
    if (c->waits) {
        list_remove(&c->link);
        c->waits = false;
    }
    if (c->wait) {
        upstream_cancel(c->wait);
        c->wait = NULL;
    }
    if (c->call) {
        call_cancel(c->call);
        c->call = NULL;
    }
    if (c->counted) {
        c->counted = false;
        c->engine->calls--;
    }
    timer_remove(&c->list->hub->loop, &c->timer);
    loop_cancel(&c->failing);
}

static void let_go(struct engine_call *c)
{
    stop(c);
    free(c->path);
    free(c);
}

static void finish(struct engine_call *c, const struct engine_answer *answer)
{
    c->done(c->owner, answer);
    let_go(c);
}

void engine_cancel(struct engine_call *c)
{
    let_go(c);
}

static void run_failing(struct loop_task *task)
{
    struct engine_call *c = CONTAINER_OF(task, struct engine_call, failing);
    finish(c, &(struct engine_answer){.hop = c->hop, .timed_out = c->timed_out, .why = c->why});
}

static void fail(struct engine_call *c, enum hop hop, const char *why)
{
    c->hop = hop;
    snprintf(c->why, sizeof(c->why), "%s", why);
    c->failing.run = run_failing;
    loop_defer(&c->list->hub->loop, &c->failing);
}

/* ---- a call under way ---- */

static void need_version(struct engine_call *c);

static bool says(struct str text, const char *words)
{
    return text.n > 0 && memmem(text.p, text.n, words, strlen(words));
}

static void on_answer(void *owner, const struct call_result *r)
{
    struct engine_call *c = owner;
    struct engine_answer answer = {
        .status = r->status, .body = r->body, .hop = HOP_ENGINE, .why = r->why};
    c->call = NULL; /* it goes when this returns */
    if (r->status == 0) {
        if (target_of(c->engine) != c->engine->target) {
            answer.hop = HOP_TUNNEL; /* it ended, and the call with it */
        }
        c->engine->api = 0; /* it may be another engine by the next call */
    } else if (r->status == 400 && !c->version && says(r->body, "client version")) {
        c->engine->api = 0;
        if (!c->again) {
            c->again = true;
            stop(c);
            need_version(c);
            return;
        }
    }
    finish(c, &answer);
}

static void on_stream(void *owner, const struct upstream_result *result)
{
    static const char agent[] = "harp-hub/" HARP_VERSION;
    struct engine_call *c = owner;
    char path[CALL_PATH_MAX];
    c->wait = NULL;
    if (!result->s) {
        c->engine->api = 0;
        c->timed_out = result->timed_out;
        fail(c, result->hop, result->why);
        return;
    }
    if (c->version) {
        snprintf(path, sizeof(path), "%s", c->path);
    } else {
        snprintf(path, sizeof(path), "/v1.%u%s", c->engine->api, c->path);
    }
    struct call_request q = {.method = c->request.method,
                             .path = path,
                             .host = "docker",
                             .agent = agent,
                             .type = c->request.type,
                             .body = c->request.body,
                             .answer_max = ENGINE_ANSWER_MAX};
    c->call = call_start(result->s, &q, on_answer, c);
}

/* What it waits for says where it failed. */
static void on_time(struct timer *t)
{
    struct engine_call *c = CONTAINER_OF(t, struct engine_call, timer);
    struct engine_answer answer = {.hop = HOP_ENGINE, .timed_out = true, .why = c->why};
    if (c->wait && c->engine->target != LOCAL_TARGET) {
        answer.hop = HOP_TUNNEL;
    }
    snprintf(c->why, sizeof(c->why), "no %s within %llu ms",
             c->wait ? "connection" : "whole answer", (unsigned long long)c->request.timeout);
    c->engine->api = 0;
    finish(c, &answer);
}

static void go(struct engine_call *c)
{
    struct hub *hub = c->list->hub;
    struct upstream_result result;
    uint64_t now = loop_now(&hub->loop);
    if (c->engine->calls >= ENGINE_CALLS) {
        fail(c, HOP_HUB, "too many calls to this Docker engine at once");
        return;
    }
    c->counted = true;
    c->engine->calls++;
    timer_set(&hub->loop, &c->timer, c->deadline > now ? c->deadline - now : 1);
    if (upstream_engine(hub, c->request.port, &c->request.origin, &result, on_stream, c,
                        &c->wait)) {
        on_stream(c, &result);
    }
}

static struct engine_call *call_new(struct engines *list, const struct engine_request *request,
                                    engine_done *done, void *owner)
{
    struct engine_call *c = xcalloc(1, sizeof(*c));
    c->list = list;
    c->engine = engine_at(list, request->port);
    c->request = *request;
    c->path = xstrndup(request->path, strlen(request->path));
    c->deadline = loop_now(&list->hub->loop) + request->timeout;
    c->timer.fire = on_time;
    c->done = done;
    c->owner = owner;
    return c;
}

/* ---- the API version ---- */

/* "1.41" to 41; -1: no such thing. */
static int read_api(const struct json_node *node, unsigned *api)
{
    struct str text;
    int64_t minor;
    if (json_str(node, &text) < 0 || text.n < 3 || memcmp(text.p, "1.", 2) != 0 ||
        value_parse_int((struct str){text.p + 2, text.n - 2}, 0, 999, &minor) < 0) {
        return -1;
    }
    *api = (unsigned)minor;
    return 0;
}

int engine_read_version(struct str json, unsigned *api)
{
    unsigned highest = 0, lowest = 0;
    struct json_doc *doc = json_parse(json.p, json.n, NULL, NULL, 0);
    const struct json_node *root = json_root(doc), *min = json_get(root, "MinAPIVersion");
    int rc = doc && read_api(json_get(root, "ApiVersion"), &highest) == 0 &&
                     (!min || read_api(min, &lowest) == 0)
                 ? 0
                 : -1;
    json_free(doc);
    if (rc < 0 || lowest > highest) {
        *api = 0;
        return -1;
    }
    *api = MAX(lowest, MIN(highest, (unsigned)ENGINE_API_BEST));
    if (*api < ENGINE_API_LOWEST) {
        *api = 0;
    }
    return 0;
}

/* Told once; then it is tried again, ever more rarely, for as long as its tunnel is there: what is missing at the
 * other end may come later. */
static void looked(struct engine *e, const struct engine_answer *failed)
{
    struct hub *hub = e->list->hub;
    if (e->api != 0) {
        e->pause = 0;
        timer_clear(&e->look_again);
    } else if (e->looking) {
        if (e->pause == 0) {
            log_warning(hub->log, "engine", 0, "Docker engine %lld can't be used: hop: %s: %s",
                        (long long)e->port, hop_name(failed->hop), failed->why);
        }
        e->pause = e->pause == 0 ? LOOK_FIRST_MS : MIN(2 * e->pause, LOOK_LAST_MS);
        timer_set(&hub->loop, &e->look_again, e->pause);
    }
    e->looking = false;
}

/* Those who wait get the same answer, or go on. */
static void on_version(void *owner, const struct engine_answer *a)
{
    struct engine *e = owner;
    struct engine_answer failed = *a;
    struct list_link *link, *waits = e->waits;
    char why[WHY_MAX], said[WHY_MAX - 64];
    e->asking = NULL;
    e->waits = NULL; /* who is told may ask again, and waits then for the next answer */
    if (waits) {
        waits->at = &waits;
    }
    if (a->status != 0) {
        failed = (struct engine_answer){.hop = HOP_ENGINE, .why = why};
        if (a->status != 200) {
            snprintf(why, sizeof(why), "it answered %d when asked for its version%s%s", a->status,
                     engine_refusal(a, said, sizeof(said)) ? ": " : "", said);
        } else if (engine_read_version(a->body, &e->api) < 0) {
            snprintf(why, sizeof(why), "its answer to GET /version is not understood");
            e->api = 0;
        } else if (e->api == 0) {
            snprintf(why, sizeof(why), "it is too old: it does not speak API version 1.%d",
                     ENGINE_API_LOWEST);
        } else {
            log_info(e->list->hub->log, "engine", 0, "Docker engine %lld speaks API version 1.%u",
                     (long long)e->port, e->api);
        }
    }
    looked(e, &failed);
    while ((link = list_take(&waits))) {
        struct engine_call *c = CONTAINER_OF(link, struct engine_call, link);
        c->waits = false;
        if (e->api != 0) {
            go(c);
        } else {
            finish(c, &failed);
        }
    }
}

static void ask_version(struct engine *e, const struct tunnel_origin *origin)
{
    struct engine_request q = {.port = e->port,
                               .origin = *origin,
                               .method = HTTP_GET,
                               .path = "/version",
                               .timeout = e->list->hub->settings.engine_timeout};
    e->asking = call_new(e->list, &q, on_version, e);
    e->asking->version = true;
    go(e->asking);
}

/* Forgets what another engine at the port said. */
static void renew(struct engine *e, const struct tunnel_origin *origin)
{
    uint64_t target = target_of(e);
    if (e->target == target) {
        return;
    }
    e->target = target;
    e->api = 0;
    if (e->asking) {
        engine_cancel(e->asking);
        ask_version(e, origin);
    }
}

void engine_look(struct engines *list, int64_t port)
{
    static const struct tunnel_origin nobody;
    struct engine *e = engine_at(list, port);
    if (!e) {
        return;
    }
    renew(e, &nobody);
    if (e->api == 0 && e->target != 0) { /* else there is no way to it any more */
        e->looking = true;
        if (!e->asking) {
            ask_version(e, &nobody);
        }
    }
}

/* c goes on once the version is known. */
static void need_version(struct engine_call *c)
{
    struct engine *e = c->engine;
    list_add(&e->waits, &c->link);
    c->waits = true;
    if (!e->asking) {
        ask_version(e, &c->request.origin);
    }
}

struct engine_call *engine_ask(struct engines *list, const struct engine_request *request,
                               engine_done *done, void *owner)
{
    struct engine_call *c = call_new(list, request, done, owner);
    struct engine *e = c->engine;
    if (!e) {
        fail(c, HOP_HUB, "the ports of Docker engines are 24000 to 24099");
        return c;
    }
    renew(e, &request->origin);
    if (e->api == 0) {
        need_version(c);
    } else {
        go(c);
    }
    return c;
}

unsigned engine_api(const struct engines *list, int64_t port)
{
    const struct engine *e = port >= TUNNEL_ENGINE_FIRST && port <= TUNNEL_ENGINE_LAST
                                 ? list->at[port - TUNNEL_ENGINE_FIRST]
                                 : NULL;
    return e && e->target == target_of(e) ? e->api : 0;
}
