"""The HTTP engine: what a client sends is what the ExApp gets, and the other way round, whatever
the framing. Raw bytes on both sides, so that nothing is hidden by a library.
"""
import threading

import pytest

from harness import RawClient, RawOrigin, app, chunk, fetch, response, wait_for

A = "/exapps/sample"
CHUNKED = b"Transfer-Encoding: chunked"


def by_target(_connection, request):
    return response(request.target.encode())


# ---- connections ----

def test_keeps_the_client_connection_for_many_requests(hub, origin):
    origin.answer = by_target
    with RawClient(hub.http) as client:
        for number in range(50):
            assert client.ask(f"{A}/{number}").text == f"/{number}"


def test_reuses_the_connection_to_the_exapp(site):
    origin = site.origin()
    hub = site.direct(origin.port)
    with RawClient(hub.http) as client:
        for _ in range(20):
            assert client.ask(f"{A}/").status == 200
    assert fetch(hub.http, f"{A}/").status == 200
    assert len(origin.connections) == 1


def test_does_not_reuse_an_exapp_connection_that_says_close(site):
    origin = site.origin(lambda _c, _r: response(b"ok", b"200 OK", b"Connection: close"))
    hub = site.direct(origin.port)
    with RawClient(hub.http) as client:
        for _ in range(3):
            reply = client.ask(f"{A}/")
            assert reply.status == 200 and "close" not in reply.head.tokens("Connection")
    assert len(origin.connections) == 3


def test_two_apps_never_share_a_connection(site):
    one, two = site.origin(response(b"one")), site.origin(response(b"two"))
    hub = site.hub(app("one", port=one.port), app("two", port=two.port))
    with RawClient(hub.http) as client:
        for _ in range(5):
            assert client.ask("/exapps/one/").body == b"one"
            assert client.ask("/exapps/two/").body == b"two"


def test_answers_pipelined_requests_in_order(hub, origin):
    origin.answer = by_target
    with RawClient(hub.http) as client:
        client.send(b"".join(b"GET /exapps/sample/%d HTTP/1.1\r\nHost: h\r\n\r\n" % number
                             for number in range(100)))
        for number in range(100):
            assert client.response().text == f"/{number}"


def test_answers_pipelined_mixed_methods_with_bodies_in_order(hub, origin):
    def answer(_connection, request):
        if request.method == "HEAD":
            return b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        return response(f"{request.method} {request.target} ".encode() + request.body)

    origin.answer = answer
    head = b" HTTP/1.1\r\nHost: h\r\n"
    with RawClient(hub.http) as client:
        client.send(b"GET /exapps/sample/a" + head + b"\r\n"
                    + b"POST /exapps/sample/b" + head + b"Content-Length: 4\r\n\r\nbody"
                    + b"HEAD /exapps/sample/c" + head + b"\r\n"
                    + b"PUT /exapps/sample/d" + head + CHUNKED + b"\r\n\r\n"
                    + chunk(b"in ") + chunk(b"pieces") + b"0\r\n\r\n"
                    + b"DELETE /exapps/sample/e" + head + b"\r\n")
        assert client.response().body == b"GET /a "
        assert client.response().body == b"POST /b body"
        assert client.response("HEAD").head.get("Content-Length") == "1000"
        assert client.response().body == b"PUT /d in pieces"
        assert client.response().body == b"DELETE /e "


def test_slow_first_answer_does_not_let_the_second_overtake(hub, origin):
    gate = threading.Event()

    def answer(_connection, request):
        if request.target == "/slow":
            gate.wait(10)
        return response(request.target.encode())

    origin.answer = answer
    with RawClient(hub.http) as client:
        client.send(b"GET /exapps/sample/slow HTTP/1.1\r\nHost: h\r\n\r\n"
                    b"GET /exapps/sample/fast HTTP/1.1\r\nHost: h\r\n\r\n")
        client.assert_open(0.2)
        gate.set()
        assert client.response().body == b"/slow"
        assert client.response().body == b"/fast"


