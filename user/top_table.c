/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "top_table.h"

#include <inttypes.h>
#include <string.h>

uint64_t pg_key_number(double number)
{
	uint64_t key;

	/* Of numbers that are not negative, the bits are in the same order. */
	memcpy(&key, &number, sizeof(key));
	return key;
}

uint64_t pg_key_text(const char *text)
{
	uint64_t key = 0;

	for (int i = 0; i < 8; i++) {
		unsigned char c = (unsigned char)*text;

		key = key << 8 | (c >= 'A' && c <= 'Z' ? c | 0x20U : c);
		text += c != 0;
	}
	return key;
}

void pg_top_number(double v, unsigned width, char *buf, size_t size)
{
	static const char units[] = " kMGTPE";
	unsigned unit = 0;
	int n;

	if (v > 0 && v < 9.95 && v != (double)(uint64_t)v)
		n = snprintf(buf, size, "%.1f", v < 0.1 ? 0.1 : v);
	else
		n = snprintf(buf, size, "%.0f", v);
	if (n <= (int)width)
		return;
	while (v >= 999.5 && unit < sizeof(units) - 2) {
		v /= 1000;
		unit++;
	}
	for (int digits = v < 9.995 ? 2 : v < 99.95 ? 1 : 0; digits >= 0; digits--)
		if (snprintf(buf, size, "%.*f%c", digits, v, units[unit]) <= (int)width)
			return;
}

void pg_top_put_number(struct pg_frame *f, unsigned x, unsigned y, unsigned width, unsigned look,
		       double value)
{
	char buf[32];

	pg_top_number(value, width, buf, sizeof(buf));
	pg_frame_right(f, x, y, width, value > 0 ? look : PG_LOOK_DIM, buf);
}

bool pg_top_matches(const char *text, const char *filter)
{
	while (*filter) {
		size_t n = strcspn(filter, " ");
		char word[64];

		snprintf(word, sizeof(word), "%.*s", (int)n, filter);
		if (!strcasestr(text, word))
			return false;
		filter += n + (filter[n] == ' ');
	}
	return true;
}

/* Which columns are shown, how wide ------------------------------------------------------------ */

static unsigned total_width(const struct pg_table_place *place, unsigned n)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += place->width[i] ? place->width[i] + 1 : 0;
	return sum ? sum - 1 : 0;
}

static void leave_out(const struct pg_top_table *t, struct pg_table_place *place)
{
	unsigned worst = 0;

	for (unsigned i = 1; i < t->n_columns; i++)
		if (place->width[i] && (t->column[i].rank >= t->column[worst].rank || !place->width[worst]))
			worst = i;
	place->width[worst] = 0;
}

static bool has_optional(const struct pg_top_table *t, const struct pg_table_place *place)
{
	for (unsigned i = 0; i < t->n_columns; i++)
		if (place->width[i] && t->column[i].rank)
			return true;
	return false;
}

static void lay_out(const struct pg_top_table *t, unsigned width, struct pg_table_place *place)
{
	bool grew = true;
	unsigned x = 0;

	for (unsigned i = 0; i < t->n_columns; i++)
		place->width[i] = t->column[i].min;
	while (total_width(place, t->n_columns) > width && has_optional(t, place))
		leave_out(t, place);
	/* What is left over goes round, a column of the screen at a time. */
	while (grew) {
		grew = false;
		for (unsigned i = 0; i < t->n_columns; i++) {
			if (!place->width[i] || place->width[i] >= t->column[i].max ||
			    total_width(place, t->n_columns) >= width)
				continue;
			place->width[i]++;
			grew = true;
		}
	}
	for (unsigned i = 0; i < t->n_columns; i++) {
		place->x[i] = x;
		x += place->width[i] ? place->width[i] + 1 : 0;
	}
}

