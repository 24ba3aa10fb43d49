"""A client of the tunnel port that breaks the rules loses its own session, and nobody else's.

One hub serves the whole file. A real harp-tunnel-client serves `sample` through it; after each
abuse the same tunnel, never connected anew, must still serve, and the hub must not have grown.
"""
import random
import time

import pytest

from harness import (Deadline, Overdue, RawClient, app, fetch, program_is_sanitized, response,
                     wait_for)
from harness.frp_peer import (ACK, DATA, FIN, GO_AWAY, INITIAL_WINDOW, LOGIN, LOGIN_RESP, NEW_PROXY,
                              NEW_WORK, PING, REQ_WORK, RST, START_WORK, SYN, WINDOW, WIRE_PING,
                              FrpClient, Wire, frame, message, raw_message)

PLAIN = {"HP_FRP_DISABLE_TLS": "true"}
BAD_PORT = 23666
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"
MAX_RESIDENT_KIB = 48 * 1024


class Bystander:
    """A hub with a good tunnel, and what must stay true of both."""

    def __init__(self, site, **settings):
        self.origin = site.unix_origin(response(b"fine"))
        self.hub = site.hub(app(), app("bad", port=BAD_PORT), settings={**PLAIN, **settings})
        self.client = site.tunnel(self.hub, self.origin.path, tls=False)
        self.assert_unharmed()

    def attacker(self, **kwargs):
        return FrpClient(self.hub, tls=False, **kwargs)

    def assert_unharmed(self):
        began = time.monotonic()
        assert fetch(self.hub.http, "/exapps/sample/", seconds=5).body == b"fine"
        assert time.monotonic() - began < 2
        assert self.client.output().count(b"logged in") == 1, self.client.tail()
        assert self.hub.running()
        if not program_is_sanitized():
            assert self.hub.resident_kib() < MAX_RESIDENT_KIB

    def assert_freed(self):
        """Nothing of the attacker's session is left: its name and port can be had."""
        with self.attacker().login() as client:
            client.proxy("bad", BAD_PORT)
            client.control.stream.fin()
            client.wait_end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory, certs):
    from conftest import open_site
    site = open_site(tmp_path_factory, certs, "abuse")
    try:
        yield Bystander(site)
    finally:
        site.close()


@pytest.fixture
def bystander(shared):
    yield shared
    shared.assert_unharmed()


def logged_in(bystander, **kwargs):
    client = bystander.attacker(**kwargs).login()
    return client.proxy("bad", BAD_PORT)


# ---- frames that break the protocol ----

HUGE = 0xFFFFFFFF
BROKEN = [
    pytest.param([frame(DATA, 0, 1, 0, version=1)], id="version_1"),
    pytest.param([frame(4, 0, 1, 0)], id="type_4"),
    pytest.param([frame(255, 0, 1, 0)], id="type_255"),
    pytest.param([frame(DATA, 0x10, 1, 0)], id="unknown_flag"),
    pytest.param([frame(WINDOW, SYN, 2, 0)], id="even_id"),
    pytest.param([frame(WINDOW, SYN, 101, 0)] * 2, id="duplicate_syn"),
    pytest.param([frame(DATA, SYN, 101, 1, b"x"), frame(DATA, SYN, 101, 1, b"x")],
                 id="duplicate_syn_with_data"),
    pytest.param([frame(DATA, 0, 0, 4, b"data")], id="data_for_stream_0"),
    pytest.param([frame(WINDOW, SYN, 0, 0)], id="syn_of_stream_0"),
    pytest.param([frame(WIRE_PING, SYN, 1, 0)], id="ping_with_a_stream"),
    pytest.param([frame(WIRE_PING, 0, 0, 0)], id="ping_of_no_kind"),
    pytest.param([frame(GO_AWAY, 0, 1, 0)], id="go_away_with_a_stream"),
    pytest.param([frame(DATA, 0, 999, 3, b"xyz")], id="data_for_no_stream"),
    pytest.param([frame(DATA, 0, 998, 3, b"xyz")], id="data_for_a_stream_of_the_hubs_side"),
    pytest.param([frame(WINDOW, 0, 999, 1)], id="window_for_no_stream"),
    pytest.param([frame(WINDOW, FIN, 999, 0)], id="fin_of_no_stream"),
    pytest.param([frame(WINDOW, RST, 999, 0)], id="reset_of_no_stream"),
    pytest.param([frame(WINDOW, SYN, 101, 0), frame(WINDOW, 0, 101, HUGE)], id="window_overflow"),
    pytest.param([frame(WINDOW, SYN, 101, HUGE)], id="window_overflow_in_syn"),
    pytest.param([frame(WINDOW, SYN, 101, 0), frame(DATA, 0, 101, INITIAL_WINDOW + 1)],
                 id="data_past_the_window"),
    pytest.param([frame(WINDOW, SYN, 101, 0), frame(DATA, 0, 101, HUGE)], id="data_of_4_gib"),
    pytest.param([b"\xa5" * 64], id="bytes"),
]


