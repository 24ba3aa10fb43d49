/* Bodies of containers/create: keys that give power over the host pass in no shape; keys that may be granted
 * by name, and those that never are. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/docker/schema.h"
#include "tests/unit/docker_body_bench.h"

#define CONTAINER DOCKER_BODY_CONTAINER

struct key {
    const char *key, *idle, *asks, *also_asks; /* values; NULL: there is none */
};

static const struct key host_keys[] = {
    {"Annotations", "{}", "{'run.oci.keep_original_groups':'1'}", "[]"},
    {"AutoRemove", "false", "true", "0"},
    {"Binds", "[]", "['/:/host']", "{}"},
    {"BlkioDeviceReadBps", "[]", "[{'Path':'/dev/sda','Rate':1}]", "{}"},
    {"BlkioDeviceReadIOps", "[]", "[{'Path':'/dev/sda','Rate':1}]", "{}"},
    {"BlkioDeviceWriteBps", "[]", "[{'Path':'/dev/sda','Rate':1}]", "{}"},
    {"BlkioDeviceWriteIOps", "[]", "[{'Path':'/dev/sda','Rate':1}]", "{}"},
    {"BlkioWeight", "0", "10", "-1"},
    {"BlkioWeightDevice", "[]", "[{'Path':'/dev/sda','Weight':1}]", "{}"},
    {"CapAdd", "[]", "['SYS_ADMIN']", "'ALL'"},
    {"CapDrop", "[]", "['ALL']", "'ALL'"},
    {"Capabilities", NULL, "['SYS_ADMIN']", "[]"},
    {"Cgroup", "''", "'container:x'", "'host'"},
    {"CgroupParent", "''", "'/'", "'/system.slice'"},
    {"CgroupnsMode", "''", "'host'", "'private'"},
    {"ConsoleSize", "[24,80]", "[1,2,3]", "[-1,1]"},
    {"ContainerIDFile", "''", "'/etc/x'", "0"},
    {"CpuCount", "0", "1", "-1"},
    {"CpuPercent", "0", "1", "-1"},
    {"CpuPeriod", "0", "1000", "-1"},
    {"CpuQuota", "0", "1000", "-1"},
    {"CpuRealtimePeriod", "0", "1000", "-1"},
    {"CpuRealtimeRuntime", "0", "1000", "-1"},
    {"CpuShares", "0", "1024", "-1"},
    {"CpusetCpus", "''", "'0'", "0"},
    {"CpusetMems", "''", "'0'", "0"},
    {"DeviceCgroupRules", "[]", "['a *:* rwm']", "{}"},
    {"DiskQuota", "0", "1", "-1"},
    {"Dns", "[]", "['10.0.0.1']", "''"},
    {"DnsOptions", "[]", "['rotate']", "''"},
    {"DnsSearch", "[]", "['x']", "''"},
    {"ExtraHosts", "[]", "['a:host-gateway']", "{}"},
    {"GroupAdd", "[]", "['docker']", "['0']"},
    {"IOMaximumBandwidth", "0", "1", "-1"},
    {"IOMaximumIOps", "0", "1", "-1"},
    {"Init", NULL, "true", "false"},
    {"IpcMode", "''", "'host'", "'container:x'"},
    {"Isolation", "''", "'process'", "'default'"},
    {"KernelMemory", "0", "1", "-1"},
    {"KernelMemoryTCP", "0", "1", "-1"},
    {"Links", "[]", "['other:db']", "{}"},
    {"LogConfig", "{'Type':'','Config':{}}", "{'Type':'syslog'}",
     "{'Type':'','Config':{'path':'/etc/x'}}"},
    {"MaskedPaths", NULL, "[]", "['/proc/x']"},
    {"MemoryReservation", "0", "1", "-1"},
    {"MemorySwap", "0", "1", "-1"},
    {"MemorySwappiness", "-1", "0", "100"},
    {"OomKillDisable", "false", "true", "0"},
    {"OomScoreAdj", "0", "-1000", "1"},
    {"PidMode", "''", "'host'", "'container:x'"},
    {"PidsLimit", "0", "-1", "10"},
    {"Privileged", "false", "true", "1"},
    {"PublishAllPorts", "false", "true", "'true'"},
    {"ReadonlyPaths", NULL, "[]", "['/proc/x']"},
    {"ReadonlyRootfs", "false", "true", "0"},
    {"Runtime", "''", "'runc'", "'/tmp/x'"},
    {"SecurityOpt", "[]", "['seccomp=unconfined']", "['apparmor=unconfined']"},
    {"ShmSize", "0", "1", "-1"},
    {"StorageOpt", "{}", "{'size':'1G'}", "[]"},
    {"Sysctls", "{}", "{'net.ipv4.ip_forward':'1'}", "[]"},
    {"Tmpfs", "{}", "{'/x':'exec'}", "[]"},
    {"UTSMode", "''", "'host'", "0"},
    {"Ulimits", "[]", "[{'Name':'nofile','Soft':1,'Hard':1}]", "{}"},
    {"UsernsMode", "''", "'host'", "'keep-id'"},
    {"VolumeDriver", "''", "'nfs'", "'local'"},
    {"VolumesFrom", "[]", "['other']", "'other'"},
};

