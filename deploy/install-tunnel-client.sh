#!/bin/sh
# Makes this machine a Docker host of a hub elsewhere: a socket filter in front of Docker's socket, and a
# tunnel client that offers the filtered socket to the hub. docs/docker-host.md leads through it.
#
# All arguments are checked before anything is changed. What is changed is written down in
# /etc/harp/installed first, so that a run that broke off is told and can be undone, and a second run
# touches only what differs. Parts of it are in installer/: checks.sh judges the arguments, files.sh puts
# and removes, systemd.sh and compose.sh are the two ways, proof.sh asks whether the hub comes through,
# appapi.sh says what Nextcloud has to be told.
set -eu

program=install-tunnel-client.sh
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
for part in files checks systemd compose proof appapi; do
    if [ ! -r "$here/installer/$part.sh" ]; then
        echo "$program: $here/installer/$part.sh is missing: copy the folder deploy as a whole" >&2
        exit 1
    fi
done
# shellcheck source=deploy/installer/files.sh
. "$here/installer/files.sh"
# shellcheck source=deploy/installer/checks.sh
. "$here/installer/checks.sh"
# shellcheck source=deploy/installer/systemd.sh
. "$here/installer/systemd.sh"
# shellcheck source=deploy/installer/compose.sh
. "$here/installer/compose.sh"
# shellcheck source=deploy/installer/proof.sh
. "$here/installer/proof.sh"
# shellcheck source=deploy/installer/appapi.sh
. "$here/installer/appapi.sh"

usage() {
    cat <<TEXT
Usage: $program --hub HOST:8782 --name NAME --port PORT --certs DIR [OPTION]...
       $program --uninstall

Makes this machine a Docker host of the hub at HOST. Run it as root; run it again to change something.

  --hub HOST:PORT        the hub's tunnel port, as this machine and its containers reach it; [IPV6]:PORT
  --name NAME            what this Docker host is called: letters, digits and . - _
  --port PORT            its port at the hub, 24001 to 24099, another one for each Docker host
  --certs DIR            folder with ca.crt, client.crt and client.key; the hub makes one by
                         harp-hub engines certificate NAME DIR
  --key-file FILE        file with the hub's shared key (HP_SHARED_KEY); only with the client
                         certificate that all have in common, as in HaRP's folder /certs/frp
  --with systemd|compose how it is run; default: systemd where it runs, else compose
  --from DIR             programs to install, for systemd; default: installed packages, else ../build
  --images DIR           images to load, for compose; default: ../build/image
  --docker-socket PATH   default: /var/run/docker.sock
  --wait SECONDS         how long to wait for the hub to come through, 1 to 600; default: 30
  --nextcloud-url URL    as in https://cloud.example.com    what to tell AppAPI; without them the
  --harp-address H:PORT  the hub's port 8780                form below has words to replace
  --dry-run              say what would be done, and change nothing
  --uninstall            remove what this script installed
TEXT
}

# ---- arguments ----

hub='' name='' port='' certs='' key_file='' way='' from='' images='' docker_socket=/var/run/docker.sock
limit=30 nextcloud_url='' harp_address='' dry='' uninstall='' mistakes=0

while [ $# -gt 0 ]; do
    case $1 in
    --hub | --name | --port | --certs | --key-file | --with | --from | --images | --docker-socket | \
        --wait | --nextcloud-url | --harp-address)
        if [ $# -lt 2 ] || [ -z "$2" ]; then
            mistake "$1 needs a value: see $program --help"
            break
        fi
        case $1 in
        --hub) hub=$2 ;;
        --name) name=$2 ;;
        --port) port=$2 ;;
        --certs) certs=${2%/} ;;
        --key-file) key_file=$2 ;;
        --with) way=$2 ;;
        --from) from=${2%/} ;;
        --images) images=${2%/} ;;
        --docker-socket) docker_socket=$2 ;;
        --wait) limit=$2 ;;
        --nextcloud-url) nextcloud_url=${2%/} ;;
        --harp-address) harp_address=$2 ;;
        esac
        shift 2
        ;;
    --dry-run)
        dry=1
        shift
        ;;
    --uninstall)
        uninstall=1
        shift
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        mistake "'$1' is no option: see $program --help"
        shift
        ;;
    esac
done
[ "$mistakes" -eq 0 ] || exit 2

# ---- the whole ----

# Secrets pass through files of root's alone; `work` is gone at the end, however it ends.
umask 077
work=$(mktemp -d)
trap 'finish $?' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ -n "$uninstall" ]; then
    check_root
    stop_at_mistakes
    remove_all
    exit 0
fi

check_all
stop_at_mistakes
begin
"install_$way"
end
if [ -z "$dry" ]; then
    prove
fi
tell_appapi
