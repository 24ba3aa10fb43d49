"""What a client is told when something behind the hub fails: the right status, in time, and a body
that names the hop.
"""
import socket
import threading
import time

import pytest

from harness import RawClient, RawOrigin, app, fetch, free_port, response, wait_for
from harness.programs import TUNNEL_PORT

A = "/exapps/sample"


def assert_plain(reply, status, *words):
    """An answer of the hub itself: plain text that holds the words."""
    assert reply.status == status, reply
    assert (reply.head.get("Content-Type") or "").startswith("text/plain")
    for word in words:
        assert word.lower() in reply.text.lower(), reply


def assert_served(hub, origin):
    """The hub goes on."""
    origin.answer = response(b"fine")
    assert fetch(hub.http, f"{A}/").body == b"fine"


# ---- nowhere to go ----

def test_no_tunnel_is_a_503_that_names_the_tunnel(site):
    """A port of the tunnels' range on the loopback, with no tunnel up."""
    hub = site.hub(app(port=TUNNEL_PORT))
    began = time.monotonic()
    assert_plain(fetch(hub.http, f"{A}/"), 503, "Service Unavailable", "tunnel")
    assert time.monotonic() - began < 3


def test_refused_connection_is_a_503_that_names_the_exapp(site):
    hub = site.direct(free_port())
    began = time.monotonic()
    assert_plain(fetch(hub.http, f"{A}/"), 503, "Service Unavailable", "ExApp")
    assert time.monotonic() - began < 3


def test_exapp_gone_behind_its_tunnel_is_a_503(site):
    """The tunnel is up, its unix socket is not: a stopped app in a running container."""
    origin = site.unix_origin()
    hub, _tunnel = site.tunnelled(origin.path)
    assert fetch(hub.http, f"{A}/").status == 200
    origin.close()
    began = time.monotonic()
    assert_plain(fetch(hub.http, f"{A}/"), 503, "Service Unavailable")
    assert time.monotonic() - began < 3


def test_app_comes_back_after_its_tunnel_does(site):
    origin = site.unix_origin()
    hub, tunnel = site.tunnelled(origin.path)
    assert fetch(hub.http, f"{A}/").status == 200
    tunnel.stop()
    wait_for(lambda: fetch(hub.http, f"{A}/").status == 503, 5, "the tunnel to be gone")
    site.tunnel(hub, origin.path)
    assert fetch(hub.http, f"{A}/").status == 200


@pytest.mark.parametrize("target", ["/exapps/unknown/", "/exapps/unknown", "/exapps/", "/exapps",
                                    "/", "/other", "/favicon.ico"])
def test_unknown_app_is_a_404(direct_site, target):
    hub, origin = direct_site
    before = len(origin.requests)
    with RawClient(hub.http) as client:
        client.get(target)
        assert_plain(client.response(), 404, "Not Found")
    assert len(origin.requests) == before


def test_app_id_is_found_in_any_case(direct_site):
    hub, origin = direct_site
    origin.answer = response(b"ok")
    assert fetch(hub.http, "/exapps/SAMPLE/").status == 200
    assert origin.requests[-1].head.get("EX-APP-ID") == "SAMPLE"


# ---- answers that do not come ----

def test_no_answer_in_time_is_a_504(site):
    release = threading.Event()

    def answer(_connection, _request):
        release.wait(20)
        return RawOrigin.CLOSE

    origin = site.origin(answer)
    hub = site.direct(origin.port, settings={"HP_TIMEOUT_SERVER": "1s"})
    began = time.monotonic()
    assert_plain(fetch(hub.http, f"{A}/"), 504, "ExApp")
    assert 0.8 < time.monotonic() - began < 4
    release.set()
    assert_served(hub, origin)


def test_reset_before_an_answer_is_a_503(site):
    def answer(connection, _request):
        connection.reset()
        return RawOrigin.CLOSE

    origin = site.origin(answer)
    hub = site.direct(origin.port)
    assert_plain(fetch(hub.http, f"{A}/", method="POST", body=b"x"), 503, "ExApp")
    assert_served(hub, origin)


def test_end_before_an_answer_is_a_503(site):
    origin = site.origin(lambda _c, _r: RawOrigin.CLOSE)
    hub = site.direct(origin.port)
    assert_plain(fetch(hub.http, f"{A}/", method="POST", body=b"x"), 503, "ExApp")
    assert_served(hub, origin)


