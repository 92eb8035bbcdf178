/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "explain.h"

#include <errno.h>
#include <string.h>

#include "chains.h"
#include "checks.h"
#include "terms.h"

/* Steps → rules ----------------------------------------------------------------------------------- */

/* Where the classifier is. */
struct walker {
	const struct pg_term_map *map;
	struct pg_explain *out;
	bool *split_term; /* by term: it is a later segment of its rule */
	uint32_t chain;	  /* index in the ruleset */
	uint32_t next;	  /* number of its first rule that was not considered yet */
	bool split;	  /* in a later segment of rule `next` - 1 */
	bool settled;	  /* and that rule has its row */
	size_t from;	  /* the segment's first match */
	enum pg_stage stage;
};

static const struct pg_chain *chain_of(const struct walker *w)
{
	return &w->map->set->chain[w->chain];
}

/* A rule that a question has put in front of raw's chains is not the policy's own. */
static bool is_hidden(const struct walker *w, uint32_t num)
{
	return w->map->notrack_first && num == 1 &&
	       (w->chain == PG_CHAIN_RAW_PREROUTING || w->chain == PG_CHAIN_RAW_OUTPUT);
}

static uint32_t shown_number(const struct walker *w, uint32_t num)
{
	return num - (w->map->notrack_first && (w->chain == PG_CHAIN_RAW_PREROUTING ||
						w->chain == PG_CHAIN_RAW_OUTPUT));
}

static struct pg_considered *new_row(struct pg_explain *e)
{
	size_t cap = e->cap ? 2 * e->cap : 64;
	struct pg_considered *row;

	if (e->n < e->cap)
		return &e->row[e->n++];
	row = reallocarray(e->row, cap, sizeof(*row));
	if (!row)
		return NULL;
	e->row = row;
	e->cap = cap;
	return &e->row[e->n++];
}

/* A rule that makes two terms (--ports) has one row: what came of the last. */
static int add_row(struct walker *w, uint32_t num, enum pg_outcome outcome, size_t from,
		   struct pg_condition failed)
{
	const struct pg_rule *rule = &chain_of(w)->rule[num - 1];
	struct pg_explain *e = w->out;
	struct pg_considered *row = e->n ? &e->row[e->n - 1] : NULL;

	if (is_hidden(w, num))
		return 0;
	if (!row || row->place.rule != rule || row->outcome != PG_OUTCOME_FAILED)
		row = new_row(e);
	if (!row)
		return -ENOMEM;
	*row = (struct pg_considered){
		.place = { chain_of(w), shown_number(w, num), rule },
		.stage = w->stage,
		.outcome = outcome,
		.failed = failed,
		.from = from,
		.to = pg_segment_end(rule, from),
	};
	return 0;
}

/* Rules up to number `last` did not hold in the tables. */
static int cover(struct walker *w, uint32_t last)
{
	int r = 0;

	for (; !r && w->next <= last && w->next <= chain_of(w)->n_rules; w->next++)
		r = add_row(w, w->next, PG_OUTCOME_FAILED, 0, (struct pg_condition){ 0 });
	return r;
}

static void enter(struct walker *w, uint32_t chain)
{
	w->chain = chain;
	w->next = 1;
	w->split = false;
}

/* Back behind the term that led away. */
static void resume(struct walker *w, const struct pg_step *step)
{
	uint32_t term = step->from - 1;

	if (!step->from || term >= w->map->tables->gen.terms)
		return;
	w->chain = w->map->tables->terms[term].chain;
	w->next = w->map->tables->terms[term].rule + 1;
	w->split = w->split_term[term];
	w->settled = true;
}

/* What the step before has led to. */
static int follow(struct walker *w, const struct pg_step *before, const struct pg_step *step)
{
	const struct pg_tables *tables = w->map->tables;
	const struct pg_chain *target;
	const struct pg_rule *rule;

	if (before->kind == PG_STEP_END) {
		resume(w, step);
		return 0;
	}
	if (before->kind != PG_STEP_MATCH)
		return 0;
	rule = &chain_of(w)->rule[w->next - 2];
	switch (tables->records[before->term].kind) {
	case PG_ACT_JUMP:
	case PG_ACT_GOTO:
		target = pg_ruleset_chain(w->map->set, chain_of(w)->table, rule->chain);
		if (!target)
			return -EBADMSG;
		enter(w, (uint32_t)(target - w->map->set->chain));
		break;
	case PG_ACT_RETURN:
		resume(w, step);
		break;
	}
	return 0;
}

