"""Time limits. Each takes its second, so that all that can run side by side does."""
import socket
import time

import pytest

from harness import chunk, response, wait_for
from harness.filter_front import (ARCHIVE, CHUNKED, CLOSE, CREATE, INSPECT, JSON, LAST,  # noqa: F401
                                  LOGS, PING, PULL, STOP, TAR, archive, file_front, front, gone,
                                  open_front)
from harness.wait import SLOWNESS

LATE = 10 * SLOWNESS
SILENT_ID, HALF_ID = "0123456789ab", "ba9876543210"
FILTER = {"settings": {"timeout_short": "1s", "timeout_slow": "3s", "timeout_stream": "1s",
                       "head_timeout": "1s", "timeout_client": "1s", "connect_timeout": "1s"},
          "listeners": ['{ address = "unix:{path}"; policy = "appapi"; }',
                        '{ address = "unix:{path}.report"; policy = "appapi"; mode = "report"; }']}


def stall(*pieces):
    """Sends that, and then nothing."""
    def answer(connection, _request):
        connection.send(*pieces)
        while not gone(connection):
            connection.ended.wait(0.02)
        return CLOSE
    return answer


def drip(piece, first=b""):
    """Always something, never the end."""
    def answer(connection, _request):
        connection.send(first)
        while not gone(connection):
            connection.send(piece)
            connection.ended.wait(0.1)
        return CLOSE
    return answer


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Type: application/json\r\n"
# name: (method, target, what the engine does, the status, or None for an answer that is cut)
ENGINES = {
    "says nothing": ("GET", PING, stall(), 504),
    "says nothing to HEAD": ("HEAD", PING, stall(), 504),
    "says nothing to a slow call": ("POST", STOP, stall(), 504),
    "says nothing to a stream": ("GET", LOGS, stall(), 504),
    "says nothing to a pull": ("POST", PULL, stall(), 504),
    "half a status line": ("GET", PING, stall(b"HTTP/1.1 2"), 504),
    "half a head": ("GET", PING, stall(HEAD), 504),
    "a head that drips": ("GET", PING, drip(b"X: y\r\n", HEAD), 504),
    "an interim answer": ("POST", STOP, stall(b"HTTP/1.1 100 Continue\r\n\r\n"), 504),
    "a head alone": ("GET", "/version", stall(HEAD + b"\r\n"), None),
    "half a body": ("GET", "/version", stall(HEAD + b"\r\n12345"), None),
    "half a body of a slow call": ("POST", STOP, stall(HEAD + b"\r\n12345"), None),
    "half a chunk": ("GET", "/version", stall(CHUNKED + b"5\r\nab"), None),
    "a body without an end": ("GET", "/version", drip(chunk(b"x"), CHUNKED), None),
    "half of an inspect": ("GET", INSPECT, stall(HEAD + b'\r\n{"a"'), 504),
    "an inspect that drips": ("GET", INSPECT, drip(b" ", HEAD.replace(b"10", b"1000") + b"\r\n"), 504),
    "a stream that stops": ("GET", LOGS, stall(CHUNKED + chunk(b"one")), None),
    "says nothing about an id": ("POST", f"/containers/{SILENT_ID}/stop", stall(), 504),
    "half of what it knows of an id": ("POST", f"/containers/{HALF_ID}/stop", stall(HEAD + b"\r\n{"), 504),
}


def test_engines_that_stall_are_not_waited_for(front):
    """Statuses where nothing of the answer was sent yet; else it is cut off."""
    names = list(ENGINES)

    def answer(connection, request):
        agent = request.head.get("User-Agent")
        if agent == "harp-socket-filter":  # a question of its own, about an id
            name = next(name for name in names if request.target[12:24] in ENGINES[name][1])
        else:
            name = names[int(agent.removeprefix("kind/"))]
        return ENGINES[name][2](connection, request)

    front.engine.answer = answer
    failures = front.metrics()["engine_failures_total"]
    began = time.monotonic()
    clients = {}
    for number, (name, (method, target, _, _)) in enumerate(ENGINES.items()):
        clients[name] = front.client()
        clients[name].get(target, b"User-Agent: kind/%d" % number, method=method)
    try:
        for name, (method, _, _, status) in ENGINES.items():
            client = clients[name]
            if status:
                got = client.response(method, seconds=LATE)
                assert got.status == status and (method == "HEAD" or "in time" in got.text), (name, got)
            else:
                assert client.head(seconds=LATE).start == b"HTTP/1.1 200 OK", name
                rest = client.rest(seconds=LATE)
                assert not rest.endswith(LAST) and rest != b"x" * 10, (name, rest)
    finally:
        for client in clients.values():
            client.close()
    assert time.monotonic() - began >= 1
    assert front.metrics()["engine_failures_total"] == failures + len(ENGINES)


