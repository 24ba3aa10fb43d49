"""Engines that do not answer, or not as Docker does: what the hub makes of each of its calls then.

Whatever an engine does, the caller is told which hop failed, in bounded time and memory, the hub
goes on, and the next call is served as if nothing had been.
"""
import json
import re

import pytest

from conftest import open_site
from harness import app, control, fetch, program_is_sanitized, wait_for
from harness.engine_calls import (GATE, SOON, SUCCESS, TYPED, Engines, assert_failed,
                                  assert_gate_failed, docker_message, hop_of,
                                  typed_client)
from harness.engine_faults import (BAD_JSON, CUT, ENDLESS, HUGE, NO_HTTP, OTHER, OWN_WORDS, STALLS)

WAYS = ("local", "tunnel")
CONTAINER_JSON = ("GET", "/containers/[^/]+/json")
# endpoint: the engine's calls whose JSON it can't do without
READS = [("exists", *CONTAINER_JSON), ("wait_for_start", *CONTAINER_JSON),
         ("create", "POST", "/containers/create"), ("install_certificates", *CONTAINER_JSON),
         ("install_certificates", "POST", "/containers/[^/]+/exec")]
# What differs by the way that leads to the engine.
BY_TUNNEL = ["never answers", "half a body", "closes before the head", "resets before the head",
             "garbage", "closes in the body", "chunked for ever", "500 with a message"]
# Kinds of the gate's calls: those that end by themselves, and those that may take their time.
SHORT, LONG = ("ping", "image", "inspect"), ("logs", "pull")


@pytest.fixture(scope="module")
def file_engines(tmp_path_factory, certs):
    site = open_site(tmp_path_factory, certs, "faults")
    try:
        origin = site.origin()
        yield Engines(site, {"HP_ENGINE_TIMEOUT": SOON}, [app(port=origin.port)])
    finally:
        site.close()


# ---- an engine in good health ----

@pytest.mark.parametrize("name", TYPED)
def test_a_healthy_engine_is_asked_and_answers(way, name):
    reply = way.typed(name)
    assert reply.status == SUCCESS[name], reply
    assert way.engine.asked("*", r"(?!/version$|/_ping$)/.*")
    way.engine.check()


@pytest.mark.parametrize("name", GATE)
def test_a_healthy_engines_words_pass_the_gate(way, name):
    method, path, status = GATE[name]
    reply = way.gate(method, path)
    assert reply.status == status, reply
    way.engine.check()


# ---- typed calls ----

def fails_and_recovers(way, name, fault):
    engine = way.engine
    with engine.spoiled(fault):
        reply = way.typed(name)
        if fault in STALLS:
            assert_failed(reply, way, 504)
        elif fault in ENDLESS or fault == "flood of 100s":
            assert_failed(reply, way, 503, 504)  # whichever of the limits is met first
        else:
            assert_failed(reply, way, 503)
        if fault == "500 with a message":
            assert OWN_WORDS in reply.text
        elif fault == "401":
            assert "authorization denied by plugin" in reply.text
        elif fault in ("301", "307"):
            assert not engine.asked("*", "/containers/elsewhere/json")
    reply = way.typed(name)
    assert reply.status == SUCCESS[name], reply


@pytest.mark.parametrize("fault", [*STALLS, *NO_HTTP, *CUT, *ENDLESS, *OTHER])
@pytest.mark.parametrize("name", TYPED)
def test_a_typed_call_tells_of_a_local_engine_that_fails(local, name, fault):
    fails_and_recovers(local, name, fault)


@pytest.mark.parametrize("fault", BY_TUNNEL)
@pytest.mark.parametrize("name", TYPED)
def test_a_typed_call_tells_of_a_far_engine_that_fails(engines, name, fault):
    fails_and_recovers(engines.tunnel, name, fault)


@pytest.mark.parametrize("fault", BAD_JSON)
@pytest.mark.parametrize("name, method, pattern", READS)
def test_json_that_is_needed_and_can_not_be_used_is_a_503(local, name, method, pattern, fault):
    with local.engine.spoiled(fault, method, pattern):
        assert_failed(local.typed(name), local, 503)
    local.engine.model.containers["nc_app_still"].status = "created"
    reply = local.typed(name)
    if name == "create":
        # The engine made it before it answered badly, or did not: both is right here.
        assert reply.status in (201, 409), reply
    else:
        assert reply.status == SUCCESS[name], reply


