/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "flow_read.h"
#include "listener.h"
#include "policy.h"
#include "service.h"
#include "snapshot.h"

/* All counters of all ports, as they come from the maps: 5 MB, so not on the stack. */
struct port_counters {
	struct pg_count count[_PG_DIR_MAX][_PG_PORT_PROTO_MAX][PG_PORTS];
	__u64 drops[_PG_PORT_PROTO_MAX][PG_PORTS];
	struct pg_flags flags[PG_PORTS];
};

static int no_memory(struct pg_err *err)
{
	return pg_fail(err, -ENOMEM, "out of memory");
}

static void add(struct pg_count *to, const struct pg_count *count)
{
	to->packets += count->packets;
	to->bytes += count->bytes;
}

static void read_counters(struct pg_dp *dp, struct port_counters *ret)
{
	for (enum pg_port_proto p = 0; p < _PG_PORT_PROTO_MAX; p++) {
		for (enum pg_dir d = 0; d < _PG_DIR_MAX; d++)
			pg_dp_ports_read(dp, d, p, ret->count[d][p]);
		pg_dp_drops_read(dp, p, ret->drops[p]);
	}
	pg_dp_flags_read(dp, ret->flags);
}

static bool has_traffic(const struct port_counters *c, enum pg_port_proto p, unsigned port)
{
	return c->count[PG_DIR_IN][p][port].packets || c->count[PG_DIR_OUT][p][port].packets ||
	       c->drops[p][port];
}

static void fill_row(struct pg_port_row *row, const struct port_counters *c, enum pg_port_proto p,
		     unsigned port)
{
	row->proto = p;
	row->port = (uint16_t)port;
	row->in = c->count[PG_DIR_IN][p][port];
	row->out = c->count[PG_DIR_OUT][p][port];
	row->in_dropped = c->drops[p][port];
	if (p == PG_PORT_TCP)
		row->flags = c->flags[port];
}

/* Rows for what has traffic or a listener; both sources are in the order of the rows. */
static int merge_ports(struct pg_snapshot *snap, const struct port_counters *c,
		       const struct pg_listeners *listeners)
{
	size_t n = listeners->n, l = 0;

	for (enum pg_port_proto p = 0; p < _PG_PORT_PROTO_MAX; p++)
		for (unsigned port = 0; port < PG_PORTS; port++)
			n += has_traffic(c, p, port);
	snap->port = calloc(n ? n : 1, sizeof(*snap->port));
	if (!snap->port)
		return -ENOMEM;

	for (enum pg_port_proto p = 0; p < _PG_PORT_PROTO_MAX; p++) {
		for (unsigned port = 0; port < PG_PORTS; port++) {
			const struct pg_listener_row *who = NULL;

			if (l < listeners->n && listeners->row[l].proto == p &&
			    listeners->row[l].port == port)
				who = &listeners->row[l++];
			if (!who && !has_traffic(c, p, port))
				continue;
			fill_row(&snap->port[snap->n_port], c, p, port);
			if (who) {
				snap->port[snap->n_port].has_listener = true;
				snap->port[snap->n_port].listener = who->who;
			}
			snap->n_port++;
		}
	}
	return 0;
}

static int name_services(struct pg_snapshot *snap)
{
	_cleanup_(pg_services_freep) struct pg_services *services = pg_services_read();

	if (!services)
		return -ENOMEM;
	for (size_t i = 0; i < snap->n_port; i++) {
		struct pg_port_row *row = &snap->port[i];

		snprintf(row->service, sizeof(row->service), "%s",
			 pg_service_name(services, row->proto, row->port));
	}
	return 0;
}

static int read_ports(struct pg_dp *dp, unsigned what, struct pg_snapshot *snap,
		      struct pg_err *err)
{
	_free_ struct port_counters *counters = calloc(1, sizeof(*counters));
	struct pg_listeners listeners = { 0 };
	struct pg_err why = { 0 };
	int r;

	if (!counters)
		return no_memory(err);
	read_counters(dp, counters);
	/* Counters are worth showing without them, on a kernel that has no sock_diag. */
	if ((what & PG_SNAP_LISTENERS) && pg_listeners_read(&listeners, &why) < 0)
		snprintf(snap->listener_error, sizeof(snap->listener_error), "%.*s",
			 (int)sizeof(snap->listener_error) - 1, why.text);
	r = merge_ports(snap, counters, &listeners);
	pg_listeners_clear(&listeners);
	if (!r)
		r = name_services(snap);
	return r < 0 ? no_memory(err) : 0;
}

