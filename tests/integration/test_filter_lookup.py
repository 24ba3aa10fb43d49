"""Calls about which the engine is asked first: containers named by an id, and the owner's label."""
import json
import threading

import pytest

from harness import RawClient, response, wait_for
from harness.filter_front import (APP, ARCHIVE, CHUNKED, CLOSE, CREATE, ID, JSON, LAST, STOP,  # noqa: F401
                                  TAR, archive, chunk, file_front, front, hold, members,
                                  open_front, told)

FILTER = {"listeners": ['{ address = "unix:{path}"; policy = "appapi"; }',
                        '{ address = "unix:{path}.owned"; policy = "owned"; }',
                        '{ address = "unix:{path}.report"; policy = "owned"; mode = "report"; }'],
          "policies": '{ name = "owned"; base = "appapi"; owner = "me"; }'}
SHORT = ID[:12]
MINE = {"harp.filter.owner": "me"}
ASKED = "GET /containers/"


def details(name="/nc_app_x", labels=None, full=ID):
    return told({"Id": full, "Name": name, "Config": {"Labels": MINE if labels is None else labels}})


class Asked:
    """The engine: answers questions of the filter's own by `about`, calls by "done"."""

    def __init__(self, front, about):
        self.about = about
        front.engine.answer = self

    def __call__(self, connection, request):
        own = request.head.tokens("Connection") == ["close"]
        if not own:
            return response(b"done")
        return self.about(connection, request) if callable(self.about) else self.about


def owned(front, target, *fields, method="GET", body=b"", listener="owned"):
    with RawClient(f"{front.filter.path}.{listener}") as client:
        return client.ask(target, *fields, method=method, body=body)


@pytest.mark.parametrize("name", [SHORT, ID[:30], ID])
@pytest.mark.parametrize("method, path", [("POST", "/stop?t=3"), ("GET", "/logs?stdout=1"),
                                          ("DELETE", "?force=1")])
def test_an_id_passes_when_its_container_has_a_name_of_the_policy(front, name, method, path):
    """What goes on has the whole id: what was asked about, whatever a part of it means by then."""
    Asked(front, details())
    answer = front.ask(f"/v1.41/containers/{name}{path}", method=method)
    assert answer.body == b"done"
    assert front.targets() == [f"{ASKED}{name}/json", f"{method} /v1.41/containers/{ID}{path}"]
    assert front.engine.requests[0].head.get("User-Agent") == "harp-socket-filter"


@pytest.mark.parametrize("name", ["/other", "/nc_app_", "/xnc_app_y", "other"])
def test_an_id_of_another_container_is_refused(front, name):
    Asked(front, details(name))
    before = front.metrics()["refused"]
    answer = front.ask(f"/v1.41/containers/{SHORT}/stop", method="POST")
    assert answer.status == 403 and "a name that the policy does not list" in answer.text
    assert front.targets() == [f"{ASKED}{SHORT}/json"]
    assert front.metrics()["refused"] == before + 1


def test_a_body_and_an_archive_go_to_the_container_that_was_asked_about(front):
    Asked(front, details())
    body = b'{"Cmd":["cat","/etc/os-release"]}'
    assert front.ask(f"/containers/{SHORT}/exec", JSON, method="POST", body=body).body == b"done"
    data = archive()
    assert front.ask(f"/containers/{SHORT}/archive?path=%2F", TAR, method="PUT", body=data).body == b"done"
    assert front.targets()[1::2] == [f"POST /containers/{ID}/exec", f"PUT /containers/{ID}/archive?path=%2F"]
    assert front.engine.requests[1].body == body
    assert members(front.engine.requests[3].body) == members(data)


@pytest.mark.parametrize("name", [SHORT[:11], "nc_app_x", "abcdef", ID + "0", SHORT.upper()])
def test_nothing_is_asked_about_what_is_no_id(front, name):
    Asked(front, details())
    answer = front.ask(f"/containers/{name}/stop", method="POST")
    assert answer.status == (200 if name == "nc_app_x" else 403)
    assert not any(target.startswith(ASKED) for target in front.targets())


@pytest.mark.parametrize("status", [b"404 Not Found", b"400 Bad Request", b"403 Forbidden",
                                    b"500 Internal Server Error", b"503 Service Unavailable"])
