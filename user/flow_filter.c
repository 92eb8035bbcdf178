/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Filters of flows as they are typed, or stand in an address of `portguard serve`. */
#include <errno.h>
#include <string.h>

#include "addr.h"
#include "flows.h"

#define USAGE(err, ...) pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, __VA_ARGS__)

static int set_proto(struct pg_flow_query *query, const char *value, struct pg_err *err)
{
	if (pg_proto_parse(value, &query->proto) < 0)
		return USAGE(err, "unknown protocol \"%s\" specified", value);
	query->has_proto = query->proto != 0;
	return 0;
}

static int set_ports(struct pg_flow_ports *ports, const char *value, struct pg_err *err)
{
	if (pg_flow_ports_from_str(value, ports) < 0)
		return USAGE(err, "invalid port/service `%s' specified", value);
	return 0;
}

static int set_port(struct pg_flow_query *query, const char *value, struct pg_err *err)
{
	return set_ports(&query->port, value, err);
}

static int set_sport(struct pg_flow_query *query, const char *value, struct pg_err *err)
{
	return set_ports(&query->sport, value, err);
}

static int set_dport(struct pg_flow_query *query, const char *value, struct pg_err *err)
{
	return set_ports(&query->dport, value, err);
}

static int set_net(struct pg_addr *addr, const char *value, struct pg_err *err)
{
	struct pg_diag diag;
	int r = pg_addr_parse(value, PG_V46, NULL, addr, &diag);

	return r < 0 ? pg_diag_report(&diag, r, err) : 0;
}

static int set_src(struct pg_flow_query *query, const char *value, struct pg_err *err)
{
	return set_net(&query->src, value, err);
}

static int set_dst(struct pg_flow_query *query, const char *value, struct pg_err *err)
{
	return set_net(&query->dst, value, err);
}

static int set_addr(struct pg_flow_query *query, const char *value, struct pg_err *err)
{
	return set_net(&query->addr, value, err);
}

static int set_state(struct pg_flow_query *query, const char *value, struct pg_err *err)
{
	if (pg_flow_states_from_str(value, query) < 0)
		return USAGE(err, "Bad state \"%s\"", value);
	return 0;
}

static int set_iface(struct pg_flow_query *query, const char *value, struct pg_err *err)
{
	(void)err;
	query->iface = value;
	return 0;
}

static int set_top(struct pg_flow_query *query, const char *value, struct pg_err *err)
{
	uint32_t n;

	if (pg_parse_u32(value, 1, UINT32_MAX, &n) < 0)
		return USAGE(err, "--top takes a number from 1, not '%s'", value);
	query->top = n;
	return 0;
}

static int set_by(struct pg_flow_query *query, const char *value, struct pg_err *err)
{
	if (pg_flow_sort_from_str(value, &query->by) < 0)
		return USAGE(err, "--by takes bytes, packets, rtt, retransmits or age, not '%s'",
			     value);
	return 0;
}

int pg_flow_filter(struct pg_flow_query *query, const char *name, const char *value,
		   struct pg_err *err)
{
	static const struct {
		const char *name;
		int (*set)(struct pg_flow_query *query, const char *value, struct pg_err *err);
	} filters[] = {
		{ "proto", set_proto }, { "port", set_port },	{ "sport", set_sport },
		{ "dport", set_dport }, { "src", set_src },	{ "dst", set_dst },
		{ "addr", set_addr },	{ "state", set_state }, { "iface", set_iface },
		{ "top", set_top },	{ "by", set_by },
	};

	for (size_t i = 0; i < ARRAY_SIZE(filters); i++)
		if (!strcmp(name, filters[i].name))
			return filters[i].set(query, value, err);
	return -ENOENT;
}
