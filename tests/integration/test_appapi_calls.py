"""AppAPI's calls to ExApps through the hub: heartbeat, init, enabled and the rest (section 3,
point 5)."""
import socket

import pytest

from harness import (RawOrigin, appapi_fields, assert_hubs_own, basic_field, control, outcome,
                     session_cookie)
from harness.credentials import OTHER_TOKEN, PASSWORDS, WRONG_KEY, app_authorization
from harness.programs import TUNNEL_PORT
from harness.world import World

META = "exapp-meta"


@pytest.fixture
def exapp(site):
    """An origin on a port of the loopback that AppAPI may name: 23000..23999."""
    for port in range(23990, 23900, -1):
        try:
            return site.add(RawOrigin(listen=("127.0.0.1", port)))
        except OSError:
            continue
    raise RuntimeError("no free port in 23900..23990")


@pytest.mark.parametrize("method, path", [
    ("GET", "/heartbeat"), ("POST", "/init"), ("PUT", "/enabled?enabled=1"), ("GET", "/admin/x"),
    ("POST", "/user"), ("DELETE", "/nosuch"), ("GET", "/")])
def test_route_rules_are_skipped(world, method, path):
    assert world.status(path, *appapi_fields(), method=method) == 200
    assert (world.last().method, world.last().target) == (method, path)


@pytest.mark.parametrize("user", ["", "alice", "admin"])
def test_authorization_app_api_passes_as_sent(world, user):
    assert world.status("/heartbeat", *appapi_fields(token=OTHER_TOKEN, user=user)) == 200
    assert world.last().head.get("AUTHORIZATION-APP-API") == app_authorization(OTHER_TOKEN, user)


def test_the_exapp_gets_appapis_fields_but_not_the_key(world):
    fields = appapi_fields(version="0.9", port=1234, host="elsewhere")
    assert world.status("/heartbeat", *fields, b"docker-engine-port: 24000",
                        b"Accept-Language: de") == 200
    head = world.last().head
    assert not head.has("harp-shared-key") and not head.has("docker-engine-port")
    assert (head.get("EX-APP-ID"), head.get("EX-APP-VERSION"), head.get("AA-VERSION")) == (
        "sample", "1.0.0", "32")
    assert (head.get("ex-app-host"), head.get("ex-app-port")) == ("elsewhere", "1234")
    assert (head.get("AA-REQUEST-ID"), head.get("Accept-Language")) == ("CLI", "de")


def test_field_names_in_any_letter_case(world):
    fields = [field.partition(b":")[0].upper() + b":" + field.partition(b":")[2]
              for field in appapi_fields()]
    assert world.status("/heartbeat", *fields) == 200
    assert not world.last().head.has("harp-shared-key")


@pytest.mark.parametrize("path", ["/heartbeat", "/init", "/public", "/admin", "/nosuch"])
@pytest.mark.parametrize("key", [WRONG_KEY, "", "integration-test-ke", "integration-test-keys"])
def test_a_wrong_key_is_closed_without_an_answer(world, path, key):
    assert world.status(path, *appapi_fields(key=key)) is None
    assert world.origin.requests == []
    assert world.status("/public", *appapi_fields(key=key), app="notasked") is None
    assert world.nc.asked(META, "notasked") == []


def test_hostile_paths_are_closed_with_the_right_key_too(world):
    for path in ("/../x", "/public/%2e%2e/x", "/a\\b"):
        assert world.status(path, *appapi_fields()) is None


def test_nextcloud_is_not_asked_who_calls(world):
    fields = [*appapi_fields(), session_cookie(), basic_field("alice", PASSWORDS["alice"])]
    assert world.status("/admin", *fields) == 200
    assert world.nc.asked("user-info") == []


def test_bodies_pass(world):
    assert world.status("/init", *appapi_fields(), method="POST", body=b"x" * 100000) == 200
    assert world.last().body == b"x" * 100000


# ---- where the app is ----

def test_what_nextcloud_says_counts_before_what_the_call_says(world, exapp):
    assert world.status("/heartbeat", *appapi_fields(port=exapp.port)) == 200
    assert exapp.requests == [] and len(world.origin.requests) == 1


def test_an_app_that_nextcloud_does_not_know_is_where_the_call_says(world, exapp):
    fields = appapi_fields("fresh", port=exapp.port)
    assert world.status("/heartbeat", *fields, app="fresh") == 200
    request, = exapp.wait_requests(1)
    assert request.head.get("EX-APP-ID") == "fresh"
    assert world.questions(META, "fresh") == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_loopback_port_of_23000_to_23999_is_allowed(world, exapp, host):
    name = f"at-{host}"
    assert world.status("/heartbeat", *appapi_fields(name, port=exapp.port, host=host),
                        app=name) == 200


def test_a_loopback_port_of_that_range_without_a_listener_is_a_503(world):
    with socket.socket() as probe:  # bound, but not listening: refused
        for port in range(23890, 23800, -1):
            try:
                probe.bind(("127.0.0.1", port))
                break
            except OSError:
                continue
        assert_hubs_own(world.get("/heartbeat", *appapi_fields("nobody", port=port), app="nobody"),
                        503, "503 Service Unavailable (HaRP)")


