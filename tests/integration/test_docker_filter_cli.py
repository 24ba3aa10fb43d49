"""Docker's own client through the socket filter: what passes ends as straight at the engine, what is
refused says why, and nothing of it gets there.

LIFE is led twice by each client that this machine has, straight and through the filter, under the
same names; the tests compare what came of each command.
"""
import json
import os
import select
import shlex
from types import SimpleNamespace

import pytest

from conftest import open_site
from harness.docker_alike import alike_document, hide_environment
from harness.docker_cli import DockerCli, programs
from harness.docker_engine import NoEngine
from harness.docker_images import (ENDS, FEDORA, PLAIN, SPEAKS, SPEAKS_CODE, SPEAKS_RUN, speaking,
                                   tell)
from harness.missing import skip_or_fail
from harness.unix_recorder import UnixRecorder
from harness.wait import Deadline

try:
    CLIENTS = programs()
except NoEngine:
    CLIENTS = []
SPEAKS_TOO = SPEAKS.replace(":1", ":2")

# (exit code, command). {name} is a container of SPEAKS, {id} what its creation printed, {short} the
# beginning of it. None: not a command, but until it has said `ready`.
LIFE = [
    (0, "version"),
    (1, "pull registry.test/none:1"),
    (1, "create --name nc_app_none --network host registry.test/none:1"),
    (0, f"image inspect {SPEAKS}"),
    (1, "image inspect registry.test/none:1"),
    (0, "volume create --label a=b nc_app_cli_data"),
    (0, "volume inspect nc_app_cli_data"),
    (0, f"create --name {{name}} --hostname cli --network host -e A=b=c -e EMPTY= -l k=v "
        f"--mount type=volume,source=nc_app_cli_data,target=/data --memory 64m --cpus 0.5 "
        f"--restart on-failure:3 --expose 80 {SPEAKS}"),
    (1, f"create --name {{name}} --network host {SPEAKS}"),
    (0, "inspect {name}"),
    (1, "exec {name} cat /etc/os-release"),
    (0, "start {name}"),
    (None, "ready"),
    (0, "start {id}"),
    (0, "start {short}"),
    (1, "start nc_app_none"),
    (0, "logs {name}"),
    (0, "logs --timestamps --tail 1 --since 2020-01-02T03:04:05Z {id}"),
    (0, "logs --tail 0 {short}"),
    (1, "logs nc_app_none"),
    (0, "exec {name} cat /etc/os-release"),
    (0, "exec {id} cat /etc/os-release"),
    (0, "exec {name} mkdir -p /certs/frp"),
    (126, "exec {name} update-ca-certificates"),
    (126, "exec {short} update-ca-trust extract"),
    (1, "exec nc_app_none cat /etc/os-release"),
    (0, "inspect {name}"),
    (0, "inspect {id}"),
    (0, "container inspect {short}"),
    (1, "container inspect nc_app_none"),
    (1, "rm {name}"),
    (1, "volume rm nc_app_cli_data"),
    (0, "stop -t 0 {name}"),
    (0, "stop {id}"),
    (0, "rm {name}"),
    (0, f"create --name nc_app_fedora --network host {FEDORA}"),
    (0, "start nc_app_fedora"),
    (1, "exec nc_app_fedora update-ca-trust extract"),
    (0, "rm -f nc_app_fedora"),
    (1, "rm nc_app_fedora"),
    (0, "volume rm nc_app_cli_data"),
    (1, "volume rm nc_app_cli_data"),
    (0, f"rmi {SPEAKS_TOO}"),
    (1, f"rmi {SPEAKS_TOO}"),
]


def words(command, **names):
    for name, value in names.items():
        command = command.replace("{" + name + "}", value)
    return shlex.split(command)


def lead(cli, api):
    """[Told] of LIFE."""
    told, names = [], {"name": "nc_app_cli"}
    api.tag(SPEAKS, SPEAKS_TOO)
    try:
        for code, command in LIFE:
            if code is None:
                api.wait_logged(names["name"], command.encode())
                told.append(None)
                continue
            told.append(cli.run(*words(command, **names)))
            if command.startswith("create --name {name}") and code == 0:
                made = told[-1].out.strip()
                names.update(id=made, short=made[:12])
    finally:
        for name in ("nc_app_cli", "nc_app_fedora"):
            api.remove(name)
        api.remove_volume("nc_app_cli_data")
        api.remove_image(SPEAKS_TOO)
    return told


