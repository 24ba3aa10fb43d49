"""What somebody tries who has the shared key, as a broken-in Nextcloud has, and wants the host: the
JSON of typed calls. Each attempt is refused by a 400 that names the field, and not a byte of it
reaches the engine.
"""
import json

import pytest

from harness import control, fetch
from harness.engine_attacks import answer_to, attack_target
from harness.engine_calls import CONTROL, IMAGE, KEY, port_field

APP_CALLS = ("exists", "create", "start", "stop", "wait_for_start", "remove",
             "install_certificates")
CREATE = {"name": "new", "image_id": IMAGE, "network_mode": "bridge"}
# What is no part of a container's name, in UTF-8, as JSON strings.
PARTS = {
    "traversal": "../x", "traversal behind a name": "a/../../x", "only dots": "..", "one dot": ".",
    "encoded dots": "%2e%2e", "encoded traversal": "%2e%2e%2fx",
    "double encoded": "%252e%252e%252fx",
    "slash": "a/b", "encoded slash": "a%2fb", "backslash": "a\\b", "query": "a?x=1",
    "a call of another kind": "a/../../../info?x=", "fragment": "a#b", "ampersand": "a&b",
    "NUL": "a\0b",
    "NUL at the end": "a\0", "newline": "a\nb", "newline at the end": "a\n", "CRLF and a field":
    "a\r\nX: y", "a request": "a HTTP/1.1\r\n\r\nGET /info", "tab": "a\tb", "blank": "a b",
    "blank in front": " a", "blank behind": "a ", "DEL": "a\x7fb", "escape": "a\x1bb",
    "semicolon": "a;b",
    "colon": "a:b", "at": "a@b", "comma": "a,b", "quote": 'a"b', "apostrophe": "a'b",
    "dollar": "$(id)",
    "backtick": "`id`", "pipe": "a|b", "braces": "{}", "percent": "a%", "star": "*",
    "tilde": "~root",
    "plus": "a+b", "equals": "a=b", "dash in front": "-a", "underscore in front": "_a",
    "dot in front": ".a", "accent": "caf\u00e9", "Cyrillic a": "\u0430pp",
    "full-width slash": "a\uff0fb",
    "fraction slash": "a\u2044b", "full-width dots": "\uff0e\uff0e/x", "long s": "\u017fample",
    "Kelvin": "\u212a", "zero-width space": "a\u200bb", "right-to-left": "a\u202eb",
    "BOM": "\ufeffa",
    "emoji": "\U0001f433", "101 letters": "a" * 101, "5000 letters": "a" * 5000,
}
NO_STRINGS = {"number": 5, "fraction": 1.5, "true": True, "array": ["a"], "empty array": [],
              "object": {"a": "b"}, "empty object": {}}
