"""What somebody tries who wants to be somebody else, to reach what is closed, or to stop the hub."""
import json
import re
import socket
import threading
import urllib.parse

import pytest

from harness import (Deadline, RawClient, at, basic_field, program_is_sanitized,
                     wait_for)
from harness.credentials import APP_TOKEN, PASSWORDS, app_authorization
from harness.wait import SLOWNESS
from harness.world import World, new_address

# ---- the path: what the hub judges and what an ExApp makes of it ----

PUBLIC, ADMIN, CLOSED, NOT_FOUND = "public", "admin", "closed", "404"
# Behind /exapps/sample; the public route is ^/public, all else is for administrators.
PATHS = {
    "/public": PUBLIC, "/public/": PUBLIC, "/public/x": PUBLIC, "/public?x": PUBLIC,
    "/public/?/../admin": PUBLIC, "/public?/../../admin": PUBLIC, "/public/x?a=..%2fadmin": PUBLIC,
    "/public/.": PUBLIC, "/public/./x": PUBLIC, "/public/%2e/x": PUBLIC, "/public//x": PUBLIC,
    "/public///": PUBLIC, "/public/%2F": PUBLIC, "/public%2Fx": PUBLIC, "/public%2fadmin": PUBLIC,
    "/public/...": PUBLIC, "/public/....//x": PUBLIC, "/public/..x": PUBLIC, "/public/x..": PUBLIC,
    "/public/.x": PUBLIC, "/public/x;y=1": PUBLIC, "/public;y": PUBLIC, "/public/;": PUBLIC,
    "/public/%00x": CLOSED, "/public/x%00": CLOSED, "/public%2500/x": CLOSED,
    "/public/a%5Cb": CLOSED, "/public/a\\b": CLOSED, "/public/..\\admin": CLOSED,
    "/public/%255c": CLOSED, "/public/%5c..%5cadmin": CLOSED,
    "/public/..": CLOSED, "/public/../": CLOSED, "/public/../admin": CLOSED,
    "/public/..//admin": CLOSED, "/public/x/../../admin": CLOSED, "/../admin": CLOSED,
    "/..": CLOSED, "/./../admin": CLOSED, "/public/./../admin": CLOSED,
    "/public/..;/admin": CLOSED, "/public/..;x=1/admin": CLOSED, "/public/%2e%2e;/admin": CLOSED,
    "/public/%2e%2e/admin": CLOSED, "/public/%2E%2E/admin": CLOSED, "/public/.%2e/admin": CLOSED,
    "/public/%2e./admin": CLOSED, "/public/..%2fadmin": CLOSED, "/public/..%2Fadmin": CLOSED,
    "/public/%2e%2e%2fadmin": CLOSED, "/public%2f..%2fadmin": CLOSED,
    "/public%2f%2e%2e%2fadmin": CLOSED, "/public/%252e%252e/admin": CLOSED,
    "/public/%252e%252e%252fadmin": CLOSED, "/public/..%252fadmin": CLOSED,
    "/public/%25252e%25252e/admin": CLOSED, "/public/%%32%65%%32%65/admin": CLOSED,
    "/public/%25%32%65%25%32%65/admin": CLOSED, "/public/.%252e/admin": CLOSED,
    "/public/%2e%252e/admin": CLOSED, "/public%252f..%252fadmin": CLOSED,
    "/admin": ADMIN, "/admin/public": ADMIN, "//public": ADMIN, "//public/x": ADMIN,
    "/./public": ADMIN, "/%2e/public": ADMIN, "/%70ublic": ADMIN, "/%2Fpublic": ADMIN,
    "/%2fpublic/x": ADMIN, "/Public": ADMIN, "/PUBLIC/x": ADMIN, "/;/public": ADMIN,
    "/;x/public": ADMIN, "/publi%63": ADMIN, "/%E2%80%A6/public": ADMIN, "/%c0%ae%c0%ae/": ADMIN,
    "/%u002e%u002e/": ADMIN, "/%public": ADMIN, "/%": ADMIN, "/%2": ADMIN, "/%zz": ADMIN,
    "/?/public": ADMIN, "/": ADMIN, "": ADMIN, "?x": ADMIN, "/ pub": "400", "/public/\tx": "400",
    "/public#x": "400", "/heartbeat": CLOSED, "/Init": CLOSED, "/%69nit": CLOSED,
    "/enabled/": CLOSED, "/./init": CLOSED, "//init": CLOSED, "/init;x": CLOSED,
    "/%2569nit": CLOSED, "/init%3Fx": CLOSED, "/.%2Finit": CLOSED, "/init/x": ADMIN,
}
# All of the target.
TARGETS = {
    "/exapps/sample%2Fpublic": NOT_FOUND, "/exapps/sample%00/public": CLOSED,
    "/exapps/sam%70le/public": NOT_FOUND, "/exapps/./sample/public": NOT_FOUND,
    "/exapps/../exapps/sample/public": CLOSED, "/exapps//sample/public": NOT_FOUND,
    "//exapps/sample/public": NOT_FOUND, "/x/exapps/sample/public": NOT_FOUND,
    "/EXAPPS/sample/public": NOT_FOUND, "/exapps/sample;x/public": NOT_FOUND,
    "/%65xapps/sample/public": NOT_FOUND, "/exapps/.../public": NOT_FOUND,
    "/exapps/" + "a" * 65 + "/public": NOT_FOUND, "/exapps/app_api%2fheartbeat": NOT_FOUND,
    "/exapps/SAMPLE/public": PUBLIC, "http://h/exapps/sample/public": PUBLIC,
    "http://h/exapps/sample/../x": CLOSED,
}
ALL_TARGETS = {**{f"/exapps/sample{path}": fate for path, fate in PATHS.items()}, **TARGETS}


