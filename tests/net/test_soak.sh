#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A flood, and commands from two sides all the time: policies change, programs are replaced, interfaces come
# and go, everything is dumped. In the end every packet was counted once, nothing is left behind, and the
# kernel has not complained. PG_SOAK: for how many seconds.
SOAK=${PG_SOAK:-20}
export PG_TEST_TIMEOUT=${PG_TEST_TIMEOUT:-$((SOAK + 400))}
. "$(dirname "$0")/lib.sh"

need jq bpftool
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
own_bpffs
two_namespaces
UDP='-p udp -m udp --dport 53 -j DROP' TCP='-p tcp -m tcp --dport 80 -j DROP'
export SSH_CONNECTION=none

sent() {
	in_ns c awk '$1 == "pgc0:" { print $11 }' /proc/net/dev
}

# Programs on this instance's tables: its own, and what a command has failed to let go.
programs() {
	local id

	id=$(bpftool -j map show pinned "$STATE/pg_tables" | jq .id)
	bpftool -j prog list | jq "[.[] | select((.map_ids // []) | index($id))] | length"
}

maps() {
	bpftool -j map list | jq '[.[] | select((.name // "") | startswith("pg_"))] | length'
}
instances() {
	bpftool -j map list | jq '[.[] | select(.name == "pg_tables")] | length'
}

complaints() {
	dmesg 2>/dev/null | awk -v since="$1" -F'[][]' '$2 + 0 > since' |
		grep -E 'WARNING|BUG:|Oops|stall|lockup|use-after-free|refcount|leak'
}

# turn NAME COMMAND…: done again and again until the time is over; what went wrong stands in a file
turn() {
	local name=$1 n=0
	shift

	while [ ! -e "$WORK/over" ]; do
		"$@" >"$WORK/$name.out" 2>&1 || {
			echo "$name: $(cat "$WORK/$name.out")" >>"$WORK/wrong"
			sleep 1
		}
		n=$((n + 1))
	done
	echo "$name $n" >>"$WORK/turns"
}

change() {
	pg s restore -w 60 "$WORK/new" && pg s set -w 60 -exist add bad "10.1.$((RANDOM % 256)).$((RANDOM % 256))" &&
		pg s -w 60 -I INPUT 1 -p udp --dport 9 -j ACCEPT && pg s apply -w 60 "$WORK/old" --confirm 60 &&
		pg s confirm -w 60 && pg s rollback -w 60 && pg s set -w 60 flush bad && pg s restore -w 60 "$WORK/old"
}
# While a policy waits for its confirmation, everything else is refused; it does not wait for long.
once_confirmed() {
	local said

	until said=$(pg s "$@" 2>&1); do
		[[ $said =~ "is waiting for" ]] || { echo "$said" && return 1; }
	done
}
programs_change() {
	once_confirmed upgrade --force -w 60 && once_confirmed attach pgs1 --mode tc -w 60 &&
		once_confirmed detach pgs1 -w 60
}
look() {
	local command

	for command in "flows --json" "status --json" "ports --json" "save -c" "states --json" "reasons --json"; do
		# shellcheck disable=SC2086
		pg s $command >"$WORK/dump" || return
	done
}

printf '%s\n' '*filter' ':INPUT ACCEPT [0:0]' "-A INPUT $UDP" "-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT" \
	"-A INPUT $TCP" COMMIT >"$WORK/old"
printf '%s\n' '*filter' ':INPUT ACCEPT [0:0]' '-A INPUT -m set --match-set bad src -j DROP' "-A INPUT $UDP" \
	"-A INPUT $TCP" '-A INPUT -m limit --limit 5/s -j LOG' COMMIT >"$WORK/new"
ip link add pgs1 netns "$PREFIX-s" type veth peer name pgc1 netns "$PREFIX-c"
expect_ok "attach" pg s attach pgs0 --mode tc
expect_ok "a set" pg s set create bad hash:ip
expect_ok "a policy" pg s restore "$WORK/old"
expect_ok "flows" pg s track on
pins=$(ls "$STATE" | grep -v '^set_\|^policy_\|^past_') progs=$(programs) maps=$(maps) others=$(instances)
since=$(cut -d' ' -f1 /proc/uptime)
sent0=$(sent)

senders=()
for frame in udp53 tcp80; do
	nsenter --net="/run/netns/$PREFIX-c" "$TOOLS/net/send" pgc0 $frame 2000000000 20 &
	senders+=($!)
done
turns=()
for name in change programs_change look; do
	turn $name $name &
	turns+=($!)
done
sleep "$SOAK"
touch "$WORK/over"
wait "${turns[@]}"
kill "${senders[@]}"
wait "${senders[@]}" 2>/dev/null

n=$(($(sent) - sent0))
wait_for "the last packets" eval '[ "$(json s status ".interfaces[0].ingress.packets")" -ge '$n' ]'
expect "every command did what it should" "$(head -c 2000 "$WORK/wrong" 2>/dev/null)" ""
expect "each packet was counted once" "$(json s status '.interfaces[0].ingress.packets')" "$n"
expect "and by the rule that dropped it" "$(($(packets s "$UDP") + $(packets s "$TCP")))" "$n"
expect "the same is pinned as before" "$(ls "$STATE" | grep -v '^set_\|^policy_\|^past_')" "$pins"
wait_for "programs to go" eval '[ "$(programs)" = "$progs" ]'
expect "as many programs as before" "$(programs)" "$progs"
# A policy's text has a map, the one before it another; and the last eight that drops are kept of.
if [ "$others" = 1 ] && [ "$(instances)" = 1 ]; then
	expect "as many maps as before, or one" "$((($(maps) - $(ls "$STATE" | grep -c '^past_') - maps) / 2))" 0
else
	skip "other instances are on this machine: maps are not counted"
fi
expect "the kernel's log is clean" "$(complaints "$since")" ""
expect_ok "detach" pg s detach --all
expect "nothing is left" "$(ls -A "$STATE" 2>/dev/null)" ""
echo "note: $SOAK s, $n packets, $(sort "$WORK/turns" | tr '\n' ',')"
summary
