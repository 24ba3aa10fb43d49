/* deploy_wait.c - wait_for_start: looks at the container until it can be said whether it runs.
 *
 * With a health check its word counts. Without one, running for SETTLE_MS counts, with no restart seen:
 * a container that crashes and is started again is seen "running" each time in between, and AppAPI
 * would then wait for its heartbeat for ten minutes.
 */
#include <stdio.h>

#include "hub/deploy/deploy_impl.h"
#include "hub/hub.h"

enum { POLL_MS = 500, SETTLE_MS = 1000, SETTLE_AFTER_RESTART_MS = 4000 };

struct look {
    struct str status, health, started_at;
    int64_t restarts, exit_code;
};

/* Podman leaves some out; what is missing stays empty. -1: not even the state is there. */
static int read_look(const struct json_node *root, struct look *l)
{
    const struct json_node *state = json_get(root, "State");
    *l = (struct look){0};
    if (json_str(json_get(state, "Status"), &l->status) < 0) {
        return -1;
    }
    if (json_str(json_get(state, "StartedAt"), &l->started_at) < 0) {
        l->started_at = (struct str){NULL, 0};
    }
    if (json_int(json_get(root, "RestartCount"), &l->restarts) < 0) {
        l->restarts = 0;
    }
    if (json_str(json_get(json_get(state, "Health"), "Status"), &l->health) < 0 ||
        str_eq(l->health, STR("none"))) {
        l->health = (struct str){NULL, 0};
    }
    if (json_int(json_get(state, "ExitCode"), &l->exit_code) < 0) {
        l->exit_code = 0;
    }
    return 0;
}

static void keep(char *to, size_t size, struct str from)
{
    size_t n = MIN(from.n, size - 1);
    if (n > 0) {
        memcpy(to, from.p, n);
    }
    to[n] = '\0';
}

static void answer(struct deploy *d, bool started, const char *status, const char *reason)
{
    struct json_out o;
    json_out_init(&o, d->json, sizeof(d->json) - 1);
    json_out_object(&o);
    json_out_key(&o, STR("started"));
    json_out_bool(&o, started);
    json_out_key(&o, STR("status"));
    json_out_str(&o, str_of(status));
    if (d->wait.seen) {
        json_out_key(&o, STR("health"));
        if (d->wait.health[0]) {
            json_out_str(&o, str_of(d->wait.health));
        } else {
            json_out_null(&o);
        }
    }
    if (reason) {
        json_out_key(&o, STR("reason"));
        json_out_str(&o, str_of(reason));
    }
    json_out_object_end(&o);
    deploy_answer_json(d, 200, &o);
}

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* A container that ended while it was waited for: told with its exit code, which only shows until it
 * is started once more. */
static bool judge_restarts(struct deploy *d, const struct look *l, bool running)
{
    char text[96];
    if (running && loop_now(&deploy_hub(d)->loop) - d->wait.since < SETTLE_AFTER_RESTART_MS) {
        return false;
    }
    if (running) {
        snprintf(text, sizeof(text), "the container ended and was started again");
    } else {
        snprintf(text, sizeof(text), "the container ends and is started again: exit code %lld",
                 (long long)l->exit_code);
    }
    answer(d, false, "restarting", text);
    return true;
}

static bool judge_running(struct deploy *d)
{
    const char *health = d->wait.health;
    uint64_t ran = loop_now(&deploy_hub(d)->loop) - d->wait.since;
    uint64_t settle = d->wait.restarts > 0 ? SETTLE_AFTER_RESTART_MS : SETTLE_MS;
    if (is(health, "healthy") || (!health[0] && ran >= settle)) {
        answer(d, true, d->wait.status, NULL);
        return true;
    }
    if (is(health, "unhealthy")) {
        answer(d, true, d->wait.status, "unhealthy");
        return true;
    }
    return false;
}

/* true: answered. */
static bool judge(struct deploy *d, const struct look *l)
{
    char text[96];
    bool first = !d->wait.seen, running = str_eq(l->status, STR("running"));
    if (first || !running || !is(d->wait.status, "running") ||
        !str_eq(l->started_at, str_of(d->wait.started_at))) {
        d->wait.since = loop_now(&deploy_hub(d)->loop); /* of this run */
    }
    d->wait.restarted = d->wait.restarted || str_eq(l->status, STR("restarting")) ||
                        (!first && l->restarts > d->wait.restarts);
    d->wait.seen = true;
    d->wait.restarts = l->restarts;
    keep(d->wait.status, sizeof(d->wait.status), l->status);
    keep(d->wait.health, sizeof(d->wait.health), l->health);
    keep(d->wait.started_at, sizeof(d->wait.started_at), l->started_at);
    const char *status = d->wait.status;
    if (d->wait.restarted) {
        return judge_restarts(d, l, running);
    }
    if (running) {
        return judge_running(d);
    }
    if (is(status, "paused") || is(status, "exited") || is(status, "dead")) {
        snprintf(text, sizeof(text), "non-recoverable state: %s", status);
        answer(d, false, status, text);
        return true;
    }
    return false; /* created, removing, or a state of another engine's */
}

static void inspected(struct deploy *d, const struct engine_answer *a)
{
    struct hub *hub = deploy_hub(d);
    struct look look;
    if (a->status == 404) {
        d->wait.seen = false;
        answer(d, false, "not_found", "container not found");
        return;
    }
    struct json_doc *doc = a->status == 200 ? deploy_json(a) : NULL;
    if (read_look(json_root(doc), &look) < 0) {
        json_free(doc);
        deploy_answer_failed(d, a, "Error inspecting container '%s'", d->request.container);
        return;
    }
    bool over = judge(d, &look);
    json_free(doc);
    if (over) {
        return;
    }
    uint64_t now = loop_now(&hub->loop);
    if (now >= d->wait.until) {
        answer(d, false, d->wait.status, "timeout after max tries");
        return;
    }
    timer_set(&hub->loop, &d->timer, MIN((uint64_t)POLL_MS, d->wait.until - now));
}

static void look_again(struct timer *t)
{
    deploy_inspect(CONTAINER_OF(t, struct deploy, timer), inspected);
}

void deploy_wait(struct deploy *d)
{
    struct hub *hub = deploy_hub(d);
    d->wait.until = loop_now(&hub->loop) + hub->settings.engine_start_timeout;
    d->timer.fire = look_again;
    deploy_inspect(d, inspected);
}