def test_there_are_at_least_80_paths():
    assert len(ALL_TARGETS) >= 80


def furthest(path):
    """Where a server may land that decodes and cleans up whatever can be."""
    for _ in range(4):
        path = urllib.parse.unquote(path)
    parts = []
    for part in path.replace("\\", "/").split("/"):
        part = part.partition(";")[0]
        if part == "..":
            parts[-1:] = []
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


@pytest.fixture(scope="module")
def paths(tmp_path_factory, certs):
    from conftest import open_site
    site = open_site(tmp_path_factory, certs, "paths")
    try:
        yield World(site, routes=(("^/public", 0), ("^", 2)))
    finally:
        site.close()


@pytest.mark.parametrize("target", ALL_TARGETS)
def test_a_path_has_its_fate_and_arrives_byte_for_byte(paths, target):
    fate = ALL_TARGETS[target]
    paths.reset()
    reply = paths.ask(target)
    got = reply.status if reply else None
    wanted = {PUBLIC: 200, ADMIN: 403, CLOSED: None, NOT_FOUND: 404, "400": 400}[fate]
    assert got == wanted, (target, reply)
    if fate != PUBLIC:
        assert paths.origin.requests == []
        return
    arrived = paths.last().target
    assert arrived == (re.sub(r"^(http://h)?/exapps/[^/?]+", "", target) or "/")
    path = arrived.partition("?")[0]
    assert furthest(path).startswith("/public"), f"an ExApp may take {path} for {furthest(path)}"


# ---- addresses ----

def fail_as(world, *fields, count=10):
    for _ in range(count):
        world.ask("/exapps/nobody/x", *fields, address="198.51.100.1")


@pytest.fixture
def strict(site):
    return World(site, {"HP_BLACKLIST_COUNT": "10", "HP_TRUSTED_PROXY_IPS": "127.0.0.1,10.0.0.0/8"})


def banned(world, address):
    return world.status("/public", address=address) is None


def via(*hops):
    """A list as proxies write it: who asks stands before the proxies it came through."""
    return ", ".join(hops)


def test_a_spoofed_list_does_not_get_around_a_ban(strict):
    """The proxy appends whom it saw; what the client put in front changes with each request."""
    for number in range(10):
        strict.ask("/exapps/nobody/x", address=via(f"203.0.113.{number}", "192.0.2.66"))
    assert banned(strict, "192.0.2.66")
    for spoof in ("203.0.113.99", "10.9.9.9", "127.0.0.1", "unknown", "::1", "", "192.0.2.1:80"):
        assert banned(strict, via(spoof, "192.0.2.66")), spoof
        assert banned(strict, via(spoof, "192.0.2.66", "10.0.0.7")), spoof
    assert banned(strict, "192.0.2.66:4711")
    assert banned(strict, "::ffff:192.0.2.66")


def test_a_spoofed_list_bans_nobody_else(strict):
    victim = "198.51.100.200"
    for number in range(30):
        strict.ask("/exapps/nobody/x", address=via(victim, f"192.0.2.{number}"))
        strict.ask("/exapps/nobody/x", b"X-Real-IP: " + victim.encode(),
                   b"Forwarded: for=" + victim.encode(), b"X_Forwarded_For: " + victim.encode(),
                   address=f"192.0.2.{number + 100}")
    assert not banned(strict, victim)


def test_addresses_of_one_64_share_their_failures_and_no_others(strict):
    for number in range(10):
        strict.ask("/exapps/nobody/x", address=f"[2001:db8:5:6::{number + 1:x}]:4711")
    assert banned(strict, "2001:db8:5:6:ffff::1")
    assert not banned(strict, "2001:db8:5:7::1")


