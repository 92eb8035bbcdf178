/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "top_read.h"

#include <errno.h>
#include <string.h>

#include "options.h"
#include "top_table.h"

/* What walking over all flows may take of the time; half of that where only their number is shown. */
#define FLOWS_SHARE 300
#define FRESH_FLOWS 100 /* more than a screen shows, and so that one more may come up */

int pg_top_reader_open(struct pg_top_reader *r, const struct pg_ctx *ctx, uint64_t interval_ns,
		       struct pg_err *err)
{
	*r = (struct pg_top_reader){ .ctx = ctx, .cost_fd = -1 };
	r->history = pg_history_new(interval_ns);
	r->last_drops = calloc(1, sizeof(*r->last_drops));
	if (!r->history || !r->last_drops)
		return pg_fail(err, -ENOMEM, "out of memory");
	return pg_dp_follow_open(ctx->state_dir, ctx->verbose, &r->follow, err);
}

void pg_top_reader_close(struct pg_top_reader *r)
{
	pg_snapshot_free(r->snap);
	pg_snapshot_cache_clear(&r->cache);
	pg_history_free(r->history);
	pg_flow_scan_clear(&r->flows);
	pg_drops_close(r->drops);
	free(r->last_drops);
	pg_port_marks_clear(&r->marks);
	if (r->history)
		pg_closep(&r->cost_fd);
	pg_dp_follow_close(r->follow);
}

const struct pg_snapshot *pg_top_reader_snap(const struct pg_top_reader *r)
{
	return r->snap;
}

/* The instance may be removed and made anew while we look. */
static int follow(struct pg_top_reader *r, struct pg_err *err)
{
	uint64_t nth;
	int rc = pg_dp_follow_get(r->follow, &r->dp, &nth, err);

	if (rc || (r->dp && r->drops && nth == r->nth))
		return rc;
	pg_drops_close(TAKE_PTR(r->drops));
	pg_flow_scan_clear(&r->flows);
	r->marks_age = (struct pg_marks_age){ 0 };
	r->nth = nth;
	return r->dp ? pg_drops_open(r->dp, false, &r->drops, err) : 0;
}

/* Whom the policy lets reach a port ------------------------------------------------------------ */

static int mark_ports(struct pg_top_reader *r, const struct pg_top *top, struct pg_snapshot *snap)
{
	struct pg_err err = { 0 };

	if (top->view != PG_TOP_PORTS && !top->detail)
		return 0;
	/* Without privilege there are no marks, and all else is shown. */
	if (pg_marks_due(&r->marks_age, snap, pg_clock_ns(CLOCK_MONOTONIC))) {
		pg_port_marks_clear(&r->marks);
		(void)pg_marks_ask(r->dp, &r->marks, &err);
	}
	return pg_marks_apply(&r->marks, r->cache.services, snap);
}

/* Flows --------------------------------------------------------------------------------------- */

/* Which of them are kept, and by what: so that those shown are the first of all. */
static enum pg_flow_sort flow_order(const struct pg_top *top)
{
	return top->cumulative ? PG_FLOW_BY_BYTES : PG_FLOW_BY_RATE;
}

static bool is_wanted(void *arg, const struct pg_flow_row *row)
{
	const struct pg_top *top = arg;
	char text[512];

	if (top->detail && (row->proto != (top->port.proto == PG_PORT_TCP ? 6 : 17) ||
			    (row->port[0] != top->port.port && row->port[1] != top->port.port)))
		return false;
	if (!top->filter[0])
		return true;
	pg_top_flow_text(row, text, sizeof(text));
	return pg_top_matches(text, top->filter);
}

static int read_flows(struct pg_top_reader *r, struct pg_top *top, bool whole, struct pg_err *err)
{
	bool filtered = top->detail || (top->filter[0] && top->view == PG_TOP_FLOWS);
	const struct pg_flow_scan_opts opts = {
		.query = { .by = flow_order(top), .top = PG_FLOW_SAMPLE_TOP },
		.wanted = filtered ? is_wanted : NULL,
		.arg = top,
		.fresh = top->detail || top->view == PG_TOP_FLOWS ? FRESH_FLOWS : 0,
		.whole = whole,
		.budget_ns = r->history->interval_ns / FLOWS_SHARE / (top->view == PG_TOP_FLOWS ? 1 : 2),
	};

	return pg_flow_scan_read(&r->flows, r->dp, &opts, err);
}

/* Samples ------------------------------------------------------------------------------------- */

static int read_snapshot(struct pg_top_reader *r, const struct pg_top *top, struct pg_err *err)
{
	unsigned what = PG_SNAP_PORTS | PG_SNAP_LISTENERS | pg_top_needs(top) |
			(r->cost_fd >= 0 ? PG_SNAP_COST : 0);
	struct pg_snapshot *snap = NULL;
	int rc = follow(r, err);

	if (!rc && r->dp) {
		rc = pg_snapshot_read_again(r->dp, &r->cache, what, &snap, err);
		if (!rc)
			rc = pg_top_drops_take(r->drops, r->last_drops, err);
		if (!rc && mark_ports(r, top, snap) < 0)
			rc = pg_fail(err, -ENOMEM, "out of memory");
	} else if (!rc)
		rc = pg_snapshot_read(NULL, pg_state_dir(r->ctx), 0, NULL, &snap, err);
	if (rc < 0) {
		pg_snapshot_free(snap);
		return rc;
	}
	pg_snapshot_recycle(&r->cache, r->snap);
	r->snap = snap;
	clock_gettime(CLOCK_REALTIME, &r->wall);
	pg_history_watch_states(r->history, top->detail ? top->port.port : top->states_port);
	return 0;
}

int pg_top_read(struct pg_top_reader *r, struct pg_top *top, struct pg_err *err)
{
	int rc = read_snapshot(r, top, err);

	if (rc || !r->dp)
		return rc;
	if (pg_history_add(r->history, r->snap) < 0)
		return pg_fail(err, -ENOMEM, "out of memory");
	return read_flows(r, top, false, err);
}

int pg_top_read_more(struct pg_top_reader *r, struct pg_top *top, struct pg_err *err)
{
	int rc;

	if (!r->snap)
		return pg_top_read(r, top, err);
	rc = read_snapshot(r, top, err);
	if (rc || !r->dp)
		return rc;
	if (pg_history_refresh(r->history, r->snap) < 0)
		return pg_fail(err, -ENOMEM, "out of memory");
	return top->detail || top->view == PG_TOP_FLOWS ? read_flows(r, top, true, err) : 0;
}

int pg_top_measure(struct pg_top_reader *r, struct pg_err *err)
{
	if (r->cost_fd >= 0) {
		pg_closep(&r->cost_fd);
		r->cost_fd = -1;
		return 0;
	}
	r->cost_fd = pg_dp_cost_begin(err);
	return r->cost_fd < 0 ? r->cost_fd : 0;
}
