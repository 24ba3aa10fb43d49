"""AppAPI's older way, without a hub: its own Docker calls through the filter, as Nextcloud's Docker
Socket Proxy takes them, over TCP with a password.

Everything is done twice, straight at the engine and through the filter, under the same names; what
is answered, and what is then true at the engine, must be the same.
"""
import json
import pathlib
import shutil
import tempfile
from types import SimpleNamespace

import pytest

from conftest import open_site
from harness import free_port, leaked
from harness.appapi_dsp import AppApi, alike_reply, by_step, calls
from harness.credentials import APP_TOKEN, SHARED_KEY, WRONG_KEY
from harness.docker_alike import alike_document
from harness.docker_api import frames, stream
from harness.docker_images import FEDORA, HEALTHY, PLAIN
from harness.php_archive import php_header, php_tar

LIFE, CREATES = calls("life"), calls("create")
ANCHORS = "/usr/local/share/ca-certificates"


@pytest.fixture(scope="module")
def place(tmp_path_factory, certs, engine, ca_bundle):
    """Two filters for the whole file: `dsp` as the proxy's environment makes one, and `wide`, whose
    policy lists GPUs and the folders of the tests."""
    site = open_site(tmp_path_factory, certs, "dsp")
    # Below /tmp others could exchange what is mounted, so nothing there may be.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="harp-tests-", dir="/srv"))
    folder.chmod(0o755)
    for name in ("ro", "rw", "rw/below"):
        (folder / name).mkdir()
    (folder / "link").symlink_to("rw")
    port = free_port()
    dsp = site.filter(engine.socket, listeners=(), env={
        "NC_HAPROXY_PASSWORD": SHARED_KEY, "BIND_ADDRESS": "127.0.0.1", "HAPROXY_PORT": str(port)})
    wide = site.filter(
        engine.socket, listeners=['{ address = "unix:{path}"; policy = "wide"; }'],
        policies='{ name = "wide"; base = "appapi"; devices = [ "gpu", "/dev/kfd", "/dev/dri" ];\n'
                 f'  binds = ( {{ path = "{folder / "ro"}"; read_only = true; }},\n'
                 f'            {{ path = "{folder / "rw"}"; read_only = false; }} ); }}')

    def appapi(address, app, image, password=SHARED_KEY):
        return AppApi(address, password, ca_bundle.pems, app=app, image=image, folder=folder)

    try:
        yield SimpleNamespace(site=site, dsp=dsp, api=engine.api, pems=ca_bundle.pems,
                              appapi=appapi, straight=str(engine.socket), wide=str(wide.path),
                              filtered=("127.0.0.1", port))
    finally:
        try:
            site.close()
        finally:
            engine.clean()
            shutil.rmtree(folder)


# ---- a whole life ----

def lead(place, address):
    """{step: (Response, the inspected container, its certificates)}. What is inspected is asked of
    the engine itself, where something was created or put."""
    appapi = place.appapi(address, "life", HEALTHY)
    found = {}
    try:
        for call in LIFE:
            reply = appapi.ask(call)
            look = reply.status in (200, 201) and call["step"] in (
                "create", "certificate 1", "update: start")
            found[call["step"]] = (
                reply, place.api.inspect("nc_app_life") if look else None,
                place.api.files("nc_app_life", ANCHORS) if look else None)
    finally:
        place.api.remove("nc_app_life")
        place.api.remove_volume("nc_app_life_data")
    return found


@pytest.fixture(scope="module")
def lives(place):
    return lead(place, place.straight), lead(place, place.filtered)


@pytest.mark.parametrize("call", LIFE, ids=by_step)
def test_every_call_of_a_life_is_answered_as_straight_at_the_engine(lives, call):
    straight, filtered = (life[call["step"]][0] for life in lives)
    assert straight.status == call["status"], straight
    if "holds" in call:
        assert call["holds"].encode() in straight.body, straight
    assert alike_reply(filtered) == alike_reply(straight, hide=True)
    for name in ("Api-Version", "Server", "Ostype", "Docker-Experimental"):
        assert filtered.head.get(name) == straight.head.get(name), name


def test_what_was_created_is_what_was_asked(lives):
    straight, filtered = (life["create"][1] for life in lives)
    assert filtered["Config"]["Env"][1] == f"APP_SECRET={APP_TOKEN}"
    assert alike_document(filtered) == alike_document(straight)


