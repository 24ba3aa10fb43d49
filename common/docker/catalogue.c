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
    .params = {{.name = "follow", .check = docker_value_bool, .streams = true},
               {.name = "stdout", .check = docker_value_bool},
               {.name = "stderr", .check = docker_value_bool},
               {.name = "since", .check = docker_value_time},
               {.name = "until", .check = docker_value_time},
               {.name = "timestamps", .check = docker_value_bool},
               {.name = "tail", .check = docker_value_tail}}};

/* The engine itself. */
static const struct docker_rule version = {.name = "version", .path = "version", .methods = GET};
static const struct docker_rule info = {.name = "info", .path = "info", .methods = GET};
static const struct docker_rule disk_usage = {
    .name = "system/df",
    .path = "system/df",
    .methods = GET,
    .answer = DOCKER_ANSWER_SLOW,
    .params = {{.name = "type", .check = docker_value_any},
               {.name = "verbose", .check = docker_value_bool}}};
static const struct docker_rule events = {
    .name = "events",
    .path = "events",
    .methods = GET,
    .answer = DOCKER_ANSWER_STREAM,
    .params = {{.name = "since", .check = docker_value_any},
               {.name = "until", .check = docker_value_any},
               {.name = "filters", .check = docker_value_any}}};

/* Containers. */
static const struct docker_rule container_list = {
    .name = "containers/list",
    .path = "containers/json",
    .methods = GET,
    .params = {{.name = "all", .check = docker_value_bool},
               {.name = "limit", .check = docker_value_number},
               {.name = "size", .check = docker_value_bool},
               {.name = "filters", .check = docker_value_any}}};
static const struct docker_rule container_create = {
    .name = "containers/create",
    .path = "containers/create",
    .methods = POST,
    .answer = DOCKER_ANSWER_SLOW,
    .body = DOCKER_BODY_CONTAINER,
    .also = name_granted,
    .params = {{.name = "name", .check = docker_value_name, .required = true},
               {.name = "platform", .check = docker_value_platform}}};
static const struct docker_rule container_top = {
    .name = "containers/top",
    .path = "containers/{}/top",
    .methods = GET,
    .object = &docker_object_container,
    .params = {{.name = "ps_args", .check = docker_value_any}}};
static const struct docker_rule container_changes = {.name = "containers/changes",
                                                     .path = "containers/{}/changes",
                                                     .methods = GET,
                                                     .object = &docker_object_container,
                                                     .answer = DOCKER_ANSWER_SLOW};
static const struct docker_rule container_stats = {
    .name = "containers/stats",
    .path = "containers/{}/stats",
    .methods = GET,
    .object = &docker_object_container,
    .answer = DOCKER_ANSWER_STREAM,
    .params = {{.name = "stream", .check = docker_value_bool},
               {.name = "one-shot", .check = docker_value_bool}}};
static const struct docker_rule container_start = {.name = "containers/start",
                                                   .path = "containers/{}/start",
                                                   .methods = POST,
                                                   .object = &docker_object_container,
                                                   .answer = DOCKER_ANSWER_SLOW};
static const struct docker_rule container_stop = {
    .name = "containers/stop",
    .path = "containers/{}/stop",
    .methods = POST,
    .object = &docker_object_container,
    .answer = DOCKER_ANSWER_SLOW,
    .params = {{.name = "t", .check = docker_value_number},
               {.name = "signal", .check = docker_value_signal}}};
static const struct docker_rule container_restart = {
    .name = "containers/restart",
    .path = "containers/{}/restart",
    .methods = POST,
    .object = &docker_object_container,
    .answer = DOCKER_ANSWER_SLOW,
    .params = {{.name = "t", .check = docker_value_number},
               {.name = "signal", .check = docker_value_signal}}};
static const struct docker_rule container_kill = {
    .name = "containers/kill",
    .path = "containers/{}/kill",
    .methods = POST,
    .object = &docker_object_container,
    .params = {{.name = "signal", .check = docker_value_signal}}};
static const struct docker_rule container_pause = {.name = "containers/pause",
                                                   .path = "containers/{}/pause",
                                                   .methods = POST,
                                                   .object = &docker_object_container};
static const struct docker_rule container_unpause = {.name = "containers/unpause",
                                                     .path = "containers/{}/unpause",
                                                     .methods = POST,
                                                     .object = &docker_object_container};
static const struct docker_rule container_wait = {
    .name = "containers/wait",
    .path = "containers/{}/wait",
    .methods = POST,
    .object = &docker_object_container,
    .answer = DOCKER_ANSWER_STREAM,
    .params = {{.name = "condition", .check = docker_value_signal}}};
static const struct docker_rule container_remove = {
    .name = "containers/remove",
    .path = "containers/{}",
    .methods = DELETE,
    .object = &docker_object_container,
    .answer = DOCKER_ANSWER_SLOW,
    .params = {{.name = "force", .check = docker_value_bool},
               {.name = "v", .check = docker_value_bool},
               {.name = "link", .check = docker_value_false}}};
