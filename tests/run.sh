#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Runs test programs, in two lanes where there are many, and adds up what they say.
#   run.sh check   those that need no privileges
#   run.sh all     all of them; what needs root goes through sudo where we are not
# A suite is a cmocka program, or a script whose last line is "N passed, N failed, N skipped".
# Prints one line a suite, why tests were skipped, which rule files are refused, and what a suite
# that failed said; then the sum, in those words. V=1 shows everything. PG_TEST_DATA: a folder with captures, or nothing.
# PG_FUZZ: seconds for each fuzz target, 60 unless given.
cd "$(dirname "$0")/.." || exit 1

export PORTGUARD=$PWD/portguard
export PORTGUARD_CONFIG= # not the machine's
# tools that a user's PATH lacks on Debian
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
root=()
passed=0 failed=0 skipped=0
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Sets counts to "passed failed skipped", or to nothing where the suite did not come to an end.
read_counts() {
	counts=$(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p' "$log" |
		tail -n 1)
	[ -n "$counts" ] || counts=$(awk '
		/^\[  PASSED  \] [0-9]+ test/ { passed += $4; seen = 1 }
		/^\[  FAILED  \] [0-9]+ test/ { failed += $4; seen = 1 }
		/^\[  SKIPPED \] [0-9]+ test/ { skipped += $4 }
		/^\[  ERROR   \] --- .*(setup|teardown)/ { failed++; seen = 1 }
		END { if (seen) print passed + 0, failed + 0, skipped + 0 }' "$log")
}

# suite NAME COMMAND…
suite() {
	local name=$1 rc start p f s verdict=ok counts
	shift

	start=$SECONDS
	"$@" >"$log" 2>&1 </dev/null
	rc=$?
	read_counts
	read -r p f s <<<"${counts:-0 0 0}"
	# Killed, crashed, or unhappy without saying with what.
	if [ $rc != 0 ] && [ $rc != 77 ] && [ "$f" = 0 ] || [ -z "$counts" ]; then
		f=$((f + 1))
		echo "exit status $rc" >>"$log"
	fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	[ "$f" = 0 ] || verdict=FAIL
	printf '%-4s %-22s %5d passed, %d failed, %d skipped  (%d s)\n' \
		$verdict "$name" "$p" "$f" "$s" $((SECONDS - start))
	if [ "$f" != 0 ] || [ -n "${V:-}" ]; then
		grep -vE '^\[ (RUN|      OK) ' "$log" | tail -n "${V:+100000}${V:-400}" | sed 's/^/     /'
	else
		grep -iE '^(skip|refused: |of [0-9]+ )' "$log" | sed 's/^/     /'
	fi
}

# For suites that need root and can't have it.
no_root() {
	skipped=$((skipped + 1))
	printf 'skip %-22s needs root, and there is no sudo\n' "$1"
}

quick() {
	local test

	for test in tests/unit/test_*.c; do
		test=$(basename "$test" .c)
		suite "unit/$test" ".output/tests/unit/$test"
	done
	suite golden sh tests/golden/run.sh ./portguard
	suite syntax bash tests/syntax.sh ./portguard
	suite dumps bash tests/dumps.sh ./portguard
	suite headers tests/headers.sh
}

# What only needs a CPU goes on beside the tests that have interfaces, in a lane of its own.
frames() {
	local test

	suite packaging bash tests/packaging.sh ./portguard
	suite lint bash tests/lint.sh
	suite valgrind tests/valgrind.sh few
	suite fuzz tests/fuzz/run.sh "${PG_FUZZ:-60}"
	for test in tests/bpf/test_*.c; do
		test=$(basename "$test" .c)
		"$@" "bpf/$test" "${root[@]}" ".output/tests/bpf/$test"
	done
	for test in .output/clang-*/test_load; do
		"$@" "bpf/test_load, ${test:8:8}" "${root[@]}" "$test"
	done
	for test in $COMMANDS; do
		"$@" "net/$test" "${root[@]}" bash "tests/net/$test.sh"
	done
	"$@" mutants "${root[@]}" bash tests/referee/mutants.sh few
	"$@" captures "${root[@]}" sh tests/captures.sh
	"$@" kernels "${root[@]}" env PG_DISPATCHER=no bash tests/vm/matrix.sh
}

# Those of tests/net that send nothing.
COMMANDS="test_bench test_dumps test_language test_syntax_stateless"

interfaces() {
	local test

	for test in tests/net/test_*.sh; do
		test=$(basename "$test" .sh)
		[[ " $COMMANDS " == *" $test "* ]] ||
			"$@" "net/$test" "${root[@]}" bash "tests/net/$test.sh"
	done
}

# Both lanes; what the one in the background says is printed when it has ended.
all() {
	local lane p f s

	lane=$(mktemp -d) || exit 1
	(
		trap - EXIT
		log=$lane/log passed=0 failed=0 skipped=0
		frames "$@"
		echo "$passed $failed $skipped" >"$lane/sum"
	) >"$lane/said" 2>&1 &
	interfaces "$@"
	wait $!
	cat "$lane/said"
	read -r p f s 2>/dev/null <"$lane/sum" || f=1
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	rm -rf "$lane"
}

case ${1:-} in
check) quick ;;
all)
	quick
	if [ "$(id -u)" = 0 ]; then
		all suite
	elif command -v sudo >/dev/null && sudo -v; then
		root=(sudo env "PATH=$PATH" "PORTGUARD=$PORTGUARD" PORTGUARD_CONFIG= "PG_TEST_DATA=${PG_TEST_DATA:-}")
		all suite
	else
		all no_root
	fi
	;;
*)
	echo "usage: run.sh check | all" >&2
	exit 2
	;;
esac
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
