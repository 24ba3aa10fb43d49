/* catalogue.h - all calls of the Docker API that can be judged as to their parameters and bodies. A policy
 * takes from here what it lets pass.
 *
 * Constant data. A rule's text is how policies' files name it: its first method, and its path with the
 * object's kind in braces: "GET containers/{container}/json".
 */
#ifndef HARP_DOCKER_CATALOGUE_H
#define HARP_DOCKER_CATALOGUE_H

#include "common/docker/policy.h"

#define DOCKER_RULE_TEXT_MAX 64u

/* All of it as a policy, with nothing granted. */
extern const struct docker_policy docker_catalogue;

/* Writes the rule's text, NUL-terminated, into buf of DOCKER_RULE_TEXT_MAX bytes; returns buf. */
const char *docker_rule_text(const struct docker_rule *rule, char *buf);

/* NULL: there is none of that text. */
const struct docker_rule *docker_rule_find(struct str text);

/* Its rules, for tables. */
extern const struct docker_rule docker_rule_ping, docker_rule_image_inspect, docker_rule_image_pull,
    docker_rule_container_inspect, docker_rule_container_logs, docker_rule_version,
    docker_rule_info, docker_rule_disk_usage, docker_rule_events, docker_rule_container_list,
    docker_rule_container_create, docker_rule_container_top, docker_rule_container_changes,
    docker_rule_container_stats, docker_rule_container_start, docker_rule_container_stop,
    docker_rule_container_restart, docker_rule_container_kill, docker_rule_container_pause,
    docker_rule_container_unpause, docker_rule_container_wait, docker_rule_container_remove,
    docker_rule_container_archive, docker_rule_exec_create, docker_rule_exec_start,
    docker_rule_exec_inspect, docker_rule_image_list, docker_rule_image_history,
    docker_rule_image_remove, docker_rule_volume_list, docker_rule_volume_create,
    docker_rule_volume_inspect, docker_rule_volume_remove, docker_rule_network_list,
    docker_rule_network_inspect, docker_rule_service_list, docker_rule_task_list,
    docker_rule_node_list;

#endif
