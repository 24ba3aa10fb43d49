"""The origin and the proxies that are measured against each other; ours are in harp.py.

Origin: one nginx with one worker, on a TCP port and on a unix socket, and behind it a WebSocket
echo server. Every proxy stands in front of that same nginx. A proxy that does not strip the path's
prefix (HAProxy and nginx, which are spared that work) reaches the same locations as one that does.

A subject has `start()`, which returns the seconds from exec to its first 200, `stop()`, the `port`
to send requests to, and `roles()`: a name for each program involved and its processes.
"""

import os
import pwd

import procs

PREFIX = "/exapps/bench"
SMALL = 200  # bytes
CONNECTIONS = 8192


def first_good_answer(child, port, limit=10.0, others=()):
    """Seconds to the first 200; the answer must be the origin's, to the byte."""
    took, answer = procs.wait_for_answer(child, port, PREFIX + "/small", limit, others)
    body = answer.partition(b"\r\n\r\n")[2]
    if body != b"x" * SMALL:
        raise procs.Broken(f"{child.name}: the small answer is not the origin's: {body[:80]!r}")
    return took


def _nginx_frame(work, name, http):
    """What both nginx have in common: one worker, nothing logged, nothing ends a keep-alive."""
    user = "user root;\n" if pwd.getpwuid(os.getuid()).pw_name == "root" else ""
    temp = "".join(f"    {kind}_temp_path {work}/{name}-{kind};\n"
                   for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""{user}daemon off;
worker_processes 1;
pid {work}/{name}.pid;
error_log {work}/{name}.err error;
events {{ worker_connections {CONNECTIONS}; }}
http {{
    access_log off;
    server_tokens off;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_max_body_size 0;
    client_body_timeout 60s;
    proxy_http_version 1.1;
    proxy_read_timeout 600s;
{temp}{http}}}
"""


class Nginx:
    """Starts one nginx; the workers are found as its children."""

    def __init__(self, children, work, name, http, program):
        self.children = children
        self.name = name
        self.work = work
        self.program = program
        self.child = None
        self.conf = f"{work}/{name}.conf"
        with open(self.conf, "w") as f:
            f.write(_nginx_frame(work, name, http))

    def run(self):
        argv = [self.program, "-p", self.work, "-c", self.conf]
        self.child = self.children.start(self.name, argv, f"{self.work}/{self.name}.log")
        return self.child

    def pids(self):
        return procs.tree(self.child.pid)

    def stop(self):
        if self.child:
            self.children.stop(self.child)
            self.child = None


class Origin:
    """nginx with everything the scenarios ask for, and the echo server behind /ws.

    /small    200 bytes from memory
    /big      the file of `load.make_big_file`, by sendfile
    /upload   reads the whole body into one buffer in memory, then answers with its size in
              X-Received (the inner server only says yes; it never sees the body)
    /put/     writes the body to a file, so that its checksum can be looked at
    /ws       the echo server
    """

    def __init__(self, children, work, wsload, program, big_file):
        self.children = children
        self.work = work
        self.wsload = wsload
        self.echo = None
        self.port = procs.free_port()
        self.socket = f"{work}/origin.sock"
        echo_socket, yes_socket = f"{work}/echo.sock", f"{work}/yes.sock"
        self.echo_argv = [wsload, "echo-server", f"unix:{echo_socket}"]
        os.makedirs(f"{work}/put{PREFIX}", exist_ok=True)
        bodies = {
            "small": f'default_type text/plain; return 200 "{"x" * SMALL}";',
            "big": f"default_type application/octet-stream; sendfile on; sendfile_max_chunk 1m; "
                   f"alias {big_file};",
            "upload": f"client_body_buffer_size {os.path.getsize(big_file)}; "
                      f"proxy_pass_request_body off; proxy_set_header Content-Length 0; "
                      f"add_header X-Received $request_length; "
                      f"proxy_pass http://unix:{yes_socket}:/;",
            "ws": "proxy_set_header Upgrade websocket; proxy_set_header Connection upgrade; "
                  f"proxy_pass http://unix:{echo_socket}:/;",
        }
        locations = "".join(
            f"        location = {prefix}/{name} {{ {body} }}\n"
            for name, body in bodies.items() for prefix in ("", PREFIX))
        http = f"""    server {{
        listen 127.0.0.1:{self.port} backlog=4096;
        listen unix:{self.socket} backlog=4096;
{locations}        location ~ /put/ {{ root {work}/put; dav_methods PUT; create_full_put_path on; }}
    }}
    server {{
        listen unix:{yes_socket};
        location / {{ return 200 "ok\\n"; }}
    }}
"""
        self.nginx = Nginx(children, work, "origin", http, program)

    def start(self):
        self.echo = self.children.start("echo-server", self.echo_argv, f"{self.work}/echo.log",
                                        pipes=True)
        if procs.wait_for_line(self.echo) != "ready":
            raise procs.Broken("the echo server is not ready")
        child = self.nginx.run()
        first_good_answer(child, self.port)

    def put_file(self, name):
        """Where a body sent to /put/NAME is, through a proxy that strips or one that does not."""
        stripped, whole = f"{self.work}/put/put/{name}", f"{self.work}/put{PREFIX}/put/{name}"
        return stripped if os.path.exists(stripped) else whole

    def roles(self):
        return {"origin": self.nginx.pids(), "echo": [self.echo.pid]}


class HaproxySubject:
    """Debian's HAProxy as a plain HTTP proxy: no logs, no rewriting, one thread.

    `http-reuse always` lets it keep connections to the origin also when clients close theirs, which
    is its faster way in the Connection: close scenario.
    """

    name = "haproxy"
    title = "HAProxy"
    proxy_role = "haproxy"
    has_client = False

    def __init__(self, children, work, origin, program):
        self.children = children
        self.work = work
        self.program = program
        self.child = None
        self.port = procs.free_port()
        self.conf = f"{work}/haproxy.cfg"
        with open(self.conf, "w") as f:
            f.write(f"""global
    nbthread 1
    maxconn 6000
defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    timeout tunnel 600s
    http-reuse always
frontend in
    bind 127.0.0.1:{self.port} backlog 4096
    default_backend origin
backend origin
    server origin 127.0.0.1:{origin.port}
""")

    def start(self):
        self.child = self.children.start("haproxy", [self.program, "-db", "-q", "-f", self.conf],
                                         f"{self.work}/haproxy.log")
        return first_good_answer(self.child, self.port)

    def stop(self):
        if self.child:
            self.children.stop(self.child)
            self.child = None

    def roles(self):
        return {"haproxy": procs.tree(self.child.pid)}


class NginxSubject:
    """nginx as a proxy with kept connections to the origin.

    Small answers are buffered (its default, and its faster way); transfers and WebSockets are not,
    or it would write what a slow reader leaves to temporary files; then `proxy_buffer_size` is what it
    reads at once, and its default of 4 KiB would halve its speed.
    """

    name = "nginx"
    title = "nginx"
    proxy_role = "nginx"
    has_client = False

    def __init__(self, children, work, origin, program):
        self.port = procs.free_port()
        streamed = ("proxy_buffering off; proxy_request_buffering off; proxy_buffer_size 64k; "
                    "proxy_buffers 8 64k; client_body_buffer_size 64k; proxy_pass http://origin;")
        http = f"""    upstream origin {{
        server 127.0.0.1:{origin.port};
        keepalive 512;
        keepalive_requests 1000000000;
    }}
    proxy_set_header Connection "";
    server {{
        listen 127.0.0.1:{self.port} backlog=4096;
        location {PREFIX}/ {{ {streamed} }}
        location = {PREFIX}/small {{ proxy_buffering on; proxy_pass http://origin; }}
        location = {PREFIX}/ws {{
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_pass http://origin;
        }}
    }}
"""
        self.nginx = Nginx(children, work, "nginx", http, program)

    def start(self):
        child = self.nginx.run()
        return first_good_answer(child, self.port)

    def stop(self):
        self.nginx.stop()

    def roles(self):
        return {"nginx": self.nginx.pids()}
