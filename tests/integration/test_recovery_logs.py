"""A log that nobody reads, that is full, or whose reader is gone, stops no program."""
import fcntl
import os
import subprocess

import pytest

from harness import Hub, RawClient, SocketFilter, app, fetch, free_port, wait_for
from harness.engine_calls import FAR_PORT, typed
from harness.fake_engine import FakeEngine
from harness.tunnel_bench import hub_client, last


class Pipe:
    """What a program writes its log into, full from the start; the smallest that there is."""

    def __init__(self):
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(self.writer, False)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(self.writer, b"x" * 4096)
        os.set_blocking(self.writer, True)  # as a service manager or a container engine hands it over

    def lose_reader(self):
        if self.reader is not None:
            os.close(self.reader)
            self.reader = None

    def read(self):
        os.set_blocking(self.reader, False)
        try:
            return os.read(self.reader, 65536)
        except BlockingIOError:
            return b""

    def close(self):
        self.lose_reader()
        os.close(self.writer)


@pytest.fixture
def pipe(monkeypatch):
    """Programs started while `pipe.on` write to it."""
    pipe = Pipe()
    pipe.on = False
    start = subprocess.Popen

    def popen(argv, **kwargs):
        if pipe.on:
            kwargs["stderr"] = pipe.writer
        return start(argv, **kwargs)

    monkeypatch.setattr(subprocess, "Popen", popen)
    yield pipe
    pipe.close()


@pytest.mark.parametrize("gone", [False, True], ids=["full", "nobody there"])
def test_all_programs_work_whatever_becomes_of_their_log(site, pipe, gone):
    if not (site.certs / "frp").exists():
        site.hub(app())
    if gone:
        pipe.lose_reader()
    ports = {name: free_port() for name in ("http", "https", "frp", "admin")}
    engine = site.add(FakeEngine(site.socket_path()))
    pipe.on = True
    gate = site.add(SocketFilter(site._folder("filter"), engine.path, site.socket_path()))
    hub = site.add(Hub(site._folder("hub"), site.certs, [app()], ports=ports))
    client = last(site, hub_client(site, ports["frp"], [("engine-1", FAR_PORT, f"unix:{gate.path}")]))
    pipe.on = False

    def serves():
        try:
            reply = typed(hub, "exists", port=FAR_PORT)
            return reply.status == 200 and fetch(gate.path, "/_ping").status == 200
        except OSError:
            return False

    wait_for(serves, what="a call through hub, client and filter", pause=0.02)
    for _ in range(20):  # each leaves lines in the log
        assert fetch(hub.http, "/exapps/nobody/").status == 404
    pipe.lose_reader()
    for _ in range(20):
        assert fetch(hub.http, "/exapps/nobody/").status == 404
    assert serves()
    assert hub.running() and client.running() and gate.running()


def test_lines_that_were_left_out_are_told_when_there_is_room_again(site, pipe):
    pipe.on = True
    hub = site.add(Hub(site._folder("hub"), site.certs, [app()]))
    pipe.on = False

    def listens():
        try:
            return RawClient(hub.http).close() is None
        except OSError:
            return False

    wait_for(listens, what="the hub")
    for _ in range(3):
        fetch(hub.http, "/exapps/nobody/")
    pipe.read()
    fetch(hub.http, "/exapps/nobody/")
    assert b"lines left out: the log could not be written" in wait_for(pipe.read, what="a line")
