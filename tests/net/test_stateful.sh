#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The policy that most machines have: answers come in, and what is served; all else is dropped. The
# machine's own connections go on as if there were no filter.
. "$(dirname "$0")/lib.sh"

need nc ping curl dig dnsmasq udhcpc
[ -x "$TOOLS/net/local" ] || skip_all "not built: $TOOLS/net/local"
own_bpffs

# Neighbours are found by asking, and the way from r to c takes 1300 bytes at once.
routed s r c
for ns in s r c; do
	in_ns $ns sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
done
# Not of the interface: what comes from c may be larger.
in_ns r ip route change 10.6.0.0/24 dev pgr2 src 10.6.0.1 mtu lock 1300
in_ns r ip -6 route add fd06::/64 dev pgr2 metric 1 mtu lock 1300 # before the kernel's, whenever that comes
wait_for "the way" in_ns s ping -c 1 -W 1 10.6.0.2
wait_for "the way by IPv6" in_ns s ping -c 1 -W 1 fd06::2

# A web server and a name server.
size=20000000
{
	printf 'HTTP/1.0 200 OK\r\nContent-Length: %s\r\n\r\n' $size
	head -c $size /dev/zero
} >"$WORK/page"
for address in 10.6.0.2 fd06::2; do
	in_ns c sh -c "while nc -N -l $address 80 <$WORK/page >/dev/null; do :; done" &
	in_ns c sh -c "while nc -N -l $address 90 >/dev/null </dev/null; do :; done" &
done
long=$(printf '%0200d' 1)
in_ns c dnsmasq --no-daemon --no-resolv --no-hosts --conf-file=/dev/null --pid-file= --user=root \
	--listen-address=10.6.0.2,fd06::2 --bind-interfaces --edns-packet-max=4000 \
	--address=/name.test/10.6.0.2 $(for i in $(seq 12); do echo "--txt-record=long.test,$long$i"; done) \
	>"$WORK/dnsmasq" 2>&1 &
wait_for "a name server" listening c udp 53

policy() { # OUTPUT's policy
	cat <<RULES
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT $1 [0:0]
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type neighbour-solicitation -j ACCEPT
-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type neighbour-advertisement -j ACCEPT
-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT
-A OUTPUT -m state --state NEW,ESTABLISHED,RELATED -j ACCEPT
-A OUTPUT -p ipv6-icmp -j ACCEPT
COMMIT
RULES
}
download() {
	[ "$(in_ns s curl -s --max-time 20 "http://$1/" | wc -c)" = $size ]
}
# Segments of 1500 bytes meet the hop of 1300, whose error says so.
upload() {
	in_ns s ip route flush cache
	in_ns s ip -6 route flush cache
	head -c 3000000 /dev/zero | in_ns s timeout 20 nc -N "$1" 90 >/dev/null
}
learned() {
	in_ns s ip route get "$1" | grep -q "mtu 1300"
}
refused_from_outside() {
	! in_ns c timeout 1 nc -w 1 10.5.0.2 "$1" </dev/null >/dev/null 2>&1
}
served() { # ADDRESS
	local text

	in_ns s timeout 5 nc -N -l "$1" 443 </dev/null >"$WORK/served" &
	wait_for "a server" listening s tcp 443
	echo question | in_ns c timeout 3 nc -N "$1" 443
	wait $!
	[ "$(cat "$WORK/served")" = question ]
}
lease() {
	in_ns s timeout 20 udhcpc -i pgs0 -n -q -f -t 3 -T 2 -s /bin/true >"$WORK/udhcpc" 2>&1
	grep -q "lease of 10.5.0" "$WORK/udhcpc"
}
in_ns r dnsmasq --no-daemon --port=0 --conf-file=/dev/null --pid-file= --user=root --interface=pgr1 \
	--bind-interfaces --dhcp-range=10.5.0.100,10.5.0.120,1h --dhcp-leasefile="$WORK/leases" --no-ping \
	>"$WORK/dhcp" 2>&1 &
wait_for "a DHCP server" listening r udp 67

for case in "native ACCEPT" "tc DROP"; do
	read -r mode output <<<"$case"
	case="mode $mode, OUTPUT $output"
	expect_ok "$case: attach" pg s attach pgs0 --mode "$mode"
	policy "$output" >"$WORK/policy"
	expect_ok "$case: restore" pg s restore "$WORK/policy"
	for address in 10.6.0.2 '[fd06::2]'; do
		expect_ok "$case: curl, 20 MB from $address" download "$address"
	done
	for address in 10.6.0.2 fd06::2; do
		expect_ok "$case: 3 MB through a smaller hop to $address" upload "$address"
		expect_ok "$case: which the kernel has learned of" learned "$address"
		expect "$case: dig @$address" \
			"$(in_ns s dig +short +time=2 +tries=1 @$address name.test)" 10.6.0.2
		expect "$case: dig @$address, an answer in fragments" \
			"$(in_ns s dig +short +ignore +bufsize=4000 +time=2 +tries=1 @$address long.test txt | wc -l)" 12
		expect_ok "$case: ping $address" in_ns s ping -c 2 -i 0.2 -W 1 $address
		expect_ok "$case: ping $address in fragments" in_ns s ping -c 2 -i 0.2 -W 1 -s 3000 $address
	done
	expect_ok "$case: what is served" served 10.5.0.2
	expect_ok "$case: what is served by IPv6" served fd05::2
	expect_ok "$case: nothing else comes in" refused_from_outside 22
	expect_exit "$case: no ping either" 1 '^$' in_ns c ping -c 1 -W 1 10.5.0.2
	in_ns s ip neigh flush all
	in_ns r ip neigh flush all
	expect_ok "$case: neighbours are found" in_ns s ping -c 1 -W 2 10.5.0.1
	expect_ok "$case: neighbours are found by IPv6" in_ns s ping -c 1 -W 2 fd05::1
	expect_ok "$case: a DHCP lease" lease
done
summary
