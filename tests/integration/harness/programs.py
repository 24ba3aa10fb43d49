"""How the programs are started: the one place that knows their options, settings and files."""
import os
import pathlib
import socket
import subprocess
import sys

from .credentials import APP_TOKEN, SHARED_KEY
from .process import Process

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("HARP_BUILD", ROOT / "build")).resolve()
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
TUNNEL_PORT = 23005
PARTS = 4  # of tests/run.py

_given = set()


def free_port():
    """A port nobody listens on, outside the range that outgoing connections use, so that neither
    a client's own port nor another call takes it before the program binds it. Test runs side by
    side (HARP_PART) take theirs from different quarters."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        low = int(file.read().split()[0])
    quarter = ((low if low > 21000 else 20000) - 10000) // PARTS
    first = 10000 + quarter * (int(os.environ.get("HARP_PART", "0")) % PARTS)
    start = os.getpid() * 37
    for step in range(quarter):
        port = first + (start + step) % quarter
        # 23000..24099 are tunnel ports by meaning: an origin there would be taken for a tunnel.
        if port in _given or 22999 < port < 24100:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise RuntimeError("no free port")


def program(name):
    """The path of a built program."""
    return BUILD / name


def started(name):
    """How a program is started: HARP_WRAP stands in front, for example valgrind with its options."""
    return [*os.environ.get("HARP_WRAP", "").split(), program(name)]


def program_is_sanitized(name="harp-hub"):
    """Whether the build carries AddressSanitizer: memory figures mean nothing then."""
    return b"__asan_init" in program(name).read_bytes()


def run_program(name, *arguments, env=None, seconds=20):
    """Runs a program that ends by itself: CompletedProcess with text."""
    return subprocess.run([str(program(name)), *map(str, arguments)], capture_output=True,
                          text=True, timeout=seconds, env=env, check=False)


def app(name="sample", port=TUNNEL_PORT, host="127.0.0.1", token=APP_TOKEN, version="1.0.0",
        routes=(("^/.*", 0),)):
    """One entry of `exapps` in hub.cfg."""
    rules = ",\n      ".join(f'{{ url = "{url}"; access_level = {level}; }}'
                             for url, level in routes)
    return (f'  {{ id = "{name}"; token = "{token}"; version = "{version}"; host = "{host}"; '
            f"port = {port};\n    routes = (\n      {rules} ); }}")


def hub_environment(folder, certs, ports, settings=()):
    """The hub's environment: nothing of the caller's settings leaks in."""
    env = {key: value for key, value in os.environ.items()
           if not key.startswith("HP_") and key != "NC_INSTANCE_URL"}
    env.update({
        "HP_EXAPPS_ADDRESS": f"127.0.0.1:{ports['http']}",
        "HP_EXAPPS_HTTPS_ADDRESS": f"127.0.0.1:{ports['https']}",
        "HP_FRP_ADDRESS": f"127.0.0.1:{ports['frp']}",
        "HP_ADMIN_ADDRESS": f"127.0.0.1:{ports['admin']}",
        "HP_SHARED_KEY": SHARED_KEY,
        "HP_CERTS_DIR": str(certs),
        "HP_LOG_LEVEL": "debug",
        # All tests come from one address: their refusals must not ban the next test.
        "HP_BLACKLIST_COUNT": "1000000",
        "TMPDIR": str(folder),
    })
    env.update({key: str(value) for key, value in dict(settings).items()})
    return env


class Hub(Process):
    """harp-hub with its own folder, ports and hub.cfg. `http` is where requests go, `admin` where
    the administration interface is, unless the settings say otherwise; `key` is its shared key.
    nextcloud: the stand-in that it asks (harness/nextcloud.py). launcher: words in front of the program's, of
    what starts it."""

    def __init__(self, folder, certs, apps=(), settings=(), ports=None, extra_config="", log=None,
                 nextcloud=None, launcher=()):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.certs = folder, pathlib.Path(certs)
        self.certs.mkdir(parents=True, exist_ok=True)
        self.ports = ports or {name: free_port() for name in ("http", "https", "frp", "admin")}
        self.http = ("127.0.0.1", self.ports["http"])
        self.https = ("127.0.0.1", self.ports["https"])
        self.admin = ("127.0.0.1", self.ports["admin"])
        self.config = folder / "hub.cfg"
        self.config.write_text("exapps = (\n" + ",\n".join(apps) + "\n);\n" + extra_config)
        settings = {**({"NC_INSTANCE_URL": nextcloud.url} if nextcloud else {}), **dict(settings)}
        self.key = settings.get("HP_SHARED_KEY", SHARED_KEY)
        self.nextcloud = nextcloud
        self.env = hub_environment(folder, self.certs, self.ports, settings)
        super().__init__("hub", [*launcher, *started("harp-hub"), "--config", self.config],
                         log or folder / "hub.log", env=self.env, cwd=folder)

    def ready(self, seconds=None):
        self.wait_line("ready", seconds=seconds)
        return self


class TunnelClient(Process):
    """harp-tunnel-client with a frpc.toml as ExApp images write it.

    proxies: (name, remote port, unix path or (host, port)).
    """

    def __init__(self, folder, hub_port, proxies, certs=None, token=SHARED_KEY, extra="",
                 name="tunnel-client", log=None, status=None):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.config = folder / "frpc.toml"
        self.proxies = proxies
        self.config.write_text(self.toml(hub_port, certs, token, extra, proxies))
        self.status_socket = folder / "status.sock"
        self.env = dict(os.environ, HP_STATUS_SOCKET=status or f"unix:{self.status_socket}")
        super().__init__(name, [*started("harp-tunnel-client"), "-c", self.config],
                         log or folder / "tunnel-client.log", env=self.env, cwd=folder)

    @staticmethod
    def toml(hub_port, certs, token, extra, proxies):
        lines = ['serverAddr = "127.0.0.1"', f"serverPort = {hub_port}", "loginFailExit = false"]
        if certs:
            frp = pathlib.Path(certs) / "frp"
            lines += ["transport.tls.enable = true",
                      f'transport.tls.certFile = "{frp / "client.crt"}"',
                      f'transport.tls.keyFile = "{frp / "client.key"}"',
                      f'transport.tls.trustedCaFile = "{frp / "ca.crt"}"',
                      'transport.tls.serverName = "harp.nc"']
        else:
            lines += ["transport.tls.enable = false"]
        lines += [f'metadatas.token = "{token}"', extra]
        for name, port, target in proxies:
            lines += ["", "[[proxies]]", f"remotePort = {port}", 'type = "tcp"',
                      f'name = "{name}"']
            if isinstance(target, tuple):
                lines += [f'localIP = "{target[0]}"', f"localPort = {target[1]}"]
            else:
                lines += ["[proxies.plugin]", 'type = "unix_domain_socket"',
                          f'unixPath = "{target}"']
        return "\n".join(lines) + "\n"

    def ready(self, seconds=None):
        self.wait_line("proxy", "ready", count=len(self.proxies), seconds=seconds)
        return self


def filter_environment(**settings):
    """An environment in which only these settings are the filter's."""
    ours = ("HP_", "NC_HAPROXY", "NC_AUTOSTART", "DSP_", "EX_APPS_", "TIMEOUT_", "BIND_ADDRESS",
            "HAPROXY_PORT", "LISTEN_", "NOTIFY_SOCKET", "WATCHDOG_")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    return {**clean, **settings}


