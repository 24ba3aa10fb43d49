"""Tables, ratios and RESULTS.md, made of scenarios.Data alone.

Every number is the median over the rounds. A ratio is the median of the ratios of single rounds,
whose two sides ran seconds apart; the smallest and the largest are shown beside it. MB is
10^6 bytes.
"""

import dataclasses
import datetime
import json
import os
import platform
import re
import statistics
import subprocess

import engines_report
import filter_report
import identity_report
import scenarios
from tables import MB, Target, number, ratios, scenario_table, table

# --- the scenarios ---


def scenario_tables(data):
    parts = []
    for s in scenarios.SCENARIOS:
        if s.key in data.groups or not any(key == s.key for key, _ in data.phases):
            continue
        parts.append(scenario_table(data, s, data.subjects))
    return "\n\n".join(parts)


def _added(then, idle, role):
    """Resident bytes more than idle, or None where the idle WebSockets were not measured."""
    return then[role]["rss"] - idle[role]["rss"] if then else None


def memory_table(data):
    rows = []
    for subject in data.subjects:
        roles = [subject.proxy_role] + (["tunnel-client"] if subject.has_client else [])
        for role in roles:
            def m(of, r=role, name=subject.name):
                return data.start_median(name, lambda s: of(s, r))

            def idle(kind, m=m):
                return number(m(lambda s, r: s.idle[r][kind]), 1, MB)

            rows.append([
                subject.title if role == roles[0] else f"{subject.title}: {role}",
                number(data.start_median(subject.name, lambda s: s.seconds), 0, 1e-3)
                if role == roles[0] else "-",
                idle("rss"), idle("private"), idle("anon"), idle("dirty"), idle("clean"),
                *(number(m(lambda s, r, w=w: _added(getattr(s, w), s.idle, r)), 1, MB)
                  for w in ("open", "after"))])
    return table(["", "first 200, ms", "idle RSS MB", "private MB", "RssAnon MB",
                  "Private_Dirty MB", "Private_Clean MB", f"+{scenarios.IDLE} WebSockets MB",
                  "still after closing MB"], rows)


# --- the targets ---


def _cpu(role):
    return lambda phase: phase.cpu[role]


def _starts(data, name, of):
    values = [of(s) for s in data.starts.get(name, ()) if s]
    return [v for v in values if v is not None]


def targets(data):
    """What was promised for the data path, in the order it was promised."""
    haproxy = _cpu("haproxy")
    found = []
    for n in (32, 256):
        found.append(Target(f"hub direct, CPU per request against HAProxy, {n} connections", 1.0,
                            False, "x",
                            ratios(data, f"small-{n}", "hub", _cpu("hub"), base_of=haproxy)))
    for n in (32, 256):
        found.append(Target(f"hub through the TLS tunnel, CPU against HAProxy, {n} connections",
                            1.3, False, "x",
                            ratios(data, f"small-{n}", "tunnel", _cpu("hub"), base_of=haproxy)))
    for n in (32, 256):
        found.append(Target(f"tunnel-client, CPU against HAProxy, {n} connections", 1.0, False, "x",
                            ratios(data, f"small-{n}", "tunnel", _cpu("tunnel-client"),
                                    base_of=haproxy)))
    found.append(Target("download through the tunnel, MB/s against HAProxy", 0.5, True, "x",
                        ratios(data, "download", "tunnel", lambda p: p.rate)))
    for name, title in (("hub", "direct"), ("tunnel", "with a tunnel")):
        for kind, text, limit in (("rss", "resident", 16.0), ("private", "private", 5.0)):
            found.append(Target(f"idle hub, {text} ({title})", limit, False, "MB", _starts(
                data, name, lambda s, k=kind: s.idle["hub"][k] / MB)))
    found.append(Target(f"{scenarios.IDLE} idle tunnelled WebSockets, added to the hub", 10.0,
                        False, "MB", [v / MB for v in _starts(
                            data, "tunnel", lambda s: _added(s.open, s.idle, "hub"))]))
    found.append(Target("first 200 after the start, certificates present", 150.0, False, "ms",
                        _starts(data, "hub", lambda s: s.seconds * 1000)))
    return found + identity_report.targets(data) + filter_report.targets(data)


def target_table(data):
    return table(["target", "here", "rounds", "wanted", ""], [t.cells() for t in targets(data)])


# --- the machine, and the whole report ---


