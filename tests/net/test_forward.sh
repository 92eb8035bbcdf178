#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# FORWARD: what a router passes on between two hosts meets the same rules with the same counters as under
# the kernel's iptables, once, and what is for the router itself is INPUT's.
. "$(dirname "$0")/lib.sh"

need iptables-legacy ip6tables-legacy nc ping jq
for tool in local from; do
	[ -x "$TOOLS/net/$tool" ] || skip_all "not built: $TOOLS/net/$tool"
done
own_bpffs
JUDGED=r

# h1 (10.1.0.2) - pgr1 (10.1.0.1) r (10.2.0.1) pgr2 - h2 (10.2.0.2), likewise fd01:: and fd02::; behind
# pgr3 there is nobody.
add_link() { # N: h<N> and r
	local n=$1 here there

	here=02:01:00:00:0$n:01 there=02:01:00:00:0$n:02
	ip netns add "$PREFIX-h$n" || skip_all "no network namespaces here"
	in_ns "h$n" sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.addr_gen_mode=1 \
		net.ipv6.conf.default.router_solicitations=0
	ip link add "pgr$n" netns "$PREFIX-r" address $here type veth \
		peer name pgh0 netns "$PREFIX-h$n" address $there || skip_all "no veth here"
	in_ns "h$n" ip link set lo up
	in_ns "h$n" ethtool -K pgh0 tso off gso off gro off tx off >/dev/null 2>&1
	in_ns r ethtool -K "pgr$n" tso off gso off gro off tx off >/dev/null 2>&1
	in_ns "h$n" ip6tables-legacy -w -t raw -A OUTPUT -d ff00::/8 -p ipv6-icmp -j DROP 2>/dev/null
	in_ns "h$n" ip link set pgh0 up
	in_ns r ip link set "pgr$n" up
	in_ns "h$n" ip addr add "10.$n.0.2/24" dev pgh0
	in_ns r ip addr add "10.$n.0.1/24" dev "pgr$n"
	in_ns "h$n" ip addr add "fd0$n::2/64" dev pgh0 nodad
	in_ns r ip addr add "fd0$n::1/64" dev "pgr$n" nodad
	in_ns "h$n" ip neigh replace "10.$n.0.1" lladdr $here nud permanent dev pgh0
	in_ns r ip neigh replace "10.$n.0.2" lladdr $there nud permanent dev "pgr$n"
	in_ns "h$n" ip neigh replace "fd0$n::1" lladdr $here nud permanent dev pgh0
	in_ns r ip neigh replace "fd0$n::2" lladdr $there nud permanent dev "pgr$n"
	in_ns "h$n" ip route add default via "10.$n.0.1"
	in_ns "h$n" ip -6 route add default via "fd0$n::1"
	in_ns "h$n" sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 net.ipv4.ip_forward=0
}

ip netns add "$PREFIX-r" || skip_all "no network namespaces here"
in_ns r sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
	net.ipv6.conf.default.router_solicitations=0 net.ipv6.conf.default.addr_gen_mode=1 \
	net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
in_ns r ip link set lo up
in_ns r ip6tables-legacy -w -t raw -A OUTPUT -d ff00::/8 -p ipv6-icmp -j DROP 2>/dev/null
add_link 1
add_link 2
add_link 3
# What the far sides of h1 and h2 have, nobody there answers for.
in_ns r ip route add 10.64.0.0/10 via 10.1.0.2
in_ns r ip route add 10.128.0.0/9 via 10.2.0.2
in_ns r ip route add fd40::/16 via fd01::2
in_ns r ip route add fd80::/16 via fd02::2
in_ns r sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
. "$ROOT/tests/net/twice.sh"
in_ns r iptables-legacy -w -S >/dev/null 2>&1 || skip_all "no iptables-legacy in this kernel"
in_ns r ip6tables-legacy -w -t raw -F
wait_for "links" eval '[ "$(in_ns r ip link | grep -c "pgr.*LOWER_UP")" = 3 ]'
sleep 2 # what IPv6 says at the start

for host in h1 h2 h3; do
	for tables in iptables-legacy ip6tables-legacy; do
		for proto in tcp udp all; do
			in_ns $host $tables -w -t raw -A PREROUTING -p $proto
		done
	done
