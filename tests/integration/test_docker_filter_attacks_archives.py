"""What somebody tries who may put files into containers through harp-socket-filter, and wants more:
tar archives.

An archive is judged as it passes, so that a good beginning of a bad one may come to the engine. No
call is ever whole there, which a recorder shows; and a second filter, with nothing between it and
the engine, shows what becomes of a container's files.
"""
import gzip
import io
import json
import tarfile

import pytest

from harness.filter_attacks import NO, cases, filter_target, judge

CONTAINER = "nc_app_x"
PUT = f"PUT /v1.41/containers/{CONTAINER}/archive"
TAR = b"Content-Type: application/x-tar"
FOLDER = "usr/local/share/ca-certificates/"
GOOD_NAME = FOLDER + "a.crt"
END = bytes(1024)
EVIL = b"evil"


def header(name=GOOD_NAME, content=b"", kind=b"0", link=b"", mode=b"0000644\0", uid=b"0000000\0",
           gid=b"0000000\0",
           size=None, mtime=b"00000000000\0", magic=b"ustar\0" + b"00", rest=b"", checksum=None):
    """One block; fields are bytes as they are to stand there."""
    name = name.encode() if isinstance(name, str) else name
    size = b"%011o\0" % len(content) if size is None else size
    block = bytearray(512)
    for at, value in ((0, name), (100, mode), (108, uid), (116, gid), (124, size), (136, mtime),
                      (148, b" " * 8),
                      (156, kind), (157, link), (257, magic), (265, rest)):
        block[at:at + len(value)] = value
    block[148:156] = b"%06o\0 " % sum(block) if checksum is None else checksum
    return bytes(block[:512])


def member(name=GOOD_NAME, content=EVIL, **fields):
    return header(name, content, **fields) + content + bytes(-len(content) % 512)


def pax(*records, kind=b"x", name="PaxHeaders/x"):
    """A pax header with those records: (key, value)."""
    text = b""
    for key, value in records:
        body = b" %s=%s\n" % (key, value)
        size = len(body)
        while len(b"%d" % size + body) != size:
            size = len(b"%d" % size + body)
        text += b"%d" % size + body
    return member(name, text, kind=kind)


def link(name, to, kind=b"2"):
    return header(name, kind=kind, link=to)


def sparse_gnu():
    """GNU's old sparse form: the map is in the header, where ustar has the prefix."""
    return header(GOOD_NAME, kind=b"S", magic=b"ustar  \0", size=b"%011o\0" % 0,
                  rest=bytes(121) + b"%011o\0" % 0 + b"%011o\0" % 4)


GOOD = member(content=b"good")
OUTSIDE = ["evil", "etc/passwd", "usr/bin/evil", "root/.ssh/authorized_keys",
           "usr/local/share/evil",
           "usr/local/share/ca-certificates", "usr/local/share/ca-certificatesx/a",
           "usr/local/share/ca-certificates/../a",
           "usr/local/share/ca-certificates/./a", "usr/local/share/ca-certificates//a",
           "./" + GOOD_NAME, "../evil",
           "../../../../evil", "/" + GOOD_NAME, "/etc/passwd", "//etc/passwd",
           "usr/local/share/ca-certificates/a/",
           "USR/local/share/ca-certificates/a", "usr\\local\\share\\ca-certificates\\a",
           "certs/frpx/a", "certs/a", "certs/frp",
           "etc/pki/ca-trust/source/a", "etc/pki/ca-trust/source/anchors",
           "x/usr/local/share/ca-certificates/a", "", ".",
           "..", "/", "usr/local/share/ca-certificates/..", "C:/evil", FOLDER + "a\n",
           FOLDER + "a\x7f", FOLDER + "\u00e4",
           FOLDER + "..\\..\\evil", FOLDER + ".wh..wh..opq/../../evil", "proc/self/exe", "dev/null",
           "var/run/docker.sock"]
FOLDERS = ["evil/", "etc/cron.d/", "usr/bin/", "../", "/", "./", "usr/local/share/x/", "root/",
           "certs/x/", "usr//local/",
           "usr/./local/", "usr/local/../../etc/"]
