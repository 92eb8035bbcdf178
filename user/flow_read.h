/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From the tables of flows and states to plain rows. */
#pragma once

#include "dp.h"
#include "flows.h"
#include "states.h"

/* One entry as a row. `iface`: PG_MAX_IFACES of them, by slot; now_ns: of CLOCK_MONOTONIC. */
void pg_flow_row_fill(struct pg_flow_row *row, const struct pg_dp_flow *flow,
		      const struct pg_dp_iface *iface, uint64_t now_ns);

/*
 * Every flow that is asked for, in no order; `top` and `by` of the query have no effect. Anything but
 * 0 from `fn` ends the walk, and is returned.
 */
typedef int pg_flow_row_fn(void *arg, const struct pg_flow_row *row);
int pg_flows_each(struct pg_dp *dp, const struct pg_flow_query *query, pg_flow_row_fn *fn, void *arg,
		  struct pg_err *err);
/*
 * Every flow of these places, as pg_dp_flows_glance(): rows with what is wanted of all flows, without flags,
 * troubles, RTT, VLAN, and times but .age_ns.
 */
typedef int pg_flow_glance_fn(void *arg, struct pg_flow_row *row);
int pg_flows_glance(struct pg_dp *dp, uint32_t from, uint32_t n, pg_flow_glance_fn *fn, void *arg,
		    struct pg_err *err);
/* These n rows as they are now, without .rate. ret_gone[i]: it is no more, and the row as it was. */
int pg_flows_again(struct pg_dp *dp, struct pg_flow_row *row, size_t n, bool *ret_gone,
		   struct pg_err *err);
/* The same as a list, in the order asked for. The caller clears it, in any case. */
int pg_flows_read(struct pg_dp *dp, const struct pg_flow_query *query, struct pg_flow_list *ret,
		  struct pg_err *err);

/* `info` is what pg_dp_flow_info() says. The caller clears it, in any case. 0 or -ENOMEM. */
int pg_states_read(struct pg_dp *dp, const struct pg_dp_flow_info *info, struct pg_states *ret,
		   struct pg_err *err);
/* Without ports, of which a scan leaves 65 536 with a kilobyte each. */
void pg_states_read_total(struct pg_dp *dp, const struct pg_dp_flow_info *info,
			  struct pg_states *ret);
