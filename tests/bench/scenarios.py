"""What is measured: the scenarios, one round of them for every subject, and the medians.

A round starts every subject afresh, measures its start and its memory, and then goes through the
scenarios; within a scenario the subjects take turns (A B C D), so that whatever the machine does
meanwhile meets all of them. CPU seconds are the difference of /proc/PID/stat before and after a
phase, for each program involved.
"""

import statistics
import time
from dataclasses import dataclass, field

import engines
import filter as socket_filter
import identity
import load
import procs

IDLE = 2000


@dataclass(frozen=True)
class Scenario:
    key: str
    title: str
    rate: str  # the rate's unit
    per: str  # the unit that CPU seconds are divided by
    run: object = None  # (load, subject, seconds) -> load.Result
    latency: bool = True
    measure: object = None  # (bench, subject) -> what one phase found, in place of `run`
    repeats: int = 1  # turns of all subjects per round
    warm: bool = False  # a second of the same load before the phase, which does not count


def _small(connections, **how):
    return lambda tools, subject, seconds: tools.small(subject.port, connections, seconds, **how)


def _own_small(tools, subject, seconds):
    """The subject says what is asked for."""
    return tools.small(subject.port, 32, seconds, **subject.load)


SCENARIOS = (
    Scenario("small-1", "200-byte answers, 1 connection", "requests/s", "100k requests", _small(1)),
    Scenario("small-32", "200-byte answers, 32 connections", "requests/s", "100k requests",
             _small(32)),
    Scenario("small-256", "200-byte answers, 256 connections", "requests/s", "100k requests",
             _small(256)),
    Scenario("close", "200-byte answers, 32 clients, Connection: close", "requests/s",
             "100k requests", _small(32, fields=("Connection: close",))),
    Scenario("download", "256 MiB download", "MB/s", "GiB",
             lambda tools, subject, seconds: tools.download(subject.port, seconds),
             latency=False),
    Scenario("upload", "256 MiB upload", "MB/s", "GiB",
             lambda tools, subject, seconds: tools.upload(subject.port, seconds), latency=False),
    Scenario("websocket", f"WebSocket echo, 50 connections, {load.WS_SIZE} bytes",
             "round trips/s", "100k round trips",
             lambda tools, subject, seconds: tools.websocket_echo(subject.port, 50, seconds)),
    Scenario(identity.USER, "user route with a cached session through the tunnel, 32 connections",
             "requests/s", "100k requests", _own_small, repeats=4),
    Scenario(identity.APPS, "many ExApps declared, hub direct, 32 connections", "requests/s",
             "100k requests", _own_small, repeats=2, warm=True),
    Scenario(identity.COLD, f"{identity.COUNT} cold sessions at once", "", "",
             measure=identity.measure_cold),
    Scenario(engines.KEY, f"{engines.COUNT} containers looked at at once", "", "",
             measure=engines.measure, repeats=3),
    Scenario(socket_filter.PING, "socket filter: _ping, 16 connections", "requests/s",
             "100k requests", socket_filter.ping, repeats=3),
    Scenario(socket_filter.INSPECT, "socket filter: inspect, 16 connections", "requests/s",
             "100k requests", socket_filter.inspect),
    Scenario(socket_filter.CREATE, "socket filter: create and remove, 16 connections", "requests/s",
             "100k requests", socket_filter.create),
    Scenario(socket_filter.LOGS, "socket filter: 1 GiB of logs", "MB/s", "GiB",
             socket_filter.logs, latency=False, repeats=2),
)
GROUPED = identity.KEYS + engines.KEYS + socket_filter.KEYS  # those with subjects of their own
KEYS = tuple(s.key for s in SCENARIOS) + ("idle",)


@dataclass
class Phase:
    """One scenario, one subject, one round."""

    rate: float
    p50_us: float
    p99_us: float
    cpu: dict  # role -> CPU seconds per unit
    rss: dict  # role -> bytes, right after the phase


@dataclass
class Start:
    """One start of one subject; memory in bytes."""

    seconds: float
    idle: dict  # role -> procs.memory()
    open: dict = field(default_factory=dict)  # the same with the idle WebSockets open
    after: dict = field(default_factory=dict)  # and after they were closed


@dataclass
class Data:
    """All that was seen; what the report is made of."""

    subjects: list
    groups: dict = field(default_factory=dict)  # scenario key -> its own subjects
    phases: dict = field(default_factory=dict)  # (scenario key, subject name) -> [Phase or None]
    starts: dict = field(default_factory=dict)  # subject name -> [Start or None]
    broken: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    foreign: list = field(default_factory=list)  # share of the machine that others used, per phase
    rounds: int = 0
    seconds: float = 0.0

    def median(self, key, name, of):
        """Median over the rounds that worked, or None."""
        values = [of(p) for p in self.phases.get((key, name), ()) if p]
        return statistics.median(values) if values else None

    def start_median(self, name, of):
        values = [of(s) for s in self.starts.get(name, ()) if s]
        values = [v for v in values if v is not None]
        return statistics.median(values) if values else None


def life(subject):
    """What is started and stopped; several subjects may be ways to load the same programs."""
    return getattr(subject, "life", subject)


