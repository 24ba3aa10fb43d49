#!/usr/bin/python3
"""A sample ExApp: every way of talking HTTP that the hub has to carry, in one small server.

    sample_exapp.py --listen unix:/tmp/exapp.sock
    sample_exapp.py --listen 127.0.0.1:23005

Runs on Debian's python3-aiohttp (3.8 and later). Writes a line with `ready` to stderr once it
listens, ends with 0 on SIGTERM.

    /             a small HTML page            /small        the same two hundred bytes each time
    /page         the page for a browser: live counter (SSE), WebSocket echo, upload form
    /echo         any method: what arrived, as JSON (headers in order, repeats kept)
    /upload       counts and hashes the body as it comes, keeps none of it
    /download     ?bytes=N, N known bytes with Content-Length and X-Content-SHA256 in front
    /chunked      ?n=N, N chunks             /sse          ?n=N&ms=M, events (n=0: no end)
    /ws           WebSocket echo              /status/NNN   that status
    /slow         ?ms=M, answers after M ms   /user /admin  like /echo, for routes with those rights

What AppAPI calls, in this order: GET /heartbeat until it answers, POST /init, PUT /enabled?enabled=1.
With --secret the app believes nobody who does not know it, as each real ExApp does with APP_SECRET.
"""
import argparse
import asyncio
import base64
import functools
import hashlib
import hmac
import json
import signal
import sys

from aiohttp import WSMsgType, web

BLOCK = 256 * 1024
SMALL = (b"A small answer, always the same. " * 7)[:200]