static void sum_totals(const struct pg_totals *totals, size_t slot, struct pg_snapshot *snap)
{
	for (int d = 0; d < _PG_DIR_MAX; d++) {
		for (int v = 0; v < _PG_VERDICT_MAX; v++) {
			for (int r = 0; r < _PG_REASON_MAX; r++) {
				const struct pg_count *count = &totals->count[slot][d][v][r];

				/* What is rejected is dropped, too. */
				add(&snap->verdict[d][v == PG_VERDICT_ACCEPT ? v : PG_VERDICT_DROP],
				    count);
				add(&snap->reason[r], count);
				if (v != PG_VERDICT_ACCEPT)
					add(&snap->dropped[r], count);
			}
		}
	}
}

static void fill_iface(struct pg_iface_row *row, const struct pg_dp_iface *iface,
		       const struct pg_totals *totals, size_t slot)
{
	row->iface = *iface;
	for (int d = 0; d < _PG_DIR_MAX; d++) {
		for (int r = 0; r < _PG_REASON_MAX; r++) {
			for (int v = 0; v < _PG_VERDICT_MAX; v++) {
				const struct pg_count *count = &totals->count[slot][d][v][r];

				add(&row->count[d], count);
				row->dropped[d] += v == PG_VERDICT_ACCEPT ? 0 : count->packets;
			}
		}
	}
}

static int read_ifaces(struct pg_dp *dp, struct pg_snapshot *snap, struct pg_err *err)
{
	_free_ struct pg_totals *totals = calloc(1, sizeof(*totals));
	_free_ struct pg_dp_iface *iface = calloc(PG_MAX_IFACES, sizeof(*iface));
	int r;

	snap->iface = calloc(PG_MAX_IFACES, sizeof(*snap->iface));
	if (!totals || !iface || !snap->iface)
		return no_memory(err);

	r = pg_dp_ifaces(dp, iface, err);
	if (r < 0)
		return r;
	pg_dp_totals_read(dp, totals);
	for (size_t slot = 0; slot < PG_MAX_IFACES; slot++) {
		/* What detached ones have counted stays in the sums. */
		sum_totals(totals, slot, snap);
		if (iface[slot].abi.netns)
			fill_iface(&snap->iface[snap->n_iface++], &iface[slot], totals, slot);
	}
	return 0;
}

static int read_flows(struct pg_dp *dp, unsigned what, const struct pg_flow_query *query,
		      struct pg_snapshot *snap, struct pg_err *err)
{
	static const struct pg_flow_query every_flow;
	int r = 0;

	pg_dp_flow_info(dp, &snap->flow);
	snap->flow_options = pg_dp_flow_options(dp);
	if (what & PG_SNAP_FLOWS)
		r = pg_flows_read(dp, query ? query : &every_flow, &snap->flows, err);
	if (!r && what & PG_SNAP_STATES)
		r = pg_states_read(dp, &snap->flow, &snap->states, err);
	else if (!r && what & PG_SNAP_STATES_TOTAL)
		pg_states_read_total(dp, &snap->flow, &snap->states);
	return r;
}

static int read_instance(struct pg_dp *dp, unsigned what, const struct pg_flow_query *query,
			 struct pg_snapshot *snap, struct pg_err *err)
{
	int r = read_ifaces(dp, snap, err);

	if (r < 0)
		return r;
	if (what & PG_SNAP_PORTS) {
		r = read_ports(dp, what, snap, err);
		if (r < 0)
			return r;
	}
	r = read_flows(dp, what, query, snap, err);
	if (r < 0)
		return r;
	pg_dp_policy_info(dp, &snap->policy);
	snap->memory_bytes = pg_dp_memory(dp);
	snap->events_lost = pg_dp_events_lost(dp);
	return 0;
}

int pg_snapshot_read(struct pg_dp *dp, const char *state_dir, unsigned what,
		     const struct pg_flow_query *query, struct pg_snapshot **ret_snap,
		     struct pg_err *err)
{
	_cleanup_(pg_snapshot_freep) struct pg_snapshot *snap = calloc(1, sizeof(*snap));
	struct utsname uts;
	int r;

	if (!snap)
		return no_memory(err);
	snprintf(snap->state_dir, sizeof(snap->state_dir), "%s", state_dir ? state_dir : "");
	if (!uname(&uts))
		snprintf(snap->kernel, sizeof(snap->kernel), "%s", uts.release);

	r = pg_policy_read(dp, &snap->rules, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < snap->rules->n_chains; i++)
		snap->n_rules += snap->rules->chain[i].n_rules;

	snap->exists = dp;
	if (dp) {
		r = read_instance(dp, what, query, snap, err);
		if (r < 0)
			return r;
	}
	*ret_snap = TAKE_PTR(snap);
	return 0;
}

void pg_snapshot_free(struct pg_snapshot *snap)
{
	if (!snap)
		return;
	free(snap->iface);
	free(snap->port);
	pg_flow_list_clear(&snap->flows);
	pg_states_clear(&snap->states);
	pg_ruleset_free(snap->rules);
	free(snap);
}
