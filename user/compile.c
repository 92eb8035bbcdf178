// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "compile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "addr.h"
#include "chains.h"
#include "homes.h"
#include "namings.h"
#include "terms.h"
#include "trie.h"

struct compiler {
	const struct pg_ruleset *set;
	const struct pg_compile_opts *opts;
	struct pg_trie *trie;
	struct pg_few *few; /* by term */
	bool verify;	    /* what records know is not asked of bitmaps */
	__u8 *home;	    /* by term: PG_DIM_SADDR, PG_DIM_DADDR or 0, see pg_abi.h */
	struct pg_term *term;
	size_t n_terms, cap_terms;
	uint32_t *span_of; /* by chain: its span + 1; 0: not reached */
	uint8_t *depth;	   /* by chain: frames needed below it + 1; 0: not known */
	unsigned *from;	   /* by chain: built-in chains that lead to it, as pg_chains_reach() */
	struct pg_namings *namings;
	struct pg_tables *tables;
	struct pg_gen gen;
	struct pg_err *err;
};

static int no_memory(struct compiler *c)
{
	return pg_fail(c->err, -ENOMEM, "no memory to compile the policy");
}

static int too_many(struct compiler *c, const char *what, unsigned max)
{
	return pg_fail(c->err, -E2BIG, "policy too large: more than %u %s", max, what);
}

/* It is this rule that can't be: where a file has it, that is told. Returns r. */
static int blame(struct compiler *c, const struct pg_rule *rule, int r)
{
	char text[sizeof(c->err->text)];

	if (c->opts->where) {
		*c->opts->where = rule->pos;
	} else if (c->err && rule->pos.line) {
		memcpy(text, c->err->text, sizeof(text));
		pg_fail_exit(c->err, c->err->exit_code, r, "line %u: %s", rule->pos.line, text);
	}
	return r;
}

/* Chains --------------------------------------------------------------------------------------- */

static size_t chain_index(const struct compiler *c, const struct pg_rule *rule, size_t from)
{
	const struct pg_chain *to =
		pg_ruleset_chain(c->set, c->set->chain[from].table, rule->chain);

	return to ? (size_t)(to - c->set->chain) : SIZE_MAX;
}

static size_t segments_of(const struct pg_rule *rule)
{
	size_t n = 0, at = 0;

	do {
		at = pg_segment_end(rule, at);
		n++;
	} while (at < rule->n_match);
	return n;
}

static int reach(struct compiler *c, size_t chain);

/* The chain a rule leads to is reached too, and how deep that goes. */
static int reach_by(struct compiler *c, size_t chain, const struct pg_rule *rule, unsigned *depth)
{
	unsigned frames = segments_of(rule) - 1;
	size_t to;
	int r;

	if (rule->target == PG_TARGET_CHAIN) {
		to = chain_index(c, rule, chain);
		if (to == SIZE_MAX)
			return pg_fail(c->err, -ENOENT, "chain `%s' does not exist", rule->chain);
		r = reach(c, to);
		if (r)
			return r;
		frames += c->depth[to] - 1 + !rule->is_goto;
	}
	if (frames > *depth)
		*depth = frames;
	return 0;
}

static int too_deep(struct compiler *c, const struct pg_chain *chain, size_t rule)
{
	return blame(c, &chain->rule[rule],
		     pg_fail(c->err, -E2BIG, "policy too large: chains jump more than %d deep (at `%s')",
			     PG_MAX_DEPTH, chain->name));
}

#define ON_THE_WAY 255

static int reach(struct compiler *c, size_t chain)
{
	const struct pg_chain *ch = &c->set->chain[chain];
	unsigned depth = 0;
	size_t i;
	int r = 0;

	if (c->depth[chain] == ON_THE_WAY)
		return pg_fail(c->err, -ELOOP, "chain `%s' leads back to itself", ch->name);
	if (c->depth[chain])
		return 0;
	c->depth[chain] = ON_THE_WAY;
	for (i = 0; !r && depth <= PG_MAX_DEPTH && i < ch->n_rules; i++)
		r = reach_by(c, chain, &ch->rule[i], &depth);
	if (!r && depth > PG_MAX_DEPTH)
		return too_deep(c, ch, i - 1);
	c->depth[chain] = depth + 1;
	return r;
}

static int add_span(struct compiler *c, uint32_t *ret)
{
	struct pg_tables *t = c->tables;
	struct pg_span *spans;

	if (t->n_spans == PG_MAX_CHAINS)
		return too_many(c, "chains (a rule with a match behind a limit or the like is one)",
				PG_MAX_CHAINS);
	spans = reallocarray(t->spans, t->n_spans + 1, sizeof(*spans));
	if (!spans)
		return no_memory(c);
	t->spans = spans;
	spans[t->n_spans] = (struct pg_span){ 0 };
	*ret = t->n_spans++;
	return 0;
}

/* Terms ---------------------------------------------------------------------------------------- */

static int add_segment(struct compiler *c, uint32_t chain, size_t at, size_t from, size_t to,
		       uint32_t span)
{
	const struct pg_rule *rule = &c->set->chain[chain].rule[at];
	unsigned n = pg_terms_of(rule, from, to);
	int r;

	if (n == PG_TERMS_TOO_MANY || c->n_terms + n >= PG_MAX_TERMS)
		return too_many(c, "rules (each --ports in a rule makes it count twice)",
				PG_MAX_TERMS);
	if (c->n_terms + n > c->cap_terms) {
		size_t cap = 2 * c->cap_terms + 64;
		struct pg_term *bigger = reallocarray(c->term, cap, sizeof(*bigger));

		if (!bigger)
			return no_memory(c);
		c->term = bigger;
		c->cap_terms = cap;
	}
	for (unsigned which = 0; which < n; which++) {
		struct pg_term *t = &c->term[c->n_terms++];

		r = pg_term_make(rule, chain, at + 1, from, to, which, t);
		if (r)
			return no_memory(c);
		t->span = span;
	}
	return 0;
}

/* The rule's first segment; spans for the others follow each other. */
static int add_first_segments(struct compiler *c, uint32_t chain)
{
	const struct pg_chain *ch = &c->set->chain[chain];
	int r = 0;

	for (size_t i = 0; !r && i < ch->n_rules; i++) {
		const struct pg_rule *rule = &ch->rule[i];
		size_t n = segments_of(rule);
		uint32_t span = 0, other;

		for (size_t k = 1; !r && k < n; k++)
			r = add_span(c, k == 1 ? &span : &other);
		if (!r)
			r = add_segment(c, chain, i, 0, pg_segment_end(rule, 0), span);
	}
	return r;
}

