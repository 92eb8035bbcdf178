#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# GSO: on TC ingress and egress a super-packet counts as the packets it becomes on the wire. The
# sender's own TCP counts the segments it sends (OutSegs in /proc/net/snmp), and must agree.
. "$(dirname "$0")/lib.sh"

need iperf3 jq ethtool
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
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

# flag_counts PORT FLAG…: "fin 1 psh 2"
flag_counts() {
	local port=$1 flag
	shift

	for flag in "$@"; do
		echo "$flag $(port_count s tcp "$port" ".flags.$flag")"
	done | xargs
}

# super FRAME PROTO PORT PACKETS BYTES: an arrival that is one packet here, and many on the wire
super() {
	local frame=$1 proto=$2 port=$3 packets=$4 bytes=$5 in0 bytes0 rule0 err

	in0=$(port_count s "$proto" "$port" .in.packets)
	bytes0=$(port_count s "$proto" "$port" .in.bytes)
	rule0=$(counted s "-j DROP")
	if ! err=$(in_ns c "$TOOLS/net/send" pgc0 "$frame" 2>&1); then
		skip "this kernel sends no $frame: $err"
		return
	fi
	wait_for "$frame" eval '[ "$(port_count s "$proto" "$port" .in.packets)" != "$in0" ]'
	expect "$frame counts as wire packets" \
		$(($(port_count s "$proto" "$port" .in.packets) - in0)) "$packets"
	expect "$frame has the headers of each" \
		$(($(port_count s "$proto" "$port" .in.bytes) - bytes0)) "$bytes"
	expect "$frame counts so at its rule" "$(counted s "-j DROP")" \
		"$((${rule0%:*} + packets)):$((${rule0#*:} + bytes))"
}

# The same as a departure: the client's frames, sent by the server.
super_out() {
	local frame=$1 proto=$2 packets=$3 bytes=$4 out0 bytes0

	out0=$(port_count s "$proto" 40000 .out.packets)
	bytes0=$(port_count s "$proto" 40000 .out.bytes)
	if ! in_ns s "$TOOLS/net/send" pgs0 "$frame" 2>/dev/null; then
		skip "this kernel sends no $frame"
		return
	fi
	wait_for "$frame to leave" eval \
		'[ "$(port_count s "$proto" 40000 .out.packets)" != "$out0" ]'
	expect "$frame counts as wire packets when it leaves" \
		$(($(port_count s "$proto" 40000 .out.packets) - out0)) "$packets"
	expect "$frame has the headers of each when it leaves" \
		$(($(port_count s "$proto" 40000 .out.bytes) - bytes0)) "$bytes"
}

# Without answers, whose flags would count at the same port.
expect_ok "a rule for all" pg s -A INPUT -j DROP
# On the wire, FIN and PSH are in the last segment, CWR is in the first.
super tcp80-gso tcp 80 10 $((10 * 40 + 9500))
expect "FIN, PSH and CWR count once a super-packet, ACK in each segment" \
	"$(flag_counts 80 fin psh cwr ack)" "fin 1 psh 1 cwr 1 ack 10"
super tcp80-gso-options tcp 80 3 $((3 * 52 + 3000))
super tcp80-gso-ip6 tcp 80 3 $((3 * 60 + 2001))
expect "so they do under IPv6" "$(flag_counts 80 fin psh cwr ack)" "fin 3 psh 3 cwr 3 ack 16"
super udp53-gso udp 53 10 $((10 * 28 + 9500))
super udp53-gso-ip6 udp 53 3 $((3 * 48 + 2001))
super_out tcp80-gso tcp 10 $((10 * 40 + 9500))
super_out tcp80-gso-ip6 tcp 3 $((3 * 60 + 2001))
super_out udp53-gso udp 10 $((10 * 28 + 9500))
super_out udp53-gso-ip6 udp 3 $((3 * 48 + 2001))
expect "flags of departures count at the sender's port" \
	"$(flag_counts 40000 fin psh cwr ack)" "fin 2 psh 2 cwr 2 ack 13"
expect_ok "and no rule" pg s -F INPUT
dropped0=$(json s status '.interfaces[0].ingress.dropped')

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
expect "no arrival was dropped" "$(json s status '.interfaces[0].ingress.dropped')" "$dropped0"
summary
