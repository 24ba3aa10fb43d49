"""Recorded calls about containers, played again to a hub with a real engine.

The images have the recorded names; the ExApp in them is the sample one. What was different when
it was recorded is put in place: the port of the hub's tunnel server, and the CA bundle.
"""
import copy
import json

from .client import RawClient
from .credentials import RECORDED_KEY
from .deploy import ExAppSpec
from .docker_images import NEXT, PLAIN
from .recorded import PROXY, get, load, record_of_testapp, send
from .wait import DEFAULT, wait_for

SETTINGS = {"HP_SHARED_KEY": RECORDED_KEY, "HP_TRUSTED_PROXY_IPS": PROXY,
            "HP_BLACKLIST_COUNT": "10"}


def testapp(daemon, image=PLAIN):
    """The recorded app as the scenarios before left it: running, enabled, served."""
    app = ExAppSpec("testapp", 23000, image)
    daemon.create(app)
    daemon.install(app)
    daemon.start(app)
    daemon.heartbeat(app)
    assert daemon.control("POST", "/exapp_storage/testapp", record_of_testapp()).status == 204
    return app


def stopped_testapp(daemon):
    """The same, disabled."""
    app = testapp(daemon)
    daemon.expect(204, "stop", app)
    assert daemon.control("DELETE", "/exapp_storage/testapp").status == 204


def nothing(_):
    pass


# name: what is there before it
SCENARIOS = {"control-docker": testapp, "control-docker-api": testapp, "app-register": nothing,
             "app-disable": testapp, "app-enable": stopped_testapp,
             "app-unregister-keep-data": lambda daemon: testapp(daemon, NEXT),
             "app-unregister-rm-data": testapp, "healthcheck-image": nothing,
             "fail-unhealthy": nothing, "fail-engine-not-connected": nothing}


def asked(name):
    """What of that scenario is played, in the order of its beginning."""
    return sorted((exchange for exchange in load(name) if exchange["to"] == "HaRP"),
                  key=lambda exchange: exchange["t"])


def is_of_the_app(exchange):
    """Whether the ExApp answered."""
    return not exchange["request"]["path"].startswith("/exapps/app_api/") \
        and exchange["response"]["status"] == 200


def adapted(request, hub, bundle):
    """The request as it would have been with this hub."""
    request = copy.deepcopy(request)
    body = request["body"]
    if isinstance(body, dict):
        if isinstance(body.get("system_certs_bundle"), dict):
            body["system_certs_bundle"] = bundle
        body["environment_variables"] = adapted_environment(
            body.get("environment_variables", []), hub)
        if not body["environment_variables"]:
            del body["environment_variables"]
    return request


def adapted_environment(rows, hub):
    return [f"HP_FRP_PORT={hub.ports['frp']}" if row == "HP_FRP_PORT=8782" else row
            for row in rows]


def ask(hub, request):
    """A Response, or None: closed without an answer."""
    extra = [b"X-Forwarded-For: 198.51.100.1"] if get(request["headers"], "host") == [
        "127.0.0.1:8080"] else []
    with RawClient(hub.http, source=PROXY) as client:
        send(client, request, extra)
        try:
            return client.response(request["method"], 10 * DEFAULT)
        except EOFError:
            assert client.received == b"", client.received
            return None


def play(daemon, bundle, exchange):
    """One exchange. AppAPI repeats a heartbeat until it is well."""
    hub, request = daemon.hub, adapted(exchange["request"], daemon.hub, bundle)
    status = exchange["response"]["status"]
    if request["path"] == "/exapps/testapp/public/x" and status == 404:
        hub.nextcloud.remove_app("testapp")  # unregistered by now
    if request["path"].endswith("/heartbeat") and status == 200:
        return wait_for(lambda: (reply := ask(hub, request)).status == 200 and reply,
                        what="the heartbeat", pause=0.05)
    return ask(hub, request)


def parsed(reply):
    """The body as the recording has it: JSON parsed, anything else as text."""
    if (reply.head.get("Content-Type") or "").startswith("application/json"):
        return json.loads(reply.body)
    return reply.body.decode("latin-1")
