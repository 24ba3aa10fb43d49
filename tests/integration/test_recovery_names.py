"""Host names that come late, change, or can't be asked for: Nextcloud's, the hub's as tunnel clients see it,
and that of an ExApp without a tunnel. The programs see an /etc with nothing in it but resolv.conf, as in a
container from scratch. All of it is in a network namespace.
"""
import os
import time

import pytest

from conftest import open_site
from harness import Hub, Nextcloud, RawOrigin, app, fetch, free_port, response, wait_for
from harness.appapi import session_cookie
from harness.credentials import APP_TOKEN
from harness.names import Etc, NameServer
from harness.netns import Namespace
from harness.tunnel_bench import hub_client, last
from harness.wait import SLOWNESS

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for namespaces")

# README: an address is used for so long after it was looked up.
REMEMBERED = 5
FAR = 23005
HUB = {"HP_NEXTCLOUD_CONNECT_TIMEOUT": "500ms", "HP_TIMEOUT_CONNECT": "500ms", "HP_EXAPP_LIFETIME": "0",
       "HP_EXAPP_UNKNOWN_LIFETIME": "0", "HP_SESSION_LIFETIME": "0", "HP_WORK_CONNECTION_TIMEOUT": "1s"}


@pytest.fixture
def site(tmp_path_factory, certs):
    """Everything of a test, its own sockets too, is in a network namespace of its own."""
    with Namespace("names") as net, net.entered():
        site = open_site(tmp_path_factory, certs, "names")
        try:
            if not (certs / "frp").exists():
                site.hub(app())
            yield site
        finally:
            site.close()


class World:
    """cloud.test is Nextcloud, hub.test the hub, near.test an ExApp reached directly; `far` comes through a
    tunnel."""

    def __init__(self, site):
        self.site = site
        self.names = site.add(NameServer())
        self.etc = Etc(site.folder / "etc")
        self.port = free_port()
        self.ports = {name: free_port() for name in ("http", "https", "frp", "admin")}
        self.http = ("127.0.0.1", self.ports["http"])
        self.far = site.unix_origin(response(b"far"))
        self.cloud = self.near = self.hub = self.client = None

    def start(self, frp="127.0.0.1"):
        self.start_hub(frp)
        self.client = last(self.site, hub_client(
            self.site, self.ports["frp"], [("far", FAR, f"unix:{self.far.path}")], host="hub.test",
            launcher=self.etc.command()))

    def start_hub(self, frp):
        settings = {**HUB, "NC_INSTANCE_URL": f"http://cloud.test:{self.port}",
                    "HP_FRP_ADDRESS": f"{frp}:{self.ports['frp']}"}
        self.hub = self.site.add(Hub(self.site._folder("hub"), self.site.certs, settings=settings,
                                     ports=self.ports, launcher=self.etc.command())).ready()

    def put(self, cloud, near):
        """Nextcloud and the near ExApp are at these addresses now, and no longer where they were."""
        for old in filter(None, (self.cloud, self.near)):
            self.site.things.remove(old)
            old.close()
        self.cloud = self.site.add(Nextcloud(listen=(cloud, self.port)))
        self.cloud.add_app("near", host="near.test", port=self.port, token=APP_TOKEN, routes=[("^/.*", 1)])
        self.cloud.add_app("far", port=FAR, token=APP_TOKEN, routes=[("^/.*", 0)])
        self.near = self.site.add(RawOrigin(response(b"near"), listen=(near, self.port)))

    def answer(self, name):
        reply = fetch(self.http, f"/exapps/{name}/", session_cookie("alice"))
        return reply.body if reply.status == 200 else reply

    def serves(self):
        return self.answer("near") == b"near" and self.answer("far") == b"far"

    def wait_serves(self, seconds=None):
        wait_for(self.serves, seconds, "both ExApps", pause=0.05)


@pytest.fixture
def world(site):
    return World(site)


