#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Flows of real connections. The referees are the server's own nf_conntrack (the pair's states, in
# their order, as `conntrack -E` tells them), its sockets (tracepoint sock:inet_sock_set_state), and
# its TCP's retransmissions (tcp:tcp_retransmit_skb and _synack). What is lost is dropped by the client before
# anything of it has seen it.
. "$(dirname "$0")/lib.sh"

need iptables-legacy conntrack
for tool in dialog flows; do
	[ -x "$TOOLS/net/$tool" ] || skip_all "not built: $TOOLS/net/$tool"
done
two_namespaces
in_ns s iptables-legacy -w -A INPUT -m conntrack --ctstate NEW 2>/dev/null ||
	skip_all "this kernel has no conntrack"

TRACE=/sys/kernel/tracing
[ -e $TRACE/instances ] || mount -t tracefs tracefs $TRACE 2>/dev/null
TRACE=$TRACE/instances/$PREFIX-$$
mkdir "$TRACE" 2>/dev/null || skip_all "no tracefs here"
trap 'rmdir "$TRACE"; finish' EXIT
echo 1 >"$TRACE/events/sock/inet_sock_set_state/enable"
echo 1 >"$TRACE/events/tcp/tcp_retransmit_skb/enable"
echo 1 >"$TRACE/events/tcp/tcp_retransmit_synack/enable" # what has no socket yet

nsenter --net="/run/netns/$PREFIX-s" conntrack -E -p tcp >"$WORK/conntrack" 2>/dev/null &
watchers=$!
nsenter --net="/run/netns/$PREFIX-s" "$TOOLS/net/flows" pgs0 >"$WORK/flows" 2>&1 &
watchers="$watchers $!"
wait_for "the watching to begin" grep -q ready "$WORK/flows" || { cat "$WORK/flows"; exit 1; }
sleep 0.3 # conntrack does not say when it listens

# Other tests' sockets are in the same trace: each run has ports of its own.
port=$((10000 + RANDOM % 20000))

# Without repetitions, on one line.
line() {
	uniq | paste -sd ' '
}

# conntrack's states of the connections to $port
kernel_pair() {
	awk -v port="dport=$port" '$1 != "[DESTROY]" && $0 ~ port {
		for (i = 2; i < NF; i++)
			if ($i ~ /^[A-Z_0-9]+$/ && $i !~ /^[0-9]+$/) { print $i; break }
	}' "$WORK/conntrack" | line
}

our_pair() {
	awk -v port="$port" '$1 == port && $2 == "pair" && $3 != "gone" { print $3 }' "$WORK/flows" | line
}

# The server's sockets: what the tracepoint does not tell, or tells late, is left out of both. A
# socket never shows TIME_WAIT, and FIN_WAIT_2 for a moment where a FIN acknowledges its own.
LEFT_OUT='^(CLOSED|CLOSE|LISTEN|SYN_RECEIVED|SYN_RECV|NEW_SYN_RECV|FIN_WAIT_2|TIME_WAIT)$'
kernel_local() {
	sed -n 's/.*inet_sock_set_state: \(.*\)/\1/p' "$TRACE/trace" | grep -w "saddr=10.77.0.1" |
		grep -E "[sd]port=$port( |$)" | sed 's/.*newstate=TCP_//; s/FIN_WAIT\([12]\)/FIN_WAIT_\1/' |
		grep -vE "$LEFT_OUT" | line
}

our_local() {
	awk -v port="$port" '$1 == port && $2 == "local" { print $3 }' "$WORK/flows" |
		grep -vE "$LEFT_OUT" | line
}

kernel_retransmits() {
	grep -wE 'tcp_retransmit_(skb|synack):' "$TRACE/trace" | grep -w "saddr=10.77.0.1" |
		grep -cE "[sd]port=$port( |$)"
}

our_retransmits() {
	awk -v port="$port" '$1 == port && $2 == "retransmits" { n = $3 } END { print n + 0 }' "$WORK/flows"
}

dialog() {
	local ns=$1
	shift
	in_ns "$ns" timeout 20 "$TOOLS/net/dialog" "$@" 2>>"$WORK/dialog"
}

