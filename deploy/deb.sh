#!/bin/sh
# Makes Debian packages of programs and manual pages that are built (`make deb`); they are put into BUILD/deb.
#
#   deploy/deb.sh BUILD VERSION
#
# debian/ must stand in the source's top folder, so a folder of links is made that has one.
set -eu

build=$(cd "$1" && pwd)
version=$2
top=$(cd "${0%/*}/.." && pwd)
out=$build/deb
tree=$out/harp

if ! command -v dpkg-buildpackage >/dev/null 2>&1 || ! command -v dh >/dev/null 2>&1; then
    echo 'deb: packages are made on Debian, with the packages dpkg-dev and debhelper; install them' >&2
    exit 1
fi
named=$(dpkg-parsechangelog -l "$top/deploy/debian/changelog" -S Version)
if [ "$named" != "$version" ]; then
    echo "deb: the Makefile's VERSION is $version, the newest in deploy/debian/changelog $named: add an entry there" >&2
    exit 1
fi

rm -rf "$out"
mkdir -p "$tree"
ln -s "$top/Makefile" "$top/LICENSE" "$top/README.md" "$top/deploy" "$tree"
cp -r "$top/deploy/debian" "$tree/debian"

# -d: nothing is compiled, so what compiling needs may be absent. noautodbgsym: the build itself has the symbols.
if ! (cd "$tree" && HARP_BUILD=$build DEB_BUILD_OPTIONS="noautodbgsym ${DEB_BUILD_OPTIONS-}" \
    dpkg-buildpackage -d -b -us -uc) >"$out/log" 2>&1; then
    tail -n 30 "$out/log" >&2
    echo "deb: dpkg-buildpackage failed; all it said is in $out/log" >&2
    exit 1
fi
rm -rf "$tree"
for package in "$out"/*.deb; do
    printf '%-50s %6d KiB\n' "${package##*/}" "$(($(stat -c %s "$package") / 1024))"
done
