#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# States of real connections: the server's own nf_conntrack says what each packet is, both ways, by
# iptables-legacy's counters; the same packets must be the same to portguard.
. "$(dirname "$0")/lib.sh"

need iptables-legacy ip6tables-legacy nc ping
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
[ -x "$TOOLS/net/states" ] || skip_all "not built: $TOOLS/net/states"
two_namespaces
in_ns s iptables-legacy -w -A INPUT -m conntrack --ctstate NEW ||
	skip_all "this kernel has no conntrack"
in_ns s iptables-legacy -w -F

STATES="INVALID ESTABLISHED RELATED NEW UNTRACKED"
for state in $STATES; do
	for tables in iptables-legacy ip6tables-legacy; do
		in_ns s $tables -w -A INPUT -i pgs0 -m conntrack --ctstate "$state"
		in_ns s $tables -w -A OUTPUT -o pgs0 -m conntrack --ctstate "$state"
	done
done

# As the tool prints it: "in NEW 3", without those that did not occur.
kernel_states() {
	(in_ns s iptables-legacy-save -c; in_ns s ip6tables-legacy-save -c) | tr -d '[]' |
		awk -F '[: ]' -v states="$STATES" '
			/--ctstate/ { n[$4, $NF] += $1 }
			END {
				split(states, state, " ")
				for (i = 1; i <= 5; i++)
					if (n["INPUT", state[i]])
						print "in", state[i], n["INPUT", state[i]]
				for (i = 1; i <= 5; i++)
					if (n["OUTPUT", state[i]])
						print "out", state[i], n["OUTPUT", state[i]]
			}'
}

zero() {
	in_ns s iptables-legacy -w -Z
	in_ns s ip6tables-legacy -w -Z
}

# start_states [adopt]
start_states() {
	# Not through in_ns, which would be a shell of its own to terminate.
	nsenter --net="/run/netns/$PREFIX-s" "$TOOLS/net/states" pgs0 "$@" >"$WORK/states" 2>&1 &
	states=$!
	wait_for "the counting to begin" grep -q ready "$WORK/states" ||
		{ cat "$WORK/states"; exit 1; }
	reports=0
	zero
}

stop_states() {
	kill $states
	wait $states 2>/dev/null
}

