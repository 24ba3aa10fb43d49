"""What somebody tries who may make containers through harp-socket-filter, under a policy that lists
folders of the host, and wants others: names, links, and links that are swapped in while calls go
on.
"""
import ctypes
import os
import pathlib
import shutil
import socket
import tempfile
import threading

import pytest

from harness.docker_images import PLAIN
from harness.filter_attacks import filter_target, judge

NEW = "POST /v1.41/containers/create?name=nc_app_new"
RENAME_EXCHANGE = 2  # of renameat2(2)
SWAPS = 60
# What is listed, and how. `open` may be written by everybody, `away` is a link.
POLICY = """
  {{ name = "folders"; base = "appapi"; binds = (
     {{ path = "{0}/listed"; below = true; }}, {{ path = "{0}/open"; below = true; }},
     {{ path = "{0}/whole"; read_only = false; }}, {{ path = "{0}/shown"; }}, {{ path = "{0}/away"; }},
     {{ path = "{0}/away/below"; below = true; }} ); }}"""

# Sources, of which the first part is in the folder of the test's own; whether only reading is asked
# for.
BAD = [
    ("listed/link_to_root", True), ("listed/link_to_root/etc", True), ("listed/link_to_etc", True),
    ("listed/link_to_socket", True), ("listed/link_to_secret", True), ("listed/link_to_child",
            True),
    ("listed/relative_link", True), ("listed/link_to_link", True), ("listed/dangling", True),
    ("listed/loop", True),
    ("listed/child/link_up", True), ("listed/child/link_up/secret", True), ("listed/fifo", True),
    ("listed/sock", True),
    ("listed/missing", True), ("listed/child/missing", True), ("listed/..", True),
    ("listed/../secret", True),
    ("listed/child/../../secret", True), ("listed/.", True), ("listed/./child", True),
    ("listed//child", True),
    ("listed/child/", True), ("listed/", True), ("/listed/child", True), ("listedx", True),
    ("liste", True), ("", True),
    ("secret", True), ("secret/inner", True), ("listed", False), ("listed/child", False),
    ("listed/file", False),
    ("Listed/child", True), ("listed/child\0/x", True), ("listed/child\n", True), ("listed/child ",
            True),
    ("listed/child:rw", True), ("listed/child,rw", True), ("listed\\child", True),
    ("listed/%2e%2e/secret", True),
    ("listed/\u2025/secret", True), ("listed/theirs/inner", True), ("listed/sticky/inner", True),
    ("open/child", True), ("open/child/inner", True), ("whole/child", True), ("whole/child", False),
    ("shown", False),
    ("shown/child", True), ("away", True), ("away/child", True), ("away/below", True),
    ("away/below/child", True),
    ("listed/" + "a" * 300, True), ("listed/" + "a/" * 100 + "b", True),
]
OPTIONS = [{}, {"Propagation": "shared"}, {"Propagation": "rshared"}, {"Propagation": "slave"},
           {"NonRecursive": True},
           {"CreateMountpoint": True}, {"ReadOnlyNonRecursive": True},
           {"ReadOnlyForceRecursive": False}]
MORE = [{"VolumeOptions": {}}, {"TmpfsOptions": {}}, {"source": "/"}, {"Source ": "/"},
        {"Type": "Bind"},
        {"Type": "volume"}, {"Consistency": "cached"}, {"ReadOnly": "true"}, {"ReadOnly": None},
        {"ReadOnly": False},
        {"ReadOnly": True, "Readonly": False}, {"ReadOnly": False, "Readonly": True},
        {"readonly": True},
        {"Target": "/"}, {"Target": "/x/../y"}, {"Target": "x"}, {"RW": False}, {"Mode": "ro"}]


