"""harp-audit-ship against object storage that checks each signature, and fails in all the ways it can."""
import hashlib
import os
import subprocess

import pytest

from harness.audit import Record, Shipper, build_driver, ship_environment
from harness.programs import ROOT, free_port, program, run_program
from harness.s3 import S3, SECRET_KEY, Refused, check_signature, signature
from harness.wait import wait_for

PREFIX = "hosts/one/"


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    return build_driver(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def record(driver, tmp_path):
    """Several finished segments, and one that is not."""
    record = Record(driver, tmp_path / "audit")
    record.fill(40, segment_size=3000)
    assert len(record.finished()) >= 3
    return record


@pytest.fixture
def s3(site):
    return site.add(S3())


@pytest.fixture
def ship(site, record, s3, tmp_path):
    """Starts a shipper."""
    def start(url=None, once=False, **settings):
        settings = {f"HP_AUDIT_{name.upper()}": value for name, value in settings.items()}
        shipper = site.add(Shipper(record, url or s3.url, tmp_path / "ship.log", settings, once))
        if not once:
            shipper.wait_line("ready")
        return shipper
    return start


def once(ship, code=0, **settings):
    """Ships what is there: the log."""
    shipper = ship(once=True, **settings)
    shipper.expect_end(code)
    assert shipper.wait() == code, shipper.tail()
    shipper.stop()
    return shipper.output().decode()


def safe(record, s3):
    """Whether all finished segments are marked; then they must be in the bucket as they are here."""
    names = [path.name for path in record.finished()]
    if record.shipped() != names:
        return False
    for path in record.finished():
        assert s3.objects[PREFIX + path.name] == path.read_bytes()
    return True


# ---- the stand-in itself ----

def test_the_stand_ins_signature_is_that_of_the_specification():
    """The example `GET object` of AWS's documentation of Signature Version 4 for S3, with its published
    keys and signature."""
    empty = hashlib.sha256(b"").hexdigest()
    headers = {"host": "examplebucket.s3.amazonaws.com", "range": "bytes=0-9",
               "x-amz-content-sha256": empty, "x-amz-date": "20130524T000000Z"}
    assert signature("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", "GET",
                     "/test.txt", sorted(headers), headers, empty) == \
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"


def test_the_stand_in_refuses_what_is_not_signed_right(record, s3, ship):
    once(ship)
    method, path, headers, body = s3.asked("PUT")[0]
    check_signature(method, path, headers, body)
    for spoil in ({"x-amz-meta-sha256": "0"}, {"host": "example.com"}, {"x-amz-acl": "public-read"},
                  {"content-md5": "AAAA"}):
        with pytest.raises(Refused):
            check_signature(method, path, {**headers, **spoil}, body)
    for other in (("PUT", path + "x", body), ("HEAD", path, body), ("PUT", path, body + b"x")):
        with pytest.raises(Refused):
            check_signature(other[0], other[1], headers, other[2])


# ---- what goes well ----

def test_ships_finished_segments_in_order_and_keeps_them(record, s3, ship):
    before = {path.name: path.read_bytes() for path in record.segments()}
    out = once(ship)
    assert safe(record, s3)
    assert [path.rpartition("/")[2] for _, path, _, _ in s3.asked("PUT")] == \
        [path.name for path in record.finished()]
    assert record.segments()[-1].name not in str(s3.objects)
    assert {path.name: path.read_bytes() for path in record.segments()} == before
    assert record.verify().returncode == 0
    assert SECRET_KEY not in out


def test_what_is_shipped_already_is_not_sent_again(record, s3, ship):
    once(ship)
    count = len(s3.requests)
    once(ship)
    assert len(s3.requests) == count


def test_requests_are_what_a_careful_server_wants(record, s3, ship):
    once(ship)
    _, path, headers, body = s3.asked("PUT")[0]
    assert path == f"/audit-bucket/{PREFIX}{record.segments()[0].name}"
    assert headers["host"] == s3.url.removeprefix("http://")
    assert headers["if-none-match"] == "*"
    assert headers["x-amz-content-sha256"] == hashlib.sha256(body).hexdigest()
    assert headers["x-amz-meta-sha256"] == hashlib.sha256(body).hexdigest()
    assert headers["content-length"] == str(len(body))
    assert "content-md5" in headers
    assert "transfer-encoding" not in headers
    assert len(s3.asked("HEAD")) == len(s3.asked("PUT"))


def test_shipped_segments_verify_with_what_is_left(record, s3, ship, tmp_path):
    once(ship, keep="delete")
    assert len(record.segments()) == 1
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    for key, data in s3.objects.items():
        (fetched / key.rpartition("/")[2]).write_bytes(data)
    done = record.verify(*fetched.iterdir(), *record.segments())
    assert done.returncode == 0, done.stderr
    assert "from 1 to " in done.stdout
    assert record.verify().returncode == 0
    record.fill(5)
    assert record.verify().returncode == 0


def test_new_segments_are_noticed(record, s3, ship):
    shipper = ship(poll_interval="24h")
    wait_for(lambda: safe(record, s3), None, "the first segments to be shipped")
    before = len(s3.objects)
    record.fill(30, segment_size=3000)
    wait_for(lambda: safe(record, s3) and len(s3.objects) > before, None, "more to be shipped")
    shipper.stop()


def test_segments_are_noticed_by_looking_if_nothing_tells(record, s3, ship):
    """A file that takes the place of another's name is no sign; the next look finds it."""
    os.unlink(record.folder / "audit.head")
    for path in record.segments()[1:]:
        path.rename(path.with_suffix(".away"))
    shipper = ship(poll_interval="1s")
    for path in sorted(record.folder.glob("*.away")):
        os.link(path, path.with_suffix(".jsonl"))
        path.unlink()
    wait_for(lambda: safe(record, s3), None, "all to be shipped")
    shipper.stop()


def test_over_tls_with_a_ca_file(site, record, ship, https_certs):
    s3 = site.add(S3(tls=https_certs / "cert.pem"))
    out = once(ship, code=1, url=s3.url)
    assert "certificate" in out
    assert not s3.objects
    once(ship, url=s3.url, ca_file=https_certs / "crt")
    assert safe(record, s3)


def test_the_secret_may_come_from_a_file(record, s3, ship, tmp_path):
    (tmp_path / "secret").write_text(SECRET_KEY + "\n")
    once(ship, secret_key="", secret_key_file=tmp_path / "secret")
    assert safe(record, s3)


def test_a_large_segment_is_streamed(driver, s3, ship, record):
    record.fill(40000, segment_size=12 << 20)
    record.fill(1, segment_size=0)
    assert max(path.stat().st_size for path in record.finished()) > 8 << 20
    shipper = ship()
    wait_for(lambda: safe(record, s3), 60, "all to be shipped")
    shipper.stop()


# ---- failures ----

@pytest.mark.parametrize("fault", [(500, "InternalError"), (503, "SlowDown"), "cut", "cut after",
                                   (409, "ConditionalRequestConflict"), (400, "RequestTimeout"),
                                   (429, "TooManyRequests")], ids=str)
def test_what_passes_by_itself_is_tried_again(record, s3, ship, fault):
    s3.fail("PUT", fault, fault)
    out = once(ship)
    assert safe(record, s3)
    assert "was not sent" in out
    assert len(s3.asked("PUT")) >= len(record.finished()) + 1


@pytest.mark.parametrize("fault", [(500, "InternalError"), "cut", "cut after", (404, "NoSuchKey"),
                                   "other size", "other sum"], ids=str)
def test_nothing_is_marked_before_the_object_was_seen(record, s3, ship, fault):
    """All that a whole life is told of the objects is bad; the next life finds them there."""
    s3.always["HEAD"] = fault
    once(ship, code=1)
    assert record.shipped() == []
    assert s3.objects
    del s3.always["HEAD"]
    once(ship)
    assert safe(record, s3)


def test_an_object_with_another_tag_than_was_acknowledged_is_looked_at_again(record, s3, ship):
    s3.fail("HEAD", "other tag")
    assert "the object has another ETag" in once(ship)
    assert [answer[1] for answer in s3.asked("PUT")].count(s3.asked("PUT")[0][1]) == 2
    assert safe(record, s3)


def test_an_object_that_is_another_one_is_not_replaced_and_not_believed(record, s3, ship):
    first = record.finished()[0].name
    for other in (b"x", b"y" * record.finished()[0].stat().st_size):
        s3.objects[PREFIX + first] = other
        out = once(ship, code=1)
        assert "was there before, and is not replaced" in out
        assert s3.objects[PREFIX + first] == other
        assert record.shipped() == [path.name for path in record.finished()[1:]]


def test_an_object_that_was_put_by_hand_is_known_by_its_tag(record, s3, ship):
    for path in record.finished():
        s3.objects[PREFIX + path.name] = path.read_bytes()
    once(ship)
    assert safe(record, s3)


@pytest.mark.parametrize("settings, code", [
    ({"secret_key": "wrong"}, "403 SignatureDoesNotMatch"),
    ({"access_key": "AKIAOTHER"}, "403 InvalidAccessKeyId"),
    ({"bucket": "no-such-bucket"}, "404 NoSuchBucket"),
    ({"region": "eu-central-1"}, "400 AuthorizationHeaderMalformed"),
], ids=["secret", "key", "bucket", "region"])
def test_what_needs_a_person_is_an_error_and_not_hammered(record, s3, ship, settings, code):
    shipper = ship(retry_max="1h", **settings)
    shipper.wait_line("error", "was refused", code)
    assert len(s3.asked("PUT")) == 1
    assert record.shipped() == []
    shipper.stop()
    assert SECRET_KEY.encode() not in shipper.output()


def test_a_refusal_is_tried_again_slowly_and_at_once_on_sighup(record, s3, ship):
    s3.fail("PUT", (403, "AccessDenied"))
    shipper = ship(retry_max="1h")
    shipper.wait_line("was refused")
    shipper.signal(1)
    wait_for(lambda: safe(record, s3), None, "all to be shipped")
    shipper.stop()
    s3.objects.clear()
    for name in record.shipped():
        (record.folder / f"{name}.shipped").unlink()
    s3.fail("PUT", (403, "AccessDenied"))
    shipper = ship(retry_max="100ms")
    wait_for(lambda: safe(record, s3), None, "all to be shipped")
    shipper.stop()


def test_a_stall_ends_by_its_time(record, s3, ship):
    s3.fail("PUT", "stall")
    shipper = ship(timeout="300ms")
    wait_for(lambda: safe(record, s3), None, "all to be shipped")
    shipper.stop()
    assert b"was not sent" in shipper.output()


def test_sigterm_ends_it_at_once_in_the_middle_of_an_upload(record, s3, ship):
    s3.fail("PUT", "stall")
    shipper = ship()
    assert s3.stalled.wait(10)
    assert shipper.stop() < 3
    assert record.shipped() == []


def test_a_server_that_is_not_there_yet(site, record, ship):
    port = free_port()
    shipper = ship(url=f"http://127.0.0.1:{port}")
    shipper.wait_line("was not sent", count=3)
    s3 = site.add(S3(port=port))
    wait_for(lambda: safe(record, s3), None, "all to be shipped")
    shipper.stop()


def test_kill_9_at_any_request_loses_nothing(record, s3, ship):
    """The shipper is killed in the middle of its first, second, ... request; the last one is let be."""
    for method in ("PUT", "HEAD") * 3:
        s3.stalled.clear()
        s3.fail(method, "stall")
        shipper = ship()
        assert s3.stalled.wait(10)
        assert all(path.exists() for path in record.segments())
        shipper.kill()
        s3.faults["PUT"].clear()
        s3.faults["HEAD"].clear()
    s3.go_on.set()
    once(ship)
    assert safe(record, s3)


def test_a_broken_segment_is_not_shipped_and_the_others_are(record, s3, ship):
    broken = record.finished()[1]
    data = bytearray(broken.read_bytes())
    data[len(data) // 2] ^= 1
    broken.write_bytes(data)
    out = once(ship, code=1)
    assert f"{broken.name} is not sent: it does not verify" in out
    assert PREFIX + broken.name not in s3.objects
    assert broken.exists()
    assert len(s3.objects) == len(record.finished()) - 1
    assert once(ship, code=1).count("does not verify") == 2


def test_a_link_is_not_followed(record, s3, ship, tmp_path):
    first = record.finished()[0]
    first.rename(tmp_path / "elsewhere")
    first.symlink_to(tmp_path / "elsewhere")
    once(ship, code=1, keep="delete")
    assert first.name not in str(s3.objects)
    assert (tmp_path / "elsewhere").exists()


# ---- settings ----

@pytest.mark.parametrize("name, value, what", [
    ("HP_AUDIT_FOLDER", "", "not set, but needed"),
    ("HP_AUDIT_ENDPOINT", "s3.example.com", "is no endpoint"),
    ("HP_AUDIT_ENDPOINT", "https://u:p@s3.example.com", "is no endpoint"),
    ("HP_AUDIT_ENDPOINT", "https://s3.example.com/bucket", "is no endpoint"),
    ("HP_AUDIT_ENDPOINT", "https://s3.example.com:0", "is no endpoint"),
    ("HP_AUDIT_BUCKET", "a/b", "is no bucket"),
    ("HP_AUDIT_PREFIX", "/a", "is no prefix"),
    ("HP_AUDIT_PREFIX", "a/../b", "is no prefix"),
    ("HP_AUDIT_REGION", "a/b", "is no region"),
    ("HP_AUDIT_ACCESS_KEY", "a:b", "is no access key"),
    ("HP_AUDIT_SECRET_KEY_FILE", "/dev/null", "set together with"),
    ("HP_AUDIT_RETRY_MAX", "5ms", "shorter than retry_min"),
    ("HP_AUDIT_KEEP", "maybe", "HP_AUDIT_KEEP"),
])
def test_a_wrong_setting_is_told(record, name, value, what):
    env = ship_environment(record, "http://127.0.0.1:1", {name: value})
    done = run_program("harp-audit-ship", "--check-config", env=env)
    assert done.returncode == 1
    assert name in done.stderr and what in done.stderr
    assert SECRET_KEY not in done.stderr


def test_good_settings_are_good_and_the_example_is_complete(record, tmp_path):
    env = ship_environment(record, "https://[::1]:9000/")
    assert run_program("harp-audit-ship", "--check-config", env=env).returncode == 0
    example = run_program("harp-audit-ship", "--print-config")
    assert "secret_key_file" in example.stdout
    assert (ROOT / "deploy/examples/audit-ship.cfg").read_text() == example.stdout
    (tmp_path / "ship.cfg").write_text(example.stdout)
    done = run_program("harp-audit-ship", "--config", tmp_path / "ship.cfg", "--check-config", env=env)
    assert done.returncode == 0, done.stderr
    assert "--once" in run_program("harp-audit-ship", "--help").stdout
    assert run_program("harp-audit-ship", "--twice").returncode == 2


def test_a_folder_that_is_not_there_is_told(record):
    env = ship_environment(record, "http://127.0.0.1:1", {"HP_AUDIT_FOLDER": "/nonexistent"})
    done = subprocess.run([program("harp-audit-ship"), "--once"], env=env, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 1
    assert "/nonexistent can't be opened" in done.stderr


def test_a_folder_that_is_another_one_afterwards_is_looked_into(record, s3, ship, tmp_path):
    """A volume that was mounted late, or a folder that was made anew: the old one is still open."""
    record.folder.rename(tmp_path / "late")
    record.folder.mkdir()
    shipper = ship(poll_interval="1s")
    record.folder.rename(tmp_path / "early")
    (tmp_path / "late").rename(record.folder)
    wait_for(lambda: safe(record, s3), what="all segments to be shipped")
    shipper.wait_line("is another folder than before")
