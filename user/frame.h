/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A screen as plain data: cells with a character and a look. Views write it, a terminal copies it,
 * tests print it. What is written beyond its edges is left out.
 */
#pragma once

#include "util.h"

/* What a cell says, by which a terminal chooses colours; without colour, bold and the like. */
enum pg_look {
	PG_LOOK_PLAIN,
	PG_LOOK_DIM,	/* of no importance: zeros, rules never hit */
	PG_LOOK_STRONG, /* names, totals */
	PG_LOOK_GOOD,	/* accepted, in force */
	PG_LOOK_WARN,	/* half-open, nearly full */
	PG_LOOK_BAD,	/* dropped */
	PG_LOOK_CHART,	/* bars and sparklines */
	PG_LOOK_HEAD,	/* titles of columns */
	PG_LOOK_BAR,	/* the first and the last line */
	PG_LOOK_ON_BAR, /* what is chosen there */
	PG_LOOK_KEY,	/* a key that can be pressed */
	_PG_LOOK_MAX
};
#define PG_LOOK_SELECTED 0x80 /* added: the row that keys work on */

struct pg_cell {
	uint32_t ch; /* Unicode; 0: the second half of a wide one */
	uint8_t look;
};

struct pg_frame {
	unsigned width, height;
	bool ascii; /* nothing else is to be written */
	struct pg_cell *cell; /* owned; row by row */
};

/* Blank. False: no memory. pg_frame_free() accepts an empty one. */
bool pg_frame_make(struct pg_frame *f, unsigned width, unsigned height, bool ascii);
void pg_frame_free(struct pg_frame *f);

/*
 * Text in UTF-8, `columns` of them at most; returns how many it took. Control characters, what is
 * not UTF-8 and, in an ASCII frame, everything beyond ASCII become '?'.
 */
unsigned pg_frame_put(struct pg_frame *f, unsigned x, unsigned y, unsigned columns, unsigned look,
		      const char *text);
unsigned pg_frame_printf(struct pg_frame *f, unsigned x, unsigned y, unsigned look, const char *fmt,
			 ...) _printf_(5, 6);
/* The same text, aligned right in its columns. */
void pg_frame_right(struct pg_frame *f, unsigned x, unsigned y, unsigned columns, unsigned look,
		    const char *text);
/* One character, repeated. */
void pg_frame_fill(struct pg_frame *f, unsigned x, unsigned y, unsigned columns, unsigned look,
		   uint32_t ch);
/* Give cells that are there another look, or with SELECTED add that. */
void pg_frame_look(struct pg_frame *f, unsigned x, unsigned y, unsigned columns, unsigned look);
/* Columns that a text takes. */
unsigned pg_frame_width(const char *text);

/* A bar of `columns`, filled for value of max, with eighths of a column where there is Unicode. */
void pg_frame_bar(struct pg_frame *f, unsigned x, unsigned y, unsigned columns, unsigned look,
		  double value, double max);
/* n values, oldest first, one column each, as high as the largest of them. */
void pg_frame_spark(struct pg_frame *f, unsigned x, unsigned y, unsigned look, const float *value,
		    unsigned n);

/* An empty box with a title, over what is there. */
void pg_frame_box(struct pg_frame *f, unsigned x, unsigned y, unsigned width, unsigned height,
		  const char *title);

/* UTF-8, a line for each row, without blanks at its end. With `looks`, a second picture: a letter for
 * each cell's look ('.' for plain), in capitals where it is selected. */
void pg_frame_text(struct pg_text *t, const struct pg_frame *f, bool looks);
