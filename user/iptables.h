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

/* Forget counters: of a chain's rule `num`, or of all its rules and its policy (num 0). */
void pg_chain_zero(struct pg_chain *chain, unsigned num);
