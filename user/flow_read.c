/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "flow_read.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "names.h"

static uint64_t since(uint64_t later_ns, uint64_t ns)
{
	return later_ns > ns ? later_ns - ns : 0;
}

/* A query's ports are its identifier, and its type and code. */
static void fill_query(struct pg_flow_row *row, const struct pg_dp_flow *flow)
{
	row->query_id = flow->key.port[0];
	row->port[0] = flow->key.port[1] >> 8;
	row->port[1] = flow->key.port[1] & 0xff;
}

static void fill_iface(struct pg_flow_row *row, const struct pg_dp_flow *flow,
		       const struct pg_dp_iface *iface)
{
	const struct pg_iface *seen = flow->iface < PG_MAX_IFACES ? &iface[flow->iface].abi : NULL;

	if (!seen || !seen->netns)
		return;
	memcpy(row->iface, seen->name, sizeof(row->iface));
	row->iface[sizeof(row->iface) - 1] = '\0';
	row->here = iface[flow->iface].here;
	row->netns = (uint32_t)seen->netns;
}

void pg_flow_row_fill(struct pg_flow_row *row, const struct pg_dp_flow *flow,
		      const struct pg_dp_iface *iface, uint64_t now_ns)
{
	*row = (struct pg_flow_row){
		.key = flow->key,
		.family = flow->family,
		.proto = flow->key.proto,
		.state = flow->tcp_state,
		.sctp_state = flow->sctp_state,
		.replied = flow->seen_reply,
		.assured = flow->assured,
		.half_open = flow->half_open,
		.picked_up = flow->picked_up,
		.rtt_us = { flow->rtt_us[0], flow->rtt_us[1] },
		.age_ns = since(now_ns, flow->first_ns),
		.idle_ns = since(now_ns, flow->last_ns),
		.expires_ns = since(flow->expires_ns, now_ns),
		.vlan = flow->vlan < 0 ? -1 : flow->vlan,
		.place = flow->place,
		.id = flow->id,
	};
	for (int i = 0; i < 2; i++) {
		const struct pg_dp_flow_end *end = &flow->end[i];

		memcpy(row->addr[i], end->addr, sizeof(row->addr[i]));
		row->port[i] = end->port;
		row->end_state[i] = end->state;
		row->flags[i] = end->flags;
		row->count[i] = end->sent;
		row->retransmits[i] = end->retransmits;
		row->out_of_order[i] = end->out_of_order;
		row->zero_windows[i] = end->zero_windows;
	}
	if (row->proto == IPPROTO_ICMP || row->proto == IPPROTO_ICMPV6)
		fill_query(row, flow);
	fill_iface(row, flow, iface);
}

struct walk {
	const struct pg_flow_query *query;
	struct pg_dp_iface *iface;
	uint64_t now_ns;
	pg_flow_row_fn *fn;
	void *arg;
	pg_flow_glance_fn *glance;
	struct pg_flow_row *row; /* of a glance */
};

static int take_flow(void *arg, const struct pg_dp_flow *flow)
{
	struct walk *walk = arg;
	struct pg_flow_row row;

	if (flow->killed) /* its place is kept, but it is no connection any more */
		return 0;
	pg_flow_row_fill(&row, flow, walk->iface, walk->now_ns);
	return pg_flow_wanted(walk->query, &row) ? walk->fn(walk->arg, &row) : 0;
}

static int begin_walk(struct walk *walk, struct pg_dp *dp, struct pg_err *err)
{
	walk->iface = calloc(PG_MAX_IFACES, sizeof(*walk->iface));
	if (!walk->iface)
		return pg_fail(err, -ENOMEM, "out of memory");
	walk->now_ns = pg_clock_ns(CLOCK_MONOTONIC);
	return pg_dp_ifaces(dp, walk->iface, err);
}

int pg_flows_each(struct pg_dp *dp, const struct pg_flow_query *query, pg_flow_row_fn *fn, void *arg,
		  struct pg_err *err)
{
	struct walk walk = { .query = query, .fn = fn, .arg = arg };
	int r = begin_walk(&walk, dp, err);

	if (!r)
		r = pg_dp_flows_walk(dp, take_flow, &walk);
	free(walk.iface);
	return r;
}

/* The row is one and the same: what is not written here is 0. */
static int glance(void *arg, const struct pg_dp_flow *flow)
{
	struct walk *walk = arg;
	struct pg_flow_row *row = walk->row;

	if (flow->killed)
		return 0;
	row->key = flow->key;
	row->family = flow->family;
	row->proto = flow->key.proto;
	row->state = flow->tcp_state;
	row->sctp_state = flow->sctp_state;
	row->replied = flow->seen_reply;
	row->assured = flow->assured;
	row->half_open = flow->half_open;
	row->age_ns = since(walk->now_ns, flow->first_ns);
	row->here = false;
	row->iface[0] = '\0';
	row->netns = 0;
	fill_iface(row, flow, walk->iface);
	row->place = flow->place;
	row->id = flow->id;
	for (int i = 0; i < 2; i++) {
		memcpy(row->addr[i], flow->end[i].addr, sizeof(row->addr[i]));
		row->port[i] = flow->end[i].port;
		row->end_state[i] = flow->end[i].state;
		row->count[i] = flow->end[i].sent;
	}
	return walk->glance(walk->arg, row);
}

