"""Who gets a tunnel: what must come first on the tunnel port, the login, and the proxy's port.

The client is frp_peer.FrpClient, so that it can do what no frpc does.
"""
import os
import ssl
import time

import pytest

from harness import RawClient, app, fetch, outcome, response
from harness.frp_peer import (CLOSE_PROXY, LOGIN, LOGIN_RESP, NEW_VISITOR,
                              NEW_VISITOR_RESP, PING, PONG, Control, FrpClient, Mux, Wire,
                              client_tls, message, read_message)

A = "/exapps/sample"
PLAIN = {"HP_FRP_DISABLE_TLS": "true"}
both = pytest.mark.parametrize("mux", [True, False], ids=["mux", "nomux"])


def assert_shut(wire, seconds=None):
    """The hub ends the connection without a word."""
    assert wire.rest(seconds) == b""


def assert_tunnels_served(hub):
    """A good client still gets in, and a request gets through."""
    with FrpClient(hub).login(pool_count=1) as client:
        client.proxy()
        with RawClient(hub.http) as browser:
            browser.get(f"{A}/")
            stream = client.serve()
            stream.until(b"\r\n\r\n")
            stream.send(response(b"served"))
            assert browser.response().body == b"served"


# ---- TLS, and what is not ----

def test_login_over_mutual_tls_serves_requests(site):
    assert_tunnels_served(site.hub(app()))


@both
def test_login_without_tls_when_it_is_switched_off(site, mux):
    hub = site.hub(app(), settings=PLAIN)
    with FrpClient(hub, tls=False, mux=mux).login() as client:
        assert client.try_proxy().get("remote_addr") == ":23005"


def test_login_over_tls_with_tcpmux_off(site):
    hub = site.hub(app())
    with FrpClient(hub, mux=False).login() as client:
        client.proxy()


def test_marker_byte_of_old_clients_before_tls(site):
    hub = site.hub(app())
    wire = Wire.dial(hub.ports["frp"], client_tls(hub.certs), first=b"\x17")
    control = Control(Mux(wire).open())
    with FrpClient(hub) as client:
        control.send(LOGIN, **client.login_fields())
    kind, reply = control.next()
    assert kind == LOGIN_RESP and reply["run_id"]
    wire.close()


def test_marker_byte_without_tls_after_it_is_shut_out(site):
    hub = site.hub(app())
    wire = Wire.dial(hub.ports["frp"])
    wire.send(b"\x17", b"\x17")
    assert_shut(wire)
    wire.close()


def test_client_without_certificate_is_shut_out(site):
    hub = site.hub(app())
    context = ssl.create_default_context(cafile=str(hub.certs / "frp" / "ca.crt"))
    assert refused_by_tls(hub, context)
    assert_tunnels_served(hub)


def test_client_certificate_of_another_ca_is_shut_out(site, tmp_path):
    hub = site.hub(app())
    other = site.hub(app(), certs=tmp_path / "other")
    context = client_tls(other.certs)
    context.load_verify_locations(hub.certs / "frp" / "ca.crt")
    assert refused_by_tls(hub, context)
    assert_tunnels_served(hub)


def refused_by_tls(hub, context):
    """With TLS 1.3 the client learns of it after its own part of the handshake."""
    try:
        wire = Wire.dial(hub.ports["frp"], context)
    except (ssl.SSLError, ConnectionError):
        return True
    with FrpClient(hub) as client:
        wire.send(message(LOGIN, **client.login_fields()))
    said = wire.rest()
    wire.close()
    return said == b""


