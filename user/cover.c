/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cover.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"

#define ALL_STATES                                                                                 \
	(PG_CT_INVALID | PG_CT_ESTABLISHED | PG_CT_RELATED | PG_CT_NEW | PG_CT_UNTRACKED)

/* Making --------------------------------------------------------------------------------------- */

/* Matches that count or remember: the next packet like this one may get another answer. */
static bool is_pure(enum pg_match_kind kind)
{
	switch (kind) {
	case PG_MATCH_LIMIT:
	case PG_MATCH_HASHLIMIT:
	case PG_MATCH_CONNLIMIT:
	case PG_MATCH_CONNBYTES:
	case PG_MATCH_RECENT:
	case PG_MATCH_QUOTA:
	case PG_MATCH_STATISTIC:
		return false;
	default:
		return true;
	}
}

static bool decides(const struct pg_rule *rule)
{
	switch (rule->target) {
	case PG_TARGET_ACCEPT:
	case PG_TARGET_DROP:
	case PG_TARGET_RETURN:
	case PG_TARGET_REJECT:
		return true;
	case PG_TARGET_CHAIN:
		return rule->is_goto;
	default:
		return false;
	}
}

uint16_t pg_match_states(const struct pg_match *m)
{
	bool asked = m->kind == PG_MATCH_STATE ||
		     (m->kind == PG_MATCH_CONNTRACK &&
		      m->conntrack.given & 1U << PG_CT_PART_STATE);

	if (!asked)
		return ALL_STATES;
	if (m->conntrack.inverted & 1U << PG_CT_PART_STATE)
		return ALL_STATES & ~m->conntrack.states;
	return ALL_STATES & m->conntrack.states;
}

static int make_ports(const struct pg_rule *rule, struct pg_cover *c)
{
	unsigned n = pg_terms_of(rule, 0, rule->n_match);
	int r = 0;

	c->complex = n != 1;
	c->no_ports = n != PG_TERMS_TOO_MANY;
	for (unsigned i = 0; !r && i < n; i++) {
		struct pg_term term;

		r = pg_term_make(rule, 0, 0, 0, rule->n_match, i, &term);
		c->no_ports &= !r && (!term.sport.n || !term.dport.n);
		if (!r && n == 1) {
			c->sport = term.sport;
			c->dport = term.dport;
			term.sport.r = term.dport.r = NULL;
			r = pg_icmp_ranges(&term, PG_MATCH_ICMP, &c->icmp[PG_FAMILY_V4]) ?:
			    pg_icmp_ranges(&term, PG_MATCH_ICMP6, &c->icmp[PG_FAMILY_V6]);
		}
		pg_term_clear(&term);
	}
	return r;
}

int pg_cover_make(const struct pg_rule *rule, struct pg_cover *ret)
{
	*ret = (struct pg_cover){
		.rule = rule,
		.families = pg_rule_families(rule),
		.pure = true,
		.decides = decides(rule),
		.states = ALL_STATES,
	};
	for (size_t i = 0; i < rule->n_match; i++) {
		ret->pure &= is_pure(rule->match[i].kind);
		ret->states &= pg_match_states(&rule->match[i]);
	}
	ret->decides &= ret->pure;
	return make_ports(rule, ret);
}

void pg_cover_clear(struct pg_cover *c)
{
	free(c->sport.r);
	free(c->dport.r);
	free(c->icmp[PG_FAMILY_V4].r);
	free(c->icmp[PG_FAMILY_V6].r);
	*c = (struct pg_cover){};
}

bool pg_rule_takes_all(const struct pg_rule *rule)
{
	bool all = !rule->proto && !rule->src.set && !rule->dst.set && !rule->in.set &&
		   !rule->out.set && !rule->fragment_set && rule->narrowed == PG_V46;

	for (size_t i = 0; i < rule->n_match; i++)
		all &= rule->match[i].kind == PG_MATCH_COMMENT;
	return all;
}

/* Comparing ------------------------------------------------------------------------------------ */

bool pg_ranges_have(const struct pg_ranges *s, uint16_t n)
{
	for (size_t i = 0; i < s->n; i++)
		if (n >= s->r[i].lo && n <= s->r[i].hi)
			return true;
	return false;
}

static bool ranges_cover(const struct pg_ranges *a, const struct pg_ranges *b)
{
	size_t k = 0;

	for (size_t i = 0; i < b->n; i++) {
		while (k < a->n && a->r[k].hi < b->r[i].lo)
			k++;
		if (k == a->n || a->r[k].lo > b->r[i].lo || a->r[k].hi < b->r[i].hi)
			return false;
	}
	return true;
}

