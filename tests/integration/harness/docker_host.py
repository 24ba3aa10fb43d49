"""A hub in one network namespace, and a machine with a Docker engine in another, joined by a cable: what
deploy/install-tunnel-client.sh has before it. The hub has the ports that are documented.

Docker is a unit of the machine's, so it is
cut off and started with it.
"""
import contextlib
import re
import shutil
import subprocess

from .ca_bundle import CaBundle
from .deploy import Daemon
from .docker_api import DockerApi
from .docker_engine import APART, AWAY, START_SECONDS, NoEngine, dockerd
from .docker_images import PLAIN, PATH, START, build_exapp, root
from .machine import Machine
from .missing import skip_or_fail
from .netns import Namespace
from .programs import BUILD, ROOT, run_program
from .recorded_docker import SETTINGS, ask, asked, adapted
from .credentials import RECORDED_KEY
from .recorded import record_of_testapp
from .wait import wait_for

SCRIPT = ROOT / "deploy/install-tunnel-client.sh"
HUB_ADDRESS, HOST_ADDRESS = "198.51.100.1", "198.51.100.2"
PORTS = {"http": 8780, "https": 8781, "frp": 8782, "admin": 8200}
HUB = f"{HUB_ADDRESS}:{PORTS['frp']}"
NAME, PORT = "docker-host-1", 24001


DOCKER = f"""
[Service]
ExecStart={{program}} --host unix:///run/docker.sock --group docker --config-file {{folder}}/daemon.json \
    --data-root {{folder}}/data --exec-root /run/docker --pidfile /run/docker.pid {' '.join(APART)}

[Install]
WantedBy=multi-user.target
""".replace("\\\n", "")


class DockerHost:
    """`site` holds what is started at the hub's side, `api` asks the engine. close() ends all of it."""

    def __init__(self, folder, site, certs):
        self.folder, self.site, self.certs = folder, site, certs
        self.hub = self.machine = self.api = None
        self.near = Namespace("hub")
        self.far = Namespace("host")
        self.near.join(self.far, f"{HUB_ADDRESS}/24", f"{HOST_ADDRESS}/24")
        self.bundle = CaBundle("Test Authority One")

    def start(self):
        docker = self.folder / "docker"
        docker.mkdir(parents=True)
        (docker / "daemon.json").write_text("{}")
        self.machine = Machine(self.folder / "machine", self.far,
                               {"docker": DOCKER.format(program=dockerd(), folder=docker)})
        if self.machine.run("getent", "group", "docker").returncode != 0:
            self.machine.run("groupadd", "--system", "docker")
            self.machine.systemctl("restart", "docker")
        self.wait_docker()
        self.api.import_image(root(build_exapp(self.folder), "debian", tunnel=True), PLAIN, [PATH, START])
        self.start_hub()
        self.keys = self.certificate(NAME, self.folder / "keys")

    def wait_docker(self):
        self.api = DockerApi(self.machine.path("/run/docker.sock"))

        def answers():
            try:
                return self.api.ping()
            except AWAY:
                assert self.machine.main_pid("docker"), self.machine.log("docker")
                return False

        try:
            wait_for(answers, START_SECONDS, "dockerd to answer", pause=0.02)
        except AssertionError as error:
            raise NoEngine(f"{error}\n{self.machine.log('docker')[-3000:]}") from None

    def reboot(self, reverse=False):
        """Power off and on, Docker's included."""
        self.machine.cut()
        self.machine.boot(reverse)
        self.wait_docker()

    def start_hub(self, **settings):
        with self.near.entered():
            nextcloud = self.site.nextcloud(key=RECORDED_KEY)
            nextcloud.apps["testapp"] = record_of_testapp()
            self.hub = self.site.hub(
                certs=self.certs, ports=PORTS, nextcloud=nextcloud,
                settings={**SETTINGS, "HP_FRP_ADDRESS": f"0.0.0.0:{PORTS['frp']}",
                          "HP_EXAPPS_ADDRESS": f"0.0.0.0:{PORTS['http']}",
                          "HP_DOCKER_SOCKET": self.folder / "none.sock", **settings})

    def stop_hub(self):
        self.site.things.remove(self.hub)
        self.hub.stop()

    def certificate(self, name, folder):
        """What `harp-hub engines certificate` makes."""
        done = run_program("harp-hub", "engines", "certificate", name, folder, env=self.hub.env)
        assert done.returncode == 0, done
        return folder

    # ---- the script ----

    def install(self, *arguments, name=NAME, port=PORT, certs=None, hub=HUB, path=(), **environment):
        """A run with good arguments, but for what is said otherwise; None leaves one out."""
        given = {"--hub": hub, "--name": name, "--port": port, "--certs": certs or self.keys,
                 "--from": BUILD}
        return self.machine.run(SCRIPT, *(part for key, value in given.items() if value is not None
                                          for part in (key, value)), *arguments, path=path,
                                **environment)

    def uninstall(self, *arguments):
        return self.machine.run(SCRIPT, "--uninstall", *arguments)

    # ---- what came of it ----

    def engines(self):
        """The rows of `harp-hub engines`: {port: words}."""
        done = subprocess.run(self.near.command(BUILD / "harp-hub", "engines"), env=self.hub.env,
                              capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done
        rows = [re.split("  +", row.strip()) for row in done.stdout.splitlines()[1:]]
        return {int(row[0]): row[1:] for row in rows if row[0].isdigit()}

    def wait_engine(self, port=PORT):
        """Until the hub has the engine at that port, with its version."""
        return wait_for(lambda: (row := self.engines().get(port)) and row[2] != "-" and row,
                        what=f"an engine at port {port}", pause=0.1)

    def daemon(self, port=PORT):
        return Daemon(self.hub, self.api, port, "tunnel-filter")

    def play(self, name, port=PORT):
        """Plays what AppAPI was recorded to ask, to the engine at that port: [(recorded, Response)]."""
        played = []
        for exchange in asked(name):
            request = adapted(exchange["request"], self.hub, self.bundle.text)
            request["headers"] = [[key, str(port) if key.lower() == "docker-engine-port" else value]
                                  for key, value in request["headers"]]
            if isinstance(request["body"], dict) and "environment_variables" in request["body"]:
                request["body"]["environment_variables"] = [
                    f"HP_FRP_ADDRESS={HUB_ADDRESS}" if row.startswith("HP_FRP_ADDRESS=") else row
                    for row in request["body"]["environment_variables"]]
            with self.near.entered():
                if request["path"].endswith("/heartbeat"):
                    reply = wait_for(lambda: (got := ask(self.hub, request)).status == 200 and got,
                                     what="the heartbeat", pause=0.05)
                else:
                    reply = ask(self.hub, request)
            played.append((exchange, reply))
        return played

    def close(self):
        try:
            if self.machine:
                self.machine.cut()
            shutil.rmtree(self.folder / "docker", ignore_errors=True)
            self.site.close()
        finally:
            for namespace in (self.near, self.far):
                namespace.close()


@contextlib.contextmanager
def docker_host(folder, site, certs):
    """One that is started; the test is skipped, or fails, where that can't be."""
    host = DockerHost(folder, site, certs)
    try:
        try:
            host.start()
        except NoEngine as why:
            skip_or_fail(f"no Docker engine: {why}")
        yield host
    finally:
        host.close()
