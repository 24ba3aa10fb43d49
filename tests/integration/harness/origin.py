"""The far side: an ExApp made of raw bytes.

Every connection has a thread that reads requests strictly, keeps what it read, and hands each to
`answer`. A test sets `answer` to bytes, or to a function of (connection, request) that sends what
it likes and returns bytes to send, None to go on, or CLOSE to hang up. Threads end when the
origin is closed: all sockets are closed then, and every wait has a deadline besides.
"""
import os
import socket
import ssl
import threading

from .wait import Deadline, Overdue, wait_for
from .wire import Malformed, REQUEST, Reader

CLOSE = object()
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Request:
    """A request as the origin got it."""

    def __init__(self, connection, head):
        match = REQUEST.match(head.start)
        if not match:
            raise Malformed(f"bad request line {head.start!r}")
        self.connection = connection
        self.head = head
        self.method = match.group(1).decode()
        self.target = match.group(2).decode("latin-1")
        self.minor = int(match.group(3))
        self.body = None
        self.trailers = []

    def __repr__(self):
        return f"<{self.method} {self.target}>"


class Connection:
    """One accepted connection. `received` holds its first megabyte, `ended` once EOF was seen."""

    def __init__(self, origin, sock, number):
        self.origin = origin
        self.sock = sock
        self.number = number
        self.received = b""
        self.total = 0
        self.ended = threading.Event()
        self.requests = []
        self.reader = Reader(self.recv)

    def recv(self, deadline, size=262144):
        self.sock.settimeout(deadline.left())
        try:
            piece = self.sock.recv(size)
        except (socket.timeout, TimeoutError):
            raise Overdue(f"waited for {deadline.what}") from None
        except OSError:
            piece = b""
        if not piece:
            self.ended.set()
        self.total += len(piece)
        if len(self.received) < 1 << 20:
            self.received += piece
        return piece

    def send(self, *pieces, seconds=None):
        deadline = Deadline(seconds, "the hub to read")
        try:
            for piece in pieces:
                self.sock.settimeout(deadline.left())
                self.sock.sendall(piece)
        except (ConnectionResetError, BrokenPipeError):
            self.ended.set()
        except (socket.timeout, TimeoutError):
            raise Overdue("the hub does not read") from None

    def read_body(self, request, seconds=None):
        """Reads the body that a request announces, for origins with lazy=True."""
        deadline = Deadline(seconds, "a request body")
        request.body, request.trailers, _ = self.reader.body(request.head, deadline)
        return request.body

    def exactly(self, count, seconds=None):
        return self.reader.exactly(count, Deadline(seconds, f"{count} bytes"))

    def rest(self, seconds=None):
        return self.reader.rest(Deadline(seconds, "the end from the hub"))

    def end(self):
        """Half-close: nothing more comes from here."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close()

    def close(self):
        try:
            # close() alone would leave a recv() in another thread waiting.
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


class RawOrigin:
    """Listens on 127.0.0.1 (a free port, or the one given) or, with path, on a unix socket.

    lazy: the answer is asked for once the head is there; the test reads the body itself.
    keep: False forgets requests once answered, for origins that run for hours.
    """

    CLOSE = CLOSE

    def __init__(self, answer=OK, path=None, lazy=False, receive_buffer=None, idle=60.0,
                 listen=("127.0.0.1", 0), keep=True, tls=None):
        self.answer = answer
        self.lazy = lazy
        self.idle = idle
        self.keep = keep
        self.path = str(path) if path else None
        self.requests = []
        self.connections = []
        self.errors = []
        self.lock = threading.Condition()
        family = socket.AF_UNIX if path else socket.AF_INET
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if not path and listen[1]:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(self.path or tuple(listen))
        self.listener.listen(1024)
        self.port = 0 if path else self.listener.getsockname()[1]
        self.threads = []
        self.closing = False
        self.tls = tls  # an SSLContext, or None; handshakes that failed are in `refused`
        self.refused = []
        self._start(self._accept)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _start(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            if self.tls:
                try:
                    sock = self.tls.wrap_socket(sock, server_side=True)
                except (OSError, ssl.SSLError) as error:
                    self.refused.append(error)
                    sock.close()
                    continue
            with self.lock:
                connection = Connection(self, sock, len(self.connections))
                self.connections.append(connection)
                self.lock.notify_all()
            self._start(self._serve, connection)

    def _serve(self, connection):
        try:
            while self._one(connection):
                pass
        except EOFError:
            pass
        except Exception as error:  # told to the test by check()
            if not self.closing:
                self.errors.append(error)
        finally:
            connection.close()
            if not self.keep:
                self._forget(connection)

    def _forget(self, connection):
        with self.lock:
            if connection in self.connections:
                self.connections.remove(connection)
            current = threading.current_thread()
            self.threads = [thread for thread in self.threads if thread is not current]

    def _one(self, connection):
        deadline = Deadline(self.idle, "a request")
        request = Request(connection, connection.reader.head(deadline))
        if not self.lazy:
            if request.head.tokens("Expect") == ["100-continue"]:
                connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            connection.read_body(request)
        if self.keep:
            with self.lock:
                connection.requests.append(request)
                self.requests.append(request)
                self.lock.notify_all()
        result = self.answer
        if callable(result):
            result = result(connection, request)
        if result is CLOSE:
            return False
        if result:
            connection.send(result)
        return True

    def wait_requests(self, count, seconds=None):
        """The first `count` requests, once they are there."""
        self._wait(lambda: len(self.requests) >= count, seconds, f"{count} requests")
        return self.requests[:count]

    def wait_connections(self, count, seconds=None):
        self._wait(lambda: len(self.connections) >= count, seconds, f"{count} connections")
        return self.connections[:count]

    def _wait(self, condition, seconds, what):
        deadline = Deadline(seconds, f"{what} at the origin")
        with self.lock:
            while not condition():
                self.lock.wait(deadline.left())

    def received(self):
        """All bytes of all connections, those read in heads and bodies."""
        return b"".join(connection.received for connection in list(self.connections))

    def wait_bytes(self, data, seconds=None):
        wait_for(lambda: data in self.received(), seconds, f"{data!r} at the origin")

    def check(self):
        """What the hub sent was good HTTP throughout."""
        assert not self.errors, f"the origin met: {self.errors[0]!r}"

    def close(self):
        self.closing = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for connection in list(self.connections):
            connection.close()
        for thread in self.threads:
            thread.join(5)
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)