class SocketFilter(Process):
    """harp-socket-filter in front of an engine's socket. `path` is where its first listener is.

    listeners: texts of groups as in filter.cfg, in which {path} is `path`, () for none; policies:
    the same. settings: by their name in the file. listen: addresses given on the command line, in
    place of listeners. launcher: words in front of the program's, of what starts it.
    """

    def __init__(self, folder, docker, path, listeners=None, policies="", settings=(), listen=(),
                 env=(), log=None, launcher=()):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.path, self.docker = folder, pathlib.Path(path), pathlib.Path(docker)
        self.admin = folder / "admin.sock"
        self.config = folder / "filter.cfg"
        groups = listeners
        if groups is None:
            groups = () if listen else ['{ address = "unix:{path}"; policy = "appapi"; }']
        values = {"docker": f"unix:{docker}", "admin": f"unix:{self.admin}", "log_level": "debug",
                  **dict(settings)}
        lines = [f'{name} = "{value}";' for name, value in values.items()]
        if groups:
            joined = ",\n  ".join(group.replace("{path}", str(path)) for group in groups)
            lines.append(f"listeners = (\n  {joined}\n);")
        if policies:
            lines.append(f"policies = (\n{policies}\n);")
        self.config.write_text("\n".join(lines) + "\n")
        clean = filter_environment()
        options = [part for address in listen for part in ("--listen", address)]
        super().__init__("socket-filter",
                         [*launcher, *started("harp-socket-filter"), "--config", self.config,
                          *options],
                         log or folder / "socket-filter.log",
                         env={**clean, "TMPDIR": str(folder), **dict(env)}, cwd=folder)

    def ready(self, seconds=None):
        self.wait_line("ready; version", seconds=seconds)
        return self


class SampleExApp(Process):
    """deploy/demo/sample_exapp.py on a unix socket or a port."""

    def __init__(self, folder, listen, log=None):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.listen = str(listen)
        super().__init__("sample-exapp",
                         [PYTHON, ROOT / "deploy/demo/sample_exapp.py", "--listen", self.listen],
                         log or folder / "sample_exapp.log")

    def ready(self, seconds=None):
        self.wait_line("ready", seconds=seconds)
        return self
