"""A relay in front of an engine's unix socket that records what is asked, and can hold it back.

It reads requests strictly (wire.py): whatever the hub sends must be HTTP in good form. Answers are
passed on as bytes and not read, so that streams of any kind get through.
"""
import socket
import threading

from .wait import Deadline
from .wire import REQUEST, Malformed, Reader, chunk


class Asked:
    """One request. `target` is as it came; `path` is it without version prefix and query."""

    def __init__(self, connection, head, body):
        match = REQUEST.match(head.start)
        if not match:
            raise Malformed(f"bad request line {head.start!r}")
        self.connection = connection
        self.method, self.target = match.group(1).decode(), match.group(2).decode("latin-1")
        self.head, self.body = head, body
        path, _, self.query = self.target.partition("?")
        first = path.split("/")[1]
        self.version = first if first.startswith("v1.") else None
        self.path = path[len(first) + 1:] if self.version else path

    def __repr__(self):
        return f"<{self.method} {self.target}>"


class Gate:
    """What hold() returns. Requests that match wait behind it until release(), or the end of the
    `with`; `waiting` counts those that do."""

    def __init__(self, recorder, method, part):
        self.recorder, self.method, self.part = recorder, method, part
        self.open = threading.Event()
        self.waiting = 0

    def matches(self, asked):
        return asked.method == self.method and self.part in asked.path

    def wait_for(self, count=1):
        self.recorder.wait(lambda: self.waiting >= count, f"{count} held {self.method} {self.part}")

    def release(self):
        self.open.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()


class UnixRecorder:
    """Listens at `path`, passes on to `target`. `requests` are all, oldest first; `returned` counts
    the bytes of all answers, `accepted` connections; `pairs` are those that are open."""

    def __init__(self, path, target):
        self.path, self.target = str(path), str(target)
        self.lock = threading.Condition()
        self.requests, self.errors, self.gates = [], [], []
        self.accepted = self.returned = 0
        self.pairs, self.threads = set(), []
        self.closing = False
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        self._thread(self._accept)

    # ---- for tests ----

    def hold(self, method, part):
        """From now on requests of that method whose path has that part wait."""
        gate = Gate(self, method, part)
        with self.lock:
            self.gates.append(gate)
        return gate

    def asked(self, method=None, part=""):
        """The requests of that method whose path has that part."""
        with self.lock:
            return [asked for asked in self.requests
                    if method in (None, asked.method) and part in asked.path]

    def wait_asked(self, count, method=None, part=""):
        self.wait(lambda: len(self.asked(method, part)) >= count,
                  f"{count} requests {method or ''} {part}; there are {self.requests}")
        return self.asked(method, part)[:count]

    def wait(self, condition, what):
        deadline = Deadline(what=what)
        with self.lock:
            while not condition():
                self.lock.wait(min(0.5, deadline.left()))

    def wait_idle(self):
        """Until all connections have ended."""
        self.wait(lambda: not self.pairs, "the connections to the engine to end")

    def forget(self):
        with self.lock:
            self.requests.clear()

    def check(self):
        assert not self.errors, f"what the engine was sent: {self.errors}"

    def close(self):
        with self.lock:
            self.closing = True
            gates, pairs = list(self.gates), list(self.pairs)
        for gate in gates:
            gate.release()
        for pair in pairs:
            pair.end()
        self.listener.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(10)
        self.listener.close()
        self.check()

    # ---- relaying ----

    def _thread(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            try:
                far.connect(self.target)
            except OSError:  # no engine: seen by the hub as a connection that ends at once
                near.close()
                far.close()
                continue
            with self.lock:
                self.accepted += 1
                pair = Pair(self, self.accepted, near, far)
                self.pairs.add(pair)
                if self.closing:
                    pair.end()
            self._thread(pair.requests)
            self._thread(pair.answers)

    def record(self, asked):
        """Returns when the request may go on."""
        with self.lock:
            self.requests.append(asked)
            gates = [gate for gate in self.gates if gate.matches(asked) and not gate.open.is_set()]
            for gate in gates:
                gate.waiting += 1
            self.lock.notify_all()
        for gate in gates:
            gate.open.wait()

    def count(self, size):
        with self.lock:
            self.returned += size
            self.lock.notify_all()

    def fault(self, text):
        with self.lock:
            if not self.closing:
                self.errors.append(text)

    def gone(self, pair):
        with self.lock:
            self.pairs.discard(pair)
            self.lock.notify_all()


class Pair:
    """A connection of the hub's, and the one to the engine that belongs to it."""

    def __init__(self, recorder, number, near, far):
        self.recorder, self.number, self.near, self.far = recorder, number, near, far
        self.left = 2  # threads

    def requests(self):
        reader = Reader(lambda _: receive(self.near))
        never = Deadline(3600, "a request")
        try:
            while reader.held or reader.more(never):
                if not self._request(reader, never):
                    break
        except Malformed as error:
            self.recorder.fault(f"connection {self.number}: {error}")
        except (EOFError, OSError):
            pass  # it left
        self._done()

    def _request(self, reader, never):
        """Passes one on; False when it was the last one."""
        head = reader.head(never)
        expects = bool(head.tokens("Expect"))
        if expects:
            self.far.sendall(head.raw)
        body = reader.body(head, never)[0]
        self.recorder.record(Asked(self.number, head, body))
        if self._left():
            return False  # while it was held: the engine never hears of it
        if head.framing()[0] == "chunked":
            body = (chunk(body) if body else b"") + b"0\r\n\r\n"
        self.far.sendall(body if expects else head.raw + body)
        if not head.tokens("Upgrade"):
            return True
        while piece := reader.held or receive(self.near):  # the parties' own protocol
            reader.held = b""
            self.far.sendall(piece)
        return False

    def _left(self):
        try:
            return self.near.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False

    def answers(self):
        try:
            while piece := receive(self.far):
                self.recorder.count(len(piece))
                self.near.sendall(piece)
        except OSError:
            pass
        self._done()

    def end(self):
        for sock in (self.near, self.far):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _done(self):
        """When one direction has ended both do: neither the hub nor the engine half-closes."""
        self.end()
        with self.recorder.lock:
            self.left -= 1
            last = self.left == 0
        if last:
            self.near.close()
            self.far.close()
            self.recorder.gone(self)


def receive(sock):
    """What comes next, b"" at the end, however that came about."""
    try:
        return sock.recv(65536)
    except OSError:
        return b""
