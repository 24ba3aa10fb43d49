"""What streams through the gate: a pull's progress, and a container's log.

Each piece as it comes, for as long as it takes, no faster than the client reads, and an end that
is one only if the engine's was.
"""
import json

import pytest

from conftest import open_site
from harness import RawClient, program_is_sanitized, wait_for
from harness.credentials import SHARED_KEY
from harness.engine_calls import CONTROL, GATE, KEY, SOON, Engines, port_field
from harness.engine_model import frames
from harness.fake_engine import Pull

PULL, PULL_PATH, _ = GATE["pull"]
FOLLOW = "/v1.41/containers/nc_app_running/logs?follow=1&stdout=1&stderr=1"
LINES = [{"status": "Pulling from other", "id": "2"},
         {"status": "Downloading", "progressDetail": {"current": 1, "total": 9}, "id": "93b4a8"},
         {"status": "Pull complete", "progressDetail": {}, "id": "93b4a8"}]


@pytest.fixture(scope="module")
def file_engines(tmp_path_factory, certs):
    site = open_site(tmp_path_factory, certs, "streams")
    try:
        yield Engines(site, {"HP_ENGINE_TIMEOUT": SOON})
    finally:
        site.close()


def next_chunk(client):
    """One chunk of a chunked body, b"" for the last one."""
    size = int(client.until(b"\r\n")[:-2].split(b";")[0], 16)
    data = client.exactly(size)
    assert client.exactly(2) == b"\r\n"
    return data


def read_piece(client, wanted):
    """That many bytes of a chunked body, whatever chunks they come in."""
    data = b""
    while len(data) < len(wanted):
        data += next_chunk(client)
    assert data == wanted


def begun(way, pull, method=PULL, path=PULL_PATH, *fields):
    """A client that has the head of a stream, and the engine's side of it."""
    client = way.gate_client(method, path, *fields)
    call = pull.call()
    head = client.head()
    assert head.start == b"HTTP/1.1 200 OK"
    assert head.framing() == ("chunked", None)
    return client, call


# ---- a pull ----

def test_each_line_of_a_pull_comes_when_it_is_made(way):
    pull = way.engine.pull()
    client, _ = begun(way, pull)
    with client:
        for line in LINES:
            read_piece(client, pull.line(line))
        client.assert_open()
        pull.end()
        assert next_chunk(client) == b""
        # The connection is in good form for another call.
        client.get(CONTROL + "/_ping", KEY, port_field(way.port))
        assert client.response().status == 200


def test_what_a_pull_is_asked_with_and_what_not(way):
    """X-Registry-Auth goes to the engine; the hub's key and all else do not."""
    reply = way.gate(PULL, PULL_PATH + "&platform=linux%2Famd64", b"X-Registry-Auth: e30=",
                     b"Accept: application/json", b"User-Agent: GuzzleHttp/7",
                     b"Authorization: Basic aHVzaC1hdXRo", b"Cookie: hush-cookie=1",
                     b"X-Meta-A: b", b"X-Registry-Config: e30=", b"X-Forwarded-For: 1.2.3.4",
                     b"AA-VERSION: 34")
    assert reply.status == 200
    call, = way.engine.asked("POST", "/images/create")
    assert call.query == {"fromImage": ["registry.test/other"], "tag": ["2"],
                          "platform": ["linux/amd64"]}
    assert call.body == b""
    names = {name.lower() for name, _ in call.fields}
    assert names - {"connection", "content-length"} == {"host", "accept", "user-agent",
                                                         "x-registry-auth"}
    assert call.head.get("X-Registry-Auth") == "e30="
    told = b"".join(connection.received for connection in way.engine.connections)
    assert SHARED_KEY.encode() not in told and str(way.port).encode() not in told


@pytest.mark.parametrize("path", [GATE["inspect"][1], GATE["logs"][1], GATE["ping"][1],
                                  GATE["image"][1]])
def test_the_registry_password_is_for_pulls_alone(way, path):
    assert way.gate("GET", path, b"X-Registry-Auth: e30=", b"Accept: */*").status == 200
    call, = way.engine.asked("GET")
    assert not call.head.has("X-Registry-Auth") and call.head.get("Accept") == "*/*"


def test_an_error_amid_a_pull_is_a_line_as_any_other(way):
    pull = way.engine.pull()
    client, _ = begun(way, pull)
    with client:
        said = pull.line({"errorDetail": {"message": "manifest unknown"},
                          "error": "manifest unknown"})
        read_piece(client, said)
        pull.end()
        assert next_chunk(client) == b""


@pytest.mark.parametrize("status, message", [
    ("404 Not Found", "pull access denied for other, repository does not exist or may require "
                      "'docker login'"),
    ("500 Internal Server Error",
        'Get "https://registry.test/v2/": dial tcp: lookup registry.test: '
                                  "no such host")])
def test_a_pull_that_is_refused_is_told_in_the_engines_words(way, status, message):
    body = json.dumps({"message": message}).encode()
    way.engine.spoil(b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                     % (status.encode(), len(body)) + body, "POST", "/images/create")
    reply = way.gate(PULL, PULL_PATH)
    assert reply.status == int(status[:3]) and reply.body == body


