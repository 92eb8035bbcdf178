/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is dropped and why: by reason, by rule, by port, and the last packets as they come. */
#include <string.h>

#include "names.h"
#include "print.h"
#include "service.h"
#include "top_table.h"

/* One line of the upper part. */
struct line {
	char who[48];
	char what[192];
	double rate;
	uint64_t total;
};

struct lines {
	struct line line[32];
	size_t n;
};

/* Only the most are kept: `which` counts most, what is now or what was. */
static void keep(struct lines *lines, const struct line *line)
{
	size_t at = lines->n;

	if (!line->total)
		return;
	while (at && (lines->line[at - 1].rate < line->rate ||
		      (lines->line[at - 1].rate == line->rate && lines->line[at - 1].total < line->total)))
		at--;
	if (at == ARRAY_SIZE(lines->line))
		return;
	if (lines->n < ARRAY_SIZE(lines->line))
		lines->n++;
	memmove(&lines->line[at + 1], &lines->line[at], (lines->n - 1 - at) * sizeof(*line));
	lines->line[at] = *line;
}

static void by_reason(struct lines *lines, const struct pg_top_model *model)
{
	for (int r = 0; r < _PG_REASON_MAX; r++) {
		struct line line = { .rate = model->history->dropped[r].packets,
				     .total = model->snap->dropped[r].packets };

		snprintf(line.who, sizeof(line.who), "%s", pg_reason_name((enum pg_reason)r));
		snprintf(line.what, sizeof(line.what), "%s", pg_reason_help((enum pg_reason)r));
		keep(lines, &line);
	}
}

static bool drops(enum pg_target target)
{
	return target == PG_TARGET_DROP || target == PG_TARGET_REJECT;
}

static void add_rule(struct lines *lines, const struct pg_chain *chain, size_t num,
		     const struct pg_rule *rule, double rate, uint64_t total)
{
	_cleanup_(pg_text_free) struct pg_text t = { 0 };
	struct line line = { .rate = rate, .total = total };

	if (rule) {
		snprintf(line.who, sizeof(line.who), "%s %zu", chain->name, num);
		pg_rule_print(&t, rule, 0);
	} else {
		snprintf(line.who, sizeof(line.who), "%s policy", chain->name);
	}
	snprintf(line.what, sizeof(line.what), "%s", t.buf && !t.oom ? t.buf : "DROP");
	keep(lines, &line);
}

static void by_rule(struct lines *lines, const struct pg_top_model *model)
{
	const struct pg_ruleset *set = model->snap->rules;
	const struct pg_history *h = model->history;
	size_t k = 0;

	for (size_t c = 0; c < set->n_chains; c++) {
		const struct pg_chain *chain = &set->chain[c];

		if (drops(chain->policy) && chain->packets && k < h->n_rules)
			add_rule(lines, chain, 0, NULL, h->rule[k].rate.packets, chain->packets);
		k++;
		for (size_t i = 0; i < chain->n_rules; i++, k++)
			if (drops(chain->rule[i].target) && chain->rule[i].packets && k < h->n_rules)
				add_rule(lines, chain, i + 1, &chain->rule[i],
					 h->rule[k].rate.packets, chain->rule[i].packets);
	}
}

static void by_port(struct lines *lines, const struct pg_top_model *model)
{
	const struct pg_snapshot *snap = model->snap;

	for (size_t i = 0; i < snap->n_port; i++) {
		const struct pg_port_row *row = &snap->port[i];
		struct line line = { .total = row->in_dropped + row->out_dropped };

		if (!line.total)
			continue;
		line.rate = pg_port_rate(model->history,
					 pg_history_port(model->history, row->proto, row->port),
					 PG_METRIC_DROPPED);
		snprintf(line.who, sizeof(line.who), "%u/%s", row->port, pg_port_proto_name(row->proto));
		snprintf(line.what, sizeof(line.what), "%s", row->service);
		keep(lines, &line);
	}
}

static unsigned draw_lines(struct pg_frame *f, unsigned x, unsigned y, unsigned width, unsigned room,
			   const char *title, const struct lines *lines)
{
	char buf[32];

	if (room < 2)
		return 0;
	pg_frame_fill(f, x, y, width, PG_LOOK_HEAD, ' ');
	pg_frame_right(f, x, y, 7, PG_LOOK_HEAD, "DROP/s");
	pg_frame_right(f, x + 8, y, 9, PG_LOOK_HEAD, "PACKETS");
	pg_frame_put(f, x + 18, y, width - 18, PG_LOOK_HEAD, title);
	for (size_t i = 0; i < lines->n && i + 1 < room; i++) {
		const struct line *l = &lines->line[i];
		unsigned at = y + 1 + (unsigned)i, n;

		pg_top_put_number(f, x, at, 7, PG_LOOK_BAD, l->rate);
		pg_top_number((double)l->total, 9, buf, sizeof(buf));
		pg_frame_right(f, x + 8, at, 9, PG_LOOK_PLAIN, buf);
		n = pg_frame_put(f, x + 18, at, width - 18, PG_LOOK_STRONG, l->who);
		if (18 + n + 2 < width)
			pg_frame_put(f, x + 18 + n + 2, at, width - 18 - n - 2, PG_LOOK_DIM, l->what);
	}
	if (!lines->n)
		pg_frame_put(f, x + 18, y + 1, width - 18, PG_LOOK_DIM, "nothing");
	return 1 + (unsigned)(lines->n ? lines->n < room - 1 ? lines->n : room - 1 : 1);
}

