"""What a service manager hears (sd_notify(3)), and what the tunnel client says about itself."""
import contextlib
import json
import os
import signal
import socket

import pytest

from harness import DEFAULT, app, fetch, free_port, run_program, wait_for
from harness.programs import TUNNEL_PORT, TunnelClient
from harness.tunnel_bench import server


# ---- what a service manager is told ----

@pytest.fixture
def manager(site, monkeypatch):
    """A service manager that wants to hear every 0.2 s from whatever is started meanwhile."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        path = str(site.socket_path())
        sock.bind(path)
        sock.settimeout(DEFAULT)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        yield sock


def test_manager_is_told_of_start_life_and_end_of_the_hub(site, manager):
    hub = site.hub(app())
    assert [manager.recv(100) for _ in range(4)] == [b"READY=1"] + [b"WATCHDOG=1"] * 3
    hub.stop()
    assert b"STOPPING=1" in rest_of(manager)


def test_manager_is_told_that_the_client_runs_though_it_has_no_hub_yet(site, manager, tmp_path):
    client = site.add(TunnelClient(tmp_path / "client", free_port(), [("sample", 23000, "/x.sock")]))
    client.wait_line("next try in")
    said = [manager.recv(200) for _ in range(4)]
    assert said[0] == b"READY=1" and b"WATCHDOG=1" in said
    assert any(text.startswith(b"STATUS=could not log in at 127.0.0.1:") for text in said)
    client.stop()
    assert b"STOPPING=1" in rest_of(manager)


def rest_of(manager):
    manager.setblocking(False)
    said = []
    with contextlib.suppress(BlockingIOError):
        while True:
            said.append(manager.recv(200))
    return said


# ---- what the client says about itself ----

def ask(client, *command):
    return run_program("harp-tunnel-client", "-c", client.config, *command, env=client.env)


def said(client):
    return json.loads(ask(client, "status", "--json").stdout)


def test_status_of_a_client_that_serves(site):
    hub, client = site.tunnelled(site.unix_origin().path)
    for spelling in ("health", "--health"):
        result = ask(client, spelling)
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout == (f"healthy: running at 127.0.0.1:{hub.ports['frp']}, "
                                 "1 of 1 proxies open\n")
    assert fetch(hub.http, "/exapps/sample/").status == 200
    one = said(client)
    assert (one["state"], one["last_error"]) == ("running", None)
    assert one["server"] == f"127.0.0.1:{hub.ports['frp']}"
    proxy, = one["proxies"]
    assert (proxy["name"], proxy["remote_port"], proxy["state"]) == ("sample", TUNNEL_PORT, "open")
    assert (proxy["connections"], proxy["answered"], proxy["last_error"]) == (1, 1, None)
    text = ask(client, "status")
    assert text.returncode == 0 and text.stdout.splitlines()[0].startswith("ok     session  running")
    hub.stop()
    site.things.remove(hub)
    client.wait_line("lost the connection to")
    assert said(client)["proxies"][0]["answered"] == 1  # still
    result = ask(client, "health")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("not healthy: ") and "0 of 1 proxies open; " in result.stderr
    assert said(client)["state"] in ("waiting", "connecting")


def test_status_tells_what_the_hub_refuses_and_which_service_is_away(site, tmp_path):
    hub = site.hub(app())
    client = site.add(TunnelClient(tmp_path / "client", hub.ports["frp"],
                                   [("sample", TUNNEL_PORT, tmp_path / "away.sock"),
                                    ("second", TUNNEL_PORT + 1, "/x.sock")], certs=hub.certs))
    client.wait_line("refused: ")
    assert fetch(hub.http, "/exapps/sample/").status == 503
    first, second = said(client)["proxies"]
    assert first["state"] == "open" and first["connections"] == 0
    assert first["last_error"] == f"unix:{tmp_path}/away.sock: No such file or directory"
    assert second["state"] == "refused"
    assert second["last_error"] == "refused: exceed the max_ports_per_client"
    result = ask(client, "status")
    lines = result.stdout.splitlines()
    assert result.returncode == 1
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == ["ok", "unsure", "WRONG"]


def test_a_servers_words_are_no_words_to_the_manager_and_no_broken_json(site, manager, tmp_path):
    frps = server(site)
    client = site.add(TunnelClient(tmp_path / "client", frps.port, [("sample", 23000, "/x.sock")]))
    frps.session(error="no\nMAINPID=1\u0001\u00e9")
    client.wait_line("next try in")
    told = [manager.recv(500) for _ in range(4)]
    assert any(b"login refused: no?MAINPID=1?" in text for text in told), told
    assert not any(b"\n" in text for text in told)
    assert "login refused: no?MAINPID=1?" in said(client)["last_error"]


def test_counts_stay_over_a_reload(site):
    hub, client = site.tunnelled(site.unix_origin().path)
    assert fetch(hub.http, "/exapps/sample/").status == 200
    client.signal(signal.SIGHUP)
    client.wait_line("settings were read again")
    assert said(client)["proxies"][0]["connections"] == 1


def test_a_client_that_does_not_run_is_not_healthy(tmp_path):
    (tmp_path / "frpc.toml").write_text(TunnelClient.toml(1, None, "x", "", [("a", 23000, "/x.sock")]))
    for command in ("health", "status"):
        result = run_program("harp-tunnel-client", "-c", tmp_path / "frpc.toml", command,
                             env=dict(os.environ, HP_STATUS_SOCKET=f"unix:{tmp_path}/no.sock"))
        assert (result.returncode, result.stdout) == (1, "")
        assert f"no answer from the client at unix:{tmp_path}/no.sock: No such file" in result.stderr


@pytest.mark.parametrize("value", ["127.0.0.1:7400", "status.sock", "unix:status.sock"])
def test_status_socket_is_a_unix_path(tmp_path, value):
    (tmp_path / "frpc.toml").write_text(TunnelClient.toml(1, None, "x", "", [("a", 23000, "/x.sock")]))
    result = run_program("harp-tunnel-client", "-c", tmp_path / "frpc.toml", "--check-config",
                         env=dict(os.environ, HP_STATUS_SOCKET=value))
    assert result.returncode == 1 and "HP_STATUS_SOCKET: " in result.stderr


def test_client_runs_where_its_status_socket_can_not_be(site, tmp_path):
    hub = site.hub(app())
    client = TunnelClient(tmp_path / "client", hub.ports["frp"], [("sample", TUNNEL_PORT, "/x.sock")],
                          certs=hub.certs, status="unix:/no/such/folder/status.sock")
    site.add(client).ready()
    client.wait_line("can't listen at unix:/no/such/folder/status.sock", "can't ask this client")


def test_the_ninth_who_asks_at_once_is_turned_away_and_nobody_stays_for_ever(site):
    _, client = site.tunnelled(site.unix_origin().path)
    socks = []
    for _ in range(9):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(DEFAULT)
        sock.connect(str(client.status_socket))
        socks.append(sock)
    got = [read_all(sock) for sock in socks]
    assert [bool(text) for text in got] == [True] * 8 + [False]
    for sock in socks:
        sock.close()
    wait_for(lambda: ask(client, "health").returncode == 0, what="room for one more")
    assert client.status_socket.stat().st_mode & 0o777 == 0o600


def read_all(sock):
    """Until the client's end; our direction stays open."""
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
    return b"".join(parts)
