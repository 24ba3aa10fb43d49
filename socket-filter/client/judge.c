/* judge.c - what is made of a request: its verdict, the record of it, and what follows. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/crypto/secret.h"
#include "common/docker/catalogue.h"
#include "common/docker/hint.h"
#include "common/docker/reference.h"
#include "socket-filter/client/client.h"
#include "socket-filter/client/execs.h"
#include "socket-filter/policy/bind_source.h"

/* ---- records ---- */

static const char *method_of(const struct client *c, const struct http_request *r, char buf[16])
{
    bool known = r->method_id != HTTP_METHOD_OTHER && c->x.minor <= 1;
    snprintf(buf, 16, "%.*s", known ? (int)MIN(r->method.n, 15U) : 0, known ? r->method.p : "");
    return buf;
}

int judge_record(struct client *c, enum audit_verdict verdict, const struct docker_verdict *v)
{
    struct filter *f = c->f;
    const struct docker_call *call = &f->call;
    bool read = *v->call; /* the target, and so f->call */
    char text[DOCKER_RULE_TEXT_MAX] = "", method[16] = "";
    f->metrics.verdicts[verdict]++;
    if (read && call->rule) {
        docker_rule_text(call->rule, text);
    }
    struct audit_record record = {.connection = c->id,
                                  .listener = c->at->set ? c->at->set->text : "admin",
                                  .client = c->name,
                                  .policy = c->policy ? c->policy->name : NULL,
                                  .method = read ? method_of(c, &f->request, method) : NULL,
                                  .call = v->call,
                                  .verdict = verdict,
                                  .rule = text[0] ? text : NULL,
                                  .why = v->why};
    if (read) {
        record.object = docker_call_object(call);
        if (record.object.n == 0 && !docker_call_param(call, STR("name"), &record.object)) {
            bool image = docker_call_param(call, STR("fromImage"), &record.object);
            record.object = image ? record.object : STR("");
        }
    }
    if (verdict == AUDIT_PASSED) {
        log_debug(f->log, "call", c->id, "%s: %s%s%.*s passed by %s", c->name, v->call,
                  record.object.n > 0 ? " of " : "", STR_ARG(record.object), record.policy);
    } else {
        log_warning(f->log, "call", c->id, "%s: %s%s%s: %s (policy %s)", c->name, v->call,
                    *v->call ? " " : "",
                    verdict == AUDIT_WOULD_REFUSE   ? "would be refused"
                    : verdict == AUDIT_UNAUTHORIZED ? "unauthorized"
                                                    : "refused",
                    v->why, record.policy ? record.policy : "-");
    }
    if (!f->audit || audit_write(f->audit, &record) == 0) {
        return 0;
    }
    f->metrics.audit_failures++;
    log_error(f->log, "audit", c->id, "a record could not be written");
    if (f->settings.audit != FILTER_AUDIT_REQUIRED) {
        return 0;
    }
    client_answer(c, 503, "the audit record of this call could not be written, and is required");
    return -1;
}

void judge_malformed(struct client *c, const char *why)
{
    struct docker_verdict v = {.status = 400};
    judge_again(c);
    memcpy(v.call, c->f->verdict.call, sizeof(v.call));
    snprintf(v.why, sizeof(v.why), "%s", why);
    if (judge_record(c, AUDIT_MALFORMED, &v) == 0) {
        client_answer(c, 400, why);
    }
}

/* The record of a refusal, and in report mode what would allow it. 0: it is to be answered, or to pass. */
static int tell_refused(struct client *c, const struct docker_verdict *v)
{
    char hint[DOCKER_HINT_MAX];
    bool report = c->at->set->report == FILTER_REPORT;
    enum audit_verdict verdict = report             ? AUDIT_WOULD_REFUSE
                                 : v->status == 403 ? AUDIT_REFUSED
                                                    : AUDIT_MALFORMED;
    if (judge_record(c, verdict, v) < 0) {
        return -1;
    }
    if (report) {
        docker_hint(v, hint);
        log_warning(c->f->log, "report", c->id, "passed on, as this listener only reports; %s%s",
                    *hint ? "a policy lets it pass with: " : "no policy can let it pass", hint);
    }
    return 0;
}

static void answer_refused(struct client *c, const struct docker_verdict *v)
{
    char message[DOCKER_MESSAGE_MAX];
    if (docker_verdict_message(v, message, sizeof(message)) == 0) {
        snprintf(message, sizeof(message), "refused by policy");
    }
    client_answer(c, v->status, message);
}

