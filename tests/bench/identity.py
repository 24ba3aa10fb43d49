"""Subjects that ask Nextcloud who a client is, and subjects that know many ExApps.

Three scenarios have subjects of their own, made here (`groups`):

user   one hub, tunnel and client, with a public ExApp and one for users at the same port. Three ways
       to load it take turns: the public one as always; the public one with the bytes of a session's
       cookies under a name that means nothing; the one for users with a session.
apps   hubs with 1, 100 and 1000 ExApps in hub.cfg, all of them the same origin.
cold   hubs with 100 (the default) and with 200 places for requests to Nextcloud.

Nextcloud is standin.py: 20 ms per answer.
"""

import os
import socket
import statistics
import sys
from dataclasses import dataclass

import harp
import procs
import subjects

USER, APPS, COLD = KEYS = ("user", "apps", "cold")
DELAY_MS = 20
COUNT = 200  # cold sessions at once
WAVES = 10
USERS = "users"  # the ExApp for users; as long as harp.APP
INSTANCE = "1testinstance"


def cookies(passphrase="oc_sessionPassphrase"):
    """The four of a browser in which somebody is logged in, with values as long as real ones."""
    return (f"Cookie: {passphrase}={'p' * 128}; nc_sameSiteCookielax=true; "
            f"nc_sameSiteCookiestrict=true; oc{INSTANCE}={'s' * 32}")


class Nextcloud:
    """The stand-in. What it was asked is read with `seen`."""

    def __init__(self, children, work, name):
        self.children = children
        self.log = f"{work}/{name}.log"
        self.name = name
        self.port = procs.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.child = None

    def start(self):
        if self.child:
            return
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "standin.py")
        self.child = self.children.start(
            self.name, [sys.executable, program, str(self.port), harp.KEY, str(DELAY_MS)], self.log,
            pipes=True)
        if procs.wait_for_line(self.child) != "ready":
            raise procs.Broken(f"{self.name} is not ready")

    def stop(self):
        if self.child:
            self.children.stop(self.child)
            self.child = None

    def seen(self):
        """(user-info calls so far, most of them at once since this was asked last)"""
        with socket.create_connection(("127.0.0.1", self.port), 5.0) as s:
            s.sendall(b"GET /count HTTP/1.1\r\nHost: bench\r\n\r\n")
            body = s.recv(4096).rpartition(b"\r\n\r\n")[2]
        calls, most = (int(word.strip(b" }").rpartition(b" ")[2]) for word in body.split(b","))
        return calls, most


class Together:
    """A hub's subject and its Nextcloud, started and stopped as one."""

    def __init__(self, subject, nextcloud):
        self.subject = subject
        self.nextcloud = nextcloud
        self.port = subject.port

    def start(self):
        self.nextcloud.start()
        return self.subject.start()

    def stop(self):
        self.subject.stop()
        self.nextcloud.stop()

    def roles(self):
        return {**self.subject.roles(), "nextcloud": [self.nextcloud.child.pid]}


class Way:
    """One way to load a subject; `load` are the arguments of load.small."""

    proxy_role = "hub"

    def __init__(self, life, name, title, has_client=False, **load):
        self.life = life
        self.name = name
        self.title = title
        self.has_client = has_client
        self.port = life.port
        self.load = load

    def start(self):
        return self.life.start()

    def stop(self):
        self.life.stop()

    def roles(self):
        return self.life.roles()


def _user(children, work, origin, programs):
    nextcloud = Nextcloud(children, work, "user-nextcloud")
    life = Together(harp.TunnelSubject(
        children, work, origin, programs, hub_name="user-hub", apps=((harp.APP, 0), (USERS, 1)),
        more={"NC_INSTANCE_URL": nextcloud.url, "HP_SESSION_LIFETIME": "10s"}), nextcloud)
    return [Way(life, "public", "public route", True),
            Way(life, "bytes", "public, as many bytes", True,
                fields=(cookies("no_sessionPassphrase"),)),
            Way(life, "session", "user route", True, fields=(cookies(),),
                prefix=f"/exapps/{USERS}")]


