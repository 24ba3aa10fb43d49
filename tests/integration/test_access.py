"""Who may reach what: client addresses, paths, reserved paths, routes and levels (section 3)."""
import base64
import zlib

import pytest

from harness import (RawClient, app, assert_hubs_own, basic_field, bearer_field, fetch, outcome,
                     session_cookie)
from harness.appapi import appapi_fields
from harness.credentials import APP_TOKEN, GARBAGE_BEARER, PASSWORDS, WRONG_KEY, WRONG_PASSWORD
from harness.world import World

USER = basic_field("alice", PASSWORDS["alice"])
ADMIN = basic_field("admin", PASSWORDS["admin"])


def address_seen(world, *fields, hub=None):
    """The address that the hub tells Nextcloud for a request with these fields."""
    assert outcome((hub or world.hub).http, "/exapps/sample/user", *fields, USER).status == 200
    return world.nc.asked("user-info")[-1].head.all("X-Forwarded-For")


# ---- the client's address ----

@pytest.mark.parametrize("fields, address", [
    ([b"X-Forwarded-For: 203.0.113.5"], "203.0.113.5"),
    ([b"X-Forwarded-For: 203.0.113.4, 203.0.113.5"], "203.0.113.5"),
    ([b"X-Forwarded-For: 203.0.113.4", b"X-Forwarded-For: 203.0.113.5"], "203.0.113.5"),
    ([b"X-Forwarded-For: 203.0.113.4", b"X-Forwarded-For: 203.0.113.5, 127.0.0.1"], "203.0.113.5"),
    ([b"X-Forwarded-For: 2001:db8::5"], "2001:db8::5"),
    ([b"X-Real-IP: 203.0.113.6"], "203.0.113.6"),
    ([b"X-Forwarded-For: 203.0.113.5", b"X-Real-IP: 203.0.113.6"], "203.0.113.5"),
    ([], "127.0.0.1"),
])
def test_from_a_trusted_proxy_the_client_is_the_rightmost_untrusted_address(world, fields, address):
    assert address_seen(world, *fields) == [address]


def test_from_anyone_else_the_client_is_the_sockets_address(site):
    world = World(site, {"HP_TRUSTED_PROXY_IPS": ""})
    seen = address_seen(world, b"X-Forwarded-For: 203.0.113.5", b"X-Real-IP: 203.0.113.6")
    assert seen == ["127.0.0.1"]


def test_trusted_proxies_may_be_networks_with_quotes_and_bad_entries_between(site):
    world = World(site, {"HP_TRUSTED_PROXY_IPS": "'127.0.0.9/8', nonsense, \"10.1.2.3/8\""})
    assert address_seen(world, b"X-Forwarded-For: 203.0.113.5, 10.200.0.1") == ["203.0.113.5"]
    assert b"nonsense" in world.hub.output()


# ---- paths ----

@pytest.mark.parametrize("path", [
    "/public/../admin", "/public/..", "/..", "/../", "/public/%2e%2e/admin", "/public/%2E./admin",
    "/public/.%2e/admin", "/public/..%2fadmin", "/public%2f..%2fadmin", "/public/%252e%252e/admin",
    "/public/..%252fadmin", "/public/%00", "/public/x%2500y", "/public\\..\\admin", "/public/a\\b",
    "/public/%5cadmin", "/public/%255cadmin"])
def test_dot_segments_nul_and_backslash_in_any_encoding_are_closed_without_an_answer(world, path):
    assert world.status(path) is None
    assert world.status(path, ADMIN) is None
    assert world.origin.requests == []


@pytest.mark.parametrize("path", ["/public/..x", "/public/...", "/public/a..b", "/public/.hidden",
                                  "/public/x?u=/../y", "/public/x?u=a%00", "/public/%2Fx"])
def test_what_only_looks_like_a_dot_segment_passes(world, path):
    assert world.status(path) == 200
    assert world.last().target == path


@pytest.mark.parametrize("target", ["/", "/exapps", "/exapps/", "/exapps//public", "/other/sample",
                                    "/x/exapps/sample/public", "//exapps/sample/public",
                                    "/exapps/sam%70le/public", "/exapps/sam!ple/public"])
def test_no_appid_is_a_404_and_nextcloud_is_not_asked(world, target):
    assert_hubs_own(world.ask(target), 404, "404 Not Found", "reason: ")
    assert world.nc.calls == [] and world.origin.requests == []


def test_unknown_appid_is_a_404(world):
    assert_hubs_own(world.get("/public", app="nowhere"), 404, "404 Not Found", "reason: ")


