"""Recorded calls about containers, played again with a real engine: the same answers as HaRP's, and
as the engine's behind it. What differs on purpose stands in DIFFERENCES, with the reason.

Each scenario is played once, in order, to a hub of its own; the tests look at what came of it.
"""
import json
import re

import pytest

from harness import leaked
from harness.deploy import TOKEN
from harness.docker_api import frames
from harness.docker_fixtures import connect, tidy
from harness.recorded import load, record_of_testapp
from harness.recorded_docker import (SCENARIOS, SETTINGS, adapted_environment, asked,
                                     is_of_the_app, parsed, play)

EXCHANGES = {(name, exchange["seq"]): exchange for name in SCENARIOS for exchange in asked(name)}
REFUSED = {"message": re.compile("refused by policy: ")}
PATH_NAME = "a name can't reach another container or call: no / and no .."
POLICY = "refused in the form of Docker's own errors, with the reason"

# (scenario, seq): (what is expected instead, why). status None: closed without an answer; words:
# how the first line begins; body: the JSON body, a pattern for a text
DIFFERENCES = {
    ("control-docker", 216): ({"status": 503, "words":
                               "Could not connect to Docker Engine on port 24077"},
                              "as with all other calls"),
    ("control-docker", 222): ({"words": "Could not connect to Docker Engine on port 22"},
                              "no port but an engine's is ever connected to"),
    ("control-docker", 239): ({"status": 400, "words": "Payload validation error: "}, PATH_NAME),
    ("control-docker", 240): ({"status": 400, "words": "Payload validation error: "}, PATH_NAME),
    **{("control-docker-api", seq): ({"status": 403, "body": REFUSED}, POLICY)
       for seq in (244, 245, 246, 248, 250, 251, 252, 253, 254, 257, 258, 259, 266)},
    ("control-docker-api", 263): ({"status": None}, "dot segments are refused in any encoding"),
    ("control-docker-api", 264): ({"status": 400, "body": None}, "an empty segment: HaRP let the "
                                  "engine answer with a redirect"),
    **{("fail-engine-not-connected", seq): ({"body": {"message": re.compile("hop: tunnel: ")}},
                                            "as the engine's errors, with what is missing")
       for seq in (632, 633)},
}

# What is compared of the engine's documents, by its path in them.
CONTAINER = ["Name", "State.Status", "State.Running", "State.Health.Status", "RestartCount",
             "HostConfig.NetworkMode", "HostConfig.RestartPolicy", "HostConfig.Memory",
             "HostConfig.NanoCpus", "HostConfig.Privileged", "Config.Hostname", "Config.Image",
             "Config.Entrypoint"]
OF_ENGINE = ("api-version", "docker-experimental", "ostype")


def play_scenario(site, engine, bundle, name, way="local"):
    """The daemon, {seq: Response or None}, and the containers and volumes that are left."""
    nextcloud = site.nextcloud(key=SETTINGS["HP_SHARED_KEY"])
    nextcloud.apps["testapp"] = record_of_testapp()
    daemon = connect(site, engine, way, settings=SETTINGS, nextcloud=nextcloud)
    try:
        SCENARIOS[name](daemon)
        replies = {exchange["seq"]: play(daemon, bundle, exchange) for exchange in asked(name)}
        assert leaked(daemon.hub.output()) == []
        return daemon, replies, engine.api.containers(), engine.api.volumes()
    finally:
        tidy(engine)


@pytest.fixture(scope="module")
def played(tmp_path_factory, certs, engine, ca_bundle):
    """played(name): daemon, replies, containers and volumes at its end."""
    from conftest import open_site
    done = {}

    def of(name):
        if name not in done:
            site = open_site(tmp_path_factory, certs, name)
            try:
                done[name] = play_scenario(site, engine, ca_bundle.text, name)
            except (AssertionError, OSError) as error:
                done[name] = error
            finally:
                site.close()
        if isinstance(done[name], Exception):
            raise AssertionError(f"{name} could not be played: {done[name]}")
        return done[name]

    return of


