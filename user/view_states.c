/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <inttypes.h>

#include "names.h"
#include "states.h"
#include "view_table.h"

void pg_states_clear(struct pg_states *states)
{
	free(states->port);
	*states = (struct pg_states){ 0 };
}

bool pg_states_wanted(const struct pg_states_opts *opts, uint16_t port)
{
	for (size_t i = 0; i < opts->n; i++)
		if (port >= opts->port[i].lo && port <= opts->port[i].hi)
			return true;
	return !opts->n;
}

/* Columns that any row has a count in; rows are shown if they have one. */
static size_t used_columns(const struct pg_state_matrix *m, uint8_t *ret)
{
	size_t n = 0;

	for (unsigned to = 0; to < _PG_END_MAX; to++) {
		uint64_t any = 0;

		for (unsigned from = 0; from < _PG_END_MAX; from++)
			any |= m->count[from][to];
		if (any)
			ret[n++] = (uint8_t)to;
	}
	return n;
}

static bool has_row(const struct pg_state_matrix *m, unsigned from)
{
	for (unsigned to = 0; to < _PG_END_MAX; to++)
		if (m->count[from][to])
			return true;
	return false;
}

static struct pg_table *as_matrix(const struct pg_state_matrix *m, struct pg_column *columns)
{
	uint8_t to[_PG_END_MAX];
	size_t n = used_columns(m, to);
	struct pg_table *table;

	columns[0] = (struct pg_column){ "FROM\\TO", false, false };
	for (size_t i = 0; i < n; i++)
		columns[i + 1] = (struct pg_column){
			pg_end_state_name((enum pg_end_state)to[i]), true, false
		};
	table = pg_table_new(columns, n + 1);
	for (unsigned from = 0; from < _PG_END_MAX; from++) {
		if (!has_row(m, from))
			continue;
		pg_table_cell(table, "%s", pg_end_state_name((enum pg_end_state)from));
		for (size_t i = 0; i < n; i++) {
			if (m->count[from][to[i]])
				pg_table_number(table, m->count[from][to[i]]);
			else
				pg_table_cell(table, ".");
		}
	}
	return table;
}

static struct pg_table *as_list(const struct pg_state_matrix *m)
{
	static const struct pg_column columns[] = {
		{ "FROM", false, false }, { "TO", false, false }, { "COUNT", true, false },
	};
	struct pg_table *table = pg_table_new(columns, ARRAY_SIZE(columns));

	for (unsigned from = 0; from < _PG_END_MAX; from++) {
		for (unsigned to = 0; to < _PG_END_MAX; to++) {
			if (!m->count[from][to])
				continue;
			pg_table_cell(table, "%s", pg_end_state_name((enum pg_end_state)from));
			pg_table_cell(table, "%s", pg_end_state_name((enum pg_end_state)to));
			pg_table_number(table, m->count[from][to]);
		}
	}
	return table;
}

static void add_matrix(struct pg_text *t, const struct pg_state_matrix *m, unsigned width)
{
	struct pg_column columns[_PG_END_MAX + 1];
	struct pg_table *table = as_matrix(m, columns);

	if (width && pg_table_width(table) > width) {
		pg_table_free(table);
		table = as_list(m);
	}
	pg_table_print(t, table, width);
	pg_table_free(table);
}

static void add_odd(struct pg_text *t, const struct pg_states *states)
{
	bool any = false;

	for (unsigned i = 0; i < _PG_ODD_MAX; i++) {
		if (!states->odd[i])
			continue;
		pg_text_add(t, "%s%s %" PRIu64, any ? ", " : "\nImpossible flags: ",
			    pg_odd_flags_name((enum pg_odd_flags)i), states->odd[i]);
		any = true;
	}
	if (any)
		pg_text_add(t, "\n");
}

static bool is_empty(const struct pg_state_matrix *m)
{
	uint8_t to[_PG_END_MAX];

	return !used_columns(m, to);
}

void pg_view_states(struct pg_text *t, const struct pg_states *states, unsigned width,
		    const struct pg_states_opts *opts)
{
	bool any = false;

	if (!opts->n) {
		if (is_empty(&states->total))
			pg_text_add(t, "No end of a connection has changed its state yet.\n");
		else
			add_matrix(t, &states->total, width);
		add_odd(t, states);
		return;
	}
	for (size_t i = 0; i < states->n_ports; i++) {
		if (!pg_states_wanted(opts, states->port[i].port))
			continue;
		pg_text_add(t, "%sPort %u\n", any ? "\n" : "", states->port[i].port);
		add_matrix(t, &states->port[i].matrix, width);
		any = true;
	}
	if (!any)
		pg_text_add(t, "No end of a connection to such a port has changed its state yet.\n");
}
