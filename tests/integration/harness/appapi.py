"""AppAPI's side of the hub: control calls, calls to ExApps, and what browsers send along."""
import json

from .client import RawClient, fetch
from .credentials import APP_TOKEN, SESSIONS, SHARED_KEY, app_authorization, basic
from .nextcloud import INSTANCE

CONTROL = "/exapps/app_api"


def meta(port=23000, host="127.0.0.1", token=APP_TOKEN, version="1.0.0", routes=(("^/.*", 0),)):
    """The body of exapp_storage, and of Nextcloud's exapp-meta."""
    return {"exapp_token": token, "exapp_version": version, "host": host, "port": port,
            "routes": [{"url": route[0], "access_level": route[1],
                        "bruteforce_protection": list(route[2]) if len(route) > 2 else []}
                       for route in routes]}


def control(hub, method, path, body=None, key=SHARED_KEY, fields=()):
    """One control call: /exapps/app_api + path. body: bytes as they are, anything else as JSON.
    key: None sends none."""
    lines = [*fields]
    if key is not None:
        lines.append(b"harp-shared-key: " + key.encode())
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        lines.append(b"Content-Type: application/json")
    if method in ("POST", "PUT") and not body:
        lines.append(b"Content-Length: 0")
    return fetch(hub.http, CONTROL + path, *lines, method=method, body=body or b"")


def push(hub, appid, record=None, **kwargs):
    """What AppAPI does when an app is enabled: POST exapp_storage. kwargs are those of meta()."""
    reply = control(hub, "POST", f"/exapp_storage/{appid}", record or meta(**kwargs), key=hub.key)
    assert reply.status == 204, reply
    return reply


def appapi_fields(appid="sample", port=23000, host="127.0.0.1", key=SHARED_KEY, version="1.0.0",
                  token=APP_TOKEN, user="", leave_out=()):
    """The six fields of an AppAPI call to an ExApp, spelled as AppAPI does."""
    fields = {"AA-VERSION": "34.0.0", "EX-APP-ID": appid, "EX-APP-VERSION": version,
              "AUTHORIZATION-APP-API": app_authorization(token, user), "AA-REQUEST-ID": "CLI",
              "harp-shared-key": key, "ex-app-port": str(port), "ex-app-host": host}
    return [f"{name}: {value}".encode() for name, value in fields.items()
            if name.lower() not in leave_out]


def session_cookie(user="alice", without=(), instance=INSTANCE):
    """The Cookie field of a browser in which that user is logged in, but for these cookies."""
    passphrase, session = SESSIONS[user]
    cookies = {"oc_sessionPassphrase": passphrase, "nc_sameSiteCookielax": "true",
               "nc_sameSiteCookiestrict": "true", f"oc{instance}": session}
    return ("Cookie: " + "; ".join(f"{name}={value}" for name, value in cookies.items()
                                   if name not in without)).encode()


def basic_field(user, password):
    return f"Authorization: {basic(user, password)}".encode()


def bearer_field(token):
    return f"Authorization: Bearer {token}".encode()


def at(address):
    """A field that makes a request come from there, where 127.0.0.1 is a trusted proxy."""
    return f"X-Forwarded-For: {address}".encode()


def outcome(address, target, *fields, method="GET", body=b"", seconds=None):
    """The answer, or None when the connection was closed without one."""
    with RawClient(address) as client:
        client.get(target, *fields, b"Connection: close", method=method, body=body)
        try:
            return client.response(method, seconds)
        except EOFError:
            assert client.received == b"", client.received
            return None


def status(address, target, *fields, **kwargs):
    """Like outcome, the status alone."""
    reply = outcome(address, target, *fields, **kwargs)
    return reply.status if reply else None


def assert_hubs_own(reply, code, *words):
    """An answer of the hub itself: plain text, HaRP's words first, the reason after."""
    assert reply is not None, "closed without an answer"
    assert reply.status == code, reply
    assert (reply.head.get("Content-Type") or "").startswith("text/plain"), reply.head.fields
    first = reply.text.splitlines()[0]
    assert first.startswith(f"{code} "), reply
    for word in words:
        assert word.lower() in reply.text.lower(), (word, reply)
