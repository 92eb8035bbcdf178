/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Snapshot → Prometheus' text format: HELP and TYPE, base units, a bounded number of labels. Pure
 * but for the FILE.
 */
#pragma once

#include <stdio.h>

#include "snapshot.h"

/*
 * Which ports have series of their own. A port keeps its place, or stays among the others, for as long
 * as the instance lives: if one changed sides, the sum of the others would go back, and a counter must
 * not. So the first to come get places; where they come at once, those that somebody listens on, then
 * those with most packets. A quarter of the places is kept for ports that somebody listens on.
 */
struct pg_metric_ports {
	unsigned max, n; /* places; taken */
	struct {
		bool own, other;
	} is[_PG_PORT_PROTO_MAX][PG_PORTS];
};
/* Give places to ports that are new in this snapshot. 0 or -ENOMEM. */
int pg_metric_ports_choose(struct pg_metric_ports *ports, const struct pg_snapshot *snap);
/* Of another instance: nobody has a place. */
void pg_metric_ports_reset(struct pg_metric_ports *ports);

/* How often one program has run and how long, while kernel.bpf_stats_enabled was set. */
struct pg_metric_run {
	char iface[IFNAMSIZ];
	uint64_t netns;
	enum pg_dir dir;
	uint64_t count, ns;
};

struct pg_metric_opts {
	const struct pg_metric_ports *ports;
	unsigned max_rules; /* that have series of their own; the rest of a chain is "other" */
	double read_s;	    /* that reading the snapshot took */
	double cpu_s;	    /* that `serve` has used since it began */
	const uint64_t *flows_by_word; /* [_PG_FLOW_WORD_MAX]: how many flows are in each state */
	const struct pg_metric_run *run;
	size_t n_runs;
};
/* 0, or -EIO with err filled when the file took no more. */
int pg_metrics(FILE *f, const struct pg_snapshot *snap, const struct pg_metric_opts *opts,
	       struct pg_err *err);
