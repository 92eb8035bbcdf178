#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A change of the policy, rehearsed on recorded traffic (replay --against) and on live traffic (apply
# --shadow): both foretell packet by packet what the same traffic then meets, whether it is for this
# host, sent by it, or forwarded. And of single packets `test --explain` says what iptables-legacy does.
. "$(dirname "$0")/lib.sh"

need jq nc ping
[ -x "$TOOLS/net/local" ] || skip_all "not built: $TOOLS/net/local"
own_bpffs
export SSH_CONNECTION=none

# h1 (10.1.0.2) - pgr1 (10.1.0.1) r (10.2.0.1) pgr2 - h2 (10.2.0.2), which knows no way back.
ip netns add "$PREFIX-r" || skip_all "no network namespaces here"
in_ns r sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 net.ipv4.ip_forward=1
for n in 1 2; do
	ip netns add "$PREFIX-h$n"
	in_ns h$n sysctl -qw net.ipv6.conf.default.disable_ipv6=1
	ip link add pgr$n netns "$PREFIX-r" address 02:01:00:00:0$n:01 type veth \
		peer name pgh0 netns "$PREFIX-h$n" address 02:01:00:00:0$n:02 || skip_all "no veth here"
	in_ns h$n ethtool -K pgh0 tso off gso off gro off tx off >/dev/null 2>&1
	in_ns r ethtool -K pgr$n tso off gso off gro off tx off >/dev/null 2>&1
	in_ns h$n ip link set lo up
	in_ns h$n ip link set pgh0 up
	in_ns r ip link set pgr$n up
	in_ns h$n ip addr add 10.$n.0.2/24 dev pgh0
	in_ns r ip addr add 10.$n.0.1/24 dev pgr$n
	in_ns h$n ip neigh replace 10.$n.0.1 lladdr 02:01:00:00:0$n:01 nud permanent dev pgh0
	in_ns r ip neigh replace 10.$n.0.2 lladdr 02:01:00:00:0$n:02 nud permanent dev pgr$n
done
in_ns r ip link set lo up
in_ns h1 ip route add default via 10.1.0.1
wait_for "links" eval '[ "$(in_ns r ip link | grep -c "pgr.*LOWER_UP")" = 2 ]'

# Who takes datagrams says nothing back.
for port in 5001 5002 5003; do
	in_ns r nc -u -k -l $port >/dev/null 2>&1 </dev/null &
	in_ns h2 nc -u -k -l $port >/dev/null 2>&1 </dev/null &
done
for port in 6001 6002; do
	in_ns h1 nc -u -k -l $port >/dev/null 2>&1 </dev/null &
done
wait_for "servers" eval 'listening r udp 5003 && listening h2 udp 5003 && listening h1 udp 6002'

cat >"$WORK/old" <<'E'
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A INPUT -p udp -m udp --dport 5001:5002 -j ACCEPT
-A FORWARD -p udp -m udp --dport 5001 -j ACCEPT
-A OUTPUT -p udp -m udp --dport 6002 -j DROP
COMMIT
E
cat >"$WORK/new" <<'E'
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A INPUT -p udp -m udp --dport 5001 -j ACCEPT
-A INPUT -p udp -m udp --dport 5002 -m limit --limit 1/day --limit-burst 3 -j ACCEPT
-A INPUT -p udp -m udp --dport 5003 -j ACCEPT
-A FORWARD -p udp -m udp --dport 5002 -j ACCEPT
-A OUTPUT -p udp -m udp --dport 6001 -j DROP
COMMIT
E

udp() { # HOST ADDRESS PORT COUNT
	in_ns "$1" "$TOOLS/net/local" udp "$2" "$3" "$4"
}
# All that comes and goes by pgr1, whatever became of it.
seen() {
	json r status '[.interfaces[] | select(.name == "pgr1") | .ingress.packets + .egress.packets][0]'
}
# Always the same: 600 and 10 and 3 for r, 4 and 5 to be forwarded, 6 and 7 from r, and two questions of
# r's with their answers.
traffic() {
	local before

	before=$(seen)
	udp h1 10.1.0.1 5001 600
	udp h1 10.1.0.1 5002 10
	udp h1 10.1.0.1 5003 3
	udp h1 10.2.0.2 5001 4
	udp h1 10.2.0.2 5002 5
	udp r 10.1.0.2 6001 6
	udp r 10.1.0.2 6002 7
	in_ns r ping -q -c 2 -i 0.2 -W 10 10.1.0.2 >/dev/null || fail "r's questions are answered"
	wait_for "all of it" eval '[ "$(seen)" -ge '$((before + 600 + 10 + 3 + 4 + 5 + 6 + 7 + 4))' ]'
}

