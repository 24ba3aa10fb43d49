"""Streams: events as they come, bodies far larger than memory, and peers that do not read.

HARP_BULK_MIB sets the size of the large bodies (1024; sanitizer runs take less).
"""
import hashlib
import json
import os
import select
import socket
import threading
import time

import pytest

from harness import (Deadline, RawClient, RawOrigin, chunk, fetch, program_is_sanitized,
                     response, wait_for)

A = "/exapps/sample"
MIB = 1 << 20
BULK = int(os.environ.get("HARP_BULK_MIB", "1024")) * MIB
BULK_SECONDS = 60 + BULK / MIB / 4
GROWTH_KIB = 32 * 1024


def judge_memory(hub, before_kib, what):
    """Flat memory, where the figure means something."""
    grown = hub.resident_kib() - before_kib
    if not program_is_sanitized():
        assert grown < GROWTH_KIB, f"{what}: the hub grew by {grown} KiB"


# ---- events ----

@pytest.mark.parametrize("app", ["sample", "near"])
def test_sse_events_arrive_one_by_one(sample, app):
    with RawClient(sample.http) as client:
        began = time.monotonic()
        client.get(f"/exapps/{app}/sse?n=4&ms=300", b"Accept: text/event-stream")
        assert client.head().get("Content-Type").startswith("text/event-stream")
        seen = []
        for number in range(4):
            client.until(b"data: %d\n\n" % number)
            seen.append(time.monotonic() - began)
        assert seen[0] < 0.25 and seen[3] >= 0.85, seen
        assert all(later - earlier > 0.1 for earlier, later in zip(seen, seen[1:])), seen


def test_each_piece_of_an_answer_is_flushed_before_the_next_is_made(site):
    """The origin makes the next piece only after the client has the one before."""
    got = threading.Semaphore(0)

    def answer(connection, _request):
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(20):
            connection.send(chunk(b"piece %d;" % number))
            if not got.acquire(timeout=10):
                return RawOrigin.CLOSE
        return b"0\r\n\r\n"

    origin = site.unix_origin(answer)
    hub, _tunnel = site.tunnelled(origin.path)
    with RawClient(hub.http) as client:
        client.get(f"{A}/")
        for number in range(20):
            client.until(b"piece %d;" % number)
            got.release()
        client.until(b"0\r\n\r\n")


def is_ended(connection):
    """Whether the hub has ended this connection, without waiting."""
    if select.select([connection.sock], [], [], 0)[0]:
        connection.recv(Deadline(1, "the end"))
    return connection.ended.is_set()


def test_client_that_leaves_ends_the_exapps_stream(site):
    left = threading.Event()

    def answer(connection, _request):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n")
        for number in range(200):
            connection.send(chunk(b"data: %d\n\n" % number))
            if is_ended(connection):
                left.set()
                break
            time.sleep(0.02)
        return RawOrigin.CLOSE

    origin = site.unix_origin(answer)
    hub, _tunnel = site.tunnelled(origin.path)
    client = RawClient(hub.http)
    client.get(f"{A}/sse")
    client.until(b"data: 0\n\n")
    client.close()
    assert left.wait(10), "the ExApp goes on for a client that has left"


# ---- bulk ----

@pytest.mark.parametrize("app", ["sample", "near"])
def test_bulk_download_arrives_intact_with_flat_memory(sample, app):
    fetch(sample.http, f"/exapps/{app}/download?bytes=1000000")
    before = sample.resident_kib()
    with RawClient(sample.http) as client:
        client.get(f"/exapps/{app}/download?bytes={BULK}")
        head = client.head(BULK_SECONDS)
        assert head.get("Content-Length") == str(BULK)
        digest, deadline = hashlib.sha256(), Deadline(BULK_SECONDS, "the download")
        left = BULK
        while left:
            if not client.reader.held:
                assert client.reader.more(deadline), f"ended {left} bytes early"
            piece, client.reader.held = client.reader.held, b""
            digest.update(piece)
            left -= len(piece)
        judge_memory(sample, before, "download")
        assert digest.hexdigest() == head.get("X-Content-SHA256")
        assert client.ask(f"/exapps/{app}/small").status == 200


