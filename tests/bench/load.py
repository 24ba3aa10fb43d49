"""The load: wrk for small answers, curl for transfers, wsload for WebSockets, burst for sessions, fan
for engines.

Each function runs one phase of bounded length and returns a `Result`. What is not as it must be
(status, size, an error counted by the tool) raises procs.Broken: a proxy that answers wrongly must
never look fast.
"""

import hashlib
import json
import os
import random
import subprocess
import time
from dataclasses import dataclass

import procs
from subjects import PREFIX, SMALL

BIG = 256 * 1024 * 1024
CHUNK = 4 * 1024 * 1024
WS_SIZE = 128

# Printed by wrk when it is done; its own text report rounds and hides what is zero.
WRK_SCRIPT = """
done = function(summary, latency, requests)
    io.write(string.format(
        '\\n{"requests": %d, "bytes": %d, "seconds": %.6f, "p50_us": %.1f, "p99_us": %.1f, ' ..
        '"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\\n',
        summary.requests, summary.bytes, summary.duration / 1e6,
        latency:percentile(50), latency:percentile(99),
        summary.errors.connect, summary.errors.read, summary.errors.write,
        summary.errors.status, summary.errors.timeout))
end
"""

# With a number behind `--`: the small answer of so many other ExApps by turns, and of the first one.
# With 0 it is always the first one, from the same code.
APPS_SCRIPT = """
local targets, at = {}, 0
init = function(args)
    targets[0] = wrk.format("GET", wrk.path)
    for i = 1, tonumber(args[1]) do
        targets[i] = wrk.format("GET", string.format("/exapps/app-%04d/small", i))
    end
end
request = function()
    at = at < #targets and at + 1 or 0
    return targets[at]
end
"""


@dataclass
class Result:
    """What one phase did. `units` are what CPU seconds are divided by: 100k requests, or GiB."""

    rate: float  # requests or round trips per second, or MB/s (10^6 bytes)
    units: float
    p50_us: float = 0.0
    p99_us: float = 0.0