def make(folder):
    """The host's folders. All belong to root, and nobody else may write but where it is said."""
    folder.chmod(0o755)
    for name in ("listed/child", "listed/theirs/inner", "listed/sticky/inner", "open/child/inner",
                 "whole/child",
                 "shown/child", "secret/inner", "secret/below/child", "secret/child"):
        (folder / name).mkdir(parents=True)
    (folder / "secret/key").write_text("secret")
    (folder / "listed/file").write_text("file")
    for name, to in {"link_to_root": "/", "link_to_etc": "/etc",
                     "link_to_socket": "/var/run/docker.sock",
                     "link_to_secret": folder / "secret", "link_to_child": folder / "listed/child",
                     "relative_link": "../secret", "link_to_link": "link_to_secret",
                     "dangling": "/nowhere",
                     "loop": "loop", "child/link_up": "../.."}.items():
        (folder / "listed" / name).symlink_to(to)
    (folder / "away").symlink_to(folder / "secret")
    os.mkfifo(folder / "listed/fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "listed/sock"))
    os.chown(folder / "listed/theirs", 1000, 1000)
    (folder / "listed/sticky").chmod(0o1777)
    (folder / "open").chmod(0o777)


@pytest.fixture(scope="module")
def target(tmp_path_factory, certs, engine):
    # Not where everybody can make names, as in /tmp: nothing there could be mounted.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="harp-binds-", dir="/srv"))
    made = None
    try:
        make(folder)
        made = filter_target(tmp_path_factory, certs, engine, listeners=[
            '{ address = "unix:{path}"; policy = "folders"; }'], policies=POLICY.format(folder))
        target = next(made)
        target.folder = folder
        yield target
        next(made, None)
    finally:
        if made:
            made.close()
        shutil.rmtree(folder)


def body(place, read_only=True, /, **more):
    mount = {"Type": "bind", "Source": str(place), "Target": "/x", "ReadOnly": read_only, **more}
    return {"Image": PLAIN, "HostConfig": {"NetworkMode": "host", "Mounts": [mount]}}


def test_there_are_at_least_80_attempts():
    assert len(BAD) + len(OPTIONS) + len(MORE) >= 80 and len(set(BAD)) == len(BAD)


@pytest.mark.parametrize("name, read_only", [("listed", True), ("listed/child", True),
                                             ("listed/file", True),
                                             ("open", True), ("whole", False), ("whole", True),
                                             ("shown", True)])
def test_what_may_pass_is_seen_to_pass(target, name, read_only):
    """Else nothing here could fail."""
    try:
        assert target.call(NEW, body(target.folder / name, read_only)).status == 201
        mount, = target.api.inspect("nc_app_new")["Mounts"]
        assert mount["Source"] == str(target.folder / name) and mount["RW"] is not read_only
        assert mount["Propagation"] == "rprivate"
    finally:
        target.api.remove("nc_app_new")


@pytest.mark.parametrize("name, read_only", BAD, ids=lambda value: repr(value)[:30])
def test_what_is_not_exactly_a_listed_folder_is_not_mounted(target, name, read_only):
    target.refused(NEW, body(f"{target.folder}/{name}", read_only), statuses={403})
    if name.startswith("listed/") and name.isprintable():
        target.refused(NEW, body(f"/srv/../{target.folder}/{name}", read_only), statuses={403})


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_listed_folder_is_mounted_without_options(target, options):
    target.refused(NEW, body(target.folder / "listed/child", BindOptions=options), statuses={403})
    target.refused(NEW, body(target.folder / "whole", BindOptions=options), statuses={403})


@pytest.mark.parametrize("more", MORE, ids=str)
def test_a_listed_folder_is_mounted_in_one_form(target, more):
    target.refused(NEW, body(target.folder / "listed/child", **more), statuses={403})


@pytest.mark.parametrize("key", ["source", "SOURCE", "\u017fource", "Source\u0000", "sourc\u00e9",
                                 "Src", "src"])
@pytest.mark.parametrize("other", ["/", "/etc", "/var/run/docker.sock"])
def test_no_other_key_names_the_source(target, key, other):
    target.refused(NEW, body(target.folder / "listed/child", **{key: other}), statuses={403})


# ---- swaps ----

class Swapping:
    """A thread that changes places of two names all the time, until the end of the `with`. `turns`
    counts."""

    def __init__(self, one, other):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.names = [os.fsencode(one), os.fsencode(other)]
        self.stop, self.turns, self.errors = threading.Event(), 0, []
        self.started = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.stop.is_set():
            if self.libc.renameat2(-100, self.names[0], -100, self.names[1], RENAME_EXCHANGE):
                self.errors.append(os.strerror(ctypes.get_errno()))
                self.started.set()
                return
            self.turns += 1
            self.started.set()

    def __enter__(self):
        self.thread.start()
        assert self.started.wait(10)
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(10)
        assert not self.errors and self.turns > 0, self.errors
        if self.turns % 2:
            self.libc.renameat2(-100, self.names[0], -100, self.names[1], RENAME_EXCHANGE)


def test_a_link_that_somebody_may_swap_in_is_never_mounted(target):
    """The folder above is everybody's: whatever stands there when it is looked at, nothing
    passes."""
    (target.folder / "open/link").symlink_to(target.folder / "secret")
    with target.untouched(), Swapping(target.folder / "open/child", target.folder / "open/link"):
        for attempt in range(SWAPS):
            name = ("open/child", "open/link", "open/child/inner")[attempt % 3]
            judge(target.call(NEW, body(target.folder / name)), {403}, name)


def test_a_link_that_root_swaps_in_is_seen_or_was_not_there(target):
    """Only root can do so. What passes is what was asked for, by its own name, to be read only; and
    a name that is a link when it is looked at does not pass."""
    listed = target.folder / "listed"
    (listed / "swapped").mkdir()
    (listed / "swap").symlink_to(target.folder / "secret")
    passed = refused = 0
    try:
        with Swapping(listed / "swapped", listed / "swap"):
            for _ in range(SWAPS):
                reply = target.call(NEW, body(listed / "swapped"))
                if reply.status == 201:
                    mount, = target.api.inspect("nc_app_new")["HostConfig"]["Mounts"]
                    assert mount == {"Type": "bind", "Source": str(listed / "swapped"),
                                     "Target": "/x",
                                     "ReadOnly": True}
                    target.api.remove("nc_app_new")
                    passed += 1
                else:
                    judge(reply, {403, 400}, "swapped")
                    refused += 1
        assert passed + refused == SWAPS
    finally:
        target.api.remove("nc_app_new")


def test_a_link_in_place_of_a_listed_folder_is_not_followed(target):
    """The listed folder itself, and one above it."""
    for name in ("shown", "listed"):
        listed, kept = target.folder / name, target.folder / f"{name}-kept"
        listed.rename(kept)
        listed.symlink_to(target.folder / "secret")
        try:
            for source in (listed, listed / "inner", listed / "child"):
                target.refused(NEW, body(source), statuses={403})
        finally:
            listed.unlink()
            kept.rename(listed)
