"""Stands in for a service manager that opens sockets: makes them, and becomes the program.

    activate.py '[["NAME", "unix:PATH"], ["NAME", "127.0.0.1:PORT"]]' PROGRAM [ARGUMENT]...

Without any name LISTEN_FDNAMES is not set. sd_listen_fds(3).
"""
import fcntl
import json
import os
import socket
import sys

FIRST = 3


def opened(address):
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(address.removeprefix("unix:"))
    else:
        host, _, port = address.rpartition(":")
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, int(port)))
    sock.listen(16)
    return sock


def main():
    names, addresses = zip(*json.loads(sys.argv[1]))
    # Out of the way of the numbers that are meant.
    high = [fcntl.fcntl(opened(address).detach(), fcntl.F_DUPFD, 100) for address in addresses]
    for number, fd in enumerate(high):
        os.dup2(fd, FIRST + number)
        os.close(fd)
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.environ["LISTEN_FDS"] = str(len(high))
    if any(names):
        os.environ["LISTEN_FDNAMES"] = ":".join(names)
    os.execv(sys.argv[2], sys.argv[2:])


main()
