/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* iptables' verbs, applied to a policy in memory. */
#pragma once

#include "parse.h"

/* Whether the command changes the policy (or its counters). */
bool pg_command_writes(const struct pg_command *cmd);

/*
 * Check, and carry out what changes the policy. Where it fails, `set` may be half changed and must
 * not be used. Counters that are to start anew get PG_NO_SLOT.
 */
int pg_command_apply(const struct pg_command *cmd, struct pg_ruleset *set, struct pg_diag *diag);

/*
 * Append the chains that the command filled without portguard enforcing them: see
 * pg_chains_unenforced(). Returns whether there are any.
 */
bool pg_command_unenforced(const struct pg_command *cmd, const struct pg_ruleset *set,
			   struct pg_text *ret);

/* Forget counters: of a chain's rule `num`, or of all its rules and its policy (num 0). */
void pg_chain_zero(struct pg_chain *chain, unsigned num);
