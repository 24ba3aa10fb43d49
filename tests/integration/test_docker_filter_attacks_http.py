"""What somebody tries who may send bytes to harp-socket-filter, and wants the Docker host: HTTP
that the filter and an engine might divide into requests, or into head and body, in two ways.

Heads of calls without a body are in test_docker_filter_attacks.py.
"""
import json

import pytest

from harness import RawClient
from harness.docker_images import PLAIN
from harness.filter_attacks import NO, cases, filter_target, judge
from harness.wire import chunk

LINE = b"POST /v1.41/containers/create?name=nc_app_new HTTP/1.1"
JSON = b"Content-Type: application/json"
CHUNKED = b"Transfer-Encoding: chunked"
BAD = b'{"Image":"%s","HostConfig":{"Privileged":true}}' % PLAIN.encode()
GOOD = b'{"Image":"%s","HostConfig":{"NetworkMode":"host"}}' % PLAIN.encode()
INNER = (b"POST /v1.41/containers/create?name=nc_app_new HTTP/1.1\r\nHost: docker\r\n" + JSON
         + b"\r\nContent-Length: %d\r\n\r\n" % len(BAD) + BAD)
END = b"0\r\n\r\n"
LENGTH = b"Content-Length: %d"


def of(size):
    return LENGTH % size


