"""The audit record: what stands in it after kill -9, a full disk and a second writer, and what verify finds of
what was done to the files meanwhile."""
import json
import os
import random
import subprocess
import threading

import pytest

from harness.audit import Record, build_driver

ROUNDS = 40


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    return build_driver(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def record(driver, tmp_path):
    return Record(driver, tmp_path / "audit")


def acknowledged(lines):
    """Numbers of the records that the writer said are written."""
    return [int(line) for line in lines if line.strip().isdigit()]


def run_until_killed(record, count, **kwargs):
    """A writer that is killed -9 once it has told of `count` records. What it told."""
    with record.writer(**kwargs) as writer:
        writer.stdin.write("0\n")
        lines = []
        for line in writer.stdout:
            lines.append(line)
            if len(lines) == count + 1:
                writer.kill()
        err = writer.stderr.read()
    assert writer.returncode == -9, err
    return acknowledged(lines), err


@pytest.mark.parametrize("sync", ["never", "interval", "always"])
def test_kill_9_in_the_middle_of_writing_loses_nothing_that_was_told(record, sync):
    chance = random.Random(f"audit {sync}")
    told = 0
    for _ in range(ROUNDS):
        numbers, _ = run_until_killed(record, chance.randrange(1, 60), segment_size=3000, sync=sync)
        told += len(numbers)
        done = record.verify()
        # A torn line is the one thing that a kill may leave until the next start.
        assert done.returncode == 0 or "torn" in done.stderr, done.stderr
    record.fill(0)
    done = record.verify()
    assert done.returncode == 0, done.stderr
    shown = record.run("show", "--json", "--call", "containers/create", record.folder)
    decisions = shown.stdout.splitlines()
    # More than was told may be there: written, and killed before it was told.
    assert told <= len(decisions)
    assert len(record.segments()) > 3
    events = [json.loads(line)["event"]
              for line in record.run("show", "--json", record.folder).stdout.splitlines()]
    assert events.count("start") == ROUNDS + 1
    assert events.count("stop") == 1


def test_killed_when_a_write_failed_in_the_middle_it_starts_again(record):
    """The process may not write more than so many bytes: a part of its last line went in."""
    record.fill(3)
    size = record.segments()[0].stat().st_size
    for extra in (1, 40, 250):
        with record.writer(preexec_fn=limit_to(size + 400 + extra)) as writer:
            writer.stdin.write("0\n")
            for line in writer.stdout:
                if line.startswith("-"):
                    writer.kill()
        record.fill(0)
        done = record.verify()
        assert done.returncode == 0, done.stderr
        size = record.segments()[0].stat().st_size


def limit_to(size):
    import resource

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    return limit


def private_mounts():
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return done.returncode == 0


def test_a_full_disk_is_counted_and_told_when_there_is_room_again(driver, tmp_path):
    """A file system of 64 KiB, in a name space of mounts that ends with the writer."""
    if os.geteuid() != 0 or not private_mounts():
        pytest.skip("mounting needs root")
    folder = tmp_path / "small"
    folder.mkdir()
    script = ('mount -t tmpfs -o size=64k none "$1" && head -c 30000 /dev/zero > "$1/ballast" && '
              '"$0" write "$1" 8000 never; "$0" verify "$1" >&2 && "$0" show --json "$1" >&2; '
              'echo "exit $?" >&2')
    with subprocess.Popen(["unshare", "--mount", "sh", "-c", script, driver, folder],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, bufsize=1) as writer:
        said = []
        drain = threading.Thread(target=lambda: said.append(writer.stderr.read()))
        drain.start()
        assert writer.stdout.readline() == "ready\n"
        failed = 0
        while failed < 5:
            writer.stdin.write("1\n")
            line = writer.stdout.readline()
            assert line, "the writer ended"
            failed += "No space left on device" in line
        os.truncate(f"/proc/{child_of(writer.pid)}/root{folder}/ballast", 0)
        writer.stdin.write("3\n")
        assert [writer.stdout.readline()[0] for _ in range(3)].count("-") == 0
        writer.stdin.close()
        writer.wait(30)
        drain.join(30)
    err = said[0]
    assert "exit 0" in err, err
    assert "5 more could not be written" in err
    events = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert sum(event["count"] for event in events if event["event"] == "lost") == 5
    assert "writing works again" in err


def child_of(pid):
    """The writer, which shares its mounts with the shell that started it."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return file.read().split()[0]


def test_two_writers_never_share_a_folder(record):
    with record.writer() as first:
        assert first.stdout.readline() == "ready\n"
        with record.writer() as second:
            _, err = second.communicate(timeout=30)
        assert second.returncode == 1
        assert "another process writes to the audit folder" in err
        first.stdin.write("2\n")
        first.stdin.close()
        assert first.wait(30) == 0
    assert record.verify().returncode == 0
    record.fill(1)


def test_a_killed_writer_leaves_no_lock(record):
    run_until_killed(record, 3)
    record.fill(1)
    assert record.verify().returncode == 0


def test_verify_while_it_is_written(record):
    with record.writer(segment_size=4000) as writer:
        assert writer.stdout.readline() == "ready\n"
        writer.stdin.write("0\n")
        drain = threading.Thread(target=writer.stdout.read)
        drain.start()
        try:
            for _ in range(8):
                done = record.verify()
                assert done.returncode == 0, done.stderr
        finally:
            writer.kill()
            drain.join()


def lines_of(path):
    return path.read_bytes().splitlines(keepends=True)


def edit_byte(record):
    data = bytearray(record.segments()[1].read_bytes())
    data[data.index(b"nc_app_") + 3] ^= 1
    record.segments()[1].write_bytes(data)
    return "edited: its hash does not fit"


def drop_middle(record):
    lines = lines_of(record.segments()[1])
    del lines[4]
    record.segments()[1].write_bytes(b"".join(lines))
    return "dropped: records"


def drop_first(record):
    record.segments()[1].write_bytes(b"".join(lines_of(record.segments()[1])[1:]))
    return "its beginning is cut"


def drop_last(record):
    path = record.segments()[-1]
    path.write_bytes(b"".join(lines_of(path)[:-1]))
    return "is before the head"


def drop_closed(record):
    path = record.segments()[1]
    path.write_bytes(b"".join(lines_of(path)[:-1]))
    return "does not close the segment"


def swap_records(record):
    lines = lines_of(record.segments()[1])
    lines[3], lines[5] = lines[5], lines[3]
    record.segments()[1].write_bytes(b"".join(lines))
    return "swapped: record"


def cut_inside(record):
    path = record.segments()[-1]
    os.truncate(path, path.stat().st_size - 20)
    return "torn"


def remove_segment(record):
    record.segments()[1].unlink()
    return "a segment is missing"


def remove_last_segment(record):
    record.segments()[-1].unlink()
    return "is before the head"


def swap_segments(record):
    one, two = record.segments()[1:3]
    data = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(data)
    return "the file's name tells another number"


def edit_head(record):
    head = record.folder / "audit.head"
    text = head.read_text()
    head.write_text(text[:50] + ("0" if text[50] != "0" else "1") + text[51:])
    return "is not the one in audit.head"


def remove_head(record):
    (record.folder / "audit.head").unlink()
    return "it is missing"


def put_file_of_nothing(record):
    (record.folder / "audit-00000000000000999999.jsonl").write_bytes(b"\0" * 100)
    return "does not close the segment"


SPOILT = [edit_byte, drop_middle, drop_first, drop_last, drop_closed, swap_records, cut_inside,
          remove_segment, remove_last_segment, swap_segments, edit_head, remove_head,
          put_file_of_nothing]


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__)
def test_verify_finds(record, spoil):
    record.fill(40, segment_size=3000)
    assert len(record.segments()) > 3
    assert record.verify().returncode == 0
    what = spoil(record)
    done = record.verify()
    assert done.returncode == 1
    assert what in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("spoil", [drop_last, remove_last_segment, edit_head, remove_head,
                                   put_file_of_nothing], ids=lambda spoil: spoil.__name__)
def test_a_writer_does_not_go_on_behind_what_no_crash_leaves(record, spoil):
    record.fill(40, segment_size=3000)
    spoil(record)
    before = {path.name: path.read_bytes() for path in record.segments()}
    with record.writer() as writer:
        _, err = writer.communicate(timeout=30)
    assert writer.returncode == 1
    assert "audit verify" in err
    assert {path.name: path.read_bytes() for path in record.segments()} == before


def test_show_chooses_and_prints(record):
    record.fill(9)
    done = record.run("show", "--verdict", "refused", "--object", "nc_app_*", record.folder)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 3
    assert "refused POST containers/create nc_app_3" in done.stdout
    assert record.run("show", "--verdict", "nonsense", record.folder).returncode == 2
    assert record.run("verify").returncode == 2
