"""Docker sockets that come late, are made anew, or are somebody else's afterwards, as the filter meets them.

Where nothing but a new start helps, the filter ends by itself, and whoever keeps it running starts it.
"""
import os
import pathlib
import shutil
import signal
import tempfile
import time

import pytest

from conftest import Site
from harness import Hub, RawClient, SocketFilter, app, fetch, free_port, wait_for
from harness.authority import Authority, der_of
from harness.credentials import DSP_PASSWORD
from harness.engine_calls import typed
from harness.engine_model import answer as engine_answer
from harness.fake_engine import FakeEngine
from harness.tunnel_bench import hub_client, last

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give up its rights")

UID, GID, OTHER_GID = 54321, 54312, 54313
MOUNT = 'mount --bind "$0" "$1" && shift && exec "$@"'


@pytest.fixture
def site(certs):
    """As always, in a folder that every user can go through."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="harp-sockets-"))
    folder.chmod(0o711)
    site = Site(folder, certs)
    try:
        yield site
    finally:
        site.close()
        shutil.rmtree(folder)


def engine_at(site, path, gid=GID):
    """Its socket is for a group, as Docker's is; nobody sees it before."""
    engine = site.add(FakeEngine(f"{path}.new"))
    os.chown(engine.path, 0, gid)
    os.chmod(engine.path, 0o660)
    os.rename(engine.path, path)
    engine.path = str(path)
    return engine


def end(site, engine):
    site.things.remove(engine)
    engine.close()


def filter_of(site, docker, launcher=(), **settings):
    return site.add(SocketFilter(site._folder("filter"), docker, site.socket_path(), launcher=launcher,
                                 settings={"user": UID, "admin": "off", **settings}))


def ask(gate):
    return fetch(gate.path, "/_ping").status


def mounted(source, target):
    """Words that start a program which sees source at target."""
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", MOUNT, str(source), str(target)]


# ---- coming ----

def test_filter_that_is_to_keep_the_sockets_group_waits_for_the_socket(site):
    docker = site.socket_path()
    gate = filter_of(site, docker)
    gate.wait_line("waits for the engine's socket", str(docker))
    assert not gate.path.exists()  # nobody is let in before rights are given up
    engine_at(site, docker)
    gate.ready()
    gate.wait_line(f"sandbox user {UID}, group {UID} and {GID}, no capabilities")
    assert ask(gate) == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_that_comes_while_it_waits_is_a_stop(site, number):
    gate = filter_of(site, site.socket_path())
    gate.wait_line("waits for the engine's socket")
    gate.signal(signal.SIGHUP)
    gate.signal(number)
    assert gate.wait() == 0


# ---- made anew ----

@pytest.mark.parametrize("place", ["path", "folder"])
def test_socket_that_is_made_anew_is_used(site, place):
    """At its path, and where the folder that it is in is mounted into a container."""
    folder, seen = site.folder / "run", site.folder / "seen"
    folder.mkdir(mode=0o755)
    seen.mkdir(mode=0o755)
    docker = folder / "docker.sock"
    engine = engine_at(site, docker)
    gate = filter_of(site, docker) if place == "path" else filter_of(
        site, seen / "docker.sock", launcher=mounted(folder, seen))
    gate.ready()
    assert ask(gate) == 200
    end(site, engine)
    assert ask(gate) == 503
    engine_at(site, docker)
    assert ask(gate) == 200


def test_socket_that_was_mounted_as_a_file_and_made_anew_ends_the_filter(site):
    """The mount stays with the file that is gone: only a container that starts again gets the new one."""
    docker, seen = site.socket_path(), site.socket_path()
    seen.touch()
    engine = engine_at(site, docker)
    gate = filter_of(site, seen, launcher=mounted(docker, seen)).ready()
    assert ask(gate) == 200
    end(site, engine)
    engine_at(site, docker)
    assert ask(gate) == 503
    gate.expect_end(1)
    assert gate.wait() == 1
    gate.wait_line("was made anew", "mount its folder")
    again = filter_of(site, seen, launcher=mounted(docker, seen)).ready()
    assert ask(again) == 200


def test_socket_that_belongs_to_another_group_afterwards_ends_the_filter(site):
    docker = site.socket_path()
    engine = engine_at(site, docker)
    gate = filter_of(site, docker).ready()
    assert ask(gate) == 200
    end(site, engine)
    engine_at(site, docker, OTHER_GID)
    assert ask(gate) == 503
    gate.expect_end(1)
    assert gate.wait() == 1
    gate.wait_line("Permission denied", "group")
    again = filter_of(site, docker).ready()
    again.wait_line(f"group {UID} and {OTHER_GID}")
    assert ask(again) == 200


