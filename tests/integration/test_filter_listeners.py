"""The socket filter's listeners: who may come in at each, and which policy counts then."""
import base64
import grp
import os
import pathlib
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import tempfile

import pytest

from conftest import open_site
from harness import RawClient, free_port, wait_for
from harness.authority import Authority, der_of, fingerprint
from harness.credentials import FILTER_PASSWORD, FILTER_USER, WRONG_PASSWORD, basic
from harness.fake_engine import FakeEngine
from harness.programs import PYTHON

GID, UID = 54312, 54321
GOOD = basic(FILTER_USER, FILTER_PASSWORD)
CLOSED = (ssl.SSLError, OSError, EOFError)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")

# A call that only this policy of the tests' lets pass.
SIGNS = {"appapi": ("POST", "/images/create?fromImage=alpine&tag=1"), "read-only": ("GET", "/networks")}


def policy_at(client):
    """The policy that judges this connection."""
    passed = [name for name, (method, target) in SIGNS.items()
              if client.ask(target, method=method).status != 403]
    assert len(passed) == 1, passed
    return passed[0]


def authorization(value):
    return b"Authorization: " + value.encode()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def clients(authority):
    """Files of client certificates by what they are for."""
    return {"named": authority.issue("monitor.example"),
            "second name": authority.issue("Other", "monitor.example"),
            "first name": authority.issue("monitor.example", "Other"),
            "dns": authority.issue("Somebody", dns=["else.example", "Deploy.Example"]),
            "print": authority.issue("Ünnamed"),
            "stranger": authority.issue("stranger")}


class Front:
    """One filter with many listeners, for all tests that leave nothing behind."""

    def __init__(self, site, authority, clients):
        self.authority = authority
        self.engine = site.add(FakeEngine(site.socket_path()))
        self.paths = {name: site.socket_path() for name in ("basic", "tls")}
        self.ports = {name: free_port() for name in ("tcp", "tls", "split", "mutual", "default")}
        server = authority.issue("filter", use="server")
        cert, key = authority.issue("filter", use="server", split=True)
        (site.folder / "password").write_text(FILTER_PASSWORD + "\n")
        mutual = (f'certificate = "{server}"; client_ca = "{authority.crt}"; certificates = ( '
                  '{ name = "monitor.example"; policy = "read-only"; }, '
                  '{ name = "deploy.example"; policy = "appapi"; }, '
                  f'{{ name = "{fingerprint(clients["print"]).upper().replace("SHA", "sha")}"; '
                  'policy = "read-only"; } );')
        self.filter = site.filter(self.engine.path, listeners=[
            '{ address = "unix:{path}"; policy = "appapi"; }',
            f'{{ address = "127.0.0.1:{self.ports["tcp"]}"; policy = "read-only"; }}',
            f'{{ address = "unix:{self.paths["basic"]}"; policy = "appapi"; user = "{FILTER_USER}"; '
            f'password_file = "{site.folder}/password"; }}',
            f'{{ address = "unix:{self.paths["tls"]}"; policy = "read-only"; certificate = "{server}"; }}',
            f'{{ address = "127.0.0.1:{self.ports["tls"]}"; policy = "appapi"; certificate = "{server}"; }}',
            f'{{ address = "127.0.0.1:{self.ports["split"]}"; policy = "read-only"; '
            f'certificate = "{cert}"; key = "{key}"; }}',
            f'{{ address = "127.0.0.1:{self.ports["mutual"]}"; {mutual} }}',
            f'{{ address = "127.0.0.1:{self.ports["default"]}"; policy = "appapi"; {mutual} }}'])

    def tcp(self, name, client=None, **kwargs):
        return RawClient(("127.0.0.1", self.ports[name]), self.authority.context(client, **kwargs),
                         "localhost")


@pytest.fixture(scope="module")
def front(tmp_path_factory, certs, authority, clients):
    site = open_site(tmp_path_factory, certs, "front")
    try:
        yield Front(site, authority, clients)
    finally:
        site.close()


# ---- each its own policy ----

