"""Who a tunnel's client is, by its token and its certificate, and what it may open with them.

Every rule is tested from both sides: who is allowed, and who is refused and whether that counts as a
failure of the address. The client is frp_peer.FrpClient; its certificates are signed by the hub's CA.
"""
import contextlib
import json
import shutil
import ssl

import pytest

from harness import (RawClient, app, appapi_fields, assert_hubs_own, control, fetch, push, response)
from harness.certificates import EVERYBODY, certificate_name, issue
from harness.credentials import SHARED_KEY, WRONG_KEY, app_token
from harness.frp_peer import CLOSE_PROXY, FrpClient

PLAIN = {"HP_FRP_DISABLE_TLS": "true"}
both = pytest.mark.parametrize("mux", [True, False], ids=["mux", "nomux"])
HERE = "127.0.0.1"
A, B = ("nc_app_a", "a", 23100), ("nc_app_b", "b", 23101)
ENGINE = "harp.engine.one"
ENGINE_PORT = 24001
LONG = "nc_app_" + "a.very.long.name-" * 5 + "abcdefghijklmno"
APPS = (app("a", 23100), app("b", 23101), app("c", 23100))


class Place:
    """A hub with TLS, and clients of it. Certificates are made once for each name."""

    def __init__(self, site, settings=(), certs=None, apps=APPS):
        self.site = site
        self.hub = site.hub(*apps, certs=certs, settings={"HP_BLACKLIST_WINDOW": "1h", **dict(settings)})
        self.made = {}

    def certificate(self, *names, **kwargs):
        key = (names, tuple(kwargs.items()))
        if key not in self.made:
            self.made[key] = issue(self.hub.certs, self.hub.folder, *names, **kwargs)
        return self.made[key]

    def client(self, token=SHARED_KEY, *names, mux=True):
        """names: the common names in its certificate; none: the certificate that all have."""
        return FrpClient(self.hub, mux=mux, token=token,
                         certificate=self.certificate(*names) if names else None)

    def app(self, who=A, mux=True):
        """An app's own token and certificate."""
        return self.client(app_token(*who), certificate_name(who[0]), mux=mux)

    def engine(self, token=None, name=ENGINE, mux=True):
        return self.client(token, name, mux=mux)

    def failures(self):
        return failures(self.hub)

    @contextlib.contextmanager
    def counted(self, times=1):
        before = self.failures()
        yield
        assert self.failures() - before == times

    def get(self, appid):
        return fetch(self.hub.http, f"/exapps/{appid}/")


def failures(hub):
    """How many failures of this address the hub remembers."""
    bans = json.loads(fetch_admin(hub, "/api/bans").body)["bans"]
    return sum(ban["failures"] for ban in bans if ban["address"] == HERE)


def fetch_admin(hub, target):
    with RawClient(hub.admin) as client:
        client.get(target, host=b"localhost")
        return client.response()


@pytest.fixture(scope="module")
def place(tmp_path_factory, certs):
    """For what leaves nothing behind."""
    from conftest import open_site  # pylint: disable=import-outside-toplevel
    site = open_site(tmp_path_factory, certs, "identity")
    try:
        yield Place(site)
    finally:
        site.close()


def leave(place, *clients):
    """Ends sessions and waits until their names and ports are free again."""
    for client in clients:
        client.control.stream.fin()
        client.wait_end()
    assert place.hub.running()


def answer(client, browser, body, keep=False):
    """Serves what the browser asked for, on a work connection that the hub does not keep."""
    stream = client.serve()
    stream.until(b"\r\n\r\n")
    stream.send(response(body, b"200 OK", *([] if keep else [b"Connection: close"])))
    assert browser.response().body == body


def serves(place, client, appid, body=b"served"):
    """A request for the app comes out of this client's tunnel, and its answer gets back."""
    with RawClient(place.hub.http) as browser:
        browser.get(f"/exapps/{appid}/", b"Connection: close")
        answer(client, browser, body)


# ---- who gets in ----

@both
@pytest.mark.parametrize("who", [A, B, (LONG, "a", 23100)], ids=["a", "b", "long"])
def test_an_app_with_its_token_and_its_certificate_serves_its_requests(place, who, mux):
    with place.counted(0), place.app(who, mux).login() as client:
        client.proxy(who[1], who[2])
        serves(place, client, who[1])
        leave(place, client)


