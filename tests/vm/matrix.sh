#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Every kernel of kernels.sh in turn: e2e.sh in a machine of its own; with FULL=1 also `doctor` and the BPF tests.
# Writes the README's table to .output/vm/table.md. The last line is "N passed, N failed, N skipped".
#   PG_KERNELS   which kernels, instead of all
set -u
cd "$(dirname "$0")/../.." || exit 1

BPF_TESTS="test_parse test_classify test_set"
passed=0 failed=0 skipped=0
mkdir -p .output/vm
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

# cell COLUMN: what the machine said of it
value() {
	sed -n "s/^cell $1 //p" "$log" | tail -n 1
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
	grep -B 12 '^FAILED' "$log"
	return $rc
}

row() {
	printf '| %s | %s | %s | %s | %s | %s |\n' "$(value kernel)" "$(value load)" "$(value veth-tc)" \
		"$(value virtio-native)" "$(value vmxnet3-skb)" "$1"
}

{
	echo '| Kernel | loads | TC, veth | native XDP, virtio_net | generic XDP, vmxnet3 | TC links |'
	echo '|---|---|---|---|---|---|'
} >.output/vm/table.tmp
for kernel in ${PG_KERNELS:-$(tests/vm/kernels.sh list)}; do
	machine "$kernel" tests/vm/e2e.sh
	[ $? = 77 ] && continue
	row "$(value tc-links)" >>.output/vm/table.tmp
	if [ -n "${FULL:-}" ] && [ "$(value load)" = yes ]; then # asked before the next machine's log
		PG_VM_TIMEOUT=900 machine "$kernel" tests/vm/doctor.sh
		for test in $BPF_TESTS; do
			# shellcheck disable=SC2016
			printf '#!/bin/sh\nTEST=%s\n%s\n' "$test" 'exec sh tests/vm/bpf.sh "$TEST"' >.output/vm/script
			chmod +x .output/vm/script
			PG_VM_TIMEOUT=1500 machine "$kernel" .output/vm/script ".output/tests/bpf/$test"
		done
	fi
done
mv .output/vm/table.tmp .output/vm/table.md
sed 's/^/table: /' .output/vm/table.md
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
