#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Real captures through `portguard replay`: every frame must be read as tshark reads it
# (captures.awk says what that means), and land under exactly one reason and one verdict.
#
# PG_TEST_DATA names a folder with captures/ (NAME and NAME.golden.tsv) and captures-small/
# (captures only). Needs root. The last line is "N passed, N failed, N skipped"; exit status 77 when
# all was skipped.

here=$(cd "$(dirname "$0")" && pwd)
portguard=${PORTGUARD:-$here/../portguard}
passed=0
failed=0
skipped=0

skip_all()
{
	echo "SKIP captures: $1"
	echo "0 passed, 0 failed, 1 skipped"
	exit 77
}

[ -n "$PG_TEST_DATA" ] || skip_all "PG_TEST_DATA is not set"
[ -d "$PG_TEST_DATA/captures" ] || skip_all "no folder captures in PG_TEST_DATA"
[ -x "$portguard" ] || skip_all "$portguard is not built"
[ "$(id -u)" = 0 ] || skip_all "needs root"

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM

# The sum of the numbers in an object of numbers: sum_of KEY FILE
sum_of()
{
	grep -o "\"$1\":{[^}]*}" "$2" | head -n 1 | grep -o ':[0-9][0-9]*' |
		awk '{ sum += substr($0, 2) } END { print sum + 0 }'
}

number_of()
{
	grep -o "\"$1\":[0-9]*" "$2" | head -n 1 | cut -d: -f2
}

# Says what is wrong with the sums in a replay's JSON; silent when all is well.
check_sums()
{
	frames=$(number_of frames "$1")
	skipped_frames=$(number_of skipped "$1")
	[ "${skipped_frames:-1}" = 0 ] || echo "    skipped: $skipped_frames frames"
	for key in verdicts reasons ethertypes vlans; do
		sum=$(sum_of "$key" "$1")
		[ "$sum" = "$frames" ] || echo "    $key sum up to $sum, frames are $frames"
	done
}

result() # NAME PROBLEMS
{
	if [ -z "$2" ]; then
		passed=$((passed + 1))
		echo "ok   $1"
	else
		failed=$((failed + 1))
		echo "FAIL $1"
		printf '%s\n' "$2"
	fi
}

# Ours and tshark's reading of every frame.
compare_capture()
{
	if ! "$portguard" replay "$1" --json --verdicts "$tmp/verdicts" >"$tmp/json" 2>"$tmp/err"; then
		echo "    replay failed: $(cat "$tmp/err")"
		return
	fi
	check_sums "$tmp/json"
	awk -f "$here/captures.awk" "$1.golden.tsv" "$tmp/verdicts" >"$tmp/diff" || cat "$tmp/diff"
}

# Any capture: all frames under a reason, or refused for what it is.
check_capture()
{
	if "$portguard" replay "$1" --json >"$tmp/json" 2>"$tmp/err"; then
		check_sums "$tmp/json"
	elif ! grep -q 'link type .* is not supported' "$tmp/err"; then
		echo "    replay failed: $(cat "$tmp/err")"
	fi
}

for golden in "$PG_TEST_DATA"/captures/*.golden.tsv; do
	capture=${golden%.golden.tsv}
	[ -f "$capture" ] || continue
	result "$(basename "$capture")" "$(compare_capture "$capture")"
done

for capture in "$PG_TEST_DATA"/captures-small/*.pcap "$PG_TEST_DATA"/captures-small/*.pcapng; do
	[ -f "$capture" ] || continue
	result "$(basename "$capture")" "$(check_capture "$capture")"
done

if [ $((passed + failed)) = 0 ]; then
	skip_all "no captures in PG_TEST_DATA"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