# Sets `ours` to what was counted since the last report.
report() {
	reports=$((reports + 1))
	kill -USR1 $states
	wait_for "a report" eval '[ "$(grep -c done "$WORK/states")" = $reports ]'
	ours=$(awk '/done|ready/ { text = last; last = ""; next } { last = last $0 "\n" }
		END { printf "%s", text }' "$WORK/states")
}

# check WHAT WANTED…: the kernel's counts are ours, and these states are among them
check() {
	local what=$1 wanted theirs last= all= tries
	shift

	# A retransmission may come between the two readings: then the next ones have it both.
	for tries in 1 2 3 4 5; do
		# Until nothing more comes.
		until theirs=$(kernel_states | sort) && [ "$last" = "$theirs" ]; do
			last=$theirs
			sleep 0.3
		done
		report
		all=$(printf '%s\n%s\n' "$all" "$ours" | awk 'NF == 3 { n[$1 " " $2] += $3 }
			END { for (k in n) print k, n[k] }' | sort)
		[ "$all" != "$theirs" ] || break
	done
	ours=$all
	zero
	expect "$what" "$ours" "$theirs"
	for wanted in "$@"; do
		grep -q "^$wanted " <<<"$ours" || fail "$what: nothing was $wanted"
	done
}

# compare WHAT "WANTED,WANTED…" COMMAND…
compare() {
	local what=$1 wanted
	IFS=, read -ra wanted <<<"$2"
	shift 2

	"$@" >/dev/null 2>&1
	check "$what" "${wanted[@]}"
}

# transfer FROM TO ADDRESS PORT [NC OPTIONS]: FROM opens, sends, gets an answer; who closes first is
# said by -q and -N of nc
transfer() {
	local from=$1 to=$2 address=$3 port=$4 server
	shift 4

	echo answer | in_ns "$to" timeout 10 nc -N -l "$address" "$port" >/dev/null &
	server=$!
	wait_for "a server on $port" listening "$to" tcp "$port"
	echo question | in_ns "$from" timeout 10 nc "$@" "$address" "$port" >/dev/null
	wait $server
}

both="in ESTABLISHED,out ESTABLISHED"
start_states
compare "a connection from the client" "in NEW,$both" transfer c s 10.77.0.1 1001 -N
compare "a connection that the client does not close" "in NEW,$both" transfer c s 10.77.0.1 1002 -q 1
compare "a connection from the server" "out NEW,$both" transfer s c 10.77.0.2 1003 -N
compare "the same over IPv6" "in NEW,$both" transfer c s fd77::1 1004 -N
compare "and from the server" "out NEW,$both" transfer s c fd77::2 1005 -N

bulk() {
	carry 1006 3000000
}
compare "three megabytes" "in NEW,$both" bulk
five() {
	local i

	for i in 1 2 3 4 5; do
		transfer c s 10.77.0.1 1007 -N -p 3007
	done
}
compare "five in a row between the same ports" "in NEW,$both" five
compare "a refused connection" "in NEW,out ESTABLISHED" in_ns c nc -w 2 10.77.0.1 1010
compare "a refused connection from the server" "out NEW,in ESTABLISHED" \
	in_ns s nc -w 2 10.77.0.2 1010
refused_twice() {
	in_ns c nc -w 2 -p 3011 10.77.0.1 1011
	in_ns c nc -w 2 -p 3011 10.77.0.1 1011
}
compare "refused twice from the same port" "in NEW,out ESTABLISHED" refused_twice
unanswered() {
	in_ns c iptables-legacy -w -t raw -A PREROUTING -p tcp --sport 1012 -j DROP
	in_ns s timeout 5 nc -l 1012 >/dev/null &
	wait_for "a server on 1012" listening s tcp 1012
	in_ns c nc -w 3 10.77.0.1 1012
	in_ns c iptables-legacy -w -t raw -F PREROUTING
}
compare "SYNs whose answers are lost" "in NEW,out ESTABLISHED,in ESTABLISHED" unanswered
# A client dies without a word, is answered, and resets.
half_dead() {
	(sleep 1.5; echo answer) | in_ns s timeout 5 nc -l 1013 >/dev/null &
	wait_for "a server on 1013" listening s tcp 1013
	(echo question; sleep 2) | in_ns c timeout -s KILL 1 nc 10.77.0.1 1013
	sleep 1
}
compare "a client that is killed" "in NEW,$both" half_dead

datagrams() {
	in_ns "$2" sh -c "echo answer | timeout 3 nc -u -l $3 $4" >/dev/null &
	wait_for "a server on $4" listening "$2" udp "$4"
	(echo one; sleep 0.3; echo two; sleep 0.3; echo three) |
		in_ns "$1" timeout 2 nc -u "$3" "$4" >/dev/null
}
compare "datagrams" "in NEW,$both" datagrams c s 10.77.0.1 1020
compare "datagrams from the server" "out NEW,$both" datagrams s c 10.77.0.2 1021
compare "datagrams over IPv6" "in NEW,$both" datagrams c s fd77::1 1022
nobody() {
	echo question | in_ns "$1" nc -u -w 1 "$2" 1023
}
compare "datagrams to nobody" "in NEW,out RELATED" nobody c 10.77.0.1
compare "datagrams to nobody from the server" "out NEW,in RELATED" nobody s 10.77.0.2
compare "datagrams to nobody over IPv6" "in NEW,out RELATED" nobody c fd77::1
compare "datagrams to nobody from the server over IPv6" "out NEW,in RELATED" nobody s fd77::2

compare "pings" "in NEW,in ESTABLISHED,out ESTABLISHED" in_ns c ping -c 3 -i 0.2 10.77.0.1
compare "pings from the server" "out NEW,$both" in_ns s ping -c 3 -i 0.2 10.77.0.2
compare "pings over IPv6" "in NEW,$both" in_ns c ping -c 3 -i 0.2 fd77::1
compare "pings from the server over IPv6" "out NEW,$both" in_ns s ping -c 3 -i 0.2 fd77::2
too_big() {
	in_ns c ip link set pgc0 mtu 1300
	in_ns s ping -c 2 -i 0.2 -s 1400 -M "do" 10.77.0.2
	in_ns c ip link set pgc0 mtu 1500
}
compare "pings that nobody answers" "out NEW" too_big

send() {
	local frame

	for frame in "$@"; do
		in_ns c "$TOOLS/net/send" pgc0 "$frame"
	done
}
compare "what begins nothing" "in INVALID" send syn-ack fin rst null xmas tcp-long-header tcp-cut \
	udp-long udp-short sctp-data sctp-abort sctp-bare echo-reply router-advertisement stray-error echo-reply-ip6 stray-error-ip6
compare "what does" "in NEW,out ESTABLISHED" send tcp80 tcp80 ack udp53 timestamp esp dccp \
	sctp-init sctp-data sctp-init sctp-abort tcp80-ip6
compare "neighbours and multicast listeners" "in UNTRACKED" send neighbour-ip6 report-ip6

stop_states

# A connection that is older than portguard.
mkfifo "$WORK/question" "$WORK/answer"
in_ns s timeout 20 nc -l 1030 <"$WORK/answer" >/dev/null &
exec 8>"$WORK/answer"
wait_for "a server on 1030" listening s tcp 1030
in_ns c timeout 20 nc 10.77.0.1 1030 <"$WORK/question" >/dev/null &
exec 9>"$WORK/question"
in_ns s timeout 20 nc -l fd77::1 1031 </dev/null >/dev/null &
wait_for "a connection" eval '[ -n "$(in_ns s ss -Htn state established sport = :1030)" ]'
start_states adopt
echo early >&9
sleep 0.2
echo late >&8
check "a connection that was there before" "in ESTABLISHED" "out ESTABLISHED"
expect "has no packet that is new" "$(grep -c NEW <<<"$ours")" 0
stop_states
start_states
echo early >&9
sleep 0.2
report
expect "and has without adoption" "$(grep -c 'in NEW' <<<"$ours")" 1
stop_states
exec 8>&- 9>&-
summary
