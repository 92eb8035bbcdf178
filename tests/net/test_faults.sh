#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# When memory, maps or disks are full: a clear error, and nothing has changed. Each system call in turn
# fails for want of memory; a command that says it went well has done what was asked for.
export PG_TEST_TIMEOUT=${PG_TEST_TIMEOUT:-900}
. "$(dirname "$0")/lib.sh"

need jq mount
MEDDLE=$TOOLS/net/meddle
[ -x "$MEDDLE" ] || skip_all "not built: $MEDDLE"
own_bpffs
two_namespaces
export SSH_CONNECTION=none
ENOMEM=12 EIO=5 EOPNOTSUPP=95

pins() {
	ls "$STATE"
}

# meddle ARGUMENTS… -- COMMAND…
meddle() {
	local how=()
	while [ "$1" != -- ]; do
		how+=("$1")
		shift
	done
	shift
	in_ns s "$MEDDLE" "${how[@]}" "$PORTGUARD" --state "$STATE" "$@"
}

# each CALL POINTS AFTER COMMAND…: its calls fail one after the other, at most POINTS of them, behind those
# that any program makes that is loaded; where a command can do without all of these, others, until one fails
# it. AFTER is told the exit code; it says what is wrong, and brings back what was before.
each() {
	local call=$1 points=$2 after=$3 total step n rc tried=0 wrong=0 failed_ones=0 first
	shift 3

	first=$(meddle count "$call" -- --help 9>&1 >/dev/null 2>&1)
	total=$(meddle count "$call" -- "$@" 9>&1 >/dev/null 2>&1)
	"$after" 0 >/dev/null
	step=$(((total - first + points - 1) / points))
	for n in $(seq $((first + 1 + RANDOM % step)) $step "$total") $(seq "$total" -7 $((first + 1))); do
		[ $tried -lt "$points" ] || [ $failed_ones = 0 ] || break
		tried=$((tried + 1))
		meddle fail "$call" "$n" $ENOMEM -- "$@" >/dev/null 2>"$WORK/said"
		rc=$?
		[ $rc != 99 ] || rc=0 # it had fewer calls this time
		[ $rc = 0 ] || failed_ones=$((failed_ones + 1))
		# One line, which says something; more where iptables has a hint.
		if [ $rc -gt 4 ] || { [ $rc != 0 ] && [ ! -s "$WORK/said" ]; } ||
			[ "$(wc -l <"$WORK/said")" -gt 2 ] || ! "$after" $rc; then
			echo "    $call $n of $total fails: $*: exit $rc: $(cat "$WORK/said")"
			wrong=1
		fi
	done
		[ $wrong = 0 ] && [ $failed_ones -gt 0 ] && pass "$*: $call" ||
		fail "$*: $call: of $total, $tried tried, $failed_ones failed"
}

# restored RC: the old policy if it failed, the new one if not
restored() {
	if [ "$1" = 0 ]; then
		[ "$(policy)" = "$new" ] || { policy && return 1; }
	else
		[ "$(policy)" = "$old" ] || { policy && return 1; }
	fi
	pg s restore "$WORK/old" && [ "$(policy)" = "$old" ]
}

# taken_back RC: whether it failed or not, rollback leads to what was before; here that is the new policy, and the old
# one is in force.
taken_back() {
	local want=$new now=$old

	[ "$1" != 0 ] || { want=$old now=$third; }
	[ "$(policy)" = "$now" ] && pg s rollback >/dev/null && [ "$(policy)" = "$want" ] || { policy && return 1; }
	pg s restore "$WORK/new" && pg s restore "$WORK/old" && [ "$(pins)" = "$pinned" ] || { pins && return 1; }
}

entries() { pg s set list -s x | sed '1,/^Members/d' | xargs; }
set_restored() {
	local want="192.0.2.1"

	[ "$1" != 0 ] || want="198.51.100.1 198.51.100.2"
	[ "$(entries)" = "$want" ] || { entries && return 1; }
	printf '%s\n' 'flush x' 'add x 192.0.2.1' | pg s set restore
}

attached() {
	local n

	n=$(json s status '.interfaces | length')
	[ "$1" = 0 ] && [ "$n" != 2 ] && return 1
	[ "$1" != 0 ] && [ "$n" != 1 ] && return 1
	restored 1 || return
	pg s detach pgs1 >/dev/null 2>&1
	[ "$(pins)" = "$pinned" ] || { pins && return 1; }
}

