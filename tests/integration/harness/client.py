"""The near side: a client that sends exactly the bytes a test wants, and reads with deadlines."""
import socket
import ssl

from .wait import Deadline, Overdue
from .wire import Reader


class RawClient:
    """One connection to the hub. Use it as a context manager; it closes itself.

    address: (host, port), or the path of a unix socket.
    source: the address to connect from, one of 127.0.0.0/8.
    """

    def __init__(self, address, tls=None, server_name=None, receive_buffer=None, source=None):
        inet = isinstance(address, tuple)
        self.sock = socket.socket(socket.AF_INET if inet else socket.AF_UNIX, socket.SOCK_STREAM)
        if source:
            self.sock.bind((source, 0))
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        deadline = Deadline(what=f"a connection to {address}")
        self.sock.settimeout(deadline.left())
        self.sock.connect(address if inet else str(address))
        if inet:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname=server_name)
        self.reader = Reader(self._recv)
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _recv(self, deadline):
        self.sock.settimeout(deadline.left())
        try:
            piece = self.sock.recv(262144)
        except (socket.timeout, TimeoutError):
            raise Overdue(f"waited {deadline.seconds:.1f} s for {deadline.what}; "
                          f"received so far: {self.received[-300:]!r}") from None
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
            return b""
        if len(self.received) < 65536:
            self.received += piece
        return piece

    def send(self, *pieces, seconds=None):
        """Sends everything; a peer that hung up meanwhile is seen when reading."""
        deadline = Deadline(seconds, "the peer to read")
        try:
            for piece in pieces:
                self.sock.settimeout(deadline.left())
                self.sock.sendall(piece)
        except (ConnectionResetError, BrokenPipeError):
            pass
        except (socket.timeout, TimeoutError):
            raise Overdue("the peer does not read") from None

    def get(self, target, *fields, method="GET", body=b"", host=b"hub.test"):
        """Sends a good request; fields are raw lines without CRLF."""
        lines = [b"%s %s HTTP/1.1" % (method.encode(), target.encode()), b"Host: " + host, *fields]
        if body:
            lines.append(b"Content-Length: %d" % len(body))
        self.send(b"\r\n".join(lines) + b"\r\n\r\n" + body)

    def response(self, method="GET", seconds=None):
        return self.reader.response(Deadline(seconds, "an answer"), method)

    def ask(self, target, *fields, method="GET", body=b"", seconds=None):
        self.get(target, *fields, method=method, body=body)
        return self.response(method, seconds)

    def head(self, seconds=None):
        return self.reader.head(Deadline(seconds, "a head"))

    def exactly(self, count, seconds=None):
        return self.reader.exactly(count, Deadline(seconds, f"{count} bytes"))

    def until(self, mark, seconds=None):
        return self.reader.until(mark, Deadline(seconds, repr(mark)))

    def rest(self, seconds=None):
        """All bytes up to the end; raises Overdue when the peer keeps the connection."""
        return self.reader.rest(Deadline(seconds, "the end of the connection"))

    def assert_closed(self, seconds=None):
        """The peer ends the connection, and says nothing more before."""
        extra = self.rest(seconds)
        assert extra == b"", f"more bytes before the end: {extra[:300]!r}"

    def assert_open(self, seconds=0.1):
        """Nothing comes and nothing ends for that long."""
        try:
            piece = self.reader.recv(Deadline(seconds, "nothing"))
        except Overdue:
            return
        assert piece, "the connection was ended"
        raise AssertionError(f"unexpected bytes {piece[:300]!r}")

    def end(self):
        """Says that nothing more will be sent; still reads."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the peer hung up already; reading will tell

    def reset(self):
        """Ends the connection with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def close(self):
        self.sock.close()


def fetch(address, target, *fields, method="GET", body=b"", seconds=None):
    """One request on a connection of its own."""
    with RawClient(address) as client:
        return client.ask(target, *fields, b"Connection: close", method=method, body=body,
                          seconds=seconds)
