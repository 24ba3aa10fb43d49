"""Where Nextcloud's Docker Socket Proxy finds ExApps: the same port, of another address.

The ports 23000 to 23010 are what the tests use. Addresses of 127.0.0.0/8 are taken at random, so that runs side
by side do not meet: at 127.0.0.1 hubs of other tests look for their apps.
"""
import contextlib
import random
import socket

from .origin import OK, RawOrigin

FIRST, COUNT = 23000, 10


def fresh_address():
    """A loopback address at which nobody listens at any of the ports."""
    return f"127.{random.randint(2, 250)}.{random.randint(0, 250)}.{random.randint(2, 250)}"


def exapp_origin(address, answer=OK, **kwargs):
    """A RawOrigin at a port of an ExApp."""
    for port in range(FIRST, FIRST + COUNT + 1):
        with contextlib.suppress(OSError):
            origin = RawOrigin(answer, listen=(address, port), **kwargs)
            origin.address = address
            return origin
    raise RuntimeError(f"no port from {FIRST} on is free at {address}")


def udp_at(address, port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    return sock
