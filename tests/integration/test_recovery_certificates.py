"""Certificates that come late, are renewed, or break while the programs run: nobody sends a signal."""
import shutil
import socket
import ssl
import subprocess

import pytest

from harness import RawClient, app, response, wait_for
from harness.authority import Authority, der_of
from harness.engine_calls import FAR_PORT
from harness.fake_engine import FakeEngine
from harness.filter_front import hang_up
from harness.tunnel_bench import hub_client, last
from harness.world import World

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


# ---- the way to Nextcloud ----

def test_hub_takes_a_changed_file_of_nextclouds_authorities(site, authority, tmp_path):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority.issue("cloud", use="server"))
    other = Authority(tmp_path, "Other Authority")
    ca = tmp_path / "ca.pem"
    shutil.copyfile(other.crt, ca)
    world = World(site, {"HP_NEXTCLOUD_CA_FILE": ca, "HP_EXAPP_LIFETIME": "0"}, tls=tls, host="localhost")
    assert world.status("/public") == 503
    put(authority.crt, ca)
    assert world.status("/public") == 200
    put(other.crt, ca)
    for connection in world.nc.connections:
        hang_up(connection)  # kept for the next question, which is to shake hands anew
    wait_for(lambda: world.status("/public") == 503, what="the hub to refuse Nextcloud's certificate")


# ---- tunnels ----

def tunnel(site, hub, certs):
    """A client of that hub with a folder's certificates, for an engine that runs."""
    engine = site.add(FakeEngine(site.socket_path()))
    return last(site, hub_client(site, hub.ports["frp"], [("engine-1", FAR_PORT, f"unix:{engine.path}")],
                                 certs=certs))


def test_hub_takes_certificates_that_are_put_into_its_folder(site, tmp_path):
    """A volume that is mounted after the start, or a folder that is brought back: clients have its CA."""
    known = site.hub(app(), certs=tmp_path / "known", settings=LOOKS)
    hub = site.hub(app(), certs=tmp_path / "late", settings=LOOKS)
    client = tunnel(site, hub, known.certs)
    client.wait_line("could not log in")
    own = hub.certs / "frp"
    own.rename(hub.certs / "away")
    hub.wait_line("the tunnels' certificates in use are kept", "ca.crt: No such file")
    assert not own.exists()  # none are made anew in the place of a volume
    shutil.copytree(known.certs / "frp", own)
    hub.wait_line("the tunnels' certificates were read again")
    client.wait_line("proxy engine-1 ready")


def test_hub_renews_its_certificate_while_it_runs(site, tmp_path):
    hub = site.hub(app(), certs=tmp_path, settings=LOOKS)
    frp = tmp_path / "frp"
    subject, extra = "/CN=harp.nc", "subjectAltName=DNS:harp.nc\nextendedKeyUsage=serverAuth\n"
    (tmp_path / "extensions").write_text(extra)
    for command in (f"req -new -key {frp}/server.key -subj {subject} -out {tmp_path}/request",
                    f"x509 -req -in {tmp_path}/request -CA {frp}/ca.crt -CAkey {frp}/ca.key -days 5 "
                    f"-extfile {tmp_path}/extensions -out {tmp_path}/short.crt"):
        subprocess.run(["openssl", *command.split()], check=True, capture_output=True)
    put(tmp_path / "short.crt", frp / "server.crt")
    hub.wait_line("server.crt: renewed with its key for 5000 days")
    tunnel(site, hub, tmp_path).wait_line("proxy engine-1 ready")


def test_client_takes_certificates_that_were_replaced_when_it_connects_again(site, tmp_path):
    old = site.hub(app(), certs=tmp_path / "old")
    hub = site.hub(app(), certs=tmp_path / "new")
    client = tunnel(site, hub, old.certs)
    client.wait_line("could not log in")
    frp = old.certs / "frp"
    (frp / "ca.crt").write_text("half of a file")
    client.wait_line("the certificates in use are kept", "ca.crt")
    for name in ("ca.crt", "client.crt", "client.key"):
        put(hub.certs / "frp" / name, frp / name)
    client.wait_line("proxy engine-1 ready")
