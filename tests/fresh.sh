#!/bin/sh
# Runs the two commands of the README in bare Debian systems, as somebody does who has nothing yet:
# debootstrap's minimum, make, and a copy of what is committed.
#
#   tests/fresh.sh [RELEASE]...       default: bookworm trixie
#   FRESH_DIR=FOLDER                  where the systems are made and removed again; default: build/fresh
#
# Each runs in namespaces of its own for mounts and processes: whatever goes wrong, all of it ends and is unmounted
# with the first process, and the folder is removed. The network is this machine's, for apt. It needs root.
# The table at the end is what docs/fresh.md has; the logs stay in FRESH_DIR.
set -eu
cd "${0%/*}/.."
self=$PWD/tests/fresh.sh

say() {
    echo "fresh: $*"
}

# ---- inside: the first process of a system, in a mount namespace that is all its own ----

# inside ROOT: becomes that system, and runs the commands; what they say, and how they end, goes to ROOT.out.
inside() {
    root=$1
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount --bind "$root.out" "$root/mnt"
    cd "$root"
    pivot_root . .
    umount -l .
    exec env -i HOME=/root TERM=dumb LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        sh /root/harp/tests/fresh.sh --commands
}

# command_of NAME WORD...: runs it, with its output in a log, and notes seconds and exit code.
command_of() {
    name=$1
    shift
    began=$(date +%s)
    code=0
    "$@" >"/mnt/$name.log" 2>&1 </dev/null || code=$?
    echo "$name $code $(($(date +%s) - began))" >>/mnt/result
    return "$code"
}

case ${1-} in
--inside)
    inside "$2"
    ;;
--commands)
    command_of demo env DEMO_ONCE=1 make demo && command_of test make test
    exit
    ;;
esac

# ---- outside ----

if [ "$(id -u)" -ne 0 ]; then
    say 'needs root: for debootstrap, mounts, and namespaces' >&2
    exit 1
fi
tests/deps.sh fresh
folder=$(mkdir -p "${FRESH_DIR:-build/fresh}" && cd "${FRESH_DIR:-build/fresh}" && pwd)
commit=$(git rev-parse --short=12 HEAD)
[ -z "$(git status --porcelain)" ] || say "not all is committed: what is tested is $commit"
[ $# -gt 0 ] || set -- bookworm trixie
rows=$folder/rows
failed=0
child=''
: >"$rows"

# shellcheck disable=SC2317 # by the trap below
# It may hold this machine's way to the mirror, with a password: so it goes in any case.
clean() {
    [ -z "$child" ] || kill -KILL "$child" 2>/dev/null || :
    wait
    for release in bookworm trixie "$@"; do
        rm -rf --one-file-system "${folder:?}/$release"
    done
}
trap 'clean "$@"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# make_system RELEASE ROOT: `set -e` does not count in it, as it is asked how it ended.
make_system() {
    unshare --mount --propagation private debootstrap --variant=minbase --include=make "$1" "$2" \
        "$(tests/mirror.sh url)" >"$2.out/debootstrap.log" 2>&1 || return
    cp -L /etc/resolv.conf /etc/hosts "$2/etc/" &&
        tests/mirror.sh settings >"$2/etc/apt/apt.conf.d/00mirror" || return
    for file in /etc/apt/auth.conf /etc/apt/auth.conf.d; do
        [ ! -e "$file" ] || cp -r "$file" "$2/etc/apt/" || return
    done
    mkdir "$2/root/harp" && git archive "$commit" | tar -x -C "$2/root/harp"
}

# row RELEASE COMMAND: from the notes of the run.
row() {
    code='' seconds=''
    while read -r name number time; do
        [ "$name" != "$2" ] || { code=$number seconds=$time; }
    done <"$folder/$1.out/result"
    counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$folder/$1.out/$2.log" 2>/dev/null | tail -n 1)
    case $code in
    0) result=good ;;
    '') result='not run' ;;
    *) result="failed ($code)" ;;
    esac
    [ "$code" = 0 ] || failed=1
    echo "| $(date -u +%Y-%m-%d) | $commit | $1 | \`make $2\` | $result${counts:+, $counts} | ${seconds:-} |" >>"$rows"
    [ "$code" = 0 ] || {
        say "$1: make $2: $result; the end of $folder/$1.out/$2.log:"
        tail -n 30 "$folder/$1.out/$2.log" || :
    } >&2
}

for release in "$@"; do
    root=$folder/$release
    rm -rf "$root" "$root.out"
    mkdir "$root.out"
    : >"$root.out/result"
    say "$release: making a bare system"
    if make_system "$release" "$root"; then
        say "$release: make demo, make test; logs are in $root.out"
        unshare --mount --propagation private --pid --fork --kill-child "$self" --inside "$root" &
        child=$!
        wait "$child" || :
        child=''
    else
        say "$release: it could not be made; what debootstrap said is in $root.out/debootstrap.log" >&2
    fi
    row "$release" demo
    row "$release" test
    rm -rf --one-file-system "$root"
done

echo '| date | commit | Debian | command | result | seconds |'
echo '| --- | --- | --- | --- | --- | --- |'
cat "$rows"
exit "$failed"
