"""A real Docker engine for the tests, beside whatever else this machine runs.

It has a folder, a socket, a containerd and a mount namespace of its own, so that its mounts end
with it. It touches no network: no bridge, no firewall rules, no resolver to ask for a registry.
Containers use the host's network (NetworkMode `host`). In a network namespace of the tests' own it has
bridges there, too, and publishes ports.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from .docker_api import DockerApi
from .wait import SLOWNESS, Overdue, wait_for

START_SECONDS = 60.0 * SLOWNESS
STOP_SECONDS = 60.0 * SLOWNESS
AWAY = (ConnectionError, FileNotFoundError, TimeoutError)
# $1 stands in place of the machine's resolv.conf; the rest is the command.
IN_A_MOUNT_NAMESPACE = ["unshare", "--mount", "--propagation", "slave", "sh", "-ec",
                        'mount --bind "$1" /etc/resolv.conf; shift; exec "$@"', "sh"]
# Without systemd and firewall rules; the storage driver is the best that works here.
ALONE = ["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--exec-opt",
         "native.cgroupdriver=cgroupfs", "--shutdown-timeout", "5"]
# And without a network of its own.
APART = [*ALONE, "--bridge", "none", "--userland-proxy=false"]


class NoEngine(Exception):
    """The engine can't run here; the text says why."""


def dockerd():
    """The program, where it can be started; raises NoEngine elsewhere."""
    if os.geteuid() != 0:
        raise NoEngine("a Docker engine needs root")
    program = shutil.which("dockerd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not program:
        raise NoEngine("there is no dockerd (Debian package docker.io)")
    return program


class DockerEngine:
    """Owns dockerd and its folder. `socket` is where it listens, `api` how tests ask it. namespace: a
    Namespace of netns.py that is "the host's network" to its containers, who reach it at `gateway`;
    None: this machine's.

    stop() and kill() end it and leave its data; start() starts it again; close() removes all."""

    gateway = "172.17.0.1"  # the address of docker0, unless it is told another

    def __init__(self, namespace=None):
        self.namespace = namespace
        self.program = dockerd()
        # Short: containerd's sockets lie below it, and a socket's path has 107 bytes at most.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="harp-engine-"))
        self.socket = self.folder / "docker.sock"
        self.log = self.folder / "dockerd.log"
        (self.folder / "daemon.json").write_text("{}")  # in place of the machine's own settings
        (self.folder / "resolv.conf").write_text("nameserver 127.53.53.53\n")  # nobody is there
        self.api = DockerApi(self.socket)
        self.child = None
        self.was_up = False

    def start(self):
        """Returns once it answers; raises NoEngine, with the end of its log, if it does not."""
        command = [*IN_A_MOUNT_NAMESPACE, self.folder / "resolv.conf",
                   self.program, "--host", f"unix://{self.socket}",
                   "--config-file", self.folder / "daemon.json",
                   "--data-root", self.folder / "data", "--exec-root", self.folder / "run",
                   "--pidfile", self.folder / "dockerd.pid", "--group", str(os.getegid()),
                   *(ALONE if self.namespace else APART)]
        if self.namespace:
            command = self.namespace.command(*command)
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("HP_") and not name.lower().endswith("_proxy")}
        with open(self.log, "ab") as sink:
            self.child = subprocess.Popen([str(part) for part in command], stdout=sink,
                                          stderr=sink, stdin=subprocess.DEVNULL, env=environment)
        try:
            wait_for(self._answers, START_SECONDS, "dockerd to answer", pause=0.02)
            self.was_up = True
        except Overdue as error:
            self.child.kill()
            self.child.wait()
            raise NoEngine(f"{error}\n{self.tail()}") from None

    def _answers(self):
        if self.child.poll() is not None:
            raise NoEngine(f"dockerd ended with {self.child.returncode}:\n{self.tail()}")
        try:
            return self.api.ping()
        except AWAY:
            return False

    def running(self):
        return self.child is not None and self.child.poll() is None

    def tail(self, lines=25):
        text = self.log.read_text(errors="replace").splitlines()
        return "\n".join(f"    dockerd: {line}" for line in text[-lines:])

    def stop(self):
        """Ends it as a service manager does; containers are stopped by it."""
        if not self.running():
            return
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise AssertionError(f"dockerd did not end in {STOP_SECONDS:.0f} s:\n"
                                 f"{self.tail()}") from None
        if self.child.returncode != 0:
            raise AssertionError(f"dockerd ended with {self.child.returncode}:\n{self.tail()}")

    def kill(self):
        """As if it had crashed: its socket stays as a file, containers may go on."""
        proxies = self._proxies()
        self.child.kill()
        self.child.wait()
        self._wait_containerd()
        # They end with it, but not at once; the next dockerd would find published ports in use, and leave
        # their containers stopped for good.
        wait_for(lambda: not any(map(self._is_proxy, proxies)), STOP_SECONDS, "its port proxies to end")

    def clean(self):
        """Removes all containers and volumes."""
        for name in self.api.containers():
            self.api.remove(name)
        for name in self.api.volumes():
            self.api.remove_volume(name)

    def close(self):
        """Removes containers, ends the engine, unmounts and removes its folder."""
        try:
            if self.was_up and not self.running():
                self.start()  # after a kill: its containers may still run
            if self.running():
                self.clean()
                self.stop()
        finally:
            if self.running():
                self.kill()
            self._wait_containerd()
            shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _is_proxy(pid):
        """Whether that is a process that publishes a port; one that has ended and waits for its parent is none."""
        try:
            return b"docker-proxy" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return False

    def _proxies(self):
        children = pathlib.Path(f"/proc/{self.child.pid}/task").glob("*/children")
        return [pid for path in children for pid in path.read_text().split() if self._is_proxy(pid)]

    def _wait_containerd(self):
        """It is dockerd's child, and ends with it. Where nobody fetches its exit code its number
        stays in use, and the next dockerd would take it for running."""
        record = self.folder / "run/containerd/containerd.pid"

        def ended():
            try:
                command = pathlib.Path(f"/proc/{int(record.read_text())}/cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError, ValueError):
                return True
            return str(self.folder).encode() not in command

        wait_for(ended, STOP_SECONDS, "containerd to end")
        record.unlink(missing_ok=True)
