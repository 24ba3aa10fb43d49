#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/crypto/secret.h"
#include "common/log/log.h"
#include "hub/deploy/deploy_impl.h"
#include "hub/hub.h"

enum { PATH_MAX_LEN = 1024 };

TAILQ_HEAD(deploy_list, deploy);

struct deploys {
    struct hub *hub;
    struct deploy_list all; /* in the order they came */
    unsigned n;
    char instance[INSTANCE_LEN + 1];
};

struct deploys *deploys_new(struct hub *hub, char *err, size_t errlen)
{
    const struct hub_settings *set = &hub->settings;
    struct deploys *list = xcalloc(1, sizeof(*list));
    list->hub = hub;
    TAILQ_INIT(&list->all);
    if (instance_make(list->instance, str_of(set->shared_key), str_of(set->nc_instance_url)) < 0) {
        snprintf(err, errlen, "NC_INSTANCE_URL is too long to make a label of");
        free(list);
        return NULL;
    }
    return list;
}

const char *deploys_instance(const struct deploys *list)
{
    return list->instance;
}

struct hub *deploy_hub(const struct deploy *d)
{
    return d->list->hub;
}

uint64_t deploy_time(const struct deploy *d, unsigned times)
{
    return d->list->hub->settings.engine_timeout * times;
}

/* ---- order ---- */

/* Whether b has to wait for a, which came before. */
static bool in_the_way(const struct deploy *a, const struct deploy *b)
{
    const struct deploy_request *x = &a->request, *y = &b->request;
    if (a->port != b->port || x->kind == DEPLOY_WAIT || y->kind == DEPLOY_WAIT) {
        return false;
    }
    if (x->kind == DEPLOY_IMAGE_REMOVE || y->kind == DEPLOY_IMAGE_REMOVE) {
        return x->kind == y->kind && str_eq(x->image, y->image);
    }
    /* The volume is the same for all roles of an app; and role "b" of app "a" is called as app "a_b". */
    return strcmp(x->volume, y->volume) == 0 || strcmp(x->container, y->container) == 0;
}

/* For the log. */
static const char *what_of(const struct deploy *d)
{
    return d->request.container[0] ? d->request.container : "an image";
}

static bool may_run(const struct deploy *d)
{
    for (const struct deploy *before = TAILQ_FIRST(&d->list->all); before;
         before = TAILQ_NEXT(before, link)) {
        if (before == d) {
            return true;
        }
        if (in_the_way(before, d)) {
            return false;
        }
    }
    return true;
}

static void run(struct deploy *d)
{
    static void (*const begin[])(struct deploy *) = {
        [DEPLOY_EXISTS] = deploy_exists,
        [DEPLOY_CREATE] = deploy_create,
        [DEPLOY_START] = deploy_change,
        [DEPLOY_STOP] = deploy_change,
        [DEPLOY_WAIT] = deploy_wait,
        [DEPLOY_REMOVE] = deploy_remove,
        [DEPLOY_IMAGE_REMOVE] = deploy_image_remove,
        [DEPLOY_CERTIFICATES] = deploy_certificates,
    };
    d->running = true;
    begin[d->request.kind](d);
}

static void run_next(struct deploys *list)
{
    for (struct deploy *d = TAILQ_FIRST(&list->all); d; d = TAILQ_NEXT(d, link)) {
        if (!d->running && may_run(d)) {
            run(d);
        }
    }
}

/* ---- life ---- */

static void drop_body(struct deploy *d)
{
    if (d->body) {
        secret_wipe(d->body, d->body_len);
        free(d->body);
        d->body = NULL;
        d->body_len = 0;
    }
}

static void release(struct deploy *d)
{
    TAILQ_REMOVE(&d->list->all, d, link);
    d->list->n--;
    timer_remove(&d->list->hub->loop, &d->timer);
    if (d->call) {
        engine_cancel(d->call);
    }
    drop_body(d);
    deploy_run_clear(d);
    deploy_request_free(&d->request);
    free(d);
}

