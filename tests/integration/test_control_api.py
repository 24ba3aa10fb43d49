"""AppAPI's control calls, but for those to Docker engines (section 5)."""
import json
import time

import pytest

from harness import (RawClient, app, assert_hubs_own, at, basic_field, control, fetch, meta, push,
                     wait_for)
from harness.appapi import CONTROL, appapi_fields
from harness.credentials import OTHER_TOKEN, PASSWORDS, SHARED_KEY, WRONG_KEY
from harness.world import World, new_address

KEY = b"harp-shared-key: " + SHARED_KEY.encode()
META = "exapp-meta"
CALLS = [("GET", "/heartbeat"), ("GET", "/info"), ("POST", "/exapp_storage/x"),
         ("DELETE", "/exapp_storage/x"), ("GET", "/exapp_storage/x"), ("GET", "/nosuch"),
         ("POST", "/docker/exapp/exists"), ("GET", "/"), ("GET", "")]


def pushed(world, name, **kwargs):
    """A record of AppAPI's, at this world's ExApp; Nextcloud knows nothing of it."""
    push(world.hub, name, **{"port": world.origin.port, "routes": world.routes, **kwargs})


# ---- the log ----

@pytest.mark.parametrize("body, reply_has, log_has", [
    (b"{}", "Payload validation error: name: Field required", ("Payload", "name: Field required")),
    (b"[", "Invalid JSON body", ("premature EOF",))])
def test_the_log_says_why_a_call_about_containers_is_a_400(world, body, reply_has, log_has):
    address = new_address()
    reply = control(world.hub, "POST", "/docker/exapp/exists", body,
                    fields=[b"docker-engine-port: 24000", at(address)])
    assert reply.status == 400 and reply_has in reply.text
    world.hub.wait_line("answered 400 to", address, *log_has)


# ---- the key ----

@pytest.mark.parametrize("method, path", CALLS)
@pytest.mark.parametrize("key", [None, "", WRONG_KEY, SHARED_KEY[:-1], SHARED_KEY + "x",
                                 SHARED_KEY.upper()])
def test_without_the_right_key_every_call_is_a_401(world, method, path, key):
    reply = control(world.hub, method, path, key=key)
    assert_hubs_own(reply, 401, "401 Unauthorized", "reason: ")
    assert world.nc.calls == []


@pytest.mark.parametrize("second", [SHARED_KEY, WRONG_KEY])
def test_a_repeated_key_is_a_400(world, second):
    fields = [f"harp-shared-key: {second}".encode()]
    assert_hubs_own(control(world.hub, "GET", "/heartbeat", fields=fields), 400, "400 Bad Request",
                    "harp-shared-key")


def test_two_engine_ports_are_a_400(world):
    fields = [b"docker-engine-port: 24000", b"docker-engine-port: 24001"]
    assert_hubs_own(control(world.hub, "GET", "/info", fields=fields), 400, "docker-engine-port")


def test_basic_authorization_beside_the_key_is_ignored(world):
    fields = [basic_field("app_api_haproxy_user", SHARED_KEY)]
    assert control(world.hub, "GET", "/heartbeat", fields=fields).status == 200
    assert control(world.hub, "GET", "/heartbeat", key=None, fields=fields).status == 401
    fields = [basic_field("admin", PASSWORDS["admin"])]
    assert control(world.hub, "GET", "/heartbeat", key=None, fields=fields).status == 401
    assert world.nc.calls == []


def test_nextcloud_is_never_asked_about_app_api(world):
    for path in (CONTROL + "/heartbeat", CONTROL + "/nosuch", "/exapps/app_api"):
        fetch(world.hub.http, path, KEY)
    assert world.nc.calls == []


# ---- what there is ----

def test_heartbeat_is_ok(world):
    reply = control(world.hub, "GET", "/heartbeat")
    assert (reply.status, json.loads(reply.body)) == (200, {"status": "ok"})
    assert reply.head.get("Content-Type").startswith("application/json")


def test_info_tells_a_version_that_appapi_accepts(world):
    reply = control(world.hub, "GET", "/info")
    info = json.loads(reply.body)
    assert reply.status == 200 and reply.head.get("Content-Type").startswith("application/json")
    assert isinstance(info["version"], str)
    assert tuple(int(part) for part in info["version"].split(".")[:3]) >= (0, 4, 0)
    assert info["docker"] is True and info["kubernetes"]["enabled"] is False


