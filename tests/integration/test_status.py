"""`harp-hub status`, `harp-hub --health`, and what they ask at the administration address."""
import datetime
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from conftest import open_site
from harness import (RawClient, app, at, control, fetch, free_port, program, program_is_sanitized, push, response,
                     run_program, wait_for)
from harness.certificates import EVERYBODY, issue
from harness.credentials import SHARED_KEY, WRONG_KEY
from harness.engine_calls import FAR_PORT, LOCAL_PORT, furnish
from harness.fake_engine import FakeEngine
from harness.programs import TUNNEL_PORT, hub_environment

SECTIONS = {"listening": ("listening", "addresses"), "Nextcloud": ("nextcloud", None),
            "engines": ("engines", "engines"), "tunnels": ("tunnels", "tunnels"),
            "apps": ("apps", "apps"), "bans": ("bans", "banned"),
            "certificates": ("certificates", "certificates")}
MARKS = {"ok": "ok", "unsure": "unsure", "wrong": "WRONG"}
LINE = re.compile(r"(ok|unsure|WRONG|) +(hub|listening|Nextcloud|engines|tunnels|apps|bans"
                  r"|certificates) +(\S.*)\Z")
AWAY = "203.0.113.9"


def command(hub, *arguments, **settings):
    """A command in the environment of that hub, as `docker exec` gives it."""
    return run_program("harp-hub", "--config", hub.config, *arguments,
                       env={**hub.env, **settings})


def look(hub, **settings):
    """The document, after the text was found to say the same."""
    result, text = command(hub, "status", "--json", **settings), command(hub, "status", **settings)
    assert result.stderr == text.stderr == "", (result, text)
    doc = json.loads(result.stdout)
    assert result.returncode == text.returncode == (1 if doc["verdict"] == "wrong" else 0)
    assert SHARED_KEY not in result.stdout + text.stdout
    agree(doc, text.stdout)
    return doc


def agree(doc, text):
    """Marks stand where the document has verdicts, reasons and remedies where it has them."""
    lines = [match.groups() if (match := LINE.match(line)) else line
             for line in text.splitlines()]
    assert all(isinstance(line, tuple) for line in lines), text
    assert lines[0][:2] == (MARKS[doc["verdict"]], "hub") and doc["version"] in lines[0][2]
    verdicts = [doc[key]["verdict"] for key, _ in SECTIONS.values()]
    assert doc["verdict"] == max(verdicts, key=list(MARKS).index)
    assert list(dict.fromkeys(line[1] for line in lines[1:])) == list(SECTIONS)
    for title, (key, rows) in SECTIONS.items():
        section = doc[key]
        mine = [(mark, words) for mark, name, words in lines if name == title]
        if section["verdict"] != "ok":
            assert mine.pop(0) == (MARKS[section["verdict"]], section["reason"])
            if section["not_well"] > 1:
                assert mine.pop(0) == ("", f"and {section['not_well'] - 1} more")
            assert mine.pop(0) == ("", f"-> {section['remedy']}")
        else:
            assert section["reason"] is section["remedy"] is None and section["not_well"] == 0
        for row in section[rows] if rows else ():
            mark, words = mine.pop(0)
            assert mark == MARKS[row["verdict"]], (row, words)
            assert " :" not in words and ", ," not in words
            assert words.endswith(row["reason"]) if row["reason"] else row["verdict"] == "ok"
            for member in ("name", "id", "address", "version", "port", "until"):
                if row.get(member) is not None:
                    assert str(row[member]) in words, (member, row, words)


def rows(doc, section, key, value):
    """The rows whose member has that value."""
    key_of, rows_of = next(pair for pair in SECTIONS.values() if pair[0] == section)
    return [row for row in doc[key_of][rows_of] if row[key] == value]