TOKENS = {"key": SHARED_KEY, "app": app_token(*A), "long": app_token(LONG, *A[1:]), "wrong": WRONG_KEY,
          "none": None, "empty": "", "other_key": app_token(*A, key=WRONG_KEY),
          "forged": app_token(*A)[:-1] + "A", "other_port": app_token(*A).replace("23100", "23102"),
          "other_app": app_token(*A).replace("~a~", "~b~"), "padded": app_token(*A) + "="}
CERTIFICATES = {"all": (EVERYBODY,), "other": ("docker host 1",), "mine": ("nc_app_a",),
                "theirs": ("nc_app_b",), "alike": ("nc_app_A",), "long": (certificate_name(LONG),),
                "engine": (ENGINE,), "two": ("nc_app_a", ENGINE), "twice": ("nc_app_a", "nc_app_a"),
                "odd": ("nc_app_ä",), "unnamed": ()}
# In: what it is let in for, by token and certificate. Of the rest, what does not count.
IN = {("key", "all"): 23100, ("key", "other"): 23100, ("app", "mine"): 23100, ("long", "long"): 23100,
      **{(token, "engine"): ENGINE_PORT for token in TOKENS if token not in ("app", "long")}}
UNCOUNTED = {("key", name) for name in ("two", "twice", "odd", "unnamed")}


@pytest.mark.parametrize("name", CERTIFICATES)
@pytest.mark.parametrize("token", TOKENS)
def test_token_and_certificate_must_belong_together(place, token, name):
    names, expected = CERTIFICATES[name], IN.get((token, name))
    client = FrpClient(place.hub, token=TOKENS[token], certificate=place.certificate(*names))
    with client, place.counted(int(not expected and (token, name) not in UNCOUNTED)):
        reply = client.try_login()
        if expected:
            assert not reply.get("error"), reply
            client.proxy("a", expected)
            leave(place, client)
        else:
            assert reply["error"] and not reply.get("run_id"), reply
            assert client.control.stream.rest() == b""


def test_refusals_say_why(place):
    for token, name, words in ((WRONG_KEY, EVERYBODY, "Invalid token"),
                               (app_token(*A), "nc_app_b", "not the one of this token's ExApp"),
                               (app_token(*A), ENGINE, "not the one of this token's ExApp"),
                               (SHARED_KEY, "nc_app_a", "does not log in with the shared key")):
        with place.client(token, name) as client:
            assert words in client.try_login()["error"]


def test_an_apps_certificate_signs_no_other(place):
    """Its holder can't make itself an engine: it is no CA."""
    mine = place.certificate("nc_app_a")
    crt, key = issue(place.hub.certs, place.hub.folder, ENGINE, issuer=mine)
    chain = crt.with_suffix(".chain")
    chain.write_bytes(crt.read_bytes() + mine[0].read_bytes())
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        with FrpClient(place.hub, token=None, certificate=(chain, key)) as client:
            client.try_login()
    place.hub.wait_line("ended before a login", "certificate")


def test_a_right_token_is_let_in_from_a_banned_address(site):
    """A whole Docker host of apps has one address, and the key of one of them may be old."""
    place = Place(site, {"HP_BLACKLIST_COUNT": "3"})
    for _ in range(3):
        with place.client(app_token(*A, key=WRONG_KEY), "nc_app_a") as client:
            assert client.try_login()["error"] == "Invalid token"
    place.hub.wait_line(f"{HERE} is banned", "wrong key")
    with place.app() as app_client, place.client() as shared, place.engine() as engine:
        app_client.login().proxy("a", 23100)
        shared.login().proxy("other", 23102)
        engine.login().proxy("docker", ENGINE_PORT)


def test_a_banned_address_counts_no_more(site):
    """Else one client could push what is remembered of all others out of the table."""
    place = Place(site, {"HP_BLACKLIST_COUNT": "3"})
    with place.app().login() as client:
        for _ in range(20):
            assert client.try_proxy("b", 23101)["error"]
    assert place.failures() == 3


# ---- what an app may open ----

