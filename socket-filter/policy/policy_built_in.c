/* policy_built_in.c - the policies that need no file. What they are for is told in POLICY.md. */
#include "socket-filter/policy/policies.h"

#include "common/docker/catalogue.h"

#include <stdio.h>

#define WORDS(array)                                                                               \
    {                                                                                              \
        (array), ARRAY_LEN(array)                                                                  \
    }
#define COMMAND(...)                                                                               \
    {                                                                                              \
        .argv = {                                                                                  \
            (const char *const[]){__VA_ARGS__},                                                    \
            sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)                      \
        }                                                                                          \
    }

static const char *const everything[] = {"*"};

/* ---- appapi ---- */

/* What hub/deploy builds, what passes through the hub (common/docker/policy_hub.c), and what AppAPI's mode
 * without a hub sends. */
static const char *const appapi_containers[] = {"nc_app_*"};
static const char *const appapi_volumes[] = {"nc_app_*_data"};
static const char *const loopback[] = {"127.0.0.1", "::1"};
static const char *const appapi_archive[] = {"usr/local/share/ca-certificates",
                                             "etc/pki/ca-trust/source/anchors", "certs/frp"};
static const struct docker_command appapi_commands[] = {
    COMMAND("cat", "/etc/os-release"),
    COMMAND("mkdir", "-p", "/usr/local/share/ca-certificates"),
    COMMAND("mkdir", "-p", "/etc/pki/ca-trust/source/anchors"),
    COMMAND("mkdir", "-p", "/certs/frp"),
    COMMAND("update-ca-certificates"),
    COMMAND("update-ca-trust", "extract"),
};
static const struct docker_grants appapi_grants = {
    .containers = WORDS(appapi_containers),
    .volumes = WORDS(appapi_volumes),
    .images = WORDS(everything),
    .networks = WORDS(everything),
    .publish = WORDS(loopback),
    .archive = WORDS(appapi_archive),
    .commands = appapi_commands,
    .ncommands = ARRAY_LEN(appapi_commands),
    .hide_env = true,
};
static const struct docker_rule *const appapi_rules[] = {
    &docker_rule_ping,
    &docker_rule_version,
    &docker_rule_container_list,
    &docker_rule_container_create,
    &docker_rule_container_inspect,
    &docker_rule_container_logs,
    &docker_rule_container_start,
    &docker_rule_container_stop,
    &docker_rule_container_remove,
    &docker_rule_container_archive,
    &docker_rule_exec_create,
    &docker_rule_exec_start,
    &docker_rule_exec_inspect,
    &docker_rule_image_inspect,
    &docker_rule_image_pull,
    &docker_rule_image_remove,
    &docker_rule_volume_create,
    &docker_rule_volume_inspect,
    &docker_rule_volume_remove,
};

/* ---- those who only look ---- */

static const struct docker_grants reading_grants = {
    .containers = WORDS(everything),
    .volumes = WORDS(everything),
    .images = WORDS(everything),
    .networks = WORDS(everything),
    .hide_env = true,
};

/* No logs: applications write what they like there. */
#define READ_ONLY                                                                                  \
    &docker_rule_ping, &docker_rule_version, &docker_rule_info, &docker_rule_disk_usage,           \
        &docker_rule_events, &docker_rule_container_list, &docker_rule_container_inspect,          \
        &docker_rule_container_top, &docker_rule_container_changes, &docker_rule_image_list,       \
        &docker_rule_image_inspect, &docker_rule_image_history, &docker_rule_volume_list,          \
        &docker_rule_volume_inspect, &docker_rule_network_list, &docker_rule_network_inspect,      \
        &docker_rule_service_list, &docker_rule_task_list, &docker_rule_node_list

static const struct docker_rule *const read_only_rules[] = {READ_ONLY};
static const struct docker_rule *const portainer_rules[] = {READ_ONLY, &docker_rule_container_logs,
                                                            &docker_rule_container_stats};

static const struct docker_grants traefik_grants = {.containers = WORDS(everything),
                                                    .hide_env = true};
static const struct docker_rule *const traefik_rules[] = {
    &docker_rule_ping,           &docker_rule_version,           &docker_rule_events,
    &docker_rule_container_list, &docker_rule_container_inspect, &docker_rule_network_list,
    &docker_rule_service_list,   &docker_rule_task_list,         &docker_rule_node_list,
};

/* ---- all ---- */

#define POLICY(table, lists)                                                                       \
    {                                                                                              \
        .rules = (table), .count = ARRAY_LEN(table), .version_max = DOCKER_VERSION_MAX,            \
        .grants = &(lists), .looks_up = true,                                                      \
    }

static const struct docker_policy appapi = POLICY(appapi_rules, appapi_grants);
static const struct docker_policy read_only = POLICY(read_only_rules, reading_grants);
static const struct docker_policy traefik = POLICY(traefik_rules, traefik_grants);
static const struct docker_policy portainer = POLICY(portainer_rules, reading_grants);

const struct named_policy policies_built_in[] = {
    {"appapi", "What harp-hub, and AppAPI without a hub, ask to run ExApps.", &appapi},
    {"read-only", "What monitors ask: lists and details of everything, but no logs.", &read_only},
    {"traefik", "What Traefik asks to find containers and services.", &traefik},
    {"portainer-read", "What Portainer asks to look around: read-only, with logs and statistics.",
     &portainer},
    {NULL, NULL, NULL},
};
