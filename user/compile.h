/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Compile a policy into the tables that the program walks. Plain memory, no kernel.
 */
#pragma once

#include <linux/types.h>
#include <stddef.h>

#include "ast.h"
#include "pg_abi.h"

/*
 * One generation. Node indices and row offsets are relative to it (the first node is 0); the door
 * to the kernel rebases them. Row 0 is all ones.
 */
struct pg_tables {
	struct pg_gen gen;
	__u32 *nodes; /* n_nodes * 256 entries */
	size_t n_nodes;
	__u64 *rows; /* n_row_words */
	size_t n_row_words;
	struct pg_action *actions; /* gen.terms */
	struct {
		__u32 chain; /* index in the ruleset */
		__u32 rule;  /* number within the chain, from 1 */
	} *terms;	     /* gen.terms: whose rule each term is */
	size_t n_classes;    /* distinct rows */
};

/*
 * ifnames[slot], PG_MAX_IFACES of them, "" for a free slot. Rules' and policy's counter slots must
 * be assigned. Fails with -E2BIG when the policy has more terms than PG_MAX_TERMS or needs more
 * tables than there is room for. The caller frees with pg_tables_free().
 */
int pg_compile(const struct pg_ruleset *set, const char (*ifnames)[IFNAMSIZ],
	       struct pg_tables **ret_tables, struct pg_err *err);
void pg_tables_free(struct pg_tables *tables);
static inline void pg_tables_freep(struct pg_tables **tables)
{
	pg_tables_free(*tables);
}

/* The name that `status` gives a form. */
const char *pg_form_name(enum pg_form form);