@pytest.mark.parametrize("when", ["before_login", "after_login"])
@pytest.mark.parametrize("frames", BROKEN)
def test_broken_frame_ends_the_session_with_a_protocol_error(bystander, frames, when):
    with bystander.attacker() as client:
        if when == "after_login":
            client.login().proxy("bad", BAD_PORT)
        else:
            client.open()
        client.mux.wire.send(*frames)
        client.wait_end()
        assert client.mux.goodbye == 1
    bystander.assert_freed()


def test_data_past_a_window_that_was_used_up_ends_the_session(bystander):
    with logged_in(bystander) as client:
        upgraded(bystander, client, read=False)
        stream = client.stream
        client.mux.open_windows = True
        sent = 0
        while not client.mux.ended and sent < 64 << 20:  # never asks how much the hub is ready for
            client.mux.frame(DATA, 0, stream.sid, 32768, bytes(32768))
            sent += 32768
            if client.mux.wire.broken:
                break
        client.wait_end()
        assert sent < 64 << 20
    bystander.assert_freed()


@pytest.mark.parametrize("kind", [DATA, WINDOW])
def test_data_after_fin_ends_the_session(bystander, kind):
    with logged_in(bystander) as client:
        browser = upgraded(bystander, client)
        client.mux.wire.send(frame(kind, FIN, client.stream.sid, 0),
                             frame(DATA, 0, client.stream.sid, 1, b"x"))
        client.wait_end()
        assert client.mux.goodbye == 1
        browser.assert_closed()
    bystander.assert_freed()


def upgraded(bystander, client, read=True):
    """A browser's connection through the attacker's tunnel; `client.stream` is its other end."""
    browser = RawClient(bystander.hub.http, receive_buffer=None if read else 4096)
    browser.get("/exapps/bad/", b"Connection: Upgrade", b"Upgrade: raw")
    client.stream = client.serve()
    client.stream.until(b"\r\n\r\n")
    client.stream.send(SWITCH)
    browser.head()
    return browser


def test_random_frames_never_reach_anyone_else(bystander):
    rng = random.Random(20240607)
    for _ in range(60):
        with bystander.attacker() as client:
            if rng.random() < 0.7:
                client.login().proxy("bad", BAD_PORT)
            else:
                client.open()
            for _ in range(rng.randrange(1, 60)):
                size = rng.choice([0, 0, 1, 9, 64, 4096])
                kind = rng.choice([DATA, DATA, WINDOW, WINDOW, WIRE_PING, GO_AWAY])
                sid = 0 if kind >= WIRE_PING else rng.choice([1, 1, 3, 3, 5, 7, 9, 2])
                flags = rng.choice([0, 0, 0, SYN, ACK, FIN, RST, SYN | FIN, FIN | RST, 15])
                client.mux.wire.send(frame(kind, flags, sid, size,
                                           rng.randbytes(size) if kind == DATA else b""))
            client.mux.wire.fin()
            client.wait_end()
    bystander.assert_freed()