/* Segments behind the first, each in the span that the one before it leads to. */
static int add_other_segments(struct compiler *c, const struct pg_term *first)
{
	const struct pg_rule *rule = first->rule;
	size_t number = first->number, from = first->to;
	uint32_t chain = first->chain, span = first->span;

	while (from < rule->n_match) {
		size_t to = pg_segment_end(rule, from);
		int r;

		c->tables->spans[span].start = c->n_terms;
		r = add_segment(c, chain, number - 1, from, to, span + 1);
		if (r)
			return r;
		c->tables->spans[span++].end = c->n_terms;
		from = to;
	}
	return 0;
}

static int add_chain(struct compiler *c, uint32_t chain, struct pg_span *ret)
{
	int r;

	ret->start = c->n_terms;
	r = add_first_segments(c, chain);
	ret->end = c->n_terms;
	return r;
}

static void set_base(struct compiler *c, enum pg_stage stage, uint32_t chain, struct pg_span span)
{
	const struct pg_chain *ch = &c->set->chain[chain];

	c->gen.base[stage] = (struct pg_base){
		.span = span,
		.policy_kind = ch->policy == PG_TARGET_DROP ? PG_ACT_DROP : PG_ACT_ACCEPT,
		.policy_slot = ch->slot,
	};
}

static bool is_used(const struct pg_chain *ch)
{
	return ch->n_rules || ch->policy == PG_TARGET_DROP;
}

/* What a built-in chain that has something to say needs. */
static const __u32 stage_needs[_PG_STAGE_MAX] = {
	[PG_STAGE_FILTER] = PG_NEED_FORWARD, /* to be told from FORWARD's */
	[PG_STAGE_RAW] = PG_NEED_RAW,
	[PG_STAGE_FORWARD] = PG_NEED_FORWARD,
	[PG_STAGE_OUTPUT] = PG_NEED_OUTPUT,
	[PG_STAGE_RAW_OUTPUT] = PG_NEED_RAW_OUTPUT,
};

/* In the order of stages: the fast path has INPUT's terms begin at 0. */
static int add_base_chains(struct compiler *c)
{
	int r = 0;

	for (enum pg_stage stage = 0; !r && stage < _PG_STAGE_MAX; stage++) {
		uint32_t chain = pg_stage_chain(stage);
		struct pg_span span = { 0 };

		if (is_used(&c->set->chain[chain])) {
			c->gen.needs |= stage_needs[stage];
			r = reach(c, chain);
			if (!r)
				r = add_chain(c, chain, &span);
		}
		set_base(c, stage, chain, span);
	}
	return r;
}

static int add_user_chains(struct compiler *c)
{
	int r = 0;

	for (size_t i = PG_CHAINS_BUILTIN; !r && i < c->set->n_chains; i++) {
		uint32_t span;

		if (!c->depth[i])
			continue;
		r = add_span(c, &span);
		if (r)
			return r;
		c->span_of[i] = span + 1;
		r = add_chain(c, i, &(struct pg_span){ 0 });
	}
	return r;
}

/* Terms of one chain are neighbours: where they begin and end. */
static void find_spans(struct compiler *c)
{
	for (size_t i = 0; i < c->n_terms; i++) {
		uint32_t span = c->span_of[c->term[i].chain];

		if (!span || !c->term[i].first)
			continue;
		if (!c->tables->spans[span - 1].end)
			c->tables->spans[span - 1].start = i;
		c->tables->spans[span - 1].end = i + 1;
	}
}

static int add_all_terms(struct compiler *c)
{
	size_t firsts;
	int r = add_base_chains(c);

	if (!r)
		r = add_user_chains(c);
	if (r)
		return r;
	find_spans(c);
	firsts = c->n_terms;
	for (size_t i = 0; !r && i < firsts; i++) {
		size_t end = i + 1;

		/* One rule's terms at a time. */
		while (end < firsts && c->term[end].rule == c->term[i].rule)
			end++;
		if (!c->term[i].last)
			r = add_other_segments(c, &c->term[i]);
		i = end - 1;
	}
	return r;
}

/* Dimensions ----------------------------------------------------------------------------------- */

/* Does the rule's -p, -f and first L4 match admit protocol `proto` in this state? */
static bool holds_in_state(const struct pg_term *t, enum pg_family family, enum pg_l4_state state,
			   uint8_t proto)
{
	const struct pg_rule *rule = t->rule;
	const struct pg_match *first = pg_first_l4_match(t);
	bool later = state == PG_L4_LATER || state == PG_L4_OFF1;

	if (!(t->families & (family == PG_FAMILY_V4 ? PG_V4 : PG_V6)))
		return false;
	if (state == PG_L4_BROKEN) /* with -p it is asked for the protocol, and drops */
		return true;
	if (rule->proto && (rule->proto == proto) == rule->proto_invert)
		return false;
	if (rule->fragment_set && later == rule->fragment_invert)
		return false;
	if (!first)
		return true;
	if (state == PG_L4_OFF1)
		return first->kind == PG_MATCH_TCP;
	return state != PG_L4_LATER;
}

/* What holds_in_state() looks at: terms that agree in it are asked once. */
static uint32_t signature(const struct pg_term *t)
{
	const struct pg_match *first = pg_first_l4_match(t);

	return t->rule->proto | t->rule->proto_invert << 8 | t->rule->fragment_set << 9 |
	       t->rule->fragment_invert << 10 | t->families << 11 |
	       (!first ? 0 : first->kind == PG_MATCH_TCP ? 1 : 2) << 13;
}

struct group {
	uint32_t signature;
	size_t of; /* a term of the group */
	bool holds;
};

struct groups {
	struct group *group;
	size_t n;
	uint16_t *of_term;
};

static void groups_done(struct groups *g)
{
	free(g->group);
	free(g->of_term);
}

static int group_terms(const struct compiler *c, struct groups *g)
{
	g->of_term = calloc(c->n_terms + 1, sizeof(*g->of_term));
	g->group = calloc(1U << 15, sizeof(*g->group)); /* more signatures there can't be */
	if (!g->of_term || !g->group)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_terms; i++) {
		uint32_t s = signature(&c->term[i]);
		size_t k = i && g->group[g->of_term[i - 1]].signature == s ? g->of_term[i - 1] : 0;

		while (k < g->n && g->group[k].signature != s)
			k++;
		if (k == g->n)
			g->group[g->n++] = (struct group){ s, i, false };
		g->of_term[i] = k;
	}
	return 0;
}

static uint64_t *new_set(const struct compiler *c)
{
	return calloc(pg_trie_words(c->trie) + 1, 8);
}