def _first(pattern, text, default="unknown"):
    found = re.search(pattern, text, re.MULTILINE)
    return found.group(1).strip() if found else default


def _said(argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
        return done.stdout + done.stderr
    except (OSError, subprocess.TimeoutExpired):
        return ""


def machine(programs):
    with open("/proc/cpuinfo") as f:
        cpu = _first(r"^model name\s*:\s*(.*)$", f.read(), platform.machine())
    with open("/proc/meminfo") as f:
        memory = int(_first(r"^MemTotal:\s*(\d+)", f.read(), "0")) / 2**20
    try:
        with open("/etc/os-release") as f:
            system = _first(r'^PRETTY_NAME="?([^"\n]*)', f.read())
    except OSError:
        system = "unknown"
    rows = [
        ["date", datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")],
        ["CPU", f"{cpu}, {len(os.sched_getaffinity(0))} cores"],
        ["memory", f"{memory:.1f} GiB"],
        ["kernel", f"{platform.system()} {_first(r'^([0-9.]+)', platform.release())}"],
        ["system", system],
        ["nginx", _first(r"nginx/(\S+)", _said([programs["nginx"], "-v"]))],
        ["HAProxy", _first(r"version (\S+)", _said([programs["haproxy"], "-v"]))],
        ["wrk", _first(r"^wrk (\S+)", _said([programs["wrk"], "-v"]))],
        ["curl", _first(r"^curl (\S+)", _said([programs["curl"], "--version"]))],
    ]
    for name in ("harp-hub", "harp-tunnel-client", "harp-socket-filter"):
        if programs.get(name):
            version = _said([programs[name], "--version"]).strip().partition("\n")[0]
            rows.append([name, version or "unknown"])
    return table(["machine", ""], rows)


def as_json(data, command):
    """All single values, for programs: {scenario: {subject: [what each phase found, or null]}}."""
    def plain(seen):
        return seen and dataclasses.asdict(seen)

    phases = {}
    for (key, name), found in data.phases.items():
        phases.setdefault(key, {})[name] = [plain(phase) for phase in found]
    return json.dumps({
        "command": command, "rounds": data.rounds, "seconds": data.seconds,
        "scenarios": phases,
        "starts": {name: [plain(seen) for seen in found] for name, found in data.starts.items()},
        "targets": [{"text": t.text, "limit": t.limit, "at_least": t.at_least, "unit": t.unit,
                     "values": t.values, "verdict": t.verdict()} for t in targets(data)],
        "foreign": data.foreign, "broken": data.broken, "notes": data.notes,
    }, indent=1) + "\n"


def compose(data, programs, command):
    """The text of RESULTS.md."""
    foreign = statistics.median(data.foreign) if data.foreign else 0.0
    quarter = sorted(data.foreign)[int(0.75 * len(data.foreign))] if data.foreign else 0.0
    worst = max(data.foreign, default=0.0)
    parts = [
        "# Benchmark\n",
        f"Written by `{command}`: {data.rounds} round(s), {data.seconds:.0f} s in all. Every number "
        "is the median over the rounds; within a round the proxies take turns, each in front of the "
        "same nginx (1 worker). \"proxy\" is the HAProxy, nginx or hub process with its children; "
        "\"origin\" is that nginx, with the echo server in the WebSocket scenario. HAProxy and nginx "
        "do not encrypt, rewrite or judge anything; nginx buffers small answers and streams the "
        f"rest. MB is 10^6 bytes. While it ran, other programs used {foreign:.2f} CPUs (median; in a "
        f"quarter of the phases over {quarter:.2f}, at most {worst:.2f}); the load generators share "
        "the machine.\n",
        machine(programs), "",
        "## Targets\n",
        target_table(data), "",
        "## Scenarios\n",
        scenario_tables(data), "",
        *identity_report.sections(data),
        *engines_report.sections(data),
        *filter_report.sections(data),
        "## Start and memory\n",
        f"After a fresh start, medians of {data.rounds}. `private` is the larger of RssAnon and "
        "Private_Dirty, which count nearly the same pages. In the tunnel's row the time to the "
        "first 200 holds the tunnel client's start and login.\n",
        memory_table(data), "",
    ]
    if data.broken:
        parts += ["## Broken\n", *(f"- {text}" for text in data.broken), ""]
    if data.notes:
        parts += ["## Notes\n", *(f"- {text}" for text in data.notes), ""]
    return "\n".join(parts)
