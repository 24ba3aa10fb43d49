"""The life of an ExApp in a container, from AppAPI's calls to what is then true at the engine.

Each test runs with the engine at the hub's own socket, behind a tunnel, and behind the socket
filter.
"""
import json
import os

import pytest

from harness import session_cookie
from harness.credentials import SHARED_KEY
from harness.deploy import TOKEN, ExAppSpec, assert_told
from harness.docker_fixtures import ways
from harness.docker_images import NEXT, PLAIN, REPOSITORY, TESTAPP, RootFs
from harness.wait import wait_for

WAYS = ("local", "tunnel", "filter")
STARTED = {"started": True, "status": "running", "health": None}


def deploy(daemon, app, bundle):
    """What AppAPI calls until the container runs, as in the recorded app-register."""
    assert daemon.gate(daemon.image_path(f"{app.image}-cpu")).status == 404
    image = daemon.gate(daemon.image_path(app.image))
    assert image.status == 200 and app.image in json.loads(image.body)["RepoTags"]
    assert daemon.expect(200, "exists", app) == {"exists": False}
    daemon.create(app, environment_variables=daemon.environment(app, "TEST_OPTION=from-admin"))
    daemon.install(app, bundle)
    daemon.start(app)
    assert daemon.wait_for_start(app) == STARTED
    container = json.loads(daemon.gate(f"v1.41/containers/{app.container}/json").body)
    assert container["State"]["Status"] == "running"
    shown = "<hidden>" if daemon.filter else app.port
    assert container["Config"]["Env"][6] == f"APP_PORT={shown}"


def enable(daemon, app):
    """From a container that was started to an app that clients can use."""
    daemon.heartbeat(app)
    assert daemon.expect(200, "start", app) == "Container already started"
    assert daemon.wait_for_start(app) == STARTED
    reply = daemon.to_app(app, "PUT", "/enabled?enabled=1")
    assert reply.status == 200 and json.loads(reply.body) == {"error": ""}
    daemon.push(app)


def disable(daemon, app):
    assert daemon.to_app(app, "PUT", "/enabled?enabled=0").status == 200
    assert daemon.expect(204, "stop", app) == ""
    assert daemon.control("DELETE", f"/exapp_storage/{app.name}").status == 204


def served(daemon, app):
    """What the ExApp tells about a client's request."""
    reply = daemon.browse(app, "/some/page?x=1", session_cookie())
    assert reply.status == 200, reply
    return json.loads(reply.body)


def test_the_whole_life_as_appapi_leads_it(daemon, ca_bundle):
    app = daemon.register(ExAppSpec("testapp", 23000))
    deploy(daemon, app, ca_bundle.text)
    daemon.heartbeat(app)
    init = daemon.to_app(app, "POST", "/init")
    assert init.status == 200 and json.loads(init.body) == {}
    enable(daemon, app)
    told = served(daemon, app)
    assert (told["method"], told["path"]) == ("GET", "/some/page?x=1")
    assert ["EX-APP-ID", "testapp"] in told["headers"]

    disable(daemon, app)
    assert daemon.api.status(app.container) == "exited"
    assert daemon.browse(app, "/some/page").status == 404
    assert daemon.expect(200, "stop", app) == "Container already stopped"
    daemon.start(app)
    assert daemon.wait_for_start(app) == STARTED
    enable(daemon, app)
    assert served(daemon, app)["method"] == "GET"

    code, _, errors = daemon.api.execute(app.container, "touch", f"/{app.volume}/kept")
    assert (code, errors) == (0, b"")
    disable(daemon, app)
    assert daemon.expect(200, "exists", app) == {"exists": True, "image_ref": app.image}
    assert daemon.expect(204, "remove", app, remove_data=False) == ""
    assert daemon.api.containers() == [] and daemon.api.volumes() == [app.volume]
    assert daemon.expect(200, "exists", app) == {"exists": False}

    deploy(daemon, app, ca_bundle.text)
    enable(daemon, app)
    assert daemon.api.execute(app.container, "ls", f"/{app.volume}") == (0, b"kept\n", b"")
    assert served(daemon, app)["method"] == "GET"
    disable(daemon, app)
    assert daemon.expect(204, "remove", app, remove_data=True) == ""
    assert daemon.api.containers() == [] and daemon.api.volumes() == []


# ---- the environment and the app's token ----

