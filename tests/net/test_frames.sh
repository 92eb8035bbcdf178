#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Crafted frames on a real interface: tags, padding, fragments and broken headers, in every mode.
. "$(dirname "$0")/lib.sh"

need jq
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
own_bpffs
two_namespaces

send() {
	in_ns c "$TOOLS/net/send" pgc0 "$@"
}

cat >"$WORK/policy" <<RULES
*filter
:INPUT ACCEPT [0:0]
-A INPUT -p tcp -m tcp --dport 80 -j DROP
-A INPUT -p udp -m udp --dport 53 -j DROP
COMMIT
RULES

for mode in native skb tc; do
	expect_ok "attach in $mode mode" pg s attach pgs0 --mode $mode --policy "$WORK/policy"
	send tcp80 10
	send tcp80-ip6 3
	send tcp80-vlan 5
	send tcp80-qinq 7
	wait_for "the frames" eval '[ "$(port_count s tcp 80 .in.packets)" -ge 25 ]'
	expect "rules hold inside no, one and two tags in $mode mode" \
		"$(packets s "-p tcp -m tcp --dport 80 -j DROP")" 25
	expect "bytes are IP bytes, tags or not, in $mode mode" \
		"$(counted s "-p tcp -m tcp --dport 80 -j DROP")" "25:$((22 * 40 + 3 * 60))"
	expect "the port has its drops in $mode mode" "$(port_count s tcp 80 .in.dropped)" 25
	expect "and its SYNs in $mode mode" "$(port_count s tcp 80 .flags.syn)" 25

	send udp53 2
	send udp53-padded 2
	wait_for "the datagrams" eval '[ "$(port_count s udp 53 .in.packets)" -ge 4 ]'
	expect "padding is not counted in $mode mode" \
		"$(counted s "-p udp -m udp --dport 53 -j DROP")" "4:$((2 * 38 + 2 * 28))"

	send tcp80-three-tags 2
	send tcp80-cut 3
	send tcp80-later-fragment 4
	send bad-checksum 5
	send ethernet-only 6
	send gratuitous-arp 7
	wait_for "the last of them" eval '[ "$(reason_count s gratuitous-arp)" -ge 7 ]'
	expect "three tags are too many in $mode mode" "$(reason_count s too-many-vlans)" 2
	expect "a cut header is dropped by the rule that asks in $mode mode" \
		"$(reason_count s short-l4)" 3
	expect "a later fragment has no ports in $mode mode" \
		"$(reason_count s early-fragment)" 4
	expect "a wrong checksum is dropped in $mode mode" "$(reason_count s bad-checksum)" 5
	expect "an Ethernet header alone is dropped in $mode mode" "$(reason_count s short-header)" 6
	expect "gratuitous ARP is counted in $mode mode" "$(reason_count s gratuitous-arp)" 7
	expect "cut, with three tags or a wrong checksum: they count at port 80 in $mode mode" \
		"$(port_count s tcp 80 .in.packets)" 35
	expect_ok "detach" pg s detach --all
done
summary
