#include "tests/fuzz/go_docker.h"

#define EMPTY .flags = GO_EMPTY_IS_NIL
#define FIELDS(...)                                                                                \
    (const struct go_field[])                                                                      \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }

static const struct go_type text = {.kind = GO_STRING};
static const struct go_type integer = {.kind = GO_INT};
static const struct go_type flag = {.kind = GO_BOOL};
static const struct go_type untold = {.kind = GO_BOOL, .flags = GO_UNTOLD};
static const struct go_type always = {.kind = GO_STRING, .flags = GO_ALWAYS};
static const struct go_type pointer_int = {.kind = GO_INT, .flags = GO_POINTER};
static const struct go_type pointer_flag = {.kind = GO_BOOL, .flags = GO_POINTER};
/* nil and 0 are no limit; nil and false are the kernel's way; nil and -1 the kernel's way */
static const struct go_type pids = {.kind = GO_INT, .flags = GO_POINTER | GO_ZERO_IS_NIL};
static const struct go_type oom = {.kind = GO_BOOL, .flags = GO_POINTER | GO_ZERO_IS_NIL};
static const struct go_type swappiness = {.kind = GO_INT, .flags = GO_POINTER | GO_MINUS_IS_NIL};
static const struct go_type texts = {.kind = GO_SLICE, EMPTY, .elem = &always};
static const struct go_type strict_texts = {.kind = GO_SLICE, .elem = &always};
static const struct go_type command = {.kind = GO_STRSLICE, EMPTY};
static const struct go_type entrypoint = {.kind = GO_STRSLICE};
static const struct go_type map = {.kind = GO_MAP, EMPTY, .elem = &always};
static const struct go_type any_list = {.kind = GO_ANY, EMPTY};
static const struct go_type any = {.kind = GO_ANY};
static const struct go_type pair = {.kind = GO_ARRAY2, .flags = GO_UNTOLD};

static const struct go_type nothing = {.kind = GO_STRUCT, .fields = FIELDS({NULL, NULL})};
static const struct go_type ports = {.kind = GO_MAP, EMPTY, .elem = &nothing};

static const struct go_type binding = {.kind = GO_STRUCT,
                                       .fields = FIELDS({"HostIp", &always}, {"HostPort", &text})};
/* A port without a binding is one on all addresses. */
static const struct go_type bindings = {.kind = GO_SLICE, .elem = &binding};
static const struct go_type port_map = {.kind = GO_MAP, EMPTY, .elem = &bindings};

static const struct go_type mount = {
    .kind = GO_STRUCT,
    .fields =
        FIELDS({"Type", &always}, {"Source", &always}, {"Target", &always}, {"ReadOnly", &flag},
               {"Consistency", &text}, {"BindOptions", &any}, {"VolumeOptions", &any},
               {"ImageOptions", &any}, {"TmpfsOptions", &any}, {"ClusterOptions", &any})};
static const struct go_type mounts = {.kind = GO_SLICE, EMPTY, .elem = &mount};

static const struct go_type log_config = {.kind = GO_STRUCT,
                                          .fields = FIELDS({"Type", &text}, {"Config", &map})};
static const struct go_type restart = {
    .kind = GO_STRUCT, .fields = FIELDS({"Name", &text}, {"MaximumRetryCount", &integer})};
static const struct go_type device = {.kind = GO_STRUCT,
                                      .fields = FIELDS({"PathOnHost", &always},
                                                       {"PathInContainer", &always},
                                                       {"CgroupPermissions", &always})};
static const struct go_type devices = {.kind = GO_SLICE, EMPTY, .elem = &device};
static const struct go_type capabilities = {.kind = GO_SLICE, EMPTY, .elem = &strict_texts};
static const struct go_type request = {
    .kind = GO_STRUCT,
    .fields = FIELDS({"Driver", &text}, {"Count", &integer}, {"DeviceIDs", &texts},
                     {"Capabilities", &capabilities}, {"Options", &map})};
static const struct go_type requests = {.kind = GO_SLICE, EMPTY, .elem = &request};

#define RESOURCES                                                                                  \
    {"CpuShares", &integer}, {"Memory", &integer}, {"NanoCpus", &integer},                         \
        {"CgroupParent", &text}, {"BlkioWeight", &integer}, {"BlkioWeightDevice", &any_list},      \
        {"BlkioDeviceReadBps", &any_list}, {"BlkioDeviceWriteBps", &any_list},                     \
        {"BlkioDeviceReadIOps", &any_list}, {"BlkioDeviceWriteIOps", &any_list},                   \
        {"CpuPeriod", &integer}, {"CpuQuota", &integer}, {"CpuRealtimePeriod", &integer},          \
        {"CpuRealtimeRuntime", &integer}, {"CpusetCpus", &text}, {"CpusetMems", &text},            \
        {"Devices", &devices}, {"DeviceCgroupRules", &texts}, {"DeviceRequests", &requests},       \
        {"DiskQuota", &integer}, {"KernelMemory", &integer}, {"KernelMemoryTCP", &integer},        \
        {"MemoryReservation", &integer}, {"MemorySwap", &integer},                                 \
        {"MemorySwappiness", &swappiness}, {"OomKillDisable", &oom}, {"PidsLimit", &pids},         \
        {"Ulimits", &any_list}, {"CpuCount", &integer}, {"CpuPercent", &integer},                  \
        {"IOMaximumIOps", &integer},                                                               \
    {                                                                                              \
        "IOMaximumBandwidth", &integer                                                             \
    }

