#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# -m rpfilter in table raw: every combination of its options, for packets from everywhere, is asked of
# iptables-legacy and of portguard by the same packets. Each question is a rule of its own, so what is
# compared is each answer.
. "$(dirname "$0")/lib.sh"

need iptables-legacy-restore ip6tables-legacy-restore iptables-legacy-save ip6tables-legacy-save
[ -x "$TOOLS/net/from" ] || skip_all "not built: $TOOLS/net/from"
own_bpffs
two_namespaces
in_ns s iptables-legacy -t raw -A PREROUTING -m rpfilter 2>/dev/null ||
	skip_all "no -m rpfilter in this kernel"
expect_ok "attach" pg s attach pgs0 --mode tc

tool() { # 4|6
	[ "$1" = 4 ] && echo iptables-legacy || echo ip6tables-legacy
}

# The rules for "SOURCE DESTINATION [TOS]" of each line: packets to MARKED get a mark first.
rules() { # MARKED
	awk -v marked="$1" 'BEGIN {
			print "*raw\n-A PREROUTING ! -i pgs0 -j ACCEPT\n-A PREROUTING -d " marked " -j MARK --set-xmark 0x7/0xffffffff"
			n = split("--loose --validmark --accept-local --invert", name, " ")
		}
		{ for (bits = 0; bits < 2 ^ n; bits++) {
			rule = "-A PREROUTING -s " $1 " -d " $2 ($3 ? " -m tos --tos " $3 "/0xff" : "") " -m rpfilter"
			for (i = 1; i <= n; i++)
				rule = rule (int(bits / 2 ^ (i - 1)) % 2 ? " " name[i] : "")
			print rule
		} }
		END { print "COMMIT" }' "$WORK/packets"
}

# "PACKETS RULE" of those that ask
answers() {
	sed -nE 's/^\[([0-9]*):[0-9]*\] -A PREROUTING (.*rpfilter.*)/\1 \2/p' | sed 's/ *$//'
}

# same WHAT 4|6 MARKED: the packets of $WORK/packets
same() {
	rules "$3" >"$WORK/rules"
	in_ns s "$(tool "$2")-restore" <"$WORK/rules" || fail "$1: iptables refuses"
	pg s -t raw -F # counters of rules that stay would, too
	pg s restore "-$2" "$WORK/rules" || fail "$1: portguard refuses"
	in_ns c "$TOOLS/net/from" pgc0 <"$WORK/packets"
	sleep 0.2
	in_ns s "$(tool "$2")-save" -c -t raw | answers >"$WORK/kernel"
	pg s save -c -t raw "-$2" | answers >"$WORK/ours"
	if cmp -s "$WORK/kernel" "$WORK/ours" && [ -s "$WORK/ours" ] && grep -q '^1 ' "$WORK/ours" &&
		grep -q '^0 ' "$WORK/ours"; then
		pass "$1"
	else
		fail "$1" "$(diff "$WORK/kernel" "$WORK/ours" | head -n 20)"
	fi
}

# Nothing with several ways for IPv4, nor with several metrics for IPv6: route.bpf.h says why.
in_ns s ip link add pgd0 type veth peer name pgd1
in_ns s ip link set pgd0 up
in_ns s ip link set pgd1 up
in_ns s ip addr add 10.88.0.1/24 dev pgd0
in_ns s ip addr add 10.77.0.5/24 dev pgs0
in_ns s ip route add 10.50.0.0/16 via 10.77.0.2
in_ns s ip route add 10.51.0.0/16 via 10.88.0.2
in_ns s ip route add 10.51.7.0/24 dev pgs0
in_ns s ip route add 10.52.0.0/16 dev pgd0 metric 5
in_ns s ip route add 10.52.0.0/16 dev pgs0 metric 9
in_ns s ip route add blackhole 10.60.0.0/16
in_ns s ip route add unreachable 10.61.0.0/16
in_ns s ip route add prohibit 10.62.0.0/16
in_ns s ip route add throw 10.63.0.0/16
in_ns s ip route add 10.53.0.0/16 dev pgd0
in_ns s ip rule add fwmark 7 lookup 107
in_ns s ip route add 10.53.0.0/16 dev pgs0 table 107
in_ns s ip rule add to 10.54.0.0/16 lookup 108
in_ns s ip rule add from 10.77.0.5 lookup 109
in_ns s ip route add 10.54.0.0/16 dev pgs0 table 108
in_ns s ip route add 10.54.1.0/24 dev pgd0 table 109
in_ns s ip rule add iif pgs0 lookup 110
in_ns s ip route add 10.55.0.0/16 dev pgs0 table 110
in_ns s ip route add 10.56.0.0/16 dev pgd0
in_ns s ip route add 10.56.0.0/16 tos 0x10 dev pgs0

