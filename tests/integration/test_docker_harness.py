"""The tests' own engine, images and recorder, without a hub: what other tests take for granted."""
import json
import subprocess
import threading

import pytest

from harness import RawClient
from harness.ca_bundle import common_name, load, pems
from harness.credentials import SHARED_KEY
from harness.docker_api import DockerApi, UnixConnection, frames, stream
from harness.docker_fixtures import connect, tidy
from harness.docker_images import (ALPINE, BARE, CRASH_CODE, CRASHES, ENDS, FEDORA, HEALTHY,
                                   OS_RELEASE, PLAIN, UNHEALTHY, UNKNOWN)
from harness.unix_recorder import UnixRecorder
from harness.wait import wait_for

UPDATE = {PLAIN: ["update-ca-certificates"], ALPINE: ["update-ca-certificates"],
          FEDORA: ["update-ca-trust", "extract"]}


@pytest.fixture
def api(engine):
    yield engine.api
    if not engine.running():
        engine.start()
    tidy(engine)


@pytest.fixture
def recorder(site, engine):
    return site.add(UnixRecorder(site.socket_path(), engine.socket))


def run(api, name, image, **config):
    api.create(name, image, **config)
    api.start(name)
    api.wait_status(name, "running")


# ---- engine ----

@pytest.mark.parametrize("end", ["stop", "kill"])
def test_an_engine_that_ended_and_is_started_again_has_its_data(api, engine, end):
    run(api, "kept", PLAIN)
    getattr(engine, end)()
    assert not engine.running()
    with pytest.raises((ConnectionError, FileNotFoundError)):
        api.ping()
    engine.start()
    assert api.ping() and api.containers() == ["kept"] and api.image(PLAIN)
    api.start("kept")
    assert api.execute("kept", "true") == (0, b"", b"")


def test_the_engine_uses_no_network(api):
    networks = {row["Driver"] for row in json.loads(api.call("GET", "/networks"))}
    assert networks == {"host", "null"}
    status, body = api.request("POST", "/images/create",
                               query={"fromImage": "registry.test/none", "tag": "1"})
    assert status >= 500 and b"127.53.53.53" in body


def test_its_mounts_are_its_own(api, engine):
    run(api, "mounted", PLAIN)
    with open("/proc/self/mounts", encoding="utf-8") as file:
        assert str(engine.folder) not in file.read()


# ---- images ----

@pytest.mark.parametrize("image, release", [
    (PLAIN, "debian"), (ALPINE, "alpine"), (FEDORA, "fedora"), (UNKNOWN, "unknown")])
def test_systems_differ_by_os_release(api, image, release):
    run(api, "some", image)
    assert api.execute("some", "cat", "/etc/os-release") == (0, OS_RELEASE[release].encode(), b"")


@pytest.mark.parametrize("image", UPDATE)
def test_systems_take_in_certificates(api, ca_bundle, image):
    run(api, "some", image)
    anchors = ("/etc/pki/ca-trust/source/anchors" if image == FEDORA
               else "/usr/local/share/ca-certificates")
    for number, pem in enumerate(ca_bundle.pems):
        script = f"mkdir -p {anchors}; cat >{anchors}/{number}.crt <<E\n{pem}E\n"
        assert api.execute("some", "sh", "-c", script) == (0, b"", b"")
    assert api.execute("some", *UPDATE[image])[0] == 0
    found = b"".join(api.files("some", "/etc").values()).decode()
    for pem in pems(ca_bundle.text):
        assert pem in found
    assert {common_name(load(pem)) for pem in ca_bundle.pems} == {
        "Test Authority One", "Test Authority Two"}


def test_an_image_may_have_neither_shell_nor_cat(api):
    run(api, "some", BARE)
    status, body = api.request("POST", "/containers/some/exec", {
        "AttachStdout": True, "AttachStderr": True, "Cmd": ["cat", "/etc/os-release"]})
    status, body = api.request("POST", f"/exec/{json.loads(body)['Id']}/start",
                               {"Detach": False, "Tty": False})
    assert b"executable file not found" in body, (status, body)
    assert api.files("some", "/usr/bin").keys() == {"/usr/bin/exapp"}


@pytest.mark.parametrize("image, health", [(HEALTHY, "healthy"), (UNHEALTHY, "unhealthy")])
def test_health_checks(api, image, health):
    run(api, "some", image)
    wait_for(lambda: api.inspect("some")["State"]["Health"]["Status"] == health, what=health)


def test_one_image_ends_at_once_and_one_crashes_again_and_again(api):
    api.create("ends", ENDS)
    api.start("ends")
    api.wait_status("ends", "exited")
    run(api, "crashes", CRASHES, HostConfig={"RestartPolicy": {"Name": "always"}})
    api.wait_status("crashes", "restarting")
    wait_for(lambda: api.inspect("crashes")["RestartCount"] >= 2, what="a second restart")
    wait_for(lambda: api.inspect("crashes")["State"]["ExitCode"] == CRASH_CODE, what="the code")


# ---- sample ExApp and start script ----

