"""`harp-hub engines`: the list, the test deploy and the certificates, as an administrator has them."""
import json
import os
import re
import stat

import pytest

from conftest import open_site
from harness import app, run_program
from harness.docker_fixtures import connect
from harness.docker_images import TESTAPP
from harness.engine_calls import FAR_PORT, LOCAL_PORT, Engines, furnish
from harness.engine_model import IMAGE
from harness.fake_engine import FakeEngine

ROW = re.compile(r"^(\d{5})  (\S+) +(\S+) +(\S+) +(\S+) +(-|\d+ ms) +(\S+)$")


def engines_command(hub, *arguments, **settings):
    """The command in the environment of that hub, as `docker exec` gives it."""
    return run_program("harp-hub", "--config", hub.config, "engines", *arguments, seconds=60,
                       env={**hub.env, **settings})


def rows(hub):
    """{port: (name, address, version, api, trip, containers)}, and the lines below rows."""
    result = engines_command(hub)
    assert result.returncode == 0 and result.stderr == "", result
    head, *lines = result.stdout.splitlines()
    assert head.split() == ["PORT", "NAME", "ADDRESS", "VERSION", "API", "TRIP", "CONTAINERS"]
    found = {int(match.group(1)): match.groups()[1:] for match in map(ROW.match, lines) if match}
    return found, [line.strip() for line in lines if not ROW.match(line)]


def failed(result, *words, code=1):
    """One line on stderr that has these words."""
    assert result.returncode == code and result.stdout == "", result
    line, = result.stderr.strip().splitlines()
    assert line.startswith("harp-hub: ") and all(word in line for word in words), line


@pytest.fixture(name="both", scope="module")
def a_hub_with_two_engines(tmp_path_factory, certs):
    site = open_site(tmp_path_factory, certs, "commands")
    try:
        yield Engines(site)
    finally:
        site.close()


@pytest.fixture(autouse=True)
def furnished(request):
    if "both" in request.fixturenames:
        both = request.getfixturevalue("both")
        both.furnish()
        yield
        for engine in both.engines:
            engine.heal()
    else:
        yield


# ---- the list ----

def test_without_engines_the_list_says_so(site):
    hub = site.hub(app(), settings={"HP_DOCKER_SOCKET": site.folder / "none.sock"})
    result = engines_command(hub, "list")
    assert result.returncode == 0 and "no Docker engine is connected" in result.stdout


def test_engines_are_listed_with_where_they_are_and_what_is_theirs(both):
    found, more = rows(both.hub)
    assert more == [] and set(found) == {LOCAL_PORT, FAR_PORT}
    assert found[LOCAL_PORT][:4] == ("-", "local", "20.10.24", "1.41")
    assert found[FAR_PORT][:4] == ("engine-1", "127.0.0.1", "20.10.24", "1.41")
    # Those of `furnish` carry no label of this hub's.
    assert [found[port][5] for port in (LOCAL_PORT, FAR_PORT)] == ["0", "0"]
    assert both.local.typed("create").status == 201
    assert rows(both.hub)[0][LOCAL_PORT][5] == "1"
    assert all(re.fullmatch(r"\d+ ms", found[port][4]) for port in found)


def test_an_engine_that_does_not_answer_is_told_and_holds_up_no_other(both):
    with both.local.engine.spoiled("never answers", pattern=".*"):
        found, more = rows(both.hub)
    assert found[LOCAL_PORT][2] == "-" and found[LOCAL_PORT][4:] == ("-", "-")
    assert more == ["Docker engine: no whole answer within 3000 ms"]
    assert found[FAR_PORT][2] == "20.10.24" and found[FAR_PORT][5] == "0"


def test_containers_that_may_not_be_listed_are_a_status_below_the_row(both):
    with both.local.engine.spoiled(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "GET",
                                   "/containers/json"):
        found, more = rows(both.hub)
    assert found[LOCAL_PORT][2] == "20.10.24" and found[LOCAL_PORT][5] == "-"
    assert more == ["it answered 403"]


