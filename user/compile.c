// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "compile.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "terms.h"
#include "trie.h"

struct compiler {
	const struct pg_ruleset *set;
	const char (*ifnames)[IFNAMSIZ];
	struct pg_trie *trie;
	struct pg_term *term;
	size_t n_terms;
	struct pg_gen gen;
	struct pg_err *err;
};

static int add_terms(struct compiler *c, uint32_t chain, size_t at)
{
	const struct pg_rule *rule = &c->set->chain[chain].rule[at];
	unsigned n = pg_terms_of(rule);
	int r;

	if (n == PG_TERMS_TOO_MANY || c->n_terms + n > PG_MAX_TERMS)
		return pg_fail(c->err, -E2BIG,
			       "policy too large: more than %u rules (each --ports in a rule makes "
			       "it count twice)",
			       PG_MAX_TERMS);
	for (unsigned which = 0; which < n; which++) {
		r = pg_term_make(rule, chain, at + 1, which, &c->term[c->n_terms++]);
		if (r)
			return pg_fail(c->err, r, "no memory to compile the policy");
	}
	return 0;
}

/* Dimensions ----------------------------------------------------------------------------------- */

/* Does the rule's -p, -f and first L4 match admit protocol `proto` in this state? */
static bool holds_in_state(const struct pg_term *t, enum pg_family family, enum pg_l4_state state,
			   uint8_t proto)
{
	const struct pg_rule *rule = t->rule;
	const struct pg_match *first = pg_first_l4_match(rule);
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
		const struct pg_term *t = &c->term[k];
		const struct pg_ranges *s = partial ? (source ? &t->part_sport : &t->part_dport) :
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
			if (in_space(&c->term[i], AT_TCP, false) && flags_hold(c->term[i].rule, flags))
				pg_set_add(set, i);
		entries[flags] = pg_trie_leaf(c->trie, set);
	}
	*ret_entry = pg_trie_node(c->trie, entries);
	return pg_trie_error(c->trie);
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
		struct pg_ranges s = { 0 };

		if (!in_space(&c->term[i], space, false))
			continue;
		r = pg_icmp_ranges(c->term[i].rule, kind, &s);
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
		c->gen.sport[s] = c->gen.dport[s] = c->gen.detail[s] = c->gen.any;
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
	       compile_icmp(c, AT_ICMP, PG_MATCH_ICMP, &c->gen.detail[PG_SPACE_ICMP]) ?:
	       compile_icmp(c, AT_ICMP6, PG_MATCH_ICMP6, &c->gen.detail[PG_SPACE_ICMP6]);
}

/* Which dimensions any term asks for; the programs skip the others. */
static __u32 dims_of(const struct compiler *c)
{
	__u32 dims = 0;

	for (size_t i = 0; i < c->n_terms; i++) {
		const struct pg_term *t = &c->term[i];

		dims |= t->rule->src.set ? PG_DIM_SADDR : 0;
		dims |= t->rule->dst.set ? PG_DIM_DADDR : 0;
		dims |= t->rule->in.set ? PG_DIM_IFACE : 0;
		dims |= pg_ranges_is_all(&t->sport) && pg_ranges_is_all(&t->part_sport) ? 0 : PG_DIM_SPORT;
		dims |= pg_ranges_is_all(&t->dport) && pg_ranges_is_all(&t->part_dport) ? 0 : PG_DIM_DPORT;
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
	c->gen.any = pg_trie_all(c->trie);

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
		const struct pg_term *t = &c->term[i];

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
	c->gen.output_slot = c->set->chain[PG_CHAIN_OUTPUT].slot;
	for (size_t i = 0; !r && i < ch->n_rules; i++)
		r = add_terms(c, chain, i);
	if (r || !c->n_terms)
		return r;
	r = check_passing(c);
	if (r)
		return r;
	c->gen.terms = c->n_terms;
	c->gen.form = c->n_terms <= PG_TINY_TERMS ? PG_FORM_TINY :
		      c->n_terms <= 64		  ? PG_FORM_WORD :
						    PG_FORM_TREE;
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
	for (size_t i = 0; c->term && i < c->n_terms; i++)
		pg_term_clear(&c->term[i]);
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
	case PG_FORM_TINY:
		return "bitmaps in the leaves";
	case PG_FORM_WORD:
		return "one-word bitmaps";
	case PG_FORM_TREE:
		return "two-level bitmaps";
	default:
		return "unknown";
	}
}