def test_closes_when_the_client_asks_for_it(hub, origin):
    with RawClient(hub.http) as client:
        reply = client.ask(f"{A}/", b"Connection: close")
        assert reply.status == 200 and "close" in reply.head.tokens("Connection")
        client.assert_closed()


def test_request_cut_into_single_bytes_arrives_whole(hub, origin):
    with RawClient(hub.http) as client:
        raw = b"POST /exapps/sample/x?y HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
        for position in range(len(raw)):
            client.send(raw[position:position + 1])
        assert client.response().status == 200
    request, = origin.wait_requests(1)
    assert (request.target, request.body) == ("/x?y", b"abc")


def test_empty_line_before_a_request_is_forgiven(hub, origin):
    """RFC 9112 2.2: a CRLF left over by old clients after a body."""
    with RawClient(hub.http) as client:
        client.send(b"\r\nGET /exapps/sample/x HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.response().status == 200


def test_client_that_ends_its_side_after_the_request_still_gets_the_answer(hub, origin):
    gate = threading.Event()

    def answer(_connection, _request):
        gate.wait(10)
        return response(b"late")

    origin.answer = answer
    with RawClient(hub.http) as client:
        client.get(f"{A}/")
        client.end()
        origin.wait_requests(1)
        gate.set()
        assert client.response().body == b"late"


# ---- bodies towards the ExApp ----

@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 1 << 20, 5_000_003])
def test_carries_a_request_body_with_length(hub, origin, size):
    body = bytes(range(256)) * (size // 256 + 1)
    with RawClient(hub.http) as client:
        client.get(f"{A}/", b"Content-Length: %d" % size, method="POST")
        client.send(body[:size])
        assert client.response().status == 200
    request, = origin.wait_requests(1)
    assert request.head.get("Content-Length") == str(size) and request.body == body[:size]


def test_carries_a_chunked_request_body(hub, origin):
    pieces = [b"a", b"b" * 70000, b"c" * 3, b"\r\n0\r\n\r\n"]
    with RawClient(hub.http) as client:
        client.get(f"{A}/", CHUNKED, method="POST")
        client.send(*map(chunk, pieces), b"0\r\n\r\n")
        assert client.response().status == 200
    request, = origin.wait_requests(1)
    assert request.head.framing() == ("chunked", None) and request.body == b"".join(pieces)


def test_carries_request_trailers(hub, origin):
    with RawClient(hub.http) as client:
        client.get(f"{A}/", CHUNKED, b"Trailer: X-Sum", method="POST")
        client.send(chunk(b"data"), b"0\r\nX-Sum: 42\r\nX-Sum: 43\r\n\r\n")
        assert client.response().status == 200
    request, = origin.wait_requests(1)
    assert request.trailers == [("X-Sum", "42"), ("X-Sum", "43")]


@pytest.mark.parametrize("field", [
    b"Content-Length: 3", b"Transfer-Encoding: chunked", b"Host: evil", b"Authorization: Basic eA==",
    b"Cookie: a=b", b"EX-APP-ID: evil", b"ex_app_id: evil", b"AUTHORIZATION-APP-API: evil",
    b"harp-shared-key: evil", b"Connection: close", b"AA-VERSION: 1"])
def test_takes_forbidden_fields_out_of_trailers(hub, origin, field):
    with RawClient(hub.http) as client:
        client.get(f"{A}/", CHUNKED, method="POST")
        client.send(chunk(b"data"), b"0\r\n" + field + b"\r\nX-Keep: 1\r\n\r\n")
        assert client.response().status == 200
    request, = origin.wait_requests(1)
    assert request.trailers == [("X-Keep", "1")] and request.body == b"data"


def test_chunk_extensions_do_not_reach_the_body(hub, origin):
    with RawClient(hub.http) as client:
        client.get(f"{A}/", CHUNKED, method="POST")
        client.send(b'4;name=value;other="x;y"\r\ndata\r\n0;last\r\n\r\n')
        assert client.response().status == 200
    assert origin.wait_requests(1)[0].body == b"data"


def test_body_is_passed_on_before_it_is_complete(hub, origin):
    origin.lazy = True
    got = threading.Event()

    def answer(connection, request):
        assert connection.exactly(5) == b"first"
        got.set()
        assert connection.exactly(6) == b"second"
        return response(b"ok")

    origin.answer = answer
    with RawClient(hub.http) as client:
        client.get(f"{A}/", b"Content-Length: 11", method="POST")
        client.send(b"first")
        assert got.wait(10), "the first bytes wait for the rest"
        client.send(b"second")
        assert client.response().status == 200


def test_client_that_breaks_off_its_body_breaks_off_the_exapp_request(hub, origin):
    origin.lazy = True
    met = []

    def answer(connection, request):
        try:
            connection.read_body(request)
        except EOFError:
            met.append("end")
        return RawOrigin.CLOSE

    origin.answer = answer
    with RawClient(hub.http) as client:
        client.get(f"{A}/", b"Content-Length: 10", method="POST")
        client.send(b"half")
        origin.wait_requests(1)
    assert origin.connections[-1].ended.wait(10)
    wait_for(lambda: met == ["end"], what="the ExApp to see that the request ended early")


# ---- bodies towards the client ----

def test_carries_a_chunked_answer_with_trailers(hub, origin):
    origin.answer = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                     + chunk(b"one") + chunk(b"t" * 100000) + b"0\r\nX-Sum: 7\r\n\r\n")
    with RawClient(hub.http) as client:
        reply = client.ask(f"{A}/")
        assert reply.framing == "chunked" and reply.body == b"one" + b"t" * 100000
        assert ("X-Sum", "7") in reply.trailers
        assert client.ask(f"{A}/").status == 200


