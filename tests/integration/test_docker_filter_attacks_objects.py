"""What somebody tries who may talk to harp-socket-filter, and wants the Docker host: commands in
containers, volumes, images, and what belongs to another policy.

Two listeners have policies of their own, `mine` and `theirs`, which write their owner's label; a
third takes images of one registry only.
"""
import json

import pytest

from harness.docker_images import ALPINE, PLAIN
from harness.filter_attacks import NO, filter_target, judge

CAT = ["cat", "/etc/os-release"]
EXEC = "POST /v1.41/containers/nc_app_up/exec"
VOLUME = "POST /v1.41/volumes/create"
NEW = "POST /v1.41/containers/create?name=nc_app_new"
LABEL = "harp.filter.owner"
POLICIES = """
  { name = "mine"; base = "appapi"; owner = "mine"; },
  { name = "theirs"; base = "appapi"; owner = "theirs"; },
  { name = "registry"; base = "appapi"; images = [ "registry.test/exapps/*" ]; }"""

COMMANDS = [
    ["cat"], ["cat", "/etc/os-release", "/etc/shadow"], ["cat", "/etc/os-release", ""], ["cat",
            "/etc/shadow"],
    ["cat", "/etc/os-release "], [" cat", "/etc/os-release"], ["/bin/cat", "/etc/os-release"],
    ["cat", "/etc//os-release"], ["cat", "/etc/../etc/os-release"], ["CAT", "/etc/os-release"],
    ["cat /etc/os-release"], ["sh", "-c", "cat /etc/os-release"], ["sh"], ["id"], ["mkdir", "-p",
            "/"],
    ["mkdir", "-p", "/certs/frp", "/x"], ["mkdir", "/certs/frp"], ["mkdir", "-p",
            "/certs/frp/../../x"],
    ["mkdir", "-m", "777", "/certs/frp"], ["update-ca-certificates", "--fresh"],
    ["update-ca-certificates", "--hooksdir", "/x"], ["update-ca-trust"], ["update-ca-trust",
            "check"],
    ["update-ca-trust", "extract", "-o", "/"], [["cat", "/etc/os-release"]], ["cat",
            ["/etc/os-release"]],
    ["cat", None], ["cat", 5], [None, "cat", "/etc/os-release"], ["", "cat", "/etc/os-release"],
    [""], [],
    ["cat", "/etc/os-release\0"], ["cat\0", "/etc/os-release"], ["cat", "/etc/os-release\n"],
    ["c\u0430t", "/etc/os-release"],
    ["cat", "/etc/o\u017f-release"], ["nsenter", "-t", "1", "-m"], ["cat"] * 5000,
    "cat /etc/os-release", "cat", {"0": "cat", "1": "/etc/os-release"}, None, 5, True, {},
]
EXECS = {
    "Privileged": [True, 1, "true"], "User": ["root", "0", "0:0", 0], "Env": [["LD_PRELOAD=/x.so"],
            ["A=b"], "A=b"],
    "WorkingDir": ["/", "/x"], "DetachKeys": ["ctrl-a", "a"], "AttachStdin": [True, 1],
    "Tty": [True],
    "Detach": [True], "AttachStdout": ["true", 1], "ConsoleSize": [[1], ["a", "b"]],
    "cmd": [["id"]], "CMD": [["id"]],
    "Container": ["other"], "privileged": [True], "user": ["root"], "u\u017fer": ["root"],
    "Cmd ": [["id"]],
    "Entrypoint": [["sh"]], "Running": [True], "": [1], "NoNewPrivileges": [False],
    "HostConfig": [{"Privileged": True}],
}
STARTS = [{"Tty": True}, {"Detach": True}, {"Detach": True, "Tty": True}, {"Detach": False,
        "Tty": True}, {"tty": True},
          {"detach": True}, {"Detach": 1}, {"Detach": "false"}, {"Privileged": True},
          {"User": "root"}, {"Cmd": ["id"]},
          {"AttachStdin": True}, {"DetachKeys": "a"}, {"ConsoleSize": [1]}, [], "x", 5, None,
          {"Detach": None, "x": 1}]
