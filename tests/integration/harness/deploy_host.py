"""A host that an administrator installs on: a network namespace with a Docker engine in it, and our images.

The documented ports are free in the namespace, and containers have its network as the host's, or bridges in
it. The thread that made the host lives in its network until close(): its sockets, and threads that it
starts, are there.
"""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess

import yaml

from .docker_api import frames
from .docker_cli import DockerCli, programs
from .docker_engine import DockerEngine, NoEngine
from .missing import skip_or_fail
from .netns import Namespace
from .nextcloud import Nextcloud
from .programs import BUILD, ROOT
from .wait import DEFAULT, Overdue, wait_for

COMPOSE = ROOT / "deploy/compose"
VERSION = re.search(r"^VERSION\s*:= (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
IMAGES = ("harp-hub", "harp-tunnel-client", "harp-socket-filter", "harp-audit-ship")
USER = 8780  # `harp` in the images


def build_images(folder, **environment):
    """`make image` to that folder, without building: what it printed."""
    done = subprocess.run([ROOT / "deploy/image.sh", BUILD, VERSION, folder], text=True,
                          capture_output=True, check=False, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout


class DeployHost:
    """`api` asks the engine, `docker` is its command line. `printed` is what `make image` said."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.closing = contextlib.ExitStack()
        try:
            network = self.closing.enter_context(Namespace("deploy"))
            self.engine = DockerEngine(network)
            self.closing.callback(self.engine.close)
            self.engine.start()
            self.closing.enter_context(network.entered())
            self.api = self.engine.api
            self.docker = DockerCli(programs()[0], self.engine.socket, self.folder / "cli")
            self.printed = build_images(self.folder / "image", 
                                        **self.docker.environment)
        except BaseException:
            self.close()
            raise

    def close(self):
        self.closing.close()

    # ---- containers ----

    def run(self, *words):
        """`docker run -d`."""
        return self.docker.good("run", "-d", *map(str, words))

    def nextcloud(self, **kwargs):
        """A stand-in that containers reach, too."""
        return Nextcloud(listen=(self.engine.gateway, 0), host=self.engine.gateway, **kwargs)

    def remove(self, *names):
        for name in names:
            self.api.remove(name)

    def pid(self, name):
        """Of the program in a container that runs."""
        return self.api.inspect(name)["State"]["Pid"]

    def log(self, name):
        return b"".join(piece for _, piece in frames(self.api.logs(name))).decode()

    def health(self, name):
        """starting, healthy or unhealthy."""
        return self.api.inspect(name)["State"]["Health"]["Status"]

    def wait_health(self, name, wanted):
        try:
            wait_for(lambda: self.health(name) == wanted, what=f"{name} to be {wanted}", pause=0.05)
        except Overdue as error:
            last = self.api.inspect(name)["State"]["Health"]["Log"][-1:]
            raise AssertionError(f"{error}, the last check: {last}\n{self.log(name)}") from None

    def wait_log(self, name, *words):
        """Its log, once it has all these words."""
        return wait_for(lambda: all(word in (log := self.log(name)) for word in words) and log,
                        what=f"{words} in the log of {name}", pause=0.02)

    def wait_end(self, name):
        """(exit code, log) of a container that ends by itself."""
        self.api.wait_status(name, "exited")
        return self.api.inspect(name)["State"]["ExitCode"], self.log(name)

    def kernel_says(self, name):
        """What /proc/PID/status has of the program in a container."""
        text = pathlib.Path(f"/proc/{self.pid(name)}/status").read_text(encoding="ascii")
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    def obeys(self, name):
        """Whether it runs and heeds SIGTERM. What a container's first process does not heed yet is lost, and
        Docker then waits for as long as the container may take to stop."""
        try:
            return self.pid(name) and int(self.kernel_says(name)["SigCgt"], 16) >> (signal.SIGTERM - 1) & 1
        except (FileNotFoundError, ProcessLookupError):
            return False


def open_host(folder):
    """A DeployHost; where there can be none, the running test ends."""
    try:
        return DeployHost(folder)
    except NoEngine as why:
        return skip_or_fail(f"no Docker engine: {why}")


class Compose:
    """One compose file of deploy/compose as an administrator has it: in a folder of its own, with .env."""

    def __init__(self, host, name, folder, project, **settings):
        self.host, self.file, self.project = host, f"{name}.yml", project
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        shutil.copy(COMPOSE / self.file, self.folder)
        settings = {"COMPOSE_PROJECT_NAME": project, "DOCKER_SOCKET": host.engine.socket, **settings}
        (self.folder / ".env").write_text("".join(f"{key}={value}\n"
                                                  for key, value in settings.items()))

    def call(self, *words):
        program = shutil.which("docker-compose")
        if not program:
            raise NoEngine("there is no docker-compose (Debian package docker-compose)")
        done = subprocess.run([program, *words], cwd=self.folder, text=True, capture_output=True,
                              env=self.host.docker.environment, timeout=6 * DEFAULT, check=False)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def up(self):
        """{service: its container's name}"""
        self.call("-f", self.file, "up", "-d")
        services = yaml.safe_load((COMPOSE / self.file).read_text())["services"]
        return {name: row.get("container_name") or self._container(name)
                for name, row in services.items()}

    def _container(self, service):
        """As the versions of Compose name it."""
        return next(name for name in self.host.api.containers()
                    if name in (f"{self.project}_{service}_1", f"{self.project}-{service}-1"))
