"""What somebody tries who may make containers through harp-socket-filter, and wants the Docker
host: the keys of the body of containers/create that give power, and what may stand under those that
pass.

AppAPI's policy. How else a key may be spelled is in test_docker_filter_attacks_spelling.py.
"""
import json

import pytest

from harness.docker_images import PLAIN
from harness.filter_attacks import filter_target, judge

CREATE = "POST /v1.41/containers/create?name=nc_app_new"
HOST = {"NetworkMode": "host"}
GOOD = {"Image": PLAIN, "HostConfig": HOST}
ID = "0123456789abcdef" * 4
DEVICE = {"PathOnHost": "/dev/sda", "PathInContainer": "/dev/sda", "CgroupPermissions": "rwm"}

# Key of HostConfig: values. Each is refused beside what else is good.
POWERS = {
    "Privileged": [True, 1, "true", "True", [True], {"a": True}],
    "CapAdd": [["SYS_ADMIN"], ["ALL"], ["CAP_SYS_PTRACE"], ["net_admin"], "ALL", {"0": "ALL"}],
    "CapDrop": [["NET_RAW"], ["ALL"], "ALL"],
    "Capabilities": [["ALL"], []],
    "SecurityOpt": [["seccomp=unconfined"], ["seccomp:unconfined"], ["apparmor=unconfined"],
                    ["label=disable"], ["label:type:spc_t"], ["systempaths=unconfined"],
                    ["no-new-privileges:false"], ["no-new-privileges"], "seccomp=unconfined"],
    "PidMode": ["host", "container:other", f"container:{ID}", "Host", " host", "private"],
    "IpcMode": ["host", "shareable", "container:other", "private", "none", f"container:{ID}"],
    "UTSMode": ["host", "container:other"],
    "UsernsMode": ["host", "private", "keep-id"],
    "CgroupnsMode": ["host", "private"],
    "CgroupParent": ["/", "../..", "system.slice", "/docker/other"],
    "Cgroup": ["container:other", "host"],
    "Runtime": ["runc", "io.containerd.runc.v2", "/bin/sh", "nvidia"],
    "VolumesFrom": [["other"], ["other:rw"], [ID[:12] + ":ro"], "other"],
    "Binds": [["/:/host"], ["/:/host:ro"], ["/var/run/docker.sock:/s"], ["other_data:/x"],
              ["nc_app_x_data:/x"], ["/:/host:rshared"], ["/etc/shadow:/x:z"], "/:/host",
              {"/": "/host"}, ["nc_app_x_data:/x:ro", "/:/host"]],
    "Tmpfs": [{"/x": ""}, {"/x": "rw,exec,suid,size=100g"}, {"/proc": ""}],
    "Devices": [[DEVICE], [{**DEVICE, "PathOnHost": "/dev/mem"}],
                [{**DEVICE, "PathOnHost": "/dev/kfd", "PathInContainer": "/dev/kfd"}],
                [{**DEVICE, "PathOnHost": "/dev"}], [{**DEVICE, "PathOnHost": "/dev/../dev/sda"}],
                [{}], [None], ["/dev/sda"], {"a": DEVICE}, "/dev/sda", [[DEVICE]]],
    "DeviceCgroupRules": [["a *:* rwm"], ["b 8:0 rwm"], ["c 1:1 r"]],
    "DeviceRequests": [[{"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}],
                       [{"Driver": "", "Count": 1, "Capabilities": [["gpu"]]}], [{}],
                       [{"Driver": "cdi", "DeviceIDs": ["vendor.com/device=all"]}],
                       [{"Driver": "nvidia", "Options": {"a": "b"}}], "gpu", {"Driver": "nvidia"}],
    "Sysctls": [{"kernel.core_pattern": "|/bin/sh"}, {"net.ipv4.ip_forward": "1"}, ["a=b"]],
    "MaskedPaths": [[], ["/x"], "", {}],
    "ReadonlyPaths": [[], ["/x"], "", {}],
    "StorageOpt": [{"size": "1T"}, {"a": "b"}],
    "LogConfig": [{"Type": "syslog",
                   "Config": {"syslog-address": "unixgram:///run/systemd/notify"}},
                  {"Type": "fluentd", "Config": {"fluentd-address": "unix:///var/run/docker.sock"}},
                  {"Type": "json-file"}, {"Type": "none"}, {"Type": "",
                                                            "Config": {"max-size": "1k"}},
                  {"Config": {"env": "x"}}, {"Type": "journald", "Config": {}}, {"type": "syslog"},
                  "syslog", ["syslog"]],
    "VolumeDriver": ["local", "rclone", "../x"],
    "ExtraHosts": [["registry.test:127.0.0.1"], ["a:host-gateway"]],
    "Links": [["other:x"], ["other"]],
    "GroupAdd": [["0"], ["docker"], [0]],
    "OomScoreAdj": [-1000, -1, 500, "0"],
    "OomKillDisable": [True],
    "Ulimits": [[{"Name": "nofile", "Soft": 1, "Hard": 9}],
                [{"Name": "core", "Soft": -1, "Hard": -1}]],
    "Isolation": ["process", "hyperv", "default"],
    "PublishAllPorts": [True],
    "ContainerIDFile": ["/etc/cron.d/x", "x"],
    "AutoRemove": [True],
    "Init": [True, False],
    "ReadonlyRootfs": [True],
    "ShmSize": [1, 1 << 40, -1],
    "PidsLimit": [-1, 10],
    "KernelMemory": [1, -1], "KernelMemoryTCP": [1],
    "MemorySwap": [-1, 1], "MemorySwappiness": [0, 100], "MemoryReservation": [1],
    "CpuShares": [1 << 18], "CpuPeriod": [1000], "CpuQuota": [-1], "CpusetCpus": ["0-63"],
    "CpusetMems": ["0"], "CpuRealtimeRuntime": [950000], "CpuRealtimePeriod": [1000000],
    "CpuCount": [9], "CpuPercent": [100], "IOMaximumIOps": [1], "IOMaximumBandwidth": [1],
    "BlkioWeight": [1000], "BlkioWeightDevice": [[{"Path": "/dev/sda", "Weight": 1}]],
    "BlkioDeviceReadBps": [[{"Path": "/dev/sda", "Rate": 1}]],
    "BlkioDeviceWriteBps": [[{"Path": "/dev/sda", "Rate": 1}]],
    "BlkioDeviceReadIOps": [[{"Path": "/dev/sda", "Rate": 1}]],
    "BlkioDeviceWriteIOps": [[{"Path": "/dev/sda", "Rate": 1}]],
    "DiskQuota": [1],
    "Dns": [["127.0.0.1"]], "DnsOptions": [["ndots:9"]], "DnsSearch": [["test"]],
    "Annotations": [{"a": "b"}, {"io.podman.annotations.privileged": "TRUE"}],
    "ConsoleSize": [[1], [1, 2, 3], ["1", 2], {}],
    "RestartPolicy": [{"Name": "sometimes"}, {"Name": "always", "x": 1}, {"Name": ["always"]},
                      "always",
                      {"Name": "on-failure", "MaximumRetryCount": -1}, {"name": "always"},
                      {"Name": "on-failure", "MaximumRetryCount": 1 << 40}],
    "Memory": [-1, 1.5, "1g", 1 << 63, -(1 << 63), True, [1]],
    "NanoCpus": [-1, 1.5, "1", True],
    "NetworkMode": ["container:other", f"container:{ID}", "container:", "Container:other", ":host",
                    "service:x", "ns:/proc/1/ns/net", "/proc/1/ns/net", "path:/x", "host\0",
                    "host\n",
                    " host", "../host", "slirp4netns:allow_host_loopback=true", "pasta:-T,22",
                    "a" * 300, "h\u00f6st", "ho\u017ft", ["host"], {"host": 1}, 1, True, "a b",
                    "a,b",
                    "a/b", "private:x"],
    "PortBindings": [
        {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}]},
        {"80/tcp": [{"HostIp": "", "HostPort": "80"}]}, {"80/tcp": [{"HostPort": "80"}]},
        {"80/tcp": [{"HostIp": "::", "HostPort": "80"}]}, {"80/tcp": [{"HostIp": None}]},
        {"80/tcp": [{"HostIp": "[::]"}]}, {"80/tcp": [{"HostIp": "0"}]}, {"80/tcp": [{}]},
        {"80/tcp": [{"HostIp": "0x0"}]}, {"80/tcp": [{"HostIp": "::ffff:0.0.0.0"}]},
        {"80/tcp": [{"HostIp": "127.1"}]}, {"80/tcp": [{"HostIp": "localhost"}]},
        {"80/tcp": [{"HostIp": "127.0.0.1 "}]}, {"80/tcp": [{"HostIp": "127.0.0.1\0"}]},
        {"80/tcp": [{"HostIp": "127.0.0.2"}]}, {"80/tcp": [{"HostIp": "::1%lo"}]},
        {"80/tcp": []}, {"80/tcp": None}, {"80/tcp": {}}, {"80/tcp": "127.0.0.1"},
        {"80/tcp": [None]},
        {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "80-90"}]},
        {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": 80}]},
        {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "65536"}]},
        {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "-1"}]},
        {"80/tcp": [{"HostIp": "127.0.0.1", "hostPort": "80"}]},
        {"80/tcp": [{"HostIp": "127.0.0.1"}, {"HostIp": "0.0.0.0"}]},
        {"80/tcp": [{"HostIp": "127.0.0.1"}], "81/tcp": [{"HostIp": "0.0.0.0"}]},
        {"80-90/tcp": [{"HostIp": "127.0.0.1"}]}, {"80/icmp": [{"HostIp": "127.0.0.1"}]},
        {"/tcp": [{"HostIp": "127.0.0.1"}]}, {"0.0.0.0:80:80/tcp": [{"HostIp": "127.0.0.1"}]},
        {"80/TCP": [{"HostIp": "127.0.0.1"}]}, {"80/tcp/udp": [{"HostIp": "127.0.0.1"}]},
        {"080/tcp": [{"HostIp": "127.0.0.1"}]}, [{"HostIp": "127.0.0.1"}], "80"],
}
# The same of the body's own.
CONFIG = {
    "User": ["root", "0", "1000:docker", 0], "Entrypoint": [["sh"], [], "sh", [""]],
    "Cmd": [["sh", "-c", "id"], "id", [""], {}], "WorkingDir": ["/", "/x", "x"],
    "Volumes": [{"/": {}}, {"/x": {}}, {"/:/host": {}}, ["/x"]],
    "Healthcheck": [{"Test": ["CMD", "id"]}, {"Test": ["NONE"]}, {}, {"Interval": 1}],
    "OnBuild": [["RUN id"], "RUN id"], "MacAddress": ["02:42:ac:11:00:02"],
    "Domainname": ["test"], "Shell": [["sh"]], "StopSignal": ["SIGKILL", "9"], "StopTimeout": [0,
            9],
    "Tty": [True], "OpenStdin": [True], "AttachStdin": [True], "StdinOnce": [True],
    "NetworkDisabled": [True], "ArgsEscaped": [True],
    "Image": ["", "A", "a b", "../a", "a:b:c", "a@sha256:12", "http://x/a", "a\0", 5, None, ["a"],
              {},
              "a" * 5000, "-a", "a//b", "a%2fb", "/a"],
    "Hostname": ["a b", "a\0", "-a", "a" * 300, "h\u00f6st", 5, ["a"], "a,b", "a:b", "../a"],
    "Env": [["A"], ["=b"], [""], ["A\0=b"], ["A=b\0"], [5], [None], [["A=b"]], "A=b", {"A": "b"},
            ["A B=c"], ["A\n=b"], ["A=b"] * 5000, ["\u00e4=b"]],
    "ExposedPorts": [{"80-90/tcp": {}}, {"0/tcp": {}}, {"65536/tcp": {}}, {"80/icmp": {}},
                     {"80/": {}},
                     {"80": {"a": 1}}, {"80": []}, {"80": True}, ["80"], {"": {}},
                     {"127.0.0.1:80": {}},
                     {"8\u06600/tcp": {}}],
    "Labels": [{"harp.filter.owner": "mine"}, {"a=b": "c"}, {"": "a"}, {"a b": "c"}, {"a": 1},
               {"a": None}, {"PODMAN_SYSTEMD_UNIT": "x"},
               {"io.podman.annotations.privileged": "TRUE"},
               {"io.containers.autoupdate": "registry"}, ["a=b"], "a", {"a\n": "b"}, {"a": ["b"]},
               {"harp.filter.owner=x": "y"}],
    "NetworkingConfig": [
        {"EndpointsConfig": {"container:other": {}}}, {"EndpointsConfig": {"a/b": {}}},
        {"EndpointsConfig": {"bridge": {"IPAMConfig": {"IPv4Address": "172.17.0.1"}}}},
        {"EndpointsConfig": {"bridge": {"Links": ["other:x"]}}},
        {"EndpointsConfig": {"bridge": {"MacAddress": "02:42:ac:11:00:02"}}},
        {"EndpointsConfig": {"bridge": {"DriverOpts": {"a": "b"}}}},
        {"EndpointsConfig": {"bridge": {"NetworkID": ID}}},
        {"EndpointsConfig": {"bridge": {"EndpointID": ID}}},
        {"EndpointsConfig": {"bridge": {"Gateway": "1.2.3.4"}}}, {"EndpointsConfig": {"": {}}},
        {"EndpointsConfig": {"bridge": {"IPAddress": "1.2.3.4"}}},
        {"EndpointsConfig": {"bridge": []}},
        {"EndpointsConfig": {"bridge": {"Aliases": ["a b"]}}},
        {"EndpointsConfig": {"bridge": {"x": 1}}},
        {"EndpointsConfig": {"bridge": {"Aliases": "a"}}},
        {"EndpointsConfig": {"bridge": {"aliases": ["a"]}}},
        {"EndpointsConfig": {"bridge": {}, "container:other": {}}}, {"EndpointsConfig": ["bridge"]},
        {"endpointsConfig": {"bridge": {}}}, {"x": {}}, [], "bridge", {"bridge": {}}],
    "HostConfig": [[], "", 1, True, [HOST], [{"Privileged": True}],
                   {"HostConfig": {"Privileged": True}},
                   {"x": 1}, json.dumps({"Privileged": True})],
}
# What Docker's API once had at the top, or has elsewhere.
STRANGERS = {
    "Privileged": True, "Binds": ["/:/host"], "NetworkMode": "host", "PidMode": "host",
    "CapAdd": ["ALL"],
    "VolumesFrom": "other", "Memory": 1, "MemorySwap": -1, "CpuShares": 1, "Cpuset": "0",
    "VolumeDriver": "x",
    "PortSpecs": ["80"], "PublishService": "x", "Dns": ["1.1.1.1"], "Mounts": [],
    "Config": {"User": "0"},
    "SecurityOpt": ["seccomp=unconfined"], "LxcConf": [], "Name": "other", "name": "other",
    "Id": ID,
    "Resources": {"Memory": 1}, "": {}, "privileged": True, "platform": "linux",
    "Platform": "linux",
    "AdjustCPUShares": True, "ContainerConfig": {"User": "0"}, "Path": "/bin/sh", "Args": ["-c",
            "id"],
    "netns": {"nsmode": "host"}, "image": PLAIN, "devices": [{"path": "/dev/sda"}],
    "Secrets": ["a"],
    "mounts": [{"type": "bind", "source": "/", "destination": "/x"}],
}
HOST_STRANGERS = {"LxcConf": [{"Key": "a", "Value": "b"}], "RawConfig": {},
                  "Resources": {"Memory": 1},
                  "LogConfigs": {}, "Cpuset": "0", "Image": "a", "User": "0", "HostConfig": {},
                  "": 1,
                  "Hooks": {"prestart": [{"path": "/bin/sh"}]}, "RootfsPropagation": "shared",
                  "NoNewPrivileges": False, "Rootfs": "/", "Secrets": ["a"], "PidNS": "host"}

