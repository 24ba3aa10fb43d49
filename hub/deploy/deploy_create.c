/* deploy_create.c - create: the volume, where it is not there, then the container.
 *
 * Unless exapp_tokens is false, the app gets a token of its own in place of the shared key (app_token.h), so
 * that it can open its tunnel and nothing else. The order of the environment stays, as AppAPI reads entries by
 * their place.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/config/values.h"
#include "common/crypto/secret.h"
#include "hub/tunnel/app_token.h"
#include "hub/deploy/deploy_impl.h"
#include "hub/access/exapp_meta.h"
#include "hub/hub.h"

static const char key_name[] = "HP_SHARED_KEY=";

/* A string may grow to six times its size. */
enum { GROWTH = 6, ROOM = 16 * 1024 };

/* ---- JSON ---- */

static void put(struct json_out *o, const char *key, struct str value)
{
    json_out_key(o, str_of(key));
    json_out_str(o, value);
}

static void put_flag(struct json_out *o, const char *key, bool value)
{
    json_out_key(o, str_of(key));
    json_out_bool(o, value);
}

static void put_number(struct json_out *o, const char *key, int64_t value)
{
    json_out_key(o, str_of(key));
    json_out_int(o, value);
}

static void put_labels(struct json_out *o, const struct deploy *d)
{
    json_out_key(o, STR("Labels"));
    json_out_object(o);
    put(o, INSTANCE_LABEL, str_of(deploys_instance(d->list)));
    put(o, INSTANCE_URL_LABEL, str_of(deploy_hub(d)->settings.nc_instance_url));
    json_out_object_end(o);
}

static void put_mount(struct json_out *o, const char *type, struct str source, struct str target,
                      bool read_only)
{
    json_out_object(o);
    put(o, "Type", str_of(type));
    put(o, "Source", source);
    put(o, "Target", target);
    put_flag(o, "ReadOnly", read_only);
    json_out_object_end(o);
}

static void put_mounts(struct json_out *o, const struct deploy_request *q)
{
    char target[sizeof(q->volume) + 1];
    snprintf(target, sizeof(target), "/%s", q->volume);
    json_out_key(o, STR("Mounts"));
    json_out_array(o);
    put_mount(o, "volume", str_of(q->volume), str_of(target), false);
    for (const struct json_node *n = json_first(q->mounts); n; n = json_next(n)) {
        struct deploy_mount m = deploy_mount(n);
        put_mount(o, "bind", m.source, m.target, m.read_only);
    }
    json_out_array_end(o);
}

static void put_device(struct json_out *o, const char *path)
{
    json_out_object(o);
    put(o, "PathOnHost", str_of(path));
    put(o, "PathInContainer", str_of(path));
    put(o, "CgroupPermissions", STR("rwm"));
    json_out_object_end(o);
}

static void put_compute(struct json_out *o, enum deploy_compute compute)
{
    if (compute == DEPLOY_CUDA) {
        json_out_key(o, STR("DeviceRequests"));
        json_out_array(o);
        json_out_object(o);
        put(o, "Driver", STR("nvidia"));
        put_number(o, "Count", -1);
        json_out_key(o, STR("Capabilities"));
        json_out_array(o);
        json_out_array(o);
        json_out_str(o, STR("compute"));
        json_out_str(o, STR("utility"));
        json_out_array_end(o);
        json_out_array_end(o);
        json_out_object_end(o);
        json_out_array_end(o);
    } else if (compute == DEPLOY_ROCM) {
        json_out_key(o, STR("Devices"));
        json_out_array(o);
        put_device(o, "/dev/kfd");
        put_device(o, "/dev/dri");
        json_out_array_end(o);
    }
}

static void put_host_config(struct json_out *o, const struct deploy_request *q)
{
    json_out_key(o, STR("HostConfig"));
    json_out_object(o);
    put(o, "NetworkMode", q->network);
    put_mounts(o, q);
    json_out_key(o, STR("RestartPolicy"));
    json_out_object(o);
    put(o, "Name", q->restart);
    json_out_object_end(o);
    put_compute(o, q->compute);
    if (q->memory > 0) {
        put_number(o, "Memory", q->memory);
    }
    if (q->nano_cpus > 0) {
        put_number(o, "NanoCPUs", q->nano_cpus);
    }
    json_out_object_end(o);
}

/* By its name the app is found on a network of the administrator's. */
static void put_networking(struct json_out *o, const struct deploy_request *q)
{
    static const char *const built_in[] = {"host", "bridge", "none", "default"};
    for (size_t i = 0; i < ARRAY_LEN(built_in); i++) {
        if (str_eq(q->network, str_of(built_in[i]))) {
            return;
        }
    }
    json_out_key(o, STR("NetworkingConfig"));
    json_out_object(o);
    json_out_key(o, STR("EndpointsConfig"));
    json_out_object(o);
    json_out_key(o, q->network);
    json_out_object(o);
    json_out_key(o, STR("Aliases"));
    json_out_array(o);
    json_out_str(o, q->name);
    json_out_array_end(o);
    json_out_object_end(o);
    json_out_object_end(o);
    json_out_object_end(o);
}

/* ---- the app's token ---- */

