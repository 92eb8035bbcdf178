#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The filter is never off while an interface is attached again, in another way or in vain. Nobody
# listens on port 80 of the server, so that one SYN that gets through is one reset that it sends.
. "$(dirname "$0")/lib.sh"

need ethtool jq
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
own_bpffs
two_namespaces
RULE='-p tcp -m tcp --dport 80 -j DROP'

resets() {
	in_ns s awk '$1 == "Tcp:" { if (!n) { n = split($0, name) } else
		for (i = 1; i <= n; i++) if (name[i] == "OutRsts") print $i }' /proc/net/snmp
}

# SYNs to port 80, some thousand a second, until knock_off
knock() {
	in_ns c "$TOOLS/net/send" pgc0 tcp80 10000000 100 &
	knocking=$!
	resets0=$(resets) drops0=$(packets s "$RULE")
	wait_for "SYNs to arrive" eval '[ "$(packets s "$RULE")" -gt $((drops0 + 100)) ]'
}

# knock_off WHAT: none of them got through, and they arrived to the end
knock_off() {
	local drops1

	drops1=$(packets s "$RULE")
	wait_for "SYNs still to arrive after: $1" eval '[ "$(packets s "$RULE")" -gt "$drops1" ]'
	kill $knocking
	wait $knocking 2>/dev/null
	sleep 0.1
	expect "$1: the filter is never off" $(($(resets) - resets0)) 0
}

# All of an interface's state that must not change, its counters aside.
state() {
	json s status '.interfaces | map([.name, .mode, .mode_reason, .xdp_prog_id, .egress_prog_id]) |
		tostring'
}

xdp_id() {
	in_ns s ip -d link show "$1" | grep -oE 'prog/xdp id [0-9]+' | grep -oE '[0-9]+' | head -1
}

# refused WHAT PATTERN ARGUMENTS…: attach fails, and all is as it was
refused() {
	local what=$1 pattern=$2 before drops rules
	shift 2

	before=$(state) drops=$(packets s "$RULE") rules=$(pg s -S)
	expect_exit "$what is refused" 1 "$pattern" pg s attach "$@"
	expect "$what: programs and modes are as before" "$(state)" "$before"
	expect "$what: the policy is as before" "$(pg s -S)" "$rules"
	[ "$(packets s "$RULE")" -ge "$drops" ] && pass "$what: counters are not lost" ||
		fail "$what: counters were $drops" "$(packets s "$RULE")"
	expect "$what: nothing else is attached" "$(json s status '.interfaces | length')" 1
}

expect_ok "attach" pg s attach pgs0 --mode tc
expect_ok "without a rule packets pass" host_answers 80
expect_ok "a rule" pg s -A INPUT $RULE

knock
for i in 1 2 3; do
	expect_ok "attach again" pg s attach pgs0 --mode tc
done
knock_off "attach again"

knock
for i in 1 2 3; do
	expect_ok "attach without egress" pg s attach pgs0 --mode tc --no-egress
	expect "departures are not counted" "$(json s status '.interfaces[0].egress_prog_id // 0')" 0
	expect_ok "attach with egress" pg s attach pgs0 --mode tc
	expect "departures are counted" "$(json s status '.interfaces[0].egress_prog_id > 0')" true
done
knock_off "egress off and on"

# changes KIND: from each mode to the others
changes() {
	local kind=$1 way mode

	for way in "tc native" "native tc" "tc skb" "skb tc" "tc native skb tc" "native skb native"; do
		pg s attach pgs0 --mode "${way%% *}" >/dev/null
		knock
		for mode in ${way#* }; do
			expect_ok "$kind: attach in $mode mode" pg s attach pgs0 --mode "$mode"
			expect "$kind, $way: status names $mode" \
				"$(json s status '.interfaces[0].mode')" "$mode"
		done
		knock_off "$kind, $way"
		expect "$kind, $way: one program for each direction" "$(find "$STATE" -type f \
			\( -name 'link_*' -o -name 'prog_*' -o -name 'new_*' -o -name 'interim_*' \) |
			wc -l)" 2
	done
}

changes TCX
pg s attach pgs0 --mode tc --no-egress >/dev/null
export PORTGUARD_NO_TCX=1 # as before Linux 6.6
changes "classic TC"
unset PORTGUARD_NO_TCX
pg s attach pgs0 --mode tc >/dev/null

# Refused: what was there stays, and filters on.
knock
refused "a wrong name among several" nosuch0 pgs0 nosuch0 --mode native
refused "a wrong name first" nosuch0 nosuch0 pgs0 --mode skb --no-egress
echo '-A INPUT -j NOSUCH' >"$WORK/wrong"
refused "a wrong policy" . pgs0 --mode native --policy "$WORK/wrong"
knock_off "refused attach"

ip link add pgs1 netns "$PREFIX-s" type veth peer name pgc1 netns "$PREFIX-c"
in_ns s ip link set pgs1 up
foreign_on() {
	command -v xdp-filter >/dev/null && in_ns s xdp-filter load -m skb "$1" >/dev/null 2>&1
}
if foreign_on pgs0; then
	foreign=$(xdp_id pgs0)
	knock
	refused "native beside a foreign program" "id $foreign" pgs0 --mode native
	refused "skb beside a foreign program" "id $foreign" pgs0 --mode skb
	refused "skb without egress beside it" "id $foreign" pgs0 --mode skb --no-egress
	knock_off "refused beside a foreign program"
	expect "the foreign program is still there" "$(xdp_id pgs0)" "$foreign"
	in_ns s xdp-filter unload --all >/dev/null 2>&1
else
	skip "no xdp-filter that loads here: a foreign program is not tested"
fi

# The first of two changes its mode before the second is refused: it goes back.
if foreign_on pgs1; then
	foreign=$(xdp_id pgs1)
	pg s detach pgs0 >/dev/null
	expect_ok "attach as auto chooses" pg s attach pgs0
	knock
	reason=$(json s status '.interfaces[0] | [.mode, .mode_reason] | tostring')
	total=$(json s status '.interfaces[0].ingress.packets')
	expect_exit "the second of two is refused" 1 "id $foreign" \
		pg s attach pgs0 pgs1 --mode skb --no-egress
	expect "the first has its mode and the reason again" \
		"$(json s status '.interfaces[0] | [.mode, .mode_reason] | tostring')" "$reason"
	expect "the first keeps its totals" \
		"$(json s status ".interfaces[0].ingress.packets >= $total")" true
	expect "and counts departures" "$(json s status '.interfaces[0].egress_prog_id > 0')" true
	expect "the second is not attached" "$(json s status '.interfaces | length')" 1
	knock_off "the second of two refused"
	in_ns s xdp-filter unload --all >/dev/null 2>&1
else
	skip "no xdp-filter that loads here: the second of two is not tested"
fi

# What auto said of its choice survives a refused attach, too.
pg s detach --all
expect_ok "attach" pg s attach pgs0
expect_ok "the rule" pg s -A INPUT $RULE
refused "a wrong name beside what auto chose" nosuch0 pgs0 nosuch0 --mode skb
summary
