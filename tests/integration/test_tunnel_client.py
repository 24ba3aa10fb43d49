"""harp-tunnel-client against a server made of bytes (frp_peer.FrpServer): logins, reconnecting,
proxies and their reload, the end. Its work connections: test_tunnel_client_work.py.
"""
import os
import re
import signal
import time

import pytest

from harness import Overdue, TunnelClient, app, program
from harness.frp_peer import (CLOSE_PROXY, LOGIN_RESP, NEW_PROXY, NEW_PROXY_RESP, PING, message,
                              privilege_key, raw_message)
from harness.process import Process
from harness.programs import SHARED_KEY
from harness.tunnel_bench import FAST, Backend, cfg_client, last, read, server, started, toml_client

both = pytest.mark.parametrize("mux", [True, False], ids=["mux", "nomux"])


# ---- the login ----

@both
def test_login_says_who_it_is(site, mux):
    frps = server(site, mux)
    toml_client(site, frps, [("sample", 23005, ("127.0.0.1", 1))], "transport.poolCount = 3",
                token="the key")
    session = frps.session()
    login = session.login
    assert login["metas"] == {"token": "the key"} and login["pool_count"] == 3
    assert login["privilege_key"] == privilege_key("", login["timestamp"])
    assert abs(login["timestamp"] - time.time()) < 5
    assert login.get("run_id", "") == "" and login["version"]
    assert session.proxy() == {"proxy_name": "sample", "proxy_type": "tcp", "remote_port": 23005}


def test_auth_token_makes_login_key_and_cipher(site):
    frps = server(site, auth_token="t0ken")
    toml_client(site, frps, [("sample", 23005, ("127.0.0.1", 1))], 'auth.token = "t0ken"')
    session = frps.session()
    assert session.login["privilege_key"] == privilege_key("t0ken", session.login["timestamp"])
    assert session.proxy()["proxy_name"] == "sample"


def test_other_auth_token_is_told(site):
    frps = server(site, auth_token="one")
    client = toml_client(site, frps, [("sample", 23005, ("127.0.0.1", 1))], 'auth.token = "two"')
    session = frps.session()
    session.control.send(PING)
    client.wait_line("auth tokens")


def test_refused_login_is_tried_again_with_growing_pauses(site):
    frps = server(site)
    client = cfg_client(site, frps)
    for _ in range(6):
        frps.session(error="token in login doesn't match").wire.wait_end()
    client.wait_line("login refused: token in login doesn't match", count=6)
    waits = [int(n) for n in re.findall(rb"next try in (\d+) ms", client.output())][:6]
    assert waits[0] <= 10 and waits[1] <= 20, waits
    assert all(wait <= 160 for wait in waits) and max(waits[4:]) >= 40, waits


def test_good_login_starts_the_pauses_anew(site):
    frps = server(site)
    client = cfg_client(site, frps)
    for _ in range(4):
        frps.session(error="not yet")
    frps.session().cut()
    frps.session()
    waits = [int(n) for n in re.findall(rb"next try in (\d+) ms", client.output())]
    assert waits[-1] <= 10, waits


def test_login_fail_exit_ends_the_program(site):
    frps = server(site)
    client = cfg_client(site, frps, FAST + "login_fail_exit = true;")
    client.expect_end(1)
    frps.session(error="nobody gets in")
    assert client.wait() == 1
    assert b"nobody gets in" in client.output()


def test_login_fail_exit_counts_for_the_first_login_only(site):
    frps = server(site)
    cfg_client(site, frps, FAST + "login_fail_exit = true;")
    frps.session().cut()
    frps.session(error="for now")
    assert frps.session().run_id


def test_server_that_is_not_there_yet_is_found_later(site):
    frps = server(site)
    frps.listener.close()
    client = cfg_client(site, frps)
    client.wait_line("next try in", count=3)
    late = server(site, port=frps.port)
    assert late.session().run_id


@pytest.mark.parametrize("how", ["silent", "half_an_answer", "garbage", "too_long", "no_run_id",
                                 "other_message", "end"])
