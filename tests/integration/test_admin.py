"""The administration interface: who may ask, what it answers, and that nobody can hold it up."""
import json
import os
import socket
import stat
import threading

import pytest

from harness import (RawClient, app, fetch, free_port, outcome, program_is_sanitized, response,
                     run_program, wait_for)
from harness.programs import hub_environment

FIELDS = {"cache-control": "no-store", "x-content-type-options": "nosniff", "connection": "close"}
LIMIT = 32
# A lookup of AppAPI's own with a wrong key: the hub counts one failure of the client.
WRONG_KEY = b"harp-shared-key: wrong"
WRONG_AT = "/exapps/app_api/info"


@pytest.fixture(scope="module")
def admin_hub(tmp_path_factory, certs):
    """A hub for what leaves nothing behind."""
    from conftest import open_site  # pylint: disable=import-outside-toplevel
    site = open_site(tmp_path_factory, certs, "admin")
    try:
        yield site.hub(app(), settings={"HP_HEAD_TIMEOUT": "1s"})
    finally:
        site.close()


def ask(address, target, *fields, method="GET", body=b"", host=b"localhost"):
    """One request; the answer must carry what all carry, and be the last."""
    with RawClient(address) as client:
        client.get(target, *fields, method=method, body=body, host=host)
        reply = client.response(method)
        client.assert_closed()
    for name, value in FIELDS.items():
        assert reply.head.get(name) == value, (name, reply)
    for name in ("access-control-allow-origin", "server", "set-cookie"):
        assert reply.head.get(name) is None, reply
    return reply


def asked(address, target, *fields, **kwargs):
    """The JSON of a good answer."""
    reply = ask(address, target, *fields, **kwargs)
    assert reply.status == 200, reply
    assert reply.head.get("content-type") == "application/json", reply
    return json.loads(reply.body)


def raw(address, data, end=False):
    """Everything that comes back for these bytes, until the hub closes."""
    with RawClient(address) as client:
        client.send(data)
        if end:
            client.end()
        return client.rest()


def served(hub):
    """Whether there is a free place, and who takes it gets an answer."""
    with RawClient(hub.admin) as client:
        client.get("/heartbeat", host=b"localhost")
        return client.rest().startswith(b"HTTP/1.1 200 ")


def status_of(answer):
    return int(answer.split(b" ", 2)[1])


def refused_start(site, tmp_path, settings):
    """The last line of a hub that does not start."""
    ports = {name: free_port() for name in ("http", "https", "frp", "admin")}
    env = hub_environment(tmp_path, site.certs, ports, {"NC_INSTANCE_URL": "http://127.0.0.1:1",
                                                         **settings})
    result = run_program("harp-hub", env=env)
    assert result.returncode == 1, result
    return result.stderr.strip().splitlines()[-1]


# ---- what is answered ----

def test_heartbeat_and_info(admin_hub):
    assert asked(admin_hub.admin, "/heartbeat") == {"status": "ok"}
    info = asked(admin_hub.admin, "/info")
    version = run_program("harp-hub", "--version").stdout.split()[1]
    assert info == {"version": version, "docker": True, "kubernetes": {"enabled": False}}


@pytest.mark.parametrize("target", ["/heartbeat", "/info", "/api/bans", "/heartbeat?x=1"])
def test_head_is_get_without_its_body(admin_hub, target):
    body = ask(admin_hub.admin, target).body
    reply = ask(admin_hub.admin, target, method="HEAD")
    assert reply.status == 200 and reply.head.get("content-length") == str(len(body))


def test_no_bans_are_an_empty_list(admin_hub):
    assert asked(admin_hub.admin, "/api/bans") == {"bans": [], "total": 0, "more": False}


@pytest.mark.parametrize("target", [
    "/", "/nothing", "/heartbeat/", "//heartbeat", "/api/../heartbeat", "/./info", "/%69nfo",
    "/api%2Fbans", "/HEARTBEAT", "/api/bans/"])
def test_other_paths_are_404(admin_hub, target):
    assert ask(admin_hub.admin, target).status == 404


