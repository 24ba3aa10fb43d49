"""Recorded exchanges between a Nextcloud, HaRP and its clients, and how they are played again.

In the recording, what went to port 8080 came through a reverse proxy that added the client's
address and protocol; 8778 and 8779 were the hub itself. So a replay connects from PROXY, which the
hub trusts, and adds what that reverse proxy added.
"""
import base64
import hashlib
import json
import pathlib
import time
import urllib.parse

from .client import RawClient
from .credentials import RECORDED_KEY
from .nextcloud import Nextcloud
from .origin import CLOSE, RawOrigin
from .wire import chunk, response

DATA = pathlib.Path(__file__).resolve().parents[2] / "data/appapi-contract"
PROXY = "127.0.0.9"
CLOCK = 0.003  # how far times of two recorders differ, in seconds
NOT_ECHOED = ("host", "connection", "transfer-encoding")


def load(name):
    return json.loads((DATA / f"{name}.json").read_text())


def record_of_testapp():
    """The record of `testapp`, as Nextcloud gave it."""
    return next(entry["body"] for entry in load("nextcloud-answers")
                if entry["case"] == "exapp-meta known app, right key")


def asked_of_hub(exchange):
    return exchange["to"] == "HaRP"


def get(headers, name):
    return [value for key, value in headers or [] if key.lower() == name]


def calls_during(exchanges, exchange):
    """What HaRP asked Nextcloud because of that request: of those for its app, the last before."""
    return [call for call in exchanges if call["to"] == "Nextcloud" and call["from"] == "HaRP"
            and cause(exchanges, call) is exchange]


def cause(exchanges, call):
    query = urllib.parse.parse_qs(call["request"]["query"])
    before = [exchange for exchange in exchanges if asked_of_hub(exchange)
              and exchange["request"]["path"].split("/")[2].lower() == query["appId"][0]
              and exchange["t"] <= call["t"] + CLOCK]
    return max(before, key=lambda exchange: exchange["t"], default=None)


def kind(call):
    return call["request"]["path"].rpartition("/")[2]


def echoed(exchange):
    """What the recorded ExApp told about the request it got, or None."""
    body = (exchange["response"] or {}).get("body")
    return body if isinstance(body, dict) and "uri" in body and "headers" in body else None


def fields(pairs):
    """Comparable: names in lower case, sorted."""
    return sorted((name.lower(), value) for name, value in pairs)


def addresses(name, exchanges):
    """seq: the client's address. Where nothing tells it, one of its own for each request."""
    found = {}
    for number, exchange in enumerate(filter(asked_of_hub, exchanges)):
        seq = exchange["seq"]
        told = echoed(exchange)
        calls = [call for call in calls_during(exchanges, exchange) if kind(call) == "user-info"]
        forwarded = (get(told["headers"], "x-forwarded-for") if told
                     else get(calls[0]["request"]["headers"], "x-forwarded-for") if calls else [])
        found[seq] = forwarded[-1] if forwarded else f"198.51.100.{number + 1}"
    if name == "proxy-bruteforce":
        # The notes tell one client for each of these runs; the first one's address is in seq 116.
        for first, last, address in ((102, 114, "127.0.0.31"), (118, 137, "127.0.0.32"),
                                     (138, 148, "127.0.0.33"), (149, 159, "127.0.0.34")):
            found.update({seq: address for seq in found if first <= seq <= last})
    return found


class Outcome:
    """What came of one request. reply: a Response, or None: closed without an answer."""

    def __init__(self, reply, seconds, calls, arrived):
        self.reply, self.seconds, self.calls, self.arrived = reply, seconds, calls, arrived

    @property
    def status(self):
        return self.reply.status if self.reply else None


def body_bytes(body):
    if isinstance(body, dict) and set(body) == {"zeros"}:
        return bytes(body["zeros"])
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def send(client, request, extra):
    """Sends a recorded request; its length is counted anew, as bodies were recorded parsed."""
    path = request["path"] + ("?" + request["query"] if request["query"] else "")
    body = body_bytes(request["body"])
    lines, expect, chunked = [f"{request['method']} {path} HTTP/1.1".encode()], False, False
    for name, value in request["headers"]:
        chunked |= name.lower() == "transfer-encoding"
        expect |= name.lower() == "expect"
        if name.lower() == "content-length":
            value = str(len(body))
        lines.append(f"{name}: {value}".encode("latin-1"))
    head = b"\r\n".join([*lines, *extra]) + b"\r\n\r\n"
    if expect:
        client.send(head)
        assert client.head().start == b"HTTP/1.1 100 Continue"
        client.send(body)
    else:
        client.send(head, chunk(body) + b"0\r\n\r\n" if chunked else body)


