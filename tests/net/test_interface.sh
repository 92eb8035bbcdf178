#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What happens to interfaces: they change their MTU, move to another network namespace, get programs of
# other tools, and have names that are meant for terminals.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/serve.sh"

need jq curl
[ -x "$TOOLS/net/send" ] || skip_all "not built: $TOOLS/net/send"
own_bpffs
two_namespaces
ip netns add "$PREFIX-x"
RULE='-p tcp -m tcp --dport 80 -j DROP'

of() {
	json "${2:-s}" status ".interfaces[0].$1"
}

# filters WHAT NS: a SYN from pgc1 is counted by the rule once
filters() {
	local before=$(packets "$2" "$RULE")

	in_ns c "$TOOLS/net/send" pgc1 tcp80 3
	wait_for "$1: packets" eval '[ "$(packets '"$2"' "$RULE")" -ge '$((before + 3))' ]'
	expect "$1: each packet once" "$(($(packets "$2" "$RULE") - before))" 3
}

link_is_up() {
	in_ns "$1" ip link set pgs1 up
	in_ns c ip link set pgc1 up
	wait_for "link" in_ns c sh -c 'ip link show pgc1 | grep -q LOWER_UP'
}

for mode in tc native; do
	ip link add pgs1 netns "$PREFIX-s" address 02:77:00:00:00:01 type veth \
		peer name pgc1 netns "$PREFIX-c" address 02:77:00:00:00:02
	link_is_up s
	expect_ok "$mode: attach" pg s attach pgs1 --mode $mode
	expect_ok "$mode: a rule" pg s -A INPUT $RULE
	filters "$mode: attached" s
	prog=$(of xdp_prog_id)

	# Where the driver refuses the size for its program's sake, it says so and all stays as it is.
	in_ns s ip link set pgs1 mtu 1280 && filters "$mode: a smaller MTU" s
	in_ns c ip link set pgc1 mtu 9000 2>/dev/null
	in_ns s ip link set pgs1 mtu 9000 2>/dev/null
	filters "$mode: a larger MTU, or not" s
	expect "$mode: it is the same program" "$(of xdp_prog_id)" "$prog"

	in_ns s ip link set pgs1 netns "$PREFIX-x"
	link_is_up x
	if [ "$(of gone)" = false ]; then
		filters "$mode: moved" s
		expect "$mode: status knows that it moved" "$(of moved)" true
		[[ $(pg s status) =~ MOVED ]] && pass "$mode: and says so" ||
			fail "$mode: and says so" "$(pg s status)"
	else # as in kernels whose TC ends with the namespace
		[[ $(pg s status) =~ GONE ]] && pass "$mode: status says that it is gone" ||
			fail "$mode: status says that it is gone" "$(pg s status)"
	fi
	expect_ok "$mode: attach it where it is now" pg x attach pgs1 --mode $mode
	filters "$mode: attached there" x
	expect "$mode: it is here now" "$(of here x) $(of moved x) $(of gone x)" "true false false"
	expect_ok "$mode: rules with its name hold" pg x -I INPUT -i pgs1 $RULE
	in_ns c "$TOOLS/net/send" pgc1 tcp80 2
	wait_for "$mode: the rule with its name" eval '[ "$(packets x "-i pgs1 $RULE")" = 2 ]' &&
		pass "$mode: by name"
	expect_ok "$mode: detach there" pg x detach pgs1
	expect_ok "$mode: all of it" pg x detach --all
	in_ns x ip link del pgs1
done

# Other tools. An XDP link can't be replaced by who does not own it; TC takes several.
ip link add pgs1 netns "$PREFIX-s" type veth peer name pgc1 netns "$PREFIX-c"
link_is_up s
expect_ok "attach" pg s attach pgs1 --mode native
prog=$(of xdp_prog_id)
expect_fail "ip link can't take it off" in_ns s ip link set pgs1 xdp off
command -v xdp-filter >/dev/null &&
	expect_fail "another tool can't take its place" in_ns s xdp-filter load pgs1
