/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "view_flows.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>

#include "names.h"
#include "print.h"
#include "view_table.h"

#define NSEC_PER_SEC 1000000000ULL

/* `>` is what the end that opened the flow has sent, `<` what came back. */
static const struct pg_column wide[] = {
	{ "PROTO", false, false },  { "STATE", false, false },	 { "SOURCE", false, false },
	{ "DESTINATION", false, false },
	{ "PKTS>", true, false },   { "BYTES>", true, false },	 { "PKTS<", true, false },
	{ "BYTES<", true, false },  { "RETR", true, false },	 { "RTT", true, false },
	{ "AGE", true, false },	    { "IDLE", true, false },	 { "EXPIRES", true, false },
	{ "IFACE", false, false },  { "ENDS", false, false },
};
static const struct pg_column narrow[] = {
	{ "PROTO", false, false },  { "STATE", false, false },	      { "SOURCE", false, false },
	{ "DESTINATION", false, false }, { "EXPIRES", true, false },
};

static bool is_icmp(const struct pg_flow_row *row)
{
	return row->proto == IPPROTO_ICMP || row->proto == IPPROTO_ICMPV6;
}

void pg_flow_end_text(const struct pg_flow_row *row, int end, char *buf, size_t size)
{
	bool v4 = row->family == PG_FAMILY_V4, ports = !is_icmp(row) && pg_flow_has_ports(row);
	char addr[INET6_ADDRSTRLEN];

	inet_ntop(v4 ? AF_INET : AF_INET6, row->addr[end], addr, sizeof(addr));
	if (ports)
		snprintf(buf, size, v4 ? "%s:%u" : "[%s]:%u", addr, row->port[end]);
	else
		snprintf(buf, size, "%s", addr);
}

const char *pg_flow_proto_text(const struct pg_flow_row *row, char *buf, size_t size)
{
	const char *name = pg_proto_name(row->proto);

	if (name)
		return name;
	snprintf(buf, size, "%u", row->proto);
	return buf;
}

void pg_flow_age_text(uint64_t ns, char *buf, size_t size)
{
	uint64_t s = ns / NSEC_PER_SEC;

	if (s < 60)
		snprintf(buf, size, "%" PRIu64 "s", s);
	else if (s < 3600)
		snprintf(buf, size, "%" PRIu64 "m%02us", s / 60, (unsigned)(s % 60));
	else if (s < 86400)
		snprintf(buf, size, "%" PRIu64 "h%02um", s / 3600, (unsigned)(s / 60 % 60));
	else
		snprintf(buf, size, "%" PRIu64 "d%02uh", s / 86400, (unsigned)(s / 3600 % 24));
}

void pg_flow_rtt_text(const struct pg_flow_row *row, char *buf, size_t size)
{
	uint32_t us = pg_flow_rtt_us(row);

	if (!us)
		snprintf(buf, size, "-");
	else if (us < 10000)
		snprintf(buf, size, "%u.%03ums", us / 1000, us % 1000);
	else
		snprintf(buf, size, "%ums", us / 1000);
}

static void cell_age(struct pg_table *table, uint64_t ns)
{
	char buf[32];

	pg_flow_age_text(ns, buf, sizeof(buf));
	pg_table_cell(table, "%s", buf);
}

void pg_flow_ends_text(const struct pg_flow_row *row, char *buf, size_t size)
{
	const char *src = pg_end_state_name((enum pg_end_state)row->end_state[0]);
	const char *dst = pg_end_state_name((enum pg_end_state)row->end_state[1]);

	if (is_icmp(row))
		snprintf(buf, size, "type %u code %u id %u", row->port[0], row->port[1],
			 row->query_id);
	else if (row->state == PG_TCP_NONE)
		snprintf(buf, size, "-");
	else if (row->end_state[0] == row->end_state[1])
		snprintf(buf, size, "%s", src);
	else
		snprintf(buf, size, "%s/%s", src, dst);
}

static void add_ends(struct pg_table *table, const struct pg_flow_row *row)
{
	char number[8], end[64];

	pg_table_cell(table, "%s", pg_flow_proto_text(row, number, sizeof(number)));
	pg_table_cell(table, "%s", pg_flow_word_name(pg_flow_word(row)));
	for (int i = 0; i < 2; i++) {
		pg_flow_end_text(row, i, end, sizeof(end));
		pg_table_cell(table, "%s", end);
	}
}

