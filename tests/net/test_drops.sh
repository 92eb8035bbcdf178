#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# drops and dump: every drop with its rule, live and afterwards; tshark reads what dump writes.
. "$(dirname "$0")/lib.sh"

need jq tshark tcpdump
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
own_bpffs
two_namespaces

send() {
	in_ns c "$TOOLS/net/send" pgc0 "$@"
}

# In the background, as itself: $! is its process.
background() { # FILE ARGUMENTS…
	local out=$1
	shift
	nsenter --net="/run/netns/$PREFIX-s" "$PORTGUARD" --state "$STATE" "$@" >"$out" 2>"$out.err" &
}

# What tshark makes of a file: fields, tab-separated
fields() { # FILE FIELD…
	local file=$1 args=()
	shift
	for f in "$@"; do
		args+=(-e "$f")
	done
	tshark -r "$file" -T fields "${args[@]}" 2>/dev/null
}

lines() { # FILE N
	[ "$(wc -l <"$1")" -ge "$2" ]
}

# What dump writes first it writes when it watches.
watching() { # FILE N: that many bytes
	[ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -ge "${2:-1}" ]
}

expect_exit "without an instance there are no drops" 1 "nothing is attached" pg s drops
expect_exit "nor packets" 1 "nothing is attached" pg s dump -w "$WORK/none"
expect_ok "attach" pg s attach pgs0 --mode tc
expect_ok "rules" pg s restore <<'RULES'
*filter
:INPUT ACCEPT [0:0]
:web - [0:0]
-A INPUT -p udp -j REJECT
-A INPUT -p tcp --dport 80 -j web
-A web -s 10.77.0.0/24 -m comment --comment "no web" -j DROP
-A web -j DROP
COMMIT
RULES

# Live, and every one of them: ten a rule and reason.
background "$WORK/live" drops --follow --json -c 50
follower=$!
background "$WORK/text" drops -f --port 53 -c 10
text=$!
background "$WORK/all.pcapng" dump
dumper=$!
wait_for "dump to begin" watching "$WORK/all.pcapng"
sleep 1 # and the followers, who show nothing before there is something
for frame in tcp80 tcp80-ip6 udp53 bad-checksum tcp80-vlan; do
	send $frame 10
done
wait_for "fifty drops" lines "$WORK/live" 50
wait $follower && pass "-c ends it" || fail "-c ends it" "$(cat "$WORK/live.err")"
summary_of() { # FILE FILTER: how many of each
	jq -c "$2" "$1" | sort | uniq -c | sed -E 's/^ +//'
}
expect "each with its rule and reason" "$(summary_of "$WORK/live" \
	'[.iface, .verdict, .chain, .rule, .reason, .src, .sport, .dst, .dport, .proto, .flags, .length, .vlan]')" \
	'10 ["pgs0","DROP","web",1,"rule","10.77.0.2",40000,"10.77.0.1",80,"tcp","S",40,5]
10 ["pgs0","DROP","web",1,"rule","10.77.0.2",40000,"10.77.0.1",80,"tcp","S",40,null]
10 ["pgs0","DROP","web",2,"rule","fd77::2",40000,"fd77::1",80,"tcp","S",60,null]
10 ["pgs0","DROP",null,null,"bad-checksum","10.77.0.2",40000,"10.77.0.1",80,"tcp","S",40,null]
10 ["pgs0","REJECT","INPUT",1,"rule","10.77.0.2",40000,"10.77.0.1",53,"udp",null,38,null]'
jq -s -e 'map(.time) | . == sort and .[0] > (now - 60) and .[-1] < now + 1' "$WORK/live" >/dev/null &&
	pass "in order, and now" || fail "in order, and now" "$(head -2 "$WORK/live")"
wait $text
expect "a filter, and lines for people" "$(sed -E 's/^[-0-9]{10} [0-9:.]{15} //' "$WORK/text" | uniq -c)" \
	"     10 pgs0 REJECT INPUT 1, rule: udp 10.77.0.2:40000 > 10.77.0.1:53 38 bytes"

# The black box has them, too, and goes on having them.
expect "all are kept" "$(pg s drops --json | wc -l)" 50
expect "the last of a kind" "$(pg s drops --last 2 --reason bad-checksum --json | jq -c .reason | uniq -c | sed 's/^ *//')" \
	'2 "bad-checksum"'
