/* Bodies of Docker calls: what passes must mean to Go's decoder what is written of it does, so that nothing
 * that an engine would have read is lost or added, and what is written holds nothing that was not granted. It
 * passes again, and stays as it is. The first byte is the kind of body, the second what is granted. */
#include "common/docker/body.h"
#include "common/json/json.h"
#include "tests/fuzz/go_docker.h"
#include "tests/fuzz/json_mutator.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

#define REQUIRE(x)                                                                                 \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#define TEXT_MAX ((size_t)16 * 1024)
#define OWNER "somebody"

/* ---- what is granted ---- */

#define WORDS(...)                                                                                 \
    {                                                                                              \
        .p = (const char *const[]){__VA_ARGS__},                                                   \
        .n = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)                           \
    }

static const struct docker_command commands[] = {{WORDS("cat", "/etc/os-release")},
                                                 {WORDS("update-ca-certificates")}};
static const struct docker_bind binds[] = {{.path = "/srv/x"},
                                           {.path = "/srv/ro", .read_only = true},
                                           {.path = "/srv/tree", .below = true}};
static const struct docker_extra extras[] = {
    {.key = "User", .type = DOCKER_EXTRA_STRING, .values = WORDS("app-*")},
    {.key = "Cmd", .type = DOCKER_EXTRA_STRINGS},
    {.key = "Entrypoint", .type = DOCKER_EXTRA_STRINGS},
    {.key = "StopTimeout", .type = DOCKER_EXTRA_INTEGER, .max = 60},
    {.key = "HostConfig.Init", .type = DOCKER_EXTRA_BOOLEAN},
    {.key = "HostConfig.ShmSize", .type = DOCKER_EXTRA_INTEGER, .max = INT64_MAX},
    {.key = "HostConfig.SecurityOpt", .type = DOCKER_EXTRA_STRINGS},
    /* asked for in vain */
    {.key = "HostConfig.Privileged", .type = DOCKER_EXTRA_BOOLEAN},
    {.key = "HostConfig.Binds", .type = DOCKER_EXTRA_STRINGS},
};
static const struct docker_grants granted = {
    .volumes = WORDS("nc_app_*"),
    .images = WORDS("docker.io/library/busybox", "ghcr.io/nextcloud/*"),
    .networks = WORDS("bridge", "host", "front"),
    .publish = WORDS("127.0.0.1", "::1"),
    .devices = WORDS("gpu", "/dev/kfd", "/dev/dri"),
    .commands = commands,
    .ncommands = ARRAY_LEN(commands),
    .binds = binds,
    .nbinds = ARRAY_LEN(binds),
};

enum { WITH_OWNER = 1, WITH_EXTRAS = 2, WITH_LIMITS = 4 };

static struct docker_grants grants_of(unsigned bits)
{
    struct docker_grants g = granted;
    g.owner = bits & WITH_OWNER ? OWNER : NULL;
    g.extras = bits & WITH_EXTRAS ? extras : NULL;
    g.nextras = bits & WITH_EXTRAS ? ARRAY_LEN(extras) : 0;
    g.memory_max = bits & WITH_LIMITS ? 1 << 30 : 0;
    g.nano_cpus_max = bits & WITH_LIMITS ? 2000000000 : 0;
    return g;
}

/* ---- kinds ---- */

static const struct kind {
    enum docker_body body;
    const struct go_type *type;
} kinds[] = {{DOCKER_BODY_CONTAINER, &go_docker_container},
             {DOCKER_BODY_EXEC, &go_docker_exec},
             {DOCKER_BODY_EXEC_START, &go_docker_exec_start},
             {DOCKER_BODY_VOLUME, &go_docker_volume},
             {DOCKER_BODY_DROPPED, NULL}};

