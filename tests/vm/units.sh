#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A Debian with systemd in a virtual machine: installs the package, starts its units, boots again.
# The last line is "N passed, N failed, N skipped"; 77: skipped, with the reason.
#   PG_KERNELS   the first of them is the kernel, instead of the newest
# The system comes from apt's own mirror and is kept in .output/vm, without portguard in it.
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

skip() {
	echo "skip: units: $1"
	echo "0 passed, 0 failed, 1 skipped"
	exit 77
}

[ "$(id -u)" = 0 ] || skip "needs root"
for tool in mmdebstrap mke2fs dpkg-deb; do
	command -v "$tool" >/dev/null || skip "$tool is not installed"
done
deb=$(ls .output/deb/portguard_*.deb 2>/dev/null)
[ -n "$deb" ] || skip "there is no package (make deb)"
set -- ${PG_KERNELS:-newest}
kernel=$1
dir=.output/vm
mkdir -p "$dir"
work=$(mktemp -d "$dir/units.XXXXXX") || exit 1
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# What the package depends on is there already, as apt would have brought it.
packages=systemd-sysv,udev,dbus,iproute2,curl,jq,netcat-openbsd,$(dpkg-deb -f "$deb" Depends |
	sed 's/ ([^)]*)//g; s/ //g')
base=$dir/root-$(cksum <<<"$packages" | cut -d ' ' -f 1).tar
if [ ! -e "$base" ]; then
	IFS='|' read -r suite mirror < <(apt-get indextargets --format '$(LABEL)|$(COMPONENT)|$(CODENAME)|$(REPO_URI)' \
		2>/dev/null | sed -n 's/^Debian|main|//p' | head -n 1)
	[ -n "${mirror:-}" ] || skip "apt has no Debian mirror"
	# shellcheck disable=SC2016 # $1 is the hook's
	mmdebstrap --quiet --variant=minbase --include="$packages" --format=tar \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' --customize-hook='rm -rf "$1"/var/cache/apt/*' \
		"$suite" "$work/base" "$mirror" >"$work/log" 2>&1 ||
		skip "no Debian of one's own: $(tail -n 1 "$work/log")"
	mv "$work/base" "$base"
fi

root=$work/root
mkdir "$root" && tar -xpf "$base" -C "$root" --exclude='./dev/*' || exit 1
cp "$deb" "$root/portguard.deb"
install tests/vm/units_inside.sh "$root/units_inside.sh"
cat >"$root/etc/systemd/system/pg-test.service" <<-UNIT
	[Unit]
	After=network.target
	[Service]
	Type=idle
	ExecStart=/units_inside.sh
	StandardOutput=tty
	StandardError=tty
	TTYPath=/dev/console
	[Install]
	WantedBy=multi-user.target
UNIT
mkdir -p "$root/etc/systemd/system.conf.d" "$root/etc/systemd/network"
printf '[Manager]\nDefaultTimeoutStartSec=600\nDefaultDeviceTimeoutSec=600\n' >"$root/etc/systemd/system.conf.d/slow.conf"
printf '[Match]\nName=eth0\n[Network]\nAddress=10.9.1.1/24\nLinkLocalAddressing=no\n' >"$root/etc/systemd/network/eth0.network"
chroot "$root" systemctl --quiet enable pg-test.service systemd-networkd.service || exit 1
chroot "$root" systemctl --quiet mask getty@tty1.service serial-getty@ttyS0.service systemd-networkd-wait-online.service \
	apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer dpkg-db-backup.timer fstrim.timer
chroot "$root" systemctl --quiet set-default multi-user.target
mke2fs -q -t ext4 -d "$root" "$work/disk" 600m >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
rm -rf "$root"

passed=0 failed=0
for boot in first second; do
	PG_VM_DISK=$work/disk PG_VM_TIMEOUT=${PG_VM_TIMEOUT:-3000} tests/vm/run.sh "$kernel" tests/vm/units_inside.sh >"$work/said" 2>&1
	rc=$?
	[ $rc != 77 ] || skip "$(sed -n 's/^skip: //p' "$work/said")"
	grep -E '^(ok|FAILED|    )' "$work/said" | if [ -n "${V:-}" ]; then cat; else grep -A 40 '^FAILED'; fi
	passed=$((passed + $(grep -c '^ok ' "$work/said"))) failed=$((failed + $(grep -c '^FAILED ' "$work/said")))
	if [ $rc -gt 1 ]; then
		failed=$((failed + 1))
		echo "FAILED units: the $boot boot: exit status $rc"
		tail -n 60 "$work/said"
		break
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
