"""Whatever dies, everything works again without help: programs killed under load at random moments
(seeded, bounded), tunnels that freeze, many clients at once.
"""
import random
import signal
import threading
import time

import pytest

from harness import (DEFAULT, Hub, Overdue, RawClient, RawOrigin, TunnelClient, app, fetch,
                     response, wait_for)

A = "/exapps/sample"
BODY = b"0123456789" * 500
# Connections that die are noticed fast, so that a round is short.
QUICK = {"HP_TUNNEL_KEEPALIVE": "300ms", "HP_TUNNEL_KEEPALIVE_TIMEOUT": "300ms",
         "HP_WORK_CONNECTION_TIMEOUT": "500ms", "HP_LOGIN_TIMEOUT": "2s",
         "HP_TIMEOUT_SERVER": "5s", "HP_TIMEOUT_CLIENT": "5s", "HP_LOG_LEVEL": "info"}


class Load:
    """Clients that ask all the time. Every answer is whole and right, or says what failed."""

    def __init__(self, address, clients=6):
        self.address = address
        self.good = 0
        self.failed = 0
        self.wrong = []
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(number,), daemon=True)
                        for number in range(clients)]
        for thread in self.threads:
            thread.start()

    def _run(self, number):
        while not self.ending.is_set():
            try:
                with RawClient(self.address) as client:
                    for turn in range(20):
                        method = "POST" if (number + turn) % 3 == 0 else "GET"
                        reply = client.ask(f"{A}/{number}", method=method,
                                           body=BODY if method == "POST" else b"")
                        if reply.status == 200 and reply.body == BODY:
                            self.good += 1
                        elif reply.status in (502, 503, 504) and b"hop" in reply.body:
                            self.failed += 1
                            time.sleep(0.01)
                        else:
                            self.wrong.append(repr(reply))
                        if self.ending.is_set() or reply.head.get("Connection") == "close":
                            break
            except (OSError, EOFError):
                self.failed += 1
                time.sleep(0.01)
            except Overdue as error:
                self.wrong.append(str(error))

    def wait_good(self, more=20, seconds=None):
        """That many further requests were served."""
        goal = self.good + more
        wait_for(lambda: self.good >= goal or self.wrong, seconds, "requests to be served again")
        assert not self.wrong, self.wrong[:3]

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(2 * DEFAULT)
        assert not any(thread.is_alive() for thread in self.threads)
        assert not self.wrong, self.wrong[:3]

    close = end


class Cast:
    """Hub, tunnel and ExApp on fixed places, each of which can be killed and started again."""

    def __init__(self, site):
        self.site = site
        self.path = site.socket_path()
        self.origin = RawOrigin(response(BODY), path=self.path)
        self.hub = site.hub(app(), settings=QUICK)
        self.tunnel = site.tunnel(self.hub, self.path)

    def close(self):
        self.origin.close()

    def kill_client(self):
        self.tunnel.kill()
        self.tunnel = self.site.add(TunnelClient(
            self.site._folder("tunnel"), self.hub.ports["frp"], self.tunnel.proxies,
            certs=self.hub.certs))

    def kill_hub(self):
        old = self.hub
        old.kill()
        self.hub = self.site.add(Hub(self.site._folder("hub"), old.certs, [app()], QUICK,
                                     old.ports))

    def kill_exapp(self):
        self.origin.close()
        for connection in list(self.origin.connections):
            connection.close()
        self.origin = RawOrigin(response(BODY), path=self.path)


@pytest.mark.parametrize("who", ["client", "hub", "exapp"])
def test_killed_under_load_everything_works_again(site, who):
    rng = random.Random(f"{who} 1")
    cast = Cast(site)
    site.things.insert(0, cast)
    load = site.add(Load(cast.hub.http))
    load.wait_good()
    for _ in range(4):
        time.sleep(rng.random() * 0.3)  # a random moment is the point
        getattr(cast, f"kill_{who}")()
        site.things.remove(load)  # it ends first
        site.things.append(load)
        load.wait_good(seconds=2 * DEFAULT)
    load.end()
    assert fetch(cast.hub.http, f"{A}/").body == BODY


def test_all_of_them_killed_in_any_order_everything_works_again(site):
    rng = random.Random(8782)
    cast = Cast(site)
    site.things.insert(0, cast)
    load = site.add(Load(cast.hub.http))
    load.wait_good()
    for _ in range(8):
        time.sleep(rng.random() * 0.1)
        rng.choice([cast.kill_client, cast.kill_hub, cast.kill_exapp])()
    site.things.remove(load)
    site.things.append(load)
    load.wait_good(seconds=2 * DEFAULT)
    load.end()