class Scene:
    """A hub with Nextcloud, an engine of its own and one behind a tunnel, and an ExApp."""

    def __init__(self, site, **settings):
        self.site = site
        self.nc = site.nextcloud()
        self.nc.add_app("sample", port=TUNNEL_PORT)
        self.local, self.far = (site.add(FakeEngine(site.socket_path())) for _ in range(2))
        for engine in (self.local, self.far):
            furnish(engine)
        self.origin = site.unix_origin(response(b"served"))
        self.hub = site.hub(nextcloud=self.nc, settings={
            "HP_DOCKER_SOCKET": self.local.path, "HP_BLACKLIST_COUNT": "5",
            "HP_TRUSTED_PROXY_IPS": "127.0.0.2", **settings})
        self.engine_tunnel = self.connect("engine-1", FAR_PORT, self.far.path)
        self.app_tunnel = self.connect("sample", TUNNEL_PORT, self.origin.path)
        push(self.hub, "sample", self.nc.apps["sample"])

    def connect(self, name, port, target):
        return self.site.tunnel(self.hub, target, name=name, port=port)


@pytest.fixture(name="scene", scope="module")
def a_scene(tmp_path_factory, certs):
    site = open_site(tmp_path_factory, certs, "status")
    try:
        yield Scene(site)
    finally:
        site.close()


@pytest.fixture(name="plain", scope="module")
def a_hub_alone(tmp_path_factory, certs):
    site = open_site(tmp_path_factory, certs, "plain")
    try:
        yield site.hub(app(), settings={"HP_DOCKER_SOCKET": "/nonexistent/docker.sock",
                                        "HP_FRP_DISABLE_TLS": "true"})
    finally:
        site.close()


def failed(result, *words, code=1):
    """One line on stderr that has these words."""
    assert result.returncode == code and result.stdout == "", result
    line, = result.stderr.strip().splitlines()
    assert line.startswith("harp-hub: ") and all(word in line for word in words), line


# ---- what is told ----

def test_all_is_well(scene):
    doc = look(scene.hub)
    assert doc["verdict"] == "ok", doc
    assert doc["nextcloud"]["url"] == scene.nc.url
    assert (doc["nextcloud"]["reachable"], doc["nextcloud"]["key"]) == (True, "accepted")
    local, far = doc["engines"]["engines"]
    assert (local["port"], local["address"], local["version"]) == (LOCAL_PORT, "local", "20.10.24")
    assert (far["port"], far["name"], far["api"]) == (FAR_PORT, "engine-1", 41)
    assert far["login"] == "the shared key"
    assert [(row["name"], row["kind"]) for row in doc["tunnels"]["tunnels"]] == [
        ("sample", "shared_key"), ("engine-1", "shared_key")]
    assert [(row["id"], row["state"], row["version"], row["way"]) for row in doc["apps"]["apps"]] \
        == [("sample", "enabled", "1.0.0", "tunnel")]
    assert [(row["name"], row["open"], row["tls"]) for row in doc["listening"]["addresses"]] == [
        ("http", True, False), ("https", False, True), ("tunnels", True, True),
        ("admin", True, False)]
    assert "cert.pem" in rows(doc, "listening", "name", "https")[0]["why_off"]
    assert [row["name"] for row in doc["certificates"]["certificates"]] == ["ca", "server", "client"]
    assert abs(doc["time"] - time.time()) < 60


def test_without_nextcloud_engines_and_tls_that_is_no_fault(plain):
    doc = look(plain)
    assert doc["nextcloud"]["url"] is None and doc["nextcloud"]["verdict"] == "ok"
    assert doc["engines"]["engines"] == doc["certificates"]["certificates"] == []
    sample, = doc["apps"]["apps"]
    assert (sample["state"], sample["way"], sample["verdict"]) == ("declared", "direct", "unsure")
    assert doc["verdict"] == "unsure"  # and so the command ends with 0


def test_a_nextcloud_of_no_use_is_wrong_until_it_is_back(scene):
    scene.nc.broken = "close"
    wait_for(lambda: command(scene.hub, "status").returncode, what="the last good answer to be old",
             pause=0.5)
    for broken, words in (("close", "127.0.0.1"), ("status:503", "maintenance"),
                          ("status:400", "trusted_domains"), ("status:404", "AppAPI"),
                          ("status:429", "bruteforce"), ("redirect", "redirects"),
                          ("html", "not as AppAPI"), ("status:401", "not as AppAPI"),
                          ("garbage", "127.0.0.1")):
        scene.nc.broken = broken
        doc = look(scene.hub)
        assert doc["verdict"] == doc["nextcloud"]["verdict"] == "wrong", broken
        assert words in doc["nextcloud"]["reason"] and words in doc["nextcloud"]["failed"]["text"]
        assert doc["nextcloud"]["reachable"] is False
        assert doc["nextcloud"]["answered"]["seconds"] >= 4
        assert doc["nextcloud"]["key"] == "accepted", broken  # nothing has shown that it is not
    assert not scene.nc.elsewhere.requests  # the key was not sent on
    scene.nc.broken = None
    doc = look(scene.hub)
    assert doc["nextcloud"]["verdict"] == "ok" and doc["nextcloud"]["answered"]["seconds"] == 0