def play(hub, nc, exapp, exchange, address):
    """One recorded request, sent to the hub."""
    request = exchange["request"]
    extra = []
    if get(request["headers"], "host")[0].endswith(":8080"):
        extra = [f"X-Forwarded-For: {address}".encode(), b"X-Forwarded-Proto: http"]
    asked, arrived = len(nc.calls), len(exapp.requests)
    began = time.monotonic()
    with RawClient(hub.http, source=PROXY) as client:
        try:
            send(client, request, extra)
            reply = client.response(request["method"])
        except EOFError:
            assert client.received == b"", client.received
            reply = None
    return Outcome(reply, time.monotonic() - began, nc.calls[asked:], exapp.requests[arrived:])


class RecordedNextcloud(Nextcloud):
    """Knows the users, app passwords and sessions of the recording."""

    def __init__(self):
        super().__init__(key=RECORDED_KEY, instance="obf987jj6q")
        self.apps["testapp"] = record_of_testapp()
        for exchange in load("manual-install"):
            if kind(exchange) == "exapp-meta" and exchange["to"] == "Nextcloud":
                self.apps["manapp"] = exchange["response"]["body"]
        for exchange in load("proxy-access-levels") + load("proxy-sessions"):
            user = (exchange["response"] or {}).get("body")
            if exchange["to"] != "Nextcloud" or not isinstance(user, dict) \
                    or not user.get("user_id"):
                continue
            for value in get(exchange["request"]["headers"], "authorization"):
                scheme, _, token = value.partition(" ")
                if scheme == "Bearer":
                    self.add_app_password(user["user_id"], token)
            for value in get(exchange["request"]["headers"], "cookie"):
                cookies = dict(part.split("=", 1) for part in value.split("; "))
                self.add_session(user["user_id"], cookies["oc_sessionPassphrase"],
                                 cookies["oc" + self.instance])


class RecordedExApp(RawOrigin):
    """Answers as the recorded ExApp did: most paths tell what was asked."""

    def __init__(self, path):
        super().__init__(self._answer, path=path)

    def _answer(self, connection, request):
        path, _, query = request.target.partition("?")
        last = path.rsplit("/", 1)[-1]
        if path == "/heartbeat":
            return self.json({"status": "ok"})
        if path == "/init":
            return self.json({})
        if path == "/enabled":
            return self.json({"error": ""})
        if "/status/" in path:
            return response(b"status " + last.encode(), last.encode() + b" Status",
                            b"Content-Type: text/plain; charset=utf-8")
        if path == "/public/redirect":
            to = urllib.parse.parse_qs(query)["to"][0]
            return response(b"", b"302 Found", b"Location: " + to.encode())
        if path.endswith("/upload"):
            return self.json({"bytes": len(request.body), "err": "<nil>",
                              "sha256": hashlib.sha256(request.body).hexdigest()})
        if path.startswith("/public/bytes/"):
            return response(bytes(int(last)), b"200 OK", b"Content-Type: application/octet-stream")
        if path == "/public/stream":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\n")
            for number in range(5):
                connection.send(chunk(b"data: %d\n\n" % number))
            return b"0\r\n\r\n"
        if request.head.tokens("Upgrade") == ["websocket"]:
            return self.websocket(connection, request)
        extra = []
        if path == "/public/setcookie":
            extra = [b"Set-Cookie: exapp_c=1; Path=/", b"X-From-Exapp: yes"]
        whole = self.json(self.told(request), *extra)
        return whole[:whole.index(b"\r\n\r\n") + 4] if request.method == "HEAD" else whole

    @staticmethod
    def told(request):
        body = {"method": request.method, "uri": request.target,
                "headers": sorted(([name, value] for name, value in request.head.fields
                                   if name.lower() not in NOT_ECHOED),
                                  key=lambda pair: pair[0].lower())}
        if request.body:
            body["body"] = request.body.decode()
        return body

    @staticmethod
    def websocket(connection, request):
        """Shakes hands, and sends back the bytes that follow."""
        key = request.head.get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept.encode()
                        + b"\r\n\r\n")
        connection.send(connection.rest())
        return CLOSE

    @staticmethod
    def json(value, *extra):
        return response(json.dumps(value).encode(), b"200 OK",
                        b"Content-Type: application/json", *extra)
