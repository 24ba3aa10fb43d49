"""wait_for_start, and logs as they come."""
import json

from harness import RawClient
from harness.appapi import CONTROL
from harness.deploy import ExAppSpec
from harness.docker_api import frames, stream
from harness.docker_images import CRASH_CODE, CRASHES, ENDS, HEALTHY, UNHEALTHY
from harness.wait import DEFAULT

RECORDED = True


# ---- wait_for_start ----

def test_running_without_a_health_check_is_started(daemon):
    app = daemon.running()
    assert daemon.wait_for_start(app) == {"started": True, "status": "running", "health": None}


def test_a_health_check_is_waited_for(daemon):
    app = daemon.running(image=HEALTHY)
    assert daemon.wait_for_start(app) == {"started": True, "status": "running",
                                          "health": "healthy"}


def test_unhealthy_is_started_but_says_so(daemon):
    app = daemon.running(image=UNHEALTHY)
    assert daemon.wait_for_start(app) == {"started": True, "status": "running",
                                          "health": "unhealthy", "reason": "unhealthy"}


def test_a_container_that_ended_at_once_is_not_started(daemon):
    app = daemon.created(image=ENDS, changes={"restart_policy": "no"})
    daemon.start(app)
    daemon.api.wait_status(app.container, "exited")
    assert daemon.wait_for_start(app) == {"started": False, "status": "exited", "health": None,
                                          "reason": "non-recoverable state: exited"}


def test_a_container_that_crashes_while_waited_for_is_not_started(daemon):
    """It ran when it was asked about first."""
    app = daemon.created(image=CRASHES, changes={"restart_policy": "no"})
    daemon.start(app)
    told = daemon.wait_for_start(app)
    assert (told["started"], told["status"]) == (False, "exited")


def test_a_container_that_restarts_again_and_again_is_not_started(daemon):
    app = daemon.running(image=CRASHES)
    told = daemon.wait_for_start(app)
    assert (told["started"], told["status"]) == (False, "restarting"), told
    assert str(CRASH_CODE) in told["reason"], told


def test_a_container_that_is_not_there_is_not_found(daemon):
    assert daemon.wait_for_start(ExAppSpec("nobody")) == {
        "started": False, "status": "not_found", "reason": "container not found"}


def test_a_paused_container_is_not_started(daemon):
    app = daemon.running()
    daemon.api.call("POST", f"/containers/{app.container}/pause")
    told = daemon.wait_for_start(app)
    assert told == {"started": False, "status": "paused", "health": None,
                    "reason": "non-recoverable state: paused"}


def test_a_container_that_is_started_meanwhile_is_waited_for(daemon):
    app = daemon.created()
    with daemon.begin("wait_for_start", app) as client:
        daemon.recorder.wait_asked(2, "GET", app.container)
        daemon.start(app)  # and so the wait is in nobody's way
        assert json.loads(client.response(seconds=2 * DEFAULT).body)["started"] is True


def polls(daemon, app):
    return len(daemon.recorder.asked("GET", f"{app.container}/json"))


def test_waiting_asks_again_and_ends_with_its_client(daemon):
    """What a wait for another container takes is the clock here."""
    app, other = daemon.created(), daemon.created()
    with daemon.begin("wait_for_start", app):
        daemon.recorder.wait_asked(3, "GET", f"{app.container}/json")
    daemon.marker()
    before = polls(daemon, app)
    with daemon.begin("wait_for_start", other):
        daemon.recorder.wait_asked(4, "GET", f"{other.container}/json")
    # One may have been on its way.
    assert polls(daemon, app) <= before + 1
    assert daemon.expect(200, "exists", app)["exists"]


# ---- logs ----

def logs(app, query="stdout=true&stderr=true"):
    return f"v1.41/containers/{app.container}/logs?{query}"


def test_logs_are_the_engines_bytes(daemon):
    app = daemon.connected()
    daemon.api.wait_logged(app.container, b"GET /heartbeat\n")
    reply = daemon.gate(logs(app))
    assert reply.status == 200
    assert b"exapp: listening" in stream(reply.body, 2)
    assert b"GET /heartbeat" in stream(reply.body, 1)
    # Lines of the tunnel client may be added meanwhile.
    assert daemon.api.logs(app.container).startswith(reply.body)


def test_what_is_asked_of_the_log_counts(daemon):
    app = daemon.connected()
    daemon.api.wait_logged(app.container, b"GET /heartbeat\n")
    assert {kind for kind, _ in frames(daemon.gate(logs(app, "stdout=true")).body)} == {1}
    assert len(frames(daemon.gate(logs(app, "stdout=1&tail=1")).body)) == 1
    line = stream(daemon.gate(logs(app, "stdout=1&tail=1&timestamps=1")).body, 1)
    assert line[:4].isdigit() and line.split()[0].endswith(b"Z")


def follow(daemon, app, query):
    """A RawClient that reads the log as it is written."""
    client = RawClient(daemon.hub.http)
    client.get(f"{CONTROL}/{logs(app, query)}", *daemon.fields(), b"Connection: close")
    assert client.head().start.startswith(b"HTTP/1.1 200 ")
    return client


def test_followed_logs_come_as_they_are_written_and_end_with_the_client(daemon):
    app = daemon.connected()
    with follow(daemon, app, "stdout=true&follow=true") as client:
        client.until(b"GET /heartbeat\n")
        for number in range(3):
            assert daemon.browse(app, f"/line{number}").status == 200
            client.until(b"GET /line%d\n" % number)
    carrier = daemon.recorder.asked("GET", "/logs")[0].connection
    daemon.recorder.wait(lambda: carrier not in [pair.number for pair in daemon.recorder.pairs],
                         "the end of the engine's connection that carried the log")


def test_a_followed_log_ends_when_the_container_does(daemon):
    app = daemon.running()
    with follow(daemon, app, "stderr=true&follow=true") as client:
        client.until(b"exapp: listening")
        daemon.expect(204, "stop", app)
        assert client.rest().endswith(b"\r\n0\r\n\r\n")
