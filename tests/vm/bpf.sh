#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Runs in a test machine: those of tests/bpf that are here, with few random frames, for emulation is slow. Prints
# "cell bpf" with those that passed and those that failed. The last line is "N passed, N failed, N skipped".
set -u
export PG_N=${PG_N:-3000}
passed=0 failed=0 skipped=0 good= bad=

for test in .output/clang-*/test_load .output/tests/bpf/test_*; do
	[ -e "$test" ] || continue
	[[ $test == *clang-* && $(uname -r) == 6.1.* ]] && continue # see e2e.sh
	start=$SECONDS
	timeout 1200 "$test" >/tmp/log 2>&1
	rc=$?
	read -r p f s < <(awk '/^\[  PASSED  \] [0-9]+ test/ { p += $4 } /^\[  FAILED  \] [0-9]+ test/ { f += $4 }
		/^\[  SKIPPED \] [0-9]+ test/ { s += $4 } END { print p + 0, f + 0, s + 0 }' /tmp/log)
	# Here nothing may be missing.
	[ "$f" = 0 ] && { [ $rc != 0 ] || [ "$p" = 0 ]; } && f=1
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	name=${test#.output/}
	name=${name#tests/bpf/test_}
	echo "$name: $p passed, $f failed, $s skipped ($((SECONDS - start)) s)"
	[ "$f" = 0 ] && good+="${good:+, }$name" && continue
	bad+="${bad:+, }$name"
	echo "FAILED $name: exit status $rc"
	grep -v '^\[ \(RUN\|      OK\)' /tmp/log | tail -n 40
done
echo "cell bpf $good${bad:+; not $bad}"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
