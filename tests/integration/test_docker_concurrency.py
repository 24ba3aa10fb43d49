"""Calls at the same time, clients that go away, engines that go away."""
import concurrent.futures
import signal

import pytest

from harness.deploy import ExAppSpec, assert_told
from harness.docker_fixtures import connect, tidy
from harness.wait import wait_for

RECORDED = True


def together(*calls):
    """Runs them at the same time: their results, in order."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def later(pool, call, *args, **kwargs):
    return pool.submit(call, *args, **kwargs)


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        yield pool


# ---- one name ----

def test_of_two_creates_of_one_name_one_wins(daemon):
    app = daemon.register(ExAppSpec())
    body = daemon.create_body(app)
    replies = together(*[lambda: daemon.call("create", app, **body)] * 2)
    assert sorted(reply.status for reply in replies) == [201, 409], replies
    assert daemon.api.containers() == [app.container]
    assert daemon.api.volumes() == [app.volume]


def test_a_stop_waits_until_certificates_are_installed(daemon, pool):
    app = daemon.running()
    with daemon.recorder.hold("PUT", "/archive") as gate:
        installs = later(pool, daemon.call, "install_certificates", app)
        gate.wait_for()
        stops = later(pool, daemon.call, "stop", app)
        daemon.marker()
        assert not daemon.recorder.asked("POST", "/stop")
        assert not installs.done() and not stops.done()
    assert (installs.result().status, stops.result().status) == (204, 204)
    assert daemon.api.status(app.container) == "exited"
    assert set(daemon.api.files(app.container, "/certs/frp"))
    order = [asked.path.rpartition("/")[2] for asked in daemon.recorder.asked()
             if app.container in asked.path and asked.method in ("PUT", "POST")]
    assert order[-1] == "stop" and order.count("stop") == 1, order


def test_calls_about_one_container_are_carried_out_in_the_order_of_their_coming(daemon, pool):
    app = daemon.created()
    with daemon.recorder.hold("POST", f"{app.container}/start") as gate:
        first = later(pool, daemon.call, "start", app)
        gate.wait_for()
        rest = []
        for call in ("stop", "start", "remove"):
            rest.append(later(pool, daemon.call, call, app))
            daemon.marker()
    assert [future.result().status for future in (first, *rest)] == [204, 204, 204, 204]
    assert daemon.api.containers() == []


def test_different_names_go_on_side_by_side(daemon, pool):
    slow, quick = daemon.created(), daemon.register(ExAppSpec())
    with daemon.recorder.hold("PUT", f"{slow.container}/archive") as gate:
        installs = later(pool, daemon.call, "install_certificates", slow)
        gate.wait_for()
        daemon.create(quick)
        daemon.install(quick)
        daemon.start(quick)
        assert daemon.wait_for_start(quick)["started"] is True
        assert daemon.expect(204, "remove", quick, remove_data=True) == ""
        assert not installs.done()
    assert installs.result().status == 204


def test_many_creates_at_once(daemon):
    apps = [daemon.register(ExAppSpec()) for _ in range(12)]
    replies = together(*[lambda app=app: daemon.call("create", app, **daemon.create_body(app))
                         for app in apps])
    assert [reply.status for reply in replies] == [201] * 12
    assert daemon.api.containers() == sorted(app.container for app in apps)
    assert len({daemon.token(app) for app in apps}) == 12


# ---- clients that go away ----

@pytest.fixture
def single(site, engine):
    """A daemon of this test alone, whose hub or engine may be stopped."""
    yield connect(site, engine, "local", recorded=True)
    restore(engine)


def restore(engine):
    if not engine.running():
        engine.start()
    tidy(engine)


@pytest.mark.parametrize("method, part", [("GET", "/volumes/"), ("POST", "/volumes/create"),
                                          ("POST", "/containers/create")])
def test_a_create_whose_client_left_is_carried_out(daemon, method, part):
    app = daemon.register(ExAppSpec())
    with daemon.recorder.hold(method, part) as gate:
        with daemon.begin("create", app, **daemon.create_body(app)):
            gate.wait_for()
        daemon.marker()
    wait_for(lambda: daemon.api.inspect(app.container), what="the container")
    assert daemon.api.volumes() == [app.volume]
    assert daemon.expect(200, "exists", app)["exists"] is True
    daemon.start(app)


def test_an_installation_whose_client_left_leaves_the_container_as_it_was(daemon):
    app = daemon.created()
    with daemon.recorder.hold("PUT", "/archive") as gate:
        with daemon.begin("install_certificates", app, install_frp_certs=True):
            gate.wait_for()
            assert daemon.api.status(app.container) == "running"
        daemon.marker()
    daemon.api.wait_status(app.container, "exited")
    assert daemon.api.files(app.container, "/certs/frp")


def test_a_call_that_waited_for_its_turn_and_lost_its_client_does_not_block_the_next(daemon, pool):
    app = daemon.running()
    with daemon.recorder.hold("PUT", "/archive") as gate:
        installs = later(pool, daemon.call, "install_certificates", app)
        gate.wait_for()
        with daemon.begin("stop", app):
            daemon.marker()
        daemon.marker()
        removes = later(pool, daemon.call, "remove", app)
        daemon.marker()
    assert installs.result().status == 204 and removes.result().status == 204
    assert daemon.api.containers() == []


def test_what_waited_for_a_question_goes_on_when_the_asker_left(daemon, pool):
    app = daemon.created()
    with daemon.recorder.hold("GET", f"{app.container}/json") as gate:
        with daemon.begin("exists", app):
            gate.wait_for()
            starts = later(pool, daemon.call, "start", app)
            daemon.marker()
            assert gate.waiting == 1
        gate.wait_for(2)
    assert starts.result().status == 204


@pytest.mark.parametrize("stays", [True, False])
def test_a_hub_that_is_stopped_carries_out_what_it_has_begun(single, stays):
    daemon = single
    app = daemon.register(ExAppSpec())
    with daemon.recorder.hold("POST", "/containers/create") as gate:
        client = daemon.begin("create", app, **daemon.create_body(app))
        gate.wait_for()
        if not stays:
            client.close()
            daemon.marker()
        daemon.hub.signal(signal.SIGTERM)
        daemon.hub.wait_line("stopping")
    if stays:
        assert client.response().status == 201
        client.close()
    assert daemon.hub.wait() == 0
    assert daemon.api.containers() == [app.container]


# ---- engines that go away ----

@pytest.fixture(params=["local", "tunnel"])
def alone(request, site, engine):
    """The same without a recorder, in both ways."""
    yield connect(site, engine, request.param)
    restore(engine)


def test_without_its_engine_a_call_is_a_503_and_with_it_again_a_success(alone, engine):
    app = alone.created()
    away = f"Could not connect to Docker Engine on port {alone.port}"
    engine.stop()
    for call in ("exists", "start", "stop", "remove", "wait_for_start", "install_certificates"):
        assert_told(alone.call(call, app), 503, away)
    assert_told(alone.call("create", app, **alone.create_body(app)), 503, away)
    assert alone.gate("v1.41/_ping").status == 503
    engine.start()
    assert alone.expect(200, "exists", app)["exists"] is True
    assert alone.gate("v1.41/_ping").status == 200
    alone.start(app)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_an_engine_that_ends_while_waited_for_is_told(alone, engine, end):
    app = alone.created()
    with alone.begin("wait_for_start", app) as client:
        alone.marker()
        getattr(engine, end)()
        assert_told(client.response(), 503, "Could not connect to Docker Engine")
    engine.start()
    alone.start(app)
    assert alone.wait_for_start(app)["started"] is True


def test_an_app_that_ran_when_the_engine_was_killed_is_reached_again(alone, engine):
    app = alone.connected()
    engine.kill()
    engine.start()
    alone.call("start", app)
    alone.heartbeat(app)


def test_an_engine_that_is_killed_between_a_request_and_its_answer_is_a_503(single, engine):
    app = single.created()
    with single.recorder.hold("POST", "/start") as gate:
        with single.begin("start", app) as client:
            gate.wait_for()
            engine.kill()
            gate.release()
            assert_told(client.response(), 503, "Could not connect to Docker Engine")
    engine.start()
    single.start(app)
