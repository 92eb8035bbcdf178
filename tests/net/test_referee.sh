#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The real kernel is the referee: random rules and frames through iptables-legacy and portguard.
# PG_N says how many verdicts (20 000 otherwise), PG_SEED which.
. "$(dirname "$0")/lib.sh"

need iptables-legacy-restore ip6tables-legacy-restore iptables-legacy-save
[ -x "$TOOLS/referee/referee" ] || skip_all "not built: $TOOLS/referee/referee"

ip netns add "$PREFIX-a" && ip netns add "$PREFIX-b" || skip_all "no network namespaces here"
# The sender says nothing of its own accord: every counted packet is the test's.
in_ns a sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
ip link add pgref0 netns "$PREFIX-b" type veth peer name pgsrc0 netns "$PREFIX-a" ||
	skip_all "no veth here"
in_ns a ip link set pgsrc0 up
in_ns b ip link set pgref0 up
in_ns b iptables-legacy -t raw -S >/dev/null 2>&1 || skip_all "no iptables-legacy in this kernel"

in_ns b "$TOOLS/referee/referee" "/run/netns/$PREFIX-a" pgsrc0 pgref0
rc=$?
[ $rc = 77 ] && skip_all "see above"
expect "the kernel and portguard agree" $rc 0
summary
