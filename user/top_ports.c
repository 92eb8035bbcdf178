/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The first view: every port with traffic or a listener. */
#include <string.h>

#include "mark.h"
#include "names.h"
#include "top_table.h"

enum {
	COL_PORT, COL_SERVICE, COL_PROCESS, COL_IN, COL_OUT, COL_IN_BYTES, COL_OUT_BYTES, COL_DROPPED,
	COL_SYN, COL_RST, COL_OPEN, COL_MINUTE, COL_SHARE, COL_MARK,
};

static const struct pg_top_column rates[] = {
	[COL_PORT] = { "PORT", 9, 10, false, true, 0 },
	[COL_SERVICE] = { "SERVICE", 9, 15, false, true, 8 },
	[COL_PROCESS] = { "PROCESS", 9, 24, false, true, 0 },
	[COL_IN] = { "IN/s", 6, 8, true, false, 0 },
	[COL_OUT] = { "OUT/s", 6, 8, true, false, 0 },
	[COL_IN_BYTES] = { "INb/s", 6, 8, true, false, 1 },
	[COL_OUT_BYTES] = { "OUTb/s", 6, 8, true, false, 2 },
	[COL_DROPPED] = { "DROP/s", 6, 8, true, false, 0 },
	[COL_SYN] = { "SYN/s", 5, 7, true, false, 4 },
	[COL_RST] = { "RST/s", 5, 7, true, false, 5 },
	[COL_OPEN] = { "OPEN", 5, 7, true, false, 3 },
	[COL_MINUTE] = { "MINUTE", 7, 60, false, false, 6 },
	[COL_SHARE] = { "SHARE", 8, 16, false, false, 9 },
	[COL_MARK] = { "NOTE", 1, 9, false, true, 0 },
};
static const struct pg_top_column totals[] = {
	[COL_PORT] = { "PORT", 9, 10, false, true, 0 },
	[COL_SERVICE] = { "SERVICE", 9, 15, false, true, 8 },
	[COL_PROCESS] = { "PROCESS", 9, 24, false, true, 0 },
	[COL_IN] = { "IN", 6, 12, true, false, 0 },
	[COL_OUT] = { "OUT", 6, 12, true, false, 0 },
	[COL_IN_BYTES] = { "IN-B", 6, 14, true, false, 1 },
	[COL_OUT_BYTES] = { "OUT-B", 6, 14, true, false, 2 },
	[COL_DROPPED] = { "DROP", 6, 10, true, false, 0 },
	[COL_SYN] = { "SYN", 5, 8, true, false, 4 },
	[COL_RST] = { "RST", 5, 8, true, false, 5 },
	[COL_OPEN] = { "OPEN", 5, 7, true, false, 3 },
	[COL_MINUTE] = { "MINUTE", 7, 60, false, false, 6 },
	[COL_SHARE] = { "SHARE", 8, 16, false, false, 9 },
	[COL_MARK] = { "NOTE", 1, 9, false, true, 0 },
};

/* A port without a mark has an empty field. */
static const char *mark_text(enum pg_mark mark)
{
	return mark == PG_MARK_NONE ? "" : pg_mark_name(mark);
}

struct ports {
	const struct pg_top_model *model;
	bool cumulative;
	double all_packets; /* of all ports, in and out */
};

static double metric(const struct ports *p, const struct pg_port_row *row, enum pg_port_metric m)
{
	const struct pg_history *h = p->model->history;

	if (p->cumulative)
		return (double)pg_port_metric(row, m);
	return pg_port_rate(h, pg_history_port(h, row->proto, row->port), m);
}

static double both_ways(const struct ports *p, const struct pg_port_row *row)
{
	return metric(p, row, PG_METRIC_IN_PACKETS) + metric(p, row, PG_METRIC_OUT_PACKETS);
}

static const struct {
	enum pg_port_metric metric;
	double scale; /* of a rate: bits */
	uint8_t look;
} numbers[] = {
	[COL_IN] = { PG_METRIC_IN_PACKETS, 1, PG_LOOK_PLAIN },
	[COL_OUT] = { PG_METRIC_OUT_PACKETS, 1, PG_LOOK_PLAIN },
	[COL_IN_BYTES] = { PG_METRIC_IN_BYTES, 8, PG_LOOK_PLAIN },
	[COL_OUT_BYTES] = { PG_METRIC_OUT_BYTES, 8, PG_LOOK_PLAIN },
	[COL_DROPPED] = { PG_METRIC_DROPPED, 1, PG_LOOK_BAD },
	[COL_SYN] = { PG_METRIC_SYN, 1, PG_LOOK_PLAIN },
	[COL_RST] = { PG_METRIC_RST, 1, PG_LOOK_WARN },
};

