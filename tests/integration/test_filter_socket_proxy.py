"""In the place of Nextcloud's Docker Socket Proxy: its environment as it is, the engine and ExApps behind it."""
import base64
import json

import pytest

from conftest import open_site
from harness import RawClient, chunk, free_port, response
from harness.authority import Authority
from harness.credentials import DSP_PASSWORD, DSP_USER, WRONG_PASSWORD, basic
from harness.engine_model import answer as engine_answer
from harness.exapp_ports import COUNT, FIRST, exapp_origin, fresh_address
from harness.fake_engine import FakeEngine

GOOD = b"Authorization: " + basic(DSP_USER, DSP_PASSWORD).encode()
WRONG = b"Authorization: " + basic(DSP_USER, WRONG_PASSWORD).encode()


def proxy(site, engine, **env):
    """A filter with that environment, and no listeners of its own; `address` is where it listens."""
    bind, port = fresh_address(), free_port()
    values = {"NC_HAPROXY_PASSWORD": DSP_PASSWORD, "BIND_ADDRESS": bind, "HAPROXY_PORT": str(port), **env}
    values = {name: value for name, value in values.items() if value is not None}
    gate = site.filter(engine.path, listeners=(), env=values)
    gate.bind, gate.address = bind, (bind, port)
    return gate


@pytest.fixture
def engine(site):
    return site.add(FakeEngine(site.socket_path()))


# ---- the engine ----

def test_appapi_reaches_the_engine_with_its_password(site, engine):
    gate = proxy(site, engine)
    gate.wait_line(f"{gate.bind}:{gate.address[1]}: policy appapi, password")
    with RawClient(gate.address) as client:
        assert client.ask("/v1.41/_ping", GOOD).body == b"OK"
        assert client.ask("/v1.41/containers/nc_app_skeleton/json", GOOD).status == 404
        assert client.ask("/v1.41/containers/other/json", GOOD).status == 403
        refused = client.ask("/v1.41/_ping", WRONG)
        assert refused.status == 401
        assert refused.head.get("WWW-Authenticate") == 'Basic realm="AppAPI"'
    assert not any(call.head.has("Authorization") for call in engine.calls)


def test_five_failures_are_answered_and_then_nothing(site, engine):
    gate = proxy(site, engine)
    for fields in ((), (WRONG,), (), (WRONG,), ()):
        with RawClient(gate.address, source="127.0.0.9") as client:
            assert client.ask("/_ping", *fields).status == 401
    with RawClient(gate.address, source="127.0.0.9") as client:
        client.get("/_ping", WRONG)
        client.assert_closed()
    with RawClient(gate.address, source="127.0.0.10") as client:
        assert client.ask("/_ping", GOOD).status == 200


@pytest.mark.parametrize("text", [DSP_PASSWORD, DSP_PASSWORD + "\n", DSP_PASSWORD + "\r\n"])
def test_password_may_be_in_a_file(site, engine, text):
    path = site.folder / "password"
    path.write_text(text, newline="")
    gate = proxy(site, engine, NC_HAPROXY_PASSWORD=None, NC_HAPROXY_PASSWORD_FILE=str(path))
    with RawClient(gate.address) as client:
        assert client.ask("/_ping", GOOD).status == 200


def test_quotes_belong_to_the_password(site, engine):
    gate = proxy(site, engine, NC_HAPROXY_PASSWORD=f"'{DSP_PASSWORD}'")
    with RawClient(gate.address) as client:
        assert client.ask("/_ping", GOOD).status == 401
        quoted = base64.b64encode(f"{DSP_USER}:'{DSP_PASSWORD}'".encode())
        assert client.ask("/_ping", b"Authorization: Basic " + quoted).status == 200


def test_time_limits_are_those_of_the_environment(site, engine):
    gate = proxy(site, engine, TIMEOUT_CLIENT="1s", TIMEOUT_SERVER="800ms")
    with RawClient(gate.address) as client:
        assert client.ask("/_ping", GOOD).status == 200
        client.assert_closed()  # idle for longer than TIMEOUT_CLIENT
    held = engine.hold("POST", "/containers/nc_app_a/start")
    with RawClient(gate.address) as client:
        assert client.ask("/containers/nc_app_a/start", GOOD, method="POST").status == 504
    held.release()


