#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# -m connlimit: connections that are opened, kept and closed, counted by the same rules of
# iptables-legacy and of portguard; and what a limit lets in.
. "$(dirname "$0")/lib.sh"

need iptables-legacy-restore ip6tables-legacy-restore
for tool in hold send; do
	[ -x "$TOOLS/net/$tool" ] || skip_all "not built: $TOOLS/net/$tool"
done
own_bpffs
two_namespaces
in_ns s iptables-legacy -A INPUT -m connlimit --connlimit-above 3 2>/dev/null ||
	skip_all "no -m connlimit in this kernel"
in_ns s iptables-legacy -F
expect_ok "attach" pg s attach pgs0 --mode tc
for n in 3 4 5 129; do
	in_ns c ip addr add 10.77.0.$n/24 dev pgc0
	in_ns s ip neigh replace 10.77.0.$n lladdr 02:77:00:00:00:02 nud permanent dev pgs0
	in_ns c ip addr add fd77::$n/64 dev pgc0 nodad
	in_ns s ip neigh replace fd77::$n lladdr 02:77:00:00:00:02 nud permanent dev pgs0
done

# hold ADDRESS PORT: a server that keeps what it accepts
hold() {
	nsenter --net="/run/netns/$PREFIX-s" "$TOOLS/net/hold" "$1" "$2" &
	wait_for "a server on $2" listening s tcp "$2"
}

# open SOURCE ADDRESS PORT: a connection, kept by a process of its own; sets `opened` to its pid, or
# to nothing where it was refused
open() {
	: >"$WORK/nc"
	nsenter --net="/run/netns/$PREFIX-c" nc -v -w 30 -s "$1" "$2" "$3" <"$WORK/fifo" >/dev/null 2>"$WORK/nc" &
	opened=$!
	wait_for "an answer" grep -qE 'succeeded|refused|timed out' "$WORK/nc"
	grep -q succeeded "$WORK/nc" || opened=
}

shut() { # PID: with a FIN, as nc ends
	kill "$1" 2>/dev/null
	wait "$1" 2>/dev/null
	sleep 0.2
}

# Only what may begin a connection: of other packets kernels make different things (ct.bpf.h).
rules() { # 4|6
	local n mask masks='0 25 32'

	[ "$1" = 4 ] || masks='0 64 121 128'
	echo '*filter'
	for n in 0 1 2 3 4 5 6; do
		for mask in $masks; do
			echo "-A INPUT -p tcp -m tcp --dport 2001 --syn -m connlimit --connlimit-above $n --connlimit-mask $mask"
			echo "-A INPUT -p tcp -m tcp --dport 2001 --syn -m connlimit --connlimit-upto $n --connlimit-mask $mask"
		done
		echo "-A INPUT -m conntrack --ctstate NEW -m connlimit --connlimit-above $n --connlimit-daddr"
		echo "-A INPUT -p udp -m conntrack --ctstate NEW -m connlimit --connlimit-above $n"
		echo "-A INPUT -p tcp -m conntrack --ctstate INVALID -m connlimit --connlimit-above $n"
	done
	echo COMMIT
}

answers() {
	sed -nE 's/^\[([0-9]*):[0-9]*\] -A INPUT .*/\1/p' | nl | sed 's/^ *//'
}

compare() { # WHAT 4|6
	local tool=iptables-legacy-save

	[ "$2" = 4 ] || tool=ip6tables-legacy-save
	sleep 0.3
	in_ns s $tool -c -t filter | answers >"$WORK/kernel"
	pg s save -c "-$2" | answers >"$WORK/ours"
	if cmp -s "$WORK/kernel" "$WORK/ours" && grep -qv '	0$' "$WORK/ours"; then
		pass "$1"
	else
		fail "$1" "$(diff "$WORK/kernel" "$WORK/ours" | sed -nE 's/^([<>]) ([0-9]*)\t(.*)/\1 \2 \3/p' |
			while read -r side n count; do
				echo "$side $count: $(sed -n "$((n + 1))s/-A INPUT //p" "$WORK/rules")"
			done | head -n 12)"
	fi
}

mkfifo "$WORK/fifo"
exec 9<>"$WORK/fifo"

# Connections of one and of many addresses, some of which go away in between.
scenario() { # 4|6 SERVER NETWORK
	local a b c d us=$2 net=$3

	rules "$1" >"$WORK/rules"
	pg s -F INPUT
	pg s restore "-$1" "$WORK/rules" || fail "portguard refuses"
	in_ns s "$([ "$1" = 4 ] && echo iptables || echo ip6tables)-legacy-restore" <"$WORK/rules" ||
		fail "iptables refuses"
	open "${net}2" "$us" 2001 && a=$opened
	open "${net}2" "$us" 2001 && b=$opened
	compare "IPv$1: two of one address" "$1"
	open "${net}2" "$us" 2001 && c=$opened
	open "${net}3" "$us" 2001 && d=$opened
	compare "IPv$1: and one of another" "$1"
	shut "$a"
	open "${net}2" "$us" 2001 && a=$opened
	compare "IPv$1: one is closed, another comes" "$1"
	shut "$b"
	shut "$c"
	open "${net}4" "$us" 2001 && b=$opened
	open "${net}129" "$us" 2001 && c=$opened
	open "${net}2" "$us" 2001
	compare "IPv$1: more of them" "$1"
	for pid in "$a" "$b" "$c" "$d" "$opened"; do
		shut "$pid"
	done
	open "${net}2" "$us" 2001
	compare "IPv$1: all are closed, and one comes" "$1"
	shut "$opened"
}

