#include "hub/access/access.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/config/values.h"
#include "common/crypto/secret.h"
#include "common/log/log.h"
#include "common/access/bans.h"
#include "hub/access/client_address.h"
#include "hub/hub.h"
#include "hub/access/nextcloud.h"
#include "hub/tunnel/tunnels.h"

/* A verdict is found, or the request waits, or the next step follows. */
enum step { STEP_NEXT, STEP_FOUND, STEP_WAIT };

/* What the steps work on. */
struct judging {
    struct hub *hub;
    const struct access_facts *facts;
    struct access *a;
    struct target *target;
    struct access_verdict *v;
};

/* ---- verdicts ---- */

static enum step answer(struct judging *j, int status, enum hop hop, const char *reason)
{
    *j->v = (struct access_verdict){
        .kind = ACCESS_ANSWER, .status = status, .hop = hop, .reason = reason};
    return STEP_FOUND;
}

static enum step drop(struct judging *j, const char *reason)
{
    *j->v = (struct access_verdict){.kind = ACCESS_DROP, .reason = reason};
    return STEP_FOUND;
}

/* Who has the shared key can't be an attacker, only mistaken. */
static void count(const struct judging *j, const char *what)
{
    const struct http_request *r = j->facts->request;
    bool trusted = ip_set_contains(&j->hub->settings.trusted_proxy_ips, j->facts->peer);
    const char *hint = NULL;
    if (j->a->key) {
        return;
    }
    for (unsigned i = 0; i < r->nfields && !trusted && !hint; i++) {
        if (r->fields[i].id == HTTP_X_FORWARDED_FOR) {
            hint = "it sends X-Forwarded-For: if it is your reverse proxy, name it in "
                   "HP_TRUSTED_PROXY_IPS";
        }
    }
    bans_failure(j->hub->bans, &j->a->client, loop_now(&j->hub->loop), what, hint);
}

static enum step counted_answer(struct judging *j, int status, const char *reason)
{
    count(j, reason);
    return answer(j, status, HOP_NONE, reason);
}

static enum step counted_drop(struct judging *j, const char *reason)
{
    count(j, reason);
    return drop(j, reason);
}

/* ---- what the head says ---- */

/* The only field of that name, or NULL; *n is how many there are. Whether Connection names it plays
 * no role: who asks must not be able to hide it. */
static const struct http_field *only(const struct http_request *r, enum http_name id, unsigned *n)
{
    const struct http_field *found = NULL;
    *n = 0;
    for (unsigned i = 0; i < r->nfields; i++) {
        if (r->fields[i].id == id) {
            found = &r->fields[i];
            ++*n;
        }
    }
    return *n == 1 ? found : NULL;
}

/* What AppAPI's own calls to an app carry, all of it. */
static const enum http_name appapi_fields[] = {HTTP_EX_APP_VERSION,        HTTP_EX_APP_ID,
                                               HTTP_EX_APP_HOST,           HTTP_EX_APP_PORT,
                                               HTTP_AUTHORIZATION_APP_API, HTTP_HARP_SHARED_KEY};

static void look_at(struct judging *j)
{
    const struct http_request *r = j->facts->request;
    struct access *a = j->a;
    unsigned n;
    a->known = true;
    a->client = client_address(r, j->facts->peer, &j->hub->settings.trusted_proxy_ips);
    const struct http_field *key = only(r, HTTP_HARP_SHARED_KEY, &n);
    a->key = key && secret_matches(&j->hub->key, key->value);
    a->appapi = true;
    for (size_t i = 0; i < ARRAY_LEN(appapi_fields) && a->appapi; i++) {
        only(r, appapi_fields[i], &n);
        a->appapi = n > 0;
    }
}