expect "by address" "$(pg s drops --src fd77::/16 | wc -l)" 10
expect_exit "a reason that there is not" 2 "no reason 'what'" pg s drops --reason what
expect_exit "no other words" 2 "Bad argument" pg s drops what

# dump: the same packets, by tshark
wait_for "fifty packets" watching "$WORK/all.pcapng" 7500
kill $dumper
wait $dumper && pass "a signal ends it well" || fail "a signal ends it well" "$(cat "$WORK/all.pcapng.err")"
expect "how many" "$(cat "$WORK/all.pcapng.err")" "portguard: 50 packets"
expect "tshark shows rule and reason" "$(fields "$WORK/all.pcapng" frame.interface_name frame.comment vlan.id |
	sort | uniq -c | sed -E 's/^ +//; s/\t/|/g')" \
'10 pgs0|DROP web 1, reason rule: -s 10.77.0.0/24 -m comment --comment "no web" -j DROP|
10 pgs0|DROP web 1, reason rule: -s 10.77.0.0/24 -m comment --comment "no web" -j DROP|5
10 pgs0|DROP web 2, reason rule: -j DROP|
10 pgs0|DROP, reason bad-checksum: wrong IPv4 header checksum|
10 pgs0|REJECT INPUT 1, reason rule: -p udp -j REJECT|'
expect "tcpdump reads it as well" "$(tcpdump -nr "$WORK/all.pcapng" udp port 53 2>/dev/null | wc -l)" 10
expect "and so do we" "$(pg s replay "$WORK/all.pcapng" --json | jq .frames)" 50

# Two at once, an expression, a length, what passes; native XDP this time.
expect_ok "attach, native" pg s attach pgs0 --mode native
background /dev/null dump -w "$WORK/some" -s 40 -c 3 tcp and not ip6
some=$!
background /dev/null dump --passed -w "$WORK/passed" -c 4 icmp or icmp6
passed_dump=$!
background "$WORK/any" dump --any -c 6 -i pgs0 host 10.77.0.2
any=$!
wait_for "the first" watching "$WORK/some"
wait_for "the second" watching "$WORK/passed"
wait_for "the third" watching "$WORK/any"
send tcp80-ip6 3
send r-ping 2 # and their answers pass
send tcp80 3
wait $some $passed_dump $any
expect "an expression and a snap length" "$(fields "$WORK/some" frame.cap_len frame.len tcp.dstport frame.comment |
	cut -d" " -f1 | uniq -c | xargs)" "3 40 54 80 DROP"
expect "what passes" "$(fields "$WORK/passed" icmp.type frame.comment | sort | uniq -c | sed -E 's/^ +//; s/\t/|/')" \
"2 0|ACCEPT OUTPUT policy, reason policy
2 8|ACCEPT INPUT policy, reason policy"
expect "directions" "$(fields "$WORK/passed" frame.packet_flags_direction | sort | uniq -c | xargs)" "2 0x00000001 2 0x00000002"
expect "both" "$(fields "$WORK/any" frame.comment | cut -d' ' -f1 | sort | uniq -c | xargs)" "4 ACCEPT 2 DROP"
expect_exit "an expression that is none" 2 "expression 'prot 6'" pg s dump -w "$WORK/bad" prot 6
expect_exit "an interface that is not attached" 1 "not attached to 'eth9'" pg s dump -w "$WORK/bad" -i eth9

# A reader that is killed keeps its place for five seconds at most.
readers=()
for i in 1 2 3 4; do
	background /dev/null dump --any -w "$WORK/reader$i"
	readers+=($!)
	wait_for "reader $i" watching "$WORK/reader$i"
done
kill -KILL "${readers[3]}"
unset 'readers[3]'
fifth_watches() {
	background "$WORK/said" dump -w "$WORK/fifth" -c 1
	fifth=$!
	while kill -0 $fifth 2>/dev/null; do
		watching "$WORK/fifth" && return 0
		sleep 0.1
	done
	return 1
}
wait_for "its place" fifth_watches
send tcp80
wait $fifth
expect "the next one gets its packet" "$(fields "$WORK/fifth" tcp.dstport)" 80
kill "${readers[@]}"
wait "${readers[@]}"

