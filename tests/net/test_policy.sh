#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Changes of the policy: what stays keeps its counters, no packet meets half a policy, and two
# commands at once wait for each other.
. "$(dirname "$0")/lib.sh"

need flock jq nc
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
own_bpffs
two_namespaces

send() {
	in_ns c "$TOOLS/net/send" pgc0 "$@"
}

K='-p tcp -m tcp --dport 80 -m comment --comment keep -j DROP' # the rule that stays
expect_ok "attach" pg s attach pgs0 --mode native
expect_ok "-A" pg s -A INPUT $K
send tcp80 5
wait_for "five packets" eval '[ "$(packets s "$K")" = 5 ]'
expect_ok "-I in front of it" pg s -I INPUT -p udp --dport 99 -j ACCEPT
expect "-I keeps its counter" "$(counted s "$K")" 5:200
expect_ok "-A behind it" pg s -A INPUT -s 10.9.9.9 -j DROP
expect "-A keeps its counter" "$(counted s "$K")" 5:200
send tcp80 2
wait_for "two more" eval '[ "$(packets s "$K")" = 7 ]'
expect_ok "-D by number in front of it" pg s -D INPUT 1
expect "-D keeps its counter" "$(counted s "$K")" 7:280
expect_ok "-R of another" pg s -R INPUT 2 -s 10.9.9.8 -j DROP
expect "-R keeps its counter" "$(counted s "$K")" 7:280
expect_ok "-P" pg s -P INPUT DROP
expect "-P keeps its counter" "$(counted s "$K")" 7:280
send udp53 3
wait_for "the policy" eval '[ "$(packets s policy)" = 3 ]'
pg s save >"$WORK/saved"
sed -i "/:INPUT/a -A INPUT -p tcp -m tcp --dport 81 -j ACCEPT" "$WORK/saved"
expect_ok "restore with a rule more" pg s restore <"$WORK/saved"
expect "restore keeps the rule's counter" "$(counted s "$K")" 7:280
expect "restore keeps the policy's counter" "$(packets s policy)" 3
expect "a new rule starts from 0" \
	"$(counted s "-p tcp -m tcp --dport 81 -j ACCEPT")" 0:0
expect_exit "a file with an error" 2 ':2:13:' pg s restore <<<$'*filter\n-A INPUT -p nosuch\nCOMMIT'
expect "changes nothing" "$(counted s "$K")" 7:280
pg s save -c >"$WORK/counters"
expect_ok "-F" pg s -F INPUT
expect "-F leaves no rule" "$(pg s -S INPUT)" "-P INPUT DROP"
expect_ok "restore -c" pg s restore -c <"$WORK/counters"
expect "restore -c brings the counters back" "$(counted s "$K")" 7:280
send tcp80 1
wait_for "one more" eval '[ "$(packets s "$K")" = 8 ]' && pass "and they go on from there"
# As under iptables-restore: what -c says counts, what stands in front of a line only with restore's -c.
C='-p udp -m udp --dport 7 -j DROP'
for n in 5 7; do
	pg s restore <<<$'*filter\n'"-A INPUT $K"$'\n'"-A INPUT -c $n ${n}00 $C"$'\nCOMMIT'
	expect "a line with -c $n" "$(counted s "$C")" "$n:${n}00"
done
pg s restore <<<$'*filter\n'"[1:40] -A INPUT $K"$'\n'"[1:40] -A INPUT $C"$'\nCOMMIT'
expect "counters in front of a line, without -c" "$(counted s "$K") $(counted s "$C")" "8:320 7:700"
# restore -n: a chain that is filled anew keeps what rules have counted and remember, an equal rule begins anew.
W='-A web -p udp -m udp --dport 53 -m quota --quota 1000'
in_web() { pg s save -c | grep -- '-A web' | sed 's/ .*//' | xargs; }
pg s restore <<<$'*filter\n:web - [0:0]\n-A INPUT -j web\n'"$W"$' -j DROP\n-A web -p udp\nCOMMIT'
send udp53 30
web_counted() { [ "$(in_web | tr '[:]' ' ' | awk '{ print $1 + $3 }')" = "$1" ]; }
wait_for "30 packets" web_counted 30
counts=$(in_web)
expect_ok "restore -n" pg s restore -n <<<$'*filter\n:web - [0:0]\n'"$W"$' -j DROP\n-A web -p udp\nCOMMIT'
expect "restore -n keeps a rule's counter" "$(in_web)" "$counts"
send udp53 1
wait_for "one more" web_counted 31
expect "and its quota: the next rule counted it" "$(in_web | sed 's/ .*//')" "${counts%% *}"
counts=$(in_web)
expect_ok "restore -n of an equal rule" pg s restore -n <<<$'*filter\n-A web -p udp\nCOMMIT'
expect "which counts for itself" "$(in_web)" "$counts [0:0]"
expect_ok "restore -n with -Z" pg s restore -n <<<$'*filter\n-Z web\nCOMMIT'
expect "which zeroes" "$(in_web)" "[0:0] [0:0] [0:0]"
pg s restore "$WORK/counters"
expect_ok "-Z" pg s -Z INPUT
expect "-Z sets them to 0" "$(counted s "$K")" 0:0

# Two policies that both drop the packet, by different rules, swapped under traffic: every packet
# meets one of them and is counted once, and the rule that both have never loses a count.
for p in a b; do
	cat >"$WORK/$p" <<RULES
