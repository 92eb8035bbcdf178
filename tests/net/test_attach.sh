#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# attach, detach and status in every mode, and what attach refuses.
. "$(dirname "$0")/lib.sh"

need bpftool ethtool jq nc
own_bpffs
two_namespaces

# Ids of the programs, maps and links of the instance, as "prog 12" lines.
bpf_objects() {
	local pin kind

	find "$STATE" -type f | while read -r pin; do
		for kind in prog map link; do
			bpftool -j $kind show pinned "$pin" 2>/dev/null |
				jq -r "select(.id != null) | \"$kind \\(.id)\""
		done
	done
	json s status ".interfaces[] | .xdp_prog_id, .egress_prog_id | select(. > 0) | \"prog \\(.)\""
}

# Which of them there still are.
bpf_left() {
	local kind id

	while read -r kind id; do
		bpftool $kind show id "$id" >/dev/null 2>&1 && echo "$kind $id"
	done <<<"$1"
}

xdp_id() {
	in_ns s ip -d link show pgs0 | grep -oE 'prog/xdp id [0-9]+' | grep -oE '[0-9]+' | head -1
}

for mode in native skb tc; do
	expect_ok "attach in $mode mode" pg s attach pgs0 --mode $mode
	expect "status names $mode" "$(json s status '.interfaces[0].mode')" $mode
	expect "status names the interface" "$(json s status '.interfaces[0].name')" pgs0
	expect "egress is counted in $mode mode" \
		"$(json s status '.interfaces[0].egress_prog_id > 0')" true
	if [ $mode != tc ]; then
		expect "status has the program's id in $mode mode" \
			"$(json s status '.interfaces[0].xdp_prog_id')" "$(xdp_id)"
	fi
	expect_ok "attaching twice in $mode mode is no error" pg s attach pgs0 --mode $mode
	expect "it is still one interface" "$(json s status '.interfaces | length')" 1
	expect_ok "packets pass in $mode mode" host_answers 99
	expect "and are counted in $mode mode" \
		"$(json s status '.interfaces[0].ingress.packets >= 1')" true
	objects=$(bpf_objects)
	expect "the instance consists of programs, maps and links" \
		"$(cut -d" " -f1 <<<"$objects" | sort -u | xargs)" "link map prog"
	expect_ok "detach in $mode mode" pg s detach pgs0
	expect "nothing is attached after $mode mode" "$(xdp_id)" ""
	expect_ok "detach --all ends the instance" pg s detach --all
	expect "nothing is pinned after $mode mode" "$(find "$STATE" 2>/dev/null | wc -l)" 0
	# The kernel frees what is left after a grace period.
	wait_for "the kernel to free all of it" eval '[ -z "$(bpf_left "$objects")" ]' &&
		pass "no program, map or link is left after $mode mode"
done

expect_ok "attach changes the mode" pg s attach pgs0 --mode native
expect_ok "attach in another mode" pg s attach pgs0 --mode skb
expect "the mode is the new one" "$(json s status '.interfaces[0].mode')" skb
expect_ok "auto chooses a mode" pg s attach pgs0 --mode auto
expect "and says why" "$(json s status '.interfaces[0].mode_reason | length > 0')" true
pg s detach --all

expect_ok "attach without egress" pg s attach pgs0 --mode native --no-egress
expect "there is no egress program" "$(json s status '.interfaces[0].egress_prog_id // 0')" 0
pg s detach --all

expect_ok "room for a million flows" pg s attach pgs0 --mode skb --flows 1000000
expect "so many" "$(json s status '.flows.capacity')" 1048576
expect_exit "an instance does not grow" 1 'made for 1048576 flows' \
	pg s attach pgs0 --mode skb --flows 1000
expect_exit "not so many" 2 'a number from 1 to 16777216' pg s attach pgs0 --flows 100000000
pg s detach --all
expect_exit "an interface that does not exist" 1 'nosuch0' pg s attach nosuch0
expect "is not half attached" "$(find "$STATE" 2>/dev/null | wc -l)" 0
expect_exit "one of two does not exist: neither is attached" 1 'nosuch0' \
	pg s attach pgs0 nosuch0 --mode native
