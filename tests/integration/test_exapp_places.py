"""Where a request goes: to a tunnel, to host and port, never to the hub itself (section 3, point
9); and that both listeners judge alike."""
import socket
import ssl
import subprocess

import pytest

from harness import (RawClient, RawOrigin, appapi_fields, assert_hubs_own, free_port, outcome, push,
                     response, status)
from harness.programs import TUNNEL_PORT
from harness.world import World, new_address


@pytest.fixture(scope="module")
def place(tmp_path_factory, certs):
    """A world with a live tunnel at TUNNEL_PORT whose end answers `through the tunnel`."""
    from conftest import open_site
    site = open_site(tmp_path_factory, certs, "places")
    try:
        world = World(site)
        end = site.unix_origin(response(b"through the tunnel"))
        site.tunnel(world.hub, end.path, "tunnelled", TUNNEL_PORT)
        yield world
    finally:
        site.close()


def learned(world, name, **kwargs):
    world.know(name, **kwargs)


def pushed(world, name, **kwargs):
    push(world.hub, name, routes=world.routes, **kwargs)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "LOCALHOST"])
@pytest.mark.parametrize("known", [learned, pushed])
def test_a_loopback_host_with_a_live_tunnels_port_means_the_tunnel(place, known, host):
    name = f"{known.__name__}{['127.0.0.1', '::1', 'localhost', 'LOCALHOST'].index(host)}"
    known(place, name, host=host, port=TUNNEL_PORT)
    assert place.get("/public", app=name).body == b"through the tunnel"


@pytest.mark.parametrize("known", [learned, pushed])
def test_a_docker_engines_tunnel_is_never_an_exapp(place, known):
    """Whoever may push a record must not get around the gate to Docker engines."""
    engine = place.site.unix_origin(response(b"an engine"))
    port = 24001 if known is learned else 24099
    place.site.tunnel(place.hub, engine.path, f"engine{port}", port)
    place.hub.wait_line(f"Docker engine {port} can't be used")  # as its answer is no engine's
    name = f"engine-{known.__name__}"
    known(place, name, port=port)
    assert_hubs_own(place.get("/public", app=name), 503, "hop: hub", "Docker engines")
    reply = place.get("/heartbeat", *appapi_fields("unheard", port=port), app="unheard")
    assert_hubs_own(reply, 403, "HP_EXAPP_HOSTS")
    assert [request.target for connection in engine.connections
            for request in connection.requests] == ["/version"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("known", [learned, pushed])
def test_any_other_port_is_connected_to(place, known, host):
    name = f"direct-{known.__name__}-{host}"
    known(place, name, host=host, port=place.origin.port)
    assert place.get("/public", app=name).body == b"served"


def test_an_ipv6_host_is_connected_to(place):
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    pushed(place, "six", host="::1", port=listener.getsockname()[1])
    with RawClient(place.hub.http) as client:
        client.get("/exapps/six/public")
        listener.settimeout(10)
        peer, _ = listener.accept()
        peer.settimeout(10)
        assert peer.recv(65536).startswith(b"GET /public HTTP/1.1\r\n")
        peer.sendall(response(b"by IPv6"))
        assert client.response().body == b"by IPv6"
        peer.close()
    listener.close()


@pytest.mark.parametrize("known", [learned, pushed])
def test_a_tunnels_port_without_its_tunnel_is_a_503_that_names_it(place, known):
    name = f"down-{known.__name__}"
    known(place, name, port=TUNNEL_PORT + 1)
    assert_hubs_own(place.get("/public", app=name), 503, "503 Service Unavailable (HaRP)", "hop:")


@pytest.mark.parametrize("listener", ["http", "https", "frp", "admin"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("known", [learned, pushed])
def test_the_hubs_own_listeners_are_never_connected_to(place, known, host, listener):
    name = f"own-{known.__name__}-{host}-{listener}"
    known(place, name, host=host, port=place.hub.ports[listener])
    assert_hubs_own(place.get("/public", app=name), 503, "own listeners")


def test_a_new_push_moves_an_app_at_once(place):
    pushed(place, "moving", port=place.origin.port)
    assert place.get("/public", app="moving").body == b"served"
    with RawOrigin(response(b"elsewhere")) as other:
        pushed(place, "moving", port=other.port)
        assert place.get("/public", app="moving").body == b"elsewhere"


def test_a_name_that_does_not_resolve_is_a_503(place):
    pushed(place, "nameless", host="no-such-host.invalid", port=free_port())
    assert_hubs_own(place.get("/public", app="nameless"), 503, "503 Service Unavailable (HaRP)")


# ---- both listeners ----

def test_https_judges_alike_and_counts_together(site, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=hub.test",
                    "-keyout", tmp_path / "key", "-out", tmp_path / "crt"], check=True,
                   capture_output=True)
    (tmp_path / "cert.pem").write_bytes((tmp_path / "crt").read_bytes()
                                        + (tmp_path / "key").read_bytes())
    world = World(site, {"HP_BLACKLIST_COUNT": "3"}, certs=tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    address = new_address()
    forwarded = f"X-Forwarded-For: {address}".encode()

    def secure(target, *fields):
        with RawClient(world.hub.https, tls) as client:
            client.get(target, forwarded, *fields)
            try:
                return client.response().status
            except EOFError:
                return None

    assert secure("/exapps/sample/public") == 200
    assert secure("/exapps/sample/user") == 403
    assert secure("/exapps/sample/init") is None
    assert secure("/exapps/sample/init", *appapi_fields()) == 200
    assert world.status("/public", address=address) == 200
    assert world.status("/nosuch", address=address) == 404
    assert secure("/exapps/sample/public") is None
    assert world.status("/public", address=address) is None
    assert outcome(world.hub.http, "/exapps/sample/public").status == 200
    assert status(world.hub.http, "/exapps/sample/user") == 403
