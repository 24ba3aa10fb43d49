"""Certificates that come late, are renewed, or break while the programs run: nobody sends a signal."""
import shutil
import socket
import ssl

import pytest

from harness import RawClient, app, fetch, response
from harness.authority import Authority, der_of
from harness.engine_calls import FAR_PORT
from harness.fake_engine import FakeEngine
from harness.programs import free_port
from harness.tunnel_bench import hub_client, last

LOOKS = {"HP_CERTS_CHECK_INTERVAL": "20ms", "HP_LOG_LEVEL": "info"}
A = "/exapps/sample"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def put(source, target):
    """As programs that renew certificates do it: another file takes the name."""
    fresh = target.with_name(target.name + ".new")
    shutil.copyfile(source, fresh)
    fresh.rename(target)


def shown(address, authority):
    with RawClient(address, authority.context(), "localhost") as client:
        return client.sock.getpeercert(binary_form=True)


# ---- the hub's HTTPS ----

def test_https_begins_when_a_certificate_comes_and_goes_on_with_renewed_ones(site, authority, tmp_path):
    origin = site.origin(response(b"secure"))
    hub = site.hub(app(port=origin.port), certs=tmp_path, settings=LOOKS)
    with pytest.raises(ConnectionRefusedError):
        RawClient(hub.https)
    cert = tmp_path / "cert.pem"
    cert.write_text("half of a cert")  # a copy that takes its time
    hub.wait_line("error frontend", "cert.pem")
    first, second = (authority.issue("hub", use="server") for _ in range(2))
    put(first, cert)
    hub.wait_line("listening at", "HP_EXAPPS_HTTPS_ADDRESS")
    assert shown(hub.https, authority) == der_of(first)
    with RawClient(hub.https, authority.context(), "localhost") as client:
        assert client.ask(f"{A}/").body == b"secure"
        cert.write_text("broken")
        hub.wait_line("the certificate in use is kept: cert.pem can't be used")
        put(second, cert)
        hub.wait_line("cert.pem was read again")
        assert shown(hub.https, authority) == der_of(second)
        cert.unlink()
        hub.wait_line("the certificate in use is kept: cert.pem is gone")
        assert shown(hub.https, authority) == der_of(second)
        assert client.ask(f"{A}/").body == b"secure"  # the connection from before all that


def test_https_port_that_is_taken_is_tried_again(site, authority, tmp_path):
    hub = site.hub(app(), certs=tmp_path, settings=LOOKS)
    with socket.create_server(hub.https):
        put(authority.issue("hub", use="server"), tmp_path / "cert.pem")
        hub.wait_line("no HTTPS", "can't listen", "in use")
    hub.wait_line("listening at", "HP_EXAPPS_HTTPS_ADDRESS")
    with RawClient(hub.https, authority.context(), "localhost") as client:
        assert client.ask("/").status == 404
