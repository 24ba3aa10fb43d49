#!/usr/bin/python3
"""A stand-in for systemd, as the first process of a machine of the tests (machine.py), and its commands.

    service_manager.py FOLDER [reverse]     starts the enabled units and stays

systemctl and journalctl are service_client.py by those names; FOLDER has what units wrote.

It runs real unit files, as far as what a unit does depends on it: ExecStart as User, Group and
SupplementaryGroups with UMask, Environment and RuntimeDirectory, Type=notify with its socket and
WatchdogSec, ConditionPathExists, ExecReload, Restart, RestartSec, TimeoutStopSec, WantedBy, and
drop-ins. It refuses to start a unit whose files changed since daemon-reload. What a unit forbids to
its program (Protect..., SystemCallFilter and the like) is left to others' tests.
"""
import glob
import grp
import os
import pathlib
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

UNITS = ["/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system"]
START_SECONDS = 20.0
RUN = pathlib.Path("/run/systemd")


class Refused(Exception):
    """What systemctl says before it ends with 1, or with its code."""

    def __init__(self, text, code=1):
        super().__init__(text)
        self.code = code


def seconds(text):
    return float(text.removesuffix("s"))


class Unit:
    """One service, started and watched. All of it happens under the manager's lock but for waiting."""

    def __init__(self, manager, name):
        self.manager, self.name = manager, name
        self.child = None
        self.stopping = False
        self.log = manager.folder / f"{name}.log"
        self.load()

    # ---- files ----

    def texts(self):
        for folder in UNITS:
            path = pathlib.Path(folder, f"{self.name}.service")
            if path.exists():
                drop_ins = sorted(glob.glob(f"{UNITS[0]}/{self.name}.service.d/*.conf"))
                return [path.read_text(), *(pathlib.Path(row).read_text() for row in drop_ins)]
        raise Refused(f"Unit {self.name}.service could not be found.", 5)

    def load(self):
        self.loaded = self.texts()
        self.settings = {}
        for text in self.loaded:
            for line in text.splitlines():
                key, mark, value = line.strip().partition("=")
                if not mark or key.startswith("#"):
                    continue
                rows = self.settings.setdefault(key.strip(), [])
                rows[:] = [*rows, value.strip()] if value.strip() else []

    def one(self, key, otherwise=""):
        return (self.settings.get(key) or [otherwise])[-1]

    def words(self, key):
        return [word for row in self.settings.get(key, []) for word in shlex.split(row)]

    def wanted(self):
        return [pathlib.Path(UNITS[0], f"{target}.wants", f"{self.name}.service")
                for target in self.words("WantedBy")]

    # ---- life ----

    def active(self):
        return self.child is not None and self.child.poll() is None

    def conditions_met(self):
        """Those with | are met by one of them."""
        any_of = []
        for row in self.settings.get("ConditionPathExists", []):
            path = row.lstrip("|!")
            met = os.path.exists(path) != ("!" in row[:2])
            if row.startswith("|"):
                any_of.append(met)
            elif not met:
                return False
        return not any_of or any(any_of)

    def folders(self, user, group):
        mode = int(self.one("RuntimeDirectoryMode", "0755"), 8)
        for name in self.words("RuntimeDirectory"):
            path = pathlib.Path("/run", name)
            path.mkdir(exist_ok=True)
            path.chmod(mode)
            os.chown(path, user, group)

    def start(self):
        if self.texts() != self.loaded:
            raise Refused(f"the files of {self.name} changed on disk: run systemctl daemon-reload")
        if self.active():
            return
        if not self.conditions_met():
            self.write("condition not met, so it is not started\n")
            return
        entry = pwd.getpwnam(self.one("User", "root"))
        group = self.one("Group")
        group = grp.getgrnam(group).gr_gid if group else entry.pw_gid
        extra = [grp.getgrnam(name).gr_gid for name in self.words("SupplementaryGroups")]
        self.folders(entry.pw_uid, group)
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "USER": entry.pw_name,
                       **dict(row.split("=", 1) for row in self.words("Environment"))}
        notify = None
        if self.one("Type") == "notify":
            notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            path = RUN / f"notify-{self.name}"
            path.unlink(missing_ok=True)
            notify.bind(str(path))
            path.chmod(0o777)
            environment["NOTIFY_SOCKET"] = str(path)
            if watchdog := self.one("WatchdogSec"):
                environment["WATCHDOG_USEC"] = str(int(seconds(watchdog) * 1e6))
        with open(self.log, "ab") as sink:
            self.child = subprocess.Popen(
                self.words("ExecStart"), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd="/",
                env=environment, user=entry.pw_uid, group=group, extra_groups=sorted({*extra, group}),
                umask=int(self.one("UMask", "0022"), 8), start_new_session=True)
        self.stopping = False
        if notify:
            self.wait_ready(notify)
        threading.Thread(target=self.watch, args=(self.child,), daemon=True).start()

    def wait_ready(self, notify):
        notify.settimeout(0.05)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.active():
            try:
                if b"READY=1" in notify.recv(4096).split(b"\n"):
                    threading.Thread(target=self.drain, args=(notify,), daemon=True).start()
                    return
            except TimeoutError:
                pass
        code = self.child.poll()
        if code is None:
            self.child.kill()
            self.child.wait()
        threading.Thread(target=self.watch, args=(self.child,), daemon=True).start()
        raise Refused(f"Job for {self.name}.service failed: "
                      + ("it was not ready in time" if code is None else f"it ended with {code}"))

    @staticmethod
    def drain(notify):
        """What a unit says while it runs is read, so that it never has to wait."""
        notify.settimeout(None)
        while notify.recv(4096):
            pass

    def watch(self, child):
        """Starts it anew when it ends by itself."""
        code = child.wait()
        if self.stopping or child is not self.child:
            return
        self.write(f"ended with {code}\n")
        if self.one("Restart", "no") == "always" or (code != 0 and self.one("Restart") == "on-failure"):
            time.sleep(seconds(self.one("RestartSec", "0.1")))
            with self.manager.lock:
                if child is self.child and not self.stopping:
                    try:
                        self.start()
                    except Refused as error:
                        self.write(f"{error}\n")

    def stop(self):
        self.stopping = True
        if self.active():
            self.child.terminate()
            try:
                self.child.wait(seconds(self.one("TimeoutStopSec", "20")))
            except subprocess.TimeoutExpired:
                self.write("killed: it did not end in time\n")
                self.child.kill()
                self.child.wait()
        for name in self.words("RuntimeDirectory"):
            shutil.rmtree(f"/run/{name}", ignore_errors=True)

    def reload(self):
        if not self.active():
            raise Refused(f"{self.name}.service is not active, cannot reload.")
        command = [word.replace("$MAINPID", str(self.child.pid)) for word in self.words("ExecReload")]
        if not command:
            raise Refused(f"Job type reload is not applicable for unit {self.name}.service.")
        subprocess.run(command, check=True)

    def write(self, text):
        with open(self.log, "a", encoding="utf-8") as file:
            file.write(f"manager: {text}")


