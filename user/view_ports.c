/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "names.h"
#include "view.h"
#include "view_table.h"

/* The last two are what a narrow terminal has no room for: they go into a line below. */
static const struct pg_column columns[] = {
	{ "PORT", false, false },     { "SERVICE", false, false }, { "RANGE", false, false },
	{ "IN-PKTS", true, false },   { "IN-BYTES", true, false }, { "DROPPED", true, false },
	{ "OUT-PKTS", true, false },  { "OUT-BYTES", true, false },
	{ "FLAGS", false, false },    { "LISTENER", false, false },
};
#define NARROW (ARRAY_SIZE(columns) - 2)

static const char *const sort_names[] = {
	[PG_SORT_PORT] = "port",
	[PG_SORT_PACKETS] = "packets",
	[PG_SORT_BYTES] = "bytes",
	[PG_SORT_DROPPED] = "dropped",
};

int pg_port_sort_from_str(const char *text, enum pg_port_sort *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(sort_names); i++) {
		if (!strcmp(text, sort_names[i])) {
			*ret = (enum pg_port_sort)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int proto_from_str(const char *text, enum pg_port_proto *ret)
{
	for (enum pg_port_proto p = 0; p < _PG_PORT_PROTO_MAX; p++) {
		if (!strcmp(text, pg_port_proto_name(p))) {
			*ret = p;
			return 0;
		}
	}
	return -EINVAL;
}

int pg_port_filter_from_str(const char *text, struct pg_port_filter *ret)
{
	struct pg_port_filter f = { .any_proto = true, .lo = 0, .hi = UINT16_MAX };
	char buf[32];
	char *slash, *dash;

	if (!proto_from_str(text, &f.proto)) {
		f.any_proto = false;
		*ret = f;
		return 0;
	}
	if (strlen(text) >= sizeof(buf))
		return -EINVAL;
	snprintf(buf, sizeof(buf), "%s", text);

	slash = strchr(buf, '/');
	if (slash) {
		*slash = '\0';
		if (proto_from_str(slash + 1, &f.proto) < 0)
			return -EINVAL;
		f.any_proto = false;
	}
	dash = strpbrk(buf, "-:");
	if (dash)
		*dash = '\0';
	if (pg_parse_u16(buf, 0, UINT16_MAX, &f.lo) < 0 ||
	    pg_parse_u16(dash ? dash + 1 : buf, f.lo, UINT16_MAX, &f.hi) < 0)
		return -EINVAL;
	*ret = f;
	return 0;
}

bool pg_ports_wanted(const struct pg_ports_opts *opts, const struct pg_port_row *row)
{
	for (size_t i = 0; i < opts->n_filter; i++) {
		const struct pg_port_filter *f = &opts->filter[i];

		if ((f->any_proto || f->proto == row->proto) && row->port >= f->lo &&
		    row->port <= f->hi)
			return true;
	}
	return !opts->n_filter;
}

static uint64_t sort_key(const struct pg_port_row *row, enum pg_port_sort sort)
{
	switch (sort) {
	case PG_SORT_PACKETS:
		return row->in.packets + row->out.packets;
	case PG_SORT_BYTES:
		return row->in.bytes + row->out.bytes;
	case PG_SORT_DROPPED:
		return row->in_dropped + row->out_dropped;
	default:
		return 0;
	}
}

static int compare_rows(const void *a, const void *b, void *sort)
{
	const struct pg_port_row *x = *(const struct pg_port_row *const *)a;
	const struct pg_port_row *y = *(const struct pg_port_row *const *)b;
	uint64_t kx = sort_key(x, *(enum pg_port_sort *)sort);
	uint64_t ky = sort_key(y, *(enum pg_port_sort *)sort);

	if (kx != ky)
		return kx > ky ? -1 : 1;
	if (x->proto != y->proto)
		return x->proto < y->proto ? -1 : 1;
	return (x->port > y->port) - (x->port < y->port);
}

void pg_ports_sort(const struct pg_port_row **row, size_t n, enum pg_port_sort sort)
{
	qsort_r(row, n, sizeof(const struct pg_port_row *), compare_rows, &sort);
}

/* "FIN:2 SYN:4 ACK:31"; empty where there were none. */
static void flags_text(const struct pg_flags *flags, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (int f = 0; f < _PG_FLAG_MAX && n < size; f++) {
		char name[8];

		if (!flags->count[f])
			continue;
		snprintf(name, sizeof(name), "%s", pg_flag_name((enum pg_tcp_flag)f));
		for (char *p = name; *p; p++)
			*p = (char)(*p - 'a' + 'A');
		n += (size_t)snprintf(buf + n, size - n, "%s%s:%" PRIu64, n ? " " : "", name,
				      (uint64_t)flags->count[f]);
	}
}

/* "nginx[812] 0.0.0.0" */
static void listener_text(const struct pg_port_row *row, char *buf, size_t size)
{
	const struct pg_listener *l = &row->listener;
	char comm[4 * sizeof(l->comm)];

	buf[0] = '\0';
	if (!row->has_listener)
		return;
	if (l->pid)
		snprintf(buf, size, "%s[%u] %s", pg_printable(l->comm, comm, sizeof(comm)), l->pid,
			 l->address);
	else
		snprintf(buf, size, "? %s", l->address); /* not ours to look into */
}

static void add_row(struct pg_table *table, const struct pg_port_row *row, bool narrow)
{
	char flags[256], listener[160];

	flags_text(&row->flags, flags, sizeof(flags));
	listener_text(row, listener, sizeof(listener));

	pg_table_cell(table, "%u/%s", row->port, pg_port_proto_name(row->proto));
	pg_table_cell(table, "%s", row->service[0] ? row->service : "-");
	pg_table_cell(table, "%s", pg_service_range(row->port));
	pg_table_number(table, row->in.packets);
	pg_table_number(table, row->in.bytes);
	pg_table_number(table, row->in_dropped + row->out_dropped);
	pg_table_number(table, row->out.packets);
	pg_table_number(table, row->out.bytes);
	if (narrow) {
		char note[448];

		snprintf(note, sizeof(note), "%s%s%s", flags, flags[0] && listener[0] ? "  " : "",
			 listener);
		pg_table_note(table, note);
	} else {
		pg_table_cell(table, "%s", flags[0] ? flags : "-");
		pg_table_cell(table, "%s", listener[0] ? listener : "-");
	}
}

static struct pg_table *fill(const struct pg_port_row *const *row, size_t n, bool narrow)
{
	struct pg_table *table = pg_table_new(columns, narrow ? NARROW : ARRAY_SIZE(columns));

	for (size_t i = 0; i < n; i++)
		add_row(table, row[i], narrow);
	return table;
}

void pg_view_ports(struct pg_text *t, const struct pg_snapshot *snap, unsigned width,
		   const struct pg_ports_opts *opts)
{
	_cleanup_(pg_table_freep) struct pg_table *table = NULL;
	_free_ const struct pg_port_row **row = calloc(snap->n_port + 1, sizeof(*row));
	size_t n = 0;

	if (!row) {
		t->oom = true;
		return;
	}
	for (size_t i = 0; i < snap->n_port; i++)
		if (pg_ports_wanted(opts, &snap->port[i]))
			row[n++] = &snap->port[i];
	pg_ports_sort(row, n, opts->sort);
	if (opts->limit && n > opts->limit)
		n = opts->limit;

	table = fill(row, n, false);
	if (width && pg_table_width(table) > width) {
		pg_table_free(table);
		table = fill(row, n, true);
	}
	pg_table_print(t, table, width);
}
