#!/bin/sh
# The whole path on one machine: stand-ins for Nextcloud and for a Docker engine, the hub, a tunnel client
# and a socket filter as on a Docker host, and a sample ExApp on a unix socket behind a tunnel with mutual TLS. An app is
# deployed and becomes known as AppAPI does it; then requests of all kinds, and what came of them; then
# stays until Ctrl-C.
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

for name in harp-hub harp-tunnel-client harp-socket-filter; do
    if [ ! -x "$build/$name" ]; then
        echo "demo: $build/$name is not there: run make" >&2
        exit 1
    fi
done
for tool in curl sha256sum base64; do
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
nextcloud_pid='' hub_pid='' tunnel_pid='' exapp_pid='' engine_pid='' host_pid='' filter_pid=''

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
    trap - EXIT INT TERM HUP PIPE
    end "$tunnel_pid"
    end "$host_pid"
    end "$hub_pid"
    end "$filter_pid"
    end "$engine_pid"
    end "$exapp_pid"
    end "$nextcloud_pid"
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'printf "\n"; exit 0' INT TERM HUP
trap 'exit 1' PIPE # who reads what is told here has left

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
    printf '  %s %-12s %s\n' "${green}ok${plain}" "$1" "$2"
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

# ---- settings: this demo's alone, nothing of the caller's environment changes it ----

for name in $(env | sed -n 's/^\(HP_[A-Z0-9_]*\|NC_INSTANCE_URL\)=.*/\1/p'); do
    unset "$name"
done
export PYTHONDONTWRITEBYTECODE=1
helper() {
    "$python" "$here/helper.py" "$@"
}
secret() {
    head -c 18 /dev/urandom | od -An -tx1 | tr -d ' \n'
}

# shellcheck disable=SC2046 # five words
set -- $(helper ports 8780 8781 8782 8200 8090)
http=$1 https=$2 frp=$3 admin=$4 nextcloud=$5
url=http://127.0.0.1:$http/exapps/sample
key=$(secret) token=$(secret)
# Who may reach what. A path that none of them matches is nobody's.
public='^/(|page|small|echo|upload|download|chunked|sse|ws)$' user='^/user(/|$)' admins='^/admin(/|$)'

export NC_INSTANCE_URL="http://127.0.0.1:$nextcloud" HP_SHARED_KEY="$key" HP_CERTS_DIR="$folder/certs"
export HP_EXAPPS_ADDRESS="127.0.0.1:$http" HP_EXAPPS_HTTPS_ADDRESS="127.0.0.1:$https"
export HP_FRP_ADDRESS="127.0.0.1:$frp" HP_ADMIN_ADDRESS="127.0.0.1:$admin"
export HP_DOCKER_SOCKET="$folder/no-docker.sock" HP_LOG_LEVEL=info
# So that requests below can come from any address: what a reverse proxy says of its clients.
export HP_TRUSTED_PROXY_IPS=127.0.0.1
mkdir -p "$folder/certs"

# ---- starting ----

printf '%s\n' "${bold}starting${plain}"
"$python" "$root/tests/integration/harness/nextcloud.py" --listen "127.0.0.1:$nextcloud" \
    --key "$key" --app sample --app-port 23005 --app-token "$token" \
    --route "0:$public" --route "1:$user" --route "2:$admins" >"$folder/nextcloud.log" 2>&1 &
nextcloud_pid=$!
"$python" "$here/sample_exapp.py" --listen "unix:$folder/exapp.sock" --secret "$token" \
    >"$folder/exapp.log" 2>&1 &
exapp_pid=$!
"$python" "$here/helper.py" engine "$folder/docker.sock" >"$folder/engine.log" 2>&1 &
engine_pid=$!
"$build/harp-hub" >"$folder/hub.log" 2>&1 &
hub_pid=$!
ready "Nextcloud's stand-in" "$nextcloud_pid" "$folder/nextcloud.log" ready
ok nextcloud "a stand-in at 127.0.0.1:$nextcloud; knows the app, and the users alice and admin"
ready 'the sample ExApp' "$exapp_pid" "$folder/exapp.log" ready
ok exapp "listens on ${dim}$folder/exapp.sock${plain}"
ready 'the hub' "$hub_pid" "$folder/hub.log" ready
ok hub "http 127.0.0.1:$http, tunnels 127.0.0.1:$frp, certificates made"

