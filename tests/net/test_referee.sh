#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The real kernel is the referee: random rule sets and real rule files, random frames and captured
# ones, through iptables-legacy and portguard; then the same of rules that ask for connections' states.
# tests/referee/referee.c lists what PG_N, PG_SEED, PG_ROUND, PG_FEATURES, PG_WINDOWS say; PG_STATES=0, 1
# or 2: only rules, connections, or rule files and captures of connections.
. "$(dirname "$0")/lib.sh"

need iptables-legacy-restore ip6tables-legacy-restore iptables-legacy-save ipset
[ -x "$TOOLS/referee/referee" ] || skip_all "not built: $TOOLS/referee/referee"
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"

# What -m addrtype and -m rpfilter ask: addresses of this host, its broadcast addresses, and routes that lead
# nowhere, or elsewhere.
addresses() {
	in_ns b ip addr add 10.0.0.1/24 brd + dev pgref0
	in_ns b ip addr add 192.168.1.77/24 brd + dev pgref0
	in_ns b ip addr add 2001:db8::1/64 dev pgref0 nodad
	in_ns b ip route add blackhole 203.0.113.0/24
	in_ns b ip route add unreachable 172.16.0.0/12
	in_ns b ip route add prohibit 198.18.0.0/15
	in_ns b ip -6 route add unreachable fd00:1::/32
	in_ns b ip route add 10.1.0.0/16 dev pgway0
	in_ns b ip -6 route add 2001:db8:1::/48 dev pgway0
}

ip netns add "$PREFIX-a" && ip netns add "$PREFIX-b" || skip_all "no network namespaces here"
# Neither end says anything of its own accord: every counted packet is the test's.
in_ns a sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
in_ns b sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.addr_gen_mode=1 \
	net.ipv6.conf.default.router_solicitations=0
ip link add pgref0 netns "$PREFIX-b" address 02:77:00:00:00:01 type veth peer name pgsrc0 netns "$PREFIX-a" ||
	skip_all "no veth here"
ip link add pgway0 netns "$PREFIX-b" type veth peer name pgway1 netns "$PREFIX-a" || skip_all "no veth here"
in_ns a ip link set pgsrc0 up
in_ns a ip link set pgway1 up
in_ns b ip link set lo up
in_ns b ip link set pgref0 up
in_ns b ip link set pgway0 up
in_ns b iptables-legacy -t raw -S >/dev/null 2>&1 || skip_all "no iptables-legacy in this kernel"
in_ns b ipset list >/dev/null 2>&1 || skip_all "no ipset in this kernel"
addresses

# For frames of connections (flows.c): both ends are addresses of this host, so that both directions
# come to INPUT.
connections() {
	local host

	for host in 10.0.0.1 10.0.0.2 10.0.1.129 10.1.0.1 192.168.1.77 10.77.0.1 10.77.0.2; do
		in_ns b ip route replace local $host dev pgref0
	done
	for host in 2001:db8::1 2001:db8::2 2001:db8:0:1::129 2001:db8:1::1 2001:db8:ffff::; do
		in_ns b ip -6 route replace local $host dev pgref0
	done
	in_ns b sysctl -qw net.ipv4.conf.all.accept_local=1 net.ipv4.conf.all.rp_filter=0 \
		net.ipv4.conf.pgref0.rp_filter=0 net.ipv4.conf.all.accept_redirects=0 \
		net.ipv6.conf.all.accept_redirects=0 net.ipv6.conf.all.accept_ra=0
	# What -m connbytes asks for: else it begins with the first rule that does, which may be the last one.
	in_ns b sysctl -qw net.netfilter.nf_conntrack_acct=1
}

# liberal 1|0: checksums are no matter here, and sequence numbers only with 0.
liberal() {
	local option

	for option in checksum=0 tcp_be_liberal=$1 tcp_ignore_invalid_rst=$1; do
		in_ns b sysctl -qw "net.netfilter.nf_conntrack_$option" 2>/dev/null ||
			echo "without nf_conntrack_$option"
	done
}

