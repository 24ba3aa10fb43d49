"""The stand-in for Nextcloud itself, asked by plain clients: what later tests believe of it."""
import gzip
import json
import pathlib
import signal
import socket
import subprocess
import threading
import time

import pytest

from harness import (Nextcloud, RawClient, basic_field, bearer_field, fetch, free_port,
                     session_cookie)
from harness.credentials import (APP_PASSWORDS, GARBAGE_BEARER, NEW_COOKIE, PASSWORDS, SHARED_KEY,
                                 WRONG_KEY, WRONG_PASSWORD)
from harness.programs import PYTHON

DATA = pathlib.Path(__file__).parents[1] / "data/appapi-contract/nextcloud-answers.json"
ANSWERS = {entry["case"]: entry for entry in json.loads(DATA.read_text())}
ALICE = basic_field("alice", PASSWORDS["alice"])
BEARER, BEARER_USER = next(iter(APP_PASSWORDS.items()))

# case: (kind, appId, key, fields); what is left out needs another set-up and has its own test
CASES = {
    "exapp-meta known app, right key": ("exapp-meta", "testapp", SHARED_KEY, ()),
    "exapp-meta known app, wrong key": ("exapp-meta", "testapp", WRONG_KEY, ()),
    "exapp-meta known app, no key": ("exapp-meta", "testapp", None, ()),
    "exapp-meta unknown app, right key": ("exapp-meta", "unknown", SHARED_KEY, ()),
    "exapp-meta TESTAPP (case)": ("exapp-meta", "TESTAPP", SHARED_KEY, ()),
    "exapp-meta without appId": ("exapp-meta", None, SHARED_KEY, ()),
    "exapp-meta disabled app": ("exapp-meta", "testapp", SHARED_KEY, ()),
    "exapp-meta right key after these": ("exapp-meta", "testapp", SHARED_KEY, ()),
    "user-info anonymous": ("user-info", "testapp", SHARED_KEY, ()),
    "user-info unknown app": ("user-info", "unknown", SHARED_KEY, ()),
    "user-info wrong key": ("user-info", "testapp", WRONG_KEY, ()),
    "user-info basic auth user": ("user-info", "testapp", SHARED_KEY, (ALICE,)),
    "user-info basic auth admin": ("user-info", "testapp", SHARED_KEY,
                                   (basic_field("admin", PASSWORDS["admin"]),)),
    "user-info basic auth wrong password": ("user-info", "testapp", SHARED_KEY,
                                            (basic_field("alice", WRONG_PASSWORD),)),
    "user-info basic auth unknown user": ("user-info", "testapp", SHARED_KEY,
                                          (basic_field("nobody", WRONG_PASSWORD),)),
    "user-info disabled user, basic auth": ("user-info", "testapp", SHARED_KEY,
                                            (basic_field("carol", PASSWORDS["carol"]),)),
    "user-info basic auth with two-factor enforced": (
        "user-info", "testapp", SHARED_KEY, (basic_field("tessa", PASSWORDS["tessa"]),)),
    "user-info bearer garbage": ("user-info", "testapp", SHARED_KEY,
                                 (bearer_field(GARBAGE_BEARER),)),
    "user-info Authorization: garbage": ("user-info", "testapp", SHARED_KEY,
                                         (b"Authorization: garbage",)),
    "user-info cookie session": ("user-info", "testapp", SHARED_KEY, (session_cookie("alice"),)),
    "user-info cookie session without the sameSite cookies": (
        "user-info", "testapp", SHARED_KEY,
        (session_cookie("alice", without=("nc_sameSiteCookielax", "nc_sameSiteCookiestrict")),)),
    "user-info AppAPI auth headers of the ExApp (as alice)": (
        "user-info", "testapp", SHARED_KEY, (b"EX-APP-ID: testapp", b"EX-APP-VERSION: 1.0.0",
                                             b"AUTHORIZATION-APP-API: YWxpY2U6eA==")),
    "user-info disabled app": ("user-info", "testapp", SHARED_KEY, (ALICE,)),
}


@pytest.fixture
def nc(site):
    nc = site.nextcloud()
    nc.apps["testapp"] = ANSWERS["exapp-meta known app, right key"]["body"]
    return nc