ready "Docker's stand-in" "$engine_pid" "$folder/engine.log" ready
ok engine "a stand-in for a Docker engine at ${dim}$folder/docker.sock${plain}"
filtered=$folder/filtered.sock
mkdir "$folder/audit"
cat >"$folder/filter.cfg" <<EOF_FILTER
docker = "unix:$folder/docker.sock";
listeners = ( { address = "unix:$filtered"; policy = "appapi"; } );
audit = "required";
audit_folder = "$folder/audit";
EOF_FILTER
"$build/harp-socket-filter" --config "$folder/filter.cfg" >"$folder/filter.log" 2>&1 &
filter_pid=$!
ready 'the socket filter' "$filter_pid" "$folder/filter.log" 'ready; version'
ok filter "in front of it, with AppAPI's policy: ${dim}$filtered${plain}"

# tunnel FILE NAME PORT SOCKET: the settings of a tunnel client that offers the socket at the hub's port.
tunnel() {
    cat >"$folder/$1" <<EOF_CONFIG
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
remotePort = $3
type = "tcp"
name = "$2"
[proxies.plugin]
type = "unix_domain_socket"
unixPath = "$4"
EOF_CONFIG
    chmod 600 "$folder/$1"
}
tunnel frpc.toml sample 23005 "$folder/exapp.sock"
"$build/harp-tunnel-client" -c "$folder/frpc.toml" >"$folder/tunnel-client.log" 2>&1 &
tunnel_pid=$!
tunnel docker-host.toml docker-host 24001 "$filtered"
"$build/harp-tunnel-client" -c "$folder/docker-host.toml" >"$folder/docker-host.log" 2>&1 &
host_pid=$!
ready 'the tunnel client' "$tunnel_pid" "$folder/tunnel-client.log" 'proxy.*ready'
ready "the Docker host's tunnel client" "$host_pid" "$folder/docker-host.log" 'proxy.*ready'
ok tunnels 'of the app and of the Docker host are up, with TLS and certificates on both sides'

# ---- requests ----

# call WANT CURL-ARGUMENT...: one request. What came is in $code and in the file `answer`; anything
# but WANT, a status or `closed`, is the end of the demo.
call() {
    call_want=$1 result=0
    shift
    code=$(curl -q --noproxy '*' --silent --show-error --max-time 30 --output "$folder/answer" \
        --write-out '%{http_code}' "$@" 2>>"$folder/curl.log") || result=$?
    case $result in
    0) ;;
    52) code=closed ;; # not one byte of an answer
    *) code="curl's exit code $result" ;;
    esac
    [ "$code" = "$call_want" ] || fail "$call_want was expected of: curl $*; it was $code"
}

# From an address out there, by way of a reverse proxy.
visit() {
    visit_want=$1
    shift
    call "$visit_want" --header "X-Forwarded-For: $from" "$@"
}
from=198.51.100.20

# told NAME: checks whom the hub told the app that it is, by the app's echo.
told() {
    told=$(helper told <"$folder/answer" 2>>"$folder/curl.log") || told='something unreadable'
    [ "$told" = "$1" ] || fail "the app was told: $told, in place of $1"
}

# Fields and bodies in files, so that each request can be repeated by hand.
cat >"$folder/key" <<EOF_FIELDS
harp-shared-key: $key
EOF_FIELDS
cat >"$folder/appapi" <<EOF_FIELDS
harp-shared-key: $key
EX-APP-ID: sample
EX-APP-VERSION: 1.0.0
ex-app-host: 127.0.0.1
ex-app-port: 23005
AUTHORIZATION-APP-API: $(printf ':%s' "$token" | base64 | tr -d '\n')
EOF_FIELDS
cat >"$folder/record.json" <<EOF_RECORD
{"exapp_token": "$token", "exapp_version": "1.0.0", "host": "127.0.0.1", "port": 23005,
 "routes": [{"url": "$public", "access_level": 0, "bruteforce_protection": []},
            {"url": "$user", "access_level": 1, "bruteforce_protection": []},
            {"url": "$admins", "access_level": 2, "bruteforce_protection": []}]}
EOF_RECORD
for name in alice admin; do
    helper cookie "$name" >"$folder/$name"
done
storage=http://127.0.0.1:$http/exapps/app_api/exapp_storage/sample
push() {
    call 204 --header @"$folder/key" --data-binary @"$folder/record.json" "$storage"
}

# docker WANT PATH [CURL-ARGUMENT...]: a call of AppAPI's to the Docker host.
docker() {
    docker_want=$1 docker_path=$2
    shift 2
    call "$docker_want" --header @"$folder/key" --header 'docker-engine-port: 24001' "$@" \
        "http://127.0.0.1:$http/exapps/app_api/$docker_path"
}
image=registry.test/exapps/testapp:1.0.0
cat >"$folder/create.json" <<EOF_CREATE
{"name": "sample", "image_id": "$image", "network_mode": "host", "restart_policy": "unless-stopped",
 "environment_variables": ["APP_ID=sample", "APP_PORT=23005", "HP_SHARED_KEY=$key"]}