@pytest.mark.parametrize("path", ["/nosuch", "/heartbeat/x", "/exapp_storage", "/exapp_storage/",
                                  "/exapp_storage/a/b", "/frp_handler", ""])
def test_an_unknown_path_is_a_404(world, path):
    assert_hubs_own(control(world.hub, "GET", path), 404, "404 Not Found", "reason: ")


@pytest.mark.parametrize("method, path, allowed", [
    ("POST", "/heartbeat", {"get", "head"}), ("DELETE", "/info", {"get", "head"}),
    ("GET", "/exapp_storage/x", {"post", "delete"}),
    ("PUT", "/exapp_storage/x", {"post", "delete"})])
def test_a_wrong_method_is_a_405_that_says_which_are_right(world, method, path, allowed):
    reply = control(world.hub, method, path)
    assert_hubs_own(reply, 405, "405 Method Not Allowed", "reason: ")
    assert set(reply.head.tokens("Allow")) <= allowed and reply.head.tokens("Allow")


@pytest.mark.parametrize("path", ["/k8s/exapp/exists", "/k8s/exapp/create", "/k8s/exapp/x"])
def test_kubernetes_is_a_503_while_it_is_not_configured(world, path):
    reply = control(world.hub, "POST", path, {})
    assert reply.status == 503
    assert "Kubernetes backend is disabled in HaRP." in reply.text


def test_control_calls_on_one_kept_connection(world):
    with RawClient(world.hub.http) as client:
        for _ in range(3):
            client.get(CONTROL + "/heartbeat", KEY)
            assert client.response().status == 200
            client.get(CONTROL + "/exapp_storage/kept", KEY, method="POST",
                       body=json.dumps(meta()).encode())
            assert client.response("POST").status == 204
            client.get(CONTROL + "/nosuch", KEY)
            assert client.response().status == 404


# ---- POST exapp_storage ----

def test_a_pushed_app_is_served_without_asking_nextcloud(world):
    pushed(world, "pushed1")
    assert world.status("/public", app="pushed1") == 200
    assert world.last().head.get("EX-APP-VERSION") == "1.0.0"
    assert world.status("/user", app="pushed1") == 403
    assert world.nc.calls == []


def test_a_push_answers_204_without_a_body(world):
    reply = control(world.hub, "POST", "/exapp_storage/empty", meta())
    assert (reply.status, reply.body) == (204, b"")


def test_a_push_in_any_letter_case_is_one_app(world):
    pushed(world, "Cased2")
    assert world.status("/public", app="cased2") == 200
    assert world.status("/public", app="CASED2") == 200
    assert world.nc.calls == []


def test_a_push_replaces_the_one_before(world):
    pushed(world, "replaced", version="1.0.0")
    pushed(world, "replaced", version="2.0.0", token=OTHER_TOKEN, routes=(("^/new", 0),))
    assert world.status("/new", app="replaced") == 200
    assert world.last().head.get("EX-APP-VERSION") == "2.0.0"
    assert world.status("/public", app="replaced") == 404


def test_a_push_wins_over_what_was_learned_and_stays(site):
    world = World(site, {"HP_EXAPP_LIFETIME": "200ms"})
    world.know("sample", version="learned")
    assert world.status("/public") == 200
    pushed(world, "sample", version="pushed")
    world.nc.forget()
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        assert world.status("/public") == 200
        assert world.last().head.get("EX-APP-VERSION") == "pushed"
    assert world.nc.calls == []


def test_a_push_ends_being_unknown(world):
    assert world.status("/public", app="newcomer") == 404
    pushed(world, "newcomer")
    assert world.status("/public", app="newcomer") == 200


def test_a_push_while_nextcloud_is_asked_wins(world):
    world.know("racing", version="learned")
    with world.nc.hold():
        with RawClient(world.hub.http) as client:
            client.get("/exapps/racing/public", at(new_address()))
            world.nc.wait_calls(1, META, "racing")
            pushed(world, "racing", version="pushed")
            world.nc.gate.release()
            assert client.response().status == 200
    assert world.status("/public", app="racing") == 200
    assert world.last().head.get("EX-APP-VERSION") == "pushed"