static double number(const struct ports *p, const struct pg_port_row *row, unsigned col)
{
	return metric(p, row, numbers[col].metric) * (p->cumulative ? 1 : numbers[col].scale);
}

static void process_text(const struct pg_port_row *row, char *buf, size_t size)
{
	char comm[4 * sizeof(row->listener.comm)];

	if (!row->has_listener)
		snprintf(buf, size, "%s", "");
	else if (row->listener.pid)
		snprintf(buf, size, "%s[%u]",
			 pg_printable(row->listener.comm, comm, sizeof(comm)), row->listener.pid);
	else
		snprintf(buf, size, "?");
}

static uint64_t port_key(const void *arg, size_t i, unsigned col)
{
	const struct ports *p = arg;
	const struct pg_port_row *row = &p->model->snap->port[i];

	switch (col) {
	case COL_PORT:
		return (uint64_t)row->port << 1 | row->proto;
	case COL_SERVICE:
		return row->service[0] ? pg_key_text(row->service) : UINT64_MAX;
	case COL_PROCESS:
		return row->has_listener ? pg_key_text(row->listener.comm) : UINT64_MAX;
	case COL_OPEN:
		return pg_flow_sample_open(p->model->flows, row->proto, row->port);
	case COL_MARK:
		return row->mark ? row->mark : UINT64_MAX;
	case COL_MINUTE:
	case COL_SHARE:
		return pg_key_number(both_ways(p, row));
	default:
		return pg_key_number(number(p, row, col));
	}
}

/* What nothing tells apart: ports that somebody listens on, then those that have counted most. */
static uint64_t port_tie(const void *arg, size_t i)
{
	const struct pg_port_row *row = &((const struct ports *)arg)->model->snap->port[i];

	return (uint64_t)row->has_listener << 63 | (row->in.packets + row->out.packets);
}

static void port_text(const void *arg, size_t i, char *buf, size_t size)
{
	const struct pg_port_row *row = &((const struct ports *)arg)->model->snap->port[i];
	char process[80];

	process_text(row, process, sizeof(process));
	snprintf(buf, size, "%u/%s %s %s %s %s", row->port, pg_port_proto_name(row->proto),
		 row->service, process, row->has_listener ? row->listener.address : "",
		 mark_text(row->mark));
}

static void put_minute(const struct ports *p, const struct pg_port_row *row, struct pg_frame *f,
		       unsigned x, unsigned y, unsigned w)
{
	const struct pg_history *h = p->model->history;
	const struct pg_port_rate *rate = pg_history_port(h, row->proto, row->port);
	float value[PG_HISTORY];

	if (!rate)
		return;
	pg_series_read(h, &rate->series, value, w);
	pg_frame_spark(f, x, y, PG_LOOK_CHART, value, w);
}

/* Where there is no room for both, and nobody listens, what the port is called, as a remark. */
static void put_name(const struct pg_port_row *row, struct pg_frame *f, unsigned x, unsigned y,
		     unsigned w)
{
	char process[80];

	process_text(row, process, sizeof(process));
	if (row->has_listener && w < 12 && row->listener.pid)
		*strrchr(process, '[') = '\0'; /* its name may have one, too */
	if (process[0])
		pg_frame_put(f, x, y, w, PG_LOOK_STRONG, process);
	else if (w < 12 && row->service[0])
		pg_frame_printf(f, x, y, PG_LOOK_DIM, "(%.*s)", (int)w - 2, row->service);
	else
		pg_frame_put(f, x, y, w, PG_LOOK_DIM, "-");
}

