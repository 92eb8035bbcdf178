/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "flow_read.h"
#include "listener.h"
#include "policy.h"
#include "service.h"
#include "snapshot.h"

#define LISTENERS_NS 5000000000ULL /* finding whose sockets they are walks all of /proc */

static int no_memory(struct pg_err *err)
{
	return pg_fail(err, -ENOMEM, "out of memory");
}

static void add(struct pg_count *to, const struct pg_count *count)
{
	to->packets += count->packets;
	to->bytes += count->bytes;
}

/* Ports as they come, in the order of the rows, and the listeners that are still to be placed. */
struct rows {
	struct pg_snapshot *snap;
	const struct pg_services *services;
	const struct pg_listeners *listeners;
	size_t next, cap;
};

static int compare_port(const struct pg_listener_row *l, enum pg_port_proto proto, unsigned port)
{
	return l->proto != proto ? (int)l->proto - (int)proto : (int)l->port - (int)port;
}

static struct pg_port_row *new_row(struct rows *rows, enum pg_port_proto proto, uint16_t port)
{
	struct pg_snapshot *snap = rows->snap;
	struct pg_port_row *row;

	if (snap->n_port == rows->cap) {
		size_t cap = rows->cap ? 2 * rows->cap : 256;

		row = reallocarray(snap->port, cap, sizeof(*row));
		if (!row)
			return NULL;
		snap->port = row;
		rows->cap = cap;
	}
	row = &snap->port[snap->n_port++];
	*row = (struct pg_port_row){ .proto = proto, .port = port };
	strcpy(row->service, pg_service_name(rows->services, proto, port));
	return row;
}

static int add_listener(struct rows *rows)
{
	const struct pg_listener_row *l = &rows->listeners->row[rows->next++];
	struct pg_port_row *row = new_row(rows, l->proto, l->port);

	if (!row)
		return -ENOMEM;
	row->has_listener = true;
	row->listener = l->who;
	return 0;
}

/* Rows for what has traffic or a listener. */
static int add_port(void *arg, const struct pg_dp_port *port)
{
	struct rows *rows = arg;
	const struct pg_listeners *l = rows->listeners;
	struct pg_port_row *row;

	while (rows->next < l->n && compare_port(&l->row[rows->next], port->proto, port->port) < 0)
		if (add_listener(rows) < 0)
			return -ENOMEM;
	row = new_row(rows, port->proto, port->port);
	if (!row)
		return -ENOMEM;
	row->in = port->count[PG_DIR_IN];
	row->out = port->count[PG_DIR_OUT];
	row->in_dropped = port->dropped;
	row->out_dropped = port->out_dropped;
	row->flags = port->flags;
	if (rows->next < l->n && !compare_port(&l->row[rows->next], port->proto, port->port)) {
		row->has_listener = true;
		row->listener = l->row[rows->next++].who;
	}
	return 0;
}

static int merge_ports(struct pg_dp *dp, struct rows *rows)
{
	int r = pg_dp_ports_each(dp, add_port, rows);

	while (!r && rows->next < rows->listeners->n)
		r = add_listener(rows);
	return r;
}

/* Counters are worth showing without them, on a kernel that has no sock_diag. */
static void read_listeners(struct pg_snapshot_cache *cache)
{
	struct pg_err why = { 0 };
	uint64_t now = pg_clock_ns(CLOCK_MONOTONIC);

	if (cache->listeners_ns && now - cache->listeners_ns < LISTENERS_NS)
		return;
	cache->listeners_ns = now;
	cache->listener_error[0] = '\0';
	pg_listeners_clear(cache->listeners);
	if (pg_listeners_read(cache->listeners, &why) < 0)
		snprintf(cache->listener_error, sizeof(cache->listener_error), "%.*s",
			 (int)sizeof(cache->listener_error) - 1, why.text);
}

