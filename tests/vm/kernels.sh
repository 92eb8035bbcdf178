#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Debian's cloud kernels for the test machines, from the mirror that apt uses, kept in .output/vm.
#   kernels.sh list        the names that the matrix has
#   kernels.sh get NAME    fetch it if need be, print its folder: vmlinuz, lib/modules/VERSION
# NAME is the beginning of a version (6.1, 6.12, …), or `newest` for what is newest in sid. What a
# suite's signed Release says of its index, and the index of the packages, is checked. Exit status
# 77 with the reason on stderr: it cannot be had.
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

CACHE=.output/vm
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
HELPER=/usr/lib/apt/apt-helper

cannot() {
	echo "skip: kernel $name: $1" >&2
	exit 77
}

suite_of() {
	case $1 in
	5.10) echo bullseye ;;
	6.1) echo bookworm ;;
	6.12) echo trixie ;;
	*) echo sid ;;
	esac
}

# apt's own downloader, for its proxies.
download() {
	"$HELPER" download-file "$1" "$2" ${3:+"SHA256:$3"} >"$work/apt.log" 2>&1
}

# The suite's index of main, as $work/Packages.
fetch_index() {
	local mirror suite=$1 path=main/binary-amd64/Packages.xz sum

	mirror=$(apt-get indextargets --format '$(LABEL)|$(COMPONENT)|$(REPO_URI)' 2>/dev/null |
		sed -n 's/^Debian|main|//p' | head -n 1)
	[ -n "$mirror" ] || cannot "apt has no Debian mirror"
	mirror=${mirror%/}
	download "$mirror/dists/$suite/InRelease" "$work/InRelease" || cannot "no $suite on the mirror"
	gpgv --quiet --keyring "$KEYRING" --output "$work/Release" "$work/InRelease" 2>"$work/gpgv.log" ||
		cannot "the signature of $suite is not known: $(tail -n 1 "$work/gpgv.log")"
	sum=$(awk -v path="$path" '/^SHA256:/ { on = 1; next } /^[^ ]/ { on = 0 }
		on && $3 == path { print $1 }' "$work/Release")
	[ -n "$sum" ] || cannot "$suite has no index"
	download "$mirror/dists/$suite/$path" "$work/Packages.xz" "$sum" || cannot "the index of $suite does not come"
	xz -dc "$work/Packages.xz" >"$work/Packages" || cannot "the index of $suite cannot be read"
	echo "$mirror"
}

# Lines "FILE SHA256" of the packages that make up kernel $1, from 7.0 on several.
packages() {
	awk -v version="$1" '
		$1 == "Package:" { package = $2 }
		$1 == "Filename:" { file = $2 }
		$1 == "SHA256:" { sum = $2 }
		$1 == "" && package ~ "^linux-(image|base|binary|modules)-" &&
			substr(package, length(package) - length(version)) == "-" version { print file, sum }
	' "$work/Packages"
}

versions() {
	sed -nE 's/^Package: linux-image-([0-9].*-cloud-amd64)$/\1/p' "$work/Packages" | sort -V
}

fetch() {
	local mirror version file sum

	for file in "$HELPER" "$KEYRING"; do
		[ -e "$file" ] || cannot "$file is missing (not Debian?)"
	done
	mirror=$(fetch_index "$(suite_of "$name")") || exit
	if [ "$name" = newest ]; then
		version=$(versions | tail -n 1)
	else
		version=$(versions | grep -E "^${name//./\\.}[.]" | tail -n 1)
	fi
	[ -n "$version" ] || cannot "$(suite_of "$name") has none ($(versions | xargs))"
	while read -r file sum; do
		download "$mirror/$file" "$work/deb" "$sum" || cannot "$file does not come"
		dpkg-deb -x "$work/deb" "$work/root" || cannot "$file cannot be unpacked"
	done < <(packages "$version")
	mkdir -p "$work/kernel/lib"
	mv "$work"/root/boot/vmlinuz-* "$work/kernel/vmlinuz" 2>/dev/null ||
		mv "$work"/root/usr/lib/modules/*/vmlinuz "$work/kernel/vmlinuz" 2>/dev/null ||
		cannot "$version has no vmlinuz where it is expected"
	mv "$work"/root/lib/modules "$work/kernel/lib/" 2>/dev/null ||
		mv "$work"/root/usr/lib/modules "$work/kernel/lib/" || cannot "$version has no modules"
	depmod -b "$work/kernel" "$version" || cannot "depmod fails"
	rm -rf "$CACHE/kernel-$name"
	mv "$work/kernel" "$CACHE/kernel-$name"
}

case ${1:-} in
list) echo 5.10 6.1 6.12 newest ;;
get)
	name=$2
	mkdir -p "$CACHE"
	if [ ! -e "$CACHE/kernel-$name/vmlinuz" ]; then
		work=$(mktemp -d "$CACHE/fetch.XXXXXX") || exit 1
		trap 'rm -rf "$work"' EXIT
		fetch
	fi
	echo "$CACHE/kernel-$name"
	;;
*)
	echo "usage: kernels.sh list | get NAME" >&2
	exit 2
	;;
esac
