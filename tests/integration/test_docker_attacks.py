"""What somebody tries who has the shared key, as a broken-in Nextcloud has, and wants the host: the
Docker gate. Each attempt is refused, and not a byte of it reaches the engine.

What is sent in JSON to typed calls is in test_docker_attacks_typed.py.
"""
import pytest

from harness import RawClient, at, control
from harness.credentials import SHARED_KEY, WRONG_KEY
from harness.engine_attacks import answer_to, attack_target
from harness.engine_calls import CONTROL, FAR_PORT, KEY, LOCAL_PORT, gate, port_field
from harness.engine_model import IMAGE

CLOSED = None  # without an answer, and counted as a failure: paths that leave where they are
MALFORMED = {400}
REFUSED = {403}
NO = {400, 403}
DOTS = {400, 403, CLOSED}
X = "/v1.41/containers/nc_app_x"
GOOD = [("GET", "/_ping"), ("HEAD", "/_ping"), ("GET", "/v1.24/_ping"), ("GET", X + "/json"),
        ("GET", "/containers/nc_app_x/json"), ("GET", f"/v1.41/images/{IMAGE}/json"),
        ("GET", f"/v1.41/images/{IMAGE.replace('/', '%2F').replace(':', '%3A')}/json"),
        ("GET", X + "/logs?stdout=true&stderr=1&follow=0&tail=10&timestamps=false&since=0")]

# Each list: GET of a path behind /exapps/app_api.
ENCODED = [
    X + "%2Fjson", X + "%2fjson", "/v1.41/containers/nc%5Fapp_x/json",
    "/v1.41/containers/%6ec_app_x/json", "/v1.41/containers/%6Ec_app_x/json",
    "/v1.41%2Fcontainers/nc_app_x/json", "/%761.41/containers/nc_app_x/json",
    "/v1%2E41/containers/nc_app_x/json", "/v1.41/%63ontainers/nc_app_x/json", X + "/%6ason",
    X + "/jso%6E", X + "%252fjson", X + "%2525/json", X + "%/json", X + "%2/json", X + "%zz/json",
    X + "%u002f/json", X + "%c0%af/json", X + "%E2%80%8B/json", X + "%20/json", X + "%0a/json",
    X + "%0d%0aX:y/json", X + "%09/json", X + "%7f/json", X + "%23/json", X + "%3Fx/json",
    X + "%40y/json", X + "%3Ay/json", X + "@y/json", X + ":y/json", X + ";x/json", X + ";x=1/json",
    X + ",y/json", X + "+y/json", X + "*/json", X + "'/json", X + "|id/json", X + "$(id)/json",
    X + "~/json", X + "=/json", X + "&/json", X + "!/json", X + "/json%3F", X + "/json%23",
    X + "/json;x", X + "/json,", "/_pin%67", "/%5Fping", "/v1.41/images/a%2525/json",
    "/v1.41/images/a%20b/json", "/v1.41/images/a%0ab/json", "/v1.41/images/%61/json",
    "/v1.41/images%2Fa/json", "/v1.41/images/a%2Fjson", "/v1.41/images/a%3Fx/json",
    "/v1.41/images/a%23/json", "/v1.41/images/a%26b/json",
]
DOT_SEGMENTS = [
    X + "/../other/json", X + "/../../info", X + "/./json", X + "/json/..", X + "/json/.",
    X + "/../json",
    "/v1.41/./containers/nc_app_x/json", "/./v1.41/containers/nc_app_x/json", "/../v1.41/info",
    "/v1.41/images/../containers/json", "/v1.41/images/x/../../containers/json",
    "/v1.41/images/%2e%2e/containers/json", "/v1.41/images/..%2fcontainers/json",
    "/v1.41/images/..%252fcontainers/json", "/v1.41/images/.%2e/info/json", "/v1.41/images/./json",
    "/v1.41/images/../json", "/v1.41/images/a/../b/json", "/v1.41/images/a/./b/json",
    "/v1.41/containers/nc_app_x%2f..%2fother/json", "/v1.41/containers/nc_app_%2e%2e%2fother/json",
    "/v1.41/containers/nc_app_x/..%2f../info/json", "/v1.41/containers/../json",
    "/v1.41/containers/nc_app_../../other/json", X + "/..;/other/json", X + "\\..\\other/json",
    X + "%5c..%5cother/json", X + "%00/json", X + "/json%00", X + "%2500/json",
    "/_ping/../v1.41/info", "/_ping/..", "/v1.41/../info",
]
SLASHES = [
    X + "//json", "//v1.41/containers/nc_app_x/json", "/v1.41//containers/nc_app_x/json",
    "/v1.41/containers//nc_app_x/json", X + "/json/", X + "/json//", "/_ping/", "//_ping",
    "/v1.41/images//containers/json", "/v1.41/images/a//b/json", "/v1.41/images//json",
    "/v1.41/images/json/", "/v1.41/containers//json", "/v1.41/images/%2Fa/json",
    "/v1.41/images/a%2F/json", "/v1.41/images/a%2F%2Fb/json", "/v1.41/", "/v1.41", "/",
]
VERSIONS = [f"/{version}/containers/nc_app_x/json" for version in (
    "v1.23", "v1.12", "v1.0", "v0.41", "v2.0", "v2.41", "v10.41", "v1.041", "v01.41", "v1.41.0",
    "v1.",
    "v1", "v", "v.41", "V1.41", "1.41", "v1.100", "v1.41x", "v1.-41", "v1.+41", "v1.4e1", "v1.0x29",
    "v1.18446744073709551657", "v1.4294967337", "v1,41", "v1.41-rc1", "latest", "v1.41/v1.41",
    "v1.24/v1.23", "x/v1.41")]
