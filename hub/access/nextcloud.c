#include "hub/access/nextcloud.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/fetch/fetch.h"
#include "common/json/json.h"
#include "common/log/log.h"
#include "hub/hub.h"

enum { WARNINGS = 10, WARNINGS_MS = 60 * 1000 };

struct nextcloud {
    struct hub *hub;
    struct fetcher *fetcher; /* NULL: there is no Nextcloud */
    struct log_limit warnings;
};

struct nextcloud_call {
    struct nextcloud *nc;
    struct fetch *fetch;
    nextcloud_done *done;
    void *owner;
    char id[EXAPP_ID_MAX + 1];
};

struct nextcloud *nextcloud_new(struct hub *hub, char *err, size_t errlen)
{
    const struct hub_settings *set = &hub->settings;
    struct nextcloud *nc = xcalloc(1, sizeof(*nc));
    nc->hub = hub;
    log_limit_init(&nc->warnings, WARNINGS, WARNINGS_MS);
    if (!*set->nc_instance_url) {
        return nc;
    }
    struct fetcher_settings limits = {
        .at_once = (unsigned)set->nextcloud_requests,
        .waiting = (unsigned)set->nextcloud_waiting,
        .connect_timeout = set->nextcloud_connect_timeout,
        .timeout = set->nextcloud_timeout,
        .body_max = EXAPP_META_BYTES,
        .ca_file = set->nextcloud_ca_file,
        .proxy = set->nextcloud_proxy,
    };
    char why[256];
    nc->fetcher = fetcher_new(&hub->loop, &limits, why, sizeof(why));
    if (!nc->fetcher) {
        snprintf(err, errlen, "%s%s", *set->nextcloud_ca_file ? "HP_NEXTCLOUD_CA_FILE: " : "", why);
        free(nc);
        return NULL;
    }
    return nc;
}

void nextcloud_free(struct nextcloud *nc)
{
    if (nc) {
        fetcher_free(nc->fetcher);
        free(nc);
    }
}

bool nextcloud_configured(const struct nextcloud *nc)
{
    return nc->fetcher != NULL;
}

/* ---- answers ---- */

/* A 200 of AppAPI's proves the key. A 401 says nothing of it: it may be the ExApp that is not known, or the
 * client whose password is wrong; but not where nothing but the key was sent (nextcloud_ask_key). */
static void note(const struct nextcloud_call *call, const char *question,
                 const struct nextcloud_answer *answer)
{
    struct nextcloud_facts *facts = &call->nc->hub->facts;
    uint64_t now = loop_now(&call->nc->hub->loop);
    struct nextcloud_fact *more = answer->proof == NEXTCLOUD_KEY_ACCEPTED  ? &facts->accepted
                                  : answer->proof == NEXTCLOUD_KEY_REFUSED ? &facts->refused
                                                                           : NULL;
    if (answer->result == NEXTCLOUD_FAILED) {
        nextcloud_fact_set(&facts->failed, now, "%s", answer->why);
        return;
    }
    nextcloud_fact_set(&facts->answered, now, "%s%s%s", question, *call->id ? " for ExApp " : "",
                       call->id);
    if (more) {
        *more = facts->answered;
    }
}

/* Tells a failure in the log and hands the answer over. */
static void finish(struct nextcloud_call *call, const char *question,
                   const struct nextcloud_answer *answer)
{
    struct nextcloud *nc = call->nc;
    nextcloud_done *done = call->done;
    void *owner = call->owner;
    note(call, question, answer);
    if (answer->result == NEXTCLOUD_FAILED &&
        log_limit_pass(&nc->warnings, loop_now(&nc->hub->loop), nc->hub->log, LOG_LEVEL_WARNING,
                       "nextcloud")) {
        log_warning(nc->hub->log, "nextcloud", 0, "gave no usable answer to %s%s%s: %s", question,
                    *call->id ? " for ExApp " : "", call->id, answer->why);
    }
    free(call);
    done(owner, answer);
}

/* Why an answer with that status is of no use. */
static const char *unusable(char *buf, size_t n, int status)
{
    snprintf(buf, n, "it answered %d%s", status,
             status == 400   ? " (is NC_INSTANCE_URL one of its trusted_domains?)"
             : status == 404 ? " (is NC_INSTANCE_URL right, and AppAPI enabled?)"
             : status == 429
                 ? " (too many failures from the hub's address: occ security:bruteforce:reset)"
             : status == 503 ? " (maintenance mode?)"
             : status >= 300 && status < 400
                 ? " (is NC_INSTANCE_URL the address that it redirects to?)"
                 : "");
    return buf;
}

