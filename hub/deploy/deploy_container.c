/* deploy_container.c - exists, start, stop, remove, image_remove. */
#include <stdio.h>

#include "hub/deploy/deploy_impl.h"

/* ---- exists ---- */

/* What AppAPI removes the image by, later. Podman has it one level higher. */
static int read_image(const struct json_node *root, struct str *image)
{
    return json_str(json_get(json_get(root, "Config"), "Image"), image) == 0 ||
                   json_str(json_get(root, "Image"), image) == 0
               ? 0
               : -1;
}

static void exists_answered(struct deploy *d, const struct engine_answer *a)
{
    struct json_out o;
    struct str image = {"", 0};
    struct json_doc *doc = a->status == 200 ? deploy_json(a) : NULL;
    if (a->status != 404 && read_image(json_root(doc), &image) < 0) {
        json_free(doc);
        deploy_answer_failed(d, a, "Error communicating with Docker Engine");
        return;
    }
    json_out_init(&o, d->json, sizeof(d->json) - 1);
    json_out_object(&o);
    json_out_key(&o, STR("exists"));
    json_out_bool(&o, a->status == 200);
    if (a->status == 200) {
        json_out_key(&o, STR("image_ref"));
        json_out_str(&o, image);
    }
    json_out_object_end(&o);
    json_free(doc);
    deploy_answer_json(d, 200, &o);
}

void deploy_exists(struct deploy *d)
{
    deploy_inspect(d, exists_answered);
}

/* ---- start, stop ---- */

/* It was there a moment ago: the 404 may be about something that it needs, as its network. */
static bool container_missing(const struct engine_answer *a)
{
    static const char words[] = "o such container";
    return a->status == 404 && a->body.n > 0 &&
           memmem(a->body.p, a->body.n, words, sizeof(words) - 1);
}

/* The two differ in words alone. */
struct change {
    const char *call, *doing, *already;
};

static const struct change *change_of(const struct deploy *d)
{
    static const struct change start = {"start", "starting", "Container already started"};
    static const struct change stop = {"stop", "stopping", "Container already stopped"};
    return d->request.kind == DEPLOY_START ? &start : &stop;
}

static void changed(struct deploy *d, const struct engine_answer *a)
{
    const struct change *c = change_of(d);
    if (a->status == 204) {
        deploy_answer(d, 204);
    } else if (a->status == 304) {
        deploy_answer_words(d, 200, NULL, "%s", c->already);
    } else if (container_missing(a)) {
        deploy_answer_missing(d);
    } else {
        deploy_answer_failed(d, a, "Error %s container '%s'", c->doing, d->request.container);
    }
}

static void change_inspected(struct deploy *d, const struct engine_answer *a)
{
    if (a->status == 404) {
        deploy_answer_missing(d);
    } else {
        deploy_ask(d, changed, HTTP_POST, "/containers/%s/%s", d->request.container,
                   change_of(d)->call);
    }
}

void deploy_change(struct deploy *d)
{
    deploy_inspect_ours(d, change_inspected);
}

/* ---- remove ---- */

static void volume_removed(struct deploy *d, const struct engine_answer *a)
{
    if (a->status == 204 || a->status == 404) {
        deploy_answer(d, 204);
    } else if (a->status == 409) {
        deploy_answer_engine(d, 409, a, "Volume '%s' is in use and could not be removed.",
                             d->request.volume);
    } else {
        deploy_answer_failed(d, a, "Error removing volume '%s' via Docker Engine",
                             d->request.volume);
    }
}

static void volume_inspected(struct deploy *d, const struct engine_answer *a)
{
    if (a->status == 404) {
        deploy_answer(d, 204);
    } else {
        deploy_ask(d, volume_removed, HTTP_DELETE, "/volumes/%s", d->request.volume);
    }
}

static void remove_data(struct deploy *d)
{
    if (d->request.remove_data) {
        deploy_inspect_volume(d, volume_inspected);
    } else {
        deploy_answer(d, 204);
    }
}

static void container_removed(struct deploy *d, const struct engine_answer *a)
{
    /* 409: somebody else is removing it just now. */
    if (a->status == 204 || a->status == 404 || a->status == 409) {
        remove_data(d);
    } else {
        deploy_answer_failed(d, a, "Error removing container '%s'", d->request.container);
    }
}

static void remove_inspected(struct deploy *d, const struct engine_answer *a)
{
    if (a->status == 404) {
        remove_data(d);
    } else {
        deploy_ask(d, container_removed, HTTP_DELETE, "/containers/%s?force=true",
                   d->request.container);
    }
}

void deploy_remove(struct deploy *d)
{
    deploy_inspect_ours(d, remove_inspected);
}

/* ---- image_remove ---- */

static void image_answer(struct deploy *d, bool deleted, int64_t bytes, const char *reason)
{
    struct json_out o;
    json_out_init(&o, d->json, sizeof(d->json) - 1);
    json_out_object(&o);
    json_out_key(&o, STR("deleted"));
    json_out_bool(&o, deleted);
    if (deleted) {
        json_out_key(&o, STR("bytes_freed"));
        json_out_int(&o, bytes);
    }
    if (reason) {
        json_out_key(&o, STR("reason"));
        json_out_str(&o, str_of(reason));
    }
    json_out_object_end(&o);
    deploy_answer_json(d, 200, &o);
}

/* Another name of the image may go only, and then no memory is free. */
static bool layers_went(const struct json_node *list)
{
    for (const struct json_node *n = json_first(list); n; n = json_next(n)) {
        if (json_get(n, "Deleted")) {
            return true;
        }
    }
    return false;
}

static void image_removed(struct deploy *d, const struct engine_answer *a)
{
    if (a->status == 200) {
        struct json_doc *doc = deploy_json(a);
        int64_t bytes = layers_went(json_root(doc)) ? d->bytes : 0;
        json_free(doc);
        image_answer(d, true, bytes, NULL);
    } else if (a->status == 404) {
        image_answer(d, true, 0, "not_found");
    } else if (a->status == 409) {
        image_answer(d, false, 0, "in_use");
    } else {
        deploy_answer_failed(d, a, "Error removing image '%.*s' via Docker Engine",
                             (int)MIN(d->request.image.n, 256U), d->request.image.p);
    }
}

static void image_inspected(struct deploy *d, const struct engine_answer *a)
{
    if (a->status == 404) {
        image_answer(d, true, 0, "not_found");
        return;
    }
    if (a->status == 0) {
        deploy_answer_failed(d, a, "Error inspecting image");
        return;
    }
    struct json_doc *doc = a->status == 200 ? deploy_json(a) : NULL;
    if (json_int(json_get(json_root(doc), "Size"), &d->bytes) < 0) {
        d->bytes = 0;
    }
    json_free(doc);
    deploy_ask_body(d, image_removed, HTTP_DELETE, NULL, NULL, 0, DEPLOY_SLOW, "/images/%.*s",
                    STR_ARG(d->request.image));
}

void deploy_image_remove(struct deploy *d)
{
    deploy_ask(d, image_inspected, HTTP_GET, "/images/%.*s/json", STR_ARG(d->request.image));
}
