"""A remote Docker host by deploy/install-tunnel-client.sh: installed, used, changed, cut off its power,
uninstalled. The units it installs are run by a stand-in for systemd (harness/service_manager.py); the
machine's network is a cable to the hub's.

The tests follow each other as an administrator's days do.
"""
import json
import os
import re
import shlex
import shutil

import pytest

from conftest import open_site
from harness import BUILD, TunnelClient, leaked
from harness.authority import Authority
from harness.certificates import EVERYBODY, issue
from harness.credentials import RECORDED_KEY
from harness.docker_host import HOST_ADDRESS, HUB, HUB_ADDRESS, NAME, PORT, SCRIPT, docker_host
from harness.wait import wait_for

OTHER = 24002
OWN = ("harp-socket-filter", "harp-tunnel-client")
NOTHING = "install-tunnel-client.sh: nothing was changed"
UNCHANGED = "nothing was changed: all of it was as these arguments say"


@pytest.fixture(scope="module")
def host(tmp_path_factory, certs):
    with docker_host(tmp_path_factory.mktemp("docker-host"),
                     open_site(tmp_path_factory, certs, "docker-host-site"), certs) as host:
        host.before = host.machine.files()
        yield host


def good(done):
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert leaked((done.stdout + done.stderr).encode()) == []
    return done.stdout


def steps(text):
    """What a run says it did."""
    head, _, rest = text.partition(":\n")
    return [row.strip() for row in rest.split("waiting for the hub")[0].splitlines()]


def assert_mistake(host, done, *words):
    """One line with these words, and all as it was."""
    assert done.returncode == 1, done
    *lines, last = done.stderr.splitlines()
    assert len(lines) == 1 and last == NOTHING and done.stdout == "", done
    for word in words:
        assert word in lines[0], (word, lines[0])


# ---- mistakes ----

@pytest.mark.parametrize("changes, words", [
    ({"hub": None}, ["--hub is missing", "--hub hub.example.com:8782"]),
    ({"hub": "http://hub.example.com"}, ["--hub", "is no host and port", "without http://"]),
    ({"hub": f"{HUB_ADDRESS}:87820"}, ["--hub", "is no host and port"]),
    ({"hub": "no-such-hub.invalid"}, ["no-such-hub.invalid can't be resolved", "/etc/resolv.conf"]),
    ({"hub": f"{HUB_ADDRESS}:8783"}, ["nothing listens at", "8783", "start the hub"]),
    ({"hub": "203.0.113.7:8782"}, ["can't be reached", "a way to that address"]),
    ({"hub": f"{HUB_ADDRESS}:8780"}, ["does not answer as a hub's tunnel port", "8782"]),
    ({"name": None}, ["--name is missing"]),
    ({"name": "host 1"}, ["--name", "letters, digits and . - _"]),
    ({"name": "n" * 53}, ["--name", "more than 52 letters"]),
    ({"port": None}, ["--port is missing", "24001 to 24099"]),
    ({"port": 24000}, ["--port: 24000 is for the engine on the hub's own host"]),
    ({"port": 24100}, ["--port: '24100'", "24001 to 24099"]),
    ({"port": "2400l"}, ["--port: '2400l'"]),
    ({"certs": "/nowhere"}, ["--certs: there is no folder /nowhere", "copy it"]),
], ids=lambda value: None if isinstance(value, list) else "-".join(map(str, *value.items())))
def test_a_wrong_argument_is_one_line_with_the_remedy(host, changes, words):
    assert_mistake(host, host.install(**changes), *words)
    assert host.machine.files() == host.before