# ---- what Nextcloud is asked ----

def test_one_status_asks_once_and_a_fresh_answer_serves_the_next(site):
    nc = site.nextcloud()
    nc.add_app("sample")
    hub = site.hub(nextcloud=nc)
    push(hub, "sample", nc.apps["sample"])
    for _ in range(3):
        assert command(hub, "status").returncode == 0
    call, = nc.calls
    assert (call.kind, call.app) == ("user-info", "sample")
    assert call.head.all("harp-shared-key") == [SHARED_KEY]
    assert not call.head.has("Authorization") and not call.head.has("Cookie")


def test_without_an_exapp_the_key_is_not_sent_and_not_proved(site):
    nc = site.nextcloud()
    hub = site.hub(nextcloud=nc)
    doc = look(hub)
    call, = nc.calls
    assert call.target == "/status.php" and not call.head.has("harp-shared-key")
    assert (doc["nextcloud"]["reachable"], doc["nextcloud"]["key"]) == (True, "unknown")
    assert doc["nextcloud"]["verdict"] == "unsure"
    assert control(hub, "GET", "/info", key=WRONG_KEY).status == 401
    doc = look(hub)
    assert "127.0.0.1 called as AppAPI does, with another key" in doc["nextcloud"]["reason"]
    assert control(hub, "GET", "/heartbeat").status == 200
    doc = look(hub)
    assert doc["nextcloud"]["key"] == "accepted" and doc["nextcloud"]["verdict"] == "ok"
    assert doc["nextcloud"]["appapi_called"]["text"] == "127.0.0.1"


def test_maintenance_is_told_by_the_page_for_monitoring(site):
    nc = site.nextcloud()
    nc.maintenance = True
    doc = look(site.hub(nextcloud=nc))
    assert doc["verdict"] == "wrong" and "maintenance mode" in doc["nextcloud"]["reason"]
    assert doc["nextcloud"]["reachable"] is False


def test_a_refused_key_is_wrong_and_not_tried_again(site):
    nc = site.nextcloud(key="another key of enough length")
    nc.add_app("sample")
    hub = site.hub(nextcloud=nc)
    push(hub, "sample", nc.apps["sample"])
    for _ in range(4):
        doc = look(hub)
        assert (doc["nextcloud"]["reachable"], doc["nextcloud"]["key"]) == (True, "refused")
    assert doc["nextcloud"]["verdict"] == "wrong" and "HP_SHARED_KEY" in doc["nextcloud"]["remedy"]
    assert "401 to user-info for ExApp sample" in doc["nextcloud"]["reason"]
    assert len(nc.calls) == 1
    nc.key = SHARED_KEY  # mended there, and the first call of AppAPI's or of a client's shows it
    assert control(hub, "GET", "/info").status == 200
    assert look(hub)["nextcloud"]["verdict"] == "ok"


def test_many_who_look_at_once_share_one_question(site):
    nc = site.nextcloud()
    hub = site.hub(nextcloud=nc)
    clients = [RawClient(hub.admin) for _ in range(5)]
    with nc.hold():
        for client in clients:
            client.get("/status", host=b"localhost")
        nc.wait_calls(1)
        with RawClient(hub.admin) as one:  # others are answered meanwhile
            one.get("/health", host=b"localhost")
            assert one.response().status == 200
        clients.pop().close()  # and one does not wait
    for client in clients:
        assert json.loads(client.response().body)["nextcloud"]["reachable"] is True
        client.close()
    assert len(nc.calls) == 1


# ---- what comes and goes ----

