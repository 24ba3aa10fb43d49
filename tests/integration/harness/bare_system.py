"""A bare Debian system of the tests' own, whose first process is the real systemd.

    root = bare_root(["libuv1", ...])            made once, kept in build/rootfs
    with BareSystem(root, namespace) as system:  what is changed in it is gone at the end
        system.run("systemctl", "start", ...)
        system.file("/etc/harp/hub.cfg")         a path of this machine to that file
        with system.entered():                   sockets of this thread are in its network

Its files, processes, network and cgroups are no other's. It needs root, and packages from a mirror.
"""
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from .programs import ROOT
from .wait import SLOWNESS, wait_for

BOOT_SECONDS = 60.0 * SLOWNESS
# Of no use here, or they would reach out of it.
MASKED = ("systemd-modules-load.service", "systemd-sysctl.service", "systemd-tmpfiles-setup-dev.service",
          "systemd-udevd.service", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
          "sys-fs-fuse-connections.mount", "dev-hugepages.mount", "apt-daily.timer", "apt-daily-upgrade.timer")
# $1 is the root, $2 an empty folder, $3 the name of its cgroup. Writes go to memory.
BOOT = """
root=$2/root top=$2/cgroup
mount -t tmpfs tmpfs "$2"
mkdir "$2/changes" "$2/work" "$root" "$top"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/changes,workdir=$2/work" "$root"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for name in null zero full random urandom tty; do
    : >"$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root/dev/shm" "$root/dev/pts"
ln -s /proc/self/fd "$root/dev/fd"
ln -s pts/ptmx "$root/dev/ptmx"
for unit in %s; do
    ln -s /dev/null "$root/etc/systemd/system/$unit"
done
mount -t cgroup2 cgroup2 "$top"
mkdir "$top/$3"
echo 0 >"$top/$3/cgroup.procs"
exec unshare --cgroup sh -ec '
    cd "$1"
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    pivot_root . .
    umount -l .
    exec env -i container=harp-tests PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd \\
        --log-target=journal --show-status=0
' sh "$root"
""" % " ".join(MASKED)
# $1: the name of the cgroup. All in it has ended; the folders stay until they are removed.
CLEAN = """
top=$(mktemp -d)
mount -t cgroup2 cgroup2 "$top"
[ ! -d "$top/$1" ] || find "$top/$1" -depth -type d -exec rmdir {} +
umount "$top"
rmdir "$top"
"""


class NoBareSystem(Exception):
    """It can't be made here; the text says why."""


def bare_root(packages):
    """The folder of a system of this machine's release, with these packages. Not to be changed."""
    if os.geteuid() != 0:
        raise NoBareSystem("a system of its own needs root")
    if not shutil.which("mmdebstrap"):
        raise NoBareSystem("there is no mmdebstrap (Debian package mmdebstrap)")
    release = _release()
    wanted = hashlib.sha256(" ".join(sorted(packages)).encode()).hexdigest()[:12]
    folder = ROOT / "build/rootfs" / f"{release}-{wanted}"
    if folder.exists():
        return folder
    for older in folder.parent.glob(f"{release}-*"):
        shutil.rmtree(older)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="new-", dir=folder.parent) as work:
        settings = pathlib.Path(work) / "apt.conf"
        settings.write_text(_mirror("settings"))
        done = subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(sorted(packages))}",
             "--dpkgopt=force-unsafe-io", f"--aptopt={settings}", release, f"{work}/root", _mirror("url").strip()],
            capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NoBareSystem(f"mmdebstrap failed: {done.stderr[-2000:]}")
        os.rename(f"{work}/root", folder)
    return folder


def _release():
    with open("/etc/os-release", encoding="utf-8") as file:
        values = dict(line.strip().split("=", 1) for line in file if "=" in line)
    if values.get("ID") != "debian" or "VERSION_CODENAME" not in values:
        raise NoBareSystem("this machine runs no release of Debian")
    return values["VERSION_CODENAME"]


def _mirror(word):
    return subprocess.run([ROOT / "tests/mirror.sh", word], capture_output=True, text=True, check=True).stdout


class BareSystem:
    """Running from the constructor to close(). `namespace` (netns.py) is its network."""

    def __init__(self, root, namespace):
        self.namespace, self.folder = namespace, pathlib.Path(tempfile.mkdtemp(prefix="harp-system-"))
        self.group = f"harp-tests-{os.getpid()}-{self.folder.name}"
        command = namespace.command("unshare", "--mount", "--pid", "--ipc", "--uts", "--propagation", "private",
                                    "--fork", "--kill-child", "sh", "-ec", BOOT, "sh", root, self.folder, self.group)
        self.log = self.folder.with_suffix(".log")
        with open(self.log, "ab") as sink:
            self.process = subprocess.Popen([str(part) for part in command], stdout=sink, stderr=sink,
                                            stdin=subprocess.DEVNULL)
        try:
            self.first = wait_for(self._first_process, BOOT_SECONDS, "systemd to run", pause=0.02)
            state = self.run("systemctl", "is-system-running", "--wait", check=False).stdout.strip()
            assert state == "running", f"{state}\n{self.run('systemctl', '--failed').stdout}\n{self.journal()}"
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _first_process(self):
        assert self.process.poll() is None, self.log.read_text()
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        if not children:
            return None
        first = int(children[0])
        # Its socket is how systemctl reaches it.
        up = (os.readlink(f"/proc/{first}/exe").endswith("/systemd")
              and os.path.exists(f"/proc/{first}/root/run/systemd/private"))
        return first if up else None

    def command(self, *argv):
        """argv to run something in it."""
        return ["nsenter", f"--target={self.first}", "--all", "--root", "--wd", "--", "env", "-i",
                "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", *map(str, argv)]

    def run(self, *argv, check=True, stdin=None):
        done = subprocess.run(self.command(*argv), capture_output=True, text=True, check=False, input=stdin,
                              timeout=BOOT_SECONDS)
        if check:
            assert done.returncode == 0, f"{' '.join(map(str, argv))}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def file(self, path):
        """Where this machine finds that file; links in the path must not be absolute."""
        return pathlib.Path(f"/proc/{self.first}/root") / str(path).lstrip("/")

    def entered(self):
        return self.namespace.entered()

    def show(self, unit, *names):
        """Properties of a unit, in the order of the names."""
        text = self.run("systemctl", "show", unit, f"--property={','.join(names)}").stdout
        values = dict(line.split("=", 1) for line in text.splitlines())
        return [values[name] for name in names]

    def journal(self, unit=None):
        words = ["-u", unit] if unit else []
        return self.run("journalctl", "--no-pager", "-o", "cat", *words, check=False).stdout

    def close(self):
        """All processes in it end with its first one, which unshare waits for."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for child in map(int, children):
            os.kill(child, signal.SIGKILL)
        if not children:
            self.process.kill()
        self.process.wait()
        subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-ec", CLEAN, "sh", self.group],
                       check=True)
        self.folder.rmdir()
        self.log.unlink()
