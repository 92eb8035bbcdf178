# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Sandbox and assertions for tests with real interfaces; sourced by each test_*.sh as its first act.
#
# A test runs in a mount namespace of its own with a bpffs and a /run/netns of its own, so that neither
# a failed test nor the same test of another checkout nor the machine's portguard is ever in its way.
# Its network namespaces are pg-t-<name>-*; they are removed before and after, also on signals. Exit 0: all passed, 1: something failed, 77: skipped.
# The last line is always "N passed, N failed, N skipped".
set -u -o pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
NAME=$(basename "$0" .sh)
NAME=${NAME#test_}
PREFIX=pg-t-$NAME
PORTGUARD=${PORTGUARD:-$ROOT/portguard}
TOOLS=$ROOT/.output/tests

passed=0 failed=0 skipped=0

summary() {
	echo "$passed passed, $failed failed, $skipped skipped"
}

# Why the whole test can't run here.
skip_all() {
	echo "skip: $NAME: $1"
	skipped=$((skipped + 1))
	summary
	exit 77
}

if [ -z "${PG_SANDBOX:-}" ]; then
	[ "$(id -u)" = 0 ] || skip_all "needs root"
	unshare -m true 2>/dev/null || skip_all "no mount namespaces here"
	# timeout bounds it; KILL follows where the cleanup hangs too.
	PG_SANDBOX=1 exec timeout -k 10 "${PG_TEST_TIMEOUT:-400}" \
		unshare -m --propagation private bash "$0" "$@"
fi

mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns || skip_all "cannot mount a tmpfs"
WORK=$(mktemp -d "${TMPDIR:-/tmp}/$PREFIX.XXXXXX")
export XTABLES_LOCKFILE=$WORK/xtables.lock # not the machine's
export PORTGUARD_CONFIG= # nor its configuration

sandbox_clean() {
	local ns pid

	for ns in /run/netns/"$PREFIX"-*; do
		[ -e "$ns" ] || continue
		for pid in $(ip netns pids "$(basename "$ns")" 2>/dev/null); do
			kill -KILL "$pid" 2>/dev/null
		done
		ip netns del "$(basename "$ns")" 2>/dev/null || rm -f "$ns"
	done
}

finish() {
	local rc=$?

	trap - EXIT
	sandbox_clean
	umount -l "$WORK"/state 2>/dev/null # test_bpffs: one of portguard's own
	rm -rf --one-file-system "$WORK"
	[ $rc = 0 ] && [ "$failed" -gt 0 ] && rc=1
	exit $rc
}
trap finish EXIT
trap 'echo "interrupted"; exit 1' INT TERM HUP
sandbox_clean

# A bpffs of the test's own, hidden again when the mount namespace ends.
own_bpffs() {
	mount -t bpf bpf /sys/fs/bpf || skip_all "cannot mount bpffs"
	STATE=/sys/fs/bpf/$PREFIX
}

need() {
	local tool

	for tool in "$@"; do
		command -v "$tool" >/dev/null && continue
		[ -n "${PG_DEPS_DONE:-}" ] || skip_all "$tool is not installed"
		fail "$tool is there" "make deps has not installed it"
		summary
		exit 1
	done
}

pass() {
	passed=$((passed + 1))
	[ -z "${V:-}" ] || echo "ok: $1"
}

fail() {
	failed=$((failed + 1))
	echo "FAILED: $NAME: $1"
	shift
	[ $# = 0 ] || printf '    %s\n' "$@"
}

skip() {
	skipped=$((skipped + 1))
	echo "skip: $NAME: $1"
}

# expect WHAT GOT WANTED
expect() {
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		fail "$1" "got:    $2" "wanted: $3"
	fi
}

# expect_ok WHAT COMMAND…
expect_ok() {
	local what=$1 out
	shift
	if out=$("$@" 2>&1); then
		pass "$what"
	else
		fail "$what" "exit $?: $*" "$out"
	fi
}

# expect_exit WHAT CODE PATTERN COMMAND…: exit code, and stderr matches (an extended regex)
expect_exit() {
	local what=$1 code=$2 pattern=$3 err rc
	shift 3
	err=$("$@" 2>&1 >/dev/null)
	rc=$?
	if [ $rc = "$code" ] && [[ $err =~ $pattern ]] && [ "$(wc -l <<<"$err")" -le 3 ]; then
		pass "$what"
	else
		fail "$what" "exit $rc, wanted $code; message: $err" "wanted: $pattern"
	fi
}

# expect_fail WHAT COMMAND…
expect_fail() {
	local what=$1
	shift
	if "$@" >/dev/null 2>&1; then
		fail "$what" "succeeded: $*"
	else
		pass "$what"
	fi
}

# in_ns NS COMMAND… — nsenter, because `ip netns exec` hides the bpffs.
in_ns() {
	local ns=$PREFIX-$1
	shift
	nsenter --net="/run/netns/$ns" "$@"
}

# pg NS ARGUMENTS…: portguard there, with the test's state
pg() {
	local ns=$1
	shift
	in_ns "$ns" "$PORTGUARD" --state "$STATE" "$@"
}

# Two namespaces: `s` with pgs0 (10.77.0.1, fd77::1), `c` with pgc0 (10.77.0.2, fd77::2).
# Neighbours are fixed, so that the only frames are the test's own; offloads are off, so that every
# counter on the way counts what the wire would carry.
two_namespaces() {
	local mac_s=02:77:00:00:00:01 mac_c=02:77:00:00:00:02 ns

	ip netns add "$PREFIX-s" && ip netns add "$PREFIX-c" || skip_all "no network namespaces here"
	for ns in s c; do
		in_ns $ns sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
			net.ipv6.conf.default.router_solicitations=0 \
			net.ipv6.conf.default.addr_gen_mode=1
		in_ns $ns ip link set lo up
		# What IPv6 says of its own accord (multicast reports) would be counted.
		in_ns $ns ip6tables-legacy -w -t raw -A OUTPUT -d ff00::/8 -p ipv6-icmp -j DROP 2>/dev/null
	done
	ip link add pgs0 netns "$PREFIX-s" address $mac_s type veth \
		peer name pgc0 netns "$PREFIX-c" address $mac_c || skip_all "no veth here"
	for ns in s c; do
		in_ns $ns ethtool -K pg${ns}0 tso off gso off gro off tx off >/dev/null 2>&1
		in_ns $ns ip link set pg${ns}0 up
	done
	in_ns s ip addr add 10.77.0.1/24 dev pgs0
	in_ns c ip addr add 10.77.0.2/24 dev pgc0
	in_ns s ip addr add fd77::1/64 dev pgs0 nodad
	in_ns c ip addr add fd77::2/64 dev pgc0 nodad
	in_ns s ip neigh replace 10.77.0.2 lladdr $mac_c nud permanent dev pgs0
	in_ns c ip neigh replace 10.77.0.1 lladdr $mac_s nud permanent dev pgc0
	in_ns s ip neigh replace fd77::2 lladdr $mac_c nud permanent dev pgs0
	in_ns c ip neigh replace fd77::1 lladdr $mac_s nud permanent dev pgc0
	wait_for "link" in_ns c sh -c 'ip link show pgc0 | grep -q LOWER_UP'
}

# routed LEFT ROUTER RIGHT: pgLEFT0 (10.5.0.2) - pgr1 (10.5.0.1) ROUTER (10.6.0.1) pgr2 - pgRIGHT0 (10.6.0.2),
# likewise fd05:: and fd06::
routed() {
	local left=$1 router=$2 right=$3 ns name net host link

	for ns in "$@"; do
		ip netns add "$PREFIX-$ns" || skip_all "no network namespaces here"
		in_ns "$ns" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
		in_ns "$ns" ip link set lo up
	done
	ip link add "pg${left}0" netns "$PREFIX-$left" type veth peer name pgr1 netns "$PREFIX-$router" ||
		skip_all "no veth here"
	ip link add "pg${right}0" netns "$PREFIX-$right" type veth peer name pgr2 netns "$PREFIX-$router"
	for link in "$left pg${left}0 5 2" "$router pgr1 5 1" "$router pgr2 6 1" "$right pg${right}0 6 2"; do
		read -r ns name net host <<<"$link"
		in_ns "$ns" ethtool -K "$name" tso off gso off gro off tx off >/dev/null 2>&1
		in_ns "$ns" ip link set "$name" up
		in_ns "$ns" ip addr add "10.$net.0.$host/24" dev "$name"
		in_ns "$ns" ip addr add "fd0$net::$host/64" dev "$name" nodad
	done
	in_ns "$router" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	in_ns "$left" ip route add default via 10.5.0.1
	in_ns "$left" ip -6 route add default via fd05::1
	in_ns "$right" ip route add default via 10.6.0.1
	in_ns "$right" ip -6 route add default via fd06::1
}

# wait_for WHAT COMMAND…: until it succeeds, ten seconds at most
wait_for() {
	local what=$1 i
	shift
	for i in $(seq 100); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.1
	done
	fail "waited ten seconds for: $what"
	return 1
}

# listening NS tcp|udp PORT
listening() {
	[ -n "$(in_ns "$1" ss -Hln "--$2" "sport = :$3")" ]
}

# The server's policy, without comments and counters.
policy() {
	pg s save | grep -v '^#' | sed 's/ \[.*//'
}

# counted NS SPEC: "packets:bytes" of the rule that `save -c` prints so, or of the policy of INPUT
counted() {
	pg "$1" save -c | awk -v want="$2" '
		want == "policy" && $1 == ":INPUT" { gsub(/[][]/, "", $3); print $3 }
		{ c = $1; line = $0; sub(/^\[[0-9:]*\] -A INPUT /, "", line) }
		line == want { gsub(/[][]/, "", c); print c }'
}

packets() {
	local c

	c=$(counted "$@")
	echo "${c%%:*}"
}

# json NS COMMAND FILTER: a number or a text of `portguard COMMAND --json`, found with jq
json() {
	pg "$1" "$2" --json | jq -r "$3"
}

# port_count NS PROTO PORT FIELD: .in.packets, .out.bytes, .in.dropped, .flags.syn; 0: not listed
port_count() {
	json "$1" ports "[.ports[] | select(.proto==\"$2\" and .port==$3)][0]$4 // 0"
}

# reason_count NS NAME
reason_count() {
	json "$1" reasons "[.reasons[] | select(.name==\"$2\")][0].packets // 0"
}

# host_answers PORT: a closed TCP port of the server refuses the client, so packets pass both ways
host_answers() {
	local text

	text=$(in_ns c timeout 3 bash -c "exec 3<>/dev/tcp/10.77.0.1/$1" 2>&1)
	[[ $text =~ refused ]]
}

# carry PORT BYTES [NC OPTIONS]: that much from client to server over TCP, and nothing lost
carry() {
	local port=$1 bytes=$2 server rc
	shift 2

	in_ns s timeout 20 nc -N -l -p "$port" >"$WORK/carried" </dev/null &
	server=$!
	wait_for "a server on $port" listening s tcp "$port"
	head -c "$bytes" /dev/zero | in_ns c timeout 20 nc -N "$@" 10.77.0.1 "$port" >/dev/null
	rc=$?
	wait $server
	[ $rc = 0 ] && [ "$(stat -c %s "$WORK/carried")" = "$bytes" ]
}
