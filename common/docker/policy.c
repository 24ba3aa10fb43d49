#include "common/docker/policy.h"

#include "common/docker/catalogue.h"
#include "common/docker/chars.h"
#include "common/docker/generic.h"
#include "common/docker/reference.h"
#include "common/docker/value.h"

#include <stdio.h>

static int malformed(struct docker_verdict *v, const char *why)
{
    v->status = 400;
    snprintf(v->why, sizeof(v->why), "%s", why);
    return v->status;
}

int docker_refuse(struct docker_verdict *v, enum docker_fault fault, struct str what,
                  const char *why)
{
    bool fit = what.n < sizeof(v->what);
    for (size_t i = 0; fit && i < what.n; i++) {
        fit = what.p[i] >= 0x20 && what.p[i] <= 0x7e;
    }
    v->status = 403;
    v->fault = fault;
    snprintf(v->what, sizeof(v->what), "%.*s", fit ? (int)what.n : 0, what.p ? what.p : "");
    snprintf(v->why, sizeof(v->why), "%s", why);
    return v->status;
}

static int refuse(struct docker_verdict *v, const char *why)
{
    return docker_refuse(v, DOCKER_FAULT_NEVER, STR(""), why);
}

/* "parameter follow is not ..." */
static int refuse_param(struct docker_verdict *v, enum docker_fault fault, struct str name,
                        const char *why)
{
    char text[sizeof(v->why)];
    snprintf(text, sizeof(text), "parameter %.*s %s", STR_ARG(name), why);
    return docker_refuse(v, fault, name, text);
}

/* Takes the next segment off a rule's path. */
static struct str pattern_next(const char **p)
{
    struct str part = {*p, strcspn(*p, "/")};
    *p += part.n + ((*p)[part.n] == '/');
    return part;
}

static unsigned pattern_count(const char *p)
{
    unsigned n = 0;
    while (*p) {
        pattern_next(&p);
        n++;
    }
    return n;
}

/* Whether the path has the rule's segments; *first and *count are then the segments that {} covers. */
static bool fits(const struct docker_rule *rule, const struct docker_call *call, unsigned *first,
                 unsigned *count)
{
    unsigned at = 0;
    *first = *count = 0;
    for (const char *p = rule->path; *p;) {
        struct str part = pattern_next(&p);
        unsigned left = call->nsegments - at, behind = pattern_count(p);
        if (left <= behind) {
            return false;
        }
        if (str_eq(part, STR("{}"))) {
            *first = at;
            *count = rule->object->slashes ? left - behind : 1;
            at += *count;
        } else if (str_eq(part, docker_call_segment(call, at))) {
            at++;
        } else {
            return false;
        }
    }
    return at == call->nsegments;
}

/* Finds the rule and sets the call's object. *encoded: something is percent-encoded where no name stands
 * that may be. */
static const struct docker_rule *find(const struct docker_policy *policy, enum http_method method,
                                      struct docker_call *call, bool *encoded)
{
    const struct docker_rule *rule = NULL;
    unsigned first = 0, count = 0;
    for (size_t i = 0; i < policy->count && !rule; i++) {
        const struct docker_rule *r = policy->rules[i];
        if ((r->methods & DOCKER_METHOD(method)) && fits(r, call, &first, &count)) {
            rule = r;
        }
    }
    bool may = rule && rule->object && rule->object->slashes;
    *encoded = false;
    for (unsigned i = 0; i < call->nsegments; i++) {
        bool inside = rule && i >= first && i - first < count;
        *encoded |= call->segments[i].encoded && !(inside && may);
    }
    if (rule && count > 0) {
        const struct docker_span *from = &call->segments[first].text;
        const struct docker_span *to = &call->segments[first + count - 1].text;
        call->object = (struct docker_span){from->at, (uint16_t)(to->at + to->n - from->at)};
    }
    return rule;
}

/* A segment that is a word of letters, as all of Docker's own are, and "..." for any other. */
static struct str word(const struct docker_call *call, unsigned i)
{
    struct str s = docker_call_segment(call, i);
    for (size_t k = 0; k < s.n; k++) {
        if (!docker_lower(s.p[k]) && s.p[k] != '_') {
            return STR("...");
        }
    }
    return s.n <= 16 ? s : STR("...");
}

