#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `flows`, `states`, `track`, `set-timeout` and what is killed, with real connections: numbers are held
# against ss's and conntrack's.
export PG_TEST_TIMEOUT=${PG_TEST_TIMEOUT:-600}
. "$(dirname "$0")/lib.sh"

need jq nc ss ping perl
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
own_bpffs
two_namespaces

# The server's own tracking, where the kernel has it.
has_conntrack=
if command -v conntrack >/dev/null && command -v iptables-legacy >/dev/null &&
	in_ns s iptables-legacy -w -A INPUT -m conntrack --ctstate NEW 2>/dev/null &&
	in_ns s sysctl -qw net.netfilter.nf_conntrack_acct=1 2>/dev/null; then
	has_conntrack=yes
else
	skip "conntrack: not here, so only ss is asked"
fi

# flow FILTER…: the one flow, as JSON
flow() {
	pg s flows "$@" --json | jq -c '.flows[0] // empty'
}

# field EXPRESSION FILTER…
field() {
	local expression=$1
	shift
	flow "$@" | jq -r "$expression"
}

count() {
	pg s flows "$@" --json | jq '.flows | length'
}

# Without an instance ---------------------------------------------------------------------------

expect "no instance: no flows" "$(pg s flows --json)" '{"flows":[]}'
expect "and none for people" "$(pg s flows | tail -n 1)" "0 flows"
expect "no states" "$(pg s states --json | jq -c '[.transitions, .ports]')" '[[],[]]'
expect "conntrack's defaults" "$(pg s set-timeout tcp-established)" 432000
expect "how it would be tracked" "$(pg s track --json | jq -r '.track, .strict, .liberal' | paste -sd' ')" \
	"auto false false"
expect_exit "nothing to kill" 1 'nothing is attached' pg s flows --kill --all
expect_fail "nothing was made" test -e "$STATE"

# What is refused -------------------------------------------------------------------------------

refused() {
	local pattern=$1
	shift
	expect_exit "refused: $*" 2 "$pattern" pg s "$@"
}
refused 'invalid port/service .99999' flows --port 99999
refused 'Bad state "FOO"' flows --state FOO
refused "host/network .x' not found" flows --src x
refused 'unknown protocol "nope"' flows --proto nope
refused '--by takes bytes' flows --by size
refused '--top takes a number' flows --top 0
refused 'say --all' flows --kill
refused 'go with --kill only' flows --all
refused 'does not go with --watch' flows --kill --all --watch
refused "Bad argument" flows x
refused "there is no timeout 'nope'" set-timeout nope 3
refused "1 to 31536000 seconds" set-timeout udp 0
refused "needs seconds" set-timeout udp 3 icmp
refused "track takes on" track maybe
refused "exclude each other" track on auto
refused "does not go with --confirm" apply /dev/null --kill --confirm 9
expect_fail "and nothing was made" test -e "$STATE"

# Tracking on, auto, off ------------------------------------------------------------------------

expect_ok "attach" pg s attach pgs0 --mode native
in_ns c ping -c 1 -W 2 10.77.0.1 >/dev/null
expect "a stateless policy tracks nothing" "$(count)" 0
expect "and says so" "$(pg s status --json | jq '.flows.tracking')" false
in_ns s conntrack -F >/dev/null 2>&1 # that ping would be taken over
expect_ok "track on" pg s track on
expect "it is on" "$(pg s status --json | jq -c '[.flows.tracking, .flows.track]')" '[true,"on"]'
in_ns c ping -c 2 -i 0.2 10.77.0.1 >/dev/null
expect "a ping is tracked" "$(field '[.proto, .src, .dst, .sport, .dport, .state] | join(" ")' --proto icmp)" \
	"icmp 10.77.0.2 10.77.0.1 8 0 REPLIED"
expect "both ways" "$(field '.packets | join(" ")' --proto icmp)" "2 2"
expect_ok "strict and liberal" pg s track strict liberal
expect "they stay" "$(pg s track)" "on strict liberal"
expect_ok "and back" pg s track auto loose exact
expect "auto: nothing is tracked any more" "$(pg s track --json | jq -c .tracking)" false

