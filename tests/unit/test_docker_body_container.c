/* Bodies of containers/create: what may be asked for, and within which lists and limits. */
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

static void bad(const char *body, const char *why)
{
    if (judge(CONTAINER, body) != 403 || verdict.fault != DOCKER_FAULT_NEVER ||
        strcmp(verdict.why, why) != 0) {
        fail_msg("%d %d %s: %s", verdict.status, (int)verdict.fault, verdict.why, body);
    }
}

static void grant(const char *body, enum docker_fault fault, const char *what, const char *why)
{
    refused(CONTAINER, body, fault, what, why);
}

/* ---- the container itself ---- */

static void images_are_those_listed(void **state)
{
    (void)state;
    good(BASE);
    good("{'Image':'busybox:1.36'}");
    good("{'Image':'docker.io/library/busybox'}");
    good("{'Image':'ghcr.io/nextcloud/app:1.0'}");
    grant("{'Image':'alpine'}", DOCKER_FAULT_IMAGE, "alpine",
          "Image is not one that the policy lists");
    grant("{'Image':'deadbeef'}", DOCKER_FAULT_IMAGE, "deadbeef",
          "Image is an id, or may be one; the policy lists images by name");
    bad("{'Image':''}", "Image is neither an image reference nor an image id");
    bad("{'Image':'Busybox'}", "Image is neither an image reference nor an image id");
    bad("{'Image':'busybox\\u0000'}", "Image holds a control character");
    bad("{'Image':null}", "Image is not a string");
    bad("{'Image':['busybox']}", "Image is not a string");
    bad("{}", "the body has no Image");
    bad("{'HostConfig':{}}", "the body has no Image");
}

static void hostnames_are_names(void **state)
{
    char body[256];
    (void)state;
    good(TOP("'Hostname':'test-App_1.x'"));
    passes(CONTAINER, TOP("'Hostname':''"), BASE);
    passes(CONTAINER, TOP("'Hostname':null"), BASE);
    bad(TOP("'Hostname':'a b'"), "Hostname is not a host's name");
    bad(TOP("'Hostname':'-a'"), "Hostname is not a host's name");
    bad(TOP("'Hostname':'\xc3\xa4'"), "Hostname is not a host's name");
    bad(TOP("'Hostname':1"), "Hostname is not a string");
    for (unsigned n = DOCKER_HOSTNAME_MAX; n <= DOCKER_HOSTNAME_MAX + 1; n++) {
        snprintf(body, sizeof(body), "{'Image':'busybox','Hostname':'%0*d'}", (int)n, 0);
        assert_int_equal(judge(CONTAINER, body), n == DOCKER_HOSTNAME_MAX ? 0 : 403);
    }
}

/* Writes `head`, n times `each` (with the number where it has %u), `tail`. */
static const char *many(const char *head, const char *each, unsigned n, const char *tail)
{
    static char text[256 * 1024];
    size_t at = (size_t)snprintf(text, sizeof(text), "%s", head);
    for (unsigned i = 0; i < n; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s", i ? "," : "");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        at += (size_t)snprintf(text + at, sizeof(text) - at, each, i + 1);
#pragma GCC diagnostic pop
    }
    snprintf(text + at, sizeof(text) - at, "%s", tail);
    return text;
}

static void environments_are_pairs(void **state)
{
    static const char entry[] = "Env has an entry that is not NAME=value";
    static const char name[] = "Env has a name that is not printable ASCII";
    (void)state;
    good(TOP("'Env':['A=b','A=','A_B=c=d','x.y-z=\xc3\xa4','T=one\\ntwo\\tthree\\u0001']"));
    passes(CONTAINER, TOP("'Env':null"), BASE);
    passes(CONTAINER, TOP("'Env':[]"), BASE);
    bad(TOP("'Env':['A']"), entry);
    bad(TOP("'Env':['HOME*']"), entry);
    bad(TOP("'Env':['']"), entry);
    bad(TOP("'Env':['=b']"), entry);
    bad(TOP("'Env':['A=b','A=\\u0000']"), entry);
    bad(TOP("'Env':['A\\u0000=b']"), name);
    bad(TOP("'Env':['A B=c']"), name);
    bad(TOP("'Env':['A\\n=c']"), name);
    bad(TOP("'Env':['\xc3\xa4=c']"), name);
    bad(TOP("'Env':['A=b',null]"), "Env has an entry that is no string");
    bad(TOP("'Env':{'A':'b'}"), "Env is not an array");
    bad(TOP("'Env':'A=b'"), "Env is not an array");
    good(many("{'Image':'busybox','Env':[", "'A=%u'", DOCKER_ENV_MAX, "]}"));
    bad(many("{'Image':'busybox','Env':[", "'A=%u'", DOCKER_ENV_MAX + 1, "]}"),
        "Env has too many elements");
}

