/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "explained.h"

#include <stdlib.h>
#include <string.h>

#include "chains.h"
#include "explain.h"

enum { QUESTIONS = 4096 };

bool explained_open(struct explained *e, const struct pg_private_opts *opts, struct pg_err *err)
{
	struct pg_private_opts own = *opts;

	own.general_only = true;
	own.progs = PG_PROG_XDP;
	return harness_open_with(&e->probe, &own, err);
}

void explained_close(struct explained *e)
{
	harness_close(&e->probe);
	free(e->matched);
	free(e->dropped);
}

void explained_begin(struct explained *e, const struct harness *p)
{
	e->n = 0;
	for (size_t i = 0; i < p->set->n_chains; i++)
		e->n += p->set->chain[i].n_rules;
	free(e->matched);
	free(e->dropped);
	e->matched = calloc(e->n + 1, sizeof(*e->matched));
	e->dropped = calloc(e->n + 1, sizeof(*e->dropped));
	if (!e->matched || !e->dropped)
		abort();
}

static size_t index_of(const struct harness *p, const struct pg_rule *rule)
{
	size_t at = 0;

	for (size_t i = 0; i < p->set->n_chains; i++) {
		const struct pg_chain *chain = &p->set->chain[i];

		if (rule >= chain->rule && rule < chain->rule + chain->n_rules)
			return at + (size_t)(rule - chain->rule);
		at += chain->n_rules;
	}
	abort();
}

static bool held(void *arg, enum pg_stage stage, size_t i)
{
	const struct harness *probe = arg;
	const struct pg_chain *chain = &probe->set->chain[pg_stage_chain(stage)];
	struct pg_count count = { 0 };

	if (i < chain->n_rules)
		pg_dp_slot_read(probe->dp, chain->rule[i].slot, &count);
	return count.packets;
}

static bool has_condition(const struct pg_rule *rule)
{
	return rule->n_match || rule->src.set || rule->dst.set || rule->in.set || rule->out.set ||
	       rule->proto || rule->fragment_set || rule->narrowed != PG_V46;
}

/* Which conditions failed: every rule that did not hold has one, and its text. */
static const char *ask_conditions(struct explained *e, struct pg_explain *x, const void *frame,
				  size_t len)
{
	size_t next = 0;

	for (size_t at = 0; at < x->n; at = next) {
		struct pg_ruleset *set = pg_explain_probe(x, at, QUESTIONS, &next);
		struct pg_trace trace;

		if (!set)
			abort();
		harness_take(&e->probe, set);
		if (!harness_try_run(&e->probe, PG_DIR_IN, frame, len, &trace))
			return NULL;
		pg_explain_settle(x, at, next, held, &e->probe);
	}
	for (size_t i = 0; i < x->n; i++) {
		struct pg_text t = { 0 };
		bool empty;

		if (x->row[i].outcome != PG_OUTCOME_FAILED || !has_condition(x->row[i].place.rule))
			continue;
		pg_condition_print(&t, x->row[i].place.rule, &x->row[i].failed);
		empty = !t.len;
		pg_text_free(&t);
		if (empty)
			return "explain names no condition of a rule that did not hold";
		e->asked++;
	}
	return NULL;
}

static const char *check(struct explained *e, const struct harness *p, const struct pg_trace *trace,
			 struct pg_explain *x)
{
	const struct pg_considered *last = x->n ? &x->row[x->n - 1] : NULL;
	const struct pg_chain *chain;
	size_t number;

	for (size_t i = 0; i < x->n; i++) {
		size_t at = index_of(p, x->row[i].place.rule);

		e->matched[at] += x->row[i].outcome == PG_OUTCOME_MATCHED;
		e->dropped[at] += x->row[i].outcome == PG_OUTCOME_DROPPED;
	}
	e->frames++;
	e->rows += x->n;
	if (trace->reason != PG_REASON_RULE)
		return NULL;
	number = harness_decided(p, trace, &chain);
	if (!last || last->outcome != PG_OUTCOME_MATCHED || last->place.chain != chain ||
	    last->place.num != number)
		return "explain ends with another rule than the one that decided";
	return NULL;
}

const char *explained_frame(struct explained *e, const struct harness *p, const struct pg_trace *trace,
			    const void *frame, size_t len, bool ask)
{
	const struct pg_term_map map = { .set = p->set, .tables = p->tables };
	const struct pg_step *step;
	struct pg_explain x;
	const char *wrong;
	size_t n = pg_dp_run_steps(p->dp, &step);

	if (pg_explain_make(&map, step, n, &x)) {
		pg_explain_clear(&x);
		return "explain cannot follow the steps";
	}
	wrong = check(e, p, trace, &x);
	if (!wrong && ask)
		wrong = ask_conditions(e, &x, frame, len);
	pg_explain_clear(&x);
	return wrong;
}

bool explained_counts(const struct explained *e, const struct harness *p, const struct pg_rule *rule,
		      unsigned long packets)
{
	size_t at = index_of(p, rule);

	/* A match that drops may do so before or behind the rule's counter. */
	return e->matched[at] <= packets && packets <= e->matched[at] + e->dropped[at];
}
