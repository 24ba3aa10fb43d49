"""What somebody tries who may talk to harp-socket-filter by AppAPI's policy, and wants the host:
calls.

Paths, methods, queries and heads come from the tables of test_docker_attacks.py, which are for the
same gate in the hub. Bodies are in test_docker_filter_attacks_create.py and _spelling.py.
"""
import pytest

from harness import RawClient
from harness.docker_images import PLAIN
from harness.filter_attacks import NO, cases, filter_target, judge, short
from test_docker_attacks import (DOT_SEGMENTS, ENCODED, HEADS, IMAGES, METHODS, NAMES, OTHERS,
                                 PULLS,
                                 QUERIES, SLASHES, TAILS, TRICKS, UNSENDABLE, VERSIONS, X)

# What the hub refuses and this policy lets pass, or is told by the engine that it is not there.
ALLOWED = {
    "GET /version", "GET /v1.41/version", "GET /v1.41/volumes/nc_app_x_data",
    "DELETE /v1.41/volumes/nc_app_x_data", "DELETE /v1.41/images/a", f"DELETE {X}",
    f"DELETE {X}?force=true&v=true", f"POST {X}/start", f"POST {X}/stop"}
NAMED_BY_ID = [path for path in NAMES if any(word in path for word in ("/000000000000/",
        "/aaaaaaaa"))]