@pytest.fixture(scope="module")
def place(tmp_path_factory, certs, engine):
    """One filter for the whole file."""
    site = open_site(tmp_path_factory, certs, "cli")
    engine.api.import_image(speaking(), SPEAKS, SPEAKS_RUN)
    try:
        yield SimpleNamespace(site=site, gate=site.filter(engine.socket))
    finally:
        try:
            site.close()
        finally:
            engine.clean()
            engine.api.remove_image(SPEAKS)


@pytest.fixture(scope="module", params=CLIENTS or [None])
def clients(request, place, engine):
    """One of the programs: `straight` and `filtered`."""
    if request.param is None:
        skip_or_fail("there is no docker (Debian package docker.io)")
    folder = place.site.folder / f"client{CLIENTS.index(request.param)}"
    return SimpleNamespace(straight=DockerCli(request.param, engine.socket, folder),
                           filtered=DockerCli(request.param, place.gate.path, folder))


@pytest.fixture(scope="module")
def lives(clients, engine):
    return lead(clients.straight, engine.api), lead(clients.filtered, engine.api)


def documents(text):
    """What `inspect` printed. An engine keeps of AttachStdout and AttachStderr what the client that
    made a container was going to do; the filter drops them. The client sends variables in any
    order."""
    found = json.loads(text)
    for document in found:
        if "Config" in document:
            document["Config"].update(AttachStdout=None, AttachStderr=None,
                                      Env=sorted(document["Config"]["Env"]))
    return found


@pytest.mark.parametrize("step", [n for n, (code, _) in enumerate(LIFE) if code is not None],
                         ids=lambda n: f"{n}-{LIFE[n][1].replace('/', '.')[:40]}")
def test_same_output_and_exit_code_as_straight(lives, step):
    code, command = LIFE[step]
    straight, filtered = (life[step] for life in lives)
    assert straight.code == code, straight
    if code == 0 and "inspect" in command:
        found, wanted = documents(filtered.out), documents(straight.out)
        if "Config" in wanted[0] and not command.startswith("image"):
            assert "A=b=c" in wanted[0]["Config"]["Env"]
            hide_environment(wanted[0])
        assert alike_document(found) == alike_document(wanted)
        straight.out = filtered.out = ""
    assert filtered.alike() == straight.alike()


def test_every_kind_of_output_is_compared(lives):
    """So that the comparison above does not hold for nothing."""
    straight = {}
    for (_, command), told in zip(LIFE, lives[0]):
        straight.setdefault(command, told)
    assert straight["logs {name}"].out == "ready\n"
    assert "ID=alpine" in straight["exec {id} cat /etc/os-release"].out
    assert "executable file not found" in straight["exec {name} update-ca-certificates"].out
    assert "No such file" in straight["exec nc_app_fedora update-ca-trust extract"].err
    assert "registry.test" in straight["pull registry.test/none:1"].err
    assert f"Untagged: {SPEAKS_TOO}" in straight[f"rmi {SPEAKS_TOO}"].out


# ---- what goes on for long ----

@pytest.fixture
def talk(engine, place):
    """A running container that says what it is told."""
    engine.api.create("nc_app_talk", SPEAKS)
    engine.api.start("nc_app_talk")
    engine.api.wait_logged("nc_app_talk", b"ready")
    yield "nc_app_talk"
    engine.api.remove("nc_app_talk")


def read_line(pipe):
    """The next line, as soon as it is there."""
    line, deadline = b"", Deadline(what="a line of the log")
    while not line.endswith(b"\n"):
        assert select.select([pipe], [], [], deadline.left())[0], f"so far {line!r}"
        piece = os.read(pipe.fileno(), 1)
        assert piece, f"ended after {line!r}"
        line += piece
    return line


@pytest.fixture
def follow():
    """Begins `logs -f`, and ends it after the test."""
    begun = []

    def begin(cli, name):
        begun.append(cli.begin("logs", "-f", name))
        assert read_line(begun[-1].stdout) == b"ready\n"
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def test_a_followed_log_comes_line_by_line_and_ends_with_the_container(clients, engine, talk,
                                                                       follow):
    process = follow(clients.filtered, talk)
    for line in ("one", "two"):
        tell(engine.api, talk, line)
        assert read_line(process.stdout) == f"{line}\n".encode()
        assert read_line(process.stderr) == f"not {line}\n".encode()
    tell(engine.api, talk, "end")
    assert process.communicate(timeout=Deadline().left()) == (b"", b"")
    assert process.returncode == 0
    assert engine.api.inspect(talk)["State"]["ExitCode"] == SPEAKS_CODE