DEVICE = {"type": "none", "o": "bind", "device": "/"}
VOLUMES = [
    {}, {"Name": ""}, {"Name": None}, {"Name": 5}, {"Name": ["nc_app_y_data"]},
    {"Name": "other_data"},
    {"name": "other_data"}, {"Name": "nc_app_y"}, {"Name": "nc_app__data"},
    {"Name": "xnc_app_y_data"},
    {"Name": "nc_app_y_data/.."}, {"Name": "../nc_app_y_data"}, {"Name": "nc_app_../x_data"},
    {"Name": "nc_app_y_data\0"},
    {"Name": "nc_app_y_data "}, {"Name": "/nc_app_y_data"},
    {"Name": "nc_app_" + "a" * 300 + "_data"},
    {"Name": "nc_app_y_data", "name": "other_data"}, {"name": "nc_app_y_data",
                                                      "Name": "other_data"},
    {"Name": "nc_app_y_data", "name": "nc_app_y_data"},
    *({"Name": "nc_app_y_data", **more} for more in (
        {"DriverOpts": DEVICE}, {"DriverOpts": {"device": "/"}}, {"DriverOpts": {"a": "b"}},
        {"DriverOpts": ["a"]},
        {"driverOpts": DEVICE}, {"driveropts": DEVICE}, {"DRIVEROPTS": DEVICE},
        {"DriverOpt\u017f": DEVICE},
        {"Opts": DEVICE}, {"Options": DEVICE}, {"Driver": "rclone"}, {"Driver": "Local"},
        {"Driver": "local "},
        {"Driver": "sshfs:latest"}, {"Driver": ["local"]}, {"driver": "rclone"},
        {"ClusterVolumeSpec": {}},
        {"ClusterVolumeSpec": {"Group": "a"}}, {"Labels": {LABEL: "mine"}}, {"Labels": ["a=b"]},
        {"Labels": {"a=": "b"}},
        {"Labels": {"a": 1}}, {"labels": {"a": "b"}}, {"Label": {"a": "b"}}, {"Mountpoint": "/"},
        {"Scope": "global"},
        {"UID": 0}, {"IgnoreIfExists": True}, {"HostConfig": {"Privileged": True}}, {"": 1})),
]
# What is not of registry.test/exapps, under a policy that lists that alone.
FOREIGN = [
    "alpine", "library/alpine", "docker.io/library/alpine", "registry.test/other/a",
    "registry.test/exapps",
    "registry.test/a", "registry.test:443/exapps/a", "xregistry.test/exapps/a",
    "registry.test.evil.test/exapps/a",
    "evil.test/registry.test/exapps/a", "Registry.test/exapps/a", "REGISTRY.TEST/exapps/a",
    "exapps/a",
    "registry.test/exapps/", "registry.test/exapps//a", "registry.test/exapps/../other/a",
    "registry.test//exapps/a",
    "registry.test/exappsx/a", "https://registry.test/exapps/a", "registry.test./exapps/a",
    "registry/exapps/a",
    "user@registry.test/exapps/a", "registry.test/exapps/a@evil", "registry.test/exapps/A", "a",
    "abcdef", "a" * 64,
    "abcdef012345", "localhost/registry.test/exapps/a", "registry.test/exapps/a:b:c",
    "index.docker.io/registry.test/a",
    "sha256:" + "a" * 64, "sha256", "REGISTRY/exapps/a", "127.0.0.1:5000/exapps/a",
    "[::1]:5000/exapps/a",
]


class Listeners:
    """Paths of the filter's listeners beside the first."""

    def __init__(self, site):
        self.mine, self.theirs, self.registry = (site.socket_path() for _ in range(3))

    def groups(self):
        return ['{ address = "unix:{path}"; policy = "appapi"; }',
                *(f'{{ address = "unix:{path}"; policy = "{name}"; }}' for name,
                  path in vars(self).items())]


@pytest.fixture(scope="module")
def target(tmp_path_factory, certs, engine):
    from conftest import open_site
    site = open_site(tmp_path_factory, certs, "listeners")
    listeners = Listeners(site)
    made = filter_target(tmp_path_factory, certs, engine, listeners=listeners.groups(),
                         policies=POLICIES)
    target = next(made)
    try:
        target.listeners = listeners
        target.api.create("nc_app_up", PLAIN, Cmd=["exapp"])
        target.api.start("nc_app_up")
        for name in ("mine", "theirs"):
            path = getattr(listeners, name)
            answers = [target.call(VOLUME, {"Name": f"nc_app_{name}_data"}, path=path), target.call(
                f"POST /v1.41/containers/create?name=nc_app_{name}",
                {"Image": PLAIN, "HostConfig": {"NetworkMode": "host"}}, path=path)]
            assert [answer.status for answer in answers] == [201, 201], answers
        target.before = target.state()
        yield target
        assert target.state() == target.before
        for name in ("nc_app_up", "nc_app_mine", "nc_app_theirs"):
            target.api.remove(name)
        for name in ("nc_app_mine_data", "nc_app_theirs_data"):
            target.api.remove_volume(name)
        next(made, None)
    finally:
        made.close()
        site.close()


