"""Programs from start to end: options, exit codes, errors in one line, stopping, certificates."""
import os
import signal
import stat
import subprocess
import threading
import time

import pytest

from harness import (RawClient, RawOrigin, app, fetch, free_port, leaked, program, response,
                     run_program, wait_for)
from harness.programs import TunnelClient, hub_environment

A = "/exapps/sample"
both = pytest.mark.parametrize("name", ["harp-hub", "harp-tunnel-client"])


def ports():
    return {name: free_port() for name in ("http", "https", "frp", "admin")}


def check_config(tmp_path, config, settings=(), drop=()):
    """harp-hub --check-config with this hub.cfg and these changes to a good environment."""
    path = tmp_path / "hub.cfg"
    path.write_text(config)
    env = hub_environment(tmp_path, tmp_path / "certs", ports(), settings)
    for name in drop:
        env.pop(name)
    return run_program("harp-hub", "--config", path, "--check-config", env=env)


def good_config(**kwargs):
    return f"exapps = (\n{app(**kwargs)}\n);\n"


def error_line(result):
    """The one line with which a refused start ends."""
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert result.returncode == 1, (result.returncode, result.stderr)
    assert len(lines) == 1, result.stderr
    return lines[0]


# ---- options ----

@both
def test_help_goes_to_stdout_and_ends_with_0(name):
    result = run_program(name, "--help")
    assert result.returncode == 0 and result.stderr == ""
    for option in ("--help", "--version", "--config", "--check-config"):
        assert option in result.stdout


@both
def test_version_is_one_line(name):
    result = run_program(name, "--version")
    assert result.returncode == 0
    line, = result.stdout.splitlines()
    assert name in line and any(character.isdigit() for character in line)


@both
def test_unknown_option_is_an_error_that_names_it(name):
    result = run_program(name, "--no-such-option")
    assert result.returncode not in (0, 99) and result.returncode > 0
    assert "no-such-option" in result.stderr


@both
def test_missing_config_file_is_an_error_that_names_it(name, tmp_path):
    result = run_program(name, "--config", tmp_path / "absent.cfg")
    assert "absent.cfg" in error_line(result)


def test_check_config_of_a_good_file_ends_with_0_and_starts_nothing(tmp_path):
    result = check_config(tmp_path, good_config())
    assert result.returncode == 0, result.stderr
    assert not (tmp_path / "certs" / "frp").exists()


def test_check_config_of_a_good_frpc_toml(tmp_path):
    path = tmp_path / "frpc.toml"
    path.write_text(TunnelClient.toml(8782, None, "key", "", [("app", 23005, "/tmp/app.sock")]))
    result = run_program("harp-tunnel-client", "-c", path, "--check-config")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("line, word", [
    ('noSuchKey = "x"', "noSuchKey"),
    ('transport.tls.noSuchKey = "x"', "noSuchKey"),
    ("serverPort = 99999", "serverPort"),
])
def test_wrong_frpc_toml_is_refused_with_the_key(tmp_path, line, word):
    path = tmp_path / "frpc.toml"
    text = TunnelClient.toml(8782, None, "key", line, [("app", 23005, "/tmp/app.sock")])
    if word == "serverPort":
        text = text.replace("serverPort = 8782\n", "")
    path.write_text(text)
    assert word in error_line(run_program("harp-tunnel-client", "-c", path, "--check-config"))


# ---- settings ----

@pytest.mark.parametrize("setting, value", [
    ("HP_EXAPPS_ADDRESS", "127.0.0.1"), ("HP_EXAPPS_ADDRESS", "127.0.0.1:70000"),
    ("HP_EXAPPS_ADDRESS", "not an address:80"), ("HP_FRP_ADDRESS", "127.0.0.1:x"),
    ("HP_TIMEOUT_CONNECT", "soon"), ("HP_TIMEOUT_CLIENT", "-1s"), ("HP_TIMEOUT_SERVER", "10 years"),
    ("HP_LOG_LEVEL", "loud"), ("HP_SESSION_LIFETIME", "11"), ("HP_BLACKLIST_COUNT", "many"),
    ("HP_FRP_DISABLE_TLS", "perhaps"), ("NC_INSTANCE_URL", "ftp://cloud.test"),
    ("HP_SHARED_KEY", 'with"quote'),
])
def test_wrong_setting_is_refused_in_one_line_that_names_it(tmp_path, setting, value):
    line = error_line(check_config(tmp_path, good_config(), {setting: value}))
    assert setting in line


