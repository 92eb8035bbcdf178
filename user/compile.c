// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "compile.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "trie.h"

/*
 * A term is a conjunction: one set of values per dimension. A rule is one term, except that
 * `--ports` (either side) makes two that cannot both hold.
 */
struct range {
	uint16_t lo, hi;
};

struct ranges {
	struct range *r; /* sorted, disjoint; owned */
	size_t n;
};

struct term {
	const struct pg_rule *rule;
	uint32_t chain, number;
	unsigned families;
	uint8_t asks;
	/*
	 * Ports where the whole header is there, and where only the ports are: there the matches
	 * behind the first that needs the header are not reached, because it drops the packet.
	 */
	struct ranges sport, dport, part_sport, part_dport;
};

struct compiler {
	const struct pg_ruleset *set;
	const char (*ifnames)[IFNAMSIZ];
	struct pg_trie *trie;
	struct term *term;
	size_t n_terms;
	struct pg_gen gen;
	struct pg_err *err;
};

/* Sets of numbers ------------------------------------------------------------------------------ */

static int ranges_all(struct ranges *ret)
{
	ret->r = malloc(sizeof(*ret->r));
	if (!ret->r)
		return -ENOMEM;
	ret->r[0] = (struct range){ 0, 65535 };
	ret->n = 1;
	return 0;
}

static int range_cmp(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->lo < y->lo ? -1 : x->lo > y->lo;
}

/* Sorted and disjoint, or everything else if `invert`. in[] is sorted in place. */
static int ranges_from(struct range *in, size_t n, bool invert, struct ranges *ret)
{
	struct range *out = calloc(n + 1, sizeof(*out));
	uint32_t next = 0; /* first number not covered yet */
	size_t n_out = 0;

	if (!out)
		return -ENOMEM;
	qsort(in, n, sizeof(*in), range_cmp);
	for (size_t i = 0; i < n; i++) {
		if (in[i].lo > in[i].hi || in[i].hi < next)
			continue;
		if (invert && in[i].lo > next)
			out[n_out++] = (struct range){ next, in[i].lo - 1 };
		if (!invert)
			out[n_out++] =
				(struct range){ in[i].lo > next ? in[i].lo : next, in[i].hi };
		next = in[i].hi + 1U;
	}
	if (invert && next < 65536)
		out[n_out++] = (struct range){ next, 65535 };
	ret->r = out;
	ret->n = n_out;
	return 0;
}

/* *a becomes what is in both. */
static int ranges_and(struct ranges *a, const struct ranges *b)
{
	struct range *out = calloc(a->n + b->n + 1, sizeof(*out));
	size_t n = 0, i = 0, j = 0;

	if (!out)
		return -ENOMEM;
	while (i < a->n && j < b->n) {
		uint16_t lo = a->r[i].lo > b->r[j].lo ? a->r[i].lo : b->r[j].lo;
		uint16_t hi = a->r[i].hi < b->r[j].hi ? a->r[i].hi : b->r[j].hi;

		if (lo <= hi)
			out[n++] = (struct range){ lo, hi };
		if (a->r[i].hi < b->r[j].hi)
			i++;
		else
			j++;
	}
	free(a->r);
	a->r = out;
	a->n = n;
	return 0;
}

static int ranges_and_these(struct ranges *a, const struct pg_port_range *in, size_t n, bool invert)
{
	struct range these[PG_MULTIPORT_MAX];
	struct ranges b = { 0 };
	int r;

	for (size_t i = 0; i < n; i++)
		these[i] = (struct range){ in[i].lo, in[i].hi };
	r = ranges_from(these, n, invert, &b);
	if (!r)
		r = ranges_and(a, &b);
	free(b.r);
	return r;
}

/* Rules to terms ------------------------------------------------------------------------------- */

static bool is_header_match(const struct pg_match *m)
{
	return m->kind != PG_MATCH_MULTIPORT && m->kind != PG_MATCH_COMMENT;
}

