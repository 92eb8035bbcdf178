/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "export_stream.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "chains.h"
#include "names.h"
#include "view_flows.h"

/* A text of anybody's as a JSON string. */
static void put_text(FILE *f, const char *text)
{
	char shown[256];

	fputc('"', f);
	for (const char *p = pg_printable(text, shown, sizeof(shown)); *p; p++) {
		if (*p == '"' || *p == '\\')
			fputc('\\', f);
		fputc(*p, f);
	}
	fputc('"', f);
}

static void put_numbers(FILE *f, size_t n, const uint64_t *number)
{
	for (size_t i = 0; i < n; i++)
		fprintf(f, ",%" PRIu64, number[i]);
}

/* Ports ---------------------------------------------------------------------------------------- */

struct candidate {
	const struct pg_port_row *row;
	uint64_t now, total; /* packets since the last time, and ever */
};

/* The busiest now; then those that somebody listens on; then those that were busy. */
static int compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->now != y->now)
		return x->now > y->now ? -1 : 1;
	if (x->row->has_listener != y->row->has_listener)
		return x->row->has_listener ? -1 : 1;
	if (x->total != y->total)
		return x->total > y->total ? -1 : 1;
	return x->row < y->row ? -1 : 1;
}

static void put_port(FILE *f, const struct pg_port_row *row, uint64_t since, uint32_t open)
{
	const uint64_t number[] = {
		row->in.packets, row->in.bytes, row->in_dropped, row->out.packets, row->out.bytes,
		row->flags.count[PG_FLAG_SYN], row->flags.count[PG_FLAG_RST], open,
	};

	fprintf(f, "[\"%s\",%u,", pg_port_proto_name(row->proto), row->port);
	put_text(f, row->service);
	put_numbers(f, ARRAY_SIZE(number), number);
	if (row->has_listener) {
		fprintf(f, ",[%u,", row->listener.pid);
		put_text(f, row->listener.comm);
		fputc(',', f);
		put_text(f, row->listener.address);
		fputc(']', f);
	} else {
		fputs(",null", f);
	}
	if (row->mark)
		fprintf(f, ",\"%s\"", pg_mark_name(row->mark));
	else
		fputs(",null", f);
	put_numbers(f, 2, (const uint64_t[]){ row->out_dropped, since });
	fputc(']', f);
}

static int put_ports(FILE *f, struct pg_stream *stream, const struct pg_snapshot *snap,
		     const struct pg_flow_sample *flows)
{
	_free_ struct candidate *list = calloc(snap->n_port + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < snap->n_port; i++) {
		const struct pg_port_row *row = &snap->port[i];
		uint64_t *last = &stream->packets[row->proto][row->port];
		uint64_t total = row->in.packets + row->out.packets;

		/* Less than the last time: another instance. */
		list[i] = (struct candidate){ row, total >= *last ? total - *last : total, total };
		*last = total;
	}
	qsort(list, snap->n_port, sizeof(*list), compare);
	fprintf(f, ",\"n_ports\":%zu,\"ports\":[", snap->n_port);
	for (size_t i = 0; i < snap->n_port && i < PG_STREAM_PORTS; i++) {
		if (i)
			fputc(',', f);
		put_port(f, list[i].row, stream->begun ? list[i].now : 0,
			 pg_flow_sample_open(flows, list[i].row->proto, list[i].row->port));
	}
	stream->begun = true;
	fputc(']', f);
	return 0;
}

/* The rest ------------------------------------------------------------------------------------- */

static void put_ifaces(FILE *f, const struct pg_snapshot *snap)
{
	fputs(",\"ifaces\":[", f);
	for (size_t i = 0; i < snap->n_iface; i++) {
		const struct pg_iface_row *row = &snap->iface[i];

		fputs(i ? ",[" : "[", f);
		put_text(f, row->iface.abi.name);
		fprintf(f, ",\"%s\",%s", pg_mode_name((enum pg_mode)row->iface.abi.mode),
			row->iface.gone ? "false" : "true");
		for (int d = 0; d < _PG_DIR_MAX; d++)
			put_numbers(f, 3, (const uint64_t[]){ row->count[d].packets,
							      row->count[d].bytes,
							      row->dropped[d] });
		for (int d = 0; d < _PG_DIR_MAX; d++)
			put_numbers(f, 2, (const uint64_t[]){ row->cost[d].runs, row->cost[d].ns });
		fputc(']', f);
	}
	fputc(']', f);
}

static void put_totals(FILE *f, const struct pg_snapshot *snap)
{
	bool any = false;

	fputs(",\"verdicts\":[", f);
	for (int d = 0; d < _PG_DIR_MAX; d++) {
		const struct pg_count *accept = &snap->verdict[d][PG_VERDICT_ACCEPT];
		const struct pg_count *drop = &snap->verdict[d][PG_VERDICT_DROP];

		fprintf(f, "%s[%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]", d ? "," : "",
			(uint64_t)accept->packets, (uint64_t)accept->bytes,
			(uint64_t)drop->packets, (uint64_t)drop->bytes);
	}
	fputs("],\"drops\":[", f);
	for (int r = 0; r < _PG_REASON_MAX; r++) {
		const struct pg_count *c = &snap->dropped[r];

		if (!c->packets)
			continue;
		fprintf(f, "%s[\"%s\",", any ? "," : "", pg_reason_name((enum pg_reason)r));
		any = true;
		put_text(f, pg_reason_help((enum pg_reason)r));
		fprintf(f, ",%" PRIu64 ",%" PRIu64 "]", (uint64_t)c->packets, (uint64_t)c->bytes);
	}
	fputc(']', f);
}

