#include "socket-filter/client/autostart.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/docker/grants.h"
#include "common/docker/reference.h"
#include "common/fetch/call.h"
#include "common/json/json.h"
#include "socket-filter/client/engine.h"
#include "socket-filter/filter.h"

/* {"status":["exited"]} */
#define LIST_PATH "/containers/json?filters=%7B%22status%22%3A%5B%22exited%22%5D%7D"

struct container {
    char id[DOCKER_ID_DIGITS + 1];
    char name[DOCKER_CONTAINER_MAX + 1];
};

struct autostart {
    struct filter *f;
    const struct docker_policy *policy;
    struct engine_wait *wait;
    struct call *call;
    struct timer limit, again;
    uint64_t pause; /* ms to the next try */
    bool listed;
    size_t n, at, started;
    struct container found[AUTOSTART_MAX];
};

static void next(struct autostart *a);

/* ---- which ---- */

static bool meant(const struct autostart *a, const struct json_node *entry, struct str name)
{
    const struct docker_grants *grants = a->policy->grants;
    struct str owner;
    return name.n > 7 && memcmp(name.p, "nc_app_", 7) == 0 && name.n <= DOCKER_CONTAINER_MAX &&
           docker_words_match(grants->containers, name) &&
           (!grants->owner ||
            (json_str(json_get(json_get(entry, "Labels"), DOCKER_OWNER_LABEL), &owner) == 0 &&
             str_eq(owner, str_of(grants->owner))));
}

/* Returns false when there is no room for more. */
static bool add(struct autostart *a, const struct json_node *entry)
{
    struct str id, name;
    /* A container's own name is the first; others are links of other containers to it. */
    if (json_str(json_get(entry, "Id"), &id) < 0 || id.n != DOCKER_ID_DIGITS ||
        !docker_hex_valid(id) || json_str(json_first(json_get(entry, "Names")), &name) < 0 ||
        name.n < 2 || name.p[0] != '/') {
        return true;
    }
    name = (struct str){name.p + 1, name.n - 1};
    if (!meant(a, entry, name)) {
        return true;
    }
    if (a->n == AUTOSTART_MAX) {
        log_warning(a->f->log, "autostart", 0, "%.*s and what follows are left: more than %d",
                    STR_ARG(name), AUTOSTART_MAX);
        return false;
    }
    struct container *c = &a->found[a->n++];
    snprintf(c->id, sizeof(c->id), "%.*s", STR_ARG(id));
    snprintf(c->name, sizeof(c->name), "%.*s", STR_ARG(name));
    return true;
}

static void take_list(struct autostart *a, struct str body)
{
    static const struct json_limits limits = {
        .depth = 64, .nodes = 262144, .bytes = AUTOSTART_ANSWER_MAX};
    struct json_doc *doc = json_parse(body.p, body.n, &limits, NULL, 0);
    const struct json_node *list = json_root(doc);
    if (!doc || json_type(list) != JSON_ARRAY) {
        log_warning(a->f->log, "autostart", 0, "the engine's list of containers can't be used");
    } else {
        const struct json_node *entry = json_first(list);
        while (entry && add(a, entry)) {
            entry = json_next(entry);
        }
    }
    json_free(doc);
}

/* ---- asking ---- */

static void failed(struct autostart *a, const char *why)
{
    if (a->listed) {
        log_warning(a->f->log, "autostart", 0, "%s: %s", a->found[a->at].name, why);
        a->at++;
        next(a);
        return;
    }
    /* After a boot the engine may come later than this program. */
    log_warning(a->f->log, "autostart", 0,
                "containers that have ended can't be listed: %s; asked again in %llu s", why,
                (unsigned long long)(a->pause / 1000));
    timer_clear(&a->limit);
    timer_set(&a->f->loop, &a->again, a->pause);
    a->pause = MIN(2 * a->pause, AUTOSTART_PAUSE_MAX_MS);
}

static void stop_asking(struct autostart *a)
{
    if (a->wait) {
        engine_cancel(a->wait);
        a->wait = NULL;
    }
    if (a->call) {
        call_cancel(a->call);
        a->call = NULL;
    }
}

static void timed_out(struct timer *t)
{
    struct autostart *a = CONTAINER_OF(t, struct autostart, limit);
    stop_asking(a);
    failed(a, "the engine did not answer in time");
}

static void answered(void *owner, const struct call_result *result)
{
    struct autostart *a = owner;
    char why[64];
    a->call = NULL;
    if (result->status == 0) {
        failed(a, result->why);
    } else if (!a->listed && result->status == 200) {
        a->listed = true;
        take_list(a, result->body);
        next(a);
    } else if (a->listed && (result->status == 204 || result->status == 304)) {
        log_info(a->f->log, "autostart", 0, "%s: started", a->found[a->at].name);
        a->started++;
        a->at++;
        next(a);
    } else {
        snprintf(why, sizeof(why), "the engine answered %d", result->status);
        failed(a, why);
    }
}

static void connected(void *owner, struct stream *s, bool late UNUSED, const char *why)
{
    struct autostart *a = owner;
    char path[DOCKER_ID_DIGITS + 32] = LIST_PATH;
    a->wait = NULL;
    if (!s) {
        failed(a, why);
        return;
    }
    if (a->listed) {
        snprintf(path, sizeof(path), "/containers/%s/start", a->found[a->at].id);
    }
    struct call_request request = {.method = a->listed ? HTTP_POST : HTTP_GET,
                                   .path = path,
                                   .host = "docker",
                                   .agent = "harp-socket-filter",
                                   .answer_max = AUTOSTART_ANSWER_MAX};
    a->call = call_start(s, &request, answered, a);
}

static void ask(struct autostart *a)
{
    const struct filter_settings *set = &a->f->settings;
    timer_set(&a->f->loop, &a->limit, a->listed ? set->timeout_slow : set->timeout_short);
    a->wait = engine_connect(a->f->engine, connected, a);
}

static void ask_again(struct timer *t)
{
    struct autostart *a = CONTAINER_OF(t, struct autostart, again);
    if (!a->f->stopping) {
        ask(a);
    }
}

static void next(struct autostart *a)
{
    timer_clear(&a->limit);
    if (!a->f->stopping && a->at < a->n) {
        ask(a);
    } else {
        log_info(a->f->log, "autostart", 0, "%zu of %zu containers that had ended were started",
                 a->started, a->n);
    }
}

struct autostart *autostart_begin(struct filter *f, const struct docker_policy *policy)
{
    struct autostart *a = xcalloc(1, sizeof(*a));
    a->f = f;
    a->policy = policy;
    a->limit.fire = timed_out;
    a->again.fire = ask_again;
    a->pause = AUTOSTART_PAUSE_MS;
    ask(a);
    return a;
}

void autostart_free(struct autostart *a)
{
    if (a) {
        stop_asking(a);
        timer_remove(&a->f->loop, &a->limit);
        timer_remove(&a->f->loop, &a->again);
        free(a);
    }
}