@pytest.mark.parametrize("more, words", [
    (["--with", "openrc"], ["--with: 'openrc' is neither systemd nor compose"]),
    (["--from", "/nowhere"], ["there is no /nowhere/harp-"]),
    (["--wait", "0"], ["--wait: '0'", "1 to 600"]),
    (["--docker-socket", "docker.sock"], ["--docker-socket", "does not begin with /"]),
    (["--docker-socket", "/run/none.sock"], ["no Docker socket at /run/none.sock", "start Docker"]),
    (["--docker-socket", "/etc/passwd"], ["/etc/passwd is no socket"]),
    (["--nextcloud-url", "cloud.example.com"], ["--nextcloud-url", "https://cloud.example.com"]),
    (["--harp-address", "http://hub:8780"], ["--harp-address", "hub.example.com:8780"]),
    (["--images", "/tmp"], ["--images is for --with compose"]),
    (["--key-file", "/etc/hostname"], ["--key-file", "needs no shared key"]),
], ids=lambda value: value[0])
def test_a_wrong_option_is_one_line_with_the_remedy(host, more, words):
    done = host.install(*more)
    if more[0] == "--from":
        assert done.returncode == 1 and NOTHING in done.stderr
        assert done.stderr.count("--from: there is no /nowhere/harp-") == 2
    else:
        assert_mistake(host, done, *words)
    assert host.machine.files() == host.before


@pytest.mark.parametrize("arguments, word", [
    (["--prot", "24001"], "'--prot' is no option"), (["--port"], "--port needs a value")])
def test_what_is_no_option_is_wrong_usage(host, arguments, word):
    done = host.machine.run(SCRIPT, *arguments)
    assert done.returncode == 2 and word in done.stderr and "--help" in done.stderr, done


def test_wrong_certificates_are_told_apart(host, tmp_path):
    def folder(pair=None, **replaced):
        """The good folder, but for the pair, or some of the files: their bytes, or None for gone."""
        made = tmp_path / str(len(os.listdir(tmp_path)))
        shutil.copytree(host.keys, made)
        if pair:
            replaced = {"client_crt": pair[0].read_bytes(), "client_key": pair[1].read_bytes()}
        for name, content in replaced.items():
            (made / name.replace("_", ".")).unlink()
            if content is not None:
                (made / name.replace("_", ".")).write_bytes(content)
        return made

    def issued(name, **kwargs):
        return folder(issue(host.certs, tmp_path, name, **kwargs))

    foreign = Authority(tmp_path)
    cases = [
        (folder(client_key=None), ["client.key is missing", "copy all three"]),
        (folder(client_crt=b"rubbish"), ["client.crt is no certificate"]),
        (folder(client_key=b"rubbish"), ["client.key is no private key"]),
        (folder(client_key=issue(host.certs, tmp_path, "other")[1].read_bytes()),
         ["client.key is not the key of"]),
        (folder(ca_crt=foreign.crt.read_bytes()), ["is not signed by the CA in"]),
        (folder(foreign.issue(f"harp.engine.{NAME}", split=True), ), ["is not signed by the CA in"]),
        (issued(f"harp.engine.{NAME}", days=-0.02), ["client.crt expired", f"certificate {NAME} DIR"]),
        (issued("harp.engine.docker-host-2"), ["of the Docker host 'docker-host-2', not of 'docker-host-1'",
                                               "--name docker-host-2"]),
        (issued("nc_app_sample"), ["an ExApp's own", f"certificate {NAME} DIR"]),
        (issued(EVERYBODY), ["the shared key is needed", "--key-file FILE", f"certificate {NAME} DIR"]),
    ]
    for certs, words in cases:
        assert_mistake(host, host.install(certs=certs), *words)
    assert host.machine.files() == host.before


def test_certificates_of_another_hub_are_told(host, tmp_path):
    """They fit each other, but not the hub."""
    foreign = Authority(tmp_path)
    crt, key = foreign.issue(f"harp.engine.{NAME}", split=True)
    folder = tmp_path / "folder"
    folder.mkdir()
    for source, name in ((foreign.crt, "ca.crt"), (crt, "client.crt"), (key, "client.key")):
        shutil.copy(source, folder / name)
    assert_mistake(host, host.install(certs=folder), f"the certificate that {HUB} shows is not from the CA")


def test_programs_for_another_machine_are_told(host, tmp_path):
    for name in OWN:
        text = bytearray((BUILD / name).read_bytes())
        text[18:20] = (243).to_bytes(2, "little")  # RISC-V
        (tmp_path / name).write_bytes(text)
        (tmp_path / name).chmod(0o755)
    done = host.install("--from", tmp_path)
    assert done.returncode == 1 and done.stderr.count("is no program for this machine") == 2, done
    assert host.machine.files() == host.before


