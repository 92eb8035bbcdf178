#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Every kernel of kernels.sh in turn: e2e.sh in a machine of its own; with FULL=1 in others `doctor` and all BPF tests, with
# FULL="test_set test_drops" these and test_load, of both compilers' builds.
# Writes the README's table to .output/vm/table.md: of kernels that are not run now, what was found the last time.
# The last line is "N passed, N failed, N skipped".
#   PG_KERNELS   which kernels, instead of all
#   PG_DISPATCHER   no: without --multiprog, which takes minutes
set -u
cd "$(dirname "$0")/../.." || exit 1

TESTS="test_load ${FULL:-}"
[ "${FULL:-}" != 1 ] || TESTS=$(cd tests/bpf && echo test_*.c)
BPF_TESTS=$(printf ' .output/tests/bpf/%s' ${TESTS//.c/})
passed=0 failed=0 skipped=0
mkdir -p .output/vm
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

# value COLUMN: what the kernel's machines said of it
value() {
	sed -n "s/^cell $1 //p" "$cells" | tail -n 1
}

count() { # LOG: add the sum that a suite ended with
	local p f s

	read -r p f s < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p' "$1" | tail -n 1)
	passed=$((passed + ${p:-0})) failed=$((failed + ${f:-0})) skipped=$((skipped + ${s:-0}))
	[ -n "${p:-}" ]
}

# machine KERNEL SCRIPT [FILE…]: a run, of which what failed is shown
machine() {
	local rc

	tests/vm/run.sh "$@" >"$log" 2>&1
	rc=$?
	# One emulated CPU may run what another, that changes the kernel's code, has taken back by then.
	if [ $rc = 98 ] && grep -q 'Oops: int3' "$log"; then
		echo "kernel $1: again: its code was changed under an emulated CPU"
		tests/vm/run.sh "$@" >"$log" 2>&1
		rc=$?
	fi
	grep '^cell ' "$log" >>"$cells"
	if [ $rc = 77 ]; then
		skipped=$((skipped + 1))
		grep '^skip: ' "$log"
		return 77
	fi
	if ! count "$log" || [ $rc -gt 1 ]; then
		failed=$((failed + 1))
		echo "kernel $1: $(basename "$2"): exit status $rc"
		tail -n 60 "$log"
	fi
	grep -B 12 -A 30 '^FAILED' "$log"
	return $rc
}

row() {
	printf '| %s |' "$(value kernel)"
	for column in load veth-tc clang-19 virtio-native vmxnet3-skb multiprog tc-links bpf; do
		printf ' %s |' "$(value $column)"
	done
	echo
}

# No `other` where it is built without libxdp.
DISPATCHER=$(ls .output/tests/vm/*.bpf.o .output/tests/vm/other 2>/dev/null)
[ "${PG_DISPATCHER:-}" != no ] || DISPATCHER=
for kernel in ${PG_KERNELS:-$(tests/vm/kernels.sh list)}; do
	cells=.output/vm/cells
	: >"$cells"
	# shellcheck disable=SC2086 # names are words
	PG_VM_TIMEOUT=1200 machine "$kernel" tests/vm/e2e.sh $DISPATCHER .output/clang-*/portguard
	[ $? = 77 ] && continue
	if [ "$(value load)" = yes ] && [ -n "${FULL:-}" ]; then
		[ "${FULL:-}" != 1 ] || PG_VM_TIMEOUT=1800 machine "$kernel" tests/vm/doctor.sh
		# shellcheck disable=SC2086 # names are words
		PG_VM_MEMORY=2560 PG_VM_TIMEOUT=3900 \
			machine "$kernel" tests/vm/bpf.sh .output/clang-*/test_load $BPF_TESTS &&
			[ "${FULL:-}" = 1 ] && echo cell bpf all >>"$cells"
	fi
	mv "$cells" ".output/vm/cells-$kernel"
done
{
	echo "| Kernel | loads | TC, veth | by clang 19 | native XDP, virtio_net | generic XDP, vmxnet3 | beside libxdp's | TC links | BPF tests |"
	echo '|---|---|---|---|---|---|---|---|---|'
	for kernel in $(tests/vm/kernels.sh list); do
		cells=.output/vm/cells-$kernel
		[ ! -e "$cells" ] || row
	done
} >.output/vm/table.md
sed 's/^/table: /' .output/vm/table.md
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
