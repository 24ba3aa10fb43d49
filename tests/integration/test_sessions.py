"""How long, and by what, the hub remembers who a client is (section 3, point 7)."""
import threading
import time

import pytest

from harness import (RawClient, at, basic_field, bearer_field, session_cookie, wait_for)
from harness.credentials import APP_PASSWORDS, PASSWORDS, SESSIONS
from harness.world import World, new_address

INFO = "user-info"
BEARER, BEARER_USER = next(iter(APP_PASSWORDS.items()))
KINDS = {"session": lambda: session_cookie("alice"),
         "basic": lambda: basic_field("alice", PASSWORDS["alice"]),
         "bearer": lambda: bearer_field(BEARER)}

# The longest that may be set: nothing that these tests see remembered has expired meanwhile.
WORLD = {"HP_SESSION_LIFETIME": "10s"}


@pytest.fixture
def known(world):
    """The world, with `sample` learned, so that all further questions are about clients. `own` is a
    cookie that only this test has: what others had remembered is about other credentials."""
    assert world.status("/public") == 200
    world.nc.forget()
    world.own = f"Cookie: test={new_address()}".encode()
    return world


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_is_looked_up_once_within_the_lifetime(known, kind):
    for _ in range(4):
        assert known.status("/user", KINDS[kind](), known.own) == 200
    assert known.questions(INFO) == 1


def test_the_exapp_is_told_the_remembered_user(known):
    for _ in range(2):
        assert known.status("/user", session_cookie("bob"), known.own) == 200
    values = [request.head.get("AUTHORIZATION-APP-API") for request in known.origin.requests]
    assert values[-1] == values[-2]
    assert known.questions(INFO) == 1


def test_the_remembered_level_counts_on_each_route(known):
    assert known.status("/user", session_cookie("bob"), known.own) == 200
    assert known.status("/admin", session_cookie("bob"), known.own) == 403
    assert known.status("/public", session_cookie("bob"), known.own) == 200
    assert known.questions(INFO) == 1


def test_the_clients_address_does_not_matter(known):
    """Phones change theirs; each request here comes from another address anyway."""
    assert known.status("/user", session_cookie(), known.own, address="203.0.113.1") == 200
    assert known.status("/user", session_cookie(), known.own, address="203.0.113.2") == 200
    assert known.questions(INFO) == 1


def test_the_passphrase_alone_is_not_the_session(known):
    """HaRP remembered by that cookie, and let anyone in who had it."""
    assert known.status("/user", session_cookie()) == 200
    alone = f"Cookie: oc_sessionPassphrase={SESSIONS['alice'][0]}".encode()
    assert known.status("/user", alone) == 403


@pytest.mark.parametrize("other", [
    session_cookie("alice", without=("nc_sameSiteCookielax",)),
    session_cookie("alice").replace(SESSIONS["alice"][1].encode(), b"another-session"),
    session_cookie("alice").replace(SESSIONS["alice"][0].encode(), b"another-passphrase"),
    session_cookie("alice") + b"; more=1"])
def test_other_cookies_are_another_client(known, other):
    assert known.status("/user", session_cookie(), known.own) == 200
    known.status("/user", other, known.own)
    assert known.questions(INFO) == 2


def test_cookies_in_several_fields_all_count(known):
    assert known.status("/user", session_cookie(), known.own, b"Cookie: a=1") == 200
    assert known.status("/user", session_cookie(), known.own, b"Cookie: a=2") == 200
    assert known.status("/user", session_cookie(), known.own) == 200
    assert known.questions(INFO) == 3


def test_cookies_and_authorization_count_together(known):
    basic = basic_field("admin", PASSWORDS["admin"])
    assert known.status("/user", session_cookie("bob"), known.own) == 200
    assert known.status("/user", session_cookie("bob"), known.own, basic) == 200
    assert known.status("/admin", basic, known.own) == 200
    assert known.questions(INFO) == 3


def test_credentials_do_not_run_into_each_other(known):
    """What belongs to one cookie must not be read as another's or as the Authorization's."""
    own = known.own.decode().partition(": ")[2]
    for lines in ([f"Cookie: {own}; oc_sessionPassphrase=ab", "Authorization: c"],
                  [f"Cookie: {own}; oc_sessionPassphrase=a", "Authorization: bc"],
                  [f"Cookie: {own}; oc_sessionPassphrase=abc"],
                  [f"Cookie: {own}; oc_sessionPassphrase=ab", "Cookie: c"],
                  [f"Cookie: {own}; oc_sessionPassphrase=ab; Authorization: c"]):
        known.nc.broken = 'json:{"user_id": "alice", "access_level": 1}'
        assert known.status("/user", *[line.encode() for line in lines]) == 200
    assert known.questions(INFO) == 5