static int judge(enum docker_body body, const struct docker_grants *grants, struct str text,
                 struct docker_body_out *out)
{
    const struct docker_policy policy = {.version_max = DOCKER_VERSION_MAX, .grants = grants};
    const struct docker_rule rule = {.name = "fuzz", .body = body};
    static struct docker_call call;
    struct docker_verdict v = {0};
    char *copy = malloc(text.n ? text.n : 1);
    if (text.n > 0) {
        memcpy(copy, text.p, text.n);
    }
    call.rule = &rule;
    int status = docker_judge_body(&policy, &call, (struct str){copy, text.n}, NULL, out, &v);
    free(copy);
    REQUIRE(status == v.status && !status == !v.why[0]);
    REQUIRE(status == 0 || status == 400 || status == 403);
    REQUIRE(status == 0 || !out->p);
    for (const char *p = v.why; *p; p++) {
        REQUIRE(*p >= 0x20 && *p < 0x7f);
    }
    for (const char *p = v.what; *p; p++) {
        REQUIRE(*p >= 0x20 && *p < 0x7f);
    }
    return status;
}

/* ---- lines of a meaning ---- */

static struct str lines_of(const struct buf *b)
{
    return b->len > 0 ? (struct str){buf_head(b), b->len} : STR("");
}

static bool take_line(struct str *text, struct str *line)
{
    const char *end = text->n > 0 ? memchr(text->p, '\n', text->n) : NULL;
    if (!end) {
        return false;
    }
    *line = (struct str){text->p, (size_t)(end - text->p)};
    *text = (struct str){end + 1, text->n - line->n - 1};
    return true;
}

static bool begins(struct str s, const char *with)
{
    size_t n = strlen(with);
    return s.n >= n && memcmp(s.p, with, n) == 0;
}

/* What may differ: the owner's label is added, a local driver is what none means. */
static void normalise(struct buf *b)
{
    static const char *const drop[] = {"Labels{" DOCKER_OWNER_LABEL "}", "Driver=local"};
    struct str rest = lines_of(b), line;
    struct buf kept = {0};
    while (take_line(&rest, &line)) {
        if (!begins(line, drop[0]) && !str_eq(line, str_of(drop[1]))) {
            buf_append(&kept, line.p, line.n + 1);
        }
    }
    buf_free(b);
    *b = kept;
}

static bool has_line(const struct buf *b, const char *wanted)
{
    struct str rest = lines_of(b), line;
    while (take_line(&rest, &line)) {
        if (str_eq(line, str_of(wanted))) {
            return true;
        }
    }
    return false;
}

/* ---- what a container may be ---- */

