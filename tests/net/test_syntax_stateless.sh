#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Matches that look at one packet only: the real iptables-restore and `portguard restore --test
# --print` read the same lines and must save the same rules, or refuse with the same words.
. "$(dirname "$0")/lib.sh"

need iptables-legacy-restore ip6tables-legacy-restore iptables-legacy-save ip6tables-legacy-save
ip netns add "$PREFIX-s" || skip_all "no network namespaces here"
in_ns s iptables-legacy -S >/dev/null 2>&1 || skip_all "no iptables-legacy in this kernel"
# The words below are that version's.
[[ $(iptables-legacy --version) = *v1.8.9* ]] || skip_all "iptables is not 1.8.9"

tool() { # 4|6
	[ "$1" = 4 ] && echo iptables-legacy || echo ip6tables-legacy
}

as_file() {
	echo '*filter'
	sed 's/.*/-A INPUT & -j DROP/' "$@"
	echo COMMIT
}

# same FAMILY… <lines: each becomes one rule, which both save alike
same() {
	local f kernel ours

	cat >"$WORK/lines"
	for f in "$@"; do
		as_file "$WORK/lines" | in_ns s "$(tool "$f")-restore" 2>"$WORK/warnings" ||
			fail "IPv$f: iptables refuses" "$(cat "$WORK/warnings")"
		in_ns s "$(tool "$f")-save" | grep '^-A' >"$WORK/kernel"
		as_file "$WORK/lines" | "$PORTGUARD" restore --test --print "-$f" |
			grep '^-A' >"$WORK/ours"
		while read -r kernel <&3 && read -r ours <&4; do
			expect "IPv$f: $kernel" "$ours" "$kernel"
		done 3<"$WORK/kernel" 4<"$WORK/ours"
		expect "IPv$f: rules" "$(wc -l <"$WORK/ours")" "$(wc -l <"$WORK/lines")"
	done
}

# What the kernel refuses has one text for all reasons, which says nothing: no words there.
said() { # EXIT-CODE TEXT PREFIX
	case $1 in
	0 | 1) echo "$1" ;;
	*) sed -nE "s/^$3//p" <<<"$2" | sed "1s/^/$1 /;q" ;;
	esac
}

# refused FAMILY… <lines: both say why, and with which exit code
refused() {
	local f line words out theirs

	while IFS= read -r line; do
		eval "words=($line)"
		for f in "$@"; do
			out=$(in_ns s "$(tool "$f")" -A INPUT "${words[@]}" -j DROP 2>&1)
			theirs=$(said $? "$out" 'ip6?tables v[^:]*: ')
			out=$(as_file <<<"$line" | "$PORTGUARD" restore --test --print "-$f" 2>&1)
			expect "IPv$f: $line" "$(said $? "$out" 'portguard: <stdin>:[0-9:]*: ')" \
				"$theirs"
			[ "$theirs" != 0 ] || fail "IPv$f: iptables accepts" "$line"
		done
	done
}

