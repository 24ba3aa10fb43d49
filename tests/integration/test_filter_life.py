"""What the administrator asks and tells: metrics, health, SIGTERM, SIGHUP."""
import os
import signal
import stat
import threading

import pytest

from harness import RawClient, chunk, fetch, response, wait_for
from harness.filter_front import (APP, CHUNKED, CLOSE, JSON, LAST, LOGS, PING,  # noqa: F401
                                  STOP, file_front, front, gone, hold, open_front)

# ---- the administrator's socket ----


def test_the_socket_is_for_the_programs_own_user(front):
    assert stat.S_IMODE(os.stat(front.filter.admin).st_mode) == 0o600


def test_health_and_metrics_are_told(front):
    with RawClient(front.filter.admin) as client:
        for method in ("GET", "HEAD"):
            answer = client.ask("/health", method=method)
            assert answer.status == 200 and answer.body == (b"ok\n" if method == "GET" else b"")
            assert answer.head.get("Content-Length") == "3"
        answer = client.ask("/metrics")
        assert answer.head.get("Content-Type") == "text/plain; version=0.0.4"
        names = {line.split()[2] for line in answer.text.splitlines() if line.startswith("# TYPE")}
        assert names == {f"harp_filter_{name}" for name in (
            "calls_total", "clients", "execs", "connections_total", "refused_connections_total",
            "engine_connections_total", "engine_failures_total", "audit_failures_total",
            "sent_bytes_total", "received_bytes_total")}


@pytest.mark.parametrize("method, target, status", [
    ("GET", "/", 404), ("GET", "/metrics/", 404), ("GET", "/health?x=1", 404), ("GET", "/_ping", 404),
    ("GET", "/v1.41/containers/json", 404), ("POST", "/health", 405), ("DELETE", "/metrics", 405),
    ("OPTIONS", "*", 405), ("BREW", "/metrics", 405), ("POST", "/containers/create", 405)])
def test_nothing_else_is_there(front, method, target, status):
    with RawClient(front.filter.admin) as client:
        answer = client.ask(target, method=method)
        assert answer.status == status and answer.head.get("Allow") == (
            "GET, HEAD" if status == 405 else None)
        assert client.ask("/health").status == 200
    assert front.engine.requests == []


def test_a_body_there_ends_the_connection(front):
    with RawClient(front.filter.admin) as client:
        assert client.ask("/health", body=b"12345").status == 200
        client.assert_closed()


def test_malformed_requests_are_refused_there_too(front):
    with RawClient(front.filter.admin) as client:
        client.send(b"GET /health\r\n\r\n")
        assert client.response().status == 400
        client.assert_closed()


def test_counters_move(front):
    def moved(before):
        after = front.metrics()
        return {name: after[name] - before[name] for name in after if after[name] != before[name]
                and name not in ("connections_total", "sent_bytes_total")}

    with front.client() as client:
        before = front.metrics()
        client.ask(PING)
        assert moved(before) == dict(passed=1, engine_connections_total=1)
        before = front.metrics()
        client.ask("/swarm")
        assert moved(before) == dict(refused=1)
        before = front.metrics()
        client.ask("/a//b")
        assert moved(before) == dict(malformed=1)
        before = front.metrics()
        client.ask(f"{APP}/exec", JSON, method="POST", body=b'{"Cmd":["cat","/etc/os-release"]}')
        assert moved(before) == dict(passed=1, engine_connections_total=1, received_bytes_total=33)
        front.engine.answer = b"garbage\r\n\r\n"
        before = front.metrics()
        client.ask(STOP, method="POST")
        assert moved(before) == dict(passed=1, engine_connections_total=1, engine_failures_total=1)
        front.engine.answer = response(b"x" * 1000)
        before = front.metrics()
        client.ask("/version")
        sent = front.metrics()["sent_bytes_total"] - before["sent_bytes_total"]
        assert sent >= 1000
        assert front.metrics()["clients"] == 2
    front.wait_metric("clients", 1)


# ---- ends ----