def test_certificates_arrive_byte_by_byte(place, lives):
    wanted = {f"{ANCHORS}/custom_cert_{n}.crt": pem.encode() for n, pem in enumerate(place.pems)}
    assert lives[0]["certificate 1"][2] == lives[1]["certificate 1"][2] == wanted
    assert lives[1]["update: start"][2] == wanted


def test_commands_answer_in_frames(lives):
    """AppAPI takes the body as it is and looks for the system's name in it."""
    reply = lives[1]["which system: start"][0]
    assert frames(reply.body) and b'ID=debian\n' in stream(reply.body, 1)
    assert lives[1]["folder: start"][0].body == b""


def test_values_of_the_environment_are_hidden_and_in_no_log(place, lives):
    told = json.loads(lives[1]["wait for health"][0].body)["Config"]["Env"]
    assert "APP_SECRET=<hidden>" in told and "APP_PORT=<hidden>" in told
    for life in lives[1].values():
        assert APP_TOKEN.encode() not in life[0].body
    assert leaked(place.dsp.output()) == []


@pytest.mark.parametrize("password", [None, WRONG_KEY])
def test_without_the_password_nothing_is_answered(place, password):
    reply = place.appapi(place.filtered, "life", PLAIN, password).send(LIFE[0])
    assert reply.status == 401 and reply.head.get("WWW-Authenticate").startswith("Basic ")


def test_a_version_that_the_engine_lacks_is_told_in_its_words(place):
    """AppAPI asks for 1.44 unless it is told otherwise, which Debian 12's engine lacks and 13's has."""
    call = {**LIFE[0], "path": "/v1.99/containers/nc_app_none/json"}
    straight, filtered = (place.appapi(address, "life", PLAIN).send(call)
                          for address in (place.straight, place.filtered))
    assert straight.status == 400 and b"too new" in straight.body
    assert alike_reply(filtered) == alike_reply(straight)


# ---- all kinds of containers ----

START = {"method": "POST", "path": "/v1.41/containers/nc_app_{app}/start"}


def made(place, address, call):
    """(answer, inspected container, answer to its start, and what it looks like then)."""
    appapi = place.appapi(address, "made", PLAIN)
    try:
        answer = appapi.send(call)
        created = place.api.inspect("nc_app_made")
        volumes = place.api.volumes()
        started = appapi.send(START) if created else None
        return SimpleNamespace(answer=answer, created=created, started=started, volumes=volumes,
                               after=place.api.inspect("nc_app_made"))
    finally:
        place.api.remove("nc_app_made")
        place.api.remove_volume("nc_app_made_data")


def assert_same(filtered, straight):
    assert straight.answer.status == 201, straight.answer
    assert alike_reply(filtered.answer) == alike_reply(straight.answer)
    assert alike_document(filtered.created) == alike_document(straight.created)
    assert alike_reply(filtered.started) == alike_reply(straight.started)
    assert alike_document(filtered.after) == alike_document(straight.after)


@pytest.mark.parametrize("call", CREATES, ids=by_step)
def test_a_policy_that_lists_all_of_it_makes_the_same_containers_as_the_engine(place, call):
    assert_same(made(place, place.wide, call), made(place, place.straight, call))


@pytest.mark.parametrize("call", [call for call in CREATES if "refused" in call], ids=by_step)
def test_what_the_built_in_policy_does_not_list_is_refused_with_the_reason(place, call):
    found = made(place, place.filtered, call)
    assert found.answer.status == 403, found.answer
    assert json.loads(found.answer.body) == {
        "message": f"refused by policy: containers/create: {call['refused']}"}
    assert found.created is None and found.volumes == []


def test_the_built_in_policy_makes_the_same_container_without_extras(place):
    call, = [call for call in CREATES if call["step"] == "https on a network of its own"]
    assert_same(made(place, place.filtered, call), made(place, place.straight, call))


def mounted(place, path, read_only):
    """A call to create a container with that folder of the host."""
    call = json.loads(json.dumps(CREATES[0]))
    call["body"]["HostConfig"]["Mounts"].append(
        {"Source": str(path), "Target": "/mnt/x", "Type": "bind", "ReadOnly": read_only})
    return made(place, place.wide, call)


