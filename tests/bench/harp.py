"""The hub and the tunnel client as subjects: their settings, files and start, and nothing else.

All that depends on how our programs are configured is in this file.
"""

import os

import procs
import subjects

APP = "bench"
REMOTE_PORT = 23005  # the ExApp's port at the hub; no socket is opened for it
KEY = "benchmark-shared-key-0123456789"
CERTIFICATES = ("ca.crt", "client.crt", "client.key")

EXAPP = """  {{ id = "{app}"; token = "t"; version = "1.0.0"; host = "127.0.0.1"; port = {port};
    routes = ( {{ url = "^/.*"; access_level = {level}; }} ); }}"""

FRPC_TOML = """serverAddr = "127.0.0.1"
serverPort = {port}
loginFailExit = false
transport.tls.enable = true
transport.tls.certFile = "{certs}/client.crt"
transport.tls.keyFile = "{certs}/client.key"
transport.tls.trustedCaFile = "{certs}/ca.crt"
transport.tls.serverName = "harp.nc"
metadatas.token = "{key}"

[[proxies]]
remotePort = {remote}
type = "tcp"
name = "{app}"
[proxies.plugin]
type = "unix_domain_socket"
unixPath = "{socket}"
"""


class Hub:
    """One hub process with a certificate folder of its own.

    apps: (id, access level of all its paths), all at exapp_port. more: further settings, by the
    names that they have in the environment.
    """

    def __init__(self, children, work, name, program, exapp_port, apps=((APP, 0),), more=None):
        self.children = children
        self.name = name
        self.program = program
        self.work = f"{work}/{name}"
        self.child = None
        self.port = procs.free_port()
        self.frp_port = procs.free_port()
        self.certs = f"{self.work}/certs"
        os.makedirs(self.certs)
        self.conf = f"{self.work}/hub.cfg"
        with open(self.conf, "w") as f:
            f.write("exapps = (\n" + ",\n".join(
                EXAPP.format(app=app, port=exapp_port, level=level) for app, level in apps) +
                "\n);\n")
        # Nothing of the caller's environment: an HP_ setting of a real hub would change the result.
        self.env = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HP_EXAPPS_ADDRESS": f"127.0.0.1:{self.port}",
            "HP_EXAPPS_HTTPS_ADDRESS": f"127.0.0.1:{procs.free_port()}",
            "HP_FRP_ADDRESS": f"127.0.0.1:{self.frp_port}",
            "HP_ADMIN_ADDRESS": f"127.0.0.1:{procs.free_port()}",
            "HP_SHARED_KEY": KEY,
            "HP_CERTS_DIR": self.certs,
            "HP_LOG_LEVEL": "warning",
            **(more or {}),
        }

    def run(self):
        self.child = self.children.start(self.name, [self.program, "--config", self.conf],
                                         f"{self.work}/log", env=self.env, cwd=self.work)
        return self.child

    def make_certificates(self):
        """A first start, so that the measured ones find their certificates."""
        child = self.run()
        procs.wait_for_port(child, self.port, limit=30.0)
        wanted = [f"{self.certs}/frp/{name}" for name in CERTIFICATES]
        there = procs.wait_until(lambda: all(map(os.path.exists, wanted)), 30.0)
        self.stop()
        if not there:
            raise procs.Broken(f"{self.name}: no {', '.join(CERTIFICATES)} in {self.certs}/frp")

    def stop(self):
        if self.child:
            self.children.stop(self.child)
            self.child = None


class DirectSubject:
    """The hub in front of the origin's TCP port."""

    name = "hub"
    title = "hub direct"
    proxy_role = "hub"
    has_client = False

    def __init__(self, children, work, origin, programs, hub_name="hub", **settings):
        self.hub = Hub(children, work, hub_name, programs["harp-hub"], origin.port, **settings)
        self.port = self.hub.port
        self.hub.make_certificates()

    def start(self):
        return subjects.first_good_answer(self.hub.run(), self.port)

    def stop(self):
        self.hub.stop()

    def roles(self):
        return {"hub": procs.tree(self.hub.child.pid)}


class TunnelSubject:
    """The hub, the tunnel with mutual TLS, the tunnel client, the origin's unix socket.

    The client is started as soon as the hub takes tunnel connections: a start before that would
    measure the client's back-off.
    """

    name = "tunnel"
    title = "hub + tunnel"
    proxy_role = "hub"
    has_client = True

    def __init__(self, children, work, origin, programs, hub_name="tunnel-hub", **settings):
        self.children = children
        self.hub = Hub(children, work, hub_name, programs["harp-hub"], REMOTE_PORT, **settings)
        self.port = self.hub.port
        self.program = programs["harp-tunnel-client"]
        self.client = None
        self.conf = f"{self.hub.work}/frpc.toml"
        self.hub.make_certificates()
        with open(self.conf, "w") as f:
            f.write(FRPC_TOML.format(port=self.hub.frp_port, certs=f"{self.hub.certs}/frp", key=KEY,
                                     remote=REMOTE_PORT, app=APP, socket=origin.socket))
        os.chmod(self.conf, 0o600)

    def start(self):
        hub = self.hub.run()
        procs.wait_for_port(hub, self.hub.frp_port)
        self.client = self.children.start(
            "tunnel-client", [self.program, "-c", self.conf], f"{self.hub.work}/client.log",
            env={"PATH": self.hub.env["PATH"]}, cwd=self.hub.work)
        return subjects.first_good_answer(hub, self.port, others=(self.client,))

    def stop(self):
        if self.client:
            self.children.stop(self.client)
            self.client = None
        self.hub.stop()

    def roles(self):
        return {"hub": procs.tree(self.hub.child.pid), "tunnel-client": procs.tree(self.client.pid)}