def ask(nc, kind="user-info", app="testapp", *fields, key=SHARED_KEY):
    query = f"?appId={app}" if app else ""
    lines = [b"harp-shared-key: " + key.encode()] if key else []
    return fetch(("127.0.0.1", nc.port), f"{nc.prefix}/index.php/apps/app_api/harp/{kind}{query}",
                 *lines, *fields)


@pytest.mark.parametrize("case", CASES)
def test_answers_as_nextcloud_did(nc, case):
    kind, app, key, fields = CASES[case]
    recorded = ANSWERS[case]
    reply = ask(nc, kind, app, *fields, key=key)
    assert reply.status == recorded["status"]
    assert reply.head.get("Content-Type") == recorded["content_type"]
    assert len(reply.head.all("Set-Cookie")) == recorded["sets_cookies"]
    body = json.loads(reply.body) if recorded["body"] != "" else reply.text
    assert body == recorded["body"]


@pytest.mark.parametrize("kind", ["exapp-meta", "user-info"])
def test_maintenance_is_a_503_page(nc, kind):
    nc.maintenance = True
    reply = ask(nc, kind)
    assert (reply.status, reply.text[:15]) == (503, "<!DOCTYPE html>")
    recorded = ANSWERS[f"{kind} in maintenance mode"]
    assert len(reply.head.all("Set-Cookie")) == recorded["sets_cookies"]
    nc.maintenance = False
    assert ask(nc, kind).status == 200


def test_its_page_for_monitoring_needs_no_key_and_tells_of_maintenance(nc):
    for maintenance in (False, True):
        nc.maintenance = maintenance
        reply = fetch(("127.0.0.1", nc.port), f"{nc.prefix}/status.php")
        answer = json.loads(reply.body)
        assert (reply.status, answer["installed"], answer["maintenance"]) == (200, True, maintenance)


def test_passphrase_alone_is_anonymous_and_bearer_is_its_user(nc):
    cookie = session_cookie("alice", without=("nc_sameSiteCookielax", "nc_sameSiteCookiestrict",
                                              f"oc{nc.instance}"))
    assert json.loads(ask(nc, "user-info", "testapp", cookie).body)["user_id"] == ""
    reply = ask(nc, "user-info", "testapp", bearer_field(BEARER))
    assert json.loads(reply.body) == {"user_id": BEARER_USER, "access_level": 1}
    reply = ask(nc, "user-info", "testapp", basic_field(BEARER_USER, BEARER))
    assert json.loads(reply.body)["user_id"] == BEARER_USER


def test_changes_at_run_time_count_at_once(nc):
    assert json.loads(ask(nc, "user-info", "testapp", session_cookie()).body)["user_id"] == "alice"
    nc.logout("alice")
    assert json.loads(ask(nc, "user-info", "testapp", session_cookie()).body)["user_id"] == ""
    nc.revoke_app_password(BEARER)
    assert json.loads(ask(nc, "user-info", "testapp", bearer_field(BEARER)).body)["user_id"] == ""
    nc.remove_user("alice")
    assert ask(nc, "user-info", "testapp", ALICE).status == 401
    nc.add_app("later")
    assert ask(nc, "exapp-meta", "later").status == 200
    nc.remove_app("later")
    assert ask(nc, "exapp-meta", "later").status == 401


def test_calls_are_told_apart_and_their_fields_kept_in_order(nc):
    ask(nc, "exapp-meta", "testapp", b"X-B: 2", b"x-a: 1", b"X-B: 3")
    ask(nc, "user-info", "other")
    call, = nc.asked("exapp-meta")
    assert [pair for pair in call.fields if pair[0].lower() in ("x-a", "x-b")] == [
        ("X-B", "2"), ("x-a", "1"), ("X-B", "3")]
    assert [call.app for call in nc.asked("user-info")] == ["other"]
    assert nc.asked("user-info", "testapp") == []
    assert len(nc.calls) == 2


