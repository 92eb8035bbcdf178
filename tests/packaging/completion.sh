# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Help and completion are made of one table: what they name must be what the commands take.

for shell in bash zsh fish; do
	"$portguard" completion $shell >"$tmp/completion.$shell" || fail "no completion for $shell"
	if need $shell; then
		check "$shell cannot read its completion" $shell -n "$tmp/completion.$shell"
	fi
done

# completed LIST WORD…: what bash offers for the last word is exactly LIST, or has it at its start
completed() {
	local want=$1 got
	shift
	got=$(bash -c '. "$0"; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _portguard
		echo "${COMPREPLY[*]}"' "$tmp/completion.bash" portguard "$@" 2>&1)
	case $got in
	"$want" | "$want "*) ok ;;
	*) fail "completion of '$*' is '$got', not '$want'" ;;
	esac
}

completed attach att
completed attach --state /x att
completed "auto native skb tc" attach --mode ""
completed "INPUT FORWARD OUTPUT PREROUTING" -A ""
completed "--vlan-id" -A INPUT -m vlan --vl
completed "--reject-with" -A INPUT -j REJECT --rej
completed "" -A INPUT --vl
completed "conntrack connlimit connbytes" -A INPUT -m conn
completed "pass" set-fragments pa
completed "help" hel
completed "flows" top fl
completed "overview" top ov
completed "NEW ESTABLISHED RELATED INVALID UNTRACKED" test --ctstate ""
completed "rule policy non-ip" drops --reason ""
completed "gratuitous-arp" drops --reason gra

if need fish; then
	fish -c "source $tmp/completion.fish; complete -C 'portguard attach --mode '" >"$tmp/said" 2>&1
	if [ "$(cut -f 1 "$tmp/said" | tr '\n' ' ')" = "auto native skb tc " ]; then ok; else
		fail "fish completes --mode otherwise" "$tmp/said"
	fi
fi

# The commands, as `portguard help` has them, and the options of one, as completion has them.
commands=$("$portguard" help | awk '/^  [a-z][a-z-]+  / { print $1 }')
options_of() {
	sed -n "/^_portguard_$1()/,/^}/s/.*_portguard_words '--help\([^']*\)'.*/\1/p" \
		"$tmp/completion.bash" | tr ' ' '\n' | grep '^-'
}

for command in $commands; do
	"$portguard" "$command" --help >"$tmp/help" 2>"$tmp/said"
	if [ -s "$tmp/said" ] || ! grep -q "^Usage: portguard $command" "$tmp/help"; then
		fail "no '$command --help'" "$tmp/said"
		continue
	fi
	for option in $(options_of "$command"); do
		# An option that there is not ends it before anything happens; a value may be wanted first.
		timeout 20 "$portguard" "$command" "$option" --no-such --no-such >"$tmp/said" 2>&1 </dev/null
		if grep -qF "unknown option \"$option\"" "$tmp/said"; then
			fail "'$command' has no $option, which its help has"
		elif [ "$option" != --json ] &&
			! sed 1,2d "$tmp/help" | grep -qE -- "^  (-.*, )?$option( |,|\$)"; then
			fail "'$command --help' does not say what $option does"
		else
			ok
		fi
	done
done
# And the other way round: what commands take is in their help.
for file in user/cmd_*.c; do
	sed -n 's/^\t*{ "\([a-z0-9-]*\)", [a-z]*_argument.*/\1/p' "$file" >"$tmp/options"
	while read -r option; do
		case $option in
		wait | ipv4 | ipv6 | source | src | destination | dst | source-port | destination-port | \
			protocol | proto | in-interface | icmpv6-type) ok ;; # longer names
		*) if grep -qF -- "--$option" "$file"; then ok; else
			fail "$file takes --$option, which its help has not"
		fi ;;
		esac
	done <"$tmp/options"
done