def test_carries_an_answer_that_ends_with_the_connection(hub, origin):
    def answer(connection, _request):
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n", b"e" * 300000)
        return RawOrigin.CLOSE

    origin.answer = answer
    assert fetch(hub.http, f"{A}/").body == b"e" * 300000


def test_carries_an_answer_of_an_http_1_0_exapp(hub, origin):
    def answer(connection, _request):
        connection.send(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold")
        return RawOrigin.CLOSE

    origin.answer = answer
    with RawClient(hub.http) as client:
        for _ in range(3):
            reply = client.ask(f"{A}/")
            assert reply.body == b"old" and reply.minor == 1


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_answer_without_body_is_followed_by_the_next(hub, origin, status):
    origin.answer = b"HTTP/1.1 " + status + b"\r\nETag: x\r\n\r\n"
    with RawClient(hub.http) as client:
        assert client.ask(f"{A}/").status == int(status[:3])
        origin.answer = response(b"next")
        assert client.ask(f"{A}/").body == b"next"


def test_304_keeps_its_content_length_and_has_no_body(hub, origin):
    origin.answer = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\n\r\n"
    with RawClient(hub.http) as client:
        assert client.ask(f"{A}/").status == 304
        origin.answer = response(b"next")
        assert client.ask(f"{A}/").body == b"next"


def test_head_keeps_content_length_and_has_no_body(hub, origin):
    origin.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n"
    with RawClient(hub.http) as client:
        reply = client.ask(f"{A}/", method="HEAD")
        assert reply.head.get("Content-Length") == "12345"
        origin.answer = response(b"next")
        assert client.ask(f"{A}/").body == b"next"


def test_head_of_a_chunked_answer_has_no_body(hub, origin):
    origin.answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with RawClient(hub.http) as client:
        assert client.ask(f"{A}/", method="HEAD").status == 200
        origin.answer = response(b"next")
        assert client.ask(f"{A}/").body == b"next"


# ---- HTTP/1.0 clients ----

def ask_1_0(hub, *fields):
    client = RawClient(hub.http)
    client.send(b"\r\n".join((b"GET /exapps/sample/ HTTP/1.0", b"Host: h") + fields) + b"\r\n\r\n")
    return client


def test_http_1_0_client_gets_a_chunked_answer_without_chunks(hub, origin):
    origin.answer = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"one")
                     + chunk(b"two") + b"0\r\n\r\n")
    with ask_1_0(hub) as client:
        head = client.head()
        assert not head.has("Transfer-Encoding")
        assert client.rest() == b"onetwo"


