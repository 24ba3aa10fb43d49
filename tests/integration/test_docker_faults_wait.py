"""wait_for_start: what a container goes through, and when the hub stops looking."""
import json

import pytest

from conftest import open_site
from harness import wait_for
from harness.engine_calls import Engines, typed_client
from harness.wait import SLOWNESS

INSPECT = ("GET", "/containers/[^/]+/json")
CREATED = {"status": "created"}
RUNNING = {"status": "running", "exit_code": 0}
RESTARTING = {"status": "restarting", "exit_code": 3}


def restart(count):
    """What Docker shows of an app that ends with 3 again and again."""
    return [{**RESTARTING, "restarts": count},
            {**RUNNING, "restarts": count, "started_at": f"2026-11-23T06:10:{count:02}.1Z"}]


# Attributes of each inspect in turn, the last ones stay: what is answered.
STORIES = {
    "runs at once": ([RUNNING], {"started": True, "status": "running", "health": None}),
    "runs after a while": ([CREATED, CREATED, RUNNING],
                           {"started": True, "status": "running", "health": None}),
    "becomes healthy": ([{**RUNNING, "health": "starting"}, {}, {"health": "healthy"}],
                        {"started": True, "status": "running", "health": "healthy"}),
    "becomes unhealthy": ([{**RUNNING, "health": "starting"}, {"health": "unhealthy"}],
                          {"started": True, "status": "running", "health": "unhealthy",
                           "reason": "unhealthy"}),
    "exits": ([CREATED, {"status": "exited", "exit_code": 1}],
              {"started": False, "status": "exited", "health": None,
               "reason": "non-recoverable state: exited"}),
    "is paused": ([{"status": "paused"}],
                  {"started": False, "status": "paused", "health": None,
                   "reason": "non-recoverable state: paused"}),
    "is dead": ([CREATED, {"status": "dead"}],
                {"started": False, "status": "dead", "health": None,
                 "reason": "non-recoverable state: dead"}),
}
# Each is told as restarting, with the exit code 3.
RESTARTS = {
    "seen restarting at once": [CREATED, *restart(1)],
    "seen running, then restarting": [CREATED, RUNNING, *restart(1), *restart(2), *restart(3)],
    "restarts before its health is known": [{**RUNNING, "restarts": 0, "health": "starting"},
                               {"restarts": 1, "exit_code": 3, "status": "restarting"}],
    "seen running after a restart": [{**RUNNING, "restarts": 4, "exit_code": 3}, *restart(5),
                                     *restart(6)],
}


@pytest.fixture(scope="module")
def file_engines(tmp_path_factory, certs):
    site = open_site(tmp_path_factory, certs, "start")
    try:
        yield Engines(site, {"HP_ENGINE_START_TIMEOUT": f"{int(3 * SLOWNESS)}s"})
    finally:
        site.close()


def waited(way, name="app"):
    reply = way.typed("wait_for_start", {"name": name})
    assert reply.status == 200, reply
    return json.loads(reply.body)


@pytest.mark.parametrize("story", STORIES)
def test_a_container_is_watched_until_it_is_clear(way, story):
    script, wanted = STORIES[story]
    way.engine.model.add_container("nc_app_app", script=[dict(step) for step in script])
    assert waited(way) == wanted
    assert len(way.engine.asked(*INSPECT)) >= len(script)


def test_a_container_that_is_not_there(way):
    told = waited(way)
    assert told.items() >= {"started": False, "status": "not_found"}.items()
    assert len(way.engine.asked(*INSPECT)) == 1


@pytest.mark.parametrize("story", RESTARTS)
def test_a_container_that_restarts_is_not_started(way, story):
    way.engine.model.add_container("nc_app_app", script=[dict(step) for step in RESTARTS[story]])
    told = waited(way)
    assert told["started"] is False and told["status"] == "restarting", told
    assert "3" in told["reason"], told


@pytest.mark.parametrize("script, status, health", [
    ([CREATED], "created", None), ([{**RUNNING, "health": "starting"}], "running", "starting")])
def test_a_container_that_never_gets_there_is_given_up(way, script, status, health):
    way.engine.model.add_container("nc_app_app", script=[dict(step) for step in script])
    assert waited(way) == {"started": False, "status": status, "health": health,
                           "reason": "timeout after max tries"}
    assert 2 <= len(way.engine.asked(*INSPECT)) <= 6 * SLOWNESS + 2  # two looks a second


def test_a_container_that_is_removed_meanwhile(way):
    way.engine.model.add_container("nc_app_app")
    with typed_client(way, "wait_for_start", {"name": "app"}) as client:
        way.engine.wait_asked(1, *INSPECT)
        with way.engine.model.lock:
            del way.engine.model.containers["nc_app_app"]
        told = json.loads(client.response("POST").body)
    assert told.items() >= {"started": False, "status": "not_found"}.items()


def test_nobody_is_waited_for_once_the_client_has_left(way):
    """Waiting for another container, to the end of its time, is the clock."""
    way.engine.model.add_container("nc_app_app")
    way.engine.model.add_container("nc_app_clock")
    with typed_client(way, "wait_for_start", {"name": "app"}):
        way.engine.wait_asked(2, "GET", "/containers/nc_app_app/json")
    left = len(way.engine.asked("GET", "/containers/nc_app_app/json"))
    assert waited(way, "clock")["reason"] == "timeout after max tries"
    assert len(way.engine.asked("GET", "/containers/nc_app_clock/json")) >= 2
    assert len(way.engine.asked("GET", "/containers/nc_app_app/json")) <= left + 1


def test_a_look_that_hangs_is_ended_when_the_client_leaves(way):
    way.engine.model.add_container("nc_app_app")
    hold = way.engine.hold(*INSPECT)
    with typed_client(way, "wait_for_start", {"name": "app"}):
        call, = hold.wait_calls()
    way.engine.wait_gone(call)


def test_many_are_waited_for_at_once(way):
    """Each is told when its own container is there."""
    names = [f"many{number}" for number in range(20)]
    for name in names:
        way.engine.model.add_container("nc_app_" + name)
    clients = {name: typed_client(way, "wait_for_start", {"name": name}) for name in names}
    try:
        way.engine.wait_asked(len(names), *INSPECT)
        for name in reversed(names):
            way.engine.model.containers["nc_app_" + name].status = "running"
        for client in clients.values():
            assert json.loads(client.response("POST").body)["started"] is True
    finally:
        for client in clients.values():
            client.close()
    wait_for(lambda: all(call.connection.ended.is_set() for call in way.engine.asked(*INSPECT)),
             what="the hub to let go of the engine")
