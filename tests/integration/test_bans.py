"""Which failures count, and what becomes of an address that has too many (section 3, point 2)."""
import time

import pytest

from harness import (RawClient, app, appapi_fields, at, basic_field, control, fetch, free_port,
                     outcome, response, session_cookie, wait_for)
from harness.appapi import CONTROL
from harness.credentials import PASSWORDS, SHARED_KEY, WRONG_KEY, WRONG_PASSWORD
from harness.world import ROUTES, World, new_address

COUNT = 3
ICON = "/favicon.ico"
WORLD = {"HP_BLACKLIST_COUNT": str(COUNT)}
KEY = b"harp-shared-key: " + SHARED_KEY.encode()
BAD_KEY = b"harp-shared-key: " + WRONG_KEY.encode()
USER = basic_field("alice", PASSWORDS["alice"])


def miss(world, address):
    """Something that counts, certainly: no appid."""
    assert world.ask("/exapps/", address=address).status == 404


def banned(world, address):
    """Whether that address is closed out of what everyone may have."""
    reply = world.get("/public", address=address)
    assert reply is None or reply.status == 200, reply
    return reply is None


def assert_counts_once(world, attempt):
    """With COUNT 3: one failure and the attempt do not ban, another failure does."""
    address = new_address()
    miss(world, address)
    attempt(address)
    assert not banned(world, address), "it counted more than once"
    miss(world, address)
    assert banned(world, address), "it did not count"


def assert_does_not_count(world, attempt):
    """Two failures and any number of attempts do not ban."""
    address = new_address()
    miss(world, address)
    miss(world, address)
    for _ in range(3):
        attempt(address)
    assert not banned(world, address), "it counted"
    miss(world, address)
    assert banned(world, address)


def answers(world, status, path, *fields, **kwargs):
    """An attempt that must be answered like that (None: closed)."""
    def attempt(address):
        target = path if path.startswith("/exapps") or path in ("/", ICON) else f"/exapps/sample{path}"
        reply = world.ask(target, *fields, address=address, **kwargs)
        assert (reply.status if reply else None) == status, reply
    return attempt


WRONG_CALL = appapi_fields(key=WRONG_KEY)
COUNTED = {
    "no appid": (404, "/exapps"),
    "not below /exapps": (404, "/"),
    "an unknown app": (404, "/exapps/unknown/x"),
    "a dot segment": (None, "/public/../x"),
    "an encoded dot segment": (None, "/public/%2e%2e/x"),
    "a doubly encoded dot segment": (None, "/public/%252e%252e/x"),
    "a backslash": (None, "/public\\x"),
    "NUL": (None, "/public/%00"),
    "a dot segment in a control path": (None, "/exapps/app_api/../x"),
    "heartbeat": (None, "/heartbeat"),
    "init": (None, "/%69nit"),
    "enabled": (None, "//enabled"),
    "an AppAPI call with a wrong key": (None, "/public", *WRONG_CALL),
    "an AppAPI heartbeat with a wrong key": (None, "/heartbeat", *WRONG_CALL),
    "not enough rights, anonymous": (403, "/user"),
    "not enough rights, as a user": (403, "/admin", USER),
    "not enough rights, with a session": (403, "/admin", session_cookie("bob")),
    "a wrong password": (403, "/user", basic_field("alice", WRONG_PASSWORD)),
    "no route": (404, "/nosuch"),
    "a control call without a key": (401, CONTROL + "/info"),
    "a control call with a wrong key": (401, CONTROL + "/info", BAD_KEY),
    "an unknown control call without a key": (401, CONTROL + "/nosuch"),
}


@pytest.mark.parametrize("case", COUNTED)
def test_counts_once(world, case):
    assert_counts_once(world, answers(world, *COUNTED[case]))


NOT_COUNTED = {
    "what browsers ask for by themselves": (404, ICON),
    "a public request": (200, "/public"),
    "a login": (200, "/user", USER),
    "a wrong password on a public route": (200, "/public", basic_field("alice", WRONG_PASSWORD)),
    "a control call": (200, CONTROL + "/heartbeat", KEY),
    "an unknown control call with the key": (404, CONTROL + "/nosuch", KEY),
    "a wrong method with the key": (405, CONTROL + "/exapp_storage/x", KEY),
    "a record to be deleted that is not there": (404, CONTROL + "/exapp_storage/none", KEY),
}


@pytest.mark.parametrize("case", NOT_COUNTED)
def test_does_not_count(world, case):
    assert_does_not_count(world, answers(
        world, *NOT_COUNTED[case],
        method="DELETE" if "deleted" in case else "GET"))


def test_bad_control_bodies_with_the_key_do_not_count(world):
    assert_does_not_count(world, answers(world, 400, CONTROL + "/exapp_storage/bad", KEY,
                                         method="POST", body=b"{"))


def test_appapi_calls_with_the_key_do_not_count_even_if_refused(world):
    assert_does_not_count(world, answers(world, 200, "/heartbeat", *appapi_fields()))
    assert_does_not_count(world, answers(world, 403, "/exapps/nowhere/heartbeat",
                                         *appapi_fields("nowhere", port=22)))


@pytest.mark.parametrize("mode", ["close", "status:503", "status:500", "html"])
def test_nextcloud_unusable_does_not_count(world, mode):
    assert not banned(world, new_address())

    def attempt(address):
        world.nc.broken = mode
        assert world.status("/user", USER, address=address) == 401
        assert world.status("/public", app="unheard", address=address) == 503
        world.nc.broken = None

    assert_does_not_count(world, attempt)


def test_an_exapp_that_is_away_does_not_count(world):
    world.know("away", port=free_port())
    assert_does_not_count(world, answers(world, 503, "/exapps/away/public"))