# What is no image.
REFERENCES = {
    **{name: value for name, value in PARTS.items() if name not in (
        "slash", "colon", "at", "101 letters", "comma")},
    "empty": "", "upper case": "Registry/App:1", "empty tag": "a:", "two tags": "a:1:2",
    "tag with a slash": "registry.test/a:1/2", "tag of 129": "a:" + "t" * 129,
    "short digest": "a@sha256:12",
    "digest that is none": "a@sha256:" + "z" * 64, "URL": "https://registry.test/a",
    "leading slash":
    "/a", "trailing slash": "a/", "two slashes": "a//b", "only a tag": ":1", "port that is none":
    "registry.test:99999/a", "name of 256": "a" * 256, "force": "a?force=true", "force, encoded":
    "a%3Fforce=true", "json": "a/json?", "another kind": "../containers/x",
    "of prune": "../images/prune",
    "comma": "a,b", "blank and option": "a --privileged",
}
# field of create: name: value
CREATES = {
    "network_mode": {
        "another container's": "container:nc_app_other", "by id": "container:" + "a" * 64,
        "a namespace": "ns:/proc/1/ns/net", "a service's": "service:x", "a path": "/proc/1/ns/net",
        "with a blank": "a b", "with a NUL": "host\0", "with a newline": "host\n",
        "traversal": "../host",
        "upper-case container": "Container:x", "a colon in front": ":host", "number": 5,
        "array": ["host"],
        "object": {}, "long": "n" * 5000, "not ASCII": "h\u00f6st", "query": "a?b", "slash": "a/b"},
    "environment_variables": {
        "a string": "A=b", "an object": {"A": "b"}, "a number": 5, "without =": ["A"],
        "empty": [""],
        "without a name": ["=b"], "a NUL in the name": ["A\0B=c"], "a NUL in the value": ["A=b\0c"],
        "number in it": [5], "null in it": [None], "array in it": [["A=b"]],
        "object in it": [{"A": "b"}],
        "one bad of many": ["A=b", "C=d", "E"], "too many": ["A=b"] * 2000},
    "mount_points": {
        "a string": "/a:/b", "an object": {"source": "/a", "target": "/b"}, "a number": 5,
        "strings": ["/a:/b"], "null in it": [None], "array in it": [[]], "empty object": [{}],
        "no source": [{"target": "/b", "mode": "ro"}],
        "no target": [{"source": "/a", "mode": "ro"}],
        "relative source": [{"source": "etc", "target": "/b", "mode": "ro"}],
        "relative with a dot": [{"source": "./etc", "target": "/b", "mode": "ro"}],
        "home": [{"source": "~/x", "target": "/b", "mode": "ro"}],
        "empty source": [{"source": "", "target": "/b", "mode": "ro"}],
        "a volume": [{"source": "nc_app_other_data", "target": "/b", "mode": "rw"}],
        "traversal": [{"source": "/srv/../etc", "target": "/b", "mode": "ro"}],
        "traversal at the end": [{"source": "/srv/..", "target": "/b", "mode": "ro"}],
        "traversal at once": [{"source": "/..", "target": "/b", "mode": "ro"}],
        "NUL": [{"source": "/srv\0/x", "target": "/b", "mode": "ro"}],
        "number as source": [{"source": 5, "target": "/b", "mode": "ro"}],
        "array as source": [{"source": ["/a"], "target": "/b", "mode": "ro"}],
        "the root as source": [{"source": "/", "target": "/b", "mode": "ro"}],
        "relative target": [{"source": "/a", "target": "b", "mode": "ro"}],
        "the root as target": [{"source": "/a", "target": "/", "mode": "ro"}],
        "empty target": [{"source": "/a", "target": "", "mode": "ro"}],
        "traversal in the target": [{"source": "/a", "target": "/b/../etc", "mode": "ro"}],
        "NUL in the target": [{"source": "/a", "target": "/b\0", "mode": "ro"}],
        "number as target": [{"source": "/a", "target": 5, "mode": "ro"}],
        "unknown mode": [{"source": "/a", "target": "/b", "mode": "rwx"}],
        "mode with more": [{"source": "/a", "target": "/b", "mode": "ro,shared"}],
        "mode in upper case": [{"source": "/a", "target": "/b", "mode": "RO"}],
        "mode of a blank": [{"source": "/a", "target": "/b", "mode": " "}],
        "number as mode": [{"source": "/a", "target": "/b", "mode": 5}],
        "true as mode": [{"source": "/a", "target": "/b", "mode": True}],
        "long source": [{"source": "/" + "a" * 5000, "target": "/b", "mode": "ro"}],
        "one bad of many": [{"source": "/a", "target": "/b", "mode": "ro"}] * 3 + [{"source": "x"}],
        "too many": [{"source": "/a", "target": "/b", "mode": "ro"}] * 2000},
    "restart_policy": {"unknown": "sometimes", "with a count": "on-failure:99",
        "upper case": "Always",
                       "with a NUL": "no\0", "number": 5, "object": {"Name": "always"},
                       "array": ["no"]},
    "compute_device": {"unknown": "tpu", "a path": "/dev/sda", "number": 5, "object": {},
        "array": ["cpu"],
                       "with a NUL": "cpu\0", "two": "cpu,cuda"},
    "resource_limits": {"a string": "64m", "a number": 5, "an array": [1],
                        "memory of a word": {"memory": "64m"}, "memory below 0": {"memory": -1},
                        "memory of a fraction": {"memory": 1.5},
                        "memory of an array": {"memory": [1]},
                        "memory over 64 bits": {"memory": 1 << 70},
                        "CPUs below 0": {"nanoCPUs": -1},
                        "CPUs of a word": {"nanoCPUs": "all"}, "CPUs of true": {"nanoCPUs": True}},
}
OTHER_FIELDS = {
    ("remove", "remove_data"): {"a word": "yes", "1": 1, "the word true": "true", "array": [True],
                                "object": {}},
    ("install_certificates", "install_frp_certs"): {"a word": "yes", "1": 1, "array": [],
        "object": {}},
    ("install_certificates", "system_certs_bundle"): {"number": 5, "true": True, "array": ["x"],
                                                      "object": {"a": "b"}},
}
# JSON that is none, or that two readers may read in two ways: bytes of a body of `exists`.
GOOD = b'{"name":"x"}'
BODIES = {
    "nothing": b"", "a blank": b" ", "no JSON": b"name=x", "cut": GOOD[:-1],
    "two objects": GOOD * 2,
    "bytes behind": GOOD + b"x", "a NUL behind": GOOD + b"\0", "a NUL in it": b'{"name":"x\0"}',
    "a raw newline": b'{"name":"x\n"}', "an array": b'["x"]', "an array of it": b"[" + GOOD + b"]",
    "a string": b'"x"', "a number": b"5", "null": b"null", "true": b"true",
    "single quotes": b"{'name':'x'}",
    "no quotes": b"{name:1}", "a comma behind": b'{"name":"x",}',
    "two commas": b'{"name":"x",,"a":1}',
    "a comment": b'{/* */"name":"x"}', "a line comment": b'{"name":"x"//\n}',
    "a BOM": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": '{"name":"x"}'.encode("utf-16"), "bad UTF-8": b'{"name":"x\xff"}',
    "overlong UTF-8": b'{"name":"x\xc0\xaf"}', "a surrogate in UTF-8": b'{"name":"x\xed\xa0\x80"}',
    "half a surrogate": b'{"name":"x\\ud800"}', "bad escape": b'{"name":"x\\x41"}',
    "NaN": b'{"name":NaN}',
    "a hex number": b'{"name":"x","a":0x10}', "leading zero": b'{"name":"x","a":01}',
    "a plus": b'{"name":"x","a":+1}', "an upper-case true": b'{"name":"x","a":True}',
    "name twice": b'{"name":"x","name":"../y"}', "name twice, the same": b'{"name":"x","name":"x"}',
    "name twice, escaped": b'{"name":"x","na\\u006de":"../y"}',
    "name twice, all escaped": b'{"\\u006e\\u0061\\u006d\\u0065":"y","name":"x"}',
    "another key twice": b'{"name":"x","a":1,"a":2}',
    "twice further in": b'{"name":"x","a":{"b":1,"b":2}}',
    "10,000 arrays": b'{"name":' + b"[" * 10000 + b"]" * 10000 + b"}",
    "10,000 objects": b'{"a":' * 10000 + b"1" + b"}" * 10000,
    "10,000 arrays elsewhere": b'{"name":"x","a":' + b"[" * 10000 + b"]" * 10000 + b"}",
    "1000 arrays that are not closed": b"[" * 1000,
    "33 levels": b'{"name":"x","a":' + b"[" * 33 + b"]" * 33 + b"}",
    "a million keys": b"{" + b",".join(b'"%d":1' % n for n in range(60000)) + b"}",
}
# Keys that some readers (Go's among them) take for "name"; alone they are not.
TWINS = {
    "capital": b'{"Name":"x"}', "capitals": b'{"NAME":"x"}', "mixed": b'{"naMe":"x"}',
    "blank behind": b'{"name ":"x"}', "blank in front": b'{" name":"x"}',
    "NUL behind": b'{"name\\u0000":"x"}',
    "full-width": '{"ｎａｍｅ":"x"}'.encode(), "Cyrillic": '{"n\u0430me":"x"}'.encode(),
    "combining": '{"name\u0301":"x"}'.encode(), "zero-width": '{"na\u200bme":"x"}'.encode(),
    "nested": b'{"":{"name":"x"}}', "dotted": b'{"a.name":"x"}', "array": b'{"name[]":"x"}',
}


