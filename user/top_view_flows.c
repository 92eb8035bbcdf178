/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Top talkers, with their state. */
#include <string.h>

#include "top_table.h"
#include "view_flows.h"

enum {
	COL_PROTO, COL_STATE, COL_SRC, COL_DST, COL_SENT, COL_GOT, COL_PACKETS, COL_RTT, COL_RETRANSMITS,
	COL_AGE, COL_IDLE, COL_IFACE, COL_ENDS,
};

static const struct pg_top_column rates[] = {
	[COL_PROTO] = { "PROTO", 5, 9, false, true, 6 },
	[COL_STATE] = { "STATE", 11, 11, false, true, 0 },
	[COL_SRC] = { "SOURCE", 18, 47, false, true, 0 },
	[COL_DST] = { "DESTINATION", 18, 47, false, true, 0 },
	[COL_SENT] = { "b/s>", 6, 8, true, false, 0 },
	[COL_GOT] = { "b/s<", 6, 8, true, false, 0 },
	[COL_PACKETS] = { "PKT/s", 6, 8, true, false, 4 },
	[COL_RTT] = { "RTT", 7, 8, true, false, 0 },
	[COL_RETRANSMITS] = { "RETR", 5, 8, true, false, 1 },
	[COL_AGE] = { "AGE", 6, 7, true, false, 5 },
	[COL_IDLE] = { "IDLE", 6, 7, true, false, 7 },
	[COL_IFACE] = { "IFACE", 6, 15, false, true, 8 },
	[COL_ENDS] = { "ENDS", 11, 25, false, true, 9 },
};
static const struct pg_top_column totals[] = {
	[COL_PROTO] = { "PROTO", 5, 9, false, true, 6 },
	[COL_STATE] = { "STATE", 11, 11, false, true, 0 },
	[COL_SRC] = { "SOURCE", 18, 47, false, true, 0 },
	[COL_DST] = { "DESTINATION", 18, 47, false, true, 0 },
	[COL_SENT] = { "BYTE>", 6, 14, true, false, 0 },
	[COL_GOT] = { "BYTE<", 6, 14, true, false, 0 },
	[COL_PACKETS] = { "PKTS", 6, 12, true, false, 4 },
	[COL_RTT] = { "RTT", 7, 8, true, false, 0 },
	[COL_RETRANSMITS] = { "RETR", 5, 8, true, false, 1 },
	[COL_AGE] = { "AGE", 6, 7, true, false, 5 },
	[COL_IDLE] = { "IDLE", 6, 7, true, false, 7 },
	[COL_IFACE] = { "IFACE", 6, 15, false, true, 8 },
	[COL_ENDS] = { "ENDS", 11, 25, false, true, 9 },
};

struct flows {
	const struct pg_flow_sample *sample;
	bool cumulative;
};

/* Bytes or bits a second that an end has sent. */
static double bytes(const struct flows *a, const struct pg_flow_row *row, int end)
{
	if (a->cumulative)
		return (double)row->count[end].bytes;
	return 8 * (double)row->rate[end].bytes;
}

static double packets(const struct flows *a, const struct pg_flow_row *row)
{
	if (a->cumulative)
		return (double)row->count[0].packets + (double)row->count[1].packets;
	return (double)row->rate[0].packets + (double)row->rate[1].packets;
}

/* Families apart, then by the first four bytes of the address, then by port. */
static uint64_t end_key(const struct pg_flow_row *row, int end)
{
	uint64_t key = row->family;

	for (int i = 0; i < 4; i++)
		key = key << 8 | row->addr[end][i];
	return key << 16 | row->port[end];
}

static uint64_t flow_key(const void *arg, size_t i, unsigned col)
{
	const struct flows *a = arg;
	const struct pg_flow_row *row = &a->sample->list.row[i];
	char text[80];

	switch (col) {
	case COL_PROTO:
		return row->proto;
	case COL_STATE:
		return pg_key_text(pg_flow_word_name(pg_flow_word(row)));
	case COL_SRC:
	case COL_DST:
		return end_key(row, col == COL_DST);
	case COL_SENT:
	case COL_GOT:
		return pg_key_number(bytes(a, row, col == COL_GOT));
	case COL_PACKETS:
		return pg_key_number(packets(a, row));
	case COL_RTT:
		return pg_flow_rtt_us(row);
	case COL_RETRANSMITS:
		return (uint64_t)row->retransmits[0] + row->retransmits[1];
	case COL_AGE:
		return row->age_ns;
	case COL_IDLE:
		return row->idle_ns;
	case COL_IFACE:
		return pg_key_text(row->iface);
	default:
		pg_flow_ends_text(row, text, sizeof(text));
		return pg_key_text(text);
	}
}

void pg_top_flow_text(const struct pg_flow_row *row, char *buf, size_t size)
{
	char number[8], end[2][64], iface[80], ends[80];

	for (int i = 0; i < 2; i++)
		pg_flow_end_text(row, i, end[i], sizeof(end[i]));
	pg_flow_iface_text(row, iface, sizeof(iface));
	pg_flow_ends_text(row, ends, sizeof(ends));
	snprintf(buf, size, "%s %s %s %s %s %s", pg_flow_proto_text(row, number, sizeof(number)),
		 pg_flow_word_name(pg_flow_word(row)), end[0], end[1], iface, ends);
}

static void flow_text(const void *arg, size_t i, char *buf, size_t size)
{
	pg_top_flow_text(&((const struct flows *)arg)->sample->list.row[i], buf, size);
}

static unsigned state_look(const struct pg_flow_row *row)
{
	if (row->half_open || (row->state == PG_TCP_NONE && !row->replied))
		return PG_LOOK_WARN;
	return pg_flow_is_open(row) ? PG_LOOK_GOOD : PG_LOOK_DIM;
}

