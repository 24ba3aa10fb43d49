"""An frp client and an frp server, wire v1, made of bytes: every rule can be broken on purpose.

Nothing happens behind a test's back: there are no threads, a session moves when the test reads
from it. Wire is a socket, Mux a yamux session over one, MuxStream a stream of it; Wire and
MuxStream read alike, so that everything above works with tcpMux on and off. Control speaks the
messages of the control stream, encrypted after the login. FrpClient logs in at a hub, FrpServer
is what harp-tunnel-client logs in at.
"""
import hashlib
import json
import os
import pathlib
import socket
import ssl
import struct
import time

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from .programs import SHARED_KEY
from .wait import Deadline, Overdue
from .wire import Reader

# ---- messages: type(1) | length(8, signed) | JSON ----

LOGIN, LOGIN_RESP, NEW_PROXY, NEW_PROXY_RESP = b"o", b"1", b"p", b"2"
CLOSE_PROXY, REQ_WORK, NEW_WORK, START_WORK = b"c", b"r", b"w", b"s"
PING, PONG, NEW_VISITOR, NEW_VISITOR_RESP = b"h", b"4", b"v", b"3"


def message(kind, **fields):
    body = json.dumps(fields, separators=(",", ":")).encode()
    return raw_message(kind, len(body), body)


def raw_message(kind, length, body=b""):
    """A message whose length may be a lie."""
    return kind + struct.pack(">q", length) + body


def split_messages(data):
    """All messages in a recorded or decrypted stretch: ([(kind, fields)], what is left over)."""
    found = []
    while len(data) >= 9:
        length, = struct.unpack(">q", data[1:9])
        if len(data) < 9 + length:
            break
        found.append((data[:1], json.loads(data[9:9 + length])))
        data = data[9 + length:]
    return found, data


def read_message(stream, seconds=None):
    head = stream.exactly(9, seconds)
    length, = struct.unpack(">q", head[1:])
    assert 0 <= length <= 10240, f"message {head[:1]!r} of {length} bytes"
    return head[:1], json.loads(stream.exactly(length, seconds))


def privilege_key(auth_token, timestamp):
    return hashlib.md5(f"{auth_token}{timestamp}".encode()).hexdigest()


def cfb(auth_token, iv):
    key = hashlib.pbkdf2_hmac("sha1", auth_token.encode(), b"frp", 64, 16)
    return Cipher(algorithms.AES(key), modes.CFB(iv))


# ---- bytes ----

class _Readable:
    """Reading with deadlines; a subclass has recv(deadline)."""

    def __init__(self):
        self.reader = Reader(self.recv)

    def exactly(self, count, seconds=None):
        return self.reader.exactly(count, Deadline(seconds, f"{count} bytes from the peer"))

    def until(self, mark, seconds=None):
        return self.reader.until(mark, Deadline(seconds, repr(mark)))

    def rest(self, seconds=None):
        """Everything to the end of the stream."""
        return self.reader.rest(Deadline(seconds, "the end of the stream"))

    def assert_silent(self, seconds=0.15):
        """Nothing comes and nothing ends for that long."""
        try:
            piece = self.reader.recv(Deadline(seconds, "nothing"))
        except Overdue:
            return
        raise AssertionError(f"unexpected {piece[:200]!r}" if piece else "the stream was ended")


