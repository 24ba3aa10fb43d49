"""What `make install` puts in place runs under the real systemd: in a bare system of the tests' own, whose first
process it is (harness/bare_system.py). The units' restrictions are in force, and all four programs work under them.
"""
import contextlib
import json
import re
import subprocess

import pytest

from harness import RawClient, run_program, wait_for
from harness.bare_fixtures import FILTER, HUB, NAMES, SETTINGS, SHIP, TUNNEL, make
from harness.bare_system import BareSystem
from harness.credentials import SHARED_KEY
from harness.fake_engine import FakeEngine
from harness.netns import Namespace
from harness.programs import ROOT
from harness.s3 import ACCESS_KEY, BUCKET, SECRET_KEY, S3
from harness.wait import SLOWNESS

PREFIX = "/usr/local"
FILTERED = "/run/harp-socket-filter/docker.sock"
AUDIT = "/var/lib/harp-socket-filter/audit"
EXPOSURE_MOST = 20  # tenths
ENGINE = "20.10.24"  # the version that FakeEngine has
HEALED = 30.0 * SLOWNESS


def lines_of(name):
    """The unit's settings, as (name, value)."""
    text = (ROOT / f"deploy/systemd/{name}.service").read_text()
    return [tuple(line.split("=", 1)) for line in text.splitlines() if re.match(r"[A-Z]\w+=", line)]


def values(name, key):
    return [word for given, value in lines_of(name) if given == key for word in value.split()]


def change(system, name, **settings):
    """Sets these in the installed file of settings; `lists` is put at its end."""
    path = system.file(f"/etc/harp/{SETTINGS[name]}")
    text, lists = path.read_text(), settings.pop("lists", "")
    for key, value in settings.items():
        text, n = re.subn(rf"^#?{key} = .*;$", f'{key} = "{value}";', text, flags=re.MULTILINE)
        assert n == 1, key
    path.write_text(text + lists)


def secret(system, path, group, text):
    system.run("install", "-m", "640", "-g", group, "/dev/stdin", path, stdin=text + "\n")


# ---- before anything is set ----

@pytest.fixture(scope="module")
def system(bare, tmp_path_factory):
    files = tmp_path_factory.mktemp("installed")
    make("install", f"DESTDIR={files}", f"PREFIX={PREFIX}")
    with Namespace("units") as namespace, BareSystem(bare, namespace) as system:
        subprocess.run(["cp", "-a", files / "etc", files / "usr", system.file("/")], check=True)
        system.run("systemd-sysusers")
        system.run("systemd-tmpfiles", "--create")
        system.run("systemctl", "daemon-reload")
        yield system


def test_systemd_has_nothing_to_say_against_them(system):
    units = [f"{name}.service" for name in NAMES]
    done = system.run("systemd-analyze", "verify", "--man=no", *units)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("name", NAMES)
def test_exposure_is_at_most_2(system, name):
    done = system.run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MOST}", "--no-pager",
                      f"{PREFIX}/lib/systemd/system/{name}.service", check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_what_a_unit_names_is_there(system, name):
    command = values(name, "ExecStart")
    assert command == [f"/usr/bin/{name}", "--config", f"/etc/harp/{SETTINGS[name]}"]
    assert system.show(f"{name}.service", "ExecStart")[0].startswith(f"{{ path={PREFIX}/bin/{name} ;")
    paths = [f"{PREFIX}/bin/{name}", command[2], *(path.lstrip("-") for path in values(name, "ReadWritePaths"))]
    for page in values(name, "Documentation"):
        title, section = re.fullmatch(r"man:([a-z.-]+)\((\d)\)", page).groups()
        paths.append(f"{PREFIX}/share/man/man{section}/{title}.{section}")
    for path in paths:
        assert system.file(path).exists(), path
    system.run("getent", "passwd", *values(name, "User"))
    system.run("getent", "group", *values(name, "Group"), *values(name, "SupplementaryGroups"))


@pytest.mark.parametrize("name", [HUB, TUNNEL, FILTER])
def test_a_unit_waits_longer_for_the_end_than_its_program(name):
    printed = run_program(name, "--print-config").stdout
    program, = re.findall(r'^#shutdown_timeout = "(\d+)s";$', printed, re.MULTILINE)
    unit, = values(name, "TimeoutStopSec")
    assert int(unit.removesuffix("s")) > int(program) + 5


@pytest.mark.parametrize("name", NAMES)
def test_no_unit_is_ever_given_up_or_needs_another(name):
    given = dict(lines_of(name))
    assert (given["Type"], given["Restart"], given["StartLimitIntervalSec"]) == ("notify", "always", "0")
    assert "WatchdogSec" in given and "kill -HUP" in given["ExecReload"]
    assert not {"Requires", "Requisite", "BindsTo", "PartOf"} & set(given)


