"""Engines that come, go, and are other ones afterwards, and the API version spoken with each.

The hub is never started again. What it spoke with an engine is asked anew whenever that may be
another one.
"""
import itertools
import json
import signal
import socket

import pytest

from conftest import open_site
from harness import RawClient, app, fetch, run_program, wait_for
from harness.engine_calls import (CONTROL, FAR_PORT, GATE, KEY, LOCAL_PORT, SOON, SUCCESS, TYPED,
                                  Engines, Way, assert_failed, assert_gate_failed, docker_message,
                                  furnish, gate, hop_of, port_field, typed, typed_client)
from harness.engine_faults import FAULTS
from harness.fake_engine import CALLS, FakeEngine

WAYS = ("local", "tunnel")
OWN_CALLS = ("*", CALLS)
# ApiVersion, MinAPIVersion, what the hub is to speak: 1.41 in range, else the engine's nearest.
VERSIONS = [("1.24", "1.12", "1.24"), ("1.30", "1.12", "1.30"), ("1.40", "1.12", "1.40"),
            ("1.41", "1.12", "1.41"), ("1.41", "1.41", "1.41"), ("1.43", "1.24", "1.41"),
            ("1.51", "1.24", "1.41"), ("1.55", "1.44", "1.44"), ("1.99", "1.99", "1.99")]
OLD_WORDS = ("client version 1.41 is too old. Minimum supported API version is 1.44, please "
             "upgrade your client to a newer version")


def spoken(engine):
    """The versions of all calls since the last look, but for the question itself."""
    found = {call.version for call in engine.asked(*OWN_CALLS)}
    engine.calls.clear()
    return found


@pytest.fixture
def engines(site):
    engines = Engines(site, {"HP_ENGINE_TIMEOUT": SOON})
    engines.furnish()
    return engines


class Place:
    """Where engines come and go: a path, and the hub that looks there."""

    def __init__(self, site, name, settings=()):
        self.site, self.name, self.path = site, name, site.socket_path()
        here = name == "local"
        self.hub = site.hub(app(), settings={
            "HP_DOCKER_SOCKET": self.path if here else site.socket_path(),
            "HP_ENGINE_TIMEOUT": SOON, **dict(settings)})
        self.port = LOCAL_PORT if here else FAR_PORT
        self.client = None if here else self.tunnel()
        self.hops = ("Docker engine",) if here else ("Docker engine", "tunnel")
        self.engine = None

    def tunnel(self):
        return self.site.tunnel(self.hub, self.path, name="engine-1", port=FAR_PORT)

    def start(self, **kwargs):
        """An engine, furnished; site ends the last one."""
        self.engine = FakeEngine(self.path, **kwargs)
        furnish(self.engine)
        self.site.add(self.engine)
        return self.engine

    def end(self):
        self.site.things.remove(self.engine)
        self.engine.close()

    def way(self):
        return Way(self.name, self.hub, self.engine, self.port, self.hops)


@pytest.fixture(params=WAYS)
def place(site, request):
    return Place(site, request.param)


# ---- coming and going ----

def test_an_engine_may_come_after_the_hub(place):
    way = place.way()
    for name in TYPED:
        assert_failed(typed(place.hub, name, port=place.port), way, 503)
    for method, path, _ in GATE.values():
        assert_gate_failed(gate(place.hub, method, path, port=place.port), way)
    place.start()
    for name in TYPED:
        reply = typed(place.hub, name, port=place.port)
        assert reply.status == SUCCESS[name], reply
        furnish(place.engine)
    for method, path, status in GATE.values():
        assert gate(place.hub, method, path, port=place.port).status == status


def test_a_missing_socket_is_named(site):
    place = Place(site, "local")
    reply = typed(place.hub, "exists", port=LOCAL_PORT)
    assert_failed(reply, place.way(), 503)
    assert str(place.path) in reply.text or "HP_DOCKER_SOCKET" in reply.text, reply.text