/* The terms that hold in this family, state and protocol. */
static __u32 proto_leaf(struct compiler *c, const struct groups *g, int family, int state, int proto,
			uint64_t *set)
{
	memset(set, 0, pg_trie_words(c->trie) * 8);
	for (size_t i = 0; i < g->n; i++)
		g->group[i].holds =
			holds_in_state(&c->term[g->group[i].of], family, state, proto);
	for (size_t i = 0; i < c->n_terms; i++)
		if (g->group[g->of_term[i]].holds)
			pg_set_add(set, i);
	return pg_trie_leaf(c->trie, set);
}

/* One node per family and state: protocol → the terms that it satisfies. */
static int compile_proto(struct compiler *c)
{
	_cleanup_(groups_done) struct groups g = { 0 };
	_free_ uint64_t *set = new_set(c);
	bool named[256] = { false };
	__u32 entries[256], other = 0;

	if (!set || group_terms(c, &g))
		return -ENOMEM;
	for (size_t i = 0; i < g.n; i++)
		named[c->term[g.group[i].of].rule->proto] = true;
	for (int f = 0; f < _PG_FAMILY_MAX; f++) {
		for (int s = 0; s < _PG_L4_MAX; s++) {
			bool have_other = false;

			for (int p = 0; p < 256; p++) {
				if (named[p] || !have_other)
					entries[p] = proto_leaf(c, &g, f, s, p, set);
				else
					entries[p] = other;
				if (!named[p]) {
					other = entries[p];
					have_other = true;
				}
			}
			c->gen.proto[f][s] = pg_trie_node(c->trie, entries);
			if (s == PG_L4_FULL) {
				c->gen.whole[f][PG_PORT_TCP] = entries[IPPROTO_TCP];
				c->gen.whole[f][PG_PORT_UDP] = entries[IPPROTO_UDP];
			}
		}
	}
	return pg_trie_error(c->trie);
}

/* Do bitmaps not have to know what the term asks of this dimension, because its record does? */
static bool is_verified(const struct compiler *c, size_t term, __u32 dim)
{
	return c->verify && !(c->tables->records[term].rows & dim);
}

static int compile_addr(struct compiler *c, bool source, enum pg_family family)
{
	_free_ struct pg_trie_pattern *pattern = calloc(c->n_terms + 1, sizeof(*pattern));
	__u32 *entry = source ? &c->gen.saddr[family] : &c->gen.daddr[family];
	__u32 *base = source ? &c->gen.saddr_base[family] : &c->gen.daddr_base[family];
	unsigned v = family == PG_FAMILY_V4 ? PG_V4 : PG_V6, bytes = v == PG_V4 ? 4 : 16;
	__u32 dim = source ? PG_DIM_SADDR : PG_DIM_DADDR;
	_free_ uint64_t *always = new_set(c);
	size_t n = 0;

	if (!pattern || !always)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_terms; i++) {
		const struct pg_rule *rule = c->term[i].rule;
		const struct pg_addr *a = source ? &rule->src : &rule->dst;
		struct pg_trie_pattern *p = &pattern[n];

		if (!(c->term[i].families & v) || (c->home[i] && c->home[i] != dim))
			continue;
		if (!a->set || is_verified(c, i, dim)) {
			pg_set_add(always, i);
			continue;
		}
		p->term = i;
		p->invert = a->invert;
		p->verified = v == PG_V4 || pg_prefix_len(a->mask, bytes) >= 0;
		p->home = c->home[i] == dim;
		for (unsigned b = 0; b < bytes; b++) {
			p->mask[b] = a->mask[b];
			p->value[b] = a->addr[b] & a->mask[b];
		}
		n++;
	}
	*base = pg_trie_leaf(c->trie, always);
	/* Where the source alone may tell; and IPv6's trie would be deep if it did not end early. */
	pg_trie_name_few(c->trie, v == PG_V6 || (source && *base == c->gen.none));
	*entry = pg_trie_patterns(c->trie, bytes, pattern, n, always);
	pg_trie_name_few(c->trie, false);
	return pg_trie_error(c->trie);
}

enum { AT_TCP, AT_UDP, AT_UDPLITE, AT_SCTP, AT_DCCP, AT_ICMP, AT_ICMP6 };
static const struct {
	enum pg_space space;
	uint8_t proto;
	bool v4, v6, wide;
} spaces[] = {
	[AT_TCP] = { PG_SPACE_TCP, IPPROTO_TCP, true, true, true },
	[AT_UDP] = { PG_SPACE_UDP, IPPROTO_UDP, true, true, true },
	[AT_UDPLITE] = { PG_SPACE_UDPLITE, IPPROTO_UDPLITE, true, true, false },
	[AT_SCTP] = { PG_SPACE_SCTP, IPPROTO_SCTP, true, true, false },
	[AT_DCCP] = { PG_SPACE_DCCP, IPPROTO_DCCP, true, true, false },
	[AT_ICMP] = { PG_SPACE_ICMP, IPPROTO_ICMP, true, false, false },
	[AT_ICMP6] = { PG_SPACE_ICMP6, IPPROTO_ICMPV6, false, true, false },
};

/* Terms that packets of this space can match at all; clearing the others keeps rows sparse. */
static bool in_space(const struct pg_term *t, size_t i, bool partial)
{
	enum pg_l4_state state = partial ? PG_L4_PORTS : PG_L4_FULL;

	return (spaces[i].v4 && holds_in_state(t, PG_FAMILY_V4, state, spaces[i].proto)) ||
	       (spaces[i].v6 && holds_in_state(t, PG_FAMILY_V6, state, spaces[i].proto));
}

static const struct pg_ranges *ports_of(const struct pg_term *t, bool partial, bool source)
{
	if (partial)
		return source ? &t->part_sport : &t->part_dport;
	return source ? &t->sport : &t->dport;
}

static int compile_ports(struct compiler *c, size_t i, bool partial, bool source)
{
	enum pg_space space = spaces[i].space + (partial ? PG_SPACE_PARTIAL : 0);
	__u32 *entry = source ? &c->gen.sport[space] : &c->gen.dport[space];
	__u32 *base = source ? &c->gen.sport_base[space] : &c->gen.dport_base[space];
	bool whole = spaces[i].wide && !partial; /* only of whole headers records know the ports */
	_free_ struct pg_trie_range *range = NULL;
	_free_ uint64_t *always = new_set(c);
	size_t n = 0, total = 0;

	for (size_t k = 0; k < c->n_terms; k++)
		total += ports_of(&c->term[k], partial, source)->n;
	range = calloc(total + 1, sizeof(*range));
	if (!range || !always)
		return -ENOMEM;
	for (size_t k = 0; k < c->n_terms; k++) {
		const struct pg_ranges *s = ports_of(&c->term[k], partial, source);

		if (!in_space(&c->term[k], i, partial))
			continue;
		if (pg_ranges_is_all(s) ||
		    (whole && is_verified(c, k, source ? PG_DIM_SPORT : PG_DIM_DPORT))) {
			pg_set_add(always, k);
			continue;
		}
		for (size_t j = 0; j < s->n; j++)
			range[n++] = (struct pg_trie_range){ k, s->r[j].lo, s->r[j].hi };
	}
	*base = pg_trie_leaf(c->trie, always);
	*entry = n ? pg_trie_ranges(c->trie, whole, range, n, always) : *base;
	return pg_trie_error(c->trie);
}