static void labels_are_texts(void **state)
{
    static const char key[] =
        "Labels has a key that is not printable ASCII, or holds a space or \"=\"";
    static const char order[] = "Labels has a key that is an order to Podman";
    char body[DOCKER_LABEL_VALUE_MAX + 128];
    (void)state;
    good(TOP("'Labels':{'harp.instance':'x','a.b/c':'\xc3\xa4 b'}"));
    passes(CONTAINER, TOP("'Labels':{}"), BASE);
    bad(TOP("'Labels':{'a b':''}"), key);
    bad(TOP("'Labels':{'a=b':''}"), key);
    bad(TOP("'Labels':{'\xc3\xa4':''}"), key);
    bad(TOP("'Labels':{'a\\u0000':''}"), "Labels holds a control character");
    bad(TOP("'Labels':{'':''}"), "Labels has a key that is empty or too long");
    bad(TOP("'Labels':{'PODMAN_SYSTEMD_UNIT':'x'}"), order);
    bad(TOP("'Labels':{'io.containers.autoupdate':'registry'}"), order);
    bad(TOP("'Labels':{'io.podman.annotations.userns':'host'}"), order);
    bad(TOP("'Labels':{'a':'b\\n'}"), "Labels.* holds a control character");
    bad(TOP("'Labels':{'a':null}"), "Labels.* is not a string");
    bad(TOP("'Labels':{'a':1}"), "Labels.* is not a string");
    bad(TOP("'Labels':['a=b']"), "Labels is not an object");
    good(many("{'Image':'busybox','Labels':{", "'a%u':''", DOCKER_LABELS_MAX, "}}"));
    bad(many("{'Image':'busybox','Labels':{", "'a%u':''", DOCKER_LABELS_MAX + 1, "}}"),
        "Labels has too many members");
    for (unsigned i = 0; i < 2; i++) {
        snprintf(body, sizeof(body), "{'Image':'busybox','Labels':{'%0*d':''}}",
                 (int)(DOCKER_LABEL_KEY_MAX + i), 0);
        assert_int_equal(judge(CONTAINER, body), i ? 403 : 0);
        snprintf(body, sizeof(body), "{'Image':'busybox','Labels':{'a':'%0*d'}}",
                 (int)(DOCKER_LABEL_VALUE_MAX + i), 0);
        assert_int_equal(judge(CONTAINER, body), i ? 403 : 0);
    }
}

/* ---- networks ---- */

static void networks_are_those_listed(void **state)
{
    static const char unlisted[] = "HostConfig.NetworkMode is a network that the policy does not "
                                   "list";
    static const char none[] = "HostConfig.NetworkMode is not a network's name";
    (void)state;
    good(HOST("'NetworkMode':'host'"));
    good(HOST("'NetworkMode':'front'"));
    good(HOST("'NetworkMode':'default'"));
    good(HOST("'NetworkMode':'bridge'"));
    good(HOST("'NetworkMode':'fe_x'"));
    passes(CONTAINER, HOST("'NetworkMode':''"), HOST(""));
    grant(HOST("'NetworkMode':'none'"), DOCKER_FAULT_NETWORK, "none", unlisted);
    grant(HOST("'NetworkMode':'back'"), DOCKER_FAULT_NETWORK, "back", unlisted);
    /* by a pattern alone: it may be the beginning of an id */
    grant(HOST("'NetworkMode':'fe12'"), DOCKER_FAULT_NETWORK, "fe12", unlisted);
    bad(HOST("'NetworkMode':'container:x'"), none);
    bad(HOST("'NetworkMode':'container:'"), none);
    bad(HOST("'NetworkMode':'ns:/proc/1/ns/net'"), none);
    bad(HOST("'NetworkMode':'slirp4netns:allow_host_loopback=true'"), none);
    bad(HOST("'NetworkMode':'front,host'"), none);
    bad(HOST("'NetworkMode':'../x'"), none);
    bad(HOST("'NetworkMode':['host']"), "HostConfig.NetworkMode is not a string");
    grants.networks = (struct docker_words)WORDS("*");
    bad(HOST("'NetworkMode':'container:x'"), none);
    good(HOST("'NetworkMode':'fe12'"));
}

