"""Requests that a strict server refuses: each is answered with the right status, the connection is
closed, and nothing of it reaches the ExApp.

The proof of "nothing": the raw origin keeps every byte of every connection. After the bad request
a good one is sent on another connection; once the origin has that one, whatever the hub would have
passed on before it is there, too.
"""
import itertools

import pytest

from harness import RawClient, fetch

T = b"/exapps/sample/bad"
HOST = b"Host: hub.test\r\n"
SMUGGLED = b"GET /exapps/sample/smuggled HTTP/1.1\r\nHost: hub.test\r\n\r\n"
numbers = itertools.count(1)


def get(*lines, start=b"GET " + T + b" HTTP/1.1"):
    """A head with Host; lines without CRLF."""
    return b"\r\n".join((start, b"Host: hub.test") + lines) + b"\r\n\r\n"


def post(*lines, body=b"", start=b"POST " + T + b" HTTP/1.1"):
    return get(*lines, start=start) + body


REQUEST_LINE = {
    "bare_lf_after_request_line": b"GET " + T + b" HTTP/1.1\n" + HOST + b"\r\n",
    "bare_cr_in_request_line": b"GET " + T + b"\rx HTTP/1.1\r\n" + HOST + b"\r\n",
    "bare_cr_instead_of_crlf": b"GET " + T + b" HTTP/1.1\r" + HOST + b"\r\n",
    "two_spaces_after_method": b"GET  " + T + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "two_spaces_before_version": b"GET " + T + b"  HTTP/1.1\r\n" + HOST + b"\r\n",
    "tab_instead_of_space": b"GET\t" + T + b"\tHTTP/1.1\r\n" + HOST + b"\r\n",
    "space_in_target": b"GET " + T + b" x HTTP/1.1\r\n" + HOST + b"\r\n",
    "leading_space": b" GET " + T + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "trailing_space_after_version": b"GET " + T + b" HTTP/1.1 \r\n" + HOST + b"\r\n",
    "no_version": b"GET " + T + b"\r\n" + HOST + b"\r\n",
    "no_target": b"GET HTTP/1.1\r\n" + HOST + b"\r\n",
    "lower_case_version": b"GET " + T + b" http/1.1\r\n" + HOST + b"\r\n",
    "version_without_minor": b"GET " + T + b" HTTP/1\r\n" + HOST + b"\r\n",
    "version_with_two_digits": b"GET " + T + b" HTTP/1.11\r\n" + HOST + b"\r\n",
    "invalid_method_character": b"G(T " + T + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "nul_in_target": b"GET " + T + b"\0 HTTP/1.1\r\n" + HOST + b"\r\n",
    "control_byte_in_target": b"GET " + T + b"\x01 HTTP/1.1\r\n" + HOST + b"\r\n",
    "byte_over_7f_in_target": b"GET " + T + b"\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "fragment_in_target": b"GET " + T + b"#part HTTP/1.1\r\n" + HOST + b"\r\n",
    "authority_form_target": b"GET hub.test:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "target_without_slash": b"GET exapps/sample/bad HTTP/1.1\r\n" + HOST + b"\r\n",
    "asterisk_form_with_get": b"GET * HTTP/1.1\r\n" + HOST + b"\r\n",
    "connect": b"CONNECT hub.test:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "connect_with_a_path": b"CONNECT " + T + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute_form_without_authority": b"GET http:///exapps/sample/bad HTTP/1.1\r\n" + HOST
                                       + b"\r\n",
    "absolute_form_with_user_name": b"GET http://me@hub.test/exapps/sample/bad HTTP/1.1\r\n" + HOST
                                    + b"\r\n",
    "http2_preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0",
    "tls_on_the_plain_port": bytes.fromhex("1603010200010001fc0303") + bytes(64) + b"\r\n\r\n",
}

