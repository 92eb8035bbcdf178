#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The real kernel is the referee: random rule sets and real rule files, random frames and captured
# ones, through iptables-legacy and portguard. tests/referee/referee.c lists what PG_N, PG_SEED,
# PG_ROUND, PG_FEATURES say.
. "$(dirname "$0")/lib.sh"

need iptables-legacy-restore ip6tables-legacy-restore iptables-legacy-save ipset
[ -x "$TOOLS/referee/referee" ] || skip_all "not built: $TOOLS/referee/referee"

# What -m addrtype asks: addresses of this host, its broadcast addresses, and routes that lead nowhere.
addresses() {
	in_ns b ip addr add 10.0.0.1/24 brd + dev pgref0
	in_ns b ip addr add 192.168.1.77/24 brd + dev pgref0
	in_ns b ip addr add 2001:db8::1/64 dev pgref0 nodad
	in_ns b ip route add blackhole 203.0.113.0/24
	in_ns b ip route add unreachable 172.16.0.0/12
	in_ns b ip route add prohibit 198.18.0.0/15
	in_ns b ip -6 route add unreachable fd00:1::/32
}

ip netns add "$PREFIX-a" && ip netns add "$PREFIX-b" || skip_all "no network namespaces here"
# Neither end says anything of its own accord: every counted packet is the test's.
in_ns a sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
in_ns b sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.addr_gen_mode=1 \
	net.ipv6.conf.default.router_solicitations=0
ip link add pgref0 netns "$PREFIX-b" type veth peer name pgsrc0 netns "$PREFIX-a" ||
	skip_all "no veth here"
in_ns a ip link set pgsrc0 up
in_ns b ip link set lo up
in_ns b ip link set pgref0 up
in_ns b iptables-legacy -t raw -S >/dev/null 2>&1 || skip_all "no iptables-legacy in this kernel"
in_ns b ipset list >/dev/null 2>&1 || skip_all "no ipset in this kernel"
addresses

in_ns b "$TOOLS/referee/referee" "/run/netns/$PREFIX-a" pgsrc0 pgref0
rc=$?
[ $rc = 77 ] && skip_all "see above"
expect "the kernel and portguard agree" $rc 0
summary
