#!/bin/sh
# Makes the manual pages from their templates (*.in, beside this script) and from what the built programs say of
# their options, commands and settings, so that these can't be untrue.
#
#   deploy/man/render.sh BUILD      pages go to BUILD/man
set -eu

build=$1
templates=${0%/*}
pages=$build/man
work=$pages/.work

rm -rf "$pages"
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT

# render PROGRAM PAGE...
render() {
    program=$1
    shift
    # Settings of whoever builds must not matter: they are no part of the help, but a wrong one would end it.
    env -i "$build/$program" --help >"$work/help"
    env -i "$build/$program" --print-config >"$work/config"
    for page in "$@"; do
        awk -v help="$work/help" -v config="$work/config" -f "$templates/render.awk" \
            "$templates/$page.in" >"$work/page"
        mv "$work/page" "$pages/$page"
    done
}

render harp-hub harp-hub.8 harp-hub.cfg.5
render harp-tunnel-client harp-tunnel-client.8 harp-tunnel.cfg.5
render harp-socket-filter harp-socket-filter.8 harp-filter.cfg.5
render harp-audit-ship harp-audit-ship.8 harp-audit-ship.cfg.5
