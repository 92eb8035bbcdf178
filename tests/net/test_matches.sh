#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Rules with matches of every kind, given to iptables-legacy and to portguard: both take them or
# neither, with the same words; what portguard prints and lists is what iptables does, reads back
# as the same, and loads there as the rule it came from.
#
# matches/*.both, *.4, *.6 have one rule a line, for both families or one: the words behind
# "-A INPUT". What follows "  => " is what portguard prints or says instead, on purpose; with
# "  ~> " that is another rule to iptables' -C, though it does the same.
# Usage: test_matches.sh [LIST…]

# A network namespace without a name, which goes away with this process.
if [ -z "${PG_MATCHES:-}" ] && [ "$(id -u)" = 0 ] && unshare -n true 2>/dev/null; then
	PG_MATCHES=1 PG_TEST_TIMEOUT=${PG_TEST_TIMEOUT:-600} exec unshare -n bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
need iptables-legacy ip6tables-legacy
[ -n "${PG_MATCHES:-}" ] || skip_all "no network namespaces here"
[ -x "$TOOLS/net/list" ] || skip_all "not built: $TOOLS/net/list"


# A message without the name of the tool. Bash does it, because there are a thousand of them.
message() { # FILE
	local line

	while IFS= read -r line && [[ $line = WARNING:* ]]; do :; done <"$1"
	case $line in
	*"(legacy): "*) line=${line#*"(legacy): "} ;;
	portguard:*) line=${line#*: *: } ;;
	*tables:*) line=${line#*: } ;;
	esac
	said=$line
}

# Sets code, and said: a message, or of portguard the rule as it prints it.
ask_iptables() { # words
	eval "$tool -w -A INPUT $1" 2>"$WORK/err"
	code=$?
	message "$WORK/err"
}

ask_portguard() { # words
	local line

	printf '*filter\n-A INPUT %s\nCOMMIT\n' "$1" >"$WORK/rule"
	"$TOOLS/net/list" -$family -S "$WORK/rule" >"$WORK/out" 2>"$WORK/err"
	code=$?
	message "$WORK/err"
	[ $code = 0 ] || return
	while IFS= read -r line; do
		[ "${line#-A INPUT}" = "$line" ] || said=${line#-A INPUT }
	done <"$WORK/out"
}

try() { # words, what portguard does instead
	local what="-$family $1" theirs their_code

	ask_iptables "$1"
	theirs=$said their_code=$code
	ask_portguard "$1"
	if [ $code = 0 ] && [ $their_code = 0 ]; then
		n=$((n + 1))
		words[n]=$1 printed[n]=$said mark[n]=$2
		return
	fi
	[ $their_code != 0 ] || $tool -w -D INPUT $((n + 1))
	if [ -n "$2" ]; then
		[ "$code $said" != "$their_code $theirs" ] || fail "$what" "differs no more: $said"
		expect "$what" "$said" "$2"
	elif [ $code != $their_code ]; then
		fail "$what" "iptables:  exit $their_code, $theirs" "portguard: exit $code, $said"
	elif [ $code = 1 ]; then
		pass "$what" # the kernel gives no reasons
	else
		expect "$what" "$said" "$theirs"
	fi
}

# What portguard printed is the rule that was asked for: iptables' -C compares all of it.
expect_same_rule() { # WHAT, words, printed
	local out

	$tool -w -F INPUT
	if out=$(eval "$tool -w -A INPUT $3" 2>&1 && eval "$tool -w -C INPUT $2" 2>&1); then
		pass "$1, to iptables"
	else
		fail "$1, to iptables" "$3" "$out"
	fi
}

# The rules that both took, and as both show them.
compare_rules() {
	local i rules=() shown=() read_back=() our_list=()

	mapfile -t -O 1 rules < <($tool -w -S INPUT | sed -n '2,$s/^-A INPUT //p')
	mapfile -t -O 1 shown < <($tool -w -nL INPUT | sed 1,2d)
	{ echo '*filter' && printf -- '-A INPUT %s\n' "${printed[@]}" && echo COMMIT; } >"$WORK/rules"
	mapfile -t -O 1 read_back < <("$TOOLS/net/list" -$family -S "$WORK/rules" |
		sed -n 's/^-A INPUT //p')
	mapfile -t -O 1 our_list < <("$TOOLS/net/list" -$family -n "$WORK/rules" |
		sed '1,2d; s/ IPv[46] only$//')
	expect "-$family: rules" "${#rules[@]} ${#shown[@]} ${#read_back[@]} ${#our_list[@]}" "$n $n $n $n"
	for ((i = 1; i <= n; i++)); do
		expect "-$family ${words[i]}, read back" "${read_back[i]}" "${printed[i]}"
		if [ -n "${mark[i]}" ]; then
			[ "${printed[i]}" != "${rules[i]}" ] || fail "-$family ${words[i]}" "differs no more"
			expect "-$family ${words[i]}" "${printed[i]}" "${mark[i]#\~}"
			[ "${mark[i]#\~}" != "${mark[i]}" ] || expect_same_rule "-$family ${words[i]}" "${words[i]}" "${printed[i]}"
		else
			expect "-$family ${words[i]}" "${printed[i]}" "${rules[i]}"
			expect "-$family ${words[i]}, listed" "${our_list[i]}" "${shown[i]}"
		fi
	done
}

run_list() {
	local line

	while IFS= read -r line; do
		[ -z "$line" ] || [ "${line#\#}" != "$line" ] ||
			case $line in
			*"  => "*) try "${line%%"  => "*}" "${line#*"  => "}" ;;
			*"  ~> "*) try "${line%%"  ~> "*}" "~${line#*"  ~> "}" ;;
			*) try "$line" "" ;;
			esac
	done <"$1"
}