#define HOST_CONFIG                                                                                \
    {"Binds", &texts}, {"ContainerIDFile", &text}, {"LogConfig", &log_config},                     \
        {"NetworkMode", &text}, {"PortBindings", &port_map}, {"RestartPolicy", &restart},          \
        {"AutoRemove", &flag}, {"VolumeDriver", &text}, {"VolumesFrom", &texts},                   \
        {"ConsoleSize", &pair}, {"Annotations", &map}, {"CapAdd", &command},                       \
        {"CapDrop", &command}, {"Capabilities", &strict_texts}, {"CgroupnsMode", &text},           \
        {"Dns", &texts}, {"DnsOptions", &texts}, {"DnsSearch", &texts}, {"ExtraHosts", &texts},    \
        {"GroupAdd", &texts}, {"IpcMode", &text}, {"Cgroup", &text}, {"Links", &texts},            \
        {"OomScoreAdj", &integer}, {"PidMode", &text}, {"Privileged", &flag},                      \
        {"PublishAllPorts", &flag}, {"ReadonlyRootfs", &flag}, {"SecurityOpt", &texts},            \
        {"StorageOpt", &map}, {"Tmpfs", &map}, {"UTSMode", &text}, {"UsernsMode", &text},          \
        {"ShmSize", &integer}, {"Sysctls", &map}, {"Runtime", &text}, {"Isolation", &text},        \
        RESOURCES, {"Mounts", &mounts}, {"MaskedPaths", &strict_texts},                            \
        {"ReadonlyPaths", &strict_texts},                                                          \
    {                                                                                              \
        "Init", &pointer_flag                                                                      \
    }

static const struct go_type host_config = {
    .kind = GO_STRUCT, .flags = GO_POINTER | GO_ZERO_IS_NIL, .fields = FIELDS(HOST_CONFIG)};

static const struct go_type ipam = {
    .kind = GO_STRUCT,
    .flags = GO_POINTER | GO_ZERO_IS_NIL,
    .fields = FIELDS({"IPv4Address", &text}, {"IPv6Address", &text}, {"LinkLocalIPs", &texts})};
static const struct go_type endpoint = {
    .kind = GO_STRUCT,
    .flags = GO_POINTER,
    .fields = FIELDS(
        {"IPAMConfig", &ipam}, {"Links", &texts}, {"Aliases", &texts}, {"MacAddress", &text},
        {"DriverOpts", &map}, {"GwPriority", &integer}, {"NetworkID", &text}, {"EndpointID", &text},
        {"Gateway", &text}, {"IPAddress", &text}, {"IPPrefixLen", &integer}, {"IPv6Gateway", &text},
        {"GlobalIPv6Address", &text}, {"GlobalIPv6PrefixLen", &integer}, {"DNSNames", &texts})};
static const struct go_type endpoints = {.kind = GO_MAP, EMPTY, .elem = &endpoint};
static const struct go_type networking = {.kind = GO_STRUCT,
                                          .flags = GO_POINTER | GO_ZERO_IS_NIL,
                                          .fields = FIELDS({"EndpointsConfig", &endpoints})};

/* Config and, up to 20.10, HostConfig are embedded: their fields stand beside each other. */
const struct go_type go_docker_container = {
    .kind = GO_STRUCT,
    .fields =
        FIELDS({"Hostname", &text}, {"Domainname", &text}, {"User", &text}, {"AttachStdin", &flag},
               {"AttachStdout", &untold}, {"AttachStderr", &untold}, {"ExposedPorts", &ports},
               {"Tty", &flag}, {"OpenStdin", &flag}, {"StdinOnce", &flag}, {"Env", &texts},
               {"Cmd", &command}, {"Healthcheck", &any}, {"ArgsEscaped", &flag}, {"Image", &text},
               {"Volumes", &ports}, {"WorkingDir", &text}, {"Entrypoint", &entrypoint},
               {"NetworkDisabled", &flag}, {"MacAddress", &text}, {"OnBuild", &texts},
               {"Labels", &map}, {"StopSignal", &text}, {"StopTimeout", &pointer_int},
               {"Shell", &command}, {"HostConfig", &host_config}, {"Cpuset", &text},
               {"NetworkingConfig", &networking}, HOST_CONFIG)};

const struct go_type go_docker_exec = {
    .kind = GO_STRUCT,
    .fields = FIELDS({"User", &text}, {"Privileged", &flag}, {"Tty", &flag}, {"ConsoleSize", &pair},
                     {"AttachStdin", &flag}, {"AttachStderr", &flag}, {"AttachStdout", &flag},
                     {"Detach", &flag}, {"DetachKeys", &text}, {"Env", &texts},
                     {"WorkingDir", &text}, {"Cmd", &texts})};

const struct go_type go_docker_exec_start = {
    .kind = GO_STRUCT, .fields = FIELDS({"Detach", &flag}, {"Tty", &flag}, {"ConsoleSize", &pair})};

const struct go_type go_docker_volume = {.kind = GO_STRUCT,
                                         .fields = FIELDS({"ClusterVolumeSpec", &any},
                                                          {"Driver", &text}, {"DriverOpts", &map},
                                                          {"Labels", &map}, {"Name", &text})};
