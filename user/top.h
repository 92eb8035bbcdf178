/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The dashboard without a terminal and without a kernel: what is shown (a model), how (struct pg_top), a
 * frame of both, and what a key does. cmd_top.c reads the model and carries out what keys ask for.
 */
#pragma once

#include "dp.h"
#include "frame.h"
#include "rate.h"
#include "top_drops.h"
#include "top_flows.h"

enum pg_top_view {
	PG_TOP_PORTS, PG_TOP_FLOWS, PG_TOP_STATES, PG_TOP_RULES, PG_TOP_DROPS, PG_TOP_OVERVIEW,
	_PG_TOP_VIEW_MAX
};
/* "Ports" … "Overview" */
const char *pg_top_view_name(enum pg_top_view view);
/* In small letters. 0 or -EINVAL. */
int pg_top_view_from_str(const char *text, enum pg_top_view *ret);

/* What there is to show. */
struct pg_top_model {
	const struct pg_snapshot *snap;
	const struct pg_history *history;
	const struct pg_flow_sample *flows; /* NULL: not read yet */
	const struct pg_top_drops *drops;
	bool measuring; /* the kernel has been asked to measure the programs */
	const char *clock;		    /* "20:15:03" */
};

/* What cmd_top.c is to do. */
enum pg_top_action {
	PG_TOP_NOTHING,
	PG_TOP_QUIT,
	PG_TOP_REDRAW,	/* the screen was spoiled */
	PG_TOP_SUSPEND,
	PG_TOP_READ,	/* another view needs other things */
	PG_TOP_ALLOW,	/* or deny: work out ask.port's rule, and ask */
	PG_TOP_DENY,
	PG_TOP_APPLY,	/* what was asked; for ask.seconds, 0: for good */
	PG_TOP_CONFIRM,
	PG_TOP_ROLLBACK,
	PG_TOP_COST,	/* measure, or no longer */
};

/* Keys beyond characters. */
enum {
	PG_KEY_UP = 0x110000, PG_KEY_DOWN, PG_KEY_LEFT, PG_KEY_RIGHT, PG_KEY_PAGE_UP, PG_KEY_PAGE_DOWN,
	PG_KEY_HOME, PG_KEY_END, PG_KEY_BACK_TAB, PG_KEY_BACKSPACE, PG_KEY_WHEEL_UP, PG_KEY_WHEEL_DOWN,
	PG_KEY_CLICK, /* at .x, .y */
	PG_KEY_ENTER = '\r', PG_KEY_ESCAPE = 27, PG_KEY_TAB = '\t',
};
#define PG_KEY_CTRL(letter) ((letter) & 0x1f)

struct pg_key {
	uint32_t code; /* a character, or PG_KEY_* */
	unsigned x, y; /* of the mouse */
};

struct pg_port_id {
	enum pg_port_proto proto;
	uint16_t port;
};

/* Where a table was drawn, for the mouse. */
#define PG_TOP_COLUMNS 16
struct pg_table_place {
	unsigned title_y, row_y, rows; /* rows that there is room for */
	unsigned x[PG_TOP_COLUMNS], width[PG_TOP_COLUMNS]; /* 0: the column is not shown */
};

/* The sort order and place of one view's table. */
struct pg_top_place {
	unsigned sort;
	bool reverse;
	size_t cursor, first;
};

/* A question with an answer that changes the policy. */
struct pg_top_ask {
	bool open;
	bool deny;
	struct pg_port_id port;
	char command[512]; /* what will be done, in iptables' words; lines */
	char warning[256];
	unsigned seconds; /* for which a temporary answer holds */
};

struct pg_top {
	enum pg_top_view view;
	struct pg_top_place place[_PG_TOP_VIEW_MAX];
	struct pg_top_place detail_place;
	bool detail; /* of the port `port` */
	struct pg_port_id port;
	int states_port; /* -1: all of them */
	bool cumulative, frozen, help, editing;
	char filter[64], filter_before[64];
	struct pg_top_ask ask;
	char message[256]; /* of what went wrong, or was done; until the next key */
	bool ascii;
	/* Of the last frame. */
	bool waits;    /* a policy for its confirmation */
	size_t n_rows; /* of its table */
	bool has_row;  /* the cursor is on one that is a port: */
	struct pg_port_id row;
	unsigned n_columns;
	struct pg_table_place table;
	unsigned tab_x[_PG_TOP_VIEW_MAX + 1];
};

/* As it begins. */
void pg_top_init(struct pg_top *top, bool ascii);
/* Draw all of it. */
void pg_top_draw(struct pg_frame *f, struct pg_top *top, const struct pg_top_model *model);
enum pg_top_action pg_top_key(struct pg_top *top, const struct pg_key *key);
/* PG_SNAP_* that the view shows, beside the ports, which are read always for their history. */
unsigned pg_top_needs(const struct pg_top *top);
