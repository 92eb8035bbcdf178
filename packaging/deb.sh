#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Builds the Debian package of this tree in .output/deb. Usage: deb.sh VERSION
set -eu
cd "$(dirname "$0")/.."

version=$1
out=$PWD/.output/deb
src=$out/portguard-$version
rm -rf "$out" && mkdir -p "$src"
# Sources alone: what was built here was built for another place.
tar -c --exclude=./.git --exclude=./.output --exclude=./portguard . | tar -xC "$src"
cp -r packaging/debian "$src/debian"
sed 's/^$/./; s/^/ /' LICENSES/BSD-2-Clause.txt >"$out/bsd"
sed -i -e "/@BSD@/{r $out/bsd" -e 'd}' "$src/debian/copyright"
rm "$out/bsd"
cat >"$src/debian/changelog" <<LOG
portguard ($version) unstable; urgency=medium

  * Built from its tree; CHANGELOG.md says what has changed.

 -- The portguard authors <packages@portguard.invalid>  $(date -R -d "@${SOURCE_DATE_EPOCH:-$(stat -c %Y CHANGELOG.md)}")
LOG
cd "$src"
# What CI installed is newer than apt's word for it is here: deps.sh has checked it.
env -u CFLAGS -u LDFLAGS -u MAKEFLAGS -u MAKELEVEL -u CLANG -u BPFTOOL \
	dpkg-buildpackage --build=binary --no-sign -d -j"$(nproc)" >"$out/log" 2>&1 || {
	tail -n 40 "$out/log" >&2
	exit 1
}
rm -rf "$src"
ls "$out"/*.deb
