/* object.c - what may stand at {} in a rule's path. */
#include "common/docker/chars.h"
#include "common/docker/policy.h"
#include "common/docker/reference.h"

static const char *check_container(struct str name)
{
    bool good =
        (docker_name_valid(name) && name.n <= DOCKER_CONTAINER_MAX) || docker_hex_valid(name);
    return good ? NULL : "is not a container's name";
}

static const char *granted_container(const struct docker_grants *grants, struct str name)
{
    if (!docker_words_match(grants->containers, name)) {
        return "is not one that the policy lists";
    }
    /* An engine takes the beginning of an id for the container: any one's. */
    return docker_hex_valid(name) && !docker_words_all(grants->containers)
               ? "may be the beginning of an id"
               : NULL;
}

static const char *check_volume(struct str name)
{
    return docker_name_valid(name) ? NULL : "is not a volume's name";
}

static const char *granted_volume(const struct docker_grants *grants, struct str name)
{
    return docker_words_match(grants->volumes, name) ? NULL : "is not one that the policy lists";
}

static const char *check_image(struct str name)
{
    return docker_image_valid(name) ? NULL : "is neither an image reference nor an image id";
}

static const char *check_network(struct str name)
{
    return docker_name_valid(name) ? NULL : "is not a network's name";
}

static const char *granted_network(const struct docker_grants *grants, struct str name)
{
    if (!docker_words_match(grants->networks, name)) {
        return "is not one that the policy lists";
    }
    return docker_hex_valid(name) && !docker_words_all(grants->networks)
               ? "may be the beginning of an id"
               : NULL;
}

static const char *check_exec(struct str id)
{
    return id.n == DOCKER_ID_DIGITS && docker_hex_valid(id) ? NULL : "is not an exec's id";
}

static const char *check_any(struct str word)
{
    return word.n <= DOCKER_OBJECT_MAX ? NULL : "is too long";
}

const struct docker_object docker_object_container = {
    "container", check_container, granted_container, DOCKER_FAULT_CONTAINER, false};
const struct docker_object docker_object_volume = {"volume", check_volume, granted_volume,
                                                   DOCKER_FAULT_VOLUME, false};
const struct docker_object docker_object_image = {"image", check_image, docker_image_granted,
                                                  DOCKER_FAULT_IMAGE, true};
const struct docker_object docker_object_network = {"network", check_network, granted_network,
                                                    DOCKER_FAULT_NETWORK, false};
const struct docker_object docker_object_exec = {"exec", check_exec, NULL, DOCKER_FAULT_NEVER,
                                                 false};
const struct docker_object docker_object_any = {"any", check_any, NULL, DOCKER_FAULT_NEVER, false};
