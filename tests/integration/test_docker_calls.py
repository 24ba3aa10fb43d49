"""Calls about containers that are refused before the engine hears of them, or that it fails."""
import json

import pytest

from harness import fetch
from harness.deploy import DOCKER, ExAppSpec, assert_told
from harness.docker_fixtures import connect

ABOUT_A_CONTAINER = ["exists", "create", "start", "stop", "wait_for_start", "remove",
                     "install_certificates"]
CALLS = [*ABOUT_A_CONTAINER, "image_remove"]
GOOD = {"name": "good", "image_id": "registry.test/exapps/none:1", "network_mode": "host",
        "image_ref": "registry.test/exapps/none:1"}
INVALID = "Payload validation error:"


@pytest.fixture(scope="module")
def local(tmp_path_factory, certs, engine):
    from conftest import open_site
    site = open_site(tmp_path_factory, certs, "calls")
    try:
        yield connect(site, engine, "local", recorded=True)
    finally:
        site.close()


@pytest.fixture
def quiet(local):
    """A daemon whose engine must not be asked anything."""
    local.recorder.forget()
    yield local
    assert local.recorder.requests == []


def raw(daemon, call, body, method="POST"):
    return fetch(daemon.hub.http, DOCKER + call, *daemon.fields(b"Content-Type: application/json"),
                 method=method, body=body)


# ---- the body ----

@pytest.mark.parametrize("member", ["name", "instance_id", "role_suffix"])
@pytest.mark.parametrize("value", [
    "..", ".", "../x", "a b", "a?x=1", "a#b", "a%2fb", "a\\b", "-a", "_a", ".a", "a\u0000", "a\n",
    "\u00e4", "a/../../info", "x" * 200, 7, ["a"], {"a": 1}, True])
def test_a_name_that_could_reach_elsewhere_is_a_400(quiet, member, value):
    reply = quiet.call("exists", **{**GOOD, member: value})
    assert_told(reply, 400, INVALID, member if len(str(value)) < 100 else "")


@pytest.mark.parametrize("call", ABOUT_A_CONTAINER)
@pytest.mark.parametrize("member", ["name", "instance_id", "role_suffix"])
def test_so_it_is_with_every_call(quiet, call, member):
    assert_told(quiet.call(call, **{**GOOD, member: "a/b"}), 400, INVALID, member)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("body", [b"", b"{", b"[]x", b"\xff", b'{"name": "a"', b"{'name': 'a'}",
                                  b'{"name": "a"} x'])
def test_a_body_that_is_not_json_is_a_400(quiet, call, body):
    reply = raw(quiet, call, body)
    assert_told(reply, 400, "Invalid JSON body")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("body", [b"{}", b"[]", b"7", b"null", b'"name"'])
def test_a_body_without_what_is_needed_is_a_400_that_says_it(quiet, call, body):
    reply = raw(quiet, call, body)
    assert_told(reply, 400, INVALID)


@pytest.mark.parametrize("member", ["name", "image_id"])
def test_create_needs(quiet, member):
    body = {name: value for name, value in GOOD.items() if name != member}
    assert_told(quiet.call("create", **body), 400, INVALID, member)


@pytest.mark.parametrize("word, changes", [
    ("image_id", {"image_id": 7}), ("image_id", {"image_id": ""}),
    ("network_mode", {"network_mode": 7}), ("network_mode", {"network_mode": "a/b"}),
    ("environment_variables", {"environment_variables": "A=b"}),
    ("environment_variables", {"environment_variables": [7]}),
    ("environment_variables", {"environment_variables": {"A": "b"}}),
    ("restart_policy", {"restart_policy": 7}), ("restart_policy", {"restart_policy": "often"}),
    ("compute_device", {"compute_device": "tpu"}), ("compute_device", {"compute_device": 7}),
    ("mount_points", {"mount_points": {}}), ("mount_points", {"mount_points": ["/tmp:/tmp"]}),
    ("target", {"mount_points": [{"source": "/tmp"}]}),
    ("source", {"mount_points": [{"target": "/tmp"}]}),
    ("source", {"mount_points": [{"source": "tmp", "target": "/x"}]}),
    ("target", {"mount_points": [{"source": "/tmp", "target": 7}]}),
    ("mode", {"mount_points": [{"source": "/tmp", "target": "/x", "mode": 7}]}),
    ("resource_limits", {"resource_limits": [1]}),
    ("memory", {"resource_limits": {"memory": "1g"}}),
    ("memory", {"resource_limits": {"memory": -1}}),
    ("nanoCPUs", {"resource_limits": {"nanoCPUs": 0.5}})],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else value)
