#!/usr/bin/python3 -IS
"""systemctl and journalctl of a machine of the tests: whichever name it is called by. Few modules, as
scripts call it often. See service_manager.py.

    systemctl VERB [--quiet] [--now] [UNIT]...
    journalctl -u UNIT -n LINES
"""
import socket
import sys


def systemctl(words):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect("/run/systemd/private")
        client.sendall("".join(f"{word}\0" for word in words).encode())
        client.shutdown(socket.SHUT_WR)
        reply = b"".join(iter(lambda: client.recv(65536), b""))
    code, out, err = reply.decode().split("\0")
    sys.stdout.write(out)
    sys.stderr.write(err)
    return int(code)


def journalctl(words):
    folder = sys.argv[0].rpartition("/bin/")[0]
    with open(f"{folder}/{words[words.index('-u') + 1]}.log", encoding="utf-8") as file:
        print("".join(file.readlines()[-int(words[words.index("-n") + 1]):]), end="")
    return 0


sys.exit(globals()[sys.argv[0].rpartition("/")[2]](sys.argv[1:]))
