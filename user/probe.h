/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One packet through a policy, in a private instance: what would decide it. Nothing that is pinned
 * is touched.
 */
#pragma once

#include "answer.h"
#include "dp.h"

struct pg_probe_opts {
	const char *iface;   /* that it arrives on or leaves by; NULL: one that no rule names */
	enum pg_dir dir;
	unsigned ct_state;   /* PG_CT_* that the packet is to have; 0: what it would have */
	struct pg_dp *live;  /* whose named sets and flows are seen; NULL: there are none */
};

struct pg_probe {
	struct pg_dp *dp;
	const struct pg_probe_opts *opts;
	struct pg_ruleset *set; /* the caller's; NOTRACK is put in front where it is asked for */
	struct pg_tables *tables;
	struct pg_answer answer; /* points into the two above */
};

/*
 * `set` is the policy; its counters and states are given up. `frame` has `len` bytes, all of which
 * were on the wire. Fails with exit code 2 where such a packet can't have the state that was asked
 * for. Accepts what pg_probe_clear() left; the caller clears in any case.
 */
int pg_probe_run(struct pg_probe *probe, struct pg_ruleset *set, const struct pg_probe_opts *opts,
		 const uint8_t *frame, size_t len, struct pg_err *err);
void pg_probe_clear(struct pg_probe *probe);
