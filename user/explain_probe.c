/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which condition of a rule is the first that does not hold: the questions, as a policy. */
#include <string.h>

#include "chains.h"
#include "checks.h"
#include "explain.h"
#include "print.h"
#include "terms.h"

struct conditions {
	struct pg_condition list[PG_CONDITIONS_MAX];
	size_t n;
};

static void add(struct conditions *c, bool is_there, enum pg_part part, size_t at)
{
	if (is_there && c->n < PG_CONDITIONS_MAX)
		c->list[c->n++] = (struct pg_condition){ part, at };
}

static bool is_asked(const struct pg_port_range *range)
{
	return range->lo || range->hi != 65535 || range->invert;
}

static void add_match(struct conditions *c, const struct pg_match *m, size_t at)
{
	size_t before = c->n;

	if (m->kind == PG_MATCH_COMMENT)
		return;
	if (pg_match_has_ports(m)) {
		add(c, is_asked(&m->ports.sport), PG_PART_SPORT, at);
		add(c, is_asked(&m->ports.dport), PG_PART_DPORT, at);
		add(c, m->ports.flags_set, PG_PART_FLAGS, at);
	}
	add(c, c->n == before, PG_PART_MATCH, at);
}

/*
 * What a row asks, in the order in which iptables does. What remembers packets is not asked again:
 * tables answer nothing that stands behind it.
 */
static void list_conditions(const struct pg_considered *row, struct conditions *ret)
{
	const struct pg_rule *rule = row->place.rule;

	ret->n = 0;
	if (!row->from) {
		add(ret, rule->narrowed != PG_V46, PG_PART_FAMILY, 0);
		add(ret, rule->src.set, PG_PART_SRC, 0);
		add(ret, rule->dst.set, PG_PART_DST, 0);
		add(ret, rule->in.set, PG_PART_IN, 0);
		add(ret, rule->out.set, PG_PART_OUT, 0);
		add(ret, rule->proto, PG_PART_PROTO, 0);
		add(ret, rule->fragment_set, PG_PART_FRAGMENT, 0);
	}
	for (size_t i = row->from; i < row->to; i++) {
		const struct pg_match *m = &rule->match[i];

		if (pg_match_remembers(m) && !pg_match_has_ports(m))
			break;
		add_match(ret, m, i);
	}
}

static void strip_ports(struct pg_match *m, enum pg_part last)
{
	if (last < PG_PART_DPORT)
		m->ports.dport = (struct pg_port_range){ 0, 65535, false };
	if (last < PG_PART_FLAGS)
		m->ports.flags_set = false;
	/* What is behind its table's part. */
	m->ports.option.set = m->ports.dccp_types_set = false;
	m->ports.sport_whole = m->ports.dport_whole = false;
	m->ports.chunks = NULL;
}

/*
 * The rule's conditions up to and with this one, and no target. `match` has room for its matches;
 * what it owns stays the rule's.
 */
static struct pg_rule prefix_of(const struct pg_considered *row, const struct pg_condition *last,
				struct pg_match *match)
{
	struct pg_rule rule = *row->place.rule;
	bool basic = last->part < PG_PART_SPORT;

	rule.match = match;
	rule.n_match = basic ? 0 : last->at - row->from + 1;
	memcpy(match, row->place.rule->match + row->from, rule.n_match * sizeof(*match));
	if (!basic && last->part != PG_PART_MATCH)
		strip_ports(&match[rule.n_match - 1], last->part);
	if (basic) {
		rule.src.set &= last->part >= PG_PART_SRC;
		rule.dst.set &= last->part >= PG_PART_DST;
		rule.in.set &= last->part >= PG_PART_IN;
		rule.out.set &= last->part >= PG_PART_OUT;
		rule.proto = last->part >= PG_PART_PROTO ? rule.proto : 0;
		rule.fragment_set &= last->part >= PG_PART_FRAGMENT;
	}
	rule.target = PG_TARGET_NONE;
	rule.is_goto = false;
	rule.args = (union pg_target_args){ 0 };
	rule.slot = rule.state = PG_NO_SLOT;
	rule.packets = rule.bytes = 0;
	return rule;
}

static bool is_open(const struct pg_considered *row)
{
	return row->outcome == PG_OUTCOME_FAILED && row->failed.part == PG_PART_NONE;
}

/* All conditions but the last, which is the one if none of the others is. */
static int ask(struct pg_considered *row, struct pg_chain *chain, struct conditions *c)
{
	_free_ struct pg_match *match = calloc(row->place.rule->n_match + 1, sizeof(*match));
	int r = match ? 0 : -1;

	list_conditions(row, c);
	row->first_probe = chain->n_rules;
	for (size_t i = 0; !r && i + 1 < c->n; i++) {
		const struct pg_rule rule = prefix_of(row, &c->list[i], match);

		r = pg_chain_insert(chain, chain->n_rules, &rule);
	}
	return r;
}

