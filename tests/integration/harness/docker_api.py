"""The Docker API over an engine's unix socket, for tests that look at what is true there."""
import http.client
import io
import json
import socket
import struct
import tarfile
import urllib.parse

from .wait import DEFAULT, wait_for

VERSION = "v1.41"


class DockerError(AssertionError):
    """An answer of the engine that was not expected."""

    def __init__(self, what, status, body):
        super().__init__(f"{what}: {status} {body[:500]!r}")
        self.status = status


class UnixConnection(http.client.HTTPConnection):
    """http.client over a unix socket."""

    def __init__(self, path, seconds):
        super().__init__("docker", timeout=seconds)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def frames(data):
    """The frames of a multiplexed stream: [(1 stdout or 2 stderr, bytes)]. Raises ValueError on
    anything else."""
    found = []
    while data:
        if len(data) < 8 or data[1:4] != b"\0\0\0" or data[0] not in (1, 2):
            raise ValueError(f"no frame begins with {data[:8]!r}")
        size = struct.unpack(">I", data[4:8])[0]
        if len(data) < 8 + size:
            raise ValueError(f"a frame of {size} bytes ends after {len(data) - 8}")
        found.append((data[0], data[8:8 + size]))
        data = data[8 + size:]
    return found


def stream(data, number):
    """All bytes of one stream: 1 stdout, 2 stderr."""
    return b"".join(piece for kind, piece in frames(data) if kind == number)


def quote(text):
    return urllib.parse.quote(text, safe="")