def test_a_file_that_nobody_listens_at_is_told(place):
    place.start()
    assert typed(place.hub, "exists", port=place.port).status == 200
    # Left behind by an engine that was killed: the file is there, and nobody answers.
    place.engine.listener.shutdown(socket.SHUT_RDWR)
    try:
        assert_failed(typed(place.hub, "exists", port=place.port), place.way(), 503)
        assert_gate_failed(gate(place.hub, *GATE["ping"][:2], port=place.port), place.way())
    finally:
        place.end()


@pytest.mark.parametrize("noticed", [True, False])
@pytest.mark.parametrize("before, after", [(("1.41", "1.12", "1.41"), ("1.55", "1.44", "1.44")),
                                           (("1.55", "1.44", "1.44"), ("1.40", "1.12", "1.40")),
                                           (("1.24", "1.12", "1.24"), ("1.43", "1.24", "1.41"))])
def test_an_engine_that_comes_back_as_another_version_is_spoken_to_in_it(place, before, after,
                                                                          noticed):
    """noticed: a call met nobody in between. Else the new engine is the one to say it."""
    place.start(api=before[0], minimum=before[1])
    assert typed(place.hub, "exists", port=place.port).status == 200
    assert spoken(place.engine) == {before[2]}
    place.end()
    if noticed:
        assert_failed(typed(place.hub, "exists", port=place.port), place.way(), 503)
    place.start(api=after[0], minimum=after[1])
    for name in ("exists", "create", "start", "install_certificates", "remove"):
        furnish(place.engine)
        assert typed(place.hub, name, port=place.port).status == SUCCESS[name]
    version = {call.version for call in place.engine.asked(*OWN_CALLS)}
    if before[2] == "1.24" and not noticed:
        assert version <= {"1.24", after[2]}  # the old version is good enough for the new engine
    else:
        assert version == {after[2]}


@pytest.mark.parametrize("name", ["exists", "wait_for_start", "install_certificates"])
def test_an_engine_that_goes_amid_a_call_is_told_and_may_come_back(place, name):
    place.start()
    engine = place.engine
    assert typed(place.hub, "exists", port=place.port).status == 200
    hold = engine.hold()
    with typed_client(place.way(), name) as client:
        hold.wait_calls()
        place.end()
        assert_failed(client.response("POST"), place.way(), 503)
    place.start()
    assert typed(place.hub, name, port=place.port).status == SUCCESS[name]


def test_an_engine_that_goes_amid_a_call_through_the_gate(place):
    place.start()
    hold = place.engine.hold()
    with place.way().gate_client(*GATE["inspect"][:2]) as client:
        hold.wait_calls()
        place.end()
        assert_gate_failed(client.response(), place.way())
    place.start()
    assert gate(place.hub, *GATE["inspect"][:2], port=place.port).status == 200


def test_a_tunnel_that_goes_amid_a_call_is_told_and_may_come_back(site):
    place = Place(site, "tunnel", {"HP_ENGINE_TIMEOUT": "60s"})
    place.start()
    hold = place.engine.hold()
    with typed_client(place.way(), "exists") as asking, \
            place.way().gate_client(*GATE["inspect"][:2]) as looking:
        hold.wait_calls(2)
        place.client.kill()
        assert_failed(asking.response("POST"), place.way(), 503)
        assert_gate_failed(looking.response(), place.way())
    hold.release()
    wait_for(lambda: typed(place.hub, "exists", port=FAR_PORT).status == 503)
    assert hop_of(typed(place.hub, "exists", port=FAR_PORT)) == "tunnel"
    place.engine.heal()
    place.tunnel()
    for name in TYPED:
        furnish(place.engine)
        assert typed(place.hub, name, port=FAR_PORT).status == SUCCESS[name]


def test_a_tunnel_client_that_is_stopped_lets_calls_end(site):
    place = Place(site, "tunnel", {"HP_ENGINE_TIMEOUT": "60s"})
    place.start()
    hold = place.engine.hold()
    with typed_client(place.way(), "exists") as asking, \
            place.way().gate_client(*GATE["inspect"][:2]) as looking:
        hold.wait_calls(2)
        place.client.signal(signal.SIGTERM)
        # By a call that is not held: one that still gets through must come back.
        wait_for(lambda: gate(place.hub, "GET", "/_ping", port=FAR_PORT).status == 503)
        assert hop_of(typed(place.hub, "stop", port=FAR_PORT)) == "tunnel"
        hold.release()
        assert asking.response("POST").status == 200
        assert looking.response().status == 200
    place.client.wait()


