"""What tests of attacks on engines stand on: an engine that shows whether anything reached it.

Target is a hub with an engine that has the container nc_app_x and the image of engine_model.py, and
with the tunnel of an ExApp that is up at port 23005. seen() changes with whatever comes to the
engine.
"""
import contextlib

from .client import RawClient
from .engine_calls import IMAGE, LOCAL_PORT, gate
from .fake_engine import FakeEngine
from .origin import RawOrigin
from .programs import app
from .unix_recorder import UnixRecorder
from .wire import Head, status_of


def answer_to(hub, line, fields, behind=b"", method="GET", leave=False):
    """The status of the answer to a request sent as it is, None for a connection that was closed
    without one. leave: nothing more will be sent, and the hub is told."""
    with RawClient(hub.http) as client:
        client.send(b"\r\n".join([line, b"Host: hub.test", *fields, b"", b""]) + behind)
        if leave:
            client.end()
        try:
            return client.response(method).status
        except EOFError:
            return status_of(Head(client.received)) if client.received else None


class Target:
    port = LOCAL_PORT

    def __init__(self, hub, exapp):
        self.hub, self.exapp = hub, exapp

    @contextlib.contextmanager
    def untouched(self):
        """Nothing reaches the engine while this goes on. An allowed call afterwards is the proof
        that everything before it would have been there."""
        before = self.seen()
        self.forget()
        yield
        assert self.seen() == before, self.heads()
        assert gate(self.hub, "GET", "/_ping").status == 200
        assert [head.start.split(b" ")[1] for head in self.heads()] == [b"/_ping"]


class FakeTarget(Target):
    def __init__(self, hub, exapp, engine):
        super().__init__(hub, exapp)
        self.engine = engine

    def seen(self):
        return len(self.engine.connections), self.engine.arrived()

    def heads(self):
        return [call.head for call in self.engine.asked()]

    def bodies(self):
        return [call.body for call in self.engine.asked()]

    def forget(self):
        self.engine.calls.clear()


class RealTarget(Target):
    """An engine behind a UnixRecorder."""

    def __init__(self, hub, exapp, recorder):
        super().__init__(hub, exapp)
        self.recorder = recorder
        self.forgotten = 0

    def seen(self):
        recorder = self.recorder
        return recorder.accepted, self.forgotten + len(recorder.requests), len(recorder.errors)

    def heads(self):
        return [asked.head for asked in self.recorder.asked()]

    def bodies(self):
        return [asked.body for asked in self.recorder.asked()]

    def forget(self):
        self.forgotten += len(self.recorder.requests)
        self.recorder.forget()


def attack_target(request, tmp_path_factory, certs):
    """The generator behind a fixture with the parameters "fake" and "real"."""
    from conftest import open_site
    engine = request.getfixturevalue("engine") if request.param == "real" else None
    site = open_site(tmp_path_factory, certs, f"attacks-{request.param}")
    try:
        if engine:
            engine.clean()
            engine.api.create("nc_app_x", IMAGE)
            recorder = site.add(UnixRecorder(site.socket_path(), engine.socket))
            path = recorder.path
        else:
            fake = site.add(FakeEngine(site.socket_path()))
            fake.model.add_container("nc_app_x")
            path = fake.path
        exapp = site.add(RawOrigin(path=site.socket_path()))
        hub = site.hub(app(), settings={"HP_DOCKER_SOCKET": path})
        site.tunnel(hub, exapp.path)
        yield RealTarget(hub, exapp, recorder) if engine else FakeTarget(hub, exapp, fake)
    finally:
        site.close()
        if engine:
            engine.clean()
