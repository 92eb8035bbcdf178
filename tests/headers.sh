#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Each header that the programs and the command share is compiled alone, for both of them and by
# both compilers. The last line is "N passed, N failed, N skipped".
cd "$(dirname "$0")/.." || exit 1

WARN=(-std=gnu11 -Wall -Wextra -Werror -fsyntax-only -Iinclude)
clang=${CLANG:-$(packaging/deps.sh clang)}
passed=0 failed=0 skipped=0

# alone HEADER WHAT COMMAND…
alone() {
	local header=$1 what=$2 out
	shift 2

	if ! command -v "$1" >/dev/null; then
		skipped=$((skipped + 1))
		echo "skip: $header as $what: no $1"
	elif out=$(printf '#include "%s"\n#include "%s"\n' "$types" "$(basename "$header")" |
		"$@" "${WARN[@]}" -x c - 2>&1); then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAILED: %s as %s\n%s\n' "$header" "$what" "$out"
	fi
}

for header in include/*.h; do
	types=linux/types.h
	alone "$header" "gcc compiles it" gcc
	alone "$header" "clang compiles it" "$clang"
	types=vmlinux.h
	alone "$header" "clang compiles it for BPF" "$clang" -target bpf -Ivmlinux
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