def test_the_environment_arrives_in_its_order_with_a_token_in_place_of_the_key(daemon):
    app = daemon.connected()
    sent = daemon.environment(app)
    found = daemon.api.environment(app.container)
    assert found[:len(sent) - 1] == sent[:-1]
    match = TOKEN.match(found[len(sent) - 1].removeprefix("HP_SHARED_KEY="))
    assert match and match.groups()[:3] == (app.container, app.name, str(app.port))
    process = json.loads(daemon.to_app(app, "GET", "/env").body)
    assert process["HP_SHARED_KEY"] == match.group() and process["HOSTNAME"] == app.name
    assert SHARED_KEY not in json.dumps(process)
    assert SHARED_KEY not in json.dumps(daemon.api.inspect(app.container))


def test_the_key_is_nowhere_in_the_container(daemon):
    app = daemon.connected()
    for folder in ("/tmp", "/etc", "/certs", "/frpc.toml", f"/{app.volume}"):
        for path, content in daemon.api.files(app.container, folder).items():
            assert SHARED_KEY.encode() not in content, path


def test_tokens_differ_by_app_and_stay_for_the_same_app(daemon):
    app, other = daemon.created(), daemon.created()
    token = daemon.token(app)
    assert token != daemon.token(other)
    daemon.expect(204, "remove", app)
    daemon.create(app)
    assert daemon.token(app) == token


def test_no_token_is_logged(daemon):
    app = daemon.connected()
    secret = TOKEN.match(daemon.token(app)).group(4).encode()
    assert secret not in daemon.hub.output() and secret not in daemon.api.logs(app.container)


def test_an_environment_without_the_key_gets_none(daemon):
    """As with apps that are reached directly."""
    app = daemon.created(changes={"environment_variables": ["B=2", "A=1", "B=3=4", "EMPTY="]})
    assert daemon.api.environment(app.container)[:4] == ["B=2", "A=1", "B=3=4", "EMPTY="]
    assert not any(row.startswith("HP_SHARED_KEY") for row in
                   daemon.api.environment(app.container))


# ---- create: what is true at the engine ----

def test_create_makes_the_container_that_appapi_describes(daemon):
    app = daemon.created()
    found = daemon.api.inspect(app.container)
    assert found["Config"]["Image"] == PLAIN and found["Config"]["Hostname"] == app.name
    assert found["State"]["Status"] == "created"
    host = found["HostConfig"]
    assert host["NetworkMode"] == "host"
    assert host["RestartPolicy"] == {"Name": "unless-stopped", "MaximumRetryCount": 0}
    assert [(row["Type"], row["Source"], row["Target"], row.get("ReadOnly", False))
            for row in host["Mounts"]] == [("volume", app.volume, f"/{app.volume}", False)]
    assert (host["Memory"], host["NanoCpus"]) == (0, 0)
    assert not host["DeviceRequests"] and not host["Devices"] and not host["Privileged"]
    assert daemon.api.volumes() == [app.volume]


def test_container_and_volume_say_whose_they_are(daemon):
    app = daemon.created()
    labels = daemon.api.inspect(app.container)["Config"]["Labels"]
    assert set(labels) == {"harp.instance", "harp.nextcloud"} and all(labels.values())
    assert daemon.api.volume(app.volume)["Labels"] == labels
    assert SHARED_KEY not in json.dumps(labels)


def test_create_tells_the_id(daemon):
    app = daemon.register(ExAppSpec())
    told = daemon.expect(201, "create", app, **daemon.create_body(app))
    assert told == {"id": daemon.api.inspect(app.container)["Id"], "name": app.container}


@pytest.mark.parametrize("instance, role, container, volume", [
    ("", "", "nc_app_named", "nc_app_named_data"),
    ("oc1", "", "nc_app_oc1_named", "nc_app_oc1_named_data"),
    ("", "rp", "nc_app_named_rp", "nc_app_named_data"),
    ("oc1", "idx", "nc_app_oc1_named_idx", "nc_app_oc1_named_data")])
def test_names_hold_instance_and_role_but_roles_share_a_volume(daemon, instance, role, container,
                                                               volume):
    app = daemon.register(ExAppSpec("named", instance=instance))
    told = daemon.expect(201, "create", app, **daemon.create_body(app), role_suffix=role)
    assert told["name"] == container
    assert daemon.api.containers() == [container] and daemon.api.volumes() == [volume]
    mount, = daemon.api.inspect(container)["HostConfig"]["Mounts"]
    assert (mount["Source"], mount["Target"]) == (volume, f"/{volume}")
    assert daemon.expect(200, "exists", app, role_suffix=role)["exists"]
    assert daemon.expect(204, "start", app, role_suffix=role) == ""
    assert daemon.expect(204, "remove", app, role_suffix=role, remove_data=True) == ""
    assert daemon.api.containers() == [] and daemon.api.volumes() == []