def test_100000_addresses_that_fail_cost_bounded_memory(site):
    """Each request comes, by word of a trusted proxy, from another address."""
    count = 20000 if program_is_sanitized() else 100000
    world = World(site, {"HP_BLACKLIST_COUNT": "10", "HP_LOG_LEVEL": "warning"})
    assert world.status("/public") == 200
    before = world.hub.resident_kib()
    with socket.create_connection(world.hub.http) as sock:
        seen = []

        def read():
            deadline, kept = Deadline(60 * SLOWNESS, "the answers"), b""
            while True:
                sock.settimeout(deadline.left())
                piece = sock.recv(1 << 20)
                if not piece:
                    return
                kept += piece
                seen.append(kept.count(b"HTTP/1.1 404"))
                kept = kept[-11:]  # less than what is looked for

        reader = threading.Thread(target=read)
        reader.start()
        for start in range(0, count, 500):
            sock.sendall(b"".join(
                b"GET /exapps/sample/nosuch HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: "
                b"10.%d.%d.%d\r\n\r\n" % (n >> 16, n >> 8 & 255, n & 255)
                for n in range(start, min(start + 500, count))))
        sock.shutdown(socket.SHUT_WR)
        reader.join(90 * SLOWNESS)
    assert sum(seen) == count
    assert world.status("/public") == 200
    if not program_is_sanitized():
        assert world.hub.resident_kib() - before < 8 * 1024


# ---- identities ----

NAMES = ["EX-APP-ID", "EX-APP-VERSION", "AUTHORIZATION-APP-API", "AA-VERSION"]


@pytest.fixture(scope="module")
def forging(tmp_path_factory, certs):
    from conftest import open_site
    site = open_site(tmp_path_factory, certs, "forging")
    try:
        yield World(site)
    finally:
        site.close()


def arrived(world):
    """What arrived of the hub's own fields, in any spelling."""
    return {name: [value for key, value in world.last().head.fields
                   if key.upper().replace("_", "-") == name] for name in
            [*NAMES, "EX-APP-HOST", "EX-APP-PORT", "HARP-SHARED-KEY", "DOCKER-ENGINE-PORT"]}


TRUE = {"EX-APP-ID": ["sample"], "EX-APP-VERSION": ["1.0.0"], "AA-VERSION": ["32"],
        "AUTHORIZATION-APP-API": [app_authorization(APP_TOKEN)], "EX-APP-HOST": [],
        "EX-APP-PORT": [], "HARP-SHARED-KEY": [], "DOCKER-ENGINE-PORT": []}
SPELLINGS = [str.upper, str.lower, str.title, lambda name: name.replace("-", "_"),
             lambda name: name.replace("-", "_").lower(), lambda name: name.replace("-", "_", 1)]


@pytest.mark.parametrize("spelling", range(len(SPELLINGS)))
@pytest.mark.parametrize("name", TRUE)
def test_forged_fields_never_arrive(forging, name, spelling):
    spelled = SPELLINGS[spelling](name).encode()
    forging.reset()
    assert forging.status("/public", spelled + b": forged", spelled + b": again") == 200
    assert arrived(forging) == TRUE


@pytest.mark.parametrize("name", TRUE)
def test_connection_neither_brings_in_nor_takes_away_the_hubs_fields(forging, name):
    for spelled in (name.encode(), name.lower().encode(), name.replace("-", "_").encode()):
        forging.reset()
        assert forging.status("/public", b"Connection: " + spelled, spelled + b": forged") == 200
        assert arrived(forging) == TRUE


def test_connection_can_not_hide_who_asks(forging):
    """The name in Connection takes the credentials from Nextcloud's question and the app alike."""
    user = basic_field("alice", PASSWORDS["alice"])
    forging.reset()
    assert forging.status("/user", user, b"Connection: Authorization") == 403
    assert forging.status("/public", user, b"Connection: Authorization") == 200
    assert not forging.last().head.has("Authorization")
    assert arrived(forging) == TRUE


def test_forged_fields_in_trailers_never_arrive(forging):
    forging.reset()
    with RawClient(forging.hub.http) as client:
        client.get("/exapps/sample/public", at(new_address()), b"Transfer-Encoding: chunked",
                   b"Trailer: EX-APP-ID", method="POST")
        client.send(b"1\r\nx\r\n0\r\nEX-APP-ID: forged\r\nex_app_version: 9\r\nX-Sum: 1\r\n"
                    b"AUTHORIZATION-APP-API: Zm9yZ2Vk\r\n\r\n")
        assert client.response("POST").status == 200
    assert forging.last().trailers == [("X-Sum", "1")]
    assert arrived(forging) == TRUE


