#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `portguard doctor`: each thing that it finds is set up here first, and what it says would mend it does.
. "$(dirname "$0")/lib.sh"

need jq ethtool iptables-legacy nft
own_bpffs
two_namespaces

# look IFACE…: what follows is about what `doctor` finds now. It loads the program each time.
look() {
	pg s doctor --json "$@" >"$WORK/json"
}

found() {
	jq -r "$1" "$WORK/json"
}

# of CODE FIELD: of the first finding of this code
of() {
	found "[.findings[] | select(.code == \"$1\")][0].$2 // \"-\""
}

expect_ok "runs, and finds no problem" look pgs0
expect "the programs load" "$(of loads severity)" ok
expect "what the driver is" "$(found '.interfaces[0] | [.name, .driver, .mtu] | join(" ")')" \
	"pgs0 veth 1500"
expect "a peer elsewhere" "$(of veth text | grep -c 'another network namespace')" 1
expect_exit "no such interface" 1 "no such interface: 'nosuch'" pg s doctor nosuch
expect_exit "an option that is none" 2 'unknown option "--nosuch"' pg s doctor --nosuch

# MTU ---------------------------------------------------------------------------------------------

native=$(found '.interfaces[0].native // "unknown"')
in_ns s ip link set pgs0 mtu 9000
in_ns c ip link set pgc0 mtu 9000
if [ "$native" = unknown ]; then
	skip "MTU: this kernel does not say what drivers can"
else
	# What it says and what attaching does are the same.
	look pgs0
	if pg s attach pgs0 --mode native >/dev/null 2>&1; then wanted=ok; else wanted=warning; fi
	expect "MTU 9000" "$(of mtu severity)" $wanted
	pg s detach --all >/dev/null 2>&1
fi
if in_ns s ip tuntap add pgtap mode tap 2>/dev/null && in_ns s ip link set pgtap mtu 9000 up &&
	look pgtap && [ "$(found '.interfaces[0].native')" = true ]; then
	expect "a driver that takes no frags" "$(of mtu severity) $(of mtu mend)" \
		"warning ip link set dev pgtap mtu 3498"
	in_ns s ip link set dev pgtap mtu 3498
	look pgtap
	expect "and its MTU mended" "$(of mtu severity)" -
else
	skip "no tap device with native XDP here"
fi
in_ns s ip link del pgtap 2>/dev/null
in_ns s ip link set pgs0 mtu 1500
in_ns c ip link set pgc0 mtu 1500

# Another program, and portguard's own ---------------------------------------------------------------

expect_ok "another instance attaches" in_ns s "$PORTGUARD" --state "$STATE-other" attach pgs0 --mode skb
look
expect "the exit code says so" $? 1
expect "only what is up, without lo" "$(found '[.interfaces[].name] | join(" ")')" pgs0
expect "its program is another's" "$(of other-program severity)" problem
expect "named, with who holds it" "$(of other-program text | grep -c \
	"generic XDP: portguard_xdp, id [0-9]*, held by $STATE-other/")" 1
expect "what mends it" "$(of other-program mend)" "portguard --state $STATE attach pgs0 --mode tc"
expect_ok "does" pg s attach pgs0 --mode tc
in_ns s "$PORTGUARD" --state "$STATE-other" detach --all
look pgs0
expect "attached" "$(of attached text)" "portguard is attached, mode tc (asked for)"
expect "no other XDP program" "$(of other-program severity)" -
expect_ok "gone" pg s detach --all

# Queues ---------------------------------------------------------------------------------------------

if in_ns s ip link add pgq0 numrxqueues 2 numtxqueues 2 type veth \
	peer name pgq1 numrxqueues 2 numtxqueues 2 && [ "$(nproc)" -ge 2 ] &&
	in_ns s ethtool -L pgq0 rx 1 tx 1 2>/dev/null; then
	in_ns s ip link set pgq0 up
	in_ns s ip link set pgq1 up
	look pgq0
	expect "a peer that is here" "$(of veth text | cut -c 1-27)" "veth whose peer is pgq1, wh"
	expect "a veth's queues matter to native XDP only" "$(of queues severity)" -
	in_ns s ip link del pgq0
else
	skip "queues: a veth with two, and two CPUs"
fi

# Other rules ----------------------------------------------------------------------------------------

# code CODE FIELD: of all findings of this code
all() {
	found "[.findings[] | select(.code == \"$1\") | .$2] | sort | join(\", \")"
}

published() {
	look pgs0
	found '[.findings[] | select(.code == "published") | .text | split(" by ")[0]] | sort | join(", ")'
}