HEX = "0123456789abcdef" * 4
MORE = [
    f"POST {X}/attach?stream=1&stdin=1&stdout=1", f"POST {X}/attach", f"GET {X}/attach/ws?stdin=1",
    "POST /session", "POST /v1.41/session", "POST /grpc", "POST /v1.41/grpc",
    "POST /v1.41/build?dockerfile=x", "POST /v1.41/build?networkmode=host&remote=http%3A%2F%2Fx%2F",
    "POST /v1.41/build/cancel?id=x", "POST /v1.41/build/prune?all=1",
    "POST /v1.41/commit?container=nc_app_x&repo=x", f"GET {X}/export",
    "GET /v1.41/containers/other/export",
    f"GET {X}/archive?path=/", f"GET {X}/archive?path=/etc/shadow", f"HEAD {X}/archive?path=/",
    "GET /v1.41/containers/other/archive?path=/", f"POST {X}/copy", f"POST {X}/update",
    f"POST {X}/rename?name=other2", "POST /v1.41/containers/other/rename?name=nc_app_y",
    "POST /v1.41/containers/prune", "POST /v1.41/images/prune?filters=x",
    "POST /v1.41/volumes/prune",
    "POST /v1.41/networks/prune", "POST /v1.41/system/prune",
    "GET /v1.41/swarm", "GET /v1.41/swarm/unlockkey", "POST /v1.41/swarm/init",
    "POST /v1.41/swarm/join",
    "POST /v1.41/swarm/leave?force=1", "POST /v1.41/swarm/update?version=1",
    "POST /v1.41/swarm/unlock",
    "GET /v1.41/plugins", "GET /v1.41/plugins/a/json", "DELETE /v1.41/plugins/a?force=1",
    "POST /v1.41/plugins/pull?remote=a&name=b", "POST /v1.41/plugins/create?name=a",
    "POST /v1.41/plugins/a/enable?timeout=0", "POST /v1.41/plugins/a/set",
    "POST /v1.41/plugins/a/upgrade",
    "GET /v1.41/secrets", "POST /v1.41/secrets/create", "DELETE /v1.41/secrets/a",
    "GET /v1.41/configs", "POST /v1.41/configs/create", "POST /v1.41/configs/a/update?version=1",
    "POST /v1.41/services/create", "POST /v1.41/services/a/update?version=1",
    "DELETE /v1.41/services/a",
    "GET /v1.41/services/a/logs?stdout=1", "POST /v1.41/nodes/a/update?version=1",
    "DELETE /v1.41/nodes/a",
    "POST /v1.41/networks/create", "POST /v1.41/networks/bridge/connect",
    "POST /v1.41/networks/bridge/disconnect", "DELETE /v1.41/networks/bridge",
    "GET /v1.41/networks/bridge",
    "POST /v1.41/images/load?quiet=1", "GET /v1.41/images/get?names=a", "GET /v1.41/images/a/get",
    f"POST /v1.41/images/{PLAIN}/push?tag=x",
    f"POST /v1.41/images/{PLAIN}/tag?repo=alpine&tag=latest",
    f"GET /v1.41/images/{PLAIN}/history", "POST /v1.41/auth", "GET /v1.41/events",
    "GET /v1.41/system/df",
    f"POST {X}/kill?signal=KILL", f"POST {X}/restart", f"POST {X}/pause", f"POST {X}/unpause",
    f"POST {X}/wait", f"POST {X}/resize?h=1&w=1", f"GET {X}/top", f"GET {X}/stats?stream=0",
    f"GET {X}/changes", f"POST {X}/checkpoints", f"GET {X}/checkpoints",
    f"DELETE {X}/checkpoints/a",
    "POST /v1.41/containers/other/start", "POST /v1.41/containers/other/stop",
    "DELETE /v1.41/containers/other", "DELETE /v1.41/containers/other?force=1",
    "DELETE /v1.41/volumes/other_data",
    "DELETE /v1.41/volumes/other_data?force=1", "GET /v1.41/volumes/other_data",
    "GET /v1.41/volumes",
    "PUT /v1.41/volumes/nc_app_x_data?version=1", "PUT /v1.41/containers/other/archive?path=/",
    f"PUT {X}/archive?path=/", f"PUT {X}/archive", f"POST {X}/exec",
    "POST /v1.41/containers/other/exec",
    "POST /v1.41/containers/create", "POST /v1.41/containers/create?name=nc_app_new",
    "POST /v1.41/volumes/create", f"POST /v1.41/exec/{HEX}/resize?h=1&w=1",
    f"GET {X}/logs?stdout=1&details=1", f"GET {X}/json?size=1", f"POST {X}/start?checkpoint=x",
    f"POST {X}/start?checkpoint=x&checkpoint-dir=/", f"POST {X}/start?detachKeys=a",
    f"POST {X}/stop?t=x", f"POST {X}/stop?signal=%2e%2e", f"POST {X}/stop?t=1&t=2",
    f"DELETE {X}?link=true", f"DELETE {X}?link=1", f"DELETE {X}?force=yes", f"DELETE {X}?v=2",
    f"DELETE {X}?x=1",
    f"DELETE /v1.41/images/{PLAIN}?force=true", f"DELETE /v1.41/images/{PLAIN}?force=1",
    f"DELETE /v1.41/images/{PLAIN}?force=True", f"DELETE /v1.41/images/{PLAIN}?force=t",
    f"DELETE /v1.41/images/{PLAIN}?noprune=0&force=1", f"DELETE /v1.41/images/{PLAIN}?platforms=x",
    f"DELETE /v1.41/images/{PLAIN}?force=false&force=true", "DELETE /v1.41/images/..",
    "DELETE /v1.41/images",
    "GET /v1.41/containers/json?external=1",
    *(f"GET /v1.41/containers/json?all=1&filters={filters}" for filters in (
        "%7B%7D", "%7B%22label%22%3A%5B%22harp.instance%3D%22%5D%7D",
        "%7B%22name%22%3A%5B%22other%22%5D%7D",
        f"%7B%22label%22%3A%5B%22harp.instance%3D{'a' * 31}g%22%5D%7D",
        f"%7B%22label%22%3A%5B%22harp.instance%3D{'a' * 32}%22%5D%2C%22label%22%3A%5B%5D%7D",
        f"%7B%22label%22%3A%5B%22harp.instance%3D{'a' * 32}%22%2C%22x%22%5D%7D",
        f"%7B%22Label%22%3A%5B%22harp.instance%3D{'a' * 32}%22%5D%7D")),
        "GET /v1.41/containers/json?all=yes",
    "GET /v1.41/distribution/alpine/json", "GET /v1.41/images/search?term=a",
    "GET /v1.41/debug/pprof/",
    "OPTIONS /v1.41/info", "OPTIONS /_ping", "HEAD /v1.41/info", "POST /v1.41/info", "PUT /_ping",
]
# Versions before those that can be judged, and after: for calls that pass otherwise.
OLD = [f"{call}" for version in ("v1.12", "v1.18", "v1.19", "v1.20", "v1.22", "v1.23", "v1.0", "v2",
                                 "v2.0",
                                 "v1.999", "v1.100", "v1.1000", "v0.1", "v1", "v1.24.0", "v01.24",
                                 "v1.024")
       for call in (f"POST /{version}/containers/nc_app_x/start", f"GET /{version}/version",
                    f"DELETE /{version}/volumes/nc_app_x_data")]
