#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Several interfaces of one instance, and two instances side by side.
. "$(dirname "$0")/lib.sh"

need jq
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
own_bpffs
two_namespaces

# A second pair beside the first, with the same Ethernet addresses: send.c needs no others.
ip link add pgs1 netns "$PREFIX-s" address 02:77:00:00:00:01 type veth \
	peer name pgc1 netns "$PREFIX-c" address 02:77:00:00:00:02
in_ns s ip link set pgs1 up
in_ns c ip link set pgc1 up

send() {
	in_ns c "$TOOLS/net/send" "$@"
}

# One instance, two interfaces: rules by interface.
D0='-i pgs0 -p tcp -m tcp --dport 80 -j DROP' A1='-i pgs1 -p tcp -m tcp --dport 80 -j ACCEPT'
expect_ok "a policy before anything is attached to it" pg s attach pgs0 --mode native
expect_ok "a rule for an interface" pg s -A INPUT $D0
expect_ok "a rule for one that is not attached yet" pg s -A INPUT $A1
expect_ok "a rule by pattern" pg s -A INPUT -i pgs+ -p tcp --dport 80
expect_ok "attach the second in another mode" pg s attach pgs1 --mode tc
expect "both are listed" "$(json s status '.interfaces | map(.name) | sort | join(" ")')" \
	"pgs0 pgs1"
send pgc0 tcp80 3
send pgc1 tcp80 4
wait_for "seven packets" eval '[ "$(port_count s tcp 80 .in.packets)" = 7 ]'
expect "the rule for the first interface" "$(packets s "$D0")" 3
expect "the rule for the second, attached after it was written" "$(packets s "$A1")" 4
expect "each interface has its own totals" \
	"$(json s status '.interfaces | map("\(.name) \(.ingress.packets)") | sort | join(", ")')" \
	"pgs0 3, pgs1 4"
expect_ok "detach the first" pg s detach pgs0
send pgc1 tcp80 1
wait_for "one more on the second" eval '[ "$(packets s "$A1")" = 5 ]' &&
	pass "the second goes on without the first"
expect_ok "detach --all" pg s detach --all

# Two instances on two interfaces.
other() {
	in_ns s "$PORTGUARD" --state "$STATE-other" "$@"
}
expect_ok "attach one instance" pg s attach pgs0 --mode native
expect_ok "attach another" other attach pgs1 --mode native
expect_ok "a rule here" pg s -A INPUT -p tcp --dport 80 -j DROP
expect "is not there" "$(other -S INPUT)" "-P INPUT ACCEPT"
send pgc0 tcp80 2
send pgc1 tcp80 3
wait_for "both" eval '[ "$(port_count s tcp 80 .in.packets)" = 2 ]'
expect "counters here" "$(port_count s tcp 80 .in.packets)" 2
expect "counters there" \
	"$(other ports --json | jq '[.ports[] | select(.port==80)][0].in.packets // 0')" 3
expect "drops here only" \
	"$(other ports --json | jq '[.ports[] | select(.port==80)][0].in.dropped // 0')" 0
expect_exit "what one holds the other does not take" 1 'portguard' other attach pgs0 --mode native
expect_ok "detach one" pg s detach --all
expect "the other stays" "$(other status --json | jq -r '.interfaces[0].name')" pgs1
send pgc1 tcp80 1
wait_for "its next packet" eval \
	'[ "$(other ports --json | jq "[.ports[] | select(.port==80)][0].in.packets")" = 4 ]' &&
	pass "and goes on counting"
expect_ok "detach the other" other detach --all
summary
