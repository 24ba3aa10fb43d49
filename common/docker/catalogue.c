#include "common/docker/catalogue.h"

#include "common/docker/reference.h"
#include "common/docker/value.h"

#include <stdio.h>

#define GET DOCKER_METHOD(HTTP_GET)
#define POST DOCKER_METHOD(HTTP_POST)
#define PUT DOCKER_METHOD(HTTP_PUT)
#define DELETE DOCKER_METHOD(HTTP_DELETE)

/* ---- what concerns a call's parameters together ---- */

/* Docker puts `tag` in the place of one that fromImage has, Podman behind it. */
static int pull_granted(const struct docker_grants *grants, const struct docker_call *call,
                        struct docker_verdict *v)
{
    struct docker_reference ref;
    struct str image = STR(""), tag;
    char text[sizeof(v->why)];
    bool read =
        docker_call_param(call, STR("fromImage"), &image) && docker_reference_read(&ref, image);
    if (read && docker_call_param(call, STR("tag"), &tag) && (ref.tag.n > 0 || ref.digest.n > 0)) {
        return docker_refuse(v, DOCKER_FAULT_NEVER, STR(""),
                             "parameter tag is not allowed when fromImage has a tag or digest");
    }
    const char *why = docker_image_granted(grants, image);
    if (!why) {
        return 0;
    }
    snprintf(text, sizeof(text), "image %s", why);
    return docker_refuse(v, DOCKER_FAULT_IMAGE, image, text);
}

static int name_granted(const struct docker_grants *grants, const struct docker_call *call,
                        struct docker_verdict *v)
{
    struct str name = STR("");
    bool given = docker_call_param(call, STR("name"), &name);
    if (!given || !docker_words_match(grants->containers, name)) {
        return docker_refuse(v, DOCKER_FAULT_CONTAINER, name,
                             "container name is not one that the policy lists");
    }
    if (docker_hex_valid(name)) {
        return docker_refuse(v, DOCKER_FAULT_NEVER, STR(""),
                             "container name may be the beginning of an id");
    }
    return 0;
}

/* {"label":["harp.instance=0123..."]}: the containers of one Nextcloud, as a hub counts them. */
static bool of_one_instance(struct str filters)
{
    static const struct str head = {"{\"label\":[\"harp.instance=", 25}, tail = {"\"]}", 3};
    struct str id = {filters.p + head.n, 32};
    return filters.n == head.n + id.n + tail.n && memcmp(filters.p, head.p, head.n) == 0 &&
           memcmp(id.p + id.n, tail.p, tail.n) == 0 && docker_hex_valid(id);
}

/* A list tells names, labels and commands of all containers of the host. */
static int list_granted(const struct docker_grants *grants, const struct docker_call *call,
                        struct docker_verdict *v)
{
    struct str filters;
    if (docker_words_all(grants->containers) ||
        (docker_call_param(call, STR("filters"), &filters) && of_one_instance(filters))) {
        return 0;
    }
    return docker_refuse(
        v, DOCKER_FAULT_NEVER, STR(""),
        "a list of all containers needs a policy for all of them; those of a hub are "
        "listed by its label harp.instance alone");
}

/* ---- the calls ---- */

const struct docker_rule docker_rule_ping = {
    .name = "_ping", .path = "_ping", .methods = GET | DOCKER_METHOD(HTTP_HEAD)};

const struct docker_rule docker_rule_image_inspect = {.name = "images/inspect",
                                                      .path = "images/{}/json",
                                                      .methods = GET,
                                                      .object = &docker_object_image};

const struct docker_rule docker_rule_image_pull = {
    .name = "images/create",
    .path = "images/create",
    .methods = POST,
    .answer = DOCKER_ANSWER_STREAM,
    .registry_auth = true,
    .also = pull_granted,
    .params = {{.name = "fromImage", .check = docker_value_reference, .required = true},
               {.name = "tag", .check = docker_value_tag},
               {.name = "platform", .check = docker_value_platform}}};

const struct docker_rule docker_rule_container_inspect = {.name = "containers/inspect",
                                                          .path = "containers/{}/json",
                                                          .methods = GET,
                                                          .object = &docker_object_container,
                                                          .tells_env = true};