static bool one_of(struct str s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq(s, str_of(words[i]))) {
            return true;
        }
    }
    return false;
}
#define ONE_OF(s, ...)                                                                             \
    one_of(s, (const char *const[]){__VA_ARGS__},                                                  \
           sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* What stands behind the index or key that `list` is followed by. */
static struct str behind(struct str line, const char *list, char end)
{
    size_t n = strlen(list);
    const char *at = memchr(line.p + n, end, line.n - n);
    REQUIRE(at);
    return (struct str){at + 1, line.n - (size_t)(at + 1 - line.p)};
}

static struct str value_of(struct str line)
{
    const char *at = memchr(line.p, '=', line.n);
    REQUIRE(at);
    return (struct str){at + 1, line.n - (size_t)(at + 1 - line.p)};
}

static void check_port(struct str line)
{
    struct str rest = behind(line, "HostConfig.PortBindings", '}');
    if (begins(rest, "[")) {
        rest = behind(rest, "[", ']');
        REQUIRE(str_eq(rest, STR("=element")) || begins(rest, ".HostPort=") ||
                ONE_OF(rest, ".HostIp=127.0.0.1", ".HostIp=::1"));
    } else {
        REQUIRE(ONE_OF(rest, "=member", "=list"));
    }
}

static void check_mount(struct str line)
{
    struct str rest = behind(line, "HostConfig.Mounts[", ']');
    REQUIRE(str_eq(rest, STR("=element")) || begins(rest, ".Source=") ||
            begins(rest, ".Target=/") ||
            ONE_OF(rest, ".Type=volume", ".Type=bind", ".ReadOnly=true"));
}

static void check_device(struct str line)
{
    if (begins(line, "HostConfig.Devices[")) {
        struct str rest = behind(line, "HostConfig.Devices[", ']');
        REQUIRE(str_eq(rest, STR("=element")) || begins(rest, ".CgroupPermissions=") ||
                ONE_OF(rest, ".PathOnHost=/dev/kfd", ".PathOnHost=/dev/dri",
                       ".PathInContainer=/dev/kfd", ".PathInContainer=/dev/dri"));
        return;
    }
    struct str rest = behind(line, "HostConfig.DeviceRequests[", ']');
    REQUIRE(str_eq(rest, STR("=element")) || begins(rest, ".Count=") ||
            begins(rest, ".Capabilities[") || begins(rest, ".DeviceIDs[") ||
            ONE_OF(rest, ".Driver=nvidia", ".Driver=cdi"));
}

static void check_endpoint(struct str line)
{
    const char list[] = "NetworkingConfig.EndpointsConfig{";
    struct str rest = behind(line, list, '}');
    struct str name = {line.p + sizeof(list) - 1, line.n - rest.n - sizeof(list)};
    REQUIRE(ONE_OF(name, "default", "bridge", "host", "front"));
    REQUIRE(ONE_OF(rest, "=member", "=struct") || begins(rest, ".Aliases["));
}

static bool extra_line(struct str line)
{
    return begins(line, "User=app-") || begins(line, "Cmd[") || begins(line, "Entrypoint") ||
           begins(line, "StopTimeout=") || begins(line, "HostConfig.Init=") ||
           begins(line, "HostConfig.ShmSize=") ||
           (begins(line, "HostConfig.SecurityOpt[") &&
            (str_eq(value_of(line), STR("element")) ||
             begins(value_of(line), "no-new-privileges")));
}

static void check_line(struct str line, unsigned bits)
{
    if (begins(line, "HostConfig.PortBindings{")) {
        check_port(line);
    } else if (begins(line, "HostConfig.Mounts[")) {
        check_mount(line);
    } else if (begins(line, "HostConfig.Device")) {
        check_device(line);
    } else if (begins(line, "NetworkingConfig.EndpointsConfig{")) {
        check_endpoint(line);
    } else if (begins(line, "HostConfig.NetworkMode=")) {
        REQUIRE(ONE_OF(value_of(line), "default", "bridge", "host", "front"));
    } else if (begins(line, "Image=")) {
        REQUIRE(begins(value_of(line), "busybox") || begins(value_of(line), "docker.io/") ||
                begins(value_of(line), "library/busybox") ||
                begins(value_of(line), "ghcr.io/nextcloud/"));
    } else {
        REQUIRE(begins(line, "Hostname=") || begins(line, "Env[") ||
                begins(line, "ExposedPorts{") || begins(line, "Labels{") ||
                begins(line, "HostConfig.RestartPolicy.") || begins(line, "HostConfig.Memory=") ||
                begins(line, "HostConfig.NanoCpus=") || ((bits & WITH_EXTRAS) && extra_line(line)));
    }
}

/* The value of a field of the i-th mount, "" if it is not there. */
static struct str mount_field(const struct buf *b, unsigned i, const char *field)
{
    char path[64];
    struct str rest = lines_of(b), line;
    snprintf(path, sizeof(path), "HostConfig.Mounts[%u].%s=", i, field);
    while (take_line(&rest, &line)) {
        if (begins(line, path)) {
            return value_of(line);
        }
    }
    return STR("");
}

static void check_mounts(const struct buf *b)
{
    for (unsigned i = 0; mount_field(b, i, "Type").n > 0; i++) {
        struct str source = mount_field(b, i, "Source");
        bool read_only = mount_field(b, i, "ReadOnly").n > 0;
        if (str_eq(mount_field(b, i, "Type"), STR("volume"))) {
            REQUIRE(begins(source, "nc_app_") && !memchr(source.p, '/', source.n));
        } else if (!str_eq(source, STR("/srv/x"))) {
            REQUIRE(read_only && !memmem(source.p, source.n, "/..", 3));
            REQUIRE(str_eq(source, STR("/srv/ro")) || str_eq(source, STR("/srv/tree")) ||
                    begins(source, "/srv/tree/"));
        }
        REQUIRE(!memmem(mount_field(b, i, "Target").p, mount_field(b, i, "Target").n, "/../", 4));
    }
}

static void check_container(const struct buf *b, unsigned bits)
{
    struct str rest = lines_of(b), line;
    bool memory = false, cpus = false;
    while (take_line(&rest, &line)) {
        check_line(line, bits);
        memory |= begins(line, "HostConfig.Memory=");
        cpus |= begins(line, "HostConfig.NanoCpus=");
    }
    check_mounts(b);
    REQUIRE(!(bits & WITH_LIMITS) || (memory && cpus));
}

/* ---- the comparison ---- */

static void compare(const struct kind *k, unsigned bits, struct str in, struct str out)
{
    struct buf before = {0}, after = {0};
    REQUIRE(go_meaning(k->type, in, &before));
    REQUIRE(go_meaning(k->type, out, &after));
    bool owned = has_line(&after, "Labels{" DOCKER_OWNER_LABEL "}=" OWNER);
    bool can_be = k->body == DOCKER_BODY_CONTAINER || k->body == DOCKER_BODY_VOLUME;
    REQUIRE(owned == (can_be && (bits & WITH_OWNER)));
    normalise(&before);
    normalise(&after);
    if (!str_eq(lines_of(&before), lines_of(&after))) {
        fprintf(stderr, "before:\n%.*safter:\n%.*s", STR_ARG(lines_of(&before)),
                STR_ARG(lines_of(&after)));
        abort();
    }
    if (k->body == DOCKER_BODY_CONTAINER) {
        check_container(&after, bits);
    }
    buf_free(&before);
    buf_free(&after);
}

static void compare_again(const struct kind *k, const struct docker_grants *grants, struct str text)
{
    struct docker_body_out again;
    REQUIRE(judge(k->body, grants, text, &again) == 0);
    REQUIRE(str_eq((struct str){again.p, again.n}, text));
    docker_body_wipe(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct docker_body_out out;
    if (size < 2 || size > TEXT_MAX) {
        return 0;
    }
    const struct kind *k = &kinds[data[0] % ARRAY_LEN(kinds)];
    unsigned bits = data[1] % 8;
    struct docker_grants grants = grants_of(bits);
    struct str in = {(const char *)data + 2, size - 2};
    if (judge(k->body, &grants, in, &out) != 0) {
        return 0;
    }
    if (!k->type) {
        REQUIRE(!out.p && out.n == 0);
        return 0;
    }
    struct str text = {out.p, out.n};
    compare(k, bits, in, text);
    if (!grants.owner) {
        compare_again(k, &grants, text);
    }
    docker_body_wipe(&out);
    return 0;
}

/* ---- mutating ---- */

static const char *const members[] = {
    "\"Image\":\"busybox\"",
    "\"Image\":\"ghcr.io/nextcloud/a:1\"",
    "\"Hostname\":\"x\"",
    "\"Env\":[\"A=b\",\"C=\\n\"]",
    "\"Labels\":{\"a\":\"b\"}",
    "\"Labels\":{\"harp.filter.owner\":\"me\"}",
    "\"HostConfig\":{}",
    "\"HostConfig\":{\"Privileged\":false}",
    "\"HostConfig\":{\"NetworkMode\":\"host\",\"Mounts\":[]}",
    "\"NetworkingConfig\":{\"EndpointsConfig\":{\"front\":{\"Aliases\":[\"x\"]}}}",
    "\"front\":{\"IPAMConfig\":{},\"DriverOpts\":null}",
    "\"ExposedPorts\":{\"80/tcp\":{},\"81\":null}",
    "\"NetworkMode\":\"front\"",
    "\"NetworkMode\":\"container:x\"",
    "\"Mounts\":[{\"Type\":\"volume\",\"Source\":\"nc_app_x\",\"Target\":\"/x\"}]",
    "\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/srv/tree/a\",\"Target\":\"/x\",\"Readonly\":true}"
    "]",
    "\"Source\":\"/srv/x\"",
    "\"Source\":\"/srv/tree/../..\"",
    "\"Target\":\"/a/b\"",
    "\"Type\":\"bind\"",
    "\"ReadOnly\":true",
    "\"ReadOnly\":false",
    "\"Readonly\":true",
    "\"BindOptions\":null",
    "\"VolumeOptions\":{\"DriverConfig\":{\"Name\":\"local\"}}",
    "\"RestartPolicy\":{\"Name\":\"always\",\"MaximumRetryCount\":0}",
    "\"Memory\":1048576",
    "\"NanoCpus\":1000000000",
    "\"NanoCPUs\":1",
    "\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"80\"}]}",
    "\"PortBindings\":{\"80/tcp\":[]}",
    "\"HostIp\":\"::1\"",
    "\"HostIp\":\"\"",
    "\"HostPort\":\"\"",
    "\"DeviceRequests\":[{\"Driver\":\"nvidia\",\"Count\":-1,\"Capabilities\":[[\"gpu\"]]}]",
    "\"DeviceRequests\":[{\"Driver\":\"cdi\",\"DeviceIDs\":[\"nvidia.com/gpu=0\"],\"Options\":{}}]",
    "\"Devices\":[{\"PathOnHost\":\"/dev/dri\",\"PathInContainer\":\"/dev/dri\","
    "\"CgroupPermissions\":\"rwm\"}]",
    "\"Privileged\":true",
    "\"Binds\":[\"/:/host\"]",
    "\"Binds\":[]",
    "\"CapAdd\":[\"ALL\"]",
    "\"PidMode\":\"host\"",
    "\"Cmd\":[\"cat\",\"/etc/os-release\"]",
    "\"Cmd\":\"sh\"",
    "\"Entrypoint\":[]",
    "\"StopTimeout\":0",
    "\"User\":\"app-x\"",
    "\"Init\":false",
    "\"ShmSize\":1",
    "\"SecurityOpt\":[\"no-new-privileges\"]",
    "\"MaskedPaths\":null",
    "\"MaskedPaths\":[]",
    "\"MemorySwappiness\":-1",
    "\"PidsLimit\":0",
    "\"LogConfig\":{\"Type\":\"\",\"Config\":{}}",
    "\"ConsoleSize\":[24,80]",
    "\"AttachStdout\":true",
    "\"Tty\":false",
    "\"Detach\":false",
    "\"Name\":\"nc_app_x\"",
    "\"name\":\"nc_app_x\"",
    "\"Driver\":\"local\"",
    "\"DriverOpts\":{}",
    "\"a\":null",
    "\"a\":\"\"",
    "\"a\":0",
    "\"a\":1.0",
    "\"a\":9223372036854775807",
    "\"a\":-1",
    "\"a\":false",
    "\"a\":[]",
    "\"a\":{}",
    "\"a\":\"<&>\\u2028\xc3\xa4\"",
};

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
    static const struct json_snippets snippets = {members, ARRAY_LEN(members)};
    static char text[TEXT_MAX];
    size_t room = MIN(max, TEXT_MAX);
    if (size < 3 || room < 3 || seed % 16 == 0) {
        return LLVMFuzzerMutate(data, size, max);
    }
    struct str from = {(const char *)data + 2, size - 2};
    size_t n = json_mutate(from, text, room - 2, seed, &snippets);
    if (n == 0) {
        return LLVMFuzzerMutate(data, size, max);
    }
    memcpy(data + 2, text, n);
    data[1] = (uint8_t)(seed % 5 == 1 ? seed >> 8 : data[1]);
    return n + 2;
}
