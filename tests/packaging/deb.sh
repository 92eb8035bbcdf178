# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The Debian package: lintian's word, and its life on this machine's own system, seen through an
# overlay in a mount namespace, so that nothing of it stays.

version=$(sed -n 's/^VERSION := //p' Makefile)
deb=.output/deb/portguard_${version}_$(dpkg --print-architecture 2>/dev/null).deb

# Runs in a chroot of the overlay: install, run, upgrade, remove, purge.
life() {
	set -eu
	export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
	unset PORTGUARD_CONFIG PORTGUARD_STATE
	mount -t bpf bpf /sys/fs/bpf
	ip link set lo up
	dpkg -i /pg1.deb
	portguard --help | grep -q "^portguard v"
	portguard attach lo
	portguard -A INPUT -p tcp --dport 81 -j DROP
	echo "# mine" >>/etc/portguard/portguard.conf
	dpkg -i /pg2.deb
	dpkg -s portguard | grep -qx "Version: $1"
	tail -n 1 /etc/portguard/portguard.conf | grep -qx "# mine" # a conffile
	portguard -S INPUT | grep -q -- "--dport 81 -j DROP" # an update lets the filter alone
	dpkg -r portguard
	[ ! -e /usr/sbin/portguard ] && [ -e /etc/portguard/portguard.conf ]
	[ ! -e /sys/fs/bpf/portguard ] # removal takes the filter away
	# And where portguard.conf has it, be that as wrong as it may.
	dpkg -i /pg2.deb
	printf 'mode = nonsense\nstate-dir = /sys/fs/bpf/elsewhere\n' >>/etc/portguard/portguard.conf
	PORTGUARD_CONFIG='' portguard --state /sys/fs/bpf/elsewhere attach lo
	dpkg -r portguard
	[ ! -e /sys/fs/bpf/elsewhere ]
	dpkg -P portguard
	[ ! -e /etc/portguard ]
	! dpkg -s portguard
}

# life_in_overlay NEXT: with $tmp/life as the place
life_in_overlay() {
	local root=$tmp/life/root

	mkdir -p "$tmp/life"
	mount -t tmpfs tmpfs "$tmp/life" && mkdir "$tmp/life/up" "$tmp/life/work" "$root" || return
	mount -t overlay overlay -o "lowerdir=/,upperdir=$tmp/life/up,workdir=$tmp/life/work" "$root" ||
		{ echo "no overlay here"; return 77; }
	mount -t proc proc "$root/proc" && mount -t sysfs sysfs "$root/sys" &&
		mount --bind /dev "$root/dev" || return
	cp "$deb" "$root/pg1.deb" && cp "$tmp/pg2.deb" "$root/pg2.deb" || return
	# Its services are not this machine's.
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" && chmod 755 "$root/usr/sbin/policy-rc.d"
	chroot "$root" bash -xc "$(declare -f life); life $1"
}

# prerm_says WHAT EXIT SAID WANTED [ARGUMENT]: what is made of detach's words
prerm_says() {
	printf '#!/bin/sh\necho "$*" >"%s/asked"\nprintf "%%b" "%s" >&2\nexit %d\n' "$tmp" "$3" "$2" >"$tmp/portguard"
	chmod 755 "$tmp/portguard"
	rm -f "$tmp/asked"
	PATH=$tmp:$PATH sh packaging/debian/prerm "${5:-remove}" >"$tmp/said" 2>&1 &&
		[ "$(cat "$tmp/said")" = "$4" ] && ok || fail "prerm: $1" "$tmp/said"
}
prerm_says "detached" 0 "" ""
[ "$(cat "$tmp/asked")" = "detach --all -w 30" ] && ok || fail "prerm detaches"
prerm_says "there is nothing" 1 "portguard: nothing is attached: there is no instance in 'x'\n" ""
prerm_says "it may be elsewhere" 1 "portguard: warning: x\nportguard: nothing is attached: x\n" \
	"portguard: warning: x"$'\n'"portguard: nothing is attached: x"
prerm_says "it stays" 4 "portguard: locked\n" "portguard: locked"$'\n'"portguard: its filters stay in force"
prerm_says "an update" 0 "" "" upgrade
[ ! -e "$tmp/asked" ] && ok || fail "prerm of an update detaches"
rm "$tmp/portguard"

if need dpkg-buildpackage dh lintian; then
	if packaging/deb.sh "$version" >"$tmp/said" 2>&1; then ok; else fail "no package" "$tmp/said"; fi
	# Whoever publishes packages has an address; this tree has none.
	lintian --allow-root --fail-on error,warning --tag-display-limit 0 \
		--suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog \
		.output/deb/*.changes >"$tmp/said" 2>&1 && ok || fail "lintian" "$tmp/said"

	# serve is restarted where it runs, and only a removal stops it; portguard@ is let alone.
	dpkg-deb -e "$deb" "$tmp/control"
	grep -q "deb-systemd-invoke try-restart 'portguard-serve.service'" "$tmp/control/postinst" &&
		grep -q "deb-systemd-invoke stop portguard-serve.service" "$tmp/control/prerm" &&
		! grep -q "deb-systemd-invoke.*portguard@" "$tmp/control/postinst" "$tmp/control/prerm" &&
		ok || fail "what the package does to its units" "$tmp/control/postinst"

	# The same, once more, as a later version.
	dpkg-deb -R "$deb" "$tmp/next" && sed -i "s/^Version: .*/&+1/" "$tmp/next/DEBIAN/control" &&
		dpkg-deb --root-owner-group -Zgzip -b "$tmp/next" "$tmp/pg2.deb" >/dev/null || fail "no later version"
	if [ "$(id -u)" != 0 ]; then
		skip "installing the package needs root"
	else
		unshare -mn --propagation private bash -c "$(declare -f life life_in_overlay)
			tmp=$tmp deb=$deb; life_in_overlay $version+1" >"$tmp/said" 2>&1
		case $? in
		0) ok ;;
		77) skip "$(tail -n 1 "$tmp/said"), for installing the package" ;;
		*) tail -n 30 "$tmp/said" >"$tmp/end"; fail "install, upgrade, purge" "$tmp/end" ;;
		esac
	fi
fi