# What differs, by direction and the rules of either side, from JSON; r's own ports are random.
rows() {
	jq -r '[.difference_rows[] | {key: "\(.direction) \(if .direction == "in" then .port else "-" end) \(
		.was.verdict) \(.was.chain) \(.was.rule) > \(.now.verdict) \(.now.chain) \(.now.rule)", packets}]
		| group_by(.key)[] | "\(.[0].key): \(map(.packets) | add)"'
}
# "INPUT 1 12": what each rule has counted, and each chain's policy as rule 0.
counters() {
	jq -r '.chains[] | .name as $c | (["0", .packets], (.rules[] | [.num, .packets])) | "\($c) \(.[0]) \(.[1])"'
}
# "in 5002 10": what was dropped, by the port that it came for; and what left by pgr1, in one.
drops() {
	pg r ports --json | jq -r '.ports[] | select(.in.dropped > 0 and .port < 6000) | "in \(.port) \(.in.dropped)"'
	json r status '[.interfaces[] | select(.name == "pgr1")][0].egress.dropped | "out - \(.)"'
}
# Of two readings: what came in between.
since() {
	awk 'NR == FNR { was[$1 " " $2] = $3; next }
		$3 - was[$1 " " $2] { print $1, $2, $3 - was[$1 " " $2] }' "$1" "$2" | sort
}

expect_ok "attach" pg r attach pgr1 --mode tc
expect_ok "the old policy" pg r apply "$WORK/old"

# Recorded -----------------------------------------------------------------------------------------
nsenter --net="/run/netns/$PREFIX-r" "$PORTGUARD" --state "$STATE" dump --any --rate 0 -i pgr1 \
	-w "$WORK/rec.pcapng" >"$WORK/dumped" 2>&1 &
dumper=$!
wait_for "dump to begin" test -s "$WORK/rec.pcapng"
drops >"$WORK/d0"
traffic
drops >"$WORK/d1"
kill $dumper
wait $dumper
since "$WORK/d0" "$WORK/d1" >"$WORK/dropped-old"
replayed() {
	pg r replay "$WORK/rec.pcapng" --local 10.1.0.1,10.2.0.1 --iface pgr1 --json "$@"
}
replayed --policy "$WORK/old" | jq .rules | counters >"$WORK/replayed-old"
pg r rules --json | counters >"$WORK/counted-old"
expect "a record of what happened" "$(cat "$WORK/replayed-old")" "$(cat "$WORK/counted-old")"
replayed --policy "$WORK/new" --against "$WORK/old" >"$WORK/against"
rows <"$WORK/against" >"$WORK/recorded"
expect "what replay foretells" "$(cat "$WORK/recorded")" "$(sort <<'E'
in 5001 accept FORWARD 1 > drop FORWARD 0: 4
in 5002 accept INPUT 2 > drop INPUT 0: 7
in 5002 drop FORWARD 0 > accept FORWARD 1: 5
in 5003 drop INPUT 0 > accept INPUT 4: 3
out - accept OUTPUT 0 > drop OUTPUT 1: 6
out - drop OUTPUT 1 > accept OUTPUT 0: 7
E
)"
jq .rules "$WORK/against" | counters >"$WORK/foretold"

# Live ---------------------------------------------------------------------------------------------
expect_ok "try the new policy" pg r apply "$WORK/new" --shadow
drops >"$WORK/d0"
traffic
drops >"$WORK/d1"
pg r shadow --json | rows >"$WORK/live"
expect "what shadow foretells" "$(cat "$WORK/live")" "$(cat "$WORK/recorded")"
expect "the old policy decides meanwhile" "$(since "$WORK/d0" "$WORK/d1")" "$(cat "$WORK/dropped-old")"

# And so it is -------------------------------------------------------------------------------------
expect_ok "promote" pg r promote
pg r rules --json | counters | sort >"$WORK/r0"
drops >"$WORK/d0"
traffic
drops >"$WORK/d1"
pg r rules --json | counters | sort >"$WORK/r1"
expect "each rule meets what replay has foretold" "$(since "$WORK/r0" "$WORK/r1")" \
	"$(awk '$3' "$WORK/foretold" | sort)"