@pytest.fixture
def reply(played, key):
    return played(key[0])[1][key[1]]


def expected(key):
    return DIFFERENCES.get(key, ({}, ""))[0]


def recorded_body(key):
    return (EXCHANGES[key]["response"] or {}).get("body")


def expected_status(key):
    return expected(key).get("status", EXCHANGES[key]["response"]["status"])


def about(*conditions):
    """Those exchanges that have an answer and meet all conditions."""
    keys = [key for key in EXCHANGES if expected_status(key) is not None
            and all(condition(key) for condition in conditions)]
    assert keys
    return pytest.mark.parametrize("key", keys, ids=lambda key: f"{key[0]}-{key[1]}")


def is_same(key):
    return not expected(key)


def is_hubs(key):
    """A text or a small document of the hub's own."""
    return "/docker/exapp/" in EXCHANGES[key]["request"]["path"]


def is_document(key):
    """An inspected container."""
    body = recorded_body(key)
    return isinstance(body, dict) and "HostConfig" in body


def is_image(key):
    body = recorded_body(key)
    return isinstance(body, dict) and "RepoTags" in body


def is_engines(key):
    headers = (EXCHANGES[key]["response"] or {}).get("headers") or []
    return any(name.lower() == "api-version" for name, _ in headers)


def is_message(key):
    return isinstance(recorded_body(key), dict) and set(recorded_body(key)) == {"message"}


def at(document, path):
    for part in path.split("."):
        document = (document or {}).get(part)
    return document


@pytest.mark.parametrize("key", EXCHANGES, ids=lambda key: f"{key[0]}-{key[1]}")
def test_same_status(reply, key):
    assert (reply.status if reply else None) == expected_status(key), (reply, expected(key))


@about(is_hubs, lambda key: isinstance(recorded_body(key), str) and recorded_body(key) != "")
def test_texts_begin_with_harps_words(reply, key):
    words = expected(key).get("words", recorded_body(key).splitlines()[0])
    first = reply.text.splitlines()[0]
    assert reply.head.get("Content-Type").startswith("text/plain")
    if words.startswith("Payload validation error:"):
        # What follows is a Python library's own there; ours says what is wrong, too.
        assert re.match("Payload validation error: .{8,}", first), first
    else:
        assert first == words if "words" not in expected(key) else first.startswith(words)


@about(is_hubs, lambda key: recorded_body(key) == "")
def test_no_body_where_harp_had_none(reply, key):
    assert reply.body == b""


@about(is_hubs, is_same, lambda key: isinstance(recorded_body(key), dict))
def test_same_documents_of_the_hub(reply, key):
    told, recorded = parsed(reply), dict(recorded_body(key))
    if "id" in recorded:
        assert re.fullmatch("[0-9a-f]{64}", told.pop("id")) and recorded.pop("id")
    assert told == recorded


@about(is_document)
def test_same_container_behind_the_gate(played, reply, key):
    told, recorded = parsed(reply), recorded_body(key)
    for path in CONTAINER:
        assert at(told, path) == at(recorded, path), path
    assert [(row["Type"], row["Source"], row["Target"]) for row in told["HostConfig"]["Mounts"]] \
        == [(row["Type"], row["Source"], row["Target"]) for row in recorded["HostConfig"]["Mounts"]]
    assert set(told["NetworkSettings"]["Networks"]) == set(recorded["NetworkSettings"]["Networks"])
    for name, value in recorded.items():
        assert isinstance(told[name], type(value)), name


@about(is_document, lambda key: key[0] in ("app-register", "healthcheck-image", "fail-unhealthy"))
def test_same_environment_but_for_the_key(played, reply, key):
    told = parsed(reply)["Config"]["Env"]
    recorded = adapted_environment(recorded_body(key)["Config"]["Env"], played(key[0])[0].hub)
    names = [row.partition("=")[0] for row in recorded]
    index = names.index("HP_SHARED_KEY")
    assert [row.partition("=")[0] for row in told] == names
    assert told[:index] == recorded[:index]
    match = TOKEN.match(told[index].partition("=")[2])
    assert match and match.groups()[:3] == ("nc_app_testapp", "testapp", "23000")


