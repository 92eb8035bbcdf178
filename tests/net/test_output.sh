#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# OUTPUT, of filter and of raw: what this machine sends meets the same rules with the same counters as
# under the kernel's iptables, and nothing else does.
. "$(dirname "$0")/lib.sh"

need iptables-legacy ip6tables-legacy nc ping jq
for tool in send local; do
	[ -x "$TOOLS/net/$tool" ] || skip_all "not built: $TOOLS/net/$tool"
done
own_bpffs
two_namespaces
JUDGED=s
. "$ROOT/tests/net/twice.sh"
in_ns s iptables-legacy -w -S >/dev/null 2>&1 || skip_all "no iptables-legacy in this kernel"
in_ns s ip link set lo up

# What the other end sees, since the last time it was asked.
for tables in iptables-legacy ip6tables-legacy; do
	for proto in tcp udp; do
		in_ns c $tables -w -t raw -A PREROUTING -p $proto
		in_ns c $tables -w -t raw -A PREROUTING -p $proto --dport 53
	done
	icmp=icmp
	[ $tables = iptables-legacy ] || icmp=ipv6-icmp
	in_ns c $tables -w -t raw -A PREROUTING -p $icmp
done
arrived() {
	for tables in iptables-legacy ip6tables-legacy; do
		in_ns c $tables -w -t raw -L PREROUTING -v -x -n -Z | awk '$1 ~ /^[0-9]/ { print $1, $2 }'
	done
}

in_ns c sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0

# local_packets udp|icmp|tcp ADDRESS PORT COUNT
local_packets() {
	in_ns s "$TOOLS/net/local" "$@"
}
mixed() { # ADDRESS
	local_packets udp "$1" 53 3
	local_packets udp "$1" 5353 2
	local_packets udp "$1" 123 1
	local_packets icmp "$1" 0 2
	local_packets tcp "$1" 80 1
	local_packets tcp "$1" 22 1
}
mixed4() {
	mixed 10.77.0.2
}
mixed6() {
	mixed fd77::2
}

for mode in native tc; do
	expect_ok "attach, $mode" pg s attach pgs0 --mode $mode
	# Every scenario in both modes would take twice as long, and departures know no mode.
	for family in $([ $mode = native ] && echo 4 || echo 6); do
		other=10.77.0.2 icmp=icmp
		[ $family = 4 ] || { other=fd77::2 icmp=ipv6-icmp; }
		twice "$mode: v$family: ports" $family mixed$family <<RULES
*filter
:OUTPUT ACCEPT [0:0]
-A OUTPUT -p udp -m udp --dport 53 -j DROP
-A OUTPUT -p udp -m udp --dport 1000:6000
-A OUTPUT -p tcp -m tcp --dport 80 -j DROP
-A OUTPUT -p $icmp -j DROP
-A OUTPUT -p tcp -j ACCEPT
COMMIT
RULES
		twice "$mode: v$family: a policy that drops" $family mixed$family <<RULES
*filter
:OUTPUT DROP [0:0]
-A OUTPUT -o pgs0 -p udp -m udp --dport 53 -j ACCEPT
-A OUTPUT -d $other -p tcp -m tcp --dport 22 -j ACCEPT
-A OUTPUT -o lo -j ACCEPT
COMMIT
RULES
		twice "$mode: v$family: interfaces" $family mixed$family <<RULES
*filter
:OUTPUT ACCEPT [0:0]
-A OUTPUT -o lo -j DROP
-A OUTPUT ! -o pgs0 -j DROP
-A OUTPUT -o pgs+ -p udp
-A OUTPUT -o pgs0 -p tcp -j DROP
COMMIT
RULES
		twice "$mode: v$family: chains that INPUT and OUTPUT share" $family mixed$family <<RULES
*filter
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:both - [0:0]
-A INPUT -j both
-A OUTPUT -j both
-A both -i pgs0
-A both -o pgs0
-A both ! -i pgs0
-A both ! -o pgs0
-A both -p udp -m udp --dport 5353 -j DROP
-A both -p $icmp -j RETURN
-A INPUT -p $icmp
-A OUTPUT -p $icmp -j DROP
COMMIT
RULES
		twice "$mode: v$family: raw and filter" $family mixed$family <<RULES
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:r - [0:0]
-A PREROUTING -p $icmp
-A OUTPUT -p udp -m udp --dport 123 -j DROP
-A OUTPUT -p udp -j r
-A r -o pgs0 -p udp -m udp --dport 53 -j RETURN
-A r -j ACCEPT
-A OUTPUT -p udp -j DROP
COMMIT
*filter
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p $icmp
-A OUTPUT -p udp
-A OUTPUT -p tcp -m tcp --dport 80 -j DROP
COMMIT
RULES
		twice "$mode: v$family: raw's policy alone" $family mixed$family <<RULES