created() {
	[ "$1" = 0 ] || [ -z "$(ls -A "$STATE" 2>/dev/null)" ] || { pins && return 1; }
	pg s detach --all >/dev/null 2>&1
	return 0
}

printf '%s\n' '*filter' ':INPUT ACCEPT [0:0]' '-A INPUT -p udp -m udp --dport 9 -j DROP' COMMIT >"$WORK/old"
printf '%s\n' '*filter' ':INPUT DROP [0:0]' '-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT' COMMIT >"$WORK/new"
printf '%s\n' '*filter' '-A INPUT -p udp -m udp --dport 7 -m recent --name r --set -j DROP' COMMIT >"$WORK/third"
printf '%s\n' 'flush x' 'add x 198.51.100.1' 'add x 198.51.100.2' >"$WORK/sets"
ip link add pgs1 netns "$PREFIX-s" type veth peer name pgc1 netns "$PREFIX-c"

# The first command makes an instance, or leaves nothing.
each bpf 10 created restore "$WORK/old"
each mmap 10 created restore "$WORK/old"

expect_ok "attach" pg s attach pgs0 --mode tc
expect_ok "a set" pg s set create x hash:ip
expect_ok "a third policy" pg s restore "$WORK/third"
third=$(policy)
expect_ok "the new policy" pg s restore "$WORK/new"
new=$(policy)
expect_ok "the old policy" pg s restore "$WORK/old"
old=$(policy)
set_restored 1 >/dev/null 2>&1
pinned=$(pins)

each bpf 8 restored restore "$WORK/new"
each mmap 10 restored restore "$WORK/new"
each bpf 8 restored apply "$WORK/new"
pinned=$(pins)
for call in bpf mmap rename; do
	each $call 8 taken_back restore "$WORK/third"
done
each bpf 15 set_restored set restore -file "$WORK/sets"
pinned=$(pins)
each bpf 4 attached attach pgs1 --mode tc

# hooks N: so often a packet meets the policy, and so many interfaces status knows.
hooks() {
	local rule='-p udp -m udp --dport 9 -j DROP' before n

	before=$(packets s "$rule")
	in_ns c bash -c 'echo >/dev/udp/10.77.0.1/9'
	n=$(($(packets s "$rule") - before))
	[ "$n" = "$1" ] && [ "$(json s status '[.interfaces[] | select(.gone | not)] | length')" = "$1" ] && return
	echo "    was met $n times" && pg s status
	return 1
}
# The filter stays on, whether the mode was changed or not.
mode_changed() { hooks 1 && pg s attach pgs0 --mode "$was" >/dev/null && hooks 1; }
detached() { hooks $(($1 != 0)) && pg s attach pgs0 --mode tc >/dev/null; }

each bpf 6 detached detach pgs0
export PORTGUARD_NO_TCX=1 # as before Linux 6.6
pg s detach pgs0 >/dev/null
pg s attach pgs0 --mode tc >/dev/null
each bpf 12 detached detach pgs0
unset PORTGUARD_NO_TCX
for was in native skb; do
	pg s attach pgs0 --mode $was >/dev/null
	other=$([ $was = skb ] && echo native || echo skb)
	each bpf 10 mode_changed attach pgs0 --mode $other
	for n in 1 2; do # there may be one or two
		meddle fail rename $n $ENOMEM -- attach pgs0 --mode $other >/dev/null 2>"$WORK/said"
		expect_ok "$was to $other, rename $n fails: the filter is on" mode_changed
	done
done
pg s attach pgs0 --mode tc >/dev/null

