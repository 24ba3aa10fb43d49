"""The socket filter's settings: what is wrong in a file is told by its line, and what stands without one."""
import re

import pytest

from harness import RawClient, program, run_program
from harness.credentials import DSP_PASSWORD, FILTER_PASSWORD
from harness.fake_engine import FakeEngine
from harness.programs import ROOT, filter_environment

NAME = "harp-socket-filter"
LISTENER = '{{ address = "unix:/tmp/x.sock"; policy = "appapi"; {} }}'


def run(*arguments, **env):
    return run_program(NAME, *arguments, env=filter_environment(**env))


def check(tmp_path, text, *arguments, **env):
    path = tmp_path / "filter.cfg"
    path.write_text(text)
    return run("--config", path, "--check-config", *arguments, **env)


def error_of(tmp_path, result):
    """The one line of a refused start, without the program's name and the file's folder."""
    lines = result.stderr.splitlines()
    assert (result.returncode, len(lines), result.stdout) == (1, 1, ""), result
    assert lines[0].startswith("harp-socket-filter: ")
    return lines[0].removeprefix("harp-socket-filter: ").replace(f"{tmp_path}/", "")


def listener(text):
    return f"listeners = (\n  {text} );\n"


def unix(text):
    return listener(LISTENER.format(text))


def tcp(address, text=""):
    return listener(f'{{ address = "{address}"; policy = "appapi"; {text} }}')


