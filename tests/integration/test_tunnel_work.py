"""Work connections: how the hub asks for them, keeps them ready, uses them, and what a client of
the hub is told when they fail. The far side is frp_peer.FrpClient, which serves by hand.
"""
import time

import pytest

from harness import RawClient, app, fetch, response
from harness.frp_peer import CLOSE_PROXY, REQ_WORK, FrpClient, started

A = "/exapps/sample"
PLAIN = {"HP_FRP_DISABLE_TLS": "true", "HP_LOG_LEVEL": "debug"}
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"
both = pytest.mark.parametrize("mux", [True, False], ids=["mux", "nomux"])


def peer(site, mux=True, pool=0, settings=(), **kwargs):
    """A hub and a tunnel by hand: no TLS, so that half-closes can be sent."""
    hub = site.hub(app(), settings={**PLAIN, **dict(settings)})
    client = FrpClient(hub, tls=False, mux=mux, **kwargs).login(pool_count=pool)
    site.add(Closing(client))
    client.proxy()
    return hub, client


class Closing:
    def __init__(self, client):
        self.client = client

    def close(self):
        self.client.__exit__()


def asked(client):
    """How many work connections the hub has asked for and the test has not counted yet."""
    client.pinged()
    count = sum(kind == REQ_WORK for kind, _ in client.control.backlog)
    client.control.backlog = [item for item in client.control.backlog if item[0] != REQ_WORK]
    return count


def kept(hub, client, count):
    """Work connections that nobody waits for, once the hub keeps them all ready: with tcpMux off
    they are connections of their own, which the control stream's order says nothing about."""
    streams = [client.work() for _ in range(count)]
    hub.wait_line("kept ready", count=count)
    return streams


def ask(site, hub, path="/", *fields, **kwargs):
    """A browser whose request is on its way."""
    browser = site.add(RawClient(hub.http))
    browser.get(A + path, *fields, **kwargs)
    return browser


def answer(stream, body=b"ok", **kwargs):
    """Reads one request without a body and answers it."""
    head = stream.until(b"\r\n\r\n")
    stream.send(response(body, **kwargs))
    return head


# ---- the pool ----

@both
@pytest.mark.parametrize("offered,setting,expected", [(0, 5, 0), (3, 5, 3), (50, 5, 5), (5, 2, 2)])
def test_pool_is_asked_for_after_the_login(site, mux, offered, setting, expected):
    _hub, client = peer(site, mux, offered, {"HP_TUNNEL_POOL": setting})
    assert asked(client) == expected


@both
def test_pool_is_asked_for_again_with_a_new_proxy(site, mux):
    """CloseProxy drops what was ready; the next proxy of the session finds a full pool."""
    hub, client = peer(site, mux, pool=2)
    assert asked(client) == 2
    ready = kept(hub, client, 2)
    client.control.send(CLOSE_PROXY, proxy_name="sample")
    for stream in ready:
        stream.wait_end()
    assert asked(client) == 0
    client.proxy("sample", 23005)
    assert asked(client) == 2


@both
def test_pool_is_refilled_by_one_for_each_taken(site, mux):
    hub, client = peer(site, mux, pool=2)
    assert asked(client) == 2
    ready = kept(hub, client, 2)
    for stream in ready:
        browser = ask(site, hub)
        client.control.wait(REQ_WORK)
        assert asked(client) == 0
        answer(started(stream))
        assert browser.response().status == 200
        browser.close()
        stream.fin()
        stream.wait_end()


def test_empty_pool_asks_once_for_each_request(site):
    hub, client = peer(site)
    browsers = [ask(site, hub) for _ in range(5)]
    streams = [client.serve() for _ in browsers]
    assert asked(client) == 0
    for stream in streams:
        answer(stream)
    for browser in browsers:
        assert browser.response().status == 200


@both
def test_pooled_connections_may_come_and_answer_in_any_order(site, mux):
    hub, client = peer(site, mux, pool=3)
    offered = [client.work() for _ in range(3)]
    browsers = [ask(site, hub, f"/{number}") for number in range(3)]
    seen = {}
    for stream in reversed(offered):
        started(stream)
        target = stream.until(b"\r\n\r\n").split(b" ")[1]
        seen[target] = stream
    assert sorted(seen) == [b"/0", b"/1", b"/2"]
    for number in (1, 2, 0):
        seen[b"/%d" % number].send(response(b"answer %d" % number))
        assert browsers[number].response().body == b"answer %d" % number