/* The last ones ------------------------------------------------------------------------------- */

enum { COL_TIME, COL_WHO, COL_REASON, COL_PROTO, COL_SRC, COL_DST, COL_FLAGS, COL_LENGTH, COL_IFACE };

static const struct pg_top_column columns[] = {
	[COL_TIME] = { "TIME", 8, 8, false, false, 0 },
	[COL_WHO] = { "BY", 12, 30, false, true, 0 },
	[COL_REASON] = { "REASON", 10, 18, false, true, 3 },
	[COL_PROTO] = { "PROTO", 5, 9, false, true, 0 },
	[COL_SRC] = { "SOURCE", 20, 47, false, true, 0 },
	[COL_DST] = { "DESTINATION", 20, 47, false, true, 0 },
	[COL_FLAGS] = { "FLAGS", 5, 8, false, true, 0 },
	[COL_LENGTH] = { "LEN", 5, 6, true, false, 2 },
	[COL_IFACE] = { "IFACE", 6, 15, false, true, 1 },
};

static const char *drop_field(const struct pg_top_drop *d, unsigned col)
{
	switch (col) {
	case COL_TIME:
		return d->when;
	case COL_WHO:
		return d->who;
	case COL_REASON:
		return pg_reason_name(d->reason);
	case COL_PROTO:
		return d->proto;
	case COL_SRC:
	case COL_DST:
		return d->end[col == COL_DST];
	case COL_FLAGS:
		return d->flags;
	default:
		return d->iface;
	}
}

static void drop_text(const void *arg, size_t i, char *buf, size_t size)
{
	const struct pg_top_drop *d = pg_top_drops_row(arg, i);

	snprintf(buf, size, "%s %s %s %s %s %s %s", d->who, pg_reason_name(d->reason), d->proto,
		 d->end[0], d->end[1], d->flags, d->iface);
}

static void drop_cell(const void *arg, size_t i, unsigned col, struct pg_frame *f, unsigned x,
		      unsigned y, unsigned w)
{
	const struct pg_top_drop *d = pg_top_drops_row(arg, i);
	char iface[4 * IFNAMSIZ];

	if (col == COL_LENGTH)
		pg_top_put_number(f, x, y, w, PG_LOOK_PLAIN, d->length);
	else if (col == COL_IFACE)
		pg_frame_put(f, x, y, w, PG_LOOK_PLAIN, pg_printable(d->iface, iface, sizeof(iface)));
	else
		pg_frame_put(f, x, y, w, col == COL_WHO ? PG_LOOK_BAD : PG_LOOK_PLAIN,
			     drop_field(d, col));
}

static void draw_last(struct pg_frame *f, unsigned y, unsigned height, struct pg_top *top,
		      const struct pg_top_drops *last)
{
	const struct pg_top_table table = {
		.column = columns,
		.n_columns = ARRAY_SIZE(columns),
		.n = last->n < PG_TOP_LAST_DROPS ? last->n : PG_TOP_LAST_DROPS,
		.arg = last,
		.cell = drop_cell,
		.text = drop_text,
		.none = "Nothing has been dropped since this began.",
	};
	size_t row;

	if (!pg_top_table_draw(f, y, height, top, &top->place[PG_TOP_DROPS], &table, &row))
		return;
	if (pg_top_drops_row(last, row)->port >= 0) {
		top->has_row = true;
		top->row = (struct pg_port_id){ pg_top_drops_row(last, row)->port_proto,
						(uint16_t)pg_top_drops_row(last, row)->port };
	}
}

void pg_top_draw_drops(struct pg_frame *f, unsigned y, unsigned height, struct pg_top *top,
		       const struct pg_top_model *model)
{
	struct lines reasons = { 0 }, rules = { 0 }, ports = { 0 };
	unsigned upper = model->drops ? height / 2 : height, used, more;

	by_reason(&reasons, model);
	by_rule(&rules, model);
	by_port(&ports, model);
	if (f->width >= 150) {
		unsigned third = f->width / 3;

		used = draw_lines(f, 0, y, third - 1, upper, "REASON", &reasons);
		more = draw_lines(f, third, y, third - 1, upper, "RULE", &rules);
		used = more > used ? more : used;
		more = draw_lines(f, 2 * third, y, f->width - 2 * third, upper, "PORT", &ports);
		used = more > used ? more : used;
	} else {
		unsigned each = upper / 3;

		used = draw_lines(f, 0, y, f->width, each, "REASON", &reasons);
		used += draw_lines(f, 0, y + used, f->width, upper - used - each, "RULE", &rules);
		used += draw_lines(f, 0, y + used, f->width, upper - used, "PORT", &ports);
	}
	if (model->drops && height > used + 1)
		draw_last(f, y + used + 1, height - used - 1, top, model->drops);
}
