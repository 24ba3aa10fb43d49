"""A child process from its start to its end, with its stderr in a file and nothing forgiven.

A program has to become ready, to end with 0 on SIGTERM within a bound, and to have written no
sanitizer report. A test that kills or breaks one on purpose says so with expect_end().
"""
import os
import re
import signal
import subprocess
import time

from .wait import SLOWNESS, Deadline, wait_for

REPORTS = re.compile(
    rb"runtime error:|ERROR: (?:Address|Leak|Thread|Memory)Sanitizer|SUMMARY: \w+Sanitizer"
    rb"|== *ERROR SUMMARY: [1-9]|\*\*\* stack smashing|Assertion .* failed")
STOP_SECONDS = 10.0 * SLOWNESS


class ProgramFailed(AssertionError):
    """A program ended, or said something, that it should not."""


class Process:
    """Owns one child. `log` is the file with its stdout and stderr."""

    def __init__(self, name, argv, log, env=None, cwd=None):
        self.name = name
        self.log = log
        self.expected = {0}
        settings = dict(os.environ if env is None else env)
        settings.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:exitcode=99")
        settings.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
        with open(log, "ab") as sink:
            self.child = subprocess.Popen([str(part) for part in argv], stdout=sink, stderr=sink,
                                          stdin=subprocess.DEVNULL, env=settings, cwd=cwd)

    @property
    def pid(self):
        return self.child.pid

    def output(self):
        with open(self.log, "rb") as file:
            return file.read()

    def tail(self, lines=25):
        text = self.output().decode("utf-8", "replace").splitlines()
        return "\n".join(f"    {self.name}: {line}" for line in text[-lines:])

    def wait_line(self, *words, count=1, seconds=None):
        """Waits until `count` log lines hold all the words (any case)."""
        wanted = [word.lower().encode() for word in words]

        def seen():
            lines = self.output().lower().splitlines()
            found = sum(all(word in line for word in wanted) for line in lines)
            if found >= count:
                return True
            if self.child.poll() is not None:
                raise ProgramFailed(f"{self.name} ended with {self.child.returncode} before "
                                    f"{words}:\n{self.tail()}")
            return False

        try:
            wait_for(seen, seconds, f"a line with {words} from {self.name}")
        except AssertionError as error:
            raise ProgramFailed(f"{error}\n{self.tail()}") from None

    def running(self):
        return self.child.poll() is None

    def expect_end(self, *codes):
        """Ending with one of these is right for this test (-9: killed)."""
        self.expected |= set(codes)

    def wait(self, seconds=None):
        deadline = Deadline(seconds, f"{self.name} to end")
        try:
            return self.child.wait(deadline.left())
        except subprocess.TimeoutExpired:
            raise ProgramFailed(f"{self.name} did not end in {deadline.seconds:.0f} s:\n"
                                f"{self.tail()}") from None

    def signal(self, number):
        self.child.send_signal(number)

    def kill(self):
        """kill -9, on purpose."""
        self.expect_end(-9)
        self.child.kill()
        self.child.wait(STOP_SECONDS)

    def stop(self):
        """SIGTERM, then judge. Returns the seconds it took."""
        began = time.monotonic()
        if self.running():
            self.signal(signal.SIGTERM)
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise ProgramFailed(f"{self.name} did not end {STOP_SECONDS:.0f} s after SIGTERM:\n"
                                f"{self.tail()}") from None
        self.judge()
        return time.monotonic() - began

    def judge(self):
        """After the end: exit code and log."""
        report = REPORTS.search(self.output())
        if report:
            raise ProgramFailed(f"{self.name} reported {report.group().decode()!r}:\n"
                                f"{self.tail(120)}")
        if self.child.returncode not in self.expected:
            raise ProgramFailed(f"{self.name} ended with {self.child.returncode}, expected "
                                f"{sorted(self.expected)}:\n{self.tail()}")

    def _memory(self, name):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith(name + ":"):
                    return int(line.split()[1])
        raise ProgramFailed(f"{self.name} has no {name}")

    def resident_kib(self):
        """VmRSS, from /proc."""
        return self._memory("VmRSS")

    def peak_kib(self):
        """VmHWM, from /proc: the most that was ever resident."""
        return self._memory("VmHWM")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
