#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `portguard set`: what only a kernel can show, and the same commands to the real ipset.
. "$(dirname "$0")/lib.sh"

need jq
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
own_bpffs
two_namespaces

pset() {
	pg s set "$@"
}

# Life of a set ------------------------------------------------------------------------------------

expect "no instance: no sets" "$(pset list)" ""
expect_exit "no instance: no such set" 1 'does not exist$' pset add ban 192.0.2.1
expect_ok "create makes an instance" pset create ban hash:ip timeout 600
expect_ok "add" pset add ban 192.0.2.1
expect_ok "add with a timeout of its own" pset add ban 192.0.2.2 timeout 1
expect_ok "add one that stays" pset add ban 192.0.2.3 timeout 0
expect "another command sees them" \
	"$(pset list ban --json | jq -r '.sets[0].members | map(.elem) | sort | join(" ")')" \
	"192.0.2.1 192.0.2.2 192.0.2.3"
expect "seconds that are left" \
	"$(pset list ban --json |
		jq '.sets[0].members[] | select(.elem=="192.0.2.1") | .timeout > 590 and .timeout <= 600')" \
	true
sleep 1.2
expect_exit "expired: not in the set" 1 'is NOT in set' pset test ban 192.0.2.2
expect "expired: not listed" "$(pset list ban | grep -c '^192')" 2
expect_exit "expired: cannot be deleted" 1 "it's not added" pset del ban 192.0.2.2
expect_ok "expired: added anew without -exist" pset add ban 192.0.2.2
expect "the number of entries is right" "$(pset list -t ban --json | jq '.sets[0].entries')" 3

expect_ok "a set that is full" pset create small hash:ip maxelem 2 timeout 1
expect_ok "first" pset add small 192.0.2.1
expect_ok "second" pset add small 192.0.2.2
expect_exit "third" 1 'Hash is full' pset add small 192.0.2.3
sleep 1.2
expect_ok "what has expired makes room" pset add small 192.0.2.3

printf '%s\n' 'add ban 192.0.2.9' 'add ban 192.0.2.9' >"$WORK/twice"
expect_exit "restore stops with its line" 1 'Error in line 2: Element cannot be added' \
	pset restore -f "$WORK/twice"
expect_exit "and has changed nothing" 1 'is NOT' pset test ban 192.0.2.9
expect_ok "with -exist it is no error" pset -exist restore -f "$WORK/twice"

pset save -s | sed 's/timeout [1-9][0-9]*/timeout N/' >"$WORK/saved"
pset save -s >"$WORK/before"
expect_ok "destroy all" pset destroy
expect_ok "restore what was saved" pset restore -f "$WORK/before"
expect "it is the same" "$(pset save -s | sed 's/timeout [1-9][0-9]*/timeout N/')" "$(cat "$WORK/saved")"

# A new list for an old one, as `ipset restore` files do it.
printf '%s\n' 'create new hash:ip timeout 600' 'add new 198.51.100.1' 'swap new ban' 'destroy new' |
	pset restore
expect "swap in a new list" "$(pset list ban --json | jq -r '.sets[0].members[].elem')" 198.51.100.1
expect "the old one is gone" "$(pset list -n | tr '\n' ' ')" "ban small "

{
	echo 'create many hash:ip maxelem 300000'
	seq 0 199999 | awk '{ printf "add many 10.%d.%d.%d\n", $1 / 65536, $1 / 256 % 256, $1 % 256 }'
} >"$WORK/many"
sed -i 's/10\.0\.0\.0$/10.9.0.0/' "$WORK/many"
expect_ok "200 000 entries" pset restore -f "$WORK/many"
expect "all of them are there" "$(pset list many | tail -n +9 | sort -u | wc -l)" 200000
expect "a hash grows" "$(pset list -t many --json | jq '.sets[0].hashsize')" 262144
expect_ok "one of them" pset test many 10.2.3.4
expect_ok "one more, which does not read them all" pset add many 10.200.0.1

# Rules that name a set ------------------------------------------------------------------------------

R='-m set --match-set ban src -j DROP' P='-m set --match-set svc dst,dst -j DROP'
send() {
	in_ns c "$TOOLS/net/send" pgc0 "$@"
}

# verdict_of WHAT RULE FRAME PACKETS: so many of three frames the rule counts
verdict_of() {
	local rule=$2 before policy

	before=$(packets s "$rule")
	policy=$(packets s policy)
	send "$3" 3
	wait_for "three packets" eval \
		'[ $(($(packets s "$rule") + $(packets s policy) - before - policy)) = 3 ]'
	expect "$1" $(($(packets s "$rule") - before)) "$4"
}

