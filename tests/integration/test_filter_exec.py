"""Commands in containers: made and started through the filter, hijacked, and nobody else's."""
import json

import pytest

from harness import RawClient, response, wait_for
from harness.filter_front import (APP, CLOSE, JSON, file_front, front, open_front,  # noqa: F401
                                  told)

FILTER = {"listeners": ['{ address = "unix:{path}"; policy = "appapi"; }',
                        '{ address = "unix:{path}.other"; policy = "other"; }',
                        '{ address = "unix:{path}.same"; policy = "appapi"; }'],
          "policies": '{ name = "other"; base = "appapi"; }'}
MAKE = {"AttachStdout": True, "AttachStderr": True, "Cmd": ["cat", "/etc/os-release"]}
UPGRADE = [b"Connection: Upgrade", b"Upgrade: tcp", JSON]
SWITCHED = (b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
            b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
RAW = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
START = json.dumps({"Detach": False, "Tty": False}).encode()


class Made:
    """The engine's side: makes ids one after the other, and starts by `start`."""

    def __init__(self, front, start=response(b"started")):
        self.count, self.start = 0, start
        front.engine.answer = self

    def __call__(self, connection, request):
        if request.target.endswith("/exec"):
            self.count += 1
            return told({"Id": f"{self.count:064x}"}, b"201 Created")
        return self.start(connection, request) if callable(self.start) else self.start


def make(front, path=None, body=MAKE):
    with RawClient(path or front.filter.path) as client:
        answer = client.ask(f"{APP}/exec", JSON, method="POST", body=json.dumps(body).encode())
    assert answer.status == 201, answer
    return json.loads(answer.body)["Id"]


def start(front, exec_id, *fields, path=None):
    client = RawClient(path or front.filter.path)
    client.get(f"/v1.41/exec/{exec_id}/start", *(fields or [JSON]), method="POST", body=START)
    return client


def status(front, exec_id, path=None, call="json", method="GET", body=b""):
    with RawClient(path or front.filter.path) as client:
        return client.ask(f"/v1.41/exec/{exec_id}/{call}", *([JSON] if body else []), method=method,
                          body=body).status


def test_the_answer_to_making_one_is_the_engines(front):
    Made(front)
    with front.client() as client:
        answer = client.ask(f"{APP}/exec", JSON, method="POST", body=json.dumps(MAKE).encode())
        assert (answer.status, json.loads(answer.body)) == (201, {"Id": f"{1:064x}"})
        assert client.ask("/_ping").status == 200


def test_only_ids_made_here_can_be_started_and_asked_about(front):
    Made(front)
    known = make(front)
    for exec_id, expected in [(known, 200), ("f" * 64, 403), (known[:63], 403),
                              (known[:63] + "0", 403)]:
        assert status(front, exec_id) == expected, exec_id
        assert status(front, exec_id, call="start", method="POST", body=START) == expected, exec_id
    assert all(known in request.target for request in front.engine.requests if "/exec/" in
               request.target)


def test_an_id_belongs_to_the_policy_it_was_made_under(front):
    Made(front)
    other, same = f"{front.filter.path}.other", f"{front.filter.path}.same"
    mine, its = make(front), make(front, other)
    assert [status(front, mine), status(front, its)] == [200, 403]
    assert [status(front, mine, other), status(front, its, other)] == [403, 200]
    assert [status(front, mine, same), status(front, its, same)] == [200, 403]


@pytest.mark.parametrize("answer", [
    told({"Id": "a" * 63}, b"201 Created"), told({"Id": "a" * 65}, b"201 Created"),
    told({"Id": "A" * 64}, b"201 Created"), told({"Id": 7}, b"201 Created"),
    told({"id": "b" * 64}, b"201 Created"), told(["b" * 64], b"201 Created"),
    told({"Id": "b" * 64}), told({"Id": "b" * 64}, b"404 Not Found"),
    response(b'{"Id":"' + b"b" * 64 + b'"}', b"201 Created"),
    response(b'{"Id":"' + b"b" * 64, b"201 Created", JSON),
    response(b"", b"201 Created", JSON), response(b"", b"500 x", JSON),
    b"HTTP/1.1 204 No Content\r\nContent-Type: application/json\r\n\r\n"], ids=range(13))
def test_what_is_no_id_is_not_remembered_and_passes(front, answer):
    front.engine.answer = answer
    before = front.metrics()["execs"]
    got = front.post(f"{APP}/exec", MAKE)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert str(got.status).encode() in head[:13] and got.body == body
    front.engine.answer = response(b"ok")
    assert status(front, "b" * 64) == 403 and front.metrics()["execs"] == before


def test_bytes_pass_both_ways_after_101(front):
    def echo(connection, _request):
        connection.send(SWITCHED + b"first")
        for _ in range(10):
            connection.send(connection.exactly(4).upper())
        return CLOSE

    Made(front, echo)
    with start(front, make(front), *UPGRADE) as client:
        head = client.head()
        assert head.start == b"HTTP/1.1 101 UPGRADED"
        assert (head.get("Content-Type"), head.get("Upgrade"), head.tokens("Connection")) == (
            "application/vnd.docker.raw-stream", "tcp", ["upgrade"])
        assert client.exactly(5) == b"first"
        for number in range(10):
            client.send(b"ab%02d" % number)
            assert client.exactly(4) == b"AB%02d" % number
        client.assert_closed()
    request = front.engine.requests[-1]
    assert request.body == START.replace(b" ", b"") and request.head.get("Upgrade") == "tcp"


def test_bytes_sent_before_the_101_are_not_lost(front):
    def late(connection, _request):
        connection.send(SWITCHED)
        connection.send(connection.exactly(5))
        return CLOSE

    Made(front, late)
    exec_id = make(front)
    with front.client() as client:
        client.send(b"POST /v1.41/exec/%s/start HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: %d\r\n\r\n"
                    b"%searly" % (exec_id.encode(), b"\r\n".join(UPGRADE), len(START), START))
        client.head()
        assert client.exactly(5) == b"early"
        client.assert_closed()


@pytest.mark.parametrize("when", ["before the 101", "after the 101"])
def test_the_clients_half_close_reaches_the_engine_and_its_output_goes_on(front, when):
    def count(connection, _request):
        if when == "before the 101":
            assert ended.wait()
        connection.send(SWITCHED)
        data = connection.rest()
        connection.send(b"%d bytes" % len(data))
        return CLOSE

    class Ended:
        def wait(self):
            return wait_for(lambda: self.done)
        done = False

    ended = Ended()
    Made(front, count)
    with start(front, make(front), *UPGRADE) as client:
        if when == "before the 101":
            client.end()
            ended.done = True
            client.head()
            assert client.rest() == b"0 bytes"
        else:
            client.head()
            client.send(b"some input")
            client.end()
            assert client.rest() == b"10 bytes"


def test_the_engines_half_close_reaches_the_client_and_its_input_goes_on(front):
    def close_first(connection, _request):
        connection.send(SWITCHED + b"all that there is")
        connection.end()
        assert connection.rest() == b"late input"
        return CLOSE

    Made(front, close_first)
    with start(front, make(front), *UPGRADE) as client:
        client.head()
        assert client.rest() == b"all that there is"
        client.send(b"late input")
        client.end()
        assert front.engine.connections[-1].ended.wait(10)
    front.wait_metric("clients", 1)


def test_a_large_output_passes_whole(front):
    data = bytes(range(256)) * 4096 * 8

    def pour(connection, _request):
        connection.send(SWITCHED, data)
        return CLOSE

    Made(front, pour)
    with start(front, make(front), *UPGRADE) as client:
        client.head()
        assert client.rest() == data


def test_the_engines_connection_ends_with_the_clients(front):
    def wait(connection, _request):
        connection.send(SWITCHED)
        connection.rest()
        return CLOSE

    Made(front, wait)
    with start(front, make(front), *UPGRADE) as client:
        client.head()
        client.close()
    assert front.engine.connections[-1].ended.wait(10)
    front.wait_metric("clients", 1)


def test_without_an_upgrade_the_answer_ends_with_the_connection(front):
    def output(connection, _request):
        connection.send(RAW + b"one ")
        connection.send(b"two")
        return CLOSE

    Made(front, output)
    with start(front, make(front)) as client:
        answer = client.response()
        assert (answer.status, answer.body, answer.framing) == (200, b"one two", "end")
        assert answer.head.tokens("Connection") == ["close"]
    assert not front.engine.requests[-1].head.has("Upgrade")


@pytest.mark.parametrize("answer, part", [
    (SWITCHED, "switched protocols without being asked to"),
    (b"HTTP/1.1 101 x\r\n\r\n", "101 without an upgrade")])
def test_a_101_that_nobody_asked_for_is_a_502(front, answer, part):
    Made(front, answer)
    with start(front, make(front)) as client:
        got = client.response()
        assert got.status == 502 and part in got.text


def test_an_engine_may_refuse_to_upgrade(front):
    Made(front, told({"message": "container is not running"}, b"409 Conflict"))
    with start(front, make(front), *UPGRADE) as client:
        answer = client.response()
        assert answer.status == 409 and "not running" in answer.text
        assert client.ask("/_ping").status == 409


@pytest.mark.parametrize("fields, target", [
    ([b"Connection: Upgrade", b"Upgrade: h2c", JSON], None),
    ([b"Connection: Upgrade", b"Upgrade: websocket", JSON], None),
    ([b"Connection: Upgrade", b"Upgrade: tcp, websocket", JSON], None),
    ([b"Upgrade: tcp", JSON], None),
    (UPGRADE, f"{APP}/exec"), (UPGRADE, f"{APP}/start"), (UPGRADE, f"{APP}/attach?stream=1"),
    (UPGRADE, "/session"), (UPGRADE, "/grpc")])
def test_an_upgrade_passes_to_tcp_and_there_alone(front, fields, target):
    Made(front, SWITCHED)
    exec_id = make(front)
    front.engine.requests.clear()
    with front.client() as client:
        body = START if not target else json.dumps(MAKE).encode()
        client.get(target or f"/v1.41/exec/{exec_id}/start", *fields, method="POST", body=body)
        assert client.response().status == 403
    assert front.engine.requests == []


def test_the_oldest_id_is_forgotten_for_a_new_one(tmp_path_factory, certs):
    front, close = open_front(tmp_path_factory, certs, "few-execs", settings={"max_execs": 3})
    try:
        Made(front)
        ids = [make(front) for _ in range(3)]
        assert [status(front, exec_id) for exec_id in ids] == [200] * 3
        assert front.metrics()["execs"] == 3
        ids.append(make(front))
        assert [status(front, exec_id) for exec_id in ids] == [403, 200, 200, 200]
        assert front.metrics()["execs"] == 3
    finally:
        close()