done
arrived() {
	local host

	for host in h1 h2 h3; do
		for tables in iptables-legacy ip6tables-legacy; do
			in_ns $host $tables -w -t raw -L PREROUTING -v -x -n -Z |
				awk -v host=$host '$1 ~ /^[0-9]/ { print host, $1, $2 }'
		done
	done
}

# from HOST udp|icmp|tcp ADDRESS PORT COUNT
from() {
	local host=$1
	shift

	in_ns "$host" "$TOOLS/net/local" "$@"
}
mixed4() {
	from h1 udp 10.2.0.2 53 3
	from h1 udp 10.2.0.2 5353 2
	from h1 icmp 10.2.0.2 0 2
	from h1 tcp 10.2.0.2 80 1
	from h1 tcp 10.3.0.2 80 1
	from h1 udp 10.3.0.2 53 1
	from h2 udp 10.1.0.2 53 2
	from h2 tcp 10.1.0.2 22 1
	# for the router itself
	from h1 udp 10.1.0.1 53 1
	from h1 udp 10.2.0.1 53 1
	from h1 icmp 10.2.0.1 0 1
	from h2 tcp 10.2.0.1 22 1
	# by the router
	from r udp 10.2.0.2 53 2
	from r icmp 10.1.0.2 0 1
}
mixed6() {
	from h1 udp fd02::2 53 3
	from h1 udp fd02::2 5353 2
	from h1 icmp fd02::2 0 2
	from h1 tcp fd02::2 80 1
	from h1 tcp fd03::2 80 1
	from h1 udp fd03::2 53 1
	from h2 udp fd01::2 53 2
	from h2 tcp fd01::2 22 1
	from h1 udp fd01::1 53 1
	from h1 udp fd02::1 53 1
	from h1 icmp fd02::1 0 1
	from h2 tcp fd02::1 22 1
	from r udp fd02::2 53 2
	from r icmp fd01::2 0 1
}

# many FAMILY RULES SEED: as many random rules of all three chains, and in $WORK/many the packets that
# meet some of them: from h1's far side to h2's, or to the router.
many() {
	awk -v v6=$(($1 == 6)) -v n="$2" -v seed="$3" -v packets="$WORK/many" '
		function below(n) { return int(rand() * n) }
		function pick(list, a) { return a[1 + below(split(list, a, " "))] }
		function addr(net) {
			if (v6)
				return sprintf("fd%s:%x:%x::%x", net, below(64), below(4), below(16))
			return sprintf("10.%d.%d.%d", net + below(64), below(4), below(16))
		}
		function len() {
			return v6 ? pick("0 16 26 32 33 48 64 65 121 128 128") : pick("0 8 10 16 17 22 24 31 32 32")
		}
		function turned(percent) { return below(100) < percent ? " !" : "" }
		BEGIN {
			srand(seed)
			print "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]"
			for (i = 0; i < n; i++) {
				chain = pick("FORWARD FORWARD FORWARD FORWARD INPUT OUTPUT")
				src = addr(v6 ? 40 : 64)
				dst = below(5) ? addr(v6 ? 80 : 128) : v6 ? "fd01::1" : "10.1.0.1"
				proto = pick("tcp udp")
				port = 1 + below(1000)
				printf "-A %s", chain
				if (below(10))
					printf "%s -s %s/%d", turned(1), src, len()
				if (below(2))
					printf "%s -d %s/%d", turned(1), dst, len()
				if (chain != "OUTPUT" && !below(4))
					printf "%s -i %s", turned(20), pick("pgr1 pgr+ pgr2 lo")
				if (chain != "INPUT" && !below(4))
					printf "%s -o %s", turned(20), pick("pgr2 pgr+ pgr1 pgr3 lo")
				printf " -p %s -m %s --dport %d:%d", proto, proto, port, port + below(3) * below(200)
				print below(50) ? " -j " pick("ACCEPT DROP DROP") : ""
				if (!below(1 + n / 400))
					printf "%s %s 0 %s %d %d\n", src, dst, proto, 1024 + below(60000), port > packets
			}
			print "COMMIT"
		}'
}
many_packets() {
	in_ns h1 "$TOOLS/net/from" pgh0 02:01:00:00:01:02 02:01:00:00:01:01 <"$WORK/many"
	sleep 0.3
}

# And what the router sends from an address of another interface, or gets for one.
own4() {
	mixed4
	in_ns r ping -c 2 -i 0.2 -W 1 -I 10.3.0.1 10.2.0.2
	in_ns h1 ping -c 1 -W 1 10.3.0.1
}