/* What a rule that held has done to the packet, later ones were asked about. */
static int repeat_mark(const struct pg_considered *row, struct pg_chain *chain)
{
	const struct pg_rule rule = {
		.narrowed = PG_V46,
		.target = PG_TARGET_MARK,
		.args.mark = row->place.rule->args.mark,
		.slot = PG_NO_SLOT,
		.state = PG_NO_SLOT,
	};

	return pg_chain_insert(chain, chain->n_rules, &rule);
}

struct pg_ruleset *pg_explain_probe(struct pg_explain *explain, size_t from, size_t max,
				    size_t *ret_next)
{
	struct conditions *c = malloc(sizeof(*c));
	struct pg_ruleset *set = pg_ruleset_new();
	size_t at = 0;
	int r = c && set ? 0 : -1;

	/* Marks of rows before `from`, too. */
	for (; !r && at < explain->n; at++) {
		struct pg_considered *row = &explain->row[at];
		struct pg_chain *chain = &set->chain[pg_stage_chain(row->stage)];

		if (row->outcome == PG_OUTCOME_MATCHED && row->place.rule->target == PG_TARGET_MARK)
			r = repeat_mark(row, chain);
		else if (at >= from && is_open(row))
			r = ask(row, chain, c);
		if (chain->n_rules >= max && at >= from) {
			at++;
			break;
		}
	}
	free(c);
	if (r) {
		pg_ruleset_free(set);
		return NULL;
	}
	*ret_next = at;
	return set;
}

void pg_explain_settle(struct pg_explain *explain, size_t from, size_t next, pg_probe_held *held,
		       void *arg)
{
	struct conditions *c = malloc(sizeof(*c));

	for (size_t i = from; c && i < next; i++) {
		struct pg_considered *row = &explain->row[i];
		size_t k = 0;

		if (!is_open(row))
			continue;
		list_conditions(row, c);
		while (k + 1 < c->n && held(arg, row->stage, row->first_probe + k))
			k++;
		if (c->n)
			row->failed = c->list[k];
	}
	free(c);
}

/* One condition alone, as text -------------------------------------------------------------------- */

void pg_condition_print(struct pg_text *t, const struct pg_rule *rule,
			const struct pg_condition *condition)
{
	struct pg_rule one = { .narrowed = PG_V46 };
	struct pg_match match;

	switch (condition->part) {
	case PG_PART_NONE:
		return;
	case PG_PART_FAMILY:
		one.narrowed = rule->narrowed;
		break;
	case PG_PART_SRC:
		one.src = rule->src;
		break;
	case PG_PART_DST:
		one.dst = rule->dst;
		break;
	case PG_PART_IN:
		one.in = rule->in;
		break;
	case PG_PART_OUT:
		one.out = rule->out;
		break;
	case PG_PART_PROTO:
		one.proto = rule->proto;
		one.proto_invert = rule->proto_invert;
		break;
	case PG_PART_FRAGMENT:
		one.fragment_set = true;
		one.fragment_invert = rule->fragment_invert;
		break;
	default:
		match = rule->match[condition->at];
		one.match = &match;
		one.n_match = 1;
		if (condition->part != PG_PART_MATCH) {
			strip_ports(&match, condition->part);
			if (condition->part != PG_PART_SPORT)
				match.ports.sport = (struct pg_port_range){ 0, 65535, false };
			if (condition->part == PG_PART_FLAGS)
				match.ports.dport = (struct pg_port_range){ 0, 65535, false };
		}
	}
	pg_rule_print(t, &one, 0);
}

const char *pg_outcome_name(enum pg_outcome outcome)
{
	switch (outcome) {
	case PG_OUTCOME_MATCHED:
		return "matched";
	case PG_OUTCOME_FAILED:
		return "failed";
	case PG_OUTCOME_DROPPED:
		return "dropped";
	}
	return "?";
}

bool pg_remembered_print(struct pg_text *t, const struct pg_match *m, const struct pg_state *state,
			 uint64_t now_ns)
{
	uint64_t cost, late;

	switch (m->kind) {
	case PG_MATCH_LIMIT:
		cost = m->limit.avg * 100000ULL; /* as checks.c */
		late = state->value > now_ns ? state->value - now_ns : 0;
		late = cost ? (late + cost - 1) / cost : 0;
		pg_text_add(t, "limit: %llu of %u packets left",
			    (unsigned long long)(late < m->limit.burst ? m->limit.burst - late : 0),
			    m->limit.burst);
		return true;
	case PG_MATCH_QUOTA:
		pg_text_add(t, "quota: %llu of %llu bytes left",
			    (unsigned long long)(state->value < m->quota.bytes ?
							 m->quota.bytes - state->value : 0),
			    (unsigned long long)m->quota.bytes);
		return true;
	case PG_MATCH_STATISTIC:
		if (!m->statistic.nth)
			return false;
		pg_text_add(t, "statistic: packet %llu from now on matches",
			    (unsigned long long)(m->statistic.every - state->value));
		return true;
	case PG_MATCH_CONNLIMIT:
		if (!state->value)
			return false;
		pg_text_add(t, "connlimit: %llu connections with this one",
			    (unsigned long long)state->value);
		return true;
	default:
		return false;
	}
}
