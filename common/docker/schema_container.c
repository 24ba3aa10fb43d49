/* schema_container.c - the body of containers/create, but for its HostConfig: Docker's container.Config, and
 * the networks. Keys of API versions 1.24 to 1.51. */
#include "common/docker/schema.h"

#include "common/docker/reference.h"
#include "common/docker/value.h"

#include <stdio.h>

/* ---- the image ---- */

static int image_granted(struct docker_judging *j, struct str s)
{
    const char *why = docker_image_granted(j->grants, s);
    return why ? docker_refuse_key(j, DOCKER_FAULT_IMAGE, s, why) : 0;
}

static const char *check_image(struct str s)
{
    return docker_image_valid(s) ? NULL : "is neither an image reference nor an image id";
}

/* ---- the environment ---- */

/* An entry without "=" takes a variable away in Docker, and is filled from Podman's own environment there.
 * A value may be text of several lines. */
static const char *check_env(struct str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] != '=') {
        if (s.p[n] <= 0x20 || s.p[n] > 0x7e) {
            return "has a name that is not printable ASCII";
        }
        n++;
    }
    return n > 0 && n < s.n && !memchr(s.p, '\0', s.n) ? NULL
                                                       : "has an entry that is not NAME=value";
}

static int take_env(struct docker_judging *j, const struct docker_field *f,
                    const struct json_node *n)
{
    int rc = docker_expect_array(j, f, n);
    json_out_array(&j->out);
    for (const struct json_node *e = json_first(n); e && rc == 0; e = json_next(e)) {
        struct str s;
        const char *why = json_str(e, &s) == 0 ? check_env(s) : "has an entry that is no string";
        if (why) {
            rc = docker_refuse_here(j, why);
        } else {
            json_out_str(&j->out, s);
        }
    }
    json_out_array_end(&j->out);
    return rc;
}

/* ---- networks ---- */

/* An engine takes the beginning of an id for a network, too. What reads as one is not granted by a pattern
 * that covers it by chance, only by its whole name, or where all networks are. */
static bool network_listed(struct docker_words listed, struct str s)
{
    if (str_eq(s, STR("default")) || str_eq(s, STR("bridge"))) {
        return docker_words_match(listed, STR("default")) ||
               docker_words_match(listed, STR("bridge"));
    }
    return docker_words_have(listed, s) || docker_words_all(listed) ||
           (docker_words_match(listed, s) && !docker_hex_valid(s));
}

int docker_network_granted(struct docker_judging *j, struct str s)
{
    if (network_listed(j->grants->networks, s)) {
        return 0;
    }
    return docker_refuse_key(j, DOCKER_FAULT_NETWORK, str_eq(s, STR("default")) ? STR("bridge") : s,
                             "is a network that the policy does not list");
}

static const struct docker_field endpoint[] = {
    {.key = "Aliases",
     .idle = IDLE_NULL | IDLE_LIST,
     .take = docker_take_strings,
     .check = docker_check_host,
     .most = DOCKER_ALIASES_MAX},
    {.key = "IPAMConfig", .idle = IDLE_NULL | IDLE_MAP},
    {.key = "Links", .idle = IDLE_NULL | IDLE_LIST},
    {.key = "MacAddress", .idle = IDLE_NULL | IDLE_EMPTY},
    {.key = "DriverOpts", .idle = IDLE_NULL | IDLE_MAP},
    {.key = "GwPriority", .idle = IDLE_NULL | IDLE_ZERO},
    {.key = "NetworkID", .idle = IDLE_NULL | IDLE_EMPTY},
    {.key = "EndpointID", .idle = IDLE_NULL | IDLE_EMPTY},
    {.key = "Gateway", .idle = IDLE_NULL | IDLE_EMPTY},
    {.key = "IPAddress", .idle = IDLE_NULL | IDLE_EMPTY},
    {.key = "IPPrefixLen", .idle = IDLE_NULL | IDLE_ZERO},
    {.key = "IPv6Gateway", .idle = IDLE_NULL | IDLE_EMPTY},
    {.key = "GlobalIPv6Address", .idle = IDLE_NULL | IDLE_EMPTY},
    {.key = "GlobalIPv6PrefixLen", .idle = IDLE_NULL | IDLE_ZERO},
    {.key = "DNSNames", .idle = IDLE_NULL | IDLE_LIST},
    {0},
};

static const struct docker_field each_endpoint = {.take = docker_take_object, .fields = endpoint};

static const struct docker_field networking[] = {
    {.key = "EndpointsConfig",
     .idle = IDLE_NULL | IDLE_MAP,
     .take = docker_take_map,
     .check = docker_check_network,
     .granted = docker_network_granted,
     .fields = &each_endpoint,
     .most = DOCKER_ENDPOINTS_MAX},
    {0},
};

/* ---- ports and labels ---- */

/* PHP's arrays have no empty objects: null is what some send. */
static int take_nothing(struct docker_judging *j, const struct docker_field *f,
                        const struct json_node *n)
{
    (void)f;
    if (n && json_type(n) != JSON_NULL && (json_type(n) != JSON_OBJECT || json_count(n) > 0)) {
        return docker_refuse_here(j, "is not an empty object");
    }
    json_out_object(&j->out);
    json_out_object_end(&j->out);
    return 0;
}

static const struct docker_field each_exposed = {.take = take_nothing};

static const char *check_label(struct str s)
{
    return s.n <= DOCKER_LABEL_VALUE_MAX ? NULL : "is too long";
}

