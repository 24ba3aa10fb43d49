"""harp-tunnel-client against a server made of bytes (frp_peer.FrpServer): how the tests of it start
both, and the local service behind them. What is started ends with the test's `site`.
"""
import os
import socket

from .frp_peer import FrpServer
from .process import Process
from .programs import SHARED_KEY, TunnelClient, program, started as program_words

FAST = 'reconnect_min = "20ms"; reconnect_max = "160ms";'


class Backend:
    """A raw listener of a test: accept() gives plain sockets."""

    def __init__(self, path=None):
        self.listener = (socket.socket(socket.AF_UNIX) if path
                         else socket.create_server(("127.0.0.1", 0)))
        if path:
            self.listener.bind(str(path))
            self.listener.listen()
        self.target = str(path) if path else self.listener.getsockname()
        self.sockets = []

    def accept(self, seconds=10):
        self.listener.settimeout(seconds)
        sock = self.listener.accept()[0]
        sock.settimeout(seconds)
        self.sockets.append(sock)
        return sock

    def close(self):
        for sock in self.sockets:
            sock.close()
        self.listener.close()


def read(sock, count):
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        assert piece, f"ended after {data!r}"
        data += piece
    return data


def to_end(sock):
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def server(site, mux=True, **kwargs):
    return site.add(FrpServer(mux=mux, **kwargs))


def last(site, client):
    """Stopped after its server and its services are gone: nothing runs any more then."""
    site.things.insert(0, client)
    return client


def toml_client(site, frps, proxies, extra="", **kwargs):
    """Started with a frpc.toml as ExApps' start scripts write it."""
    if not frps.with_mux:
        extra += "\ntransport.tcpMux = false\n"
    folder = site._folder("client")
    return last(site, TunnelClient(folder, frps.port, proxies, extra=extra, **kwargs))


def cfg_client(site, frps, extra=FAST, proxies=(("sample", 23005, "unix:/nowhere"),), env=()):
    """Started with its own tunnel.cfg."""
    folder = site._folder("client")
    folder.mkdir(parents=True)
    rows = ",\n".join(f'{{ name = "{name}"; remote_port = {port}; local = "{local}"; }}'
                      for name, port, local in proxies)
    config = folder / "tunnel.cfg"
    config.write_text(f'server_address = "127.0.0.1"; server_port = {frps.port};\n'
                      f"tls_enable = false; tcp_mux = {str(frps.with_mux).lower()};\n{extra}\n"
                      f"proxies = ({rows});\n")
    base = {key: value for key, value in os.environ.items() if not key.startswith(("HP_", "APP_"))}
    process = Process("tunnel-client", [program("harp-tunnel-client"), "--config", config],
                      folder / "client.log", env={**base, "HP_SHARED_KEY": SHARED_KEY, **dict(env)})
    return last(site, process)


def hub_client(site, port, proxies, host="127.0.0.1", certs=None, extra=FAST, launcher=()):
    """A client of a hub's (at host and port, with the certificates that the hub made), with its own
    tunnel.cfg. Nothing is waited for."""
    folder = site._folder("client")
    folder.mkdir(parents=True)
    frp = (certs or site.certs) / "frp"
    rows = ",\n".join(f'{{ name = "{name}"; remote_port = {there}; local = "{local}"; }}'
                      for name, there, local in proxies)
    config = folder / "tunnel.cfg"
    config.write_text(f'server_address = "{host}"; server_port = {port}; shared_key = "{SHARED_KEY}";\n'
                      f'tls_cert_file = "{frp}/client.crt"; tls_key_file = "{frp}/client.key"; '
                      f'tls_ca_file = "{frp}/ca.crt";\n{extra}\nproxies = ({rows});\n')
    return Process("tunnel-client",
                   [*launcher, *program_words("harp-tunnel-client"), "--config", config],
                   folder / "client.log")


def started(site, mux=True, target=None, **kwargs):
    """A client that logged in with one proxy: (session, backend, process)."""
    backend = site.add(Backend())
    frps = server(site, mux)
    client = toml_client(site, frps, [("sample", 23005, target or backend.target)], **kwargs)
    session = frps.session()
    session.proxy()
    return session, backend, client