TAILS = [
    X + "/jsonx", X + "/json/x", X + "/json.json", X + "/xjson", X + "/JSON", X + "/json/json", X,
    X + "/", X + "/logsx", X + "/logs/x", X + "/log", "/v1.41/xcontainers/nc_app_x/json",
    "/v1.41/containersx/nc_app_x/json", "/v1.41/Containers/nc_app_x/json", "/_pingx", "/x_ping",
    "/_PING", "/_ping/x", "/_ping/json", "/v1.41/x/_ping", "/v1.41/containers/nc_app_x/x/json",
    "/x/v1.41/containers/nc_app_x/json", "/v1.41/docker/containers/nc_app_x/json",
    "/v1.41/images/a/jsonx", "/v1.41/images/a/json/", "/v1.41/images/json", "/v1.41/images/a",
]
NAMES = [f"/v1.41/containers/{name}/json" for name in (
    "other", "nc_app_", "nc_app", "nc_ap_x", "xnc_app_x", "NC_APP_x", "Nc_app_x", "nc-app-x",
    "nc_app-x",
    "nc_app_" + "a" * 101, "nc_app_" + "a" * 5000, "_nc_app_x", ".nc_app_x", "json", "0" * 12,
    "a" * 64,
    "nc_app_x,other", "other,nc_app_x", "create", "prune")]
IMAGES = [f"/v1.41/images/{name}/json" for name in (
    "A", "a..b", "a/B", "-a", "a-", "a:", ":a", "a@", "a@sha256:1", "a@sha256:" + "g" * 64, "a:b:c",
    "a:" + "t" * 129, "a" * 256, "a___b", "http://x/a", "a:70000/b:", "a%40sha256%3Ax", "_a", "a_")]
