#!/bin/sh
# The whole path on one machine: hub, tunnel client and a sample ExApp on a unix socket, joined by
# a tunnel with mutual TLS; real requests through it; what happened; then stays until Ctrl-C.
#
#   deploy/demo/demo.sh           (`make demo` builds first)
#   DEMO_ONCE=1                   ends after the check, with 0 if all went well
#   BUILD=build                   folder of the programs
#
# Everything listens on the loopback alone, lives in one temporary folder, and is removed at the end.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
build=${BUILD:-build}
case $build in /*) ;; *) build=$root/$build ;; esac
python=/usr/bin/python3
[ -x "$python" ] || python=python3
once=${DEMO_ONCE:-}
wait_seconds=${DEMO_WAIT:-15}

for name in harp-hub harp-tunnel-client; do
    if [ ! -x "$build/$name" ]; then
        echo "demo: $build/$name is not there: run make" >&2
        exit 1
    fi
done
for tool in curl sha256sum; do
    if ! command -v "$tool" >/dev/null 2>&1; then
        echo "demo: $tool is not there: run tests/deps.sh test" >&2
        exit 1
    fi
done
if ! "$python" -c 'import aiohttp' 2>/dev/null; then
    echo "demo: python3-aiohttp is not there: run tests/deps.sh test" >&2
    exit 1
fi

if [ -t 1 ]; then
    bold=$(printf '\033[1m') green=$(printf '\033[32m') dim=$(printf '\033[2m')
    red=$(printf '\033[31m') plain=$(printf '\033[0m')
else
    bold='' green='' dim='' red='' plain=''
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/harp-demo.XXXXXX")
hub_pid='' tunnel_pid='' exapp_pid=''

# Ends one program that this script started, and waits for it.
# shellcheck disable=SC2317,SC2329 # called by clean_up
end() {
    [ -n "$1" ] || return 0
    kill -TERM "$1" 2>/dev/null || return 0
    # A program that hangs must not hang the demo: it is killed after five seconds.
    (
        tries=50
        while [ "$tries" -gt 0 ] && kill -0 "$1" 2>/dev/null; do
            sleep 0.1
            tries=$((tries - 1))
        done
        kill -KILL "$1" 2>/dev/null
    ) &
    guard=$!
    wait "$1" 2>/dev/null || true
    kill "$guard" 2>/dev/null || true
    wait "$guard" 2>/dev/null || true
}

# shellcheck disable=SC2317,SC2329 # called by the trap
clean_up() {
    trap - EXIT INT TERM HUP
    end "$tunnel_pid"
    end "$hub_pid"
    end "$exapp_pid"
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'printf "\n"; exit 0' INT TERM HUP

fail() {
    printf '%s\n' "${red}demo failed: $*${plain}" >&2
    for log in "$folder"/*.log; do
        [ -s "$log" ] || continue
        printf '%s\n' "--- ${log##*/}" >&2
        tail -n 15 "$log" >&2
    done
    exit 1
}

ok() {
    printf '  %s %-11s %s\n' "${green}ok${plain}" "$1" "$2"
}

# ready NAME PID LOG PATTERN: waits for the line with which a program says that it listens.
ready() {
    tries=$((wait_seconds * 20))
    until grep -qiE "$4" "$3" 2>/dev/null; do
        kill -0 "$2" 2>/dev/null || fail "$1 ended before it was ready"
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "$1 was not ready within $wait_seconds s"
        sleep 0.05
    done
}

# The usual ports if they are free, else others. One line: http https frp admin.
ports=$("$python" - <<'PYTHON'
import socket
held, ports = [], []
for wanted in (8780, 8781, 8782, 8200):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", wanted))
    except OSError:
        sock.bind(("127.0.0.1", 0))
    held.append(sock)
    ports.append(sock.getsockname()[1])
print(*ports)
PYTHON
)
# shellcheck disable=SC2086 # four words
set -- $ports
http=$1 https=$2 frp=$3 admin=$4
url=http://127.0.0.1:$http/exapps/sample
key=$("$python" -c 'import secrets; print(secrets.token_urlsafe(24))')

mkdir -p "$folder/certs"
cat >"$folder/hub.cfg" <<EOF_CONFIG
exapps = (
    { id = "sample"; token = "secret"; version = "1.0.0"; host = "127.0.0.1"; port = 23005;
      routes = ( { url = "^/.*"; access_level = 0; } ); }
);
EOF_CONFIG

printf '%s\n' "${bold}starting${plain}"
# Settings of this demo alone: nothing of the caller's environment changes it.
for name in $(env | sed -n 's/^\(HP_[A-Z0-9_]*\|NC_INSTANCE_URL\)=.*/\1/p'); do
    unset "$name"
done
"$python" "$here/sample_exapp.py" --listen "unix:$folder/exapp.sock" >"$folder/exapp.log" 2>&1 &
exapp_pid=$!
HP_EXAPPS_ADDRESS=127.0.0.1:$http HP_EXAPPS_HTTPS_ADDRESS=127.0.0.1:$https \
    HP_FRP_ADDRESS=127.0.0.1:$frp HP_ADMIN_ADDRESS=127.0.0.1:$admin HP_SHARED_KEY=$key \
    HP_CERTS_DIR=$folder/certs HP_LOG_LEVEL=info \
    "$build/harp-hub" --config "$folder/hub.cfg" >"$folder/hub.log" 2>&1 &