def test_a_client_that_leaves_a_pull_ends_it_at_the_engine(way):
    pull = way.engine.pull()
    client, call = begun(way, pull)
    with client:
        read_piece(client, pull.line(LINES[0]))
    way.engine.wait_gone(call)


def test_a_client_that_leaves_before_a_pulls_first_line_ends_it_too(way):
    hold = way.engine.hold("POST", "/images/create")
    with way.gate_client(PULL, PULL_PATH):
        call, = hold.wait_calls()
    way.engine.wait_gone(call)


def test_an_engine_that_vanishes_amid_a_pull_is_no_end_of_it(way):
    pull = way.engine.pull()
    client, _ = begun(way, pull)
    with client:
        read_piece(client, pull.line(LINES[0]))
        pull.cut()
        assert client.rest() == b"", "neither a last chunk nor an error that looks like progress"


def test_a_silent_pull_lives_on(way):
    """Layers may take their time. Calls that time out meanwhile are the clock."""
    pull = way.engine.pull()
    client, call = begun(way, pull)
    with client:
        read_piece(client, pull.line(LINES[0]))
        with way.engine.spoiled("never answers", "GET", "/containers/[^/]+/json"):
            for _ in range(4):
                assert way.typed("exists").status == 504
        assert not call.connection.ended.is_set()
        read_piece(client, pull.line(LINES[1]))
        pull.end()
        assert next_chunk(client) == b""


def test_a_pull_whose_registry_is_slow_lives_on(way):
    """The engine answers once it has the manifest."""
    hold = way.engine.hold("POST", "/images/create")
    with way.gate_client(PULL, PULL_PATH) as client:
        hold.wait_calls()
        with way.engine.spoiled("never answers", "GET", "/containers/[^/]+/json"):
            for _ in range(4):
                assert way.typed("exists").status == 504
        hold.release()
        reply = client.response("POST")
        assert reply.status == 200 and b"Pull complete" in reply.body


@pytest.mark.skipif(program_is_sanitized(), reason="memory figures mean nothing there")
def test_a_client_that_does_not_read_costs_bounded_memory(way):
    """The engine is not read from, either: it can't get rid of 50 MiB."""
    line = b'{"status":"' + b"x" * 65000 + b'"}\r\n'
    sent = []

    def flood(_engine, connection, _call):
        connection.send(Pull.HEAD)
        data = b"%x\r\n%s\r\n" % (len(line), line)
        connection.sock.setblocking(False)
        for _ in range(800):
            view = memoryview(data)
            while view:
                try:
                    count = connection.sock.send(view)
                except BlockingIOError:
                    if connection.ended.wait(0.02) or connection.origin.closing:
                        return connection.origin.CLOSE
                    continue
                except OSError:
                    return connection.origin.CLOSE
                view = view[count:]
                sent.append(count)
        return b"0\r\n\r\n"

    way.engine.spoil(flood, "POST", "/images/create")
    before = way.hub.resident_kib()
    with RawClient(way.hub.http, receive_buffer=65536) as client:
        client.get(CONTROL + PULL_PATH, KEY, port_field(way.port), b"Content-Length: 0",
                   method="POST")
        assert client.head().start == b"HTTP/1.1 200 OK"

        def still():
            """What was sent does not grow over a whole call to another container."""
            seen = len(sent)
            with way.engine.spoiled("never answers", "GET", "/containers/[^/]+/json"):
                assert way.typed("exists").status == 504
            return len(sent) == seen
        wait_for(still, what="the engine to be stopped")
        assert sum(sent) < 40 << 20
        assert way.hub.peak_kib() - before < 16 << 10
        total = 0
        while data := next_chunk(client):
            total += len(data)
        assert total == 800 * len(line)


# ---- a log ----

def test_a_log_is_followed_byte_by_byte(way):
    pull = way.engine.pull("GET", "/containers/nc_app_running/logs")
    client, call = begun(way, pull, "GET", FOLLOW)
    with client:
        for text in (b"first\n", b"\0\1\2\xff not text\n", b"x" * 100000):
            read_piece(client, pull.line(frames(text)))
        assert call.query == {"follow": ["1"], "stdout": ["1"], "stderr": ["1"]}
    way.engine.wait_gone(call)


def test_a_log_that_is_silent_lives_on(way):
    pull = way.engine.pull("GET", "/containers/nc_app_running/logs")
    client, call = begun(way, pull, "GET", FOLLOW)
    with client:
        with way.engine.spoiled("never answers", "GET", "/containers/[^/]+/json"):
            for _ in range(4):
                assert way.typed("exists").status == 504
        read_piece(client, pull.line(frames(b"still here\n")))
        assert not call.connection.ended.is_set()
        pull.end()
        assert next_chunk(client) == b""


def test_a_log_of_a_container_that_is_not_there(way):
    reply = way.gate("GET", "/v1.41/containers/nc_app_nobody/logs?stdout=1")
    assert reply.status == 404
    assert json.loads(reply.body) == {"message": "No such container: nc_app_nobody"}