const struct docker_field docker_each_label = {.take = docker_take_string, .check = check_label};

/* ---- the table ---- */

const struct docker_field docker_schema_container[] = {
    {.key = "Image",
     .take = docker_take_string,
     .check = check_image,
     .granted = image_granted,
     .seen = SEEN_IMAGE},
    {.key = "Hostname",
     .idle = IDLE_NULL | IDLE_EMPTY,
     .take = docker_take_string,
     .check = docker_check_hostname},
    {.key = "Env", .idle = IDLE_NULL | IDLE_LIST, .take = take_env, .most = DOCKER_ENV_MAX},
    {.key = "ExposedPorts",
     .idle = IDLE_NULL | IDLE_MAP,
     .take = docker_take_map,
     .check = docker_check_port,
     .fields = &each_exposed,
     .most = DOCKER_PORTS_MAX},
    {.key = "Labels",
     .idle = IDLE_NULL | IDLE_MAP,
     .take = docker_take_labels,
     .check = docker_check_label_key,
     .fields = &docker_each_label,
     .most = DOCKER_LABELS_MAX,
     .seen = SEEN_LABELS},
    {.key = "HostConfig",
     .idle = IDLE_NULL,
     .take = docker_take_object,
     .fields = docker_schema_host},
    {.key = "NetworkingConfig",
     .idle = IDLE_NULL,
     .take = docker_take_object,
     .fields = networking},
    /* What the client does when it runs the container. */
    {.key = "AttachStdout", .idle = IDLE_NULL | IDLE_FALSE | IDLE_TRUE},
    {.key = "AttachStderr", .idle = IDLE_NULL | IDLE_FALSE | IDLE_TRUE},
    {.key = "AttachStdin", .idle = IDLE_NULL | IDLE_FALSE},
    {.key = "OpenStdin", .idle = IDLE_NULL | IDLE_FALSE},
    {.key = "StdinOnce", .idle = IDLE_NULL | IDLE_FALSE},
    /* Inside of the container. */
    {.key = "Domainname",
     .idle = IDLE_NULL | IDLE_EMPTY,
     .extra = true,
     .type = DOCKER_EXTRA_STRING,
     .check = docker_check_host},
    {.key = "User",
     .idle = IDLE_NULL | IDLE_EMPTY,
     .extra = true,
     .type = DOCKER_EXTRA_STRING,
     .check = docker_check_user},
    {.key = "WorkingDir",
     .idle = IDLE_NULL | IDLE_EMPTY,
     .extra = true,
     .type = DOCKER_EXTRA_STRING,
     .check = docker_check_path},
    {.key = "Tty", .idle = IDLE_NULL | IDLE_FALSE, .extra = true, .type = DOCKER_EXTRA_BOOLEAN},
    {.key = "Cmd",
     .idle = IDLE_NULL | IDLE_LIST,
     .extra = true,
     .type = DOCKER_EXTRA_STRINGS,
     .check = docker_check_any},
    /* An empty list takes the image's away. */
    {.key = "Entrypoint",
     .idle = IDLE_NULL,
     .extra = true,
     .type = DOCKER_EXTRA_STRINGS,
     .check = docker_check_any},
    {.key = "StopSignal",
     .idle = IDLE_NULL | IDLE_EMPTY,
     .extra = true,
     .type = DOCKER_EXTRA_STRING,
     .check = docker_value_signal},
    /* 0 is a time like any other. */
    {.key = "StopTimeout", .idle = IDLE_NULL, .extra = true, .type = DOCKER_EXTRA_INTEGER},
    {.key = "Healthcheck", .idle = IDLE_NULL},
    {.key = "Volumes", .idle = IDLE_NULL | IDLE_MAP},
    {.key = "MacAddress", .idle = IDLE_NULL | IDLE_EMPTY},
    {.key = "OnBuild", .idle = IDLE_NULL | IDLE_LIST},
    {.key = "Shell", .idle = IDLE_NULL | IDLE_LIST},
    {.key = "NetworkDisabled", .idle = IDLE_NULL | IDLE_FALSE},
    {.key = "ArgsEscaped", .idle = IDLE_NULL | IDLE_FALSE},
    {0},
};

/* ---- what must be there ---- */

/* Without a limit, a container may take all there is. */
static int limit_missing(struct docker_judging *j, enum docker_fault fault, const char *key,
                         int64_t max)
{
    char text[96];
    snprintf(text, sizeof(text), "must have HostConfig.%s, of %lld at most", key, (long long)max);
    return docker_refuse_key(j, fault, STR(""), text);
}

int docker_container_end(struct docker_judging *j)
{
    if (!(j->seen & SEEN_IMAGE)) {
        return docker_refuse_here(j, "has no Image");
    }
    if (!(j->seen & SEEN_NETWORK) && !network_listed(j->grants->networks, STR("default"))) {
        return docker_refuse_key(j, DOCKER_FAULT_NETWORK, STR("bridge"),
                                 "has no HostConfig.NetworkMode, and the policy does not list "
                                 "bridge, which that means");
    }
    if (j->grants->memory_max > 0 && !(j->seen & SEEN_MEMORY)) {
        return limit_missing(j, DOCKER_FAULT_MEMORY, "Memory", j->grants->memory_max);
    }
    if (j->grants->nano_cpus_max > 0 && !(j->seen & SEEN_CPUS)) {
        return limit_missing(j, DOCKER_FAULT_CPUS, "NanoCpus", j->grants->nano_cpus_max);
    }
    docker_write_labels(j);
    return 0;
}