FIELDS = {
    "bare_lf_after_field": b"GET " + T + b" HTTP/1.1\r\nHost: hub.test\nX: y\r\n\r\n",
    "bare_lf_ends_head": b"GET " + T + b" HTTP/1.1\r\nHost: hub.test\r\n\n",
    "bare_cr_in_value": get(b"X: a\rb"),
    "obs_fold": get(b"X: a\r\n b"),
    "obs_fold_with_tab": get(b"X: a\r\n\tb"),
    "space_before_first_field": b"GET " + T + b" HTTP/1.1\r\n " + HOST + b"\r\n",
    "space_before_colon": get(b"X : y"),
    "tab_before_colon": get(b"X\t: y"),
    "space_before_colon_of_length": post(b"Content-Length : 5", body=b"hello"),
    "empty_name": get(b": y"),
    "no_colon": get(b"just text"),
    "space_inside_name": get(b"X Y: z"),
    "invalid_name_character": get(b"X(Y): z"),
    "byte_over_7f_in_name": get(b"X\xe9: z"),
    "control_byte_in_name": get(b"X\x01: z"),
    "nul_in_name": get(b"X\0: z"),
    "nul_in_value": get(b"X: a\0b"),
    "control_byte_in_value": get(b"X: a\x07b"),
    "delete_in_value": get(b"X: a\x7fb"),
}

HOSTS = {
    "no_host": b"GET " + T + b" HTTP/1.1\r\nX: y\r\n\r\n",
    "two_hosts": get(b"Host: other.test"),
    "two_equal_hosts": get(b"Host: hub.test"),
    "two_hosts_in_different_case": get(b"HOST: other.test"),
    "host_list": b"GET " + T + b" HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n",
    "host_with_path": b"GET " + T + b" HTTP/1.1\r\nHost: hub.test/x\r\n\r\n",
    "host_with_user_name": b"GET " + T + b" HTTP/1.1\r\nHost: me@hub.test\r\n\r\n",
    "host_with_space": b"GET " + T + b" HTTP/1.1\r\nHost: hub test\r\n\r\n",
    "host_with_bad_port": b"GET " + T + b" HTTP/1.1\r\nHost: hub.test:8x\r\n\r\n",
    "two_hosts_on_http_1_0": b"GET " + T + b" HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
}

FRAMING = {
    "two_different_lengths": post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello"),
    "length_list": post(b"Content-Length: 5, 6", body=b"hello"),
    "length_list_of_equals": post(b"Content-Length: 5, 5", body=b"hello"),
    "length_with_plus": post(b"Content-Length: +5", body=b"hello"),
    "length_with_minus": post(b"Content-Length: -5", body=b"hello"),
    "length_empty": post(b"Content-Length:", body=b"hello"),
    "length_in_hexadecimal": post(b"Content-Length: 0x5", body=b"hello"),
    "length_with_fraction": post(b"Content-Length: 5.0", body=b"hello"),
    "length_with_space_inside": post(b"Content-Length: 5 5", body=b"hello"),
    "length_with_underscore_digits": post(b"Content-Length: 1_0", body=b"helloworld"),
    "length_over_64_bits": post(b"Content-Length: 18446744073709551621", body=b"hello"),
    "length_over_63_bits": post(b"Content-Length: 9223372036854775808", body=b"hello"),
    "length_with_obs_text": post(b"Content-Length: \xb25", body=b"hello"),
    "length_spelled_with_underscore": post(b"Content_Length: 5", body=b"hello"),
    "length_beside_chunked": post(b"Content-Length: 5", b"Transfer-Encoding: chunked",
                                  body=b"0\r\n\r\n" + SMUGGLED),
    "chunked_beside_length": post(b"Transfer-Encoding: chunked", b"Content-Length: 5",
                                  body=b"0\r\n\r\n" + SMUGGLED),
    "chunked_twice": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked",
                          body=b"0\r\n\r\n"),
    "chunked_twice_in_a_list": post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    "chunked_with_vertical_tab": post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
    "chunked_quoted": post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"),
    "coding_empty": post(b"Transfer-Encoding:", body=b"0\r\n\r\n"),
    "chunked_not_last": post(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"),
    "coding_on_http_1_0": post(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n",
                               start=b"POST " + T + b" HTTP/1.0"),
    "coding_spelled_with_underscore": post(b"Transfer_Encoding: chunked", body=b"0\r\n\r\n"),
    "coding_with_space_before_colon": post(b"Transfer-Encoding : chunked", b"Content-Length: 5",
                                           body=b"0\r\n\r\n"),
}

