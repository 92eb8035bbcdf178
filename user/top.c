/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A frame: what stands around every view. */
#include "top.h"

#include <string.h>

#include "top_table.h"

unsigned pg_top_needs(const struct pg_top *top)
{
	bool states = top->view == PG_TOP_STATES || (top->detail && top->port.proto == PG_PORT_TCP);

	return states ? PG_SNAP_STATES : 0;
}

/* "portguard  1 Ports  2 Flows …   FROZEN  20:15:03" */
static void draw_bar(struct pg_frame *f, struct pg_top *top, const struct pg_top_model *model)
{
	unsigned x = 1;
	char right[64];

	pg_frame_fill(f, 0, 0, f->width, PG_LOOK_BAR, ' ');
	if (f->width >= 100)
		x += pg_frame_put(f, x, 0, f->width, PG_LOOK_BAR, "portguard") + 2;
	for (int v = 0; v < _PG_TOP_VIEW_MAX; v++) {
		unsigned look = v == (int)top->view ? PG_LOOK_ON_BAR : PG_LOOK_BAR;

		top->tab_x[v] = x;
		x += pg_frame_printf(f, x, 0, look, " %d %s ", v + 1, pg_top_view_name((enum pg_top_view)v));
	}
	top->tab_x[_PG_TOP_VIEW_MAX] = x;
	snprintf(right, sizeof(right), "%s%s ", top->frozen ? "FROZEN  " : top->cumulative ? "total  " : "",
		 model->clock);
	if (x + strlen(right) < f->width)
		pg_frame_right(f, x, 0, f->width - x, PG_LOOK_BAR, right);
}

static unsigned put_rate(struct pg_frame *f, unsigned x, unsigned y, unsigned look, const char *what,
			 const struct pg_rate *rate)
{
	char packets[16], bits[16];
	unsigned begin = x;

	pg_top_number(rate->packets, 5, packets, sizeof(packets));
	pg_top_number(8 * rate->bytes, 5, bits, sizeof(bits));
	x += pg_frame_printf(f, x, y, PG_LOOK_PLAIN, "%s ", what);
	x += pg_frame_printf(f, x, y, rate->packets > 0 ? look : PG_LOOK_DIM, "%s/s %sb/s", packets, bits);
	return x - begin + 3;
}

static struct pg_rate both(const struct pg_rate *a, const struct pg_rate *b)
{
	return (struct pg_rate){ a->packets + b->packets, a->bytes + b->bytes };
}

/* What is going on altogether, in one line. */
static void draw_summary(struct pg_frame *f, const struct pg_top_model *model)
{
	const struct pg_history *h = model->history;
	const struct pg_rate *in = h->verdict[PG_DIR_IN], *out = h->verdict[PG_DIR_OUT];
	struct pg_rate dropped = both(&in[PG_VERDICT_DROP], &out[PG_VERDICT_DROP]);
	unsigned x = 1;
	float value[PG_HISTORY];

	x += put_rate(f, x, 1, PG_LOOK_GOOD, "passed in", &in[PG_VERDICT_ACCEPT]);
	x += put_rate(f, x, 1, PG_LOOK_GOOD, "out", &out[PG_VERDICT_ACCEPT]);
	x += put_rate(f, x, 1, PG_LOOK_BAD, "dropped", &dropped);
	if (f->width < 160)
		return;
	x += pg_frame_put(f, x, 1, 8, PG_LOOK_DIM, "in: ");
	pg_series_read(h, &h->accepts, value, 30);
	pg_frame_spark(f, x, 1, PG_LOOK_GOOD, value, 30);
	x += 33 + pg_frame_put(f, x + 32, 1, 10, PG_LOOK_DIM, "dropped: ");
	pg_series_read(h, &h->drops, value, 30);
	pg_frame_spark(f, x, 1, PG_LOOK_BAD, value, 30);
}

/* The old policy comes back by itself: that is shown whatever else there is to say. */
static void draw_waits(struct pg_frame *f, unsigned y, unsigned seconds)
{
	pg_frame_printf(f, 1, y, PG_LOOK_WARN,
			f->width < 80 ? "%u s: C keeps the new policy, R takes it back" :
					"The old policy comes back in %u s: C keeps the new one, R takes it back now",
			seconds);
}

static const char lapsed[] = "The new policy was not confirmed: the old one is in force again";

/* A message that the policy has changed would go on saying so. */
static void notice_lapse(struct pg_top *top, const struct pg_dp_policy_info *policy)
{
	if (top->waits && !policy->confirm_s && policy->expired)
		snprintf(top->message, sizeof(top->message), "%s", lapsed);
	top->waits = policy->confirm_s;
}

/* What one must know now; otherwise how many rules and listeners there are. */
static void draw_status(struct pg_frame *f, unsigned y, const struct pg_top *top,
			const struct pg_top_model *model)
{
	const struct pg_snapshot *snap = model->snap;

	if (top->message[0])
		return; /* draw_message() */
	if (top->editing || top->filter[0])
		pg_frame_printf(f, 1, y, PG_LOOK_STRONG, "filter: %s%s", top->filter,
				top->editing ? "_" : "");
	else if (snap->policy.expired)
		pg_frame_put(f, 1, y, f->width - 1, PG_LOOK_WARN, lapsed);
	else if (snap->policy.shadow == PG_SHADOW_ON)
		pg_frame_put(f, 1, y, f->width - 1, PG_LOOK_WARN,
			     "Another policy is tried beside this one: 'portguard shadow' compares them");
	else if (snap->listener_error[0])
		pg_frame_printf(f, 1, y, PG_LOOK_DIM, "no listeners: %s", snap->listener_error);
}