static void no_network_mode_means_the_bridge(void **state)
{
    static const char missing[] = "the body has no HostConfig.NetworkMode, and the policy does not "
                                  "list bridge, which that means";
    (void)state;
    grants.networks = (struct docker_words)WORDS("host");
    good(HOST("'NetworkMode':'host'"));
    grant(BASE, DOCKER_FAULT_NETWORK, "bridge", missing);
    grant(HOST("'NetworkMode':''"), DOCKER_FAULT_NETWORK, "bridge", missing);
    grant(HOST("'NetworkMode':null"), DOCKER_FAULT_NETWORK, "bridge", missing);
    grant(HOST("'NetworkMode':'default'"), DOCKER_FAULT_NETWORK, "bridge",
          "HostConfig.NetworkMode is a network that the policy does not list");
    grants.networks = (struct docker_words)WORDS("default");
    good(BASE);
    good(HOST("'NetworkMode':'bridge'"));
}

#define ENDPOINTS(more) TOP("'NetworkingConfig':{'EndpointsConfig':{" more "}}")
#define AT "NetworkingConfig.EndpointsConfig"

static void endpoints_hold_aliases_of_listed_networks(void **state)
{
    static const struct {
        const char *member, *key;
    } rows[] = {
        {"'IPAMConfig':{'IPv4Address':'10.0.0.2'}", "IPAMConfig"},
        {"'Links':['other:db']", "Links"},
        {"'MacAddress':'02:42:ac:11:00:02'", "MacAddress"},
        {"'DriverOpts':{'a':'b'}", "DriverOpts"},
        {"'GwPriority':1", "GwPriority"},
        {"'NetworkID':'x'", "NetworkID"},
        {"'EndpointID':'x'", "EndpointID"},
        {"'Gateway':'10.0.0.1'", "Gateway"},
        {"'IPAddress':'10.0.0.1'", "IPAddress"},
        {"'IPPrefixLen':24", "IPPrefixLen"},
        {"'IPv6Gateway':'::1'", "IPv6Gateway"},
        {"'GlobalIPv6Address':'::1'", "GlobalIPv6Address"},
        {"'GlobalIPv6PrefixLen':64", "GlobalIPv6PrefixLen"},
        {"'DNSNames':['x']", "DNSNames"},
    };
    char body[256], key[96], why[160];
    (void)state;
    good(ENDPOINTS("'front':{'Aliases':['testapp','b.c']}"));
    good(ENDPOINTS("'default':{}"));
    passes(CONTAINER, ENDPOINTS("'front':{'Aliases':null,'IPAMConfig':null,'GwPriority':0}"),
           ENDPOINTS("'front':{}"));
    passes(CONTAINER, ENDPOINTS(""), TOP("'NetworkingConfig':{}"));
    passes(CONTAINER, TOP("'NetworkingConfig':null"), BASE);
    passes(CONTAINER, TOP("'NetworkingConfig':{'EndpointsConfig':null}"),
           TOP("'NetworkingConfig':{}"));
    grant(ENDPOINTS("'back':{}"), DOCKER_FAULT_NETWORK, "back",
          AT " is a network that the policy does not list");
    bad(ENDPOINTS("'container:x':{}"), AT " is not a network's name");
    bad(ENDPOINTS("'front\\u0000':{}"), AT " holds a control character");
    bad(ENDPOINTS("'':{}"), AT " is not a network's name");
    bad(ENDPOINTS("'front':null"), AT ".* is not an object");
    bad(ENDPOINTS("'front':[]"), AT ".* is not an object");
    bad(ENDPOINTS("'front':{'aliases':[]}"), AT ".*.aliases must be spelled Aliases");
    bad(ENDPOINTS("'front':{'Aliases':['a b']}"), AT ".*.Aliases is not a host's name");
    bad(ENDPOINTS("'front':{'Aliases':'a'}"), AT ".*.Aliases is not an array");
    bad(TOP("'NetworkingConfig':{'EndpointsConfig':[]}"), AT " is not an object");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(body, sizeof(body), ENDPOINTS("'front':{%s}"), rows[i].member);
        snprintf(key, sizeof(key), AT ".*.%s", rows[i].key);
        snprintf(why, sizeof(why), AT ".*.%s is not allowed", rows[i].key);
        grant(body, DOCKER_FAULT_KEY, key, why);
    }
    good(many("{'Image':'busybox','NetworkingConfig':{'EndpointsConfig':{'front':{'Aliases':[",
              "'a%u'", DOCKER_ALIASES_MAX, "]}}}}"));
    bad(many("{'Image':'busybox','NetworkingConfig':{'EndpointsConfig':{'front':{'Aliases':[",
             "'a%u'", DOCKER_ALIASES_MAX + 1, "]}}}}"),
        AT ".*.Aliases has too many elements");
    good(many("{'Image':'busybox','NetworkingConfig':{'EndpointsConfig':{", "'fe_%u':{}",
              DOCKER_ENDPOINTS_MAX, "}}}"));
    bad(many("{'Image':'busybox','NetworkingConfig':{'EndpointsConfig':{", "'fe_%u':{}",
             DOCKER_ENDPOINTS_MAX + 1, "}}}"),
        AT " has too many members");
}

