"""install_certificates, create and remove: calls of several steps, each of which may fail.

Whatever happens to a step, a container that was stopped is stopped afterwards (one that runs would
break AppAPI's next call), one that ran goes on, and the answer tells the step and the engine's
words.
"""
import json
import re

import pytest

from conftest import open_site
from harness import wait_for
from harness.engine_calls import (BUNDLE, SOON, Engines, assert_failed, furnish,
                                  typed_client)
from harness.engine_faults import OWN_WORDS
from harness.engine_model import FEDORA

DEBIAN_FOLDER = "/usr/local/share/ca-certificates/"
FEDORA_FOLDER = "/etc/pki/ca-trust/source/anchors/"
FRP_FILES = {"/certs/frp/ca.crt", "/certs/frp/client.crt", "/certs/frp/client.key"}
EXEC, EXEC_START = ("POST", "/containers/[^/]+/exec"), ("POST", "/exec/[^/]+/start")
EXEC_JSON, ARCHIVE = ("GET", "/exec/[^/]+/json"), ("PUT", "/containers/[^/]+/archive")
# step: (method, path, part of the exec's command)
STEPS = {
    "inspect": ("GET", "/containers/[^/]+/json", ""),
    "start": ("POST", "/containers/[^/]+/start", ""),
    "exec create, os-release": (*EXEC, "os-release"),
    "exec start, os-release": (*EXEC_START, "os-release"),
    "exec json, os-release": (*EXEC_JSON, "os-release"),
    "archive": (*ARCHIVE, ""),
    "exec create, update": (*EXEC, "update-ca-certificates"),
    "exec start, update": (*EXEC_START, "update-ca-certificates"),
    "exec json, update": (*EXEC_JSON, "update-ca-certificates"),
}
# A word of the step that the answer holds, whatever else it says; of all others "command".
WORDS = {"inspect": "inspect", "start": "start", "archive": "archive"}
FAULTS = ["500 with a message", "never answers", "closes before the head", "resets before the head",
          "garbage"]
FILLED = {"system_certs_bundle": BUNDLE, "install_frp_certs": True}


@pytest.fixture(scope="module")
def file_engines(tmp_path_factory, certs):
    site = open_site(tmp_path_factory, certs, "certificates")
    try:
        yield Engines(site, {"HP_ENGINE_TIMEOUT": SOON})
    finally:
        site.close()


def still(way):
    return way.engine.model.container("nc_app_still")


def install(way, name="still", **changes):
    return way.typed("install_certificates", {"name": name, **FILLED, **changes})


# ---- all is well ----

@pytest.mark.parametrize("system, folder, update", [
    (b"ID=debian\n", DEBIAN_FOLDER, "update-ca-certificates"),
    (b'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n', DEBIAN_FOLDER, "update-ca-certificates"),
    (b'NAME="Alpine Linux"\nID=alpine\n', DEBIAN_FOLDER, "update-ca-certificates"),
    (b'ID="almalinux"\n', FEDORA_FOLDER, "update-ca-trust extract"),
    (b'NAME="CentOS Stream"\nID="centos"\n', FEDORA_FOLDER, "update-ca-trust extract"),
    (b'ID="rhel"\n', FEDORA_FOLDER, "update-ca-trust extract"),
    (FEDORA, FEDORA_FOLDER, "update-ca-trust extract")], ids=lambda value: str(value)[:20])
def test_certificates_are_put_where_the_system_wants_them(way, system, folder, update):
    still(way).os_release = system
    assert install(way).status == 204
    files = {name: data for name, data in still(way).files.items() if data is not None}
    roots = {name: data for name, data in files.items() if name.startswith(folder)}
    assert set(files) - set(roots) == FRP_FILES
    assert len(roots) == 2 and all(name.endswith((".crt", ".pem")) for name in roots)
    for data in roots.values():
        assert data.count(b"BEGIN CERTIFICATE") == 1
        assert data.strip() in BUNDLE.encode()
    assert len(way.engine.asked(*EXEC_START, update)) == 1
    assert not still(way).running
    way.engine.check()


@pytest.mark.parametrize("system", [b"ID=plan9\n", b"", b"\xff\xfe\0garbage" * 100,
                                    b"ID=debian" * 9])
def test_a_system_that_is_not_known_gets_the_frp_files_alone(way, system):
    still(way).os_release = system
    assert install(way).status == 204
    assert {name for name, data in still(way).files.items() if data is not None} == FRP_FILES
    assert not way.engine.asked(*EXEC, "update-ca")
    assert not still(way).running


def test_without_a_bundle_the_system_does_not_matter(way):
    assert install(way, system_certs_bundle=None).status == 204
    assert set(still(way).files) >= FRP_FILES
    assert not way.engine.asked(*EXEC, "os-release") and not way.engine.asked(*EXEC, "update-ca")