def test_http_1_0_client_is_closed_after_the_answer(hub, origin):
    with ask_1_0(hub) as client:
        assert client.response().body == b"ok"
        client.assert_closed()


def test_http_1_0_client_may_keep_the_connection(hub, origin):
    with ask_1_0(hub, b"Connection: keep-alive") as client:
        reply = client.response()
        assert reply.body == b"ok"
        if "keep-alive" in reply.head.tokens("Connection"):
            assert client.ask(f"{A}/").body == b"ok"
        else:
            client.assert_closed()


def test_http_1_0_client_without_host_is_served(hub, origin):
    with RawClient(hub.http) as client:
        client.send(b"GET /exapps/sample/ HTTP/1.0\r\n\r\n")
        assert client.response().status == 200


def test_http_1_0_client_never_gets_an_interim_answer(hub, origin):
    origin.answer = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + response(b"ok")
    with ask_1_0(hub) as client:
        reply = client.response()
        assert reply.status == 200 and not reply.interim


# ---- interim answers, Expect, early answers ----

def test_passes_interim_answers_in_order(hub, origin):
    origin.answer = (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                     b"HTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n" + response(b"ok"))
    with RawClient(hub.http) as client:
        reply = client.ask(f"{A}/")
        assert reply.status == 200
        assert [head.get("Link") for head in reply.interim] == ["</a>", "</b>"]


def test_interim_answer_comes_before_the_final_one_is_there(hub, origin):
    gate = threading.Event()

    def answer(connection, _request):
        connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        gate.wait(10)
        return response(b"ok")

    origin.answer = answer
    with RawClient(hub.http) as client:
        client.get(f"{A}/")
        assert client.head().start.startswith(b"HTTP/1.1 103")
        gate.set()
        assert client.response().status == 200


def test_expect_100_continue_is_answered_by_the_exapp(hub, origin):
    """The ExApp says 100, the client sends then: end to end, not by the hub on its own."""
    origin.lazy = True
    seen = []

    def answer(connection, request):
        seen.append(request.head.get("Expect"))
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return response(connection.read_body(request))

    origin.answer = answer
    with RawClient(hub.http) as client:
        client.get(f"{A}/", b"Expect: 100-continue", b"Content-Length: 4", method="PUT")
        assert client.head().start.startswith(b"HTTP/1.1 100 ")
        client.send(b"body")
        assert client.response().body == b"body"
    assert seen == ["100-continue"]


def test_expect_100_continue_refused_by_the_exapp(hub, origin):
    """A final answer instead of 100: the body is not sent, and nothing is mixed up after it."""
    origin.lazy = True

    def answer(connection, request):
        connection.send(response(b"too large", b"413 Content Too Large"))
        connection.read_body(request)

    origin.answer = answer
    with RawClient(hub.http) as client:
        client.get(f"{A}/", b"Expect: 100-continue", b"Content-Length: 400", method="PUT")
        reply = client.response()
        assert reply.status == 413 and not reply.interim
        if "close" not in reply.head.tokens("Connection"):
            # Then the body still has to come before the next request.
            client.send(b"x" * 400)
            origin.answer = response(b"next")
            assert client.ask(f"{A}/").body == b"next"


