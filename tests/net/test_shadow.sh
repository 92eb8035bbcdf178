#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A policy that is tried on live packets: what `shadow` predicts is what `promote` then does, to the
# packet; nothing is answered or dropped meanwhile that would not have been; afterwards the hooks have
# the programs that they had before. It ends with the policy that it is compared with. Under TC, with and without TCX, and native XDP.
. "$(dirname "$0")/lib.sh"

need jq nc
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
own_bpffs
two_namespaces
export SSH_CONNECTION=none

cat >"$WORK/old" <<'E'
*filter
:INPUT DROP [0:0]
-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m tcp --dport 8080:8081 -j ACCEPT
-A INPUT -p udp -m udp --dport 53 -j ACCEPT
-A INPUT -p esp -j ACCEPT
COMMIT
E
cat >"$WORK/new" <<'E'
*filter
:INPUT DROP [0:0]
-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m tcp --dport 8080 -j ACCEPT
-A INPUT -p udp -m udp --dport 53 -m limit --limit 1/hour --limit-burst 3 -j ACCEPT
-A INPUT -p tcp -m tcp --dport 80 -j REJECT --reject-with tcp-reset
COMMIT
E
LIMITED='-p udp -m udp --dport 53 -m limit --limit 1/hour --limit-burst 3 -j ACCEPT'
REJECTED='-p tcp -m tcp --dport 80 -j REJECT --reject-with tcp-reset'

# All that came in, whatever became of it.
arrived() {
	json s status '.interfaces[0].ingress.packets'
}

send() {
	local want=$(($(arrived) + $2))

	in_ns c "$TOOLS/net/send" pgc0 "$1" "$2"
	wait_for "$2 of $1" eval '[ "$(arrived)" -ge '$want' ]'
}

# What the new policy does otherwise: 10 - 3 beyond its limit, 4 rejected, 5 that no rule accepts.
traffic() {
	send udp53 10
	send tcp80 4
	send esp 5
	carry 8080 5000 || fail "a connection that both accept"
}

# What differs: protocol, port, verdicts, the new policy's rule, source, packets.
rows() {
	pg s shadow --json | jq -r '.difference_rows[] |
		"\(.proto) \(.port // "-") \(.was.verdict) \(.now.verdict) \(.now.rule) \(.source) \(.packets)"' |
		sort
}

received() {
	in_ns c ip -s -j link show dev pgc0 | jq ".[0].stats64.rx.packets"
}

prog_ids() {
	json s status '.interfaces[0] | "\(.xdp_prog_id) \(.egress_prog_id)"'
}

# A connection that is older than the trial: only the old policy would let it begin.
begin_older() {
	mkfifo "$WORK/pipe"
	in_ns s timeout 100 nc -l -p 8081 >"$WORK/older" </dev/null &
	server=$!
	wait_for "a server on 8081" listening s tcp 8081
	in_ns c timeout 100 nc -N 10.77.0.1 8081 <"$WORK/pipe" >/dev/null &
	exec 9>"$WORK/pipe"
	echo one >&9
	wait_for "a first line" grep -q one "$WORK/older"
}

end_older() {
	exec 9>&-
	wait "$server"
	rm "$WORK/pipe"
}

