/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the dashboard shows, read from an instance again and again, at a cost that is bounded. */
#pragma once

#include <time.h>

#include "cmd.h"
#include "drops.h"
#include "flow_scan.h"
#include "port_marks.h"
#include "top.h"

struct pg_top_reader {
	const struct pg_ctx *ctx;
	struct pg_dp_follow *follow;
	struct pg_dp *dp; /* its; NULL: there is no instance now */
	uint64_t nth;	  /* which one that is */
	struct pg_snapshot_cache cache;
	struct pg_snapshot *snap; /* the last one; NULL: none yet */
	struct pg_history *history;
	struct pg_flow_scan flows;
	struct pg_drops *drops; /* of `dp` */
	struct pg_top_drops *last_drops;
	struct pg_port_marks marks;
	struct pg_marks_age marks_age;
	int cost_fd; /* the kernel measures programs while it is open; -1: it does not */
	struct timespec wall; /* when `snap` was read */
};

int pg_top_reader_open(struct pg_top_reader *r, const struct pg_ctx *ctx, uint64_t interval_ns,
		       struct pg_err *err);
void pg_top_reader_close(struct pg_top_reader *r);
/* A sample: snapshot, rates and, where it is time for that, flows. 0 or a negative errno. */
int pg_top_read(struct pg_top_reader *r, struct pg_top *top, struct pg_err *err);
/* What the view lacks, without a sample of ports and rules. */
int pg_top_read_more(struct pg_top_reader *r, struct pg_top *top, struct pg_err *err);
/* Have the programs' cost measured, or no longer. */
int pg_top_measure(struct pg_top_reader *r, struct pg_err *err);

const struct pg_snapshot *pg_top_reader_snap(const struct pg_top_reader *r);
static inline const struct pg_top_drops *pg_top_reader_drops(const struct pg_top_reader *r)
{
	return r->last_drops;
}
