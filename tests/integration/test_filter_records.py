"""The record of a running filter: one for each decision, and what becomes of calls when it can't be written."""
import io
import json
import os
import resource
import tarfile

import pytest

from harness import RawClient, free_port, run_program
from harness.credentials import FILTER_PASSWORD, FILTER_USER, WRONG_PASSWORD, basic
from harness.fake_engine import FakeEngine

LISTENER = '{ address = "unix:{path}"; policy = "appapi"; }'
UNLIMITED = resource.RLIM_INFINITY


@pytest.fixture
def engine(site):
    return site.add(FakeEngine(site.socket_path()))


@pytest.fixture
def folder(site):
    path = site.folder / "audit"
    path.mkdir(mode=0o700)
    return path


def recording(site, engine, folder, listeners=(LISTENER,), audit="on", **settings):
    return site.filter(engine.path, listeners=listeners,
                       settings={"audit": audit, "audit_folder": folder, **settings})


def records(folder, event="decision"):
    lines = [json.loads(line) for path in sorted(folder.iterdir()) if path.name != "head"
             for line in path.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def verify(folder):
    return run_program("harp-socket-filter", "audit", "verify", folder)


def archive(name):
    """A tar file that holds one file of that name."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = 2
        tar.addfile(member, io.BytesIO(b"ab"))
    return out.getvalue()


JSON = b"Content-Type: application/json"
TAR = b"Content-Type: application/x-tar"
CREATE = json.dumps({"Image": "alpine"}).encode()
# Each is one request: what the client sends, its status, and of its record verdict, method, object and rule.
DECISIONS = {
    "passed": (("GET", "/v1.41/_ping", ()), 200, ("passed", "GET", None, "GET _ping")),
    "passed by name": (("GET", "/containers/nc_app_a/json", ()), 404,
                       ("passed", "GET", "nc_app_a", "GET containers/{container}/json")),
    "passed pull": (("POST", "/images/create?fromImage=alpine&tag=3", ()), 200,
                    ("passed", "POST", "alpine", "POST images/create")),
    "refused call": (("GET", "/networks", ()), 403, ("refused", "GET", None, None)),
    "refused name": (("POST", "/containers/other/start", ()), 403,
                     ("refused", "POST", "other", None)),
    "refused body": (("POST", "/containers/create?name=nc_app_a", (JSON,),
                      b'{"Image":"alpine","HostConfig":{"Privileged":true}}'), 403,
                     ("refused", "POST", "nc_app_a", "POST containers/create")),
    "unknown call": (("GET", "/nothing", ()), 403, ("refused", "GET", None, None)),
    "malformed body": (("POST", "/containers/create?name=nc_app_a", (JSON,), b'{"Image":'), 400,
                       ("malformed", "POST", "nc_app_a", "POST containers/create")),
    "malformed target": (("GET", "/containers//json", ()), 400, ("malformed", None, None, None)),
    "malformed head": (("GET", "/_ping", (b"Bad Name: x",)), 400, ("malformed", None, None, None)),
}


@pytest.mark.parametrize("case", DECISIONS)
def test_each_decision_is_one_record(site, engine, folder, case):
    (method, target, fields, *body), status, (verdict, *known) = DECISIONS[case]
    gate = recording(site, engine, folder)
    with RawClient(gate.path) as client:
        answer = client.ask(target, *fields, method=method, body=b"".join(body))
    assert answer.status == status, answer
    record, = records(folder)
    assert record["verdict"] == verdict, record
    for key, value in zip(("method", "object", "rule"), known):
        assert record.get(key) == value, (key, record)
    assert record["listener"] == f"unix:{gate.path}" and record["client"] == f"uid {os.geteuid()}"
    assert record["policy"] == "appapi" and record["connection"] > 0
    assert ("why" in record) == (verdict != "passed"), record


def test_wrong_password_is_a_record_and_the_password_is_not(site, engine, folder):
    port = free_port()
    recording(site, engine, folder, listeners=[
        f'{{ address = "127.0.0.1:{port}"; policy = "appapi"; user = "{FILTER_USER}"; '
        f'password = "{FILTER_PASSWORD}"; }}'])
    with RawClient(("127.0.0.1", port), source="127.0.0.9") as client:
        wrong = basic(FILTER_USER, WRONG_PASSWORD).encode()
        assert client.ask("/_ping", b"Authorization: " + wrong).status == 401
    record, = records(folder)
    assert record["verdict"] == "unauthorized" and record["client"] == "127.0.0.9"
    assert record["why"] == "wrong or no credentials" and "call" not in record
    text = b"".join(path.read_bytes() for path in folder.iterdir())
    assert wrong not in text and WRONG_PASSWORD.encode() not in text


def test_report_mode_records_what_it_would_refuse(site, engine, folder):
    gate = recording(site, engine, folder, mode="report")
    with RawClient(gate.path) as client:
        assert client.ask("/networks").status == 404  # the engine's answer
        assert client.ask("/_ping").status == 200
    assert [record["verdict"] for record in records(folder)] == ["would-refuse", "passed"]


def test_archive_that_is_refused_on_its_way_is_told_after_its_start(site, engine, folder):
    gate = recording(site, engine, folder)
    with RawClient(gate.path) as client:
        answer = client.ask("/containers/nc_app_a/archive?path=/", TAR, method="PUT", body=archive("etc/passwd"))
        assert answer.status == 403
    assert [record["verdict"] for record in records(folder)] == ["passed", "refused"]


def test_administrators_questions_are_no_decisions(site, engine, folder):
    gate = recording(site, engine, folder)
    with RawClient(gate.admin) as client:
        assert client.ask("/health").body == b"ok\n"
    assert records(folder) == []


# ---- when it can't be written ----

def full(gate, folder):
    """From now on no file of the filter's grows beyond what the record has: no more fits, as on a full disk.
    The log is shorter, and goes on."""
    segment = max(path.stat().st_size for path in folder.iterdir())
    assert gate.log.stat().st_size + 8192 < segment
    resource.prlimit(gate.pid, resource.RLIMIT_FSIZE, (segment, UNLIMITED))


def room(gate):
    resource.prlimit(gate.pid, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))


def grown(site, engine, folder, audit):
    """A filter whose record is longer than its log."""
    gate = recording(site, engine, folder, audit=audit, log_level="warning")
    with RawClient(gate.path) as client:
        for _ in range(60):
            assert client.ask("/_ping").status == 200
    return gate


def metric(gate, name):
    with RawClient(gate.admin) as client:
        text = client.ask("/metrics").text
    return int(next(line for line in text.splitlines() if line.startswith(f"harp_filter_{name} ")).split()[1])


def test_required_record_that_can_not_be_written_refuses_calls_until_it_can(site, engine, folder):
    gate = grown(site, engine, folder, "required")
    full(gate, folder)
    asked = len(engine.calls)
    with RawClient(gate.path) as client:
        for target in ("/_ping", "/networks", "/nothing", "/containers//json"):
            answer = client.ask(target)
            assert answer.status == 503 and b"audit record of this call could not be written" in answer.body
        answer = client.ask("/containers/create?name=nc_app_a", JSON, method="POST", body=CREATE)
        assert answer.status == 503
        assert len(engine.calls) == asked
        assert metric(gate, "audit_failures_total") == 5
        room(gate)
        assert client.ask("/_ping").status == 200
    gate.wait_line("writing works again; 5 records were lost")
    lost, = records(folder, "lost")
    assert lost["count"] == 5
    gate.stop()
    assert verify(folder).returncode == 0


def test_record_that_can_not_be_written_is_told_and_calls_pass(site, engine, folder):
    gate = grown(site, engine, folder, "on")
    full(gate, folder)
    with RawClient(gate.path) as client:
        assert client.ask("/_ping").status == 200
        assert client.ask("/networks").status == 403
        gate.wait_line("error audit", "could not be written", count=2)
        room(gate)
        assert client.ask("/_ping").status == 200
    lost, = records(folder, "lost")
    assert lost["count"] == 2
    gate.stop()
    assert verify(folder).returncode == 0


# ---- over restarts ----

def test_chain_goes_on_over_restarts_and_kills(site, engine, folder):
    for end in ("stop", "kill", "kill", "stop"):
        gate = recording(site, engine, folder)
        with RawClient(gate.path) as client:
            assert client.ask("/_ping").status == 200
            assert client.ask("/networks").status == 403
        getattr(gate, end)()
        done = verify(folder)
        assert done.returncode == 0, done
    assert len(records(folder)) == 8 and len(records(folder, "start")) == 4 and len(records(folder, "stop")) == 2


def test_chain_that_was_changed_is_told(site, engine, folder):
    gate = recording(site, engine, folder)
    with RawClient(gate.path) as client:
        assert client.ask("/networks").status == 403
    gate.stop()
    segment = max(folder.iterdir(), key=lambda path: path.stat().st_size)
    segment.write_bytes(segment.read_bytes().replace(b'"refused"', b'"passed" '))
    assert verify(folder).returncode != 0


def test_two_filters_do_not_write_one_chain(site, engine, folder):
    recording(site, engine, folder)
    with pytest.raises(AssertionError, match="another process writes to the audit folder"):
        recording(site, engine, folder)
    site.things[-1].expect_end(1)


def test_shown_records_are_those_asked_for(site, engine, folder):
    gate = recording(site, engine, folder)
    with RawClient(gate.path) as client:
        client.ask("/networks")
        client.ask("/_ping")
        client.ask("/containers/nc_app_a/json")
    gate.stop()
    shown = run_program("harp-socket-filter", "audit", "show", "--verdict", "refused", folder)
    assert shown.returncode == 0 and shown.stdout.count("\n") == 1 and "networks" in shown.stdout
    shown = run_program("harp-socket-filter", "audit", "show", "--object", "nc_app_*", "--json", folder)
    assert [json.loads(line)["object"] for line in shown.stdout.splitlines()] == ["nc_app_a"]
