"""What the hub asks Nextcloud, and what it makes of every kind of answer (section 4)."""
import socket
import threading
import time
import zlib

import pytest

from harness import (RawClient, RawOrigin, assert_hubs_own, at, basic_field, bearer_field,
                     free_port, leaked, outcome, session_cookie, wait_for)
from harness.credentials import APP_PASSWORDS, NEW_COOKIE, PASSWORDS, SHARED_KEY
from harness.programs import hub_environment, run_program
from harness.world import World, new_address

USER = basic_field("alice", PASSWORDS["alice"])
META, INFO = "exapp-meta", "user-info"
UNUSABLE = ["close", "cut", "garbage", "html", "huge", "status:500", "status:502", "status:503",
            "json:", "json:[]", "json:{", "json:null", 'json:"text"', "json:{}"]


def in_parallel(count, function):
    """The results of that many calls at once; function gets the number of its call."""
    results = [None] * count

    def run(number):
        results[number] = function(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    return results, threads


def joined(threads):
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive(), "a request was never answered"


# ---- how it asks ----

def test_exapp_meta_is_asked_with_the_key_and_nothing_of_the_clients(world):
    world.know("asked")
    assert world.status("/public", USER, session_cookie(), b"X-Own: 1", app="asked") == 200
    call, = world.nc.asked(META)
    assert (call.method, call.target) == (
        "GET", "/index.php/apps/app_api/harp/exapp-meta?appId=asked")
    assert call.head.get("harp-shared-key") == SHARED_KEY
    for name in ("Authorization", "Cookie", "X-Own", "X-Forwarded-For"):
        assert not call.head.has(name)


def test_user_info_is_asked_with_the_key_and_the_clients_fields(world):
    address = new_address()
    assert world.status("/user", USER, session_cookie("bob"), b"X-Own: 1", b"Accept-Language: de",
                        b"X-OWN: 2", b"Origin: https://x.test", address=address) == 200
    call, = world.nc.asked(INFO)
    assert (call.method, call.target) == (
        "GET", "/index.php/apps/app_api/harp/user-info?appId=sample")
    assert call.head.get("harp-shared-key") == SHARED_KEY
    assert call.head.get("Authorization") == USER.decode().partition(": ")[2]
    assert call.head.get("Cookie") == session_cookie("bob").decode().partition(": ")[2]
    assert call.head.all("X-Own") == ["1", "2"]
    assert call.head.get("Accept-Language") == "de"
    assert call.head.get("X-Forwarded-For") == address


@pytest.mark.parametrize("field", [
    b"Connection: x-named, keep-alive\r\nX-Named: 1", b"Expect: 100-continue", b"TE: trailers",
    b"Upgrade: h2c\r\nConnection: Upgrade", b"Trailer: X-T", b"Keep-Alive: timeout=5",
    b"harp-shared-key: forged", b"Harp_Shared_Key: forged"])
def test_user_info_leaves_out_what_is_of_the_connection_or_the_hubs(world, field):
    with RawClient(world.hub.http) as client:
        client.get("/exapps/sample/user", at(new_address()), USER, field)
        assert client.response().status == 200
    call, = world.nc.asked(INFO)
    for name in ("X-Named", "Expect", "TE", "Upgrade", "Trailer", "Transfer-Encoding"):
        assert not call.head.has(name), call.fields
    assert call.head.get("harp-shared-key") == SHARED_KEY
    assert [name for name, value in call.fields if value == "forged"] == []
    assert call.head.get("Host") == world.nc.url.rpartition("/")[2]


def test_bodies_are_not_announced_to_nextcloud(world):
    assert world.status("/user", USER, method="POST", body=b"abc") == 200
    assert world.last().body == b"abc"
    with RawClient(world.hub.http) as client:
        client.get("/exapps/sample/user", at(new_address()), USER, b"Transfer-Encoding: chunked",
                   method="POST")
        client.send(b"3\r\nabc\r\n0\r\n\r\n")
        assert client.response().status == 200
    for call in world.nc.asked(INFO):
        assert not call.head.has("Transfer-Encoding")
        assert call.head.get("Content-Length", "0") == "0"


def test_compressed_answers_are_understood_if_asked_for(world):
    assert world.status("/user", USER, b"Accept-Encoding: br, zstd, gzip") == 200
    assert world.last().head.get("Accept-Encoding") == "br, zstd, gzip"


@pytest.mark.parametrize("suffix", ["", "/", "/index.php", "/index.php/"])
def test_the_instances_address_may_have_a_path_and_end_as_people_write_it(site, suffix):
    world = World(site, prefix="/cloud")
    hub = site.hub(settings={"NC_INSTANCE_URL": world.nc.url + suffix})
    assert outcome(hub.http, "/exapps/sample/public").status == 200
    assert world.nc.calls[-1].target == "/cloud/index.php/apps/app_api/harp/exapp-meta?appId=sample"


def test_without_declared_apps_the_instances_address_is_required(tmp_path):
    config = tmp_path / "hub.cfg"
    config.write_text("")
    ports = {name: free_port() for name in ("http", "https", "frp", "admin")}
    result = run_program("harp-hub", "--config", config, "--check-config",
                         env=hub_environment(tmp_path, tmp_path / "certs", ports))
    assert result.returncode == 1 and "NC_INSTANCE_URL" in result.stderr


def test_no_cookie_of_nextclouds_is_kept_sent_back_or_passed_on(world):
    world.know("cookies")
    for fields in ((), (USER,), (session_cookie(),), (USER,)):
        reply = world.get("/public", *fields, app="cookies")
        assert reply.status == 200 and not reply.head.has("Set-Cookie")
    assert len(world.nc.calls) == 4
    for head in [call.head for call in world.nc.calls] + [r.head for r in world.origin.requests]:
        assert NEW_COOKIE.encode() not in head.raw
    assert not world.nc.asked(META)[0].head.has("Cookie")


def test_connections_to_nextcloud_are_used_again(world):
    assert world.status("/user", USER) == 200
    before = len(world.nc.connections)
    for _ in range(5):
        assert world.status("/user", USER) == 200
    assert len(world.nc.connections) == before


def test_the_key_is_not_logged_nor_any_credential(site):
    world = World(site, {"HP_LOG_LEVEL": "debug"})
    token = next(iter(APP_PASSWORDS))
    for fields in ((USER,), (session_cookie(),), (bearer_field(token),), ()):
        world.status("/user", *fields)
        world.nc.broken = "status:500"
        world.status("/user", *fields)
        world.nc.broken = None
    assert leaked(world.hub.output()) == []


# ---- exapp-meta: remembering ----

def test_a_known_app_is_asked_for_once(world):
    world.know("once")
    for _ in range(5):
        assert world.status("/public", app="once") == 200
    assert world.questions(META, "once") == 1


def test_a_learned_app_expires_and_is_asked_for_again(site):
    world = World(site, {"HP_EXAPP_LIFETIME": "300ms"})
    assert world.status("/public") == 200
    world.know("sample", version="2.0.0")
    wait_for(lambda: world.status("/public") == 200
             and world.last().head.get("EX-APP-VERSION") == "2.0.0", 5, "the new version")
    world.nc.remove_app("sample")
    wait_for(lambda: world.status("/public") == 404, 5, "the app to be gone")


@pytest.mark.parametrize("mode", [None, "status:404"])
def test_an_unknown_app_is_remembered(world, mode):
    world.nc.broken = {META: mode}
    name = "unknown" if mode is None else "unknown404"
    for _ in range(4):
        assert_hubs_own(world.get("/public", app=name), 404, "404 Not Found")
    assert world.questions(META, name) == 1


def test_an_unknown_app_is_asked_for_again_after_its_time(site):
    world = World(site, {"HP_EXAPP_UNKNOWN_LIFETIME": "300ms"})
    assert world.status("/public", app="later") == 404
    world.know("later")
    wait_for(lambda: world.status("/public", app="later") == 200, 5, "the app to be found")


def test_a_disabled_app_that_nextcloud_still_tells_is_served(world):
    """Nextcloud answers 200 for it; only DELETE exapp_storage says that it is disabled."""
    world.know("disabled")
    assert world.status("/public", app="disabled") == 200


@pytest.mark.parametrize("mode", [*UNUSABLE, "status:403", "status:400", "status:429", "redirect"])
def test_no_answer_about_an_app_is_a_503_that_names_nextcloud_and_is_not_remembered(world, mode):
    name = f"app{zlib.crc32(mode.encode())}"
    world.know(name)
    world.nc.broken = {META: mode}
    assert_hubs_own(world.get("/public", app=name), 503, "503 Service Unavailable (HaRP)",
                    "hop: Nextcloud")
    # A kept connection that ends without an answer gives way to a new one, once.
    assert world.questions(META, name) in ((1, 2) if mode == "close" else (1,))
    world.nc.broken = None
    assert world.status("/public", app=name) == 200
    assert world.nc.elsewhere.requests == []


BAD_RECORDS = [{"exapp_token": None}, {"exapp_token": 5}, {"host": ""}, {"host": "a b"},
               {"host": "a/b"}, {"port": 0}, {"port": 70000}, {"port": "x"}, {"routes": "none"},
               {"routes": [5]}, {"routes": [{"url": 5, "access_level": 0}]},
               {"routes": [{"url": "^/", "access_level": 7}]}, {"exapp_version": None},
               {"exapp_token": "a\r\nX-Evil: 1"}, {"exapp_version": "1\n2"}]


@pytest.mark.parametrize("number", range(len(BAD_RECORDS)))
def test_a_record_that_makes_no_sense_is_a_503(world, number):
    name = f"senseless{number}"
    world.know(name).update(BAD_RECORDS[number])
    assert_hubs_own(world.get("/public", app=name), 503, "hop: Nextcloud")
    assert world.origin.requests == []


@pytest.mark.parametrize("app, status", [("popular", 200), ("unheard", 404)])
def test_200_requests_for_one_app_ask_once(world, app, status):
    if status == 200:
        world.know(app)
    clients = [RawClient(world.hub.http) for _ in range(200)]
    with world.nc.hold():
        for client in clients:
            client.get("/exapps/" + app + "/public", at(new_address()), b"Connection: close")
        world.nc.wait_calls(1, META, app)
    assert [client.response().status for client in clients] == [status] * 200
    for client in clients:
        client.close()
    assert world.questions(META, app) == 1


def test_requests_that_wait_for_one_answer_share_its_failure(world):
    assert world.status("/public") == 200
    clients = [RawClient(world.hub.http) for _ in range(20)]
    world.nc.broken = {META: "status:500"}
    with world.nc.hold():
        for client in clients:
            client.get("/exapps/failing/public", at(new_address()), b"Connection: close")
        world.nc.wait_calls(1, META, "failing")
        assert world.status("/public") == 200  # the hub has read what came before
    assert [client.response().status for client in clients] == [503] * 20
    for client in clients:
        client.close()
    assert world.questions(META, "failing") == 1


def test_two_apps_are_asked_for_at_once(world):
    world.know("first")
    world.know("second")
    with world.nc.hold():
        results, threads = in_parallel(2, lambda number: world.status(
            "/public", app=("first", "second")[number]))
        world.nc.wait_calls(2, META)
    joined(threads)
    assert results == [200, 200]


def test_those_who_wait_for_one_answer_may_leave(world):
    world.know("leaving")
    clients = [RawClient(world.hub.http) for _ in range(20)]
    with world.nc.hold():
        for client in clients:
            client.get("/exapps/leaving/public", at(new_address()))
        world.nc.wait_calls(1, META, "leaving")
        for client in clients[:19]:
            client.reset()
    assert clients[19].response().status == 200
    clients[19].close()
    assert world.status("/public", app="leaving") == 200
    assert world.questions(META, "leaving") == 1


# ---- user-info: answers ----

@pytest.mark.parametrize("mode", ["status:400", "status:401", "status:403", "status:404",
                                  "status:429", "status:301", "redirect"])
def test_a_4xx_or_3xx_is_anonymous_and_a_redirect_is_not_followed(world, mode):
    assert world.status("/public") == 200
    world.nc.broken = {INFO: mode}
    assert world.status("/user", USER) == 403
    assert world.status("/public", USER) == 200
    assert world.nc.elsewhere.requests == []
    assert world.questions(INFO) == 2


@pytest.mark.parametrize("mode", [
    *UNUSABLE, 'json:{"user_id": 5, "access_level": 1}', 'json:{"user_id": "alice"}',
    'json:{"user_id": "alice", "access_level": 3}', 'json:{"user_id": "alice", "access_level": -1}',
    'json:{"user_id": "a\\r\\nX: 1", "access_level": 1}x'])
def test_an_unusable_answer_about_a_client_is_a_401_that_names_nextcloud(world, mode):
    assert world.status("/public") == 200
    world.origin.requests.clear()
    world.nc.broken = {INFO: mode}
    assert_hubs_own(world.get("/user", USER), 401, "401 Unauthorized", "hop: Nextcloud")
    assert_hubs_own(world.get("/public", USER), 401, "hop: Nextcloud")
    assert world.origin.requests == []
    world.nc.broken = None
    assert world.status("/user", USER) == 200


def test_maintenance_is_a_503_for_new_apps_and_a_401_for_those_who_log_in(world):
    world.know("maintained")
    assert world.status("/public") == 200
    world.nc.maintenance = True
    assert world.status("/public", app="maintained") == 503
    assert world.status("/public") == 200
    assert world.status("/user", USER) == 401


@pytest.mark.parametrize("mode", ["cut", "garbage", "status:401", "status:500"])
def test_nothing_is_asked_twice(world, mode):
    """A wrong key would count as an attack once more."""
    assert world.status("/user", USER) == 200
    world.nc.forget()
    world.nc.broken = mode
    assert world.status("/user", USER) == (403 if mode == "status:401" else 401)
    world.nc.broken = None
    assert world.questions() == 1


def test_a_kept_connection_that_nextcloud_ended_is_not_the_clients_trouble(world):
    """Nothing was answered on it, so the question goes out once more, on a new one."""
    assert world.status("/user", USER) == 200
    world.nc.forget()
    once = iter(["close"])
    world.nc.broken = lambda call: next(once, None)
    assert world.status("/user", USER) == 200
    assert world.questions() == 2


def test_a_wrong_key_is_asked_with_once_for_each_request(site):
    world = World(site, {"HP_SHARED_KEY": "another-key-than-nextclouds"})
    assert world.status("/public") == 404
    assert world.status("/public") == 404
    assert world.questions() == 1


# ---- slow, away, busy ----

def test_nextcloud_that_is_away_is_told_apart_for_apps_and_clients(site):
    world = World(site)
    assert world.status("/public") == 200
    world.nc.close()
    assert_hubs_own(world.get("/user", USER), 401, "Nextcloud gave no usable answer", "hop: Nextcloud")
    assert_hubs_own(world.get("/public", app="other"), 503, "hop: Nextcloud")
    assert world.status("/public") == 200
    world.hub.wait_line("Nextcloud gave no usable answer")


def test_nextcloud_that_is_too_slow_is_given_up(site):
    world = World(site, {"HP_NEXTCLOUD_TIMEOUT": "500ms"})
    assert world.status("/public") == 200
    with world.nc.hold():
        began = time.monotonic()
        assert_hubs_own(world.get("/user", USER), 401, "Nextcloud gave no usable answer",
                        "hop: Nextcloud")
        assert_hubs_own(world.get("/public", app="other"), 503, "hop: Nextcloud")
        assert 0.8 < time.monotonic() - began < 8
    assert world.status("/user", USER) == 200


def test_a_connect_to_nextcloud_that_hangs_is_given_up(site):
    """A listener with a full backlog takes no connection and refuses none."""
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
    hub = site.hub(settings={"NC_INSTANCE_URL": f"http://127.0.0.1:{full.getsockname()[1]}",
                             "HP_NEXTCLOUD_CONNECT_TIMEOUT": "300ms"})
    began = time.monotonic()
    assert_hubs_own(outcome(hub.http, "/exapps/sample/public"), 503, "hop: Nextcloud")
    assert time.monotonic() - began < 4
    for sock in [full, *fillers]:
        sock.close()


def test_an_answer_that_trickles_is_given_up_as_a_whole(site):
    """The limit is for all of it: a byte now and then does not extend it."""
    world = World(site, {"HP_NEXTCLOUD_TIMEOUT": "500ms"})
    assert world.status("/public") == 200

    def trickle(connection, _request):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
        for _ in range(100):
            if connection.ended.wait(0.05):
                break
            connection.send(b" ")
        return RawOrigin.CLOSE

    world.nc.answer = trickle
    began = time.monotonic()
    assert_hubs_own(world.get("/user", USER), 401, "hop: Nextcloud")
    assert time.monotonic() - began < 3


def test_the_environments_proxies_do_not_count(site):
    proxy = site.origin()
    url = f"http://127.0.0.1:{proxy.port}"
    world = World(site, {name: url for name in ("http_proxy", "HTTP_PROXY", "all_proxy",
                                                "ALL_PROXY", "https_proxy")})
    assert world.status("/user", USER) == 200
    assert proxy.connections == []


def test_while_nextcloud_is_slow_other_requests_go_on(world):
    world.know("slow")
    assert world.status("/public") == 200
    with world.nc.hold():
        waiting, threads = in_parallel(10, lambda number: world.status(
            "/public", app="slow") if number % 2 else world.status("/user", USER))
        world.nc.wait_calls(6)
        for _ in range(20):
            assert world.status("/public") == 200
        assert world.status("/user") == 403
        assert waiting == [None] * 10
    joined(threads)
    assert waiting == [200] * 10


def test_no_more_requests_at_once_than_allowed(site):
    world = World(site, {"HP_NEXTCLOUD_REQUESTS": "3"})
    assert world.status("/public") == 200
    world.nc.forget()
    world.nc.delay = 0.05
    results, threads = in_parallel(15, lambda _: world.status("/user", USER))
    joined(threads)
    assert results == [200] * 15
    assert 1 < world.nc.most_at_once <= 3


def test_100_at_once_by_default(site):
    world = World(site)
    assert world.status("/public") == 200
    world.nc.forget()
    with world.nc.hold():
        results, threads = in_parallel(130, lambda _: world.status("/user", USER))
        world.nc.wait_calls(100, INFO)
        assert world.status("/public") == 200
        assert world.questions(INFO) == 100
    joined(threads)
    assert results == [200] * 130 and world.nc.most_at_once == 100


def test_those_over_the_waiting_line_are_refused_at_once(site):
    world = World(site, {"HP_NEXTCLOUD_REQUESTS": "1", "HP_NEXTCLOUD_WAITING": "1"})
    assert world.status("/public") == 200
    with world.nc.hold():
        results, threads = in_parallel(6, lambda _: world.status("/user", USER))
        wait_for(lambda: results.count(401) == 4, 5, "four to be refused")
    joined(threads)
    assert sorted(results) == [200, 200, 401, 401, 401, 401]


def test_a_client_that_leaves_while_nextcloud_is_asked_takes_nothing_along(world):
    assert world.status("/public") == 200
    with world.nc.hold():
        with RawClient(world.hub.http) as client:
            client.get("/exapps/sample/user", at(new_address()), USER)
            world.nc.wait_calls(1, INFO)
            client.reset()
    assert world.status("/user", USER) == 200


def test_the_next_request_on_a_connection_waits_for_the_verdict_on_the_first(world):
    assert world.status("/public") == 200
    with world.nc.hold():
        with RawClient(world.hub.http) as client:
            client.get("/exapps/sample/user/1", at(new_address()), USER)
            client.get("/exapps/sample/public/2", at(new_address()))
            world.nc.wait_calls(1, INFO)
            client.assert_open(0.1)
            world.nc.gate.release()
            assert [client.response().status for _ in range(2)] == [200, 200]
    targets = [request.target for request in world.origin.requests]
    assert targets[-2:] == ["/user/1", "/public/2"]