class Load:
    """Where the tools and files are. Owns nothing that runs between two calls."""

    def __init__(self, children, work, own, big_file, big_sum):
        self.children = children
        self.work = work
        self.wsload = own["wsload"]
        self.burst = own["burst"]
        self.fan_program = own["fan"]
        self.big_file = big_file
        self.big_sum = big_sum
        self.script = f"{work}/done.lua"
        with open(self.script, "w") as f:
            f.write(WRK_SCRIPT)
        self.apps_script = f"{work}/apps.lua"
        with open(self.apps_script, "w") as f:
            f.write(APPS_SCRIPT + WRK_SCRIPT)

    # --- small answers ---

    def small(self, port, connections, seconds, fields=(), prefix=PREFIX, others=None):
        """fields: header fields to send. others: how many further ExApps, see APPS_SCRIPT."""
        argv = ["wrk", "-t1", f"-c{connections}", f"-d{_whole(seconds)}s", "--latency",
                "-s", self.script if others is None else self.apps_script]
        for field in fields:
            argv += ["-H", field]
        argv.append(f"http://127.0.0.1:{port}{prefix}/small")
        if others is not None:
            argv += ["--", str(others)]
        out = _run(argv, seconds + 20)
        r = json.loads(out.strip().splitlines()[-1])
        wrong = {k: r[k] for k in ("connect", "read", "write", "status", "timeout") if r[k]}
        if wrong:
            raise procs.Broken(f"wrk counted errors: {wrong} beside {r['requests']} requests")
        if not r["requests"] or r["bytes"] < r["requests"] * SMALL:
            raise procs.Broken(f"{r['requests']} answers with {r['bytes']} bytes are too few")
        return Result(r["requests"] / r["seconds"], r["requests"] / 100e3, r["p50_us"], r["p99_us"])

    # --- transfers ---

    def download(self, port, seconds):
        argv = ["curl", "-sS", "-o", "/dev/null", "-w",
                "%{http_code} %{size_download} %{time_total}\n"]

        def once():
            return _transfer(argv, f"http://127.0.0.1:{port}{PREFIX}/big")

        return _repeat(once, seconds)

    def upload(self, port, seconds):
        # `Expect:` empty: the wait for a 100 is the engine tests' subject, not this one's.
        argv = ["curl", "-sS", "-o", "/dev/null", "-T", self.big_file, "-H", "Expect:", "-w",
                "%{http_code} %{size_upload} %{time_total} %header{x-received}\n"]

        def once():
            return _transfer(argv, f"http://127.0.0.1:{port}{PREFIX}/upload")

        return _repeat(once, seconds)

    def check_transfers(self, port, origin):
        """Both ways once with a checksum, outside of any timing."""
        digest = hashlib.sha256()
        argv = ["curl", "-sS", "-f", "--max-time", "60", f"http://127.0.0.1:{port}{PREFIX}/big"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as curl:
            while chunk := curl.stdout.read(CHUNK):
                digest.update(chunk)
        if curl.returncode or digest.hexdigest() != self.big_sum:
            raise procs.Broken(f"the download is not the file (curl exit {curl.returncode})")
        argv = ["curl", "-sS", "-f", "--max-time", "60", "-T", self.big_file, "-H", "Expect:",
                f"http://127.0.0.1:{port}{PREFIX}/put/sent"]
        _run(argv, 70)
        path = origin.put_file("sent")
        try:
            if sum_of(path) != self.big_sum:
                raise procs.Broken("the file at the origin is not what was uploaded")
        except FileNotFoundError:
            raise procs.Broken("the upload did not arrive at the origin") from None
        os.unlink(path)

    # --- sessions ---

    def bursts(self, port, count, waves, public, user, name):
        """Microseconds of each request, as burst.c describes them."""
        return json.loads(_run([self.burst, str(port), str(count), str(waves), f"{public}/small",
                                f"{user}/small", name], 40))

    # --- engines ---

    def fan(self, plan, waves, kept):
        """Microseconds of waves and of requests, as fan.c describes them."""
        return json.loads(_run([self.fan_program, plan, str(waves), "kept" if kept else "fresh"],
                               70))

    # --- WebSockets ---

    def websocket_echo(self, port, connections, seconds):
        out = _run([self.wsload, "echo", "127.0.0.1", str(port), f"{PREFIX}/ws", str(connections),
                    str(seconds), str(WS_SIZE)], seconds + 30)
        r = json.loads(out)
        if r["errors"] or not r["count"]:
            raise procs.Broken(f"WebSocket echo: {r['errors']} errors, {r['count']} round trips")
        return Result(r["count"] / r["seconds"], r["count"] / 100e3, r["p50_us"], r["p99_us"])

    def websocket_idle(self, port, connections, while_open):
        """Opens the connections, calls `while_open`, closes them; all must have stayed."""
        child = self.children.start(
            "wsload idle", [self.wsload, "idle", "127.0.0.1", str(port), f"{PREFIX}/ws",
                            str(connections)], f"{self.work}/idle.log", pipes=True)
        try:
            line = procs.wait_for_line(child, limit=30.0)
            if line != f"ready {connections}":
                raise procs.Broken(f"idle WebSockets: {line}")
            seen = while_open()
            child.popen.stdin.close()
            line = procs.wait_for_line(child)
            if line != "lost 0":
                raise procs.Broken(f"idle WebSockets: {line}")
            return seen
        finally:
            self.children.stop(child)


def _whole(seconds):
    """wrk takes whole seconds only."""
    return max(1, round(seconds))


def _run(argv, limit):
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit,
                              text=True, check=False)
    except subprocess.TimeoutExpired:
        raise procs.Broken(f"{argv[0]} did not end within {limit:.0f} s") from None
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        said = "; ".join(words[-2:])
        raise procs.Broken(f"{' '.join(argv[:2])} failed ({done.returncode}): {said}")
    return done.stdout


def _transfer(argv, url):
    """Seconds of one transfer of the big file; curl's own start is not in the seconds."""
    code, size, took, *received = _run(argv + ["--max-time", "60", url], 70).split()
    if code != "200" or int(size) != BIG:
        raise procs.Broken(f"{url}: status {code}, {size} of {BIG} bytes")
    if received and int(received[0]) < BIG:
        raise procs.Broken(f"{url}: the origin read {received[0]} of {BIG} bytes")
    if "-T" in argv and not received:
        raise procs.Broken(f"{url}: the origin's count of bytes is missing")
    return float(took)


def _repeat(once, seconds):
    """Transfers for about that long, at least two: one alone is near the kernel's 10 ms step."""
    took = []
    until = time.monotonic() + seconds
    while len(took) < 2 or time.monotonic() < until:
        took.append(once())
    return Result(len(took) * BIG / 1e6 / sum(took), len(took) * BIG / 2**30)


def sum_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while chunk := f.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def make_big_file(path):
    """The file of the transfers, no two blocks of it alike; returns its SHA-256."""
    source = random.Random(2)
    digest = hashlib.sha256()
    with open(path, "wb") as f:
        for _ in range(BIG // CHUNK):
            chunk = source.randbytes(CHUNK)
            f.write(chunk)
            digest.update(chunk)
    return digest.hexdigest()
