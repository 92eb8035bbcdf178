#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# MARK: in mode tc the stack reads the mark that a rule set, in its rules and in its routing; where
# there is no skb that could be marked, the policy is refused.
. "$(dirname "$0")/lib.sh"

need jq iptables-legacy ip6tables-legacy
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
own_bpffs
two_namespaces
send() {
	in_ns c "$TOOLS/net/send" pgc0 "$@"
}

# seen TOOL MARK: packets that came by with that mark
seen() {
	in_ns s "$1" -w -t raw -nvxL PREROUTING | awk -v mark="$2" '$NF == mark { print $1 }'
}

for tool in iptables-legacy ip6tables-legacy; do
	for mark in 0x11 0x25 0x80000001 0x0; do
		in_ns s $tool -w -t raw -A PREROUTING -m mark --mark $mark ||
			skip_all "no -m mark here"
	done
done
expect_ok "attach in mode tc" pg s attach pgs0 --mode tc
expect_ok "mark" pg s -A INPUT -p tcp --dport 80 -j MARK --set-mark 0x11
expect_ok "the rules behind it read it" pg s -A INPUT -m mark --mark 0x11 -j ACCEPT
expect_ok "another" pg s -4 -A INPUT -p udp --dport 53 -j MARK --set-xmark 0x25/0xff
expect_ok "all 32 bits" pg s -4 -A INPUT -p icmp -j MARK --set-mark 0x80000001
send tcp80 3
send udp53 2
send echo-reply
send tcp80-ip6 4
send syn-ack
expect "a rule of the stack sees it" "$(seen iptables-legacy 0x11)" 4
expect "with IPv6, too" "$(seen ip6tables-legacy 0x11)" 4
expect "each its own" "$(seen iptables-legacy 0x25) $(seen iptables-legacy 0x80000001)" "2 1"
expect "nothing passed without" "$(seen iptables-legacy 0x0)" 0
expect "our rule counted it" "$(packets s "-m mark --mark 0x11 -j ACCEPT")" 8

# Bits that the mask leaves alone stay as an earlier rule set them.
expect_ok "two in a row" pg s -I INPUT -p tcp --dport 80 -j MARK --set-mark 0x20
pg s -R INPUT 2 -p tcp --dport 80 -j MARK --or-mark 0x5
send tcp80
expect "the second adds to the first" "$(seen iptables-legacy 0x25)" 3

# The route a packet takes follows its mark: here, none at all.
pg s -F INPUT
host_answers 99 && pass "the host answers" || fail "the host does not answer"
# The table of local addresses comes first of all, unless it is told not to.
in_ns s ip rule add pref 20 lookup local && in_ns s ip rule del pref 0
in_ns s ip rule add fwmark 0x77 prohibit pref 10
pg s -A INPUT -p tcp --dport 99 -j MARK --set-mark 0x77
host_answers 99 && fail "ip rule fwmark has no effect" || pass "ip rule fwmark sees it"
host_answers 98 && pass "and others pass" || fail "a packet without the mark"

for mode in skb native; do
	expect_exit "no change to $mode while rules mark" 1 "MARK.*needs mode tc|mode tc" \
		pg s attach pgs0 --mode $mode
done
expect "it stays attached as it was" "$(json s status '.interfaces[0].mode')" tc
pg s -F INPUT
for mode in skb native; do
	expect_ok "attach, $mode" pg s attach pgs0 --mode $mode
	expect_exit "no mark in mode $mode" 1 \
		"target .MARK' needs mode tc, and pgs0 is attached in mode $mode" \
		pg s -A INPUT -j MARK --set-mark 1
	expect "and nothing changed" "$(pg s -S INPUT | grep -c MARK)" 0
done
summary
