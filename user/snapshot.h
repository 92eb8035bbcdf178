/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One moment of an instance's state as plain data; feeds every table and exporter. pg_snapshot_read()
 * fills it through dp.h; everything else here and in view_*.c and export_*.c runs without a kernel.
 */
#pragma once

#include "ast.h"
#include "dp.h"
#include "flows.h"
#include "mark.h"
#include "service.h"
#include "states.h"

struct pg_listener {
	unsigned pid; /* 0: not visible to us */
	char comm[16];
	char address[46]; /* numeric */
};

/* One port with traffic or a listener. */
struct pg_port_row {
	enum pg_port_proto proto;
	uint16_t port;
	char service[PG_SERVICE_MAX]; /* "": it has no name */
	struct pg_count in, out;
	uint64_t in_dropped, out_dropped;
	struct pg_flags flags; /* TCP */
	bool has_listener;
	struct pg_listener listener;
	enum pg_mark mark;
};

struct pg_iface_row {
	struct pg_dp_iface iface;
	struct pg_count count[_PG_DIR_MAX];
	uint64_t dropped[_PG_DIR_MAX]; /* packets */
	struct pg_dp_cost cost[_PG_DIR_MAX]; /* PG_SNAP_COST */
};

struct pg_snapshot {
	char state_dir[256];
	char kernel[65];
	uint64_t time_ns;  /* CLOCK_MONOTONIC */
	uint64_t time_ms;  /* the same moment, since 1970 */
	uint64_t instance; /* another one, made anew in the same place, has another number */
	bool exists; /* there is an instance; otherwise everything below is empty */
	struct pg_iface_row *iface;
	size_t n_iface;
	struct pg_port_row *port; /* by protocol, then port */
	size_t n_port;
	struct pg_count reason[_PG_REASON_MAX]; /* all interfaces, directions and verdicts */
	struct pg_count dropped[_PG_REASON_MAX]; /* of these, what was dropped or rejected */
	struct pg_count verdict[_PG_DIR_MAX][_PG_VERDICT_MAX];
	struct pg_ruleset *rules; /* with their counters; never NULL */
	size_t n_rules;		  /* over all chains */
	struct pg_dp_policy_info policy;
	uint64_t memory_bytes;
	struct pg_dp_kernel has; /* PG_SNAP_KERNEL */
	bool knows_kernel;	 /* it was asked, and by somebody who may load programs */
	struct pg_dp_flow_info flow;
	uint32_t flow_options;	   /* PG_FLOW_OPT_* */
	struct pg_flow_list flows; /* PG_SNAP_FLOWS: those that were asked for */
	bool has_states;
	struct pg_states states;   /* PG_SNAP_STATES */
	uint64_t events_lost; /* packets that LOG and NFLOG could not report */
	char listener_error[160]; /* why there are none; "": they were read, or not asked for */
};

/* What to read; ports and listeners cost the most. */
#define PG_SNAP_PORTS (1U << 0)
#define PG_SNAP_LISTENERS (1U << 1)
#define PG_SNAP_FLOWS (1U << 2)
#define PG_SNAP_STATES (1U << 3)
#define PG_SNAP_STATES_TOTAL (1U << 8) /* without ports */
#define PG_SNAP_COST (1U << 4)
#define PG_SNAP_KERNEL (1U << 5) /* and all about a policy that is tried */

/*
 * dp NULL: there is no instance. `query` says which flows, NULL: all. The caller frees with
 * pg_snapshot_free().
 */
int pg_snapshot_read(struct pg_dp *dp, const char *state_dir, unsigned what,
		     const struct pg_flow_query *query, struct pg_snapshot **ret_snap,
		     struct pg_err *err);

/*
 * For who reads one snapshot after the other: what seldom changes, kept in between. Zeroed it is empty.
 * Listeners are looked for at most every five seconds.
 */
struct pg_snapshot_cache {
	struct pg_services *services;
	struct pg_listeners *listeners;
	uint64_t listeners_ns; /* when they were read; 0: look anew */
	char listener_error[160];
	struct pg_ruleset *rules; /* of the last snapshot, and whose they are */
	uint64_t instance;
	uint32_t generation;
};
/*
 * The same as pg_snapshot_read(), but flows are not counted (.flow.count is 0). dp is not NULL.
 */
int pg_snapshot_read_again(struct pg_dp *dp, struct pg_snapshot_cache *cache, unsigned what,
			   struct pg_snapshot **ret_snap, struct pg_err *err);
/* Free a snapshot, and keep its rules for the next one. */
void pg_snapshot_recycle(struct pg_snapshot_cache *cache, struct pg_snapshot *snap);
void pg_snapshot_cache_clear(struct pg_snapshot_cache *cache);

void pg_snapshot_free(struct pg_snapshot *snap);
static inline void pg_snapshot_freep(struct pg_snapshot **snap)
{
	pg_snapshot_free(*snap);
}
