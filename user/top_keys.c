/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What keys do, and what help says about them: one table. */
#include <errno.h>
#include <string.h>

#include "top_table.h"

#define VIEW(view) (1U << PG_TOP_##view)
#define TABLES (VIEW(PORTS) | VIEW(FLOWS) | VIEW(RULES) | VIEW(DROPS))
#define SORTED (VIEW(PORTS) | VIEW(FLOWS) | VIEW(RULES))
#define WITH_PORT (VIEW(PORTS) | VIEW(FLOWS) | VIEW(STATES) | VIEW(DROPS))
#define ALL (~0U)

enum verb {
	DO_VIEW, DO_NEXT, DO_PREVIOUS, DO_UP, DO_DOWN, DO_PAGE_UP, DO_PAGE_DOWN, DO_HOME, DO_END, DO_LEFT,
	DO_RIGHT, DO_REVERSE, DO_FILTER, DO_FREEZE, DO_CUMULATIVE, DO_ENTER, DO_BACK, DO_STATES, DO_ALLOW,
	DO_DENY, DO_KEEP, DO_TAKE_BACK, DO_COST, DO_HELP, DO_REDRAW, DO_SUSPEND, DO_QUIT,
};

struct binding {
	uint32_t key[4];
	enum verb verb;
	unsigned views;	  /* in which it does something */
	const char *name; /* as help has it */
	const char *help;
	const char *hint; /* in the last line; NULL: not there */
};

static const struct binding bindings[] = {
	{ { '1', '2', '3', '4' }, DO_VIEW, ALL, "1 … 6", "Ports, Flows, States, Rules, Drops, Overview",
	  NULL },
	{ { '5', '6' }, DO_VIEW, ALL, NULL, NULL, NULL },
	{ { PG_KEY_TAB }, DO_NEXT, ALL, "Tab, S-Tab", "the next view, the one before", NULL },
	{ { PG_KEY_BACK_TAB }, DO_PREVIOUS, ALL, NULL, NULL, NULL },
	{ { PG_KEY_UP, 'k', PG_KEY_WHEEL_UP }, DO_UP, TABLES, "↑ ↓, k j", "the row before, the next one; wheel",
	  NULL },
	{ { PG_KEY_DOWN, 'j', PG_KEY_WHEEL_DOWN }, DO_DOWN, TABLES, NULL, NULL, NULL },
	{ { PG_KEY_PAGE_UP, PG_KEY_CTRL('b') }, DO_PAGE_UP, TABLES, "PgUp, PgDn", "a screen up, down", NULL },
	{ { PG_KEY_PAGE_DOWN, PG_KEY_CTRL('f') }, DO_PAGE_DOWN, TABLES, NULL, NULL, NULL },
	{ { PG_KEY_HOME, 'g' }, DO_HOME, TABLES, "Home, End", "the first row, the last one; g G", NULL },
	{ { PG_KEY_END, 'G' }, DO_END, TABLES, NULL, NULL, NULL },
	{ { PG_KEY_LEFT, '<' }, DO_LEFT, SORTED, "← →, < >", "sort by the column left, right; or click on it",
	  "<> sort" },
	{ { PG_KEY_RIGHT, '>' }, DO_RIGHT, SORTED, NULL, NULL, NULL },
	{ { 'r' }, DO_REVERSE, SORTED, "r", "the other way round", NULL },
	{ { '/' }, DO_FILTER, TABLES, "/", "only rows with these words; Enter keeps it, Esc drops it",
	  "/ filter" },
	{ { ' ', 'f' }, DO_FREEZE, ALL, "Space, f", "freeze what is shown; again: go on", "Space freeze" },
	{ { 'c' }, DO_CUMULATIVE, ALL, "c", "all that was counted, or what it is per second", "c total" },
	{ { PG_KEY_ENTER, '\n' }, DO_ENTER, TABLES & ~VIEW(RULES), "Enter", "the row's port: its flows, flags and states; or click twice",
	  "Enter port" },
	{ { PG_KEY_ESCAPE, PG_KEY_BACKSPACE }, DO_BACK, ALL, "Esc", "back; without filter", NULL },
	{ { 's' }, DO_STATES, WITH_PORT, "s", "states of connections to the row's port; of all", NULL },
	{ { 'a' }, DO_ALLOW, WITH_PORT, "a, d", "allow, deny the row's port: shows the rule and asks first",
	  "a allow" },
	{ { 'd' }, DO_DENY, WITH_PORT, NULL, NULL, "d deny" },
	{ { 'C' }, DO_KEEP, ALL, "C, R", "keep, take back a policy that waits for its confirmation", NULL },
	{ { 'R' }, DO_TAKE_BACK, ALL, NULL, NULL, NULL },
	{ { 'm' }, DO_COST, VIEW(OVERVIEW), "m", "have the kernel measure what the programs cost; no longer",
	  "m measure" },
	{ { PG_KEY_CTRL('l') }, DO_REDRAW, ALL, "C-l, C-z", "draw anew; suspend", NULL },
	{ { PG_KEY_CTRL('z') }, DO_SUSPEND, ALL, NULL, NULL, NULL },
	{ { '?', 'h' }, DO_HELP, ALL, "?", "this help", "? help" },
	{ { 'q', PG_KEY_CTRL('c') }, DO_QUIT, ALL, "q", "quit", "q quit" },
};