static void put_number(const struct flows *a, const struct pg_flow_row *row, unsigned col,
		       struct pg_frame *f, unsigned x, unsigned y, unsigned w)
{
	if (col == COL_PACKETS)
		pg_top_put_number(f, x, y, w, PG_LOOK_PLAIN, packets(a, row));
	else
		pg_top_put_number(f, x, y, w, PG_LOOK_STRONG, bytes(a, row, col == COL_GOT));
}

static void put_retransmits(const struct pg_flow_row *row, struct pg_frame *f, unsigned x, unsigned y,
			    unsigned w)
{
	char text[32];

	snprintf(text, sizeof(text), "%u/%u", row->retransmits[0], row->retransmits[1]);
	if (row->state == PG_TCP_NONE)
		pg_frame_right(f, x, y, w, PG_LOOK_DIM, "-");
	else if (pg_frame_width(text) > w)
		pg_top_put_number(f, x, y, w, PG_LOOK_WARN,
				  (double)row->retransmits[0] + row->retransmits[1]);
	else
		pg_frame_right(f, x, y, w, row->retransmits[0] || row->retransmits[1] ?
						   PG_LOOK_WARN : PG_LOOK_DIM, text);
}

static void flow_cell(const void *arg, size_t i, unsigned col, struct pg_frame *f, unsigned x,
		      unsigned y, unsigned w)
{
	const struct flows *a = arg;
	const struct pg_flow_row *row = &a->sample->list.row[i];
	char text[80];

	switch (col) {
	case COL_PROTO:
		pg_frame_put(f, x, y, w, PG_LOOK_PLAIN, pg_flow_proto_text(row, text, sizeof(text)));
		return;
	case COL_STATE:
		pg_frame_put(f, x, y, w, state_look(row), pg_flow_word_name(pg_flow_word(row)));
		return;
	case COL_SRC:
	case COL_DST:
		pg_flow_end_text(row, col == COL_DST, text, sizeof(text));
		pg_frame_put(f, x, y, w, PG_LOOK_PLAIN, text);
		return;
	case COL_RTT:
		pg_flow_rtt_text(row, text, sizeof(text));
		pg_frame_right(f, x, y, w, PG_LOOK_PLAIN, text);
		return;
	case COL_RETRANSMITS:
		put_retransmits(row, f, x, y, w);
		return;
	case COL_AGE:
	case COL_IDLE:
		pg_flow_age_text(col == COL_AGE ? row->age_ns : row->idle_ns, text, sizeof(text));
		pg_frame_right(f, x, y, w, PG_LOOK_PLAIN, text);
		return;
	case COL_IFACE:
		pg_flow_iface_text(row, text, sizeof(text));
		pg_frame_put(f, x, y, w, PG_LOOK_PLAIN, text);
		return;
	case COL_ENDS:
		pg_flow_ends_text(row, text, sizeof(text));
		pg_frame_put(f, x, y, w, PG_LOOK_DIM, text);
		return;
	default:
		put_number(a, row, col, f, x, y, w);
	}
}

void pg_top_flow_table(struct pg_frame *f, unsigned y, unsigned height, struct pg_top *top,
		       struct pg_top_place *place, const struct pg_top_model *model, bool filtered)
{
	static const struct pg_flow_sample nothing;
	struct flows a = { model->flows ? model->flows : &nothing, top->cumulative };
	const struct pg_top_table table = {
		.column = top->cumulative ? totals : rates,
		.n_columns = ARRAY_SIZE(rates),
		.n = a.sample->list.n,
		.arg = &a,
		.key = flow_key,
		.cell = flow_cell,
		.text = flow_text,
		.none = !model->snap->flow.tracking ?
				"Flows are not tracked: no rule asks for states (`portguard track on')." :
			filtered ? "There is no flow like that." : "There are no flows.",
	};
	size_t row;

	if (!pg_top_table_draw(f, y, height, top, place, &table, &row))
		return;
	/* Whose port it is, where that is what the view is about. */
	if (!top->detail && (a.sample->list.row[row].proto == 6 || a.sample->list.row[row].proto == 17)) {
		top->has_row = true;
		top->row = (struct pg_port_id){ a.sample->list.row[row].proto == 6 ? PG_PORT_TCP :
										     PG_PORT_UDP,
						a.sample->list.row[row].port[1] };
	}
}

void pg_top_draw_flows(struct pg_frame *f, unsigned y, unsigned height, struct pg_top *top,
		       const struct pg_top_model *model)
{
	const struct pg_flow_sample *s = model->flows;
	char note[160] = "";

	if (s && s->time_ns && height > 2) {
		double old_s = (double)(model->snap->time_ns - s->time_ns) / 1e9;

		snprintf(note, sizeof(note), "%u flow%s, %u half-open", s->count[PG_FLOW_TABLE],
			 s->count[PG_FLOW_TABLE] == 1 ? "" : "s", s->count[PG_HALF_OPEN_TABLE]);
		if (s->list.n < s->list.wanted)
			snprintf(note + strlen(note), sizeof(note) - strlen(note),
				 "; the first %zu of %zu", s->list.n, s->list.wanted);
		if (model->snap->time_ns > s->time_ns && old_s >= 1.5)
			snprintf(note + strlen(note), sizeof(note) - strlen(note),
				 "; looked through %.0f s ago", old_s);
	}
	pg_frame_put(f, 0, y, f->width, PG_LOOK_DIM, note);
	pg_top_flow_table(f, y + 1, height ? height - 1 : 0, top, &top->place[PG_TOP_FLOWS], model,
			  top->filter[0]);
}
