/* Bodies of containers/create: folders, volumes and devices of the host. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/docker/schema.h"
#include "tests/unit/docker_body_bench.h"

#define CONTAINER DOCKER_BODY_CONTAINER

static void good(const char *body)
{
    passes(CONTAINER, body, body);
}

static void check(const char *body, enum docker_fault fault, const char *why)
{
    if (judge(CONTAINER, body) != 403 || verdict.fault != fault || strcmp(verdict.why, why) != 0) {
        fail_msg("%d %d %s: %s", verdict.status, (int)verdict.fault, verdict.why, body);
    }
}

static void bad(const char *body, const char *why)
{
    check(body, DOCKER_FAULT_NEVER, why);
}

/* ---- mounts ---- */

#define MOUNT(more) HOST("'Mounts':[{" more "}]")
#define VOLUME(source) MOUNT("'Type':'volume','Source':'" source "','Target':'/data'")
#define BIND(source) MOUNT("'Type':'bind','Source':'" source "','Target':'/data'")
#define BIND_RO(source)                                                                            \
    MOUNT("'Type':'bind','Source':'" source "','Target':'/data','ReadOnly':true")
#define AT "HostConfig.Mounts"

static void volumes_are_those_listed(void **state)
{
    (void)state;
    good(VOLUME("nc_app_x_data"));
    good(MOUNT("'Type':'volume','Source':'nc_app_x','Target':'/a/b','ReadOnly':false"));
    passes(CONTAINER, MOUNT("'Type':'volume','Source':'nc_app_x','Target':'/a','Readonly':true"),
           MOUNT("'Type':'volume','Source':'nc_app_x','Target':'/a','ReadOnly':true"));
    passes(CONTAINER,
           MOUNT("'Type':'volume','Source':'nc_app_x','Target':'/a','VolumeOptions':null,"
                 "'BindOptions':null,'TmpfsOptions':null,'Consistency':'','ReadOnly':null"),
           MOUNT("'Type':'volume','Source':'nc_app_x','Target':'/a'"));
    refused(CONTAINER, VOLUME("other"), DOCKER_FAULT_VOLUME, "other",
            "mount source is a volume that the policy does not list");
    refused(CONTAINER, VOLUME("nc_app_"), DOCKER_FAULT_VOLUME, "nc_app_",
            "mount source is a volume that the policy does not list");
    bad(VOLUME(""), "mount source is not a volume's name");
    bad(VOLUME("/srv/x"), "mount source is not a volume's name");
    bad(VOLUME("nc_app_x/../y"), "mount source is not a volume's name");
    bad(VOLUME("nc_app_x,ro=false"), "mount source is not a volume's name");
}

static void mounts_are_volumes_or_folders(void **state)
{
    static const char *const types[] = {"tmpfs", "npipe",  "image", "cluster", "glob",
                                        "ramfs", "devpts", "",      "Bind",    "BIND"};
    static const struct {
        const char *member, *key;
    } rows[] = {
        {"'VolumeOptions':{}", "VolumeOptions"},
        {"'VolumeOptions':{'DriverConfig':{'Name':'local','Options':{'type':'none','o':'bind',"
         "'device':'/'}}}",
         "VolumeOptions"},
        {"'BindOptions':{}", "BindOptions"},
        {"'BindOptions':{'Propagation':'rshared'}", "BindOptions"},
        {"'BindOptions':{'NonRecursive':true}", "BindOptions"},
        {"'TmpfsOptions':{}", "TmpfsOptions"},
        {"'ImageOptions':{}", "ImageOptions"},
        {"'ClusterOptions':{}", "ClusterOptions"},
        {"'Consistency':'cached'", "Consistency"},
        {"'Propagation':''", "Propagation"},
        {"'Labels':{}", "Labels"},
    };
    char body[256], why[128], what[64];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        snprintf(body, sizeof(body), MOUNT("'Type':'%s','Source':'nc_app_x','Target':'/a'"),
                 types[i]);
        bad(body, AT ".Type is neither volume nor bind");
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(body, sizeof(body), MOUNT("'Type':'volume','Source':'nc_app_x','Target':'/a',%s"),
                 rows[i].member);
        snprintf(what, sizeof(what), AT ".%s", rows[i].key);
        snprintf(why, sizeof(why), AT ".%s is not allowed", rows[i].key);
        refused(CONTAINER, body, DOCKER_FAULT_KEY, what, why);
    }
    bad(MOUNT(""), AT " has one without Type, Source or Target");
    bad(MOUNT("'Source':'nc_app_x','Target':'/a'"), AT " has one without Type, Source or Target");
    bad(MOUNT("'Type':'volume','Target':'/a'"), AT " has one without Type, Source or Target");
    bad(MOUNT("'Type':'volume','Source':'nc_app_x'"), AT " has one without Type, Source or Target");
    bad(MOUNT("'Type':null,'Source':'nc_app_x','Target':'/a'"), AT ".Type is not a string");
    bad(HOST("'Mounts':[null]"), AT " is not an object");
    bad(HOST("'Mounts':{}"), AT " is not an array");
    bad(HOST("'Mounts':['/srv/x:/x']"), AT " is not an object");
    bad(MOUNT("'Type':'volume','Source':'nc_app_x','Target':'/a','ReadOnly':1"),
        AT ".ReadOnly is not true or false");
}

