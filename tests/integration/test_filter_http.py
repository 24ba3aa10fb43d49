"""HTTP on both sides of the filter: connections that are kept, framing, fields, answers of all kinds."""
import json
import threading

import pytest

from harness import chunk, response, wait_for
from harness.filter_front import (APP, CLOSE, INSPECT, JSON, LAST, LOGS, PING,  # noqa: F401
                                  STOP, archive, file_front, front, hang_up, told)

PODMAN = (b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nLibpod-Api-Version: 4.3.1\r\n"
          b"Docker-Experimental: true\r\nCache-Control: no-cache\r\nPragma: no-cache\r\n"
          b"Server: Libpod/4.3.1 (linux)\r\n")


# ---- connections that are kept ----

def test_many_calls_of_a_client_use_one_connection_to_the_engine(front):
    opened = front.metrics()["engine_connections_total"]
    with front.client() as client:
        for _ in range(50):
            assert client.ask(PING).body == b"ok"
    with front.client() as client:
        assert client.ask("/version").body == b"ok"
    assert [len(connection.requests) for connection in front.engine.connections] == [51]
    assert front.metrics()["engine_connections_total"] == opened + 1


def test_pipelined_calls_are_answered_in_order(front):
    """Refused ones, ones of the filter's own and the engine's, and one with a body, in one piece."""
    front.engine.answer = lambda _, request: response(request.target.encode())
    body = b'{"Cmd":["cat","/etc/os-release"]}'
    pieces, wanted = [], []
    for number in range(40):
        target = f"{APP}{number}/json"
        pieces.append(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % target.encode())
        wanted.append((502, b"so environments can't be cut out"))
        pieces.append(b"GET /images/a%d/json HTTP/1.1\r\nHost: x\r\n\r\n" % number)
        wanted.append((200, b"/images/a%d/json" % number))
        pieces.append(b"GET /swarm HTTP/1.1\r\nHost: x\r\n\r\n")
        wanted.append((403, b"refused by policy"))
        pieces.append(b"POST %s/exec HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                      b"Content-Length: %d\r\n\r\n%s" % (APP.encode(), len(body), body))
        wanted.append((200, f"{APP}/exec".encode()))
    with front.client() as client:
        client.send(b"".join(pieces))
        for status, part in wanted:
            answer = client.response()
            assert answer.status == status and part in answer.body, answer


def test_calls_that_change_something_never_use_a_kept_connection(front):
    """The engine may be about to close one: then nobody would know whether it did what was asked."""
    with front.client() as client:
        for target in (PING, STOP, PING, STOP):
            client.ask(target, method="POST" if target == STOP else "GET")
    used = [[request.method for request in connection.requests]
            for connection in front.engine.connections]
    assert len(used) == 3 and [methods[0] for methods in used] == ["GET", "POST", "POST"]
    assert all(method == "GET" for methods in used for method in methods[1:])


def test_a_kept_connection_that_the_engine_closes_is_not_used_again(front):
    assert front.ask(PING).status == 200
    for _ in range(20):
        hang_up(front.engine.connections[-1])
        assert front.ask(PING).body == b"ok"
    assert len(front.engine.connections) == 21
    assert all(len(connection.requests) == 1 for connection in front.engine.connections)


@pytest.mark.parametrize("way", ["close", "reset"])
@pytest.mark.parametrize("method, target", [("GET", PING), ("HEAD", PING), ("GET", LOGS)])
def test_a_call_that_meets_a_closing_connection_is_sent_again_once(front, way, method, target):
    """It had been read there, and no byte of an answer came."""
    assert front.ask(PING).status == 200

    def answer(connection, _request):
        if connection.number == 0:
            (connection.reset if way == "reset" else connection.close)()
            return CLOSE
        return response(b"again")

    front.engine.answer = answer
    assert front.ask(target, method=method).status == 200
    assert front.targets()[1:] == [f"{method} {target}"] * 2


def test_a_call_is_not_sent_a_third_time(front):
    assert front.ask(PING).status == 200
    front.engine.answer = CLOSE
    answer = front.ask(PING)
    assert answer.status == 503 and "closed before the answer" in answer.text
    assert len(front.engine.requests) == 3


def test_a_call_is_not_sent_again_after_a_byte_of_an_answer(front):
    assert front.ask(PING).status == 200

    def answer(connection, _request):
        connection.send(b"HTTP/1.1 2")
        return CLOSE

    front.engine.answer = answer
    answer = front.ask(PING)
    assert answer.status == 502 and "ended inside the answer" in answer.text
    assert len(front.engine.requests) == 2


@pytest.mark.parametrize("method, target", [("POST", STOP), ("DELETE", "/v1.41/images/alpine"),
                                            ("GET", PING)])
def test_a_new_connection_that_ends_is_told(front, method, target):
    front.engine.answer = CLOSE
    answer = front.ask(target, method=method)
    assert answer.status == 503 and len(front.engine.requests) == 1


@pytest.mark.parametrize("with_answer", [True, False])
def test_bytes_that_an_engine_sends_unasked_are_nobodys_answer(front, with_answer):
    late = response(b"nobody asked")
    if with_answer:
        front.engine.answer = response(b"ok") + late
        assert front.ask(PING).body == b"ok"
    else:
        assert front.ask(PING).body == b"ok"
        front.engine.connections[0].send(late)
    front.engine.answer = response(b"right")
    for _ in range(3):
        assert front.ask(PING).body == b"right"
    assert front.engine.connections[0].ended.wait(10)
    assert len(front.engine.connections) == 2


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"])
def test_a_connection_that_the_engine_will_close_is_not_kept(front, answer):
    front.engine.answer = answer
    with front.client() as client:
        for _ in range(3):
            got = client.ask(PING)
            assert got.body == b"ok" and not got.head.has("Connection")
    assert len(front.engine.connections) == 3


def test_the_clients_close_does_not_end_the_engines_connection(front):
    for _ in range(3):
        with front.client() as client:
            answer = client.ask(PING, b"Connection: close")
            assert answer.head.tokens("Connection") == ["close"]
            client.assert_closed()
    assert len(front.engine.connections) == 1
    assert not front.engine.requests[-1].head.has("Connection")


def test_sixteen_idle_connections_are_kept_and_no_more(front):
    release = threading.Event()

    def answer(_connection, _request):
        release.wait(10)
        return response(b"ok")

    front.engine.answer = answer
    clients = [front.client() for _ in range(20)]
    for client in clients:
        client.get(PING)
    front.engine.wait_requests(20)
    release.set()
    for client in clients:
        assert client.response().body == b"ok"
        client.close()
    wait_for(lambda: sum(connection.ended.is_set() for connection in front.engine.connections) == 4)


# ---- clients of HTTP/1.0, and half-closed ones ----

@pytest.mark.parametrize("keep", [False, True])
def test_a_client_of_http_1_0_gets_chunks_decoded(front, keep):
    front.engine.answer = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"one ")
                           + chunk(b"two") + LAST)
    with front.client() as client:
        client.send(b"GET /version HTTP/1.0\r\n%s\r\n" % (b"Connection: keep-alive\r\n" if keep else b""))
        answer = client.response()
        assert (answer.body, answer.framing) == (b"one two", "end")
        assert answer.head.tokens("Connection") == ["close"]
        client.assert_closed()