try_in() { # MODE [WHAT IT IS CALLED]
	local mode=${2:-$1} before memory heard server

	expect_ok "$mode: attach" pg s attach pgs0 --mode "$1"
	expect_ok "$mode: the old policy" pg s apply "$WORK/old"
	before=$(prog_ids)
	memory=$(json s status .memory_bytes)
	begin_older

	expect_exit "$mode: nothing is tried yet" 1 'no policy is being tried' pg s shadow
	expect_ok "$mode: try the new one" pg s apply "$WORK/new" --shadow
	expect "$mode: status tells" "$(json s status .policy.shadow) $(pg s status | grep -c '^Shadow.* since 2')" "true 1"
	expect "$mode: and since when" "$(($(date +%s) - $(json s status .policy.shadow_since) < 600))" 1
	expect "$mode: its memory counts" "$(($(json s status .memory_bytes) > memory + memory / 2))" 1
	expect "$mode: the hooks have other programs" "$([ "$(prog_ids)" != "$before" ] && echo yes)" yes
	heard=$(received)
	send tcp80 2
	expect "$mode: what would be rejected is not answered" "$(received)" "$heard"
	expect "$mode: try it once more, from the beginning" "$(pg s apply "$WORK/new" --shadow |
		sed -n '1s/ and what.*//p')" "The trial that was on is ended,"
	expect "$mode: nothing was compared" "$(pg s shadow --json | jq -c '[.compared, .differences]')" \
		'[0,0]'
	echo two >&9
	wait_for "a second line" grep -q two "$WORK/older"
	traffic
	end_older
	expect "$mode: predicted" "$(rows)" "$(printf '%s\n' \
		'50 null accept drop 0 10.77.0.2 5' '17 53 accept drop 0 10.77.0.2 7' \
		'6 80 drop reject 4 10.77.0.2 4' | sed 's/null/-/' | sort)"
	expect "$mode: all in all" "$(pg s shadow --json | jq -c '[.differences, .not_listed]')" '[16,0]'
	expect "$mode: for people" "$(pg s shadow | sed -n 's/^Differences *//p')" 16
	expect "$mode: the old policy has decided" \
		"$(port_count s udp 53 .in.dropped) $(port_count s tcp 80 .in.dropped)" "0 6"
	expect_exit "$mode: no other attachment meanwhile" 1 'being tried' pg s attach pgs0 --mode skb

	expect_ok "$mode: promote, though there was a change meanwhile" pg s promote --force
	expect "$mode: status tells that it is over" "$(json s status .policy.shadow)" false
	expect "$mode: the new policy" "$(pg s save | grep -c REJECT)" 1
	expect "$mode: the hooks have their programs back" "$(prog_ids)" "$before"
	traffic
	expect "$mode: it does what was predicted" "$(packets s "$LIMITED") \
$(port_count s udp 53 .in.dropped) $(packets s "$REJECTED") $(packets s policy)" "3 7 4 18"
	expect_ok "$mode: try the old one" pg s apply "$WORK/old" --shadow
	expect_ok "$mode: and end it" pg s shadow --stop
	expect "$mode: the hooks have their programs back again" "$(prog_ids)" "$before"
	expect_exit "$mode: ended" 1 'no policy is being tried' pg s shadow --stop
	expect_ok "$mode: once more" pg s apply "$WORK/old" --shadow
	expect_ok "$mode: detach it all" pg s detach --all
	expect "$mode: nothing is left" "$(ls -d "$STATE" 2>/dev/null)" ""
}

# What a command that is killed leaves behind has everything but the mark that is written last.
unfinished() {
	local before
	expect_ok "attach" pg s attach pgs0 --mode tc
	expect_ok "the old policy" pg s apply "$WORK/old"
	before=$(prog_ids)
	expect_ok "a trial" pg s apply "$WORK/new" --shadow
	expect "doctor tells of it" "$(pg s doctor pgs0 --json | jq -r '.findings[] | select(.code == "shadow") |
		"\(.severity) \(.mend)"')" "info portguard --state $STATE shadow --stop"
	expect_exit "no upgrade meanwhile" 1 'being tried' pg s upgrade --force
	rm "$STATE/shadow/started"
	expect_exit "a trial that was not finished" 1 'not come to its end' pg s shadow
	expect_exit "is not promoted" 1 'not come to its end' pg s promote
	expect "status tells" "$(json s status .policy.shadow) $(pg s status | grep -c '^Shadow.*not come to its end')" \
		"false 1"
	expect "doctor tells" "$(pg s doctor pgs0 --json | jq -r '.findings[] | select(.code == "shadow") | .severity')" \
		warning
	expect_ok "attaching ends it" pg s attach pgs0 --mode native
	expect_exit "and nothing is left of it" 1 'no policy is being tried' pg s shadow
	expect_ok "a trial of the other" pg s apply "$WORK/new" --shadow
	expect_ok "a change meanwhile" pg s -A INPUT -p udp --dport 99 -j DROP
	expect_exit "is not lost without a word" 1 'was changed since the trial began' pg s promote
	expect_ok "without it" pg s -D INPUT -p udp --dport 99 -j DROP
	expect_ok "a trial of what is in force now" pg s apply "$WORK/new" --shadow
	expect "promote --confirm says how it goes on" "$(pg s promote --confirm 60 | grep -c "In force for 60 s.*confirm")" 1
	expect_ok "detach it all" pg s detach --all
}

# The trial's rows: the old policy's rule, packets; then what is told about its end.
told() {
	pg s shadow --json | jq -r '(.difference_rows[] | "\(.was.spec | capture("(?<c>RULE_.)").c) \(.packets)"),
		"\(.compared) \(.stopped) \(.generation) \(.generation_in_force)"'
}