def test_with_nothing_to_install_nothing_is_installed(way):
    assert install(way, system_certs_bundle=None, install_frp_certs=False).status == 204
    assert still(way).files == {}


def test_a_container_that_runs_goes_on(way):
    assert install(way, "running").status == 204
    container = way.engine.model.container("nc_app_running")
    assert container.running and set(container.files) > FRP_FILES
    assert not way.engine.asked("POST", "/containers/[^/]+/(start|stop)")


# ---- a step fails ----

@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_leaves_the_container_stopped(local, step, fault):
    method, pattern, command = STEPS[step]
    with local.engine.spoiled(fault, method, pattern, command):
        reply = install(local)
        assert local.engine.asked(method, pattern, command), "the step was never tried"
    assert_failed(reply, local, 504 if fault == "never answers" else 503)
    if fault == "500 with a message":
        assert OWN_WORDS in reply.text
    assert not still(local).running
    assert install(local).status == 204
    assert not still(local).running


@pytest.mark.parametrize("fault", ["500 with a message", "never answers", "resets before the head"])
@pytest.mark.parametrize("step", STEPS)
def test_the_answer_tells_the_step_that_failed(local, step, fault):
    with local.engine.spoiled(fault, *STEPS[step]):
        text = install(local).text
    assert WORDS.get(step, "command") in text.lower() or STEPS[step][2] and STEPS[step][2] in text


@pytest.mark.parametrize("step", [step for step in STEPS if step not in ("inspect", "start")])
def test_a_step_that_fails_leaves_a_container_running_that_ran(local, step):
    with local.engine.spoiled("500 with a message", *STEPS[step]):
        assert_failed(install(local, "running"), local, 503, words=[OWN_WORDS])
    assert local.engine.model.container("nc_app_running").running
    assert not local.engine.asked("POST", "/containers/[^/]+/(start|stop)")


def test_every_single_call_to_the_engine_may_fail(local):
    """Whatever the hub does there today: its n-th call fails, for each n."""
    assert install(local).status == 204
    count = len(local.engine.asked("*", r"(?!/version).*"))
    assert count >= 8
    for number in range(count):
        local.engine.heal()
        furnish(local.engine)
        seen = []

        def nth(_engine, _connection, call, number=number, seen=seen):
            seen.append(call)
            if len(seen) != number + 1:
                return None
            return b'HTTP/1.1 500 Broken\r\nContent-Length: 20\r\n\r\n{"message":"number"}'
        local.engine.spoil(nth, pattern=r"(?!/version).*")
        reply = install(local)
        assert len(seen) > number, f"call {number} was not made again"
        spoiled = seen[number]
        assert_failed(reply, local, 503, words=["number"])
        stopping = spoiled.path.endswith("/stop")
        assert still(local).running == stopping, (number, spoiled)


@pytest.mark.parametrize("command", ["os-release", "update-ca-certificates"])
def test_a_command_that_hangs_ends_with_the_time_limit(local, command):
    """The head is there, its output never ends."""
    def hang(_engine, connection, _call):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
                        b"\r\n\x01\0\0\0\0\0\0\x05ID=")
        connection.rest(seconds=600)
        return connection.origin.CLOSE
    with local.engine.spoiled(hang, *EXEC_START, command):
        assert_failed(install(local), local, 504)
    assert not still(local).running


def test_a_command_that_fails_is_logged(local):
    """update-ca-certificates ended with 7: the files are there, and the app may do without."""
    before = local.engine.model.commands

    def fail(container, argv):
        if "update-ca-certificates" in " ".join(argv):
            return 7, b"", b"the store is read-only\n"
        return before(container, argv)
    local.engine.model.commands = fail
    number = len(re.findall(rb"warning.*nc_app_still", local.hub.output()))
    assert install(local).status == 204
    local.hub.wait_line("warning", "nc_app_still", count=number + 1)
    assert FRP_FILES < set(still(local).files)
    assert not still(local).running


@pytest.mark.parametrize("output", [
    b"\x01\0\0\0\xff\xff\xff\xffID=debian\n", b"\x01\0\0", b"\x09\0\0\0\0\0\0\x0aID=debian\n",
    b"ID=debian\n", b"\x01\0\0\0\0\0\0\0" * 1000, b"\x01\0\0\0\0\x10\0\0" + b"x" * (1 << 20)])
def test_output_that_is_no_output_is_no_known_system(local, output):
    """Frames that lie, no frames, empty ones, a megabyte: told, or taken for an unknown system."""
    def odd(_engine, connection, _call):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
                        b"\r\n" + output)
        return connection.origin.CLOSE
    with local.engine.spoiled(odd, *EXEC_START, "os-release"):
        reply = install(local)
    assert reply.status in (204, 503), reply
    assert not local.engine.asked(*EXEC, "update-ca")
    assert not still(local).running


