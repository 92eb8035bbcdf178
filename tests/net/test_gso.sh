#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# GSO: on TC ingress and egress a super-packet counts as the packets it becomes on the wire. The
# sender's own TCP counts the segments it sends (OutSegs in /proc/net/snmp), and must agree.
. "$(dirname "$0")/lib.sh"

need iperf3 jq ethtool
own_bpffs
two_namespaces
in_ns s ethtool -K pgs0 tso on gso on gro on tx on >/dev/null 2>&1
in_ns c ethtool -K pgc0 tso on gso on gro on tx on >/dev/null 2>&1

snmp() {
	in_ns "$1" awk -v want="$2" '$1 == "Tcp:" { if (!n) { n = split($0, name) } else
		for (i = 1; i <= n; i++) if (name[i] == want) print $i }' /proc/net/snmp
}

iperf() {
	in_ns s timeout 30 iperf3 -s -1 -p 5201 >/dev/null 2>&1 &
	local server=$!

	wait_for "iperf3" listening s tcp 5201
	in_ns c timeout 20 iperf3 -c 10.77.0.1 -p 5201 -n 200M "$@" >"$WORK/iperf" 2>&1 ||
		fail "iperf3 $*" "$(cat "$WORK/iperf")"
	wait $server
}

expect_ok "attach in tc mode" pg s attach pgs0 --mode tc
for way in "" -R; do
	in0=$(snmp c OutSegs) out0=$(snmp s OutSegs)
	ours_in0=$(port_count s tcp 5201 .in.packets) ours_out0=$(port_count s tcp 5201 .out.packets)
	bytes0=$(port_count s tcp 5201 .in.bytes)
	iperf $way
	sleep 0.2
	in=$(($(snmp c OutSegs) - in0)) out=$(($(snmp s OutSegs) - out0))
	expect "arrivals count as wire packets${way:+, reversed}" \
		$(($(port_count s tcp 5201 .in.packets) - ours_in0)) $in
	expect "departures count as wire packets${way:+, reversed}" \
		$(($(port_count s tcp 5201 .out.packets) - ours_out0)) $out
	if [ -z "$way" ]; then
		# Every wire packet has its own headers: at least 40 bytes more than the payload.
		bytes=$(($(port_count s tcp 5201 .in.bytes) - bytes0))
		[ $bytes -ge $((200 * 1024 * 1024 + 40 * in)) ] &&
			pass "bytes have the headers of every wire packet" ||
			fail "bytes of $in packets" "$bytes"
		[ $in -gt 100000 ] && pass "it was a stream of MTU-sized packets" ||
			fail "only $in packets"
	fi
done
expect "no arrival was dropped" "$(json s status '.interfaces[0].ingress.dropped')" 0
summary
