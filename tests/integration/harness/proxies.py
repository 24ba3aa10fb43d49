"""Reverse proxies in front of a hub, run with the files of deploy/proxy.

Each class writes what its server needs around those files (where to log, no service's folders) and takes the files
as they are, but for addresses and certificates: `placed` puts the test's in their place, and fails where one is not
there. The servers are those installed, or those that tests/servers.sh unpacked.
"""
import os
import pathlib
import ssl
import stat

from .client import RawClient
from .process import Process
from .programs import ROOT, free_port
from .wait import wait_for

FILES = ROOT / "deploy/proxy"
UNPACKED = ROOT / "build/servers"
HOST = "cloud.example.com"
HUB, NEXTCLOUD = "127.0.0.1:8780", "127.0.0.1:8080"
PEM, KEY = f"/etc/ssl/{HOST}.pem", f"/etc/ssl/{HOST}.key"


def tls(*protocols):
    """A client's side of TLS; who answers is not judged."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(list(protocols) or ["http/1.1"])
    return context


class Browser(RawClient):
    """Asks for the site that the files name."""

    def get(self, target, *fields, method="GET", body=b"", host=HOST.encode()):
        super().get(target, *fields, method=method, body=body, host=host)


def _descendants(pid):
    yield pid
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
            for child in file.read().split():
                yield from _descendants(int(child))


class Proxy(Process):
    """One server. `https` and `http` are where it listens; `down` is the status it says for a hub that is not there;
    `ended` the exit codes it has after SIGTERM. nginx and Apache have `plain`, too: without TLS, as when they run
    Nextcloud themselves, with rules that would like to have ExApps' paths."""

    package = program = None
    down, ended = 502, (0,)

    @classmethod
    def find(cls):
        """The server's program, or None."""
        for path in (pathlib.Path(cls.program), UNPACKED / cls.program[1:]):
            if os.access(path, os.X_OK):
                return path
        return None

    def __init__(self, folder, hub, nextcloud, certificate):
        """hub, nextcloud: (host, port); certificate: the path of one PEM file with certificate and key."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.https, self.http, self.plain = (("127.0.0.1", free_port()) for _ in range(3))
        self.places = {HUB: "%s:%d" % hub, NEXTCLOUD: "%s:%d" % nextcloud, PEM: certificate, KEY: certificate}
        # No temporary folder: what would be buffered to disk is an error.
        env = {**os.environ, "TMPDIR": str(folder / "none"), "HOME": str(folder),
               "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        program = self.find()
        if UNPACKED in program.parents:
            env["LD_LIBRARY_PATH"] = ":".join(map(str, (UNPACKED / "usr/lib").glob("*-linux-gnu*")))
        super().__init__(self.package, [program, *self.prepare()], folder / "log", env=env, cwd=folder)
        self.expect_end(*self.ended)

    def prepare(self):
        """Writes the files; returns the arguments."""
        raise NotImplementedError

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return self.folder / name

    def placed(self, name, *usual, others=()):
        """The text of a file of deploy/proxy, with this test's addresses. usual: which of `places` it names."""
        text = (FILES / name).read_text()
        table = {**{place: str(self.places[place]) for place in usual}, **dict(others)}
        for place, ours in table.items():
            assert place in text, f"{name} does not say {place!r}"
            text = text.replace(place, ours)
        return text

    def ready(self, seconds=None):
        def answers():
            assert self.running(), self.tail()
            try:
                with self.client("127.0.0.1") as client:
                    return client.ask("/").status
            except OSError:
                return False
        wait_for(answers, seconds, f"{self.name} to answer")
        return self

    def client(self, source):
        """A connection with TLS and HTTP/1.1."""
        return Browser(self.https, tls=tls(), server_name=HOST, source=source)

    def files(self):
        """The regular files that its processes hold open: those they write to, deleted ones too."""
        found = set()
        for pid in _descendants(self.pid):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                try:
                    if stat.S_ISREG(os.stat(f"/proc/{pid}/fd/{fd}").st_mode):
                        found.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
                except FileNotFoundError:
                    pass  # closed meanwhile
        return found

    def bytes_read(self):
        total = 0
        for pid in _descendants(self.pid):
            with open(f"/proc/{pid}/io", encoding="ascii") as file:
                total += int(file.readline().split()[1])
        return total