# A flood: bounded by rule, so another rule's drop is seen; nothing is lost without being told.
box_skipped() {
	pg s drops --last 1 2>&1 >/dev/null | sed -nE 's/^portguard: ([0-9]+) more.*/\1/p'
}
background /dev/null dump -w "$WORK/flood" --rate 100
flood=$!
wait_for "dump" watching "$WORK/flood"
send tcp80 30000
send udp53
sleep 0.5
kill $flood
wait $flood
got=$(fields "$WORK/flood" tcp.dstport | grep -c 80)
[ "$got" -ge 100 ] && [ "$got" -lt 20000 ] && pass "a flood is bounded" || fail "a flood is bounded" "$got packets"
expect "the other rule's drop is there" "$(fields "$WORK/flood" udp.dstport | grep -c 53)" 1
expect "and in the black box" "$(pg s drops --proto udp --json 2>/dev/null | tail -1 | jq -c '[.chain, .rule]')" '["INPUT",1]'
[ "$(box_skipped)" -gt 10000 ] && pass "what is not kept is counted" || fail "what is not kept is counted" "$(box_skipped)"
pg s drops --port 80 --last 1 --json 2>/dev/null | jq -e '.skipped > 0' >/dev/null &&
	pass "and told with the next of its kind" || fail "skipped" "$(pg s drops --port 80 --last 1 2>&1)"

# A lock-out: the policy is taken back, the interface detached, and what dropped is still told.
printf '*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j DROP\nCOMMIT\n' >"$WORK/lockout"
expect_ok "a policy for a second" pg s apply "$WORK/lockout" --confirm 1 --force
in_ns c timeout 0.5 bash -c 'exec 3<>/dev/tcp/10.77.0.1/22' 2>/dev/null
sleep 1
pg s drops --dport 22 --json 2>/dev/null | tail -1 >"$WORK/ssh"
expect "the rule that locked out" "$(jq -c '[.chain, .rule, .spec, .dport, .flags]' "$WORK/ssh")" \
	'["INPUT",1,"-p tcp -m tcp --dport 22 -j DROP",22,"S"]'
# And when the policies have changed again and again, so that its place is another's.
locked_out() {
	pg s drops --dport 22 --json 2>/dev/null | tail -1 | jq -c '[.chain, .rule, .past, .spec]'
}
expect "in a past policy" "$(locked_out)" '["INPUT",1,true,"-p tcp -m tcp --dport 22 -j DROP"]'
for port in 81 82 83; do
	pg s -I INPUT 1 -p tcp --dport $port -j ACCEPT
done
expect "whatever comes behind it" "$(locked_out)" '["INPUT",1,true,"-p tcp -m tcp --dport 22 -j DROP"]'
expect "for people" "$(pg s drops --dport 22 2>/dev/null | grep -c 'DROP INPUT 1 (past policy), rule: tcp')" 1
expect_ok "detach" pg s detach pgs0
expect "and after it" "$(pg s drops --last 1 --dport 22 --json 2>/dev/null | jq -c '[.iface, .dport]')" '["pgs0",22]'

# Who follows goes on with the next instance; a capture says that it is over.
background "$WORK/on" drops --follow --json
follower=$!
background "$WORK/over.out" dump -w "$WORK/over"
dumper=$!
wait_for "dump" watching "$WORK/over"
expect_ok "attach" pg s attach pgs0 --mode tc
expect_ok "detach it all" pg s detach --all
wait $dumper
expect "dump ends" "$? $(grep -c 'the instance was removed' "$WORK/over.out.err")" "1 1"
expect_ok "attach anew" pg s attach pgs0 --mode tc
expect_ok "a rule" pg s -A INPUT -p udp --dport 53 -j DROP
send udp53 3
wait_for "its drops" lines "$WORK/on" 3
expect "drops of the new instance" "$(jq -c '[.chain, .rule, .dport]' "$WORK/on" | uniq -c | xargs)" "3 [INPUT,1,53]"
kill $follower
expect_exit "an interface that never was" 1 "not attached to 'eth9'" pg s drops -i eth9
# Every third, and what was too many of a kind is told.
background "$WORK/third.out" dump -w "$WORK/third" --sample 3 --rate 5
third=$!
wait_for "dump" watching "$WORK/third"
send udp53 600
wait_for "all of them" eval '[ "$(port_count s udp 53 .in.dropped)" -ge 603 ]'
kill $third
wait $third
got=$(fields "$WORK/third" udp.dstport | wc -l)
left=$(sed -nE 's/.* ([0-9]+) left out \(more than 5 a second of a rule\).*/\1/p' "$WORK/third.out.err")
expect "sampled, limited, and counted" "$([ "$got" -ge 1 ] && echo $((got + left)))" 200
summary