@pytest.mark.parametrize("first", [
    pytest.param(message(LOGIN, version="0.61.1"), id="login"),
    pytest.param(b"\0\1\0\1\0\0\0\1\0\0\0\0", id="yamux"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", id="http"),
    pytest.param(b"SSH-2.0-x\r\n", id="ssh"),
    pytest.param(b"\xff" * 64, id="bytes"),
    pytest.param(b"\x16\x03\x01\x00\x05hello", id="broken_tls"),
])
def test_anything_but_tls_is_shut_out(site, first):
    hub = site.hub(app())
    wire = Wire.dial(hub.ports["frp"])
    wire.send(first)
    said = wire.rest()
    # A broken ClientHello may get a TLS alert (type 21), nothing else gets a byte.
    assert said == b"" or said[0] == 21, said
    wire.close()


@both
def test_wire_v2_is_shut_out_and_named(site, mux):
    hub = site.hub(app(), settings=PLAIN)
    with FrpClient(hub, tls=False, mux=mux) as client:
        stream = client.open()
        stream.send(b"FRP\0\2\r\n\0\1\0\0\0\0\0\2{}")
        assert_shut(stream)
        hub.wait_line("wire protocol v2")


def test_tls_client_is_told_when_tls_is_switched_off(site):
    hub = site.hub(app(), settings=PLAIN)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Wire.dial(hub.ports["frp"], client_tls(hub.certs))
    hub.wait_line("HP_FRP_DISABLE_TLS is set")


# ---- time and number limits before the login ----

@pytest.mark.parametrize("how", ["silent", "half_a_hello", "after_tls", "mux_without_login",
                                 "half_a_login"])
def test_login_limit_ends_whoever_does_not_log_in(site, how):
    hub = site.hub(app(), settings={"HP_LOGIN_TIMEOUT": "300ms", "HP_HANDSHAKE_TIMEOUT": "300ms"})
    began = time.monotonic()
    context = None if how in ("silent", "half_a_hello") else client_tls(hub.certs)
    wire = Wire.dial(hub.ports["frp"], context)
    if how == "half_a_hello":
        wire.send(b"\x16\x03\x01\x02\x00\x01\x00")
    elif how == "mux_without_login":
        Mux(wire).open()
    elif how == "half_a_login":
        wire.send(b"o\0\0\0\0\0\0\0\x40{")
    wire.wait_end(5)
    assert 0.2 < time.monotonic() - began < 4
    wire.close()


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01\x02\0\1\0"], ids=["none", "half_a_hello"])
def test_handshake_limit_is_its_own(site, first):
    hub = site.hub(app(), settings={"HP_HANDSHAKE_TIMEOUT": "300ms"})
    wire = Wire.dial(hub.ports["frp"], first=first)
    wire.wait_end(5)
    wire.close()


def test_login_limit_leaves_sessions_alone(site):
    hub = site.hub(app(), settings={"HP_LOGIN_TIMEOUT": "300ms", "HP_HANDSHAKE_TIMEOUT": "300ms"})
    with FrpClient(hub).login() as client:
        silent = Wire.dial(hub.ports["frp"])
        silent.wait_end(5)  # the limit has passed for the session, too
        silent.close()
        client.proxy()
        client.pinged()


def test_work_stream_without_a_message_ends_at_the_login_limit(site):
    hub = site.hub(app(), settings={"HP_LOGIN_TIMEOUT": "300ms"})
    with FrpClient(hub).login() as client:
        client.open().wait_end(5)
        client.pinged()


def test_too_many_connections_without_a_login_are_refused(site):
    """Half of the places for one address: 4 of 8."""
    hub = site.hub(app(), settings={"HP_MAX_UNAUTHENTICATED_TUNNELS": "8"})
    with FrpClient(hub).login() as client:  # is none of them
        client.proxy()
        silent = [Wire.dial(hub.ports["frp"]) for _ in range(4)]
        extra = Wire.dial(hub.ports["frp"])
        assert_shut(extra, 5)
        client.pinged()
        silent[0].close()
        hub.wait_line("connection from 127.0.0.1 ended before a login")
        with FrpClient(hub).login():  # a free place is one again
            pass
        for wire in silent + [extra]:
            wire.close()


def test_too_many_connections_of_many_addresses_are_refused(site):
    hub = site.hub(app(), settings={"HP_MAX_UNAUTHENTICATED_TUNNELS": "8"})
    silent = [Wire.dial(hub.ports["frp"], source=f"127.0.0.{host}") for host in (2, 3)
              for _ in range(4)]
    extra = Wire.dial(hub.ports["frp"], source="127.0.0.4")
    assert_shut(extra, 5)
    for wire in silent:
        wire.assert_silent(0.01)
    silent[0].close()
    hub.wait_line("connection from 127.0.0.2 ended before a login")
    with FrpClient(hub).login() as client:
        client.proxy()
    for wire in silent + [extra]:
        wire.close()


def test_logged_in_clients_do_not_fill_the_places_of_strangers(site):
    hub = site.hub(app(), settings={"HP_MAX_UNAUTHENTICATED_TUNNELS": "4"})
    clients = [FrpClient(hub, mux=number % 2 == 0).login() for number in range(8)]
    for number, client in enumerate(clients):
        client.proxy(f"app{number}", 23100 + number)
    for client in clients:
        client.__exit__()


# ---- the login ----

WRONG = [
    pytest.param({"metas": {"token": "wrong"}}, id="wrong_token"),
    pytest.param({"metas": {"token": ""}}, id="empty_token"),
    pytest.param({"metas": {"other": "x"}}, id="no_token"),
    pytest.param({"metas": None}, id="no_metas"),
    pytest.param({"privilege_key": "0" * 32}, id="wrong_key"),
    pytest.param({"privilege_key": None}, id="no_key"),
    pytest.param({"timestamp": 1}, id="other_timestamp"),
    pytest.param({"run_id": "a b"}, id="bad_run_id"),
]


@both
@pytest.mark.parametrize("changes", WRONG)
def test_wrong_login_gets_an_error_and_then_the_end(site, mux, changes):
    hub = site.hub(app(), settings=PLAIN)
    with FrpClient(hub, tls=False, mux=mux) as client:
        reply = client.try_login(**changes)
        assert reply.get("error") and not reply.get("run_id"), reply
        assert client.control.stream.rest() == b""
        if mux:
            assert not client.control.stream.was_reset
    hub.wait_line("login", "refused")
    assert b"integration-test-key" not in hub.output()


@pytest.mark.parametrize("changes", [{"metas": {"token": "wrong"}}, {"privilege_key": "0" * 32}])
def test_a_wrong_key_counts_as_a_failure_of_the_address(site, changes):
    """The right one is let in all the same: a whole Docker host of apps has one address."""
    hub = site.hub(app(), settings={**PLAIN, "HP_BLACKLIST_COUNT": "3"})
    for number in range(3):
        with FrpClient(hub, tls=False) as client:
            assert client.try_login(**changes).get("error")
        assert (outcome(hub.http, f"{A}/") is None) == (number == 2)
    hub.wait_line("127.0.0.1 is banned", "tunnel's login")
    with FrpClient(hub, tls=False).login() as client:
        client.proxy()
    with FrpClient(hub, tls=False) as client:
        assert client.try_login(**changes).get("error")


def test_a_login_that_is_refused_for_something_else_does_not_count(site):
    hub = site.hub(app(), settings={**PLAIN, "HP_BLACKLIST_COUNT": "2"})
    for _ in range(3):
        with FrpClient(hub, tls=False) as client:
            assert client.try_login(run_id="a b").get("error")
    assert outcome(hub.http, f"{A}/").status == 503


def test_auth_token_of_the_protocol_is_checked(site):
    hub = site.hub(app(), settings={**PLAIN, "HP_FRP_AUTH_TOKEN": "t0ken"})
    with FrpClient(hub, tls=False) as client:
        assert client.try_login()["error"] == (
            "token in login doesn't match token from configuration")
    with FrpClient(hub, tls=False, auth_token="t0ken").login() as client:
        client.proxy()  # the control stream's key is made of it


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"version":7}', b'{"metas":[]}',
                                  b'{"a":"\xff"}', b"{}{}"])