static enum step judge_path(struct judging *j)
{
    switch (target_parse(j->target, j->facts->request->path)) {
    case TARGET_HOSTILE:
        return counted_drop(j, "the path tries to leave its prefix");
    case TARGET_UNKNOWN:
        if (str_eq(j->facts->request->path, STR("/favicon.ico"))) {
            /* Browsers that reach the hub itself ask for it by themselves. */
            return answer(j, 404, HOP_NONE, "the hub has no icon");
        }
        return counted_answer(j, 404, "the path is not that of an ExApp: /exapps/{appid}/...");
    case TARGET_OK:
        break;
    }
    if (j->facts->request->method_id == HTTP_TRACE) {
        /* An ExApp would send back what the hub told it in confidence (RFC 9110 9.3.8). */
        return answer(j, 501, HOP_NONE, "TRACE is not served");
    }
    return STEP_NEXT;
}

/* A call of the Docker API. */
static enum step judge_engine(struct judging *j, struct str port)
{
    struct access *a = j->a;
    struct gate_verdict v;
    a->for_engine = true;
    gate_judge(j->hub, j->facts->request, port, j->target->rest, &v);
    if (v.status != 0) {
        return answer(j, v.status, HOP_NONE, v.why);
    }
    a->engine = v.port;
    a->engine_streams = v.streams;
    *j->v = (struct access_verdict){.kind = ACCESS_ENGINE};
    return STEP_FOUND;
}

static bool for_containers(struct str path)
{
    static const char prefix[] = "/docker/";
    return path.n >= sizeof(prefix) - 1 && memcmp(path.p, prefix, sizeof(prefix) - 1) == 0;
}

/* A call as AppAPI makes them, with the key or another one: both tell whether the two have the same. */
static void note_call(const struct judging *j)
{
    char text[IP_TEXT_MAX];
    struct nextcloud_facts *facts = &j->hub->facts;
    nextcloud_fact_set(j->a->key ? &facts->called : &facts->other_key, loop_now(&j->hub->loop),
                       "%s", ip_format(&j->a->client, text));
}

/* spec/appapi.md section 5. */
static enum step judge_control(struct judging *j)
{
    unsigned keys, ports;
    if (!str_eq_nocase(j->target->appid, STR("app_api"))) {
        return STEP_NEXT;
    }
    only(j->facts->request, HTTP_HARP_SHARED_KEY, &keys);
    const struct http_field *port = only(j->facts->request, HTTP_DOCKER_ENGINE_PORT, &ports);
    if (keys > 1) {
        return answer(j, 400, HOP_NONE, "harp-shared-key is there more than once");
    }
    /* Those about containers the hub's own command makes, too (command_test.c). */
    if (keys == 1 && !port && !for_containers(j->target->path)) {
        note_call(j);
    }
    if (!j->a->key) {
        return counted_answer(
            j, 401, keys == 0 ? "harp-shared-key is missing" : "harp-shared-key is not the hub's");
    }
    if (ports > 1) {
        return answer(j, 400, HOP_NONE, "docker-engine-port is there more than once");
    }
    if (port && !for_containers(j->target->path)) {
        return judge_engine(j, port->value);
    }
    *j->v = (struct access_verdict){.kind = ACCESS_CONTROL};
    return STEP_FOUND;
}

static enum step judge_caller(struct judging *j)
{
    unsigned n;
    if (!j->a->appapi) {
        return j->target->reserved ? counted_drop(j, "this path is for AppAPI alone") : STEP_NEXT;
    }
    for (size_t i = 0; i < ARRAY_LEN(appapi_fields); i++) {
        only(j->facts->request, appapi_fields[i], &n);
        if (n > 1) {
            return answer(j, 400, HOP_NONE, "a field of AppAPI's call is there more than once");
        }
    }
    note_call(j);
    return j->a->key ? STEP_NEXT : counted_drop(j, "a call in AppAPI's name with a wrong key");
}

/* ---- the app ---- */

static void keep_failure(struct access *a, const char *why)
{
    size_t n = strlen(why);
    static const char words[] = "Nextcloud gave no usable answer: ";
    free(a->failure);
    a->failure = xmalloc(sizeof(words) + n);
    memcpy(a->failure, words, sizeof(words) - 1);
    memcpy(a->failure + sizeof(words) - 1, why, n + 1);
}

