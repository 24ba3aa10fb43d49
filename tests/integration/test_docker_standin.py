"""The stand-in for an engine beside a real one: the same calls, and the same answers but for ids.

What tests of engines that fail believe of an engine that works, is checked here.
"""
import json
import re

import pytest

from harness.docker_api import DockerApi, frames
from harness.docker_images import ALPINE as IMAGE
from harness.fake_engine import FakeEngine

NAME, VOLUME = "nc_app_standin", "nc_app_standin_data"
BODY = {"Image": IMAGE, "Hostname": NAME, "Env": ["A=b"], "HostConfig": {
    "NetworkMode": "host", "Mounts": [{"Type": "volume", "Source": VOLUME,
        "Target": "/" + VOLUME}]}}
EXEC = {"AttachStdout": True, "AttachStderr": True, "Cmd": ["cat", "/etc/os-release"]}
TAR = bytes(1024)
# In this order. {id} is what the last answer with an Id said. body None: none is sent.
CALLS = [
    ("GET", "/_ping", None, None), ("GET", "/version", None, None),
    ("GET", f"/containers/{NAME}/json", None, None),
    ("GET", f"/containers/{NAME}/logs", {"stdout": "1"}, None),
    ("POST", f"/containers/{NAME}/start", None, None),
    ("POST", f"/containers/{NAME}/stop", None, None),
    ("DELETE", f"/containers/{NAME}", {"force": "true"}, None),
    ("POST", f"/containers/{NAME}/exec", None, EXEC),
    ("PUT", f"/containers/{NAME}/archive", {"path": "/"}, TAR),
    ("GET", f"/volumes/{VOLUME}", None, None), ("DELETE", f"/volumes/{VOLUME}", None, None),
    ("GET", "/images/registry.test/none/json", None, None),
    ("GET", "/images/registry.test/none:1/json", None, None),
    ("GET", f"/images/{IMAGE}/json", None, None),
    ("DELETE", "/images/registry.test/none:1", None, None),
    ("POST", "/volumes/create", None, {"Name": VOLUME}),
    ("POST", "/volumes/create", None, {"Name": VOLUME}),
    ("POST", "/volumes/create", None, {"Name": "../x"}),
    ("GET", f"/volumes/{VOLUME}", None, None),
    ("POST", "/containers/create", {"name": NAME}, {**BODY, "Image": "registry.test/none:1"}),
    ("POST", "/containers/create", {"name": "a/b"}, BODY),
    ("POST", "/containers/create", {"name": NAME}, BODY),
    ("POST", "/containers/create", {"name": NAME}, BODY),
    ("GET", f"/containers/{NAME}/json", None, None), ("GET", "/containers/{id}/json", None, None),
    ("POST", f"/containers/{NAME}/exec", None, EXEC),
    ("GET", f"/containers/{NAME}/logs", None, None),
    ("PUT", f"/containers/{NAME}/archive", {"path": "/"}, TAR),
    ("POST", f"/containers/{NAME}/stop", None, None),
    ("DELETE", f"/volumes/{VOLUME}", None, None), ("DELETE", f"/images/{IMAGE}", None, None),
    ("POST", f"/containers/{NAME}/start", None, None),
    ("POST", f"/containers/{NAME}/start", None, None),
    ("GET", f"/containers/{NAME}/json", None, None), ("DELETE", f"/containers/{NAME}", None, None),
    ("POST", f"/containers/{NAME}/exec", None, {"Cmd": []}),
    ("POST", f"/containers/{NAME}/exec", None, EXEC),
    ("GET", "/exec/{id}/json", None, None),
    ("POST", "/exec/{id}/start", None, {"Detach": False, "Tty": False}),
    ("GET", "/exec/{id}/json", None, None),
    ("POST", "/exec/{id}/start", None, {"Detach": False, "Tty": False}),
    ("GET", "/exec/none/json", None, None), ("POST", "/exec/none/start", None, {}),
    ("POST", f"/containers/{NAME}/stop", {"t": "1"}, None),
    ("GET", f"/containers/{NAME}/json", None, None), ("DELETE", f"/containers/{NAME}", None, None),
    ("DELETE", f"/volumes/{VOLUME}", None, None), ("GET", "/nosuch", None, None),
]


@pytest.fixture
def fake(site):
    fake = site.add(FakeEngine(site.socket_path()))
    fake.model.add_image(IMAGE)
    return fake


def played(api):
    """(status, body, content type) of each."""
    identity, found = "", []
    for method, path, query, body in CALLS:
        status, data = api.request(method, path.replace("{id}", identity), body, query)
        try:
            value = json.loads(data)
        except ValueError:
            value = data
        if isinstance(value, dict) and "Id" in value:
            identity = value["Id"]
        found.append((status, value))
    return found


def told(value):
    """The words of an error, without what differs between two engines."""
    return re.sub(r"\b[0-9a-f]{12,64}\b", "ID", value["message"])


def alike(real, fake, path=""):
    """Whatever the stand-in says, the engine says too, and of the same type."""
    if isinstance(fake, dict):
        for key in fake:
            assert key in real, f"{path}.{key} is not Docker's"
            if real[key] is not None and fake[key] is not None:
                alike(real[key], fake[key], f"{path}.{key}")
    elif isinstance(fake, list) and fake and real:
        alike(real[0], fake[0], path + "[]")
    else:
        assert type(real) is type(fake), f"{path}: {real!r} and {fake!r}"


def test_the_stand_in_answers_as_docker_does(engine, fake):
    """Word for word as an engine of its own version; others say the same in other words."""
    engine.clean()
    try:
        real = played(engine.api)
    finally:
        engine.clean()
    other_version = engine.api.version()[1] != DockerApi(fake.path).version()[1]  # of the API
    for call, (status, body), (wanted, said) in zip(CALLS, played(DockerApi(fake.path)), real):
        assert status == wanted, (call, body, said)
        if isinstance(said, dict) and "message" in said:
            assert told(body) == told(said) or other_version, call
        elif isinstance(said, dict):
            body.get("HostConfig", {}).clear()  # there, as much as was asked for
            body.get("NetworkSettings", {}).clear()
            alike(said, body, call[1])
        elif call[1].startswith("/exec"):
            assert [kind for kind, _ in frames(body)] == [kind for kind, _ in frames(said)] == [1]
    fake.check()


def test_the_stand_in_is_healthy_through_all_of_it(fake):
    """Without a real engine: no call ends in an error of the stand-in's own."""
    statuses = [status for status, _ in played(DockerApi(fake.path))]
    assert 500 not in statuses and {200, 201, 204, 304, 400, 404, 409} <= set(statuses)
    fake.check()
    assert len(fake.asked()) == len(CALLS)
    assert fake.model.containers == {} and fake.model.volumes == {}
