"""Recorded exchanges with HaRP, played again to this hub: the same answers, the same requests at
the ExApp, the same questions to Nextcloud. What differs on purpose stands in DIFFERENCES, with the
reason.

Each file is played once, in order, to a hub of its own; the tests look at what came of it.
"""
import hashlib
import json
import socket

import pytest

from harness import leaked, push
from harness.credentials import RECORDED_KEY
from harness.recorded import (PROXY, RecordedExApp, RecordedNextcloud, addresses, asked_of_hub,
                              body_bytes, calls_during, echoed, fields, get, kind, load, play,
                              record_of_testapp)
from harness.wait import SLOWNESS

FILES = ["proxy-access-levels", "proxy-bodies", "proxy-bruteforce", "proxy-headers", "proxy-paths",
         "proxy-sessions", "proxy-websocket", "control-auth", "control-storage", "manual-install",
         "user-info-headers"]
RECORDED = {name: load(name) for name in FILES}
EXCHANGES = {(name, exchange["seq"]): exchange for name in FILES for exchange in RECORDED[name]
             if asked_of_hub(exchange)}

# (file, seq): (what is expected instead, why). status None: closed without an answer; calls: kinds
# of questions to Nextcloud; without: fields that the ExApp does not get
DIFFERENCES = {
    ("proxy-sessions", 37): ({"status": 403, "calls": ["user-info"]},
                             "who a client is goes by all its cookies, never by the passphrase's"),
    ("proxy-sessions", 47): ({"status": 200, "calls": ["user-info"]},
                             "that a client was anonymous is not remembered, so a login counts"),
    ("proxy-sessions", 49): ({"calls": []}, "the login before was seen already"),
    ("proxy-sessions", 51): ({"calls": []}, "in the recording the time of the first was over"),
    ("proxy-bruteforce", 116): ({"status": 200}, "the shared key exempts from bans"),
    ("proxy-headers", 55): ({"without": ["harp-shared-key"]}, "the key is no ExApp's business"),
    ("proxy-paths", 72): ({"status": None}, "dot segments are refused in any encoding"),
    ("proxy-paths", 79): ({"calls": []}, "an appid that holds a % is none, and not asked for"),
    ("proxy-paths", 84): ({"status": None}, "a backslash is a slash to some servers"),
    ("control-auth", 186): ({"message": "refused by policy: GET info: not an allowed call"},
                            "what the Docker gate refuses is told in Docker's own shape"),
    ("control-auth", 188): ({"status": 404}, "frp's plugin calls are not for the outside"),
    ("control-storage", 272): ({"status": 400}, "broken JSON is the caller's mistake"),
    ("user-info-headers", 162): ({"status": 200}, "Transfer-Encoding is not copied to user-info"),
    ("user-info-headers", 163): ({"status": 200, "calls": ["user-info"]},
                                 "Expect is not copied to user-info"),
}
FIRST_LINES = {400: "400 Bad Request", 401: "401 Unauthorized", 403: "403 Forbidden",
               404: "404 Not Found", 405: "405 Method Not Allowed"}
# Fields of a question to Nextcloud that are the asking library's, or of one connection only.
NOT_COMPARED = ("host", "accept", "accept-encoding", "user-agent", "connection", "upgrade",
                "expect", "transfer-encoding")


def play_file(site, name):
    """{seq: Outcome}"""
    settings = {"HP_SHARED_KEY": RECORDED_KEY, "HP_TRUSTED_PROXY_IPS": PROXY,
                "HP_BLACKLIST_COUNT": "10",
                "HP_SESSION_LIFETIME": "10s" if name == "proxy-sessions" else "0"}
    nc = site.add(RecordedNextcloud())
    exapp = site.add(RecordedExApp(site.socket_path()))
    hub = site.hub(settings=settings, nextcloud=nc)
    site.tunnel(hub, exapp.path, "testapp", 23000, token=RECORDED_KEY)
    site.tunnel(hub, exapp.path, "manapp", 23500, token=RECORDED_KEY)
    if name != "manual-install":
        push(hub, "testapp", record_of_testapp())
    address = addresses(name, RECORDED[name])
    outcomes = {}
    for exchange in filter(asked_of_hub, RECORDED[name]):
        outcomes[exchange["seq"]] = play(hub, nc, exapp, exchange, address[exchange["seq"]])
    exapp.check()
    assert leaked(hub.output()) == []
    return outcomes