class Manager:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.units = {}
        self.lock = threading.RLock()
        (RUN / "system").mkdir(parents=True, exist_ok=True)  # how scripts know that systemd runs

    def unit(self, name):
        name = name.removesuffix(".service")
        if name not in self.units:
            self.units[name] = Unit(self, name)
        return self.units[name]

    def boot(self, reverse):
        wanted = sorted(glob.glob(f"{UNITS[0]}/multi-user.target.wants/*.service"), reverse=reverse)
        for path in wanted:
            try:
                self.unit(os.path.basename(path)).start()
            except Refused as error:
                self.unit(os.path.basename(path)).write(f"{error}\n")

    # ---- what systemctl asks ----

    def enable(self, unit, now=False):
        for link in unit.wanted():
            link.parent.mkdir(exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(f"{UNITS[0]}/{unit.name}.service")
        if now:
            unit.start()

    def disable(self, unit, now=False):
        for link in unit.wanted():
            link.unlink(missing_ok=True)
            if link.parent.is_dir() and not os.listdir(link.parent):
                link.parent.rmdir()
        if now:
            unit.stop()

    def daemon_reload(self):
        for name, unit in list(self.units.items()):
            try:
                unit.load()
            except Refused:
                if unit.active():
                    raise
                del self.units[name]

    def do(self, verb, names, flags):
        if verb == "daemon-reload":
            self.daemon_reload()
            return ""
        if not names:
            raise Refused(f"unknown or incomplete: systemctl {verb}")
        said = []
        for name in names:
            unit = self.unit(name)
            if verb == "is-active":
                said.append("active" if unit.active() else "inactive")
                if not unit.active():
                    raise Refused("inactive", 3)
            elif verb == "is-enabled":
                if not all(link.is_symlink() for link in unit.wanted()):
                    raise Refused("disabled")
                said.append("enabled")
            elif verb in ("enable", "disable"):
                getattr(self, verb)(unit, "--now" in flags)
            elif verb in ("start", "stop", "reload"):
                getattr(unit, verb)()
            elif verb == "restart":
                unit.stop()
                unit.start()
            elif verb == "show":
                said.append(str(unit.child.pid if unit.active() else 0))
            else:
                raise Refused(f"unknown: systemctl {verb}")
        return "" if "--quiet" in flags else "".join(f"{row}\n" for row in said)

    def serve(self):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path = RUN / "private"
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()
        (self.folder / "booted").write_text(str(time.time()))
        while True:
            threading.Thread(target=self.answer, args=listener.accept()[:1], daemon=True).start()

    def answer(self, client):
        """Words that end with NUL, up to an empty one; the answer is the exit code, what to say, and
        what is wrong."""
        with client, client.makefile("rb") as file:
            words = file.read().decode().split("\0")[:-1]
            flags = [word for word in words if word.startswith("-")]
            verb, *names = [word for word in words if not word.startswith("-")]
            try:
                with self.lock:
                    reply = 0, self.do(verb, names, flags), ""
            except (Refused, KeyError, OSError, subprocess.CalledProcessError) as error:
                reply = getattr(error, "code", 1), "", "" if "--quiet" in flags else f"{error}\n"
            client.sendall("\0".join(map(str, reply)).encode())


def main():
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # the kernel ends all others with it
    manager = Manager(sys.argv[1])
    manager.boot("reverse" in sys.argv[2:])
    manager.serve()


if __name__ == "__main__":
    main()
