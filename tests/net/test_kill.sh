#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# SIGKILL at any system call of any command: the policy in force is the old one or the new one, the
# filter is never off, and the next command mends what is left in the state directory.
# PG_POINTS: at how many calls of each command (of those that load programs, a tenth); "all": at each,
# which takes hours. PG_CASES: only of these cases (change, confirm, …).
export PG_TEST_TIMEOUT=${PG_TEST_TIMEOUT:-$([ "${PG_POINTS:-}" = all ] && echo 0 || echo 1200)}
. "$(dirname "$0")/lib.sh"

need jq ethtool
MEDDLE=$TOOLS/net/meddle
for tool in send meddle; do
	[ -x "$TOOLS/net/$tool" ] || skip_all "not built: $TOOLS/net/$tool"
done
own_bpffs
two_namespaces
POINTS=${PG_POINTS:-12}
killed=0
RULE='-p tcp -m tcp --dport 80 -j DROP'

resets() {
	in_ns s awk '$1 == "Tcp:" { if (!n) { n = split($0, name) } else
		for (i = 1; i <= n; i++) if (name[i] == "OutRsts") print $i }' /proc/net/snmp
}

# calls POINTS COMMAND…: which of its calls to end it at. What it does before it has read its options and
# files, when nothing can have changed yet, is left out.
calls() {
	local points=$1 total first=120 step
	shift

	total=$(in_ns s "$MEDDLE" count any "$PORTGUARD" --state "$STATE" "$@" 9>&1 >/dev/null 2>&1)
	[ "$points" = all ] && first=1 points=$total
	step=$(((total - first) / points))
	[ $step -gt 0 ] || step=1
	# Other calls each time: some day all of them have been tried.
	seq $((first + RANDOM % step)) $step "$total"
}

# end_at N COMMAND…: 137, or what it exits with if it has fewer calls this time
end_at() {
	local n=$1
	shift
	in_ns s "$MEDDLE" kill any "$n" "$PORTGUARD" --state "$STATE" "$@" >/dev/null 2>&1
	[ $? = 137 ] && killed=$((killed + 1))
}

# No link or program that is half in place, and one for each direction of each interface.
tidy() {
	local kind

	for kind in new next interim; do
		[ -z "$(find "$STATE" -name "${kind}_*")" ] || return 1
	done
	[ "$(find "$STATE" \( -name 'link_*' -o -name 'prog_*' \) | wc -l)" = $((2 * $1)) ]
}

# Each case has these, called by name: before (what the command starts from), after N (what must hold
# when it was killed, and repair).
# ends CASE POINTS COMMAND…
ends() {
	local name=$1 points=$2 n bad=0
	shift 2

	[[ " ${PG_CASES:-$name} " == *" $name "* ]] || return
	"before_$name"
	for n in $(calls "$points" "$@"); do
		"before_$name"
		end_at "$n" "$@"
		"after_$name" || { bad=1 && echo "    killed at call $n of: $*"; }
	done
	[ $bad = 0 ] && pass "$name" || fail "$name: see above"
}

old_or_new() {
	case $(policy) in
	"$old" | "$new") ;;
	*) policy && return 1 ;;
	esac
}

mended() {
	pg s restore "$WORK/old" && [ "$(policy)" = "$old" ]
}

before_change() { pg s restore "$WORK/old"; }
after_change() { old_or_new && mended; }

before_back() { pg s restore "$WORK/old" && pg s restore "$WORK/new"; }
after_back() { old_or_new && mended; }

# A policy that waits is taken back by the next command that says so.
before_confirm() {
	pg s rollback >/dev/null 2>&1
	pg s restore "$WORK/old"
}
after_confirm() {
	old_or_new || return
	pg s rollback >/dev/null 2>&1
	mended
}

entries() { pg s set list -s x | sed '1,/^Members/d' | xargs; }
before_set() { printf '%s\n' 'flush x' 'add x 192.0.2.1' 'add x 192.0.2.2' | pg s set restore; }
after_set() {
	case $(entries) in
	"192.0.2.1 192.0.2.2" | "198.51.100.1 198.51.100.2 198.51.100.3") ;;
	*) entries && return 1 ;;
	esac
	before_set && [ "$(entries)" = "192.0.2.1 192.0.2.2" ]
}

before_swap() {
	pg s set create -exist y hash:ip && pg s set flush y && pg s set add y 203.0.113.1
	before_set
}
after_swap() {
	case "$(entries) $(pg s set list y | tail -1)" in
	"192.0.2.1 192.0.2.2 203.0.113.1" | "203.0.113.1 192.0.2."[12]) ;;
	*) entries && return 1 ;;
	esac
	pg s set destroy y
}

before_mode() { pg s attach pgs0 --mode tc >/dev/null; }
after_mode() {
	old_or_new && pg s attach pgs0 --mode native >/dev/null && tidy 1 && mended
}