# An icon of their own: for /favicon.ico, which is no path of an ExApp, the hub counts a failure.
INDEX = """<!doctype html><meta charset="utf-8"><title>Sample ExApp</title>
<link rel="icon" href="data:,">
<h1>Sample ExApp</h1><p>This page came through the hub. Try <a href="page">the live page</a>,
<a href="echo?a=1">echo</a>, <a href="sse?n=5&amp;ms=300">events</a>,
<a href="download?bytes=1048576">a download</a>.</p>
"""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sample ExApp, live</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<style>
 body { font: 16px/1.5 system-ui, sans-serif; max-width: 40em; margin: 2em auto; padding: 0 1em }
 section { border: 1px solid #ccc; border-radius: 8px; padding: 0 1em 1em; margin: 1em 0 }
 output { font-family: monospace; overflow-wrap: anywhere }
</style></head><body>
<h1>Sample ExApp</h1>
<section><h2>Server-sent events</h2><output id="sse">waiting</output></section>
<section><h2>WebSocket echo</h2>
 <form id="say"><input id="text" value="hello" aria-label="text"> <button>Send</button></form>
 <output id="ws">connecting</output></section>
<section><h2>Upload</h2>
 <form id="up"><input type="file" id="file" aria-label="file"> <button>Upload</button></form>
 <output id="sum"></output></section>
<script>
const show = (id, text) => { document.getElementById(id).textContent = text; };
const events = new EventSource('sse?n=0&ms=1000');
events.onmessage = e => show('sse', 'event ' + e.data);
events.onerror = () => show('sse', 'connection lost, the browser tries again');
const here = new URL('ws', location.href);
here.protocol = here.protocol === 'https:' ? 'wss:' : 'ws:';
const socket = new WebSocket(here);
socket.onopen = () => show('ws', 'connected');
socket.onmessage = e => show('ws', 'echo: ' + e.data);
socket.onclose = () => show('ws', 'closed');
document.getElementById('say').onsubmit = e => {
  e.preventDefault();
  socket.send(document.getElementById('text').value);
};
document.getElementById('up').onsubmit = async e => {
  e.preventDefault();
  const file = document.getElementById('file').files[0];
  if (!file) return show('sum', 'choose a file first');
  const answer = await fetch('upload', { method: 'POST', body: file });
  show('sum', await answer.text());
};
</script></body></html>
"""


def number(request, name, default, top=2**40):
    """A decimal query argument within 0..top, or 400."""
    text = request.query.get(name, str(default))
    if not text.isdecimal() or int(text) > top:
        raise web.HTTPBadRequest(text=f"{name}: a number from 0 to {top}\n")
    return int(text)


@functools.lru_cache(maxsize=1)
def pattern():
    """One block of bytes without a short period."""
    seed = b"".join(hashlib.sha256(b"harp sample %d" % i).digest() for i in range(BLOCK // 32))
    return seed[8:]


def blocks(total):
    """The bytes of a download: every block opens with its number, so none can be swapped."""
    for index in range((total + BLOCK - 1) // BLOCK):
        size = min(BLOCK, total - index * BLOCK)
        yield (index.to_bytes(8, "big") + pattern())[:size]


@functools.lru_cache(maxsize=16)
def download_sha256(total):
    digest = hashlib.sha256()
    for block in blocks(total):
        digest.update(block)
    return digest.hexdigest()


async def index(_request):
    return web.Response(text=INDEX, content_type="text/html")


async def page(_request):
    return web.Response(text=PAGE, content_type="text/html")


async def small(_request):
    return web.Response(body=SMALL, content_type="text/plain")


async def heartbeat(_request):
    return web.json_response({"status": "ok"})


async def init(_request):
    """A real app fetches here what it needs, and tells Nextcloud how far it is."""
    return web.json_response({})


async def enabled(_request):
    """AppAPI takes any text in `error` for a reason not to enable the app."""
    return web.json_response({"error": ""})


async def take_body(request):
    """Reads the body to its end and keeps only its length and hash."""
    size, digest = 0, hashlib.sha256()
    async for piece in request.content.iter_any():
        size += len(piece)
        digest.update(piece)
    return {"length": size, "sha256": digest.hexdigest()}


async def echo(request):
    body = await take_body(request)
    headers = [[name.decode("latin-1"), value.decode("latin-1")]
               for name, value in request.raw_headers]
    return web.json_response({
        "method": request.method,
        "target": request.raw_path,
        "version": f"{request.version.major}.{request.version.minor}",
        "headers": headers,
        "body": body,
    })


async def upload(request):
    return web.json_response(await take_body(request))


async def download(request):
    total = number(request, "bytes", 1024)
    loop = asyncio.get_running_loop()
    digest = await loop.run_in_executor(None, download_sha256, total)
    response = web.StreamResponse(headers={
        "Content-Type": "application/octet-stream",
        "Content-Length": str(total),
        "X-Content-SHA256": digest,
    })
    await response.prepare(request)
    if request.method != "HEAD":
        for block in blocks(total):
            await response.write(block)
    await response.write_eof()
    return response


async def chunked(request):
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    for i in range(number(request, "n", 3, 1_000_000)):
        await response.write(b"chunk %d\n" % i)
    await response.write_eof()
    return response


async def sse(request):
    count, pause = number(request, "n", 5), number(request, "ms", 100, 3_600_000)
    response = web.StreamResponse(headers={
        "Content-Type": "text/event-stream",
        "Cache-Control": "no-store",
    })
    await response.prepare(request)
    sent = 0
    while count == 0 or sent < count:
        await response.write(b"id: %d\ndata: %d\n\n" % (sent, sent))
        sent += 1
        if count == 0 or sent < count:
            await asyncio.sleep(pause / 1000)
    await response.write_eof()
    return response


async def websocket(request):
    socket = web.WebSocketResponse(max_msg_size=64 * 1024 * 1024)
    await socket.prepare(request)
    request.app["sockets"].add(socket)
    try:
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type == WSMsgType.BINARY:
                await socket.send_bytes(message.data)
    finally:
        request.app["sockets"].discard(socket)
    return socket


async def status(request):
    code = int(request.match_info["code"])
    bodiless = code in (204, 304)
    return web.Response(status=code, text=None if bodiless else f"status {code}\n")


async def slow(request):
    await asyncio.sleep(number(request, "ms", 1000, 3_600_000) / 1000)
    return web.Response(text="slow, but here\n")


async def end_sockets(app):
    """A WebSocket would keep the server from ending: say goodbye to each."""
    for socket in set(app["sockets"]):
        await socket.close(code=1001, message=b"the app stops")


@web.middleware
async def let_go(request, handler):
    """A client that leaves amid an answer is no error; nobody gets the one returned here."""
    try:
        return await handler(request)
    except ConnectionResetError:
        return web.Response(status=500)


def guard(secret):
    """Lets in who shows base64(user:secret): the hub and AppAPI."""
    @web.middleware
    async def check(request, handler):
        shown = request.headers.get("AUTHORIZATION-APP-API", "").encode()
        try:
            told = base64.b64decode(shown, validate=True).partition(b":")[2]
        except ValueError:
            told = b""
        if not hmac.compare_digest(told, secret.encode()):
            raise web.HTTPUnauthorized(text="AUTHORIZATION-APP-API is wrong or missing\n")
        return await handler(request)
    return check


def make_app(secret=None):
    app = web.Application(client_max_size=0,
                          middlewares=[let_go, *([guard(secret)] if secret else [])])
    app["sockets"] = set()
    app.on_shutdown.append(end_sockets)
    app.add_routes([
        web.get("/", index), web.get("/page", page), web.get("/small", small),
        web.get("/heartbeat", heartbeat), web.post("/init", init), web.put("/enabled", enabled),
        web.get("/download", download),
        web.get("/chunked", chunked), web.get("/sse", sse), web.get("/ws", websocket),
        web.get("/slow", slow), web.route("*", "/upload", upload),
        web.route("*", r"/status/{code:[2-5]\d\d}", status),
    ])
    for path in ("/echo", "/user", "/admin"):
        app.add_routes([web.route("*", path, echo), web.route("*", path + "/{rest:.*}", echo)])
    return app


async def serve(listen, keepalive, secret):
    runner = web.AppRunner(make_app(secret), access_log=None, keepalive_timeout=keepalive)
    await runner.setup()
    if listen.startswith("unix:"):
        site = web.UnixSite(runner, listen[len("unix:"):], backlog=1024)
    else:
        host, _, port = listen.rpartition(":")
        site = web.TCPSite(runner, host.strip("[]"), int(port), backlog=1024)
    await site.start()
    print(json.dumps({"sample_exapp": "ready", "listen": listen}), file=sys.stderr, flush=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    await stop.wait()
    # Endless event streams do not end by themselves: bounded, then cut.
    try:
        await asyncio.wait_for(runner.cleanup(), 1)
    except asyncio.TimeoutError:
        pass


def main():
    args = argparse.ArgumentParser(description="A sample ExApp that speaks all kinds of HTTP.")
    args.add_argument("--listen", default="127.0.0.1:23005", metavar="unix:PATH|HOST:PORT")
    args.add_argument("--keepalive", type=float, default=75.0, metavar="SECONDS",
                      help="how long an idle connection is kept (default 75)")
    args.add_argument("--secret", help="what the hub and AppAPI have to know (default: no check)")
    options = args.parse_args()
    asyncio.run(serve(options.listen, options.keepalive, options.secret))
    return 0


if __name__ == "__main__":
    sys.exit(main())