def test_random_bytes_never_reach_anyone_else(bystander):
    rng = random.Random(4711)
    for number in range(40):
        with bystander.attacker(mux=number % 2 == 0) as client:
            stream = client.login().control.stream
            if number % 4 < 2:
                stream.send(rng.randbytes(rng.randrange(1, 2000)))  # undecipherable messages
            else:
                (client.mux.wire if client.mux else client.dial()).send(rng.randbytes(500))
            stream.fin()
            client.wait_end()


# ---- floods ----

FLOODS = [
    pytest.param(lambda n: frame(WIRE_PING, SYN, 0, n), id="ping"),
    pytest.param(lambda n: frame(WIRE_PING, ACK, 0, n), id="ping_answer"),
    pytest.param(lambda n: frame(DATA, 0, 1, 0), id="empty_data"),
    pytest.param(lambda n: frame(WINDOW, 0, 1, 0), id="empty_window"),
    pytest.param(lambda n: frame(WINDOW, 0, 1, 1), id="window_by_one"),
    pytest.param(lambda n: frame(WINDOW, SYN, 101 + 2 * n, 0), id="syn"),
    pytest.param(lambda n: frame(WINDOW, SYN | FIN, 101 + 2 * n, 0), id="syn_fin"),
    pytest.param(lambda n: frame(WINDOW, SYN, 101 + 2 * n, 0) +
                 frame(WINDOW, RST, 101 + 2 * n, 0), id="syn_reset"),
    pytest.param(lambda n: frame(GO_AWAY, 0, 0, 0), id="go_away"),
    pytest.param(lambda n: frame(WINDOW, ACK, 1, 0), id="ack"),
]


@pytest.mark.parametrize("when", ["before_login", "after_login"])
@pytest.mark.parametrize("make", FLOODS)
def test_flood_ends_the_session(bystander, make, when):
    with bystander.attacker() as client:
        if when == "after_login":
            client.login().proxy("bad", BAD_PORT)
        else:
            client.open()
        for start in range(0, 20000, 500):
            client.mux.wire.send(b"".join(make(number) for number in range(start, start + 500)))
            if client.mux.wire.broken:
                break
        client.wait_end()
    bystander.assert_freed()


def test_flood_of_messages_ends_the_session(bystander):
    with logged_in(bystander) as client:
        for _ in range(150):
            client.control.send(PING)
        client.wait_end()
        bystander.hub.wait_line("session bad ended: too many messages")
    bystander.assert_freed()


def test_flood_of_logins_is_only_slow(bystander):
    for number in range(100):
        with bystander.attacker(mux=number % 2 == 0) as client:
            assert client.try_login(metas={"token": "guess%d" % number})["error"]


def test_flood_of_work_connections_is_bounded(bystander):
    """Nobody asked for them: those past the pool and its spare are closed at once."""
    with logged_in(bystander) as client:
        streams = [client.work() for _ in range(300)]
        client.mux.round_trip()
        wait_for(lambda: client.mux.round_trip() or
                 sum(not (s.ended or s.was_reset) for s in streams) == 10, what="10 to be left")
        client.pinged()


# ---- numbers of streams ----

def test_streams_over_the_limit_before_the_login_are_reset(bystander):
    with bystander.attacker() as client:
        streams = [client.open() for _ in range(6)]
        client.mux.round_trip()
        assert [stream.was_reset for stream in streams] == [False] * 4 + [True] * 2


def test_streams_over_the_limit_after_the_login_are_reset_and_the_others_go_on(site):
    bystander = Bystander(site, HP_TUNNEL_MAX_STREAMS="8")
    with logged_in(bystander) as client:
        browser = upgraded(bystander, client)
        more = [client.open() for _ in range(10)]
        client.mux.round_trip()
        assert sum(stream.was_reset for stream in more) == 4
        client.stream.send(b"alive")
        assert browser.exactly(5) == b"alive"
        client.pinged()
        more[0].reset()
        late = client.open()
        client.mux.round_trip()
        assert not late.was_reset
        browser.close()
    bystander.assert_unharmed()