CREATE_QUERIES = [f"POST /v1.41/containers/create?{query}" for query in (
    "name=other", "name=", "name=nc_app_", "name=xnc_app_a", "name=/nc_app_new",
    "name=nc_app_new%2F..",
    "name=nc_app_new/x", "name=nc_app_a&name=nc_app_b", "name=nc_app_a&name=other",
    "Name=nc_app_new",
    "NAME=nc_app_new", "name%3Dnc_app_new", "n%61me=nc_app_new", "name=nc_app_new;name=other",
    "name=nc_app_new&platform=", "name=nc_app_new&platform=../x", "name=nc_app_new&fromSrc=-",
    "name=nc_app_new%00", "name=nc_app_new%0a", "name=nc_app_n%C3%A9w", "name=nc_app_" + "a" * 200,
    "name=abcdef012345", f"name={HEX}", "name=nc_app_new&", "name=nc_app_new&&platform=linux",
    "name",
    "name=nc_app_new&version=1.12")]


@pytest.fixture(scope="module")
def target(tmp_path_factory, certs, engine):
    yield from filter_target(tmp_path_factory, certs, engine)


def test_there_are_at_least_500_attempts():
    lists = (ENCODED, DOT_SEGMENTS, SLASHES, VERSIONS, TAILS, NAMES, IMAGES, OTHERS, METHODS,
             QUERIES,
             PULLS, HEADS, UNSENDABLE, MORE, OLD, CREATE_QUERIES)
    assert sum(map(len, lists)) - len(ALLOWED) - len(NAMED_BY_ID) >= 500
    assert len(set(MORE)) == len(MORE) and ALLOWED <= set(OTHERS) and len(NAMED_BY_ID) == 2


@pytest.mark.parametrize("call", sorted(ALLOWED - {call for call in ALLOWED if "DELETE" in call
                                                  or "POST" in call}) + [f"GET {X}/json"])
def test_what_may_pass_is_seen_to_pass(target, call):
    """Else nothing here could fail."""
    target.quiet()
    assert target.call(call).status == 200
    assert [f"{asked.method} {asked.target}" for asked in target.recorder.asked()] == [call]


@pytest.mark.parametrize("path",
                         [path for path in (*ENCODED, *SLASHES, *VERSIONS, *TAILS, *NAMES, *IMAGES,
                                                    *DOT_SEGMENTS) if path not in NAMED_BY_ID],
                                                    ids=short)
def test_a_path_that_is_not_exactly_a_good_one_is_refused(target, path):
    target.refused("GET " + path)


@pytest.mark.parametrize("call", [call for call in OTHERS if call not in ALLOWED], ids=short)
def test_the_rest_of_dockers_api_is_closed(target, call):
    target.refused(call)


@pytest.mark.parametrize("call", MORE, ids=short)
def test_what_gives_more_than_an_exapp_needs_is_closed(target, call):
    target.refused(call)


@pytest.mark.parametrize("call", METHODS, ids=short)
def test_other_methods_are_refused(target, call):
    target.refused(call, statuses=NO | {501})


@pytest.mark.parametrize("call", OLD)
def test_versions_that_can_not_be_judged_are_refused(target, call):
    target.refused(call)


@pytest.mark.parametrize("call", [*QUERIES, *PULLS], ids=short)
def test_a_query_that_is_not_exactly_a_good_one_is_refused(target, call):
    target.refused(call, statuses=NO | {414})