/* ---- ports ---- */

#define BOUND(more) HOST("'PortBindings':{'80/tcp':[" more "]}")
#define PORTS "HostConfig.PortBindings"

static void ports_are_published_on_listed_addresses(void **state)
{
    (void)state;
    good(BOUND("{'HostIp':'127.0.0.1','HostPort':'23000'},{'HostIp':'::1','HostPort':''}"));
    good(BOUND("{'HostIp':'127.0.0.1'}"));
    good(BOUND("{'HostIp':'127.0.0.1','HostPort':'0'}"));
    good(HOST("'PortBindings':{'80':[{'HostIp':'::1'}],'65535/udp':[{'HostIp':'::1'}],"
              "'1/sctp':[{'HostIp':'::1'}]}"));
    passes(CONTAINER, HOST("'PortBindings':{}"), HOST(""));
    passes(CONTAINER, HOST("'PortBindings':null"), HOST(""));
    grant(BOUND("{'HostIp':'0.0.0.0'}"), DOCKER_FAULT_PUBLISH, "0.0.0.0",
          PORTS ".*.HostIp is an address that the policy does not list");
    grant(BOUND("{'HostIp':'::'}"), DOCKER_FAULT_PUBLISH,
          "::", PORTS ".*.HostIp is an address that the policy does not list");
    grant(BOUND("{'HostIp':'127.0.0.2'}"), DOCKER_FAULT_PUBLISH, "127.0.0.2",
          PORTS ".*.HostIp is an address that the policy does not list");
    /* All of these would be published on all addresses. */
    bad(BOUND("{'HostIp':''}"), PORTS ".*.HostIp is empty, which means all addresses");
    bad(BOUND("{'HostIp':null}"), PORTS ".*.HostIp is not a string");
    bad(BOUND("{'HostPort':'80'}"), PORTS ".* has no HostIp, which means all addresses");
    bad(BOUND("{}"), PORTS ".* has no HostIp, which means all addresses");
    bad(BOUND(""), PORTS ".* is empty");
    bad(BOUND("null"), PORTS ".* is not an object");
    bad(HOST("'PortBindings':{'80/tcp':null}"), PORTS ".* is not an array");
    bad(HOST("'PortBindings':{'80/tcp':{}}"), PORTS ".* is not an array");
    bad(HOST("'PortBindings':[]"), PORTS " is not an object");
    bad(BOUND("{'HostIp':'localhost'}"), PORTS ".*.HostIp is not an IP address");
    bad(BOUND("{'HostIp':'127.0.0.1','HostPort':'80-90'}"), PORTS ".*.HostPort is not a port");
    bad(BOUND("{'HostIp':'127.0.0.1','HostPort':'080'}"), PORTS ".*.HostPort is not a port");
    bad(BOUND("{'HostIp':'127.0.0.1','HostPort':'65536'}"), PORTS ".*.HostPort is not a port");
    bad(BOUND("{'HostIp':'127.0.0.1','HostPort':80}"), PORTS ".*.HostPort is not a string");
    bad(BOUND("{'HostIP':'127.0.0.1'}"), PORTS ".*.HostIP must be spelled HostIp");
    good(many("{'Image':'busybox','HostConfig':{'PortBindings':{'80':[", "{'HostIp':'::1'}",
              DOCKER_PORT_BINDINGS_MAX, "]}}}"));
    bad(many("{'Image':'busybox','HostConfig':{'PortBindings':{'80':[", "{'HostIp':'::1'}",
             DOCKER_PORT_BINDINGS_MAX + 1, "]}}}"),
        PORTS ".* has too many elements");
    good(many("{'Image':'busybox','HostConfig':{'PortBindings':{", "'%u':[{'HostIp':'::1'}]",
              DOCKER_PORTS_MAX, "}}}"));
    bad(many("{'Image':'busybox','HostConfig':{'PortBindings':{", "'%u':[{'HostIp':'::1'}]",
             DOCKER_PORTS_MAX + 1, "}}}"),
        PORTS " has too many members");
}

