"""The audit record in tests: the driver that writes it, and the shipper."""
import os
import pathlib
import re
import subprocess

from .process import Process
from .programs import BUILD, ROOT, program_is_sanitized, started
from .s3 import ACCESS_KEY, BUCKET, SECRET_KEY

NAME = re.compile(r"audit-(\d{20})\.jsonl$")


def build_driver(folder):
    """harness/audit_driver.c with the libraries of the build that is tested."""
    target = pathlib.Path(folder) / "audit_driver"
    libraries = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libuv", "libssl", "libcrypto", "libcurl", "yajl",
         "libconfig", "libpcre2-8"], check=True, capture_output=True, text=True).stdout.split()
    sanitize = (["-fsanitize=address,undefined"]
                if program_is_sanitized("harp-audit-ship") else [])
    done = subprocess.run(
        [os.environ.get("CC", "gcc"), "-std=gnu11", "-D_GNU_SOURCE", "-I.", *sanitize, "-o", target,
         "tests/integration/harness/audit_driver.c", BUILD / "libfilter.a", BUILD / "libcommon.a",
         *libraries, "-lpthread"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


class Record:
    """A folder with a record, and the driver's ways to work with it."""

    def __init__(self, driver, folder):
        self.driver, self.folder = driver, pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def writer(self, segment_size=1 << 20, sync="never", **kwargs):
        """The driver as a process that writes; its stdin takes numbers."""
        return subprocess.Popen(
            [self.driver, "write", self.folder, str(segment_size), sync], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1, **kwargs)

    def fill(self, count, **kwargs):
        """Writes so many decisions in a process of its own."""
        with self.writer(**kwargs) as writer:
            out, err = writer.communicate(f"{count}\n" if count else "", timeout=60)
        assert writer.returncode == 0, err
        assert len(out.splitlines()) == count + 1, out
        return err

    def run(self, *words):
        return subprocess.run([self.driver, *map(str, words)], capture_output=True, text=True,
                              timeout=60, check=False)

    def verify(self, *words):
        return self.run("verify", *(words or [self.folder]))

    def segments(self):
        """Those there are, in order."""
        return sorted(path for path in self.folder.iterdir() if NAME.search(path.name))

    def finished(self):
        return self.segments()[:-1]

    def shipped(self):
        """The names of segments that are marked."""
        return sorted(path.name.removesuffix(".shipped") for path in self.folder.iterdir()
                      if path.name.endswith(".shipped"))


def ship_environment(record, url, settings=()):
    env = {key: value for key, value in os.environ.items() if not key.startswith("HP_")}
    env.update({"HP_AUDIT_FOLDER": str(record.folder), "HP_AUDIT_ENDPOINT": url,
                "HP_AUDIT_BUCKET": BUCKET, "HP_AUDIT_PREFIX": "hosts/one",
                "HP_AUDIT_ACCESS_KEY": ACCESS_KEY, "HP_AUDIT_SECRET_KEY": SECRET_KEY,
                "HP_AUDIT_RETRY_MIN": "10ms", "HP_AUDIT_RETRY_MAX": "200ms",
                "HP_LOG_LEVEL": "debug"})
    env.update({key: str(value) for key, value in dict(settings).items()})
    return env


class Shipper(Process):
    """harp-audit-ship, sending a record's folder to an S3."""

    def __init__(self, record, url, log, settings=(), once=False):
        super().__init__("audit-ship", [*started("harp-audit-ship"), *(["--once"] if once else [])],
                         log, env=ship_environment(record, url, settings))
