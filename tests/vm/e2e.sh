#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Runs in a test machine: attach, policy, TCP through it, counters, detach; on a veth and on real
# drivers. Prints lines "ok WHAT" and "FAILED WHAT", and for the README's table "cell COLUMN TEXT".
# The last line is "N passed, N failed, N skipped".
set -u
passed=0 failed=0
PG=./portguard
cell() { echo "cell $*"; }

# check WHAT COMMAND…
check() {
	local what=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
		echo "ok $what"
	else
		failed=$((failed + 1))
		echo "FAILED $what"
	fi
}

json() { # COMMAND JQ-FILTER: is it true?
	"$PG" "$1" --json >/tmp/json 2>/tmp/err && jq -e "$2" /tmp/json >/dev/null && return
	head -c 1500 /tmp/json /tmp/err
	return 1
}

until_true() {
	local i

	for ((i = 0; i < 200; i++)); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.1
	done
	return 1
}

listens() { ss -Hltn "sport = $1" | grep -q .; }

# serve PORT: gives the file to one client, in this namespace.
serve() {
	nc -l -N "$1" </tmp/file >/dev/null &
	until_true listens "$1"
}

in_client() { ip netns exec client "$@"; }

# fetch ADDRESS PORT: does the client get the file, whole?
fetch() {
	serve "$2"
	in_client nc -d -w 30 "$1" "$2" >/tmp/got </dev/null
	cmp -s /tmp/file /tmp/got
}

refused() { ! in_client nc -v -z -w 30 "$1" "$2" 2>/tmp/nc && grep -q refused /tmp/nc; }
dropped() { ! in_client nc -z -w 2 "$1" "$2"; }

policy() {
	$PG restore <<-RULES
		*filter
		:INPUT DROP [0:0]
		:FORWARD ACCEPT [0:0]
		:OUTPUT ACCEPT [0:0]
		-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
		-A INPUT -p tcp -m conntrack --ctstate INVALID -j DROP
		-A INPUT -p tcp --dport 8001 -m conntrack --ctstate NEW -j ACCEPT
		-A INPUT -p tcp --dport 8002 -j REJECT --reject-with tcp-reset
		-A INPUT -p tcp --dport 8003 -m set --match-set bad src -j DROP
		COMMIT
	RULES
}

# Routes go by a mark that a rule sets, and 7 leads nowhere. The table of local addresses comes first unless it is moved.
ip rule add pref 20 lookup local && ip rule del pref 0 && ip rule add pref 10 fwmark 7 prohibit
marks() { # ADDRESS
	"$PG" -A INPUT -p tcp --dport 8004 -j MARK --set-mark 8 && "$PG" -A INPUT -p tcp --dport 8004 -j ACCEPT &&
		fetch "$1" 8004 && "$PG" -R INPUT 6 -p tcp --dport 8004 -j MARK --set-mark 7 && dropped "$1" 8004 &&
		json rules '[.chains[] | select(.name == "INPUT").rules[].packets][5] > 0'
}

