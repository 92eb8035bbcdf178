#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Changing a policy without fear: apply with a deadline that the programs keep by themselves, confirm
# and rollback, counters on the way there and back, and the SSH connection that one sits on.
export PG_TEST_TIMEOUT=${PG_TEST_TIMEOUT:-600} # a thousand commits
. "$(dirname "$0")/lib.sh"

need jq nc
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
own_bpffs
two_namespaces
unset SSH_CONNECTION
export SSH_CONNECTION=none # or that of whoever runs the tests would be looked for

send() {
	in_ns c "$TOOLS/net/send" pgc0 "$@"
}

# sent N: packets to UDP 53, all of which have arrived when it returns
sent() {
	local want=$(($(port_count s udp 53 .in.packets) + $1))

	send udp53 "$1"
	wait_for "$1 packets" eval '[ "$(port_count s udp 53 .in.packets)" = '$want' ]'
}

generation() {
	json s status .policy.generation
}

# Both policies have BOTH; the old one accepts by OLD, the new one drops by NEW.
BOTH='-p udp -m udp --dport 53'
OLD='-p udp -m udp --dport 53 -j ACCEPT'
NEW='-p udp -m udp --dport 53 -j DROP'
for p in "old $OLD" "new $NEW"; do
	printf '%s\n' '*filter' ':INPUT ACCEPT [0:0]' "-A INPUT $BOTH" "-A INPUT ${p#* }" COMMIT \
		>"$WORK/${p%% *}"
done
WAITING="a policy is waiting for 'portguard confirm'"

expect_ok "attach" pg s attach pgs0 --mode native
expect_exit "confirm without anything to confirm" 1 'no policy is waiting' pg s confirm
expect_ok "apply" pg s apply "$WORK/old"
expect "status has nothing to confirm" "$(json s status .policy.confirm_deadline_s)" null
sent 5
expect "the old policy counts" "$(packets s "$BOTH") $(packets s "$OLD")" "5 5"

# Confirmed in time.
expect_ok "apply --confirm" pg s apply "$WORK/new" --confirm 5
expect_ok "confirm" pg s confirm
sent 3
expect "the new policy counts, and the rule in both goes on" \
	"$(packets s "$BOTH") $(packets s "$NEW")" "8 3"
sleep 5
expect "the confirmed policy stays" "$(pg s -S INPUT)" "$(printf '%s\n' '-P INPUT ACCEPT' \
	"-A INPUT $BOTH" "-A INPUT $NEW")"
sent 2
expect "also for packets" "$(packets s "$BOTH") $(packets s "$NEW")" "10 5"
expect_exit "confirm once more" 1 'no policy is waiting' pg s confirm

# Back to the one before, and there again.
expect_ok "rollback" pg s rollback
expect "the old policy is back with its counters" \
	"$(packets s "$BOTH") $(packets s "$OLD") $(packets s "$NEW")" "10 5 "
sent 1
expect "and goes on from there" "$(packets s "$BOTH") $(packets s "$OLD")" "11 6"
expect_ok "rollback of the rollback" pg s rollback
expect "the new policy has its counter" "$(packets s "$NEW")" 5
expect_ok "and back" pg s rollback

# A commit that fails leaves what can be gone back to.
expect_exit "a policy that cannot be compiled" 2 "Set nosuch doesn" pg s -A INPUT -m set --match-set nosuch src -j DROP
expect_ok "rollback after that" pg s rollback
expect "has the counter still" "$(packets s "$NEW")" 5
expect_ok "and back again" pg s rollback

# Interfaces come and go: the policy before is still that.
ip link add pgs1 netns "$PREFIX-s" type veth peer name pgc1 netns "$PREFIX-c"
expect_ok "the old policy is before the new one" pg s restore "$WORK/new"
expect_exit "an interface that there is not" 1 "no such interface: 'nosuch'" pg s attach pgs1 nosuch
expect "it has changed nothing" "$(json s status '.interfaces | length')" 1
expect_ok "an interface that is named twice" pg s attach pgs1 pgs1 --mode tc
expect_ok "that there is already" pg s attach pgs0
expect_ok "upgrade" pg s upgrade --force
expect_ok "detach" pg s detach pgs1
expect_ok "rollback behind all this" pg s rollback
expect "leads to the policy before" "$(pg s -S INPUT | grep -c -- "$NEW")" 0
expect_ok "and another" pg s rollback
expect "to the new one" "$(pg s -S INPUT | grep -c -- "$NEW")" 1
expect_ok "and back" pg s rollback