/* The match that a term's check number `check` belongs to. */
static struct pg_condition match_of_check(const struct pg_rule *rule, size_t from, size_t check)
{
	size_t at = from, n = 0;

	for (; at < rule->n_match; at++) {
		n += pg_match_checks(&rule->match[at]);
		if (check < n)
			return (struct pg_condition){ PG_PART_MATCH, at };
	}
	return (struct pg_condition){ 0 };
}

/* A term whose tables hold, and what came of it. */
static int take_term(struct walker *w, const struct pg_step *step)
{
	const struct pg_tables *tables = w->map->tables;
	uint32_t num = tables->terms[step->term].rule;
	const struct pg_rule *rule;
	int r = 0;

	if (tables->terms[step->term].chain != w->chain || !num || num > chain_of(w)->n_rules)
		return -EBADMSG;
	if (!w->split) {
		r = cover(w, num - 1);
		w->from = 0;
		w->next = num + 1;
	}
	rule = &chain_of(w)->rule[num - 1];
	w->settled = true;
	if (r)
		return r;
	if (step->kind == PG_STEP_CHECK)
		return add_row(w, num, PG_OUTCOME_FAILED, w->from,
			       match_of_check(rule, w->from, step->check));
	if (step->kind == PG_STEP_DROP)
		return add_row(w, num, PG_OUTCOME_DROPPED, w->from, (struct pg_condition){ 0 });
	if (tables->records[step->term].kind != PG_ACT_SPLIT)
		return add_row(w, num, PG_OUTCOME_MATCHED, w->from, (struct pg_condition){ 0 });
	w->split = true;
	w->settled = false;
	w->from = pg_segment_end(rule, w->from);
	return 0;
}

static int take_end(struct walker *w)
{
	if (!w->split)
		return cover(w, UINT32_MAX);
	if (w->settled)
		return 0;
	w->settled = true;
	return add_row(w, w->next - 1, PG_OUTCOME_FAILED, w->from, (struct pg_condition){ 0 });
}

static int take_step(struct walker *w, const struct pg_step *step)
{
	const struct pg_tables *tables = w->map->tables;
	bool known = step->term < tables->gen.terms;

	switch ((enum pg_step_kind)step->kind) {
	case PG_STEP_END:
		return take_end(w);
	case PG_STEP_SO_FAR:
		if (w->split || !known || tables->terms[step->term].chain != w->chain ||
		    w->split_term[step->term])
			return 0;
		return cover(w, tables->terms[step->term].rule - 1);
	case PG_STEP_TERM:
	case PG_STEP_CHECK:
	case PG_STEP_MATCH:
	case PG_STEP_DROP:
		return known ? take_term(w, step) : -EBADMSG;
	}
	return -EBADMSG;
}

static bool *find_split_terms(const struct pg_tables *tables)
{
	bool *split = calloc(tables->gen.terms + 1, sizeof(*split));

	for (size_t i = 0; split && i < tables->gen.terms; i++) {
		const struct pg_term_record *rec = &tables->records[i];

		if (rec->kind != PG_ACT_SPLIT || rec->arg >= tables->n_spans)
			continue;
		for (uint32_t t = tables->spans[rec->arg].start; t < tables->spans[rec->arg].end; t++)
			split[t] = true;
	}
	return split;
}

int pg_explain_make(const struct pg_term_map *map, const struct pg_step *step, size_t n,
		    struct pg_explain *ret)
{
	struct walker w = { .map = map, .out = ret, .split_term = find_split_terms(map->tables) };
	int r = w.split_term ? 0 : -ENOMEM;

	*ret = (struct pg_explain){ .cut = n > PG_TRACE_STEPS };
	if (ret->cut)
		n = 0;
	for (size_t i = 0; !r && i < n; i++) {
		if (!i || step[i].stage != step[i - 1].stage) {
			w.stage = step[i].stage;
			enter(&w, (uint32_t)pg_stage_chain(step[i].stage));
		} else {
			r = follow(&w, &step[i - 1], &step[i]);
		}
		if (!r)
			r = take_step(&w, &step[i]);
	}
	free(w.split_term);
	return r;
}

void pg_explain_clear(struct pg_explain *explain)
{
	free(explain->row);
	*explain = (struct pg_explain){ 0 };
}
