"""Fixtures for tests with a real Docker engine. conftest.py takes them in.

Where no engine can run, these tests are skipped with the reason. With HARP_DOCKER=required in the
environment they fail instead.
"""
import pytest

from .ca_bundle import CaBundle
from .credentials import RECORDED_KEY, SHARED_KEY
from .deploy import LOCAL_ENGINE, REMOTE_ENGINE, Daemon, judge_containers
from .docker_engine import DockerEngine, NoEngine
from .docker_images import make_images, probe
from .missing import skip_or_fail
from .unix_recorder import UnixRecorder


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    """One engine, with all images of docker_images.py, for all tests."""
    engine, reason = None, None
    try:
        engine = DockerEngine()
        engine.start()
        make_images(engine.api, tmp_path_factory.mktemp("images"))
        probe(engine)
    except NoEngine as why:
        reason = str(why)
    try:
        if reason:
            skip_or_fail(f"no Docker engine: {reason}")
        yield engine
    finally:
        if engine:
            engine.close()


@pytest.fixture(scope="session")
def ca_bundle():
    """What AppAPI has installed as system certificates."""
    return CaBundle("Test Authority One", "Test Authority Two")


def connect(site, engine, way, recorded=False, settings=(), nextcloud=None):
    """A hub with that engine behind it, and AppAPI's daemon for it.

    way: "local", the hub's own socket, or "tunnel", through harp-tunnel-client; "filter" and
    "tunnel-filter" are the same with harp-socket-filter at the engine, which is the daemon's
    `filter`. recorded: with a UnixRecorder in front of the engine, which is its `recorder`."""
    socket = engine.socket
    local = not way.startswith("tunnel")
    recorder = None
    if recorded:
        recorder = site.add(UnixRecorder(site.socket_path(), engine.socket))
        socket = recorder.path
    gate = site.filter(socket) if way.endswith("filter") else None
    socket = gate.path if gate else socket
    nextcloud = nextcloud or site.nextcloud()
    # An ExApp must come in with the token of its own; a Docker host set up by hand has the key.
    base = {"HP_DOCKER_SOCKET": socket if local else site.folder / "no-docker.sock",
            "HP_FRP_ACCEPT_SHARED_KEY": "none" if local else "engines"}
    hub = site.hub(nextcloud=nextcloud, settings={**base, **dict(settings)})
    if not local:
        site.tunnel(hub, socket, "engine", REMOTE_ENGINE)
    daemon = Daemon(hub, engine.api, LOCAL_ENGINE if local else REMOTE_ENGINE, way)
    daemon.recorder, daemon.filter = recorder, gate
    return daemon


def ways(*names):
    """Says of a test which ways of connect() it is for; without, it is for WAYS of its file."""
    def mark(function):
        function.ways = names
        return function
    return mark


def by_ways(metafunc):
    """For conftest.py: a test of file_daemon is there once for each of its ways."""
    if "file_daemon" in metafunc.fixturenames:
        of_file = getattr(metafunc.module, "WAYS", ("local", "tunnel"))
        metafunc.parametrize("file_daemon", getattr(metafunc.function, "ways", of_file),
                             indirect=True, scope="module")


@pytest.fixture(scope="module")
def file_daemon(request, tmp_path_factory, certs, engine):
    """One for a whole file. RECORDED = True in the file puts a recorder in front of the engine."""
    from conftest import open_site
    site = open_site(tmp_path_factory, certs, f"docker-{request.param}")
    try:
        yield connect(site, engine, request.param, getattr(request.module, "RECORDED", False))
    finally:
        site.close()


@pytest.fixture
def daemon(file_daemon, engine):
    """The file's daemon, with an engine that holds no containers and no volumes."""
    if file_daemon.recorder:
        file_daemon.recorder.forget()
    yield file_daemon
    tidy(engine)
    if file_daemon.recorder:
        file_daemon.recorder.check()


def tidy(engine):
    """Judges what containers logged, and removes all of them."""
    try:
        judge_containers(engine.api, [SHARED_KEY, RECORDED_KEY])
    finally:
        engine.clean()