def test_numbers_may_be_strings(world):
    body = meta(port=str(world.origin.port), routes=[("^/p", "0"), ("^/u", "1")])
    body["routes"][1]["bruteforce_protection"] = ["401"]
    assert control(world.hub, "POST", "/exapp_storage/strings", body).status == 204
    assert world.status("/p", app="strings") == 200
    assert world.status("/u", app="strings") == 403


def test_missing_routes_are_none(world):
    body = meta(port=world.origin.port)
    del body["routes"]
    assert control(world.hub, "POST", "/exapp_storage/routeless", body).status == 204
    assert world.status("/", app="routeless") == 404


def test_what_may_be_missing_in_a_route_and_what_may_be_more(world):
    body = meta(port=world.origin.port)
    body["routes"] = [{"url": "^/p", "access_level": 0, "verb": "GET", "headers_to_exclude": "[]"}]
    body["more"] = {"of": ["the", "future"]}
    assert control(world.hub, "POST", "/exapp_storage/more", body).status == 204
    assert world.status("/p", app="more") == 200


def test_a_chunked_body_and_one_of_several_pieces(world):
    data = json.dumps(meta(port=world.origin.port)).encode()
    with RawClient(world.hub.http) as client:
        client.get(CONTROL + "/exapp_storage/chunked", KEY, b"Transfer-Encoding: chunked",
                   method="POST")
        for at_ in range(0, len(data), 7):
            piece = data[at_:at_ + 7]
            client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        client.send(b"0\r\n\r\n")
        assert client.response("POST").status == 204
    assert world.status("/public", app="chunked") == 200


def test_a_client_that_waits_for_100_is_told_to_go_on(world):
    body = json.dumps(meta()).encode()
    with RawClient(world.hub.http) as client:
        client.get(CONTROL + "/exapp_storage/patient", KEY, b"Expect: 100-continue",
                   b"Content-Length: %d" % len(body), method="POST")
        assert client.head().start == b"HTTP/1.1 100 Continue"
        client.send(body)
        assert client.response("POST").status == 204


def test_a_body_just_below_1_mib_is_taken(world):
    body = json.dumps(meta(port=world.origin.port)).encode()
    body += b" " * ((1 << 20) - 1 - len(body))
    assert control(world.hub, "POST", "/exapp_storage/large", body).status == 204


def changed(**kwargs):
    """A good body but for these; None leaves a field out."""
    body = {**meta(), **kwargs}
    return {name: value for name, value in body.items() if value is not None}


def route(**kwargs):
    row = {"url": "^/", "access_level": 0, "bruteforce_protection": [], **kwargs}
    return changed(routes=[{name: value for name, value in row.items() if value is not None}])