def test_listeners_of_a_file_stand_in_for_those_of_the_environment(site, engine):
    gate = site.filter(engine.path, env={"NC_HAPROXY_PASSWORD": DSP_PASSWORD, "HAPROXY_PORT": "nonsense"})
    with RawClient(gate.path) as client:
        assert client.ask("/_ping").status == 200


# ---- containers that are to be started ----

def ended(name, number, **more):
    return {"Id": f"{number:064x}", "Names": [f"/{name}"], "State": "exited", **more}


def test_exapps_that_ended_are_started_once_if_wished(site, engine):
    engine.spoil(engine_answer(200, [ended("nc_app_one", 1), ended("other", 2), ended("nc_app_two", 3),
                                     ended("nc_app_three", 4), ended("nc_app_" + "x" * 200, 5),
                                     {"Id": "6", "Names": ["/nc_app_odd"]}, {"Names": []}, 7]),
                 "GET", "/containers/json")
    engine.spoil(engine_answer(204, b""), "POST", "/containers/[0-9a-f]{64}/start")
    engine.spoil(engine_answer(500, {"message": "no"}), "POST", f"/containers/{3:064x}/start")
    gate = proxy(site, engine, NC_AUTOSTART_CONTAINERS="")
    gate.wait_line("2 of 3 containers that had ended were started")
    gate.wait_line("autostart nc_app_two: the engine answered 500")
    assert json.loads(engine.asked("GET", "/containers/json")[0].query["filters"][0]) == {"status": ["exited"]}
    assert [call.path for call in engine.asked("POST")] == [f"/containers/{n:064x}/start" for n in (1, 3, 4)]


@pytest.mark.parametrize("answer, why", [
    (engine_answer(500, {"message": "no"}), "the engine answered 500"),
    (engine_answer(200, {"a": 1}), "the engine's list of containers can't be used"),
    (engine_answer(200, b"[{]"), "the engine's list of containers can't be used")])
def test_list_that_can_not_be_had_is_told_and_the_filter_serves(site, engine, answer, why):
    engine.spoil(answer, "GET", "/containers/json", times=1)
    gate = proxy(site, engine, NC_AUTOSTART_CONTAINERS="1")
    gate.wait_line("warning autostart", why)
    with RawClient(gate.address) as client:
        assert client.ask("/_ping", GOOD).status == 200
    assert not engine.asked("POST")


def test_filter_ends_while_containers_are_being_started(site, engine):
    engine.spoil(engine_answer(200, [ended("nc_app_one", 1)]), "GET", "/containers/json")
    held = engine.hold("POST", "/containers/.*/start")
    gate = proxy(site, engine, NC_AUTOSTART_CONTAINERS="1")
    held.wait_calls()
    assert gate.stop() < 5
    held.release()


def test_nothing_is_started_unless_wished(site, engine):
    gate = proxy(site, engine)
    with RawClient(gate.address) as client:
        assert client.ask("/_ping", GOOD).status == 200
    assert [call.path for call in engine.calls] == ["/_ping"]


# ---- ExApps ----

class Passage:
    """A filter with TLS, and an ExApp behind one of its ports, for all tests that leave nothing behind."""

    def __init__(self, site, authority):
        self.tls = authority.context()
        self.tls.check_hostname = False
        self.engine = site.add(FakeEngine(site.socket_path()))
        self.origin = site.add(exapp_origin(fresh_address()))
        cert = authority.issue("dsp", use="server")
        self.gate = proxy(site, self.engine, DSP_CERTIFICATE=str(cert),
                          EX_APPS_NET=f"ipv4@{self.origin.address}", EX_APPS_COUNT=str(COUNT), TIMEOUT_SERVER="20s")

    def connect(self, port=None, source=None):
        return RawClient((self.gate.bind, port or self.origin.port), self.tls, source=source)


@pytest.fixture(scope="module")
def file_passage(tmp_path_factory, certs):
    site = open_site(tmp_path_factory, certs, "passage")
    try:
        yield Passage(site, Authority(tmp_path_factory.mktemp("authority")))
    finally:
        site.close()


@pytest.fixture
def passage(file_passage):
    origin = file_passage.origin
    origin.answer, origin.lazy = response(b"ok"), False
    origin.requests.clear()
    origin.errors.clear()
    yield file_passage
    origin.check()


