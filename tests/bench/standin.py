#!/usr/bin/python3
"""A Nextcloud for the benchmark: it says who a client is, after a fixed time, to hundreds at once.

    standin.py PORT KEY DELAY_MS

The tests' own stand-in (tests/integration/harness/nextcloud.py) has a thread per connection and makes
each answer anew: asked by 200 at once, on two processors, the last one waited 90 to 160 ms in place
of 20. This one, whose last answer comes after 30, sends ready-made bytes: whoever sends
oc_sessionPassphrase is a user, all others are nobody.

Prints `ready` when it listens. `GET /count` answers {"calls", "most"}: user-info calls so far, and
how many were open at once since the last `GET /count`.
"""

import asyncio
import json
import signal
import socket
import sys

# As many fields as a real one sends beside its cookies, which it does not send to a known session.
FIELDS = ("Server: nginx/1.22.1\r\nContent-Type: application/json; charset=utf-8\r\n"
          "X-Request-Id: standin\r\nCache-Control: no-cache, no-store, must-revalidate\r\n"
          "Content-Security-Policy: default-src 'none';base-uri 'none';frame-ancestors 'none'\r\n"
          "X-Robots-Tag: noindex, nofollow\r\nConnection: keep-alive\r\n")


def answer(status, value):
    body = json.dumps(value)
    return f"HTTP/1.1 {status}\r\n{FIELDS}Content-Length: {len(body)}\r\n\r\n{body}".encode()


USER = answer("200 OK", {"user_id": "alice", "access_level": 1})
NOBODY = answer("200 OK", {"user_id": "", "access_level": 0})
WRONG_KEY = answer("401 Unauthorized", {"message": "Harp shared key is not valid"})
UNKNOWN = answer("404 Not Found", {})


class Standin:
    def __init__(self, key, delay):
        self.key = f"\r\nharp-shared-key: {key}\r\n".encode()
        self.delay = delay
        self.calls = self.open = self.most = 0


class Connection(asyncio.Protocol):
    def __init__(self, standin, loop):
        self.standin = standin
        self.loop = loop
        self.transport = None
        self.data = b""

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data):
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head, self.data = self.data[:end + 4], self.data[end + 4:]
            self.request(head)

    def request(self, head):
        s = self.standin
        target = head.split(b" ", 2)[1]
        if target == b"/count":
            self.transport.write(answer("200 OK", {"calls": s.calls, "most": s.most}))
            s.most = s.open
        elif b"/harp/user-info?" not in target:
            self.transport.write(UNKNOWN)
        else:
            s.calls += 1
            s.open += 1
            s.most = max(s.most, s.open)
            reply = (WRONG_KEY if s.key not in head else
                     USER if b"oc_sessionPassphrase=" in head else NOBODY)
            self.loop.call_later(s.delay, self.reply, reply)

    def reply(self, reply):
        self.standin.open -= 1
        self.transport.write(reply)  # nothing happens when the hub has gone away


async def main(port, key, delay_ms):
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    standin = Standin(key, float(delay_ms) / 1000)
    server = await loop.create_server(lambda: Connection(standin, loop), "127.0.0.1", int(port),
                                      backlog=1024)
    print("ready", flush=True)
    await ended.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