own6() {
	mixed6
	in_ns r ping -c 2 -i 0.2 -W 1 -I fd03::1 fd02::2
	in_ns h1 ping -c 1 -W 1 fd03::1
}

all_scenarios() { # MODE FAMILY…
	local mode=$1 family icmp hops
	shift

	for family; do
		icmp=icmp
		[ $family = 4 ] || icmp=ipv6-icmp
		twice "$mode: v$family: INPUT and FORWARD" $family mixed$family <<RULES
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p udp -m udp --dport 53
-A INPUT -p tcp -j DROP
-A FORWARD -p udp -m udp --dport 53
-A FORWARD -p tcp -m tcp --dport 80 -j DROP
-A OUTPUT -p udp
COMMIT
RULES
		twice "$mode: v$family: interfaces" $family mixed$family <<RULES
*filter
:FORWARD ACCEPT [0:0]
-A FORWARD -i pgr1 -o pgr2
-A FORWARD -i pgr2 -o pgr1
-A FORWARD -i pgr1 -o pgr3 -p tcp -j DROP
-A FORWARD -o pgr3
-A FORWARD ! -i pgr1
-A FORWARD -i pgr+ ! -o pgr2 -j DROP
-A FORWARD -i lo
-A FORWARD ! -o lo
COMMIT
RULES
		twice "$mode: v$family: policies that drop" $family mixed$family <<RULES
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT DROP [0:0]
-A INPUT -p $icmp -j ACCEPT
-A FORWARD -i pgr1 -o pgr2 -p udp -j ACCEPT
-A OUTPUT -o pgr2 -j ACCEPT
COMMIT
RULES
		twice "$mode: v$family: FORWARD alone" $family mixed$family <<RULES
*filter
:FORWARD DROP [0:0]
-A FORWARD -p $icmp -j ACCEPT
COMMIT
RULES
		hops=ttl
		[ $family = 4 ] || hops=hl
		twice "$mode: v$family: hop limits and whose addresses" $family own$family <<RULES
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m $hops --$hops-eq 64
-A INPUT -m addrtype --dst-type LOCAL --limit-iface-in
-A INPUT -m addrtype ! --dst-type LOCAL --limit-iface-in
-A FORWARD -m $hops --$hops-eq 64
-A FORWARD -m $hops --$hops-eq 63
-A FORWARD -m $hops --$hops-lt 64
-A FORWARD -m $hops --$hops-gt 63
-A FORWARD -m addrtype --dst-type UNICAST --limit-iface-out
-A FORWARD -m addrtype --src-type LOCAL --limit-iface-in
-A OUTPUT -m $hops --$hops-eq 64
-A OUTPUT -m addrtype --src-type LOCAL --limit-iface-out
-A OUTPUT -m addrtype ! --src-type LOCAL --limit-iface-out
-A OUTPUT -m addrtype --src-type LOCAL
COMMIT
RULES
		twice "$mode: v$family: INPUT alone" $family mixed$family <<RULES
*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
-A INPUT -i pgr1 -j ACCEPT
COMMIT
RULES
		twice "$mode: v$family: chains that all share" $family mixed$family <<RULES
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:all - [0:0]
:udp - [0:0]
-A INPUT -j all
-A FORWARD -j all
-A OUTPUT -j all
-A all -i pgr1
-A all -o pgr2
-A all ! -i pgr2
-A all ! -o pgr1
-A all -p udp -g udp
-A all -p tcp -m tcp --dport 22 -j DROP
-A udp -p udp -m udp --dport 5353 -j DROP
-A FORWARD -p udp
COMMIT
RULES
		twice "$mode: v$family: raw before FORWARD" $family mixed$family <<RULES
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -i pgr1 -p tcp -m tcp --dport 80 -j DROP
-A PREROUTING -i pgr1 -p udp
-A OUTPUT -p udp
COMMIT
*filter
:FORWARD ACCEPT [0:0]
-A FORWARD -o pgr3
-A FORWARD -p udp -m udp --dport 5353 -j DROP
COMMIT
RULES
	done
	{
		echo '*filter'
		for i in $(seq 200); do
			echo "-A INPUT -s 10.13.$i.0/24 -p tcp -m tcp --dport $i -j DROP"
			echo "-A FORWARD -s 10.14.$i.0/24 -i pgr1 -p udp -m udp --dport $i -j DROP"
		done
		echo '-A FORWARD -s 10.1.0.0/24 -o pgr2 -p udp -m udp --dport 53 -j DROP'
		echo 'COMMIT'
	} | twice "$mode: four hundred rules" 4 mixed4
	for family in 4 6; do
		for n in 60 900 3000 9000; do
			many $family $n $((n + family)) | twice "$mode: v$family: $n random rules" $family many_packets
		done
	done
}