def test_a_followed_log_ends_when_the_container_is_removed(clients, engine, talk, follow):
    process = follow(clients.filtered, talk)
    assert clients.filtered.good("rm", "-f", talk) == talk
    process.communicate(timeout=Deadline().left())
    assert process.returncode == 0


def test_a_client_that_is_killed_ends_its_log_at_the_engine(site, clients, engine, talk, follow):
    recorder = site.add(UnixRecorder(site.socket_path(), engine.socket))
    gate = site.filter(recorder.path)
    cli = DockerCli(clients.filtered.program, gate.path, site.folder / "client")
    process = follow(cli, talk)
    asked, = recorder.asked("GET", "/logs")
    assert "follow=1" in asked.query

    def is_open():
        return asked.connection in {pair.number for pair in recorder.pairs}

    assert is_open()
    process.kill()
    recorder.wait(lambda: not is_open(), "the end of the log's connection to the engine")


# ---- versions of the API ----

@pytest.mark.parametrize("version", ["1.24", "1.30", "1.40", "1.42", "1.99"])
def test_older_versions_of_the_api_pass_and_newer_ones_are_told_the_engines_words(clients, engine,
                                                                                   talk, version):
    for command in (f"start {talk}", f"logs {talk}", f"exec {talk} cat /etc/os-release",
                    f"create --name {talk} --network host {SPEAKS}", f"stop -t 0 {talk}"):
        straight, filtered = (cli.run(*words(command), DOCKER_API_VERSION=version)
                              for cli in (clients.straight, clients.filtered))
        assert filtered.alike() == straight.alike(), command
    known = engine.api.version()[1]  # all of them are 1 and two digits
    assert (engine.api.status(talk) == "exited") == (version <= known)


def test_versions_that_are_too_old_for_the_filter_are_malformed(clients, talk):
    told = clients.filtered.run("start", talk, DOCKER_API_VERSION="1.23")
    assert told.code == 1 and "malformed request: API version out of range" in told.err


def test_a_host_on_the_command_line_is_as_good(clients, place):
    told = clients.straight.run("-H", f"unix://{place.gate.path}", "volume", "ls", DOCKER_HOST="")
    assert told.code == 1 and "refused by policy: GET volumes: not an allowed call" in told.err


def test_run_in_the_background(clients, engine):
    try:
        made = clients.filtered.good("run", "-d", "--name", "nc_app_run", "--network", "host", ENDS)
        assert engine.api.inspect("nc_app_run")["Id"] == made
        engine.api.wait_status("nc_app_run", "exited")
    finally:
        engine.api.remove("nc_app_run")


# ---- what is refused ----

CREATE = "create --name nc_app_new --network host"
NO_CALL = "not an allowed call"
OF_NAME = "container name is not one that the policy lists"
OF_ALL = "a list of all containers needs a policy for all of them"
OF_ID = "container of that id has a name that the policy does not list"


def creating(*rows):
    """With options of `docker create`."""
    return [(f"{CREATE} {options} {PLAIN}", f"containers/create: {why}") for options, why in rows]


def about(name, why, *commands):
    """About a container of others."""
    return [(f"{command} {name}", f"{call}: {why}") for command, call in commands]


BY_RULE = [("start", "containers/start"), ("stop", "containers/stop"),
           ("rm -f", "containers/remove"), ("inspect", "containers/inspect"), ("logs", "containers/inspect"),
           ("attach", "containers/inspect"), ("port", "containers/inspect")]

