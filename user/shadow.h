/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A policy that is tried on live packets beside the one in force, and what would differ. */
#pragma once

#include "diff.h"
#include "dp.h"

/*
 * Begin: `set` is tried, `live` is what is in force, with its slots; what rules that are in both
 * remember is copied. How many interfaces it sees, or a negative errno: then nothing is tried.
 */
int pg_shadow_begin(struct pg_dp *dp, struct pg_ruleset *set, const struct pg_ruleset *live,
		    struct pg_err *err);

struct pg_shadow {
	struct pg_ruleset *was, *now; /* owned */
	struct pg_diff diff;	      /* sorted; its places point into the two */
	struct pg_shadow_sums sums;
	/* Compared is with the first only: if the second, in force now, is another, nothing is. */
	uint32_t generation, in_force;
	size_t n_left_out; /* interfaces that it does not see: they were not here, or gone */
	char left_out[PG_MAX_IFACES][IFNAMSIZ];
};
static inline bool pg_shadow_stopped(const struct pg_shadow *shadow)
{
	return shadow->generation != shadow->in_force;
}

/* -ENOENT, with words: nothing is tried. The caller clears it in any case. */
int pg_shadow_read(struct pg_dp *dp, struct pg_shadow *ret, struct pg_err *err);
void pg_shadow_clear(struct pg_shadow *shadow);

void pg_view_shadow(struct pg_text *t, const struct pg_shadow *shadow, size_t limit);