void judge_refused(struct client *c, const struct docker_verdict *v)
{
    if (tell_refused(c, v) < 0) {
        return;
    }
    if (c->at->set->report == FILTER_REPORT) {
        c->x.raw = true;
        c->x.kind = DOCKER_ANSWER_STREAM; /* nothing is known of it */
        exchange_start(c);
    } else {
        answer_refused(c, v);
    }
}

bool judge_refused_late(struct client *c, struct docker_verdict *v)
{
    judge_again(c);
    memcpy(v->call, c->f->verdict.call, sizeof(v->call));
    if (tell_refused(c, v) < 0) {
        return false;
    }
    if (c->at->set->report != FILTER_REPORT) {
        answer_refused(c, v);
        return false;
    }
    return true;
}

/* ---- the administrator's socket ---- */

static void answer_admin(struct client *c)
{
    struct filter *f = c->f;
    const struct http_request *r = &f->request;
    char text[METRICS_TEXT_MAX];
    if (r->method_id != HTTP_GET && r->method_id != HTTP_HEAD) {
        client_answer(c, 405, "only GET is there");
    } else if (str_eq(r->path, STR("/health"))) {
        client_answer_body(c, 200, "text/plain", STR("ok\n"), NULL);
    } else if (str_eq(r->path, STR("/metrics"))) {
        size_t n =
            metrics_text(&f->metrics, frontend_clients(f->frontend), execs_count(f->execs), text);
        client_answer_body(c, 200, "text/plain; version=0.0.4", (struct str){text, n}, NULL);
    } else {
        client_answer(c, 404, "there are /health and /metrics");
    }
}

/* ---- the way of a request ---- */

static void keep_head(struct client *c, const char *p, size_t n)
{
    c->x.head = xmalloc(n);
    memcpy(c->x.head, p, n);
    c->x.head_len = n;
}

void judge_again(struct client *c)
{
    struct http_limits limits = client_limits(c);
    struct filter *f = c->f;
    size_t scanned = 0;
    f->call.rule = NULL;
    f->verdict = (struct docker_verdict){0};
    /* It was good before, and a judged one has the same verdict again. */
    if (http_parse_request(&f->request, c->x.head, c->x.head_len, &limits, &scanned) > 0 &&
        c->policy &&
        docker_judge(c->policy->policy, &f->request, f->request.path, &f->call, &f->verdict)) {
        f->call.rule = NULL;
    }
}

static enum collect collect_of(const struct client *c, const struct docker_rule *rule)
{
    return rule->body == DOCKER_BODY_EXEC                           ? COLLECT_EXEC
           : rule->tells_env && c->policy->policy->grants->hide_env ? COLLECT_ENV
                                                                    : COLLECT_NOTHING;
}

/* 0: it passes so far; else f->verdict says what not. */
static int judge_call(struct client *c)
{
    struct filter *f = c->f;
    struct docker_verdict *v = &f->verdict;
    if (docker_judge(c->policy->policy, &f->request, f->request.path, &f->call, v)) {
        return v->status;
    }
    const struct docker_rule *rule = f->call.rule;
    if (rule->object == &docker_object_exec &&
        !execs_known(f->execs, c->policy->policy, docker_call_object(&f->call))) {
        return docker_refuse(v, DOCKER_FAULT_NEVER, STR(""),
                             "command was not made through this program, or was forgotten");
    }
    c->x.kind = rule->large ? DOCKER_ANSWER_STREAM : v->answer;
    c->x.collect = collect_of(c, rule);
    return 0;
}

static size_t unauthorized(struct client *c, bool banned, size_t n)
{
    struct docker_verdict v = {.status = 401};
    snprintf(v.why, sizeof(v.why), "%s",
             banned ? "the address had too many wrong credentials" : "wrong or no credentials");
    if (judge_record(c, AUDIT_UNAUTHORIZED, &v) < 0) {
        return n;
    }
    if (banned) {
        client_end(c, v.why); /* as new connections from there do */
    } else {
        client_answer(c, 401, v.why);
    }
    return n;
}