def test_a_wrong_password_is_not_let_in_by_a_right_one_before(known):
    assert known.status("/user", basic_field("alice", PASSWORDS["alice"]), known.own) == 200
    assert known.status("/user", basic_field("alice", PASSWORDS["alice"][:-1]), known.own) == 403


def test_an_anonymous_answer_is_not_remembered(known):
    """Who logs in has the same cookies as before, and must not wait."""
    cookie = b"Cookie: oc_sessionPassphrase=newcomer; nc_sameSiteCookielax=true; " \
             b"nc_sameSiteCookiestrict=true; oc" + known.nc.instance.encode() + b"=new-session"
    assert known.status("/user", cookie) == 403
    assert known.status("/user", cookie) == 403
    assert known.questions(INFO) == 2
    known.nc.add_session("alice", "newcomer", "new-session")
    assert known.status("/user", cookie) == 200


@pytest.mark.parametrize("mode", ["status:401", "status:302"])
def test_a_refusal_is_not_remembered(known, mode):
    known.nc.broken = {INFO: mode}
    assert known.status("/user", session_cookie(), known.own) == 403
    known.nc.broken = None
    assert known.status("/user", session_cookie(), known.own) == 200


@pytest.mark.parametrize("mode", ["status:503", "close", "html"])
def test_no_answer_is_not_remembered(known, mode):
    known.nc.broken = {INFO: mode}
    assert known.status("/user", session_cookie(), known.own) == 401
    known.nc.broken = None
    assert known.status("/user", session_cookie(), known.own) == 200


def test_who_is_remembered_gets_in_while_nextcloud_is_away(known):
    assert known.status("/user", session_cookie(), known.own) == 200
    known.nc.broken = "close"
    assert known.status("/user", session_cookie(), known.own) == 200
    assert known.status("/user", session_cookie("bob"), known.own) == 401


def test_a_logout_is_seen_after_the_lifetime(site):
    world = World(site, {"HP_SESSION_LIFETIME": "400ms"})
    assert world.status("/user", session_cookie()) == 200
    world.nc.logout("alice")
    began = time.monotonic()
    wait_for(lambda: world.status("/user", session_cookie()) == 403, 5, "the logout to be seen")
    assert time.monotonic() - began < 3


def test_using_it_does_not_extend_the_lifetime(site):
    """Asked again while requests never pause for as long as the lifetime."""
    world = World(site, {"HP_SESSION_LIFETIME": "300ms"})
    assert world.status("/public") == 200

    def asked_again():
        assert world.status("/user", session_cookie()) == 200
        return world.questions(INFO) >= 3

    wait_for(asked_again, 5, "a third look-up")


def test_lifetime_0_asks_every_time(site):
    world = World(site, {"HP_SESSION_LIFETIME": "0"})
    for _ in range(3):
        assert world.status("/user", session_cookie()) == 200
    assert world.questions(INFO) == 3


def test_many_clients_are_remembered_each_for_itself(known):
    known.nc.broken = {INFO: 'json:{"user_id": "alice", "access_level": 1}'}
    for _ in range(2):
        with RawClient(known.hub.http) as client:
            for number in range(100):
                client.get("/exapps/sample/user", at(new_address()), known.own,
                           f"Authorization: number {number}".encode())
                assert client.response().status == 200
    assert known.questions(INFO) == 100


def test_no_more_clients_are_remembered_than_allowed(site):
    world = World(site, {"HP_SESSION_LIFETIME": "10s", "HP_MAX_SESSIONS": "2"})
    for user in ("alice", "bob", "admin"):
        assert world.status("/user", session_cookie(user)) == 200
    assert world.questions(INFO) == 3
    assert world.status("/user", session_cookie("admin")) == 200
    assert world.questions(INFO) == 3
    assert world.status("/user", session_cookie("alice")) == 200
    assert world.questions(INFO) == 4


def test_requests_at_once_of_one_client_all_get_their_answer(known):
    results = []
    with known.nc.hold():
        threads = [threading.Thread(target=lambda: results.append(
            known.status("/user", session_cookie(), known.own))) for _ in range(10)]
        for thread in threads:
            thread.start()
        known.nc.wait_calls(1, INFO)
    for thread in threads:
        thread.join(10)
    assert results == [200] * 10
    assert known.questions(INFO) <= 10
