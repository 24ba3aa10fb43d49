# checks.sh - judges the arguments and the machine before anything is changed. Each mistake is one line
# with its remedy; all of them are told, then nothing is done.
# shellcheck shell=sh disable=SC2154 # variables are those of install-tunnel-client.sh

engine_name='harp.engine.'   # of a Docker host's own certificate, before its name
shared_name='harp.client.nc' # of the client certificate that all have in common
name_max=52                  # a certificate's name has 64 bytes, engine_name 12 of them

mistake() {
    echo "$program: $*" >&2
    mistakes=$((mistakes + 1))
}

# Told only when there are no mistakes.
note() {
    echo "note: $*" >>"$work/notes"
}

stop_at_mistakes() {
    if [ "$mistakes" -eq 0 ]; then
        [ ! -e "$work/notes" ] || cat "$work/notes"
        return 0
    fi
    echo "$program: nothing was changed" >&2
    exit 1
}

# number TEXT LEAST MOST: whether it is a whole number between them.
number() {
    case $1 in
    '' | *[!0-9]* | ??????*) return 1 ;;
    esac
    [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]
}

# is_host TEXT: a name or an IPv4 address.
is_host() {
    case $1 in
    '' | .* | -* | *..* | *[!A-Za-z0-9._-]*) return 1 ;;
    esac
}

# split_address TEXT DEFAULT_PORT: sets split_host (without brackets) and split_port, or fails.
split_address() {
    split_port=$2
    case $1 in
    \[*\])
        split_host=${1#\[}
        split_host=${split_host%\]}
        ;;
    \[*\]:*)
        split_host=${1#\[}
        split_host=${split_host%%\]*}
        split_port=${1##*\]:}
        ;;
    *:*:*) return 1 ;;
    *:*)
        split_host=${1%:*}
        split_port=${1##*:}
        ;;
    *) split_host=$1 ;;
    esac
    number "$split_port" 1 65535 || return 1
    case $1 in
    \[*)
        case $split_host in
        '' | *[!0-9A-Fa-f:.]*) return 1 ;;
        esac
        ;;
    *) is_host "$split_host" ;;
    esac
}

check_root() {
    [ -n "$dry" ] || [ "$(id -u)" -eq 0 ] ||
        mistake 'it installs programs and users, which needs root: run it with sudo'
}

# ---- what is written ----

check_hub_text() {
    hub_host='' hub_port=''
    if [ -z "$hub" ]; then
        mistake "--hub is missing: write the hub's host and tunnel port, as in --hub hub.example.com:8782"
    elif split_address "$hub" 8782; then
        hub_host=$split_host hub_port=$split_port
        case $hub_host in
        *:*) hub="[$hub_host]:$hub_port" ;;
        *) hub=$hub_host:$hub_port ;;
        esac
    else
        mistake "--hub: '$hub' is no host and port: write them as in hub.example.com:8782, without http://"
    fi
}

