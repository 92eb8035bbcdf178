#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The state directory: portguard mounts a bpffs where there is none, and finds the one that lasts
# where it is hidden.
. "$(dirname "$0")/lib.sh"

need jq
two_namespaces
STATE=/sys/fs/bpf/$PREFIX

# `ip netns exec` mounts a fresh sysfs, which hides the bpffs, and its mounts end with the command.
hidden() {
	ip netns exec "$PREFIX-s" "$PORTGUARD" --state "$STATE" "$@"
}

# A directory of the user's own, which is in no bpffs yet.
STATE=$WORK/state
expect_ok "status without bpffs is no error" pg s status
expect_ok "attach without bpffs" pg s attach pgs0 --mode native
expect "mounts one" "$(stat -f -c %T "$STATE")" bpf_fs
expect_ok "a rule" pg s -A INPUT -p tcp --dport 80 -j DROP
expect "is there for the next command" "$(pg s -S INPUT | tail -1)" \
	"-A INPUT -p tcp -m tcp --dport 80 -j DROP"
expect_ok "detach --all" pg s detach --all
umount "$STATE" 2>/dev/null

# The usual place.
STATE=/sys/fs/bpf/$PREFIX
expect_ok "attach under ip netns exec" hidden attach pgs0 --mode native
expect_ok "a rule under ip netns exec" hidden -A INPUT -p tcp --dport 81 -j DROP
expect "is there for the next command" "$(hidden -S INPUT | tail -1)" \
	"-A INPUT -p tcp -m tcp --dport 81 -j DROP"
expect "and the program is attached" \
	"$(hidden status --json | jq '.interfaces[0].xdp_prog_id > 0')" true
expect_ok "detach --all under ip netns exec" hidden detach --all
expect "nothing is attached any more" "$(in_ns s ip link show pgs0 | grep -c prog/xdp)" 0
summary
