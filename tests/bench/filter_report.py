"""Tables and targets of the scenarios of filter.py."""

import filter as socket_filter
import scenarios
from tables import MB, Target, number, ratios, table

HAPROXY, FILTER, AUDITED = "f-haproxy", "f-filter", "f-audited"


def _proxy(phase):
    return phase.cpu.get("proxy", 0.0)


def targets(data):
    found = [Target("socket filter, _ping, CPU per request against HAProxy", 1.1, False, "x",
                    ratios(data, socket_filter.PING, FILTER, _proxy, HAPROXY))]
    idle = [s.idle["proxy"]["rss"] / MB for s in data.starts.get(FILTER, ()) if s]
    return found + [Target("idle socket filter, resident", 5.0, False, "MB", idle)]


def _rows(data, scenario):
    rows = []
    for subject in data.groups[scenario.key]:
        def m(of, name=subject.name):
            return data.median(scenario.key, name, of)
        row = [subject.title, number(m(lambda p: p.rate))]
        if scenario.latency:
            row += [number(m(lambda p: p.p50_us)), number(m(lambda p: p.p99_us))]
        rows.append(row + [number(m(_proxy), 2) if subject.proxy_role == "proxy" else "-",
                           number(m(lambda p: p.cpu["engine"]), 2),
                           number(m(lambda p: p.rss.get("proxy")), 1, MB)
                           if subject.proxy_role == "proxy" else "-"])
    return rows


def _memory(data):
    rows = []
    for subject in next(iter(data.groups[key] for key in socket_filter.KEYS if key in data.groups)):
        if subject.proxy_role == "proxy":
            def idle(kind, name=subject.name):
                return number(data.start_median(name, lambda s: s.idle["proxy"][kind]), 1, MB)
            rows.append([subject.title, idle("rss"), idle("private")])
    return table(["idle", "RSS MB", "private MB"], rows)


def sections(data):
    """Lines for RESULTS.md."""
    parts = []
    for s in scenarios.SCENARIOS:
        if s.key not in socket_filter.KEYS or s.key not in data.groups:
            continue
        head = ["", s.rate] + (["p50 us", "p99 us"] if s.latency else []) + [
            "proxy CPU s", "engine CPU s", "proxy RSS MB"]
        parts += [f"### {s.title}\n\nCPU seconds per {s.per}.\n", table(head, _rows(data, s)), ""]
    if not parts:
        return []
    return ["## Socket filter\n",
            "In front of an nginx that answers as a Docker engine does; see tests/bench/filter.py. "
            "`audited` writes a record to a disk in memory for each call.\n",
            *parts, _memory(data), ""]
