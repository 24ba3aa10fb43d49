"""The compose files, started as their README says it, used by AppAPI's recorded calls, and broken."""
import copy
import itertools
import os
import re
import signal

import pytest
import yaml

from harness import wait_for
from harness.credentials import RECORDED_KEY
from harness.deploy import LOCAL_ENGINE, REMOTE_ENGINE, Daemon
from harness.deploy_host import COMPOSE, USER, Compose, open_host
from harness.docker_images import make_plain
from harness.recorded import record_of_testapp
from harness.recorded_docker import asked, play
from harness.wait import DEFAULT, Overdue

FILES = ("all-in-one", "hub", "docker-host")
BACK = 6 * DEFAULT  # pauses of restart policies and of tunnel clients double with each failure


# ---- what stands in the files ----

def read(name):
    return yaml.safe_load((COMPOSE / f"{name}.yml").read_text())


@pytest.mark.parametrize("name", FILES)
def test_every_service_is_confined_bounded_and_comes_back(name):
    for service, row in read(name)["services"].items():
        assert row["read_only"] is True and row["cap_drop"] == ["ALL"], service
        assert row["security_opt"] == ["no-new-privileges:true"], service
        assert row["restart"] == "always" and "mem_limit" in row and "pids_limit" in row
        assert row["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, service
        assert set(row.get("cap_add", ())) <= {"CHOWN", "DAC_OVERRIDE", "SETGID", "SETPCAP", "SETUID"}
        engine = [volume for volume in row.get("volumes", ()) if "DOCKER_SOCKET" in volume]
        assert bool(engine) == (service == "filter") == (row.get("network_mode") == "none")
        assert not any(word.startswith("HP_SHARED_KEY") and not word.endswith("_FILE")
                       for word in row.get("environment", ()))


def test_the_example_names_every_variable_with_the_default_of_the_files():
    """Once each, and no other; those without a default have to be filled in."""
    said = re.findall(r"^(#?)([A-Z_]+)=(.*)$", (COMPOSE / ".env.example").read_text(), re.MULTILINE)
    names = [name for _, name, _ in said]
    assert len(set(names)) == len(names)
    defaults = {}
    for name in FILES:
        for variable, mark, default in re.findall(r"\$\{([A-Z_]+)(:-|:\?)([^}]*)\}",
                                                  (COMPOSE / f"{name}.yml").read_text()):
            defaults.setdefault(variable, set()).add(default if mark == ":-" else None)
    assert set(names) == {*defaults, "COMPOSE_PROJECT_NAME"}
    for mark, name, value in said:
        if name in defaults and mark == "#" and not value.startswith("172."):
            assert value in defaults[name], name
        elif name in defaults and not mark:
            assert defaults[name] == {None}, name


# ---- an installation ----

class ComposedHub:
    """What Daemon asks of a hub, at the documented ports."""
    http, key, ports = ("127.0.0.1", 8780), RECORDED_KEY, {"frp": 8782}

    def __init__(self, nextcloud):
        self.nextcloud = nextcloud


class Installation:
    """Compose files that run on one host, and AppAPI's daemon for the engine there."""

    def __init__(self, host, folder):
        self.host, self.folder = host, folder
        self.nextcloud = host.nextcloud(key=RECORDED_KEY)
        self.nextcloud.apps["testapp"] = record_of_testapp()
        self.key = folder / "shared_key"
        self.key.write_text(RECORDED_KEY + "\n")
        os.chmod(self.key, 0o400)
        os.chown(self.key, USER, USER)
        self.names = {}
        self.daemon = None

    def add(self, file, **settings):
        compose = Compose(self.host, file, self.folder / file, file.replace("-", ""),
                          HARP_SHARED_KEY_FILE=self.key, **settings)
        self.names.update(compose.up())

    def add_hub(self, file):
        """Ports are published by a process of Docker's, which is a proxy to the hub."""
        self.add(file, NC_INSTANCE_URL=self.nextcloud.url, HP_TRUSTED_PROXY_IPS="172.16.0.0/12")
        self.host.wait_log(self.names["hub"], "ready")

    def serve(self, port):
        self.daemon = Daemon(ComposedHub(self.nextcloud), self.host.api, port)
        return self

    def all_in_one(self):
        self.add_hub("all-in-one")
        return self.serve(LOCAL_ENGINE)

    def apart(self):
        """The hub, and a Docker host with a certificate of its own."""
        self.add_hub("hub")
        docker, certs = self.host.docker, self.folder / "client-certs"
        docker.good("exec", self.names["hub"], "harp-hub", "engines", "certificate", "docker-host-1",
                    "/certs/docker-host-1")
        docker.good("cp", f"{self.names['hub']}:/certs/docker-host-1", str(certs))
        for path in (certs, *certs.iterdir()):
            os.chown(path, USER, USER)
        self.add("docker-host", HARP_HUB_HOST=self.host.engine.gateway, HARP_ENGINE_NAME="docker-host-1",
                 HARP_CLIENT_CERTS=certs)
        return self.serve(REMOTE_ENGINE)

    def play(self, name, bundle):
        """AppAPI's recorded calls, for this daemon: what was answered, with what HaRP did."""
        for exchange in map(copy.deepcopy, asked(name)):
            request = exchange["request"]
            request["headers"] = [[key, str(self.daemon.port) if key.lower() == "docker-engine-port"
                                   else value] for key, value in request["headers"]]
            yield play(self.daemon, bundle, exchange), exchange["response"]

    def wait_for_engine(self):
        try:
            wait_for(lambda: self.answer("OK", lambda: self.daemon.gate("v1.41/_ping").text), BACK,
                     "the engine's answer through the hub", pause=0.05)
        except Overdue as error:
            raise AssertionError(f"{error}\n{self.tell()}") from None

    def tell(self):
        """How all of them are, and what they said last."""
        docker = self.host.docker
        told = [docker.run("ps", "-a", "--format", "{{.Names}} {{.Status}}").out]
        for name in self.names.values():
            logged = docker.run("logs", "--tail", "8", name)
            told.append(f"{name}:\n{logged.out}{logged.err}")
            told.append(docker.run("inspect", "--format", "{{json .State}} restarts: {{.RestartCount}}", name).out)
        return "\n".join([*told, self.host.engine.tail(40)])

    @staticmethod
    def answer(wanted, call):
        """Whether it is that; a hub that is not there is no answer."""
        try:
            return call() == wanted
        except (OSError, EOFError):
            return False

    def kill(self, what, crash):
        """As if it had crashed: a stop by Docker would be a person's wish. The engine ends by a signal that it
        obeys, as at a reboot, unless it is to crash."""
        if what == "engine" and crash:
            # Docker 20.10 that crashes amid a container's end finds its "task already exists" afterwards, and leaves
            # it stopped for good.
            for name in self.names.values():
                wait_for(lambda name=name: self.host.pid(name), BACK, f"{name} to run", pause=0.02)
            self.host.engine.kill()
            self.host.engine.start()
            return
        if what == "engine":
            for name in self.names.values():
                wait_for(lambda name=name: self.host.obeys(name), BACK, f"{name} to obey", pause=0.02)
            self.host.engine.stop()
            self.host.engine.start()
            return
        name = self.names[what]
        pid = wait_for(lambda: self.host.pid(name), BACK, f"{name} to run", pause=0.02)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self.host.pid(name) != pid, BACK, f"Docker to notice the end of {name}", pause=0.02)

    def close(self):
        self.host.engine.clean()
        self.nextcloud.close()


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    host = open_host(tmp_path_factory.mktemp("deploy"))
    try:
        make_plain(host.api, host.folder)
        yield host
    finally:
        host.close()


