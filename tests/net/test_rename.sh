#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# An interface that is renamed stays the one it was; another that takes its old name is another.
. "$(dirname "$0")/lib.sh"

need jq ethtool
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
own_bpffs
two_namespaces
RULE='-p tcp -m tcp --dport 80 -j DROP'

# rename FROM TO: in the server's namespace
rename() {
	in_ns s ip link set "$1" down && in_ns s ip link set "$1" name "$2" &&
		in_ns s ip link set "$2" up
	wait_for "link" in_ns c sh -c 'ip link show pgc0 | grep -q LOWER_UP'
}

names() {
	json s status '.interfaces | map(.name) | sort | join(" ")'
}

# of NAME FILTER: what status has of this interface
of() {
	json s status ".interfaces[] | select(.name == \"$1\") | $2"
}

send() {
	in_ns c "$TOOLS/net/send" "$@"
}

# rule_gets WHAT COUNT: not one more either
rule_gets() {
	wait_for "$1" eval '[ "$(packets s "$RULE")" -ge '"$2"' ]'
	expect "$1" "$(packets s "$RULE")" "$2"
}

for mode in tc native; do
	expect_ok "$mode: attach v0" pg s attach pgs0 --mode $mode
	rename pgs0 v0
	expect_ok "$mode: attach v0 under its name" pg s attach v0 --mode $mode
	expect_ok "$mode: a rule" pg s -A INPUT $RULE
	send pgc0 tcp80 3
	rule_gets "$mode: each packet counts once" 3
	total=$(of v0 .ingress.packets)

	prog=$(of v0 .xdp_prog_id)
	rename v0 v7
	expect "$mode: status has the new name" "$(names)" v7
	expect "$mode: it is not gone" "$(of v7 '.gone // false')" false
	[[ $(pg s status) =~ v7 ]] && ! [[ $(pg s status) =~ v0|pgs0 ]] &&
		pass "$mode: status prints the new name" ||
		fail "$mode: status prints the new name" "$(pg s status)"
	send pgc0 tcp80 2
	rule_gets "$mode: it filters on" 5
	expect_ok "$mode: attach by the new name" pg s attach v7 --mode $mode
	expect "$mode: it is the same program" "$(of v7 .xdp_prog_id)" "$prog"
	expect "$mode: and one interface" "$(names)" v7
	send pgc0 tcp80 4
	rule_gets "$mode: each packet still counts once" 9
	expect "$mode: the interface has its totals from before" \
		"$(($(of v7 .ingress.packets) - total))" 6
	expect_exit "$mode: the old name is nobody's" 1 v0 pg s detach v0

	# A rule by the old name and one by the new: the packet's interface has the new one.
	expect_ok "$mode: a rule by the old name" pg s -I INPUT -i v0 -p tcp --dport 80 -j DROP
	expect_ok "$mode: a rule by the new name" pg s -I INPUT -i v7 -p tcp --dport 80 -j DROP
	send pgc0 tcp80 1
	wait_for "the rule by name" eval \
		'[ "$(packets s "-i v7 -p tcp -m tcp --dport 80 -j DROP")" = 1 ]' &&
		pass "$mode: -i asks for the new name"
	expect "$mode: nothing has the old name" \
		"$(packets s "-i v0 -p tcp -m tcp --dport 80 -j DROP")" 0
	expect_ok "$mode: both go" pg s -D INPUT 1
	expect_ok "$mode: both are gone" pg s -D INPUT 1

	# Another takes the old name.
	ip link add v0 netns "$PREFIX-s" address 02:77:00:00:00:01 type veth \
		peer name pgc1 netns "$PREFIX-c" address 02:77:00:00:00:02
	in_ns s ip link set v0 up
	in_ns c ip link set pgc1 up
	wait_for "the other link" in_ns c sh -c 'ip link show pgc1 | grep -q LOWER_UP'
	expect "$mode: the other is not attached by its name" "$(names)" v7
	expect_exit "$mode: nor to be detached" 1 v0 pg s detach v0
	send pgc1 tcp80 5
	sleep 0.2
	expect "$mode: its packets are not filtered" "$(packets s "$RULE")" 9
	expect_ok "$mode: attach the other" pg s attach v0 --mode $mode
	expect "$mode: these are two" "$(names)" "v0 v7"
	expect "$mode: with a program each" "$(json s status \
		'.interfaces | map(.xdp_prog_id) | unique | length')" 2
	expect "$mode: the other begins at nothing" "$(of v0 .ingress.packets)" 0
	before=$(of v7 .ingress.packets)
	send pgc1 tcp80 2
	rule_gets "$mode: its packets are filtered now" 11
	expect "$mode: they are its own" "$(of v0 .ingress.packets)" 2
	expect "$mode: and not the first's" "$(of v7 .ingress.packets)" "$before"

	expect_ok "$mode: detach by the new name" pg s detach v7
	expect "$mode: the other stays" "$(names)" v0
	send pgc0 tcp80 3
	send pgc1 tcp80 1
	rule_gets "$mode: only the other's packets count" 12
	expect_ok "$mode: detach --all" pg s detach --all
	expect "$mode: nothing is pinned" "$(find "$STATE" 2>/dev/null | wc -l)" 0
	in_ns s ip link del v0
	rename v7 pgs0
