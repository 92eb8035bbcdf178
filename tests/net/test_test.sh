#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `portguard test`: the rules that a described packet meets are those that iptables-legacy counts when
# the packet really comes; nothing of the instance moves; states, sets and what is refused.
# Every question loads the program anew, and the verifier takes its time.
export PG_TEST_TIMEOUT=${PG_TEST_TIMEOUT:-600}
. "$(dirname "$0")/lib.sh"

need iptables-legacy ip6tables-legacy jq
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
own_bpffs
two_namespaces

# The kernel agrees -----------------------------------------------------------------------------

cat >"$WORK/rules" <<RULES
*filter
:INPUT DROP [0:0]
:web - [0:0]
:log - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m multiport --ports 80,443 -j web
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT -p udp -m length --length 0:37 -j ACCEPT
-A INPUT -i pgs0 -p udp -m udp --dport 53 -g log
-A INPUT -p esp -m conntrack --ctstate NEW -j REJECT
-A web -m ttl --ttl-lt 5 -j DROP
-A web -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT
-A web -p tcp -m tcp --tcp-flags ALL NONE -j DROP
-A web -m conntrack --ctstate NEW -j RETURN
-A log
-A log -p udp -m length --length 38:100 -j REJECT
COMMIT
RULES
sed 's/-m ttl --ttl-lt 5/-m hl --hl-lt 5/; s/length 0:37/length 0:57/; s/length 38:100/length 58:100/' \
	"$WORK/rules" >"$WORK/rules6"

# "INPUT 2,web 2": the rules that have counted, 0 for a policy
kernel_path() {
	in_ns s "$1-save" -t filter -c | awk '
		$1 ~ /^:/ && $2 != "-" { split(substr($3, 2), c, ":"); if (c[1] + 0) print substr($1, 2), 0 }
		$2 == "-A" { n[$3]++; if ($1 !~ /^\[0:/) print $3, n[$3] }' | grep -v OUTPUT | sort | paste -sd,
}

tested_path() {
	in_ns s "$PORTGUARD" --state "$STATE" test --json "$@" | jq -r '
		[.path[] | select(.table == "filter") | "\(.chain) \(.rule)"] +
		(if .rule == 0 then ["\(.chain) 0"] else [] end) | sort | join(",")'
}

# agree TABLES FRAME OPTIONS…
agree() {
	local tables=$1 frame=$2 real
	shift 2

	in_ns s "$tables" -w -Z
	in_ns c "$TOOLS/net/send" pgc0 "$frame"
	wait_for "$frame" eval '[ -n "$(kernel_path "$tables")" ]' || return
	real=$(kernel_path "$tables")
	expect "$tables: $frame: $*" "$(tested_path -i pgs0 "$@")" "$real"
}

if in_ns s iptables-legacy-restore <"$WORK/rules" 2>"$WORK/refused"; then
	addrs=(--policy "$WORK/rules" -s 10.77.0.2 -d 10.77.0.1)
	agree iptables-legacy tcp80 "${addrs[@]}"
	agree iptables-legacy null "${addrs[@]}" --tcp-flags NONE
	agree iptables-legacy fin "${addrs[@]}" --tcp-flags FIN,ACK
	agree iptables-legacy syn-ack "${addrs[@]}" --tcp-flags SYN,ACK
	agree iptables-legacy udp53 "${addrs[@]}" -p udp --dport domain --length 38
	agree iptables-legacy udp-long "${addrs[@]}" -p udp --dport 53 --ctstate INVALID
	agree iptables-legacy esp "${addrs[@]}" -p esp --length 52
	agree iptables-legacy timestamp "${addrs[@]}" -p icmp --icmp-type timestamp-request
	agree iptables-legacy echo-reply "${addrs[@]}" -p icmp --icmp-type echo-reply
	agree iptables-legacy stray-error "${addrs[@]}" -p icmp --icmp-type host-unreachable
else
	skip "iptables-legacy of this kernel: $(cat "$WORK/refused")"
fi
if in_ns s ip6tables-legacy-restore <"$WORK/rules6" 2>"$WORK/refused"; then
	addrs=(--policy "$WORK/rules6" -s fd77::2 -d fd77::1)
	agree ip6tables-legacy tcp80-ip6 "${addrs[@]}"
	agree ip6tables-legacy echo-reply-ip6 "${addrs[@]}" -p ipv6-icmp --icmpv6-type echo-reply
	agree ip6tables-legacy stray-error-ip6 "${addrs[@]}" --icmp-type no-route
else
	skip "ip6tables-legacy of this kernel: $(cat "$WORK/refused")"
fi
in_ns s iptables-legacy -w -F
in_ns s iptables-legacy -w -P INPUT ACCEPT
in_ns s ip6tables-legacy -w -F
in_ns s ip6tables-legacy -w -P INPUT ACCEPT

# States ----------------------------------------------------------------------------------------

cat >"$WORK/states" <<RULES
*raw
:PREROUTING ACCEPT [0:0]
-A PREROUTING -p udp -m udp --dport 53 -j CT --notrack
COMMIT
*filter
:INPUT ACCEPT [0:0]
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT -m conntrack --ctstate ESTABLISHED -j DROP
-A INPUT -m conntrack --ctstate RELATED -j DROP
-A INPUT -m conntrack --ctstate NEW -j DROP
-A INPUT -m conntrack --ctstate UNTRACKED -j DROP
COMMIT
RULES

# The number of the rule, which is the state's above.
state_rule() {
	pg s test --policy "$WORK/states" --json "$@" | jq -r '.rule'
}

n=1
for state in INVALID ESTABLISHED RELATED NEW UNTRACKED; do
	expect "$state" "$(state_rule --ctstate $state)" $n
	n=$((n + 1))
done
expect "an error, IPv6" "$(state_rule --ctstate RELATED -6)" 3
expect "a UDP answer" "$(state_rule -p udp --ctstate ESTABLISHED)" 2
expect "a wrong UDP header" "$(state_rule -p udp --ctstate INVALID)" 1
expect "a SYN-ACK" "$(state_rule --tcp-flags SYN,ACK --ctstate ESTABLISHED)" 2
expect "an echo reply" "$(state_rule -p icmp --icmp-type pong --ctstate ESTABLISHED)" 2
expect "IPv6's echo request" "$(state_rule -p ipv6-icmp --ctstate ESTABLISHED)" 2
expect "ESP" "$(state_rule -p esp --ctstate ESTABLISHED)" 2
expect "by a rule of raw" "$(state_rule -p udp --dport 53)" 5
expect "which is in the path" "$(pg s test --policy "$WORK/states" -p udp --dport 53 --json |
	jq -c '[.path[] | [.table, .chain, .rule, .target]]')" \
	'[["raw","PREROUTING",1,"CT"],["filter","INPUT",5,"DROP"]]'