OTHERS = [
    "GET /info", "GET /version", "GET /v1.41/version", "GET /v1.41/info", "GET /v1.41/events",
    "GET /v1.41/system/df", "GET /v1.41/containers/json", "GET /v1.41/containers/json?all=1",
    "GET /v1.41/containers/other/json", "GET /v1.41/containers/other/logs?stdout=1",
    f"GET {X}/top", f"GET {X}/stats", f"GET {X}/changes", f"GET {X}/export", f"GET {X}/attach/ws",
    f"GET {X}/archive?path=/", f"HEAD {X}/archive?path=/", f"PUT {X}/archive?path=/",
    f"POST {X}/attach?stream=1", f"POST {X}/exec", f"POST {X}/kill", f"POST {X}/pause",
    f"POST {X}/unpause", f"POST {X}/rename?name=nc_app_y", f"POST {X}/update", f"POST {X}/resize",
    f"POST {X}/wait", f"POST {X}/start", f"POST {X}/stop", f"POST {X}/restart", f"DELETE {X}",
    f"DELETE {X}?force=true&v=true", "POST /v1.41/containers/create?name=nc_app_x",
    "POST /v1.41/containers/create", "POST /v1.41/containers/prune", f"POST {X}/copy",
    "POST /v1.41/exec/abc/start", "GET /v1.41/exec/abc/json", "POST /v1.41/exec/abc/resize",
    "POST /v1.41/build", "POST /v1.41/build?remote=http://x/", "POST /v1.41/build/prune",
    "POST /v1.41/commit?container=nc_app_x", "POST /v1.41/images/load", "POST /v1.41/images/prune",
    "GET /v1.41/images/json", "GET /v1.41/images/search?term=a", "GET /v1.41/images/get?names=a",
    "GET /v1.41/images/a/get", "GET /v1.41/images/a/history", "POST /v1.41/images/a/push",
    "POST /v1.41/images/a/tag?repo=b", "DELETE /v1.41/images/a", "GET /v1.41/volumes",
    "GET /v1.41/volumes/nc_app_x_data", "POST /v1.41/volumes/create", "POST /v1.41/volumes/prune",
    "DELETE /v1.41/volumes/nc_app_x_data", "GET /v1.41/networks", "POST /v1.41/networks/create",
    "GET /v1.41/networks/bridge", "POST /v1.41/networks/x/connect", "GET /v1.41/swarm",
    "POST /v1.41/swarm/init", "POST /v1.41/swarm/join", "POST /v1.41/swarm/leave?force=1",
    "GET /v1.41/nodes", "GET /v1.41/services", "POST /v1.41/services/create", "GET /v1.41/tasks",
    "GET /v1.41/secrets", "POST /v1.41/secrets/create", "GET /v1.41/configs", "GET /v1.41/plugins",
    "POST /v1.41/plugins/pull?remote=a", "POST /v1.41/plugins/a/enable", "POST /v1.41/session",
    "POST /session", "POST /grpc", "POST /v1.41/grpc", "POST /v1.41/auth",
    "GET /v1.41/distribution/a/json", "GET /v1.41/checkpoints", f"POST {X}/checkpoints",
    "GET /v4.0.0/libpod/info", "GET /libpod/info", "POST /v4.0.0/libpod/containers/create",
    "GET /debug/vars", "GET /debug/pprof/", "GET /metrics", "GET /exapps/app_api/v1.41/info",
]
METHODS = [f"{method} {path}" for path in (X + "/json", "/_ping", f"/v1.41/images/{IMAGE}/json")
           for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO", "get", "Get",
                          "GETX", "PROPFIND", "CONNECT", "PRI")] + [
    f"HEAD {X}/json", f"HEAD {X}/logs?stdout=1", "GET /v1.41/images/create?fromImage=a",
    "PUT /v1.41/images/create?fromImage=a", "HEAD /v1.41/images/create?fromImage=a",
    "POST /v1.41/containers/nc_app_x/logs?stdout=1", "COPY " + X + "/json"]
QUERIES = [f"GET {X}/json?{query}" for query in (
    "size=1", "size", "=", "x", "&", "size=1&size=0", "%")] + [
    f"GET {X}/logs?{query}" for query in (
        "stdout=1&x=1", "stdout=1&stdout=0", "stdout=1&follow=1&follow=1", "std%6Fut=1",
        "stdout=%31%00",
        "STDOUT=1", "stdout=1;follow=1", "stdout=1&&follow=1", "&stdout=1", "stdout=1&", "stdout",
        "stdout=", "stdout=yes", "stdout=1&tail=-1", "stdout=1&tail=1%0d%0aX:y",
        "stdout=1&tail=1e9",
        "stdout=1&tail=" + "9" * 30, "stdout=1&since=2026-01-01T00:00:00Z", "stdout=1&until=now",
        "stdout=1+", "stdout=%2531", "stdout=1&follow=tru%65%00", "stdout=1&details=1",
        "stdout=1?x",
        "stdout[]=1", "stdout=1#x", "stdout=1&" + "&".join(f"a{n}=1" for n in range(40)))] + [
    f"GET /_ping?{query}" for query in ("x=1", "v=1.12", "fromImage=a")] + [
    f"GET /v1.41/images/{IMAGE}/json?x=1"]