/* Names a call that no rule fits. */
static void describe(struct docker_verdict *v, const struct http_request *request,
                     const struct docker_call *call)
{
    unsigned n = call->nsegments;
    struct str method = request->method_id == HTTP_METHOD_OTHER ? STR("...") : request->method;
    struct str first = word(call, 0), last = n > 1 ? word(call, n - 1) : STR("");
    const char *between = n > 2 ? "/.../" : n > 1 ? "/" : "";
    snprintf(v->call, sizeof(v->call), "%.*s %.*s%s%.*s", STR_ARG(method), STR_ARG(first), between,
             STR_ARG(last));
}

static const struct docker_param_rule *param_rule(const struct docker_rule *rule, struct str name)
{
    for (unsigned i = 0; i < DOCKER_RULE_PARAMS && rule->params[i].name; i++) {
        if (str_eq(str_of(rule->params[i].name), name)) {
            return &rule->params[i];
        }
    }
    return NULL;
}

static int judge_params(const struct docker_rule *rule, const struct docker_call *call,
                        struct docker_verdict *v)
{
    for (unsigned i = 0; i < call->nparams; i++) {
        struct str name = docker_param_name(call, i), value = docker_param_value(call, i);
        const struct docker_param_rule *param = param_rule(rule, name);
        if (!param) {
            return refuse_param(v, DOCKER_FAULT_PARAM, name, "is not allowed");
        }
        const char *why = param->check(value);
        if (why) {
            return refuse_param(v, DOCKER_FAULT_NEVER, name, why);
        }
        if (param->streams && docker_value_is_true(value)) {
            v->answer = DOCKER_ANSWER_STREAM;
        }
    }
    for (unsigned i = 0; i < DOCKER_RULE_PARAMS && rule->params[i].name; i++) {
        struct str name = str_of(rule->params[i].name), unused;
        if (rule->params[i].required && !docker_call_param(call, name, &unused)) {
            return refuse_param(v, DOCKER_FAULT_NEVER, name, "is missing");
        }
    }
    return 0;
}

static bool base64url(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!docker_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_' && s.p[i] != '=') {
            return false;
        }
    }
    return true;
}

static bool has_body(const struct http_request *request)
{
    return request->framing == HTTP_BODY_CHUNKED || request->length > 0;
}

static int judge_framing(const struct docker_rule *rule, const struct http_request *request,
                         struct docker_verdict *v)
{
    switch (rule->body) {
    case DOCKER_NO_BODY:
        return has_body(request) ? refuse(v, "a body is not allowed") : 0;
    case DOCKER_BODY_CONTAINER:
    case DOCKER_BODY_EXEC:
    case DOCKER_BODY_EXEC_START:
    case DOCKER_BODY_VOLUME:
    case DOCKER_BODY_ARCHIVE:
        return has_body(request) ? 0 : refuse(v, "a body is missing");
    case DOCKER_BODY_DROPPED:
        break;
    }
    return 0;
}

/* The media type without its parameters. */
static struct str media_type(struct str value)
{
    size_t n = 0;
    while (n < value.n && value.p[n] != ';' && value.p[n] != ' ' && value.p[n] != '\t') {
        n++;
    }
    return (struct str){value.p, n};
}

static bool type_fits(enum docker_body body, struct str type)
{
    return body == DOCKER_BODY_ARCHIVE ? str_eq_nocase(type, STR("application/x-tar"))
                                       : str_eq_nocase(type, STR("application/json"));
}

static int judge_types(const struct docker_rule *rule, const struct http_request *request,
                       struct docker_verdict *v)
{
    unsigned types = 0;
    if (rule->body == DOCKER_NO_BODY || !has_body(request)) {
        return 0;
    }
    for (unsigned i = 0; i < request->nfields; i++) {
        const struct http_field *f = &request->fields[i];
        if (f->id == HTTP_CONTENT_ENCODING) {
            return refuse(v, "Content-Encoding is not allowed");
        }
        if (f->id == HTTP_CONTENT_TYPE &&
            (++types > 1 || !type_fits(rule->body, media_type(f->value)))) {
            types = 2;
            break;
        }
    }
    if (types != 1) {
        return refuse(v, rule->body == DOCKER_BODY_ARCHIVE
                             ? "Content-Type is not application/x-tar"
                             : "Content-Type is not application/json");
    }
    return 0;
}

