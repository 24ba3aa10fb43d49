# systemd.sh - programs, users, settings and units on a machine with systemd. Programs and units of
# installed packages are used where they are; others come from a folder, and go to /usr/local.
# shellcheck shell=sh disable=SC2154 # variables are those of install-tunnel-client.sh

local_bin=/usr/local/bin
unit_folder=/etc/systemd/system
both='harp-socket-filter harp-tunnel-client' # in the order of their start
filtered=/run/harp-socket-filter/docker.sock
bin='' packaged=''

# ---- what there is ----

check_systemd() {
    [ -d /run/systemd/system ] ||
        mistake '--with systemd: systemd does not run this machine: use --with compose'
    for tool in systemctl useradd groupadd usermod userdel groupdel; do
        command -v "$tool" >/dev/null 2>&1 || mistake "$tool is missing: install the package it is of"
    done
    [ -z "$images" ] || mistake '--images is for --with compose: leave it out, or name programs with --from'
    find_programs
}

has_both() {
    [ -x "$1/harp-socket-filter" ] && [ -x "$1/harp-tunnel-client" ]
}

find_programs() {
    bin=$local_bin
    if [ -n "$from" ]; then
        check_programs "$from"
    elif has_both /usr/bin; then
        bin=/usr/bin packaged=1
    elif has_both "$here/../build"; then
        from=$(cd "$here/../build" && pwd)
        check_programs "$from"
    elif ! { is_recorded file "$bin/harp-socket-filter" && has_both "$bin"; }; then
        mistake "there are no programs to install: install the packages harp-socket-filter and harp-tunnel-client, or name a folder of built ones with --from DIR"
    fi
    for unit in $both; do
        [ -r "$(unit_source "$unit")" ] ||
            mistake "$(unit_source "$unit") is missing: copy the folder deploy as a whole, or install the package again"
    done
}

unit_source() {
    if [ -z "$packaged" ]; then
        echo "$here/systemd/$1.service"
    elif [ -e "/lib/systemd/system/$1.service" ]; then
        echo "/lib/systemd/system/$1.service"
    else
        echo "/usr/lib/systemd/system/$1.service"
    fi
}

# What kind of machine an ELF file is for: class, byte order and number; "" for another kind of file.
elf_kind() {
    od -An -v -tx1 -N20 "$1" | tr -d '\n' | awk '$1 $2 $3 $4 == "7f454c46" { print $5, $6, $19, $20 }'
}

check_programs() {
    for file in $both; do
        if [ ! -f "$1/$file" ]; then
            mistake "--from: there is no $1/$file: build it (make), or name the folder in which it is"
        elif [ "$(elf_kind "$1/$file")" != "$(elf_kind /proc/self/exe)" ]; then
            mistake "--from: $1/$file is no program for this machine ($(uname -m)): build it on such a one (make), and name that folder"
        elif ! "$1/$file" --version >"$work/version" 2>&1; then
            mistake "--from: $1/$file does not run here: $(head -n 1 "$work/version"); install the library that it names"
        fi
    done
}

# ---- settings ----

tunnel_cfg() {
    cat <<TEXT
# Written by $program. harp-tunnel-client --print-config shows all settings.
server_address = "$hub_host";
server_port = $hub_port;
tls_ca_file = "$etc/certs/ca.crt";
tls_cert_file = "$etc/certs/client.crt";
tls_key_file = "$etc/certs/client.key";
TEXT
    [ "$identity" = own ] || echo "shared_key_file = \"$etc/tunnel_shared_key\";"
    cat <<TEXT
# A hub that comes back has its Docker host again within this time.
reconnect_max = "15s";
proxies = ( { name = "$name"; remote_port = $port; local = "unix:$filtered"; } );
TEXT
}

filter_cfg() {
    cat <<TEXT
# Written by $program. harp-socket-filter --print-config shows all settings.
docker = "unix:$docker_socket";
listeners = (
    { address = "unix:$filtered"; file_mode = "0660"; group = "harp"; policy = "appapi"; }
);
TEXT
}

put_programs() {
    [ -n "$from" ] || return 0
    for file in $both; do
        put "$from/$file" "$local_bin/$file" 755 root:root
        [ -z "$changed" ] || restart_later "$file"
    done
}