@both
def test_server_that_gives_no_good_answer_is_left(site, mux, how):
    frps = server(site, mux)
    cfg_client(site, frps, FAST + 'dial_timeout = "300ms";')
    session = frps.session(answer=False)
    stream = session.control.stream
    answers = {"half_an_answer": message(LOGIN_RESP, run_id="x")[:-3],
               "garbage": b"HTTP/1.1 400 Bad Request\r\n\r\n",
               "too_long": raw_message(LOGIN_RESP, 1 << 40), "no_run_id": message(LOGIN_RESP),
               "other_message": message(NEW_PROXY_RESP, proxy_name="sample")}
    if how == "end":
        stream.fin()
    elif how != "silent":
        stream.send(answers[how])
    assert frps.session(seconds=5).run_id


# ---- TLS ----

def test_tls_is_mutual_and_the_server_is_checked(site, tmp_path):
    hub = site.hub(app())  # makes the certificates
    frps = server(site, certs=hub.certs)
    toml_client(site, frps, [("sample", 23005, ("127.0.0.1", 1))], certs=hub.certs)
    session = frps.session()
    assert session.wire.sock.getpeercert()["subject"]
    session.proxy()


def test_server_with_a_certificate_of_another_ca_never_sees_the_login(site, tmp_path):
    hub, other = site.hub(app()), site.hub(app(), certs=tmp_path / "other")
    frps = server(site, certs=other.certs)
    client = toml_client(site, frps, [("sample", 23005, ("127.0.0.1", 1))], certs=hub.certs)
    with pytest.raises(OSError):
        frps.accept()
    client.wait_line("could not log in", "certificate")


# ---- reconnecting ----

@both
def test_lost_server_gets_the_old_run_id_and_all_proxies_again(site, mux):
    frps = server(site, mux)
    cfg_client(site, frps)
    session = frps.session(run_id="feedbeef")
    session.proxy()
    session.cut()
    again = frps.session()
    assert again.login["run_id"] == "feedbeef"
    assert again.proxy()["proxy_name"] == "sample"


@pytest.mark.parametrize("how", ["fin", "control_fin", "go_away_and_end", "garbage", "bad_message"])
def test_session_that_breaks_is_made_anew(site, how):
    frps = server(site)
    cfg_client(site, frps)
    session = frps.session()
    session.proxy()
    {"fin": lambda: session.wire.fin(),
     "control_fin": lambda: session.control.stream.fin(),
     "go_away_and_end": lambda: (session.mux.frame(3, 0, 0, 0), session.wire.fin()),
     "garbage": lambda: session.wire.send(b"\xff" * 50),
     "bad_message": lambda: session.control.send_raw(b"Z" * 20)}[how]()
    frps.session(seconds=3).proxy()


def test_dead_network_is_noticed_by_pings_of_yamux(site):
    frps = server(site)
    cfg_client(site, frps, FAST + 'tcp_mux_keepalive = "200ms"; keepalive_timeout = "200ms";')
    session = frps.session()
    session.proxy()
    began = time.monotonic()  # from here on nobody reads, nobody answers
    frps.session(seconds=5)
    assert 0.2 < time.monotonic() - began < 2


def test_dead_network_is_noticed_by_heartbeats_without_tcpmux(site):
    frps = server(site, mux=False)
    cfg_client(site, frps, FAST + 'heartbeat_interval = "100ms"; heartbeat_timeout = "300ms";')
    session = frps.session()
    session.proxy()
    session.control.wait(PING)
    began = time.monotonic()
    frps.session(seconds=5)
    assert 0.1 < time.monotonic() - began < 2


def test_answered_heartbeats_keep_the_session(site):
    frps = server(site, mux=False)
    cfg_client(site, frps, FAST + 'heartbeat_interval = "50ms"; heartbeat_timeout = "200ms";')
    session = frps.session()
    session.proxy()
    for _ in range(10):
        session.control.wait(PING)
        session.control.send(b"4")
    with pytest.raises(Overdue):
        frps.accept(0.01)


# ---- proxies ----