@pytest.mark.parametrize("method, target, allow", [
    ("POST", "/heartbeat", "GET, HEAD"), ("DELETE", "/api/bans", "GET, HEAD"),
    ("OPTIONS", "/info", "GET, HEAD"), ("TRACE", "/info", "GET, HEAD"),
    ("GET", "/api/bans/192.0.2.1", "DELETE"), ("POST", "/api/bans/192.0.2.1", "DELETE")])
def test_other_methods_are_405_and_named(admin_hub, method, target, allow):
    reply = ask(admin_hub.admin, target, method=method)
    assert (reply.status, reply.head.get("allow")) == (405, allow)


@pytest.mark.parametrize("address, status", [
    ("192.0.2.1", 404), ("2001:db8::1", 404), ("2001:db8::/64", 404), ("2001%3Adb8%3a:1", 404),
    ("2001:db8::%2F64", 404), ("192.0.2", 400), ("192.0.2.1%00", 400), ("name.test", 400),
    ("..", 400), ("%2e%2e/info", 400), ("%", 400), ("2001:db8::/48", 400)])
def test_lifting_what_is_not_banned(admin_hub, address, status):
    assert ask(admin_hub.admin, f"/api/bans/{address}", method="DELETE").status == status


def test_each_request_is_logged(admin_hub):
    ask(admin_hub.admin, "/info?secret=1")
    ask(admin_hub.admin, "/logged-path")
    admin_hub.wait_line("info admin", "get /info: taken")
    admin_hub.wait_line("info admin", "get /logged-path: not found")
    assert b"secret=1" not in admin_hub.output()


# ---- who may ask ----

@pytest.mark.parametrize("host, status", [
    (b"localhost", 200), (b"LOCALHOST:8200", 200), (b"127.0.0.1:1", 200), (b"[::1]", 200),
    (b"rebinding.test", 403), (b"rebinding.test:8200", 403), (b"localhost.rebinding.test", 403),
    (b"127.0.0.1.rebinding.test", 403), (b"", 400)])
def test_without_a_token_host_is_localhost_or_an_address(admin_hub, host, status):
    assert ask(admin_hub.admin, "/info", host=host).status == status


def test_a_page_of_another_origin_is_refused(admin_hub):
    origin = b"Origin: http://rebinding.test"
    assert ask(admin_hub.admin, "/api/bans/::1", origin, method="DELETE").status == 403
    assert ask(admin_hub.admin, "/api/bans/::1", b"Origin: http://localhost",
               method="DELETE").status == 404


def test_a_token_is_asked_for_everywhere(site):
    hub = site.hub(app(), settings={"HP_ADMIN_TOKEN": "the right one"})
    good = b"Authorization: Bearer the right one"
    for target in ("/heartbeat", "/info", "/api/bans", "/nothing"):
        for fields in ((), (b"Authorization: Bearer wrong",), (b"Authorization: the right one",),
                       (b"Authorization: Basic dGhlOnJpZ2h0",), (good, good),
                       (b"Authorization: Bearer the right one more",)):
            reply = ask(hub.admin, target, *fields)
            assert (reply.status, reply.head.get("www-authenticate")) == (401, "Bearer"), fields
    assert asked(hub.admin, "/heartbeat", good, host=b"any.name.test") == {"status": "ok"}
    assert ask(hub.admin, "/nothing", good).status == 404
    assert b"right one" not in hub.output()


def test_open_to_others_and_without_a_token_it_does_not_start(site, tmp_path):
    port = free_port()
    line = refused_start(site, tmp_path, {"HP_ADMIN_ADDRESS": f"0.0.0.0:{port}"})
    assert f"HP_ADMIN_ADDRESS: '0.0.0.0:{port}' can be reached from other machines" in line
    assert "HP_ADMIN_TOKEN" in line


def test_open_to_others_with_a_token_it_does(site):
    port = free_port()
    site.hub(app(), settings={"HP_ADMIN_ADDRESS": f"0.0.0.0:{port}", "HP_ADMIN_TOKEN": "t"})
    assert asked(("127.0.0.1", port), "/heartbeat", b"Authorization: Bearer t")