size_t judge_begin(struct client *c, const char *p, size_t len, size_t n)
{
    struct filter *f = c->f;
    enum frontend_credentials credentials =
        c->at->set ? frontend_authorize(c, &f->request) : FRONTEND_GOOD;
    if (!c->at->set) {
        answer_admin(c);
    } else if (credentials != FRONTEND_GOOD) {
        len = unauthorized(c, credentials == FRONTEND_BANNED, len);
    } else {
        keep_head(c, p, len);
        client_enter(c, CLIENT_WAIT);
        if (c->at->set->exapp) {
            c->x.raw = true;
            c->x.kind = DOCKER_ANSWER_STREAM;
            exchange_start(c);
        } else if (judge_call(c)) {
            judge_refused(c, &f->verdict);
        } else if (f->call.rule->body == DOCKER_NO_BODY ||
                   f->call.rule->body == DOCKER_BODY_ARCHIVE || c->x.request_done) {
            judge_finish(c);
        } else {
            intake_begin(c);
        }
    }
    return c->state == CLIENT_ENDED || c->state == CLIENT_CLOSING ? n : len;
}

static void looked_up(void *owner, const struct lookup_result *result, struct docker_verdict *v)
{
    struct client *c = owner;
    struct exchange *x = &c->x;
    x->lookup = NULL;
    judge_again(c);
    if (result->status == 0) {
        /* What was asked about is what the call is to be about: behind its name another container may be
         * by then. Empty for volumes, which have no ids. */
        memcpy(x->id, result->id, sizeof(x->id));
        if (judge_record(c, AUDIT_PASSED, &c->f->verdict) == 0) {
            exchange_start(c);
        }
    } else if (result->status == 403 && v->status == 403) {
        memcpy(v->call, c->f->verdict.call, sizeof(v->call));
        judge_refused(c, v);
    } else if (judge_record(c, AUDIT_PASSED, &c->f->verdict) < 0) {
        return;
    } else if (result->why) {
        client_answer(c, result->status, result->why);
    } else {
        client_answer_body(c, result->status, "application/json", result->body, NULL);
    }
}

/* The volumes that a container mounts, each once. Copies: what the names are read from goes before they are
 * asked about. */
struct volumes {
    char *names[LOOKUP_NAMES_MAX];
    size_t n;
    bool more; /* than can be asked about */
};

static void add_volume(void *arg, struct str name)
{
    struct volumes *v = arg;
    for (size_t i = 0; i < v->n; i++) {
        if (str_eq(str_of(v->names[i]), name)) {
            return;
        }
    }
    if (v->n < LOOKUP_NAMES_MAX) {
        v->names[v->n++] = xstrndup(name.p, name.n);
    } else {
        v->more = true;
    }
}

/* The container's volumes must be the owner's, too. */
static void look_at_volumes(struct client *c)
{
    struct filter *f = c->f;
    struct exchange *x = &c->x;
    struct volumes volumes = {.n = 0};
    struct str names[LOOKUP_NAMES_MAX];
    bool read = docker_body_volumes((struct str){x->body.p, x->body.n}, add_volume, &volumes) == 0;
    for (size_t i = 0; i < volumes.n; i++) {
        names[i] = str_of(volumes.names[i]);
    }
    if (volumes.more || !read) {
        docker_refuse(&f->verdict, DOCKER_FAULT_NEVER, STR(""),
                      "the container mounts more volumes than can be looked at");
        judge_refused(c, &f->verdict);
    } else if (volumes.n > 0) {
        x->lookup =
            lookup_start(f, c->policy->policy, LOOKUP_VOLUME, names, volumes.n, looked_up, c);
    } else if (judge_record(c, AUDIT_PASSED, &f->verdict) == 0) {
        exchange_start(c);
    }
    for (size_t i = 0; i < volumes.n; i++) {
        free(volumes.names[i]);
    }
}

void judge_finish(struct client *c)
{
    struct filter *f = c->f;
    struct exchange *x = &c->x;
    const struct docker_rule *rule = f->call.rule;
    struct str object = docker_call_object(&f->call);
    client_enter(c, CLIENT_WAIT);
    if (f->verdict.look_up) {
        x->lookup =
            lookup_start(f, c->policy->policy,
                         rule->object == &docker_object_volume ? LOOKUP_VOLUME : LOOKUP_CONTAINER,
                         &object, 1, looked_up, c);
        return;
    }
    if (rule->body == DOCKER_BODY_CONTAINER && c->policy->policy->grants->owner) {
        look_at_volumes(c);
    } else if (judge_record(c, AUDIT_PASSED, &f->verdict) == 0) {
        exchange_start(c);
    }
}