static void port_cell(const void *arg, size_t i, unsigned col, struct pg_frame *f, unsigned x,
		      unsigned y, unsigned w)
{
	const struct ports *p = arg;
	const struct pg_port_row *row = &p->model->snap->port[i];
	char buf[32];

	switch (col) {
	case COL_PORT:
		snprintf(buf, sizeof(buf), "%u/%s", row->port, pg_port_proto_name(row->proto));
		pg_frame_put(f, x, y, w, row->mark ? PG_LOOK_WARN : PG_LOOK_STRONG, buf);
		return;
	case COL_SERVICE:
		pg_frame_put(f, x, y, w, row->service[0] ? PG_LOOK_PLAIN : PG_LOOK_DIM,
			     row->service[0] ? row->service : "-");
		return;
	case COL_PROCESS:
		put_name(row, f, x, y, w);
		return;
	case COL_OPEN:
		pg_top_put_number(f, x, y, w, PG_LOOK_GOOD,
				  pg_flow_sample_open(p->model->flows, row->proto, row->port));
		return;
	case COL_MINUTE:
		put_minute(p, row, f, x, y, w);
		return;
	case COL_SHARE:
		pg_frame_bar(f, x, y, w, PG_LOOK_CHART, both_ways(p, row), p->all_packets);
		return;
	case COL_MARK:
		pg_frame_put(f, x, y, w, PG_LOOK_WARN, mark_text(row->mark));
		return;
	default:
		pg_top_put_number(f, x, y, w, numbers[col].look, number(p, row, col));
	}
}

void pg_top_draw_ports(struct pg_frame *f, unsigned y, unsigned height, struct pg_top *top,
		       const struct pg_top_model *model)
{
	struct ports p = { .model = model, .cumulative = top->cumulative };
	struct pg_top_column column[ARRAY_SIZE(rates)];
	struct pg_top_table table = {
		.column = column,
		.n_columns = COL_MARK,
		.n = model->snap->n_port,
		.arg = &p,
		.key = port_key,
		.tie = port_tie,
		.cell = port_cell,
		.text = port_text,
		.none = "No port has had a packet yet, and nobody listens.",
	};
	size_t row;

	memcpy(column, top->cumulative ? totals : rates, sizeof(column));
	for (size_t i = 0; i < model->snap->n_port; i++) {
		p.all_packets += both_ways(&p, &model->snap->port[i]);
		if (model->snap->port[i].mark)
			table.n_columns = COL_MARK + 1;
	}
	if (table.n_columns > COL_MARK)
		column[COL_MINUTE].min = 5; /* at 80 columns a letter of the mark has room beside it */
	top->has_row = pg_top_table_draw(f, y, height, top, &top->place[PG_TOP_PORTS], &table, &row);
	if (top->has_row)
		top->row = (struct pg_port_id){ model->snap->port[row].proto,
						model->snap->port[row].port };
}

/* One port ------------------------------------------------------------------------------------ */

static const struct pg_port_row *find_port(const struct pg_snapshot *snap, struct pg_port_id id)
{
	static struct pg_port_row none; /* neither traffic nor a listener */

	for (size_t i = 0; i < snap->n_port; i++)
		if (snap->port[i].proto == id.proto && snap->port[i].port == id.port)
			return &snap->port[i];
	none = (struct pg_port_row){ .proto = id.proto, .port = id.port };
	return &none;
}

/* Its lines. */
static unsigned put_port_title(const struct pg_port_row *row, struct pg_frame *f, unsigned y)
{
	static const char *const words[] = {
		[PG_MARK_NONE] = "",
		[PG_MARK_CLOSED] = "somebody listens, but the policy lets nobody in",
		[PG_MARK_UNUSED] = "open to the world, and nobody listens",
		[PG_MARK_PUBLISHED] = "published by a container",
	};
	char process[80];
	unsigned x = pg_frame_printf(f, 0, y, PG_LOOK_STRONG, "Port %u/%s", row->port,
				     pg_port_proto_name(row->proto));

	process_text(row, process, sizeof(process));
	if (row->service[0])
		x += pg_frame_printf(f, x, y, PG_LOOK_PLAIN, "  %s", row->service);
	if (row->has_listener)
		x += pg_frame_printf(f, x, y, PG_LOOK_GOOD, "  %s listens on %s", process,
				     row->listener.address);
	else
		x += pg_frame_printf(f, x, y, PG_LOOK_DIM, "  nobody listens");
	if (row->mark)
		pg_frame_put(f, 0, y + 1, f->width, PG_LOOK_WARN, words[row->mark]);
	return row->mark ? 2 : 1;
}

/* "in 12/s 4.5kb/s, 123 packets 4567 bytes" */
static void put_direction(const struct pg_top_model *model, const struct pg_port_row *row,
			  enum pg_dir dir, struct pg_frame *f, unsigned y)
{
	const struct pg_history *h = model->history;
	const struct pg_port_rate *rate = pg_history_port(h, row->proto, row->port);
	const struct pg_count *count = dir == PG_DIR_IN ? &row->in : &row->out;
	uint64_t dropped = dir == PG_DIR_IN ? row->in_dropped : row->out_dropped;
	char packets[16], bits[16];
	unsigned x;

