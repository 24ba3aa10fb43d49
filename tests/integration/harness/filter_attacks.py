"""What tests of attacks on harp-socket-filter stand on: a real engine that shows whether anything
reached it, behind a recorder, behind a filter.

The engine has the containers nc_app_x (made by AppAPI, one might think) and `other`, and the
volumes nc_app_x_data and other_data. Each connection that the recorder has taken ends before an
attempt, so that a single byte for the engine needs another one, and those are counted in the order
they come.
"""
import contextlib
import json

import pytest

from .client import RawClient
from .docker_images import PLAIN
from .unix_recorder import UnixRecorder
from .wire import Head, Response

MALFORMED = {400}
REFUSED = {403}
NO = {400, 403}
POLICY = "refused by policy: "


class Filtered:
    """`socket` is where the filter listens; `other` is the id of the container that is not ours."""

    def __init__(self, engine, recorder, guard):
        self.api, self.recorder, self.guard = engine.api, recorder, guard
        self.socket = guard.path
        self.other = engine.api.inspect("other")["Id"] if engine.api.inspect("other") else None

    def send(self, line, fields=(), behind=b"", method="GET", leave=False, path=None):
        """The answer to a request sent as it is, None if there is none. leave: nothing more will be
        sent, and the filter is told."""
        with RawClient(path or self.socket) as client:
            client.send(b"\r\n".join([line, b"Host: docker", *fields, b"", b""]) + behind)
            if leave:
                client.end()
            try:
                return client.response(method)
            except EOFError:
                return Response(Head(client.received)) if client.received else None

    def call(self, call, body=None, fields=(), behind=b"", path=None):
        """call: "METHOD /path". body: bytes, or anything else as JSON."""
        method, target = call.split(" ", 1)
        fields = list(fields)
        if body is not None:
            if not isinstance(body, bytes):
                body = json.dumps(body).encode()
            if not any(field.lower().startswith(b"content-type") for field in fields):
                fields.append(b"Content-Type: application/json")
            fields.append(b"Content-Length: %d" % len(body))
            behind = body
        elif method in ("POST", "PUT") and not any(
                b"length" in field.lower() or b"encoding" in field.lower() for field in fields):
            fields.append(b"Content-Length: 0")
        return self.send(f"{method} {target} HTTP/1.1".encode("latin-1"), fields, behind, method,
                         path=path)

    def quiet(self):
        """Ends all connections to the engine, so that each call needs one of its own."""
        recorder = self.recorder
        with recorder.lock:
            pairs = list(recorder.pairs)
        for pair in pairs:
            pair.end()
        recorder.wait_idle()
        recorder.forget()

    @contextlib.contextmanager
    def untouched(self):
        """Not a byte reaches the engine while this goes on. An allowed call afterwards is the proof
        that everything before it would have been there."""
        self.quiet()
        before = self.recorder.accepted, len(self.recorder.errors)
        yield
        assert self.call("GET /_ping").status == 200
        seen = [repr(asked) for asked in self.recorder.asked()]
        assert seen == ["<GET /_ping>"], seen
        assert (self.recorder.accepted - 1, len(self.recorder.errors)) == before

    def refused(self, call, body=None, fields=(), behind=b"", statuses=NO, words=()):
        """And the engine hears nothing of it."""
        with self.untouched():
            reply = self.call(call, body, fields, behind)
            judge(reply, statuses, call, words)
        return reply

    def looked_at_only(self):
        """What the engine was asked since quiet(): nothing but about the objects themselves."""
        asked = self.recorder.asked()
        assert all(one.method == "GET" and not one.query and not one.body for one in asked), asked
        return [one.path for one in asked]

    def state(self):
        """All that an attempt could have changed."""
        api = self.api
        containers = json.loads(api.call("GET", "/containers/json", query={"all": "true"}))
        volumes = json.loads(api.call("GET", "/volumes"))["Volumes"] or []
        images = json.loads(api.call("GET", "/images/json"))
        networks = json.loads(api.call("GET", "/networks"))
        return {
            "containers": sorted((one["Id"], one["Names"], one["Image"], one["State"],
                                  sorted(one["Labels"].items()), len(one["Mounts"]))
                                 for one in containers),
            "volumes": sorted((one["Name"], one["CreatedAt"]) for one in volumes),
            "images": sorted((one["Id"], sorted(one["RepoTags"] or [])) for one in images),
            "networks": sorted((one["Id"], one["Name"]) for one in networks)}


def judge(reply, statuses, what, words=()):
    """Refused, in Docker's shape of errors."""
    assert reply is not None, f"{what}: no answer"
    assert reply.status in statuses, (what, reply)
    if reply.body or reply.head.get("Content-Length", "0") == "0":
        message = json.loads(reply.body)["message"]
        assert reply.head.get("Content-Type") == "application/json"
        assert message.startswith(POLICY) == (reply.status == 403), (what, message)
        for word in words:
            assert word in message, (what, message)


def filter_target(tmp_path_factory, certs, engine, **kwargs):
    """The generator behind a fixture. At its end the engine is as it was."""
    from conftest import open_site
    site = open_site(tmp_path_factory, certs, "filter-attacks")
    try:
        engine.clean()
        api = engine.api
        for name in ("nc_app_x", "other"):
            api.create(name, PLAIN)
        for name in ("nc_app_x_data", "other_data"):
            api.call("POST", "/volumes/create", {"Name": name})
        recorder = site.add(UnixRecorder(site.socket_path(), engine.socket))
        target = Filtered(engine, recorder, site.filter(recorder.path, **kwargs))
        target.site = site
        before = target.state()
        yield target
        assert target.state() == before
    finally:
        site.close()
        engine.clean()


def cases(*tables):
    """For parametrize: the values of all tables, by their names."""
    return [pytest.param(value, id=name) for table in tables for name, value in table.items()]


def short(text):
    """A test's name."""
    text = str(text)
    return text if len(text) < 60 else f"{text[:40]}... of {len(text)}"