static const struct docker_rule container_archive = {
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
static const struct docker_rule exec_create = {.name = "containers/exec",
                                               .path = "containers/{}/exec",
                                               .methods = POST,
                                               .object = &docker_object_container,
                                               .body = DOCKER_BODY_EXEC};
static const struct docker_rule exec_start = {.name = "exec/start",
                                              .path = "exec/{}/start",
                                              .methods = POST,
                                              .object = &docker_object_exec,
                                              .answer = DOCKER_ANSWER_STREAM,
                                              .body = DOCKER_BODY_EXEC_START,
                                              .upgrade = true};
static const struct docker_rule exec_inspect = {
    .name = "exec/inspect", .path = "exec/{}/json", .methods = GET, .object = &docker_object_exec};

/* Images. */
static const struct docker_rule image_list = {
    .name = "images/list",
    .path = "images/json",
    .methods = GET,
    .params = {{.name = "all", .check = docker_value_bool},
               {.name = "digests", .check = docker_value_bool},
               {.name = "shared-size", .check = docker_value_bool},
               {.name = "manifests", .check = docker_value_bool},
               {.name = "filters", .check = docker_value_any}}};
static const struct docker_rule image_history = {.name = "images/history",
                                                 .path = "images/{}/history",
                                                 .methods = GET,
                                                 .object = &docker_object_image};
static const struct docker_rule image_remove = {
    .name = "images/remove",
    .path = "images/{}",
    .methods = DELETE,
    .object = &docker_object_image,
    .answer = DOCKER_ANSWER_SLOW,
    .params = {{.name = "force", .check = docker_value_false},
               {.name = "noprune", .check = docker_value_bool}}};

/* Volumes and networks. */
static const struct docker_rule volume_list = {
    .name = "volumes/list",
    .path = "volumes",
    .methods = GET,
    .params = {{.name = "filters", .check = docker_value_any}}};
static const struct docker_rule volume_create = {.name = "volumes/create",
                                                 .path = "volumes/create",
                                                 .methods = POST,
                                                 .body = DOCKER_BODY_VOLUME};
static const struct docker_rule volume_inspect = {.name = "volumes/inspect",
                                                  .path = "volumes/{}",
                                                  .methods = GET,
                                                  .object = &docker_object_volume};
static const struct docker_rule volume_remove = {
    .name = "volumes/remove",
    .path = "volumes/{}",
    .methods = DELETE,
    .object = &docker_object_volume,
    .answer = DOCKER_ANSWER_SLOW,
    .body = DOCKER_BODY_DROPPED,
    .params = {{.name = "force", .check = docker_value_bool}}};
static const struct docker_rule network_list = {
    .name = "networks/list",
    .path = "networks",
    .methods = GET,
    .params = {{.name = "filters", .check = docker_value_any}}};
static const struct docker_rule network_inspect = {
    .name = "networks/inspect",
    .path = "networks/{}",
    .methods = GET,
    .object = &docker_object_network,
    .params = {{.name = "verbose", .check = docker_value_bool},
               {.name = "scope", .check = docker_value_signal}}};

/* What a swarm's manager tells. */
static const struct docker_rule service_list = {
    .name = "services/list",
    .path = "services",
    .methods = GET,
    .tells_env = true,
    .params = {{.name = "filters", .check = docker_value_any},
               {.name = "status", .check = docker_value_bool}}};
static const struct docker_rule task_list = {
    .name = "tasks/list",
    .path = "tasks",
    .methods = GET,
    .tells_env = true,
    .params = {{.name = "filters", .check = docker_value_any}}};
static const struct docker_rule node_list = {
    .name = "nodes/list",
    .path = "nodes",
    .methods = GET,
    .params = {{.name = "filters", .check = docker_value_any}}};

static const struct docker_rule *const rules[] = {
    &docker_rule_ping,
    &version,
    &info,
    &disk_usage,
    &events,
    &container_list,
    &container_create,
    &docker_rule_container_inspect,
    &docker_rule_container_logs,
    &container_top,
    &container_changes,
    &container_stats,
    &container_start,
    &container_stop,
    &container_restart,
    &container_kill,
    &container_pause,
    &container_unpause,
    &container_wait,
    &container_remove,
    &container_archive,
    &exec_create,
    &exec_start,
    &exec_inspect,
    &image_list,
    &docker_rule_image_inspect,
    &image_history,
    &docker_rule_image_pull,
    &image_remove,
    &volume_list,
    &volume_create,
    &volume_inspect,
    &volume_remove,
    &network_list,
    &network_inspect,
    &service_list,
    &task_list,
    &node_list,
};

static const struct docker_grants nothing;

const struct docker_policy docker_catalogue = {.rules = rules,
                                               .count = ARRAY_LEN(rules),
                                               .version_max = DOCKER_VERSION_MAX,
                                               .grants = &nothing};

/* ---- texts ---- */

static const char *method_text(unsigned methods)
{
    return methods & GET ? "GET" : methods & POST ? "POST" : methods & PUT ? "PUT" : "DELETE";
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
