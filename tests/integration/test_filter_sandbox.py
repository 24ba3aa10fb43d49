"""What a running filter has given up, and that it still does its work: who it is, what it may write and read."""
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading

import pytest

from conftest import Site
from harness import RawClient, free_port, program_is_sanitized, run_program
from harness.authority import Authority, der_of
from harness.credentials import DSP_PASSWORD, DSP_USER, basic
from harness.fake_engine import FakeEngine
from harness.exapp_ports import exapp_origin, fresh_address, udp_at

UID, GID = 54321, 54312
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give up its rights")
pytestmark = as_root


@pytest.fixture
def site(certs):
    """As always, in a folder that every user can go through."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="harp-filter-"))
    folder.chmod(0o711)
    old = os.umask(0o022)
    site = Site(folder, certs)
    try:
        yield site
    finally:
        os.umask(old)
        site.close()
        shutil.rmtree(folder)


@pytest.fixture
def engine(site):
    """Its socket is for a group, as Docker's is."""
    engine = site.add(FakeEngine(site.socket_path()))
    os.chown(engine.path, 0, GID)
    os.chmod(engine.path, 0o660)
    return engine


def owned_folder(site, name, uid=UID):
    folder = site.folder / name
    folder.mkdir(mode=0o700)
    os.chown(folder, uid, uid)
    return folder


def status_of(process):
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return {name: value.split() for name, _, value in (line.partition(":") for line in text.splitlines())}


def landlock_abi():
    """Of this kernel; not above 0: it has none."""
    return ctypes.CDLL(None).syscall(444, None, 0, 1)


def served(port, authority):
    with RawClient(("127.0.0.1", port), authority.context(), "localhost") as client:
        assert client.ask("/_ping").status == 200
        return client.sock.getpeercert(binary_form=True)


def test_root_becomes_a_user_that_still_works(site, engine, tmp_path):
    authority = Authority(tmp_path)
    audit, sockets = owned_folder(site, "audit"), owned_folder(site, "sockets")
    sockets.chmod(0o755)
    cert, port = site.folder / "cert.pem", free_port()
    cert.write_bytes(authority.issue("filter", use="server").read_bytes())
    gate = site.filter(engine.path, settings={
        "user": UID, "audit": "required", "audit_folder": audit, "admin": f"unix:{sockets}/admin"},
        listeners=[f'{{ address = "unix:{sockets}/docker.sock"; policy = "appapi"; }}',
                   f'{{ address = "127.0.0.1:{port}"; policy = "appapi"; certificate = "{cert}"; }}'])
    gate.wait_line(f"sandbox user {UID}, group {UID} and {GID}, no capabilities, no new privileges, ")
    gate.wait_line("Landlock ABI" if landlock_abi() > 0 else "no Landlock")
    seccomp = not program_is_sanitized("harp-socket-filter")
    gate.wait_line("seccomp" if seccomp else "no seccomp (built with a sanitizer)")
    status = status_of(gate)
    assert status["Uid"] == [str(UID)] * 4 and status["Gid"] == [str(UID)] * 4
    assert status["Groups"] == [str(GID)]
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name][0], 16) == 0, name
    assert status["NoNewPrivs"] == ["1"] and status["Seccomp"] == ["2" if seccomp else "0"]
    assert status.get("Seccomp_filters", ["2"]) == ["2" if seccomp else "0"]
    # It serves, reads certificates again, and writes records.
    with RawClient(f"{sockets}/docker.sock") as client:
        assert client.ask("/version").status == 200
    assert served(port, authority) == der_of(cert)
    fresh = site.folder / "fresh.pem"
    fresh.write_bytes(authority.issue("filter", use="server").read_bytes())
    fresh.rename(cert)
    gate.signal(signal.SIGHUP)
    gate.wait_line("the certificate was read again")
    assert served(port, authority) == der_of(cert)
    gate.stop()
    assert not list(sockets.iterdir())  # the user's own folder
    done = run_program("harp-socket-filter", "audit", "verify", audit)
    assert done.returncode == 0, done
    shown = run_program("harp-socket-filter", "audit", "show", "--json", audit).stdout
    assert shown.count('"verdict":"passed"') == 3


def test_root_without_a_user_is_told(site, engine):
    gate = site.filter(engine.path)
    gate.wait_line("runs as root, without its capabilities; set user to one of its own")
    status = status_of(gate)
    assert status["Uid"] == ["0"] * 4 and int(status["CapEff"][0], 16) == 0
    with RawClient(gate.path) as client:
        assert client.ask("/_ping").status == 200


def test_a_named_user_is_found(site, engine):
    os.chmod(engine.path, 0o666)
    gate = site.filter(engine.path, settings={"user": "nobody", "admin": "off"},
                       listeners=[f'{{ address = "127.0.0.1:{free_port()}"; policy = "appapi"; }}'])
    assert status_of(gate)["Uid"] == ["65534"] * 4


def test_without_a_sandbox_all_is_kept_and_told(site, engine):
    gate = site.filter(engine.path, settings={"sandbox": "false"})
    gate.wait_line("warning sandbox off: this process keeps all its rights")
    status = status_of(gate)
    assert int(status["CapEff"][0], 16) != 0 and status["Seccomp"] == ["0"]
    assert status["NoNewPrivs"] == ["0"]
    with RawClient(gate.path) as client:
        assert client.ask("/_ping").status == 200


