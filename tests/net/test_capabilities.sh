#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are enough for a user with a state directory of its own, and
# nothing there can be read by anybody else.
. "$(dirname "$0")/lib.sh"

need setpriv jq
own_bpffs
two_namespaces
CAPS=+bpf,+net_admin,+perfmon
mkdir -m 711 /sys/fs/bpf/$PREFIX && mkdir -m 700 /sys/fs/bpf/$PREFIX/own
chown 65534 /sys/fs/bpf/$PREFIX/own
STATE=/sys/fs/bpf/$PREFIX/own/state
cp "$PORTGUARD" "$WORK/portguard" && chmod 755 "$WORK" "$WORK/portguard"

# as UID CAPABILITIES COMMAND…
as() {
	local uid=$1 caps=$2
	shift 2
	in_ns s setpriv --reuid "$uid" --regid "$uid" --clear-groups --no-new-privs --bounding-set "-all,$caps" \
		--inh-caps "-all,$caps" --ambient-caps "-all,$caps" "$WORK/portguard" --state "$STATE" "$@"
}
user() {
	as 65534 "$CAPS" "$@"
}
as 65534 "$CAPS" --help >/dev/null 2>&1 || skip_all "setpriv can't give capabilities here"

for mode in tc native; do
	expect_ok "$mode: attach" user attach pgs0 --mode $mode
	expect_ok "$mode: a rule" user -A INPUT -p udp --dport 9 -j DROP
	expect_ok "$mode: states" user -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
	expect_ok "$mode: a set" user set create bad hash:ip
	expect_ok "$mode: an entry" user set add bad 192.0.2.1
	expect_ok "$mode: a rule with it" user -A INPUT -m set --match-set bad src -j DROP
	expect_ok "$mode: a datagram" in_ns c bash -c 'echo x >/dev/udp/10.77.0.1/9'
	wait_for "the drop" eval '[ "$(user ports --json |
		jq "[.ports[] | select(.port == 9)][0].in.dropped")" = 1 ]' && pass "$mode: ports"
	for command in status flows states reasons rules save "set list" "test -p udp --dport 9"; do
		# shellcheck disable=SC2086
		expect_ok "$mode: $command" user $command
	done
	expect_ok "$mode: upgrade" user upgrade --force
	expect "$mode: only the owner has rights" "$(find /sys/fs/bpf/$PREFIX/own -perm /077)" ""
	expect "$mode: another user sees nothing" \
		"$(as 65533 "$CAPS" save 2>&1 | grep -c 'Permission denied')" 1
	expect_exit "$mode: a user without capabilities is told" 4 "Permission denied" as 65534 -bpf \
		-A INPUT -j DROP
	expect_ok "$mode: detach" user detach pgs0
	expect_ok "$mode: all of it" user detach --all
done

# Nothing may be locked in memory, and the limit cannot be raised: kernels from 5.11 on do not ask it.
expect_ok "no RLIMIT_MEMLOCK: attach" in_ns s bash -c 'ulimit -l 0 && exec setpriv --bounding-set -sys_resource \
	--inh-caps -all "$@"' bash "$PORTGUARD" --state "$STATE" attach pgs0 --mode tc
expect_ok "no RLIMIT_MEMLOCK: a set, a rule" in_ns s bash -c 'ulimit -l 0 && exec setpriv --bounding-set -sys_resource \
	--inh-caps -all "$@"' bash "$PORTGUARD" --state "$STATE" -A INPUT -p udp --dport 9 -j DROP
expect_ok "no RLIMIT_MEMLOCK: detach" pg s detach --all

# Each of them is needed, or the message would be wrong that says so.
for without in bpf net_admin; do
	left=$(tr , '\n' <<<"$CAPS" | grep -v "$without" | paste -sd,)
	expect_exit "without CAP_${without^^}" 4 "Permission denied" as 65534 "$left" attach pgs0 --mode tc
	expect "and nothing is left" "$(ls -A "$STATE" 2>/dev/null)" ""
done

# A program that the verifier refuses: without CAP_PERFMON it looks at pointers as at secrets.
left=+bpf,+net_admin
expect_exit "without CAP_PERFMON" 4 "CAP_PERFMON is missing.*attach -v" as 65534 "$left" attach pgs0 --mode tc
as 65534 "$left" attach pgs0 --mode tc 2>"$WORK/err"
expect "in one line" "$(wc -l <"$WORK/err")" 1
as 65534 "$left" attach pgs0 --mode tc -v 2>"$WORK/err"
expect "-v: the end of the log" "$(grep -c '^processed [0-9]* insns' "$WORK/err")" 1
expect "-v: no more than that" "$(($(wc -l <"$WORK/err") < 60))" 1
expect "and nothing is left" "$(ls -A "$STATE" 2>/dev/null)" ""
summary