static const struct key top_keys[] = {
    {"ArgsEscaped", "false", "true", "0"},
    {"AttachStdin", "false", "true", "0"},
    {"AttachStdout", "true", "0", "'x'"},
    {"AttachStderr", "false", "1", "[]"},
    {"Cmd", "[]", "['sh']", "'sh'"},
    {"Domainname", "''", "'x'", "0"},
    {"Entrypoint", NULL, "[]", "['sh']"},
    {"Healthcheck", NULL, "{'Test':['CMD-SHELL','x']}", "{}"},
    {"MacAddress", "''", "'02:42:ac:11:00:02'", "0"},
    {"NetworkDisabled", "false", "true", "0"},
    {"OnBuild", "[]", "['RUN x']", "''"},
    {"OpenStdin", "false", "true", "0"},
    {"Shell", "[]", "['sh']", "''"},
    {"StdinOnce", "false", "true", "0"},
    {"StopSignal", "''", "'SIGKILL'", "9"},
    {"StopTimeout", NULL, "0", "10"},
    {"Tty", "false", "true", "0"},
    {"User", "''", "'root'", "0"},
    {"Volumes", "{}", "{'/x':{}}", "[]"},
    {"WorkingDir", "''", "'/'", "0"},
};

/* `key` is how messages name it. */
static void asks_for_nothing(const char *form, const char *key, const char *value, const char *want)
{
    char body[256];
    snprintf(body, sizeof(body), form, key, value);
    passes(CONTAINER, body, want);
}

static void asks_in_vain(const char *form, const char *key, const char *path, const char *value)
{
    char body[256], why[128];
    snprintf(body, sizeof(body), form, key, value);
    snprintf(why, sizeof(why), "%s is not allowed", path);
    refused(CONTAINER, body, DOCKER_FAULT_KEY, path, why);
}

#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static const char in_host[] = "{'Image':'busybox','HostConfig':{'%s':%s}}";
static const char at_top[] = "{'Image':'busybox','%s':%s}";

static void check_keys(const struct key *keys, size_t n, const char *form, const char *prefix,
                       const char *want)
{
    char path[64];
    for (size_t i = 0; i < n; i++) {
        const struct key *k = &keys[i];
        snprintf(path, sizeof(path), "%s%s", prefix, k->key);
        asks_for_nothing(form, k->key, "null", want);
        if (k->idle) {
            asks_for_nothing(form, k->key, k->idle, want);
        }
        asks_in_vain(form, k->key, path, k->asks);
        asks_in_vain(form, k->key, path, k->also_asks);
        asks_in_vain(form, k->key, path, "1.5");
        asks_in_vain(form, k->key, path, "[[]]");
        asks_in_vain(form, k->key, path, "{'':0}");
        asks_in_vain(form, k->key, path, "' '");
        asks_in_vain(form, k->key, path, "0.0");
    }
}

static void powers_of_the_host_pass_in_no_shape(void **state)
{
    (void)state;
    check_keys(host_keys, ARRAY_LEN(host_keys), in_host, "HostConfig.", HOST(""));
}

static void other_keys_of_a_container_pass_in_no_shape(void **state)
{
    (void)state;
    check_keys(top_keys, ARRAY_LEN(top_keys), at_top, "", BASE);
}

/* Docker 20.10 takes HostConfig's keys beside it, too. */
static void powers_at_the_wrong_level_are_refused(void **state)
{
    static const char *const granted[] = {
        "NetworkMode",   "Mounts",         "Memory", "Devices", "PortBindings", "NanoCpus",
        "RestartPolicy", "DeviceRequests", "Cpuset", "Name",    "EnvMerge"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(host_keys); i++) {
        asks_in_vain(at_top, host_keys[i].key, host_keys[i].key, host_keys[i].asks);
        asks_in_vain(at_top, host_keys[i].key, host_keys[i].key, "null");
    }
    for (size_t i = 0; i < ARRAY_LEN(granted); i++) {
        asks_in_vain(at_top, granted[i], granted[i], "null");
    }
    for (size_t i = 0; i < ARRAY_LEN(top_keys); i++) {
        char path[64];
        snprintf(path, sizeof(path), "HostConfig.%s", top_keys[i].key);
        asks_in_vain(in_host, top_keys[i].key, path, "null");
    }
}