static void draw_titles(struct pg_frame *f, unsigned y, const struct pg_top_table *t,
			const struct pg_top_place *order, const struct pg_table_place *place)
{
	pg_frame_fill(f, 0, y, f->width, PG_LOOK_HEAD, ' ');
	for (unsigned i = 0; i < t->n_columns; i++) {
		bool sorted = t->key && order->sort == i;
		unsigned w = place->width[i];
		char title[32];
		const char *arrow = !sorted ? "" : t->column[i].ascending != order->reverse ?
			    (f->ascii ? "^" : "▲") : (f->ascii ? "v" : "▼");

		if (!w)
			continue;
		snprintf(title, sizeof(title), "%s%s", t->column[i].title, arrow);
		if (t->column[i].right)
			pg_frame_right(f, place->x[i], y, w, PG_LOOK_HEAD, title);
		else
			pg_frame_put(f, place->x[i], y, w, PG_LOOK_HEAD, title);
	}
}

/* Rows ---------------------------------------------------------------------------------------- */

struct row_order {
	uint64_t key, tie;
	size_t row;
};

static int compare_rows(const void *a, const void *b)
{
	const struct row_order *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	if (x->tie != y->tie)
		return x->tie > y->tie ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

static size_t wanted_rows(const struct pg_top *top, const struct pg_top_place *place,
			  const struct pg_top_table *t, struct row_order *order)
{
	bool up = t->key && t->column[place->sort].ascending != place->reverse;
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++) {
		char text[512];

		if (t->text && top->filter[0]) {
			t->text(t->arg, i, text, sizeof(text));
			if (!pg_top_matches(text, top->filter))
				continue;
		}
		order[n].row = i;
		order[n].tie = t->tie ? t->tie(t->arg, i) : 0;
		order[n].key = t->key ? t->key(t->arg, i, place->sort) : 0;
		order[n].key = up || !t->key ? order[n].key : ~order[n].key;
		n++;
	}
	if (t->key)
		qsort(order, n, sizeof(*order), compare_rows);
	return n;
}

static void keep_in_bounds(struct pg_top_place *place, size_t n, unsigned rows)
{
	if (place->cursor >= n)
		place->cursor = n ? n - 1 : 0;
	if (place->first + rows > n)
		place->first = n > rows ? n - rows : 0;
	if (place->cursor < place->first)
		place->first = place->cursor;
	if (rows && place->cursor >= place->first + rows)
		place->first = place->cursor - rows + 1;
}

static void draw_row(struct pg_frame *f, unsigned y, const struct pg_top_table *t,
		     const struct pg_table_place *place, size_t row, bool selected)
{
	for (unsigned c = 0; c < t->n_columns; c++)
		if (place->width[c])
			t->cell(t->arg, row, c, f, place->x[c], y, place->width[c]);
	if (selected)
		pg_frame_look(f, 0, y, f->width, PG_LOOK_SELECTED);
}

bool pg_top_table_draw(struct pg_frame *f, unsigned y, unsigned height, struct pg_top *top,
		       struct pg_top_place *place, const struct pg_top_table *t, size_t *ret_row)
{
	_free_ struct row_order *order = malloc((t->n + 1) * sizeof(*order));
	unsigned rows = height > 1 ? height - 1 : 0;
	size_t n;

	if (!order || !height)
		return false;
	if (place->sort >= t->n_columns)
		place->sort = 0;
	lay_out(t, f->width, &top->table);
	top->table.title_y = y;
	top->table.row_y = y + 1;
	top->table.rows = rows;
	top->n_columns = t->key ? t->n_columns : 0;
	draw_titles(f, y, t, place, &top->table);
	n = wanted_rows(top, place, t, order);
	top->n_rows = n;
	keep_in_bounds(place, n, rows);
	for (size_t i = 0; i < rows && place->first + i < n; i++)
		draw_row(f, y + 1 + (unsigned)i, t, &top->table, order[place->first + i].row,
			 place->first + i == place->cursor);
	if (!n && rows)
		pg_frame_put(f, 2, y + 1, f->width, PG_LOOK_DIM,
			     t->n && top->filter[0] ? "Nothing here has the words of the filter." :
						      t->none);
	if (n)
		*ret_row = order[place->cursor].row;
	return n;
}