put_units() {
    [ -z "$packaged" ] || return 0
    for unit in $both; do
        sed "s,/usr/bin/harp-,$local_bin/harp-,g" "$(unit_source "$unit")" >"$work/unit"
        put_unit "$unit" "$unit_folder/$unit.service"
    done
}

# put_unit UNIT PATH: the file in work.
put_unit() {
    put "$work/unit" "$2" 644 root:root
    [ -n "$changed" ] || return 0
    units=1
    restart_later "$1"
}

# The unit takes Docker's socket to be of the group docker.
put_socket_group() {
    drop_in=$unit_folder/harp-socket-filter.service.d
    group=$(stat -L -c %G "$docker_socket")
    [ "$group" != UNKNOWN ] || group=$(stat -L -c %g "$docker_socket")
    if [ "$group" = docker ]; then
        drop "$drop_in/docker-socket.conf"
        [ -z "$changed" ] || units=1 filter=restart
        return 0
    fi
    folder "$drop_in" 755 root:root
    cat >"$work/unit" <<TEXT
# Written by $program: the group of $docker_socket.
[Service]
SupplementaryGroups=
SupplementaryGroups=$group
TEXT
    put_unit harp-socket-filter "$drop_in/docker-socket.conf"
}

restart_later() {
    case $1 in
    harp-socket-filter) filter=restart ;;
    harp-tunnel-client) client=restart ;;
    esac
}

# ---- the way ----

install_systemd() {
    client='' filter='' units='' # what has to be told of changes: "", reload or restart
    make_group harp
    make_user harp-filter 'harp socket filter'
    make_user harp-tunnel 'harp tunnel client'
    join harp-tunnel harp
    put_programs
    put_certificates root:harp-tunnel
    filter_cfg >"$work/filter.cfg"
    put "$work/filter.cfg" "$etc/filter.cfg" 644 root:root
    [ -z "$changed" ] || filter=restart
    tunnel_cfg >"$work/tunnel.cfg"
    put "$work/tunnel.cfg" "$etc/tunnel.cfg" 644 root:root
    [ -z "$changed" ] || client=${client:-reload}
    put_units
    put_socket_group
    [ -z "$units" ] || [ -n "$dry" ] || systemctl daemon-reload
    start_unit harp-socket-filter "$filter"
    start_unit harp-tunnel-client "$client"
}

# start_unit UNIT CHANGE
start_unit() {
    if ! systemctl is-enabled --quiet "$1" 2>/dev/null; then
        step "unit $1 enabled: it starts with the machine" "enable the unit $1"
        if [ -z "$dry" ]; then
            record unit "$1"
            systemctl enable --quiet "$1"
        fi
    fi
    verb=${2:-}
    systemctl is-active --quiet "$1" || verb=start
    case $verb in
    '') return ;;
    reload) step "unit $1 reads its settings again" "reload the unit $1" ;;
    *) step "unit $1 ${verb}ed" "$verb the unit $1" ;;
    esac
    [ -z "$dry" ] || return 0
    record unit "$1"
    if ! systemctl "$verb" "$1"; then
        journalctl -u "$1" -n 5 --no-pager -o cat 2>/dev/null | sed 's/^/    /' >&2 || :
        fail "the unit $1 does not $verb; the reason is in journalctl -u $1"
    fi
}

stop_systemd() {
    for unit in harp-tunnel-client harp-socket-filter; do
        is_recorded unit "$unit" || continue
        step "unit $unit stopped and disabled" "stop and disable the unit $unit"
        [ -n "$dry" ] || systemctl disable --quiet --now "$unit"
    done
}

stopped_systemd() {
    [ -n "$dry" ] || systemctl daemon-reload
}

# ---- for proof.sh ----

filter_health_systemd() {
    "$bin/harp-socket-filter" -c "$etc/filter.cfg" health
}

client_status_systemd() {
    "$bin/harp-tunnel-client" -c "$etc/tunnel.cfg" status --json
}

offer_again_systemd() {
    systemctl restart harp-tunnel-client
}

log_of_systemd() {
    echo "journalctl -u $1"
}
