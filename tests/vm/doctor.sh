#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Runs in a test machine: what `doctor` finds on virtio_net, on a driver without native XDP, and on a NIC
# whose MTU is too large. The last line is "N passed, N failed, N skipped".
set -u
passed=0 failed=0 skipped=0

# finds WHAT IFACE JQ-CONDITION: of one finding
finds() {
	if ./portguard doctor "$2" --json 2>/tmp/err | tee /tmp/json |
		jq -e "[.findings[] | select(.subject == \"$2\" and ($3))] | length > 0" >/dev/null; then
		passed=$((passed + 1))
		echo "ok $1"
	else
		failed=$((failed + 1))
		echo "FAILED $1"
		head -c 2000 /tmp/json /tmp/err
	fi
}

# Linux 6.3 tells what a driver's XDP can.
tells() { [ "$(printf '%s\n' 6.3 "$(uname -r)" | sort -V | head -n 1)" = 6.3 ]; }

for iface in eth0 eth2; do ip link set "$iface" up; done
if tells; then
	finds "virtio_net has native XDP" eth0 '.code == "native" and .severity == "ok" and (.text | test("virtio_net"))'
else
	finds "whether virtio_net has native XDP is not to be told" eth0 \
		'.code == "native" and .severity == "info" and (.text | test("virtio_net.*does not say"))'
fi
finds "its queues are counted" eth0 '.code == "queues" and (.text | test("queue"))'
ip link add pgv type veth peer name peer
ip link set pgv mtu 9000
ip link set peer mtu 9000
ip link set pgv up
if tells; then
	finds "an MTU that is too large without frags, or takes them" pgv '.code == "mtu" and (.text | test("9000"))'
else
	skipped=1
	echo "skip: doctor: Linux $(uname -r) does not say whether a driver takes frames in several buffers"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