# A file of rules is written as a whole or not at all.
pg s save >"$WORK/saved"
full=$WORK/full
mkdir "$full" && mount -t tmpfs -o size=16k tmpfs "$full"
echo kept >"$full/rules"
head -c 100000 /dev/zero >"$full/filler" 2>/dev/null
expect_exit "a disk that is full" 1 "cannot write '$full/rules': No space left" pg s save -f "$full/rules"
expect "the old file is there" "$(cat "$full/rules")" kept
expect "and nothing else" "$(ls "$full" | xargs)" "filler rules"
rm "$full/filler"
# limited FILE: a save where no file may grow, which is no reason to be killed (SIGXFSZ)
limited() {
	in_ns s bash -c 'ulimit -f 0 && exec "$@"' - "$PORTGUARD" --state "$STATE" save -f "$1"
}
expect_exit "a file that may not grow" 1 "cannot write '$full/rules': File too large" limited "$full/rules"
expect_exit "nor be made" 1 "cannot write '$full/other': File too large" limited "$full/other"
expect "the old file is there, and nothing else" "$(cat "$full/rules") $(ls "$full" | xargs)" "kept rules"
mount -o remount,ro "$full"
expect_exit "a read-only disk" 1 "cannot write '$full/rules': Read-only" pg s save -f "$full/rules"
expect_exit "of sets, too" 1 "cannot write '$full/rules': Read-only" pg s set save -file "$full/rules"
mount -o remount,rw "$full"
for call in fsync rename; do
	meddle fail $call 1 $EIO -- save -f "$full/rules" >/dev/null 2>"$WORK/said"
	expect "$call fails: exit code" $? 1
	expect "$call fails: it says so" "$(grep -c "cannot write.*Input/output error" "$WORK/said")" 1
	expect "$call fails: the old file is there" "$(cat "$full/rules") $(ls "$full" | xargs)" "kept rules"
done
# Killed anywhere it leaves the old file or the new one. Beside it there is nothing, but for the moment between the
# name that it gets and rename(), which is one call.
left=0
for n in $(seq "$(meddle count any -- save -f "$WORK/x" 9>&1 >/dev/null)" -1 240); do
	meddle kill any "$n" -- save -f "$full/rules" >/dev/null 2>&1
	case $(sed '/^#/d; s/ \[.*//' "$full/rules") in
	kept | "$old") ;;
	*) fail "save was killed at call $n" "$(cat "$full/rules")" && break ;;
	esac
	[ -z "$(find "$full" -name 'rules.*' -delete -print)" ] || left=$((left + 1))
done
expect "killed as it is about to rename is all that leaves a file" "$left" 1
# Where a file cannot be without a name (here it is refused: the last but one call), as ever.
n=$(($(meddle count openat -- save -f "$WORK/x" 9>&1 >/dev/null) - 1))
echo kept >"$full/rules"
meddle fail openat "$n" $EOPNOTSUPP -- save -f "$full/rules" >/dev/null 2>&1
expect "a file system without nameless files" "$? $(sed '/^#/d; s/ \[.*//' "$full/rules")" "0 $old"
expect "and nothing is left" "$(ls "$full" | xargs)" rules
chmod 640 "$full/rules"
expect_ok "save to a file" pg s save -f "$full/rules"
expect "it is what save prints" "$(sed '/^#/d' "$full/rules")" "$(sed '/^#/d' "$WORK/saved")"
expect "it keeps its mode" "$(stat -c %a "$full/rules")" 640
expect "a pipe is written to" "$(pg s save -f /dev/stdout | grep -c COMMIT)" 1
expect_exit "standard output that is full" 1 "cannot write to standard output" \
	in_ns s sh -c "exec '$PORTGUARD' --state '$STATE' save >/dev/full"
umount "$full"

# Maps that have no room.
pg s set create small hash:ip maxelem 2
printf 'add small 192.0.2.%s\n' 1 2 3 >"$WORK/three"
expect_exit "a set that is full" 1 "Hash is full" pg s set restore -file "$WORK/three"
expect "it has nothing of the file" "$(pg s set list small | grep -c '^192')" 0
{
	printf '%s\n' '*filter' ':INPUT ACCEPT [0:0]'
	seq 131073 | sed 's/.*/-A INPUT -p tcp -m tcp --dport 1 -j DROP/'
	echo COMMIT
} >"$WORK/many"
expect_exit "too many rules" 1 "." pg s restore "$WORK/many"
expect "the old policy is in force" "$(policy)" "$old"
expect_exit "memory that is not to be had" 1 "memory" \
	in_ns s sh -c "ulimit -v 150000; exec '$PORTGUARD' --state '$STATE' restore '$WORK/new'"
expect "the old policy is in force" "$(policy)" "$old"
summary
