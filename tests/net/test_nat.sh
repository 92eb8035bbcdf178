#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A router that translates addresses, with a stateful FORWARD: what its hosts begin works, with both of its
# interfaces attached or only one, and nothing else comes in.
. "$(dirname "$0")/lib.sh"

need iptables-legacy nc jq
own_bpffs

# h (pgh0, 10.1.0.2) - pgr1 (10.1.0.1) r (10.2.0.1) pgr2 - w (pgw0, 10.2.0.2), which knows no way to 10.1.0.0/24
for ns in h r w; do
	ip netns add "$PREFIX-$ns" || skip_all "no network namespaces here"
	in_ns $ns ip link set lo up
done
ip link add pgh0 netns "$PREFIX-h" type veth peer name pgr1 netns "$PREFIX-r" || skip_all "no veth here"
ip link add pgw0 netns "$PREFIX-w" type veth peer name pgr2 netns "$PREFIX-r"
for link in "h pgh0 10.1.0.2" "r pgr1 10.1.0.1" "r pgr2 10.2.0.1" "w pgw0 10.2.0.2"; do
	read -r ns name address <<<"$link"
	in_ns "$ns" ethtool -K "$name" tso off gso off gro off tx off >/dev/null 2>&1
	in_ns "$ns" ip link set "$name" up
	in_ns "$ns" ip addr add "$address/24" dev "$name"
done
in_ns h ip route add default via 10.1.0.1
in_ns r sysctl -qw net.ipv4.ip_forward=1
in_ns r iptables-legacy -w -t nat -A POSTROUTING -o pgr2 -j MASQUERADE 2>/dev/null ||
	skip_all "no table nat of iptables-legacy in this kernel"
wait_for "the way" in_ns h ping -c 1 -W 1 10.2.0.2

in_ns w sh -c 'while :; do echo answer | nc -N -l 10.2.0.2 80 >/dev/null; done' &
in_ns w sh -c 'while :; do echo answer | nc -u -w 1 -l 10.2.0.2 53 >/dev/null; done' &
in_ns h sh -c 'while :; do echo open | nc -N -l 10.1.0.2 81 >/dev/null; done' &
wait_for "a server" listening w tcp 80
wait_for "a server of datagrams" listening w udp 53
wait_for "a server behind the router" listening h tcp 81

ask() { # hears the answer
	[ "$(in_ns h timeout 5 nc -w 3 10.2.0.2 80 </dev/null)" = answer ]
}
ask_by_udp() {
	[ "$(echo question | in_ns h timeout 5 nc -u -w 2 10.2.0.2 53)" = answer ]
}
# The client's side of its connection, by the addresses it knows. Those that were there before, taken over
# from conntrack, have no packets.
seen() {
	pg r flows --json | jq -r '[.flows[] | select(.src == "10.1.0.2" and .dport == 80)] | max_by(.packets | add) |
		"\(.state) \(if .packets[1] > 2 then "both ways" else "one way" end)"'
}

# A connection that has begun when only the host's side was attached hears what it says repeated.
goes_on() {
	mkfifo "$WORK/echo" "$WORK/say"
	in_ns w sh -c "exec timeout 30 nc -l 10.2.0.2 82 0<>$WORK/echo 1>&0" &
	wait_for "a server that repeats" listening w tcp 82
	in_ns h timeout 30 nc 10.2.0.2 82 <"$WORK/say" >"$WORK/heard" &
	exec 9>"$WORK/say"
	echo before >&9
	wait_for "an answer before" grep -q before "$WORK/heard"
	pg r attach pgr2 --mode "$1" >/dev/null
	for word in one two three; do
		echo $word >&9
		wait_for "an answer behind it" grep -q $word "$WORK/heard" || break
	done
	exec 9>&-
	rm -f "$WORK/echo" "$WORK/say"
	[ "$(tr '\n' ' ' <"$WORK/heard")" = "before one two three " ]
}
# Of that connection: what was told twice looks like a segment that came again.
repeated() {
	pg r flows --json | jq '[.flows[] | select(.src == "10.1.0.2" and .dport == 82) | .retransmits | add] | add'
}

cat >"$WORK/policy" <<'RULES'
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -m state --state INVALID -j DROP
-A FORWARD -m state --state RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i pgr1 -m state --state NEW -j ACCEPT
COMMIT
RULES

for mode in native tc; do
	for ifaces in "pgr1 pgr2" pgr1; do
		for iface in $ifaces; do
			expect_ok "$mode, $ifaces: attach $iface" pg r attach "$iface" --mode $mode
		done
		expect_ok "$mode, $ifaces: restore" pg r restore "$WORK/policy"
		expect_ok "$mode, $ifaces: TCP" ask
		expect "$mode, $ifaces: its flow has seen both ends" "$(seen)" "TIME_WAIT both ways"
		expect_ok "$mode, $ifaces: UDP" ask_by_udp
		expect_ok "$mode, $ifaces: ping" in_ns h ping -c 2 -i 0.2 -W 1 10.2.0.2
		in_ns w ip route add 10.1.0.0/24 via 10.2.0.1
		expect_exit "$mode, $ifaces: nothing comes in that nobody asked for" 1 '.*' \
			in_ns w timeout 2 nc -w 1 10.1.0.2 81
		in_ns w ip route del 10.1.0.0/24
		for iface in $ifaces; do
			pg r detach "$iface" >/dev/null
		done
	done
	for nat in translated plain; do
		in_ns r iptables-legacy -w -t nat -F
		[ $nat = plain ] || in_ns r iptables-legacy -w -t nat -A POSTROUTING -o pgr2 -j MASQUERADE
		[ $nat = translated ] || in_ns w ip route add 10.1.0.0/24 via 10.2.0.1
		expect_ok "$mode, $nat: attach pgr1 alone" pg r attach pgr1 --mode $mode
		expect_ok "$mode, $nat: restore" pg r restore "$WORK/policy"
		expect_ok "$mode, $nat: a connection goes on when pgr2 is attached, too" goes_on $mode
		expect "$mode, $nat: and nothing of it was seen twice" "$(repeated)" 0
		pg r detach --all >/dev/null
	done
	in_ns r iptables-legacy -w -t nat -A POSTROUTING -o pgr2 -j MASQUERADE
	in_ns w ip route del 10.1.0.0/24
done
summary
