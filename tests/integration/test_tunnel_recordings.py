"""Recorded sessions of the real frpc and frps (tests/data/frp-transcripts), replayed against the
hub as the client's side, and against harp-tunnel-client as the server's side.

What a recording determines is compared byte by byte; what it can't (run_ids, random IVs, ports of
a test) is decoded and compared field by field.
"""
import json
import pathlib
import signal
import socket
import struct

import pytest

from harness import RawClient, TunnelClient, app
from harness.frp_peer import (CLOSE_PROXY, DATA, FRP_WINDOW, LOGIN, LOGIN_RESP, NEW_PROXY,
                              NEW_PROXY_RESP, NEW_WORK, PING, PONG, REQ_WORK, START_WORK, Control,
                              FrpServer, Mux, MuxStream, Wire, cfb, message, read_message,
                              split_messages, started)

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "data" / "frp-transcripts"
PORT = 23005


def frames_of(data):
    """yamux frames with their payloads: (kind, flags, id, payload)."""
    while len(data) >= 12:
        _, kind, flags, sid, length = struct.unpack(">BBHII", data[:12])
        size = length if kind == DATA else 0
        yield kind, flags, sid, data[12:12 + size]
        data = data[12 + size:]


def first_message(data):
    """(kind, fields, bytes of it, the rest)."""
    size = 9 + struct.unpack(">q", data[1:9])[0]
    (kind, fields), = split_messages(data[:size])[0]
    return kind, fields, data[:size], data[size:]


class Recording:
    """A recorded session: its first login, and the work connections of that session.

    login, login_resp: (kind, fields, raw, rest); client, server: the messages after them, decoded;
    works: [(bytes of the client, bytes of the server)].
    """

    def __init__(self, name):
        raw = json.loads((FOLDER / f"{name}.json").read_text())
        self.options = raw["options"]
        self.mux = self.options["tcpMux"]
        self.server_token = self.options["auth.token"] or ""
        self.client_token = self.options["client_token"] or ""
        self.result = raw["user_result"]
        self.raw = [(s["conn"], s["dir"] == "c2s", bytes.fromhex(s["hex"]))
                    for s in raw["segments"]]
        streams = self._streams()
        control = next(pair for pair in streams if pair[0][:1] == LOGIN)
        self.control = control
        self.login = first_message(control[0])
        self.login_resp = first_message(control[1])
        self.client = self._decrypt(self.login[3], self.client_token)
        self.server = self._decrypt(self.login_resp[3], self.server_token)
        run_id = self.login_resp[1].get("run_id")
        self.works = [pair for pair in streams if pair[0][:1] == NEW_WORK
                      and first_message(pair[0])[1]["run_id"] == run_id]

    def _streams(self):
        """[client's bytes, server's bytes] of each logical connection, in order of appearance."""
        found, connections = {}, {}
        for conn, from_client, data in self.raw:
            pair = connections.setdefault(conn, [b"", b""])
            pair[0 if from_client else 1] += data
        for conn, pair in connections.items():
            if not self.mux:
                found[conn] = pair
                continue
            for side in (0, 1):
                for kind, _, sid, payload in frames_of(pair[side]):
                    if kind == DATA:
                        found.setdefault((conn, sid), [b"", b""])[side] += payload
        return list(found.values())

    @staticmethod
    def _decrypt(data, token):
        if len(data) <= 16:
            return []
        return split_messages(cfb(token, data[:16]).decryptor().update(data[16:]))[0]

    def of_client(self, kind):
        return [fields for had, fields in self.client if had == kind]

    def of_server(self, kind):
        return [fields for had, fields in self.server if had == kind]


NAMES = sorted(path.stem for path in FOLDER.glob("*.json") if "websocket" not in path.stem)
SERVED = [name for name in NAMES
          if "enc0_comp0" in name or "pool5" in name or "cross" in name or "idle70" in name]


@pytest.fixture(params=NAMES)
def recording(request):
    return Recording(request.param)


def hub_for(site, recording):
    """A hub with the secrets of the recorded server."""
    return site.hub(app(), settings={
        "HP_FRP_DISABLE_TLS": "true", "HP_FRP_AUTH_TOKEN": recording.server_token,
        "HP_SHARED_KEY": recording.login[1]["metas"]["token"]})


# ---- the recorded client, at our hub ----

def test_recorded_client_is_answered_as_recorded(site, recording):
    """Its bytes go out unchanged, so ports are those of the recording, outside of our ranges."""
    hub = hub_for(site, recording)
    wire = Wire.dial(hub.ports["frp"])
    site.add(wire)
    if recording.mux:
        mux = Mux(wire)
        stream = mux.streams[1] = MuxStream(mux, 1)
        mux.answer_pings = mux.open_windows = False
    else:
        stream = wire
    for conn, from_client, data in recording.raw:
        if from_client and conn == 0:
            wire.send(data)
    control = Control(stream, recording.server_token)
    kind, reply = control.next()
    assert kind == LOGIN_RESP
    error = recording.login_resp[1].get("error", "")
    if error and "plugin" not in error:  # frps asks a plugin, the hub does not
        assert reply["error"] == error and "run_id" not in reply
        assert stream.rest() == b""
        return
    assert reply["run_id"] and "error" not in reply and reply["version"]
    control.encrypt()
    for proxy in recording.of_client(NEW_PROXY):
        answer = control.wait(NEW_PROXY_RESP)
        assert answer["proxy_name"] == proxy["proxy_name"]
        if proxy.get("use_encryption") or proxy.get("use_compression"):
            assert "not supported" in answer["error"]
        else:
            assert answer == {"proxy_name": "ref", "error": "port not allowed"}
        if "error" in recording.of_server(NEW_PROXY_RESP)[0]:
            assert answer == recording.of_server(NEW_PROXY_RESP)[0]
    for _ in recording.of_client(PING):
        assert control.wait(PONG) == {}
    for _ in range(min(recording.login[1].get("pool_count", 0), 5)):
        assert control.wait(REQ_WORK) == {}
    assert control.backlog == []


