"""Answers of an ExApp that a strict reader refuses: the client gets a 502 that says so, or, once
bytes of the answer were passed on, a connection that ends without pretending to be complete.

In both cases the ExApp's connection is never used again: what may follow on it is not trusted.
"""
import threading

import pytest

from harness import RawClient, RawOrigin, fetch

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 5\r\n"
SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned"


def answer(*lines, start=OK, body=b"hello"):
    """lines with their CRLF."""
    return start + b"".join(lines) + b"\r\n" + body


HEADS = {
    "bare_lf_after_status_line": b"HTTP/1.1 200 OK\n" + LENGTH + b"\r\nhello",
    "bare_lf_after_field": OK + b"Content-Length: 5\n\r\nhello",
    "bare_lf_ends_head": OK + LENGTH + b"\nhello",
    "bare_cr_in_value": answer(LENGTH, b"X: a\rb\r\n"),
    "obs_fold": answer(LENGTH, b"X: a\r\n b\r\n"),
    "space_before_first_field": answer(b" X: a\r\n", LENGTH),
    "space_before_colon": answer(b"Content-Length : 5\r\n"),
    "empty_name": answer(LENGTH, b": a\r\n"),
    "no_colon": answer(LENGTH, b"text\r\n"),
    "invalid_name_character": answer(LENGTH, b"X(Y): a\r\n"),
    "nul_in_value": answer(LENGTH, b"X: a\0b\r\n"),
    "nul_in_name": answer(LENGTH, b"X\0: a\r\n"),
    "not_http": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "http_0_9_answer": b"<html>hello</html>\r\n\r\n",
    "http_2_version": answer(LENGTH, start=b"HTTP/2 200 OK\r\n"),
    "lower_case_version": answer(LENGTH, start=b"http/1.1 200 OK\r\n"),
    "status_of_two_digits": answer(LENGTH, start=b"HTTP/1.1 20 OK\r\n"),
    "status_of_four_digits": answer(LENGTH, start=b"HTTP/1.1 2000 OK\r\n"),
    "status_below_100": answer(LENGTH, start=b"HTTP/1.1 099 Low\r\n"),
    "status_over_599": answer(LENGTH, start=b"HTTP/1.1 600 High\r\n"),
    "status_not_a_number": answer(LENGTH, start=b"HTTP/1.1 2x0 OK\r\n"),
    "two_spaces_before_status": answer(LENGTH, start=b"HTTP/1.1  200 OK\r\n"),
    "control_byte_in_reason": answer(LENGTH, start=b"HTTP/1.1 200 O\x01K\r\n"),
    "two_different_lengths": answer(LENGTH, b"Content-Length: 6\r\n"),
    "length_list": answer(b"Content-Length: 5, 6\r\n"),
    "length_with_plus": answer(b"Content-Length: +5\r\n"),
    "length_with_minus": answer(b"Content-Length: -1\r\n"),
    "length_empty": answer(b"Content-Length:\r\n"),
    "length_over_64_bits": answer(b"Content-Length: 18446744073709551621\r\n"),
    "length_beside_chunked": answer(LENGTH, b"Transfer-Encoding: chunked\r\n",
                                    body=b"0\r\n\r\n" + SECOND),
    "chunked_twice": answer(b"Transfer-Encoding: chunked\r\n" * 2, body=b"0\r\n\r\n"),
    "unknown_coding": answer(b"Transfer-Encoding: gzip\r\n"),
    "unknown_coding_before_chunked": answer(b"Transfer-Encoding: gzip, chunked\r\n",
                                            body=b"0\r\n\r\n"),
    "chunked_on_http_1_0": answer(b"Transfer-Encoding: chunked\r\n", body=b"0\r\n\r\n",
                                  start=b"HTTP/1.0 200 OK\r\n"),
    "line_over_8_kib": answer(LENGTH, b"X: " + b"v" * 9000 + b"\r\n"),
    "head_over_32_kib": answer(LENGTH, *[b"X%d: " % i + b"v" * 1000 + b"\r\n" for i in range(40)]),
    "more_than_128_fields": answer(LENGTH, *[b"X%d: v\r\n" % i for i in range(128)]),
    "switching_without_upgrade_field": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
}

# Faults after a good head: the bytes before may have been passed on.
BODIES = {
    "chunk_size_with_plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "chunk_size_with_0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "chunk_size_empty": b"\r\nhello\r\n0\r\n\r\n",
    "chunk_size_overflow": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "chunk_line_with_bare_lf": b"5\nhello\r\n0\r\n\r\n",
    "chunk_data_without_crlf": b"5\r\nhelloXX0\r\n\r\n",
    "chunk_extension_over_long": b"5;" + b"a" * 20000 + b"\r\nhello\r\n0\r\n\r\n",
    "trailer_with_space_before_colon": b"5\r\nhello\r\n0\r\nX : y\r\n\r\n",
    "trailers_end_with_bare_lf": b"5\r\nhello\r\n0\r\n\n",
}


def is_told_as_malformed(reply):
    return reply.status == 502 and "malformed" in reply.text.lower() and "ExApp" in reply.text