def test_a_stop_that_fails_is_told(local):
    with local.engine.spoiled("500 with a message", "POST", "/containers/[^/]+/stop"):
        assert_failed(install(local), local, 503, words=["stop", OWN_WORDS])


@pytest.mark.parametrize("step", ["start", "exec create, os-release", "exec start, update",
                                  "archive"])
def test_a_client_that_leaves_amid_it_leaves_the_container_stopped(way, step):
    hold = way.engine.hold(*STEPS[step], times=1)
    with typed_client(way, "install_certificates", {"name": "still", **FILLED}):
        hold.wait_calls()
    hold.release()
    wait_for(lambda: way.engine.asked("POST", "/containers/[^/]+/stop") and not still(way).running
             or step == "start" and not still(way).running,
             what="the container to be stopped again")


def test_an_engine_that_goes_for_good_is_told(way):
    """Nobody is there to stop the container either."""
    hold = way.engine.hold(*ARCHIVE, afterwards=b"")
    with typed_client(way, "install_certificates", {"name": "still", **FILLED}) as client:
        hold.wait_calls()
        way.engine.spoil("resets before the head")
        for connection in list(way.engine.connections):
            connection.close()
        assert_failed(client.response("POST"), way, 503)


# ---- create ----

@pytest.mark.parametrize("status, message", [
    (404, "No such image: registry.test/none:1"), (400, "invalid mount config"),
    (500, OWN_WORDS), (409, "Conflict. The container name is already in use")])
def test_a_container_that_the_engine_refuses_is_told_in_its_words(way, status, message):
    data = json.dumps({"message": message}).encode()
    way.engine.spoil(b"HTTP/1.1 %d No\r\nContent-Type: application/json\r\n"
                     b"Content-Length: %d\r\n\r\n" % (status, len(data)) + data,
                     "POST", "/containers/create")
    reply = way.typed("create")
    if status == 409:
        assert reply.status == 409, reply
    else:
        assert_failed(reply, way, 503, words=[message])
    assert "nc_app_new_data" in way.engine.model.volumes
    assert way.engine.model.container("nc_app_new") is None


def test_an_image_that_is_not_there_is_told_in_the_engines_words(way):
    reply = way.typed("create", image_id="registry.test/none:1")
    assert_failed(reply, way, 503, words=["No such image: registry.test/none:1"])


def test_a_volume_that_the_engine_refuses_is_told_and_nothing_is_made(way):
    way.engine.spoil("500 with a message", "POST", "/volumes/create")
    assert_failed(way.typed("create"), way, 503, words=[OWN_WORDS, "volume"])
    assert not way.engine.asked("POST", "/containers/create")


def test_a_container_that_is_there_is_a_409(way):
    assert way.typed("create", name="still").status == 409
    assert len(way.engine.model.containers) == 2


# ---- remove ----

def test_a_volume_in_use_is_a_409_that_says_by_whom(way):
    other = way.engine.model.add_container("nc_app_other")
    other.body["HostConfig"]["Mounts"][0]["Source"] = "nc_app_still_data"
    reply = way.typed("remove")
    assert reply.status == 409, reply
    assert "volume is in use" in reply.text and other.id in reply.text
    assert still(way) is None and "nc_app_still_data" in way.engine.model.volumes


@pytest.mark.parametrize("call, word", [(("DELETE", "/containers/[^/]+"), "container"),
                                        (("DELETE", "/volumes/[^/]+"), "volume")])
def test_a_removal_that_fails_is_told_and_can_be_done_again(way, call, word):
    with way.engine.spoiled("500 with a message", *call):
        assert_failed(way.typed("remove"), way, 503, words=[OWN_WORDS, word])
    assert "nc_app_still_data" in way.engine.model.volumes
    assert way.typed("remove").status == 204
    assert still(way) is None and "nc_app_still_data" not in way.engine.model.volumes


def test_data_stays_unless_it_is_to_go(way):
    assert way.typed("remove", {"name": "still", "remove_data": False}).status == 204
    assert still(way) is None and "nc_app_still_data" in way.engine.model.volumes
    assert not way.engine.asked("*", "/volumes.*")


def test_a_running_container_is_removed_too(way):
    assert way.typed("remove", {"name": "running", "remove_data": True}).status == 204
    assert way.engine.model.container("nc_app_running") is None


def test_an_image_in_use_stays_and_that_is_told(way):
    reply = way.typed("image_remove", {"image_ref": "registry.test/exapps/testapp:1.0.0"})
    assert reply.status == 200, reply
    told = json.loads(reply.body)
    assert told["deleted"] is False and told["reason"] == "in_use"
    assert len(way.engine.model.images) == 2
    for call in way.engine.asked("DELETE"):
        assert call.query.get("force", ["0"])[0] in ("0", "false")