def test_several_proxies_each_reach_their_own(site):
    backends = [site.add(Backend()) for _ in range(3)]
    frps = server(site)
    client = toml_client(site, frps, [(f"app{n}", 23010 + n, backend.target)
                                      for n, backend in enumerate(backends)])
    session = frps.session()
    assert sorted((p["proxy_name"], p["remote_port"]) for p in (session.proxy() for _ in range(3))
                  ) == [("app0", 23010), ("app1", 23011), ("app2", 23012)]
    client.ready()
    for number in (2, 0, 1):
        stream = session.start(f"app{number}")
        stream.send(b"%d" % number)
        assert read(backends[number].accept(), 1) == b"%d" % number


def test_refused_proxy_is_tried_again_later_and_the_others_serve(site):
    backend = site.add(Backend())
    frps = server(site)
    client = toml_client(site, frps, [("bad", 23010, backend.target),
                                      ("good", 23011, backend.target)])
    session = frps.session()
    session.proxy(error="port unavailable")
    session.proxy()
    client.wait_line("proxy bad refused: port unavailable; next try in ", " ms")
    session.start("good").send(b"x")
    assert read(backend.accept(), 1) == b"x"
    assert session.proxy()["proxy_name"] == "bad"
    client.wait_line("proxy bad ready")


def test_pauses_after_refusals_are_those_between_connections(site):
    frps = server(site)
    client = cfg_client(site, frps, 'reconnect_min = "10ms"; reconnect_max = "40ms";')
    session = frps.session()
    for _ in range(8):
        session.proxy(error="port unavailable")
    session.proxy()
    pauses = [int(line.split()[-2]) for line in client.output().splitlines() if b"refused" in line]
    assert len(pauses) == 8 and pauses[0] <= 4 and 20 <= pauses[-1] <= 40, pauses


def rewrite(client, frps, proxies, extra=""):
    client.config.write_text(TunnelClient.toml(frps.port, None, SHARED_KEY, extra, proxies))
    client.signal(signal.SIGHUP)


def test_reload_adds_and_removes_proxies_without_touching_the_others(site):
    one, two = site.add(Backend()), site.add(Backend())
    frps = server(site)
    client = toml_client(site, frps, [("one", 23010, one.target)])
    session = frps.session()
    session.proxy()
    client.ready()
    stream = session.start("one")
    stream.send(b"a")
    local = one.accept()
    assert read(local, 1) == b"a"

    rewrite(client, frps, [("one", 23010, one.target), ("two", 23011, two.target)])
    assert session.proxy()["proxy_name"] == "two"
    session.start("two").send(b"b")
    assert read(two.accept(), 1) == b"b"

    rewrite(client, frps, [("one", 23010, one.target)])
    assert session.control.wait(CLOSE_PROXY)["proxy_name"] == "two"
    assert session.start("two").rest() == b""

    stream.send(b"c")  # the connection from before all that
    assert read(local, 1) == b"c"
    assert session.control.backlog == [] and client.output().count(b"logged in") == 1


def test_reload_with_a_changed_proxy_opens_it_anew(site):
    one, two = site.add(Backend()), site.add(Backend())
    frps = server(site)
    client = toml_client(site, frps, [("app", 23010, one.target)])
    session = frps.session()
    session.proxy()
    client.ready()
    rewrite(client, frps, [("app", 23012, two.target)])
    assert session.control.next()[0] == CLOSE_PROXY  # in this order: the name is the same
    assert session.control.next()[0] == NEW_PROXY
    session.control.send(NEW_PROXY_RESP, proxy_name="app", remote_addr=":23012")
    session.start("app").send(b"x")
    assert read(two.accept(), 1) == b"x"


@pytest.mark.parametrize("text", ["this is = not toml = at all", "serverAddr = 7",
                                  'serverAddr = "127.0.0.1"\nnoSuchKey = 1', ""])
def test_reload_of_a_bad_file_keeps_the_settings_in_use(site, text):
    session, backend, client = started(site)
    client.config.write_text(text)
    client.signal(signal.SIGHUP)
    client.wait_line("the settings in use are kept")
    session.start().send(b"x")
    assert read(backend.accept(), 1) == b"x"
    assert client.running() and client.output().count(b"logged in") == 1


def test_reload_with_another_server_goes_over_to_it(site):
    session, backend, client = started(site)
    other = server(site)
    rewrite(client, other, [("sample", 23005, backend.target)])
    session.mux.wait_end()
    other.session().proxy()


