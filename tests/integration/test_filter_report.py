"""A listener that only reports: what the policy refuses passes as it came, and is told."""
import pytest

from harness import RawClient, chunk, response
from harness.filter_front import (APP, ARCHIVE, CHUNKED, CLOSE, CREATE, JSON, LAST, PING,  # noqa: F401
                                  STOP, TAR, archive, file_front, front, gone, told)

FILTER = {"listeners": ['{ address = "unix:{path}"; policy = "appapi"; mode = "report"; }',
                        '{ address = "unix:{path}.strict"; policy = "appapi"; mode = "enforce"; }'],
          "settings": {"body_max": "4K"}}
NEVER = "no policy can let it pass"
ATTACHED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


@pytest.fixture(autouse=True)
def marked(front):
    """`front.said()`: what was logged since the test began."""
    start = len(front.filter.output())
    front.said = lambda: front.filter.output()[start:].decode().replace('\\"', '"')


def reported(front, hint, count=1):
    """So many refusals were told, each with what would allow it."""
    lines = [line for line in front.said().splitlines() if "passed on, as this listener" in line]
    told_so = hint if hint == NEVER else f"a policy lets it pass with: {hint}"
    assert len(lines) == count and all(line.endswith(told_so) for line in lines), lines
    assert front.said().count("would be refused") == count


CALLS = [  # method, target, body, what would allow it
    ("GET", "/v1.41/events", b"", 'calls = [ "GET events" ];'),
    ("GET", "/images/json?all=1", b"", 'calls = [ "GET images/json" ];'),
    ("POST", "/v1.41/containers/prune?filters=%7B%7D", b"",
     'other_calls = ( { call = "POST containers/prune"; } );'),
    ("GET", "/v1.41/containers/other/json", b"", 'containers = [ "other" ];'),
    ("DELETE", "/v1.41/volumes/data?force=1", b"", 'volumes = [ "data" ];'),
    ("GET", f"{APP}/json?size=1", b"", NEVER),
    ("PATCH", "/anything/at/all?x", b"", NEVER),
    ("OPTIONS", "/", b"", NEVER),
    ("PROPFIND", "/v1.41/x//y/../z?a;b", b"", NEVER),
    ("GET", "/%2e%2e/x", b"", NEVER),
    ("PUT", "/v1.41/swarm/unlock", b"any\0bytes", NEVER),
    ("POST", "/v1.41/build?t=x", b"b" * 100000, NEVER),
    ("GET", "/_ping", b"a body that a GET should not have", NEVER),
    ("POST", CREATE, b'{"Image":"x","HostConfig":{"Privileged":true}}', NEVER),
    ("POST", CREATE, b'{"Image":"x","HostConfig":{"ReadonlyRootfs":true}}',
     'create_more = ( { key = "HostConfig.ReadonlyRootfs"; type = "boolean"; } );'),
    ("POST", CREATE, b"{ this is no JSON", NEVER),
    ("POST", CREATE, b'{"Image":"' + b"x" * 20000 + b'"}', NEVER),
    ("POST", f"{APP}/exec", b'{"Cmd":["id"]}', 'commands = ( [ "id" ] );'),
    ("POST", f"/v1.41/exec/{'a' * 64}/start", b'{"Detach":false,"Tty":true}', NEVER),
]


@pytest.mark.parametrize("call, chunked", [
    (number, chunked) for number, call in enumerate(CALLS) for chunked in ([False, True] if call[2] else [False])])
