/* schema_host.c - HostConfig: what a container may have of its host. Keys of API versions 1.24 to 1.51. */
#include "common/docker/schema.h"

#include "common/docker/reference.h"

#include <stdio.h>

/* ---- limits ---- */

static int limit_granted(struct docker_judging *j, enum docker_fault fault,
                         const struct json_node *n, int64_t max)
{
    char wanted[24], text[64];
    int64_t i = 0;
    if (json_int(n, &i) == 0 && (max == 0 || i <= max)) {
        return 0;
    }
    snprintf(wanted, sizeof(wanted), "%lld", (long long)i);
    snprintf(text, sizeof(text), "is more than %lld", (long long)max);
    return docker_refuse_key(j, fault, str_of(wanted), text);
}

static int memory_granted(struct docker_judging *j, const struct json_node *n)
{
    return limit_granted(j, DOCKER_FAULT_MEMORY, n, j->grants->memory_max);
}

static int cpus_granted(struct docker_judging *j, const struct json_node *n)
{
    return limit_granted(j, DOCKER_FAULT_CPUS, n, j->grants->nano_cpus_max);
}

/* ---- mounts ---- */

static const char *check_mount_type(struct str s)
{
    return str_eq(s, STR("volume")) || str_eq(s, STR("bind")) ? NULL : "is neither volume nor bind";
}

static const struct docker_field mount_fields[] = {
    {.key = "Type", .take = docker_take_string, .check = check_mount_type},
    /* What it may be depends on the type: mount_granted judges it. */
    {.key = "Source", .take = docker_take_string, .check = docker_check_any},
    {.key = "Target", .take = docker_take_string, .check = docker_check_mount_path},
    {.key = "ReadOnly", .alias = "Readonly", .idle = IDLE_NULL, .take = docker_take_boolean},
    {.key = "Consistency", .idle = IDLE_NULL | IDLE_EMPTY},
    {.key = "BindOptions", .idle = IDLE_NULL},
    {.key = "VolumeOptions", .idle = IDLE_NULL},
    {.key = "TmpfsOptions", .idle = IDLE_NULL},
    {.key = "ImageOptions", .idle = IDLE_NULL},
    {.key = "ClusterOptions", .idle = IDLE_NULL},
    {0},
};

static int refuse_mount(struct docker_judging *j, enum docker_fault fault, struct str source,
                        const char *why)
{
    char text[sizeof(j->verdict->why)];
    snprintf(text, sizeof(text), "mount source %s", why);
    return docker_refuse(j->verdict, fault, source, text);
}

static int volume_granted(struct docker_judging *j, struct str source)
{
    if (!docker_name_valid(source)) {
        return refuse_mount(j, DOCKER_FAULT_NEVER, source, "is not a volume's name");
    }
    return docker_words_match(j->grants->volumes, source)
               ? 0
               : refuse_mount(j, DOCKER_FAULT_VOLUME, source,
                              "is a volume that the policy does not list");
}

static bool covers(const struct docker_bind *b, struct str source, bool read_only)
{
    size_t n = strlen(b->path);
    bool same = str_eq(str_of(b->path), source);
    bool inside =
        b->below && source.n > n && memcmp(source.p, b->path, n) == 0 && source.p[n] == '/';
    return (same || inside) && (read_only || (!b->below && !b->read_only));
}

static int bind_granted(struct docker_judging *j, struct str source, bool read_only)
{
    const char *why = docker_check_mount_path(source);
    if (why) {
        return refuse_mount(j, DOCKER_FAULT_NEVER, source, why);
    }
    const struct docker_bind *bind = NULL;
    for (size_t i = 0; i < j->grants->nbinds && !bind; i++) {
        if (covers(&j->grants->binds[i], source, read_only)) {
            bind = &j->grants->binds[i];
        }
    }
    if (!bind) {
        /* hint.h tells by the end of it that the container wants to write. */
        char what[DOCKER_WHAT_MAX];
        int n = snprintf(what, sizeof(what), "%.*s%s", STR_ARG(source), read_only ? "" : ":rw");
        return refuse_mount(j, DOCKER_FAULT_BIND, (size_t)n < sizeof(what) ? str_of(what) : STR(""),
                            read_only ? "is a folder that the policy does not list"
                                      : "is a folder that the policy does not list for writing");
    }
    why = j->host && j->host->bind ? j->host->bind(j->host->arg, bind, source) : NULL;
    return why ? refuse_mount(j, DOCKER_FAULT_NEVER, source, why) : 0;
}

