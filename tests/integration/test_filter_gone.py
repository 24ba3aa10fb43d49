"""Clients that leave in each state, and what becomes of the engine's work."""
import json
import threading

import pytest

from harness import response, wait_for
from harness.filter_front import (APP, ARCHIVE, CLOSE, CREATE, JSON, PING, STOP, TAR,  # noqa: F401
                                  archive, file_front, front, gone, hold, told)

TCP = True
FILTER = {"listeners": ['{ address = "unix:{path}"; policy = "owned"; }'],
          "policies": '{ name = "owned"; base = "appapi"; owner = "me"; }'}
FOUND = told({"Id": "ab" * 32, "Name": "/nc_app_x", "Config": {"Labels": {"harp.filter.owner": "me"}}})
SLOW = [("POST", CREATE, b'{"Image":"x"}'), ("POST", f"{APP}/start", b""), ("POST", STOP, b""),
        ("DELETE", f"{APP}?force=1", b"")]
SHORT = [("GET", PING, b""), ("GET", f"{APP}/logs?stdout=1", b""), ("POST", f"{APP}/exec",
         b'{"Cmd":["cat","/etc/os-release"]}')]


def send(client, method, target, body):
    client.get(target, *([JSON] if body else []), method=method, body=body)


def found_or(answer):
    """Answers questions about objects, and calls by `answer`."""
    def both(connection, request):
        asks = request.method == "GET" and request.target.startswith(("/containers/", "/volumes/"))
        return FOUND if asks else answer(connection, request)
    return both


def held_connections(front, count):
    wait_for(lambda: len([c for c in front.engine.connections if c.requests
                          and not c.requests[-1].target.startswith(("/containers/", "/volumes/"))]) >= count)
    return [c for c in front.engine.connections
            if not c.requests[-1].target.startswith(("/containers/", "/volumes/"))]


@pytest.mark.parametrize("way", ["close", "reset over TCP"])
@pytest.mark.parametrize("method, target, body", SLOW)
def test_what_the_engine_is_doing_goes_on_to_its_end(front, method, target, body, way):
    """An engine stops half-way when its caller hangs up: so the filter stays in its client's place."""
    release = threading.Event()
    front.engine.answer = found_or(hold(release, response(b"done")))
    with front.client(front.tcp if "TCP" in way else None) as client:
        send(client, method, target, body)
        connection = held_connections(front, 1)[0]
        (client.reset if "TCP" in way else client.close)()
        front.wait_metric("clients", 1)
        assert not gone(connection) and connection.sock.fileno() >= 0
        release.set()
        assert connection.ended.wait(10)


@pytest.mark.parametrize("way", ["close", "reset over TCP"])
@pytest.mark.parametrize("method, target, body", SHORT)
def test_questions_are_dropped(front, method, target, body, way):
    front.engine.answer = found_or(hold(threading.Event()))
    with front.client(front.tcp if "TCP" in way else None) as client:
        send(client, method, target, body)
        connection = held_connections(front, 1)[0]
        (client.reset if "TCP" in way else client.close)()
        assert connection.ended.wait(10) or gone(connection)
        front.wait_metric("clients", 1)


def test_at_most_64_calls_are_left_to_the_engine(front):
    release = threading.Event()
    front.engine.answer = found_or(hold(release, response(b"done")))
    clients = [front.client() for _ in range(70)]
    for client in clients:
        send(client, *SLOW[0])
    connections = held_connections(front, 70)
    for client in clients:
        client.close()
    front.wait_metric("clients", 1)
    wait_for(lambda: sum(gone(connection) for connection in connections) == 6)
    release.set()
    for connection in connections:
        assert connection.ended.wait(10)


def test_a_client_that_leaves_while_the_engine_is_asked_about_its_object_asks_for_nothing(front):
    release = threading.Event()
    front.engine.answer = hold(release, FOUND)
    with front.client() as client:
        client.get(STOP, method="POST")
        front.engine.wait_requests(1)
        client.close()
        front.wait_metric("clients", 1)
        release.set()
    assert front.ask("/version").status == 200
    assert front.targets() == ["GET /containers/nc_app_x/json", "GET /version"]


@pytest.mark.parametrize("data", [
    b"", b"GET /_ping HTT", b"GET /_ping HTTP/1.1\r\nHost: x\r\nX",
    b"POST " + CREATE.encode() + b" HTTP/1.1\r\nHost: x\r\n" + JSON + b"\r\nContent-Length: 100\r\n\r\n",
    b"POST " + CREATE.encode() + b" HTTP/1.1\r\nHost: x\r\n" + JSON + b"\r\nContent-Length: 100\r\n\r\n{",
    b"POST " + CREATE.encode() + b" HTTP/1.1\r\nHost: x\r\n" + JSON
    + b"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"], ids=range(6))
@pytest.mark.parametrize("way", ["close", "half-close", "reset over TCP"])
def test_half_a_request_reaches_no_engine(front, data, way):
    with front.client(front.tcp if "TCP" in way else None) as client:
        client.send(data)
        {"close": client.close, "half-close": client.end, "reset over TCP": client.reset}[way]()
        if way == "half-close":
            client.assert_closed()
        front.wait_metric("clients", 1)
    assert front.engine.requests == [] and front.engine.connections == []


@pytest.mark.parametrize("way", ["close", "half-close", "reset over TCP"])
def test_half_an_archive_ends_at_the_engine_unfinished(front, way):
    front.engine.answer = found_or(lambda *_: response(b"never"))
    data = archive()
    with front.client(front.tcp if "TCP" in way else None) as client:
        client.get(ARCHIVE, TAR, b"Content-Length: %d" % len(data), method="PUT")
        client.send(data[:2048])
        front.engine.wait_bytes(b"a.crt")
        {"close": client.close, "half-close": client.end, "reset over TCP": client.reset}[way]()
        front.wait_metric("clients", 1)
    assert front.engine.connections[-1].ended.wait(10)
    assert not any(request.method == "PUT" for request in front.engine.requests)
    front.engine.errors.clear()


def test_a_client_that_pipelines_and_leaves_gets_nothing_more_done(front):
    """The second call has not begun when the first one's answer can't be delivered."""
    release = threading.Event()
    front.engine.answer = found_or(hold(release, response(b"x" * 4000000)))
    with front.client() as client:
        client.get("/version")
        front.engine.wait_requests(1)
        client.get(STOP, method="POST")
        client.close()
        release.set()
        front.wait_metric("clients", 1)
    assert front.targets() == ["GET /version"]


def test_the_engine_in_the_middle_of_a_call_is_gone(front):
    """In each state of an exchange the client is told, and can go on where nothing was cut."""
    def kill(connection, request):
        if request.target.startswith("/containers/"):
            return FOUND
        connection.reset()
        return CLOSE

    front.engine.answer = kill
    with front.client() as client:
        for method, target, body in [*SLOW, *SHORT]:
            send(client, method, target, body)
            answer = client.response()
            assert answer.status == 503 and json.loads(answer.body)["message"], target
        front.engine.answer = response(b"ok")
        assert client.ask("/version").body == b"ok"

