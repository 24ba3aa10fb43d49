#include "common/docker/body.h"

#include "common/base/buf.h"
#include "common/crypto/secret.h"
#include "common/docker/schema.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- kinds ---- */

struct kind {
    const struct docker_field *fields;
    int (*end)(struct docker_judging *j);
};

static const struct kind *kind_of(enum docker_body body)
{
    static const struct kind container = {docker_schema_container, docker_container_end},
                             exec = {docker_schema_exec, docker_exec_end},
                             exec_start = {docker_schema_exec_start, docker_exec_start_end},
                             volume = {docker_schema_volume, docker_volume_end};
    switch (body) {
    case DOCKER_BODY_CONTAINER:
        return &container;
    case DOCKER_BODY_EXEC:
        return &exec;
    case DOCKER_BODY_EXEC_START:
        return &exec_start;
    case DOCKER_BODY_VOLUME:
        return &volume;
    case DOCKER_NO_BODY:
    case DOCKER_BODY_DROPPED:
    case DOCKER_BODY_ARCHIVE:
        break;
    }
    return NULL;
}

/* ---- room ---- */

enum { ROOM = 256 }; /* for braces, and what is written without being asked for */

/* How long what is written can be. Of what a string may hold, it is these that are written longer than they
 * can have come: < > & as six bytes, U+2028 and U+2029 (three bytes, the first E2) as six. All else keeps
 * its length or loses some, and so do keys. */
static size_t room_for(struct str body, const struct docker_grants *grants)
{
    size_t n = body.n + ROOM + 6 * strlen(grants->owner ? grants->owner : "");
    for (size_t i = 0; i < body.n; i++) {
        unsigned char c = (unsigned char)body.p[i];
        n += c == '<' || c == '>' || c == '&' ? 5 : c == 0xe2 ? 3 : 0;
    }
    return n;
}

/* ---- judging ---- */

static int judge(struct docker_judging *j, const struct kind *kind, const struct json_node *root)
{
    json_out_object(&j->out);
    int rc = docker_walk(j, kind->fields, root);
    if (rc == 0) {
        rc = kind->end(j);
    }
    json_out_object_end(&j->out);
    return rc;
}

static int judge_root(const struct docker_grants *grants, const struct kind *kind,
                      const struct json_node *root, const struct docker_host *host, struct str body,
                      struct docker_body_out *out, struct docker_verdict *verdict)
{
    struct docker_judging j = {.grants = grants, .host = host, .verdict = verdict};
    size_t cap = room_for(body, grants);
    out->p = xmalloc(cap);
    json_out_init(&j.out, out->p, cap);
    int rc = judge(&j, kind, root);
    ssize_t n = rc == 0 ? json_out_end(&j.out) : 0;
    if (n < 0) {
        rc = docker_refuse(verdict, DOCKER_FAULT_NEVER, STR(""), "the body could not be written");
    }
    if (rc) {
        out->n = j.out.n;
        docker_body_wipe(out);
    } else {
        out->n = (size_t)n;
    }
    return rc;
}

int docker_judge_body(const struct docker_policy *policy, const struct docker_call *call,
                      struct str body, const struct docker_host *host, struct docker_body_out *out,
                      struct docker_verdict *verdict)
{
    enum docker_body what = call->rule->body;
    const struct kind *kind = kind_of(what);
    char err[96] = "";
    *out = (struct docker_body_out){NULL, 0};
    verdict->status = 0;
    snprintf(verdict->call, sizeof(verdict->call), "%s", call->rule->name);
    if (!kind && what != DOCKER_BODY_DROPPED) {
        return docker_refuse(verdict, DOCKER_FAULT_NEVER, STR(""), "a JSON body is not allowed");
    }
    if (what == DOCKER_BODY_DROPPED && body.n == 0) {
        return 0;
    }
    struct json_doc *doc =
        body.n > DOCKER_BODY_MAX
            ? NULL
            : json_parse(body.p, body.n, &(struct json_limits){.bytes = DOCKER_BODY_MAX}, err,
                         sizeof(err));
    if (!doc) {
        char why[sizeof(verdict->why)];
        snprintf(why, sizeof(why), "the body is not well-formed JSON: %s", err);
        docker_refuse(verdict, DOCKER_FAULT_NEVER, STR(""),
                      body.n > DOCKER_BODY_MAX ? "the body is too large" : why);
        verdict->status = body.n > DOCKER_BODY_MAX ? 413 : 400;
        return verdict->status;
    }
    int rc = kind ? judge_root(policy->grants, kind, json_root(doc), host, body, out, verdict) : 0;
    json_free(doc);
    return rc;
}

void docker_body_wipe(struct docker_body_out *out)
{
    if (out->p) {
        secret_wipe(out->p, out->n);
        free(out->p);
    }
    *out = (struct docker_body_out){NULL, 0};
}

/* ---- beside ---- */

const char *docker_extra_key(struct str key, enum docker_extra_type type)
{
    const struct str host = STR("HostConfig.");
    bool hosts = key.n > host.n && memcmp(key.p, host.p, host.n) == 0;
    const struct docker_field *f =
        hosts ? docker_field_find(docker_schema_host, (struct str){key.p + host.n, key.n - host.n})
              : docker_field_find(docker_schema_container, key);
    if (!f) {
        return "is not a key of a container's body";
    }
    if (f->take) {
        return "is judged by lists of its own";
    }
    if (!f->extra) {
        return "gives power that no policy can grant, or can't be judged";
    }
    return f->type == type ? NULL : "has another type";
}

int docker_body_volumes(struct str out, void (*each)(void *arg, struct str name), void *arg)
{
    struct json_doc *doc =
        json_parse(out.p, out.n, &(struct json_limits){.bytes = SIZE_MAX}, NULL, 0);
    const struct json_node *mounts = json_get(json_get(json_root(doc), "HostConfig"), "Mounts");
    int rc = doc ? 0 : -1;
    for (const struct json_node *m = json_first(mounts); m && rc == 0; m = json_next(m)) {
        struct str type = STR(""), source = STR("");
        rc = json_str(json_get(m, "Type"), &type);
        if (rc == 0 && str_eq(type, STR("volume"))) {
            rc = json_str(json_get(m, "Source"), &source);
        }
        if (source.n > 0) {
            each(arg, source);
        }
    }
    json_free(doc);
    return rc;
}