# Mounts of Target /x, without what is said otherwise.
OUTSIDE = ["/", "/proc", "/sys", "/dev", "/var/run/docker.sock", "/run/docker.sock", "/etc",
           "/root", "/home",
           "/var/lib/docker", "/var/lib/docker/volumes", "//", "/./", "/etc/", "/etc/..",
           "/srv/../etc", "//etc",
           "/etc//shadow", "etc", "./etc", "../etc", "..", ".", "~", "$HOME", "", "\\etc", "C:\\",
           "/etc\0",
           "/etc\n", "/proc/1/root", "/proc/self/root", "/proc/1/fd/3", "/dev/fd/0", "/e\u0442c",
           "/etc:ro",
           "/etc,readonly", "nc_app_x_data/../..", "file:///etc", "/" + "a" * 5000]
VOLUMES = ["other_data", "nc_app_x", "nc_app__data/..", "nc_app_../_data", "", ".", "..", "/", "a",
           "data",
           "xnc_app_x_data", "nc_app_x_datax", "NC_APP_X_DATA", "nc_app_x_data ", " nc_app_x_data",
           "nc_app_x_data\0", "nc_app_x_data:ro", "nc_app_x_data,src=/", "nc_app__data"]
GIVEN = {"Type": "volume", "Source": "nc_app_x_data", "Target": "/x"}
BIND = {"Type": "bind", "Source": "/", "Target": "/x"}
MOUNTS = [
    *({"Type": kind, "Source": "nc_app_x_data", "Target": "/x"} for kind in (
        "tmpfs", "npipe", "image", "cluster", "Bind", "Volume", "VOLUME", "", "volume ", "bind\0",
        "glob",
        "devpts", 5, None, True, ["bind"], {})),
    {"Type": "tmpfs", "Target": "/x"}, {"Type": "tmpfs", "Target": "/x",
                                        "TmpfsOptions": {"Mode": 0o4777}},
    {"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"SizeBytes": 1 << 50}},
    {"Type": "image", "Source": "alpine", "Target": "/x", "ImageOptions": {"Subpath": "../.."}},
    {"Type": "npipe", "Source": "\\\\.\\pipe\\docker_engine", "Target": "/x"},
    {"Type": "cluster", "Source": "group:x", "Target": "/x", "ClusterOptions": {}},
    *({**BIND, "BindOptions": options} for options in (
        {}, {"Propagation": "shared"}, {"Propagation": "rshared"}, {"Propagation": "rprivate"},
        {"CreateMountpoint": True}, {"NonRecursive": True}, {"ReadOnlyNonRecursive": True},
        {"ReadOnlyForceRecursive": True}, [], "shared")),
    *({**GIVEN, "VolumeOptions": options} for options in (
        {}, {"NoCopy": True}, {"Labels": {"a": "b"}}, {"Subpath": "../.."}, {"Subpath": "x"},
        {"DriverConfig": {}}, {"DriverConfig": {"Name": "local"}},
        {"DriverConfig": {"Name": "rclone"}},
        {"DriverConfig": {"Name": "local", "Options": {"type": "none", "o": "bind",
                                                       "device": "/"}}},
        {"DriverConfig": {"Options": {"type": "none", "o": "bind", "device": "/"}}}, [], "local")),
    {**GIVEN, "TmpfsOptions": {"Mode": 1}}, {**GIVEN, "BindOptions": {"Propagation": "shared"}},
    {**GIVEN, "ImageOptions": {"Subpath": "x"}}, {**GIVEN, "ClusterOptions": {}},
    {**GIVEN, "Consistency": "delegated"}, {**GIVEN, "Driver": "local"}, {**GIVEN, "Mode": "rw"},
    {**GIVEN, "source": "/"}, {**GIVEN, "Src": "/"}, {**GIVEN, "Destination": "/y"}, {**GIVEN,
            "Name": "a"},
    {**GIVEN, "ReadOnly": "true"}, {**GIVEN, "ReadOnly": 1}, {**GIVEN, "ReadOnly": True,
            "Readonly": False},
    {**GIVEN, "Propagation": "shared"}, {**GIVEN, "RW": True},
    *({**GIVEN, "Target": path} for path in (
        "/", "", "x", "./x", "../x", "/x/..", "/../x", "//x", "/x/", "/x//y", "/.", "/x\0", "/x:ro",
        "/x,y", "/x\\y", "/x\n", '/x"', 5, None, ["/x"])),
    {"Source": "nc_app_x_data", "Target": "/x"}, {"Type": "volume", "Target": "/x"},
    {"Type": "volume", "Source": "nc_app_x_data"}, {}, None, "nc_app_x_data:/x", [], 5, [GIVEN],
    {**GIVEN, "Source": None}, {**GIVEN, "Source": ["nc_app_x_data"]},
]
OTHER_MOUNTS = ["/:/x", {"a": GIVEN}, GIVEN, [GIVEN, BIND], [GIVEN] * 1000, True, 5]


@pytest.fixture(scope="module")
def target(tmp_path_factory, certs, engine):
    yield from filter_target(tmp_path_factory, certs, engine)


def host(**more):
    return {**GOOD, "HostConfig": {**HOST, **more}}


def each(table):
    return [pytest.param(key, value, id=f"{key or 'empty'}-{number}")
            for key, values in table.items()
            for number, value in enumerate(values if isinstance(values, list) else [values])]


def alone(table):
    return [pytest.param(key, value, id=key or "empty") for key, value in table.items()]


def test_there_are_at_least_500_attempts():
    assert sum(map(len, [*POWERS.values(),
                         *CONFIG.values()])) + len(STRANGERS) + len(HOST_STRANGERS) + len(
        OUTSIDE) * 2 + len(VOLUMES) + len(MOUNTS) + len(OTHER_MOUNTS) >= 500


@pytest.mark.parametrize("body", [GOOD, {**GOOD, "HostConfig": {**HOST, "Mounts": [GIVEN]}},
                                  {**GOOD, "HostConfig": {**HOST, "Privileged": False,
                                                          "CapAdd": None,
                                                          "MaskedPaths": None, "Binds": []}}])
def test_what_may_pass_is_seen_to_pass(target, body):
    """Else nothing here could fail. And what asks for nothing does not go on."""
    target.quiet()
    reply = target.call(CREATE, body)
    assert reply.status == 201, reply
    try:
        asked, = target.recorder.asked()
        assert json.loads(asked.body)["HostConfig"].keys() <= {"NetworkMode", "Mounts"}
        found = target.api.inspect("nc_app_new")
        assert not found["HostConfig"]["Privileged"] and len(found["HostConfig"]["MaskedPaths"]) > 5
    finally:
        target.api.remove("nc_app_new")


@pytest.mark.parametrize("key, value", each(POWERS))
def test_power_over_the_host_is_refused(target, key, value):
    huge = isinstance(value, (int, float)) and value > 1 << 62  # no number to the filter's reader
    target.refused(CREATE, host(**{key: value}), statuses={400 if huge else 403},
                   words=() if huge else ("HostConfig",))


@pytest.mark.parametrize("key, value", each(CONFIG))
def test_what_a_container_may_not_have_is_refused(target, key, value):
    target.refused(CREATE, {**GOOD, key: value}, words=(key,))


@pytest.mark.parametrize("key, value", alone(STRANGERS))
def test_a_key_that_stands_elsewhere_is_refused(target, key, value):
    target.refused(CREATE, {**GOOD, key: value}, statuses={403})


@pytest.mark.parametrize("key, value", alone(HOST_STRANGERS))
def test_a_key_of_hostconfig_that_stands_elsewhere_is_refused(target, key, value):
    target.refused(CREATE, host(**{key: value}), statuses={403})


@pytest.mark.parametrize("read_only", [False, True], ids=["rw", "ro"])
@pytest.mark.parametrize("source", OUTSIDE, ids=lambda text: repr(text)[:24])
def test_no_folder_of_the_host_is_mounted(target, source, read_only):
    mount = {"Type": "bind", "Source": source, "Target": "/x", "ReadOnly": read_only}
    target.refused(CREATE, host(Mounts=[mount]), statuses={403}, words=("mount source",)
                   if source.isprintable() else ())


@pytest.mark.parametrize("source", [*VOLUMES, *OUTSIDE], ids=lambda text: repr(text)[:24])
def test_no_volume_but_an_exapps_is_mounted(target, source):
    target.refused(CREATE, host(Mounts=[{**GIVEN, "Source": source}]), statuses={403})


@pytest.mark.parametrize("mount", MOUNTS, ids=lambda mount: json.dumps(mount)[:60])
def test_a_mount_that_says_more_is_refused(target, mount):
    target.refused(CREATE, host(Mounts=[mount]), statuses={403})
    target.refused(CREATE, host(Mounts=[GIVEN, mount]), statuses={403})


@pytest.mark.parametrize("mounts", OTHER_MOUNTS, ids=lambda mount: json.dumps(mount)[:60])
def test_mounts_in_another_form_are_refused(target, mounts):
    target.refused(CREATE, host(Mounts=mounts), statuses={403})


def test_the_sockets_themselves_are_not_mounted(target):
    """The engine's own, the one that the filter takes for it, and the filter's; nor their folders."""
    for path in (target.api.path, target.recorder.path, target.socket):
        for source in (str(path), str(path).rpartition("/")[0]):
            mount = {"Type": "bind", "Source": source, "Target": "/x"}
            target.refused(CREATE, host(Mounts=[mount]), statuses={403}, words=("mount source",))


@pytest.mark.parametrize("body", [GOOD, {**GOOD, "Cmd": ["id"]},
                                  {"HostConfig": {"Privileged": True}}])
@pytest.mark.parametrize("call", ["POST /v1.41/containers/nc_app_x/start",
                                  "POST /v1.41/containers/nc_app_x/stop",
                                  "DELETE /v1.41/containers/nc_app_x",
                                  "GET /v1.41/containers/nc_app_x/json",
                                  "GET /_ping", "POST /v1.24/containers/nc_app_x/start",
                                  f"DELETE /v1.41/images/{PLAIN}",
                                  "POST /v1.41/images/create?fromImage=a"])
def test_no_other_call_takes_such_a_body(target, call, body):
    target.refused(call, body, statuses={403}, words=("a body is not allowed",))


def test_two_networks_go_to_the_engine_as_they_are(target):
    """AppAPI's policy leaves networks to its administrator: the engine itself is asked."""
    target.quiet()
    body = {**GOOD, "NetworkingConfig": {"EndpointsConfig": {"host": {}, "bridge": {}}}}
    assert target.call(CREATE, body).status >= 400
    asked, = target.recorder.asked()
    assert json.loads(asked.body)["NetworkingConfig"] == {"EndpointsConfig": {"host": {},
            "bridge": {}}}
    target.api.remove("nc_app_new")


def test_the_same_is_refused_in_every_version(target):
    with target.untouched():
        for version in range(24, 100):
            reply = target.call(f"POST /v1.{version}/containers/create?name=nc_app_new",
                                host(Privileged=True))
            judge(reply, {403}, version)