if in_ns s iptables-legacy -w -t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to 172.17.0.2:80 \
	2>/dev/null; then
	in_ns s iptables-legacy -w -t nat -N DOCKER
	in_ns s iptables-legacy -w -t nat -A DOCKER -p udp --dport 5000:5010 -j REDIRECT --to-ports 53
	in_ns s iptables-legacy -w -P FORWARD DROP
	expect "iptables-legacy" "$(published)" "5000-5010/udp is sent to :53, 8080/tcp is sent to 172.17.0.2:80"
	expect "what mends it" "$(all published mend)" "portguard --state $STATE deny 5000:5010/udp, portguard --state $STATE deny 8080/tcp"
	expect "nothing is unread" "$(all published-unread text)" ""
	expect "its chains" "$(found '[.findings[] | select(.code == "other-rules") | .text |
		select(test(" table ip ")) | capture("table (?<t>.*) acts.* at (?<h>[a-z]*), (?<n>[0-9]*)") | "\(.t) \(.h) \(.n)"] |
		sort | join(", ")')" "ip filter forward 0, ip nat prerouting 1"
	in_ns s iptables-legacy -w -t nat -F
	in_ns s iptables-legacy -w -P FORWARD ACCEPT
	in_ns s iptables-legacy -w -t nat -A DOCKER -p tcp -m tcp -m multiport --dports 8080,8081,9000:9010 \
		-j DNAT --to 172.17.0.2
	in_ns s iptables-legacy -w -t nat -A DOCKER -p tcp -m tcp ! --dport 22 -j DNAT --to 172.17.0.3
	in_ns s iptables-legacy -w -t nat -A DOCKER -p tcp -m multiport --ports 1,2 -j DNAT --to 172.17.0.3
	in_ns s iptables-legacy -w -t nat -A DOCKER -d 10.0.0.1 -j DNAT --to 172.17.0.4
	expect "-m multiport" "$(published)" "8080/tcp is sent to 172.17.0.2, 8081/tcp is sent to 172.17.0.2, \
9000-9010/tcp is sent to 172.17.0.2"
	expect "what names no ports" "$(all published-unread text | grep -o '^.* packets') $(all published-unread mend)" \
		"3 rules of iptables-legacy table ip nat, chain DOCKER send packets iptables-legacy -t nat -S"
	in_ns s iptables-legacy -w -t nat -F
else
	skip "iptables-legacy's nat is not in this kernel"
fi
if in_ns s ip6tables-legacy -w -t nat -A PREROUTING -p tcp --dport 8081 -j DNAT \
	--to '[fd00::2]:81' 2>/dev/null; then
	expect "ip6tables-legacy" "$(published)" "8081/tcp is sent to [fd00::2]:81"
	in_ns s ip6tables-legacy -w -t nat -F
else
	skip "ip6tables-legacy's nat is not in this kernel"
fi
if in_ns s nft -f - 2>"$WORK/nft" <<-NFT; then
	table ip t {
		set named { type inet_service; flags interval; elements = { 100-110, 200, 65000-65535 }; }
		set none { type inet_service; }
		map to { type inet_service : ipv4_addr; elements = { 301 : 10.0.0.1, 302 : 10.0.0.2 }; }
		chain sets {
			tcp dport { 8080, 8081, 9000 } dnat to 10.0.0.9
			tcp dport { 7000-7010, 7020 } redirect to :80
			udp dport @named dnat to 10.0.0.8
			dnat to tcp dport map @to
			tcp dport != { 1, 2 } dnat to 10.0.0.7
			tcp dport @none dnat to 10.0.0.7
		}
		chain pre { type nat hook prerouting priority -100; policy accept;
			tcp dport 8443 counter dnat to 10.0.0.9:443
			udp dport 6000-6007 redirect to :7000
			tcp dport 1 accept
		}
		chain in { type filter hook input priority 0; policy drop; counter; }
	}
NFT
	expect "nft" "$(published)" "100-110/udp is sent to 10.0.0.8, 200/udp is sent to 10.0.0.8, \
301-302/tcp is sent elsewhere, 6000-6007/udp is sent to :7000, 65000-65535/udp is sent to 10.0.0.8, \
7000-7010/tcp is sent to :80, 7020/tcp is sent to :80, 8080-8081/tcp is sent to 10.0.0.9, \
8443/tcp is sent to 10.0.0.9:443, 9000/tcp is sent to 10.0.0.9"
	expect "what mends it" "$(all published mend | grep -o 'deny 6[0-9]*:[^,]*')" \
		"$(printf 'deny %s/udp\n' 6000:6007 65000:65535)"
	expect "what it cannot tell" "$(all published-unread text | cut -d' ' -f1-9) $(all published-unread mend)" \
		"2 rules of nft table ip t, chain sets nft list chain ip t sets"
	expect "its chains" "$(found '[.findings[] | select(.code == "other-rules") | .mend | select(test("^nft"))] | sort |
		join(", ")')" "nft list chain ip t in, nft list chain ip t pre"
	in_ns s nft flush ruleset
else
	skip "nft: $(head -n 1 "$WORK/nft")"
fi
if command -v iptables-nft >/dev/null && in_ns s iptables-nft -w -t nat -A PREROUTING -p tcp -m tcp \
	--dport 2222 -j DNAT --to-destination 10.0.0.9:22 2>/dev/null; then
	in_ns s iptables-nft -w -t nat -A PREROUTING -p udp -m multiport --dports 53,5353 -j DNAT --to 10.0.0.9
	expect "iptables-nft" "$(published)" "2222/tcp is sent to 10.0.0.9:22, 53/udp is sent to 10.0.0.9, \
5353/udp is sent to 10.0.0.9"
else
	skip "iptables-nft is not here"
fi

summary