REFUSED = [
    *creating(
        ("--privileged", "HostConfig.Privileged is not allowed"),
        ("-v /:/host", "HostConfig.Binds is not allowed"),
        ("-v other:/x", "HostConfig.Binds is not allowed"),
        ("-v /x", "Volumes is not allowed"),
        ("--mount type=bind,source=/etc,target=/h",
         "mount source is a folder that the policy does not list"),
        ("--mount type=volume,source=other,target=/x",
         "mount source is a volume that the policy does not list"),
        ("--mount type=tmpfs,target=/x", "HostConfig.Mounts.Type is neither volume nor bind"),
        ("--cap-add SYS_ADMIN", "HostConfig.CapAdd is not allowed"),
        ("--pid host", "HostConfig.PidMode is not allowed"),
        ("--pid container:other", "HostConfig.PidMode is not allowed"),
        ("--ipc host", "HostConfig.IpcMode is not allowed"),
        ("--uts host", "HostConfig.UTSMode is not allowed"),
        ("--userns host", "HostConfig.UsernsMode is not allowed"),
        ("--cgroup-parent x", "HostConfig.CgroupParent is not allowed"),
        ("--device /dev/zero", "HostConfig.Devices has a device that the policy does not list"),
        ("--device-cgroup-rule 'a *:* rwm'", "HostConfig.DeviceCgroupRules is not allowed"),
        ("--gpus all", "HostConfig.DeviceRequests is for GPUs, which the policy does not list"),
        ("--security-opt apparmor=unconfined", "HostConfig.SecurityOpt is not allowed"),
        ("--volumes-from other", "HostConfig.VolumesFrom is not allowed"),
        ("-p 1234:80", "HostConfig.PortBindings.*.HostIp is empty, which means all addresses"),
        ("--runtime other", "HostConfig.Runtime is not allowed"),
        ("--group-add 0", "HostConfig.GroupAdd is not allowed"),
        ("--user 0", "User is not allowed"), ("--entrypoint sh", "Entrypoint is not allowed"),
        ("--rm", "HostConfig.AutoRemove is not allowed"),
        ("-i", "AttachStdin is not allowed"), ("-t", "Tty is not allowed"),
        ("--health-cmd x", "Healthcheck is not allowed"),
        ("--log-driver syslog", "HostConfig.LogConfig is not allowed"),
        ("--add-host a:192.0.2.1", "HostConfig.ExtraHosts is not allowed"),
        ("--sysctl net.ipv4.ip_forward=1", "HostConfig.Sysctls is not allowed"),
        ("--ulimit nofile=1", "HostConfig.Ulimits is not allowed")),
    (f"create --name nc_app_new --network container:other {PLAIN}", "containers/create: "),
    (f"{CREATE} {PLAIN} sh -c true", "containers/create: Cmd is not allowed"),
    (f"create --name else {PLAIN}", f"containers/create: {OF_NAME}"),
    (f"create {PLAIN}", "containers/create: parameter name is missing"),
    (f"run --privileged --name nc_app_new --network host {PLAIN}",
     "containers/create: HostConfig.Privileged is not allowed"),
    (f"run -v /:/host --name nc_app_new --network host {PLAIN}",
     "containers/create: HostConfig.Binds is not allowed"),
    *about("other", OF_NAME, *BY_RULE), *about("{id}", OF_ID, *BY_RULE),
    *about("{short}", OF_ID, *BY_RULE),
    ("exec other cat /etc/os-release", f"containers/inspect: {OF_NAME}"),
    ("exec {id} cat /etc/os-release", f"containers/inspect: {OF_ID}"),
    ("exec nc_app_known sh", "containers/exec: Cmd is a command that the policy does not list"),
    ("exec nc_app_known cat /etc/shadow",
     "containers/exec: Cmd is a command that the policy does not list"),
    ("exec nc_app_known cat", "containers/exec: Cmd is a command that the policy does not list"),
    ("exec -i nc_app_known cat /etc/os-release", "containers/exec: AttachStdin is not allowed"),
    ("exec -t nc_app_known cat /etc/os-release", "containers/exec: Tty is not allowed"),
    ("exec -d nc_app_known cat /etc/os-release", "containers/exec: Detach is not allowed"),
    ("exec -u 0 nc_app_known cat /etc/os-release", "containers/exec: User is not allowed"),
    ("exec -w / nc_app_known cat /etc/os-release", "containers/exec: WorkingDir is not allowed"),
    ("exec -e A=b nc_app_known cat /etc/os-release", "containers/exec: Env is not allowed"),
    ("exec --privileged nc_app_known cat /etc/os-release",
     "containers/exec: Privileged is not allowed"),
    *((f"{command} nc_app_known", f"POST containers/.../{command}: {NO_CALL}")
      for command in ("restart", "kill", "pause", "wait")),
    ("rename nc_app_known nc_app_new", f"POST containers/.../rename: {NO_CALL}"),
    ("update --memory 64m nc_app_known", f"POST containers/.../update: {NO_CALL}"),
    ("top nc_app_known", f"GET containers/.../top: {NO_CALL}"),
    ("diff nc_app_known", f"GET containers/.../changes: {NO_CALL}"),
    ("export nc_app_known", f"GET containers/.../export: {NO_CALL}"),
    ("stats --no-stream nc_app_known", f"GET containers/.../stats: {NO_CALL}"),
    ("commit nc_app_known", f"POST commit: {NO_CALL}"),
    ("cp nc_app_known:/etc/os-release -", f"GET containers/.../archive: {NO_CALL}"),
    ("cp /etc/hostname nc_app_known:/tmp/x", "containers/archive: parameter path is not /"),
    ("cp /etc/hostname other:/tmp/x", None),
    ("ps -a", f"containers/list: {OF_ALL}"),
    ("ps --filter name=nc_app_known", f"containers/list: {OF_ALL}"),
    ("ps -a --filter label=harp.instance=0 --filter label=b", f"containers/list: {OF_ALL}"),
    ("events", f"GET events: {NO_CALL}"),
    ("images", f"GET images/json: {NO_CALL}"),
    (f"history {PLAIN}", f"GET images/.../history: {NO_CALL}"),
    (f"tag {PLAIN} registry.test/new:1", f"POST images/.../tag: {NO_CALL}"),
    (f"save {PLAIN}", f"GET images/get: {NO_CALL}"),
    (f"push {PLAIN}", f"POST images/.../push: {NO_CALL}"),
    (f"rmi -f {PLAIN}", "images/remove: parameter force is not false"),
    ("import /etc/hostname", "images/create: parameter fromSrc is not allowed"),
    ("load -i /etc/hostname", f"POST images/load: {NO_CALL}"),
    ("login -u a -p b registry.test", f"POST auth: {NO_CALL}"),
    ("search x", f"GET images/search: {NO_CALL}"),
    ("volume ls", f"GET volumes: {NO_CALL}"),
    ("volume prune -f", f"POST volumes/prune: {NO_CALL}"),
    ("volume create", "volumes/create: "),
    ("volume create else", "volumes/create: Name is a volume that the policy does not list"),
    ("volume create -o type=none -o o=bind -o device=/ nc_app_new_data",
     "volumes/create: DriverOpts is not allowed"),
    ("volume create -d else nc_app_new_data", "volumes/create: Driver is not allowed"),
    ("volume rm other", "volumes/remove: volume name is not one that the policy lists"),
    ("network ls", f"GET networks: {NO_CALL}"),
    ("network create new", f"POST networks/create: {NO_CALL}"),
    ("network connect host nc_app_known", f"POST networks/.../connect: {NO_CALL}"),
    ("swarm init", f"POST swarm/init: {NO_CALL}"),
    ("service ls", f"GET services: {NO_CALL}"),
    ("plugin ls", f"GET plugins: {NO_CALL}"),
    ("secret ls", f"GET secrets: {NO_CALL}"),
    ("system df", f"GET system/df: {NO_CALL}"),
    ("container prune -f", f"POST containers/prune: {NO_CALL}"),
]