expect "and is where all is untracked, too" "$(pg s test --policy "$WORK/states" -p udp \
	--dport 53 --ctstate UNTRACKED --json | jq -c '[.path[] | [.chain, .rule]]')" \
	'[["PREROUTING",1],["INPUT",5]]'
expect_exit "a request is no INVALID" 2 'never INVALID: it would be NEW' \
	pg s test --policy "$WORK/states" -p icmp --ctstate INVALID
expect_exit "a segment is not RELATED" 2 'never RELATED' \
	pg s test --policy "$WORK/states" -p tcp --ctstate RELATED
expect_exit "flags that no connection has" 2 'never ESTABLISHED: it would be INVALID' \
	pg s test --policy "$WORK/states" --tcp-flags SYN,FIN --ctstate ESTABLISHED
expect_fail "nothing was made" test -e "$STATE"

# The instance ----------------------------------------------------------------------------------

expect_ok "attach" pg s attach pgs0 --mode native
expect_ok "a set" pg s set create ban hash:ip
expect_ok "and one in it" pg s set add ban 203.0.113.9
cat >"$WORK/live" <<RULES
*filter
:INPUT ACCEPT [0:0]
:once - [0:0]
-A INPUT -m set --match-set ban src -j DROP
-A INPUT -p tcp -m tcp --dport 22 -j REJECT --reject-with tcp-reset
-A INPUT -p udp -m udp --dport 53 -j once
-A once -m limit --limit 1/hour --limit-burst 1 -j DROP
-A once -m recent --set -j RETURN
COMMIT
RULES
expect_ok "restore" pg s restore "$WORK/live"
pg s save -c | grep -v '^#' >"$WORK/before"
for _ in 1 2; do
	expect "a limit is as new" "$(tested_path -p udp --dport 53)" "INPUT 3,once 1"
