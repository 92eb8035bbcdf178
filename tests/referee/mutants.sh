#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Can the referee fail? Bugs are put into a copy of the tree, one at a time, and each must be found
# by a comparison with the kernel; without one, nothing must be.
#   mutants.sh few      three of them, for `make test`
#   mutants.sh all      all of them (make test-mutants)
#   mutants.sh NAME…    those whose names begin so
# PG_N: verdicts for each, 24 000 unless given. V=1 shows what was found. A bug whose place is not
# there exactly once is a failure: whoever changes that line finds it another one.
# The last line is always "N passed, N failed, N skipped".
set -u -o pipefail
shopt -u patsub_replacement 2>/dev/null # bash 5.2: & is an ampersand
cd "$(dirname "$0")/../.." || exit 1

passed=0 failed=0 skipped=0
what=${1:-all}
names=("$@")

finish() {
	rm -rf --one-file-system "$COPY" "$COPY.log"
}

done_with() {
	echo "$passed passed, $failed failed, $skipped skipped"
	exit "$1"
}

skip_all() {
	echo "skip: mutants: $1"
	skipped=1
	done_with 77
}

fail() {
	failed=$((failed + 1))
	echo "FAILED: mutants: $1"
	[ -z "${2:-}" ] || tail -n 30 "$2" | cut -c 1-400 | sed 's/^/    /'
}

[ "$(id -u)" = 0 ] || skip_all "needs root"
COPY=$(mktemp -d "${TMPDIR:-/tmp}/portguard-mutants.XXXXXX") || exit 1
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# What is built is copied too, with its times, so that each bug costs only what depends on it.
tar --exclude=./.git --exclude=./.output/tests/unit --exclude=./.output/tests/bench \
	--exclude='./.output/tests/bpf/test_*' -cf - . | tar -xf - -C "$COPY" || exit 1

build() {
	make -j2 -C "$COPY" --no-print-directory .output/tests/referee/referee "$@" >"$COPY.log" 2>&1
}

# judge SCRIPT|large FEATURES|state|state,FEATURES|both: 0: it says that all is as in the kernel
judge() {
	local states=0 features=$2

	if [ "$1" = large ]; then
		env -u PG_SEED PG_POLICIES="${PG_POLICIES:-130}" "$COPY/.output/tests/bpf/test_large" >"$COPY.log" 2>&1
		return
	fi
	[ "$2" != both ] || states='' features=''
	[ "${2%%,*}" != state ] || states=1
	[ "$2" != state ] || features=''
	env PORTGUARD="$COPY/portguard" PG_N="${PG_N:-24000}" PG_SEED= PG_ROUND= PG_STATES=$states \
		PG_FEATURES="$features" PG_TEST_DATA= bash "$COPY/tests/net/$1" >"$COPY.log" 2>&1
}

# What a difference looks like: only that counts as found, not that something else went wrong.
difference() {
	grep -m 1 -E '^(kernel: seen|counters of rule|state of frame|FAILED: (reject|state): |ERROR: seed .* oracle: )' "$COPY.log"
}

wanted() {
	local name

	case $what in
	all | few) return 0 ;;
	esac
	for name in "${names[@]}"; do
		[ "${1#"$name"}" = "$1" ] || return 0
	done
	return 1
}

# replace FILE OLD NEW: exactly one place is changed
replace() {
	local text rest

	text=$(cat "$COPY/$1") || return 1
	rest=${text/"$2"/}
	[ "$rest" != "$text" ] && [ "${rest/"$2"/}" = "$rest" ] || return 1
	printf '%s\n' "${text/"$2"/"$3"}" >"$COPY/$1"
}

# bug NAME FILE OLD NEW [FEATURES [SCRIPT [MAKE TARGET…]]]; "state", "state,FEATURES": found by rules about connections;
# SCRIPT "large": by policies of many rules, which are held against the oracle
bug() {
	local name=$1 file=$2 old=$3 new=$4 features=${5:-} script=${6:-test_referee.sh} found rc
	shift $(($# > 6 ? 6 : $#))

	wanted "$name" || return
	if ! replace "$file" "$old" "$new"; then
		fail "$name: not exactly one place for it in $file"
		return
	fi
	if ! build "$@"; then
		fail "$name: does not build" "$COPY.log"
	else
		judge "$script" "$features"
		rc=$?
		found=$(difference)
		if [ $rc = 77 ]; then
			skip_all "$(grep -m 1 '^skip' "$COPY.log")"
		elif [ $rc != 0 ] && [ -n "$found" ]; then
			passed=$((passed + 1))
			echo "found: $name"
			[ -z "${V:-}" ] || echo "    ${found:0:200}"
		else
			fail "$name: not found" "$COPY.log"
		fi
	fi
	cp "$file" "$COPY/$file" # newer than what was built of it
}

no_bug() {
	if ! build; then
		fail "the copy does not build" "$COPY.log"
		done_with 1
	fi
	judge test_referee.sh both
	case $? in
	0) passed=$((passed + 1)) && echo "no bug: nothing is found" ;;
	77) skip_all "$(grep -m 1 '^skip' "$COPY.log")" ;;
	*) fail "without a bug something is found" "$COPY.log" ;;
	esac
}

