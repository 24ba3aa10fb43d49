"""A stand-in for a Docker engine on a unix socket: it works like one until a test spoils a call.

What it holds is in `model` (engine_model.py). A test spoils calls with `spoil`, by bytes, by a
function, or by a name out of engine_faults.py; keeps them waiting with `hold`; and plays a pull's
progress line by line with `pull`. Everything that arrives is in `calls`, and byte by byte in
`received()`. Another engine, of another version, may be started on the path of one that was closed.
"""
import contextlib
import json
import queue
import re
import select
import socket
import threading
import urllib.parse

from .engine_faults import CHUNKED, FAULTS
from .engine_model import EngineModel, answer, error
from .origin import CLOSE, RawOrigin
from .wait import Deadline
from .wire import chunk

# What the hub asks for its own sake before the first call.
GREETINGS = ("/version", "/_ping")
# Every call but those.
CALLS = r"(?!/version$|/_ping$)/.*"


class Call:
    """One request. path has no version prefix and is decoded; `version` is the prefix (`1.41`) or
    None; `command` the command line of the exec that it starts or asks for, "" for other calls."""

    def __init__(self, engine, connection, request):
        path, _, query = request.target.partition("?")
        match = re.match(r"/v(\d+\.\d+)(/.*)\Z", path)
        self.version, path = match.groups() if match else (None, path)
        self.raw_path = path
        self.path = urllib.parse.unquote(path)
        self.query = urllib.parse.parse_qs(query, keep_blank_values=True)
        self.method, self.target, self.minor = request.method, request.target, request.minor
        self.head, self.fields, self.body = request.head, request.head.fields, request.body
        self.connection = connection
        self.command = self._command(engine.model)

    def _command(self, model):
        match = re.fullmatch(r"/exec/([^/]+)/(start|json)", self.path)
        if match:
            run = model.execs.get(match.group(1))
            return " ".join(run["body"]["Cmd"]) if run else ""
        if re.fullmatch(r"/containers/[^/]+/exec", self.path):
            try:
                return " ".join(json.loads(self.body)["Cmd"])
            except (ValueError, KeyError, TypeError):
                return ""
        return ""

    def is_one_of(self, method, pattern, command=""):
        return (method in (self.method, "*") and re.fullmatch(pattern, self.path) is not None
                and command in self.command)

    def __repr__(self):
        return f"<{self.method} {self.target}{' ' + self.command if self.command else ''}>"


def gone(connection):
    """Whether the peer has ended this connection; reads nothing away."""
    try:
        if not select.select([connection.sock], [], [], 0)[0]:
            return False
        ended = connection.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except (OSError, ValueError):
        ended = True
    if ended:
        connection.ended.set()
    return ended


class Hold:
    """A fault that keeps calls waiting until release(); what then happens to them is up to
    `afterwards` (None: as always)."""

    def __init__(self, engine, afterwards=None):
        self.engine, self.afterwards = engine, afterwards
        self.open = threading.Event()
        self.waiting = []

    def __call__(self, engine, connection, call):
        with engine.lock:
            self.waiting.append(call)
            engine.lock.notify_all()
        while not self.open.wait(0.02):
            if gone(connection) or engine.closing:
                return CLOSE
        return self.afterwards

    def wait_calls(self, count=1, seconds=None):
        self.engine._wait(lambda: len(self.waiting) >= count, seconds, f"{count} calls to hold")
        return self.waiting[:count]

    def release(self):
        self.open.set()