def test_without_root_nothing_is_done(host):
    """The script itself may lie where others can't read it, so this is a copy."""
    copy = host.machine.folder / "etc/harp-script"
    shutil.copytree(SCRIPT.parent / "installer", copy / "installer")
    shutil.copy(SCRIPT, copy)
    done = host.machine.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                            "/etc/harp-script/install-tunnel-client.sh", "--uninstall")
    shutil.rmtree(copy)
    assert_mistake(host, done, "needs root: run it with sudo")


def test_a_dry_run_says_what_would_be_done_and_does_nothing(host):
    text = good(host.install("--dry-run"))
    assert "what would be done on this machine (systemd):" in text
    for word in ("make the user harp-filter", "make the user harp-tunnel", "make the group harp",
                 "write /usr/local/bin/harp-tunnel-client", "write /etc/harp/certs/client.key",
                 "write /etc/harp/filter.cfg", "write /etc/systemd/system/harp-tunnel-client.service",
                 "enable the unit harp-socket-filter", "start the unit harp-tunnel-client"):
        assert f"would {word}" in text, text
    assert host.machine.files() == host.before


def test_a_run_that_breaks_off_says_so_and_can_be_undone(host, tmp_path):
    (tmp_path / "useradd").write_text("#!/bin/sh\necho 'useradd: cannot lock /etc/passwd' >&2\nexit 1\n")
    (tmp_path / "useradd").chmod(0o755)
    done = host.install(path=[tmp_path])
    assert done.returncode == 1 and "group harp" in done.stdout, done
    assert "cannot lock /etc/passwd" in done.stderr and "it broke off" in done.stderr
    assert "run the same command again" in done.stderr and "--uninstall" in done.stderr
    assert host.machine.files() != host.before
    good(host.uninstall())
    assert host.machine.files() == host.before


# ---- installed ----

@pytest.fixture(scope="module")
def installed(host):
    """The output of the first run that had all it needs."""
    text = good(host.install())
    yield text


def test_it_is_installed_and_the_hub_comes_through(host, installed):
    for word in ("ok  filter", "ok  tunnel   logged in at 198.51.100.1:8782", "ok  port     24001",
                 "ok  way back"):
        assert word in installed, installed
    row = host.wait_engine()
    assert row[0] == NAME and row[1].startswith(HOST_ADDRESS), row


def test_rights_are_the_least(host, installed):
    machine = host.machine
    assert machine.run("stat", "-c", "%a %U:%G", "/etc/harp/certs/client.key").stdout == \
        "640 root:harp-tunnel\n"
    assert "docker" not in machine.run("id", "-Gn", "harp-tunnel").stdout.split()
    names = {}
    for unit in OWN:
        status = machine.run("cat", f"/proc/{machine.main_pid(unit)}/status").stdout
        names[unit] = re.search(r"^Uid:\t(\d+)", status, re.MULTILINE).group(1)
        groups = re.search(r"^Groups:\t(.*)$", status, re.MULTILINE).group(1).split()
        docker = machine.run("getent", "group", "docker").stdout.split(":")[2]
        assert (docker in groups) == (unit == "harp-socket-filter"), (unit, groups, docker)
    assert "0" not in names.values() and len(set(names.values())) == 2


def test_it_says_what_to_tell_appapi(host, installed):
    """As AppAPI's form names the fields, and as its command has its arguments."""
    for label, value in (("Name", NAME), ("HaRP host", "HARP_ADDRESS"), ("HaRP shared key", "SHARED_KEY"),
                         ("Nextcloud URL", "NEXTCLOUD_URL"), ("FRP server address", HUB),
                         ("Docker socket proxy port", str(PORT)), ("Disable FRP", "off"),
                         ("Docker network", "host"), ("Compute device", "CPU")):
        assert re.search(rf"^  {label} +{re.escape(value)}$", installed, re.MULTILINE), (label, installed)
    for word in ("SHARED_KEY", "HARP_ADDRESS", "NEXTCLOUD_URL"):
        assert re.search(rf"^  {word} +\S+", installed, re.MULTILINE), word
    words = shlex.split(installed[installed.index("php occ"):].split("\n\n")[0].replace("\\\n", " "))
    assert words == ["php", "occ", "app_api:daemon:register", NAME, NAME, "docker-install", "http",
                     "HARP_ADDRESS", "NEXTCLOUD_URL", "--net=host", "--harp", f"--harp_frp_address={HUB}",
                     "--harp_shared_key=SHARED_KEY", f"--harp_docker_socket_port={PORT}",
                     "--compute_device=cpu"]