/* The fields marked drop are looked at, too: naming one in Connection must not hide it from here. */
static int judge_head(const struct docker_rule *rule, const struct http_request *request,
                      struct docker_verdict *v)
{
    unsigned auths = 0;
    if (judge_framing(rule, request, v) || judge_types(rule, request, v)) {
        return v->status;
    }
    for (unsigned i = 0; i < request->nfields; i++) {
        const struct http_field *f = &request->fields[i];
        if (f->id == HTTP_EXPECT && rule->body == DOCKER_NO_BODY) {
            return refuse(v, "Expect is not allowed");
        }
        if (f->id == HTTP_UPGRADE && !rule->upgrade) {
            return refuse(v, "Upgrade is not allowed");
        }
        if (f->id == HTTP_UPGRADE && (!request->upgrade || !str_eq(f->value, STR("tcp")))) {
            return refuse(v, "Upgrade is not to tcp");
        }
        if (!rule->registry_auth || !str_eq_nocase(f->name, STR("X-Registry-Auth"))) {
            continue;
        }
        if (++auths > 1) {
            return refuse(v, "X-Registry-Auth is given twice");
        }
        if (f->value.n == 0 || f->value.n > DOCKER_REGISTRY_AUTH_MAX || !base64url(f->value)) {
            return refuse(v, "X-Registry-Auth is not base64url, or too long");
        }
    }
    return 0;
}

/* What an engine has to be asked before the call may pass. */
static bool needs_look(const struct docker_policy *policy, const struct docker_rule *rule,
                       struct str name, bool *by_id)
{
    bool container = rule->object == &docker_object_container;
    *by_id = container && policy->looks_up && name.n >= DOCKER_ID_SHORT && docker_hex_valid(name) &&
             !docker_words_all(policy->grants->containers);
    return *by_id || (policy->looks_up && policy->grants->owner &&
                      (container || rule->object == &docker_object_volume));
}

static int judge_object(const struct docker_policy *policy, const struct docker_rule *rule,
                        struct str name, struct docker_verdict *v)
{
    const struct docker_object *o = rule->object;
    char text[sizeof(v->why)];
    bool by_id;
    if (!o) {
        return 0;
    }
    const char *why = o->check(name);
    enum docker_fault fault = DOCKER_FAULT_NEVER;
    v->look_up = needs_look(policy, rule, name, &by_id);
    if (!why && !by_id && o->granted) {
        why = o->granted(policy->grants, name);
        fault = o->fault;
    }
    if (!why) {
        return 0;
    }
    snprintf(text, sizeof(text), "%s name %s", o->what, why);
    return docker_refuse(v, fault, name, text);
}

/* What would allow a call that no rule fits: the rule of docker_catalogue that does, or a generic one. The
 * latter take no bodies. */
static int refuse_call(struct docker_verdict *v, const struct http_request *request,
                       struct docker_call *call)
{
    char text[DOCKER_RULE_TEXT_MAX] = "";
    bool encoded;
    const struct docker_rule *known = find(&docker_catalogue, request->method_id, call, &encoded);
    call->object = (struct docker_span){0, 0};
    if (known) {
        docker_rule_text(known, text);
    } else if (!has_body(request)) {
        docker_generic_text(request->method_id, call, text);
    }
    return docker_refuse(v, text[0] ? DOCKER_FAULT_CALL : DOCKER_FAULT_NEVER, str_of(text),
                         "not an allowed call");
}

int docker_judge(const struct docker_policy *policy, const struct http_request *request,
                 struct str target, struct docker_call *call, struct docker_verdict *verdict)
{
    const char *why;
    bool encoded;
    *verdict = (struct docker_verdict){0};
    if (docker_call_read(call, target, policy->version_max, &why) < 0) {
        return malformed(verdict, why);
    }
    if (request->absolute) {
        return malformed(verdict, "target is not a path");
    }
    const struct docker_rule *rule = find(policy, request->method_id, call, &encoded);
    if (encoded) {
        return malformed(verdict, "percent-encoding outside of an image's name");
    }
    if (!rule) {
        describe(verdict, request, call);
        return refuse_call(verdict, request, call);
    }
    snprintf(verdict->call, sizeof(verdict->call), "%s", rule->name);
    verdict->answer = rule->answer;
    if (judge_object(policy, rule, docker_call_object(call), verdict) ||
        judge_params(rule, call, verdict) ||
        (rule->also && rule->also(policy->grants, call, verdict)) ||
        judge_head(rule, request, verdict)) {
        return verdict->status;
    }
    call->rule = rule;
    return 0;
}
