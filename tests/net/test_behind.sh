#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Mode tc behind another's generic XDP: from Linux 6.9 on, frames come to TC without their Ethernet header where that
# program takes frames of several pieces, and every rule must hold for them all the same.
. "$(dirname "$0")/lib.sh"

need jq bpftool nc
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
own_bpffs
two_namespaces
send() {
	in_ns c "$TOOLS/net/send" pgc0 "$@"
}
others=/sys/fs/bpf/$PREFIX-others
bpftool prog loadall "$TOOLS/vm/other.bpf.o" "$others" 2>/dev/null || skip_all "bpftool can't load another's programs"
expect_ok "attach in mode tc" pg s attach pgs0 --mode tc
expect_ok "a rule" pg s -A INPUT -p tcp --dport 80 -j DROP
expect_ok "a rule of a tag" pg s -I INPUT -m vlan --vlan-id 5 -p tcp --dport 80 -j DROP
expect_ok "an answer" pg s -A INPUT -p tcp --dport 81 -j REJECT --reject-with tcp-reset
expect_ok "a rule of an address" pg s -A INPUT -p udp --dport 53 -m mac --mac-source 02:77:00:00:00:02 -j DROP
for prog in other other_frags; do
	in_ns s ip link set pgs0 xdpgeneric pinned "$others/$prog" || fail "$prog can't be attached"
	pg s -Z
	send tcp80 3
	send tcp80-ip6 4
	send tcp80-vlan 2
	send udp53 5
	expect "$prog: every packet meets the rules" "$(packets s "-p tcp -m tcp --dport 80 -j DROP")" 7
	expect "$prog: those of a tag theirs" "$(packets s "-p tcp -m vlan --vlan-id 5 -m tcp --dport 80 -j DROP")" 2
	expect "$prog: addresses of the frame" "$(packets s "-p udp -m udp --dport 53 -m mac --mac-source 02:77:00:00:00:02 -j DROP")" 5
	host_answers 81 && pass "$prog: REJECT answers" || fail "$prog: REJECT answers"
	expect "$prog: by a rule" "$(packets s "-p tcp -m tcp --dport 81 -j REJECT --reject-with tcp-reset")" 1
	in_ns c ethtool -K pgc0 tso on gso on tx on >/dev/null 2>&1
	carry 90 2000000
	in_ns c ethtool -K pgc0 tso off gso off tx off >/dev/null 2>&1
	expect "$prog: nothing is taken for another protocol" \
		"$(pg s reasons --json | jq '[.reasons[] | select(.name == "non-ip") | .packets] | add // 0')" 0
	in_ns s ip link set pgs0 xdpgeneric off
done
rm -r "$others"
summary