@pytest.mark.parametrize("name", SERVED)
def test_recorded_client_serves_a_request_through_our_hub(site, name):
    """Login and answer as recorded; run_id and port are ours."""
    recording = Recording(name)
    hub = hub_for(site, recording)

    def dial():
        return site.add(Wire.dial(hub.ports["frp"]))

    mux = Mux(dial()) if recording.mux else None
    stream = mux.open(window=FRP_WINDOW) if mux else dial()
    stream.send(recording.login[2])
    kind, reply = read_message(stream)
    assert kind == LOGIN_RESP and not reply.get("error")
    control = Control(stream, recording.server_token)
    control.encrypt()
    proxy = dict(recording.of_client(NEW_PROXY)[0], remote_port=PORT)
    control.send(NEW_PROXY, **proxy)
    assert control.wait(NEW_PROXY_RESP) == {"proxy_name": "ref", "remote_addr": f":{PORT}"}
    served = [work for work in recording.works if work[1]]
    assert served
    for from_client, from_server in served:
        theirs = first_message(from_server)[1]
        _, _, _, answer = first_message(from_client)
        browser = site.add(RawClient(hub.http))
        browser.get("/exapps/sample/hello")
        control.wait(REQ_WORK)
        work = mux.open(window=FRP_WINDOW) if mux else dial()
        work.send(message(NEW_WORK, run_id=reply["run_id"]))
        ours = started(work).origin
        assert sorted(ours) == sorted(theirs) and ours["proxy_name"] == theirs["proxy_name"]
        work.until(b"\r\n\r\n")
        work.send(answer)
        work.fin()
        got = browser.response()
        assert got.status == 200 and answer.endswith(b"\r\n\r\n" + got.body)


# ---- the recorded server, at our client ----

class Service:
    """The local service: accepts one connection after the other."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.target = self.listener.getsockname()

    def accept(self):
        self.listener.settimeout(10)
        sock = self.listener.accept()[0]
        sock.settimeout(10)
        return sock

    def close(self):
        self.listener.close()


def test_client_meets_the_recorded_server(site, recording):
    """The recorded server's bytes of the control stream go out unchanged."""
    proxies = recording.of_client(NEW_PROXY)
    port = proxies[0]["remote_port"] if proxies else recording.options["remotePort"]
    service = site.add(Service())
    frps = site.add(FrpServer(mux=recording.mux, auth_token=recording.client_token))
    extra = (f'auth.token = "{recording.client_token}"\n'
             f"transport.tcpMux = {str(recording.mux).lower()}\nlog.level = \"debug\"\n"
             f"transport.heartbeatInterval = -1\n"
             f"transport.poolCount = {recording.login[1].get('pool_count', 1)}")
    client = TunnelClient(site._folder("client"), frps.port, [("ref", port, service.target)],
                          token=recording.login[1]["metas"]["token"], extra=extra)
    site.things.insert(0, client)

    session = frps.session(answer=False)
    theirs, ours = recording.login[1], session.login
    for key in ("metas", "os", "arch", "pool_count"):
        assert ours.get(key) == theirs.get(key), key
    assert len(ours["privilege_key"]) == len(theirs["privilege_key"])
    session.control.stream.send(recording.login_resp[2])
    error = recording.login_resp[1].get("error")
    if error:
        client.wait_line("login refused", error)
        return
    session.control.encrypt()
    asked = session.control.wait(NEW_PROXY)
    for proxy in proxies[:1]:
        assert asked == {key: value for key, value in proxy.items()
                         if key not in ("use_encryption", "use_compression")}

    session.control.stream.send(recording.login_resp[3])
    wanted = len(recording.of_server(REQ_WORK))
    works = []
    for _ in range(wanted):
        stream = session.mux.accept() if session.mux else frps.accept()
        kind, fields = read_message(stream)
        raw = first_message(recording.works[0][0])
        assert (kind, fields) == (NEW_WORK, {"run_id": recording.login_resp[1]["run_id"]})
        assert set(fields) <= set(raw[1])
        works.append(stream)
    for answer in recording.of_server(NEW_PROXY_RESP)[:1]:
        if "error" in answer:
            client.wait_line("proxy ref refused", answer["error"], "next try in ")
            return
    client.wait_line("proxy ref ready")
    if proxies[0].get("use_encryption") or proxies[0].get("use_compression"):
        return  # refused by our programs' settings; the control stream is all there is to see

    for from_client, from_server in recording.works:
        if not from_server:
            continue
        kind, _, _, request = first_message(from_server)
        assert kind == START_WORK
        _, _, _, answer = first_message(from_client)
        stream = works.pop(0)
        stream.send(from_server)
        local = service.accept()
        got = b""
        while len(got) < len(request):
            piece = local.recv(65536)
            assert piece, "ended too early"
            got += piece
        assert got == request
        local.sendall(answer)
        local.close()
        assert stream.rest() == answer
        stream.fin()
    client.signal(signal.SIGTERM)
    assert session.control.wait(CLOSE_PROXY) == {"proxy_name": "ref"}
    assert client.wait() == 0