class Pull:
    """A fault that answers a call with a stream of the test's: chunked, one line a chunk."""

    HEAD = CHUNKED

    def __init__(self, engine):
        self.engine = engine
        self.steps = queue.Queue()
        self.calls = []

    def __call__(self, engine, connection, call):
        with engine.lock:
            self.calls.append(call)
            engine.lock.notify_all()
        connection.send(self.HEAD)
        while True:
            try:
                step = self.steps.get(timeout=0.02)
            except queue.Empty:
                if gone(connection) or engine.closing:
                    return CLOSE
                continue
            if step is CLOSE:
                return CLOSE
            if step is None:
                return b"0\r\n\r\n"
            connection.send(step)

    def call(self, seconds=None):
        """The call that is answered so, once it is there."""
        self.engine._wait(lambda: self.calls, seconds, "a pull")
        return self.calls[0]

    def line(self, value):
        """Sends an object as a line of JSON, or bytes as they are; returns what a client should
        see."""
        data = value if isinstance(value, bytes) else json.dumps(value).encode() + b"\r\n"
        self.steps.put(chunk(data))
        return data

    def end(self):
        self.steps.put(None)

    def cut(self):
        """Hangs up amid the answer."""
        self.steps.put(CLOSE)


class FakeEngine(RawOrigin):
    """Listens on `path`. api and minimum are the versions that it says it speaks, and holds to.

    podman: answers GET /version and GET /_ping as Podman's service does.
    """

    def __init__(self, path, api="1.41", minimum="1.12", podman=False):
        self.api, self.minimum, self.podman = api, minimum, podman
        self.model = EngineModel()
        self.calls = []
        self.rules = []
        super().__init__(self._answer, path=path, idle=3600.0)

    # ---- what a test does to it ----

    def reset(self):
        """As new, and nothing is spoiled; connections stay."""
        self.rules = []
        self.model.reset()
        with self.lock:
            self.calls.clear()
            self.requests.clear()
            self.errors.clear()

    def heal(self):
        self.rules = []

    def spoil(self, fault, method="*", pattern=CALLS, command="", after=0, times=None):
        """Calls of that kind meet `fault`: a name of FAULTS, bytes, or a function of (engine,
        connection, call) that returns bytes to send, CLOSE to hang up, or None to go on as always.

        pattern matches the whole path without its version; command is in the exec's command line;
        the first `after` calls are spared; after `times` of them it is over. Returns the fault.
        """
        meant = FAULTS[fault] if isinstance(fault, str) else fault
        self.rules.insert(0, {"fault": meant,
                              "kind": (method, pattern, command), "spare": after, "left": times})
        return fault

    @contextlib.contextmanager
    def spoiled(self, fault, *args, **kwargs):
        """The same for the length of a `with`."""
        self.spoil(fault, *args, **kwargs)
        rule = self.rules[0]
        try:
            yield self
        finally:
            self.rules = [other for other in self.rules if other is not rule]

    def hold(self, method="*", pattern=CALLS, command="", afterwards=None, **kwargs):
        return self.spoil(Hold(self, afterwards), method, pattern, command, **kwargs)

    def pull(self, method="POST", pattern="/images/create"):
        return self.spoil(Pull(self), method, pattern)

    # ---- what a test learns from it ----

    def asked(self, method="*", pattern=r"/.*", command=""):
        """The calls of that kind so far, oldest first."""
        with self.lock:
            return [call for call in self.calls if call.is_one_of(method, pattern, command)]

    def wait_asked(self, count, method="*", pattern=r"/.*", command="", seconds=None):
        self._wait(lambda: sum(call.is_one_of(method, pattern, command) for call in self.calls)
                   >= count, seconds, f"{count} calls {method} {pattern}")
        return self.asked(method, pattern, command)[:count]

    def arrived(self):
        """Bytes that came in so far, on all connections."""
        return sum(connection.total for connection in list(self.connections))

    # ---- answering ----

    def _answer(self, connection, request):
        call = Call(self, connection, request)
        with self.lock:
            self.calls.append(call)
            rule = self._rule(call)
            self.lock.notify_all()
        if rule:
            fault = rule["fault"]
            result = fault(self, connection, call) if callable(fault) else fault
            if result is not None:
                return result
        result, ends = self._greeting(call) or self._create_image(call) or self.model.answer(call)
        if call.method == "HEAD":
            result = result[:result.index(b"\r\n\r\n") + 4]
        connection.send(result)
        return CLOSE if ends else None

    def _rule(self, call):
        for rule in self.rules:
            if not call.is_one_of(*rule["kind"]) or rule["left"] == 0:
                continue
            if rule["spare"]:
                rule["spare"] -= 1
                continue
            if rule["left"]:
                rule["left"] -= 1
            return rule
        return None

    def _greeting(self, call):
        """(bytes, False) for what does not depend on the model, or None."""
        asked = tuple(map(int, call.version.split("."))) if call.version else None
        newest, oldest = (tuple(map(int, v.split("."))) for v in (self.api, self.minimum))
        if asked and asked > newest:
            return error(400, f"client version {call.version} is too new. Maximum supported API "
                              f"version is {self.api}"), False
        if asked and asked < oldest:
            return error(400, f"client version {call.version} is too old. Minimum supported API "
                              f"version is {self.minimum}, please upgrade your client to a newer "
                              "version"), False
        if call.raw_path != re.sub(r"//+|/\.(?=/|$)", "/", call.raw_path):
            return answer(200, b"").replace(b"200 OK", b"301 Moved Permanently").replace(
                b"\r\n\r\n", b"\r\nLocation: /\r\n\r\n"), False
        if call.path == "/_ping" and call.method in ("GET", "HEAD"):
            fields = [b"Api-Version: " + self.api.encode(), b"Cache-Control: no-cache",
                      b"Docker-Experimental: false", b"Ostype: linux",
                      b"Content-Type: text/plain; charset=utf-8"]
            if self.podman:
                fields.append(b"Libpod-Api-Version: 4.3.1")
            return answer(200, b"OK", *fields), False
        if call.path == "/version" and call.method == "GET":
            return answer(200, self._version()), False
        return None

    def _version(self):
        engine = {"Name": "Engine", "Version": "20.10.24", "Details": {
            "ApiVersion": self.api, "MinAPIVersion": self.minimum, "Os": "linux"}}
        if self.podman:
            engine = {"Name": "Podman Engine", "Version": "4.3.1", "Details": {
                "APIVersion": "4.3.1", "MinAPIVersion": "4.0.0", "Os": "linux"}}
        return {"Platform": {"Name": ""}, "Components": [engine], "Version": engine["Version"],
                "ApiVersion": self.api, "MinAPIVersion": self.minimum, "GitCommit": "5d6db84",
                "GoVersion": "go1.19.8", "Os": "linux", "Arch": "amd64",
                "KernelVersion": "6.1.0-18-amd64",
                "BuildTime": "2023-05-18T08:38:34.000000000+00:00"}

    def _create_image(self, call):
        """A pull that goes through at once, or None."""
        if (call.method, call.path) != ("POST", "/images/create"):
            return None
        name, tag = (call.query.get(key, [""])[0] for key in ("fromImage", "tag"))
        reference = name if ":" in name.rpartition("/")[2] or not tag else f"{name}:{tag}"
        if not name:
            return error(400, "invalid reference format"), False
        with self.model.lock:
            self.model.add_image(reference)
        lines = [{"status": f"Pulling from {name}", "id": tag or "latest"},
                 {"status": "Pull complete", "progressDetail": {}, "id": "93b4a8d8ee5a"},
                 {"status": f"Status: Downloaded newer image for {reference}"}]
        return Pull.HEAD + b"".join(chunk(json.dumps(line).encode() + b"\r\n")
                                    for line in lines) + b"0\r\n\r\n", False

    def wait_gone(self, call, seconds=None):
        """Until the hub has ended the connection of that call, or this side has."""
        deadline = Deadline(seconds, f"the end of the connection of {call}")
        while call.connection.sock.fileno() >= 0 and not call.connection.ended.wait(
                min(0.02, deadline.left())):
            pass