/* Each key of the tables that is not granted stands in a table above. */
static void no_key_is_left_out_here(void **state)
{
    static const struct {
        const struct docker_field *fields;
        const struct key *keys;
        size_t n;
    } tables[] = {
        {docker_schema_host, host_keys, ARRAY_LEN(host_keys)},
        {docker_schema_container, top_keys, ARRAY_LEN(top_keys)},
    };
    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        for (const struct docker_field *f = tables[t].fields; f->key; f++) {
            bool there = f->take != NULL;
            for (size_t i = 0; i < tables[t].n; i++) {
                there |= strcmp(tables[t].keys[i].key, f->key) == 0;
            }
            if (!there) {
                fail_msg("%s", f->key);
            }
        }
    }
}

/* ---- extras ---- */

static void only_harmless_keys_can_be_extras(void **state)
{
    static const struct {
        const char *key;
        enum docker_extra_type type;
    } rows[] = {
        {"Domainname", DOCKER_EXTRA_STRING},
        {"User", DOCKER_EXTRA_STRING},
        {"WorkingDir", DOCKER_EXTRA_STRING},
        {"Tty", DOCKER_EXTRA_BOOLEAN},
        {"Cmd", DOCKER_EXTRA_STRINGS},
        {"Entrypoint", DOCKER_EXTRA_STRINGS},
        {"StopSignal", DOCKER_EXTRA_STRING},
        {"StopTimeout", DOCKER_EXTRA_INTEGER},
        {"HostConfig.AutoRemove", DOCKER_EXTRA_BOOLEAN},
        {"HostConfig.ReadonlyRootfs", DOCKER_EXTRA_BOOLEAN},
        {"HostConfig.Init", DOCKER_EXTRA_BOOLEAN},
        {"HostConfig.ShmSize", DOCKER_EXTRA_INTEGER},
        {"HostConfig.PidsLimit", DOCKER_EXTRA_INTEGER},
        {"HostConfig.CpuShares", DOCKER_EXTRA_INTEGER},
        {"HostConfig.MemoryReservation", DOCKER_EXTRA_INTEGER},
        {"HostConfig.MemorySwap", DOCKER_EXTRA_INTEGER},
        {"HostConfig.OomScoreAdj", DOCKER_EXTRA_INTEGER},
        {"HostConfig.CpusetCpus", DOCKER_EXTRA_STRING},
        {"HostConfig.CpusetMems", DOCKER_EXTRA_STRING},
        {"HostConfig.CapDrop", DOCKER_EXTRA_STRINGS},
        {"HostConfig.SecurityOpt", DOCKER_EXTRA_STRINGS},
        {"HostConfig.Dns", DOCKER_EXTRA_STRINGS},
        {"HostConfig.DnsSearch", DOCKER_EXTRA_STRINGS},
    };
    size_t found = 0, there = 0;
    char key[64];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int t = DOCKER_EXTRA_STRING; t <= DOCKER_EXTRA_STRINGS; t++) {
            const char *why = docker_extra_key(str_of(rows[i].key), (enum docker_extra_type)t);
            if (!why != (t == (int)rows[i].type)) {
                fail_msg("%s as %d: %s", rows[i].key, t, why ? why : "can be granted");
            }
            found += !why;
        }
    }
    /* and nothing beside them */
    for (const struct docker_field *f = docker_schema_container; f->key; f++) {
        there += !docker_extra_key(str_of(f->key), f->type);
    }
    for (const struct docker_field *f = docker_schema_host; f->key; f++) {
        snprintf(key, sizeof(key), "HostConfig.%s", f->key);
        there += !docker_extra_key(str_of(key), f->type);
    }
    assert_int_equal(found, ARRAY_LEN(rows));
    assert_int_equal(there, found);
    static const char *const never[] = {"HostConfig.Privileged",
                                        "HostConfig.CapAdd",
                                        "HostConfig.Binds",
                                        "HostConfig.PidMode",
                                        "HostConfig.IpcMode",
                                        "HostConfig.UsernsMode",
                                        "HostConfig.CgroupParent",
                                        "HostConfig.Runtime",
                                        "HostConfig.Tmpfs",
                                        "HostConfig.VolumesFrom",
                                        "HostConfig.Sysctls",
                                        "HostConfig.MaskedPaths",
                                        "HostConfig.ReadonlyPaths",
                                        "HostConfig.Devices",
                                        "HostConfig.Memory",
                                        "HostConfig.DeviceCgroupRules",
                                        "HostConfig",
                                        "HostConfig.",
                                        "",
                                        "ShmSize",
                                        "HostConfig.Cmd",
                                        "HostConfig.shmsize",
                                        "Image",
                                        "HostConfig.LogConfig.Type"};
    for (size_t i = 0; i < ARRAY_LEN(never); i++) {
        for (int t = DOCKER_EXTRA_STRING; t <= DOCKER_EXTRA_STRINGS; t++) {
            assert_non_null(docker_extra_key(str_of(never[i]), (enum docker_extra_type)t));
        }
    }
}

