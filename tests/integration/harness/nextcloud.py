#!/usr/bin/python3
"""A stand-in for Nextcloud: what the hub asks it, answered as a real one did.

It was built after tests/data/appapi-contract/nextcloud-answers.json; test_nextcloud_standin.py
compares the two. A test changes what it knows at run time (apps, users, sessions, app passwords,
maintenance), makes it slow (`delay`), late (`hold`) or wrong (`broken`), and reads what it was
asked (`calls`, `asked`, `most_at_once`).

As a program, for the demo and the benchmark, it needs nothing but Python's standard library:

    nextcloud.py --listen 127.0.0.1:8090 --key KEY --app sample --app-port 23000 --delay-ms 20

prints a line with `ready` when it listens and ends with 0 on SIGTERM.
"""
import argparse
import base64
import binascii
import gzip
import json
import pathlib
import re
import signal
import sys
import threading
import time
import urllib.parse

if __package__:
    from .credentials import (APP_PASSWORDS, APP_TOKEN, NEW_COOKIE, PASSWORDS, SESSIONS,
                              SHARED_KEY)
    from .origin import CLOSE, RawOrigin
    from .wire import chunk
else:
    # In place of this folder, whose names are those of modules.
    sys.path[0] = str(pathlib.Path(__file__).resolve().parent.parent)
    from harness.credentials import (APP_PASSWORDS, APP_TOKEN, NEW_COOKIE, PASSWORDS, SESSIONS,
                                     SHARED_KEY)
    from harness.origin import CLOSE, RawOrigin
    from harness.wire import chunk

META = "exapp-meta"
INFO = "user-info"
INSTANCE = "1testinstance"
ANONYMOUS = {"user_id": "", "access_level": 0}
# status.php, for monitoring: no key, and no brute force protection.
STATUS = {"installed": True, "maintenance": False, "needsDbUpgrade": False, "version": "34.0.0.12",
          "versionstring": "34.0.0", "edition": "", "productname": "Nextcloud",
          "extendedSupport": False}
BAD_KEY = {"message": "Harp shared key is not valid"}
PAGE = (b'<!DOCTYPE html>\n<html class="ng-csp" data-placeholder-focus="false" lang="en" >\n'
        b"<head><title>\n\t\t\tNextcloud\t\t</title></head><body></body></html>\n")
REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found",
           500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}
COMMON = ["X-Request-Id: standin", "Cache-Control: no-cache, no-store, must-revalidate",
          "Content-Security-Policy: default-src 'none';base-uri 'none';frame-ancestors 'none'",
          "X-Robots-Tag: noindex, nofollow"]


class Call:
    """One request of the hub. `fields` are its header fields in order, names as sent."""

    def __init__(self, connection, request):
        path, _, query = request.target.partition("?")
        match = re.search(r"/index\.php/apps/app_api/harp/(exapp-meta|user-info)\Z", path)
        self.kind = (match.group(1) if match else
                     "status" if path.endswith("/status.php") else "other")
        self.app = dict(urllib.parse.parse_qsl(query)).get("appId")
        self.path, self.query = path, query
        self.method, self.target = request.method, request.target
        self.head = request.head
        self.fields = request.head.fields
        self.body = request.body
        self.connection = connection.number
        self.at = time.monotonic()

    def __repr__(self):
        return f"<{self.method} {self.target}>"


class Gate:
    """What hold() returns: calls wait behind it until release(), or the end of the `with`."""

    def __init__(self, nextcloud):
        self.nextcloud = nextcloud
        self.open = threading.Event()

    def release(self):
        self.nextcloud.gate = None
        self.open.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()


def cookies_of(head):
    """All cookies of a request, values as sent."""
    pairs = [pair.strip().partition("=") for value in head.all("Cookie")
             for pair in value.split(";")]
    return {name: value for name, _, value in pairs}