const struct docker_rule docker_rule_container_logs = {
    .name = "containers/logs",
    .path = "containers/{}/logs",
    .methods = GET,
    .object = &docker_object_container,
    .large = true,
    .params = {{.name = "follow", .check = docker_value_bool, .streams = true},
               {.name = "stdout", .check = docker_value_bool},
               {.name = "stderr", .check = docker_value_bool},
               {.name = "since", .check = docker_value_time},
               {.name = "until", .check = docker_value_time},
               {.name = "timestamps", .check = docker_value_bool},
               {.name = "tail", .check = docker_value_tail}}};

/* The engine itself. */
const struct docker_rule docker_rule_version = {
    .name = "version", .path = "version", .methods = GET};
const struct docker_rule docker_rule_info = {.name = "info", .path = "info", .methods = GET};
const struct docker_rule docker_rule_disk_usage = {
    .name = "system/df",
    .path = "system/df",
    .methods = GET,
    .answer = DOCKER_ANSWER_SLOW,
    .params = {{.name = "type", .check = docker_value_any},
               {.name = "verbose", .check = docker_value_bool}}};
const struct docker_rule docker_rule_events = {
    .name = "events",
    .path = "events",
    .methods = GET,
    .answer = DOCKER_ANSWER_STREAM,
    .params = {{.name = "since", .check = docker_value_any},
               {.name = "until", .check = docker_value_any},
               {.name = "filters", .check = docker_value_any}}};

/* Containers. */
const struct docker_rule docker_rule_container_list = {
    .name = "containers/list",
    .path = "containers/json",
    .methods = GET,
    .also = list_granted,
    .params = {{.name = "all", .check = docker_value_bool},
               {.name = "limit", .check = docker_value_number},
               {.name = "size", .check = docker_value_bool},
               {.name = "filters", .check = docker_value_any}}};
const struct docker_rule docker_rule_container_create = {
    .name = "containers/create",
    .path = "containers/create",
    .methods = POST,
    .answer = DOCKER_ANSWER_SLOW,
    .body = DOCKER_BODY_CONTAINER,
    .also = name_granted,
    .params = {{.name = "name", .check = docker_value_name, .required = true},
               {.name = "platform", .check = docker_value_platform}}};
const struct docker_rule docker_rule_container_top = {
    .name = "containers/top",
    .path = "containers/{}/top",
    .methods = GET,
    .object = &docker_object_container,
    .params = {{.name = "ps_args", .check = docker_value_any}}};
const struct docker_rule docker_rule_container_changes = {.name = "containers/changes",
                                                          .path = "containers/{}/changes",
                                                          .methods = GET,
                                                          .object = &docker_object_container,
                                                          .answer = DOCKER_ANSWER_SLOW};
const struct docker_rule docker_rule_container_stats = {
    .name = "containers/stats",
    .path = "containers/{}/stats",
    .methods = GET,
    .object = &docker_object_container,
    .answer = DOCKER_ANSWER_STREAM,
    .params = {{.name = "stream", .check = docker_value_bool},
               {.name = "one-shot", .check = docker_value_bool}}};
const struct docker_rule docker_rule_container_start = {.name = "containers/start",
                                                        .path = "containers/{}/start",
                                                        .methods = POST,
                                                        .object = &docker_object_container,
                                                        .answer = DOCKER_ANSWER_SLOW};
const struct docker_rule docker_rule_container_stop = {
    .name = "containers/stop",
    .path = "containers/{}/stop",
    .methods = POST,
    .object = &docker_object_container,
    .answer = DOCKER_ANSWER_SLOW,
    .params = {{.name = "t", .check = docker_value_number},
               {.name = "signal", .check = docker_value_signal}}};
const struct docker_rule docker_rule_container_restart = {
    .name = "containers/restart",
    .path = "containers/{}/restart",
    .methods = POST,
    .object = &docker_object_container,
    .answer = DOCKER_ANSWER_SLOW,
    .params = {{.name = "t", .check = docker_value_number},
               {.name = "signal", .check = docker_value_signal}}};
