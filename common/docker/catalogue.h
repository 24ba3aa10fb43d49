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

/* Those that tables refer to by name. */
extern const struct docker_rule docker_rule_ping, docker_rule_image_inspect, docker_rule_image_pull,
    docker_rule_container_inspect, docker_rule_container_logs;

#endif
