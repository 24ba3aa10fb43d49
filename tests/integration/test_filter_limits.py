"""Limits: sizes, numbers, engines that answer what they should not, and engines that are away."""
import json
import os
import socket
import threading
import time

import pytest

from harness import RawClient, chunk, program_is_sanitized, response, wait_for
from harness.filter_front import (APP, ARCHIVE, CHUNKED, CLOSE, CREATE, INSPECT, JSON,  # noqa: F401
                                  LAST, LOGS, PING, STOP, TAR, RawOrigin, archive, file_front, front,
                                  hang_up, open_front, told)

KIB = 1024
FILTER = {"settings": {"body_max": "2K", "archive_max": "20K", "answer_max": "64K"},
          "listeners": ['{ address = "unix:{path}"; policy = "appapi"; }',
                        '{ address = "unix:{path}.seen"; policy = "seen"; }'],
          "policies": '{ name = "seen"; base = "appapi"; hide_env = false; }'}
VERSION = "/v1.41/version"


# ---- bodies ----

def body_of(size):
    start = b'{"Image":"x","Labels":{"l":"'
    return start + b"v" * (size - len(start) - 3) + b'"}}'


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size, status", [(2 * KIB, 200), (2 * KIB + 1, 413), (200 * KIB, 413)])
def test_a_body_may_be_as_large_as_body_max(front, size, status, chunked):
    body = body_of(size)
    before = front.metrics()["malformed"]
    with front.client() as client:
        if chunked:
            client.get(CREATE, JSON, b"Transfer-Encoding: chunked", method="POST")
            client.send(chunk(body[:1000]), chunk(body[1000:]), LAST if status == 200 else b"")
        else:
            client.get(CREATE, JSON, method="POST", body=body)
        answer = client.response()
        assert answer.status == status
        if status == 413:
            assert "the body is larger than body_max" in answer.text
            assert answer.head.tokens("Connection") == ["close"]
            client.assert_closed()
    assert [request.body for request in front.engine.requests] == ([body] if status == 200 else [])
    assert front.metrics()["malformed"] == before + (status == 413)


def test_a_413_is_told_before_the_body_is_sent(front):
    with front.client() as client:
        client.send(b"POST %s HTTP/1.1\r\nHost: x\r\n%s\r\nExpect: 100-continue\r\n"
                    b"Content-Length: 2049\r\n\r\n" % (CREATE.encode(), JSON))
        answer = client.response()
        assert answer.status == 413 and not answer.interim


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("extra, status", [(0, 200), (1, 413)])
def test_an_archive_may_be_as_large_as_archive_max(front, extra, status, chunked):
    data = archive(size=5000)
    data += bytes(20 * KIB + extra - len(data))
    with front.client() as client:
        if chunked:
            client.get(ARCHIVE, TAR, b"Transfer-Encoding: chunked", method="PUT")
            client.send(chunk(data), LAST)
        else:
            client.get(ARCHIVE, TAR, method="PUT", body=data)
        assert client.response().status == status
    front.engine.errors.clear()  # an archive that is cut off is no good HTTP, and must not be
    whole = [request.body for request in front.engine.requests if request.body is not None]
    assert len(whole) == (status == 200)


def test_an_archive_that_is_refused_does_not_look_whole_to_the_engine(front):
    good, bad = archive(size=100), archive("etc/passwd", 100)
    with front.client() as client:
        client.get(ARCHIVE, TAR, b"Content-Length: %d" % (1024 + len(bad)), method="PUT")
        client.send(good[:1024])
        front.engine.wait_bytes(b"a.crt")
        client.send(bad)
        answer = client.response()
        assert answer.status == 403 and "etc/passwd" in answer.text
    assert wait_for(lambda: front.engine.connections and front.engine.connections[0].ended.is_set())
    assert LAST not in front.engine.received() and b"passwd" not in front.engine.received()
    front.engine.errors.clear()


@pytest.mark.parametrize("kind, status, part", [
    ("line", 431, "field line too long"), ("head", 431, "head too long"), ("target", 414, "start line"),
    ("fields", 431, "too many fields")])