static bool flags_hold(const struct pg_term *t, unsigned flags)
{
	for (size_t i = t->from; i < t->to; i++) {
		const struct pg_match *m = &t->rule->match[i];

		if (m->kind == PG_MATCH_TCP && m->ports.flags_set &&
		    ((flags & m->ports.flags_mask) == m->ports.flags_comp) == m->ports.flags_invert)
			return false;
	}
	return true;
}

/* How many matches ask for flags; *ret: the first of them. */
static unsigned asks_flags(const struct pg_term *t, const struct pg_match **ret)
{
	unsigned n = 0;

	for (size_t i = t->from; i < t->to; i++) {
		const struct pg_match *m = &t->rule->match[i];

		if (m->kind == PG_MATCH_TCP && m->ports.flags_set && !n++ && ret)
			*ret = m;
	}
	return n;
}

/* TCP flags: one byte, one node. */
static int compile_flags(struct compiler *c, __u32 *ret_entry)
{
	_free_ uint64_t *set = new_set(c), *always = new_set(c);
	_free_ uint32_t *asking = calloc(c->n_terms + 1, sizeof(*asking));
	__u32 entries[256];
	size_t n = 0;

	if (!set || !always || !asking)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_terms; i++) {
		if (!in_space(&c->term[i], AT_TCP, false))
			continue;
		if (asks_flags(&c->term[i], NULL))
			asking[n++] = i;
		else
			pg_set_add(always, i);
	}
	for (unsigned flags = 0; flags < 256; flags++) {
		memcpy(set, always, pg_trie_words(c->trie) * 8);
		for (size_t i = 0; i < n; i++)
			if (flags_hold(&c->term[asking[i]], flags))
				pg_set_add(set, asking[i]);
		entries[flags] = flags && !n ? entries[0] : pg_trie_leaf(c->trie, set);
	}
	*ret_entry = pg_trie_node(c->trie, entries);
	return pg_trie_error(c->trie);
}

static bool ranges_have(const struct pg_ranges *s, unsigned v)
{
	for (size_t i = 0; i < s->n; i++)
		if (v >= s->r[i].lo && v <= s->r[i].hi)
			return true;
	return false;
}

/* Type and code. Which terms ask is no matter here: the leaves must be bitmaps. */
static int compile_icmp(struct compiler *c, size_t space, enum pg_match_kind kind, __u32 *ret_entry)
{
	_free_ uint64_t *set = new_set(c), *always = new_set(c);
	_free_ struct pg_ranges *ranges = calloc(c->n_terms + 1, sizeof(*ranges));
	_free_ uint32_t *asking = calloc(c->n_terms + 1, sizeof(*asking));
	__u32 root[256], entries[256];
	size_t n = 0;
	int r = 0;

	if (!set || !always || !ranges || !asking)
		return -ENOMEM;
	for (size_t i = 0; !r && i < c->n_terms; i++) {
		if (!in_space(&c->term[i], space, false))
			continue;
		r = pg_icmp_ranges(&c->term[i], kind, &ranges[n]);
		if (!r && pg_ranges_is_all(&ranges[n])) {
			free(ranges[n].r);
			pg_set_add(always, i);
		} else {
			asking[n++] = i;
		}
	}
	for (unsigned type = 0; !r && type < 256; type++) {
		for (unsigned code = 0; code < 256; code++) {
			if (!n && (type || code)) {
				entries[code] = entries[0];
				continue;
			}
			memcpy(set, always, pg_trie_words(c->trie) * 8);
			for (size_t i = 0; i < n; i++)
				if (ranges_have(&ranges[i], type << 8 | code))
					pg_set_add(set, asking[i]);
			entries[code] = pg_trie_leaf(c->trie, set);
		}
		root[type] = pg_trie_node(c->trie, entries);
	}
	for (size_t i = 0; i < n; i++)
		free(ranges[i].r);
	*ret_entry = pg_trie_node(c->trie, root);
	return r ? r : pg_trie_error(c->trie);
}

/* `eth+` holds for every name that begins with eth; a lone '+' for every name. */
static bool ifname_holds(const struct pg_ifname *pattern, const char *name)
{
	size_t n = strlen(pattern->name);
	bool same;

	if (!pattern->set)
		return true;
	if (n && pattern->name[n - 1] == '+')
		same = !strncmp(pattern->name, name, n - 1);
	else
		same = !strcmp(pattern->name, name);
	return same != pattern->invert;
}

/*
 * The terms whose interfaces hold for a packet that comes in by one and goes out by another; to
 * table raw that is `raw_out`, because PREROUTING does not know yet where a packet will go.
 */
static __u32 iface_leaf(struct compiler *c, const char *in, const char *out, const char *raw_out,
			uint64_t *set)
{
	memset(set, 0, pg_trie_words(c->trie) * 8);
	for (size_t i = 0; i < c->n_terms; i++) {
		const struct pg_term *t = &c->term[i];
		bool raw = c->set->chain[t->chain].table == PG_TABLE_RAW;

		if (ifname_holds(&t->rule->in, in) &&
		    ifname_holds(&t->rule->out, raw ? raw_out : out))
			pg_set_add(set, i);
	}
	return pg_trie_leaf(c->trie, set);
}

/* INPUT's packets go out by no interface, OUTPUT's come in by none: "" holds only inverted. */
static int compile_iface(struct compiler *c)
{
	_free_ uint64_t *set = new_set(c);

	if (!set)
		return -ENOMEM;
	for (int slot = 0; slot < PG_MAX_IFACES; slot++) {
		const char *name = c->opts->ifnames[slot];

		c->gen.iface[slot] = iface_leaf(c, name, "", "", set);
		c->gen.iface_out[slot] = iface_leaf(c, "", name, name, set);
	}
	return pg_trie_error(c->trie);
}

/* Interfaces of FORWARD ------------------------------------------------------------------------ */

/* No rule tells two interfaces of one class apart. */
struct classes {
	char name[PG_LINK_CLASSES][IFNAMSIZ]; /* one of each; of the first, those not known, none */
	size_t n;
};