# A stateful policy -----------------------------------------------------------------------------

cat >"$WORK/policy" <<RULES
*filter
:INPUT ACCEPT [0:0]
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
COMMIT
RULES
expect_ok "a stateful policy" pg s restore "$WORK/policy"
expect "auto: now it is" "$(pg s track --json | jq -c .tracking)" true
expect_exit "off would make all INVALID" 1 'rules that ask' pg s track off

# A server that a client stays connected with: connect PORT [NC OPTIONS OF THE CLIENT]; to_server and
# to_client are what is written to.
connections=0
connect() {
	local port=$1
	shift
	connections=$((connections + 1))
	mkfifo "$WORK/in.$port" "$WORK/out.$port"
	in_ns s timeout 600 nc -l "$port" <"$WORK/out.$port" >"$WORK/got.$port" 2>/dev/null &
	server=$!
	exec {to_client}>"$WORK/out.$port"
	wait_for "a server on $port" listening s tcp "$port"
	in_ns c timeout 600 nc "$@" 10.77.0.1 "$port" <"$WORK/in.$port" >/dev/null 2>&1 &
	client=$!
	exec {to_server}>"$WORK/in.$port"
	wait_for "a connection to $port" eval '[ -n "$(in_ns s ss -Htn state established sport = :'"$port"')" ]'
}

connect 443 -p 4443
first=$to_client # the number; it stays open when the variable names the next one
head -c 300000 /dev/zero >&"$to_server"
echo answer >&"$to_client"
wait_for "all of it" eval '[ "$(stat -c %s "$WORK/got.443")" = 300000 ]'
sleep 0.3

expect "a connection" "$(field '[.proto, .src, .sport, .dst, .dport, .state, .src_state, .dst_state, .iface] |
	join(" ")' --port 443)" \
	"tcp 10.77.0.2 4443 10.77.0.1 443 ESTABLISHED ESTABLISHED ESTABLISHED pgs0"
expect "flags of both" "$(field '.flags | join(" ")' --port 443)" "SPA SPA"

# What the client's own socket has sent and got; a retransmission may stand in either.
ss_segments() {
	in_ns c ss -Htin dport = :443 | tr ' ' '\n' |
		awk -F: '$1 == "segs_out" { out = $2 } $1 == "segs_in" { in_ = $2 }
			END { print out, in_ }'
}
expect "packets are ss's segments" "$(field '.packets | join(" ")' --port 443)" "$(ss_segments)"
rtt=$(field .rtt_us --port 443)
[ "$rtt" -gt 0 ] && [ "$rtt" -lt 1000000 ] && pass "an RTT" || fail "an RTT: $rtt us"

# conntrack_counts PROTO PORT: "packets bytes packets bytes" of both directions
conntrack_counts() {
	in_ns s conntrack -L -p "$1" --orig-port-dst "$2" 2>/dev/null | tr ' ' '\n' |
		awk -F= '$1 == "packets" || $1 == "bytes" { printf "%s%s", sep, $2; sep = " " } END { print "" }'
}
our_counts() {
	field '[.packets[0], .bytes[0], .packets[1], .bytes[1]] | join(" ")' --proto "$1" --dport "$2"
}
same_as_conntrack() {
	[ -n "$has_conntrack" ] || return
	expect "conntrack counts the same: $1 $2" "$(our_counts "$1" "$2")" "$(conntrack_counts "$1" "$2")"
}
same_as_conntrack tcp 443

# Half closed: each end's own state is its socket's.
ss_state() {
	in_ns "$1" ss -Htan "$2" | grep -v LISTEN | awk '{ print $1 }' | tr - _ | sed 's/^ESTAB$/ESTABLISHED/'
}
exec {to_server}>&-
kill -0 $client 2>/dev/null && pass "the client is still there"
# nc ends when the other end does, so the server is one that does not.
mkfifo "$WORK/hold"
in_ns s timeout 60 perl -MIO::Socket::INET -e '
	my $s = IO::Socket::INET->new(LocalPort => 1443, Listen => 1, ReuseAddr => 1) or die;
	my $c = $s->accept; 1 while <$c>; <STDIN>; close $c' <"$WORK/hold" &