EOF_CREATE

printf '%s\n' "${bold}AppAPI deploys the app on the Docker host${plain}"
docker 200 "v1.41/images/$image/json"
ok image "$code GET images/$image/json"
docker 201 docker/exapp/create --data-binary @"$folder/create.json"
ok create "$code docker/exapp/create: container nc_app_sample"
docker 204 docker/exapp/install_certificates --data-binary '{"name": "sample"}'
ok certificates "$code docker/exapp/install_certificates: the tunnel's, of this app alone"
docker 204 docker/exapp/start --data-binary '{"name": "sample"}'
ok start "$code docker/exapp/start"
docker 200 docker/exapp/wait_for_start --data-binary '{"name": "sample"}'
ok wait "$code docker/exapp/wait_for_start $(cat "$folder/answer")"
docker 200 v1.41/containers/nc_app_sample/json
grep -qF 'HP_SHARED_KEY=<hidden>' "$folder/answer" || fail 'the filter shows environments'
call 200 --unix-socket "$folder/docker.sock" http://docker/v1.41/containers/nc_app_sample/json
if grep -qF "$key" "$folder/answer"; then
    fail 'the shared key is in the container'
fi
ok token "$(grep -o 'HP_SHARED_KEY=nc_app_sample~sample~23005~.....' "$folder/answer")... in the container, not the key"
docker 403 v1.41/info
ok gate "$code GET info: $(cat "$folder/answer")"
"$build/harp-hub" engines >"$folder/engines" 2>>"$folder/curl.log" || fail 'harp-hub engines'
ok engines "harp-hub engines: $(awk '$1 == 24001 { print $2 ", Docker " $4 ", containers of ours: " $NF }' "$folder/engines")"

printf '%s\n' "${bold}who broke into the hub, and asks the Docker host's socket itself${plain}"
# filtered WANT PATH [CURL-ARGUMENT...]: a call at the filter's socket; what it says is in $said.
filtered() {
    filtered_want=$1 filtered_path=$2
    shift 2
    call "$filtered_want" --unix-socket "$filtered" "$@" "http://docker$filtered_path"
    said=$(sed -n 's/.*"message":"\([^"]*\)".*/\1/p' "$folder/answer")
}
create() {
    filtered 403 /v1.41/containers/create?name=nc_app_evil --header 'Content-Type: application/json' \
        --data-binary "{\"Image\":\"$image\",\"HostConfig\":$1}"
    ok "" "$code $said"
}
filtered 403 '/v1.41/containers/json?all=true'
ok refused "$code $said"
create '{"Privileged":true}'
create '{"privileged":true}'
create '{"Mounts":[{"Type":"bind","Source":"/","Target":"/host"}]}'
create '{"NetworkMode":"container:database"}'
filtered 403 /v1.41/containers/nc_app_sample/exec --header 'Content-Type: application/json' \
    --data-binary '{"Cmd":["sh","-c","id"]}'
ok '' "$code $said"
"$build/harp-socket-filter" audit verify "$folder/audit" >"$folder/verified" 2>&1 ||
    fail "audit verify: $(cat "$folder/verified")"
ok audit "$(cut -c 1-60 "$folder/verified")..."

printf '%s\n' "${bold}AppAPI makes the app known${plain}"
call 200 --header @"$folder/appapi" "$url/heartbeat"
ok heartbeat "$code GET /heartbeat $(cat "$folder/answer")"
call 200 --header @"$folder/appapi" --request POST "$url/init"
ok init "$code POST /init"
call 200 --header @"$folder/appapi" --request PUT "$url/enabled?enabled=1"
ok enabled "$code PUT /enabled?enabled=1"
push
ok routes "$code POST exapp_storage/sample: routes for everybody, users, admins"

printf '%s\n' "${bold}who may reach what${plain}"
visit 200 "$url/page"
ok public "$code /page, without credentials"
visit 403 "$url/user"
ok user "$code /user, without credentials"
visit 200 --header @"$folder/alice" "$url/user"
told alice
ok '' "$code /user, with alice's session cookie; the app was told: $told"
visit 403 --header @"$folder/alice" "$url/admin"
ok admin "$code /admin, with alice's"
visit 200 --header @"$folder/admin" "$url/admin"
told admin
ok '' "$code /admin, with the one of admin; the app was told: $told"
visit 404 "$url/other"
ok 'no route' "$code /other"
visit closed --request POST "$url/init"
ok reserved "$code without an answer: /init by a browser"
visit 404 "http://127.0.0.1:$http/exapps/nobody/"
ok unknown "$code /exapps/nobody/"

from=203.0.113.9
for attempt in 1 2 3 4 5 6 7 8 9 10; do
    visit 404 "http://127.0.0.1:$http/exapps/guess$attempt/"