def test_wrong_shared_key_is_refused_without_repeating_it(tmp_path):
    line = error_line(check_config(tmp_path, good_config(), {"HP_SHARED_KEY": 'hush"hush'}))
    assert "hush" not in line


def test_missing_shared_key_is_refused(tmp_path):
    line = error_line(check_config(tmp_path, good_config(), drop=["HP_SHARED_KEY"]))
    assert "HP_SHARED_KEY" in line


def test_shared_key_and_its_file_together_are_refused(tmp_path):
    (tmp_path / "key").write_text("secret\n")
    line = error_line(check_config(tmp_path, good_config(),
                                   {"HP_SHARED_KEY_FILE": tmp_path / "key"}))
    assert "HP_SHARED_KEY_FILE" in line


def test_two_listeners_on_one_port_are_refused(tmp_path):
    line = error_line(check_config(tmp_path, good_config(),
                                   {"HP_EXAPPS_ADDRESS": "127.0.0.1:18000",
                                    "HP_FRP_ADDRESS": "127.0.0.1:18000"}))
    assert "HP_FRP_ADDRESS" in line


@pytest.mark.parametrize("config, word", [
    ("no_such_setting = 1;\n", "no_such_setting"),
    ("exapps = (\n", "hub.cfg:"),
    (good_config().replace("port = 23005", "port = 99999"), "port"),
    (good_config().replace('id = "sample"', 'id = "a/b"'), "id"),
    (good_config().replace("access_level = 0", "access_level = 7"), "access_level"),
    (good_config().replace("access_level", "acces_level"), "acces_level"),
])
def test_wrong_config_file_is_refused_with_the_place(tmp_path, config, word):
    line = error_line(check_config(tmp_path, config))
    assert word in line and "hub.cfg" in line


def test_address_in_use_ends_the_start_with_one_line(site, tmp_path):
    hub = site.direct(free_port())
    path = tmp_path / "hub.cfg"
    path.write_text(good_config())
    env = hub_environment(tmp_path, tmp_path / "certs", {**ports(), "http": hub.ports["http"]},
                          {"HP_VERBOSE_START": "0", "HP_LOG_LEVEL": "error"})
    result = run_program("harp-hub", "--config", path, env=env)
    line = error_line(result)
    assert str(hub.ports["http"]) in line


# ---- stopping ----

def test_sigterm_ends_an_idle_hub_at_once(site):
    origin = site.origin()
    hub = site.direct(origin.port)
    with RawClient(hub.http) as client:
        assert client.ask(f"{A}/").status == 200
        # A kept connection without a request is nothing to wait for.
        assert hub.stop() < 3
        client.assert_closed()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_signal_finishes_the_running_request_and_takes_no_new_one(site, number):
    release = threading.Event()

    def answer(_connection, _request):
        release.wait(20)
        return response(b"finished")

    origin = site.origin(answer)
    hub = site.direct(origin.port)
    with RawClient(hub.http) as client:
        client.get(f"{A}/")
        origin.wait_requests(1)
        hub.signal(number)

        def refused():
            try:
                RawClient(hub.http).close()
                return False
            except ConnectionRefusedError:
                return True
            except ConnectionResetError:
                return False  # met the listener while it was being closed

        wait_for(refused, 5, "the listener to be closed")
        assert hub.running()
        release.set()
        reply = client.response()
        assert reply.body == b"finished" and "close" in reply.head.tokens("Connection")
        client.assert_closed()
    assert hub.wait(5) == 0


def test_stop_is_bounded_by_the_shutdown_timeout(site):
    release = threading.Event()

    def answer(_connection, _request):
        release.wait(30)
        return RawOrigin.CLOSE

    origin = site.origin(answer)
    hub = site.direct(origin.port, settings={"HP_SHUTDOWN_TIMEOUT": "1s"})
    with RawClient(hub.http) as client:
        client.get(f"{A}/")
        origin.wait_requests(1)
        began = time.monotonic()
        hub.signal(signal.SIGTERM)
        assert hub.wait(8) == 0
        assert 0.5 < time.monotonic() - began < 6
    release.set()


def test_running_download_is_finished_before_the_hub_ends(site):
    size = 8 << 20
    started = threading.Event()

    def answer(connection, _request):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        started.set()
        for _ in range(8):
            time.sleep(0.05)
            connection.send(b"d" * (1 << 20))

    origin = site.origin(answer)
    hub = site.direct(origin.port)
    with RawClient(hub.http) as client:
        client.get(f"{A}/")
        assert started.wait(10)
        client.head()
        hub.signal(signal.SIGTERM)
        assert len(client.exactly(size)) == size
    assert hub.wait(5) == 0