expect_ok "attach" pg s attach pgs0 --mode native
expect_ok "a rule for a set" pg s -A INPUT $R
verdict_of "not in the set" "$R" tcp80 0
expect_ok "a ban" pset add ban 10.77.0.2 timeout 0
verdict_of "banned, at once and without a commit" "$R" tcp80 3
expect_ok "the ban is lifted" pset del ban 10.77.0.2
verdict_of "not banned any more" "$R" tcp80 0
expect_ok "a short ban" pset add ban 10.77.0.2 timeout 1
sleep 1.2
verdict_of "the ban has ended by itself" "$R" tcp80 0
expect_ok "another list" pset create other hash:ip timeout 5
expect_ok "which bans" pset add other 10.77.0.2 timeout 0
expect_ok "swapped in" pset swap ban other
verdict_of "the rule asks the new list" "$R" tcp80 3
expect_ok "flush" pset flush ban
verdict_of "nobody is banned" "$R" tcp80 0

expect_ok "addresses and ports" pset create svc hash:ip,port
expect_ok "one of them" pset add svc 10.77.0.1,udp:53
expect_ok "its rule" pg s -A INPUT $P
verdict_of "that service" "$P" udp53 3
verdict_of "another" "$P" tcp80 0
expect_ok "one direction too few" pg s -R INPUT 2 -m set --match-set svc dst -j DROP
verdict_of "never matches" "-m set --match-set svc dst -j DROP" udp53 0

expect_exit "in use: not destroyed" 1 'cannot be destroyed: it is in use' pset destroy ban
expect_exit "in use: none destroyed" 1 'cannot be destroyed: it is in use' pset destroy
expect "none is" "$(pset list -n | tr '\n' ' ')" "ban small many other svc "
expect_exit "in use: not renamed" 1 'cannot be renamed: it is in use' pset rename ban bar
expect "references" "$(pset list -t ban --json | jq '.sets[0].references')" 1
expect_exit "a set that does not exist" 2 "Set nope doesn't exist" \
	pg s -A INPUT -m set --match-set nope src -j DROP
expect_ok "no rules" pg s -F INPUT
expect_ok "no longer in use" pset destroy ban
expect_ok "detach --all takes the sets, too" pg s detach --all
expect "none are left" "$(pset list)" ""

# The real ipset ---------------------------------------------------------------------------------------

command -v ipset >/dev/null && in_ns s ipset create probe hash:ip 2>/dev/null || {
	skip "the same commands to ipset: it is not installed, or not in the kernel"
	summary
	exit 0
}
in_ns s ipset destroy

# Answers with their command's number, without what portguard leaves out or counts another way, and
# in order: a hash has its own.
normal() {
	awk '/^### / { n++ } { printf "%03d %s\n", n, $0 }' "$1" |
		sed -E -e 's/ (ipset v[0-9.]+|portguard v[0-9.]+): / /' -e 's/ bucketsize [0-9]+//' \
			-e 's/ initval 0x[0-9a-f]+//' -e '/^[0-9]+ (Revision|Size in memory):/d' \
			-e 's/(ipset help|portguard set --help)/HELP/' \
			-e 's/timeout ([0-9]+)[0-9]$/timeout \1x/' | LC_ALL=C sort
}

# run_all COMMAND…: each line of set.commands with it; a line that begins with < is for restore
run_all() {
	local line words

	while read -r line; do
		echo "### $line"
		if [ "${line:0:1}" = '<' ]; then
			printf '%b' "${line:1}" | "$@" restore 2>&1
			echo "exit ${PIPESTATUS[1]}"
		else
			eval "words=($line)"
			"$@" "${words[@]}" 2>&1
			echo "exit $?"
		fi
	done <"$(dirname "$0")/set.commands"
}
# One after the other and inside the namespace: entering it for each of them takes minutes.
export -f run_all
in_ns s bash -c 'run_all ipset' "$0" >"$WORK/theirs"
in_ns s bash -c 'run_all "$@"' "$0" "$PORTGUARD" --state "$STATE" set >"$WORK/ours"

normal "$WORK/theirs" >"$WORK/theirs.normal"
normal "$WORK/ours" >"$WORK/ours.normal"
differ=" $(diff "$WORK/theirs.normal" "$WORK/ours.normal" |
	sed -n 's/^[<>] \([0-9]*\) .*/\1/p' | sort -u | tr '\n' ' ')"
number=0
while read -r line; do
	number=$((number + 1))
	n=$(printf %03d $number)
	if [[ $differ == *" $n "* ]]; then
		fail "as ipset: $line" "$(grep "^$n " "$WORK/ours.normal")" \
			"wanted: $(grep "^$n " "$WORK/theirs.normal")"
	else
		pass "as ipset: $line"
	fi
done <"$(dirname "$0")/set.commands"
expect "every command was run" "$(grep -c '^### ' "$WORK/ours")" $number
pg s detach --all
summary
