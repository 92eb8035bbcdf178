#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Matches that ask for more than the packet's headers: the interface, its addresses, the clock, and
# what was seen before. One check each, with real traffic.
. "$(dirname "$0")/lib.sh"

need jq
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
own_bpffs
two_namespaces
expect_ok "attach" pg s attach pgs0 --mode tc
send() {
	in_ns c "$TOOLS/net/send" pgc0 "$@"
}

# rules RULE…: exactly these, all of which only count
rules() {
	local rule

	pg s -F INPUT
	for rule; do
		eval "pg s -A INPUT $rule" || fail "$rule"
	done
}

# hits: packets of each rule, in order
hits() {
	pg s save -c | sed -n 's/^\[\([0-9]*\):[0-9]*\] -A INPUT .*/\1/p' | xargs
}

rules "-m mac --mac-source 02:77:00:00:00:02" "-m mac --mac-source 02:77:00:00:00:03" \
	"-m mac ! --mac-source 02:77:00:00:00:03"
send tcp80 2
expect "mac" "$(hits)" "2 0 2"

rules "-m pkttype --pkt-type unicast" "-m pkttype --pkt-type multicast" \
	"-m pkttype --pkt-type broadcast"
send tcp80
send r-multicast 2
send r-broadcast 3
expect "pkttype" "$(hits)" "1 2 3"

rules "-m vlan --vlan-id 5" "-m vlan --vlan-id 7" "-m vlan ! --vlan-id 5"
send tcp80-vlan 2
send tcp80-qinq
send tcp80
expect "vlan, of the outermost tag" "$(hits)" "2 1 1"

in_ns s ip addr add 10.78.0.1/32 dev lo
rules "-4 -m addrtype --dst-type LOCAL" "-4 -m addrtype --dst-type LOCAL --limit-iface-in" \
	"-4 -m addrtype --dst-type BROADCAST" "-4 -m addrtype --src-type LOCAL"
send tcp80
send r-subnet-broadcast
in_ns c ip route add 10.78.0.1/32 via 10.77.0.1
in_ns c timeout 2 bash -c 'exec 3<>/dev/tcp/10.78.0.1/99' 2>/dev/null
expect "addrtype, and which interface has the address" "$(hits)" "2 1 1 0"

# What the host gets after the policy came, as from DHCP, must not be a stranger's.
in_ns c ip route add 10.79.0.0/24 via 10.77.0.1
for forwarding in 0 1; do
	in_ns s sysctl -qw net.ipv4.ip_forward=$forwarding
	rules "-4 -m addrtype --dst-type LOCAL" "-4 -m addrtype ! --dst-type LOCAL" \
		"-4 -m addrtype --dst-type LOCAL --limit-iface-in" "-4 -m addrtype --dst-type UNICAST"
	in_ns s ip addr add 10.79.0.1/32 dev pgs0
	in_ns c timeout 2 bash -c 'exec 3<>/dev/tcp/10.79.0.1/99' 2>/dev/null
	expect "addrtype, an address that is new, ip_forward=$forwarding" "$(hits)" "1 0 1 0"
	in_ns s ip addr del 10.79.0.1/32 dev pgs0
done
in_ns s sysctl -qw net.ipv4.ip_forward=0

day=$(date -u +%a)
from=$(date -u -d '-1 hour' +%H:%M) to=$(date -u -d '+1 hour' +%H:%M)
past=$(date -u -d '-2 hours' +%H:%M)
rules "-m time --weekdays $day" "-m time ! --weekdays $day" "-m time --timestart $from --timestop $to" \
	"-m time --timestart $past --timestop $from" \
	"-m time --datestop $(date -u -d '-1 day' +%Y-%m-%dT%H:%M:%S)"
send tcp80
expect "time" "$(hits)" "1 0 1 0 0"

rules "-p udp -m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 3 --hashlimit-mode srcip --hashlimit-name live"
send udp53 5
expect "hashlimit" "$(hits)" 3

pg s set create live hash:ip timeout 8 && pg s set add live 10.77.0.2 || fail "portguard set"
rules "-4 -m set --match-set live src" "-4 -m set ! --match-set live src"
send tcp80 2
expect "set" "$(hits)" "2 0"
sleep 8.3
send tcp80
expect "an entry that has timed out" "$(hits)" "2 1"
pg s -F INPUT
expect_ok "an entry with a timeout of its own" pg s set add live 10.77.0.2 timeout 60
rules "-4 -m set --match-set live src"
send tcp80
expect "is there" "$(hits)" 1

# The recipe against guessing passwords: six in thirty seconds, and no more.
pg s -F INPUT
expect_ok "portguard limit" pg s limit 22/tcp
in_ns s timeout 60 bash -c 'while :; do nc -l -p 22 >/dev/null </dev/null; done' 2>/dev/null &
server=$!
tries=
for try in 1 2 3 4 5 6 7 8; do
	wait_for "a server" listening s tcp 22
	in_ns c timeout 1 bash -c 'exec 3<>/dev/tcp/10.77.0.1/22' 2>/dev/null &&
		tries+="y" || tries+="n"
done
[[ $tries =~ ^y{5,6}n+$ ]] && pass "limit lets some in and then none" || fail "limit" "$tries"
kill $server 2>/dev/null
wait $server 2>/dev/null
summary
