"""Answers that go on: line by line, through bounded memory, and cut so that a client sees it."""
import hashlib
import socket
import threading

import pytest

from harness import Deadline, chunk, program_is_sanitized, response, wait_for
from harness.filter_front import (CHUNKED, CLOSE, LAST, LOGS, PULL, file_front, front,  # noqa: F401
                                  gone)

TCP = True
FILTER = {"policies": '{ name = "wide"; base = "appapi"; calls = [ "...", "GET events" ]; }',
          "listeners": ['{ address = "unix:{path}"; policy = "wide"; }']}
EVENTS = "/v1.41/events?since=1"
STREAMS = [("GET", LOGS), ("GET", EVENTS), ("POST", PULL)]
TO_END = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
MIB = 1 << 20


def until_gone(connection):
    while not gone(connection):
        connection.ended.wait(0.01)
    return CLOSE


@pytest.mark.parametrize("framing", ["chunked", "to the end"])
@pytest.mark.parametrize("method, target", STREAMS)
def test_each_line_passes_before_the_next_is_made(front, method, target, framing):
    got = threading.Semaphore(0)
    chunked = framing == "chunked"

    def answer(connection, _request):
        connection.send(CHUNKED if chunked else TO_END)
        for number in range(20):
            line = b'{"n":%d}\n' % number
            connection.send(chunk(line) if chunked else line)
            if not got.acquire(timeout=10):
                return CLOSE
        return LAST if chunked else CLOSE

    front.engine.answer = answer
    with front.client() as client:
        client.get(target, method=method)
        head = client.head()
        assert head.start == b"HTTP/1.1 200 OK"
        assert head.framing()[0] == ("chunked" if chunked else None)
        assert head.tokens("Connection") == ([] if chunked else ["close"])
        for number in range(20):
            line = b'{"n":%d}\n' % number
            assert client.until(b"\n" if not chunked else b"\n\r\n").strip(b"\r\n").endswith(
                line.strip())
            got.release()
        if chunked:
            assert client.exactly(5) == LAST
            front.engine.answer = response(b"next")
            assert client.ask("/_ping").body == b"next"
        else:
            client.assert_closed()


@pytest.mark.parametrize("way", ["close", "half-close", "reset over TCP"])
@pytest.mark.parametrize("method, target", STREAMS[:1] + STREAMS[2:])
def test_a_stream_ends_at_the_engine_when_its_client_goes(front, method, target, way):
    """Nothing is being sent meanwhile: it is seen all the same."""
    def answer(connection, _request):
        connection.send(CHUNKED + chunk(b"first\n"))
        return until_gone(connection)

    front.engine.answer = answer
    with front.client(front.tcp if "TCP" in way else None) as client:
        client.get(target, method=method)
        client.until(b"first\n")
        connection = front.engine.connections[0]
        {"close": client.close, "half-close": client.end, "reset over TCP": client.reset}[way]()
        assert connection.ended.wait(10)


CUTS = {
    "chunked, hangs up": (CHUNKED + chunk(b"part"), "close"),
    "chunked, inside a chunk": (CHUNKED + b"8\r\npart", "close"),
    "with a length, hangs up": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart", "close"),
    "chunked, another chunk is malformed": (CHUNKED + chunk(b"part"), b"zz\r\n"),
    "chunked, bad end of a chunk": (CHUNKED + chunk(b"part"), b"2\r\nokxx"),
    "chunked, malformed trailers": (CHUNKED + chunk(b"part"), b"0\r\n bad : x\r\n\r\n"),
}


@pytest.mark.parametrize("listener", ["unix", "tcp"])
@pytest.mark.parametrize("cut", CUTS)
def test_a_cut_answer_does_not_look_whole(front, cut, listener):
    data, end = CUTS[cut]
    seen = threading.Event()

    def answer(connection, _request):
        connection.send(data)
        seen.wait(10)
        if end != "close":
            connection.send(end)
            return until_gone(connection)
        return CLOSE

    failures = front.metrics()["engine_failures_total"]
    front.engine.answer = answer
    with front.client(front.tcp if listener == "tcp" else None) as client:
        client.get(LOGS)
        client.until(b"part")
        seen.set()
        if listener == "tcp":
            client.sock.settimeout(10)
            with pytest.raises(ConnectionResetError):
                while client.sock.recv(100):
                    pass
        else:
            rest = client.rest()
            assert not rest.endswith(LAST) and len(rest) < 10, rest
    assert front.metrics()["engine_failures_total"] == failures + 1


def test_a_malformed_chunk_that_comes_with_the_head_is_a_502(front):
    """Nothing was sent yet: so it can be said."""
    front.engine.answer = CHUNKED + b"zz\r\n"
    answer = front.ask(LOGS)
    assert answer.status == 502 and "malformed answer of the Docker engine" in answer.text


def test_64_mib_of_logs_pass_a_slow_reader_in_bounded_memory(front):
    """Who does not read is not read for: the engine has to wait, and nothing piles up."""
    total, piece, sent = 64 * MIB, bytes(range(256)) * 256, [0]
    wanted = hashlib.sha256()

    def answer(connection, _request):
        connection.send(CHUNKED)
        for number in range(total // len(piece)):
            data = number.to_bytes(4, "big") + piece[4:]
            wanted.update(data)
            connection.send(chunk(data), seconds=120)
            sent[0] += len(data)
        return LAST

    before = front.filter.resident_kib()
    front.engine.answer = answer
    with front.client() as client:
        client.get(LOGS)
        client.head()
        still = [-1]

        def stopped():
            last, still[0] = still[0], sent[0]
            return sent[0] > 0 and last == sent[0]

        wait_for(stopped, pause=0.3, what="the engine to be kept waiting")
        assert sent[0] < 4 * MIB, "more was taken from the engine than buffers hold"
        deadline = Deadline(120, "the logs")
        body, _ = client.reader.chunks(deadline)
    assert len(body) == total and hashlib.sha256(body).digest() == wanted.digest()
    if not program_is_sanitized("harp-socket-filter"):
        assert front.filter.peak_kib() - before < 8 * 1024


def test_a_client_that_stops_reading_and_goes_is_not_kept(front):
    """Bytes wait for it, and so nothing is read of it: writing tells."""
    def answer(connection, _request):
        connection.send(CHUNKED)
        piece = chunk(bytes(65536))
        while not connection.ended.is_set():
            connection.sock.settimeout(0.05)
            try:
                connection.sock.sendall(piece)
            except (socket.timeout, TimeoutError):
                if stuck.is_set() and gone(connection):
                    return CLOSE
                stuck.set()
            except OSError:
                return CLOSE
        return CLOSE

    stuck = threading.Event()
    front.engine.answer = answer
    with front.client() as client:
        client.get(LOGS)
        client.head()
        assert stuck.wait(10)
    assert wait_for(lambda: gone(front.engine.connections[0]) or not front.engine.connections)
    front.wait_metric("clients", 1)