def test_a_second_run_changes_nothing_and_says_so(host, installed):
    files, numbers = host.machine.files(), main_pids(host)
    text = good(host.install("--nextcloud-url", "https://cloud.example.com", "--harp-address",
                             "hub.example.com:8780"))
    assert steps(text) == [UNCHANGED] and "ok  way back" in text
    assert "docker-install http 'hub.example.com:8780' 'https://cloud.example.com'" in text
    assert "NEXTCLOUD_URL" not in text and "HARP_ADDRESS" not in text
    assert (host.machine.files(), main_pids(host)) == (files, numbers)


def main_pids(host):
    return [host.machine.main_pid(unit) for unit in OWN]


# ---- used ----

def deploy(host, port=PORT):
    """AppAPI's recorded calls put an app there, and it answers."""
    for exchange, reply in host.play("app-register", port):
        assert reply.status == exchange["response"]["status"], (exchange["seq"], reply)
    assert host.api.status("nc_app_testapp") == "running"


def remove(host, port=PORT):
    for exchange, reply in host.play("app-unregister-rm-data", port):
        assert reply.status == exchange["response"]["status"], (exchange["seq"], reply)
    assert host.api.containers() == [] and host.api.volumes() == []


def test_appapi_deploys_and_removes_an_app_there(host, installed):
    deploy(host)
    remove(host)


def test_a_forbidden_call_is_refused_by_hub_and_filter(host, installed):
    with host.near.entered():
        reply = host.daemon().gate("v1.41/containers/json")
    assert reply.status == 403 and "refused by policy" in reply.text, reply
    # Who broke into the hub asks past it; here, who is in the group harp asks the filter itself.
    done = host.machine.run("setpriv", "--reuid=harp-tunnel", "--regid=harp-tunnel", "--groups=harp",
                            "curl", "-sS", "--unix-socket", "/run/harp-socket-filter/docker.sock", "-d",
                            json.dumps({"Image": "x", "HostConfig": {"Privileged": True}}), "-H",
                            "Content-Type: application/json",
                            "http://docker/v1.41/containers/create?name=nc_app_x")
    assert "refused by policy: containers/create: HostConfig.Privileged is not allowed" in done.stdout, done
    done = host.machine.run("setpriv", "--reuid=harp-tunnel", "--regid=harp-tunnel", "--groups=harp",
                            "curl", "-sS", "--unix-socket", "/var/run/docker.sock", "http://docker/_ping")
    assert "ermission denied" in done.stderr or done.returncode == 7, done


@pytest.mark.parametrize("reverse", [False, True], ids=["docker-first", "docker-last"])
def test_after_a_power_cut_all_works_with_no_hand(host, installed, reverse):
    """The app that was deployed before it, too."""
    deploy(host)
    count = len(host.hub.output().splitlines())
    host.reboot(reverse)
    for port in (PORT, 23000):
        wait_for(lambda port=port: any(b"offers port %d" % port in row for row
                                       in host.hub.output().splitlines()[count:]),
                 30, f"the tunnel for {port} to be there again", pause=0.05)
    host.wait_engine()
    remove(host)


def test_a_program_that_died_is_started_again(host, installed):
    before = main_pids(host)
    for number in before:
        host.machine.kill(number)
    wait_for(lambda: all(now and now not in before for now in main_pids(host)), 30,
             "both units to run again", pause=0.1)
    host.wait_engine()
    assert steps(good(host.install())) == [UNCHANGED]