@pytest.fixture(scope="module", params=["fake", "real"])
def target(request, tmp_path_factory, certs):
    yield from attack_target(request, tmp_path_factory, certs)


def call(target, name, body, fields=()):
    """Bytes as they are, anything else as JSON."""
    return control(target.hub, "POST", f"/docker/exapp/{name}", body,
                   fields=[port_field(target.port), *fields])


def refused(target, name, body, *words, statuses=(400,)):
    with target.untouched():
        reply = call(target, name, body)
        assert reply.status in statuses, (name, reply)
        assert (reply.head.get("Content-Type") or "").startswith("text/plain")
        for word in words:
            assert word in reply.text, (word, reply)
    return reply


def cases(*tables):
    """Those of all tables, with their names."""
    return [pytest.param(value, id=name) for table in tables for name, value in table.items()]


def test_there_are_at_least_100_attempts():
    assert len(PARTS) * 3 + len(REFERENCES) * 2 + len(BODIES) + len(TWINS) + sum(
        map(len, CREATES.values())) >= 300


def test_what_may_pass_is_seen_to_pass(target):
    """Else nothing here could fail."""
    before = target.seen()
    reply = call(target, "exists", GOOD)
    assert reply.status == 200 and json.loads(reply.body)["exists"] is True, reply
    assert target.seen() != before