@pytest.mark.parametrize("fault", BAD_JSON)
def test_an_exit_code_that_nobody_tells_is_no_good_one(local, fault):
    """It may be taken for a command that failed, which is logged, never for one that did well."""
    number = len(re.findall(rb"warning.*nc_app_still", local.hub.output()))
    with local.engine.spoiled(fault, "GET", "/exec/[^/]+/json"):
        reply = local.typed("install_certificates")
    assert reply.status in (204, 503), reply
    if reply.status == 204:
        local.hub.wait_line("warning", "nc_app_still", count=number + 1)
        assert not local.engine.asked("POST", "/containers/[^/]+/exec", "update-ca")
    assert not local.engine.model.container("nc_app_still").running


@pytest.mark.parametrize("identity", ["../../containers/nc_app_running/stop", "x/../../y", "",
                                      "a b", "a?b", "a#b", "a\r\nX: y", "%2e%2e", "a" * 10000],
                         ids=lambda value: repr(value[:32]))
def test_an_exec_id_is_not_trusted_in_a_path(local, identity):
    good = json.dumps({"Id": identity}).encode()
    answer = b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n" % len(good) + good
    with local.engine.spoiled(answer, "POST", "/containers/[^/]+/exec"):
        assert_failed(local.typed("install_certificates"), local, 503)
        assert not local.engine.asked("*", r"(?!/version)/(?!containers/nc_app_still).*")
    assert local.engine.model.container("nc_app_running").status == "running"


def test_a_name_that_the_engine_lies_about_is_not_believed(local):
    """The answer tells the name that was asked for, not what an engine says."""
    made = {"Id": "cd" * 32, "Name": "/somebody-else", "Warnings": []}
    data = json.dumps(made).encode()
    answer = b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n" % len(data) + data
    with local.engine.spoiled(answer, "POST", "/containers/create"):
        reply = local.typed("create")
    assert reply.status == 201
    assert json.loads(reply.body) == {"id": "cd" * 32, "name": "nc_app_new"}