@pytest.mark.parametrize("name", [HUB, TUNNEL, SHIP])
def test_what_has_no_secret_yet_is_not_started_and_not_failed(system, name):
    system.run("systemctl", "start", name)
    assert system.show(f"{name}.service", "ActiveState", "ConditionResult", "Result") == ["inactive", "no", "success"]


# ---- running ----

@pytest.fixture(scope="module")
def running(system):
    """All but the shipper, set as an administrator does. `engine` is what the filter stands before."""
    system.engine = FakeEngine(system.file("/run/docker.sock"))
    system.run("chgrp", "docker", "/run/docker.sock")
    system.run("chmod", "660", "/run/docker.sock")
    change(system, FILTER, audit="on", audit_segment_size="64K")
    system.run("systemctl", "start", FILTER)
    secret(system, "/etc/harp/hub_shared_key", "harp-hub", SHARED_KEY)
    change(system, HUB, nc_instance_url="http://127.0.0.1:8080")
    system.run("systemctl", "start", HUB)
    system.run("harp-hub", "--config", "/etc/harp/hub.cfg", "engines", "certificate", "host-1", "/root/host1")
    system.run("install", "-d", "-m", "750", "-g", "harp-tunnel", "/etc/harp/certs")
    system.run("install", "-m", "640", "-g", "harp-tunnel", "/root/host1/ca.crt", "/root/host1/client.crt",
               "/root/host1/client.key", "/etc/harp/certs")
    change(system, TUNNEL, server_address="127.0.0.1", lists=(
        f'proxies = ( {{ name = "host-1"; remote_port = 24001; local = "unix:{FILTERED}"; }} );\n'))
    system.run("systemctl", "start", TUNNEL)
    try:
        yield system
    finally:
        system.engine.close()


def answers(system):
    """Whether the hub comes through to the engine by both ways: the filtered socket, and the tunnel to it."""
    done = system.run("harp-hub", "--config", "/etc/harp/hub.cfg", "engines", check=False)
    return done.returncode == 0 and done.stdout.count(ENGINE) == 2


def process_of(system, name):
    """The main process's number in there; 0: there is none."""
    return int(system.show(f"{name}.service", "MainPID")[0])


def status_of(system, name):
    text = system.run("cat", f"/proc/{process_of(system, name)}/status").stdout
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def ids(system, kind, *names):
    """Numbers of users or groups."""
    lines = system.run("getent", kind, *names).stdout.splitlines()
    return [line.split(":")[2] for line in lines]


def test_hub_tunnel_and_filter_work_together(running):
    wait_for(lambda: answers(running), HEALED, "both ways to the engine")
    assert proxies(running) == {"host-1": "open"}
    for name in (FILTER, HUB, TUNNEL):
        running.run(name, "--config", f"/etc/harp/{SETTINGS[name]}", "health")
    with running.entered(), RawClient(("127.0.0.1", 8780)) as client:
        assert client.ask("/exapps/nobody/").body.startswith(b"503 Service Unavailable (HaRP)\nhop: Nextcloud\n")


@pytest.mark.parametrize("name, groups", [(HUB, ["harp-hub", "harp"]), (TUNNEL, ["harp-tunnel", "harp"]),
                                          (FILTER, ["harp", "docker"])])
def test_programs_run_without_rights(running, name, groups):
    status = status_of(running, name)
    user, = ids(running, "passwd", *values(name, "User"))
    numbers = ids(running, "group", *groups)
    assert status["Uid"].split() == [user] * 4 and user != "0"
    assert status["Gid"].split() == numbers[:1] * 4
    assert set(status["Groups"].split()) == set(numbers)
    for kind in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_only_members_of_the_group_reach_the_filtered_socket(running):
    stat = running.run("stat", "-c", "%a %U:%G", "/run/harp-socket-filter", FILTERED).stdout.split("\n")
    assert stat[:2] == ["750 harp-filter:harp", "660 harp-filter:harp"]
    assert running.run("stat", "-c", "%a %U:%G", "/var/lib/harp-hub").stdout == "750 harp-hub:harp-hub\n"


def all_again(system, before):
    for name, process in before.items():
        wait_for(lambda: process_of(system, name) not in (0, process), HEALED, f"{name} to be started again")
    wait_for(lambda: answers(system), HEALED, "both ways to the engine")


def test_what_is_killed_comes_back(running):
    before = {name: process_of(running, name) for name in (FILTER, HUB, TUNNEL)}
    running.run("systemctl", "kill", "--signal=SIGKILL", *before)
    all_again(running, before)


@contextlib.contextmanager
def drop_in(system, name, text):
    folder = system.file(f"/etc/systemd/system/{name}.service.d")
    folder.mkdir()
    (folder / "test.conf").write_text(f"[Service]\n{text}\n")
    system.run("systemctl", "daemon-reload")
    try:
        yield
    finally:
        (folder / "test.conf").unlink()
        folder.rmdir()
        system.run("systemctl", "daemon-reload")