def test_create_refuses_what_is_not_of_the_right_kind(quiet, word, changes):
    assert_told(quiet.call("create", **{**GOOD, **changes}), 400, INVALID, word)


@pytest.mark.parametrize("call, changes", [
    ("remove", {"remove_data": "yes"}), ("install_certificates", {"system_certs_bundle": 7}),
    ("install_certificates", {"install_frp_certs": "yes"}), ("image_remove", {"image_ref": ""}),
    ("image_remove", {"image_ref": 7}), ("image_remove", {"image_ref": "../json?x="}),
    ("image_remove", {"image_ref": "a/../../containers/x"})])
def test_other_calls_refuse_it_too(quiet, call, changes):
    assert_told(quiet.call(call, **{**GOOD, **changes}), 400, INVALID, next(iter(changes)))


# ---- method, path, engine ----

@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_method_is_a_405(quiet, call, method):
    reply = raw(quiet, call, json.dumps(GOOD).encode(), method)
    assert reply.status == 405 and reply.head.tokens("Allow") == ["post"]


@pytest.mark.parametrize("call", ["nosuch", "", "exists/", "exists/x", "Exists"])
def test_an_unknown_call_is_a_404(quiet, call):
    assert raw(quiet, call, json.dumps(GOOD).encode()).status == 404


@pytest.mark.parametrize("port", ["", "abc", "0", "-1", "65536", "24000x", "0x5dc0", "2 4000"])
@pytest.mark.parametrize("call", CALLS)
def test_an_engine_port_that_is_none_is_a_400(quiet, call, port):
    fields = [field for field in quiet.fields() if not field.startswith(b"docker-engine-port")]
    reply = fetch(quiet.hub.http, DOCKER + call, *fields, b"docker-engine-port: " + port.encode(),
                  method="POST", body=json.dumps(GOOD).encode())
    assert_told(reply, 400, f"Invalid 'docker-engine-port' header value: {port}")


@pytest.mark.parametrize("port", [22, 80, 23000, 24001, 24099, 24100, 65535])
@pytest.mark.parametrize("call", CALLS)
def test_a_port_without_an_engine_is_a_503(quiet, call, port):
    fields = [field for field in quiet.fields() if not field.startswith(b"docker-engine-port")]
    reply = fetch(quiet.hub.http, DOCKER + call, *fields, b"docker-engine-port: %d" % port,
                  method="POST", body=json.dumps(GOOD).encode())
    assert_told(reply, 503, f"Could not connect to Docker Engine on port {port}")


def test_the_port_of_an_exapps_tunnel_is_no_engines(local):
    """An ExApp that offered an engine of its own would be asked for nothing."""
    app = local.connected()
    fields = [field for field in local.fields() if not field.startswith(b"docker-engine-port")]
    for call in CALLS:
        reply = fetch(local.hub.http, DOCKER + call, *fields, b"docker-engine-port: %d" % app.port,
                      method="POST", body=json.dumps(GOOD).encode())
        assert_told(reply, 503, f"Could not connect to Docker Engine on port {app.port}")
    lines = local.api.logs(app.container)
    assert b"/containers" not in lines and b"/version" not in lines
    assert local.expect(204, "remove", app, remove_data=True) == ""


def test_without_the_key_nothing_is_asked(quiet):
    for call in CALLS:
        reply = fetch(quiet.hub.http, DOCKER + call, *quiet.fields()[1:], method="POST",
                      body=json.dumps(GOOD).encode())
        assert reply.status == 401, reply


def test_members_that_are_not_known_do_not_count(local):
    """AppAPI sends some, and newer ones may send more."""
    assert local.expect(200, "exists", ExAppSpec("nobody"), later=[1, {"x": None}]) == {
        "exists": False}