class Nextcloud(RawOrigin):
    """Nextcloud's HaRP endpoints. `url` is what NC_INSTANCE_URL is set to.

    key          the shared key it accepts
    apps         appId: what exapp-meta answers (see add_app); looked up in exact case
    users        name: dict(password, level, disabled, two_factor)
    app_passwords  token: name; good as Bearer and as the password of Basic
    sessions     (passphrase, session id): name
    tls          an SSLContext: it speaks HTTPS; `host` is then the name in its address
    maintenance  True: 503 with HTML for everything but status.php, which says so
    delay        seconds before each answer, or a function of the call that returns them
    broken       None, a mode, {kind: mode}, or a function of the call that returns a mode:
                 "close"     closes before any byte        "cut"       closes amid the body
                 "html"      200 with a page               "huge"      200 with 2 MiB
                 "redirect"  302 to `elsewhere`, a listener that records who follows
                 "garbage"   bytes that are not HTTP       "status:N"  that status, with a page
                 "json:..."  200 with that body
    """

    def __init__(self, key=SHARED_KEY, apps=(), prefix="", delay=0, instance=INSTANCE,
                 listen=("127.0.0.1", 0), keep=True, tls=None, host=None):
        self.key = key
        self.prefix = prefix
        self.instance = instance
        self.host = host
        self.apps, self.users, self.app_passwords, self.sessions = {}, {}, {}, {}
        self.maintenance = False
        self.delay = delay
        self.broken = None
        self.gate = None
        self.calls = []
        self.running = self.most_at_once = 0
        self.count = 0
        self.ended = threading.Event()
        self._elsewhere = None
        for app in apps:
            self.add_app(**app) if isinstance(app, dict) else self.add_app(app)
        for name, password in PASSWORDS.items():
            self.add_user(name, password, level=2 if name == "admin" else 1,
                          disabled=name == "carol", two_factor=name == "tessa")
        self.app_passwords.update(APP_PASSWORDS)
        for name, (passphrase, session) in SESSIONS.items():
            self.add_session(name, passphrase, session)
        super().__init__(self._answer, idle=3600.0, listen=listen, keep=keep, tls=tls)

    @property
    def url(self):
        host, port = self.listener.getsockname()[:2]
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{self.host or host}:{port}{self.prefix}"

    # ---- what it knows ----

    def add_app(self, app, port=23000, host="127.0.0.1", token=APP_TOKEN, version="1.0.0",
                routes=(("^/.*", 0),)):
        """routes: (url, level), (url, level, [statuses]) or whole dicts. Returns the record."""
        rows = [route if isinstance(route, dict) else
                {"url": route[0], "access_level": route[1],
                 "bruteforce_protection": list(route[2]) if len(route) > 2 else []}
                for route in routes]
        self.apps[app] = {"exapp_token": token, "exapp_version": version, "host": host,
                          "port": port, "routes": rows}
        return self.apps[app]

    def remove_app(self, app):
        del self.apps[app]

    def add_user(self, name, password, level=1, disabled=False, two_factor=False):
        self.users[name] = {"password": password, "level": level, "disabled": disabled,
                            "two_factor": two_factor}

    def remove_user(self, name):
        del self.users[name]

    def add_app_password(self, name, token):
        self.app_passwords[token] = name

    def revoke_app_password(self, token):
        del self.app_passwords[token]

    def add_session(self, name, passphrase, session):
        self.sessions[passphrase, session] = name

    def logout(self, name):
        """Ends all sessions of a user."""
        self.sessions = {key: user for key, user in self.sessions.items() if user != name}

    # ---- how it behaves ----

    def hold(self):
        """From now on calls wait, until the gate that this returns is released."""
        self.gate = Gate(self)
        return self.gate

    @property
    def elsewhere(self):
        """Where "redirect" points to: an origin whose `requests` should stay empty."""
        if self._elsewhere is None:
            self._elsewhere = RawOrigin()
        return self._elsewhere

    # ---- what it was asked ----

    def asked(self, kind=None, app=None):
        """The calls of that kind for that app, oldest first."""
        with self.lock:
            return [call for call in self.calls
                    if kind in (None, call.kind) and app in (None, call.app)]

    def wait_calls(self, count, kind=None, app=None, seconds=None):
        """The first `count` of such calls, once they are there."""
        self._wait(lambda: len([call for call in self.calls if kind in (None, call.kind)
                                and app in (None, call.app)]) >= count,
                   seconds, f"{count} calls of {kind or 'any kind'}")
        return self.asked(kind, app)[:count]

    def forget(self):
        """Forgets the calls so far."""
        with self.lock:
            self.calls.clear()
            self.most_at_once = self.running

    # ---- answering ----

    def _answer(self, connection, request):
        call = Call(connection, request)
        with self.lock:
            self.count += 1
            if self.keep:
                self.calls.append(call)
            self.running += 1
            self.most_at_once = max(self.most_at_once, self.running)
            self.lock.notify_all()
        try:
            gate = self.gate
            while gate and not gate.open.wait(0.02) and not self.closing:
                pass
            delay = self.delay(call) if callable(self.delay) else self.delay
            if delay:
                self.ended.wait(delay)
            if self.closing:
                return CLOSE
            answer = self._broken(connection, call)
            return self._reply(call) if answer is None else answer
        finally:
            with self.lock:
                self.running -= 1

    def _mode(self, call):
        mode = self.broken
        if callable(mode):
            mode = mode(call)
        return mode.get(call.kind) if isinstance(mode, dict) else mode

    def _broken(self, connection, call):
        mode = self._mode(call)
        if mode is None:
            return None
        if mode == "close":
            return CLOSE
        if mode == "cut":
            whole = self._reply(call)
            connection.send(whole[:whole.index(b"\r\n\r\n") + 4 + 5])
            return CLOSE
        if mode == "garbage":
            connection.send(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
            return CLOSE
        if mode == "redirect":
            target = f"http://127.0.0.1:{self.elsewhere.port}{call.target}"
            return self._write(call, 302, b"", "text/html; charset=UTF-8", [f"Location: {target}"])
        if mode == "html":
            return self._write(call, 200, PAGE, "text/html; charset=UTF-8", self._cookies(4))
        if mode == "huge":
            body = json.dumps({"user_id": "", "access_level": 0, "exapp_token": "x" * (2 << 20)})
            return self._write(call, 200, body.encode(), coded=False)
        if mode.startswith("status:"):
            return self._write(call, int(mode[7:]), PAGE, "text/html; charset=UTF-8",
                               self._cookies(4))
        if mode.startswith("json:"):
            return self._write(call, 200, mode[5:].encode(), coded=False)
        raise ValueError(f"broken = {mode!r}")

    def _reply(self, call):
        page = "text/html; charset=UTF-8"
        if call.path == self.prefix + "/status.php":
            return self._json(call, 200, {**STATUS, "maintenance": bool(self.maintenance)}, 0)
        if not call.path.startswith(self.prefix + "/index.php/") or call.kind == "other":
            return self._write(call, 404, PAGE, page, self._cookies(4))
        if self.maintenance:
            return self._write(call, 503, PAGE, page, ["Retry-After: 120", *self._cookies(4)])
        if call.kind == INFO and self._cross_site(call):
            return self._write(call, 302, b"", page, [f"Location: {call.target}",
                                                      *self._cookies(2)])
        if not call.app:
            return self._write(call, 400, b"", page, self._cookies(4))
        user, problem = self._who(call) if call.kind == INFO else (None, None)
        if problem is not None:
            return self._write(call, 401, json.dumps({"message": problem}).encode(),
                               extra=self._cookies(4), chunked=True)
        if call.head.all("harp-shared-key") != [self.key] or call.app not in self.apps:
            return self._json(call, 401, BAD_KEY, 4)
        if call.kind == META:
            return self._json(call, 200, self.apps[call.app], 4)
        by_cookie = cookies_of(call.head).get("oc_sessionPassphrase") is not None
        if user is None:
            return self._json(call, 200, ANONYMOUS, 0 if by_cookie else 4)
        answer = {"user_id": user, "access_level": self.users[user]["level"]}
        return self._json(call, 200, answer, 0 if by_cookie else 5, [f"X-User-Id: {user}"])

    def _cross_site(self, call):
        """Nextcloud wants both sameSite cookies from whoever sends a session's cookie."""
        cookies = cookies_of(call.head)
        strict = (cookies.get("nc_sameSiteCookielax") == "true"
                  and cookies.get("nc_sameSiteCookiestrict") == "true")
        return f"oc{self.instance}" in cookies and not strict

    def _who(self, call):
        """(user or None, message of a 401 or None), by session, Basic or Bearer."""
        cookies = cookies_of(call.head)
        user = self.sessions.get((cookies.get("oc_sessionPassphrase"),
                                  cookies.get(f"oc{self.instance}")))
        if user in self.users and not self.users[user]["disabled"]:
            return user, None
        scheme, _, credentials = (call.head.get("Authorization") or "").partition(" ")
        if scheme.lower() == "bearer":
            return self._active(self.app_passwords.get(credentials))
        if scheme.lower() != "basic":
            return None, None
        try:
            name, _, password = base64.b64decode(credentials).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None, None
        if self.app_passwords.get(password) == name:
            return self._active(name)
        if name not in self.users or self.users[name]["password"] != password:
            return None, ""
        if self.users[name]["two_factor"]:
            return None, None
        return self._active(name)

    def _active(self, name):
        if name is None or name not in self.users:
            return None, None
        return (None, "Account disabled") if self.users[name]["disabled"] else (name, None)

    def _cookies(self, count):
        """That many of the Set-Cookie fields that Nextcloud sends, with values that tell."""
        dated = "path=/; httponly;expires=Fri, 31-Dec-2100 23:59:59 GMT"
        if count == 2:
            return [f"Set-Cookie: nc_sameSiteCookie{kind}=true; {dated}; SameSite={kind}"
                    for kind in ("lax", "strict")]
        fields = [f"Set-Cookie: oc_sessionPassphrase={NEW_COOKIE}-{self.count}; path=/; HttpOnly; "
                  "SameSite=Lax",
                  f"Set-Cookie: nc_sameSiteCookielax=true; {dated}; SameSite=lax",
                  f"Set-Cookie: nc_sameSiteCookiestrict=true; {dated}; SameSite=strict",
                  f"Set-Cookie: oc{self.instance}={NEW_COOKIE}-{self.count}; path=/; HttpOnly; "
                  "SameSite=Lax",
                  f"Set-Cookie: cookie_test={NEW_COOKIE}; Max-Age=3600"]
        return fields[:count]

    def _json(self, call, status, value, cookies, extra=()):
        return self._write(call, status, json.dumps(value).encode(),
                           extra=[*self._cookies(cookies), *COMMON, *extra])

    @staticmethod
    def _write(call, status, body, kind="application/json; charset=utf-8", extra=(), chunked=False,
               coded=True):
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}", "Server: nginx/1.22.1",
                 f"Content-Type: {kind}"]
        if coded and body and "gzip" in call.head.tokens("Accept-Encoding"):
            body = gzip.compress(body, 1)
            lines.append("Content-Encoding: gzip")
        lines.append("Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}")
        head = "\r\n".join([*lines, "Connection: keep-alive", *extra]).encode() + b"\r\n\r\n"
        if call.method == "HEAD":
            return head
        return head + (chunk(body) + b"0\r\n\r\n" if chunked else body)

    def close(self):
        self.ended.set()
        super().close()
        if self._elsewhere:
            self._elsewhere.close()
        self.check()


