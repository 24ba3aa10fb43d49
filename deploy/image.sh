#!/bin/sh
# Makes the container images: from nothing but a program, the libraries it needs, CA certificates, and an
# unprivileged user. No registry, no base image, no shell inside.
#
#   deploy/image.sh BUILD VERSION [FOLDER]       (`make image`)
#
# FOLDER/NAME.tar (BUILD/image) is what `docker load` takes, here or on another host, as NAME:VERSION and NAME:latest;
# where a Docker engine answers, it is loaded. The same programs and libraries make the same bytes: files
# are sorted, belong to root, and have the time SOURCE_DATE_EPOCH (else 0). Needs what `tests/deps.sh build`
# installs; no root, and no Docker.
set -eu
umask 022
export LC_ALL=C

build=$1
version=$2
out=${3:-$build/image}
time=${SOURCE_DATE_EPOCH:-0}
date=$(date -u -d "@$time" +%Y-%m-%dT%H:%M:%SZ)
id=8780 # user and group `harp`
authorities=/etc/ssl/certs/ca-certificates.crt

fail() {
    echo "image: $*" >&2
    exit 1
}

case $(uname -m) in
x86_64) architecture=amd64 ;;
aarch64) architecture=arm64 ;;
*) architecture=$(dpkg --print-architecture) ;;
esac
[ -f "$authorities" ] || fail "$authorities is not there; install the package ca-certificates"
rm -rf "$out"
mkdir -p "$out"
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

# ---- files ----

# libraries FILE: the loader and every library, at the paths where FILE looks for them.
libraries() {
    ldd "$1" | grep -oE '/[^ ]+' | sort -u
}

# add_libraries ROOT FILE
add_libraries() {
    for library in $(libraries "$2"); do
        [ -e "$1$library" ] || install -D -m 755 "$library" "$1$library"
    done
}

# add_event_loop ROOT FILE: what libwebsockets loads by itself, when it is to use libuv.
add_event_loop() {
    library=$(libraries "$2" | grep /libwebsockets) || return 0
    plugin=/usr/lib/${library#*/lib/}
    plugin=${plugin%/*}/libwebsockets-evlib_uv.so
    [ -f "$plugin" ] || fail "$plugin is not there; install the package libwebsockets-evlib-uv"
    install -D -m 755 "$plugin" "$1$plugin"
    add_libraries "$1" "$plugin"
}

# fill ROOT NAME: a root file system with that program. Names are resolved by glibc itself, which needs no
# module for files and DNS; it and OpenSSL do without their other files.
fill() {
    install -D -m 755 "$build/$2" "$1/usr/bin/$2"
    strip "$1/usr/bin/$2"
    add_libraries "$1" "$build/$2"
    add_event_loop "$1" "$build/$2"
    install -D -m 644 "$authorities" "$1$authorities"
    printf 'root:x:0:0::/:/usr/sbin/nologin\nharp:x:%d:%d::/:/usr/sbin/nologin\n' $id $id >"$1/etc/passwd"
    printf 'root:x:0:\nharp:x:%d:\n' $id >"$1/etc/group"
    printf 'hosts: files dns\npasswd: files\ngroup: files\n' >"$1/etc/nsswitch.conf"
}

# archive ROOT TAR FOLDER...: all files are root's; only the folders named are the user's.
archive() {
    from=$1
    to=$2
    shift 2
    for folder in "$@"; do
        mkdir -p "$from$folder"
        printf './%s\n' "${folder#/}"
    done >"$work/folders"
    set -- --format=ustar --sort=name --mtime="@$time" --numeric-owner -C "$from"
    tar "$@" --owner=0 --group=0 --anchored --exclude-from="$work/folders" -cf "$to" .
    tar "$@" --owner=$id --group=$id --no-recursion -rf "$to" -T "$work/folders"
}

# ---- images ----

# image NAME FOLDER...: writes NAME.tar, in the form of `docker save`. On stdin: what of the image's
# configuration is its own, as members of JSON.
image() {
    name=$1
    shift
    parts=$work/$name
    mkdir -p "$parts"
    fill "$work/root" "$name"
    archive "$work/root" "$parts/layer.tar" "$@"
    layer=$(sha256sum "$parts/layer.tar")
    layer=${layer%% *}
    cat >"$parts/config" <<JSON
{"architecture":"$architecture","os":"linux","created":"$date",
"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]},
"history":[{"created":"$date","created_by":"deploy/image.sh"}],
"config":{"Entrypoint":["/usr/bin/$name"],"WorkingDir":"/","StopSignal":"SIGTERM",
"Labels":{"org.opencontainers.image.title":"$name","org.opencontainers.image.version":"$version",
"org.opencontainers.image.licenses":"Apache-2.0"},
$(cat)}}
JSON
    config=$(sha256sum "$parts/config")
    config=${config%% *}.json
    mv "$parts/config" "$parts/$config"
    printf '[{"Config":"%s","RepoTags":["%s:%s","%s:latest"],"Layers":["layer.tar"]}]\n' \
        "$config" "$name" "$version" "$name" >"$parts/manifest.json"
    tar --format=ustar --sort=name --mtime="@$time" --numeric-owner --owner=0 --group=0 \
        -C "$parts" -cf "$out/$name.tar" manifest.json "$config" layer.tar
    printf '%-20s %6d KiB, the program %5d KiB of it\n' "$name.tar" "$(kib "$out/$name.tar")" \
        "$(kib "$work/root/usr/bin/$name")"
    rm -rf "$work/root" "$parts"
}

kib() {
    echo $(($(stat -c %s "$1") / 1024))
}

# health NAME: as JSON; times are in nanoseconds.
health() {
    printf '"Healthcheck":{"Test":["CMD","/usr/bin/%s","--health"],"Interval":10000000000,' "$1"
    printf '"Timeout":10000000000,"StartPeriod":30000000000,"Retries":3}'
}

# Started as root, as HaRP's documentation has it, hub and filter become `harp` by themselves: what is mounted
# into them has owners and groups that nobody knows before.
image harp-hub /certs <<JSON
"Env":["HP_USER=harp"],"Volumes":{"/certs":{}},
"ExposedPorts":{"8780/tcp":{},"8781/tcp":{},"8782/tcp":{}},
$(health harp-hub)
JSON

# The folders are volumes, so that they can be written to where nothing else can.
image harp-tunnel-client /run/harp-tunnel-client <<JSON
"User":"$id:$id","Volumes":{"/run/harp-tunnel-client":{}},
$(health harp-tunnel-client)
JSON

image harp-socket-filter /run/harp-socket-filter /var/lib/harp-socket-filter/audit <<JSON
"Env":["HP_FILTER_USER=harp"],"Volumes":{"/run/harp-socket-filter":{}},
$(health harp-socket-filter)
JSON

# It has nothing that could be asked; what it could not send, it logs.
image harp-audit-ship <<JSON
"User":"$id:$id","Env":["HP_AUDIT_FOLDER=/var/lib/harp-socket-filter/audit"]
JSON

# ---- the engine ----

if command -v docker >/dev/null 2>&1 && docker version >/dev/null 2>&1; then
    for tar in "$out"/*.tar; do
        docker load -q -i "$tar"
    done
else
    echo "no Docker engine answers here; where one does: docker load -i FILE, for each in $out"
fi