static const struct docker_extra extras[] = {
    {.key = "Domainname", .type = DOCKER_EXTRA_STRING},
    {.key = "User", .type = DOCKER_EXTRA_STRING, .values = WORDS("1000", "app-*")},
    {.key = "WorkingDir", .type = DOCKER_EXTRA_STRING},
    {.key = "Tty", .type = DOCKER_EXTRA_BOOLEAN},
    {.key = "Cmd", .type = DOCKER_EXTRA_STRINGS, .values = WORDS("serve", "--port=*")},
    {.key = "Entrypoint", .type = DOCKER_EXTRA_STRINGS},
    {.key = "StopSignal", .type = DOCKER_EXTRA_STRING},
    {.key = "StopTimeout", .type = DOCKER_EXTRA_INTEGER, .max = 60},
    {.key = "HostConfig.Init", .type = DOCKER_EXTRA_BOOLEAN},
    {.key = "HostConfig.ShmSize", .type = DOCKER_EXTRA_INTEGER, .max = 1000},
    {.key = "HostConfig.OomScoreAdj", .type = DOCKER_EXTRA_INTEGER, .max = 5000},
    {.key = "HostConfig.CpusetCpus", .type = DOCKER_EXTRA_STRING},
    {.key = "HostConfig.CapDrop", .type = DOCKER_EXTRA_STRINGS},
    {.key = "HostConfig.SecurityOpt", .type = DOCKER_EXTRA_STRINGS},
    {.key = "HostConfig.Dns", .type = DOCKER_EXTRA_STRINGS},
    {.key = "HostConfig.DnsSearch", .type = DOCKER_EXTRA_STRINGS},
    /* These do nothing, as docker_extra_key would have said. */
    {.key = "HostConfig.Privileged", .type = DOCKER_EXTRA_BOOLEAN},
    {.key = "HostConfig.Binds", .type = DOCKER_EXTRA_STRINGS},
    {.key = "HostConfig.PidMode", .type = DOCKER_EXTRA_STRING},
    {.key = "HostConfig.PidsLimit", .type = DOCKER_EXTRA_STRING},
    {.key = "ReadonlyRootfs", .type = DOCKER_EXTRA_BOOLEAN},
};