before_xdp() { pg s attach pgs0 --mode native >/dev/null; }
after_xdp() { old_or_new && pg s attach pgs0 --mode skb >/dev/null && tidy 1 && mended; }

before_attach() { ! pg s detach pgs1 >/dev/null 2>&1; }
after_attach() {
	old_or_new && pg s attach pgs1 --mode tc >/dev/null && tidy 2 && mended &&
		pg s detach pgs1 >/dev/null && tidy 1
}

before_upgrade() { :; }
after_upgrade() {
	old_or_new && pg s upgrade --force >/dev/null && tidy 2 && mended
}

before_detach() { pg s attach pgs1 --mode tc >/dev/null; }
after_detach() {
	old_or_new || return
	! pg s detach pgs1 >/dev/null 2>&1
	tidy 1 && mended
}

prog_ids() { json s status '.interfaces[0] | "\(.xdp_prog_id) \(.egress_prog_id)"'; }
untried() {
	pg s shadow --stop >/dev/null 2>&1
	[ "$(prog_ids)" = "$plain" ] && [ ! -e "$STATE/shadow" ] && tidy 1
}

# A trial is one that compares, or says that it is none, and then it is not promoted either.
before_try() { untried && pg s restore "$WORK/old"; }
after_try() {
	[ "$(policy)" = "$old" ] || return
	if pg s shadow >/dev/null 2>&1; then
		[ "$(prog_ids)" != "$plain" ] || return
	else
		! pg s promote >/dev/null 2>&1 && [ "$(policy)" = "$old" ] || return
	fi
	untried && mended
}

before_promote() { before_try && pg s apply "$WORK/new" --shadow >/dev/null; }
after_promote() { old_or_new && untried && mended; }
before_stop() { before_promote; }
after_stop() { after_try; }

printf '%s\n' '*filter' ':INPUT ACCEPT [0:0]' "-A INPUT $RULE" COMMIT >"$WORK/old"
printf '%s\n' '*filter' ':INPUT ACCEPT [0:0]' "-A INPUT $RULE" \
	'-A INPUT -p udp -m udp --dport 7 -j DROP' COMMIT >"$WORK/new"
printf '%s\n' 'flush x' 'add x 198.51.100.1' 'add x 198.51.100.2' 'add x 198.51.100.3' >"$WORK/sets"
ip link add pgs1 netns "$PREFIX-s" type veth peer name pgc1 netns "$PREFIX-c"
export SSH_CONNECTION=none

expect_ok "attach" pg s attach pgs0 --mode tc
expect_ok "a set" pg s set create x hash:ip
expect_ok "the new policy" pg s restore "$WORK/new"
new=$(policy)
expect_ok "the old policy" pg s restore "$WORK/old"
old=$(policy)
expect "they differ" "$([ "$old" != "$new" ] && echo yes)" yes

# Nobody listens on port 80: a SYN that gets through is a reset that goes out.
nsenter --net="/run/netns/$PREFIX-c" "$TOOLS/net/send" pgc0 tcp80 10000000 200 &
knocking=$!
resets0=$(resets)
wait_for "SYNs to arrive" eval '[ "$(packets s "$RULE")" -gt 100 ]'

few=$([ "$POINTS" = all ] && echo all || echo $(((POINTS + 9) / 10)))
ends change "$POINTS" -A INPUT -p udp --dport 7 -j DROP
ends change "$POINTS" restore "$WORK/new"
ends change "$POINTS" apply "$WORK/new"
ends confirm "$POINTS" apply "$WORK/new" --confirm 60
ends back "$POINTS" rollback
ends set "$POINTS" set restore -file "$WORK/sets"
ends swap "$few" set swap x y
plain=$(prog_ids)
ends try "$few" apply "$WORK/new" --shadow
ends promote "$few" promote
ends stop "$few" shadow --stop
pg s shadow --stop 2>/dev/null
ends mode "$few" attach pgs0 --mode native
ends xdp "$few" attach pgs0 --mode skb
pg s attach pgs0 --mode native
ends attach "$few" attach pgs1 --mode tc
ends detach "$few" detach pgs1

export PORTGUARD_NO_TCX=1 # as before Linux 6.6
ends attach "$few" attach pgs1 --mode tc
before_detach
ends upgrade "$few" upgrade --force
unset PORTGUARD_NO_TCX
pg s detach pgs1 >/dev/null

arrived=$(packets s "$RULE")
wait_for "SYNs still to arrive" eval '[ "$(packets s "$RULE")" -gt '"$arrived"' ]'
kill $knocking
wait $knocking 2>/dev/null
expect "the filter was never off" $(($(resets) - resets0)) 0

# The instance itself, whose first command or last is ended.
pg s detach --all >/dev/null
before_first() { ! pg s detach --all >/dev/null 2>&1; }
after_first() { mended; }
ends first "$POINTS" restore "$WORK/old"
before_last() { pg s restore "$WORK/old"; }
after_last() { mended; }
ends last "$POINTS" detach --all
echo "    $killed commands were killed"
summary
