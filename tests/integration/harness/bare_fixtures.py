"""Debian packages of the built programs, and a bare system with what these depend on, once for a run."""
import subprocess

import pytest

from .bare_system import NoBareSystem, bare_root
from .missing import skip_or_fail
from .programs import BUILD, ROOT

NAMES = HUB, TUNNEL, FILTER, SHIP = "harp-hub", "harp-tunnel-client", "harp-socket-filter", "harp-audit-ship"
# Files in /etc/harp, and in deploy/examples.
SETTINGS = {HUB: "hub.cfg", TUNNEL: "tunnel.cfg", FILTER: "filter.cfg", SHIP: "audit-ship.cfg"}


def make(*words):
    """make, with the programs that are tested."""
    done = subprocess.run(["make", "--no-print-directory", f"BUILD={BUILD}", *words], cwd=ROOT, check=False,
                          capture_output=True, text=True)
    assert done.returncode == 0, f"make {' '.join(words)}:\n{done.stdout}{done.stderr}"
    return done.stdout


def field(package, name):
    return subprocess.run(["dpkg-deb", "-f", package, name], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="session")
def packages():
    """{name: file}"""
    make("deb")
    found = {path.name.partition("_")[0]: path for path in (BUILD / "deb").glob("*.deb")}
    assert set(found) == set(NAMES)
    return found


@pytest.fixture(scope="session")
def bare(packages):
    """The folder of a system that has what our packages depend on, and none of them. The first choice counts, as
    for apt."""
    depends = {part.split("|")[0].split("(")[0].strip()
               for package in packages.values() for part in field(package, "Depends").split(",")}
    try:
        return bare_root(depends - set(NAMES))
    except NoBareSystem as error:
        skip_or_fail(str(error))
