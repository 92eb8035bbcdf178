#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# iperf3 and wrk through a stateful policy: nothing is sent twice, and nothing dropped. Windows are small,
# so that no queue between the two ends overflows, and TCP does not take a machine that stands still for
# a loss: whatever is sent again then, portguard has lost.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/serve.sh"

need iperf3 wrk nginx nstat jq taskset
own_bpffs
# Both ends on one CPU: on two, veth may hand packets over out of order, and TCP sends again what only came late.
cpus=$(taskset -cp $$ | sed 's/.*: //')
taskset -cp "${cpus%%[-,]*}" $$ >/dev/null
two_namespaces
for ns in s c; do
	in_ns $ns sysctl -qw net.ipv4.tcp_rmem='4096 16384 16384' net.ipv4.tcp_wmem='4096 16384 16384' \
		net.ipv4.tcp_early_retrans=0 net.ipv4.tcp_recovery=0 net.ipv4.tcp_reordering=200
	in_ns $ns ip route change 10.77.0.0/24 dev pg${ns}0 rto_min 5s
done
start_nginx 80
in_ns s iperf3 -s -p 5201 >/dev/null 2>&1 &
wait_for "iperf3" listening s tcp 5201

# Segments that either end has sent again so far.
again() {
	local ns

	for ns in c s; do
		in_ns $ns nstat -asz TcpRetransSegs
	done | awk '/^TcpRetransSegs/ { n += $2 } END { print n }'
}

transfer() {
	in_ns c timeout 20 iperf3 -c 10.77.0.1 -p 5201 -t 1 -P 2 "$@"
}

requests() {
	in_ns c timeout 20 wrk -t 1 -c 8 -d 1 "$@" http://10.77.0.1/file
}

# never_twice WHAT COMMAND…: in one of five tries; what the kernel itself sends again is rare
never_twice() {
	local what=$1 try before n
	shift

	for try in 1 2 3 4 5; do
		before=$(again)
		"$@" >"$WORK/out" 2>&1 || fail "$what runs" "$(cat "$WORK/out")"
		n=$(($(again) - before))
		[ $n != 0 ] || break
	done
	expect "$what: nothing is sent again" $n 0
}

all() {
	never_twice "iperf3, $1" transfer
	never_twice "iperf3 -R, $1" transfer -R
	never_twice "wrk, $1" requests
	never_twice "wrk with a connection each, $1" requests -H 'Connection: close'
}

pg s restore - <<RULES || fail "a stateful policy"
*filter
:INPUT DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp --syn -m multiport --dports 80,5201 -j ACCEPT
COMMIT
RULES
all "without portguard"
for mode in native skb tc; do
	expect_ok "attach in $mode mode" pg s attach --mode $mode pgs0
	all "$mode mode"

	expect_ok "iperf3 with the client on any CPU, $mode mode" in_ns c taskset -c "$cpus" timeout 20 \
		iperf3 -c 10.77.0.1 -p 5201 -t 1 -P 2
	expect "nothing was dropped in $mode mode" "$(json s status '.interfaces[0].ingress.dropped')" 0

	expect_ok "detach" pg s detach pgs0
done
summary