expect "it is where it was" "$(of xdp_prog_id) $(of gone)" "$prog false"
if command -v tc >/dev/null; then
	in_ns s tc qdisc add dev pgs1 clsact
	in_ns s tc filter add dev pgs1 ingress prio 1 matchall action ok 2>/dev/null
	expect_ok "a filter of another's in TC" pg s attach pgs1 --mode tc
	in_ns s tc qdisc del dev pgs1 clsact
	expect "status is as it was without it" "$(of mode) $(of gone)" "tc false"
fi
id=$(bpftool -j link list 2>/dev/null | jq "[.[] | select(.prog_id == $(of xdp_prog_id))][0].id // 0")
if [ "$id" -gt 0 ] && bpftool link detach id "$id" 2>/dev/null; then
	expect "a program that another took off is missed" "$(of gone)" true
	[[ $(pg s status) =~ "removed from outside" ]] && pass "status says so" || fail "status says so"
	expect_ok "attach again" pg s attach pgs1 --mode tc
	expect "it is there again" "$(of gone)" false
else
	skip "no bpftool that detaches links: a program taken off from outside is not tested"
fi
expect_ok "detach" pg s detach --all

# One that is gone with its network namespace.
ip netns add "$PREFIX-y"
ip link add pgy0 netns "$PREFIX-y" type veth peer name pgy1 netns "$PREFIX-c"
expect_ok "attach in a namespace" pg y attach pgy0 --mode tc
ip netns del "$PREFIX-y"
wait_for "the interface to go" eval '[[ $(pg s status) =~ GONE ]]'
expect_ok "what went with its namespace is detached" pg s detach pgy0
expect "and no more in status" "$(json s status '[.interfaces[] | select(.name == "pgy0")] | length')" 0
expect_ok "all of it" pg s detach --all

# libxdp's dispatcher, of which XDP programs of several tools are parts.
dispatcher=$(ls /usr/lib/*/bpf/xdp-dispatcher.o /usr/lib*/bpf/xdp-dispatcher.o 2>/dev/null | head -1)
if [ -n "$dispatcher" ] &&
	bpftool prog load "$dispatcher" /sys/fs/bpf/dispatcher type xdp 2>/dev/null &&
	in_ns s ip link set pgs1 xdpgeneric pinned /sys/fs/bpf/dispatcher 2>/dev/null; then
	expect_exit "libxdp's dispatcher is told by name" 1 "libxdp's dispatcher.*--multiprog.*--mode tc" \
		pg s attach pgs1 --mode skb
	expect_ok "TC runs behind it" pg s attach pgs1 --mode tc
	expect_ok "detach" pg s detach --all
	in_ns s ip link set pgs1 xdpgeneric off
	expect_ok "without it there is room" pg s attach pgs1 --mode skb
	expect_ok "detach" pg s detach --all
else
	skip "libxdp's dispatcher is not installed, or does not load here"
fi
rm -f /sys/fs/bpf/dispatcher

# Another tool's program stays where ours can't take its place, and goes where it can.
other="$TOOLS/vm/other.bpf.o"
xdp_on() { in_ns s ip -o link show "$1" | grep -o 'name other' || echo none; }
if [ -e "$other" ] && bpftool prog load "$other" /sys/fs/bpf/other type xdp 2>/dev/null &&
	in_ns s ip link set pgs1 xdpgeneric pinned /sys/fs/bpf/other 2>/dev/null; then
	expect_exit "another program is not replaced unasked" 1 "another XDP program.*--force" \
		pg s attach pgs1 --mode skb
	if pg s attach pgs1 --multiprog --force >/dev/null 2>&1; then
		expect_ok "detach" pg s detach --all
		in_ns s ip link set pgs1 xdpgeneric pinned /sys/fs/bpf/other
	else
		expect "it stays where no dispatcher can be joined" "$(xdp_on pgs1)" "name other"
	fi
	# A driver that takes no native program.
	in_ns s ip link add pgd1 type bridge
	in_ns s ip link set pgd1 xdpgeneric pinned /sys/fs/bpf/other
	expect_exit "native mode is refused by name" 1 "native XDP refused" pg s attach pgd1 --mode native --force
	expect "what it was to replace is back" "$(xdp_on pgd1)" "name other"
	in_ns s ip link del pgd1
	expect_ok "--force replaces it" pg s attach pgs1 --mode skb --force
	expect "and ours is there" "$(of mode) $(xdp_on pgs1)" "skb none"
	expect_ok "detach" pg s detach --all