def test_what_the_engine_says_of_it_is_passed_on(front, status):
    Asked(front, told({"message": "No such container: so says the engine"}, status))
    answer = front.ask(f"/containers/{SHORT}/stop", method="POST")
    assert str(answer.status).encode() == status[:3]
    assert json.loads(answer.body) == {"message": "No such container: so says the engine"}
    assert front.targets() == [f"{ASKED}{SHORT}/json"]


BAD = {
    "no JSON": response(b"nonsense"), "no name": told({"Id": ID}), "empty name": details(""),
    "a slash for a name": details("/"), "no id": told({"Name": "/nc_app_x"}),
    "a short id": details(full=ID[:63]), "an id in capitals": details(full=ID.upper()),
    "an id with a path": details(full="../" + ID[:61]), "an array": told([]),
    "a name that is a number": told({"Id": ID, "Name": 7}), "a key twice": response(
        b'{"Id":"%s","Name":"/nc_app_x","Name":"/other"}' % ID.encode()),
    "nothing": response(b""), "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "201": told({"Id": ID, "Name": "/nc_app_x"}, b"201 Created"),
    "redirect": response(b"", b"301 Moved Permanently", b"Location: /x"),
    "304": b"HTTP/1.1 304 Not Modified\r\n\r\n", "garbage": b"garbage\r\n\r\n", "hangs up": CLOSE,
    "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{",
    "101": b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
    "larger than 4 MiB": told({"Id": ID, "Name": "/nc_app_x", "x": "y" * (4 << 20)})}


@pytest.mark.parametrize("fault", BAD)
def test_nothing_passes_on_the_word_of_an_engine_that_makes_no_sense(front, fault):
    def say(connection, _request):
        if fault == "cut":
            connection.send(BAD[fault])
            return CLOSE
        return BAD[fault]

    failures = front.metrics()["engine_failures_total"]
    Asked(front, say)
    with front.client() as client:
        answer = client.ask(f"/containers/{SHORT}/stop", method="POST")
        assert answer.status == 502 and "the engine's answer about the object" in answer.text
        assert client.ask("/_ping").body == b"done"
    assert front.targets() == [f"{ASKED}{SHORT}/json", "GET /_ping"]
    assert front.metrics()["engine_failures_total"] == failures + 1


def test_the_answer_may_come_in_any_framing(front):
    body = details().partition(b"\r\n\r\n")[2]
    Asked(front, CHUNKED + b"".join(chunk(body[i:i + 5]) for i in range(0, len(body), 5)) + LAST)
    assert front.ask(f"/containers/{SHORT}/stop", method="POST").body == b"done"


# ---- the owner's label ----

@pytest.mark.parametrize("labels, status", [
    (MINE, 200), ({}, 403), ({"harp.filter.owner": "other"}, 403), ({"harp.filter.owner": ""}, 403),
    ({"harp.filter.owner": ["me"]}, 403), ({"Harp.filter.owner": "me"}, 403), ([], 403), ("me", 403)])
def test_only_what_has_the_owners_label_is_served(front, labels, status):
    Asked(front, details(labels=labels))
    for method, target in [("POST", STOP), ("GET", f"{APP}/json"), ("DELETE", APP),
                           ("GET", f"{APP}/logs?stdout=1"), ("POST", f"/containers/{SHORT}/start")]:
        if target.endswith("/json") and status == 200:
            continue  # "done" is no JSON
        answer = owned(front, target, method=method)
        assert answer.status == status, target
        if status == 403:
            assert "lacks the label of its owner" in answer.text
    assert all(target.startswith(ASKED) or status == 200 for target in front.targets())


def test_a_container_that_was_looked_at_by_its_name_is_meant_by_its_id(front):
    """Another one may have the name by the time of the call."""
    Asked(front, details())
    assert owned(front, STOP, method="POST").body == b"done"
    assert front.targets() == [f"{ASKED}nc_app_x/json", f"POST /v1.41/containers/{ID}/stop"]


@pytest.mark.parametrize("labels, status", [(MINE, 200), ({}, 403), (None, 403), ({"a": "b"}, 403)])
@pytest.mark.parametrize("method, target", [("GET", "/volumes/nc_app_x_data"),
                                            ("DELETE", "/volumes/nc_app_x_data")])