static void folders_are_those_listed(void **state)
{
    static const struct {
        const char *body, *what;
        bool writes;
    } rows[] = {
        {BIND("/srv"), "/srv:rw", true},
        {BIND_RO("/srv"), "/srv", false},
        {BIND("/srv/x/y"), "/srv/x/y:rw", true},
        {BIND_RO("/srv/x/y"), "/srv/x/y", false},
        {BIND_RO("/srv/xy"), "/srv/xy", false},
        {BIND_RO("/etc"), "/etc", false},
        {BIND_RO("/SRV/x"), "/SRV/x", false},
        {BIND("/srv/ro"), "/srv/ro:rw", true},
        {BIND("/srv/tree"), "/srv/tree:rw", true},
        {BIND("/srv/tree/a"), "/srv/tree/a:rw", true},
        {BIND_RO("/srv/treetop"), "/srv/treetop", false},
        {BIND_RO("/var/run/docker.sock"), "/var/run/docker.sock", false},
        {MOUNT("'Type':'bind','Source':'/srv/ro','Target':'/x','ReadOnly':false"), "/srv/ro:rw",
         true},
        {MOUNT("'Type':'bind','Source':'/srv/ro','Target':'/x','Readonly':false"), "/srv/ro:rw",
         true},
        {MOUNT("'Type':'bind','Source':'/srv/ro','Target':'/x','ReadOnly':null"), "/srv/ro:rw",
         true},
    };
    (void)state;
    good(BIND("/srv/x"));
    good(BIND_RO("/srv/x"));
    good(BIND_RO("/srv/ro"));
    good(BIND_RO("/srv/tree"));
    good(BIND_RO("/srv/tree/a/b"));
    good(BIND_RO("/srv/tree/\xc3\xa4"));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        refused(CONTAINER, rows[i].body, DOCKER_FAULT_BIND, rows[i].what,
                rows[i].writes
                    ? "mount source is a folder that the policy does not list for writing"
                    : "mount source is a folder that the policy does not list");
    }
}

static void paths_are_plain(void **state)
{
    static const char chars[] = "holds a comma, colon, quote or backslash";
    static const char dots[] = "has an empty or dot segment";
    static const char form[] = "is not an absolute path below /, or is too long";
    static const char control[] = "holds a control character";
    static const struct {
        const char *path, *why;
    } rows[] = {
        {"/", form},
        {"", form},
        {"srv/x", form},
        {"./x", form},
        {"//", dots},
        {"/srv//x", dots},
        {"/srv/x/", dots},
        {"/srv/./x", dots},
        {"/srv/x/.", dots},
        {"/srv/tree/../x", dots},
        {"/srv/tree/..", dots},
        {"/..", dots},
        {"/.", dots},
        {"/srv/x,ro=false", chars},
        {"/srv/x:z", chars},
        {"/srv/x\\\\y", chars},
        {"/srv/x\\\"y", chars},
        {"C:\\\\", chars},
        {"/srv/x\\u0000", control},
        {"/srv/x\\u007f", control},
        {"/srv/x\\n", control},
    };
    char body[256], why[128];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(body, sizeof(body),
                 "{\"Image\":\"busybox\",\"HostConfig\":{\"Mounts\":[{\"Type\":\"bind\","
                 "\"ReadOnly\":true,\"Source\":\"%s\",\"Target\":\"/x\"}]}}",
                 rows[i].path);
        snprintf(why, sizeof(why), "%s %s", rows[i].why == control ? AT ".Source" : "mount source",
                 rows[i].why);
        bad(body, why);
        snprintf(body, sizeof(body),
                 "{\"Image\":\"busybox\",\"HostConfig\":{\"Mounts\":[{\"Type\":\"volume\","
                 "\"Source\":\"nc_app_x\",\"Target\":\"%s\"}]}}",
                 rows[i].path);
        snprintf(why, sizeof(why), AT ".Target %s", rows[i].why);
        bad(body, why);
    }
    /* These only look like dot segments. */
    good(MOUNT("'Type':'volume','Source':'nc_app_x','Target':'/.x/..y/...'"));
}

