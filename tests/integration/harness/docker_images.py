"""Images for the tests' engine, made here from busybox and the programs that the tests judge.

Nothing is pulled: an image is a tar made in memory and imported. `registry.test` never answers.
"""
import io
import pathlib
import re
import shutil
import subprocess
import tarfile

from .docker_engine import NoEngine
from .programs import program

REPOSITORY = "registry.test/exapps"
TESTAPP = f"{REPOSITORY}/testapp"
SAMPLE = pathlib.Path(__file__).parent / "sample"

# tag of `testapp`: what is special about it
PLAIN, NEXT, HEALTHY, UNHEALTHY = (f"{TESTAPP}:{tag}" for tag in
                                   ("1.0.0", "1.1.0", "1.0.0-hc", "unhealthy"))
# other systems, and containers that do not stay
ALPINE, FEDORA, UNKNOWN, BARE, ENDS, CRASHES = (
    f"{REPOSITORY}/{name}:1" for name in ("alpine", "fedora", "unknown", "bare", "ends", "crashes"))
CRASH_CODE = 3
# Repeats what it is told through /tmp/told (tell()), on stdout and stderr; `end` ends it.
SPEAKS = f"{REPOSITORY}/speaks:1"
SPEAKS_CODE = 7
SPEAKS_SCRIPT = f"""#!/bin/sh
busybox mkfifo /tmp/told
exec 3<>/tmp/told
echo ready
while read -r line <&3; do
    [ "$line" = end ] && exit {SPEAKS_CODE}
    echo "$line"
    echo "not $line" >&2
done
"""

OS_RELEASE = {
    "debian": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\n'
              'VERSION_ID="12"\nVERSION="12 (bookworm)"\nID=debian\n',
    "alpine": 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.20.3\n'
              'PRETTY_NAME="Alpine Linux v3.20"\n',
    "fedora": 'NAME="Fedora Linux"\nVERSION="41 (Container Image)"\nID=fedora\nVERSION_ID=41\n'
              'PRETTY_NAME="Fedora Linux 41 (Container Image)"\n',
    "unknown": 'NAME="Plan 10"\nID=plan10\nPRETTY_NAME="Plan 10, third edition"\n',
}
APPLETS = ["sh", "cat", "ls", "mkdir", "sleep", "true", "false", "env", "hostname", "touch", "echo"]
# What the systems' own commands do, as far as it can be seen from outside.
UPDATE_CA_CERTIFICATES = """#!/bin/sh
mkdir -p /etc/ssl/certs
cat /usr/local/share/ca-certificates/*.crt >/etc/ssl/certs/ca-certificates.crt
echo "Updating certificates"
"""
UPDATE_CA_TRUST = """#!/bin/sh
[ "$1" = extract ] || exit 2
mkdir -p /etc/pki/ca-trust/extracted/pem
cat /etc/pki/ca-trust/source/anchors/* >/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem
"""


class RootFs:
    """A tar that becomes an image. Everything belongs to root."""

    def __init__(self):
        self.buffer = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.buffer, mode="w")
        self.folders = set()

    def folder(self, path, mode=0o755):
        path = path.strip("/")
        if path and path not in self.folders:
            self.folder(path.rpartition("/")[0])
            self._add(path, tarfile.DIRTYPE, mode)
            self.folders.add(path)

    def file(self, path, content, mode=0o644):
        self.folder(path.rpartition("/")[0])
        self._add(path.strip("/"), tarfile.REGTYPE, mode,
                  content.encode() if isinstance(content, str) else content)

    def link(self, path, target):
        self.folder(path.rpartition("/")[0])
        self._add(path.strip("/"), tarfile.SYMTYPE, 0o777, target=target)

    def _add(self, path, kind, mode, content=b"", target=""):
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(content), target
        self.tar.addfile(entry, io.BytesIO(content))

    def bytes(self):
        self.tar.close()
        return self.buffer.getvalue()


def busybox():
    path = shutil.which("busybox")
    if path and not libraries(path):
        return pathlib.Path(path).read_bytes()
    raise NoEngine("no statically linked busybox (Debian package busybox-static)")


def libraries(path):
    """The shared libraries of a program and its loader; none if it is static."""
    told = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False).stdout
    return sorted(set(re.findall(r"(?:=> |^\s+)(/\S+) \(", told, re.MULTILINE)))


