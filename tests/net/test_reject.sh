#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# REJECT on the wire: the answers are those that the kernel's own iptables gives to the same frames,
# and none where it gives none; then what real clients make of them.
PG_TEST_TIMEOUT=${PG_TEST_TIMEOUT:-600} # three modes of all answers
export PG_TEST_TIMEOUT
. "$(dirname "$0")/lib.sh"

need ethtool jq iptables-legacy ip6tables-legacy curl nc ping
for tool in send answers; do
	[ -x "$TOOLS/net/$tool" ] || skip_all "not built: $TOOLS/net/$tool"
done
own_bpffs
two_namespaces
in_ns s sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 \
	net.ipv4.icmp_echo_ignore_broadcasts=0
# The client keeps its own counsel: what it says is what is sent here.
in_ns c iptables-legacy -w -A INPUT -j DROP 2>/dev/null || skip_all "no iptables-legacy here"
in_ns c ip6tables-legacy -w -A INPUT -j DROP

# answers FRAME: what comes back for it. The identification, and with it DF, is free where nothing
# is fragmented (RFC 6864): only the kernel's resets have the same as ours.
answers() {
	in_ns c "$TOOLS/net/answers" pgc0 ${WAIT:-20} "$TOOLS/net/send" pgc0 "$1" |
		sed '/ icmp /s/frag=[0-9a-f]* id=[0-9]* //'
}

V4="r-syn r-syn-options r-syn-data r-ack-data r-fin r-null r-rst r-rst-ack r-udp r-udp-long r-udp-padded
	r-ping r-esp r-error r-redirect r-unknown-icmp r-multicast r-broadcast r-subnet-broadcast
	r-to-us-for-subnet r-to-us-for-subnet-udp r-from-subnet-broadcast
	r-ethernet-broadcast r-from-multicast r-from-zero r-from-loopback r-from-broadcast
	r-later-fragment"
V6="r6-syn r6-syn-ext r6-ack-data r6-rst r6-udp r6-udp-long r6-ping r6-error r6-unknown-error
	r6-multicast r6-from-any r6-from-multicast r6-later-fragment r6-later-fragment-tcp"
WITH4="icmp-net-unreachable icmp-host-unreachable icmp-proto-unreachable icmp-port-unreachable
	icmp-net-prohibited icmp-host-prohibited icmp-admin-prohibited"
WITH6="icmp6-no-route icmp6-adm-prohibited icmp6-addr-unreachable icmp6-port-unreachable
	icmp6-policy-fail icmp6-reject-route"

# Every frame for the default and for tcp-reset, one for each of the other answers.
declare -A kernel
each_answer() {
	local frame with

	for with in icmp-port-unreachable tcp-reset; do
		for frame in $V4; do "$1" 4 "$frame" $with; done
	done
	for with in icmp6-port-unreachable tcp-reset; do
		for frame in $V6; do "$1" 6 "$frame" $with; done
	done
	for with in $WITH4; do "$1" 4 r-udp "$with"; done
	for with in $WITH6; do "$1" 6 r6-udp "$with"; done
}

# tcp-reset is for -p tcp only; other frames then find no rule.
rule() {
	[ "$2" = tcp-reset ] && echo "-4 -A INPUT -p tcp -j REJECT --reject-with tcp-reset" |
		sed "s/-4/-$1/" || echo "-$1 -A INPUT -j REJECT --reject-with $2"
}

# The server's own stack, which answers what passes, must be silent in both.
quiet() {
	local tool

	for tool in iptables-legacy ip6tables-legacy; do
		in_ns s $tool -w -F INPUT
		[ "$1" = no ] || in_ns s $tool -w -A INPUT -j DROP
	done
}

ask_kernel() {
	local tool=iptables-legacy words

	[ "$1" = 4 ] || tool=ip6tables-legacy
	words=$(rule "$1" "$3")
	if [ "$words" != "${installed:-}" ]; then
		quiet no
		in_ns s $tool -w ${words#-? }
		in_ns s $tool -w -A INPUT -j DROP
		installed=$words
	fi
	kernel[$2 $3]=$(answers "$2")
}

ask_portguard() {
	local words got want=${kernel[$2 $3]}

	words=$(rule "$1" "$3")
	if [ "$words" != "${installed:-}" ]; then
		pg s -F INPUT && pg s $words || fail "$words"
		installed=$words
	fi
	got=$(answers "$2")
	# Bytes of an skb that came over veth and left by generic XDP are right, but for the note
	# beside them that they are not.
	[ "$mode" != skb ] || got=${got/ partial/}
	case $2 in
	# The stack drops these before any rule, so that the kernel has no answer to compare, or sends a
	# subnet's broadcast address one, against RFC 1122 3.2.2; ours is to have none.
	r-later-fragment | r-from-* | r6-from-*) want= ;;
	esac
	expect "$mode: $2, $3" "$got" "$want"
}

# Frames in which the one kernel has nothing to say are worth a look: is it the rule's doing?
each_answer ask_kernel
expect "the kernel answers" "$(for k in "${!kernel[@]}"; do echo "${kernel[$k]:+answer}"; done |
	grep -c answer)" 41
quiet yes

# in_mode MODE: attach, and both ends as native XDP wants them
in_mode() {
	mode=$1 installed=
	# What XDP_TX sends waits in the peer's ring until that has an XDP program, too
	# (drivers/net/veth.c, veth_xdp_flush()); GRO alone does not wake it.
	[ "$mode" != native ] || expect_ok "a program for the peer" \
		in_ns c "$PORTGUARD" --state "$STATE-peer" attach pgc0 --mode native --no-egress
	expect_ok "attach in mode $mode" pg s attach pgs0 --mode "$mode"
	expect "it is $mode" "$(json s status '.interfaces[0].mode')" "$mode"
}

