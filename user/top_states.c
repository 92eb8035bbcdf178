/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How often TCP's ends went from state to state: a matrix where there is room, else a list. */
#include <string.h>

#include "names.h"
#include "top_table.h"

#define CELL 12

/* Five letters where there is no room, in the order of the states. */
static const char *short_name(unsigned state, bool room)
{
	static const char *const names[_PG_END_MAX] = {
		"CLOSD", "LISTN", "SYN_S", "SYN_R", "ESTAB", "FINW1", "FINW2", "CLO_W", "CLOSG",
		"L_ACK", "TIM_W",
	};

	return room ? pg_end_state_name((enum pg_end_state)state) : names[state];
}

static double value_of(const struct pg_state_rate *s, bool cumulative, unsigned from, unsigned to)
{
	return cumulative ? (double)s->last.count[from][to] : s->rate[from][to];
}

static bool possible(unsigned from, unsigned to)
{
	enum pg_end_state f, t;

	for (unsigned i = 0; pg_transition(i, &f, &t); i++)
		if (f == from && t == to)
			return true;
	return false;
}

static double largest(const struct pg_state_rate *s, bool cumulative)
{
	double max = 0;

	for (unsigned from = 0; from < _PG_END_MAX; from++)
		for (unsigned to = 0; to < _PG_END_MAX; to++)
			if (value_of(s, cumulative, from, to) > max)
				max = value_of(s, cumulative, from, to);
	return max;
}

/* Much, some, little, never: a heat map of what colours there are. */
static unsigned heat(double value, double max)
{
	return value > max / 4 ? PG_LOOK_WARN : value > max / 50 ? PG_LOOK_STRONG : PG_LOOK_PLAIN;
}

static void draw_matrix(struct pg_frame *f, unsigned y, unsigned height, const struct pg_top *top,
			const struct pg_state_rate *s)
{
	bool room = f->width >= 13 + _PG_END_MAX * (CELL + 1);
	unsigned cell = room ? CELL : 5;
	double max = largest(s, top->cumulative);

	pg_frame_fill(f, 0, y, f->width, PG_LOOK_HEAD, ' ');
	pg_frame_put(f, 0, y, 12, PG_LOOK_HEAD, "FROM\\TO");
	for (unsigned to = 0; to < _PG_END_MAX; to++)
		pg_frame_right(f, 13 + to * (cell + 1), y, cell, PG_LOOK_HEAD, short_name(to, room));
	for (unsigned from = 0; from < _PG_END_MAX && from + 1 < height; from++) {
		pg_frame_put(f, 0, y + 1 + from, 12, PG_LOOK_STRONG,
			     pg_end_state_name((enum pg_end_state)from));
		for (unsigned to = 0; to < _PG_END_MAX; to++) {
			double v = value_of(s, top->cumulative, from, to);
			unsigned x = 13 + to * (cell + 1);

			if (possible(from, to))
				pg_top_put_number(f, x, y + 1 + from, cell, heat(v, max), v);
			else
				pg_frame_right(f, x, y + 1 + from, cell, PG_LOOK_DIM, f->ascii ? "." : "·");
		}
	}
}

static void draw_odd(struct pg_frame *f, unsigned y, const struct pg_states *states)
{
	unsigned x = pg_frame_put(f, 0, y, f->width, PG_LOOK_PLAIN, "Impossible flags:");

	for (unsigned i = 0; i < _PG_ODD_MAX; i++)
		x += pg_frame_printf(f, x, y, states->odd[i] ? PG_LOOK_BAD : PG_LOOK_DIM, " %s %llu",
				     pg_odd_flags_name((enum pg_odd_flags)i),
				     (unsigned long long)states->odd[i]);
}

/* Flows that there are now, by the pair's state. */
static void draw_note(struct pg_frame *f, unsigned y, const struct pg_top *top,
		      const struct pg_top_model *model)
{
	unsigned x;

	if (top->states_port >= 0)
		x = pg_frame_printf(f, 0, y, PG_LOOK_STRONG, "Connections to port %d", top->states_port);
	else
		x = pg_frame_put(f, 0, y, f->width, PG_LOOK_STRONG, "All connections");
	pg_frame_put(f, x, y, f->width, PG_LOOK_DIM,
		     top->cumulative ? ": how often an end has changed its state" :
				       ": changes of an end's state per second");
	if (!model->snap->flow.tracking)
		pg_frame_put(f, 0, y + 1, f->width, PG_LOOK_WARN,
			     "Flows are not tracked: no rule asks for states (`portguard track on').");
}

void pg_top_draw_states(struct pg_frame *f, unsigned y, unsigned height, struct pg_top *top,
			const struct pg_top_model *model)
{
	const struct pg_history *h = model->history;
	const struct pg_state_rate *s = top->states_port >= 0 ? &h->port_states : &h->states;

	draw_note(f, y, top, model);
	if (height > 4)
		draw_matrix(f, y + 2, height - 2, top, s);
	if (height > _PG_END_MAX + 5)
		draw_odd(f, y + _PG_END_MAX + 4, &model->snap->states);
	if (top->states_port >= 0) {
		top->has_row = true;
		top->row = (struct pg_port_id){ PG_PORT_TCP, (uint16_t)top->states_port };
	}
}