def _apps(children, work, origin, programs):
    made = []
    for n in (1, 100, 1000):
        names = [f"app-{i:04d}" for i in range(1, n)]
        names.insert(n // 2, harp.APP)  # neither the first nor the last
        life = harp.DirectSubject(children, work, origin, programs, hub_name=f"apps-{n}-hub",
                                  apps=[(name, 0) for name in names])
        made.append(Way(life, f"one-of-{n}", f"{n} declared, one asked", others=0))
        if n > 1:
            made.append(Way(life, f"all-of-{n}", f"{n} declared, all asked", others=n - 1))
    return made


def _cold(children, work, origin, programs):
    made = []
    for places in (100, 200):
        nextcloud = Nextcloud(children, work, f"cold-{places}-nextcloud")
        more = {"NC_INSTANCE_URL": nextcloud.url, "HP_SESSION_LIFETIME": "10s"}
        if places != 100:  # the default
            more["HP_NEXTCLOUD_REQUESTS"] = str(places)
        life = Together(harp.DirectSubject(
            children, work, origin, programs, hub_name=f"cold-{places}-hub",
            apps=((harp.APP, 0), (USERS, 1)), more=more), nextcloud)
        made.append(Way(life, f"places-{places}", f"{places} places"))
    return made


def groups(only, keys, children, work, origin, programs):
    """Scenario key -> its subjects."""
    make = {USER: ("tunnel", _user), APPS: ("hub", _apps), COLD: ("hub", _cold)}
    return {key: how(children, work, origin, programs)
            for key, (needs, how) in make.items() if key in keys and needs in only}


@dataclass
class Spread:
    """A distribution in ms."""

    n: int
    least: float
    median: float
    p95: float
    most: float


def spread(us):
    us = sorted(us)
    p95 = us[min(len(us) - 1, round(0.95 * (len(us) - 1)))]
    return Spread(len(us), us[0] / 1000, statistics.median(us) / 1000, p95 / 1000, us[-1] / 1000)


@dataclass
class Cold:
    """One run of bursts."""

    shared: Spread  # all with the same session, before it is known
    first: Spread  # the first wave: the hub opens its connections to Nextcloud
    waves: Spread  # the others
    probes: dict  # (public or cached) -> (quiet or meanwhile) -> Spread
    calls: int  # user-info calls, per wave
    shared_calls: int
    most: int  # of them at once
    hub_ms: float  # CPU of the hub per 1000 requests with cold sessions, all else included


def measure_cold(bench, subject):
    nextcloud = subject.life.nextcloud
    hub = subject.roles()["hub"]
    before, _ = nextcloud.seen()
    cpu = procs.cpu(hub)
    r = bench.tools.bursts(subject.port, COUNT, WAVES, subjects.PREFIX, f"/exapps/{USERS}",
                           f"round-{bench.data.rounds}")
    cpu = procs.cpu(hub) - cpu
    calls, most = nextcloud.seen()
    calls -= before
    if calls != 1 + COUNT * WAVES:
        raise procs.Broken(f"{calls} user-info calls for 1 session with {COUNT} requests and "
                           f"{COUNT * WAVES} with one")
    seen = Cold(spread(r["warm"]), spread(r["waves"][0]), spread(sum(r["waves"][1:], [])),
                {who: {when: spread(r[when][who]) for when in ("quiet", "meanwhile")}
                 for who in ("public", "cached")},
                (calls - 1) // WAVES, 1, most, cpu * 1e6 / (COUNT * WAVES))
    bench.say(f"  {COLD:<10} {subject.title:<13} median {seen.waves.median:.0f} ms, slowest "
              f"{seen.waves.most:.0f} ms of {COUNT} at once; a public request meanwhile "
              f"{seen.probes['public']['meanwhile'].median:.1f} ms, quiet "
              f"{seen.probes['public']['quiet'].median:.1f} ms")
    return seen
