"""What the hub changes on a message and what it leaves alone: fields and targets, byte for byte."""
import base64

import pytest

from harness import RawClient, fetch, response
from harness.programs import APP_TOKEN

A = "/exapps/sample"


# ---- header fields ----

HOP_BY_HOP = [b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive", b"TE: trailers",
              b"Proxy-Authorization: Basic eA==", b"Upgrade: h2c", b"HTTP2-Settings: AAAA"]


@pytest.mark.parametrize("field", HOP_BY_HOP)
def test_removes_hop_by_hop_field_from_request(hub, origin, field):
    with RawClient(hub.http) as client:
        assert client.ask(f"{A}/", field, b"X-Keep: 1").status == 200
    request, = origin.wait_requests(1)
    assert not request.head.has(field.split(b":")[0].decode())
    assert request.head.get("X-Keep") == "1"


def test_removes_fields_that_connection_names(hub, origin):
    with RawClient(hub.http) as client:
        assert client.ask(f"{A}/", b"Connection: X-One, x-two", b"X-One: 1", b"X-Two: 2",
                          b"X-Three: 3").status == 200
    request, = origin.wait_requests(1)
    assert not request.head.has("X-One") and not request.head.has("X-Two")
    assert request.head.get("X-Three") == "3"
    assert "x-one" not in request.head.tokens("Connection")


def test_client_cannot_remove_the_hubs_fields_by_naming_them_in_connection(hub, origin):
    with RawClient(hub.http) as client:
        assert client.ask(f"{A}/", b"Connection: EX-APP-ID, AUTHORIZATION-APP-API, "
                                   b"EX-APP-VERSION, AA-VERSION").status == 200
    request, = origin.wait_requests(1)
    for name in ("EX-APP-ID", "EX-APP-VERSION", "AUTHORIZATION-APP-API", "AA-VERSION"):
        assert request.head.has(name)


@pytest.mark.parametrize("field", [b"Keep-Alive: timeout=5", b"Proxy-Connection: close",
                                   b"Connection: X-Private\r\nX-Private: 1"])
def test_removes_hop_by_hop_field_from_answer(hub, origin, field):
    origin.answer = response(b"ok", b"200 OK", field, b"X-Keep: 1")
    with RawClient(hub.http) as client:
        reply = client.ask(f"{A}/")
        assert not reply.head.has("X-Private") and not reply.head.has("Proxy-Connection")
        assert "timeout=5" not in reply.head.all("Keep-Alive")
        assert reply.head.get("X-Keep") == "1"


def test_sets_the_exapp_fields(hub, origin):
    assert fetch(hub.http, f"{A}/").status == 200
    head = origin.wait_requests(1)[0].head
    assert head.get("EX-APP-ID") == "sample"
    assert head.get("EX-APP-VERSION") == "1.0.0"
    assert head.get("AA-VERSION") == "32"
    token = base64.b64decode(head.get("AUTHORIZATION-APP-API")).decode()
    assert token == f":{APP_TOKEN}"


@pytest.mark.parametrize("name", [
    b"EX-APP-ID", b"ex-app-id", b"Ex_App_Id", b"EX-APP_ID", b"EX-APP-VERSION", b"ex_app_version",
    b"AUTHORIZATION-APP-API", b"authorization_app_api", b"Authorization-App_Api", b"AA-VERSION",
    b"aa_version"])
def test_removes_the_clients_copy_of_an_exapp_field(hub, origin, name):
    assert fetch(hub.http, f"{A}/", name + b": evil").status == 200
    head = origin.wait_requests(1)[0].head
    folded = [key.lower().replace("_", "-") for key, _ in head.fields]
    assert folded.count(name.decode().lower().replace("_", "-")) == 1
    assert "evil" not in [value for _, value in head.fields]


@pytest.mark.parametrize("name", [b"harp-shared-key", b"HARP_SHARED_KEY", b"docker-engine-port",
                                  b"Docker_Engine_Port"])
def test_removes_the_control_fields(hub, origin, name):
    assert fetch(hub.http, f"{A}/", name + b": 24000").status == 200
    head = origin.wait_requests(1)[0].head
    assert not [key for key, _ in head.fields if key.lower().startswith(("harp", "docker"))]


