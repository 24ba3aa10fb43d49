"""The socket filter beside HAProxy as a classic Docker socket proxy, and the engine's socket itself.

The engine is one nginx on a unix socket that answers as Docker does: `_ping`, a recorded inspect answer,
create and remove, and logs of 1 GiB. So nothing of Docker is measured. All are asked over TCP on the loopback,
since wrk knows no unix sockets; nginx, asked straight, listens there, too.

HAProxy has what the widespread socket proxies have: a list of regular expressions over path and method.
The filter judges AppAPI's policy: it reads bodies, cuts environments out of inspect answers, and writes every
head anew. `audited` is the filter with a record on the disk for each call.
"""

import json
import os
import subprocess
import time

import engines
import load
import procs
import subjects

PING, INSPECT, CREATE, LOGS = KEYS = ("f-ping", "f-inspect", "f-create", "f-logs")
CONNECTIONS = 16
LOG_BYTES = 1 << 30
NAME = "nc_app_testapp"
BODY = {"Image": "ghcr.io/nextcloud/testapp:1.0.0", "Hostname": "testapp",
        "HostConfig": {"NetworkMode": "host", "Mounts": [
            {"Type": "volume", "Source": f"{NAME}_data", "Target": f"/{NAME}_data",
             "ReadOnly": False}], "RestartPolicy": {"Name": "unless-stopped"}},
        "Env": [f"NAME_{n}=value of {n}" for n in range(20)]}

# By turns a container is made and removed; the answers' statuses are looked at.
CREATE_SCRIPT = """
local n = 0
local make, remove
init = function(args)
    make = wrk.format("POST", "/v1.41/containers/create?name=NAME",
                      {["Content-Type"] = "application/json"}, [==[BODY]==])
    remove = wrk.format("DELETE", "/v1.41/containers/NAME?force=true")
end
request = function()
    n = n + 1
    return n % 2 == 1 and make or remove
end
"""


class Engine:
    """The nginx that stands for Docker."""

    def __init__(self, children, work, program):
        self.folder = f"{work}/filter-engine"
        os.makedirs(self.folder)
        self.socket, self.port = f"{self.folder}/docker.sock", procs.free_port()
        with open(f"{self.folder}/inspect.json", "w") as f:
            f.write(engines.recorded_inspect() + "\n")
        with open(f"{self.folder}/logs", "wb") as f:
            f.truncate(LOG_BYTES)
        container = f"/v1.41/containers/{NAME}"
        created = json.dumps({"Id": "5" * 64, "Warnings": []})
        http = f"""    open_file_cache max=100 inactive=600s;
    default_type application/json;
    client_body_buffer_size 1m;
    server {{
        listen unix:{self.socket} backlog=4096;
        listen 127.0.0.1:{self.port} backlog=4096;
        location = /_ping {{
            add_header Api-Version 1.41;
            default_type text/plain;
            return 200 OK;
        }}
        location = {container}/json {{ alias {self.folder}/inspect.json; }}
        location = {container}/logs {{
            default_type application/vnd.docker.raw-stream;
            sendfile on;
            sendfile_max_chunk 1m;
            alias {self.folder}/logs;
        }}
        location = /v1.41/containers/create {{ return 201 '{created}'; }}
        location = {container} {{ return 204; }}
    }}
"""
        self.nginx = subjects.Nginx(children, work, "filter-engine", http, program)
        self.users = set()

    def start(self, user):
        """One for all that are in front of it."""
        if not self.users:
            child = self.nginx.run()
            procs.wait_for_answer(child, self.port, "/_ping")
        self.users.add(user)

    def stop(self, user):
        if user in self.users:
            self.users.discard(user)
            if not self.users:
                self.nginx.stop()
                if os.path.exists(self.socket):
                    os.unlink(self.socket)


class Direct:
    """The engine itself."""

    name, title = "f-direct", "the engine itself"

    def __init__(self, engine):
        self.engine, self.port = engine, engine.port

    def start(self):
        return 0.0

    def stop(self):
        pass

    def pids(self):
        return []


class Proxy:
    """A program in front of the engine."""

    def __init__(self, children, work, engine, name, title, argv, log):
        self.children, self.engine = children, engine
        self.name, self.title, self.log = name, title, log
        self.argv = argv
        self.child = None
        self.work = work

    def start(self):
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith(("HP_", "NC_HAPROXY"))}
        self.child = self.children.start(self.title, self.argv, self.log, env=environment)
        return procs.wait_for_answer(self.child, self.port, "/_ping")[0]

    def stop(self):
        if self.child:
            self.children.stop(self.child)
            self.child = None

    def pids(self):
        return procs.tree(self.child.pid)


