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
	in_ns c timeout 20 iperf3 -c 10.77.0.1 -p 5201 -n 60M -b 1G "$@" >"$WORK/iperf" 2>&1 ||
		fail "iperf3 $*" "$(cat "$WORK/iperf")"
	wait $server
}

expect_ok "attach in tc mode" pg s attach pgs0 --mode tc
# One run; false: something was sent twice, so somewhere on the way something was lost.
measure() {
	local in0 out0 ours_in0 ours_out0 bytes0 again0

	again0=$(($(snmp c RetransSegs) + $(snmp s RetransSegs)))
	in0=$(snmp c OutSegs) out0=$(snmp s OutSegs)
	ours_in0=$(port_count s tcp 5201 .in.packets) ours_out0=$(port_count s tcp 5201 .out.packets)
	bytes0=$(port_count s tcp 5201 .in.bytes)
	iperf "$@"
	sleep 0.2
	in=$(($(snmp c OutSegs) - in0)) out=$(($(snmp s OutSegs) - out0))
	ours_in=$(($(port_count s tcp 5201 .in.packets) - ours_in0))
	ours_out=$(($(port_count s tcp 5201 .out.packets) - ours_out0))
	bytes=$(($(port_count s tcp 5201 .in.bytes) - bytes0))
	[ $(($(snmp c RetransSegs) + $(snmp s RetransSegs))) = $again0 ]
}

for way in "" -R; do
	clean=
	for try in 1 2 3 4 5 6; do
		measure $way && clean=1 && break
	done
	if [ -z "$clean" ]; then
		skip "the machine is too busy: TCP always loses something"
		continue
	fi
	expect "arrivals count as wire packets${way:+, reversed}" $ours_in $in
	expect "departures count as wire packets${way:+, reversed}" $ours_out $out
	if [ -z "$way" ]; then
		# Every wire packet has its own headers: at least 40 bytes more than the payload.
		[ $bytes -ge $((60 * 1024 * 1024 + 40 * in)) ] &&
			pass "bytes have the headers of every wire packet" ||
			fail "bytes of $in packets" "$bytes"
		[ $in -gt 30000 ] && pass "it was a stream of MTU-sized packets" ||
			fail "only $in packets"
	fi
done
expect "no arrival was dropped" "$(json s status '.interfaces[0].ingress.dropped')" 0
summary
