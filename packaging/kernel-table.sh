#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# kernel-table.sh TABLE README: the table between the README's two markers, anew.
set -eu
table=$1 readme=$2

grep -q '^| [0-9]' "$table" || { echo "portguard: $table has no kernels: run 'make test-vm'" >&2; exit 1; }
awk -v table="$table" '
	/^<!-- kernels: end -->$/ { on = 0; seen++ }
	!on { print }
	/^<!-- kernels: begin/ { on = 1; seen++; while ((getline line < table) > 0) print line }
	END { exit seen != 2 }' "$readme" >"$readme.tmp" ||
	{ rm -f "$readme.tmp"; echo "portguard: $readme has no markers for the table" >&2; exit 1; }
cat "$readme.tmp" >"$readme"
rm "$readme.tmp"