hold 10.77.0.1 2001
hold fd77::1 2001
scenario 4 10.77.0.1 10.77.0.
for i in 1 2 3; do
	in_ns c "$TOOLS/net/send" pgc0 udp53 2
	in_ns c bash -c "echo x >/dev/udp/10.77.0.1/53"
	in_ns c "$TOOLS/net/send" pgc0 syn-ack
done
compare "datagrams, and what is no connection" 4
scenario 6 fd77::1 fd77::

# What is refused is no connection, and a place that is left is there for the next.
pg s -F INPUT
expect_ok "a limit" pg s -A INPUT -p tcp --syn --dport 2001 -m connlimit --connlimit-above 2 -j REJECT \
	--reject-with tcp-reset
open 10.77.0.2 10.77.0.1 2001 && a=$opened
open 10.77.0.2 10.77.0.1 2001 && b=$opened
for i in 1 2 3; do
	open 10.77.0.2 10.77.0.1 2001
	expect "the third is refused" "$opened" ""
done
open 10.77.0.3 10.77.0.1 2001
[ -n "$opened" ] && pass "another address has its own" || fail "another address is refused"
shut "$a"
open 10.77.0.2 10.77.0.1 2001
[ -n "$opened" ] && pass "one has gone" || fail "a place that is left is not given"
open 10.77.0.2 10.77.0.1 2001
expect "and is taken again" "$opened" ""
pg s -D INPUT 1
pg s -A INPUT -p tcp --syn --dport 2001 -m connlimit --connlimit-above 1 -j REJECT --reject-with tcp-reset
open 10.77.0.2 10.77.0.1 2001
[ -n "$opened" ] && pass "a new rule begins to count with 0" || fail "a new rule counts what was before it"
shut "$opened"

# Lists as they stand: in `test`, which moves nothing, and in a policy that is tried.
export SSH_CONNECTION=none
limit='-p tcp --syn --dport 2001 -m connlimit --connlimit-above'
printf '*filter\n-A INPUT %s 2 -j DROP\n-A INPUT %s 1 --connlimit-mask 25 -j REJECT\nCOMMIT\n' \
	"$limit" "$limit" >"$WORK/two"
pg s -F INPUT
expect_ok "two limits" pg s apply "$WORK/two"
open 10.77.0.2 10.77.0.1 2001 && a=$opened
open 10.77.0.129 10.77.0.1 2001 && b=$opened
answer() { # SOURCE…: what becomes of its next connection, and what it meets of the lists
	pg s test --json --explain --dport 2001 -s "$@" |
		jq -c '[.verdict, (.considered[].limits | split(" ")[1] | tonumber)]'
}
expect "test: a second one of its network" "$(answer 10.77.0.3)" '["REJECT",1,2]'
expect "test: likewise, and nothing has moved" "$(answer 10.77.0.2 --ctstate NEW)" '["REJECT",2,2]'
expect "test: of another network" "$(answer 10.77.1.2 -i pgs0)" '["ACCEPT",1,1]'
expect "test: a policy that is not in force" "$(sed 's/above 1/above 2/' "$WORK/two" |
	pg s test --policy - --json --explain --dport 2001 -s 10.77.0.3 | jq -r .verdict)" ACCEPT
printf '*filter\n-A INPUT %s 2 -j DROP\nCOMMIT\n' "$limit" >"$WORK/one"
expect_ok "try one with the first limit only" pg s apply "$WORK/one" --shadow
for i in 1 2 3; do # the second limit refuses them, and the one that is tried only has the first
	open 10.77.0.129 10.77.0.1 2001
	expect "the policy in force refuses" "$opened" ""
done
expect "shadow: one more would come in, then none" "$(pg s shadow --json | jq -c \
	'[.difference_rows[] | [.was.verdict, .now.verdict, .now.rule, .packets]] | sort')" \
	'[["reject","accept",0,1],["reject","drop",1,2]]'
expect_ok "promote" pg s promote
open 10.77.0.129 10.77.0.1 2001
[ -n "$opened" ] && pass "one more comes in" || fail "one more is refused"
before=$(port_count s tcp 2001 .in.dropped)
in_ns c nc -z -w 1 -s 10.77.0.129 10.77.0.1 2001
expect "then none" "$(($(port_count s tcp 2001 .in.dropped) > before))" 1

# Each flow is judged by lists that have seen nothing: one is ended by no other.
printf '*filter\n-A INPUT -p tcp --syn --dport 2001 -m connlimit --connlimit-above 1 -j DROP\nCOMMIT\n' >"$WORK/kill"
flows() {
	pg s flows --port 2001 --state ESTABLISHED --json | jq '.flows | length'
}
before=$(flows)
expect_ok "apply --kill" pg s apply "$WORK/kill" --kill
expect "ends none of several" "$([ "$before" -gt 2 ] && flows)" "$before"
kill $(jobs -p) 2>/dev/null
summary