exec {hold}>"$WORK/hold"
wait_for "a server on 1443" listening s tcp 1443
echo question | in_ns c timeout 60 nc -N 10.77.0.1 1443 >/dev/null {hold}>&- &
wait_for "half closed" eval '[ "$(field .state --port 1443)" = CLOSE_WAIT ]'
expect "half closed, the client" "$(field .src_state --port 1443)" "$(ss_state c 'dport = :1443')"
expect "half closed, the server" "$(field .dst_state --port 1443)" "$(ss_state s 'sport = :1443')"
[ -z "$has_conntrack" ] || expect "half closed, conntrack's word" "$(field .state --port 1443)" \
	"$(in_ns s conntrack -L -p tcp --orig-port-dst 1443 2>/dev/null | awk '{ print $4 }')"
expect "by either end's state" "$(count --state FIN_WAIT_2)" 1
exec {hold}>&-
wait_for "closed" eval '[ "$(field .state --port 1443)" = TIME_WAIT ]'
same_as_conntrack tcp 1443

# Other protocols ---------------------------------------------------------------------------------

in_ns s sh -c 'echo answer | timeout 5 nc -u -l 10.77.0.1 53' >/dev/null &
wait_for "a server on 53" listening s udp 53
(echo one; sleep 0.3; echo two; sleep 0.5) | in_ns c timeout 2 nc -u 10.77.0.1 53 >/dev/null
expect "datagrams" "$(field '[.proto, .state, .replied, .src_state] | map(tostring) | join(" ")' --proto udp)" \
	"udp REPLIED true null"
same_as_conntrack udp 53
in_ns c ping -c 2 -i 0.2 fd77::1 >/dev/null
expect "IPv6's ping" "$(field '[.proto, .src, .dst, .sport] | join(" ")' --proto ipv6-icmp)" \
	"ipv6-icmp fd77::2 fd77::1 128"
in_ns c "$TOOLS/net/send" pgc0 esp
wait_for "ESP" eval '[ "$(count --proto esp)" = 1 ]'
expect "what has no ports" "$(field '[.sport, .dport] | tostring' --proto esp)" "[null,null]"

# Filters -----------------------------------------------------------------------------------------

all=$(count)
expect "all is TCP and the others" "$(count --proto tcp)" "$((all - $(count --proto udp) - $(count --proto icmp) -
	$(count --proto ipv6-icmp) - $(count --proto esp)))"
expect "by source" "$(count --src 10.77.0.2 --proto tcp)" "$(count --proto tcp)"
expect "by a network" "$(count --dst 10.77.0.0/24)" "$(count --src 10.77.0.0/24)"
expect "of IPv6" "$(count --addr fd77::/16)" 1
expect "a source that there is not" "$(count --src 192.0.2.1)" 0
expect "by interface" "$(count --iface pgs0)" "$all"
expect "by another" "$(count --iface lo)" 0
expect "by a port that is not opened to" "$(count --sport 443)" 0
expect "the client's port" "$(count --sport 4443)" 1
expect "a range" "$(count --dport 400-1500)" 2
expect "a service" "$(count --port https)" 1
expect "the largest" "$(field .dport --top 1)" 443
expect "the oldest" "$(field .dport --top 1 --by age --proto tcp)" 443
expect "--state is no directory here" "$(count --state=established)" 1
pg s flows --by packets --json | jq -e '[.flows[].packets | add] | . == (sort | reverse)' >/dev/null &&
	pass "in the order of packets" || fail "in the order of packets"
expect "for people" "$(pg s flows --port 443 | head -n 1 | awk '{ print $1, $2, $3, $4 }')" \
	"PROTO STATE SOURCE DESTINATION"
expect "how many" "$(pg s flows --top 1 | tail -n 1)" "1 of $all flows"
expect "status counts them" "$(pg s status --json | jq '.flows.count + .flows.half_open')" "$all"

