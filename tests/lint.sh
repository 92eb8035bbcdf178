#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `make lint-code`, one case a file. The last line is "N passed, N failed, N skipped".
cd "$(dirname "$0")/.." || exit 1

for tool in gcc clang-tidy cppcheck shellcheck; do
	command -v $tool >/dev/null && continue
	echo "skip: no $tool here"
	echo "0 passed, 0 failed, 1 skipped"
	exit 77
done
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
make -s --no-print-directory -k -j"$(nproc)" lint-code >"$log" 2>&1
rc=$?
failed=$(grep -cE '^make(\[[0-9]+\])?: \*\*\* \[.*lint' "$log")
[ $rc = 0 ] || [ "$failed" != 0 ] || failed=1 # it failed, whatever its words
[ "$failed" = 0 ] || grep -vE '^make' "$log"
echo "$(($(find user -name '*.c' | wc -l) + 1 - failed)) passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
