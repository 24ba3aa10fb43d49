"""AppAPI as it deploys ExApps: one daemon, which is one engine behind one hub.

The calls and their order are those of the recorded app-register.json and its like.
"""
import itertools
import json
import re

from .appapi import CONTROL, appapi_fields, basic_field, meta
from .client import RawClient, fetch
from .credentials import APP_TOKEN
from .docker_api import quote
from .docker_images import PLAIN
from .process import REPORTS
from .wait import DEFAULT, wait_for

LOCAL_ENGINE, REMOTE_ENGINE = 24000, 24001
DOCKER = CONTROL + "/docker/exapp/"
# What follows the name of the variable in an ExApp's environment, in place of the shared key.
TOKEN = re.compile(r"(nc_app_[A-Za-z0-9_.-]+)~([A-Za-z0-9_.-]+)~([0-9]+)~([A-Za-z0-9_-]{43})\Z")

_numbers = itertools.count(1)


class ExAppSpec:
    """An ExApp as AppAPI knows it. Without a name it is one that no other test has."""

    def __init__(self, name=None, port=None, image=PLAIN, instance=""):
        number = next(_numbers)
        self.name = name or f"app{number}"
        self.port = port or 23000 + number
        self.image, self.instance = image, instance
        self.container = f"nc_app_{instance}_{self.name}" if instance else f"nc_app_{self.name}"
        self.volume = self.container + "_data"

    @property
    def identity(self):
        return {"name": self.name, "instance_id": self.instance}


