#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Another version takes over while packets pass: none is lost, none meets no policy, and policy, flows and
# counters stay. What it can't read it refuses with words, and can still remove.
. "$(dirname "$0")/lib.sh"

need jq ethtool nc
[ -x "$TOOLS/net/send" ] && [ -x "$TOOLS/net/layout" ] || skip_all "not built: $TOOLS/net/send, layout"
grep -q 'clang version' "$PORTGUARD" || skip_all "nothing in this binary says which clang made its programs"
own_bpffs
two_namespaces
OTHER=$WORK/portguard
# The same programs, that say of themselves that another compiler made them.
LC_ALL=C sed 's/clang version/clanG version/' "$PORTGUARD" >"$OTHER" && chmod +x "$OTHER"
RULE='-p udp -m udp --dport 53 -j DROP'

other() {
	in_ns s "$OTHER" --state "$STATE" "$@"
}

of() {
	json s status ".interfaces[0].$1"
}

sent() {
	in_ns c awk '$1 == "pgc0:" { print $11 }' /proc/net/dev
}

# swap WHAT COMMAND…: packets pass while the command runs; each of them is counted, once
swap() {
	local what=$1 before=$(packets s "$RULE") total=$(of ingress.packets) prog=$(of xdp_prog_id) sender
	local text=$(policy) out=$(of egress_prog_id) sent0=$(sent) n
	shift

	nsenter --net="/run/netns/$PREFIX-c" "$TOOLS/net/send" pgc0 udp53 10000000 100 &
	sender=$!
	wait_for "packets" eval '[ "$(packets s "$RULE")" -gt '"$before"' ]'
	expect_ok "$what" "$@"
	n=$(packets s "$RULE")
	wait_for "packets behind it" eval '[ "$(packets s "$RULE")" -gt '"$n"' ]'
	kill $sender
	wait $sender 2>/dev/null
	n=$(($(sent) - sent0))
	wait_for "$what: all packets" eval '[ "$(packets s "$RULE")" -ge $((before + n)) ]'
	expect "$what: each packet counted once, by the rule" "$(packets s "$RULE")" $((before + n))
	expect "$what: and of the interface" "$(of ingress.packets)" $((total + n))
	expect "$what: the programs are others" \
		"$([ "$(of xdp_prog_id)" != "$prog" ] && [ "$(of egress_prog_id)" != "$out" ] && echo yes)" yes
	expect "$what: the policy is the same" "$(policy)" "$text"
}

# versions KIND MODE
versions() {
	local kind=$1 mode=$2

	expect_ok "$kind: attach" pg s attach pgs0 --mode "$mode"
	expect "$kind: its own" "$(of outdated)" false
	expect_ok "$kind: a rule" pg s restore <<-RULES
		*filter
		:INPUT ACCEPT [0:0]
		-A INPUT $RULE
		-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
		COMMIT
	RULES
	expect_ok "$kind: a connection" host_answers 7001
	flows=$(json s flows '.flows | length')
	swap "$kind: attach by another version" other attach pgs0 --mode "$mode"
	expect "$kind: the first one says so" "$(of outdated)" true
	[[ $(pg s status) =~ "portguard upgrade" ]] && pass "$kind: and what to do" ||
		fail "$kind: and what to do" "$(pg s status)"
	swap "$kind: upgrade" pg s upgrade
	expect "$kind: its own again" "$(of outdated)" false
	expect "$kind: flows are still there" "$(json s flows '.flows | length')" "$flows"
	expect "$kind: mode" "$(of mode)" "$mode"
	expect "$kind: nothing else to do" "$(pg s upgrade)" "pgs0: has this version's programs already"
	expect "$kind: one pin for each direction" "$(find "$STATE" -type f \
		\( -name 'link_*' -o -name 'prog_*' -o -name 'new_*' -o -name 'next_*' \) | wc -l)" 2
	expect_ok "$kind: detach" pg s detach --all
}

versions tc tc
versions native native
export PORTGUARD_NO_TCX=1
versions "classic TC" tc
unset PORTGUARD_NO_TCX

expect_exit "nothing to upgrade" 1 "nothing is attached" pg s upgrade

# A layout of another number: refused with what to type, which is what helps.
expect_ok "attach" pg s attach pgs0 --mode tc
expect_ok "a rule" pg s -A INPUT -p udp --dport 53 -j DROP
"$TOOLS/net/layout" "$STATE" -1
for command in status "attach pgs0" upgrade save "-A INPUT -j DROP" "detach pgs0"; do
	# shellcheck disable=SC2086
	expect_exit "another layout: $command" 3 "another version of portguard .*'portguard detach --all'" \
		pg s $command
done
in_ns c "$TOOLS/net/send" pgc0 udp53 10
"$TOOLS/net/layout" "$STATE" 1
wait_for "another layout: the filter goes on" eval '[ "$(packets s "$RULE")" = 10 ]' && pass "it goes on"
"$TOOLS/net/layout" "$STATE" 1
expect_ok "another layout: detach --all" pg s detach --all
expect "another layout: nothing is left" "$(ls -A "$STATE" 2>/dev/null)$(
	bpftool net show dev pgs0 2>/dev/null | grep portguard)" ""

# Of another layout: what a map is too small for can't be read, and is not touched but to be removed.
for kind in TCX classic; do
	[ $kind = TCX ] || export PORTGUARD_NO_TCX=1
	expect_ok "$kind: attach" pg s attach pgs0 --mode tc
	rm "$STATE/pg_ifaces" && bpftool map create "$STATE/pg_ifaces" type array key 4 value 8 entries 64 \
		name pg_ifaces flags 0x400
	for command in status "attach pgs0" upgrade "-A INPUT -j DROP" "detach pgs0"; do
		# shellcheck disable=SC2086
		expect_exit "$kind: damaged: $command" 3 "damaged.*detach --all" pg s $command
	done
	expect_ok "$kind: it can be removed" pg s detach --all
	expect "$kind: nothing is left of it" "$(ls -A "$STATE" 2>/dev/null)$(
		bpftool net show dev pgs0 2>/dev/null | grep portguard)" ""
	expect "$kind: no filter is left" "$(in_ns s tc filter show dev pgs0 ingress 2>/dev/null)" ""
	expect_ok "$kind: and the next one begins" pg s attach pgs0 --mode tc
	pg s detach --all
done
summary