static void ports_are_single_and_spelled_one_way(void **state)
{
    static const char *const rows[] = {
        "0",      "0/tcp", "080",     "65536",   "80/TCP", "80/", "/tcp", "80-90", "80-90/tcp",
        "tcp/80", "-1",    "80/icmp", "80/tcp/", " 80",    "8a",  "",     "100000"};
    char body[128];
    (void)state;
    good(TOP("'ExposedPorts':{'23000/tcp':{},'1':{},'2/udp':{}}"));
    passes(CONTAINER, TOP("'ExposedPorts':{'23000/tcp':null}"),
           TOP("'ExposedPorts':{'23000/tcp':{}}"));
    passes(CONTAINER, TOP("'ExposedPorts':{}"), BASE);
    bad(TOP("'ExposedPorts':{'80':{'a':1}}"), "ExposedPorts.* is not an empty object");
    bad(TOP("'ExposedPorts':{'80':[]}"), "ExposedPorts.* is not an empty object");
    bad(TOP("'ExposedPorts':{'80':false}"), "ExposedPorts.* is not an empty object");
    bad(TOP("'ExposedPorts':['80']"), "ExposedPorts is not an object");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(body, sizeof(body), "{'Image':'busybox','ExposedPorts':{'%s':{}}}", rows[i]);
        bad(body, "ExposedPorts has a key that is not a port");
        snprintf(body, sizeof(body), HOST("'PortBindings':{'%s':[{'HostIp':'::1'}]}"), rows[i]);
        bad(body, PORTS " has a key that is not a port");
    }
    good(many("{'Image':'busybox','ExposedPorts':{", "'%u':{}", DOCKER_PORTS_MAX, "}}"));
    bad(many("{'Image':'busybox','ExposedPorts':{", "'%u':{}", DOCKER_PORTS_MAX + 1, "}}"),
        "ExposedPorts has too many members");
}

/* ---- limits ---- */