@both
def test_kept_connection_serves_the_next_request(site, mux):
    hub, client = peer(site, mux)
    browser = ask(site, hub, "/1")
    stream = client.serve()
    assert b"GET /1 " in answer(stream)
    assert browser.response().status == 200
    browser.get(f"{A}/2")
    assert b"GET /2 " in answer(stream)
    assert browser.response().status == 200
    assert asked(client) == 0


@both
def test_pooled_connection_that_ended_is_not_used(site, mux):
    hub, client = peer(site, mux)
    stream = client.work()
    stream.fin()
    stream.wait_end()
    browser = ask(site, hub)
    answer(client.serve())
    assert browser.response().status == 200


def test_bytes_before_startworkconn_end_the_connection(site):
    hub, client = peer(site)
    stream = client.work()
    stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert stream.rest() == b""
    browser = ask(site, hub)
    answer(client.serve(), b"asked for")
    assert browser.response().body == b"asked for"


@both
def test_excess_connections_are_closed(site, mux):
    """Ten over the pool's size are kept: late ones of requests that gave up."""
    hub, client = peer(site, mux)
    ready = kept(hub, client, 10)
    assert client.work().rest() == b""
    ready[0].assert_silent(0.05)


@both
def test_connection_for_an_unknown_session_is_closed(site, mux):
    _hub, client = peer(site, mux)
    assert client.work(run_id="no-such-run-id").rest() == b""
    assert client.work(run_id="").rest() == b""
    client.pinged()


def test_connection_for_the_session_of_another_client_is_closed(site):
    """On yamux only the session's own streams count, whoever learned its run_id."""
    hub, client = peer(site)
    with FrpClient(hub, tls=False).login() as other:
        assert other.work(run_id=client.run_id).rest() == b""
    with FrpClient(hub, tls=False, mux=False) as stranger:
        assert stranger.work(run_id=client.run_id).rest() == b""


def test_closed_proxy_drops_its_pool(site):
    hub, client = peer(site)
    stream = client.work()
    client.control.send(CLOSE_PROXY, proxy_name="sample")
    assert stream.rest() == b""
    assert fetch(hub.http, f"{A}/").status == 503


# ---- what the other end is told ----

@both
def test_startworkconn_carries_source_and_destination(site, mux):
    hub, client = peer(site, mux)
    browser = ask(site, hub)
    stream = client.serve()
    host, port = browser.sock.getsockname()
    assert stream.origin == {"proxy_name": "sample", "src_addr": host, "src_port": port,
                             "dst_addr": hub.http[0], "dst_port": hub.http[1]}
    answer(stream)
    assert browser.response().status == 200


# ---- failing ----

def told(browser, *statuses, words=("tunnel",), seconds=None):
    reply = browser.response(seconds=seconds)
    assert reply.status in statuses, reply
    for word in words:
        assert word in reply.text, reply
    return reply


@both
def test_connection_that_never_comes_is_a_504_that_names_the_tunnel(site, mux):
    hub, client = peer(site, mux, settings={"HP_WORK_CONNECTION_TIMEOUT": "300ms"})
    began = time.monotonic()
    told(ask(site, hub), 504)
    assert 0.25 < time.monotonic() - began < 3
    client.pinged()


def test_late_connection_serves_the_next_request(site):
    hub, client = peer(site, settings={"HP_WORK_CONNECTION_TIMEOUT": "300ms"})
    told(ask(site, hub), 504)
    client.control.wait(REQ_WORK)
    stream = client.work()
    client.pinged()
    browser = ask(site, hub)
    answer(started(stream))
    assert browser.response().status == 200


def test_client_that_gave_up_leaves_its_connection_to_the_next(site):
    hub, client = peer(site)
    gone = ask(site, hub, "/gone")
    client.control.wait(REQ_WORK)
    gone.reset()
    client.pinged()
    browser = ask(site, hub, "/next")
    stream = client.work()
    client.pinged()
    # Whichever of the two it is for, the request that is still there gets its answer.
    started(stream)
    head = stream.until(b"\r\n\r\n")
    if b"/gone" in head:
        stream = client.serve()
        head = stream.until(b"\r\n\r\n")
    assert b"GET /next " in head
    stream.send(response(b"next"))
    assert browser.response().body == b"next"


@both
@pytest.mark.parametrize("how", ["fin", "close"])
def test_backend_down_is_a_503(site, mux, how):
    """A dead back end shows as an end right after StartWorkConn, with no message."""
    hub, client = peer(site, mux)
    browser = ask(site, hub)
    stream = client.serve()
    (stream.reset if mux and how == "close" else getattr(stream, how))()
    told(browser, 503, words=("Service Unavailable",), seconds=3)
    client.pinged()