expect "the other is free" "$(xdp_id)" ""
expect_exit "a mode that does not exist" 2 'turbo' pg s attach pgs0 --mode turbo
expect_exit "an interface name with control characters" 1 '^[[:print:]]*$' \
	pg s attach $'pgs0\e[31m'
expect_exit "detach of what is not attached" 1 'pgs0' pg s detach pgs0

# Large frames: what native XDP can't take without a multi-buffer program or driver.
in_ns s ip link set pgs0 mtu 9000
in_ns c ip link set pgc0 mtu 9000
if err=$(pg s attach pgs0 --mode native 2>&1); then
	expect_ok "jumbo frames pass in native mode" carry 5001 500000
	expect "and are counted whole" \
		"$(json s ports '[.ports[] | select(.port==5001)][0].in | .bytes > 500000 and
			.bytes / .packets > 2000')" true
else
	[[ $err =~ MTU ]] && pass "a large MTU is refused by name" || fail "a large MTU" "$err"
fi
pg s detach --all
in_ns s ip link set pgs0 mtu 1500
in_ns c ip link set pgc0 mtu 1500

# Without privileges: exit 4, nothing changed.
if command -v setpriv >/dev/null; then
	chmod 755 "$WORK"
	cp "$PORTGUARD" "$WORK/portguard"
	expect_exit "attach without privileges" 4 '.' in_ns s setpriv --reuid 65534 --regid 65534 \
		--clear-groups --inh-caps=-all --bounding-set=-all "$WORK/portguard" \
		--state "$STATE" attach pgs0
	expect "attached nothing" "$(xdp_id)" ""
	expect_ok "attach for real" pg s attach pgs0 --mode native
	expect_exit "-A without privileges" 4 '.' in_ns s setpriv --reuid 65534 --regid 65534 \
		--clear-groups --inh-caps=-all --bounding-set=-all "$WORK/portguard" \
		--state "$STATE" -A INPUT -j DROP
	expect "changed nothing" "$(pg s -S INPUT)" "-P INPUT ACCEPT"
	pg s detach --all
else
	skip "setpriv is not installed"
fi

# Somebody else's program is in place: refused with its name and id, and left alone.
if command -v xdp-filter >/dev/null && in_ns s xdp-filter load -m skb pgs0 >/dev/null 2>&1; then
	foreign=$(xdp_id)
	expect_exit "a foreign XDP program is refused with its id" 1 "$foreign" \
		pg s attach pgs0 --mode skb
	name=$(bpftool prog show id "$foreign" | grep -oE 'name [^ ]+' | cut -d' ' -f2)
	expect_exit "and with its name" 1 "$name" pg s attach pgs0 --mode skb
	expect "it is still there" "$(xdp_id)" "$foreign"
	expect_exit "auto does not go around it" 1 "$foreign" pg s attach pgs0
	in_ns s xdp-filter unload --all >/dev/null 2>&1
else
	skip "no xdp-filter that loads here: a foreign program is not tested"
fi

# The filter needs no process, and no second look at the pins.
expect_ok "attach" pg s attach pgs0 --mode native
expect_ok "a rule" pg s -A INPUT -p udp --dport 9 -j DROP
expect "no process of portguard's is left" "$(pgrep -f "^$PORTGUARD --state $STATE" | wc -l)" 0
expect_ok "a datagram" in_ns c bash -c 'echo x >/dev/udp/10.77.0.1/9'
wait_for "the drop" eval '[ "$(packets s "-p udp -m udp --dport 9 -j DROP")" = 1 ]' &&
	pass "the filter works without a process"

# Another of the same name takes the place of one that is gone.
in_ns s ip link add pgd0 type veth peer name pgd1
expect_ok "attach" pg s attach pgd0 --mode tc
in_ns s ip link del pgd0
in_ns s ip link add pgd0 type veth peer name pgd1
expect "attach of the new one says what it is" "$(pg s attach pgd0 --mode tc)" \
	"pgd0: attached, mode tc (asked for)"
expect "it is there once, and not gone" \
	"$(json s status '[.interfaces[] | select(.name == "pgd0") | .gone // false] | join(" ")')" false
expect_ok "detach" pg s detach pgd0

# An interface that goes takes its filter along; status says so and detach cleans up.
in_ns s ip link del pgs0
expect_ok "status after the interface went" pg s status
expect_ok "detach --all after the interface went" pg s detach --all
summary
