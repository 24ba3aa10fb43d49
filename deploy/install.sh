#!/bin/sh
# Puts programs, units, manual pages and examples in place, or takes them away (`make install`, `make uninstall`).
#
#   deploy/install.sh install|uninstall BUILD PREFIX [DESTDIR]
#
# Settings go to /etc/harp, where what is there already stays, also when all else is taken away: it is the
# administrator's. Users and folders are made by systemd-sysusers and systemd-tmpfiles, from the files put here.
set -eu

verb=$1
build=$2
prefix=$3
root=${4-}
deploy=${0%/*}
etc=$root/etc/harp
doc=$root$prefix/share/doc/harp
programs='harp-hub harp-tunnel-client harp-socket-filter harp-audit-ship'

# ---- one file ----

# put MODE SOURCE TARGET
put() {
    install -D -m "$1" "$2" "$3"
}

take() {
    rm -f "$3"
}

# Units name programs by their full path.
put_unit() {
    install -d "${3%/*}"
    sed "s|/usr/bin/harp-|$prefix/bin/harp-|" "$2" >"$3"
    chmod "$1" "$3"
}

# ---- settings to start with ----

# settings EXAMPLE NAME=VALUE...: the example, in which these settings have values of their own.
settings() {
    example=$deploy/examples/$1
    shift
    printf '%s\n' "$@" | awk '
        NR == FNR { at = index($0, "="); value[substr($0, 1, at - 1)] = substr($0, at + 1); next }
        /^#[a-z_]+ = .*;$/ {
            name = substr($1, 2)
            if (name in value) { print name " = \"" value[name] "\";"; delete value[name]; next }
        }
        { print }
        END { for (name in value) { print "no setting " name " in the example" > "/dev/stderr"; exit 1 } }
    ' - "$example"
}

# The places of an installation: what a container has elsewhere, and who may use the filtered socket.
settings_of() {
    case $1 in
    hub.cfg)
        settings "$1" certs_dir=/var/lib/harp-hub/certs shared_key_file=/etc/harp/hub_shared_key \
            docker_socket=/run/harp-socket-filter/docker.sock
        ;;
    tunnel.cfg)
        settings "$1" tls_cert_file=/etc/harp/certs/client.crt tls_key_file=/etc/harp/certs/client.key \
            tls_ca_file=/etc/harp/certs/ca.crt
        ;;
    filter.cfg)
        cat "$deploy/examples/$1" - <<'TEXT'

listeners = (
  { address = "unix:/run/harp-socket-filter/docker.sock"; file_mode = "0660"; group = "harp"; policy = "appapi"; }
);
TEXT
        ;;
    audit-ship.cfg)
        settings "$1" folder=/var/lib/harp-socket-filter/audit secret_key_file=/etc/harp/ship_secret_key
        ;;
    esac
}

put_settings() {
    install -d "$etc"
    for name in hub.cfg tunnel.cfg filter.cfg audit-ship.cfg; do
        if [ -e "$etc/$name" ]; then
            echo "$etc/$name is there already, and stays as it is"
        else
            settings_of "$name" >"$etc/.new"
            chmod 644 "$etc/.new"
            mv "$etc/.new" "$etc/$name"
        fi
    done
}

# ---- all of them ----

# each FILE UNIT: calls these two with mode, source and target.
each() {
    for name in $programs; do
        "$1" 755 "$build/$name" "$root$prefix/bin/$name"
        "$2" 644 "$deploy/systemd/$name.service" "$root$prefix/lib/systemd/system/$name.service"
    done
    for kind in sysusers tmpfiles; do
        for file in "$deploy/systemd"/*."$kind"; do
            name=${file##*/}
            "$1" 644 "$file" "$root$prefix/lib/$kind.d/${name%."$kind"}.conf"
        done
    done
    for file in "$deploy/man"/*.in; do
        name=${file##*/}
        name=${name%.in}
        "$1" 644 "$build/man/$name" "$root$prefix/share/man/man${name##*.}/$name"
    done
    for file in "$deploy/examples"/*.cfg "$deploy/examples"/*/*; do
        "$1" 644 "$file" "$doc/examples/${file#"$deploy/examples/"}"
    done
    "$1" 644 "$deploy/../LICENSE" "$doc/LICENSE"
    "$1" 644 "$deploy/../README.md" "$doc/README.md"
}

case $verb in
install)
    each put put_unit
    put_settings
    [ -n "$root" ] || echo 'next: systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload'
    ;;
uninstall)
    each take take
    rmdir "$doc"/examples/* "$doc/examples" "$doc" 2>/dev/null || : # what somebody put there stays
    [ ! -d "$etc" ] || echo "$etc stays: settings and secrets in it are the administrator's"
    ;;
*)
    echo "install.sh: '$verb' is neither install nor uninstall" >&2
    exit 2
    ;;
esac