def test_volumes_have_it_too(front, labels, status, method, target):
    Asked(front, told({"Name": "nc_app_x_data", "Labels": labels}))
    assert owned(front, target, method=method).status == status
    wanted = ["GET /volumes/nc_app_x_data"] + ([f"{method} {target}"] if status == 200 else [])
    assert front.targets() == wanted


def mounts(*names):
    return json.dumps({"Image": "x", "HostConfig": {"Mounts": [
        {"Type": "volume", "Source": name, "Target": f"/m{number}"}
        for number, name in enumerate(names)]}}).encode()


@pytest.mark.parametrize("count", [1, 2, 65, 128])
@pytest.mark.parametrize("foreign", [None, "first", "last"])
def test_each_volume_that_a_container_mounts_is_asked_about(front, count, foreign):
    names = [f"nc_app_v{number}_data" for number in range(count)]
    bad = {None: None, "first": names[0], "last": names[-1]}[foreign]
    Asked(front, lambda _, request: told({"Labels": {} if request.target == f"/volumes/{bad}" else MINE}))
    answer = owned(front, CREATE, JSON, method="POST", body=mounts(*names))
    assert answer.status == (403 if foreign else 200), answer
    seen = names if foreign != "first" else names[:1]
    wanted = [f"GET /volumes/{name}" for name in seen] + ([] if foreign else [f"POST {CREATE}"])
    assert front.targets() == wanted
    if not foreign:
        assert json.loads(front.engine.requests[-1].body)["Labels"] == MINE


def test_a_volume_that_is_not_there_is_not_made_by_the_way(front):
    Asked(front, told({"message": "no such volume"}, b"404 Not Found"))
    answer = owned(front, CREATE, JSON, method="POST", body=mounts("nc_app_v_data"))
    assert (answer.status, json.loads(answer.body)) == (404, {"message": "no such volume"})
    assert front.targets() == ["GET /volumes/nc_app_v_data"]


def test_report_mode_passes_what_lacks_the_label_and_says_so(front):
    Asked(front, details(labels={}))
    before = front.metrics()["would-refuse"]
    assert owned(front, STOP, b"X-Own: 1", method="POST", listener="report").body == b"done"
    request = front.engine.requests[-1]
    assert request.target == STOP and request.head.get("X-Own") == "1"
    assert front.metrics()["would-refuse"] == before + 1
    body = mounts("nc_app_v_data")
    Asked(front, told({"Labels": {}}))
    assert owned(front, CREATE, JSON, method="POST", body=body, listener="report").body == b"done"
    assert front.engine.requests[-1].body == body


def test_calls_that_follow_wait_while_the_engine_is_asked(front):
    release = threading.Event()
    Asked(front, hold(release, details()))
    with front.client() as client:
        client.get(f"/containers/{SHORT}/stop", method="POST")
        front.engine.wait_requests(1)
        client.get("/swarm")
        client.get("/_ping")
        release.set()
        assert [client.response().status for _ in range(3)] == [200, 403, 200]


def test_an_archive_waits_while_the_engine_is_asked(front):
    release = threading.Event()
    Asked(front, hold(release, details()))
    data = archive(size=300000)
    with RawClient(f"{front.filter.path}.owned") as client:
        client.get(ARCHIVE, TAR, b"Content-Length: %d" % len(data), method="PUT")
        front.engine.wait_requests(1)
        sender = threading.Thread(target=client.send, args=(data,))
        sender.start()
        release.set()
        assert client.response().body == b"done"
        sender.join()
    assert members(front.engine.requests[-1].body) == members(data)


def test_an_engine_that_is_away_is_a_503(tmp_path_factory, certs):
    front, close = open_front(tmp_path_factory, certs, "lookup-away")
    try:
        front.engine.close()
        failures = front.metrics()["engine_failures_total"]
        assert front.ask(f"/containers/{SHORT}/stop", method="POST").status == 503
        assert front.metrics()["engine_failures_total"] == failures + 1
        assert wait_for(lambda: front.metrics()["clients"] == 1)
    finally:
        close()