FOREIGN = [
    pytest.param("a", 23101, "port not allowed: this token is for port 23100", id="port"),
    pytest.param("a", 23000, "port not allowed: this token is for port 23100", id="first_port"),
    pytest.param("a", 24000, "port not allowed: this token is for port 23100", id="own_hosts_engine"),
    pytest.param("a", ENGINE_PORT, "port not allowed: this token is for port 23100", id="engine"),
    pytest.param("a", 0, "port not allowed: this token is for port 23100", id="port_0"),
    pytest.param("b", 23101, "port not allowed: this token is for port 23100", id="port_and_name"),
    pytest.param("b", 23100, "proxy not allowed: this token is for [a]", id="name"),
    pytest.param("A", 23100, "proxy not allowed: this token is for [a]", id="letter_case"),
    pytest.param("", 23100, "proxy not allowed: this token is for [a]", id="no_name"),
    pytest.param("ä" * 20, 23100, "proxy not allowed: this token is for [a]", id="odd_name"),
]


@both
@pytest.mark.parametrize("name,port,error", FOREIGN)
def test_an_app_opens_nothing_but_its_own(place, name, port, error, mux):
    with place.app(mux=mux).login() as client:
        with place.counted(1):
            assert client.try_proxy(name, port)["error"] == error
        with place.counted(0):
            client.proxy("a", 23100)
        with place.counted(1):
            assert client.try_proxy(name, port)["error"] == error
        serves(place, client, "a")
        leave(place, client)


@pytest.mark.parametrize("port", [23000, 23100, 24000, 0])
def test_a_token_without_a_port_logs_in_and_opens_none(place, port):
    who = ("nc_app_a_worker", "a", 0)
    with place.app(who).login() as client:
        with place.counted(1):
            assert client.try_proxy("a", port)["error"] == "port not allowed: this token opens none"
        client.pinged()


def test_two_apps_cannot_take_what_is_the_others(place):
    """Whether the other one is there or not."""
    with place.app(A).login() as one, place.app(B).login() as two:
        with place.counted(3):
            assert one.try_proxy("a", 23101)["error"].startswith("port not allowed")
            assert one.try_proxy("b", 23101)["error"].startswith("port not allowed")
            assert one.try_proxy("b", 23100)["error"].startswith("proxy not allowed")
        two.proxy("b", 23101)
        with place.counted(3):
            assert one.try_proxy("a", 23101)["error"].startswith("port not allowed")
            assert one.try_proxy("b", 23101)["error"].startswith("port not allowed")
            assert one.try_proxy("b", 23100)["error"].startswith("proxy not allowed")
        one.control.send(CLOSE_PROXY, proxy_name="b")
        one.pinged()
        with place.counted(0):
            one.proxy("a", 23100)
        serves(place, two, "b", b"of b")
        serves(place, one, "a", b"of a")
        leave(place, one, two)


def test_an_apps_own_name_or_port_in_use_is_no_failure(place):
    """After a lost connection it comes back before the hub knows; frpc then tries again."""
    with place.app().login() as old, place.app().login() as new, place.counted(0):
        old.proxy("a", 23100)
        assert new.try_proxy("a", 23100)["error"] == "proxy [a] already exists"
        old.control.send(CLOSE_PROXY, proxy_name="a")
        old.pinged()
        new.proxy("a", 23100)
        leave(place, old, new)
    with place.client().login() as other, place.app().login() as client, place.counted(0):
        other.proxy("other", 23100)
        assert client.try_proxy("a", 23100)["error"] == "port unavailable"
        leave(place, other, client)


def test_another_type_of_proxy_is_refused_and_no_failure(place):
    with place.app().login() as client, place.counted(0):
        assert "type tcp" in client.try_proxy("a", 23100, type="udp")["error"]
        client.proxy("a", 23100)
        leave(place, client)


def test_lines_about_refused_proxies_are_limited(site):
    place = Place(site)
    with place.app().login() as client:
        for _ in range(80):
            assert client.try_proxy("b", 23101)["error"]
        client.pinged()
    lines = [line for line in place.hub.output().splitlines()
             if b"proxy b for port 23101, from 127.0.0.1 with the token of ExApp a" in line]
    assert len(lines) == 60


# ---- what an engine may open ----

@both
@pytest.mark.parametrize("token", [None, "", WRONG_KEY, SHARED_KEY], ids=["none", "empty", "wrong", "key"])
@pytest.mark.parametrize("port", [24000, 24099])
def test_an_engines_certificate_opens_engine_ports_whatever_the_token(place, token, port, mux):
    with place.counted(0), place.engine(token, mux=mux).login() as client:
        client.proxy("docker", port)
        leave(place, client)


