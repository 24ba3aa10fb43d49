/* deploy_owner.c - looks at a container or a volume before it is touched: is it there, and whose is it. */
#include <ctype.h>

#include "hub/deploy/deploy_impl.h"
#include "hub/hub.h"

void deploy_inspect(struct deploy *d, deploy_step *step)
{
    deploy_ask(d, step, HTTP_GET, "/containers/%s/json", d->request.container);
}

/* Goes on with d->then if it is there and not another hub's. Without labels that can be read nobody knows
 * whose it is. holder: the object that has them. */
static void judge(struct deploy *d, const struct engine_answer *a, const struct json_node *holder,
                  const char *what, const char *name)
{
    const struct json_node *labels = json_get(holder, "Labels");
    if (json_type(holder) != JSON_OBJECT || !instance_labels_valid(labels)) {
        deploy_answer_failed(d, a, "Error inspecting %s '%s'", what, name);
    } else if (!instance_is_ours(labels, deploys_instance(d->list),
                                 deploy_hub(d)->settings.instance_aliases)) {
        char why[DEPLOY_TEXT_MAX];
        deploy_answer_words(d, 409, instance_reason(labels, why, sizeof(why)),
                            "%c%s '%s' is not this hub's.", toupper((unsigned char)*what), what + 1,
                            name);
    } else {
        d->then(d, a);
    }
}

static void container_inspected(struct deploy *d, const struct engine_answer *a)
{
    if (a->status == 404) {
        d->then(d, a);
        return;
    }
    struct json_doc *doc = a->status == 200 ? deploy_json(a) : NULL;
    judge(d, a, json_get(json_root(doc), "Config"), "container", d->request.container);
    json_free(doc);
}

void deploy_inspect_ours(struct deploy *d, deploy_step *step)
{
    d->then = step;
    deploy_inspect(d, container_inspected);
}

static void volume_inspected(struct deploy *d, const struct engine_answer *a)
{
    if (a->status == 404) {
        d->then(d, a);
        return;
    }
    struct json_doc *doc = a->status == 200 ? deploy_json(a) : NULL;
    judge(d, a, json_root(doc), "volume", d->request.volume);
    json_free(doc);
}

void deploy_inspect_volume(struct deploy *d, deploy_step *step)
{
    d->then = step;
    deploy_ask(d, volume_inspected, HTTP_GET, "/volumes/%s", d->request.volume);
}

void deploy_answer_missing(struct deploy *d)
{
    deploy_answer_words(d, 404, NULL, "Container '%s' not found.", d->request.container);
}
