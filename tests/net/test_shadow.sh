#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A policy that is tried on live packets: what `shadow` predicts is what `promote` then does, to the
# packet; nothing is answered or dropped meanwhile that would not have been; afterwards the hooks have
# the programs that they had before. Under TC, with and without TCX, and native XDP.
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

try_in tc
unfinished
PORTGUARD_NO_TCX=1 try_in tc "classic tc"
try_in native
expect_exit "no instance" 1 'nothing is attached' pg s apply "$WORK/new" --shadow
expect_exit "--shadow with --confirm" 2 'do not go with it' pg s apply "$WORK/new" --shadow --confirm 5
summary
