/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The instance as a whole: interfaces and modes, totals, how full its tables are, what it costs. */
#include <inttypes.h>
#include <string.h>

#include "names.h"
#include "top_table.h"

enum { COL_NAME, COL_MODE, COL_IN, COL_IN_BITS, COL_IN_DROP, COL_IN_NS, COL_OUT, COL_OUT_BITS,
       COL_OUT_DROP, COL_OUT_NS, COL_WHY };

static const struct pg_top_column columns[] = {
	[COL_NAME] = { "INTERFACE", 9, 15, false, true, 0 },
	[COL_MODE] = { "MODE", 6, 6, false, true, 0 },
	[COL_IN] = { "IN/s", 6, 9, true, false, 0 },
	[COL_IN_BITS] = { "INb/s", 6, 9, true, false, 0 },
	[COL_IN_DROP] = { "DROP/s", 6, 9, true, false, 0 },
	[COL_IN_NS] = { "ns", 5, 7, true, false, 1 },
	[COL_OUT] = { "OUT/s", 6, 9, true, false, 0 },
	[COL_OUT_BITS] = { "OUTb/s", 6, 9, true, false, 0 },
	[COL_OUT_DROP] = { "DROP/s", 6, 9, true, false, 3 },
	[COL_OUT_NS] = { "ns", 5, 7, true, false, 2 },
	[COL_WHY] = { "WHY THIS MODE", 20, 90, false, true, 4 },
};

static void iface_cell(const void *arg, size_t i, unsigned col, struct pg_frame *f, unsigned x,
		       unsigned y, unsigned w)
{
	const struct pg_top_model *model = arg;
	const struct pg_iface_row *row = &model->snap->iface[i];
	const struct pg_iface_rate *rate = &model->history->iface[i];
	enum pg_dir dir = col >= COL_OUT ? PG_DIR_OUT : PG_DIR_IN;
	char text[sizeof(row->iface.abi.mode_reason)];

	switch (col) {
	case COL_NAME:
		pg_frame_put(f, x, y, w, row->iface.gone ? PG_LOOK_BAD : PG_LOOK_STRONG,
			     pg_printable(row->iface.abi.name, text, sizeof(text)));
		return;
	case COL_MODE:
		pg_frame_put(f, x, y, w, PG_LOOK_PLAIN,
			     row->iface.gone ? "GONE" : pg_mode_name(row->iface.abi.mode));
		return;
	case COL_IN:
	case COL_OUT:
		pg_top_put_number(f, x, y, w, PG_LOOK_PLAIN, rate->rate[dir].packets);
		return;
	case COL_IN_BITS:
	case COL_OUT_BITS:
		pg_top_put_number(f, x, y, w, PG_LOOK_PLAIN, 8 * rate->rate[dir].bytes);
		return;
	case COL_IN_DROP:
	case COL_OUT_DROP:
		pg_top_put_number(f, x, y, w, PG_LOOK_BAD, rate->dropped[dir]);
		return;
	case COL_IN_NS:
	case COL_OUT_NS:
		if (rate->ns_per_run[dir] > 0)
			pg_top_put_number(f, x, y, w, PG_LOOK_STRONG, (double)(long)rate->ns_per_run[dir]);
		else
			pg_frame_right(f, x, y, w, PG_LOOK_DIM, "-");
		return;
	default:
		pg_frame_put(f, x, y, w, PG_LOOK_DIM,
			     pg_printable(row->iface.abi.mode_reason, text, sizeof(text)));
	}
}

/* "arrived   123 packets  …", with the last minute of those that pass, or are dropped. */
static void put_totals(struct pg_frame *f, unsigned y, const struct pg_top_model *model)
{
	static const char *const dirs[] = { "Arrived", "Departed" };
	float value[PG_HISTORY];

	for (int d = 0; d < _PG_DIR_MAX; d++) {
		const struct pg_count *pass = &model->snap->verdict[d][PG_VERDICT_ACCEPT];
		const struct pg_count *drop = &model->snap->verdict[d][PG_VERDICT_DROP];
		unsigned x = pg_frame_printf(f, 0, y + (unsigned)d, PG_LOOK_STRONG, "%-10s", dirs[d]);

		x += pg_frame_printf(f, x, y + (unsigned)d, PG_LOOK_PLAIN,
				     "%" PRIu64 " packets passed, %" PRIu64 " bytes; ",
				     (uint64_t)pass->packets, (uint64_t)pass->bytes);
		pg_frame_printf(f, x, y + (unsigned)d, drop->packets ? PG_LOOK_BAD : PG_LOOK_DIM,
				"%" PRIu64 " dropped, %" PRIu64 " bytes", (uint64_t)drop->packets,
				(uint64_t)drop->bytes);
	}
	pg_frame_put(f, 0, y + 2, 10, PG_LOOK_STRONG, "Passed");
	pg_series_read(model->history, &model->history->accepts, value, PG_HISTORY);
	pg_frame_spark(f, 10, y + 2, PG_LOOK_GOOD, value, PG_HISTORY);
	pg_frame_put(f, 0, y + 3, 10, PG_LOOK_STRONG, "Dropped");
	pg_series_read(model->history, &model->history->drops, value, PG_HISTORY);
	pg_frame_spark(f, 10, y + 3, PG_LOOK_BAD, value, PG_HISTORY);
}