@pytest.mark.parametrize("app", ["sample", "near"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_bulk_upload_arrives_intact_with_flat_memory(sample, app, framing):
    fetch(sample.http, f"/exapps/{app}/upload", method="POST", body=b"x" * 1000000)
    before = sample.resident_kib()
    block = os.urandom(MIB)
    digest = hashlib.sha256()
    field = (b"Content-Length: %d" % BULK if framing == "length"
             else b"Transfer-Encoding: chunked")
    with RawClient(sample.http) as client:
        client.get(f"/exapps/{app}/upload", field, method="POST")
        for number in range(BULK // MIB):
            piece = number.to_bytes(8, "big") + block[8:]
            digest.update(piece)
            client.send(piece if framing == "length" else chunk(piece), seconds=60)
        if framing == "chunked":
            client.send(b"0\r\n\r\n")
        reply = client.response(seconds=BULK_SECONDS)
        judge_memory(sample, before, "upload")
    assert json.loads(reply.body) == {"length": BULK, "sha256": digest.hexdigest()}


def test_downloads_at_once_arrive_intact(sample):
    """Several streams share one tunnel without mixing."""
    size, results = 20 * MIB, []

    def one(app):
        reply = fetch(sample.http, f"/exapps/{app}/download?bytes={size}", seconds=60)
        results.append(hashlib.sha256(reply.body).hexdigest() == reply.head.get("X-Content-SHA256"))

    threads = [threading.Thread(target=one, args=(("sample", "near")[number % 2],))
               for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert results == [True] * 8


# ---- peers that do not read ----

def pour(connection, counter, stop, seconds=20):
    """Sends until nothing more is taken for a second; counts what was taken."""
    end = time.monotonic() + seconds
    connection.sock.settimeout(1)
    block = b"p" * 65536
    try:
        while not stop.is_set() and time.monotonic() < end:
            counter[0] += connection.sock.send(block)
    except OSError:
        pass


@pytest.mark.parametrize("tunnelled", [False, True], ids=["direct", "tunnelled"])
def test_client_that_reads_nothing_stops_the_exapp(site, tunnelled):
    """Backpressure reaches the source: bounded bytes are taken, and other clients are served."""
    taken, stop, stalled = [0], threading.Event(), threading.Event()

    def answer(connection, request):
        if request.target != "/pour":
            return response(b"ok")
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
        pour(connection, taken, stop)
        stalled.set()
        return RawOrigin.CLOSE

    if tunnelled:
        origin = site.unix_origin(answer)
        hub, _client = site.tunnelled(origin.path)
    else:
        origin = site.origin(answer)
        hub = site.direct(origin.port)
    assert fetch(hub.http, f"{A}/").status == 200
    before = hub.resident_kib()
    with RawClient(hub.http, receive_buffer=4096) as client:
        client.get(f"{A}/pour")
        assert stalled.wait(30)
        assert taken[0] < 64 * MIB, f"{taken[0]} bytes were taken for a client that reads nothing"
        judge_memory(hub, before, "a client that reads nothing")
        assert fetch(hub.http, f"{A}/other").status == 200
        stop.set()


@pytest.mark.parametrize("tunnelled", [False, True], ids=["direct", "tunnelled"])
def test_exapp_that_reads_nothing_stops_the_client(site, tunnelled):
    release = threading.Event()

    def answer(connection, request):
        if request.method != "POST":
            return response(b"ok")
        release.wait(30)
        return RawOrigin.CLOSE

    if tunnelled:
        origin = site.unix_origin(answer, lazy=True)
        hub, _client = site.tunnelled(origin.path)
    else:
        origin = site.origin(answer, lazy=True, receive_buffer=4096)
        hub = site.direct(origin.port)
    assert fetch(hub.http, f"{A}/").status == 200
    before = hub.resident_kib()
    with RawClient(hub.http) as client:
        client.get(f"{A}/", b"Content-Length: 100000000000", method="POST")
        origin.wait_requests(2)
        sent = [0]
        pour(client, sent, threading.Event())
        assert sent[0] < 64 * MIB, f"{sent[0]} bytes were taken for an ExApp that reads nothing"
        judge_memory(hub, before, "an ExApp that reads nothing")
        assert fetch(hub.http, f"{A}/other").status == 200
    release.set()


def test_slow_client_gets_everything(site):
    """A client with a tiny window that reads in small steps: nothing is lost or cut."""
    size = 3 * MIB
    body = os.urandom(size)
    origin = site.unix_origin(response(body))
    hub, _tunnel = site.tunnelled(origin.path)
    with RawClient(hub.http, receive_buffer=4096) as client:
        client.get(f"{A}/")
        client.head()
        got = [client.reader.held]
        have = len(got[0])
        client.sock.settimeout(10)
        while have < size:
            piece = client.sock.recv(7001)
            assert piece
            got.append(piece)
            have += len(piece)
            if len(got) % 50 == 0:
                time.sleep(0.005)
        assert b"".join(got) == body


def test_slow_reader_is_not_cut_while_it_reads(site):
    """Each second it takes some, but never all that waits for it: timeout_client is for silence."""
    body = os.urandom(5 * MIB)
    origin = site.origin(response(body))
    hub = site.direct(origin.port, settings={"HP_TIMEOUT_CLIENT": "1s"})
    pace = threading.Event()
    with RawClient(hub.http) as client:
        client.get(f"{A}/")
        client.head()
        got = bytearray(client.reader.held)
        client.sock.settimeout(10)
        while len(got) < len(body):
            piece = client.sock.recv(64 * 1024)
            assert piece, f"cut after {len(got)} bytes"
            got += piece
            pace.wait(0.1)
        assert got == body


def test_slow_upload_is_not_cut_while_bytes_come(site):
    """timeout_client counts from the last byte, not from the first."""
    origin = site.origin(lambda _c, request: response(request.body))
    hub = site.direct(origin.port, settings={"HP_TIMEOUT_CLIENT": "1s"})
    with RawClient(hub.http) as client:
        client.get(f"{A}/", b"Content-Length: 8", method="POST")
        for number in range(8):
            client.assert_open(0.3)
            client.send(b"%d" % number)
        assert client.response().body == b"01234567"


def test_no_connection_is_left_over_after_many_requests(sample):
    """File descriptors are given back, whichever side ended first."""
    for _ in range(3):
        fetch(sample.http, f"{A}/small")
    before = sample.open_files()
    for number in range(60):
        client = RawClient(sample.http)
        client.get(f"{A}/download?bytes=300000")
        if number % 3 == 0:
            client.response()
        elif number % 3 == 1:
            client.head()
        else:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    wait_for(lambda: sample.open_files() <= before + 4, 10,
             "the hub to give back its file descriptors")
