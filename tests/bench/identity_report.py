"""Tables, ratios and targets of the scenarios of identity.py."""

import statistics

import identity
import scenarios
from tables import MB, Target, number, ratios, scenario_table, table


def _scenario(key):
    return next(s for s in scenarios.SCENARIOS if s.key == key)


def _both(phase):
    return phase.cpu["hub"] + phase.cpu["tunnel-client"]


def _hub(phase):
    return phase.cpu["hub"]


def _range(values):
    if not values:
        return "not measured"
    return f"{statistics.median(values):.2f} x ({min(values):.2f}..{max(values):.2f})"


def _has(data, key):
    return any(phase for (k, _), found in data.phases.items() if k == key for phase in found)


# --- a cached session ---


def _user(data):
    key = identity.USER
    rows = []
    for text, name, base in (("user route against public route", "session", "public"),
                             ("of that, the bytes of the cookies", "bytes", "public"),
                             ("and the judging of the session", "session", "bytes")):
        rows.append([text, *(_range(ratios(data, key, name, of, base)) for of in (
            _both, _hub, lambda p: p.cpu["tunnel-client"]))])
    return "\n\n".join([
        scenario_table(data, _scenario(key), data.groups[key]),
        f"The public route is that of \"200-byte answers, 32 connections\". The user route has access "
        f"level 1, gets a session's four cookies, and is forwarded with them; the identity is "
        f"remembered for 10 s and then asked again of a Nextcloud that takes {identity.DELAY_MS} ms. "
        f"\"as many bytes\" is the public route with the same cookies, the session's under a name "
        f"that means nothing to the hub. All three are ways through one hub, "
        f"{_scenario(key).repeats} turns per round.",
        table(["CPU per request", "hub + client", "hub", "client"], rows)])


# --- many apps ---


def _apps(data):
    key = identity.APPS
    rows = [[way.title, *(_range(ratios(data, key, way.name, of, "one-of-1"))
                          for of in (_hub, lambda p: sum(p.cpu.values())))]
            for way in data.groups[key][1:]]
    starts = [[way.title.partition(",")[0],
               number(data.start_median(way.name, lambda s: s.seconds), 0, 1e-3),
               *(number(data.start_median(way.name, lambda s, k=k: s.idle["hub"][k]), 1, MB)
                 for k in ("rss", "private"))]
              for way in data.groups[key] if way.name.startswith("one")]
    return "\n\n".join([
        scenario_table(data, _scenario(key), data.groups[key]),
        "All ExApps are the same origin. With \"all asked\" each request is for the next ExApp: "
        "connections to the origin are kept per ExApp, so that there are many more of them.",
        table(["CPU per request against 1 declared", "hub", "hub + origin"], rows),
        table(["", "first 200, ms", "idle RSS MB", "private MB"], starts)])


# --- cold sessions ---


def _cells(data, name, of):
    return [number(data.median(identity.COLD, name, lambda p, k=k: getattr(of(p), k)), 1)
            for k in ("least", "median", "p95", "most")]


def _cold(data):
    ways = data.groups[identity.COLD]

    def m(way, of):
        return data.median(identity.COLD, way.name, of)

    head = ["ms", "least", "median", "p95", "most"]
    rows, probes = [], []
    for way in ways:
        for text, of, calls in (
                ("a session each", lambda p: p.waves, lambda p: p.calls),
                ("the same, first wave", lambda p: p.first, lambda p: p.calls),
                ("one session for all", lambda p: p.shared, lambda p: p.shared_calls)):
            rows.append([f"{way.title}: {text}", *_cells(data, way.name, of),
                         number(m(way, calls))])
        for who in ("public", "cached"):
            for when, text in (("quiet", "alone"), ("meanwhile", "during the waves")):
                probes.append([f"{way.title}: {who}, {text}", *_cells(
                    data, way.name, lambda p, a=who, b=when: p.probes[a][b])])
    cost = "; ".join(
        f"{way.title}: at most {number(m(way, lambda p: p.most))} at once, "
        f"{number(m(way, lambda p: p.hub_ms))} ms of the hub's CPU per 1000 of these requests"
        for way in ways)
    return "\n\n".join([
        f"### {_scenario(identity.COLD).title}, hub direct",
        f"{identity.COUNT} requests at the same moment to a route for users, each with a session "
        f"that the hub does not know, {identity.WAVES} waves per round; Nextcloud takes "
        f"{identity.DELAY_MS} ms per answer, for as many at once as come. Places are "
        "HP_NEXTCLOUD_REQUESTS, 100 by default. The first wave opens the connections to Nextcloud. "
        "Hub, origin, Nextcloud and load share the processors, so that the overhead is the CPU time "
        "of all of them.",
        table([*head, "user-info calls"], rows),
        f"User-info calls seen by Nextcloud: {cost}.",
        "One request at a time on connections of their own, each 1 ms after the last answer: alone, "
        "and while the waves are under way. \"cached\" has a session that the hub knows.",
        table(head, probes)])


# --- all of them ---


def tables(data):
    parts = [make(data) for key, make in (
        (identity.USER, _user), (identity.APPS, _apps), (identity.COLD, _cold))
        if key in data.groups and _has(data, key)]
    return "\n\n".join(parts)


def sections(data):
    text = tables(data)
    return ["## Identities and many ExApps\n", text, ""] if text else []


def targets(data):
    found = []
    if identity.USER in data.groups:
        for text, of in (("hub + client", _both), ("hub alone", _hub)):
            found.append(Target(f"user route, cached session, CPU against public, {text}", 1.15,
                                False, "x", ratios(data, identity.USER, "session", of, "public")))
    if identity.APPS in data.groups:
        found.append(Target("1000 ExApps declared, one asked, CPU of the hub against 1", 1.05, False,
                            "x", ratios(data, identity.APPS, "one-of-1000", _hub, "one-of-1")))
        found.append(Target("first 200 after the start, 1000 ExApps declared", 150.0, False, "ms", [
            s.seconds * 1000 for s in data.starts.get("one-of-1000", ()) if s]))
    if identity.COLD in data.groups:
        runs = {places: [p for p in data.phases.get((identity.COLD, f"places-{places}"), ()) if p]
                for places in (100, 200)}
        found.append(Target("cold sessions at Nextcloud at once, 200 places", identity.COUNT, True,
                            "calls", [p.most for p in runs[200]]))
        found.append(Target("public request while 200 cold sessions wait, median", 10.0, False, "ms",
                            [p.probes["public"]["meanwhile"].median for p in runs[100]]))
    return found
