# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# The same rules and the same traffic twice, through the kernel's iptables and through portguard; sourced
# behind lib.sh. The test says in JUDGED which namespace filters, in IFACES what portguard is attached to
# there, and defines arrived(), which prints what came through.

shopt -s lastpipe # rules come from a pipe, and what fails is counted in this shell
case_dir=$WORK/case
mkdir -p "$case_dir"

# tables_of FAMILY: the command's name without its end
tables_of() {
	[ "$1" = 4 ] && echo iptables-legacy || echo ip6tables-legacy
}

# What -c prints, without comments and what only portguard or the kernel has.
only_rules() {
	grep -v -e '^#' -e '^COMMIT' | sed 's/ *$//' | awk -v asked="$(grep '^\*' "$case_dir/rules")" '
		/^\*/ { table = $0; next }
		!index(asked, table) { next }
		/^:/ && $2 == "ACCEPT" && $3 == "[0:0]" { next } # a chain that is not used
		{ print table, $0 }' | sort
}

no_kernel_rules() {
	local tables=$1

	printf '*raw\nCOMMIT\n*filter\nCOMMIT\n' | in_ns "$JUDGED" "$tables-restore" -w
	in_ns "$JUDGED" "$tables" -w -P INPUT ACCEPT
	in_ns "$JUDGED" "$tables" -w -P FORWARD ACCEPT
	in_ns "$JUDGED" "$tables" -w -P OUTPUT ACCEPT
	in_ns "$JUDGED" "$tables" -w -t raw -P OUTPUT ACCEPT
	in_ns "$JUDGED" "$tables" -w -t raw -P PREROUTING ACCEPT
}

# And counters at 0.
no_rules() {
	printf '%s [0:0]\n' '*raw' ':PREROUTING ACCEPT' ':OUTPUT ACCEPT' COMMIT \
		'*filter' ':INPUT ACCEPT' ':FORWARD ACCEPT' ':OUTPUT ACCEPT' COMMIT |
		sed '/^[*C]/s/ .*//' | pg "$JUDGED" restore -c
}

# by_kernel FAMILY RULES TRAFFIC…
by_kernel() {
	local tables
	tables=$(tables_of "$1")

	in_ns "$JUDGED" "$tables-restore" -w <"$2" || return 1
	shift 2
	"$@" >/dev/null 2>&1
	sleep 0.1
	in_ns "$JUDGED" "$tables-save" -c | only_rules >"$case_dir/kernel"
	no_kernel_rules "$tables"
	arrived >"$case_dir/kernel.arrived"
}

by_portguard() {
	local family=$1

	no_rules # what the kernel let through was counted here, too
	pg "$JUDGED" restore "-$1" <"$2" || return 1
	shift 2
	"$@" >/dev/null 2>&1
	sleep 0.1
	pg "$JUDGED" save -c "-$family" | only_rules >"$case_dir/portguard"
	arrived >"$case_dir/portguard.arrived"
}

# twice WHAT FAMILY TRAFFIC…, rules on standard input
twice() {
	local what=$1 family=$2
	shift 2

	cat >"$case_dir/rules"
	no_rules
	arrived >/dev/null
	by_kernel "$family" "$case_dir/rules" "$@" || { fail "$what: the kernel takes no such rules"; return; }
	by_portguard "$family" "$case_dir/rules" "$@" || { fail "$what: portguard does not"; return; }
	expect "$what: counters" "$(cat "$case_dir/portguard")" "$(cat "$case_dir/kernel")"
	expect "$what: what came through" "$(cat "$case_dir/portguard.arrived")" \
		"$(cat "$case_dir/kernel.arrived")"
	grep -qv '\[0:0\]' "$case_dir/kernel" || fail "$what: nothing was counted"
}