static bool same_class(const struct compiler *c, const char *a, const char *b)
{
	for (size_t i = 0; i < c->n_terms; i++) {
		const struct pg_rule *rule = c->term[i].rule;

		if (ifname_holds(&rule->in, a) != ifname_holds(&rule->in, b) ||
		    ifname_holds(&rule->out, a) != ifname_holds(&rule->out, b))
			return false;
	}
	return true;
}

/* -1: there are too many. */
static int class_of(const struct compiler *c, struct classes *classes, const char *name)
{
	if (!(c->gen.dims & PG_DIM_IFACE))
		return 0;
	for (size_t i = 1; i < classes->n; i++)
		if (same_class(c, classes->name[i], name))
			return (int)i;
	if (classes->n == PG_LINK_CLASSES)
		return -1;
	snprintf(classes->name[classes->n], IFNAMSIZ, "%s", name);
	return (int)classes->n++;
}

static bool place_link(struct pg_link *links, const struct pg_link *link)
{
	for (__u32 i = 0; i < PG_LINK_TRIES; i++) {
		struct pg_link *at = &links[pg_link_place(link->netns, link->ifindex, i)];

		if (at->ifindex)
			continue;
		*at = *link;
		return true;
	}
	return false;
}

static int add_links(struct compiler *c, struct classes *classes)
{
	for (size_t i = 0; i < c->opts->n_links; i++) {
		const struct pg_link_name *name = &c->opts->links[i];
		int class = class_of(c, classes, name->name);
		struct pg_link link = {
			.netns = name->netns,
			.ifindex = name->ifindex,
			.class = (__u16)class,
			.attached = name->slot >= 0,
		};

		if (class < 0)
			return too_many(c, "interfaces that rules treat differently",
					PG_LINK_CLASSES - 1);
		/* One that there is no place for is as good as not seen; ours have to be. */
		if (!place_link(c->tables->links, &link) && link.attached)
			return too_many(c, "interfaces on this machine", PG_LINKS);
		if (link.attached)
			c->gen.iface_class[name->slot] = link.class;
	}
	return 0;
}

/* Fails with a message; whether the tables have become too large pg_trie_error() says. */
static int compile_through(struct compiler *c)
{
	struct classes classes = { .n = 1 };
	_free_ uint64_t *set = c->trie ? new_set(c) : NULL;
	struct pg_tables *t = c->tables;
	int r;

	t->links = calloc(PG_LINKS, sizeof(*t->links));
	t->through = calloc(PG_LINK_CLASSES * PG_LINK_CLASSES, sizeof(*t->through));
	if (!t->links || !t->through || (c->trie && !set))
		return no_memory(c);
	r = add_links(c, &classes);
	for (size_t in = 0; !r && set && in < classes.n; in++)
		for (size_t out = 0; out < classes.n; out++)
			t->through[in * PG_LINK_CLASSES + out] =
				iface_leaf(c, classes.name[in], classes.name[out], "", set);
	return r;
}

static int compile_spaces(struct compiler *c)
{
	int r = 0;

	for (int s = 0; s < _PG_SPACE_MAX; s++)
		c->gen.sport[s] = c->gen.dport[s] = c->gen.sport_base[s] = c->gen.dport_base[s] =
			c->gen.detail[s] = c->gen.any;
	for (size_t i = 0; !r && i < ARRAY_SIZE(spaces); i++) {
		if (spaces[i].space == PG_SPACE_ICMP || spaces[i].space == PG_SPACE_ICMP6)
			continue;
		for (int which = 0; !r && which < 4; which++) {
			__u32 dim = which & 1 ? PG_DIM_SPORT : PG_DIM_DPORT;

			if (c->gen.dims & dim)
				r = compile_ports(c, i, which & 2, which & 1);
		}
	}
	if (r || !(c->gen.dims & PG_DIM_DETAIL))
		return r;
	return compile_flags(c, &c->gen.detail[PG_SPACE_TCP]) ?:
	       compile_icmp(c, AT_ICMP, PG_MATCH_ICMP, &c->gen.detail[PG_SPACE_ICMP]) ?:
	       compile_icmp(c, AT_ICMP6, PG_MATCH_ICMP6, &c->gen.detail[PG_SPACE_ICMP6]);
}

/* The dimensions in which a term asks for something. */
static __u32 dims_of_term(const struct pg_term *t)
{
	__u32 dims = 0;

	dims |= t->rule->src.set ? PG_DIM_SADDR : 0;
	dims |= t->rule->dst.set ? PG_DIM_DADDR : 0;
	dims |= t->rule->in.set || t->rule->out.set ? PG_DIM_IFACE : 0;
	dims |= pg_ranges_is_all(&t->sport) && pg_ranges_is_all(&t->part_sport) ? 0 : PG_DIM_SPORT;
	dims |= pg_ranges_is_all(&t->dport) && pg_ranges_is_all(&t->part_dport) ? 0 : PG_DIM_DPORT;
	for (size_t k = t->from; k < t->to; k++) {
		const struct pg_match *m = &t->rule->match[k];

		if (m->kind == PG_MATCH_ICMP || m->kind == PG_MATCH_ICMP6 ||
		    (m->kind == PG_MATCH_TCP && m->ports.flags_set))
			dims |= PG_DIM_DETAIL;
	}
	return dims;
}

static int compile_homes(struct compiler *c)
{
	const __u32 both = PG_DIM_SADDR | PG_DIM_DADDR;
	int r = 0;

	memset(c->home, 0, c->n_terms);
	if (!c->verify && (c->gen.dims & both) == both)
		r = pg_find_homes(c->term, c->tables->records, c->n_terms, c->home);
	c->gen.homes = 0;
	for (size_t i = 0; i < c->n_terms; i++)
		c->gen.homes |= !!c->home[i];
	return r;
}

static int compile_dimensions(struct compiler *c)
{
	int r = 0;

	for (size_t i = 0; i < c->n_terms; i++)
		c->gen.dims |= dims_of_term(&c->term[i]);
	c->gen.any = pg_trie_all(c->trie);
	c->gen.none = pg_trie_none(c->trie);
	c->gen.few_none = pg_trie_few_none(c->trie);
	r = compile_homes(c);
	for (int f = 0; !r && f < _PG_FAMILY_MAX; f++)
		r = compile_addr(c, true, f) ?: compile_addr(c, false, f);
	return r ?: compile_proto(c) ?: compile_spaces(c) ?: compile_iface(c);
}

/* Records -------------------------------------------------------------------------------------- */

/* True: the record says all there is to say of it. */
static bool record_addr(const struct pg_addr *a, unsigned families, __be32 *ret, __u8 *ret_len)
{
	int len;

	if (!a->set)
		return true;
	if (families == PG_V4) {
		memcpy(ret, a->addr, 4);
		memcpy(ret + 1, a->mask, 4);
		ret[0] &= ret[1];
		return true;
	}
	len = pg_prefix_len(a->mask, 16);
	if (len < 0)
		return false;
	memcpy(ret, a->addr, 16);
	*ret_len = len;
	return true;
}