static void paths_and_mounts_have_limits(void **state)
{
    static char body[32 * 1024], path[DOCKER_BODY_PATH_MAX + 2];
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        memset(path, 'x', sizeof(path));
        path[0] = '/';
        path[DOCKER_BODY_PATH_MAX + i] = '\0';
        snprintf(body, sizeof(body), MOUNT("'Type':'volume','Source':'nc_app_x','Target':'%s'"),
                 path);
        assert_int_equal(judge(CONTAINER, body), i ? 403 : 0);
        size_t n = (size_t)snprintf(body, sizeof(body),
                                    "{'Image':'busybox','HostConfig':{'Mounts':"
                                    "[");
        for (unsigned k = 0; k < DOCKER_MOUNTS_MAX + i; k++) {
            n += (size_t)snprintf(body + n, sizeof(body) - n,
                                  "%s{'Type':'volume','Source':'nc_app_x','Target':'/a%u'}",
                                  k ? "," : "", k);
        }
        snprintf(body + n, sizeof(body) - n, "]}}");
        assert_int_equal(judge(CONTAINER, body), i ? 403 : 0);
    }
    assert_string_equal(verdict.why, AT " has too many elements");
}

struct asked {
    unsigned times;
    char last[64];
    const char *answer;
};

static const char *ask(void *arg, const struct docker_bind *bind, struct str source)
{
    struct asked *a = arg;
    a->times++;
    snprintf(a->last, sizeof(a->last), "%s %.*s", bind->path, STR_ARG(source));
    return a->answer;
}

static void the_host_is_asked_about_folders_that_are_listed(void **state)
{
    struct asked asked = {0};
    const struct docker_host host = {.bind = ask, .arg = &asked};
    (void)state;
    bench_host = &host;
    assert_int_equal(judge(CONTAINER, VOLUME("nc_app_x")), 0);
    assert_int_equal(judge(CONTAINER, BIND("/etc")), 403);
    assert_int_equal(judge(CONTAINER, BIND("/srv/tree/a")), 403);
    assert_int_equal(asked.times, 0);
    assert_int_equal(judge(CONTAINER, BIND_RO("/srv/tree/a")), 0);
    assert_int_equal(asked.times, 1);
    assert_string_equal(asked.last, "/srv/tree /srv/tree/a");
    asked.answer = "is a symbolic link";
    refused(CONTAINER, BIND("/srv/x"), DOCKER_FAULT_NEVER, "/srv/x",
            "mount source is a symbolic link");
    assert_string_equal(asked.last, "/srv/x /srv/x");
}

static void note(void *arg, struct str name)
{
    char *names = arg;
    size_t n = strlen(names);
    snprintf(names + n, 64 - n, "%.*s;", STR_ARG(name));
}

static void volumes_of_a_body_are_told(void **state)
{
    char names[64] = "";
    (void)state;
    assert_int_equal(
        judge(CONTAINER,
              HOST("'Mounts':[{'Type':'volume','Source':'nc_app_a','Target':'/a'},{'Type':'bind',"
                   "'Source':'/srv/x','Target':'/x'},{'Type':'volume','Source':'nc_app_b','Target':"
                   "'/b'}]")),
        0);
    assert_int_equal(docker_body_volumes((struct str){out.p, out.n}, note, names), 0);
    assert_string_equal(names, "nc_app_a;nc_app_b;");
    names[0] = '\0';
    assert_int_equal(judge(CONTAINER, BASE), 0);
    assert_int_equal(docker_body_volumes((struct str){out.p, out.n}, note, names), 0);
    assert_string_equal(names, "");
    /* What can't be read says nothing, and says so. */
    assert_int_equal(docker_body_volumes(STR("{"), note, names), -1);
    assert_int_equal(docker_body_volumes(STR("{\"HostConfig\":{\"Mounts\":[1]}}"), note, names),
                     -1);
}

/* ---- devices ---- */

#define GPU(more) HOST("'DeviceRequests':[{" more "}]")
#define REQUESTS "HostConfig.DeviceRequests"