static void app_fetched(void *owner, const struct fetch_result *r)
{
    struct nextcloud_call *call = owner;
    struct exapp_meta meta = {0};
    struct nextcloud_answer answer = {.result = NEXTCLOUD_FAILED, .meta = &meta, .why = r->why};
    char why[256], wrong[200];
    if (r->status == 401 || r->status == 404) {
        answer.result = NEXTCLOUD_NO;
    } else if (r->status == 200) {
        if (exapp_meta_read(&meta, str_of(call->id), r->body, wrong, sizeof(wrong)) == 0) {
            answer.result = NEXTCLOUD_YES;
            answer.proof = NEXTCLOUD_KEY_ACCEPTED;
        } else {
            snprintf(why, sizeof(why), "its answer is not as it should be: %s", wrong);
            answer.why = why;
        }
    } else if (r->status != 0) {
        answer.why = unusable(why, sizeof(why), r->status);
    }
    finish(call, "exapp-meta", &answer);
    exapp_meta_free(&meta);
}

/* What is wrong with {user_id, access_level}, or NULL. */
static const char *read_user(const struct json_node *root, struct nextcloud_answer *answer)
{
    int64_t access;
    if (json_str(json_get(root, "user_id"), &answer->user) < 0 ||
        answer->user.n > NEXTCLOUD_USER_MAX) {
        return "user_id is missing, no string, or too long";
    }
    if (json_int(json_get(root, "access_level"), &access) < 0 || access < EXAPP_PUBLIC ||
        access > EXAPP_ADMIN) {
        return "access_level is none of 0, 1, 2";
    }
    answer->access = (enum exapp_access)access;
    answer->proof = NEXTCLOUD_KEY_ACCEPTED;
    /* Nobody has no rights, and without rights one is nobody. */
    answer->result = answer->user.n > 0 && access > EXAPP_PUBLIC ? NEXTCLOUD_YES : NEXTCLOUD_NO;
    return NULL;
}

static void user_fetched(void *owner, const struct fetch_result *r)
{
    struct nextcloud_call *call = owner;
    struct nextcloud_answer answer = {.result = NEXTCLOUD_FAILED, .why = r->why};
    struct json_doc *doc = NULL;
    char why[256], wrong[200];
    if (r->status >= 300 && r->status < 500) {
        answer.result = NEXTCLOUD_NO;
    } else if (r->status == 200) {
        const char *problem = wrong;
        doc = json_parse(r->body.p, r->body.n, NULL, wrong, sizeof(wrong));
        if (doc) {
            problem = read_user(json_root(doc), &answer);
        }
        if (problem) {
            snprintf(why, sizeof(why), "its answer is not as it should be: %s", problem);
            answer.why = why;
        }
    } else if (r->status != 0) {
        answer.why = unusable(why, sizeof(why), r->status);
    }
    finish(call, "user-info", &answer);
    json_free(doc);
}

/* What was asked with the key alone, without a client's fields. */
static void key_fetched(void *owner, const struct fetch_result *r)
{
    struct nextcloud_call *call = owner;
    struct nextcloud_answer answer = {.result = NEXTCLOUD_FAILED, .why = r->why};
    struct json_doc *doc = r->status != 0 ? json_parse(r->body.p, r->body.n, NULL, NULL, 0) : NULL;
    const struct json_node *root = json_root(doc);
    char why[256];
    if (r->status == 200 && read_user(root, &answer) == NULL) {
        answer.result = NEXTCLOUD_YES;
    } else if (r->status == 401 && json_type(json_get(root, "message")) == JSON_STRING) {
        answer.result = NEXTCLOUD_NO;
        answer.proof = NEXTCLOUD_KEY_REFUSED;
    } else if (r->status == 200 || r->status == 401) {
        snprintf(why, sizeof(why),
                 "it answered %d, but not as AppAPI does (does something else stand at that "
                 "address, or a login of a proxy in front?)",
                 r->status);
        answer.why = why;
    } else if (r->status != 0) {
        answer.why = unusable(why, sizeof(why), r->status);
    }
    finish(call, "user-info", &answer);
    json_free(doc);
}

