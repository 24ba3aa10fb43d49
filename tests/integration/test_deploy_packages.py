"""Debian packages of the built programs: what lintian says of them, and their life in a bare system that systemd
runs (harness/bare_system.py): installed, started, upgraded, removed and purged.
"""
import io
import re
import shutil
import subprocess
import tarfile

import pytest

from harness import RawClient, run_program, wait_for
from harness.bare_fixtures import FILTER, HUB, NAMES, SETTINGS, SHIP, TUNNEL, field
from harness.bare_system import BareSystem
from harness.credentials import SHARED_KEY
from harness.missing import skip_or_fail
from harness.netns import Namespace
from harness.programs import BUILD, ROOT

VERSION = re.search(r"^VERSION +:= (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE).group(1)
# Kept by the system for itself, whatever package comes and goes; users stay, as Debian wants it.
KEPT = re.compile(r"/(var/(log|cache|lib/(dpkg|systemd|apt))|run|tmp)/"
                  r"|/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|/etc/ld\.so\.cache$|/etc/\.pwd\.lock$")


# ---- the packages ----

def test_lintian_finds_nothing_wrong(packages):
    if not shutil.which("lintian"):
        skip_or_fail("there is no lintian (Debian package lintian)")
    changes, = (BUILD / "deb").glob("*.changes")
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", changes], check=False,
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_version_is_that_of_the_programs(packages, name):
    assert field(packages[name], "Version") == VERSION
    assert run_program(name, "--version").stdout == f"{name} {VERSION}\n"


def test_what_the_hub_loads_at_run_time_is_a_dependency(packages):
    """libwebsockets opens its part for libuv by name: no list of linked libraries shows it."""
    assert "libwebsockets-evlib-uv" in field(packages[HUB], "Depends")


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_told_to_dpkg(packages, name, tmp_path):
    subprocess.run(["dpkg-deb", "-e", packages[name], tmp_path], check=True)
    assert (tmp_path / "conffiles").read_text() == f"/etc/harp/{SETTINGS[name]}\n"


@pytest.mark.parametrize("name", NAMES)
def test_it_does_not_matter_when_and_where_a_package_is_made(packages, name):
    when = int(subprocess.run(["dpkg-parsechangelog", "-l", ROOT / "deploy/debian/changelog", "-S", "Timestamp"],
                              check=True, capture_output=True).stdout)
    for part in ("--ctrl-tarfile", "--fsys-tarfile"):
        packed = subprocess.run(["dpkg-deb", part, packages[name]], check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            members = archive.getmembers()
            assert len(members) > 4 and max(member.mtime for member in members) == when
            assert {(member.uid, member.gid) for member in members} == {(0, 0)}
            for member in filter(tarfile.TarInfo.isfile, members):
                assert str(ROOT).encode() not in archive.extractfile(member).read(), member.name


# ---- their life ----

@pytest.fixture(scope="module")
def system(bare, packages):
    with Namespace("packages") as namespace, BareSystem(bare, namespace) as system:
        for path in packages.values():
            shutil.copy(path, system.file("/tmp"))
        system.debs = [f"/tmp/{path.name}" for path in packages.values()]
        system.before = files_of(system)
        system.said = system.run("dpkg", "-i", *system.debs).stdout
        yield system


def files_of(system):
    done = system.run("find", "/", "-xdev", "-not", "-type", "d", "-printf", r"%p %s %m %u:%g %l\n")
    folders = system.run("find", "/", "-xdev", "-type", "d", "-printf", r"%p/ %m %u:%g\n")
    lines = (done.stdout + folders.stdout).splitlines()
    return {line for line in lines if not KEPT.match(line.split(" ")[0])}


def state_of(system, name):
    return system.show(f"{name}.service", "UnitFileState", "ActiveState", "Result")


def test_only_what_our_packages_need_is_there(system):
    for name in NAMES:
        state = system.run("dpkg-query", "-W", "-f", "${Status} ${Version}", name).stdout
        assert state == f"install ok installed {VERSION}"
    assert system.run("dpkg", "--audit").stdout == ""


@pytest.mark.parametrize("name", NAMES)
def test_programs_run_from_there(system, name):
    assert system.run(name, "--version").stdout == f"{name} {VERSION}\n"
    example = system.file(f"/usr/share/doc/{name}/examples/{SETTINGS[name]}").read_text()
    assert system.run(name, "--print-config").stdout == example


def test_the_filter_runs_at_once(system):
    assert state_of(system, FILTER) == ["enabled", "active", "success"]
    settings = ["--config", "/etc/harp/filter.cfg"]
    assert system.run(FILTER, *settings, "--check-config").stdout == "the settings are good\n"
    with RawClient(system.file("/run/harp-socket-filter/docker.sock")) as client:
        assert client.ask("/containers/json?all=1").status == 403
    # Without an engine the hub's own way there is not well, and the filter says so.
    assert system.run(FILTER, *settings, "health", check=False).returncode == 1


@pytest.mark.parametrize("name, remedy", [
    (HUB, "/etc/harp/hub_shared_key"), (TUNNEL, "/etc/harp/certs"), (SHIP, "/etc/harp/ship_secret_key")])
def test_what_can_not_run_yet_is_enabled_and_says_what_it_needs(system, name, remedy):
    assert state_of(system, name) == ["enabled", "inactive", "success"]
    told = [line for line in system.said.splitlines() if line.startswith(f"{name}: not started yet: ")]
    assert len(told) == 1 and remedy in told[0]


def test_the_hub_starts_once_it_has_what_was_told(system):
    system.run("install", "-m", "640", "-g", "harp-hub", "/dev/stdin", "/etc/harp/hub_shared_key",
               stdin=SHARED_KEY + "\n")
    settings = ["--config", "/etc/harp/hub.cfg"]
    told = system.run(HUB, *settings, "--check-config", check=False)
    assert told.returncode == 1 and "NC_INSTANCE_URL: not set; set it to Nextcloud's URL" in told.stderr
    path = system.file("/etc/harp/hub.cfg")
    path.write_text(path.read_text().replace('#nc_instance_url = "";', 'nc_instance_url = "http://127.0.0.1:8080";'))
    assert system.run(HUB, *settings, "--check-config").stdout == "the settings are good\n"
    system.run("systemctl", "start", HUB)
    assert state_of(system, HUB) == ["enabled", "active", "success"]
    with system.entered(), RawClient(("127.0.0.1", 8780)) as client:
        assert client.ask("/exapps/sample/").body.startswith(b"503 Service Unavailable (HaRP)\nhop: Nextcloud\n")
    assert system.file("/var/lib/harp-hub/certs/frp/ca.crt").exists()


def test_an_upgrade_keeps_settings_and_starts_anew(system):
    before = {name: system.show(f"{name}.service", "MainPID") for name in (HUB, FILTER)}
    written = system.file("/etc/harp/hub.cfg").read_text()
    assert "not started yet" not in "".join(
        line for line in system.run("dpkg", "-i", *system.debs).stdout.splitlines(True) if line.startswith(HUB))
    assert system.file("/etc/harp/hub.cfg").read_text() == written
    for name in (HUB, FILTER):
        wait_for(lambda: state_of(system, name) == ["enabled", "active", "success"], what=f"{name} to run")
        assert system.show(f"{name}.service", "MainPID") != before[name]


def test_removed_they_leave_settings_and_purged_nothing(system):
    system.run("systemctl", "stop", HUB)  # so that a state folder is left which nobody uses
    system.run("mkdir", "/etc/harp/certs")
    system.run("touch", "/etc/harp/certs/client.key")
    system.run("dpkg", "--remove", *NAMES)
    added = {line.split(" ")[0] for line in files_of(system) - system.before}
    assert {path for path in added if path.startswith("/etc/harp/") and not path.endswith("/")} == {
        *(f"/etc/harp/{name}" for name in SETTINGS.values()), "/etc/harp/hub_shared_key", "/etc/harp/certs/client.key"}
    assert not any(path.startswith("/usr/") for path in added)
    assert system.show("harp-socket-filter.service", "ActiveState") == ["inactive"]
    system.run("dpkg", "--purge", *NAMES)
    assert files_of(system) - system.before == set()
    assert system.before - files_of(system) == set()
    assert system.run("systemctl", "--failed", "--quiet").stdout == ""