# Sets name_good.
check_name() {
    name_good=''
    if [ -z "$name" ]; then
        mistake '--name is missing: choose a name for this Docker host, as in --name docker-host-1'
        return
    fi
    case $name in
    [!A-Za-z0-9]* | *[!A-Za-z0-9._-]*)
        mistake "--name: '$name' is made of other than letters, digits and . - _, or does not begin with a letter or digit: choose another"
        ;;
    *)
        if [ ${#name} -le "$name_max" ]; then
            name_good=1
        else
            mistake "--name: '$name' has more than $name_max letters: choose a shorter one"
        fi
        ;;
    esac
}

check_port() {
    if [ -z "$port" ]; then
        mistake '--port is missing: choose one from 24001 to 24099 that no other Docker host has; harp-hub engines lists those in use'
    elif [ "$port" = 24000 ]; then
        mistake "--port: 24000 is for the engine on the hub's own host: choose one from 24001 to 24099"
    elif ! number "$port" 24001 24099; then
        mistake "--port: '$port' is no port of a Docker host: choose one from 24001 to 24099"
    fi
}

check_rest_text() {
    number "$limit" 1 600 || mistake "--wait: '$limit' is no number of seconds from 1 to 600"
    case $docker_socket in
    /*[!A-Za-z0-9/._-]*) mistake "--docker-socket: '$docker_socket' has other characters than letters, digits and / . - _" ;;
    /*) check_docker ;;
    *) mistake "--docker-socket: '$docker_socket' does not begin with /: write the whole path" ;;
    esac
    case $nextcloud_url in
    '') ;;
    *[!A-Za-z0-9:/._~%\[\]-]*) mistake "--nextcloud-url: '$nextcloud_url' has characters that no address of a Nextcloud has" ;;
    http://?* | https://?*) ;;
    *) mistake "--nextcloud-url: '$nextcloud_url' is no http or https URL: write one as in https://cloud.example.com" ;;
    esac
    if [ -z "$harp_address" ]; then
        return
    fi
    split_address "$harp_address" 8780 ||
        mistake "--harp-address: '$harp_address' is no host and port: write them as in hub.example.com:8780, without http://"
}

# ---- certificates ----

# Needs openssl, which came with the CA certificates that Docker itself needs.
check_certs() {
    identity=''
    if [ -z "$certs" ]; then
        mistake "--certs is missing: name the folder with ca.crt, client.crt and client.key; the hub makes one by harp-hub engines certificate ${name:-NAME} DIR"
        return
    fi
    if [ ! -d "$certs" ]; then
        mistake "--certs: there is no folder $certs: copy it from the hub's host"
        return
    fi
    for file in ca.crt client.crt client.key; do
        if [ ! -e "$certs/$file" ]; then
            mistake "--certs: $certs/$file is missing: copy all three files that harp-hub engines certificate made"
            certs_bad=1
        elif [ ! -r "$certs/$file" ]; then
            mistake "--certs: $certs/$file can't be read: run it as root"
            certs_bad=1
        fi
    done
    [ -z "${certs_bad:-}" ] || return 0
    if ! command -v openssl >/dev/null 2>&1; then
        mistake 'openssl is missing, by which certificates are checked: install the package openssl'
        return
    fi
    if check_pair && check_chain; then
        check_identity
    fi
}

check_pair() {
    for file in ca.crt client.crt; do
        openssl x509 -in "$certs/$file" -noout >/dev/null 2>&1 || {
            mistake "--certs: $certs/$file is no certificate (PEM): copy it again from the hub's host"
            return 1
        }
    done
    # A passphrase can't be asked for by a service.
    openssl pkey -in "$certs/client.key" -passin pass: -pubout >"$work/of-key" 2>/dev/null || {
        mistake "--certs: $certs/client.key is no private key (PEM, without a passphrase): copy it again from the hub's host"
        return 1
    }
    openssl x509 -in "$certs/client.crt" -noout -pubkey >"$work/of-certificate" 2>/dev/null
    cmp -s "$work/of-key" "$work/of-certificate" || {
        mistake "--certs: $certs/client.key is not the key of $certs/client.crt: copy both from the same folder"
        return 1
    }
}

check_chain() {
    openssl verify -CAfile "$certs/ca.crt" -purpose sslclient "$certs/client.crt" >"$work/verify" 2>&1 && return 0
    case $(cat "$work/verify") in
    *'error 10 at 0 '*)
        mistake "--certs: $certs/client.crt expired: have the hub make another by harp-hub engines certificate ${name:-NAME} DIR"
        ;;
    *'error 10 at '*)
        mistake "--certs: $certs/ca.crt expired: start the hub again, which makes new ones, and copy those"
        ;;
    *'error 9 at '*)
        mistake "--certs: $certs/client.crt is not valid yet: set this machine's clock right ($(date -u '+%Y-%m-%d %H:%M') UTC here)"
        ;;
    *'error 26 at '*)
        mistake "--certs: $certs/client.crt is no client's certificate, but made for another purpose: take client.crt, not server.crt"
        ;;
    *)
        mistake "--certs: $certs/client.crt is not signed by the CA in $certs/ca.crt: copy both from the same hub"
        ;;
    esac
    return 1
}

# Whom the hub will take this client for: hub/tunnel/tunnel_identity.h has the same rules.
check_identity() {
    cn=$(openssl x509 -in "$certs/client.crt" -noout -subject -nameopt multiline | sed -n 's/^ *commonName *= //p')
    case $cn in
    "$engine_name$name") identity=own ;;
    "$engine_name"*)
        identity=own
        [ -z "$name_good" ] || mistake "--certs: the certificate is that of the Docker host '${cn#"$engine_name"}', not of '$name': use --name ${cn#"$engine_name"}, or have the hub make another by harp-hub engines certificate $name DIR"
        ;;
    nc_app_*)
        mistake "--certs: the certificate is an ExApp's own, which opens no Docker host's port: have the hub make one by harp-hub engines certificate $name DIR"
        ;;
    *)
        identity=shared
        [ "$cn" = "$shared_name" ] || note "the certificate is for '$cn'; the hub takes it together with the shared key"
        ;;
    esac
    openssl x509 -in "$certs/client.crt" -noout -checkend 2592000 >/dev/null ||
        note "$certs/client.crt expires in less than 30 days; have the hub make another soon"
}

check_key_file() {
    case $identity in
    own)
        [ -z "$key_file" ] ||
            mistake "--key-file: a Docker host with a certificate of its own needs no shared key: leave the option out, and delete the file here"
        ;;
    shared)
        if [ -z "$key_file" ]; then
            mistake "--certs: the client certificate is the one that all have in common, so the shared key is needed: put it into a file and add --key-file FILE, or better, have the hub make a certificate by harp-hub engines certificate $name DIR"
        elif [ ! -r "$key_file" ] || [ ! -s "$key_file" ]; then
            mistake "--key-file: $key_file is not there, empty, or can't be read: write the hub's HP_SHARED_KEY into it"
        fi
        ;;
    esac
}

# ---- the machine, and the hub from here ----

check_docker() {
    if [ -S "$docker_socket" ]; then
        case $(stat -L -c %a "$docker_socket") in
        *[67][0-7]) ;;
        *) mistake "--docker-socket: $docker_socket is not open to its group, as the filter needs it: give it a group of its own (chgrp docker, chmod 660; the group's name is a setting of Docker's)" ;;
        esac
    elif [ -e "$docker_socket" ]; then
        mistake "--docker-socket: $docker_socket is no socket: name that of the Docker engine"
    else
        mistake "there is no Docker socket at $docker_socket: install and start Docker (systemctl start docker), or name its socket with --docker-socket"
    fi
}

check_way() {
    if [ -z "$way" ]; then
        way=systemd
        [ -d /run/systemd/system ] || way=compose
    fi
    case $way in
    systemd | compose) "check_$way" ;;
    *) mistake "--with: '$way' is neither systemd nor compose" ;;
    esac
    installed_way=$(recorded way)
    [ -z "$installed_way" ] || [ "$installed_way" = "$way" ] ||
        mistake "it is installed with $installed_way here: use --with $installed_way, or --uninstall it first"
}

# Name, network and the hub's certificate, in this order; the login is tried by the client itself.
check_hub() {
    if [ -z "$hub_host" ] || [ -z "$identity" ]; then
        return
    fi
    if command -v getent >/dev/null 2>&1 && ! getent ahosts "$hub_host" >/dev/null; then
        mistake "--hub: the name $hub_host can't be resolved here: correct it, or see /etc/resolv.conf"
        return
    fi
    if timeout 10 openssl s_client -connect "$hub" -servername harp.nc -CAfile "$certs/ca.crt" -verify_return_error \
        -verify_hostname harp.nc -cert "$certs/client.crt" -key "$certs/client.key" \
        </dev/null >"$work/hello" 2>&1; then
        return
    elif [ $? -eq 124 ]; then
        mistake "--hub: $hub does not answer within 10 s: is the hub's host up, and does a firewall let port $hub_port through?"
        return
    fi
    case $(cat "$work/hello") in
    *'verify error'*)
        mistake "--hub: the certificate that $hub shows is not from the CA in $certs/ca.crt, or expired: copy the files from that hub, or correct the address"
        ;;
    *onnection\ refused*) mistake "--hub: nothing listens at $hub: start the hub, or correct the port (its HP_FRP_ADDRESS, 8782)" ;;
    *onnect*errno* | *BIO_connect*)
        mistake "--hub: $hub can't be reached ($(sed -n 's/.*BIO_connect:\([^:]*\).*/\1/p;s/.*connect:\(errno=.*\)/\1/p' "$work/hello" | head -n 1)): is this machine's network up, and is there a way to that address?"
        ;;
    *)
        mistake "--hub: $hub does not answer as a hub's tunnel port: name the port of HP_FRP_ADDRESS (8782), not that of pages (8780), with nothing in between that ends TLS"
        ;;
    esac
}

check_all() {
    check_root
    check_hub_text
    check_name
    check_port
    check_rest_text
    check_certs
    check_key_file
    check_way
    check_hub
}
