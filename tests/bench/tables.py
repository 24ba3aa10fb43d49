"""The pieces that the report is made of: tables, targets, ratios."""

import statistics
from dataclasses import dataclass

MB = 1e6
NOT_MEASURED = "not measured"


@dataclass
class Target:
    text: str
    limit: float
    at_least: bool
    unit: str
    values: list  # one per round

    def verdict(self):
        if not self.values:
            return NOT_MEASURED
        value = statistics.median(self.values)
        good = value >= self.limit if self.at_least else value <= self.limit
        return "reached" if good else "NOT REACHED"

    def cells(self):
        sign = ">=" if self.at_least else "<="
        places = 2 if self.unit == "x" else 1
        limit = f"{sign} {self.limit:.{places}f} {self.unit}"
        if not self.values:
            return [self.text, "-", "-", limit, self.verdict()]
        low, high = min(self.values), max(self.values)
        return [self.text, f"{statistics.median(self.values):.{places}f} {self.unit}",
                f"{low:.{places}f}..{high:.{places}f}", limit, self.verdict()]


def table(head, rows):
    """A Markdown table, aligned so that it also reads well in a terminal."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells):
        return "| " + " | ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths))) + " |"

    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":"
                          for i, w in enumerate(widths)) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])


def number(value, places=0, scale=1.0):
    return "-" if value is None else f"{value / scale:.{places}f}"


def scenario_table(data, s, subjects):
    rows = [_scenario_row(data, s, subject) for subject in subjects]
    head = ["", s.rate] + (["p50 us", "p99 us"] if s.latency else []) + [
        "proxy CPU s", "tunnel-client CPU s", "origin CPU s", "all CPU s", "proxy RSS MB",
        "tunnel-client RSS MB"]
    kept = [i for i in range(len(head)) if i == 0 or any(row[i] != "-" for row in rows)]
    return f"### {s.title}\n\nCPU seconds per {s.per}.\n\n" + table(
        [head[i] for i in kept], [[row[i] for i in kept] for row in rows])


def _scenario_row(data, scenario, subject):
    def m(of):
        return data.median(scenario.key, subject.name, of)

    def origin(phase):
        return phase.cpu["origin"] + phase.cpu["echo"]

    client = "tunnel-client"
    main = subject.proxy_role
    row = [subject.title, number(m(lambda p: p.rate))]
    if scenario.latency:
        row += [number(m(lambda p: p.p50_us)), number(m(lambda p: p.p99_us))]
    has_client = subject.has_client
    return row + [
        number(m(lambda p: p.cpu[main]), 2),
        number(m(lambda p: p.cpu[client]), 2) if has_client else "-",
        number(m(origin), 2),
        number(m(lambda p: sum(p.cpu.values())), 2),
        number(m(lambda p: p.rss[main]), 1, MB),
        number(m(lambda p: p.rss[client]), 1, MB) if has_client else "-",
    ]


def ratios(data, key, name, of, base="haproxy", base_of=None):
    """One ratio per round in which both sides worked."""
    mine = data.phases.get((key, name), [])
    theirs = data.phases.get((key, base), [])
    found = []
    for a, b in zip(mine, theirs):
        if a and b and (base_of or of)(b) > 0:
            found.append(of(a) / (base_of or of)(b))
    return found
