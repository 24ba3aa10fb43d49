#!/bin/sh
# Unpacks the servers that tests of deploy/proxy run, with the libraries they need, into build/servers: those that are
# not installed. Nothing is installed, and no service is started.
#
#   tests/servers.sh
#
# Debian 12 and 13. Needs no root while apt's package lists are fresh.
set -eu
cd "$(dirname "$0")/.."
folder=build/servers

missing='' unpacked=yes
for server in nginx:/usr/sbin/nginx apache2-bin:/usr/sbin/apache2 haproxy:/usr/sbin/haproxy caddy:/usr/bin/caddy; do
    [ ! -x "${server#*:}" ] || continue
    missing="$missing ${server%%:*}"
    [ -x "$folder${server#*:}" ] || unpacked=no
done
if [ "$unpacked" = yes ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "servers: no apt-get here; install these, or their like, for the tests of deploy/proxy:$missing" >&2
    exit 1
fi

echo "servers: unpacking$missing into $folder"
mkdir -p build
stage=$(mktemp -d "$PWD/build/servers.XXXXXX")
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage/debs/partial" "$stage/root"
download() {
    # What a package needs and is not installed comes, too.
    # shellcheck disable=SC2086 # a list of words
    apt-get install -y -q --download-only --no-install-recommends -o Dir::Cache::archives="$stage/debs" \
        -o Debug::NoLocking=1 -o APT::Sandbox::User="$(id -un)" $missing >"$stage/log" 2>&1
}
if ! download; then
    if [ "$(id -u)" -eq 0 ]; then
        apt-get update -q >"$stage/log" 2>&1 && download
    else
        false
    fi || {
        tail -n 20 "$stage/log" >&2
        echo "servers: cannot get$missing; as root: apt-get update, then tests/servers.sh again" >&2
        exit 1
    }
fi
for package in "$stage"/debs/*.deb; do
    dpkg-deb -x "$package" "$stage/root"
done
rm -rf "$folder"
mv "$stage/root" "$folder"