static bool has_ports(const struct pg_match *m)
{
	switch (m->kind) {
	case PG_MATCH_TCP:
	case PG_MATCH_UDP:
	case PG_MATCH_UDPLITE:
	case PG_MATCH_SCTP:
	case PG_MATCH_DCCP:
		return true;
	default:
		return false;
	}
}

static const struct pg_match *first_l4_match(const struct pg_rule *rule)
{
	for (size_t i = 0; i < rule->n_match; i++)
		if (rule->match[i].kind != PG_MATCH_COMMENT)
			return &rule->match[i];
	return NULL;
}

static uint8_t asks_of(const struct pg_rule *rule)
{
	const struct pg_match *first = first_l4_match(rule);
	uint8_t asks = rule->proto ? PG_ASK_PROTO : 0;

	for (size_t i = 0; i < rule->n_match; i++) {
		if (rule->match[i].kind == PG_MATCH_MULTIPORT)
			asks |= PG_ASK_PORTS;
		else if (is_header_match(&rule->match[i]))
			asks |= PG_ASK_HEADER;
	}
	if (first && first->kind == PG_MATCH_TCP)
		asks |= PG_ASK_TCP;
	return asks;
}

/*
 * One multiport match onto a term's ports. Of `--ports` without `!` there are two terms: `second`
 * is the one where only the destination is in the list.
 */
static int and_multiport(struct ranges *sport, struct ranges *dport, const struct pg_match *m,
			 bool second)
{
	const struct pg_port_range *list = m->multiport.range;
	bool invert = m->multiport.invert;
	size_t n = m->multiport.n;
	int r;

	switch (m->multiport.side) {
	case PG_MULTIPORT_SRC:
		return ranges_and_these(sport, list, n, invert);
	case PG_MULTIPORT_DST:
		return ranges_and_these(dport, list, n, invert);
	case PG_MULTIPORT_EITHER:
		break;
	}
	if (invert || second) {
		r = ranges_and_these(sport, list, n, true);
		return r ? r : ranges_and_these(dport, list, n, invert);
	}
	return ranges_and_these(sport, list, n, false);
}

static bool makes_two(const struct pg_match *m)
{
	return m->kind == PG_MATCH_MULTIPORT && m->multiport.side == PG_MULTIPORT_EITHER &&
	       !m->multiport.invert;
}

/* Fills t's ports; bit i of `choice` says which term of the i-th `--ports` this is. */
static int term_ports(struct term *t, unsigned choice)
{
	bool header = false;
	int r = ranges_all(&t->sport) ?: ranges_all(&t->dport) ?: ranges_all(&t->part_sport) ?:
		ranges_all(&t->part_dport);

	for (size_t i = 0; !r && i < t->rule->n_match; i++) {
		const struct pg_match *m = &t->rule->match[i];

		if (has_ports(m)) {
			r = ranges_and_these(&t->sport, &m->ports.sport, 1, m->ports.sport.invert) ?:
			    ranges_and_these(&t->dport, &m->ports.dport, 1, m->ports.dport.invert);
		} else if (m->kind == PG_MATCH_MULTIPORT) {
			bool second = makes_two(m) && choice & 1;

			r = and_multiport(&t->sport, &t->dport, m, second);
			if (!r && !header)
				r = and_multiport(&t->part_sport, &t->part_dport, m, second);
			choice >>= makes_two(m);
		}
		header |= is_header_match(m);
	}
	return r;
}

static int add_terms(struct compiler *c, uint32_t chain, size_t at)
{
	const struct pg_rule *rule = &c->set->chain[chain].rule[at];
	unsigned twos = 0;
	int r;

	for (size_t i = 0; i < rule->n_match; i++)
		twos += makes_two(&rule->match[i]);
	if (twos > 4 || c->n_terms + (1U << twos) > PG_MAX_TERMS)
		return pg_fail(c->err, -E2BIG, "policy too large: more than %u rules (%s)",
			       PG_MAX_TERMS, "a rule with --ports counts as two");
	for (unsigned choice = 0; choice < 1U << twos; choice++) {
		struct term *t = &c->term[c->n_terms++];

		*t = (struct term){
			.rule = rule,
			.chain = chain,
			.number = at + 1,
			.families = pg_rule_families(rule),
			.asks = asks_of(rule),
		};
		r = term_ports(t, choice);
		if (r)
			return pg_fail(c->err, r, "no memory to compile the policy");
	}
	return 0;
}