	pg_top_number(pg_port_rate(h, rate, dir == PG_DIR_IN ? PG_METRIC_IN_PACKETS :
							       PG_METRIC_OUT_PACKETS), 6, packets,
		      sizeof(packets));
	pg_top_number(8 * pg_port_rate(h, rate, dir == PG_DIR_IN ? PG_METRIC_IN_BYTES :
								   PG_METRIC_OUT_BYTES), 6, bits,
		      sizeof(bits));
	x = pg_frame_printf(f, 0, y, PG_LOOK_PLAIN, "%-4s %6s/s %6sb/s   %llu packets, %llu bytes",
			    dir == PG_DIR_IN ? "in" : "out", packets, bits,
			    (unsigned long long)count->packets, (unsigned long long)count->bytes);
	if (dropped)
		pg_frame_printf(f, x, y, PG_LOOK_BAD, ", %llu dropped", (unsigned long long)dropped);
}

static void put_flags(const struct pg_port_row *row, struct pg_frame *f, unsigned y)
{
	unsigned x = pg_frame_put(f, 0, y, f->width, PG_LOOK_PLAIN, "flags");

	if (row->proto != PG_PORT_TCP)
		pg_frame_put(f, x + 1, y, f->width, PG_LOOK_DIM, "of TCP only");
	for (int i = 0; i < _PG_FLAG_MAX && row->proto == PG_PORT_TCP; i++)
		x += pg_frame_printf(f, x, y, row->flags.count[i] ? PG_LOOK_PLAIN : PG_LOOK_DIM, " %s:%llu",
				     pg_flag_name((enum pg_tcp_flag)i),
				     (unsigned long long)row->flags.count[i]);
}

/* Changes of state of connections to it, where they have a rate, with that. */
static void put_states(const struct pg_top_model *model, const struct pg_port_row *row,
		       struct pg_frame *f, unsigned y)
{
	const struct pg_history *h = model->history;
	unsigned x = pg_frame_put(f, 0, y, f->width, PG_LOOK_PLAIN, "ends"), begin = x, last = y + 1;

	if (row->proto != PG_PORT_TCP || !h->states_ns || h->states_port != row->port)
		return;
	for (unsigned from = 0; from < _PG_END_MAX; from++) {
		for (unsigned to = 0; to < _PG_END_MAX; to++) {
			if (!h->port_states.last.count[from][to])
				continue;
			if (x + 38 > f->width && y == last) {
				pg_frame_put(f, x, y, 2, PG_LOOK_DIM, f->ascii ? " +" : " …");
				return;
			}
			if (x + 36 > f->width) {
				x = begin;
				y++;
			}
			x += pg_frame_printf(f, x, y, h->port_states.rate[from][to] > 0 ? PG_LOOK_STRONG :
											  PG_LOOK_PLAIN,
					     " %s>%s:%llu", pg_end_state_name((enum pg_end_state)from),
					     pg_end_state_name((enum pg_end_state)to),
					     (unsigned long long)h->port_states.last.count[from][to]);
		}
	}
	if (x == begin && y < last)
		pg_frame_put(f, x, y, f->width, PG_LOOK_DIM, " have not changed their states yet");
}

void pg_top_draw_port(struct pg_frame *f, unsigned y, unsigned height, struct pg_top *top,
		      const struct pg_top_model *model)
{
	const struct pg_port_row *row = find_port(model->snap, top->port);
	const struct pg_history *h = model->history;
	const struct pg_port_rate *rate = pg_history_port(h, row->proto, row->port);
	float value[PG_HISTORY];
	unsigned end = y + height;

	top->has_row = true;
	top->row = top->port;
	y += put_port_title(row, f, y);
	put_direction(model, row, PG_DIR_IN, f, y);
	put_direction(model, row, PG_DIR_OUT, f, y + 1);
	if (rate && f->width >= 140) {
		pg_series_read(h, &rate->series, value, PG_HISTORY);
		pg_frame_spark(f, f->width - PG_HISTORY, y, PG_LOOK_CHART, value, PG_HISTORY);
	}
	put_flags(row, f, y + 2);
	put_states(model, row, f, y + 3);
	if (y + 6 < end)
		pg_top_flow_table(f, y + 6, end - y - 6, top, &top->detail_place, model, true);
}
