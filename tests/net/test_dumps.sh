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

# A file that is one of several leads to chains of the others, which are declared here.
whole() {
	awk '{ line[NR] = $0 }
		/^:/ { declared[substr($1, 2)] }
		/^-/ && match($0, / -[jg] [a-z][^ \r]*/) { wanted[substr($0, RSTART + 4, RLENGTH - 4)] }
		END {
			for (i = 1; i <= NR; i++) {
				print line[i]
				if (line[i] ~ /^\*filter/)
					for (chain in wanted)
						if (!(chain in declared))
							print ":" chain " - [0:0]"
			}
		}' "$1"
}

# there_and_back FAMILY TOOL FILE
there_and_back() {
	whole "$3" >"$WORK/whole"
	ours "$1" "$WORK/whole" >"$WORK/out" 2>&1 || {
		fail "${3##*/}: loads" "$(cat "$WORK/out")"
		return
	}
	pg save "-$1" -c | grep -v '^#' >"$WORK/ours"
	if ! "$2-legacy-restore" -c <"$WORK/ours" 2>"$WORK/out"; then
		fail "${3##*/}: $2 takes what save writes" "$(cat "$WORK/out")"
		return
	fi
	for table in $(sed -n 's/^\*//p' "$WORK/ours"); do
		"$2-legacy-save" -c -t "$table"
	done >"$WORK/theirs"
	if ! pg restore "-$1" -c "$WORK/theirs" >"$WORK/out" 2>&1; then
		fail "${3##*/}: what $2 saves loads" "$(cat "$WORK/out")"
		return
	fi
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