# Waiting, and rolled back before the deadline.
expect_ok "a set" pg s set create bans hash:ip
expect_ok "apply --confirm, to be rolled back" pg s apply "$WORK/new" --confirm 100
left=$(json s status .policy.confirm_deadline_s)
[ "$left" -ge 50 ] && [ "$left" -le 100 ] && pass "status says the seconds left" ||
	fail "status says the seconds left" "$left"
[[ $(pg s status) =~ Waiting.*s\ left ]] && pass "in words, too" || fail "in words, too"
expect_exit "-A is refused meanwhile" 1 "$WAITING .[0-9]+ s left.; confirm or rollback first" \
	pg s -A INPUT -j DROP
expect_exit "restore is refused" 1 "$WAITING" pg s restore "$WORK/old"
expect_exit "another apply is refused" 1 "$WAITING" pg s apply "$WORK/old"
expect_ok "a ban is not" pg s set add bans 192.0.2.9
expect_ok "nor its end" pg s set del bans 192.0.2.9
expect_exit "another set is" 1 "$WAITING" pg s set create more hash:ip
expect_exit "attach is refused" 1 "$WAITING" pg s attach lo
expect_exit "detach of an interface is refused" 1 "$WAITING" pg s detach pgs0
sent 4
expect_ok "rollback before the deadline" pg s rollback
expect "the old policy is in force" "$(packets s "$BOTH") $(packets s "$OLD")" "15 6"
[[ $(pg s status) =~ was\ taken\ back ]] && pass "status says so" || fail "status says so"
expect_exit "rollback has nothing to go back to" 1 'no previous policy' pg s rollback
expect_ok "and changes are possible" pg s -A INPUT -p tcp --dport 9 -j ACCEPT
expect_ok "-D" pg s -D INPUT 3

# Nobody confirms, and nobody is there to go back: only packets are.
before=$(generation)
expect_ok "apply --confirm 4" pg s apply "$WORK/new" --confirm 4
sent 2
expect "until then the new policy holds" "$(packets s "$NEW")" 2
dropped=$(port_count s udp 53 .in.dropped)
sleep 4
pgrep -f "^$PORTGUARD --state $STATE" >/dev/null && fail "some portguard runs" ||
	pass "no process is alive"
sent 6
expect "packets were accepted again" "$(port_count s udp 53 .in.dropped)" "$dropped"
expect "the next command sees the old policy" "$(pg s -S INPUT | tail -n 1)" "-A INPUT $OLD"
expect "its counters are exact" "$(packets s "$BOTH") $(packets s "$OLD")" "23 12"
expect "its generation is the one before" "$(generation)" "$before"
expect "nothing is to be confirmed" "$(json s status .policy.confirm_deadline_s)" null
[[ $(pg s status) =~ not\ confirmed\ in\ time ]] && pass "status says what happened" ||
	fail "status says what happened" "$(pg s status)"
expect_exit "confirm comes too late" 1 'was taken back' pg s confirm
expect_ok "a change after that" pg s -A INPUT -p tcp --dport 9 -j ACCEPT
expect "keeps the counters" "$(packets s "$BOTH") $(packets s "$OLD")" "23 12"
expect_ok "apply after that" pg s apply "$WORK/old"

# Wrong use.
expect_exit "--confirm wants a number" 2 'takes 1 to' pg s apply "$WORK/old" --confirm soon
expect_exit "--confirm 0" 2 'takes 1 to' pg s apply "$WORK/old" --confirm 0
expect_exit "apply without a file" 2 'one file' pg s apply
expect_exit "apply of a file with an error" 2 ':2:13:' \
	pg s apply - <<<$'*filter\n-A INPUT -p nosuch\nCOMMIT'
generation=$(generation)
expect_ok "--test" pg s apply "$WORK/new" --test
expect "--test changes nothing" "$(generation)" "$generation"

# Tracking goes on while a policy may come back that asks for states.
rules() {
	printf '%s\n' '*filter' ":INPUT $1 [0:0]"
	shift
	printf -- '-A INPUT %s\n' "$@"
	echo COMMIT
}
rules DROP '-m state --state ESTABLISHED -j ACCEPT' '-p tcp -m tcp --dport 99 -j ACCEPT' \
	>"$WORK/states"
rules ACCEPT '-p udp -m udp --dport 9 -j DROP' >"$WORK/open"
expect_ok "a policy with states" pg s apply "$WORK/states"
expect_ok "one without, to be confirmed" pg s apply "$WORK/open" --confirm 5
mkfifo "$WORK/up"
in_ns s timeout 20 nc -l -p 7777 >"$WORK/received" </dev/null &
wait_for "a server" listening s tcp 7777
in_ns c timeout 20 nc 10.77.0.1 7777 <"$WORK/up" >/dev/null &
exec 5>"$WORK/up"
echo one >&5
wait_for "the first line" grep -q one "$WORK/received"
sleep 5
echo two >&5
wait_for "the second line" grep -q two "$WORK/received" &&
	pass "a connection made meanwhile is ESTABLISHED for the old policy"