def haproxy(children, work, engine, program):
    port, conf = procs.free_port(), f"{work}/socket-proxy.cfg"
    with open(conf, "w") as f:
        f.write(f"""global
    nbthread 1
    maxconn 2000
defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    http-reuse always
frontend docker
    bind 127.0.0.1:{port} backlog 4096
    http-request allow if {{ path,url_dec -m reg -i ^(/v[\\d\\.]+)?/_ping$ }} METH_GET
    http-request allow if {{ path,url_dec -m reg -i ^(/v[\\d\\.]+)?/images/.*/json$ }} METH_GET
    http-request allow if {{ path,url_dec -m reg -i ^(/v[\\d\\.]+)?/containers/nc_app_[a-z0-9_.-]+/(json|logs)$ }} METH_GET
    http-request allow if {{ path,url_dec -m reg -i ^(/v[\\d\\.]+)?/containers/nc_app_[a-z0-9_.-]+/(start|stop|exec)$ }} METH_POST
    http-request allow if {{ path,url_dec -m reg -i ^(/v[\\d\\.]+)?/containers/nc_app_[a-z0-9_.-]+$ }} METH_DELETE
    http-request allow if {{ path,url_dec -m reg -i ^(/v[\\d\\.]+)?/containers/create$ }} METH_POST
    http-request deny
    default_backend engine
backend engine
    server engine {engine.socket}
""")
    made = Proxy(children, work, engine, "f-haproxy", "HAProxy, by expressions",
                 [program, "-db", "-q", "-f", conf], f"{work}/socket-proxy.log")
    made.port = port
    return made


def ours(children, work, engine, program, audited):
    port = procs.free_port()
    name = "f-audited" if audited else "f-filter"
    folder = f"{work}/{name}"
    os.makedirs(f"{folder}/audit")
    with open(f"{folder}/filter.cfg", "w") as f:
        f.write(f'docker = "unix:{engine.socket}";\nlog_level = "warning";\n'
                f'listeners = ( {{ address = "127.0.0.1:{port}"; policy = "appapi"; }} );\n' +
                (f'audit = "required";\naudit_folder = "{folder}/audit";\n' if audited else ""))
    made = Proxy(children, work, engine, name,
                 "socket-filter, audited" if audited else "socket-filter",
                 [program, "--config", f"{folder}/filter.cfg"], f"{folder}/log")
    made.port = port
    return made


class Life:
    """The engine and one thing in front of it; what a group's subject is."""

    def __init__(self, engine, proxy):
        self.engine, self.proxy = engine, proxy
        self.name, self.title = proxy.name, proxy.title
        self.proxy_role = "engine" if isinstance(proxy, Direct) else "proxy"
        self.has_client = False
        self.port = proxy.port

    def start(self):
        self.engine.start(self.name)
        return self.proxy.start()

    def stop(self):
        self.proxy.stop()
        self.engine.stop(self.name)

    def roles(self):
        pids = self.proxy.pids()
        roles = {"engine": self.engine.nginx.pids()}
        return {"proxy": pids, **roles} if pids else roles


def groups(only, keys, children, work, programs):
    """Scenario key -> its subjects."""
    if "hub" not in only or not set(KEYS) & set(keys):
        return {}
    engine = Engine(children, work, programs["nginx"])
    program = programs["harp-socket-filter"]
    lives = [Life(engine, Direct(engine)),
             Life(engine, haproxy(children, work, engine, programs["haproxy"])),
             Life(engine, ours(children, work, engine, program, False)),
             Life(engine, ours(children, work, engine, program, True))]
    return {key: lives for key in KEYS if key in keys}


# --- the load ---


def _wrk(tools, port, seconds, target, script):
    argv = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--latency", "-s",
            script, f"http://127.0.0.1:{port}{target}"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=seconds + 20, check=False)
    if done.returncode:
        raise procs.Broken(f"wrk failed: {done.stderr.strip()[-200:]}")
    r = json.loads(done.stdout.strip().splitlines()[-1])
    wrong = {k: r[k] for k in ("connect", "read", "write", "status", "timeout") if r[k]}
    if wrong or not r["requests"]:
        raise procs.Broken(f"wrk counted errors: {wrong} beside {r['requests']} requests")
    return load.Result(r["requests"] / r["seconds"], r["requests"] / 100e3, r["p50_us"],
                       r["p99_us"])


def ping(tools, subject, seconds):
    return _wrk(tools, subject.port, seconds, "/_ping", tools.script)


def inspect(tools, subject, seconds):
    return _wrk(tools, subject.port, seconds, f"/v1.41/containers/{NAME}/json", tools.script)


def create(tools, subject, seconds):
    script = f"{tools.work}/create.lua"
    if not os.path.exists(script):
        with open(script, "w") as f:
            f.write(CREATE_SCRIPT.replace("NAME", NAME).replace("BODY", json.dumps(BODY)) +
                    load.WRK_SCRIPT)
    return _wrk(tools, subject.port, seconds, "/", script)


def logs(tools, subject, seconds):
    """1 GiB, once."""
    url = f"http://127.0.0.1:{subject.port}/v1.41/containers/{NAME}/logs?stdout=1&stderr=1"
    began = time.monotonic()
    done = subprocess.run(["curl", "-sS", "-o", "/dev/null", "--max-time", "60", "-w",
                           "%{http_code} %{size_download}", url], capture_output=True, text=True,
                          timeout=70, check=False)
    if done.stdout.split() != ["200", str(LOG_BYTES)]:
        raise procs.Broken(f"logs: {done.stdout} {done.stderr}")
    took = time.monotonic() - began
    return load.Result(LOG_BYTES / 1e6 / took, 1.0)
