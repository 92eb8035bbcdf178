#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Every command that reads prints one JSON document with --json, and nothing else.
. "$(dirname "$0")/lib.sh"

need jq
own_bpffs
two_namespaces

# A capture without frames.
printf '\xd4\xc3\xb2\xa1\x02\x00\x04\x00\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0' >"$WORK/empty.pcap"
printf '*filter\n-A INPUT -p tcp -m tcp --dport 1 -j DROP\nCOMMIT\n' >"$WORK/rules"
expect_ok "attach" pg s attach pgs0
expect_ok "a policy" pg s apply "$WORK/rules"
expect_ok "a set" pg s set create x hash:ip
expect_ok "connections" pg s track on

one_document() {
	expect "$*: one document" "$(pg s "$@" --json 2>"$WORK/err" | jq -s length 2>&1)" 1
}

expect "an error prints none" "$(pg s shadow --json 2>/dev/null)" ""
expect_ok "a trial" pg s apply "$WORK/rules" --shadow
for command in status rules reasons "reasons --all" ports "ports --listening" flows states shadow learn \
	"learn --diff" "learn --unused" "doctor pgs0" "set list" "set list x" set-fragments set-timeout track \
	"test --dport 1" "test --dport 1 --explain" -S -L "lint $WORK/rules" "replay $WORK/empty.pcap" \
	"replay $WORK/empty.pcap --policy $WORK/rules --against $WORK/rules" \
	"learn $WORK/empty.pcap --local 10.77.0.1"; do
	# shellcheck disable=SC2086
	one_document $command
done
expect "set-fragments" "$(json s set-fragments .fragments)" auto
expect "drops: one document for each" "$(pg s drops --json | jq -s length)" 0
expect_exit "save has its own format" 2 'rules --json' pg s save --json
summary
