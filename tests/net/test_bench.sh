#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The benchmark comes to its end, which it only does if every rule counted what it was sent, and says what it
# measured in its table, in JSON and in a plot. How much that is, is not asked.
. "$(dirname "$0")/lib.sh"

BENCH=$TOOLS/bench/bench
need jq
[ -x "$BENCH" ] || skip_all "not built: $BENCH"

# bench OPTIONS…: with nothing left of the last time
bench() {
	rm -f "$WORK/json" "$WORK/svg"
	timeout -k 5 300 "$BENCH" --rounds 1 --repeat 1000 --json "$WORK/json" --svg "$WORK/svg" "$@" \
		>"$WORK/table" 2>"$WORK/said" || {
		local rc=$?

		sed 's/^/    /' "$WORK/said"
		return $rc
	}
}

# without_peers OPTIONS…: where Debian and others have them is an empty folder
without_peers() (
	export -f bench
	export BENCH WORK
	PATH=/usr/bin:/bin unshare -m bash -c 'mount -t tmpfs tmpfs /usr/sbin && bench "$@"' bash "$@"
)

# of FILTER: from the JSON
of() {
	jq -r "$1" "$WORK/json" 2>&1
}

# Rules ----------------------------------------------------------------------------------------------

# Where usr/sbin is bin, they cannot be hidden this way, and may be measured.
if [ /usr/sbin -ef /usr/bin ]; then
	expect_ok "1 to 100 rules" bench --only spread,peers --max-rules 100
else
	expect_ok "1 to 100 rules, and no peers" without_peers --only spread,peers --max-rules 100
	expect "peers that are not there say so" \
		"$(of '[.rows[] | select(.kind == "peer" and .not_measured and (.tool | test("nft|iptables"))).not_measured] | unique | join("|")')" \
		"iptables-legacy-restore is not installed|nft is not installed"
	expect "and in the table" "$(grep -c '^not measured: nft ingress, rules, .* nft is not installed$' "$WORK/table")" 3
fi
expect "rows that must be there are measured" "$(of '
	[.rows[] | select(.packets == "spread" and (.tool | test("^(empty program|portguard)")) and
		.ns >= 0 and .over_base_ns != null and .repeat >= 64) | "\(.family) \(.rules) \(.tool)"] | sort | .[]')" \
	"$(for family in ipv4 ipv6; do
		for rules in 1 10 100; do
			printf "$family $rules %s\n" "empty program" portguard "portguard without rules"
		done
	done)"
expect "the table has them" "$(awk '/^  rules: /{ n++ } n && /^  (portguard|portguard without rules|empty program)  / {
	print n, $(NF - 5) ~ /^-?[0-9]+$/, $(NF - 4) ~ /^-?[0-9]+$/, $(NF - 3) ~ /^-?[0-9]+$/, $(NF - 2) }' "$WORK/table")" \
	"$(printf '%s 1 1 1 -\n' 1 1 1 2 2 2)"
expect "what was asked for is told" "$(of '"\(.rounds) \(.repeat) \(.commits | length)"')" "1 1000 0"
if command -v gnuplot >/dev/null; then
	expect "the plot" "$(tail -n 3 "$WORK/svg" | grep -o "</svg>")" "</svg>"
	expect "it has both families" "$(grep -oE 'portguard(, IPv6)?, spread' "$WORK/svg" | sort -u | paste -sd';')" \
		"portguard, IPv6, spread;portguard, spread"
else
	skip "the plot: gnuplot is not installed"
	expect "no gnuplot: it is said" "$(grep -c 'no plot: gnuplot is not installed' "$WORK/said")" 1
fi

# Policies that come into force ----------------------------------------------------------------------

expect_ok "a commit of 10 000 rules" bench --only commit --max-rules 10000
expect "it is in the JSON" "$(of '[.commits[] | select(.rules == 10000)
	| .parse_ms > 0, .compile_ms > 0, .commit_ms > 0, .compiler_mb > 0, .tables_mb > 0] | join(" ")')" \
	"true true true true true"
expect "the larger one says why it is not" "$(of '.commits[] | select(.rules == 100000).not_measured')" "not asked for"
expect "the table has it" "$(grep -cE '^ +10000 rules +[0-9]+ +[0-9]+ +[0-9]+ +[0-9.]+ +[0-9.]+$' "$WORK/table")" 1
expect "without rows there is no plot" "$(of '.rows | length') $(ls "$WORK/svg" 2>&1 | grep -c 'No such')" "0 1"

expect_exit "a group that there is not" 2 "no group 'nonsense'" "$BENCH" --only nonsense
summary
