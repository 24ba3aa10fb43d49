"""Docker's own command line client, as a person runs it, without settings of this machine."""
import os
import pathlib
import shutil
import subprocess

from .docker_alike import alike
from .docker_engine import NoEngine
from .wait import DEFAULT

def programs():
    """All different `docker` there are, the one that is found first in front. Raises NoEngine where
    there is none."""
    found = []
    for folder in os.environ.get("PATH", "").split(":") + ["/usr/bin"]:
        path = shutil.which("docker", path=folder)
        if path and os.path.realpath(path) not in map(os.path.realpath, found):
            found.append(path)
    if not found:
        raise NoEngine("there is no docker (Debian package docker.io)")
    return found


class Told:
    """What a command that ended said."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def alike(self):
        return self.code, alike(self.out), alike(self.err)

    def __repr__(self):
        return f"<{self.code} {self.out!r} {self.err!r}>"


class DockerCli:
    """`docker` at a socket. folder: its home, and where it keeps its settings."""

    def __init__(self, program, socket, folder):
        self.program = str(program)
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder),
                            "DOCKER_CONFIG": str(folder / "docker"), "LC_ALL": "C",
                            "DOCKER_HOST": f"unix://{socket}", "DOCKER_BUILDKIT": "0"}

    def run(self, *args, given=None, **environment):
        """Told. given: bytes for its stdin."""
        done = subprocess.run([self.program, *args], input=given or b"", capture_output=True,
                              cwd=self.folder, env={**self.environment, **environment},
                              timeout=6 * DEFAULT, check=False)
        return Told(done.returncode, done.stdout.decode(), done.stderr.decode())

    def good(self, *args, **environment):
        """Its stdout, of a command that has to succeed, without the last line's end."""
        told = self.run(*args, **environment)
        assert told.code == 0, (args, told)
        return told.out.rstrip("\n")

    def begin(self, *args):
        """A Popen whose stdout and stderr the caller reads line by line, and ends."""
        return subprocess.Popen([self.program, *args], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                cwd=self.folder, env=self.environment)
