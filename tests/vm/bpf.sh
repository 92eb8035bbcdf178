#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Runs in a test machine: one of tests/bpf, its sum in words that matrix.sh reads.
".output/tests/bpf/$1" >/tmp/log 2>&1
rc=$?
grep -v '^\[ \(RUN\|      OK\)' /tmp/log
awk '/^\[  PASSED  \] [0-9]+ test/ { passed += $4 } /^\[  FAILED  \] [0-9]+ test/ { failed += $4 }
	/^\[  SKIPPED \] [0-9]+ test/ { skipped += $4 }
	END { print passed + 0 " passed, " failed + 0 " failed, " skipped + 0 " skipped" }' /tmp/log
[ $rc = 0 ] || echo FAILED
exit $rc