@pytest.fixture(scope="module")
def installed(host, tmp_path_factory, request):
    installation = Installation(host, tmp_path_factory.mktemp("installed"))
    try:
        yield getattr(installation, request.param)()
    finally:
        installation.close()


BOTH = pytest.mark.parametrize("installed", ["all_in_one", "apart"], indirect=True)
ONE_HOST = pytest.mark.parametrize("installed", ["all_in_one"], indirect=True)
APART = pytest.mark.parametrize("installed", ["apart"], indirect=True)
COMPONENTS = ("engine", "hub", "client", "filter")


@BOTH
def test_all_run_without_rights_and_have_health_checks(host, installed):
    for name in installed.names.values():
        assert host.health(name) in ("starting", "healthy")
        said = host.kernel_says(name)
        assert said["Uid"].split() == [str(USER)] * 4
        assert (said["CapEff"], said["NoNewPrivs"], said["Seccomp"]) == ("0" * 16, "1", "2")
        assert RECORDED_KEY not in host.log(name)


@ONE_HOST
def test_the_hub_does_not_see_dockers_socket(host, installed):
    """All that it could connect to is the filter's, which is its user's own."""
    mounts = host.api.inspect(installed.names["hub"])["Mounts"]
    writable = {row["Destination"]: row["RW"] for row in mounts}
    assert set(writable) == {"/certs", "/run/harp-socket-filter", "/run/secrets/harp_shared_key"}
    assert not writable["/run/harp-socket-filter"]


@BOTH
def test_appapi_deploys_an_app_by_its_recorded_calls(installed, ca_bundle):
    installed.wait_for_engine()
    for reply, recorded in installed.play("app-register", ca_bundle.text):
        assert reply is not None and reply.status == recorded["status"], (recorded, reply)
    daemon = installed.daemon
    assert daemon.api.status("nc_app_testapp") == "running"
    assert RECORDED_KEY not in daemon.api.environment("nc_app_testapp")
    assert "refused by policy" in daemon.gate("v1.41/info").text


@ONE_HOST
def test_one_host_comes_back_from_a_reboot(installed):
    installed.wait_for_engine()
    installed.kill("engine", crash=False)
    installed.wait_for_engine()


@pytest.fixture(scope="module")
def app(installed):
    """One that runs, with a tunnel of its own."""
    installed.wait_for_engine()
    return installed.daemon.connected()


@APART
@pytest.mark.parametrize("number, order", enumerate(itertools.permutations(COMPONENTS)),
                         ids=lambda value: "-".join(value) if isinstance(value, tuple) else None)
def test_what_was_killed_in_any_order_comes_back_by_itself(installed, app, number, order):
    crash = number % 2 == 0
    for what in order:
        installed.kill(what, crash)
    installed.wait_for_engine()
    if crash:
        # AppAPI makes its containers with unless-stopped, which Docker takes for stopped then; it is AppAPI
        # that starts them.
        assert installed.daemon.call("start", app).status in (200, 204)
    wait_for(lambda: installed.answer(
        200, lambda: installed.daemon.to_app(app, "GET", "/heartbeat").status), BACK,
        "the app to be back", pause=0.05)