# ---- names ----

@pytest.mark.parametrize("value", cases(PARTS, NO_STRINGS, {"empty": "", "null": None}))
def test_a_name_that_is_none_is_refused_by_every_call(target, value):
    for name in APP_CALLS:
        refused(target, name, {**(CREATE if name == "create" else {}), "name": value}, "name")


@pytest.mark.parametrize("value", cases(PARTS, NO_STRINGS))
@pytest.mark.parametrize("field", ["instance_id", "role_suffix"])
def test_a_part_of_the_name_that_is_none_is_refused(target, field, value):
    for name in ("exists", "create", "remove"):
        refused(target, name, {**CREATE, "name": "x", field: value}, field)


@pytest.mark.parametrize("name", APP_CALLS)
def test_parts_that_are_too_long_together_are_refused(target, name):
    refused(target, name, {**CREATE, "name": "a" * 40, "instance_id": "b" * 40, "role_suffix":
                           "c" * 40}, "name")


@pytest.mark.parametrize("name", [*APP_CALLS, "image_remove"])
def test_a_name_that_is_missing_is_refused(target, name):
    refused(target, name, {}, "image_ref" if name == "image_remove" else "name")


def test_dots_and_dashes_in_names_are_names(target):
    """And stay in one segment of the path."""
    for name in ("a.b", "a..b", "a-", "a__b", "0", "a" * 90):
        target.forget()
        reply = call(target, "exists", {"name": name})
        assert reply.status == 200 and json.loads(reply.body) == {"exists": False}
        assert target.heads()[-1].start.split(b" ")[1].endswith(
            f"/containers/nc_app_{name}/json".encode())


# ---- images ----

@pytest.mark.parametrize("value", cases(REFERENCES, NO_STRINGS, {"null": None}))
@pytest.mark.parametrize("name, field", [("image_remove", "image_ref"), ("create", "image_id")])
def test_an_image_that_is_none_is_refused(target, name, field, value):
    refused(target, name, {**CREATE, "image_ref": IMAGE, field: value}, field)


# ---- create and the rest ----

@pytest.mark.parametrize("field, value", [pytest.param(field, value, id=f"{field}-{name}")
                                          for field, table in CREATES.items()
                                          for name, value in table.items()])
def test_what_a_container_may_not_have_is_refused(target, field, value):
    reply = refused(target, "create", {**CREATE, field: value})
    # Or what is wrong within it.
    assert any(word in reply.text for word in (field, "source", "target", "mode", "number")), reply


@pytest.mark.parametrize("name, field, value", [
    pytest.param(name, field, value, id=f"{field}-{case}")
    for (name, field), table in OTHER_FIELDS.items() for case, value in table.items()])
def test_a_field_of_the_wrong_type_is_refused(target, name, field, value):
    refused(target, name, {"name": "x", field: value}, field)


# ---- JSON ----

@pytest.mark.parametrize("body", cases(BODIES))
@pytest.mark.parametrize("name", ["exists", "create", "remove"])
def test_a_body_that_is_not_good_json_is_refused(target, name, body):
    refused(target, name, body)


@pytest.mark.parametrize("body", cases(TWINS))
def test_a_key_that_only_looks_like_name_is_none(target, body):
    for name in ("exists", "remove", "install_certificates"):
        refused(target, name, body, "name")


@pytest.mark.parametrize("key", ["Name", "NAME", "na\u017fe", "name ", "\u212aame", "name\u0000"])
@pytest.mark.parametrize("value", ["../x", "other", 5])
def test_a_twin_beside_the_name_changes_nothing(target, key, value):
    """Refused, or without any effect."""
    target.forget()
    for pair in ({"name": "x", key: value}, {key: value, "name": "x"}):
        reply = call(target, "exists", pair)
        assert reply.status in (200, 400), reply
    assert {head.start.split(b"/")[-3] for head in target.heads()} <= {b"nc_app_x"}, target.heads()