FINGERPRINT = "sha256:" + "0a" * 32
TLS = 'certificate = "/c.pem";'
MUTUAL = TLS + ' client_ca = "/ca.pem";'
WRONG = {
    "unknown at the top": ('listner = ();', "filter.cfg:1: listner: unknown setting"),
    "unknown, in other letters": ('Docker = "unix:/x";',
                                  "filter.cfg:1: Docker: unknown setting; in this file it is called docker"),
    "unknown, by its environment name": ('\nHP_FILTER_DOCKER = "unix:/x";',
                                         "filter.cfg:2: HP_FILTER_DOCKER: unknown setting; in this file it is called docker"),
    "unknown in a listener": (unix("polici = 1;"), "filter.cfg:2: polici: unknown setting"),
    "unknown in a certificate": (unix(MUTUAL + 'certificates = ( { name = "a"; policy = "appapi"; x = 1; } );'),
                                 "filter.cfg:2: x: unknown setting"),
    "a listener's own setting at the top": ('file_mode = "0660";', "filter.cfg:1: file_mode: unknown setting"),
    "no syntax": ("listeners = (", "filter.cfg:1: syntax error"),
    "text for a number": ('max_execs = "many";', "filter.cfg:1: max_execs: 'many' is not a whole number"),
    "a number out of range": ("max_connections = 0;", "filter.cfg:1: max_connections: '0' is out of range"),
    "time without a unit": ("timeout_slow = 30;", "filter.cfg:1: timeout_slow: '30' has no unit"),
    "neither true nor false": ('sandbox = "maybe";', "filter.cfg:1: sandbox: 'maybe' is neither"),
    "unknown choice": ('audit = "sometimes";', "filter.cfg:1: audit: 'sometimes' is not known; write one of off, on, required"),
    "group for a value": ("docker = { };", "filter.cfg:1: docker: write one value here"),
    "engine by TCP": ('\n\ndocker = "127.0.0.1:2375";', "filter.cfg:3: docker: is not unix:PATH"),
    "engine is no address": ('docker = "/run/docker.sock";', "filter.cfg:1: docker: '/run/docker.sock' is no address"),
    "admin by TCP": ('admin = "127.0.0.1:9";', "filter.cfg:1: admin: is not unix:PATH or off"),
    "admin is the engine": ('admin = "unix:/x"; docker = "unix:/x";', "filter.cfg:1: admin: is the engine's own socket"),
    "listeners are no list": ('listeners = { address = "unix:/x"; };', "filter.cfg:1: listeners: write a list of groups"),
    "a listener is no group": ('listeners = ( "unix:/x" );', "filter.cfg:1: write a group here"),
    "no address": (listener('{ policy = "appapi"; }'), "filter.cfg:2: a listener needs an address"),
    "address off": (tcp("off"), "filter.cfg:2: a listener needs an address"),
    "host name": (tcp("localhost:80"), "filter.cfg:2: address: 'localhost:80' is no address"),
    "path too long": (tcp("unix:/" + "x" * 108), "filter.cfg:2: address: 'unix:/x"),
    "address and socket": (unix('socket = "web";'), "filter.cfg:2: address and socket are set"),
    "no policy": (listener('{ address = "unix:/x"; }'), "filter.cfg:2: a listener needs a policy"),
    "unknown policy": (listener('{ address = "unix:/x"; policy = "nope"; }'),
                       "filter.cfg:2: listener unix:/x: there is no policy 'nope'; `harp-socket-filter policy show`"),
    "twice": (listener('{ address = "unix:/x"; policy = "appapi"; },\n{ address = "unix:/x"; policy = "appapi"; }'),
              "filter.cfg:3: listener unix:/x: is there twice"),
    "twice by TCP": (listener('{ address = "127.0.0.1:5"; policy = "appapi"; },\n\n{ address = "127.0.0.1:5"; policy = "appapi"; }'),
                     "filter.cfg:4: listener 127.0.0.1:5: is there twice"),
    "twice by name": (listener('{ socket = "s"; policy = "appapi"; }, { socket = "s"; policy = "appapi"; }'),
                      "filter.cfg:2: listener socket:s: is there twice"),
    "the engine's own": (tcp("unix:/var/run/docker.sock"),
                         "filter.cfg:2: listener unix:/var/run/docker.sock: is the engine's own socket"),
    "the administrator's": ('admin = "unix:/x";\n' + tcp("unix:/x"),
                            "filter.cfg:3: listener unix:/x: is the administrator's socket"),
    "open to all": (tcp("0.0.0.0:2375"), "filter.cfg:2: an address that others can reach needs"),
    "open to all by IPv6": (tcp("[::]:2375"), "filter.cfg:2: an address that others can reach needs"),
    "TLS alone": (tcp("192.0.2.1:2376", TLS), "filter.cfg:2: an address that others can reach needs"),
    "a password alone": (tcp("192.0.2.1:2376", 'user = "u"; password = "p";'),
                         "filter.cfg:2: an address that others can reach needs"),
    "user alone": (unix('user = "u";'), "filter.cfg:2: user goes with password"),
    "password alone": (unix('password = "p";'), "filter.cfg:2: user goes with password"),
    "two passwords": (unix('user = "u"; password = "p"; password_file = "/p";'),
                      "filter.cfg:2: password and password_file are set"),
    "a colon in user": (unix('user = "u:v"; password = "p";'), "filter.cfg:2: a colon can't be part of user"),
    "a long password": (unix(f'user = "u"; password = "{"p" * 1025}";'),
                        "filter.cfg:2: listener unix:/tmp/x.sock: its password is longer than 1024 bytes"),
    "no password file": (unix('user = "u"; password_file = "/no/such";'),
                         "filter.cfg:2: password_file: cannot open '/no/such': No such file"),
    "an empty password file": (unix('user = "u"; password_file = "/dev/null";'),
                               "filter.cfg:2: password_file: the key in '/dev/null' (not shown)"),
    "key without certificate": (unix('key = "/k";'), "filter.cfg:2: key and client_ca go with a certificate"),
    "client_ca without certificate": (unix('client_ca = "/k";'), "filter.cfg:2: key and client_ca go with"),
    "certificates without client_ca": (unix(TLS + 'certificates = ( { name = "a"; policy = "appapi"; } );'),
                                       "filter.cfg:2: certificates of clients need client_ca"),
    "certificates are no list": (unix(MUTUAL + "certificates = 1;"), "filter.cfg:2: certificates: write a list"),
    "certificate without a name": (unix(MUTUAL + 'certificates = ( { policy = "appapi"; } );'),
                                   "filter.cfg:2: give a name and a policy"),
    "certificate with an unknown policy": (unix(MUTUAL + 'certificates = ( { name = "a"; policy = "b"; } );'),
                                           "filter.cfg:2: listener unix:/tmp/x.sock: there is no policy 'b'"),
    "fingerprint with colons": (unix(MUTUAL + 'certificates = ( { name = "SHA256:0A:0A"; policy = "appapi"; } );'),
                                "filter.cfg:2: write a fingerprint as sha256:"),
    "certificate twice": (unix(MUTUAL + 'certificates = ( { name = "a"; policy = "appapi"; },\n { name = "A"; policy = "read-only"; } );'),
                          "filter.cfg:3: this certificate is there twice"),
    "file_mode as a number": (unix("file_mode = 0660;"), "filter.cfg:2: file_mode: write the socket's mode as a string"),
    "file_mode in letters": (unix('file_mode = "rw-rw----";'), "filter.cfg:2: file_mode: write"),
    "file_mode in decimal": (unix('file_mode = "0680";'), "filter.cfg:2: file_mode: write"),
    "file_mode with a sign": (unix('file_mode = "+660";'), "filter.cfg:2: file_mode: write"),
    "no file_mode": (unix('file_mode = "";'), "filter.cfg:2: file_mode: write"),
    "file_mode too large": (unix('file_mode = "4660";'), "filter.cfg:2: file_mode: write"),
    "file_mode for all": (unix('file_mode = "0666";'), "filter.cfg:2: file_mode: would let every user of this machine in"),
    "file_mode of an address": (tcp("127.0.0.1:5", 'file_mode = "0660";'), "filter.cfg:2: file_mode and group are for a unix socket"),
    "group of a socket handed over": (listener('{ socket = "s"; policy = "appapi"; group = "root"; }'),
                                      "filter.cfg:2: file_mode and group are for a unix socket"),
    "unknown mode": (unix('mode = "watch";'), "filter.cfg:2: mode: 'watch' is not known"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_by_its_line(tmp_path, case):
    text, expected = WRONG[case]
    assert error_of(tmp_path, check(tmp_path, text)).startswith(expected)


RIGHT = {
    "an empty file": "",
    "no listeners": "listeners = ();",
    "loopback": tcp("127.0.0.1:2375") + 'docker = "unix:/x";',
    "others with client certificates": tcp("0.0.0.0:2376", MUTUAL),
    "others with TLS and a password": tcp("0.0.0.0:2376", TLS + 'user = "u"; password = "p:q";'),
    "policies by certificate alone": listener(
        f'{{ address = "[::]:1"; {MUTUAL} certificates = ( {{ name = "{FINGERPRINT}"; policy = "appapi"; }}, '
        '{ name = "a"; policy = "read-only"; } ); }'),
    "a longest password": unix(f'user = "u"; password = "{"p" * 1024}";'),
    "modes": unix('file_mode = "0660"; group = "root"; mode = "report";'),
    "a handed over socket": listener('{ socket = "web"; policy = "appapi"; }'),
}


@pytest.mark.parametrize("case", RIGHT)
def test_what_is_right_is_good(tmp_path, case):
    result = check(tmp_path, RIGHT[case])
    assert (result.returncode, result.stdout, result.stderr) == (0, "the settings are good\n", "")


def test_links_do_not_hide_the_engines_socket(tmp_path):
    """A listener there would take the engine's place, and ask itself."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    text = f'docker = "unix:{tmp_path}/real/docker.sock";\n' + tcp(f"unix:{tmp_path}/link/docker.sock")
    assert "is the engine's own socket" in error_of(tmp_path, check(tmp_path, text))


def test_passwords_are_never_shown(tmp_path):
    result = check(tmp_path, unix(f'user = "u"; password = "{FILTER_PASSWORD}é";'))
    assert FILTER_PASSWORD not in error_of(tmp_path, result)


def test_password_file_is_read_where_the_settings_are(tmp_path):
    (tmp_path / "password").write_text("secret\n")
    text = unix(f'user = "u"; password_file = "{tmp_path}/password";')
    assert check(tmp_path, text).returncode == 0


# ---- the environment ----

ENVIRONMENT = {
    "HP_FILTER_MODE": ("watch", "HP_FILTER_MODE: 'watch' is not known; write one of enforce, report"),
    "HP_FILTER_DOCKER": ("127.0.0.1:1", "HP_FILTER_DOCKER: is not unix:PATH"),
    "HP_FILTER_ADMIN": ("127.0.0.1:1", "HP_FILTER_ADMIN: is not unix:PATH or off"),
    "HP_FILTER_BAN_WINDOW": ("5", "HP_FILTER_BAN_WINDOW: '5' has no unit"),
    "HP_FILTER_BODY_MAX": ("1T", "HP_FILTER_BODY_MAX: '1T' is not a size"),
    "HP_FILTER_AUDIT_SYNC": ("now", "HP_FILTER_AUDIT_SYNC: 'now' is not known"),
    "HP_LOG_LEVEL": ("loud", "HP_LOG_LEVEL: 'loud' is not known"),
}


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_wrong_environment_is_told_by_its_name(tmp_path, name):
    value, expected = ENVIRONMENT[name]
    result = check(tmp_path, 'mode = "report"; log_level = "debug";', **{name: value})
    assert error_of(tmp_path, result).startswith(expected)


def test_environment_wins_over_the_file(tmp_path):
    assert check(tmp_path, 'docker = "127.0.0.1:1";', HP_FILTER_DOCKER="unix:/x").returncode == 0


def test_every_setting_of_help_is_one_of_the_environment():
    names = re.findall(r"^ {4}(\w+) \((\w+)\)", run("--help").stdout, re.MULTILINE)
    assert len(names) > 25
    for setting, name in names:
        prefix = "HP_" if setting.startswith("log_") else "HP_FILTER_"
        assert name == prefix + setting.upper()


def test_hp_config_names_the_file(tmp_path):
    (tmp_path / "filter.cfg").write_text("nope = 1;")
    result = run("--check-config", HP_CONFIG=str(tmp_path / "filter.cfg"))
    assert error_of(tmp_path, result).startswith("filter.cfg:1: nope: unknown setting")


# ---- the command line ----

def test_without_a_file_the_settings_are_good():
    result = run("--check-config")
    assert (result.returncode, result.stdout) == (0, "the settings are good\n")


def test_print_config_is_a_valid_file_with_and_without_its_marks(tmp_path):
    printed = run("--print-config")
    assert printed.returncode == 0 and printed.stderr == ""
    assert (ROOT / "deploy/examples/filter.cfg").read_text() == printed.stdout
    assert check(tmp_path, printed.stdout).returncode == 0
    # Every setting as it stands there by default, then the list of listeners.
    settings = re.sub(r"^#(\w+ = .*;)$", r"\1", printed.stdout, flags=re.MULTILINE)
    assert settings.count("\n") == printed.stdout.count("\n") and settings != printed.stdout
    result = check(tmp_path, settings)
    assert result.returncode == 0, result.stderr
    listeners = printed.stdout[printed.stdout.index("# listeners = ("):]
    text = "\n".join(line.removeprefix("# ") for line in listeners[:listeners.index("# );") + 4].split("\n"))
    result = check(tmp_path, text)
    assert result.returncode == 0, result.stderr


GIVEN = {
    "engine by TCP": (["--docker", "127.0.0.1:1"], "--docker: '127.0.0.1:1' is not unix:PATH"),
    "engine off": (["--docker=off"], "--docker: 'off' is not unix:PATH"),
    "no address": (["--listen", "localhost:1"], "--listen: 'localhost:1' is neither"),
    "off": (["--listen", "off"], "--listen: 'off' is neither"),
    "others can reach it": (["--listen", "0.0.0.0:2375"], "--listen: 0.0.0.0:2375 can be reached by others"),
    "others can reach it by IPv6": (["--listen", "[2001:db8::1]:1"], "--listen: [2001:db8::1]:1 can be reached"),
    "twice": (["--listen", "unix:/x", "--listen=unix:/x"], "--listen: listener unix:/x: is there twice"),
    "the engine": (["--docker", "unix:/x", "--listen", "unix:/x"], "--listen: listener unix:/x: is the engine's"),
}


@pytest.mark.parametrize("case", GIVEN)
def test_wrong_addresses_on_the_command_line_are_told(tmp_path, case):
    arguments, expected = GIVEN[case]
    assert error_of(tmp_path, run("--check-config", *arguments)).startswith(expected)


def test_listen_stands_in_for_all_listeners_of_the_file(tmp_path):
    """So what is wrong with theirs in the whole does not count; what is wrong with one of them does."""
    two = listener(", ".join(['{ address = "unix:/x"; policy = "appapi"; }'] * 2))
    assert check(tmp_path, two).returncode == 1
    assert check(tmp_path, two, "--listen", "unix:/y").returncode == 0


def test_listen_may_be_given_several_times_with_the_files_first_policy(site):
    engine = site.add(FakeEngine(site.socket_path()))
    paths = [site.socket_path(), site.socket_path()]
    given = site.filter(engine.path, listen=[f"unix:{path}" for path in paths],
                        listeners=['{ address = "unix:{path}"; policy = "read-only"; }'])
    for path in paths:
        with RawClient(path) as client:
            assert client.ask("/_ping").status == 200
            assert client.ask("/version").status == 200
            assert client.ask("/volumes/create", method="POST").status == 403
        given.wait_line(f"{path}: policy read-only")
    assert not given.path.exists()


def test_listen_without_a_file_has_appapis_policy(site):
    path = site.socket_path()
    site.filter(site.socket_path(), listen=[f"unix:{path}"]).wait_line(f"{path}: policy appapi")


def test_help_names_commands_and_options():
    result = run("--help")
    assert result.returncode == 0 and result.stderr == ""
    for word in ("--docker", "--listen", "policy show", "audit verify", "health", "HP_FILTER_DOCKER"):
        assert word in result.stdout


USAGE = {
    "unknown option": ["--nope"],
    "unknown command": ["nope"],
    "listen without a value": ["--listen"],
    "an option that no command has": ["--listen", "unix:/x", "policy", "show"],
    "words behind health": ["health", "now"],
    "policy without a word": ["policy"],
    "audit without a word": ["audit"],
}


@pytest.mark.parametrize("case", USAGE)
def test_wrong_usage_ends_with_2(case):
    result = run(*USAGE[case])
    assert (result.returncode, result.stdout) == (2, ""), result
    assert result.stderr


# ---- commands ----

def test_policies_are_shown_and_can_be_read_again(tmp_path):
    names = [line.split()[0] for line in run("policy", "show").stdout.splitlines()]
    assert names[0] == "appapi" and "read-only" in names
    for name in names:
        shown = run("policy", "show", name)
        assert shown.returncode == 0
        text = shown.stdout.replace(f'name = "{name}"', 'name = "mine"')
        policies = f"policies = (\n{text});\n"
        result = check(tmp_path, policies + listener('{ address = "unix:/x"; policy = "mine"; }'))
        assert result.returncode == 0, result.stderr
        assert "mine" in run("--config", tmp_path / "filter.cfg", "policy", "show").stdout


def test_unknown_policy_is_told():
    result = run("policy", "show", "nope")
    assert result.returncode == 1 and "'nope'" in result.stderr


def test_audit_verify_and_show_are_reached(tmp_path):
    (tmp_path / "record").write_text("no record\n")
    for words in (["verify"], ["show", "--verdict", "passed"]):
        result = run("audit", *words, tmp_path / "record")
        assert result.returncode == 1 and "record" in result.stdout + result.stderr, result
        assert run("audit", *words).returncode == 2


def test_start_with_a_wrong_setting_ends_with_1(tmp_path):
    (tmp_path / "filter.cfg").write_text("nope = 1;")
    assert "nope" in error_of(tmp_path, run("--config", tmp_path / "filter.cfg"))


def test_version_is_one_line():
    assert re.fullmatch(r"harp-socket-filter \d+\.\d+\.\d+\n", run("--version").stdout)
    assert program(NAME).exists()


# ---- the environment of Nextcloud's Docker Socket Proxy ----

def dsp(**env):
    if "NC_HAPROXY_PASSWORD_FILE" not in env:
        env.setdefault("NC_HAPROXY_PASSWORD", DSP_PASSWORD)
    return run("--check-config", **env)


DSP_WRONG = {
    "both": ({"NC_HAPROXY_PASSWORD": "a", "NC_HAPROXY_PASSWORD_FILE": "/dev/null"},
             "NC_HAPROXY_PASSWORD: set together with NC_HAPROXY_PASSWORD_FILE"),
    "no file": ({"NC_HAPROXY_PASSWORD_FILE": "/no/such"}, "NC_HAPROXY_PASSWORD_FILE: cannot open '/no/such'"),
    "an empty file": ({"NC_HAPROXY_PASSWORD_FILE": "/dev/null"}, "NC_HAPROXY_PASSWORD_FILE: holds no password"),
    "a long password": ({"NC_HAPROXY_PASSWORD": "p" * 1025}, "NC_HAPROXY_PASSWORD: the password (not shown) is longer"),
    "a control character": ({"NC_HAPROXY_PASSWORD": "a\tb"}, "NC_HAPROXY_PASSWORD: the password (not shown) has"),
    "a host name": ({"BIND_ADDRESS": "example.org"}, "BIND_ADDRESS, HAPROXY_PORT: 'example.org:2375' is no address"),
    "no port": ({"HAPROXY_PORT": "0"}, "BIND_ADDRESS, HAPROXY_PORT: '*:0' is no address"),
    "time without a unit": ({"TIMEOUT_SERVER": "1800000"}, "TIMEOUT_SERVER: '1800000' is not a time"),
    "no time": ({"TIMEOUT_CLIENT": "0s"}, "TIMEOUT_CLIENT: '0s' is not a time"),
    "not a time": ({"TIMEOUT_CONNECT": "soon"}, "TIMEOUT_CONNECT: 'soon' is not a time"),
    "no host": ({"EX_APPS_NET": "ipv4@a/b"}, "EX_APPS_NET: 'a/b' is no host"),
    "too many": ({"EX_APPS_COUNT": "1000"}, "EX_APPS_COUNT: '1000' is not a number from 0 to 999"),
    "no certificate": ({"DSP_CERTIFICATE": "/no/such.pem"}, "DSP_CERTIFICATE: '/no/such.pem' is not there"),
    "ports that meet": ({"DSP_CERTIFICATE": "/dev/null", "HAPROXY_PORT": "23005"},
                        "BIND_ADDRESS: listener 0.0.0.0:23005: is there twice"),
}


@pytest.mark.parametrize("case", DSP_WRONG)
def test_wrong_environment_of_the_socket_proxy_is_told(tmp_path, case):
    env, expected = DSP_WRONG[case]
    assert error_of(tmp_path, dsp(**env)).startswith(expected)


@pytest.mark.parametrize("env", [
    {}, {"BIND_ADDRESS": "*"}, {"BIND_ADDRESS": "::"}, {"BIND_ADDRESS": "[::1]"}, {"BIND_ADDRESS": "10.0.0.1"},
    {"TIMEOUT_CONNECT": "500ms", "TIMEOUT_CLIENT": "1h", "TIMEOUT_SERVER": "1800s"},
    {"EX_APPS_NET": "ipv4@localhost", "EX_APPS_COUNT": "0"}, {"EX_APPS_NET": "ipv6@::1"},
    {"DSP_CERTIFICATE": "/dev/null", "EX_APPS_COUNT": "999"}, {"NC_AUTOSTART_CONTAINERS": ""},
], ids=str)
def test_environment_of_the_socket_proxy_is_taken(env):
    result = dsp(**env)
    assert (result.returncode, result.stderr) == (0, "")


def test_password_file_with_a_nul_is_refused(tmp_path):
    """What stands behind it would not be asked for."""
    (tmp_path / "password").write_bytes(b"short\0and more\n")
    result = dsp(NC_HAPROXY_PASSWORD_FILE=str(tmp_path / "password"))
    assert "the password (not shown) has a control character" in error_of(tmp_path, result)


def test_first_line_of_a_password_file_counts(tmp_path):
    (tmp_path / "password").write_text("first\nsecond\n")
    result = dsp(NC_HAPROXY_PASSWORD_FILE=str(tmp_path / "password"))
    assert result.returncode == 0 and "only the first line" in result.stderr
    assert "second" not in result.stderr
