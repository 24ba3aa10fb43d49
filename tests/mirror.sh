#!/bin/sh
# Says where this machine takes Debian's packages from, for the bare systems that tests make.
#
#   tests/mirror.sh url               the mirror
#   tests/mirror.sh settings          apt's settings for the way there, as it reads them: proxies
set -eu

case ${1-} in
url)
    # shellcheck disable=SC2016 # apt fills it in
    apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' |
        awk '/\/debian\/?$/ { print; found = 1; exit } END { if (!found) print "http://deb.debian.org/debian" }'
    ;;
settings)
    apt-config dump | grep -iE '^Acquire::([a-z]+::)?Proxy' || :
    ;;
*)
    echo "mirror.sh: '${1-}' is neither url nor settings" >&2
    exit 2
    ;;
esac
