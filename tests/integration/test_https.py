"""The HTTPS frontend: there when cert.pem is in the certificate folder, strict about versions."""
import shutil
import socket
import ssl

import pytest

from harness import RawClient, app, fetch, response
from harness.wire import chunk

A = "/exapps/sample"


@pytest.fixture
def https(site, https_certs):
    origin = site.origin(response(b"secure"))
    hub = site.hub(app(port=origin.port), certs=https_certs)
    return hub, origin


def context(folder, protocol=ssl.PROTOCOL_TLS_CLIENT):
    tls = ssl.SSLContext(protocol)
    tls.load_verify_locations(folder / "crt")
    return tls


def test_serves_over_https(https, https_certs):
    hub, _origin = https
    with RawClient(hub.https, context(https_certs), "hub.test") as client:
        for _ in range(3):
            assert client.ask(f"{A}/").body == b"secure"


def test_serves_without_a_server_name(https, https_certs):
    hub, _origin = https
    tls = context(https_certs)
    tls.check_hostname = False
    with RawClient(hub.https, tls) as client:
        assert client.ask(f"{A}/").body == b"secure"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_carries_large_bodies_over_each_version(https, https_certs, version):
    hub, origin = https
    origin.answer = lambda _c, request: response(request.body)
    tls = context(https_certs)
    tls.minimum_version = tls.maximum_version = version
    body = bytes(range(256)) * 20000
    with RawClient(hub.https, tls, "hub.test") as client:
        client.get(f"{A}/", b"Transfer-Encoding: chunked", method="POST")
        client.send(chunk(body), b"0\r\n\r\n")
        assert client.response().body == body


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_refuses_tls_1_1(https):
    hub, _origin = https
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    tls.set_ciphers("ALL:@SECLEVEL=0")
    tls.minimum_version = ssl.TLSVersion.TLSv1
    tls.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        RawClient(hub.https, tls, "hub.test")


def test_offers_http_1_1_by_alpn(https, https_certs):
    hub, _origin = https
    tls = context(https_certs)
    tls.set_alpn_protocols(["h2", "http/1.1"])
    with RawClient(hub.https, tls, "hub.test") as client:
        assert client.sock.selected_alpn_protocol() == "http/1.1"
        assert client.ask(f"{A}/").status == 200


def test_resumes_a_session(https, https_certs):
    hub, _origin = https
    tls = context(https_certs)
    with RawClient(hub.https, tls, "hub.test") as client:
        assert client.ask(f"{A}/", b"Connection: close").status == 200
        session = client.sock.session
    with socket.create_connection(hub.https, 10) as plain:
        with tls.wrap_socket(plain, server_hostname="hub.test", session=session) as again:
            assert again.session_reused


def test_plain_http_on_the_https_port_ends_without_reaching_the_exapp(https):
    hub, origin = https
    with RawClient(hub.https) as client:
        client.get(f"{A}/")
        client.rest(5)
    assert not origin.requests


def test_handshake_that_stalls_is_cut(site, https_certs):
    hub = site.hub(app(), certs=https_certs, settings={"HP_HANDSHAKE_TIMEOUT": "1s"})
    with RawClient(hub.https) as client:
        client.send(bytes.fromhex("16030102000100"))
        client.rest(5)


def test_end_of_the_answer_is_told_by_tls(https, https_certs):
    """close_notify comes before the end, so that a cut answer can be told from a whole one."""
    hub, _origin = https
    with RawClient(hub.https, context(https_certs), "hub.test") as client:
        assert client.ask(f"{A}/", b"Connection: close").status == 200
        assert client.sock.recv(1) == b""  # SSLEOFError when the end came without close_notify


def test_no_certificate_means_no_https_listener(site, tmp_path):
    hub = site.hub(app(), certs=tmp_path)
    with pytest.raises(ConnectionRefusedError):
        RawClient(hub.https)


def test_broken_certificate_ends_the_start_with_its_name(site, tmp_path, https_certs):
    shutil.copytree(https_certs, tmp_path / "certs")
    (tmp_path / "certs" / "cert.pem").write_text("not a certificate\n")
    with pytest.raises(AssertionError, match="cert.pem"):
        site.hub(app(), certs=tmp_path / "certs")
    site.things[-1].expect_end(1)


def test_http_and_https_serve_side_by_side(https, https_certs):
    hub, _origin = https
    assert fetch(hub.http, f"{A}/").body == b"secure"
    with RawClient(hub.https, context(https_certs), "hub.test") as client:
        assert client.ask(f"{A}/").body == b"secure"