# ---- the end ----

@both
def test_sigterm_finishes_the_running_request_and_exits_0(site, mux):
    session, backend, client = started(site, mux)
    client.ready()
    idle = session.ask_work()
    stream = session.start()
    stream.send(b"request")
    local = backend.accept()
    assert read(local, 7) == b"request"
    client.signal(signal.SIGTERM)
    assert session.control.wait(CLOSE_PROXY)["proxy_name"] == "sample"
    assert idle.rest() == b""
    local.sendall(b"the answer")
    assert stream.exactly(10) == b"the answer"
    local.close()
    assert stream.rest() == b""
    assert client.wait() == 0


def test_sigterm_while_nothing_is_connected_ends_at_once(site):
    frps = server(site)
    frps.listener.close()
    client = cfg_client(site, frps)
    client.wait_line("next try in")
    assert client.stop() < 1


def test_second_sigterm_cuts_what_runs(site):
    session, backend, client = started(site)
    client.ready()
    stream = session.start()
    stream.send(b"request")
    assert read(backend.accept(), 7) == b"request"
    client.signal(signal.SIGTERM)
    session.control.wait(CLOSE_PROXY)
    client.signal(signal.SIGTERM)
    assert client.wait(3) == 0


def test_shutdown_timeout_bounds_what_runs(site):
    backend = site.add(Backend())
    frps = server(site)
    client = cfg_client(site, frps, FAST + 'shutdown_timeout = "300ms";',
                        [("sample", 23005, "127.0.0.1:%d" % backend.target[1])])
    session = frps.session()
    session.proxy()
    stream = session.start()
    stream.send(b"request")
    assert read(backend.accept(), 7) == b"request"
    client.signal(signal.SIGTERM)
    assert client.wait(3) == 0
    client.wait_line("shutdown_timeout")


# ---- ways to start ----

def test_own_configuration_file_serves(site):
    backend = site.add(Backend())
    frps = server(site)
    cfg_client(site, frps, 'metas = { colour = "blue"; };',
               [("sample", 23005, "127.0.0.1:%d" % backend.target[1])])
    session = frps.session()
    assert session.login["metas"] == {"token": SHARED_KEY, "colour": "blue"}
    session.proxy()
    session.start().send(b"x")
    assert read(backend.accept(), 1) == b"x"


def test_environment_alone_serves_an_exapp(site):
    """What AppAPI sets in a container, and no file."""
    backend = site.add(Backend(site.socket_path()))
    hub = site.hub(app())
    frps = server(site, certs=hub.certs)
    folder = site._folder("client")
    folder.mkdir()
    frp = hub.certs / "frp"
    env = {"PATH": os.environ["PATH"], "HP_FRP_ADDRESS": "127.0.0.1", "HP_FRP_PORT": str(frps.port),
           "HP_SHARED_KEY": "from the environment", "APP_ID": "my_app", "APP_PORT": "23042",
           "APP_SOCKET": backend.target, "HP_TLS_CERT_FILE": str(frp / "client.crt"),
           "HP_TLS_KEY_FILE": str(frp / "client.key"), "HP_TLS_CA_FILE": str(frp / "ca.crt")}
    last(site, Process("tunnel-client", [program("harp-tunnel-client")], folder / "client.log",
                       env=env))
    session = frps.session()
    assert session.login["metas"] == {"token": "from the environment"}
    proxy = session.proxy()
    assert (proxy["proxy_name"], proxy["remote_port"]) == ("my_app", 23042)
    session.start("my_app").send(b"x")
    assert read(backend.accept(), 1) == b"x"


def test_key_file_serves_as_the_key(site, tmp_path):
    (tmp_path / "key").write_text("key of a file\n")
    frps = server(site)
    cfg_client(site, frps, env={"HP_SHARED_KEY": "", "HP_SHARED_KEY_FILE": str(tmp_path / "key")})
    assert frps.session().login["metas"] == {"token": "key of a file"}


def test_secrets_are_not_logged(site):
    session, _, client = started(site, extra='log.level = "trace"\nauth.token = ""')
    session.cut()
    client.wait_line("lost the connection")
    assert SHARED_KEY.encode() not in client.output()