static int mount_granted(struct docker_judging *j, const struct json_node *n)
{
    struct str type = STR(""), source = STR(""), target = STR("");
    bool read_only = false, aliased = false;
    if (json_str(json_get(n, "Type"), &type) < 0 || json_str(json_get(n, "Source"), &source) < 0 ||
        json_str(json_get(n, "Target"), &target) < 0) {
        return docker_refuse_here(j, "has one without Type, Source or Target");
    }
    /* One of both at most: the walk has seen to it. */
    read_only = (json_bool(json_get(n, "ReadOnly"), &read_only) == 0 && read_only) ||
                (json_bool(json_get(n, "Readonly"), &aliased) == 0 && aliased);
    return str_eq(type, STR("bind")) ? bind_granted(j, source, read_only)
                                     : volume_granted(j, source);
}

/* ---- networks and ports ---- */

static int publish_granted(struct docker_judging *j, struct str s)
{
    if (docker_words_have(j->grants->publish, s)) {
        return 0;
    }
    return docker_refuse_key(j, DOCKER_FAULT_PUBLISH, s,
                             "is an address that the policy does not list");
}

/* Empty means all addresses of the host; so no policy can list it. */
static const char *check_host_ip(struct str s)
{
    return s.n > 0 ? docker_check_address(s) : "is empty, which means all addresses";
}

static int binding_whole(struct docker_judging *j, const struct json_node *n)
{
    return json_type(json_get(n, "HostIp")) == JSON_STRING
               ? 0
               : docker_refuse_here(j, "has no HostIp, which means all addresses");
}

static const struct docker_field binding[] = {
    {.key = "HostIp",
     .take = docker_take_string,
     .check = check_host_ip,
     .granted = publish_granted},
    {.key = "HostPort",
     .idle = IDLE_NULL,
     .take = docker_take_string,
     .check = docker_check_host_port},
    {0},
};

/* A port with an empty list is published on all addresses. */
static const struct docker_field each_port = {.take = docker_take_objects,
                                              .fields = binding,
                                              .whole = binding_whole,
                                              .least = 1,
                                              .most = DOCKER_PORT_BINDINGS_MAX};

static const char *check_restart(struct str s)
{
    static const char *const names[] = {"", "no", "always", "unless-stopped", "on-failure"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq(s, str_of(names[i]))) {
            return NULL;
        }
    }
    return "is not a restart policy";
}

static const struct docker_field restart[] = {
    {.key = "Name", .idle = IDLE_NULL, .take = docker_take_string, .check = check_restart},
    {.key = "MaximumRetryCount",
     .idle = IDLE_NULL,
     .take = docker_take_integer,
     .most = DOCKER_RETRIES_MAX},
    {0},
};

/* ---- devices ---- */

static bool one_of(struct str s, const char *const *words, size_t n)
{
    return docker_words_have((struct docker_words){words, n}, s);
}

static const char *check_gpu_driver(struct str s)
{
    static const char *const words[] = {"", "nvidia", "cdi"};
    return one_of(s, words, ARRAY_LEN(words)) ? NULL : "is not a driver of GPUs";
}

static const char *check_gpu_word(struct str s)
{
    static const char *const words[] = {"gpu", "compute", "utility", "video", "graphics"};
    return one_of(s, words, ARRAY_LEN(words)) ? NULL : "is not one for GPUs";
}

static const struct docker_field gpu_words = {
    .take = docker_take_strings, .check = check_gpu_word, .most = DOCKER_DEVICES_MAX};

static int take_capabilities(struct docker_judging *j, const struct docker_field *f,
                             const struct json_node *n)
{
    int rc = docker_expect_array(j, f, n);
    json_out_array(&j->out);
    for (const struct json_node *e = json_first(n); e && rc == 0; e = json_next(e)) {
        rc = docker_take_strings(j, &gpu_words, e);
    }
    json_out_array_end(&j->out);
    return rc;
}