void pg_flow_iface_text(const struct pg_flow_row *row, char *buf, size_t size)
{
	char name[4 * IFNAMSIZ];

	pg_printable(row->iface[0] ? row->iface : "-", name, sizeof(name));
	if (row->vlan >= 0)
		snprintf(buf, size, "%s.%d", name, row->vlan);
	else
		snprintf(buf, size, "%s", name);
}

static void add_wide(struct pg_table *table, const struct pg_flow_row *row)
{
	char text[80];

	add_ends(table, row);
	for (int i = 0; i < 2; i++) {
		pg_table_number(table, row->count[i].packets);
		pg_table_number(table, row->count[i].bytes);
	}
	if (row->state == PG_TCP_NONE)
		pg_table_cell(table, "-");
	else
		pg_table_cell(table, "%u/%u", row->retransmits[0], row->retransmits[1]);
	pg_flow_rtt_text(row, text, sizeof(text));
	pg_table_cell(table, "%s", text);
	cell_age(table, row->age_ns);
	cell_age(table, row->idle_ns);
	cell_age(table, row->expires_ns);
	pg_flow_iface_text(row, text, sizeof(text));
	pg_table_cell(table, "%s", text);
	pg_flow_ends_text(row, text, sizeof(text));
	pg_table_cell(table, "%s", text);
}

/* What the line has no room for; each end's state where it is not the pair's word. */
static void add_narrow(struct pg_table *table, const struct pg_flow_row *row)
{
	_cleanup_(pg_text_free) struct pg_text note = { 0 };
	char text[80];

	add_ends(table, row);
	cell_age(table, row->expires_ns);
	pg_text_add(&note, "> %" PRIu64 " pkts %" PRIu64 " bytes, < %" PRIu64 " pkts %" PRIu64 " bytes",
		    (uint64_t)row->count[0].packets, (uint64_t)row->count[0].bytes,
		    (uint64_t)row->count[1].packets, (uint64_t)row->count[1].bytes);
	pg_flow_age_text(row->age_ns, text, sizeof(text));
	pg_text_add(&note, ", age %s", text);
	pg_flow_age_text(row->idle_ns, text, sizeof(text));
	pg_text_add(&note, ", idle %s", text);
	if (pg_flow_rtt_us(row)) {
		pg_flow_rtt_text(row, text, sizeof(text));
		pg_text_add(&note, ", rtt %s", text);
	}
	if (row->retransmits[0] || row->retransmits[1])
		pg_text_add(&note, ", retransmits %u/%u", row->retransmits[0], row->retransmits[1]);
	pg_flow_iface_text(row, text, sizeof(text));
	if (text[0] != '-')
		pg_text_add(&note, ", %s", text);
	pg_flow_ends_text(row, text, sizeof(text));
	if (text[0] != '-' && strcmp(text, pg_flow_word_name(pg_flow_word(row))))
		pg_text_add(&note, ", %s", text);
	if (note.oom)
		pg_table_note(table, "out of memory");
	else
		pg_table_note(table, note.buf);
}

static struct pg_table *fill(const struct pg_flow_list *list, bool in_one_line)
{
	struct pg_table *table = in_one_line ? pg_table_new(wide, ARRAY_SIZE(wide)) :
					       pg_table_new(narrow, ARRAY_SIZE(narrow));

	for (size_t i = 0; i < list->n; i++) {
		if (in_one_line)
			add_wide(table, &list->row[i]);
		else
			add_narrow(table, &list->row[i]);
	}
	return table;
}

void pg_view_flows(struct pg_text *t, const struct pg_flow_list *list, unsigned width)
{
	_cleanup_(pg_table_freep) struct pg_table *table = fill(list, true);

	if (width && pg_table_width(table) > width) {
		pg_table_free(table);
		table = fill(list, false);
	}
	pg_table_print(t, table, width);
	if (list->n < list->wanted)
		pg_text_add(t, "%zu of %zu flows\n", list->n, list->wanted);
	else
		pg_text_add(t, "%zu flow%s\n", list->n, list->n == 1 ? "" : "s");
}
