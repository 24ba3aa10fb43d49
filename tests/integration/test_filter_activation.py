"""Sockets from a service manager, and what the filter tells it (sd_listen_fds(3), sd_notify(3)); and the
command by which a container asks whether its filter is well."""
import json
import pathlib
import socket

import pytest

from harness import RawClient, free_port, run_program, wait_for
from harness.credentials import FILTER_PASSWORD, FILTER_USER
from harness.fake_engine import FakeEngine
from harness.programs import PYTHON, filter_environment
from harness.wait import DEFAULT

ACTIVATE = pathlib.Path(__file__).parent / "harness/activate.py"


def by_name(name, rest=""):
    return f'{{ socket = "{name}"; policy = "read-only"; {rest} }}'


def launcher(*sockets):
    return [PYTHON, ACTIVATE, json.dumps(sockets)]


@pytest.fixture
def engine(site):
    return site.add(FakeEngine(site.socket_path()))


def asks(address):
    with RawClient(address) as client:
        return client.ask("/_ping").status, client.ask("/networks").status


def test_sockets_are_found_by_name(site, engine):
    paths, port = [site.socket_path(), site.socket_path()], free_port()
    gate = site.filter(engine.path, launcher=launcher(
        ["first", f"unix:{paths[0]}"], ["other", f"unix:{paths[1]}"], ["net", f"127.0.0.1:{port}"]),
        listeners=['{ address = "unix:{path}"; policy = "appapi"; }', by_name("net"), by_name("first")])
    assert asks(paths[0]) == asks(("127.0.0.1", port)) == (200, 404)
    assert asks(gate.path) == (200, 403)
    gate.wait_line("a socket named 'other' was handed over, which no listener names: closed")
    gate.wait_line("socket:first: policy read-only")
    gate.stop()
    assert paths[0].exists()  # it is the manager's
    assert not gate.path.exists()


@pytest.mark.parametrize("name", ["", "harp-socket-filter.socket"])
def test_the_only_socket_is_that_of_the_only_listener(site, engine, name):
    """So that a unit needs no other configuration."""
    path = site.socket_path()
    gate = site.filter(engine.path, launcher=launcher([name, f"unix:{path}"]))
    assert asks(path) == (200, 403)
    assert not gate.path.exists()
    gate.wait_line(f"unix:{path}: policy appapi")