# name: (fields, what follows the head). A good body, in a frame that is not.
FRAMES = {
    "TE and CL": ([CHUNKED, of(len(GOOD))], chunk(GOOD) + END),
    "CL and TE": ([of(len(GOOD)), CHUNKED], chunk(GOOD) + END),
    "CL of 0 and TE": ([of(0), CHUNKED], chunk(GOOD) + END),
    "CL and TE, a request behind": ([of(4), CHUNKED], b"1\r\n{\r\n0\r\n\r\n" + INNER),
    "TE twice": ([CHUNKED, CHUNKED], chunk(GOOD) + END),
    "TE of two in one": ([b"Transfer-Encoding: chunked, chunked"], chunk(GOOD) + END),
    "TE identity": ([b"Transfer-Encoding: identity", of(len(GOOD))], GOOD),
    "TE gzip": ([b"Transfer-Encoding: gzip"], GOOD),
    "TE gzip, chunked": ([b"Transfer-Encoding: gzip, chunked"], chunk(GOOD) + END),
    "TE chunked, identity": ([b"Transfer-Encoding: chunked, identity"], chunk(GOOD) + END),
    "TE xchunked": ([b"Transfer-Encoding: xchunked"], chunk(GOOD) + END),
    "TE chunked with a parameter": ([b"Transfer-Encoding: chunked;a=b"], chunk(GOOD) + END),
    "TE in quotes": ([b'Transfer-Encoding: "chunked"'], chunk(GOOD) + END),
    "TE with a vertical tab": ([b"Transfer-Encoding: \x0bchunked"], chunk(GOOD) + END),
    "TE with a blank before the colon": ([b"Transfer-Encoding : chunked"], chunk(GOOD) + END),
    "TE folded": ([b"Transfer-Encoding:\r\n chunked"], chunk(GOOD) + END),
    "TE empty": ([b"Transfer-Encoding:", of(len(GOOD))], GOOD),
    "TE behind an empty item": ([b"Transfer-Encoding: , chunked"], chunk(GOOD) + END),
    "TE, a second one empty": ([CHUNKED, b"Transfer-Encoding:"], chunk(GOOD) + END),
    "TE cow": ([b"Transfer-Encoding: cow", CHUNKED], chunk(GOOD) + END),
    "TE behind a bare CR": ([b"X: y\rTransfer-Encoding: chunked", of(len(GOOD))], GOOD),
    "TE behind a bare LF": ([b"X: y\nTransfer-Encoding: chunked", of(len(GOOD))], GOOD),
    "TE of U+017F": ([b"Tran\xc5\xbffer-Encoding: chunked", of(len(GOOD))], GOOD),
    "a NUL in TE": ([b"Transfer-Encoding: chunked\0", of(len(GOOD))], GOOD),
    "CL twice": ([of(len(GOOD)), of(len(GOOD) + 1)], GOOD + b" "),
    "CL twice, the same": ([of(len(GOOD)), of(len(GOOD))], GOOD),
    "CL list": ([b"Content-Length: %d, %d" % (len(GOOD), len(GOOD))], GOOD),
    "CL plus": ([b"Content-Length: +%d" % len(GOOD)], GOOD),
    "CL minus": ([b"Content-Length: -%d" % len(GOOD)], GOOD),
    "CL minus 0": ([b"Content-Length: -0"], b""),
    "CL hex": ([b"Content-Length: 0x%x" % len(GOOD)], GOOD),
    "CL octal-like": ([b"Content-Length: 0%d" % len(GOOD)], GOOD[:-1]),
    "CL point": ([b"Content-Length: %d.0" % len(GOOD)], GOOD),
    "CL exponent": ([b"Content-Length: 1e2"], GOOD),
    "CL blank inside": ([b"Content-Length: 1 0"], GOOD),
    "CL underscore": ([b"Content-Length: 1_0"], GOOD),
    "CL empty": ([b"Content-Length:"], GOOD),
    "CL of 64 bits and more": ([b"Content-Length: 18446744073709551617"], GOOD),
    "CL of 63 bits": ([b"Content-Length: 9223372036854775808"], GOOD),
    "CL of 30 digits": ([b"Content-Length: " + b"1" * 30], GOOD),
    "CL in other digits": (["Content-Length: \u0665".encode()], GOOD),
    "CL with a blank before the colon": ([b"Content-Length : %d" % len(GOOD)], GOOD),
    "CL folded": ([b"Content-Length:\r\n %d" % len(GOOD)], GOOD),
    "CL behind a fold": ([b"X: y\r\n Content-Length: 3", of(len(GOOD))], GOOD),
    "CL behind a bare LF": ([b"X: y\nContent-Length: 3", of(len(GOOD))], GOOD),
    "CL with a NUL": ([b"Content-Length: %d\0" % len(GOOD)], GOOD),
    "Content_Length": ([b"Content_Length: %d" % len(GOOD)], GOOD),
    "a body without a frame": ([], GOOD),
    "a body without a frame, and close": ([b"Connection: close"], GOOD),
    "too short": ([of(len(GOOD) - 1)], GOOD),
    "a head in the body": ([of(len(INNER))], INNER),
}
# name: what follows the head of a chunked request.
CHUNKS = {
    "extension": b"%x;a=b\r\n%s\r\n" % (len(BAD), BAD) + END,
    "extension in quotes": b'%x;a="b;c"\r\n%s\r\n' % (len(BAD), BAD) + END,
    "extension with a newline": b"%x;a=\n0\r\n\r\n%s\r\n" % (len(BAD), BAD) + END,
    "extension with a bare CR": b"%x;\r%s\r\n" % (len(BAD), BAD) + END,
    "extension of 100 KB": b"%x;%s\r\n%s\r\n" % (len(BAD), b"a" * 100000, BAD) + END,
    "hex prefix": b"0x%x\r\n%s\r\n" % (len(GOOD), GOOD) + END,
    "plus": b"+%x\r\n%s\r\n" % (len(GOOD), GOOD) + END,
    "minus": b"-%x\r\n%s\r\n" % (len(GOOD), GOOD) + END,
    "blank in front": b" %x\r\n%s\r\n" % (len(GOOD), GOOD) + END,
    "tab behind": b"%x\t\r\n%s\r\n" % (len(BAD), BAD) + END,
    "comma": b"%x,1\r\n%s\r\n" % (len(GOOD), GOOD) + END,
    "underscore": b"0_%x\r\n%s\r\n" % (len(GOOD), GOOD) + END,
    "17 digits": b"%017x\r\n%s\r\n" % (len(GOOD), GOOD) + END,
    "1000 zeros": b"%s%x\r\n%s\r\n" % (b"0" * 1000, len(GOOD), GOOD) + END,
    "64 bits and more": b"1%016x\r\n%s\r\n" % (len(GOOD), GOOD) + END,
    "all bits": b"ffffffffffffffff\r\n" + GOOD, "63 bits": b"7fffffffffffffff\r\n" + GOOD,
    "no size": b"\r\n%s\r\n" % GOOD + END, "no digits": b"g\r\n%s\r\n" % GOOD + END,
    "bare LF behind the size": b"%x\n%s\r\n" % (len(GOOD), GOOD) + END,
    "bare CR behind the size": b"%x\r%s\r\n" % (len(GOOD), GOOD) + END,
    "bare LF behind the data": b"%x\r\n%s\n" % (len(GOOD), GOOD) + END,
    "no end of the data": b"%x\r\n%s" % (len(GOOD), GOOD) + END,
    "two bytes too many": b"%x\r\n%sxx\r\n" % (len(GOOD), GOOD) + END,
    "bare LF at the end": chunk(GOOD) + b"0\n\n", "a half end": chunk(GOOD) + b"0\r\nX",
    "a trailer that is none": chunk(BAD) + b"0\r\nno colon\r\n\r\n",
    "a trailer with a blank": chunk(BAD) + b"0\r\nContent-Length : 5\r\n\r\n",
    "a trailer with a NUL": chunk(GOOD) + b"0\r\nX: \0\r\n\r\n",
    "a trailer of 100 KB": chunk(GOOD) + b"0\r\nX: " + b"a" * 100000 + b"\r\n\r\n",
    "10,000 trailers": chunk(GOOD) + b"0\r\n" + b"X: y\r\n" * 10000 + b"\r\n",
    "trailers that mean something": chunk(BAD)
    + b"0\r\nContent-Type: text/plain\r\nHost: x\r\n\r\n",
    "bytes one by one": b"".join(chunk(b"%c" % byte) for byte in BAD) + END,
    "1 MiB and more in chunks": chunk(b" " * 65536) * 17 + END,
}
# name: a request line and fields for a call whose body is not granted.
LINES = {
    "HTTP/1.0": b"POST /v1.41/containers/create?name=nc_app_new HTTP/1.0",
    "HTTP/1.2": b"POST /v1.41/containers/create?name=nc_app_new HTTP/1.2",
    "HTTP/2.0": b"POST /v1.41/containers/create?name=nc_app_new HTTP/2.0",
    "HTTP/0.9": b"POST /v1.41/containers/create?name=nc_app_new",
    "http/1.1": b"POST /v1.41/containers/create?name=nc_app_new http/1.1",
    "HTTP/1.1 twice": LINE + b" HTTP/1.1", "HTTP/01.1": LINE[:-8] + b"HTTP/01.1",
    "a blank behind": LINE + b" ",
    "two blanks": LINE.replace(b" /", b"  /"), "a tab": LINE.replace(b" /", b"\t/"),
    "absolute": LINE.replace(b" /", b" http://docker/"), "absolute, https": LINE.replace(b" /",
            b" https://docker/"),
    "absolute, unix": LINE.replace(b" /", b" unix:///"), "no slash": LINE.replace(b" /", b" "),
    "two slashes": LINE.replace(b" /", b" //"), "an authority": LINE.replace(b" /",
            b" docker:2375/"),
    "a fragment": LINE.replace(b"nc_app_new", b"nc_app_new#x"), "a backslash": LINE.replace(b" /",
            b" \\"),
    "a bare LF in the line": LINE.replace(b"?", b"\n?"), "a bare CR in the line": LINE.replace(b"?",
            b"\r?"),
    "post": LINE.replace(b"POST", b"post"), "PUT": LINE.replace(b"POST", b"PUT"),
    "GET": LINE.replace(b"POST", b"GET"),
    "PATCH": LINE.replace(b"POST", b"PATCH"), "DELETE": LINE.replace(b"POST", b"DELETE"),
    "CONNECT": LINE.replace(b"POST", b"CONNECT"), "TRACE": LINE.replace(b"POST", b"TRACE"),
    "PRI": b"PRI * HTTP/2.0", "an empty method": LINE.replace(b"POST", b""),
    "a quote": LINE.replace(b"POST", b"PO\"ST"),
    "a NUL": LINE.replace(b"POST", b"POST\0"), "a field in the line": LINE.replace(b" HTTP",
            b"%0d%0aHost: x HTTP"),
}
UPGRADES = {
    "tcp": [b"Connection: Upgrade", b"Upgrade: tcp"], "h2c": [
        b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c",
        b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"],
    "websocket": [b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13",
                  b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="], "TLS": [b"Connection: Upgrade",
                          b"Upgrade: TLS/1.2"],
    "tcp without Connection": [b"Upgrade: tcp"], "two": [b"Connection: Upgrade", b"Upgrade: tcp",
                                                         b"Upgrade: h2c"],
    "a list": [b"Connection: Upgrade", b"Upgrade: tcp, h2c"], "upper case": [b"Connection: Upgrade",
            b"Upgrade: TCP"],
}


@pytest.fixture(scope="module")
def target(tmp_path_factory, certs, engine):
    yield from filter_target(tmp_path_factory, certs, engine)


def attempt(target, line, fields, behind, statuses=NO):
    with target.untouched():
        reply = target.send(line, fields, behind, "POST", leave=True)
        if reply is not None:
            judge(reply, statuses, line)


def test_there_are_at_least_100_attempts():
    assert len(FRAMES) + len(CHUNKS) + len(LINES) + len(UPGRADES) * 5 >= 150


def test_what_may_pass_is_seen_to_pass(target):
    """Else nothing here could fail. The engine gets a frame of the filter's own."""
    for fields, behind in (([JSON, of(len(GOOD))], GOOD), ([JSON, CHUNKED],
                                                           chunk(GOOD[:9], b";a=b")
                                                           + chunk(GOOD[9:]) + END)):
        target.quiet()
        try:
            assert target.send(LINE, fields, behind, "POST").status == 201
            asked, = target.recorder.asked()
            assert asked.body == GOOD and asked.head.get("Content-Length") == str(len(GOOD))
        finally:
            target.api.remove("nc_app_new")


@pytest.mark.parametrize("frame", cases(FRAMES))
def test_a_body_in_a_frame_that_may_be_read_in_two_ways_is_refused(target, frame):
    attempt(target, LINE, [JSON, *frame[0]], frame[1], NO | {411, 413, 431, 501})


@pytest.mark.parametrize("data", cases(CHUNKS))
def test_chunks_that_are_bad_or_hold_what_is_bad_are_refused(target, data):
    attempt(target, LINE, [JSON, CHUNKED], data, NO | {413, 431})


@pytest.mark.parametrize("line", cases(LINES))
def test_a_request_line_in_another_form_is_refused(target, line):
    attempt(target, line, [JSON, of(len(BAD))], BAD, NO | {405, 501, 505})


@pytest.mark.parametrize("call", ["/v1.41/containers/create?name=nc_app_new",
                                  "/v1.41/containers/nc_app_x/start",
                                  "/v1.41/containers/nc_app_x/attach?stream=1", "/session", "/grpc",
                                  f"/v1.41/exec/{'0' * 64}/start"])
@pytest.mark.parametrize("fields", cases(UPGRADES))
def test_no_connection_is_handed_over(target, call, fields):
    body = BAD if "create" in call else b""
    attempt(target, f"POST {call} HTTP/1.1".encode(), [*fields, JSON, of(len(body))], body)


@pytest.mark.parametrize("expect", [b"100-continue", b"100-Continue", b"200-ok", b"100-continue, x",
                                    b""])
def test_expect_takes_no_body_past_the_judge(target, expect):
    with target.untouched(), RawClient(target.socket) as client:
        client.send(b"\r\n".join([LINE, b"Host: docker", JSON, of(len(BAD)), b"Expect: " + expect,
                                  b"", b""]))
        client.send(BAD)
        reply = client.response()
        judge(reply, NO | {417}, expect)
        assert all(head.start.startswith(b"HTTP/1.1 100 ") for head in reply.interim)


@pytest.mark.parametrize("first", [
    b"%s\r\nHost: docker\r\n%s\r\nContent-Length: %d\r\n\r\n%s" % (LINE, JSON, len(BAD), BAD),
    b"%s\r\nHost: docker\r\n%s\r\nTransfer-Encoding: chunked\r\n\r\n%s" % (LINE, JSON,
            chunk(BAD) + END),
    b"POST /v1.41/containers/nc_app_x/start HTTP/1.1\r\nHost: docker\r\nContent-Length: %d\r\n\r\n%s" % (
        len(INNER), INNER),
    b"POST /v1.41/build HTTP/1.1\r\nHost: docker\r\nContent-Length: %d\r\n\r\n%s" % (len(INNER),
            INNER),
    b"GET /v1.41/events HTTP/1.1\r\nHost: docker\r\nContent-Length: 5\r\n\r\nhello",
    b"PUT /v1.41/containers/other/archive?path=/ HTTP/1.1\r\nHost: docker\r\nTransfer-Encoding: chunked\r\n\r\n"
    + chunk(INNER) + END,
    b"%s\r\nHost: docker\r\n%s\r\nContent-Length: 5, 9\r\n\r\n" % (LINE, JSON),
    b"%s\r\nHost: docker\r\n%s\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n"
    % (LINE, JSON),
], ids=range(8))
def test_a_request_behind_a_refused_one_is_judged_or_never_read(target, first):
    """Behind it come another that is refused, and its own body once more as a request."""
    with target.untouched(), RawClient(target.socket) as client:
        client.send(first + INNER + INNER)
        client.end()
        judge(client.response(), NO, first)
        while client.reader.held or not client.reader.ended:
            try:
                judge(client.response(), NO, "what came behind")
            except EOFError:
                break


def test_what_is_dropped_behind_a_refusal_is_no_request(target):
    """A good call in the rest of a body that nobody reads."""
    hidden = b"DELETE /v1.41/containers/nc_app_x?force=true HTTP/1.1\r\nHost: docker\r\n\r\n"
    for head in (b"POST /v1.41/build HTTP/1.1\r\nHost: docker\r\nContent-Length: %d\r\n\r\n"
                 % len(hidden),
                 b"%s\r\nHost: docker\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
                 % (LINE, len(hidden)),
                 b"%s\r\nHost: docker\r\n%s\r\nContent-Length: %d\r\n\r\n" % (LINE, JSON,
                         len(hidden)),
                 b"%s\r\nHost: docker\r\n%s\r\nContent-Length: %d\r\n\r\n" % (LINE, JSON,
                         (1 << 20) + len(hidden))):
        with target.untouched(), RawClient(target.socket) as client:
            client.send(head, b" " * (1 << 20) if b"1048" in head else b"", hidden)
            client.end()
            judge(client.response(), NO | {413}, head)
            assert client.rest() == b""
    assert target.api.inspect("nc_app_x")


@pytest.mark.parametrize("behind", [b"", b"{", GOOD[:-1]])
@pytest.mark.parametrize("fields", [[of(len(GOOD))], [CHUNKED]], ids=["length", "chunked"])
def test_a_body_that_never_comes_asks_nothing(target, fields, behind):
    """The client promises more than it sends, and leaves."""
    with target.untouched():
        if fields == [CHUNKED] and behind:
            behind = chunk(behind)
        assert target.send(LINE, [JSON, *fields], behind, "POST", leave=True) is None


def test_a_field_cannot_be_written_through_a_value(target):
    """Nothing of the client's head goes on but what is listed, and that in one line."""
    target.quiet()
    reply = target.call("GET /v1.41/version", fields=[b"User-Agent: a b", b"Accept: */*", b"X: y",
                                                      b"Accept: text/x"])
    assert reply.status == 200
    asked, = target.recorder.asked()
    assert sorted(name for name, _ in asked.head.fields) == ["Accept", "Host",
            "User-Agent"], asked.head.fields
    assert json.loads(reply.body)["ApiVersion"]