def test_repeated_request_fields_stay_repeated_and_in_order(hub, origin):
    fields = [b"X-A: 1", b"Cookie: a=b", b"X-B: 2", b"X-A: 3", b"Cookie: c=d", b"x-a: 4"]
    assert fetch(hub.http, f"{A}/", *fields).status == 200
    head = origin.wait_requests(1)[0].head
    got = [f"{name}: {value}".encode() for name, value in head.fields
           if name.lower() in ("x-a", "x-b", "cookie")]
    assert got == fields


def test_repeated_answer_fields_stay_repeated_and_in_order(hub, origin):
    fields = [b"Set-Cookie: a=1", b"X-A: 1", b"Set-Cookie: b=2; Path=/", b"X-A: 2"]
    origin.answer = response(b"ok", b"200 OK", *fields)
    reply = fetch(hub.http, f"{A}/")
    got = [f"{name}: {value}".encode() for name, value in reply.head.fields
           if name in ("Set-Cookie", "X-A")]
    assert got == fields


def test_obs_text_in_values_passes(hub, origin):
    origin.answer = response(b"ok", b"200 OK", b"X-Name: caf\xe9")
    reply = fetch(hub.http, f"{A}/", b"X-Name: \xff\x80")
    assert reply.head.get("X-Name") == "caf\xe9"
    assert origin.wait_requests(1)[0].head.get("X-Name") == "\xff\x80"


def test_host_stays_as_the_client_sent_it(hub, origin):
    with RawClient(hub.http) as client:
        client.get(f"{A}/", host=b"Cloud.Example.com:8443")
        assert client.response().status == 200
    assert origin.wait_requests(1)[0].head.get("Host") == "Cloud.Example.com:8443"


def test_absolute_form_stands_for_host(hub, origin):
    with RawClient(hub.http) as client:
        client.send(b"GET http://real.test/exapps/sample/x?y HTTP/1.1\r\nHost: other.test\r\n\r\n")
        assert client.response().status == 200
    request, = origin.wait_requests(1)
    assert (request.target, request.head.get("Host")) == ("/x?y", "real.test")


def test_status_and_reason_pass_unchanged(hub, origin):
    origin.answer = response(b"short and stout", b"418 I'm a teapot")
    reply = fetch(hub.http, f"{A}/")
    assert (reply.status, reply.reason) == (418, "I'm a teapot")


@pytest.mark.parametrize("count", [100, 120])
def test_heads_within_the_limits_pass(hub, origin, count):
    fields = [b"X-%d: " % number + b"v" * 200 for number in range(count)]
    assert fetch(hub.http, f"{A}/", *fields).status == 200
    assert origin.wait_requests(1)[0].head.get(f"X-{count - 1}") == "v" * 200


# ---- targets ----

@pytest.mark.parametrize("path", [
    "/", "/a/b/", "/a//b", "/%7Euser/%2Fslash", "/a%20b", "/caf%C3%A9", "/x?", "/x?a=1&a=2&b=%26",
    "/x?q=/../y", "/x?url=http://a/b?c", "/a;p=1,2/b", "/!$&'()*+,;=:@-._~",
    "/x?a=%0A", "/x?[]=1", "/index.php/apps"])
def test_path_and_query_arrive_byte_for_byte(hub, origin, path):
    assert fetch(hub.http, A + path).status == 200
    assert origin.wait_requests(1)[0].target == path


@pytest.mark.parametrize("target, path", [(A, "/"), (A + "?a=b", "/?a=b")])
def test_app_without_a_path_means_its_root(hub, origin, target, path):
    assert fetch(hub.http, target).status == 200
    assert origin.wait_requests(1)[0].target == path


def test_line_of_8_kib_passes(hub, origin):
    path = "/x?" + "a" * (8192 - len(f"GET {A}/x? HTTP/1.1"))
    assert fetch(hub.http, A + path).status == 200
    assert origin.wait_requests(1)[0].target == path


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "X-OWN"])
def test_any_method_passes(hub, origin, method):
    with RawClient(hub.http) as client:
        assert client.ask(f"{A}/", method=method).status == 200
    assert origin.wait_requests(1)[0].method == method


def test_trace_would_tell_the_apps_token_and_is_not_served(hub, origin):
    """TRACE asks for the request to be sent back, with what the hub put into it."""
    with RawClient(hub.http) as client:
        assert client.ask(f"{A}/", method="TRACE").status == 501
    with RawClient(hub.http) as client:
        assert client.ask(f"{A}/").status == 200
    assert [request.method for request in origin.wait_requests(1)] == ["GET"]
