/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What `learn` prints: a proposal with what it drops, how it differs from the policy in force, both as JSON. */
#pragma once

#include "learn_run.h"
#include "print.h"

struct pg_proposal {
	struct pg_services *services;
	struct pg_text text;
	struct pg_ruleset *set;
	struct pg_learn dropped;
	struct pg_snapshot *ports; /* of the captures under it; of an instance, what it has counted */
};
void pg_proposal_clear(struct pg_proposal *p);

/* What it would have dropped, as comments behind it. */
void pg_view_dropped(struct pg_text *t, const struct pg_study *study, const struct pg_proposal *p,
		     bool captures);

/* The policy in force, and which of what was seen it would drop. */
struct pg_learn_diff {
	struct pg_ruleset *now;
	struct pg_learn dropped;
};
int pg_learn_diff_read(struct pg_learn_diff *ret, struct pg_dp *dp, const char *iface,
		       const struct pg_study *study, struct pg_err *err);
void pg_learn_diff_clear(struct pg_learn_diff *diff);
void pg_view_learn_diff(struct pg_text *t, const struct pg_study *study, const struct pg_proposal *p,
			const struct pg_learn_diff *diff);

/* diff NULL: it was not asked for. Takes p's text to pieces. */
int pg_json_learn(FILE *f, const struct pg_study *study, struct pg_proposal *p,
		  const struct pg_learn_diff *diff, struct pg_err *err);

/*
 * Rules of the policy that no packet met for so many days, in lines or as JSON. `now`: seconds since
 * 1970. How many there are, or a negative errno with err filled.
 */
int pg_unused_print(FILE *f, const struct pg_ruleset *set, uint32_t days, int64_t now, bool json,
		    struct pg_err *err);