OTHER_STATUS = {
    "line_over_8_kib": (414, b"GET " + T + b"?" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
    "line_without_end": (414, b"GET " + T + b"?" + b"a" * 9000),
    "head_over_32_kib": (431, get(*[b"X%d: " % i + b"v" * 1000 for i in range(40)])),
    "head_without_end": (431, get(*[b"X%d: " % i + b"v" * 1000 for i in range(40)])[:-2]),
    "field_line_over_8_kib": (431, get(b"X: " + b"v" * 9000)),
    "more_than_128_fields": (431, get(*[b"X%d: v" % i for i in range(128)])),
    "unknown_transfer_coding": (501, post(b"Transfer-Encoding: gzip", body=b"x")),
    "unknown_coding_before_chunked": (501, post(b"Transfer-Encoding: gzip, chunked",
                                                body=b"0\r\n\r\n")),
    "coding_that_ends_like_chunked": (501, post(b"Transfer-Encoding: xchunked", body=b"x")),
    "http_2_version": (505, b"GET " + T + b" HTTP/2.0\r\n" + HOST + b"\r\n"),
    "http_3_version": (505, b"GET " + T + b" HTTP/3.7\r\n" + HOST + b"\r\n"),
    "http_0_9_version": (505, b"GET " + T + b" HTTP/0.9\r\n" + HOST + b"\r\n"),
    "http_1_2_version": (505, b"GET " + T + b" HTTP/1.2\r\n" + HOST + b"\r\n"),
    "unknown_expectation": (417, post(b"Expect: 200-ok", b"Content-Length: 5", body=b"hello")),
}

# Faults behind a good head: the head may be on its way already, so the proof is another one.
CHUNKS = {
    "size_with_plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "size_with_minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "size_with_0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size_empty": b"\r\nhello\r\n0\r\n\r\n",
    "size_not_hexadecimal": b"g\r\nhello\r\n0\r\n\r\n",
    "size_with_leading_space": b" 5\r\nhello\r\n0\r\n\r\n",
    "size_over_64_bits": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "size_over_63_bits": b"8000000000000000\r\nhello\r\n0\r\n\r\n",
    "size_with_many_zeros": b"0" * 40 + b"5\r\nhello\r\n0\r\n\r\n",
    "size_with_underscore": b"1_0\r\nhello\r\n0\r\n\r\n",
    "bare_lf_after_size": b"5\nhello\r\n0\r\n\r\n",
    "bare_cr_in_extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "bare_lf_in_extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "nul_in_extension": b"5;a\0b\r\nhello\r\n0\r\n\r\n",
    "over_long_extension": b"5;" + b"a" * 20000 + b"\r\nhello\r\n0\r\n\r\n",
    "no_crlf_after_data": b"5\r\nhelloXX0\r\n\r\n",
    "bare_lf_after_data": b"5\r\nhello\n0\r\n\r\n",
    "bare_lf_ends_trailers": b"5\r\nhello\r\n0\r\n\n",
    "space_before_colon_in_trailer": b"5\r\nhello\r\n0\r\nX : y\r\n\r\n",
    "obs_fold_in_trailer": b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n",
    "trailers_over_the_limit": b"5\r\nhello\r\n0\r\n" + b"X: " + b"v" * 9000 + b"\r\n\r\n",
    "too_many_trailers": b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 300 + b"\r\n",
}


def refuse(direct_site, raw, status):
    """Sends it, checks answer and end; returns the origin's new bytes and its connections."""
    hub, origin = direct_site
    known = {id(connection): connection.total for connection in list(origin.connections)}
    before = len(origin.requests)
    with RawClient(hub.http) as client:
        client.send(raw)
        answer = client.response()
        client.assert_closed()
    assert answer.status == status, answer
    assert "close" in answer.head.tokens("Connection"), answer.head.raw
    marker = f"/good-{next(numbers)}"
    assert fetch(hub.http, "/exapps/sample" + marker).status == 200
    new = b"".join(connection.received[known.get(id(connection), 0):]
                   for connection in list(origin.connections))
    assert marker.encode() in new
    return new, [request.target for request in origin.requests[before:]]


def refuse_without_a_trace(direct_site, raw, status):
    new, targets = refuse(direct_site, raw, status)
    assert len(targets) == 1 and targets[0].startswith("/good-"), targets
    assert b"bad" not in new and b"smuggled" not in new


@pytest.mark.parametrize("name", REQUEST_LINE)
def test_refuses_request_line(direct_site, name):
    refuse_without_a_trace(direct_site, REQUEST_LINE[name], 400)


@pytest.mark.parametrize("name", FIELDS)
def test_refuses_field(direct_site, name):
    refuse_without_a_trace(direct_site, FIELDS[name], 400)


@pytest.mark.parametrize("name", HOSTS)
def test_refuses_host(direct_site, name):
    refuse_without_a_trace(direct_site, HOSTS[name], 400)


@pytest.mark.parametrize("name", FRAMING)
def test_refuses_framing(direct_site, name):
    refuse_without_a_trace(direct_site, FRAMING[name], 400)


@pytest.mark.parametrize("name", OTHER_STATUS)
def test_refuses_with_the_status_that_says_why(direct_site, name):
    status, raw = OTHER_STATUS[name]
    refuse_without_a_trace(direct_site, raw, status)


@pytest.mark.parametrize("name", CHUNKS)
def test_refuses_chunk(direct_site, name):
    """The ExApp may have the head and the bytes before the fault, never a whole request."""
    raw = post(b"Transfer-Encoding: chunked", body=CHUNKS[name] + SMUGGLED)
    new, targets = refuse(direct_site, raw, 400)
    assert len(targets) == 1 and targets[0].startswith("/good-"), targets
    assert b"smuggled" not in new


def test_refused_request_ends_the_pipeline_behind_it(direct_site):
    """What follows a bad request on its connection is never read as a request."""
    new, targets = refuse(direct_site, get(b"X : y") + SMUGGLED, 400)
    assert len(targets) == 1
    assert b"smuggled" not in new


def test_good_request_before_a_bad_one_is_answered_first(direct_site):
    hub, origin = direct_site
    with RawClient(hub.http) as client:
        client.send(b"GET /exapps/sample/first HTTP/1.1\r\n" + HOST + b"\r\n" + get(b"X : y"))
        assert client.response().status == 200
        assert client.response().status == 400
        client.assert_closed()
    assert origin.requests[-1].target == "/first"


def test_bad_request_sent_byte_by_byte_is_refused_alike(direct_site):
    hub, origin = direct_site
    before = len(origin.requests)
    with RawClient(hub.http) as client:
        client.send(*[bytes([byte]) for byte in get(b"Content-Length: +1")])
        assert client.response().status == 400
        client.assert_closed()
    assert len(origin.requests) == before


def test_unfinished_head_is_never_passed_on(direct_site):
    hub, origin = direct_site
    before = len(origin.requests)
    with RawClient(hub.http) as client:
        client.send(b"GET /exapps/sample/half HTTP/1.1\r\nHost: hub.test\r\nX: y")
        client.end()
        client.rest()
    assert fetch(hub.http, "/exapps/sample/whole").status == 200
    assert [request.target for request in origin.requests[before:]] == ["/whole"]