done

# The name changes hands between two interfaces of one instance.
ip link add pgs1 netns "$PREFIX-s" address 02:77:00:00:00:01 type veth \
	peer name pgc1 netns "$PREFIX-c" address 02:77:00:00:00:02
in_ns s ip link set pgs1 up
in_ns c ip link set pgc1 up
expect_ok "attach two" pg s attach pgs0 pgs1 --mode tc
expect_ok "a rule, so that no answer asks for addresses" pg s -A INPUT $RULE
in_ns s ip link set pgs0 down
in_ns s ip link set pgs1 down
in_ns s ip link set pgs0 name swap
in_ns s ip link set pgs1 name pgs0
in_ns s ip link set swap name pgs1
in_ns s ip link set pgs0 up
in_ns s ip link set pgs1 up
wait_for "link" in_ns c sh -c 'ip link show pgc0 | grep -q LOWER_UP'
wait_for "link" in_ns c sh -c 'ip link show pgc1 | grep -q LOWER_UP'
expect "names may be swapped" "$(names)" "pgs0 pgs1"
first=$(of pgs1 .ingress.packets) second=$(of pgs0 .ingress.packets)
send pgc0 tcp80 3
wait_for "arrivals" eval '[ "$(of pgs1 .ingress.packets)" = $((first + 3)) ]'
expect "the first counts under its new name" "$(($(of pgs1 .ingress.packets) - first))" 3
expect "the second does not" "$(of pgs0 .ingress.packets)" "$second"
expect_ok "detach one of them" pg s detach pgs1
send pgc1 tcp80 2
wait_for "arrivals" eval '[ "$(of pgs0 .ingress.packets)" = $((second + 2)) ]' &&
	pass "it was the right one"
expect_ok "detach --all" pg s detach --all

# Deleted, and made anew with the old name: another, which has no filter until it is attached.
expect_ok "attach" pg s attach pgs1 --mode tc
in_ns s ip link del pgs1
ip link add pgs1 netns "$PREFIX-s" address 02:77:00:00:00:01 type veth \
	peer name pgc9 netns "$PREFIX-c" address 02:77:00:00:00:02
in_ns s ip link set pgs1 up
in_ns c ip link set pgc9 up
expect "one that is deleted and made anew is not attached" \
	"$(json s status '.interfaces | map(select(.gone | not)) | length')" 0
expect_ok "it can be attached" pg s attach pgs1 --mode tc
expect_ok "a rule" pg s -A INPUT $RULE
send pgc9 tcp80 2
rule_gets "and filters" 2
expect_ok "detach --all" pg s detach --all
expect "nothing is pinned" "$(find "$STATE" 2>/dev/null | wc -l)" 0
summary