def test_new_client_takes_over_from_one_whose_machine_died(site):
    """The first one is frozen, not closed. That another wants its port makes the hub ask whether it lives, long
    before its next ping."""
    path = site.socket_path()
    site.add(RawOrigin(response(BODY), path=path))
    hub = site.hub(app(), settings={**QUICK, "HP_TUNNEL_KEEPALIVE": "1h"})
    first = site.tunnel(hub, path)
    first.signal(signal.SIGSTOP)
    try:
        other = site.add(TunnelClient(site._folder("other"), hub.ports["frp"],
                                      [("sample", 23005, str(path))], certs=hub.certs))
        other.wait_line("proxy sample refused")
        hub.wait_line("session sample ended: no answer to a keepalive ping")
        other.wait_line("proxy sample ready at port")
        assert fetch(hub.http, f"{A}/").body == BODY
    finally:
        first.signal(signal.SIGCONT)


def test_client_that_lives_keeps_its_port(site):
    path = site.socket_path()
    site.add(RawOrigin(response(BODY), path=path))
    hub = site.hub(app(), settings={**QUICK, "HP_TUNNEL_KEEPALIVE": "1h"})
    first = site.tunnel(hub, path)
    other = site.add(TunnelClient(site._folder("other"), hub.ports["frp"],
                                  [("sample", 23005, str(path))], certs=hub.certs))
    other.wait_line("proxy sample refused", count=3)
    assert fetch(hub.http, f"{A}/").body == BODY
    assert first.output().count(b"logged in") == 1 and b"ready at" not in other.output()


def test_frozen_tunnel_answers_503_or_504_in_time_and_serves_when_it_thaws(site):
    cast = Cast(site)
    site.things.insert(0, cast)
    assert fetch(cast.hub.http, f"{A}/").body == BODY
    cast.tunnel.signal(signal.SIGSTOP)
    try:
        for _ in range(3):
            began = time.monotonic()
            reply = fetch(cast.hub.http, f"{A}/", seconds=5)
            assert reply.status in (503, 504), reply
            assert b"tunnel" in reply.body or b"ExApp" in reply.body
            assert time.monotonic() - began < 3
    finally:
        cast.tunnel.signal(signal.SIGCONT)
    wait_for(lambda: fetch(cast.hub.http, f"{A}/").status == 200, what="the tunnel to serve again",
             pause=0.02)


def test_short_freeze_is_not_noticed_by_clients(site):
    origin = site.unix_origin(response(BODY))
    hub, tunnel = site.tunnelled(origin.path)
    assert fetch(hub.http, f"{A}/").status == 200
    tunnel.signal(signal.SIGSTOP)
    with RawClient(hub.http) as client:
        client.get(f"{A}/")
        client.assert_open(0.2)
        tunnel.signal(signal.SIGCONT)
        assert client.response().body == BODY
    assert tunnel.output().count(b"logged in") == 1


def test_tunnel_comes_back_after_a_restart_of_the_hub(site):
    cast = Cast(site)
    site.things.insert(0, cast)
    cast.hub.stop()
    cast.tunnel.wait_line("next try in")
    ports, certs = cast.hub.ports, cast.hub.certs
    cast.hub = site.add(Hub(site._folder("hub"), certs, [app()], QUICK, ports)).ready()
    cast.tunnel.wait_line("proxy", "ready", count=2)
    assert fetch(cast.hub.http, f"{A}/").body == BODY


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_500_clients_at_once_through_the_tunnel(site, tls):
    """All requests are at the ExApp before the first is answered."""
    gate = threading.Event()

    def answer(connection, request):
        gate.wait(3 * DEFAULT)
        return response(request.target.encode())

    origin = site.unix_origin(answer)
    hub = site.hub(app(), settings={"HP_LOG_LEVEL": "warning",
                                    "HP_FRP_DISABLE_TLS": str(not tls).lower()})
    site.tunnel(hub, origin.path, tls=tls)
    clients = [RawClient(hub.http) for _ in range(500)]
    try:
        for number, client in enumerate(clients):
            client.get(f"{A}/{number}")
        origin.wait_requests(500, 2 * DEFAULT)
        gate.set()
        for number, client in enumerate(clients):
            assert client.response().body == b"/%d" % number
        for number, client in enumerate(clients):  # and again, on kept connections
            client.get(f"{A}/again{number}")
        for number, client in enumerate(clients):
            assert client.response().body == b"/again%d" % number
    finally:
        gate.set()
        for client in clients:
            client.close()