def test_engine_is_behind_tls(passage):
    with passage.connect(passage.gate.address[1]) as client:
        assert client.ask("/v1.41/_ping", GOOD).body == b"OK"
        assert client.ask("/v1.41/_ping", WRONG).status == 401


def test_every_port_of_an_exapp_is_open_and_needs_the_password(passage):
    for port in range(FIRST, FIRST + COUNT + 1):
        with passage.connect(port) as client:
            if port != passage.origin.port:
                continue  # others on this machine may listen behind them
            answer = client.ask("/x")
            assert answer.status == 401 and answer.head.get("WWW-Authenticate") == 'Basic realm="AppAPI"'
            assert client.ask("/x", GOOD).status == 200
    with pytest.raises(ConnectionRefusedError):
        passage.connect(FIRST + COUNT + 1)
    assert len(passage.origin.requests) == 1


FIELDS = (b"AA-VERSION: 3", b"EX-APP-ID: sample", b"AUTHORIZATION-APP-API: OmFwcC10b2tlbg==",
          b"X-Twice: 1", b"X-Twice: 2", b"Cookie: a=b; c=d", b"Accept: */*")


def test_request_passes_as_it_was_sent(passage):
    target = "/path//with/../dots/%2e%2f?q=a%20b&q=;[]"
    with passage.connect() as client:
        assert client.ask(target, GOOD, *FIELDS, method="PUT", body=b"\0\xff").status == 200
    request, = passage.origin.requests
    assert (request.method, request.target, request.body) == ("PUT", target, b"\0\xff")
    assert request.head.get("Host") == "hub.test"
    sent = [line.decode().partition(": ")[::2] for line in FIELDS]
    assert [pair for pair in request.head.fields if pair in sent] == sent
    assert {name for name, _ in request.head.fields} <= {"Host", "Content-Length", "Connection",
                                                         *(name for name, _ in sent)}


def test_exapp_gets_the_original_authorization_and_never_the_password(passage):
    with passage.connect() as client:
        client.ask("/a", GOOD, b"X-Original-Authorization: Bearer of-the-browser")
        client.ask("/b", GOOD)
        client.ask("/c", b"x-original-authorization: Bearer other", GOOD)
    values = [request.head.all("Authorization") for request in passage.origin.requests]
    assert values == [["Bearer of-the-browser"], [], ["Bearer other"]]
    assert basic(DSP_USER, DSP_PASSWORD).encode() not in passage.origin.received()


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
def test_every_method_passes(passage, method):
    with passage.connect() as client:
        assert client.ask("/m", GOOD, method=method).status == 200
    assert passage.origin.requests[-1].method == method


def test_head_has_no_body(passage):
    passage.origin.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
    with passage.connect() as client:
        answer = client.ask("/h", GOOD, method="HEAD")
        assert (answer.status, answer.head.get("Content-Length")) == (200, "5000")
        passage.origin.answer = response(b"next")
        assert client.ask("/h", GOOD).body == b"next"


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified", b"302 Found", b"404 Not Found",
                                    b"500 Internal Server Error"])
def test_status_and_fields_of_the_answer_pass(passage, status):
    bodiless = status[:3] in (b"204", b"304")
    fields = [b"Set-Cookie: a=1", b"Set-Cookie: b=2", b"Location: /elsewhere", b"X-Any: thing"]
    passage.origin.answer = b"\r\n".join(
        [b"HTTP/1.1 " + status, *fields, *([] if bodiless else [b"Content-Length: 4"]), b"", b""]) + (
        b"" if bodiless else b"body")
    with passage.connect() as client:
        answer = client.ask("/s", GOOD)
        assert (b"%d" % answer.status, answer.body) == (status[:3], b"" if bodiless else b"body")
        assert answer.head.all("Set-Cookie") == ["a=1", "b=2"] and answer.head.get("X-Any") == "thing"
        assert answer.head.get("Location") == "/elsewhere"


def test_large_uploads_and_downloads_pass(passage):
    body = bytes(range(256)) * 16384
    passage.origin.answer = lambda _connection, request: response(request.body)
    with passage.connect() as client:
        assert client.ask("/up", GOOD, method="POST", body=body).body == body
        client.get("/up", GOOD, b"Transfer-Encoding: chunked", method="POST")
        client.send(chunk(body[:100000]), chunk(body[100000:]), b"0\r\n\r\n")
        assert client.response().body == body
    passage.origin.answer = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(body)
                             + b"0\r\n\r\n")
    with passage.connect() as client:
        assert client.ask("/down", GOOD).body == body


