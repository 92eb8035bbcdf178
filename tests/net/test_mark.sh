#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# MARK: the stack reads the mark that a rule set, in its rules and in its routing, also where XDP filters and has
# no skb that could be marked; the policy is refused where the driver can't hand it on.
. "$(dirname "$0")/lib.sh"

need jq bpftool iptables-legacy ip6tables-legacy
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
# marks MODE: the stack reads what rules set
marks() {
	in_ns s iptables-legacy -w -t raw -Z && in_ns s ip6tables-legacy -w -t raw -Z
	expect_ok "attach in mode $1" pg s attach pgs0 --mode "$1"
	pg s -F INPUT
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
	pg s -A INPUT -p tcp --dport 99 -j MARK --set-mark 0x77
	host_answers 99 && fail "ip rule fwmark has no effect" || pass "ip rule fwmark sees it"
	host_answers 98 && pass "and others pass" || fail "a packet without the mark"
}

# The table of local addresses comes first of all, unless it is told not to.
in_ns s ip rule add pref 20 lookup local && in_ns s ip rule del pref 0
in_ns s ip rule add fwmark 0x77 prohibit pref 10
# left NAME: programs of that name on the interface
left() {
	in_ns s bpftool net show dev pgs0 | grep -c "$1"
}
mark_prog() {
	json s status '.interfaces[0].mark_prog_id > 0'
}
for mode in tc skb native; do
	marks $mode
	expect "behind XDP a program tells skbs" "$(mark_prog)" $([ $mode = tc ] && echo false || echo true)
	[ $mode = tc ] && continue

	expect "doctor knows it to be ours" "$(pg s doctor pgs0 --json |
		jq '[.findings[] | select(.code == "other-program")] | length')" 0

	# It comes with the first rule that marks, and goes with the last, also where the programs go back by themselves.
	pg s -F INPUT
	expect "without such rules there is none" "$(mark_prog)" false
	printf '*filter\n-A INPUT -p tcp --dport 80 -j MARK --set-mark 0x11\nCOMMIT\n' >"$WORK/marks"
	printf '*filter\nCOMMIT\n' >"$WORK/plain"
	expect_ok "apply it, to be confirmed" pg s apply "$WORK/marks" --confirm 1
	expect "it comes with the rules" "$(mark_prog)" true
	wait_for "the old policy to come back" eval '[ "$(json s status .policy.confirm_deadline_s)" = null ]'
	send tcp80
	expect "no mark is set" "$(seen iptables-legacy 0x11)" 4
	pg s -L >/dev/null && pg s -A INPUT -p tcp --dport 81
	expect "the next change takes it off" "$(mark_prog)" false
	expect_ok "marks again" pg s apply "$WORK/marks"
	expect_ok "and no more, to be confirmed" pg s apply "$WORK/plain" --confirm 60
	expect "it stays for who may come back" "$(mark_prog)" true
	expect_ok "rollback" pg s rollback
	send tcp80
	expect "the mark is set again" "$(seen iptables-legacy 0x11)" 5
	pg s apply "$WORK/plain" --confirm 60
	expect_ok "confirm" pg s confirm
	expect "it is gone with the last of them" "$(mark_prog)" false
	pg s apply "$WORK/marks"
	for to in tc skb native; do
		expect_ok "to mode $to while rules mark" pg s attach pgs0 --mode $to
		in_ns s iptables-legacy -w -t raw -Z
		send tcp80 2
		expect "marks are set" "$(seen iptables-legacy 0x11)" 2
	done
	expect_ok "upgrade" pg s upgrade --force
	send tcp80
	expect "marks are set still" "$(seen iptables-legacy 0x11)" 3
	pg s detach --all
	expect "nothing is left on the interface" "$(left portguard)" 0
done

# All of a connection, which GRO puts together.
expect_ok "native" pg s attach pgs0 --mode native --policy "$WORK/marks"
in_ns s iptables-legacy -w -t raw -Z
carry 80 3000000
expect "every packet of a connection has the mark" "$(seen iptables-legacy 0x0)" 0
[ "$(seen iptables-legacy 0x11)" -gt 20 ] && pass "and they were seen" || fail "packets with the mark"
pg s detach --all >/dev/null

# A mode that the driver refuses leaves marks as they were: here, for want of queues.
if in_ns c ethtool -L pgc0 tx 2 2>/dev/null && in_ns s ethtool -L pgs0 rx 1 2>/dev/null; then
	expect_ok "mode skb" pg s attach pgs0 --mode skb --policy "$WORK/marks"
	expect_exit "native is refused" 1 "native XDP refused by driver veth" pg s attach pgs0 --mode native
	expect "it is skb still" "$(json s status '.interfaces[0].mode')" skb
	in_ns s iptables-legacy -w -t raw -Z
	send tcp80 2
	expect "marks are set" "$(seen iptables-legacy 0x11)" 2
	pg s detach --all >/dev/null
	in_ns s ethtool -L pgs0 rx 2 2>/dev/null
else
	skip "no queues to take away here: a mode that the driver refuses is not tested"
fi

# Moved to another namespace, the interface can't be told from here, and none of its name is taken for it.
expect_ok "mode native" pg s attach pgs0 --mode native
in_ns s ip link set pgs0 netns "$PREFIX-c" name pgm0
in_ns s ip link add pgs0 type bridge
expect_exit "marks are refused" 1 "pgs0 is in another network namespace" pg s -I INPUT -j MARK --set-mark 1
expect "nothing is on the other" "$(left portguard_mark)" 0
in_ns s ip link del pgs0
in_ns c ip link set pgm0 netns "$PREFIX-s" name pgs0
in_ns s ip link set pgs0 up && in_ns s ip addr add 10.77.0.1/24 dev pgs0
in_ns s ip neigh replace 10.77.0.2 lladdr 02:77:00:00:00:02 nud permanent dev pgs0
pg s detach --all >/dev/null

# Classic TC, where there are no links.
export PORTGUARD_NO_TCX=1
expect_ok "behind XDP a classic filter tells skbs" pg s attach pgs0 --mode native --policy "$WORK/marks"
in_ns s iptables-legacy -w -t raw -Z
send tcp80 2
expect "marks are set" "$(seen iptables-legacy 0x11)" 2
pg s -F INPUT
expect "and it goes again" "$(left portguard_mark)" 0
unset PORTGUARD_NO_TCX
pg s detach --all >/dev/null

# Where the driver is not known to hand metadata on, it is mode tc or skb.
if in_ns s ip tuntap add dev pgt0 mode tap 2>/dev/null; then
	in_ns s ip link set pgt0 up
	expect_exit "no attach in mode native" 1 "MARK. needs mode tc or skb here: driver tun" \
		pg s attach pgt0 --mode native --policy "$WORK/marks"
	expect "nothing was attached" "$(pg s status --json | jq -c '.interfaces // []')" "[]"
	expect_ok "auto goes to another mode" pg s attach pgt0 --policy "$WORK/marks"
	expect "which is tc" "$(json s status '.interfaces[0].mode')" tc
	pg s -F INPUT
	expect_ok "without such rules it may be native" pg s attach pgt0 --mode native
	expect_exit "no mark there" 1 "pgt0: target .MARK. needs mode tc or skb here" pg s -A INPUT -j MARK --set-mark 1
	expect "and nothing changed" "$(pg s -S INPUT | grep -c MARK)" 0
	expect_ok "departures may be marked in any mode" pg s -A OUTPUT -j MARK --set-mark 1
else
	skip "no tun device here"
fi
summary