@pytest.mark.parametrize("path, read_only, why", [
    ("{folder}/ro", False, "mount source"), ("{folder}", True, "mount source"),
    ("{folder}/rw/below", False, "mount source"), ("{folder}/rw/../rw", False, "mount source"),
    ("{folder}/link", False, "mount source"), ("/etc", True, "mount source"),
    ("/", True, "mount source")])
def test_other_folders_than_those_listed_are_refused(place, path, read_only, why):
    found = mounted(place, path, read_only)
    assert found.answer.status == 403 and found.created is None
    assert f": {why}" in json.loads(found.answer.body)["message"], found.answer


# ---- archives that hold something else ----

CERTIFICATE = ANCHORS[1:] + "/custom_cert_0.crt"
END = bytes(1024)


BAD_ARCHIVES = {
    "another folder": (php_tar("root/.ssh/authorized_keys", b"key"), "is not below a folder"),
    "a longer name": (php_tar(ANCHORS[1:] + "-too/x.crt", b"x"), "is not below a folder"),
    "dots": (php_tar(ANCHORS[1:] + "/../../bin/x", b"x"), "has a name with a part of dots"),
    "an absolute name": (php_tar("/" + CERTIFICATE, b"x"), "has a name that begins with a slash"),
    "set-id": (php_tar(CERTIFICATE, b"x", mode=0o4755), "has a set-id or sticky bit"),
    "a symbolic link": (php_header(CERTIFICATE, 0, kind=b"2", link="/etc/shadow") + END,
                        "is a link"),
    "a hard link": (php_header(CERTIFICATE, 0, kind=b"1", link="etc/shadow") + END, "is a link"),
    "a pipe": (php_header(CERTIFICATE, 0, kind=b"6") + END, "is a device or a pipe"),
    "a second archive": (php_tar(CERTIFICATE, b"x") + php_tar("root/x", b"x"),
                         "the archive goes on behind its end"),
}


@pytest.mark.parametrize("name", BAD_ARCHIVES)
def test_an_archive_with_anything_but_certificates_is_refused(place, name):
    body, why = BAD_ARCHIVES[name]
    place.api.create("nc_app_tar", PLAIN)
    try:
        before = place.api.call("GET", "/containers/nc_app_tar/changes")
        call = {"method": "PUT", "path": "/v1.41/containers/nc_app_tar/archive?path=%2F",
                "headers": [["Content-Type", "application/x-tar"]]}
        appapi = place.appapi(place.filtered, "tar", PLAIN)
        appapi.body = lambda _: body
        reply = appapi.send(call)
        assert reply.status in (400, 403), reply
        assert why in json.loads(reply.body)["message"], reply
        assert place.api.files("nc_app_tar", "/root") == {}
        if not body.startswith(php_tar(CERTIFICATE, b"x")[:1024]):
            assert place.api.call("GET", "/containers/nc_app_tar/changes") == before
    finally:
        place.api.remove("nc_app_tar")


def test_certificates_of_fedora_have_their_own_folder(place):
    """As AppAPI knows it of CentOS and AlmaLinux."""
    place.api.create("nc_app_fed", FEDORA)
    place.api.start("nc_app_fed")
    try:
        appapi = place.appapi(place.filtered, "fed", FEDORA)
        folder = "/etc/pki/ca-trust/source/anchors"
        for command in (["mkdir", "-p", folder], None, ["update-ca-trust", "extract"]):
            path = "/v1.41/containers/nc_app_fed/"
            if command is None:
                call = {"method": "PUT", "path": path + "archive?path=%2F",
                        "headers": [["Content-Type", "application/x-tar"]], "body": {
                    "tar": {"name": f"{folder[1:]}/custom_cert_0.crt", "certificate": 0}}}
                assert appapi.ask(call).status == 200
                continue
            body = {"Cmd": command, "AttachStdout": True, "AttachStderr": True}
            assert appapi.ask({"method": "POST", "path": path + "exec", "body": body,
                               "headers": LIFE[6]["headers"]}).status == 201
            start = {"method": "POST", "path": "/v1.41/exec/{exec}/start",
                     "body": {"Detach": False, "Tty": False}, "headers": LIFE[6]["headers"]}
            reply = appapi.ask(start)
            assert (reply.status, reply.body) == (200, b"")
        extracted = "/etc/pki/ca-trust/extracted/pem"
        assert place.api.files("nc_app_fed", extracted) == {
            f"{extracted}/tls-ca-bundle.pem": place.pems[0].encode()}
    finally:
        place.api.remove("nc_app_fed")