same 4 6 <<'END'
-m mac --mac-source 00:11:22:33:44:55
-m mac ! --mac-source aa:bb:cc:DD:EE:ff
-m mac --mac-source 0:1:2:3:4:5
-m mac --mac-source 00::22:33:44:
-m length --length 5
-m length --length 5:7
-m length --length 7:5
-m length --length :5
-m length ! --length 5:
-m length --length :
-m length ! --length 0:65535
-m length --length 0x10:040
-m length --length ""
-m length --len " +5"
-m tos --tos 0x10
-m tos --tos 0x10/0x3f
-m tos ! --tos 8/0x3f
-m tos --tos Minimize-Delay
-m tos --tos maximize-throughput
-m tos --tos Maximize-Reliability
-m tos --tos Minimize-Cost
-m tos ! --tos Normal-Service
-m tos --tos 0xff/0x0f
-m tos --tos 0x1f/0x3f
-m tos --tos 010
-m dscp --dscp 0x10
-m dscp ! --dscp 63
-m dscp --dscp-class EF
-m dscp --dscp-class ef
-m dscp --dscp-class BE
-m dscp --dscp-class CS0
-m dscp --dscp-class CS1
-m dscp --dscp-class CS2
-m dscp --dscp-class CS3
-m dscp --dscp-class CS4
-m dscp --dscp-class CS5
-m dscp --dscp-class CS6
-m dscp --dscp-class CS7
-m dscp --dscp-class AF11
-m dscp --dscp-class AF12
-m dscp --dscp-class AF13
-m dscp --dscp-class AF21
-m dscp --dscp-class AF22
-m dscp --dscp-class AF23
-m dscp --dscp-class AF31
-m dscp --dscp-class AF32
-m dscp --dscp-class AF33
-m dscp --dscp-class AF41
-m dscp --dscp-class AF42
-m dscp --dscp-class AF43
-m dscp ! --dscp-class AF11
-m pkttype --pkt-type unicast
-m pkttype --pkt-type host
-m pkttype --pkt-type BROADCAST
-m pkttype --pkt-type bcast
-m pkttype ! --pkt-type multicast
-m pkttype --pkt-type mcast
-m pkttype --pkt-type otherhost
-m mark --mark 5
-m mark --mark 0x5/0xf
-m mark ! --mark 0xff/0xf
-m mark --mark 1/0xffffffff
-m mark --mark 0/0
-m mark --mark 010 -m mark ! --mark 0xffffffff
-p tcp -m tcpmss --mss 5
-p tcp -m tcpmss --mss 5:7
-p tcp -m tcpmss ! --mss 5:
-p tcp -m tcpmss --mss :7
-p tcp -m tcpmss --mss 5 --dport 5
-p esp -m esp
-p esp --espspi 5
-p 50 ! --espspi 5:7
-p esp -m esp --espspi 7:5
-p esp -m esp --espspi :5
-p esp -m esp --espspi 5:
-p esp -m esp --espspi :
-p esp -m esp --espspi 4294967295
-p tcp --tcp-option 5
-p tcp ! --tcp-option 255
-p tcp --sport 1 --dport 2 --tcp-option 0x5 --syn
-p tcp --tcp-option 010
-p dccp --dccp-types REQUEST
-p dccp --dccp-types response,DATA,ACK,DATAACK,CLOSEREQ,CLOSE,SYNC,SYNCACK,INVALID
-p dccp ! --dccp-types DATA,,DATA,
-p dccp --dccp-option 5
-p dccp ! --sport 1:2 ! --dport 2 ! --dccp-types DATA,ACK ! --dccp-option 3
-p sctp --chunk-types any DATA
-p sctp --chunk-types ALL data,init
-p sctp ! --chunk-types only DATA:Be,INIT,ABORT:t --sport 1
-p sctp --chunk-types any NONE
-p sctp --chunk-types all all
-p sctp --chunk-types any ""
-p sctp --chunk-types any DATA:B,DATA:Eu,SHUTDOWN_COMPLETE:T
-p sctp --chunk-types any I_DATA:IUBE,INIT:-
-p sctp --chunk-types any DATA,INIT,INIT_ACK,SACK,HEARTBEAT,HEARTBEAT_ACK,ABORT,SHUTDOWN,SHUTDOWN_ACK,ERROR,COOKIE_ECHO,COOKIE_ACK,ECN_ECNE,ECN_CWR,SHUTDOWN_COMPLETE,I_DATA,RE_CONFIG,PAD,ASCONF,ASCONF_ACK,FORWARD_TSN,I_FORWARD_TSN
END

same 4 <<'END'
-m addrtype --src-type LOCAL
-m addrtype ! --src-type LOCAL,unicast --dst-type BROADCAST
-m addrtype --dst-type UNSPEC,UNICAST,LOCAL,BROADCAST,ANYCAST,MULTICAST,BLACKHOLE,UNREACHABLE,PROHIBIT,THROW,NAT,XRESOLVE
-m addrtype --dst-type LOCAL,LOCAL
-m addrtype --dst-type loc
-m addrtype --src-type U
-m addrtype --dst-type local --limit-iface-in
-m addrtype ! --dst-type anycast,multicast,unreachable
-m iprange --src-range 10.0.0.1-10.0.0.9
-m iprange ! --src-range 10.0.0.1-10.0.0.9 --dst-range 1.1.1.1-2.2.2.2
-m iprange --dst-range 10.0.0.1
-m iprange --src-range 10-11
-m iprange --src-range 0x1.2.3.4-010.2.3.5
-m ttl --ttl-eq 5
-m ttl ! --ttl-eq 5
-m ttl --ttl 5
-m ttl --ttl-lt 0x10
-m ttl --ttl-gt 255
-p icmp -m ttl --ttl-eq 5 --icmp-type 8
-p ah -m ah
-p ah --ahspi 5
-p 51 ! --ahspi 5:7
-p ah -m ah --ahspi :
-p ah -m ah --ahspi 5:
END

same 6 <<'END'
-m iprange --src-range ::1-::2
-m iprange ! --dst-range fe80::1-fe80::ffff ! --src-range ::ffff:1.2.3.4
-m hl --hl-eq 5
-m hl ! --hl-eq 5
-m hl --hl 5
-m hl --hl-lt 0x10
-m hl --hl-gt 255
-m ah --ahspi 5
-p tcp -m ah --ahspi 5:7 --ahlen 10 --ahres
-m ah ! --ahspi 3 ! --ahlen 3
-m ah --ahres --ahlen 0
-m ah ! --ahlen 0
-m ah
-m frag
-m frag --fragid 5
-m frag ! --fragid 5:7
-m frag --fragid :
-m frag --fraglen 0
-m frag ! --fraglen 5
-m frag --fragfirst --fragres --fragmore --fragid 1 --fraglen 2
-m frag --fragfirst --fraglast
-p udp -m frag --fragmore
-m rt
-m rt --rt-type 5
-m rt ! --rt-type 256
-m rt --rt-segsleft 5
-m rt ! --rt-segsleft 5:7
-m rt --rt-segsleft :
-m rt ! --rt-len 5
-m rt --rt-len 0
-m rt --rt-type 0 --rt-0-res
-m rt --rt-type 0 --rt-0-addrs ::1
-m rt --rt-type 0 --rt-0-addrs ::1,::2 --rt-0-not-strict
-m rt --rt-type 0 --rt-segsleft 1:2 --rt-len 3 --rt-0-res --rt-0-addrs ::1,fe80::1 --rt-0-not-strict
-m rt --rt-type 0 --rt-0-addrs ::1,::2,::3,::4,::5,::6,::7,::8,::9,::a,::b,::c,::d,::e,::f,::10
-p icmpv6 -m icmpv6 --icmpv6-type 1
-m addrtype ! --src-type LOCAL --dst-type ANYCAST,UNREACHABLE
END