def test_login_that_is_no_login_ends_the_stream(site, body):
    hub = site.hub(app(), settings=PLAIN)
    with FrpClient(hub, tls=False, mux=False) as client:
        wire = client.dial()
        wire.send(LOGIN + len(body).to_bytes(8, "big") + body)
        said = wire.rest()
        assert not said or b'"error"' in said


def test_login_in_single_bytes(site):
    hub = site.hub(app(), settings=PLAIN)
    with FrpClient(hub, tls=False, mux=False) as client:
        wire = client.dial()
        for byte in message(LOGIN, **client.login_fields()):
            wire.send(bytes([byte]))
        assert read_message(wire)[1]["run_id"]


def test_run_id_is_made_when_none_comes_and_kept_when_one_does(site):
    hub = site.hub(app())
    with FrpClient(hub).login() as one, FrpClient(hub).login() as two:
        assert one.run_id and two.run_id and one.run_id != two.run_id
    with FrpClient(hub).login(run_id="0123456789abcdef") as client:
        assert client.run_id == "0123456789abcdef"


def test_second_login_on_one_connection_is_refused(site):
    hub = site.hub(app())
    with FrpClient(hub).login() as client:
        client.proxy()
        stream = client.open()
        stream.send(message(LOGIN, **client.login_fields()))
        assert stream.rest() == b""
        client.pinged()  # the first one lives


