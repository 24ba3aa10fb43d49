"""Tables of the scenario of engines.py."""

import engines
from tables import MB, number, ratios, table

ROLES = ("hub", "tunnel-clients", "engines")


def _median(data, way, of):
    return data.median(engines.KEY, way.name, of)


def tables(data):
    """Text, or "" when it was not measured."""
    if not any(phase for way in data.groups.get(engines.KEY, ())
               for phase in data.phases.get((engines.KEY, way.name), ())):
        return ""
    ways = data.groups[engines.KEY]
    times, cpu = [], []
    for way in ways:
        times.append([way.title,
                      *(number(_median(data, way, lambda p, k=k: getattr(p.waves, k)), 1)
                        for k in ("least", "median", "p95", "most")),
                      *(number(_median(data, way, lambda p, k=k: getattr(p.each, k)), 1)
                        for k in ("median", "p95"))])
        seconds = [_median(data, way, lambda p, r=role: p.cpu[r]) for role in ROLES]
        cpu.append([way.title, *(number(value, 3) for value in seconds),
                    number(None if None in seconds else sum(seconds), 3),
                    *(number(_median(data, way, lambda p, r=role: p.rss[r]), 1, MB)
                      for role in ROLES[:2])])
    beside = []
    for way in ways[2:]:
        for base in ways[:2]:
            found = ratios(data, engines.KEY, way.name, lambda p: p.waves.median, base.name)
            beside.append([f"{way.title} beside {base.title}",
                           f"{sorted(found)[len(found) // 2]:.1f} x" if found else "-"])
    return "\n\n".join([
        f"### {engines.COUNT} containers at {engines.ENGINES} engines, looked at at once",
        f"{engines.WAVES} waves of {engines.COUNT} requests, {engines.CONTAINERS} for each "
        "engine; an answer of the engines has 5 KB. One engine is the hub's own, the others are "
        "each behind a tunnel client. A wave lasts until its last answer; load and engines share "
        "the processors with the hub.",
        table(["ms", "wave: least", "median", "p95", "most", "request: median", "p95"], times),
        table(["CPU s per 1000 requests", "hub", "tunnel clients", "engines", "all",
               "hub RSS MB", "tunnel clients RSS MB"], cpu),
        table(["median wave", ""], beside)])


def sections(data):
    """Lines for RESULTS.md."""
    text = tables(data)
    return ["## Docker engines\n", text, ""] if text else []