REFUSED = {
    "no such name": ([["web", "unix:{}"]], [by_name("other"), by_name("web")],
                     "listener socket:other: no service manager handed over a socket of that name"),
    "one name for two": ([["web", "unix:{}"], ["web", "127.0.0.1:0"]], [by_name("web")],
                         "listener socket:web: several sockets of that name"),
    "open to all": ([["web", "0.0.0.0:0"]], [by_name("web")],
                    "listener socket:web: an address that others can reach needs client_ca"),
    "open to all with a password": ([["web", "0.0.0.0:0"]],
                                    [by_name("web", f'user = "u"; password = "{FILTER_PASSWORD}";')],
                                    "listener socket:web: an address that others can reach needs client_ca"),
    "open to all, for the only listener": ([["", "0.0.0.0:0"]], None, "an address that others can reach needs"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_sockets_that_can_not_be_meant_end_the_start(site, case):
    sockets, listeners, expected = REFUSED[case]
    sockets = [[name, address.format(site.socket_path())] for name, address in sockets]
    with pytest.raises(AssertionError, match=expected):
        site.filter(site.socket_path(), launcher=launcher(*sockets), listeners=listeners)
    site.things[-1].expect_end(1)


def test_the_engines_own_socket_is_not_listened_at(site):
    path = site.socket_path()
    with pytest.raises(AssertionError, match="the socket that was handed over is the engine's own"):
        site.filter(path, launcher=launcher(["web", f"unix:{path}"]), listeners=[by_name("web")])
    site.things[-1].expect_end(1)


# ---- what the manager is told ----

@pytest.fixture
def manager(site):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(site.folder / "notify"))
        sock.settimeout(DEFAULT)
        yield sock


def test_manager_is_told_of_start_life_and_end(site, engine, manager):
    gate = site.filter(engine.path, env={"NOTIFY_SOCKET": str(site.folder / "notify"),
                                         "WATCHDOG_USEC": "200000"})
    said = [manager.recv(100) for _ in range(4)]
    assert said == [b"READY=1"] + [b"WATCHDOG=1"] * 3
    gate.stop()
    manager.setblocking(False)
    rest = []
    try:
        while True:
            rest.append(manager.recv(100))
    except BlockingIOError:
        pass
    assert rest.count(b"STOPPING=1") == 1 and set(rest) <= {b"STOPPING=1", b"WATCHDOG=1"}


def test_manager_is_not_told_ready_by_a_filter_that_can_not_start(site, manager):
    with pytest.raises(AssertionError, match="can't listen"):
        site.filter(site.socket_path(), env={"NOTIFY_SOCKET": str(site.folder / "notify")},
                    listeners=['{ address = "unix:/no/such/folder/x"; policy = "appapi"; }'])
    site.things[-1].expect_end(1)
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(100)


# ---- health ----

def health(gate, *arguments, spelling="health"):
    return run_program("harp-socket-filter", "--config", gate.config, *arguments, spelling,
                       env=filter_environment())


@pytest.mark.parametrize("spelling", ["health", "--health"])
def test_health_asks_the_administrators_socket(site, spelling):
    gate = site.filter(site.socket_path())  # without an engine
    result = health(gate, spelling=spelling)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"healthy: unix:{gate.admin} answered 200\n"
    gate.stop()
    result = health(gate, spelling=spelling)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"not healthy: unix:{gate.admin}: No such file or directory\n"


def test_health_asks_a_listener_that_needs_no_credentials_and_so_the_engine(site, engine):
    port = free_port()
    gate = site.filter(engine.path, settings={"admin": "off"}, listeners=[
        f'{{ address = "unix:{{path}}"; policy = "appapi"; user = "{FILTER_USER}"; '
        f'password = "{FILTER_PASSWORD}"; }}',
        f'{{ address = "127.0.0.1:{port}"; policy = "appapi"; }}'])
    result = health(gate)
    assert (result.returncode, result.stdout) == (0, f"healthy: 127.0.0.1:{port} answered 200\n")
    assert engine.wait_asked(1, "HEAD", "/_ping")
    engine.close()
    result = health(gate)
    assert (result.returncode, result.stderr) == (1, f"not healthy: 127.0.0.1:{port} answered 503\n")


def test_health_takes_addresses_of_the_command_line(site, engine):
    path = site.socket_path()
    gate = site.filter(engine.path, settings={"admin": "off"}, listen=[f"unix:{path}"])
    assert health(gate, "--listen", f"unix:{path}").stdout == f"healthy: unix:{path} answered 200\n"


def test_health_says_what_keeps_it_from_asking(site, engine):
    gate = site.filter(engine.path, settings={"admin": "off"}, listeners=[
        f'{{ address = "unix:{{path}}"; policy = "appapi"; user = "{FILTER_USER}"; '
        f'password = "{FILTER_PASSWORD}"; }}'])
    result = health(gate)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "health: every listener asks for credentials; set admin, which can be asked\n"


@pytest.mark.parametrize("answer, expected", [
    (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", "answered 500"), (b"SSH-2.0-OpenSSH\r\n", "no HTTP answer"),
    (b"HTTP/1.1 2", "no HTTP answer"), (b"", "no HTTP answer")])
def test_health_is_not_taken_in_by_others(site, tmp_path, answer, expected):
    origin = site.unix_origin(lambda connection, _request: connection.send(answer) or origin.CLOSE)
    (tmp_path / "filter.cfg").write_text(f'admin = "unix:{origin.path}";')
    result = run_program("harp-socket-filter", "--config", tmp_path / "filter.cfg", "health",
                         env=filter_environment())
    assert (result.returncode, result.stderr) == (1, f"not healthy: unix:{origin.path}"
                                                  f"{'' if expected.startswith('answered') else ':'} {expected}\n")


def test_open_connections_end_with_the_program(site, engine):
    gate = site.filter(engine.path)
    with RawClient(gate.path) as client:
        assert client.ask("/_ping").status == 200
        assert gate.stop() < 5
        client.assert_closed()
    wait_for(lambda: not gate.path.exists(), what="the socket to be removed")