def test_answer_is_passed_on_as_it_comes(passage):
    def stream(connection, _request):
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk(b"first"))
        assert connection.exactly(4) == b"more"
        return chunk(b"second") + b"0\r\n\r\n"

    passage.origin.answer = stream
    passage.origin.lazy = True
    with passage.connect() as client:
        client.get("/stream", GOOD, b"Content-Length: 4", method="POST")
        client.until(b"first")
        client.send(b"more")
        client.until(b"second")


def test_client_that_waits_for_continue_gets_it(passage):
    with passage.connect() as client:
        client.get("/e", GOOD, b"Content-Length: 4", b"Expect: 100-continue", method="POST")
        assert client.head().start.startswith(b"HTTP/1.1 100")
        client.send(b"body")
        assert client.response().status == 200
    assert passage.origin.requests[-1].body == b"body"


def test_websockets_are_opened_and_carry_both_ways(passage):
    def upgrade(connection, request):
        assert request.head.tokens("Connection") == ["upgrade"]
        assert request.head.get("Upgrade") == "websocket" and request.head.get("Sec-WebSocket-Key") == "k"
        assert request.head.get("Authorization") == "Bearer b"
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        connection.send(connection.exactly(5)[::-1])
        return passage.origin.CLOSE

    passage.origin.answer = upgrade
    with passage.connect() as client:
        client.get("/ws", GOOD, b"Connection: keep-alive, Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: k",
                   b"X-Original-Authorization: Bearer b")
        assert client.head().start == b"HTTP/1.1 101 Switching Protocols"
        client.send(b"abcde")
        assert client.exactly(5) == b"edcba"
        client.assert_closed()


def test_exapp_that_is_not_there_is_a_503(passage):
    """Behind a port where nobody listens; the next request on the connection is answered as well."""
    with passage.connect() as client:
        passage.origin.answer = passage.origin.CLOSE
        answer = client.ask("/gone", GOOD)
        assert answer.status == 503 and b"closed before the answer" in answer.body
    passage.gate.wait_line("answered 503")


def test_failures_at_exapps_and_at_the_engine_count_together(site, tmp_path):
    engine = site.add(FakeEngine(site.socket_path()))
    authority = Authority(tmp_path)
    gate = proxy(site, engine, DSP_CERTIFICATE=str(authority.issue("dsp", use="server")),
                 EX_APPS_NET="127.0.0.1", EX_APPS_COUNT="1")
    tls = authority.context()
    tls.check_hostname = False
    for port in (FIRST, FIRST + 1, gate.address[1], FIRST, FIRST):
        with RawClient((gate.bind, port), tls, source="127.0.0.9") as client:
            assert client.ask("/", WRONG).status == 401
    with pytest.raises((OSError, EOFError)):
        RawClient(gate.address, tls, source="127.0.0.9").ask("/_ping", GOOD)
    with RawClient(gate.address, tls, source="127.0.0.10") as client:
        assert client.ask("/_ping", GOOD).status == 200


def test_exapps_that_answer_late_are_a_504(site, tmp_path):
    engine = site.add(FakeEngine(site.socket_path()))
    authority = Authority(tmp_path)
    with exapp_origin(fresh_address()) as origin:
        origin.answer = None
        gate = proxy(site, engine, DSP_CERTIFICATE=str(authority.issue("dsp", use="server")),
                     EX_APPS_NET=origin.address, EX_APPS_COUNT=str(COUNT), TIMEOUT_SERVER="300ms")
        tls = authority.context()
        tls.check_hostname = False
        with RawClient((gate.bind, origin.port), tls) as client:
            assert client.ask("/slow", GOOD).status == 504


def test_a_thousand_ports_can_be_open(site, tmp_path):
    engine = site.add(FakeEngine(site.socket_path()))
    authority = Authority(tmp_path)
    gate = proxy(site, engine, DSP_CERTIFICATE=str(authority.issue("dsp", use="server")),
                 EX_APPS_NET="127.0.0.1", EX_APPS_COUNT="999")
    assert gate.open_files() >= 1001
    tls = authority.context()
    tls.check_hostname = False
    with RawClient((gate.bind, FIRST + 999), tls) as client:
        assert client.ask("/").status == 401
