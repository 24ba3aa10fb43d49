"""The container images: what is in them, and how they run on a Docker engine."""
import hashlib
import io
import json
import os
import shutil
import signal
import socketserver
import struct
import subprocess
import tarfile
import threading
import time

import pytest

from harness import RawOrigin, control, fetch, response
from harness.credentials import SHARED_KEY
from harness.deploy import LOCAL_ENGINE, Daemon
from harness.docker_engine import DockerEngine
from harness.deploy_host import IMAGES, USER, VERSION, build_images, open_host

QUICK = ("--health-interval", "200ms", "--health-retries", "1")
CONFINED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
# As in the compose files: all of them are given up at the start.
FILTER_CAPABILITIES = [part for name in ("CHOWN", "DAC_OVERRIDE", "SETGID", "SETPCAP", "SETUID")
                       for part in ("--cap-add", name)]
FOLDERS = {"harp-hub": {"certs"}, "harp-tunnel-client": {"run/harp-tunnel-client"},
           "harp-socket-filter": {"run/harp-socket-filter", "var/lib/harp-socket-filter/audit"},
           "harp-audit-ship": set()}
BESIDE_LIBRARIES = {"etc/passwd", "etc/group", "etc/nsswitch.conf", "etc/ssl/certs/ca-certificates.crt"}
# HaRP's start script leaves these in /certs/frp; openssl makes keys with mode 0600.
HARPS_FILES = ("ca.key", "ca.crt", "ca.srl", "server-openssl.cnf", "server.key", "server.csr",
               "server.crt", "client-openssl.cnf", "client.key", "client.csr", "client.crt")


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    host = open_host(tmp_path_factory.mktemp("deploy"))
    try:
        yield host
    finally:
        host.close()


@pytest.fixture(autouse=True)
def no_container_stays(host):
    yield
    host.engine.clean()


@pytest.fixture
def nextcloud(host):
    with host.nextcloud() as nextcloud:
        yield nextcloud


def run_hub(host, nextcloud, *words, name="appapi-harp"):
    """HaRP's documented line, with these words in front of the image."""
    host.run("-e", f"HP_SHARED_KEY={SHARED_KEY}", "-e", f"NC_INSTANCE_URL={nextcloud.url}",
             "--name", name, "-h", name, "--restart", "unless-stopped", "-p", "8780:8780",
             "-p", "8782:8782", *words, "harp-hub")
    return name


class DocumentedHub:
    """What Daemon asks of a hub, at the documented port."""
    http, key = ("127.0.0.1", 8780), SHARED_KEY

    def ping_engine(self, host):
        return Daemon(self, host.api, LOCAL_ENGINE).gate("v1.41/_ping")


def run_filter(host, socket, *words):
    host.run("--name", "filter", "-v", f"{socket}:/var/run/docker.sock", *CONFINED,
             *FILTER_CAPABILITIES, *words, "harp-socket-filter")
    host.wait_log("filter", "ready")
    return "filter"


def frpc_toml(folder, certs="/certs/frp"):
    """As HaRP's manual has it, for Docker's socket behind the filter."""
    file = folder / "frpc.toml"
    file.write_text(f"""serverAddr = "{DockerEngine.gateway}"
serverPort = 8782
loginFailExit = false
transport.tls.enable = true
transport.tls.certFile = "{certs}/client.crt"
transport.tls.keyFile = "{certs}/client.key"
transport.tls.trustedCaFile = "{certs}/ca.crt"
transport.tls.serverName = "harp.nc"
metadatas.token = "{SHARED_KEY}"
[[proxies]]
remotePort = 24001
name = "docker-host"
type = "tcp"
[proxies.plugin]
type = "unix_domain_socket"
unixPath = "/var/run/docker.sock"
""")
    return file


def run_client(host, folder, certs, *words):
    host.run("--name", "client", "-v", f"{frpc_toml(folder)}:/etc/frpc.toml", "-v", f"{certs}:/certs",
             *CONFINED, *words, "harp-tunnel-client", "-c=/etc/frpc.toml")
    return "client"