def test_appid_is_looked_up_in_lower_case_and_told_as_spelled(world):
    world.know("cased.app_1-x")
    assert world.status("/public", app="Cased.App_1-X") == 200
    assert [call.app for call in world.nc.asked("exapp-meta")] == ["cased.app_1-x"]
    assert world.last().head.get("EX-APP-ID") == "Cased.App_1-X"


@pytest.mark.parametrize("path, arrives", [(None, "/"), ("?a=b", "/?a=b"), ("/", "/")])
def test_appid_without_more_means_the_root(world, path, arrives):
    assert world.status(path) == 200
    assert world.last().target == arrives


def test_bytes_over_7f_in_values_pass_to_the_exapp_and_to_nextcloud(world):
    assert world.status("/user", USER, b"X-Name: caf\xe9 \xff") == 200
    assert world.last().head.get("X-Name") == "caf\xe9 \xff"
    assert world.nc.asked("user-info")[-1].head.get("X-Name") == "caf\xe9 \xff"


# ---- reserved paths ----

RESERVED = ["/heartbeat", "/init", "/enabled", "/heartbeat/", "/enabled?enabled=1", "/%69nit",
            "/in%69t", "/%68%65%61%72%74beat", "/./init", "//init", "///enabled", "/.//./heartbeat",
            "/init/.", "/%2e/init", "/%2finit", "/.%2finit", "/%2569nit", "/%252finit", "/init?"]


@pytest.mark.parametrize("path", RESERVED)
def test_reserved_paths_in_any_spelling_are_closed_for_clients(site_open, path):
    for fields in ((), (ADMIN,), (b"harp-shared-key: " + WRONG_KEY.encode(),)):
        assert site_open.status(path, *fields) is None
    assert site_open.origin.requests == []


@pytest.mark.parametrize("path", ["/initial", "/init/x", "/x/init", "/heartbeats", "/enable",
                                  "/x?/init"])
def test_paths_that_only_resemble_reserved_ones_pass(site_open, path):
    assert site_open.status(path) == 200


@pytest.fixture(scope="module")
def open_world(tmp_path_factory, certs):
    from conftest import open_site
    site = open_site(tmp_path_factory, certs, "open")
    try:
        yield World(site, routes=(("^/.*", 0),))
    finally:
        site.close()


@pytest.fixture
def site_open(open_world):
    """A world whose only route lets everyone everywhere."""
    open_world.reset()
    return open_world


@pytest.mark.parametrize("left_out", ["ex-app-version", "ex-app-id", "ex-app-host", "ex-app-port",
                                      "authorization-app-api", "harp-shared-key"])
def test_a_call_without_one_of_the_six_fields_is_a_clients(world, left_out):
    fields = appapi_fields(port=world.origin.port, leave_out=(left_out,))
    assert world.status("/heartbeat", *fields) is None
    assert world.status("/admin", *fields) == 403
    assert world.origin.requests == []


# ---- levels ----

WHO = {"anonymous": ((), 0), "user": ((USER,), 1), "admin": ((ADMIN,), 2),
       "user's session": ((session_cookie("bob"),), 1),
       "admin's session": ((session_cookie("admin"),), 2),
       "wrong password": ((basic_field("alice", WRONG_PASSWORD),), 0),
       "disabled user": ((basic_field("carol", PASSWORDS["carol"]),), 0),
       "two factors": ((basic_field("tessa", PASSWORDS["tessa"]),), 0),
       "garbage": ((bearer_field(GARBAGE_BEARER),), 0)}


@pytest.mark.parametrize("who", WHO)
def test_public_user_and_admin_routes(world, who):
    fields, level = WHO[who]
    assert world.status("/public/x", *fields) == 200
    assert world.status("/user/x", *fields) == (200 if level >= 1 else 403)
    assert world.status("/admin/x", *fields) == (200 if level >= 2 else 403)


def test_not_enough_rights_is_a_403_and_reaches_no_exapp(world):
    assert_hubs_own(world.get("/user"), 403, "403 Forbidden", "reason: ")
    assert_hubs_own(world.get("/admin", USER), 403, "403 Forbidden", "reason: ")
    assert world.origin.requests == []


def test_no_route_is_a_404_and_reaches_no_exapp(world):
    assert_hubs_own(world.get("/nosuch", ADMIN), 404, "404 Not Found", "reason: ")
    assert world.origin.requests == []


@pytest.mark.parametrize("fields, user", [((), ""), ((USER,), "alice"), ((ADMIN,), "admin")])
def test_the_exapp_is_told_who_it_is(world, fields, user):
    assert world.status("/public", *fields) == 200
    head = world.last().head
    told = base64.b64decode(head.get("AUTHORIZATION-APP-API")).decode()
    assert told == f"{user}:{APP_TOKEN}"
    assert (head.get("EX-APP-ID"), head.get("EX-APP-VERSION"), head.get("AA-VERSION")) == (
        "sample", "1.0.0", "32")