/* Of several ranges the record has what lies between the first and the last. */
static bool record_range(const struct pg_ranges *s, __u16 *lo, __u16 *hi)
{
	*lo = s->n ? s->r[0].lo : 1;
	*hi = s->n ? s->r[0].hi : 0; /* none: never holds */
	for (size_t i = 1; i < s->n; i++) {
		*lo = s->r[i].lo < *lo ? s->r[i].lo : *lo;
		*hi = s->r[i].hi > *hi ? s->r[i].hi : *hi;
	}
	return s->n <= 1;
}

/* What a row of few terms is verified by. */
static void record_conditions(const struct pg_term *t, struct pg_term_record *rec)
{
	static const uint8_t proto[] = { [PG_PORT_TCP] = IPPROTO_TCP, [PG_PORT_UDP] = IPPROTO_UDP };
	const struct pg_match *flags = NULL;
	unsigned n;

	if (!record_addr(&t->rule->src, t->families, rec->saddr, &rec->slen))
		rec->rows |= PG_DIM_SADDR;
	else if (t->rule->src.set && t->rule->src.invert)
		rec->invert |= PG_DIM_SADDR;
	if (!record_addr(&t->rule->dst, t->families, rec->daddr, &rec->dlen))
		rec->rows |= PG_DIM_DADDR;
	else if (t->rule->dst.set && t->rule->dst.invert)
		rec->invert |= PG_DIM_DADDR;
	for (int f = 0; f < _PG_FAMILY_MAX; f++)
		for (int p = 0; p < _PG_PORT_PROTO_MAX; p++)
			if (holds_in_state(t, f, PG_L4_FULL, proto[p]))
				rec->whole |= 1 << (2 * f + p);
	if (!record_range(&t->sport, &rec->sport_lo, &rec->sport_hi))
		rec->rows |= PG_DIM_SPORT;
	if (!record_range(&t->dport, &rec->dport_lo, &rec->dport_hi))
		rec->rows |= PG_DIM_DPORT;
	n = asks_flags(t, &flags);
	if (n == 1 && !flags->ports.flags_invert &&
	    !(flags->ports.flags_comp & ~flags->ports.flags_mask)) {
		rec->flags_mask = flags->ports.flags_mask;
		rec->flags_comp = flags->ports.flags_comp;
	} else if (n) {
		rec->rows |= PG_DIM_DETAIL;
	}
	if (t->rule->in.set || t->rule->out.set)
		rec->rows |= PG_DIM_IFACE;
}

static int add_check(struct compiler *c, const struct pg_check *check, size_t n)
{
	struct pg_tables *t = c->tables;
	struct pg_check *bigger;

	if (t->n_checks + n > PG_MAX_CHECKS / 2)
		return too_many(c, "limits, sets and other conditions that no table answers",
				PG_MAX_CHECKS / 2);
	bigger = reallocarray(t->checks, t->n_checks + n, sizeof(*bigger));
	if (!bigger)
		return no_memory(c);
	t->checks = bigger;
	memcpy(bigger + t->n_checks, check, n * sizeof(*check));
	t->n_checks += n;
	return 0;
}

#define CHECKS_OF_MATCH 24 /* of -m rt: five, and each of its 16 addresses with their number */

/* The index of a rule's next state, of those that matches before `to` use. */
static uint32_t states_before(const struct pg_rule *rule, size_t to)
{
	struct pg_rule before = { .match = rule->match, .n_match = to };

	return (rule->state == PG_NO_SLOT ? 0 : rule->state) + pg_rule_states(&before);
}

static int add_checks(struct compiler *c, const struct pg_term *t, struct pg_term_record *rec)
{
	struct pg_check check[CHECKS_OF_MATCH];
	struct pg_named_match room;
	int r = 0;

	rec->check = c->tables->n_checks;
	if (t->n_checks > UINT8_MAX)
		return too_many(c, "conditions in one rule", UINT8_MAX);
	rec->checks = t->n_checks;
	rec->before = t->before;
	for (size_t i = t->from; !r && i < t->to; i++) {
		const struct pg_match *m = pg_namings_settle(c->namings, t->families, &t->rule->match[i], &room);
		size_t n = pg_match_checks(m);
		const char *why;

		c->gen.needs |= pg_match_needs(m);
		if (m->kind == PG_MATCH_COMMENT)
			continue;
		memset(check, 0, sizeof(check));
		why = pg_match_unenforced(m, t->families);
		if (why)
			return pg_fail(c->err, -EOPNOTSUPP, "%s", why);
		r = pg_match_make_checks(m, states_before(t->rule, i), c->opts->sets, check, c->err);
		if (!r && n)
			r = add_check(c, check, n);
	}
	return r;
}

static uint32_t reject_arg(enum pg_reject with)
{
	/* Codes of ICMP's and of ICMPv6's destination unreachable (RFC 792, 1122, 1812, 4443). */
	static const struct {
		uint8_t v4, v6;
	} code[_PG_REJECT_MAX] = {
		[PG_REJECT_DEFAULT] = { 3, 4 },
		[PG_REJECT_NET_UNREACH] = { 0, 0 },
		[PG_REJECT_HOST_UNREACH] = { 1, 0 },
		[PG_REJECT_PROTO_UNREACH] = { 2, 0 },
		[PG_REJECT_PORT_UNREACH] = { 3, 4 },
		[PG_REJECT_NET_PROHIBITED] = { 9, 0 },
		[PG_REJECT_HOST_PROHIBITED] = { 10, 0 },
		[PG_REJECT_ADMIN_PROHIBITED] = { 13, 1 },
		[PG_REJECT6_NO_ROUTE] = { 0, 0 },
		[PG_REJECT6_ADM_PROHIBITED] = { 0, 1 },
		[PG_REJECT6_ADDR_UNREACH] = { 0, 3 },
		[PG_REJECT6_PORT_UNREACH] = { 0, 4 },
		[PG_REJECT6_POLICY_FAIL] = { 0, 5 },
		[PG_REJECT6_REJECT_ROUTE] = { 0, 6 },
	};

	if (with == PG_REJECT_TCP_RESET)
		return PG_REJECT_RESET;
	return PG_REJECT_ICMP | code[with].v4 << 8 | code[with].v6 << 12;
}