static bool addr_covers(const struct pg_addr *a, const struct pg_addr *b)
{
	if (!a->set)
		return true;
	if (!b->set)
		return false;
	if (!a->invert)
		return !b->invert && pg_prefix_covers(a, b);
	return b->invert ? pg_prefix_covers(b, a) : pg_prefixes_differ(a, b);
}

static bool name_covers(const char *a, const char *b)
{
	size_t n = strlen(a);

	if (n && a[n - 1] == '+')
		return !strncmp(a, b, n - 1);
	return !strcmp(a, b);
}

static bool ifname_covers(const struct pg_ifname *a, const struct pg_ifname *b)
{
	if (!a->set)
		return true;
	if (!b->set || a->invert != b->invert)
		return false;
	return a->invert ? name_covers(b->name, a->name) : name_covers(a->name, b->name);
}

static bool proto_covers(const struct pg_rule *a, const struct pg_rule *b)
{
	if (!a->proto)
		return true;
	if (!b->proto)
		return false;
	if (a->proto_invert)
		return b->proto_invert ? a->proto == b->proto : a->proto != b->proto;
	return !b->proto_invert && a->proto == b->proto;
}

/* What -m tcp and its like ask beside ports. */
static bool flags_cover(const struct pg_match *a, const struct pg_match *b)
{
	if (!a->ports.flags_set)
		return true;
	if (!b->ports.flags_set || a->ports.flags_invert != b->ports.flags_invert)
		return false;
	if (a->ports.flags_mask == b->ports.flags_mask && a->ports.flags_comp == b->ports.flags_comp)
		return true;
	return !a->ports.flags_invert && !(a->ports.flags_mask & ~b->ports.flags_mask) &&
	       (b->ports.flags_comp & a->ports.flags_mask) == a->ports.flags_comp;
}

static bool header_covers(const struct pg_match *a, const struct pg_match *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->ports.option.set || a->ports.dccp_types_set || a->ports.chunks)
		return pg_match_equal(a, b);
	return flags_cover(a, b);
}

static bool asks_only_ports(const struct pg_match *m)
{
	return !m->ports.flags_set && !m->ports.option.set && !m->ports.dccp_types_set &&
	       !m->ports.chunks;
}

/* Is the condition satisfied by all that rule b matches? */
static bool match_covers(const struct pg_match *m, const struct pg_cover *b)
{
	bool header = pg_match_has_ports(m);

	if (m->kind == PG_MATCH_COMMENT || m->kind == PG_MATCH_MULTIPORT ||
	    m->kind == PG_MATCH_ICMP || m->kind == PG_MATCH_ICMP6 ||
	    (header && asks_only_ports(m)))
		return true; /* the ranges have been compared */
	if (m->kind == PG_MATCH_STATE || (m->kind == PG_MATCH_CONNTRACK && !m->conntrack.more))
		return !(b->states & ~pg_match_states(m));
	for (size_t i = 0; i < b->rule->n_match; i++) {
		const struct pg_match *other = &b->rule->match[i];

		if (header ? header_covers(m, other) : pg_match_equal(m, other))
			return true;
	}
	return false;
}

bool pg_covers(const struct pg_cover *a, const struct pg_cover *b)
{
	const struct pg_rule *x = a->rule, *y = b->rule;

	if (!a->pure || a->complex || b->families & ~a->families || !proto_covers(x, y) ||
	    !addr_covers(&x->src, &y->src) || !addr_covers(&x->dst, &y->dst) ||
	    !ifname_covers(&x->in, &y->in) || !ifname_covers(&x->out, &y->out))
		return false;
	if (x->fragment_set &&
	    (!y->fragment_set || x->fragment_invert != y->fragment_invert))
		return false;
	if (b->complex ? !pg_ranges_is_all(&a->sport) || !pg_ranges_is_all(&a->dport) :
			 !ranges_cover(&a->sport, &b->sport) || !ranges_cover(&a->dport, &b->dport))
		return false;
	for (int f = 0; f < _PG_FAMILY_MAX; f++)
		if (b->complex ? !pg_ranges_is_all(&a->icmp[f]) :
				 !ranges_cover(&a->icmp[f], &b->icmp[f]))
			return false;
	for (size_t i = 0; i < x->n_match; i++)
		if (!match_covers(&x->match[i], b))
			return false;
	return true;
}
