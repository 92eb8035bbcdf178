/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>

#include "listening.h"
#include "view_table.h"

/* "open", or of the families where they differ: "open/closed". */
static void policy_text(const struct pg_listening_row *row, char *buf, size_t size)
{
	const enum pg_reach *reach;

	snprintf(buf, size, "-");
	if (!row->mark)
		return;
	reach = row->mark->reach;
	if (row->socket && row->socket->loopback)
		snprintf(buf, size, "local");
	else if (reach[0] && reach[1] && reach[0] != reach[1])
		snprintf(buf, size, "%s/%s", pg_reach_name(reach[0]), pg_reach_name(reach[1]));
	else if (reach[0] || reach[1])
		snprintf(buf, size, "%s", pg_reach_name(reach[0] ? reach[0] : reach[1]));
}

static void note_text(const struct pg_listening_row *row, char *buf, size_t size)
{
	const struct pg_port_mark *m = row->mark;

	buf[0] = '\0';
	if (row->socket && row->socket->netns) {
		snprintf(buf, size, "in %s", row->socket->where);
		return;
	}
	if (!m)
		return;
	if (m->mark == PG_MARK_CLOSED && !row->socket->loopback)
		snprintf(buf, size, "CLOSED: listens, but the policy lets nobody in");
	else if (m->mark == PG_MARK_UNUSED)
		snprintf(buf, size, "UNUSED: a rule opens it, but nobody listens");
	else if (m->mark == PG_MARK_PUBLISHED)
		snprintf(buf, size, "PUBLISHED%s%s", m->to[0] ? ": sent to " : "", m->to);
}

static void add_row(struct pg_table *table, const struct pg_listening *l,
		    const struct pg_listening_row *row)
{
	const struct pg_socket_row *s = row->socket;
	enum pg_port_proto proto = s ? s->proto : row->mark->proto;
	uint16_t port = s ? s->port : row->mark->port;
	const char *service = pg_service_name(l->services, proto, port);
	char text[200], comm[64];

	pg_table_cell(table, "%u/%s", port, pg_port_proto_name(proto));
	pg_table_cell(table, "%s", service[0] ? service : "-");
	pg_table_cell(table, "%s", s ? s->who.address : "-");
	if (!s || !s->who.pid)
		pg_table_cell(table, s ? "?" : "-");
	else if (s->processes > 1)
		pg_table_cell(table, "%s[%u]+%u",
			      pg_printable(s->who.comm, comm, sizeof(comm)), s->who.pid,
			      s->processes - 1);
	else
		pg_table_cell(table, "%s[%u]", pg_printable(s->who.comm, comm, sizeof(comm)),
			      s->who.pid);
	policy_text(row, text, sizeof(text));
	pg_table_cell(table, "%s", text);
	note_text(row, text, sizeof(text));
	pg_table_cell(table, "%s", text);
}

void pg_view_listening(struct pg_text *t, const struct pg_listening *l, unsigned family,
		       const struct pg_ports_opts *opts, unsigned width)
{
	static const struct pg_column columns[] = {
		{ "PORT", false, false },    { "SERVICE", false, false }, { "ADDRESS", false, false },
		{ "PROCESS", false, false }, { "POLICY", false, false },  { "NOTE", false, true },
	};
	_cleanup_(pg_table_freep) struct pg_table *table = pg_table_new(columns, ARRAY_SIZE(columns));
	struct pg_listening_row row;

	for (size_t at = 0; pg_listening_next(l, family, opts, &at, &row);)
		add_row(table, l, &row);
	pg_table_print(t, table, width);
}