const struct docker_rule docker_rule_container_kill = {
    .name = "containers/kill",
    .path = "containers/{}/kill",
    .methods = POST,
    .object = &docker_object_container,
    .params = {{.name = "signal", .check = docker_value_signal}}};
const struct docker_rule docker_rule_container_pause = {.name = "containers/pause",
                                                        .path = "containers/{}/pause",
                                                        .methods = POST,
                                                        .object = &docker_object_container};
const struct docker_rule docker_rule_container_unpause = {.name = "containers/unpause",
                                                          .path = "containers/{}/unpause",
                                                          .methods = POST,
                                                          .object = &docker_object_container};
const struct docker_rule docker_rule_container_wait = {
    .name = "containers/wait",
    .path = "containers/{}/wait",
    .methods = POST,
    .object = &docker_object_container,
    .answer = DOCKER_ANSWER_STREAM,
    .params = {{.name = "condition", .check = docker_value_signal}}};
const struct docker_rule docker_rule_container_remove = {
    .name = "containers/remove",
    .path = "containers/{}",
    .methods = DELETE,
    .object = &docker_object_container,
    .answer = DOCKER_ANSWER_SLOW,
    .params = {{.name = "force", .check = docker_value_bool},
               {.name = "v", .check = docker_value_bool},
               {.name = "link", .check = docker_value_false}}};
const struct docker_rule docker_rule_container_archive = {
    .name = "containers/archive",
    .path = "containers/{}/archive",
    .methods = PUT,
    .object = &docker_object_container,
    .answer = DOCKER_ANSWER_SLOW,
    .body = DOCKER_BODY_ARCHIVE,
    .params = {{.name = "path", .check = docker_value_root, .required = true},
               {.name = "noOverwriteDirNonDir", .check = docker_value_bool},
               {.name = "copyUIDGID", .check = docker_value_false}}};

/* Commands in containers. */
const struct docker_rule docker_rule_exec_create = {.name = "containers/exec",
                                                    .path = "containers/{}/exec",
                                                    .methods = POST,
                                                    .object = &docker_object_container,
                                                    .body = DOCKER_BODY_EXEC};
const struct docker_rule docker_rule_exec_start = {.name = "exec/start",
                                                   .path = "exec/{}/start",
                                                   .methods = POST,
                                                   .object = &docker_object_exec,
                                                   .answer = DOCKER_ANSWER_STREAM,
                                                   .body = DOCKER_BODY_EXEC_START,
                                                   .upgrade = true};
const struct docker_rule docker_rule_exec_inspect = {
    .name = "exec/inspect", .path = "exec/{}/json", .methods = GET, .object = &docker_object_exec};

/* Images. */
const struct docker_rule docker_rule_image_list = {
    .name = "images/list",
    .path = "images/json",
    .methods = GET,
    .params = {{.name = "all", .check = docker_value_bool},
               {.name = "digests", .check = docker_value_bool},
               {.name = "shared-size", .check = docker_value_bool},
               {.name = "manifests", .check = docker_value_bool},
               {.name = "filters", .check = docker_value_any}}};
const struct docker_rule docker_rule_image_history = {.name = "images/history",
                                                      .path = "images/{}/history",
                                                      .methods = GET,
                                                      .object = &docker_object_image};
const struct docker_rule docker_rule_image_remove = {
    .name = "images/remove",
    .path = "images/{}",
    .methods = DELETE,
    .object = &docker_object_image,
    .answer = DOCKER_ANSWER_SLOW,
    .params = {{.name = "force", .check = docker_value_false},
               {.name = "noprune", .check = docker_value_bool}}};

/* Volumes and networks. */
const struct docker_rule docker_rule_volume_list = {
    .name = "volumes/list",
    .path = "volumes",
    .methods = GET,
    .params = {{.name = "filters", .check = docker_value_any}}};
const struct docker_rule docker_rule_volume_create = {.name = "volumes/create",
                                                      .path = "volumes/create",
                                                      .methods = POST,
                                                      .body = DOCKER_BODY_VOLUME};
const struct docker_rule docker_rule_volume_inspect = {.name = "volumes/inspect",
                                                       .path = "volumes/{}",
                                                       .methods = GET,
                                                       .object = &docker_object_volume};