# ---- changed ----

def test_another_port_changes_just_that(host, installed):
    files, numbers = host.machine.files(), main_pids(host)
    text = good(host.install(port=OTHER))
    assert steps(text) == ["file /etc/harp/tunnel.cfg",
                           "unit harp-tunnel-client reads its settings again"], text
    assert f"ok  port     {OTHER}" in text and main_pids(host) == numbers
    now = host.machine.files()
    assert {name for name in now if now[name] != files.get(name)} == {"etc/harp/tunnel.cfg",
                                                                      "etc/harp/installed"}
    host.wait_engine(OTHER)
    assert PORT not in host.engines()
    deploy(host, OTHER)
    remove(host, OTHER)
    good(host.install())
    assert host.machine.files() == files


def test_an_edit_by_hand_stays_while_nothing_new_is_to_be_written(host, installed):
    path = host.machine.folder / "etc/harp/filter.cfg"
    text = path.read_text()
    path.write_text(text + 'log_level = "debug";\n')
    try:
        said = good(host.install())
        assert "/etc/harp/filter.cfg was edited by hand and stays so" in said
        assert path.read_text().endswith('log_level = "debug";\n')
    finally:
        path.write_text(text)


def test_the_certificate_that_all_have_needs_the_shared_key(host, installed, tmp_path):
    """As in a folder that HaRP made."""
    numbers = main_pids(host)
    key = tmp_path / "key"
    key.write_text(RECORDED_KEY + "\n")
    text = good(host.install("--key-file", key, certs=host.certs / "frp"))
    assert steps(text) == ["file /etc/harp/certs/client.crt", "file /etc/harp/certs/client.key",
                           "file /etc/harp/tunnel_shared_key", "file /etc/harp/tunnel.cfg",
                           "unit harp-tunnel-client restarted"], text
    assert RECORDED_KEY not in host.machine.log("harp-tunnel-client")
    now = main_pids(host)
    assert now[0] == numbers[0] and now[1] != numbers[1]
    key.write_text("another-key-than-the-hubs\n")
    done = host.install("--key-file", key, "--wait", "2", certs=host.certs / "frp")
    assert_wrong(done, "login", "Invalid token", "HP_SHARED_KEY")
    assert "another-key" not in done.stdout + done.stderr
    text = good(host.install())
    assert "removed /etc/harp/tunnel_shared_key" in text
    assert "etc/harp/tunnel_shared_key" not in host.machine.files()


# ---- hops that fail ----

def assert_wrong(done, hop, *words):
    assert done.returncode == 1, done
    assert f"WRONG at hop: {hop}\n" in done.stderr, done
    for word in words:
        assert word in done.stderr, (word, done.stderr)
    assert "it is installed and keeps trying" in done.stderr and "AppAPI" not in done.stdout


def test_a_taken_port_is_told(host, installed):
    folder = host.certificate("docker-host-3", host.folder / "keys-3")
    certs = host.folder / "certs-3"
    certs.mkdir()
    (certs / "frp").symlink_to(folder)
    with host.near.entered():
        other = TunnelClient(host.folder / "other", 8782, [("docker-host-3", OTHER, ("127.0.0.1", 9))],
                             certs=certs)
        try:
            other.ready()
            done = host.install("--wait", "1", port=OTHER)
        finally:
            other.stop()
    assert_wrong(done, "port", "port unavailable", "another --port")
    good(host.install())


def test_an_engine_that_is_silent_is_told(host, installed):
    host.machine.kill(host.machine.main_pid("docker"))  # its socket stays
    try:
        assert_wrong(host.install("--wait", "1"), "engine", "answered 503", "start Docker")
    finally:
        host.machine.run("rm", "/run/docker.sock", "/run/docker.pid")
        host.machine.systemctl("start", "docker")
        host.wait_docker()
    assert steps(good(host.install())) == [UNCHANGED]