@pytest.mark.parametrize("name", HEADS)
def test_malformed_head_is_a_502_that_says_so(direct_site, name):
    hub, origin = direct_site
    origin.answer = HEADS[name]
    number = len(origin.connections)
    reply = fetch(hub.http, "/exapps/sample/x", seconds=8)
    assert is_told_as_malformed(reply), reply
    # Its connection was ended by the hub; the next request never meets what was left on it.
    for connection in origin.connections[number:]:
        assert connection.ended.wait(5)
    origin.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclean"
    assert fetch(hub.http, "/exapps/sample/y").body == b"clean"


@pytest.mark.parametrize("name", BODIES)
def test_malformed_body_never_looks_complete(direct_site, name):
    hub, origin = direct_site
    origin.answer = OK + b"Transfer-Encoding: chunked\r\n\r\n" + BODIES[name] + SECOND
    with RawClient(hub.http) as client:
        client.get("/exapps/sample/x")
        try:
            reply = client.response()
        except EOFError:
            reply = None  # ended before the last chunk: the client knows that it is incomplete
        assert reply is None or is_told_as_malformed(reply), reply
        assert b"poisoned" not in client.rest()
    origin.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclean"
    assert fetch(hub.http, "/exapps/sample/y").body == b"clean"


def test_switching_that_nobody_asked_for_is_a_502(direct_site):
    hub, origin = direct_site
    origin.answer = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                     b"Upgrade: websocket\r\n\r\n" + SECOND)
    with RawClient(hub.http) as client:
        client.get("/exapps/sample/x")
        reply = client.response()
        assert reply.status == 502 and "ExApp" in reply.text
        assert b"poisoned" not in client.rest()


def test_body_shorter_than_its_length_ends_the_client(direct_site):
    hub, origin = direct_site

    def short(connection, _request):
        connection.send(OK + b"Content-Length: 10\r\n\r\nhello")
        return RawOrigin.CLOSE

    origin.answer = short
    with RawClient(hub.http) as client:
        client.get("/exapps/sample/x")
        assert client.head().get("Content-Length") == "10"
        assert client.rest() == b"hello"


def test_chunked_body_that_ends_early_ends_the_client(direct_site):
    hub, origin = direct_site

    def short(connection, _request):
        connection.send(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        return RawOrigin.CLOSE

    origin.answer = short
    with RawClient(hub.http) as client:
        client.get("/exapps/sample/x")
        with pytest.raises(EOFError):
            client.response()
        assert not client.received.endswith(b"0\r\n\r\n")


def test_reset_within_a_body_to_the_end_is_not_a_clean_end(direct_site):
    """With an HTTP/1.1 client such a body is sent on in chunks, so a reset leaves it unfinished."""
    hub, origin = direct_site
    client_has_it = threading.Semaphore(0)

    def reset(connection, _request):
        connection.send(OK + b"Connection: close\r\n\r\nhello")
        client_has_it.acquire(timeout=10)
        connection.reset()
        return RawOrigin.CLOSE

    origin.answer = reset
    with RawClient(hub.http) as client:
        client.get("/exapps/sample/x")
        head = client.head()
        if head.framing()[0] == "chunked":
            assert client.until(b"hello")
            client_has_it.release()
            assert not client.rest().endswith(b"0\r\n\r\n")
        else:
            assert client.exactly(5) == b"hello"
            client_has_it.release()
            client.rest()


def test_bytes_behind_an_answer_are_never_the_next_answer(direct_site):
    """An ExApp that sends two answers to one request: the second belongs to nobody."""
    hub, origin = direct_site
    origin.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst" + SECOND
    with RawClient(hub.http) as client:
        assert client.ask("/exapps/sample/x").body == b"first"
        origin.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclean"
        assert client.ask("/exapps/sample/y").body == b"clean"


def test_bytes_behind_an_answer_to_head_are_never_the_next_answer(direct_site):
    hub, origin = direct_site
    origin.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    with RawClient(hub.http) as client:
        assert client.ask("/exapps/sample/x", method="HEAD").status == 200
        origin.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclean"
        assert client.ask("/exapps/sample/y").body == b"clean"


def test_answer_before_any_request_is_never_used(site):
    """An ExApp that speaks first: whatever it said is not an answer to what comes later."""
    origin = site.origin()
    hub = site.direct(origin.port)
    with RawClient(hub.http) as client:
        assert client.ask("/exapps/sample/x").status == 200
        connection = origin.connections[0]
        connection.send(SECOND)
        assert connection.ended.wait(5), "the hub keeps a connection with bytes nobody asked for"
        assert client.ask("/exapps/sample/y").body == b"ok"


def test_endless_head_is_cut(direct_site):
    """A head that never ends is refused at its limit, not kept in memory."""
    hub, origin = direct_site

    def endless(connection, _request):
        connection.send(OK)
        for _ in range(2000):
            if connection.ended.is_set():
                break
            connection.send(b"X: " + b"v" * 1000 + b"\r\n")
        return RawOrigin.CLOSE

    origin.answer = endless
    assert is_told_as_malformed(fetch(hub.http, "/exapps/sample/x"))
