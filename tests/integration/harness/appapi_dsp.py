"""AppAPI at a Docker daemon of its own, by the calls in tests/data/appapi-dsp."""
import json

from .appapi import basic_field
from .client import RawClient
from .credentials import APP_TOKEN
from .docker_alike import alike, alike_document, hide_environment
from .docker_api import frames
from .php_archive import php_tar
from .programs import ROOT
from .wait import DEFAULT, wait_for

USER = "app_api_haproxy_user"
DATA = ROOT / "tests/data/appapi-dsp"


def calls(name):
    return json.loads((DATA / f"{name}.json").read_text())["calls"]


def by_step(call):
    """For pytest's ids."""
    return call["step"].replace(" ", "-").replace(":", "")


class AppApi:
    """Sends calls to an address (RawClient's). password: sent, if given. values: what is put in for
    words in braces; `exec` comes from the answers. pems: certificates, by number."""

    def __init__(self, address, password=None, pems=(), **values):
        self.address, self.password, self.pems = address, password, pems
        self.values = {"secret": APP_TOKEN, **values}

    def fill(self, text):
        for name, value in self.values.items():
            text = text.replace("{" + name + "}", str(value))
        return text

    def body(self, call):
        """Its bytes; JSON as PHP writes it, with / as \\/ and without blanks."""
        body = call.get("body")
        if body is None:
            return b""
        if "tar" in body:
            return php_tar(body["tar"]["name"], self.pems[body["tar"]["certificate"]].encode())
        return self.fill(json.dumps(body, separators=(",", ":")).replace("/", "\\/")).encode()

    def send(self, call):
        """One exchange: a Response."""
        body = self.body(call)
        fields = [b"User-Agent: GuzzleHttp/7"]
        fields += [f"{name}: {value}".encode() for name, value in call.get("headers", [])]
        if self.password:
            fields.append(basic_field(USER, self.password))
        if not body and call["method"] == "POST":
            fields.append(b"Content-Length: 0")
        with RawClient(self.address) as client:
            client.get(self.fill(call["path"]), *fields, method=call["method"], body=body)
            return client.response(call["method"], 6 * DEFAULT)

    def ask(self, call):
        """The same, as often as AppAPI would."""
        if "until" not in call:
            reply = self.send(call)
        else:
            path, value = call["until"]
            reply = wait_for(lambda: at(reply := self.send(call), path) == value and reply,
                             what=f"{path} to be {value}", pause=0.05)
        if call["path"].endswith("/exec") and reply.status == 201:
            self.values["exec"] = json.loads(reply.body)["Id"]
        return reply


def at(reply, path):
    found = json.loads(reply.body)
    for key in path.split("."):
        found = found[key]
    return found


def alike_reply(reply, hide=False):
    """(status, content type, body) of an answer, without what is of the moment. hide: as through
    the filter."""
    kind = reply.head.get("Content-Type")
    if (kind or "").startswith("application/json") and reply.body:
        document = json.loads(reply.body)
        if hide and "HostConfig" in document:
            hide_environment(document)
        if "State" in document and (document["State"] or {}).get("Health"):
            document["State"]["Health"].update(Log=None)
        return reply.status, kind, alike_document(document)
    try:
        return reply.status, kind, frames(reply.body)
    except ValueError:
        return reply.status, kind, alike(reply.body.decode())