def test_what_is_refused_passes_as_it_came(front, call, chunked):
    method, target, body, hint = CALLS[call]
    before = front.metrics()
    fields = [b"X-Own: 1", b"Cookie: c=d", b"Connection: keep-alive, X-Hop", b"X-Hop: 1",
              *([JSON] if body else [])]
    with front.client() as client:
        for _ in range(2):
            if chunked:
                client.get(target, *fields, b"Transfer-Encoding: chunked", method=method)
                half = len(body) // 2
                client.send(chunk(body[:half], b";ext=1"), chunk(body[half:]), b"0\r\nX-T: 1\r\n\r\n")
            else:
                client.get(target, *fields, method=method, body=body)
            assert client.response(method).body == b"ok"
    reported(front, hint, 2)
    for request in front.engine.requests:
        assert (request.method, request.target, request.body) == (method, target, body)
        assert request.head.get("X-Own") == "1" and request.head.get("Cookie") == "c=d"
        assert request.head.get("Host") == "hub.test" and not request.head.has("X-Hop")
        assert request.head.framing()[0] == ("chunked" if chunked else "length" if body else None)
    after = front.metrics()
    assert after["would-refuse"] == before["would-refuse"] + 2
    assert after["refused"] == before["refused"] and after["malformed"] == before["malformed"]
    assert len(front.engine.requests) == 2


def test_what_the_policy_allows_is_judged_as_always(front):
    before = front.metrics()["passed"]
    front.engine.answer = told({"Config": {"Env": ["A=hidden-value"]}})
    with front.client() as client:
        client.ask(PING, b"X-Own: 1")
        assert b"hidden-value" not in client.ask(f"{APP}/json").body
        client.ask(f"{APP}/exec", JSON, method="POST", body=b'{"Cmd": ["cat","/etc/os-release"]}')
    assert not front.engine.requests[0].head.has("X-Own")
    assert front.engine.requests[2].body == b'{"Cmd":["cat","/etc/os-release"]}'
    assert front.metrics()["passed"] == before + 3 and "would be refused" not in front.said()


def test_a_listener_beside_it_refuses(front):
    with RawClient(f"{front.filter.path}.strict") as client:
        assert client.ask("/v1.41/events").status == 403
    assert front.engine.requests == []


def test_a_body_over_the_limit_streams(front):
    """It is not kept: the engine has the beginning before the end is made."""
    front.engine.lazy = True
    front.engine.answer = lambda connection, request: (connection.read_body(request), response(b"ok"))[1]
    with front.client() as client:
        client.send(b"POST %s HTTP/1.1\r\nHost: x\r\n%s\r\nTransfer-Encoding: chunked\r\n\r\n"
                    % (CREATE.encode(), JSON), chunk(b"x" * 3000))
        for number in range(50):
            client.send(chunk(b"%05d" % number * 2000))
            front.engine.wait_bytes(b"%05d" % number * 10)
        client.send(LAST)
        assert client.response().body == b"ok"
    assert front.engine.requests[0].body == b"x" * 3000 + b"".join(b"%05d" % n * 2000 for n in range(50))
    reported(front, NEVER)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_client_may_wait_with_a_body_that_is_refused(front, chunked):
    body = b"b" * 10000
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    for target in (b"/build", CREATE.encode()):
        with front.client() as client:
            client.send(b"POST %s HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n%s\r\n%s\r\n\r\n"
                        % (target, JSON, framing))
            assert client.head().start == b"HTTP/1.1 100 Continue"
            client.send(chunk(body) + LAST if chunked else body)
            answer = client.response()
            assert answer.body == b"ok" and not answer.interim
        assert front.engine.requests[-1].body == body


@pytest.mark.parametrize("line, fields", [
    (b"GET http://engine.test/swarm HTTP/1.1", b"Host: engine.test\r\n"),
    (b"GET /swarm HTTP/1.0", b""), (b"OPTIONS * HTTP/1.1", b"Host: engine.test\r\n"),
    (b"POST /swarm/leave HTTP/1.1", b"Host: \r\n")])
def test_the_engine_always_gets_one_host(front, line, fields):
    with front.client() as client:
        client.send(line + b"\r\n" + fields + b"\r\n")
        assert client.response().body == b"ok"
    head = front.engine.requests[0].head
    assert head.get("Host") == ("engine.test" if b"engine" in fields else "docker")
    assert sum(name.lower() == "host" for name, _ in head.fields) == 1


def test_redirects_of_what_is_refused_pass(front):
    front.engine.answer = response(b"", b"301 Moved Permanently", b"Location: /swarm")
    assert front.ask("/swarm").head.get("Location") == "/swarm"


