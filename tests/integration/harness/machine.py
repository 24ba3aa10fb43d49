"""A machine of the tests' own, for scripts that install things: its files in /etc, /usr/local/bin and
/run, its users, its processes and its network are no other's, all else is this machine's.

    machine = Machine(folder, namespace)             network as in netns.py
    machine.run("sh", "install.sh")                  subprocess.CompletedProcess
    machine.cut(); machine.boot()                    power off and on: files stay, /run does not

Its first process is service_manager.py; with it all processes end. It needs root.
"""
import hashlib
import os
import pathlib
import shutil
import signal
import stat
import subprocess

from .programs import PYTHON
from .wait import SLOWNESS, wait_for

MANAGER = pathlib.Path(__file__).with_name("service_manager.py")
# What tools that change users keep for themselves.
OWN = {"etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/.pwd.lock", "etc/subuid-",
       "etc/subgid-"}
MOUNTS = """
mount --bind "$1/etc" /etc
mount --bind "$1/local-bin" /usr/local/bin
mount -t tmpfs tmpfs /run
shift
# The shell stays the first process: it takes over what others leave behind.
"$@" &
wait $!
"""


class Machine:
    """units: {name of a service: text of its unit} that it has from its beginning; they are enabled."""

    def __init__(self, folder, namespace, units=()):
        self.folder, self.namespace = pathlib.Path(folder), namespace
        self.process = self.first = None
        self.sums = {}  # of files that were looked at, while they are the same
        for name in ("etc", "local-bin", "bin"):
            (self.folder / name).mkdir(parents=True)
        subprocess.run(["cp", "-a", "/etc/.", self.folder / "etc"], check=True)
        # No service of this machine's may be started a second time.
        shutil.rmtree(self.folder / "etc/systemd", ignore_errors=True)
        wanted = self.folder / "etc/systemd/system/multi-user.target.wants"
        wanted.mkdir(parents=True)
        for name, text in dict(units).items():
            (wanted.parent / f"{name}.service").write_text(text)
            (wanted / f"{name}.service").symlink_to(f"/etc/systemd/system/{name}.service")
        (self.folder / "etc/resolv.conf").unlink(missing_ok=True)
        (self.folder / "etc/resolv.conf").write_text("nameserver 127.53.53.53\n")  # nobody is there
        for name in ("systemctl", "journalctl"):
            shutil.copy(MANAGER.with_name("service_client.py"), self.folder / "bin" / name)
            (self.folder / "bin" / name).chmod(0o755)
        self.boot()

    def boot(self, reverse=False):
        """Starts it; enabled units are started in the order of their names, or the other way round."""
        booted = self.folder / "booted"
        booted.unlink(missing_ok=True)
        command = self.namespace.command(
            "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation",
            "private", "sh", "-ec", MOUNTS, "sh", self.folder, PYTHON, MANAGER, self.folder,
            *(["reverse"] if reverse else []))
        with open(self.folder / "manager.log", "ab") as sink:
            self.process = subprocess.Popen([str(part) for part in command], stdout=sink, stderr=sink,
                                            stdin=subprocess.DEVNULL)

        def up():
            assert self.process.poll() is None, (self.folder / "manager.log").read_text()
            return booted.exists()

        wait_for(up, 30 * SLOWNESS, "the machine to be up", pause=0.02)
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        self.first, = map(int, children.read_text().split())

    def cut(self):
        """All processes end at once, by SIGKILL."""
        if self.first:
            os.kill(self.first, signal.SIGKILL)
            self.process.wait()
            self.first = None

    def path(self, path):
        """Where that file of it is seen from outside."""
        return pathlib.Path(f"/proc/{self.first}/root{path}")

    def command(self, *argv):
        """argv to run something in it."""
        return ["nsenter", f"--target={self.first}", "--mount", "--pid", "--net", "--",
                *map(str, argv)]

    def run(self, *argv, path=(), seconds=120, **environment):
        """path: folders in front of all others."""
        folders = [*map(str, path), f"{self.folder}/bin", "/usr/local/sbin", "/usr/local/bin",
                   "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        return subprocess.run(self.command(*argv), capture_output=True, text=True, timeout=seconds,
                              stdin=subprocess.DEVNULL, check=False,
                              env={"PATH": ":".join(folders), "LC_ALL": "C", **environment})

    def kill(self, number):
        """By the shell: a bare Debian has no program of that name."""
        done = self.run("sh", "-c", f"kill -9 {number}")
        assert done.returncode == 0, done

    def systemctl(self, *words):
        done = self.run("systemctl", *words)
        assert done.returncode == 0, (words, done)
        return done.stdout.strip()

    def main_pid(self, unit):
        """As the machine numbers it; 0: not running."""
        return int(self.systemctl("show", unit))

    def log(self, unit):
        path = self.folder / f"{unit}.log"
        return path.read_text() if path.exists() else ""

    def processes(self):
        """{number: name} of all but the first and its manager."""
        own = os.readlink(f"/proc/{self.first}/ns/pid")
        found = {}
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(path / "ns/pid") == own and int(path.name) != self.first:
                    found[int(path.name)] = (path / "comm").read_text().strip()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                pass
        return found

    def files(self):
        """{path: what tells whether it changed} of all that it has for itself."""
        found = {}
        for top in ("etc", "local-bin"):
            for parent, folders, names in os.walk(self.folder / top):
                for name in (*folders, *names):
                    path = pathlib.Path(parent, name)
                    short = str(path.relative_to(self.folder))
                    if short not in OWN:
                        found[short] = self._look(path)
        return found

    def _look(self, path):
        info = path.lstat()
        content = ""
        if stat.S_ISLNK(info.st_mode):
            content = os.readlink(path)
        elif stat.S_ISREG(info.st_mode):
            key = path, info.st_ino, info.st_size, info.st_mtime_ns
            if key not in self.sums:
                self.sums[key] = hashlib.sha256(path.read_bytes()).hexdigest()
            content = self.sums[key]
        return oct(info.st_mode), info.st_uid, info.st_gid, content