@both
def test_new_login_replaces_the_session_with_its_run_id(site, mux):
    hub = site.hub(app(), settings=PLAIN)
    with FrpClient(hub, tls=False, mux=mux).login() as old:
        old.proxy()
        waiting = old.work()
        with FrpClient(hub, tls=False, mux=mux).login(run_id=old.run_id) as new:
            # At once: not one answer of the old session in between, and no 'already exists'.
            assert new.run_id == old.run_id
            new.proxy()
            old.wait_end(2)
            assert waiting.rest(2) == b""
            new.pinged()


def test_replacing_a_frozen_session_does_not_wait_for_it(site):
    """The old connection is full: its client reads nothing any more."""
    hub = site.hub(app(), settings=PLAIN)
    with FrpClient(hub, tls=False, receive_buffer=4096).login() as old:
        old.proxy()
        old.mux.frame(2, 1, 0, 1)  # a ping whose answer is never read
        began = time.monotonic()
        with FrpClient(hub, tls=False).login(run_id=old.run_id) as new:
            new.proxy()
        assert time.monotonic() - began < 2


@both
def test_end_of_the_control_stream_ends_the_session(site, mux):
    hub = site.hub(app(), settings=PLAIN)
    with FrpClient(hub, tls=False, mux=mux).login() as client:
        client.proxy()
        client.control.stream.fin()
        client.wait_end()
    with FrpClient(hub, tls=False, mux=mux).login() as client:
        client.proxy()


# ---- messages ----

@both
def test_ping_is_answered_by_pong(site, mux):
    hub = site.hub(app(), settings=PLAIN)
    with FrpClient(hub, tls=False, mux=mux).login() as client:
        for _ in range(3):
            client.control.send(PING, timestamp=1)
            kind, fields = client.control.next()
            assert kind == PONG and not fields.get("error")


@pytest.mark.skipif(not os.environ.get("HARP_TEST_SLOW"), reason="takes 90 s: HARP_TEST_SLOW=1")
def test_silent_control_connection_without_tcpmux_ends_after_90_s(site):
    hub = site.hub(app(), settings=PLAIN)
    with FrpClient(hub, tls=False, mux=False).login() as client:
        began = time.monotonic()
        client.wait_end(100)
        assert 85 < time.monotonic() - began < 95


