/* What AppAPI may ask of an engine through the hub, from the gate's specification ("what must pass").
 * Whatever else an ExApp needs done, the hub builds itself. */
#include "common/docker/policy.h"

#include "common/docker/reference.h"
#include "common/docker/value.h"

/* Docker puts `tag` in the place of one that fromImage has, Podman behind it. */
static const char *one_tag(const struct docker_call *call)
{
    struct docker_reference ref;
    struct str image, tag;
    bool both = docker_call_param(call, STR("tag"), &tag) &&
                docker_call_param(call, STR("fromImage"), &image) &&
                docker_reference_read(&ref, image) && (ref.tag.n > 0 || ref.digest.n > 0);
    return both ? "parameter tag is not allowed when fromImage has a tag or digest" : NULL;
}

static const struct docker_rule rules[] = {
    {.name = "_ping",
     .path = "_ping",
     .methods = DOCKER_METHOD(HTTP_GET) | DOCKER_METHOD(HTTP_HEAD)},
    {.name = "images/inspect",
     .path = "images/{}/json",
     .methods = DOCKER_METHOD(HTTP_GET),
     .object = &docker_object_image},
    {.name = "images/create",
     .path = "images/create",
     .methods = DOCKER_METHOD(HTTP_POST),
     .answer = DOCKER_ANSWER_STREAM,
     .registry_auth = true,
     .also = one_tag,
     .params = {{.name = "fromImage", .check = docker_value_reference, .required = true},
                {.name = "tag", .check = docker_value_tag},
                {.name = "platform", .check = docker_value_platform}}},
    {.name = "containers/inspect",
     .path = "containers/{}/json",
     .methods = DOCKER_METHOD(HTTP_GET),
     .object = &docker_object_container},
    {.name = "containers/logs",
     .path = "containers/{}/logs",
     .methods = DOCKER_METHOD(HTTP_GET),
     .object = &docker_object_container,
     .params = {{.name = "follow", .check = docker_value_bool, .streams = true},
                {.name = "stdout", .check = docker_value_bool},
                {.name = "stderr", .check = docker_value_bool},
                {.name = "since", .check = docker_value_time},
                {.name = "until", .check = docker_value_time},
                {.name = "timestamps", .check = docker_value_bool},
                {.name = "tail", .check = docker_value_tail}}},
};

const struct docker_policy docker_policy_hub = {rules, ARRAY_LEN(rules), DOCKER_VERSION_MAX};