/* By the driver of the request, gpu_granted looks closer. */
static const struct docker_field gpu_fields[] = {
    {.key = "Driver", .idle = IDLE_NULL, .take = docker_take_string, .check = check_gpu_driver},
    {.key = "Count",
     .idle = IDLE_NULL,
     .take = docker_take_integer,
     .least = -1,
     .most = DOCKER_GPUS_MAX},
    {.key = "DeviceIDs",
     .idle = IDLE_NULL | IDLE_LIST,
     .take = docker_take_strings,
     .check = docker_check_any,
     .most = DOCKER_GPUS_MAX},
    {.key = "Capabilities",
     .idle = IDLE_NULL | IDLE_LIST,
     .take = take_capabilities,
     .most = DOCKER_DEVICES_MAX},
    {.key = "Options", .idle = IDLE_NULL | IDLE_MAP},
    {0},
};

/* Other CDI devices are folders and files of the host, as whoever wrote their files likes. */
static const char *check_gpu_id(struct str id, bool cdi)
{
    const struct str kind = STR("nvidia.com/gpu=");
    bool named = id.n > kind.n && memcmp(id.p, kind.p, kind.n) == 0;
    if (cdi != named) {
        return cdi ? "has one that is not nvidia.com/gpu=..."
                   : "has one that is for the cdi driver";
    }
    struct str name = cdi ? (struct str){id.p + kind.n, id.n - kind.n} : id;
    return docker_check_hostname(name) ? "has one that is not a GPU" : NULL;
}

static int gpu_granted(struct docker_judging *j, const struct json_node *n)
{
    struct str driver = STR(""), id = STR("");
    if (!docker_words_have(j->grants->devices, STR("gpu"))) {
        return docker_refuse_key(j, DOCKER_FAULT_DEVICE, STR("gpu"),
                                 "is for GPUs, which the policy does not list");
    }
    bool cdi = json_str(json_get(n, "Driver"), &driver) == 0 && str_eq(driver, STR("cdi"));
    const struct json_node *ids = json_get(n, "DeviceIDs");
    if (cdi && json_count(ids) == 0) {
        return docker_refuse_here(j, "names no device for the cdi driver");
    }
    for (const struct json_node *e = json_first(ids); e; e = json_next(e)) {
        const char *why = json_str(e, &id) == 0 ? check_gpu_id(id, cdi) : "has one that is no text";
        if (why) {
            return docker_refuse_here(j, why);
        }
    }
    return 0;
}

static const char *check_cgroup(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!strchr("rwm", s.p[i]) || memchr(s.p, s.p[i], i)) {
            return "is not of r, w and m";
        }
    }
    return s.n > 0 ? NULL : "is empty";
}

static const struct docker_field device_fields[] = {
    {.key = "PathOnHost", .take = docker_take_string, .check = docker_check_mount_path},
    {.key = "PathInContainer", .take = docker_take_string, .check = docker_check_mount_path},
    {.key = "CgroupPermissions", .take = docker_take_string, .check = check_cgroup},
    {0},
};

static int device_granted(struct docker_judging *j, const struct json_node *n)
{
    struct str host = STR(""), inside = STR(""), cgroup = STR("");
    if (json_str(json_get(n, "PathOnHost"), &host) < 0 ||
        json_str(json_get(n, "PathInContainer"), &inside) < 0 ||
        json_str(json_get(n, "CgroupPermissions"), &cgroup) < 0) {
        return docker_refuse_here(
            j, "has one without PathOnHost, PathInContainer or CgroupPermissions");
    }
    if (!docker_words_have(j->grants->devices, host)) {
        return docker_refuse_key(j, DOCKER_FAULT_DEVICE, host,
                                 "has a device that the policy does not list");
    }
    return str_eq(host, inside) ? 0 : docker_refuse_here(j, "has a device under another name");
}

/* ---- the table ---- */