static void gpus_are_asked_for_where_listed(void **state)
{
    (void)state;
    good(GPU("'Driver':'nvidia','Count':-1,'Capabilities':[['compute','utility']]"));
    good(GPU("'Driver':'cdi','DeviceIDs':['nvidia.com/gpu=all','nvidia.com/gpu=0']"));
    good(GPU("'Driver':'','Count':64,'Capabilities':[['gpu','video'],['graphics']]"));
    good(GPU("'DeviceIDs':['0','GPU-fef8089b-4820-abfc-e83e-94318197576e']"));
    passes(CONTAINER, GPU("'Driver':'nvidia','DeviceIDs':null,'Options':{},'Capabilities':[]"),
           GPU("'Driver':'nvidia'"));
    bad(GPU("'Driver':'Nvidia'"), REQUESTS ".Driver is not a driver of GPUs");
    bad(GPU("'Driver':'amd.com'"), REQUESTS ".Driver is not a driver of GPUs");
    bad(GPU("'Count':-2"), REQUESTS ".Count is too small");
    bad(GPU("'Count':65"), REQUESTS ".Count is too large");
    bad(GPU("'Count':1.0"), REQUESTS ".Count is not an integer");
    bad(GPU("'Capabilities':[['tpu']]"), REQUESTS ".Capabilities is not one for GPUs");
    bad(GPU("'Capabilities':['gpu']"), REQUESTS ".Capabilities is not an array");
    bad(GPU("'Capabilities':[[['gpu']]]"), REQUESTS ".Capabilities is not a string");
    bad(GPU("'Driver':'cdi','DeviceIDs':['vendor.com/net=all']"),
        REQUESTS " has one that is not nvidia.com/gpu=...");
    bad(GPU("'Driver':'cdi','DeviceIDs':['nvidia.com/gpu=']"),
        REQUESTS " has one that is not nvidia.com/gpu=...");
    bad(GPU("'Driver':'cdi','DeviceIDs':['nvidia.com/gpu=a,b']"),
        REQUESTS " has one that is not a GPU");
    bad(GPU("'Driver':'cdi'"), REQUESTS " names no device for the cdi driver");
    bad(GPU("'Driver':'cdi','DeviceIDs':[]"), REQUESTS " names no device for the cdi driver");
    bad(GPU("'DeviceIDs':['nvidia.com/gpu=0']"), REQUESTS " has one that is for the cdi driver");
    bad(GPU("'Driver':'nvidia','DeviceIDs':['/dev/sda']"), REQUESTS " has one that is not a GPU");
    bad(GPU("'DeviceIDs':['all,/dev']"), REQUESTS " has one that is not a GPU");
    bad(GPU("'DeviceIDs':[0]"), REQUESTS ".DeviceIDs is not a string");
    check(GPU("'Options':{'a':'b'}"), DOCKER_FAULT_KEY, REQUESTS ".Options is not allowed");
    grants.devices = (struct docker_words)WORDS("/dev/dri");
    refused(CONTAINER, GPU("'Driver':'nvidia'"), DOCKER_FAULT_DEVICE, "gpu",
            REQUESTS " is for GPUs, which the policy does not list");
    passes(CONTAINER, HOST("'DeviceRequests':[]"), HOST(""));
}

#define DEVICE(host, inside, how)                                                                  \
    HOST("'Devices':[{'PathOnHost':'" host "','PathInContainer':'" inside                          \
         "','CgroupPermissions':'" how "'}]")
#define DEVICES "HostConfig.Devices"

static void devices_are_those_listed(void **state)
{
    (void)state;
    good(DEVICE("/dev/kfd", "/dev/kfd", "rwm"));
    good(DEVICE("/dev/dri", "/dev/dri", "r"));
    refused(CONTAINER, DEVICE("/dev/sda", "/dev/sda", "rwm"), DOCKER_FAULT_DEVICE, "/dev/sda",
            DEVICES " has a device that the policy does not list");
    refused(CONTAINER, DEVICE("/dev/dri/card0", "/dev/dri/card0", "rwm"), DOCKER_FAULT_DEVICE,
            "/dev/dri/card0", DEVICES " has a device that the policy does not list");
    bad(DEVICE("gpu", "gpu", "rwm"),
        DEVICES ".PathOnHost is not an absolute path below /, or is too long");
    bad(DEVICE("/dev/dri", "/dev/sda", "rwm"), DEVICES " has a device under another name");
    bad(DEVICE("/dev/dri/../sda", "/dev/sda", "rwm"),
        DEVICES ".PathOnHost has an empty or dot segment");
    bad(DEVICE("/dev/dri", "/dev/dri", ""), DEVICES ".CgroupPermissions is empty");
    bad(DEVICE("/dev/dri", "/dev/dri", "rwx"), DEVICES ".CgroupPermissions is not of r, w and m");
    bad(DEVICE("/dev/dri", "/dev/dri", "rr"), DEVICES ".CgroupPermissions is not of r, w and m");
    bad(HOST("'Devices':[{'PathOnHost':'/dev/dri','PathInContainer':'/dev/dri'}]"),
        DEVICES " has one without PathOnHost, PathInContainer or CgroupPermissions");
    bad(HOST("'Devices':['/dev/dri']"), DEVICES " is not an object");
    passes(CONTAINER, HOST("'Devices':null"), HOST(""));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_reset, bench_end)
    const struct CMUnitTest tests[] = {
        TEST(volumes_are_those_listed),     TEST(mounts_are_volumes_or_folders),
        TEST(folders_are_those_listed),     TEST(paths_are_plain),
        TEST(paths_and_mounts_have_limits), TEST(the_host_is_asked_about_folders_that_are_listed),
        TEST(volumes_of_a_body_are_told),   TEST(gpus_are_asked_for_where_listed),
        TEST(devices_are_those_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