def test_limits_and_restart_policy(daemon):
    app = daemon.created(changes={"restart_policy": "always", "resource_limits": {
        "memory": 67108864, "nanoCPUs": 500000000}})
    host = daemon.api.inspect(app.container)["HostConfig"]
    assert (host["Memory"], host["NanoCpus"]) == (67108864, 500000000)
    assert host["RestartPolicy"]["Name"] == "always"


@pytest.mark.parametrize("limits, memory, cpus", [
    ([], 0, 0), ({}, 0, 0), ({"memory": "67108864"}, 67108864, 0),
    ({"nanoCPUs": "500000000"}, 0, 500000000), ({"memory": 0, "nanoCPUs": 0}, 0, 0)])
def test_limits_as_php_writes_them(daemon, limits, memory, cpus):
    app = daemon.created(changes={"resource_limits": limits})
    host = daemon.api.inspect(app.container)["HostConfig"]
    assert (host["Memory"], host["NanoCpus"]) == (memory, cpus)


@ways("local", "tunnel")
@pytest.mark.parametrize("device, requests, devices", [
    ("cuda", [("nvidia", -1, [["compute", "utility"]])], []),
    ("rocm", [], ["/dev/kfd", "/dev/dri"])])
def test_compute_devices(daemon, device, requests, devices):
    app = daemon.created(changes={"compute_device": device})
    host = daemon.api.inspect(app.container)["HostConfig"]
    assert [(row["Driver"], row["Count"], row["Capabilities"])
            for row in host["DeviceRequests"] or []] == requests
    assert [(row["PathOnHost"], row["PathInContainer"], row["CgroupPermissions"])
            for row in host["Devices"] or []] == [(path, path, "rwm") for path in devices]


@ways("local", "tunnel")
def test_bind_mounts_can_be_written_to_only_if_they_may(daemon, tmp_path):
    tmp_path.chmod(0o755)
    folders = {"ro": tmp_path / "ro", "rw": tmp_path / "rw", "default": tmp_path / "default"}
    for folder in folders.values():
        folder.mkdir()
    mounts = [{"source": str(folders["ro"]), "target": "/mnt/ro", "mode": "ro"},
              {"source": str(folders["rw"]), "target": "/mnt/rw", "mode": "rw"},
              {"source": str(folders["default"]), "target": "/mnt/default"}]
    app = daemon.running(changes={"mount_points": mounts})
    rows = daemon.api.inspect(app.container)["HostConfig"]["Mounts"][1:]
    assert [(row["Type"], row["Source"], row["Target"], row.get("ReadOnly", False))
            for row in rows] == [("bind", row["source"], row["target"], row.get("mode") == "ro")
                                 for row in mounts]
    for mode, code in (("rw", 0), ("default", 0), ("ro", 1)):
        done = daemon.api.execute(app.container, "touch", f"/mnt/{mode}/file")
        assert done[0] == code, done
        assert os.path.exists(folders[mode] / "file") == (code == 0)


def test_a_network_of_ones_own_gets_the_apps_name_as_alias(daemon):
    app = daemon.created(changes={"network_mode": "ncnet"})
    found = daemon.api.inspect(app.container)
    assert found["HostConfig"]["NetworkMode"] == "ncnet"
    assert app.name in found["NetworkSettings"]["Networks"]["ncnet"]["Aliases"]


def test_a_network_that_the_engine_does_not_have_is_told_in_the_engines_words(daemon):
    app = daemon.created(changes={"network_mode": "ncnet"})
    assert_told(daemon.call("start", app), 503, f"Error starting container '{app.container}'",
                "network ncnet not found")


@pytest.mark.parametrize("network", ["host", "bridge"])
def test_host_and_bridge_have_no_alias(daemon, network):
    app = daemon.created(changes={"network_mode": network})
    networks = daemon.api.inspect(app.container)["NetworkSettings"]["Networks"]
    assert not any((row or {}).get("Aliases") for row in networks.values())


def test_a_volume_that_is_there_is_used(daemon):
    daemon.api.call("POST", "/volumes/create", {"Name": "nc_app_before_data"})
    app = daemon.created("before")
    assert daemon.api.volumes() == [app.volume]
    assert daemon.api.volume(app.volume)["Labels"] in (None, {})


def test_a_failed_create_leaves_no_container_and_is_told_in_the_engines_words(daemon):
    app = daemon.register(ExAppSpec(image="registry.test/none:1"))
    reply = daemon.call("create", app, **daemon.create_body(app))
    assert_told(reply, 503, f"Error creating container '{app.container}': Status 404",
                    "No such image")
    assert daemon.api.containers() == []