few_bugs() {
	bug "a range ends one too late" user/terms.c \
		'next, in[i].lo - 1 };' 'next, in[i].lo };' multiport,ports
	bug "the last rule that matches wins" user/compile.c \
		'for (size_t i = 0; !r && i < ch->n_rules; i++) {' \
		'for (size_t i = ch->n_rules; !r && i--;) {' ports
	bug "RETURN leaves two chains" bpf/classify.bpf.h \
		'up = 1 + extra;' 'up = 2 + extra;' chains,return,ports
}

# In the command.
user_bugs() {
	bug "! before -p is not seen" user/compile.c \
		'(rule->proto == proto) == rule->proto_invert' 'rule->proto != proto' protocols
	bug "! before --tcp-flags is not seen" user/compile.c \
		'((flags & m->ports.flags_mask) == m->ports.flags_comp) == m->ports.flags_invert)' \
		'(flags & m->ports.flags_mask) != m->ports.flags_comp)' flags
	bug "! before an address is not seen" user/compile.c \
		'p->invert = a->invert;' 'p->invert = false;' ports
	bug "-f is not seen" user/compile.c \
		'rule->fragment_set && later' 'rule->fragment_set && false && later' fragments,ports
	bug "--ports asks for the source only" user/terms.c \
		'PG_MULTIPORT_EITHER &&' 'PG_MULTIPORT_EITHER && false &&' multiport
	bug "multiport takes what is cut off" user/terms.c \
		'asks |= PG_ASK_PORTS;' 'asks |= 0;' multiport
	bug "a match asks before those that stand before it" user/terms.c \
		't->before = t->n_checks;' 't->before = 0;' length,ttl,ports,multiport
	bug "--ttl-gt takes the number itself" user/checks.c \
		'v + 1U, UINT32_MAX' 'v, UINT32_MAX' ttl
	bug "--dscp is taken for the whole byte" user/checks.c \
		'm->bits.value << 2' 'm->bits.value' dscp
	bug "nth begins anywhere" user/checks.c \
		'm->statistic.every - 1 - m->statistic.packet' 'm->statistic.every - 1' nth
}

# In the programs.
bpf_bugs() {
	bug "an address range ends one too early" bpf/check.bpf.h \
		'lo <= c->u64[3]' 'lo < c->u64[3]' iprange
	bug "! before --mac-source is not seen" bpf/check.bpf.h \
		'holds(same != c->invert)' 'holds(same)' mac
	bug "--hitcount wants one more" bpf/check.bpf.h \
		'++hits >= c->v[4]' '++hits > c->v[4]' recent
	bug "a limit's last token is kept" bpf/check.bpf.h \
		'from + cost - now > burst' 'from + cost - now >= burst' limit
	bug "goto comes back" bpf/classify.bpf.h \
		'rec->arg & 0xffffff, false' 'rec->arg & 0xffffff, true' chains,goto,ports
	bug "MARK keeps bits" bpf/classify.bpf.h \
		'~arg->v[1]) ^ arg->v[0]' '~arg->v[1]) | p->mark | arg->v[0]' mark,set-mark,ports
	bug "a header of AH is four bytes shorter" bpf/parse.bpf.h \
		'{ 2, 255, 2, 2 }' '{ 2, 255, 1, 2 }' ports
	bug "a bad checksum is none" bpf/parse.bpf.h \
		'!cfg.skip_csum && !ip4_sum_ok(sum)' '!cfg.skip_csum && !sum' ports
	bug "later fragments go the fast way" bpf/fast.bpf.h \
		'ip4->frag_off & bpf_htons(IP_MF | IP_OFFSET)' 'ip4->frag_off & bpf_htons(IP_MF)' ports
	bug "the fast way counts IPv6 without its header" bpf/fast.bpf.h \
		'bpf_ntohs(h->payload_len) + sizeof(*h);' 'bpf_ntohs(h->payload_len);' ports
	bug "what goes on is not counted" bpf/classify.bpf.h \
		'	count_rule(rec->slot, p);' '	if (rec->kind != PG_ACT_LOG)
		count_rule(rec->slot, p);' log,ports
	bug "bytes are the frame's" bpf/count.bpf.h \
		'add_u64(to, &c->bytes, p->bytes);' 'add_u64(to, &c->bytes, p->bytes + 14);' ports
	bug "! before --ctstate is not seen" bpf/check.bpf.h \
		'holds(!!(p->ct_state & c->v[0]) != c->invert)' 'holds(p->ct_state & c->v[0])' state
	bug "--ctdir is the other one" bpf/ct.bpf.h \
		'by_opener == (f->kind == FLOW_QUOTED)' 'by_opener != (f->kind == FLOW_QUOTED)' state,conntrack
	bug "--ctstatus wants all that it names" bpf/ct.bpf.h \
		'holds(!!(v & c->v[1]) != c->invert)' 'holds(((v & c->v[1]) == c->v[1]) != c->invert)' state,conntrack
	bug "--ctreplsrcport is the opener's" bpf/ct.bpf.h \
		'ct->field[PG_CT_PORT + PG_CT_ORIGDST] = ct->field[PG_CT_PORT + PG_CT_REPLSRC] =
		f->port[src ^ 1];' 'ct->field[PG_CT_PORT + PG_CT_ORIGDST] = f->port[src ^ 1];
	ct->field[PG_CT_PORT + PG_CT_REPLSRC] = f->port[src];' state,conntrack
	bug "connbytes takes the other direction" bpf/ct.bpf.h \
		'bytes = sent[c->v[5] & 1].bytes;' 'bytes = sent[~c->v[5] & 1].bytes;' state,connbytes
	bug "connbytes begins behind the first packet" bpf/ct.bpf.h \
		'what >= c->u64[0] &&' 'what > c->u64[0] &&' state,connbytes
	bug "rpfilter is always loose" bpf/route.bpf.h \
		'return loose || fib->ifindex == cfg.ifindex;' 'return loose || fib->ifindex;' raw,rpfilter,ports
	bug "rpfilter takes what is from here" bpf/route.bpf.h \
		'return how & PG_RPFILTER_LOCAL;' 'return true;' raw,rpfilter,ports
	bug "raw accepts for filter, too" bpf/classify.bpf.h \
		'return accept_stage(t, p, PG_REASON_RULE, rec->slot);' \
		'return finish(at, PG_VERDICT_ACCEPT, PG_REASON_RULE, rec->slot);' raw,ports
	bug "NOTRACK is forgotten" bpf/classify.bpf.h 'p->untracked = 1;' 'p->untracked = 0;' state
	bug "an error is about whoever it quotes" bpf/flow.bpf.h \
		'h.saddr != s->p->daddr[0]' 'h.saddr == h.daddr' state
	bug "an answer opens, too" bpf/flow.bpf.h 'return !f->from;' 'return true;' state
	bug "replies are not noticed" bpf/flow.bpf.h \
		'f->status |= PG_FLOW_SEEN_REPLY' 'f->status |= 0' state
	bug "a RST is answered by a RST" bpf/reject.bpf.h \
		'p->tcp_flags & 1 << PG_FLAG_RST || !load' '!load' "" test_reject.sh portguard \
		.output/tests/net/answers .output/tests/net/send
}