struct deploy *deploy_start(struct deploys *list, struct deploy_request *request, int64_t port,
                            const struct tunnel_origin *origin, deploy_done *done, void *owner)
{
    if (list->n >= DEPLOYS_MAX) {
        return NULL;
    }
    struct deploy *d = xcalloc(1, sizeof(*d));
    d->list = list;
    d->request = *request;
    *request = (struct deploy_request){0};
    d->port = port;
    d->origin = *origin;
    d->id = loop_next_id(&list->hub->loop);
    d->done = done;
    d->owner = owner;
    TAILQ_INSERT_TAIL(&list->all, d, link);
    list->n++;
    if (may_run(d)) {
        run(d);
    }
    return d;
}

/* Changes nothing at the engine. */
static bool only_looks(const struct deploy *d)
{
    return d->request.kind == DEPLOY_WAIT || d->request.kind == DEPLOY_EXISTS;
}

bool deploys_busy(const struct deploys *list)
{
    for (const struct deploy *d = TAILQ_FIRST(&list->all); d; d = TAILQ_NEXT(d, link)) {
        if (d->running && !only_looks(d)) {
            return true;
        }
    }
    return false;
}

void deploy_abandon(struct deploy *d)
{
    struct deploys *list = d->list;
    d->done = NULL;
    if (!d->running || only_looks(d)) {
        release(d);
        run_next(list);
    } else {
        log_info(list->hub->log, "deploy", d->id, "%s of %s goes on, though AppAPI went away",
                 deploy_kind_name(d->request.kind), what_of(d));
    }
}

void deploys_free(struct deploys *list)
{
    if (!list) {
        return;
    }
    for (struct deploy *d = TAILQ_FIRST(&list->all), *next; d; d = next) {
        next = TAILQ_NEXT(d, link);
        release(d);
    }
    free(list);
}

/* ---- calls ---- */

static void answered(void *owner, const struct engine_answer *a)
{
    struct deploy *d = owner;
    d->call = NULL;
    drop_body(d);
    d->step(d, a);
}

static void ask(struct deploy *d, deploy_step *step, enum http_method method, const char *type,
                unsigned times, const char *path, va_list args)
{
    char text[PATH_MAX_LEN];
    vsnprintf(text, sizeof(text), path, args); /* names are bounded: it fits */
    struct engine_request q = {.port = d->port,
                               .origin = d->origin,
                               .method = method,
                               .path = text,
                               .body = {d->body, d->body_len},
                               .type = type,
                               .timeout = deploy_time(d, times)};
    d->step = step;
    d->call = engine_ask(d->list->hub->engines, &q, answered, d);
}

void deploy_ask(struct deploy *d, deploy_step *step, enum http_method method, const char *path, ...)
{
    va_list args;
    va_start(args, path);
    ask(d, step, method, NULL, 1, path, args);
    va_end(args);
}

void deploy_ask_body(struct deploy *d, deploy_step *step, enum http_method method, const char *type,
                     char *body, size_t n, unsigned times, const char *path, ...)
{
    va_list args;
    d->body = body;
    d->body_len = n;
    va_start(args, path);
    ask(d, step, method, type, times, path, args);
    va_end(args);
}

struct json_doc *deploy_json(const struct engine_answer *a)
{
    static const struct json_limits limits = {
        .depth = 64, .nodes = 131072, .bytes = ENGINE_ANSWER_MAX};
    return json_parse(a->body.p, a->body.n, &limits, NULL, 0);
}

/* ---- the end ---- */

void deploy_end(struct deploy *d)
{
    struct deploys *list = d->list;
    const struct deploy_request *q = &d->request;
    if (d->answer.status >= 400) {
        log_warning(list->hub->log, "deploy", d->id, "%s of %s on engine %lld: %d: %s",
                    deploy_kind_name(q->kind), what_of(d), (long long)d->port, d->answer.status,
                    d->why[0] ? d->why : d->words);
    } else {
        log_info(list->hub->log, "deploy", d->id, "%s of %s on engine %lld: %d",
                 deploy_kind_name(q->kind), what_of(d), (long long)d->port, d->answer.status);
    }
    if (d->done) {
        d->done(d->owner, &d->answer);
    }
    release(d);
    run_next(list);
}