def test_answers_in_the_routes_list_count_and_others_do_not(world):
    """The list is 401 and 403; of another route the same answers are the ExApp's business."""
    for code in (401, 403):
        world.origin.answer = lambda _c, request, code=code: response(
            b"no", b"%d No" % code if "/bad" in request.target else b"200 OK")
        assert_counts_once(world, answers(world, code, "/guarded/bad"))
        assert_does_not_count(world, answers(world, code, "/public/bad"))
        assert_does_not_count(world, answers(world, 200, "/guarded/good"))
    world.origin.answer = lambda _c, request: response(
        b"no", b"404 No" if "/bad" in request.target else b"200 OK")
    assert_does_not_count(world, answers(world, 404, "/guarded/bad"))


# ---- the ban ----

def ban(world, address):
    for _ in range(COUNT):
        miss(world, address)
    assert banned(world, address)


@pytest.mark.parametrize("target, fields", [
    ("/exapps/sample/public", ()), ("/exapps/sample/user", (USER,)), ("/exapps/unknown/x", ()),
    ("/", ()), ("/exapps/app_api/info", ()), ("/exapps/app_api/info", (BAD_KEY,)),
    ("/exapps/sample/heartbeat", WRONG_CALL)])
def test_a_banned_address_is_closed_without_an_answer_whatever_it_asks(world, target, fields):
    address = new_address()
    ban(world, address)
    world.nc.forget()
    world.origin.requests.clear()
    assert world.ask(target, *fields, address=address) is None
    assert world.nc.calls == [] and world.origin.requests == []


@pytest.mark.parametrize("head", [b"GET /x\r\n\r\n", b"garbage\r\n\r\n", b"TRACE /exapps/sample/public "
                                  b"HTTP/1.1\r\nHost: h\r\n\r\n"])
def test_a_banned_socket_gets_no_answer_to_what_is_no_request_either(site, head):
    world = World(site, {**WORLD, "HP_TRUSTED_PROXY_IPS": ""})
    with RawClient(world.hub.http) as client:
        client.send(head)
        assert client.response().status in (400, 501)
    for _ in range(COUNT):
        assert fetch(world.hub.http, "/exapps/").status == 404
    with RawClient(world.hub.http) as client:
        client.send(head)
        client.assert_closed()


def test_the_right_key_is_never_refused(world):
    address = new_address()
    ban(world, address)
    for path, fields in (("/exapps/app_api/heartbeat", (KEY,)),
                         ("/exapps/app_api/info", (KEY,)),
                         ("/exapps/sample/heartbeat", appapi_fields()),
                         ("/exapps/sample/admin", appapi_fields())):
        assert world.ask(path, *fields, address=address).status == 200
    assert banned(world, address)


def test_other_addresses_are_served(world):
    ban(world, new_address())
    assert not banned(world, new_address())


def test_ipv6_counts_by_64(world):
    for last in (1, 2, 3):
        miss(world, f"2001:db8:1:2::{last}")
    assert banned(world, "2001:db8:1:2:ffff::9")
    assert not banned(world, "2001:db8:1:3::1")


def test_a_ban_ends_a_kept_connection_at_its_next_request(world):
    address = new_address()
    with RawClient(world.hub.http) as client:
        assert client.ask("/exapps/sample/public", at(address)).status == 200
        ban(world, address)
        client.get("/exapps/sample/public", at(address))
        client.assert_closed(5)


def test_a_ban_is_logged_with_the_address(world):
    address = new_address()
    ban(world, address)
    world.hub.wait_line(address)


def test_behind_no_trusted_proxy_the_socket_is_banned_whatever_it_says(site):
    hub = site.hub(app(port=site.origin().port),
                   settings={"HP_BLACKLIST_COUNT": "3", "HP_TRUSTED_PROXY_IPS": ""})
    for number in range(3):
        assert fetch(hub.http, "/exapps/", at(f"203.0.113.{number}")).status == 404
    assert outcome(hub.http, "/exapps/sample/x", at("203.0.113.99")) is None
    assert control(hub, "GET", "/heartbeat").status == 200


def test_count_is_10_by_default(site):
    world = World(site, {"HP_BLACKLIST_COUNT": "10"}, routes=ROUTES)
    address = new_address()
    for _ in range(9):
        miss(world, address)
    assert not banned(world, address)
    miss(world, address)
    assert banned(world, address)


def test_the_window_slides_and_a_ban_ends_with_it(site):
    world = World(site, {"HP_BLACKLIST_COUNT": "3", "HP_BLACKLIST_WINDOW": "1s"})
    address, spread = new_address(), new_address()
    miss(world, spread)
    miss(world, spread)
    began = time.monotonic()
    for _ in range(3):
        miss(world, address)
    assert banned(world, address)
    # Asking meanwhile does not prolong the ban.
    wait_for(lambda: not banned(world, address), 5, "the end of the ban", pause=0.05)
    assert 0.7 < time.monotonic() - began < 4
    # The failures of the other address are as old: two more are two, not four.
    miss(world, spread)
    miss(world, spread)
    assert not banned(world, spread)
    miss(world, spread)
    assert banned(world, spread)


def test_failures_that_come_slowly_never_ban(site):
    """No more than two of them lie in any window of one second."""
    world = World(site, {"HP_BLACKLIST_COUNT": "3", "HP_BLACKLIST_WINDOW": "1s"})
    address = new_address()
    for _ in range(4):
        began = time.monotonic()
        miss(world, address)
        assert not banned(world, address)
        wait_for(lambda: time.monotonic() - began > 0.6, what="time to pass", pause=0.05)