*raw
:OUTPUT DROP [0:0]
-A PREROUTING -p udp
-A OUTPUT -p tcp -j ACCEPT
COMMIT
RULES
		twice "$mode: v$family: conditions that no table answers" $family mixed$family <<RULES
*filter
:OUTPUT ACCEPT [0:0]
-A OUTPUT -p udp -m limit --limit 1/hour --limit-burst 4 -j ACCEPT
-A OUTPUT -p udp -j DROP
-A OUTPUT -m length --length 84:104
-A OUTPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m statistic --mode nth --every 2 --packet 0 -j DROP
COMMIT
RULES
	done
	{
		echo '*filter'
		for i in $(seq 200); do
			echo "-A INPUT -s 10.3.$i.0/24 -p tcp -m tcp --dport $i -j DROP"
			echo "-A OUTPUT -d 10.4.$i.0/24 -p udp -m udp --dport $i -j DROP"
		done
		echo '-A OUTPUT -d 10.77.0.2/32 -p udp -m udp --dport 53 -j DROP'
		echo 'COMMIT'
	} | twice "$mode: four hundred rules" 4 mixed4
done

# What iptables does not see is not asked about here either.
no_rules
pg s -A OUTPUT -j DROP
before=$(reason_count s packet-socket)
in_ns s "$TOOLS/net/send" pgs0 udp53 5
expect "packet sockets send past OUTPUT" "$(($(reason_count s packet-socket) - before))" 5
expect "OUTPUT has not counted them" \
	"$(pg s save -c | awk '/-A OUTPUT -j DROP/ { print $1 }')" "[0:0]"

# What the sender is told.
expect_exit "a ping that OUTPUT drops" 1 "No buffer space" in_ns s ping -c 1 -W 1 10.77.0.2
pg s -F OUTPUT
pg s -A OUTPUT -p tcp --dport 80 -j REJECT --reject-with tcp-reset
pg s -A OUTPUT -j REJECT
pg s -P INPUT DROP
refused() {
	local text

	text=$(in_ns s timeout 3 nc -v -w 2 "$@" 2>&1 </dev/null)
	[[ $text =~ refused ]]
}
for mode in native tc; do
	pg s attach pgs0 --mode $mode
	expect_ok "$mode: REJECT with a reset" refused 10.77.0.2 80
	expect_ok "$mode: REJECT with a reset, IPv6" refused fd77::2 80
	expect_ok "$mode: REJECT of a SYN with an ICMP error" refused 10.77.0.2 81
	expect_ok "$mode: REJECT of a SYN with an ICMP error, IPv6" refused fd77::2 81
	text=$(in_ns s ping -c 1 -W 1 10.77.0.2 2>&1)
	expect "$mode: a ping hears of it" "$(grep -c 'Destination Port Unreachable' <<<"$text")" 1
done
expect "nothing of it has left" "$(arrived >/dev/null; arrived | awk '{ n += $1 } END { print n }')" 0
pg s -P INPUT ACCEPT
pg s -F OUTPUT

# Counters of ports are OUTPUT's, too: what was dropped did not leave.
pg s -A OUTPUT -p udp --dport 99 -j DROP
for _ in 1 2 3; do
	echo x | in_ns s nc -u -q 0 -w 1 -p 7777 10.77.0.2 99
done
expect "a port's departures that were dropped" "$(port_count s udp 7777 .out.dropped)" \
	"$(json s rules '.chains[] | select(.table == "filter" and .name == "OUTPUT") | .rules[0].packets')"
expect "and there were some" "$(port_count s udp 7777 .out.dropped)" 3
expect "for people, too" "$(pg s ports :7777 | awk 'NR == 2 { print $1, $6 }')" "7777/udp 3"
expect_exit "-i with OUTPUT" 2 "Can't use -i with OUTPUT" pg s -A OUTPUT -i pgs0 -j ACCEPT
expect_exit "-o with INPUT" 2 "Can't use -o with INPUT" pg s -A INPUT -o pgs0 -j ACCEPT
pg s -F OUTPUT

# test --egress asks OUTPUT.
pg s -A OUTPUT -p tcp --dport 25 -j DROP
expect "test --egress" "$(pg s test --egress -p tcp -d 10.77.0.2 --dport 25 --syn --json |
	jq -r '.verdict, .chain, .rule' | tr '\n' ' ')" "DROP OUTPUT 1 "
expect "test --egress, by the policy" "$(pg s test --egress -p tcp -d 10.77.0.2 --dport 26 --syn --json |
	jq -r '.verdict, .chain, .rule' | tr '\n' ' ')" "ACCEPT OUTPUT 0 "
summary
