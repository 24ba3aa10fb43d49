"""Upgraded connections: WebSocket with a real library, and raw bytes to see what a library hides."""
import asyncio
import os
import threading

import pytest
import websockets

from harness import RawClient, RawOrigin, fetch, response

A = "/exapps/sample"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"
ASK = (b"Connection: Upgrade", b"Upgrade: raw")


def run(coroutine, seconds=60):
    return asyncio.run(asyncio.wait_for(coroutine, seconds))


def connect(hub, app="sample", **kwargs):
    url = f"ws://127.0.0.1:{hub.ports['http']}/exapps/{app}/ws"
    return websockets.connect(url, ping_interval=None, max_size=None, **kwargs)


# ---- WebSocket with a library, through the tunnel (`sample`) and directly (`near`) ----

@pytest.mark.parametrize("app", ["sample", "near"])
def test_websocket_echoes_text_and_binary(sample, app):
    async def talk():
        async with connect(sample, app) as socket:
            for message in ("hello", "", "ünï", b"\0\xff", b""):
                await socket.send(message)
                assert await socket.recv() == message

    run(talk())


@pytest.mark.parametrize("app", ["sample", "near"])
def test_websocket_echoes_large_messages(sample, app):
    message = os.urandom(4 << 20)

    async def talk():
        async with connect(sample, app, compression=None) as socket:
            for _ in range(3):
                await socket.send(message)
                assert await socket.recv() == message

    run(talk())


@pytest.mark.parametrize("app", ["sample", "near"])
def test_websocket_close_handshake_passes(sample, app):
    async def talk():
        async with connect(sample, app) as socket:
            await socket.send("last")
            assert await socket.recv() == "last"
            await socket.close(code=4001, reason="done")
            # 1006 would mean that the connection was cut instead of closed.
            assert socket.close_code in (1000, 4001)

    run(talk())


def test_websocket_ping_is_answered_by_the_exapp(sample):
    async def talk():
        async with connect(sample) as socket:
            await asyncio.wait_for(await socket.ping(b"are you there"), 10)

    run(talk())


def test_websocket_messages_keep_their_order(sample):
    async def talk():
        async with connect(sample) as socket:
            async def send():
                for number in range(2000):
                    await socket.send(str(number))

            sender = asyncio.ensure_future(send())
            for number in range(2000):
                assert await socket.recv() == str(number)
            await sender

    run(talk())


def test_many_websockets_at_once_do_not_mix(sample):
    async def one(number):
        async with connect(sample, open_timeout=30) as socket:
            for turn in range(5):
                await socket.send(f"{number}/{turn}")
                assert await socket.recv() == f"{number}/{turn}"

    async def all_of_them():
        await asyncio.gather(*(one(number) for number in range(50)))

    run(all_of_them())


def test_requests_go_on_beside_a_websocket(sample):
    async def talk():
        async with connect(sample) as socket:
            loop = asyncio.get_running_loop()
            for _ in range(5):
                reply = await loop.run_in_executor(None, fetch, sample.http, f"{A}/small")
                assert reply.status == 200
                await socket.send("x")
                assert await socket.recv() == "x"

    run(talk())


# ---- raw bytes ----

def raw_site(site, answer, tunnelled):
    """A hub and an origin, through a tunnel or directly."""
    if tunnelled:
        origin = site.unix_origin(answer, lazy=True)
        hub, _client = site.tunnelled(origin.path)
    else:
        origin = site.origin(answer, lazy=True)
        hub = site.direct(origin.port)
    return hub, origin


both_ways = pytest.mark.parametrize("tunnelled", [False, True], ids=["direct", "tunnelled"])


@both_ways
def test_upgrade_passes_the_fields_and_then_raw_bytes(site, tunnelled):
    def answer(connection, _request):
        connection.send(SWITCH)
        connection.send(connection.exactly(7)[::-1])
        return RawOrigin.CLOSE

    hub, origin = raw_site(site, answer, tunnelled)
    with RawClient(hub.http) as client:
        client.get(f"{A}/up", *ASK)
        reply = client.response()
        assert reply.status == 101 and reply.head.get("Upgrade") == "raw"
        assert reply.head.tokens("Connection") == ["upgrade"]
        client.send(b"\0\r\n\r\n\xff!")
        assert client.exactly(7) == b"!\xff\n\r\n\r\0"
        client.assert_closed()
    head = origin.wait_requests(1)[0].head
    assert head.get("Upgrade") == "raw" and head.tokens("Connection") == ["upgrade"]
    assert head.get("EX-APP-ID") == "sample"


@both_ways
def test_bytes_right_behind_the_upgrade_are_not_lost(site, tunnelled):
    """Both sides may speak at once: in the same segment as the request and as the 101."""
    def answer(connection, _request):
        connection.send(SWITCH + b"server first")
        assert connection.exactly(12) == b"client first"
        connection.send(b" and more")
        return RawOrigin.CLOSE

    hub, _origin = raw_site(site, answer, tunnelled)
    with RawClient(hub.http) as client:
        client.send(b"GET /exapps/sample/up HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n"
                    b"Upgrade: raw\r\n\r\nclient first")
        assert client.response().status == 101
        assert client.rest() == b"server first and more"


@both_ways
def test_half_close_of_the_client_reaches_the_exapp(site, tunnelled):
    """The client says it is done; the ExApp sees the end and can still answer, at length."""
    def answer(connection, _request):
        connection.send(SWITCH)
        got = connection.rest()
        connection.send(b"got %d|" % len(got), b"z" * 500000)
        return RawOrigin.CLOSE

    hub, _origin = raw_site(site, answer, tunnelled)
    with RawClient(hub.http) as client:
        client.get(f"{A}/up", *ASK)
        assert client.response().status == 101
        client.send(b"a" * 300000)
        client.end()
        assert client.rest() == b"got 300000|" + b"z" * 500000