def test_a_port_without_a_tunnel_is_a_503_that_names_the_tunnel(engines):
    reply = typed(engines.hub, "exists", port=24077)
    assert reply.status == 503 and hop_of(reply) == "tunnel" and "24077" in reply.text
    reply = gate(engines.hub, *GATE["ping"][:2], port=24077)
    assert reply.status == 503
    assert "tunnel" in docker_message(reply)


def test_two_engines_are_never_mixed_up(site):
    """Each call reaches the engine of its port, also by turns on one connection. The limit is not what this
    is about: on a loaded machine a stand-in may need longer than SOON."""
    engines = Engines(site, {"HP_ENGINE_TIMEOUT": "30s"})
    engines.furnish()
    engines.local.engine.model.add_container("nc_app_here")
    engines.tunnel.engine.model.add_container("nc_app_there")
    turns = [(LOCAL_PORT, "here", True), (FAR_PORT, "here", False), (FAR_PORT, "there", True),
             (LOCAL_PORT, "there", False)]
    with RawClient(engines.hub.http) as client:
        for port, name, there in itertools.chain(turns, turns[::-1], turns):
            client.get(CONTROL + "/docker/exapp/exists", KEY, port_field(port), method="POST",
                       body=json.dumps({"name": name}).encode())
            assert json.loads(client.response("POST").body)["exists"] is there
            client.get(CONTROL + f"/v1.41/containers/nc_app_{name}/json", KEY, port_field(port))
            assert client.response().status == (200 if there else 404)


# ---- the API version ----

@pytest.fixture(scope="module")
def version_site(tmp_path_factory, certs):
    site = open_site(tmp_path_factory, certs, "versions")
    try:
        yield {name: Place(site, name) for name in WAYS}
    finally:
        site.close()


@pytest.fixture
def changing(version_site, request):
    """A place of the file's, where the hub has just seen that there is no engine."""
    place = version_site[request.param]
    assert typed(place.hub, "exists", port=place.port).status == 503
    yield place
    place.end()


BY_BOTH = pytest.mark.parametrize("changing", WAYS, indirect=True)
LOCALLY = pytest.mark.parametrize("changing", ["local"], indirect=True)


@BY_BOTH
@pytest.mark.parametrize("api, minimum, wanted", VERSIONS)
def test_the_version_is_the_highest_that_both_know(changing, api, minimum, wanted):
    engine = changing.start(api=api, minimum=minimum)
    for name in TYPED:
        furnish(engine)
        reply = typed(changing.hub, name, port=changing.port)
        assert reply.status == SUCCESS[name], reply
        assert spoken(engine) == {wanted}, name
    engine.check()


@BY_BOTH
def test_the_version_is_asked_once(changing):
    engine = changing.start()
    for _ in range(5):
        for name in ("exists", "wait_for_start"):
            assert typed(changing.hub, name, port=changing.port).status == 200
    assert len(engine.asked("*", "/version|/_ping")) == 1


@LOCALLY
def test_many_calls_at_once_ask_for_the_version_once(changing):
    """All of them wait for the one answer."""
    engine = changing.start()
    hold = engine.hold("GET", "/version")
    clients = [typed_client(changing.way(), "exists") for _ in range(10)]
    try:
        hold.wait_calls(1)
        hold.release()
        for client in clients:
            assert client.response("POST").status == 200
    finally:
        for client in clients:
            client.close()
    assert len(engine.asked("GET", "/version")) == 1


@LOCALLY
def test_podman_is_spoken_to_by_its_docker_version(changing):
    engine = changing.start(api="1.41", minimum="1.24", podman=True)
    assert typed(changing.hub, "exists", port=LOCAL_PORT).status == 200
    assert spoken(engine) == {"1.41"}
    for method in ("GET", "HEAD"):
        reply = gate(changing.hub, method, "/_ping", port=LOCAL_PORT)
        assert reply.status == 200
        assert reply.head.get("Libpod-Api-Version") == "4.3.1"


