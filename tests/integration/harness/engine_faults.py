"""What an engine may answer that it should not: FAULTS, by name.

A fault is bytes to send, or a function of (engine, connection, call) as FakeEngine.spoil takes it.
The groups at the end say what the hub can find out about each.
"""
import gzip
import json

from .origin import CLOSE
from .wait import Overdue
from .wire import chunk, response

JSON = b"Content-Type: application/json"
OK = b"HTTP/1.1 200 OK\r\n" + JSON + b"\r\n"
HUNDRED = OK + b"Content-Length: 100\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GOOD = {"Id": "ab" * 32, "State": {"Status": "running", "Running": True, "ExitCode": 0},
        "RestartCount": 0, "Config": {"Image": "x"}, "Warnings": []}
OWN_WORDS = "no space left on device, says the engine"
ELSEWHERE = "/v1.41/containers/elsewhere/json"
HUGE = 50 << 20
DEEP = 10000


def told(value):
    """A good answer with that body."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return response(data, b"200 OK", JSON)


def wait_end(connection):
    """Says nothing more until the hub hangs up."""
    connection.rest(seconds=3600)
    return CLOSE


def pour(connection, pieces):
    """Sends for as long as it is read; returns whether all of it went out."""
    try:
        for piece in pieces:
            if connection.ended.is_set():
                return False
            connection.send(piece)
    except Overdue:
        return False
    return not connection.ended.is_set()


def say_and_wait(data):
    def fault(_engine, connection, _call):
        connection.send(data)
        return wait_end(connection)
    return fault


def say_and_close(data):
    def fault(_engine, connection, _call):
        connection.send(data)
        return CLOSE
    return fault


def say_and_reset(data):
    def fault(_engine, connection, _call):
        connection.send(data)
        connection.reset()
        return CLOSE
    return fault


def drip(_engine, connection, _call):
    """Never still for long, and never done."""
    connection.send(CHUNKED)
    while not connection.ended.wait(0.02):
        connection.send(chunk(b" "))
    return CLOSE


def chunked_for_ever(_engine, connection, _call):
    connection.send(CHUNKED)
    piece = chunk(b" " * 65536)
    pour(connection, (piece for _ in range(8192)))
    return wait_end(connection)


def huge_json(_engine, connection, _call):
    """50 MiB that are good JSON, in one string."""
    before, after = json.dumps({**GOOD, "Config": {"Image": "@"}}).encode().split(b"@")
    connection.send(b"HTTP/1.1 200 OK\r\n" + JSON + b"\r\nContent-Length: %d\r\n\r\n"
                    % (len(before) + HUGE + len(after)) + before)
    piece = b"x" * 65536
    if not pour(connection, (piece for _ in range(HUGE // len(piece)))):
        return CLOSE
    return after


def flood_of_100s(_engine, connection, _call):
    piece = b"HTTP/1.1 100 Continue\r\n\r\n" * 1000
    pour(connection, (piece for _ in range(200)))
    return wait_end(connection)


def huge_field(_engine, connection, _call):
    connection.send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    pour(connection, (b"v" * 65536 for _ in range(32)))
    connection.send(b"\r\nContent-Length: 2\r\n\r\n{}")
    return CLOSE


def numbers_everywhere(value):
    """The same keys, all of another type."""
    if isinstance(value, dict):
        return {key: numbers_everywhere(inner) if isinstance(inner, dict) and inner else 5
                if isinstance(inner, (str, bool, list)) else "5" for key, inner in value.items()}
    return 5


# No answer in time.
STALLS = {
    "never answers": lambda engine, connection, call: wait_end(connection),
    "half a head": say_and_wait(b"HTTP/1.1 200 OK\r\nContent-Ty"),
    "half a body": say_and_wait(HUNDRED + b"{"),
    "half a chunk": say_and_wait(CHUNKED + b'1f4\r\n{"Id":'),
    "drips for ever": drip,
}
# Nothing that is an answer.
NO_HTTP = {
    "closes before the head": lambda engine, connection, call: CLOSE,
    "resets before the head": say_and_reset(b""),
    "closes in the head": say_and_close(b"HTTP/1.1 200 OK\r\nContent-Len"),
    "garbage": say_and_close(b"\x16\x03\x01\x02\x00\x01 this is no HTTP\r\n\r\n"),
    "garbage for ever": say_and_wait(b"\x16\x03\x01\x02\x00\x01 this is no HTTP\r\n\r\n"),
    "SSH": say_and_close(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "HTTP/2": say_and_close(b"\0\0\x12\x04\0\0\0\0\0" + b"\0\x03\0\0\0\x64" * 3),
    "length no number": say_and_close(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}"),
    "two lengths": say_and_close(OK + b"Content-Length: 2\r\nContent-Length: 9\r\n\r\n{}"),
    "bad chunk size": say_and_close(CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"),
    "101 unasked": say_and_close(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                                 b"Upgrade: tcp\r\n\r\n{}"),
    "flood of 100s": flood_of_100s,
    "huge field": huge_field,
}
# A good head, and then not what it says.
CUT = {
    "closes after the head": say_and_close(HUNDRED),
    "closes in the body": say_and_close(HUNDRED + b'{"Id":"a"}'),
    "resets in the body": say_and_reset(HUNDRED + b'{"Id":"a"}'),
    "closes in a chunk": say_and_close(CHUNKED + b'64\r\n{"Id":"a"}'),
    "closes between chunks": say_and_close(CHUNKED + b'a\r\n{"Id":"a"}\r\n'),
}
# Too much.
ENDLESS = {"chunked for ever": chunked_for_ever, "50 MiB of JSON": huge_json}
# A good answer that is none of Docker's, or not the one that is needed.
OTHER = {
    "500 with a message": response(json.dumps({"message": OWN_WORDS}).encode(),
                                   b"500 Internal Server Error", JSON),
    "500 with HTML": response(b"<html><body><h1>It broke</h1></body></html>",
                              b"500 Internal Server Error", b"Content-Type: text/html"),
    "500 without a body": response(b"", b"500 Internal Server Error"),
    "500 with a message of no string": response(b'{"message":{"x":[1]}}',
                                                b"500 Internal Server Error", JSON),
    "301": response(b"", b"301 Moved Permanently", b"Location: " + ELSEWHERE.encode()),
    "307": response(b"", b"307 Temporary Redirect", b"Location: " + ELSEWHERE.encode()),
    "401": response(b'{"message":"authorization denied by plugin"}', b"401 Unauthorized", JSON),
}
# A 200 whose JSON can't be used.
BAD_JSON = {
    "JSON cut short": told(b'{"Id":"abc","State":{"Stat'),
    "length shorter than the JSON": response(json.dumps(GOOD).encode()).replace(
        b"Content-Length: %d" % len(json.dumps(GOOD)), b"Content-Length: 20"),
    "no body": told(b""),
    "HTML": told(b"<!DOCTYPE html><title>hello</title>"),
    "an array": told(b"[]"),
    "a string": told(b'"running"'),
    "null": told(b"null"),
    "two objects": told(json.dumps(GOOD).encode() * 2),
    "a NUL in it": told(json.dumps(GOOD).encode().replace(b"running", b"run\0ning")),
    "10,000 arrays": told(b"[" * DEEP + b"]" * DEEP),
    "10,000 objects": told(b'{"State":' * DEEP + b"5" + b"}" * DEEP),
    "10,000 levels in State": told(b'{"Id":"a","State":' + b"[" * DEEP + b"]" * DEEP + b"}"),
    "every type wrong": told(numbers_everywhere(GOOD)),
    "strings for objects": told({**GOOD, "Id": ["x"], "State": "running", "Config": "x"}),
    "gzip that nobody asked for": response(gzip.compress(json.dumps(GOOD).encode()), b"200 OK",
        JSON,
                                           b"Content-Encoding: gzip"),
}
FAULTS = {**STALLS, **NO_HTTP, **CUT, **ENDLESS, **OTHER, **BAD_JSON}