/* {"installed":true,"maintenance":false,...} */
static void status_fetched(void *owner, const struct fetch_result *r)
{
    struct nextcloud_call *call = owner;
    struct nextcloud_answer answer = {.result = NEXTCLOUD_FAILED, .why = r->why};
    struct json_doc *doc =
        r->status == 200 ? json_parse(r->body.p, r->body.n, NULL, NULL, 0) : NULL;
    const struct json_node *root = json_root(doc);
    char why[256];
    bool installed, maintenance;
    if (r->status != 0 && r->status != 200) {
        answer.why = unusable(why, sizeof(why), r->status);
    } else if (r->status == 200 &&
               (json_bool(json_get(root, "installed"), &installed) < 0 ||
                json_bool(json_get(root, "maintenance"), &maintenance) < 0 || !installed)) {
        answer.why = "what answers there is no Nextcloud that is installed";
    } else if (r->status == 200 && maintenance) {
        answer.why = "it is in maintenance mode";
    } else if (r->status == 200) {
        answer.result = NEXTCLOUD_YES;
    }
    finish(call, "status.php", &answer);
    json_free(doc);
}

/* ---- questions ---- */

static struct nextcloud_call *new_call(struct nextcloud *nc, const char *url, const char *id,
                                       nextcloud_done *done, void *owner)
{
    struct fetch *fetch = fetch_new(nc->fetcher, url);
    if (!fetch) {
        return NULL;
    }
    struct nextcloud_call *call = xcalloc(1, sizeof(*call));
    call->nc = nc;
    call->fetch = fetch;
    call->done = done;
    call->owner = owner;
    snprintf(call->id, sizeof(call->id), "%s", id);
    return call;
}

static struct nextcloud_call *ask(struct nextcloud *nc, const char *question, const char *id,
                                  nextcloud_done *done, void *owner)
{
    const struct hub_settings *set = &nc->hub->settings;
    char url[2048];
    snprintf(url, sizeof(url), "%s/index.php/apps/app_api/harp/%s?appId=%s", set->nc_instance_url,
             question, id);
    struct nextcloud_call *call = new_call(nc, url, id, done, owner);
    if (call) {
        fetch_header(call->fetch, STR("harp-shared-key"), str_of(set->shared_key));
    }
    return call;
}

struct nextcloud_call *nextcloud_ask_app(struct nextcloud *nc, const char *id, nextcloud_done *done,
                                         void *owner)
{
    struct nextcloud_call *call = ask(nc, "exapp-meta", id, done, owner);
    if (call) {
        fetch_send(call->fetch, app_fetched, call);
    }
    return call;
}

struct nextcloud_call *nextcloud_ask_key(struct nextcloud *nc, const char *id, nextcloud_done *done,
                                         void *owner)
{
    struct nextcloud_call *call = ask(nc, "user-info", id, done, owner);
    if (call) {
        fetch_send(call->fetch, key_fetched, call);
    }
    return call;
}

struct nextcloud_call *nextcloud_ask_status(struct nextcloud *nc, nextcloud_done *done, void *owner)
{
    char url[2048];
    snprintf(url, sizeof(url), "%s/status.php", nc->hub->settings.nc_instance_url);
    struct nextcloud_call *call = new_call(nc, url, "", done, owner);
    if (call) {
        fetch_send(call->fetch, status_fetched, call);
    }
    return call;
}

/* Fields about this connection and this body mean nothing in another request (RFC 9110 7.6.1); those
 * between AppAPI and the hub are the hub's to send; and who the client says that it comes from is
 * only worth something after client_address has judged it. */
static bool passes(const struct http_field *f)
{
    switch (f->id) {
    case HTTP_HOST:
    case HTTP_CONTENT_LENGTH:
    case HTTP_EXPECT:
    case HTTP_UPGRADE:
    case HTTP_TRAILER:
    case HTTP_FORWARDED:
    case HTTP_X_FORWARDED_FOR:
    case HTTP_X_REAL_IP:
        return false;
    default:
        return !f->drop && !http_name_is_hub(f->id) &&
               !str_eq_nocase(f->name, STR("Accept-Encoding"));
    }
}

struct nextcloud_call *nextcloud_ask_user(struct nextcloud *nc, const char *id,
                                          const struct http_request *request,
                                          const struct ip_addr *client, nextcloud_done *done,
                                          void *owner)
{
    char address[IP_TEXT_MAX];
    struct nextcloud_call *call = ask(nc, "user-info", id, done, owner);
    if (!call) {
        return NULL;
    }
    for (unsigned i = 0; i < request->nfields; i++) {
        const struct http_field *f = &request->fields[i];
        if (passes(f)) {
            fetch_header(call->fetch, f->name, f->value);
        }
    }
    fetch_header(call->fetch, STR("X-Forwarded-For"), str_of(ip_format(client, address)));
    fetch_send(call->fetch, user_fetched, call);
    return call;
}

void nextcloud_cancel(struct nextcloud_call *call)
{
    fetch_cancel(call->fetch);
    free(call);
}