/* All of it, over what is below, where a line is too short: its end says what to do. */
static void draw_message(struct pg_frame *f, unsigned y, const char *message)
{
	for (; *message && y + 1 < f->height; y++) {
		size_t n = strlen(message), room = f->width > 2 ? f->width - 2 : 1;

		if (n > room) {
			for (n = room; n > room / 2 && message[n] != ' ';)
				n--;
			if (message[n] != ' ')
				n = room;
		}
		pg_frame_fill(f, 0, y, f->width, PG_LOOK_PLAIN, ' ');
		pg_frame_printf(f, 1, y, PG_LOOK_WARN, "%.*s", (int)n, message);
		message += n;
		message += strspn(message, " ");
	}
}

static void draw_nothing(struct pg_frame *f, const struct pg_snapshot *snap)
{
	char dir[sizeof(snap->state_dir)];

	pg_frame_put(f, 2, 4, f->width, PG_LOOK_STRONG, "Nothing is attached.");
	pg_frame_printf(f, 2, 5, PG_LOOK_PLAIN, "There is no instance in %s.",
			pg_printable(snap->state_dir, dir, sizeof(dir)));
	pg_frame_put(f, 2, 7, f->width, PG_LOOK_DIM,
		     "`portguard attach IFACE' makes one; this view begins as soon as it is there.");
}

void pg_top_draw_ask(struct pg_frame *f, unsigned y, unsigned height, struct pg_top *top,
		     const struct pg_top_model *model)
{
	const struct pg_top_ask *ask = &top->ask;
	unsigned width = f->width < 100 ? f->width : 100, x = (f->width - width) / 2, row = y + 2;
	char title[64];

	(void)model;
	snprintf(title, sizeof(title), "%s %u/%s?", ask->deny ? "Deny" : "Allow", ask->port.port,
		 pg_port_proto_name(ask->port.proto));
	pg_frame_box(f, x, y, width, height < 14 ? height : 14, title);
	for (const char *line = ask->command; *line && row < y + 7;) {
		size_t n = strcspn(line, "\n");
		char text[sizeof(ask->command)];

		snprintf(text, sizeof(text), "%.*s", (int)n, line);
		/* A rule is shown whole, if it takes a second line. */
		for (const char *rest = text; *rest && row < y + 8;) {
			unsigned took = pg_frame_put(f, x + 3, row++, width - 6, PG_LOOK_STRONG, rest);

			rest += took < strlen(rest) ? took : strlen(rest);
		}
		line += n + (line[n] == '\n');
	}
	pg_frame_put(f, x + 3, y + 8, width - 6, PG_LOOK_WARN, ask->warning);
	pg_frame_put(f, x + 3, y + 10, 1, PG_LOOK_KEY, "y");
	pg_frame_put(f, x + 6, y + 10, width - 9, PG_LOOK_PLAIN, "do it for good");
	pg_frame_put(f, x + 3, y + 11, 1, PG_LOOK_KEY, "t");
	pg_frame_printf(f, x + 6, y + 11, PG_LOOK_PLAIN,
			"for %u s, unless C keeps it by then (+ - change that)", ask->seconds);
	pg_frame_put(f, x + 3, y + 12, 1, PG_LOOK_KEY, "n");
	pg_frame_put(f, x + 6, y + 12, width - 9, PG_LOOK_PLAIN, "leave everything as it is");
}

void pg_top_draw(struct pg_frame *f, struct pg_top *top, const struct pg_top_model *model)
{
	static pg_top_draw_fn *const views[] = {
		[PG_TOP_PORTS] = pg_top_draw_ports,   [PG_TOP_FLOWS] = pg_top_draw_flows,
		[PG_TOP_STATES] = pg_top_draw_states, [PG_TOP_RULES] = pg_top_draw_rules,
		[PG_TOP_DROPS] = pg_top_draw_drops,   [PG_TOP_OVERVIEW] = pg_top_draw_overview,
	};
	const struct pg_dp_policy_info *policy = &model->snap->policy;
	unsigned y = policy->confirm_s ? 3 : 2; /* of messages */
	unsigned height = f->height > y + 2 ? f->height - y - 2 : 0;

	notice_lapse(top, policy);
	top->has_row = false;
	top->n_rows = 0;
	top->n_columns = 0;
	top->table = (struct pg_table_place){ 0 };
	draw_bar(f, top, model);
	if (model->snap->exists) {
		draw_summary(f, model);
		if (policy->confirm_s)
			draw_waits(f, 2, policy->confirm_s);
		draw_status(f, y, top, model);
		(top->detail ? pg_top_draw_port : views[top->view])(f, y + 1, height, top, model);
	} else {
		draw_nothing(f, model->snap);
	}
	draw_message(f, y, top->message);
	if (top->help)
		pg_top_draw_help(f, f->height > 2 ? 1 : 0, f->height - 1, top, model);
	if (top->ask.open)
		pg_top_draw_ask(f, 4, f->height > 4 ? f->height - 4 : 0, top, model);
	if (f->height > 1) {
		pg_frame_fill(f, 0, f->height - 1, f->width, PG_LOOK_BAR, ' ');
		pg_top_hints(top, f, f->height - 1);
	}
}
