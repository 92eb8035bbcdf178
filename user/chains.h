/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* User-defined chains: making and removing them, and where rules lead. Plain data. */
#pragma once

#include "diag.h"

/* Whether -N takes the name; fails with iptables' words. */
int pg_chain_name_check(const struct pg_arg *name, struct pg_diag *diag);

static inline bool pg_chain_is_builtin(const struct pg_ruleset *set, const struct pg_chain *chain)
{
	return chain < set->chain + PG_CHAINS_BUILTIN;
}

/* An empty chain in its place among the others, which move; NULL: no memory. */
struct pg_chain *pg_chain_add(struct pg_ruleset *set, enum pg_table_id table, const char *name);
/* Take a user-defined chain out, with its rules. */
void pg_chain_drop(struct pg_ruleset *set, struct pg_chain *chain);
/* Give it another name, also in the rules that lead to it. It moves. */
void pg_chain_rename(struct pg_ruleset *set, struct pg_chain *chain, const char *name);
/* Remove all rules. */
void pg_chain_flush(struct pg_chain *chain);
/* A table without rules and user-defined chains; policies stay. */
void pg_table_clear(struct pg_ruleset *set, enum pg_table_id table);

/*
 * Which built-in chains lead to each chain: ret[i] has bits 1 << PG_CHAIN_* for chain i. Returns
 * 0; 1 where a chain leads back to itself, with *ret_loop saying which (the rest of ret[] is of no
 * use then); -ENOMEM. As in the kernel, a loop that no built-in chain leads to is none.
 */
int pg_chains_reach(const struct pg_ruleset *set, unsigned *ret, size_t *ret_loop);
/* pg_chains_reach() for who wants to know only that there is no loop; the diag is iptables'. */
int pg_chains_check(const struct pg_ruleset *set, const struct pg_arg *at, struct pg_diag *diag);

/* The built-in chain of a stage: one of PG_CHAIN_*. */
uint32_t pg_stage_chain(enum pg_stage stage);