def test_visitor_is_refused_with_an_error(site):
    hub = site.hub(app())
    with FrpClient(hub).login() as client:
        stream = client.open()
        stream.send(message(NEW_VISITOR, run_id=client.run_id, proxy_name="p", timestamp=1))
        kind, fields = read_message(stream)
        assert kind == NEW_VISITOR_RESP and "not supported" in fields["error"]
        assert stream.rest() == b""
        client.pinged()


@pytest.mark.parametrize("kind", ["udp", "http", "https", "tcpmux", "stcp", "sudp", "xtcp", "x"])
def test_proxy_of_another_type_is_refused(site, kind):
    hub = site.hub(app())
    with FrpClient(hub).login() as client:
        assert "type tcp" in client.try_proxy(type=kind)["error"]
        client.proxy()


@pytest.mark.parametrize("port", [0, 80, 22999, 24100, 26219, 65535])
def test_port_outside_the_ranges_is_not_allowed(site, port):
    hub = site.hub(app())
    with FrpClient(hub).login() as client:
        assert client.try_proxy(port=port)["error"] == "port not allowed"
        client.proxy()


@pytest.mark.parametrize("port", [23000, 23999, 24001, 24099])
def test_port_at_the_edges_of_the_ranges_is_allowed(site, port):
    hub = site.hub(app())
    with FrpClient(hub).login() as client:
        assert client.try_proxy(port=port).get("remote_addr") == f":{port}"


def test_port_of_another_client_is_unavailable(site):
    hub = site.hub(app())
    with FrpClient(hub).login() as one, FrpClient(hub).login() as two:
        one.proxy("one", 23005)
        assert two.try_proxy("two", 23005)["error"] == "port unavailable"
        two.proxy("two", 23006)


def test_name_of_another_client_already_exists(site):
    hub = site.hub(app())
    with FrpClient(hub).login() as one, FrpClient(hub).login() as two:
        one.proxy("same", 23005)
        assert two.try_proxy("same", 23006)["error"] == "proxy [same] already exists"


def test_second_port_of_a_client_is_refused(site):
    hub = site.hub(app())
    with FrpClient(hub).login() as client:
        client.proxy("one", 23005)
        assert "max_ports_per_client" in client.try_proxy("two", 23006)["error"]
        with FrpClient(hub).login() as other:
            other.proxy("two", 23006)


@pytest.mark.parametrize("name", ["", "a b", "ü", "a\nb", "a" * 200])
def test_bad_proxy_name_is_refused(site, name):
    hub = site.hub(app())
    with FrpClient(hub).login() as client:
        assert client.try_proxy(name)["error"]
        client.proxy()


@pytest.mark.parametrize("option", ["use_encryption", "use_compression"])
def test_encryption_and_compression_of_a_proxy_are_refused(site, option):
    hub = site.hub(app())
    with FrpClient(hub).login() as client:
        assert "not supported" in client.try_proxy(**{option: True})["error"]


def test_close_proxy_frees_name_and_port(site):
    hub = site.hub(app())
    with FrpClient(hub).login() as one, FrpClient(hub).login() as two:
        one.proxy("same", 23005)
        one.control.send(CLOSE_PROXY, proxy_name="same")
        one.pinged()
        two.proxy("same", 23005)
        assert "exists" in one.try_proxy("same", 23006)["error"]
        one.proxy("one", 23006)


def test_close_proxy_of_another_name_frees_nothing(site):
    hub = site.hub(app())
    with FrpClient(hub).login() as one, FrpClient(hub).login() as two:
        one.proxy("same", 23005)
        one.control.send(CLOSE_PROXY, proxy_name="other")
        two.control.send(CLOSE_PROXY, proxy_name="same")
        one.pinged(), two.pinged()
        assert two.try_proxy("two", 23005)["error"] == "port unavailable"


def test_closed_connection_frees_name_and_port(site):
    hub = site.hub(app())
    with FrpClient(hub).login() as one:
        one.proxy()
    hub.wait_line("session sample ended")
    assert fetch(hub.http, f"{A}/").status == 503
    with FrpClient(hub).login() as two:
        two.proxy()