RULE_A='-p udp --dport 53 -m comment --comment RULE_A -j DROP'
RULE_B='-p tcp --dport 80 -m comment --comment RULE_B -j DROP'

# Compared is with the policy in force at the beginning, and told by its rules, whatever took their slots.
changed() {
	expect_ok "attach" pg s attach pgs0 --mode tc
	expect_ok "the rule that is not in the new one" eval "pg s -A INPUT $RULE_A"
	printf '*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n' >"$WORK/open"
	expect_ok "try one without rules" pg s apply "$WORK/open" --shadow
	send udp53 4
	expect "both are told apart" "$(told)" $'RULE_A 4\n4 false 2 2'
	expect_ok "another policy, for a while" pg s apply "$WORK/open" --confirm 60
	send udp53 2
	expect "what meets that is not compared" "$(told)" $'RULE_A 4\n4 true 2 3'
	expect_ok "shadow --json says so, too" eval 'pg s shadow --json >/dev/null; [ $? = 1 ]'
	expect_ok "take it back" pg s rollback
	send udp53 3
	expect "and on it goes" "$(told)" $'RULE_A 7\n7 false 2 2'
	expect_ok "no more than a note" pg s shadow
	expect "status" "$(json s status .policy.shadow_stopped)" false

	expect_ok "another rule in its place" eval "pg s -D INPUT 1; pg s -A INPUT $RULE_B; pg s -A INPUT $RULE_A"
	send tcp80 3
	send udp53 5
	expect "the rule is still the one that it was" "$(told)" $'RULE_A 7\n7 true 2 6'
	expect "for people" "$(pg s shadow | grep -c '^Stopped .*generation 2, now 6')" 1
	expect_ok "the exit code tells" eval 'pg s shadow >/dev/null; [ $? = 1 ]'
	expect "status tells" "$(json s status .policy.shadow_stopped) $(pg s status |
		grep -c '^Shadow .* nothing more is compared')" "true 1"
	expect_ok "detach it all" pg s detach --all
}

# A set that only the policy on trial asks is in use.
sets() {
	printf '*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p udp -m set --match-set s1 src -j DROP\nCOMMIT\n' >"$WORK/sets"
	expect_ok "attach" pg s attach pgs0 --mode tc
	expect_ok "sets" eval "pg s set create s1 hash:ip; pg s set create s2 hash:ip; pg s set add s1 10.77.0.2"
	expect_ok "try it" pg s apply "$WORK/sets" --shadow
	expect "it counts" "$(pg s set list s1 | grep References)" "References: 1"
	expect_exit "not to be destroyed" 1 'in use by a kernel component' pg s set destroy s1
	expect_exit "nor all of them" 1 'in use by a kernel component' pg s set destroy
	expect_exit "nor renamed" 1 'in use by another system' pg s set rename s1 s3
	send udp53 5
	expect "it finds what is in it" "$(pg s shadow --json | jq .differences)" 5
	expect_ok "swapped" pg s set swap s1 s2
	expect "the name is what counts" "$(pg s set list s1 | grep References)" "References: 1"
	send udp53 2
	expect "nothing is in it" "$(pg s shadow --json | jq .differences)" 5
	expect_ok "swapped back" pg s set swap s1 s2
	send udp53 2
	expect "it is again" "$(pg s shadow --json | jq .differences)" 7
	expect_ok "the trial's end" pg s shadow --stop
	expect_ok "nobody asks it now" pg s set destroy s1
	expect_ok "detach it all" pg s detach --all
}

elsewhere() {
	expect_ok "attach" pg s attach pgs0 --mode tc
	expect_ok "one of another network namespace" pg c attach pgc0 --mode tc
	expect "apply tells" "$(pg s apply "$WORK/new" --shadow | sed -n 2p)" \
		"Not on pgc0, which is in another network namespace."
	expect "shadow tells" "$(pg s shadow | grep -c '^Left out  *pgc0: in another network namespace')" 1
	expect "whoever asks" "$(json s shadow .left_out[]) $(json c shadow .left_out[])" "pgc0 pgc0"
	expect_ok "detach it all" pg s detach --all
}

try_in tc
unfinished
changed
sets
elsewhere
PORTGUARD_NO_TCX=1 try_in tc "classic tc"
try_in native
expect_exit "no instance" 1 'nothing is attached' pg s apply "$WORK/new" --shadow
expect_exit "--shadow with --confirm" 2 'do not go with it' pg s apply "$WORK/new" --shadow --confirm 5
summary