def test_socket_that_is_out_of_reach_for_a_moment_ends_nothing(site):
    """An engine makes its socket first, and gives it its group and mode afterwards."""
    docker = site.socket_path()
    engine = engine_at(site, docker)
    gate = filter_of(site, docker).ready()
    assert ask(gate) == 200
    os.chmod(docker, 0o600)
    engine.connections[0].close()  # it is kept for the next call
    wait_for(lambda: ask(gate) == 503)
    os.chmod(docker, 0o660)
    wait_for(lambda: ask(gate) == 200)
    gate.wait_line("can be reached again")
    assert gate.running()


# ---- what is done once the engine is there ----

def test_containers_are_started_when_the_engine_comes(site):
    """NC_AUTOSTART_CONTAINERS, after a boot at which the filter was faster."""
    docker = site.socket_path()
    gate = site.add(SocketFilter(
        site._folder("filter"), docker, site.socket_path(), listeners=(), settings={"admin": "off"},
        env={"NC_HAPROXY_PASSWORD": DSP_PASSWORD, "HAPROXY_PORT": str(free_port()),
             "BIND_ADDRESS": "127.0.0.1", "NC_AUTOSTART_CONTAINERS": "1"})).ready()
    gate.wait_line("autostart", "No such file", "asked again in 1 s")
    engine = site.add(FakeEngine(f"{docker}.new"))
    engine.spoil(engine_answer(200, [{"Id": "1" * 64, "Names": ["/nc_app_one"], "State": "exited"}]),
                 "GET", "/containers/json")
    engine.spoil(engine_answer(204, b""), "POST", "/containers/1{64}/start")
    os.rename(engine.path, docker)
    engine.path = str(docker)
    gate.wait_line("autostart nc_app_one: started")


# ---- certificates of listeners ----

def test_listeners_take_renewed_certificates(site, tmp_path):
    authority = Authority(tmp_path)
    docker, cert, port = site.socket_path(), site.folder / "cert.pem", free_port()
    engine_at(site, docker)
    cert.write_bytes(authority.issue("filter", use="server").read_bytes())
    gate = site.add(SocketFilter(site._folder("filter"), docker, site.socket_path(), settings={
        "user": UID, "admin": "off", "certificate_check_interval": "20ms"}, listeners=[
            f'{{ address = "127.0.0.1:{port}"; policy = "appapi"; certificate = "{cert}"; }}'])).ready()

    def shown():
        with RawClient(("127.0.0.1", port), authority.context(), "localhost") as client:
            return client.sock.getpeercert(binary_form=True)

    cert.write_text("half of a certificate")
    gate.wait_line("the certificate in use is kept")
    fresh = site.folder / "fresh.pem"
    fresh.write_bytes(authority.issue("filter", use="server").read_bytes())
    expected = der_of(fresh)
    fresh.rename(cert)
    gate.wait_line("the certificate was read again")
    assert shown() == expected
    seen = gate.output().count(b"certificate")
    time.sleep(0.1)  # several looks at a file that stays as it is
    assert gate.output().count(b"certificate") == seen


# ---- the hub and tunnel clients, which go on ----

def test_mounted_socket_that_was_made_anew_is_told(site):
    """By the hub, of an engine's, and by a tunnel client, of any."""
    docker, seen = site.socket_path(), site.socket_path()
    seen.touch()
    engine = engine_at(site, docker)
    launcher = mounted(docker, seen)
    hub = site.add(Hub(site._folder("hub"), site.certs, [app()], {"HP_DOCKER_SOCKET": seen},
                       launcher=launcher)).ready()
    client = last(site, hub_client(site, hub.ports["frp"], [("sample", 23005, f"unix:{seen}")],
                                   launcher=launcher))
    client.wait_line("proxy sample ready at")
    assert typed(hub, "exists").status == 200
    end(site, engine)
    engine_at(site, docker)
    reply = typed(hub, "exists")
    assert reply.status == 503 and b"mount its folder" in reply.body, reply
    assert fetch(hub.http, "/exapps/sample/").status == 503
    client.wait_line("can't be reached", "mount its folder")


def test_address_that_no_interface_has_yet_is_told(site):
    hub = site.add(Hub(site._folder("hub"), site.certs, [app()], {"HP_EXAPPS_ADDRESS": "192.0.2.1:8780"}))
    hub.expect_end(1)
    assert hub.wait() == 1
    hub.wait_line("HP_EXAPPS_ADDRESS: can't listen at 192.0.2.1:8780", "no interface has that address",
                  "start this program again")