/* Dimensions ----------------------------------------------------------------------------------- */

/* Does the rule's -p, -f and first L4 match admit protocol `proto` in this state? */
static bool holds_in_state(const struct term *t, enum pg_family family, enum pg_l4_state state,
			   uint8_t proto)
{
	const struct pg_rule *rule = t->rule;
	const struct pg_match *first = first_l4_match(rule);
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

static uint64_t *new_set(void)
{
	return calloc(PG_MAX_TERMS / 64, 8);
}

/* One node per family and state: protocol → the terms that it satisfies. */
static int compile_proto(struct compiler *c)
{
	_free_ uint64_t *set = new_set();
	bool named[256] = { false };
	__u32 entries[256], other = 0;

	if (!set)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_terms; i++)
		named[c->term[i].rule->proto] = true;
	for (int f = 0; f < _PG_FAMILY_MAX; f++) {
		for (int s = 0; s < _PG_L4_MAX; s++) {
			bool have_other = false;

			for (int p = 0; p < 256; p++) {
				if (!named[p] && have_other) {
					entries[p] = other;
					continue;
				}
				memset(set, 0, PG_MAX_TERMS / 8);
				for (size_t i = 0; i < c->n_terms; i++)
					if (holds_in_state(&c->term[i], f, s, p))
						pg_set_add(set, i);
				entries[p] = pg_trie_leaf(c->trie, set);
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

static int compile_addr(struct compiler *c, bool source, enum pg_family family, __u32 *ret_entry)
{
	_free_ struct pg_trie_pattern *pattern = calloc(c->n_terms + 1, sizeof(*pattern));
	_free_ uint64_t *always = new_set();
	unsigned v = family == PG_FAMILY_V4 ? PG_V4 : PG_V6;
	size_t n = 0;

	if (!pattern || !always)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_terms; i++) {
		const struct pg_rule *rule = c->term[i].rule;
		const struct pg_addr *a = source ? &rule->src : &rule->dst;
		struct pg_trie_pattern *p = &pattern[n];

		if (!(c->term[i].families & v))
			continue;
		if (!a->set) {
			pg_set_add(always, i);
			continue;
		}
		p->term = i;
		p->invert = a->invert;
		for (int b = 0; b < 16; b++) {
			p->mask[b] = a->mask[b];
			p->value[b] = a->addr[b] & a->mask[b];
		}
		n++;
	}
	*ret_entry = pg_trie_patterns(c->trie, v == PG_V4 ? 4 : 16, pattern, n, always);
	return pg_trie_error(c->trie);
}

static const struct {
	enum pg_space space;
	uint8_t proto;
	bool v4, v6, wide;
} spaces[] = {
	{ PG_SPACE_TCP, IPPROTO_TCP, true, true, true },
	{ PG_SPACE_UDP, IPPROTO_UDP, true, true, true },
	{ PG_SPACE_UDPLITE, IPPROTO_UDPLITE, true, true, false },
	{ PG_SPACE_SCTP, IPPROTO_SCTP, true, true, false },
	{ PG_SPACE_DCCP, IPPROTO_DCCP, true, true, false },
	{ PG_SPACE_ICMP, IPPROTO_ICMP, true, false, false },
	{ PG_SPACE_ICMP6, IPPROTO_ICMPV6, false, true, false },
};

/* Terms that packets of this space can match at all; clearing the others keeps rows sparse. */
static bool in_space(const struct term *t, size_t i, bool partial)
{
	enum pg_l4_state state = partial ? PG_L4_PORTS : PG_L4_FULL;

	return (spaces[i].v4 && holds_in_state(t, PG_FAMILY_V4, state, spaces[i].proto)) ||
	       (spaces[i].v6 && holds_in_state(t, PG_FAMILY_V6, state, spaces[i].proto));
}

static int compile_ports(struct compiler *c, size_t i, bool partial, bool source, __u32 *ret_entry)
{
	_free_ struct pg_trie_range *range = NULL;
	_free_ uint64_t *never = new_set();
	size_t n = 0, total = 0;

	for (size_t k = 0; k < c->n_terms; k++)
		total += c->term[k].sport.n + c->term[k].dport.n + c->term[k].part_sport.n +
			 c->term[k].part_dport.n;
	range = calloc(total + 1, sizeof(*range));
	if (!range || !never)
		return -ENOMEM;
	for (size_t k = 0; k < c->n_terms; k++) {
		const struct term *t = &c->term[k];
		const struct ranges *s = partial ? (source ? &t->part_sport : &t->part_dport) :
						   (source ? &t->sport : &t->dport);

		if (!in_space(t, i, partial))
			continue;
		for (size_t j = 0; j < s->n; j++)
			range[n++] = (struct pg_trie_range){ k, s->r[j].lo, s->r[j].hi };
	}
	*ret_entry = pg_trie_ranges(c->trie, spaces[i].wide && !partial, range, n, never);
	return pg_trie_error(c->trie);
}

static bool flags_hold(const struct pg_rule *rule, unsigned flags)
{
	for (size_t i = 0; i < rule->n_match; i++) {
		const struct pg_match *m = &rule->match[i];

		if (m->kind == PG_MATCH_TCP && m->ports.flags_set &&
		    ((flags & m->ports.flags_mask) == m->ports.flags_comp) == m->ports.flags_invert)
			return false;
	}
	return true;
}

/* TCP flags: one byte, one node. */
static int compile_flags(struct compiler *c, __u32 *ret_entry)
{
	_free_ uint64_t *set = new_set();
	__u32 entries[256];

	if (!set)
		return -ENOMEM;
	for (unsigned flags = 0; flags < 256; flags++) {
		memset(set, 0, PG_MAX_TERMS / 8);
		for (size_t i = 0; i < c->n_terms; i++)
			if (in_space(&c->term[i], 0, false) && flags_hold(c->term[i].rule, flags))
				pg_set_add(set, i);
		entries[flags] = pg_trie_leaf(c->trie, set);
	}
	*ret_entry = pg_trie_node(c->trie, entries);
	return pg_trie_error(c->trie);
}

/* The types and codes of all its ICMP matches together, as type << 8 | code. */
static int icmp_ranges(const struct pg_rule *rule, enum pg_match_kind kind, struct ranges *ret)
{
	int r = ranges_all(ret);

	for (size_t i = 0; !r && i < rule->n_match; i++) {
		const struct pg_match *m = &rule->match[i];
		struct pg_port_range range = {
			.lo = m->icmp.type << 8 | m->icmp.code_lo,
			.hi = m->icmp.type << 8 | m->icmp.code_hi,
		};

		if (m->kind != kind)
			continue;
		if (m->icmp.any)
			range = (struct pg_port_range){ 0, 65535, false };
		r = ranges_and_these(ret, &range, 1, m->icmp.invert);
	}
	return r;
}

static int compile_icmp(struct compiler *c, size_t space, enum pg_match_kind kind, __u32 *ret_entry)
{
	_free_ struct pg_trie_range *range = NULL;
	_free_ uint64_t *never = new_set();
	size_t n = 0, cap = 0;
	int r = 0;

	if (!never)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_terms; i++) {
		struct ranges s = { 0 };

		if (!in_space(&c->term[i], space, false))
			continue;
		r = icmp_ranges(c->term[i].rule, kind, &s);
		if (!r && n + s.n > cap) {
			void *bigger;

			cap = 2 * (n + s.n);
			bigger = reallocarray(range, cap, sizeof(*range));
			if (!bigger)
				r = -ENOMEM;
			else
				range = bigger;
		}
		for (size_t j = 0; !r && j < s.n; j++)
			range[n++] = (struct pg_trie_range){ i, s.r[j].lo, s.r[j].hi };
		free(s.r);
		if (r)
			return r;
	}
	*ret_entry = pg_trie_ranges(c->trie, false, range, n, never);
	return pg_trie_error(c->trie);
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

static int compile_iface(struct compiler *c)
{
	_free_ uint64_t *set = new_set();

	if (!set)
		return -ENOMEM;
	for (int slot = 0; slot < PG_MAX_IFACES; slot++) {
		memset(set, 0, PG_MAX_TERMS / 8);
		for (size_t i = 0; i < c->n_terms; i++)
			if (ifname_holds(&c->term[i].rule->in, c->ifnames[slot]))
				pg_set_add(set, i);
		c->gen.iface[slot] = pg_trie_leaf(c->trie, set);
	}
	return pg_trie_error(c->trie);
}

static int compile_spaces(struct compiler *c)
{
	int r = 0;

	for (int s = 0; s < _PG_SPACE_MAX; s++)
		c->gen.sport[s] = c->gen.dport[s] = c->gen.detail[s] = PG_LEAF;
	for (size_t i = 0; !r && i < ARRAY_SIZE(spaces); i++) {
		enum pg_space s = spaces[i].space;

		if (s == PG_SPACE_ICMP || s == PG_SPACE_ICMP6)
			continue;
		r = compile_ports(c, i, false, true, &c->gen.sport[s]) ?:
		    compile_ports(c, i, false, false, &c->gen.dport[s]) ?:
		    compile_ports(c, i, true, true, &c->gen.sport[s + PG_SPACE_PARTIAL]) ?:
		    compile_ports(c, i, true, false, &c->gen.dport[s + PG_SPACE_PARTIAL]);
	}
	return r ?: compile_flags(c, &c->gen.detail[PG_SPACE_TCP]) ?:
	       compile_icmp(c, 5, PG_MATCH_ICMP, &c->gen.detail[PG_SPACE_ICMP]) ?:
	       compile_icmp(c, 6, PG_MATCH_ICMP6, &c->gen.detail[PG_SPACE_ICMP6]);
}

static bool any_port(const struct ranges *s)
{
	return s->n == 1 && s->r[0].lo == 0 && s->r[0].hi == 65535;
}

/* Which dimensions any term asks for; the programs skip the others. */
static __u32 dims_of(const struct compiler *c)
{
	__u32 dims = 0;

	for (size_t i = 0; i < c->n_terms; i++) {
		const struct term *t = &c->term[i];

		dims |= t->rule->src.set ? PG_DIM_SADDR : 0;
		dims |= t->rule->dst.set ? PG_DIM_DADDR : 0;
		dims |= t->rule->in.set ? PG_DIM_IFACE : 0;
		dims |= any_port(&t->sport) && any_port(&t->part_sport) ? 0 : PG_DIM_SPORT;
		dims |= any_port(&t->dport) && any_port(&t->part_dport) ? 0 : PG_DIM_DPORT;
		for (size_t k = 0; k < t->rule->n_match; k++) {
			const struct pg_match *m = &t->rule->match[k];

			if (m->kind == PG_MATCH_ICMP || m->kind == PG_MATCH_ICMP6 ||
			    (m->kind == PG_MATCH_TCP && m->ports.flags_set))
				dims |= PG_DIM_DETAIL;
		}
	}
	return dims;
}

static int compile_dimensions(struct compiler *c)
{
	int r = 0;

	c->gen.dims = dims_of(c);
	c->gen.any = PG_LEAF;

	for (int f = 0; !r && f < _PG_FAMILY_MAX; f++)
		r = compile_addr(c, true, f, &c->gen.saddr[f]) ?:
		    compile_addr(c, false, f, &c->gen.daddr[f]);
	return r ?: compile_proto(c) ?: compile_spaces(c) ?: compile_iface(c);
}

/* The whole ------------------------------------------------------------------------------------ */

static int check_passing(struct compiler *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_terms; i++)
		n += c->term[i].rule->target == PG_TARGET_NONE;
	if (n > PG_MAX_PASSING)
		return pg_fail(c->err, -E2BIG,
			       "policy too large: %zu rules without a target, %d can be followed",
			       n, PG_MAX_PASSING);
	return 0;
}

static enum pg_action_kind action_of(enum pg_target target)
{
	switch (target) {
	case PG_TARGET_ACCEPT:
		return PG_ACT_ACCEPT;
	case PG_TARGET_DROP:
		return PG_ACT_DROP;
	default:
		return PG_ACT_CONTINUE;
	}
}

static int fill_actions(struct compiler *c, struct pg_tables *tables)
{
	tables->actions = calloc(c->n_terms + 1, sizeof(*tables->actions));
	tables->terms = calloc(c->n_terms + 1, sizeof(*tables->terms));
	if (!tables->actions || !tables->terms)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_terms; i++) {
		const struct term *t = &c->term[i];

		tables->actions[i] = (struct pg_action){
			.slot = t->rule->slot,
			.kind = action_of(t->rule->target),
			.asks = t->asks,
		};
		tables->terms[i].chain = t->chain;
		tables->terms[i].rule = t->number;
	}
	return 0;
}

static int compile_chain(struct compiler *c, uint32_t chain, struct pg_tables *tables)
{
	const struct pg_chain *ch = &c->set->chain[chain];
	int r = 0;

	c->gen.policy_kind = action_of(ch->policy);
	c->gen.policy_slot = ch->slot;
	for (size_t i = 0; !r && i < ch->n_rules; i++)
		r = add_terms(c, chain, i);
	if (r || !c->n_terms)
		return r;
	r = check_passing(c);
	if (r)
		return r;
	c->gen.terms = c->n_terms;
	c->gen.form = c->n_terms <= 64 ? PG_FORM_WORD : PG_FORM_TREE;
	c->trie = pg_trie_new(c->n_terms, PG_NODES / 2, PG_ROW_WORDS / 2);
	if (!c->trie)
		return pg_fail(c->err, -ENOMEM, "no memory to compile the policy");
	r = compile_dimensions(c) ?: fill_actions(c, tables);
	if (r == -ENOSPC)
		return pg_fail(c->err, -E2BIG,
			       "policy too large: its tables would need more than %u nodes or "
			       "%u KB of bitmaps",
			       PG_NODES / 2, PG_ROW_WORDS / 2 / 128);
	if (r)
		return pg_fail(c->err, r, "no memory to compile the policy");
	tables->nodes = pg_trie_take_nodes(c->trie, &tables->n_nodes);
	tables->rows = pg_trie_take_rows(c->trie, &tables->n_row_words, &tables->n_classes);
	return 0;
}

static void compiler_done(struct compiler *c)
{
	for (size_t i = 0; c->term && i < c->n_terms; i++) {
		free(c->term[i].sport.r);
		free(c->term[i].dport.r);
		free(c->term[i].part_sport.r);
		free(c->term[i].part_dport.r);
	}
	free(c->term);
	pg_trie_free(c->trie);
}

int pg_compile(const struct pg_ruleset *set, const char (*ifnames)[IFNAMSIZ],
	       struct pg_tables **ret_tables, struct pg_err *err)
{
	_cleanup_(pg_tables_freep) struct pg_tables *tables = calloc(1, sizeof(*tables));
	_cleanup_(compiler_done) struct compiler c = { .set = set, .ifnames = ifnames, .err = err };
	int r;

	c.term = calloc(PG_MAX_TERMS, sizeof(*c.term));
	if (!tables || !c.term)
		return pg_fail(err, -ENOMEM, "no memory to compile the policy");
	r = compile_chain(&c, PG_CHAIN_INPUT, tables);
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
	free(tables->actions);
	free(tables->terms);
	free(tables);
}

const char *pg_form_name(enum pg_form form)
{
	switch (form) {
	case PG_FORM_EMPTY:
		return "empty";
	case PG_FORM_WORD:
		return "one-word bitmaps";
	case PG_FORM_TREE:
		return "two-level bitmaps";
	default:
		return "unknown";
	}
}