def number(values):
    return [pytest.param(value, id=f"{index}-{str(value)[:40]}") for index,
            value in enumerate(values)]


def each(table):
    return [pytest.param(key, value, id=f"{key or 'empty'}-{index}")
            for key, values in table.items() for index, value in enumerate(values)]


def test_there_are_at_least_200_attempts():
    assert len(COMMANDS) + len(EXECS) + len(STARTS) + len(VOLUMES) + len(FOREIGN) * 3 >= 200


# ---- commands ----

def made_at_the_engine(target, name, *command):
    """An exec that the filter has not seen."""
    body = {"AttachStdout": True, "Cmd": list(command)}
    return json.loads(target.api.call("POST", f"/containers/{name}/exec", body))["Id"]


@pytest.mark.parametrize("command", number(COMMANDS))
def test_no_command_runs_but_those_listed(target, command):
    target.refused(EXEC, {"Cmd": command, "AttachStdout": True}, statuses={403},
                   words=("containers/exec",))


@pytest.mark.parametrize("key, value", each(EXECS))
def test_a_command_gets_nothing_beside_its_words(target, key, value):
    for body in ({"Cmd": CAT, key: value}, {key: value, "Cmd": CAT}):
        target.refused(EXEC, body, statuses={403})


@pytest.mark.parametrize("body", number(STARTS))
def test_a_command_is_started_in_one_way_only(target, body):
    """One that the filter made."""
    made = target.call(EXEC, {"Cmd": CAT, "AttachStdout": True})
    assert made.status == 201
    target.refused(f"POST /v1.41/exec/{json.loads(made.body)['Id']}/start", body, statuses={400,
            403})


def test_a_command_that_the_filter_did_not_make_is_not_known(target):
    found = made_at_the_engine(target, "nc_app_up", "id")
    target.refused(f"POST /v1.41/exec/{found}/start", {"Detach": False, "Tty": False},
                   statuses={403},
                   words=("was not made through this program",))
    target.refused(f"GET /v1.41/exec/{found}/json", statuses={403})
    target.refused(f"POST /v1.41/exec/{found}/start", {}, [b"Connection: Upgrade", b"Upgrade: tcp"],
                   statuses={403})


def test_a_command_of_another_policy_is_not_known(target):
    made = target.call(EXEC, {"Cmd": CAT, "AttachStdout": True}, path=target.listeners.registry)
    assert made.status == 201
    found = json.loads(made.body)["Id"]
    target.refused(f"POST /v1.41/exec/{found}/start", {"Detach": False, "Tty": False},
                   statuses={403})
    target.refused(f"GET /v1.41/exec/{found}/json", statuses={403})
    with target.untouched():
        for path in (target.listeners.mine, target.listeners.theirs):
            judge(target.call(f"GET /v1.41/exec/{found}/json", path=path), {403}, path)
    assert target.call(f"GET /v1.41/exec/{found}/json",
                       path=target.listeners.registry).status == 200


@pytest.mark.parametrize("change", [lambda text: text[:-1], lambda text: text[:12], str.upper,
                                    lambda text: text + "0",
                                    lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"),
                                    lambda text: text[:-1] + "%30", lambda text: text + "/..",
                                    lambda text: "0" * 64])
def test_an_id_of_a_command_is_taken_whole(target, change):
    found = change(json.loads(target.call(EXEC, {"Cmd": CAT, "AttachStdout": True}).body)["Id"])
    target.refused(f"POST /v1.41/exec/{found}/start", {"Detach": False, "Tty": False})
    target.refused(f"GET /v1.41/exec/{found}/json")


# ---- volumes ----

@pytest.mark.parametrize("body", number(VOLUMES))
def test_no_volume_but_a_plain_one_of_an_exapp_is_made(target, body):
    target.refused(VOLUME, body, statuses={403}, words=("volumes/create",))


