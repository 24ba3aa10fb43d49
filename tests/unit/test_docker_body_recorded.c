/* Bodies as they come: from docker of two versions (recorded, in $TESTS_DATA/docker-cli or
 * ./tests/data/docker-cli), from the hub, and from AppAPI's mode for Docker sockets. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/docker_body_bench.h"

static char text[64 * 1024];

static size_t read_recorded(const char *version, const char *name)
{
    const char *data = getenv("TESTS_DATA");
    char path[512];
    snprintf(path, sizeof(path), "%s/docker-cli/%s-%s.json", data ? data : "./tests/data", version,
             name);
    FILE *f = fopen(path, "rb");
    if (!f) {
        fail_msg("cannot open %s", path);
    }
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    while (n > 0 && text[n - 1] == '\n') {
        n--;
    }
    text[n] = '\0';
    return n;
}

static const char *const versions[] = {"20.10", "28.2"};

static void what_docker_sends_passes_when_it_asks_for_no_more(void **state)
{
    static const struct {
        const char *name;
        enum docker_body kind;
        const char *want[2]; /* by version */
    } rows[] = {
#define RESTART "'RestartPolicy':{'Name':'no','MaximumRetryCount':0}"
#define PLAIN "{'Image':'busybox','HostConfig':{'NetworkMode':'default'," RESTART "},"
        {"create-plain",
         DOCKER_BODY_CONTAINER,
         {PLAIN "'NetworkingConfig':{}}",
          PLAIN "'NetworkingConfig':{'EndpointsConfig':{'default':{}}}}"}},
        {"run-detached",
         DOCKER_BODY_CONTAINER,
         {PLAIN "'NetworkingConfig':{}}",
          PLAIN "'NetworkingConfig':{'EndpointsConfig':{'default':{}}}}"}},
#define ON_HOST                                                                                    \
    "{'Env':['A=b'],'Image':'busybox','HostConfig':{'NetworkMode':'host'," RESTART "},"            \
    "'NetworkingConfig':{}}"
        {"create-host", DOCKER_BODY_CONTAINER, {ON_HOST, ON_HOST}},
#define FULL                                                                                       \
    "{'Hostname':'x','ExposedPorts':{'23000/tcp':{},'23001/tcp':{}},'Env':['A=b'],'Image':"        \
    "'busybox','Labels':{'k':'v'},'HostConfig':{'NetworkMode':'front','PortBindings':{"            \
    "'23000/tcp':[{'HostIp':'127.0.0.1','HostPort':'23000'}]},'RestartPolicy':{'Name':"            \
    "'unless-stopped','MaximumRetryCount':0},'Memory':536870912,'NanoCpus':1500000000,"            \
    "'Devices':[{'PathOnHost':'/dev/dri','PathInContainer':'/dev/dri','CgroupPermissions':"        \
    "'rwm'}],'DeviceRequests':[{'Driver':'','Count':-1,'Capabilities':[['gpu']]}],'Mounts':[{"     \
    "'Type':'volume','Source':'nc_app_x_data','Target':'/nc_app_x_data'},{'Type':'bind',"          \
    "'Source':'/srv/x','Target':'/srv/x','ReadOnly':true}]},'NetworkingConfig':{"                  \
    "'EndpointsConfig':{'front':{'Aliases':['x']}}}}"
        {"create-full", DOCKER_BODY_CONTAINER, {FULL, FULL}},
#define EXEC "{'AttachStderr':true,'AttachStdout':true,'Cmd':['cat','/etc/os-release']}"
        {"exec-create", DOCKER_BODY_EXEC, {EXEC, EXEC}},
#define START "{'Detach':false,'Tty':false}"
        {"exec-start", DOCKER_BODY_EXEC_START, {START, START}},
#define VOLUME "{'Name':'nc_app_x_data'}"
        {"volume-create", DOCKER_BODY_VOLUME, {VOLUME, VOLUME}},
#define LABELLED "{'Labels':{'k':'v'},'Name':'nc_app_x_data'}"
        {"volume-create-label", DOCKER_BODY_VOLUME, {LABELLED, LABELLED}},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
            read_recorded(versions[v], rows[i].name);
            passes(rows[i].kind, text, rows[i].want[v]);
        }
    }
}

static void what_docker_sends_is_refused_when_it_asks_for_more(void **state)
{
    static const struct {
        const char *name;
        enum docker_body kind;
        const char *what, *why;
    } rows[] = {
        {"create-privileged", DOCKER_BODY_CONTAINER, "HostConfig.Privileged",
         "HostConfig.Privileged is not allowed"},
        {"exec-stdin-create", DOCKER_BODY_EXEC, "AttachStdin", "AttachStdin is not allowed"},
        {"exec-detached-create", DOCKER_BODY_EXEC, "Detach", "Detach is not allowed"},
        {"exec-detached-start", DOCKER_BODY_EXEC_START, "Detach", "Detach is not allowed"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
            read_recorded(versions[v], rows[i].name);
            refused(rows[i].kind, text, DOCKER_FAULT_KEY, rows[i].what, rows[i].why);
        }
    }
}

