# files.sh - puts files, folders, users and groups in place, and takes them away again.
#
# The list in /etc/harp/installed has a line for each thing made here, written before the thing is made:
#   way NAME | folder PATH | file PATH SUM | before PATH | group NAME | user NAME | unit NAME | image NAME SUM
# Removing goes through it from the end. What stood there before this script came is never listed.
# shellcheck shell=sh disable=SC2154,SC2034 # variables are those of install-tunnel-client.sh

etc=/etc/harp
list=$etc/installed
changes=0     # things changed by this run
changing=''   # set between begin and end
changed=''    # by the last put

say() {
    echo "$*"
}

step() {
    changes=$((changes + 1))
    if [ -n "$dry" ]; then
        say "  would ${2:-$1}"
    else
        say "  $1"
    fi
}

# ---- the list ----

# recorded KIND [THING]: the rest of its first line; fails without one.
recorded() {
    [ -r "$list" ] || return 0
    awk -v kind="$1" -v thing="${2:-}" '
        $1 == kind && (thing == "" || $2 == thing) { print thing == "" ? $2 : $3; exit }' "$list"
}

is_recorded() {
    [ -r "$list" ] && awk -v kind="$1" -v thing="$2" '
        $1 == kind && $2 == thing { found = 1 } END { exit !found }' "$list"
}

# record KIND THING [SUM]: replaces the line of that thing, or adds one.
record() {
    if is_recorded "$1" "$2"; then
        awk -v kind="$1" -v thing="$2" -v line="$*" '
            $1 == kind && $2 == thing { print line; next } { print }' "$list" >"$list.new"
        mv "$list.new" "$list"
    else
        echo "$*" >>"$list"
    fi
}

# ---- from begin to end ----

begin() {
    if [ -n "$dry" ]; then
        say "what would be done on this machine ($way):"
    elif [ -e "$list" ]; then
        say "$etc is here already ($way); changing what differs:"
    else
        say "installing ($way):"
    fi
    changing=1
    if [ -z "$dry" ]; then
        if [ ! -d "$etc" ]; then
            mkdir -m 755 "$etc"
            echo "folder $etc" >"$list"
            chmod 644 "$list"
        elif [ ! -e "$list" ]; then
            : >"$list"
            chmod 644 "$list"
        fi
        record way "$way"
    fi
}

end() {
    changing=''
    if [ "$changes" -gt 0 ]; then
        return
    elif [ -n "$dry" ]; then
        say '  nothing: all of it is as these arguments say'
    else
        say '  nothing was changed: all of it was as these arguments say'
    fi
}

# At every exit, with its code.
finish() {
    rm -rf "$work"
    [ "$1" -eq 0 ] || [ -z "$changing" ] || {
        echo "$program: it broke off in the last of the steps told above: those before it were done, the rest was not."
        echo "  To go on, remove the cause and run the same command again.${uninstall:+ What is left is listed in $list.}"
        [ -n "$uninstall" ] || echo "  To undo what was done: $program --uninstall"
    } >&2
    exit "$1"
}

fail() {
    echo "$program: $*" >&2
    exit 1
}

# ---- putting ----

sum_of() {
    cksum <"$1" | tr -d ' \n'
}

# owned_as PATH MODE OWNER:GROUP, the group by name or number.
owned_as() {
    case $(stat -c '%a %U:%G %a %U:%g' "$1") in
    "$2 $3 "* | *" $2 $3") ;;
    *) return 1 ;;
    esac
}

# folder PATH MODE OWNER:GROUP
folder() {
    if [ -d "$1" ] && { ! is_recorded folder "$1" || owned_as "$1" "$2" "$3"; }; then
        return
    fi
    step "folder $1" "make the folder $1"
    [ -z "$dry" ] || return 0
    is_recorded folder "$1" || record folder "$1"
    mkdir -p "$1"
    chown "$3" "$1"
    chmod "$2" "$1"
}

# put SOURCE PATH MODE OWNER:GROUP: `changed` is set if the file's content was. One that was edited after it
# was put is left alone as long as there is nothing new to put, and kept beside it otherwise.
put() {
    changed=''
    new=$(sum_of "$1")
    old=$(recorded file "$2")
    now=''
    [ ! -e "$2" ] || now=$(sum_of "$2")
    if [ "$now" = "$new" ] || { [ -n "$now" ] && [ "$old" = "$new" ]; }; then
        [ "$now" = "$new" ] || say "  note: $2 was edited by hand and stays so"
        if [ -n "$old" ] && ! owned_as "$2" "$3" "$4"; then
            step "rights of $2" "set the rights of $2"
            if [ -z "$dry" ]; then
                chown "$4" "$2"
                chmod "$3" "$2"
            fi
        fi
        return 0
    fi
    changed=1
    if [ -n "$now" ] && [ "$old" != "$now" ]; then
        kept=$2.before
        step "kept what was in $2 as $kept" "keep what is in $2 as $kept"
        if [ -z "$dry" ]; then
            if [ -z "$old" ]; then
                record before "$2"
            else
                record file "$kept" "$now"
            fi
            cp -p "$2" "$kept"
        fi
    fi
    step "file $2" "write $2"
    [ -z "$dry" ] || return 0
    record file "$2" "$new"
    cat "$1" >"$2.new"
    chown "$4" "$2.new"
    chmod "$3" "$2.new"
    mv "$2.new" "$2"
}

