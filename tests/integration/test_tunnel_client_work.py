"""Work connections of harp-tunnel-client, seen from a server made of bytes (frp_peer.FrpServer):
how they are started, what they carry, how each side ends them.
"""
import socket

import pytest

from harness import Overdue, free_port
from harness.frp_peer import PING, message
from harness.tunnel_bench import Backend, read, started, to_end

both = pytest.mark.parametrize("mux", [True, False], ids=["mux", "nomux"])


@both
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_work_connection_reaches_the_local_service(site, mux, kind):
    backend = site.add(Backend(site.socket_path() if kind == "unix" else None))
    session, _, _ = started(site, mux, target=backend.target)
    stream = session.start()
    assert stream.introduction["run_id"] == session.run_id
    stream.send(b"request")
    local = backend.accept()
    assert read(local, 7) == b"request"
    local.sendall(b"an answer")
    assert stream.exactly(9) == b"an answer"
    stream.fin()
    assert to_end(local) == b""
    local.close()
    assert stream.rest() == b""


def test_bytes_right_behind_startworkconn_are_not_lost(site):
    session, backend, _ = started(site)
    stream = session.ask_work()
    stream.send(message(b"s", proxy_name="sample") + b"at once")
    stream.fin()
    assert to_end(backend.accept()) == b"at once"


@both
def test_many_work_connections_at_once(site, mux):
    session, backend, _ = started(site, mux)
    streams = [session.start() for _ in range(50)]
    for number, stream in enumerate(streams):
        stream.send(b"%04d" % number)
    locals_ = [backend.accept() for _ in streams]
    for local in locals_:
        local.sendall(b"got " + read(local, 4))
    for number, stream in enumerate(streams):
        assert stream.exactly(8) == b"got %04d" % number


@both
def test_half_close_of_the_server_side_is_kept(site, mux):
    session, backend, _ = started(site, mux)
    stream = session.start()
    stream.send(b"all of it")
    stream.fin()
    local = backend.accept()
    assert to_end(local) == b"all of it"
    local.sendall(b"answer after the end")
    assert stream.exactly(20) == b"answer after the end"
    local.close()
    assert stream.rest() == b""


@both
def test_half_close_of_the_local_side_is_kept(site, mux):
    session, backend, _ = started(site, mux)
    stream = session.start()
    local = backend.accept()
    local.sendall(b"bye")
    local.shutdown(socket.SHUT_WR)
    assert stream.rest() == b"bye"
    stream.send(b"still here")
    assert read(local, 10) == b"still here"
    stream.fin()
    assert to_end(local) == b""


@both
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_missing_backend_shows_as_an_end_without_a_byte(site, mux, kind):
    target = ("127.0.0.1", free_port()) if kind == "tcp" else str(site.socket_path())
    session, _, client = started(site, mux, target=target)
    assert session.start().rest() == b""
    client.wait_line("the local service can't be reached")
    assert session.start().rest() == b""  # and the session goes on


@both
@pytest.mark.parametrize("how", ["unknown_proxy", "error", "other_message", "garbage", "end"])
def test_work_connection_that_is_not_started_is_closed(site, mux, how):
    session, backend, _ = started(site, mux)
    if how in ("unknown_proxy", "error"):
        stream = session.start("other" if how == "unknown_proxy" else "sample",
                               error="no" if how == "error" else None)
    else:
        stream = session.ask_work()
        if how == "end":
            stream.fin()
        else:
            stream.send(message(PING) if how == "other_message" else b"GET / HTTP/1.1\r\n\r\n")
    assert stream.rest() == b""
    good = session.start()
    good.send(b"x")
    assert read(backend.accept(), 1) == b"x"


def test_local_service_that_does_not_read_stops_its_sender_only(site):
    session, backend, client = started(site)
    stuck = session.start()
    local = backend.accept()
    sent = 0
    with pytest.raises(Overdue):
        while sent < 64 << 20:
            stuck.send(bytes(65536), seconds=0.5)
            sent += 65536
    assert sent < 32 << 20
    other = session.start()
    other.send(b"x")
    assert read(backend.accept(), 1) == b"x"
    local.setblocking(True)
    assert read(local, sent) == bytes(sent)
    assert client.running()