/* Where AppAPI may say that an app is which Nextcloud does not know: section 3 point 5. */
static bool may_be_at(const struct hub *hub, const struct exapp *app)
{
    if (app->loopback && app->meta.port >= TUNNEL_APP_FIRST && app->meta.port <= TUNNEL_APP_LAST) {
        return true;
    }
    return host_list_contains(&hub->settings.exapp_host_list, str_of(app->meta.host));
}

static int copy_field(const struct judging *j, enum http_name id, char **out)
{
    unsigned n;
    const struct http_field *f = only(j->facts->request, id, &n);
    *out = f ? xstrndup(f->value.p, f->value.n) : NULL;
    return f ? 0 : -1;
}

/* The app as the head of AppAPI's call describes it. NULL: it does not do so properly. */
static struct exapp *described(struct judging *j)
{
    struct exapp_meta m = {0};
    struct exapp *app = NULL;
    char lower[EXAPP_ID_MAX + 1];
    char *port = NULL;
    exapp_id_lower(lower, j->target->appid);
    m.id = xstrndup(lower, strlen(lower));
    m.token = xstrndup("", 0);
    if (copy_field(j, HTTP_EX_APP_VERSION, &m.version) == 0 &&
        copy_field(j, HTTP_EX_APP_HOST, &m.host) == 0 &&
        copy_field(j, HTTP_EX_APP_PORT, &port) == 0 && exapp_version_valid(str_of(m.version)) &&
        value_is_host(str_of(m.host)) && value_parse_port(str_of(port), &m.port) == 0) {
        app = exapps_stranger(j->hub->exapps, &m);
    }
    exapp_meta_free(&m);
    free(port);
    return app;
}

static enum step find_app(struct judging *j, enum exapps_asker asker);

static enum step unknown_app(struct judging *j, bool remembered)
{
    struct access *a = j->a;
    if (!a->appapi) {
        return counted_answer(j, 404, "no such ExApp");
    }
    struct exapp *app = described(j);
    if (!app) {
        return answer(j, 400, HOP_NONE,
                      "ex-app-version, ex-app-host or ex-app-port is not what it should be");
    }
    if (!may_be_at(j->hub, app)) {
        exapp_unref(app);
        if (remembered) {
            return find_app(j, EXAPPS_FOR_APPAPI_AFRESH);
        }
        return answer(j, 403, HOP_HUB,
                      "Nextcloud does not know this ExApp, and ex-app-host is not listed in "
                      "HP_EXAPP_HOSTS");
    }
    a->app = app;
    return STEP_NEXT;
}

static enum step app_found(struct judging *j, enum exapps_result result, bool remembered)
{
    switch (result) {
    case EXAPPS_HERE:
        break; /* j->a->app is set */
    case EXAPPS_UNKNOWN:
        return unknown_app(j, remembered);
    case EXAPPS_DISABLED:
        /* Not counted: its users' pages may be open still. */
        return answer(j, 404, HOP_NONE, "this ExApp is disabled");
    case EXAPPS_FAILED:
        return answer(j, 503, HOP_NEXTCLOUD, j->a->failure);
    }
    return STEP_NEXT;
}

static void take_app(struct access *a, const struct exapps_answer *found)
{
    a->app_result = found->result;
    if (found->result == EXAPPS_HERE) {
        a->app = exapp_ref(found->app);
    } else if (found->result == EXAPPS_FAILED) {
        keep_failure(a, found->why);
    }
}

static void on_app(void *owner, const struct exapps_answer *found)
{
    struct access *a = owner;
    a->app_wait = NULL;
    a->app_asked = true;
    take_app(a, found);
    a->again(a->owner);
}

static enum step find_app(struct judging *j, enum exapps_asker asker)
{
    struct exapps_answer found;
    if (!exapps_find(j->hub->exapps, j->target->appid, asker, &found, on_app, j->a,
                     &j->a->app_wait)) {
        return STEP_WAIT;
    }
    take_app(j->a, &found);
    return app_found(j, found.result, found.remembered);
}

