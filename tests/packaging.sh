#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What an installed portguard has around it: help, completion, manual pages, units, actions for
# fail2ban and CrowdSec, packages. The last line is "N passed, N failed, N skipped".
# Usage: packaging.sh [PORTGUARD]
# shellcheck disable=SC2034 # variables are for the parts
cd "$(dirname "$0")/.." || exit 1

portguard=$(realpath "${1:-./portguard}")
passed=0 failed=0 skipped=0
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
# Nothing here is to touch an instance: there can be no directory below a file.
export PORTGUARD_STATE=/dev/null/none

ok() { passed=$((passed + 1)); }
skip() { skipped=$((skipped + 1)); echo "skip: $1"; }
fail() { # WHAT [FILE with what was said]
	failed=$((failed + 1))
	echo "FAILED: $1"
	[ ! -s "${2:-}" ] || sed 's/^/    /' "$2" | head -n 40
}

# check WHAT COMMAND…: passes if the command does and says nothing
check() {
	local what=$1
	shift
	if "$@" >"$tmp/said" 2>&1 && [ ! -s "$tmp/said" ]; then ok; else fail "$what" "$tmp/said"; fi
}

# need TOOL…: 1, with a skip, where one is missing
need() {
	local tool
	for tool; do
		command -v "$tool" >/dev/null || { skip "no $tool here"; return 1; }
	done
}

for part in tests/packaging/*.sh; do
	# shellcheck source=/dev/null # one of tests/packaging
	. "$part"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