exec 5>&-
wait

# The SSH connection that one is on.
export SSH_CONNECTION="10.77.0.2 40000 10.77.0.1 22"
rules ACCEPT '-p tcp -m tcp --dport 80 -j ACCEPT' \
	'-i pgs0 -p tcp -m tcp --dport 22 -j REJECT' >"$WORK/locks"
pg s -F INPUT && pg s -P INPUT ACCEPT
generation=$(generation)
expect_exit "a policy that cuts the SSH connection" 1 \
	"SSH connection from 10.77.0.2 port 40000.*rule 2 of chain .INPUT. \(line 4\): -i pgs0 .*REJECT" \
	pg s apply "$WORK/locks"
expect "changes nothing" "$(generation)" "$generation"
expect_ok "--force applies it" pg s apply "$WORK/locks" --force
rules DROP '-p tcp -m tcp --dport 80 -j ACCEPT' >"$WORK/locks"
expect_exit "a chain's policy that cuts it" 1 "by the policy of chain .INPUT." \
	pg s apply "$WORK/locks"
rules DROP '-i pgc0 -j ACCEPT' >"$WORK/other"
expect_exit "a rule for another interface does not help" 1 "by the policy" \
	pg s apply "$WORK/other"
rules DROP '-m state --state ESTABLISHED -j ACCEPT' >"$WORK/established"
expect_exit "ESTABLISHED keeps it, with a warning" 0 "would drop a new one from 10.77.0.2" \
	pg s apply "$WORK/established"
expect_ok "a policy that lets SSH in" pg s apply /dev/stdin <<<"$(rules DROP \
	'-s 10.77.0.2 -p tcp -m tcp --dport 22 -j ACCEPT')"
printf '*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT DROP [0:0]\n-A OUTPUT -p udp -j ACCEPT\nCOMMIT\n' >"$WORK/mute"
expect_exit "a policy that cuts off the SSH connection's answers" 1 \
	"SSH connection from 10.77.0.2 port 40000.*the policy of chain .OUTPUT." pg s apply "$WORK/mute"
export SSH_CONNECTION="fd77::2 40000 fd77::1 22"
expect_exit "IPv6 is looked at, too" 1 "SSH connection from fd77::2" pg s apply "$WORK/locks"
export SSH_CONNECTION="192.0.2.1 40000 192.0.2.2 22"
expect_ok "a connection that does not arrive here" pg s apply "$WORK/locks"
unset SSH_CONNECTION
expect_exit "sudo hides the variable, but not from us" 1 "SSH connection from 10.77.0.2" \
	env SSH_CONNECTION="10.77.0.2 40000 10.77.0.1 22" \
	bash -c 'env -u SSH_CONNECTION nsenter --net="$0" "$@"; exit $?' \
	"/run/netns/$PREFIX-s" "$PORTGUARD" --state "$STATE" apply "$WORK/locks"
export SSH_CONNECTION=none

# Two policies in turn, a thousand times, while packets run: every packet meets one of the two.
expect_ok "the old policy" pg s apply "$WORK/old"
expect_ok "-Z" pg s -Z
base=$(port_count s udp 53 .in.packets)
dropped=$(port_count s udp 53 .in.dropped)

(
	while [ ! -e "$WORK/enough" ]; do
		send udp53 20000
		echo 20000
	done >"$WORK/sends"
) &
sender=$!
swaps=0 odd=0
while [ $swaps -lt 1000 ]; do
	swaps=$((swaps + 1))
	if [ $((swaps % 2)) = 1 ]; then
		pg s apply "$WORK/new" || odd=$((odd + 1))
	else
		pg s rollback || odd=$((odd + 1))
	fi
done
touch "$WORK/enough"
wait $sender
n=$(awk '{ n += $1 } END { print n }' "$WORK/sends")
wait_for "the last packet" eval '[ "$(port_count s udp 53 .in.packets)" = $((base + n)) ]'
expect "a thousand changes, none refused" "$swaps $odd" "1000 0"
expect "every packet was counted once" "$(port_count s udp 53 .in.packets)" $((base + n))
expect "by the rule in both policies" "$(packets s "$BOTH")" "$n"
expect "and accepted or dropped by one of the two" \
	"$(packets s "$OLD")" $((n - $(port_count s udp 53 .in.dropped) + dropped))
expect "none met the policy of the chain" "$(packets s policy)" 0
summary
