"""A name server of the tests' own, and an /etc that only the programs under test see.

    with Namespace("names") as net, net.entered():
        with NameServer(), Etc(folder) as etc:
            etc.resolve()                        /etc/resolv.conf names the server
            Process(etc.command("harp-hub"))     sees that /etc, which holds nothing else

Port 53 of the loopback must be free, as it is in a network namespace of the test's own. Mounts are those of
a mount namespace that each process gets for itself.
"""
import shutil
import socket
import struct
import threading

ADDRESS = "127.0.0.53"
A, AAAA, IN = 1, 28, 1
NO_SUCH_NAME = 3


class NameServer:
    """names: {"cloud.test": "127.0.0.2"}; what is not in it does not exist. away: it does not answer.
    asked holds the names of all questions."""

    def __init__(self, names=()):
        self.names = dict(names)
        self.away = False
        self.asked = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((ADDRESS, 53))
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.sendto(b"", (ADDRESS, 53))  # nothing else ends a recvfrom without a peer
        self.thread.join()
        self.socket.close()

    def _run(self):
        while True:
            question, peer = self.socket.recvfrom(512)
            if not question:
                return
            name, kind, end = self._read(question)
            self.asked.append(name)
            if not self.away:
                self.socket.sendto(self._answer(question[:2], question[12:end], name, kind), peer)

    @staticmethod
    def _read(question):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        return ".".join(labels), struct.unpack("!H", question[at + 1:at + 3])[0], at + 5

    def _answer(self, number, asked, name, kind):
        address = self.names.get(name)
        flags = 0x8580 | (0 if address else NO_SUCH_NAME)  # an answer, with authority
        found = b""
        if address and kind == A:
            found = struct.pack("!HHHLH", 0xC00C, A, IN, 0, 4) + socket.inet_aton(address)
        return number + struct.pack("!5H", flags, 1, bool(found), 0, 0) + asked + found


class Etc:
    """A folder that stands at /etc for what command() starts; empty at first."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)

    def command(self, *argv):
        script = 'mount --bind "$0" /etc && exec "$@"'
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script,
                *map(str, (self.folder, *argv))]

    def write(self, name, text):
        """As programs that manage such files do it: another file takes the name."""
        fresh = self.folder / f"{name}.new"
        fresh.write_text(text)
        fresh.rename(self.folder / name)

    def resolve(self):
        self.write("resolv.conf", f"nameserver {ADDRESS}\noptions timeout:1 attempts:1\n")