@pytest.fixture(scope="module")
def played(tmp_path_factory, certs):
    """played(file): that file's outcomes; each file is played at its first use."""
    from conftest import open_site
    done = {}

    def of(name):
        if name not in done:
            site = open_site(tmp_path_factory, certs, name)
            try:
                done[name] = play_file(site, name)
            except Exception as error:
                done[name] = error
            finally:
                site.close()
        if isinstance(done[name], Exception):
            raise AssertionError(f"{name} could not be played: {done[name]}")
        return done[name]

    return of


def expected(key):
    return DIFFERENCES.get(key, ({}, ""))[0]


def expected_status(key):
    return expected(key).get("status", EXCHANGES[key]["response"]["status"])


def is_hubs_own(key):
    """Whether the answer is the hub's, by its recorded form or because it differs on purpose."""
    exchange = EXCHANGES[key]
    status = expected_status(key)
    if status is None or status < 400:
        return False
    return "status" in expected(key) or "/status/" not in exchange["request"]["path"]


every = pytest.mark.parametrize("key", EXCHANGES, ids=lambda key: f"{key[0]}-{key[1]}")


@every
def test_same_status(played, key):
    outcome = played(key[0])[key[1]]
    assert outcome.status == expected_status(key), (outcome.reply, expected(key))


@pytest.mark.parametrize("key", [key for key in EXCHANGES if expected_status(key) is None],
                         ids=lambda key: f"{key[0]}-{key[1]}")
def test_a_refused_request_is_closed_at_once(played, key):
    """HaRP kept such connections open for 3 to 20 seconds."""
    assert played(key[0])[key[1]].seconds < 1.0 * SLOWNESS


@pytest.mark.parametrize("key", [key for key in EXCHANGES if is_hubs_own(key)],
                         ids=lambda key: f"{key[0]}-{key[1]}")
def test_the_hubs_own_answers_are_text_with_harps_words_first(played, key):
    reply = played(key[0])[key[1]].reply
    if "message" in expected(key):
        assert json.loads(reply.body) == {"message": expected(key)["message"]}
        return
    assert reply.head.get("Content-Type").startswith("text/plain")
    lines = reply.text.splitlines()
    assert lines[0] == FIRST_LINES[expected_status(key)]
    assert any(line.startswith("reason: ") for line in lines[1:]), reply
    allow = get(EXCHANGES[key]["response"].get("headers"), "allow")
    if allow and expected_status(key) == 405:
        assert set(reply.head.tokens("Allow")) == set(allow[0].lower().split(","))


@pytest.mark.parametrize("key", [key for key in EXCHANGES if echoed(EXCHANGES[key])
                                 and expected_status(key) == 200],
                         ids=lambda key: f"{key[0]}-{key[1]}")
def test_same_request_at_the_exapp(played, key):
    outcome = played(key[0])[key[1]]
    recorded, told = echoed(EXCHANGES[key]), json.loads(outcome.reply.body)
    assert (told["method"], told["uri"]) == (recorded["method"], recorded["uri"])
    assert told.get("body") == recorded.get("body")
    left_out = expected(key).get("without", [])
    assert fields(told["headers"]) == [pair for pair in fields(recorded["headers"])
                                       if pair[0] not in left_out]


@every
def test_nothing_of_a_refused_request_and_no_shared_key_reaches_the_exapp(played, key):
    outcome = played(key[0])[key[1]]
    if outcome.reply is None or is_hubs_own(key):
        assert outcome.arrived == []
    for request in outcome.arrived:
        assert not request.head.has("harp-shared-key")
        assert not request.head.has("docker-engine-port")


@pytest.mark.parametrize("key", [key for key in EXCHANGES if EXCHANGES[key]["response"]["status"]
                                 and "status" not in expected(key) and not is_hubs_own(key)],
                         ids=lambda key: f"{key[0]}-{key[1]}")