PULLS = [f"POST /v1.41/images/create{query}" for query in (
    "", "?", "?fromImage=", "?tag=1", "?fromSrc=-", "?fromSrc=http%3A%2F%2Fx%2F",
    "?fromImage=a&fromSrc=-",
    "?fromSrc=&fromImage=a", "?fromImage=a&repo=b", "?fromImage=a&message=b",
    "?fromImage=a&changes=ENTRYPOINT%20id", "?fromImage=a&fromImage=b", "?fromImage=a&tag=1&tag=2",
    "?fromimage=a", "?FromImage=a", "?from%49mage=a", "?fromImage=a%00", "?fromImage=A",
    "?fromImage=a%20b",
    "?fromImage=../a", "?fromImage=a/../b", "?fromImage=http%3A%2F%2Fx%2Fa", "?fromImage=-",
    "?fromImage=a:b:c",
    "?fromImage=a:1&tag=2", "?fromImage=a@sha256:1", "?fromImage=a&tag=a/b",
    "?fromImage=a&tag=" + "t" * 129,
    "?fromImage=a&tag=%0d%0a", "?fromImage=a&platform=linux/../x", "?fromImage=a&platform=a/b/c/d",
    "?fromImage=a&platform=", "?fromImage=a+b", "?fromImage=a;fromSrc=-", "?fromImage=a&x",
    "?fromImage=a&=b",
    "?fromImage=%25", "?fromImage=a%", "?fromImage=" + "a" * 4096, "?fromImage=a&tag=1%26fromSrc=-",
    "?fromImage=a%26fromSrc%3D-", "?fromImage=a#&fromSrc=-", "x?fromImage=a", "/?fromImage=a",
    "/x?fromImage=a", "%3FfromImage=a")] + [
    "POST /v1.41/images/%63reate?fromImage=a", "POST /v1.41/images/Create?fromImage=a",
    "POST /v1.41/images/create/json?fromImage=a", "POST /v1.23/images/create?fromImage=a"]