def build_exapp(folder):
    """The static sample ExApp, as bytes."""
    target = folder / "exapp"
    done = subprocess.run(["gcc", "-static", "-O2", "-o", target, SAMPLE / "exapp.c"],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"the sample ExApp does not build:\n{done.stderr}")
    return target.read_bytes()


def root(exapp, release=None, tunnel=False):
    """release: a key of OS_RELEASE, None for nothing but the ExApp."""
    fs = RootFs()
    fs.folder("/tmp", 0o1777)
    fs.file("/usr/bin/exapp", exapp, 0o755)
    if release is None:
        return fs.bytes()
    fs.folder("/root", 0o700)
    fs.file("/bin/busybox", busybox(), 0o755)
    for name in APPLETS:
        fs.link(f"/bin/{name}", "busybox")
    fs.file("/etc/os-release", OS_RELEASE[release])
    if release in ("debian", "alpine"):
        fs.file("/usr/sbin/update-ca-certificates", UPDATE_CA_CERTIFICATES, 0o755)
    if release == "fedora":
        fs.file("/usr/bin/update-ca-trust", UPDATE_CA_TRUST, 0o755)
    if tunnel:
        client = program("harp-tunnel-client")
        fs.file("/usr/bin/frpc", client.read_bytes(), 0o755)
        for path in libraries(client):
            fs.file(path, pathlib.Path(path).read_bytes(), 0o755)
        fs.file("/start.sh", (SAMPLE / "start.sh").read_bytes(), 0o755)
    return fs.bytes()


def speaking():
    """The tar of SPEAKS, for api.import_image() with SPEAKS_RUN: only some tests want it."""
    fs = RootFs()
    fs.folder("/tmp", 0o1777)
    fs.file("/bin/busybox", busybox(), 0o755)
    for name in APPLETS:
        fs.link(f"/bin/{name}", "busybox")
    fs.file("/etc/os-release", OS_RELEASE["alpine"])
    fs.file("/speak", SPEAKS_SCRIPT, 0o755)
    return fs.bytes()


def tell(api, container, line):
    """Has a running container of SPEAKS say that line."""
    done = api.execute(container, "sh", "-c", 'echo "$0" >/tmp/told', line)
    assert done == (0, b"", b""), done


PATH = "ENV PATH=/usr/sbin:/usr/bin:/bin"
SPEAKS_RUN = [PATH, 'CMD ["/speak"]']
START = 'CMD ["/start.sh", "exapp"]'
HEALTHCHECK = "HEALTHCHECK --interval=200ms --retries=1 CMD "


def make_plain(api, folder):
    """PLAIN and NEXT alone; the ExApp and the tar."""
    exapp = build_exapp(folder)
    whole = root(exapp, "debian", tunnel=True)
    api.import_image(whole, PLAIN, [PATH, START])
    api.tag(PLAIN, NEXT)
    return exapp, whole


def make_images(api, folder):
    """All images of this file; each is there once this returns."""
    exapp, whole = make_plain(api, folder)
    api.import_image(whole, HEALTHY, [PATH, START, HEALTHCHECK + '["exapp", "--health"]'])
    api.import_image(whole, UNHEALTHY, [PATH, START, HEALTHCHECK + '["false"]'])
    debian = root(exapp, "debian")
    api.import_image(debian, ENDS, [PATH, 'CMD ["exapp", "--end-after", "0", "0"]'])
    api.import_image(debian, CRASHES,
                     [PATH, f'CMD ["exapp", "--end-after", "200", "{CRASH_CODE}"]'])
    for release, name in (("alpine", ALPINE), ("fedora", FEDORA), ("unknown", UNKNOWN)):
        api.import_image(root(exapp, release), name, [PATH, 'CMD ["exapp"]'])
    api.import_image(root(exapp), BARE, [PATH, 'CMD ["exapp"]'])


def probe(engine):
    """Whether a container runs here at all; raises NoEngine if not."""
    try:
        engine.api.create("probe", ENDS)
        engine.api.start("probe")
        engine.api.wait_status("probe", "exited")
        code = engine.api.inspect("probe")["State"]["ExitCode"]
    except AssertionError as error:
        raise NoEngine(f"containers do not run here: {error}\n{engine.tail()}") from None
    if code != 0:
        raise NoEngine(f"a container ended with {code}:\n{engine.tail()}")
    engine.api.remove("probe")
