"""AppAPI's calls about containers, and the hub's answers to them, with engines set up to be asked.

Typed calls are POST /docker/exapp/{name} with JSON; all others with a docker-engine-port go through
the Docker gate. Local is the engine at HP_DOCKER_SOCKET (port 24000), Tunnelled one behind
harp-tunnel-client.
"""
import datetime
import json
import re

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .appapi import CONTROL, control
from .client import RawClient
from .credentials import SHARED_KEY
from .engine_model import IMAGE
from .fake_engine import FakeEngine
from .programs import app
from .wait import SLOWNESS

LOCAL_PORT, FAR_PORT = 24000, 24001
KEY = b"harp-shared-key: " + SHARED_KEY.encode()
# Tests wait this long for engines that do not answer.
SOON = f"{int(350 + 150 * SLOWNESS)}ms"


def certificate(name):
    """A CA's certificate of that name, as PEM text."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime.datetime(2026, 1, 1)
    made = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=36500))
            .sign(key, hashes.SHA256()))
    return made.public_bytes(serialization.Encoding.PEM).decode()


# As Nextcloud has it: comments between the certificates.
BUNDLE = "".join(f"\n{name}\n{'=' * len(name)}\n{certificate(name)}"
                 for name in ("First Test Root", "Second Test Root"))
# name: the body of a good call, for the containers of `furnish`
TYPED = {
    "exists": {"name": "still"},
    "create": {"name": "new", "image_id": IMAGE, "network_mode": "bridge",
               "environment_variables": ["APP_ID=new", "APP_PORT=23000"],
               "restart_policy": "unless-stopped", "compute_device": "cpu", "mount_points": [],
               "start_container": True},
    "start": {"name": "still"},
    "stop": {"name": "running"},
    "wait_for_start": {"name": "running"},
    "remove": {"name": "still", "remove_data": True},
    "image_remove": {"image_ref": "registry.test/unused:1"},
    "install_certificates": {"name": "still", "system_certs_bundle": BUNDLE,
                             "install_frp_certs": True},
}
SUCCESS = {"exists": 200, "create": 201, "start": 204, "stop": 204, "wait_for_start": 200,
           "remove": 204, "image_remove": 200, "install_certificates": 204}
# name: (method, path, status of a good call)
GATE = {
    "ping": ("GET", "/_ping", 200),
    "image": ("GET", f"/v1.41/images/{IMAGE}/json", 200),
    "inspect": ("GET", "/v1.41/containers/nc_app_still/json", 200),
    "logs": ("GET", "/v1.41/containers/nc_app_still/logs?stdout=true&stderr=true&tail=100", 200),
    "pull": ("POST", "/v1.41/images/create?fromImage=registry.test%2Fother&tag=2", 200),
}


def furnish(engine):
    """As new, with what the calls above are about."""
    engine.reset()
    engine.model.add_image("registry.test/unused:1")
    engine.model.add_container("nc_app_still")
    engine.model.add_container("nc_app_running", "running")


def port_field(port):
    return b"docker-engine-port: " + str(port).encode()


def typed(hub, call, body=None, port=LOCAL_PORT, **changes):
    """One typed call; without a body the good one, with `changes`."""
    if body is None:
        body = {**TYPED[call], **changes}
    return control(hub, "POST", f"/docker/exapp/{call}", body, fields=[port_field(port)])


def gate(hub, method, path, *fields, port=LOCAL_PORT, body=b""):
    """One call through the gate: a Response, or its head alone if the body was cut off, or None if
    nothing came before the connection ended."""
    with RawClient(hub.http) as client:
        lines = [KEY, port_field(port), *fields, b"Connection: close"]
        if method == "POST" and not body:
            lines.append(b"Content-Length: 0")
        client.get(CONTROL + path, *lines, method=method, body=body)
        return read_through_gate(client, method)


def read_through_gate(client, method="GET", seconds=None):
    try:
        return client.response(method, seconds)
    except EOFError:
        return client.received or None


def gate_client(hub, method, path, *fields, port=LOCAL_PORT):
    """A client that has sent such a call and read nothing yet."""
    client = RawClient(hub.http)
    lines = [KEY, port_field(port), *fields]
    if method == "POST":
        lines.append(b"Content-Length: 0")
    client.get(CONTROL + path, *lines, method=method)
    return client


def typed_client(way, call, body=None, **changes):
    """A client that has sent a typed call and read nothing yet."""
    client = RawClient(way.hub.http)
    data = json.dumps(body or {**TYPED[call], **changes}).encode()
    client.get(f"{CONTROL}/docker/exapp/{call}", KEY, port_field(way.port),
               b"Content-Type: application/json", method="POST", body=data)
    return client


def hop_of(reply):
    """The hop that a typed call's answer names."""
    hops = re.findall(r"^hop: (.+)$", reply.text, re.M)
    assert len(hops) == 1, reply.text
    return hops[0]


def assert_failed(reply, way, *statuses, words=()):
    """A typed call's answer that tells which hop failed."""
    assert reply.status in (statuses or (503, 504)), reply
    assert (reply.head.get("Content-Type") or "").startswith("text/plain"), reply.head.fields
    assert hop_of(reply) in way.hops, reply.text
    # What the engine said, if it said anything.
    assert re.search(r"^reason: \S|Status [1-5]\d\d", reply.text, re.M), reply.text
    for word in words:
        assert word in reply.text, (word, reply.text)


def docker_message(reply):
    """What an error in Docker's own shape says."""
    assert (reply.head.get("Content-Type") or "").startswith("application/json"), reply.head.fields
    value = json.loads(reply.body)
    assert list(value) == ["message"] and isinstance(value["message"], str), value
    return value["message"]


def assert_gate_failed(reply, way, *statuses):
    assert reply.status in (statuses or (502, 503, 504)), reply
    assert any(hop in docker_message(reply) for hop in way.hops), reply


class Way:
    """A hub, an engine, and how the one reaches the other."""

    def __init__(self, name, hub, engine, port, hops):
        self.name, self.hub, self.engine, self.port, self.hops = name, hub, engine, port, hops

    def typed(self, call, body=None, **changes):
        return typed(self.hub, call, body, self.port, **changes)

    def gate(self, method, path, *fields, **kwargs):
        return gate(self.hub, method, path, *fields, port=self.port, **kwargs)

    def gate_client(self, method, path, *fields):
        return gate_client(self.hub, method, path, *fields, port=self.port)


class Engines:
    """A hub with a local engine and one behind a tunnel. ways: local, tunnel. apps: hub.cfg's."""

    def __init__(self, site, settings=(), apps=(), local=None, far=None, **kwargs):
        self.site = site
        local = local or FakeEngine(site.socket_path())
        far = far or FakeEngine(site.socket_path())
        self.engines = [site.add(local), site.add(far)]
        settings = {"HP_DOCKER_SOCKET": local.path, **dict(settings)}
        self.hub = site.hub(*(apps or [app()]), settings=settings, **kwargs)
        self.client = site.tunnel(self.hub, far.path, name="engine-1", port=FAR_PORT)
        self.local = Way("local", self.hub, local, LOCAL_PORT, ("Docker engine",))
        # Whether a tunnel or what is behind it hung up can't always be told.
        self.tunnel = Way("tunnel", self.hub, far, FAR_PORT, ("Docker engine", "tunnel"))
        self.ways = {"local": self.local, "tunnel": self.tunnel}

    def furnish(self):
        for engine in self.engines:
            furnish(engine)
