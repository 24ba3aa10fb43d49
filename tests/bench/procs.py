"""Processes of the benchmark: start, readiness, stop, and what /proc says about them.

A `Child` is owned by whoever started it; `Children.stop_all` ends what is left, newest first. A
child also gets SIGTERM from the kernel when this program dies, so nothing is left behind.
Times are seconds, memory is bytes. Nothing here waits a fixed time: readiness is a connection or an
answer, the end of a process is its pidfd.
"""

import ctypes
import os
import resource
import select
import signal
import socket
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
POLL = 0.0005  # between two attempts to connect, while a program starts
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Broken(Exception):
    """Something did not work: a program ended, a wrong answer, lost connections."""


def raise_file_limit():
    """Thousands of connections: as many descriptors as are allowed. Children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Child:
    """One started program. `began` is taken right before the fork, so the exec is after it."""

    def __init__(self, name, argv, log, env=None, cwd=None, pipes=False):
        self.name = name
        self.log = log
        with open(log, "ab") as out:
            self.log_begins = out.tell()
            self.began = time.monotonic()
            self.popen = subprocess.Popen(
                argv, cwd=cwd, env=env, preexec_fn=_die_with_parent,
                stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipes else out, stderr=out)
        self.pid = self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def last_words(self, lines=2):
        """The end of what this start of the program wrote, for an error message."""
        try:
            with open(self.log, errors="replace") as f:
                f.seek(self.log_begins)
                return " / ".join(line.strip() for line in f.readlines()[-lines:])[-400:]
        except OSError:
            return ""

    def check(self):
        if not self.alive():
            raise Broken(f"{self.name} ended with {self.popen.returncode}: {self.last_words()}")

    def stop(self, limit=6.0):
        """SIGTERM, then SIGKILL at the limit. Returns a note if it did not end as it should."""
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe:
                pipe.close()
        if self.alive():
            self.popen.terminate()
            try:
                self.popen.wait(limit)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
                return f"{self.name} did not end within {limit:.0f} s of SIGTERM and was killed"
        return None


class Children:
    """All programs that run; ends them whatever happens."""

    def __init__(self):
        self.running = []
        self.notes = []

    def start(self, *args, **kwargs):
        child = Child(*args, **kwargs)
        self.running.append(child)
        return child

    def stop(self, child):
        if child in self.running:
            self.running.remove(child)
        note = child.stop()
        if note and note not in self.notes:
            self.notes.append(note)

    def stop_all(self):
        for child in reversed(self.running[:]):
            self.stop(child)


def attempt(port, request, limit):
    """Sends a request on a new connection; all that came back until its end, or None."""
    with socket.socket() as s:
        s.settimeout(limit)
        try:
            s.connect(("127.0.0.1", port))
            s.sendall(request)
            answer = b""
            while chunk := s.recv(65536):
                answer += chunk
        except OSError:
            return None
    return answer


def wait_for_answer(child, port, path, limit=10.0, others=()):
    """Asks until the answer is 200; returns the seconds from the child's start and the answer."""
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode()
    until = child.began + limit
    seen = b""
    while time.monotonic() < until:
        answer = attempt(port, request, 2.0)
        took = time.monotonic() - child.began
        if answer and answer.startswith(b"HTTP/1.1 200 "):
            return took, answer
        seen = answer or seen
        for c in (child, *others):
            c.check()
        time.sleep(POLL)
    first = seen.split(b"\r\n\r\n")
    raise Broken(f"{child.name}: no 200 for {path} within {limit:.0f} s; the last answer was "
                 f"{first[0][:60]!r} {first[-1][:120]!r}; log: {child.last_words()}")


def wait_for_port(child, port, limit=10.0):
    """Until a connection to the port is taken."""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        with socket.socket() as s:
            s.settimeout(1.0)
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        child.check()
        time.sleep(POLL)
    raise Broken(f"{child.name}: nothing listens on port {port} after {limit:.0f} s")


def wait_for_line(child, limit=20.0):
    """The next line of a child that was started with pipes."""
    ready, _, _ = select.select([child.popen.stdout], [], [], limit)
    line = child.popen.stdout.readline().decode() if ready else ""
    if not line:
        raise Broken(f"{child.name} said nothing: {child.last_words()}")
    return line.strip()


def wait_until(what, limit):
    """Polls a condition; False when the limit came first."""
    until = time.monotonic() + limit
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.002)
    return True


# --- what /proc says ---


def _stat(pid):
    with open(f"/proc/{pid}/stat", "rb") as f:
        return f.read().rpartition(b")")[2].split()


def tree(pid):
    """The process and all that descend from it (the workers of nginx)."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                children.setdefault(int(_stat(entry)[1]), []).append(int(entry))
            except (OSError, IndexError):
                continue  # it ended while we looked
    found = [pid]
    for p in found:
        found.extend(children.get(p, []))
    return found


def cpu(pids):
    """utime + stime of living processes, in seconds. The kernel counts in steps of 10 ms."""
    total = 0
    for pid in pids:
        try:
            fields = _stat(pid)
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def all_run(pids):
    """False when one of the processes has ended, also if nobody has waited for it yet."""
    try:
        return all(_stat(pid)[0] not in (b"Z", b"X") for pid in pids)
    except OSError:
        return False


def machine_busy():
    """CPU seconds that all processors spent on anything, the hypervisor's share included."""
    with open("/proc/stat") as f:
        user, nice, system, _idle, _iowait, irq, softirq, steal = f.readline().split()[1:9]
    return sum(map(int, (user, nice, system, irq, softirq, steal))) / TICKS


def own_cpu():
    """This program and the load generators that have ended."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime


def _fields(path, wanted):
    found = dict.fromkeys(wanted, 0)
    with open(path) as f:
        for line in f:
            name, _, value = line.partition(":")
            if name in found:
                found[name] = int(value.split()[0]) * 1024
    return found


def memory(pids):
    """Bytes: `rss`, `anon` (RssAnon), `dirty` (Private_Dirty) and `clean` (Private_Clean).

    RssAnon and Private_Dirty count nearly the same pages (a private page that was written to), so
    `private` is the larger of the two and not their sum. Private_Clean is the text of programs and
    libraries that only this process maps at the moment; it is shown but not judged.
    """
    sums = {"rss": 0, "anon": 0, "dirty": 0, "clean": 0}
    for pid in pids:
        status = _fields(f"/proc/{pid}/status", ("VmRSS", "RssAnon"))
        sums["rss"] += status["VmRSS"]
        sums["anon"] += status["RssAnon"]
        try:
            rollup = _fields(f"/proc/{pid}/smaps_rollup", ("Private_Dirty", "Private_Clean"))
        except OSError:  # another user's process: only its owner may read this
            continue
        sums["dirty"] += rollup["Private_Dirty"]
        sums["clean"] += rollup["Private_Clean"]
    sums["private"] = max(sums["anon"], sums["dirty"])
    return sums


def open_files(pids):
    count = 0
    for pid in pids:
        try:
            count += len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            continue
    return count
