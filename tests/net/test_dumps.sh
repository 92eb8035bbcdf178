#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Real rule files, there and back: what `save` writes of each loads into iptables-legacy-restore, and
# what iptables-legacy-save makes of that loads here and is the same again, with counters.
if [ "$(id -u)" = 0 ] && [ -z "${PG_DUMPS_NS:-}" ]; then
	PG_DUMPS_NS=1 exec unshare -n bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"

need iptables-legacy-restore ip6tables-legacy-restore iptables-legacy-save ip6tables-legacy-save
[ -d "${PG_TEST_DATA:-}/rules" ] || skip_all "PG_TEST_DATA has no folder rules"
own_bpffs
iptables-legacy -t raw -S >/dev/null 2>&1 || skip_all "no iptables-legacy in this kernel"

pg() {
	"$PORTGUARD" --state "$STATE" "$@"
}

# ours FAMILY FILE: the policy is the file's, or what portguard takes of it
ours() {
	printf '*raw\nCOMMIT\n*filter\nCOMMIT\n' | pg restore "-$1" &&
		{ pg restore "-$1" --skip-tables "$2" || pg restore "-$1" --skip-tables --skip-unsupported "$2"; }
}

# there_and_back FAMILY TOOL FILE
there_and_back() {
	ours "$1" "$3" >"$WORK/out" 2>&1 || { echo "mistake: ${3##*/}"; return; }
	pg save "-$1" -c | grep -v '^#' >"$WORK/ours"
	if ! "$2-legacy-restore" -c <"$WORK/ours" 2>"$WORK/out"; then
		fail "${3##*/}: $2 takes what save writes" "$(cat "$WORK/out")"
		return
	fi
	for table in $(sed -n 's/^\*//p' "$WORK/ours"); do
		"$2-legacy-save" -c -t "$table"
	done >"$WORK/theirs"
	pg restore "-$1" -c "$WORK/theirs" >"$WORK/out" 2>&1
	pg save "-$1" -c | grep -v '^#' >"$WORK/again"
	expect "${3##*/}, there and back" "$(diff "$WORK/ours" "$WORK/again")" ""
}

for file in "$PG_TEST_DATA"/rules/*; do
	case $file in
	*.v6 | *6.rules) there_and_back 6 ip6tables "$file" ;;
	*) there_and_back 4 iptables "$file" ;;
	esac
done
summary