def main():
    parser = argparse.ArgumentParser(description="A stand-in for Nextcloud's AppAPI.")
    parser.add_argument("--listen", default="127.0.0.1:8090", help="address:port")
    parser.add_argument("--key", default=SHARED_KEY, help="the hub's shared key")
    parser.add_argument("--app", action="append", default=[], help="appId; may be repeated")
    parser.add_argument("--app-host", default="127.0.0.1")
    parser.add_argument("--app-port", type=int, default=23000,
                        help="of the first app; each further one has the next")
    parser.add_argument("--app-token", default=APP_TOKEN)
    parser.add_argument("--route", action="append", default=[], metavar="LEVEL:REGEX",
                        help="routes of all apps, in order; 0:^/.* without any")
    parser.add_argument("--user", action="append", default=[], metavar="NAME:PASSWORD[:LEVEL]")
    parser.add_argument("--prefix", default="", help="path of the instance, as in /cloud")
    parser.add_argument("--delay-ms", type=float, default=0)
    options = parser.parse_args()
    host, _, port = options.listen.rpartition(":")
    routes = [(rule.partition(":")[2], int(rule.partition(":")[0]))
              for rule in options.route or ["0:^/.*"]]
    # Blocked before any thread starts, so that the signal comes to sigwait below and nowhere else.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    nextcloud = Nextcloud(key=options.key, prefix=options.prefix, delay=options.delay_ms / 1000,
                          listen=(host or "127.0.0.1", int(port)), keep=False)
    for number, name in enumerate(options.app):
        nextcloud.add_app(name, port=options.app_port + number, host=options.app_host,
                          token=options.app_token, routes=routes)
    for user in options.user:
        name, password, *level = user.split(":")
        nextcloud.add_user(name, password, level=int(level[0]) if level else 1)
    print(f"ready: Nextcloud's stand-in at {nextcloud.url}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    nextcloud.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