done
expect "in the set" "$(pg s test -s 203.0.113.9 --json |
	jq -c '[.verdict, .chain, .rule, .reason, .spec]')" \
	'["DROP","INPUT",1,"rule","-m set --match-set ban src -j DROP"]'
expect "not in the set" "$(pg s test -s 203.0.113.8 --json | jq -c '[.verdict, .chain, .rule, .reason]')" \
	'["ACCEPT","INPUT",0,"policy"]'
expect "the set of a file is the instance's" "$(pg s test -s 203.0.113.9 --policy "$WORK/live" --json |
	jq -c .rule)" 1
expect "REJECT" "$(pg s test --dport 22 --json | jq -c '[.verdict, .rule]')" '["REJECT",2]'
expect "the host's address" "$(pg s test -i pgs0 --json | jq -r .packet.dst)" 10.77.0.1
expect "and IPv6's" "$(pg s test -i pgs0 -6 --json | jq -r .packet.dst)" fd77::1
expect "a departure" "$(pg s test --egress --json | jq -c '[.verdict, .chain, .rule, .reason]')" \
	'["ACCEPT","OUTPUT",0,"policy"]'
expect "a frame" "$(pg s test --json --frame "02 00 00 00 00 02 02:00:00:00:00:01 0800 4500001c00010000
	40117a48 cb007109 0a4d0001 9c40 0035 0008 0000" | jq -c '[.verdict, .reason]')" \
	'["DROP","bad-checksum"]'
expect "ARP" "$(pg s test --frame 0200000000020200000000010806$(printf '%056d' 0) --json |
	jq -c '[.chain, .rule, .path]')" '[null,null,[]]'
expect "for people" "$(pg s test -i pgs0 --dport 22 | head -n 2)" \
	"REJECT by rule 2 of INPUT: -p tcp -m tcp --dport 22 -j REJECT --reject-with tcp-reset
  INPUT 2       -p tcp -m tcp --dport 22 -j REJECT --reject-with tcp-reset"
expect "no counter moved" "$(pg s save -c | grep -v '^#')" "$(cat "$WORK/before")"
in_ns c "$TOOLS/net/send" pgc0 udp53
once='-m limit --limit 1/hour --limit-burst 1 -j DROP'
wait_for "the real one" eval 'pg s save -c | grep -qF -- "[1:38] -A once $once"' &&
	pass "the instance's own limit was not used up"

# One UDP packet from 203.0.113.9 to port 53, and one from 203.0.113.8.
capture() {
	local host sum

	printf '\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0'
	for host in 09:79 08:7a; do
		sum=${host#*:} host=${host%:*}
		printf '\0\0\0\0\0\0\0\0\x2a\0\0\0\x2a\0\0\0'
		printf '\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\0\x45\0\0\x1c\0\x01\0\0\x40\x11'
		printf "\x34\x$sum\xcb\0\x71\x$host\x0a\x4d\0\x01\x9c\x40\0\x35\0\x08\0\0"
	done
}
capture >"$WORK/two.pcap"
expect "replay: the instance's set, a user-defined chain" \
	"$(pg s replay "$WORK/two.pcap" --policy "$WORK/live" --verdicts - | cut -f 4-7)" \
	"$(printf 'verdict\tchain\trule\treason\ndrop\tINPUT\t1\trule\ndrop\tonce\t1\trule')"
expect "replay: its rules" "$(pg s replay "$WORK/two.pcap" --policy "$WORK/live" --json | jq -c '
	[.rules.chains[] | select(.name == "INPUT" or .name == "once") | [.name, .rules[].packets]]')" \
	'[["INPUT",1,0,1],["once",1,0]]'
sed '/^-A once -m limit/s/DROP/REJECT/' "$WORK/live" >"$WORK/reject"
expect "replay: REJECT" "$(pg s replay "$WORK/two.pcap" --policy "$WORK/reject" --json |
	jq -c .verdicts)" '{"accept":0,"drop":1,"reject":1}'
printf '*raw\n-A PREROUTING -s 203.0.113.9 -j DROP\nCOMMIT\n' >"$WORK/raw"
expect "replay: raw" "$(pg s replay "$WORK/two.pcap" --policy "$WORK/raw" --verdicts - |
	tail -n 2 | cut -f 4-7)" "$(printf 'drop\tPREROUTING\t1\trule\naccept\tINPUT\t0\tpolicy')"