# A RST that acknowledges what was let through unbelieved counts only from the other end than a SYN's: so of
# Linux 6.18 at the latest. Others are not asked about windows.
windows() {
	local frame

	liberal 0
	in_ns b iptables-legacy -w -t raw -F
	in_ns b iptables-legacy -w -t raw -A OUTPUT -j DROP # nobody listens, which the host would say
	in_ns b iptables-legacy -w -F
	in_ns b iptables-legacy -w -A INPUT -p tcp -m conntrack --ctstate INVALID -j DROP
	in_ns b iptables-legacy -w -A INPUT -p tcp -j DROP
	in_ns b iptables-legacy -w -I INPUT -p tcp -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT
	for frame in w-syn w-challenge w-syn w-rst; do
		in_ns a "$TOOLS/net/send" pgsrc0 $frame
	done
	wait_for "segments" eval '[ "$(in_ns b iptables-legacy-save -c | tr "[:]" " " |
		awk "/-A INPUT -p tcp/ { n += \$1 } END { print n }")" = 4 ]'
	in_ns b iptables-legacy-save -c | grep -q '^\[3:.*NEW,ESTABLISHED' || {
		skip "this kernel's windows are older ones"
		return 1
	}
	in_ns b iptables-legacy -w -t raw -F
	in_ns b iptables-legacy -w -F
}

# Some of SCTP's states last for three seconds, in which a round is not over. What an INIT-ACK is to an INIT
# that came again is so since Linux 7.1, and in the stable kernels of May 2026; others are not asked about SCTP.
associations() {
	local frame

	in_ns b sh -c 'for f in /proc/sys/net/netfilter/nf_conntrack_sctp_timeout_*; do echo 600 >$f; done'
	in_ns b iptables-legacy -w -t raw -F
	in_ns b iptables-legacy -w -F # what was judged before has rules of its own
	in_ns b iptables-legacy -w -A INPUT -p sctp -m conntrack --ctstate INVALID -j DROP
	in_ns b iptables-legacy -w -A INPUT -p sctp -j DROP
	in_ns b iptables-legacy -w -I INPUT -p sctp -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT
	for frame in sctp-init sctp-init-ack sctp-cookie-ack sctp-init sctp-init-ack-other; do
		in_ns a "$TOOLS/net/send" pgsrc0 $frame
	done
	wait_for "frames of SCTP" eval '[ "$(in_ns b iptables-legacy-save -c | tr "[:]" " " |
		awk "/-A INPUT -p sctp/ { n += \$1 } END { print n }")" = 5 ]'
	in_ns b iptables-legacy-save -c | grep -q '^\[4:.*NEW,ESTABLISHED' || {
		export PG_SCTP=0
		skip "this kernel's SCTP is an older one"
	}
	in_ns b iptables-legacy -w -F
}

# Whoever the frames of a capture are for. While no rule is there, the kernel has one table of both
# kinds of routes, and a connected network goes before all addresses.
has_all_addresses() {
	in_ns b ip rule add pref 1 lookup local
	in_ns b ip -6 rule add pref 1 lookup local
	in_ns b ip route replace local default dev pgref0
	in_ns b ip -6 route replace local default dev pgref0
}

# judge WHAT STATES
judge() {
	local rc

	PG_STATES=$2 in_ns b "$TOOLS/referee/referee" "/run/netns/$PREFIX-a" pgsrc0 pgref0
	rc=$?
	[ $rc = 77 ] && skip_all "see above"
	expect "the kernel and portguard agree about $1" $rc 0
}

[ "${PG_STATES:-0}" != 0 ] || judge rules 0
[ -n "${PG_STATES:-}${PG_N:-}${PG_SPOIL:-}" ] || PG_N=200000 PG_SPOIL=60 judge "frames with many flipped bits" 0
if [ "${PG_STATES:-1}" != 0 ]; then
	if in_ns b iptables-legacy -A OUTPUT -m conntrack --ctstate NEW 2>/dev/null; then
		in_ns b iptables-legacy -F
		connections
		associations
		if [ "${PG_STATES:-1}" = 1 ]; then
			[ "${PG_WINDOWS:-1}" = 0 ] || ! windows ||
				PG_WINDOWS=1 PG_N=${PG_N:-50000} judge "connections' states by their windows" 1
			liberal 1
			[ "${PG_WINDOWS:-0}" != 0 ] || judge "connections' states" 1
		fi
		liberal $((1 - ${PG_WINDOWS:-0}))
		if [ "${PG_STATES:-2}" = 2 ] && [ -d "${PG_TEST_DATA:-}/rules" ]; then
			has_all_addresses
			judge "rule files that ask for states, of either end of captures" 2
		fi
	else
		skip "this kernel has no conntrack"
	fi
fi
summary
