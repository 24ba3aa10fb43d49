"""`harp-hub bans`: asks a hub that runs, with the settings it was started with."""
import os
import socket
import threading

import pytest

from harness import app, fetch, free_port, run_program
from harness.programs import hub_environment
from test_admin import fail_with_a_wrong_key


def bans(hub, *arguments, **settings):
    """The command in the environment of that hub, as `docker exec` gives it."""
    return run_program("harp-hub", "--config", hub.config, "bans", *arguments,
                       env={**hub.env, **settings})


def lines(result):
    assert result.returncode == 0 and result.stderr == "", result
    return result.stdout.splitlines()


@pytest.fixture(name="hub", scope="module")
def one_hub(tmp_path_factory, certs):
    """A hub without failures."""
    from conftest import open_site  # pylint: disable=import-outside-toplevel
    site = open_site(tmp_path_factory, certs, "bans")
    try:
        yield site.hub(app())
    finally:
        site.close()


def failed(result, *words, code=1):
    """One line on stderr that has these words."""
    assert result.returncode == code and result.stdout == "", result
    line, = result.stderr.strip().splitlines()
    assert line.startswith("harp-hub: ") and all(word in line for word in words), line
    return line


@pytest.mark.parametrize("arguments", [(), ("list",)])
def test_an_empty_list_says_so(hub, arguments):
    assert lines(bans(hub, *arguments)) == ["no failures are remembered"]


def test_nothing_to_lift_is_told(hub):
    failed(bans(hub, "lift", "192.0.2.1"), "192.0.2.1")
    failed(bans(hub, "lift", "2001:db8::5"), "2001:db8::/64")


@pytest.mark.parametrize("arguments, word", [
    (("nothing",), "'nothing'"), (("list", "more"), "'more'"), (("lift",), "IP address"),
    (("lift", "name.test"), "'name.test'"), (("lift", "192.0.2.1", "192.0.2.2"), "IP address"),
    (("lift", "192.0.2.1/24"), "'192.0.2.1/24'"), (("",), "''")])
def test_wrong_usage_is_told_and_ends_with_2(hub, arguments, word):
    failed(bans(hub, *arguments), word, "--help", code=2)


def test_help_is_given_and_names_the_command(hub):
    result = bans(hub, "--help")
    assert result.returncode == 0 and "bans [list|lift ADDRESS]" in result.stdout


def test_proxies_of_the_environment_do_not_count(hub):
    assert lines(bans(hub, http_proxy="http://127.0.0.1:9", all_proxy="http://127.0.0.1:9"))


def test_the_token_goes_along(site):
    hub = site.hub(app(), settings={"HP_ADMIN_TOKEN": "the right one"})
    assert lines(bans(hub)) == ["no failures are remembered"]
    line = failed(bans(hub, HP_ADMIN_TOKEN="another"), "HP_ADMIN_TOKEN")
    assert "another one" not in line and "right" not in line
    failed(bans(hub, "lift", "::1", HP_ADMIN_TOKEN=""), "HP_ADMIN_TOKEN")


def test_over_a_unix_socket(site):
    path = site.socket_path()
    hub = site.hub(app(), settings={"HP_ADMIN_ADDRESS": f"unix:{path}"})
    assert lines(bans(hub)) == ["no failures are remembered"]
    failed(bans(hub, "lift", "192.0.2.1"), "192.0.2.1")


def test_a_hub_that_listens_everywhere_is_asked_on_the_loopback(site):
    hub = site.hub(app(), settings={"HP_ADMIN_ADDRESS": f"0.0.0.0:{free_port()}",
                                    "HP_ADMIN_TOKEN": "t"})
    assert lines(bans(hub)) == ["no failures are remembered"]


def test_no_hub_there_is_told_with_the_address(tmp_path):
    ports = {name: free_port() for name in ("http", "https", "frp", "admin")}
    env = hub_environment(tmp_path, tmp_path, ports, {"NC_INSTANCE_URL": "http://127.0.0.1:1"})
    failed(run_program("harp-hub", "bans", env=env), f"127.0.0.1:{ports['admin']}",
           "is it running", "HP_ADMIN_ADDRESS")
    path = tmp_path / "nothing.sock"
    env["HP_ADMIN_ADDRESS"] = f"unix:{path}"
    failed(run_program("harp-hub", "bans", env=env), str(path), "is it running")
    env["HP_ADMIN_ADDRESS"] = "off"
    failed(run_program("harp-hub", "bans", env=env), "HP_ADMIN_ADDRESS", "off")


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope",
    b"HTTP/1.1 200 OK\r\nContent-Length: 85\r\n\r\n"
    b'{"bans":[{"address":"\\u001b[2J","failures":1,"banned":true,"seconds_left":1}],"total":1}  ',
    b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 300000,
    b"SSH-2.0-x\r\n",
    b"",
])
def test_another_program_at_the_address_is_told(hub, answer):
    """Whatever it says: nothing of it reaches the terminal."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            with server.accept()[0] as peer:
                peer.recv(65536)
                try:
                    peer.sendall(answer)
                except OSError:
                    pass  # it had enough

        thread = threading.Thread(target=serve)
        thread.start()
        at = f"127.0.0.1:{server.getsockname()[1]}"
        result = bans(hub, HP_ADMIN_ADDRESS=at)
        thread.join()
    assert "\033" not in failed(result, at, "HP_ADMIN_ADDRESS")


def test_an_answer_that_does_not_end_is_not_waited_for(hub):
    with socket.create_server(("127.0.0.1", 0)) as server:
        at = f"127.0.0.1:{server.getsockname()[1]}"
        failed(bans(hub, HP_ADMIN_ADDRESS=at), at)


def test_a_full_disk_is_no_success(hub):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    with open("/dev/full", "w", encoding="ascii") as full:
        import subprocess  # pylint: disable=import-outside-toplevel
        from harness import program  # pylint: disable=import-outside-toplevel
        code = subprocess.run([program("harp-hub"), "--config", hub.config, "bans"], env=hub.env,
                              stdout=full, timeout=20, check=False).returncode
    assert code == 1


def test_failures_are_listed_and_lifted(site):
    hub = site.hub(app(), settings={"HP_BLACKLIST_COUNT": "10"})
    fail_with_a_wrong_key(hub, 3)
    assert lines(bans(hub)) == ["ADDRESS    FAILURES  BANNED  LEFT",
                                "127.0.0.1         3  no      -"]
    fail_with_a_wrong_key(hub, 7)
    head, row = lines(bans(hub, "list"))
    assert head.split() == ["ADDRESS", "FAILURES", "BANNED", "LEFT"]
    assert row.split()[:3] == ["127.0.0.1", "10", "yes"] and row.endswith("s")
    line, = lines(bans(hub, "lift", "127.0.0.1"))
    assert "127.0.0.1" in line
    assert lines(bans(hub)) == ["no failures are remembered"]
    assert fetch(hub.http, "/exapps/sample/").status != 429