/* Prefix and level of LOG, as event.bpf.h reads them. Returns how many of arg[2] it takes. */
static size_t log_arg(const struct pg_rule *rule, struct pg_check *arg)
{
	bool nflog = rule->target == PG_TARGET_NFLOG;
	const char *prefix = nflog ? rule->args.nflog.prefix : rule->args.log.prefix;
	size_t len = prefix ? strlen(prefix) : 0;

	arg[0] = arg[1] = (struct pg_check){ .kind = PG_CHECK_ACTION };
	arg[0].log_level = nflog ? 0 : rule->args.log.level;
	arg[0].log_flags = nflog ? 0 : rule->args.log.flags;
	arg[0].state = nflog ? rule->args.nflog.group : 0;
	arg[0].invert = nflog ? PG_LOG_NFLOG : 0;
	memcpy(arg[0].bytes, prefix ?: "", len < PG_LOG_PREFIX_HEAD ? len : PG_LOG_PREFIX_HEAD);
	if (len <= PG_LOG_PREFIX_HEAD)
		return 1;
	arg[0].invert |= PG_LOG_LONG;
	memcpy(arg[1].bytes, prefix + PG_LOG_PREFIX_HEAD, len - PG_LOG_PREFIX_HEAD);
	return 2;
}

_Static_assert(PG_NFLOG_PREFIX_MAX < sizeof(((struct pg_event *)NULL)->prefix), "prefix fits");

/* Frames that the segments before this one have put on the stack. */
static unsigned frames_of(const struct pg_term *t)
{
	unsigned n = 0;

	for (size_t at = 0; at < t->from; at = pg_segment_end(t->rule, at))
		n++;
	return n;
}

/* Chains whose packets may be seen by XDP. */
#define ARRIVALS                                                                                   \
	(1U << PG_CHAIN_INPUT | 1U << PG_CHAIN_FORWARD | 1U << PG_CHAIN_RAW_PREROUTING)

static int record_action(struct compiler *c, const struct pg_term *t, struct pg_term_record *rec)
{
	const struct pg_rule *rule = t->rule;
	struct pg_check arg[2] = { { .kind = PG_CHECK_ACTION } };
	size_t n = 1;

	rec->slot = rule->slot;
	if (!t->last) {
		rec->kind = PG_ACT_SPLIT;
		rec->arg = t->span;
		return 0;
	}
	switch (rule->target) {
	case PG_TARGET_ACCEPT:
		rec->kind = PG_ACT_ACCEPT;
		return 0;
	case PG_TARGET_DROP:
		rec->kind = PG_ACT_DROP;
		return 0;
	case PG_TARGET_RETURN:
		rec->kind = PG_ACT_RETURN;
		rec->arg = frames_of(t);
		return 0;
	case PG_TARGET_CHAIN:
		rec->kind = rule->is_goto ? PG_ACT_GOTO : PG_ACT_JUMP;
		rec->arg = c->span_of[chain_index(c, rule, t->chain)] - 1;
		if (rule->is_goto)
			rec->arg |= frames_of(t) << 24;
		return 0;
	case PG_TARGET_REJECT:
		rec->kind = PG_ACT_REJECT;
		rec->arg = reject_arg(rule->args.reject);
		return 0;
	case PG_TARGET_LOG:
	case PG_TARGET_NFLOG:
		rec->kind = PG_ACT_LOG;
		n = log_arg(rule, arg);
		break;
	case PG_TARGET_MARK:
		rec->kind = PG_ACT_MARK;
		arg[0].v[0] = rule->args.mark.mark;
		arg[0].v[1] = rule->args.mark.mask;
		if (c->from[t->chain] & ARRIVALS)
			c->gen.needs |= PG_NEED_MARKS;
		break;
	case PG_TARGET_CT:
		rec->kind = PG_ACT_NOTRACK;
		c->gen.needs |= PG_NEED_NOTRACK;
		return 0;
	default:
		rec->kind = PG_ACT_CONTINUE;
		return 0;
	}
	rec->arg = c->tables->n_checks;
	return add_check(c, arg, n);
}

/* Does the record ask a whole TCP or UDP header for no more than its source and rows of few have? */
static bool few_is_sure(const struct pg_term_record *rec)
{
	return !rec->rows && !rec->checks && !rec->flags_mask && !rec->dlen &&
	       !rec->daddr[1] && !(rec->invert & PG_DIM_DADDR) && !rec->sport_lo &&
	       rec->sport_hi == UINT16_MAX &&
	       (rec->kind == PG_ACT_ACCEPT || rec->kind == PG_ACT_DROP);
}

/* Of a term that accepts or drops, and has nothing else to be asked. */
static __u32 sure_flags(const struct pg_term_record *rec)
{
	return PG_FEW_SURE | (rec->kind == PG_ACT_DROP ? PG_FEW_DROP : 0);
}

/* What a row of few has of a term: the last word of its source's prefix, and its ports. */
static struct pg_few few_of(const struct pg_term *t, const struct pg_term_record *rec, size_t number)
{
	bool v4 = t->families == PG_V4;
	int mask = v4 ? pg_prefix_len((const uint8_t *)&rec->saddr[1], 4) : rec->slen;
	__u32 word = !v4 && mask ? (mask - 1) / 32 : 0, bits = mask - 32 * word;
	struct pg_few f = {
		.dport_lo = rec->dport_lo,
		.dport_hi = rec->dport_hi,
		.slot = rec->slot,
		.term = number | (__u32)rec->whole << PG_FEW_WHOLE_SHIFT,
	};

	/* An inverted address, or a mask with gaps, is for the record. */
	if (mask < 0 || rec->invert & PG_DIM_SADDR)
		return f;
	f.addr = bits ? ntohl(rec->saddr[word]) : 0;
	f.term |= word << PG_FEW_WORD_SHIFT | bits << PG_FEW_BITS_SHIFT;
	if (few_is_sure(rec))
		f.term |= sure_flags(rec);
	return f;
}

/* What a later fragment has no answer to, or is the point of the rule. */
static __u32 fragment_needs(const struct compiler *c, const struct pg_term *t)
{
	__u32 needs = pg_first_l4_match(t) || t->n_checks ? PG_NEED_FRAGMENTS : 0;
	bool later = t->rule->fragment_set;

	for (size_t i = t->from; i < t->to; i++)
		later |= t->rule->match[i].kind == PG_MATCH_FRAG;
	if (later && c->from[t->chain] & ARRIVALS)
		needs |= PG_NEED_FRAGMENT_RULES;
	return needs;
}