# scenario NAME INTERFACE ADDRESS MODE [OPTION]: MODE is what must come of it
scenario() {
	local name=$1 iface=$2 addr=$3 mode=$4 before=$failed

	"$PG" attach "$iface" --mode "$mode" "${@:5}" 2>/tmp/err >/tmp/out || cat /tmp/out /tmp/err
	check "$name: attached" json status ".interfaces[0].name == \"$iface\" and .interfaces[0].mode == \"$mode\""
	[ $failed = "$before" ] || { cell "$name" no; $PG detach --all; return; }
	$PG set create bad hash:ip && $PG set add bad "${addr%.*}.2"
	check "$name: policy" policy
	check "$name: an accepted connection carries a file" fetch "$addr" 8001
	check "$name: a rejected one is refused" refused "$addr" 8002
	check "$name: one from a set is dropped" dropped "$addr" 8003
	check "$name: counters of rules" json rules '[.chains[] | select(.name == "INPUT").rules[].packets] |
		.[0] > 5 and .[1] == 0 and .[2] >= 1 and .[3] >= 1 and .[4] >= 1'
	check "$name: counters of ports" json ports '[.ports[] | select(.port == 8001 and .proto == "tcp")][0] |
		.in.packets > 5 and .out.bytes > 2000000 and .flags.syn >= 2'
	check "$name: the flow" json flows '[.flows[] | select(.dport == 8001)] | length == 1 and .[0].bytes[1] > 2000000'
	if [[ "$*" == *multiprog* ]]; then
		check "$name: marks are refused by name" refuses "MARK. needs mode tc" -A INPUT -j MARK --set-mark 1
	else
		check "$name: routes go by marks" marks "$addr"
	fi
	check "$name: nothing is invalid" json reasons '[.reasons[] | select(.name == "internal").packets] | add // 0 == 0'
	check "$name: detached" "$PG" detach --all
	check "$name: nothing is filtered any more" fetch "$addr" 8003
	cell "$name" "$([ $failed = "$before" ] && echo yes || echo no)"
}

# Another tool, which uses the libxdp that is installed, as portguard does.
OTHER=.output/tests/vm/other
FOREIGN=.output/tests/vm/other.bpf.o
runs() { [ "$($OTHER list pgv 2>/dev/null | xargs)" = "$*" ]; } # just these, in the dispatcher on pgv
loads() { $OTHER load pgv $FOREIGN 2>/dev/null; }
unloads() { $OTHER unload pgv other 2>/dev/null; }
refuses() { # WORDS COMMAND…: in one line
	! "$PG" "${@:2}" >/dev/null 2>/tmp/err && [ "$(wc -l </tmp/err)" = 1 ] && grep -q -- "$1" /tmp/err && return
	cat /tmp/err
	return 1
}
xdp_on_pgv() { ip -o link show pgv | grep -o 'prog/xdp id [0-9]* name [^ ]*'; }

# A program of its own, not libxdp's, is not taken off before it is known that the dispatcher can be joined.
forced() { # WORDS: it can't
	local was

	ip link set pgv xdpgeneric obj $FOREIGN sec xdp
	was=$(xdp_on_pgv)
	check "multiprog: --force is refused, too" refuses "$1" attach pgv --multiprog --force
	check "multiprog: what it would replace stays" test "$was" = "$(xdp_on_pgv)"
	ip link set pgv xdpgeneric off
}