def test_same_answer_of_the_exapp(played, key):
    """Fields of the ExApp's own, and bodies that are not about one request."""
    exchange = EXCHANGES[key]
    reply = played(key[0])[key[1]].reply
    for name in ("content-type", "set-cookie", "x-from-exapp", "location", "sec-websocket-accept"):
        if exchange["from"] != "AppAPI" and "app_api" not in exchange["request"]["path"]:
            assert reply.head.all(name) == get(exchange["response"]["headers"], name)
    body = exchange["response"].get("body")
    if exchange["request"]["path"].endswith("/upload"):
        return  # see below
    if isinstance(body, dict) and set(body) == {"zeros"}:
        assert reply.body == bytes(body["zeros"])
    elif isinstance(body, str) and reply.status != 101:
        assert reply.text == body
    elif isinstance(body, dict) and not echoed(exchange) and "version" not in body:
        assert json.loads(reply.body) == body


@pytest.mark.parametrize("key", [key for key in EXCHANGES
                                 if EXCHANGES[key]["request"]["path"].endswith("/upload")],
                         ids=lambda key: f"{key[0]}-{key[1]}")
def test_uploads_arrive_whole(played, key):
    sent = body_bytes(EXCHANGES[key]["request"]["body"])
    assert json.loads(played(key[0])[key[1]].reply.body) == {
        "bytes": len(sent), "err": "<nil>", "sha256": hashlib.sha256(sent).hexdigest()}


@every
def test_same_questions_to_nextcloud(played, key):
    name, seq = key
    calls = played(name)[seq].calls
    recorded = calls_during(RECORDED[name], EXCHANGES[key])
    assert [call.kind for call in calls] == expected(key).get(
        "calls", [kind(call) for call in recorded])
    if [call.kind for call in calls] != [kind(call) for call in recorded]:
        return
    for call, other in zip(calls, recorded):
        assert fields(pair for pair in call.fields if pair[0].lower() not in NOT_COMPARED) == \
            fields(pair for pair in other["request"]["headers"]
                   if pair[0].lower() not in NOT_COMPARED)


def test_a_client_that_asks_six_times_within_the_window_is_looked_up_once(played):
    """The notes: user-info calls at the first request 1, at the next five 0."""
    outcomes = played("proxy-sessions")
    assert [len(outcomes[seq].calls) for seq in range(29, 35)] == [1, 0, 0, 0, 0, 0]


def test_info_has_what_appapi_reads(played):
    info = json.loads(played("control-auth")[184].reply.body)
    assert tuple(int(part) for part in info["version"].split(".")[:2]) >= (0, 4)
    assert info["docker"] is True and info["kubernetes"]["enabled"] is False


def test_rightmost_forwarded_address_is_the_clients(played):
    """Forged ones stand to the left of it; the ExApp gets the fields as they came."""
    told = json.loads(played("proxy-headers")[61].reply.body)
    assert [value for name, value in told["headers"] if name.lower() == "x-forwarded-for"] == [
        "203.0.113.9", "127.0.0.73"]


def test_every_difference_is_about_a_recorded_exchange():
    assert set(DIFFERENCES) <= set(EXCHANGES)


@pytest.mark.parametrize("key", [key for key in EXCHANGES if echoed(EXCHANGES[key])],
                         ids=lambda key: f"{key[0]}-{key[1]}")
def test_the_stand_in_for_the_exapp_tells_what_the_recorded_one_did(site, key):
    """Without a hub: the request that the recorded ExApp got, sent to the stand-in."""
    exapp, recorded = site.add(RecordedExApp(site.socket_path())), echoed(EXCHANGES[key])
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(exapp.path)
        lines = [f"{recorded['method']} {recorded['uri']} HTTP/1.1", "Host: h", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in recorded["headers"]]
        sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n"
                     + recorded.get("body", "").encode())
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    told = json.loads(answer[answer.index(b"\r\n\r\n") + 4:])
    assert fields(told["headers"]) == fields(recorded["headers"])
    assert (told["uri"], told.get("body")) == (recorded["uri"], recorded.get("body"))


@pytest.mark.parametrize("name", FILES)
def test_every_recorded_question_to_nextcloud_belongs_to_one_recorded_request(name):
    questions = [exchange["seq"] for exchange in RECORDED[name]
                 if exchange["to"] == "Nextcloud" and exchange["from"] == "HaRP"]
    found = [call["seq"] for exchange in RECORDED[name] if asked_of_hub(exchange)
             for call in calls_during(RECORDED[name], exchange)]
    assert sorted(found) == sorted(questions)