def test_a_filter_that_does_not_start_is_told(host, installed):
    path = host.machine.folder / "etc/harp/filter.cfg"
    text = path.read_text()
    path.write_text("nonsense = 1;\n")
    host.machine.systemctl("stop", "harp-socket-filter")
    done = host.install()
    path.write_text(text)
    assert done.returncode == 1 and "the unit harp-socket-filter does not start" in done.stderr, done
    assert "nonsense" in done.stderr and "it broke off" in done.stderr
    assert steps(good(host.install())) == ["unit harp-socket-filter started"]


def test_a_hub_that_asked_before_the_filter_was_there_asks_again(host, installed):
    for unit in OWN:
        host.machine.systemctl("stop", unit)
    host.machine.systemctl("start", "harp-tunnel-client")
    wait_for(lambda: "No such file" in host.machine.run(
        "harp-tunnel-client", "-c", "/etc/harp/tunnel.cfg", "status").stdout, what="the hub to ask", pause=0.1)
    text = good(host.install())
    assert steps(text) == ["unit harp-socket-filter started"] and "ok  way back" in text


# ---- gone ----

def test_uninstalled_nothing_is_left(host, installed):
    said = good(host.uninstall("--dry-run"))
    assert "would remove the user harp-tunnel" in said and main_pids(host) != [0, 0]
    good(host.uninstall())
    assert host.machine.files() == host.before
    assert [name for name in host.machine.processes().values() if name.startswith("harp")] == []
    assert host.machine.run("find", "/run", "-name", "harp*").stdout == ""
    for name in ("harp-filter", "harp-tunnel"):
        assert host.machine.run("getent", "passwd", name).returncode == 2
    wait_for(lambda: host.engines() == {}, what="the hub to see that it is gone", pause=0.05)
    assert "nothing that this script installed is here" in good(host.uninstall())


# ---- installed otherwise ----

# As a package has them; what is there at other times lies below.
PACKAGES = """
mkdir /run/packages
mount -t tmpfs tmpfs /run/packages
for folder in bin lib/systemd/system; do
    mkdir -p /run/packages/$folder /run/packages/work/$folder
    mount -t overlay -o lowerdir=/usr/$folder,upperdir=/run/packages/$folder,workdir=/run/packages/work/$folder \
        overlay /usr/$folder
done
for name in harp-socket-filter harp-tunnel-client; do
    install -m 755 "$1/$name" /usr/bin
    install -m 644 "$2/systemd/$name.service" /usr/lib/systemd/system
done
groupadd --system harp
useradd --system --gid harp harp-tunnel-user-of-the-package
install -D -m 644 "$2/examples/tunnel.cfg" /etc/harp/tunnel.cfg
"""


def test_programs_of_packages_are_used_where_they_are(host):
    """Their settings come back when it is gone, and what is theirs stays."""
    done = host.machine.run("sh", "-ec", PACKAGES, "sh", BUILD, SCRIPT.parent)
    assert done.returncode == 0, done
    before = host.machine.files()
    given = ["--hub", HUB, "--name", NAME, "--port", PORT, "--certs", host.keys]
    text = good(host.machine.run(SCRIPT, *given))
    assert "ok  way back" in text and steps(text) == [
        "group harp-filter", "user harp-filter", "group harp-tunnel", "user harp-tunnel",
        "user harp-tunnel into group harp", "folder /etc/harp/certs", "file /etc/harp/certs/ca.crt",
        "file /etc/harp/certs/client.crt", "file /etc/harp/certs/client.key", "file /etc/harp/filter.cfg",
        "kept what was in /etc/harp/tunnel.cfg as /etc/harp/tunnel.cfg.before", "file /etc/harp/tunnel.cfg",
        *(f"unit {unit} {what}" for unit in OWN
          for what in ("enabled: it starts with the machine", "started"))]
    for unit in OWN:
        number = host.machine.main_pid(unit)
        assert host.machine.run("readlink", f"/proc/{number}/exe").stdout == f"/usr/bin/{unit}\n"
    assert steps(good(host.machine.run(SCRIPT, *given))) == [UNCHANGED]
    text = good(host.uninstall())
    assert "file /etc/harp/tunnel.cfg as it was before" in text
    assert host.machine.files() == before
    assert host.machine.run("getent", "group", "harp").returncode == 0