static const struct docker_field log_fields[] = {
    {.key = "Type", .idle = IDLE_NULL | IDLE_EMPTY},
    {.key = "Config", .idle = IDLE_NULL | IDLE_MAP},
    {0},
};

#define IDLE_WORD (IDLE_NULL | IDLE_EMPTY)
#define IDLE_NUMBER (IDLE_NULL | IDLE_ZERO)
#define IDLE_WORDS (IDLE_NULL | IDLE_LIST)
#define IDLE_WORDS_MAP (IDLE_NULL | IDLE_MAP)
#define IDLE_FLAG (IDLE_NULL | IDLE_FALSE)

/* An extra that an operator may add. */
#define EXTRA(kind) .extra = true, .type = DOCKER_EXTRA_##kind

const struct docker_field docker_schema_host[] = {
    {.key = "NetworkMode",
     .idle = IDLE_WORD,
     .take = docker_take_string,
     .check = docker_check_network,
     .granted = docker_network_granted,
     .seen = SEEN_NETWORK},
    {.key = "Mounts",
     .idle = IDLE_WORDS,
     .take = docker_take_objects,
     .fields = mount_fields,
     .whole = mount_granted,
     .most = DOCKER_MOUNTS_MAX},
    {.key = "RestartPolicy", .idle = IDLE_NULL, .take = docker_take_object, .fields = restart},
    {.key = "Memory",
     .idle = IDLE_NUMBER,
     .take = docker_take_integer,
     .whole = memory_granted,
     .most = INT64_MAX,
     .seen = SEEN_MEMORY},
    {.key = "NanoCpus",
     .alias = "NanoCPUs",
     .idle = IDLE_NUMBER,
     .take = docker_take_integer,
     .whole = cpus_granted,
     .most = INT64_MAX,
     .seen = SEEN_CPUS},
    {.key = "PortBindings",
     .idle = IDLE_WORDS_MAP,
     .take = docker_take_map,
     .check = docker_check_port,
     .fields = &each_port,
     .most = DOCKER_PORTS_MAX},
    {.key = "DeviceRequests",
     .idle = IDLE_WORDS,
     .take = docker_take_objects,
     .fields = gpu_fields,
     .whole = gpu_granted,
     .most = DOCKER_DEVICES_MAX},
    {.key = "Devices",
     .idle = IDLE_WORDS,
     .take = docker_take_objects,
     .fields = device_fields,
     .whole = device_granted,
     .most = DOCKER_DEVICES_MAX},
    /* Those that only bound the container, or are about its own inside. */
    {.key = "AutoRemove", .idle = IDLE_FLAG, EXTRA(BOOLEAN)},
    {.key = "ReadonlyRootfs", .idle = IDLE_FLAG, EXTRA(BOOLEAN)},
    {.key = "Init",
     .idle = IDLE_NULL,
     EXTRA(BOOLEAN)}, /* false overrules the engine's own choice */
    {.key = "ShmSize", .idle = IDLE_NUMBER, EXTRA(INTEGER)},
    {.key = "PidsLimit", .idle = IDLE_NUMBER, EXTRA(INTEGER)},
    {.key = "CpuShares", .idle = IDLE_NUMBER, EXTRA(INTEGER)},
    {.key = "MemoryReservation", .idle = IDLE_NUMBER, EXTRA(INTEGER)},
    {.key = "MemorySwap", .idle = IDLE_NUMBER, EXTRA(INTEGER)},
    {.key = "OomScoreAdj", .idle = IDLE_NUMBER, EXTRA(INTEGER), .most = 1000},
    {.key = "CpusetCpus", .idle = IDLE_WORD, EXTRA(STRING), .check = docker_check_cpus},
    {.key = "CpusetMems", .idle = IDLE_WORD, EXTRA(STRING), .check = docker_check_cpus},
    {.key = "CapDrop", .idle = IDLE_WORDS, EXTRA(STRINGS), .check = docker_check_capability},
    {.key = "SecurityOpt", .idle = IDLE_WORDS, EXTRA(STRINGS), .check = docker_check_hardening},
    {.key = "Dns", .idle = IDLE_WORDS, EXTRA(STRINGS), .check = docker_check_address},
    {.key = "DnsSearch", .idle = IDLE_WORDS, EXTRA(STRINGS), .check = docker_check_host},
    /* Those that give of the host, or of other containers, or that nobody needs. */
    {.key = "Annotations", .idle = IDLE_WORDS_MAP},
    {.key = "Binds", .idle = IDLE_WORDS},
    {.key = "BlkioDeviceReadBps", .idle = IDLE_WORDS},
    {.key = "BlkioDeviceReadIOps", .idle = IDLE_WORDS},
    {.key = "BlkioDeviceWriteBps", .idle = IDLE_WORDS},
    {.key = "BlkioDeviceWriteIOps", .idle = IDLE_WORDS},
    {.key = "BlkioWeight", .idle = IDLE_NUMBER},
    {.key = "BlkioWeightDevice", .idle = IDLE_WORDS},
    {.key = "CapAdd", .idle = IDLE_WORDS},
    {.key = "Capabilities", .idle = IDLE_NULL}, /* an empty list drops all */
    {.key = "Cgroup", .idle = IDLE_WORD},
    {.key = "CgroupParent", .idle = IDLE_WORD},
    {.key = "CgroupnsMode", .idle = IDLE_WORD},
    {.key = "ConsoleSize", .idle = IDLE_NULL | IDLE_PAIR},
    {.key = "ContainerIDFile", .idle = IDLE_WORD},
    {.key = "CpuCount", .idle = IDLE_NUMBER},
    {.key = "CpuPercent", .idle = IDLE_NUMBER},
    {.key = "CpuPeriod", .idle = IDLE_NUMBER},
    {.key = "CpuQuota", .idle = IDLE_NUMBER},
    {.key = "CpuRealtimePeriod", .idle = IDLE_NUMBER},
    {.key = "CpuRealtimeRuntime", .idle = IDLE_NUMBER},
    {.key = "DeviceCgroupRules", .idle = IDLE_WORDS},
    {.key = "DiskQuota", .idle = IDLE_NUMBER},
    {.key = "DnsOptions", .idle = IDLE_WORDS},
    {.key = "ExtraHosts", .idle = IDLE_WORDS},
    {.key = "GroupAdd", .idle = IDLE_WORDS},
    {.key = "IOMaximumBandwidth", .idle = IDLE_NUMBER},
    {.key = "IOMaximumIOps", .idle = IDLE_NUMBER},
    {.key = "IpcMode", .idle = IDLE_WORD},
    {.key = "Isolation", .idle = IDLE_WORD},
    {.key = "KernelMemory", .idle = IDLE_NUMBER},
    {.key = "KernelMemoryTCP", .idle = IDLE_NUMBER},
    {.key = "Links", .idle = IDLE_WORDS},
    {.key = "LogConfig", .idle = IDLE_WORDS_MAP, .fields = log_fields},
    {.key = "MaskedPaths", .idle = IDLE_NULL}, /* an empty list unmasks all */
    {.key = "MemorySwappiness", .idle = IDLE_NULL | IDLE_MINUS_ONE},
    {.key = "OomKillDisable", .idle = IDLE_FLAG},
    {.key = "PidMode", .idle = IDLE_WORD},
    {.key = "Privileged", .idle = IDLE_FLAG},
    {.key = "PublishAllPorts", .idle = IDLE_FLAG},
    {.key = "ReadonlyPaths", .idle = IDLE_NULL}, /* as MaskedPaths */
    {.key = "Runtime", .idle = IDLE_WORD},
    {.key = "StorageOpt", .idle = IDLE_WORDS_MAP},
    {.key = "Sysctls", .idle = IDLE_WORDS_MAP},
    {.key = "Tmpfs", .idle = IDLE_WORDS_MAP},
    {.key = "UTSMode", .idle = IDLE_WORD},
    {.key = "Ulimits", .idle = IDLE_WORDS},
    {.key = "UsernsMode", .idle = IDLE_WORD},
    {.key = "VolumeDriver", .idle = IDLE_WORD},
    {.key = "VolumesFrom", .idle = IDLE_WORDS},
    {0},
};