const struct docker_rule docker_rule_volume_remove = {
    .name = "volumes/remove",
    .path = "volumes/{}",
    .methods = DELETE,
    .object = &docker_object_volume,
    .answer = DOCKER_ANSWER_SLOW,
    .body = DOCKER_BODY_DROPPED,
    .params = {{.name = "force", .check = docker_value_bool}}};
const struct docker_rule docker_rule_network_list = {
    .name = "networks/list",
    .path = "networks",
    .methods = GET,
    .params = {{.name = "filters", .check = docker_value_any}}};
const struct docker_rule docker_rule_network_inspect = {
    .name = "networks/inspect",
    .path = "networks/{}",
    .methods = GET,
    .object = &docker_object_network,
    .params = {{.name = "verbose", .check = docker_value_bool},
               {.name = "scope", .check = docker_value_signal}}};

/* What a swarm's manager tells. */
const struct docker_rule docker_rule_service_list = {
    .name = "services/list",
    .path = "services",
    .methods = GET,
    .tells_env = true,
    .params = {{.name = "filters", .check = docker_value_any},
               {.name = "status", .check = docker_value_bool}}};
const struct docker_rule docker_rule_task_list = {
    .name = "tasks/list",
    .path = "tasks",
    .methods = GET,
    .tells_env = true,
    .params = {{.name = "filters", .check = docker_value_any}}};
const struct docker_rule docker_rule_node_list = {
    .name = "nodes/list",
    .path = "nodes",
    .methods = GET,
    .params = {{.name = "filters", .check = docker_value_any}}};

static const struct docker_rule *const rules[] = {
    &docker_rule_ping,
    &docker_rule_version,
    &docker_rule_info,
    &docker_rule_disk_usage,
    &docker_rule_events,
    &docker_rule_container_list,
    &docker_rule_container_create,
    &docker_rule_container_inspect,
    &docker_rule_container_logs,
    &docker_rule_container_top,
    &docker_rule_container_changes,
    &docker_rule_container_stats,
    &docker_rule_container_start,
    &docker_rule_container_stop,
    &docker_rule_container_restart,
    &docker_rule_container_kill,
    &docker_rule_container_pause,
    &docker_rule_container_unpause,
    &docker_rule_container_wait,
    &docker_rule_container_remove,
    &docker_rule_container_archive,
    &docker_rule_exec_create,
    &docker_rule_exec_start,
    &docker_rule_exec_inspect,
    &docker_rule_image_list,
    &docker_rule_image_inspect,
    &docker_rule_image_history,
    &docker_rule_image_pull,
    &docker_rule_image_remove,
    &docker_rule_volume_list,
    &docker_rule_volume_create,
    &docker_rule_volume_inspect,
    &docker_rule_volume_remove,
    &docker_rule_network_list,
    &docker_rule_network_inspect,
    &docker_rule_service_list,
    &docker_rule_task_list,
    &docker_rule_node_list,
};

static const struct docker_grants nothing;

const struct docker_policy docker_catalogue = {.rules = rules,
                                               .count = ARRAY_LEN(rules),
                                               .version_max = DOCKER_VERSION_MAX,
                                               .grants = &nothing};

/* ---- texts ---- */

static const char *method_text(unsigned methods)
{
    return methods & GET      ? "GET"
           : methods & POST   ? "POST"
           : methods & PUT    ? "PUT"
           : methods & DELETE ? "DELETE"
                              : "HEAD";
}

const char *docker_rule_text(const struct docker_rule *rule, char *buf)
{
    const char *hole = strstr(rule->path, "{}");
    if (hole) {
        snprintf(buf, DOCKER_RULE_TEXT_MAX, "%s %.*s{%s}%s", method_text(rule->methods),
                 (int)(hole - rule->path), rule->path, rule->object->what, hole + 2);
    } else {
        snprintf(buf, DOCKER_RULE_TEXT_MAX, "%s %s", method_text(rule->methods), rule->path);
    }
    return buf;
}

const struct docker_rule *docker_rule_find(struct str text)
{
    char buf[DOCKER_RULE_TEXT_MAX];
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (str_eq(str_of(docker_rule_text(rules[i], buf)), text)) {
            return rules[i];
        }
    }
    return NULL;
}