def test_set_cookie_values_tell_themselves_and_answers_are_compressed_on_request(nc):
    reply = ask(nc, "user-info", "testapp", b"Accept-Encoding: br, gzip")
    assert any(NEW_COOKIE in value for value in reply.head.all("Set-Cookie"))
    assert reply.head.get("Content-Encoding") == "gzip"
    assert json.loads(gzip.decompress(reply.body))["user_id"] == ""


def test_held_calls_wait_for_the_gate_and_count_as_at_once(nc):
    replies = []
    with nc.hold():
        threads = [threading.Thread(target=lambda: replies.append(ask(nc).status))
                   for _ in range(5)]
        for thread in threads:
            thread.start()
        nc.wait_calls(5, "user-info")
        assert replies == []
    for thread in threads:
        thread.join(5)
    assert replies == [200] * 5 and nc.most_at_once == 5


def test_delay_is_a_number_or_a_function_of_the_call(nc):
    nc.delay = lambda call: 0.2 if call.kind == "user-info" else 0
    began = time.monotonic()
    ask(nc, "exapp-meta")
    middle = time.monotonic()
    ask(nc)
    assert middle - began < 0.2 <= time.monotonic() - middle


def test_each_way_to_be_broken(nc):
    nc.broken = "close"
    with RawClient(("127.0.0.1", nc.port)) as client:
        client.get("/index.php/apps/app_api/harp/user-info?appId=testapp")
        client.assert_closed(5)
    nc.broken = "cut"
    with pytest.raises(EOFError):
        ask(nc)
    nc.broken = "garbage"
    with RawClient(("127.0.0.1", nc.port)) as client:
        client.get("/index.php/apps/app_api/harp/user-info?appId=testapp")
        assert not client.rest(5).startswith(b"HTTP/")
    nc.broken = {"user-info": "html"}
    assert (ask(nc).text[:5], ask(nc, "exapp-meta").text[:2]) == ("<!DOC", '{"')
    nc.broken = "huge"
    assert len(ask(nc).body) > 2 << 20
    nc.broken = "status:502"
    assert ask(nc).status == 502
    nc.broken = 'json:{"a": 1}'
    assert json.loads(ask(nc).body) == {"a": 1}
    nc.broken = lambda call: "status:500" if call.app == "testapp" else None
    assert (ask(nc).status, ask(nc, "user-info", "x").status) == (500, 401)


def test_redirect_points_to_a_listener_that_would_record_who_follows(nc):
    nc.broken = "redirect"
    reply = ask(nc)
    assert reply.status == 302
    host, port = reply.head.get("Location").split("/")[2].split(":")
    assert nc.elsewhere.requests == []
    fetch((host, int(port)), "/")
    assert len(nc.elsewhere.requests) == 1


def test_instance_below_a_prefix():
    with Nextcloud(prefix="/cloud", apps=["sample"]) as nc:
        assert nc.url.endswith("/cloud")
        assert ask(nc, "exapp-meta", "sample").status == 200
        nc.prefix = "/other"
        assert nc.asked()[0].target.startswith("/cloud/index.php/apps/app_api/harp/")


def test_as_a_program_it_serves_100_kept_connections_and_ends_with_0_on_sigterm():
    port = free_port()
    script = pathlib.Path(__file__).parent / "harness/nextcloud.py"
    child = subprocess.Popen(
        [PYTHON, script, "--listen", f"127.0.0.1:{port}", "--key", SHARED_KEY, "--app", "sample",
         "--app", "second", "--app-port", "23010", "--route", "1:^/user", "--route", "0:^/.*",
         "--user", "dora:dora-pass:2", "--delay-ms", "20"], stdout=subprocess.PIPE, text=True)
    try:
        assert "ready" in child.stdout.readline()
        clients = [RawClient(("127.0.0.1", port)) for _ in range(100)]
        for _ in range(2):
            for client in clients:
                client.get("/index.php/apps/app_api/harp/exapp-meta?appId=second",
                           b"harp-shared-key: " + SHARED_KEY.encode())
            for client in clients:
                body = json.loads(client.response().body)
                assert (body["port"], len(body["routes"])) == (23011, 2)
        for client in clients:
            client.sock.shutdown(socket.SHUT_RDWR)
            client.close()
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
