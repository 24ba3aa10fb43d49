"""What a Docker engine holds, as far as ExApps need it: containers, execs, volumes, images.

No sockets: FakeEngine (fake_engine.py) hands a Call in and sends what comes out. Answers, and the
words of its errors, are those of Docker 20.10 (Engine API 1.41); tests/data/appapi-contract has
some of them recorded. Tests change the attributes of what is in it as they like.
"""
import hashlib
import io
import itertools
import json
import re
import struct
import tarfile
import threading

from .wire import chunk, response

DEBIAN = b'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nID=debian\n'
FEDORA = b'NAME="Fedora Linux"\nVERSION_ID=40\nID=fedora\nPRETTY_NAME="Fedora Linux 40"\n'
IMAGE = "registry.test/exapps/testapp:1.0.0"
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z")
REASONS = {200: "OK", 201: "Created", 204: "No Content", 304: "Not Modified", 400: "Bad Request",
           404: "Not Found", 409: "Conflict", 500: "Internal Server Error"}


def answer(status, value=None, *fields):
    """value: None for no body, bytes as they are, anything else as JSON. Over 2 KiB it is chunked,
    as Go's server does it."""
    line = f"{status} {REASONS[status]}".encode()
    if value is None:
        return b"\r\n".join([b"HTTP/1.1 " + line, *fields]) + b"\r\n\r\n"
    if not isinstance(value, bytes):
        value = json.dumps(value).encode() + b"\n"
        fields = (b"Content-Type: application/json", *fields)
    if len(value) <= 2048:
        return response(value, line, *fields)
    return (b"\r\n".join([b"HTTP/1.1 " + line, b"Transfer-Encoding: chunked", *fields])
            + b"\r\n\r\n" + chunk(value) + b"0\r\n\r\n")


def error(status, message):
    return answer(status, {"message": message})


def frames(stdout=b"", stderr=b""):
    """Output of a container without a terminal: stream, length and bytes."""
    return b"".join(struct.pack(">BxxxL", number, len(data)) + data
                    for number, data in ((1, stdout), (2, stderr)) if data)


def tagged(reference):
    last = reference.rpartition("/")[2]
    return reference if ":" in last or "@" in last else reference + ":latest"


def run_command(container, argv):
    """(exit code, stdout, stderr) of a command in a container of a distribution."""
    line = " ".join(argv)
    if "os-release" in line:
        if container.os_release:
            return 0, container.os_release, b""
        return 1, b"", b"cat: can't open '/etc/os-release': No such file or directory\n"
    if "update-ca-" in line:
        return 0, b"Updating certificates in /etc/ssl/certs...\n1 added, 0 removed; done.\n", b""
    if "mkdir" in line:
        return 0, b"", b""
    return 126, b"OCI runtime exec failed: exec failed: executable file not found in $PATH\n", b""


class Container:
    """script: dicts of attributes that the inspects to come see, one each; the last one stays."""

    def __init__(self, name, body, identity):
        self.name, self.body, self.id = name, body, identity
        self.status, self.exit_code, self.restarts, self.health = "created", 0, 0, None
        self.started_at = "0001-01-01T00:00:00Z"
        self.os_release = DEBIAN
        self.files = {}
        self.log = frames(b"hello from the app\n")
        self.script = []

    @property
    def running(self):
        return self.status in ("running", "paused", "restarting")

    def mounts(self):
        return self.body.get("HostConfig", {}).get("Mounts") or []

    def inspect(self):
        if self.script:
            vars(self).update(self.script.pop(0))
        state = {"Status": self.status, "Running": self.running, "Paused": self.status == "paused",
                 "Restarting": self.status == "restarting", "OOMKilled": False,
                 "Dead": self.status == "dead", "Pid": 4711 if self.running else 0,
                 "ExitCode": self.exit_code, "Error": "", "StartedAt": self.started_at,
                 "FinishedAt": "0001-01-01T00:00:00Z"}
        if self.health:
            state["Health"] = {"Status": self.health, "FailingStreak": 0, "Log": []}
        config = {"Domainname": "", "User": "", "Tty": False, "Env": None, "Cmd": ["/start.sh"],
                  **{key: value for key, value in self.body.items()
                     if key not in ("HostConfig", "NetworkingConfig")}}
        return {"Id": self.id, "Created": "2026-11-23T06:09:22.135159795Z", "Path": "/start.sh",
                "Args": [], "State": state, "Image": "sha256:" + "27" * 32,
                "Name": "/" + self.name, "RestartCount": self.restarts, "Driver": "overlay2",
                "Platform": "linux", "HostConfig": self.body.get("HostConfig", {}),
                "Mounts": [self._mounted(mount) for mount in self.mounts()], "Config": config,
                "NetworkSettings": {"Bridge": "", "Ports": {}, "Networks": {}}}


    @staticmethod
    def _mounted(mount):
        shown = {"Type": mount["Type"], "Source": mount["Source"], "Destination": mount["Target"],
                 "Mode": "z", "RW": not mount.get("ReadOnly"), "Propagation": ""}
        if mount["Type"] == "volume":
            shown.update(Name=mount["Source"], Driver="local",
                         Source=f"/var/lib/docker/volumes/{mount['Source']}/_data")
        return shown