# ---- those that do not read, and those that stall ----

def test_peer_that_never_reads_holds_little_of_what_clients_upload(bystander):
    """Its windows are wide open, its socket is full."""
    with logged_in(bystander, receive_buffer=4096) as client:
        browsers = []
        for _ in range(20):
            browser = RawClient(bystander.hub.http)
            browser.get("/exapps/bad/", b"Content-Length: 1000000000", method="POST")
            browsers.append(browser)
            stream = client.serve()
            stream.until(b"\r\n\r\n")
            client.mux.frame(WINDOW, 0, stream.sid, 0x40000000)
        for browser in browsers:  # until nobody takes more
            browser.sock.setblocking(False)
        block = bytes(1 << 20)
        taken, quiet = 0, time.monotonic()
        while time.monotonic() - quiet < 0.3 and taken < 400 << 20:
            for browser in browsers:
                try:
                    taken += browser.sock.send(block)
                    quiet = time.monotonic()
                except BlockingIOError:
                    pass
            time.sleep(0.001)
        assert taken < 400 << 20
        bystander.assert_unharmed()
        for browser in browsers:
            browser.close()


def test_what_slow_clients_make_the_hub_hold_is_bounded(site):
    """The peer sends to clients that read nothing, as fast as its windows allow."""
    bystander = Bystander(site, HP_TUNNEL_MAX_HELD="2M", HP_TUNNEL_MAX_HELD_TOTAL="4M")
    with logged_in(bystander) as client:
        streams, browsers = [], []
        for _ in range(30):
            browsers.append(upgraded(bystander, client, read=False))
            streams.append(client.stream)
        block = bytes(32768)
        sent = dict.fromkeys((stream.sid for stream in streams), 0)
        for _ in range(200):
            for stream in streams:
                window = INITIAL_WINDOW - sent[stream.sid] + sum(
                    length for kind, flags, sid, length in client.mux.frames
                    if kind == WINDOW and sid == stream.sid and not flags)
                if window >= len(block) and not stream.was_reset:
                    client.mux.frame(DATA, 0, stream.sid, len(block), block)
                    sent[stream.sid] += len(block)
            client.mux.round_trip()
        # The session lives: streams were reset, and only as many as had to be.
        client.pinged()
        assert client.mux.goodbye is None
        dead = sum(stream.was_reset for stream in streams)
        assert 10 < dead < 30
        bystander.assert_unharmed()
        for browser in browsers:
            browser.close()


SHORT = {"HP_TUNNEL_KEEPALIVE": "200ms", "HP_TUNNEL_KEEPALIVE_TIMEOUT": "200ms"}


@pytest.mark.parametrize("how", ["silent", "mid_header", "mid_payload", "before_login"])
def test_stalled_peer_is_ended_by_the_keepalive(site, how):
    bystander = Bystander(site, **SHORT)
    with bystander.attacker() as client:
        if how == "before_login":
            client.open()
        else:
            client.login().proxy("bad", BAD_PORT)
        client.mux.answer_pings = False
        if how == "mid_header":
            client.mux.wire.send(b"\0\0\0\0\0\0")
        elif how == "mid_payload":
            stream = client.open()
            client.mux.wire.send(frame(DATA, 0, stream.sid, 1000, b"w\0\0\0"))
        began = time.monotonic()
        client.wait_end(5)
        assert 0.15 < time.monotonic() - began < 3
    bystander.assert_freed()
    bystander.assert_unharmed()


def test_peer_that_only_trickles_is_ended_by_the_keepalive(site):
    """Bytes keep coming, but no ping is ever answered."""
    bystander = Bystander(site, **SHORT)
    with logged_in(bystander) as client:
        stream = client.open()
        client.mux.wire.send(frame(DATA, 0, stream.sid, 10009, raw_message(NEW_WORK, 10000)))
        began = time.monotonic()
        while not client.mux.wire.broken and time.monotonic() - began < 6:
            client.mux.wire.send(b"x")
            time.sleep(0.02)
        assert 0.3 < time.monotonic() - began < 5
    bystander.assert_unharmed()