class Wire(_Readable):
    """A TCP connection, with TLS or without."""

    def __init__(self, sock):
        super().__init__()
        self.sock = sock
        self.broken = False  # reset, or written to after its end
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def dial(cls, port, context=None, first=b"", name="harp.nc", receive_buffer=None, source=None):
        """Connects, from the address `source`; `first` goes out before the TLS handshake."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            sock.bind((source, 0))
        sock.settimeout(Deadline().left())
        sock.connect(("127.0.0.1", port))
        try:
            if first:
                sock.sendall(first)
            if context:
                sock = context.wrap_socket(sock, server_hostname=name)
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    def recv(self, deadline):
        try:
            self.sock.settimeout(deadline.left())
            return self.sock.recv(262144)
        except (socket.timeout, TimeoutError, ssl.SSLWantReadError):
            raise Overdue(f"waited {deadline.seconds:.1f} s for {deadline.what}") from None
        except (OSError, ssl.SSLError):
            self.broken = True
            return b""

    def send(self, *pieces, seconds=None):
        """A peer that hung up meanwhile is seen when reading."""
        deadline = Deadline(seconds, "the peer to read")
        try:
            for piece in pieces:
                self.sock.settimeout(deadline.left())
                self.sock.sendall(piece)
        except (socket.timeout, TimeoutError, ssl.SSLWantWriteError):
            raise Overdue("the peer does not read") from None
        except (OSError, ssl.SSLError):
            self.broken = True

    def fin(self):
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.broken = True

    def wait_end(self, seconds=None):
        self.rest(seconds)

    def close(self):
        self.sock.close()


# ---- yamux ----

DATA, WINDOW, WIRE_PING, GO_AWAY = 0, 1, 2, 3
SYN, ACK, FIN, RST = 1, 2, 4, 8
INITIAL_WINDOW = 256 * 1024
FRP_WINDOW = 6 * 1024 * 1024 - INITIAL_WINDOW  # what frp adds with each SYN and ACK


def frame(kind, flags, sid, length, payload=b"", version=0):
    return struct.pack(">BBHII", version, kind, flags, sid, length) + payload


class MuxStream(_Readable):
    def __init__(self, mux, sid):
        super().__init__()
        self.mux = mux
        self.sid = sid
        self.window = INITIAL_WINDOW  # what we may send
        self.pieces = []
        self.ended = self.was_reset = self.acked = False

    def recv(self, deadline):
        self.mux.pump_until(lambda: self.pieces or self.ended or self.was_reset, deadline)
        if self.pieces:
            piece = b"".join(self.pieces)
            self.pieces.clear()
            if self.mux.open_windows:
                self.mux.frame(WINDOW, 0, self.sid, len(piece))
            return piece
        return b""

    def send(self, *pieces, seconds=None):
        """Keeps to the window; raw frames go through mux.frame."""
        deadline = Deadline(seconds, "the peer to open the window")
        for piece in pieces:
            while piece and not self.was_reset and not self.mux.ended:
                if self.window == 0:
                    self.mux.pump_until(lambda: self.window or self.was_reset, deadline)
                    continue
                part = piece[:min(self.window, 32768)]
                piece = piece[len(part):]
                self.window -= len(part)
                self.mux.frame(DATA, 0, self.sid, len(part), part)

    def fin(self):
        self.mux.frame(WINDOW, FIN, self.sid, 0)

    def reset(self):
        self.mux.frame(WINDOW, RST, self.sid, 0)

    def wait_end(self, seconds=None):
        """FIN, RST, or the end of the session."""
        self.rest(seconds)

    close = fin


class Mux:
    """A yamux session. The client opens odd ids. Answers pings while it is read from."""

    def __init__(self, wire, client=True):
        self.wire = wire
        self.client = client
        self.streams = {}
        self.arrived = []  # streams the peer opened, not accepted yet
        self.next_id = 1
        self.frames = []   # (kind, flags, id, length) of all that came
        self.answer_pings = self.open_windows = True
        self.ended = False
        self.goodbye = None  # code of the peer's GO_AWAY

    def frame(self, kind, flags, sid, length, payload=b"", version=0):
        self.wire.send(frame(kind, flags, sid, length, payload, version))

    def open(self, sid=None, window=0):
        sid = sid or self.next_id
        self.next_id = sid + 2
        stream = self.streams[sid] = MuxStream(self, sid)
        self.frame(WINDOW, SYN, sid, window)
        return stream

    def accept(self, seconds=None):
        """The next stream that the peer opens."""
        self.pump_until(lambda: self.arrived, Deadline(seconds, "a stream of the peer"))
        if not self.arrived:
            raise EOFError("the session ended before another stream came")
        stream = self.arrived.pop(0)
        self.frame(WINDOW, ACK, stream.sid, 0)
        return stream

    def pump_until(self, condition, deadline):
        while not condition() and not self.ended:
            self.pump(deadline)

    def pump(self, deadline):
        """Takes one frame."""
        try:
            head = self.wire.reader.exactly(12, deadline)
            version, kind, flags, sid, length = struct.unpack(">BBHII", head)
            assert version == 0 and kind <= 3 and flags < 16, head
            payload = self.wire.reader.exactly(length, deadline) if kind == DATA else b""
        except EOFError:
            self.ended = True
            for stream in self.streams.values():
                stream.ended = True
            return
        self.frames.append((kind, flags, sid, length))
        if kind == WIRE_PING:
            if flags & SYN and self.answer_pings:
                self.frame(WIRE_PING, ACK, 0, length)
        elif kind == GO_AWAY:
            self.goodbye = length
        else:
            self._stream_frame(kind, flags, sid, length, payload)

    def _stream_frame(self, kind, flags, sid, length, payload):
        stream = self.streams.get(sid)
        if flags & SYN:
            assert stream is None and not self.client and sid % 2 == 1, (flags, sid)
            stream = self.streams[sid] = MuxStream(self, sid)
            self.arrived.append(stream)
        if stream is None:
            return
        if kind == WINDOW:
            stream.window += length
        elif payload:
            stream.pieces.append(payload)
        stream.acked |= bool(flags & ACK)
        stream.ended |= bool(flags & FIN)
        stream.was_reset |= bool(flags & RST)

    def wait_end(self, seconds=None):
        """Until the connection ends; `goodbye` tells how."""
        deadline = Deadline(seconds, "the end of the session")
        self.pump_until(lambda: False, deadline)

    def round_trip(self, seconds=None):
        """The peer has taken everything that was sent before."""
        token = int.from_bytes(os.urandom(4), "big")
        self.frame(WIRE_PING, SYN, 0, token)
        self.pump_until(lambda: (WIRE_PING, ACK, 0, token) in self.frames,
                        Deadline(seconds, "a yamux ping's answer"))
        assert not self.ended, "the session ended"

    def close(self):
        self.wire.close()


# ---- the control stream ----

class Control:
    """Messages of a control stream. In clear until encrypt()."""

    def __init__(self, stream, auth_token=""):
        self.stream = stream
        self.auth_token = auth_token
        self.secret = False
        self.encryptor = self.decryptor = None
        self.plain = b""
        self.backlog = []  # came while waiting for others

    def encrypt(self):
        self.secret = True

    def seal(self, data):
        if not self.secret:
            return data
        iv = b""
        if not self.encryptor:
            iv = os.urandom(16)
            self.encryptor = cfb(self.auth_token, iv).encryptor()
        return iv + self.encryptor.update(data)

    def send(self, kind, **fields):
        self.stream.send(self.seal(message(kind, **fields)))

    def send_raw(self, data):
        """Any plain bytes, encrypted."""
        self.stream.send(self.seal(data))

    def _need(self, count, deadline):
        while len(self.plain) < count:
            if self.secret and not self.decryptor:
                iv = self.stream.reader.exactly(16, deadline)
                self.decryptor = cfb(self.auth_token, iv).decryptor()
            if not self.stream.reader.held and not self.stream.reader.more(deadline):
                raise EOFError("the control stream ended")
            piece = self.stream.reader.held
            self.stream.reader.held = b""
            self.plain += self.decryptor.update(piece) if self.secret else piece

    def next(self, seconds=None):
        """(kind, fields) of the next message."""
        if self.backlog:
            return self.backlog.pop(0)
        return self._next(Deadline(seconds, "a control message"))

    def _next(self, deadline):
        if not self.secret:
            return read_message(self.stream, deadline.left())
        self._need(9, deadline)
        length, = struct.unpack(">q", self.plain[1:9])
        assert 0 <= length <= 10240, f"undecipherable: {self.plain[:9]!r}"
        self._need(9 + length, deadline)
        found, self.plain = split_messages(self.plain[:9 + length])[0][0], self.plain[9 + length:]
        return found

    def wait(self, kind, seconds=None):
        """The fields of the next message of that kind; others are kept."""
        for number, (had, fields) in enumerate(self.backlog):
            if had == kind:
                del self.backlog[number]
                return fields
        deadline = Deadline(seconds, f"a message {kind!r}")
        while True:
            came, fields = self._next(deadline)
            if came == kind:
                return fields
            self.backlog.append((came, fields))


# ---- a client ----

def client_tls(certs, pair=None):
    """The TLS context of a client with the hub's client certificate, or with a pair of files,
    certificate and key (harness/certificates.py)."""
    frp = pathlib.Path(certs) / "frp"
    context = ssl.create_default_context(cafile=str(frp / "ca.crt"))
    context.load_cert_chain(*(pair or (frp / "client.crt", frp / "client.key")))
    return context


class FrpClient:
    """frpc by hand, at a hub. Use it as a context manager. token: what it logs in with, or None;
    certificate: a pair of files, or None for the one that all have."""

    def __init__(self, hub, tls=True, mux=True, auth_token="", receive_buffer=None,
                 token=SHARED_KEY, certificate=None):
        self.port = hub.ports["frp"]
        self.context = client_tls(hub.certs, certificate) if tls else None
        self.with_mux = mux
        self.auth_token = auth_token
        self.token = token
        self.receive_buffer = receive_buffer
        self.mux = self.control = None
        self.run_id = ""
        self.wires = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for wire in self.wires:
            wire.close()

    def dial(self, first=b""):
        wire = Wire.dial(self.port, self.context, first, receive_buffer=self.receive_buffer)
        self.wires.append(wire)
        return wire

    def open(self):
        """A stream, or with tcpMux off a connection."""
        if not self.with_mux:
            return self.dial()
        if not self.mux:
            self.mux = Mux(self.dial())
        return self.mux.open(window=FRP_WINDOW)

    def login_fields(self, **changes):
        now = int(time.time())
        fields = {"version": "0.61.1", "os": "linux", "arch": "amd64", "timestamp": now,
                  "privilege_key": privilege_key(self.auth_token, now),
                  "metas": {"token": self.token} if self.token is not None else None,
                  "pool_count": 0}
        fields.update(changes)
        return {key: value for key, value in fields.items() if value is not None}

    def try_login(self, **changes):
        """Logs in, and returns LoginResp, good or not."""
        self.control = Control(self.open(), self.auth_token)
        self.control.send(LOGIN, **self.login_fields(**changes))
        kind, reply = self.control.next()
        assert kind == LOGIN_RESP
        self.control.encrypt()
        self.run_id = reply.get("run_id", "")
        return reply

    def login(self, **changes):
        reply = self.try_login(**changes)
        assert not reply.get("error"), reply
        return self

    def try_proxy(self, name="sample", port=23005, **fields):
        self.control.send(NEW_PROXY, proxy_name=name, proxy_type=fields.pop("type", "tcp"),
                          remote_port=port, **fields)
        return self.control.wait(NEW_PROXY_RESP)

    def proxy(self, name="sample", port=23005, **fields):
        reply = self.try_proxy(name, port, **fields)
        assert not reply.get("error"), reply
        return self

    def work(self, run_id=None):
        """Offers a work connection."""
        stream = self.open()
        stream.send(message(NEW_WORK, run_id=self.run_id if run_id is None else run_id))
        return stream

    def serve(self, seconds=None):
        """Waits for ReqWorkConn, offers a connection, and waits until it is started."""
        self.control.wait(REQ_WORK, seconds)
        return started(self.work(), seconds)

    def pinged(self):
        """The hub has dealt with everything sent on the control stream before."""
        self.control.send(PING)
        return self.control.wait(PONG)

    def wait_end(self, seconds=None):
        """The hub ends the session's connection (tcpMux off: the control connection)."""
        (self.mux or self.control.stream).wait_end(seconds)