/* What the start script takes for the tunnel: proxy name = APP_ID, port = APP_PORT. */
static int make_token(const struct deploy *d, char *out)
{
    const struct deploy_request *q = &d->request;
    struct str appid = q->name, text;
    uint16_t port = 0;
    if (deploy_env_find(q, "APP_ID", &text) == 0 && exapp_id_valid(text)) {
        appid = text;
    }
    if (deploy_env_find(q, "APP_PORT", &text) < 0 || value_parse_port(text, &port) < 0 ||
        port < TUNNEL_APP_FIRST || port > TUNNEL_APP_LAST) {
        port = 0;
    }
    return app_token_make(out, str_of(deploy_hub(d)->settings.shared_key), str_of(q->container),
                          appid, port);
}

static bool is_key(struct str entry)
{
    return entry.n >= sizeof(key_name) - 1 && memcmp(entry.p, key_name, sizeof(key_name) - 1) == 0;
}

static int put_env(struct json_out *o, const struct deploy *d)
{
    char entry[sizeof(key_name) + APP_TOKEN_SIZE];
    int rc = 0;
    json_out_key(o, STR("Env"));
    json_out_array(o);
    for (const struct json_node *n = json_first(d->request.env); n && rc == 0; n = json_next(n)) {
        struct str s = deploy_env(n);
        if (is_key(s) && deploy_hub(d)->settings.exapp_tokens) {
            memcpy(entry, key_name, sizeof(key_name));
            rc = make_token(d, entry + sizeof(key_name) - 1);
            s = str_of(entry);
        }
        json_out_str(o, s);
    }
    json_out_array_end(o);
    secret_wipe(entry, sizeof(entry));
    return rc;
}

/* From malloc; NULL: it can't be made. */
static char *container_json(const struct deploy *d, size_t *n)
{
    const struct deploy_request *q = &d->request;
    struct json_out o;
    size_t cap = ROOM;
    for (const struct json_node *e = json_first(q->env); e; e = json_next(e)) {
        cap += GROWTH * (deploy_env(e).n + APP_TOKEN_SIZE);
    }
    cap += json_count(q->mounts) * 2 * GROWTH * (size_t)DEPLOY_PATH_MAX;
    char *text = xmalloc(cap);
    json_out_init(&o, text, cap);
    json_out_object(&o);
    put(&o, "Image", q->image);
    put(&o, "Hostname", q->name);
    put_host_config(&o, q);
    int rc = put_env(&o, d);
    put_labels(&o, d);
    put_networking(&o, q);
    json_out_object_end(&o);
    ssize_t len = json_out_end(&o);
    if (rc < 0 || len < 0) {
        secret_wipe(text, cap);
        free(text);
        return NULL;
    }
    *n = (size_t)len;
    return text;
}

/* ---- steps ---- */

static void answer_conflict(struct deploy *d, const struct engine_answer *a)
{
    deploy_answer_engine(d, 409, a, "Container with name '%s' already exists.",
                         d->request.container);
}

static void created(struct deploy *d, const struct engine_answer *a)
{
    struct json_out o;
    struct str id;
    if (a->status == 409) {
        answer_conflict(d, a);
        return;
    }
    struct json_doc *doc = a->status == 201 ? deploy_json(a) : NULL;
    if (json_str(json_get(json_root(doc), "Id"), &id) < 0) {
        json_free(doc);
        deploy_answer_failed(d, a, "Error creating container '%s'", d->request.container);
        return;
    }
    json_out_init(&o, d->json, sizeof(d->json) - 1);
    json_out_object(&o);
    put(&o, "id", id);
    put(&o, "name", str_of(d->request.container));
    json_out_object_end(&o);
    json_free(doc);
    deploy_answer_json(d, 201, &o);
}

static void create_container(struct deploy *d)
{
    size_t n;
    char *body = container_json(d, &n);
    if (!body) {
        deploy_answer_words(d, 503, "the container's configuration could not be made",
                            "Error creating container '%s'", d->request.container);
        return;
    }
    deploy_ask_body(d, created, HTTP_POST, "application/json", body, n, 1,
                    "/containers/create?name=%s", d->request.container);
}

static void volume_created(struct deploy *d, const struct engine_answer *a)
{
    if (a->status == 201) {
        create_container(d);
    } else {
        deploy_answer_failed(d, a, "Failed to create volume '%s'", d->request.volume);
    }
}

static void create_volume(struct deploy *d)
{
    struct json_out o;
    char *body = xmalloc(ROOM);
    json_out_init(&o, body, ROOM);
    json_out_object(&o);
    put(&o, "Name", str_of(d->request.volume));
    put_labels(&o, d);
    json_out_object_end(&o);
    ssize_t n = json_out_end(&o);
    if (n < 0) {
        free(body);
        deploy_answer_words(d, 503, "the volume's labels could not be made",
                            "Failed to create volume '%s'", d->request.volume);
        return;
    }
    deploy_ask_body(d, volume_created, HTTP_POST, "application/json", body, (size_t)n, 1,
                    "/volumes/create");
}

static void volume_inspected(struct deploy *d, const struct engine_answer *a)
{
    if (a->status == 404) {
        create_volume(d);
    } else {
        create_container(d);
    }
}

/* Before the volume is made for nothing. */
static void container_inspected(struct deploy *d, const struct engine_answer *a)
{
    if (a->status == 404) {
        deploy_inspect_volume(d, volume_inspected);
    } else {
        deploy_answer_words(d, 409, NULL, "Container with name '%s' already exists.",
                            d->request.container);
    }
}

void deploy_create(struct deploy *d)
{
    deploy_inspect_ours(d, container_inspected);
}