# ---- what costs time ----

SLOW = ["^/(a+)+$", "^/(a|a)*$", "^/(\\w+\\s?)*$", "^/(a*)*[bc]", "^/.*.*.*.*.*.*x",
        "^/(?:.*,){9}x", "^/(.)(.)(.).*\\3\\2\\1b", "^/(?=(a+))*q", "^/(?:[a-z]*[a-z]*)*!$"]


def test_pathological_patterns_do_not_hold_up_others(site):
    """Processor time is asked for, not time on the clock: 50 ms for each such request at most, while
    others are served in between."""
    world = World(site)
    for number, pattern in enumerate(SLOW):
        world.know(f"slow{number}", routes=[(pattern, 2)])
    world.know("many", routes=[(pattern + str(n), 2) for n in range(20) for pattern in SLOW])
    apps = [*(f"slow{number}" for number in range(len(SLOW))), "many"]
    for app in apps:
        assert world.status("/x", app=app) in (403, 404)
    before = world.hub.cpu_seconds()
    rounds = 3
    for _ in range(rounds):
        for app in apps:
            for size in (60, 2000, 7000):
                assert world.status("/" + "a" * size + "!", app=app) in (403, 404)
                assert world.status("/public") == 200
    used = world.hub.cpu_seconds() - before
    assert used < rounds * len(apps) * 3 * 0.05 * (5 if program_is_sanitized() else 1) * SLOWNESS


HOSTILE = {
    "deep": '{"routes":' + "[" * 5000 + "]" * 5000 + "}",
    "deep objects": '{"a":' * 5000 + "1" + "}" * 5000,
    "many values": json.dumps({"routes": [0] * 100000}),
    "long string": json.dumps({"exapp_token": "x" * 900000}),
    "numbers": '{"port":' + "9" * 100000 + "}",
    "exponent": '{"port":1e999999999}',
    "twice": '{"host":"127.0.0.1","host":"127.0.0.2"}',
    "nul": '{"exapp_token":"a\\u0000b","exapp_version":"1","host":"h","port":1}',
    "half a pair": '{"exapp_token":"\\ud800","exapp_version":"1","host":"h","port":1}',
    "no utf-8": '{"exapp_token":"\xff"}',
    "trailing": '{} {}',
    "many routes": json.dumps({"exapp_token": "t", "exapp_version": "1", "host": "h", "port": 1,
                               "routes": [{"url": "^/", "access_level": 0}] * 5000}),
    "crlf": json.dumps({"exapp_token": "t", "exapp_version": "1\r\nX: y", "host": "h", "port": 1}),
    "user": '{"user_id":"' + "u" * 100000 + '","access_level":2}',
    "level": '{"user_id":"admin","access_level":3}',
    "level text": '{"user_id":"admin","access_level":"2"}',
    "level big": '{"user_id":"admin","access_level":18446744073709551618}',
    "user list": '{"user_id":["admin"],"access_level":2}',
    "no level": '{"user_id":"admin"}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_json_from_nextcloud_opens_nothing(forging, name):
    forging.reset()
    forging.know(f"hostile{len(name)}{name[0]}")
    forging.nc.broken = "json:" + HOSTILE[name]
    assert forging.status("/public", app=f"hostile{len(name)}{name[0]}") == 503
    user = basic_field("alice", PASSWORDS["alice"])
    assert forging.status("/admin", user) == 401
    assert forging.status("/user", user) == 401
    assert forging.origin.requests == []
    forging.nc.broken = None
    assert forging.status("/user", user) == 200


def test_a_user_without_a_name_or_without_rights_is_nobody(forging):
    user = basic_field("alice", PASSWORDS["alice"])
    for body in ('{"user_id":"","access_level":2}', '{"user_id":"admin","access_level":0}'):
        forging.reset()
        forging.nc.broken = "json:" + body
        assert forging.status("/user", user) == 403
        assert forging.status("/public", user) == 200
        assert arrived(forging) == TRUE


def test_unknown_apps_by_the_thousand_do_not_stay_in_memory(site):
    world = World(site, {"HP_EXAPP_UNKNOWN_LIFETIME": "60s", "HP_LOG_LEVEL": "warning"})
    assert world.status("/public") == 200
    before = world.hub.resident_kib()
    with RawClient(world.hub.http) as client:
        for number in range(6000):
            client.get(f"/exapps/random{number}/x", at(new_address()))
            assert client.response().status == 404
    assert world.status("/public") == 200
    wait_for(lambda: world.hub.open_files() < 120, what="connections to end")
    if not program_is_sanitized():
        assert world.hub.resident_kib() - before < 6 * 1024
