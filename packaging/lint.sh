#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What checkers find in one file, for `make lint-code`; says nothing if that is nothing.
#   lint.sh FILE.c CFLAGS…    gcc -fanalyzer, clang-tidy, cppcheck
#   lint.sh scripts           shellcheck
set -u
cd "$(dirname "$0")/.." || exit 1

# Of gcc's analyzer: FILE WARNING, where a look has shown that it is mistaken. It does not see that
# pg_fail(), pg_diag() and their like return the negative number that they were given, so it follows a
# failure as if it were a success: what the callee would have set is not set, what it had freed leaks.
# And what was stored in an array of a struct (explain, snapshot, usage, setfile, drops) or moved out of one with a
# cleanup (outfile) it loses sight of.
mistaken() {
	cat <<-ROWS
	user/cmd_serve.c        null-argument
	user/cmd_shadow.c       null-dereference
	user/drops.c            malloc-leak
	user/drops.c            null-dereference
	user/explain.c          malloc-leak
	user/learn_run.c        null-dereference
	user/outfile.c          malloc-leak
	user/setfile.c          malloc-leak
	user/snapshot.c         malloc-leak
	user/usage.c            malloc-leak
	user/cmd_set_timeout.c  use-of-uninitialized-value
	user/local.c            use-of-uninitialized-value
	user/iptables.c         null-dereference
	user/policy.c           null-dereference
	user/match_hashlimit.c  malloc-leak
	user/match_recent.c     malloc-leak
	user/ruleset.c          malloc-leak
	ROWS
}

# Left out are: names that what sources the file uses, and counters of loops (2034, 2154, 2120); words that are split,
# or hold commas, on purpose (2046, 2054); `last= now` (1007); a status that nobody asks for (2155); names of
# files that the tests chose themselves (2010, 2011).
scripts() {
	git ls-files '*.sh' .ci/run packaging/crowdsec/portguard-crowdsec packaging/debian/prerm packaging/debian/postrm 2>/dev/null |
		xargs -r shellcheck -x -S warning \
			-e SC1007,SC2010,SC2011,SC2034,SC2046,SC2054,SC2120,SC2154,SC2155
}

if [ "$1" = scripts ]; then
	scripts
	exit
fi
file=$1
shift
rc=0

allowed=$(mistaken | awk -v file="$file" '$1 == file { print "-Wno-analyzer-" $2 }')
# An analysis that is too complex ends without a result; it is no finding.
# shellcheck disable=SC2086 # options are words
gcc "$@" -fanalyzer -Wno-analyzer-too-complex $allowed -c -o /dev/null "$file" || rc=1

options=()
for option; do
	case $option in
	-W*) ;; # which warnings there are is .clang-tidy's
	*) options+=("$option") ;;
	esac
done
clang-tidy --quiet "$file" -- "${options[@]}" 2>/dev/null || rc=1

# It knows neither cleanup attributes (memleak, resourceLeak) nor a ?: without its middle.
cppcheck --quiet --error-exitcode=1 --enable=warning,portability --inline-suppr \
	--suppress=missingIncludeSystem --suppress=memleak --suppress=resourceLeak \
	--suppress=internalAstError -D_GNU_SOURCE '-DPG_VERSION=""' \
	'-DLIBBPF_OPTS(type, name, ...)=struct type name = { __VA_ARGS__ }' -Iinclude -Iuser "$file" || rc=1
exit $rc
