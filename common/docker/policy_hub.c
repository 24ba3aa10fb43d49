/* What AppAPI may ask of an engine through the hub, from the gate's specification ("what must pass").
 * Whatever else an ExApp needs done, the hub builds itself. */
#include "common/docker/catalogue.h"

static const struct docker_rule *const rules[] = {
    &docker_rule_ping,           &docker_rule_image_inspect,
    &docker_rule_image_pull,     &docker_rule_container_inspect,
    &docker_rule_container_logs,
};

static const char *const containers[] = {"nc_app_*"};
static const char *const images[] = {"*"};
static const struct docker_grants grants = {.containers = {containers, ARRAY_LEN(containers)},
                                            .images = {images, ARRAY_LEN(images)}};

const struct docker_policy docker_policy_hub = {.rules = rules,
                                                .count = ARRAY_LEN(rules),
                                                .version_max = DOCKER_VERSION_MAX,
                                                .grants = &grants};