/* Before anything is counted: it takes its time, and counters are to be of one moment. */
static int read_names(struct pg_snapshot_cache *cache, unsigned what, struct pg_err *err)
{
	if (!(what & PG_SNAP_PORTS))
		return 0;
	if (!cache->services)
		cache->services = pg_services_read();
	if (!cache->listeners)
		cache->listeners = calloc(1, sizeof(*cache->listeners));
	if (!cache->services || !cache->listeners)
		return no_memory(err);
	if (what & PG_SNAP_LISTENERS)
		read_listeners(cache);
	return 0;
}

static int read_ports(struct pg_dp *dp, const struct pg_snapshot_cache *cache, unsigned what,
		      struct pg_snapshot *snap, struct pg_err *err)
{
	static const struct pg_listeners none;
	struct rows rows = { .snap = snap, .listeners = &none, .services = cache->services };

	if (what & PG_SNAP_LISTENERS) {
		rows.listeners = cache->listeners;
		memcpy(snap->listener_error, cache->listener_error, sizeof(snap->listener_error));
	}
	return merge_ports(dp, &rows) < 0 ? no_memory(err) : 0;
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

static int read_ifaces(struct pg_dp *dp, unsigned what, struct pg_snapshot *snap, struct pg_err *err)
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
		if (!iface[slot].abi.netns)
			continue;
		fill_iface(&snap->iface[snap->n_iface], &iface[slot], totals, slot);
		for (int d = 0; what & PG_SNAP_COST && d < _PG_DIR_MAX; d++)
			pg_dp_cost_read(dp, (__u32)slot, (enum pg_dir)d, &snap->iface[snap->n_iface].cost[d]);
		snap->n_iface++;
	}
	return 0;
}

static int read_flows(struct pg_dp *dp, unsigned what, const struct pg_flow_query *query,
		      struct pg_snapshot *snap, struct pg_err *err)
{
	static const struct pg_flow_query every_flow;
	int r = 0;

	snap->flow_options = pg_dp_flow_options(dp);
	if (what & PG_SNAP_FLOWS)
		r = pg_flows_read(dp, query ? query : &every_flow, &snap->flows, err);
	if (!r && what & PG_SNAP_STATES)
		r = pg_states_read(dp, &snap->flow, &snap->states, err);
	else if (!r && what & PG_SNAP_STATES_TOTAL)
		pg_states_read_total(dp, &snap->flow, &snap->states);
	snap->has_states = !r && what & PG_SNAP_STATES;
	return r;
}

/* Who may not look into the directory (serve) knows of it nevertheless. */
static void read_shadow(struct pg_dp *dp, struct pg_dp_policy_info *policy)
{
	enum pg_shadow_state state = pg_dp_shadow_state(dp, &policy->shadow_since);

	if (state != PG_SHADOW_NONE)
		policy->shadow = state;
}

static int read_instance(struct pg_dp *dp, struct pg_snapshot_cache *cache, unsigned what,
			 const struct pg_flow_query *query, struct pg_snapshot *snap,
			 struct pg_err *err)
{
	int r = read_ifaces(dp, what, snap, err);

	if (!r && what & PG_SNAP_PORTS)
		r = read_ports(dp, cache, what, snap, err);
	if (!r)
		r = read_flows(dp, what, query, snap, err);
	if (r < 0)
		return r;
	if (what & PG_SNAP_KERNEL) {
		snap->has = *pg_dp_kernel();
		read_shadow(dp, &snap->policy);
	}
	snap->knows_kernel = snap->has.loop; /* without it there were no instance */
	snap->memory_bytes = pg_dp_memory(dp);
	snap->events_lost = pg_dp_events_lost(dp);
	return 0;
}

static struct pg_snapshot *begin(const char *state_dir)
{
	struct pg_snapshot *snap = calloc(1, sizeof(*snap));
	struct utsname uts;

	if (!snap)
		return NULL;
	snap->time_ns = pg_clock_ns(CLOCK_MONOTONIC);
	snap->time_ms = pg_clock_ns(CLOCK_REALTIME) / 1000000;
	snprintf(snap->state_dir, sizeof(snap->state_dir), "%s", state_dir ? state_dir : "");
	if (!uname(&uts))
		snprintf(snap->kernel, sizeof(snap->kernel), "%s", uts.release);
	return snap;
}