/* As hub/deploy/deploy_create.c writes them: they go on as they are, but for NanoCpus. */
static void what_the_hub_sends_goes_on(void **state)
{
    static const char *const rows[] = {
#define LABELS "'Labels':{'harp.instance':'i','harp.instance.url':'http://nc.test'}"
#define DATA                                                                                       \
    "{'Type':'volume','Source':'nc_app_testapp_data','Target':'/nc_app_testapp_data',"             \
    "'ReadOnly':false}"
        "{'Image':'ghcr.io/nextcloud/testapp:1.0.0','Hostname':'testapp','HostConfig':{"
        "'NetworkMode':'host','Mounts':[" DATA "],'RestartPolicy':{'Name':'unless-stopped'}},"
        "'Env':['APP_ID=testapp','APP_DISPLAY_NAME=Test ExApp','HP_SHARED_KEY=k'],'Labels':{"
        "'harp.instance':'i','harp.instance.url':'http://nc.test'}}",
        "{'Image':'busybox','Hostname':'testapp','HostConfig':{'NetworkMode':'front','Mounts':["
        "{'Type':'volume','Source':'nc_app_testapp_data','Target':'/nc_app_testapp_data',"
        "'ReadOnly':false},{'Type':'bind','Source':'/srv/ro','Target':'/x','ReadOnly':true}],"
        "'RestartPolicy':{'Name':''},'DeviceRequests':[{'Driver':'nvidia','Count':-1,"
        "'Capabilities':[['compute','utility']]}],'Memory':1,'NanoCPUs':2},'Env':[],"
        "'NetworkingConfig':{'EndpointsConfig':{'front':{'Aliases':['testapp']}}}}",
        "{'Image':'busybox','HostConfig':{'NetworkMode':'bridge','Devices':[{'PathOnHost':"
        "'/dev/kfd','PathInContainer':'/dev/kfd','CgroupPermissions':'rwm'},{'PathOnHost':"
        "'/dev/dri','PathInContainer':'/dev/dri','CgroupPermissions':'rwm'}]}}",
    };
    char want[1024];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(want, sizeof(want), "%s", rows[i]);
        char *cpus = strstr(want, "NanoCPUs"), *env = strstr(want, "'Env':[],");
        if (cpus) {
            memcpy(cpus, "NanoCpus", 8);
        }
        if (env) {
            memmove(env, env + 9, strlen(env + 9) + 1);
        }
        passes(DOCKER_BODY_CONTAINER, rows[i], want);
    }
    passes(DOCKER_BODY_VOLUME, "{'Name':'nc_app_testapp_data'," LABELS "}",
           "{'Name':'nc_app_testapp_data'," LABELS "}");
    passes(DOCKER_BODY_EXEC,
           "{'AttachStdout':true,'AttachStderr':true,'Cmd':['cat','/etc/os-release']}",
           "{'AttachStdout':true,'AttachStderr':true,'Cmd':['cat','/etc/os-release']}");
    passes(DOCKER_BODY_EXEC_START, START, START);
}

/* PHP escapes slashes, and HaRP spells Readonly. */
static void what_appapi_sends_itself_goes_on(void **state)
{
    (void)state;
    passes(DOCKER_BODY_VOLUME, "{'name':'nc_app_testapp_data'}", "{'Name':'nc_app_testapp_data'}");
    passes(DOCKER_BODY_CONTAINER,
           "{'Image':'ghcr.io\\/nextcloud\\/testapp:1.0.0','Hostname':'testapp','HostConfig':{"
           "'NetworkMode':'front','Mounts':[{'Type':'volume','Source':'nc_app_testapp_data',"
           "'Target':'\\/nc_app_testapp_data','Readonly':false}],'RestartPolicy':{'Name':"
           "'unless-stopped'},'PortBindings':{'23000\\/tcp':[{'HostIp':'127.0.0.1','HostPort':"
           "'23000'},{'HostIp':'::1','HostPort':'23000'}]},'DeviceRequests':[{'Driver':'cdi',"
           "'DeviceIDs':['nvidia.com\\/gpu=all']}]},'Env':['AA_VERSION=34.0.0'],'ExposedPorts':{"
           "'23000\\/tcp':{}},'NetworkingConfig':{'EndpointsConfig':{'front':{'Aliases':["
           "'testapp']}}}}",
           "{'Image':'ghcr.io/nextcloud/testapp:1.0.0','Hostname':'testapp','HostConfig':{"
           "'NetworkMode':'front','Mounts':[{'Type':'volume','Source':'nc_app_testapp_data',"
           "'Target':'/nc_app_testapp_data','ReadOnly':false}],'RestartPolicy':{'Name':"
           "'unless-stopped'},'PortBindings':{'23000/tcp':[{'HostIp':'127.0.0.1','HostPort':"
           "'23000'},{'HostIp':'::1','HostPort':'23000'}]},'DeviceRequests':[{'Driver':'cdi',"
           "'DeviceIDs':['nvidia.com/gpu=all']}]},'Env':['AA_VERSION=34.0.0'],'ExposedPorts':{"
           "'23000/tcp':{}},'NetworkingConfig':{'EndpointsConfig':{'front':{'Aliases':['testapp']"
           "}}}}");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_reset, bench_end)
    const struct CMUnitTest tests[] = {
        TEST(what_docker_sends_passes_when_it_asks_for_no_more),
        TEST(what_docker_sends_is_refused_when_it_asks_for_more),
        TEST(what_the_hub_sends_goes_on),
        TEST(what_appapi_sends_itself_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
