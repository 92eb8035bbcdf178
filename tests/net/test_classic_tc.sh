#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# TC as it was before TCX (Linux 6.6): filters of a clsact qdisc, which anybody can take away.
. "$(dirname "$0")/lib.sh"

need ethtool jq tc
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
own_bpffs
two_namespaces
export PORTGUARD_NO_TCX=1
RULE='-p tcp -m tcp --dport 80 -j DROP'

other() {
	in_ns s "$PORTGUARD" --state "$STATE-other" "$@"
}

send() {
	in_ns c "$TOOLS/net/send" pgc0 "$@"
}

# Our filters on ingress and egress, as numbers: "1 1"
filters() {
	local dir

	for dir in ingress egress; do
		in_ns s tc filter show dev pgs0 $dir | grep -c 'direct-action'
	done | xargs
}

# rule_gets WHAT COUNT: not one more either
rule_gets() {
	wait_for "$1" eval '[ "$(packets s "$RULE")" -ge '"$2"' ]'
	expect "$1" "$(packets s "$RULE")" "$2"
}

other_packets() {
	other ports --json | jq '[.ports[] | select(.proto == "tcp" and .port == 80)][0].in.packets // 0'
}

gone() {
	json s status '.interfaces[0].gone // false'
}

expect_ok "attach" pg s attach pgs0 --mode tc
expect "it is a filter for each direction" "$(filters)" "1 1"
expect "and no link" "$(find "$STATE" -name 'link_*' | wc -l)" 0
expect "status names tc" "$(json s status '.interfaces[0].mode')" tc
expect "and has both programs" "$(json s status \
	'.interfaces[0] | .xdp_prog_id > 0 and .egress_prog_id > 0')" true
expect "nothing is gone" "$(gone)" false
expect_ok "packets pass" host_answers 99
expect "arrivals are counted" "$(port_count s tcp 99 .in.packets)" 1
expect "departures are counted" "$(port_count s tcp 99 .out.packets)" 1
expect_ok "a rule" pg s -A INPUT $RULE
send tcp80 3
rule_gets "it filters" 3
expect "drops are counted at their port" "$(port_count s tcp 80 .in.dropped)" 3
send bad-checksum 2
wait_for "wrong checksums" eval '[ "$(reason_count s bad-checksum)" = 2 ]' &&
	pass "it drops for reasons of its own"

ids=$(json s status '.interfaces[0] | [.xdp_prog_id, .egress_prog_id] | tostring')
expect_ok "attach again" pg s attach pgs0 --mode tc
expect "changes nothing" \
	"$(json s status '.interfaces[0] | [.xdp_prog_id, .egress_prog_id] | tostring')" "$ids"
expect "it is still a filter for each direction" "$(filters)" "1 1"
send tcp80 1
rule_gets "each packet counts once" 4
expect_ok "attach without egress" pg s attach pgs0 --mode tc --no-egress
expect "that filter is gone" "$(filters)" "1 0"
expect_ok "attach with egress" pg s attach pgs0 --mode tc
expect "it is back" "$(filters)" "1 1"

# Somebody takes the qdisc away, and all filters with it.
in_ns s tc qdisc del dev pgs0 clsact
expect "status notices that the filters are gone" "$(gone)" true
expect "no program is said to run" "$(json s status \
	'.interfaces[0] | (.xdp_prog_id // 0) + (.egress_prog_id // 0)')" 0
send tcp80 1
sleep 0.2
expect "nothing is filtered then" "$(packets s "$RULE")" 4
expect_ok "attach repairs it" pg s attach pgs0 --mode tc
expect "the filters are back" "$(filters)" "1 1"
expect "status says so" "$(gone)" false
send tcp80 2
rule_gets "it filters again, and counts on" 6

# One direction only.
in_ns s tc filter del dev pgs0 egress
expect "a lost egress filter is noticed" "$(json s status '.interfaces[0].egress_prog_id // 0')" 0
expect_ok "attach repairs egress" pg s attach pgs0 --mode tc
expect "both are there" "$(filters)" "1 1"
in_ns s tc filter del dev pgs0 ingress
expect "a lost ingress filter is noticed" "$(gone)" true
expect_ok "attach repairs ingress" pg s attach pgs0 --mode tc
expect "both are there again" "$(filters)" "1 1"

# Two instances on one interface: the first in order decides, so the second gets what it passes.
expect_ok "another instance on the same interface" other attach pgs0 --mode tc
expect "each has its filters" "$(filters)" "2 2"
expect "the first is not gone" "$(gone)" false
expect "nor is the other" "$(other status --json | jq -r '.interfaces[0].gone // false')" false
pg s -F INPUT
seen=$(port_count s tcp 80 .in.packets) seen_other=$(other_packets)
send tcp80 3
wait_for "both to count" eval '[ "$(port_count s tcp 80 .in.packets)" = $((seen + 3)) ]'
expect "both see an accepted packet" "$(($(other_packets) - seen_other))" 3
expect_ok "a rule in the other" other -A INPUT $RULE
send tcp80 2
wait_for "the other's drops" eval \
	'[ "$(other save -c | grep -c "^\[2:80\] -A INPUT $RULE")" = 1 ]' &&
	pass "what the first accepts, the other still drops"
resets0=$(port_count s tcp 80 .out.packets)
send tcp80 2
sleep 0.2
expect "it is dropped for good" "$(($(port_count s tcp 80 .out.packets) - resets0))" 0
expect_ok "detach the first" pg s detach pgs0
expect "the other's filters stay" "$(filters)" "1 1"
expect "it is not gone" "$(other status --json | jq -r '.interfaces[0].gone // false')" false
seen_other=$(other_packets)
send tcp80 2
wait_for "the other's packets" eval '[ "$(other_packets)" = $((seen_other + 2)) ]' &&
	pass "the other goes on"
expect_ok "the first comes back" pg s attach pgs0 --mode tc
expect "each has its filters again" "$(filters)" "2 2"
expect_ok "detach the other" other detach --all
expect "the first's filters stay" "$(filters)" "1 1"
expect "and it is not gone" "$(gone)" false
expect_ok "detach the first" pg s detach --all
expect "no filter is left" "$(filters)" "0 0"
expect "nothing is pinned" "$(find "$STATE" "$STATE-other" 2>/dev/null | wc -l)" 0

# Somebody else's filter is not ours to take.
in_ns s tc qdisc replace dev pgs0 clsact
expect_ok "a foreign filter, which matches nothing" in_ns s tc filter add dev pgs0 ingress \
	prio 100 protocol all bpf bytecode '1,6 0 0 0' flowid 1:1
foreign=$(in_ns s tc filter show dev pgs0 ingress)
expect_ok "attach beside a foreign filter" pg s attach pgs0 --mode tc
expect_ok "detach beside it" pg s detach --all
expect "the foreign filter is as it was" "$(in_ns s tc filter show dev pgs0 ingress)" "$foreign"

# Between the two ways: what one attached, the other takes over.
expect_ok "attach the classic way" pg s attach pgs0 --mode tc --no-egress
unset PORTGUARD_NO_TCX
expect_ok "change to native" pg s attach pgs0 --mode native
expect "its filter is gone" "$(in_ns s tc filter show dev pgs0 ingress)" "$foreign"
expect_ok "a rule" pg s -A INPUT $RULE
send tcp80 2
rule_gets "each packet counts once after the change" 2
expect_ok "detach --all" pg s detach --all
expect "the foreign filter outlives that, too" \
	"$(in_ns s tc filter show dev pgs0 ingress)" "$foreign"
expect "and is there" "$([ -n "$foreign" ] && echo yes)" yes
summary
