"""Ten Docker engines with ten containers each, all of them looked at in the same moment.

The engines are one nginx that answers at ten unix sockets with recorded inspect answers, so that
nothing of Docker is measured. One is the hub's own (HP_DOCKER_SOCKET), the others are reached
through a tunnel client each, as they would on hosts of their own. fan.c asks in four ways, which
take turns:

kept   the engines' sockets themselves, on kept connections: what the load and the engines cost
fresh  the same with a connection for each request, as the hub's own calls have
gate   GET containers/nc_app_.../json through the hub's Docker gate
typed  POST docker/exapp/exists at the hub, which asks the engine and reads its answer
"""

import json
import os
import time
from dataclasses import dataclass

import harp
import identity
import procs
import subjects

KEY = "engines"
KEYS = (KEY,)
ENGINES, CONTAINERS, WAVES = 10, 10, 30
COUNT = ENGINES * CONTAINERS
FIRST_PORT = 24000
RECORDING = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data",
                         "appapi-contract", "control-docker-api.json")
VERSION = {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux"}


def name_of(engine, container):
    """Short, and part of no other."""
    return f"e{engine}c{container}"


def recorded_inspect():
    """What an engine told of the container nc_app_testapp."""
    try:
        with open(RECORDING) as f:
            exchanges = json.load(f)
    except (OSError, ValueError) as e:
        raise procs.Broken(f"no recorded inspect answer: {e}") from None
    for exchange in exchanges:
        if exchange["request"]["path"].endswith("/containers/nc_app_testapp/json"):
            return json.dumps(exchange["response"]["body"], separators=(",", ":"))
    raise procs.Broken(f"no inspect answer in {RECORDING}")


class Docker:
    """The nginx that stands for all engines; socket(n) is where engine n listens."""

    def __init__(self, children, work, program):
        self.folder = f"{work}/engines"
        os.makedirs(self.folder)
        inspect = recorded_inspect()
        servers = ""
        for engine in range(ENGINES):
            for container in range(CONTAINERS):
                name = name_of(engine, container)
                with open(f"{self.folder}/{engine}-nc_app_{name}.json", "w") as f:
                    f.write(inspect.replace("testapp", name) + "\n")
            servers += f"""    server {{
        listen unix:{self.socket(engine)} backlog=4096;
        location = /version {{
            default_type application/json;
            return 200 '{json.dumps(VERSION)}';
        }}
        location ~ ^/v1\\.[0-9]+/containers/(nc_app_[a-z0-9]+)/json$ {{
            default_type application/json;
            alias {self.folder}/{engine}-$1.json;
        }}
    }}
"""
        cached = "    open_file_cache max=1000 inactive=600s;\n"
        self.nginx = subjects.Nginx(children, work, "docker", cached + servers, program)

    def socket(self, engine):
        return f"{self.folder}/{engine}.sock"

    def start(self):
        child = self.nginx.run()
        if not procs.wait_until(lambda: all(os.path.exists(self.socket(n)) for n in range(ENGINES)),
                                10.0):
            child.check()
            raise procs.Broken("the engines' sockets are not there")

    def stop(self):
        self.nginx.stop()
        for engine in range(ENGINES):
            if os.path.exists(self.socket(engine)):
                os.unlink(self.socket(engine))


class Site:
    """Engines, a hub, and a tunnel client for each engine but the hub's own."""

    def __init__(self, children, work, programs):
        self.children = children
        self.docker = Docker(children, work, programs["nginx"])
        self.hub = harp.Hub(children, work, "engines-hub", programs["harp-hub"], harp.REMOTE_PORT,
                            more={"HP_DOCKER_SOCKET": self.docker.socket(0)})
        self.port = self.hub.port
        self.program = programs["harp-tunnel-client"]
        self.clients = []
        self.hub.make_certificates()
        self.plans = {}
        for engine in range(1, ENGINES):
            with open(self._conf(engine), "w") as f:
                f.write(harp.FRPC_TOML.format(
                    port=self.hub.frp_port, certs=f"{self.hub.certs}/frp", key=harp.KEY,
                    remote=FIRST_PORT + engine, app=f"engine-{engine}",
                    socket=self.docker.socket(engine)))
            os.chmod(self._conf(engine), 0o600)
        for way in ("direct", "gate", "typed"):
            self.plans[way] = f"{self.hub.work}/{way}.plan"
            with open(self.plans[way], "wb") as f:
                for engine in range(ENGINES):
                    for container in range(CONTAINERS):
                        f.write(self._entry(way, engine, container))

    def _conf(self, engine):
        return f"{self.hub.work}/engine-{engine}.toml"

    def _entry(self, way, engine, container):
        """One request of a wave, as fan.c reads it."""
        name = name_of(engine, container)
        address, body, expected = f"127.0.0.1:{self.port}", b"", f'"/nc_app_{name}"'
        fields = ["Host: bench"]
        target = f"/v1.41/containers/nc_app_{name}/json"
        if way == "direct":
            address = self.docker.socket(engine)
            line = f"GET {target} HTTP/1.1"
        else:
            fields += [f"harp-shared-key: {harp.KEY}", f"docker-engine-port: {FIRST_PORT + engine}"]
            line = f"GET /exapps/app_api{target} HTTP/1.1"
        if way == "typed":
            body = json.dumps({"name": name}).encode()
            line = "POST /exapps/app_api/docker/exapp/exists HTTP/1.1"
            fields += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
            expected = f"exapps/{name}:1.0.0"
        request = "\r\n".join([line, *fields, "", ""]).encode() + body
        return f"{address} {len(request)} {expected}\n".encode() + request

    def start(self):
        """Seconds until each engine was reached through the hub."""
        self.docker.start()
        hub = self.hub.run()
        procs.wait_for_port(hub, self.hub.frp_port)
        self.clients = [self.children.start(
            f"tunnel-client {engine}", [self.program, "-c", self._conf(engine)],
            f"{self.hub.work}/client-{engine}.log", env={"PATH": self.hub.env["PATH"]},
            cwd=self.hub.work) for engine in range(1, ENGINES)]
        for engine in range(ENGINES):
            took = self._reached(hub, engine)
        return took

    def _reached(self, hub, engine):
        request = (f"GET /exapps/app_api/v1.41/containers/nc_app_{name_of(engine, 0)}/json HTTP/1.1"
                   f"\r\nHost: bench\r\nharp-shared-key: {harp.KEY}\r\ndocker-engine-port: "
                   f"{FIRST_PORT + engine}\r\nConnection: close\r\n\r\n").encode()
        answers = [None]

        def good():
            for child in (hub, *self.clients):
                child.check()
            answers.append(procs.attempt(self.port, request, 2.0))
            return answers[-1] and answers[-1].startswith(b"HTTP/1.1 200 ")

        if not procs.wait_until(good, 10.0):
            raise procs.Broken(f"engine {engine} is not reached: {(answers[-1] or b'')[:300]!r}")
        return time.monotonic() - hub.began

    def stop(self):
        for child in self.clients:
            self.children.stop(child)
        self.clients = []
        self.hub.stop()
        self.docker.stop()

    def roles(self):
        return {"hub": procs.tree(self.hub.child.pid),
                "tunnel-clients": [child.pid for child in self.clients],
                "engines": self.docker.nginx.pids()}


class Way(identity.Way):
    """plan: what fan.c sends; kept: on connections that stay."""

    def __init__(self, life, name, title, plan, kept):
        super().__init__(life, name, title)
        self.plan = life.plans[plan]
        self.kept = kept


def groups(only, keys, children, work, programs):
    """Scenario key -> its subjects."""
    if KEY not in keys or "tunnel" not in only:
        return {}
    life = Site(children, work, programs)
    return {KEY: [Way(life, "kept", "engines' sockets", "direct", True),
                  Way(life, "fresh", "the same, a connection each", "direct", False),
                  Way(life, "gate", "hub, gate", "gate", True),
                  Way(life, "typed", "hub, exists", "typed", True)]}


@dataclass
class Fan:
    """One run of waves."""

    waves: identity.Spread  # from the first request to the last answer
    each: identity.Spread  # of single requests
    cpu: dict  # role -> CPU seconds per 1000 requests
    rss: dict  # role -> bytes, right after it


def measure(bench, subject):
    roles = subject.roles()
    before = {role: procs.cpu(pids) for role, pids in roles.items()}
    r = bench.tools.fan(subject.plan, WAVES, subject.kept)
    # The wave that is not counted in the times costs as much as the others.
    units = COUNT * (WAVES + 1) / 1000
    seen = Fan(identity.spread(r["waves"]), identity.spread(r["each"]),
               {role: (procs.cpu(pids) - before[role]) / units for role, pids in roles.items()},
               {role: procs.memory(pids)["rss"] for role, pids in roles.items()})
    for role, pids in roles.items():
        if not procs.all_run(pids):
            raise procs.Broken(f"{role} ended during the load")
    bench.say(f"  {KEY:<10} {subject.title:<27} {COUNT} at once: median "
              f"{seen.waves.median:.1f} ms, slowest {seen.waves.most:.1f} ms  " + "  ".join(
                  f"{role} {seconds:.3f}" for role, seconds in seen.cpu.items()) +
              " CPU s per 1000 requests")
    return seen