# name: the members. All end as they should.
MEMBERS = {
    **{f"file {name!r}": member(name) for name in OUTSIDE},
    **{f"folder {name!r}": header(name, kind=b"5") for name in FOLDERS},
    "a symbolic link": link(GOOD_NAME, b"/etc/passwd"), "a link in the folder": link(GOOD_NAME,
            b"b"),
    "a link to /": link("certs/frp", b"/"), "a link, then a file through it": link(FOLDER + "l",
            b"/") + member(FOLDER + "l/evil"),
    "a link in place of the folder": link(FOLDER[:-1], b"/etc") + member(FOLDER + "passwd"),
    "a hard link": link(GOOD_NAME, b"etc/passwd", b"1"),
    "a hard link, then content": link(FOLDER + "l", b"bin/sh", b"1")
    + member(FOLDER + "l"), "a character device": header(kind=b"3", rest=b"0000001\0"),
    "a block device":
    header(kind=b"4"), "a fifo": header(kind=b"6"), "contiguous": member(kind=b"7"),
    "a socket": member(kind=b"s"),
    "kind A": member(kind=b"A"), "kind D": member(kind=b"D"), "kind M": member(kind=b"M"),
    "kind N": member(kind=b"N"),
    "kind V": member(kind=b"V"), "kind X": member(kind=b"X"), "kind blank": member(kind=b" "),
    "kind 9": member(kind=b"9"),
    "a link's target in a file": member(link=b"/etc/passwd"),
    "a folder with content": member(FOLDER + "d/", kind=b"5"),
    "set-uid": member(mode=b"0004755\0"), "set-gid": member(mode=b"0002755\0"),
    "sticky": member(mode=b"0001644\0"),
    "a set-uid folder": header(FOLDER, kind=b"5", mode=b"0004755\0"),
    "a mode over 12 bits": member(mode=b"7777777\0"),
    "a mode of type bits, set-uid": member(mode=b"0104755\0"),
    "no mode that is one": member(mode=b"0000xyz\0"),
    "pax path": pax((b"path", b"etc/passwd")) + GOOD,
    "pax path of dots": pax((b"path", b"../evil")) + GOOD,
    "pax path, the same": pax((b"path", GOOD_NAME.encode())) + GOOD,
    "pax linkpath": pax((b"linkpath", b"/etc")) + GOOD,
    "pax size": pax((b"size", b"0")) + GOOD,
    "pax size over the file": pax((b"size", b"1024")) + GOOD,
    "pax uid": pax((b"uid", b"0")) + GOOD, "pax mode": pax((b"mode", b"4755")) + GOOD,
    "pax xattr": pax((b"SCHILY.xattr.security.capability", b"\1\0\0\2\xff\xff\xff\xff")) + GOOD,
    "pax xattr, LIBARCHIVE": pax((b"LIBARCHIVE.xattr.user.a", b"YQ==")) + GOOD, "pax device":
    pax((b"SCHILY.devmajor", b"8")) + GOOD, "pax GNU.sparse.name": pax((b"GNU.sparse.major", b"1"),
            (
        b"GNU.sparse.minor", b"0"), (b"GNU.sparse.name", b"etc/passwd"), (b"GNU.sparse.realsize",
                b"4")) + GOOD,
    "pax GNU.sparse.map": pax((b"GNU.sparse.map", b"0,4"), (b"GNU.sparse.numblocks", b"1")) + GOOD,
    "pax charset": pax((b"hdrcharset", b"BINARY")) + GOOD,
    "pax comment": pax((b"comment", b"a")) + GOOD,
    "pax path behind a time": pax((b"mtime", b"1"), (b"path", b"etc/passwd")) + GOOD,
    "pax path in a value": pax((b"mtime", b"1\n20 path=etc/passwd")) + GOOD,
    "pax for all": pax((b"path", b"etc/x"), kind=b"g") + GOOD,
    "pax for all, times": pax((b"mtime", b"1"), kind=b"g") + GOOD,
    "two pax headers": pax((b"mtime", b"1")) * 2 + GOOD,
    "pax without a member": pax((b"mtime", b"1")), "pax of Sun": pax((b"path", b"etc/x"),
            kind=b"X") + GOOD,
    "pax with a wrong length": member("x", b"99 mtime=1\n", kind=b"x") + GOOD,
    "pax without a newline":
    member("x", b"10 mtime=1", kind=b"x") + GOOD, "pax with a NUL": member("x",
            b"17 path=etc/evil\0", kind=b"x") + GOOD,
    "pax of 5000 bytes": pax((b"mtime", b"1" * 5000)) + GOOD, "pax length with a zero": member("x",
            b"011 mtime=1\n", kind=b"x") + GOOD,
    "pax empty key": pax((b"", b"x")) + GOOD, "GNU long name": member("././@LongLink",
            b"etc/passwd\0", kind=b"L") + GOOD,
    "GNU long name, the same": member("././@LongLink", GOOD_NAME.encode() + b"\0",
                                      kind=b"L") + GOOD,
    "GNU long link": member("././@LongLink", b"/etc/passwd\0", kind=b"K") + GOOD,
    "GNU sparse": sparse_gnu(),
    "base-256 size": member(size=b"\x80" + bytes(10) + b"\4"),
    "base-256 size, negative": member(size=b"\xff" * 12),
    "base-256 uid": member(uid=b"\x80" + bytes(6) + b"\1"),
    "base-256 mode": member(mode=b"\x80" + bytes(5) + b"\x09\xed"),
    "a size with a sign": member(size=b"-0000000004\0"),
    "a size in hex": member(size=b"0000000000x\0"),
    "a size of 8": member(size=b"00000000008\0"), "an empty size": member(size=bytes(12)),
    "digits behind a NUL":
    member(size=b"4\0" + b"7777777777"), "a size of 12 digits": member(size=b"777777777777"),
    "a size of 8 GiB": member(size=b"77777777777\0"),
    "a size over the limit": member(size=b"%011o\0" % ((16 << 20) + 1)),
    "a wrong checksum": member(checksum=b"0000000\0"), "no checksum": member(checksum=bytes(8)),
    "a checksum one off":
    member(checksum=b"%06o\0 " % (int(member()[148:154], 8) + 1)),
    "a checksum of blanks": member(checksum=b" " * 8),
    "no magic": member(magic=bytes(8)), "another magic": member(magic=b"ustar\0" + b"01"),
    "v7": member(magic=b""),
    "bytes behind a name's NUL": member(GOOD_NAME.encode() + b"\0../evil"),
    "a prefix that leads out":
    member("evil", rest=bytes(80) + b"etc"), "a prefix of dots": member(GOOD_NAME,
            rest=bytes(80) + b".."),
    "a prefix with a slash": member(GOOD_NAME, rest=bytes(80) + b"/"),
    "bytes behind a prefix's NUL":
    member("a.crt", rest=bytes(80) + FOLDER[:-1].encode() + b"\0/etc"), "bytes in the last 12":
    member(rest=bytes(235) + b"tar\0"),
    "a second archive behind": GOOD + END + member("etc/passwd"),
    "bytes behind the end": GOOD + END + b"x" + bytes(511),
    "one zero block, then a file": GOOD + bytes(512) + member("evil"),
    "good, then a link": GOOD + link(FOLDER + "b", b"/"),
    "good, then outside": GOOD + member("etc/passwd"),
    "17 MiB": member(content=bytes(17 << 20)), "zip": b"PK\3\4" + bytes(508),
    "ar": b"!<arch>\n" + bytes(504),
    "cpio": b"070701" + bytes(506), "text": b"etc/passwd".ljust(512, b"\n"),
    "JSON": b"{}".ljust(512),
}
# As MEMBERS, but whole: what comes as the body.
WHOLE = {
    "nothing but a NUL": b"\0", "a half block": GOOD[:300], "cut in the content": GOOD[:514],
    "without an end": GOOD,
    "with half an end": GOOD + bytes(512), "cut in the end": GOOD + bytes(1000),
    "gzip": gzip.compress(GOOD + END),
    "gzip behind a good one": GOOD + END + gzip.compress(member("evil") + END),
    "bzip2": b"BZh9" + bytes(1020),
    "xz": b"\xfd7zXZ\0" + bytes(1018), "zstd": b"\x28\xb5\x2f\xfd" + bytes(1020),
    "a promise of 1 MiB":
    header(size=b"%011o\0" % (1 << 20)) + b"evil",
    "17 MiB of zeros behind the end": GOOD + END + bytes(17 << 20),
}
QUERIES = ["", "?path=/etc", "?path=/.", "?path=//", "?path=/usr/local/share/ca-certificates",
           "?path=..", "?path=.",
           "?path=", "?path=/../", "?path=%2Fetc", "?path=/%00", "?path=/&path=/etc", "?Path=/",
           "?path=/etc&path=/",
           "?path=/&copyUIDGID=true", "?path=/&copyUIDGID=1", "?path=/&copyUIDGID=yes",
           "?path=/&noOverwriteDirNonDir=x",
           "?path=/&pause=false", "?path=/&x=1", "?path=/&rename=%7B%7D", "?path=\\",
           "?path=/;path=/etc"]
