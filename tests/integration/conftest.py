"""Fixtures: everything that a test starts is stopped and judged after it.

`site`        starts hubs, tunnels and apps for one test
`direct_site` one hub and one raw origin for a whole file, for tests that leave nothing behind
`world`       a hub that asks a stand-in for Nextcloud, and an ExApp, for a whole file
`sample`      the hub, the tunnel and the sample ExApp, for a whole file, over mutual TLS
`engine`      a Docker engine of the tests' own; `daemon` a hub in front of it (docker_fixtures.py)
`packages`    Debian packages of the programs; `bare` the root of a system for them (bare_fixtures.py)
`engines`     stand-ins for engines, which may be told to fail (engine_fixtures.py)
HARP_BUILD names the folder of the programs, so the same tests judge sanitizer builds.
"""
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness import (Hub, Nextcloud, RawOrigin, SampleExApp, SocketFilter,  # noqa: E402
                     TunnelClient, leaked, program, response)
from harness.bare_fixtures import bare, packages  # noqa: E402,F401
from harness.docker_fixtures import (by_ways, ca_bundle, daemon, engine,  # noqa: E402,F401
                                     file_daemon)
from harness.engine_fixtures import engines, local, way  # noqa: E402,F401
from harness.programs import TUNNEL_PORT, app, free_port  # noqa: E402
from harness.world import World  # noqa: E402


def pytest_sessionstart(session):
    missing = [name for name in ("harp-hub", "harp-tunnel-client", "harp-socket-filter")
               if not program(name).exists()]
    if missing:
        pytest.exit(f"{', '.join(missing)} not in {program('')}: run make first", returncode=3)


def pytest_generate_tests(metafunc):
    by_ways(metafunc)


def pytest_collection_modifyitems(items):
    """The logs are looked at when all of them are there."""
    items.sort(key=lambda item: item.name == "test_no_log_of_this_run_holds_a_secret")


class Site:
    """Starts processes and origins in a folder; close() ends the last one first and judges all."""

    def __init__(self, folder, certs):
        self.folder = folder
        self.certs = certs
        self.things = []
        self.count = 0

    def _folder(self, name):
        self.count += 1
        return self.folder / f"{self.count}-{name}"

    def add(self, thing):
        """Takes over anything with stop() or close()."""
        self.things.append(thing)
        return thing

    def origin(self, *args, **kwargs):
        return self.add(RawOrigin(*args, **kwargs))

    def unix_origin(self, *args, **kwargs):
        return self.origin(*args, path=self.socket_path(), **kwargs)

    def socket_path(self):
        self.count += 1
        return self.folder / f"{self.count}.sock"

    def nextcloud(self, **kwargs):
        """A stand-in for Nextcloud; hub(nextcloud=...) starts a hub that asks it."""
        return self.add(Nextcloud(**kwargs))

    def hub(self, *apps, certs=None, **kwargs):
        hub = self.add(Hub(self._folder("hub"), certs or self.certs, apps, **kwargs))
        return hub.ready()

    def direct(self, port, settings=(), **kwargs):
        """A hub whose app `sample` is connected to directly."""
        return self.hub(app(port=port, **kwargs), settings=settings)

    def tunnel(self, hub, target, name="sample", port=TUNNEL_PORT, tls=True, **kwargs):
        """A tunnel from that hub to a unix path or (host, port)."""
        client = TunnelClient(self._folder("tunnel"), hub.ports["frp"], [(name, port, target)],
                              certs=hub.certs if tls else None, **kwargs)
        return self.add(client).ready()

    def filter(self, docker, **kwargs):
        """A socket filter in front of an engine's socket (a path)."""
        return self.add(SocketFilter(self._folder("filter"), docker, self.socket_path(),
                                     **kwargs)).ready()

    def tunnelled(self, target, settings=(), **kwargs):
        """A hub whose app `sample` is reached through a TLS tunnel."""
        hub = self.hub(app(**kwargs), settings=settings)
        return hub, self.tunnel(hub, target)

    def sample(self, listen=None):
        return self.add(SampleExApp(self._folder("exapp"),
                                    listen or f"127.0.0.1:{free_port()}")).ready()

    def close(self):
        errors = []
        while self.things:
            thing = self.things.pop()
            try:
                (thing.stop if hasattr(thing, "stop") else thing.close)()
            except AssertionError as error:
                errors.append(str(error))
            if hasattr(thing, "output") and (found := leaked(thing.output())):
                errors.append(f"{thing.name} logged secrets: {', '.join(found)}")
        assert not errors, "\n".join(errors)


def open_site(tmp_path_factory, certs, name):
    return Site(tmp_path_factory.mktemp(name), certs)


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    """One certificate folder for all hubs: making keys is the slow part of a first start."""
    return tmp_path_factory.mktemp("certs")


@pytest.fixture(scope="session")
def https_certs(tmp_path_factory):
    """A certificate folder with cert.pem, certificate and key in one file, for hub.test and
    localhost; the certificate alone is `crt`, and signs itself."""
    folder = tmp_path_factory.mktemp("https-certs")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=hub.test",
                    "-addext", "subjectAltName=DNS:hub.test,DNS:localhost", "-keyout",
                    folder / "key", "-out", folder / "crt"], check=True, capture_output=True)
    (folder / "cert.pem").write_bytes((folder / "crt").read_bytes()
                                      + (folder / "key").read_bytes())
    return folder


@pytest.fixture
def site(tmp_path_factory, certs):
    site = open_site(tmp_path_factory, certs, "site")
    yield site
    site.close()


@pytest.fixture(scope="module")
def direct_site(tmp_path_factory, certs):
    """(hub, origin) for a whole file."""
    site = open_site(tmp_path_factory, certs, "direct")
    try:
        origin = site.origin()
        yield site.direct(origin.port), origin
    finally:
        site.close()


@pytest.fixture
def hub(direct_site):
    return direct_site[0]


@pytest.fixture
def origin(direct_site):
    """The file's origin, as new: answers 200, and has no request yet."""
    origin = direct_site[1]
    origin.answer, origin.lazy = response(b"ok"), False
    origin.requests.clear()
    origin.errors.clear()
    yield origin
    origin.check()


@pytest.fixture(scope="module")
def file_world(tmp_path_factory, certs, request):
    """WORLD in a file holds settings for its hub."""
    site = open_site(tmp_path_factory, certs, "world")
    try:
        yield World(site, getattr(request.module, "WORLD", {}))
    finally:
        site.close()


@pytest.fixture
def world(file_world):
    """The file's world, as new; what the hub remembers stays."""
    file_world.reset()
    yield file_world
    file_world.origin.check()


@pytest.fixture(scope="module")
def sample(tmp_path_factory, certs):
    """A hub that serves the sample ExApp as `sample` (tunnel) and `near` (direct)."""
    site = open_site(tmp_path_factory, certs, "sample")
    try:
        path = site.socket_path()
        near = free_port()
        hub = site.hub(app(), app("near", port=near))
        site.sample(f"unix:{path}")
        site.sample(f"127.0.0.1:{near}")
        hub.tunnel_client = site.tunnel(hub, path)
        yield hub
    finally:
        site.close()