def test_a_client_of_http_1_0_may_keep_its_connection(front):
    with front.client() as client:
        for _ in range(3):
            client.send(b"GET /version HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            answer = client.response()
            assert (answer.body, answer.head.tokens("Connection")) == (b"ok", ["keep-alive"])
        client.send(b"GET /version HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /swarm HTTP/1.0\r\n\r\n")
        assert client.response().body == b"ok"
        refusal = client.response()
        assert refusal.status == 403 and refusal.head.tokens("Connection") == ["close"]
        client.assert_closed()
    assert front.engine.requests[0].minor == 1 and front.engine.requests[0].head.get("Host") == "docker"


@pytest.mark.parametrize("target", [PING, INSPECT, "/swarm"])
def test_a_client_that_half_closes_gets_its_answer(front, target):
    release = threading.Event()

    def answer(_connection, _request):
        release.wait(10)
        return told({"Config": {"Env": ["A=b"]}})

    front.engine.answer = answer
    with front.client() as client:
        client.get(target)
        client.end()
        release.set()
        assert client.response().status == (403 if target == "/swarm" else 200)
        client.assert_closed()


# ---- answers of all kinds ----

def test_podmans_ping_passes_with_its_version(front):
    front.engine.answer = PODMAN + b"Content-Length: 2\r\nContent-Type: text/plain\r\n\r\n"
    with front.client() as client:
        for _ in range(2):
            answer = client.ask(PING, method="HEAD")
            assert answer.status == 200 and answer.head.get("Libpod-Api-Version") == "4.3.1"
            assert answer.head.get("Content-Length") == "2"
    assert len(front.engine.connections) == 1


def test_an_answer_to_head_that_claims_chunks_has_no_body(front):
    front.engine.answer = PODMAN + b"Transfer-Encoding: chunked\r\n\r\n"
    with front.client() as client:
        for _ in range(2):
            answer = client.ask(PING, method="HEAD")
            assert answer.status == 200 and not answer.head.has("Transfer-Encoding")


EMPTY = [b"HTTP/1.1 204 No Content\r\nApi-Version: 1.41\r\n\r\n",
         b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
         b"HTTP/1.1 304 Not Modified\r\n\r\n",
         b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
         b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
         b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         b"HTTP/1.1 204\r\n\r\n"]


@pytest.mark.parametrize("answer", EMPTY, ids=range(len(EMPTY)))
def test_answers_without_a_body_end_at_once(front, answer):
    front.engine.answer = answer
    with front.client() as client:
        for _ in range(3):
            got = client.ask(STOP, method="POST")
            assert got.body == b"" and str(got.status).encode() == answer[9:12]
            assert got.status != 204 or not got.head.has("Content-Length")
        assert client.ask(PING).body == b""


def test_interim_answers_are_taken_out(front):
    front.engine.answer = (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                           + response(b"final"))
    answer = front.ask(PING)
    assert (answer.body, answer.interim) == (b"final", [])


def test_an_engine_that_only_makes_interim_answers_is_a_502(front):
    front.engine.answer = b"HTTP/1.1 102 Processing\r\n\r\n" * 33
    answer = front.ask(PING)
    assert answer.status == 502 and "too many interim answers" in answer.text


def test_trailers_pass_but_for_what_may_not_stand_there(front):
    front.engine.answer = (b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
                           + chunk(b"data") + b"0\r\nX-Sum: abc\r\nContent-Length: 4\r\n\r\n")
    with front.client() as client:
        for _ in range(2):
            answer = client.ask("/version")
            assert (answer.body, answer.trailers) == (b"data", [("X-Sum", "abc")])


def test_an_engine_does_not_send_clients_elsewhere(front):
    front.engine.answer = response(b"", b"301 Moved Permanently", b"Location: /containers/x/json")
    answer = front.ask(PING)
    assert answer.status == 301 and not answer.head.has("Location")


def test_fields_for_one_hop_stay_there(front):
    front.engine.answer = response(
        b"ok", b"200 OK", b"Connection: X-Hop, keep-alive", b"X-Hop: 1", b"Keep-Alive: timeout=5",
        b"Proxy-Authenticate: Basic", b"Upgrade: h2c", b"X-Stays: 1", b"Server: Docker/20.10.24 (linux)",
        b"Ostype: linux")
    answer = front.ask(PING, b"Accept: a/b", b"User-Agent: curl/8", b"Keep-Alive: 5", b"TE: trailers",
                       b"X-Own: 1", b"Authorization: Basic aHVzaC1hdXRo", b"Cookie: hush-cookie",
                       b"X-Forwarded-For: 192.0.2.1", b"X-Registry-Auth: aHVzaA")
    assert {name for name, _ in answer.head.fields} == {"Content-Length", "X-Stays", "Server", "Ostype",
                                                       "Connection"}
    assert front.engine.requests[0].head.fields == [
        ("Host", "docker"), ("Accept", "a/b"), ("User-Agent", "curl/8")]


def test_the_engines_own_errors_pass_with_their_message(front):
    for status in (b"400 Bad Request", b"404 Not Found", b"409 Conflict", b"500 Internal Server Error"):
        front.engine.answer = told({"message": "in the engine's own words"}, status)
        for target in (INSPECT, PING, f"{APP}/logs?stdout=1"):
            answer = front.ask(target)
            assert answer.head.start.endswith(status) and answer.framing == "length"
            assert json.loads(answer.body) == {"message": "in the engine's own words"}


# ---- requests as the engine sees them ----

def test_a_call_is_written_anew_for_the_engine(front):
    target = f"{APP}/logs?stdout=1&since=1.5&tail=10"
    with front.client() as client:
        client.send(b"GET %s HTTP/1.1\r\nHost: elsewhere.test\r\nX-Own: 1\r\n\r\n" % target.encode())
        assert client.response().body == b"ok"
    request = front.engine.requests[0]
    assert request.target == target and request.head.fields == [("Host", "docker")]


def test_an_absolute_target_is_malformed(front):
    with front.client() as client:
        client.send(b"GET http://docker/_ping HTTP/1.1\r\nHost: docker\r\n\r\n")
        assert client.response().status == 400
    assert front.engine.requests == []


@pytest.mark.parametrize("chunked", [False, True])
def test_a_client_may_wait_with_its_body(front, chunked):
    body = b'{"Cmd":["cat","/etc/os-release"]}'
    with front.client() as client:
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
        client.send(b"POST %s/exec HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n%s\r\n%s\r\n\r\n"
                    % (APP.encode(), JSON, framing))
        assert client.head().start == b"HTTP/1.1 100 Continue"
        client.send(chunk(body) + LAST if chunked else body)
        assert client.response().body == b"ok"
    request = front.engine.requests[0]
    assert request.body == body and request.head.framing() == ("length", len(body))
    assert not request.head.has("Expect")


def test_bodies_in_pieces_of_a_byte_are_read_as_one(front):
    body = b'{"Cmd":["cat","/etc/os-release"]}'
    data = (b"POST %s/exec HTTP/1.1\r\nHost: x\r\n%s\r\nTransfer-Encoding: chunked\r\n\r\n" % (
        APP.encode(), JSON) + b"".join(chunk(body[i:i + 1]) for i in range(len(body))) + LAST)
    with front.client() as client:
        for i in range(len(data)):
            client.send(data[i:i + 1])
        assert client.response().body == b"ok"
    assert front.engine.requests[0].body == body


def test_an_answer_that_comes_before_the_body_ends_the_connection(front):
    """The rest of an archive has nowhere to go."""
    front.engine.lazy = True
    front.engine.answer = lambda connection, _: (
        connection.exactly(1), told({"message": "No such container"}, b"404 Not Found"))[1]
    data = archive()
    with front.client() as client:
        client.send(b"PUT %s/archive?path=%%2F HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-tar\r\n"
                    b"Content-Length: %d\r\n\r\n" % (APP.encode(), len(data)), data[:1024])
        answer = client.response()
        assert answer.status == 404 and answer.head.tokens("Connection") == ["close"]
        client.assert_closed()


def test_podman_is_served_as_docker_is(front):
    """Chunks everywhere, a version of its own in each head, and 500 for an exec that is not there."""
    def say(body, status=b"200 OK"):
        return PODMAN.replace(b"200 OK", status) + (b"Content-Type: application/json\r\n"
                                                    b"Transfer-Encoding: chunked\r\n\r\n"
                                                    + chunk(body) + LAST)

    def answer(_connection, request):
        if request.method == "HEAD":
            return PODMAN + b"Transfer-Encoding: chunked\r\n\r\n"
        if request.target.endswith("/start") and "/exec/" in request.target:
            return say(b'{"cause":"no such exec session","message":"no such exec session"}',
                       b"500 Internal Server Error")
        if request.target.endswith("/exec"):
            return say(b'{"Id":"' + b"a" * 64 + b'"}', b"201 Created")
        if request.target.endswith("/json"):
            return say(b'{"Name":"/nc_app_x","Config":{"Env":["A=secret","PATH=/bin"]}}')
        return PODMAN.replace(b"200 OK", b"304 Not Modified") + b"\r\n"

    front.engine.answer = answer
    with front.client() as client:
        assert client.ask(PING, method="HEAD").head.get("Libpod-Api-Version") == "4.3.1"
        got = client.ask(INSPECT)
        assert got.head.get("Libpod-Api-Version") == "4.3.1" and b"secret" not in got.body
        assert client.ask(f"{APP}/exec", JSON, method="POST",
                          body=b'{"Cmd":["cat","/etc/os-release"]}').status == 201
        got = client.ask(f"/v1.41/exec/{'a' * 64}/start", JSON, method="POST", body=b'{"Detach":false}')
        assert got.status == 500 and "no such exec session" in got.text
        assert client.ask(f"{APP}/start", method="POST").status == 304