# Timeouts ----------------------------------------------------------------------------------------

expires() {
	field .expires_s --dport "$1"
}
near() { # WHAT GOT WANTED: at most five seconds less
	[ "$2" -le "$3" ] && [ "$2" -ge $(($3 - 5)) ] && pass "$1" || fail "$1" "got: $2" "wanted: $3, or a little less"
}
echo more >&"$first"
sleep 0.3
near "an established connection" "$(expires 443)" 432000
expect_ok "set-timeout" pg s set-timeout nf_conntrack_tcp_timeout_established 7200 tcp-time-wait 20
expect "it is set" "$(pg s set-timeout --json | jq -c '[.timeouts[] | select(.seconds != .default) | .name]')" \
	'["tcp_established","tcp_time_wait"]'
near "it holds for what is there" "$(expires 443)" 7200
expect_ok "back" pg s set-timeout tcp_established default
near "and that, too" "$(expires 443)" 432000
expect_ok "a short one" pg s set-timeout icmp 1 icmpv6 1
sleep 1.2
expect "a ping is forgotten" "$(count --proto icmp)" 0
expect_ok "a longer one" pg s set-timeout icmp 60
expect "it does not come back" "$(count --proto icmp)" 0
expect_ok "a short one again" pg s set-timeout icmp 1

# States ------------------------------------------------------------------------------------------

# transitions PORT: "FROM>TO count" in order of name
transitions() {
	pg s states --port "$1" --json |
		jq -r --argjson port "$1" '.ports[] | select(.port == $port) | .transitions[] | "\(.from)>\(.to) \(.count)"' | sort
}
five() {
	for _ in 1 2 3 4 5; do
		in_ns s timeout 10 nc -N -l 2443 >/dev/null </dev/null &
		server=$!
		wait_for "a server on 2443" listening s tcp 2443
		echo question | in_ns c timeout 10 nc -N 10.77.0.1 2443 >/dev/null
		wait $server
	done
}
five
for change in "CLOSED>SYN_SENT" "LISTEN>SYN_RECEIVED" "SYN_SENT>ESTABLISHED" "SYN_RECEIVED>ESTABLISHED"; do
	expect "five connections" "$(transitions 2443 | grep "^$change")" "$change 5"
done
expect "each closes by one end" "$(transitions 2443 | awk '/^ESTABLISHED>/ { n += $2 } END { print n }')" 10
expect "of all ports together" "$(pg s states --json | jq '.transitions | map(.count) | add')" \
	"$(pg s states --json | jq '[.ports[].transitions[].count] | add')"
in_ns c nc -w 2 10.77.0.1 2444
expect "a refused connection is one change" "$(transitions 2444 | paste -sd,)" \
	"CLOSED>SYN_SENT 1,SYN_SENT>CLOSED 1"
odd() {
	pg s states --json | jq -r ".impossible_flags[\"$1\"]"
}
before=$(odd null) xmas=$(odd xmas)
in_ns c "$TOOLS/net/send" pgc0 null
in_ns c "$TOOLS/net/send" pgc0 xmas
wait_for "impossible flags" eval '[ "$(odd xmas)" = $((xmas + 1)) ]'
expect "none at all" "$(odd null)" $((before + 1))
pg s states | grep -q "^SYN_SENT *ESTABLISHED *[0-9]\|^SYN_SENT .* [0-9]" &&
	pass "for people" || fail "for people" "$(pg s states)"

# Killing -----------------------------------------------------------------------------------------

gone() {
	! kill -0 "$1" 2>/dev/null
}
connect 3443
expect "killed, and the socket closed" "$(pg s flows --kill --port 3443 --json)" \
	'{"killed":1,"sockets_closed":1,"sockets_failed":0}'
wait_for "the server to end" gone $server
expect "it is not shown any more" "$(count --port 3443 --state ESTABLISHED)" 0
expect "nor by ss" "$(in_ns s ss -Htan state established sport = :3443)" ""
wait_for "the client to end" gone $client
expect "the other one is left alone" "$(field .state --dport 443)" ESTABLISHED
expect_exit "none is found" 1 '' pg s flows --kill --port 3444

