#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Runs a script in a virtual machine with another kernel, emulated, with this tree's portguard.
#   tests/vm/run.sh KERNEL SCRIPT [FILE…]     KERNEL as kernels.sh names it: 6.1, 6.12, …
# The script runs as root in a copy of this tree that has ./portguard, tests/net, tests/vm and each FILE
# (named from the tree's top), with ip, ss, nc, jq, bash and busybox's tools around it. The machine
# has two CPUs and three NICs on one wire: virtio0 with several queues, virtio1, and vmxnet0
# (vmxnet3, for the generic mode: Debian's cloud kernels have no e1000), see e2e.sh. Prints what the
# script prints; the exit status is the script's, 77 if the kernel cannot be had (and why), 98 if the machine did not come
# to an end within PG_VM_TIMEOUT (300) seconds, 99 if its kernel has complained.
# With PG_VM_DISK, an image of a system, the machine goes on to that system's init, and the result is
# what something there prints as "pg-vm: exit N".
# One machine at a time: others wait.
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

TOOLS="bash ip ss tc nc jq ethtool timeout unshare nsenter setsid flock mktemp sort sha256sum
	sysctl stat awk cmp xdp-loader"
MODULES="virtio_pci virtio_net vmxnet3 veth dummy tun 8021q sch_ingress cls_bpf sch_fq_codel nf_tables
	ip_tables iptable_filter ip6table_filter tcp_diag udp_diag"
[ -z "${PG_VM_DISK:-}" ] || MODULES+=" virtio_blk ext4"

[ $# -ge 2 ] || { echo "usage: run.sh KERNEL SCRIPT [FILE…]" >&2; exit 2; }
kernel=$1 script=$2
shift 2
for tool in qemu-system-x86_64 cpio modprobe depmod busybox; do
	command -v "$tool" >/dev/null || { echo "skip: $tool is not installed" >&2; exit 77; }
done
dir=$(tests/vm/kernels.sh get "$kernel") || exit
mkdir -p .output/vm
exec 9>.output/vm/lock
flock 9

work=$(mktemp -d "${TMPDIR:-/tmp}/pg-vm.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
root=$work/root

# Programs and, of those that are not static, the libraries that they load.
install_programs() {
	local lib

	for lib in $(ldd "$@" 2>/dev/null | grep -oE '(=> |^\s+)/[^ ]+' | grep -oE '/.*' | sort -u); do
		[ -e "$root$lib" ] || install -D "$lib" "$root$lib"
	done
}

tree() {
	local file

	mkdir -p "$root"/{bin,usr/bin,opt/busybox,etc,modules,sys,proc,dev,pg/tests/vm}
	install "$(command -v busybox)" "$root/bin/busybox"
	install tests/vm/init "$root/init"
	for file in $TOOLS; do
		file=$(command -v "$file") && install -D "$(realpath "$file")" "$root/usr/bin/${file##*/}" &&
			install_programs "$file"
	done
	for file in /usr/lib/*/bpf/xdp-dispatcher.o; do # which libxdp loads
		[ ! -e "$file" ] || install -D -m 644 "$file" "$root$file"
	done
	ln -sf busybox "$root/bin/sh"
	ln -sf ../usr/bin/bash "$root/bin/bash"
	install -m 644 -t "$root/etc" /etc/services /etc/protocols
	echo root:x:0:0:root:/root:/bin/sh >"$root/etc/passwd"
	cp -a --parents tests/net tests/vm "$root/pg"
	for file in portguard "$@"; do
		cp --parents "$file" "$root/pg" || return
		[ -x "$file" ] && [ "$(head -c 4 "$file" | tail -c 3)" = ELF ] || continue
		strip "$root/pg/$file"
		install_programs "$file"
	done
	install "$script" "$root/pg/tests/vm/script"
}

# In the order in which they load.
modules() {
	local version line module

	version=$(basename "$dir"/lib/modules/*)
	for module in $MODULES; do
		modprobe -d "$dir" -S "$version" --show-depends "$module" 2>/dev/null
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r line; do
		module=$(basename "${line%.xz}")
		case $line in
		*.xz) xz -dc "$line" >"$root/modules/$module" ;;
		*) cp "$line" "$root/modules/$module" ;;
		esac
		echo "$module" >>"$root/modules/order"
	done
}

# Several queues need tap devices: they lie with their bridge in a network namespace of their own,
# which ends with the machine. Without root all NICs have one queue.
netdevs() {
	local i

	nics=()
	if [ "$(id -u)" = 0 ] && unshare -n true 2>/dev/null && [ -c /dev/net/tun ]; then
		for i in 0 1 2; do
			nics+=(-netdev "tap,id=n$i,ifname=n$i,script=no,downscript=no$([ $i = 2 ] || echo ,queues=4)")
		done
		wire='ip link add name wire type bridge && ip link set wire up || exit
			for i in 0 1 2; do
				mq=multi_queue
				[ $i = 2 ] && mq=
				ip tuntap add n$i mode tap $mq && ip link set n$i master wire up || exit
			done'
		queues=,mq=on,vectors=10
	else
		for i in 0 1 2; do
			nics+=(-netdev "hubport,id=n$i,hubid=0")
		done
		wire= queues=
	fi
	nics+=(-device "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:01$queues"
		-device "virtio-net-pci,netdev=n1,mac=52:54:00:00:00:02$queues"
		-device "vmxnet3,netdev=n2,mac=52:54:00:00:00:03")
}

tree "$@" && modules || exit 1
(cd "$root" && find . | cpio -o -H newc --quiet) >"$work/initrd" || exit 1
netdevs
disk=()
[ -z "${PG_VM_DISK:-}" ] || disk=(-drive "file=$PG_VM_DISK,if=virtio,format=raw,cache=unsafe")
# Always emulation: where KVM seems to be there, it may hang. Some CPU models stop some kernels.
boot=(timeout -k 5 "${PG_VM_TIMEOUT:-300}" qemu-system-x86_64 -accel tcg,thread=multi -cpu "${PG_VM_CPU:-Nehalem}"
	-smp 2 -m "${PG_VM_MEMORY:-1024}" -nodefaults -no-user-config -no-reboot -display none -serial stdio
	-device virtio-rng-pci -kernel "$dir/vmlinuz" -initrd "$work/initrd"
	-append "console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off nowatchdog nosoftlockup rcupdate.rcu_cpu_stall_suppress=1 random.trust_cpu=on net.ifnames=0")
if [ -n "$wire" ]; then
	boot=(unshare -n bash -c "$wire"'; exec "$@"' bash "${boot[@]}")
fi
"${boot[@]}" "${disk[@]}" "${nics[@]}" </dev/null 2>&1 | sed -u 's/\r//g' | tee "$work/log" | grep --line-buffered -v '^pg-vm: exit'
rc=$(sed -n 's/.*pg-vm: exit \([0-9]*\)$/\1/p' "$work/log")
[ -n "$rc" ] || echo "the machine did not come to an end" >&2
exit "${rc:-98}"