HALVES = {
    "half a head": (b"GET /_ping HTTP/1.1\r\nHost: x\r\n", 408),
    "one byte": (b"G", 408),
    "no byte": (b"", None),
    "a head, no body": (b"POST " + CREATE.encode() + b" HTTP/1.1\r\nHost: x\r\n" + JSON
                        + b"\r\nContent-Length: 9\r\n\r\n", 408),
    "half a body": (b"POST " + CREATE.encode() + b" HTTP/1.1\r\nHost: x\r\n" + JSON
                    + b"\r\nContent-Length: 9\r\n\r\n{", 408),
    "half a chunk": (b"POST " + CREATE.encode() + b" HTTP/1.1\r\nHost: x\r\n" + JSON
                     + b"\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{", 408),
    "half an archive": (b"PUT " + ARCHIVE.encode() + b" HTTP/1.1\r\nHost: x\r\n" + TAR
                        + b"\r\nContent-Length: 9000\r\n\r\n" + archive()[:1024], 408),
}


def test_clients_that_stall_are_not_waited_for(front):
    clients = {name: front.client() for name in HALVES}
    for name, (data, _) in HALVES.items():
        clients[name].send(data)
    dripping = front.client()
    dripping.send(b"GET /_ping HTTP/1.1\r\n")
    try:
        for name, (_, status) in HALVES.items():
            client = clients[name]
            dripping.send(b"X: y\r\n")
            if status:
                got = client.response(seconds=LATE)
                assert got.status == status and got.head.tokens("Connection") == ["close"], name
            client.assert_closed(seconds=LATE)
        assert dripping.response(seconds=LATE).status == 408
    finally:
        for client in [*clients.values(), dripping]:
            client.close()
    front.engine.errors.clear()  # of the archive


def test_who_waits_for_the_engine_is_not_idle_and_progress_gives_time(front):
    """Longer than timeout_client: a slow call. Longer than timeout_slow: a stream that goes on, also one that
    is only reported, and an archive that takes its time to come; the engine's time begins behind it."""
    def slow(connection, request):
        if request.target in (LOGS, "/events"):
            connection.send(CHUNKED)
            for _ in range(8):
                connection.send(chunk(b"line\n"))
                connection.ended.wait(0.4)
            return LAST
        if request.method == "POST":
            connection.ended.wait(1.5)
        return response(b"done")

    front.engine.answer = slow
    data = archive(size=10000)
    reported = f"{front.filter.path}.report"
    with (front.client() as stop, front.client() as logs, front.client() as put,
          front.client(reported) as events):
        stop.get(STOP, method="POST")
        logs.get(LOGS)
        events.get("/events")
        put.get(ARCHIVE, TAR, b"Content-Length: %d" % len(data), method="PUT")
        for i in range(0, len(data), len(data) // 8 + 1):
            put.send(data[i:i + len(data) // 8 + 1])
            time.sleep(0.4)  # the client's own slowness is what is tested
        assert put.response(seconds=LATE).body == b"done"
        assert stop.response(seconds=LATE).body == b"done"
        assert logs.response(seconds=LATE).body == b"line\n" * 8
        assert events.response(seconds=LATE).body == b"line\n" * 8


def test_a_client_that_does_not_read_is_not_kept_for_ever(front):
    front.engine.answer = drip(chunk(bytes(1 << 20)), CHUNKED)
    with front.client() as client:
        client.get(LOGS)
        client.head()
        front.engine.errors.clear()
        assert wait_for(lambda: b"" if not front.engine.connections else
                        front.engine.connections[0].ended.is_set() or gone(front.engine.connections[0]),
                        seconds=LATE)
        front.wait_metric("clients", 1)
    front.engine.errors.clear()


def test_an_engine_whose_queue_is_full_is_tried_again(tmp_path_factory, certs):
    """It is served late where there is room in time, else it is a 504."""
    folder = tmp_path_factory.mktemp("full")
    path = str(folder / "full.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(0)
    front, close = open_front(tmp_path_factory, certs, "full", settings={
        "connect_timeout": "1s", "docker": f"unix:{path}"})
    first = socket.socket(socket.AF_UNIX)
    try:
        first.connect(path)
        with front.client() as client:
            answer = client.ask(PING, seconds=LATE)
            assert answer.status == 504 and "can't be reached" in answer.text
            client.get(PING)
            time.sleep(0.1)  # it can't be seen that it is being tried
            listener.accept()[0].close()
            engine, _ = listener.accept()
            assert engine.recv(1000).startswith(b"GET /_ping ")
            engine.sendall(response(b"late"))
            assert client.response(seconds=LATE).body == b"late"
            engine.close()
    finally:
        first.close()
        listener.close()
        close()


@pytest.mark.parametrize("target", [PING, STOP])
def test_a_connection_is_free_for_the_next_call_after_a_504(front, target):
    front.engine.answer = stall()
    with front.client() as client:
        assert client.ask(PING, seconds=LATE).status == 504
        front.engine.answer = response(b"ok")
        assert client.ask(target, method="GET" if target == PING else "POST").body == b"ok"
    assert front.engine.connections[0].ended.wait(10) or gone(front.engine.connections[0])