@pytest.mark.parametrize("call", CREATE_QUERIES, ids=short)
def test_a_container_gets_a_name_that_is_granted_or_none(target, call):
    target.refused(call, {"Image": PLAIN})


@pytest.mark.parametrize("attempt", cases(HEADS))
def test_a_head_that_means_more_than_it_should_is_refused(target, attempt):
    call, fields, behind, statuses = attempt
    with target.untouched():
        reply = target.call(call, None, fields, behind)
        judge(reply, statuses, call)


@pytest.mark.parametrize("attempt", cases(UNSENDABLE))
def test_a_request_line_that_may_be_read_in_two_ways_is_refused(target, attempt):
    with target.untouched():
        reply = target.send(attempt.replace(b"/exapps/app_api", b""))
        judge(reply, {400, 403, 405, 501, 505}, attempt)


@pytest.mark.parametrize("name", ["a", "0", "abc", "0123456789a", "nc", HEX + "0", HEX.upper(),
                                  HEX[:12].upper(),
                                  "sha256:" + HEX, "nc_app_x,other", "nc_app_x%00"])
@pytest.mark.parametrize("call", ["GET /containers/{}/json", "POST /v1.41/containers/{}/stop",
                                  "DELETE /v1.41/containers/{}?force=1"])
def test_a_name_that_may_be_the_beginning_of_an_id_is_refused(target, call, name):
    target.refused(call.replace("{}", name))


@pytest.mark.parametrize("digits", [12, 13, 32, 63, 64])
@pytest.mark.parametrize("call", ["GET {}/json", "GET {}/logs?stdout=1", "POST {}/start",
                                  "POST {}/stop",
                                  "DELETE {}?force=true&v=true", "POST {}/exec"])
def test_an_id_of_a_container_that_is_not_ours_is_looked_up_and_refused(target, call, digits):
    """The engine is asked whose it is, and nothing else."""
    name = target.other[:digits]
    target.quiet()
    body = {"Cmd": ["cat", "/etc/os-release"]} if call.endswith("exec") else None
    judge(target.call(call.replace("{}", f"/v1.41/containers/{name}"), body), {403}, call)
    assert target.looked_at_only() == [f"/containers/{name}/json"]


def test_an_id_nobody_has_is_told_as_the_engine_tells_it(target):
    for path in NAMED_BY_ID:
        target.quiet()
        assert target.call("GET " + path).status == 404
        assert len(target.looked_at_only()) == 1


# ---- what passes, passes clean ----

@pytest.mark.parametrize("field", TRICKS, ids=short)
def test_a_field_that_might_mean_something_to_an_engine_stays_behind(target, field):
    target.quiet()
    reply = target.call(f"GET {X}/json", fields=[field])
    assert reply.status in (200, 400, 403), reply
    name = field.partition(b":")[0].lower().decode()
    for asked in target.recorder.asked():
        assert asked.method == "GET" and asked.target == X + "/json"
        assert not asked.head.has(name), asked.head.fields
        assert asked.head.get("Host") == "docker"


@pytest.mark.parametrize("second", [
    b"GET /v1.41/networks HTTP/1.1\r\nHost: docker\r\n\r\n",
    b"POST /v1.41/containers/other/start HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n",
    b"POST /v1.41/containers/create?name=nc_app_new HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\n"
    b'Content-Length: 64\r\n\r\n{"Image":"a","HostConfig":{"Privileged":true,"Binds":["/:/h"]}} ',
    b"GET http://docker/v1.41/info HTTP/1.1\r\nHost: docker\r\n\r\n", b"\0\0\0\0"])
def test_a_refused_call_behind_a_good_one_does_not_slip_through(target, second):
    target.quiet()
    first = f"GET {X}/json HTTP/1.1\r\nHost: docker\r\n\r\n".encode()
    with RawClient(target.socket) as client:
        client.send(first + second)
        assert client.response().status == 200
        judge(client.response(), NO, second)
    assert [asked.target for asked in target.recorder.asked()] == [X + "/json"]
