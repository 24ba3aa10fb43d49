"""A hub whose engine has the socket filter in front of it, at the hub's own socket and at the far
side of a tunnel: recorded calls, what the filter refuses of a hub, and the commands about engines.

test_docker_life.py and test_docker_certificates.py have the filter as one of their ways.
"""
import re

import pytest

from conftest import open_site
from harness import run_program
from harness.deploy import LOCAL_ENGINE, Daemon, ExAppSpec, assert_told
from harness.docker_fixtures import connect
from harness.docker_images import PLAIN
from test_docker_recorded import (EXCHANGES, LEFT, expected, expected_status, is_hubs,
                                  play_scenario, recorded_body)

WAYS = ("filter", "tunnel-filter")

# ---- recorded calls ----

# Between them they make each call that a hub asks of an engine.
PLAYED = ["control-docker", "control-docker-api", "app-unregister-rm-data", "healthcheck-image"]
# One of them mounts /tmp, which no policy here lists; the next then is the first of its name.
OTHERWISE = {("control-docker", 231): 503, ("control-docker", 232): 201}


@pytest.mark.parametrize("name", PLAYED)
def test_recorded_calls_end_as_without_a_filter(site, engine, ca_bundle, name):
    daemon, replies, containers, volumes = play_scenario(site, engine, ca_bundle.text, name,
                                                         "filter")
    keys = [key for key in EXCHANGES if key[0] == name]
    assert {key: replies[key[1]] and replies[key[1]].status for key in keys} == {
        key: OTHERWISE.get(key, expected_status(key)) for key in keys}
    for key in set(keys) - set(OTHERWISE):
        if is_hubs(key) and isinstance(recorded_body(key), str) and recorded_body(key):
            words = expected(key).get("words", recorded_body(key).splitlines()[0].split(": ")[0])
            assert replies[key[1]].text.startswith(words), (key, replies[key[1]])
    assert (containers, volumes) == LEFT.get(name, (["nc_app_testapp"], ["nc_app_testapp_data"]))
    assert daemon.filter.output().count(b" refused: ") == sum(key[0] == name and status == 503
                                                              for key, status in OTHERWISE.items())


# ---- what the built-in policy does not let a hub do ----

@pytest.mark.parametrize("changes, why", [
    ({"compute_device": "cuda"}, "DeviceRequests is for GPUs, which the policy does not list"),
    ({"compute_device": "rocm"}, "Devices has a device that the policy does not list"),
    ({"mount_points": [{"source": "/etc", "target": "/mnt", "mode": "ro"}]},
     "mount source is a folder that the policy does not list"),
    ({"mount_points": [{"source": "/srv", "target": "/mnt", "mode": "rw"}]},
     "mount source is a folder that the policy does not list for writing")])
def test_appapi_is_told_what_the_filter_refused_and_why(daemon, changes, why):
    app = daemon.register(ExAppSpec())
    reply = daemon.call("create", app, **daemon.create_body(app, **changes))
    assert_told(reply, 503, f"Error creating container '{app.container}': Status 403",
                "refused by policy: containers/create: ", why)
    assert daemon.api.containers() == []


# ---- harp-hub engines ----

def engines(hub, *arguments):
    return run_program("harp-hub", "--config", hub.config, "engines", *arguments, seconds=60,
                       env=hub.env)


def test_the_list_of_engines_is_whole(daemon):
    app = daemon.created()
    done = engines(daemon.hub)
    assert (done.returncode, done.stderr) == (0, ""), done
    row, = done.stdout.splitlines()[1:]
    version = re.escape(daemon.api.version()[0])
    assert re.fullmatch(rf"{daemon.port}  \S+ +\S+ +{version} +1\.41  +\d+ ms +1", row), row
    assert daemon.api.containers() == [app.container]


def test_the_test_deploy_passes(daemon):
    done = engines(daemon.hub, "test", str(daemon.port), PLAIN)
    assert done.returncode == 0 and "FAILED" not in done.stdout, done
    assert f"Docker engine {daemon.port} can deploy ExApps" in done.stdout
    assert daemon.api.containers() == [] and daemon.api.volumes() == []


@pytest.fixture(scope="module")
def narrow(tmp_path_factory, certs, engine):
    """Hubs before filters that let little pass: made(calls) is a daemon."""
    site = open_site(tmp_path_factory, certs, "narrow")

    def made(*calls):
        listed = ", ".join(f'"{call}"' for call in calls)
        gate = site.filter(
            engine.socket, listeners=['{ address = "unix:{path}"; policy = "narrow"; }'],
            policies=f'{{ name = "narrow"; base = "appapi"; calls = [ {listed} ]; }}')
        hub = site.hub(nextcloud=site.nextcloud(), settings={"HP_DOCKER_SOCKET": gate.path})
        return Daemon(hub, engine.api, LOCAL_ENGINE)

    try:
        yield made
    finally:
        site.close()


def test_what_a_policy_lacks_for_the_list_is_told_below_the_row(narrow):
    daemon = narrow("GET _ping", "GET version")
    done = engines(daemon.hub)
    assert (done.returncode, done.stderr) == (0, ""), done
    row, why = done.stdout.splitlines()[1:]
    assert f" {daemon.api.version()[0]} " in row and row.endswith(" -")
    assert why.strip() == ("it answered 403: refused by policy: GET containers/json: "
                           "not an allowed call")


def test_what_a_policy_lacks_for_everything_is_told_wherever_it_is_missed(narrow):
    daemon = narrow("GET _ping", "GET images/{image}/json")
    said = ("it answered 403 when asked for its version: refused by policy: GET version: "
            "not an allowed call")
    done = engines(daemon.hub)
    assert done.stdout.splitlines()[-1].strip() == f"Docker engine: {said}", done
    done = engines(daemon.hub, "test", str(daemon.port), PLAIN)
    assert done.returncode == 1 and f"{said}\n" in done.stdout, done
    assert f"Docker engine {daemon.port} can't deploy ExApps yet" in done.stdout
    app = daemon.register(ExAppSpec())
    assert_told(daemon.call("create", app, **daemon.create_body(app)), 503,
                "Could not connect to Docker Engine", said)


# ---- without the filter ----

@pytest.mark.parametrize("way", WAYS)
def test_a_filter_that_has_ended_is_an_engine_that_is_gone(site, engine, way):
    daemon = connect(site, engine, way)
    daemon.expect(200, "exists", ExAppSpec("any"))
    daemon.filter.stop()
    assert_told(daemon.call("exists", ExAppSpec("any")), 503,
                f"Could not connect to Docker Engine on port {daemon.port}")