REFUSED = {
    "unknown user": ({"user": "no-such-user"}, "can't become user 'no-such-user': there is none of that name"),
    "root again": ({"user": "root"}, "can't become user 'root' to have fewer rights: that is root"),
    "user without a sandbox": ({"user": UID, "sandbox": "false"}, "user is set, but sandbox is false"),
    "no socket": ({"user": UID, "docker": "unix:/etc/passwd"}, "/etc/passwd is no socket; name that of the engine"),
    "audit folder of another": ({"user": UID, "audit": "on", "audit_folder": "/"}, "this program's user must own the folder"),
    "no audit folder": ({"audit": "on", "audit_folder": "/no/such"}, "the audit folder /no/such can't be opened"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_not_be_done_ends_the_start(site, engine, case):
    settings, expected = REFUSED[case]
    sockets = owned_folder(site, "sockets")
    with pytest.raises(AssertionError, match=expected):
        site.filter(engine.path, settings={"admin": "off", **settings},
                    listeners=[f'{{ address = "unix:{sockets}/x"; policy = "appapi"; }}'])
    site.things[-1].expect_end(1)


def test_user_that_can_not_use_the_engine_is_told(site, engine):
    os.chmod(engine.path, 0o600)
    with pytest.raises(AssertionError, match=f"user '{UID}' can't use the engine's socket .*let the socket's group"):
        site.filter(engine.path, settings={"user": UID, "admin": "off"},
                    listeners=[f'{{ address = "127.0.0.1:{free_port()}"; policy = "appapi"; }}'])
    site.things[-1].expect_end(1)


def test_key_that_the_user_can_not_read_is_told(site, engine, tmp_path):
    authority = Authority(tmp_path)
    cert, port = site.folder / "cert.pem", free_port()
    cert.write_bytes(authority.issue("filter", use="server").read_bytes())
    cert.chmod(0o600)
    gate = site.filter(engine.path, settings={"user": UID, "admin": "off"}, listeners=[
        f'{{ address = "127.0.0.1:{port}"; policy = "appapi"; certificate = "{cert}"; }}'])
    gate.wait_line(f"user {UID} can't read {cert}: a renewed one is not used before a restart")
    gate.signal(signal.SIGHUP)
    gate.wait_line("the certificate in use is kept", "Permission denied")
    assert served(port, authority) == der_of(cert)


def test_more_folders_than_the_sandbox_keeps_are_told(site, engine):
    paths = [site.folder / f"folder-{i}" for i in range(70)]
    for path in paths:
        path.mkdir()
    with pytest.raises(AssertionError, match="in more than 64 folders"):
        site.filter(engine.path, listeners=[f'{{ address = "unix:{path}/x"; policy = "appapi"; }}'
                                            for path in paths])
    site.things[-1].expect_end(1)


# ---- names of hosts, inside ----

class NameServer:
    """Answers every question for an IPv4 address with that of the ExApps, from a loopback address of its own."""

    def __init__(self, answer):
        self.answer, self.names = socket.inet_aton(answer), []
        self.address = fresh_address()
        self.sock = udp_at(self.address, 53)
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def _serve(self):
        while True:
            try:
                asked, peer = self.sock.recvfrom(512)
            except OSError:
                return
            end = asked.index(b"\0", 12) + 5
            kind, = struct.unpack(">H", asked[end - 4:end - 2])
            self.names.append(asked[12:end - 5])
            found = kind == 1
            head = asked[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, found, 0, 0)
            record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + self.answer
            self.sock.sendto(head + asked[12:end] + (record if found else b""), peer)


@pytest.mark.skipif(subprocess.run(["/usr/bin/unshare", "-m", "true"], capture_output=True,
                                   check=False).returncode != 0, reason="no mounts of its own can be had")
@pytest.mark.parametrize("name", ["exapps.test.example", "exapps-host"])
def test_exapps_are_found_by_name_inside(site, engine, tmp_path, name):
    """By a name server, and in the list of hosts. What the filter finds in /etc is the test's own; the name
    server's address stands in a file that is reached by a link, as with systemd."""
    authority = Authority(tmp_path)
    cert, etc, bind = site.folder / "cert.pem", site.folder / "etc", fresh_address()
    cert.write_bytes(authority.issue("filter", use="server").read_bytes())
    etc.mkdir()
    with exapp_origin(fresh_address()) as origin, NameServer(origin.address) as server:
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n{origin.address} exapps-host\n")
        (etc / "nsswitch.conf").write_text("hosts: files dns\n")
        (etc / "resolv.real").write_text(f"nameserver {server.address}\n")
        (etc / "resolv.conf").symlink_to(site.folder / "etc-real/resolv.real")
        (site.folder / "etc-real").mkdir()
        (etc / "resolv.real").rename(site.folder / "etc-real/resolv.real")
        gate = site.filter(
            engine.path, listeners=(), settings={"admin": "off", "user": UID},
            launcher=["/usr/bin/unshare", "-m", "/bin/sh", "-c",
                      f'mount --bind "{etc}" /etc && exec "$@"', "sh"],
            env={"NC_HAPROXY_PASSWORD": DSP_PASSWORD, "BIND_ADDRESS": bind, "DSP_CERTIFICATE": str(cert),
                 "EX_APPS_NET": name, "EX_APPS_COUNT": "10"})
        tls = authority.context()
        tls.check_hostname = False
        with RawClient((bind, origin.port), tls) as client:
            answer = client.ask("/hello", b"Authorization: " + basic(DSP_USER, DSP_PASSWORD).encode())
            assert (answer.status, answer.body) == (200, b"ok"), answer
        assert bool(server.names) == (name != "exapps-host")
        gate.stop()
