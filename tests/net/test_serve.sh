#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# portguard serve: what it gives is what was sent, to whom it gives it, and what it may do.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/serve.sh"
need curl jq promtool
own_bpffs
two_namespaces

# get PATH [CURL OPTIONS]
get() {
	local path=$1
	shift
	in_ns s curl -sS --max-time 10 "$@" "$url$path"
}

code() {
	get "$@" -o /dev/null -w '%{http_code}'
}

metric() { # NAME{LABELS}: its value; order of labels as it is written
	get /metrics | awk -v want="portguard_$1" 'substr($0, 1, length(want) + 1) == want " " { print $NF }'
}

# Before there is an instance ---------------------------------------------------------------------

start_serve --listen 127.0.0.1:0
expect "no instance: metrics say so" "$(metric instance_present)" 0
expect "no ports" "$(get /api/v1/ports)" "$(pg s ports --json)"

# Attached while it runs --------------------------------------------------------------------------

expect_ok "attach" pg s attach pgs0 --mode tc
expect "it is seen" "$(metric instance_present)" 1
get /metrics | promtool check metrics >"$WORK/lint" 2>&1 && pass "promtool" ||
	fail "promtool" "$(cat "$WORK/lint")"
for doc in status ports rules reasons flows states; do
	expect "$doc is the command's" "$(get /api/v1/$doc)" "$(pg s $doc --json)"
done

stop_serve
expect "ends" $? 0
expect "with nothing to say" "$(cat "$WORK/serve.err")" ""
summary