def test_the_port_of_a_live_tunnel_is_allowed(site):
    world = World(site)
    origin = site.unix_origin()
    site.tunnel(world.hub, origin.path, "tunnelled")
    fields = appapi_fields("tunnelled", port=TUNNEL_PORT)
    assert world.status("/heartbeat", *fields, app="tunnelled") == 200
    assert len(origin.requests) == 1


@pytest.mark.parametrize("host, port", [
    ("127.0.0.1", 22), ("127.0.0.1", 80), ("127.0.0.1", 22999), ("127.0.0.1", 24000),
    ("127.0.0.1", 24005), ("127.0.0.1", 65535), ("localhost", 22), ("::1", 22),
    ("127.0.0.2", 22), ("169.254.169.254", 80), ("10.0.0.1", 23000), ("192.0.2.1", 23000),
    ("exapp.test", 23000), ("nc_app_x", 23000), ("::ffff:127.0.0.1", 22)])
def test_other_places_are_a_403_that_says_so(world, host, port):
    fields = appapi_fields("astray", port=port, host=host)
    assert_hubs_own(world.get("/heartbeat", *fields, app="astray"), 403, "403 Forbidden",
                    "reason: ")


@pytest.mark.parametrize("name", ["http", "https", "frp", "admin"])
def test_the_hubs_own_listeners_are_never_reached(world, name):
    fields = appapi_fields("own", port=world.hub.ports[name])
    reply = world.get("/exapps/app_api/heartbeat", *fields, app="own")
    assert reply.status in (403, 503), reply


@pytest.mark.parametrize("host, port", [
    ("127.0.0.1", "x"), ("127.0.0.1", "0"), ("127.0.0.1", "70000"), ("127.0.0.1", "-1"),
    ("127.0.0.1", ""), ("", "23000"), ("a b", "23000"), ("a/b", "23000"), ("x" * 300, "23000")])
def test_places_that_are_none_are_refused(world, host, port):
    fields = appapi_fields("none", port=port, host=host)
    reply = world.get("/heartbeat", *fields, app="none")
    assert reply is not None and reply.status in (400, 403), reply


@pytest.mark.parametrize("allowed, host", [
    ("127.0.0.1", "127.0.0.1"), ("127.0.0.0/8", "127.0.0.1"),
    ("10.0.0.0/8, localhost", "localhost"), ("other.test,127.0.0.1", "127.0.0.1")])
def test_places_that_the_administrator_listed_are_allowed(site, allowed, host):
    world = World(site, {"HP_EXAPP_HOSTS": allowed})
    fields = appapi_fields("listed", port=world.origin.port, host=host)
    assert world.status("/heartbeat", *fields, app="listed") == 200


def test_listing_one_place_allows_no_other(site):
    world = World(site, {"HP_EXAPP_HOSTS": "192.0.2.0/24"})
    fields = appapi_fields("listed", port=world.origin.port)
    assert world.status("/heartbeat", *fields, app="listed") == 403


# ---- beside clients ----

def test_a_place_from_a_call_is_not_kept_for_clients(world, exapp):
    fields = appapi_fields("unkept", port=exapp.port)
    assert world.status("/heartbeat", *fields, app="unkept") == 200
    assert world.status("/public", app="unkept") == 404
    assert len(exapp.requests) == 1


def test_an_unknown_app_is_remembered_and_still_called(world, exapp):
    """Each second a heartbeat comes; Nextcloud is not asked each time."""
    fields = appapi_fields("beating", port=exapp.port)
    for _ in range(4):
        assert world.status("/heartbeat", *fields, app="beating") == 200
    assert world.questions(META, "beating") == 1


def test_what_a_call_learned_serves_clients_too(world):
    world.know("both")
    assert world.status("/heartbeat", *appapi_fields("both"), app="both") == 200
    assert world.status("/public", app="both") == 200
    assert world.questions(META, "both") == 1


@pytest.mark.parametrize("mode", ["close", "status:503", "html"])
def test_nextcloud_unusable_is_a_503_that_names_it(world, exapp, mode):
    name = "unusable" + str(len(mode))
    world.nc.broken = mode
    reply = world.get("/heartbeat", *appapi_fields(name, port=exapp.port), app=name)
    assert_hubs_own(reply, 503, "503 Service Unavailable (HaRP)", "hop: Nextcloud")
    assert exapp.requests == []


def test_the_order_of_a_deploy(world, exapp):
    """Heartbeats before the app listens, init, enabled, the push: then clients are served."""
    name, address = "deployed", ("127.0.0.1", exapp.port)
    exapp.close()
    fields = appapi_fields(name, port=address[1])
    assert world.status("/heartbeat", *fields, app=name) == 503
    with RawOrigin(listen=address) as origin:
        assert world.status("/heartbeat", *fields, app=name) == 200
        assert world.status("/init", *fields, app=name, method="POST") == 200
        assert world.status("/enabled?enabled=1", *fields, app=name, method="PUT") == 200
        body = {"exapp_token": OTHER_TOKEN, "exapp_version": "1.0.0", "host": "127.0.0.1",
                "port": address[1], "routes": [{"url": "^/public", "access_level": 0}]}
        assert control(world.hub, "POST", f"/exapp_storage/{name}", body).status == 204
        assert outcome(world.hub.http, f"/exapps/{name}/public").status == 200
        assert [request.target for request in origin.requests] == [
            "/heartbeat", "/init", "/enabled?enabled=1", "/public"]