def started(stream, seconds=None):
    """Reads StartWorkConn: the stream, with its fields as `origin`."""
    kind, stream.origin = read_message(stream, seconds)
    assert kind == START_WORK, kind
    return stream


# ---- a server ----

class FrpServer:
    """frps by hand: what a tunnel client connects to. session() takes the next one."""

    def __init__(self, certs=None, mux=True, auth_token="", port=0):
        self.with_mux = mux
        self.auth_token = auth_token
        self.context = None
        if certs:
            frp = pathlib.Path(certs) / "frp"
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(frp / "server.crt", frp / "server.key")
            self.context.load_verify_locations(frp / "ca.crt")
            self.context.verify_mode = ssl.CERT_REQUIRED
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.wires = []

    def accept(self, seconds=None):
        """The next TCP connection, after its handshake."""
        deadline = Deadline(seconds, "a connection of the client")
        self.listener.settimeout(deadline.left())
        try:
            sock, _ = self.listener.accept()
        except (socket.timeout, TimeoutError):
            raise Overdue(f"no connection of the client in {deadline.seconds:.1f} s") from None
        sock.settimeout(deadline.left())
        if self.context:
            sock = self.context.wrap_socket(sock, server_side=True)
        wire = Wire(sock)
        self.wires.append(wire)
        return wire

    def session(self, answer=True, seconds=None, **reply):
        """Accepts a connection and reads its Login; answers it, unless told not to."""
        return FrpSession(self, self.accept(seconds), answer, reply)

    def refuse_all(self):
        self.listener.close()

    def close(self):
        self.listener.close()
        for wire in self.wires:
            wire.close()