# serve NS ACTION…: in the background
serve() {
	local ns=$1 address=10.77.0.1
	shift
	[ "$ns" = s ] || address=10.77.0.2
	dialog "$ns" listen $address $port "$@" &
	server=$!
	wait_for "a server on $port" listening "$ns" tcp $port
}

# compare WHAT WANTED COMMAND…: the referees agree, and the pair went through these states. Where all agree
# on others, the machine was too busy for what was to happen at one time: then again.
compare() {
	local what=$1 wanted=$2 last= now try
	shift 2

	for try in 1 2 3; do
		port=$((port + 1))
		"$@"
		# Until nothing more comes.
		until now=$(kernel_pair; kernel_local; our_pair; our_local; true) && [ "$last" = "$now" ]; do
			last=$now
			sleep 0.4
		done
		# The other end's FIN may be what acknowledges the first.
		[ "$(our_pair)" = "${wanted/ CLOSE_WAIT/}" ] && wanted=${wanted/ CLOSE_WAIT/}
		# Again where both agree on something else, or the kernel, which merges events that its listener
		# was too slow for, says less.
		if [ "$(our_pair)" = "$wanted" ]; then
			[ "$(our_pair)" != "$(kernel_pair)" ] || break
		else
			[ "$(our_pair)" = "$(kernel_pair)" ] || break
		fi
	done
	expect "$what: the pair" "$(our_pair)" "$(kernel_pair)"
	expect "$what: as it should be" "$(our_pair)" "$wanted"
	expect "$what: the local end" "$(our_local)" "$(kernel_local)"
	expect "$what: retransmissions" "$(our_retransmits)" "$(kernel_retransmits)"
}

drop() {
	in_ns c iptables-legacy -w -t raw "$1" PREROUTING -s 10.77.0.1 -p tcp "${@:2}" -j DROP
}

UP="SYN_SENT SYN_RECV ESTABLISHED"
DOWN="FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT"

client_closes() {
	serve s accept recv=10 send=10 eof sleep=100 close
	dialog c connect 10.77.0.1 $port 0 send=10 recv=10 fin eof close
	wait $server
}
compare "closed by the client" "$UP $DOWN" client_closes

server_closes() {
	serve s accept recv=10 send=10 fin eof close
	dialog c connect 10.77.0.1 $port 0 send=10 recv=10 eof sleep=100 close
	wait $server
}
compare "closed by the server" "$UP $DOWN" server_closes

ours_closes() {
	serve c accept recv=10 send=10 eof sleep=100 close
	dialog s connect 10.77.0.2 $port 0 send=10 recv=10 fin eof close
	wait $server
}
compare "our own, closed by us" "$UP $DOWN" ours_closes

ours_is_closed() {
	serve c accept recv=10 send=10 fin eof close
	dialog s connect 10.77.0.2 $port 0 send=10 recv=10 eof sleep=100 close
	wait $server
}
compare "our own, closed by the other end" "$UP $DOWN" ours_is_closed

half_close() {
	serve s accept eof sleep=100 send=50000 sleep=100 close
	dialog c connect 10.77.0.1 $port 0 send=10 fin recv=50000 eof close
	wait $server
}
compare "half closed, then data" "$UP $DOWN" half_close

# Data in the SYN, which the server takes, or not: then it comes again.
for ns in s c; do
	in_ns $ns sh -c 'echo 0x207 >/proc/sys/net/ipv4/tcp_fastopen'
done
fast_open() {
	serve c accept recv=10 send=10 eof sleep=100 close
	dialog s connect-fast 10.77.0.2 $port 0 send=10 recv=10 fin eof close
	wait $server
}
compare "data in our SYN that is not taken" "$UP $DOWN" fast_open
expect "it came again" "$(our_retransmits)" 1
serve_fast() {
	dialog s listen-fast 10.77.0.1 $port accept recv=10 send=10 eof sleep=100 close &
	server=$!
	wait_for "a server on $port" listening s tcp $port
	dialog c connect-fast 10.77.0.1 $port 0 send=10 recv=10 fin eof close
	wait $server
}
compare "data in a SYN that is taken" "$UP $DOWN" serve_fast