@pytest.mark.parametrize("token", [None, SHARED_KEY], ids=["none", "key"])
@pytest.mark.parametrize("port", [23000, 23100, 23999, 24100, 0])
def test_an_engine_opens_no_other_port(place, token, port):
    with place.engine(token).login() as client:
        with place.counted(1):
            assert client.try_proxy("a", port)["error"] == (
                "port not allowed: this certificate is a Docker engine's")
        with place.counted(0):
            client.proxy("docker", ENGINE_PORT)
        leave(place, client)


def test_an_engine_does_not_take_the_name_of_an_app(place):
    with place.engine().login() as engine, place.engine().login() as other, place.app().login() as client:
        with place.counted(0):
            engine.proxy("a", ENGINE_PORT)
            assert other.try_proxy("a", 24002)["error"] == "proxy [a] already exists"
            client.proxy("a", 23100)
        serves(place, client, "a")
        leave(place, engine, other, client)


# ---- a live session's run_id ----

@both
def test_the_same_client_takes_its_session_over(place, mux):
    moved = (A[0], A[1], 23102)  # deployed again, at another port
    with place.counted(0), place.app(mux=mux).login() as old:
        old.proxy("a", 23100)
        with place.app(moved, mux=mux).login(run_id=old.run_id) as new:
            old.wait_end()
            new.proxy("a", 23102)
            leave(place, new)
    for make in (place.client, place.engine):
        with place.counted(0), make(mux=mux).login() as old:
            with make(mux=mux).login(run_id=old.run_id) as new:
                old.wait_end()
                new.pinged()
                leave(place, new)


THIEVES = {
    "another app": lambda place, mux: place.app(B, mux),
    "another container of the app": lambda place, mux: place.app(("nc_app_x_a", "a", 23100), mux),
    "the shared key": lambda place, mux: place.client(mux=mux),
    "an engine": lambda place, mux: place.engine(mux=mux),
}


@both
@pytest.mark.parametrize("thief", THIEVES)
def test_nobody_else_takes_an_apps_session_over(place, thief, mux):
    with place.app(mux=mux).login() as client:
        client.proxy("a", 23100)
        with THIEVES[thief](place, mux) as other, place.counted(1):
            reply = other.try_login(run_id=client.run_id)
            assert reply["error"] == "the run_id is that of another client's session"
            assert not reply.get("run_id")
        serves(place, client, "a")
        leave(place, client)


def test_nobody_else_takes_over_a_session_of_the_key_or_of_an_engine(place):
    with place.client().login() as shared, place.engine().login() as engine:
        for mine, thieves in ((shared, (place.app(), place.engine(), place.client(SHARED_KEY, "other"))),
                              (engine, (place.app(), place.client(), place.engine(name="harp.engine.two")))):
            for thief in thieves:
                with thief, place.counted(1):
                    assert "run_id" in thief.try_login(run_id=mine.run_id)["error"]
            mine.pinged()
        leave(place, shared, engine)


# ---- work connections of their own, with tcpMux off ----

def test_a_work_connection_needs_its_sessions_certificate(place):
    with place.app(mux=False).login() as client:
        client.proxy("a", 23100)
        for names in ((), (EVERYBODY,), ("nc_app_b",), (ENGINE,), ("nc_app_a", ENGINE)):
            with place.client(None, *names, mux=False) as other:
                with place.counted(1):
                    assert other.work(client.run_id).rest() == b""
                other.run_id = client.run_id
                with place.counted(1), RawClient(place.hub.http) as browser:
                    browser.get("/exapps/a/", b"Connection: close")
                    assert other.work().rest() == b""  # and is not given to whoever waits
                    answer(client, browser, b"of a")
        with place.counted(0):
            serves(place, client, "a")
        leave(place, client)


def test_an_apps_certificate_offers_nothing_to_a_session_of_the_key(place):
    with place.client(mux=False).login() as client:
        client.proxy("a", 23100)
        with place.app(B, mux=False) as other, place.counted(1):
            assert other.work(client.run_id).rest() == b""
        place.hub.wait_line("work connection closed", "certificate")
        with place.counted(0):
            serves(place, client, "a")
        leave(place, client)


def test_a_work_connection_of_an_unknown_session_is_no_failure(place):
    """The session may just have ended."""
    with place.app(mux=False) as client, place.counted(0):
        assert client.work("0123456789abcdef").rest() == b""


# ---- frp_accept_shared_key ----