static void extras_pass_within_their_lists_and_limits(void **state)
{
    static const char *const good[] = {
        TOP("'Domainname':'x.test'"),
        TOP("'User':'1000'"),
        TOP("'User':'app-x:app'"),
        TOP("'WorkingDir':'/srv/app'"),
        TOP("'Tty':true"),
        TOP("'Cmd':['serve','--port=80']"),
        TOP("'Entrypoint':['/bin/sh','-c','']"),
        TOP("'Entrypoint':[]"),
        TOP("'StopSignal':'SIGINT'"),
        TOP("'StopTimeout':0"),
        TOP("'StopTimeout':60"),
        HOST("'Init':true"),
        HOST("'Init':false"),
        HOST("'ShmSize':1000"),
        HOST("'OomScoreAdj':1000"),
        HOST("'CpusetCpus':'0-3,5'"),
        HOST("'CapDrop':['ALL','CAP_CHOWN']"),
        HOST("'SecurityOpt':['no-new-privileges','no-new-privileges:true',"
             "'no-new-privileges=true']"),
        HOST("'Dns':['10.0.0.1','::1']"),
        HOST("'DnsSearch':['a.test']"),
    };
    static const struct {
        const char *body, *why;
    } bad[] = {
        {TOP("'Domainname':'a b'"), "Domainname is not a host's name"},
        {TOP("'User':'root'"), "User has a value that the policy does not list"},
        {TOP("'User':'1000:docker'"), "User has a value that the policy does not list"},
        {TOP("'User':'app-\\n'"), "User holds a control character"},
        {TOP("'WorkingDir':'/a/../b'"), "WorkingDir has an empty or dot segment"},
        {TOP("'Tty':1"), "Tty is not true or false"},
        {TOP("'Cmd':['sh']"), "Cmd has a value that the policy does not list"},
        {TOP("'Cmd':['serve','sh']"), "Cmd has a value that the policy does not list"},
        {TOP("'Cmd':'serve'"), "Cmd is not an array"},
        {TOP("'Cmd':[['serve']]"), "Cmd is not a string"},
        {TOP("'Entrypoint':['a\\u0000']"), "Entrypoint holds a control character"},
        {TOP("'StopSignal':'SIG INT'"), "StopSignal is not a signal"},
        {TOP("'StopTimeout':-1"), "StopTimeout is too small"},
        {TOP("'StopTimeout':61"), "StopTimeout is too large"},
        {TOP("'StopTimeout':1.0"), "StopTimeout is not an integer"},
        {HOST("'ShmSize':1001"), "HostConfig.ShmSize is too large"},
        {HOST("'ShmSize':-1"), "HostConfig.ShmSize is too small"},
        {HOST("'OomScoreAdj':-1"), "HostConfig.OomScoreAdj is too small"},
        {HOST("'OomScoreAdj':1001"), "HostConfig.OomScoreAdj is too large"},
        {HOST("'CpusetCpus':'a'"), "HostConfig.CpusetCpus is not a list of numbers"},
        {HOST("'CapDrop':['A-B']"), "HostConfig.CapDrop is not a capability"},
        {HOST("'SecurityOpt':['seccomp=unconfined']"),
         "HostConfig.SecurityOpt may hold no-new-privileges only"},
        {HOST("'SecurityOpt':['no-new-privileges:false']"),
         "HostConfig.SecurityOpt may hold no-new-privileges only"},
        {HOST("'Dns':['a.test']"), "HostConfig.Dns is not an IP address"},
        {HOST("'DnsSearch':['.']"), "HostConfig.DnsSearch is not a host's name"},
    };
    static const char *const never[] = {"'Privileged':true", "'Binds':['/:/x']", "'PidMode':'host'",
                                        "'PidsLimit':'x'", "'ReadonlyRootfs':true"};
    char body[128];
    (void)state;
    grants.extras = extras;
    grants.nextras = ARRAY_LEN(extras);
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        passes(CONTAINER, good[i], good[i]);
    }
    passes(CONTAINER, TOP("'User':'','Cmd':null,'Tty':null"), BASE);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (judge(CONTAINER, bad[i].body) != 403 || strcmp(verdict.why, bad[i].why) != 0 ||
            verdict.fault != DOCKER_FAULT_NEVER) {
            fail_msg("%d %s: %s", verdict.status, verdict.why, bad[i].body);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(never); i++) {
        snprintf(body, sizeof(body), HOST("%s"), never[i]);
        assert_int_equal(judge(CONTAINER, body), 403);
        assert_int_equal(verdict.fault, DOCKER_FAULT_KEY);
    }
    snprintf(body, sizeof(body), "{'Image':'busybox','ReadonlyRootfs':true}");
    assert_int_equal(judge(CONTAINER, body), 403);
}

static void an_array_of_an_extra_has_a_limit(void **state)
{
    static char body[8192];
    (void)state;
    grants.extras = extras;
    grants.nextras = ARRAY_LEN(extras);
    for (unsigned more = 0; more < 2; more++) {
        size_t n = (size_t)snprintf(body, sizeof(body), "{'Image':'busybox','Entrypoint':[''");
        for (unsigned i = 1; i < DOCKER_WORDS_MAX + more; i++) {
            n += (size_t)snprintf(body + n, sizeof(body) - n, ",'a'");
        }
        snprintf(body + n, sizeof(body) - n, "]}");
        assert_int_equal(judge(CONTAINER, body), more ? 403 : 0);
    }
    assert_string_equal(verdict.why, "Entrypoint has too many elements");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_reset, bench_end)
    const struct CMUnitTest tests[] = {
        TEST(powers_of_the_host_pass_in_no_shape),
        TEST(other_keys_of_a_container_pass_in_no_shape),
        TEST(powers_at_the_wrong_level_are_refused),
        TEST(no_key_is_left_out_here),
        TEST(only_harmless_keys_can_be_extras),
        TEST(extras_pass_within_their_lists_and_limits),
        TEST(an_array_of_an_extra_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
