#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# iptables' own syntax tests: *.t in PG_TEST_DATA/iptables-syntax, of the extensions that portguard
# has. A line ":CHAIN,CHAIN" names the chains of those that follow: "arguments;saved form;OK or
# FAIL", where "=" is the arguments as they are. The last line is "N passed, N failed, N skipped".
# Usage: syntax.sh [PORTGUARD]
cd "$(dirname "$0")/.." || exit 1

portguard=${1:-./portguard}
folder=${PG_TEST_DATA:-}/iptables-syntax
passed=0 failed=0
declare -A skips # lines by reason

skip() { # REASON
	skips[$1]=$((${skips[$1]:-0} + 1))
}

fail() { # WHAT LINE…
	failed=$((failed + 1))
	echo "FAILED: $1"
	shift
	printf '    %s\n' "$@"
}

finish() {
	local reason skipped=0

	for reason in "${!skips[@]}"; do
		skipped=$((skipped + skips[$reason]))
		echo "skip: $reason (${skips[$reason]})"
	done
	echo "$passed passed, $failed failed, $skipped skipped"
	[ $failed = 0 ]
	exit
}

# ask FAMILY CHAIN ARGUMENTS: 0, and said is the rule as printed; otherwise said is why not
ask() {
	if out=$(printf '*filter\n-A %s %s\nCOMMIT\n' "$2" "$3" |
		"$portguard" restore --test --print "-$1" 2>&1); then
		said=$(sed -n "s/^-A $2 //p" <<<"$out")
		return 0
	fi
	said=${out%%$'\n'*}
	return 1
}

# one FAMILY CHAIN ARGUMENTS SAVED OK|FAIL
one() {
	local what="$file: -$1 -A $2 $3" out said wanted=$4

	[ "$wanted" != = ] || wanted=$3
	if ! ask "$1" "$2" "$3"; then
		if [[ $said =~ "not supported"|"no rules yet"|"not enforced" ]]; then
			skip "$file: ${said#*: *: }"
		elif [ "$5" = FAIL ]; then
			passed=$((passed + 1))
		else
			fail "$what" "$said"
		fi
	elif [ "$5" = FAIL ]; then
		fail "$what" "accepted: $said"
	elif [ "$said" != "$wanted" ]; then
		fail "$what" "got:    $said" "wanted: $wanted"
	else
		passed=$((passed + 1))
	fi
}

# iptables runs those of libip6t_ as ip6tables, all others as iptables.
family_of() {
	case $1 in
	libip6t_*) echo 6 ;;
	*) echo 4 ;;
	esac
}

run_file() {
	local line chain family chains=() arguments saved verdict

	family=$(family_of "$file")
	while IFS= read -r line; do
		case $line in
		"" | \#*) continue ;;
		:*)
			IFS=, read -ra chains <<<"${line#:}"
			continue
			;;
		\**)
			skip "$file: tests for table ${line#\*}"
			return
			;;
		esac
		verdict=${line##*;}
		saved=${line%;*}
		arguments=${saved%;*}
		saved=${saved##*;}
		for chain in "${chains[@]}"; do
			one "$family" "$chain" "$arguments" "$saved" "$verdict"
		done
	done <"$1"
}

if [ ! -d "$folder" ]; then
	skip "PG_TEST_DATA has no iptables-syntax"
	finish
fi
for path in "$folder"/*.t; do
	file=$(basename "$path")
	run_file "$path"
done
finish