@BY_BOTH
def test_a_clients_own_version_is_the_engines_to_refuse(changing):
    """The gate passes AppAPI's /v1.41 on, and the engine's words back."""
    engine = changing.start(api="1.55", minimum="1.44")
    for name in ("image", "inspect", "logs", "pull"):
        method, path, _ = GATE[name]
        reply = gate(changing.hub, method, path, port=changing.port)
        assert reply.status == 400 and docker_message(reply) == OLD_WORDS, reply
    assert {call.version for call in engine.asked(*OWN_CALLS)} == {"1.41"}
    assert gate(changing.hub, "GET", "/_ping", port=changing.port).status == 200
    reply = gate(changing.hub, "GET", "/containers/nc_app_still/json", port=changing.port)
    assert reply.status == 200, "without a version the engine takes its own"


@LOCALLY
@pytest.mark.parametrize("fault", [*FAULTS])
def test_a_version_that_can_not_be_had_fails_the_call_and_is_asked_again(changing, fault):
    engine = changing.start()
    engine.spoil(fault, "GET", "/version")
    assert_failed(typed(changing.hub, "exists", port=LOCAL_PORT), changing.way())
    assert engine.asked(*OWN_CALLS) == []
    engine.heal()
    reply = typed(changing.hub, "exists", port=LOCAL_PORT)
    assert reply.status == 200, reply


@LOCALLY
@pytest.mark.parametrize("said", [
    {}, {"ApiVersion": "1.41"}, {"ApiVersion": "", "MinAPIVersion": ""},
    {"ApiVersion": "1.12", "MinAPIVersion": "1.0"}, {"ApiVersion": "1.23", "MinAPIVersion": "1.12"},
    {"ApiVersion": "2.0", "MinAPIVersion": "2.0"}, {"ApiVersion": "1", "MinAPIVersion": "1"},
    {"ApiVersion": "1.41x", "MinAPIVersion": "1.12"}, {"ApiVersion": 1.41, "MinAPIVersion": 1.12},
    {"ApiVersion": "1.-1", "MinAPIVersion": "1.12"}, {"ApiVersion": "1.99999999999999999999"},
    {"ApiVersion": "1.41/containers/x", "MinAPIVersion": "1.12"}], ids=str)
def test_what_an_engine_says_of_its_version_is_not_trusted(changing, said):
    """Never a path made of anything but v1.N; a version that is of no use fails the call."""
    data = json.dumps(said).encode()
    engine = changing.start()
    engine.spoil(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                 % len(data) + data, "GET", "/version")
    reply = typed(changing.hub, "exists", port=LOCAL_PORT)
    if said == {"ApiVersion": "1.41"} and reply.status == 200:
        return  # engines before 1.12 do not name the oldest one
    assert_failed(reply, changing.way(), 503)
    assert engine.asked(*OWN_CALLS) == []


# ---- a tunnel opens: the hub looks whether the whole way works ----

def test_an_engine_behind_a_new_tunnel_is_looked_at_and_the_log_tells(site):
    place = Place(site, "tunnel")  # without an engine
    place.hub.wait_line("Docker engine 24001 can't be used: hop: Docker engine: ")
    place.start()
    place.hub.wait_line("Docker engine 24001 speaks API version 1.41")  # asked again by itself
    assert [call.path for call in place.engine.calls] == ["/version"]
    assert place.hub.output().count(b"can't be used") == 1
    place.client.stop()
    site.things.remove(place.client)
    client = place.tunnel()
    place.hub.wait_line("Docker engine 24001 speaks API version 1.41", count=2)
    assert [call.path for call in place.engine.calls] == ["/version"] * 2
    said = run_program("harp-tunnel-client", "-c", client.config, "status", "--json", env=client.env)
    assert json.loads(said.stdout)["proxies"][0]["answered"] == 1


def test_an_app_behind_a_new_tunnel_is_not_asked(site):
    hub, _ = site.tunnelled((origin := site.unix_origin()).path)
    assert fetch(hub.http, "/exapps/sample/").status == 200
    assert [request.target for request in origin.requests] == ["/"], "nothing of the hub's own"