static const char *const view_names[] = {
	[PG_TOP_PORTS] = "Ports", [PG_TOP_FLOWS] = "Flows", [PG_TOP_STATES] = "States",
	[PG_TOP_RULES] = "Rules", [PG_TOP_DROPS] = "Drops", [PG_TOP_OVERVIEW] = "Overview",
};

const char *pg_top_view_name(enum pg_top_view view)
{
	return view_names[view];
}

int pg_top_view_from_str(const char *text, enum pg_top_view *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(view_names); i++) {
		if (!strcasecmp(text, view_names[i])) {
			*ret = (enum pg_top_view)i;
			return 0;
		}
	}
	return -EINVAL;
}

void pg_top_init(struct pg_top *top, bool ascii)
{
	*top = (struct pg_top){ .ascii = ascii, .states_port = -1, .ask.seconds = 60 };
	top->place[PG_TOP_PORTS].sort = 3; /* packets in */
	top->place[PG_TOP_FLOWS].sort = 4; /* bits sent */
	top->detail_place.sort = 4;
}

/* Which keys there are now ---------------------------------------------------------------------- */

static bool works_here(const struct pg_top *top, const struct binding *b)
{
	if (top->detail)
		return b->views & VIEW(FLOWS) && b->verb != DO_ENTER;
	return b->views & 1U << top->view;
}

static unsigned put_hint(struct pg_frame *f, unsigned x, unsigned y, unsigned room, const char *hint)
{
	unsigned n = (unsigned)strcspn(hint, " ");

	if (strlen(hint) > room)
		return 0;
	pg_frame_put(f, x, y, n, PG_LOOK_KEY, hint);
	return n + pg_frame_put(f, x + n, y, room - n, PG_LOOK_BAR, hint + n) + 2;
}

/* How to get help and how to get out stand to the right, the rest as far as there is room. */
void pg_top_hints(const struct pg_top *top, struct pg_frame *f, unsigned y)
{
	unsigned x = 1, end = f->width > 16 ? f->width - 15 : f->width;

	for (size_t i = 0; i < ARRAY_SIZE(bindings); i++) {
		const struct binding *b = &bindings[i];

		if (b->hint && works_here(top, b) && b->verb != DO_HELP && b->verb != DO_QUIT && x < end)
			x += put_hint(f, x, y, end - x, b->hint);
		else if (b->verb == DO_HELP || b->verb == DO_QUIT)
			put_hint(f, b->verb == DO_HELP ? end : end + 8, y, 8, b->hint);
	}
}

void pg_top_draw_help(struct pg_frame *f, unsigned y, unsigned height, struct pg_top *top,
		      const struct pg_top_model *model)
{
	unsigned width = f->width < 78 ? f->width : 78, row = 1, x = (f->width - width) / 2;
	unsigned lines = 2;

	(void)top;
	(void)model;
	for (size_t i = 0; i < ARRAY_SIZE(bindings); i++)
		lines += bindings[i].help != NULL;
	pg_frame_box(f, x, y, width, lines < height ? lines : height, "Keys");
	for (size_t i = 0; i < ARRAY_SIZE(bindings) && row + 1 < height; i++) {
		const struct binding *b = &bindings[i];
		const char *name = b->name;

		if (!b->help)
			continue;
		if (f->ascii && !strncmp(name, "1", 1))
			name = "1 - 6";
		else if (f->ascii && b->verb == DO_UP)
			name = "Up Down";
		else if (f->ascii && b->verb == DO_LEFT)
			name = "< >";
		pg_frame_put(f, x + 2, y + row, 11, PG_LOOK_KEY, name);
		pg_frame_put(f, x + 14, y + row++, width - 16, PG_LOOK_PLAIN, b->help);
	}
}

/* What they do -------------------------------------------------------------------------------- */

static enum pg_top_action show(struct pg_top *top, enum pg_top_view view)
{
	top->view = view;
	top->detail = false;
	return PG_TOP_READ;
}

static struct pg_top_place *place_of(struct pg_top *top)
{
	return top->detail ? &top->detail_place : &top->place[top->view];
}

static void move(struct pg_top *top, long rows)
{
	struct pg_top_place *p = place_of(top);

	if (rows < 0 && p->cursor < (size_t)-rows)
		p->cursor = 0;
	else
		p->cursor += (size_t)rows;
	/* The next frame brings it within bounds. */
	if (p->cursor >= top->n_rows)
		p->cursor = top->n_rows ? top->n_rows - 1 : 0;
}