PULL = "POST /v1.41/images/create?fromImage=a"
# name: (call, raw header fields, what follows the head, statuses)
FORM = b"Content-Type: application/x-www-form-urlencoded"
HEADS = {
    "a body of GET": (f"GET {X}/json", [b"Content-Length: 5"], b"hello", NO),
    "a chunked body of GET": (f"GET {X}/json", [b"Transfer-Encoding: chunked"],
        b"2\r\n{}\r\n0\r\n\r\n", NO),
    "a request as the body of GET": (
        f"GET {X}/json", [b"Content-Length: 40"],
        b"GET /v1.41/info HTTP/1.1\r\nHost: docker\r\n\r\n"[:40], NO),
    "a form for a pull": (PULL, [FORM, b"Content-Length: 9"], b"fromSrc=-", NO),
    "a form in place of a query": ("POST /v1.41/images/create", [FORM, b"Content-Length: 11"],
                                   b"fromImage=a", NO),
    "a chunked form for a pull": (PULL, [FORM, b"Transfer-Encoding: chunked"],
                                  b"9\r\nfromSrc=-\r\n0\r\n\r\n", NO),
    "a tar for a pull": (PULL, [b"Content-Type: application/x-tar", b"Content-Length: 512"],
                         bytes(512), NO),
    "multipart for a pull": (PULL, [b"Content-Type: multipart/form-data; boundary=x",
                                    b"Content-Length: 5"], b"--x--", NO),
    "JSON for a pull": (PULL, [b"Content-Type: application/json", b"Content-Length: 2"], b"{}", NO),
    "1 GiB for a pull": (PULL, [b"Content-Length: 1073741824"], b"x" * 100000, NO | {413}),
    "two lengths": (PULL, [b"Content-Length: 0", b"Content-Length: 5"], b"hello", MALFORMED),
    "two equal lengths": (PULL, [b"Content-Length: 5", b"Content-Length: 5"], b"hello", NO),
    "a list of lengths": (PULL, [b"Content-Length: 0, 5"], b"hello", MALFORMED),
    "length with a plus": (PULL, [b"Content-Length: +5"], b"hello", MALFORMED),
    "length below 0": (PULL, [b"Content-Length: -1"], b"hello", MALFORMED),
    "length in hex": (PULL, [b"Content-Length: 0x5"], b"hello", MALFORMED),
    "length and chunked": (PULL, [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        b"0\r\n\r\n",
                           MALFORMED),
    "chunked twice": (PULL, [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
                      b"0\r\n\r\n", MALFORMED),
    "gzip, chunked": (PULL, [b"Transfer-Encoding: gzip, chunked"], b"0\r\n\r\n", MALFORMED | {501}),
    "identity": (PULL, [b"Transfer-Encoding: identity", b"Content-Length: 5"], b"hello",
                 MALFORMED | {501}),
    "a tab before chunked": (PULL, [b"Transfer-Encoding:\x0bchunked"], b"0\r\n\r\n",
        MALFORMED | {501}),
    "a blank before the colon": (PULL, [b"Content-Length : 5"], b"hello", MALFORMED),
    "a folded field": (PULL, [b"X: a\r\n Content-Length: 5"], b"hello", MALFORMED),
    "a bare LF": (PULL, [b"X: a\nContent-Length: 5"], b"hello", MALFORMED),
    "a bare CR": (PULL, [b"X: a\rContent-Length: 5"], b"hello", MALFORMED),
    "a NUL": (PULL, [b"X: a\0b"], b"", MALFORMED),
    "two hosts": (f"GET {X}/json", [b"Host: docker"], b"", MALFORMED),
    "Expect: 100-continue": (PULL, [b"Expect: 100-continue", b"Content-Length: 9"], b"",
        NO | {417}),
    "Expect without a body": (f"GET {X}/json", [b"Expect: 100-continue"], b"", NO | {417}),
    "Expect: something": (f"GET {X}/json", [b"Expect: 200-ok"], b"", NO | {417}),
    "Upgrade: tcp": (f"GET {X}/logs?stdout=1&follow=1", [b"Connection: Upgrade", b"Upgrade: tcp"],
                     b"", NO),
    "Upgrade: tcp of a pull": (PULL, [b"Connection: Upgrade", b"Upgrade: tcp",
        b"Content-Length: 0"],
                               b"", NO),
    "Upgrade: tcp of a ping": ("GET /_ping", [b"Connection: Upgrade", b"Upgrade: tcp"], b"", NO),
    "Upgrade: tcp of an attach": (f"POST {X}/attach?stream=1&stdin=1&stdout=1",
                                  [b"Connection: Upgrade", b"Upgrade: tcp", b"Content-Length: 0"],
                                  b"id\n", NO),
    "Upgrade: tcp of an exec": ("POST /v1.41/exec/abc/start",
                                [b"Connection: Upgrade", b"Upgrade: tcp", b"Content-Length: 0"],
                                b"id\n", NO),
    "Upgrade: h2c of a session": ("POST /session", [b"Connection: Upgrade", b"Upgrade: h2c",
                                                    b"Content-Length: 0"], b"", NO),
    "Upgrade: websocket": (f"GET {X}/attach/ws", [
        b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="], b"", NO),
    "two registry passwords": (PULL, [b"X-Registry-Auth: e30=", b"X-Registry-Auth: e30=",
                                      b"Content-Length: 0"], b"", NO),
    "a registry password that is none": (PULL, [b"X-Registry-Auth: {}\x80", b"Content-Length: 0"],
                                         b"", NO),
    "a registry password over 6 KiB": (PULL, [b"X-Registry-Auth: " + b"A" * 7000,
                                              b"Content-Length: 0"], b"", NO | {431}),
    "200 fields": (f"GET {X}/json", [b"X%d: y" % n for n in range(200)], b"", NO | {431}),
    "a field of 40 KiB": (f"GET {X}/json", [b"X: " + b"y" * 40000], b"", NO | {431}),
}
UNSENDABLE = {
    "a blank in the path": b"GET /exapps/app_api/v1.41/containers/nc_app_x /json HTTP/1.1",
    "a tab in the path": b"GET /exapps/app_api/v1.41/containers/nc_app_x\t/json HTTP/1.1",
    "a NUL in the path": b"GET /exapps/app_api/v1.41/containers/nc_app_x\0/json HTTP/1.1",
    "a byte over 127": b"GET /exapps/app_api/v1.41/containers/nc_app_\xe9/json HTTP/1.1",
    "full-width letters": "GET /exapps/app_api/v1.41/containers/nc_app_x/ｊson HTTP/1.1".encode(),
    "HTTP/1.0": b"GET /exapps/app_api/v1.41/info HTTP/1.0",
    "HTTP/0.9": b"GET /exapps/app_api/v1.41/containers/nc_app_x/json",
    "HTTP/2.0": b"GET /exapps/app_api/v1.41/containers/nc_app_x/json HTTP/2.0",
    "two requests in a line": b"GET /exapps/app_api/_ping HTTP/1.1 GET /v1.41/info HTTP/1.1",
    "an absolute form of another place": b"GET http://docker/exapps/app_api/v1.41/info HTTP/1.1",
    "an absolute form without the prefix": b"GET http://docker/v1.41/info HTTP/1.1",
    "an authority": b"CONNECT docker:2375 HTTP/1.1",
    "a socket's address": b"GET unix:///var/run/docker.sock/v1.41/info HTTP/1.1",
    "an asterisk": b"OPTIONS * HTTP/1.1",
    "no slash": b"GET exapps/app_api/v1.41/info HTTP/1.1",
    "a fragment": b"GET /exapps/app_api/_ping#/v1.41/info HTTP/1.1",
}
PORTS = {
    "22": {400, 503}, "0": {400, 503}, "-1": {400}, "24099x": {400}, "x24000": {400},
    "65536": {400, 503},
    "24000.0": {400}, "0x5dc0": {400}, "+24000": {400}, "024000": {400, 503}, "2400 0": {400},
    "24000,24001": {400}, "24000, 24000": {400}, "": {400}, "abc": {400}, "24050": {503},
    "24099": {503}, "24100": {400, 503}, "23999": {400, 503}, "23000": {400, 503},
    "23005": {400, 503},
    "89536": {400, 503}, "4294991296": {400, 503}, "18446744073709575616": {400, 503},
    "٢٤٠٠٠": {400},
    "24000\u00a0": {400}, "127.0.0.1:24000": {400}, "docker": {400},
}


@pytest.fixture(scope="module", params=["fake", "real"])
def target(request, tmp_path_factory, certs):
    yield from attack_target(request, tmp_path_factory, certs)


def short(text):
    """A test's name."""
    return text if len(text) < 60 else f"{text[:40]}... of {len(text)}"


def refused(target, call, fields=(), behind=b"", statuses=NO):
    """Sends it as it is; says what came of it."""
    method, path = call.split(" ", 1)
    line = f"{method} {CONTROL}{path} HTTP/1.1".encode("latin-1")
    fields = [KEY, port_field(target.port), *fields]
    framed = any(b"length" in field.lower() or b"encoding" in field.lower() for field in fields)
    if method in ("POST", "PUT") and not framed:
        fields.append(b"Content-Length: 0")
    with target.untouched():
        status = answer_to(target.hub, line, fields, behind, method)
        assert status in statuses, (call, status)


def test_there_are_at_least_100_attempts():
    lists = (ENCODED, DOT_SEGMENTS, SLASHES, VERSIONS, TAILS, NAMES, IMAGES, OTHERS, METHODS,
             QUERIES, PULLS, HEADS, UNSENDABLE, PORTS)
    assert sum(map(len, lists)) >= 400
    for attempts in lists:
        assert len(set(attempts)) == len(attempts)


@pytest.mark.parametrize("method, path", GOOD)
def test_what_may_pass_is_seen_to_pass(target, method, path):
    """Else nothing here could fail."""
    before = target.seen()
    reply = gate(target.hub, method, path, port=target.port)
    assert reply.status == 200, reply
    assert target.seen() != before


@pytest.mark.parametrize("path", [*ENCODED, *SLASHES, *VERSIONS, *TAILS, *NAMES, *IMAGES],
                         ids=short)
def test_a_path_that_is_not_exactly_a_good_one_is_refused(target, path):
    refused(target, "GET " + path)


@pytest.mark.parametrize("path", DOT_SEGMENTS)
def test_dot_segments_lead_nowhere(target, path):
    refused(target, "GET " + path, statuses=DOTS)


@pytest.mark.parametrize("call", OTHERS)
def test_the_rest_of_dockers_api_is_closed(target, call):
    refused(target, call, statuses=NO | {405})


@pytest.mark.parametrize("call", METHODS)
def test_other_methods_are_refused(target, call):
    refused(target, call, statuses=NO | {405, 501})


@pytest.mark.parametrize("call", [*QUERIES, *PULLS], ids=short)
def test_a_query_that_is_not_exactly_a_good_one_is_refused(target, call):
    refused(target, call, statuses=NO | {414})


@pytest.mark.parametrize("name", HEADS)
def test_a_head_that_means_more_than_it_should_is_refused(target, name):
    call, fields, behind, statuses = HEADS[name]
    refused(target, call, fields, behind, statuses)


@pytest.mark.parametrize("name", UNSENDABLE)
def test_a_request_line_that_may_be_read_in_two_ways_is_refused(target, name):
    with target.untouched():
        status = answer_to(target.hub, UNSENDABLE[name], [KEY, port_field(target.port)])
        assert status in {400, 403, 404, 405, 501, 505, CLOSED}, status


@pytest.mark.parametrize("port", PORTS)
def test_a_port_that_is_no_engines_leads_nowhere(target, port):
    """23005 is the port of an ExApp's tunnel that is up: no call to an engine gets into it."""
    with target.untouched():
        for path in ("/_ping", X + "/json"):
            status = answer_to(target.hub, f"GET {CONTROL}{path} HTTP/1.1".encode(),
                               [KEY, b"docker-engine-port: " + port.encode()])
            assert status in PORTS[port], (port, status)
        reply = control(target.hub, "POST", "/docker/exapp/exists", {"name": "x"},
                        fields=[b"docker-engine-port: " + port.encode()])
        assert reply.status in PORTS[port], reply
    assert target.exapp.requests == [] and target.exapp.received() == b""


@pytest.mark.parametrize("name", [b"docker-engine-port", b"Docker-Engine-Port",
                                  b"docker_engine_port"])
@pytest.mark.parametrize("port", [LOCAL_PORT, FAR_PORT, 22])
def test_two_ports_are_refused(target, port, name):
    with target.untouched():
        fields = [KEY, port_field(target.port), b"%s: %d" % (name, port)]
        assert answer_to(target.hub, f"GET {CONTROL}/_ping HTTP/1.1".encode(), fields) == 400


@pytest.mark.parametrize("spelling", [b"Docker-Engine-Port ", b"docker-engine-port\t",
                                      b"X-Docker-Engine-Port", b"docker-engine-port\0"])
def test_a_port_in_another_spelling_is_none(target, spelling):
    with target.untouched():
        field = spelling + b": " + str(target.port).encode()
        assert answer_to(target.hub, f"GET {CONTROL}/_ping HTTP/1.1".encode(),
                         [KEY, field]) in {400, 404}


@pytest.mark.parametrize("keys, status", [
    ([], 401), ([b""], 401), ([WRONG_KEY.encode()], 401), ([SHARED_KEY.upper().encode()], 401),
    ([SHARED_KEY.encode() + b"x"], 401), ([SHARED_KEY[:-1].encode()], 401),
    ([SHARED_KEY.encode()] * 2, 400), ([SHARED_KEY.encode(), WRONG_KEY.encode()], 400),
    ([WRONG_KEY.encode(), SHARED_KEY.encode()], 400)])
@pytest.mark.parametrize("call", ["GET /_ping", f"GET {X}/json", "POST /docker/exapp/exists",
                                  "GET /v1.41/info"])
def test_without_the_key_nothing_is_asked_of_an_engine(target, call, keys, status):
    method, path = call.split(" ")
    fields = [port_field(target.port), *(b"harp-shared-key: " + key for key in keys)]
    body = b'{"name":"x"}' if method == "POST" else b""
    if body:
        fields.append(b"Content-Length: %d" % len(body))
    with target.untouched():
        assert answer_to(target.hub, f"{method} {CONTROL}{path} HTTP/1.1".encode(), fields,
                         body, method) == status


def test_a_browser_is_not_let_through_whatever_it_says(target):
    with target.untouched():
        key = SHARED_KEY.encode()
        for fields in ([b"AA-VERSION: 34"], [b"Authorization: Basic YTpi"],
                       [b"Authorization: Bearer " + key], [b"Cookie: harp-shared-key=" + key],
                       [b"X-Harp-Shared-Key: " + key],
                       [b"Connection: harp-shared-key", b"X-Real-IP: 127.0.0.1"]):
            assert answer_to(target.hub, f"GET {CONTROL}/_ping HTTP/1.1".encode(),
                             [port_field(target.port), at("203.0.113.5"), *fields]) in {401, 400}


# ---- what passes, passes clean ----

TRICKS = [b"X-HTTP-Method-Override: DELETE", b"X-HTTP-Method: DELETE", b"X-Method-Override: DELETE",
          b"X-Original-URL: /v1.41/info", b"X-Rewrite-URL: /v1.41/info",
          b"X-Forwarded-Host: docker",
          b"X-Forwarded-Prefix: /v1.41", b"Forwarded: host=docker",
          b"Content-Type: application/x-tar",
          b"Authorization: Bearer x", b"Cookie: a=b", b"Connection: accept, host", b"TE: trailers",
          b"Keep-Alive: timeout=5", b"Range: bytes=0-1", b"If-None-Match: x",
          b"Accept-Encoding: gzip",
          b"Via: 1.1 x", b"Max-Forwards: 0", b"X-Meta-A: b", b"X-Registry-Config: e30=",
          b"Origin: null",
          b"Referer: http://x/", b"Proxy-Connection: keep-alive", b"Content-Length: 0"]


@pytest.mark.parametrize("field", TRICKS)
def test_a_field_that_might_mean_something_to_an_engine_stays_behind(target, field):
    reply = gate(target.hub, "GET", X + "/json", field, port=target.port)
    assert reply.status in (200, 400, 403), reply
    name = field.partition(b":")[0].lower().decode()
    for head in target.heads():
        assert head.start.split(b" ")[0] == b"GET"
        values = [value.encode() for value in head.all(name)]
        assert field.partition(b": ")[2] not in values, head.fields
        assert not head.has("harp-shared-key") and not head.has("docker-engine-port")
        assert head.get("Host") not in (None, "hub.test")


def test_a_refused_call_behind_a_good_one_does_not_slip_through(target):
    """Pipelined, and with what looks like a body of the first."""
    good = (f"GET {CONTROL}{X}/json HTTP/1.1\r\nHost: hub.test\r\n".encode()
            + KEY + b"\r\n" + port_field(target.port) + b"\r\n\r\n")
    bad = good.replace(X.encode() + b"/json", b"/v1.41/info")
    raw = b"GET /v1.41/info HTTP/1.1\r\nHost: docker\r\n\r\n"
    for second in (bad, raw):
        target.forget()
        with RawClient(target.hub.http) as client:
            client.send(good + second)
            assert client.response().status == 200
            try:
                assert client.response().status in (400, 403, 404)
            except EOFError:
                pass
        assert [head.start.split(b" ")[1] for head in target.heads()] == [X.encode() + b"/json"]
