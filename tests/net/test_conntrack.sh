#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# -m conntrack beyond --ctstate, and -m connbytes: real connections of the server, counted by the same
# rules of iptables-legacy and of portguard.
. "$(dirname "$0")/lib.sh"

need iptables-legacy-restore ip6tables-legacy-restore nc ping
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
own_bpffs
two_namespaces
in_ns s iptables-legacy -A INPUT -m conntrack --ctdir ORIGINAL 2>/dev/null ||
	skip_all "this kernel has no conntrack"
expect_ok "attach" pg s attach pgs0 --mode tc

addresses() { # 4|6: the server's and the client's
	[ "$1" = 4 ] && echo 10.77.0.1 10.77.0.2 10.77.0.0/24 || echo fd77::1 fd77::2 fd77::/16
}

questions() { # 4|6
	local us them net side bits

	read -r us them net < <(addresses "$1")
	for bits in tcp udp icmp 58 47; do
		echo "--ctproto $bits"
		echo "! --ctproto $bits --ctdir REPLY"
	done
	for side in origsrc origdst replsrc repldst; do
		printf '%s\n' "--ct$side $us" "--ct$side $them" "! --ct$side $us" "--ct$side $net" \
			"--ct$side $them --ctdir ORIGINAL" "! --ct$side $net --ctstate INVALID,NEW"
		printf '%s\n' "--ct${side}port 1001" "--ct${side}port 1000:1099" "! --ct${side}port 1002" \
			"--ct${side}port 0:2000 --ctstate ESTABLISHED" "--ct${side}port 2048" \
			"--ct${side}port 0:255" "--ct${side}port 32768:33279"
	done
	for bits in NONE SEEN_REPLY ASSURED CONFIRMED EXPECTED SEEN_REPLY,ASSURED; do
		printf '%s\n' "--ctstatus $bits" "! --ctstatus $bits" "--ctstatus $bits --ctstate RELATED" \
			"--ctstatus $bits --ctdir REPLY"
	done
	printf '%s\n' "--ctdir ORIGINAL" "--ctdir REPLY" "--ctstate INVALID --ctproto tcp" \
		"--ctstate RELATED --ctdir ORIGINAL" "--ctstate RELATED --ctdir REPLY" \
		"! --ctstate INVALID --ctorigsrcport 1" "--ctstate NEW --ctstatus CONFIRMED"
	# What the kernel knows to be unacknowledged it keeps for five minutes: flow.bpf.h doesn't know.
	for bits in 0 1:31 29:30 58:60 61:118 119:120 121:432000 10; do
		printf '%s\n' "--ctexpire $bits" "! --ctexpire $bits --ctproto tcp"
	done
}

volumes() {
	local dir mode n

	for dir in original reply both; do
		for mode in packets bytes avgpkt; do
			for n in 0 1 2:3 4 60:120 '! 2:3' 1000: 0:0 '! 0:84' 3000:5000; do
				echo "$([[ $n = !* ]] && echo !) --connbytes ${n#! } --connbytes-dir $dir --connbytes-mode $mode"
			done
		done
	done
}

rules() { # 4|6
	echo '*filter'
	questions "$1" | sed 's/^/-A INPUT -i pgs0 -m conntrack /'
	volumes | sed 's/^/-A INPUT -i pgs0 -m connbytes /'
	echo COMMIT
}

# "PACKETS NUMBER", by the rules' order
answers() {
	sed -nE 's/^\[([0-9]*):[0-9]*\] -A INPUT .*/\1/p' | nl | sed 's/^ *//'
}

compare() { # WHAT 4|6
	local tool=iptables-legacy-save last=

	[ "$2" = 4 ] || tool=ip6tables-legacy-save
	until in_ns s $tool -c -t filter | answers >"$WORK/kernel" && [ "$last" = "$(cat "$WORK/kernel")" ]; do
		last=$(cat "$WORK/kernel")
		sleep 0.3
	done
	pg s save -c "-$2" | answers >"$WORK/ours"
	if cmp -s "$WORK/kernel" "$WORK/ours" && grep -qv '	0$' "$WORK/ours"; then
		pass "$1"
	else
		fail "$1" "$(diff "$WORK/kernel" "$WORK/ours" | sed -nE 's/^([<>]) ([0-9]*)\t(.*)/\1 \2 \3/p' |
			while read -r side n count; do
				echo "$side $count: $(sed -n "$((n + 1))s/-A INPUT -i pgs0 -m //p" "$WORK/rules")"
			done | head -n 12)"
	fi
}

begin() { # 4|6
	rules "$1" >"$WORK/rules"
	pg s -F INPUT
	pg s restore "-$1" "$WORK/rules" || fail "portguard refuses"
	in_ns s "$([ "$1" = 4 ] && echo iptables || echo ip6tables)-legacy-restore" <"$WORK/rules" ||
		fail "iptables refuses"
}

# No more than a segment holds: of the kernel's own super-packets each is one packet to it.
# transfer FROM TO ADDRESS PORT: FROM opens, sends, gets an answer. On one CPU: of two FINs that cross, the
# kernel behind the one hook and we behind the other would see another first.
cpu=$(taskset -pc $$ | sed 's/.*: //; s/[-,].*//')
transfer() {
	local server

	head -c 1300 /dev/zero | in_ns "$2" taskset -c "$cpu" timeout 10 nc -N -l "$3" "$4" >/dev/null &
	server=$!
	wait_for "a server on $4" listening "$2" tcp "$4"
	head -c 700 /dev/zero | in_ns "$1" taskset -c "$cpu" timeout 10 nc -N "$3" "$4" >/dev/null
	wait $server
}

for family in 4 6; do
	read -r us them net < <(addresses $family)
	begin $family
	transfer c s "$us" 1001
	compare "IPv$family, a connection to the server" $family
	transfer s c "$them" 1002
	compare "IPv$family, a connection from the server" $family
	in_ns c timeout 2 bash -c "exec 3<>/dev/tcp/$us/1003" 2>/dev/null
	in_ns s timeout 2 bash -c "exec 3<>/dev/tcp/$them/1004" 2>/dev/null
	compare "IPv$family, connections that are refused" $family
	in_ns c ping -qc 2 -i 0.2 "$us" >/dev/null
	in_ns s ping -qc 2 -i 0.2 "$them" >/dev/null
	compare "IPv$family, ping" $family
	in_ns s timeout 5 nc -u -l "$us" 1010 >/dev/null </dev/null &
	sleep 0.3
	(echo one && sleep 0.3 && echo two && sleep 0.3) | in_ns c timeout 3 nc -u -w 1 -p 1011 "$us" 1010 >/dev/null
	echo three | in_ns s timeout 2 nc -u -w 1 "$them" 1012 >/dev/null # is answered by an error
	compare "IPv$family, UDP and errors" $family
done

for frame in echo-reply-ip6 neighbour-ip6 stray-error-ip6; do
	in_ns c "$TOOLS/net/send" pgc0 $frame
done
compare "crafted frames of IPv6" 6
begin 4
for frame in ack syn-ack rst xmas null echo-reply timestamp stray-error esp tcp-cut dccp tcp80 ack rst; do
	in_ns c "$TOOLS/net/send" pgc0 $frame
done
compare "crafted frames of IPv4" 4
summary