@pytest.mark.parametrize("name", ["other_data", "nc_app_x", "nc_app__data", "a", "nc_app_x_datax",
                                  "NC_APP_X_DATA",
                                  "nc_app_x_data,other_data", "nc_app_x_data%2F..", "prune",
                                  "create", "json"])
@pytest.mark.parametrize("call", ["GET /v1.41/volumes/{}", "DELETE /v1.41/volumes/{}",
                                  "DELETE /v1.41/volumes/{}?force=1"])
def test_a_volume_that_is_not_an_exapps_is_not_there(target, call, name):
    target.refused(call.replace("{}", name))


def test_a_body_of_a_removal_is_no_name(target):
    """AppAPI sends one, which does not go on."""
    target.refused("DELETE /v1.41/volumes/other_data", {"name": "nc_app_x_data"}, statuses={403})
    target.quiet()
    target.api.call("POST", "/volumes/create", {"Name": "nc_app_gone_data"})
    assert target.call("DELETE /v1.41/volumes/nc_app_gone_data", {"name": "other_data",
            "Force": True}).status == 204
    asked, = target.recorder.asked()
    assert asked.body == b"" and asked.target == "/v1.41/volumes/nc_app_gone_data"


# ---- images ----

def refused_at(target, path, call, body=None, statuses=NO):
    with target.untouched():
        judge(target.call(call, body, path=path), statuses, call)


@pytest.mark.parametrize("image", FOREIGN)
def test_no_image_but_one_of_the_registry_that_is_listed(target, image):
    quoted = image.replace("/", "%2F").replace(":", "%3A").replace("@", "%40").replace("[",
            "%5B").replace("]", "%5D")
    path = target.listeners.registry
    refused_at(target, path, f"POST /v1.41/images/create?fromImage={quoted}")
    refused_at(target, path, f"POST /v1.41/images/create?fromImage={quoted}&tag=1")
    refused_at(target, path, f"GET /v1.41/images/{image}/json")
    refused_at(target, path, f"DELETE /v1.41/images/{quoted}")
    refused_at(target, path, NEW, {"Image": image})


def test_an_image_is_not_taken_by_its_id_past_the_list(target):
    found = target.api.image(ALPINE)["Id"]
    assert found.startswith("sha256:")
    for name in (found, found[7:], found[7:19], found[7:10]):
        refused_at(target, target.listeners.registry, NEW, {"Image": name}, {403})
        refused_at(target, target.listeners.registry, f"DELETE /v1.41/images/{name}",
                   statuses={403})


def test_what_the_registry_list_allows_passes(target):
    """Else nothing here could fail."""
    reply = target.call(f"GET /v1.41/images/{PLAIN}/json", path=target.listeners.registry)
    assert reply.status == 200


# ---- owners ----

CALLS = ["GET {}/json", "GET {}/logs?stdout=1", "POST {}/start", "POST {}/stop", "DELETE {}",
         "DELETE {}?force=true&v=true",
         "POST {}/exec"]


def body_of(call):
    return {"Cmd": CAT, "AttachStdout": True} if call.endswith("exec") else None


@pytest.mark.parametrize("whose", ["nc_app_theirs", "nc_app_x", "nc_app_up"])
@pytest.mark.parametrize("call", CALLS)
def test_a_container_without_the_owners_label_is_refused(target, call, whose):
    """By its name and by its id; the engine is asked for its label, and nothing else."""
    found = target.api.inspect(whose)["Id"]
    for name in (whose, found, found[:12], found[:40]):
        target.quiet()
        call_of = call.replace("{}", f"/v1.41/containers/{name}")
        judge(target.call(call_of, body_of(call), path=target.listeners.mine), {403}, call_of,
              ("owner",))
        assert target.looked_at_only() == [f"/containers/{name}/json"]
        target.quiet()
    assert target.api.inspect(whose)["Id"] == found


def test_an_archive_for_a_container_without_the_label_is_refused(target):
    target.quiet()
    reply = target.send(b"PUT /v1.41/containers/nc_app_theirs/archive?path=/ HTTP/1.1",
                        [b"Content-Type: application/x-tar", b"Content-Length: 1024"], bytes(1024),
                        "PUT",
                        path=target.listeners.mine)
    judge(reply, {403}, "archive", ("owner",))
    assert target.looked_at_only() == ["/containers/nc_app_theirs/json"]


@pytest.mark.parametrize("call", ["GET /v1.41/volumes/{}", "DELETE /v1.41/volumes/{}",
                                  "DELETE /v1.41/volumes/{}?force=1"])
