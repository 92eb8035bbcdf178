/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the dashboard's views have in common: a table that is sorted, filtered and scrolled, numbers. */
#pragma once

#include "top.h"

struct pg_top_column {
	const char *title;
	uint8_t min, max; /* columns of the screen */
	bool right;
	bool ascending; /* text: A first; numbers are most first */
	uint8_t rank;	/* where there is no room, the highest is left out first; 0: never */
};

struct pg_top_table {
	const struct pg_top_column *column;
	unsigned n_columns; /* PG_TOP_COLUMNS at most */
	size_t n;
	const void *arg;
	/* What to sort by; equal ones stay in the order of rows. NULL: it can't be sorted. */
	uint64_t (*key)(const void *arg, size_t row, unsigned column);
	uint64_t (*tie)(const void *arg, size_t row); /* of equal ones the greater first; NULL: as above */
	void (*cell)(const void *arg, size_t row, unsigned column, struct pg_frame *f, unsigned x,
		     unsigned y, unsigned width);
	/* All that a filter looks at. NULL: it can't be filtered. */
	void (*text)(const void *arg, size_t row, char *buf, size_t size);
	const char *none; /* what is said where there is no row */
};

/*
 * In rows y to y + height, with its titles. `place` is brought within its bounds. ret_row: what the
 * cursor is on; false: there is no row.
 */
bool pg_top_table_draw(struct pg_frame *f, unsigned y, unsigned height, struct pg_top *top,
		       struct pg_top_place *place, const struct pg_top_table *table, size_t *ret_row);

/* Keys for sorting that keep the order of what they are made of. */
uint64_t pg_key_number(double number); /* not negative */
uint64_t pg_key_text(const char *text);

/* "0", "0.4", "12", "1234", "12.3k", "4.56M": in `width` columns, exact where there is room. */
void pg_top_number(double value, unsigned width, char *buf, size_t size);
/* The same into a frame, aligned right; 0 is dim. */
void pg_top_put_number(struct pg_frame *f, unsigned x, unsigned y, unsigned width, unsigned look,
		       double value);
/* Does the text have the words of the filter, in capitals or not? "": yes. */
bool pg_top_matches(const char *text, const char *filter);

/* The views: each draws into rows y to y + height. */
typedef void pg_top_draw_fn(struct pg_frame *f, unsigned y, unsigned height, struct pg_top *top,
			    const struct pg_top_model *model);
pg_top_draw_fn pg_top_draw_ports, pg_top_draw_port, pg_top_draw_flows, pg_top_draw_states,
	pg_top_draw_rules, pg_top_draw_drops, pg_top_draw_overview, pg_top_draw_help, pg_top_draw_ask;
/* The table of flows alone. */
void pg_top_flow_table(struct pg_frame *f, unsigned y, unsigned height, struct pg_top *top,
		       struct pg_top_place *place, const struct pg_top_model *model, bool filtered);
/* All of a flow that a filter looks at. */
void pg_top_flow_text(const struct pg_flow_row *row, char *buf, size_t size);

/* Keys that the last line names, "/ filter  q quit". */
void pg_top_hints(const struct pg_top *top, struct pg_frame *f, unsigned y);
