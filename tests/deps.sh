#!/bin/sh
# Installs the Debian packages (12 and 13) that a purpose needs, and says what it does.
#
#   tests/deps.sh [build|test|ci|bench|fresh]...      (default: test)
#
# Each purpose includes those before it, bench only `build`, fresh none. When all is there it asks dpkg once
# and ends. It needs root, or sudo without a password; else it says what to install.
set -eu

# ca-certificates: what a server on the Internet is known by, as libcurl asks for it.
build='gcc make pkg-config libc6-dev libuv1-dev libssl-dev libcurl4-openssl-dev libwebsockets-dev libwebsockets-evlib-uv
    libyajl-dev libconfig-dev libpcre2-dev libseccomp-dev ca-certificates'
test='libcmocka-dev python3 python3-pytest python3-aiohttp python3-websockets python3-cryptography python3-yaml curl openssl
    docker.io docker-compose busybox-static iproute2 debhelper mmdebstrap mandoc'
# From Debian 13 on Docker's client is a package of its own.
case $(cat /etc/debian_version 2>/dev/null) in
'' | 1[0-2] | 1[0-2].*) ;;
*) test="$test docker-cli" ;;
esac
ci='clang libclang-rt-dev clang-format clang-tidy cppcheck shellcheck valgrind lintian'
bench='haproxy nginx-light wrk python3'
fresh='debootstrap'

wanted=''
[ $# -gt 0 ] || set -- test
for purpose in "$@"; do
    case $purpose in
    build) wanted="$wanted $build" ;;
    test) wanted="$wanted $build $test" ;;
    ci) wanted="$wanted $build $test $ci" ;;
    bench) wanted="$wanted $build $bench" ;;
    fresh) wanted="$wanted $fresh" ;;
    *)
        echo "deps: '$purpose' is none of build, test, ci, bench, fresh" >&2
        exit 2
        ;;
    esac
done

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "deps: not a Debian system; make sure that these, or their like, are there:$wanted"
    exit 0
fi

# shellcheck disable=SC2086 # a list of words
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null || true)
missing=''
for package in $wanted; do
    case "
$installed
" in
    *"
installed $package
"*) ;;
    *)
        case " $missing " in
        *" $package "*) ;;
        *) missing="$missing $package" ;;
        esac
        ;;
    esac
done
[ -n "$missing" ] || exit 0

as_root=''
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root='sudo'
    else
        echo "deps: not root, and no sudo without a password. Please run:" >&2
        echo "  sudo apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
fi

echo "deps: installing$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
    # shellcheck disable=SC2086 # a list of words, and perhaps no sudo
    $as_root apt-get install -y -q --no-install-recommends $missing >"$log" 2>&1
}
# Lists may be stale or not there at all: refresh them only when that is so.
if ! install; then
    echo "deps: refreshing the package lists"
    $as_root apt-get update -q >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        exit 1
    }
    install || {
        tail -n 20 "$log" >&2
        exit 1
    }
fi
echo "deps: done"