printf '*filter\n-A INPUT -s 203.0.113.9 -j DROP\nCOMMIT\n' >"$WORK/drop9"
printf '*filter\n-A INPUT -p udp --dport 53 -j ACCEPT\nCOMMIT\n' >"$WORK/accept53"
expect "replay --against: what differs" "$(pg s replay "$WORK/two.pcap" --policy "$WORK/drop9" \
	--against "$WORK/accept53" --json | jq -c '[.differences, (.difference_rows[] | [.direction, .proto,
	.port, .was.verdict, .was.rule, .now.verdict, .now.rule, .packets, .first_frame])]')" \
	'[1,["in",17,53,"accept",1,"drop",1,1,1]]'
expect_exit "replay --against: it differs" 1 '^$' pg s replay "$WORK/two.pcap" --policy "$WORK/drop9" \
	--against "$WORK/accept53"
# The first frame was 300000 bytes long on the wire.
{ head -c 36 "$WORK/two.pcap"; printf '\xe0\x93\x04\0'; tail -c +41 "$WORK/two.pcap"; } >"$WORK/long.pcap"
expect_exit "replay --against: however long it is" 1 '^$' pg s replay "$WORK/long.pcap" --policy "$WORK/drop9" \
	--against "$WORK/accept53"
expect_exit "replay --against: no such capture" 2 'cannot open' pg s replay "$WORK/nosuch" --policy "$WORK/drop9" \
	--against "$WORK/accept53"
expect_exit "replay --against: no such policy" 2 'cannot open' pg s replay "$WORK/two.pcap" --policy "$WORK/drop9" \
	--against "$WORK/nosuch"
expect_exit "replay --against: no capture" 2 'unknown file format' pg s replay "$WORK/drop9" --policy "$WORK/drop9" --against "$WORK/drop9"
expect_ok "replay --against: it does not" pg s replay "$WORK/two.pcap" --policy "$WORK/raw" --against \
	"$WORK/drop9"

# Explained --------------------------------------------------------------------------------------

cat >"$WORK/why" <<RULES
*filter
:INPUT DROP [0:0]
:web - [0:0]
-A INPUT -s 203.0.113.0/24 -p tcp -j DROP
-A INPUT -i pgs0 -p udp -m udp --sport 53 --dport 53 -j ACCEPT
-A INPUT -p udp -m length --length 1:20 -m udp --dport 9 -j ACCEPT
-A INPUT -p udp -m udp --dport 53 -m limit --limit 1/hour --limit-burst 2 -j ACCEPT
-A INPUT -p udp -m multiport --ports 53,54 -g web
-A web -m conntrack --ctstate INVALID -j DROP
-A web -m quota --quota 100 -m ttl --ttl-lt 3 -j LOG
-A web -j REJECT
COMMIT
RULES

# "INPUT 1 failed -p tcp": each rule that was considered
considered() {
	pg s test --json --explain "$@" | jq -r '.considered[] | "\(.chain) \(.rule) \(.outcome) \(.failed // "")"'
}

want='INPUT 1 failed -p tcp
INPUT 2 failed -i pgs0
INPUT 3 failed -m length --length 1:20
INPUT 4 matched '
expect "explain: a packet for the fourth rule" \
	"$(considered --policy "$WORK/why" -s 203.0.113.9 -p udp --dport 53)" "$want"
expect "explain: the second condition of a match" \
	"$(considered --policy "$WORK/why" -i pgs0 -p udp --sport 53 --dport 54 | sed -n 2p)" \
	"INPUT 2 failed -m udp --dport 53"
expect_ok "the explained policy" pg s apply "$WORK/why"
in_ns c "$TOOLS/net/send" pgc0 udp53 3
wait_for "three packets" eval '[ "$(packets s "-p udp -m multiport --ports 53,54 -g web")" = 1 ]'
pg s save -c | grep -v '^#' >"$WORK/before"
expect "explain: the limit as it stands" "$(considered -p udp --dport 53)" "INPUT 1 failed -s 203.0.113.0/24
INPUT 2 failed -i pgs0
INPUT 3 failed -m length --length 1:20
INPUT 4 failed -m limit --limit 1/hour --limit-burst 2
INPUT 5 matched 
web 1 failed -m conntrack --ctstate INVALID
web 2 failed -m ttl --ttl-lt 3
web 3 matched "
expect "explain: what limits have left" "$(pg s test -p udp --dport 53 --json --explain |
	jq -c '[.considered[].limits // empty]')" \
	'["limit: 0 of 2 packets left","quota: 62 of 100 bytes left"]'