void deploy_answer(struct deploy *d, int status)
{
    d->answer = (struct answer){.status = status};
    deploy_end(d);
}

static void note(struct deploy *d, int status, enum hop hop, const char *why, const char *words,
                 va_list args) __attribute__((format(printf, 5, 0)));

static void note(struct deploy *d, int status, enum hop hop, const char *why, const char *words,
                 va_list args)
{
    vsnprintf(d->words, sizeof(d->words), words, args);
    snprintf(d->why, sizeof(d->why), "%s", why);
    d->answer = (struct answer){.status = status, .hop = hop, .words = d->words, .why = d->why};
}

void deploy_answer_words(struct deploy *d, int status, const char *why, const char *words, ...)
{
    va_list args;
    va_start(args, words);
    note(d, status, HOP_NONE, why ? why : "", words, args);
    va_end(args);
    deploy_end(d);
}

void deploy_answer_json(struct deploy *d, int status, const struct json_out *o)
{
    ssize_t n = json_out_end(o);
    if (n < 0 || (size_t)n >= sizeof(d->json)) {
        deploy_answer_words(d, 503, "the engine's answer has too long or broken texts in it",
                            "Unexpected answer of the Docker Engine");
        return;
    }
    d->json[n] = '\0';
    d->answer = (struct answer){.status = status, .json = d->json};
    deploy_end(d);
}

static void note_words(struct deploy *d, int status, enum hop hop, const char *why,
                       const char *words, ...) PRINTF_LIKE(5, 6);

static void note_words(struct deploy *d, int status, enum hop hop, const char *why,
                       const char *words, ...)
{
    va_list args;
    va_start(args, words);
    note(d, status, hop, why, words, args);
    va_end(args);
}

void deploy_answer_engine(struct deploy *d, int status, const struct engine_answer *a,
                          const char *words, ...)
{
    char message[ENGINE_MESSAGE_MAX + 1];
    va_list args;
    engine_message(a, message, sizeof(message));
    va_start(args, words);
    note(d, status, HOP_ENGINE, message, words, args);
    va_end(args);
    deploy_end(d);
}

static void note_failed(struct deploy *d, const struct engine_answer *a, const char *words,
                        va_list args) __attribute__((format(printf, 3, 0)));

static void note_failed(struct deploy *d, const struct engine_answer *a, const char *words,
                        va_list args)
{
    char text[DEPLOY_TEXT_MAX / 2 - 32], message[ENGINE_MESSAGE_MAX + 1], why[DEPLOY_TEXT_MAX];
    vsnprintf(text, sizeof(text), words, args);
    if (a->status == 0) {
        snprintf(why, sizeof(why), "%s: %.*s", text, (int)sizeof(why) / 2, a->why);
        note_words(d, a->timed_out ? 504 : 503, a->hop, why,
                   a->timed_out ? "Timeout communicating with Docker Engine on port %lld"
                                : "Could not connect to Docker Engine on port %lld",
                   (long long)d->port);
        return;
    }
    if (a->status < 300) { /* without a word of it, as an app's secrets may be in it */
        snprintf(message, sizeof(message), "its answer is not what it should be");
    } else {
        engine_message(a, message, sizeof(message));
    }
    note_words(d, 503, HOP_ENGINE, message, "%s: Status %d", text, a->status);
}

void deploy_note_failed(struct deploy *d, const struct engine_answer *a, const char *words, ...)
{
    va_list args;
    va_start(args, words);
    note_failed(d, a, words, args);
    va_end(args);
}

void deploy_answer_failed(struct deploy *d, const struct engine_answer *a, const char *words, ...)
{
    va_list args;
    va_start(args, words);
    note_failed(d, a, words, args);
    va_end(args);
    deploy_end(d);
}