def test_http_1_0_is_read_to_its_end(local):
    body = json.dumps({"Id": "a", "State": {"Status": "running", "Running": True, "ExitCode": 0},
                       "RestartCount": 0, "Config": {"Image": "of-1.0"}}).encode()

    def old(_engine, connection, _call):
        connection.send(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n", body)
        return connection.origin.CLOSE
    with local.engine.spoiled(old, *CONTAINER_JSON):
        reply = local.typed("exists")
        assert reply.status == 200 and json.loads(reply.body) == {"exists": True,
                                                                  "image_ref": "of-1.0"}
        reply = local.gate(*GATE["inspect"][:2])
        assert reply.status == 200 and reply.body == body


# ---- through the gate ----

def cut_or_told(reply, way, *statuses):
    """Nothing that looks complete: told, or cut off after the head. An error that the hub makes
    after it passed the head on would look like more of the body."""
    if isinstance(reply, bytes):
        assert re.match(rb"HTTP/1\.1 200 ", reply), reply[:200]
        assert b'"message"' not in reply
    else:
        assert reply is not None, "closed without an answer"
        assert_gate_failed(reply, way, *statuses)


@pytest.mark.parametrize("fault", [*STALLS, *NO_HTTP, *CUT])
@pytest.mark.parametrize("name", SHORT)
def test_the_gate_tells_of_a_local_engine_that_fails(local, name, fault):
    method, path, status = GATE[name]
    with local.engine.spoiled(fault, pattern=".*"):
        reply = local.gate(method, path)
        cut_or_told(reply, local, *([504] if fault in STALLS else []))
    assert local.gate(method, path).status == status


@pytest.mark.parametrize("name, fault", [
    (name, fault) for name in LONG for fault in ["never answers", "half a head", *NO_HTTP]
    if name != "pull" or fault not in STALLS])
def test_the_gate_tells_of_streams_that_do_not_begin(local, name, fault):
    """But for pulls, which take their time until the registry has answered:
    test_docker_faults_streams.py."""
    method, path, status = GATE[name]
    with local.engine.spoiled(fault):
        assert_gate_failed(local.gate(method, path), local)
    assert local.gate(method, path).status == status


@pytest.mark.parametrize("fault", CUT)
@pytest.mark.parametrize("name", LONG)
def test_the_gate_cuts_streams_that_are_cut(local, name, fault):
    method, path, status = GATE[name]
    with local.engine.spoiled(fault):
        cut_or_told(local.gate(method, path), local)
    assert local.gate(method, path).status == status


@pytest.mark.parametrize("fault", BY_TUNNEL)
@pytest.mark.parametrize("name", SHORT)
def test_the_gate_tells_of_a_far_engine_that_fails(engines, name, fault):
    way = engines.tunnel
    method, path, status = GATE[name]
    with way.engine.spoiled(fault, pattern=".*"):
        reply = way.gate(method, path)
        if fault in OTHER:
            assert reply.status == 500 and docker_message(reply) == OWN_WORDS
        else:
            cut_or_told(reply, way)
    assert way.gate(method, path).status == status


@pytest.mark.parametrize("fault", OTHER)
@pytest.mark.parametrize("name", GATE)
def test_what_an_engine_says_passes_the_gate_as_it_is(local, name, fault):
    method, path, _ = GATE[name]
    said, body = OTHER[fault].split(b"\r\n\r\n", 1)
    with local.engine.spoiled(fault, pattern=".*"):
        reply = local.gate(method, path)
        assert b"HTTP/1.1 %d " % reply.status == said[:13], reply
        assert reply.body == body
        assert not local.engine.asked("*", "/containers/elsewhere/json")


@pytest.mark.parametrize("fault", BAD_JSON)
def test_json_behind_the_gate_passes_as_it_is_or_is_told(local, fault):
    method, path, _ = GATE["inspect"]
    with local.engine.spoiled(fault, *CONTAINER_JSON):
        reply = local.gate(method, path)
        if reply.status == 200:
            head, body = BAD_JSON[fault].split(b"\r\n\r\n", 1)
            length = int(re.search(rb"Content-Length: (\d+)", head).group(1))
            assert reply.body == body[:length]
        else:
            assert_gate_failed(reply, local)
    assert local.gate(method, path).status == 200


# ---- bounds ----

@pytest.mark.skipif(program_is_sanitized(), reason="memory figures mean nothing there")
@pytest.mark.parametrize("name", ["exists", "create", "wait_for_start"])
def test_50_mib_of_json_do_not_get_into_memory(way, name):
    before = way.hub.resident_kib()
    with way.engine.spoiled("50 MiB of JSON"):
        assert_failed(way.typed(name), way, 503, 504)
    assert way.hub.peak_kib() - before < 16 << 10


@pytest.mark.skipif(program_is_sanitized(), reason="memory figures mean nothing there")
def test_50_mib_through_the_gate_do_not_get_into_memory(way):
    before = way.hub.resident_kib()
    with way.engine.spoiled("50 MiB of JSON", *CONTAINER_JSON):
        reply = way.gate(*GATE["inspect"][:2])
        if isinstance(reply, bytes) or reply.status != 200:
            cut_or_told(reply, way)
        else:
            assert len(reply.body) > HUGE
    assert way.hub.peak_kib() - before < 16 << 10


def test_nothing_stays_open_after_all_of_it(local):
    assert local.typed("exists").status == 200
    before = local.hub.open_files()
    for fault in (*STALLS, *NO_HTTP, *CUT, *ENDLESS):
        with local.engine.spoiled(fault):
            assert local.typed("exists").status in (503, 504)
            local.gate(*GATE["ping"][:2])
    wait_for(lambda: local.hub.open_files() <= before + 2, what="descriptors to be closed")
    for call in local.engine.asked():
        local.engine.wait_gone(call)


# ---- others meanwhile ----

def test_others_are_served_while_an_engine_stalls(site):
    """With the time limits as they are by default: nothing here waits for them."""
    origin = site.origin()
    engines = Engines(site, apps=[app(port=origin.port)])
    engines.furnish()
    for stalled, other in ((engines.local, engines.tunnel), (engines.tunnel, engines.local)):
        hold = stalled.engine.hold(pattern=r"/(?!version$).*")
        clients = [stalled.gate_client(*GATE[name][:2]) for name in GATE if name != "pull"]
        try:
            hold.wait_calls(len(clients))
            for name in ("exists", "wait_for_start"):
                assert other.typed(name).status == 200
            assert other.gate(*GATE["inspect"][:2]).status == 200
            assert control(engines.hub, "GET", "/heartbeat").status == 200
            assert fetch(engines.hub.http, "/exapps/sample/x").status == 200
            hold.release()
            for client in clients:
                assert client.response().status == 200
        finally:
            stalled.engine.heal()
            hold.release()
            for client in clients:
                client.close()


@pytest.mark.parametrize("name", WAYS)
def test_an_engine_that_stalls_is_not_asked_without_bound(site, name):
    """64 calls of the hub's own at once; one more is told so, and other engines are served."""
    engines = Engines(site)
    engines.furnish()
    way = engines.ways[name]
    other = engines.ways[WAYS[1 - WAYS.index(name)]]
    assert way.typed("exists").status == 200
    hold = way.engine.hold(*CONTAINER_JSON)
    clients = [typed_client(way, "exists", name=f"x{number}") for number in range(64)]
    try:
        hold.wait_calls(64)
        reply = way.typed("exists")
        assert reply.status == 503 and hop_of(reply) in ("hub", *way.hops), reply
        assert other.typed("exists").status == 200
        hold.release()
        for client in clients:
            assert client.response("POST").status == 200
    finally:
        hold.release()
        for client in clients:
            client.close()
