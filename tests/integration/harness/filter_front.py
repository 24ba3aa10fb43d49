"""A socket filter in front of an engine made of raw bytes (origin.py), for tests of what lies between.

A test file takes the fixtures in by `from harness.filter_front import file_front, front`. FILTER in
it holds options for the filter; TCP = True adds a listener on a port, as `front.tcp`. One filter
serves the whole file; each test gets it with an engine as new, and no connection between the two.
"""
import io
import json
import socket
import tarfile

import pytest

from .client import RawClient, fetch
from .origin import CLOSE, RawOrigin
from .programs import free_port
from .wait import wait_for
from .wire import chunk, response

JSON = b"Content-Type: application/json"
TAR = b"Content-Type: application/x-tar"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"
ID = "0123456789abcdef" * 4

# Calls, with what a policy of AppAPI makes of them.
PING = "/_ping"
APP = "/v1.41/containers/nc_app_x"
LOGS = f"{APP}/logs?stdout=1&follow=1"
INSPECT = f"{APP}/json"
STOP = f"{APP}/stop"
PULL = "/v1.41/images/create?fromImage=alpine&tag=latest"
CREATE = "/v1.41/containers/create?name=nc_app_x"
ARCHIVE = f"{APP}/archive?path=%2F"


def told(value, status=b"200 OK", *fields):
    """An answer with that value as JSON."""
    return response(json.dumps(value).encode(), status, JSON, *fields)


def archive(name="usr/local/share/ca-certificates/a.crt", size=5000):
    """A tar archive of one file, as AppAPI makes it."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        member = tarfile.TarInfo(name)
        member.size = size
        tar.addfile(member, io.BytesIO(b"x" * size))
    return data.getvalue()


def members(data):
    """{name: content} of a tar archive."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar.getmembers()}


class Front:
    """`filter` and `engine`; what is asked goes to the filter's first listener."""

    def __init__(self, site, tcp=False, listeners=None, **options):
        self.engine = site.unix_origin(idle=3600.0)
        groups = list(listeners or ['{ address = "unix:{path}"; policy = "appapi"; }'])
        if tcp:
            self.tcp = ("127.0.0.1", free_port())
            groups.append(f'{{ address = "127.0.0.1:{self.tcp[1]}"; policy = "appapi"; }}')
        self.filter = site.filter(self.engine.path, listeners=groups, **options)

    def reset(self):
        """Ends what the filter keeps, and forgets what was asked."""
        engine = self.engine
        engine.answer, engine.lazy = response(b"ok"), False
        for connection in list(engine.connections):
            hang_up(connection)
        wait_for(lambda: self.metrics()["clients"] == 1, what="all clients to be gone")
        engine.requests.clear()
        engine.connections.clear()
        engine.errors.clear()

    def client(self, address=None, **options):
        return RawClient(address or self.filter.path, **options)

    def ask(self, target, *fields, **options):
        """One call on a connection of its own."""
        return fetch(self.filter.path, target, *fields, **options)

    def post(self, target, value, **options):
        """The same with a value as JSON."""
        return self.ask(target, JSON, method="POST", body=json.dumps(value).encode(), **options)

    def metrics(self):
        """{name without its prefix, or verdict: value}"""
        text = fetch(self.filter.admin, "/metrics").text
        found = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                name, value = line.split()
                short = name.removeprefix("harp_filter_").removeprefix('calls_total{verdict="')
                found[short.removesuffix('"}')] = int(value)
        return found

    def wait_metric(self, name, value):
        wait_for(lambda: self.metrics()[name] == value, what=f"{name} to be {value}")

    def targets(self):
        return [f"{request.method} {request.target}" for request in self.engine.requests]


def open_front(tmp_path_factory, certs, name, **options):
    """(front, close)"""
    from conftest import open_site
    site = open_site(tmp_path_factory, certs, name)
    try:
        return Front(site, **options), site.close
    except BaseException:
        site.close()
        raise


@pytest.fixture(scope="module")
def file_front(tmp_path_factory, certs, request):
    front, close = open_front(tmp_path_factory, certs, "front", tcp=getattr(request.module, "TCP", False),
                              **getattr(request.module, "FILTER", {}))
    try:
        yield front
    finally:
        close()


@pytest.fixture
def front(file_front):
    file_front.reset()
    yield file_front
    file_front.engine.check()


def hold(release, then=None):
    """An answer that waits for release() of a threading.Event, or until the filter hangs up."""
    def answer(connection, _request):
        while not release.wait(0.01):
            if gone(connection):
                return CLOSE
        return then
    return answer


def hang_up(connection):
    """Ends a connection from the engine's side, while its thread reads on it."""
    try:
        connection.sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it has ended


def gone(connection):
    """Whether the filter has ended this connection; reads nothing away."""
    from .fake_engine import gone as ended
    return ended(connection)


__all__ = ["APP", "ARCHIVE", "CHUNKED", "CLOSE", "CREATE", "Front", "ID", "INSPECT", "JSON", "LAST",
           "LOGS", "PING", "PULL", "RawOrigin", "STOP", "TAR", "archive", "chunk", "file_front", "front",
           "gone", "hang_up", "hold", "members", "open_front", "told"]
