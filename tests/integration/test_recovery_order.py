"""The whole chain, hub -> tunnel client -> socket filter -> engine, with Nextcloud and an ExApp beside it:
started in any order, each killed and started again while the others stay. Nobody helps.
"""
import itertools

import pytest

from harness import (Hub, Nextcloud, RawOrigin, SocketFilter, app, fetch, free_port, response,
                     wait_for)
from harness.appapi import session_cookie
from harness.credentials import APP_TOKEN
from harness.engine_calls import FAR_PORT, furnish, gate, typed
from harness.fake_engine import FakeEngine
from harness.process import Process
from harness.tunnel_bench import hub_client

OURS = ("engine", "filter", "client", "hub")
BODY = b"served by the ExApp"
HUB = {"HP_NEXTCLOUD_CONNECT_TIMEOUT": "1s", "HP_WORK_CONNECTION_TIMEOUT": "1s", "HP_ENGINE_TIMEOUT": "2s",
       "HP_EXAPP_LIFETIME": "20ms", "HP_EXAPP_UNKNOWN_LIFETIME": "20ms", "HP_SESSION_LIFETIME": "0"}


class Chain:
    """Six parties at fixed places; start(who) and kill(who), in any order."""

    def __init__(self, site):
        self.site = site
        self.ports = {name: free_port() for name in ("http", "https", "frp", "admin")}
        self.places = {name: free_port() for name in ("nextcloud", "exapp")}
        self.docker, self.filtered = site.socket_path(), site.socket_path()
        self.running = {}

    @property
    def http(self):
        return ("127.0.0.1", self.ports["http"])

    def start(self, who):
        self.running[who] = self.site.add(getattr(self, f"_{who}")())
        return self.running[who]

    def kill(self, who):
        thing = self.running.pop(who)
        self.site.things.remove(thing)
        if isinstance(thing, Process):
            thing.kill()
            thing.judge()
        else:
            thing.close()

    def _engine(self):
        engine = FakeEngine(self.docker)
        furnish(engine)
        return engine

    def _filter(self):
        return SocketFilter(self.site._folder("filter"), self.docker, self.filtered)

    def _client(self):
        return hub_client(self.site, self.ports["frp"], [("engine-1", FAR_PORT, f"unix:{self.filtered}")])

    def _hub(self):
        url = f"http://127.0.0.1:{self.places['nextcloud']}"
        return Hub(self.site._folder("hub"), self.site.certs, ports=self.ports,
                   settings={**HUB, "NC_INSTANCE_URL": url, "HP_DOCKER_SOCKET": self.site.folder / "none"})

    def _nextcloud(self):
        cloud = Nextcloud(listen=("127.0.0.1", self.places["nextcloud"]))
        cloud.add_app("sample", port=self.places["exapp"], token=APP_TOKEN, routes=[("^/.*", 1)])
        return cloud

    def _exapp(self):
        return RawOrigin(response(BODY), listen=("127.0.0.1", self.places["exapp"]))

    # ---- what works ----

    def page(self):
        """What a signed-in user gets from the ExApp; None: the hub is away."""
        try:
            return fetch(self.http, "/exapps/sample/", session_cookie("alice"))
        except (OSError, EOFError):
            return None

    def call(self):
        """A call of AppAPI's that the engine answers; None: the hub is away."""
        try:
            return typed(self, "exists", port=FAR_PORT)
        except (OSError, EOFError):
            return None

    def serves(self):
        page, call = self.page(), self.call()
        return (page is not None and page.status == 200 and page.body == BODY
                and call is not None and call.status == 200)

    def wait_serves(self):
        wait_for(self.serves, what=f"a page and a call: {self.page()}, {self.call()}", pause=0.02)
        assert gate(self, "GET", "/_ping", port=FAR_PORT).status == 200


@pytest.fixture
def chain(site):
    """The certificates are there: several orders would start the client without them, which ends it."""
    if not (site.certs / "frp").exists():
        site.hub(app())
    return Chain(site)


@pytest.mark.parametrize("place, order", enumerate(itertools.permutations(OURS)),
                         ids=lambda value: "-".join(value) if isinstance(value, tuple) else "")
def test_started_in_any_order_all_of_it_works(chain, place, order):
    """Nextcloud and the ExApp come at all places among them, in both orders."""
    whole = list(order)
    whole.insert(place % 5, "nextcloud")
    whole.insert((place // 4) % 6, "exapp")
    for who in whole:
        chain.start(who)
    chain.wait_serves()


def test_each_killed_and_started_again_while_the_others_stay(chain):
    everybody = (*OURS, "nextcloud", "exapp")
    for who in reversed(everybody):
        chain.start(who)
    chain.wait_serves()
    for who in everybody:
        chain.kill(who)
        assert not chain.serves(), f"without {who}"
        chain.start(who)
        chain.wait_serves()


@pytest.mark.parametrize("first, second", [("filter", "engine"), ("client", "filter"), ("hub", "client"),
                                           ("nextcloud", "hub"), ("engine", "hub"), ("exapp", "nextcloud")])
def test_two_killed_come_back_in_either_order(chain, first, second):
    for who in (*OURS, "nextcloud", "exapp"):
        chain.start(who)
    chain.wait_serves()
    for order in ((first, second), (second, first)):
        chain.kill(first)
        chain.kill(second)
        for who in order:
            chain.start(who)
        chain.wait_serves()