class Nginx(Proxy):
    package, program = "nginx", "/usr/sbin/nginx"

    def prepare(self):
        snippet = self.write("harp-exapps.conf", self.placed("nginx.conf"))
        http = self.write("harp-hub.conf", self.placed("nginx-http.conf", HUB))
        site = self.write("site.conf", self.placed("nginx-site.conf", NEXTCLOUD, PEM, KEY, others={
            "listen 80;": "listen %s:%d;" % self.http, "listen 443 ": "listen %s:%d " % self.https,
            "listen [::]:80;": "", "listen [::]:443 ssl http2;": "", "snippets/harp-exapps.conf": str(snippet)}))
        folders = "\n".join(f"  {kind}_temp_path {self.folder}/none;"
                            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        main = self.write("nginx.conf", f"""
daemon off; master_process off; pid {self.folder}/pid; error_log stderr notice;
events {{ }}
http {{
{folders}
  access_log off;
  include {http};
  include {site};
  server {{
    listen {self.plain[0]}:{self.plain[1]};
    client_max_body_size 512M;
    gzip on;
    gzip_proxied any;
    gzip_types application/json text/javascript;
    add_header X-Frame-Options SAMEORIGIN always;
    location ~ \\.php(?:$|/) {{ return 404 php; }}
    location ~ \\.(?:css|js|svg|png|wasm)$ {{ return 404 static; }}
    location ~ ^/(?:build|tests|data)(?:$|/) {{ return 404 hidden; }}
    location / {{ return 404 index; }}
    include {snippet};
  }}
}}
""")
        return ["-e", "stderr", "-p", self.folder, "-c", main]

    def ready(self, seconds=None):
        super().ready(seconds)
        # nginx made it when it started.
        (self.folder / "none").rmdir()
        return self


class Apache(Proxy):
    package, program = "apache2", "/usr/sbin/apache2"
    down = 503

    def prepare(self):
        modules = self.find().parents[2] / "usr/lib/apache2/modules"
        inner = self.write("harp-exapps.conf", self.placed("apache.conf", HUB))
        site = self.write("site.conf", self.placed("apache-site.conf", NEXTCLOUD, PEM, KEY, others={
            "*:80>": "%s:%d>" % self.http, "*:443>": "%s:%d>" % self.https, "Include harp-exapps.conf":
            f"Include {inner}"}))
        names = ["mpm_event", "authz_core", "alias", "env", "headers", "http2", "proxy", "proxy_http", "reqtimeout",
                 "rewrite", "socache_shmcb", "ssl"]
        load = "\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so" for name in names)
        # Timeout is Apache's own default, RequestReadTimeout Debian's.
        main = self.write("apache.conf", f"""
{load}
ServerRoot {self.folder}
DefaultRuntimeDir {self.folder}
PidFile {self.folder}/pid
Mutex posixsem
ServerName localhost
User nobody
Group nogroup
ErrorLog /dev/stderr
LogLevel info
Timeout 60
RequestReadTimeout header=20-40,minrate=500 body=10,minrate=500
StartServers 1
MinSpareThreads 1
Listen {self.http[0]}:{self.http[1]}
Listen {self.https[0]}:{self.https[1]}
Listen {self.plain[0]}:{self.plain[1]}
Include {site}
<VirtualHost {self.plain[0]}:{self.plain[1]}>
  DocumentRoot /usr/share
  RewriteEngine On
  RewriteRule "^/exapps/" "-" [END]
  RewriteRule "/data/" "-" [R=404]
  <Directory "/usr/share">
    Options FollowSymLinks
    RewriteEngine On
    RewriteRule ".*" "-" [R=404]
  </Directory>
  Include {inner}
</VirtualHost>
""")
        return ["-DFOREGROUND", "-f", main]


class Caddy(Proxy):
    package, program = "caddy", "/usr/bin/caddy"

    def prepare(self):
        site = self.write("site", self.placed("Caddyfile", HUB, NEXTCLOUD, PEM, KEY, others={"# tls ": "tls "}))
        main = self.write("Caddyfile", f"""{{
	admin off
	auto_https disable_certs
	default_bind 127.0.0.1
	http_port {self.http[1]}
	https_port {self.https[1]}
}}
import {site}
""")
        return ["run", "--adapter", "caddyfile", "--config", main]


class HAProxy(Proxy):
    package, program = "haproxy", "/usr/sbin/haproxy"
    down, ended = 503, (0, 143, -15)

    def prepare(self):
        spare = [free_port(), free_port()]
        main = self.write("global.cfg", "global\n    log stderr format raw local0\n    nbthread 2\n")
        site = self.write("site.cfg", self.placed("haproxy.cfg", HUB, NEXTCLOUD, PEM, others={
            "bind *:80": "bind %s:%d" % self.http, "bind *:443": "bind %s:%d" % self.https,
            "bind [::]:80 v6only": f"bind 127.0.0.1:{spare[0]}",
            "bind [::]:443 v6only": f"bind 127.0.0.1:{spare[1]}"}))
        return ["-db", "-f", main, "-f", site]


KINDS = {"nginx": Nginx, "apache": Apache, "caddy": Caddy, "haproxy": HAProxy}