hub_pid=$!
ready 'the sample ExApp' "$exapp_pid" "$folder/exapp.log" ready
ok exapp "listens on ${dim}$folder/exapp.sock${plain}"
ready 'the hub' "$hub_pid" "$folder/hub.log" ready
ok hub "http 127.0.0.1:$http, tunnels 127.0.0.1:$frp, certificates made"

cat >"$folder/frpc.toml" <<EOF_CONFIG
serverAddr = "127.0.0.1"
serverPort = $frp
loginFailExit = false

transport.tls.enable = true
transport.tls.certFile = "$folder/certs/frp/client.crt"
transport.tls.keyFile = "$folder/certs/frp/client.key"
transport.tls.trustedCaFile = "$folder/certs/frp/ca.crt"
transport.tls.serverName = "harp.nc"

metadatas.token = "$key"

[[proxies]]
remotePort = 23005
type = "tcp"
name = "sample"
[proxies.plugin]
type = "unix_domain_socket"
unixPath = "$folder/exapp.sock"
EOF_CONFIG
chmod 600 "$folder/frpc.toml"
"$build/harp-tunnel-client" -c "$folder/frpc.toml" >"$folder/tunnel-client.log" 2>&1 &
tunnel_pid=$!
ready 'the tunnel client' "$tunnel_pid" "$folder/tunnel-client.log" 'proxy.*ready'
ok tunnel 'up, with TLS and certificates on both sides'

ask() {
    curl --silent --show-error --fail --max-time 30 "$@"
}

printf '%s\n' "${bold}requests: curl -> hub -> tunnel -> unix socket${plain}"
body=$(ask "$url/heartbeat" 2>>"$folder/curl.log") || fail 'GET /heartbeat'
ok GET "/heartbeat answers $body"

head -c 8388608 /dev/urandom >"$folder/file"
want=$(sha256sum <"$folder/file") want=${want%% *}
got=$(ask --data-binary @"$folder/file" "$url/upload" 2>>"$folder/curl.log") ||
    fail 'POST /upload'
case $got in
*"$want"*) ok upload "8 MiB, sha256 $(printf %.16s "$want")... is the same on both sides" ;;
*) fail "the upload's checksum differs: $got" ;;
esac

ask -D "$folder/head" -o "$folder/down" "$url/download?bytes=67108864" 2>>"$folder/curl.log" ||
    fail 'GET /download'
want=$(tr -d '\r' <"$folder/head" | sed -n 's/^[Xx]-[Cc]ontent-[Ss][Hh][Aa]256: *//p')
got=$(sha256sum <"$folder/down") got=${got%% *}
if [ -z "$want" ] || [ "$want" != "$got" ]; then
    fail 'the checksum of the download differs'
fi
ok download "64 MiB, sha256 $(printf %.16s "$got")... is what the ExApp announced"
rm -f "$folder/file" "$folder/down"

events=$(ask -N "$url/sse?n=3&ms=100" 2>>"$folder/curl.log" | grep -c '^data:') || fail 'GET /sse'
[ "$events" -eq 3 ] || fail "3 events were expected, $events came"
ok events '3 server-sent events, each as it was made'

echoed=$("$python" - "$url/ws" <<'PYTHON' 2>>"$folder/curl.log"
import asyncio
import sys

import aiohttp


async def main():
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(sys.argv[1]) as socket:
            await socket.send_str("hello through the tunnel")
            print((await socket.receive(10)).data)

asyncio.run(main())
PYTHON
) || fail 'WebSocket /ws'
[ "$echoed" = 'hello through the tunnel' ] || fail "WebSocket echoed: $echoed"
ok websocket "echoes '$echoed'"

code=$(curl -s -o /dev/null -w '%{http_code}' --max-time 10 "http://127.0.0.1:$http/exapps/nobody/" \
    2>>"$folder/curl.log") || true
[ "$code" = 404 ] || fail "an unknown app should be a 404, not $code"
ok refusal 'an unknown app is a 404'

printf '%s\n' "${bold}where to look${plain}"
printf '  %-12s %s\n' 'in a browser' "$url/page" '' "$url/echo?a=1" 'by hand' "curl -i $url/small"
if [ -n "$once" ]; then
    printf '  %-12s %s\n' 'lines logged' \
        "$(wc -l <"$folder/hub.log") by the hub, $(wc -l <"$folder/tunnel-client.log") by the tunnel client"
    exit 0
fi
printf '  %-12s %s\n' logs "tail -f $folder/*.log" settings "$folder/hub.cfg $folder/frpc.toml"
printf '%s\n' "running until Ctrl-C"

# Ends, too, when one of the programs does: `wait` with a list waits for all, so each is asked.
while kill -0 "$hub_pid" 2>/dev/null && kill -0 "$tunnel_pid" 2>/dev/null &&
    kill -0 "$exapp_pid" 2>/dev/null; do
    sleep 1 &
    wait $! || true
done
fail 'one of the programs ended'