expect_ok "attach" pg r attach pgr1 pgr2 pgr3 --mode native
all_scenarios native 4
expect_ok "attach" pg r attach pgr1 pgr2 pgr3 --mode tc
all_scenarios tc 6
# What raw let go untracked where it arrived opens no flow where it leaves: the answer is not ESTABLISHED.
question_and_answer() {
	from h1 udp 10.2.0.2 5300 2
	from h2 udp 10.1.0.2 5300 1
	in_ns h1 bash -c 'echo x | nc -u -w1 -p 5301 10.2.0.2 5302'
	in_ns h2 bash -c 'echo x | nc -u -w1 -p 5302 10.1.0.2 5301'
}
twice "NOTRACK holds where it leaves" 4 question_and_answer <<RULES
*raw
-A PREROUTING -i pgr1 -p udp -m udp --dport 5302 -j NOTRACK
COMMIT
*filter
:FORWARD DROP [0:0]
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -i pgr1 -p udp -m conntrack --ctstate UNTRACKED -j ACCEPT
COMMIT
RULES
expect_ok "detach" pg r detach pgr1 pgr3
# What comes in where portguard is not attached is asked about where it leaves.
twice "where it leaves" 4 eval 'from h1 udp 10.2.0.2 53 3; from h1 tcp 10.2.0.2 80 2; from h1 udp 10.2.0.2 54 1' <<RULES
*filter
:FORWARD DROP [0:0]
-A FORWARD -i pgr1 -o pgr2 -p udp -m udp --dport 53 -j ACCEPT
-A FORWARD -i pgr3 -j ACCEPT
-A FORWARD ! -i pgr1 -j ACCEPT
COMMIT
RULES
expect_ok "attach" pg r attach pgr1 pgr2 pgr3 --mode tc

# Answers go to the sender.
no_rules
for mode in tc skb; do
	expect_ok "attach, $mode" pg r attach pgr1 pgr2 pgr3 --mode $mode
	pg r -F
	pg r -A FORWARD -p tcp --dport 80 -j REJECT --reject-with tcp-reset
	pg r -A FORWARD -o pgr2 -j REJECT
	refused() {
		[[ $(in_ns h1 timeout 3 nc -v -w 2 "$@" 2>&1 </dev/null) =~ refused ]]
	}
	expect_ok "$mode: REJECT with a reset" refused 10.2.0.2 80
	expect_ok "$mode: REJECT with a reset, IPv6" refused fd02::2 80
	expect_ok "$mode: REJECT with an error" refused 10.2.0.2 81
	expect_ok "$mode: REJECT with an error, IPv6" refused fd02::2 81
done
pg r detach pgr1
expect_ok "REJECT where it leaves, with a reset" refused 10.2.0.2 80
expect_ok "REJECT where it leaves, with an error" refused 10.2.0.2 81
expect_ok "REJECT where it leaves, with an error, IPv6" refused fd02::2 81
pg r attach pgr1 --mode tc
pg r -F

# Forwarding that is switched on later is noticed at once, without a command.
in_ns r sysctl -qw net.ipv4.ip_forward=0
pg r -A INPUT -p udp --dport 53 -j DROP
pg r -P FORWARD DROP
from h1 udp 10.2.0.2 53 2
sleep 0.1
expect "forwarding is off: INPUT" "$(counted r '-p udp -m udp --dport 53 -j DROP')" 2:88
in_ns r sysctl -qw net.ipv4.ip_forward=1
from h1 udp 10.2.0.2 53 3
sleep 0.1
expect "forwarding is on: not INPUT" "$(counted r '-p udp -m udp --dport 53 -j DROP')" 2:88
expect "but FORWARD" "$(pg r save -c | awk '$1 == ":FORWARD" { print $3 }')" "[3:132]"
pg r -P FORWARD ACCEPT
before=$(reason_count r forwarded)
from h1 udp 10.2.0.2 54 4
sleep 0.1
expect "what leaves again is counted as such: four and their answers" \
	"$(($(reason_count r forwarded) - before))" 8
summary