large_bug() {
	bug "$@" "" large .output/tests/bpf/test_large
}

# In how the first rule that matches is searched for, where there are many.
search_bugs() {
	local search=bpf/search.bpf.h

	if [ "$what" = all ]; then
		if ! build .output/tests/bpf/test_large || ! judge large ""; then
			fail "without a bug policies of many rules differ from the oracle" "$COPY.log"
			return
		fi
		passed=$((passed + 1))
		echo "no bug: nothing is found in policies of many rules"
	fi
	large_bug "a search that is given up forgets the few" $search \
		'return base < limit ? TERM_UNSURE | (__u64)base << 32 : best;' \
		'return TERM_UNSURE | (__u64)base << 32;'
	large_bug "a long prefix is compared from its third word on" $search \
		'((addr[1] ^ want[1]) & -(word >> 1)) |' '0 |'
	large_bug "the few begin before the cursor" $search 'if (term >= q->cursor &&' 'if ('
	large_bug "a row of few has no other behind it" $search '	take_own_rows(t, q);' ''
	large_bug "the second of two words has the first one's number" $search '		if (pairs && !word) {
			base += 64;' '		if (pairs && !word) {'
	large_bug "a source knows of destinations' homes" $search ' && !gen->homes' ''
	large_bug "departures ask INPUT's search" bpf/classify.bpf.h 'p->hook != PG_STAGE_OUTPUT' 'true'
	large_bug "an entry is sure in spite of conditions" user/compile.c '!rec->checks && ' ''
	large_bug "an entry is sure in spite of flags" user/compile.c '!rec->flags_mask && ' ''
	large_bug "an entry is sure in spite of the source port" user/compile.c \
		'rec->sport_hi == UINT16_MAX &&' ''
	large_bug "! before a destination is not seen by an entry" user/compile.c \
		'!(rec->invert & PG_DIM_DADDR) && ' ''
	large_bug "what has checks has an outcome" user/compile.c 'if (pg_brief(rec))' 'if (i + 1)'
	large_bug "no term is the first one" user/compile.c \
		'c->gen.outcome[pg_lowest_hash(PG_LEAF)] = PG_NO_TERM;' ''
	large_bug "source ports are not asked for" bpf/classify.bpf.h ' && !(t->gen->dims & PG_DIM_SPORT)' ''
	large_bug "the few are not in order" user/trie.c \
		'qsort(w->term, n, sizeof(*w->term), term_cmp);' '(void)term_cmp;'
}

no_bug
few_bugs
if [ "$what" != few ]; then
	user_bugs
	bpf_bugs
	search_bugs
fi
[ $failed = 0 ]
done_with $?
