/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One packet through a policy, in a private instance: what would decide it. Nothing that is pinned
 * is touched.
 */
#pragma once

#include "answer.h"
#include "dp.h"
#include "explain.h"

struct pg_probe_opts {
	const char *iface;   /* that it arrives on or leaves by; NULL: one that no rule names */
	enum pg_dir dir;
	unsigned ct_state;   /* PG_CT_* that the packet is to have; 0: what it would have */
	/* Whose named sets, flows, limits and lists are seen, as they are now; NULL: there are none */
	struct pg_dp *live;
	bool explain; /* fill in .explain and .remembered, too */
};

struct pg_probe {
	struct pg_dp *dp;
	const struct pg_probe_opts *opts;
	struct pg_ruleset *set; /* the caller's; NOTRACK is put in front where it is asked for */
	struct pg_tables *tables;
	struct pg_answer answer; /* points into the two above */
	struct pg_explain explain; /* likewise */
	struct pg_state *remembered; /* PG_STATES: by pg_rule.state, before the packet came */
	struct pg_left *left;	     /* likewise, of lists */
	size_t n_left;
	uint64_t now_ns;	     /* when that was, CLOCK_MONOTONIC */
	bool has_flow;		     /* of the packet, before it came */
	struct pg_dp_flow flow;
};

/*
 * `set` is the policy, with the states that its rules have in the live instance; they are given up. `frame` has `len` bytes, all of which
 * were on the wire. Fails with exit code 2 where such a packet can't have the state that was asked
 * for. Accepts what pg_probe_clear() left; the caller clears in any case.
 */
int pg_probe_run(struct pg_probe *probe, struct pg_ruleset *set, const struct pg_probe_opts *opts,
		 const uint8_t *frame, size_t len, struct pg_err *err);
void pg_probe_clear(struct pg_probe *probe);
