/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Aligned columns of text. */
#pragma once

#include <stddef.h>

#include "util.h"

struct pg_column {
	const char *title;
	bool right; /* aligned: numbers */
	/*
	 * Last column only: where a line would be longer than the table is wide, its words go on
	 * in lines below, under its own beginning.
	 */
	bool fold;
};

/*
 * Cells are added row by row, from left to right. Once memory ran out nothing is added any more
 * and pg_table_print() sets the oom of its text.
 */
struct pg_table;
struct pg_table *pg_table_new(const struct pg_column *column, size_t n_columns); /* may be NULL */
void pg_table_free(struct pg_table *table);
static inline void pg_table_freep(struct pg_table **table)
{
	pg_table_free(*table);
}
/* NULL for a table is one that there was no memory for. */
void pg_table_cell(struct pg_table *table, const char *fmt, ...) _printf_(2, 3);
void pg_table_number(struct pg_table *table, uint64_t number);
/* A line of its own below the row just finished, indented; "": none. */
void pg_table_note(struct pg_table *table, const char *note);

/* width 0: any. */
void pg_table_print(struct pg_text *t, const struct pg_table *table, unsigned width);
/* How wide its rows are when nothing is folded; notes don't count. */
size_t pg_table_width(const struct pg_table *table);