refused 4 6 <<'END'
-m mac
-m mac --mac-source 00:11:22:33:44
-m mac --mac-source 00-11-22-33-44-55
-m mac --mac-source 0:1:2:3:4:5 --mac-source 0:1:2:3:4:5
-m length
-m length --length 5:70000
-m length --length 5x:7
-m length --length a
-m length --length 1:2:3
-m length --length -1
-m length --length 1 --length 2
-m tos
-m tos --tos Minimize
-m tos --tos 0x10/256
-m tos --tos 256
-m tos --tos 1 --tos 2
-m dscp
-m dscp --dscp 64
-m dscp --dscp-class VA
-m dscp --dscp 1 --dscp-class AF11
-m dscp --dscp-class AF11 --dscp-class AF11
-m pkttype
-m pkttype --pkt-type uni
-m pkttype --pkt-type host --pkt-type host
-m mark
-m mark --mark 0x100000000
-m mark --mark 1/
-m mark --mark 1/2/3
-m mark --mark 1 --mark 1
-p tcp -m tcpmss
-p tcp -m tcpmss --mss 7:5
-p tcp -m tcpmss --mss 65536
-p udp -m tcpmss --mss 1
-p tcp -m tcpmss --mss 1 --mss 2
-m esp
-p esp -m esp --espspi 4294967296
-p esp --espspi 1 --espspi 2
! -p esp --espspi 5
-p tcp --tcp-option 0
-p tcp --tcp-option 5x
-p tcp --tcp-option 5 --tcp-option 6
-p dccp --dccp-types ACK,FOO
-p dccp --dccp-types DATA --dccp-types ACK
-p dccp --dccp-option 0
-p dccp --dccp-option 1 --dccp-option 2
-p sctp --chunk-types any
-p sctp --chunk-types an DATA
-p sctp --chunk-types any NONE,DATA
-p sctp --chunk-types any ABORT:B
-p sctp --chunk-types any DATA:B,I_DATA:I,RE_CONFIG:-,ABORT:T,SHUTDOWN_COMPLETE:T
-p sctp --chunk-types any DATA --chunk-types any INIT
END

refused 4 <<'END'
-m addrtype
-m addrtype --dst-type LOCAL,FOO
-m addrtype --dst-type FOO,LOCAL
-m addrtype --src-type LOCAL --src-type LOCAL
-m addrtype --dst-type local --limit-iface-out --limit-iface-in
-m addrtype --dst-type local ! --limit-iface-in
-m addrtype --dst-type local --limit-iface-out
-m iprange
-m iprange --src-range 10.0.0.1-
-m iprange --dst-range 10.0.0.1-10.0.0.300
-m iprange --src-range 10.0.0.0/24
-m iprange --src-range ::1-::2
-m iprange --src-range 10.0.0.1 --src-range 10.0.0.1
-m ttl
-m ttl ! --ttl-gt 5
-m ttl --ttl-eq 256
-m ttl --ttl-lt 5 --ttl-gt 3
-m ttl --ttl 5 --ttl-eq 3
-m ttl --tt 5
-m hl --hl-eq 5
-m ah
-p ah --ahspi a
-p ah -m ah --ahlen 1
-p ah --ahspi 1 --ahspi 2
-m frag --fragfirst
-m rt --rt-type 0
-p icmp -m icmpv6 --icmpv6-type 1
-m esp
-m esp --espspi 5 -p tcp
-p ah -m ah --ahres
-m rt
! -p ah --ahspi 5
END

refused 6 <<'END'
-m addrtype --dst-type BROADCAST
-m iprange --src-range 10.0.0.1-10.0.0.2
-m ttl --ttl-eq 5
-m hl
-m hl --hl-gt 5 --hl-eq 3
-m ah ! --ahres
-m ah --ahlen 7:5
-m frag --fragmore --fraglast
-m frag ! --fragfirst
-m frag --fraglen 5:7
-m frag --fragid a
-m rt --rt-type 5:7
-m rt --rt-0-res --rt-type 0
-m rt ! --rt-type 0 --rt-0-res
-m rt --rt-0-addrs ::1
-m rt --rt-type 0 --rt-0-addrs 1.1.1.1
-m rt --rt-type 0 --rt-0-not-strict
-m rt --rt-type 0 --rt-0-addrs ::1,::2,::3,::4,::5,::6,::7,::8,::9,::a,::b,::c,::d,::e,::f,::10,::11
-m rt --rt-type 0 --rt-0-addrs ::1 --rt-0-addrs ::1
-m rt --rt-type 0 ! --rt-0-addrs ::1
END

summary