@pytest.mark.parametrize("call, version", [("/version", "-"), ("/containers/json", "20.10.24")])
def test_what_a_filter_in_front_of_an_engine_refuses_is_told_in_its_words(both, call, version):
    said = b'{"message":"refused by policy: GET %s: not\\u0007 allowed"}' % call[1:].encode()
    answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said)
    with both.local.engine.spoiled(answer, "GET", call):
        found, more = rows(both.hub)
    assert found[LOCAL_PORT][2] == version and found[LOCAL_PORT][5] == "-"
    assert more == [f"it answered 403: refused by policy: GET {call[1:]}: not  allowed"]


def test_what_an_engine_calls_itself_can_not_reach_the_terminal(both):
    said = json.dumps({"Version": "\x1b]0;owned\x07 \u202ev", "ApiVersion": "1.41"}).encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said)
    with both.local.engine.spoiled(answer, "GET", "/version"):
        found, _ = rows(both.hub)
    assert found[LOCAL_PORT][2].isprintable() and "\x1b" not in found[LOCAL_PORT][2]


@pytest.mark.parametrize("arguments, word", [
    (("nothing",), "'nothing'"), (("list", "more"), "'more'"), (("test",), "port"),
    (("test", "x"), "'x'"), (("test", "0"), "'0'"), (("test", "1", "a", "b"), "port"),
    (("certificate",), "name"), (("certificate", "one"), "name"),
    (("certificate", "one", "two", "three"), "name")])
def test_wrong_usage_is_told_and_ends_with_2(both, arguments, word):
    failed(engines_command(both.hub, *arguments), word, "--help", code=2)


# ---- the test deploy ----

def steps(result):
    """[(passed, step)], and the last line."""
    *lines, last = result.stdout.splitlines()
    found = [re.match(r"(ok|FAILED) +[\d.]+ s  (.{21})", line) for line in lines]
    return [(match.group(1) == "ok", match.group(2).strip()) for match in found if match], last


ALL_STEPS = ["ping", "image", "remove what was left", "create", "certificates", "start",
             "wait for start", "stop", "remove"]


@pytest.mark.parametrize("way", ["local", "tunnel"])
def test_a_test_deploy_makes_appapis_calls_and_leaves_nothing(both, way):
    way = both.ways[way]
    result = engines_command(both.hub, "test", str(way.port), IMAGE)
    assert result.returncode == 0, result
    assert steps(result) == ([(True, step) for step in ALL_STEPS],
                             f"Docker engine {way.port} can deploy ExApps")
    assert way.engine.model.container("nc_app_harp-hub-test") is None
    assert "nc_app_harp-hub-test_data" not in way.engine.model.volumes
    assert way.engine.asked("PUT", "/containers/nc_app_harp-hub-test/archive")


def test_an_image_that_is_not_there_is_pulled(both):
    result = engines_command(both.hub, "test", str(LOCAL_PORT), "registry.test/fresh:2")
    assert result.returncode == 0, result
    assert [step for _, step in steps(result)[0]][:3] == ["ping", "image", "pull the image"]


def test_a_pull_that_fails_in_its_stream_is_a_failure(both):
    lines = b'{"status":"Pulling"}\r\n{"errorDetail":{"message":"denied"},"error":"denied"}\r\n'
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(lines), lines)
    with both.local.engine.spoiled(answer, "POST", "/images/create"):
        result = engines_command(both.hub, "test", str(LOCAL_PORT), "registry.test/fresh:2")
    assert result.returncode == 1 and "denied" in result.stdout
    assert steps(result)[0][2] == (False, "pull the image")


@pytest.mark.parametrize("step, method, pattern", [
    ("create", "POST", "/containers/create"),
    ("certificates", "PUT", "/containers/[^/]+/archive"),
    ("start", "POST", "/containers/[^/]+/start"), ("stop", "POST", "/containers/[^/]+/stop")])