def test_attaching_passes_both_ways(front):
    def echo(connection, _request):
        connection.send(ATTACHED)
        connection.send(connection.rest().upper())
        return CLOSE

    front.engine.answer = echo
    with front.client() as client:
        client.get(f"{APP}/attach?stream=1&stdin=1", b"Connection: Upgrade", b"Upgrade: tcp",
                   method="POST")
        assert client.head().start == b"HTTP/1.1 101 UPGRADED"
        client.send(b"input")
        client.end()
        assert client.rest() == b"INPUT"
    assert front.engine.requests[0].head.get("Upgrade") == "tcp"


def test_a_stream_that_is_refused_goes_on_until_its_client_leaves(front):
    def answer(connection, _request):
        connection.send(CHUNKED + chunk(b"one"))
        while not gone(connection):
            connection.ended.wait(0.01)
        return CLOSE

    front.engine.answer = answer
    with front.client() as client:
        client.get("/v1.41/events")
        client.until(b"one")
        connection = front.engine.connections[0]
        client.close()
        assert connection.ended.wait(10)


def test_an_archive_that_is_refused_passes_byte_by_byte_and_is_told_once(front):
    for name, size, hint in [("etc/passwd", 100, 'archive = [ "etc" ];'), ("../x", 9000, NEVER)]:
        data = archive(name, size) + b"behind the end"
        front.engine.requests.clear()
        with front.client() as client:
            assert client.ask(ARCHIVE, TAR, method="PUT", body=data).body == b"ok"
            client.get(ARCHIVE, TAR, b"Transfer-Encoding: chunked", method="PUT")
            for i in range(0, len(data), 700):
                client.send(chunk(data[i:i + 700]))
            client.send(LAST)
            assert client.response().body == b"ok"
        assert [request.body for request in front.engine.requests] == [data] * 2
        lines = [line for line in front.said().splitlines() if "passed on" in line and hint in line]
        assert len(lines) == 2, front.said()


def test_an_archive_that_is_good_passes_as_it_came(front):
    data = archive()
    assert front.ask(ARCHIVE, TAR, method="PUT", body=data).body == b"ok"
    assert front.engine.requests[0].body == data and "would be refused" not in front.said()


@pytest.mark.parametrize("data, status", [
    (b"GET /swarm HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"GET /swarm HTTP/1.1\r\n\r\n", 400), (b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /swarm HTTP/2.0\r\nHost: x\r\n\r\n", 505), (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"POST /build HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    (b"POST /build HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    (b"POST /build HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokxx", 400),
    (b"POST " + CREATE.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n1\r\nxx", 400)], ids=range(9))
def test_malformed_http_is_still_refused(front, data, status):
    before = front.metrics()["malformed"]
    with front.client() as client:
        client.send(data)
        assert client.response().status == status
        client.assert_closed()
    assert front.metrics()["malformed"] == before + 1
    front.wait_metric("clients", 1)
    # What the engine had of it was cut off, and does not look whole.
    front.engine.errors.clear()
    assert all(request.body is None for request in front.engine.requests)


def test_a_fault_in_the_framing_is_told_of_the_call_that_has_it(front):
    """Another client's call is judged in between."""
    with front.client() as client:
        client.send(b"POST %s/exec HTTP/1.1\r\nHost: x\r\n%s\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}"
                    % (APP.encode(), JSON))
        assert front.ask("/v1.41/images/elsewhere/json").status == 200
        client.send(b"xx")
        assert client.response().status == 400
    lines = [line for line in front.said().splitlines() if "chunk data is not followed" in line]
    assert any("containers/exec" in line for line in lines), lines
    assert not any("images" in line for line in lines)


def test_a_slow_answer_to_what_is_refused_may_be_left(front):
    """Nothing is known of it: the engine's connection ends with the client's."""
    def answer(connection, _request):
        while not gone(connection):
            connection.ended.wait(0.01)
        return CLOSE

    front.engine.answer = answer
    with front.client() as client:
        client.get(STOP.replace("nc_app_x", "other"), method="POST")
        front.engine.wait_requests(1)
        client.close()
        assert front.engine.connections[0].ended.wait(10)