# The client's first SYN is answered by ours, which it does not get.
both_open() {
	drop -I --dport $port
	dialog s connect 10.77.0.2 $port $port send=10 recv=10 fin eof close &
	server=$!
	sleep 0.3
	drop -D --dport $port
	dialog c connect 10.77.0.1 $port $port send=10 recv=10 eof sleep=100 close
	wait $server
}
compare "opened by both at once" "SYN_SENT SYN_SENT2 SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT" \
	both_open

# Our FIN is lost, and the client closes without knowing of it.
both_close() {
	serve s accept recv=10 sleep=200 fin sleep=600 close
	dialog c connect 10.77.0.1 $port 0 send=10 sleep=250 fin sleep=500 close &
	client=$!
	sleep 0.15
	drop -I --sport $port --tcp-flags FIN FIN
	sleep 0.25
	drop -D --sport $port --tcp-flags FIN FIN
	wait $server $client
}
compare "closed by both at once" "$UP FIN_WAIT LAST_ACK TIME_WAIT" both_close

client_resets() {
	serve s accept recv=10 send=10 sleep=300 close
	dialog c connect 10.77.0.1 $port 0 send=10 recv=10 sleep=100 reset
	wait $server
}
compare "reset by the client" "$UP CLOSE" client_resets

server_resets() {
	serve s accept recv=10 send=10 sleep=100 reset
	dialog c connect 10.77.0.1 $port 0 send=10 recv=10 sleep=300 close
	wait $server
}
compare "reset by the server" "$UP CLOSE" server_resets

refused() {
	dialog c connect 10.77.0.1 $port 0
}
compare "refused" "SYN_SENT" refused

ours_refused() {
	dialog s connect 10.77.0.2 $port 0
}
compare "our own, refused" "SYN_SENT" ours_refused

unanswered() {
	drop -I --dport $port
	in_ns s timeout 3.5 "$TOOLS/net/dialog" connect 10.77.0.2 $port 0
	drop -D --dport $port
}
compare "a SYN that nobody answers" "SYN_SENT" unanswered

lost_answer() {
	drop -I --sport $port --tcp-flags SYN,ACK SYN,ACK
	serve s accept recv=10 send=10 eof sleep=100 close
	dialog c connect 10.77.0.1 $port 0 send=10 recv=10 fin eof close &
	client=$!
	sleep 1.5
	drop -D --sport $port --tcp-flags SYN,ACK SYN,ACK
	wait $server $client
}
compare "a SYN that comes again" "$UP $DOWN" lost_answer

not_accepted() {
	serve s sleep=500
	dialog c connect 10.77.0.1 $port 0 send=10 sleep=900 close
	wait $server
}
compare "never accepted" "$UP CLOSE" not_accepted

five_in_a_row() {
	local i

	for i in 1 2 3 4 5; do
		serve s accept recv=10 send=10 eof sleep=100 close
		dialog c connect 10.77.0.1 $port $((port + 1000)) send=10 recv=10 fin eof close
		wait $server
	done
}
row="$UP $DOWN"
compare "five in a row between the same ports" "$row $row $row $row $row" five_in_a_row

# The tracepoint fires once for what may be several segments in one skb: here the server counts them.
segments() {
	in_ns s cat /proc/net/snmp | awk '$1 == "Tcp:" && $13 ~ /^[0-9]/ { print $13 }'
}
lossy() {
	drop -I --sport $port -m statistic --mode nth --every 23 --packet 11
	before=$(segments)
	serve s accept send=400000 fin eof close
	dialog c connect 10.77.0.1 $port 0 recv=400000 eof sleep=100 close
	wait $server
	drop -D --sport $port -m statistic --mode nth --every 23 --packet 11
}
kernel_retransmits() {
	echo $(($(segments) - before))
}
compare "data that is lost" "$UP $DOWN" lossy
[ "$(our_retransmits)" -gt 5 ] && pass "and some was" || fail "no data was lost"

# shellcheck disable=SC2086
kill $watchers 2>/dev/null
summary