def test_a_step_that_fails_is_told_and_what_was_made_is_removed(both, step, method, pattern):
    spared = 1 if step in ("start", "stop") else 0  # the certificates start and stop it, too
    both.local.engine.spoil("500 with a message", method, pattern, after=spared)
    result = engines_command(both.hub, "test", str(LOCAL_PORT), IMAGE)
    found, last = steps(result)
    assert result.returncode == 1 and "can't deploy" in last
    assert [name for passed, name in found if not passed] == [step]
    assert found[-1] == (True, "remove")
    assert "hop: Docker engine" in result.stdout
    assert both.local.engine.model.container("nc_app_harp-hub-test") is None


def test_a_container_that_ends_at_once_is_no_success(both):
    def start(engine, _connection, call):
        engine.model.container(call.path.split("/")[2]).script = [{"status": "exited"}]
    both.local.engine.spoil(start, "POST", "/containers/[^/]+/start", after=1)
    result = engines_command(both.hub, "test", str(LOCAL_PORT), IMAGE)
    assert result.returncode == 1 and (False, "wait for start") in steps(result)[0]
    assert "non-recoverable state: exited" in result.stdout


def test_an_engine_that_is_not_there_is_told_with_its_hop(both):
    result = engines_command(both.hub, "test", "24077", IMAGE)
    assert result.returncode == 1 and steps(result)[0][0] == (False, "ping")
    assert "hop: tunnel" in result.stdout and "24077" in result.stdout


def test_a_key_that_is_not_the_hubs_is_told(both):
    result = engines_command(both.hub, "test", str(LOCAL_PORT), IMAGE,
                             HP_SHARED_KEY="another key of enough length")
    assert result.returncode == 1 and "401" in result.stdout
    assert "another key" not in result.stdout


def test_a_name_that_is_no_images_is_wrong_usage(both):
    failed(engines_command(both.hub, "test", str(LOCAL_PORT), "a/../b"), "image", code=2)


def test_a_real_engine_passes_the_test(site, engine):
    daemon = connect(site, engine, "local")
    result = engines_command(daemon.hub, "test", str(LOCAL_PORT), f"{TESTAPP}:1.0.0")
    assert result.returncode == 0, result
    assert [step for _, step in steps(result)[0]] == ALL_STEPS
    found, more = rows(daemon.hub)
    assert more == [] and found[LOCAL_PORT][5] == "0"


# ---- certificates of engines ----

def test_a_certificate_opens_an_engines_port_where_the_key_is_not_taken(site):
    far = site.add(FakeEngine(site.socket_path()))
    furnish(far)
    hub = site.hub(app(), settings={"HP_DOCKER_SOCKET": site.folder / "none.sock",
                             "HP_FRP_ACCEPT_SHARED_KEY": "none"})
    folder = site.folder / "host" / "frp"
    folder.parent.mkdir()
    result = engines_command(hub, "certificate", "docker-1", str(folder))
    assert result.returncode == 0 and str(folder) in result.stdout, result
    assert sorted(os.listdir(folder)) == ["ca.crt", "client.crt", "client.key"]
    assert stat.S_IMODE((folder / "client.key").stat().st_mode) == 0o600
    hub.certs = folder.parent  # where the harness looks for a tunnel client's files
    site.tunnel(hub, far.path, name="docker-1", port=FAR_PORT, token="not the key")
    assert rows(hub)[0][FAR_PORT][0] == "docker-1"


def test_files_that_are_there_are_left_alone(site):
    hub = site.hub(app())
    folder = site.folder / "host"
    folder.mkdir()
    (folder / "client.key").write_text("mine")
    failed(engines_command(hub, "certificate", "docker-1", str(folder)), "client.key", "exists")
    assert (folder / "client.key").read_text() == "mine" and len(os.listdir(folder)) == 1


@pytest.mark.parametrize("name", ["a/b", "", "x" * 53, "a b", "\u00e4"])
def test_a_name_that_can_not_stand_in_a_certificate_is_wrong_usage(site, name):
    hub = site.hub(app())
    failed(engines_command(hub, "certificate", name, str(site.folder / "x")), "name", code=2)
    assert not (site.folder / "x").exists()
