// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "checks.h"
#include "terms.h"

#include <errno.h>
#include <string.h>

/* Sets of numbers ------------------------------------------------------------------------------ */

static int ranges_all(struct pg_ranges *ret)
{
	ret->r = malloc(sizeof(*ret->r));
	if (!ret->r)
		return -ENOMEM;
	ret->r[0] = (struct pg_range){ 0, 65535 };
	ret->n = 1;
	return 0;
}

static int range_cmp(const void *a, const void *b)
{
	const struct pg_range *x = a, *y = b;

	return x->lo < y->lo ? -1 : x->lo > y->lo;
}

/* Sorted and disjoint, or everything else if `invert`. in[] is sorted in place. */
static int ranges_from(struct pg_range *in, size_t n, bool invert, struct pg_ranges *ret)
{
	struct pg_range *out = calloc(n + 1, sizeof(*out));
	uint32_t next = 0; /* first number not covered yet */
	size_t n_out = 0;

	if (!out)
		return -ENOMEM;
	qsort(in, n, sizeof(*in), range_cmp);
	for (size_t i = 0; i < n; i++) {
		if (in[i].lo > in[i].hi || in[i].hi < next)
			continue;
		if (invert && in[i].lo > next)
			out[n_out++] = (struct pg_range){ next, in[i].lo - 1 };
		if (!invert)
			out[n_out++] =
				(struct pg_range){ in[i].lo > next ? in[i].lo : next, in[i].hi };
		next = in[i].hi + 1U;
	}
	if (invert && next < 65536)
		out[n_out++] = (struct pg_range){ next, 65535 };
	ret->r = out;
	ret->n = n_out;
	return 0;
}

/* *a becomes what is in both. */
static int ranges_and(struct pg_ranges *a, const struct pg_ranges *b)
{
	struct pg_range *out = calloc(a->n + b->n + 1, sizeof(*out));
	size_t n = 0, i = 0, j = 0;

	if (!out)
		return -ENOMEM;
	while (i < a->n && j < b->n) {
		uint16_t lo = a->r[i].lo > b->r[j].lo ? a->r[i].lo : b->r[j].lo;
		uint16_t hi = a->r[i].hi < b->r[j].hi ? a->r[i].hi : b->r[j].hi;

		if (lo <= hi)
			out[n++] = (struct pg_range){ lo, hi };
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

static int ranges_and_these(struct pg_ranges *a, const struct pg_port_range *in, size_t n,
			    bool invert)
{
	struct pg_range these[PG_MULTIPORT_MAX];
	struct pg_ranges b = { 0 };
	int r;

	for (size_t i = 0; i < n; i++)
		these[i] = (struct pg_range){ in[i].lo, in[i].hi };
	r = ranges_from(these, n, invert, &b);
	if (!r)
		r = ranges_and(a, &b);
	free(b.r);
	return r;
}

/* Rules to terms ------------------------------------------------------------------------------- */

bool pg_match_has_ports(const struct pg_match *m)
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

/* Needs the whole transport header. */
static bool is_header_match(const struct pg_match *m)
{
	return pg_match_has_ports(m) || m->kind == PG_MATCH_ICMP || m->kind == PG_MATCH_ICMP6;
}

/* What bitmaps answer. The others are checks, but for comments. */
static bool is_l4_match(const struct pg_match *m)
{
	return is_header_match(m) || m->kind == PG_MATCH_MULTIPORT;
}

const struct pg_match *pg_first_l4_match(const struct pg_term *term)
{
	for (size_t i = term->from; i < term->to; i++)
		if (is_l4_match(&term->rule->match[i]))
			return &term->rule->match[i];
	return NULL;
}

size_t pg_segment_end(const struct pg_rule *rule, size_t from)
{
	bool remembers = false, asked = false, after = false;
	size_t i;

	for (i = from; i < rule->n_match; i++) {
		const struct pg_match *m = &rule->match[i];

		if (is_l4_match(m)) {
			/* A check between two of them could not be placed by one number. */
			if (remembers || after)
				break;
			asked = true;
		}
		/* Some of what bitmaps answer make checks as well: those come behind. */
		if (pg_match_checks(m)) {
			remembers |= pg_match_remembers(m);
			after = asked;
		}
	}
	return i;
}

static void count_checks(struct pg_term *t)
{
	bool asked = false;

	for (size_t i = t->from; i < t->to; i++) {
		const struct pg_match *m = &t->rule->match[i];

		asked |= is_l4_match(m);
		t->n_checks += pg_match_checks(m);
		if (!asked)
			t->before = t->n_checks;
	}
	if (!asked)
		t->before = 0;
}

static uint8_t asks_of(const struct pg_term *t)
{
	const struct pg_match *first = pg_first_l4_match(t);
	uint8_t asks = t->rule->proto ? PG_ASK_PROTO : 0;

	for (size_t i = t->from; i < t->to; i++) {
		if (t->rule->match[i].kind == PG_MATCH_MULTIPORT)
			asks |= PG_ASK_PORTS;
		else if (is_header_match(&t->rule->match[i]))
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
static int and_multiport(struct pg_ranges *sport, struct pg_ranges *dport, const struct pg_match *m,
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
static int term_ports(struct pg_term *t, unsigned choice)
{
	bool header = false;
	int r = ranges_all(&t->sport) ?: ranges_all(&t->dport) ?: ranges_all(&t->part_sport) ?:
		ranges_all(&t->part_dport);

	for (size_t i = t->from; !r && i < t->to; i++) {
		const struct pg_match *m = &t->rule->match[i];

		if (pg_match_has_ports(m)) {
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

/* More than this many `--ports` in one rule: two to the power of it are its terms. */
#define MAX_TWOS 4

unsigned pg_terms_of(const struct pg_rule *rule, size_t from, size_t to)
{
	unsigned twos = 0;

	for (size_t i = from; i < to; i++)
		twos += makes_two(&rule->match[i]);
	return twos > MAX_TWOS ? PG_TERMS_TOO_MANY : 1U << twos;
}

int pg_term_make(const struct pg_rule *rule, uint32_t chain, uint32_t number, size_t from, size_t to,
		 unsigned which, struct pg_term *ret_term)
{
	*ret_term = (struct pg_term){
		.rule = rule,
		.chain = chain,
		.number = number,
		.from = from,
		.to = to,
		.first = from == 0,
		.last = to == rule->n_match,
		.families = pg_rule_families(rule),
	};
	ret_term->asks = asks_of(ret_term);
	count_checks(ret_term);
	return term_ports(ret_term, which);
}

void pg_term_clear(struct pg_term *term)
{
	free(term->sport.r);
	free(term->dport.r);
	free(term->part_sport.r);
	free(term->part_dport.r);
}

int pg_icmp_ranges(const struct pg_term *term, enum pg_match_kind kind,
		   struct pg_ranges *ret_ranges)
{
	int r = ranges_all(ret_ranges);

	for (size_t i = term->from; !r && i < term->to; i++) {
		const struct pg_match *m = &term->rule->match[i];
		struct pg_port_range range = {
			.lo = m->icmp.type << 8 | m->icmp.code_lo,
			.hi = m->icmp.type << 8 | m->icmp.code_hi,
		};

		if (m->kind != kind)
			continue;
		if (m->icmp.any)
			range = (struct pg_port_range){ 0, 65535, false };
		r = ranges_and_these(ret_ranges, &range, 1, m->icmp.invert);
	}
	return r;
}

bool pg_ranges_is_all(const struct pg_ranges *s)
{
	return s->n == 1 && s->r[0].lo == 0 && s->r[0].hi == 65535;
}