@pytest.mark.parametrize("key, other", [("image_id", "\u0131mage_id"),
                                        ("mount_points", "Mount_points"),
                                        ("network_mode", "networ\u212a_mode"),
                                        ("restart_policy", "re\u017ftart_policy")])
def test_long_s_and_kelvin_are_no_letters_of_a_key(target, key, other):
    """U+017F and U+212A fold to s and k: what is under such a key is not read."""
    value = {"image_id": "../x", "mount_points": [{"source": "/", "target": "/x", "mode": "rw"}],
             "network_mode": "container:other", "restart_policy": "always"}[key]
    body = {**CREATE, "name": "x", other: value}
    if key == "image_id":
        del body["image_id"]
        refused(target, "create", body, "image_id")
        return
    target.forget()
    reply = call(target, "create", body)
    assert reply.status in (400, 409), reply  # nc_app_x is there already
    for body in target.bodies():
        assert b"container:other" not in body and b'"Source":"/"' not in body
        assert b'"always"' not in body


@pytest.mark.parametrize("size", [(1 << 20) + 1, 3 << 20])
@pytest.mark.parametrize("name", ["exists", "create", "remove"])
def test_a_body_over_1_mib_is_refused(target, name, size):
    body = json.dumps({**CREATE, "name": "x"}).encode()
    refused(target, name, body + b" " * (size - len(body)), statuses=(400, 413))


def test_a_chunked_body_over_1_mib_is_refused(target):
    with target.untouched():
        data = b"10000\r\n" + b" " * 65536 + b"\r\n"
        status = answer_to(target.hub, f"POST {CONTROL}/docker/exapp/exists HTTP/1.1".encode(),
                           [KEY, port_field(target.port), b"Transfer-Encoding: chunked"], data * 32)
        assert status in (400, 413)


@pytest.mark.parametrize("behind", [b"", b"{", b'{"name":"x"'])
def test_a_body_that_never_comes_asks_nothing(target, behind):
    """The client promises more than it sends, and leaves."""
    with target.untouched():
        line = f"POST {CONTROL}/docker/exapp/remove HTTP/1.1".encode()
        fields = [KEY, port_field(target.port), b"Content-Length: 100"]
        assert answer_to(target.hub, line, fields, behind, leave=True) in (None, 400)


# ---- paths, methods, queries ----

@pytest.mark.parametrize("path", ["/docker", "/docker/", "/docker/exapp", "/docker/exapp/",
                                  "/docker/exapp/x",
                                  "/docker/exapp/Exists", "/docker/exapp/exists/",
                                  "/docker/exapp/exists/x",
                                  "/docker/exapp//exists", "/docker//exapp/exists",
                                  "/docker/app/exists",
                                  "/docker/exapp/exists%2f", "/docker/exapp/e%78ists",
                                  "/Docker/exapp/exists",
                                  "/docker/exapp/exec", "/docker/exapp/prune", "/docker/v1.41/info",
                                  "/docker/exapp/exists;x", "/docker/exapp/remove?name=x&"])
def test_a_path_that_is_no_typed_call_is_refused(target, path):
    with target.untouched():
        status = answer_to(target.hub, f"POST {CONTROL}{path} HTTP/1.1".encode(),
                           [KEY, port_field(target.port), b"Content-Length: 2"], b"{}")
        assert status in (400, 403, 404), status


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("name", [*APP_CALLS, "image_remove"])
def test_typed_calls_are_posts(target, name, method):
    with target.untouched():
        body = json.dumps({**CREATE, "name": "x", "image_ref": IMAGE}).encode()
        status = answer_to(target.hub, f"{method} {CONTROL}/docker/exapp/{name} HTTP/1.1".encode(),
                           [KEY, port_field(target.port), b"Content-Length: %d" % len(body)], body,
                           method)
        assert status in (405, 501), status


def test_a_query_is_no_body(target):
    with target.untouched():
        reply = fetch(target.hub.http, CONTROL + "/docker/exapp/remove?name=x&remove_data=true",
                      KEY, port_field(target.port), b"Content-Length: 0", method="POST")
        assert reply.status == 400


def test_no_port_no_call(target):
    with target.untouched():
        for name in (*APP_CALLS, "image_remove"):
            reply = control(target.hub, "POST", f"/docker/exapp/{name}",
                            {**CREATE, "image_ref": IMAGE})
            assert reply.status == 400 and "docker-engine-port" in reply.text, reply