TYPES = [[], [b"Content-Type: application/json"], [b"Content-Type: application/gzip"],
         [b"Content-Type: application/x-gtar"],
         [TAR, b"Content-Encoding: gzip"], [TAR, b"Content-Encoding: identity"], [TAR, TAR],
         [b"Content-Type: application/x-tarx"],
         [b"Content-Type: application/octet-stream"], [TAR, b"Content-Type: application/json"]]


@pytest.fixture(scope="module")
def target(tmp_path_factory, certs, engine):
    made = filter_target(tmp_path_factory, certs, engine)
    target = next(made)
    try:
        target.direct = target.site.filter(engine.socket).path
        yield target
        next(made, None)
    finally:
        made.close()


def put(target, body, query="?path=/", fields=(TAR,), path=None):
    return target.call(PUT + query, None, [*fields, b"Content-Length: %d" % len(body)], body, path)


def changes(target):
    """All files of the container that are not the image's: their paths."""
    found = json.loads(target.api.call("GET", f"/containers/{CONTAINER}/changes")) or []
    return {entry["Path"] for entry in found}


LEADS = {"/usr", "/usr/local", "/usr/local/share", "/usr/local/share/ca-certificates"}


def check_refused(target, body):
    """By both filters. What there is in the container afterwards is a good beginning at most."""
    target.quiet()
    judge(put(target, body), NO | {413}, body[:40])
    assert target.call("GET /_ping").status == 200
    assert [asked.path for asked in target.recorder.asked()] == ["/_ping"]
    judge(put(target, body, path=target.direct), NO | {413}, body[:40])