for src in 10.77.0.2 10.77.0.77 10.77.0.1 10.77.0.5 10.88.0.1 10.88.0.9 10.77.0.255 10.50.1.1 \
	10.51.1.1 10.51.7.1 10.52.0.1 10.53.0.1 10.54.0.1 10.54.1.1 10.55.0.1 10.56.0.1 10.60.0.1 \
	10.61.0.1 10.62.0.1 10.63.0.1 192.0.2.1 0.0.0.0 0.0.0.9 127.0.0.1 224.0.0.5 255.255.255.255; do
	for dst in 10.77.0.1 10.77.0.5 10.77.0.99 10.77.0.255 255.255.255.255 224.0.0.251 239.1.1.1 \
		0.0.0.0; do
		echo "$src $dst"
	done
	echo "$src 10.77.0.8 0x10"
done >"$WORK/packets"
same "IPv4" 4 10.77.0.99
in_ns s ip route add default via 10.77.0.2
same "IPv4, with a default route" 4 10.77.0.99
in_ns s ip route replace default via 10.88.0.2
same "IPv4, with a default route elsewhere" 4 10.77.0.99
expect "only the loopback device forwards" \
	"$(in_ns s sysctl -n net.ipv4.conf.{lo,pgs0,default}.forwarding net.ipv6.conf.{lo,pgs0}.forwarding | xargs)" \
	"1 0 0 1 0"
in_ns s sysctl -qw net.ipv4.ip_forward=1
same "IPv4, of a router" 4 10.77.0.99
in_ns s sysctl -qw net.ipv4.ip_forward=0

in_ns s ip addr add fd88::1/64 dev pgd0 nodad
in_ns s ip addr add fe80::77/64 dev pgs0 nodad
in_ns s ip addr add fd77::5/64 dev pgs0 nodad
in_ns s ip -6 route add fd50::/32 via fd77::2
in_ns s ip -6 route add fd51::/32 via fd88::2
in_ns s ip -6 route add fd51:0:7::/48 dev pgs0
in_ns s ip -6 route add blackhole fd60::/32
in_ns s ip -6 route add unreachable fd61::/32
in_ns s ip -6 route add prohibit fd62::/32
in_ns s ip -6 route add fd53::/32 dev pgd0
in_ns s ip -6 rule add fwmark 7 lookup 107
in_ns s ip -6 route add fd53::/32 dev pgs0 table 107
in_ns s ip -6 rule add from fd77::5 lookup 109
in_ns s ip -6 route add fd54:1::/32 dev pgd0 table 109
in_ns s ip -6 rule add iif pgs0 lookup 110
in_ns s ip -6 route add fd55::/32 dev pgs0 table 110
for src in fd77::2 fd77::77 fd77::1 fd77::5 fd88::1 fd88::9 fd50::1 fd51::1 fd51:0:7::1 fd53::1 fd54:1::1 \
	fd55::1 fd60::1 fd61::1 fd62::1 2001:db8::1 :: fe80::77 fe80::78 ::ffff:10.0.0.1; do
	for dst in fd77::1 fd77::5 fd77::99 ff02::1 ff05::2 fe80::77; do
		echo "$src $dst"
	done
done >"$WORK/packets"
same "IPv6" 6 fd77::99
in_ns s ip -6 route add default via fd77::2
same "IPv6, with a default route" 6 fd77::99
in_ns s ip -6 route replace default via fd88::2
same "IPv6, with a default route elsewhere" 6 fd77::99
in_ns s sysctl -qw net.ipv6.conf.all.forwarding=1
in_ns s ip -6 route add fd57::/32 nexthop via fd77::2 nexthop via fd88::2
printf '%s fd77::1\n' fd57::1 fd57::2 fd57::3 fd57::4 >>"$WORK/packets"
same "IPv6, of a router" 6 fd77::99

printf '*filter\n-A INPUT -m rpfilter\nCOMMIT\n' >"$WORK/rules"
expect_fail "not in table filter" pg s restore "$WORK/rules"
summary