def test_an_engine_that_stops_is_wrong_until_it_is_back(scene):
    with scene.local.spoiled("500 with a message", pattern=".*"):
        local, far = look(scene.hub)["engines"]["engines"]
        assert (local["verdict"], far["verdict"]) == ("wrong", "ok")
        assert local["error"].startswith("it answered 500")
    path = scene.local.path
    os.rename(path, f"{path}.away")
    local, _ = look(scene.hub)["engines"]["engines"]
    assert local["verdict"] == "wrong" and "HP_DOCKER_SOCKET" in local["reason"]
    os.rename(f"{path}.away", path)
    assert look(scene.hub)["engines"]["verdict"] == "ok"


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_tunnels_that_end_are_told_by_engines_and_apps(scene, end):
    scene.site.things.remove(scene.engine_tunnel)
    scene.site.things.remove(scene.app_tunnel)
    getattr(scene.engine_tunnel, end)()
    getattr(scene.app_tunnel, end)()
    wait_for(lambda: not look(scene.hub)["tunnels"]["tunnels"], what="both tunnels to end")
    doc = look(scene.hub)
    gone, = rows(doc, "engines", "port", FAR_PORT)
    assert gone["name"] == "engine-1" and re.fullmatch(r"its tunnel ended \d+ s ago", gone["reason"])
    sample, = doc["apps"]["apps"]
    assert sample["verdict"] == "wrong" and f"its tunnel at port {TUNNEL_PORT}" in sample["reason"]
    assert doc["engines"]["verdict"] == doc["apps"]["verdict"] == doc["verdict"] == "wrong"
    scene.engine_tunnel = scene.connect("engine-1", FAR_PORT, scene.far.path)
    scene.app_tunnel = scene.connect("sample", TUNNEL_PORT, scene.origin.path)
    assert look(scene.hub)["verdict"] == "ok"


def test_a_disabled_app_may_be_without_a_tunnel(scene):
    push(scene.hub, "other", scene.nc.apps["sample"])
    assert control(scene.hub, "DELETE", "/exapp_storage/other").status == 204
    other, = rows(look(scene.hub), "apps", "id", "other")
    assert (other["state"], other["way"], other["verdict"]) == ("disabled", None, "ok")


def test_of_more_apps_than_are_listed_the_number_is_told(site):
    hub = site.hub(app("zzz", port=23999))
    for number in range(255):
        push(hub, f"app{number}", port=8080, host="exapp.invalid")
    doc = look(hub)
    assert (len(doc["apps"]["apps"]), doc["apps"]["total"], doc["apps"]["more"]) == (250, 256, True)
    assert doc["apps"]["apps"][0]["id"] == "zzz"  # it has no tunnel: such ones come first
    assert "256 in all; no more are listed" in command(hub, "status").stdout


def test_bans_are_told_and_lifted(scene):
    def fail(*fields):
        for _ in range(5):
            fetch(scene.hub.http, "/exapps/app_api/nothing", *fields)

    with socket.create_connection(scene.hub.http, source_address=("127.0.0.2", 0)) as proxy:
        for _ in range(5):
            proxy.sendall(b"GET /exapps/app_api/info HTTP/1.1\r\nHost: h\r\n" + at(AWAY)
                          + b"\r\n\r\n")
            assert b"401" in proxy.recv(4096)
    doc = look(scene.hub)
    assert [row["address"] for row in doc["bans"]["banned"]] == [AWAY]
    assert (doc["bans"]["verdict"], doc["bans"]["clients_with_failures"]) == ("unsure", 1)
    fail()
    doc = look(scene.hub)
    assert doc["bans"]["verdict"] == "wrong" and "HP_TRUSTED_PROXY_IPS" in doc["bans"]["remedy"]
    assert {row["address"] for row in doc["bans"]["banned"]} == {AWAY, "127.0.0.1"}
    for address in (AWAY, "127.0.0.1"):
        assert command(scene.hub, "bans", "lift", address).returncode == 0
    doc = look(scene.hub)
    assert doc["bans"]["verdict"] == "ok" and doc["bans"]["clients_with_failures"] == 0


# ---- certificates ----

def own_folder(site, certs):
    """A copy of the session's folder of certificates."""
    folder = site.folder / "certs"
    shutil.copytree(certs, folder)
    return folder


# Of a validity of nine days, a third is three.
@pytest.mark.parametrize("age, days, verdict, words", [
    (300, 14.5, "ok", None), (300, 13.5, "wrong", "it ends on"), (300, -0.01, "wrong", "it ended on"),
    (5.5, 3.5, "ok", None), (6.5, 2.5, "wrong", "it ends on")])