def test_the_sample_answers_what_appapi_asks(api, tmp_path):
    tmp_path.chmod(0o755)
    run(api, "some", BARE, Env=["A=1", 'B="\\'], HostConfig={
        "Mounts": [{"Type": "bind", "Source": str(tmp_path), "Target": "/tmp"}]})
    path = tmp_path / "exapp.sock"
    wait_for(path.exists, what="the ExApp's socket")

    def ask(target, method="GET", body=b""):
        with RawClient(path) as client:
            return client.ask(target, method=method, body=body)

    assert json.loads(ask("/heartbeat").body) == {"status": "ok"}
    assert json.loads(ask("/enabled?enabled=1", "PUT").body) == {"error": ""}
    assert json.loads(ask("/init", "POST").body) == {}
    environment = json.loads(ask("/env").body)
    assert (environment["A"], environment["B"]) == ("1", '"\\')
    assert ask("/file?/nosuch").status == 404
    assert ask("/file?/usr/bin/exapp").body[:4] == b"\x7fELF"
    told = json.loads(ask("/any/path?x=%20", "POST", bytes(300000)).body)
    assert (told["method"], told["path"]) == ("POST", "/any/path?x=%20")
    assert ["Host", "hub.test"] in told["headers"]
    api.wait_logged("some", b"POST /any/path?x=%20\n")
    assert b"exapp: listening" in stream(api.logs("some"), 2)
    api.stop("some")
    assert api.inspect("some")["State"]["ExitCode"] == 0


def test_the_start_script_opens_a_tunnel_with_certificates_as_with_harps(api, site):
    """Without any of the hub's Docker calls: files and environment come from the test."""
    nextcloud = site.nextcloud()
    nextcloud.add_app("handmade", port=23900)
    hub = site.hub(nextcloud=nextcloud)
    api.create("handmade", PLAIN, Env=["HP_FRP_ADDRESS=127.0.0.1",
                                       f"HP_FRP_PORT={hub.ports['frp']}",
                                       f"HP_SHARED_KEY={hub.key}", "APP_ID=handmade",
                                       "APP_PORT=23900"])
    tar = subprocess.run(["tar", "-C", hub.certs, "-c", "frp/ca.crt", "frp/client.crt",
                          "frp/client.key"], check=True, capture_output=True).stdout
    api.start("handmade")
    assert api.execute("handmade", "mkdir", "/certs")[0] == 0
    api.call("PUT", "/containers/handmade/archive", tar, {"path": "/certs"},
             {"Content-Type": "application/x-tar"})
    api.stop("handmade")
    api.start("handmade")
    hub.wait_line("tunnel", "handmade")
    with RawClient(hub.http) as client:
        assert json.loads(client.ask("/exapps/handmade/page").body)["path"] == "/page"
    assert SHARED_KEY.encode() not in api.logs("handmade")


def test_without_a_key_no_tunnel_is_tried(api):
    run(api, "some", PLAIN, Env=["APP_ID=x"])
    assert api.files("some", "/frpc.toml") is None


# ---- recorder ----

def test_the_recorder_passes_everything_on_and_keeps_requests(api, recorder):
    through = DockerApi(recorder.path)
    assert through.ping() and through.image(PLAIN)["Id"] == api.image(PLAIN)["Id"]
    run(through, "some", PLAIN)
    assert through.execute("some", "cat", "/etc/os-release")[1].startswith(b"PRETTY_NAME")
    made, started = recorder.asked("POST", "/exec")
    assert made.path == "/containers/some/exec" and started.path.endswith("/start")
    assert json.loads(started.body) == {"Detach": False, "Tty": False}
    first = recorder.requests[0]
    assert (first.method, first.path, first.version) == ("GET", "/_ping", "v1.41")
    assert recorder.returned > len(frames(api.logs("some")))
    recorder.wait_idle()


def test_the_recorder_holds_what_matches(api, recorder):
    through, made = DockerApi(recorder.path), []
    with recorder.hold("POST", "/containers/create") as gate:
        thread = threading.Thread(target=lambda: made.append(through.create("held", PLAIN)))
        thread.start()
        gate.wait_for()
        assert through.ping() and api.inspect("held") is None
    thread.join()
    assert api.inspect("held")["Id"] == made[0]


def test_what_was_held_when_its_sender_left_never_arrives(api, recorder):
    with recorder.hold("POST", "/containers/create") as gate:
        connection = UnixConnection(recorder.path, 5)
        connection.request("POST", "/v1.41/containers/create?name=gone",
                           json.dumps({"Image": PLAIN}), {"Content-Type": "application/json"})
        gate.wait_for()
        connection.close()
    recorder.wait_idle()
    assert api.inspect("gone") is None


def test_the_recorder_judges_requests(engine, tmp_path):
    recorder = UnixRecorder(tmp_path / "r.sock", engine.socket)
    with RawClient(recorder.path) as client:
        client.send(b"GET /_ping HTTP/1.1\nHost: x\r\n\r\n")
        client.rest()
    with pytest.raises(AssertionError, match="what the engine was sent"):
        recorder.close()


@pytest.mark.parametrize("way", ["local", "tunnel"])
def test_a_hub_starts_with_an_engine_behind_it(site, engine, way):
    daemon = connect(site, engine, way, recorded=True)
    assert daemon.control("GET", "/heartbeat").status == 200
