"""The reverse proxy configurations of deploy/proxy, run as they are in front of one hub.

Clients are addresses of 127.0.0.0/8, a network for each server; the hub sees 127.0.0.1, which it trusts. Connections
that wait longer than the servers' defaults are opened first and looked at last, those of all servers side by side.
"""
import hashlib
import json
import os
import subprocess
import threading
import time

import pytest
from conftest import open_site
from harness import DEFAULT, Deadline, RawClient, RawOrigin, app, free_port, response, wait_for
from harness.credentials import APP_TOKEN, SHARED_KEY, app_authorization
from harness.missing import skip_or_fail
from harness.proxies import HOST, KINDS

A = "/exapps/sample"
SIZE = 100_000_000
IDLE = 65  # s; 60 is the default of nginx and Apache
PAUSE = 25  # s in an upload: more than Debian's Apache waits, less than the hub
KEY = b"harp-shared-key: " + SHARED_KEY.encode()
FORGED = (b"X-Forwarded-For: 203.0.113.66", b"X-Real-IP: 203.0.113.66", b"Forwarded: for=203.0.113.66",
          b"X-Forwarded-Proto: gopher", b"X-Forwarded-Host: evil.example", b"X-Forwarded-Port: evil")


class WebSocket:
    """The ExApp's echo, with frames of up to 125 bytes."""

    def __init__(self, client):
        self.client = client
        client.get(f"{A}/ws", b"Connection: keep-alive, Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13",
                   b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        head = client.head()
        assert b" 101 " in head.start, head.raw
        assert head.get("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    def echo(self, text):
        # Masked with zeros, which change nothing.
        self.client.send(b"\x81" + bytes([0x80 | len(text)]) + b"\0\0\0\0" + text)
        assert self.client.exactly(2 + len(text)) == b"\x81" + bytes([len(text)]) + text


def outcome(client, target):
    """An answer, or None: the server passes on that there is none, as the hub closed."""
    client.get(target)
    try:
        return client.response()
    except EOFError:
        return None


class Front:
    """A server in front of the hub, with what waits from the start."""

    def __init__(self, proxy, number):
        self.proxy, self.number, self.count = proxy, number, 0
        self.socket = WebSocket(self.client())
        self.socket.echo(b"early")
        self.events = self.client()
        self.events.get(f"{A}/sse?n=2&ms={IDLE * 1000}")
        self.upload = self.client()
        self.upload.get(f"{A}/upload", b"Content-Length: 10", method="POST")
        self.upload.send(b"first")
        self.late = threading.Timer(PAUSE, self.upload.send, [b"after"])
        self.late.start()
        self.since = time.monotonic()
        self.h2 = self.curl(f"{A}/sse?n=2&ms={IDLE * 1000}", "--no-buffer")

    def address(self):
        """An address no request of this server came from yet."""
        self.count += 1
        return f"127.0.{self.number}.{self.count}"

    def client(self, source=None):
        return self.proxy.client(source or self.address())

    def ask(self, target, *fields, source=None, **kwargs):
        with self.client(source) as client:
            return client.ask(target, *fields, **kwargs)

    def arrived(self, *fields, source=None):
        """The fields of a request as they arrived at the ExApp: (name in lower case, value)."""
        reply = self.ask(f"{A}/echo", *fields, source=source)
        assert reply.status == 200, reply
        return [(name.lower(), value) for name, value in json.loads(reply.body)["headers"]]

    def curl(self, target, *arguments):
        """A running curl that speaks HTTP/2."""
        port = self.proxy.https[1]
        return subprocess.Popen(["curl", "-sS", "-k", "--http2", "--max-time", "120", "--interface", self.address(),
                                 "--resolve", f"{HOST}:{port}:127.0.0.1", *arguments,
                                 f"https://{HOST}:{port}{target}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def close(self):
        self.late.cancel()
        self.late.join()
        for client in (self.socket.client, self.events, self.upload):
            client.close()
        self.h2.kill()
        self.h2.communicate()


class Stand:
    """One hub, its ExApps, what stands in for Nextcloud, and the servers that are there."""

    def __init__(self, site, folder):
        certificate = folder / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}", "-keyout",
                        folder / "key", "-out", folder / "crt"], check=True, capture_output=True)
        certificate.write_bytes((folder / "crt").read_bytes() + (folder / "key").read_bytes())
        self.site = site
        self.nextcloud = site.origin(response(b"Nextcloud"))
        self.raw = site.origin(response(b"raw"))
        path = site.socket_path()
        self.apps = (app(routes=(("^/admin", 2), ("^/.*", 0))), app("raw", port=self.raw.port))
        self.ports = {name: free_port() for name in ("http", "https", "frp", "admin")}
        # Before the hub: they start without it, and end after it. Apache's threads do not see that a client has left
        # while the ExApp says nothing.
        proxies = {name: site.add(kind(folder / name, ("127.0.0.1", self.ports["http"]),
                                       ("127.0.0.1", self.nextcloud.port), certificate)).ready()
                   for name, kind in KINDS.items() if kind.find()}
        self.start()
        site.sample(f"unix:{path}")
        site.tunnel(self.hub, path)
        self.fronts = {name: site.add(Front(proxy, number))
                       for number, (name, proxy) in enumerate(proxies.items(), 10)}

    settings = {"HP_TRUSTED_PROXY_IPS": "127.0.0.1", "HP_BLACKLIST_COUNT": "10"}

    def start(self):
        """The hub, or one in place of that which ended."""
        self.hub = self.site.hub(*self.apps, settings=self.settings, ports=self.ports)

    def log(self, *words):
        """The hub's log lines with all these words."""
        return [line for line in self.hub.output().decode().splitlines() if all(word in line for word in words)]


@pytest.fixture(scope="module")
def stand(tmp_path_factory, certs):
    site = open_site(tmp_path_factory, certs, "proxies")
    try:
        yield Stand(site, tmp_path_factory.mktemp("servers"))
    finally:
        site.close()


@pytest.fixture(params=KINDS)
def front(stand, request):
    if request.param not in stand.fronts:
        skip_or_fail(f"{KINDS[request.param].package} is not there: run tests/servers.sh")
    return stand.fronts[request.param]


# ---- where requests go, and as what they arrive ----

def test_the_page_comes_from_the_exapp_and_all_else_from_nextcloud(stand, front):
    assert "Sample ExApp, live" in front.ask(f"{A}/page").text
    for path in ("/index.php/apps/files/", "/exappsy/x", "/apps/exapps/x.js"):
        before = len(stand.nextcloud.requests)
        assert front.ask(path).text == "Nextcloud"
        assert [request.target for request in stand.nextcloud.requests[before:]] == [path]


def test_http_without_tls_is_sent_to_https(front):
    with RawClient(front.proxy.http, source=front.address()) as client:
        client.get(f"{A}/page", host=HOST.encode())
        reply = client.response()
    assert reply.status in (301, 308) and reply.head.get("Location").startswith(f"https://{HOST}")


@pytest.mark.parametrize("path", ["/a%2Fb%2fc", "/a//b///", "/%61%7E~%7e", "/a/./b", "/%25%32%46?x=%2F&y=a+b%20c",
                                  "/x.php/y", "/logo.png", "/%C3%BC%ff", "/semi;colon=1,2(3)'!$&*@:"])
def test_paths_arrive_byte_for_byte(stand, front, path):
    assert front.ask(f"/exapps/raw{path}").text == "raw"
    assert stand.raw.requests[-1].target == path


def test_a_way_out_of_the_prefix_gains_nothing(stand, front):
    """Whoever resolves it, neither the hub nor the ExApp serves a path that the other side did not mean."""
    source = front.address()
    for path in ("/exapps/../status.php", "/exapps/raw/../../status.php", "/exapps/raw/%2e%2e/app_api/info"):
        before = len(stand.raw.requests)
        with front.client(source) as client:
            reply = outcome(client, path)
        assert reply is None or reply.status >= 400 or reply.text == "Nextcloud", reply
        assert len(stand.raw.requests) == before


def test_the_exapp_learns_who_asks_and_how(front):
    source = front.address()
    arrived = dict(front.arrived(source=source))
    assert arrived["host"] == HOST
    assert arrived["x-forwarded-for"] == arrived["x-real-ip"] == source
    assert arrived["x-forwarded-proto"] == "https"
    assert arrived["x-forwarded-host"] == HOST


@pytest.mark.parametrize("more", [(), (b"Connection: keep-alive, X-Forwarded-For, X-Real-IP",)], ids=["plain", "named"])
def test_forged_addresses_do_not_get_through(stand, front, more):
    source = front.address()
    arrived = front.arrived(*FORGED, *more, source=source)
    assert not [pair for pair in arrived if any(bad in pair[1] for bad in ("203.0.113", "gopher", "evil"))]
    assert [value for name, value in arrived if name == "x-forwarded-for"] in ([source], [])
    assert front.ask(f"{A}/admin", *FORGED, *more, source=source).status == 403
    assert stand.log(f"answered 403 to {source}:") and not stand.log("203.0.113.66")


def test_a_ban_hits_the_client_and_not_the_server(stand, front):
    bad, good = front.address(), front.address()
    for _ in range(10):
        assert front.ask(f"{A}/admin", source=bad).status == 403
    assert stand.log("warning", f" {bad} is banned")
    with front.client(bad) as client:
        reply = outcome(client, f"{A}/page")
        assert reply is None or reply.status == 502, reply
    assert front.ask(f"{A}/page", source=good).status == 200


def test_a_refused_request_counts_once(stand, front):
    """Browsers may not call /init: the hub closes, on a connection that was used before."""
    source = front.address()
    with front.client(source) as client:
        for _ in range(2):
            assert client.ask(f"{A}/page").status == 200
        reply = outcome(client, f"{A}/init")
        assert reply is None or reply.status == 502, reply
    times = len(stand.log(f"closed without an answer to {source}:"))
    # Go's HTTP client sends a GET again when a kept connection ends without an answer, and has no switch for it.
    assert times == (2 if front.proxy.package == "caddy" else 1)


def test_appapis_calls_pass_with_their_headers(front):
    assert front.ask("/exapps/app_api/info", KEY).status == 200
    assert front.ask("/exapps/app_api/info").status == 401
    # No engine is there, and the hub says of which one: the port passed.
    reply = front.ask("/exapps/app_api/v1.41/_ping", KEY, b"docker-engine-port: 24042")
    assert reply.status == 503 and "24042" in reply.text
    authorization = app_authorization(APP_TOKEN, "alice")
    arrived = dict(front.arrived(
        b"EX-APP-ID: sample", b"EX-APP-VERSION: 1.0.0", b"EX-APP-HOST: 127.0.0.1", b"EX-APP-PORT: 23005",
        b"AUTHORIZATION-APP-API: " + authorization.encode(), b"AA-VERSION: 4.0.0", KEY))
    assert arrived["authorization-app-api"] == authorization and arrived["ex-app-id"] == "sample"
    assert "harp-shared-key" not in arrived


def test_connections_to_the_hub_are_used_again(stand, front):
    source = front.address()
    with front.client(source) as client:
        for _ in range(8):
            assert client.ask(f"{A}/admin").status == 403
    ids = {line.split(" client ")[1].split()[0] for line in stand.log(f"answered 403 to {source}:")}
    assert len(ids) <= 2, ids


def test_an_exapp_does_not_make_the_server_serve_its_files(stand, front):
    stand.raw.answer = response(b"raw", b"200 OK", b"X-Accel-Redirect: /index.php", b"X-Sendfile: /etc/hostname")
    try:
        assert front.ask("/exapps/raw/").text == "raw"
    finally:
        stand.raw.answer = response(b"raw")


@pytest.mark.parametrize("front", ["nginx", "apache"], indirect=True)
def test_beside_nextcloud_in_the_same_server_nothing_of_its_rules_wins(stand, front):
    """Where the server runs Nextcloud itself, the lines stand alone in Nextcloud's own block."""
    source = front.address()
    for path in ("/x.php", "/js/app.js", "/logo.png", "/data/x.php/y"):
        with RawClient(front.proxy.plain, source=source) as client:
            assert client.ask(f"/exapps/raw{path}", *FORGED).text == "raw"
            head = stand.raw.requests[-1].head
            assert head.get("X-Forwarded-For") == head.get("X-Real-IP") == source
            assert head.get("X-Forwarded-Proto") == "http"
            assert head.get("Host") == head.get("X-Forwarded-Host") == "hub.test"
            assert not head.has("Forwarded") and head.get("X-Forwarded-Port") != "evil"
            assert client.ask("/apps" + path).status == 404
    with RawClient(front.proxy.plain, source=source) as client:
        begin_endless_upload(stand, client)


# ---- bodies and streams ----

def settled(proxy):
    """Waits until a server does not read any more: all that it would buffer is buffered then."""
    seen = [proxy.bytes_read()]

    def still():
        seen.append(proxy.bytes_read())
        return seen[-1] == seen[-2]
    wait_for(still, what="a server that waits", pause=0.1)


def test_100_mb_up_pass_without_touching_the_disk(front):
    block = os.urandom(1_000_000)
    digest, before = hashlib.sha256(), front.proxy.files()
    with front.client() as client:
        client.get(f"{A}/upload", b"Content-Length: %d" % SIZE, method="POST")
        for number in range(SIZE // len(block)):
            piece = number.to_bytes(8, "big") + block[8:]
            digest.update(piece)
            client.send(piece)
            if number == 50:
                settled(front.proxy)
                assert front.proxy.files() == before
        reply = client.response("POST", 60)
    assert reply.status == 200, reply
    assert json.loads(reply.body) == {"length": SIZE, "sha256": digest.hexdigest()}


def test_100_mb_down_pass_without_touching_the_disk(front):
    digest, before, left = hashlib.sha256(), front.proxy.files(), SIZE
    with front.client() as client:
        client.get(f"{A}/download?bytes={SIZE}")
        head = client.head()
        # The client does not read: what is in between waits, too, and holds no file.
        settled(front.proxy)
        assert front.proxy.files() == before
        deadline = Deadline(60, "the download")
        while left:
            if not client.reader.held:
                assert client.reader.more(deadline), f"ended {left} bytes early"
            piece, client.reader.held = client.reader.held, b""
            digest.update(piece)
            left -= len(piece)
    assert head.get("Content-Length") == str(SIZE)
    assert head.get("X-Content-SHA256") == digest.hexdigest()


def test_bodies_pass_over_http_2(front, tmp_path):
    (tmp_path / "body").write_bytes(os.urandom(1_000_000) * 20)
    shown = ["--write-out", "\n%{http_version} %{http_code}"]
    up = front.curl(f"{A}/upload", "--request", "POST", "--upload-file", tmp_path / "body", *shown)
    body, _, said = up.communicate(timeout=60)[0].rpartition(b"\n")
    assert said == b"2 200" and json.loads(body)["length"] == 20_000_000, (said, body)
    assert json.loads(body)["sha256"] == hashlib.sha256((tmp_path / "body").read_bytes()).hexdigest()
    down = front.curl(f"{A}/download?bytes=20000000", "--output", tmp_path / "got", "--dump-header", "-", *shown)
    text = down.communicate(timeout=60)[0].decode()
    assert text.endswith("2 200") and hashlib.sha256((tmp_path / "got").read_bytes()).hexdigest() in text


def test_bodies_without_a_length_pass_as_they_come(stand, front):
    """The ExApp has the first chunk before the second is sent, and the client the first one of the answer."""
    got, go = threading.Event(), threading.Event()

    def answer(connection, _request):
        deadline = Deadline(10, "chunks")
        connection.reader.until(b"first\r\n", deadline)
        got.set()
        connection.reader.until(b"0\r\n\r\n", deadline)
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\none\r\n\r\n")
        assert go.wait(10)
        return b"3\r\ntwo\r\n0\r\n\r\n"

    stand.raw.answer, stand.raw.lazy = answer, True
    try:
        with front.client() as client:
            client.get("/exapps/raw/", b"Transfer-Encoding: chunked", method="POST")
            client.send(b"5\r\nfirst\r\n")
            assert got.wait(10), "the first chunk waits for the others"
            client.send(b"0\r\n\r\n")
            client.until(b"one\r\n")
            go.set()
            client.until(b"two")
    finally:
        stand.raw.answer, stand.raw.lazy = response(b"raw"), False


def begin_endless_upload(stand, client):
    """The ExApp gets the start of a body that is longer than any server's limit."""
    got = threading.Event()

    def answer(connection, _request):
        connection.reader.exactly(1000, Deadline(10, "the start of a body"))
        got.set()
        return RawOrigin.CLOSE

    stand.raw.answer, stand.raw.lazy = answer, True
    try:
        client.get("/exapps/raw/", b"Content-Length: 6000000000", method="POST")
        client.send(bytes(1000))
        assert got.wait(10), "the upload was not let through"
    finally:
        stand.raw.answer, stand.raw.lazy = response(b"raw"), False


def test_no_length_is_too_long(stand, front):
    with front.client() as client:
        begin_endless_upload(stand, client)


def test_an_event_comes_while_the_answer_is_open(front):
    with front.client() as client:
        client.get(f"{A}/sse?n=2&ms=3600000", b"Accept-Encoding: gzip")
        assert client.head().get("Content-Type") == "text/event-stream"
        client.until(b"data: 0\n\n")


# ---- what lasts: opened at the start ----

def test_an_upload_may_pause(front):
    reply = front.upload.response("POST", PAUSE + 10)
    front.late.join(DEFAULT)  # it ends when all is sent, which the answer may come before
    assert reply.status == 200 and not front.late.is_alive(), reply
    assert json.loads(reply.body)["sha256"] == hashlib.sha256(b"firstafter").hexdigest()


def test_a_websocket_that_was_idle_for_long_still_echoes(front):
    front.socket.client.assert_open(max(0.1, front.since + IDLE - time.monotonic()))
    front.socket.echo(b"late")


def test_events_that_are_far_apart_all_come(front):
    assert b" 200 " in front.events.head().start
    front.events.until(b"data: 1\n\n")
    text = front.h2.communicate(timeout=20)[0]
    assert front.h2.returncode == 0 and text.endswith(b"data: 1\n\n"), text


def test_a_hub_that_is_down_is_told_and_found_again(stand):
    stand.hub.kill()
    for name, front in stand.fronts.items():
        for _ in range(2):
            assert front.ask("/exapps/raw/").status == front.proxy.down, name
        assert front.ask("/").text == "Nextcloud"
    stand.start()
    for name, front in stand.fronts.items():
        assert front.ask("/exapps/raw/").text == "raw", name