@pytest.fixture(scope="module")
def others(place, engine):
    """A container and a volume that are none of AppAPI's, and nc_app_known, which is."""
    api = engine.api
    api.call("POST", "/volumes/create", {"Name": "other"})
    made = api.create("other", SPEAKS)
    api.create("nc_app_known", SPEAKS)
    api.start("nc_app_known")
    yield made
    engine.clean()


def state(api):
    """What no refused command may change."""
    found = [api.inspect(name) for name in api.containers()]
    return ([(row["Name"], row["Id"], row["State"]["Status"], row["HostConfig"]["Memory"],
              row["ExecIDs"]) for row in found], api.volumes(), api.images())


@pytest.mark.parametrize("command, why", REFUSED,
                         ids=[f"{n}-{row[0].replace('/', '.')[:40]}"
                              for n, row in enumerate(REFUSED)])
def test_what_is_refused_says_why_and_changes_nothing(clients, others, engine, command, why):
    before = state(engine.api)
    told = clients.filtered.run(*words(command, id=others, short=others[:12]))
    assert told.code == (125 if command.startswith("run ") else 1), told
    assert f"refused by policy: {why or ''}" in told.err and told.out in ("", "[]\n"), told
    assert state(engine.api) == before


@pytest.mark.parametrize("command", ["attach nc_app_known", "start -a nc_app_known"])
def test_what_is_upgraded_is_refused_with_the_status_only(clients, others, engine, command):
    """Docker's client does not look at the body then."""
    before = state(engine.api)
    told = clients.filtered.run(*words(command))
    assert told.code == 1 and "unable to upgrade to tcp, received 403" in told.err, told
    assert state(engine.api) == before


def test_what_the_engine_is_needs_another_policy(clients):
    told = clients.filtered.run("info")
    assert told.code == 1, told
    assert f"refused by policy: GET info: {NO_CALL}" in told.out + told.err


def test_a_build_is_refused(clients, others, engine):
    before = state(engine.api)
    told = clients.filtered.run("build", "-", given=b"FROM scratch\n")
    assert told.code == 1 and "Error response from daemon: " in told.err, told
    assert state(engine.api) == before