/* By the next column that is shown. */
static enum pg_top_action sort_by(struct pg_top *top, int step)
{
	struct pg_top_place *p = place_of(top);
	unsigned n = top->n_columns;

	for (unsigned i = 0; i < n; i++) {
		p->sort = (p->sort + n + (unsigned)step) % n;
		if (top->table.width[p->sort])
			break;
	}
	p->reverse = false;
	return PG_TOP_READ;
}

static enum pg_top_action enter(struct pg_top *top)
{
	if (!top->has_row)
		return PG_TOP_NOTHING;
	top->port = top->row;
	top->detail = true;
	top->detail_place.cursor = top->detail_place.first = 0;
	return PG_TOP_READ;
}

static enum pg_top_action back(struct pg_top *top)
{
	if (top->detail) {
		top->detail = false;
		return PG_TOP_READ;
	}
	if (top->view == PG_TOP_STATES)
		top->states_port = -1;
	top->filter[0] = '\0';
	return PG_TOP_READ;
}

static enum pg_top_action states(struct pg_top *top)
{
	bool of_port = top->has_row && top->row.proto == PG_PORT_TCP && top->view != PG_TOP_STATES;

	top->states_port = of_port || top->detail ? top->row.port : -1;
	return show(top, PG_TOP_STATES);
}

static enum pg_top_action ask(struct pg_top *top, bool deny)
{
	if (!top->has_row) {
		snprintf(top->message, sizeof(top->message), "There is no port in this row.");
		return PG_TOP_NOTHING;
	}
	top->ask.port = top->row;
	top->ask.deny = deny;
	return deny ? PG_TOP_DENY : PG_TOP_ALLOW;
}

/* Nothing may stand still while seconds run. */
static enum pg_top_action freeze(struct pg_top *top)
{
	if (top->waits && !top->frozen) {
		snprintf(top->message, sizeof(top->message), "Not while a policy waits for its confirmation.");
		return PG_TOP_NOTHING;
	}
	top->frozen = !top->frozen;
	return top->frozen ? PG_TOP_NOTHING : PG_TOP_READ;
}

static enum pg_top_action filter(struct pg_top *top)
{
	top->editing = true;
	memcpy(top->filter_before, top->filter, sizeof(top->filter));
	return PG_TOP_NOTHING;
}

/* The cursor. */
static enum pg_top_action go(struct pg_top *top, enum verb verb, uint32_t key)
{
	long page = top->table.rows ? (long)top->table.rows : 1;

	if (verb == DO_UP)
		move(top, key == PG_KEY_WHEEL_UP ? -3 : -1);
	else if (verb == DO_DOWN)
		move(top, key == PG_KEY_WHEEL_DOWN ? 3 : 1);
	else if (verb == DO_PAGE_UP || verb == DO_PAGE_DOWN)
		move(top, verb == DO_PAGE_UP ? -page : page);
	else if (verb == DO_HOME)
		place_of(top)->cursor = 0;
	else
		place_of(top)->cursor = top->n_rows ? top->n_rows - 1 : 0;
	return PG_TOP_NOTHING;
}

static enum pg_top_action carry_out(struct pg_top *top, enum verb verb, uint32_t key)
{
	switch (verb) {
	case DO_VIEW:
		return show(top, (enum pg_top_view)(key - '1'));
	case DO_NEXT:
		return show(top, (top->view + 1) % _PG_TOP_VIEW_MAX);
	case DO_PREVIOUS:
		return show(top, (top->view + _PG_TOP_VIEW_MAX - 1) % _PG_TOP_VIEW_MAX);
	case DO_UP:
	case DO_DOWN:
	case DO_PAGE_UP:
	case DO_PAGE_DOWN:
	case DO_HOME:
	case DO_END:
		return go(top, verb, key);
	case DO_LEFT:
		return sort_by(top, -1);
	case DO_RIGHT:
		return sort_by(top, 1);
	case DO_REVERSE:
		place_of(top)->reverse = !place_of(top)->reverse;
		return PG_TOP_NOTHING;
	case DO_FILTER:
		return filter(top);
	case DO_FREEZE:
		return freeze(top);
	case DO_CUMULATIVE:
		top->cumulative = !top->cumulative;
		return PG_TOP_READ;
	case DO_ENTER:
		return enter(top);
	case DO_BACK:
		return back(top);
	case DO_STATES:
		return states(top);
	case DO_ALLOW:
	case DO_DENY:
		return ask(top, verb == DO_DENY);
	case DO_KEEP:
		return PG_TOP_CONFIRM;
	case DO_TAKE_BACK:
		return PG_TOP_ROLLBACK;
	case DO_COST:
		return PG_TOP_COST;
	case DO_HELP:
		top->help = true;
		return PG_TOP_NOTHING;
	case DO_REDRAW:
		return PG_TOP_REDRAW;
	case DO_SUSPEND:
		return PG_TOP_SUSPEND;
	case DO_QUIT:
		return PG_TOP_QUIT;
	}
	return PG_TOP_NOTHING;
}

