#!/bin/sh
# Makes the container images: from nothing but a program, the libraries it is linked with, CA
# certificates, and an unprivileged user. No registry, no base image, no shell inside.
#
#   deploy/image.sh BUILD VERSION        (`make image`)
#
# Each image is a folder of files packed into BUILD/image/NAME.tar; where a Docker engine answers it
# is imported as NAME:VERSION.
set -eu

build=$1
version=$2
out=$build/image
rm -rf "$out"
mkdir -p "$out"

# pack NAME: a root file system with that program.
pack() {
    name=$1
    root=$out/$name
    mkdir -p "$root/usr/bin" "$root/etc/ssl/certs" "$root/certs" "$root/tmp"
    chmod 1777 "$root/tmp"
    install -m 755 "$build/$name" "$root/usr/bin/$name"
    strip "$root/usr/bin/$name"
    # The loader and every library, at the paths the program looks for them.
    ldd "$build/$name" | grep -oE '/[^ ]+' | sort -u | while read -r library; do
        mkdir -p "$root${library%/*}"
        cp -L "$library" "$root$library"
    done
    [ ! -f /etc/ssl/certs/ca-certificates.crt ] ||
        cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    printf 'harp:x:8780:8780::/:/usr/sbin/nologin\n' >"$root/etc/passwd"
    printf 'harp:x:8780:\n' >"$root/etc/group"
    tar -C "$root" --sort=name --owner=0 --group=0 --numeric-owner -cf "$out/$name.tar" .
    printf '%-20s %6d KiB\n' "$name.tar" "$(($(stat -c %s "$out/$name.tar") / 1024))"
}

# import NAME OPTION...: hands it to the Docker engine, if there is one.
import() {
    name=$1
    shift
    if command -v docker >/dev/null 2>&1 && docker info >/dev/null 2>&1; then
        docker import "$@" --change "ENTRYPOINT [\"/usr/bin/$name\"]" \
            --change 'STOPSIGNAL SIGTERM' "$out/$name.tar" "$name:$version"
    else
        echo "no Docker engine answers: $out/$name.tar is ready for docker import"
    fi
}

pack harp-hub
import harp-hub --change 'EXPOSE 8780 8781 8782' --change 'VOLUME /certs'
pack harp-tunnel-client
import harp-tunnel-client --change 'USER 8780:8780'
