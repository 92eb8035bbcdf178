/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "view_table.h"

#define GAP 2	     /* between columns */
#define NOTE_INDENT 6
#define FOLD_MIN 20  /* narrower than this, text is not folded but runs over the edge */

struct cell {
	size_t at; /* in text */
	bool note;
};

struct pg_table {
	const struct pg_column *column;
	size_t n_columns;
	struct pg_text text; /* of all cells, each with its NUL */
	struct cell *cell;
	size_t n, cap;
	size_t *width; /* of the columns */
	size_t at;     /* column of the next cell */
};

/* Columns on a terminal: characters, not bytes. Wide and combining ones don't occur in names. */
static size_t columns(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static size_t max(size_t a, size_t b)
{
	return a > b ? a : b;
}

struct pg_table *pg_table_new(const struct pg_column *column, size_t n_columns)
{
	struct pg_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->width = calloc(n_columns, sizeof(*table->width));
	if (!table->width) {
		free(table);
		return NULL;
	}
	table->column = column;
	table->n_columns = n_columns;
	for (size_t i = 0; i < n_columns; i++)
		table->width[i] = columns(column[i].title);
	return table;
}

void pg_table_free(struct pg_table *table)
{
	if (!table)
		return;
	pg_text_free(&table->text);
	free(table->cell);
	free(table->width);
	free(table);
}

static bool add_text(struct pg_table *table, const char *text, bool note)
{
	if (table->n == table->cap) {
		size_t cap = table->cap ? 2 * table->cap : 256;
		struct cell *cell = reallocarray(table->cell, cap, sizeof(*cell));

		if (!cell) {
			table->text.oom = true;
			return false;
		}
		table->cell = cell;
		table->cap = cap;
	}
	table->cell[table->n++] = (struct cell){ .at = table->text.len, .note = note };
	pg_text_addn(&table->text, text, strlen(text) + 1);
	return !table->text.oom;
}

void pg_table_cell(struct pg_table *table, const char *fmt, ...)
{
	_free_ char *text = NULL;
	va_list ap;
	int n;

	if (!table || table->text.oom)
		return;
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		table->text.oom = true;
		return;
	}

	if (!add_text(table, text, false))
		return;
	table->width[table->at] = max(table->width[table->at], columns(text));
	table->at = (table->at + 1) % table->n_columns;
}

void pg_table_number(struct pg_table *table, uint64_t number)
{
	pg_table_cell(table, "%" PRIu64, number);
}

void pg_table_note(struct pg_table *table, const char *note)
{
	if (table && !table->text.oom && note[0])
		add_text(table, note, true);
}

size_t pg_table_width(const struct pg_table *table)
{
	size_t width = 0;

	for (size_t i = 0; table && i < table->n_columns; i++)
		width += table->width[i] + (i ? GAP : 0);
	return width;
}

static void add_blanks(struct pg_text *t, size_t n)
{
	pg_text_add(t, "%*s", (int)n, "");
}

/* Words of `text` in lines of at most `width` columns, each after `indent` blanks but the first. */
static void add_folded(struct pg_text *t, const char *text, size_t indent, size_t width)
{
	while (columns(text) > width) {
		const char *cut = NULL;
		size_t n = 0;

		for (const char *p = text; *p && (n <= width || !cut); p++) {
			if (*p == ' ' && p > text)
				cut = p;
			n += ((unsigned char)*p & 0xc0) != 0x80;
		}
		if (!cut)
			break;
		pg_text_addn(t, text, (size_t)(cut - text));
		pg_text_addn(t, "\n", 1);
		add_blanks(t, indent);
		text = cut + 1;
	}
	pg_text_add(t, "%s", text);
}

static void print_cell(struct pg_text *t, const struct pg_table *table, size_t i, const char *text,
		       size_t start, unsigned width)
{
	const struct pg_column *column = &table->column[i];
	bool last = i + 1 == table->n_columns;
	size_t pad = table->width[i] - columns(text);

	if (column->right)
		add_blanks(t, pad);
	if (last && column->fold && width >= start + FOLD_MIN)
		add_folded(t, text, start, width - start);
	else
		pg_text_add(t, "%s", text);
	/* No blanks at the end of a line. */
	if (!column->right && !last)
		add_blanks(t, pad);
}

/* cell(i) of one row; titles and rows differ only in where the text comes from. */
static void print_row(struct pg_text *t, const struct pg_table *table, const struct cell *cell,
		      unsigned width)
{
	size_t start = 0;

	for (size_t i = 0; i < table->n_columns; i++) {
		const char *text = cell ? table->text.buf + cell[i].at : table->column[i].title;

		if (i) {
			add_blanks(t, GAP);
			start += GAP;
		}
		print_cell(t, table, i, text, start, width);
		start += table->width[i];
	}
	while (t->len && !t->oom && t->buf[t->len - 1] == ' ')
		t->buf[--t->len] = '\0';
	pg_text_addn(t, "\n", 1);
}

static void print_note(struct pg_text *t, const char *note, unsigned width)
{
	add_blanks(t, NOTE_INDENT);
	if (width >= NOTE_INDENT + FOLD_MIN)
		add_folded(t, note, NOTE_INDENT, width - NOTE_INDENT);
	else
		pg_text_add(t, "%s", note);
	pg_text_addn(t, "\n", 1);
}

void pg_table_print(struct pg_text *t, const struct pg_table *table, unsigned width)
{
	size_t i = 0;

	if (!table || table->text.oom) {
		t->oom = true;
		return;
	}
	print_row(t, table, NULL, width);
	while (i < table->n) {
		if (table->cell[i].note) {
			print_note(t, table->text.buf + table->cell[i].at, width);
			i++;
		} else {
			print_row(t, table, &table->cell[i], width);
			i += table->n_columns;
		}
	}
}