# What comes all the same of what has no socket here to close is dropped, and a new one is taken.
expect_ok "INVALID is let through" pg s -D INPUT -m conntrack --ctstate INVALID -j DROP
in_ns c "$TOOLS/net/send" pgc0 esp
wait_for "ESP" eval '[ "$(count --proto esp)" = 1 ]'
expect "ESP is killed" "$(pg s flows --kill --proto esp --json)" \
	'{"killed":1,"sockets_closed":0,"sockets_failed":0}'
expect "there is none" "$(count --proto esp)" 0
in_ns c "$TOOLS/net/send" pgc0 esp
wait_for "it to be dropped" eval '[ "$(reason_count s killed)" = 1 ]'
expect "and there is none" "$(count --proto esp)" 0
expect "test says so" "$(pg s test -i pgs0 -p esp -s 10.77.0.2 -d 10.77.0.1 --json |
	jq -c '[.verdict, .reason]')" '["DROP","killed"]'
expect_ok "for a second" pg s set-timeout killed 1
sleep 1.2
in_ns c "$TOOLS/net/send" pgc0 esp
wait_for "the next" eval '[ "$(count --proto esp)" = 1 ]'
expect "no more was dropped" "$(reason_count s killed)" 1

connect 4444
own="10.77.0.2 $(field .sport --dport 4444) 10.77.0.1 4444"
expect_exit "one's own SSH connection is spared" 0 'spared; --force' \
	env SSH_CONNECTION="$own" nsenter --net="/run/netns/$PREFIX-s" "$PORTGUARD" --state "$STATE" \
	flows --kill --port 4444
expect "and is there" "$(field .state --dport 4444)" ESTABLISHED

# A rule that forbids it: it alone is ended.
connect 5443
in_ns s "$PORTGUARD" --state "$STATE" -I INPUT -p tcp --dport 5443 -j DROP --kill >"$WORK/said"
expect "DROP --kill" "$(cat "$WORK/said")" "1 flow ended, 1 socket of this host closed"
wait_for "that server to end" gone $server
expect "others live" "$(field .state --dport 4444)" ESTABLISHED
expect "it is saved" "$(pg s save | grep -- --kill)" "-A INPUT -p tcp -m tcp --dport 5443 -j DROP --kill"
expect "but not for iptables" "$(pg s save -4 | grep -c -- --kill)" 0
expect "another change does not judge again" "$(pg s -A INPUT -p tcp --dport 9 -j DROP)" ""
expect_exit "a rule against one's own connection" 0 'spared; --force.*cut off unless' \
	env SSH_CONNECTION="$own" nsenter --net="/run/netns/$PREFIX-s" "$PORTGUARD" --state "$STATE" \
	-I INPUT -p tcp --dport 4444 -j DROP --kill
expect_ok "without it" pg s -D INPUT 1

# A policy that would not let it begin, though it keeps what is ESTABLISHED.
connect 6443
cat >"$WORK/closed" <<RULES
*filter
:INPUT DROP [0:0]
-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m tcp --dport 4444 -m limit --limit 1/hour --limit-burst 1 -j ACCEPT
COMMIT
RULES
printf '*filter\nCOMMIT\n' >"$WORK/nothing"
expect_ok "without --kill" pg s apply "$WORK/closed"
sleep 0.2
expect "it goes on" "$(field .state --dport 6443)" ESTABLISHED
expect_ok "with it" pg s apply "$WORK/closed" --kill
wait_for "it to end" gone $server
expect "what may begin goes on" "$(field .state --dport 4444)" ESTABLISHED

expect_ok "nothing is tracked" pg s restore "$WORK/nothing"
expect_exit "so nothing is found" 1 'nothing is tracked.*track on' pg s flows --kill --port 9999
expect_exit "nor by a rule" 0 'nothing is tracked.*track on' pg s -I INPUT -p tcp --dport 4444 -j DROP --kill

summary