class EngineModel:
    """commands: what an exec does, (container, argv) -> (exit code, stdout, stderr)."""

    def __init__(self):
        self.lock = threading.RLock()
        self.reset()

    def reset(self):
        """As a new engine: one image, nothing else."""
        self.numbers = itertools.count(1)
        self.containers, self.volumes, self.execs, self.images = {}, {}, {}, {}
        self.commands = run_command
        self.add_image(IMAGE)

    # ---- what is there ----

    def identity(self):
        return hashlib.sha256(str(next(self.numbers)).encode()).hexdigest()

    def add_image(self, reference):
        self.images[tagged(reference)] = {
            "Id": "sha256:" + self.identity(), "RepoTags": [tagged(reference)], "RepoDigests": [],
            "Created": "2026-11-23T06:04:45.728885973Z", "Architecture": "amd64", "Os": "linux",
            "Size": 24151115, "VirtualSize": 24151115, "Config": {"Cmd": ["/start.sh"]}}

    def add_container(self, name, status="created", image=IMAGE, **kwargs):
        """With its volume, as AppAPI has them made. kwargs are further attributes."""
        volume = f"{name}_data"
        self.volumes.setdefault(volume, self._volume(volume))
        body = {"Image": image, "Hostname": name, "HostConfig": {"Mounts": [
            {"Type": "volume", "Source": volume, "Target": "/" + volume}]}}
        container = Container(name, body, self.identity())
        vars(container).update(status=status, **kwargs)
        self.containers[name] = container
        return container

    def container(self, name):
        """By name, or by its id or the beginning of it; None if there is none."""
        if name in self.containers:
            return self.containers[name]
        return next((c for c in self.containers.values()
                     if len(name) >= 12 and c.id.startswith(name)), None)

    def image(self, name):
        return self.images.get(tagged(name)) or next(
            (image for image in self.images.values() if image["Id"] in (name, "sha256:" + name)),
            None)

    @staticmethod
    def _volume(name):
        return {"CreatedAt": "2026-11-23T06:09:22Z", "Driver": "local", "Labels": None,
                "Mountpoint": f"/var/lib/docker/volumes/{name}/_data", "Name": name,
                "Options": None, "Scope": "local"}

    # ---- calls ----

    ROUTES = (
        ("GET", r"/images/(.+)/json", "image_json"),
        ("DELETE", r"/images/(.+)", "image_delete"),
        ("POST", r"/containers/create", "create"),
        ("GET", r"/containers/json", "containers_json"),
        ("GET", r"/containers/([^/]+)/json", "container_json"),
        ("GET", r"/containers/([^/]+)/logs", "logs"),
        ("POST", r"/containers/([^/]+)/start", "start"),
        ("POST", r"/containers/([^/]+)/stop", "stop"),
        ("DELETE", r"/containers/([^/]+)", "container_delete"),
        ("PUT", r"/containers/([^/]+)/archive", "archive"),
        ("POST", r"/containers/([^/]+)/exec", "exec_create"),
        ("POST", r"/exec/([^/]+)/start", "exec_start"),
        ("GET", r"/exec/([^/]+)/json", "exec_json"),
        ("POST", r"/volumes/create", "volume_create"),
        ("GET", r"/volumes/([^/]+)", "volume_json"),
        ("DELETE", r"/volumes/([^/]+)", "volume_delete"),
    )

    def answer(self, call):
        """(bytes, whether the connection ends after them)"""
        for method, pattern, name in self.ROUTES:
            match = re.fullmatch(pattern, call.path)
            if match and call.method == method:
                with self.lock:
                    found = getattr(self, "_" + name)(call, *match.groups())
                return found if isinstance(found, tuple) else (found, False)
        return error(404, "page not found"), False

    @staticmethod
    def _json(call):
        """(object, None) or (None, an answer)"""
        kind = call.head.get("Content-Type") or ""
        if kind.partition(";")[0].strip() != "application/json":
            return None, error(400, f"Content-Type specified ({kind}) must be 'application/json'")
        try:
            value = json.loads(call.body)
        except ValueError as problem:
            return None, error(400, f"invalid JSON: {problem}")
        return (value, None) if isinstance(value, dict) else (None, error(400, "EOF"))

    def _image_json(self, call, name):
        image = self.image(name)
        return answer(200, image) if image else error(
            404, f"no such image: {name}: No such image: {tagged(name)}")

    def _image_delete(self, call, name):
        image = self.image(name)
        if not image:
            return error(404, f"No such image: {tagged(name)}")
        tag = image["RepoTags"][0]
        for container in self.containers.values():
            if tagged(container.body["Image"]) == tag and "force" not in call.query:
                return error(409, f'conflict: unable to remove repository reference "{name}" (must '
                                  f"force) - container {container.id[:12]} is using its referenced "
                                  f"image {image['Id'][7:19]}")
        del self.images[tag]
        return answer(200, [{"Untagged": tag}, {"Deleted": image["Id"]},
                            {"Deleted": "sha256:" + "93" * 32}])

    def _create(self, call):
        body, wrong = self._json(call)
        if wrong:
            return wrong
        name = call.query.get("name", [""])[0]
        if not NAME.match(name):
            return error(400, f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] "
                              "are allowed")
        if name in self.containers:
            return error(409, f'Conflict. The container name "/{name}" is already in use by '
                              f'container "{self.containers[name].id}". You have to remove (or '
                              "rename) that container to be able to reuse that name.")
        if not self.image(body.get("Image", "")):
            return error(404, f"No such image: {tagged(body.get('Image', ''))}")
        container = Container(name, body, self.identity())
        for mount in container.mounts():
            if mount["Type"] == "volume":
                self.volumes.setdefault(mount["Source"], self._volume(mount["Source"]))
        self.containers[name] = container
        return answer(201, {"Id": container.id, "Warnings": []})

    def _found(self, name):
        """(container, None) or (None, an answer)"""
        container = self.container(name)
        return (container, None) if container else (None, error(404, f"No such container: {name}"))

    def _containers_json(self, call):
        """Those that carry all labels of the filter; without all=true only those that run."""
        wanted = json.loads(call.query.get("filters", ["{}"])[0]).get("label", [])
        every = call.query.get("all", ["0"])[0] in ("1", "true")
        listed = []
        for container in self.containers.values():
            labels = container.body.get("Labels") or {}
            carried = {f"{key}={value}" for key, value in labels.items()}
            if (every or container.running) and carried.issuperset(wanted):
                listed.append({"Id": container.id, "Names": ["/" + container.name],
                               "Labels": labels})
        return answer(200, listed)

    def _container_json(self, call, name):
        container, wrong = self._found(name)
        return wrong or answer(200, container.inspect())

    def _logs(self, call, name):
        container, wrong = self._found(name)
        if wrong:
            return wrong
        if not {"stdout", "stderr"} & set(call.query):
            return error(400, "Bad parameters: you must choose at least one stream")
        return (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(container.log)
                + b"0\r\n\r\n")

    def _start(self, call, name):
        container, wrong = self._found(name)
        if wrong:
            return wrong
        if container.running:
            return answer(304)
        container.status, container.exit_code = "running", 0
        container.started_at = "2026-11-23T06:10:05.110486173Z"
        return answer(204)

    def _stop(self, call, name):
        container, wrong = self._found(name)
        if wrong:
            return wrong
        if not container.running:
            return answer(304)
        container.status, container.exit_code = "exited", 137
        return answer(204)

    def _container_delete(self, call, name):
        container, wrong = self._found(name)
        if wrong:
            return wrong
        if container.running and call.query.get("force", ["0"])[0] not in ("1", "true"):
            return error(409, f"You cannot remove a running container {container.id}. Stop the "
                              "container before attempting removal or force remove")
        del self.containers[container.name]
        return answer(204)

    def _archive(self, call, name):
        container, wrong = self._found(name)
        if wrong:
            return wrong
        if call.query.get("path") != ["/"]:
            return error(404, f"Could not find the file {call.query.get('path')} in container "
                              f"{name}")
        try:
            with tarfile.open(fileobj=io.BytesIO(call.body), mode="r:") as tar:
                for member in tar:
                    container.files["/" + member.name.lstrip("./")] = (
                        tar.extractfile(member).read() if member.isfile() else None)
        except tarfile.TarError as problem:
            return error(500, f"Error processing tar file: {problem}")
        return answer(200, b"")

    def _exec_create(self, call, name):
        container, wrong = self._found(name)
        if wrong:
            return wrong
        body, wrong = self._json(call)
        if wrong:
            return wrong
        if not body.get("Cmd"):
            return error(400, "No exec command specified")
        if container.status != "running":
            return error(409, f"Container {container.id} is not running")
        identity = self.identity()
        self.execs[identity] = {"container": container, "body": body, "code": None}
        return answer(201, {"Id": identity})

    def _exec_start(self, call, identity):
        run = self.execs.get(identity)
        if not run:
            return error(404, f"No such exec instance: {identity}")
        body, wrong = self._json(call)
        if wrong:
            return wrong
        if run["code"] is not None:
            return (b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
                    + frames(f"Error: Exec command {identity} has already run\r\n".encode())), True
        run["code"], stdout, stderr = self.commands(run["container"], run["body"]["Cmd"])
        if body.get("Detach"):
            return answer(200, b"")
        shown = frames(stdout if run["body"].get("AttachStdout") else b"",
                       stderr if run["body"].get("AttachStderr") else b"")
        if call.head.tokens("Upgrade") == ["tcp"]:
            head = (b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
                    b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        else:
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
        return head + shown, True

    def _exec_json(self, call, identity):
        run = self.execs.get(identity)
        if not run:
            return error(404, f"No such exec instance: {identity}")
        command = run["body"]["Cmd"]
        return answer(200, {
            "ID": identity, "Running": False, "ExitCode": run["code"], "OpenStdin": False,
            "OpenStderr": True, "OpenStdout": True, "CanRemove": False, "Pid": 0, "DetachKeys": "",
            "ContainerID": run["container"].id,
            "ProcessConfig": {"tty": False, "entrypoint": command[0], "arguments": command[1:],
                              "privileged": False}})

    def _volume_create(self, call):
        body, wrong = self._json(call)
        if wrong:
            return wrong
        name = body.get("Name") or self.identity()
        if not NAME.match(name):
            return error(400, f'create {name}: "{name}" includes invalid characters for a local '
                              'volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you '
                              "intended to pass a host directory, use absolute path")
        return answer(201, self.volumes.setdefault(name, self._volume(name)))

    def _volume_json(self, call, name):
        volume = self.volumes.get(name)
        return answer(200, volume) if volume else error(404, f"get {name}: no such volume")

    def _volume_delete(self, call, name):
        if name not in self.volumes:
            return error(404, f"get {name}: no such volume")
        users = [c.id for c in self.containers.values()
                 if any(mount["Source"] == name for mount in c.mounts())]
        if users:
            return error(409, f"remove {name}: volume is in use - [{', '.join(users)}]")
        del self.volumes[name]
        return answer(204)
