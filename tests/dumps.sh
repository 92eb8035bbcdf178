#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Real rule files: each one in PG_TEST_DATA/rules must load in full, or without its tables nat and
# mangle, or be refused with the exact line and feature; and what loads must, as `save` would write
# it, load to itself. Says what was refused and why, and how many of the files whose table filter has
# rules for INPUT load with all of filter and raw. The last line is "N passed, N failed, N skipped".
# Usage: dumps.sh [PORTGUARD]
cd "$(dirname "$0")/.." || exit 1

portguard=${1:-./portguard}
folder=${PG_TEST_DATA:-}/rules
required=95 # percent
passed=0 failed=0
reach=0 loaded=0 full=0 # files with rules for INPUT; of those, what loads

finish() {
	echo "$passed passed, $failed failed, ${1:-0} skipped"
	[ $failed = 0 ]
	exit
}

fail() { # WHAT FILE
	failed=$((failed + 1))
	echo "FAILED: ${file##*/}: $1"
	[ -z "${2:-}" ] || head -n 10 "$2" | cut -c 1-200 | sed 's/^/    /'
}

read_file() { # OPTION…: rules to out, messages to err
	"$portguard" restore --test --print --counters "$@" "$file" >"$tmp/out" 2>"$tmp/err"
}

# What was printed prints itself.
prints_itself() {
	"$portguard" restore --test --print --counters "$tmp/out" >"$tmp/again" 2>"$tmp/err" &&
		cmp -s "$tmp/out" "$tmp/again"
}

# Each line that is refused is named with its place and feature, and is the line of the file.
says_exactly_why() {
	local named lines line at

	mapfile -t named <"$tmp/err"
	mapfile -t lines < <(tr -d '\r' <"$file")
	for line in "${named[@]::${#named[@]}-1}"; do
		line=${line#"portguard: $file:"}
		[[ $line =~ ^([0-9]+):[0-9]+:\ (match|target|option|table)\ \`[^\']*\'\ is\ not\ (supported|enforced) ]] ||
			return 1
		at=${BASH_REMATCH[1]}
		[[ $line == *": ${lines[at - 1]:0:300}" ]] || return 1
	done
	[[ ${named[-1]} =~ :\ [0-9]+\ lines?\ (in\ tables|uses?\ what\ portguard) ]]
}

# A mistake that iptables-restore would not take either: its place, the line, and a caret.
says_what_is_wrong() {
	grep -qE "^portguard: .*:[0-9]+:[0-9]+: " "$tmp/err" && sed -n '$p' "$tmp/err" | grep -q '\^$'
}

# The features that are named, in the order of the file.
features() {
	sed -nE "s/^.*:([0-9]+):[0-9]+: ((match|target|option) \`[^']*') is not supported.*/\2 (line \1)/p
		s/^portguard: .*:([0-9]+):[0-9]+: (Couldn't load [^:]*):.*/\2 (line \1)/p" "$tmp/err" |
		head -n 5 | paste -sd , - | sed 's/,/, /g'
}

# Rules for INPUT in table filter. A template with variables that nobody filled in is no rule file.
reaches_input() {
	! grep -qE '^[^#]*\$[A-Z]' "$file" &&
		awk '/^\*/ { table = $1 }
			table ~ /^\*filter/ && /^(\[[0-9]+:[0-9]+\] *)?(-A|-I) INPUT / { found = 1 }
			END { exit !found }' "$file"
}

one() {
	local reaches=0 how

	! reaches_input || reaches=1
	reach=$((reach + reaches))
	if read_file; then
		how=full
		full=$((full + reaches))
	elif ! says_exactly_why && ! says_what_is_wrong; then
		fail "refused without saying where and why" "$tmp/err"
		return
	elif read_file --skip-tables; then
		how='without nat and mangle'
	else
		how=
	fi
	if [ -n "$how" ]; then
		loaded=$((loaded + reaches))
		prints_itself || { fail "does not print itself ($how)" "$tmp/err"; return; }
	else
		echo "refused: ${file##*/}: $(features)"
		# Whatever is named can be left out, unless it is a mistake.
		if ! read_file --skip-unsupported && ! says_what_is_wrong; then
			fail "--skip-unsupported does not load the rest" "$tmp/err"
			return
		fi
	fi
	passed=$((passed + 1))
}

if [ ! -d "$folder" ]; then
	echo "skip: PG_TEST_DATA has no folder rules"
	finish 1
fi
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
for file in "$folder"/*; do
	one
done
file='all of them'
if [ $reach = 0 ]; then
	fail "no file has rules for INPUT"
	finish
fi
echo "of $reach files with rules for INPUT load: $full in full, $loaded ($((100 * loaded / reach)) %)" \
	"with all of filter and raw"
[ $((100 * loaded)) -ge $((required * reach)) ] || fail "less than $required % load"
finish