def test_tunnel_client_ends_with_0_on_sigterm(site):
    origin = site.unix_origin()
    hub, tunnel = site.tunnelled(origin.path)
    assert fetch(hub.http, f"{A}/").status == 200
    assert tunnel.stop() < 5


def test_tunnel_client_ends_with_0_while_it_has_no_hub(site, tmp_path):
    client = site.add(TunnelClient(tmp_path, free_port(), [("app", 23005, "/tmp/none.sock")]))
    # Any line will do: it has read its settings and handles signals.
    wait_for(client.output, 5, "a line from the tunnel client")
    assert client.stop() < 5


# ---- certificates ----

@pytest.mark.parametrize("verbose", ["1", "0"])
def test_the_start_says_what_listens_where_at_any_level_unless_told_not_to(site, verbose):
    hub = site.hub(app(), settings={"HP_LOG_LEVEL": "error", "HP_VERBOSE_START": verbose})
    for name in ("http", "frp", "admin"):
        said = f"listening at 127.0.0.1:{hub.ports[name]}".encode() in hub.output()
        assert said == (verbose == "1")
    assert fetch(hub.http, "/nothing").status == 404
    assert b"answered" not in hub.output()


@pytest.mark.parametrize("key, warned", [("elevenchars", True), ("twelve-chars", False)])
def test_a_short_key_is_warned_about(site, key, warned):
    hub = site.hub(app(), settings={"HP_SHARED_KEY": key})
    assert (b"shorter than 12 characters" in hub.output()) == warned
    assert key.encode() not in hub.output()


def test_first_start_makes_certificates_that_only_the_owner_can_use(site, tmp_path):
    site.hub(app(), certs=tmp_path)
    names = set(os.listdir(tmp_path / "frp"))
    assert {"ca.crt", "server.crt", "server.key", "client.crt", "client.key"} <= names
    for name in names:
        if name.endswith(".key"):
            mode = stat.S_IMODE(os.stat(tmp_path / "frp" / name).st_mode)
            assert mode & 0o077 == 0, f"{name} has mode {mode:o}"


def test_certificates_are_what_stock_clients_expect(site, tmp_path):
    site.hub(app(), certs=tmp_path)
    frp = tmp_path / "frp"
    for name, purpose in (("server", "sslserver"), ("client", "sslclient")):
        done = subprocess.run(["openssl", "verify", "-purpose", purpose, "-CAfile",
                               frp / "ca.crt", frp / f"{name}.crt"], capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0, done.stderr
    shown = subprocess.run(["openssl", "x509", "-in", frp / "server.crt", "-noout", "-checkhost",
                            "harp.nc"], capture_output=True, text=True, check=False)
    assert "does match" in shown.stdout


def test_second_start_reuses_the_certificates(site, tmp_path):
    hub = site.hub(app(), certs=tmp_path)
    hub.stop()
    before = {name: (tmp_path / "frp" / name).read_bytes() for name in os.listdir(tmp_path / "frp")}
    site.hub(app(), certs=tmp_path)
    after = {name: (tmp_path / "frp" / name).read_bytes() for name in os.listdir(tmp_path / "frp")}
    assert before == after


def test_first_answer_comes_soon_after_a_start_with_certificates(site):
    """150 ms is the aim; the bound here leaves room for a busy machine."""
    origin = site.origin()
    site.direct(origin.port).stop()
    began = time.monotonic()
    hub = site.direct(origin.port)
    assert fetch(hub.http, f"{A}/").status == 200
    assert time.monotonic() - began < 1.0


def test_secrets_never_reach_the_log(site):
    origin = site.unix_origin()
    hub, tunnel = site.tunnelled(origin.path)
    fetch(hub.http, f"{A}/", b"Cookie: oc_sessionPassphrase=hush-cookie",
          b"Authorization: Basic aHVzaC1hdXRo", b"harp-shared-key: hush-key")
    hub.stop()
    tunnel.stop()
    assert leaked(hub.output() + tunnel.output()) == []


def test_programs_are_position_independent():
    """Address space randomisation needs a position independent executable."""
    for name in ("harp-hub", "harp-tunnel-client"):
        head = program(name).read_bytes()[:20]
        assert head[:4] == b"\x7fELF" and head[16] == 3, f"{name} is not position independent"