*filter
:INPUT ACCEPT [0:0]
-A INPUT -p udp -m udp --dport 53
$(for i in $(seq 100); do echo "-A INPUT -s 10.1.1.$i/32 -m comment --comment $p -j ACCEPT"; done)
-A INPUT -p udp -m udp --dport 53 -m comment --comment $p -j DROP
COMMIT
RULES
done
pg s restore <"$WORK/a"
base=$(port_count s udp 53 .in.packets)
dropped=$(port_count s udp 53 .in.dropped)
n=300000
send udp53 $n &
sender=$!
swaps=0
while kill -0 $sender 2>/dev/null && [ $swaps -lt 400 ]; do
	pg s restore <"$WORK/b" && pg s restore <"$WORK/a" || fail "restore under traffic"
	swaps=$((swaps + 2))
done
wait $sender
wait_for "the last packet" eval '[ "$(port_count s udp 53 .in.packets)" = $((base + n)) ]'
expect "every packet was counted once" "$(port_count s udp 53 .in.packets)" $((base + n))
expect "every packet was dropped" "$(port_count s udp 53 .in.dropped)" $((dropped + n))
expect "the rule in both policies counted every packet" \
	"$(packets s "-p udp -m udp --dport 53")" $n
expect "no packet met neither" "$(packets s policy)" 0
[ $swaps -ge 4 ] && pass "the policy was swapped $swaps times" || fail "only $swaps swaps"

# -L -Z under traffic: each packet is in one listing, or still there.
pg s restore <<<$'*filter\n-A INPUT -p udp -m udp --dport 53 -j DROP\n-A INPUT -p udp -m udp --dport 54 -j DROP\nCOMMIT'
send udp53 $n &
sender=$!
while kill -0 $sender 2>/dev/null; do
	pg s -L INPUT -v -x -n -Z
done >"$WORK/listings"
wait $sender
sleep 0.2 # the last packet
pg s -L INPUT -v -x -n >>"$WORK/listings"
expect "every packet is listed once" "$(awk '/dpt:53/ { n += $1 } END { print n }' "$WORK/listings")" $n
[ "$(grep -c dpt:53 "$WORK/listings")" -ge 5 ] && pass "zeroed often" || fail "hardly zeroed"

# Who reads a large policy, and is halted anywhere while two small ones come after it: no rule has another's counter.
for p in "big 1 20000" "second 2 100" "third 3 100"; do
	read -r name count rules <<<"$p"
	{
		echo "*filter"
		seq "$rules" | sed "s/.*/-A INPUT -c $count $count -p tcp --dport & -m comment --comment $name -j DROP/"
		echo COMMIT
	} >"$WORK/$name"
done
for i in $(seq 12); do
	pg s restore "$WORK/big"
	nsenter --net="/run/netns/$PREFIX-s" "$PORTGUARD" --state "$STATE" save -c >"$WORK/read$i" &
	reader=$!
	sleep "$(printf 0.%03d $((i * 5)))"
	kill -STOP $reader
	pg s restore "$WORK/second"
	pg s restore "$WORK/third"
	kill -CONT $reader
	wait $reader
done
expect "no rule is read with another's counter" "$(cat "$WORK"/read* | awk '
	/ big / { n++; wrong += $1 != "[1:1]" }
	/ second / { n++; wrong += $1 != "[2:2]" }
	/ third / { n++; wrong += $1 != "[3:3]" }
	END { print wrong + 0, (n > 0) }')" "0 1"
pg s -F INPUT

# Deny, where a chain lets most in.
pg s restore <<RULES
*filter
:INPUT DROP [0:0]
:web - [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m multiport --dports 80,443 -j web
-A web -s 10.9.9.9 -j DROP
-A web -j ACCEPT
COMMIT
RULES
in_ns s nc -lk 443 >/dev/null 2>&1 &
wait_for "a server" listening s tcp 443
connects() {
	in_ns c nc -z -w 2 10.77.0.1 443
}
expect_ok "a connection" connects
expect_ok "deny" pg s deny 443/tcp
expect_fail "nobody gets in" connects
expect "says test" "$(pg s test --json -p tcp -s 10.1.1.1 -d 10.77.0.1 --dport 443 --syn | jq -r .verdict)" DROP
expect_ok "allow" pg s allow 443/tcp
expect_ok "a connection again" connects

# Two at once.
flock "$STATE" sleep 3 &
holder=$!
sleep 0.3
expect_exit "a command that does not wait" 4 'lock' pg s -A INPUT -j ACCEPT
expect_exit "a command that waits too short" 4 'lock' pg s -w 1 -A INPUT -j ACCEPT
expect_ok "a command that waits" pg s -w 10 -A INPUT -p tcp --dport 7 -j ACCEPT
wait $holder

# Three others, two of which always wait already.
takes_turns() {
	while [ ! -e "$WORK/turned" ]; do
		flock "$STATE" sleep 0.3
	done
}
turns=
for i in 1 2 3; do
	takes_turns &
	turns="$turns $!"
done
sleep 0.5
expect_ok "a command that waits comes in turn" pg s -w 20 -A INPUT -p tcp --dport 8 -j ACCEPT
touch "$WORK/turned"
wait $turns
expect_ok "reading needs no lock" flock "$STATE" nsenter --net="/run/netns/$PREFIX-s" \
	"$PORTGUARD" --state "$STATE" -S
pg s -F INPUT
pids=
for i in $(seq 20); do
	pg s -w -A INPUT -p tcp --dport "$i" -j ACCEPT &
	pids="$pids $!"
done
wait $pids
expect "twenty at once all count" "$(pg s -S INPUT | grep -c -- '-A INPUT')" 20
summary