def test_answer_that_comes_while_the_body_is_still_coming(hub, origin):
    origin.lazy = True

    def answer(connection, _request):
        connection.send(response(b"enough", b"403 Forbidden"))
        return RawOrigin.CLOSE

    origin.answer = answer
    with RawClient(hub.http) as client:
        client.get(f"{A}/", b"Content-Length: 100000000", method="POST")
        client.send(b"x" * 1000)
        reply = client.response()
        assert (reply.status, reply.body) == (403, b"enough")


def test_body_flows_on_after_an_early_answer_head(hub, origin):
    """An ExApp may answer while it reads: an echo server with both bodies open."""
    origin.lazy = True

    def answer(connection, _request):
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            connection.send(chunk(connection.exactly(4)))
        return b"0\r\n\r\n"

    origin.answer = answer
    with RawClient(hub.http) as client:
        client.get(f"{A}/", b"Content-Length: 12", method="POST")
        assert client.head().start.startswith(b"HTTP/1.1 200")
        for piece in (b"ping", b"pong", b"done"):
            client.send(piece)
            assert client.until(b"4\r\n" + piece + b"\r\n").endswith(piece + b"\r\n")
        assert client.until(b"0\r\n\r\n")


# ---- retries ----

def dying_origin(site):
    """Answers the first request of a connection, and ends the connection at the second."""
    def answer(connection, _request):
        return response(b"ok") if len(connection.requests) == 1 else RawOrigin.CLOSE

    return site.origin(answer)


def test_retries_a_get_whose_reused_connection_died(site):
    origin = dying_origin(site)
    hub = site.direct(origin.port)
    with RawClient(hub.http) as client:
        assert client.ask(f"{A}/1").status == 200
        assert client.ask(f"{A}/2").status == 200
    assert [request.target for request in origin.requests] == ["/1", "/2", "/2"]


def test_never_repeats_a_post(site):
    origin = dying_origin(site)
    hub = site.direct(origin.port)
    with RawClient(hub.http) as client:
        assert client.ask(f"{A}/1").status == 200
        reply = client.ask(f"{A}/2", method="POST", body=b"once")
        assert reply.status in (502, 503)
    assert [request.target for request in origin.requests] == ["/1", "/2"]


def test_never_repeats_on_a_fresh_connection(site):
    origin = site.origin(lambda _c, _r: RawOrigin.CLOSE)
    hub = site.direct(origin.port)
    assert fetch(hub.http, f"{A}/").status in (502, 503)
    assert len(origin.requests) == 1


def test_never_repeats_once_an_answer_began(site):
    def answer(connection, _request):
        if len(connection.requests) > 1:
            connection.send(b"HTTP/1.1 20")
            return RawOrigin.CLOSE
        return response(b"ok")

    origin = site.origin(answer)
    hub = site.direct(origin.port)
    with RawClient(hub.http) as client:
        assert client.ask(f"{A}/1").status == 200
        assert client.ask(f"{A}/2").status in (502, 503)
    assert len(origin.requests) == 2


def test_notices_an_idle_connection_that_the_exapp_closed(site):
    """A POST after it must not be lost on a connection that is known to be dead."""
    origin = site.origin()
    hub = site.direct(origin.port)
    with RawClient(hub.http) as client:
        assert client.ask(f"{A}/1").status == 200
        first, = origin.connections
        first.end()
        assert first.ended.wait(10), "the hub keeps a connection that the ExApp has ended"
        assert client.ask(f"{A}/2", method="POST", body=b"x").status == 200
    assert [request.target for request in origin.requests] == ["/1", "/2"]


def test_500_clients_at_once(hub, origin):
    clients = [RawClient(hub.http) for _ in range(500)]
    try:
        for number, client in enumerate(clients):
            client.get(f"{A}/{number}", b"Connection: close")
        for client in clients:
            assert client.response(seconds=30).status == 200
    finally:
        for client in clients:
            client.close()