# What holds for both families was asked rule by rule for IPv4; for IPv6 all that was taken goes
# in at once.
take_both() {
	local i

	for ((i = 1; i <= both; i++)); do
		# Of a restored file, iptables drops a word of nothing.
		[ -n "${mark[i]}" ] || [[ ${words[i]} = *'""'* ]] || printf -- '-A INPUT %s\n' "${words[i]}"
	done >"$WORK/both"
	{ echo '*filter' && cat "$WORK/both" && echo COMMIT; } >"$WORK/rules"
	expect_ok "IPv6 takes what IPv4 does" $tool-restore -w -n "$WORK/rules"
	words=() printed=() mark=()
	mapfile -t -O 1 words < <(sed 's/^-A INPUT //' "$WORK/both")
	n=$(wc -l <"$WORK/both")
	mapfile -t -O 1 printed < <("$TOOLS/net/list" -$family -S "$WORK/rules" |
		sed -n 's/^-A INPUT //p')
	for ((i = 1; i <= n; i++)); do mark[i]=; done
}

# The sets that matches/set.4 asks for.
for set in foo "a b" 1234567890123456789012345678901; do
	ipset create "$set" hash:ip 2>/dev/null || { no_sets=1 && skip "-m set: no ipset here"; break; }
done
ipset create ipport hash:ip,port 2>/dev/null

n=0 both=0 no_sets=${no_sets:-} words=() printed=() mark=()
[ $# -gt 0 ] || set -- "$(dirname "$0")"/matches/*
for family in 4 6; do
	tool=ip6tables-legacy
	[ $family = 6 ] || tool=iptables-legacy
	$tool -w -F INPUT
	if [ $family = 6 ]; then
		take_both
	else
		for list; do
			[ "${list##*.}" != both ] || run_list "$list"
		done
		both=$n
	fi
	for list; do
		case $list in
		*/set.4) [ $family = 6 ] || [ -n "$no_sets" ] || run_list "$list" ;;
		*.$family) run_list "$list" ;;
		esac
	done
	compare_rules
done
summary