def test_there_are_at_least_150_attempts():
    assert len(MEMBERS) + len(WHOLE) + len(QUERIES) + len(TYPES) >= 150


@pytest.mark.parametrize("members", cases(MEMBERS))
def test_an_archive_that_would_write_elsewhere_is_refused(target, members):
    check_refused(target, members + END)
    if members.startswith(GOOD):
        check_refused(target, members)
    else:
        check_refused(target, GOOD + members + END)  # behind a good file


@pytest.mark.parametrize("body", cases(WHOLE))
def test_a_body_that_is_not_one_whole_archive_is_refused(target, body):
    check_refused(target, body)


def test_what_came_of_all_that_is_good_at_most(target):
    """Of the archives before, only what stood in front of the fault, and in the folders that are
    granted."""
    files = {path for path in changes(target) if path not in LEADS}
    assert all(path.startswith("/" + FOLDER) for path in files), files
    for path, content in (target.api.files(CONTAINER, "/" + FOLDER[:-1]) or {}).items():
        assert content in (b"good", b""), path
    state = target.api.call("GET", f"/containers/{CONTAINER}/archive", query={"path": "/usr"})
    with tarfile.open(fileobj=io.BytesIO(state)) as tar:
        kinds = {one.name: one for one in tar.getmembers() if one.name.startswith(FOLDER)}
    assert all(one.isdir() or one.isfile() for one in kinds.values())
    assert all(one.mode & 0o7000 == 0 and one.uid == 0 for one in kinds.values())


@pytest.mark.parametrize("query", QUERIES)
def test_archives_go_to_the_root_only(target, query):
    with target.untouched():
        judge(put(target, GOOD + END, query), NO, query)


@pytest.mark.parametrize("fields", TYPES, ids=str)
def test_an_archive_of_another_type_is_refused(target, fields):
    with target.untouched():
        judge(put(target, GOOD + END, fields=fields), NO, fields)


def test_more_members_than_4096_are_refused(target):
    """By the filter in front of the recorder alone: an engine takes its time for so many."""
    body = b"".join(header(f"{FOLDER}{number}") for number in range(4097)) + END
    target.quiet()
    judge(put(target, body), {403}, "4097 members", ("too many members",))
    assert target.call("GET /_ping").status == 200
    assert [asked.path for asked in target.recorder.asked()] == ["/_ping"]


def test_an_archive_that_never_ends_is_none(target):
    """The client leaves inside, and the engine must not take that for the end."""
    for framing, body in (([b"Content-Length: 100000"], GOOD), ([b"Transfer-Encoding: chunked"],
            b"400\r\n" + GOOD + b"\r\n"),
                          ([b"Transfer-Encoding: chunked"], b"400\r\n" + GOOD[:90])):
        target.quiet()
        line = f"{PUT}?path=/ HTTP/1.1".encode()
        assert target.send(line, [TAR, *framing], body, "PUT", leave=True) is None
        target.recorder.wait_idle()
        assert target.recorder.asked() == []


@pytest.mark.parametrize("name", [GOOD_NAME, "etc/pki/ca-trust/source/anchors/a.crt",
                                  "certs/frp/a.crt"])
def test_what_may_pass_is_seen_to_pass(target, name):
    """Else nothing here could fail. As PHP writes it, with NULs for the owner."""
    for body in (member(name, b"good", uid=bytes(8), gid=bytes(8)) + END,
                 pax((b"mtime", b"1")) + member(name, b"good") + END):
        target.quiet()
        reply = put(target, body)
        assert reply.status == 200, reply
        asked, = target.recorder.asked()
        with tarfile.open(fileobj=io.BytesIO(asked.body)) as tar:
            assert [one.name for one in tar.getmembers()] == [name]
        assert target.api.files(CONTAINER, "/" + name.rpartition("/")[0])["/" + name] == b"good"
