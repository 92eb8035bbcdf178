/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "flow_scan.h"

#include <errno.h>
#include <time.h>

#include "flow_read.h"

#define PARTS_MAX 64 /* that a walk is made of */

struct scanning {
	struct pg_flow_scan *scan;
	const struct pg_flow_scan_opts *opts;
	struct pg_dp *dp;
	struct pg_err *err;
};

static int add_flow(void *arg, struct pg_flow_row *row)
{
	const struct scanning *s = arg;

	return pg_sampler_add(&s->scan->sampler, &s->opts->query, row,
			      !s->opts->wanted || s->opts->wanted(s->opts->arg, row));
}

static int read_again(void *arg, struct pg_flow_row *row, size_t n, bool *ret_gone)
{
	struct scanning *s = arg;

	return pg_flows_again(s->dp, row, n, ret_gone, s->err);
}

/* How many places to look at. A walk that goes on has rows in its own order, by its own filter. */
static uint32_t part_of(const struct pg_flow_scan *scan, const struct pg_flow_scan_opts *opts,
			uint32_t places)
{
	double n = scan->place_ns > 0 ? (double)opts->budget_ns / scan->place_ns : places;
	uint32_t least = places / PARTS_MAX;

	if (opts->whole || n >= places || scan->by != opts->query.by)
		return places;
	return n > least ? (uint32_t)n / PG_FLOW_WAYS * PG_FLOW_WAYS : least;
}

/* 1: there is more. */
static int walk(struct scanning *s, uint64_t now_ns)
{
	struct pg_flow_scan *scan = s->scan;
	uint32_t places = pg_dp_flow_places(s->dp), n = part_of(scan, s->opts, places);
	uint64_t began;
	int r = 0;

	scan->sampler.now_ns = now_ns;
	if (n == places || !scan->at || scan->at >= places) {
		scan->at = 0;
		scan->by = s->opts->query.by;
		/* Without its addresses, a port has no connections that somebody opened from it. */
		(void)pg_own_addresses_read(&scan->sampler.own);
		r = pg_sampler_begin(&scan->sampler, now_ns, places);
	}
	began = pg_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	if (!r)
		r = pg_flows_glance(s->dp, scan->at, n, add_flow, s, s->err);
	if (r)
		return r == -ENOMEM ? pg_fail(s->err, r, "out of memory") : r;
	n = n < places - scan->at ? n : places - scan->at;
	scan->at += n;
	scan->place_ns = (double)(pg_clock_ns(CLOCK_THREAD_CPUTIME_ID) - began) / n;
	if (scan->at < places)
		return 1;
	pg_sampler_end(&scan->sampler, &s->opts->query);
	scan->at = 0;
	return 0;
}

int pg_flow_scan_read(struct pg_flow_scan *scan, struct pg_dp *dp, const struct pg_flow_scan_opts *opts,
		      struct pg_err *err)
{
	struct scanning s = { scan, opts, dp, err };
	uint64_t now_ns = pg_clock_ns(CLOCK_MONOTONIC);
	int r = walk(&s, now_ns);

	if (r < 0)
		return r;
	r = pg_sampler_refresh(&scan->sampler, &opts->query, r ? opts->fresh : SIZE_MAX, read_again, &s,
			       now_ns);
	return r == -ENOMEM ? pg_fail(err, r, "out of memory") : r;
}

void pg_flow_scan_clear(struct pg_flow_scan *scan)
{
	pg_sampler_clear(&scan->sampler);
	*scan = (struct pg_flow_scan){ 0 };
}