@about(is_image)
def test_same_image_behind_the_gate(reply, key):
    told, recorded = parsed(reply), recorded_body(key)
    assert re.fullmatch("sha256:[0-9a-f]{64}", told["Id"])
    assert set(told["RepoTags"]) == set(recorded["RepoTags"])
    assert bool(told["Config"].get("Healthcheck")) == bool(recorded["Config"].get("Healthcheck"))
    for name, value in recorded.items():
        assert isinstance(told[name], type(value)), name


@about(is_engines, is_same)
def test_the_engines_header_fields_come_back(played, reply, key):
    recorded = EXCHANGES[key]["response"]["headers"]
    for name in [name.lower() for name, _ in recorded if name.lower() in OF_ENGINE]:
        assert reply.head.get(name), name
    kind = [value for name, value in recorded if name.lower() == "content-type"]
    if kind:
        assert reply.head.get("Content-Type") == kind[0]


@about(is_message, is_same)
def test_same_words_of_the_engine(reply, key):
    told, recorded = parsed(reply)["message"], recorded_body(key)["message"]
    if "registry.test/v2" in recorded:  # which resolver did not answer is no matter
        assert told.startswith('Get "https://registry.test/v2/": dial tcp: lookup registry.test')
    else:
        # Newer engines tell the same without saying it twice, or three times.
        assert told in (recorded, recorded.partition(": ")[2], recorded.split(": ", 2)[-1]), told


@about(lambda key: "body" in expected(key))
def test_refusals_have_the_form_of_the_engines_errors(reply, key):
    told = parsed(reply)
    assert set(told) == {"message"}
    pattern = (expected(key)["body"] or {}).get("message")
    assert not pattern or pattern.match(told["message"]), told


@about(lambda key: EXCHANGES[key]["request"]["path"].endswith("/logs"))
def test_logs_are_frames(reply, key):
    """The last line of each stream's, as it was asked for one."""
    recorded = frames(recorded_body(key).encode("latin-1"))
    assert len(frames(reply.body)) == len(recorded) == 1


@about(lambda key: EXCHANGES[key]["request"]["path"].endswith("/_ping"))
def test_pings(reply, key):
    assert reply.text == recorded_body(key)


@about(lambda key: is_of_the_app(EXCHANGES[key]))
def test_the_exapp_answered(reply, key):
    path, recorded = EXCHANGES[key]["request"]["path"], recorded_body(key)
    if path.endswith(("/heartbeat", "/enabled")):
        assert json.loads(reply.body) == recorded
    elif path.endswith("/public/x"):
        told = json.loads(reply.body)
        assert (told["method"], told["path"]) == (recorded["method"], recorded["uri"])


# The recorded state at the end of each scenario.
LEFT = {"control-docker": (["nc_app_testapp"], ["nc_app_testapp_data"]),
        "control-docker-api": (["nc_app_testapp"], ["nc_app_testapp_data"]),
        "app-unregister-keep-data": ([], ["nc_app_testapp_data"]),
        "app-unregister-rm-data": ([], []),
        "fail-engine-not-connected": ([], [])}


@pytest.mark.parametrize("name", SCENARIOS)
def test_same_containers_and_volumes_are_left(played, name):
    assert played(name)[2:] == LEFT.get(name, (["nc_app_testapp"], ["nc_app_testapp_data"]))


def test_every_difference_is_about_a_recorded_exchange():
    assert set(DIFFERENCES) <= set(EXCHANGES)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_recorded_call_to_harp_is_played(name):
    assert [key[1] for key in EXCHANGES if key[0] == name] == sorted(
        exchange["seq"] for exchange in load(name) if exchange["to"] == "HaRP")