def test_anonymous_clients_are_not_looked_up(world):
    assert world.status("/public") == 200
    assert world.status("/public", b"Cookie: other=1; nc_sameSiteCookielax=true") == 200
    assert world.status("/user", b"Cookie: other=1") == 403
    assert world.nc.asked("user-info") == []


def test_a_forbidden_body_is_not_waited_for(world):
    with RawClient(world.hub.http) as client:
        client.get("/exapps/sample/user", b"Content-Length: 1000000", method="POST")
        assert client.response().status == 403


def test_upgrades_are_judged_like_other_requests(world):
    upgrade = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13",
               b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    with RawClient(world.hub.http) as client:
        client.get("/exapps/sample/user/ws", *upgrade)
        assert client.response().status == 403
    assert world.origin.requests == []


# ---- what is set and what is removed ----

@pytest.mark.parametrize("name", [b"EX-APP-ID", b"ex_app_id", b"EX-APP-VERSION", b"AA-VERSION",
                                  b"AUTHORIZATION-APP-API", b"Authorization_App_Api"])
def test_fields_that_the_hub_sets_replace_the_clients(world, name):
    assert world.status("/public", name + b": forged") == 200
    values = [value for key, value in world.last().head.fields
              if key.lower().replace("_", "-") == name.decode().lower().replace("_", "-")]
    assert len(values) == 1 and values != ["forged"]


def test_credentials_pass_to_the_exapp_by_default(world):
    assert world.status("/user", USER, session_cookie("alice")) == 200
    head = world.last().head
    assert head.get("Authorization") == USER.decode().partition(": ")[2]
    assert head.get("Cookie") == session_cookie("alice").decode().partition(": ")[2]


def test_strip_credentials_removes_nextclouds_sessions_and_authorization(site):
    world = World(site, {"HP_STRIP_CREDENTIALS": "true"})
    assert world.status("/user", session_cookie("alice") + b"; mine=1") == 200
    head = world.last().head
    assert not [value for value in head.all("Cookie") if "passphrase-of-alice" in value]
    assert any("mine=1" in value for value in head.all("Cookie"))
    assert world.status("/user", USER) == 200
    assert not world.last().head.has("Authorization")


# ---- routes ----

def routed(site, *routes):
    return World(site, routes=routes)


def test_the_first_route_that_matches_decides(site):
    world = routed(site, ("^/a/secret", 2), ("^/a", 0), ("^/b", 0), ("^/b/secret", 2))
    assert world.status("/a/x") == 200
    assert world.status("/a/secret") == 403
    assert world.status("/b/secret") == 200


@pytest.mark.parametrize("pattern, path, status", [
    ("/plain", "/plain/x", 200), ("/plain", "/x/plain", 404), ("plain", "/plain", 404),
    (".*plain", "/x/plain", 200), ("^/exact$", "/exact", 200), ("^/exact$", "/exact/x", 404),
    ("^/exact$", "/exact?q=1", 200), ("^/q\\?x", "/q?x", 404), ("^/Case", "/case", 404),
    ("(?i)^/Case", "/case", 200), ("^/a b", "/a%20b", 404), ("^/a%20b", "/a%20b", 200),
    ("^/(one|two)/[0-9]+$", "/two/17", 200), ("^/d/\\d+$", "/d/12", 200), ("", "/any", 200)])
def test_patterns_match_at_the_start_of_the_encoded_path(site_open, pattern, path, status):
    """As Python's re.match does, behind the prefix and without the query."""
    name = f"m{zlib.crc32(f'{pattern} {path}'.encode())}"
    site_open.know(name, routes=((pattern, 0),))
    assert site_open.status(path, app=name) == status


def test_a_pattern_that_does_not_compile_is_skipped_and_logged(site):
    world = routed(site, ("^/[broken", 0), ("^/(also", 0), ("^/good", 0))
    assert world.status("/good") == 200
    assert world.status("/[broken") == 404
    world.hub.wait_line("[broken")


def test_a_pattern_that_exceeds_its_match_limit_lets_no_one_through_and_is_logged(site):
    world = routed(site, ("^/(a+)+$", 0))
    assert world.status("/aaa") == 200
    assert world.status("/" + "a" * 3000 + "!") == 404
    assert world.status("/aaa") == 200
    world.hub.wait_line("limit")


def test_declared_apps_need_no_nextcloud(site):
    origin = site.origin()
    hub = site.hub(app(port=origin.port, routes=(("^/public", 0), ("^/user", 1))))
    assert fetch(hub.http, "/exapps/sample/public").status == 200
    assert fetch(hub.http, "/exapps/sample/user").status == 403