# drop PATH: takes away what an earlier run put there; `changed` is set if it was there.
drop() {
    changed=''
    if ! is_recorded file "$1" || [ ! -e "$1" ]; then
        return 0
    fi
    changed=1
    step "removed $1" "remove $1"
    [ -n "$dry" ] || rm -f "$1"
}

make_group() {
    getent group "$1" >/dev/null && return
    step "group $1" "make the group $1"
    [ -z "$dry" ] || return 0
    record group "$1"
    groupadd --system "$1"
}

# make_user NAME TEXT: one that can't log in, with a group of its own name.
make_user() {
    make_group "$1"
    getent passwd "$1" >/dev/null && return
    step "user $1" "make the user $1"
    [ -z "$dry" ] || return 0
    record user "$1"
    useradd --system --gid "$1" --no-create-home --home-dir /nonexistent \
        --shell "$(command -v nologin || echo /usr/sbin/nologin)" --comment "$2" "$1"
}

# join USER GROUP
join() {
    case " $(id -Gn "$1" 2>/dev/null) " in
    *" $2 "*) return ;;
    esac
    step "user $1 into group $2" "put the user $1 into the group $2"
    [ -n "$dry" ] || usermod --append --groups "$2" "$1"
}

# put_certificates OWNER:GROUP: who may read the key. `client` is restart if something changed: the
# certificate in use is that of the session that runs.
put_certificates() {
    folder "$etc/certs" 750 "$1"
    for file in ca.crt client.crt; do
        put "$certs/$file" "$etc/certs/$file" 644 root:root
        [ -z "$changed" ] || client=restart
    done
    put "$certs/client.key" "$etc/certs/client.key" 640 "$1"
    [ -z "$changed" ] || client=restart
    if [ "$identity" = shared ]; then
        put "$key_file" "$etc/tunnel_shared_key" 640 "$1"
    else
        drop "$etc/tunnel_shared_key"
    fi
    [ -z "$changed" ] || client=restart
}

# ---- removing ----

remove_all() {
    if [ ! -e "$list" ]; then
        say "nothing that this script installed is here ($list is not there)"
        return
    fi
    way=$(recorded way)
    if [ -n "$dry" ]; then
        say 'what would be removed:'
    else
        say 'removing:'
    fi
    changing=1
    "stop_$way"
    awk '{ line[NR] = $0 } END { for (i = NR; i > 0; i--) print line[i] }' "$list" >"$work/backwards"
    # The list goes before its folder, which is its first line and so the last here.
    while read -r kind thing _; do
        remove_one "$kind" "$thing"
    done <"$work/backwards"
    [ -n "$dry" ] || rm -f "$list"
    if is_made_folder "$etc"; then
        remove_folder "$etc"
    fi
    "stopped_$way"
    changing=''
    if [ -z "$dry" ]; then
        say 'removed. Containers and volumes of ExApps (nc_app_*) were not touched; unregister the daemon in Nextcloud'
    fi
}

is_made_folder() {
    grep -qx "folder $1" "$work/backwards"
}

remove_folder() {
    [ -d "$1" ] || return 0
    if [ -n "$dry" ]; then
        say "  would remove $1, if it is empty then"
    elif rmdir "$1" 2>/dev/null; then
        say "  folder $1"
    else
        say "  kept the folder $1: there are files in it that this script did not make"
    fi
}

remove_one() {
    case $1 in
    file)
        [ -e "$2" ] || return 0
        step "file $2" "remove $2"
        [ -n "$dry" ] || rm -f "$2"
        ;;
    before)
        [ -e "$2.before" ] || return 0
        step "file $2 as it was before" "put back $2 as it was before"
        [ -n "$dry" ] || mv "$2.before" "$2"
        ;;
    folder) [ "$2" = "$etc" ] || remove_folder "$2" ;;
    image) remove_image "$2" ;;
    user)
        getent passwd "$2" >/dev/null || return 0
        step "user $2" "remove the user $2"
        [ -n "$dry" ] || userdel "$2"
        ;;
    group)
        # userdel took it along if it was a user's own.
        getent group "$2" >/dev/null || return 0
        step "group $2" "remove the group $2"
        [ -n "$dry" ] || groupdel "$2"
        ;;
    esac
}
