/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "chains.h"
#include "print.h"
#include "target.h"

int pg_chain_name_check(const struct pg_arg *name, struct pg_diag *diag)
{
	const char *text = name->text;
	char shown[PG_CHAIN_NAME_MAX + 1];

	if (strlen(text) > PG_CHAIN_NAME_MAX)
		return pg_diag(diag, PG_DIAG_PARAM, name,
			       "chain name `%s' too long (must be under %d chars)", text,
			       PG_CHAIN_NAME_MAX + 1);
	if (*text == '-' || *text == '!')
		return pg_diag(diag, PG_DIAG_PARAM, name,
			       "chain name not allowed to start with `%c'", *text);
	if (!*text || pg_target_known(text))
		return pg_diag(diag, PG_DIAG_PARAM, name,
			       "chain name may not clash with target name");
	/* Beside blanks, what a file could not hold. */
	for (const char *c = text; *c; c++)
		if (isspace((unsigned char)*c) || *c == '"')
			return pg_diag(diag, PG_DIAG_PARAM, name, "Invalid chain name `%s'", text);
	if (strcmp(pg_printable(text, shown, sizeof(shown)), text))
		return pg_diag(diag, PG_DIAG_PARAM, name, "Invalid chain name `%s'", text);
	return 0;
}

struct pg_chain *pg_chain_add(struct pg_ruleset *set, enum pg_table_id table, const char *name)
{
	size_t at = pg_chain_place(set, table, name);
	struct pg_chain *more =
		reallocarray(set->chain, set->n_chains + 1, sizeof(*set->chain));

	if (!more)
		return NULL;
	set->chain = more;
	memmove(&more[at + 1], &more[at], (set->n_chains - at) * sizeof(*more));
	set->n_chains++;
	more[at] = (struct pg_chain){ .table = table, .slot = PG_NO_SLOT };
	snprintf(more[at].name, sizeof(more[at].name), "%s", name);
	return &more[at];
}

void pg_chain_flush(struct pg_chain *chain)
{
	while (chain->n_rules)
		pg_chain_remove(chain, chain->n_rules - 1);
}

void pg_chain_drop(struct pg_ruleset *set, struct pg_chain *chain)
{
	size_t at = (size_t)(chain - set->chain);

	pg_chain_flush(chain);
	free(chain->rule);
	set->n_chains--;
	memmove(chain, chain + 1, (set->n_chains - at) * sizeof(*chain));
}

void pg_chain_rename(struct pg_ruleset *set, struct pg_chain *chain, const char *name)
{
	struct pg_chain moved = *chain;
	size_t at = (size_t)(chain - set->chain);

	for (size_t i = 0; i < set->n_chains; i++) {
		for (size_t k = 0; k < set->chain[i].n_rules; k++) {
			struct pg_rule *rule = &set->chain[i].rule[k];

			if (set->chain[i].table == moved.table &&
			    rule->target == PG_TARGET_CHAIN && !strcmp(rule->chain, moved.name))
				snprintf(rule->chain, sizeof(rule->chain), "%s", name);
		}
	}
	set->n_chains--;
	memmove(chain, chain + 1, (set->n_chains - at) * sizeof(*chain));
	snprintf(moved.name, sizeof(moved.name), "%s", name);
	at = pg_chain_place(set, moved.table, name);
	memmove(&set->chain[at + 1], &set->chain[at],
		(set->n_chains - at) * sizeof(*set->chain));
	set->chain[at] = moved;
	set->n_chains++;
}

void pg_table_clear(struct pg_ruleset *set, enum pg_table_id table)
{
	for (size_t i = set->n_chains; i--;) {
		struct pg_chain *chain = &set->chain[i];

		if (chain->table != table)
			continue;
		if (pg_chain_is_builtin(set, chain))
			pg_chain_flush(chain);
		else
			pg_chain_drop(set, chain);
	}
}

/* Where rules lead ----------------------------------------------------------------------------- */

/* A chain on the way from a built-in one, and its rule that is next. */
struct step {
	size_t chain, rule;
};

struct walk {
	const struct pg_ruleset *set;
	unsigned *reach;
	unsigned bit;	   /* of the built-in chain at hand */
	bool *open;	   /* on the way */
	struct step *step; /* the way; no longer than there are chains */
	size_t depth;
};

static void enter(struct walk *w, size_t chain)
{
	w->reach[chain] |= w->bit;
	w->open[chain] = true;
	w->step[w->depth++] = (struct step){ .chain = chain };
}

/* The chain that the next rule of the last step leads to; n_chains: none is left. */
static size_t next_chain(struct walk *w)
{
	struct step *last = &w->step[w->depth - 1];
	const struct pg_chain *chain = &w->set->chain[last->chain];

	while (last->rule < chain->n_rules) {
		const struct pg_rule *rule = &chain->rule[last->rule++];
		const struct pg_chain *to;

		if (rule->target != PG_TARGET_CHAIN)
			continue;
		to = pg_ruleset_chain(w->set, chain->table, rule->chain);
		if (to)
			return (size_t)(to - w->set->chain);
	}
	return w->set->n_chains;
}

static int walk_from(struct walk *w, size_t builtin, size_t *ret_loop)
{
	w->bit = 1U << builtin;
	enter(w, builtin);
	while (w->depth) {
		size_t to = next_chain(w);

		if (to == w->set->n_chains) {
			w->open[w->step[--w->depth].chain] = false;
		} else if (w->open[to]) {
			*ret_loop = to;
			return 1;
		} else if (!(w->reach[to] & w->bit)) {
			enter(w, to);
		}
	}
	return 0;
}

int pg_chains_reach(const struct pg_ruleset *set, unsigned *ret, size_t *ret_loop)
{
	_free_ struct step *step = calloc(set->n_chains, sizeof(*step));
	_free_ bool *open = calloc(set->n_chains, sizeof(*open));
	struct walk w = { .set = set, .reach = ret, .open = open, .step = step };
	int r = 0;

	if (!step || !open)
		return -ENOMEM;
	memset(ret, 0, set->n_chains * sizeof(*ret));
	for (size_t i = 0; !r && i < PG_CHAINS_BUILTIN; i++)
		r = walk_from(&w, i, ret_loop);
	return r;
}

int pg_chains_check(const struct pg_ruleset *set, const struct pg_arg *at, struct pg_diag *diag)
{
	_free_ unsigned *reach = calloc(set->n_chains, sizeof(*reach));
	size_t loop = 0;
	int r = reach ? pg_chains_reach(set, reach, &loop) : -ENOMEM;

	if (r < 0)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	/* In a file, where all of it is looked at in the end, the word's place does not say it. */
	if (r && at && at->pos.line)
		return pg_diag(diag, PG_DIAG_FAILED, at,
			       "Too many levels of symbolic links: chain `%s' leads back to itself",
			       set->chain[loop].name);
	if (r)
		return pg_diag(diag, PG_DIAG_FAILED, at, "Too many levels of symbolic links.");
	return 0;
}

uint32_t pg_stage_chain(enum pg_stage stage)
{
	static const uint32_t chain[PG_STAGES] = {
		[PG_STAGE_FILTER] = PG_CHAIN_INPUT,
		[PG_STAGE_RAW] = PG_CHAIN_RAW_PREROUTING,
		[PG_STAGE_FORWARD] = PG_CHAIN_FORWARD,
		[PG_STAGE_OUTPUT] = PG_CHAIN_OUTPUT,
		[PG_STAGE_RAW_OUTPUT] = PG_CHAIN_RAW_OUTPUT,
	};

	return chain[stage & (PG_STAGES - 1)];
}
