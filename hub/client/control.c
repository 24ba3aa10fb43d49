#include "hub/client/control.h"

#include <stdio.h>

#include "common/config/values.h"
#include "common/log/log.h"
#include "hub/access/exapps.h"
#include "hub/hub.h"

const char control_heartbeat[] = "{\"status\": \"ok\"}";
const char control_info[] =
    "{\"version\": \"" HARP_VERSION "\", \"docker\": true, \"kubernetes\": {\"enabled\": false}}";

static int refuse(struct answer *a, int status, const char *why)
{
    *a = (struct answer){.status = status, .why = why};
    return -1;
}

/* With a first line of its own. */
static int refuse_words(struct answer *a, int status, const char *words)
{
    *a = (struct answer){.status = status, .words = words};
    return -1;
}

static bool begins(struct str s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && memcmp(s.p, prefix, n) == 0;
}

static int wrong_method(struct answer *a, const char *allow)
{
    refuse(a, 405, "the method is not one of those that Allow lists");
    a->allow = allow;
    return -1;
}

/* The only field of that name; a second one was refused before. */
static bool engine_port(const struct http_request *r, struct str *port)
{
    for (unsigned i = 0; i < r->nfields; i++) {
        if (r->fields[i].id == HTTP_DOCKER_ENGINE_PORT) {
            *port = r->fields[i].value;
            return true;
        }
    }
    return false;
}

static int no_such_call(struct answer *a)
{
    return refuse(a, 404, "AppAPI has no call of that name");
}

static int find_storage(const struct http_request *r, struct str id, struct control_call *call,
                        struct answer *a)
{
    if (id.n == 0 || memchr(id.p, '/', id.n)) {
        return no_such_call(a);
    }
    if (!exapp_id_valid(id) || str_eq_nocase(id, STR("app_api"))) {
        return refuse(a, 400, "the path does not end with the id of an ExApp");
    }
    if (r->method_id != HTTP_POST && r->method_id != HTTP_DELETE) {
        return wrong_method(a, "DELETE,POST");
    }
    call->kind = r->method_id == HTTP_POST ? CONTROL_PUSH : CONTROL_DELETE;
    memcpy(call->appid, id.p, id.n);
    call->appid[id.n] = '\0';
    return 0;
}

static int find_deploy(const struct http_request *r, struct str name, struct control_call *call,
                       struct answer *a)
{
    struct str port;
    if (deploy_kind_find(name, &call->deploy) < 0) {
        return no_such_call(a);
    }
    if (r->method_id != HTTP_POST) {
        return wrong_method(a, "POST");
    }
    call->kind = CONTROL_DEPLOY;
    if (!engine_port(r, &port)) {
        return refuse_words(a, 400, "Missing 'docker-engine-port' header.");
    }
    if (value_parse_port(port, &call->engine) < 0) {
        snprintf(call->text, sizeof(call->text), "Invalid 'docker-engine-port' header value: %.*s",
                 value_is_printable(port) ? (int)MIN(port.n, 40U) : 0, port.p);
        return refuse_words(a, 400, call->text);
    }
    return 0;
}

int control_find(const struct http_request *r, struct str path, struct control_call *call,
                 struct answer *a)
{
    static const struct str deploy = {"/docker/exapp/", sizeof("/docker/exapp/") - 1};
    static const struct str storage = {"/exapp_storage/", sizeof("/exapp_storage/") - 1};
    bool get = r->method_id == HTTP_GET || r->method_id == HTTP_HEAD;
    *call = (struct control_call){0};
    if (begins(path, deploy.p)) {
        return find_deploy(r, (struct str){path.p + deploy.n, path.n - deploy.n}, call, a);
    }
    if (begins(path, "/k8s/")) {
        return refuse_words(a, 503, "Kubernetes backend is disabled in HaRP.");
    }
    if (begins(path, storage.p)) {
        return find_storage(r, (struct str){path.p + storage.n, path.n - storage.n}, call, a);
    }
    if (str_eq(path, STR("/heartbeat"))) {
        call->kind = CONTROL_HEARTBEAT;
    } else if (str_eq(path, STR("/info"))) {
        call->kind = CONTROL_INFO;
    } else {
        return no_such_call(a);
    }
    return get ? 0 : wrong_method(a, "GET,HEAD");
}

static void push(struct hub *hub, const struct control_call *call, struct str body,
                 struct answer *a, char text[CONTROL_TEXT_MAX])
{
    struct exapp_meta meta;
    if (exapp_meta_read(&meta, str_of(call->appid), body, text, CONTROL_TEXT_MAX) < 0) {
        refuse(a, 400, text);
        return;
    }
    if (exapps_push(hub->exapps, &meta) < 0) {
        exapp_meta_free(&meta);
        refuse(a, 503, "there are as many ExApps as the hub can hold");
        a->hop = HOP_HUB;
        return;
    }
    exapp_meta_free(&meta);
    log_info(hub->log, "control", 0, "AppAPI told about ExApp %s", call->appid);
    *a = (struct answer){.status = 204};
}

static void delete (struct hub *hub, const struct control_call *call, struct answer *a)
{
    switch (exapps_delete(hub->exapps, str_of(call->appid))) {
    case EXAPPS_DELETED:
        *a = (struct answer){.status = 204};
        break;
    case EXAPPS_NOT_THERE:
        refuse(a, 404, "no such ExApp is known; it is disabled from now on");
        break;
    case EXAPPS_TOO_MANY:
        refuse(a, 503, "there are as many ExApps as the hub can hold");
        a->hop = HOP_HUB;
        break;
    }
    log_info(hub->log, "control", 0, "AppAPI disabled ExApp %s", call->appid);
}

void control_answer(struct hub *hub, const struct control_call *call, struct str body,
                    struct answer *a, char text[CONTROL_TEXT_MAX])
{
    switch (call->kind) {
    case CONTROL_HEARTBEAT:
        *a = (struct answer){.status = 200, .json = control_heartbeat};
        break;
    case CONTROL_INFO:
        *a = (struct answer){.status = 200, .json = control_info};
        break;
    case CONTROL_PUSH:
        push(hub, call, body, a, text);
        break;
    case CONTROL_DELETE:
        delete (hub, call, a);
        break;
    case CONTROL_DEPLOY: /* control_deploy */
        break;
    }
}

struct deploy *control_deploy(struct hub *hub, const struct control_call *call, struct str body,
                              const struct tunnel_origin *origin, struct answer *a,
                              char text[CONTROL_TEXT_MAX], deploy_done *done, void *owner)
{
    struct deploy_request request;
    char *why = text + DEPLOY_ERROR_MAX;
    if (deploy_request_read(&request, call->deploy, body, text, why) < 0) {
        refuse_words(a, 400, text);
        a->why = why;
        return NULL;
    }
    struct deploy *d = deploy_start(hub->deploys, &request, call->engine, origin, done, owner);
    if (!d) {
        deploy_request_free(&request);
        refuse(a, 503, "there are as many operations on containers as the hub can hold");
        a->hop = HOP_HUB;
    }
    return d;
}