else
	skip "no other tool's XDP program: --force is not tested"
fi
rm -f /sys/fs/bpf/other

# As one of the dispatcher's programs (tests/vm/e2e.sh has others beside it), or why not.
if pg s attach pgs1 --multiprog >/dev/null 2>&1; then
	[[ $(pg s status) =~ "libxdp's dispatcher" ]] && pass "--multiprog" || fail "--multiprog"
	expect_exit "--multiprog is left first" 1 "detach it first" pg s attach pgs1 --mode native
	expect_ok "detach" pg s detach --all
else
	expect_exit "--multiprog says why it cannot" 1 "(can't replace functions|libxdp).*--mode tc" \
		pg s attach pgs1 --multiprog
fi
expect "and no program is left" "$(in_ns s ip link show pgs1 | grep -c xdp)" 0
expect_exit "--multiprog is not TC's" 2 "about XDP" pg s attach pgs1 --multiprog --mode tc

# A name that a terminal would obey: it is shown, and nothing else. 0xff is no UTF-8.
evil=$'e\e[31m\xc2\x9bJ"<\xff'
if in_ns s ip link set pgs1 down && in_ns s ip link set pgs1 name "$evil" 2>/dev/null; then
	in_ns s ip link set "$evil" up
	{
		pg s attach "$evil" --mode tc
		pg s -A INPUT -m comment --comment $'a "b" \\ <c>' -p udp -j LOG --log-prefix '<b>"'
		pg s status && pg s status --json
		timeout 60 nsenter --net="/run/netns/$PREFIX-s" "$PORTGUARD" --state "$STATE" log --follow >"$WORK/log" 2>&1 &
		log_pid=$!
		pg s -A INPUT -i "$evil" -j DROP
		in_ns c "$TOOLS/net/send" pgc1 udp53 3
		wait_for "logged" grep -q 'IN=e' "$WORK/log"
		kill $log_pid
		cat "$WORK/log"
		pg s status --json >"$WORK/status" && pg s rules --json >"$WORK/rules"
		pg s drops --json >"$WORK/drops"
		for command in save -S "-L -v" ports rules flows "rules --json" "flows --json" drops "drops --last 5 --json" \
			doctor "doctor --json" listening learn "learn --json" upgrade; do
			# shellcheck disable=SC2086
			pg s $command
		done
		pg s test -p udp --dport 53 -i "$evil"
		pg s test -p udp --dport 53 -i "$evil"x
		pg s drops -i "$evil" && pg s drops -i "$evil"x
		for view in overview ports rules flows drops; do
			pg s top $view --batch -n 1 --size 160x40
		done
	} >"$WORK/shown" 2>&1
	start_serve --listen 127.0.0.1:0
	for path in /metrics /api/v1/status /api/v1/drops /api/v1/ports /api/v1/rules; do
		in_ns s curl -sS --max-time 20 "$url$path"
		echo
	done >>"$WORK/shown"
	expect "metrics have it once a series" "$(in_ns s curl -sS --max-time 20 "$url/metrics" |
		grep -c '^portguard_interface_attached')" 1
	in_ns s timeout 20 curl -sN "$url/api/v1/stream" | head -n 1 >>"$WORK/shown"
	stop_serve
	{
		pg s detach "$evil" && pg s attach "$evil"x
	} >>"$WORK/shown" 2>&1
	expect "all of it was shown" "$([ "$(wc -l <"$WORK/shown")" -gt 30 ] && echo yes)" yes
	expect "no control character was" \
		"$(LC_ALL=C grep -nP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xff' "$WORK/shown" | cat -v)" ""
	expect "JSON has its printable part" "$(jq -r '.interfaces[0].name' "$WORK/status")" 'e?[31m?J"<?'
	expect_ok "rules as JSON are JSON" jq . "$WORK/rules"
else
	skip "this kernel takes no such names"
fi
summary