def test_peer_that_answers_pings_stays(site):
    bystander = Bystander(site, **SHORT)
    with logged_in(bystander) as client:
        began = time.monotonic()
        while time.monotonic() - began < 1.2:
            try:
                client.mux.pump_until(lambda: False, Deadline(0.1, "nothing in particular"))
            except Overdue:
                pass
        client.pinged()
        pings = [frame[2:] for frame in client.mux.frames if frame[:2] == (WIRE_PING, SYN)]
        assert len(pings) >= 3
    bystander.assert_unharmed()


# ---- messages ----

LIES = [
    pytest.param(raw_message(PING, 10241), id="too_long"),
    pytest.param(raw_message(PING, 1 << 62), id="huge"),
    pytest.param(raw_message(PING, -1), id="minus_one"),
    pytest.param(raw_message(PING, -(1 << 63)), id="most_negative"),
    pytest.param(raw_message(b"Z", 2, b"{}"), id="unknown_type"),
    pytest.param(raw_message(b"\0", 2, b"{}"), id="type_0"),
    pytest.param(raw_message(PING, 0), id="empty_body"),
    pytest.param(raw_message(PING, 4, b"null"), id="null"),
    pytest.param(raw_message(PING, 2, b"[]"), id="array"),
    pytest.param(raw_message(PING, 6, b'{"a":}'), id="bad_json"),
    pytest.param(raw_message(PING, 10000, b"[" * 10000), id="deep"),
    pytest.param(message(NEW_PROXY, proxy_name=7), id="number_for_text"),
    pytest.param(message(NEW_PROXY, proxy_name="x", remote_port="y"), id="text_for_number"),
    pytest.param(message(NEW_PROXY, proxy_name="x", remote_port=1e300), id="float_port"),
    pytest.param(message(NEW_PROXY, proxy_name="x", remote_port=-1), id="negative_port"),
    pytest.param(message(LOGIN, version="0.61.1"), id="login_again"),
    pytest.param(message(LOGIN_RESP, run_id="x"), id="login_resp"),
    pytest.param(message(REQ_WORK), id="req_work_conn"),
    pytest.param(message(START_WORK, proxy_name="x"), id="start_work_conn"),
    pytest.param(message(NEW_WORK, run_id="x"), id="new_work_conn"),
    pytest.param(message(b"u"), id="udp"),
    pytest.param(message(b"i"), id="nat_hole"),
]


@pytest.mark.parametrize("mux", [True, False], ids=["mux", "nomux"])
@pytest.mark.parametrize("data", LIES)
def test_bad_message_ends_the_session(bystander, data, mux):
    with logged_in(bystander, mux=mux) as client:
        client.control.send_raw(data)
        client.wait_end(3)
    bystander.assert_freed()


@pytest.mark.parametrize("data", [lie for lie in LIES if lie.id not in ("login_again", "type_0")] +
                         [pytest.param(message(PING), id="ping"),
                          pytest.param(message(NEW_PROXY, proxy_name="x"), id="new_proxy")])
def test_bad_first_message_ends_the_stream(bystander, data):
    with bystander.attacker(mux=False) as client:
        wire = client.dial()
        wire.send(data)
        said = wire.rest(3)
        assert said == b"" or data[:1] == NEW_WORK


def test_good_message_after_a_bad_one_is_not_read(bystander):
    with logged_in(bystander) as client:
        client.control.send_raw(raw_message(b"Z", 2, b"{}") + message(PING))
        client.wait_end(3)
        assert not any(kind == PING for kind, _ in client.control.backlog)


# ---- many who do nothing ----

def test_connections_that_come_and_go_leave_nothing(bystander):
    before = bystander.hub.open_files()
    for number in range(300):
        wire = Wire.dial(bystander.hub.ports["frp"], first=b"" if number % 3 else b"\0")
        wire.close()
    wait_for(lambda: bystander.hub.open_files() <= before + 2, what="the hub to close them")