# What was dropped, and what the differences add to it and take from it.
expect "drops are as the differences say" "$(since "$WORK/d0" "$WORK/d1")" "$(
	sed 's/://' "$WORK/live" | awk 'NR == FNR { n[$1 " " $2] = $3; next }
		{ n[$1 " " $2] += $7 == "drop" ? $10 : -$10 }
		END { for (k in n) if (n[k]) print k, n[k] }' "$WORK/dropped-old" - | sort)"

# One by one ---------------------------------------------------------------------------------------
expect_ok "detach" pg r detach --all
if ! in_ns r iptables-legacy -t raw -A PREROUTING -j CT --notrack 2>/dev/null; then
	skip "no iptables-legacy with conntrack in this kernel"
	summary
	exit
fi
cat >"$WORK/many" <<'E'
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -p udp -m udp --dport 5003 -j CT --notrack
-A OUTPUT -p udp -m udp --dport 6002 -j DROP
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:web - [0:0]
-A INPUT -i pgr1 -p udp -j web
-A INPUT -m conntrack --ctstate UNTRACKED -j ACCEPT
-A INPUT -p udp -m udp --dport 5001 -j ACCEPT
-A FORWARD -i pgr2 -j DROP
-A FORWARD -i pgr1 -o pgr2 -p udp -m udp --dport 5002 -j ACCEPT
-A FORWARD -p tcp -m tcp --syn -j web
-A FORWARD -m conntrack --ctstate NEW -j DROP
-A OUTPUT -o pgr2 -j DROP
-A OUTPUT -p udp -m udp --dport 6001 -j DROP
-A OUTPUT -p icmp -m conntrack --ctstate NEW -g web
-A web -p udp -m udp --dport 5003 -j RETURN
-A web -p tcp -m tcp --dport 80 -j DROP
-A web -m conntrack --ctstate INVALID -j DROP
COMMIT
E
in_ns r iptables-legacy-restore "$WORK/many" || fail "iptables refuses the rules"
# Rules and chains' policies that have counted: "filter INPUT 2".
kernel_counted() {
	in_ns r iptables-legacy-save -c | awk '/^\*/ { table = substr($1, 2); split("", n) }
		/^:/ && $3 !~ /^\[0:/ { print table, substr($1, 2), "policy" }
		/^\[/ { n[$3]++; if ($1 !~ /^\[0:/) print table, $3, n[$3] }' | sort
}
# explained HOST PROTO ADDRESS PORT OPTIONS OF test…: the same rules match as in the kernel
explained() {
	local host=$1 proto=$2 addr=$3 port=$4
	shift 4

	in_ns r iptables-legacy -Z
	in_ns r iptables-legacy -t raw -Z
	in_ns "$host" "$TOOLS/net/local" "$proto" "$addr" "$port" 1
	wait_for "the packet" eval '[ -n "$(kernel_counted | grep -v "^raw.*policy")" ]'
	expect "$proto from $host to $addr:$port" "$(pg r test --json --explain --policy "$WORK/many" "$@" |
		jq -r '.considered[] | select(.outcome == "matched") | "\(.table) \(.chain) \(.rule)"' | sort)" \
		"$(kernel_counted | grep -v policy)"
}
h1='-i pgr1 -s 10.1.0.2'
explained h1 udp 10.1.0.1 5001 $h1 -d 10.1.0.1 -p udp --dport 5001
explained h1 udp 10.1.0.1 5009 $h1 -d 10.1.0.1 -p udp --dport 5009
explained h1 udp 10.1.0.1 5003 $h1 -d 10.1.0.1 -p udp --dport 5003
explained h1 udp 10.2.0.2 5002 $h1 -d 10.2.0.2 -p udp --dport 5002
explained h1 udp 10.2.0.2 5001 $h1 -d 10.2.0.2 -p udp --dport 5001
explained h1 tcp 10.2.0.2 80 $h1 -d 10.2.0.2 --dport 80
r='--egress -i pgr1 -s 10.1.0.1 -d 10.1.0.2'
explained r udp 10.1.0.2 6001 $r -p udp --dport 6001
explained r udp 10.1.0.2 6002 $r -p udp --dport 6002
explained r icmp 10.1.0.2 0 $r -p icmp --icmp-type echo-request
explained r udp 10.2.0.2 53 --egress -i pgr2 -s 10.2.0.1 -d 10.2.0.2 -p udp --dport 53
summary
