#!/usr/bin/python3
"""What demo.sh does not do in shell. Each prints its result to stdout.

    helper.py ports WANTED...      these ports of the loopback, in place of one in use a free one
    helper.py cookie USER          the Cookie field of that user's browser, as the stand-in knows it
    helper.py told                 whom an ExApp was told: AUTHORIZATION-APP-API in its echo on stdin
    helper.py websocket URL TEXT   sends TEXT, prints what comes back
    helper.py engine PATH          a stand-in for a Docker engine on that unix socket, until it is ended
"""
import asyncio
import base64
import json
import pathlib
import socket
import sys
import threading

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "tests/integration"))


def ports(*wanted):
    held = []
    for port in wanted:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", int(port)))
        except OSError:
            sock.bind(("127.0.0.1", 0))
        held.append(sock)
    print(*(sock.getsockname()[1] for sock in held))


def cookie(user):
    from harness import session_cookie
    print(session_cookie(user).decode())


def told():
    shown, = (value for name, value in json.load(sys.stdin)["headers"]
              if name.lower() == "authorization-app-api")
    print(base64.b64decode(shown).decode().partition(":")[0] or "nobody")


def websocket(url, text):
    import aiohttp

    async def talk():
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as peer:
            await peer.send_str(text)
            print((await peer.receive(10)).data)

    asyncio.run(talk())


def engine(path):
    from harness.fake_engine import FakeEngine
    with FakeEngine(path):
        print("ready", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    {"engine": engine, "ports": ports, "cookie": cookie, "told": told, "websocket": websocket}[sys.argv[1]](*sys.argv[2:])