# Where the installed libxdp's dispatcher takes none that changes packets, that is said, and newer ones' is taken.
choose_dispatcher() {
	joins=yes
	"$PG" attach pgv --multiprog >/tmp/out 2>/tmp/err && "$PG" detach --all && return
	joins="by libxdp 1.5.5"
	check "multiprog: what it needs is said" refuses "libxdp before 1.5.5" attach pgv --multiprog
	check "multiprog: nothing came of it" runs other
	unloads
	forced "libxdp before 1.5.5"
	cp .output/tests/vm/xdp-dispatcher.bpf.o /usr/lib/*/bpf/xdp-dispatcher.o
	check "multiprog: another program, newer" loads
	"$PG" attach pgv --multiprog >/tmp/out 2>/tmp/err && "$PG" detach --all && return
	check "multiprog: it is refused by name" refuses "leave out --multiprog" attach pgv --multiprog
	joins="no, refused by name"
}

# Is killed while it joins, with its entry's map pinned.
killed() {
	"$PG" attach pgv --multiprog &
	until_true test -e /sys/fs/bpf/portguard/entry_0_in
	kill -9 $! && ! wait $! 2>/dev/null
}

# Joined from classic TC, and killed before the pin of what it took off there was removed.
killed_after_tc() {
	local pin=/sys/fs/bpf/portguard/prog_0_in was

	PORTGUARD_NO_TCX=1 "$PG" attach pgv --mode tc && ln $pin /sys/fs/bpf/kept &&
		"$PG" attach pgv --multiprog && mv /sys/fs/bpf/kept $pin || return
	was=$(xdp_on_pgv)
	"$PG" attach pgv --multiprog && [ "$was" = "$(xdp_on_pgv)" ] # never left: that would be another dispatcher
}

# What libxdp knows of the dispatcher's programs, out of its sight.
hide() { mkdir -p /sys/fs/bpf/hidden && mv /sys/fs/bpf/xdp/dispatch-* /sys/fs/bpf/hidden; }
unhide() { mv /sys/fs/bpf/hidden/* /sys/fs/bpf/xdp; }
stays_joined() {
	hide
	check "multiprog: it can't be left, in words" refuses "cannot leave libxdp's dispatcher: " detach pgv
	check "multiprog: nor for TC" refuses "cannot leave libxdp's dispatcher: " attach pgv --mode tc
	check "multiprog: it is as it was" json status '.interfaces[0] | .mode == "skb" and (.gone | not)'
	unhide
	check "multiprog: both, after that" runs portguard_entry other
}

# A tool that brings the dispatcher of a libxdp before 1.5.5 can't have ours in it, and changes nothing.
older_tool() {
	local id

	id=$(xdp-loader status pgv | awk '$3 == "other" { print $4 }')
	! xdp-loader unload pgv -i "$id" >/dev/null 2>&1 && runs portguard_entry other
}

# Beside another tool's program, each coming and going before the other.
multiprog() {
	local before=$failed joins

	if [ ! -x $OTHER ]; then
		check "multiprog: it is refused by name" refuses "built without libxdp" attach pgv --multiprog
		cell multiprog "$([ $failed = "$before" ] && echo "no, refused by name" || echo no)"
		return
	fi
	check "multiprog: another program" loads
	check "multiprog: attach alone is refused, with words" refuses "use --multiprog" attach pgv --mode skb
	choose_dispatcher
	if [ "$joins" = "no, refused by name" ]; then
		unloads
		cell multiprog "$([ $failed = "$before" ] && echo "$joins" || echo no)"
		return
	fi
	scenario multiprog pgv 10.9.3.1 skb --multiprog
	check "multiprog: the other stays" runs other
	check "multiprog: and drops" dropped 10.9.3.1 8004
	check "multiprog: killed while it joins" killed
	check "multiprog: the next command mends it" "$PG" attach pgv --multiprog
	check "multiprog: both, once" runs portguard_entry other
	check "multiprog: status" json status '.interfaces[0] | .mode == "skb" and (.mode_reason | contains("dispatcher"))'
	check "multiprog: again" "$PG" attach pgv --multiprog
	check "multiprog: programs are replaced in place" "$PG" upgrade --force
	check "multiprog: both still" runs portguard_entry other
	stays_joined
	[ "$joins" = yes ] || [ -z "$(command -v xdp-loader)" ] ||
		check "multiprog: a tool with an older dispatcher fails, and both are there" older_tool
	check "multiprog: from TC, killed, and joined still" killed_after_tc
	check "multiprog: both, after TC" runs portguard_entry other
	"$PG" -A INPUT -p tcp --dport 8001 -j DROP
	check "multiprog: the other's drop" dropped 10.9.3.1 8004
	check "multiprog: ours" dropped 10.9.3.1 8001
	check "multiprog: its counter" json rules '[.chains[] | select(.name == "INPUT").rules[].packets] | .[0] >= 1'
	check "multiprog: the other goes" unloads
	check "multiprog: and leaves us" runs portguard_entry
	check "multiprog: which status knows" json status '.interfaces[0] | .mode == "skb" and (.gone | not)'
	check "multiprog: what it dropped arrives" fetch 10.9.3.1 8004
	check "multiprog: what we drop does not" dropped 10.9.3.1 8001
	check "multiprog: the last one" "$PG" detach --all
	check "multiprog: nothing is left" bash -c "! ip link show pgv | grep -q xdp"
	cell multiprog "$([ $failed = "$before" ] && echo "$joins" || echo no)"
}

# Not of /dev/urandom: the kernel changes the code of that while it boots, which an emulated CPU may not survive.
busybox head -c 2097152 "$PG" >/tmp/file
cell kernel "$(uname -r)"
ip netns add client
in_client ip link set lo up
ip link set eth1 netns client

# Only the one interface that is asked for answers: three lie on one wire.
sysctl -qw net.ipv4.conf.all.arp_ignore=1
ip addr add 10.9.1.1/24 dev eth0
ip addr add 10.9.2.1/24 dev eth2
in_client ip addr add 10.9.1.2/24 dev eth1
in_client ip addr add 10.9.2.2/24 dev eth1
ip link add pgv type veth peer name peer netns client
ip addr add 10.9.3.1/24 dev pgv
in_client ip addr add 10.9.3.2/24 dev peer
for iface in eth0 eth2 pgv; do ip link set "$iface" up; done
for iface in eth1 peer; do in_client ip link set "$iface" up; done


# A kernel that is too old says so, in one line.
if ! "$PG" attach pgv --mode tc >/tmp/out 2>/tmp/err; then
	cat /tmp/err
	check "refused in a line that names what is needed" grep -q 'Linux 6.1 or newer' /tmp/err
	check "and nothing else" test "$(wc -l </tmp/err)" = 1
	cell load "$([ $failed = 0 ] && echo "no, refused by name" || echo no)"
	echo "$passed passed, $failed failed, 0 skipped"
	[ $failed = 0 ]
	exit
fi
cell load yes
cell tc-links "$(tc filter show dev pgv egress | grep -q portguard && echo "no (clsact)" || echo yes)"
# What it lacks is what `status` says.
lacks=$("$PG" status --json | jq -c .kernel_lacks)
cell lacks "$(jq -r 'if . == [] then "nothing" else join(", ") end' <<<"$lacks")"
check "status tells whether it has TCX" test "$(tc filter show dev pgv egress | grep -c portguard | sed 's/^[1-9].*/1/')" = \
	"$(jq 'if index("tcx") then 1 else 0 end' <<<"$lacks")"
check "and so in words" test "$("$PG" status | grep -c 'no TCX')" = "$(jq 'if index("tcx") then 1 else 0 end' <<<"$lacks")"
check "detached before the policy" "$PG" detach --all

# A capture of one datagram, through the programs that replay loads: as an arrival, and as a departure, too.
{
	printf '\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04\0\x01\0\0\0'
	printf '\0\0\0\0\0\0\0\0\x2a\0\0\0\x2a\0\0\0'
	printf '\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0\x45\0\0\x1c\0\0\0\0\x40\x11\xf6\xcd'
	printf '\xc0\0\x02\x01\xc0\0\x02\x02\x9c\x40\0\x35\0\x08\0\0'
} >/tmp/one.pcap
replays() { "$PG" replay /tmp/one.pcap "$@" --verdicts - | awk -F '\t' '$4 == "accept" && $16 == 53 { n++ } END { exit n != 1 }'; }
check "replay" replays
check "replay of departures" replays --local 192.0.2.1

for build in .output/clang-*/portguard; do
	[ -x "$build" ] || continue
	# Its programs need 544 bytes of 512 of stack, as 6.1 counts; only to be told so takes minutes here.
	[[ $(uname -r) != 6.1.* ]] || { cell clang-19 "no (stack)"; continue; }
	PG=$build
	build=${build%/portguard}
	scenario "${build##*/}" pgv 10.9.3.1 tc
done
PG=./portguard
for one in tc native skb $([ ! -e $FOREIGN ] || echo multiprog); do
	case $one in
	tc) scenario veth-tc pgv 10.9.3.1 tc ;;
	native)
		scenario virtio-native eth0 10.9.1.1 native
		queues=$(find /sys/class/net/eth0/queues -name 'rx-*' | wc -l)
		cell queues "$queues"
		;;
	skb) scenario vmxnet3-skb eth2 10.9.2.1 skb ;;
	multiprog) multiprog ;;
	esac
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