def test_a_certificate_that_ends_soon_is_wrong(site, certs, age, days, verdict, words):
    site.hub(app())  # makes the session's folder, if it is the first
    folder = own_folder(site, certs)
    hub = site.hub(app(), certs=folder)
    pair = issue(folder, site.folder, EVERYBODY, days=days, age=datetime.timedelta(days=age))
    for made, name in zip(pair, ("crt", "key")):
        shutil.copy(made, folder / f"frp/client.{name}")
    doc = look(hub)
    client, = rows(doc, "certificates", "name", "client")
    assert client["verdict"] == doc["certificates"]["verdict"] == verdict
    assert client["days_left"] == int(days // 1)
    if words:
        assert words in client["reason"] and client["until"] in client["reason"]
        assert "client.key" in doc["certificates"]["remedy"]


def test_a_certificate_that_can_not_be_read_is_told_with_its_reason(site, certs):
    site.hub(app())
    folder = own_folder(site, certs)
    hub = site.hub(app(), certs=folder)
    (folder / "frp/ca.crt").unlink()
    ca, = rows(look(hub), "certificates", "name", "ca")
    assert ca["verdict"] == "wrong" and "ca.crt" in ca["reason"] and ca["until"] is None


def test_the_certificate_in_use_is_told_and_that_the_file_has_another(site, certs, https_certs):
    site.hub(app())
    folder = own_folder(site, certs)
    shutil.copy(https_certs / "cert.pem", folder)
    hub = site.hub(app(), certs=folder)
    doc = look(hub)
    https, = rows(doc, "certificates", "name", "https")
    assert https["verdict"] == "ok" and https["days_left"] <= 2  # of two days, a third is soon
    assert rows(doc, "listening", "name", "https")[0]["open"] is True
    subprocess.run(["openssl", "req", "-x509", "-key", https_certs / "key", "-days", "30", "-subj",
                    "/CN=hub.test", "-out", folder / "new"], check=True, capture_output=True)
    (folder / "cert.pem").write_bytes((folder / "new").read_bytes()
                                      + (https_certs / "key").read_bytes())
    https, = rows(look(hub), "certificates", "name", "https")
    assert https["verdict"] == "unsure" and "another one than is in use yet" in https["reason"]
    hub.signal(signal.SIGHUP)
    hub.wait_line("cert.pem was read again")
    https, = rows(look(hub), "certificates", "name", "https")
    assert https["verdict"] == "ok" and https["days_left"] in (29, 30)
    (folder / "cert.pem").unlink()
    https, = rows(look(hub), "certificates", "name", "https")
    assert https["verdict"] == "unsure" and "can't be used any more" in https["reason"]


# ---- the command itself ----

@pytest.mark.parametrize("arguments, word", [
    (("status", "x"), "'x'"), (("status", "--json", "x"), "'x'"), (("status", "--yaml"), "'--yaml'"),
    (("health", "x"), "'x'"), (("--health", "x"), "'x'"), (("bans", "--health"), "'--health'")])
def test_wrong_usage_is_told_and_ends_with_2(plain, arguments, word):
    failed(command(plain, *arguments), word, "--help", code=2)


def test_help_names_both_and_the_option(plain):
    text = command(plain, "--help").stdout
    assert "  status [--json]\n" in text and "  health\n" in text and "      --health  " in text


@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("health",), ("--health",)])
def test_no_hub_there_is_told_with_the_address(tmp_path, words):
    ports = {name: free_port() for name in ("http", "https", "frp", "admin")}
    env = hub_environment(tmp_path, tmp_path, ports, {"NC_INSTANCE_URL": "http://127.0.0.1:1"})
    failed(run_program("harp-hub", *words, env=env), f"127.0.0.1:{ports['admin']}",
           "is it running", "HP_ADMIN_ADDRESS")
    env["HP_ADMIN_ADDRESS"] = "off"
    failed(run_program("harp-hub", *words, env=env), "HP_ADMIN_ADDRESS", "off")


@pytest.mark.parametrize("answer", [
    b"{}", b"nope", b'{"verdict":"well"}', b'{"verdict":"ok"}',
    b'{"verdict":"ok","version":"\\u001b[2J","listening":{"verdict":"ok","addresses":[{}]}}'])