@pytest.fixture
def own(tmp_path_factory, certs, request):
    """A front of the test's own, which may end."""
    settings = getattr(request, "param", {"shutdown_timeout": "60s"})
    front, close = open_front(tmp_path_factory, certs, "own", settings=settings)
    try:
        yield front
    finally:
        close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_running_calls_finish_and_no_new_ones_begin(own, number):
    release = threading.Event()

    def answer(connection, request):
        if request.target == LOGS:
            connection.send(CHUNKED + chunk(b"one"))
            release.wait(10)
            return chunk(b"two") + LAST
        release.wait(10)
        return response(b"done")

    own.engine.answer = answer
    with own.client() as idle, own.client() as stop, own.client() as logs, own.client() as half:
        assert idle.ask("/swarm").status == 403
        half.send(b"GET /_ping HTTP/1.1\r\nHost: x\r\n")
        half_seen = own.metrics()["clients"]
        assert half_seen == 5
        stop.get(STOP, method="POST")
        logs.get(LOGS)
        logs.until(b"one\r\n")
        own.engine.wait_requests(2)
        own.filter.signal(number)
        idle.assert_closed()
        with pytest.raises(OSError):
            own.client()
        assert not own.filter.path.exists() and own.filter.running()
        half.send(b"\r\n")
        release.set()
        answer = stop.response()
        assert answer.body == b"done" and answer.head.tokens("Connection") == ["close"]
        assert logs.until(LAST).endswith(b"two\r\n" + LAST)
        assert half.response().body == b"done"
        for client in (stop, logs, half):
            client.assert_closed()
    assert own.filter.wait() == 0
    assert not own.filter.admin.exists()


@pytest.mark.parametrize("own", [{"shutdown_timeout": "1s"}], indirect=True)
def test_after_shutdown_timeout_the_rest_is_cut(own):
    def answer(connection, _request):
        connection.send(CHUNKED + chunk(b"one"))
        while not gone(connection):
            connection.ended.wait(0.01)
        return CLOSE

    own.engine.answer = answer
    with own.client() as client:
        client.get(LOGS)
        client.until(b"one\r\n")
        own.filter.signal(signal.SIGTERM)
        assert own.filter.wait() == 0
        assert not client.rest().endswith(LAST)
    assert b"1 connections were still open" in own.filter.output()


def test_a_second_signal_ends_at_once(own):
    own.engine.answer = hold(threading.Event())
    with own.client() as client:
        client.get(STOP, method="POST")
        own.engine.wait_requests(1)
        own.filter.signal(signal.SIGTERM)
        own.filter.wait_line("stopping")
        own.filter.signal(signal.SIGTERM)
        assert own.filter.wait(5) == 0
        client.assert_closed()


def test_upgraded_connections_are_not_waited_for(own):
    def answer(connection, request):
        if request.target.endswith("/exec"):
            return response(b'{"Id":"' + b"a" * 64 + b'"}', b"201 Created", JSON)
        connection.send(b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        connection.rest()
        return CLOSE

    own.engine.answer = answer
    assert own.post(f"{APP}/exec", {"Cmd": ["cat", "/etc/os-release"]}).status == 201
    with own.client() as client:
        client.get(f"/exec/{'a' * 64}/start", b"Connection: Upgrade", b"Upgrade: tcp", JSON,
                   method="POST", body=b"{}")
        assert client.head().start.startswith(b"HTTP/1.1 101")
        own.filter.signal(signal.SIGTERM)
        client.assert_closed()
        assert own.filter.wait() == 0


def test_a_hangup_signal_ends_nothing(own):
    release = threading.Event()
    own.engine.answer = hold(release, response(b"done"))
    with own.client() as client:
        client.get(PING)
        own.engine.wait_requests(1)
        for _ in range(3):
            own.filter.signal(signal.SIGHUP)
        assert fetch(own.filter.admin, "/health").status == 200
        release.set()
        assert client.response().body == b"done"
        assert client.ask("/version").body == b"done"
    assert wait_for(lambda: own.metrics()["clients"] == 1) and own.filter.running()