def test_create_of_a_name_that_is_there_is_a_409(daemon):
    app = daemon.created()
    before = daemon.api.inspect(app.container)["Id"]
    assert_told(daemon.call("create", app, **daemon.create_body(app)), 409,
                    f"Container with name '{app.container}' already exists.")
    assert daemon.api.inspect(app.container)["Id"] == before


# ---- start, stop, remove ----

def test_start_and_stop_say_whether_there_was_something_to_do(daemon):
    app = daemon.created()
    for call, word, status in (("start", "started", "running"), ("stop", "stopped", "exited"),
                               ("start", "started", "running")):
        assert daemon.expect(204, call, app) == ""
        assert daemon.api.status(app.container) == status
        assert daemon.expect(200, call, app) == f"Container already {word}"
        assert daemon.api.status(app.container) == status


@pytest.mark.parametrize("call", ["start", "stop", "install_certificates"])
def test_calls_about_a_container_that_is_not_there_are_a_404(daemon, call):
    assert_told(daemon.call(call, ExAppSpec("nobody")), 404,
                    "Container 'nc_app_nobody' not found.")


def test_a_running_container_is_removed(daemon):
    app = daemon.running()
    assert daemon.expect(204, "remove", app) == ""
    assert daemon.api.containers() == [] and daemon.api.volumes() == [app.volume]


@pytest.mark.parametrize("remove_data", [True, False])
def test_removing_what_is_not_there_is_a_204(daemon, remove_data):
    assert daemon.expect(204, "remove", ExAppSpec("nobody"), remove_data=remove_data) == ""


def test_the_data_of_a_container_that_was_removed_before_can_be_removed(daemon):
    app = daemon.created()
    daemon.expect(204, "remove", app)
    assert daemon.expect(204, "remove", app, remove_data=True) == ""
    assert daemon.api.volumes() == []


def test_a_volume_in_use_is_a_409_and_the_container_is_gone(daemon):
    app = daemon.created()
    daemon.api.create("another", PLAIN, HostConfig={
        "Mounts": [{"Type": "volume", "Source": app.volume, "Target": "/v"}]})
    assert_told(daemon.call("remove", app, remove_data=True), 409,
                    f"Volume '{app.volume}' is in use and could not be removed.")
    assert daemon.api.containers() == ["another"] and daemon.api.volumes() == [app.volume]


def test_the_tunnel_of_a_removed_app_is_gone(daemon):
    app = daemon.connected()
    daemon.expect(204, "remove", app)
    wait_for(lambda: daemon.to_app(app, "GET", "/heartbeat").status == 503,
             what="the end of the tunnel")


# ---- images ----

def test_exists_tells_the_image(daemon):
    app = daemon.created(image=NEXT)
    assert daemon.expect(200, "exists", app) == {"exists": True, "image_ref": NEXT}


def small_image(daemon, name):
    """One of its own, that can't be run."""
    tar = RootFs()
    tar.file("/file", bytes(100000))
    daemon.api.import_image(tar.bytes(), name, ['CMD ["/file"]'])


def test_an_image_that_nobody_uses_is_deleted(daemon):
    name = f"{REPOSITORY}/unused:1"
    small_image(daemon, name)
    size = daemon.api.image(name)["Size"]
    assert size >= 100000
    assert daemon.expect(200, "image_remove", None, image_ref=name) == {
        "deleted": True, "bytes_freed": size}
    assert daemon.api.image(name) is None
    assert daemon.expect(200, "image_remove", None, image_ref=name) == {
        "deleted": True, "bytes_freed": 0, "reason": "not_found"}


def test_one_name_of_an_image_that_has_another_frees_nothing(daemon):
    daemon.api.tag(PLAIN, f"{TESTAPP}:more")
    assert daemon.expect(200, "image_remove", None, image_ref=f"{TESTAPP}:more") == {
        "deleted": True, "bytes_freed": 0}
    assert daemon.api.image(f"{TESTAPP}:more") is None and daemon.api.image(PLAIN)


def test_an_image_in_use_stays(daemon):
    name = f"{REPOSITORY}/used:1"
    small_image(daemon, name)
    try:
        daemon.created(image=name)
        assert daemon.expect(200, "image_remove", None, image_ref=name) == {
            "deleted": False, "reason": "in_use"}
        assert daemon.api.image(name)
    finally:
        daemon.api.remove_image(name)