@both_ways
def test_half_close_of_the_exapp_reaches_the_client(site, tunnelled):
    result = []

    def answer(connection, _request):
        connection.send(SWITCH, b"bye")
        connection.end()
        result.append(connection.rest())
        done.set()
        return RawOrigin.CLOSE

    done = threading.Event()
    hub, _origin = raw_site(site, answer, tunnelled)
    with RawClient(hub.http) as client:
        client.get(f"{A}/up", *ASK)
        assert client.response().status == 101
        assert client.rest() == b"bye"
        client.send(b"still " * 50000)
        client.end()
        assert done.wait(10)
    assert result == [b"still " * 50000]


@both_ways
def test_reset_of_the_client_ends_the_exapps_connection(site, tunnelled):
    ended = threading.Event()

    def answer(connection, _request):
        connection.send(SWITCH)
        connection.rest()
        ended.set()
        return RawOrigin.CLOSE

    hub, _origin = raw_site(site, answer, tunnelled)
    client = RawClient(hub.http)
    client.get(f"{A}/up", *ASK)
    assert client.response().status == 101
    client.reset()
    assert ended.wait(10)


def test_refused_upgrade_is_an_ordinary_answer(direct_site):
    hub, origin = direct_site
    origin.answer = response(b"no", b"403 Forbidden")
    with RawClient(hub.http) as client:
        assert client.ask(f"{A}/up", *ASK).status == 403
        origin.answer = response(b"next")
        assert client.ask(f"{A}/").body == b"next"


def test_upgrade_refused_with_bytes_behind_is_no_smuggled_request(direct_site):
    """What follows a refused upgrade is read as HTTP by the hub itself, not passed on raw."""
    hub, origin = direct_site
    origin.answer = lambda _c, request: response(request.target.encode())
    before = len(origin.requests)
    with RawClient(hub.http) as client:
        client.send(b"GET /exapps/sample/up HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n"
                    b"Upgrade: raw\r\n\r\n"
                    b"GET /exapps/sample/init HTTP/1.1\r\nHost: h\r\nharp-shared-key: x\r\n\r\n")
        assert client.response().body == b"/up"
        client.end()
        client.rest()
    for request in origin.requests[before:]:
        assert not request.head.has("harp-shared-key")


@pytest.mark.parametrize("fields", [
    (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"),
    (b"Connection: upgrade", b"Upgrade: H2C"),
    (b"Connection: upgrade, HTTP2-Settings", b"Upgrade: h2c, raw", b"HTTP2-Settings: AAMAAABk"),
    (b"HTTP2-Settings: AAMAAABk",),
], ids=["h2c", "upper_case", "in_a_list", "settings_alone"])
def test_h2c_never_reaches_the_exapp(direct_site, fields):
    """An ExApp that accepted h2c would take requests that the hub has not judged."""
    hub, origin = direct_site
    origin.answer = response(b"plain")
    with RawClient(hub.http) as client:
        assert client.ask(f"{A}/h2c", *fields).status in (200, 400)
    head = origin.requests[-1].head
    assert not head.has("HTTP2-Settings")
    assert "h2c" not in [token.lower() for token in head.tokens("Upgrade")]


def test_upgrade_without_connection_upgrade_is_no_upgrade(direct_site):
    hub, origin = direct_site
    origin.answer = response(b"plain")
    with RawClient(hub.http) as client:
        assert client.ask(f"{A}/", b"Upgrade: raw").status == 200
    assert not origin.requests[-1].head.has("Upgrade")


def test_idle_upgraded_connection_ends_after_the_tunnel_timeout(site):
    def answer(connection, _request):
        connection.send(SWITCH)
        connection.rest()
        return RawOrigin.CLOSE

    origin = site.origin(answer, lazy=True)
    hub = site.direct(origin.port, settings={"HP_TIMEOUT_TUNNEL": "1s"})
    with RawClient(hub.http) as client:
        client.get(f"{A}/up", *ASK)
        assert client.response().status == 101
        client.assert_open(0.5)
        client.assert_closed(5)


def test_busy_upgraded_connection_outlives_the_tunnel_timeout(site):
    def answer(connection, _request):
        connection.send(SWITCH)
        for _ in range(6):
            connection.send(connection.exactly(1))
        return RawOrigin.CLOSE

    origin = site.origin(answer, lazy=True)
    hub = site.direct(origin.port, settings={"HP_TIMEOUT_TUNNEL": "1s"})
    with RawClient(hub.http) as client:
        client.get(f"{A}/up", *ASK)
        assert client.response().status == 101
        for _ in range(6):
            client.assert_open(0.4)
            client.send(b"x")
            assert client.exactly(1) == b"x"


def test_server_timeout_does_not_end_an_upgraded_connection(site):
    def answer(connection, _request):
        connection.send(SWITCH)
        connection.send(connection.exactly(1))
        return RawOrigin.CLOSE

    origin = site.origin(answer, lazy=True)
    hub = site.direct(origin.port, settings={"HP_TIMEOUT_SERVER": "500ms",
                                             "HP_TIMEOUT_CLIENT": "500ms",
                                             "HP_TIMEOUT_TUNNEL": "0"})
    with RawClient(hub.http) as client:
        client.get(f"{A}/up", *ASK)
        assert client.response().status == 101
        client.assert_open(1.5)
        client.send(b"x")
        assert client.exactly(1) == b"x"