def test_answer_that_stalls_midway_is_cut(site):
    release = threading.Event()

    def answer(connection, _request):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        release.wait(20)
        return RawOrigin.CLOSE

    origin = site.origin(answer)
    hub = site.direct(origin.port, settings={"HP_TIMEOUT_SERVER": "1s"})
    with RawClient(hub.http) as client:
        client.get(f"{A}/")
        assert client.head().get("Content-Length") == "100"
        assert client.rest(5) == b"half"
    release.set()


def test_answer_that_keeps_coming_outlives_the_server_timeout(site):
    def answer(connection, _request):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        for number in range(6):
            time.sleep(0.4)
            connection.send(b"%d" % number)

    origin = site.origin(answer)
    hub = site.direct(origin.port, settings={"HP_TIMEOUT_SERVER": "1s"})
    assert fetch(hub.http, f"{A}/").body == b"012345"


def test_connect_that_hangs_is_a_503_in_time(site):
    """A listener with a full backlog takes no connection and refuses none."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
        fillers.append(filler)
    hub = site.direct(full.getsockname()[1], settings={"HP_TIMEOUT_CONNECT": "1s"})
    began = time.monotonic()
    reply = fetch(hub.http, f"{A}/")
    assert reply.status in (503, 504) and "exapp" in reply.text.lower(), reply
    assert time.monotonic() - began < 4
    for sock in [full, *fillers]:
        sock.close()


# ---- clients that take their time ----

def test_silent_new_connection_is_closed(site):
    hub = site.direct(free_port(), settings={"HP_TIMEOUT_CLIENT": "1s", "HP_HEAD_TIMEOUT": "1s"})
    with RawClient(hub.http) as client:
        client.assert_closed(5)


def test_idle_kept_connection_is_closed_without_an_answer(site):
    origin = site.origin()
    hub = site.direct(origin.port, settings={"HP_TIMEOUT_CLIENT": "1s"})
    with RawClient(hub.http) as client:
        assert client.ask(f"{A}/").status == 200
        client.assert_closed(5)


def test_half_a_head_is_cut_with_408(site):
    hub = site.direct(free_port(), settings={"HP_HEAD_TIMEOUT": "1s"})
    with RawClient(hub.http) as client:
        client.send(b"GET /exapps/sample/ HTTP/1.1\r\nHost: h\r\nX: ")
        rest = client.rest(5)
        assert rest == b"" or rest.startswith(b"HTTP/1.1 408 ")


def test_head_that_trickles_is_cut_although_bytes_come(site):
    """The limit for a head is absolute: a byte now and then does not extend it."""
    hub = site.direct(free_port(), settings={"HP_HEAD_TIMEOUT": "1s", "HP_TIMEOUT_CLIENT": "30s"})
    with RawClient(hub.http) as client:
        client.send(b"GET /exapps/sample/ HTTP/1.1\r\nHost: h\r\nX: ")
        began = time.monotonic()
        while time.monotonic() - began < 8:
            try:
                client.assert_open(0.2)
            except AssertionError:
                break  # closed, or answered 408
            client.send(b"x")
        assert time.monotonic() - began < 5


def test_body_that_stalls_is_cut(site):
    origin = site.origin(lazy=True, answer=lambda connection, request: (
        connection.read_body(request) and response(b"ok")))
    hub = site.direct(origin.port, settings={"HP_TIMEOUT_CLIENT": "1s"})
    with RawClient(hub.http) as client:
        client.get(f"{A}/", b"Content-Length: 10", method="POST")
        client.send(b"half")
        rest = client.rest(5)
        assert rest == b"" or rest.startswith(b"HTTP/1.1 408 "), rest
    assert origin.wait_connections(1)[0].ended.wait(5)


def test_connections_per_address_are_limited(site):
    origin = site.origin()
    hub = site.direct(origin.port, settings={"HP_MAX_CONNECTIONS_PER_ADDRESS": "10"})
    clients = [RawClient(hub.http) for _ in range(10)]
    for client in clients:
        assert client.ask(f"{A}/").status == 200
    with RawClient(hub.http) as extra:
        extra.get(f"{A}/")
        rest = extra.rest(5)
        assert rest == b"" or rest.startswith((b"HTTP/1.1 429 ", b"HTTP/1.1 503 ")), rest
    for client in clients:
        assert client.ask(f"{A}/").status == 200
        client.close()

    def served():
        try:
            return fetch(hub.http, f"{A}/").status == 200
        except EOFError:
            return False

    wait_for(served, 5, "a place for a new client after others left")