class DockerApi:
    """One engine. Calls return what the engine said, and raise DockerError when it is not 2xx;
    inspect(), volume() and image() return None for what is not there."""

    def __init__(self, path):
        self.path = path

    def request(self, method, path, body=None, query=None, fields=None, seconds=None):
        """(status, bytes). body: bytes, or anything else as JSON."""
        fields = dict(fields or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            fields["Content-Type"] = "application/json"
        target = f"/{VERSION}{path}" + ("?" + urllib.parse.urlencode(query) if query else "")
        connection = UnixConnection(self.path, DEFAULT * 3 if seconds is None else seconds)
        try:
            connection.request(method, target, body, fields)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def call(self, method, path, body=None, query=None, fields=None, accept=()):
        """The answer's bytes; statuses beside 2xx that are fine stand in `accept`."""
        status, data = self.request(method, path, body, query, fields)
        if not 200 <= status < 300 and status not in accept:
            raise DockerError(f"{method} {path}", status, data)
        return data

    def _look(self, path):
        status, data = self.request("GET", path)
        if status == 404:
            return None
        if status != 200:
            raise DockerError(f"GET {path}", status, data)
        return json.loads(data)

    def ping(self):
        return self.request("GET", "/_ping", seconds=2) == (200, b"OK")

    # ---- what is there ----

    def version(self):
        """(of the engine, of its API), as in ("20.10.24", "1.41")."""
        said = json.loads(self.call("GET", "/version"))
        return said["Version"], said["ApiVersion"]

    def inspect(self, name):
        return self._look(f"/containers/{quote(name)}/json")

    def volume(self, name):
        return self._look(f"/volumes/{quote(name)}")

    def image(self, name):
        return self._look(f"/images/{quote(name)}/json")

    def containers(self):
        """Names of all containers, running or not."""
        rows = json.loads(self.call("GET", "/containers/json", query={"all": "true"}))
        return sorted(row["Names"][0].lstrip("/") for row in rows)

    def volumes(self):
        return sorted(row["Name"] for row in
                      json.loads(self.call("GET", "/volumes"))["Volumes"] or [])

    def images(self):
        """{name: id} of all images."""
        return {name: row["Id"] for row in json.loads(self.call("GET", "/images/json"))
                for name in row["RepoTags"] or [row["Id"]]}

    def status(self, name):
        """created, running, restarting, exited, ... or None."""
        found = self.inspect(name)
        return found["State"]["Status"] if found else None

    def environment(self, name):
        """The variables of a container's process, in order, as it was given them."""
        return self.inspect(name)["Config"]["Env"]

    def logs(self, name):
        """The multiplexed log."""
        return self.call("GET", f"/containers/{quote(name)}/logs",
                         query={"stdout": "true", "stderr": "true"})

    def wait_logged(self, name, text):
        """The engine takes in what is written a moment later."""
        wait_for(lambda: text in self.logs(name), what=f"{text!r} in the log of {name}")

    # ---- images ----

    def import_image(self, tar, name, changes=()):
        """Makes an image of one layer from a tar, as `docker import`."""
        repository, _, tag = name.rpartition(":")
        query = [("fromSrc", "-"), ("repo", repository), ("tag", tag),
                 *(("changes", change) for change in changes)]
        data = self.call("POST", "/images/create", tar, query,
                         {"Content-Type": "application/x-tar"})
        if b'"error"' in data:
            raise DockerError(f"import of {name}", 200, data)

    def tag(self, image, name):
        repository, _, tag = name.rpartition(":")
        self.call("POST", f"/images/{quote(image)}/tag", query={"repo": repository, "tag": tag})

    def remove_image(self, name):
        self.call("DELETE", f"/images/{quote(name)}", query={"force": "true"}, accept=(404,))

    # ---- containers ----

    def create(self, name, image, **config):
        host = {"NetworkMode": "host", **config.pop("HostConfig", {})}
        body = {"Image": image, "HostConfig": host, **config}
        return json.loads(self.call("POST", "/containers/create", body, {"name": name}))["Id"]

    def start(self, name):
        self.call("POST", f"/containers/{quote(name)}/start", accept=(304,))

    def stop(self, name, seconds=5):
        self.call("POST", f"/containers/{quote(name)}/stop", query={"t": seconds}, accept=(304,))

    def remove(self, name):
        """With what it runs; fine if it is not there, or on its way out."""
        self.call("DELETE", f"/containers/{quote(name)}", query={"force": "true", "v": "true"},
                  accept=(404, 409))
        wait_for(lambda: self.inspect(name) is None, what=f"the end of container {name}")

    def remove_volume(self, name):
        self.call("DELETE", f"/volumes/{quote(name)}", accept=(404,))

    def wait_status(self, name, *statuses):
        return wait_for(lambda: (found := self.status(name)) in statuses and found,
                        what=f"{name} to be {' or '.join(map(str, statuses))}")

    def execute(self, name, *command):
        """Runs a command in a running container: (exit code, stdout, stderr)."""
        made = json.loads(self.call("POST", f"/containers/{quote(name)}/exec", {
            "AttachStdout": True, "AttachStderr": True, "Cmd": list(command)}))
        data = self.call("POST", f"/exec/{made['Id']}/start", {"Detach": False, "Tty": False})
        code = json.loads(self.call("GET", f"/exec/{made['Id']}/json"))["ExitCode"]
        return code, stream(data, 1), stream(data, 2)

    def files(self, name, folder):
        """The regular files below a folder of a container, running or not: {path from /: bytes}.
        None if the folder is not there."""
        status, data = self.request("GET", f"/containers/{quote(name)}/archive",
                                    query={"path": folder})
        if status == 404:
            return None
        if status != 200:
            raise DockerError(f"archive {folder}", status, data)
        parent = folder.rstrip("/").rpartition("/")[0]
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            return {f"{parent}/{member.name}": tar.extractfile(member).read()
                    for member in tar.getmembers() if member.isfile()}

    def file_modes(self, name, folder):
        """{path: (mode, uid, gid)} of the regular files below a folder."""
        data = self.call("GET", f"/containers/{quote(name)}/archive", query={"path": folder})
        parent = folder.rstrip("/").rpartition("/")[0]
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            return {f"{parent}/{member.name}": (member.mode & 0o7777, member.uid, member.gid)
                    for member in tar.getmembers() if member.isfile()}