int pg_flows_glance(struct pg_dp *dp, uint32_t from, uint32_t n, pg_flow_glance_fn *fn, void *arg,
		    struct pg_err *err)
{
	struct pg_flow_row row = { 0 };
	struct walk walk = { .glance = fn, .arg = arg, .row = &row };
	int r = begin_walk(&walk, dp, err);

	if (!r)
		r = pg_dp_flows_glance(dp, from, n, glance, &walk);
	free(walk.iface);
	return r;
}

int pg_flows_again(struct pg_dp *dp, struct pg_flow_row *row, size_t n, bool *ret_gone,
		   struct pg_err *err)
{
	struct walk walk = { 0 };
	int r = begin_walk(&walk, dp, err);

	for (size_t i = 0; !r && i < n; i++) {
		struct pg_dp_flow flow;

		ret_gone[i] = !pg_dp_flow_get(dp, &row[i].key, &flow) || flow.killed ||
			      flow.expires_ns <= walk.now_ns;
		if (!ret_gone[i])
			pg_flow_row_fill(&row[i], &flow, walk.iface, walk.now_ns);
	}
	free(walk.iface);
	return r;
}

struct collection {
	struct pg_flow_list *list;
	const struct pg_flow_query *query;
};

static int add_row(void *arg, const struct pg_flow_row *row)
{
	struct collection *to = arg;

	return pg_flow_list_add(to->list, to->query, row);
}

int pg_flows_read(struct pg_dp *dp, const struct pg_flow_query *query, struct pg_flow_list *ret,
		  struct pg_err *err)
{
	struct collection to = { .list = ret, .query = query };
	int r = pg_flows_each(dp, query, add_row, &to, err);

	if (r == -ENOMEM)
		return pg_fail(err, r, "out of memory");
	if (!r)
		pg_flow_list_sort(ret, query);
	return r;
}

/* States --------------------------------------------------------------------------------------- */

static void fill_matrix(struct pg_state_matrix *ret, const struct pg_port_states *counts)
{
	enum pg_end_state from, to;

	for (unsigned t = 0; pg_transition(t, &from, &to); t++)
		ret->count[from][to] += counts->count[t];
}

static void add_matrix(struct pg_state_matrix *to, const struct pg_state_matrix *m)
{
	for (unsigned from = 0; from < _PG_END_MAX; from++)
		for (unsigned end = 0; end < _PG_END_MAX; end++)
			to->count[from][end] += m->count[from][end];
}

static bool has_counts(const struct pg_port_states *counts)
{
	uint64_t any = 0;

	for (unsigned t = 0; t < _PG_TRANSITION_MAX; t++)
		any |= counts->count[t];
	return any;
}

static struct pg_state_port *new_port(struct pg_states *states, size_t *cap)
{
	if (states->n_ports == *cap) {
		size_t more = *cap ? 2 * *cap : 64;
		struct pg_state_port *port = reallocarray(states->port, more, sizeof(*port));

		if (!port)
			return NULL;
		states->port = port;
		*cap = more;
	}
	states->port[states->n_ports] = (struct pg_state_port){ 0 };
	return &states->port[states->n_ports++];
}

void pg_states_read_total(struct pg_dp *dp, const struct pg_dp_flow_info *info,
			  struct pg_states *ret)
{
	struct pg_port_states total = { 0 };

	for (unsigned i = 0; i < _PG_ODD_MAX; i++)
		ret->odd[i] = info->stats.odd_flags[i];
	pg_dp_states_read(dp, &total);
	fill_matrix(&ret->total, &total);
}

/* The total is that of the ports as they are read: one pass over their memory. */
int pg_states_read(struct pg_dp *dp, const struct pg_dp_flow_info *info, struct pg_states *ret,
		   struct pg_err *err)
{
	const struct pg_port_states *port = pg_dp_port_states(dp);
	size_t cap = 0;

	for (unsigned i = 0; i < _PG_ODD_MAX; i++)
		ret->odd[i] = info->stats.odd_flags[i];
	for (unsigned i = 0; i < PG_PORTS; i++) {
		struct pg_state_port *row;

		if (!has_counts(&port[i]))
			continue;
		row = new_port(ret, &cap);
		if (!row)
			return pg_fail(err, -ENOMEM, "out of memory");
		row->port = (uint16_t)i;
		fill_matrix(&row->matrix, &port[i]);
		add_matrix(&ret->total, &row->matrix);
	}
	return 0;
}
