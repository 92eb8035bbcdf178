/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flows again and again at a bounded cost: the tables are walked over bit by bit, as far as a share of
 * the time goes, and in between only the first of the list are read anew. Few flows are all walked over
 * each time. So of a hundred thousand, those that are shown are as they are now, and what belongs there
 * since the last walk comes some seconds later.
 */
#pragma once

#include "dp.h"
#include "top_flows.h"

struct pg_flow_scan {
	struct pg_sampler sampler;
	uint32_t at; /* place where the walk goes on; 0: it begins */
	enum pg_flow_sort by; /* of that walk */
	double place_ns; /* what one has cost; 0: not known yet */
};

struct pg_flow_scan_opts {
	struct pg_flow_query query; /* .by and .top of the list */
	bool (*wanted)(void *arg, const struct pg_flow_row *row); /* for the list; NULL: all */
	void *arg;
	size_t fresh;	    /* rows of the list that are read anew each time */
	bool whole;	    /* a walk from the first to the last, now */
	uint64_t budget_ns; /* of CPU time, otherwise */
};
/* Read as much; scan->sampler.sample is what is known then. 0 or a negative errno with err filled. */
int pg_flow_scan_read(struct pg_flow_scan *scan, struct pg_dp *dp, const struct pg_flow_scan_opts *opts,
		      struct pg_err *err);
void pg_flow_scan_clear(struct pg_flow_scan *scan);