def test_what_hangs_is_started_again(running):
    """All at once, as each waits for its watchdog."""
    names = [FILTER, HUB, TUNNEL]
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(drop_in(running, name, "WatchdogSec=1s\nRestartSec=100ms"))
        running.run("systemctl", "restart", *names)
        before = {name: process_of(running, name) for name in names}
        wait_for(lambda: answers(running), HEALED, "both ways to the engine")
        assert {name: process_of(running, name) for name in names} == before  # alive, and heard
        running.run("systemctl", "kill", "--signal=SIGSTOP", *names)
        all_again(running, before)
    for name in names:
        assert "Watchdog timeout" in running.journal(f"{name}.service")


def test_any_order_of_start_will_do(running):
    running.run("systemctl", "stop", FILTER, HUB, TUNNEL)
    for name in (FILTER, HUB, TUNNEL):
        assert running.show(f"{name}.service", "ActiveState", "Result") == ["inactive", "success"]
    assert not running.file(FILTERED).exists()
    for name in (TUNNEL, HUB, FILTER):
        running.run("systemctl", "start", name)
    wait_for(lambda: answers(running), HEALED, "both ways to the engine")


def proxies(system):
    done = system.run("harp-tunnel-client", "--config", "/etc/harp/tunnel.cfg", "status", "--json", check=False)
    return {proxy["name"]: proxy["state"] for proxy in json.loads(done.stdout)["proxies"]} if done.stdout else {}


def test_reload_reads_settings_again(running):
    before = process_of(running, TUNNEL)
    path = running.file("/etc/harp/tunnel.cfg")
    path.write_text(path.read_text().replace('name = "host-1"', 'name = "host-2"'))
    running.run("systemctl", "reload", TUNNEL)
    wait_for(lambda: proxies(running) == {"host-2": "open"}, what="the proxy of the new settings")
    assert process_of(running, TUNNEL) == before


def test_no_route_pattern_needs_machine_code(running):
    """Memory that can be written and run is forbidden, and the JIT of PCRE2 makes such: patterns are matched all
    the same."""
    app = ('exapps = ( { id = "sample"; token = "t"; version = "1"; host = "127.0.0.1"; port = 9; routes = '
           '( { url = "^/public/(a|b)*$"; access_level = 0; }, { url = "^/.*"; access_level = 2; } ); } );\n')
    change(running, HUB, lists=app)
    running.run("systemctl", "restart", HUB)
    with running.entered():
        for path, answer in (("public/abab", b"503 Service Unavailable (HaRP)\nhop: ExApp\n"), ("public/abc", b"403 ")):
            with RawClient(("127.0.0.1", 8780)) as client:
                assert client.ask(f"/exapps/sample/{path}").body.startswith(answer)


# ---- records ----

def test_records_are_shipped_by_another_user(running):
    with running.entered():
        storage = S3()
    try:
        secret(running, "/etc/harp/ship_secret_key", "harp-ship", SECRET_KEY)
        change(running, SHIP, endpoint=f"http://127.0.0.1:{storage.port}", bucket=BUCKET, access_key=ACCESS_KEY)
        running.run("systemctl", "start", SHIP)
        with RawClient(running.file(FILTERED)) as client:
            while not running.file(f"{AUDIT}/audit-00000000000000000001.jsonl.shipped").exists():
                for _ in range(50):
                    assert client.ask("/networks").status == 403
        shipped = running.run("stat", "-c", "%U:%G", f"{AUDIT}/audit-00000000000000000001.jsonl.shipped").stdout
        assert shipped == "harp-ship:harp-ship\n"
        segment = running.run("stat", "-c", "%a %U:%G", f"{AUDIT}/audit-00000000000000000001.jsonl").stdout
        assert segment == "640 harp-filter:harp-ship\n"
        assert status_of(running, SHIP)["Groups"].split() == ids(running, "group", "harp-ship")
    finally:
        storage.close()


# ---- the end ----

def test_nothing_was_logged_as_a_fault_of_the_units(running):
    """What a unit forbids and a program needs would stand in the journal or in the kernel's words to it."""
    text = running.journal()
    for word in ("status=203/EXEC", "status=216/GROUP", "status=217/USER", "status=226/NAMESPACE", "SYSCALL arch",
                 "code=dumped, status=31"):
        assert word not in text
    assert SHARED_KEY not in text


def test_uninstall_takes_away_all_but_settings(tmp_path):
    make("install", f"DESTDIR={tmp_path}", f"PREFIX={PREFIX}")
    (tmp_path / "etc/harp/hub.cfg").write_text("# mine\n")
    assert "is there already" in make("install", f"DESTDIR={tmp_path}", f"PREFIX={PREFIX}")
    make("uninstall", f"DESTDIR={tmp_path}", f"PREFIX={PREFIX}")
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {f"etc/harp/{name}" for name in SETTINGS.values()}
    assert (tmp_path / "etc/harp/hub.cfg").read_text() == "# mine\n"