def test_another_program_at_the_address_is_told(plain, answer):
    """Nothing of it reaches the terminal."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            with server.accept()[0] as peer:
                peer.recv(65536)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
                             % (len(answer), answer))

        thread = threading.Thread(target=serve)
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        result = command(plain, "status", HP_ADMIN_ADDRESS=address)
        thread.join()
    assert result.returncode == 1 and "HP_ADMIN_ADDRESS" in result.stderr
    assert "\033" not in result.stdout + result.stderr


# ---- health ----

def test_health_is_told_in_one_line_by_both_spellings(plain):
    for spelling in ("health", "--health"):
        result = command(plain, spelling)
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout == (f"healthy: the hub at 127.0.0.1:{plain.ports['admin']} answers, and "
                                 "all its listeners are open\n")


def test_warnings_about_settings_do_not_stand_before_it(plain):
    result = command(plain, "--health", HP_TRUSTED_PROXY_IPS="nonsense")
    assert (result.returncode, result.stderr) == (0, "") and len(result.stdout.splitlines()) == 1


def test_health_needs_no_token_and_all_else_does(site):
    hub = site.hub(app(), settings={"HP_ADMIN_TOKEN": "the right one"})
    for target, status in (("/health", 200), ("/health?x", 200), ("/health/", 401),
                           ("/status", 401), ("/heartbeat", 401)):
        with RawClient(hub.admin) as client:
            client.get(target, host=b"harp-hub:8200")
            reply = client.response()
            assert reply.status == status, target
            if status == 200:
                assert json.loads(reply.body) == {"status": "ok"}
    assert command(hub, "--health", HP_ADMIN_TOKEN="").returncode == 0
    assert command(hub, "status").returncode == 0
    failed(command(hub, "status", HP_ADMIN_TOKEN="another"), "HP_ADMIN_TOKEN")


def test_a_hub_that_stops_is_not_healthy(site):
    origin = site.origin()
    waits = threading.Event()
    origin.answer = lambda connection, request: waits.wait(30) and response(b"late")
    hub = site.direct(origin.port)
    with RawClient(hub.http) as client:
        client.get("/exapps/sample/")
        origin.wait_requests(1)
        hub.signal(signal.SIGTERM)
        hub.wait_line("stopping")
        failed(command(hub, "--health"), "not healthy", "stopping")
        doc = look(hub)
        assert doc["listening"]["verdict"] == doc["verdict"] == "wrong"
        assert [row["open"] for row in doc["listening"]["addresses"]] == [False] * 3 + [True]
        waits.set()
        assert client.response().status == 200
    assert hub.wait() == 0


def test_a_hub_that_hangs_is_not_waited_for(plain):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        began = time.monotonic()
        failed(command(plain, "--health", HP_ADMIN_ADDRESS=address), address)
        assert time.monotonic() - began < 10


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
@pytest.mark.skipif(program_is_sanitized(), reason="the leak checker needs /proc")
def test_health_needs_no_file_but_the_program_and_its_libraries(site):
    """As in a container made from scratch: what the hub was given is its environment."""
    root = site.folder / "root"
    listed = subprocess.run(["ldd", program("harp-hub")], check=True, capture_output=True, text=True)
    for path in [program("harp-hub"), *re.findall(r"(/\S+)", listed.stdout)]:
        there = root / str(path).lstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.realpath(path), there)
    hub = site.hub(settings={"NC_INSTANCE_URL": "https://cloud.example.com"})
    env = {name: value for name, value in hub.env.items()
           if name.startswith(("HP_", "NC_", "ASAN_", "UBSAN_", "LD_LIBRARY_PATH"))}
    done = subprocess.run([program("harp-hub"), "--health"], env=env, capture_output=True, text=True,
                          timeout=20, check=False, cwd="/", preexec_fn=lambda: os.chroot(root))
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("healthy: "), done


def test_over_a_unix_socket(site):
    path = site.socket_path()
    hub = site.hub(app(), settings={"HP_ADMIN_ADDRESS": f"unix:{path}"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert command(hub, "--health").stdout.startswith(f"healthy: the hub at unix:{path} answers")
    doc = look(hub)
    assert rows(doc, "listening", "name", "admin")[0]["address"] == f"unix:{path}"