class Bench:
    """Runs the rounds. Owns the subjects while it runs; `stop` ends them.

    Most scenarios are for all of `subjects`; those in `groups` have subjects of their own, which run
    during that scenario alone. Subjects with the same `life` are started and stopped as one.
    """

    def __init__(self, tools, origin, subjects, groups, keys, seconds, say):
        self.tools = tools
        self.origin = origin
        self.subjects = subjects
        self.groups = groups
        self.keys = keys
        self.seconds = seconds
        self.say = say
        self.started = set()
        self.given_up = set()
        self.data = Data(subjects, groups)

    def round(self):
        first = self.data.rounds == 0
        self.given_up.clear()
        for subject in self.subjects:
            self.data.starts.setdefault(subject.name, []).append(self.guard(
                "start", subject, lambda s=subject: self.start(s)))
        if first:
            for subject in self.subjects:
                if {"download", "upload"} & set(self.keys):
                    self.guard("checksum", subject, lambda s=subject: self.tools.check_transfers(
                        s.port, self.origin))
        for scenario in SCENARIOS:
            if scenario.key in self.keys and scenario.key not in GROUPED:
                self.turns(scenario, self.subjects)
        for subject in self.subjects:
            self.stop(subject)
        for scenario in SCENARIOS:
            if scenario.key in self.groups:
                self.group(scenario, self.groups[scenario.key])
        self.data.rounds += 1

    def turns(self, scenario, subjects):
        for _ in range(scenario.repeats):
            for subject in subjects:
                self.data.phases.setdefault((scenario.key, subject.name), []).append(self.guard(
                    scenario.key, subject, lambda c=scenario, s=subject: (
                        c.measure(self, s) if c.measure else self.phase(c, s))))

    def group(self, scenario, subjects):
        for subject in subjects:
            if life(subject) not in self.started:
                self.data.starts.setdefault(subject.name, []).append(self.guard(
                    "start", subject, lambda s=subject: self.start(s, idle=False)))
        self.turns(scenario, subjects)
        for subject in subjects:
            self.stop(subject)

    def guard(self, what, subject, run):
        """One failure spoils one phase: it is told, the subject is started again, the rest goes on.

        A subject that cannot be started is left out until the next round.
        """
        if life(subject) in self.given_up:
            return None
        try:
            if what != "start" and life(subject) not in self.started:
                self.bring_up(subject)
            return run()
        except (procs.Broken, OSError, ValueError) as e:
            text = f"{what}, {subject.title}: {e}"
            self.say(f"  BROKEN {text}")
            self.data.broken.append(text)
            self.stop(subject)
            return None

    def bring_up(self, subject):
        self.given_up.add(life(subject))
        took = subject.start()
        self.given_up.discard(life(subject))
        self.started.add(life(subject))
        return took

    def stop(self, subject):
        self.started.discard(life(subject))
        subject.stop()

    def stop_all(self):
        for subject in self.subjects + sum(self.groups.values(), []):
            self.stop(subject)

    def start(self, subject, idle=True):
        self.stop(subject)
        took = self.bring_up(subject)
        roles = subject.roles()

        def memory():
            return {role: procs.memory(pids) for role, pids in roles.items()}

        seen = Start(took, memory())
        if idle and "idle" in self.keys:
            all_pids = [pid for pids in roles.values() for pid in pids]
            files = procs.open_files(all_pids)
            seen.open = self.tools.websocket_idle(subject.port, IDLE, memory)
            # A few kept connections to the origin may stay; the WebSockets may not.
            if not procs.wait_until(lambda: procs.open_files(all_pids) < files + 100, 10.0):
                more = procs.open_files(all_pids) - files
                raise procs.Broken(f"{more} descriptors still open 10 s after {IDLE} WebSockets "
                                   "were closed")
            seen.after = memory()
        main = subject.proxy_role
        self.say(f"  {'start':<10} {subject.title:<13} {took * 1000:8.0f} ms to the first 200, "
                 f"{seen.idle[main]['rss'] / 1e6:.1f} MB resident" + (
                     f", {(seen.open[main]['rss'] - seen.idle[main]['rss']) / 1e6:+.1f} MB with "
                     f"{IDLE} idle WebSockets" if seen.open else ""))
        return seen

    def phase(self, scenario, subject):
        roles = {**subject.roles(), **self.origin.roles()}
        if scenario.warm:
            scenario.run(self.tools, subject, 1.0)
        busy, own = procs.machine_busy(), procs.own_cpu()
        began = time.monotonic()
        before = {role: procs.cpu(pids) for role, pids in roles.items()}
        result = scenario.run(self.tools, subject, self.seconds)
        after = {role: procs.cpu(pids) for role, pids in roles.items()}
        took = time.monotonic() - began
        used = {role: after[role] - before[role] for role in roles}
        self.data.foreign.append(max(0.0, (procs.machine_busy() - busy) - (procs.own_cpu() - own) -
                                     sum(used.values())) / took)
        for role, pids in roles.items():
            if not procs.all_run(pids):
                raise procs.Broken(f"{role} ended during the load")
        phase = Phase(result.rate, result.p50_us, result.p99_us,
                      {role: s / result.units for role, s in used.items()},
                      {role: procs.memory(pids)["rss"] for role, pids in roles.items()})
        self.say(f"  {scenario.key:<10} {subject.title:<13} {result.rate:8.0f} "
                 f"{scenario.rate:<14} " + "  ".join(f"{role} {phase.cpu[role]:.2f}" for role in roles
                           if role != "echo" or phase.cpu[role] > 0.01) +
                 f" CPU s per {scenario.per}")
        return phase