/* "Flows  ███▏   12 of 262144 (0.0 %)" */
static unsigned put_fill(struct pg_frame *f, unsigned y, const char *name, double used, double capacity)
{
	double part = capacity > 0 ? used / capacity : 0;
	unsigned look = part > 0.9 ? PG_LOOK_BAD : part > 0.7 ? PG_LOOK_WARN : PG_LOOK_CHART;

	pg_frame_put(f, 0, y, 10, PG_LOOK_STRONG, name);
	pg_frame_bar(f, 10, y, 20, look, used, capacity);
	return 32 + pg_frame_printf(f, 32, y, PG_LOOK_PLAIN, "%.0f of %.0f (%.1f %%)", used, capacity,
				    100 * part);
}

static void put_flows(struct pg_frame *f, unsigned y, const struct pg_top_model *model)
{
	const struct pg_dp_flow_info *info = &model->snap->flow;
	const struct pg_flow_sample *s = model->flows;
	static const struct pg_flow_sample none;

	s = s ? s : &none;
	put_fill(f, y, "Flows", s->count[PG_FLOW_TABLE], info->capacity[PG_FLOW_TABLE]);
	put_fill(f, y + 1, "Half-open", s->count[PG_HALF_OPEN_TABLE], info->capacity[PG_HALF_OPEN_TABLE]);
	pg_frame_printf(f, 10, y + 2, PG_LOOK_DIM,
			"%s; picked up %" PRIu64 ", evicted %" PRIu64 ", refused %" PRIu64
			", out of window %" PRIu64,
			info->tracking ? "tracked" : "not tracked", (uint64_t)info->stats.picked_up,
			(uint64_t)(info->stats.evicted[0] + info->stats.evicted[1]),
			(uint64_t)(info->stats.refused[0] + info->stats.refused[1]),
			(uint64_t)info->stats.out_of_window);
}

static void put_policy(struct pg_frame *f, unsigned y, const struct pg_top_model *model)
{
	const struct pg_snapshot *snap = model->snap;
	char dir[sizeof(snap->state_dir)];

	put_fill(f, y, "Terms", snap->policy.terms, PG_MAX_TERMS);
	pg_frame_printf(f, 10, y + 1, PG_LOOK_DIM,
			"generation %u, %zu rules, %u rows, %u nodes, %.1f MB of tables%s",
			snap->policy.generation, snap->n_rules, snap->policy.rows, snap->policy.nodes,
			(double)snap->policy.memory_bytes / 1e6, snap->policy.verify ? ", robust form" : "");
	pg_frame_put(f, 0, y + 2, 10, PG_LOOK_STRONG, "Instance");
	pg_frame_printf(f, 10, y + 2, PG_LOOK_PLAIN, "%s, %.0f MB, Linux %s",
			pg_printable(snap->state_dir, dir, sizeof(dir)),
			(double)snap->memory_bytes / 1e6, snap->kernel);
	pg_frame_put(f, 0, y + 3, 10, PG_LOOK_STRONG, "Own cost");
	pg_frame_put(f, 10, y + 3, f->width, PG_LOOK_PLAIN,
		     model->measuring ?
			     "ns: of a program's run, as the kernel measures it; `m' ends that" :
			     "`m' has it measured, which slows each packet by some 20 ns");
	if (snap->events_lost)
		pg_frame_printf(f, 10, y + 4, PG_LOOK_WARN,
				"%" PRIu64 " packets that LOG and NFLOG reported to nobody",
				snap->events_lost);
}

void pg_top_draw_overview(struct pg_frame *f, unsigned y, unsigned height, struct pg_top *top,
			  const struct pg_top_model *model)
{
	const struct pg_top_table table = {
		.column = columns,
		.n_columns = ARRAY_SIZE(columns),
		.n = model->snap->n_iface < model->history->n_ifaces ? model->snap->n_iface :
								      model->history->n_ifaces,
		.arg = model,
		.cell = iface_cell,
		.none = "No interface is attached.",
	};
	unsigned rest = 14, room = (unsigned)table.n + 1 + !table.n;
	size_t row;

	if (room + rest > height)
		room = height > rest + 2 ? height - rest : 2;
	pg_top_table_draw(f, y, room < height ? room : height, top, &top->place[PG_TOP_OVERVIEW], &table,
			  &row);
	y += room + 1;
	put_totals(f, y, model);
	put_flows(f, y + 5, model);
	put_policy(f, y + 9, model);
}
