#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Rule files through `restore --test --print`, which needs no privileges.
#   x.in   must print exactly x.ok, and x.ok fed back must print itself
#   x.bad  must be refused with exactly x.err on standard error (first line: the exit code)
#   x.lint must make `lint` say exactly x.said (first line: the exit code)
# x.args: further options. x.note: what must stand on standard error where x.in is accepted.
# x.needs: a command that must succeed, or the case is skipped.
# Usage: run.sh [PORTGUARD]
portguard=${1:-./portguard}
here=$(dirname "$0")
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0 skipped=0

ok() { passed=$((passed + 1)); echo "ok   $1"; }
fail() { failed=$((failed + 1)); echo "FAIL $1: $2"; diff "$3" "$4" | sed 's/^/     /'; }
skip() { skipped=$((skipped + 1)); echo "skip $1: $2"; }

run() { # case, input
	args=
	[ -f "$here/$1.args" ] && args=$(cat "$here/$1.args")
	# shellcheck disable=SC2086 # options are words
	"$portguard" restore --test --print $args <"$2" >"$tmp/out" 2>"$tmp/err"
}

accepts() {
	if ! run "$1" "$here/$1.in"; then
		fail "$1" "refused" /dev/null "$tmp/err"
	elif ! cmp -s "$here/$1.ok" "$tmp/out"; then
		fail "$1" "prints something else" "$here/$1.ok" "$tmp/out"
	elif [ -f "$here/$1.note" ] && ! cmp -s "$here/$1.note" "$tmp/err"; then
		fail "$1" "says something else" "$here/$1.note" "$tmp/err"
	elif ! run "$1" "$here/$1.ok" || ! cmp -s "$here/$1.ok" "$tmp/out"; then
		fail "$1" "does not print its own output again" "$here/$1.ok" "$tmp/out"
	else
		ok "$1"
	fi
}

refuses() {
	run "$1" "$here/$1.bad"
	{ echo "exit code $?"; cat "$tmp/err"; } >"$tmp/said"
	if [ -s "$tmp/out" ]; then
		fail "$1" "prints rules all the same" /dev/null "$tmp/out"
	elif ! cmp -s "$here/$1.err" "$tmp/said"; then
		fail "$1" "says something else" "$here/$1.err" "$tmp/said"
	else
		ok "$1"
	fi
}

lints() {
	"$portguard" lint - <"$here/$1.lint" >"$tmp/out" 2>&1
	{ echo "exit code $?"; cat "$tmp/out"; } >"$tmp/said"
	if cmp -s "$here/$1.said" "$tmp/said"; then
		ok "$1"
	else
		fail "$1" "says something else" "$here/$1.said" "$tmp/said"
	fi
}

for file in "$here"/*.in "$here"/*.bad "$here"/*.lint; do
	[ -f "$file" ] || continue
	name=$(basename "${file%.*}")
	if [ -f "$here/$name.needs" ] && ! sh "$here/$name.needs" >/dev/null 2>&1; then
		skip "$name" "$(cat "$here/$name.needs")"
	elif [ "${file##*.}" = in ]; then
		accepts "$name"
	elif [ "${file##*.}" = lint ]; then
		lints "$name"
	else
		refuses "$name"
	fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
