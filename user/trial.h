/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Would a policy have let a flow begin? Its first packet, and the answer, are described and run
 * through the programs of a private instance that has the policy.
 */
#pragma once

#include "answer.h"
#include "dp.h"
#include "flows.h"
#include "local.h"
#include "packet.h"

struct pg_trial {
	struct pg_dp *dp; /* private */
	struct pg_ruleset *set;
	struct pg_tables *tables;
	struct pg_trial_state *state; /* what limits and the like begin with */
	size_t n_states;
	bool remembers;	    /* recent lists, hashlimit */
	struct ifaddrs *own; /* this host's addresses */
	const struct pg_locals *locals; /* the caller's, instead of these; NULL: none */
	uint8_t *frame;
	size_t runs;
};

/* `live`: whose named sets are seen. The caller clears, in any case. */
int pg_trial_open(struct pg_trial *trial, struct pg_dp *live, const struct pg_ruleset *set,
		  const char *iface, struct pg_err *err);
void pg_trial_clear(struct pg_trial *trial);

/*
 * One packet, as new as if nothing had been before it. ret_place: who decided; its rule is good until
 * the trial is cleared.
 */
int pg_trial_packet(struct pg_trial *trial, enum pg_dir dir, const struct pg_packet *packet,
		    bool *ret_drops, struct pg_place *ret_place, struct pg_err *err);
/* Does the host have this address? */
bool pg_trial_is_own(const struct pg_trial *trial, enum pg_family family, const void *addr);

/* ret_by: the rule that drops it; NULL where a policy does. Good until the trial is cleared. */
int pg_trial_flow(struct pg_trial *trial, const struct pg_flow_row *row, bool *ret_drops,
		  const struct pg_rule **ret_by, struct pg_err *err);