expect "explain: a frame of a capture" "$(considered --frame-from "$WORK/two.pcap:2" | tail -n 1)" \
	"web 3 matched "
expect "explain: a frame that no rule is asked about" "$(pg s test --json --explain --frame \
	0200000000020200000000010806$(printf '%056d' 0) | jq -c '[.parser.ethertype, .flow, .considered]')" \
	'[2054,null,[]]'
expect "explain: for people" "$(pg s test -p udp --dport 53 --explain | grep -c '^  .*failed  ')" 6
expect "explain: no counter moved" "$(pg s save -c | grep -v '^#')" "$(cat "$WORK/before")"
cat >"$WORK/lists" <<RULES
*filter
-A INPUT -p udp -m udp --dport 53 -m recent --set --name seen --mask 255.255.255.0 --rsource
-A INPUT -p udp -m udp --dport 53 -m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 5 --hashlimit-mode srcip --hashlimit-name h -j ACCEPT
COMMIT
RULES
expect_ok "lists" pg s apply "$WORK/lists"
in_ns c "$TOOLS/net/send" pgc0 udp53 3
lists() {
	pg s test -p udp --dport 53 -s "$1" --json --explain | jq -c '[.considered[].limits // empty]' |
		sed 's/last [0-9]* s/last N s/'
}
wait_for "them in the list" eval '[ "$(packets s "$(sed -n 2s/-A\ INPUT\ //p "$WORK/lists")")" = 3 ]'
expect "explain: lists of who was there" "$(lists 10.77.0.2)" \
	'["recent: seen 3 times, last N s ago","hashlimit: 2 of 5 packets left"]'
expect "explain: his neighbour's" "$(lists 10.77.0.3)" \
	'["recent: seen 3 times, last N s ago","hashlimit: 5 of 5 packets left"]'
expect "explain: a stranger's" "$(lists 192.0.2.9)" '["recent: not in the list","hashlimit: 5 of 5 packets left"]'
{
	echo '*filter'
	for i in $(seq 1000); do
		echo "-A INPUT -s 10.$((i / 250)).$((i % 250)).0/24 -p tcp -m tcp --dport $i -j DROP"
	done
	echo COMMIT
} >"$WORK/thousand"
expect "explain: a thousand rules" "$(considered --policy "$WORK/thousand" -s 10.2.7.1 --dport 507 |
	cut -d ' ' -f 3,4 | sort | uniq -c | sed 's/^ *//; s/ $//' | sort -rn | head -n 2)" "506 failed -s
1 matched"

# What is refused ------------------------------------------------------------------------------------

refused() {
	local pattern=$1
	shift
	expect_exit "refused: $*" 2 "$pattern" pg s test "$@"
}

refused 'unknown protocol "nope" specified' -p nope
refused "host/network .x' not found" -s x
refused "is not one address" -d 10.0.0.0/8
refused 'not of the family' -s 10.0.0.1 -d ::1
refused 'need -p tcp' -p esp --dport 80
refused "invalid port/service" --dport 99999
refused 'Unknown TCP flag' --tcp-flags SYN,FOO
refused 'Unknown ICMP type' -p icmp --icmp-type foo
refused 'Bad ctstate "FOO"' --ctstate FOO
refused 'has 40 to 65535 bytes' --length 39
refused 'given before' --syn --tcp-flags ACK
refused '--frame says all' --frame 00 --dport 80
refused 'exclude each other' --frame 00 --frame-from x
refused 'counted from 1' --frame-from "$WORK/two.pcap:0"
refused 'two hexadecimal digits' --frame 0
refused 'shorter than an Ethernet header' --frame 0000
refused 'extension header' -6 -p ipv6-frag
refused "takes no 'x'" x
refused 'unknown option "--nope"' --nope
expect_exit "a policy that is wrong" 2 ':2:' pg s test --policy - <<<$'*filter\n-A INPUT -p nosuch\nCOMMIT'

summary