def test_heads_have_limits(front, kind, status, part):
    fields = {"line": b"X: " + b"x" * 9000 + b"\r\n", "head": (b"X: " + b"x" * 8000 + b"\r\n") * 5,
              "target": b"", "fields": b"X: y\r\n" * 129}[kind]
    target = b"/" + b"x" * 9000 if kind == "target" else b"/_ping"
    with front.client() as client:
        client.send(b"GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (target, fields))
        answer = client.response()
        assert answer.status == status and part in answer.text
        client.assert_closed()


# ---- answers ----

@pytest.mark.parametrize("target", [VERSION, INSPECT, f"{APP}/exec"])
@pytest.mark.parametrize("framing", ["length", "chunked", "end"])
@pytest.mark.parametrize("extra", [0, 1])
def test_an_answer_may_be_as_large_as_answer_max(front, target, framing, extra):
    """Over it: a 502 where nothing was sent yet, else cut off, after the read that went over it."""
    cut = target == VERSION and framing != "length"
    extra *= 400 * KIB if cut else 1
    body = b'"' + b"x" * (64 * KIB + extra - 2) + b'"'
    front.engine.answer = (
        told(json.loads(body)) if framing == "length" else
        CHUNKED + chunk(body[:100]) + chunk(body[100:]) + LAST if framing == "chunked" else
        lambda connection, _: connection.send(b"HTTP/1.1 200 OK\r\n" + JSON + b"\r\n\r\n" + body) or CLOSE)
    with front.client() as client:
        create = target.endswith("exec")
        client.get(target, *([JSON] if create else []), method="POST" if create else "GET",
                   body=b'{"Cmd":["cat","/etc/os-release"]}' if create else b"")
        if not extra:
            assert client.response().body == body
        elif cut:
            assert len(client.rest()) < len(body)
        else:
            answer = client.response()
            assert answer.status == 502 and "larger than answer_max" in answer.text


def test_a_stream_has_no_answer_max(front):
    front.engine.answer = CHUNKED + b"".join(chunk(bytes(8 * KIB)) for _ in range(40)) + LAST
    assert len(front.ask(LOGS).body) == 320 * KIB


GARBAGE = [
    b"\x16\x03\x01\x02\x00\x01garbage\r\n\r\n", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    b"HTTP/2.0 200 OK\r\n\r\n", b"HTTP/1.1 999 OK\r\n\r\n", b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 129 + b"\r\n", b"HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n", b"0" * 40000]


@pytest.mark.parametrize("method, target", [("GET", PING), ("GET", INSPECT), ("POST", STOP)])
@pytest.mark.parametrize("data", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_for_an_answer_is_a_502(front, data, method, target):
    front.engine.answer = data
    with front.client() as client:
        answer = client.ask(target, method=method)
        assert answer.status == 502 and "malformed answer of the Docker engine" in answer.text
        front.engine.answer = response(b"right")
        assert client.ask(PING).body == b"right"


# ---- environments ----

DETAILS = {"Id": "a" * 64, "Name": "/nc_app_x", "Config": {"Env": ["A=hush-key", "B=", "PATH=/hush-key", "C"],
           "Labels": {"Env": "kept"}, "Cmd": ["A=kept"]}, "Big": 12345678901234567890, "F": 1.50,
           "Text": "é\u2028\"\\/\n\u0000", "HostConfig": {"Env": ["X=hush-key"]}, "E": [], "O": {}, "N": None}
HIDDEN = json.loads(json.dumps(DETAILS).replace("A=hush-key", "A=<hidden>").replace("B=", "B=<hidden>")
                    .replace("/hush-key", "<hidden>").replace("X=hush-key", "X=<hidden>"))


def frame(body, framing):
    if framing == "chunked":
        return CHUNKED + b"".join(chunk(body[i:i + 7]) for i in range(0, len(body), 7)) + LAST
    return response(body, b"200 OK", JSON)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_the_values_of_environments_are_cut_out(front, framing):
    front.engine.answer = frame(json.dumps(DETAILS).encode(), framing)
    with front.client() as client:
        for _ in range(2):
            answer = client.ask(INSPECT)
            assert json.loads(answer.body) == HIDDEN
            assert b"hush" not in answer.body and b"12345678901234567890" in answer.body


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_they_stay_where_a_policy_says_so(front, framing):
    body = json.dumps(DETAILS, indent=1).encode()
    front.engine.answer = frame(body, framing)
    with RawClient(f"{front.filter.path}.seen") as client:
        assert client.ask(INSPECT).body == body


@pytest.mark.parametrize("body", [b"{", b'{"a":1}x', b'{"a":"\xff"}', b"nonsense", b"[" * 100,
                                  b'{"Config":{"Env":["A=hush-key"]}', b""], ids=range(7))
def test_what_is_not_json_is_not_passed_where_environments_are(front, body):
    for answer in (frame(body, "length"), frame(body, "chunked") if body else CHUNKED + LAST):
        front.engine.answer = answer
        got = front.ask(INSPECT)
        assert got.status == 502 and b"hush" not in got.body


@pytest.mark.parametrize("fields", [[b"Content-Type: text/plain"], [], [b"Content-Type: application/jso"],
                                    [b"Content-Encoding: gzip", b"Content-Type: text/html"]])
def test_neither_is_another_kind_of_answer(front, fields):
    front.engine.answer = response(b'{"Config":{"Env":["A=hush-key"]}}', b"200 OK", *fields)
    got = front.ask(INSPECT)
    assert got.status == 502 and b"hush" not in got.body


# ---- clients ----

def test_connections_over_the_limit_are_closed_at_once(tmp_path_factory, certs):
    front, close = open_front(tmp_path_factory, certs, "few", settings={"max_connections": 3})
    clients = []
    try:
        clients = [front.client() for _ in range(3)]
        for client in clients:
            assert client.ask(PING).body == b"ok"
        for path in (front.filter.path, front.filter.admin):
            with RawClient(path) as client:
                client.get("/health")
                client.assert_closed()
        clients.pop().close()
        wait_for(lambda: front.ask(PING).body == b"ok" if can_ask(front) else False)
        assert front.metrics()["refused_connections_total"] >= 2
    finally:
        for client in clients:
            client.close()
        close()


def can_ask(front):
    try:
        return front.ask(PING).status == 200
    except EOFError:
        return False


def open_paths(front):
    return front.filter.open_files()


def test_500_clients_at_once(front):
    """All are answered, and nothing of them stays."""
    assert front.ask(PING).status == 200
    files, memory = open_paths(front), front.filter.resident_kib()
    clients = [front.client() for _ in range(500)]
    for number, client in enumerate(clients):
        client.get(PING if number % 2 else STOP, method="GET" if number % 2 else "POST")
    for client in clients:
        assert client.response().body == b"ok"
        client.close()
    front.wait_metric("clients", 1)
    for connection in list(front.engine.connections):
        hang_up(connection)
    wait_for(lambda: open_paths(front) <= files)
    if not program_is_sanitized("harp-socket-filter"):
        assert front.filter.resident_kib() - memory < 6 * KIB


def test_2000_calls_over_50_connections(front):
    body = b'{"Cmd":["cat","/etc/os-release"]}'
    front.engine.answer = lambda _, request: response(request.target.encode())
    assert front.ask(PING).status == 200
    files, failed = open_paths(front), []

    def run(number):
        try:
            with front.client() as client:
                for i in range(10):
                    for target, method, data in ((PING, "GET", b""), (f"/images/i{number}.{i}/json", "GET", b""),
                                                 (f"{APP}{number}/exec", "POST", body),
                                                 ("/swarm", "GET", b"")):
                        answer = client.ask(target, *([JSON] if data else []), method=method, body=data)
                        good = (answer.status == 403 if target == "/swarm" else
                                answer.body == target.encode())
                        if not good:
                            failed.append((target, answer))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed[:3]
    front.wait_metric("clients", 1)
    for connection in list(front.engine.connections):
        hang_up(connection)
    wait_for(lambda: open_paths(front) <= files)


# ---- an engine that is away ----

def test_no_engine_is_a_503_at_once_until_it_is_back(tmp_path_factory, certs):
    front, close = open_front(tmp_path_factory, certs, "away")
    path = front.engine.path
    back = None
    try:
        with front.client() as client:
            assert client.ask(PING).body == b"ok"
            front.engine.close()
            for method, target in (("GET", PING), ("POST", STOP), ("GET", INSPECT)):
                failures = front.metrics()["engine_failures_total"]
                began = time.monotonic()
                answer = client.ask(target, method=method)
                assert answer.status == 503 and "the Docker engine can't be reached" in answer.text
                assert time.monotonic() - began < 5
                assert front.metrics()["engine_failures_total"] == failures + 1
            # A file that nobody listens at, as an engine that was killed leaves it.
            with socket.socket(socket.AF_UNIX) as left:
                left.bind(path)
            assert os.path.exists(path) and client.ask(PING).status == 503
            os.unlink(path)
            back = RawOrigin(response(b"back"), path=path)
            assert client.ask(PING).body == b"back"
    finally:
        if back:
            back.close()
        close()
