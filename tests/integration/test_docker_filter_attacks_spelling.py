"""What somebody tries who may make containers through harp-socket-filter, and wants the Docker
host: bodies that the filter and Go's decoder might read in two ways.

Go takes a key in any letter case, with U+017F for s and U+212A for k, and the last of two; it takes
null for an empty object, and replaces what is no UTF-8.
"""
import gzip
import json

import pytest

from harness.docker_images import PLAIN
from harness.filter_attacks import cases, filter_target, judge

CREATE = "POST /v1.41/containers/create?name=nc_app_new"
EXEC = "POST /v1.41/containers/nc_app_x/exec"
VOLUME = "POST /v1.41/volumes/create"
START = f"POST /v1.41/exec/{'0' * 64}/start"
GOOD_HOST = b'{"NetworkMode":"host"}'
IMAGE = b'"Image":"%s"' % PLAIN.encode()

# What is granted by no policy, and what is, with a value that is not: key of HostConfig, value.
EVIL = {
    "Privileged": b"true", "CapAdd": b'["ALL"]', "Binds": b'["/:/host"]', "PidMode": b'"host"',
    "IpcMode": b'"host"', "SecurityOpt": b'["seccomp=unconfined"]',
    "Devices": b'[{"PathOnHost":"/dev/sda"}]',
    "VolumesFrom": b'["other"]', "UsernsMode": b'"host"', "MaskedPaths": b"[]",
    "Links": b'["other:x"]',
    "OomKillDisable": b"true", "Mounts": b'[{"Type":"bind","Source":"/","Target":"/x"}]',
    "NetworkMode": b'"container:other"', "DeviceRequests": b'[{"Driver":"nvidia","Count":-1}]',
    "PortBindings": b'{"80/tcp":[{"HostIp":"0.0.0.0"}]}', "Tasks": b"1", "Sysctls": b'{"a":"b"}',
}
# The same at the top: Config's own, and HostConfig as a whole.
EVIL_TOP = {"HostConfig": b'{"Privileged":true}', "Entrypoint": b'["sh"]', "User": b'"root"',
            "Volumes": b'{"/x":{}}', "Cmd": b'["id"]', "Healthcheck": b'{"Test":["CMD","id"]}',
            "NetworkingConfig": b'{"EndpointsConfig":{"container:other":{}}}',
            "Labels": b'{"a=b":"c"}'}


def escaped(key, at):
    """One letter as \\uXXXX: the same key to every reader."""
    return f"{key[:at]}\\u{ord(key[at]):04x}{key[at + 1:]}"