ALL = {"cloud.test": "127.0.0.2", "near.test": "127.0.0.3", "hub.test": "127.0.0.1"}


def test_names_and_the_list_of_name_servers_may_come_after_the_programs(world):
    world.put("127.0.0.2", "127.0.0.3")
    world.start()  # without /etc/resolv.conf
    world.client.wait_line("could not log in at hub.test", "could not be looked up")
    assert b"Nextcloud" in world.answer("near").body
    assert world.names.asked == []
    world.etc.resolve()
    wait_for(lambda: "hub.test" in world.names.asked, what="the client to ask the name server")
    assert b"Nextcloud" in world.answer("near").body
    assert "cloud.test" in world.names.asked
    world.names.names = {"cloud.test": "127.0.0.2"}
    reply = world.answer("near")
    assert reply.status == 503 and b"hop: ExApp" in reply.body and b"looked up" in reply.body, reply
    world.names.names = ALL
    world.wait_serves()


def test_hosts_file_that_comes_later_counts(world):
    world.put("127.0.0.2", "127.0.0.3")
    world.start()
    world.client.wait_line("could not be looked up")
    world.etc.write("hosts", "".join(f"{address} {name}\n" for name, address in ALL.items()))
    world.wait_serves()
    assert world.names.asked == []


def test_other_addresses_are_followed(world):
    """Of Nextcloud and an ExApp within REMEMBERED seconds, of the hub when the client connects again."""
    world.etc.resolve()
    world.names.names = ALL
    world.put("127.0.0.2", "127.0.0.3")
    world.start()
    world.wait_serves()
    world.names.names = {**ALL, "cloud.test": "127.0.1.2", "near.test": "127.0.1.3"}
    world.put("127.0.1.2", "127.0.1.3")
    began = time.monotonic()
    world.wait_serves((REMEMBERED + 5) * SLOWNESS)
    assert time.monotonic() - began < (REMEMBERED + 2) * SLOWNESS
    world.hub.kill()
    world.names.names = {**world.names.names, "hub.test": "127.0.1.1"}
    world.start_hub("127.0.1.1")
    world.wait_serves((REMEMBERED + 5) * SLOWNESS)
    world.client.wait_line("logged in at hub.test", count=2)


def test_name_server_that_does_not_answer_for_a_while(world):
    world.etc.resolve()
    world.names.names = ALL
    world.names.away = True
    world.put("127.0.0.2", "127.0.0.3")
    world.start()
    world.client.wait_line("could not be looked up")
    reply = world.answer("near")
    assert reply.status == 503 and b"looking the name up took too long" in reply.body, reply
    world.names.away = False
    world.wait_serves()


# ---- where to listen ----

def listen_by_name(site, etc, name):
    ports = {name: free_port() for name in ("http", "https", "frp", "admin")}
    return site.add(Hub(site._folder("hub"), site.certs, apps=[app()], ports=ports, launcher=etc.command(),
                        settings={"HP_EXAPPS_ADDRESS": f"{name}:{ports['http']}"}))


def test_a_listener_may_have_a_name_as_of_a_container(site):
    """HaRP takes names, too; in containers /etc/hosts has the own one."""
    etc = Etc(site.folder / "etc")
    etc.write("hosts", "127.0.0.9 appapi-harp\n")
    hub = listen_by_name(site, etc, "appapi-harp").ready()
    assert fetch(("127.0.0.9", hub.ports["http"]), "/exapps/unknown/").status == 404


def test_a_name_that_nobody_knows_ends_the_start_with_the_reason(site):
    site.add(NameServer())
    etc = Etc(site.folder / "etc")
    etc.resolve()
    hub = listen_by_name(site, etc, "no-such-host")
    hub.wait_line("HP_EXAPPS_ADDRESS: the name in 'no-such-host:", "could not be looked up: ",
                  "write an IP address")
    hub.expect_end(1)
    hub.wait()