/* A line of text ------------------------------------------------------------------------------ */

static void take_back(char *text)
{
	size_t n = strlen(text);

	while (n && ((unsigned char)text[n - 1] & 0xc0) == 0x80)
		text[--n] = '\0';
	if (n)
		text[n - 1] = '\0';
}

static enum pg_top_action edit_filter(struct pg_top *top, uint32_t key)
{
	size_t n = strlen(top->filter);

	if (key == PG_KEY_ENTER || key == '\n') {
		top->editing = false;
	} else if (key == PG_KEY_ESCAPE) {
		top->editing = false;
		memcpy(top->filter, top->filter_before, sizeof(top->filter));
	} else if (key == PG_KEY_BACKSPACE || key == 127 || key == 8) {
		take_back(top->filter);
	} else if (key == PG_KEY_CTRL('u')) {
		top->filter[0] = '\0';
	} else if (key >= ' ' && key < 127 && n + 1 < sizeof(top->filter)) {
		top->filter[n] = (char)key;
		top->filter[n + 1] = '\0';
	}
	return PG_TOP_READ;
}

/* The mouse ----------------------------------------------------------------------------------- */

static enum pg_top_action click_row(struct pg_top *top, unsigned row)
{
	struct pg_top_place *p = place_of(top);

	if (p->first + row >= top->n_rows)
		return PG_TOP_NOTHING;
	if (p->cursor == p->first + row && !top->detail)
		return enter(top);
	p->cursor = p->first + row;
	return PG_TOP_NOTHING;
}

static enum pg_top_action click(struct pg_top *top, unsigned x, unsigned y)
{
	const struct pg_table_place *t = &top->table;

	for (int v = 0; y == 0 && v < _PG_TOP_VIEW_MAX; v++)
		if (x >= top->tab_x[v] && x < top->tab_x[v + 1])
			return show(top, (enum pg_top_view)v);
	for (unsigned i = 0; t->rows && y == t->title_y && i < top->n_columns; i++) {
		struct pg_top_place *p = place_of(top);

		if (!t->width[i] || x < t->x[i] || x > t->x[i] + t->width[i])
			continue;
		p->reverse = p->sort == i && !p->reverse;
		p->sort = i;
		return PG_TOP_READ;
	}
	if (t->rows && y >= t->row_y && y < t->row_y + t->rows)
		return click_row(top, y - t->row_y);
	return PG_TOP_NOTHING;
}

static enum pg_top_action answer(struct pg_top *top, uint32_t key)
{
	static const unsigned steps[] = { 10, 30, 60, 120, 300, 600, 3600 };
	size_t at = 0;

	while (at + 1 < ARRAY_SIZE(steps) && steps[at] < top->ask.seconds)
		at++;
	if (key == '+' || key == PG_KEY_RIGHT) {
		top->ask.seconds = steps[at + 1 < ARRAY_SIZE(steps) ? at + 1 : at];
	} else if (key == '-' || key == PG_KEY_LEFT) {
		top->ask.seconds = steps[at ? at - 1 : 0];
	} else if (key == 'y' || key == 't') {
		top->ask.open = false;
		if (key == 'y')
			top->ask.seconds = 0;
		return PG_TOP_APPLY;
	} else if (key == 'n' || key == 'q' || key == PG_KEY_ESCAPE) {
		top->ask.open = false;
	}
	return PG_TOP_NOTHING;
}

enum pg_top_action pg_top_key(struct pg_top *top, const struct pg_key *key)
{
	top->message[0] = '\0';
	if (key->code == PG_KEY_CTRL('c'))
		return PG_TOP_QUIT;
	if (top->ask.open)
		return answer(top, key->code);
	if (top->help) {
		top->help = false;
		return PG_TOP_NOTHING;
	}
	if (top->editing && key->code < 0x110000)
		return edit_filter(top, key->code);
	if (key->code == PG_KEY_BACKSPACE && top->editing)
		return edit_filter(top, key->code);
	if (key->code == PG_KEY_CLICK)
		return click(top, key->x, key->y);
	for (size_t i = 0; i < ARRAY_SIZE(bindings); i++)
		for (size_t k = 0; k < ARRAY_SIZE(bindings[i].key) && bindings[i].key[k]; k++)
			if (bindings[i].key[k] == key->code && works_here(top, &bindings[i]))
				return carry_out(top, bindings[i].verb, key->code);
	return PG_TOP_NOTHING;
}