done
visit closed "$url/page"
ok ban "$code without an answer: /page for $from, after 10 failures"
call 200 --header 'X-Forwarded-For: 198.51.100.20' "$url/page"
ok '' "$code /page for 198.51.100.20"
"$build/harp-hub" bans list >"$folder/bans" 2>>"$folder/bans.log" || fail 'harp-hub bans list'
ban=$(awk -v ip="$from" '$1 == ip { print $2 " failures, banned: " $3 ", left: " $4 }' "$folder/bans")
[ -n "$ban" ] || fail "harp-hub bans list does not show $from"
ok '' "harp-hub bans list: $from, $ban"
"$build/harp-hub" bans lift "$from" >>"$folder/bans.log" 2>&1 || fail "harp-hub bans lift $from"
visit 200 "$url/page"
ok '' "$code after harp-hub bans lift $from"
from=198.51.100.20

call 204 --header @"$folder/key" --request DELETE "$storage"
visit 404 "$url/page"
ok disabled "$code /page, after DELETE exapp_storage/sample"
push
visit 200 "$url/page"
ok '' "$code after it was pushed again"

printf '%s\n' "${bold}data: curl -> hub -> tunnel -> unix socket${plain}"
head -c 8388608 /dev/urandom >"$folder/file"
want=$(sha256sum <"$folder/file") want=${want%% *}
call 200 --data-binary @"$folder/file" "$url/upload"
got=$(cat "$folder/answer")
case $got in
*"$want"*) ok upload "8 MiB, sha256 $(printf %.16s "$want")... is the same on both sides" ;;
*) fail "the upload's checksum differs: $got" ;;
esac

call 200 --dump-header "$folder/head" "$url/download?bytes=67108864"
want=$(tr -d '\r' <"$folder/head" | sed -n 's/^[Xx]-[Cc]ontent-[Ss][Hh][Aa]256: *//p')
got=$(sha256sum <"$folder/answer") got=${got%% *}
if [ -z "$want" ] || [ "$want" != "$got" ]; then
    fail 'the checksum of the download differs'
fi
ok download "64 MiB, sha256 $(printf %.16s "$got")... is what the ExApp announced"
rm -f "$folder/file" "$folder/answer"

call 200 --no-buffer "$url/sse?n=3&ms=100"
events=$(grep -c '^data:' "$folder/answer") || true
[ "$events" = 3 ] || fail "3 events were expected, $events came"
ok events '3 server-sent events, each as it was made'

echoed=$(helper websocket "$url/ws" 'hello through the tunnel' 2>>"$folder/curl.log") ||
    fail 'WebSocket /ws'
[ "$echoed" = 'hello through the tunnel' ] || fail "WebSocket echoed: $echoed"
ok websocket "echoes '$echoed'"

# The hub's own word on all of it: a line each, `ok`, `unsure` or `WRONG` first.
"$build/harp-hub" status >"$folder/status" 2>>"$folder/curl.log" || fail "harp-hub status: $(cat "$folder/status")"
ok status "harp-hub status: $(grep -c '^ok ' "$folder/status") lines are ok, none is wrong"

printf '%s\n' "${bold}where to look${plain}"
look() {
    printf '  %-12s %s\n' "$@"
}
look 'in a browser' "$url/page" '' "$url/"
if [ -n "$once" ]; then
    look 'lines logged' \
        "$(wc -l <"$folder/hub.log") by the hub, $(wc -l <"$folder/tunnel-client.log") by the tunnel client"
    exit 0
fi
look 'as a user' "curl -i -H @$folder/alice $url/user"
look 'as AppAPI' "curl -i -H @$folder/key http://127.0.0.1:$http/exapps/app_api/info"
look 'who failed' "curl -i http://127.0.0.1:$admin/api/bans"
look engines "curl -i http://127.0.0.1:$admin/api/engines"
look 'as the hub' "docker -H unix://$filtered ps" audit "$build/harp-socket-filter audit show $folder/audit"
look logs "tail -f $folder/*.log" settings "$folder/*.toml $folder/*.json"
printf '%s\n' "running until Ctrl-C"

# Ends, too, when one of the programs does: `wait` with a list waits for all, so each is asked.
while kill -0 "$hub_pid" 2>/dev/null && kill -0 "$tunnel_pid" 2>/dev/null &&
    kill -0 "$exapp_pid" 2>/dev/null && kill -0 "$nextcloud_pid" 2>/dev/null &&
    kill -0 "$engine_pid" 2>/dev/null && kill -0 "$host_pid" 2>/dev/null &&
    kill -0 "$filter_pid" 2>/dev/null; do
    sleep 1 &
    wait $! || true
done
fail 'one of the programs ended'