def test_each_listener_has_its_policy(front):
    with RawClient(front.filter.path) as client:
        assert policy_at(client) == "appapi"
    with RawClient(("127.0.0.1", front.ports["tcp"])) as client:
        assert policy_at(client) == "read-only"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_is_spoken(front, version):
    with front.tcp("tls", version=version) as client:
        assert policy_at(client) == "appapi"


def test_tls_is_spoken_at_a_unix_socket(front):
    with RawClient(front.paths["tls"], front.authority.context(), "localhost") as client:
        assert policy_at(client) == "read-only"


def test_key_may_be_a_file_of_its_own(front):
    with front.tcp("split") as client:
        assert policy_at(client) == "read-only"


def test_no_word_is_understood_without_tls(front):
    arrived = front.engine.arrived()
    with RawClient(("127.0.0.1", front.ports["tls"])) as client:
        client.get("/_ping")
        assert not client.rest().startswith(b"HTTP")
    assert front.engine.arrived() == arrived


# ---- client certificates ----

@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("listener, client, policy", [
    ("mutual", "named", "read-only"), ("default", "named", "read-only"),
    ("mutual", "second name", "read-only"), ("mutual", "first name", None),
    ("mutual", "dns", "appapi"), ("mutual", "print", "read-only"), ("default", "print", "read-only"),
    ("mutual", "stranger", None), ("default", "stranger", "appapi")])
def test_policy_is_that_of_the_certificate(front, clients, listener, client, policy, version):
    if policy:
        with front.tcp(listener, clients[client], version=version) as connection:
            assert policy_at(connection) == policy
    else:
        with pytest.raises(CLOSED):
            with front.tcp(listener, clients[client], version=version) as connection:
                connection.ask("/_ping")


def bad_clients(authority, folder):
    other = Authority(folder, "Test Authority")  # of the same name
    return {"none": None, "of another authority": other.issue("monitor.example"),
            "expired": authority.issue("monitor.example", begins=-9, ends=-1),
            "not valid yet": authority.issue("monitor.example", begins=3, ends=9),
            "for servers": authority.issue("monitor.example", use="server")}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_bad_certificates_end_the_handshake(front, authority, tmp_path, version):
    arrived = front.engine.arrived()
    for why, client in bad_clients(authority, tmp_path).items():
        for listener in ("mutual", "default"):
            with pytest.raises(CLOSED):
                with front.tcp(listener, client, version=version) as connection:
                    answer = connection.ask("/_ping")
                    pytest.fail(f"a client certificate {why} got {answer}")
    assert front.engine.arrived() == arrived


def test_log_names_the_certificate(front, clients):
    with front.tcp("mutual", clients["named"]) as client:
        client.ask("/secrets")
    front.filter.wait_line("monitor.example:", "refused")
    with front.tcp("mutual", clients["print"]) as client:
        client.ask("/secrets")
    front.filter.wait_line(fingerprint(clients["print"]) + ":", "refused")


def test_log_names_the_local_user(front):
    with RawClient(front.filter.path) as client:
        client.ask("/secrets")
    front.filter.wait_line(f"uid {os.geteuid()}:", "refused")


# ---- passwords ----

TOKEN = GOOD.removeprefix("Basic ")
assert TOKEN.endswith("=") and not TOKEN.endswith("==")