def told(hub):
    return [line for line in hub.output().splitlines() if b"uses the shared key" in line]


def test_all_takes_the_shared_key_of_apps_and_tells_each_time(site):
    place = Place(site)
    for number in (1, 2):
        with place.client().login() as client:
            client.proxy("old", 23105)
            assert len(told(place.hub)) == number
            leave(place, client)
    line = told(place.hub)[0]
    for word in (b" warning ", b"proxy old ", b"port 23105", HERE.encode(), b"deploy the ExApp again",
                 b"HP_FRP_ACCEPT_SHARED_KEY=engines"):
        assert word in line, line
    with place.client().login() as client, place.app().login() as own, place.engine().login() as engine:
        client.proxy("docker", 24002)
        own.proxy("a", 23100)
        engine.proxy("docker1", ENGINE_PORT)
        leave(place, client, own, engine)
    assert len(told(place.hub)) == 2


def test_engines_keeps_the_shared_key_from_app_ports(site):
    place = Place(site, {"HP_FRP_ACCEPT_SHARED_KEY": "engines"})
    with place.counted(0), place.client().login() as client:
        for port in (23000, 23999, 0, 24100):
            error = client.try_proxy("a", port)["error"]
            assert error.startswith("port not allowed") and "HP_FRP_ACCEPT_SHARED_KEY" in error
        client.proxy("docker", 24002)
        leave(place, client)
    with place.counted(0), place.app().login() as own, place.engine().login() as engine:
        own.proxy("a", 23100)
        engine.proxy("docker1", ENGINE_PORT)
        leave(place, own, engine)
    with place.counted(1), place.client(WRONG_KEY) as client:
        assert client.try_login()["error"] == "Invalid token"


def test_none_takes_no_shared_key(site):
    place = Place(site, {"HP_FRP_ACCEPT_SHARED_KEY": "none"})
    with place.counted(0), place.client() as client:
        error = client.try_login()["error"]
        assert error.startswith("Invalid token") and "HP_FRP_ACCEPT_SHARED_KEY=none" in error
        assert client.control.stream.rest() == b""
    for token in (None, SHARED_KEY):
        with place.counted(0), place.engine(token).login() as engine:
            engine.proxy("docker1", ENGINE_PORT)
            leave(place, engine)
    with place.counted(0), place.app().login() as own:
        own.proxy("a", 23100)
        leave(place, own)
    with place.counted(1), place.client(WRONG_KEY) as client:
        assert client.try_login()["error"] == "Invalid token"


def test_none_without_tls_is_warned_about(site):
    hub = site.hub(app(), settings={**PLAIN, "HP_FRP_ACCEPT_SHARED_KEY": "none"})
    hub.wait_line("warning", "no Docker engine can log in")
    with FrpClient(hub, tls=False, token=app_token(*A)).login() as client:
        client.proxy("a", 23100)


# ---- without TLS, and without the CA's key ----

@both
def test_without_tls_the_token_alone_counts(site, mux):
    hub = site.hub(*APPS, settings={**PLAIN, "HP_BLACKLIST_WINDOW": "1h"})
    with FrpClient(hub, tls=False, mux=mux, token=app_token(*A)).login() as client:
        client.proxy("a", 23100)
        assert failures(hub) == 0
        with FrpClient(hub, tls=False, mux=mux, token=app_token(*B)) as other:
            assert "run_id" in other.try_login(run_id=client.run_id)["error"]
            assert not other.try_login().get("error")
            assert other.try_proxy("a", 23100)["error"].startswith("port not allowed")
        assert failures(hub) == 2
        client.pinged()
    with FrpClient(hub, tls=False, mux=mux, token=app_token(*A, key=WRONG_KEY)) as client:
        assert client.try_login()["error"] == "Invalid token"
    assert failures(hub) == 3


def test_a_real_client_logs_in_with_a_token(site):
    """As it stands in frpc.toml between quotes."""
    hub = site.hub(*APPS, settings={**PLAIN, "HP_FRP_ACCEPT_SHARED_KEY": "none"})
    origin = site.unix_origin(response(b"real"))
    site.tunnel(hub, origin.path, "a", 23100, tls=False, token=app_token(*A))
    assert fetch(hub.http, "/exapps/a/").body == b"real"