GOOD = json.dumps(meta()).encode()
# name: (body, a word that the reason must hold)
BAD_BODIES = {
    "none": (b"", ""),
    "no JSON": (b"exapp_token=t", "JSON"),
    "half": (b"{", "JSON"),
    "cut": (GOOD[:-2], "JSON"),
    "trailing bytes": (GOOD + b"x", "JSON"),
    "two values": (GOOD + GOOD, "JSON"),
    "no object": (b"[]", ""),
    "a string": (b'"x"', ""),
    "null": (b"null", ""),
    "not UTF-8": (GOOD.replace(b"1.0.0", b"1.\xff"), ""),
    "duplicate keys": (GOOD[:-1] + b', "port": 23001}', "twice"),
    "duplicate keys in a route": (GOOD.replace(b'"url":', b'"url": "^/x", "url":'), "twice"),
    "too deep": (GOOD[:-1] + b', "x": ' + b"[" * 40 + b"]" * 40 + b"}", ""),
    "no token": (changed(exapp_token=None), "exapp_token"),
    "no version": (changed(exapp_version=None), "exapp_version"),
    "no host": (changed(host=None), "host"),
    "no port": (changed(port=None), "port"),
    "token a number": (changed(exapp_token=5), "exapp_token"),
    "token with a line": (changed(exapp_token="a\r\nX-Evil: 1"), "exapp_token"),
    "version with a line": (changed(exapp_version="1\r\nX-Evil: 1"), "exapp_version"),
    "host empty": (changed(host=""), "host"),
    "host a number": (changed(host=5), "host"),
    "host with a space": (changed(host="a b"), "host"),
    "host with a slash": (changed(host="a/b"), "host"),
    "host a URL": (changed(host="http://a"), "host"),
    "host with a port": (changed(host="a:80"), "host"),
    "host with a line": (changed(host="a\nb"), "host"),
    "host too long": (changed(host="a" * 300), "host"),
    "port 0": (changed(port=0), "port"),
    "port too large": (changed(port=65536), "port"),
    "port negative": (changed(port=-1), "port"),
    "port half": (changed(port=1.5), "port"),
    "port a word": (changed(port="http"), "port"),
    "port with a sign": (changed(port="+80"), "port"),
    "port a list": (changed(port=[80]), "port"),
    "routes an object": (changed(routes={}), "routes"),
    "routes a string": (changed(routes="^/"), "routes"),
    "a route a string": (changed(routes=["^/"]), "route"),
    "route without url": (route(url=None), "url"),
    "route with a number for url": (route(url=5), "url"),
    "route without level": (route(access_level=None), "access_level"),
    "level 7": (route(access_level=7), "access_level"),
    "level 3": (route(access_level=3), "access_level"),
    "level -1": (route(access_level=-1), "access_level"),
    "level a word": (route(access_level="public"), "access_level"),
    "statuses a number": (route(bruteforce_protection=401), "bruteforce_protection"),
    "statuses words": (route(bruteforce_protection=["all"]), "bruteforce_protection"),
    "status 99": (route(bruteforce_protection=[99]), "bruteforce_protection"),
    "status 1000": (route(bruteforce_protection=[1000]), "bruteforce_protection"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_is_a_400_that_says_why_and_changes_nothing(world, name):
    body, word = BAD_BODIES[name]
    appid = "bad" + str(list(BAD_BODIES).index(name))
    reply = control(world.hub, "POST", f"/exapp_storage/{appid}", body)
    assert_hubs_own(reply, 400, "400 Bad Request", "reason: ", word)
    assert control(world.hub, "DELETE", f"/exapp_storage/{appid}").status == 404
    assert control(world.hub, "GET", "/heartbeat").status == 200


def test_a_bad_push_leaves_the_good_one_before(world):
    pushed(world, "kept2")
    assert control(world.hub, "POST", "/exapp_storage/kept2", changed(port=0)).status == 400
    assert world.status("/public", app="kept2") == 200


def test_a_reason_does_not_repeat_the_token(world):
    reply = control(world.hub, "POST", "/exapp_storage/x", changed(exapp_token="t\nhush-token"))
    assert reply.status == 400 and "hush-token" not in reply.text
    assert b"hush-token" not in world.hub.output()


def test_a_body_over_1_mib_is_refused_before_it_is_sent(world):
    for length in (1 << 20) + 1, 1 << 40:
        with RawClient(world.hub.http) as client:
            client.get(CONTROL + "/exapp_storage/huge", KEY, b"Content-Length: %d" % length,
                       method="POST")
            assert_hubs_own(client.response("POST"), 400, "400 Bad Request", "reason: ")


def test_a_chunked_body_over_1_mib_is_refused(world):
    with RawClient(world.hub.http) as client:
        client.get(CONTROL + "/exapp_storage/huge", KEY, b"Transfer-Encoding: chunked",
                   b"Connection: close", method="POST")
        client.send(*[b"10000\r\n" + b" " * 0x10000 + b"\r\n"] * 17)
        assert_hubs_own(client.response("POST"), 400, "400 Bad Request", "reason: ")


@pytest.mark.parametrize("appid", ["a%2Fb", "a%20b", "%61b", "a$b", "a" * 200, "app_api"])
def test_an_appid_that_is_none_can_not_be_pushed(world, appid):
    reply = control(world.hub, "POST", f"/exapp_storage/{appid}", meta())
    assert reply.status in (400, 404), reply
    assert reply.head.get("Content-Type").startswith("text/plain")


def test_a_broken_pattern_does_not_refuse_the_record(world):
    pushed(world, "broken", routes=(("^/[broken", 0), ("^/good", 0)))
    assert world.status("/good", app="broken") == 200


def test_a_push_for_a_declared_app_counts_or_is_refused_but_never_half(site):
    """Either is a decision; a mixture of the two records is not."""
    origin = site.origin()
    hub = site.hub(app(port=origin.port, version="declared"))
    reply = control(hub, "POST", "/exapp_storage/sample",
                    meta(port=origin.port, version="pushed", token=OTHER_TOKEN))
    assert fetch(hub.http, "/exapps/sample/x").status == 200
    version = origin.requests[-1].head.get("EX-APP-VERSION")
    assert version == ("pushed" if reply.status == 204 else "declared")


# ---- DELETE exapp_storage ----

def test_a_deleted_app_is_a_404_for_clients_though_nextcloud_tells_it(world):
    world.know("deleted")
    pushed(world, "deleted")
    assert world.status("/public", app="deleted") == 200
    assert control(world.hub, "DELETE", "/exapp_storage/deleted").status == 204
    world.nc.forget()
    for _ in range(2):
        assert_hubs_own(world.get("/public", app="deleted"), 404, "404 Not Found")
    assert world.nc.calls == []


def test_deleting_in_another_letter_case_deletes(world):
    pushed(world, "cased3")
    assert control(world.hub, "DELETE", "/exapp_storage/CASED3").status == 204
    assert world.status("/public", app="cased3") == 404


def test_deleting_what_is_not_there_is_a_404(world):
    assert_hubs_own(control(world.hub, "DELETE", "/exapp_storage/never"), 404, "404 Not Found",
                    "reason: ")
    pushed(world, "twice")
    assert control(world.hub, "DELETE", "/exapp_storage/twice").status == 204
    assert control(world.hub, "DELETE", "/exapp_storage/twice").status == 404


def test_deleting_a_learned_app_disables_it_too(world):
    world.know("learned1")
    assert world.status("/public", app="learned1") == 200
    assert control(world.hub, "DELETE", "/exapp_storage/learned1").status == 204
    assert world.status("/public", app="learned1") == 404


def test_appapi_calls_pass_to_a_deleted_app_on_a_record_asked_afresh_and_not_kept(world):
    """Enabling an app calls its heartbeat and /enabled before the record is pushed again."""
    world.know("enabling", version="2.0.0")
    pushed(world, "enabling", version="1.0.0")
    assert control(world.hub, "DELETE", "/exapp_storage/enabling").status == 204
    for number in (1, 2):
        fields = appapi_fields("enabling", port=world.origin.port)
        assert world.status("/heartbeat", *fields, app="enabling") == 200
        assert world.last().head.get("EX-APP-VERSION") == "2.0.0"
        assert world.questions(META, "enabling") == number
        assert world.status("/public", app="enabling") == 404
    assert world.questions(META, "enabling") == 2


def test_a_push_after_a_delete_serves_again(world):
    pushed(world, "again")
    assert control(world.hub, "DELETE", "/exapp_storage/again").status == 204
    assert world.status("/public", app="again") == 404
    pushed(world, "again")
    assert world.status("/public", app="again") == 200
    assert world.nc.calls == []


def test_a_delete_while_nextcloud_is_asked_wins(world):
    world.know("racing2")
    pushed(world, "racing2")
    assert control(world.hub, "DELETE", "/exapp_storage/racing2").status == 204
    with world.nc.hold():
        with RawClient(world.hub.http) as client:
            client.get("/exapps/racing2/heartbeat", at(new_address()),
                       *appapi_fields("racing2", port=world.origin.port))
            world.nc.wait_calls(1, META, "racing2")
            assert world.status("/public", app="racing2") == 404
            world.nc.gate.release()
            assert client.response().status == 200
    assert world.status("/public", app="racing2") == 404


def test_requests_under_way_end_well_when_their_app_is_deleted(world):
    pushed(world, "running")
    world.origin.lazy = True
    world.origin.answer = lambda connection, request: (
        connection.read_body(request) and b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    with RawClient(world.hub.http) as client:
        client.get("/exapps/running/public", at(new_address()), b"Content-Length: 6", method="POST")
        client.send(b"abc")
        wait_for(lambda: world.origin.requests, 5, "the request at the ExApp")
        assert control(world.hub, "DELETE", "/exapp_storage/running").status == 204
        client.send(b"def")
        assert client.response().status == 200


def test_a_restart_forgets_that_an_app_was_disabled(site):
    world = World(site)
    pushed(world, "sample")
    assert control(world.hub, "DELETE", "/exapp_storage/sample").status == 204
    assert world.status("/public") == 404
    world.hub.stop()
    world.hub = site.hub(settings={"HP_TRUSTED_PROXY_IPS": "127.0.0.1"}, nextcloud=world.nc)
    assert world.status("/public") == 200