@pytest.mark.parametrize("name", ["nc_app_theirs_data", "nc_app_x_data"])
def test_a_volume_without_the_owners_label_is_refused(target, call, name):
    target.quiet()
    judge(target.call(call.replace("{}", name), path=target.listeners.mine), {403}, call, ("owner",
            ))
    assert target.looked_at_only() == [f"/volumes/{name}"]


def mount(name, at="/x"):
    return {"Type": "volume", "Source": name, "Target": at}


@pytest.mark.parametrize("before", [0, 1, 63, 64, 65, 127])
@pytest.mark.parametrize("name", ["nc_app_theirs_data", "nc_app_x_data"])
def test_a_volume_without_the_owners_label_is_not_mounted(target, name, before):
    """However many of one's own stand in front of it."""
    mounts = [mount("nc_app_mine_data", f"/m{at}") for at in range(before)] + [mount(name)]
    target.quiet()
    reply = target.call(NEW, {"Image": PLAIN, "HostConfig": {"NetworkMode": "host",
            "Mounts": mounts}},
                        path=target.listeners.mine)
    judge(reply, {403}, (name, before))
    assert set(target.looked_at_only()) <= {"/volumes/nc_app_mine_data", f"/volumes/{name}"}
    assert target.api.inspect("nc_app_new") is None


def test_all_volumes_are_looked_at_however_many_there_are(target):
    """64 of one's own, and another's behind them: the engine is asked about each, and nothing more."""
    names = [f"nc_app_mine{number}_data" for number in range(64)]
    try:
        for name in names:
            assert target.call(VOLUME, {"Name": name}, path=target.listeners.mine).status == 201
        mounts = [mount(name, f"/{name}") for name in (*names, "nc_app_theirs_data")]
        reply = target.call(NEW, {"Image": PLAIN, "HostConfig": {"Mounts": mounts}},
                            path=target.listeners.mine)
        assert reply.status == 403 and "owner" in reply.text
        assert target.api.inspect("nc_app_new") is None
    finally:
        for name in names:
            target.api.remove_volume(name)


def test_ones_own_are_reached(target):
    """Else nothing here could fail."""
    path = target.listeners.mine
    assert target.call("GET /v1.41/containers/nc_app_mine/json", path=path).status == 200
    assert target.call("GET /v1.41/volumes/nc_app_mine_data", path=path).status == 200
    mounts = [mount("nc_app_mine_data", f"/m{at}") for at in range(3)]
    reply = target.call(NEW, {"Image": PLAIN, "HostConfig": {"NetworkMode": "host",
            "Mounts": mounts}}, path=path)
    assert reply.status == 201, reply
    try:
        made = target.api.inspect("nc_app_new")
        assert made["Config"]["Labels"][LABEL] == "mine"
        assert {one["Name"] for one in made["Mounts"]} == {"nc_app_mine_data"}
    finally:
        target.api.remove("nc_app_new")


@pytest.mark.parametrize("labels", [{LABEL: "theirs"}, {LABEL: "mine"}, {LABEL: ""},
                                    {"a": "b", LABEL: "theirs"},
                                    {LABEL + "=theirs": "x"}, {"harp.filter.owner ": "theirs"},
                                    {LABEL + "\0": "theirs"}])
def test_the_owners_label_is_not_the_clients_to_write(target, labels):
    for path in (target.socket, target.listeners.mine):
        refused_at(target, path, NEW, {"Image": PLAIN, "Labels": labels}, {403})
        refused_at(target, path, VOLUME, {"Name": "nc_app_y_data", "Labels": labels}, {403})


@pytest.mark.parametrize("key", ["Harp.Filter.Owner", "harp.filter.Owner", "harp.filter.owner.",
                                 "harp.filter.owner2"])
def test_a_label_that_only_looks_like_the_owners_is_none(target, key):
    """The engine tells letter cases apart; the filter, too."""
    body = {"Image": PLAIN, "Labels": {key: "theirs"}, "HostConfig": {"NetworkMode": "host"}}
    assert target.call(NEW, body, path=target.listeners.mine).status == 201
    try:
        judge(target.call("GET /v1.41/containers/nc_app_new/json", path=target.listeners.theirs),
              {403}, key)
        assert target.api.inspect("nc_app_new")["Config"]["Labels"] == {key: "theirs",
                LABEL: "mine"}
    finally:
        target.api.remove("nc_app_new")