static int fill_records(struct compiler *c)
{
	struct pg_tables *tables = c->tables;
	int r = 0;

	tables->records = calloc(c->n_terms + 1, sizeof(*tables->records));
	tables->terms = calloc(c->n_terms + 1, sizeof(*tables->terms));
	c->few = calloc(c->n_terms + 1, sizeof(*c->few));
	c->home = calloc(c->n_terms + 1, sizeof(*c->home));
	if (!tables->records || !tables->terms || !c->few || !c->home)
		return no_memory(c);
	for (size_t i = 0; !r && i < c->n_terms; i++) {
		const struct pg_term *t = &c->term[i];
		struct pg_term_record *rec = &tables->records[i];

		rec->asks = t->asks;
		c->gen.needs |= fragment_needs(c, t);
		record_conditions(t, rec);
		r = add_checks(c, t, rec);
		if (!r)
			r = record_action(c, t, rec);
		if (r)
			blame(c, t->rule, r);
		c->few[i] = few_of(t, rec, i);
		tables->terms[i].chain = t->chain;
		tables->terms[i].rule = t->number;
	}
	return r;
}

/* The whole ------------------------------------------------------------------------------------ */

/* What the fast path is told of the first of a few terms. */
static void fill_outcomes(struct compiler *c)
{
	if (c->gen.form != PG_FORM_TINY && c->gen.form != PG_FORM_WORD)
		return;
	c->gen.outcome[pg_lowest_hash(PG_LEAF)] = PG_NO_TERM;
	for (size_t i = 0; i < c->n_terms; i++) {
		const struct pg_term_record *rec = &c->tables->records[i];
		__u64 outcome = i;

		if (pg_brief(rec))
			outcome |= sure_flags(rec) | (__u64)rec->slot << 32;
		c->gen.outcome[pg_lowest_hash(1ULL << i)] = outcome;
	}
}

/* -ENOSPC: there is no room for them. */
static int try_tables(struct compiler *c, size_t n, enum pg_form form, bool verify)
{
	int r;

	pg_trie_free(c->trie);
	c->gen.form = form;
	c->gen.pairs = form == PG_FORM_TREE && pg_tree_pairs(n);
	c->gen.blocks = (n + PG_BLOCK_TERMS - 1) / PG_BLOCK_TERMS;
	c->gen.verify = c->verify = verify;
	c->trie = pg_trie_new(n, form, c->few, PG_NODES / 2, PG_ROW_WORDS / 2);
	if (!c->trie)
		return -ENOMEM;
	r = compile_dimensions(c);
	if (!r)
		r = compile_through(c);
	return r ? r : pg_trie_error(c->trie);
}

/*
 * The form that costs packets least; if its tables have no room, the one that shares what rows have in
 * common; and if that has none either, bitmaps of what records don't know: whatever the addresses and
 * ports, those stay small, and terms are verified one by one.
 */
static int compile_tables(struct compiler *c)
{
	struct pg_tables *tables = c->tables;
	/* Without rules raw's policy still has a say: tables of one term that no packet matches. */
	size_t n = c->n_terms ?: !!(c->gen.needs & (PG_NEED_RAW | PG_NEED_RAW_OUTPUT));
	int r;

	c->gen.terms = c->n_terms;
	if (!n)
		return compile_through(c);
	r = try_tables(c, n, pg_form_of(n), false);
	if (r == -ENOSPC && pg_form_of(n) == PG_FORM_TREE)
		r = try_tables(c, n, PG_FORM_HUGE, false);
	if (r == -ENOSPC)
		r = try_tables(c, n, n > PG_TREE_TERMS ? PG_FORM_HUGE : PG_FORM_TREE, true);
	if (r == -ENOSPC)
		return pg_fail(c->err, -E2BIG,
			       "policy too large: its tables would need more than %u nodes or "
			       "%u KB of bitmaps",
			       PG_NODES / 2, PG_ROW_WORDS / 2 / 128);
	if (r)
		return r == -ENOMEM ? no_memory(c) : r;
	fill_outcomes(c);
	tables->nodes = pg_trie_take_nodes(c->trie, &tables->n_nodes);
	tables->block_row = pg_trie_take_block_rows(c->trie, &tables->n_block_rows);
	tables->own_row = pg_trie_take_own_rows(c->trie, &tables->n_own_rows);
	tables->rows = pg_trie_take_rows(c->trie, &tables->n_row_words, &tables->n_classes);
	return 0;
}

static void compiler_done(struct compiler *c)
{
	for (size_t i = 0; c->term && i < c->n_terms; i++)
		pg_term_clear(&c->term[i]);
	free(c->term);
	free(c->span_of);
	free(c->depth);
	free(c->few);
	free(c->home);
	free(c->from);
	pg_namings_free(c->namings);
	pg_trie_free(c->trie);
}

int pg_compile(const struct pg_ruleset *set, const struct pg_compile_opts *opts,
	       struct pg_tables **ret_tables, struct pg_err *err)
{
	_cleanup_(pg_tables_freep) struct pg_tables *tables = calloc(1, sizeof(*tables));
	_cleanup_(compiler_done) struct compiler c = { .set = set, .opts = opts, .err = err,
						       .tables = tables };
	size_t loop;
	int r;

	c.span_of = calloc(set->n_chains, sizeof(*c.span_of));
	c.depth = calloc(set->n_chains, sizeof(*c.depth));
	c.from = calloc(set->n_chains, sizeof(*c.from));
	c.namings = pg_namings_new(set);
	/* A chain that leads back to itself is found below. */
	if (!tables || !c.span_of || !c.depth || !c.from || !c.namings ||
	    pg_chains_reach(set, c.from, &loop) < 0)
		return no_memory(&c);
	r = add_all_terms(&c);
	if (!r)
		r = fill_records(&c);
	if (!r)
		r = compile_tables(&c);
	if (r)
		return r;
	tables->gen = c.gen;
	tables->gen.nodes = tables->n_nodes;
	tables->gen.row_words = tables->n_row_words;
	tables->gen.rows = tables->n_classes;
	*ret_tables = TAKE_PTR(tables);
	return 0;
}

void pg_tables_free(struct pg_tables *tables)
{
	if (!tables)
		return;
	free(tables->nodes);
	free(tables->rows);
	free(tables->block_row);
	free(tables->own_row);
	free(tables->records);
	free(tables->spans);
	free(tables->checks);
	free(tables->terms);
	free(tables->links);
	free(tables->through);
	free(tables);
}

const char *pg_form_name(enum pg_form form, bool verify)
{
	if (verify)
		return "robust: rules are verified one by one, their tables have no room";
	switch (form) {
	case PG_FORM_EMPTY:
		return "empty";
	case PG_FORM_TINY:
		return "bitmaps in the leaves";
	case PG_FORM_WORD:
		return "one-word bitmaps";
	case PG_FORM_TREE:
		return "two-level bitmaps and rows of few";
	case PG_FORM_HUGE:
		return "three-level bitmaps and rows of few";
	default:
		return "unknown";
	}
}