static void restart_policies_are_dockers(void **state)
{
    static const char *const names[] = {"", "no", "always", "unless-stopped", "on-failure"};
    char body[128];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(body, sizeof(body), HOST("'RestartPolicy':{'Name':'%s'}"), names[i]);
        good(body);
    }
    good(HOST("'RestartPolicy':{'Name':'on-failure','MaximumRetryCount':1000}"));
    good(HOST("'RestartPolicy':{}"));
    passes(CONTAINER, HOST("'RestartPolicy':null"), HOST(""));
    bad(HOST("'RestartPolicy':{'Name':'on-failure:5'}"),
        "HostConfig.RestartPolicy.Name is not a restart policy");
    bad(HOST("'RestartPolicy':{'Name':'Always'}"),
        "HostConfig.RestartPolicy.Name is not a restart policy");
    bad(HOST("'RestartPolicy':'always'"), "HostConfig.RestartPolicy is not an object");
    bad(HOST("'RestartPolicy':{'MaximumRetryCount':1001}"),
        "HostConfig.RestartPolicy.MaximumRetryCount is too large");
    bad(HOST("'RestartPolicy':{'MaximumRetryCount':-1}"),
        "HostConfig.RestartPolicy.MaximumRetryCount is too small");
    bad(HOST("'RestartPolicy':{'MaximumRetryCount':1.0}"),
        "HostConfig.RestartPolicy.MaximumRetryCount is not an integer");
}

static void memory_and_cpus_stay_below_their_limits(void **state)
{
    static const struct {
        const char *key, *written;
        enum docker_fault fault;
    } rows[] = {{"Memory", "Memory", DOCKER_FAULT_MEMORY},
                {"NanoCpus", "NanoCpus", DOCKER_FAULT_CPUS},
                {"NanoCPUs", "NanoCpus", DOCKER_FAULT_CPUS}};
    char body[128], want[128], why[128], name[64];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool memory = rows[i].fault == DOCKER_FAULT_MEMORY;
        snprintf(name, sizeof(name), "HostConfig.%s", rows[i].written);
        bench_reset(NULL);
        snprintf(body, sizeof(body), HOST("'%s':9223372036854775807"), rows[i].key);
        snprintf(want, sizeof(want), HOST("'%s':9223372036854775807"), rows[i].written);
        passes(CONTAINER, body, want);
        snprintf(body, sizeof(body), HOST("'%s':0"), rows[i].key);
        passes(CONTAINER, body, HOST(""));
        static const char *const numbers[] = {"-1", "1.0", "1e0", "1E3", "'1'", "true", "[1]"};
        for (size_t k = 0; k < ARRAY_LEN(numbers); k++) {
            snprintf(body, sizeof(body), "{'Image':'busybox','HostConfig':{'%s':%s}}", rows[i].key,
                     numbers[k]);
            snprintf(why, sizeof(why), "%s %s", name,
                     k == 0 ? "is too small" : "is not an integer");
            bad(body, why);
        }
        *(memory ? &grants.memory_max : &grants.nano_cpus_max) = 1000;
        snprintf(body, sizeof(body), HOST("'%s':1000"), rows[i].key);
        snprintf(want, sizeof(want), HOST("'%s':1000"), rows[i].written);
        passes(CONTAINER, body, want);
        snprintf(body, sizeof(body), HOST("'%s':1001"), rows[i].key);
        snprintf(why, sizeof(why), "%s is more than 1000", name);
        grant(body, rows[i].fault, "1001", why);
        snprintf(why, sizeof(why), "the body must have %s, of 1000 at most", name);
        snprintf(body, sizeof(body), HOST("'%s':0"), rows[i].key);
        grant(body, rows[i].fault, "", why);
        snprintf(body, sizeof(body), HOST("'%s':null"), rows[i].key);
        grant(body, rows[i].fault, "", why);
        grant(BASE, rows[i].fault, "", why);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_reset, bench_end)
    const struct CMUnitTest tests[] = {
        TEST(images_are_those_listed),
        TEST(hostnames_are_names),
        TEST(environments_are_pairs),
        TEST(labels_are_texts),
        TEST(networks_are_those_listed),
        TEST(no_network_mode_means_the_bridge),
        TEST(endpoints_hold_aliases_of_listed_networks),
        TEST(ports_are_published_on_listed_addresses),
        TEST(ports_are_single_and_spelled_one_way),
        TEST(restart_policies_are_dockers),
        TEST(memory_and_cpus_stay_below_their_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