def spellings(key):
    """Of a key: those that Go's decoder takes, and those that only look alike."""
    found = {
        "lower": key.lower(), "upper": key.upper(), "swapped": key.swapcase(),
        "first letter": key[0].swapcase() + key[1:], "last letter": key[:-1] + key[-1].swapcase(),
        "escaped": escaped(key, 0), "escaped inside": escaped(key, len(key) // 2),
        "all escaped": "".join(f"\\u{ord(letter):04X}" for letter in key),
        "escaped and lower": escaped(key.lower(), 0), "blank behind": key + " ",
        "blank in front": " " + key,
        "NUL behind": key + "\\u0000", "NUL in front": "\\u0000" + key,
        "BOM in front": "\ufeff" + key,
        "zero-width": key[:1] + "\u200b" + key[1:], "dash": key[:1] + "-" + key[1:], "_": key + "_",
        "combining": key + "\u0301", "full-width": chr(ord(key[0]) + 0xfee0) + key[1:],
    }
    for letter, others in (("s", "\u017f"), ("k", "\u212a"), ("a", "\u0430"), ("i",
            "\u0131\u0130")):
        at = key.lower().find(letter)
        for other in others if at >= 0 else "":
            found[f"U+{ord(other):04X}"] = key[:at] + other + key[at + 1:]
            found[f"\\u{ord(other):04x}"] = f"{key[:at]}\\u{ord(other):04x}{key[at + 1:]}"
    return found


def every(table):
    return [pytest.param(spelling.encode(), value, id=f"{key}-{name}")
            for key, value in table.items() for name, spelling in spellings(key).items()]


def member(key, value):
    return b'"%s":%s' % (key, value)


def body(*members, top=()):
    """HostConfig holds the members."""
    return b"{%s}" % b",".join([IMAGE, b'"HostConfig":{%s}' % b",".join(members), *top])


GOOD = body(b'"NetworkMode":"host"')
BAD = b'{"Privileged":true}'
# Whole bodies of containers/create.
BODIES = {
    "nothing": b"", "a blank": b" ", "no JSON": b"Image=a", "cut": GOOD[:-1],
    "cut in a string": GOOD[:-4],
    "two values": GOOD + GOOD, "two values, a blank between": GOOD + b" " + GOOD,
    "bytes behind": GOOD + b"x",
    "a NUL behind": GOOD + b"\0", "a NUL in front": b"\0" + GOOD, "a comma behind": GOOD + b",",
    "a BOM": b"\xef\xbb\xbf" + GOOD, "UTF-16": GOOD.decode().encode("utf-16"),
    "UTF-16LE": GOOD.decode().encode("utf-16-le"), "UTF-16BE": GOOD.decode().encode("utf-16-be"),
    "UTF-32": GOOD.decode().encode("utf-32"), "UTF-7": b"+AHs-" + GOOD[1:],
    "gzip": gzip.compress(GOOD),
    "a form feed": b"\f" + GOOD, "a no-break space": b"\xc2\xa0" + GOOD, "a newline in a string":
    b'{"Image":"a\nb"}', "a tab in a key": b'{"Im\tage":"a"}',
    "invalid UTF-8": b'{"Image":"a\xff"}',
    "invalid UTF-8 in a key": b'{%s,"a\xff":1}' % IMAGE, "overlong": b'{"Image":"a\xc0\xafb"}',
    "a surrogate": b'{"Image":"a\xed\xa0\x80"}', "half a pair": b'{"Image":"a\\ud800"}',
    "the other half": b'{"Image":"a\\udc00"}', "\\x": b'{"Image":"\\x61"}',
    "\\u{}": b'{"Image":"\\u{61}"}',
    "an octal escape": b'{"Image":"\\141"}', "an array": b"[%s]" % GOOD, "an array of it twice":
    b"[%s,%s]" % (GOOD, GOOD), "null": b"null", "true": b"true",
    "a string": json.dumps(GOOD.decode()).encode(),
    "a number": b"5", "empty object": b"{}", "empty array": b"[]",
    "single quotes": b"{'Image':'a'}",
    "no quotes": b"{Image:1}", "a comma too many": GOOD[:-1] + b",}",
    "two commas": b"{%s,,}" % IMAGE,
    "a comment": b"{/* */%s}" % IMAGE, "a comment at the end": GOOD + b"/* */", "a line comment":
    b"{%s//\n}" % IMAGE, "#": b"#\n" + GOOD, "JSONP": b"x(%s)" % GOOD, "XSSI": b")]}'\n" + GOOD,
    "a record mark":
    b"\x1e" + GOOD, "NaN": body(b'"Memory":NaN'), "Infinity": body(b'"Memory":Infinity'),
    "hex": body(b'"Memory":0x10'), "octal": body(b'"Memory":010'), "a plus": body(b'"Memory":+1'),
    "a point in front": body(b'"Memory":.5'), "a point behind": body(b'"Memory":1.'),
    "1e3": body(b'"Memory":1e3'), "1.0": body(b'"Memory":1.0'), "-0.0": body(b'"Memory":-0.0'),
    "1e400": body(b'"Memory":1e400'), "64 bits and more": body(b'"Memory":9223372036854775808'),
    "20 digits": body(b'"Memory":99999999999999999999'),
    "1000 digits": body(b'"Memory":' + b"9" * 1000),
    "a number as text": body(b'"Memory":"1073741824"'), "True": body(b'"Privileged":True'),
    "TRUE": body(b'"Privileged":TRUE'), "1 for true": body(b'"Privileged":1'),
    "33 levels": b'{%s,"Labels":%s}' % (IMAGE, b'{"a":' * 33 + b"1" + b"}" * 33),
    "10,000 arrays": b'{%s,"Cmd":%s}' % (IMAGE, b"[" * 10000 + b"]" * 10000),
    "100,000 arrays that stay open": b"[" * 100000, "100,000 objects": b'{"a":' * 100000,
    "50,000 keys": b"{%s}" % b",".join(b'"%d":1' % n for n in range(50000)),
    "50,000 idle values": body(b'"Binds":[%s]' % b",".join([b"null"] * 50000)),
    "1 MiB and a byte": GOOD + b" " * ((1 << 20) + 1 - len(GOOD)), "a key of 1 MiB":
    b'{%s,"%s":1}' % (IMAGE, b"a" * 1000000),
    "a value of 900 KB": b'{"Image":"%s"}' % (b"a" * 900000),
    "Image twice": b'{%s,"Image":"x"}' % IMAGE, "Image twice, the same": b"{%s,%s}" % (IMAGE,
            IMAGE),
    "Image twice, escaped": b'{%s,"\\u0049mage":"x"}' % IMAGE,
    "Image twice, null": b'{%s,"Image":null}' % IMAGE,
    "a label twice": b'{%s,"Labels":{"a":"b","a":"c"}}' % IMAGE,
    "ReadOnly in two spellings": body(
        b'"Mounts":[{"Type":"volume","Source":"nc_app_x_data","Target":"/x","ReadOnly":true,"Readonly":false}]'),
    "NanoCpus in two spellings": body(b'"NanoCpus":1,"NanoCPUs":2'),
    "Source twice": body(
        b'"Mounts":[{"Type":"volume","Source":"nc_app_x_data","Source":"/","Target":"/x"}]'),
    "Type twice": body(
        b'"Mounts":[{"Type":"volume","Type":"bind","Source":"nc_app_x_data","Target":"/x"}]'),
    "HostIp twice": body(b'"PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1","HostIp":"0.0.0.0"}]}'),
    "a port twice": body(
        b'"PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1"}],"80/tcp":[{"HostIp":""}]}'),
    "HostIp in two cases": body(
        b'"PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1","hostip":"0.0.0.0"}]}'),
    "Source in two cases": body(
        b'"Mounts":[{"Type":"volume","Source":"nc_app_x_data","source":"/","type":"bind","Target":"/x"}]'),
    "Go's own merge": b'{%s,"HostConfig":{"NetworkMode":"host"},"HostConfig":{"Privileged":true}}'
    % IMAGE,
}
# HostConfig more than once, in every order.
TWICE = {
    f"{name}, {order}": b"{%s,%s,%s}" % ((IMAGE, first, second) if order == "in front" else
                                         (IMAGE, second, first))
    for name, (first, second) in {
        "good and bad": (member(b"HostConfig", GOOD_HOST), member(b"HostConfig", BAD)),
        "null": (member(b"HostConfig", b"null"), member(b"HostConfig", BAD)),
        "empty": (member(b"HostConfig", b"{}"), member(b"HostConfig", BAD)),
        "both good": (member(b"HostConfig", GOOD_HOST), member(b"HostConfig", b"{}")),
        "lower case": (member(b"HostConfig", GOOD_HOST), member(b"hostconfig", BAD)),
        "upper case": (member(b"HostConfig", GOOD_HOST), member(b"HOSTCONFIG", BAD)),
        "long s": (member(b"HostConfig", GOOD_HOST), member("Ho\u017ftConfig".encode(), BAD)),
        "long s, escaped": (member(b"HostConfig", GOOD_HOST), member(b"Ho\\u017ftConfig", BAD)),
        "escaped": (member(b"HostConfig", GOOD_HOST), member(b"\\u0048ostConfig", BAD)),
        "an array": (member(b"HostConfig", GOOD_HOST), member(b"HostConfig", b"[%s]" % BAD)),
    }.items() for order in ("in front", "behind")}
# For every call that takes a body: what comes as a body, with fields of its head.
JSON = b"Content-Type: application/json"
TYPES = {
    "none": [], "empty": [b"Content-Type:"], "text": [b"Content-Type: text/plain"],
    "a form": [b"Content-Type: application/x-www-form-urlencoded"],
    "tar": [b"Content-Type: application/x-tar"],
    "multipart": [b"Content-Type: multipart/form-data; boundary=x"], "json in front":
    [b"Content-Type: application/jsonx"], "text/json": [b"Content-Type: text/json"],
    "+json": [b"Content-Type: application/ld+json"],
    "two in one": [b"Content-Type: application/json, text/plain"],
    "two": [JSON, JSON], "json and a form": [JSON,
                                             b"Content-Type: application/x-www-form-urlencoded"],
    "a form and json": [b"Content-Type: application/x-www-form-urlencoded", JSON],
    "gzip": [JSON, b"Content-Encoding: gzip"], "identity": [JSON, b"Content-Encoding: identity"],
    "deflate": [JSON, b"Content-Encoding: deflate"],
    "a lone ;": [b"Content-Type: ;application/json"],
    "*/*": [b"Content-Type: */*"],
}
CALLS = {
    CREATE: GOOD, VOLUME: b'{"Name":"nc_app_y_data"}',
    EXEC: b'{"Cmd":["cat","/etc/os-release"],"AttachStdout":true}',
}


@pytest.fixture(scope="module")
def target(tmp_path_factory, certs, engine):
    yield from filter_target(tmp_path_factory, certs, engine)


def test_there_are_at_least_500_attempts():
    assert len(every(EVIL)) * 2 + len(every(
        EVIL_TOP)) + len(BODIES) + len(TWICE) + len(TYPES) * len(CALLS) >= 500


def test_what_may_pass_is_seen_to_pass(target):
    """Else nothing here could fail. Escapes of plain letters, in keys and values, are the same
    text; what goes on is written anew."""
    target.quiet()
    try:
        text = GOOD.replace(b"host", b"h\\u006fst").replace(b"Image", b"\\u0049mage")
        assert target.call(CREATE, text).status == 201
        asked, = target.recorder.asked()
        assert asked.body == GOOD
        assert target.api.inspect("nc_app_new")["HostConfig"]["NetworkMode"] == "host"
    finally:
        target.api.remove("nc_app_new")


@pytest.mark.parametrize("key, value", every(EVIL))
def test_a_key_of_hostconfig_is_refused_in_every_spelling(target, key, value):
    """Alone, and behind and in front of what is good."""
    good = b'"NetworkMode":"host"'
    with target.untouched():
        for text in (body(member(key, value)), body(good, member(key, value)),
                     body(member(key, value), good)):
            judge(target.call(CREATE, text), {400, 403}, text)


@pytest.mark.parametrize("key, value", every(EVIL))
def test_a_key_of_hostconfig_is_refused_at_the_top(target, key, value):
    target.refused(CREATE, body(top=[member(key, value)]))


@pytest.mark.parametrize("key, value", every(EVIL_TOP))
def test_a_key_is_refused_in_every_spelling(target, key, value):
    """Alone, and beside a good HostConfig."""
    with target.untouched():
        for text in (b"{%s,%s}" % (IMAGE, member(key, value)), b"{%s,%s}" % (member(key, value),
                IMAGE),
                     body(top=[member(key, value)])):
            judge(target.call(CREATE, text), {400, 403}, text)


@pytest.mark.parametrize("key", [key.encode() for key in spellings("Name").values()
                                 if json.loads(f'"{key}"') not in ("Name", "name")])
def test_a_volume_is_named_by_no_other_key(target, key):
    """AppAPI's `name` and Docker's `Name` aside."""
    target.refused(VOLUME, b'{"%s":"nc_app_y_data"}' % key)
    target.refused(VOLUME, b'{"Name":"nc_app_y_data","%s":"other_data"}' % key)


@pytest.mark.parametrize("text", cases(BODIES, TWICE))
def test_a_body_that_is_not_plainly_good_is_refused(target, text):
    target.refused(CREATE, text, statuses={400, 403, 413})


@pytest.mark.parametrize("fields", cases(TYPES))
@pytest.mark.parametrize("call", CALLS)
def test_a_body_of_another_type_is_refused(target, call, fields):
    """The engine reads a form in place of the query, and nothing that is packed."""
    text = CALLS[call]
    for behind in (text, gzip.compress(text), b"fromSrc=-&repo=alpine&Name=x"):
        target.refused(call, None, [*fields, b"Content-Length: %d" % len(behind)], behind)


@pytest.mark.parametrize("text", [b"fromImage=a", b"fromSrc=-",
                                  b"fromSrc=http%3A%2F%2Fx%2F&repo=alpine&tag=latest",
                                  b"fromSrc=-&changes=ENTRYPOINT+sh", b"message=a&repo=b",
                                  b"platform=linux"])
@pytest.mark.parametrize("kind", [b"application/x-www-form-urlencoded", b"application/json",
                                  b"multipart/form-data",
                                  b"application/x-www-form-urlencoded; charset=utf-8"])
def test_a_form_does_not_take_the_place_of_the_query(target, text, kind):
    for query in ("", "?fromImage=a", "?fromImage=a&tag=b"):
        target.refused("POST /v1.41/images/create" + query, text, [b"Content-Type: " + kind])


@pytest.mark.parametrize("call", [CREATE, EXEC, VOLUME, START])
def test_a_call_that_needs_a_body_is_refused_without(target, call):
    target.refused(call, statuses={403})
    target.refused(call, b"", statuses={403})


@pytest.mark.parametrize("size", [(1 << 20) + 1, 2 << 20, 1 << 40, (1 << 63) - 1])
def test_a_length_over_1_mib_is_refused_before_the_body_comes(target, size):
    with target.untouched():
        reply = target.send(b"POST /v1.41/containers/create?name=nc_app_new HTTP/1.1",
                            [JSON, b"Content-Length: %d" % size], b"{", "POST")
        judge(reply, {413}, size)