@both
def test_connection_lost_inside_an_answer_cuts_the_client_off(site, mux):
    hub, client = peer(site, mux)
    browser = ask(site, hub)
    stream = client.serve()
    stream.until(b"\r\n\r\n")
    stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    browser.until(b"half")
    stream.fin()
    assert browser.rest() == b""


@both
def test_lost_tunnel_is_a_503_for_unanswered_requests(site, mux):
    hub, client = peer(site, mux)
    running, waiting = ask(site, hub, "/running"), None
    stream = client.serve()
    stream.until(b"\r\n\r\n")
    waiting = ask(site, hub, "/waiting")
    client.control.wait(REQ_WORK)
    client.control.stream.fin()
    told(waiting, 503, seconds=3)
    if not mux:
        stream.close()  # a connection of its own: the loss of the session does not end it
    told(running, 503, words=(), seconds=3)


def test_lost_tunnel_cuts_off_half_answered_requests(site):
    hub, client = peer(site)
    browser = ask(site, hub)
    stream = client.serve()
    stream.until(b"\r\n\r\n")
    stream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
    browser.until(b"half\r\n")
    client.mux.close()
    assert browser.rest(3) == b""  # no last chunk: the client sees that it is not whole


def test_without_tcpmux_running_requests_outlive_the_control_connection(site):
    hub, client = peer(site, mux=False)
    browser = ask(site, hub)
    stream = client.serve()
    stream.until(b"\r\n\r\n")
    client.control.stream.close()
    hub.wait_line("session sample ended")
    stream.send(response(b"still"))
    assert browser.response().body == b"still"


def test_kept_connection_that_died_is_replaced_without_the_client_noticing(site):
    hub, client = peer(site)
    browser = ask(site, hub, "/1")
    stream = client.serve()
    answer(stream)
    assert browser.response().status == 200
    browser.get(f"{A}/2")
    stream.until(b"\r\n\r\n")
    stream.reset()  # reused, nothing answered, GET: may be sent again
    answer(client.serve(), b"second")
    assert browser.response().body == b"second"


def test_tunnel_that_comes_back_serves_at_once(site):
    hub, client = peer(site)
    browser = ask(site, hub, "/1")
    answer(client.serve())
    assert browser.response().status == 200  # its connection is kept for the next
    with FrpClient(hub, tls=False).login(run_id=client.run_id) as again:
        again.proxy()
        browser.get(f"{A}/2")
        assert b"GET /2 " in answer(again.serve(), b"again")
        assert browser.response().body == b"again"


# ---- half-close, through an upgrade ----

def upgraded(site, hub, client):
    browser = ask(site, hub, "/raw", b"Connection: Upgrade", b"Upgrade: raw")
    stream = client.serve()
    stream.until(b"\r\n\r\n")
    stream.send(SWITCH)
    assert browser.head().start.startswith(b"HTTP/1.1 101")
    return browser, stream


@both
def test_half_close_of_the_client_leaves_the_answer_open(site, mux):
    hub, client = peer(site, mux)
    browser, stream = upgraded(site, hub, client)
    browser.send(b"last words")
    browser.end()
    assert stream.rest() == b"last words"
    stream.send(b"an answer after the end")
    assert browser.exactly(23) == b"an answer after the end"
    stream.fin()
    browser.assert_closed()


@both
def test_half_close_of_the_exapp_leaves_the_request_open(site, mux):
    hub, client = peer(site, mux)
    browser, stream = upgraded(site, hub, client)
    stream.send(b"bye")
    stream.fin()
    assert browser.rest() == b"bye"
    browser.send(b"still talking")
    assert stream.exactly(13) == b"still talking"
    browser.end()
    assert stream.rest() == b""


def test_half_closed_streams_are_forgotten(site):
    """Both ends gone, the stream's place is free: far more connections than places."""
    hub, client = peer(site, settings={"HP_TUNNEL_MAX_STREAMS": "8"})
    for number in range(40):
        browser, stream = upgraded(site, hub, client)
        first, second = (browser.end, stream.fin) if number % 2 else (stream.fin, browser.end)
        first()
        second()
        assert stream.rest() == b"" and browser.rest() == b""
        browser.close()
    assert client.mux.goodbye is None


@both
def test_upgraded_connection_carries_much_in_both_directions(site, mux):
    hub, client = peer(site, mux)
    browser, stream = upgraded(site, hub, client)
    block = bytes(range(256)) * 1024  # 256 KiB
    for _ in range(16):
        stream.send(block)
        assert browser.exactly(len(block)) == block
        browser.send(block)
        assert stream.exactly(len(block)) == block
