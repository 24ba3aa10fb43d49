"""Network namespaces of a test's own, so that ports, addresses and routes are its own, too.

    with Namespace("host") as host:
        Process(host.command("harp-hub", ...))   processes in it
        with host.entered():                     sockets of this thread
            RawClient(8780)

They need root. close() deletes the namespace and what joins it to others; processes in it are ended by
whoever started them.
"""
import contextlib
import ctypes
import itertools
import os
import subprocess

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_count = itertools.count(1)


def _ip(*words):
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(map(str, words))}: {done.stderr.strip()}"


def _set_namespace(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Namespace:
    def __init__(self, name):
        self.number = next(_count)
        self.name = f"harp-{os.getpid()}-{self.number}-{name}"
        self.path = f"/run/netns/{self.name}"
        _ip("netns", "add", self.name)
        _ip("-n", self.name, "link", "set", "lo", "up")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        _ip("netns", "del", self.name)

    def command(self, *argv):
        """argv to run something in it; mounts and process numbers stay the machine's."""
        return ["nsenter", f"--net={self.path}", "--", *map(str, argv)]

    @contextlib.contextmanager
    def entered(self):
        """Sockets that this thread makes meanwhile are of the namespace, and stay so."""
        with open("/proc/thread-self/ns/net", "rb") as before, open(self.path, "rb") as own:
            _set_namespace(own.fileno())
            try:
                yield self
            finally:
                _set_namespace(before.fileno())

    def join(self, other, own_address, other_address):
        """A cable to another one; addresses with the length of their prefix, "198.51.100.1/24"."""
        ends = [f"hv{os.getpid()}.{self.number}.{other.number}{side}" for side in "ab"]
        ends = [end[-15:] for end in ends]  # IFNAMSIZ
        _ip("link", "add", ends[0], "netns", self.name, "type", "veth", "peer", "name", ends[1],
            "netns", other.name)
        for where, end, address in ((self, ends[0], own_address), (other, ends[1], other_address)):
            _ip("-n", where.name, "address", "add", address, "dev", end)
            _ip("-n", where.name, "link", "set", end, "up")
