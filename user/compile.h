/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Compile a policy into the tables that the program walks. Plain memory, no kernel.
 */
#pragma once

#include <linux/types.h>
#include <stddef.h>

#include "ast.h"
#include "checks.h"
#include "pg_abi.h"

/*
 * One generation. Node indices and row offsets are relative to it (the first node is 0); the door
 * to the kernel rebases them.
 */
struct pg_tables {
	struct pg_gen gen;
	__u32 *nodes; /* n_nodes * 256 entries */
	size_t n_nodes;
	__u64 *rows; /* n_row_words */
	size_t n_row_words;
	__u32 *block_row; /* HUGE form: rows (as words) that hold offsets of blocks */
	size_t n_block_rows;
	__u32 *own_row; /* the same of rows of few that have a bitmap of their own */
	size_t n_own_rows;
	struct pg_term_record *records; /* gen.terms */
	struct pg_span *spans;		/* of chains that are jumped to, and of split rules */
	size_t n_spans;
	struct pg_check *checks;
	size_t n_checks;
	struct {
		__u32 chain; /* index in the ruleset */
		__u32 rule;  /* number within the chain, from 1 */
	} *terms;	     /* gen.terms: whose rule each term is */
	size_t n_classes;    /* distinct rows */
	struct pg_link *links; /* PG_LINKS, where each is looked for */
	__u32 *through;	       /* as pg_tables_map.through */
};

/* An interface that there is, and the slot that it has; -1: none. */
struct pg_link_name {
	__u32 netns, ifindex;
	int slot;
	char name[IFNAMSIZ];
};

struct pg_compile_opts {
	const char (*ifnames)[IFNAMSIZ]; /* by slot, PG_MAX_IFACES of them, "" for a free slot */
	const struct pg_link_name *links; /* for -i and -o in FORWARD; those in `ifnames` among them */
	size_t n_links;
	const struct pg_check_sets *sets; /* NULL: every set exists */
	struct pg_pos *where; /* gets the place of what can't be compiled, if a file has it; NULL: the error names its line */
};

/*
 * Rules' and policies' counter slots and states must be assigned. Fails with -E2BIG when the policy
 * has more terms than PG_MAX_TERMS or needs more tables than there is room for, with -ELOOP when
 * chains jump in a circle. The caller frees with pg_tables_free().
 */
int pg_compile(const struct pg_ruleset *set, const struct pg_compile_opts *opts,
	       struct pg_tables **ret_tables, struct pg_err *err);
void pg_tables_free(struct pg_tables *tables);
static inline void pg_tables_freep(struct pg_tables **tables)
{
	pg_tables_free(*tables);
}

/* Can it be compiled? Interfaces make no difference. `where`: as in pg_compile_opts. */
static inline int pg_compile_test(const struct pg_ruleset *set, struct pg_pos *where, struct pg_err *err)
{
	_cleanup_(pg_tables_freep) struct pg_tables *tables = NULL;
	const char ifnames[PG_MAX_IFACES][IFNAMSIZ] = { "" };

	return pg_compile(set, &(struct pg_compile_opts){ .ifnames = ifnames, .where = where }, &tables, err);
}

/* The name that `status` gives a form; `verify`: pg_gen's. */
const char *pg_form_name(enum pg_form form, bool verify);