static enum step judge_app(struct judging *j)
{
    if (j->a->app) {
        return STEP_NEXT;
    }
    if (j->a->app_asked) {
        return app_found(j, j->a->app_result, false);
    }
    return find_app(j, j->a->appapi ? EXAPPS_FOR_APPAPI : EXAPPS_FOR_CLIENT);
}

/* ---- the client, and the routes ---- */

/* Before Nextcloud is asked who it is: where no route leads, that plays no role. */
static enum step judge_route(struct judging *j)
{
    struct access *a = j->a;
    if (a->appapi || a->route) {
        return STEP_NEXT;
    }
    a->route = routes_match(a->app->routes, j->target->path, j->hub->log);
    return a->route ? STEP_NEXT : counted_answer(j, 404, "no route of the ExApp matches this path");
}

static void take_user(struct access *a, const struct session_answer *found)
{
    a->user_asked = true;
    switch (found->result) {
    case SESSION_USER:
        a->level = found->access;
        a->authorization = exapp_authorization(a->app, found->user);
        break;
    case SESSION_NOBODY:
        break;
    case SESSION_FAILED:
        keep_failure(a, found->why);
        break;
    case SESSION_ALONE:
        a->user_alone = true;
        a->user_asked = false;
        break;
    }
}

static void on_user(void *owner, const struct session_answer *found)
{
    struct access *a = owner;
    a->user_wait = NULL;
    take_user(a, found);
    a->again(a->owner);
}

static enum step judge_user(struct judging *j)
{
    struct access *a = j->a;
    const struct http_request *r = j->facts->request;
    if (a->appapi) {
        return STEP_NEXT;
    }
    if (!a->user_asked && sessions_credentials(r)) {
        struct session_answer found;
        if (!sessions_ask(j->hub->sessions, a->app->meta.id, r, &a->client, a->user_alone, &found,
                          on_user, a, &a->user_wait)) {
            return STEP_WAIT;
        }
        take_user(a, &found);
    }
    if (a->failure) {
        return answer(j, 401, HOP_NEXTCLOUD, a->failure);
    }
    if (a->route->access <= a->level) {
        return STEP_NEXT;
    }
    return counted_answer(j, 403,
                          a->route->access == EXAPP_ADMIN ? "this route is for administrators"
                                                          : "this route needs a signed-in user");
}

/* ---- all of it ---- */

bool access_judge(struct hub *hub, const struct access_facts *facts, struct access *a,
                  struct target *target, struct access_verdict *verdict, void (*again)(void *owner),
                  void *owner)
{
    static enum step (*const steps[])(struct judging *) = {judge_path, judge_control, judge_caller,
                                                           judge_app,  judge_route,   judge_user};
    struct judging j = {hub, facts, a, target, verdict};
    a->again = again;
    a->owner = owner;
    if (!a->known) {
        look_at(&j);
    }
    if (!a->key && bans_banned(hub->bans, &a->client, loop_now(&hub->loop))) {
        drop(&j, "the address is banned");
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        enum step step = steps[i](&j);
        if (step != STEP_NEXT) {
            return step == STEP_FOUND;
        }
    }
    *verdict = (struct access_verdict){.kind = ACCESS_FORWARD};
    return true;
}

void access_answered(struct hub *hub, const struct access *a, int status)
{
    const struct exapp_route *route = a->route;
    for (unsigned i = 0; !a->key && route && i < route->nstatus; i++) {
        if (route->status[i] == status) {
            bans_failure(hub->bans, &a->client, loop_now(&hub->loop),
                         "an answer that its route counts", NULL);
            return;
        }
    }
}

void access_clear(struct access *a)
{
    if (a->app_wait) {
        exapps_cancel(a->app_wait);
    }
    if (a->user_wait) {
        sessions_cancel(a->user_wait);
    }
    if (a->authorization) {
        secret_wipe(a->authorization, strlen(a->authorization));
        free(a->authorization);
    }
    free(a->failure);
    exapp_unref(a->app);
    *a = (struct access){0};
}