class FrpSession:
    """A client that logged in. `login` holds its Login."""

    def __init__(self, server, wire, answer, reply):
        self.server = server
        self.wire = wire
        self.mux = Mux(wire, client=False) if server.with_mux else None
        self.control = Control(self.mux.accept() if self.mux else wire, server.auth_token)
        kind, self.login = self.control.next()
        assert kind == LOGIN, kind
        if answer:
            self.answer(**(reply or {"run_id": self.login.get("run_id") or os.urandom(8).hex()}))

    def answer(self, **fields):
        self.run_id = fields.get("run_id", "")
        self.control.send(LOGIN_RESP, version="0.61.1", **fields)
        self.control.encrypt()

    def proxy(self, error=None, seconds=None):
        """Reads a NewProxy and answers it: its fields."""
        asked = self.control.wait(NEW_PROXY, seconds)
        extra = {"error": error} if error else {"remote_addr": f":{asked['remote_port']}"}
        self.control.send(NEW_PROXY_RESP, proxy_name=asked["proxy_name"], **extra)
        return asked

    def ask_work(self, seconds=None):
        """A work connection that the client was asked for; not started yet."""
        self.control.send(REQ_WORK)
        stream = self.mux.accept(seconds) if self.mux else self.server.accept(seconds)
        kind, stream.introduction = read_message(stream, seconds)
        assert kind == NEW_WORK, kind
        return stream

    def start(self, name="sample", seconds=None, error=None):
        """A work connection that carries a client's bytes."""
        stream = self.ask_work(seconds)
        fields = {"error": error} if error else {
            "src_addr": "192.0.2.7", "src_port": 4711, "dst_addr": "127.0.0.1", "dst_port": 23005}
        stream.send(message(START_WORK, proxy_name=name, **fields))
        return stream

    def cut(self):
        """The connection is gone."""
        self.wire.close()
