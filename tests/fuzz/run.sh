#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# run.sh SECONDS [TARGET…]: so long for each fuzz target, two at a time.
# Begins with corpus/TARGET and what earlier runs have found (.output/fuzz/found/TARGET). An input that
# breaks something is left in .output/fuzz/TARGET-*, and fuzz_TARGET FILE runs it again.
cd "$(dirname "$0")/../.." || exit 1
OUT=.output/fuzz
seconds=${1:?usage: run.sh SECONDS [TARGET…]}
shift
[ $# -gt 0 ] || set -- $(cd tests/fuzz && ls fuzz_*.c | sed 's/^fuzz_//; s/\.c$//')

# The golden files are seeds, too, where they are what a target reads.
seeds_of() {
	echo "tests/fuzz/corpus/$1"
	case $1 in
	rules) echo tests/golden ;;
	esac
}

# fuzz TARGET: one line of what came of it
fuzz() {
	local target=$1 log=$OUT/$1.log dict=tests/fuzz/$1.dict rc

	mkdir -p "$OUT/found/$target"
	# shellcheck disable=SC2046
	"$OUT/fuzz_$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -close_fd_mask=3 \
		-print_final_stats=1 -artifact_prefix="$OUT/$target-" $([ -e "$dict" ] && echo "-dict=$dict") \
		"$OUT/found/$target" $(seeds_of "$target") >"$log" 2>&1
	rc=$?
	awk -v name="$target" -v rc=$rc '
		/cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) }
		/^stat::number_of_executed_units/ { runs = $2 }
		END { printf "%s %-8s %d inputs, %d places reached\n",
			rc ? "FAILED:" : "ok", name, runs, cov }' "$log"
	if [ $rc != 0 ]; then
		grep -v '^#' "$log" | tail -n 60
		return 1
	fi
}

passed=0 failed=0
while [ $# -gt 0 ]; do
	pids=()
	for target in "${@:1:2}"; do
		fuzz "$target" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" && passed=$((passed + 1)) || failed=$((failed + 1))
	done
	shift ${#pids[@]}
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