class Daemon:
    """`hub` is asked, `port` says about which engine, `api` asks that engine itself."""

    def __init__(self, hub, api, port, way="local"):
        self.hub, self.api, self.port, self.way = hub, api, port, way
        self.recorder = self.filter = None

    # ---- calls ----

    def fields(self, *more):
        """As AppAPI sends them; the Authorization beside the key means nothing."""
        return [f"harp-shared-key: {self.hub.key}".encode(),
                f"docker-engine-port: {self.port}".encode(), b"User-Agent: GuzzleHttp/7",
                basic_field("app_api_haproxy_user", self.hub.key), *more]

    def call(self, call, app=None, seconds=None, **body):
        """POST /docker/exapp/{call}, about that app: a Response."""
        body = {**(app.identity if app else {}), **body}
        return fetch(self.hub.http, DOCKER + call, *self.fields(b"Content-Type: application/json"),
                     method="POST", body=json.dumps(body).encode(),
                     seconds=seconds or 3 * DEFAULT)

    def begin(self, call, app, **body):
        """The same on a connection that the caller reads, or closes: a RawClient."""
        client = RawClient(self.hub.http)
        client.get(DOCKER + call, *self.fields(b"Content-Type: application/json"), method="POST",
                   body=json.dumps({**app.identity, **body}).encode())
        return client

    def gate(self, path, method="GET", body=b"", fields=(), seconds=None):
        """A call of the Docker API through the hub."""
        return fetch(self.hub.http, f"{CONTROL}/{path}", *self.fields(*fields), method=method,
                     body=body, seconds=seconds)

    def expect(self, status, call, app, seconds=None, **body):
        """The answer of a call that has to end with that status: text, or JSON parsed."""
        reply = self.call(call, app, seconds, **body)
        assert reply.status == status, (call, reply)
        kind = reply.head.get("Content-Type") or ""
        return json.loads(reply.body) if kind.startswith("application/json") \
            else reply.text.rstrip("\n")

    def to_app(self, app, method, path):
        """AppAPI's own call to an ExApp."""
        fields = appapi_fields(app.name, app.port, key=self.hub.key)
        if method in ("POST", "PUT"):
            fields.append(b"Content-Length: 0")
        return fetch(self.hub.http, f"/exapps/{app.name}{path}", *fields, method=method)

    def browse(self, app, path, *fields):
        """A browser's request to an ExApp."""
        return fetch(self.hub.http, f"/exapps/{app.name}{path}", *fields)

    def control(self, method, path, body=None):
        return fetch(self.hub.http, CONTROL + path, *self.fields()[:1], method=method,
                     body=json.dumps(body).encode() if body is not None else b"")

    # ---- steps of AppAPI's ----

    def environment(self, app, *more):
        """In AppAPI's order; it reads the seventh back when it looks at a container."""
        return ["AA_VERSION=34.0.0", f"APP_SECRET={APP_TOKEN}", f"APP_ID={app.name}",
                "APP_DISPLAY_NAME=Test ExApp", "APP_VERSION=1.0.0", "APP_HOST=127.0.0.1",
                f"APP_PORT={app.port}", f"APP_PERSISTENT_STORAGE=/{app.volume}",
                f"NEXTCLOUD_URL={self.hub.nextcloud.url}", "COMPUTE_DEVICE=CPU", *more,
                "HP_FRP_ADDRESS=127.0.0.1", f"HP_FRP_PORT={self.hub.ports['frp']}",
                f"HP_SHARED_KEY={self.hub.key}"]

    def register(self, app, routes=(("^/.*", 0),)):
        """Nextcloud knows it from now on."""
        self.hub.nextcloud.add_app(app.name, port=app.port, routes=routes)
        return app

    def create_body(self, app, **changes):
        body = {"image_id": app.image, "network_mode": "host",
                "environment_variables": self.environment(app), "restart_policy": "unless-stopped",
                "compute_device": "cpu", "mount_points": [], "start_container": True, **changes}
        return {name: value for name, value in body.items() if value is not None}

    def create(self, app, **changes):
        """A container that was not there; changes: None leaves a member out. Its name."""
        told = self.expect(201, "create", app, **self.create_body(app, **changes))
        assert told["name"] == app.container, told
        return app.container

    def created(self, *args, changes=(), **kwargs):
        """A registered app with a container: an ExAppSpec, made of the arguments."""
        app = self.register(ExAppSpec(*args, **kwargs))
        self.create(app, **dict(changes))
        return app

    def running(self, *args, **kwargs):
        app = self.created(*args, **kwargs)
        self.start(app)
        return app

    def connected(self, *args, **kwargs):
        """Running, with a tunnel to the hub, which certificates have to be there for."""
        app = self.created(*args, **kwargs)
        self.install(app)
        self.start(app)
        self.heartbeat(app)
        return app

    def start(self, app):
        assert self.expect(204, "start", app) == ""

    def wait_for_start(self, app):
        return self.expect(200, "wait_for_start", app, seconds=10 * DEFAULT)

    def heartbeat(self, app):
        """AppAPI asks until it is well."""
        def well():
            reply = self.to_app(app, "GET", "/heartbeat")
            return reply.status == 200 and json.loads(reply.body) == {"status": "ok"}
        wait_for(well, what=f"the heartbeat of {app.name}", pause=0.05)

    def push(self, app, routes=(("^/.*", 0),)):
        assert self.control("POST", f"/exapp_storage/{app.name}",
                            meta(port=app.port, routes=routes)).status == 204

    def install(self, app, bundle=None, frp=True):
        assert self.expect(204, "install_certificates", app, system_certs_bundle=bundle,
                           install_frp_certs=frp) == ""

    # ---- the truth ----

    def token(self, app):
        """What the container has in place of the shared key."""
        value, = [value for name, _, value in (row.partition("=") for row in
                                               self.api.environment(app.container))
                  if name == "HP_SHARED_KEY"]
        return value

    def image_path(self, image, version="v1.41/"):
        return f"{version}images/{quote(image)}/json"

    def marker(self, rounds=5):
        """Returns after the hub has done so much that it noticed what was sent to it before."""
        for _ in range(rounds):
            self.expect(200, "exists", ExAppSpec("marker"))


def assert_told(reply, status, first, *words):
    """A text of the hub's whose first line begins so (HaRP's words), with these words somewhere."""
    assert reply.status == status, reply
    assert (reply.head.get("Content-Type") or "").startswith("text/plain"), reply.head.fields
    assert reply.text.startswith(first), reply
    for word in words:
        assert word in reply.text, (word, reply)


def judge_containers(api, secrets):
    """What containers wrote: no report of a sanitizer, and none of these secrets."""
    problems = []
    for name in api.containers():
        log = api.logs(name)
        if found := REPORTS.search(log):
            problems.append(f"{name} reported {found.group()!r}: {log[-4000:]!r}")
        problems += [f"{name} logged a secret" for secret in secrets if secret.encode() in log]
    assert not problems, "\n".join(problems)
