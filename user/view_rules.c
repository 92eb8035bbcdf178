/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <inttypes.h>

#include "chains.h"
#include "print.h"
#include "view.h"
#include "view_table.h"

/* Names of chains and comments come from rule files: shown without control characters. */
static void add_rule(struct pg_text *t, struct pg_table *table, size_t num,
		     const struct pg_rule *rule)
{
	struct pg_text spec = { 0 };
	_free_ char *shown = NULL;

	pg_rule_print(&spec, rule, 0);
	shown = malloc(spec.len + 1);
	if (shown && !spec.oom) {
		pg_table_cell(table, "%zu", num);
		pg_table_number(table, rule->packets);
		pg_table_number(table, rule->bytes);
		/* A rule without a condition or a target has no text. */
		pg_table_cell(table, "%s",
			      pg_printable(spec.buf ? spec.buf : "", shown, spec.len + 1));
	} else {
		t->oom = true;
	}
	pg_text_free(&spec);
}

static void add_heading(struct pg_text *t, const struct pg_ruleset *set,
			const struct pg_chain *chain)
{
	char name[sizeof(chain->name)];

	pg_text_add(t, "Chain %s", pg_printable(chain->name, name, sizeof(name)));
	if (chain->table != PG_TABLE_FILTER)
		pg_text_add(t, " of table %s", pg_table_name(chain->table));
	if (pg_chain_is_builtin(set, chain))
		pg_text_add(t, " (policy %s %" PRIu64 " packets, %" PRIu64 " bytes)\n",
			    pg_target_name(chain->policy), chain->packets, chain->bytes);
	else
		pg_text_add(t, " (%zu references)\n", pg_chain_references(set, chain));
}

static void add_chain(struct pg_text *t, const struct pg_ruleset *set, const struct pg_chain *chain,
		      unsigned width)
{
	static const struct pg_column columns[] = {
		{ "NUM", true, false },
		{ "PACKETS", true, false },
		{ "BYTES", true, false },
		{ "RULE", false, true },
	};
	_cleanup_(pg_table_freep) struct pg_table *table =
		pg_table_new(columns, ARRAY_SIZE(columns));

	add_heading(t, set, chain);
	for (size_t i = 0; i < chain->n_rules; i++)
		add_rule(t, table, i + 1, &chain->rule[i]);
	if (chain->n_rules)
		pg_table_print(t, table, width);
}

/* A chain that nothing was ever said about and that has decided nothing is not worth a line. */
static bool is_idle(const struct pg_chain *chain)
{
	return chain->policy == PG_TARGET_ACCEPT && !chain->n_rules && !chain->packets;
}

void pg_view_rules(struct pg_text *t, const struct pg_snapshot *snap, unsigned width)
{
	for (size_t i = 0; i < snap->rules->n_chains; i++) {
		const struct pg_chain *chain = &snap->rules->chain[i];

		if (i != PG_CHAIN_INPUT && is_idle(chain))
			continue;
		if (i != PG_CHAIN_INPUT)
			pg_text_addn(t, "\n", 1);
		add_chain(t, snap->rules, chain, width);
	}
}
