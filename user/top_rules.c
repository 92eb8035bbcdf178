/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The policy, with how often each rule is hit; those that never were are dim. */
#include <string.h>

#include "print.h"
#include "top_table.h"

enum { COL_NUM, COL_HITS, COL_BITS, COL_TOTAL, COL_BYTES, COL_RULE };

static const struct pg_top_column columns[] = {
	[COL_NUM] = { "NUM", 3, 6, true, true, 1 },
	[COL_HITS] = { "HITS/s", 7, 9, true, false, 0 },
	[COL_BITS] = { "b/s", 6, 9, true, false, 2 },
	[COL_TOTAL] = { "PACKETS", 8, 14, true, false, 0 },
	[COL_BYTES] = { "BYTES", 8, 16, true, false, 3 },
	[COL_RULE] = { "RULE", 55, 255, false, true, 0 },
};

struct row {
	const struct pg_chain *chain;
	const struct pg_rule *rule; /* NULL: the chain, and its policy */
	size_t num;
	const struct pg_rule_rate *rate;
	uint64_t packets, bytes;
};

struct rules {
	struct row *row;
	size_t n;
};

static void add(struct rules *rules, const struct row *row)
{
	rules->row[rules->n++] = *row;
}

/* Built-in chains of raw that do nothing are not worth a line. */
static bool is_silent(const struct pg_chain *chain)
{
	return chain->table == PG_TABLE_RAW && !chain->n_rules && !chain->packets &&
	       chain->policy == PG_TARGET_ACCEPT;
}

static bool collect(const struct pg_top_model *model, struct rules *ret)
{
	const struct pg_ruleset *set = model->snap->rules;
	const struct pg_history *h = model->history;
	size_t k = 0;

	ret->row = calloc(model->snap->n_rules + set->n_chains + 1, sizeof(*ret->row));
	if (!ret->row)
		return false;
	for (size_t c = 0; c < set->n_chains; c++) {
		const struct pg_chain *chain = &set->chain[c];

		if (!is_silent(chain))
			add(ret, &(struct row){ chain, NULL, 0, k < h->n_rules ? &h->rule[k] : NULL,
						chain->packets, chain->bytes });
		k++;
		for (size_t i = 0; i < chain->n_rules; i++, k++)
			add(ret, &(struct row){ chain, &chain->rule[i], i + 1,
						k < h->n_rules ? &h->rule[k] : NULL,
						chain->rule[i].packets, chain->rule[i].bytes });
	}
	return true;
}

static void rule_words(const struct row *row, char *buf, size_t size)
{
	_cleanup_(pg_text_free) struct pg_text t = { 0 };

	if (!row->rule) {
		snprintf(buf, size, "%s%s%s%s", row->chain->table == PG_TABLE_RAW ? "raw " : "",
			 row->chain->name, row->chain->policy ? " policy " : "",
			 row->chain->policy ? pg_target_name(row->chain->policy) : "");
		return;
	}
	pg_rule_print(&t, row->rule, 0);
	snprintf(buf, size, "%s", t.oom || !t.buf ? "" : t.buf);
}

static void rule_text(const void *arg, size_t i, char *buf, size_t size)
{
	const struct row *row = &((const struct rules *)arg)->row[i];
	char words[448];

	rule_words(row, words, sizeof(words));
	snprintf(buf, size, "%s %s", row->chain->name, words);
}

static double hits(const struct row *row)
{
	return row->rate ? row->rate->rate.packets : 0;
}

static uint64_t rule_key(const void *arg, size_t i, unsigned col)
{
	const struct row *row = &((const struct rules *)arg)->row[i];

	switch (col) {
	case COL_HITS:
		return pg_key_number(hits(row));
	case COL_BITS:
		return pg_key_number(row->rate ? row->rate->rate.bytes : 0);
	case COL_TOTAL:
		return row->packets;
	case COL_BYTES:
		return row->bytes;
	case COL_RULE:
		return row->rule ? (uint64_t)row->rule->target : UINT64_MAX;
	default:
		return i; /* in the order of the policy */
	}
}

static unsigned rule_look(const struct row *row)
{
	enum pg_target target = row->rule ? row->rule->target : row->chain->policy;

	if (!row->packets && row->rule)
		return PG_LOOK_DIM;
	if (!row->rule)
		return PG_LOOK_STRONG;
	return target == PG_TARGET_DROP || target == PG_TARGET_REJECT ? PG_LOOK_BAD :
	       target == PG_TARGET_ACCEPT			       ? PG_LOOK_GOOD :
									 PG_LOOK_PLAIN;
}

static void rule_cell(const void *arg, size_t i, unsigned col, struct pg_frame *f, unsigned x,
		      unsigned y, unsigned w)
{
	const struct row *row = &((const struct rules *)arg)->row[i];
	char text[512];

	switch (col) {
	case COL_NUM:
		if (row->rule)
			snprintf(text, sizeof(text), "%zu", row->num);
		else
			text[0] = '\0';
		pg_frame_right(f, x, y, w, rule_look(row), text);
		return;
	case COL_HITS:
		pg_top_put_number(f, x, y, w, PG_LOOK_STRONG, hits(row));
		return;
	case COL_BITS:
		pg_top_put_number(f, x, y, w, PG_LOOK_PLAIN, row->rate ? 8 * row->rate->rate.bytes : 0);
		return;
	case COL_TOTAL:
		pg_top_put_number(f, x, y, w, PG_LOOK_PLAIN, (double)row->packets);
		return;
	case COL_BYTES:
		pg_top_put_number(f, x, y, w, PG_LOOK_PLAIN, (double)row->bytes);
		return;
	default:
		rule_words(row, text, sizeof(text));
		pg_frame_put(f, x, y, w, rule_look(row), text);
	}
}

void pg_top_draw_rules(struct pg_frame *f, unsigned y, unsigned height, struct pg_top *top,
		       const struct pg_top_model *model)
{
	struct rules rules = { 0 };
	struct pg_top_table table = {
		.column = columns,
		.n_columns = ARRAY_SIZE(columns),
		.arg = &rules,
		.key = rule_key,
		.cell = rule_cell,
		.text = rule_text,
		.none = "There are no rules.",
	};
	size_t row;

	if (!collect(model, &rules))
		return;
	table.n = rules.n;
	pg_top_table_draw(f, y, height, top, &top->place[PG_TOP_RULES], &table, &row);
	free(rules.row);
}