static void count_rules(struct pg_snapshot *snap)
{
	for (size_t i = 0; i < snap->rules->n_chains; i++)
		snap->n_rules += snap->rules->chain[i].n_rules;
}

int pg_snapshot_read(struct pg_dp *dp, const char *state_dir, unsigned what,
		     const struct pg_flow_query *query, struct pg_snapshot **ret_snap,
		     struct pg_err *err)
{
	_cleanup_(pg_snapshot_cache_clear) struct pg_snapshot_cache cache = { 0 };
	_cleanup_(pg_snapshot_freep) struct pg_snapshot *snap = NULL;
	int r = dp ? read_names(&cache, what, err) : 0;

	if (r < 0)
		return r;
	snap = begin(state_dir);
	if (!snap)
		return no_memory(err);
	r = pg_policy_read(dp, &snap->rules, err);
	if (r < 0)
		return r;
	count_rules(snap);
	snap->exists = dp;
	if (dp) {
		snap->instance = pg_dp_instance(dp);
		pg_dp_policy_info(dp, &snap->policy);
		pg_dp_flow_info(dp, &snap->flow);
		r = read_instance(dp, &cache, what, query, snap, err);
		if (r < 0)
			return r;
	}
	*ret_snap = TAKE_PTR(snap);
	return 0;
}

/* The policy's text is only parsed anew when it may be another. */
static int read_rules(struct pg_dp *dp, struct pg_snapshot_cache *cache, struct pg_snapshot *snap,
		      struct pg_err *err)
{
	struct pg_dp_policy_info after;
	int r;

	pg_dp_policy_info(dp, &snap->policy);
	if (cache->rules && cache->instance == snap->instance &&
	    cache->generation == snap->policy.generation) {
		snap->rules = TAKE_PTR(cache->rules);
		pg_policy_count(dp, snap->rules);
		return 0;
	}
	r = pg_policy_read(dp, &snap->rules, err);
	if (r < 0)
		return r;
	/* Which of the two was read, if there was a commit in between? The next time it is sure. */
	pg_dp_policy_info(dp, &after);
	cache->instance = snap->instance;
	cache->generation = after.generation == snap->policy.generation ? after.generation : UINT32_MAX;
	snap->policy = after;
	return 0;
}

int pg_snapshot_read_again(struct pg_dp *dp, struct pg_snapshot_cache *cache, unsigned what,
			   struct pg_snapshot **ret_snap, struct pg_err *err)
{
	_cleanup_(pg_snapshot_freep) struct pg_snapshot *snap = NULL;
	int r = read_names(cache, what, err);

	if (r < 0)
		return r;
	snap = begin(pg_dp_state_dir(dp));
	if (!snap)
		return no_memory(err);
	snap->exists = true;
	snap->instance = pg_dp_instance(dp);
	r = read_rules(dp, cache, snap, err);
	if (r < 0)
		return r;
	count_rules(snap);
	pg_dp_flow_stats(dp, &snap->flow);
	r = read_instance(dp, cache, what & ~PG_SNAP_FLOWS, NULL, snap, err);
	if (r < 0)
		return r;
	*ret_snap = TAKE_PTR(snap);
	return 0;
}

void pg_snapshot_recycle(struct pg_snapshot_cache *cache, struct pg_snapshot *snap)
{
	if (snap) {
		pg_ruleset_free(cache->rules);
		cache->rules = TAKE_PTR(snap->rules);
	}
	pg_snapshot_free(snap);
}

void pg_snapshot_cache_clear(struct pg_snapshot_cache *cache)
{
	pg_services_free(cache->services);
	if (cache->listeners)
		pg_listeners_clear(cache->listeners);
	free(cache->listeners);
	pg_ruleset_free(cache->rules);
	*cache = (struct pg_snapshot_cache){ 0 };
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