@pytest.fixture
def no_ca_key(site, tmp_path):
    """A place whose hub can't issue certificates, with some that were issued before."""
    first = Place(site, certs=tmp_path)
    made = {names: first.certificate(*names) for names in (("nc_app_a",), ("nc_app_b",), (ENGINE,))}
    first.hub.stop()
    shutil.move(tmp_path / "frp/ca.key", tmp_path / "ca.key")
    place = Place(site, certs=tmp_path)
    place.made = {(names, ()): pair for names, pair in made.items()}
    return place


def test_the_certificate_for_all_is_enough_for_a_token_when_none_can_be_issued(no_ca_key):
    for names in ((), ("nc_app_a",)):
        with no_ca_key.counted(0), no_ca_key.client(app_token(*A), *names).login() as client:
            client.proxy("a", 23100)
            leave(no_ca_key, client)
    for names in (("nc_app_b",), (ENGINE,)):
        with no_ca_key.counted(1), no_ca_key.client(app_token(*A), *names) as client:
            assert client.try_login()["error"]


# ---- a certificate that ends soon ----

@pytest.mark.parametrize("days,validity,warned", [
    (29, 5000, True), (31, 5000, False), (29, 60, False), (19, 60, True)])
def test_the_end_of_an_apps_certificate_is_told_at_its_login(site, days, validity, warned):
    place = Place(site, {"HP_FRP_CERT_VALIDITY_DAYS": validity})
    for name, token in (("nc_app_a", app_token(*A)), (ENGINE, None)):
        with FrpClient(place.hub, token=token, certificate=place.certificate(name, days=days)) as client:
            client.login().pinged()
    lines = [line for line in place.hub.output().splitlines() if b"the certificate" in line and
             b"ends on" in line]
    assert len(lines) == (2 if warned else 0), lines
    if warned:
        assert b" warning " in lines[0] and b"nc_app_a ends" in lines[0]
        assert b"deploy or update the ExApp again" in lines[0]
        assert ENGINE.encode() in lines[1]


# ---- whose requests go through whose tunnel ----

def test_a_request_for_one_app_never_goes_through_anothers_tunnel(place):
    """c's record names the port of a."""
    with place.app(A).login() as client:
        client.proxy("a", 23100)
        assert_hubs_own(place.get("c"), 503, "hop: tunnel",
                        "the tunnel at port 23100 is that of the ExApp a")
        serves(place, client, "a")
        assert_hubs_own(place.get("c"), 503, "hop: tunnel")
        # Nor does AppAPI's word lead there, or what it pushes.
        reply = fetch(place.hub.http, "/exapps/unheard/heartbeat", *appapi_fields("unheard", port=23100),
                      b"Connection: close")
        assert_hubs_own(reply, 503, "hop: tunnel", "ExApp a")
        push(place.hub, "pushed", port=23100)
        assert_hubs_own(place.get("pushed"), 503, "hop: tunnel", "ExApp a")
        assert control(place.hub, "DELETE", "/exapp_storage/pushed").status == 204
        leave(place, client)


def test_a_tunnel_of_the_shared_key_serves_whoever_has_its_port(place):
    with place.client().login() as client:
        client.proxy("a", 23100)
        serves(place, client, "a")
        serves(place, client, "c")
        leave(place, client)


def test_a_connection_kept_to_one_tunnel_is_not_used_for_the_next(place):
    with place.client().login() as shared, RawClient(place.hub.http) as browser:
        shared.proxy("a", 23100)
        browser.get("/exapps/c/")
        answer(shared, browser, b"kept", keep=True)
        leave(place, shared)
        with place.app(A).login() as own:
            own.proxy("a", 23100)
            browser.get("/exapps/c/")
            assert_hubs_own(browser.response(), 503, "hop: tunnel", "ExApp a")
            leave(place, own)


def test_ids_of_apps_are_compared_in_any_case_of_letters(site):
    place = Place(site, apps=(app("MyApp", 23100),))
    with place.app(("nc_app_MyApp", "MyApp", 23100)).login() as client:
        client.proxy("MyApp", 23100)
        serves(place, client, "MYAPP")
        leave(place, client)


def test_the_log_says_what_each_logged_in_with(place):
    with place.app().login(), place.engine().login(), place.client().login():
        place.hub.wait_line("logged in with the token of ExApp a (container nc_app_a)")
        place.hub.wait_line(f"logged in with the certificate {ENGINE}")
        place.hub.wait_line("logged in with the shared key")
