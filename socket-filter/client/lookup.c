#include "socket-filter/client/lookup.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/docker/reference.h"
#include "common/fetch/call.h"
#include "common/json/json.h"
#include "socket-filter/client/engine.h"
#include "socket-filter/filter.h"

struct lookup {
    struct filter *f;
    const struct docker_policy *policy;
    enum lookup_kind kind;
    size_t n, at;
    char names[LOOKUP_NAMES_MAX][DOCKER_OBJECT_MAX + 1];
    char id[DOCKER_ID_DIGITS + 1];
    struct engine_wait *wait;
    struct call *call;
    struct timer limit;
    lookup_done *done;
    void *owner;
};

static void ask(struct lookup *l);

static void release(struct lookup *l)
{
    if (l->wait) {
        engine_cancel(l->wait);
    }
    if (l->call) {
        call_cancel(l->call);
    }
    timer_remove(&l->f->loop, &l->limit);
    free(l);
}

void lookup_cancel(struct lookup *l)
{
    release(l);
}

static void finish(struct lookup *l, int status, const char *why, struct str body,
                   struct docker_verdict *v)
{
    struct lookup_result result = {.status = status, .why = why, .body = body, .id = l->id};
    lookup_done *done = l->done;
    void *owner = l->owner;
    char id[sizeof(l->id)];
    memcpy(id, l->id, sizeof(id));
    result.id = id;
    release(l);
    done(owner, &result, v);
}

static void failed(struct lookup *l, int status, const char *why)
{
    struct docker_verdict v = {0};
    l->f->metrics.engine_failures++;
    finish(l, status, why, STR(""), &v);
}

static void timed_out(struct timer *t)
{
    failed(CONTAINER_OF(t, struct lookup, limit), 504,
           "the engine did not answer in time when it was asked about the object");
}

/* ---- what the engine says ---- */

static bool owned(const struct lookup *l, const struct json_node *labels)
{
    struct str owner;
    return !l->policy->grants->owner ||
           (json_str(json_get(labels, DOCKER_OWNER_LABEL), &owner) == 0 &&
            str_eq(owner, str_of(l->policy->grants->owner)));
}

static int judge_container(struct lookup *l, const struct json_node *root, struct docker_verdict *v)
{
    struct str name, id;
    if (json_str(json_get(root, "Name"), &name) < 0 || name.n < 2 ||
        json_str(json_get(root, "Id"), &id) < 0 || id.n != DOCKER_ID_DIGITS ||
        !docker_hex_valid(id)) {
        return -1;
    }
    if (name.p[0] == '/') { /* Docker's way to tell it; no name begins so */
        name = (struct str){name.p + 1, name.n - 1};
    }
    snprintf(l->id, sizeof(l->id), "%.*s", STR_ARG(id));
    if (!docker_words_match(l->policy->grants->containers, name)) {
        return docker_refuse(v, DOCKER_FAULT_CONTAINER, name,
                             "container of that id has a name that the policy does not list");
    }
    return owned(l, json_get(json_get(root, "Config"), "Labels"))
               ? 0
               : docker_refuse(v, DOCKER_FAULT_OWNER, STR(""),
                               "container was not made under this policy: it lacks the label "
                               "of its owner");
}

static int judge_volume(const struct lookup *l, const struct json_node *root,
                        struct docker_verdict *v)
{
    if (json_type(root) != JSON_OBJECT) {
        return -1;
    }
    return owned(l, json_get(root, "Labels"))
               ? 0
               : docker_refuse(v, DOCKER_FAULT_OWNER, STR(""),
                               "volume was not made under this policy: it lacks the label of its "
                               "owner");
}

static void answered(void *owner, const struct call_result *result)
{
    static const struct json_limits limits = {
        .depth = 64, .nodes = 262144, .bytes = LOOKUP_ANSWER_MAX};
    struct lookup *l = owner;
    struct docker_verdict v = {0};
    l->call = NULL;
    if (result->status == 0) {
        failed(l, 502, "the engine's answer about the object can't be used");
        return;
    }
    if (result->status >= 400) {
        finish(l, result->status, NULL, result->body, &v);
        return;
    }
    struct json_doc *doc =
        result->status == 200 ? json_parse(result->body.p, result->body.n, &limits, NULL, 0) : NULL;
    int status = !doc                          ? -1
                 : l->kind == LOOKUP_CONTAINER ? judge_container(l, json_root(doc), &v)
                                               : judge_volume(l, json_root(doc), &v);
    json_free(doc);
    if (status < 0) {
        failed(l, 502, "the engine's answer about the object can't be used");
    } else if (status > 0 || ++l->at == l->n) {
        finish(l, status, NULL, STR(""), &v);
    } else {
        ask(l);
    }
}

static void connected(void *owner, struct stream *s, bool late, const char *why)
{
    struct lookup *l = owner;
    char path[DOCKER_OBJECT_MAX + 32];
    l->wait = NULL;
    if (!s) {
        failed(l, late ? 504 : 503, why);
        return;
    }
    snprintf(path, sizeof(path),
             l->kind == LOOKUP_CONTAINER ? "/containers/%s/json" : "/volumes/%s", l->names[l->at]);
    struct call_request request = {.method = HTTP_GET,
                                   .path = path,
                                   .host = "docker",
                                   .agent = "harp-socket-filter",
                                   .answer_max = LOOKUP_ANSWER_MAX};
    l->call = call_start(s, &request, answered, l);
}

static void ask(struct lookup *l)
{
    timer_set(&l->f->loop, &l->limit, l->f->settings.timeout_short);
    l->wait = engine_connect(l->f->engine, connected, l);
}

struct lookup *lookup_start(struct filter *f, const struct docker_policy *policy,
                            enum lookup_kind kind, const struct str *names, size_t n,
                            lookup_done *done, void *owner)
{
    struct lookup *l = xcalloc(1, sizeof(*l));
    l->f = f;
    l->policy = policy;
    l->kind = kind;
    l->done = done;
    l->owner = owner;
    l->limit.fire = timed_out;
    for (size_t i = 0; i < n && i < LOOKUP_NAMES_MAX; i++) {
        snprintf(l->names[l->n++], sizeof(l->names[0]), "%.*s", STR_ARG(names[i]));
    }
    ask(l);
    return l;
}
