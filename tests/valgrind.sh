#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The unit tests under valgrind, one case a program. The last line is "N passed, N failed, N skipped".
#   valgrind.sh all    every one
#   valgrind.sh few    without those that take a minute and more
cd "$(dirname "$0")/.." || exit 1

LONG=" test_answer test_flows test_ipset test_rulefile "
command -v valgrind >/dev/null || {
	echo "skip: no valgrind here"
	echo "0 passed, 0 failed, 1 skipped"
	exit 77
}
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
passed=0 failed=0
for test in tests/unit/test_*.c; do
	test=$(basename "$test" .c)
	[ "$test" = test_jail ] && continue # its filters refuse what valgrind itself does
	[ "${1:-all}" = few ] && [[ $LONG == *" $test "* ]] && continue
	if timeout -k 5 600 valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect,possible \
		--show-leak-kinds=definite,indirect,possible ".output/tests/unit/$test" >"$log" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $test: exit status $?"
		grep -E '^==|FAILED' "$log" | head -n 60
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