def test_a_port_in_use_is_told(site, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = refused_start(site, tmp_path, {"HP_ADMIN_ADDRESS": f"127.0.0.1:{port}"})
    assert "HP_ADMIN_ADDRESS: can't listen at" in line and str(port) in line


def test_it_listens_only_where_it_is_told(site):
    hub = site.hub(app(), settings={"HP_ADMIN_ADDRESS": f"127.0.0.2:{free_port()}"})
    at = hub.env["HP_ADMIN_ADDRESS"].rpartition(":")
    assert asked((at[0], int(at[2])), "/heartbeat")
    with pytest.raises(ConnectionRefusedError):
        RawClient(("127.0.0.1", int(at[2])))


def test_a_unix_socket_is_the_users_alone(site):
    path = site.socket_path()
    old = os.umask(0)
    try:
        hub = site.hub(app(), settings={"HP_ADMIN_ADDRESS": f"unix:{path}"})
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert asked(path, "/heartbeat", host=b"any.name.test") == {"status": "ok"}
    assert ask(path, "/api/bans/192.0.2.1", method="DELETE").status == 404
    hub.stop()
    assert not os.path.exists(path)


def test_off_is_off(site):
    hub = site.hub(app(), settings={"HP_ADMIN_ADDRESS": "off"})
    with pytest.raises(ConnectionRefusedError):
        RawClient(hub.admin)


# ---- what is not HTTP as it should be ----

@pytest.mark.parametrize("request_bytes, status", [
    (b"GET /info HTTP/1.1\r\n\r\n", 400),
    (b"GET /info HTTP/1.0\r\n\r\n", 400),
    (b"GET /info HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
    (b"GET /info HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"GET /info HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
     b"Content-Length: 5\r\n\r\n0\r\n\r\nGET /info HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (b"GET /info HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n", 400),
    (b"GET /info HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody", 413),
    (b"GET /info HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n", 413),
    (b"GET /info HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
     b"Content-Length: 4\r\n\r\n", 400),
    (b"GET /info HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
    (b"GET /info HTTP/1.1\nHost: localhost\n\n", 400),
    (b"GET /info HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
    (b"GET http://localhost/info HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n", None),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", None),
    (b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    (b"GET /info HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 100 + b"\r\n", 431),
    (b"GET /info HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 20000 + b"\r\n\r\n", 431),
])
def test_what_is_not_taken_is_refused_once_and_closed(admin_hub, request_bytes, status):
    answer = raw(admin_hub.admin, request_bytes)
    assert answer.count(b"HTTP/1.1 ") == 1, answer
    assert status_of(answer) >= 400 and status in (None, status_of(answer)), answer


@pytest.mark.parametrize("behind", [
    b"GET /heartbeat HTTP/1.1\r\nHost: localhost\r\n\r\n", b"garbage\r\n\r\n", b"\0" * 5000])
def test_what_comes_behind_a_request_is_not_run(admin_hub, behind):
    answer = raw(admin_hub.admin, b"GET /info HTTP/1.1\r\nHost: localhost\r\n\r\n" + behind)
    assert answer.count(b"HTTP/1.1 ") == 1 and status_of(answer) == 200, answer


@pytest.mark.parametrize("fields", [
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"])
def test_nothing_is_upgraded(admin_hub, fields):
    answer = raw(admin_hub.admin,
                 b"GET /heartbeat HTTP/1.1\r\nHost: localhost\r\n" + fields + b"\r\n")
    assert status_of(answer) == 200, answer


def test_a_client_may_end_its_side_first(admin_hub):
    answer = raw(admin_hub.admin, b"GET /info HTTP/1.1\r\nHost: localhost\r\n\r\n", end=True)
    assert status_of(answer) == 200


def test_a_head_may_come_byte_by_byte(admin_hub):
    with RawClient(admin_hub.admin) as client:
        for byte in b"GET /info HTTP/1.1\r\nHost: localhost\r\n\r\n":
            client.send(bytes([byte]))
        assert client.response().status == 200


# ---- limits ----

def test_a_head_that_never_ends_is_cut_in_time(admin_hub):
    with RawClient(admin_hub.admin) as silent, RawClient(admin_hub.admin) as slow:
        slow.send(b"GET /info HTTP/1.1\r\nHost: localhost\r\nX: ")
        silent.assert_closed()
        slow.assert_closed()


def test_over_the_limit_connections_are_closed(site):
    hub = site.hub(app())
    clients = [RawClient(hub.admin) for _ in range(LIMIT)]
    try:
        wait_for(lambda: hub.open_files() >= LIMIT, what="the hub to accept them")
        with RawClient(hub.admin) as late:
            late.assert_closed()
        clients.pop().close()

        wait_for(lambda: served(hub), what="the freed place to be used")
    finally:
        for client in clients:
            client.close()


def test_many_requests_leave_nothing_behind(site):
    hub = site.hub(app())
    targets = ["/heartbeat", "/info", "/api/bans", "/nothing"]

    def some(count):
        for number in range(count):
            ask(hub.admin, targets[number % len(targets)])

    files = hub.open_files()
    some(50)
    memory = hub.resident_kib()
    some(400)
    wait_for(lambda: hub.open_files() == files, what="the connections to be closed")
    if not program_is_sanitized() and not os.environ.get("HARP_WRAP"):
        assert hub.resident_kib() < memory + 1024


def test_clients_that_hang_up_at_any_byte_do_no_harm(site):
    hub = site.hub(app())
    request = b"GET /info HTTP/1.1\r\nHost: localhost\r\n\r\n"
    files = hub.open_files()
    for length in range(len(request) + 1):
        with RawClient(hub.admin) as client:
            client.send(request[:length])
            if length % 2:
                client.reset()
    # The hub may not even have accepted them all yet.
    wait_for(lambda: served(hub), what="a free place")
    wait_for(lambda: hub.open_files() == files, what="the connections to be closed")


# ---- the end ----

def test_it_answers_while_running_requests_end(site):
    may_end = threading.Event()

    def answer(_connection, _request):
        may_end.wait(20)
        return response(b"ok")

    origin = site.origin(answer)
    hub = site.direct(origin.port, settings={"HP_SHUTDOWN_TIMEOUT": "30s"})
    with RawClient(hub.http) as client:
        client.get("/exapps/sample/")
        wait_for(lambda: origin.requests, what="the request at the origin")
        hub.signal(15)
        hub.wait_line("stopping")
        assert asked(hub.admin, "/heartbeat") == {"status": "ok"}
        may_end.set()
        assert client.response().status == 200
    hub.wait()


def test_the_hub_ends_with_connections_open(site):
    hub = site.hub(app())
    clients = [RawClient(hub.admin) for _ in range(3)]
    clients[1].send(b"GET /info HTTP/1.1\r\n")
    clients[2].send(b"GET /info HTTP/1.1\r\n\r\n")
    assert status_of(clients[2].until(b"\r\n")) == 400
    hub.stop()
    for client in clients:
        client.close()


# ---- bans ----

def fail_with_a_wrong_key(hub, times):
    for _ in range(times):
        fetch(hub.http, WRONG_AT, WRONG_KEY)


def test_failures_are_listed_and_lifted(site):
    hub = site.hub(app(), settings={"HP_BLACKLIST_COUNT": "10"})
    fail_with_a_wrong_key(hub, 3)
    assert asked(hub.admin, "/api/bans") == {
        "bans": [{"address": "127.0.0.1", "failures": 3, "banned": False, "seconds_left": 0}],
        "total": 1, "more": False}
    assert ask(hub.admin, "/api/bans/127.0.0.1", method="DELETE").status == 204
    assert asked(hub.admin, "/api/bans")["bans"] == []
    assert ask(hub.admin, "/api/bans/127.0.0.1", method="DELETE").status == 404


def test_a_ban_is_listed_and_lifted(site):
    hub = site.hub(app(), settings={"HP_BLACKLIST_COUNT": "10", "HP_BLACKLIST_WINDOW": "300s"})
    fail_with_a_wrong_key(hub, 10)
    ban, = asked(hub.admin, "/api/bans")["bans"]
    assert (ban["address"], ban["failures"], ban["banned"]) == ("127.0.0.1", 10, True)
    assert 0 < ban["seconds_left"] <= 300
    assert outcome(hub.http, WRONG_AT, WRONG_KEY) is None  # closed without an answer
    assert ask(hub.admin, "/api/bans/::ffff:127.0.0.1", method="DELETE").status == 204
    fail_with_a_wrong_key(hub, 1)
    ban, = asked(hub.admin, "/api/bans")["bans"]
    assert (ban["failures"], ban["banned"]) == (1, False)
    assert fetch(hub.http, WRONG_AT, WRONG_KEY).status == 401