def assert_confined(host, name, groups=""):
    said = host.kernel_says(name)
    assert said["Uid"].split() == said["Gid"].split() == [str(USER)] * 4
    assert [group for group in said["Groups"].split() if group != str(USER)] == groups.split()
    assert [said[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")] == ["0" * 16] * 5
    assert (said["NoNewPrivs"], said["Seccomp"]) == ("1", "2")


# ---- what is in them ----

@pytest.fixture(scope="module")
def contents(host):
    """contents(name): the files of an image, as {path without / in front: TarInfo}."""
    def of(name):
        with tarfile.open(host.folder / "image" / f"{name}.tar") as outer:
            layer = outer.extractfile("layer.tar").read()
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            return {entry.name.removeprefix("./"): entry for entry in tar if entry.name != "."}
    return of


def test_the_same_programs_make_the_same_bytes(host, tmp_path):
    printed = build_images(tmp_path, DOCKER_HOST=f"unix://{tmp_path}/nobody")
    for name in IMAGES:
        sums = [hashlib.sha256((folder / f"{name}.tar").read_bytes()).hexdigest()
                for folder in (host.folder / "image", tmp_path)]
        assert sums[0] == sums[1], name
    assert "docker load -i" in printed


def test_sizes_are_printed_and_all_are_loaded_under_both_names(host):
    images = host.api.images()
    for name in IMAGES:
        line, = [line for line in host.printed.splitlines() if line.startswith(f"{name}.tar")]
        assert "KiB, the program" in line
        assert images[f"{name}:{VERSION}"] == images[f"{name}:latest"]


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_holds_a_program_its_libraries_and_no_more(contents, name):
    files = contents(name)
    own = {path for path, entry in files.items() if (entry.uid, entry.gid) != (0, 0)}
    assert own == FOLDERS[name] and all(files[path].uid == files[path].gid == USER for path in own)
    for path, entry in files.items():
        assert entry.isdir() or entry.isreg(), path
        assert entry.mode & 0o7022 == 0 and entry.mtime == 0, (path, oct(entry.mode))
    regular = {path for path, entry in files.items() if entry.isreg()}
    rest = regular - BESIDE_LIBRARIES - {f"usr/bin/{name}"}
    assert BESIDE_LIBRARIES < regular and f"usr/bin/{name}" in regular
    assert [path for path in rest if not path.startswith(("lib/", "lib64/", "usr/lib/"))
            or ".so" not in path] == []


@pytest.mark.parametrize("name", IMAGES)
def test_a_program_finds_its_libraries_in_its_image(host, name):
    assert host.docker.good("run", "--rm", "--network", "none", *CONFINED, name, "--version") \
        == f"{name} {VERSION}"


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_says_what_it_is_and_how_it_is_run(host, name):
    config = host.api.image(f"{name}:latest")["Config"]
    label = "org.opencontainers.image."
    assert config["Labels"] == {f"{label}title": name, f"{label}version": VERSION,
                                f"{label}licenses": "Apache-2.0"}
    assert config["Entrypoint"] == [f"/usr/bin/{name}"] and config["StopSignal"] == "SIGTERM"
    health = (config.get("Healthcheck") or {}).get("Test")
    assert health == (["CMD", f"/usr/bin/{name}", "--health"] if name != "harp-audit-ship" else None)
    starts_as_root = name in ("harp-hub", "harp-socket-filter")
    assert config["User"] == ("" if starts_as_root else f"{USER}:{USER}")
    if name == "harp-hub":
        assert set(config["ExposedPorts"]) == {"8780/tcp", "8781/tcp", "8782/tcp"}
        assert set(config["Volumes"]) == {"/certs"}


# ---- HaRP's own line ----

@pytest.fixture(scope="module")
def harps_folder(tmp_path_factory):
    """What HaRP's start script makes, as root, in /certs/frp."""
    frp = tmp_path_factory.mktemp("harp") / "frp"
    frp.mkdir()

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=frp, check=True, capture_output=True, umask=0o022)

    openssl("genrsa", "-out", "ca.key", "2048")
    openssl("req", "-x509", "-new", "-nodes", "-key", "ca.key", "-subj", "/CN=harp.nc", "-days", "5000",
            "-out", "ca.crt")
    for which, name in (("server", "harp.nc"), ("client", "harp.client.nc")):
        (frp / f"{which}-openssl.cnf").write_text(
            f"[ req ]\nprompt = no\ndistinguished_name = dn\nreq_extensions = req_ext\n[ dn ]\n"
            f"CN = {name}\n[ req_ext ]\nsubjectAltName = DNS:{name}\n")
        openssl("genrsa", "-out", f"{which}.key", "2048")
        openssl("req", "-new", "-sha256", "-key", f"{which}.key", "-subj", f"/CN={name}", "-config",
                f"{which}-openssl.cnf", "-out", f"{which}.csr")
        openssl("x509", "-req", "-days", "5000", "-sha256", "-in", f"{which}.csr", "-CA", "ca.crt",
                "-CAkey", "ca.key", "-CAcreateserial", "-extfile", f"{which}-openssl.cnf",
                "-extensions", "req_ext", "-out", f"{which}.crt")
    assert sorted(os.listdir(frp)) == sorted(HARPS_FILES)
    return frp


@pytest.fixture
def harps_certs(harps_folder, tmp_path):
    """A copy of it, which a test may change."""
    certs = tmp_path / "certs"
    shutil.copytree(harps_folder, certs / "frp")
    return certs


def test_harps_docker_run_works_unchanged_with_harps_certificates(host, nextcloud, harps_certs):
    before = {name: (harps_certs / "frp" / name).read_bytes() for name in HARPS_FILES}
    hub = run_hub(host, nextcloud, "-v", f"{host.engine.socket}:/var/run/docker.sock",
                  "-v", f"{harps_certs}:/certs")
    log = host.wait_log(hub, "ready")
    assert_confined(host, hub, groups=str(os.stat(host.engine.socket).st_gid))
    assert f"rights user {USER}, group {USER} and " in log
    assert "they could not use: 4\n" in log  # three keys, and their folder
    assert DocumentedHub().ping_engine(host).text == "OK"
    assert {name: (harps_certs / "frp" / name).read_bytes() for name in HARPS_FILES} == before
    assert SHARED_KEY not in log


def test_without_a_docker_socket_it_serves_all_the_same(host, nextcloud, tmp_path):
    hub = run_hub(host, nextcloud, "-v", f"{tmp_path}/certs:/certs")
    host.wait_log(hub, "ready")
    assert_confined(host, hub)
    assert control(DocumentedHub(), "GET", "/heartbeat").status == 200
    assert "no socket at HP_DOCKER_SOCKET" in DocumentedHub().ping_engine(host).text
    assert sorted(os.listdir(tmp_path / "certs/frp")) == ["ca.crt", "ca.key", "client.crt", "client.key",
                                                          "server.crt", "server.key"]


def test_a_folder_of_ours_serves_another_start_and_root_again(host, nextcloud, tmp_path):
    """Twice the same folder, then with the image's user given up, which is as HaRP reads it."""
    for words in ((), (), ("-e", "HP_USER=")):
        hub = run_hub(host, nextcloud, "-v", f"{tmp_path}/certs:/certs", *words)
        log = host.wait_log(hub, "ready")
        host.remove(hub)
    assert "made a CA" not in log


def test_the_hub_runs_as_that_user_from_the_start_with_nothing_it_could_write(host, nextcloud):
    hub = run_hub(host, nextcloud, "--user", f"{USER}:{USER}", *CONFINED)
    host.wait_log(hub, "ready")
    assert_confined(host, hub)
    assert control(DocumentedHub(), "GET", "/heartbeat").status == 200
    assert host.docker.good("diff", hub) == ""


def ends_with(host, nextcloud, *words):
    """The last line of a hub that can't start with these."""
    run_hub(host, nextcloud, "--restart", "no", *words, name="harp-wrong")
    code, log = host.wait_end("harp-wrong")
    assert code == 1
    return log.splitlines()[-1]


def test_what_a_plain_user_may_not_read_or_write_is_told_with_the_remedy(host, nextcloud, harps_certs):
    plain = ("--user", f"{USER}:{USER}")
    line = ends_with(host, nextcloud, *plain, "-v", f"{harps_certs}:/certs")
    assert "/certs/frp/" in line and ".key: cannot be read: Permission denied" in line
    assert f"let user {USER} read it (chown {USER})" in line
    empty = harps_certs.parent / "empty"
    empty.mkdir(mode=0o755)
    host.remove("harp-wrong")
    line = ends_with(host, nextcloud, *plain, "-v", f"{empty}:/certs")
    assert f"let user {USER} write to HP_CERTS_DIR: chown it" in line
    host.remove("harp-wrong")
    line = ends_with(host, nextcloud, "-v", f"{empty}:/certs:ro")
    assert "mount HP_CERTS_DIR to be written to" in line and "Read-only file system" in line


def test_a_socket_of_a_group_that_was_not_joined_is_told_with_the_remedy(host, nextcloud, tmp_path):
    path = tmp_path / "engine.sock"
    with RawOrigin(path=path, answer=response(b"OK")):
        os.chown(path, 0, 4242)
        os.chmod(path, 0o660)
        words = ("--user", f"{USER}:{USER}", "-v", f"{path}:/var/run/docker.sock")
        hub = run_hub(host, nextcloud, *words)
        host.wait_log(hub, "ready")
        reply = DocumentedHub().ping_engine(host)
        assert reply.status == 503 or reply.status == 502
        for word in ("Permission denied", f"the hub is user {USER}", "group 4242", "--group-add 4242",
                     "group_add"):
            assert word in reply.text, reply.text
        host.remove(hub)
        host.wait_log(run_hub(host, nextcloud, *words, "--group-add", "4242"), "ready")
        assert DocumentedHub().ping_engine(host).text == "OK"


# ---- names ----

class Names(socketserver.ThreadingUDPServer):
    """A name server for one name."""
    daemon_threads = True

    def __init__(self, name, address):
        self.question = b"".join(bytes([len(part)]) + part for part in name.encode().split(b".")) + b"\0"
        self.address = bytes(map(int, address.split(".")))
        super().__init__((DockerEngine.gateway, 53), self.Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *more):
        self.shutdown()
        super().__exit__(*more)

    class Answer(socketserver.BaseRequestHandler):
        def handle(self):
            data, sock = self.request
            end = 12 + len(self.server.question)
            known = data[12:end].lower() == self.server.question
            kind, = struct.unpack(">H", data[data.index(b"\0", 12) + 1:][:2])
            found = known and kind == 1
            head = data[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, found, 0, 0)
            body = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + self.server.address if found else b""
            sock.sendto(head + data[12:data.index(b"\0", 12) + 5] + body, self.client_address)


@pytest.mark.parametrize("by", ["dns", "hosts"])
def test_names_are_resolved_in_the_container(host, nextcloud, by):
    """The hub asks Nextcloud by name, about an app that it does not know yet."""
    nextcloud.add_app("named", port=23900, routes=(("^/.*", 0),))
    gateway = host.engine.gateway
    url = nextcloud.url.replace(gateway, "nextcloud.test")
    words = ("--dns", gateway) if by == "dns" else ("--add-host", f"nextcloud.test:{gateway}")
    with Names("nextcloud.test", gateway):
        hub = run_hub(host, nextcloud, "-e", f"NC_INSTANCE_URL={url}", *words)
        host.wait_log(hub, "ready")
        # Whoever asks has no part in it: nobody listens at that ExApp's port.
        assert "no tunnel offers port 23900" in fetch(DocumentedHub.http, "/exapps/named/page").text
    assert [call.app for call in nextcloud.calls] == ["named"]


# ---- how they live ----

def stop(host, name):
    """Its exit code, and the seconds that `docker stop` took."""
    began = time.monotonic()
    host.docker.good("stop", name)
    return host.api.inspect(name)["State"]["ExitCode"], time.monotonic() - began


def assert_ends_well(host, name):
    code, seconds = stop(host, name)
    assert code == 0 and seconds < 8, (code, seconds, host.log(name))


def test_the_hub_is_healthy_until_it_hangs_and_ends_on_sigterm(host, nextcloud):
    hub = run_hub(host, nextcloud, *QUICK, *CONFINED, "--user", f"{USER}:{USER}", "--health-timeout", "1s")
    assert host.health(hub) == "starting"
    host.wait_health(hub, "healthy")
    os.kill(host.pid(hub), signal.SIGSTOP)
    host.wait_health(hub, "unhealthy")
    os.kill(host.pid(hub), signal.SIGCONT)
    host.wait_health(hub, "healthy")
    assert_ends_well(host, hub)


def test_the_filter_gives_up_all_and_is_healthy_as_long_as_the_engine(host, tmp_path):
    path = tmp_path / "engine.sock"
    origin = RawOrigin(path=path, answer=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")  # to a HEAD
    os.chmod(path, 0o660)
    os.chown(path, 0, 4242)
    name = run_filter(host, path, *QUICK)
    assert_confined(host, name, groups="4242")
    host.wait_health(name, "healthy")
    origin.close()
    host.wait_health(name, "unhealthy")
    assert_ends_well(host, name)


def test_the_filter_runs_as_a_plain_user_in_the_sockets_group(host):
    name = run_filter(host, host.engine.socket, "--user", f"{USER}:{USER}", "--group-add",
                      os.stat(host.engine.socket).st_gid, *QUICK)
    host.wait_health(name, "healthy")


def test_the_client_is_healthy_as_long_as_the_hub(host, nextcloud, harps_certs):
    """HaRP's documented line for a Docker host, with the engine's socket mounted and its group joined."""
    hub = run_hub(host, nextcloud, "-v", f"{harps_certs}:/certs")
    host.wait_log(hub, "ready")
    group = os.stat(host.engine.socket).st_gid
    name = run_client(host, harps_certs.parent, harps_certs, *QUICK, "--group-add", group,
                      "-v", f"{host.engine.socket}:/var/run/docker.sock")
    host.wait_health(name, "healthy")
    assert_confined(host, name, groups=str(group))
    daemon = Daemon(DocumentedHub(), host.api, 24001)
    assert daemon.gate("v1.41/_ping").text == "OK"
    host.remove(hub)
    host.wait_health(name, "unhealthy")
    assert_ends_well(host, name)


def test_records_are_written_to_a_volume_and_shipped_by_the_other_image(host):
    name = run_filter(host, host.engine.socket, "-e", "HP_FILTER_AUDIT=required", "-v",
                      "records:/var/lib/harp-socket-filter/audit", *QUICK)
    host.wait_health(name, "healthy")
    assert_ends_well(host, name)
    host.run("--name", "ship", *CONFINED, "-v", "records:/var/lib/harp-socket-filter/audit",
             "-e", "HP_AUDIT_ENDPOINT=http://127.0.0.1:9", "-e", "HP_AUDIT_BUCKET=records",
             "-e", "HP_AUDIT_ACCESS_KEY=key", "-e", "HP_AUDIT_SECRET_KEY=secret-of-storage",
             "harp-audit-ship", "--once")
    code, log = host.wait_end("ship")
    assert (code, "ship stopped" in log) == (0, True), log
