#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# LOG and NFLOG: `portguard log` prints the kernel's own lines for the same frames.
. "$(dirname "$0")/lib.sh"

need jq iptables-legacy ip6tables-legacy dmesg
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
own_bpffs
two_namespaces
# The kernel logs for other namespaces than the first one only when told to; it is told for no longer
# than it takes.
ALL_NETNS=/proc/sys/net/netfilter/nf_log_all_netns
was=$(cat $ALL_NETNS 2>/dev/null) && echo 1 2>/dev/null >$ALL_NETNS || was=
[ -z "$was" ] || trap 'echo "$was" >$ALL_NETNS; finish' EXIT
dmesg >/dev/null 2>&1 || was=

send() {
	in_ns c "$TOOLS/net/send" pgc0 "$@"
}

expect_ok "attach" pg s attach pgs0 --mode tc

# Two rules, without options and with all of them, in both; then every frame. Raw is before what
# the stack drops of its own accord.
FRAMES="r-syn r-ack-data l-tcp-options r-udp l-ip-options l-udplite r-ping r-error r-redirect
	r-unknown-icmp l-need-frag r-esp l-ah l-gre tcp80-later-fragment r6-syn r6-udp r6-ping r6-error
	l6-exts l6-too-big r6-multicast"
OPTIONS="--log-tcp-sequence --log-tcp-options --log-ip-options --log-macdecode"
same_lines() {
	local frame theirs ours i=0 words

	for words in "pg$$-plain: " "pg$$-all: $OPTIONS"; do
		set -- --log-prefix "${words%%: *}: " ${words#*: }
		in_ns s iptables-legacy -w -t raw -A PREROUTING -j LOG "$@"
		in_ns s ip6tables-legacy -w -t raw -A PREROUTING -j LOG "$@"
		pg s -A INPUT -j LOG "$@"
	done
	for frame in $FRAMES; do
		send "$frame"
	done
	sleep 0.3
	mapfile -t theirs < <(dmesg | grep -F "pg$$-" | sed -E 's/^\[ *[0-9.]*\] //; s/ +$//')
	mapfile -t ours < <(pg s log 2>&1 | sed -E 's/^.{15} [^ ]*: //')
	in_ns s iptables-legacy -w -t raw -F PREROUTING
	in_ns s ip6tables-legacy -w -t raw -F PREROUTING
	expect "as many lines" "${#ours[@]}" "${#theirs[@]}"
	for frame in $FRAMES; do
		expect "$frame" "${ours[i]:-}" "${theirs[i]:-}"
		expect "$frame with options" "${ours[i + 1]:-}" "${theirs[i + 1]:-}"
		i=$((i + 2))
	done
	expect "a line for each frame and rule" "${#ours[@]}" "$i"
}

if [ -n "$was" ]; then
	same_lines
else
	skip "the kernel's log cannot be read, or logs nothing of this namespace"
fi

pg s -F INPUT
pg s -A INPUT -p tcp -j LOG --log-prefix "in: " --log-level info
pg s -A INPUT -p udp -j NFLOG --nflog-group 7 \
	--nflog-prefix "a prefix that is as long as NFLOG's may be, which is 63 bytes.."
send tcp80
send udp53
text=$(pg s log)
[[ $text =~ ^[A-Z][a-z]{2}\ [\ 0-9]{2}\ [0-9:]{8}\ [^\ ]+:\ in:\ IN=pgs0\ OUT=\ MAC=02:77 ]] &&
	pass "a line has date, host, prefix and interface" || fail "a line" "$text"
expect "NFLOG has its group and all of its prefix" "$(grep -o '\[nflog 7\].*IN=' <<<"$text")" \
	"[nflog 7] a prefix that is as long as NFLOG's may be, which is 63 bytes..IN="
stamp=$(date -d "$(cut -c1-15 <<<"$text" | head -1)" +%s)
[ $(($(date +%s) - stamp)) -lt 5 ] && pass "and it is now" || fail "the time" "$text"
expect "each is printed once" "$(pg s log)" ""

send tcp80
expect "JSON has the rule and the packet" "$(pg s log --json | jq -c \
	'[.iface, .target, .level, .prefix, .chain, .rule, .src, .sport, .dst, .dport, .proto, .flags, .length]')" \
	'["pgs0","LOG",6,"in: ","INPUT",1,"10.77.0.2",40000,"10.77.0.1",80,"tcp","S",40]'
send udp53
expect "and NFLOG's group" "$(pg s log --json | jq -c '[.target, .group, .rule, .proto, .dport]')" \
	'["NFLOG",7,2,"udp",53]'

pg s log -f -n 3 >"$WORK/followed" &
follower=$!
sleep 0.3
expect_exit "there is one reader" 4 "another .portguard log. is reading" pg s log
send tcp80 3
wait $follower
expect "-f waits, -n ends it" "$(grep -c DPT=80 "$WORK/followed")" 3
expect_exit "-n wants a number" 2 "number of packets" pg s log -n 0
expect_exit "no other words" 2 "Bad argument" pg s log what

# A tag, seen by XDP in the frame and by TC beside it.
for mode in tc skb native; do
	expect_ok "attach, $mode" pg s attach pgs0 --mode $mode
	send tcp80-vlan
	expect "$mode: a tagged frame" "$(pg s log --json | jq -c '[.vlan, .dport]')" '[5,80]'
	send tcp80-ip6
	expect "$mode: IPv6" "$(pg s log --json | jq -c '[.src, .dport]')" '["fd77::2",80]'
done
expect_ok "back to tc" pg s attach pgs0 --mode tc

# Bounded, and what was too much is counted: reported and lost are all there were.
expect "nothing was lost" "$(json s status .log.lost)" 0
before=$(packets s '-p tcp -j LOG --log-prefix "in: " --log-level 6')
send tcp80 20000
reported=$(pg s log 2>"$WORK/lost" | grep -c DPT=80)
lost=$(json s status .log.lost)
expect "all were counted" "$((reported + lost))" \
	"$(($(packets s '-p tcp -j LOG --log-prefix "in: " --log-level 6') - before))"
[ "$reported" -ge 200 ] && [ "$lost" -ge 5000 ] && pass "a flood is bounded" ||
	fail "a flood is bounded" "reported $reported, lost $lost"
expect "the reader is told" "$(grep -c "portguard: $lost events were lost" "$WORK/lost")" 1
expect "so is status" "$(pg s status | grep -c "$lost packets that LOG")" 1

# Whatever a prefix holds in the tables, a terminal is not told to do anything.
expect_exit "a prefix with control characters is refused" 2 "control characters" \
	pg s -A INPUT -j LOG --log-prefix $'a\e[2Jb'
summary