# Tagged frames: back with the same tags. The kernel has no rule for them on this interface.
tagged() {
	expect_ok "reset" pg s -F INPUT
	pg s -A INPUT -p tcp -j REJECT --reject-with tcp-reset
	pg s -A INPUT -j REJECT
	expect "$mode: a tag comes back" "$(answers r-vlan-syn | cut -d' ' -f2-)" \
		"vlan=5 $(cut -d' ' -f2- <<<"${kernel[r-syn tcp-reset]}")"
	expect "$mode: an error has it, too" "$(answers r-vlan-udp |
		grep -Eo 'vlan=.*>|icmp 3/3 .*quote=[0-9]*' | tr '\n' ' ')" \
		"vlan=5 10.77.0.1> icmp 3/3 unused=0 csum=ok quote=37 "
	expect "$mode: two tags come back" "$(answers r-qinq-syn |
		grep -Eo 'vlan=.*>10.77.0.2|flags=.*csum=..' | tr '\n' ' ')" \
		"vlan=7 vlan=5 10.77.0.1>10.77.0.2 flags=14 window=0 urg=0 csum=ok "
	expect "$mode: two tags and IPv6" "$(answers r-qinq-udp6 |
		grep -Eo 'vlan=.*>fd77::2|icmp.*quote=[0-9]*' | tr '\n' ' ')" \
		"vlan=7 vlan=5 fd77::1>fd77::2 icmp 1/4 unused=0 csum=ok quote=48 "
}

# refused WHAT PATTERN COMMAND…: the client is told so, and at once
refused() {
	local what=$1 pattern=$2 text start=${EPOCHREALTIME/./} took
	shift 2

	text=$(in_ns c timeout 5 "$@" 2>&1)
	took=$(((${EPOCHREALTIME/./} - start) / 1000))
	[[ $text =~ $pattern ]] && [ $took -lt 2000 ] && pass "$mode: $what" ||
		fail "$mode: $what" "after $took ms: $text" "wanted: $pattern"
}

# Sockets with all offloads, so that the checksums of what they send are left to be filled in.
clients() {
	local of

	pg s -F INPUT
	pg s -A INPUT -p tcp -j REJECT --reject-with tcp-reset
	pg s -4 -A INPUT -p icmp -j REJECT --reject-with icmp-host-prohibited
	pg s -6 -A INPUT -p icmpv6 -m icmp6 --icmpv6-type 128 -j REJECT --reject-with icmp6-adm-prohibited
	pg s -A INPUT -p udp -j REJECT
	for of in 10.77.0.1 fd77::1; do
		refused "curl to $of" "onnection refused|onnect to.*after" \
			curl -s -S -m 4 "http://[$of]:80/" -g $([ $of = fd77::1 ] || echo "http://$of:80/")
		refused "nc to $of" refused nc -v -w 3 $of 22
		refused "nc -u to $of" "efused|refused" bash -c \
			"exec 3<>/dev/udp/$of/5353; echo a >&3; sleep 0.2; echo b >&3"
	done
	refused "ping" "Host Prohibited" ping -c 1 -W 3 10.77.0.1
	refused "ping of IPv6" "[Pp]rohibited" ping -c 1 -W 3 fd77::1
}

for way in tc skb native; do
	in_mode $way
	each_answer ask_portguard
	tagged
	in_ns c iptables-legacy -w -F INPUT
	in_ns c ip6tables-legacy -w -F INPUT
	in_ns c ethtool -K pgc0 tx on tso on gso on >/dev/null 2>&1
	clients
	if [ $way = tc ]; then
		# What a socket leaves to be filled in is not filled into the answer.
		partial=$(in_ns c "$TOOLS/net/answers" pgc0 50 bash -c \
			'exec 3<>/dev/tcp/10.77.0.1/80' 2>/dev/null)
		[[ $partial =~ flags=14.*csum=ok && ! $partial =~ partial ]] &&
			pass "no checksum is left to be filled in" ||
			fail "an answer to a socket" "$partial"
		before=$(reason_count s forwarded)
		in_ns c curl -s -m 4 http://10.77.0.1:80/
		[ "$(reason_count s forwarded)" -gt "$before" ] && pg s reasons | grep -q "forwarded.*REJECT" &&
			pass "an answer leaves under a reason that says so" || fail "an answer's reason" "$(pg s reasons)"
		super=$(in_ns c "$TOOLS/net/answers" pgc0 50 "$TOOLS/net/send" pgc0 tcp80-gso)
		[[ $super =~ flags=04.*csum=ok && ! $super =~ partial ]] &&
			pass "a super-packet is answered" || fail "an answer to a super-packet" "$super"
	fi
	in_ns c ethtool -K pgc0 tx off tso off gso off >/dev/null 2>&1
	in_ns c iptables-legacy -w -A INPUT -j DROP
	in_ns c ip6tables-legacy -w -A INPUT -j DROP
done

# As many errors as the kernel would send, and no more: on two CPUs, whichever the frames run on.
pg s -F INPUT
pg s -A INPUT -j REJECT
flood=$(in_ns c "$TOOLS/net/answers" pgc0 100 "$TOOLS/net/send" pgc0 r-udp 4000 | grep -c ' icmp 3/3')
[ "$flood" -ge 10 ] && [ "$flood" -lt 3500 ] && pass "errors have a bound" ||
	fail "errors have a bound" "$flood of 4000"
summary