static void put_talkers(FILE *f, const struct pg_flow_list *list)
{
	char text[80];

	fputs(",\"talkers\":[", f);
	for (size_t i = 0; i < list->n && i < PG_STREAM_FLOWS; i++) {
		const struct pg_flow_row *row = &list->row[i];

		fputs(i ? ",[" : "[", f);
		put_text(f, pg_flow_proto_text(row, text, sizeof(text)));
		for (int end = 0; end < 2; end++) {
			fputc(',', f);
			pg_flow_end_text(row, end, text, sizeof(text));
			put_text(f, text);
		}
		fprintf(f, ",\"%s\"", pg_flow_word_name(pg_flow_word(row)));
		put_numbers(f, 8, (const uint64_t[]){
			row->count[0].bytes, row->count[1].bytes, row->count[0].packets,
			row->count[1].packets, pg_flow_rtt_us(row), row->retransmits[0],
			row->retransmits[1], row->age_ns / 1000000000 });
		fprintf(f, ",%.0f,%.0f]", (double)row->rate[0].bytes, (double)row->rate[1].bytes);
	}
	fputc(']', f);
}

static void put_flows(FILE *f, const struct pg_snapshot *snap, const struct pg_flow_sample *s)
{
	const struct pg_dp_flow_info *info = &snap->flow;

	fprintf(f, ",\"flows\":{\"tracking\":%s,\"count\":%u,\"capacity\":%u,\"half_open\":%u,"
		   "\"half_open_capacity\":%u,\"states\":{",
		info->tracking ? "true" : "false", s->count[PG_FLOW_TABLE],
		info->capacity[PG_FLOW_TABLE], s->count[PG_HALF_OPEN_TABLE],
		info->capacity[PG_HALF_OPEN_TABLE]);
	for (unsigned w = PG_TCP_NONE + 1; w < _PG_FLOW_WORD_MAX; w++)
		fprintf(f, "%s\"%s\":%" PRIu64, w > PG_TCP_NONE + 1 ? "," : "",
			pg_flow_word_name((enum pg_flow_word)w), s->word[w]);
	fputs("}}", f);
	put_talkers(f, &s->list);
}

/* The newest first, each with its number, by which who has seen it before knows it. */
static void put_last_drops(FILE *f, const struct pg_top_drops *drops)
{
	fprintf(f, ",\"drops_seen\":%" PRIu64 ",\"drops_missed\":%" PRIu64 ",\"last_drops\":[", drops->n,
		drops->missed);
	for (uint64_t i = 0; i < drops->n && i < PG_STREAM_DROPS; i++) {
		const struct pg_top_drop *d = pg_top_drops_row(drops, i);
		const char *const text[] = { d->iface, pg_reason_name(d->reason), d->who, d->proto,
					     d->end[0], d->end[1], d->flags };

		fprintf(f, "%s[%" PRIu64 ",%" PRIu64, i ? "," : "", drops->n - i, d->time_ms);
		for (size_t k = 0; k < ARRAY_SIZE(text); k++) {
			fputc(',', f);
			put_text(f, text[k]);
		}
		fprintf(f, ",%u]", d->length);
	}
	fputc(']', f);
}

static void put_states(FILE *f, const struct pg_states *states)
{
	enum pg_end_state from, to;
	bool any = false;

	fputs(",\"transitions\":[", f);
	for (unsigned t = 0; pg_transition(t, &from, &to); t++) {
		uint64_t n = states->total.count[from][to];

		if (!n)
			continue;
		fprintf(f, "%s[\"%s\",\"%s\",%" PRIu64 "]", any ? "," : "", pg_end_state_name(from),
			pg_end_state_name(to), n);
		any = true;
	}
	fputc(']', f);
}

int pg_stream_write(FILE *f, struct pg_stream *stream, const struct pg_snapshot *snap,
		    const struct pg_stream_more *more, struct pg_err *err)
{
	int r;

	fprintf(f, "{\"time_ms\":%" PRIu64 ",\"exists\":%s,\"generation\":%u,\"rules\":%zu,"
		   "\"confirm_s\":%u,\"tried\":%s",
		snap->time_ms, snap->exists ? "true" : "false", snap->policy.generation, snap->n_rules,
		snap->policy.confirm_s, snap->policy.shadow == PG_SHADOW_ON ? "true" : "false");
	fputs(",\"host\":", f);
	put_text(f, more->host);
	fputs(",\"marks_error\":", f);
	put_text(f, more->marks_error);
	put_ifaces(f, snap);
	put_totals(f, snap);
	put_last_drops(f, more->drops);
	r = put_ports(f, stream, snap, more->flows);
	put_flows(f, snap, more->flows);
	put_states(f, &snap->states);
	fputs("}\n", f);
	if (r)
		return pg_fail(err, r, "out of memory");
	return ferror(f) ? pg_fail(err, -EIO, "cannot write: %s", strerror(errno)) : 0;
}