def token(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


SPELLINGS = {
    "right": ([GOOD], 200), "scheme in small letters": (["basic " + TOKEN], 200),
    "scheme in capitals": (["BASIC " + TOKEN], 200), "spaces around": ([f"  {GOOD} \t"], 200),
    "none": ([], 401), "empty": ([""], 401), "scheme alone": (["Basic"], 401), "no token": (["Basic "], 401),
    "wrong password": ([basic(FILTER_USER, WRONG_PASSWORD)], 401),
    "wrong user": ([basic("nobody", FILTER_PASSWORD)], 401),
    "user alone": ([token(FILTER_USER)], 401), "no user": ([token(":" + FILTER_PASSWORD)], 401),
    "password to the colon": ([basic(FILTER_USER, FILTER_PASSWORD.partition(":")[0])], 401),
    "one byte more": ([basic(FILTER_USER, FILTER_PASSWORD + "x")], 401),
    "a NUL more": ([basic(FILTER_USER, FILTER_PASSWORD + "\0")], 401),
    "other letters": ([basic(FILTER_USER, FILTER_PASSWORD.upper())], 401),
    "right twice": ([GOOD, GOOD], 401), "right and wrong": ([GOOD, basic("a", "b")], 401),
    "wrong and right": ([basic("a", "b"), GOOD], 401), "right and another scheme": ([GOOD, "Bearer x"], 401),
    "two in one": ([f"{GOOD}, {GOOD}"], 401), "another scheme": (["Bearer " + TOKEN], 401),
    "no scheme": ([TOKEN], 401), "no space": (["Basic" + TOKEN], 401),
    "a tab between": (["Basic\t" + TOKEN], 401), "two spaces between": (["Basic  " + TOKEN], 401),
    "four more spaces between": (["Basic     " + TOKEN], 401),
    "no padding": ([GOOD.rstrip("=")], 401), "more padding": ([GOOD + "===="], 401),
    "padding in the middle": (["Basic " + TOKEN[:-4] + "====" + TOKEN[-4:]], 401),
    "bits in the padding": (["Basic " + TOKEN[:-2] + chr(ord(TOKEN[-2]) + 1) + "="], 401),
    "dashes behind": ([GOOD + "----"], 401), "something behind": ([GOOD + " x=1"], 401),
    "a line break": (["Basic " + TOKEN[:8] + "\\n  " + TOKEN[8:]], 401),
    "base64url": ([token("~~~???").replace("+", "-").replace("/", "_")], 401),
    "no base64": (["Basic " + "*" * 48], 401), "nothing but padding": (["Basic ===="], 401),
    "long": ([token("x" * 1080)], 401), "longer": ([token("x" * 1090)], 401),
    "as long as a field may be": (["Basic " + "QUFB" * 2000], 401),
}


@pytest.mark.parametrize("case", SPELLINGS)
def test_one_spelling_of_the_password_is_right(front, case):
    values, status = SPELLINGS[case]
    with RawClient(front.paths["basic"]) as client:
        answer = client.ask("/_ping", *map(authorization, values))
        assert answer.status == status
        if status == 401:
            assert answer.head.get("WWW-Authenticate") == 'Basic realm="AppAPI"'
            assert answer.body == b'{"message":"wrong or no credentials"}\n'
        assert client.ask("/_ping", authorization(GOOD)).status == 200  # the connection is good still


def test_credentials_do_not_reach_the_engine(front):
    front.engine.calls.clear()
    with RawClient(front.paths["basic"]) as client:
        assert client.ask("/version", authorization(GOOD)).status == 200
    call, = front.engine.asked("GET", "/version")
    assert not call.head.has("Authorization")


def test_longest_password_works_and_its_beginning_does_not(site):
    engine = site.add(FakeEngine(site.socket_path()))
    password, user = "p" * 1024, "u" * 64
    gate = site.filter(engine.path, listeners=[
        f'{{ address = "unix:{{path}}"; policy = "appapi"; user = "{user}"; password = "{password}"; }}'])
    with RawClient(gate.path) as client:
        assert client.ask("/_ping", authorization(basic(user, password))).status == 200
        for n in (446, 447, 448, 500, 1023):
            assert client.ask("/_ping", authorization(basic(user, password[:n]))).status == 401


# ---- bans ----

@pytest.fixture
def guarded(site):
    """A listener that closes its door after three wrong passwords; (filter, address)."""
    engine = site.add(FakeEngine(site.socket_path()))
    port = free_port()
    gate = site.filter(engine.path, settings={"ban_count": 3, "ban_window": "1h"}, listeners=[
        f'{{ address = "127.0.0.1:{port}"; policy = "appapi"; user = "{FILTER_USER}"; '
        f'password = "{FILTER_PASSWORD}"; }}'])
    return gate, ("127.0.0.1", port)


def ping(address, source, value=GOOD):
    with RawClient(address, source=source) as client:
        return client.ask("/_ping", authorization(value)).status


def answered(client):
    try:
        return client.response().status == 200
    except EOFError:
        return False


def assert_shut(address, source):
    """Closed, and not a word of it."""
    with RawClient(address, source=source) as client:
        client.get("/_ping", authorization(GOOD))
        client.assert_closed()


def test_address_is_shut_out_after_its_failures_and_no_other(guarded):
    gate, address = guarded
    assert ping(address, "127.0.0.9") == 200
    for _ in range(3):
        assert ping(address, "127.0.0.9", basic(FILTER_USER, WRONG_PASSWORD)) == 401
    for _ in range(2):
        assert_shut(address, "127.0.0.9")
    assert ping(address, "127.0.0.10") == 200
    gate.wait_line("127.0.0.9", "banned")


def test_guesses_on_one_connection_count_as_well(guarded):
    _gate, address = guarded
    with RawClient(address, source="127.0.0.9") as idle, RawClient(address, source="127.0.0.9") as client:
        assert idle.ask("/_ping", authorization(GOOD)).status == 200
        for last in (False, False, True):
            answer = client.ask("/_ping", authorization(basic(FILTER_USER, WRONG_PASSWORD)))
            assert answer.status == 401
            assert (answer.head.get("Connection") == "close") == last
        client.assert_closed()
        idle.get("/_ping", authorization(GOOD))
        idle.assert_closed()
    assert_shut(address, "127.0.0.9")


def test_guesses_in_one_packet_get_no_more_answers_than_others(guarded):
    _gate, address = guarded
    guess = b"GET /_ping HTTP/1.1\r\nHost: x\r\n" + authorization(basic("a", "b")) + b"\r\n\r\n"
    with RawClient(address, source="127.0.0.9") as client:
        client.send(guess * 10)
        assert client.rest().count(b"HTTP/1.1 401") == 3


def test_ban_ends_with_its_window(site):
    engine = site.add(FakeEngine(site.socket_path()))
    port = free_port()
    site.filter(engine.path, settings={"ban_count": 1, "ban_window": "1s"}, listeners=[
        f'{{ address = "127.0.0.1:{port}"; policy = "appapi"; user = "{FILTER_USER}"; '
        f'password = "{FILTER_PASSWORD}"; }}'])
    address = ("127.0.0.1", port)
    assert ping(address, "127.0.0.9", "Basic eDp5") == 401

    def open_again():
        with RawClient(address, source="127.0.0.9") as client:
            client.get("/_ping", authorization(GOOD))
            return answered(client)

    wait_for(open_again, what="the ban to end", pause=0.1)


# ---- unix sockets ----

@pytest.fixture
def open_folder():
    """A folder that every user can go through, as pytest's own are not."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="harp-filter-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def connect_as(path, uid, gid):
    """What happens to a process of that user that connects: an errno, 0 for success."""
    code = ("import socket, sys\ns = socket.socket(socket.AF_UNIX)\n"
            "print(s.connect_ex(sys.argv[1]))")
    done = subprocess.run([PYTHON, "-c", code, path], user=uid, group=gid, extra_groups=[], check=True,
                          capture_output=True, text=True)
    return int(done.stdout)


def rights(path):
    at = os.stat(path)
    return stat.S_ISSOCK(at.st_mode), stat.S_IMODE(at.st_mode), at.st_gid


@as_root
def test_sockets_are_for_those_whom_they_are_given_to(site, open_folder):
    engine = site.add(FakeEngine(site.socket_path()))
    paths = {name: open_folder / name for name in ("own", "group", "all of a group", "nobody")}
    old = os.umask(0o077)  # takes nothing from a mode that is asked for
    try:
        site.filter(engine.path, listeners=[
            f'{{ address = "unix:{paths["own"]}"; policy = "appapi"; }}',
            f'{{ address = "unix:{paths["group"]}"; policy = "appapi"; file_mode = "0660"; group = "{GID}"; }}',
            f'{{ address = "unix:{paths["all of a group"]}"; policy = "appapi"; file_mode = "770"; '
            'group = "daemon"; }',
            f'{{ address = "unix:{paths["nobody"]}"; policy = "appapi"; file_mode = "0000"; }}'])
    finally:
        os.umask(old)
    daemon = grp.getgrnam("daemon").gr_gid
    assert rights(paths["own"]) == (True, 0o600, 0)
    assert rights(paths["group"]) == (True, 0o660, GID)
    assert rights(paths["all of a group"]) == (True, 0o770, daemon)
    assert rights(paths["nobody"]) == (True, 0, 0)
    assert connect_as(paths["own"], UID, UID) == 13
    assert connect_as(paths["group"], UID, UID) == 13
    assert connect_as(paths["group"], UID, GID) == 0
    assert connect_as(paths["all of a group"], UID, daemon) == 0
    assert connect_as(paths["own"], 0, 0) == 0


@pytest.mark.parametrize("group", ["no-such-group", "-1", "4294967295", "+1", "1x"])
def test_unknown_group_ends_the_start(site, group):
    with pytest.raises(AssertionError, match="there is no group"):
        site.filter(site.socket_path(), listeners=[
            f'{{ address = "unix:{{path}}"; policy = "appapi"; group = "{group}"; }}'])
    site.things[-1].expect_end(1)


def test_socket_left_by_a_dead_process_is_replaced_and_removed_at_the_end(site):
    engine = site.add(FakeEngine(site.socket_path()))
    path = site.socket_path()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    gate = site.filter(engine.path, listeners=[f'{{ address = "unix:{path}"; policy = "appapi"; }}'])
    with RawClient(path) as client:
        assert client.ask("/_ping").status == 200
    assert gate.admin.exists()
    gate.stop()
    assert not path.exists() and not gate.admin.exists()


def test_socket_left_by_a_killed_filter_is_replaced(site):
    engine = site.add(FakeEngine(site.socket_path()))
    listeners = [f'{{ address = "unix:{site.socket_path()}"; policy = "appapi"; }}']
    site.filter(engine.path, listeners=listeners).kill()
    gate = site.filter(engine.path, listeners=listeners)
    with RawClient(listeners[0].split('"')[1].removeprefix("unix:")) as client:
        assert client.ask("/_ping").status == 200
    assert gate.running()


@pytest.mark.parametrize("kind", ["file", "folder", "in use"])
def test_what_is_no_dead_socket_stays(site, kind):
    path = site.socket_path()
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        site.add(FakeEngine(path))
    with pytest.raises(AssertionError, match="can't listen at"):
        site.filter(site.socket_path(), listeners=[f'{{ address = "unix:{path}"; policy = "appapi"; }}'])
    site.things[-1].expect_end(1)
    assert path.exists() and (kind != "file" or path.read_text() == "precious")


# ---- certificates that are renewed ----

def served(address, authority):
    """The certificate that a new connection sees."""
    with RawClient(address, authority.context(), "localhost") as client:
        return client.sock.getpeercert(binary_form=True)


@pytest.fixture
def renewing(site, authority):
    """A filter whose certificate is a link, as ACME clients make them: (filter, addresses, link)."""
    engine = site.add(FakeEngine(site.socket_path()))
    live, archive = site.folder / "live", site.folder / "archive"
    live.mkdir()
    archive.mkdir()
    link = live / "cert.pem"
    renew(authority, link, archive, 1)
    ports = [free_port(), free_port()]
    gate = site.filter(engine.path, listeners=[
        f'{{ address = "127.0.0.1:{port}"; policy = "appapi"; certificate = "{link}"; }}' for port in ports])
    return gate, [("127.0.0.1", port) for port in ports], link


def renew(authority, link, archive, number):
    path = archive / f"cert{number}.pem"
    path.write_bytes(authority.issue("filter", use="server").read_bytes())
    fresh = link.with_suffix(".new")
    fresh.symlink_to(path)
    fresh.rename(link)
    return der_of(path)


def test_renewed_certificate_is_used_from_the_next_connection_on(renewing, authority):
    gate, addresses, link = renewing
    old = der_of(link)
    assert [served(at, authority) for at in addresses] == [old, old]
    with RawClient(addresses[0], authority.context(), "localhost") as client:
        for count in (1, 2):
            new = renew(authority, link, link.parent.parent / "archive", count + 1)
            gate.signal(signal.SIGHUP)
            gate.wait_line("the certificate was read again", count=count)
            assert [served(at, authority) for at in addresses] == [new, new]
        assert client.ask("/_ping").status == 200


@pytest.mark.parametrize("broken", ["nothing", "text", "without a key", "gone"])
def test_broken_certificate_is_not_used(renewing, authority, broken):
    gate, addresses, link = renewing
    old = der_of(link)
    if broken == "gone":
        link.unlink()
    else:
        text = {"nothing": b"", "text": b"no certificate",
                "without a key": authority.issue("filter", use="server", split=True)[0].read_bytes()}
        link.resolve().write_bytes(text[broken])
    gate.signal(signal.SIGHUP)
    gate.wait_line("the certificate in use is kept", "cert.pem")
    assert [served(at, authority) for at in addresses] == [old, old]


def test_renewed_authority_decides_about_new_clients(site, authority, tmp_path):
    engine = site.add(FakeEngine(site.socket_path()))
    other = Authority(tmp_path, "Other Authority")
    port, ca = free_port(), site.folder / "ca.pem"
    ca.write_bytes(authority.crt.read_bytes())
    server = authority.issue("filter", use="server")
    gate = site.filter(engine.path, listeners=[
        f'{{ address = "127.0.0.1:{port}"; policy = "appapi"; certificate = "{server}"; client_ca = "{ca}"; }}'])
    clients = [authority.issue("a"), other.issue("a")]

    def let_in(client):
        try:
            with RawClient(("127.0.0.1", port), authority.context(client), "localhost") as connection:
                return connection.ask("/_ping").status == 200
        except CLOSED:
            return False

    assert [let_in(client) for client in clients] == [True, False]
    ca.write_bytes(other.crt.read_bytes())
    gate.signal(signal.SIGHUP)
    gate.wait_line("the certificate was read again")
    assert [let_in(client) for client in clients] == [False, True]


@pytest.mark.parametrize("setting, text", [
    ("certificate", ""), ("certificate", "no certificate"), ("key", "no key"), ("client_ca", "no authority")])
def test_unusable_file_ends_the_start_with_its_name(site, authority, setting, text):
    files = {"certificate": authority.issue("filter", use="server"), "key": "", "client_ca": authority.crt}
    files["key"] = files["certificate"]
    files[setting] = site.folder / "broken.pem"
    files[setting].write_text(text)
    group = "".join(f'{name} = "{path}"; ' for name, path in files.items())
    with pytest.raises(AssertionError, match=r"listener 127\.0\.0\.1:\d+: .*broken\.pem"):
        site.filter(site.socket_path(), listeners=[
            f'{{ address = "127.0.0.1:{free_port()}"; policy = "appapi"; {group} }}'])
    site.things[-1].expect_end(1)


# ---- limits ----

def test_more_clients_than_allowed_are_closed(site):
    engine = site.add(FakeEngine(site.socket_path()))
    gate = site.filter(engine.path, settings={"max_connections": 2})
    with RawClient(gate.path) as first, RawClient(gate.path) as second:
        assert first.ask("/_ping").status == second.ask("/_ping").status == 200
        with RawClient(gate.path) as third:
            third.assert_closed()
        second.close()

        def room():
            with RawClient(gate.path) as again:
                again.get("/_ping")
                return answered(again)

        wait_for(room, what="room for another client")


def test_handshake_that_stalls_is_cut(site, authority):
    port = free_port()
    server = authority.issue("filter", use="server")
    site.filter(site.socket_path(), settings={"handshake_timeout": "1s"}, listeners=[
        f'{{ address = "127.0.0.1:{port}"; policy = "appapi"; certificate = "{server}"; }}'])
    with RawClient(("127.0.0.1", port)) as client:
        client.send(bytes.fromhex("16030102000100"))
        client.rest()
